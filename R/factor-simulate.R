# Simulated factor models, and what they cost in parameters.

#' Simulate the covariance of a factor model
#'
#' Random pathway loadings and noise variances, as of a panel of genes driven by a
#' few regulatory programs.
#'
#' @param n_genes,n_pathways Numbers of genes N and of pathways (factors) K.
#' @param loading_scale Standard deviation of the loadings; larger is a stronger
#'   influence of the pathways.
#' @param idio_range Smallest and largest noise variance.
#' @param F Covariance matrix of the pathways; `NULL` for the identity.
#' @param pathways_per_gene Each gene loads on this many pathways, chosen at random;
#'   `NULL` (the default) for all of them.
#' @param gene_names Names of the genes, `gene_1`, ... if `NULL`.
#' @return A list: `Sigma`, a `factor_cov` ([factor_covariance()]); `B`, the N x K
#'   loadings; `D`, the vector of noise variances.
#' @details Loadings are drawn first, column by column, from
#'   \eqn{N(0, loading\_scale^2)}{N(0, loading_scale^2)}, then the noise variances, uniform on
#'   `idio_range`,
#'   then for sparse loadings the pathways of each gene. `set.seed()` governs all.
#' @section Errors: `covmash_error_argument` for numbers out of range, those of
#'   [factor_covariance()] for `F`, `covmash_error_names` for names that are too few
#'   or used twice.
#' @export
#' @examples
#' set.seed(42)
#' sim <- generate_factor_covariance(n_genes = 100, n_pathways = 5)
#' sim$Sigma
#' range(eigenvalues(sim$Sigma))
generate_factor_covariance <- function(n_genes, n_pathways, loading_scale = 0.1,
                                       idio_range = c(0.01, 0.05), F = NULL,
                                       pathways_per_gene = NULL, gene_names = NULL) {
  check_whole(n_genes, "n_genes", 1)
  check_whole(n_pathways, "n_pathways", 0)
  check_number(loading_scale, "loading_scale", 0, what = "a number of at least 0")
  check_noise_range(idio_range)
  check_size(n_genes, n_pathways, "n_genes", "n_pathways")
  genes <- simulated_names(gene_names, n_genes)
  pathways <- if (n_pathways > 0) paste0("pathway_", seq_len(n_pathways))
  B <- matrix(
    rnorm(n_genes * n_pathways, sd = loading_scale), n_genes, n_pathways,
    dimnames = list(genes, pathways)
  )
  D <- stats::setNames(
    stats::runif(n_genes, idio_range[1], idio_range[2]), genes
  )
  if (!is.null(pathways_per_gene)) {
    check_whole(pathways_per_gene, "pathways_per_gene", 0)
    if (pathways_per_gene > n_pathways) {
      abort_input(
        "`pathways_per_gene` must be at most the number of pathways ({n_pathways}), not {pathways_per_gene}.",
        class = "covmash_error_argument"
      )
    }
    for (i in seq_len(n_genes)) {
      B[i, -sample.int(n_pathways, pathways_per_gene)] <- 0
      if (pathways_per_gene == 0) B[i, ] <- 0
    }
  }
  list(Sigma = factor_covariance(B, F, D), B = B, D = D)
}

# Rows and columns that a matrix may have.
check_size <- function(rows, columns, rows_name, columns_name = NULL) {
  largest <- .Machine$integer.max
  if (rows > largest || columns > largest) {
    name <- if (rows > largest) rows_name else columns_name
    abort_input(
      "`{name}` must be at most {format_count(largest)}, not {format(max(rows, columns))}.",
      class = "covmash_error_argument"
    )
  }
}

check_noise_range <- function(idio_range) {
  ok <- is.numeric(idio_range) && length(idio_range) == 2L &&
    all(is.finite(idio_range)) && idio_range[1] >= 0 && idio_range[1] <= idio_range[2]
  if (!ok) {
    given <- if (is.numeric(idio_range)) format(idio_range) else describe(idio_range)
    abort_input(
      "`idio_range` must hold the smallest and the largest noise variance, as c(0.01, 0.05), not {given}.",
      class = "covmash_error_argument"
    )
  }
}

simulated_names <- function(gene_names, n_genes) {
  if (is.null(gene_names)) {
    return(paste0("gene_", seq_len(n_genes)))
  }
  if (length(gene_names) != n_genes || anyNA(gene_names) || anyDuplicated(gene_names)) {
    problem <- if (length(gene_names) != n_genes) {
      paste("it has", length(gene_names))
    } else if (anyNA(gene_names)) {
      "one is missing"
    } else {
      paste0("'", gene_names[anyDuplicated(gene_names)], "' is there twice")
    }
    abort_input(
      "`gene_names` must hold {plural(n_genes, 'name')}, each once, but {problem}.",
      class = "covmash_error_names"
    )
  }
  as.character(gene_names)
}

#' Count the parameters of a factor model
#'
#' How many numbers a factor model needs, against a full covariance matrix.
#'
#' @param n_genes Number of genes N, or a `factor_cov` ([factor_covariance()]), of
#'   which both numbers are taken.
#' @param n_factors Number of factors K.
#' @return A list of class `"parameter_count"`: `n_genes`, `n_factors`,
#'   `full` = N(N + 1)/2, `factor` = NK + N, `identified` = NK + N - K(K - 1)/2 (loadings
#'   are determined up to a rotation only; information criteria and tests count these),
#'   and `reduction`, the share of `full` that is saved, `1 - factor / full`.
#' @details `identified` is meaningful up to K = N, where a rotation of K factors has
#'   K(K - 1)/2 free angles; the test of fit has `full - identified` degrees of freedom.
#' @section Errors: `covmash_error_argument` for numbers out of range.
#' @references Lawley DN, Maxwell AE (1971). *Factor Analysis as a Statistical
#'   Method*, 2nd edition, section 2.3. Butterworths, London.
#' @export
#' @examples
#' n_parameters(500, 10)
n_parameters <- function(n_genes, n_factors = NULL) {
  if (is_factor_cov(n_genes)) {
    check_factor_cov(n_genes, "n_genes")
    if (is.null(n_factors)) n_factors <- ncol(n_genes$B)
    n_genes <- length(n_genes$D)
  }
  check_whole(n_genes, "n_genes", 1)
  check_whole(n_factors, "n_factors", 0)
  N <- as.numeric(n_genes)
  K <- as.numeric(n_factors)
  if (N > 1e150 || K > 1e150) {
    abort_input(
      "`{if (N > 1e150) 'n_genes' else 'n_factors'}` must be at most 1e150, not {format(max(N, K))}.",
      class = "covmash_error_argument"
    )
  }
  full <- N * (N + 1) / 2
  structure(
    list(
      n_genes = N, n_factors = K, full = full, factor = N * K + N,
      identified = N * K + N - K * (K - 1) / 2, reduction = 1 - (N * K + N) / full
    ),
    class = "parameter_count"
  )
}

#' @export
print.parameter_count <- function(x, ...) {
  count <- function(n) format(n, big.mark = ",", decimal.mark = ".", scientific = FALSE, trim = TRUE)
  cat(
    "Parameters of a covariance of ", plural(x$n_genes, "gene"), "\n",
    "  full matrix:                 ", count(x$full), "\n",
    "  factor model, ", plural(x$n_factors, "factor"), ":    ", count(x$factor),
    " (identified: ", count(x$identified), ")\n",
    "  reduction:                   ", sprintf("%.1f %%", 100 * x$reduction), "\n",
    sep = ""
  )
  invisible(x)
}

#' Simulate data from a fitted factor model
#'
#' Samples of the fitted normal distribution, as many as the fit has: for a parametric
#' bootstrap.
#'
#' @param object A fit of [fit_factor_model()].
#' @param nsim Number of data sets.
#' @param seed `NULL`, or a seed for [set.seed()]: the state of R's generator is then as
#'   it was afterwards.
#' @param ... Not used.
#' @return A list of `nsim` matrices, samples x genes, named `sim_1`, `sim_2`, ..., with the
#'   attribute `"seed"` of [stats::simulate()]: the seed and the kind of generator, or the
#'   generator's state before the draws. No values are missing, also if some of the
#'   fit's data were; means are 0 for a fit to a covariance matrix alone.
#' @section Errors: `covmash_error_fit` if `object` is no fit; `covmash_error_argument`
#'   for `nsim`, `seed`, or more samples than a matrix has rows.
#' @importFrom stats simulate
#' @export
#' @examples
#' fit <- fit_factor_model(mtcars[1:7], n_factors = 2, n_threads = 1)
#' again <- simulate(fit, nsim = 20, seed = 1)
#' refits <- lapply(again, fit_factor_model, n_factors = 2, n_threads = 1)
#' sd(sapply(refits, function(f) f$uniquenesses["mpg"]))
simulate.factor_fit <- function(object, nsim = 1, seed = NULL, ...) {
  check_factor_fit(object, "object")
  check_whole(nsim, "nsim", 0)
  check_size(nsim, 1, "nsim")
  if (object$n_samples > .Machine$integer.max) {
    abort_input(
      "The fit has {format(object$n_samples)} samples, more than a matrix has rows; draw fewer by rfactor_cov().",
      class = "covmash_error_argument"
    )
  }
  mean <- if (is.null(object$mean)) 0 else unname(object$mean)
  draw_seeded(seed, function() {
    draws <- lapply(seq_len(nsim), function(i) rfactor_cov(object$n_samples, object$covariance, mean))
    stats::setNames(draws, if (nsim > 0) paste0("sim_", seq_len(nsim)))
  })
}

# What `draw` gives, with the attribute of simulate(). With a seed the generator goes back to its state.
draw_seeded <- function(seed, draw) {
  if (!is.null(seed)) {
    ok <- is_plain(seed) && checkmate::test_int(seed)
    if (!ok) {
      abort_input("`seed` must be NULL or a whole number, not {describe(seed)}.", class = "covmash_error_argument")
    }
  }
  # Drawing starts a generator that has no state yet.
  if (!exists(".Random.seed", globalenv(), inherits = FALSE)) stats::runif(1)
  state <- get(".Random.seed", globalenv(), inherits = FALSE)
  if (is.null(seed)) {
    return(structure(draw(), seed = state))
  }
  on.exit(assign(".Random.seed", state, globalenv()))
  set.seed(seed)
  structure(draw(), seed = structure(seed, kind = as.list(RNGkind())))
}
