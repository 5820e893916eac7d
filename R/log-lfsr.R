# Local false sign rates beyond the smallest number there is.

#' Logarithms of local false sign rates
#'
#' An lfsr below some 1e-300, of z-scores beyond 37, is 0 in double precision; its logarithm is not.
#'
#' @param fit A fit of [mash()] or of [deconvolve()], a `fitted_g`, or a prior of
#'   [fit_mash_prior()].
#' @param data A data object made by [mash_set_data()]: that of the fit, or other rows.
#' @param base The base of the logarithms: 10, or `exp(1)` for natural ones.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return A J x R matrix of logarithms with the names of effects and conditions. Missing estimates are
#'   predicted.
#' @details \eqn{\log(\min\{P(b_{jr} > 0), P(b_{jr} < 0)\} + P(b_{jr} = 0))}{log(min{P(b_jr > 0),
#'   P(b_jr < 0)} + P(b_jr = 0))}: the logarithm of [get_lfsr()] where that
#'   is above 1e-290, else from the logarithms of the posterior weights and of the normal tails
#'   of each component. Such effects take the time of a posterior for each component.
#' @section Errors: As [mash_compute_posterior_matrices()].
#' @references Stephens M (2017). False discovery rates: a new deal. *Biostatistics* 18(2),
#'   275-294. \doi{10.1093/biostatistics/kxw041}
#' @seealso [get_lfsr()], [get_svalue()]
#' @export
#' @examples
#' data <- mash_set_data(rbind(c(1, 0.5), c(-3, 2), c(60, 55)))
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' get_lfsr(fit)
#' round(get_log_lfsr(fit, data, n_threads = 1), 1)
get_log_lfsr <- function(fit, data, base = 10, n_threads = NULL) {
  check_number(base, "base", 1 + 1e-6, what = "a number above 1")
  problem <- problem_of(fit, data)
  n_threads <- resolve_threads(n_threads)
  lfsr <- posterior_with_intervals(problem, NULL, NULL, n_threads)$lfsr
  out <- log(lfsr)
  rows <- which(rowSums(lfsr < 1e-290, na.rm = TRUE) > 0)
  if (length(rows) > 0L) {
    tiny <- unname(lfsr[rows, , drop = FALSE] < 1e-290)
    problem$data <- problem$data[rows, ]
    out[rows, ][tiny] <- log_lfsr_by_component(problem, n_threads)[tiny]
  }
  out / log(base)
}

log_lfsr_by_component <- function(problem, n_threads) {
  model <- problem$model
  L <- loglik_matrix(problem$data, model, n_threads)
  J <- nrow(L)
  P <- ncol(L)
  log_weights <- L + rep(log(model$pi), each = J)
  log_weights <- log_weights - log_row_sums(log_weights)
  joint <- joint_request(problem$data, summaries = TRUE)
  negative <- positive <- zero <- matrix(-Inf, J, ncol(problem$data$Bhat))
  for (p in which(model$pi > 0)) {
    weights <- matrix(rep(c(0, 1, 0), c(J * (p - 1), J, J * (P - p))), J)
    given <- run_core(
      cpp_posterior_under_weights(problem$data, model, weights, list(joint = joint, n_threads = n_threads)),
      rownames(problem$data$Bhat), component_names(model), names(model$Ulist)
    )
    z <- unname(given$PosteriorMean / given$PosteriorSD)
    nonzero <- unname(given$lfdr) < 0.5
    z[!nonzero] <- NA
    w <- log_weights[, p]
    negative <- log_sum(negative, ifelse(nonzero, w + stats::pnorm(-z, log.p = TRUE), -Inf))
    positive <- log_sum(positive, ifelse(nonzero, w + stats::pnorm(z, log.p = TRUE), -Inf))
    zero <- log_sum(zero, ifelse(nonzero, -Inf, w))
  }
  log_sum(pmin(negative, positive), zero)
}

# log(exp(a) + exp(b))
log_sum <- function(a, b) {
  largest <- pmax(a, b)
  ifelse(largest == -Inf, -Inf, largest + log1p(exp(pmin(a, b) - largest)))
}
