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

# Fit the weights. `model` has Ulist, grid and usepointmass. Returns the list of
# cpp_fit(), whichever solver ran.
fit_weights <- function(data, model, prior, optmethod, control, n_threads,
                        effects = rownames(data$Bhat)) {
  if (optmethod == "newton") {
    settings <- c(
      newton_control(control),
      list(prior = prior, memory = resolve_memory(), n_threads = n_threads)
    )
    return(run_core(
      cpp_fit(data, model, settings), effects, component_names(model),
      names(model$Ulist)
    ))
  }
  fit_weights_mixsqp(data, model, prior, optmethod, control, n_threads)
}

# The solvers of the mixsqp package. The penalty enters as extra rows: row p of
# the identity with weight prior_p - 1.
fit_weights_mixsqp <- function(data, model, prior, optmethod, control,
                               n_threads) {
  if (!is.list(control) || is.object(control)) {
    abort_input(
      "`control` must be a list, not {describe(control)}.",
      class = "covmash_error_argument"
    )
  }
  start <- proc.time()[["elapsed"]]
  settings <- list(n_threads = n_threads, block_rows = resolve_block_rows())
  loglik <- run_core(
    cpp_loglik_matrix(data, model, settings), rownames(data$Bhat),
    component_names(model), names(model$Ulist)
  )
  if (anyNA(data$Bhat)) {
    loglik <- loglik[rowSums(!is.na(data$Bhat)) > 0, , drop = FALSE]
  }
  # mixsqp wants two rows and two columns.
  if (ncol(loglik) == 1L || nrow(loglik) == 1L) {
    return(fit_weights(data, model, prior, "newton", list(), n_threads))
  }
  row_max <- do.call(pmax, lapply(seq_len(ncol(loglik)), function(p) loglik[, p]))
  L <- exp(loglik - row_max)
  seconds_likelihood <- proc.time()[["elapsed"]] - start

  start <- proc.time()[["elapsed"]]
  settings <- if (optmethod == "mixSQP") {
    list(eps = 1e-6, numiter.em = 20, verbose = FALSE)
  } else {
    list(eps = 1e-6, numiter.em = 2000, maxiter.sqp = 1, verbose = FALSE)
  }
  settings[names(control)] <- control
  penalised <- which(prior > 1)
  P <- length(prior)
  stacked <- rbind(diag(P)[penalised, , drop = FALSE], L)
  weights <- c(prior[penalised] - 1, rep(1, nrow(L)))
  # What mixsqp says about its convergence is replaced by the certificate below.
  solution <- without_draws(suppressWarnings(
    mixsqp::mixsqp(stacked, weights, rep(1 / P, P), control = settings)
  ))
  pi <- pmax(solution$x, 0)
  pi <- pi / sum(pi)
  certificate <- weights_certificate(L, pi, prior)
  list(
    pi = pi,
    objective = sum(row_max) + certificate$objective,
    kkt_violation = certificate$kkt_violation,
    gap_bound = certificate$gap_bound,
    iterations = nrow(solution$progress),
    converged = grepl("^converged", solution$status) ||
      certificate$kkt_violation < 1e-5,
    n_rows = nrow(L),
    seconds_likelihood = seconds_likelihood,
    seconds_weights = proc.time()[["elapsed"]] - start
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
weights_certificate <- function(L, pi, prior) {
  mixture <- as.vector(L %*% pi)
  penalty <- prior - 1
  N <- length(mixture) + sum(penalty)
  gradient <- as.vector(crossprod(L, 1 / mixture))
  active <- penalty > 0
  gradient[active] <- gradient[active] + penalty[active] / pi[active]
  worst <- max(gradient) / N
  list(
    objective = sum(log(mixture)) + sum(penalty[active] * log(pi[active])),
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
