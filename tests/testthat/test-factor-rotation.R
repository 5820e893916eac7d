test_that("rotations are those of factanal", {
  x <- sample_factor_model(400, 12, 3, seed = 1)
  fit <- fit_factor_model(x, 3, n_threads = 1)
  for (rotation in c("varimax", "promax")) {
    turned <- rotate_factors(fit, rotation)
    peer <- stats::factanal(x, 3, rotation = rotation, control = tight_factanal)
    expect_equal(
      unclass(turned$loadings / sqrt(turned$variance)), unclass(peer$loadings)[, ],
      tolerance = 1e-5, ignore_attr = TRUE
    )
    expect_equal(as.matrix(turned$covariance), as.matrix(fit$covariance), tolerance = 1e-10)
    expect_equal(turned$loadings, fit$loadings %*% turned$rotation_matrix, ignore_attr = TRUE)
    expect_identical(turned$rotation, rotation)
    direct <- fit_factor_model(x, 3, rotation = rotation, n_threads = 1)
    expect_equal(direct$loadings, turned$loadings)
    back <- rotate_factors(turned, "none")
    expect_equal(back$loadings, fit$loadings)
    expect_null(back$factor_covariance)
  }
  expect_equal(base::diag(turned$factor_covariance), rep(1, 3), ignore_attr = TRUE, tolerance = 1e-6)
})

test_that("one factor has nothing to rotate", {
  fit <- quiet_fit(sample_factor_model(50, 6, 1), 1, rotation = "promax")
  expect_null(fit$factor_covariance)
  expect_identical(fit$rotation_matrix, matrix(1))
  expect_error(rotate_factors(1), class = "covmash_error_fit")
  expect_error(rotate_factors(fit, "oblimin"), class = "covmash_error_argument")
})
