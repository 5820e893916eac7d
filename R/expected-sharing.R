# How far effects are shared between pairs of conditions, from the joint posterior.

#' Expected sharing of effects between pairs of conditions
#'
#' For each pair of conditions, the expected share of effects that truly have the same sign and are
#' within a factor of each other, among those that are significant in at least one of the two.
#' [get_pairwise_sharing()] counts how many posterior means are; means are shrunken towards each
#' other and know no uncertainty, so that it finds more sharing than there is.
#'
#' @param fit A fit of [mash()] or of [deconvolve()], a `fitted_g`, or a prior of
#'   [fit_mash_prior()].
#' @param data A data object made by [mash_set_data()]: that of the fit, or other rows.
#' @param factor From 0 to 1: effects are shared if their ratio is above `factor` and below
#'   `1 / factor`; 0 for "the same sign".
#' @param lfsr_thresh Significant means an lfsr strictly below this.
#' @param weights One number for each effect, e.g. those of [select_training_effects()]: how many
#'   effects it stands for. All alike if `NULL`.
#' @param predicted Use effects that were not observed in one of the two conditions too? By
#'   default both must be observed.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return A symmetric R x R matrix of shares from 0 to 1, with the names of the conditions and
#'   ones on the diagonal. A pair without any significant effect has `NA`.
#' @details Two effects \eqn{b_i, b_k} have one sign and are within the factor \eqn{f} where
#'   \eqn{b_i - f b_k} and \eqn{b_k - f b_i} have the same sign. Given a component of the posterior
#'   these two are normal, so that the probability is that of two opposite quadrants of a normal pair:
#'   exact where they are tied (rank one), else by Gauss and Legendre's rule, with an error
#'   below 1e-6. Components whose posterior weights in an effect together are below 1e-6 are left out.
#'   Effects that are exactly zero are not shared. No draws: the result is the limit of
#'   [get_pairwise_sharing_from_samples()] for many of them.
#'
#'   It takes some four times as long as the posterior, 5 s for 100,000 effects of which 30 % are
#'   significant, 44 conditions and common standard errors; with standard errors of their own, significant effects
#'   take 2 to 3 ms each.
#' @section Errors: As [mash_compute_posterior_matrices()].
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#'
#'   Genz A (2004). Numerical computation of rectangular bivariate and trivariate normal and t
#'   probabilities. *Statistics and Computing* 14, 251-260. \doi{10.1023/B:STCO.0000035304.20635.31}
#' @seealso [get_pairwise_sharing()], [mash_joint()]
#' @concept heterogeneity
#' @concept replication
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' round(get_expected_sharing(fit, data, n_threads = 1), 2)
#' # what the posterior means say
#' round(get_pairwise_sharing(fit), 2)
get_expected_sharing <- function(fit, data, factor = 0.5, lfsr_thresh = 0.05, weights = NULL, predicted = FALSE,
                                 n_threads = NULL) {
  check_number(factor, "factor", 0, 1, what = "a number from 0 to 1")
  check_number(lfsr_thresh, "lfsr_thresh", 0, 1, what = "a number from 0 to 1")
  check_flag(predicted, "predicted")
  problem <- problem_of(fit, data)
  weights <- effect_weights(weights, problem$data)
  n_threads <- resolve_threads(n_threads)
  lfsr <- posterior_with_intervals(problem, NULL, NULL, n_threads)$lfsr
  counts <- matrix(1L + (!is.na(lfsr) & lfsr < lfsr_thresh), nrow(lfsr))
  counts[!comparable_outcomes(problem$data, ncol(lfsr), predicted)] <- 0L
  rows <- which(rowSums(counts == 2L) > 0)
  labels <- colnames(lfsr)
  if (length(rows) == 0L) {
    shared <- matrix(NA_real_, ncol(lfsr), ncol(lfsr), dimnames = if (!is.null(labels)) list(labels, labels))
    diag(shared) <- 1
    return(shared)
  }
  weights <- if (is.null(weights)) rep(1, length(rows)) else weights[rows] / max(weights)
  problem$data <- problem$data[rows, ]
  sharing <- list(counts = counts[rows, , drop = FALSE], weights = weights, factor = factor)
  joint_answer(problem, n_threads, sharing = sharing)$sharing
}

# Which effects can be in a pair: those with an estimate (of a contrast with the mean: with all), or predicted ones, where
# their scale is known.
comparable_outcomes <- function(data, Q, predicted) {
  known <- !is.na(unname(if (predicted) data$Shat_alpha else data$Bhat))
  if (predicted && data$alpha == 0) known[] <- TRUE
  if (ncol(known) == Q) known else matrix(rowSums(!known) == 0, nrow(known), Q)
}
