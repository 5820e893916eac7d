# Deconvolution by components of several kinds, penalised so that their covariances calibrate.

#' Learn covariance matrices that calibrate
#'
#' Fits a mixture of zero-mean normals to the true effects seen through their noise, with
#' covariances of several kinds, a penalty that keeps them away from singular, and several
#' starts. `cov_ted()` and `cov_fa()` are the short ways to matrices for [mash()];
#' `deconvolve()` returns the fit itself, with which one can predict.
#'
#' @param data A data object made by [mash_set_data()]; missing estimates, a `V` and
#'   standard errors of each effect's own are taken as they are. For `cov_ted()` also a [source][mash_source()],
#'   which stands for its rows `subset`, or a sample of them.
#' @param subset Rows to learn from, usually the strong ones: numbers, names or
#'   `TRUE`/`FALSE`; all rows if `NULL`.
#' @param K Number of matrices.
#' @param sparse How many restrictions of each matrix are added at most: the same matrix on
#'   the conditions of largest variance, exactly 0 on the others, cut where the variance
#'   (in units of the noise) falls most, by a factor of 1.5 at least. Of three to six conditions,
#'   moreover, the identity on every two and three of them. 0 for none of either.
#' @param n_full,n_rank1,n_factor Numbers of components: of full rank, of rank one, and
#'   factor models \eqn{QQ' + D}.
#' @param q Number of factors of a factor model.
#' @param scaled,fixed Lists of R x R covariance matrices: components \eqn{c U} whose
#'   size alone is learned, and components that stay as they are. `cov_ted()`: `NULL` stands for
#'   the identity and for equal effects, so that the other matrices need not imitate them;
#'   `list()` for none.
#' @param scales Every component comes at these scales (factors of its covariance), each with a
#'   weight of its own: effects of one pattern and several sizes share one matrix.
#' @param start Matrices to start from, one for each full, rank-one and factor component,
#'   in this order, in place of `n_starts` starts. A named list keeps its names.
#' @param n_starts Number of starts: the first from the principal components of the
#'   data, the others random. Each runs for `trial_steps` steps; the best goes on to
#'   convergence.
#' @param penalty `"iw"` (default): inverse Wishart; `"nuclear"`: nuclear norm (full
#'   components only); `"none"`.
#' @param lambda Strength of the penalty, in effects: 2R if `NULL`.
#' @param update How full components are renewed: `"ted"` (default), the exact maximiser
#'   where all effects have the same noise and a monotone step elsewhere, or `"ed"`, the
#'   step of extreme deconvolution.
#' @param refine `"none"` (default), or `"mash"`: after that a fit of the same components,
#'   times a grid of scales, and of a null component to *all* rows of `data`. For weak
#'   signals; slower.
#' @param weights How often each row of `data` counts, once if `NULL`.
#' @param accelerate Whether steps are extrapolated (SQUAREM). The objective never falls
#'   either way.
#' @param tol The fit has converged when the objective grows by no more than `tol` an
#'   effect in two steps, and in a plain step by no more than `tol / 10`.
#' @param max_evaluations Largest number of passes over the data after the trials; more
#'   end with a warning.
#' @param trial_steps Steps of each start.
#' @param n_threads Number of threads, see [covmash_threads].
#' @param ... Arguments of `deconvolve()`.
#'
#' @return `cov_ted()`: a named list of R x R matrices `TED_1`, `TED_2`, ... on the scale
#'   of `data$Bhat`, for [mash()], with the names of the conditions, the scaled ones
#'   (`TED_identity`, `TED_equal`), and restrictions
#'   `TED_1_top4`, ... (to four conditions) and `TED_on_1_3`, ... (the identity on conditions 1 and
#'   3). `cov_fa()`: the same
#'   of `factor_cov` objects `FA_1`, ..., which [mash()] keeps factored. Components to
#'   which less than half an effect (of average weight) belongs are left out.
#'
#'   `deconvolve()`: a list of class `"deconvolution"` with
#'   * `Ulist`, `pi`: the covariances (factor models as `factor_cov`) and their weights;
#'   * `components`: a data frame, one row for each: name, kind, weight, effects that
#'     belong to it, rank, and for scaled ones the factor learned;
#'   * `loglik`, `penalty`, `objective` (the trace of their sum, by step), `evaluations`,
#'     `converged`, `starts` (the objective of each after its trial), `best_start`;
#'   * `lambda`, `update`, `refine`, `n_effects`, `timing` (seconds);
#'   * `fitted_g`: the same mixture as a prior of [mash()], and `alpha` of the data.
#'
#' @details The objective is
#'   \deqn{\sum_j a_j \log \sum_k w_k N(\hat b_j; 0, V_j + U_k) - \frac\lambda2 \sum_k \left(
#'     \log|U_k| - R \log s_k + s_k\, \mathrm{tr}\, U_k^{-1} \right), \quad
#'     s_k = R / \mathrm{tr}\, U_k^{-1},}{sum_j a_j log sum_k w_k N(bhat_j; 0, V_j + U_k)
#'     - lambda/2 sum_k (log|U_k| - R log s_k + s_k tr U_k^-1), s_k = R / tr U_k^-1,}
#'   \eqn{U_k} of the penalty in the basis where a typical noise is the identity
#'   (the common noise, or that of the root mean square standard errors): an
#'   inverse-Wishart prior whose scale is free, so that it does not see the size of
#'   \eqn{U_k} but how unequal its eigenvalues are. The nuclear norm is
#'   \eqn{-\frac\lambda2 (\mathrm{tr}\, U_k / (2 s_k) + s_k\, \mathrm{tr}\, U_k^{-1} / 2)}{-lambda/2
#'   (tr U_k / (2 s_k) + s_k tr U_k^-1 / 2)}, its scale free too. Rank-one, scaled and fixed
#'   components carry none.
#'
#'   With the noise of all effects the same, whitened, and \eqn{N_k} effects of variance
#'   \eqn{d} along an eigenvector of their second moments, the new eigenvalue \eqn{e}
#'   minimises \eqn{N_k \log(1 + e) + N_k d / (1 + e) + \lambda (\log e + s_k / e)}{N_k log(1 + e)
#'   + N_k d / (1 + e) + lambda (log e + s_k / e)}: the
#'   best positive root of a cubic. Without a penalty it is \eqn{(d - 1)_+} (Yang et al.
#'   2024). Where effects have only a part \eqn{v I} of the noise in common (missing
#'   estimates; standard errors that differ by less than some factor of 4) the same is done
#'   with the expected second moments of the effects completed to that noise,
#'   \eqn{T + T (X - H) T / N_k}, \eqn{T = vI + U}; elsewhere the step maximises a bound that
#'   touches the objective, \eqn{U^+ = L^{-T} (L' P L)^{1/2} L^{-1}} with
#'   \eqn{LL' = H + \lambda U^{-1}}, \eqn{P = UXU + \lambda s I}, \eqn{X} and \eqn{H} the
#'   sums of \eqn{\gamma A^{-1} \hat b \hat b' A^{-1}}{gamma A^-1 bhat bhat' A^-1} and \eqn{\gamma
#'   A^{-1}},
#'   \eqn{A = V_j + U}.
#'
#'   `set.seed()` governs the random starts: \eqn{m} times a Wishart matrix with
#'   \eqn{R + 2} degrees of freedom over these, \eqn{m} the mean excess variance.
#'
#' @section Why a penalty: Maximum likelihood makes covariances that are nearly singular:
#'   directions in which no effect is believed possible. The posterior is then sure of
#'   signs that it cannot know.
#'
#'   A penalty cannot know that an effect is exactly zero in some conditions: it makes the
#'   variance there small, not 0. The restrictions of `sparse` let [mash()] choose between
#'   the two; with few rows to learn from they are what keeps wrong signs rare.
#' @section Errors: A bad `start`, `scaled` or `fixed`: `covmash_error_ulist`; a bad
#'   `subset`: `covmash_error_index`; others `covmash_error_argument`. A fit that stops
#'   at `max_evaluations`, or before a step that has lost all digits (the noise of some
#'   effects nearly singular), warns with class `covmash_warning_convergence`.
#' @references
#' Yang Y, Carbonetto P, Gerard D, Stephens M (2024). Improved methods for
#' empirical Bayes multivariate multiple testing and effect size estimation.
#' arXiv:2406.08784.
#'
#' Bovy J, Hogg DW, Roweis ST (2011). Extreme deconvolution. *Annals of Applied
#' Statistics* 5(2B), 1657-1677. \doi{10.1214/10-AOAS439}
#'
#' Varadhan R, Roland C (2008). Simple and globally convergent methods for accelerating
#' the convergence of any EM algorithm. *Scandinavian Journal of Statistics* 35, 335-353.
#' \doi{10.1111/j.1467-9469.2007.00585.x}
#' @seealso [cov_ed()] for mashr's deconvolution, [mash()],
#'   [deconvolution-methods][print.deconvolution]
#' @concept extreme deconvolution
#' @concept Gaussian mixture
#' @concept covariance matrix
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 60, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' strong <- get_significant_results(mash_1by1(data, n_threads = 1))
#' U <- cov_ted(data, strong, K = 3, n_threads = 1)
#' m <- mash(data, c(cov_canonical(data), U), verbose = FALSE, n_threads = 1)
#' m
#' fit <- deconvolve(data, strong, n_full = 2, n_rank1 = 1, n_threads = 1)
#' fit
deconvolve <- function(data, subset = NULL, n_full = 8, n_rank1 = 0, n_factor = 0, q = 3,
                       scaled = list(), fixed = list(), scales = 1, start = NULL, n_starts = 7,
                       penalty = c("iw", "nuclear", "none"), lambda = NULL,
                       update = c("ted", "ed"), refine = c("none", "mash"), weights = NULL,
                       accelerate = TRUE, tol = 1e-6, max_evaluations = 2000,
                       trial_steps = 15, n_threads = NULL) {
  fit_prepared(prepare_deconvolution(
    data, subset, n_full, n_rank1, n_factor, q, scaled, fixed, scales, start, n_starts, penalty, lambda, update, refine,
    weights, accelerate, tol, max_evaluations, trial_steps, n_threads
  ))
}

# What is checked and drawn before a fit, which draws nothing itself.
prepare_deconvolution <- function(data, subset = NULL, n_full = 8, n_rank1 = 0, n_factor = 0, q = 3, scaled = list(),
                                  fixed = list(), scales = 1, start = NULL, n_starts = 7, penalty = "iw", lambda = NULL,
                                  update = "ted", refine = "none", weights = NULL, accelerate = TRUE, tol = 1e-6,
                                  max_evaluations = 2000, trial_steps = 15, n_threads = NULL) {
  data <- take_data(data)
  R <- n_conditions(data)
  settings <- deconvolve_settings(
    R, penalty, lambda, update, accelerate, tol, max_evaluations, trial_steps, resolve_threads(n_threads),
    check_scales(scales)
  )
  refine <- check_choice(refine, c("none", "mash"), "refine")
  n_starts <- few(n_starts, "n_starts", 1)
  counts <- c(
    full = few(n_full, "n_full"), rank1 = few(n_rank1, "n_rank1"), factor = few(n_factor, "n_factor")
  )
  q <- min(whole_number(q, "q", 1), R)
  plan <- component_plan(counts, q, given_matrices(scaled, "scaled", data), given_matrices(fixed, "fixed", data))
  check_plan(plan, settings)

  rows <- resolve_subset(subset, data)
  weights <- effect_weights(weights, data)
  used <- rows_with(
    data[rows, ], rowSums(!is.na(data$Bhat[rows, , drop = FALSE])) > 0, "an observed estimate", "no observed estimate"
  )
  chosen <- observed_rows(data, rows)
  if (!is.null(weights) && sum(weights[chosen]) == 0) {
    abort_input("`weights` of the chosen rows of `data` are all 0.", class = "covmash_error_argument")
  }
  starts <- if (is.null(start)) {
    lapply(
      deconvolution_starts(used, plan, n_starts, settings$n_threads), start_of_plan, plan = plan,
      n_scales = length(settings$scales)
    )
  } else {
    given <- given_start(start, plan, data)
    plan$names[plan$learned] <- names(given)
    list(start_of_plan(given, plan, n_scales = length(settings$scales)))
  }
  list(
    data = data, used = used, chosen = chosen, starts = starts, plan = plan, weights = weights, settings = settings,
    refine = refine
  )
}

fit_prepared <- function(p) {
  started <- elapsed()
  # cv_deconvolve() does not keep the rows of each of its fits.
  used <- if (is.null(p$used)) p$data[p$chosen, ] else p$used
  fit <- run_deconvolution(used, p$starts, p$plan, p$weights[p$chosen], p$settings)
  fit$scales <- p$settings$scales
  if (p$refine == "mash") {
    fit <- refine_on_all(p$data, fit, p$plan, p$weights, p$settings)
    used <- p$data[observed_rows(p$data, seq_len(n_effects(p$data))), ]
  }
  if (isTRUE(fit$lost)) {
    warn_covmash(
      "The deconvolution ended after {plural(fit$evaluations, 'pass', 'passes')} over the data, before a step without any ",
      "digit: the noise of some effects is close to singular (`V`, or standard errors far apart); its matrices are usable.",
      class = "covmash_warning_convergence"
    )
  } else if (!isTRUE(fit$converged)) {
    warn_deconvolution(fit$evaluations, "max_evaluations")
  }
  new_deconvolution(fit, p$plan, p$data, p$settings, p$refine, n_effects(used), elapsed() - started)
}

#' @rdname deconvolve
#' @export
cov_ted <- function(data, subset = NULL, K = 5, sparse = 3, scaled = NULL, scales = c(0.25, 1, 4), tol = 1e-5, ...,
                    n_threads = NULL) {
  taken <- take_effects(data, subset)
  data <- taken$data
  subset <- taken$subset
  sparse <- whole_number(sparse, "sparse")
  if (is.null(scaled)) scaled <- plain_patterns(n_conditions(data), typical_error(data))
  fit <- deconvolve(
    data, subset, n_full = few(K, "K", 1), scaled = scaled, scales = scales, tol = tol, ...,
    n_threads = n_threads
  )
  Ulist <- renamed(fit$Ulist, "full", "TED")
  scale <- typical_error(data)
  restricted <- lapply(names(Ulist)[fit$components$kind == "full"], function(name) {
    restrictions(Ulist[[name]], name, sparse, scale)
  })
  plain <- if (sparse > 0) plain_restrictions(colnames(data$Bhat), n_conditions(data))
  c(Ulist, unlist(restricted, recursive = FALSE), plain)
}

# The identity on two and on three conditions, exactly 0 in the others, where these are few.
plain_restrictions <- function(labels, R) {
  sizes <- if (R >= 3L && R <= 6L) seq(2L, min(3L, R - 1L))
  chosen <- unlist(lapply(sizes, function(size) utils::combn(R, size, simplify = FALSE)), recursive = FALSE)
  Ulist <- lapply(chosen, function(on) {
    U <- diag(as.numeric(seq_len(R) %in% on))
    if (!is.null(labels)) dimnames(U) <- list(labels, labels)
    U
  })
  stats::setNames(Ulist, vapply(chosen, function(on) paste(c("TED_on", on), collapse = "_"), ""))
}

# About as large as the noise, of which `scale` are standard errors: their multiple is free, but its start has to be seen
# beside the noise. A power of four, so that nothing is rounded.
plain_patterns <- function(R, scale) {
  size <- 4^round(log(mean(scale^2), 4))
  c(list(TED_identity = size * diag(R)), if (R > 1L) list(TED_equal = matrix(size, R, R)))
}

#' @rdname deconvolve
#' @export
cov_fa <- function(data, subset = NULL, K = 8, q = 3, ..., n_threads = NULL) {
  fit <- deconvolve(data, subset, n_full = 0, n_factor = few(K, "K", 1), q = q, ..., n_threads = n_threads)
  renamed(fit$Ulist, "factor", "FA")
}

# A covariance of the conditions of largest variance only, in units of the noise; 0 in the others. Cut where the
# variance falls most, by half as much again at least.
restrictions <- function(U, name, n, scale) {
  variance <- diag(U) / scale^2
  order <- order(-variance)
  fall <- variance[order][-length(order)] / pmax(variance[order][-1], .Machine$double.xmin)
  sizes <- utils::head(order(-fall), min(n, sum(fall > 1.5)))
  out <- lapply(sizes, function(size) {
    U[-order[seq_len(size)], ] <- 0
    U[, -order[seq_len(size)]] <- 0
    U
  })
  stats::setNames(out, if (length(sizes) > 0L) paste0(name, "_top", sizes))
}

renamed <- function(Ulist, kind, prefix) {
  names(Ulist) <- sub(paste0("^", kind, "_"), paste0(prefix, "_"), names(Ulist))
  Ulist
}

# ---- arguments ---------------------------------------------------------------

# A number of components or starts, or of steps.
few <- function(x, name, lower = 0, most = 1000) {
  x <- whole_number(x, name, lower)
  if (x > most) {
    abort_input("`{name}` must be at most {format(most)}, not {format(x)}.", class = "covmash_error_argument")
  }
  x
}

deconvolve_settings <- function(R, penalty, lambda, update, accelerate, tol, max_evaluations, trial_steps, n_threads,
                                scales = 1) {
  settings <- cpp_defaults("deconvolve")
  settings$penalty <- check_choice(penalty, c("iw", "nuclear", "none"), "penalty")
  if (is.null(lambda)) {
    lambda <- 2 * R
  }
  check_number(lambda, "lambda", 0, what = "a number of at least 0")
  settings$lambda <- if (settings$penalty == "none") 0 else lambda
  settings$extreme <- check_choice(update, c("ted", "ed"), "update") == "ed"
  check_flag(accelerate, "accelerate")
  settings$accelerate <- accelerate
  check_number(tol, "tol", 0, what = "a number of at least 0")
  settings$tol <- tol
  settings$max_evaluations <- few(max_evaluations, "max_evaluations", most = 1e9)
  settings$trial_steps <- few(trial_steps, "trial_steps", most = 1e9)
  settings$n_threads <- n_threads
  settings$scales <- scales
  settings
}

check_scales <- function(scales) {
  numbers <- checkmate::test_numeric(scales, lower = 1e-10, upper = 1e10, any.missing = FALSE, min.len = 1, max.len = 100)
  if (!is_plain(scales) || !numbers) {
    abort_input(
      "`scales` must hold 1 to 100 numbers from 1e-10 to 1e10, not {describe(scales)}.", class = "covmash_error_argument"
    )
  }
  sort(unique(as.double(scales)))
}

# Which components there are: kind, name and rank of each; `learned`: whether it has a start of its own.
component_plan <- function(counts, q, scaled, fixed) {
  kind <- c(rep(c("full", "low_rank", "factor"), counts), rep(c("scaled", "fixed"), c(length(scaled), length(fixed))))
  numbered <- unlist(lapply(names(counts), function(kind) sprintf("%s_%d", kind, seq_len(counts[[kind]]))))
  plan <- list(
    kind = kind, names = make.unique(c(numbered, names(scaled), names(fixed))),
    rank = ifelse(kind == "factor", q, 1), given = c(scaled, fixed)
  )
  plan$learned <- kind %in% c("full", "low_rank", "factor")
  plan
}

check_plan <- function(plan, settings) {
  if (length(plan$kind) == 0L) {
    abort_input(
      "There is no component to fit; give `n_full`, `n_rank1`, `n_factor`, `scaled` or `fixed`.",
      class = "covmash_error_argument"
    )
  }
  if (settings$penalty != "nuclear" || settings$lambda == 0) {
    return(invisible(NULL))
  }
  if (any(plan$kind == "factor") || (settings$extreme && any(plan$kind == "full"))) {
    abort_input(
      "`penalty = \"nuclear\"` is for full components with `update = \"ted\"`; use \"iw\" or \"none\".",
      class = "covmash_error_argument"
    )
  }
}

given_matrices <- function(Ulist, name, data) {
  if (is.list(Ulist) && !is.data.frame(Ulist) && length(Ulist) == 0L) {
    return(list())
  }
  lapply(check_ulist(Ulist, n_conditions(data), colnames(data$Bhat), name), as.matrix)
}

given_start <- function(start, plan, data) {
  if (inherits(start, "deconvolution")) {
    start <- start$Ulist[start$components$kind %in% c("full", "low_rank", "factor")]
  }
  Ulist <- check_ulist(start, n_conditions(data), colnames(data$Bhat), "start")
  if (length(Ulist) != sum(plan$learned)) {
    abort_input(
      "`start` must hold one matrix for each of the {plural(sum(plan$learned), 'component')} to be learned, not ",
      "{length(Ulist)}.",
      class = "covmash_error_ulist"
    )
  }
  if (is.null(names(start))) {
    names(Ulist) <- plan$names[plan$learned]
  }
  lapply(Ulist, as.matrix)
}

# Of `rows`, those with an observed estimate.
observed_rows <- function(data, rows) {
  if (!anyNA(data$Bhat)) rows else rows[rowSums(!is.na(data$Bhat[rows, , drop = FALSE])) > 0]
}

# ---- starts ------------------------------------------------------------------

# Matrices to start from, of as many starts as wanted, for the components to be learned. In the whitened basis, m being
# the mean second moment and m+ that beyond the noise:
#   first    the leading principal components, d v v' + m / 10 I; the second moments; their diagonal; then random ones
#   others   m+ Wishart(R + 2) / (R + 2)
# Rank-one components start from a random direction in all of them.
deconvolution_starts <- function(data, plan, n_starts, n_threads) {
  R <- n_conditions(data)
  scale <- typical_error(data)
  C <- typical_correlation(data)
  L <- tryCatch(t(chol(C)), error = function(cnd) damaged_data("data", "its `V` is not positive definite"))
  moments <- second_moments(data$Bhat, scale, L, n_threads)
  excess <- mean(pmax(diag(moments) - 1, 0.1))
  back <- function(U) {
    U <- L %*% U %*% t(L)
    symmetrise(U * tcrossprod(scale))
  }
  kind <- plan$kind[plan$learned]
  random <- function(kind) {
    if (kind == "low_rank") {
      return(excess * tcrossprod(stats::rnorm(R)))
    }
    excess * stats::rWishart(1L, R + 2, diag(R))[, , 1] / (R + 2)
  }
  first <- principal_starts(moments, sum(kind != "low_rank"))
  lapply(seq_len(n_starts), function(s) {
    Ulist <- lapply(kind, random)
    at <- which(kind != "low_rank")[seq_along(first)]
    if (s == 1L) {
      Ulist[at] <- first
    }
    lapply(Ulist, back)
  })
}

principal_starts <- function(moments, K) {
  R <- ncol(moments)
  whole <- list(moments, diag(diag(moments), R))
  if (K <= 2L) {
    return(whole[seq_len(K)])
  }
  spectrum <- eigen(moments, symmetric = TRUE)
  ridge <- 0.1 * mean(diag(moments)) * diag(R)
  axes <- lapply(seq_len(min(K - 2L, R)), function(k) {
    spectrum$values[k] * tcrossprod(spectrum$vectors[, k]) + ridge
  })
  c(axes, whole)
}

# Root mean square of the standard errors observed in each condition.
typical_error <- function(data) {
  s <- sqrt(colMeans(unname(data$Shat)^2, na.rm = TRUE))
  ifelse(is.finite(s) & s > 0, s, 1)
}

typical_correlation <- function(data) {
  if (is.matrix(data$V)) unname(data$V) else diag(n_conditions(data))
}

# Second moments of the whitened effects; of pairs of conditions where estimates are missing.
second_moments <- function(Bhat, scale, L, n_threads) {
  z <- unname(Bhat) / rep(scale, each = nrow(Bhat))
  axes <- cpp_pca(z, NULL, min(dim(z)), n_threads)
  moments <- axes$vectors %*% (axes$variances * t(axes$vectors))
  half <- forwardsolve(L, moments)
  symmetrise(forwardsolve(L, t(half)))
}

# The list that the core wants: learned matrices, then the given ones.
start_of_plan <- function(learned, plan, pi = NULL, n_scales = 1) {
  K <- length(plan$kind)
  size <- K * n_scales
  Ulist <- c(learned, plan$given)
  list(
    components = lapply(seq_len(K), function(k) {
      list(kind = plan$kind[k], U = unname(as.matrix(Ulist[[k]])), rank = plan$rank[k])
    }),
    pi = if (is.null(pi)) rep(1 / size, size) else pi
  )
}

# ---- the fit -----------------------------------------------------------------

run_deconvolution <- function(data, starts, plan, weights, settings) {
  fit <- run_core(cpp_deconvolve(data, starts, weights, settings), rownames(data$Bhat), plan$names, plan$names)
  # Of the estimates, not of what alpha made of them.
  if (data$alpha != 0) {
    own <- rowSums(log(unname(data$Shat_alpha)) * !is.na(data$Bhat), na.rm = TRUE)
    jacobian <- sum(if (is.null(weights)) own else weights * own)
    for (part in c("loglik", "objective", "starts")) fit[[part]] <- fit[[part]] - jacobian
  }
  fit
}

# The scales of the second stage, and what null effects count for beside the data, as in mash().
refinement_scales <- 4^(-2:2)

refine_on_all <- function(data, fit, plan, weights, settings) {
  all <- observed_rows(data, seq_len(n_effects(data)))
  L <- length(refinement_scales)
  null <- max(0.05, 1 - sum(fit$mass) / length(all))
  pi <- pmax(colSums(matrix(fit$pi, length(fit$scales))), 1e-3)
  settings$scales <- refinement_scales
  settings$null <- TRUE
  start <- start_of_plan(
    lapply(fit$components, `[[`, "U"), list(kind = plan$kind, rank = plan$rank, given = NULL),
    c((1 - null) * rep(pi / sum(pi) / L, each = L), null)
  )
  refined <- run_deconvolution(data[all, ], list(start), plan, weights[all], settings)
  refined$starts <- fit$starts
  refined$best_start <- fit$best_start
  refined$evaluations <- refined$evaluations + fit$evaluations
  refined$scales <- refinement_scales
  # The size learned before is in the matrix that this stage started from.
  for (k in which(plan$kind == "scaled")) {
    refined$components[[k]]$scale <- refined$components[[k]]$scale * fit$components[[k]]$scale
  }
  refined
}

new_deconvolution <- function(fit, plan, data, settings, refine, n_used, seconds) {
  K <- length(plan$kind)
  L <- length(fit$scales)
  null <- length(fit$pi) > K * L
  by_scale <- matrix(fit$pi[seq_len(K * L)], L, K)
  mass <- colSums(matrix(fit$mass[seq_len(K * L)], L, K))
  # Half an effect of average weight.
  kept <- which(mass >= 0.5 * sum(fit$mass) / n_used | plan$kind == "fixed")
  if (length(kept) == 0L) {
    kept <- which.max(mass)
  }
  labels <- colnames(data$Bhat)
  Ulist <- lapply(kept, function(k) covariance_of_component(fit$components[[k]], labels))
  names(Ulist) <- plan$names[kept]
  by_scale <- by_scale[, kept, drop = FALSE]
  pi <- c(if (null) fit$pi[K * L + 1], as.vector(t(by_scale)))
  pi <- pi / sum(pi)
  # Of the effects that are not null, if there are any.
  weight <- if (sum(by_scale) > 0) colSums(by_scale) / sum(by_scale) else rep(1 / length(kept), length(kept))
  grid <- sqrt(fit$scales)
  structure(
    list(
      Ulist = Ulist,
      pi = stats::setNames(weight, names(Ulist)),
      components = data.frame(
        name = plan$names[kept], kind = sub("low_rank", "rank1", plan$kind[kept]),
        weight = weight, effects = mass[kept],
        rank = ifelse(plan$kind[kept] %in% c("low_rank", "factor"), plan$rank[kept], NA),
        scale = ifelse(plan$kind[kept] == "scaled", vapply(fit$components[kept], `[[`, 1, "scale"), NA)
      ),
      left_out = plan$names[-kept],
      loglik = fit$loglik, penalty = fit$penalty, objective = fit$objective, evaluations = fit$evaluations,
      converged = fit$converged, starts = fit$starts, best_start = fit$best_start,
      penalty_kind = settings$penalty, lambda = settings$lambda, update = if (settings$extreme) "ed" else "ted",
      refine = refine, n_effects = n_used, n_conditions = n_conditions(data),
      fitted_g = list(pi = pi, Ulist = Ulist, grid = grid, usepointmass = null),
      alpha = data$alpha, timing = list(total = seconds)
    ),
    class = "deconvolution"
  )
}

covariance_of_component <- function(component, labels) {
  if (!is.null(component$B)) {
    B <- component$B
    dimnames(B) <- list(labels, paste0("factor_", seq_len(ncol(B))))
    return(factor_covariance(B, D = component$D))
  }
  U <- symmetrise(component$U)
  dimnames(U) <- if (!is.null(labels)) list(labels, labels)
  U
}
