# Data and covariance matrices, made once by covmash and given to both sides.

simulate_workload <- function(w) simulate_effects(w$J, w$R, w$seed, w$shat)[c("Bhat", "Shat")]

# At 10 million rows block by block, so that only the result takes memory, and without names, which would cost more than
# the numbers.
simulate_large <- function(w, block = 250000) {
  if (w$J <= 2e6) {
    return(simulate_workload(w))
  }
  Bhat <- matrix(0, w$J, w$R)
  Shat <- matrix(1, w$J, w$R)
  for (from in seq(1, w$J, by = block)) {
    rows <- from:min(from + block - 1, w$J)
    Bhat[rows, ] <- simulate_effects(length(rows), w$R, w$seed + 1000 * (from - 1) / block, "one")$Bhat
  }
  list(Bhat = Bhat, Shat = Shat)
}

strong_rows <- function(data, w) {
  found <- covmash::get_significant_results(covmash::mash_1by1(data, n_threads = 1))
  found[seq_len(min(length(found), w$strong))]
}

make_matrices <- function(data, w, npc = 5) {
  strong <- strong_rows(data, w)
  start <- covmash::cov_pca(data, npc = npc, subset = strong)
  deconvolved <- covmash::cov_ed(data, start, subset = strong, n_threads = 1)
  c(covmash::cov_canonical(data), if (isTRUE(w$keep_pca)) start, deconvolved)
}

# Everything that a task of that kind is given, except the data objects of the two packages.
make_inputs <- function(w, opts) {
  sim <- simulate_workload(w)
  data <- covmash::mash_set_data(sim$Bhat, sim$Shat)
  inputs <- list(kind = w$kind, Bhat = sim$Bhat, Shat = sim$Shat)
  switch(w$kind,
    mash = {
      other <- if (is.null(w$matrices_of)) data else matrices_data(w$matrices_of, opts)
      inputs$Ulist <- make_matrices(other, w)
    },
    posterior = {
      part <- data[seq_len(w$fit_rows), ]
      inputs$fit <- covmash::mash(part, make_matrices(part, w), verbose = FALSE, n_threads = 1)
    },
    deconvolution = {
      inputs$strong <- strong_rows(data, w)
      inputs$start <- covmash::cov_pca(data, npc = 5, subset = inputs$strong)
    }
  )
  inputs
}

matrices_data <- function(name, opts) {
  sim <- simulate_workload(workload(name, opts))
  covmash::mash_set_data(sim$Bhat, sim$Shat)
}

# The first rows only. Both sides then get the grid of all rows, so that the components stay those of the whole.
first_rows <- function(inputs, n) {
  if (n == nrow(inputs$Bhat)) {
    return(inputs)
  }
  if (is.null(inputs$grid)) {
    inputs$grid <- covmash:::autoselect_grid(covmash::mash_set_data(inputs$Bhat, inputs$Shat), sqrt(2))
  }
  inputs$Bhat <- inputs$Bhat[seq_len(n), , drop = FALSE]
  inputs$Shat <- inputs$Shat[seq_len(n), , drop = FALSE]
  inputs
}

must_agree <- function(ours, theirs, what) {
  if (!isTRUE(all.equal(ours, theirs, tolerance = 1e-12, check.attributes = FALSE))) {
    stop("The two packages do not have the same ", what, "; the comparison would not be fair.", call. = FALSE)
  }
}

# ---- the workloads of a script of their own ---------------------------------

named_covariances <- function(Ulist, prefix = "random_") {
  stats::setNames(Ulist, paste0(prefix, seq_along(Ulist)))
}

# Complete data for 0 patterns.
patterns_data <- function(sim, n_patterns, w) {
  Bhat <- if (n_patterns > 0) missing_patterns(sim$Bhat, n_patterns, w$missing, w$seed) else sim$Bhat
  covmash::mash_set_data(Bhat, sim$Shat)
}

# Canonical matrices, low-rank but for five, and some of full rank.
patterns_matrices <- function(data, w) {
  c(covmash::cov_canonical(data), named_covariances(random_covariances(w$full_rank, ncol(data$Bhat), 110)))
}

# Full rank, where sharing a decomposition matters most; and what every list has.
full_rank_matrices <- function(data, w) {
  canonical <- c("identity", "equal_effects", "simple_het")
  c(
    covmash::cov_canonical(data, cov_methods = canonical),
    named_covariances(random_covariances(w$full_rank, ncol(data$Bhat), 113))
  )
}

# The same effects, `size` neighbours with one row of Shat of their own; one Shat for all if the size is Inf.
grouped_data <- function(sim, size) {
  if (is.infinite(size)) {
    return(covmash::mash_set_data(sim$Bhat, sim$Shat))
  }
  J <- nrow(sim$B)
  R <- ncol(sim$B)
  group <- ceiling(seq_len(J) / size)
  set.seed(1)
  Shat <- matrix(stats::runif(max(group) * R, 0.5, 1.5), ncol = R)[group, , drop = FALSE]
  covmash::mash_set_data(sim$B + Shat * (sim$Bhat - sim$B), Shat)
}

# Real z-scores and as many null ones.
real_and_null <- function() {
  z <- covmash::gtex_z
  set.seed(1)
  null <- matrix(stats::rnorm(length(z)), nrow(z), dimnames = list(paste0("null_", seq_len(nrow(z))), NULL))
  covmash::mash_set_data(rbind(z, null))
}

real_matrices <- function(data) {
  c(covmash::cov_canonical(data), covmash::cov_pca(data, 4, subset = seq_len(nrow(data$Bhat) / 2)))
}

# w U for every matrix and scale, as a list of matrices.
scaled_matrices <- function(Ulist, scales) {
  wU <- unlist(lapply(scales, function(w) lapply(unname(Ulist), `*`, w)), recursive = FALSE)
  stats::setNames(wU, paste0(rep(names(Ulist), length(scales)), "_", rep(seq_along(scales), each = length(Ulist))))
}

many_scales <- function(n) 2^seq(-4, 6, length.out = n)

# The strong rows of workload c, the matrices to start from, and other noise for some or all of these rows.
deconvolution_data <- function(w) {
  sim <- simulate_effects(w$J, w$R, w$seed, "one")
  data <- covmash::mash_set_data(sim$Bhat, sim$Shat)
  strong <- strong_rows(data, w)
  list(Bhat = sim$Bhat[strong, ], Shat = sim$Shat[strong, ], start = covmash::cov_pca(data, w$npc, subset = strong))
}

deconvolution_cases <- function(x, w) {
  one_missing <- replace(x$Bhat, 1, NA)
  odd_row <- x$Shat
  odd_row[1, ] <- odd_row[1, ] * (1 + 1e-7)
  patterns <- missing_patterns(x$Bhat, w$patterns, w$missing, w$pattern_seed)
  set <- covmash::mash_set_data
  cases <- list(
    set(x$Bhat, x$Shat), set(one_missing, x$Shat), set(x$Bhat, odd_row),
    set(x$Bhat, replace(x$Shat, 1, x$Shat[1] * (1 + 1e-7))), set(patterns, x$Shat)
  )
  stats::setNames(cases, c(
    "complete", "one missing entry", "one row of Shat times 1 + 1e-7", "one entry of Shat times 1 + 1e-7",
    paste(w$patterns, "missing patterns")
  ))
}

# The same number of steps for all, and no word about them.
deconvolve <- function(data, start, iterations, n_threads = 1) {
  withCallingHandlers(
    covmash::cov_ed(data, start, tol = 0, maxiter = iterations, n_threads = n_threads),
    covmash_warning_convergence = function(w) invokeRestart("muffleWarning")
  )
}
