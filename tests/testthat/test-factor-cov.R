genes <- c("TP53", "BRCA1", "IL6", "TNF")
small <- function(F = NULL) factor_covariance(factor_notebook$B, F, factor_notebook$D)
F2 <- matrix(c(1, 0.5, 0.5, 2), 2)

test_that("every number of the notebook is reproduced to its printed digits", {
  Sigma <- small()
  named <- function(x) matrix(x, 4, 4, dimnames = list(genes, genes))
  systematic <- as.matrix(systematic_covariance(Sigma))
  expect_equal(round(systematic, 2), named(c(
    0.64, 0.56, 0.08, 0.08, 0.56, 0.49, 0.07, 0.07, 0.08, 0.07, 0.82, 0.73, 0.08, 0.07, 0.73, 0.65
  )))
  expect_equal(as.matrix(noise_covariance(Sigma)), named(c(0.04, 0, 0, 0, 0, 0.03, 0, 0, 0, 0, 0.05, 0, 0, 0, 0, 0.06)))
  expect_equal(round(as.matrix(Sigma), 2), named(c(
    0.68, 0.56, 0.08, 0.08, 0.56, 0.52, 0.07, 0.07, 0.08, 0.07, 0.87, 0.73, 0.08, 0.07, 0.73, 0.71
  )))
  check <- check_covariance(Sigma)
  expect_true(check$symmetric && check$positive_semidefinite && check$positive_diagonal)
  expect_equal(round(rev(eigenvalues(Sigma)), 4), c(0.0343, 0.0556, 1.1112, 1.5789))
  expect_equal(round(as.matrix(correlation(Sigma)), 2), named(c(
    1, 0.94, 0.10, 0.12, 0.94, 1, 0.10, 0.12, 0.10, 0.10, 1, 0.93, 0.12, 0.12, 0.93, 1
  )))
  expect_equal(round(c(Sigma["TP53", "BRCA1"], Sigma["IL6", "TNF"], Sigma["TP53", "IL6"]), 2), c(0.56, 0.73, 0.08))
  rho <- correlation(Sigma)
  expect_equal(round(c(rho["TP53", "BRCA1"], rho["IL6", "TNF"], rho["TP53", "IL6"]), 2), c(0.94, 0.93, 0.10))

  random <- factor_notebook$random_matrix
  expect_equal(round(random, 2), matrix(c(
    0.50, -0.14, 0.65, 1.52, -0.23, -0.23, 1.58, 0.77, -0.47, 0.54, -0.46, -0.47, 0.24, -1.91, -1.72,
    -0.56, -1.01, 0.31, -0.91, -1.41, 1.47, -0.23, 0.07, -1.42, -0.54
  ), 5, byrow = TRUE))
  expect_equal(sort(round(eigenvalues(random), 2)), c(-2.48, -1.02, 0.15, 1.89, 2.33))
  expect_false(is_covariance(random))

  large <- factor_covariance(factor_notebook$B_large, D = factor_notebook$D_large)
  expect_identical(dim(large), c(100L, 100L))
  values <- eigenvalues(large)
  expect_equal(round(range(values), 6), c(0.011776, 1.222432))
  expect_true(all(values > 0))

  count <- n_parameters(500, 10)
  expect_identical(c(count$full, count$factor), c(125250, 5500))
  expect_identical(sprintf("%.1f%%", 100 * count$reduction), "95.6%")
})

test_that("a factor_cov has its elements, names and size", {
  Sigma <- small(F2)
  expect_true(inherits(Sigma, "factor_cov"))
  expect_true(isS4(Sigma))
  expect_named(Sigma, c("B", "F", "D"))
  expect_null(small()$F)
  expect_identical(dim(Sigma), c(4L, 4L))
  expect_identical(dimnames(Sigma), list(genes, genes))
  expect_identical(names(Sigma$D), genes)
  expect_identical(colnames(Sigma$F), colnames(factor_notebook$B))
  # names from D only; F and D as matrices; a vector is one factor
  unnamed <- factor_covariance(unname(factor_notebook$B), diag(2), diag(factor_notebook$D))
  expect_null(dimnames(unnamed))
  expect_identical(rownames(factor_covariance(unname(factor_notebook$B), D = factor_notebook$D)), genes)
  expect_close(as.matrix(unnamed), as.matrix(small()), 1e-15)
  expect_identical(dim(factor_covariance(c(a = 1, b = 2), D = c(1, 1))), c(2L, 2L))
  expect_identical(as.matrix(factor_covariance(c(a = 1, b = 2), D = c(1, 1)))["a", "b"], 2)
  expect_identical(as.matrix(factor_covariance(matrix(0, 2, 0), D = 1:2)), diag(c(1, 2)))
  expect_identical(as.matrix(factor_covariance(2, 3, 1)), matrix(13))
})

test_that("bad parts are named", {
  B <- factor_notebook$B
  D <- factor_notebook$D
  expect_input_error(factor_covariance(B), "`D` is missing", "covmash_error_argument")
  expect_input_error(factor_covariance(B, D = D[1:3]), "each of the 4 rows .*has 3", "covmash_error_dimensions")
  expect_input_error(factor_covariance(B, diag(3), D), "each of the 2 columns .*3 x 3", "covmash_error_dimensions")
  expect_input_error(factor_covariance(B[0, ], D = D), "at least one row", "covmash_error_dimensions")
  expect_input_error(factor_covariance(B, D = replace(D, 3, -1)), "element 3 \\('IL6'\\) is -1", "covmash_error_variance")
  expect_input_error(factor_covariance(B, D = replace(D, 2, NA)), "element 2 \\('BRCA1'\\) is NA", "covmash_error_not_finite")
  expect_input_error(factor_covariance(replace(B, 6, Inf), D = D), "row 2 \\('BRCA1'\\), column 2", "covmash_error_not_finite")
  expect_input_error(factor_covariance(B, matrix(c(1, 2, 2, 1), 2), D), "smallest eigenvalue is -1", "covmash_error_not_psd")
  expect_input_error(factor_covariance(B, matrix(c(1, 0, 0.5, 1), 2), D), "symmetric", "covmash_error_not_psd")
  expect_input_error(factor_covariance("a", D = 1), "numeric matrix", "covmash_error_type")
  expect_input_error(factor_covariance(B, D = list(1)), "vector of noise variances", "covmash_error_type")
  expect_input_error(factor_covariance(B, D = matrix(0.1, 4, 4)), "diagonal matrix", "covmash_error_type")
  clash <- stats::setNames(D, c("TP53", "IL6", "BRCA1", "TNF"))
  expect_input_error(factor_covariance(B, D = clash), "gene 2 is 'BRCA1' in `B` but 'IL6' in `D`", "covmash_error_names")
  F <- matrix(diag(2), 2, dimnames = list(NULL, c("NF-kB Pathway", "p53 Pathway")))
  expect_input_error(factor_covariance(B, F, D), "names of `B` and `F` clash", "covmash_error_names")
  rownames(B)[2] <- "TP53"
  expect_covmash_warning(factor_covariance(B, D = unname(D)), "Two genes are called 'TP53'", "covmash_warning_names")
})

test_that("what is missing or too large is said", {
  expect_input_error(factor_covariance(D = 1), "`B` is missing", "covmash_error_argument")
  expect_input_error(
    factor_covariance(c(a = 1, b = 1e200), D = c(1, 1)), "gene 2 \\('b'\\) a variance above", "covmash_error_not_finite"
  )
  expect_input_error(factor_covariance(diag(2), 1e308 * diag(2), c(1e308, 1)), "gene 1", "covmash_error_not_finite")
  # only the bound overflows
  expect_identical(factor_covariance(diag(1e154, 2), D = 1:2)$D, c(1, 2))
})

test_that("matrices of the Matrix package are taken wherever a plain one is", {
  skip_if_not_installed("Matrix")
  withr::local_seed(3)
  M <- crossprod(matrix(rnorm(20), 5)) + diag(4)
  dimnames(M) <- list(letters[1:4], letters[1:4])
  general <- methods::as(methods::as(Matrix::Matrix(M), "generalMatrix"), "CsparseMatrix")
  kinds <- list(Matrix::Matrix(M), Matrix::pack(Matrix::Matrix(M)), general, Matrix::forceSymmetric(general))
  B <- matrix(rnorm(16), 4, dimnames = list(NULL, letters[1:4]))
  for (x in kinds) {
    expect_identical(precision(x), precision(M))
    expect_equal(eigenvalues(x), eigenvalues(M))
    expect_identical(partial_correlation(x), partial_correlation(M))
    expect_identical(correlation(x, "b"), correlation(M, "b"))
    expect_true(is_covariance(x))
    expect_identical(nearest_covariance(x), nearest_covariance(M))
    expect_identical(factor_covariance(B, x, 1:4), factor_covariance(B, M, 1:4))
    expect_identical(solve(factor_covariance(B, D = 1:4), x), solve(factor_covariance(B, D = 1:4), M))
    expect_input_error(factor_covariance(B, D = x), "diagonal matrix", "covmash_error_type")
  }
  d <- Matrix::Diagonal(x = c(1, 2, 3, 4))
  for (D in list(d, methods::as(d, "CsparseMatrix"), Matrix::Matrix(diag(c(1, 2, 3, 4)), sparse = FALSE))) {
    expect_identical(factor_covariance(B, D = D), factor_covariance(B, D = 1:4))
  }
  # its plain form would have 3 GB
  large <- factor_covariance(rep(1, 20000), D = Matrix::Diagonal(20000, 2))
  expect_identical(large$D, rep(2, 20000))
  expect_identical(precision(Matrix::Diagonal(2, 4)), diag(0.25, 2))
})
