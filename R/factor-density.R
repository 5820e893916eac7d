#' Densities and draws under a factored covariance
#'
#' `log_density()` gives \eqn{\log N(x; \mu, \Sigma)}{log N(x; mu, Sigma)} for many samples at once,
#' `rfactor_cov()` draws samples, \eqn{x = \mu + B f + e}.
#'
#' @param x Samples: a matrix with samples in rows and the N genes in columns, or a
#'   vector, one sample; by name if both have names, else in order. Missing values are
#'   left out: the density is that of the observed genes.
#' @param Sigma A `factor_cov`, see [factor_covariance()].
#' @param mean Means of the genes: one number, or one for each gene (by name if both have
#'   names, else in order).
#' @param n Number of samples to draw.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return `log_density()`: one number for each sample, named by the row names of
#'   `x`; 0 for a sample with nothing observed. `rfactor_cov()`: an n x N matrix, a
#'   row for each sample.
#' @details O(NK^2 + nNK) time; \eqn{\Sigma} is not formed. Samples with the same
#'   missing genes share one decomposition. Draws take \eqn{n (K + N)} numbers from
#'   R's generator: `set.seed()` governs them.
#' @section Errors: `covmash_error_singular` if \eqn{\Sigma} is singular (for the
#'   density; draws are defined); `covmash_error_dimensions` and
#'   `covmash_error_names` if `x` does not fit `Sigma`; `covmash_error_not_finite`
#'   for infinite values; `covmash_error_argument` if `n` is more than a matrix has rows.
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 200, n_pathways = 5)$Sigma
#' x <- rfactor_cov(4, Sigma)
#' log_density(x, Sigma)
log_density <- function(x, Sigma, mean = 0, n_threads = NULL) {
  check_factor_cov(Sigma)
  x <- sample_matrix(x, Sigma)
  n_threads <- resolve_threads(n_threads)
  labels <- rownames(x)
  mean <- gene_means(mean, Sigma)
  if (any(mean != 0)) {
    x <- x - rep(mean, each = nrow(x))
  }
  value <- factor_core(Sigma, cpp_factor_log_density, x, n_threads)$value
  if (!all(is.finite(value))) {
    at <- which(!is.finite(value))[1]
    abort_input(
      "`x` is too far out in {label_index('row', at, labels)}: its log-density is below -1.8e308 or its values, in ",
      "units of the noise, are above 1.8e308.",
      class = "covmash_error_not_finite"
    )
  }
  stats::setNames(value, labels)
}

sample_matrix <- function(x, Sigma) {
  N <- length(Sigma$D)
  x <- matrix_input(
    x, "`x`", "a numeric matrix with samples in rows and genes in columns", n_columns = N,
    size = paste("have one column for each of the", plural(N, "gene"), "of `Sigma`"),
    vector = "row", values = "missing"
  )
  in_gene_order(x, Sigma, "`x`", side = "columns")
}

#' @rdname log_density
#' @export
rfactor_cov <- function(n, Sigma, mean = 0) {
  check_whole(n, "n", 0)
  check_factor_cov(Sigma)
  mean <- gene_means(mean, Sigma)
  N <- length(Sigma$D)
  check_size(n, N, "n")
  rank <- if (is.null(Sigma$F)) ncol(Sigma$B) else ncol(cpp_factor_root(Sigma$F))
  # The order of the draws is part of the interface: factors, then noise.
  f <- matrix(rnorm(n * rank), n, rank)
  x <- cpp_factor_draws(
    Sigma$B, Sigma$F, Sigma$D, mean, f, matrix(rnorm(n * N), n, N)
  )
  dimnames(x) <- if (!is.null(gene_names(Sigma))) list(NULL, gene_names(Sigma))
  x
}
