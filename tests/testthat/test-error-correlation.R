test_that("errors that are independent stay so, though effects are shared", {
  set.seed(1)
  B <- (runif(4000) < 0.3) * rnorm(4000) %o% rep(1, 5)
  data <- mash_set_data(B + rnorm(20000))
  V <- estimate_error_correlation(data)
  expect_identical(as.vector(V), as.vector(diag(5)))
  expect_identical(attr(V, "gain"), 0)
  # The rule that looks at null effects takes the sharing for errors.
  expect_gt(mean(estimate_null_correlation_simple(data, rule = "pairwise")[upper.tri(V)]), 0.05)
})

test_that("correlated errors are found without bias, on the scale of z-scores and with missing estimates", {
  set.seed(2)
  R <- 4
  V <- matrix(0.4, R, R) + diag(0.6, R)
  Shat <- matrix(runif(6000 * R, 0.1, 3), ncol = R)
  B <- (runif(6000) < 0.3) * rnorm(6000, 0, 2) * Shat
  Bhat <- B + (matrix(rnorm(6000 * R), ncol = R) %*% chol(V)) * Shat
  Bhat[sample(length(Bhat), 2000)] <- NA
  colnames(Bhat) <- letters[1:R]
  found <- estimate_error_correlation(mash_set_data(Bhat, Shat))
  expect_identical(dimnames(found), list(letters[1:R], letters[1:R]))
  expect_lt(max(abs(found - V)), 0.06)
  expect_gt(attr(found, "gain"), 500)
  expect_identical(attr(found, "n"), sum(rowSums(!is.na(Bhat)) > 0))
})

test_that("one condition has nothing to correlate with, contrasts are refused", {
  expect_identical(as.vector(estimate_error_correlation(mash_set_data(matrix(rnorm(10))))), 1)
  data <- mash_update_data(mash_set_data(matrix(rnorm(30), 10)), ref = 1)
  expect_error(estimate_error_correlation(data), class = "covmash_error_contrast")
})
