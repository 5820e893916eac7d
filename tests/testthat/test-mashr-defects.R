# What mashr gets wrong, one by one, and the right answer here. Where another file has the test in full, what is here is
# the case that fails there.

test_that("one effect, with or without the weights fixed", {
  sim <- small_data(J = 30, R = 3, shat = "varying")
  m <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  one <- mash(sim$data[7, ], g = m, fixg = TRUE, verbose = FALSE)
  expect_equal(get_pm(one), get_pm(m)[7, , drop = FALSE], tolerance = 1e-12)
  expect_equal(mash_compute_posterior_matrices(m, sim$data[7, ])$lfsr, get_lfsr(m)[7, , drop = FALSE], tolerance = 1e-10)
})

test_that("the summary of combinations where standard errors differ", {
  sim <- small_data(J = 30, R = 3, shat = "varying")
  m <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  A <- rbind(c(1, -1, 0), c(0, 0, 1))
  out <- get_posterior_condition_wise_summary(sim$data, m, A)
  expect_close(unname(out$PosteriorMean[, 2]), unname(get_pm(m)[, 3]), 1e-10)
  expect_close(unname(out$PosteriorSD[, 2]), unname(get_psd(m)[, 3]), 1e-10)
  expect_close(unname(out$PosteriorMean[, 1]), unname(get_pm(m)[, 1] - get_pm(m)[, 2]), 1e-10)
})

test_that("lfsr of negative and of positive effects is the same", {
  z <- rbind(c(15, 14), -c(15, 14))
  data <- mash_set_data(z)
  g <- list(pi = c(0.5, 0.5), Ulist = list(e = matrix(1, 2, 2)), grid = 5, usepointmass = TRUE)
  lfsr <- suppressMessages(mash_compute_posterior_matrices(g, data))$lfsr
  expect_close(lfsr[1, ], lfsr[2, ], 1e-12)
  expect_true(all(lfsr > 0))
})

test_that("no posterior covariances unless asked for", {
  sim <- small_data(J = 20, R = 3)
  expect_null(mash(sim$data, cov_canonical(sim$data), verbose = FALSE)$result$PosteriorCov)
  expect_identical(dim(mash(sim$data, cov_canonical(sim$data), outputlevel = 3, verbose = FALSE)$result$PosteriorCov), c(3L, 3L, 20L))
})

test_that("the components of posterior_weights, without a name for every number", {
  sim <- small_data(J = 20, R = 3)
  m <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  expect_null(names(m$posterior_weights))
  expect_identical(colnames(m$posterior_weights), names(m$fitted_g$pi)[attr(m$posterior_weights, "component")])
})

test_that("truncated deconvolution gives matrices that a fit takes, and an objective far from zero likelihoods", {
  z <- rbind(small_data(J = 60, R = 3)$Bhat, c(60, -60, 60))
  data <- mash_set_data(z)
  U <- suppressWarnings(cov_ed(data, cov_pca(data, 2), algorithm = "teem"))
  expect_true(all(vapply(U, function(u) identical(dim(u), c(3L, 3L)), NA)))
  expect_s3_class(mash(data, U, verbose = FALSE), "mash_fit")
})

test_that("no number of threads is set for others, and no seed", {
  sim <- small_data(J = 20, R = 3)
  set.seed(5)
  next_one <- { runif(1); runif(1) }
  set.seed(5)
  m <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE, posterior_samples = 3)
  expect_identical(runif(1), next_one)
})

test_that("zero standard errors entry by entry, degrees of freedom in a matrix, data frames, unit errors with alpha", {
  Bhat <- rbind(c(-1, 0), c(2, 3))
  Shat <- rbind(c(0, 0), c(1, 1))
  made <- mash_set_data(Bhat, Shat, zero_Shat_reset = 1, zero_Bhat_Shat_reset = 2)
  expect_identical(unname(made$Shat), rbind(c(1, 2), c(1, 1)))
  wide <- mash_set_data(rbind(c(60, 1)), rbind(c(1, 1)), df = cbind(5000, Inf))
  expect_gt(wide$Shat[1, 1], 1)
  z <- -qnorm(pt(-60, 5000, log.p = TRUE), log.p = TRUE)
  expect_close(wide$Shat[1, 1], 60 / z, 1e-12)
  expect_identical(mash_set_data(cbind(0, 1), cbind(2, 1), df = 3)$Shat[1, 1], 2)
  expect_equal(mash_set_data(as.data.frame(Bhat), 1)$Bhat, Bhat, ignore_attr = TRUE)
  holes <- mash_set_data(rbind(c(NA, 1)), rbind(c(NA, 1)), alpha = 1)
  expect_true(is.na(holes$Bhat[1, 1]))
})

test_that("contrasts of two conditions, another V after them, V arrays in deconvolution", {
  sim <- small_data(J = 40, R = 2)
  data <- mash_update_data(sim$data, ref = 1)
  expect_identical(dim(data$Bhat), c(40L, 1L))
  V <- 0.3 + 0.7 * diag(2)
  after <- mash_update_data(data, V = V)
  both <- mash_update_data(sim$data, ref = 1, V = V)
  expect_equal(after, both)
  expect_close(after$Shat[1, 1], sqrt(2 * 0.7) * sim$Shat[1, 1], 1e-12)
  sim <- small_data(J = 60, R = 3)
  array <- mash_set_data(sim$Bhat, sim$Shat, V = array(0.2 + 0.8 * diag(3), c(3, 3, 60)))
  one <- mash_set_data(sim$Bhat, sim$Shat, V = 0.2 + 0.8 * diag(3))
  U <- cov_pca(one, 2)
  steps <- function(data) suppressWarnings(cov_ed(data, U, maxiter = 20, tol = 0))
  expect_equal(steps(array), steps(one), tolerance = 1e-8)
})

test_that("every solver that mashr names ends, and says so where it was replaced", {
  sim <- small_data(J = 60, R = 3)
  U <- cov_canonical(sim$data)
  own <- mash(sim$data, U, verbose = FALSE)
  for (method in c("mixIP", "cxxMixSquarem")) {
    expect_warning(fit <- mash(sim$data, U, optmethod = method, verbose = FALSE), class = "covmash_warning_optmethod")
    expect_close(fit$convergence$objective, own$convergence$objective, 1e-9)
  }
  expect_warning(mash(sim$data, U, control = list(max_iter = 1), verbose = FALSE), class = "covmash_warning_convergence")
})

test_that("draws of one component, sharing of one significant effect and of one draw", {
  set.seed(1)
  data <- mash_set_data(rbind(c(9, 9), c(0.1, 0.1)))
  g <- list(pi = 1, Ulist = list(e = matrix(1, 2, 2)), grid = 3, usepointmass = FALSE)
  m <- suppressMessages(mash(data, g = g, fixg = TRUE, verbose = FALSE, posterior_samples = 1))
  expect_identical(dim(get_samples(m)), c(2L, 2L, 1L))
  expect_close(get_pairwise_sharing_from_samples(m)[1, 2], 1, 1e-12)
})

test_that("nothing is penalised where there is no null component", {
  sim <- small_data(J = 80, R = 3)
  U <- cov_canonical(sim$data)
  biased <- mash(sim$data, U, usepointmass = FALSE, verbose = FALSE)
  uniform <- mash(sim$data, U, usepointmass = FALSE, prior = "uniform", verbose = FALSE)
  expect_equal(biased$fitted_g$pi, uniform$fitted_g$pi)
  # A grid point of zero is a null component, wherever it stands.
  zero <- mash(sim$data, U, grid = c(1, 0, 2), usepointmass = FALSE, nullweight = 50, verbose = FALSE)
  first <- length(U) + 1
  expect_gt(zero$fitted_g$pi[first], 49 / (80 + 49))
  own <- mash(sim$data, U, grid = c(1, 2), nullweight = 50, verbose = FALSE)
  expect_close(zero$convergence$objective, own$convergence$objective, 1e-8)
})

test_that("mash_1by1() knows the alpha of the data", {
  sim <- small_data(J = 60, R = 2, shat = "varying", alpha = 1)
  expect_equal(get_pm(mash_1by1(sim$data)), get_pm(mash_1by1(list(Bhat = sim$Bhat, Shat = sim$Shat), alpha = 1)), tolerance = 1e-10)
})

test_that("an estimate of zero under a matrix that nearly cancels the noise is no infinite likelihood", {
  data <- mash_set_data(rbind(c(0, 0), c(1, 2)), 1e-8)
  U <- list(e = matrix(1, 2, 2))
  m <- mash(data, U, grid = c(1, 1e4), verbose = FALSE)
  expect_true(all(is.finite(m$vloglik)))
  expect_true(all(is.finite(unlist(m$result))))
})

test_that("the EM of the error correlation never goes down, and scales with the data", {
  sim <- small_data(J = 200, R = 3)
  em <- suppressWarnings(mash_estimate_corr_em(sim$data, cov_canonical(sim$data), max_iter = 8))
  expect_true(all(diff(em$objective) >= 0))
})

test_that("messages go to stderr, and a fit says how it went", {
  sim <- small_data(J = 30, R = 3)
  expect_output(suppressMessages(m <- mash(sim$data, cov_canonical(sim$data), verbose = TRUE)), NA)
  expect_true(m$convergence$converged)
  expect_false(inherits(sim$data, "mash_fit"))
})
