# mash() of covmash against mashr::mash(): seconds, objective, agreement and peak memory. bench/README.md says how to
# read the result.
#
#   Rscript bench/mash-against-mashr.R [--workloads=b,c] [--out=DIR] [--mashr-runs=1] [--runs=5] [--seed-offset=0]
#                                      [--mashr-threads=1] [--memory=yes] [--extra] [--smoke]

# Rscript writes a space in a path as ~+~.
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
source(file.path(dirname(script), "workloads.R"))

# `strong`: how many of the significant rows the data-driven matrices are made of.
workloads <- list(
  b = list(J = 20000, R = 5, shat = "varying", seed = 102, strong = Inf, keep_pca = FALSE),
  c = list(J = 20000, R = 44, shat = "one", seed = 103, strong = 2000, keep_pca = TRUE)
)

# ---- options ----------------------------------------------------------------

defaults <- list(
  workloads = "b,c", out = "", mashr_runs = "1", runs = "5", seed_offset = "0", mashr_threads = "1", memory = "yes",
  extra = "no", smoke = "no", child = "", fit = "no", matrices = ""
)

read_options <- function(args) {
  opts <- defaults
  for (arg in args) {
    name <- gsub("-", "_", sub("^--([^=]*).*", "\\1", arg))
    if (!startsWith(arg, "--") || !name %in% names(defaults)) {
      stop("There is no option '", arg, "'; the head of ", script, " lists all.", call. = FALSE)
    }
    opts[[name]] <- if (grepl("=", arg, fixed = TRUE)) sub("^[^=]*=", "", arg) else "yes"
  }
  for (name in c("mashr_runs", "runs", "seed_offset", "mashr_threads")) {
    opts[[name]] <- whole_number(opts[[name]], name, if (name == "seed_offset") 0 else 1)
  }
  for (name in c("memory", "extra", "smoke", "fit")) {
    opts[[name]] <- yes_or_no(opts[[name]], name)
  }
  opts$workloads <- strsplit(opts$workloads, ",", fixed = TRUE)[[1]]
  if (length(opts$workloads) == 0 || !all(opts$workloads %in% names(workloads))) {
    stop("--workloads takes one or more of ", paste(names(workloads), collapse = ","), ".", call. = FALSE)
  }
  if (!nzchar(opts$out)) {
    top <- dirname(dirname(script))
    opts$out <- if (opts$smoke) file.path(top, "_build", "bench") else file.path(top, "bench", "results")
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

# ---- processes --------------------------------------------------------------

run_script <- function(args, env = character(), ...) {
  system2(file.path(R.home("bin"), "Rscript"), c(shQuote(script), shQuote(args)), env = env, ...)
}

# mashr and the BLAS read the number of threads when their process starts, not later.
thread_settings <- function(n) {
  c(
    paste0(c("OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS=", "MKL_NUM_THREADS="), c(n, 1, 1)),
    paste0("R_LIBS=", shQuote(paste(.libPaths(), collapse = .Platform$path.sep)))
  )
}

need_packages <- function() {
  if (!requireNamespace("covmash", quietly = TRUE)) {
    stop("covmash is not installed; run `make install` first.", call. = FALSE)
  }
  if (!requireNamespace("mashr", quietly = TRUE)) {
    stop(
      "mashr is not installed, and this script compares with it. In R: install.packages(\"mashr\"). It needs the GNU ",
      "scientific library (Debian: libgsl-dev). covmash itself does not need mashr.", call. = FALSE
    )
  }
}

# ---- data and matrices ------------------------------------------------------

workload <- function(name, opts) {
  w <- workloads[[name]]
  w$seed <- w$seed + opts$seed_offset
  if (opts$smoke) {
    w$J <- 1000
    w$R <- min(w$R, 6)
    w$strong <- 100
  }
  w
}

simulate_workload <- function(w) simulate_effects(w$J, w$R, w$seed, w$shat)[c("Bhat", "Shat")]

make_matrices <- function(data, w) {
  found <- covmash::get_significant_results(covmash::mash_1by1(data))
  strong <- found[seq_len(min(length(found), w$strong))]
  start <- covmash::cov_pca(data, npc = 5, subset = strong)
  Ulist <- c(
    covmash::cov_canonical(data), if (w$keep_pca) start, covmash::cov_ed(data, start, subset = strong)
  )
  list(Ulist = Ulist, start = start, strong = strong)
}

must_agree <- function(ours, theirs, what) {
  if (!isTRUE(all.equal(ours, theirs, tolerance = 1e-12, check.attributes = FALSE))) {
    stop("The two packages do not have the same ", what, "; the comparison would not be fair.", call. = FALSE)
  }
}

# ---- time -------------------------------------------------------------------

fit_covmash <- function(data, Ulist, n_threads) {
  covmash::mash(data, Ulist, verbose = FALSE, n_threads = n_threads)
}

fit_mashr <- function(data, Ulist) mashr::mash(data, Ulist, verbose = FALSE)

# The value of an expression, its seconds, and the processor seconds it used; others' work on a busy machine shows as
# a difference between the two.
timed <- function(expr) {
  taken <- system.time(value <- expr)
  list(value = value, seconds = taken[["elapsed"]], cpu = taken[["user.self"]] + taken[["sys.self"]])
}

middle <- function(runs, what = "seconds") stats::median(vapply(runs, `[[`, 0, what))

# Turns: covmash on one thread, mashr, covmash on two threads. Only the last fit of each is kept.
take_turns <- function(ours, theirs, Ulist, opts) {
  one <- two <- peer <- list()
  for (i in seq_len(max(opts$runs, opts$mashr_runs))) {
    if (i <= opts$runs) {
      one <- c(forget(one), list(timed(fit_covmash(ours, Ulist, 1))))
    }
    if (i <= opts$mashr_runs) {
      peer <- c(forget(peer), list(timed(fit_mashr(theirs, Ulist))))
    }
    if (i <= opts$runs) {
      two <- c(forget(two), list(timed(fit_covmash(ours, Ulist, 2))))
    }
  }
  list(one = one, two = two, peer = peer)
}

forget <- function(runs) lapply(runs, `[`, c("seconds", "cpu"))

last_fit <- function(runs) runs[[length(runs)]]$value

compare_times <- function(turns) {
  one <- last_fit(turns$one)
  two <- last_fit(turns$two)
  data.frame(
    covmash_seconds = middle(turns$one), covmash_cpu_seconds = middle(turns$one, "cpu"),
    covmash_2_threads_seconds = middle(turns$two),
    mashr_seconds = middle(turns$peer), mashr_cpu_seconds = middle(turns$peer, "cpu"),
    ratio = middle(turns$peer) / middle(turns$one), ratio_2_threads = middle(turns$peer) / middle(turns$two),
    same_bits_2_threads = identical(one$fitted_g, two$fitted_g) && identical(one$result, two$result)
  )
}

# ---- objective --------------------------------------------------------------

# One ruler for both: covmash's log-likelihood in double precision, at weights that sum to one exactly.
measure <- function(fit, data) {
  g <- fit$fitted_g
  g$pi <- g$pi / sum(g$pi)
  loglik <- covmash::mash(data, g = g, fixg = TRUE, outputlevel = 1, verbose = FALSE, n_threads = 1)$loglik
  c(loglik = loglik, objective = loglik + 9 * log(g$pi[[1]]))
}

compare_objectives <- function(one, peer, data) {
  ours <- measure(one, data)
  theirs <- measure(peer, data)
  data.frame(
    covmash_loglik = ours[["loglik"]], mashr_loglik = theirs[["loglik"]],
    covmash_objective = ours[["objective"]], mashr_objective = theirs[["objective"]],
    objective_gain = ours[["objective"]] - theirs[["objective"]],
    covmash_kkt_violation = one$convergence$kkt_violation, covmash_iterations = one$convergence$iterations
  )
}

# ---- agreement --------------------------------------------------------------

largest_difference <- function(x, y) max(abs(x - y))

# The weights of covmash given to both: what is left is the difference of likelihood and posterior.
compare_posteriors <- function(g, ours, theirs) {
  a <- covmash::mash(ours, g = g, fixg = TRUE, verbose = FALSE, n_threads = 1)
  b <- mashr::mash(theirs, g = g, fixg = TRUE, verbose = FALSE)
  difference <- function(what) largest_difference(a$result[[what]], b$result[[what]])
  data.frame(
    loglik_difference = abs(a$loglik - b$loglik), mean_difference = difference("PosteriorMean"),
    sd_difference = difference("PosteriorSD"), lfsr_difference = difference("lfsr")
  )
}

# ---- memory -----------------------------------------------------------------

# The peak of a process that loads one package, makes the data, reads the matrices and fits once, or does not fit.
peak_memory <- function(package, fit, name, matrices, opts) {
  args <- c(
    paste0("--child=", package), paste0("--fit=", if (fit) "yes" else "no"), paste0("--workloads=", name),
    paste0("--matrices=", matrices), paste0("--seed-offset=", opts$seed_offset), if (opts$smoke) "--smoke"
  )
  answer <- run_script(args, thread_settings(opts$mashr_threads), stdout = TRUE)
  line <- grep("^peak_kb=", answer, value = TRUE)
  if (length(line) != 1) {
    stop("The process that measures the memory of ", package, " failed.", call. = FALSE)
  }
  as.numeric(sub("^peak_kb=", "", line)) / 1024
}

child <- function(opts) {
  w <- workload(opts$workloads, opts)
  package <- asNamespace(opts$child)
  sim <- simulate_workload(w)
  data <- package$mash_set_data(sim$Bhat, sim$Shat)
  rm(sim)
  Ulist <- readRDS(opts$matrices)
  if (opts$fit) {
    fit <- if (opts$child == "covmash") fit_covmash(data, Ulist, 1) else fit_mashr(data, Ulist)
  }
  cat("peak_kb=", peak_kb(), "\n", sep = "")
}

# Linux keeps the peak of the resident memory; elsewhere the column stays empty.
peak_kb <- function() {
  if (!file.exists("/proc/self/status")) {
    return(NA)
  }
  line <- grep("^VmHWM:", readLines("/proc/self/status"), value = TRUE)
  if (length(line) == 1) as.numeric(gsub("[^0-9]", "", line)) else NA
}

compare_memory <- function(name, Ulist, opts) {
  matrices <- tempfile(fileext = ".rds")
  on.exit(unlink(matrices))
  saveRDS(Ulist, matrices)
  peak <- function(package, fit) peak_memory(package, fit, name, matrices, opts)
  result <- data.frame(
    covmash_mb = peak("covmash", TRUE), covmash_without_fit_mb = peak("covmash", FALSE),
    mashr_mb = peak("mashr", TRUE), mashr_without_fit_mb = peak("mashr", FALSE)
  )
  transform(
    result, memory_ratio = covmash_mb / mashr_mb, covmash_fit_mb = covmash_mb - covmash_without_fit_mb,
    mashr_fit_mb = mashr_mb - mashr_without_fit_mb
  )
}

# ---- for information: the steps before the fit ------------------------------

compare_extra <- function(ours, theirs, made) {
  one_a <- timed(covmash::mash_1by1(ours, n_threads = 1))
  one_b <- timed(mashr::mash_1by1(theirs))
  ed_a <- timed(covmash::cov_ed(ours, made$start, subset = made$strong, n_threads = 1))
  ed_b <- timed(mashr::cov_ed(theirs, made$start, subset = made$strong))
  data.frame(
    covmash_1by1_seconds = one_a$seconds, mashr_1by1_seconds = one_b$seconds,
    ratio_1by1 = one_b$seconds / one_a$seconds,
    lfsr_1by1_difference = largest_difference(one_a$value$result$lfsr, one_b$value$result$lfsr),
    covmash_ed_seconds = ed_a$seconds, mashr_ed_seconds = ed_b$seconds, ratio_ed = ed_b$seconds / ed_a$seconds,
    ed_difference = largest_difference(unlist(ed_a$value), unlist(ed_b$value))
  )
}

# ---- one workload -----------------------------------------------------------

run_workload <- function(name, opts) {
  w <- workload(name, opts)
  say("Workload ", name, ": ", w$J, " x ", w$R, ", seed ", w$seed, ". Data and matrices.")
  sim <- simulate_workload(w)
  ours <- covmash::mash_set_data(sim$Bhat, sim$Shat)
  theirs <- mashr::mash_set_data(sim$Bhat, sim$Shat)
  must_agree(ours$Bhat, theirs$Bhat, "Bhat")
  must_agree(ours$Shat, theirs$Shat, "Shat")
  made <- make_matrices(ours, w)

  say("Fits: covmash ", opts$runs, " times on one thread and on two, mashr ", opts$mashr_runs, " time(s).")
  turns <- take_turns(ours, theirs, made$Ulist, opts)
  one <- last_fit(turns$one)
  peer <- last_fit(turns$peer)
  must_agree(one$fitted_g$grid, peer$fitted_g$grid, "grid")
  must_agree(one$fitted_g$Ulist, peer$fitted_g$Ulist, "matrices")
  times <- compare_times(turns)
  say(sprintf("covmash %.3f s, mashr %.2f s, ratio %.0f.", times$covmash_seconds, times$mashr_seconds, times$ratio))

  parts <- list(
    describe_run(name, w, made, one, opts), times, compare_objectives(one, peer, ours),
    compare_posteriors(one$fitted_g, ours, theirs)
  )
  rm(turns, one, peer)
  if (opts$memory) {
    say("Memory: each side in a process of its own, with the fit and without.")
    parts <- c(parts, list(compare_memory(name, made$Ulist, opts)))
  }
  if (opts$extra) {
    say("For information: mash_1by1() and cov_ed().")
    parts <- c(parts, list(compare_extra(ours, theirs, made)))
  }
  do.call(cbind, parts)
}

describe_run <- function(name, w, made, fit, opts) {
  info <- covmash::covmash_info()
  data.frame(
    workload = name, J = w$J, R = w$R, shat = w$shat, seed = w$seed, matrices = length(made$Ulist),
    components = length(fit$fitted_g$pi), strong_rows = length(made$strong), runs = opts$runs,
    mashr_runs = opts$mashr_runs, mashr_threads = opts$mashr_threads, instruction_set = info$simd,
    processor = processor(), cores = parallel::detectCores(), r = info$r, blas = basename(info$blas),
    covmash = info$version, mashr = unname(getNamespaceVersion("mashr")), date = format(Sys.Date())
  )
}

processor <- function() {
  if (!file.exists("/proc/cpuinfo")) {
    return(Sys.info()[["machine"]])
  }
  line <- grep("^model name", readLines("/proc/cpuinfo"), value = TRUE)
  if (length(line)) sub("^[^:]*: *", "", line[1]) else Sys.info()[["machine"]]
}

say <- function(...) message(format(Sys.time(), "%H:%M:%S "), ...)

# ---- tables -----------------------------------------------------------------

# A name with digits is shown with so many after the point; "g" is for numbers of any size.
tables <- list(
  "Seconds" = c(
    "components" = "components", "covmash, 1 thread" = "covmash_seconds:3",
    "covmash, processor" = "covmash_cpu_seconds:3", "covmash, 2 threads" = "covmash_2_threads_seconds:3",
    "mashr" = "mashr_seconds:2", "mashr, processor" = "mashr_cpu_seconds:2", "mashr / covmash, 1 thread" = "ratio:0",
    "mashr / covmash, 2 threads" = "ratio_2_threads:0", "same bits" = "same_bits_2_threads"
  ),
  "Objective (log-likelihood + 9 log pi_0), both computed by covmash" = c(
    "log-likelihood, covmash" = "covmash_loglik:4", "log-likelihood, mashr" = "mashr_loglik:4",
    "objective, covmash" = "covmash_objective:4", "objective, mashr" = "mashr_objective:4",
    "covmash - mashr" = "objective_gain:g", "KKT violation, covmash" = "covmash_kkt_violation:g",
    "iterations, covmash" = "covmash_iterations"
  ),
  "Largest differences with the same weights (those of covmash)" = c(
    "log-likelihood" = "loglik_difference:g", "posterior mean" = "mean_difference:g",
    "posterior sd" = "sd_difference:g", "lfsr" = "lfsr_difference:g"
  ),
  "Peak memory of a process of its own, MB" = c(
    "covmash" = "covmash_mb:0", "mashr" = "mashr_mb:0", "covmash / mashr" = "memory_ratio:2",
    "covmash, no fit" = "covmash_without_fit_mb:0", "mashr, no fit" = "mashr_without_fit_mb:0",
    "covmash, the fit's part" = "covmash_fit_mb:0", "mashr, the fit's part" = "mashr_fit_mb:0"
  ),
  "For information: the steps before the fit, seconds, 1 thread" = c(
    "mash_1by1, covmash" = "covmash_1by1_seconds:3", "mash_1by1, mashr" = "mashr_1by1_seconds:2",
    "mash_1by1, ratio" = "ratio_1by1:0", "mash_1by1, largest difference of lfsr" = "lfsr_1by1_difference:g",
    "cov_ed, covmash" = "covmash_ed_seconds:3", "cov_ed, mashr" = "mashr_ed_seconds:2", "cov_ed, ratio" = "ratio_ed:0",
    "cov_ed, largest difference of a matrix" = "ed_difference:g"
  )
)

show_number <- function(x, digits) {
  if (is.logical(x)) {
    return(ifelse(is.na(x), "-", ifelse(x, "yes", "no")))
  }
  shown <- switch(digits,
    g = format_each(x, "%.2g"),
    format_each(x, paste0("%.", if (nzchar(digits)) digits else "0", "f"))
  )
  ifelse(is.na(x), "-", shown)
}

format_each <- function(x, format) vapply(x, function(value) sprintf(format, value), "")

markdown_table <- function(title, columns, results) {
  source <- sub(":.*", "", columns)
  digits <- ifelse(grepl(":", columns, fixed = TRUE), sub(".*:", "", columns), "")
  if (!all(source %in% names(results))) {
    return(character())
  }
  cells <- Map(function(name, digit) show_number(results[[name]], digit), source, digits)
  label <- sprintf("%s: %d x %d, Shat %s", results$workload, results$J, results$R, results$shat)
  row <- function(x) paste0("| ", paste(x, collapse = " | "), " |")
  body <- vapply(seq_along(label), function(i) row(c(label[i], vapply(cells, `[`, "", i))), "")
  c(
    paste("##", title), "", row(c("workload", names(columns))),
    row(c("---", rep("---:", length(columns)))), body, ""
  )
}

markdown <- function(results, opts) {
  first <- results[1, ]
  c(
    "# mash() of covmash against mashr", "",
    if (opts$smoke) c("**Smoke run on small data: the figures say nothing about speed.**", ""),
    sprintf(
      "covmash %s, instruction set **%s**; mashr %s on %d thread(s); %s, BLAS %s; %s, %d cores; %s.",
      first$covmash, first$instruction_set, first$mashr, first$mashr_threads, first$r, first$blas, first$processor,
      first$cores, first$date
    ),
    sprintf("Medians of %d runs of covmash, %d of mashr, in turns in one process.", first$runs, first$mashr_runs),
    paste0("Seeds: ", paste0(results$workload, " ", results$seed, collapse = ", "), "."), "",
    unlist(Map(markdown_table, names(tables), tables, list(results)), use.names = FALSE)
  )
}

write_results <- function(results, opts) {
  dir.create(opts$out, recursive = TRUE, showWarnings = FALSE)
  file <- file.path(opts$out, "mash-against-mashr")
  utils::write.csv(results, paste0(file, ".csv"), row.names = FALSE)
  writeLines(markdown(results, opts), paste0(file, ".md"))
}

# ---- run --------------------------------------------------------------------

# After each workload what is known is written: the last one may take long.
compare <- function(opts) {
  need_packages()
  results <- NULL
  for (name in opts$workloads) {
    results <- rbind(results, run_workload(name, opts))
    write_results(results, opts)
  }
  cat(markdown(results, opts), sep = "\n")
  say("Written to ", file.path(opts$out, "mash-against-mashr.csv"), " and .md.")
}

main <- function() {
  args <- commandArgs(trailingOnly = TRUE)
  opts <- read_options(args)
  if (nzchar(opts$child)) {
    return(child(opts))
  }
  # Start again with the threads set, if they are not.
  if (!identical(Sys.getenv("OMP_NUM_THREADS"), as.character(opts$mashr_threads))) {
    quit(status = run_script(args, thread_settings(opts$mashr_threads)))
  }
  compare(opts)
}

invisible(main())
