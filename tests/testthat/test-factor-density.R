test_that("log densities of many samples, with and without missing values", {
  withr::local_seed(8)
  Sigma <- factor_covariance(matrix(rnorm(10), 5, dimnames = list(letters[1:5], NULL)), diag(2:1), runif(5))
  M <- as.matrix(Sigma)
  mean <- c(1, 0, -1, 2, 0)
  x <- rfactor_cov(70, Sigma, mean)
  rownames(x) <- paste0("s", 1:70)
  dense <- function(x, M, mean) {
    -0.5 * (length(x) * log(2 * pi) + as.numeric(determinant(M)$modulus) + sum((x - mean) * solve(M, x - mean)))
  }
  expected <- apply(x, 1, function(v) dense(v, M, mean))
  expect_close(log_density(x, Sigma, mean), expected, 1e-12)
  expect_named(log_density(x, Sigma, mean), rownames(x))
  expect_identical(log_density(x, Sigma, mean, n_threads = 3), log_density(x, Sigma, mean, n_threads = 1))
  expect_close(log_density(x[1, ], Sigma, mean), expected[[1]], 1e-12)
  x[2, 3] <- NA
  x[5, c(1, 3)] <- NA
  x[6, ] <- NA
  value <- log_density(x, Sigma, mean)
  expect_close(value[[2]], dense(x[2, -3], M[-3, -3], mean[-3]), 1e-12)
  expect_close(value[[5]], dense(x[5, -c(1, 3)], M[-c(1, 3), -c(1, 3)], mean[-c(1, 3)]), 1e-12)
  expect_identical(value[[6]], 0)
  expect_close(value[-c(2, 5, 6)], expected[-c(2, 5, 6)], 1e-12)
  expect_input_error(log_density(x[, 1:4], Sigma), "each of the 5 genes", "covmash_error_dimensions")
  # names decide
  expect_identical(log_density(x[, 5:1], Sigma), log_density(x, Sigma))
  expect_input_error(
    log_density(`colnames<-`(x, LETTERS[1:5]), Sigma), "must have the genes of `Sigma`", "covmash_error_names"
  )
  twice <- `colnames<-`(x, colnames(x)[c(1, 1:4)])
  expect_input_error(log_density(twice, Sigma), "lacks", "covmash_error_names")
  expect_input_error(log_density(replace(x, 1, Inf), Sigma), "row 1", "covmash_error_not_finite")
})

test_that("draws have the right mean and covariance and follow the seed", {
  Sigma <- factor_covariance(factor_notebook$B, matrix(c(1, 0.5, 0.5, 2), 2), factor_notebook$D)
  x <- withr::with_seed(9, rfactor_cov(20000, Sigma, mean = 1:4))
  expect_identical(colnames(x), rownames(Sigma))
  M <- as.matrix(Sigma)
  # five standard errors
  expect_true(all(abs(colMeans(x) - 1:4) < 5 * sqrt(diag(M) / 20000)))
  expect_true(all(abs(cov(x) - M) < 5 * sqrt((outer(diag(M), diag(M)) + M^2) / 20000)))
  expect_identical(withr::with_seed(9, rfactor_cov(20000, Sigma, mean = 1:4)), x)
  expect_identical(dim(rfactor_cov(0, Sigma)), c(0L, 4L))
  none <- factor_covariance(matrix(0, 3, 0), D = c(0, 1, 2))
  expect_identical(rfactor_cov(5, none)[, 1], numeric(5))
})

test_that("means are matched by name, and what overflows is said", {
  Sigma <- factor_covariance(matrix(c(1, 2, 3), dimnames = list(c("a", "b", "c"), NULL)), D = c(1, 2, 3))
  mean <- c(a = 1, b = 5, c = 9)
  x <- matrix(c(1, 0, 2, 4, 4, 4), 2)
  expect_identical(log_density(x, Sigma, mean[c(3, 1, 2)]), log_density(x, Sigma, mean))
  expect_identical(
    conditional(Sigma, c(b = 1), mean[c(3, 1, 2)])$mean, conditional(Sigma, c(b = 1), unname(mean))$mean
  )
  withr::local_seed(1)
  one <- rfactor_cov(2, Sigma, mean)
  withr::local_seed(1)
  expect_identical(rfactor_cov(2, Sigma, rev(mean)), one)
  expect_input_error(log_density(x, Sigma, c(a = 1, b = 2, d = 3)), "lacks 'c', but has 'd'", "covmash_error_names")
  expect_input_error(log_density(x, Sigma, 1e200), "too far out in row 1", "covmash_error_not_finite")
  expect_input_error(rfactor_cov(1e300, Sigma), "at most 2147483647", "covmash_error_argument")
})

test_that("no samples and no factors are no trouble", {
  Sigma <- factor_covariance(matrix(0, 2, 0), D = c(1, 4))
  expect_identical(dim(rfactor_cov(0, Sigma)), c(0L, 2L))
  expect_identical(dim(rfactor_cov(3, Sigma)), c(3L, 2L))
  expect_identical(dim(rfactor_cov(0, factor_covariance(1:2, D = 1:2))), c(0L, 2L))
  expect_length(log_density(matrix(0, 0, 2), Sigma), 0)
  expect_equal(log_density(c(1, 2), Sigma), sum(dnorm(c(1, 2), sd = c(1, 2), log = TRUE)), tolerance = 1e-15)
  expect_identical(as.numeric(determinant(factor_covariance(matrix(0, 2, 0), D = c(0, 1)))$modulus), -Inf)
})
