# covmash against mashr on all workloads: seconds, objective, accuracy and peak memory. bench/README.md says how to run
# this and how to read the result; the options are listed in house/options.R.
#
#   Rscript bench/bench.R [--workloads=a,b,...] [--quick] [--out=DIR] [...]

# Rscript writes a space in a path as ~+~.
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))
for (file in c(
  "workloads.R", "house/cases.R", "house/options.R", "house/processes.R", "house/data.R", "house/sides.R",
  "house/measuring.R", "house/comparing.R", "house/large.R", "house/writing.R"
)) {
  source(file.path(top, "bench", file))
}

# What is known is written after each workload: the last one may take long. One that fails does not stop the others.
run_all <- function(opts) {
  need_packages()
  failed <- Filter(function(name) {
    tryCatch(
      {
        write_results(run_workload(name, opts), opts)
        FALSE
      },
      error = function(e) {
        say("Workload ", name, " failed: ", conditionMessage(e))
        TRUE
      }
    )
  }, opts$workloads)
  if (file.exists(result_file(opts, ".md"))) {
    cat(readLines(result_file(opts, ".md")), sep = "\n")
    say("Written to ", result_file(opts, ".csv"), " and .md.")
  }
  if (length(failed)) {
    stop("Failed: ", paste(failed, collapse = ", "), ".", call. = FALSE)
  }
}

run_workload <- function(name, opts) {
  w <- workload(name, opts)
  say("Workload ", name, ": ", w$what, ", ", w$J, " x ", w$R, ", seed ", w$seed, ".")
  started <- proc.time()[["elapsed"]]
  row <- if (w$kind == "large") compare_large(w, opts) else compare_sides(w, opts)
  row$minutes <- (proc.time()[["elapsed"]] - started) / 60
  say(summary_line(row))
  row
}

main <- function() {
  args <- commandArgs(trailingOnly = TRUE)
  opts <- read_options(args)
  # mashr and the BLAS read the number of threads when their process starts: start again if it is not set.
  if (!identical(Sys.getenv("OMP_NUM_THREADS"), as.character(opts$mashr_threads))) {
    quit(status = run_script(args, opts))
  }
  choose_instructions(opts)
  if (nzchar(opts$child)) child(opts) else run_all(opts)
}

invisible(main())
