# The door of the factored matrices: like data objects and fits they may come from readRDS() or have been
# edited, and are looked at where they enter. O(NK), no copy.

check_factor_cov <- function(x, name = "Sigma") {
  if (!is_factor_cov(x)) {
    abort_input(
      "`{name}` must be a `factor_cov`, as factor_covariance() makes it, not {describe(x)}.",
      class = "covmash_error_type"
    )
  }
  refuse_damaged(damaged_covariance(x), name, "factor_covariance()")
  invisible(x)
}

check_factor_precision <- function(x, name = "x") {
  refuse_damaged(damaged_precision(x), name, "precision()")
  invisible(x)
}

# Of either class.
check_factored <- function(x, name = "x") {
  if (inherits(x, "factor_precision")) check_factor_precision(x, name) else check_factor_cov(x, name)
}

refuse_damaged <- function(damage, name, maker, quote = "`", class = NULL) {
  if (!is.null(damage)) {
    abort_input(
      "{quote}{name}{quote} is damaged: {damage}; make it again with {maker}.",
      class = c(class, "covmash_error_type")
    )
  }
}

# What is wrong with a factor_cov, in words; NULL if nothing is.
damaged_covariance <- function(x) {
  if (!is.list(x)) {
    return("it is not a list")
  }
  x <- unclass(x)
  N <- length(x$D)
  if (N == 0L || !holds_numbers(x$D) || min(x$D) < 0) {
    return("its `D` must hold finite noise variances of at least 0")
  }
  if (!is.matrix(x$B) || !holds_numbers(x$B) || nrow(x$B) != N) {
    return(paste("its `B` must be a numeric matrix with a row for each of the", plural(N, "element"), "of `D`"))
  }
  K <- ncol(x$B)
  if (!is.null(x$F) && !(is.matrix(x$F) && holds_numbers(x$F) && all(dim(x$F) == K) && is_symmetric(x$F))) {
    return(paste("its `F` must be NULL or a symmetric matrix of", K, "x", K))
  }
  # Row names may have names of their own, where they came from unlist().
  if (!identical(names(x$D), as.vector(rownames(x$B)))) {
    "the names of its `D` and the row names of its `B` differ"
  }
}

damaged_precision <- function(x) {
  if (!is.list(x)) {
    return("it is not a list")
  }
  x <- unclass(x)
  if (!is_factor_cov(x$covariance)) {
    return("it has no `covariance`")
  }
  damage <- damaged_covariance(x$covariance)
  if (!is.null(damage)) {
    return(paste("in its `covariance`,", damage))
  }
  N <- length(x$covariance$D)
  b <- x$border
  rows <- function(part, columns = NULL) {
    is.matrix(part) && is.numeric(part) && nrow(part) == N && (is.null(columns) || ncol(part) == columns)
  }
  # Outside the border D^-1 may be infinite nowhere, inside it is not used.
  whole <- is.numeric(x$D_inverse) && length(x$D_inverse) == N && is.null(dim(x$D_inverse)) &&
    holds_numbers(x$diagonal) && length(x$diagonal) == N
  good <- if (length(b) > 0L) {
    checkmate::test_integerish(b, lower = 1, upper = N, any.missing = FALSE, unique = TRUE) &&
      rows(x$columns, length(b)) && rows(x$rest)
  } else {
    rows(x$W) && (is.null(x$s) || is.numeric(x$s) && length(x$s) == ncol(x$W))
  }
  if (!whole || !good) {
    "its parts do not fit together"
  }
}

holds_numbers <- function(x) is.numeric(x) && is.null(first_bad_value(x, FALSE))
