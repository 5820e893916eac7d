# cov_pca() alone on many effects: seconds on one thread and on two, memory beyond the data, and how far complete data
# are from svd(). Every measurement of memory is a process of its own. Writes pca.csv and pca.md.
#
#   Rscript bench/pca.R [--quick] [--out=DIR] [--runs=5]

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))
for (file in c(
  "workloads.R", "house/cases.R", "house/options.R", "house/processes.R", "house/data.R", "house/measuring.R",
  "house/writing.R", "house/report.R"
)) {
  source(file.path(top, "bench", file))
}

# In blocks, so that only the result takes memory.
simulate_pca <- function(w, missing, block = 50000) {
  Bhat <- matrix(0, w$J, w$R)
  for (from in seq(1, w$J, by = block)) {
    rows <- from:min(from + block - 1, w$J)
    part <- unname(simulate_effects(length(rows), w$R, w$seed + 1000 * (from - 1) / block, "one")$Bhat)
    part[stats::runif(length(part)) < missing] <- NA
    Bhat[rows, ] <- part
  }
  covmash::mash_set_data(Bhat, matrix(1, w$J, w$R))
}

# A build whose cov_pca() knows no threads uses one.
run_pca <- function(data, w, n_threads) {
  if ("n_threads" %in% names(formals(covmash::cov_pca))) {
    covmash::cov_pca(data, w$npc, n_threads = n_threads)
  } else {
    covmash::cov_pca(data, w$npc)
  }
}

from_svd <- function(data, Ulist, w) {
  axes <- svd(data$Bhat, nu = 0, nv = w$npc)
  expected <- lapply(seq_len(w$npc), function(k) tcrossprod(axes$v[, k]))
  total <- axes$v %*% (axes$d[seq_len(w$npc)]^2 / w$J * t(axes$v))
  largest <- function(x, y) max(abs(x - y)) / max(abs(y))
  max(mapply(largest, Ulist, c(expected, list(total))))
}

# In the process of its own: the peak of the first run, on two threads, from the moment the data are all there is.
measure_pca <- function(w, missing, opts) {
  loadNamespace("covmash")
  data <- simulate_pca(w, missing)
  was_reset <- reset_peak()
  before <- resident_mb()
  two <- run_pca(data, w, 2)
  added <- if (was_reset) peak_mb() - before else NA_real_
  turns <- in_turns(
    list(one = function() run_pca(data, w, 1), two = function() run_pca(data, w, 2)), opts$runs, opts$least
  )
  data.frame(
    data = if (missing > 0) sprintf("%.0f %% missing", 100 * missing) else "complete", J = w$J, R = w$R,
    seconds = turns$seconds[["one"]], seconds_2_threads = turns$seconds[["two"]], cpu_seconds = turns$cpu[["one"]],
    added_mb = added, data_mb = numbers_mb(unclass(data)[c("Bhat", "Shat")]),
    svd_difference = if (missing > 0) NA_real_ else from_svd(data, two, w),
    same_bits = identical(turns$values$one, turns$values$two)
  )
}

compare <- function(frame, w) {
  frame$goal_seconds <- w$goal_seconds
  frame$goal_mb <- w$goal_mb
  frame$goal_svd <- ifelse(is.na(frame$svd_difference), NA, w$goal_agreement)
  frame$reached <- frame$seconds_2_threads <= frame$goal_seconds & at_most(frame$added_mb, frame$goal_mb) &
    (is.na(frame$svd_difference) | frame$svd_difference <= w$goal_agreement)
  frame
}

page <- function(frame, w, opts) {
  c(
    report_head("Principal components of many effects", opts, c(
      sprintf(
        "`cov_pca(data, %d)`, %.0f x %d, seed %d. Seconds by the clock, medians of %d runs in turns; the memory is",
        w$npc, w$J, w$R, w$seed, opts$runs
      ),
      "what the run adds to that of the data, on two threads, MB of 10^6 bytes."
    )),
    report_table("Seconds and memory", frame, c(
      "data" = "data", "one thread" = "seconds:2", "two threads" = "seconds_2_threads:2", "goal" = "goal_seconds:0",
      "processor" = "cpu_seconds:2", "data, MB" = "data_mb:0", "added, MB" = "added_mb:0", "goal, MB" = "goal_mb:0",
      "relative difference from svd()" = "svd_difference:g", "goal of it" = "goal_svd:g",
      "same bits" = "same_bits", "reached" = "reached"
    ))
  )
}

main <- function() {
  need_covmash()
  opts <- script_options(list(child = "", answer = ""))
  need_one_blas_thread()
  w <- sizes_of("pca", opts$quick)
  if (nzchar(opts$child)) {
    saveRDS(measure_pca(w, as.numeric(opts$child), opts), opts$answer)
    return()
  }
  frame <- do.call(rbind, lapply(c(0, w$missing), function(missing) {
    say("cov_pca(), ", 100 * missing, " % missing.")
    answer <- tempfile(fileext = ".rds")
    on.exit(unlink(answer))
    args <- c(
      paste0("--child=", missing), paste0("--answer=", answer), paste0("--runs=", opts$runs), if (opts$quick) "--quick"
    )
    if (run_script(args, list(mashr_threads = 1)) != 0) {
      stop("The process of its own failed.", call. = FALSE)
    }
    readRDS(answer)
  }))
  frame <- compare(frame, w)
  write_report("pca", frame, page(frame, w, opts), opts)
}

invisible(main())
