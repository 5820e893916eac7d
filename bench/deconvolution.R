# Workload k: cov_ed() where one entry is missing, where one effect has other noise, and with many missing patterns,
# against the same data complete; and two threads against one. Writes deconvolution.csv and deconvolution.md.
#
#   Rscript bench/deconvolution.R [--quick] [--out=DIR] [--runs=5]

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))
for (file in c(
  "workloads.R", "house/cases.R", "house/options.R", "house/processes.R", "house/data.R", "house/measuring.R",
  "house/comparing.R", "house/writing.R", "house/report.R"
)) {
  source(file.path(top, "bench", file))
}

# Of the matrices without the ridge that cov_ed() adds, under the weights that suit them best.
loglik_of <- function(Ulist, data) {
  ridge <- diag(ncol(data$Bhat)) / sqrt(nrow(data$Bhat))
  fit <- covmash::mash(
    data, lapply(Ulist, `-`, ridge), grid = 1, normalizeU = FALSE, usepointmass = FALSE, prior = "uniform",
    verbose = FALSE, outputlevel = 1, n_threads = 1
  )
  fit$loglik
}

measure_cases <- function(sets, start, w, opts) {
  on <- function(n_threads) {
    lapply(sets, function(data) function() deconvolve(data, start, w$iterations, n_threads))
  }
  say("cov_ed(), ", w$iterations, " steps.")
  cases <- c(stats::setNames(on(1), paste("one", names(sets))), stats::setNames(on(2), paste("two", names(sets))))
  # One thread and two next to one another.
  cases <- cases[order(rep(seq_along(sets), 2))]
  turns <- in_turns(cases, opts$runs, opts$least)
  take <- function(x, threads) unname(x[paste(threads, names(sets))])
  one <- take(turns$values, "one")
  frame <- data.frame(
    noise = names(sets), cpu_seconds = take(turns$cpu, "one"), seconds = take(turns$seconds, "one"),
    seconds_2_threads = take(turns$seconds, "two"),
    loglik = mapply(loglik_of, one, sets),
    from_complete = vapply(one, function(U) largest_difference(unlist(U), unlist(one[[1]])), 0),
    same_bits = mapply(identical, one, take(turns$values, "two"))
  )
  frame$ratio <- frame$cpu_seconds / frame$cpu_seconds[1]
  frame$goal_ratio <- w$goal_ratio
  frame$gain <- frame$seconds / frame$seconds_2_threads
  frame$goal_gain <- c(w$goal_two_threads, rep(NA, length(sets) - 1))
  frame$reached <- ifelse(
    is.na(frame$goal_ratio), at_least(frame$gain, frame$goal_gain), at_most(frame$ratio, frame$goal_ratio)
  )
  frame
}

page <- function(frame, sets, start, w, opts) {
  c(
    report_head("Deconvolution where the noise is not the same for all", opts, c(
      sprintf(
        "`cov_ed(tol = 0, maxiter = %d)`: the strong rows of %d x %d effects, %d x %d, seed %d, %d matrices.",
        w$iterations, w$J, w$R, nrow(sets[[1]]$Bhat), w$R, w$seed, length(start)
      ),
      sprintf(
        "Medians of %d runs in turns; the ratio is of processor seconds, the gain of seconds by the clock.", opts$runs
      )
    )),
    report_table("Seconds", frame, c(
      "noise" = "noise", "processor, one thread" = "cpu_seconds:3", "ratio to complete" = "ratio:2",
      "goal" = "goal_ratio:1", "clock, one thread" = "seconds:3", "two threads" = "seconds_2_threads:3",
      "gain" = "gain:2", "goal of the gain" = "goal_gain:1", "reached" = "reached", "same bits" = "same_bits"
    )),
    report_table("Results", frame, c(
      "noise" = "noise", "log-likelihood" = "loglik:6",
      "largest difference of a matrix from complete" = "from_complete:g"
    )),
    "The log-likelihood is that of the matrices under the weights that suit them best.", ""
  )
}

main <- function() {
  need_covmash()
  opts <- script_options()
  need_one_blas_thread()
  w <- sizes_of("deconvolution", opts$quick)
  x <- deconvolution_data(w)
  sets <- deconvolution_cases(x, w)
  frame <- measure_cases(sets, x$start, w, opts)
  write_report("deconvolution", frame, page(frame, sets, x$start, w, opts), opts)
}

invisible(main())
