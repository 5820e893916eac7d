# The correlation of the errors for an analysis that nobody watches: by EM, on z-scores, and only where it pays.

#' Correlation of the errors, where there is one
#'
#' Learns `V` by [mash_estimate_corr_em()] from a random choice of effects, on the scale of z-scores, which is quick, with a
#' prior that knows how effects are shared; gives the identity unless correlated errors make the data clearly more
#' likely than independent ones.
#'
#' @param data A data object made by [mash_set_data()], with `V` not yet known; of all effects or a random sample, not of
#'   chosen ones.
#' @param strong Rows with strong effects, to learn covariances from; `NULL` (default): those of [select_strong_effects()].
#' @param n Learn from so many effects at random; by default 20,000, or 300,000 / R if that is fewer.
#' @param max_iter The largest number of steps of the EM.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return An R x R correlation matrix with the names of the conditions, for [mash_update_data()]. Its attributes are
#'   `gain`, the log-likelihood over that of independent errors (0 where these are kept), and `n`, the number of effects
#'   it was learned from.
#' @details Small effects that conditions share look like correlated errors to rules that correlate the z-scores of effects
#'   that seem null ([estimate_null_correlation_simple()]). The mixture model tells the two apart, if its prior has the
#'   patterns of the effects: those of [cov_canonical()] and [cov_ted()], learned with independent errors. The EM
#'   begins at the identity or at the pairwise estimate, whichever is more likely. Of 20,000 effects in 8 conditions, half
#'   of them null, its correlations are off by 0.01 (standard deviation), without bias; the pairwise ones by 0.06 to 0.1
#'   where effects are shared. Independent errors are kept unless the gain is above R (R - 1), four times that of noise.
#' @section Errors: Those of [mash_estimate_corr_em()].
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [mash_estimate_corr_em()], [estimate_null_correlation_simple()]
#' @export
#' @examples
#' set.seed(1)
#' V <- matrix(c(1, 0.6, 0.6, 1), 2)
#' data <- mash_set_data(matrix(rnorm(2000), ncol = 2) %*% chol(V))
#' estimate_error_correlation(data, n_threads = 1)
estimate_error_correlation <- function(data, strong = NULL, n = NULL, max_iter = 10, n_threads = NULL) {
  data <- take_data(data)
  if (!is.null(data$L)) {
    abort_input(
      "`data` are contrasts, whose errors are known from those of the conditions; estimate these before.",
      class = "covmash_error_contrast"
    )
  }
  R <- n_conditions(data)
  open <- observed_rows(data, seq_len(n_effects(data)))
  n <- if (is.null(n)) min(20000, max(2000, 3e5 %/% R)) else whole_number(n, "n", 1)
  max_iter <- whole_number(max_iter, "max_iter", 1)
  labels <- colnames(data$Bhat)
  none <- structure(diag(R), dimnames = if (!is.null(labels)) list(labels, labels))
  if (R < 2L || length(open) == 0L) {
    return(structure(none, gain = 0, n = 0L))
  }
  rows <- if (n < length(open)) sort(draw_from(open, n)) else open
  all <- mash_set_data(data$Bhat / data$Shat, 1)
  strong <- if (is.null(strong)) select_strong_effects(all, n_threads = n_threads) else resolve_subset(strong, data, "strong")
  U <- c(cov_canonical(all), if (length(strong) >= 2L * R) try_ted(all, strong, n_threads))
  z <- all[rows, ]
  loglik <- function(V) {
    get_loglik(mash(mash_update_data(z, V = V), U, verbose = FALSE, outputlevel = 1, n_threads = n_threads))
  }
  pairwise <- tryCatch(
    suppressWarnings(estimate_null_correlation_simple(z, rule = "pairwise"), "covmash_warning"),
    covmash_error_null = function(e) none
  )
  independent <- loglik(none)
  init <- if (!identical(pairwise, none) && loglik(pairwise) > independent) pairwise else none
  fit <- suppressWarnings(
    mash_estimate_corr_em(z, U, init, max_iter = max_iter, outputlevel = 1, n_threads = n_threads),
    "covmash_warning_convergence"
  )
  gain <- fit$loglik[length(fit$loglik)] - independent
  if (!isTRUE(gain > R * (R - 1))) {
    return(structure(none, gain = 0, n = length(rows)))
  }
  structure(fit$V, gain = gain, n = length(rows))
}
