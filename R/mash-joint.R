# Statements about several conditions of an effect at once.

#' Joint statements about an effect
#'
#' The probability, from the joint posterior, that an effect is nonzero (or of one sign) in all,
#' or any, of some conditions and zero in all of others; in how many conditions it is
#' nonzero; and in which it is largest. Products of 1 - lfsr by condition are not this: the conditions of an effect are far
#' from independent given the data.
#'
#' @param fit A fit of [mash()] or of [deconvolve()], a `fitted_g`, or a prior of
#'   [fit_mash_prior()].
#' @param data A data object made by [mash_set_data()]: that of the fit, or other rows.
#' @param include Conditions the effect is to be nonzero in: names or numbers; all if `NULL`,
#'   but those of `exclude`.
#' @param exclude Conditions in which it is to be exactly zero.
#' @param test `"all"` (default): nonzero in all of `include`; `"any"`: in at least one.
#' @param what `"nonzero"` (default), or `"sign"`: moreover of one sign in all of `include` in
#'   which it is nonzero.
#' @param tolerance Largest error of a probability that is aimed at.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return `mash_joint()`: a data frame with one row for each effect: `effect` (its name or
#'   number) and `probability`; with `what = "sign"` also `positive` and `negative`, whose sum
#'   it is, and `error`: four standard errors of the numerical integration and a bound of what it
#'   neglects, 0 where the value is exact.
#'
#'   `mash_active()`: a list of `mean`, the expected number of conditions in which each effect
#'   is nonzero, and `distribution`, a J x (R + 1) matrix of the probabilities of 0, ..., R.
#'
#'   `mash_largest()`: a list of `probability`, a J x R matrix (or one column for each of `include`)
#'   of the probabilities that the effect is largest in size in each condition; `none`, that all
#'   are zero; and `error` by effect, four standard errors. Conditions of exactly equal effects share
#'   theirs. `NaN` where effects that were not observed have no scale to be compared on (`alpha`
#'   above 0). Rows of `probability` and `none` sum to 1 but for what `error` counts.
#' @details "Zero" is what the prior says exactly: the point mass, and conditions whose variance is
#'   0 in a covariance. With matrices of full rank an effect is nonzero everywhere or nowhere;
#'   `what = "sign"` is then the statement that the data speak about.
#'
#'   Given a component the conditions are normal with mean \eqn{\mu} and covariance \eqn{\Lambda}, and that
#'   all are positive is an orthant probability: exact where \eqn{\Lambda} has rank one, for
#'   one or two conditions, and for groups of such that are independent of one another; elsewhere
#'   by separation of variables on randomly shifted lattices (Genz 1992), the same for every effect, so
#'   that results are reproducible. Points are added where they make the error of the sum smaller.
#'
#'   Signs in 44 conditions under matrices of full rank take 0.1 ms an effect where the answer
#'   is near 0, and 1 to 2 ms where it is not; ten times as long for a `tolerance` of 0.001. The
#'   other statements take less than 0.1 ms. With standard errors of its own an effect takes 1 to 2 ms
#'   for any of them: its posterior under each component is decomposed anew.
#'
#'   Which condition is largest comes of `4 / tolerance^2` points of each effect, shared out among the
#'   components by their weights, and the same for every effect; exact for components of rank one.
#' @section Errors: `covmash_error_index` for unknown conditions or such in both
#'   `include` and `exclude`; else as [mash_compute_posterior_matrices()].
#' @references Genz A (1992). Numerical computation of multivariate normal probabilities. *Journal
#'   of Computational and Graphical Statistics* 1, 141-149. \doi{10.1080/10618600.1992.10477010}
#'
#'   Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' # in the first condition only
#' head(mash_joint(fit, data, include = 1, exclude = 2:3, n_threads = 1))
#' # of one sign in all
#' tail(mash_joint(fit, data, what = "sign", n_threads = 1))
#' head(mash_active(fit, data, n_threads = 1)$mean)
#' tail(mash_largest(fit, data, n_threads = 1)$probability)
mash_joint <- function(fit, data, include = NULL, exclude = NULL, test = c("all", "any"),
                       what = c("nonzero", "sign"), tolerance = 0.005, n_threads = NULL) {
  problem <- problem_of(fit, data)
  labels <- outcome_labels(problem$data)
  check_number(tolerance, "tolerance", 1e-5, 0.1, what = "a number from 1e-5 to 0.1")
  exclude <- chosen_conditions(exclude, labels, "exclude", integer())
  include <- chosen_conditions(include, labels, "include", setdiff(seq_along(labels), exclude))
  both <- intersect(include, exclude)
  if (length(both) > 0L || length(include) == 0L) {
    abort_input(
      if (length(both) > 0L) {
        "Condition '{labels[both[1]]}' is in both `include` and `exclude`."
      } else {
        "`include` must name at least one condition."
      },
      class = "covmash_error_index"
    )
  }
  statement <- list(
    include = include, exclude = exclude, any = check_choice(test, c("all", "any"), "test") == "any",
    sign = check_choice(what, c("nonzero", "sign"), "what") == "sign", tolerance = tolerance
  )
  answer <- joint_answer(problem, resolve_threads(n_threads), statement = statement)
  data.frame(
    effect = row_labels(problem$data$Bhat),
    lapply(answer[intersect(c("probability", "positive", "negative", "error"), names(answer))], as.vector),
    row.names = NULL
  )
}

#' @rdname mash_joint
#' @export
mash_active <- function(fit, data, n_threads = NULL) {
  problem <- problem_of(fit, data)
  distribution <- joint_answer(problem, resolve_threads(n_threads), active = TRUE)$active
  colnames(distribution) <- seq_len(ncol(distribution)) - 1L
  list(mean = drop(distribution %*% (seq_len(ncol(distribution)) - 1)), distribution = distribution)
}

#' @rdname mash_joint
#' @export
mash_largest <- function(fit, data, include = NULL, tolerance = 0.05, n_threads = NULL) {
  problem <- problem_of(fit, data)
  check_number(tolerance, "tolerance", 0.005, 0.5, what = "a number from 0.005 to 0.5")
  labels <- outcome_labels(problem$data)
  include <- chosen_conditions(include, labels, "include", seq_along(labels))
  if (length(include) == 0L) {
    abort_input("`include` must name at least one condition.", class = "covmash_error_index")
  }
  largest <- list(include = include, points = ceiling(4 / tolerance^2))
  answer <- joint_answer(problem, resolve_threads(n_threads), largest = largest)
  list(probability = answer$largest, none = drop(answer$none), error = drop(answer$error))
}

# Numbers of conditions, each once.
chosen_conditions <- function(x, labels, name, otherwise) {
  if (is.null(x)) otherwise else unique(resolve_index(x, length(labels), labels, name, "condition"))
}

# Of the joint posterior alone.
joint_answer <- function(problem, n_threads, ...) {
  joint <- joint_request(problem$data, ...)
  posterior_of(
    problem$data, problem$model, problem$model$pi, cpp_defaults("posterior")$pi_thresh, 1, n_threads,
    keep_weights = FALSE, joint = joint,
    answers = c("probability", "positive", "negative", "error", "active", "sharing", "largest", "none")
  )$result
}
