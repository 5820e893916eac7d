test_that("the covariance of the estimates as they are, with missing ones too", {
  x <- withr::with_seed(1, matrix(rnorm(60), 20, dimnames = list(paste0("e", 1:20), letters[1:3])))
  data <- mash_set_data(x, 1)
  centred <- scale(x, scale = FALSE)
  expect_equal(cov_empirical(data), list(XX = crossprod(centred) / 20), ignore_attr = "dimnames")
  expect_identical(dimnames(cov_empirical(data)$XX), list(letters[1:3], letters[1:3]))
  expect_equal(cov_empirical(data, centre = FALSE)$XX, crossprod(x) / 20)
  expect_equal(cov_empirical(data, subset = c("e1", "e5"), centre = FALSE)$XX, crossprod(x[c(1, 5), ]) / 2)
  x[1:8, 1] <- NA
  x[9:15, 2] <- NA
  U <- cov_empirical(mash_set_data(x, 1))$XX
  expect_equal(U[1, 2], mean((x[, 1] - mean(x[, 1], na.rm = TRUE)) * (x[, 2] - mean(x[, 2], na.rm = TRUE)), na.rm = TRUE), tolerance = 0.05)
  expect_true(is_covariance(U))
  fit <- suppressWarnings(cov_ed(mash_set_data(x, 1), list(XX = U), maxiter = 5))
  expect_named(fit, "ED_XX")
  x[, 3] <- ifelse(is.na(x[, 1]), x[, 3], NA)
  expect_error(suppressWarnings(cov_empirical(mash_set_data(x, 1))), "'a'.*'c'|a.*c", class = "covmash_error_missing")
})

test_that("matrices from factors", {
  made <- cov_from_factors(rbind(c(a = 1, b = 2), c(0, 3)), "f")
  expect_identical(made, list(
    f_1 = matrix(c(1, 2, 2, 4), 2, dimnames = list(c("a", "b"), c("a", "b"))),
    f_2 = matrix(c(0, 0, 0, 9), 2, dimnames = list(c("a", "b"), c("a", "b")))
  ))
  expect_identical(cov_from_factors(c(1, 1))$factor_1, matrix(1, 2, 2))
  expect_error(cov_from_factors("x"), "factors", class = "covmash_error_type")
  expect_error(cov_from_factors(diag(2), NA), "name", class = "covmash_error_argument")
})

test_that("regularised matrices are positive definite", {
  made <- regularize_cov(list(a = matrix(1, 2, 2), b = diag(2)), ridge = 0.1)
  expect_identical(made$a, matrix(c(1.1, 1, 1, 1.1), 2))
  expect_identical(made$b, diag(1.1, 2))
  expect_identical(regularize_cov(diag(2), 0.5), diag(1.5, 2))
  expect_error(regularize_cov(list(matrix(c(1, 2, 2, 1), 2))), "Matrix 1", class = "covmash_error_ulist")
  expect_error(regularize_cov(list()), "empty", class = "covmash_error_ulist")
})

test_that("factors whose squares are no numbers are an error", {
  expect_error(cov_from_factors(c(1, 1e200)), "1e\\+200", class = "covmash_error_magnitude")
})
