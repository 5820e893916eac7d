# Objective and accuracy.

compare_sides <- function(w, opts) {
  inputs <- make_inputs(w, opts)
  ours <- set_data("covmash", inputs)
  part <- first_rows(inputs, w$mashr_rows)
  part$logfile <- tempfile("iterations")
  theirs <- set_data("mashr", part)
  our_part <- set_data("covmash", part)
  must_agree(our_part$data$Bhat, theirs$data$Bhat, "Bhat")
  must_agree(our_part$data$Shat, theirs$data$Shat, "Shat")

  scale <- w$J / w$mashr_rows
  say("Runs of covmash and mashr in turns", if (scale > 1) paste0(", mashr on ", w$mashr_rows, " rows"), ".")
  turns <- take_turns(ours, theirs, opts)
  times <- time_columns(turns, scale)
  one <- last_value(turns$one)
  peer <- last_value(turns$peer)
  rm(turns)

  say("Objective and accuracy.")
  judge <- judges[[w$kind]]
  columns <- list(describe_run(w, opts), times, judge(w, ours, our_part, theirs, one, peer))
  rm(one, peer)
  if (opts$memory) {
    say("Memory: each side in a process of its own.")
    part$logfile <- NULL
    columns <- c(columns, list(memory_columns(inputs, part, w, opts)))
  }
  row <- do.call(cbind, columns)
  row$goal_ratio <- w$goal_ratio * goal_share(row$instruction_set)
  row$reached <- row$ratio >= row$goal_ratio
  row
}

largest_difference <- function(x, y) max(abs(x - y))

# One ruler for both: covmash's log-likelihood in double precision, at weights that sum to one exactly.
measure <- function(g, data) {
  g$pi <- g$pi / sum(g$pi)
  loglik <- covmash::mash(data, g = g, fixg = TRUE, outputlevel = 1, verbose = FALSE, n_threads = 1)$loglik
  c(loglik = loglik, objective = loglik + if (g$usepointmass) 9 * log(g$pi[[1]]) else 0)
}

objective_columns <- function(ours, theirs) {
  data.frame(
    covmash_loglik = ours[["loglik"]], mashr_loglik = theirs[["loglik"]],
    covmash_objective = ours[["objective"]], mashr_objective = theirs[["objective"]],
    objective_gain = ours[["objective"]] - theirs[["objective"]]
  )
}

posterior_differences <- function(x, y) {
  data.frame(
    mean_difference = largest_difference(x$PosteriorMean, y$PosteriorMean),
    sd_difference = largest_difference(x$PosteriorSD, y$PosteriorSD),
    lfsr_difference = largest_difference(x$lfsr, y$lfsr)
  )
}

# ---- against the model in plain R -------------------------------------------

plain <- new.env()
sys.source(file.path(top, "tests", "testthat", "helper-reference.R"), plain)

spread_rows <- function(J, n) unique(round(seq(1, J, length.out = min(n, J))))

# `result` (posterior matrices of all rows) and `vloglik` (or NULL) against the slow model at the same g.
plain_columns <- function(rows, Bhat, Shat, g, result, vloglik = NULL) {
  truth <- plain$reference_mash(
    Bhat[rows, , drop = FALSE], Shat[rows, , drop = FALSE], diag(ncol(Bhat)), g$Ulist, g$grid, g$pi / sum(g$pi),
    g$usepointmass
  )
  difference <- function(name) largest_difference(unname(result[[name]][rows, , drop = FALSE]), unname(truth[[name]]))
  data.frame(
    plain_rows = length(rows),
    plain_loglik_difference = if (is.null(vloglik)) {
      NA
    } else {
      max(abs(as.vector(vloglik)[rows] - truth$vloglik) / pmax(1, abs(truth$vloglik)))
    },
    plain_mean_difference = if (is.null(result)) NA else difference("PosteriorMean"),
    plain_sd_difference = if (is.null(result)) NA else difference("PosteriorSD"),
    plain_lfsr_difference = if (is.null(result)) NA else difference("lfsr")
  )
}

# ---- one judge for each kind of task ----------------------------------------

# The fits have weights of their own, judged by the objective; for the posteriors both get the weights of covmash.
judge_mash <- function(w, ours, our_part, theirs, one, peer) {
  on_part <- if (w$mashr_rows < w$J) run_side("covmash", our_part, 1) else one
  must_agree(on_part$fitted_g$grid, peer$fitted_g$grid, "grid")
  must_agree(on_part$fitted_g$Ulist, peer$fitted_g$Ulist, "matrices")
  cbind(
    data.frame(
      matrices = length(one$fitted_g$Ulist), components = length(one$fitted_g$pi),
      covmash_kkt_violation = one$convergence$kkt_violation, covmash_iterations = one$convergence$iterations
    ),
    objective_columns(measure(on_part$fitted_g, our_part$data), measure(peer$fitted_g, our_part$data)),
    same_weights_columns(w, one$fitted_g, our_part),
    plain_columns(
      spread_rows(w$J, w$plain_rows), ours$Bhat, ours$Shat, one$fitted_g, one$result, one$vloglik
    )
  )
}

same_weights_columns <- function(w, g, inputs) {
  rows <- min(if (is.null(w$agreement_rows)) Inf else w$agreement_rows, nrow(inputs$Bhat))
  inputs$grid <- g$grid
  inputs <- first_rows(inputs, rows)
  a <- covmash::mash(
    set_data("covmash", inputs)$data, g = g, fixg = TRUE, verbose = FALSE, n_threads = 1
  )
  b <- mashr::mash(set_data("mashr", inputs)$data, g = g, fixg = TRUE, verbose = FALSE)
  cbind(
    data.frame(agreement_rows = rows, loglik_difference = abs(a$loglik - b$loglik)),
    posterior_differences(a$result, b$result)
  )
}

# The same g on both sides: nothing was optimised, so the objective column is the log-likelihood of each.
judge_posterior <- function(w, ours, our_part, theirs, one, peer) {
  g <- ours$fit$fitted_g
  a <- covmash::mash_compute_vloglik(ours$fit, ours$data, n_threads = 1)
  b <- suppressMessages(mashr::mash_compute_loglik(g, theirs$data))
  cbind(
    data.frame(
      matrices = length(g$Ulist), components = length(g$pi), covmash_loglik = sum(a), mashr_loglik = b,
      loglik_difference = abs(sum(a) - b), agreement_rows = w$J
    ),
    posterior_differences(one, peer),
    plain_columns(spread_rows(w$J, w$plain_rows), ours$Bhat, ours$Shat, g, one, a)
  )
}

# The fitted priors stay inside mash_1by1(), so some conditions are fitted once more with the functions that it uses
# (covmash: mash() with one condition; mashr: ash()) and their weights measured with the one ruler. The posteriors are
# those of the whole runs, each with its own weights.
judge_onebyone <- function(w, ours, our_part, theirs, one, peer, conditions = 3) {
  fits <- lapply(seq_len(conditions), function(r) fit_one_condition(ours, r))
  total <- function(side) Reduce(`+`, lapply(fits, `[[`, side))
  rows <- spread_rows(w$J, w$plain_rows)
  first <- lapply(one$result, function(x) x[, 1, drop = FALSE])
  cbind(
    data.frame(
      matrices = 1, components = length(fits[[1]]$g$pi), objective_of = paste(conditions, "conditions"),
      covmash_kkt_violation = max(one$convergence$kkt_violation),
      covmash_iterations = max(one$convergence$iterations), agreement_rows = w$J
    ),
    objective_columns(total("covmash"), total("mashr")),
    data.frame(loglik_difference = abs(one$loglik - peer$loglik)),
    posterior_differences(one$result, peer$result),
    plain_columns(rows, ours$Bhat[, 1, drop = FALSE], ours$Shat[, 1, drop = FALSE], fits[[1]]$g, first)
  )
}

fit_one_condition <- function(inputs, r) {
  data <- covmash::mash_set_data(inputs$Bhat[, r, drop = FALSE], inputs$Shat[, r, drop = FALSE])
  g <- covmash::mash(data, list(U = matrix(1)), verbose = FALSE, n_threads = 1)$fitted_g
  ash <- ashr::ash(inputs$Bhat[, r], inputs$Shat[, r], mixcompdist = "normal", outputlevel = 1)$fitted_g
  must_agree(ash$sd, c(0, g$grid), "grid")
  list(g = g, covmash = measure(g, data), mashr = measure(replace(g, "pi", list(ash$pi)), data))
}

# The log-likelihood of the mixture that each side ends with, before the ridge that both add to the matrices.
judge_deconvolution <- function(w, ours, our_part, theirs, one, peer) {
  n <- length(ours$strong)
  K <- length(ours$start)
  data <- ours$data[ours$strong, ]
  fit <- covmash:::cpp_ed(
    data, list(Ulist = ours$start, pi = rep(1 / K, K)), list(fixcovar = rep(FALSE, K), n_threads = 1)
  )
  ridge <- diag(w$R) / sqrt(n)
  must_agree(lapply(fit$Ulist, `+`, ridge), one, "matrices of cov_ed() and of its core")
  mixture <- function(pi, Ulist) {
    list(pi = as.vector(pi) / sum(pi), Ulist = stats::setNames(Ulist, names(one)), grid = 1, usepointmass = FALSE)
  }
  g <- mixture(fit$pi, fit$Ulist)
  theirs_g <- mixture(peer$pi, lapply(peer$Ulist, function(U) unname(U) - ridge))
  vloglik <- covmash::mash(data, g = g, fixg = TRUE, outputlevel = 1, verbose = FALSE, n_threads = 1)$vloglik
  cbind(
    data.frame(
      matrices = K, components = K, deconvolution_rows = n, covmash_iterations = fit$iterations,
      mashr_iterations = count_iterations(theirs$logfile),
      matrix_difference = largest_difference(unlist(one), unlist(peer$Ulist))
    ),
    objective_columns(measure(g, data), measure(theirs_g, data)),
    plain_columns(spread_rows(n, w$plain_rows), data$Bhat, data$Shat, g, NULL, vloglik)
  )
}

# mashr writes the log-likelihood of each iteration to a file.
count_iterations <- function(logfile) {
  file <- paste0(logfile, "_loglike.log")
  if (!file.exists(file)) {
    return(NA)
  }
  length(grep("[0-9]", readLines(file, warn = FALSE)))
}

judges <- list(
  mash = judge_mash, posterior = judge_posterior, onebyone = judge_onebyone, deconvolution = judge_deconvolution
)
