dense_conditional <- function(M, at, x, mean) {
  K <- M[-at, at, drop = FALSE] %*% solve(M[at, at])
  list(mean = drop(mean[-at] + K %*% (x - mean[at])), covariance = M[-at, -at] - K %*% M[at, -at])
}

test_that("conditional distributions are those of the dense formula", {
  withr::local_seed(5)
  for (repeats in 1:10) {
    K <- sample(0:9, 1)
    F <- if (K > 0 && repeats %% 2) crossprod(matrix(rnorm(2 * K), 2))
    Sigma <- factor_covariance(matrix(rnorm(7 * K), 7, K, dimnames = list(letters[1:7], NULL)), F, runif(7, 0.2, 2))
    at <- sample.int(7, sample.int(6, 1))
    x <- rnorm(length(at))
    mean <- rnorm(7)
    result <- conditional(Sigma, stats::setNames(x, letters[at]), mean)
    expected <- dense_conditional(as.matrix(Sigma), at, x, mean)
    expect_close(result$mean, expected$mean, 1e-11)
    expect_true(inherits(result$covariance, "factor_cov"))
    expect_close(as.matrix(result$covariance), expected$covariance, 1e-11)
    expect_identical(names(result$mean), letters[1:7][-at])
    expect_identical(rownames(result$covariance), letters[1:7][-at])
  }
  # genes without noise are conditioned on exactly
  Sigma <- factor_covariance(matrix(rnorm(12), 4), D = c(0, 1, 0, 2))
  result <- conditional(Sigma, c("1" = 1, "3" = 2))
  expected <- dense_conditional(as.matrix(Sigma), c(1, 3), c(1, 2), rep(0, 4))
  expect_close(result$mean, expected$mean, 1e-10)
  expect_close(as.matrix(result$covariance), expected$covariance, 1e-10)
})

test_that("if TP53 is highly expressed, so is BRCA1", {
  Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
  result <- conditional(Sigma, c(TP53 = 2))
  expect_equal(result$mean[["BRCA1"]], 0.56 / 0.68 * 2)
  expect_equal(result$covariance["BRCA1", "BRCA1"], 0.52 - 0.56^2 / 0.68)
  expect_named(result$factors, colnames(factor_notebook$B))
})

test_that("`given` that cannot be used is named", {
  Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
  expect_input_error(conditional(Sigma, c(MYC = 1)), "'MYC'", "covmash_error_index")
  expect_input_error(conditional(Sigma, 1), "without names", "covmash_error_argument")
  expect_input_error(conditional(Sigma, c(TP53 = NA)), "finite", "covmash_error_argument")
  expect_input_error(conditional(Sigma, c(TP53 = 1, TP53 = 2)), "'TP53' twice", "covmash_error_index")
  all <- c(TP53 = 1, BRCA1 = 1, IL6 = 1, TNF = 1)
  expect_input_error(conditional(Sigma, all), "every gene", "covmash_error_argument")
  expect_input_error(conditional(Sigma, c(TP53 = 1), mean = 1:3), "each of the 4 genes", "covmash_error_argument")
  expect_input_error(conditional(diag(2), c(a = 1)), "must be a `factor_cov`", "covmash_error_type")
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

test_that("the network has the strong pairs, in order, the same for any number of threads", {
  withr::local_seed(7)
  Sigma <- generate_factor_covariance(150, 4, loading_scale = 0.3)$Sigma
  rho <- partial_correlation(Sigma)
  strong <- which(abs(rho) >= 0.05 & upper.tri(rho), arr.ind = TRUE)
  strong <- strong[order(strong[, 1], strong[, 2]), ]
  network <- partial_correlation_network(Sigma, 0.05, n_threads = 1)
  expect_gt(nrow(network), 20)
  expect_identical(network$gene1, rownames(rho)[strong[, 1]])
  expect_identical(network$gene2, rownames(rho)[strong[, 2]])
  expect_close(network$partial_correlation, rho[strong], 1e-12)
  expect_identical(partial_correlation_network(Sigma, 0.05, n_threads = 3), network)
  expect_input_error(
    partial_correlation_network(Sigma, 0.05, max_edges = 5), "More than 5 pairs", "covmash_error_too_many_edges"
  )
  expect_input_error(partial_correlation_network(Sigma, 0), "above 0", "covmash_error_argument")
  expect_equal(nrow(partial_correlation_network(noise_covariance(Sigma), 0.01)), 0)
  # genes without names are numbered
  bare <- factor_covariance(unname(Sigma$B), D = unname(Sigma$D))
  expect_identical(partial_correlation_network(bare, 0.05)$gene1, unname(strong[, 1]))
})

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
  expect_input_error(log_density(x[, 5:1], Sigma), "same order", "covmash_error_names")
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
