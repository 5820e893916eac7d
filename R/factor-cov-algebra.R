# `factor_cov` and `factor_precision` as matrices. R dispatches `%*%` and crossprod()
# on S4 only, so these are S4 methods; the generics are those of base and stats, as
# the Matrix package has them, and mask nothing.

#' @importFrom methods Ops setGeneric setMethod setOldClass show
#' @exportMethod %*%
#' @exportMethod crossprod
#' @exportMethod tcrossprod
#' @exportMethod diag
#' @exportMethod cov2cor
#' @exportMethod show
#' @exportMethod Ops
#' @exportMethod !
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
# The table of these two methods was made inside of the generic, with all methods that R knows of it: 90 KB in the package.
local({
  methods <- get(".__T__show:methods", envir = topenv())
  parent.env(methods) <- baseenv()
})

# The other side of a product with x, as a plain matrix with as many rows (or columns), in the order
# of its names.
product_operand <- function(y, x, side) {
  n <- dim(x)[1]
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
  y <- matrix_input(
    y, "The other factor of the product", n_rows = if (rows) n, n_columns = if (!rows) n,
    size = paste("have", plural(n, if (rows) "row" else "column")), vector = vector, values = "any"
  )
  genes <- if (is_factor_cov(x)) x else x$covariance
  in_gene_order(y, genes, "The other factor of the product", "the covariance", side)
}

# A %*% y for a symmetric matrix A held by parts, with the names of the product.
symmetric_product <- function(x, y, multiply) {
  check_factored(x)
  y <- product_operand(y, x, "rows")
  out <- multiply(x, y)
  dimnames(out) <- product_names(dimnames(x)[[1]], colnames(y))
  out
}

# y %*% A is the transpose of A %*% t(y).
symmetric_product_left <- function(y, x, multiply) {
  check_factored(x, "y")
  y <- product_operand(y, x, "columns")
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
  check_factor_cov(x, "x")
  variances <- systematic_variances(x) + x$D
  if (isTRUE(names)) variances else unname(variances)
})

setMethod("cov2cor", "factor_cov", function(V) correlation(V))

# ---- scaling -----------------------------------------------------------------

# As S4 methods, because R gives up on two S3 methods of different classes.
for (class in c("factor_cov", "factor_precision")) {
  setMethod("Ops", c(class, "ANY"), function(e1, e2) scaled_by(e1, e2, .Generic))
  setMethod("Ops", c(class, "missing"), function(e1, e2) scaled_by(e1, NULL, .Generic))
  setMethod("Ops", c("ANY", class), function(e1, e2) scaled_by(e1, e2, .Generic))
  setMethod("!", class, function(x) scaled_by(x, NULL, "!"))
  for (other in c("factor_cov", "factor_precision")) {
    setMethod("Ops", c(class, other), function(e1, e2) scaled_by(e1, e2, .Generic))
  }
}
rm(class, other)

# c Sigma, Sigma c or Sigma / c; of its inverse likewise.
scaled_by <- function(e1, e2, operation) {
  first <- is_factor_cov(e1) || inherits(e1, "factor_precision")
  x <- if (first) e1 else e2
  check_factored(x, if (first) "e1" else "e2")
  c <- if (first) e2 else e1
  inverse <- !is_factor_cov(x)
  least <- if (inverse || operation == "/") .Machine$double.xmin else 0
  known <- operation == "*" || operation == "/" && first
  if (!known || !is.numeric(c) || !checkmate::test_number(c, lower = least, finite = TRUE)) {
    abort_input(
      "A `{class(x)[1]}` can be multiplied by one number {if (inverse) 'above' else 'of at least'} 0 and divided ",
      "by one above 0; for `{operation}`{if (!is.null(c)) paste(' with', describe(c))} use as.matrix().",
      class = "covmash_error_type"
    )
  }
  c <- as.double(c)
  if (operation == "/") c <- 1 / c
  if (inverse) scale_precision(x, c) else scale_factor_cov(x, c)
}

# F is the identity or stays what it is: the loadings take the factor.
scale_factor_cov <- function(x, c) {
  D <- c * x$D
  lost <- c > 0 & D < .Machine$double.xmin & x$D > D
  if (any(lost)) {
    at <- which(lost)[1]
    abort_input(
      "Multiplied by {format(c)}, the noise variance of {label_index('gene', at, gene_names(x))} is below the ",
      "smallest number; use other units.",
      class = "covmash_error_not_finite"
    )
  }
  factor_covariance(sqrt(c) * x$B, x$F, D)
}

scale_precision <- function(x, c) {
  times <- function(part, by) if (!is.null(part)) by * part
  new_factor_precision(
    times(x$W, sqrt(c)), c * x$D_inverse, c * x$diagonal, x$s, x$covariance / c,
    x$border, times(x$columns, c), times(x$rest, sqrt(c))
  )
}
