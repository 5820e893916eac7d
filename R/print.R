# Short summaries of results. A fit prints in a few lines; summary() says more.

#' @rdname mash_fit-methods
#' @export
format.mash_fit <- function(x, ...) {
  paste0(
    "<mash_fit> ", plural(x$noise$n_effects, "effect"), " x ",
    plural(x$noise$n_conditions, "condition"), ", log-likelihood ",
    format_loglik(x$loglik)
  )
}

#' @rdname mash_fit-methods
#' @export
print.mash_fit <- function(x, ...) {
  cat(
    "<mash_fit> ", plural(x$noise$n_effects, "effect"), " x ",
    plural(x$noise$n_conditions, "condition"), "\n",
    sep = ""
  )
  print_noise(x$noise)
  print_components(x$fitted_g)
  cat("  log-lik.:   ", format_loglik(x$loglik), "\n", sep = "")
  cat("  weights:    ", describe_convergence(x$convergence), "\n", sep = "")
  cat("  time:       ", describe_timing(x$timing), "\n", sep = "")
  print_significant(x)
  invisible(x)
}

format_loglik <- function(x) formatC(x, digits = 2, format = "f")

print_components <- function(g) {
  used <- sum(g$pi > 1e-4)
  cat(
    "  components: ", plural(length(g$pi), "component"), " (",
    plural(length(g$Ulist), "matrix", "matrices"), " x ",
    plural(length(g$grid), "grid point"), if (g$usepointmass) " + null", "), ",
    format_count(used), " with weight above 1e-4\n",
    sep = ""
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
  paste0(
    seconds(timing$total), " (likelihood ", seconds(timing$likelihood),
    ", weights ", seconds(timing$weights), ", posterior ",
    seconds(timing$posterior), ")"
  )
}

print_significant <- function(x) {
  if (is.null(x$result$lfsr)) {
    return(invisible(NULL))
  }
  cat(
    "  lfsr < 0.05: ", plural(sum(get_n_significant_conditions(x) > 0), "effect"),
    " in at least one condition\n",
    sep = ""
  )
}

#' @rdname mash_fit-methods
#' @export
summary.mash_fit <- function(object, ...) {
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

#' @export
print.summary.mash_fit <- function(x, digits = 3, n = 20, ...) {
  fit <- x$fit
  cat(
    "<mash_fit> ", plural(fit$noise$n_effects, "effect"), " x ",
    plural(fit$noise$n_conditions, "condition"), "\n",
    sep = ""
  )
  print_noise(fit$noise)
  print_components(fit$fitted_g)
  cat("  log-lik.:   ", format_loglik(fit$loglik), "\n", sep = "")
  cat("  weights:    ", describe_convergence(fit$convergence), "\n", sep = "")
  if (!is.na(fit$convergence$converged)) {
    cat(
      "              the objective is at most ",
      format(fit$convergence$gap_bound, digits = 2), " below its maximum\n",
      sep = ""
    )
  }
  cat("  alpha:      ", format(fit$alpha), describe_alpha(fit$alpha), "\n", sep = "")
  cat("  time:       ", describe_timing(fit$timing), "\n", sep = "")
  cat(
    "  grid:       ", format(min(fit$fitted_g$grid), digits = digits), " to ",
    format(max(fit$fitted_g$grid), digits = digits), "\n",
    sep = ""
  )
  cat("Weights of the covariance matrices:\n")
  shown <- first_few(x$weights, n)
  print(round(shown, digits))
  print_more(length(x$weights) - length(shown))
  if (!is.null(x$conditions)) {
    cat(
      "Effects with lfsr < 0.05: ", format_count(x$n_significant),
      " in at least one condition; by condition:\n",
      sep = ""
    )
    print(first_rows(x$conditions, n), row.names = FALSE)
    print_more(nrow(x$conditions) - n)
  }
  invisible(x)
}

first_rows <- function(x, n) x[seq_len(min(n, nrow(x))), , drop = FALSE]

print_more <- function(n) {
  if (n > 0) {
    cat("... and ", format_count(n), " more\n", sep = "")
  }
}

#' Look at a condition-by-condition result
#'
#' @param object,x A result of [mash_1by1()].
#' @param ... Not used.
#' @return `print`: `x`, invisibly. `format`: one line of text. `summary`: a list of
#'   class `"summary.mash_1by1"` with the number of significant effects by
#'   condition and the convergence of each prior.
#' @name mash_1by1-methods
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 1)
#' m <- mash_1by1(mash_set_data(sim$Bhat, sim$Shat), n_threads = 1)
#' m
#' summary(m)
NULL

#' @rdname mash_1by1-methods
#' @export
format.mash_1by1 <- function(x, ...) {
  paste0(
    "<mash_1by1> ", plural(nrow(get_lfsr(x)), "effect"), " x ",
    plural(ncol(get_lfsr(x)), "condition")
  )
}

#' @rdname mash_1by1-methods
#' @export
print.mash_1by1 <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  cat("  prior:      ", describe_prior(x$prior), "\n", sep = "")
  if (!is.na(x$loglik)) {
    cat("  log-lik.:   ", format_loglik(x$loglik), "\n", sep = "")
  }
  if (length(x$missing) > 0L) {
    cat("  missing:    ", plural(length(x$missing), "estimate"), "\n", sep = "")
  }
  if (!is.null(x$convergence)) {
    bad <- sum(!x$convergence$converged, na.rm = TRUE)
    cat(
      "  weights:    ",
      if (bad == 0) {
        "converged in every condition"
      } else {
        paste0("NOT converged in ", plural(bad, "condition"))
      },
      ", largest KKT violation ",
      format(max_or_na(x$convergence$kkt_violation), digits = 2), "\n",
      sep = ""
    )
  }
  print_significant(x)
  invisible(x)
}

max_or_na <- function(x) {
  x <- x[!is.na(x)]
  if (length(x) == 0L) NA_real_ else max(x)
}

describe_prior <- function(prior) {
  if (is.numeric(prior)) {
    return("ash, normal mixture, penalty given")
  }
  switch(prior,
    flat = "flat (no shrinkage)",
    uniform = "ash, normal mixture, uniform penalty",
    "ash, normal mixture, penalty in favour of zero"
  )
}

#' @rdname mash_1by1-methods
#' @export
summary.mash_1by1 <- function(object, ...) {
  observed <- significance(object, 0.05, NULL, get_lfsr, FALSE)
  conditions <- data.frame(
    condition = condition_labels(observed),
    observed = colSums(!is.na(observed)),
    significant = colSums(observed < 0.05, na.rm = TRUE),
    row.names = NULL
  )
  if (!is.null(object$convergence)) {
    conditions$iterations <- object$convergence$iterations
    conditions$converged <- object$convergence$converged
  }
  structure(
    list(
      title = format(object), prior = object$prior, loglik = object$loglik,
      conditions = conditions,
      n_significant = sum(get_n_significant_conditions(object) > 0)
    ),
    class = "summary.mash_1by1"
  )
}

#' @export
print.summary.mash_1by1 <- function(x, n = 20, ...) {
  cat(x$title, "\n", sep = "")
  cat("  prior:      ", describe_prior(x$prior), "\n", sep = "")
  if (!is.na(x$loglik)) {
    cat("  log-lik.:   ", format_loglik(x$loglik), "\n", sep = "")
  }
  cat(
    "Effects with lfsr < 0.05: ", format_count(x$n_significant),
    " in at least one condition; by condition:\n",
    sep = ""
  )
  print(first_rows(x$conditions, n), row.names = FALSE)
  print_more(nrow(x$conditions) - n)
  invisible(x)
}
