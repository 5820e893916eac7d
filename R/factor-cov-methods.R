# Methods of the class `factor_cov`; its products are in factor-cov-algebra.R.

#' Matrix algebra with factored covariances
#'
#' A `factor_cov` ([factor_covariance()]) and its inverse, a `factor_precision`
#' ([precision()]), behave as N x N matrices without being formed.
#'
#' @param x,a,object,target A `factor_cov` or a `factor_precision`.
#' @param i,j Genes: names, numbers or `TRUE`/`FALSE`. Of a `factor_cov` also, as of a
#'   matrix, `x[cbind(i, j)]` and `x[k]`.
#' @param drop Should one row or column become a vector?
#' @param b Right-hand side, a vector of N numbers or a matrix of N rows; if missing,
#'   the inverse.
#' @param logarithm Give the logarithm of the determinant?
#' @param current Another object to compare with.
#' @param digits Digits to print.
#' @param n Number of genes to print.
#' @param ... Passed on to `all.equal()` for numbers; otherwise not used.
#' @details
#' `%*%`, `crossprod()`, `tcrossprod()`, `diag()`, `cov2cor()`, `dim()`, `dimnames()`,
#' `t()`, `solve()`, `determinant()` (and with it `det()`), `chol()`, `as.matrix()`,
#' `all.equal()`, `update()`, `print()`, `summary()` and `format()` work, as does
#' multiplying and dividing by a positive number.
#'
#' Names decide: right-hand sides and other factors of products that are named by the same
#' genes in another order are put into the order of `Sigma`; other names are an error. By
#' position only where either has no names.
#'
#' `Sigma[i, j]` is again a `factor_cov` if `i` and `j` are the same genes, at least
#' two, each once; otherwise a plain matrix, vector or number. [marginal()] always is
#' one.
#'
#' Products with an N x m matrix take O(NKm), `solve()` and `determinant()` O(NK^2).
#' `as.matrix()` and `chol()` are dense: O(N^2) memory, and O(N^3) time for `chol()`.
#' So are products of two factored matrices.
#'
#' `determinant()` of a singular matrix has modulus `-Inf`. `solve()` of a
#' `factor_precision` gives back the `factor_cov` it came from. `all.equal()`
#' compares \eqn{B F B'} and \eqn{D}, not \eqn{B}, which is determined up to a rotation
#' only.
#' @section Errors: `covmash_error_dimensions` for sizes that do not match,
#'   `covmash_error_names` for names of other genes, `covmash_error_type` for other
#'   arithmetic than multiplying and dividing by a positive number,
#'   `covmash_error_index` for unknown genes, `covmash_error_singular` where an inverse
#'   or a Cholesky factor does not exist, naming genes.
#' @return What the same function gives for a plain matrix, or a `factor_cov` or
#'   `factor_precision` where the result is one.
#' @seealso [factor_covariance()], [precision()], [eigenvalues()]
#' @name factor_cov-methods
#' @aliases %*%,factor_cov,ANY-method crossprod,factor_cov,ANY-method
#'   tcrossprod,factor_cov,ANY-method diag,factor_cov-method
#'   cov2cor,factor_cov-method show,factor_cov-method
#'   Ops,factor_cov,ANY-method Ops,ANY,factor_cov-method
#'   Ops,factor_precision,ANY-method Ops,ANY,factor_precision-method
#'   Ops,factor_cov,missing-method Ops,factor_precision,missing-method
#'   Ops,factor_cov,factor_cov-method Ops,factor_cov,factor_precision-method
#'   Ops,factor_precision,factor_cov-method Ops,factor_precision,factor_precision-method
#'   !,factor_cov-method !,factor_precision-method
#'   diag,factor_precision-method cov2cor,factor_precision-method
#'   show,factor_precision-method
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 4, n_pathways = 2)$Sigma
#' Sigma %*% c(1, 0, 0, 1)
#' Sigma[1:2, 1:2]
#' Sigma["gene_1", ]
#' solve(Sigma, c(1, 0, 0, 1))
#' det(Sigma)
NULL

# ---- shape and entries -------------------------------------------------------

#' @rdname factor_cov-methods
#' @export
dim.factor_cov <- function(x) rep(length(x$D), 2L)

#' @rdname factor_cov-methods
#' @export
dimnames.factor_cov <- function(x) {
  if (is.null(gene_names(x))) NULL else list(gene_names(x), gene_names(x))
}

#' @rdname factor_cov-methods
#' @export
t.factor_cov <- function(x) x

# B F, which is B for independent factors.
loadings_times_F <- function(x, rows = TRUE) {
  B <- x$B[rows, , drop = FALSE]
  if (is.null(x$F)) {
    return(B)
  }
  BF <- B %*% x$F
  dimnames(BF) <- dimnames(B)
  BF
}

#' @rdname factor_cov-methods
#' @export
as.matrix.factor_cov <- function(x, ...) {
  check_factor_cov(x, "x")
  Sigma <- symmetrise(tcrossprod(loadings_times_F(x), x$B))
  base::diag(Sigma) <- base::diag(Sigma) + x$D
  dimnames(Sigma) <- dimnames(x)
  Sigma
}

# The entries of rows i and columns j (positions).
factor_entries <- function(x, i, j) {
  entries <- tcrossprod(loadings_times_F(x, i), x$B[j, , drop = FALSE])
  same <- outer(i, j, `==`)
  entries[same] <- entries[same] + x$D[i[row(entries)[same]]]
  dimnames(entries) <- if (!is.null(gene_names(x))) {
    list(gene_names(x)[i], gene_names(x)[j])
  }
  entries
}

#' @rdname factor_cov-methods
#' @export
`[.factor_cov` <- function(x, i, j, ..., drop = TRUE) {
  check_factor_cov(x, "x")
  check_flag(drop, "drop")
  if (...length() > 0L) {
    abort_input(
      "A covariance matrix has two indices, rows and columns.",
      class = "covmash_error_index"
    )
  }
  # x[i] has the entries in the order of the whole matrix, as for a plain one.
  if (nargs() - (!missing(drop)) < 3L && !missing(i)) {
    return(entries_at(x, i))
  }
  rows <- if (missing(i)) seq_along(x$D) else gene_positions(x, i, "i")
  columns <- if (missing(j)) seq_along(x$D) else gene_positions(x, j, "j")
  # A gene chosen twice is one variable with one noise, not two.
  if (length(rows) > 1L && identical(as.numeric(rows), as.numeric(columns)) &&
        !anyDuplicated(rows)) {
    return(take_genes(x, rows))
  }
  entries <- factor_entries(x, rows, columns)
  if (drop) drop(entries) else entries
}

# x[cbind(i, j)] and x[k].
entries_at <- function(x, at) {
  N <- length(x$D)
  if (is.matrix(at) && ncol(at) == 2L && !is.logical(at)) {
    # A place with a 0 in it is none, as for a plain matrix.
    if (is.numeric(at)) {
      at <- at[!(at[, 1] %in% 0 | at[, 2] %in% 0), , drop = FALSE]
    }
    i <- gene_positions(x, at[, 1], "i")
    j <- gene_positions(x, at[, 2], "j")
  } else {
    at <- resolve_index(if (is.atomic(at)) as.vector(at) else at, N^2, NULL, "i", "entry")
    i <- (at - 1) %% N + 1
    j <- (at - 1) %/% N + 1
  }
  value <- rowSums(loadings_times_F(x, i) * x$B[j, , drop = FALSE])
  unname(value + ifelse(i == j, x$D[i], 0))
}

gene_positions <- function(x, genes, name) {
  resolve_index(genes, length(x$D), gene_names(x), name, "gene")
}

# The covariance of some of the genes.
take_genes <- function(x, rows) {
  new_factor_cov(x$B[rows, , drop = FALSE], x$F, x$D[rows])
}

# ---- print -------------------------------------------------------------------

#' @rdname factor_cov-methods
#' @export
format.factor_cov <- function(x, ...) {
  check_factor_cov(x, "x")
  paste0(
    "<factor_cov> ", plural(nrow(x$B), "gene"), ", ", plural(ncol(x$B), "factor")
  )
}

#' @rdname factor_cov-methods
#' @export
print.factor_cov <- function(x, digits = 3, n = 6, ...) {
  check_printing(digits, n)
  check_factor_cov(x, "x")
  N <- nrow(x$B)
  cat(format(x), ": Sigma = B F B' + D\n", sep = "")
  systematic <- systematic_variances(x)
  variances <- systematic + x$D
  cat("  factors:    ", describe_factors(x), "\n", sep = "")
  cat("  variances:  ", describe_range(variances, digits), "\n", sep = "")
  cat("  noise D:    ", describe_noise_variances(x$D, digits), "\n", sep = "")
  cat(
    "  explained by factors: ", format(100 * sum(systematic) / max(sum(variances), 1e-300), digits = 3),
    " % of the total variance\n",
    sep = ""
  )
  if (n > 0L) {
    shown <- seq_len(min(n, N))
    loads <- seq_len(min(ncol(x$B), 8L))
    table <- x$B[shown, loads, drop = FALSE]
    if (is.null(colnames(table))) colnames(table) <- paste0("factor ", loads)[seq_along(loads)]
    if (is.null(rownames(table))) rownames(table) <- paste0("gene ", shown)
    cat("  loadings B and noise D:\n")
    print(cbind(round(table, digits), D = signif(x$D[shown], digits)), ...)
    left <- c(
      if (N > length(shown)) plural(N - length(shown), "gene"),
      if (ncol(x$B) > length(loads)) plural(ncol(x$B) - length(loads), "factor")
    )
    if (length(left) > 0L) cat("  ... and ", paste(left, collapse = ", "), " more\n", sep = "")
  }
  invisible(x)
}

systematic_variances <- function(x) {
  value <- if (is.null(x$F)) rowSums(x$B^2) else cpp_systematic_variances(x$B, x$F)
  stats::setNames(value, gene_names(x))
}

describe_range <- function(v, digits) {
  ends <- format(c(min(v), max(v)), digits = digits)
  if (ends[1] == ends[2]) ends[1] else paste(trimws(ends), collapse = " to ")
}

describe_noise_variances <- function(D, digits) {
  without <- sum(D == 0)
  if (without == length(D)) {
    return("none")
  }
  paste0(
    describe_range(D, digits), if (without > 0) paste(", 0 for", plural(without, "gene"))
  )
}

describe_factors <- function(x) {
  kind <- if (is.null(x$F)) {
    "independent, of variance 1 (F = I)"
  } else if (all(x$F[row(x$F) != col(x$F)] == 0)) {
    "uncorrelated (F diagonal)"
  } else {
    "correlated (F full)"
  }
  labels <- colnames(x$B)
  if (is.null(labels)) {
    return(kind)
  }
  shown <- paste(first_few(labels, 4L), collapse = ", ")
  paste0(shown, if (length(labels) > 4L) ", ...", "; ", kind)
}

#' @rdname factor_cov-methods
#' @export
summary.factor_cov <- function(object, ...) {
  check_factor_cov(object, "object")
  systematic <- systematic_variances(object)
  total <- systematic + object$D
  structure(
    list(
      n_genes = nrow(object$B), n_factors = ncol(object$B),
      variance = total,
      # The share of each gene's variance that the factors make.
      communality = ifelse(total > 0, systematic / total, NA_real_),
      log_determinant = as.numeric(determinant(object)$modulus),
      parameters = n_parameters(object)
    ),
    class = "summary.factor_cov"
  )
}

#' @export
print.summary.factor_cov <- function(x, digits = 3, ...) {
  check_printing(digits)
  quartiles <- function(v) {
    v <- v[!is.na(v)]
    if (length(v) == 0L) return("none")
    paste(format(stats::quantile(v, names = FALSE), digits = digits), collapse = " ")
  }
  cat(
    "<factor_cov> ", plural(x$n_genes, "gene"), ", ", plural(x$n_factors, "factor"),
    "\n", sep = ""
  )
  cat("  variances, quartiles:     ", quartiles(x$variance), "\n", sep = "")
  cat("  communalities, quartiles: ", quartiles(x$communality), "\n", sep = "")
  cat("  log-determinant:          ", format(x$log_determinant, digits = 6), "\n", sep = "")
  print(x$parameters)
  invisible(x)
}

# ---- comparison and scaling --------------------------------------------------

#' @rdname factor_cov-methods
#' @method all.equal factor_cov
#' @export
all.equal.factor_cov <- function(target, current, ...) {
  if (!is_factor_cov(current)) {
    return("`current` is not a factor_cov")
  }
  check_factor_cov(target, "target")
  check_factor_cov(current, "current")
  if (length(target$D) != length(current$D)) {
    return(paste0(
      "Numbers of genes differ: ", length(target$D), " and ", length(current$D)
    ))
  }
  if (!identical(gene_names(target), gene_names(current))) {
    return("Names of the genes differ")
  }
  noise <- all.equal(unname(target$D), unname(current$D), ...)
  systematic <- same_systematic(target, current, ...)
  messages <- c(
    if (!isTRUE(noise)) paste("Noise variances D:", noise),
    if (!isTRUE(systematic)) paste("Systematic covariance B F B':", systematic)
  )
  if (is.null(messages)) TRUE else messages
}

# B F B' is compared, not B: loadings are determined up to a rotation only. It acts
# within the span of both loadings, so a basis of that stands for all genes.
same_systematic <- function(target, current, ...) {
  G <- whole_loadings(target)
  H <- whole_loadings(current)
  if (ncol(G) == 0L && ncol(H) == 0L) {
    return(TRUE)
  }
  Q <- qr.Q(qr(cbind(G, H), LAPACK = TRUE))
  all.equal(tcrossprod(crossprod(Q, G)), tcrossprod(crossprod(Q, H)), ...)
}
