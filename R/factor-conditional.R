#' The other genes, given some of them
#'
#' "If TP53 is highly expressed, what happens to BRCA1?" The distribution of all
#' other genes when some are known: normal, with
#' \deqn{E(x_2 | x_1) = \mu_2 + \Sigma_{21} \Sigma_{11}^{-1} (x_1 - \mu_1), \qquad
#'   Cov(x_2 | x_1) = \Sigma_{22} - \Sigma_{21} \Sigma_{11}^{-1} \Sigma_{12}.}{
#'   E(x_2 | x_1) = mu_2 + Sigma_21 Sigma_11^-1 (x_1 - mu_1),
#'   Cov(x_2 | x_1) = Sigma_22 - Sigma_21 Sigma_11^-1 Sigma_12.}
#'
#' @param Sigma A `factor_cov`, see [factor_covariance()].
#' @param given The known values, named by gene: `c(TP53 = 2)`. For a covariance
#'   without names, named by number: `c("3" = 2)`.
#' @param mean Means of the genes: one number, or one for each of the N genes (by name if
#'   both have names, else in order).
#' @return A list: `mean`, a named vector, and `covariance`, a `factor_cov`, of the
#'   other genes; `factors`, the mean of the factors.
#' @details The genes depend on each other through the factors only, so what is
#'   learned is learned about them: \eqn{f | x_1 \sim N(m, F_1)}{f | x_1 ~ N(m, F_1)}. The
#'   covariance of
#'   the rest is \eqn{B_2 F_1 B_2' + D_2}, with the same loadings. O(NK^2).
#' @section Errors: unknown genes, or a gene given twice: `covmash_error_index`;
#'   values that are not finite numbers: `covmash_error_argument`; `given` genes
#'   that are functions of each other: `covmash_error_singular`; means named by other
#'   genes: `covmash_error_names`.
#' @references Anderson TW (2003). *An Introduction to Multivariate Statistical
#'   Analysis*, 3rd edition, theorem 2.5.1. Wiley, New York.
#' @export
#' @examples
#' B <- rbind(
#'   TP53 = c(0.8, 0), BRCA1 = c(0.7, 0), IL6 = c(0.1, 0.9), TNF = c(0.1, 0.8)
#' )
#' Sigma <- factor_covariance(B, D = c(0.04, 0.03, 0.05, 0.06))
#' conditional(Sigma, given = c(TP53 = 2))
conditional <- function(Sigma, given, mean = 0) {
  check_factor_cov(Sigma)
  at <- given_positions(Sigma, given)
  mean <- gene_means(mean, Sigma)
  part <- take_genes(Sigma, at)
  posterior <- factor_core(
    part, cpp_factor_posterior, as.double(given) - mean[at], factor_threads(part),
    name = "Sigma[given, given]"
  )
  rest <- take_genes(Sigma, setdiff(seq_along(Sigma$D), at))
  labels <- colnames(Sigma$B)
  F <- symmetrise(posterior$covariance)
  dimnames(F) <- if (!is.null(labels)) list(labels, labels)
  list(
    mean = stats::setNames(
      mean[-at] + drop(rest$B %*% posterior$mean), gene_names(rest)
    ),
    covariance = new_factor_cov(rest$B, if (ncol(rest$B) > 0L) F, rest$D),
    factors = stats::setNames(posterior$mean, labels)
  )
}

given_positions <- function(Sigma, given) {
  if (!is.numeric(given) || length(given) < 1L || !all(is.finite(given)) ||
        is.null(names(given))) {
    nameless <- is.numeric(given) && is.null(names(given))
    what <- if (nameless) "a vector without names" else describe(given)
    abort_input(
      "`given` must hold finite numbers named by gene, as c(TP53 = 2), not {what}.",
      class = "covmash_error_argument"
    )
  }
  genes <- names(given)
  if (is.null(gene_names(Sigma)) && all(grepl("^[0-9]+$", genes))) {
    genes <- as.numeric(genes)
  }
  at <- gene_positions(Sigma, genes, "given")
  if (anyDuplicated(at) || length(at) != length(given)) {
    abort_input(
      "`given` has gene '{names(given)[anyDuplicated(at)]}' twice; give each once.",
      class = "covmash_error_index"
    )
  }
  if (length(at) == length(Sigma$D)) {
    abort_input(
      "`given` has every gene; leave out at least one to ask about.",
      class = "covmash_error_argument"
    )
  }
  at
}

# One mean for each gene.
gene_means <- function(mean, Sigma) {
  N <- length(Sigma$D)
  if (!is.numeric(mean) || !length(mean) %in% c(1L, N) || !all(is.finite(mean))) {
    abort_input(
      "`mean` must be one finite number or one for each of the {plural(N, 'gene')}, not {describe(mean)}.",
      class = "covmash_error_argument"
    )
  }
  if (length(mean) == N) mean <- in_gene_order(mean, Sigma, "`mean`")
  rep_len(as.double(mean), N)
}
