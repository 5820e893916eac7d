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
  if (length(at) == 0L) {
    abort_input("`genes` must choose at least one gene.", class = "covmash_error_index")
  }
  if (anyDuplicated(at)) {
    twice <- label_index("gene", at[anyDuplicated(at)], gene_names(Sigma))
    abort_input(
      "`genes` must choose each gene once; {twice} is chosen twice.",
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
