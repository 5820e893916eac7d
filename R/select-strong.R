# The effects that covariances are learned from.

#' Strong effects, one of each group
#'
#' The effects that data-driven covariances are learned from: those that are significant when each condition is looked at
#' alone, and of each group, such as the variants tested for a gene, the strongest one only, since variants in linkage
#' disequilibrium are one effect.
#'
#' @param data A data object made by [mash_set_data()].
#' @param by One value for each effect, that of its group: a vector or a factor. `NULL`: every effect is a group.
#' @param thresh Significant means a local false sign rate below this in some condition, by [mash_1by1()].
#' @param n_threads Number of threads, see [covmash_threads].
#' @return Row numbers, most significant first, named if the rows have names; as [get_significant_results()].
#' @details Of a group the effect with the smallest lfsr is chosen, of several with the same the one with the largest
#'   z-score. The mixture weights of [mash()] must not be learned from these effects alone: they would make the prior
#'   believe that most effects are strong.
#' @section Errors: `covmash_error_argument` for a `by` of another length or with missing values.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [cov_ted()], [select_training_effects()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' gene <- rep(1:40, each = 5)
#' select_strong_effects(data, by = gene)
select_strong_effects <- function(data, by = NULL, thresh = 0.05, n_threads = NULL) {
  data <- take_data(data)
  groups <- if (!is.null(by)) effect_groups(by, n_effects(data))$at
  alone <- mash_1by1(data, n_threads = n_threads)
  rows <- get_significant_results(alone, thresh)
  if (is.null(groups) || length(rows) == 0L) {
    return(rows)
  }
  # Sure effects have an lfsr of 0, all of them.
  best <- row_minima(get_lfsr(alone))[rows]
  rows <- rows[order(best, -largest_z(data, unname(rows)))]
  rows[!duplicated(groups[rows])]
}
