# Questions asked of a factored covariance: what the rest is given some genes,
# partial correlations and their network, densities, draws, one more pathway.

#' The other genes, given some of them
#'
#' "If TP53 is highly expressed, what happens to BRCA1?" The distribution of all
#' other genes when some are known: normal, with
#' \deqn{E(x_2 | x_1) = \mu_2 + \Sigma_{21} \Sigma_{11}^{-1} (x_1 - \mu_1), \qquad
#'   Cov(x_2 | x_1) = \Sigma_{22} - \Sigma_{21} \Sigma_{11}^{-1} \Sigma_{12}.}
#'
#' @param Sigma A `factor_cov`, see [factor_covariance()].
#' @param given The known values, named by gene: `c(TP53 = 2)`. For a covariance
#'   without names, named by number: `c("3" = 2)`.
#' @param mean Means of the genes: one number, or one for each of the N genes.
#' @return A list: `mean`, a named vector, and `covariance`, a `factor_cov`, of the
#'   other genes; `factors`, the mean of the factors.
#' @details The genes depend on each other through the factors only, so what is
#'   learned is learned about them: \eqn{f | x_1 \sim N(m, F_1)}. The covariance of
#'   the rest is \eqn{B_2 F_1 B_2' + D_2}, with the same loadings. O(NK^2).
#' @section Errors: unknown genes, or a gene given twice: `covmash_error_index`;
#'   values that are not finite numbers: `covmash_error_argument`; `given` genes
#'   that are functions of each other: `covmash_error_singular`.
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
    part, cpp_factor_posterior, as.double(given) - mean[at],
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
    abort_input(
      paste0(
        "`given` must hold finite numbers named by gene, as c(TP53 = 2), not ",
        if (is.numeric(given) && is.null(names(given))) "a vector without names" else
          describe(given), "."
      ),
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
      paste0(
        "`given` has gene '", names(given)[anyDuplicated(at)], "' twice; give each ",
        "once."
      ),
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
      paste0(
        "`mean` must be one finite number or one for each of the ",
        plural(N, "gene"), ", not ", describe(mean), "."
      ),
      class = "covmash_error_argument"
    )
  }
  check_same_names(gene_names(Sigma), names(mean), "mean", "gene", "`Sigma`")
  rep_len(as.double(mean), N)
}

# ---- partial correlations ---------------------------------------------------

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
  if (is.null(gene)) {
    return(partial_from_precision(as.matrix(precision(Sigma))))
  }
  at <- one_gene(Sigma, gene)
  parts <- factor_core(Sigma, cpp_factor_precision_column, at)
  value <- -parts$column / sqrt(parts$diagonal * parts$diagonal[at])
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
    abort_input(
      paste0("`", name, "` must choose one gene, not ", length(at), "."),
      class = "covmash_error_index"
    )
  }
  at
}

#' @rdname partial_correlation
#' @export
partial_correlation_network <- function(Sigma, threshold = 0.1, max_edges = 1e6,
                                        n_threads = NULL) {
  check_number(threshold, "threshold", 0, 1, "a number above 0 and at most 1")
  if (threshold == 0) {
    abort_input(
      "`threshold` must be above 0; partial_correlation() gives all pairs.",
      class = "covmash_error_argument"
    )
  }
  check_whole(max_edges, "max_edges", 1)
  found <- factor_core(
    Sigma, cpp_factor_network, threshold, max_edges, resolve_threads(n_threads)
  )
  if (!found$complete) {
    abort_input(
      paste0(
        "More than ", format_count(max_edges), " pairs of genes have a partial ",
        "correlation of at least ", format(threshold),
        "; raise `threshold` or `max_edges`."
      ),
      class = "covmash_error_too_many_edges"
    )
  }
  genes <- gene_names(Sigma)
  if (is.null(genes)) genes <- seq_along(Sigma$D)
  structure(
    data.frame(
      gene1 = genes[found$first], gene2 = genes[found$second],
      partial_correlation = found$weight
    ),
    genes = genes, threshold = threshold,
    class = c("gene_network", "data.frame")
  )
}

# ---- densities and draws ----------------------------------------------------

#' Densities and draws under a factored covariance
#'
#' `log_density()` gives \eqn{\log N(x; \mu, \Sigma)} for many samples at once,
#' `rfactor_cov()` draws samples, \eqn{x = \mu + B f + e}.
#'
#' @param x Samples: a matrix with samples in rows and the N genes in columns, or a
#'   vector, one sample. Missing values are left out: the density is that of the
#'   observed genes.
#' @param Sigma A `factor_cov`, see [factor_covariance()].
#' @param mean Means of the genes: one number, or one for each gene.
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
#'   for infinite values.
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
  stats::setNames(value, labels)
}

sample_matrix <- function(x, Sigma) {
  N <- length(Sigma$D)
  if (is.data.frame(x)) {
    x <- as.matrix(x)
  }
  if (is.null(dim(x)) && is.numeric(x)) {
    x <- matrix(x, nrow = 1L, dimnames = if (!is.null(names(x))) list(NULL, names(x)))
  }
  if (!is.matrix(x) || !is_number_like(x)) {
    abort_input(
      paste0(
        "`x` must be a numeric matrix with samples in rows and genes in columns, ",
        "not ", describe(x), "."
      ),
      class = "covmash_error_type"
    )
  }
  if (ncol(x) != N) {
    abort_input(
      paste0(
        "`x` must have one column for each of the ", plural(N, "gene"),
        " of `Sigma`, but it has ", ncol(x), "."
      ),
      class = "covmash_error_dimensions"
    )
  }
  check_same_names(gene_names(Sigma), colnames(x), "x", "column", "`Sigma`")
  if (any(is.infinite(x))) {
    at <- which(is.infinite(x))[1]
    abort_input(
      paste0(
        "`x` must be finite or missing, but its entry in ", label_entry(x, at), " is ",
        x[at], "."
      ),
      class = "covmash_error_not_finite"
    )
  }
  storage.mode(x) <- "double"
  x
}

#' @rdname log_density
#' @export
rfactor_cov <- function(n, Sigma, mean = 0) {
  check_whole(n, "n", 0)
  check_factor_cov(Sigma)
  mean <- gene_means(mean, Sigma)
  N <- length(Sigma$D)
  rank <- if (is.null(Sigma$F)) ncol(Sigma$B) else ncol(cpp_factor_root(Sigma$F))
  # The order of the draws is part of the interface: factors, then noise.
  f <- matrix(rnorm(n * rank), n, rank)
  x <- cpp_factor_draws(
    Sigma$B, Sigma$F, Sigma$D, mean, f, matrix(rnorm(n * N), n, N)
  )
  dimnames(x) <- if (!is.null(gene_names(Sigma))) list(NULL, gene_names(Sigma))
  x
}

# G with Sigma = G G' + D.
whole_loadings <- function(Sigma) {
  cpp_whole_loadings(Sigma$B, Sigma$F)
}

# ---- one more pathway -------------------------------------------------------

#' Add a pathway to a covariance, or to its inverse
#'
#' \eqn{\Sigma + u u'}: one more independent factor of variance 1 with loadings
#' \eqn{u}. For the inverse this is the Sherman-Morrison formula,
#' \deqn{(\Sigma + u u')^{-1} = \Sigma^{-1} -
#'   \frac{\Sigma^{-1} u u' \Sigma^{-1}}{1 + u' \Sigma^{-1} u},}
#' in O(NK) time, without another decomposition.
#'
#' @param object A `factor_cov` or a `factor_precision`.
#' @param add Loadings of the new pathway, one for each gene.
#' @param name Name of the new pathway, for loadings that have names.
#' @param ... Not used.
#' @return An object of the same class with one more factor.
#' @details The formula subtracts: after many updates, or when the new pathway
#'   explains nearly all of a gene's noise, [precision()] of the updated covariance is
#'   more accurate. With some `D` of 0 that is what is done.
#' @section Errors: `covmash_error_dimensions` if `add` does not have one number for
#'   each gene; `covmash_error_names` if its names contradict those of the genes.
#' @references Sherman J, Morrison WJ (1950). Adjustment of an inverse matrix
#'   corresponding to a change in one element of a given matrix. *Annals of
#'   Mathematical Statistics* 21, 124-127. \doi{10.1214/aoms/1177729893}
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 5, n_pathways = 2)$Sigma
#' update(Sigma, add = c(1, 1, 0, 0, 0))
#' update(precision(Sigma), add = c(1, 1, 0, 0, 0))
update.factor_cov <- function(object, add, name = NULL, ...) {
  N <- length(object$D)
  if (missing(add) || !is.numeric(add) || length(add) != N || !all(is.finite(add))) {
    abort_input(
      paste0(
        "`add` must hold one finite loading for each of the ", plural(N, "gene"),
        if (!missing(add)) paste0(", not ", describe(add)), "."
      ),
      class = "covmash_error_dimensions"
    )
  }
  check_same_names(gene_names(object), names(add), "add", "gene", "the covariance")
  K <- ncol(object$B)
  labels <- colnames(object$B)
  if (!is.null(labels) || !is.null(name)) {
    if (is.null(labels)) labels <- paste0("factor_", seq_len(K))
    labels <- c(labels, if (is.null(name)) paste0("factor_", K + 1L) else as.character(name))
  }
  B <- cbind(object$B, as.double(add))
  dimnames(B) <- if (!is.null(labels) || !is.null(gene_names(object))) {
    list(gene_names(object), labels)
  }
  F <- object$F
  if (!is.null(F)) {
    F <- rbind(cbind(unname(F), 0), 0)
    F[K + 1L, K + 1L] <- 1
    dimnames(F) <- if (!is.null(labels)) list(labels, labels)
  }
  new_factor_cov(B, F, object$D)
}
