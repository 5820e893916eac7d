# The workloads: what is run, on which data, and the goal, a ratio of seconds (mashr / covmash on one thread) unless it
# is given in seconds and MB. Goals hold where AVX-512 runs.
#
# strong            how many of the significant rows the data-driven matrices are made of
# keep_pca          the PCA matrices themselves are kept beside the deconvolved ones
# matrices_of       the matrices are made from the data of another workload
# mashr_rows        mashr gets so many rows and its time is scaled (--mashr-rows=all: all of them)
# agreement_rows    rows for the posteriors with the same weights, which mashr computes once more
# plain_rows        rows compared with the model in plain R
# quick             sizes for --quick
workloads <- list(
  a = list(
    kind = "mash", what = "mash()", J = 2000, R = 5, shat = "one", seed = 101, strong = Inf, keep_pca = FALSE,
    goal_ratio = 150, plain_rows = 50, quick = list(J = 500)
  ),
  b = list(
    kind = "mash", what = "mash()", J = 20000, R = 5, shat = "varying", seed = 102, strong = Inf, keep_pca = FALSE,
    goal_ratio = 200, plain_rows = 50, quick = list(J = 800)
  ),
  c = list(
    kind = "mash", what = "mash()", J = 20000, R = 44, shat = "one", seed = 103, strong = 2000, keep_pca = TRUE,
    goal_ratio = 1000, mashr_rows = 5000, agreement_rows = 2000, plain_rows = 50,
    quick = list(J = 1000, R = 6, strong = 100, mashr_rows = 100, agreement_rows = 50)
  ),
  d = list(
    kind = "mash", what = "mash()", J = 5000, R = 44, shat = "varying", seed = 104, strong = 2000, keep_pca = TRUE,
    matrices_of = "c", goal_ratio = 1000, mashr_rows = 2000, agreement_rows = 500, plain_rows = 20,
    quick = list(J = 300, R = 6, strong = 100, mashr_rows = 60, agreement_rows = 50)
  ),
  h = list(
    kind = "posterior", what = "mash_compute_posterior_matrices()", J = 50000, R = 5, shat = "varying", seed = 107,
    strong = Inf, keep_pca = FALSE, fit_rows = 5000, goal_ratio = 150, plain_rows = 50,
    quick = list(J = 2000, fit_rows = 500)
  ),
  "1by1" = list(
    kind = "onebyone", what = "mash_1by1()", J = 20000, R = 44, shat = "one", seed = 103, goal_ratio = 100,
    plain_rows = 50, quick = list(J = 500, R = 4)
  ),
  e = list(
    kind = "deconvolution", what = "cov_ed(), 6 matrices", J = 20000, R = 44, shat = "one", seed = 103, strong = 2000,
    goal_ratio = 300, plain_rows = 50, quick = list(J = 1000, R = 6, strong = 200)
  ),
  m1 = list(
    kind = "large", what = "mash_set_data() and mash()", J = 1e6, R = 5, shat = "one", seed = 108, strong = 2000,
    goal_seconds = 4, goal_mb = 2000, goal_memory = "whole process", mashr_rows = 20000, agreement_rows = 20000,
    plain_rows = 50, quick = list(J = 20000, mashr_rows = 200, agreement_rows = 200)
  ),
  m10 = list(
    kind = "large", what = "mash_set_data() and mash()", J = 1e7, R = 5, shat = "one", seed = 109, strong = 2000,
    goal_seconds = 60, goal_mb = 3000, goal_memory = "beyond input and results", mashr_rows = 20000,
    agreement_rows = 20000, plain_rows = 50, quick = list(J = 50000, mashr_rows = 200, agreement_rows = 200)
  )
)

# Workloads that compare covmash with itself, or mashr where that is said, each with a script of its own: their sizes,
# here and with --quick. Goals are ratios of times in one process, whatever the instruction set, if not said otherwise.
own_scripts <- list(
  patterns = list(
    J = 6400, R = 44, seed = 110, patterns = c(0, 100, 200, 400, 1000), goal_patterns = 200, missing = 5,
    full_rank = 10, goal_ratio = 3, goal_full_rank = 8,
    quick = list(J = 320, R = 6, patterns = c(0, 5, 10), goal_patterns = 10, missing = 2, full_rank = 3)
  ),
  groups = list(
    J = 6400, R = c(8, 20, 44), seed = 110, sizes = c(1, 8, 16, 31, 32, 33, 64, 128, 256), full_rank = 10,
    goal_step = 1.2,
    quick = list(J = 320, R = c(4, 8), sizes = c(1, 8, 32), full_rank = 3)
  ),
  many = list(
    scales = c(6, 11, 22), random = 1189, small_J = 400, small = c(301, 501, 722, 1500), seed = 111,
    goal_seconds = c("54 x 22" = 2, "1500" = 0.5), goal_to_grid = 2, goal_ratio = c("1189" = 6), goal_kkt = 1e-8,
    quick = list(scales = 2, random = 20, small_J = 100, small = 30)
  ),
  deconvolution = list(
    J = 20000, R = 44, seed = 103, strong = 2000, npc = 5, iterations = 50, patterns = 60, missing = 5,
    pattern_seed = 112, goal_ratio = c(NA, 1.5, 1.5, 1.5, 5), goal_two_threads = 1.6,
    quick = list(J = 1000, R = 6, strong = 200, iterations = 5, patterns = 6, missing = 2)
  ),
  pca = list(
    J = 1e6, R = 50, seed = 113, npc = 5, missing = 0.05, goal_seconds = 3, goal_mb = 200, goal_agreement = 1e-10,
    quick = list(J = 5000, R = 8)
  )
)

sizes_of <- function(name, quick) {
  w <- own_scripts[[name]]
  if (quick) {
    w[names(w$quick)] <- w$quick
  }
  w
}

# Half of the speed on AVX2, a quarter on the baseline.
goal_share <- function(simd) switch(simd, avx512 = 1, avx2 = 0.5, 0.25)

workload <- function(name, opts) {
  w <- workloads[[name]]
  w$name <- name
  w$seed <- w$seed + opts$seed_offset
  if (opts$quick) {
    w[names(w$quick)] <- w$quick
  }
  w$mashr_rows <- rows_for_mashr(w, opts)
  w
}

# The large workloads stay scaled: whole, mashr would need more memory than there is.
rows_for_mashr <- function(w, opts) {
  rows <- if (is.null(w$mashr_rows)) w$J else w$mashr_rows
  if (opts$mashr_rows == "all" && w$kind != "large") {
    rows <- w$J
  } else if (!opts$mashr_rows %in% c("auto", "all") && w$kind %in% c("mash", "large")) {
    rows <- as.numeric(opts$mashr_rows)
  }
  min(rows, w$J)
}
