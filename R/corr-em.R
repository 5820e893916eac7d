# The correlation of the errors by EM: all effects count, weighted by what the mixture says of them.

#' Correlation of the errors, from all effects
#'
#' Maximises the likelihood of the mixture model over its weights and the correlation `V`
#' of the errors together. Unlike [estimate_null_correlation_simple()] it uses every effect,
#' and has no bias from the choice of those that look null; it takes a fit at each step.
#'
#' @param data A data object made by [mash_set_data()], usually of a random sample of effects.
#' @param Ulist Covariance matrices, as for [mash()].
#' @param init `V` to start from; by default that of [estimate_null_correlation_simple()], or
#'   the identity, with a warning, where it has too few effects.
#' @param max_iter The largest number of steps.
#' @param tol Stop when the objective rises by no more than this; `NULL` (default): `rel_tol`
#'   alone decides.
#' @param est_cor `TRUE` (default) for a correlation matrix, `FALSE` for a covariance matrix.
#' @param track_fit Keep what happened at each step?
#' @param prior The penalty of the weights, see [mash()].
#' @param details `TRUE` (default) for a list, `FALSE` for `V` alone.
#' @param ... Further arguments of [mash()]: `grid`, `gridmult`, `normalizeU`, `usepointmass`,
#'   `nullweight`, `optmethod`, `control`, `n_threads`, `outputlevel`, and so on.
#' @param rel_tol Stop when the objective rises by no more than this part of its size.
#' @return With `details`, a list: `V`, the R x R matrix, positive definite, with the names of the
#'   conditions; `mash.model`, the fit of [mash()] with it (with posterior covariances up to 1e7
#'   numbers, unless `outputlevel` says otherwise); `loglik`, the log-likelihood
#'   after each step, beginning with that of `init`; `niter`, the number of steps; `objective`,
#'   the same with the penalty; `stopped`, why it stopped; with `track_fit`, `trace`, a list
#'   with `V`, `pi` and `loglik` of each step.
#' @details The E-step of the errors \eqn{e_j} in \eqn{\hat b_j = b_j + S_j e_j}{bhat_j = b_j + S_j
#'   e_j}, with responsibilities
#'   \eqn{\gamma_{jk}}, \eqn{A = S_j V S_j + U_k} and \eqn{x = A^{-1} \hat b_j}{x = A^-1 bhat_j},
#'   gives the step
#'   \deqn{V + V (X - H) V / J, \quad X = \sum \gamma S_j x x' S_j, \quad
#'     H = \sum \gamma S_j A^{-1} S_j,}{
#'   V + V (X - H) V / J,
#'   X = sum gamma S_j x x' S_j,
#'   H = sum gamma S_j A^-1 S_j,}
#'   the maximum of the expected log-likelihood over all covariance matrices. With `est_cor` it is
#'   scaled to unit variances, and where that would lower the objective, a part of the way is gone.
#'   Then the weights are fitted again. So the objective never falls. Nothing of size R x R x J is
#'   kept. Missing estimates are left out exactly.
#' @section Errors: Those of [mash()] and [mash_set_data()]; `covmash_error_contrast` for contrasts. A
#'   warning of class `covmash_warning_convergence` says that `max_iter` was reached, or that `V`
#'   went towards a singular matrix.
#' @section Differences from mashr: It is an EM: mashr replaces the step by one that can lower the
#'   likelihood, and stops then. The default stopping rule is relative. `stopped` says why it stopped.
#' @references Dempster AP, Laird NM, Rubin DB (1977). Maximum likelihood from incomplete data via the EM
#'   algorithm. *Journal of the Royal Statistical Society B* 39, 1-38.
#'   \doi{10.1111/j.2517-6161.1977.tb01600.x}
#'
#'   Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [estimate_null_correlation_simple()], [mash_update_data()]
#' @export
#' @examples
#' set.seed(1)
#' V <- matrix(c(1, 0.6, 0.6, 1), 2)
#' B <- matrix(rnorm(600) * rep(c(0, 2), each = 150), ncol = 2)
#' data <- mash_set_data(B + matrix(rnorm(600), ncol = 2) %*% chol(V))
#' fit <- mash_estimate_corr_em(data, cov_canonical(data), n_threads = 1)
#' fit$V
#' fit$stopped
mash_estimate_corr_em <- function(data, Ulist, init, max_iter = 30, tol = NULL, est_cor = TRUE,
                                  track_fit = FALSE, prior = c("nullbiased", "uniform"),
                                  details = TRUE, ..., rel_tol = 1e-6) {
  data <- take_data(data)
  if (!is.null(data$L)) {
    abort_input(
      "`data` are contrasts; estimate the correlation of the errors from the data that they were made of.",
      class = "covmash_error_contrast"
    )
  }
  common_V(data, "mash_estimate_corr_em()")
  max_iter <- whole_number(max_iter, "max_iter", 0)
  check_number(tol, "tol", 0, what = "a number of at least 0", null_ok = TRUE)
  check_number(rel_tol, "rel_tol", 0, what = "a number of at least 0")
  for (name in c("est_cor", "track_fit", "details")) check_flag(get(name), name)
  dots <- list(...)
  if (!is.null(dots[["weights"]])) {
    abort_unsupported("mash_estimate_corr_em() with `weights` of the effects")
  }
  problem <- corr_em_problem(data, Ulist, prior, dots)
  V <- if (missing(init) || is.null(init)) first_correlation(data, est_cor) else init
  V <- check_noise_correlation(V, ncol(data$Bhat), colnames(data$Bhat))
  run <- corr_em(problem, V, max_iter, tol, rel_tol, est_cor)
  V <- run$state$V
  dimnames(V) <- dimnames_of_conditions(data)
  if (!details) {
    return(V)
  }
  covariances <- as.numeric(nrow(data$Bhat)) * ncol(data$Bhat)^2
  dots <- utils::modifyList(list(verbose = FALSE, outputlevel = if (covariances <= max_kept_weights) 3 else 2), dots)
  dots[["start"]] <- run$state$pi
  out <- list(
    V = V, mash.model = do.call(
      mash, c(list(mash_update_data(data, V = V), Ulist = Ulist, prior = prior), dots), quote = TRUE
    ),
    loglik = vapply(run$trace, `[[`, 0, "loglik"), niter = length(run$trace) - 1L,
    objective = vapply(run$trace, `[[`, 0, "objective"), stopped = run$stopped
  )
  if (track_fit) {
    out$trace <- lapply(run$trace, `[`, c("V", "pi", "loglik"))
  }
  out
}

first_correlation <- function(data, est_cor) {
  tryCatch(
    estimate_null_correlation_simple(data, est_cor = est_cor),
    covmash_error_null = function(cnd) {
      warn_covmash(
        "Too few effects look null for a start from estimate_null_correlation_simple(); the identity is used.",
        class = "covmash_warning_null"
      )
      diag(ncol(data$Bhat))
    }
  )
}

# What stays the same while V changes: data, prior, penalty. Names in full: dots$grid would be gridmult too.
corr_em_problem <- function(data, Ulist, prior, dots) {
  of_dots <- function(name, default) if (is.null(dots[[name]])) default else dots[[name]]
  model <- new_model(
    data, Ulist, dots[["grid"]], of_dots("gridmult", sqrt(2)), of_dots("normalizeU", TRUE), of_dots("usepointmass", TRUE)
  )
  list(
    data = data, model = model, components = dense_components(model),
    penalty = set_prior(n_components(model), prior, of_dots("nullweight", 10), null_component(model)),
    optmethod = choose_optmethod(of_dots("optmethod", optmethods)), control = of_dots("control", list()),
    n_threads = resolve_threads(dots[["n_threads"]]), start = dots[["start"]]
  )
}

corr_em <- function(problem, V, max_iter, tol, rel_tol, est_cor) {
  state <- corr_em_state(problem, unname(V), problem$start)
  trace <- list(state)
  stopped <- "max_iter"
  begin_steps("Correlation of the errors, step", max_iter)
  while (length(trace) <= max_iter) {
    next_step()
    found <- corr_em_step(problem, state, est_cor)
    if (is.character(found)) {
      stopped <- found
      break
    }
    gain <- found$objective - state$objective
    state <- found
    trace <- c(trace, list(state))
    if (gain <= max(tol, rel_tol * abs(state$objective))) {
      stopped <- "the objective has converged"
      break
    }
  }
  if (stopped != "max_iter" && !stopped %in% c("no step raises the objective", "the objective has converged")) {
    warn_covmash(
      "The steps of the correlation of the errors ended because {stopped}: the data say too little about it, and the last ",
      "one is returned. More effects, or estimate_null_correlation_simple(), may help.",
      class = "covmash_warning_convergence"
    )
  }
  if (stopped == "max_iter" && max_iter > 0L) {
    warn_covmash(
      "The correlation of the errors did not converge in {plural(max_iter, 'step')}; the last one raised the objective by ",
      "{format(gain, digits = 2)}. It is usable, and a larger `max_iter` may improve it.",
      class = "covmash_warning_convergence"
    )
  }
  list(state = state, trace = trace, stopped = stopped)
}

# The best weights for V, the objective there, and where the EM goes from it.
corr_em_state <- function(problem, V, start = NULL) {
  data <- problem$data
  data$V <- V
  pi <- fit_weights(
    data, problem$model, problem$penalty, problem$optmethod, problem$control, problem$n_threads,
    start = starting_weights(start, problem$model, problem$penalty)
  )$pi
  step <- error_correlation_step(data, problem$components, pi, component_names(problem$model), problem$n_threads)
  penalised <- problem$penalty > 1
  loglik <- step$loglik - log_jacobian(data)
  list(
    V = V, pi = pi, next_V = step$V, loglik = loglik,
    objective = loglik + sum((problem$penalty[penalised] - 1) * log(pi[penalised]))
  )
}

# Components that have no weight are left out.
error_correlation_step <- function(data, components, pi, labels, n_threads) {
  used <- pi > 0
  run_core(
    cpp_error_correlation_step(data, list(Ulist = components[used], pi = pi[used]), n_threads), rownames(data$Bhat),
    labels[used]
  )
}

# All components as plain matrices.
dense_components <- function(model) {
  unname(lapply(expand_cov(lapply(model$Ulist, as.matrix), model$grid, model$usepointmass), unname))
}

# From the scale of data$Bhat to that of the estimates.
log_jacobian <- function(data) {
  if (data$alpha == 0) 0 else sum(log(data$Shat_alpha)[!is.na(data$Bhat)])
}

# The next state, or why there is none.
corr_em_step <- function(problem, state, est_cor) {
  variances <- diag(state$next_V)
  if (!all(is.finite(state$next_V)) || min(variances) < 1e-12) {
    return("a variance of the errors goes to 0")
  }
  target <- if (est_cor) stats::cov2cor(state$next_V) else state$next_V
  why <- "no step raises the objective"
  for (part in 2^-(0:6)) {
    V <- symmetrise((1 - part) * state$V + part * target)
    if (est_cor) diag(V) <- 1
    # Where the likelihood grows towards a singular V the steps end before it.
    if (min(eigen(stats::cov2cor(V), symmetric = TRUE, only.values = TRUE)$values) < 1e-10) {
      why <- "the correlation of the errors becomes singular"
      next
    }
    found <- corr_em_state(problem, V, state$pi)
    if (found$objective >= state$objective) {
      return(found)
    }
    # The EM itself cannot lower it, but by rounding.
    if (!est_cor) {
      break
    }
  }
  why
}
