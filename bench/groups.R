# Seconds an effect while the number of effects that share their noise grows: rows of Shat that several neighbours have
# in common, matrices of full rank. There must be no size at which it becomes dearer. Writes groups.csv and groups.md.
#
#   Rscript bench/groups.R [--quick] [--out=DIR] [--runs=5] [--conditions=8,20,44]

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))
for (file in c(
  "workloads.R", "house/cases.R", "house/options.R", "house/processes.R", "house/data.R", "house/measuring.R",
  "house/writing.R", "house/report.R"
)) {
  source(file.path(top, "bench", file))
}

# One prior for all sizes. "likelihood": of all components; "posterior": under the weights fitted to the data with one
# Shat, and under equal ones, so that all components take part.
measure_groups <- function(R, w, opts) {
  sim <- simulate_effects(w$J, R, w$seed, "one")
  sets <- lapply(c(w$sizes, Inf), function(size) grouped_data(sim, size))
  common <- sets[[length(sets)]]
  fit <- covmash::mash(common, full_rank_matrices(common, w), verbose = FALSE, n_threads = 1)
  fitted <- with_weights(fit)
  equal <- equal_weights(fit)
  cases <- unlist(lapply(stats::setNames(sets, c(w$sizes, "all")), function(data) {
    list(
      likelihood = function() sum(covmash::mash_compute_vloglik(equal, data, n_threads = 1)),
      posterior = function() length(covmash::mash_compute_posterior_matrices(fitted, data, n_threads = 1)),
      posterior_all = function() length(covmash::mash_compute_posterior_matrices(equal, data, n_threads = 1))
    )
  }))
  turns <- in_turns(cases, opts$runs, opts$least)
  cpu <- 1e6 / w$J * matrix(turns$cpu, length(sets), byrow = TRUE)
  frame <- data.frame(
    R = R, size = c(w$sizes, "all"), components = length(fit$fitted_g$pi), in_use = sum(fit$fitted_g$pi > 0),
    likelihood = cpu[, 1], posterior = cpu[, 2], posterior_all = cpu[, 3]
  )
  frame$both <- frame$likelihood + frame$posterior
  frame$both_all <- frame$likelihood + frame$posterior_all
  step <- function(x) c(NA, x[-1] / x[-length(x)])
  frame$step <- step(frame$both)
  frame$step_all <- step(frame$both_all)
  frame$goal_step <- c(NA, rep(w$goal_step, nrow(frame) - 1))
  frame$reached <- at_most(pmax(frame$step, frame$step_all), frame$goal_step)
  frame
}

page <- function(frame, w, opts) {
  c(
    report_head("Effects that share their noise", opts, c(
      sprintf(
        "%d effects in groups of the given size; %d matrices of full rank, identity, equal effects and simple", w$J,
        w$full_rank
      ),
      sprintf(
        "heterogeneity, %s components. Microseconds of processor time an effect, one thread, medians of %d runs in",
        paste(unique(frame$components), collapse = ", "), opts$runs
      ),
      sprintf(
        "turns; \"step\": likelihood + posterior over that of the size before, at most %.1f; \"all\": one Shat.",
        w$goal_step
      )
    )),
    unlist(lapply(split(frame, frame$R), function(part) {
      report_table(sprintf("%d conditions", part$R[1]), part, c(
        "effects a group" = "size", "likelihood" = "likelihood:2", "posterior, fitted weights" = "posterior:2",
        "posterior, equal weights" = "posterior_all:2", "likelihood + posterior, fitted" = "both:2", "step" = "step:2",
        "equal" = "both_all:2", "step, equal" = "step_all:2", "goal" = "goal_step:1", "reached" = "reached"
      ))
    }), use.names = FALSE)
  )
}

main <- function() {
  need_covmash()
  opts <- script_options(list(conditions = ""))
  need_one_blas_thread()
  w <- sizes_of("groups", opts$quick)
  if (nzchar(opts$conditions)) {
    w$R <- vapply(strsplit(opts$conditions, ",", fixed = TRUE)[[1]], whole_number, 0L, "conditions", 3)
  }
  frame <- do.call(rbind, lapply(w$R, function(R) {
    say(R, " conditions, groups of ", paste(w$sizes, collapse = ", "), " effects.")
    measure_groups(R, w, opts)
  }))
  write_report("groups", frame, page(frame, w, opts), opts)
}

invisible(main())
