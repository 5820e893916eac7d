# This build of covmash against another one: processor seconds of the workloads in fresh processes that take turns.
# Both get the same data and the same matrices, made once by the other build. Writes against.csv and against.md.
#
#   Rscript bench/against.R --against=LIBRARY [--library=LIBRARY] [--workloads=a,b,...] [--runs=15] [--threads=1]
#                           [--quick] [--out=DIR]
#
#   --against     the library that the other build is installed in
#   --library     that of this build; where R finds covmash if not given
#   --workloads   of a, b, c, d, e, h, 1by1, m1, m10, and patterns, missing-entry, many; the first nine if not given
#   --runs        processes of each build, 15 and 3 of m10 if not given; medians are reported
#   --threads     threads of covmash
# The rest is for the processes that the script starts itself: --child, --inputs, --answer.

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))
for (file in c(
  "workloads.R", "house/cases.R", "house/options.R", "house/processes.R", "house/data.R", "house/sides.R",
  "house/measuring.R", "house/large.R", "house/writing.R", "house/report.R"
)) {
  source(file.path(top, "bench", file))
}

# Slower than this is a loss: 5 % and, for what takes next to no time, 3 ms.
goal_ratio <- 1.05
goal_seconds <- 0.003

with_goal <- c("a", "b", "c", "d", "e", "h", "1by1", "m1", "m10")

# ---- what is run ------------------------------------------------------------

# Data, matrices and kind of a workload. Only functions that both builds export are called with them.
inputs_of <- function(name, opts) {
  switch(name,
    patterns = {
      w <- sizes_of("patterns", opts$quick)
      data <- patterns_data(simulate_effects(w$J, w$R, w$seed, "one"), w$goal_patterns, w)
      list(kind = "mash", Bhat = data$Bhat, Shat = data$Shat, Ulist = patterns_matrices(data, w))
    },
    "missing-entry" = {
      w <- sizes_of("deconvolution", opts$quick)
      x <- deconvolution_data(w)
      data <- deconvolution_cases(x, w)[["one missing entry"]]
      list(kind = "steps", Bhat = data$Bhat, Shat = data$Shat, start = x$start, iterations = w$iterations)
    },
    many = {
      w <- sizes_of("many", opts$quick)
      data <- real_and_null()
      list(
        kind = "one scale", Bhat = data$Bhat, Shat = data$Shat,
        Ulist = scaled_matrices(real_matrices(data), many_scales(max(w$scales)))
      )
    },
    {
      w <- workload(name, opts)
      if (w$kind == "large") {
        sim <- simulate_large(w)
        c(list(kind = "large"), sim, list(Ulist = large_matrices(sim, w)))
      } else {
        inputs <- make_inputs(w, opts)
        inputs$fit <- strip_fit(inputs$fit)
        inputs
      }
    }
  )
}

runner <- function(x, n_threads) {
  if (x$kind == "large") {
    return(function() {
      covmash::mash(covmash::mash_set_data(x$Bhat, x$Shat), x$Ulist, verbose = FALSE, n_threads = n_threads)
    })
  }
  x <- set_data("covmash", x)
  switch(x$kind,
    steps = function() deconvolve(x$data, x$start, x$iterations, n_threads),
    "one scale" = function() {
      covmash::mash(x$data, x$Ulist, grid = 1, normalizeU = FALSE, verbose = FALSE, n_threads = n_threads)
    },
    function() run_side("covmash", x, n_threads)
  )
}

# Sums of what came out, to see that both builds did the same work.
sums_of <- function(value) {
  parts <- if (is.null(value$result)) value else c(value$result, value["loglik"])
  vapply(Filter(is.numeric, unclass(parts)), sum, 0)
}

# The first run, in which pages and functions come into memory, counts only where it takes very long; the next ones fill
# half a second.
timed_warm <- function(run, least) {
  first <- timed(run())
  if (first$seconds > 20) {
    return(first)
  }
  times <- ceiling(least / max(first$seconds, 0.005))
  taken <- timed(for (i in seq_len(times)) run())
  list(value = first$value, seconds = taken$seconds / times, cpu = taken$cpu / times)
}

run_in_child <- function(opts) {
  loadNamespace("covmash", lib.loc = opts$library)
  x <- readRDS(opts$inputs)
  run <- timed_warm(runner(x, opts$threads), opts$least)
  saveRDS(list(cpu = run$cpu, seconds = run$seconds, sums = sums_of(run$value)), opts$answer)
}

# ---- turns ------------------------------------------------------------------

# A fresh process that loads covmash from this library.
ask_build <- function(library, file, opts) {
  answer <- paste0(file, ".answer")
  on.exit(unlink(answer))
  run_script(c(
    "--child", paste0("--library=", library), paste0("--inputs=", file), paste0("--answer=", answer),
    paste0("--threads=", opts$threads), if (opts$quick) "--quick"
  ), list(mashr_threads = 1))
  if (!file.exists(answer)) {
    stop("The process with covmash from ", library, " failed.", call. = FALSE)
  }
  readRDS(answer)
}

compare_builds <- function(name, opts) {
  say("Workload ", name, ": data and matrices.")
  file <- tempfile(fileext = ".rds")
  on.exit(unlink(file))
  inputs <- inputs_of(name, opts)
  size <- dim(inputs$Bhat)
  saveRDS(inputs, file, compress = FALSE)
  rm(inputs)
  gc()
  runs <- if (!is.na(opts$runs)) opts$runs else if (name == "m10") 3 else 15
  builds <- c(new = opts$library, old = opts$against)
  answers <- list(new = list(), old = list())
  for (i in seq_len(runs)) {
    # The one that comes first changes, so that no build always follows the other.
    for (build in if (i %% 2 == 0) c("new", "old") else c("old", "new")) {
      answers[[build]] <- c(answers[[build]], list(ask_build(builds[[build]], file, opts)))
    }
  }
  summarise(name, size, runs, answers)
}

summarise <- function(name, size, runs, answers) {
  new <- middle(answers$new, "cpu")
  old <- middle(answers$old, "cpu")
  a <- answers$new[[1]]$sums
  b <- answers$old[[1]]$sums
  # A list that one of the builds does not return is not compared.
  both <- if (is.null(names(a))) seq_along(a) else intersect(names(a), names(b))
  quartiles <- function(x) {
    sprintf("%.4f - %.4f", stats::quantile(x, 0.25), stats::quantile(x, 0.75))
  }
  cpu <- lapply(answers, vapply, `[[`, 0, "cpu")
  row <- data.frame(
    workload = name, J = size[1], R = size[2], runs = runs, new_cpu = new, old_cpu = old, ratio = new / old,
    difference_ms = 1000 * (new - old), new_seconds = middle(answers$new), old_seconds = middle(answers$old),
    new_quartiles = quartiles(cpu$new), old_quartiles = quartiles(cpu$old),
    sums_difference = max(abs(a[both] - b[both]) / pmax(1, abs(b[both]))),
    goal = if (name %in% with_goal) sprintf("%.2f or %.0f ms", goal_ratio, 1000 * goal_seconds) else NA_character_
  )
  row$reached <- if (name %in% with_goal) row$ratio <= goal_ratio || new - old <= goal_seconds else NA
  say(sprintf("%s: %.4f s, %.4f s before, ratio %.3f.", name, new, old, row$ratio))
  row
}

page <- function(frame, opts) {
  c(
    report_head("This build against another one", opts, c(
      sprintf(
        "Fresh processes in turns, %d thread(s), the other build covmash %s; both with the matrices that it made.",
        opts$threads, utils::packageDescription("covmash", opts$against, "Version")
      ),
      "Medians of processor seconds; \"clock\": of seconds by the clock. No workload may take more than the goal says,",
      "in times of the other build or in ms more. \"sums\": largest relative difference of the sums of the results."
    ), utils::packageDescription("covmash", opts$library, "Version")),
    report_table("Processor seconds", frame, c(
      "workload" = "workload", "J" = "J", "R" = "R", "runs" = "runs", "this build" = "new_cpu:4",
      "the other" = "old_cpu:4", "ratio" = "ratio:3", "ms more" = "difference_ms:1", "goal" = "goal",
      "reached" = "reached", "quartiles, this" = "new_quartiles", "the other's" = "old_quartiles",
      "clock, this" = "new_seconds:4", "the other's" = "old_seconds:4", "sums" = "sums_difference:g"
    ))
  )
}

read_against_options <- function() {
  opts <- script_options(list(
    against = "", library = "", workloads = paste(with_goal, collapse = ","), threads = "1", child = "no", inputs = "",
    answer = ""
  ), runs = NA)
  # What workload() asks for: the seeds of house/cases.R, and no mashr.
  opts[c("seed_offset", "mashr_rows")] <- list(0, "auto")
  opts$threads <- whole_number(opts$threads, "threads", 1)
  opts$workloads <- strsplit(opts$workloads, ",", fixed = TRUE)[[1]]
  known <- c(with_goal, "patterns", "missing-entry", "many")
  if (!all(opts$workloads %in% known)) {
    stop("--workloads takes one or more of ", paste(known, collapse = ","), ".", call. = FALSE)
  }
  if (!nzchar(opts$library)) {
    opts$library <- dirname(find.package("covmash"))
  }
  if (opts$child == "no" && !dir.exists(file.path(opts$against, "covmash"))) {
    stop("--against takes the library that another build of covmash is installed in.", call. = FALSE)
  }
  opts$library <- normalizePath(opts$library)
  opts$against <- normalizePath(opts$against, mustWork = FALSE)
  opts
}

main <- function() {
  opts <- read_against_options()
  need_one_blas_thread()
  if (opts$child == "yes") {
    return(run_in_child(opts))
  }
  loadNamespace("covmash", lib.loc = opts$against)
  frame <- NULL
  for (name in opts$workloads) {
    frame <- rbind(frame, compare_builds(name, opts))
    # What is known so far: the last workload may take long.
    write_report("against", frame, page(frame, opts), opts)
  }
}

invisible(main())
