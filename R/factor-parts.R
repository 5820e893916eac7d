# Parts and other forms of a factored covariance: some of the genes, the two terms of
# the sum, correlations, eigenvalues.

#' Parts of a factored covariance
#'
#' `marginal()` is the covariance of some genes, `systematic_covariance()` the part
#' \eqn{B F B'} that the factors make, `noise_covariance()` the diagonal part
#' \eqn{D}, each again a `factor_cov`.
#'
#' @param Sigma A `factor_cov`, see [factor_covariance()].
#' @param genes Names, numbers or `TRUE`/`FALSE`; each gene once.
#' @return A `factor_cov`.
#' @section Errors: `covmash_error_index` for unknown genes, none, or one chosen twice.
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 5, n_pathways = 2)$Sigma
#' marginal(Sigma, c("gene_1", "gene_3"))
#' as.matrix(systematic_covariance(Sigma)) + as.matrix(noise_covariance(Sigma))
marginal <- function(Sigma, genes) {
  check_factor_cov(Sigma)
  at <- gene_positions(Sigma, genes, "genes")
  if (length(at) == 0L || anyDuplicated(at)) {
    abort_input(
      paste0(
        "`genes` must choose at least one gene, each once",
        if (anyDuplicated(at)) paste0(
          "; ", label_index("gene", at[anyDuplicated(at)], gene_names(Sigma)),
          " is chosen twice"
        ), "."
      ),
      class = "covmash_error_index"
    )
  }
  take_genes(Sigma, at)
}

#' @rdname marginal
#' @export
systematic_covariance <- function(Sigma) {
  check_factor_cov(Sigma)
  new_factor_cov(Sigma$B, Sigma$F, 0 * Sigma$D)
}

#' @rdname marginal
#' @export
noise_covariance <- function(Sigma) {
  check_factor_cov(Sigma)
  new_factor_cov(
    matrix(0, length(Sigma$D), 0L, dimnames = if (!is.null(gene_names(Sigma))) {
      list(gene_names(Sigma), NULL)
    }),
    NULL, Sigma$D
  )
}

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
    Sigma <- check_plain_covariance(Sigma, "Sigma")
    positive_variances(base::diag(Sigma), rownames(Sigma))
    rho <- stats::cov2cor(Sigma)
    return(if (is.null(gene)) rho else rho[one_position(gene, nrow(rho), rownames(rho)), ])
  }
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
      paste0(
        "`Sigma` has variance ", format(variances[[at]]), " for ",
        label_index("gene", at, labels), ", whose correlations are not defined; ",
        "leave it out."
      ),
      class = "covmash_error_variance"
    )
  }
}

# ---- eigenvalues ------------------------------------------------------------

#' Eigenvalues of a covariance
#'
#' All eigenvalues, or the leading ones of a factored covariance without forming it.
#'
#' @param x A `factor_cov` or `factor_precision`, see [factor_covariance()], or a
#'   plain square matrix, of which the lower triangle is used, as by
#'   `eigen(symmetric = TRUE)`.
#' @param n How many, the largest; all if `NULL`.
#' @return The eigenvalues, decreasing.
#' @details Up to 200 genes, the eigenvalues of a `factor_cov` are squared singular
#'   values of \eqn{[B F^{1/2}, D^{1/2}]} by one-sided Jacobi rotations, each with its
#'   own relative accuracy. Above that, all eigenvalues take O(N^3) time and O(N^2)
#'   memory, except where \eqn{D} is constant or there are no factors (O(NK^2)). The
#'   `n` leading ones come from products with the covariance alone, O(NK) each, by
#'   subspace iteration with Chebyshev filters in O(N (n + K)) memory, until every
#'   residual is below 1e-10 of its eigenvalue.
#' @section Errors: `covmash_error_argument` if `n` is not from 1 to the number of genes.
#'   A warning of class `covmash_warning_convergence` if residuals stay above the
#'   tolerance.
#' @references Demmel J, Veselic K (1992). Jacobi's method is more accurate than QR.
#'   *SIAM Journal on Matrix Analysis and Applications* 13, 1204-1245.
#'   \doi{10.1137/0613074}
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 1000, n_pathways = 3)$Sigma
#' eigenvalues(Sigma, n = 4)
eigenvalues <- function(x, n = NULL) {
  if (inherits(x, "factor_precision")) {
    values <- rev(1 / eigenvalues(x$covariance))
    return(first_eigenvalues(values, n, dim(x)[1]))
  }
  if (!is_factor_cov(x)) {
    x <- check_plain_covariance(x, "x")
    values <- eigen(x, symmetric = TRUE, only.values = TRUE)$values
    return(first_eigenvalues(values, n, nrow(x)))
  }
  N <- length(x$D)
  check_n_eigenvalues(n, N)
  constant <- all(x$D == x$D[1])
  if (ncol(x$B) == 0L) {
    values <- sort(unname(x$D), decreasing = TRUE)
  } else if (constant && N > 200L) {
    strengths <- cpp_factor_strengths(x$B, x$F)
    values <- x$D[[1]] + c(strengths, numeric(N - length(strengths)))
  } else if (N <= 200L) {
    values <- cpp_factor_eigenvalues(x$B, x$F, x$D)
  } else if (is.null(n) || n > N / 4) {
    values <- eigen(as.matrix(x), symmetric = TRUE, only.values = TRUE)$values
  } else {
    return(leading_eigenvalues(x, n))
  }
  first_eigenvalues(values, n, N)
}

check_n_eigenvalues <- function(n, N) {
  if (!is.null(n) && (!checkmate::test_count(n, positive = TRUE) || n > N)) {
    abort_input(
      paste0(
        "`n` must be a whole number from 1 to ", format_count(N), ", the number of ",
        "genes, not ", describe(n), "."
      ),
      class = "covmash_error_argument"
    )
  }
}

first_eigenvalues <- function(values, n, N) {
  check_n_eigenvalues(n, N)
  if (is.null(n)) values else values[seq_len(n)]
}

# From products with the covariance alone, in the core.
leading_eigenvalues <- function(x, n, tol = 1e-10) {
  found <- factor_core(x, cpp_factor_leading_eigenvalues, n, tol, resolve_threads())
  if (!found$converged) {
    warn_covmash(
      paste0(
        "The leading eigenvalues have residuals up to ",
        format(found$residual, digits = 2), " of their size."
      ),
      class = "covmash_warning_convergence"
    )
  }
  found$values
}
