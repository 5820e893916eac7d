# Matrices from what users have, and what a covariance matrix is: every intake of a matrix is
# matrix_input() or covariance_input() with words of its own.

# ---- matrices ----------------------------------------------------------------

# A plain double matrix from a matrix, a data frame of numbers, a matrix of the Matrix package, or
# a vector (one column, one row, or not at all: "no"). `label` is its name in messages, `what` what
# it should be. There are at least as many rows and columns as `least` says; exactly n_rows and
# n_columns where given, which `size` says in words. Values may be "finite", "missing" (or finite)
# or "any". `class` stands for the class of each kind of error.
matrix_input <- function(x, label, what = "a numeric matrix", n_rows = NULL, n_columns = NULL,
                         size = NULL, least = c(0L, 0L), vector = "column",
                         values = "finite", class = NULL) {
  fail <- function(kind, ..., env = parent.frame()) {
    abort_input(..., class = c(class, paste0("covmash_error_", kind))[1], env = env)
  }
  if (is.data.frame(x)) {
    at <- which(!vapply(x, is_number_like, logical(1)))[1]
    if (!is.na(at)) {
      column <- label_index("column", at, names(x))
      fail(
        "type", "{label} must be numeric, but its {column} is of class {class(x[[at]])[1]}; ",
        "leave that column out or convert it."
      )
    }
  }
  x <- as_matrix(x, vector)
  # A matrix without entries has its type by accident.
  if (!is.matrix(x) || !(is_number_like(x) || length(x) == 0L)) {
    fail("type", "{label} must be {what}, not {describe(x)}.")
  }
  if (any(dim(x) < least)) {
    size <- paste(c("one row", "one column")[least > 0L], collapse = " and ")
    fail("dimensions", "{label} must have at least {size}, but it is {nrow(x)} x {ncol(x)}.")
  }
  if (!all(nrow(x) == n_rows) || !all(ncol(x) == n_columns)) {
    fail("dimensions", "{label} must {size}, but it is {nrow(x)} x {ncol(x)}.")
  }
  if (storage.mode(x) != "double") {
    storage.mode(x) <- "double"
  }
  x <- plain_matrix(x)
  if (values == "missing" && anyNA(x)) {
    x[is.nan(x)] <- NA
  }
  at <- if (values != "any") first_bad_value(x, values == "missing")
  if (!is.null(at)) {
    allowed <- if (values == "missing") "finite or NA" else "finite"
    fail("not_finite", "{label} must be {allowed}, but its entry in {label_entry(x, at)} is {x[at]}.")
  }
  x
}

as_matrix <- function(x, vector) {
  if (is.data.frame(x) || inherits(x, c("Matrix", "factor_cov", "factor_precision"))) {
    return(as.matrix(x))
  }
  if (!is.null(dim(x)) || !is_number_like(x) || vector == "no") {
    return(x)
  }
  labels <- names(x)
  if (vector == "row") {
    matrix(x, nrow = 1L, dimnames = if (!is.null(labels)) list(NULL, labels))
  } else {
    matrix(x, ncol = 1L, dimnames = if (!is.null(labels)) list(labels, NULL))
  }
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

# NULL if there is none. The sum is finite unless something is not, so the entries are looked at
# one by one only when there is reason to.
first_bad_value <- function(x, missing_allowed) {
  if (is.finite(sum(x, na.rm = missing_allowed))) {
    return(NULL)
  }
  bad <- if (missing_allowed) is.infinite(x) else !is.finite(x)
  if (any(bad)) which(bad)[1]
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
    "The {what} names of `{name}` differ from those of {reference}: {what} {format_count(at)} is ",
    "'{theirs[at]}' in `{name}` but '{ours[at]}' in {reference}; put both in the same order.",
    class = "covmash_error_names"
  )
}

# ---- covariance matrices -----------------------------------------------------

# A covariance matrix, symmetric to the last bit, that is positive semi-definite ("semi") or
# positive definite ("positive"); with "no" a square matrix as it is. A `factor_cov` is one by
# construction and stays one if `factored`. `invalid` is the class of the error if it is none, unless
# `class` stands for all; `advice` ends the message.
covariance_input <- function(x, label, definite = "semi", what = "a `factor_cov` or a numeric matrix",
                             n = NULL, size = "be square", vector = "no",
                             factored = FALSE, class = NULL,
                             invalid = "covmash_error_covariance", advice = "") {
  if (is_factor_cov(x)) {
    refuse_damaged(damaged_covariance(x), label, "factor_covariance()", quote = "", class = class)
    if (factored && all(dim(x) == n)) {
      return(x)
    }
  }
  if (is.null(n)) {
    n <- if (length(dim(x)) == 2L) ncol(x)
    least <- c(1L, 1L)
  } else {
    least <- c(0L, 0L)
  }
  x <- matrix_input(x, label, what, n, n, size, least, vector, class = class)
  if (definite == "no" || length(x) == 0L) {
    return(x)
  }
  invalid <- c(class, invalid)[1]
  exact <- isTRUE(all(x == t(x)))
  if (!exact && !is_symmetric(x)) {
    at <- which.max(abs(x - t(x)))
    abort_input(
      "{label} is not symmetric: its entry in {label_entry(x, at)} differs from the mirrored one by ",
      "{format(max(abs(x - t(x))), digits = 3)}; (x + t(x)) / 2 is, if the difference is rounding.",
      class = invalid
    )
  }
  if (!exact) {
    x <- (x + t(x)) / 2
  }
  if (definite == "positive" && !is_positive_definite(x)) {
    smallest <- format(min_eigenvalue(unit_variances(x)), digits = 3)
    abort_input(
      "{label} must be positive definite, but it is singular or worse: scaled to unit variances, ",
      "its smallest eigenvalue is {smallest}{advice}.",
      class = invalid
    )
  }
  if (definite == "semi" && !is_semidefinite(x)) {
    smallest <- format(min_eigenvalue(unit_variances(x)), digits = 3)
    abort_input(
      "{label} is not positive semi-definite: scaled to unit variances, its smallest eigenvalue is ",
      "{smallest}{advice}.",
      class = invalid
    )
  }
  without_negative_variances(x)
}

# The one definition of a covariance matrix, in all of the package. It is judged on the matrix
# scaled to unit variances, so that no unit of measurement matters:
#   symmetric                no two mirrored entries differ by more than covariance_tolerance;
#   positive semi-definite   no eigenvalue is below -N covariance_tolerance (they sum to N);
#   positive definite        all pivots of the Cholesky factorisation with complete pivoting
#                            are above 4 N eps: below, they cannot be told from rounding.
# The eigenvalues of matrices of rank below N that were computed in doubles (crossprod(), cov(),
# EM updates) are above -1e-11 for N = 1000; matrices that were printed with nine digits pass.
covariance_tolerance <- 1e-8

# Standard deviations. A variance that is not positive gives no scale: the largest does.
unit_scale <- function(x) {
  variances <- base::diag(x)
  none <- !(variances > 0)
  if (any(none)) {
    largest <- max(variances)
    if (largest <= 0) largest <- max(abs(x))
    variances[none] <- if (largest > 0) largest else 1
  }
  sqrt(variances)
}

unit_variances <- function(x) {
  scale <- unit_scale(x)
  x / scale / rep(scale, each = nrow(x))
}

is_symmetric <- function(x) {
  gap <- abs(x - t(x))
  if (all(gap == 0)) {
    return(TRUE)
  }
  scale <- unit_scale(x)
  all(gap / scale / rep(scale, each = nrow(x)) <= covariance_tolerance)
}

symmetrise <- function(U) {
  if (isTRUE(all(U == t(U)))) U else (U + t(U)) / 2
}

# The Cholesky factor is the cheap proof; eigenvalues are needed only where there is none.
is_semidefinite <- function(x) {
  x <- unit_variances(unname(x))
  # A call of the core that cannot fail, and catches nothing.
  has_cholesky <- if (takes_long(x)) run_core(cpp_has_cholesky(x)) else cpp_has_small_cholesky(x)
  has_cholesky || min_eigenvalue(x) >= -nrow(x) * covariance_tolerance
}

is_positive_definite <- function(x) {
  x <- unit_variances(unname(x))
  tolerance <- 4 * nrow(x) * .Machine$double.eps
  if (takes_long(x)) {
    return(run_core(cpp_cholesky_rank(x, tolerance)) == nrow(x))
  }
  # It warns of what it is asked for.
  factor <- suppressWarnings(chol(x, pivot = TRUE, tol = tolerance))
  attr(factor, "rank") == nrow(x)
}

# -Inf where correlations are beyond all numbers.
min_eigenvalue <- function(U) {
  if (!all(is.finite(U))) {
    return(-Inf)
  }
  min(dense_eigenvalues(U))
}

# R's chol() and eigen() cannot be interrupted; the core can.
takes_long <- function(x) nrow(x) >= 512L

symmetric_eigen <- function(x) {
  if (!takes_long(x)) {
    return(eigen(x, symmetric = TRUE))
  }
  parts <- run_core(cpp_symmetric_eigen(unname(x), resolve_threads()))
  list(values = rev(parts$values), vectors = parts$vectors[, rev(seq_len(nrow(x))), drop = FALSE])
}

# The values alone, decreasing; the lower triangle is read.
dense_eigenvalues <- function(x) {
  if (takes_long(x)) {
    run_core(cpp_symmetric_eigenvalues(x, resolve_threads()))
  } else {
    eigen(x, symmetric = TRUE, only.values = TRUE)$values
  }
}

# Of a semi-definite matrix they are rounding: nothing varies there.
without_negative_variances <- function(x) {
  none <- which(base::diag(x) < 0)
  if (length(none) == 0L) {
    return(x)
  }
  x[none, ] <- 0
  x[, none] <- 0
  x
}
