# Workload j: weights of many matrices at one scale, so that every component is a matrix of its own. Against the same
# prior given as matrices x scales, and against mashr. Writes many.csv and many.md.
#
#   Rscript bench/many.R [--quick] [--out=DIR] [--runs=5] [--mashr=yes]

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))
for (file in c(
  "workloads.R", "house/cases.R", "house/options.R", "house/processes.R", "house/data.R", "house/measuring.R",
  "house/comparing.R", "house/writing.R", "house/report.R"
)) {
  source(file.path(top, "bench", file))
}

# Each with its data, matrices and grid, and the goals that it has.
problems <- function(w) {
  data <- real_and_null()
  Ulist <- real_matrices(data)
  K <- length(Ulist)
  problem <- function(what, data, Ulist, grid = 1, ...) list(what = what, data = data, Ulist = Ulist, grid = grid, ...)
  out <- list()
  for (n in w$scales) {
    scales <- many_scales(n)
    name <- sprintf("%d x %d", K, n)
    out[[paste(name, "at one scale")]] <- problem(
      "matrices times scales, at one scale", data, scaled_matrices(Ulist, scales), form_of = name,
      goal_seconds = unname(w$goal_seconds[name])
    )
    out[[name]] <- problem("the same, matrices x scales", data, Ulist, grid = sqrt(scales))
  }
  out[[as.character(w$random)]] <- problem(
    "random matrices of ranks 1 to 44, at one scale", data,
    named_covariances(random_covariances(w$random, 44, w$seed, rank = 1:44)),
    goal_ratio = unname(w$goal_ratio[as.character(w$random)])
  )
  sim <- simulate_effects(w$small_J, 2, w$seed, "one")
  small <- covmash::mash_set_data(sim$Bhat, sim$Shat)
  for (n in w$small) {
    out[[as.character(n)]] <- problem(
      "random matrices of rank 2, at one scale", small, named_covariances(random_covariances(n, 2, w$seed)),
      goal_seconds = unname(w$goal_seconds[as.character(n)])
    )
  }
  out
}

fit_covmash <- function(p) {
  covmash::mash(p$data, p$Ulist, grid = p$grid, normalizeU = FALSE, verbose = FALSE, n_threads = 1)
}

# What mashr gives its user includes the posterior.
fit_mashr <- function(p) {
  data <- mashr::mash_set_data(p$data$Bhat, p$data$Shat)
  mashr::mash(data, p$Ulist, grid = p$grid, normalizeU = FALSE, verbose = FALSE)
}

measure_problem <- function(name, p, opts) {
  say(name, ": ", p$what, ", ", length(p$Ulist) * length(p$grid), " components.")
  weights <- numeric()
  turns <- in_turns(list(fit = function() {
    fit <- fit_covmash(p)
    weights <<- c(weights, fit$timing$weights)
    fit
  }), opts$runs, opts$least)
  fit <- turns$values$fit
  row <- data.frame(
    problem = name, what = p$what, J = nrow(p$data$Bhat), R = ncol(p$data$Bhat), matrices = length(p$Ulist),
    components = length(fit$fitted_g$pi), in_use = sum(fit$fitted_g$pi > 0), iterations = fit$convergence$iterations,
    cpu_seconds = turns$cpu[["fit"]], weights_seconds = stats::median(weights),
    kkt_violation = fit$convergence$kkt_violation, objective = measure(fit$fitted_g, p$data)[["objective"]],
    mashr_seconds = NA_real_, mashr_objective = NA_real_,
    form_of = if (is.null(p$form_of)) NA else p$form_of,
    goal_seconds = if (is.null(p$goal_seconds)) NA else p$goal_seconds,
    goal_ratio = if (is.null(p$goal_ratio)) NA else p$goal_ratio
  )
  if (opts$mashr) {
    peer <- timed(fit_mashr(p))
    row$mashr_seconds <- peer$cpu
    row$mashr_objective <- measure(peer$value$fitted_g, p$data)[["objective"]]
  }
  row
}

# Against mashr, and against the same prior in its other form.
compare <- function(frame, w) {
  other <- match(frame$form_of, frame$problem)
  frame$ratio <- frame$mashr_seconds / frame$cpu_seconds
  frame$gain <- frame$objective - frame$mashr_objective
  frame$to_grid <- frame$weights_seconds / frame$weights_seconds[other]
  frame$from_grid <- frame$objective - frame$objective[other]
  # One ruler's rounding is not a worse fit.
  level <- 1e-10 * abs(frame$objective)
  reached <- rbind(
    at_most(frame$cpu_seconds, frame$goal_seconds), at_least(frame$ratio, frame$goal_ratio),
    at_most(frame$to_grid, ifelse(is.na(frame$goal_seconds), NA, w$goal_to_grid)),
    at_least(frame$gain, ifelse(is.na(frame$gain), NA, -level)), at_most(frame$kkt_violation, w$goal_kkt)
  )
  frame$reached <- apply(reached, 2, all, na.rm = TRUE)
  frame$goal <- mapply(function(seconds, ratio, in_two_forms) {
    goals <- c(
      if (!is.na(seconds)) sprintf("%g s", seconds), if (!is.na(ratio)) sprintf("%g x", ratio),
      if (!is.na(seconds) && in_two_forms) sprintf("weights %g x the other form's", w$goal_to_grid)
    )
    if (length(goals)) paste(goals, collapse = ", ") else NA_character_
  }, frame$goal_seconds, frame$goal_ratio, !is.na(frame$form_of))
  frame
}

page <- function(frame, w, opts) {
  c(
    report_head("Many matrices at one scale", opts, c(
      "`mash(normalizeU = FALSE)`: real z-scores and as many null ones, 1000 x 44, or 400 x 2 simulated effects.",
      sprintf(
        "Processor seconds, one thread, medians of %d runs; mashr once. Besides the goal in its column, the objective",
        opts$runs
      ),
      sprintf("must be at least mashr's, by one ruler, and the KKT violation below %g.", w$goal_kkt)
    )),
    report_table("Seconds", frame, c(
      "matrices" = "problem", "what" = "what", "components" = "components", "in use" = "in_use", "steps" = "iterations",
      "covmash" = "cpu_seconds:3", "its weights" = "weights_seconds:4", "mashr" = "mashr_seconds:2",
      "mashr / covmash" = "ratio:1", "weights to those of the other form" = "to_grid:2", "goal" = "goal",
      "reached" = "reached"
    ), labels = 2),
    report_table("Objective, computed by covmash", frame, c(
      "matrices" = "problem", "covmash" = "objective:6", "mashr" = "mashr_objective:6", "covmash - mashr" = "gain:g",
      "less that of the other form" = "from_grid:g", "KKT violation" = "kkt_violation:g"
    ))
  )
}

main <- function() {
  need_packages()
  opts <- script_options(list(mashr = "yes"))
  opts$mashr <- yes_or_no(opts$mashr, "mashr")
  need_one_blas_thread()
  w <- sizes_of("many", opts$quick)
  all <- problems(w)
  rows <- Map(measure_problem, names(all), all, list(opts))
  frame <- compare(do.call(rbind, unname(rows)), w)
  write_report("many", frame, page(frame, w, opts), opts)
}

invisible(main())
