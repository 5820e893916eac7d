# The fit of mash(): the class and its methods. It prints in a few lines; summary() says more.

# A fit keeps the responsibilities only up to this many numbers.
max_kept_weights <- 1e7

# combined: whether its results are of combinations of the conditions.
new_mash_fit <- function(data, model, weights, posterior, objective, timing, combined = FALSE) {
  components <- component_names(model)
  missing <- if (anyNA(data$Bhat) && !combined) which(is.na(data$Bhat))
  structure(
    list(
      result = posterior$result,
      loglik = posterior$loglik,
      vloglik = posterior$vloglik,
      null_loglik = posterior$null_loglik,
      alt_loglik = posterior$alt_loglik,
      fitted_g = list(
        pi = stats::setNames(weights$pi, components),
        Ulist = with_condition_names(model$Ulist, colnames(data$Bhat)),
        grid = model$grid, usepointmass = model$usepointmass
      ),
      posterior_weights = posterior$posterior_weights,
      alpha = data$alpha,
      convergence = list(
        objective = objective, kkt_violation = weights$kkt_violation,
        gap_bound = weights$gap_bound, iterations = weights$iterations,
        converged = weights$converged
      ),
      timing = timing,
      missing = missing,
      noise = noise_summary(data, posterior$noise),
      dim = dim(data$Bhat),
      dimnames = dimnames(data$Bhat)
    ),
    class = c("mash_fit", "mash")
  )
}

# ---- methods -----------------------------------------------------------------

#' Methods for fits
#'
#' @param object,x,target A fit of [mash()].
#' @param current Another fit.
#' @param newdata A data object made by [mash_set_data()]; if left out, the
#'   results of the fit itself are returned.
#' @param ... For `predict`: further arguments of
#'   [mash_compute_posterior_matrices()]. Otherwise not used.
#' @return `predict`: a list of J x R matrices as
#'   [mash_compute_posterior_matrices()] returns it. `logLik`: the log-likelihood,
#'   with the number of positive weights less one as `df`. `nobs`: the number of
#'   effects with at least one observed estimate. `format`: one line of text.
#'   `print`: `x`, invisibly. `summary`: a list of class `"summary.mash_fit"`; `print(summary(x), n = Inf)` shows
#'   all rows of its tables, of which there are 20 otherwise. `all.equal`:
#'   `TRUE`, or what differs, as [all.equal()]; it looks at prior, likelihoods and results, not
#'   at how they were computed (`timing`, `noise`, `source` and the iterations of `convergence`).
#' @name mash_fit-methods
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' logLik(fit)
#' nobs(fit)
#' str(predict(fit, data[1:3, ], n_threads = 1))
#' summary(fit)
NULL

#' @rdname mash_fit-methods
#' @export
predict.mash_fit <- function(object, newdata, ...) {
  if (missing(newdata) || is.null(newdata)) {
    return(object$result)
  }
  mash_compute_posterior_matrices(object, newdata, ...)
}

#' @rdname mash_fit-methods
#' @export
all.equal.mash_fit <- function(target, current, ...) {
  what_counts <- function(fit, name) {
    if (!inherits(fit, "mash_fit")) {
      return(fit)
    }
    check_fit(fit, name)
    fit[c("timing", "noise", "source")] <- NULL
    fit$convergence <- fit$convergence["objective"]
    unclass(fit)
  }
  all.equal(what_counts(target, "target"), what_counts(current, "current"), ...)
}

#' @rdname mash_fit-methods
#' @export
logLik.mash_fit <- function(object, ...) {
  check_telling_fit(object, "object")
  structure(
    object$loglik,
    df = sum(object$fitted_g$pi > 0) - 1L, nobs = nobs(object), class = "logLik"
  )
}

#' @rdname mash_fit-methods
#' @export
nobs.mash_fit <- function(object, ...) {
  check_telling_fit(object, "object")
  as_index(object$noise$n_effects - object$noise$n_all_missing)
}

#' @rdname mash_fit-methods
#' @export
format.mash_fit <- function(x, ...) {
  check_telling_fit(x, "x")
  paste0(
    "<mash_fit> ", plural(x$noise$n_effects, "effect"), " x ",
    plural(x$noise$n_conditions, "condition"), ", log-likelihood ",
    format_loglik(x$loglik)
  )
}

#' @rdname mash_fit-methods
#' @export
print.mash_fit <- function(x, ...) {
  check_telling_fit(x, "x")
  cat(
    "<mash_fit> ", plural(x$noise$n_effects, "effect"), " x ",
    plural(x$noise$n_conditions, "condition"), "\n",
    sep = ""
  )
  print_noise(x$noise)
  print_components(x$fitted_g)
  status_line("log-lik.:", format_loglik(x$loglik))
  status_line("weights:", describe_convergence(x$convergence))
  status_line("time:", describe_timing(x$timing))
  print_significant(x)
  invisible(x)
}

format_loglik <- function(x) formatC(x, digits = 2, format = "f")

print_components <- function(g) {
  used <- sum(g$pi > 1e-4)
  status_line(
    "components:", plural(length(g$pi), "component"), " (",
    plural(length(g$Ulist), "matrix", "matrices"), " x ",
    plural(length(g$grid), "grid point"), if (g$usepointmass) " + null", "), ",
    format_count(used), " with weight above 1e-4"
  )
}

describe_convergence <- function(convergence) {
  if (is.na(convergence$converged)) {
    return("kept fixed")
  }
  paste0(
    if (convergence$converged) "converged in " else "NOT converged in ",
    plural(convergence$iterations, "iteration"),
    ", largest KKT violation ", format(convergence$kkt_violation, digits = 2),
    ", objective ", format_loglik(convergence$objective)
  )
}

describe_timing <- function(timing) {
  parts <- unlist(timing[c("likelihood", "weights", "posterior")])
  # What there was none of, or was not measured.
  parts <- parts[!is.na(parts)]
  times <- vapply(parts, seconds, "")
  paste0(seconds(timing$total), if (length(parts) > 0L) paste0(" (", paste(names(parts), times, collapse = ", "), ")"))
}

print_significant <- function(x) {
  if (is.null(x$result$lfsr)) {
    return(invisible(NULL))
  }
  status_line(
    "lfsr < 0.05:", plural(sum(get_n_significant_conditions(x) > 0), "effect"), " in at least one condition",
    indent = 15L
  )
}

#' @rdname mash_fit-methods
#' @export
summary.mash_fit <- function(object, ...) {
  check_fit(object, "object")
  weights <- get_estimated_pi(object)
  conditions <- NULL
  if (!is.null(object$result$lfsr)) {
    observed <- significance(object, 0.05, NULL, get_lfsr, FALSE)
    conditions <- data.frame(
      condition = condition_labels(object$result$lfsr),
      observed = colSums(!is.na(observed)),
      significant = colSums(observed < 0.05, na.rm = TRUE),
      row.names = NULL
    )
  }
  structure(
    list(
      fit = object[setdiff(
        names(object), c("result", "posterior_weights", "missing", "vloglik")
      )],
      weights = sort(weights[weights > 0], decreasing = TRUE),
      conditions = conditions,
      n_significant = if (!is.null(conditions)) {
        sum(get_n_significant_conditions(object) > 0)
      }
    ),
    class = "summary.mash_fit"
  )
}

# What shows all rows of a summary.
all_of_summary <- "print(summary(x), n = Inf)"

weights_by_covariance <- function(weights, digits) {
  data.frame(covariance = names(weights), weight = round(unname(weights), digits))
}

# Of the summary of a fit or of mash_1by1(): a count for each condition.
print_conditions <- function(x, n) {
  text_lines(
    "Effects with lfsr < 0.05: ", format_count(x$n_significant), " in at least one condition; by condition:"
  )
  print_table(x$conditions, n, how = all_of_summary)
}

#' @export
print.summary.mash_fit <- function(x, digits = 3, n = 20, ...) {
  check_printing(digits, n)
  fit <- x$fit
  cat(
    "<mash_fit> ", plural(fit$noise$n_effects, "effect"), " x ",
    plural(fit$noise$n_conditions, "condition"), "\n",
    sep = ""
  )
  print_noise(fit$noise)
  print_components(fit$fitted_g)
  status_line("log-lik.:", format_loglik(fit$loglik))
  status_line("weights:", describe_convergence(fit$convergence))
  if (!is.na(fit$convergence$converged)) {
    status_line("", "the objective is at most ", format(fit$convergence$gap_bound, digits = 2), " below its maximum")
  }
  status_line("alpha:", format(fit$alpha), describe_alpha(fit$alpha))
  status_line("time:", describe_timing(fit$timing))
  status_line(
    "grid:", format(min(fit$fitted_g$grid), digits = digits), " to ", format(max(fit$fitted_g$grid), digits = digits)
  )
  cat("Weights of the covariance matrices:\n")
  print_table(weights_by_covariance(x$weights, digits), n, digits, all_of_summary)
  if (!is.null(x$conditions)) print_conditions(x, n)
  invisible(x)
}
