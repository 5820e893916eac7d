correlated_nulls <- function(J, R, rho, seed = 1) {
  withr::with_seed(seed, {
    V <- matrix(rho, R, R)
    diag(V) <- 1
    matrix(rnorm(J * R), J) %*% chol(V)
  })
}

test_that("the simple rule is that of mashr", {
  z <- correlated_nulls(500, 4, 0.4)
  colnames(z) <- letters[1:4]
  s <- withr::with_seed(2, matrix(runif(2000, 0.5, 2), 500))
  data <- mash_set_data(z * s, s)
  null <- apply(abs(z), 1, max) < 2
  expect_equal(estimate_null_correlation_simple(data), cor(z[null, ]), tolerance = 1e-12)
  expect_equal(estimate_null_correlation_simple(data, z_thresh = 1.5, est_cor = FALSE), cov(z[apply(abs(z), 1, max) < 1.5, ]), tolerance = 1e-12)
  expect_identical(dimnames(estimate_null_correlation_simple(data)), list(letters[1:4], letters[1:4]))
  # on the scale of z-scores, whatever alpha
  expect_equal(estimate_null_correlation_simple(mash_set_data(z * s, s, alpha = 1)), estimate_null_correlation_simple(data))
})

test_that("missing estimates are left out", {
  z <- correlated_nulls(4000, 3, 0.5)
  holes <- z
  holes[withr::with_seed(3, sample(length(z), 3000))] <- NA
  V <- estimate_null_correlation_simple(muffle_all_missing(mash_set_data(holes)))
  null <- apply(abs(holes), 1, function(z) any(!is.na(z)) && max(z, na.rm = TRUE) < 2)
  expect_equal(V, cov2cor(cov(holes[null, ], use = "pairwise.complete.obs")), tolerance = 1e-12)
  expect_lt(max(abs(V - estimate_null_correlation_simple(mash_set_data(z)))), 0.05)
})

test_that("pair by pair the truncation leaves no bias, with many conditions too", {
  R <- 30
  V <- matrix(0.3, R, R)
  V[1:10, 1:10] <- 0.7
  diag(V) <- 1
  z <- withr::with_seed(4, matrix(rnorm(4000 * R), 4000) %*% chol(V))
  data <- mash_set_data(z)
  expect_error(estimate_null_correlation_simple(data[1:60, ], z_thresh = 0.5), "raise `z_thresh`", class = "covmash_error_null")
  fit <- estimate_null_correlation_simple(data, rule = "pairwise")
  off <- row(V) != col(V)
  expect_lt(abs(mean(fit[off & V == 0.7]) - 0.7), 0.01)
  expect_lt(abs(mean(fit[off & V == 0.3]) - 0.3), 0.01)
  expect_identical(unname(diag(fit)), rep(1, R))
})

test_that("the likelihood of a pair is that of a truncated normal distribution", {
  box <- box_probability(2)
  inner <- function(x, rho) vapply(x, function(x1) {
    stats::integrate(function(y) exp(-(x1^2 - 2 * rho * x1 * y + y^2) / (2 * (1 - rho^2))) / (2 * pi * sqrt(1 - rho^2)), -2, 2, rel.tol = 1e-10)$value
  }, 0)
  for (rho in c(-0.6, 0, 0.5, 0.9)) {
    expect_equal(box(rho), stats::integrate(inner, -2, 2, rho = rho, rel.tol = 1e-8)$value, tolerance = 1e-7)
  }
})

test_that("the result is always positive definite, and says what it took", {
  z <- correlated_nulls(400, 3, 0.2)
  z <- cbind(z, z[, 1])
  expect_warning(V <- estimate_null_correlation_simple(mash_set_data(z)), "shrunk", class = "covmash_warning_shrunk")
  expect_true(is_covariance(V))
  expect_gt(min(eigen(V)$values), 0.99e-4)
  half <- estimate_null_correlation_simple(mash_set_data(z[, 1:3]), shrink = 0.5)
  whole <- estimate_null_correlation_simple(mash_set_data(z[, 1:3]), shrink = 0)
  expect_equal(half, 0.5 * whole + 0.5 * diag(3))
  expect_s3_class(suppressWarnings(mash_update_data(mash_set_data(z), V = V)), "mash_data")
})

test_that("one condition, and wrong arguments", {
  data <- mash_set_data(correlated_nulls(50, 1, 0))
  expect_equal(estimate_null_correlation_simple(data), matrix(1))
  expect_equal(estimate_null_correlation_simple(data, rule = "pairwise"), matrix(1))
  expect_error(estimate_null_correlation_simple(data, z_thresh = 0), "z_thresh", class = "covmash_error_argument")
  expect_error(estimate_null_correlation_simple(data, shrink = 2), "shrink", class = "covmash_error_argument")
  expect_error(estimate_null_correlation_simple(data, rule = "pairwise", est_cor = FALSE), "est_cor", class = "covmash_error_argument")
  expect_error(estimate_null_correlation_simple(mash_set_data(matrix(5, 20, 2))), "0 effects", class = "covmash_error_null")
})

test_that("a condition whose null effects are all the same has no correlation", {
  z <- correlated_nulls(60, 3, 0.2)
  z[, 2] <- 0
  for (est_cor in c(TRUE, FALSE)) {
    expect_error(
      estimate_null_correlation_simple(suppressWarnings(mash_set_data(z, 1)), est_cor = est_cor), "condition 2",
      class = "covmash_error_null"
    )
  }
})
