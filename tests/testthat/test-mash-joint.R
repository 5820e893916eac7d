joint_problem <- function(R = 5, missing = TRUE) {
  withr::local_seed(4)
  sim <- simple_sims(nsamp = 40, ncond = R, err_sd = 0.5)
  Bhat <- sim$Bhat
  if (missing) Bhat[matrix(runif(length(Bhat)) < 0.1, nrow(Bhat))] <- NA
  colnames(Bhat) <- letters[seq_len(R)]
  data <- suppressWarnings(mash_set_data(Bhat, sim$Shat, V = 0.3 + 0.7 * diag(R)))
  m <- min(3, R)
  part <- matrix(0, R, R)
  part[1:m, 1:m] <- rWishart(1, 5, diag(m))[, , 1] / 5
  U <- c(cov_canonical(data), list(wide = rWishart(1, R + 2, diag(R))[, , 1] / 7, part = part))
  list(data = data, fit = mash(data, U, verbose = FALSE))
}

test_that("probabilities are the frequencies of draws", {
  p <- joint_problem()
  some <- p$data[c(1:4, 41:44, 81:86, 121:130), ]
  M <- 20000
  draws <- mash_compute_posterior_matrices(p$fit, some, posterior_samples = M, seed = 1)$PosteriorSamples
  agrees <- function(probability, event, error = 0) {
    expect_lt(max(abs(probability - rowMeans(event)) - error), 4.5 * sqrt(0.25 / M))
  }
  each <- function(f) apply(draws, c(1, 3), f)
  agrees(mash_joint(p$fit, some)$probability, each(function(b) all(b != 0)))
  agrees(mash_joint(p$fit, some, 1:2, 4:5)$probability, each(function(b) all(b[1:2] != 0) && all(b[4:5] == 0)))
  agrees(mash_joint(p$fit, some, c("a", "b"), "d", "any")$probability, each(function(b) any(b[1:2] != 0) && b[4] == 0))
  agrees(mash_joint(p$fit, some, exclude = 1:5 == 5)$probability, each(function(b) all(b[1:4] != 0) && b[5] == 0))
  same <- mash_joint(p$fit, some, what = "sign")
  agrees(same$positive, each(function(b) all(b > 0)), same$error)
  agrees(same$negative, each(function(b) all(b < 0)), same$error)
  expect_equal(same$probability, same$positive + same$negative)
  expect_true(all(same$error <= 5e-3))
  any <- mash_joint(p$fit, some, 1:4, test = "any", what = "sign")
  agrees(any$probability, each(function(b) any(b[1:4] != 0) && (all(b[1:4] >= 0) || all(b[1:4] <= 0))), any$error)
  active <- mash_active(p$fit, some)
  for (n in 0:5) agrees(active$distribution[, n + 1], each(function(b) sum(b != 0) == n))
  expect_equal(unname(rowSums(active$distribution)), rep(1, nrow(some$Bhat)))
  expect_equal(active$mean, drop(active$distribution %*% 0:5))
})

test_that("exact cases are exact", {
  p <- joint_problem(2)
  lfdr <- mash_compute_posterior_matrices(p$fit, p$data)
  one <- mash_joint(p$fit, p$data, 1, what = "sign")
  expect_equal(one$negative, unname(lfdr$NegativeProb[, 1]), tolerance = 1e-10)
  expect_equal(one$probability, unname(1 - lfdr$lfdr[, 1]), tolerance = 1e-10)
  expect_true(all(mash_joint(p$fit, p$data, what = "sign")$error == 0))
  equal <- mash(p$data, list(equal = matrix(1, 2, 2)), verbose = FALSE)
  both <- mash_joint(equal, p$data, what = "sign")
  expect_equal(both$probability, unname(1 - mash_compute_posterior_matrices(equal, p$data)$lfdr[, 1]), tolerance = 1e-10)
})

test_that("threads do not matter, a smaller tolerance helps, names are kept", {
  p <- joint_problem()
  one <- mash_joint(p$fit, p$data, what = "sign", n_threads = 1)
  expect_identical(mash_joint(p$fit, p$data, what = "sign", n_threads = 2), one)
  expect_identical(one$effect, rownames(p$data$Bhat))
  fine <- mash_joint(p$fit, p$data, what = "sign", tolerance = 1e-4)
  expect_lt(max(fine$error), max(one$error))
  expect_true(all(abs(fine$probability - one$probability) <= fine$error + 1.5 * one$error))
  expect_identical(rownames(mash_active(p$fit, p$data)$distribution), rownames(p$data$Bhat))
  expect_identical(mash_joint(p$fit, p$data[3, ])$effect, "effect_3")
})

test_that("bad arguments are refused", {
  p <- joint_problem(3, FALSE)
  expect_error(mash_joint(p$fit, p$data, "z"), "include", class = "covmash_error_index")
  expect_error(mash_joint(p$fit, p$data, 1, 1), "both", class = "covmash_error_index")
  expect_error(mash_joint(p$fit, p$data, exclude = 1:3), "include", class = "covmash_error_index")
  expect_error(mash_joint(p$fit, p$data, test = "some"), "test", class = "covmash_error_argument")
  expect_error(mash_joint(p$fit, p$data, what = "size"), "what", class = "covmash_error_argument")
  expect_error(mash_joint(p$fit, p$data, tolerance = 0), "tolerance", class = "covmash_error_argument")
  expect_error(mash_joint(p$fit, 1), class = "covmash_error_data")
  expect_error(mash_active(1, p$data), class = "covmash_error")
})

test_that("which condition is largest is what draws say", {
  p <- joint_problem()
  some <- p$data[c(1:4, 41:44, 81:86, 121:130), ]
  M <- 20000
  draws <- mash_compute_posterior_matrices(p$fit, some, posterior_samples = M, seed = 1)$PosteriorSamples
  share <- apply(draws, c(1, 3), function(b) {
    top <- abs(b) >= (1 - 1e-9) * max(abs(b)) & b != 0
    top / max(sum(top), 1)
  })
  ours <- mash_largest(p$fit, some)
  expected <- t(apply(share, c(1, 2), mean))
  slack <- ours$error + 4.5 * sqrt(0.25 / M)
  expect_true(all(abs(ours$probability - expected) <= slack))
  expect_true(all(abs(ours$none - rowMeans(colSums(share) == 0)) <= slack))
  expect_true(all(ours$error <= 0.05))
  expect_identical(dimnames(ours$probability), dimnames(some$Bhat))
  expect_identical(mash_largest(p$fit, some, n_threads = 2), ours)
  expect_identical(mash_largest(p$fit, some[5:8, ])$probability, ours$probability[5:8, ])
  two <- mash_largest(p$fit, some, c("d", "a"), tolerance = 0.01)
  expect_identical(colnames(two$probability), c("d", "a"))
  first <- apply(draws, c(1, 3), function(b) (abs(b[4]) > abs(b[1])) + 0.5 * (abs(b[4]) == abs(b[1]) & b[4] != 0))
  expect_true(all(abs(two$probability[, 1] - rowMeans(first)) <= two$error + 4.5 * sqrt(0.25 / M)))
  expect_error(mash_largest(p$fit, some, "z"), class = "covmash_error_index")
  # Equal effects share it.
  equal <- mash(p$data, list(equal = matrix(1, 5, 5)), verbose = FALSE)
  tie <- mash_largest(equal, some)
  expect_true(all(tie$error == 0))
  expect_equal(unname(tie$probability), matrix((1 - tie$none) / 5, nrow(some$Bhat), 5))
})
