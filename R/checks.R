# Checks of arguments. All of them end in abort_input(), so that bad input is one
# classed error in one sentence. checkmate decides, the message is ours.

# A short description of a value, for messages.
describe <- function(x) {
  if (is.null(x)) {
    return("NULL")
  }
  if (is.atomic(x) && length(x) == 1L && is.null(dim(x))) {
    return(if (is.character(x)) paste0("'", x, "'") else format(x))
  }
  if (is.matrix(x)) {
    return(paste0("a ", typeof(x), " matrix of ", nrow(x), " x ", ncol(x)))
  }
  if (is.atomic(x) && is.null(dim(x))) {
    return(paste0("a vector of type ", typeof(x), " and length ", length(x)))
  }
  paste("an object of class", class(x)[1])
}

# The plural-aware list of a few names.
quote_some <- function(x, n = 3L) {
  shown <- paste0("'", first_few(x, n), "'", collapse = ", ")
  if (length(x) > n) paste0(shown, ", ...") else shown
}

first_few <- function(x, n) x[seq_len(min(n, length(x)))]

# ---- single values ----------------------------------------------------------

check_flag <- function(x, name) {
  if (!checkmate::test_flag(x)) {
    abort_input(
      paste0("`", name, "` must be TRUE or FALSE, not ", describe(x), "."),
      class = "covmash_error_argument"
    )
  }
  invisible(x)
}

check_number <- function(x, name, lower = -Inf, upper = Inf, what = "a number",
                         null_ok = FALSE) {
  if (null_ok && is.null(x)) {
    return(invisible(x))
  }
  if (!checkmate::test_number(x, lower = lower, upper = upper, finite = TRUE)) {
    abort_input(
      paste0("`", name, "` must be ", what, ", not ", describe(x), "."),
      class = "covmash_error_argument"
    )
  }
  invisible(x)
}

check_whole <- function(x, name, lower = 0) {
  ok <- checkmate::test_number(x, lower = lower, finite = TRUE) &&
    x == round(x)
  if (!ok) {
    abort_input(
      paste0(
        "`", name, "` must be a whole number of at least ", lower, ", not ",
        describe(x), "."
      ),
      class = "covmash_error_argument"
    )
  }
  invisible(x)
}

# One of `choices`, partial matching allowed; the full default vector means its
# first element, as match.arg() has it.
check_choice <- function(x, choices, name) {
  if (identical(x, choices)) {
    return(choices[1])
  }
  at <- if (checkmate::test_string(x)) pmatch(x, choices) else NA_integer_
  if (is.na(at)) {
    abort_input(
      paste0(
        "`", name, "` must be one of ",
        paste0("'", choices, "'", collapse = ", "), ", not ", describe(x), "."
      ),
      class = "covmash_error_argument"
    )
  }
  choices[at]
}

# ---- matrices ---------------------------------------------------------------

# A double matrix from what users have: a matrix (numeric, integer, or logical
# that is all NA), a data frame of numbers, or a vector (one column).
as_data_matrix <- function(x, name) {
  if (is.data.frame(x)) {
    not_number <- !vapply(x, is_number_like, logical(1))
    if (any(not_number)) {
      at <- which(not_number)[1]
      abort_input(
        paste0(
          "`", name, "` must be numeric, but its ",
          label_index("column", at, names(x)), " is of class ",
          class(x[[at]])[1], "; leave that column out or convert it."
        ),
        class = "covmash_error_type"
      )
    }
    x <- as.matrix(x)
  } else if (is.null(dim(x)) && is_number_like(x)) {
    x <- matrix(x, ncol = 1L, dimnames = if (!is.null(names(x))) list(names(x), NULL))
  }
  if (!is.matrix(x) || !is_number_like(x)) {
    abort_input(
      paste0(
        "`", name, "` must be a numeric matrix with effects in rows and ",
        "conditions in columns, not ", describe(x), "."
      ),
      class = "covmash_error_type"
    )
  }
  if (nrow(x) < 1L || ncol(x) < 1L) {
    abort_input(
      paste0(
        "`", name, "` must have at least one row and one column, but it is ",
        nrow(x), " x ", ncol(x), "."
      ),
      class = "covmash_error_dimensions"
    )
  }
  if (storage.mode(x) != "double") {
    storage.mode(x) <- "double"
  }
  plain_matrix(x)
}

is_number_like <- function(x) {
  !is.factor(x) && (is.numeric(x) || (is.logical(x) && all(is.na(x))))
}

# Only dim and dimnames are kept: other attributes of the user's matrix would
# travel through every result.
plain_matrix <- function(x) {
  keep <- names(attributes(x)) %in% c("dim", "dimnames")
  if (!all(keep)) {
    attributes(x) <- attributes(x)[keep]
  }
  x
}

# Names that must agree with those of Bhat. Names that have nothing in common
# (beta_liver and se_liver) are accepted, the same names in another order not.
check_same_names <- function(ours, theirs, name, what, reference = "`Bhat`") {
  if (is.null(ours) || is.null(theirs) || identical(ours, theirs)) {
    return(invisible(NULL))
  }
  if (!any(theirs %in% ours)) {
    return(invisible(NULL))
  }
  at <- which(ours != theirs)[1]
  if (is.na(at)) {
    return(invisible(NULL))
  }
  abort_input(
    paste0(
      "The ", what, " names of `", name, "` differ from those of ", reference,
      ": ", what, " ", format_count(at), " is '", theirs[at], "' in `", name,
      "` but '", ours[at], "' in ", reference,
      "; put both in the same order."
    ),
    class = "covmash_error_names"
  )
}

# The error correlation (or covariance) V: numeric, R x R, symmetric, positive
# definite.
check_noise_correlation <- function(V, R, conditions = NULL) {
  if (is.data.frame(V) || is_factor_cov(V)) {
    V <- as.matrix(V)
  }
  if (length(dim(V)) == 3L) {
    abort_unsupported("An array `V` (one error correlation for each effect)")
  }
  if (R == 1L && is.null(dim(V)) && length(V) == 1L && is.numeric(V)) {
    V <- matrix(V)
  }
  if (!is.matrix(V) || !is.numeric(V)) {
    abort_input(
      paste0("`V` must be a numeric matrix, not ", describe(V), "."),
      class = "covmash_error_V"
    )
  }
  if (nrow(V) != R || ncol(V) != R) {
    abort_input(
      paste0(
        "`V` must have one row and one column for each of the ",
        plural(R, "condition"), ", but it is ", nrow(V), " x ", ncol(V), "."
      ),
      class = "covmash_error_V"
    )
  }
  storage.mode(V) <- "double"
  V <- plain_matrix(V)
  if (!all(is.finite(V))) {
    abort_input(
      paste0(
        "`V` must be finite, but its entry in ",
        label_entry(V, which(!is.finite(V))[1]), " is ",
        V[!is.finite(V)][1], "."
      ),
      class = "covmash_error_V"
    )
  }
  check_same_names(conditions, colnames(V), "V", "column")
  check_same_names(conditions, rownames(V), "V", "row")
  if (!is_symmetric(V)) {
    abort_input(
      "`V` must be symmetric; (V + t(V)) / 2 is, if the difference is rounding.",
      class = "covmash_error_V"
    )
  }
  V <- symmetrise(V)
  if (!is_positive_definite(V)) {
    abort_input(
      paste0(
        "`V` must be positive definite, but its smallest eigenvalue is ",
        format(min_eigenvalue(V), digits = 3),
        "; remove duplicated conditions or shrink V towards the identity."
      ),
      class = "covmash_error_V"
    )
  }
  V
}

# Differences of the size of rounding are not asymmetry.
is_symmetric <- function(U) {
  max(abs(U - t(U))) <= 1e-10 * max(abs(U))
}

symmetrise <- function(U) {
  if (isTRUE(all(U == t(U)))) U else (U + t(U)) / 2
}

min_eigenvalue <- function(U) {
  min(eigen(U, symmetric = TRUE, only.values = TRUE)$values)
}

is_positive_definite <- function(V) {
  factor <- tryCatch(chol(unname(V)), error = function(cnd) NULL)
  !is.null(factor) && all(diag(factor) > 0)
}

# Positive semi-definite up to `tol`. The Cholesky factor is the cheap proof;
# eigenvalues are needed only when U is singular.
issemidef <- function(U, tol = 1e-8) {
  is_positive_definite(U) || min_eigenvalue(U) > -tol
}

# ---- covariance matrices ----------------------------------------------------

# The list of covariance matrices: plain, named, each checked.
check_ulist <- function(Ulist, R, conditions = NULL, name = "Ulist") {
  if (is.matrix(Ulist) || is_factor_cov(Ulist)) {
    Ulist <- list(Ulist)
  }
  if (!is.list(Ulist) || is.data.frame(Ulist)) {
    abort_input(
      paste0(
        "`", name, "` must be a list of covariance matrices, not ",
        describe(Ulist), "."
      ),
      class = "covmash_error_ulist"
    )
  }
  if (length(Ulist) == 0L) {
    abort_input(
      paste0(
        "`", name, "` is empty; give at least one covariance matrix, e.g. those ",
        "of cov_canonical()."
      ),
      class = "covmash_error_ulist"
    )
  }
  Ulist <- name_ulist(Ulist, name)
  for (k in seq_along(Ulist)) {
    Ulist[[k]] <- check_prior_covariance(
      Ulist[[k]], ulist_label(Ulist, k, name), R, conditions
    )
  }
  Ulist
}

ulist_label <- function(Ulist, k, name) {
  paste0("Matrix ", k, " ('", names(Ulist)[k], "') of `", name, "`")
}

# Matrices without a name are called U1, U2, ... after their place.
name_ulist <- function(Ulist, name = "Ulist") {
  labels <- names(Ulist)
  if (is.null(labels)) {
    labels <- character(length(Ulist))
  }
  unnamed <- is.na(labels) | !nzchar(labels)
  labels[unnamed] <- paste0("U", seq_along(Ulist))[unnamed]
  if (anyDuplicated(labels)) {
    warn_covmash(
      paste0(
        "`", name, "` has two matrices called '", labels[duplicated(labels)][1],
        "'; numbers are added to tell them apart."
      ),
      class = "covmash_warning_names"
    )
    labels <- make.unique(labels)
  }
  names(Ulist) <- labels
  as.list(Ulist)
}

check_prior_covariance <- function(U, label, R, conditions = NULL) {
  if (is.data.frame(U)) {
    U <- as.matrix(U)
  }
  if (R == 1L && is.null(dim(U)) && is.numeric(U) && length(U) == 1L) {
    U <- matrix(U)
  }
  # A factored covariance is one by construction; it stays factored.
  factored <- is_factor_cov(U)
  if (!factored && (!is.matrix(U) || !is.numeric(U))) {
    abort_input(
      paste0(label, " must be a numeric matrix, not ", describe(U), "."),
      class = "covmash_error_ulist"
    )
  }
  if (nrow(U) != R || ncol(U) != R) {
    abort_input(
      paste0(
        label, " is ", nrow(U), " x ", ncol(U), ", but the data have ",
        plural(R, "condition"), "."
      ),
      class = "covmash_error_ulist"
    )
  }
  if (!factored) {
    storage.mode(U) <- "double"
    U <- plain_matrix(U)
    check_finite_prior(U, label)
  }
  if (!is.null(conditions) && setequal(colnames(U), conditions) &&
        !identical(colnames(U), conditions)) {
    abort_input(
      paste0(
        label, " has the conditions of the data in another order (column ",
        which(colnames(U) != conditions)[1], " is '",
        colnames(U)[colnames(U) != conditions][1], "'); reorder its rows and ",
        "columns."
      ),
      class = "covmash_error_names"
    )
  }
  if (factored) U else check_prior_values(U, label)
}

check_finite_prior <- function(U, label) {
  if (!all(is.finite(U))) {
    abort_input(
      paste0(
        label, " must be finite, but its entry in ",
        label_entry(U, which(!is.finite(U))[1]), " is ", U[!is.finite(U)][1], "."
      ),
      class = "covmash_error_ulist"
    )
  }
}

check_prior_values <- function(U, label) {
  if (!is_symmetric(U)) {
    at <- which.max(abs(U - t(U)))
    abort_input(
      paste0(
        label, " is not symmetric: its entry in ", label_entry(U, at),
        " differs from the mirrored one by ",
        format(max(abs(U - t(U))), digits = 3), "."
      ),
      class = "covmash_error_ulist"
    )
  }
  U <- symmetrise(U)
  if (!issemidef(U, 1e-8 * max(1, abs(U)))) {
    abort_input(
      paste0(
        label, " is not positive semi-definite: its smallest eigenvalue is ",
        format(min_eigenvalue(U), digits = 3), "."
      ),
      class = "covmash_error_ulist"
    )
  }
  U
}

# ---- choosing rows and conditions -------------------------------------------

# Positions from indices (also negative), names or a logical vector.
resolve_index <- function(index, n, labels, name, what) {
  if (is.logical(index)) {
    if (length(index) != n || anyNA(index)) {
      abort_input(
        paste0(
          "A logical `", name, "` must have one TRUE or FALSE for each of the ",
          plural(n, what), ", but it has length ", length(index),
          if (anyNA(index)) " and contains NA", "."
        ),
        class = "covmash_error_index"
      )
    }
    return(which(index))
  }
  if (is.character(index)) {
    at <- match(index, labels)
    if (anyNA(at)) {
      abort_input(
        paste0(
          "`", name, "` names ", quote_some(unique(index[is.na(at)])),
          ", but there is no ", what, " of that name",
          if (is.null(labels)) paste0(" (the ", what, "s have no names)"), "."
        ),
        class = "covmash_error_index"
      )
    }
    return(at)
  }
  if (!is.numeric(index) || anyNA(index) || any(abs(index) > n) ||
        any(index != round(index))) {
    abort_input(
      paste0(
        "`", name, "` must hold ", what, " numbers from 1 to ", format_count(n),
        ", names, or TRUE and FALSE", bad_index(index, n), "."
      ),
      class = "covmash_error_index"
    )
  }
  if (any(index < 0) && any(index > 0)) {
    abort_input(
      paste0("`", name, "` mixes positive and negative numbers; use one kind."),
      class = "covmash_error_index"
    )
  }
  if (any(index < 0)) {
    return(setdiff(seq_len(n), -index))
  }
  index <- unname(index[index != 0])
  if (is.integer(index)) index else as_index(index)
}

bad_index <- function(index, n) {
  if (!is.numeric(index)) {
    return(paste0(", not ", describe(index)))
  }
  bad <- is.na(index) | abs(index) > n | index != round(index)
  bad[is.na(bad)] <- TRUE
  paste0("; its element ", which(bad)[1], " is ", format(index[bad][1]))
}

as_index <- function(x) {
  if (length(x) == 0L || max(x) <= .Machine$integer.max) as.integer(x) else x
}

# The rows `subset` names; NULL means all.
resolve_subset <- function(subset, data, name = "subset") {
  J <- nrow(data$Bhat)
  if (is.null(subset)) {
    return(seq_len(J))
  }
  rows <- resolve_index(subset, J, rownames(data$Bhat), name, "row")
  if (length(rows) == 0L) {
    abort_input(
      paste0("`", name, "` selects no row; choose at least one."),
      class = "covmash_error_index"
    )
  }
  rows
}

# ---- unknown arguments ------------------------------------------------------

# The arguments caught by `...`: those in `known` are returned, the others are
# ignored with a warning, so that a script written for another package runs on.
take_dots <- function(dots, known, where) {
  labels <- names(dots)
  if (is.null(labels)) {
    labels <- character(length(dots))
  }
  unknown <- !(labels %in% known)
  if (any(unknown)) {
    shown <- ifelse(nzchar(labels[unknown]), labels[unknown], "(unnamed)")
    warn_covmash(
      paste0(
        where, " does not use ", if (sum(unknown) == 1) "the argument " else
          "the arguments ", quote_some(shown, 6L), "; ignored."
      ),
      class = "covmash_warning_ignored"
    )
  }
  dots[!unknown]
}

# ---- objects ----------------------------------------------------------------

check_data <- function(data, name = "data") {
  if (inherits(data, "mash_data")) {
    return(invisible(data))
  }
  advice <- if (is.list(data) && all(c("Bhat", "Shat") %in% names(data))) {
    "make it from the same `Bhat` and `Shat` with covmash::mash_set_data()"
  } else {
    "make it with mash_set_data()"
  }
  abort_input(
    paste0(
      "`", name, "` must be a data object of covmash, not ", describe(data),
      "; ", advice, "."
    ),
    class = "covmash_error_data"
  )
}

check_fit <- function(m, name = "m") {
  if (!inherits(m, "mash_fit")) {
    abort_input(
      paste0("`", name, "` must be a fit of mash(), not ", describe(m), "."),
      class = "covmash_error_fit"
    )
  }
  invisible(m)
}
