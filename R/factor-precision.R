# The inverse of a factored covariance, Sigma^-1 = D^-1 - W W': the class
# `factor_precision`, and solve() by the matrix inversion lemma.

#' The inverse of a factored covariance
#'
#' `precision()`, or `solve()` without a right-hand side, inverts a `factor_cov` by
#' the matrix inversion lemma (Woodbury's identity),
#' \deqn{\Sigma^{-1} = D^{-1} - D^{-1} B (F^{-1} + B' D^{-1} B)^{-1} B' D^{-1}
#'   = D^{-1} - W W',}
#' in O(NK^2) time and O(NK) memory.
#'
#' @param Sigma A `factor_cov`, see [factor_covariance()], or a plain covariance
#'   matrix, which is inverted by its Cholesky factor.
#' @return `precision()`: a `factor_precision`, a list with elements `W` (N x K or
#'   fewer columns), `D_inverse` (N), `diagonal` (N, the diagonal of the inverse),
#'   `s`, `covariance` (the `factor_cov` it came from), and in the bordered form
#'   `border`, `columns` and `rest`, that behaves as an N x N
#'   matrix ([factor_cov-methods]). For a plain matrix, a plain matrix.
#' @details Computed from the singular value decomposition of
#'   \eqn{D^{-1/2} B F^{1/2} = U s V'}, so that nothing is squared:
#'   \eqn{W = D^{-1/2} U s (1 + s^2)^{-1/2}}. \eqn{F} may be singular.
#'
#'   Where some \eqn{D} are 0 and \eqn{\Sigma} is not singular, \eqn{D^{-1}} does
#'   not exist but the inverse does: genes without noise fix directions of the
#'   factor space (the bordered form). Genes whose noise is small against the variance
#'   that all others leave them are treated in the same way, because \eqn{D^{-1} - W W'}
#'   would cancel. Then `W` is `NULL`, `border` has these genes, `columns` their
#'   columns of the inverse, and `rest` is `W` for the other genes (0 in the rows of the
#'   border); there are at most about K of them. So entries and products are good to
#'   about 1e-16 times the condition of \eqn{\Sigma} scaled to unit variances.
#' @section Errors: `covmash_error_singular` if \eqn{\Sigma} is singular, naming
#'   the genes that the others determine; `covmash_error_magnitude` if the result is beyond the
#'   largest number.
#' @references Woodbury MA (1950). *Inverting Modified Matrices*. Statistical
#'   Research Group Memorandum Report 42, Princeton. Henderson HV, Searle SR
#'   (1981). On deriving the inverse of a sum of matrices. *SIAM Review* 23,
#'   53-60, equation 17. \doi{10.1137/1023004}
#' @seealso [partial_correlation()], [conditional()]
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 6, n_pathways = 2)$Sigma
#' P <- precision(Sigma)
#' P
#' round(as.matrix(P) %*% as.matrix(Sigma), 10)
#' solve(Sigma, rep(1, 6))
precision <- function(Sigma) {
  if (!is_factor_cov(Sigma)) {
    return(plain_precision(Sigma))
  }
  parts <- factor_core(Sigma, cpp_factor_precision, factor_threads(Sigma))
  genes <- gene_names(Sigma)
  named <- function(x) if (is.null(x) || is.null(genes)) x else `rownames<-`(x, genes)
  new_factor_precision(
    named(parts$W), 1 / Sigma$D, stats::setNames(parts$diagonal, genes), parts$s, Sigma,
    parts$border, named(parts$columns), named(parts$rest)
  )
}

new_factor_precision <- function(W, D_inverse, diagonal, s, covariance, border = NULL,
                                 columns = NULL, rest = NULL) {
  asS4(structure(
    list(
      W = W, D_inverse = D_inverse, diagonal = diagonal, s = s,
      covariance = covariance, border = border, columns = columns, rest = rest
    ),
    class = "factor_precision"
  ))
}

# Small problems are not worth asking how many cores there are.
factor_threads <- function(Sigma) {
  if (nrow(Sigma$B) * (ncol(Sigma$B) + 1)^2 < 1e6) 1L else resolve_threads()
}

plain_precision <- function(Sigma) {
  Sigma <- covariance_input(Sigma, "`Sigma`", "positive", invalid = "covmash_error_singular")
  scale <- unit_scale(Sigma)
  P <- chol2inv(chol(unit_variances(unname(Sigma)))) / scale / rep(scale, each = nrow(Sigma))
  P <- check_overflow(symmetrise(P), "The inverse of `Sigma`")
  dimnames(P) <- dimnames(Sigma)
  P
}

# Of finite arguments.
check_overflow <- function(x, what) {
  if (!is.finite(sum(x)) && any(!is.finite(x))) {
    abort_input("{what} is beyond the largest number; change the units.", class = "covmash_error_magnitude")
  }
  x
}

# Calls the core with the parts of Sigma; a singular one is an error that names the
# genes.
factor_core <- function(Sigma, core, ..., name = "Sigma") {
  check_factor_cov(Sigma, name)
  out <- run_core(core(Sigma$B, Sigma$F, Sigma$D, ...))
  if (length(out$dependent) > 0L) {
    abort_singular(Sigma, out$dependent, name)
  }
  out
}

abort_singular <- function(Sigma, genes, name) {
  shown <- vapply(
    first_few(genes, 3L), function(i) label_index("gene", i, gene_names(Sigma)), ""
  )
  more <- length(genes) - length(shown)
  more <- if (more > 0) paste(" and", plural(more, "more gene"))
  # "gene 2 has ... and is", "gene 1, gene 2 have ... and are"
  word <- if (length(genes) == 1L) c("has", "is", "it") else c("have", "are", "them")
  abort_input(
    "`{name}` is singular: {shown}{more} {word[1]} no noise (D = 0) and {word[2]} determined by ",
    "the other genes without noise; give {word[3]} a noise variance or leave {word[3]} out.",
    class = "covmash_error_singular"
  )
}

# ---- algebra of a factored covariance ---------------------------------------

#' @rdname factor_cov-methods
#' @export
solve.factor_cov <- function(a, b, ...) {
  check_factor_cov(a, "a")
  if (missing(b)) {
    return(precision(a))
  }
  vector <- is.null(dim(b))
  b <- right_hand_side(b, length(a$D), a)
  x <- check_overflow(factor_core(a, cpp_factor_solve, b, factor_threads(a), name = "a")$x, "The solution")
  dimnames(x) <- product_names(gene_names(a), colnames(b))
  if (vector) drop_column(x) else x
}

right_hand_side <- function(b, n, Sigma) {
  b <- matrix_input(
    b, "`b`", "a numeric vector or matrix", n,
    size = paste0("have ", plural(n, "row"), ", one for each gene")
  )
  in_gene_order(b, Sigma, "`b`", "`a`")
}

drop_column <- function(x) stats::setNames(x[, 1], rownames(x))

#' @rdname factor_cov-methods
#' @export
determinant.factor_cov <- function(x, logarithm = TRUE, ...) {
  check_flag(logarithm, "logarithm")
  check_factor_cov(x, "x")
  determinant_of(factor_log_det(x), logarithm)
}

factor_log_det <- function(x) {
  parts <- run_core(cpp_factor_log_det(x$B, x$F, x$D, factor_threads(x)))
  if (length(parts$dependent) > 0L) -Inf else parts$log_det
}

determinant_of <- function(log_det, logarithm) {
  value <- if (logarithm) log_det else exp(log_det)
  structure(
    list(modulus = structure(value, logarithm = logarithm), sign = 1L),
    class = "det"
  )
}

#' @rdname factor_cov-methods
#' @export
chol.factor_cov <- function(x, ...) {
  factor_core(x, cpp_factor_log_det, factor_threads(x), name = "x")
  dense_cholesky(x, "x")
}

dense_cholesky <- function(x, name) {
  R <- tryCatch(chol(as.matrix(x)), error = function(cnd) NULL)
  if (is.null(R)) {
    abort_input(
      "`{name}` is singular to working precision; it has no Cholesky factor.",
      class = "covmash_error_singular"
    )
  }
  R
}

# ---- the class --------------------------------------------------------------

#' @rdname factor_cov-methods
#' @export
dim.factor_precision <- function(x) rep(length(x$D_inverse), 2L)

#' @rdname factor_cov-methods
#' @export
dimnames.factor_precision <- function(x) dimnames(x$covariance)

#' @rdname factor_cov-methods
#' @export
t.factor_precision <- function(x) x

precision_times <- function(x, y) {
  if (length(x$border) == 0L) {
    Wy <- crossprod(x$W, y)
    # As many factors as genes: D^-1 - W W' would cancel.
    if (!is.null(x$s) && length(x$s) == length(x$D_inverse)) {
      return(x$W %*% (Wy / x$s / x$s))
    }
    return(x$D_inverse * y - x$W %*% Wy)
  }
  inside <- x$border
  D_inverse <- replace(x$D_inverse, inside, 0)
  out <- D_inverse * y - x$rest %*% crossprod(x$rest, y) +
    x$columns %*% y[inside, , drop = FALSE]
  out[inside, ] <- crossprod(x$columns, y)
  out
}

define_products("factor_precision", function(x, y) precision_times(x, y))

setMethod("diag", "factor_precision", function(x = 1, nrow, ncol, names = TRUE) {
  check_factor_precision(x)
  if (isTRUE(names)) x$diagonal else unname(x$diagonal)
})

setMethod("cov2cor", "factor_precision", function(V) stats::cov2cor(as.matrix(V)))

#' @rdname factor_cov-methods
#' @export
as.matrix.factor_precision <- function(x, ...) {
  check_factor_precision(x)
  precision_entries(x, seq_along(x$D_inverse), seq_along(x$D_inverse))
}

precision_entries <- function(x, i, j) {
  W <- if (length(x$border) > 0L) x$rest else x$W
  entries <- -tcrossprod(W[i, , drop = FALSE], W[j, , drop = FALSE])
  # Of two genes inside the border the first has the entry: the same both ways.
  at_i <- match(i, x$border)
  at_j <- match(j, x$border)
  for (k in which(!is.na(at_j))) {
    outside <- is.na(at_i) | at_i >= at_j[k]
    entries[outside, k] <- x$columns[i[outside], at_j[k]]
  }
  for (k in which(!is.na(at_i))) {
    outside <- is.na(at_j) | at_j > at_i[k]
    entries[k, outside] <- x$columns[j[outside], at_i[k]]
  }
  if (identical(i, j)) entries <- symmetrise(entries)
  # The diagonal is known to its last digits, D^-1 - W W' is not.
  same <- outer(i, j, `==`)
  entries[same] <- x$diagonal[i[row(entries)[same]]]
  labels <- dimnames(x)[[1]]
  dimnames(entries) <- if (!is.null(labels)) list(labels[i], labels[j])
  entries
}

#' @rdname factor_cov-methods
#' @export
`[.factor_precision` <- function(x, i, j, ..., drop = TRUE) {
  check_factor_precision(x)
  check_flag(drop, "drop")
  if (...length() > 0L || missing(j) && nargs() - (!missing(drop)) < 3L && !missing(i)) {
    abort_input(
      "A precision matrix has two indices, rows and columns.",
      class = "covmash_error_index"
    )
  }
  rows <- if (missing(i)) seq_along(x$D_inverse) else gene_positions(x$covariance, i, "i")
  columns <- if (missing(j)) seq_along(x$D_inverse) else gene_positions(x$covariance, j, "j")
  entries <- precision_entries(x, rows, columns)
  if (drop) drop(entries) else entries
}

#' @rdname factor_cov-methods
#' @export
solve.factor_precision <- function(a, b, ...) {
  check_factor_precision(a, "a")
  if (missing(b)) {
    return(a$covariance)
  }
  vector <- is.null(dim(b))
  b <- right_hand_side(b, dim(a)[1], a$covariance)
  x <- factor_times(a$covariance, b)
  dimnames(x) <- product_names(dimnames(a)[[1]], colnames(b))
  if (vector) drop_column(x) else x
}

#' @rdname factor_cov-methods
#' @export
determinant.factor_precision <- function(x, logarithm = TRUE, ...) {
  check_flag(logarithm, "logarithm")
  check_factor_precision(x)
  log_det <- determinant(x$covariance)$modulus
  determinant_of(-as.numeric(log_det), logarithm)
}

#' @rdname factor_cov-methods
#' @export
chol.factor_precision <- function(x, ...) {
  check_factor_precision(x)
  dense_cholesky(x, "x")
}

#' @rdname factor_cov-methods
#' @export
format.factor_precision <- function(x, ...) {
  check_factor_precision(x)
  paste0(
    "<factor_precision> ", plural(dim(x)[1], "gene"), ", ",
    plural(ncol(x$covariance$B), "factor")
  )
}

#' @rdname factor_cov-methods
#' @export
print.factor_precision <- function(x, digits = 3, ...) {
  check_printing(digits)
  check_factor_precision(x)
  form <- if (length(x$border) > 0L) {
    paste0("bordered form, ", plural(length(x$border), "gene"), " with little or no noise")
  } else {
    "D^-1 - W W'"
  }
  cat(format(x), ": inverse of B F B' + D (", form, ")\n", sep = "")
  cat("  diagonal:              ", describe_range(x$diagonal, digits), "\n", sep = "")
  cat(
    "  conditional variances: ", describe_range(1 / x$diagonal, digits), "\n",
    sep = ""
  )
  invisible(x)
}

#' @rdname factor_cov-methods
#' @export
summary.factor_precision <- function(object, ...) {
  check_factor_precision(object, "object")
  structure(
    list(
      n_genes = dim(object)[1], n_factors = ncol(object$covariance$B),
      log_determinant = as.numeric(determinant(object)$modulus),
      diagonal = stats::quantile(object$diagonal, names = FALSE)
    ),
    class = "summary.factor_precision"
  )
}

#' @export
print.summary.factor_precision <- function(x, digits = 4, ...) {
  check_printing(digits)
  cat(
    "<factor_precision> ", plural(x$n_genes, "gene"), ", ",
    plural(x$n_factors, "factor"), "\n",
    sep = ""
  )
  cat("  log-determinant:     ", format(x$log_determinant, digits = digits), "\n", sep = "")
  cat("  diagonal, quartiles: ", paste(format(x$diagonal, digits = digits), collapse = " "), "\n", sep = "")
  invisible(x)
}

#' @rdname factor_cov-methods
#' @method all.equal factor_precision
#' @export
all.equal.factor_precision <- function(target, current, ...) {
  if (!inherits(current, "factor_precision")) {
    return("`current` is not a factor_precision")
  }
  check_factor_precision(target, "target")
  check_factor_precision(current, "current")
  all.equal(target$covariance, current$covariance, ...)
}
