#' Covariance matrices by extreme deconvolution
#'
#' Refines covariance matrices so that they describe the true effects, not the
#' estimates with their errors: a mixture of zero-mean normals with covariances
#' \eqn{U_k} is fitted to the chosen rows by maximum likelihood, given the known
#' noise.
#'
#' @param data A data object made by [mash_set_data()], or a [source][mash_source()], which stands for its rows `subset`,
#'   or a sample of them.
#' @param Ulist_init List of R x R covariance matrices to start from, e.g. from
#'   [cov_pca()].
#' @param subset Rows to use (usually strong ones): numbers, names or
#'   `TRUE`/`FALSE`; all rows if `NULL`.
#' @param algorithm `"bovy"` (default): the EM algorithm of Bovy, Hogg and Roweis
#'   (2011), which keeps the rank of the starting matrices; a ridge
#'   \eqn{I/\sqrt n} is added at the end. `"teem"`: truncated-eigenvalue
#'   EM (Yang et al. 2024), whose result can have any rank.
#' @param ... For `"bovy"`: `tol` (1e-6; stop when the mean log-likelihood of a row
#'   rises by no more), `maxiter` (1e9), `w` (0; ridge added in every step),
#'   `fixamp` (`FALSE`; keep the weights), `fixcovar` (`FALSE`; keep the
#'   matrices, one value or one for each). For `"teem"`: `w_init` (starting
#'   weights, equal), `maxiter` (5000), `converge_tol` (1e-7; stop when no weight
#'   changes by more), `eigen_tol` (1e-7; eigenvalues of the noisy covariance at
#'   or below 1 become `1 + eigen_tol`), `verbose` (`FALSE`). Anything else is
#'   ignored with a warning.
#' @param n_threads Number of threads, see [covmash_threads].
#'
#' @return A named list of R x R matrices, `ED_<name>` for each name of
#'   `Ulist_init`, on the scale of `data$Bhat`, with the names of the conditions.
#'   It can be given to [mash()] as it is, or joined with other lists by `c()`.
#'
#' @details With responsibilities \eqn{\gamma_{jk}}, noise \eqn{V_j} and
#'   \eqn{T_{jk} = V_j + U_k}, a step of `"bovy"` replaces \eqn{U_k} by
#'   \deqn{\frac{\sum_j \gamma_{jk} (b_{jk} b_{jk}' + B_{jk})}{
#'     \sum_j \gamma_{jk}}, \quad b_{jk} = U_k T_{jk}^{-1} \hat b_j, \quad
#'     B_{jk} = U_k - U_k T_{jk}^{-1} U_k.}{
#'     sum_j gamma_jk (b_jk b_jk' + B_jk) / sum_j gamma_jk,
#'     b_jk = U_k T_jk^-1 bhat_j, B_jk = U_k - U_k T_jk^-1 U_k.}
#'   Missing estimates are left out of it.
#'
#'   `"teem"` needs the same noise in every row. The rows are whitened by the
#'   common noise, \eqn{z = M^{-1} \hat b}{z = M^-1 bhat} with \eqn{M M' = S V S}; with
#'   \eqn{S_k = \sum_j \gamma_{jk} z_j z_j' / \sum_j \gamma_{jk}}, the new
#'   \eqn{I + U_k} is \eqn{S_k} with its eigenvalues raised to at least 1; the
#'   result is mapped back, \eqn{M U_k M'}. If the standard errors differ
#'   between rows, z-scores are used, the result is scaled by the root mean
#'   square standard error of each condition, and a warning of class
#'   `covmash_warning_teem` says so. Rows with missing estimates are left out of
#'   it, with a warning of class `covmash_warning_missing`.
#'
#' @section Errors: A bad `Ulist_init`: `covmash_error_ulist`; a bad `subset`:
#'   `covmash_error_index`; no complete row left for `"teem"`:
#'   `covmash_error_missing`. A run that stops at `maxiter` warns with class
#'   `covmash_warning_convergence`.
#'
#' @section Differences from mashr:
#'   * `algorithm = "teem"` returns a list that works in [mash()], uses `V`,
#'     and returns matrices on the scale of `data$Bhat`, not of z-scores (the
#'     same when `Shat = 1` and `V` is the identity).
#'   * Missing estimates are left out, not taken as 0.
#'   * Only the arguments above are known in `...`; `splitnmerge` and `logfile`
#'     are not.
#'
#' @references
#' Bovy J, Hogg DW, Roweis ST (2011). Extreme deconvolution. *Annals of Applied
#' Statistics* 5(2B), 1657-1677. \doi{10.1214/10-AOAS439}
#'
#' Yang Y, Carbonetto P, Gerard D, Stephens M (2024). Improved methods for
#' empirical Bayes multivariate multiple testing and effect size estimation.
#' arXiv:2406.08784.
#' @seealso [cov_pca()], [mash()]
#' @concept Gaussian mixture
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 40, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' U <- cov_pca(data, npc = 2)
#' U_ed <- cov_ed(data, U, n_threads = 1)
#' names(U_ed)
#' U_teem <- cov_ed(data, U, algorithm = "teem", n_threads = 1)
#' round(U_teem$ED_tPCA, 2)
cov_ed <- function(data, Ulist_init, subset = NULL,
                   algorithm = c("bovy", "teem"), ..., n_threads = NULL) {
  taken <- take_effects(data, subset)
  data <- taken$data
  subset <- taken$subset
  refuse_missing(
    missing(Ulist_init), "Ulist_init", "matrices to start from, e.g. cov_pca(data, 5, subset)", "covmash_error_ulist"
  )
  algorithm <- check_choice(algorithm, c("bovy", "teem"), "algorithm")
  n_threads <- resolve_threads(n_threads)
  Ulist <- check_ulist(
    Ulist_init, ncol(data$Bhat), colnames(data$Bhat), "Ulist_init"
  )
  Ulist <- lapply(Ulist, as.matrix)
  rows <- resolve_subset(subset, data)
  run <- if (algorithm == "bovy") bovy_wrapper else teem_wrapper
  fitted <- run(data[rows, ], Ulist, list(...), n_threads)
  labels <- colnames(data$Bhat)
  fitted <- lapply(fitted, function(U) {
    matrix(U, nrow(U), ncol(U), dimnames = if (!is.null(labels)) list(labels, labels))
  })
  stats::setNames(fitted, paste0("ED_", names(Ulist)))
}

# ---- extreme deconvolution --------------------------------------------------

bovy_wrapper <- function(data, Ulist, dots, n_threads) {
  K <- length(Ulist)
  settings <- bovy_settings(dots, K)
  data <- rows_with(
    data, rowSums(!is.na(data$Bhat)) > 0, "an observed estimate", "no observed estimate"
  )
  start <- list(Ulist = Ulist, pi = rep(1 / K, K))
  fit <- run_core(
    cpp_ed(data, start, c(settings, n_threads = n_threads)), rownames(data$Bhat),
    names(Ulist), names(Ulist)
  )
  if (!isTRUE(fit$converged)) {
    warn_deconvolution(fit$iterations, "maxiter")
  }
  # Rank-deficient matrices make effects that are exactly collinear; the ridge,
  # of the size of the error of the estimate, keeps lfsr honest.
  ridge <- diag(ncol(data$Bhat)) / sqrt(nrow(data$Bhat))
  lapply(fit$Ulist, function(U) symmetrise(U) + ridge)
}

bovy_settings <- function(dots, K) {
  dots <- take_dots(
    dots, c("tol", "maxiter", "w", "fixamp", "fixcovar"),
    "cov_ed() with algorithm = \"bovy\""
  )
  settings <- c(cpp_defaults("deconvolution"), fixcovar = FALSE)
  settings[names(dots)] <- dots
  check_number(settings$tol, "tol", 0, what = "a number of at least 0")
  settings$maxiter <- whole_number(settings$maxiter, "maxiter", 1)
  check_number(settings$w, "w", 0, what = "a number of at least 0")
  settings$fixamp <- check_flags(settings$fixamp, K, "fixamp")
  settings$fixcovar <- check_flags(settings$fixcovar, K, "fixcovar")
  if (length(unique(settings$fixamp)) > 1L) {
    abort_input(
      "`fixamp` must be the same for all matrices: their weights sum to one.",
      class = "covmash_error_argument"
    )
  }
  settings$fixamp <- settings$fixamp[1]
  settings
}

# ---- truncated eigenvalues --------------------------------------------------

teem_wrapper <- function(data, Ulist, dots, n_threads) {
  K <- length(Ulist)
  settings <- teem_settings(dots, K)
  data <- rows_with(
    data, rowSums(is.na(data$Bhat)) == 0,
    "no missing estimate, which algorithm = \"teem\" needs",
    "missing estimates, which algorithm = \"teem\" cannot use"
  )
  settings$scale <- teem_scale(data$Shat)
  z <- unname(data$Bhat / data$Shat)
  fit <- run_core(
    cpp_teem(
      new_mash_data(z, array(1, dim(z)), unname(common_V(data, "TEEM")), 0), list(Ulist = Ulist, pi = settings$w_init),
      c(settings, n_threads = n_threads)
    ),
    rownames(data$Bhat), names(Ulist), names(Ulist)
  )
  step_message(
    settings$verbose, "TEEM: {plural(fit$iterations, 'iteration')}, log-likelihood of the ",
    "whitened rows {format(fit$objective[fit$iterations], nsmall = 2)}"
  )
  if (!isTRUE(fit$converged)) {
    warn_deconvolution(fit$iterations, "maxiter")
  }
  fit$Ulist
}

# The standard errors that all rows have. With rows that differ, the root mean squares: then only the z-scores share a
# noise, and this is the scale to which the result is returned.
teem_scale <- function(Shat) {
  Shat <- unname(Shat)
  if (all(Shat == rep(Shat[1, ], each = nrow(Shat)))) {
    return(Shat[1, ])
  }
  warn_covmash(
    "algorithm = \"teem\" needs the same standard errors in every row; z-scores are used and the result ",
    "is scaled by the root mean square standard error of each condition.",
    class = "covmash_warning_teem"
  )
  sqrt(colMeans(Shat^2))
}

teem_settings <- function(dots, K) {
  dots <- take_dots(
    dots, c("w_init", "maxiter", "converge_tol", "eigen_tol", "verbose"),
    "cov_ed() with algorithm = \"teem\""
  )
  settings <- c(
    cpp_defaults("truncated"), list(w_init = rep(1 / K, K), verbose = FALSE)
  )
  dots <- dots[!vapply(dots, is.null, logical(1))]
  settings[names(dots)] <- dots
  settings$maxiter <- whole_number(settings$maxiter, "maxiter", 1)
  check_number(
    settings$converge_tol, "converge_tol", 0, what = "a number of at least 0"
  )
  check_number(
    settings$eigen_tol, "eigen_tol", 0, what = "a number of at least 0"
  )
  check_flag(settings$verbose, "verbose")
  w <- settings$w_init
  if (!is.numeric(w) || length(w) != K || !all(is.finite(w)) || any(w < 0) ||
        sum(w) <= 0) {
    abort_input(
      "`w_init` must hold one non-negative weight for each of the {plural(K, 'matrix', 'matrices')}, not ",
      "{describe(w)}.",
      class = "covmash_error_argument"
    )
  }
  settings$w_init <- as.double(w / sum(w))
  settings
}

# ---- shared -----------------------------------------------------------------

# The rows to keep; those left out are told, and it is an error if none is left. Where
# nothing is missing `keep` is not even computed.
rows_with <- function(data, keep, what, why_not) {
  if (!anyNA(data$Bhat) || all(keep)) {
    return(data)
  }
  warn_covmash(
    "{plural(sum(!keep), 'row')} left out: {why_not}.",
    class = "covmash_warning_missing"
  )
  if (!any(keep)) {
    abort_input(
      "None of the chosen rows of `data` has {what}; choose others.",
      class = "covmash_error_missing"
    )
  }
  data[keep, ]
}

warn_deconvolution <- function(iterations, argument) {
  warn_covmash(
    "The deconvolution did not converge in {plural(iterations, 'iteration')}; its matrices are usable, and ",
    "a larger `{argument}` may improve them.",
    class = "covmash_warning_convergence"
  )
}
