#' Analyse each condition on its own
#'
#' Adaptive shrinkage (ash) of one condition after the other, with a mixture of
#' zero-mean normals as prior, or the plain posterior under a flat prior. Used
#' to find strong rows before covariance matrices are learned, and as the
#' analysis that [mash()] improves on.
#'
#' @param data A data object made by [mash_set_data()], or any list with
#'   matrices `Bhat` and `Shat`.
#' @param alpha The prior is on `Bhat / Shat^alpha` of the data given: 0 (default)
#'   or, for z-scores, 1.
#' @param ... Arguments of ash that keep their meaning here: `gridmult` (`sqrt(2)`),
#'   `mixsd` (standard deviations of the prior's components, chosen from the
#'   data if not given), `nullweight` (10), `pointmass` (`TRUE`), `pi_thresh`
#'   (1e-10). Anything else is ignored with a warning of class
#'   `covmash_warning_ignored`.
#' @param prior `"ash"` (default, the same as `"nullbiased"`), `"nullbiased"`
#'   (`nullweight` pseudo-observations favour zero), `"uniform"`, a numeric vector
#'   with one value of at least 1 for each component (needs `mixsd`), or `"flat"`: no
#'   shrinkage at all.
#' @param n_threads Number of threads, see [covmash_threads].
#'
#' @return A list of class `"mash_1by1"` with
#'   * `result`: J x R matrices `PosteriorMean`, `PosteriorSD`, `lfsr`, `lfdr` and
#'     `NegativeProb`, with the dimnames of `Bhat`;
#'   * `loglik`: the log-likelihood of `Bhat`, summed over conditions;
#'   * `prior`: the prior used; `missing`: the positions of missing estimates, or
#'     `NULL`; `dim`, `dimnames`: those of `Bhat`; `convergence`: a data frame with one row for each condition
#'     (`NULL` under the flat prior); `fitted_g`: a list with the fitted prior of each condition, as
#'     [get_fitted_g()] describes it (`NULL` under the flat prior); `alpha`.
#'
#'   Means and standard deviations are on the scale of the `Bhat` given to
#'   [mash_set_data()]. The accessors [get_pm()], [get_lfsr()], ... and
#'   [get_significant_results()] work on it.
#'
#' @details In condition \eqn{r}, \eqn{\hat b_j \sim N(b_j, s_j^2)}{bhat_j ~ N(b_j, s_j^2)} and
#'   \eqn{b_j \sim \pi_0 \delta_0 + \sum_l \pi_l N(0, \omega_l^2)}{b_j ~ pi_0 delta_0 + sum_l pi_l
#'   N(0, omega_l^2)}; the weights
#'   maximise \eqn{\log L(\pi) + (nullweight - 1) \log \pi_0}{log L(pi) + (nullweight - 1) log
#'   pi_0} (Stephens 2017). Where the
#'   `V` of the data is a covariance matrix, \eqn{s_j^2} is \eqn{Shat_j^2 V_{rr}}.
#'   Under `"flat"` the posterior is \eqn{N(\hat b_j, s_j^2)}{N(bhat_j, s_j^2)}, so that
#'   `lfsr = pnorm(-|z|)`, `NegativeProb = pnorm(-z)` and `lfdr = 0`.
#'
#'   A missing estimate gets the prior of its condition. On data with `alpha`
#'   other than 0 its mean and standard deviation are `NA` unless its standard
#'   error is known. Under `"flat"` it gets mean `NA`, standard deviation `Inf`
#'   and sign probabilities 0.5. A condition in which nothing is observed gets
#'   `NA` throughout, with a warning of class `covmash_warning_all_missing`.
#'
#' @section Differences from mashr:
#'   * Results are on the scale of the original effects also when the data
#'     object has its own `alpha`; mashr returns them on the scale of `data$Bhat`.
#'   * `lfdr` and `NegativeProb` are returned too, and `prior = "flat"` is new.
#'   * With `pointmass = FALSE`, `"nullbiased"` penalises nothing.
#'   * Missing estimates are missing; mashr's data object holds 0 with standard
#'     error 1e6.
#'
#' @references Stephens M (2017). False discovery rates: a new deal.
#'   *Biostatistics* 18(2), 275-294. \doi{10.1093/biostatistics/kxw041}
#' @concept empirical Bayes
#' @concept univariate adaptive shrinkage
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' m <- mash_1by1(data, n_threads = 1)
#' m
#' length(get_significant_results(m))
#' # without shrinkage many more rows look strong
#' length(get_significant_results(mash_1by1(data, prior = "flat")))
mash_1by1 <- function(data, alpha = 0, ..., prior = "ash", n_threads = NULL) {
  check_number(alpha, "alpha", what = "one finite number")
  data <- with_common_V(rescale_by_alpha(onebyone_data(data), alpha))
  settings <- onebyone_settings(list(...), prior)
  n_threads <- resolve_threads(n_threads)
  labels <- condition_labels(data$Bhat)
  ones <- if (data$alpha == 0) array(1, c(nrow(data$Bhat), 1L))
  # Filled condition by condition: all conditions in a list and then bound would be there twice.
  result <- sapply(onebyone_parts, function(part) {
    array(NA_real_, dim(data$Bhat), dimnames(data$Bhat))
  }, simplify = FALSE)
  fits <- vector("list", ncol(data$Bhat))
  begin_steps("Condition", length(fits))
  for (r in seq_along(fits)) {
    next_step(labels[r])
    condition <- one_condition(data, r, ones)
    fit <- if (identical(settings$prior, "flat")) {
      list(result = flat_posterior(condition), loglik = NA_real_)
    } else {
      ash_one_condition(condition, settings, n_threads, labels[r], rownames(data$Bhat))
    }
    for (part in onebyone_parts) result[[part]][, r] <- fit$result[[part]]
    fits[[r]] <- fit[c("loglik", "convergence", "fitted_g")]
  }
  new_mash_1by1(result, fits, data, settings$prior, alpha)
}

# Data objects carry checked matrices; other lists are checked as mash_set_data()
# would, because ash itself takes any list with these two elements.
onebyone_data <- function(data) {
  refuse_missing(missing(data), "data", "a data object made by mash_set_data()", "covmash_error_data")
  if (inherits(data, c("mash", "mash_source"))) {
    return(take_data(data))
  }
  if (!is.list(data) || is.null(data$Bhat) || is.null(data$Shat)) {
    abort_input(
      "`data` must be made by mash_set_data() or be a list with `Bhat` and `Shat`, not {describe(data)}.",
      class = "covmash_error_data"
    )
  }
  mash_set_data(data$Bhat, data$Shat)
}

# alpha of the function on top of alpha of the data: divided by Shat_alpha twice.
rescale_by_alpha <- function(data, alpha) {
  if (alpha == 0) {
    return(data)
  }
  divisor <- data$Shat^alpha
  data$Bhat <- data$Bhat / divisor
  data$Shat <- data$Shat^(1 - alpha)
  data$Shat_alpha <- data$Shat_alpha * divisor
  data$alpha <- data$alpha + alpha - data$alpha * alpha
  check_entries(data, "data")
  data
}

# Errors that correlate differently in each effect: a condition alone needs their variances, which go into Shat.
with_common_V <- function(data) {
  if (is.matrix(data$V)) {
    return(data)
  }
  if (!is.null(data$V)) {
    for (r in seq_len(ncol(data$Shat))) data$Shat[, r] <- data$Shat[, r] * sqrt(data$V[r, r, ])
  }
  data[c("L", "Shat_orig", "V_orig")] <- NULL
  data$V <- diag(ncol(data$Bhat))
  data$commonV <- TRUE
  data
}

# The data of a condition, without the names of the effects. ones: Shat_alpha where alpha is 0, the same in all.
one_condition <- function(data, r, ones) {
  labels <- if (!is.null(colnames(data$Bhat))) list(NULL, colnames(data$Bhat)[r])
  n <- nrow(data$Bhat)
  # By position, so that no names come along.
  at <- seq.int((r - 1) * n + 1, r * n)
  column <- function(x) {
    x <- x[at]
    dim(x) <- c(n, 1L)
    dimnames(x) <- labels
    x
  }
  structure(
    list(
      Bhat = column(data$Bhat), Shat = column(data$Shat),
      Shat_alpha = if (data$alpha == 0) ones else column(data$Shat_alpha),
      V = data$V[r, r, drop = FALSE], commonV = TRUE, alpha = data$alpha
    ),
    class = class(data)
  )
}

onebyone_settings <- function(dots, prior) {
  if (identical(dots$mixcompdist, "normal")) {
    dots$mixcompdist <- NULL
  }
  dots <- take_dots(
    dots, c("gridmult", "mixsd", "nullweight", "pointmass", "pi_thresh"),
    "mash_1by1()"
  )
  settings <- list(
    gridmult = sqrt(2), mixsd = NULL, nullweight = 10, pointmass = TRUE,
    pi_thresh = cpp_defaults("posterior")$pi_thresh
  )
  settings[names(dots)] <- dots
  check_gridmult(settings$gridmult)
  check_flag(settings$pointmass, "pointmass")
  check_number(
    settings$nullweight, "nullweight", 1, what = "a number of at least 1"
  )
  check_number(
    settings$pi_thresh, "pi_thresh", 0, 1, what = "a number from 0 to 1"
  )
  if (!is.null(settings$mixsd)) {
    settings$mixsd <- check_grid(settings$mixsd, "mixsd")
    # A component of standard deviation 0 is the point mass.
    settings$pointmass <- settings$pointmass || any(settings$mixsd == 0)
    settings$mixsd <- settings$mixsd[settings$mixsd > 0]
  }
  if (is.character(prior)) {
    prior <- check_choice(prior, c("ash", "flat", "nullbiased", "uniform"), "prior")
  } else if (!is.numeric(prior)) {
    abort_input(
      "`prior` must be 'ash', 'flat', 'nullbiased', 'uniform' or a numeric vector, not {describe(prior)}.",
      class = "covmash_error_prior"
    )
  }
  settings$prior <- prior
  settings
}

onebyone_parts <- c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr", "NegativeProb")

# Posterior under a flat prior: the data themselves.
flat_posterior <- function(data) {
  missing <- is.na(data$Bhat)
  sd <- data$Shat * sqrt(data$V[1, 1])
  z <- data$Bhat / sd
  z[missing] <- 0
  sd <- sd * data$Shat_alpha
  sd[missing] <- Inf
  list(
    PosteriorMean = data$Bhat * data$Shat_alpha, PosteriorSD = sd,
    lfsr = pnorm(-abs(z)), lfdr = numeric(length(z)), NegativeProb = pnorm(-z)
  )
}

# ash with normal components: mash of data with one condition, with U = 1.
ash_one_condition <- function(data, settings, n_threads, label, effects) {
  if (anyNA(data$Bhat) && all(is.na(data$Bhat))) {
    return(ash_without_data(n_effects(data), label))
  }
  grid <- settings$mixsd
  if (is.null(grid)) {
    grid <- autoselect_grid(data, settings$gridmult)
    grid <- grid[grid > 0]
  }
  model <- list(
    Ulist = list(U = matrix(1)), grid = grid, usepointmass = settings$pointmass
  )
  # Only the null component: no weights to estimate.
  if (length(grid) == 0L) {
    model$grid <- 0
    model$usepointmass <- FALSE
  }
  prior <- if (identical(settings$prior, "ash")) "nullbiased" else settings$prior
  prior <- set_prior(
    n_components(model), prior, settings$nullweight, null_component(model)
  )
  fit <- fit_weights(data, model, prior, "newton", list(), n_threads, effects)
  warn_not_converged(fit, paste0("The prior of condition '", label, "'"))
  posterior <- posterior_of(
    data, model, fit$pi, settings$pi_thresh, 2, n_threads, keep_weights = FALSE,
    effects = effects
  )
  list(
    result = posterior$result, loglik = posterior$loglik,
    convergence = list(
      condition = label, iterations = fit$iterations, converged = fit$converged,
      kkt_violation = fit$kkt_violation
    ),
    fitted_g = c(list(pi = stats::setNames(fit$pi, component_names(model))), model)
  )
}

ash_without_data <- function(n, label) {
  warn_covmash(
    "Condition '{label}' has no observed estimate; its results are NA.",
    class = "covmash_warning_all_missing"
  )
  none <- rep(list(rep(NA_real_, n)), length(onebyone_parts))
  list(
    result = stats::setNames(none, onebyone_parts), loglik = 0,
    convergence = list(
      condition = label, iterations = 0L, converged = NA, kkt_violation = NA_real_
    )
  )
}

# fits: log-likelihood, convergence and prior of each condition. alpha: that of the function, on top of the data's.
new_mash_1by1 <- function(result, fits, data, prior, alpha) {
  missing <- if (anyNA(data$Bhat)) which(is.na(data$Bhat)) else integer()
  structure(
    list(
      result = result,
      # NA under the flat prior, which is improper.
      loglik = sum(vapply(fits, `[[`, numeric(1), "loglik")),
      prior = prior,
      missing = if (length(missing) > 0L) missing,
      dim = dim(data$Bhat),
      dimnames = dimnames(data$Bhat),
      convergence = if (!identical(prior, "flat")) {
        do.call(rbind, lapply(fits, function(fit) {
          as.data.frame(fit$convergence, stringsAsFactors = FALSE)
        }))
      },
      fitted_g = if (!identical(prior, "flat")) {
        stats::setNames(lapply(fits, `[[`, "fitted_g"), condition_labels(data$Bhat))
      },
      alpha = alpha
    ),
    class = "mash_1by1"
  )
}

# Intervals of the effects in `data`, with the conditions of `m`, under the prior of each. NA where it has none.
onebyone_intervals <- function(m, data, interval, n_threads) {
  whole <- is.list(m$fitted_g) && length(m$fitted_g) == ncol(data$Bhat)
  if (!whole || !checkmate::test_number(m$alpha, finite = TRUE)) {
    abort_input(
      "`x` does not hold the priors of its conditions, which intervals need; make it again with mash_1by1().",
      class = "covmash_error_fit"
    )
  }
  data <- with_common_V(rescale_by_alpha(data, m$alpha))
  ones <- if (data$alpha == 0) array(1, c(nrow(data$Bhat), 1L))
  none <- array(NA_real_, dim(data$Bhat), dimnames(data$Bhat))
  out <- list(lower = none, upper = none)
  begin_steps("Condition", ncol(none))
  for (r in which(!vapply(m$fitted_g, is.null, NA))) {
    next_step(condition_labels(none)[r])
    condition <- one_condition(data, r, ones)
    problem <- list(data = condition, model = model_from_g(m$fitted_g[[r]], condition))
    ends <- posterior_with_intervals(problem, NULL, interval, n_threads)
    for (end in names(out)) out[[end]][, r] <- ends[[end]]
  }
  out
}

# Under the flat prior the posterior is normal.
flat_intervals <- function(result, level) {
  half <- stats::qnorm((1 - level) / 2, lower.tail = FALSE) * result$PosteriorSD
  list(lower = result$PosteriorMean - half, upper = result$PosteriorMean + half)
}

# ---- methods -----------------------------------------------------------------

#' Look at a condition-by-condition result
#'
#' @param object,x A result of [mash_1by1()].
#' @param ... Not used.
#' @return `print`: `x`, invisibly. `format`: one line of text. `summary`: a list of
#'   class `"summary.mash_1by1"` with the number of significant effects by
#'   condition and the convergence of each prior; `print(summary(x), n = Inf)` shows more than 20 of them.
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
  status_line("prior:", describe_prior(x$prior))
  if (!is.na(x$loglik)) {
    status_line("log-lik.:", format_loglik(x$loglik))
  }
  if (length(x$missing) > 0L) {
    status_line("missing:", plural(length(x$missing), "estimate"))
  }
  if (!is.null(x$convergence)) {
    bad <- sum(!x$convergence$converged, na.rm = TRUE)
    status_line(
      "weights:",
      if (bad == 0) {
        "converged in every condition"
      } else {
        paste0("NOT converged in ", plural(bad, "condition"))
      },
      ", largest KKT violation ", format(max_or_na(x$convergence$kkt_violation), digits = 2)
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
  check_printing(n = n)
  cat(x$title, "\n", sep = "")
  status_line("prior:", describe_prior(x$prior))
  if (!is.na(x$loglik)) {
    status_line("log-lik.:", format_loglik(x$loglik))
  }
  print_conditions(x, n)
  invisible(x)
}
