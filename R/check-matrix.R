# Matrices from what users have, and what a covariance matrix is.

# A double matrix from what users have: a matrix (numeric, integer, or logical
# that is all NA), a data frame of numbers, or a vector (one column).
as_data_matrix <- function(x, name) {
  if (is.data.frame(x)) {
    not_number <- !vapply(x, is_number_like, logical(1))
    if (any(not_number)) {
      at <- which(not_number)[1]
      abort_input(
        "`{name}` must be numeric, but its {label_index('column', at, names(x))} is of class ",
        "{class(x[[at]])[1]}; leave that column out or convert it.",
        class = "covmash_error_type"
      )
    }
    x <- as.matrix(x)
  } else if (is.null(dim(x)) && is_number_like(x)) {
    x <- matrix(x, ncol = 1L, dimnames = if (!is.null(names(x))) list(names(x), NULL))
  }
  if (!is.matrix(x) || !is_number_like(x)) {
    abort_input(
      "`{name}` must be a numeric matrix with effects in rows and conditions in columns, not {describe(x)}.",
      class = "covmash_error_type"
    )
  }
  if (nrow(x) < 1L || ncol(x) < 1L) {
    abort_input(
      "`{name}` must have at least one row and one column, but it is {nrow(x)} x {ncol(x)}.",
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
    "The {what} names of `{name}` differ from those of {reference}: {what} {format_count(at)} is ",
    "'{theirs[at]}' in `{name}` but '{ours[at]}' in {reference}; put both in the same order.",
    class = "covmash_error_names"
  )
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
