test_that("parts of a factored covariance are factored covariances", {
  Sigma <- factor_covariance(factor_notebook$B, matrix(c(1, 0.5, 0.5, 2), 2), factor_notebook$D)
  M <- as.matrix(Sigma)
  part <- marginal(Sigma, c("TNF", "TP53"))
  expect_true(inherits(part, "factor_cov"))
  expect_close(as.matrix(part), M[c("TNF", "TP53"), c("TNF", "TP53")], 1e-15)
  expect_true(inherits(marginal(Sigma, "TNF"), "factor_cov"))
  expect_identical(dim(marginal(Sigma, -1)), c(3L, 3L))
  expect_input_error(marginal(Sigma, "MYC"), "'MYC'", "covmash_error_index")
  expect_input_error(marginal(Sigma, c(1, 1)), "gene 1 \\('TP53'\\) is chosen twice", "covmash_error_index")
  expect_input_error(marginal(Sigma, integer()), "at least one gene", "covmash_error_index")
  expect_close(as.matrix(systematic_covariance(Sigma)) + as.matrix(noise_covariance(Sigma)), M, 1e-15)
  expect_identical(dimnames(systematic_covariance(Sigma)), dimnames(M))
  expect_identical(dimnames(noise_covariance(Sigma)), dimnames(M))
})

test_that("correlations are covariances divided by standard deviations", {
  Sigma <- factor_covariance(factor_notebook$B, matrix(c(1, 0.5, 0.5, 2), 2), factor_notebook$D)
  expected <- cov2cor(as.matrix(Sigma))
  expect_true(inherits(correlation(Sigma), "factor_cov"))
  expect_close(as.matrix(correlation(Sigma)), expected, 1e-14)
  expect_close(as.matrix(cov2cor(Sigma)), expected, 1e-14)
  for (gene in rownames(Sigma)) expect_close(correlation(Sigma, gene), expected[gene, ], 1e-14)
  expect_identical(correlation(Sigma, 2)[["BRCA1"]], 1)
  expect_close(correlation(as.matrix(Sigma)), expected, 1e-15)
  expect_close(correlation(as.matrix(Sigma), "TNF"), expected["TNF", ], 1e-15)
  none <- factor_covariance(matrix(c(1, 0), 2, dimnames = list(c("a", "b"), NULL)), D = c(1, 0))
  expect_input_error(correlation(none), "variance 0 for gene 2 \\('b'\\)", "covmash_error_variance")
})

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
