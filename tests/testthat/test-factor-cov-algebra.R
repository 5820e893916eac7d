# Every method, called as a user would with nothing but covmash attached (and Matrix, in one of the two orders), in a
# process of its own: dispatch depends on what is on the search path.
algebra_script <- '
for (package in commandArgs(TRUE)) library(package, character.only = TRUE)
set.seed(1)
B <- matrix(rnorm(15), 5, 3, dimnames = list(letters[1:5], NULL))
F <- crossprod(matrix(rnorm(9), 3))
S <- factor_covariance(B, F, runif(5))
M <- as.matrix(S)
P <- solve(S)
Q <- base::solve(M)
y <- matrix(rnorm(10), 5, dimnames = list(NULL, c("u", "v")))
v <- rnorm(5)
same <- function(a, b) stopifnot(isTRUE(all.equal(a, b, tolerance = 1e-10)))
for (pair in list(list(S, M), list(P, Q))) {
  A <- pair[[1]]; D <- pair[[2]]
  same(A %*% y, D %*% y); same(t(y) %*% A, t(y) %*% D); same(A %*% v, D %*% v); same(v %*% A, v %*% D)
  same(A %*% A, D %*% D)
  same(crossprod(A), crossprod(D)); same(crossprod(A, y), crossprod(D, y)); same(crossprod(y, A), crossprod(y, D))
  same(crossprod(v, A), crossprod(v, D)); same(crossprod(A, v), crossprod(D, v)); same(crossprod(A, NULL), crossprod(D))
  same(tcrossprod(A), tcrossprod(D)); same(tcrossprod(A, t(y)), tcrossprod(D, t(y)))
  same(tcrossprod(t(y), A), tcrossprod(t(y), D)); same(tcrossprod(v, A), tcrossprod(v, D))
  same(crossprod(A, A), crossprod(D, D)); same(tcrossprod(A, A), tcrossprod(D, D))
  same(diag(A), diag(D)); same(diag(A, names = FALSE), diag(D, names = FALSE))
  same(as.matrix(cov2cor(A)), cov2cor(D))
  same(dim(A), dim(D)); same(dimnames(A), dimnames(D)); same(nrow(A), 5L); same(A[2, 3], D[2, 3]); same(A[-1, 2], D[-1, 2])
  same(as.matrix(t(A)), D); same(solve(A, y), solve(D, y)); same(solve(A, v), solve(D, v))
  same(as.matrix(solve(A)), solve(D)); same(c(determinant(A)$modulus), c(determinant(D)$modulus)); same(det(A), det(D))
  same(determinant(A, logarithm = FALSE)$modulus, determinant(D, logarithm = FALSE)$modulus)
  same(chol(A), chol(D)); stopifnot(isTRUE(all.equal(A, A)), is.character(format(A)))
  u <- c(1, 0, -1, 0, 2)
  same(as.matrix(update(A, add = u)), if (identical(A, S)) M + tcrossprod(u) else solve(M + tcrossprod(u)))
  invisible(capture.output(print(A), summary(A), print(summary(A)), show(A)))
}
same(eigenvalues(S), eigen(M)$values); same(eigenvalues(P), eigen(Q)$values); same(eigenvalues(M, 2), eigen(M)$values[1:2])
# nothing of base or stats is changed
same(diag(3), base::diag(3)); same(diag(2, 3), base::diag(2, 3)); same(diag(c(a = 1, b = 2)), base::diag(c(a = 1, b = 2)))
same(crossprod(y), base::crossprod(y)); same(tcrossprod(y, y), base::tcrossprod(y, y)); same(cov2cor(M), stats::cov2cor(M))
same(1:3 %*% 1:3, base::`%*%`(1:3, 1:3))
cat("all methods agree\\n")
'

run_algebra <- function(packages) {
  path <- withr::local_tempfile(fileext = ".R", lines = algebra_script)
  suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(path), packages),
    stdout = TRUE, stderr = TRUE, env = paste0("R_LIBS=", paste(.libPaths(), collapse = .Platform$path.sep))
  ))
}

test_that("every method works with only covmash attached, and attaching it says nothing", {
  expect_identical(run_algebra("covmash"), "all methods agree")
})

test_that("every method works with Matrix attached, before or after", {
  skip_if_not_installed("Matrix")
  expect_identical(tail(run_algebra(c("covmash", "Matrix")), 1), "all methods agree")
  expect_identical(run_algebra(c("Matrix", "covmash")), "all methods agree")
})

test_that("products that do not fit are errors", {
  Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
  expect_input_error(Sigma %*% diag(3), "4 rows, but it is 3 x 3", "covmash_error_dimensions")
  expect_input_error(1:3 %*% Sigma, "4 columns", "covmash_error_dimensions")
  expect_input_error(crossprod(Sigma, "a"), "cannot be multiplied by", "covmash_error_type")
  expect_input_error(solve(Sigma, 1:3), "4 rows, one for each gene, but it is 3 x 1", "covmash_error_dimensions")
})

test_that("names decide which row of the other side belongs to which gene", {
  Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
  P <- precision(Sigma)
  y <- matrix(c(1, 2, 3, 4, 0, 1, 0, 5), 4, dimnames = list(names(factor_notebook$D), c("u", "v")))
  turned <- y[c(3, 1, 4, 2), ]
  for (S in list(Sigma, P)) {
    expect_identical(S %*% turned, S %*% y)
    expect_identical(crossprod(S, turned), S %*% y)
    expect_identical(tcrossprod(S, t(turned)), S %*% y)
    expect_identical(t(turned) %*% S, t(y) %*% S)
    expect_identical(crossprod(turned, S), t(y) %*% S)
    expect_identical(tcrossprod(t(turned), S), t(y) %*% S)
    expect_identical(S %*% turned[, 1], S %*% y[, 1])
    expect_identical(solve(S, turned), solve(S, y))
    expect_identical(solve(S, turned[, 1]), solve(S, y[, 1]))
    expect_identical(S %*% unname(y), `colnames<-`(S %*% y, NULL))
    other <- `rownames<-`(y, c("TP53", "BRCA1", "IL6", "MYC"))
    expect_input_error(S %*% other, "lacks 'TNF', but has 'MYC'", "covmash_error_names")
    expect_input_error(solve(S, other), "lacks 'TNF', but has 'MYC'", "covmash_error_names")
    expect_input_error(solve(S, stats::setNames(1:4, letters[1:4])), "lacks 'TP53'", "covmash_error_names")
  }
})

test_that("scaling is all the arithmetic there is, and the rest says so", {
  withr::local_seed(2)
  Sigma <- generate_factor_covariance(5, 2)$Sigma
  P <- precision(Sigma)
  bordered <- precision(factor_covariance(c(1, 2, 3), D = c(0, 1, 2)))
  expect_close(as.matrix(3 * Sigma), 3 * as.matrix(Sigma), 1e-15)
  for (Q in list(P, bordered)) {
    expect_close(as.matrix(Q * 3), 3 * as.matrix(Q), 1e-15)
    expect_close(as.matrix(Q / 4), as.matrix(Q) / 4, 1e-15)
    expect_close((2 * Q) %*% seq_len(nrow(Q)), 2 * Q %*% seq_len(nrow(Q)), 1e-14)
    expect_close(as.matrix(solve(2 * Q)), as.matrix(solve(Q)) / 2, 1e-15)
    expect_close(diag(2 * Q), 2 * diag(Q), 1e-15)
  }
  for (S in list(Sigma, P)) {
    others <- list(
      NULL, "a", NA, Inf, -1, 1:2, factor(1), as.Date("2020-01-01"), data.frame(1), list(1), diag(5), Sigma, P
    )
    for (other in others) {
      expect_error(S * other, class = "covmash_error_type")
      expect_error(other * S, class = "covmash_error_type")
      expect_error(S + other, class = "covmash_error_type")
      expect_error(other == S, class = "covmash_error_type")
    }
    expect_input_error(-S, "for `-` use as.matrix", "covmash_error_type")
    expect_error(!S, class = "covmash_error_type")
    expect_error(S / 0, class = "covmash_error_type")
    expect_error(1 / S, class = "covmash_error_type")
    expect_error(S^2, class = "covmash_error_type")
  }
  expect_input_error(Sigma * 1e-320, "below the smallest number", "covmash_error_not_finite")
  expect_input_error(1e200 * (1e200 * Sigma), "must be finite", "covmash_error_not_finite")
  skip_if_not_installed("Matrix")
  expect_error(Sigma + Matrix::Diagonal(5), class = "covmash_error_type")
  expect_error(Matrix::Diagonal(5) * P, class = "covmash_error_type")
})
