test_that("logarithms are those of the lfsr where it is not tiny, by either way", {
  withr::local_seed(1)
  sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.5)
  data <- mash_set_data(sim$Bhat, sim$Shat)
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  expect_equal(get_log_lfsr(fit, data), log10(get_lfsr(fit)))
  expect_equal(get_log_lfsr(fit, data, base = exp(1)), log(get_lfsr(fit)))
  by_component <- log_lfsr_by_component(problem_of(fit, data), 1L)
  expect_equal(unname(exp(by_component)), unname(get_lfsr(fit)), tolerance = 1e-12)
})

test_that("beyond the smallest number they follow the normal tails", {
  b <- c(50, 60, 100, 1e3)
  data <- mash_set_data(cbind(a = b, b = -b))
  for (alpha in 0:1) {
    data$alpha <- alpha
    prior <- list(steady = 4 * diag(2))
    fit <- mash(data, prior, verbose = FALSE, usepointmass = FALSE, grid = 1, normalizeU = FALSE)
    # One component: mean 4/5 b, variance 4/5.
    expected <- pnorm(-b * sqrt(0.8), log.p = TRUE) / log(10)
    expect_equal(get_log_lfsr(fit, data)[, "a"], expected, ignore_attr = TRUE)
    expect_equal(get_log_lfsr(fit, data)[, "b"], expected, ignore_attr = TRUE)
  }
  expect_true(all(get_lfsr(fit)[-1, ] == 0))
  # A point mass keeps its posterior probability: of N(0, I) against N(0, 5 I).
  data$alpha <- 0
  g <- list(pi = c(0.9, 0.1), Ulist = prior, grid = 1, usepointmass = TRUE)
  null <- log(0.9) + 2 * dnorm(b, log = TRUE)
  other <- log(0.1) + 2 * dnorm(b, sd = sqrt(5), log = TRUE)
  tail <- other + pnorm(-b * sqrt(0.8), log.p = TRUE)
  largest <- pmax(null, tail)
  expected <- largest + log(exp(null - largest) + exp(tail - largest)) - other
  ours <- suppressMessages(get_log_lfsr(g, data, base = exp(1)))
  expect_equal(unname(ours[, 1]), expected, tolerance = 1e-10)
  expect_error(get_log_lfsr(fit, data, base = 1), class = "covmash_error_argument")
})
