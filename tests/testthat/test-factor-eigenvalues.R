test_that("all eigenvalues are those of the dense matrix", {
  withr::local_seed(10)
  for (N in c(1, 5, 40, 230)) {
    for (K in c(0, 1, 4)) {
      Sigma <- factor_covariance(matrix(rnorm(N * K), N, K), D = runif(N))
      expect_close(eigenvalues(Sigma), eigen(as.matrix(Sigma), symmetric = TRUE)$values, 1e-11)
    }
  }
  even <- factor_covariance(matrix(rnorm(750), 250), D = rep(0.5, 250))
  expect_close(eigenvalues(even), eigen(as.matrix(even), symmetric = TRUE)$values, 1e-11)
  expect_close(eigenvalues(precision(even), 3), rep(2, 3), 1e-11)
  singular <- factor_covariance(c(1, 1, 1), D = c(0, 0, 0))
  expect_close(eigenvalues(singular), c(3, 0, 0), 1e-14)
  # each to its own precision
  graded <- factor_covariance(rep(1e-9, 3), D = c(1, 1e-10, 1e-20))
  expect_equal(eigenvalues(graded)[3] / 1e-20, 1 + 1e-18 / 1e-20 - 1e-36 / 1e-10 / 1e-20, tolerance = 1e-9)
})

test_that("leading eigenvalues are found without the matrix, equal ones too", {
  withr::local_seed(11)
  N <- 600
  cases <- list(
    weak = factor_covariance(matrix(rnorm(N * 2, sd = 0.02), N), D = runif(N)),
    strong = factor_covariance(matrix(rnorm(N * 12), N), D = 10^runif(N, -2, 0)),
    equal = factor_covariance(matrix(rnorm(N, sd = 1e-3), N), D = c(rep(7, 9), runif(N - 9)))
  )
  for (Sigma in cases) {
    expected <- eigen(as.matrix(Sigma), symmetric = TRUE, only.values = TRUE)$values
    expect_close(eigenvalues(Sigma, n = 9) / expected[1:9], rep(1, 9), 1e-9)
  }
  expect_input_error(eigenvalues(cases$weak, 601), "from 1 to 600", "covmash_error_argument")
  expect_input_error(eigenvalues(diag(2), 0), "from 1 to 2", "covmash_error_argument")
  expect_input_error(eigenvalues(matrix(1, 2, 3)), "square", "covmash_error_dimensions")
})

test_that("eigenvalues of large matrices are those of LAPACK", {
  withr::local_seed(8)
  N <- 510
  Sigma <- factor_covariance(matrix(rnorm(N * 3), N), D = runif(N, 0.5, 2))
  M <- as.matrix(Sigma)
  truth <- eigen(M, symmetric = TRUE, only.values = TRUE)$values
  expect_equal(eigenvalues(Sigma), truth, tolerance = 1e-13)
  expect_equal(eigenvalues(M), truth, tolerance = 1e-13)
  expect_equal(eigenvalues(M, 2), truth[1:2], tolerance = 1e-13)
  # the lower triangle counts
  half <- M
  half[upper.tri(half)] <- 7
  expect_identical(eigenvalues(half), eigenvalues(M))
  expect_equal(check_covariance(M)$eigenvalues, truth, tolerance = 1e-13)
})

test_that("eigenvalues are never below the smallest noise variance", {
  withr::local_seed(9)
  Sigma <- factor_covariance(matrix(rnorm(1200, sd = 1e6), 300), D = runif(300, 1e-6, 2e-6))
  expect_gte(min(eigenvalues(Sigma)), min(Sigma$D))
  expect_gt(min(eigenvalues(precision(Sigma))), 0)
})
