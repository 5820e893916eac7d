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
