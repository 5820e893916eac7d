#' Put estimates and standard errors together
#'
#' Makes the data object that every other function takes: estimated effects,
#' their standard errors and the correlation of their errors. Missing estimates
#' are allowed and handled exactly: they are left out of the likelihood and
#' predicted by the posterior.
#'
#' @param Bhat J x R matrix (or data frame) of estimated effects, effects in
#'   rows and conditions in columns. A vector is taken as one condition. `NA`
#'   marks a missing estimate; `NaN` and infinite values are errors. Row and
#'   column names are kept.
#' @param Shat J x R matrix (or data frame) of standard errors in the units of
#'   `Bhat`, or one number for all; 1 if not given. `Inf` means that the
#'   estimate carries no information and is treated as missing.
#' @param alpha The prior is on `b / Shat^alpha`: 0 (default) for effects that
#'   do not depend on the standard error, 1 for z-scores.
#' @param df Not supported yet (an error unless `Inf`).
#' @param pval Not supported yet (an error unless `NULL`).
#' @param V R x R correlation matrix of the errors of one effect (a covariance
#'   matrix is allowed), positive definite; also a [factor_covariance()]. Default:
#'   the identity.
#' @param zero_check_tol Standard errors at or below this count as zero.
#' @param zero_Bhat_Shat_reset If positive, replaces `Shat` where both `Shat`
#'   and `Bhat` are zero. Default 0: such entries are an error.
#' @param zero_Shat_reset If positive, replaces `Shat` where it is zero and
#'   `Bhat` is not. Default 0: such entries are an error.
#'
#' @return A list of class `c("mash_data", "mash")` with elements
#'   * `Bhat`, `Shat`: J x R matrices, `NA` where missing. For `alpha` other than
#'     0 they are `Bhat / Shat^alpha` and `Shat^(1 - alpha)`.
#'   * `Shat_alpha`: J x R, `Shat^alpha` (1 when `alpha = 0`); `NA` where the
#'     standard error of a missing estimate is not known.
#'   * `V`, `commonV` (always `TRUE`), `alpha`.
#'
#'   It has methods for `print`, `summary`, `plot`, `dim`, `dimnames` and `[`
#'   (see [mash_data-methods]).
#'
#' @details The model of the data (Urbut et al. 2019) is
#'   \deqn{\hat b_j \mid b_j \sim N(b_j, S_j V S_j), \quad S_j = diag(Shat_j).}
#'   With `alpha`, this is divided by `Shat^alpha`; results are always
#'   returned on the scale of `Bhat`.
#'
#' @section Errors:
#'   All have class `covmash_error_input`: different dimensions
#'   (`covmash_error_dimensions`), not numeric (`covmash_error_type`), `NaN` or
#'   infinite `Bhat` (`covmash_error_bhat`), zero, negative, `NaN` or unexpectedly
#'   missing `Shat` (`covmash_error_shat`), rows or columns of `Bhat` and `Shat` in
#'   different order (`covmash_error_names`), a bad `V` (`covmash_error_V`). A
#'   warning of class `covmash_warning_all_missing` counts rows in which nothing is
#'   observed, `covmash_warning_names` tells of duplicated names.
#'
#' @section Differences from mashr:
#'   * Missing estimates stay `NA` and are left out of the likelihood; mashr
#'     replaces them by 0 with standard error 1e6. `Shat` may be known where
#'     `Bhat` is missing.
#'   * `Shat = Inf` means missing; mashr stops.
#'   * Zero standard errors are looked at entry by entry, with the absolute
#'     value of `Bhat`, and both resets are honoured.
#'   * Data frames are accepted. Names in a different order are an error.
#'   * `df`, `pval` and an array `V` come with a later version.
#'
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019).
#'   *Nature Genetics* 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#' @seealso [mash()], [mash_1by1()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' data
#'
#' # one estimate is missing
#' sim$Bhat[2, 3] <- NA
#' mash_set_data(sim$Bhat, sim$Shat)
mash_set_data <- function(Bhat, Shat = NULL, alpha = 0, df = Inf, pval = NULL,
                          V = diag(ncol(Bhat)),
                          zero_check_tol = .Machine$double.eps,
                          zero_Bhat_Shat_reset = 0, zero_Shat_reset = 0) {
  refuse_pval_and_df(pval, df)
  check_number(alpha, "alpha", what = "one finite number")
  check_number(
    zero_check_tol, "zero_check_tol", 0, what = "a number of at least 0"
  )
  check_number(
    zero_Bhat_Shat_reset, "zero_Bhat_Shat_reset", 0,
    what = "a number of at least 0"
  )
  check_number(
    zero_Shat_reset, "zero_Shat_reset", 0, what = "a number of at least 0"
  )

  Bhat <- as_data_matrix(Bhat, "Bhat")
  check_bhat(Bhat)
  Shat <- conform_shat(Shat, Bhat)
  V <- check_noise_correlation(V, ncol(Bhat), colnames(Bhat))
  Shat <- check_shat(
    Shat, Bhat, zero_check_tol, zero_Bhat_Shat_reset, zero_Shat_reset
  )
  warn_duplicated_names(Bhat)

  data <- new_mash_data(Bhat, Shat, V, alpha)
  warn_all_missing(data$Bhat)
  data
}

refuse_pval_and_df <- function(pval, df) {
  if (!is.null(pval)) {
    abort_unsupported("`pval` (p-values in place of standard errors)")
  }
  if (!is.numeric(df) || anyNA(df)) {
    abort_input(
      paste0("`df` must be numeric (Inf for normal errors), not ", describe(df), "."),
      class = "covmash_error_argument"
    )
  }
  if (!all(df == Inf)) {
    abort_unsupported("A finite `df` (t-distributed errors)")
  }
}

# NaN and infinite estimates. The sum is finite unless something is not, so the
# entries are looked at one by one only when there is reason to.
check_bhat <- function(Bhat) {
  if (is.finite(sum(Bhat))) {
    return(invisible(NULL))
  }
  bad <- which(is.nan(Bhat) | is.infinite(Bhat))
  if (length(bad) > 0L) {
    abort_input(
      paste0(
        "`Bhat` must be finite or NA, but its entry in ",
        label_entry(Bhat, bad[1]), " is ", Bhat[bad[1]],
        if (length(bad) > 1L) paste0(" (", format_count(length(bad)), " such entries)"),
        "; use NA for a missing estimate."
      ),
      class = "covmash_error_bhat"
    )
  }
}

# Shat as a matrix of the shape of Bhat, with its names.
conform_shat <- function(Shat, Bhat) {
  if (is.null(Shat)) {
    Shat <- 1
  }
  if (is.numeric(Shat) && is.null(dim(Shat)) && length(Shat) == 1L) {
    return(array(as.double(Shat), dim(Bhat), dimnames(Bhat)))
  }
  if (is.null(dim(Shat)) && is.numeric(Shat) && ncol(Bhat) > 1L) {
    abort_input(
      paste0(
        "`Shat` must be one number or a matrix of the shape of `Bhat` (",
        nrow(Bhat), " x ", ncol(Bhat), "), not a vector of length ",
        length(Shat), "; write matrix(Shat, nrow(Bhat), ncol(Bhat), byrow = TRUE) ",
        "for one standard error for each condition."
      ),
      class = "covmash_error_dimensions"
    )
  }
  Shat <- as_data_matrix(Shat, "Shat")
  if (!identical(dim(Shat), dim(Bhat))) {
    abort_input(
      paste0(
        "`Bhat` and `Shat` must have the same dimensions, but `Bhat` is ",
        nrow(Bhat), " x ", ncol(Bhat), " and `Shat` is ", nrow(Shat), " x ",
        ncol(Shat), "."
      ),
      class = "covmash_error_dimensions"
    )
  }
  check_same_names(colnames(Bhat), colnames(Shat), "Shat", "column")
  check_same_names(rownames(Bhat), rownames(Shat), "Shat", "row")
  dimnames(Shat) <- dimnames(Bhat)
  Shat
}

# Standard errors: positive where the estimate is there; zeros reset when asked.
check_shat <- function(Shat, Bhat, tol, both_reset, shat_reset) {
  total <- sum(Shat)
  if (is.finite(total) && min(Shat) > tol) {
    return(Shat)
  }
  fail <- function(at, problem, advice) {
    abort_input(
      paste0(
        "`Shat` ", problem, " in ", label_entry(Shat, at[1]),
        if (length(at) > 1L) paste0(" (", format_count(length(at)), " such entries)"),
        "; ", advice
      ),
      class = "covmash_error_shat"
    )
  }
  bad <- which(is.nan(Shat))
  if (length(bad) > 0L) {
    fail(bad, "is NaN", "use Inf to leave such an estimate out.")
  }
  bad <- which(is.na(Shat) & !is.na(Bhat))
  if (length(bad) > 0L) {
    fail(
      bad, "is NA where `Bhat` is not",
      "use Inf to leave such an estimate out."
    )
  }
  bad <- which(Shat < 0)
  if (length(bad) > 0L) {
    fail(
      bad, "is negative",
      "were `Bhat` and `Shat` swapped? Standard errors must be positive."
    )
  }
  zero <- which(Shat <= tol & !is.na(Bhat))
  both <- abs(Bhat[zero]) <= tol
  if (any(both) && both_reset <= 0) {
    fail(
      zero[both], "and `Bhat` are both zero",
      "set them to NA, or give `zero_Bhat_Shat_reset`."
    )
  }
  if (any(!both) && shat_reset <= 0) {
    fail(
      zero[!both], "is zero",
      "correct it, or give `zero_Shat_reset`."
    )
  }
  Shat[zero] <- ifelse(both, both_reset, shat_reset)
  # A zero at a missing estimate says nothing about its scale.
  Shat[which(Shat <= tol)] <- NA_real_
  Shat
}

warn_duplicated_names <- function(Bhat) {
  for (side in c("row", "column")) {
    labels <- if (side == "row") rownames(Bhat) else colnames(Bhat)
    at <- anyDuplicated(labels)
    if (at > 0L) {
      warn_covmash(
        paste0(
          "The ", side, " name '", labels[at], "' of `Bhat` occurs more than ",
          "once; choosing by name takes the first."
        ),
        class = "covmash_warning_names"
      )
    }
  }
}

warn_all_missing <- function(Bhat) {
  if (!anyNA(Bhat)) {
    return(invisible(NULL))
  }
  empty <- which(rowSums(!is.na(Bhat)) == 0)
  if (length(empty) > 0L) {
    warn_covmash(
      paste0(
        plural(length(empty), "row has", "rows have"), " no observed estimate (the ",
        "first is ", label_index("row", empty[1], rownames(Bhat)),
        "); nothing is learned from ", if (length(empty) == 1) "it" else "them",
        " and the posterior is the prior."
      ),
      class = "covmash_warning_all_missing"
    )
  }
}

# The object from checked input. An infinite standard error, or a missing
# estimate, makes the entry missing.
new_mash_data <- function(Bhat, Shat, V, alpha) {
  unknown <- is.infinite(sum(Shat)) || anyNA(Bhat) || anyNA(Shat)
  Shat_alpha <- array(1, dim(Bhat), dimnames(Bhat))
  if (unknown) {
    infinite <- which(is.infinite(Shat))
    Shat[infinite] <- NA_real_
    Bhat[infinite] <- NA_real_
  }
  if (alpha != 0) {
    Shat_alpha[] <- Shat^alpha
    Bhat <- Bhat / Shat_alpha
    Shat <- Shat^(1 - alpha)
  }
  if (unknown) {
    Shat[which(is.na(Bhat))] <- NA_real_
  }
  data <- list(
    Bhat = Bhat, Shat = Shat, Shat_alpha = Shat_alpha, V = V, commonV = TRUE,
    alpha = alpha
  )
  structure(data, class = c("mash_data", "mash"))
}

# The invariants of a data object; for methods that take one apart, and tests.
validate_mash_data <- function(data) {
  check_data(data)
  same <- identical(dim(data$Bhat), dim(data$Shat)) &&
    identical(dim(data$Bhat), dim(data$Shat_alpha)) &&
    identical(dim(data$V), rep(ncol(data$Bhat), 2L))
  if (!same || !is.double(data$Bhat) || !is.double(data$Shat)) {
    abort_input(
      "The data object is damaged: its parts do not fit; make it again with mash_set_data().",
      class = "covmash_error_data"
    )
  }
  invisible(data)
}

n_effects <- function(data) nrow(data$Bhat)

n_conditions <- function(data) ncol(data$Bhat)

condition_labels <- function(x) {
  if (is.null(colnames(x))) as.character(seq_len(ncol(x))) else colnames(x)
}

effect_labels <- function(x) {
  if (is.null(rownames(x))) as.character(seq_len(nrow(x))) else rownames(x)
}

#' Look at a data object and take parts of it
#'
#' @param x,object A data object made by [mash_set_data()].
#' @param i Rows (effects): numbers, names or `TRUE`/`FALSE`; all if left out.
#' @param j Columns (conditions), likewise. `V` is cut to the same conditions.
#' @param drop Ignored: one row or one column stays a matrix.
#' @param ... Not used.
#' @return `dim` and `dimnames`: those of `Bhat`. `[`: a data object. `format`: one
#'   line of text. `print`: `x`, invisibly. `summary`: a list of class
#'   `"summary.mash_data"` with `dim`, `noise` (missing entries and noise groups)
#'   and `conditions`, a data frame with the number of missing estimates and
#'   the range of z-scores and standard errors of each condition.
#' @name mash_data-methods
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 5, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' dim(data)
#' data[1:2, c("condition_1", "condition_3")]
#' summary(data)
NULL

#' @rdname mash_data-methods
#' @export
dim.mash_data <- function(x) dim(x$Bhat)

#' @rdname mash_data-methods
#' @export
dimnames.mash_data <- function(x) dimnames(x$Bhat)

#' @rdname mash_data-methods
#' @export
`[.mash_data` <- function(x, i, j, ..., drop = FALSE) {
  if (nargs() - (!missing(drop)) != 3L) {
    abort_input(
      "A data object has rows and columns; write data[rows, ] or data[, columns].",
      class = "covmash_error_index"
    )
  }
  rows <- if (missing(i)) {
    NULL
  } else {
    resolve_index(i, nrow(x$Bhat), rownames(x$Bhat), "i", "row")
  }
  columns <- if (missing(j)) {
    seq_len(ncol(x$Bhat))
  } else {
    resolve_index(j, ncol(x$Bhat), colnames(x$Bhat), "j", "column")
  }
  if ((!is.null(rows) && length(rows) == 0L) || length(columns) == 0L) {
    abort_input(
      "A data object needs at least one row and one column; the selection is empty.",
      class = "covmash_error_index"
    )
  }
  if (anyDuplicated(columns)) {
    abort_input(
      paste0(
        "Column ", columns[anyDuplicated(columns)],
        " is selected twice, which would make `V` singular; select it once."
      ),
      class = "covmash_error_index"
    )
  }
  cut <- function(matrix) {
    if (is.null(rows)) {
      matrix[, columns, drop = FALSE]
    } else {
      matrix[rows, columns, drop = FALSE]
    }
  }
  for (part in c("Bhat", "Shat", "Shat_alpha")) {
    x[[part]] <- cut(x[[part]])
  }
  x$V <- x$V[columns, columns, drop = FALSE]
  x
}

#' @rdname mash_data-methods
#' @export
format.mash_data <- function(x, ...) {
  paste0(
    "<mash_data> ", plural(nrow(x$Bhat), "effect"), " x ",
    plural(ncol(x$Bhat), "condition")
  )
}

#' @rdname mash_data-methods
#' @export
print.mash_data <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  print_noise(noise_summary(x))
  cat("  errors:     ", describe_V(x$V), "\n", sep = "")
  cat("  alpha:      ", format(x$alpha), describe_alpha(x$alpha), "\n", sep = "")
  invisible(x)
}

describe_V <- function(V) {
  off <- V[upper.tri(V)]
  if (length(off) == 0L || all(off == 0)) {
    return("independent between conditions")
  }
  rho <- cov2cor(V)[upper.tri(V)]
  paste0(
    "correlated between conditions (", format(min(rho), digits = 2), " to ",
    format(max(rho), digits = 2), ")"
  )
}

describe_alpha <- function(alpha) {
  if (alpha == 0) {
    " (prior on the effects)"
  } else if (alpha == 1) {
    " (prior on the z-scores)"
  } else {
    ""
  }
}

# Missing entries and noise groups, counted by the core.
noise_summary <- function(data, noise = NULL) {
  if (is.null(noise)) {
    noise <- run_core(cpp_noise_groups(data))
  }
  noise$n_effects <- nrow(data$Bhat)
  noise$n_conditions <- ncol(data$Bhat)
  noise
}

print_noise <- function(noise) {
  cat("  missing:    ", describe_missing(noise), "\n", sep = "")
  cat("  noise:      ", describe_noise(noise), "\n", sep = "")
}

describe_missing <- function(noise) {
  if (noise$n_missing == 0) {
    return("none")
  }
  size <- as.numeric(noise$n_effects) * noise$n_conditions
  text <- paste0(
    format_count(noise$n_missing), " of ", plural(size, "entry", "entries"), " (",
    format(100 * noise$n_missing / size, digits = 2), " %)"
  )
  if (noise$n_all_missing > 0) {
    text <- paste0(
      text, ", ", plural(noise$n_all_missing, "row"), " with nothing observed"
    )
  }
  text
}

describe_noise <- function(noise) {
  parts <- character()
  if (noise$n_groups > 0) {
    parts <- paste0(
      plural(noise$n_groups, "group"), " of rows with shared noise (",
      plural(noise$n_shared_rows, "row"), ")"
    )
  }
  if (noise$n_row_specific > 0) {
    parts <- c(
      parts, paste0(plural(noise$n_row_specific, "row"), " with noise of their own")
    )
  }
  paste(parts, collapse = ", ")
}

#' @rdname mash_data-methods
#' @export
summary.mash_data <- function(object, ...) {
  z <- object$Bhat / object$Shat
  span <- function(x, f) {
    vapply(seq_len(ncol(x)), function(r) {
      column <- x[!is.na(x[, r]), r]
      if (length(column) == 0L) NA_real_ else f(column)
    }, numeric(1))
  }
  conditions <- data.frame(
    condition = condition_labels(object$Bhat),
    missing = colSums(is.na(object$Bhat)),
    z_min = span(z, min),
    z_median = span(z, median),
    z_max = span(z, max),
    shat_min = span(object$Shat, min),
    shat_max = span(object$Shat, max),
    row.names = NULL
  )
  structure(
    list(
      dim = dim(object$Bhat), alpha = object$alpha, V = object$V,
      noise = noise_summary(object), conditions = conditions
    ),
    class = "summary.mash_data"
  )
}

#' @export
print.summary.mash_data <- function(x, digits = 3, n = 20, ...) {
  cat(
    "<mash_data> ", plural(x$dim[1], "effect"), " x ",
    plural(x$dim[2], "condition"), "\n",
    sep = ""
  )
  print_noise(x$noise)
  cat("  errors:     ", describe_V(x$V), "\n", sep = "")
  cat("  alpha:      ", format(x$alpha), describe_alpha(x$alpha), "\n", sep = "")
  shown <- first_few(seq_len(nrow(x$conditions)), n)
  cat("Conditions (z-scores and standard errors of the observed estimates):\n")
  print(x$conditions[shown, ], digits = digits, row.names = FALSE)
  if (nrow(x$conditions) > n) {
    cat("... and ", nrow(x$conditions) - n, " more\n", sep = "")
  }
  invisible(x)
}
