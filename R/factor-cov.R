# A covariance matrix held by its factors, Sigma = B F B' + D: the class
# `factor_cov`. Elements B (N x K), F (K x K, NULL for the identity), D (N). It is
# an S3 list with R's S4 bit set, because R dispatches `%*%` on S4 only.

#' A covariance matrix held by its factors
#'
#' `factor_covariance()` describes the covariance matrix of a factor model,
#' \deqn{\Sigma = B F B' + D,}
#' by its N x K loadings \eqn{B}, the K x K covariance \eqn{F} of the factors and
#' the N noise variances \eqn{D}. The N x N matrix is never formed unless asked
#' for: memory is O(NK), and inverses, determinants, densities, conditional
#' distributions and draws take O(NK^2) time, for 4 genes and for 20,000.
#'
#' @param B Loadings: a numeric matrix with genes in rows and factors (pathways)
#'   in columns; a vector is one factor. It may have no column.
#' @param F Covariance matrix of the factors, K x K, positive semi-definite; `NULL`
#'   (the default) is the identity: independent factors of variance 1. It may be
#'   singular.
#' @param D Noise variances of the genes, in squared units of the data: a vector
#'   of N numbers of at least 0, or a diagonal N x N matrix. In a matrix factorised
#'   by [solve()] some may be 0.
#' @return A `factor_cov`: a list of class `"factor_cov"` with elements `B`, `F`
#'   (`NULL` for the identity) and `D` (a vector). Genes are named by the row names
#'   of `B` or the names of `D`, factors by the column names of `B` or of `F`.
#' @details The random vector behind it is \eqn{x = B f + e} with factors
#'   \eqn{f \sim N(0, F)}{f ~ N(0, F)} and noise \eqn{e \sim N(0, D)}{e ~ N(0, D)}.
#'
#'   Methods: see [factor_cov-methods] (matrix algebra), [conditional()],
#'   [precision()], [partial_correlation()], [log_density()], [rfactor_cov()],
#'   [eigenvalues()], [marginal()], [correlation()], and the pictures of
#'   [factor_plots].
#' @section Errors: All of class `covmash_error_input`: sizes that do not match
#'   (`covmash_error_dimensions`), something not numeric (`covmash_error_type`),
#'   values that are not finite (`covmash_error_not_finite`), a negative noise
#'   variance (`covmash_error_variance`), `F` not symmetric or not positive
#'   semi-definite (`covmash_error_not_psd`), names of `B`, `D` and `F` that
#'   contradict each other (`covmash_error_names`). Names used twice are a warning
#'   of class `covmash_warning_names`.
#' @references Lawley DN, Maxwell AE (1971). *Factor Analysis as a Statistical
#'   Method*, 2nd edition, equation 2.2. Butterworths, London.
#' @seealso [generate_factor_covariance()] to simulate one, [check_covariance()]
#' @concept factor analysis
#' @concept low-rank covariance matrix
#' @export
#' @examples
#' B <- rbind(
#'   TP53 = c(0.8, 0), BRCA1 = c(0.7, 0), IL6 = c(0.1, 0.9), TNF = c(0.1, 0.8)
#' )
#' colnames(B) <- c("p53", "NF-kB")
#' Sigma <- factor_covariance(B, D = c(0.04, 0.03, 0.05, 0.06))
#' Sigma
#' as.matrix(Sigma)
#' Sigma["TP53", "BRCA1"]
factor_covariance <- function(B, F = NULL, D) {
  if (missing(B)) {
    abort_input(
      "`B` is missing; give the loadings, a matrix with genes in rows and factors in columns.",
      class = "covmash_error_argument"
    )
  }
  if (missing(D)) {
    abort_input(
      "`D` is missing; give the noise variance of every gene.",
      class = "covmash_error_argument"
    )
  }
  B <- factor_loadings(B)
  D <- noise_variances(D, nrow(B))
  F <- factor_covariances(F, ncol(B))
  genes <- common_names(rownames(B), names(D), "gene", "`B`", "`D`")
  factors <- common_names(colnames(B), colnames(F), "factor", "`B`", "`F`")
  rownames(B) <- genes
  colnames(B) <- factors
  names(D) <- genes
  finite_variances(B, F, D)
  if (!is.null(F)) {
    dimnames(F) <- if (!is.null(factors)) list(factors, factors)
  }
  new_factor_cov(B, F, D)
}

# Without checks, for parts that are known to be right.
new_factor_cov <- function(B, F, D) {
  asS4(structure(list(B = B, F = F, D = D), class = "factor_cov"))
}

is_factor_cov <- function(x) inherits(x, "factor_cov")

factor_loadings <- function(B) {
  matrix_input(
    B, "`B`", "a numeric matrix with genes in rows and factors in columns", least = c(1L, 0L)
  )
}

# The variances have to be numbers too.
finite_variances <- function(B, F, D) {
  largest <- if (length(B) > 0L) max(abs(B)) else 0
  within <- if (length(F) > 0L) ncol(B) * max(abs(F), 1) else 1
  if (is.finite(ncol(B) * largest * within * largest + max(D))) {
    return(invisible(NULL))
  }
  variances <- D + if (is.null(F)) rowSums(B^2) else rowSums((B %*% F) * B)
  if (!all(is.finite(variances))) {
    at <- which(!is.finite(variances))[1]
    abort_input(
      "`B` and `D` give {label_index('gene', at, names(D))} a variance above 1.8e308; use other units.",
      class = "covmash_error_not_finite"
    )
  }
}

noise_variances <- function(D, N) {
  if (inherits(D, "Matrix")) {
    D <- diagonal_of_Matrix(D)
  }
  if (is.matrix(D) && nrow(D) == ncol(D) && (N != 1L || length(D) == 1L)) {
    D <- diagonal_of(D)
  }
  if (!is.numeric(D) || !is.null(dim(D)) && length(dim(D)) > 1L) {
    abort_input(
      "`D` must be a vector of noise variances, one for each gene, not {describe(D)}.",
      class = "covmash_error_type"
    )
  }
  if (length(D) != N) {
    abort_input(
      "`D` must have one noise variance for each of the {plural(N, 'row')} of `B`, but it has {length(D)}.",
      class = "covmash_error_dimensions"
    )
  }
  labels <- names(D)
  D <- stats::setNames(as.double(D), labels)
  if (!all(is.finite(D))) {
    at <- which(!is.finite(D))[1]
    abort_input(
      "`D` must be finite, but its {label_index('element', at, labels)} is {D[[at]]}.",
      class = "covmash_error_not_finite"
    )
  }
  if (any(D < 0)) {
    at <- which(D < 0)[1]
    abort_input(
      "`D` must hold variances of at least 0, but its {label_index('element', at, labels)} is ",
      "{format(D[[at]])}.",
      class = "covmash_error_variance"
    )
  }
  D
}

# The diagonal of a matrix that has to be diagonal.
diagonal_of <- function(D) {
  if (!is.numeric(D)) {
    return(D)
  }
  off <- D
  base::diag(off) <- 0
  if (any(is.na(off) | off != 0)) {
    at <- which(is.na(off) | off != 0)[1]
    abort_input(
      "`D` must be a vector or a diagonal matrix, but its entry in {label_entry(D, at)} is ",
      "{format(off[at])}.",
      class = "covmash_error_type"
    )
  }
  stats::setNames(base::diag(D), rownames(D))
}

# A matrix of the Matrix package may be far too large for a plain one.
diagonal_of_Matrix <- function(D) {
  requireNamespace("Matrix")
  if (nrow(D) != ncol(D) || nrow(D) < 2L) {
    return(as.matrix(D))
  }
  values <- Matrix::diag(D)
  if (Matrix::nnzero(D, na.counted = TRUE) > sum(is.na(values) | values != 0)) {
    return(as.matrix(D))
  }
  stats::setNames(as.double(values), rownames(D))
}

factor_covariances <- function(F, K) {
  if (is.null(F)) {
    return(NULL)
  }
  F <- covariance_input(
    F, "`F`", "semi", "the covariance matrix of the factors, or NULL for the identity", K,
    paste("have one row and one column for each of the", plural(K, "column"), "of `B`"),
    vector = "column", invalid = "covmash_error_not_psd",
    advice = "; nearest_covariance(F) is one"
  )
  if (K == 0L) {
    return(NULL)
  }
  labels <- if (is.null(colnames(F))) rownames(F) else colnames(F)
  dimnames(F) <- if (!is.null(labels)) list(labels, labels)
  F
}

# The names two parts give the same things: either may have none, but they may not
# contradict each other.
common_names <- function(ours, theirs, what, our_part, their_part) {
  if (!is.null(ours) && !is.null(theirs) && !identical(ours, theirs)) {
    at <- which(ours != theirs)[1]
    abort_input(
      "The names of {our_part} and {their_part} clash: {what} {at} is '{ours[at]}' in {our_part} but ",
      "'{theirs[at]}' in {their_part}; put both in the same order, or name only one.",
      class = "covmash_error_names"
    )
  }
  labels <- if (is.null(ours)) theirs else ours
  if (anyDuplicated(labels)) {
    twice <- labels[duplicated(labels)][1]
    warn_covmash(
      "Two {what}s are called '{twice}'; chosen by name, the first is meant.",
      class = "covmash_warning_names"
    )
  }
  labels
}

gene_names <- function(x) names(x$D)

# Names decide: the order in which the `theirs` of `label` are those of the genes of `reference`,
# NULL if they are in order. By position only where either has none.
gene_order <- function(Sigma, theirs, label, reference = "`Sigma`") {
  ours <- gene_names(Sigma)
  if (is.null(ours) || is.null(theirs) || identical(ours, theirs)) {
    return(NULL)
  }
  lacking <- setdiff(ours, theirs)
  if (length(lacking) > 0L) {
    unknown <- setdiff(theirs, ours)
    instead <- if (length(unknown) > 0L) paste(", but has", quote_some(unknown))
    abort_input(
      "{label} must have the genes of {reference}: it lacks {quote_some(lacking)}{instead}; name it by the ",
      "same genes, in any order, or remove its names.",
      class = "covmash_error_names"
    )
  }
  if (anyDuplicated(theirs)) {
    abort_input(
      "{label} has the name '{theirs[anyDuplicated(theirs)]}' twice, in another order than {reference}; give ",
      "each gene once.",
      class = "covmash_error_names"
    )
  }
  match(ours, theirs)
}

# x in that order, by its names (a vector) or those of its rows or columns.
in_gene_order <- function(x, Sigma, label, reference = "`Sigma`", side = "rows") {
  theirs <- if (is.null(dim(x))) names(x) else if (side == "rows") rownames(x) else colnames(x)
  order <- gene_order(Sigma, theirs, label, reference)
  if (is.null(order)) {
    return(x)
  }
  if (is.null(dim(x))) x[order] else if (side == "rows") x[order, , drop = FALSE] else x[, order, drop = FALSE]
}

# G with Sigma = G G' + D.
whole_loadings <- function(Sigma) {
  cpp_whole_loadings(Sigma$B, Sigma$F)
}
