#' Look at a data object and take parts of it
#'
#' @param x,object A data object made by [mash_set_data()].
#' @param i Rows (effects): numbers, names or `TRUE`/`FALSE`; all if left out.
#' @param j Columns (conditions), likewise. `V` is cut to the same conditions.
#' @param drop Ignored: one row or one column stays a matrix.
#' @param ... Not used.
#' @return `dim` and `dimnames`: those of `Bhat`. `[`: a data object. `format`: one
#'   line of text. `print`: `x`, invisibly. `summary`: a list of class
#'   `"summary.mash_data"` with `dim`, `noise` (missing entries and noise groups), `shat` (the
#'   smallest and largest standard error) and `conditions`, a data frame with the number of missing estimates and
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
  x <- validate_shape(x, "x")
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
      "Column {columns[anyDuplicated(columns)]} is selected twice, which would make `V` singular; select it ",
      "once.",
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
  for (part in c("Bhat", "Shat")) {
    x[[part]] <- cut(x[[part]])
  }
  # All ones, if alpha is 0: quicker made than cut.
  x$Shat_alpha <- if (x$alpha == 0) {
    array(1, dim(x$Bhat), dimnames(x$Bhat))
  } else {
    cut(x$Shat_alpha)
  }
  if (!is.null(x$V)) x$V <- cut_V(x$V, columns, rows)
  if (!is.null(x$L)) {
    if (!missing(j)) x$L <- x$L[columns, , drop = FALSE]
    if (!is.null(rows)) x$Shat_orig <- x$Shat_orig[rows, , drop = FALSE]
    x$V_orig <- cut_V(x$V_orig, TRUE, rows)
  }
  x
}

# A matrix, or an array with a matrix for each row; rows NULL for all.
cut_V <- function(V, columns, rows) {
  if (is.matrix(V)) {
    return(V[columns, columns, drop = FALSE])
  }
  V[columns, columns, if (is.null(rows)) TRUE else rows, drop = FALSE]
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
  x <- validate_mash_data(x, "x")
  cat(format(x), "\n", sep = "")
  print_noise(noise_summary(x))
  status_line("std. error:", describe_shat(shat_range(x)))
  status_line("errors:", describe_V(x$V))
  status_line("alpha:", format(x$alpha), describe_alpha(x$alpha))
  invisible(x)
}

# The smallest and largest standard error as they were given.
shat_range <- function(data) {
  shat <- if (data$alpha == 0) data$Shat else data$Shat * data$Shat_alpha
  if (all(is.na(shat))) c(NA_real_, NA_real_) else range(shat, na.rm = TRUE)
}

# Errors that are all 1 are what one gets who forgot them.
describe_shat <- function(range) {
  if (identical(range, c(1, 1))) {
    return("1 for every estimate, as if `Shat` was not given")
  }
  paste(vapply(unique(range), format, "", digits = 3), collapse = " to ")
}

describe_V <- function(V) {
  if (!is.matrix(V)) {
    return("correlated between conditions, differently for each effect")
  }
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
  status_line("missing:", describe_missing(noise))
  status_line("noise:", describe_noise(noise))
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
  object <- validate_mash_data(object, "object")
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
      noise = noise_summary(object), shat = shat_range(object), conditions = conditions
    ),
    class = "summary.mash_data"
  )
}

#' @export
print.summary.mash_data <- function(x, digits = 3, n = 20, ...) {
  check_printing(digits, n)
  cat(
    "<mash_data> ", plural(x$dim[1], "effect"), " x ",
    plural(x$dim[2], "condition"), "\n",
    sep = ""
  )
  print_noise(x$noise)
  status_line("std. error:", describe_shat(x$shat))
  status_line("errors:", describe_V(x$V))
  status_line("alpha:", format(x$alpha), describe_alpha(x$alpha))
  text_lines("Conditions (z-scores and standard errors of the observed estimates):")
  shown <- x$conditions
  z <- c("z_min", "z_median", "z_max")
  shown[z] <- lapply(shown[z], round, digits - 1)
  print_table(shown, n, digits, all_of_summary)
  invisible(x)
}
