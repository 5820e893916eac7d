# Bayes factors against "zero in every condition".

#' Bayes factors
#'
#' Of each effect, against "zero in every condition": of the whole prior, or of each of its covariance
#' matrices by itself.
#'
#' @param m A fit of [mash()]; with `data` also one of [deconvolve()], a `fitted_g` or a prior of
#'   [fit_mash_prior()].
#' @param data A data object made by [mash_set_data()], for Bayes factors by matrix: that of the fit, or
#'   other rows.
#' @param by `"prior"` (default): of all that is not the point mass. `"matrix"`: of each covariance
#'   matrix with the weights of its own scales.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return Base-10 logarithms. By prior a J x 1 matrix, `(alt_loglik - null_loglik) / log(10)`; `NULL`
#'   for a fit without point mass. By matrix a J x K matrix with the names of the effects and the
#'   matrices: \eqn{\log_{10} \sum_l \pi_{l|k} N(\hat b_j; 0, \omega_l U_k + V_j) / N(\hat b_j; 0,
#'   V_j)}{log10 sum_l pi_{l|k} N(bhat_j; 0, omega_l U_k + V_j) / N(bhat_j; 0, V_j)}; `NA`
#'   for a matrix without weight in the prior, whose scales have none.
#' @section Errors: `covmash_error_fit` for anything that is no fit; else as
#'   [mash_compute_posterior_matrices()].
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019).
#'   *Nature Genetics* 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#'
#'   Wen X, Stephens M (2014). Bayesian methods for genetic association analysis with heterogeneous
#'   subgroups. *Annals of Applied Statistics* 8(1), 176-203. \doi{10.1214/13-AOAS695}
#' @seealso [get_posterior_weights()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' summary(get_log10bf(fit))
#' tail(round(get_log10bf(fit, data, by = "matrix", n_threads = 1), 1), 3)
get_log10bf <- function(m, data = NULL, by = c("prior", "matrix"), n_threads = NULL) {
  if (check_choice(by, c("prior", "matrix"), "by") == "matrix") {
    refuse_missing(is.null(data), "data", "a data object made by mash_set_data()")
    return(bayes_factors_by_matrix(problem_of(m, data), resolve_threads(n_threads)))
  }
  check_fit(m)
  if (!is.null(m[["source"]]) && m$fitted_g$usepointmass) {
    abort_input(
      "`m` is the fit of a source, which keeps nothing of single effects; take that of some of them, ",
      "mash(src[rows], g = m, fixg = TRUE).",
      class = "covmash_error_fit"
    )
  }
  if (is.null(m$null_loglik) || is.null(m$alt_loglik)) {
    return(NULL)
  }
  if (!is.numeric(m$null_loglik) || !is.numeric(m$alt_loglik) || length(m$null_loglik) != length(m$alt_loglik)) {
    damaged_fit("m", "its `null_loglik` and `alt_loglik` must be numeric and of one length")
  }
  unname((m$alt_loglik - as.vector(m$null_loglik)) / log(10))
}

bayes_factors_by_matrix <- function(problem, n_threads) {
  model <- problem$model
  K <- length(model$Ulist)
  first <- as.integer(model$usepointmass)
  weights <- matrix(model$pi[first + seq_len(K * length(model$grid))], K)
  log_weights <- log(weights) - log(rowSums(weights))
  model$usepointmass <- TRUE
  # NULL: names come from the matrices.
  model$labels <- NULL
  J <- nrow(problem$data$Bhat)
  out <- matrix(
    NA_real_, J, K, dimnames = list(rownames(problem$data$Bhat), make.unique(names(model$Ulist)))
  )
  for (rows in split_rows(J, max(1000, floor(2e7 / (K * length(model$grid) + 1))))) {
    L <- loglik_matrix(problem$data[rows, ], model, n_threads)
    for (k in which(rowSums(weights) > 0)) {
      used <- which(weights[k, ] > 0)
      terms <- L[, 1 + k + (used - 1) * K, drop = FALSE] + rep(log_weights[k, used], each = length(rows))
      out[rows, k] <- (log_row_sums(terms) - L[, 1]) / log(10)
    }
  }
  out
}

# log(rowSums(exp(x)))
log_row_sums <- function(x) {
  largest <- row_maxima(x)
  ifelse(largest == -Inf, -Inf, largest + log(rowSums(exp(x - largest))))
}
