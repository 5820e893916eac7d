dense_conditional <- function(M, at, x, mean) {
  K <- M[-at, at, drop = FALSE] %*% solve(M[at, at])
  list(mean = drop(mean[-at] + K %*% (x - mean[at])), covariance = M[-at, -at] - K %*% M[at, -at])
}

test_that("conditional distributions are those of the dense formula", {
  withr::local_seed(5)
  for (repeats in 1:10) {
    K <- sample(0:9, 1)
    F <- if (K > 0 && repeats %% 2) crossprod(matrix(rnorm(2 * K), 2))
    Sigma <- factor_covariance(matrix(rnorm(7 * K), 7, K, dimnames = list(letters[1:7], NULL)), F, runif(7, 0.2, 2))
    at <- sample.int(7, sample.int(6, 1))
    x <- rnorm(length(at))
    mean <- rnorm(7)
    result <- conditional(Sigma, stats::setNames(x, letters[at]), mean)
    expected <- dense_conditional(as.matrix(Sigma), at, x, mean)
    expect_close(result$mean, expected$mean, 1e-11)
    expect_true(inherits(result$covariance, "factor_cov"))
    expect_close(as.matrix(result$covariance), expected$covariance, 1e-11)
    expect_identical(names(result$mean), letters[1:7][-at])
    expect_identical(rownames(result$covariance), letters[1:7][-at])
  }
  # genes without noise are conditioned on exactly
  Sigma <- factor_covariance(matrix(rnorm(12), 4), D = c(0, 1, 0, 2))
  result <- conditional(Sigma, c("1" = 1, "3" = 2))
  expected <- dense_conditional(as.matrix(Sigma), c(1, 3), c(1, 2), rep(0, 4))
  expect_close(result$mean, expected$mean, 1e-10)
  expect_close(as.matrix(result$covariance), expected$covariance, 1e-10)
})

test_that("if TP53 is highly expressed, so is BRCA1", {
  Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
  result <- conditional(Sigma, c(TP53 = 2))
  expect_equal(result$mean[["BRCA1"]], 0.56 / 0.68 * 2)
  expect_equal(result$covariance["BRCA1", "BRCA1"], 0.52 - 0.56^2 / 0.68)
  expect_named(result$factors, colnames(factor_notebook$B))
})

test_that("`given` that cannot be used is named", {
  Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
  expect_input_error(conditional(Sigma, c(MYC = 1)), "'MYC'", "covmash_error_index")
  expect_input_error(conditional(Sigma, 1), "without names", "covmash_error_argument")
  expect_input_error(conditional(Sigma, c(TP53 = NA)), "finite", "covmash_error_argument")
  expect_input_error(conditional(Sigma, c(TP53 = 1, TP53 = 2)), "'TP53' twice", "covmash_error_index")
  all <- c(TP53 = 1, BRCA1 = 1, IL6 = 1, TNF = 1)
  expect_input_error(conditional(Sigma, all), "every gene", "covmash_error_argument")
  expect_input_error(conditional(Sigma, c(TP53 = 1), mean = 1:3), "each of the 4 genes", "covmash_error_argument")
  expect_input_error(conditional(diag(2), c(a = 1)), "must be a `factor_cov`", "covmash_error_type")
})
