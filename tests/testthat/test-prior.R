canonical_fit <- function(sim = small_data(), ...) mash(sim$data, cov_canonical(sim$data), verbose = FALSE, ...)

test_that("each covariance matrix is checked and named in the message", {
  data <- small_data(R = 3)$data
  good <- diag(3)
  fit <- function(Ulist) mash(data, Ulist, verbose = FALSE)
  asymmetric <- good
  asymmetric[1, 2] <- 0.5
  expect_input_error(fit(list(good = good, slanted = asymmetric)), "slanted.*symmetric")
  expect_input_error(fit(list(good = good, sunk = diag(c(1, 1, -0.1)))), "sunk.*positive semi-definite")
  expect_input_error(fit(list(good = good, small = diag(2))), "small.*3 conditions.*2 x 2")
  expect_input_error(fit(list(good = good, letters = matrix("a", 3, 3))), "letters.*numeric")
  expect_input_error(fit(list(good = good, hole = diag(c(1, NA, 1)))), "hole.*finite")
  expect_input_error(fit(list(good = good, wide = matrix(1, 3, 2))), "wide")
  expect_input_error(fit(list()), "Ulist.*empty")
  expect_input_error(fit("identity"), "Ulist.*list")
  expect_input_error(fit(list(asymmetric)), "U1.*symmetric")
})

test_that("matrices with the conditions in another order are refused", {
  data <- small_data(R = 3)$data
  U <- diag(1:3 / 3)
  dimnames(U) <- list(letters[1:3], letters[1:3])
  expect_true(is.finite(mash(data, list(u = U), verbose = FALSE)$loglik))
  expect_input_error(mash(data, list(u = U[3:1, 3:1]), verbose = FALSE), "order")
})

test_that("rounding is no asymmetry, and a tiny negative eigenvalue no indefiniteness", {
  data <- small_data(R = 3)$data
  U <- tcrossprod(c(1, 0.3, 0.7))
  U[1, 2] <- U[1, 2] * (1 + 1e-15)
  expect_true(is.finite(mash(data, list(u = U), verbose = FALSE)$loglik))
})

test_that("an unnamed or partly named list is named for the user", {
  data <- small_data(R = 3)$data
  fit <- mash(data, list(diag(3), matrix(1, 3, 3)), verbose = FALSE)
  expect_named(fit$fitted_g$Ulist, c("U1", "U2"))
  expect_identical(names(fit$fitted_g$pi)[1:3], c("null", "U1.1", "U2.1"))
  fit <- mash(data, list(id = diag(3), matrix(1, 3, 3)), verbose = FALSE)
  expect_named(fit$fitted_g$Ulist, c("id", "U2"))
})

test_that("two matrices of one name are told apart, with a warning", {
  data <- small_data(R = 3)$data
  expect_covmash_warning(fit <- mash(data, list(a = diag(3), a = matrix(1, 3, 3)), verbose = FALSE), "'a'")
  expect_false(anyDuplicated(names(fit$fitted_g$pi)) > 0)
})

test_that("components are null first, then scale by scale in the order of the matrices", {
  sim <- small_data(R = 2)
  fit <- canonical_fit(sim, grid = c(0.5, 1, 3))
  U <- names(cov_canonical(sim$data))
  expect_named(fit$fitted_g$pi, c("null", paste0(U, ".1"), paste0(U, ".2"), paste0(U, ".3")))
  expect_named(fit$fitted_g$Ulist, U)
  expect_close(sum(fit$fitted_g$pi), 1, 1e-14)
  kept <- names(fit$fitted_g$pi)[fit$fitted_g$pi > 1e-10]
  expect_identical(colnames(fit$posterior_weights), kept)
  expect_identical(dim(fit$posterior_weights), c(60L, length(kept)))
  expect_close(rowSums(fit$posterior_weights), rep(1, 60), 1e-12)
})

test_that("matrices are scaled to a largest variance of 1, unless told not to", {
  sim <- small_data(R = 3)
  U <- list(big = 4 * diag(3), flat = matrix(0.25, 3, 3))
  fit <- mash(sim$data, U, verbose = FALSE)
  expect_equal(unname(fit$fitted_g$Ulist$big), diag(3))
  expect_equal(unname(fit$fitted_g$Ulist$flat), matrix(1, 3, 3))
  raw <- mash(sim$data, U, verbose = FALSE, normalizeU = FALSE, grid = 1)
  expect_equal(unname(raw$fitted_g$Ulist$big), 4 * diag(3))
  half <- mash(sim$data, list(id = diag(3)), verbose = FALSE, grid = 2)
  whole <- mash(sim$data, list(id = 4 * diag(3)), verbose = FALSE, grid = 1, normalizeU = FALSE)
  expect_close(half$loglik, whole$loglik, 1e-10)
  null <- mash(sim$data, list(none = matrix(0, 3, 3), id = diag(3)), verbose = FALSE)
  expect_true(all(null$fitted_g$Ulist$none == 0))
})

test_that("the penalty of the null is what prior and nullweight say", {
  sim <- small_data(J = 200, R = 3)
  null <- canonical_fit(sim)
  uniform <- canonical_fit(sim, prior = "uniform")
  heavy <- canonical_fit(sim, nullweight = 100)
  pi0 <- c(uniform$fitted_g$pi[1], null$fitted_g$pi[1], heavy$fitted_g$pi[1])
  expect_false(is.unsorted(pi0, strictly = TRUE))
  expect_gt(uniform$loglik, null$loglik)
  P <- length(null$fitted_g$pi)
  by_vector <- canonical_fit(sim, prior = c(10, rep(1, P - 1)))
  expect_identical(by_vector$fitted_g, null$fitted_g)
  expect_close(null$convergence$objective, null$loglik + 9 * log(pi0[2]), 1e-12)
  expect_input_error(canonical_fit(sim, prior = c(1, 1)), "prior")
  expect_input_error(canonical_fit(sim, prior = rep(0.5, P)), "prior")
  expect_input_error(canonical_fit(sim, nullweight = -1), "nullweight")
})

test_that("the nullbiased prior favours no component when there is no null", {
  sim <- small_data(J = 100, R = 3)
  expect_close(canonical_fit(sim, usepointmass = FALSE)$loglik,
    canonical_fit(sim, usepointmass = FALSE, prior = "uniform")$loglik, 1e-8)
})

test_that("a prior is not rescaled when it is given", {
  sim <- small_data(J = 20, R = 2)
  g <- list(pi = c(null = 0.5, big.1 = 0.5), Ulist = list(big = diag(c(4, 2))), grid = 1.5, usepointmass = TRUE)
  fit <- mash(sim$data, g = g, fixg = TRUE, verbose = FALSE)
  expected <- reference_mash(sim$Bhat, sim$Shat, diag(2), g$Ulist, g$grid, g$pi)
  expect_close(fit$vloglik, expected$vloglik, 1e-10)
  expect_close(fit$result$PosteriorMean, expected$PosteriorMean, 1e-10)
})

test_that("variances whose roots have no squares are refused", {
  data <- small_data()$data
  for (U in list(1e-300 * diag(4), factor_covariance(matrix(0, 4, 1), D = c(1, 1, 1, 1e-307)))) {
    expect_error(mash(data, list(tiny = U), grid = 1, normalizeU = FALSE, verbose = FALSE), "tiny", class = "covmash_error_input")
  }
})
