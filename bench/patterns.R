# Workload i: what missing data cost. The effects come in patterns of missing conditions: mash() against the complete
# data, and the likelihood and posterior under matrices of full rank, where sharing a decomposition matters most.
# Writes patterns.csv, patterns-full-rank.csv and patterns.md.
#
#   Rscript bench/patterns.R [--quick] [--out=DIR] [--runs=5]

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))
for (file in c(
  "workloads.R", "house/cases.R", "house/options.R", "house/processes.R", "house/data.R", "house/measuring.R",
  "house/writing.R", "house/report.R"
)) {
  source(file.path(top, "bench", file))
}

pattern_labels <- function(n_patterns, w) {
  ifelse(n_patterns == 0, "complete", sprintf("%d patterns of %.0f rows", n_patterns, w$J / n_patterns))
}

# mash() as a user calls it, one thread.
measure_mash <- function(sim, w, opts) {
  sets <- lapply(w$patterns, function(n) patterns_data(sim, n, w))
  Ulist <- patterns_matrices(sets[[1]], w)
  labels <- pattern_labels(w$patterns, w)
  cases <- stats::setNames(lapply(sets, function(data) {
    function() covmash::mash(data, Ulist, verbose = FALSE, n_threads = 1)
  }), labels)
  turns <- in_turns(cases, opts$runs, opts$least)
  part <- function(name) vapply(turns$values, function(fit) fit$timing[[name]], 0)
  frame <- data.frame(
    noise = labels, patterns = w$patterns, components = vapply(turns$values, function(f) length(f$fitted_g$pi), 0),
    iterations = vapply(turns$values, function(f) f$convergence$iterations, 0), cpu_seconds = turns$cpu,
    likelihood_seconds = part("likelihood"), weights_seconds = part("weights"), posterior_seconds = part("posterior"),
    ratio = turns$cpu / turns$cpu[[1]], goal_ratio = ifelse(w$patterns == w$goal_patterns, w$goal_ratio, NA),
    row.names = NULL
  )
  frame$reached <- at_most(frame$ratio, frame$goal_ratio)
  frame
}

# The same prior for all, from a fit of the complete data. "likelihood": of all components; "posterior": under the
# fitted weights, few of which are positive, and under equal ones, so that all components take part.
measure_full_rank <- function(sim, w, opts) {
  varying <- simulate_effects(w$J, w$R, w$seed, "varying")
  sets <- list(
    patterns_data(sim, 0, w), patterns_data(sim, w$goal_patterns, w),
    covmash::mash_set_data(varying$Bhat, varying$Shat)
  )
  names(sets) <- c(pattern_labels(c(0, w$goal_patterns), w), "Shat of each row's own")
  Ulist <- full_rank_matrices(sets[[1]], w)
  fit <- covmash::mash(sets[[1]], Ulist, verbose = FALSE, n_threads = 1)
  fitted <- with_weights(fit)
  equal <- equal_weights(fit)
  cases <- unlist(lapply(sets, function(data) {
    list(
      mash = function() covmash::mash(data, Ulist, grid = fit$fitted_g$grid, verbose = FALSE, n_threads = 1)$loglik,
      likelihood = function() sum(covmash::mash_compute_vloglik(equal, data, n_threads = 1)),
      posterior = function() length(covmash::mash_compute_posterior_matrices(fitted, data, n_threads = 1)),
      posterior_all = function() length(covmash::mash_compute_posterior_matrices(equal, data, n_threads = 1))
    )
  }))
  turns <- in_turns(cases, opts$runs, opts$least)
  cpu <- matrix(turns$cpu, length(sets), byrow = TRUE)
  frame <- data.frame(
    noise = names(sets), components = length(fit$fitted_g$pi), in_use = sum(fit$fitted_g$pi > 0), mash = cpu[, 1],
    likelihood = cpu[, 2], posterior = cpu[, 3], posterior_all = cpu[, 4]
  )
  frame$both <- frame$likelihood + frame$posterior
  frame$both_all <- frame$likelihood + frame$posterior_all
  for (name in c("mash", "likelihood", "both", "both_all")) {
    frame[[paste0(name, "_ratio")]] <- frame[[name]] / frame[[name]][1]
  }
  frame$goal_ratio <- c(NA, w$goal_full_rank, NA)
  frame$reached <- at_most(pmax(frame$both_ratio, frame$both_all_ratio), frame$goal_ratio)
  frame
}

page <- function(mash, full, w, opts) {
  c(
    report_head("The cost of missing data", opts, c(
      sprintf(
        "%d x %d, seed %d; %d of the conditions are missing in all rows of a pattern. Processor seconds on one thread,",
        w$J, w$R, w$seed, w$missing
      ),
      sprintf("medians of %d runs in turns; ratios are to the complete data in the same process.", opts$runs)
    )),
    report_table(sprintf("mash(), canonical matrices and %d of full rank", w$full_rank), mash, c(
      "noise" = "noise", "components" = "components", "steps" = "iterations", "seconds" = "cpu_seconds:3",
      "likelihood" = "likelihood_seconds:3", "weights" = "weights_seconds:3", "posterior" = "posterior_seconds:3",
      "ratio" = "ratio:2", "goal" = "goal_ratio:1", "reached" = "reached"
    )),
    "Likelihood, weights and posterior are seconds by the clock, of the last run.", "",
    report_table(
      sprintf("%d matrices of full rank, identity, equal effects and simple heterogeneity", w$full_rank), full, c(
        "noise" = "noise", "components" = "components", "likelihood" = "likelihood:3",
        "posterior, fitted weights" = "posterior:3", "posterior, equal weights" = "posterior_all:3",
        "ratio of likelihood" = "likelihood_ratio:2", "of likelihood + posterior, fitted" = "both_ratio:2",
        "equal" = "both_all_ratio:2", "of mash()" = "mash_ratio:2", "goal" = "goal_ratio:0", "reached" = "reached"
      )
    ),
    "Every component has a weight when the likelihood is computed. The goal is that of likelihood + posterior.", ""
  )
}

main <- function() {
  need_covmash()
  opts <- script_options()
  need_one_blas_thread()
  w <- sizes_of("patterns", opts$quick)
  sim <- simulate_effects(w$J, w$R, w$seed, "one")
  say("mash() with ", paste(w$patterns, collapse = ", "), " patterns of missing conditions.")
  mash <- measure_mash(sim, w, opts)
  say("Likelihood and posterior, matrices of full rank.")
  full <- measure_full_rank(sim, w, opts)
  write_report("patterns", list("patterns" = mash, "patterns-full-rank" = full), page(mash, full, w, opts), opts)
}

invisible(main())
