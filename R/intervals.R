# Credible intervals of effects and of combinations of conditions.

#' Credible intervals
#'
#' Intervals that hold each true effect, or a combination of the conditions, with a given
#' probability under the fitted model.
#'
#' @param fit A fit of [mash()] or of [deconvolve()], or a `fitted_g`.
#' @param data A data object made by [mash_set_data()]: that of the fit, or other rows.
#' @param level The probability, between 0 and 1.
#' @param A A matrix with linear combinations of the conditions in rows and one column
#'   for each condition, as in [mash_compute_posterior_matrices()]; the conditions
#'   themselves if `NULL`.
#' @param type `"equal"` (default): as much probability below as above. `"shortest"`: the
#'   shortest interval, which is the highest-density one where the posterior has one
#'   mode; takes some 35 times as long.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return A list of J x R matrices `lower` and `upper`, on the scale of `Bhat`, with the
#'   names of effects and conditions; J x Q for `A` of Q rows.
#' @details The posterior of an effect is a mixture of normals and, where a component has
#'   no effect in the condition, of a point mass at 0. The ends are its quantiles
#'   \eqn{F^{-1}(p) = \min\{x : F(x) \ge p\}}{F^-1(p) = min{x: F(x) >= p}}, found to 13 digits, so that
#'   an end is exactly 0 where the point mass holds it, and an interval may be `[0, 0]`. The mean plus and minus
#'   1.96 standard deviations is another thing: the mixture is neither normal nor
#'   symmetric.
#'
#'   Missing estimates are predicted.
#' @section Errors: `covmash_error_argument` for a bad `level` or `type`; else as
#'   [mash_compute_posterior_matrices()].
#' @references Stephens M (2017). False discovery rates: a new deal. *Biostatistics* 18(2),
#'   275-294. \doi{10.1093/biostatistics/kxw041}
#'
#'   Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [mash_contrast()] for differences of conditions
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' interval <- get_credible_intervals(fit, data, n_threads = 1)
#' # how often it holds the truth
#' mean(interval$lower <= sim$B & sim$B <= interval$upper)
#' # of the difference of two conditions
#' A <- rbind(`condition_2 - condition_1` = c(-1, 1, 0))
#' head(get_credible_intervals(fit, data, level = 0.9, A = A, n_threads = 1)$lower, 3)
get_credible_intervals <- function(fit, data, level = 0.95, A = NULL, type = c("equal", "shortest"),
                                   n_threads = NULL) {
  interval <- interval_settings(level, type)
  posterior_with_intervals(problem_of(fit, data), A, interval, resolve_threads(n_threads))[c("lower", "upper")]
}

interval_settings <- function(level, type, name = "level") {
  check_number(level, name, 0, 1, what = "a number between 0 and 1")
  if (level < 1e-6 || level > 1 - 1e-12) {
    abort_input(
      "`{name}` must be from 1e-6 to 1 - 1e-12, not {format(level)}.", class = "covmash_error_argument"
    )
  }
  list(level = level, shortest = check_choice(type, c("equal", "shortest"), "type") == "shortest")
}

# problem: of problem_of(); interval: of interval_settings(), or NULL for none.
posterior_with_intervals <- function(problem, A, interval, n_threads) {
  joint <- joint_request(problem$data, A, interval = interval)
  posterior_of(
    problem$data, problem$model, problem$model$pi, cpp_defaults("posterior")$pi_thresh, 2, n_threads,
    keep_weights = FALSE, joint = joint
  )$result
}
