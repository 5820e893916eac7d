test_that("one more pathway adds u u'", {
  Sigma <- factor_covariance(factor_notebook$B, diag(c(2, 3)), factor_notebook$D)
  u <- c(TP53 = 1, BRCA1 = -1, IL6 = 0, TNF = 2)
  more <- update(Sigma, add = u, name = "hypoxia")
  expect_close(as.matrix(more), as.matrix(Sigma) + tcrossprod(u), 1e-15)
  expect_identical(colnames(more$B)[3], "hypoxia")
  expect_identical(colnames(more$F), colnames(more$B))
  expect_input_error(update(Sigma, add = 1:3), "each of the 4 genes", "covmash_error_dimensions")
  expect_input_error(update(Sigma, add = u[4:1]), "same order", "covmash_error_names")
})

test_that("one more pathway by Sherman and Morrison is the inverse of the updated covariance", {
  withr::local_seed(4)
  Sigma <- generate_factor_covariance(8, 2)$Sigma
  u <- rnorm(8) / 5
  P <- update(update(precision(Sigma), add = u), add = rev(u), name = "second")
  expect_true(inherits(P, "factor_precision"))
  M <- as.matrix(Sigma) + tcrossprod(u) + tcrossprod(rev(u))
  expect_close(as.matrix(P), solve(M), 1e-9)
  expect_close(diag(P), diag(solve(M)), 1e-9)
  expect_close(P %*% 1:8, solve(M, 1:8), 1e-9)
  expect_close(as.matrix(solve(P)), M, 1e-14)
  expect_identical(colnames(solve(P)$B), c("pathway_1", "pathway_2", "factor_3", "second"))
})
