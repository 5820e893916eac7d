# The order of the draws is part of the contract: scripts that set a seed get the data they always got.

test_that("simple_sims() draws independent, shared, single effects, then the errors", {
  sim <- withr::with_seed(11, simple_sims(nsamp = 7, ncond = 4, err_sd = 0.3))
  expected <- withr::with_seed(11, {
    independent <- matrix(rnorm(7 * 4), 7, 4)
    shared <- rnorm(7)
    first <- rnorm(7)
    B <- rbind(
      matrix(0, 7, 4), independent, cbind(first, matrix(0, 7, 3)), matrix(shared, 7, 4)
    )
    E <- matrix(rnorm(4 * 7 * 4, sd = 0.3), 28, 4)
    list(B = B, Bhat = B + E)
  })
  expect_named(sim, c("B", "Bhat", "Shat"))
  expect_identical(unname(sim$B), unname(expected$B))
  expect_identical(unname(sim$Bhat), unname(expected$Bhat))
  expect_identical(unname(sim$Shat), matrix(0.3, 28, 4))
  names <- list(paste0("effect_", 1:28), paste0("condition_", 1:4))
  for (x in sim) expect_identical(dimnames(x), names)
})

test_that("simple_sims() has the defaults nsamp = 100, ncond = 5, err_sd = 0.01", {
  sim <- withr::with_seed(3, simple_sims())
  expect_identical(dim(sim$Bhat), c(400L, 5L))
  expect_true(all(sim$Shat == 0.01))
  expect_identical(sim, withr::with_seed(3, simple_sims(100, 5, 0.01)))
})

test_that("simple_sims() recycles a vector of standard errors into Shat and the errors alike", {
  sd <- c(0.1, 1, 10)
  sim <- withr::with_seed(5, simple_sims(nsamp = 3, ncond = 3, err_sd = sd))
  expected_shat <- matrix(sd, 12, 3)
  expect_identical(unname(sim$Shat), expected_shat)
  expected_E <- withr::with_seed(5, {
    rnorm(3 * 3 + 3 + 3)
    matrix(rnorm(36, sd = expected_shat), 12, 3)
  })
  expect_close(sim$Bhat - sim$B, expected_E, 1e-13)
})

test_that("simple_sims2() has two groups of conditions with identical effects", {
  sim <- withr::with_seed(8, simple_sims2(nsamp = 6, err_sd = 0.2))
  expected <- withr::with_seed(8, {
    b1 <- rnorm(6)
    b2 <- rnorm(6)
    B <- rbind(cbind(b1, b1, 0, 0, 0), cbind(0, 0, b2, b2, b2))
    list(B = unname(B), Bhat = unname(B + matrix(rnorm(12 * 5, sd = 0.2), 12, 5)))
  })
  expect_named(sim, c("B", "Bhat", "Shat"))
  expect_identical(unname(sim$B), expected$B)
  expect_identical(unname(sim$Bhat), expected$Bhat)
  expect_identical(dimnames(sim$Bhat), list(paste0("effect_", 1:12), paste0("condition_", 1:5)))
  expect_identical(dim(withr::with_seed(1, simple_sims2())$B), c(200L, 5L))
})

test_that("one sample and one condition keep their dimensions", {
  sim <- withr::with_seed(2, simple_sims(nsamp = 1, ncond = 1, err_sd = 1))
  for (x in sim) expect_identical(dim(x), c(4L, 1L))
})

test_that("counts and standard errors are checked", {
  expect_input_error(simple_sims(nsamp = 0), "nsamp")
  expect_input_error(simple_sims(ncond = -1), "ncond")
  expect_input_error(simple_sims(err_sd = -1), "err_sd")
  expect_input_error(simple_sims2(nsamp = "a"), "nsamp")
})

test_that("more than R can hold is refused", {
  expect_input_error(simple_sims(1e300), "nsamp")
  expect_input_error(simple_sims(1e6, 1e9), "nsamp")
  expect_input_error(simple_sims2(2^31), "nsamp")
})

test_that("sizes beyond an integer and standard deviations that do not fit are errors", {
  expect_input_error(simple_sims(nsamp = 4L, ncond = .Machine$integer.max), "more than R can hold")
  expect_input_error(simple_sims(nsamp = 5, ncond = 1, err_sd = 1:8), "err_sd")
  expect_identical(dim(sim_contrast2(nsamp = 40, ncond = 3)$Chat), c(40L, 3L))
  expect_identical(withr::with_seed(1, sim_contrast1(3))$Chat, withr::with_seed(1, sim_contrast1(3))$Chat)
})

test_that("infinite errors are refused", {
  expect_error(simple_sims2(3, Inf), "finite", class = "covmash_error_argument")
  expect_error(sim_contrast1(3, 3, Inf), "finite", class = "covmash_error_argument")
})
