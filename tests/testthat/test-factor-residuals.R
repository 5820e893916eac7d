test_that("residuals are observed minus fitted", {
  x <- sample_factor_model(80, 7, 2, seed = 1) * rep(1:7, each = 80)
  fit <- quiet_fit(x, 2)
  S <- cov(x) * 79 / 80
  Sigma <- as.matrix(fit$covariance)
  expect_equal(residuals(fit, "covariance"), S - Sigma)
  expect_equal(residuals(fit), cov2cor(S) - cov2cor(Sigma))
  expect_equal(fitted(fit, "covariance"), Sigma)
  expect_equal(fitted(fit), cov2cor(Sigma))
  expect_equal(unname(base::diag(residuals(fit))), numeric(7))
  expect_equal(residuals(fit, data = x), residuals(fit))
  expect_equal(residuals(fit, data = as.data.frame(x[, 7:1])), residuals(fit))
  from_matrix <- quiet_fit(S, 2, n_samples = 80)
  expect_equal(residuals(from_matrix), residuals(fit), tolerance = 1e-6)
  expect_equal(residuals(from_matrix, data = S[7:1, 7:1]), residuals(from_matrix))
  # as factanal's
  peer <- stats::factanal(x, 2, rotation = "none", control = tight_factanal)
  expect_equal(
    residuals(fit), peer$correlation - tcrossprod(unclass(peer$loadings)) - base::diag(peer$uniquenesses),
    tolerance = 1e-4
  )
  turned <- rotate_factors(fit, "promax")
  expect_equal(residuals(turned), residuals(fit), tolerance = 1e-10)
})

test_that("casewise residuals are what the scores leave", {
  x <- sample_factor_model(50, 6, 1, seed = 2)
  fit <- quiet_fit(x, 1)
  left <- residuals(fit, "casewise", data = x)
  scores <- factor_scores(fit, x)
  expect_equal(left, sweep(x, 2, colMeans(x)) - scores %*% t(fit$loadings))
  expect_equal(left + fitted(fit, "casewise", data = x), x)
  x[3, 2] <- NA
  left <- residuals(fit, "casewise", data = x)
  expect_identical(which(is.na(left)), which(is.na(x)))
  expect_false(anyNA(fitted(fit, "casewise", data = x)))
  expect_error(residuals(fit, "casewise"), "`data`", class = "covmash_error_argument")
  none <- fit_factor_model(x[-3, ], 0, n_threads = 1)
  expect_equal(unname(fitted(none, "casewise", data = x)[3, ]), unname(none$mean))
})

test_that("with missing values the correlations are pairwise, and need the data", {
  x <- sample_factor_model(60, 6, 1, seed = 3)
  x[sample(360, 40)] <- NA
  fit <- quiet_fit(x, 1)
  expect_null(fit$observed)
  expect_error(residuals(fit), "values are missing", class = "covmash_error_argument")
  left <- residuals(fit, data = x)
  expect_equal(left, cor(x, use = "pairwise") - fitted(fit))
  both <- !is.na(x[, 1]) & !is.na(x[, 2])
  expect_equal(
    residuals(fit, "covariance", x)[1, 2],
    cov(x[both, 1], x[both, 2]) * (sum(both) - 1) / sum(both) - fitted(fit, "covariance")[1, 2]
  )
  expect_error(residuals(fit, data = x[, -1]), class = "covmash_error_names")
  expect_error(residuals(fit, data = "a"), class = "covmash_error_type")
  expect_error(residuals(fit, data = unname(x)[, -1]), "`data`", class = "covmash_error_dimensions")
})

test_that("large covariance matrices are not kept", {
  x <- sample_factor_model(10, 501, 1, seed = 4)
  fit <- fit_factor_model(x, 1, "ppca", n_threads = 1)
  expect_null(fit$observed)
  expect_error(residuals(fit), "many genes", class = "covmash_error_argument")
  expect_equal(residuals(fit, data = x)[1:3, 5:6], (cor(x) - fitted(fit))[1:3, 5:6])
  expect_identical(dim(quiet_fit(x[, 1:500], 1, "ppca")$observed), c(500L, 500L))
})
