#' Fit a factor model to data
#'
#' Estimates the loadings and noise variances of a factor model, from samples of
#' many genes or from their covariance matrix. Works for more genes than samples
#' and for samples with missing entries.
#'
#' @param x A numeric matrix or data frame with n samples in rows and N genes in
#'   columns, `NA` where a value is missing; or a formula without left side, as
#'   `~ a + b + c`, with `data`; or, with `n_samples`, an N x N
#'   covariance (or correlation) matrix, which is taken as it is (maximum likelihood
#'   has the divisor n, [stats::cov()] has n - 1); or a result of [stats::cov.wt()], a list
#'   with `cov`, `n.obs` (the number of samples, whatever their weights, as in
#'   [stats::factanal()]) and, if it has any, the means `center`.
#' @param n_factors Number of factors K. At least 0; for `"ml"` at most so many that
#'   the model has no more parameters than the covariance matrix,
#'   \eqn{(N - K)^2 \ge N + K}; for the others less than N; always less than n - 1.
#' @param method `"ml"`: maximum likelihood. `"ppca"`: probabilistic principal
#'   components, maximum likelihood with one noise variance for all genes. `"pca"`:
#'   principal components; what the first K leave of each variance is noise.
#' @param n_samples Number of samples behind a covariance matrix; leave it out for
#'   data.
#' @param rotation `"none"`, `"varimax"` or `"promax"`, or the name of a rotation of
#'   package GPArotation, as `"oblimin"`; see [rotate_factors()].
#' @param lower Smallest noise variance of a gene, in units of its variance; at least
#'   1e-6. As [stats::factanal()]'s control parameter `lower`. Not used by `"ppca"`.
#' @param start For `"ml"` without missing values: uniquenesses to start the search
#'   from, one for each gene, between 0 and 1. `NULL` chooses, for up to 150
#'   genes several starts, of which the best end is taken. With missing values there are
#'   always several.
#' @param tol Largest derivative of the criterion with respect to the log noise
#'   variances that counts as zero (see Details); with missing values the largest
#'   step, in standard deviations.
#' @param max_iter Largest number of iterations from one start; more than fit into an
#'   integer are as many as do.
#' @param n_threads Number of threads, see [covmash_threads].
#' @param data A data frame with the variables of a formula `x`.
#' @return An object of class `"factor_fit"`, a list with elements
#'   * `covariance`: the fitted covariance matrix \eqn{\Sigma = B F B' + D}, a
#'   `factor_cov` (see [factor_covariance()]);
#'   * `loadings` (\eqn{B}, N x K, units of the data), `factor_covariance` (\eqn{F};
#'   `NULL`, the identity, except after an oblique rotation), `noise` (\eqn{D}, a vector);
#'   * `uniquenesses`: noise variances in units of the genes' variances, 1 -
#'   communality;
#'   * `mean` (`NULL` for a covariance matrix alone), `variance`: of the genes, with divisor n;
#'   * `loglik`, `n_parameters`: NK + N - K(K - 1)/2 for `"ml"` and `"pca"` (means are not
#'   counted), NK + 1 - K(K - 1)/2 for `"ppca"`;
#'   * `objective`: factanal's criterion \eqn{\log|\Sigma| - \log|S| + tr(\Sigma^{-1}S) -
#'   N}{log|Sigma| - log|S| + tr(Sigma^-1 S) - N}, `NA` if S is singular or values are missing;
#'   `baseline_objective`, that of no factors;
#'   * `observed`: the covariance matrix S that the model was fitted to, or `NULL`: it is
#'   kept for complete data of up to 500 genes (and \eqn{nN^2} up to 1e9);
#'   * `test`: the test of fit, a list with `statistic`, `df`, `p.value`, or `NULL`, also
#'   if there are no more samples than genes;
#'   * `heywood`: for each gene, is its noise variance at its floor?
#'   * `convergence`: `converged`, `iterations`, `evaluations`, `starts`,
#'   `kkt_violation`;
#'   * `method`, `rotation`, `rotation_matrix`, `n_factors`, `n_samples`, `n_genes`,
#'   `n_missing`, `lower`, `call`.
#'
#'   See [factor_fit-methods] for what can be done with it and [factor_scores()] for
#'   the factors of each sample.
#' @details
#' **Maximum likelihood.** For normal data the log-likelihood is
#' \deqn{-\frac n2 (N \log 2\pi + \log|\Sigma| + tr(\Sigma^{-1} S)).}{
#'   -n/2 (N log(2 pi) + log|Sigma| + tr(Sigma^-1 S)).}
#' Given \eqn{D} the best loadings follow from the K leading eigenpairs of
#' \eqn{D^{-1/2} S D^{-1/2}} (Lawley and Maxwell 1971, chapter 4; Joreskog 1967), so
#' only \eqn{\log D}{log D} is searched, by a quasi-Newton method that starts from the
#' expected second derivatives (Newton's method with the exact ones for few genes).
#' The derivatives are \eqn{(\Sigma_{ii} - S_{ii}) / D_i}; `kkt_violation` is the
#' largest one, but for genes at their floor that are held there. The fit does not
#' depend on the units of the genes. Neither \eqn{S} nor \eqn{\Sigma} is formed when
#' there are many more genes than samples.
#'
#' **Heywood cases.** Where the likelihood grows as a noise variance goes to zero, the
#' variance stays at `lower` times the gene's variance, `heywood` says so and a
#' warning of class `covmash_warning_heywood` names the genes.
#'
#' **Missing values** (missing at random) are left out of the likelihood exactly. Each
#' step costs \eqn{O(nNK^2)}, whatever the patterns (EM as in Rubin and Thayer 1982,
#' accelerated as in Jamshidian and Jennrich 1997). `"pca"` needs complete data. The
#' search has several starts, reproducible and without R's random numbers, and leaves
#' saddles of the likelihood. What two genes that no sample has both have in common
#' follows from the model alone and may not be determined by the data, not even its sign:
#' a message of class `covmash_message_pairs` counts such pairs.
#'
#' **Dependent columns.** If genes that are linear combinations of others lead to Heywood
#' cases, the warning has also the class `covmash_warning_dependent` and says which gene
#' depends on which. With missing values only samples without any are looked at, and pairs
#' of genes that are multiples of each other.
#'
#' **Genes in rows.** Expression matrices often have genes in rows. Where row names are
#' identifiers of genes (Ensembl, RefSeq, probes) or column names those of samples (GEO, SRA,
#' TCGA, GTEx), a message of class `covmash_message_orientation` says how `x` is read.
#'
#' **Units.** Genes may have any units, as long as their variances are numbers that double
#' precision has: standard deviations from 1e-145 to 1e145. `"pca"` and `"ppca"` need
#' standard deviations that differ by a factor of less than 1e140.
#'
#' **Test of fit.** \eqn{(n - 1 - (2N + 5)/6 - 2K/3)} times the objective is
#' approximately chi-squared with \eqn{((N - K)^2 - N - K)/2} degrees of freedom if the
#' model holds (Bartlett 1951; as in factanal). Only for `"ml"`, complete data, more
#' samples than genes, and at least one degree of freedom.
#'
#' **Loadings** without rotation are orthogonal in the metric of \eqn{D^{-1}}, the
#' strongest factor first, signs such that each column has a sum of at least 0.
#' @section Errors: All of class `covmash_error_input`: `x` is not numeric
#'   (`covmash_error_type`), not square with `n_samples`, has too few samples, or
#'   `start` has another length than there are genes (`covmash_error_dimensions`);
#'   infinite values (`covmash_error_not_finite`); genes whose variance is too small or too
#'   large a number (`covmash_error_scale`); a symmetric `x` without `n_samples`
#'   (`covmash_error_n_samples`); a gene that is constant (`covmash_error_constant`) or
#'   has no value (`covmash_error_all_missing`); too many factors
#'   (`covmash_error_n_factors`); a covariance matrix that is none
#'   (`covmash_error_covariance`); `NA` with `method = "pca"` (`covmash_error_missing`).
#'   A search that has not converged is a warning of class
#'   `covmash_warning_convergence`, samples without any value one of class
#'   `covmash_warning_empty`.
#' @references
#' Joreskog KG (1967). Some contributions to maximum likelihood factor analysis.
#' *Psychometrika* 32, 443-482. \doi{10.1007/BF02289658}
#'
#' Lawley DN, Maxwell AE (1971). *Factor Analysis as a Statistical Method*, 2nd
#' edition. Butterworths, London.
#'
#' Rubin DB, Thayer DT (1982). EM algorithms for ML factor analysis. *Psychometrika*
#' 47, 69-76. \doi{10.1007/BF02293851}
#'
#' Jamshidian M, Jennrich RI (1997). Acceleration of the EM algorithm by using
#' quasi-Newton methods. *JRSS B* 59, 569-587. \doi{10.1111/1467-9868.00083}
#'
#' Tipping ME, Bishop CM (1999). Probabilistic principal component analysis. *JRSS B*
#' 61, 611-622. \doi{10.1111/1467-9868.00196}
#'
#' Bartlett MS (1951). The effect of standardization on a chi-square approximation in
#' factor analysis. *Biometrika* 38, 337-344. \doi{10.1093/biomet/38.3-4.337}
#' @seealso [select_n_factors()] to choose K, [factor_covariance()]
#' @concept factor analysis
#' @concept missing data
#' @concept probabilistic PCA
#' @export
#' @examples
#' set.seed(1)
#' truth <- generate_factor_covariance(n_genes = 20, n_pathways = 2)$Sigma
#' x <- rfactor_cov(200, truth)
#' fit <- fit_factor_model(x, n_factors = 2, n_threads = 1)
#' fit
#' # with a tenth of the values missing
#' x[sample(length(x), 400)] <- NA
#' fit_factor_model(x, n_factors = 2, n_threads = 1)
fit_factor_model <- function(x, n_factors, method = c("ml", "pca", "ppca"),
                             n_samples = NULL,
                             rotation = c("none", "varimax", "promax"),
                             lower = 0.005, start = NULL, tol = 1e-9,
                             max_iter = 1000, n_threads = NULL, data = NULL) {
  method <- check_choice(method, c("ml", "pca", "ppca"), "method")
  rotation <- if (identical(rotation, c("none", "varimax", "promax"))) "none" else check_rotation(rotation)
  check_number(lower, "lower", 1e-6, 0.5, "a number from 1e-6 to 0.5")
  check_number(tol, "tol", 1e-14, 0.1, "a number from 1e-14 to 0.1")
  check_whole(max_iter, "max_iter", 1)
  sample <- factor_sample(x, n_samples, data)
  if (missing(n_factors)) {
    abort_input(
      "`n_factors` is missing; give the number of factors, e.g. one that select_n_factors() suggests.",
      class = "covmash_error_n_factors"
    )
  }
  check_n_factors(n_factors, method, sample)
  options <- list(
    lower = lower, start = check_start(start, sample), tol = tol,
    max_iter = min(max_iter, .Machine$integer.max), n_threads = resolve_threads(n_threads)
  )
  tell_orientation(sample)
  tell_unseen_pairs(sample)
  parts <- factor_estimate(sample, as.integer(n_factors), method, options)
  fit <- build_factor_fit(parts, sample, as.integer(n_factors), method, lower)
  fit["observed"] <- list(observed_covariance(sample))
  fit$call <- match.call()
  fit <- rotate_factors(fit, rotation)
  warn_factor_fit(fit, sample, options$max_iter)
  fit
}

# ---- what is given ----------------------------------------------------------

# The data or the covariance matrix, checked: x, n, genes, is_covariance, n_missing.
factor_sample <- function(x, n_samples = NULL, data = NULL) {
  given <- factor_input(x, n_samples, data)
  x <- sample_values(given$x)
  if (!is.null(given$n_samples)) {
    return(covariance_sample(x, given$n_samples, given$center))
  }
  if (nrow(x) == ncol(x) && nrow(x) > 1L && !anyNA(x) && is_symmetric(x)) {
    abort_input(
      "`x` is symmetric and looks like a covariance matrix, but `n_samples` is missing; give the number of ",
      "samples it was computed from.",
      class = "covmash_error_n_samples"
    )
  }
  if (nrow(x) < 2L) {
    abort_input(
      "`x` must have at least two samples (rows), but it has 1.",
      class = "covmash_error_dimensions"
    )
  }
  check_genes_vary(x)
  empty <- if (anyNA(x)) rowSums(!is.na(x)) == 0 else FALSE
  if (any(empty)) {
    warn_covmash(
      "{plural(sum(empty), 'sample has', 'samples have')} no value (first: ",
      "{label_index('row', which(empty)[1], rownames(x))}); left out.",
      class = "covmash_warning_empty"
    )
    x <- x[!empty, , drop = FALSE]
  }
  sample <- list(
    x = x, n = nrow(x), n_genes = ncol(x), genes = colnames(x), is_covariance = FALSE,
    n_missing = sum(is.na(x))
  )
  sample$sd <- extreme_deviations(sample)
  sample
}

# ---- units ------------------------------------------------------------------

# The genes' standard deviations if squares of values come near the ends of what doubles have, else
# NULL. Each gene is scaled by its largest value first.
extreme_deviations <- function(sample) {
  if (sample$is_covariance) {
    sd <- sqrt(base::diag(sample$x))
    usual <- all(sd > 1e-50 & sd < 1e50)
  } else {
    total <- colSums(abs(sample$x), na.rm = TRUE)
    usual <- all(total > 1e-50 & total < 1e50)
    if (!usual) {
      # Columns that do not vary have been refused: zero everywhere is not among them.
      largest <- apply(abs(sample$x), 2, max, na.rm = TRUE)
      y <- sample$x / rep(largest, each = sample$n)
      y <- y - rep(colMeans(y, na.rm = TRUE), each = sample$n)
      sd <- sqrt(colMeans(y^2, na.rm = TRUE)) * largest
    }
  }
  if (usual) {
    return(NULL)
  }
  bad <- which(!(sd >= 1e-145 & sd <= 1e145))
  if (length(bad) > 0L) {
    abort_input(
      "{label_index('Column', bad[1], sample$genes)} of `x` has a standard deviation of about ",
      "{format(sd[bad[1]], digits = 2)}{and_others(length(bad))}, whose square is no number of double precision; ",
      "multiply such genes by a constant.",
      class = "covmash_error_scale"
    )
  }
  unname(sd)
}

# The sample in units in which squares neither overflow nor vanish, powers of two so that no digit
# changes: each gene's own for maximum likelihood, which does not depend on units; else one for all.
in_units <- function(sample, method) {
  if (is.null(sample$sd)) {
    return(sample)
  }
  if (method != "ml" && min(sample$sd) < 1e-140 * max(sample$sd)) {
    abort_input(
      "The standard deviations of the columns of `x` go from {format(min(sample$sd), digits = 2)} to ",
      "{format(max(sample$sd), digits = 2)}, too far apart for method '{method}', which does not scale them; ",
      "scale them, or use method 'ml'.",
      class = "covmash_error_scale"
    )
  }
  sd <- if (method == "ml") sample$sd else rep(max(sample$sd), sample$n_genes)
  sample$unit <- 2^round(log2(sd))
  sample$x <- if (sample$is_covariance) {
    sample$x / sample$unit / rep(sample$unit, each = sample$n_genes)
  } else {
    sample$x / rep(sample$unit, each = sample$n)
  }
  sample
}

from_units <- function(parts, sample) {
  unit <- sample$unit
  if (is.null(unit)) {
    return(parts)
  }
  values <- if (sample$n_missing > 0) colSums(!is.na(sample$x)) else rep(sample$n, sample$n_genes)
  parts$B <- parts$B * unit
  parts$D <- parts$D * unit * unit
  parts$variance <- parts$variance * unit * unit
  if (length(parts$mean) > 0L) parts$mean <- parts$mean * unit
  parts$loglik <- parts$loglik - sum(values * log(unit))
  parts
}

sample_values <- function(x, label = "`x`") {
  matrix_input(
    x, label,
    "a numeric matrix with samples in rows and genes in columns, or a covariance matrix",
    least = c(1L, 1L), vector = "no", values = "missing"
  )
}

check_genes_vary <- function(x) {
  seen <- if (anyNA(x)) colSums(!is.na(x)) else rep(nrow(x), ncol(x))
  if (any(seen == 0)) {
    abort_input(
      "Every value of {label_index('column', which(seen == 0)[1], colnames(x))} of `x` is ",
      "NA{and_others(sum(seen == 0))}; leave genes without data out.",
      class = "covmash_error_all_missing"
    )
  }
  constant <- if (any(seen < nrow(x))) {
    apply(x, 2, function(column) length(unique(column[!is.na(column)])) == 1L)
  } else {
    colSums(x != rep(x[1, ], each = nrow(x))) == 0
  }
  if (any(constant)) {
    abort_input(
      "{label_index('Column', which(constant)[1], colnames(x))} of `x` is ",
      "constant{and_others(sum(constant))}; leave genes that do not vary out.",
      class = "covmash_error_constant"
    )
  }
}

and_others <- function(n) {
  if (n > 1) paste0(", and so ", if (n == 2) "is 1 more" else paste("are", n - 1, "more"))
}

covariance_sample <- function(S, n_samples, center = NULL) {
  check_whole(n_samples, "n_samples", 2)
  label <- "The covariance matrix `x`"
  size <- "be square (leave `n_samples` out for data)"
  S <- covariance_input(S, label, "no", size = size)
  variance <- S[cbind(seq_len(nrow(S)), seq_len(nrow(S)))]
  if (any(variance <= 0)) {
    at <- which(variance <= 0)[1]
    abort_input(
      "{label_index('Column', at, colnames(S))} of the covariance matrix `x` has variance ",
      "{format(variance[at])}; leave genes that do not vary out.",
      class = "covmash_error_constant"
    )
  }
  S <- covariance_input(S, label, advice = "; see nearest_covariance()")
  genes <- if (is.null(colnames(S))) rownames(S) else colnames(S)
  sample <- list(
    x = S, n = as.numeric(n_samples), n_genes = ncol(S), genes = genes,
    is_covariance = TRUE, n_missing = 0, mean = center
  )
  sample$sd <- extreme_deviations(sample)
  sample
}

# ---- what the data cannot say -------------------------------------------------

# Pairs of genes that no sample has both: their number and the first of them.
unseen_pairs <- function(x) {
  count <- unname(colSums(!is.na(x)))
  # Two genes with more values than there are samples share some.
  rare <- which(count + min(count) <= nrow(x))
  if (length(rare) == 0L) {
    return(NULL)
  }
  seen <- unname(!is.na(x[, rare, drop = FALSE]))
  storage.mode(seen) <- "double"
  n <- 0
  first <- NULL
  # In blocks: with many genes there are very many pairs.
  for (from in seq(1L, length(rare), by = 500L)) {
    block <- from:min(from + 499L, length(rare))
    apart <- which(crossprod(seen[, block, drop = FALSE], seen) == 0, arr.ind = TRUE)
    apart[, 1] <- block[apart[, 1]]
    apart <- apart[apart[, 1] < apart[, 2], , drop = FALSE]
    n <- n + nrow(apart)
    if (is.null(first) && nrow(apart) > 0L) {
      first <- rare[apart[order(apart[, 1], apart[, 2])[1], ]]
    }
  }
  if (n > 0) list(n = n, first = first)
}

tell_unseen_pairs <- function(sample) {
  unseen <- if (sample$n_missing > 0) unseen_pairs(sample$x)
  if (!is.null(unseen)) {
    inform_covmash(
      "{plural(unseen$n, 'pair of genes is', 'pairs of genes are')} in no sample together (first: ",
      "{label_index('column', unseen$first[1], sample$genes)} and ",
      "{label_index('column', unseen$first[2], sample$genes)}); what such genes have in common follows from ",
      "the model alone and may not be determined.",
      class = "covmash_message_pairs"
    )
  }
}

# Columns that are linear combinations of others, by pivots of the correlation matrix: a list of
# `gene` and `of`, positions.
dependent_genes <- function(sample) {
  x <- sample$x
  if (!sample$is_covariance) {
    if (sample$n_missing > 0) x <- x[!rowSums(is.na(x)), , drop = FALSE]
    if (nrow(x) <= ncol(x) || !all(genes_that_vary(x))) {
      return(if (sample$n_missing > 0) proportional_genes(sample$x) else list())
    }
    x <- crossprod(scale(x))
  }
  N <- ncol(x)
  # It warns of what it is asked for.
  factor <- suppressWarnings(chol(unit_variances(unname(x)), pivot = TRUE, tol = 1e3 * N * .Machine$double.eps))
  rank <- attr(factor, "rank")
  if (rank == N) {
    return(if (sample$n_missing > 0) proportional_genes(sample$x) else list())
  }
  order <- attr(factor, "pivot")
  kept <- seq_len(rank)
  weights <- backsolve(factor[kept, kept, drop = FALSE], factor[kept, -kept, drop = FALSE])
  lapply(seq_len(N - rank), function(i) {
    list(gene = order[rank + i], of = sort(order[kept][abs(weights[, i]) > 1e-6]))
  })
}

# With missing values: pairs whose correlation is 1 or -1, of those genes that are nearly one.
proportional_genes <- function(x) {
  R <- suppressWarnings(stats::cor(x, use = "pairwise.complete.obs"))
  n <- crossprod(!is.na(x))
  same <- which(abs(R) > 1 - 1e-12 & n >= 3 & upper.tri(R), arr.ind = TRUE)
  same <- same[!duplicated(same[, 2]), , drop = FALSE]
  lapply(seq_len(nrow(same)), function(i) list(gene = same[i, 2], of = same[i, 1]))
}

describe_dependence <- function(dependent, genes) {
  first <- dependent[[1]]
  of <- if (is.null(genes)) first$of else paste0("'", genes[first$of], "'")
  of <- paste0(
    if (is.null(genes)) if (length(of) == 1L) "column " else "columns ",
    paste(first_few(of, 6L), collapse = ", "), if (length(of) > 6L) paste0(", and ", length(of) - 6L, " more")
  )
  how <- if (length(first$of) == 1L) " is a linear function of " else " is a linear combination of "
  paste0(label_index("column", first$gene, genes), how, of, and_others(length(dependent)))
}

# Most factors that can be estimated.
most_factors <- function(n_genes, n, method) {
  bound <- if (method == "ml") {
    # The largest K with (N - K)^2 >= N + K.
    floor(n_genes + 0.5 - sqrt(2 * n_genes + 0.25) + 1e-9)
  } else {
    n_genes - 1
  }
  max(0, min(bound, n - 2))
}

check_n_factors <- function(n_factors, method, sample) {
  check_whole(n_factors, "n_factors", 0)
  most <- most_factors(sample$n_genes, sample$n, method)
  if (n_factors > most) {
    abort_input(
      "`n_factors` is {format_count(n_factors)}, but from {plural(sample$n_genes, 'gene')} and ",
      "{plural(sample$n, 'sample')} at most {plural(most, 'factor')} can be estimated by method '{method}'.",
      class = "covmash_error_n_factors"
    )
  }
}

check_start <- function(start, sample) {
  if (is.null(start)) {
    return(numeric())
  }
  if (!is.numeric(start) || length(start) != sample$n_genes) {
    abort_input(
      "`start` must have one uniqueness for each of the {plural(sample$n_genes, 'gene')}, but it is ",
      "{describe(start)}.",
      class = "covmash_error_dimensions"
    )
  }
  if (!all(is.finite(start)) || any(start <= 0 | start > 1)) {
    abort_input(
      "`start` must hold uniquenesses above 0 and at most 1.",
      class = "covmash_error_argument"
    )
  }
  as.double(start)
}

# ---- estimation -------------------------------------------------------------

# B, D, mean, variance, loglik, objective and convergence.
factor_estimate <- function(sample, K, method, options) {
  sample <- in_units(sample, method)
  from_units(estimate_in_units(sample, K, method, options), sample)
}

estimate_in_units <- function(sample, K, method, options) {
  if (sample$n_missing > 0 && method == "pca") {
    abort_input(
      "`x` has {plural(sample$n_missing, 'missing value')}, which method 'pca' cannot handle; use 'ml' or ",
      "'ppca'.",
      class = "covmash_error_missing"
    )
  }
  if (sample$n_missing > 0) {
    return(estimate_missing(sample, K, method, options))
  }
  switch(method,
    ml = estimate_ml(sample, K, options),
    pca = estimate_pca(sample, K, options),
    ppca = estimate_ppca(sample, K, options)
  )
}

estimate_ml <- function(sample, K, options) {
  out <- run_core(cpp_fit_factors(
    sample$x, sample$is_covariance, K, options$lower, options$tol, options$max_iter,
    options$start, options$n_threads
  ))
  sd <- sqrt(out$variance)
  N <- sample$n_genes
  list(
    B = out$loadings * sd, D = out$uniquenesses * out$variance, mean = out$mean,
    variance = out$variance, at_bound = out$at_bound,
    loglik = -sample$n / 2 * (N * log(2 * pi) + out$objective + 2 * sum(log(sd))),
    objective = if (is.na(out$log_det)) NA_real_ else out$objective - out$log_det - N,
    baseline_objective = -out$log_det,
    convergence = out[c("converged", "iterations", "evaluations", "starts", "kkt_violation")]
  )
}

estimate_missing <- function(sample, K, method, options) {
  out <- run_core(cpp_fit_factors_missing(
    sample$x, K, options$lower, method == "ppca",
    max(options$tol, cpp_defaults("missing_factor")$tol),
    options$max_iter, options$n_threads
  ))
  list(
    B = out$loadings, D = out$psi, mean = out$mean,
    # The genes' variances under the fit: those of the observed values are biased.
    variance = rowSums(out$loadings^2) + out$psi, at_bound = out$at_bound,
    loglik = out$loglik, objective = NA_real_,
    convergence = out[c("converged", "iterations", "evaluations", "starts", "kkt_violation")]
  )
}

leading_pairs <- function(sample, K, options) {
  run_core(cpp_leading_eigen(
    sample$x, sample$is_covariance, FALSE, K, 1e-11, options$n_threads
  ))
}

closed_form <- list(
  converged = TRUE, iterations = 0, evaluations = 1, starts = 1, kkt_violation = 0
)

estimate_pca <- function(sample, K, options) {
  pairs <- leading_pairs(sample, K, options)
  B <- pairs$vectors * rep(sqrt(pmax(pairs$values, 0)), each = sample$n_genes)
  left <- pairs$variance - rowSums(B^2)
  floor <- options$lower * pairs$variance
  D <- pmax(left, floor)
  list(
    B = B, D = D, mean = pairs$mean, variance = pairs$variance, at_bound = left <= floor,
    loglik = complete_loglik(sample, B, D, pairs, options$n_threads), objective = NA_real_,
    convergence = closed_form
  )
}

complete_loglik <- function(sample, B, D, pairs, n_threads) {
  run_core(if (sample$is_covariance) {
    cpp_factor_loglik_of_covariance(B, D, sample$x, sample$n, n_threads)
  } else {
    centred <- sample$x - rep(pairs$mean, each = sample$n)
    sum(cpp_factor_log_density(B, NULL, D, centred, n_threads)$value)
  })
}

estimate_ppca <- function(sample, K, options) {
  pairs <- leading_pairs(sample, K, options)
  N <- sample$n_genes
  noise <- (sum(pairs$variance) - sum(pairs$values)) / (N - K)
  if (noise <= 1e-12 * mean(pairs$variance)) {
    abort_input(
      "{plural(K, 'factor explains', 'factors explain')} all of `x`; `n_factors` is too large.",
      class = "covmash_error_n_factors"
    )
  }
  strength <- sqrt(pmax(pairs$values - noise, 0))
  f <- sum(log(pmax(pairs$values, noise))) + (N - K) * log(noise) + N
  list(
    B = pairs$vectors * rep(strength, each = N), D = rep(noise, N), mean = pairs$mean,
    variance = pairs$variance, at_bound = rep(FALSE, N),
    loglik = -sample$n / 2 * (N * log(2 * pi) + f), objective = NA_real_,
    convergence = closed_form
  )
}

# ---- the object -------------------------------------------------------------

build_factor_fit <- function(parts, sample, K, method, lower) {
  N <- sample$n_genes
  B <- parts$B
  # A sum of at least 0, so that signs are the same everywhere.
  signs <- ifelse(colSums(B / sqrt(parts$variance)) < 0, -1, 1)
  B <- B * rep(signs, each = N)
  dimnames(B) <- list(sample$genes, if (K > 0) paste0("Factor", seq_len(K)))
  named <- function(v) stats::setNames(as.vector(v), sample$genes)
  parameters <- if (method == "ppca") N * K + 1 - K * (K - 1) / 2 else n_parameters(N, K)$identified
  new_factor_fit(list(
    covariance = factor_covariance(B, D = named(parts$D)),
    loadings = B, factor_covariance = NULL, noise = named(parts$D),
    uniquenesses = named(parts$D / parts$variance),
    mean = if (!sample$is_covariance) named(parts$mean) else if (!is.null(sample$mean)) named(sample$mean),
    variance = named(parts$variance),
    loglik = parts$loglik, n_parameters = parameters, objective = parts$objective,
    baseline_objective = if (is.null(parts$baseline_objective)) NA_real_ else parts$baseline_objective,
    test = if (method == "ml") test_of_fit(parts$objective, sample$n, N, K), heywood = named(parts$at_bound),
    convergence = parts$convergence, method = method, rotation = "none",
    rotation_matrix = base::diag(nrow = K), n_factors = K, n_samples = sample$n,
    n_genes = N, n_missing = sample$n_missing, lower = lower
  ))
}

new_factor_fit <- function(x) structure(x, class = "factor_fit")

check_factor_fit <- function(x, name = "fit") {
  if (!inherits(x, "factor_fit")) {
    abort_input(
      "`{name}` must be a fit of fit_factor_model(), not {describe(x)}.",
      class = "covmash_error_fit"
    )
  }
  bad <- damaged_elements(x)
  if (length(bad) > 0L) {
    abort_input(
      "`{name}` is damaged: its {if (length(bad) == 1L) 'element' else 'elements'} {quote_some(bad)} ",
      "{if (length(bad) == 1L) 'is' else 'are'} missing or not what fit_factor_model() made; fit the model again.",
      class = "covmash_error_fit"
    )
  }
  invisible(x)
}

# Names of the elements that are not what they are in a fit.
damaged_elements <- function(x) {
  if (!is.list(x)) {
    return("n_genes")
  }
  x <- unclass(x)
  whole <- function(v, lower = 0) checkmate::test_number(v, lower = lower, finite = TRUE) && v == round(v)
  counts <- c("n_genes", "n_factors", "n_samples", "n_missing", "n_parameters")
  bad <- counts[!vapply(counts, function(name) whole(x[[name]]), logical(1))]
  if (length(bad) > 0L) {
    return(bad)
  }
  N <- x$n_genes
  K <- x$n_factors
  vec <- function(v) is.numeric(v) && is.null(dim(v)) && length(v) == N && all(is.finite(v))
  mat <- function(v, n) is.matrix(v) && is.numeric(v) && identical(as.numeric(dim(v)), as.numeric(c(n, K))) && all(is.finite(v))
  number <- function(v) is.numeric(v) && length(v) == 1L
  numbers_in <- function(v, names) is.list(v) && all(vapply(names, function(name) number(v[[name]]), logical(1)))
  good <- c(
    covariance = is_factor_cov(x$covariance) && is.null(damaged_covariance(x$covariance)) &&
      identical(dim(x$covariance), rep(as.integer(N), 2L)),
    loadings = mat(x$loadings, N) && (K == 0 || length(colnames(x$loadings)) == K),
    factor_covariance = is.null(x$factor_covariance) || mat(x$factor_covariance, K),
    noise = vec(x$noise), uniquenesses = vec(x$uniquenesses), variance = vec(x$variance),
    mean = is.null(x$mean) || vec(x$mean),
    loglik = number(x$loglik), objective = number(x$objective) || is.logical(x$objective) && length(x$objective) == 1L,
    test = is.null(x$test) || numbers_in(x$test, c("statistic", "df", "p.value")),
    heywood = is.logical(x$heywood) && length(x$heywood) == N && !anyNA(x$heywood),
    convergence = numbers_in(x$convergence, c("iterations", "evaluations", "starts", "kkt_violation")) &&
      checkmate::test_flag(x$convergence$converged),
    method = checkmate::test_choice(x$method, names(factor_methods)),
    rotation = checkmate::test_string(x$rotation), rotation_matrix = mat(x$rotation_matrix, K),
    rotation_arguments = is.null(x$rotation_arguments) || is.list(x$rotation_arguments),
    observed = is.null(x$observed) || is.matrix(x$observed) && is.numeric(x$observed) && all(dim(x$observed) == N) &&
      all(is.finite(x$observed))
  )
  names(good)[!good]
}

test_of_fit <- function(objective, n, N, K) {
  df <- ((N - K)^2 - N - K) / 2
  if (is.na(objective) || df < 1 || n <= N) {
    return(NULL)
  }
  statistic <- max((n - 1 - (2 * N + 5) / 6 - 2 * K / 3) * objective, 0)
  list(
    statistic = statistic, df = df,
    p.value = stats::pchisq(statistic, df, lower.tail = FALSE)
  )
}

warn_factor_fit <- function(fit, sample, max_iter) {
  search <- fit$convergence
  if (!search$converged) {
    derivative <- format(search$kkt_violation, digits = 2)
    warn_covmash(
      "The fit has not converged: after {plural(search$iterations, 'iteration')} the largest derivative is ",
      "{derivative}; ",
      if (search$kkt_violation < 1e-5) {
        "the likelihood cannot be told from its rounding there, and a larger `tol` accepts it."
      } else {
        "raise `max_iter` ({format_count(max_iter)} from one start) or `tol`."
      },
      class = "covmash_warning_convergence"
    )
  }
  if (any(fit$heywood)) {
    at <- which(fit$heywood)
    shown <- if (is.null(names(at))) paste("gene", at) else names(at)
    dependent <- dependent_genes(sample)
    advice <- if (length(dependent) > 0L) {
      paste0(describe_dependence(dependent, sample$genes), "; leave such columns out.")
    } else {
      "fewer factors may be enough."
    }
    warn_covmash(
      "Heywood case: {plural(length(at), 'noise variance is', 'noise variances are')} at the floor ",
      "({quote_some(shown)}); {advice}",
      class = c(if (length(dependent) > 0L) "covmash_warning_dependent", "covmash_warning_heywood")
    )
  }
  invisible(NULL)
}
