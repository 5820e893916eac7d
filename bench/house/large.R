# The large workloads: covmash in a process of its own, from matrices in memory to the fit; mashr on the first rows.

# In the child. The peak is that of the first run, on two threads, from the moment the two input matrices are all there
# is; later runs are timed only.
fit_large <- function(w, opts) {
  loadNamespace("covmash")
  sim <- simulate_large(w)
  part <- list(Bhat = sim$Bhat[seq_len(w$mashr_rows), ], Shat = sim$Shat[seq_len(w$mashr_rows), ])
  Ulist <- large_matrices(sim, w)
  whole_fit <- function(n_threads) {
    data <- covmash::mash_set_data(sim$Bhat, sim$Shat)
    covmash::mash(data, Ulist, verbose = FALSE, n_threads = n_threads)
  }
  was_reset <- reset_peak()
  before <- resident_mb()
  first <- timed(whole_fit(2))
  peak <- peak_mb()
  fit <- first$value
  rows <- spread_rows(w$J, w$plain_rows)
  answer <- list(
    part = part, Ulist = Ulist, g = fit$fitted_g, convergence = fit$convergence, loglik = fit$loglik,
    timing = fit$timing,
    plain = plain_columns(rows, sim$Bhat, sim$Shat, fit$fitted_g, fit$result, fit$vloglik),
    peak = peak, before = if (was_reset) before else NA, input = numbers_mb(sim), results = numbers_mb(fit)
  )
  print_of_fit <- fingerprint(fit)
  rm(fit)
  first$value <- NULL
  gc()
  answer$two <- list(first)
  repeats <- if (w$J > 2e6) 1 else opts$runs
  for (i in seq_len(repeats - 1)) {
    answer$two <- c(answer$two, forget(list(timed(whole_fit(2)))))
    gc()
  }
  answer$one <- list()
  for (i in seq_len(repeats)) {
    run <- timed(whole_fit(1))
    answer$same_bits <- identical(print_of_fit, fingerprint(run$value))
    answer$one <- c(answer$one, forget(list(run)))
    rm(run)
    gc()
  }
  answer
}

# Enough to tell fits apart without keeping two: the weights, the log-likelihood and the sums of the results.
fingerprint <- function(fit) list(fit$fitted_g$pi, fit$loglik, lapply(fit$result, colSums))

# Canonical matrices and three deconvolved ones, made of the first 20,000 rows.
large_matrices <- function(sim, w) {
  rows <- seq_len(min(20000, w$J))
  make_matrices(covmash::mash_set_data(sim$Bhat[rows, ], sim$Shat[rows, ]), w, npc = 2)
}

compare_large <- function(w, opts) {
  say("covmash in a process of its own, on two threads and on one.")
  whole <- ask_child("large", list(), w, opts)
  part <- list(
    kind = "mash", Bhat = whole$part$Bhat, Shat = whole$part$Shat, Ulist = whole$Ulist, grid = whole$g$grid
  )
  ours <- set_data("covmash", part)
  theirs <- set_data("mashr", part)
  scale <- w$J / w$mashr_rows
  say("mashr on ", w$mashr_rows, " rows.")
  peer <- timed(run_side("mashr", theirs))
  on_part <- run_side("covmash", ours, 1)
  must_agree(on_part$fitted_g$Ulist, peer$value$fitted_g$Ulist, "matrices")
  row <- cbind(
    describe_run(w, opts), large_times(whole, scale, peer),
    data.frame(
      matrices = length(whole$Ulist), components = length(whole$g$pi),
      covmash_kkt_violation = whole$convergence$kkt_violation, covmash_iterations = whole$convergence$iterations
    ),
    objective_columns(measure(on_part$fitted_g, ours$data), measure(peer$value$fitted_g, ours$data)),
    same_weights_columns(w, whole$g, ours), whole$plain
  )
  if (opts$memory) {
    row <- cbind(row, large_memory(whole, part, scale, w, opts))
  }
  large_goals(row, w)
}

large_times <- function(whole, scale, peer) {
  one <- middle(whole$one)
  two <- middle(whole$two)
  seconds <- scale * peer$seconds
  data.frame(
    covmash_seconds = one, covmash_cpu_seconds = middle(whole$one, "cpu"), covmash_2_threads_seconds = two,
    likelihood_seconds = whole$timing$likelihood, weights_seconds = whole$timing$weights,
    posterior_seconds = whole$timing$posterior, mashr_seconds = seconds, mashr_cpu_seconds = scale * peer$cpu,
    runs = length(whole$two), mashr_runs = 1, ratio = seconds / one, ratio_2_threads = seconds / two,
    same_bits_2_threads = whole$same_bits
  )
}

# Beyond input and results: of what the run added to the resident memory, the results are taken off; the input was
# there before.
large_memory <- function(whole, part, scale, w, opts) {
  theirs <- ask_child("mashr", part, w, opts)
  input_and_results <- whole$input + whole$results
  mashr_peak <- theirs[["peak"]] + (scale - 1) * theirs[["added"]] + whole$input
  data.frame(
    covmash_mb = whole$peak, mashr_mb = mashr_peak, memory_ratio = whole$peak / mashr_peak,
    covmash_added_mb = whole$peak - whole$before, mashr_added_mb = scale * theirs[["added"]],
    input_mb = whole$input, results_mb = whole$results, beyond_mb = whole$peak - whole$before - whole$results
  )
}

large_goals <- function(row, w) {
  row$goal_seconds <- w$goal_seconds / goal_share(row$instruction_set)
  row$goal_mb <- w$goal_mb
  row$goal_memory <- w$goal_memory
  row$reached <- row$covmash_2_threads_seconds <= row$goal_seconds
  used <- if (w$goal_memory == "whole process") row$covmash_mb else row$beyond_mb
  row$memory_reached <- if (is.null(used)) NA else used <= row$goal_mb
  row
}
