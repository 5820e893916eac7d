# The command line.
#
#   --workloads=a,b     which ones (all; their order is that of the table)
#   --quick, --smoke    small sizes: does everything work? The figures say nothing about speed
#   --out=DIR           where results go: bench/results, or _build/bench with --quick
#   --runs=5            fits of covmash on one thread and on two; medians are reported
#   --mashr-runs=auto   runs of mashr: 3, but 1 where the first takes over a minute; or a number
#   --mashr-rows=auto   rows given to mashr where it takes over 10 minutes (house/cases.R); all, or a number
#   --mashr-threads=1   threads that mashr's OpenMP code may use
#   --seed-offset=0     added to the seeds: other data of the same kind
#   --memory=yes        measure the memory, each side in a process of its own (mashr runs once more)
#   --simd=             instruction set of covmash: baseline, avx2, avx512; the widest there is if not given
# The rest is for the processes that the script starts itself: --child, --inputs.

defaults <- list(
  workloads = "", out = "", mashr_runs = "auto", runs = "", seed_offset = "0", mashr_threads = "1", mashr_rows = "auto",
  memory = "yes", simd = "", quick = "no", child = "", inputs = ""
)

read_options <- function(args) {
  opts <- defaults
  for (arg in sub("^--smoke", "--quick", args)) {
    name <- gsub("-", "_", sub("^--([^=]*).*", "\\1", arg))
    if (!startsWith(arg, "--") || !name %in% names(defaults)) {
      stop("There is no option '", arg, "'; bench/house/options.R lists all.", call. = FALSE)
    }
    opts[[name]] <- if (grepl("=", arg, fixed = TRUE)) sub("^[^=]*=", "", arg) else "yes"
  }
  for (name in c("memory", "quick")) {
    opts[[name]] <- yes_or_no(opts[[name]], name)
  }
  if (!nzchar(opts$runs)) {
    opts$runs <- if (opts$quick) "2" else "5"
  }
  for (name in c("runs", "seed_offset", "mashr_threads")) {
    opts[[name]] <- whole_number(opts[[name]], name, if (name == "seed_offset") 0 else 1)
  }
  if (opts$mashr_runs != "auto") {
    opts$mashr_runs <- as.character(whole_number(opts$mashr_runs, "mashr_runs", 1))
  } else if (opts$quick) {
    opts$mashr_runs <- "1"
  }
  if (!opts$mashr_rows %in% c("auto", "all")) {
    whole_number(opts$mashr_rows, "mashr_rows", 10)
  }
  opts$workloads <- if (nzchar(opts$workloads)) strsplit(opts$workloads, ",", fixed = TRUE)[[1]] else names(workloads)
  if (length(opts$workloads) == 0 || !all(opts$workloads %in% names(workloads))) {
    stop("--workloads takes one or more of ", paste(names(workloads), collapse = ","), ".", call. = FALSE)
  }
  if (!nzchar(opts$out)) {
    opts$out <- if (opts$quick) file.path(top, "_build", "bench") else file.path(top, "bench", "results")
  }
  opts
}

option_name <- function(name) paste0("--", gsub("_", "-", name))

whole_number <- function(x, name, lowest) {
  number <- suppressWarnings(as.integer(x))
  if (is.na(number) || number < lowest) {
    stop(option_name(name), " takes a whole number of at least ", lowest, ", not '", x, "'.", call. = FALSE)
  }
  number
}

yes_or_no <- function(x, name) {
  if (!x %in% c("yes", "no")) {
    stop(option_name(name), " takes yes or no, not '", x, "'.", call. = FALSE)
  }
  x == "yes"
}

choose_instructions <- function(opts) {
  if (nzchar(opts$simd) && requireNamespace("covmash", quietly = TRUE)) {
    covmash:::cpp_set_simd(opts$simd)
  }
}
