# Differences of conditions, with their uncertainty.

#' Contrasts of conditions with their uncertainty
#'
#' Differences between the true effects of conditions: estimates, standard deviations, local
#' false sign rates and credible intervals from the joint posterior. The difference of two
#' posterior means has none of these, and the conditions of an effect are far from
#' independent given the data.
#'
#' @param fit A fit of [mash()] or of [deconvolve()], or a `fitted_g`.
#' @param data A data object made by [mash_set_data()]: that of the fit, or other rows.
#' @param contrast `"pairwise"`: every condition against every later one;
#'   `"consecutive"`: each against the one before it; `"reference"`: each other against
#'   `reference`; `"deviation"`: each against the mean of all; or a matrix with contrasts in
#'   rows and one column for each condition.
#' @param reference The number or name of the condition that others are compared with.
#' @param level Probability of the intervals; `NULL` for none.
#' @param n_threads Number of threads, see [covmash_threads].
#' @param x A result of `mash_contrast()`.
#' @param n Number of contrasts to show, `Inf` for all.
#' @param conf.int Give the intervals too?
#' @param row.names,optional,... Not used.
#' @return `mash_contrast()`: a list of class `"mash_contrast"` with
#'   * `result`: J x Q matrices `PosteriorMean`, `PosteriorSD`, `lfdr`, `NegativeProb`,
#'     `lfsr`, and the ends `lower` and `upper` of intervals; [get_pm()], [get_lfsr()] and
#'     [get_significant_results()] take them;
#'   * `contrast`: the Q x R matrix, its rows named `<condition>_vs_<condition>`;
#'   * `level`.
#'
#'   `tidy()` and `as.data.frame()`: a data frame with one row for each effect and contrast:
#'   `effect`, `contrast`, `estimate`, `std.error`, `lfsr`, `lfdr`, and the ends of intervals of probability `level`,
#'   `conf.low` and `conf.high`.
#'   `print()`: `x`, invisibly; `format()`: one line of text.
#' @details Under a component of the prior \eqn{A b} is normal with mean \eqn{A \mu_{jp}} and
#'   covariance \eqn{A \Lambda_{jp} A'}, so its posterior is a mixture as that of \eqn{b}
#'   itself. A difference is exactly 0 where a covariance has both conditions exactly equal,
#'   and that probability is part of the lfsr.
#'
#'   Pairs of R conditions are R (R - 1) / 2 contrasts: for many effects take the rows that
#'   matter, `data[rows, ]`.
#' @section Errors: `covmash_error_contrast` for a single condition or an unknown
#'   `reference`; else as [mash_compute_posterior_matrices()].
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51,
#'   187-195. \doi{10.1038/s41588-018-0268-8}
#' @seealso [contrast_matrix()] and [mash_update_data()] for a model of the contrasts
#'   themselves; [get_credible_intervals()]
#' @concept heterogeneity
#' @concept interaction
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' difference <- mash_contrast(fit, data, "reference", reference = 3, n_threads = 1)
#' difference
#' head(tidy(difference), 3)
mash_contrast <- function(fit, data, contrast = c("pairwise", "consecutive", "reference", "deviation"),
                          reference = 1, level = 0.95, n_threads = NULL) {
  interval <- if (!is.null(level)) interval_settings(level, "equal")
  problem <- problem_of(fit, data)
  A <- check_outcome_combinations(
    contrasts_of(contrast, outcome_labels(problem$data), reference), problem$data, "contrast"
  )
  result <- posterior_with_intervals(problem, A, interval, resolve_threads(n_threads))
  structure(list(result = result, contrast = A, level = level), class = "mash_contrast")
}

# The conditions that results are about.
outcome_labels <- function(data) {
  if (identical(attr(data$L, "reference"), "mean")) paste0(colnames(data$L), "-mean") else condition_labels(data$Bhat)
}

contrasts_of <- function(contrast, labels, reference) {
  if (!is.character(contrast)) {
    refuse_missing(is.null(contrast), "contrast", "\"pairwise\", another kind, or a matrix")
    return(contrast)
  }
  contrast <- check_choice(contrast, c("pairwise", "consecutive", "reference", "deviation"), "contrast")
  R <- length(labels)
  if (R < 2L) {
    abort_input("`data` has one condition, of which there is no contrast.", class = "covmash_error_contrast")
  }
  if (contrast == "deviation") {
    A <- diag(R) - 1 / R
    dimnames(A) <- list(paste0(labels, "_vs_mean"), labels)
    return(A)
  }
  pairs <- switch(contrast,
    pairwise = which(upper.tri(diag(R)), arr.ind = TRUE),
    consecutive = cbind(seq_len(R)[-1L], seq_len(R - 1L)),
    reference = {
      at <- reference_position(reference, R, labels, "reference", "")
      cbind(seq_len(R)[-at], at)
    }
  )
  A <- matrix(0, nrow(pairs), R)
  A[cbind(seq_len(nrow(pairs)), pairs[, 1])] <- 1
  A[cbind(seq_len(nrow(pairs)), pairs[, 2])] <- -1
  dimnames(A) <- list(paste0(labels[pairs[, 1]], "_vs_", labels[pairs[, 2]]), labels)
  A
}

check_mash_contrast <- function(x, name = "x") {
  parts <- c("PosteriorMean", "PosteriorSD", "lfsr")
  fine <- is.list(x) && is.list(x$result) && all(vapply(x$result[parts], is.matrix, NA)) && length(x$result[parts]) == 3L
  same <- fine && all(vapply(x$result[parts], function(m) is.numeric(m) && identical(dim(m), dim(x$result$lfsr)), NA))
  ends <- same && (is.null(x$level) || all(vapply(x$result[c("lower", "upper")], function(m) {
    is.numeric(m) && identical(dim(m), dim(x$result$lfsr))
  }, NA)))
  if (!inherits(x, "mash_contrast") || !ends) {
    abort_input("`{name}` is no result of mash_contrast(), or damaged; make it again.", class = "covmash_error_fit")
  }
  invisible(x)
}

#' @rdname mash_contrast
#' @export
print.mash_contrast <- function(x, n = 20, ...) {
  check_mash_contrast(x)
  check_printing(n = n)
  cat(format(x), "\n", sep = "")
  lfsr <- x$result$lfsr
  cat("Effects with lfsr < 0.05:\n")
  print_table(data.frame(contrast = condition_labels(lfsr), effects = colSums(lfsr < 0.05, na.rm = TRUE)), n)
  invisible(x)
}

#' @rdname mash_contrast
#' @export
format.mash_contrast <- function(x, ...) {
  check_mash_contrast(x)
  paste0(
    "<mash_contrast> ", plural(nrow(x$result$lfsr), "effect"), " x ", plural(ncol(x$result$lfsr), "contrast")
  )
}

#' @rdname mash_contrast
#' @export
tidy.mash_contrast <- function(x, conf.int = !is.null(x$level), ...) {
  check_mash_contrast(x)
  check_flag(conf.int, "conf.int")
  if (conf.int && is.null(x$level)) {
    abort_input(
      "`x` was made without intervals (`level = NULL`); make it again with a `level`.", class = "covmash_error_argument"
    )
  }
  parts <- table_parts(x, if (conf.int) x$result[c("lower", "upper")])
  index <- long_index(parts$estimate)
  plain_frame(c(list(effect = index$effect, contrast = index$condition), lapply(parts, as.vector)))
}

#' @rdname mash_contrast
#' @export
as.data.frame.mash_contrast <- function(x, row.names = NULL, optional = FALSE, ...) tidy(x, ...)
