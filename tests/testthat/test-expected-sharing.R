sharing_problem <- function(missing = TRUE, alpha = 0, shat = 1) {
  withr::local_seed(5)
  sim <- simple_sims(nsamp = 40, ncond = 4, err_sd = 0.4)
  Bhat <- sim$Bhat
  Shat <- sim$Shat * shat
  if (missing) Bhat[matrix(runif(length(Bhat)) < 0.1, nrow(Bhat))] <- NA
  colnames(Bhat) <- letters[1:4]
  data <- suppressWarnings(mash_set_data(Bhat, Shat, alpha = alpha, V = 0.2 + 0.8 * diag(4)))
  part <- matrix(0, 4, 4)
  part[1:3, 1:3] <- rWishart(1, 5, diag(3))[, , 1] / 5
  U <- c(cov_canonical(data), list(wide = rWishart(1, 5, diag(4))[, , 1] / 5, part = part, steep = tcrossprod(c(1, 0.7, 0.3, -1))))
  list(data = data, fit = mash(data, U, verbose = FALSE))
}

test_that("it is the limit of the sharing of draws", {
  M <- 4000
  for (alpha in c(0, 1)) {
    p <- sharing_problem(missing = FALSE, alpha = alpha, shat = exp(0.3 * sin(seq_len(640))))
    p$fit$result <- mash_compute_posterior_matrices(p$fit, p$data, posterior_samples = M, seed = 2)
    for (factor in c(0, 0.5, 0.8)) {
      ours <- get_expected_sharing(p$fit, p$data, factor)
      drawn <- get_pairwise_sharing_from_samples(p$fit, factor)
      diag(drawn) <- 1
      # Of n effects with M draws each.
      expect_lt(max(abs(ours - drawn)), 4.5 * sqrt(0.25 / (M * 20)))
    }
  }
})

test_that("of a pair count the effects that get_pairwise_sharing() takes, by their weights", {
  p <- sharing_problem()
  lfsr <- get_lfsr(p$fit)
  draws <- mash_compute_posterior_matrices(p$fit, p$data, posterior_samples = 4000, seed = 2)$PosteriorSamples
  weights <- withr::with_seed(1, runif(nrow(lfsr)))
  plain <- function(i, k, predicted) {
    seen <- predicted | (!is.na(p$data$Bhat[, i]) & !is.na(p$data$Bhat[, k]))
    rows <- which(seen & (lfsr[, i] < 0.05 | lfsr[, k] < 0.05))
    ratio <- draws[rows, i, ] / draws[rows, k, ]
    sum(weights[rows] * rowMeans(!is.na(ratio) & ratio > 0.5 & ratio < 2)) / sum(weights[rows])
  }
  for (predicted in c(FALSE, TRUE)) {
    ours <- get_expected_sharing(p$fit, p$data, weights = weights, predicted = predicted)
    for (pair in list(c(1, 2), c(1, 4), c(2, 3), c(3, 4))) {
      expect_equal(ours[pair[1], pair[2]], plain(pair[1], pair[2], predicted), tolerance = 0.01)
    }
  }
  expect_identical(dimnames(ours), list(letters[1:4], letters[1:4]))
  expect_true(isSymmetric(ours))
  expect_identical(unname(diag(ours)), rep(1, 4))
})

test_that("threads, and effects that do not count, change nothing", {
  p <- sharing_problem()
  one <- get_expected_sharing(p$fit, p$data, n_threads = 1)
  expect_identical(get_expected_sharing(p$fit, p$data, n_threads = 2), one)
  expect_identical(get_expected_sharing(p$fit, p$data[160:1, ], n_threads = 2), one)
  some <- rowSums(get_lfsr(p$fit) < 0.05) > 0
  expect_identical(get_expected_sharing(p$fit, p$data[some, ]), one)
})

test_that("tied effects are exact; without significant effects there is no share", {
  data <- mash_set_data(rbind(c(3, 4), c(5, 4), c(-6, -5)))
  half <- mash(data, list(half = tcrossprod(c(1, 0.6))), verbose = FALSE, usepointmass = FALSE)
  expect_equal(get_expected_sharing(half, data, 0.5)[1, 2], 1)
  expect_equal(get_expected_sharing(half, data, 0.7)[1, 2], 0)
  expect_equal(get_expected_sharing(half, data, lfsr_thresh = 0), matrix(c(1, NA, NA, 1), 2))
  expect_error(get_expected_sharing(half, data, factor = 2), class = "covmash_error_argument")
  expect_error(get_expected_sharing(half, data, weights = 1:2), class = "covmash_error_argument")
})
