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

test_that("partial correlations are those of the inverse", {
  withr::local_seed(6)
  for (K in c(0, 1, 3, 8)) {
    Sigma <- factor_covariance(matrix(rnorm(6 * K), 6, K, dimnames = list(letters[1:6], NULL)), D = runif(6))
    P <- solve(as.matrix(Sigma))
    expected <- -P / sqrt(outer(diag(P), diag(P)))
    diag(expected) <- 1
    expect_close(partial_correlation(Sigma), expected, 1e-11)
    expect_close(partial_correlation(as.matrix(Sigma)), expected, 1e-11)
    for (gene in c("a", "f")) expect_close(partial_correlation(Sigma, gene), expected[gene, ], 1e-11)
    expect_identical(names(partial_correlation(Sigma, 2)), letters[1:6])
  }
  expect_input_error(partial_correlation(Sigma, c("a", "b")), "one gene", "covmash_error_index")
})
