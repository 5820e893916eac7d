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

# Of draws, effects x conditions x draws: whether something holds in all, any, or how many of the conditions k.
all_of <- function(x, k = seq_len(ncol(x))) Reduce(`&`, lapply(k, function(j) x[, j, ]))
any_of <- function(x, k = seq_len(ncol(x))) Reduce(`|`, lapply(k, function(j) x[, j, ]))
number_of <- function(x) Reduce(`+`, lapply(seq_len(ncol(x)), function(j) x[, j, ]))

test_that("probabilities are the frequencies of draws", {
  p <- joint_problem()
  some <- p$data[c(1:4, 41:44, 81:86, 121:130), ]
  M <- 20000
  draws <- mash_compute_posterior_matrices(p$fit, some, posterior_samples = M, seed = 1)$PosteriorSamples
  agrees <- function(probability, event, error = 0) {
    expect_lt(max(abs(probability - rowMeans(event)) - error), 4.5 * sqrt(0.25 / M))
  }
  there <- draws != 0
  above <- draws > 0
  below <- draws < 0
  agrees(mash_joint(p$fit, some)$probability, all_of(there))
  agrees(mash_joint(p$fit, some, 1:2, 4:5)$probability, all_of(there, 1:2) & !any_of(there, 4:5))
  agrees(mash_joint(p$fit, some, c("a", "b"), "d", "any")$probability, any_of(there, 1:2) & !there[, 4, ])
  agrees(mash_joint(p$fit, some, exclude = 1:5 == 5)$probability, all_of(there, 1:4) & !there[, 5, ])
  same <- mash_joint(p$fit, some, what = "sign")
  agrees(same$positive, all_of(above), same$error)
  agrees(same$negative, all_of(below), same$error)
  expect_equal(same$probability, same$positive + same$negative)
  expect_true(all(same$error <= 5e-3))
  any <- mash_joint(p$fit, some, 1:4, test = "any", what = "sign")
  agrees(any$probability, any_of(there, 1:4) & !(any_of(above, 1:4) & any_of(below, 1:4)), any$error)
  active <- mash_active(p$fit, some)
  for (n in 0:5) agrees(active$distribution[, n + 1], number_of(there) == n)
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
  size <- abs(draws)
  largest <- Reduce(pmax, lapply(1:5, function(j) size[, j, ]))
  top <- size
  for (j in 1:5) top[, j, ] <- size[, j, ] >= (1 - 1e-9) * largest & size[, j, ] != 0
  n_top <- number_of(top)
  ours <- mash_largest(p$fit, some)
  expected <- vapply(1:5, function(j) rowMeans(top[, j, ] / pmax(n_top, 1)), double(nrow(some$Bhat)))
  slack <- ours$error + 4.5 * sqrt(0.25 / M)
  expect_true(all(abs(ours$probability - expected) <= slack))
  expect_true(all(abs(ours$none - rowMeans(n_top == 0)) <= slack))
  expect_true(all(ours$error <= 0.05))
  expect_identical(dimnames(ours$probability), dimnames(some$Bhat))
  expect_identical(mash_largest(p$fit, some, n_threads = 2), ours)
  expect_identical(mash_largest(p$fit, some[5:8, ])$probability, ours$probability[5:8, ])
  two <- mash_largest(p$fit, some, c("d", "a"), tolerance = 0.01)
  expect_identical(colnames(two$probability), c("d", "a"))
  first <- (size[, 4, ] > size[, 1, ]) + 0.5 * (size[, 4, ] == size[, 1, ] & size[, 4, ] != 0)
  expect_true(all(abs(two$probability[, 1] - rowMeans(first)) <= two$error + 4.5 * sqrt(0.25 / M)))
  expect_error(mash_largest(p$fit, some, "z"), class = "covmash_error_index")
  # Equal effects share it.
  equal <- mash(p$data, list(equal = matrix(1, 5, 5)), verbose = FALSE)
  tie <- mash_largest(equal, some)
  expect_true(all(tie$error == 0))
  expect_equal(unname(tie$probability), matrix((1 - tie$none) / 5, nrow(some$Bhat), 5))
})
