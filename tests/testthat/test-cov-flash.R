test_that("without flashier it says what to install", {
  skip_if(requireNamespace("flashier", quietly = TRUE), "flashier is installed")
  expect_error(cov_flash(small_data()$data), "flashier", class = "covmash_error_package")
})

test_that("wrong arguments are errors, with or without flashier", {
  data <- small_data()$data
  expect_error(cov_flash(data, "strange"), "factors", class = "covmash_error_argument")
  expect_error(cov_flash(data, tag = 3), "tag", class = "covmash_error_argument")
  expect_error(cov_flash(data, greedy_args = 3), "greedy_args", class = "covmash_error_argument")
  expect_error(cov_flash(data, remove_singleton = NA), "remove_singleton", class = "covmash_error_argument")
})

flash_data <- function(missing = FALSE) {
  withr::with_seed(1, {
    B <- outer(rnorm(200) * sample(0:1, 200, TRUE), c(2, 2, 0, 0)) + outer(rnorm(200) * sample(0:1, 200, TRUE), c(0, 0, 0, 3))
    x <- B + matrix(rnorm(800, sd = 0.3), 200)
    dimnames(x) <- list(NULL, letters[1:4])
    if (missing) x[sample(800, 60)] <- NA
    mash_set_data(x, 0.3)
  })
}

test_that("factors of the effects become covariances", {
  skip_on_cran()
  skip_if_not_installed("flashier")
  made <- cov_flash(flash_data())
  expect_identical(names(made)[1:2], c("tFLASH_default", "FLASH_default_1"))
  expect_identical(dimnames(made[[1]]), list(letters[1:4], letters[1:4]))
  for (U in made) expect_gte(min(eigen(U, symmetric = TRUE)$values), -1e-10)
  expect_equal(sum(diag(made$FLASH_default_1)), 1, tolerance = 1e-8)
  # what is seen is explained
  expect_equal(unname(made$tFLASH_default), crossprod(flash_data()$Bhat) / 200, tolerance = 0.2, ignore_attr = TRUE)
  kept <- cov_flash(flash_data(), remove_singleton = TRUE, tag = "x")
  expect_identical(names(kept), c("tFLASH_x", "FLASH_x_1"))
  expect_gt(kept$FLASH_x_1["a", "b"], 0.3)
})

test_that("non-negative factors, missing estimates, and a file of the fit", {
  skip_on_cran()
  skip_if_not_installed("flashier")
  file <- withr::local_tempfile(fileext = ".rds")
  expect_warning(
    made <- cov_flash(flash_data(missing = TRUE), "nonneg", subset = 1:150, output_model = file),
    class = "covmash_warning_missing"
  )
  expect_warning(left_out <- cov_flash(flash_data(missing = TRUE)), NA)
  expect_equal(left_out$FLASH_default_1, cov_flash(flash_data())$FLASH_default_1, tolerance = 0.1)
  for (U in made[-1]) expect_gte(min(U), -1e-10)
  expect_true(file.exists(file))
  expect_true(is.finite(mash(flash_data(TRUE), made, verbose = FALSE)$loglik))
  noise <- withr::with_seed(2, mash_set_data(matrix(rnorm(60), 20)))
  expect_warning(none <- cov_flash(noise), "no factor", class = "covmash_warning_factors")
  expect_null(none)
})
