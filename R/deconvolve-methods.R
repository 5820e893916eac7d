# Looking at a deconvolution, and predicting from it.

#' Look at a deconvolution, and predict from it
#'
#' @param x,object A fit of [deconvolve()].
#' @param newdata A data object made by [mash_set_data()], with the conditions of the
#'   data that were learned from.
#' @param digits,n Numbers of significant digits and of components shown (`Inf`: all).
#' @param ... For `predict()`, arguments of [mash_compute_posterior_matrices()]. Else not
#'   used.
#' @return `print()`: `x`, invisibly. `format()`: one line of text. `summary()`: a list of
#'   class `"summary.deconvolution"` with `fit` (the fit without its matrices and trace) and
#'   `components`, a data frame: of each covariance \eqn{U} its weight, `max_sd` (largest
#'   standard deviation of an effect, on the scale of the data), `effective_rank`,
#'   \eqn{(\mathrm{tr}\, U)^2 / \mathrm{tr}\, U^2}{(tr U)^2 / tr U^2} (1 for a matrix of
#'   rank one, R for the identity), `leading`, the share of the variance in its leading
#'   eigenvector, and `conditions`, the three that weigh most in it. `logLik()`: the
#'   log-likelihood of the data that were learned from, or of `newdata`, an object of class
#'   `"logLik"`. `nobs()`: the number of effects learned from. `predict()`: posterior
#'   matrices of the effects in `newdata` as of [mash_compute_posterior_matrices()], which
#'   takes the fit itself too. `tidy()`: the components, a data frame. `glance()`: a data
#'   frame of one row.
#' @section Errors: `covmash_error_argument` for what is no whole fit; for `newdata`, those of
#'   [mash_compute_posterior_matrices()].
#' @name deconvolution-methods
#' @aliases print.deconvolution
#' @seealso [deconvolve()]; [get_Ulist()] for the covariances, [get_posterior_weights()] for
#'   the probability of each component for each effect
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 60, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- deconvolve(data, 1:120, n_full = 3, n_threads = 1)
#' fit
#' summary(fit)
#' logLik(fit)
#' # which component each effect comes from
#' head(get_posterior_weights(fit, data, n_threads = 1), 3)
#' # how well it describes effects that it has not seen
#' logLik(fit, data[121:240, ])
#' str(predict(fit, data[121:240, ]))
NULL

check_deconvolution <- function(x, name = "object") {
  if (!inherits(x, "deconvolution") || !is.list(x)) {
    abort_input(
      "`{name}` must be a fit of deconvolve(), not {describe(x)}.", class = "covmash_error_argument"
    )
  }
  check_deconvolution_status(x, name)
  if (!is.data.frame(x$components) || !all(c("name", "kind", "weight", "effects", "rank") %in% names(x$components))) {
    damaged_deconvolution(name, "its `components` must be the data frame that deconvolve() makes")
  }
  if (!all(x$components$kind %in% c("full", "rank1", "factor", "scaled", "fixed"))) {
    damaged_deconvolution(name, "its `components` have a kind that is not known")
  }
  if (!is.list(x$fitted_g) || !is.numeric(x$fitted_g$pi)) {
    damaged_deconvolution(name, "its `fitted_g` is gone")
  }
  x
}

# What a fit tells about itself, and its summary too.
check_deconvolution_status <- function(x, name) {
  numbers <- c("loglik", "penalty", "lambda", "evaluations", "n_effects", "n_conditions", "best_start")
  fine <- vapply(x[numbers], function(part) is_plain(part) && checkmate::test_number(part), NA)
  if (length(fine) < length(numbers) || !all(fine)) {
    damaged_deconvolution(name, "its `{numbers[which(!fine)[1]]}` must be a number")
  }
  if (!checkmate::test_flag(x$converged)) {
    damaged_deconvolution(name, "its `converged` must be TRUE or FALSE")
  }
  if (!checkmate::test_choice(x$penalty_kind, c("iw", "nuclear", "none"))) {
    damaged_deconvolution(name, "its `penalty_kind` is not one that deconvolve() knows")
  }
}

damaged_deconvolution <- function(name, ..., env = parent.frame()) {
  what <- interpolate(..., env = env)
  abort_input("`{name}` is damaged: {what}; make it again with deconvolve().", class = "covmash_error_argument")
}

#' @rdname deconvolution-methods
#' @export
format.deconvolution <- function(x, ...) {
  check_deconvolution(x, "x")
  paste0(
    "<deconvolution> ", plural(length(x$Ulist), "covariance"), " of ", plural(x$n_conditions, "condition"), " from ",
    plural(x$n_effects, "effect")
  )
}

#' @rdname deconvolution-methods
#' @export
print.deconvolution <- function(x, digits = 3, n = 20, ...) {
  text_lines(format(x))
  check_printing(digits, n)
  describe_deconvolution(x)
  shown <- x$components[!vapply(x$components, function(column) all(is.na(column)), logical(1))]
  print_table(shown, n, digits)
  invisible(x)
}

# Penalty, likelihood and how the fit went, in lines.
describe_deconvolution <- function(x) {
  penalties <- c(iw = "inverse Wishart", nuclear = "nuclear norm")
  status_line(
    "penalty:", if (x$lambda > 0) paste0(penalties[[x$penalty_kind]], ", lambda = ", format(x$lambda)) else "none"
  )
  status_line("log-lik.:", format_loglik(x$loglik))
  status_line(
    "fit:", if (isTRUE(x$converged)) "converged" else "NOT converged", " after ",
    plural(x$evaluations, "pass", "passes"), " over the data",
    if (length(x$starts) > 1L) paste0(", start ", x$best_start, " of ", length(x$starts))
  )
  if (length(x$left_out) > 0L) {
    status_line("left out:", paste(x$left_out, collapse = ", "), " (no effect)")
  }
}

#' @rdname deconvolution-methods
#' @export
summary.deconvolution <- function(object, ...) {
  check_deconvolution(object)
  Ulist <- get_Ulist(object)
  structure(
    list(
      fit = object[setdiff(names(object), c("Ulist", "fitted_g", "objective"))],
      components = data.frame(
        object$components[c("name", "kind", "weight", "effects")], do.call(rbind, lapply(Ulist, shape_of)),
        row.names = NULL
      )
    ),
    class = "summary.deconvolution"
  )
}

# The size of a covariance, how many directions it has, and where the first of them points.
shape_of <- function(U) {
  U <- as.matrix(U)
  total <- sum(diag(U))
  first <- eigen(U, symmetric = TRUE)
  top <- utils::head(order(-abs(first$vectors[, 1L])), 3L)
  data.frame(
    max_sd = sqrt(max(diag(U))),
    effective_rank = if (total > 0) 1 / sum((U / total)^2) else 0,
    leading = if (total > 0) first$values[1L] / total else 0,
    conditions = if (total > 0) paste(condition_labels(U)[top], collapse = ", ") else ""
  )
}

#' @rdname deconvolution-methods
#' @export
print.summary.deconvolution <- function(x, digits = 3, n = 20, ...) {
  check_printing(digits, n)
  if (!is.list(x) || !is.data.frame(x$components) || !is.list(x$fit) || is.data.frame(x$fit)) {
    damaged_deconvolution("x", "it is no summary of a fit")
  }
  fit <- x$fit
  check_deconvolution_status(fit, "x")
  cat(
    "<deconvolution> ", plural(fit$n_effects, "effect"), " x ", plural(fit$n_conditions, "condition"), "\n", sep = ""
  )
  describe_deconvolution(fit)
  print_table(x$components, n, digits, all_of_summary)
  invisible(x)
}

#' @rdname deconvolution-methods
#' @export
logLik.deconvolution <- function(object, newdata = NULL, ...) {
  check_deconvolution(object)
  value <- if (is.null(newdata)) object$loglik else mash_compute_loglik(object, newdata)
  n <- if (is.null(newdata)) object$n_effects else n_effects(newdata)
  structure(value, df = free_parameters(object), nobs = n, class = "logLik")
}

free_parameters <- function(fit) {
  parameters_of(fit$components$kind, fit$components$rank, fit$n_conditions, sum(fit$fitted_g$pi > 0))
}

# Free numbers in covariances of these kinds and in so many weights.
parameters_of <- function(kind, rank, R, n_weights) {
  own <- unname(c(full = R * (R + 1) / 2, rank1 = R, low_rank = R, factor = NA, scaled = 1, fixed = 0)[kind])
  factor <- kind == "factor"
  own[factor] <- R * (rank[factor] + 1) - rank[factor] * (rank[factor] - 1) / 2
  sum(own) + n_weights - 1
}

#' @rdname deconvolution-methods
#' @export
nobs.deconvolution <- function(object, ...) check_deconvolution(object)$n_effects

#' @rdname deconvolution-methods
#' @export
predict.deconvolution <- function(object, newdata, ...) {
  check_deconvolution(object)
  refuse_missing(missing(newdata), "newdata", "a data object made by mash_set_data()", "covmash_error_data")
  mash_compute_posterior_matrices(object, newdata, ...)
}

#' @rdname deconvolution-methods
#' @export
tidy.deconvolution <- function(x, ...) check_deconvolution(x, "x")$components

#' @rdname deconvolution-methods
#' @export
glance.deconvolution <- function(x, ...) {
  check_deconvolution(x, "x")
  data.frame(
    components = length(x$Ulist), logLik = x$loglik, penalty = x$penalty, lambda = x$lambda,
    evaluations = x$evaluations, converged = x$converged, df = free_parameters(x), nobs = x$n_effects
  )
}
