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
