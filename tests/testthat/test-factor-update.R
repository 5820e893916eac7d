test_that("one more pathway adds u u'", {
  Sigma <- factor_covariance(factor_notebook$B, diag(c(2, 3)), factor_notebook$D)
  u <- c(TP53 = 1, BRCA1 = -1, IL6 = 0, TNF = 2)
  more <- update(Sigma, add = u, name = "hypoxia")
  expect_close(as.matrix(more), as.matrix(Sigma) + tcrossprod(u), 1e-15)
  expect_identical(colnames(more$B)[3], "hypoxia")
  expect_identical(colnames(more$F), colnames(more$B))
  expect_input_error(update(Sigma, add = 1:3), "each of the 4 genes", "covmash_error_dimensions")
  # names decide
  expect_identical(update(Sigma, add = u[4:1], name = "hypoxia"), more)
  expect_identical(update(precision(Sigma), add = u[4:1])$covariance, update(Sigma, add = u))
  other <- stats::setNames(u, c("TP53", "BRCA1", "IL6", "MYC"))
  expect_input_error(update(Sigma, add = other), "lacks 'TNF', but has 'MYC'", "covmash_error_names")
  expect_input_error(update(Sigma, add = stats::setNames(u, 1:4)), "lacks 'TP53'", "covmash_error_names")
  expect_input_error(update(Sigma, add = u, name = c("a", "b")), "`name` must be one name", "covmash_error_argument")
})

test_that("a pathway can be the first", {
  more <- update(noise_covariance(factor_covariance(1:3, D = c(a = 1, b = 2, c = 3))), add = 1:3, name = "new")
  expect_identical(more$B, matrix(c(1, 2, 3), dimnames = list(letters[1:3], "new")))
  expect_close(as.matrix(more), tcrossprod(1:3) + diag(1:3), 1e-15)
})

test_that("a pathway that explains all of a gene costs no digits of the inverse", {
  P <- update(precision(factor_covariance(c(1, 1), D = c(1, 1))), add = c(1e10, 0))
  # (1e20 + 2, 1; 1, 2)
  expect_equal(diag(P), c(2, 1e20 + 2) / (2 * (1e20 + 2) - 1), tolerance = 1e-14)
  expect_equal(P %*% c(1, 0), matrix(c(2, -1)) / (2e20 + 3), tolerance = 1e-14)
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
