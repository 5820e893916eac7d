genes <- c("TP53", "BRCA1", "IL6", "TNF")
small <- function(F = NULL) factor_covariance(factor_notebook$B, F, factor_notebook$D)
F2 <- matrix(c(1, 0.5, 0.5, 2), 2)

test_that("entries are those of the dense matrix", {
  Sigma <- small(F2)
  M <- with(factor_notebook, B %*% F2 %*% t(B) + diag(D))
  dimnames(M) <- list(genes, genes)
  expect_close(as.matrix(Sigma), M, 1e-15)
  expect_identical(dimnames(as.matrix(Sigma)), dimnames(M))
  expect_identical(as.matrix(Sigma), t(as.matrix(Sigma)))
  expect_equal(Sigma["TP53", "TNF"], M["TP53", "TNF"])
  expect_equal(Sigma[1, ], M[1, ])
  expect_equal(Sigma[, "IL6"], M[, "IL6"])
  expect_equal(Sigma[-1, c("TNF", "TP53")], M[-1, c("TNF", "TP53")])
  expect_equal(Sigma[2, , drop = FALSE], M[2, , drop = FALSE])
  expect_equal(Sigma[c(TRUE, FALSE, TRUE, FALSE), 2], M[c(1, 3), 2])
  expect_equal(Sigma[cbind(c(1, 4), c(2, 4))], M[cbind(c(1, 4), c(2, 4))])
  expect_equal(Sigma[cbind("IL6", "TNF")], M[cbind("IL6", "TNF")])
  expect_equal(Sigma[7], M[[7]])
  # The same genes in rows and columns are a covariance again, but not one gene, and not a gene twice.
  part <- Sigma[c("TNF", "TP53"), c("TNF", "TP53")]
  expect_true(inherits(part, "factor_cov"))
  expect_equal(as.matrix(part), M[c("TNF", "TP53"), c("TNF", "TP53")])
  expect_identical(Sigma[, ], Sigma)
  expect_equal(Sigma[2, 2], M[2, 2])
  expect_equal(Sigma[2, 2, drop = FALSE], M[2, 2, drop = FALSE])
  expect_equal(Sigma[c(1, 1), c(1, 1)], M[c(1, 1), c(1, 1)])
  expect_input_error(Sigma["nobody", 1], "nobody", "covmash_error_index")
  expect_input_error(Sigma[5, 1], "5", "covmash_error_index")
  expect_input_error(Sigma[1, 1, 1], "two indices", "covmash_error_index")
})

test_that("print, format and summary say what it is", {
  Sigma <- small()
  expect_match(format(Sigma), "4 genes, 2 factors")
  out <- capture.output(returned <- withVisible(print(Sigma, n = 2)))
  expect_false(returned$visible)
  expect_match(out, "93.5 % of the total variance", all = FALSE)
  expect_match(out, "2 genes more", all = FALSE)
  expect_identical(capture.output(show(Sigma)), capture.output(print(Sigma)))
  s <- summary(Sigma)
  expect_equal(s$communality[["TP53"]], 0.64 / 0.68)
  expect_equal(s$log_determinant, log(det(as.matrix(Sigma))))
  expect_output(print(s), "identified: 11")
  expect_output(print(factor_covariance(matrix(0, 2, 0), D = c(0, 1))), "0 for 1 gene")
})

test_that("equal covariances are equal, whatever the rotation of their loadings", {
  Sigma <- small(F2)
  expect_true(all.equal(Sigma, Sigma))
  turn <- matrix(c(0.6, -0.8, 0.8, 0.6), 2)
  turned <- factor_covariance(factor_notebook$B %*% turn, t(turn) %*% F2 %*% turn, factor_notebook$D)
  expect_true(all.equal(Sigma, turned))
  expect_match(all.equal(Sigma, small()), "Systematic", all = FALSE)
  expect_match(all.equal(Sigma, 2 * Sigma), "Noise", all = FALSE)
  expect_match(all.equal(Sigma, Sigma[1:2, 1:2]), "Numbers of genes")
  expect_match(all.equal(Sigma, as.matrix(Sigma)), "not a factor_cov")
})

test_that("a number scales it", {
  Sigma <- small(F2)
  expect_close(as.matrix(3 * Sigma), 3 * as.matrix(Sigma), 1e-15)
  expect_close(as.matrix(Sigma / 4), as.matrix(Sigma) / 4, 1e-15)
  expect_input_error(Sigma + 1, "as.matrix", "covmash_error_type")
  expect_input_error(1 / Sigma, "as.matrix", "covmash_error_type")
  expect_input_error(Sigma * -1, "at least 0", "covmash_error_type")
})

test_that("print says it when there is no noise, or one variance", {
  Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
  expect_output(print(systematic_covariance(Sigma)), "noise D:    none", fixed = TRUE)
  expect_output(print(correlation(Sigma)), "variances:  1\n", fixed = TRUE)
  expect_output(print(Sigma), "noise D:    0.03 to 0.06", fixed = TRUE)
})

test_that("drop is TRUE or FALSE", {
  S <- factor_covariance(c(1, 0.5), D = c(1, 1))
  for (drop in list(NA, c(TRUE, FALSE), list(), "a")) {
    expect_input_error(S[1, 2, drop = drop], "drop")
    expect_input_error(precision(S)[1, 2, drop = drop], "drop")
  }
})

test_that("places with a 0 are none, as in a plain matrix", {
  S <- factor_covariance(cbind(1:3), D = 1:3)
  at <- cbind(c(0, 2, 2, 3), c(3, 0, 1, 3))
  expect_equal(S[at], as.matrix(S)[at])
  expect_length(S[at[1:2, ]], 0)
})
