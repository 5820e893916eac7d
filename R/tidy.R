#' @importFrom generics tidy
#' @export
generics::tidy

#' @importFrom generics glance
#' @export
generics::glance

#' @importFrom generics augment
#' @export
generics::augment

#' Results as data frames
#'
#' Long tables of results, in one vocabulary for all of them.
#'
#' @param x A fit of [mash()], a result of [mash_1by1()] or of [control_hierarchy()].
#' @param what Of a fit: `"effects"` (default), one row for each effect and condition, or `"weights"`,
#'   one for each mixture component. Of [control_hierarchy()]: the claims about `"effects"`,
#'   `"conditions"` or `"groups"`.
#' @param conf.int Add credible intervals?
#' @param conf.level Their probability.
#' @param data The data object of the fit; effects and conditions are matched by name, by position where
#'   neither side has names. Intervals need it, as they are quantiles of the mixture
#'   ([get_credible_intervals()]). `augment()` also takes some rows of it.
#' @param row.names,optional Ignored; part of the generic.
#' @param ... Not used.
#' @return Data frames without row names. `tidy()` and `as.data.frame()`, all effects of the first condition first:
#'   * `effect`, `condition`: names, or numbers where there are none;
#'   * `estimate`, `std.error`: posterior mean and standard deviation, on the scale of `Bhat`;
#'   * `lfsr`; `lfdr` if the result has it (of [mash()] with `output_lfdr = TRUE`);
#'   * `conf.low`, `conf.high` with `conf.int = TRUE`;
#'   * `observed`: was there an estimate? If not, the row is a prediction. `NA` where the results are of linear
#'     combinations of the conditions.
#'
#'   `augment()`: the same, of the effects in `data`, and `.bhat`, `.shat` (the original estimates
#'   and their standard errors), `.fitted`, `.se.fit`, `.lfsr` (broom's names of `estimate`, `std.error` and `lfsr`).
#'
#'   `tidy(what = "weights")`: `component`, `covariance`, `grid` (the standard deviation) and `weight`. Of
#'   [control_hierarchy()]: `group`, `effect`, `condition`, `sign` (1 or -1) and `lfsr`.
#'
#'   `glance()`: one row. Of a fit `n_effects`, `n_conditions`, `n_components`, `logLik`, `df`, `pi0`,
#'   `n_significant` (effects with lfsr < 0.05 in some condition), `converged`, `nobs` (effects with an
#'   observed estimate); of [mash_1by1()] those that it has, with `prior`; of [control_hierarchy()] the numbers of
#'   claims and their expected errors by level.
#' @section Errors: `covmash_error_argument` for intervals without `data`; `covmash_error_fit` for a fit without
#'   posterior (`outputlevel = 1`); `covmash_error_names` or `covmash_error_dimensions` for data of other effects.
#' @seealso [write_mash()] for files; [mash_contrast()] and [summarise_effects()] for tables with the same columns
#' @name mash_tidiers
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 10, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' head(tidy(fit), 3)
#' head(tidy(fit, conf.int = TRUE, data = data), 3)
#' glance(fit)
#' head(augment(fit, data), 3)
#' head(tidy(mash_1by1(data, n_threads = 1)), 3)
NULL

# ---- long tables -------------------------------------------------------------

# A data frame of columns of equal length, without the checks and copies of data.frame().
plain_frame <- function(columns) {
  structure(columns, class = "data.frame", row.names = .set_row_names(length(columns[[1L]])))
}

# effect and condition of every entry of a matrix, column by column.
long_index <- function(x) {
  condition <- if (is.null(colnames(x))) seq_len(ncol(x)) else colnames(x)
  list(effect = rep(row_labels(x), times = ncol(x)), condition = rep(condition, each = nrow(x)))
}

# The matrices of a result by the names of their columns in a long table. interval: of intervals_of(), or NULL.
table_parts <- function(x, interval = NULL) {
  parts <- list(
    estimate = get_pm(x), std.error = get_psd(x), lfsr = get_lfsr(x), lfdr = get_lfdr(x),
    conf.low = interval$lower, conf.high = interval$upper
  )
  parts <- parts[!vapply(parts, is.null, NA)]
  for (name in c("estimate", "std.error", "lfsr", names(parts))) {
    if (!is.matrix(parts[[name]]) || !identical(dim(parts[[name]]), dim(parts[[1L]]))) {
      damaged_fit("x", "the matrices of its `result` do not fit together")
    }
  }
  parts
}

# One row for each entry of the matrices. observed: a logical matrix; NULL if all entries were, NA if it cannot be said.
long_table <- function(parts, observed = NULL) {
  if (is.null(observed)) observed <- TRUE
  plain_frame(c(
    long_index(parts[[1L]]), lapply(parts, as.vector),
    list(observed = rep_len(as.vector(observed), length(parts[[1L]])))
  ))
}

# For long_table().
observed_entries <- function(x) {
  if (are_combinations(x)) {
    return(NA)
  }
  hidden <- unobserved(x)
  if (!is.null(hidden)) !hidden
}

# Are the results those of combinations of the conditions that were fitted, and not of these?
are_combinations <- function(x) {
  means <- x$result$PosteriorMean
  fitted <- x[["dimnames"]][[2L]]
  if (is.null(x[["dim"]]) || is.null(means)) {
    return(FALSE)
  }
  if (is.null(fitted) || is.null(colnames(means))) ncol(means) != x$dim[2L] else !all(colnames(means) %in% fitted)
}

# Intervals of the effects of a result, in its order: of all, or of these rows.
intervals_of <- function(x, data, level, rows = NULL) {
  interval <- interval_settings(level, "equal", "conf.level")
  if (inherits(x, "mash_1by1") && identical(x$prior, "flat")) {
    ends <- flat_intervals(x$result, interval$level)
    return(if (is.null(rows)) ends else lapply(ends, function(end) end[rows, , drop = FALSE]))
  }
  if (is.null(data)) {
    abort_input(
      "Intervals are quantiles of the posterior, which need the estimates again; give `data`, the data of the fit.",
      class = "covmash_error_argument"
    )
  }
  means <- get_pm(x)
  data <- data_of_result(x, data)
  at <- match_effects(rownames(data$Bhat), rownames(means), nrow(data$Bhat), nrow(means))
  at <- match(if (is.null(rows)) seq_len(nrow(means)) else rows, at)
  if (anyNA(at)) {
    abort_input(
      "`data` lacks {plural(sum(is.na(at)), 'effect')} of the fit; give the data of the fit.",
      class = "covmash_error_dimensions"
    )
  }
  ends <- intervals_of_data(x, if (is.null(rows)) data else data[at, ], interval)
  named <- !is.null(colnames(ends$lower)) && !is.null(colnames(means))
  if (ncol(ends$lower) != ncol(means) || named && !identical(colnames(ends$lower), colnames(means))) {
    abort_input(
      "The results are of combinations of the conditions; their intervals are those of get_credible_intervals(A = ).",
      class = "covmash_error_fit"
    )
  }
  if (is.null(rows)) lapply(ends, function(end) end[at, , drop = FALSE]) else ends
}

# Of the effects in `data`, which has the conditions of the result.
intervals_of_data <- function(x, data, interval) {
  n_threads <- resolve_threads()
  if (inherits(x, "mash_1by1")) {
    return(onebyone_intervals(x, data, interval, n_threads))
  }
  posterior_with_intervals(problem_of(x, data), NULL, interval, n_threads)[c("lower", "upper")]
}

# Data with the conditions of a result, in its order.
data_of_result <- function(x, data) {
  known <- if (inherits(x, "mash_1by1")) x[["dimnames"]][[2L]] else conditions_of(x)
  match_conditions(take_data(data), known)
}

#' @rdname mash_tidiers
#' @export
tidy.mash_fit <- function(x, what = c("effects", "weights"), conf.int = FALSE, conf.level = 0.95, data = NULL, ...) {
  what <- check_choice(what, c("effects", "weights"), "what")
  if (what == "effects") effects_table(x, conf.int, conf.level, data) else weights_table(x)
}

#' @rdname mash_tidiers
#' @export
tidy.mash_1by1 <- function(x, conf.int = FALSE, conf.level = 0.95, data = NULL, ...) {
  effects_table(x, conf.int, conf.level, data)
}

#' @rdname mash_tidiers
#' @export
as.data.frame.mash_fit <- function(x, row.names = NULL, optional = FALSE, conf.int = FALSE, conf.level = 0.95,
                                   data = NULL, ...) {
  effects_table(x, conf.int, conf.level, data)
}

#' @rdname mash_tidiers
#' @export
as.data.frame.mash_1by1 <- as.data.frame.mash_fit

effects_table <- function(x, conf.int, conf.level, data) {
  check_flag(conf.int, "conf.int")
  parts <- table_parts(x, if (conf.int) intervals_of(x, data, conf.level))
  long_table(parts, observed_entries(x))
}

weights_table <- function(x) {
  check_fit(x, "x")
  g <- x$fitted_g
  K <- length(g$Ulist)
  labels <- covariance_labels(g)
  covariance <- rep(labels[seq_len(K) + g$usepointmass], times = length(g$grid))
  grid <- rep(g$grid, each = K)
  if (g$usepointmass) {
    covariance <- c(labels[1], covariance)
    grid <- c(0, grid)
  }
  data.frame(
    component = names(g$pi), covariance = covariance, grid = grid,
    weight = unname(g$pi)
  )
}

#' @rdname mash_tidiers
#' @export
tidy.mash_hierarchy <- function(x, what = c("effects", "conditions", "groups"), ...) {
  check_hierarchy(x)
  x[[check_choice(what, c("effects", "conditions", "groups"), "what")]]
}

#' @rdname mash_tidiers
#' @export
as.data.frame.mash_hierarchy <- function(x, row.names = NULL, optional = FALSE,
                                         what = c("effects", "conditions", "groups"), ...) {
  tidy(x, what)
}

# ---- one row -----------------------------------------------------------------

#' @rdname mash_tidiers
#' @export
glance.mash_fit <- function(x, ...) {
  loglik <- logLik(x)
  data.frame(
    n_effects = x$noise$n_effects,
    n_conditions = x$noise$n_conditions,
    n_components = length(x$fitted_g$pi),
    logLik = as.numeric(loglik),
    df = attr(loglik, "df"),
    pi0 = get_pi0(x),
    n_significant = if (is.null(x$result$lfsr)) {
      NA_integer_
    } else {
      sum(get_n_significant_conditions(x) > 0)
    },
    converged = x$convergence$converged,
    nobs = nobs(x)
  )
}

#' @rdname mash_tidiers
#' @export
glance.mash_1by1 <- function(x, ...) {
  means <- table_parts(x)$estimate
  hidden <- unobserved(x)
  # Under the flat prior there are no weights to converge.
  converged <- if (is.data.frame(x$convergence)) all(x$convergence$converged, na.rm = TRUE) else NA
  data.frame(
    n_effects = nrow(means), n_conditions = ncol(means), logLik = get_loglik(x),
    n_significant = sum(get_n_significant_conditions(x) > 0), converged = converged,
    nobs = if (is.null(hidden)) nrow(means) else sum(rowSums(!hidden) > 0),
    prior = if (is.character(x$prior)) x$prior else "given"
  )
}

#' @rdname mash_tidiers
#' @export
glance.mash_hierarchy <- function(x, ...) {
  check_hierarchy(x)
  parts <- c("groups", "conditions", "effects")
  counts <- lapply(x[parts], nrow)
  errors <- as.list(x$expected_error)
  plain_frame(c(
    stats::setNames(counts, paste0("n_", parts)), stats::setNames(errors, paste0("error_", parts)),
    stats::setNames(as.list(unname(x$level)), paste0("level_", parts))
  ))
}

# ---- beside the data ---------------------------------------------------------

#' @rdname mash_tidiers
#' @export
augment.mash_fit <- function(x, data, conf.int = FALSE, conf.level = 0.95, ...) {
  refuse_missing(missing(data), "data", "a data object made by mash_set_data()", "covmash_error_data")
  check_flag(conf.int, "conf.int")
  parts <- table_parts(x)
  means <- parts$estimate
  if (are_combinations(x)) {
    abort_input(
      "The results are of combinations of the conditions, which `data` does not have; tidy() gives them alone.",
      class = "covmash_error_fit"
    )
  }
  data <- data_of_result(x, data)
  if (ncol(data$Bhat) != ncol(means)) {
    abort_input(
      "`data` have {plural(ncol(data$Bhat), 'condition')}, but the fit has {ncol(means)}; give the data of the fit.",
      class = "covmash_error_dimensions"
    )
  }
  rows <- match_effects(rownames(data$Bhat), rownames(means), nrow(data$Bhat), nrow(means))
  if (!identical(rows, seq_len(nrow(means)))) {
    parts <- lapply(parts, function(part) part[rows, , drop = FALSE])
  }
  if (conf.int) {
    parts[c("conf.low", "conf.high")] <- if (inherits(x, "mash_1by1") && identical(x$prior, "flat")) {
      intervals_of(x, NULL, conf.level, rows)
    } else {
      intervals_of_data(x, data, interval_settings(conf.level, "equal", "conf.level"))
    }
  }
  out <- long_table(parts, !is.na(data$Bhat))
  out$.bhat <- as.vector(data$Bhat * data$Shat_alpha)
  out$.shat <- as.vector(data$Shat * data$Shat_alpha)
  out$.fitted <- out$estimate
  out$.se.fit <- out$std.error
  out$.lfsr <- out$lfsr
  out
}

#' @rdname mash_tidiers
#' @export
augment.mash_1by1 <- augment.mash_fit
