test_that("the mixture arrives whole, under the names that others use", {
  withr::local_seed(1)
  sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
  data <- mash_set_data(sim$Bhat, sim$Shat)
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  g <- fit$fitted_g
  for (prior in list(as_mvsusie_prior(fit), as_mvsusie_prior(fit_mash_prior(data, cov_canonical(data))))) {
    expect_named(prior, c("matrices", "weights"))
    expect_equal(sum(prior$weights), 1)
    expect_identical(names(prior$weights), names(prior$matrices))
    expect_true(all(grepl("_grid[0-9]+$", names(prior$weights))))
  }
  mvsusie <- as_mvsusie_prior(fit)
  one <- names(which.max(mvsusie$weights))
  k <- sub("_grid[0-9]+$", "", one)
  l <- as.integer(sub(".*_grid", "", one))
  expect_equal(mvsusie$matrices[[one]], g$grid[l]^2 * g$Ulist[[k]])
  expect_equal(mvsusie$weights[[one]], g$pi[[paste0(k, ".", l)]] / (1 - g$pi[["null"]]))
  mr <- as_mrmash_prior(fit)
  expect_identical(names(mr$S0)[1], "null")
  expect_true(all(mr$S0$null == 0))
  expect_equal(mr$w0[["null"]], g$pi[["null"]], tolerance = 1e-6)
  # The same density.
  b <- sim$Bhat[1, ]
  density <- function(S, w) sum(w * vapply(S, function(U) exp(-0.5 * mahalanobis(b, FALSE, U + 0.25 * diag(3))) / sqrt(det(U + 0.25 * diag(3))), 0))
  expect_equal(log(density(mr$S0, mr$w0)) - 1.5 * log(2 * pi), mash_compute_vloglik(fit, data)[[1]], tolerance = 1e-6)
})

test_that("factor models are formed, and what is no fit is refused", {
  withr::local_seed(1)
  data <- mash_set_data(matrix(rnorm(120), 40))
  fit <- deconvolve(data, n_full = 0, n_factor = 1, n_starts = 1)
  expect_equal(as_mvsusie_prior(fit)$matrices[[1]], as.matrix(fit$Ulist[[1]]))
  expect_named(as_mvsusie_prior(fit)$weights, "factor_1_grid1")
  expect_error(as_mvsusie_prior(1), class = "covmash_error_fit")
  expect_error(as_mrmash_prior(fit, 2), "min_weight", class = "covmash_error_argument")
  null <- mash(mash_set_data(matrix(0.01 * rnorm(60), 20), 1), list(a = diag(3)), verbose = FALSE)
  if (get_pi0(null) == 1) expect_error(as_mvsusie_prior(null), "point mass", class = "covmash_error_fit")
  expect_error(as_mvsusie_prior(fit, 1), "point mass", class = "covmash_error_fit")
})
