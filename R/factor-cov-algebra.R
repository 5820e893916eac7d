# `factor_cov` and `factor_precision` as matrices. R dispatches `%*%` and crossprod()
# on S4 only, so these are S4 methods; the generics are those of base and stats, as
# the Matrix package has them, and mask nothing.

#' @importFrom methods setGeneric setMethod setOldClass show
#' @exportMethod %*%
#' @exportMethod crossprod
#' @exportMethod tcrossprod
#' @exportMethod diag
#' @exportMethod cov2cor
#' @exportMethod show
NULL

setOldClass("factor_cov")
setOldClass("factor_precision")

# With their arguments as in base and stats, also where R has them as primitives.
setGeneric("crossprod")
setGeneric("tcrossprod")
setGeneric("diag")
setGeneric("cov2cor")

setMethod("show", "factor_cov", function(object) print(object))
setMethod("show", "factor_precision", function(object) print(object))

# The other side of a product, as a plain matrix with n rows (or columns).
product_operand <- function(y, n, side) {
  if (isS4(y)) {
    y <- as.matrix(y)
  }
  if (is.logical(y)) {
    storage.mode(y) <- "double"
  }
  if (!is.numeric(y) && !is.data.frame(y)) {
    abort_input(
      "A covariance matrix cannot be multiplied by {describe(y)}.", class = "covmash_error_type"
    )
  }
  rows <- side == "rows"
  # As `%*%` has it: a vector is a column or a row, whichever fits.
  vector <- if (rows == (length(y) == n)) "column" else "row"
  matrix_input(
    y, "The other factor of the product", n_rows = if (rows) n, n_columns = if (!rows) n,
    size = paste("have", plural(n, if (rows) "row" else "column")), vector = vector, values = "any"
  )
}

# A %*% y for a symmetric matrix A held by parts, with the names of the product.
symmetric_product <- function(x, y, multiply) {
  y <- product_operand(y, dim(x)[1], "rows")
  out <- multiply(x, y)
  dimnames(out) <- product_names(dimnames(x)[[1]], colnames(y))
  out
}

# y %*% A is the transpose of A %*% t(y).
symmetric_product_left <- function(y, x, multiply) {
  y <- product_operand(y, dim(x)[1], "columns")
  out <- t(multiply(x, t(y)))
  dimnames(out) <- product_names(rownames(y), dimnames(x)[[1]])
  out
}

product_names <- function(rows, columns) {
  if (is.null(rows) && is.null(columns)) NULL else list(rows, columns)
}

factor_times <- function(x, y) {
  f <- crossprod(x$B, y)
  if (!is.null(x$F)) f <- x$F %*% f
  x$B %*% f + x$D * y
}

# One multiplication gives all the products of a class of symmetric matrices. A
# vector stays one: whether it is a row or a column is decided by its length.
define_products <- function(class, multiply) {
  right <- function(x, y) symmetric_product(x, y, multiply)
  left <- function(x, y) symmetric_product_left(x, y, multiply)
  turn <- function(y) if (is.null(dim(y))) y else t(as.matrix(y))
  define <- function(generic, x, y, definition) {
    setMethod(generic, c(x, y), definition, where = topenv())
  }
  for (other in c("ANY", class)) {
    define("%*%", class, other, function(x, y) right(x, y))
    define("crossprod", class, other, function(x, y = NULL, ...) right(x, y))
    define("tcrossprod", class, other, function(x, y = NULL, ...) right(x, turn(y)))
  }
  for (alone in c("missing", "NULL")) {
    define("crossprod", class, alone, function(x, y = NULL, ...) right(x, x))
    define("tcrossprod", class, alone, function(x, y = NULL, ...) right(x, x))
  }
  define("%*%", "ANY", class, function(x, y) left(x, y))
  define("crossprod", "ANY", class, function(x, y = NULL, ...) left(turn(x), y))
  define("tcrossprod", "ANY", class, function(x, y = NULL, ...) left(x, y))
}

define_products("factor_cov", function(x, y) factor_times(x, y))

setMethod("diag", "factor_cov", function(x = 1, nrow, ncol, names = TRUE) {
  variances <- systematic_variances(x) + x$D
  if (isTRUE(names)) variances else unname(variances)
})

setMethod("cov2cor", "factor_cov", function(V) correlation(V))
