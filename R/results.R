#' Parts of a result
#'
#' Take one part out of a fit of [mash()] or a result of [mash_1by1()].
#'
#' @param x,m A fit of [mash()] or a result of [mash_1by1()]; also one of mashr, a list with a
#'   `result`, or a fit of ashr's `ash()`. `get_pm()`, `get_psd()`, `get_lfsr()`, `get_lfdr()` and `get_np()`
#'   read a posterior in files, [mash_output()].
#' @param rows Rows (effects) to take: numbers, names or `TRUE`/`FALSE`; all if `NULL`.
#' @param nsamp Number of draws.
#' @return * `get_pm`, `get_psd`: J x R matrices of posterior means and standard
#'   deviations, on the scale of `Bhat`.
#'   * `get_lfsr`, `get_lfdr`, `get_np`: J x R matrices of local false sign rates,
#'   local false discovery rates and probabilities of a negative effect. `get_lfdr`
#'   gives `NULL` for a fit made without `output_lfdr = TRUE`.
#'   * `get_loglik`: the log-likelihood.
#'   * `get_fitted_g`: the fitted prior, a list of `pi`, `Ulist`, `grid` and
#'   `usepointmass`.
#'   * `get_pi0`: the weight of the effects that are zero in every condition (of a fit
#'   of [mash()] or of ashr's `ash()`).
#'   * `get_pp`: probabilities of a positive effect, where the fit has the lfdr, else `NULL`.
#'   * `get_svalue`, `get_qvalue`: s-values and q-values, J x R: the mean lfsr (lfdr) of all
#'   observed estimates with an lfsr (lfdr) at most that of the entry (Stephens 2017);
#'   `get_qvalue` gives `NULL` where the fit has no lfdr.
#'   * `get_logLR`: the log-likelihood less that of no effect at all; `NULL` without a point
#'   mass.
#'   * `get_post_sample`: draws of a fit of ashr's `ash()`, by ashr. Those of [mash()]
#'   are had by `posterior_samples` and [get_samples()].
#' @section Errors: `covmash_error_fit` for anything that is no fit, for a fit without
#'   posterior (`outputlevel = 1`) and for one that was damaged, e.g. whose weights do
#'   not sum to 1.
#' @section Differences from mashr: mashr takes these functions from ashr;
#'   covmash has its own. `get_pi0` works on a fit.
#' @references Stephens M (2017). False discovery rates: a new deal. *Biostatistics* 18(2),
#'   275-294. \doi{10.1093/biostatistics/kxw041}
#' @concept false sign rate
#' @concept s-value
#' @concept q-value
#' @name get_results
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' head(get_pm(fit), 2)
#' head(get_lfsr(fit), 2)
#' get_pi0(fit)
NULL

#' @rdname get_results
#' @export
get_pm <- function(x, rows = NULL) rows_of_part(x, "PosteriorMean", rows)

#' @rdname get_results
#' @export
get_psd <- function(x, rows = NULL) rows_of_part(x, "PosteriorSD", rows)

#' @rdname get_results
#' @export
get_lfsr <- function(x, rows = NULL) rows_of_part(x, "lfsr", rows)

#' @rdname get_results
#' @export
get_lfdr <- function(x, rows = NULL) rows_of_part(x, "lfdr", rows)

#' @rdname get_results
#' @export
get_np <- function(x, rows = NULL) rows_of_part(x, "NegativeProb", rows)

#' @rdname get_results
#' @export
get_pp <- function(x) {
  given <- result_part(x, "PositiveProb")
  zero <- get_lfdr(x)
  if (!is.null(given) || is.null(zero)) given else pmax(1 - get_np(x) - zero, 0)
}

#' @rdname get_results
#' @export
get_svalue <- function(x) running_mean_of(x, "svalue", get_lfsr)

#' @rdname get_results
#' @export
get_qvalue <- function(x) running_mean_of(x, "qvalue", get_lfdr)

# All of a part of the results, or some rows.
rows_of_part <- function(x, part, rows) {
  if (inherits(x, "mash_output")) {
    check_output(x)
    refuse_unwritten(x, part, "x")
    return(take_rows(x, rows, parts = part, name = "rows")$result[[part]])
  }
  value <- result_part(x, part)
  if (is.null(rows) || is.null(value)) {
    return(value)
  }
  at <- resolve_index(rows, NROW(value), if (is.matrix(value)) rownames(value) else names(value), "rows", "row")
  if (is.matrix(value)) value[at, , drop = FALSE] else value[at]
}

# The part of that name, or the mean of all rates up to each.
running_mean_of <- function(x, part, rate_fn) {
  if (inherits(x, c("mash_output", "mash_piece"))) {
    abort_unsupported(
      paste0("get_", part, "() of a posterior in files"), instead = "it needs all effects in memory, as x[] has them"
    )
  }
  given <- result_part(x, part)
  rate <- rate_fn(x)
  if (!is.null(given) || is.null(rate)) {
    return(given)
  }
  hidden <- if (is.matrix(rate)) unobserved(x)
  if (!is.null(hidden)) rate[hidden] <- NA_real_
  order <- order_in_pieces(as.vector(rate))
  order <- order[!is.na(rate[order])]
  sorted <- rate[order]
  means <- cumsum(sorted) / seq_along(sorted)
  # Equal rates have one mean, that of the last of them.
  rate[order] <- means[findInterval(sorted, sorted)]
  rate
}

#' @rdname get_results
#' @export
get_logLR <- function(x) {
  given <- if (is.list(x)) x[["logLR"]]
  null <- if (is.list(x)) x[["null_loglik"]]
  if (!is.null(given) || is.null(null)) given else get_loglik(x) - sum(null)
}

#' @rdname get_results
#' @export
get_post_sample <- function(x, nsamp) {
  if (inherits(x, "ash") && requireNamespace("ashr", quietly = TRUE)) {
    return(ashr::get_post_sample(x, nsamp))
  }
  abort_unsupported(
    "get_post_sample() of anything but a fit of ash()", instead = "use mash(posterior_samples = ) and get_samples()"
  )
}

#' @rdname get_results
#' @export
get_loglik <- function(x) fit_element(x, "loglik")

#' @rdname get_results
#' @export
get_fitted_g <- function(x) fit_element(x, "fitted_g")

#' @rdname get_results
#' @export
get_pi0 <- function(m) {
  if (inherits(m, "ash")) {
    g <- fit_element(m, "fitted_g", "m")
    return(sum(g$pi[if (is.null(g$sd)) g$a == 0 & g$b == 0 else g$sd == 0]))
  }
  check_fit(m)
  g <- m$fitted_g
  zero <- vapply(g$Ulist, is_zero_covariance, logical(1))
  is_null <- rep(zero, times = length(g$grid)) |
    rep(g$grid == 0, each = length(g$Ulist))
  if (g$usepointmass) {
    is_null <- c(TRUE, is_null)
  }
  sum(g$pi[is_null])
}

#' Significant effects
#'
#' `get_significant_results()` lists the effects that are significant in at least
#' one condition, most significant first; `get_n_significant_conditions()` counts
#' for each effect the conditions in which it is, `count_significant()` for each condition the effects.
#'
#' @param m A fit of [mash()] or a result of [mash_1by1()]; or a posterior in files, [mash_output()].
#' @param thresh Significant means strictly below this; from 0 to 1 for probabilities.
#' @param conditions Conditions to look at: numbers, names or `TRUE`/`FALSE`; all if
#'   `NULL`.
#' @param sig_fn Function that takes `m` and returns a J x R matrix of
#'   significance, small where significant; [get_lfsr()] by default. Of a posterior in files it is
#'   given some effects at a time.
#' @param predicted Count conditions in which the effect was not observed too? By
#'   default only observed estimates count.
#' @return `get_significant_results`: integer row numbers, named if the rows have
#'   names, ordered by the smallest significance in the chosen conditions (ties
#'   in row order). `get_n_significant_conditions`: an integer vector of length J,
#'   named likewise. `count_significant`: an integer for each chosen condition, named by them.
#' @section Errors: An unknown condition is an error of class
#'   `covmash_error_index`; a result without significances (`outputlevel = 1`)
#'   one of class `covmash_error_fit`.
#' @section Differences from mashr: Missing estimates do not count unless
#'   `predicted = TRUE`. `conditions` may be names.
#' @concept multiple testing
#' @concept false discovery rate
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' head(get_significant_results(fit))
#' head(get_significant_results(fit, conditions = "condition_2"))
#' table(get_n_significant_conditions(fit))
#' count_significant(fit)
get_significant_results <- function(m, thresh = 0.05, conditions = NULL,
                                    sig_fn = get_lfsr, predicted = FALSE) {
  if (inherits(m, "mash_output")) {
    return(stream_significant(m, thresh, conditions, sig_fn, predicted))
  }
  sig <- significance(m, thresh, conditions, sig_fn, predicted)
  best <- unname(sig[, 1])
  for (r in seq_len(ncol(sig))[-1]) {
    cpp_listen()
    best <- pmin(best, sig[, r], na.rm = TRUE)
  }
  rows <- which(best < thresh)
  rows <- rows[order_in_pieces(best[rows])]
  if (!is.null(rownames(sig))) {
    names(rows) <- rownames(sig)[rows]
  }
  rows
}

#' @rdname get_significant_results
#' @export
get_n_significant_conditions <- function(m, thresh = 0.05, conditions = NULL,
                                         sig_fn = get_lfsr, predicted = FALSE) {
  if (inherits(m, "mash_output")) {
    return(stream_n_significant(m, thresh, conditions, sig_fn, predicted))
  }
  count_in_rows(significance(m, thresh, conditions, sig_fn, predicted), thresh)
}

#' @rdname get_significant_results
#' @export
count_significant <- function(m, thresh = 0.05, conditions = NULL, sig_fn = get_lfsr, predicted = FALSE) {
  if (inherits(m, "mash_output")) {
    return(stream_count(m, thresh, conditions, sig_fn, predicted))
  }
  as_counts(count_in_columns(significance(m, thresh, conditions, sig_fn, predicted), thresh))
}

count_in_rows <- function(sig, thresh) {
  # Column by column: rowSums() cannot be interrupted.
  counts <- stats::setNames(integer(nrow(sig)), rownames(sig))
  for (r in seq_len(ncol(sig))) {
    cpp_listen()
    hit <- sig[, r] < thresh
    counts <- counts + (!is.na(hit) & hit)
  }
  counts
}

count_in_columns <- function(sig, thresh) {
  counts <- vapply(seq_len(ncol(sig)), function(r) {
    cpp_listen()
    as.double(sum(sig[, r] < thresh, na.rm = TRUE))
  }, 0)
  stats::setNames(counts, condition_labels(sig))
}

# Integers where they hold them.
as_counts <- function(x) stats::setNames(as_index(x), names(x))

# Where significances are probabilities, a threshold is one too.
check_thresh <- function(thresh, name, sig) {
  check_number(thresh, name, what = "one number")
  if (thresh >= 0 && thresh <= 1) {
    return(invisible(NULL))
  }
  if (is.numeric(sig) && length(sig) > 0L && all(sig >= 0 & sig <= 1, na.rm = TRUE)) {
    abort_input(
      "`{name}` must be from 0 to 1, as the significances are, not {describe(thresh)}.",
      class = "covmash_error_argument"
    )
  }
}

# order(), which cannot be interrupted, of a few million values at a time: each piece has
# those from one cut to the next, in the order they came.
order_in_pieces <- function(x, size = 4e6) {
  n <- length(x)
  if (n <= size) {
    return(order(x))
  }
  sample <- sort(x[unique(round(seq(1, n, length.out = 1e4)))])
  cuts <- unique(sample[round(seq(1, length(sample), length.out = ceiling(2 * n / size)))])
  at <- lapply(split_rows(n, size), function(rows) {
    cpp_listen()
    findInterval(x[rows], cuts)
  })
  piece <- unlist(at)
  unlist(lapply(0:length(cuts), function(k) {
    cpp_listen()
    rows <- which(piece == k)
    rows[order(x[rows])]
  }))
}

# Runs of at most `size` row numbers.
split_rows <- function(n, size = 1e6) {
  lapply(seq(1, n, by = size), function(from) seq(from, min(n, from + size - 1)))
}

# The matrix of significances in the chosen conditions, NA where the estimate is
# missing (unless predictions count).
significance <- function(m, thresh, conditions, sig_fn, predicted) {
  check_flag(predicted, "predicted")
  if (!is.function(sig_fn)) {
    abort_input(
      "`sig_fn` must be a function, not {describe(sig_fn)}.",
      class = "covmash_error_argument"
    )
  }
  if (inherits(m, "mash_output")) {
    abort_unsupported("This question to a posterior in files", instead = "give rows in memory, `m[rows]`")
  }
  sig <- sig_fn(m)
  check_thresh(thresh, "thresh", sig)
  if (!is.numeric(sig)) {
    abort_input(
      "`m` has no significances (`sig_fn` gives {describe(sig)}); it must be a result of mash() with ",
      "`outputlevel = 2`, or of mash_1by1().",
      class = "covmash_error_fit"
    )
  }
  if (!is.matrix(sig)) {
    sig <- as.matrix(sig)
  }
  of_effects <- if (inherits(m, "mash_rows")) m$dim else if (is.list(m)) dim(m$result$PosteriorMean)
  if (!predicted && !is.null(of_effects) && identical(dim(sig), of_effects)) {
    hidden <- unobserved(m)
    if (!is.null(hidden)) sig[hidden] <- NA_real_
  }
  if (is.null(conditions)) {
    return(sig)
  }
  chosen <- resolve_index(
    conditions, ncol(sig), colnames(sig), "conditions", "condition"
  )
  if (length(chosen) == 0L) {
    abort_input(
      "`conditions` selects no condition; choose at least one.",
      class = "covmash_error_index"
    )
  }
  sig[, chosen, drop = FALSE]
}

#' Covariance matrices and estimated mixture weights
#'
#' Of the fitted prior.
#'
#' @param x,m A fit of [mash()] or of [deconvolve()].
#' @param dimension `"cov"` (default): summed over the grid, one weight for each
#'   covariance matrix; `"grid"`: summed over the matrices, one for each grid
#'   point; `"all"`: every component. A matrix that is called `null` itself is shown as
#'   `null.1` beside the point mass.
#' @return `get_estimated_pi()`: a named vector that sums to 1: `null` first (if the model
#'   has a point mass), then the matrices by name, the grid points `1`, `2`, ..., or the
#'   components `<matrix>.<grid index>`. `get_Ulist()`: the named list of R x R covariance
#'   matrices (factor models as `factor_cov`), without scales and the point mass: what [mash()]
#'   takes as `Ulist`.
#' @section Errors: `covmash_error_fit` for anything that is no fit, or a damaged one.
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' round(get_estimated_pi(fit), 3)
#' names(get_Ulist(fit))
get_estimated_pi <- function(m, dimension = c("cov", "grid", "all")) {
  check_prior_fit(m, "m")
  dimension <- check_choice(dimension, c("cov", "grid", "all"), "dimension")
  g <- m$fitted_g
  if (dimension == "all") {
    return(g$pi)
  }
  null <- if (g$usepointmass) g$pi[[1]]
  weights <- matrix(
    if (g$usepointmass) g$pi[-1] else g$pi, length(g$Ulist), length(g$grid)
  )
  if (dimension == "cov") {
    return(stats::setNames(c(null, rowSums(weights)), covariance_labels(g)))
  }
  stats::setNames(
    c(null, colSums(weights)), c(if (g$usepointmass) "null", seq_along(g$grid))
  )
}

#' @rdname get_estimated_pi
#' @export
get_Ulist <- function(x) check_prior_fit(x, "x")$fitted_g$Ulist

# The point mass and the matrices of a prior; a matrix called "null" gets a number.
covariance_labels <- function(g) {
  labels <- c(if (g$usepointmass) "null", names(g$Ulist))
  if (anyDuplicated(labels)) make.unique(labels) else labels
}
