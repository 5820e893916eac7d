# The mixture weights: the choice of solver, and what a fit reports about how good the
# solution is.

optmethods <- c("newton", "mixSQP", "mixIP", "mixEM", "cxxMixSquarem")

# The solver that will run. Solvers we do not have, or whose package is absent,
# are replaced by our own: the problem is convex, so the optimum is the same.
choose_optmethod <- function(optmethod) {
  optmethod <- check_choice(optmethod, optmethods, "optmethod")
  replaced <- function(why) {
    warn_covmash(
      "optmethod = \"{optmethod}\" {why}; \"newton\" is used.",
      class = "covmash_warning_optmethod"
    )
    "newton"
  }
  if (optmethod %in% c("mixIP", "cxxMixSquarem")) {
    return(replaced("is not part of covmash"))
  }
  if (optmethod %in% c("mixSQP", "mixEM") &&
        !requireNamespace("mixsqp", quietly = TRUE)) {
    return(replaced("needs the package mixsqp, which is not installed"))
  }
  optmethod
}

# control of our own solver.
newton_control <- function(control) {
  if (!is.list(control) || is.object(control)) {
    abort_input(
      "`control` must be a list, not {describe(control)}.",
      class = "covmash_error_argument"
    )
  }
  control <- take_dots(
    control, c("max_iter", "tol"), "`control` of optmethod = \"newton\""
  )
  settings <- cpp_defaults("weights")
  settings[names(control)] <- control
  settings$max_iter <- whole_number(settings$max_iter, "control$max_iter", 1)
  check_number(settings$tol, "control$tol", 0, what = "a number of at least 0")
  settings
}

# The weights to start from, one for each component: those of a fit by the names of the components, or as they are
# given. A component with a penalty begins above 0.
starting_weights <- function(start, model, penalty) {
  if (is.null(start)) {
    return(NULL)
  }
  P <- n_components(model)
  if (is.list(start)) {
    start <- start_from_fit(start, component_names(model))
  }
  if (!are_weights(start, P, any_sum = TRUE)) {
    abort_input(
      "`start` must be a fit, or hold {plural(P, 'non-negative weight')}, not all 0, not {describe_weights(start)}.",
      class = "covmash_error_argument"
    )
  }
  start <- as.double(start) / sum(start)
  needed <- penalty > 1 & start == 0
  start[needed] <- 1 / (10 * P)
  start
}

start_from_fit <- function(start, components) {
  if (is.list(start[["fitted_g"]])) {
    start <- start$fitted_g
  }
  pi <- start[["pi"]]
  if (is.numeric(pi) && is.null(names(pi))) {
    return(pi)
  }
  if (!is.numeric(pi) || !any(names(pi) %in% components)) {
    abort_input(
      "`start` has no weights of the components of this fit, such as '{components[length(components)]}'; give a fit ",
      "with the same names of matrices, or a vector of weights.",
      class = "covmash_error_argument"
    )
  }
  found <- unname(pi[match(components, names(pi))])
  found[is.na(found)] <- 0
  found
}

# How often each effect counts; NULL where each counts once.
effect_weights <- function(weights, data) {
  if (is.null(weights)) {
    return(NULL)
  }
  J <- n_effects(data)
  if (!are_weights(weights, J, any_sum = TRUE)) {
    abort_input(
      "`weights` must hold one non-negative number for each of the {plural(J, 'effect')}, not all 0, not ",
      "{describe_weights(weights)}.",
      class = "covmash_error_argument"
    )
  }
  check_same_names(rownames(data$Bhat), names(weights), "weights", "row", "`data$Bhat`")
  as.double(weights)
}

# Fit the weights. `model` has Ulist, grid and usepointmass; `start` and `weights`, of the effects, may be NULL. Returns
# the list of cpp_fit(), whichever solver ran.
fit_weights <- function(data, model, prior, optmethod, control, n_threads,
                        effects = rownames(data$Bhat), start = NULL, weights = NULL) {
  if (optmethod == "newton") {
    settings <- c(
      newton_control(control),
      list(prior = prior, memory = resolve_memory(), n_threads = n_threads, start = start, weights = weights)
    )
    return(run_core(
      cpp_fit(data, model, settings), effects, component_names(model),
      names(model$Ulist)
    ))
  }
  fit_weights_mixsqp(data, model, prior, optmethod, control, n_threads, start, weights)
}

# The solvers of the mixsqp package. The penalty enters as extra rows: row p of
# the identity with weight prior_p - 1.
fit_weights_mixsqp <- function(data, model, prior, optmethod, control,
                               n_threads, start = NULL, weights = NULL) {
  if (!is.list(control) || is.object(control)) {
    abort_input(
      "`control` must be a list, not {describe(control)}.",
      class = "covmash_error_argument"
    )
  }
  began <- elapsed()
  loglik <- loglik_matrix(data, model, n_threads)
  if (is.null(weights)) {
    weights <- rep(1, nrow(loglik))
  }
  counts <- weights > 0 & rowSums(!is.na(data$Bhat)) > 0
  # mixsqp wants two rows and two columns.
  if (ncol(loglik) == 1L || sum(counts) < 2L) {
    return(fit_weights(data, model, prior, "newton", list(), n_threads, start = start, weights = weights))
  }
  loglik <- loglik[counts, , drop = FALSE]
  weights <- weights[counts]
  row_max <- row_maxima(loglik)
  L <- exp(loglik - row_max)
  seconds_likelihood <- elapsed() - began

  began <- elapsed()
  settings <- if (optmethod == "mixSQP") {
    list(eps = 1e-6, numiter.em = 20, verbose = FALSE)
  } else {
    list(eps = 1e-6, numiter.em = 2000, maxiter.sqp = 1, verbose = FALSE)
  }
  settings[names(control)] <- control
  penalised <- which(prior > 1)
  P <- length(prior)
  stacked <- rbind(diag(P)[penalised, , drop = FALSE], L)
  # What mixsqp says about its convergence is replaced by the certificate below.
  solution <- without_draws(suppressWarnings(
    mixsqp::mixsqp(
      stacked, c(prior[penalised] - 1, weights), if (is.null(start)) rep(1 / P, P) else start, control = settings
    )
  ))
  pi <- pmax(solution$x, 0)
  pi <- pi / sum(pi)
  certificate <- weights_certificate(L, pi, prior, weights)
  list(
    pi = pi,
    objective = sum(weights * row_max) + certificate$objective,
    kkt_violation = certificate$kkt_violation,
    gap_bound = certificate$gap_bound,
    iterations = nrow(solution$progress),
    converged = grepl("^converged", solution$status) ||
      certificate$kkt_violation < 1e-5,
    n_rows = nrow(L),
    seconds_likelihood = seconds_likelihood,
    seconds_weights = elapsed() - began
  )
}

# mixsqp draws random numbers, which are no part of the result: the user's generator stays where it is.
without_draws <- function(expr) {
  home <- globalenv()
  before <- home[[".Random.seed"]]
  on.exit(if (is.null(before)) {
    suppressWarnings(rm(".Random.seed", envir = home))
  } else {
    assign(".Random.seed", before, envir = home)
  })
  expr
}

# How far from the optimum the weights can be. With g_p the derivative of the
# objective, f* - f(pi) <= N log(max g / N), and pi is optimal iff max g <= N.
weights_certificate <- function(L, pi, prior, weights) {
  mixture <- as.vector(L %*% pi)
  penalty <- prior - 1
  N <- sum(weights) + sum(penalty)
  gradient <- as.vector(crossprod(L, weights / mixture))
  active <- penalty > 0
  gradient[active] <- gradient[active] + penalty[active] / pi[active]
  worst <- max(gradient) / N
  list(
    objective = sum(weights * log(mixture)) + sum(penalty[active] * log(pi[active])),
    kkt_violation = max(worst - 1, 0),
    gap_bound = N * log(max(worst, 1))
  )
}

# What fit_weights() returns, for weights that are not estimated.
fixed_weights <- function(pi) {
  list(
    pi = pi, objective = NA_real_, kkt_violation = NA_real_,
    gap_bound = NA_real_, iterations = 0L, converged = NA,
    seconds_likelihood = 0, seconds_weights = 0
  )
}

warn_not_converged <- function(fit, what = "The mixture weights") {
  if (isTRUE(fit$converged)) {
    return(invisible(NULL))
  }
  warn_covmash(
    "{what} did not converge in {plural(fit$iterations, 'iteration')}: the objective is at most ",
    "{format(fit$gap_bound, digits = 3)} below its maximum (see `convergence`); raise the number of ",
    "iterations in `control`.",
    class = "covmash_warning_convergence"
  )
}
