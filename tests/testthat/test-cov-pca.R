test_that("PCA matrices are those of the uncentred singular value decomposition", {
  sim <- small_data(J = 50, R = 4)
  U <- cov_pca(sim$data, npc = 3)
  expect_named(U, c("PCA_1", "PCA_2", "PCA_3", "tPCA"))
  s <- svd(sim$Bhat)
  for (k in 1:3) expect_close(U[[k]], tcrossprod(s$v[, k]), 1e-12)
  v <- s$v[, 1:3]
  expect_close(U$tPCA, v %*% diag(s$d[1:3]^2) %*% t(v) / 50, 1e-11)
  for (x in U) {
    expect_identical(dimnames(x), list(letters[1:4], letters[1:4]))
    expect_true(isSymmetric(x))
  }
  expect_close(vapply(U[1:3], function(x) sum(diag(x)), 0), rep(1, 3), 1e-12)
})

test_that("a subset of rows may be indices, names or logical, in any order", {
  sim <- small_data(J = 40, R = 3)
  rows <- c(30, 2, 17, 5, 9, 21)
  by_index <- cov_pca(sim$data, 2, subset = rows)
  expect_close(by_index$PCA_1, tcrossprod(svd(sim$Bhat[rows, ])$v[, 1]), 1e-12)
  by_name <- cov_pca(sim$data, 2, subset = rownames(sim$Bhat)[rows])
  by_flag <- cov_pca(sim$data, 2, subset = seq_len(40) %in% rows)
  for (k in 1:3) {
    expect_close(by_name[[k]], by_index[[k]], 1e-12)
    expect_close(by_flag[[k]], by_index[[k]], 1e-12)
  }
  expect_input_error(cov_pca(sim$data, 2, subset = 41), "subset")
  expect_input_error(cov_pca(sim$data, 2, subset = "nobody"), "subset")
  expect_input_error(cov_pca(sim$data, 2, subset = rep(TRUE, 3)), "subset")
})

test_that("under alpha = 1 the z-scores are decomposed", {
  sim <- small_data(shat = "varying")
  z <- mash_set_data(sim$Bhat, sim$Shat, alpha = 1)
  expect_close(cov_pca(z, 2)$PCA_1, tcrossprod(svd(sim$Bhat / sim$Shat)$v[, 1]), 1e-12)
})

test_that("missing entries are left out of the pairwise second moments", {
  sim <- small_data(J = 200, R = 3, missing = 60)
  U <- cov_pca(sim$data, npc = 3)
  B <- sim$Bhat
  observed <- !is.na(B)
  B[!observed] <- 0
  moments <- crossprod(B) / crossprod(observed)
  e <- eigen(moments, symmetric = TRUE)
  expect_true(all(e$values > 0))
  expect_close(U$tPCA, moments, 1e-10)
  for (k in 1:3) expect_close(U[[k]], tcrossprod(e$vectors[, k]), 1e-10)
})

test_that("pairwise moments that are not positive semi-definite are floored", {
  Bhat <- rbind(
    cbind(rep(c(1, -1), 10), rep(c(1, -1), 10), NA), cbind(NA, rep(c(1, -1), 10), rep(c(1, -1), 10)),
    cbind(rep(c(1, -1), 10), NA, rep(c(-1, 1), 10))
  )
  U <- cov_pca(mash_set_data(Bhat, 0.1), npc = 3)
  for (x in U) {
    expect_true(all(is.finite(x)))
    expect_gte(min(eigen(x, symmetric = TRUE, only.values = TRUE)$values), -1e-12)
  }
})

test_that("the number of components is checked", {
  data <- small_data(R = 3)$data
  expect_input_error(cov_pca(data, 4), "npc")
  expect_input_error(cov_pca(data, 0), "npc")
  expect_input_error(cov_pca(data, 1.5), "npc")
})

test_that("PCA matrices can go straight into mash()", {
  data <- small_data(R = 3)$data
  fit <- mash(data, cov_pca(data, 2), verbose = FALSE)
  expect_true(is.finite(fit$loglik))
})

test_that("a condition without data has loading exactly zero, and mash() gives it no sign", {
  sim <- small_data(J = 60, R = 4)
  Bhat <- sim$Bhat
  Bhat[, 2] <- NA
  data <- mash_set_data(Bhat, 1)
  U <- cov_pca(data, 2)
  for (matrix in U) expect_true(all(matrix[2, ] == 0) && all(matrix[, 2] == 0))
  fit <- mash(data, U, verbose = FALSE, output_lfdr = TRUE)
  expect_true(all(get_pm(fit)[, 2] == 0))
  expect_close(unname(get_lfsr(fit)[, 2]), rep(1, 60), 1e-12)
})

# ---- the core against svd() and plain R --------------------------------------

# Up to the signs of the axes.
expect_axes <- function(axes, v, variances, tol) {
  expect_close(axes$variances, variances, tol * max(variances))
  for (k in seq_along(variances)) {
    expect_close(tcrossprod(axes$vectors[, k]), tcrossprod(v[, k]), tol)
  }
}

pairwise_axes <- function(X, npc) {
  R <- ncol(X)
  moments <- matrix(0, R, R)
  for (r in seq_len(R)) {
    for (s in seq_len(R)) {
      both <- !is.na(X[, r]) & !is.na(X[, s])
      if (any(both)) moments[r, s] <- mean(X[both, r] * X[both, s])
    }
  }
  e <- eigen((moments + t(moments)) / 2, symmetric = TRUE)
  list(v = e$vectors, variances = pmax(e$values[seq_len(npc)], 0))
}

test_that("complete rows have the axes of svd(), also of tiny and nearly equal singular values", {
  set.seed(21)
  for (size in list(c(1, 4), c(3, 7), c(7, 7), c(8, 7), c(256, 7), c(5000, 12))) {
    X <- matrix(rnorm(prod(size)), size[1])
    s <- svd(X)
    npc <- min(size)
    expect_axes(cpp_pca(X, NULL, npc, 1L), s$v, s$d^2 / size[1], 1e-10)
  }
  # Gaps of 1e-3 of the largest and below; a Gram matrix would have lost the last two axes.
  d <- c(1, 0.999, 1e-3, 1e-4, 9e-5, 1e-7)
  X <- qr.Q(qr(matrix(rnorm(2400), 400))) %*% (d * t(qr.Q(qr(matrix(rnorm(36), 6)))))
  s <- svd(X)
  axes <- cpp_pca(X, NULL, 6L, 1L)
  expect_axes(axes, s$v, s$d^2 / 400, 1e-10)
  expect_close(sqrt(400 * axes$variances), s$d, 1e-14)
})

test_that("rows with missing entries have the axes of pairwise second moments", {
  set.seed(22)
  for (J in c(7, 64, 65, 300, 3000)) {
    X <- matrix(rnorm(J * 6), J) %*% matrix(rnorm(36), 6)
    X[sample(length(X), length(X) / 5)] <- NA
    X[1, 1] <- NA
    plain <- pairwise_axes(X, 6)
    axes <- cpp_pca(X, NULL, 6L, 1L)
    expect_close(axes$variances, plain$variances, 1e-12 * plain$variances[1])
    expect_axes(cpp_pca(X, NULL, 2L, 1L), plain$v, plain$variances[1:2], 1e-10)
  }
})

test_that("axes have the same bits for any number of threads, and for rows chosen or cut out", {
  set.seed(23)
  X <- matrix(rnorm(60000 * 10), 60000)
  for (missing in c(FALSE, TRUE)) {
    if (missing) X[sample(length(X), 5000)] <- NA
    one <- cpp_pca(X, NULL, 10L, 1L)
    for (n_threads in 2:3) expect_identical(cpp_pca(X, NULL, 10L, n_threads), one)
    rows <- sample(60000, 40000)
    expect_identical(cpp_pca(X, rows, 10L, 2L), cpp_pca(X[rows, ], NULL, 10L, 1L))
  }
  data <- mash_set_data(X, 1)
  expect_identical(cov_pca(data, 3, n_threads = 2), cov_pca(data, 3, n_threads = 1))
  expect_identical(cov_pca(data, 3, rows, n_threads = 2), cov_pca(data[rows, ], 3, n_threads = 1))
  expect_input_error(cov_pca(data, 3, n_threads = 0), "n_threads")
})

test_that("fewer rows than components: as many as there are rows, with a warning", {
  data <- small_data(J = 20, R = 5)$data
  expect_warning(U <- cov_pca(data, 4, subset = 1:2), class = "covmash_warning_rank")
  expect_named(U, c("PCA_1", "PCA_2", "tPCA"))
  s <- svd(data$Bhat[1:2, ])
  expect_close(unname(U$PCA_2), tcrossprod(s$v[, 2]), 1e-12)
  expect_warning(U <- cov_pca(data, 2, subset = 3), class = "covmash_warning_rank")
  expect_close(unname(U$tPCA), unname(tcrossprod(data$Bhat[3, ])), 1e-12)
})
