test_that("the inverse of every kind of factored covariance is right", {
  withr::local_seed(2)
  for (N in c(1, 2, 7)) {
    for (K in c(0, 1, N, N + 2)) {
      B <- matrix(rnorm(N * K), N, K)
      F <- if (K > 1) tcrossprod(matrix(rnorm(K), K)) # of rank one
      Sigma <- factor_covariance(B, F, runif(N, 0.5, 2))
      M <- as.matrix(Sigma)
      P <- precision(Sigma)
      expect_true(inherits(P, "factor_precision"))
      expect_close(as.matrix(P), solve(M), 1e-12)
      expect_close(diag(P), diag(solve(M)), 1e-12)
      expect_close(P %*% diag(N), solve(M), 1e-12)
      expect_close(solve(Sigma, M), diag(N), 1e-11)
      expect_close(as.numeric(determinant(Sigma)$modulus), as.numeric(determinant(M)$modulus), 1e-12)
      expect_identical(solve(P), Sigma)
      expect_close(1 / P$D_inverse, Sigma$D, 1e-15)
      if (K < N) expect_close(diag(P$D_inverse, N) - tcrossprod(P$W), solve(M), 1e-12)
    }
  }
})

test_that("noise variances of 0 are no trouble where the matrix is not singular", {
  withr::local_seed(3)
  B <- matrix(rnorm(18), 6, 3, dimnames = list(letters[1:6], NULL))
  F <- crossprod(matrix(rnorm(9), 3))
  for (zero in list(2, c(1, 5), c(6, 2, 3))) {
    D <- replace(c(0.5, 1, 2, 0.3, 0.7, 1.1), zero, 0)
    Sigma <- factor_covariance(B, F, D)
    M <- as.matrix(Sigma)
    Q <- solve(M)
    P <- precision(Sigma)
    expect_null(P$W)
    expect_close(as.matrix(P), Q, 1e-9)
    expect_equal(dimnames(P), dimnames(M))
    expect_close(P[2, 4:6], Q[2, 4:6], 1e-9)
    expect_close(solve(Sigma, 1:6), solve(M, 1:6), 1e-9)
    expect_close(as.numeric(determinant(Sigma)$modulus), as.numeric(determinant(M)$modulus), 1e-10)
    expect_close(partial_correlation(Sigma), partial_from_precision(Q), 1e-9)
    expect_close(partial_correlation(Sigma, "b"), partial_from_precision(Q)["b", ], 1e-9)
    network <- partial_correlation_network(Sigma, threshold = 1e-6)
    expected <- partial_from_precision(Q)[cbind(network$gene1, network$gene2)]
    expect_close(network$partial_correlation, expected, 1e-9)
    expect_equal(nrow(network), sum(abs(partial_from_precision(Q)[upper.tri(Q)]) >= 1e-6))
    x <- rfactor_cov(3, Sigma)
    direct <- -0.5 * (6 * log(2 * pi) + as.numeric(determinant(M)$modulus) + rowSums(x * t(solve(M, t(x)))))
    expect_close(log_density(x, Sigma), direct, 1e-9)
    expect_close(as.matrix(update(P, add = 1:6)), solve(M + tcrossprod(1:6)), 1e-9)
    expect_output(print(P), "bordered form")
  }
})

test_that("a singular covariance names its genes", {
  B <- factor_notebook$B
  Sigma <- factor_covariance(B, D = c(TP53 = 0, BRCA1 = 0, IL6 = 0.05, TNF = 0.06))
  expect_input_error(solve(Sigma), "gene 2 \\('BRCA1'\\)", "covmash_error_singular")
  expect_input_error(solve(Sigma, 1:4), "determined by the other genes", "covmash_error_singular")
  expect_input_error(precision(Sigma), "`Sigma` is singular", "covmash_error_singular")
  expect_input_error(log_density(1:4, Sigma), "BRCA1", "covmash_error_singular")
  expect_input_error(partial_correlation(Sigma), "BRCA1", "covmash_error_singular")
  expect_input_error(partial_correlation_network(Sigma), "BRCA1", "covmash_error_singular")
  expect_input_error(conditional(Sigma, c(TP53 = 1, BRCA1 = 1)), "BRCA1", "covmash_error_singular")
  expect_input_error(chol(Sigma), "singular", "covmash_error_singular")
  d <- determinant(Sigma)
  expect_identical(as.numeric(d$modulus), -Inf)
  expect_identical(d$sign, 1L)
  expect_identical(det(Sigma), 0)
  expect_identical(as.numeric(determinant(systematic_covariance(factor_covariance(B, D = 1:4)))$modulus), -Inf)
  expect_input_error(precision(matrix(1, 2, 2)), "singular", "covmash_error_singular")
  # a gene without any variance
  none <- factor_covariance(matrix(c(0, 1), 2), D = c(0, 1))
  expect_input_error(solve(none), "gene 1", "covmash_error_singular")
})

test_that("tiny and huge noise keep their digits", {
  # With one factor the answer is known in closed form: 1 + sum b^2 / d, one term dominating.
  b <- c(1, 2, 3, 4)
  d <- c(1e-200, 1e-12, 1, 1e150)
  Sigma <- factor_covariance(b, D = d)
  expect_close(as.numeric(determinant(Sigma)$modulus), sum(log(d)) + log(1 + sum(b^2 / d)), 1e-14)
  # partial correlation of genes i and j: b_i b_j over the roots of (d (1 + sum of the others)) for each.
  others <- vapply(1:4, function(i) 1 + sum((b^2 / d)[-i]), 0)
  expected <- function(i, j) b[i] * b[j] / sqrt(d[i] * d[j] * others[i] * others[j])
  rho <- partial_correlation(Sigma, 1)
  for (j in 2:4) expect_equal(rho[j] / expected(1, j), 1, tolerance = 1e-12)
  expect_equal(diag(precision(Sigma)) * (d + b^2 / others), rep(1, 4), tolerance = 1e-12)
  given <- conditional(Sigma, c("1" = 5))
  expect_equal(given$mean, b[-1] * 5, tolerance = 1e-12)
  # two nearly noiseless genes with equal loadings
  twins <- factor_covariance(c(1, 1), D = c(1e-30, 1e-30))
  expect_equal(as.numeric(determinant(twins)$modulus), log(2e-30), tolerance = 1e-14)
})

test_that("the precision of a plain matrix is plain", {
  M <- as.matrix(factor_covariance(factor_notebook$B, D = factor_notebook$D))
  expect_close(precision(M), solve(M), 1e-12)
  expect_identical(dimnames(precision(M)), dimnames(M))
  expect_input_error(precision("a"), "factor_cov", "covmash_error_type")
})

test_that("small noise costs no digits of a well conditioned inverse", {
  # (1 + 1e-20, 1; 1, 2), of condition 6.9
  Sigma <- factor_covariance(c(1, 1), D = c(1e-20, 1))
  expect_equal(solve(Sigma, c(1, -1)), c(3, -2), tolerance = 1e-14)
  expect_equal(as.matrix(precision(Sigma)), matrix(c(2, -1, -1, 1), 2), tolerance = 1e-14)
  expect_equal(precision(Sigma) %*% c(1, -1), matrix(c(3, -2)), tolerance = 1e-14)
  expect_equal(c(1, -1) %*% precision(Sigma), matrix(c(3, -2), 1), tolerance = 1e-14)
  expect_equal(diag(precision(Sigma)), c(2, 1), tolerance = 1e-14)
  # as many factors as genes, or more; few genes of a model with many factors
  withr::local_seed(1)
  for (K in c(3, 8, 40)) {
    Sigma <- factor_covariance(matrix(rnorm(40 * K), 40, dimnames = list(paste0("g", 1:40), NULL)), D = rep(1e-14, 40))
    Sigma <- marginal(Sigma, c("g5", "g2", "g9"))
    M <- as.matrix(Sigma)
    condition <- kappa(cov2cor(M), exact = TRUE)
    expect_close(partial_correlation(Sigma), partial_correlation(M), 1e-14 * condition)
    expect_close(as.matrix(precision(Sigma)), precision(M), 1e-14 * condition)
    expect_close(solve(Sigma, M), diag(3), 1e-14 * condition)
    expect_close(precision(Sigma) %*% M, diag(3), 1e-14 * condition)
    expect_close(partial_correlation(Sigma, "g2"), partial_correlation(M, "g2"), 1e-14 * condition)
    network <- partial_correlation_network(Sigma, threshold = 1e-8)
    expect_close(
      network$partial_correlation, partial_correlation(M)[cbind(network$gene1, network$gene2)], 1e-14 * condition
    )
  }
})

test_that("the bordered form is one matrix, however it is asked", {
  withr::local_seed(5)
  B <- matrix(rnorm(60), 20, dimnames = list(letters[1:20], NULL))
  D <- replace(runif(20, 0.5, 2), c(3, 8, 11), c(1e-12, 0, 1e-25))
  Sigma <- factor_covariance(B, D = D)
  P <- precision(Sigma)
  expect_setequal(P$border, c(3, 8, 11))
  expect_null(P$W)
  M <- as.matrix(P)
  expect_identical(M, t(M))
  expect_close(M %*% as.matrix(Sigma), diag(20), 1e-10)
  expect_identical(P[c("c", "a", "h"), c(11, 8, 2)], M[c("c", "a", "h"), c(11, 8, 2)])
  expect_identical(P[8, ], M[8, ])
  expect_identical(P[, "k"], M[, "k"])
  expect_close(P %*% B, M %*% B, 1e-12)
  expect_close(crossprod(B, P), t(B) %*% M, 1e-12)
  expect_identical(diag(P), diag(M))
  expect_output(print(P), "bordered form, 3 genes with little or no noise")
})

test_that("singular is decided by pivots, in any unit, and the inverse is symmetric entry by entry", {
  withr::local_seed(6)
  n_singular <- 0
  for (repeat_no in 1:200) {
    A <- matrix(sample(-4:4, 20, replace = TRUE), 5) # rank 4 at most
    S <- tcrossprod(A)
    if (any(diag(S) == 0)) next
    unit <- 10^c(0, -11, 11)[repeat_no %% 3 + 1]
    scale <- if (repeat_no %% 2 == 0) 10^seq(-9, 9, length.out = 5) else rep(1, 5)
    expect_error(precision(unit * S * outer(scale, scale)), class = "covmash_error_singular")
    # the same as loadings without noise, all of which the model is
    for (B in list(A, cbind(A, 0), cbind(A, A[, 1]))) {
      expect_error(
        precision(factor_covariance(sqrt(unit) * scale * B, D = numeric(5))), class = "covmash_error_singular"
      )
    }
    n_singular <- n_singular + 1
    regular <- unit * (S + 0.01 * diag(diag(S))) * outer(scale, scale)
    P <- precision(regular)
    expect_identical(P, t(P))
    expect_close(P * outer(scale, scale) * unit, solve(S + 0.01 * diag(diag(S))), 1e-10)
  }
  expect_gt(n_singular, 150)
})

test_that("many factors, tiny loadings and units do not matter", {
  B <- matrix(c(3, 1, 2, 1, 4, 1), 2)
  for (unit in c(1e-150, 1e-30, 1, 1e150)) {
    Sigma <- factor_covariance(unit * B, D = unit^2 * c(1, 2))
    expect_equal(unit * as.matrix(precision(Sigma)) * unit, solve(tcrossprod(B) + diag(1:2)), tolerance = 1e-14)
  }
  # more factors than genes, next to nothing in the loadings
  weak <- precision(factor_covariance(1e-170 * B, D = c(1, 2)))
  expect_equal(as.matrix(weak), diag(c(1, 0.5)), tolerance = 1e-14)
  expect_equal(weak %*% c(1, 2), matrix(1, 2), tolerance = 1e-14)
})

test_that("an inverse or a solution beyond the largest number is an error, not Inf", {
  expect_error(precision(matrix(1e-310)), "largest number", class = "covmash_error_magnitude")
  expect_error(solve(factor_covariance(cbind(1e-5), D = 1e-12), matrix(1e300)), class = "covmash_error_magnitude")
})
