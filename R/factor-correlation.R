# Correlations under a covariance, and partial ones.

#' Correlations under a covariance
#'
#' \eqn{\rho_{ij} = \Sigma_{ij} / \sqrt{\Sigma_{ii} \Sigma_{jj}}}.
#'
#' @param Sigma A `factor_cov`, see [factor_covariance()], or a plain covariance
#'   matrix.
#' @param gene A gene, by name or number, to have its correlations with all genes;
#'   `NULL` for the whole correlation matrix.
#' @return With `gene`, a vector of N numbers. Without, the correlation matrix: a
#'   `factor_cov` (loadings divided by standard deviations, noise by variances), or a
#'   plain matrix if `Sigma` is one. `cov2cor()` of a `factor_cov` is the same.
#' @details O(NK^2) for correlated factors, O(NK) for independent ones.
#' @section Errors: `covmash_error_variance` if a gene has variance 0;
#'   `covmash_error_index` for an unknown gene.
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 5, n_pathways = 2)$Sigma
#' correlation(Sigma, "gene_2")
#' as.matrix(correlation(Sigma))
correlation <- function(Sigma, gene = NULL) {
  if (!is_factor_cov(Sigma)) {
    Sigma <- covariance_input(Sigma, "`Sigma`", "no")
    positive_variances(base::diag(Sigma), rownames(Sigma))
    rho <- stats::cov2cor(Sigma)
    return(if (is.null(gene)) rho else rho[one_position(gene, nrow(rho), rownames(rho)), ])
  }
  check_factor_cov(Sigma)
  variances <- systematic_variances(Sigma) + Sigma$D
  positive_variances(variances, gene_names(Sigma))
  sd <- sqrt(unname(variances))
  if (is.null(gene)) {
    return(new_factor_cov(Sigma$B / sd, Sigma$F, Sigma$D / unname(variances)))
  }
  at <- one_gene(Sigma, gene)
  value <- drop(Sigma$B %*% loadings_times_F(Sigma, at)[1, ]) / (sd * sd[at])
  value[at] <- 1
  stats::setNames(value, gene_names(Sigma))
}

positive_variances <- function(variances, labels) {
  if (any(variances <= 0)) {
    at <- which(variances <= 0)[1]
    abort_input(
      "`Sigma` has variance {format(variances[[at]])} for {label_index('gene', at, labels)}, whose ",
      "correlations are not defined; leave it out.",
      class = "covmash_error_variance"
    )
  }
}

# ---- partial correlations ----------------------------------------------------

#' Partial correlations and their network
#'
#' The correlation of two genes when all others are held fixed,
#' \eqn{-P_{ij} / \sqrt{P_{ii} P_{jj}}} with \eqn{P = \Sigma^{-1}}: what is left of
#' their co-expression that no other gene explains. `partial_correlation_network()`
#' keeps the strong ones, the edges of a Gaussian graphical model.
#'
#' @param Sigma A `factor_cov`, see [factor_covariance()]; for
#'   `partial_correlation()` also a plain covariance matrix.
#' @param gene A gene, by name or number, to have its partial correlations with all
#'   genes; `NULL` for the whole matrix.
#' @param threshold Keep pairs with a partial correlation of at least this in
#'   absolute value, above 0 and at most 1.
#' @param max_edges More edges than this are an error.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return `partial_correlation()`: a vector of N numbers (1 for the gene itself), or
#'   an N x N matrix. `partial_correlation_network()`: a data frame of class
#'   `"gene_network"` with a row for each edge and columns `gene1`, `gene2` (names,
#'   or numbers if there are none) and `partial_correlation`, ordered by position,
#'   and the attributes `genes` (all names or numbers) and `threshold`.
#' @details One gene takes O(NK^2) time and O(NK) memory. The whole matrix is dense:
#'   O(N^2 K) time and O(N^2) memory. The network scans all pairs in blocks, in
#'   O(N^2 K) time, with memory O(NK) and the edges.
#' @section Errors: `covmash_error_singular` if `Sigma` is singular;
#'   `covmash_error_too_many_edges` if there are more than `max_edges`;
#'   `covmash_error_index` for an unknown gene.
#' @references Lauritzen SL (1996). *Graphical Models*, section 5.1.3. Oxford
#'   University Press.
#' @seealso [factor_plots]
#' @concept graphical model
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(30, 3, pathways_per_gene = 1)$Sigma
#' partial_correlation(Sigma, "gene_1")[1:4]
#' head(partial_correlation_network(Sigma, threshold = 0.2))
partial_correlation <- function(Sigma, gene = NULL) {
  if (!is_factor_cov(Sigma)) {
    P <- partial_from_precision(plain_precision(Sigma))
    return(if (is.null(gene)) P else P[one_position(gene, nrow(P), rownames(P)), ])
  }
  check_factor_cov(Sigma)
  if (is.null(gene)) {
    return(partial_from_precision(as.matrix(precision(Sigma))))
  }
  at <- one_gene(Sigma, gene)
  parts <- factor_core(Sigma, cpp_factor_precision_column, at, factor_threads(Sigma))
  value <- -parts$column / sqrt(parts$diagonal) / sqrt(parts$diagonal[at])
  value[at] <- 1
  stats::setNames(value, gene_names(Sigma))
}

partial_from_precision <- function(P) {
  sd <- sqrt(base::diag(P))
  partial <- -P / sd / rep(sd, each = nrow(P))
  base::diag(partial) <- 1
  partial
}

one_gene <- function(Sigma, gene, name = "gene") {
  one_position(gene, length(Sigma$D), gene_names(Sigma), name)
}

one_position <- function(gene, N, labels, name = "gene") {
  at <- resolve_index(gene, N, labels, name, "gene")
  if (length(at) != 1L) {
    abort_input("`{name}` must choose one gene, not {length(at)}.", class = "covmash_error_index")
  }
  at
}
