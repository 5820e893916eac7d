# One step of extreme deconvolution as Bovy et al. write it, on the observed conditions of each row.
plain_ed_step <- function(data, w, Ulist) {
  J <- nrow(data$Bhat)
  logdensity <- vapply(Ulist, function(U) {
    reference_by_component(data$Bhat, data$Shat, data$V, list(U = U))$loglik[, 1]
  }, numeric(J))
  joint <- sweep(matrix(logdensity, J), 2, log(w), "+")
  top <- apply(joint, 1, max)
  loglik <- top + log(rowSums(exp(joint - top)))
  q <- exp(joint - loglik)
  updated <- lapply(seq_along(Ulist), function(k) {
    U <- Ulist[[k]]
    total <- 0 * U
    for (j in seq_len(J)) {
      O <- !is.na(data$Bhat[j, ])
      if (!any(O)) next
      A <- data$V[O, O] * tcrossprod(data$Shat[j, O]) + U[O, O]
      gain <- U[, O, drop = FALSE] %*% solve(A)
      b <- gain %*% data$Bhat[j, O]
      total <- total + q[j, k] * (U - gain %*% U[O, ] + tcrossprod(b))
    }
    total / sum(q[, k])
  })
  names(updated) <- names(Ulist)
  list(w = colMeans(q), Ulist = updated, loglik = mean(loglik))
}

# Runs that are cut short on purpose say so; that warning has its own test.
deconvolve <- function(...) {
  withCallingHandlers(cov_ed(...), covmash_warning_convergence = function(w) invokeRestart("muffleWarning"))
}

test_that("matrices are named ED_<name>, in order, with the conditions as dimnames", {
  data <- small_data(J = 40, R = 3)$data
  U <- deconvolve(data, cov_pca(data, 2), maxiter = 5)
  expect_named(U, c("ED_PCA_1", "ED_PCA_2", "ED_tPCA"))
  for (x in U) {
    expect_identical(dimnames(x), list(letters[1:3], letters[1:3]))
    expect_true(isSymmetric(x))
    expect_gt(min(eigen(x, symmetric = TRUE, only.values = TRUE)$values), 0)
  }
  teem <- deconvolve(data, cov_pca(data, 2), algorithm = "teem", maxiter = 5)
  expect_type(teem, "list")
  expect_named(teem, c("ED_PCA_1", "ED_PCA_2", "ED_tPCA"))
  for (x in teem) expect_identical(dim(x), c(3L, 3L))
  expect_true(is.finite(mash(data, teem, verbose = FALSE)$loglik))
})

for (case in list(
  list(label = "z-scores", shat = "one", missing = 0, V = diag(3)),
  list(label = "common noise, correlated", shat = "one", missing = 0, V = 0.5 + diag(0.5, 3)),
  list(label = "row-specific noise, correlated", shat = "varying", missing = 0, V = 0.5 + diag(0.5, 3)),
  list(label = "missing values", shat = "varying", missing = 25, V = 0.3 + diag(0.7, 3))
)) {
  test_that(paste("bovy steps are those of the plain formula, plus the ridge at the end:", case$label), {
    sim <- small_data(J = 50, R = 3, shat = case$shat, missing = case$missing, V = case$V)
    start <- withr::with_seed(4, list(full = random_covariance("full", 3), line = random_covariance("rank1", 3)))
    state <- list(w = c(0.5, 0.5), Ulist = start)
    for (i in 1:3) state <- plain_ed_step(sim$data, state$w, state$Ulist)
    U <- deconvolve(sim$data, start, maxiter = 3, tol = 0)
    expect_named(U, c("ED_full", "ED_line"))
    for (k in 1:2) expect_close(U[[k]], state$Ulist[[k]] + diag(3) / sqrt(50), 1e-9)
  })
}

# Rows with the same noise are computed together, whatever their number; what is asked is the plain formula row by row.
for (case in list(
  list(label = "complete", R = 4, sizes = 200, missing = FALSE, odd = FALSE),
  list(label = "one missing entry", R = 4, sizes = 200, missing = FALSE, odd = TRUE),
  list(label = "groups of all sizes", R = 5, sizes = c(1, 1, 2, 3, 7, 20, 31, 32, 33, 50, 64, 70), missing = FALSE, odd = FALSE),
  list(label = "patterns of all sizes", R = 5, sizes = c(1, 1, 2, 3, 7, 20, 31, 32, 33, 50, 64, 70), missing = TRUE, odd = TRUE),
  list(label = "many small groups", R = 3, sizes = rep(2:6, 10), missing = TRUE, odd = FALSE)
)) {
  test_that(paste("bovy on rows that share their noise is the plain formula:", case$label), {
    withr::with_seed(11, {
      J <- sum(case$sizes)
      R <- case$R
      run <- sample(rep(seq_along(case$sizes), case$sizes))
      Shat <- matrix(runif(length(case$sizes) * R, 0.5, 2), ncol = R)[run, ]
      Bhat <- Shat * matrix(rnorm(J * R, sd = 2), J)
      if (case$missing) {
        unseen <- matrix(runif(length(case$sizes) * R) < 0.3, ncol = R)
        unseen[rowSums(!unseen) == 0, 1] <- FALSE
        Bhat[unseen[run, ]] <- NA
      }
      if (case$odd) Bhat[5, 2] <- NA
      V <- random_correlation(R)
      start <- list(full = random_covariance("full", R), line = random_covariance("rank1", R), one = diag(R))
    })
    data <- mash_set_data(Bhat, Shat, V = V)
    state <- list(w = rep(1 / 3, 3), Ulist = start)
    for (i in 1:4) state <- plain_ed_step(data, state$w, state$Ulist)
    settings <- list(tol = 0, maxiter = 4, fixcovar = rep(FALSE, 3), n_threads = 2)
    fit <- cpp_ed(data, list(Ulist = start, pi = rep(1 / 3, 3)), settings)
    expect_close(fit$av_loglik, state$loglik, 1e-10)
    expect_close(fit$pi, state$w, 1e-10)
    for (k in 1:3) expect_close(fit$Ulist[[k]], state$Ulist[[k]], 1e-10)
  })
}

test_that("an odd row leaves the fit of the others where it was", {
  sim <- small_data(J = 200, R = 4)
  start <- cov_pca(sim$data, 2)
  complete <- deconvolve(sim$data, start, maxiter = 20, tol = 0)
  Shat <- sim$Shat
  Shat[7, ] <- 1 + 1e-9
  proportional <- deconvolve(mash_set_data(sim$Bhat, Shat), start, maxiter = 20, tol = 0)
  Shat[7, 2:4] <- 1
  single <- deconvolve(mash_set_data(sim$Bhat, Shat), start, maxiter = 20, tol = 0)
  for (k in 1:3) {
    expect_close(proportional[[k]], complete[[k]], 1e-6)
    expect_close(single[[k]], complete[[k]], 1e-6)
  }
})

test_that("factor_cov objects are taken as V and in the list of starts", {
  loadings <- matrix(c(0.8, 0.5, -0.3, 0.6))
  V <- factor_covariance(loadings, D = 1 - drop(loadings)^2)
  start <- list(x = factor_covariance(2 * loadings, D = c(0.5, 1, 0.2, 0.1)), y = diag(4))
  sim <- small_data(R = 4, missing = 3)
  from_factors <- deconvolve(mash_set_data(sim$Bhat, sim$Shat, V = V), start, maxiter = 5)
  start$x <- unname(as.matrix(start$x))
  from_dense <- deconvolve(mash_set_data(sim$Bhat, sim$Shat, V = unname(as.matrix(V))), start, maxiter = 5)
  for (k in 1:2) expect_close(from_factors[[k]], from_dense[[k]], 1e-12)
})

test_that("bovy never lowers the log-likelihood and keeps the rank of its start, but for the ridge", {
  sim <- small_data(J = 60, R = 4, shat = "varying")
  start <- cov_pca(sim$data, 2)
  value <- vapply(c(1, 2, 5, 20, 100), function(n) {
    settings <- list(tol = 0, maxiter = n, fixcovar = rep(FALSE, 3), n_threads = 1)
    fit <- cpp_ed(sim$data, list(Ulist = start, pi = rep(1 / 3, 3)), settings)
    plain_ed_step(sim$data, fit$pi, fit$Ulist)$loglik
  }, 0)
  expect_false(is.unsorted(value))
  U <- cov_ed(sim$data, start)
  ranks <- vapply(U, function(x) sum(eigen(x - diag(4) / sqrt(60), only.values = TRUE)$values > 1e-8), 0)
  expect_identical(unname(ranks[1:2]), c(1, 1))
})

test_that("a subset is all that is used, and its size sets the ridge", {
  sim <- small_data(J = 60, R = 3)
  rows <- c(4, 50, 12, 33, 8, 21, 6, 19)
  start <- cov_pca(sim$data, 2)
  from_subset <- deconvolve(sim$data, start, subset = rows, maxiter = 10)
  from_small <- deconvolve(sim$data[rows, ], start, maxiter = 10)
  for (k in seq_along(start)) expect_close(from_subset[[k]], from_small[[k]], 1e-10)
  expect_close(deconvolve(sim$data, start, subset = rownames(sim$Bhat)[rows], maxiter = 10)[[1]], from_subset[[1]], 1e-12)
  expect_input_error(cov_ed(sim$data, start, subset = 61), "subset")
})

test_that("TEEM maximises each covariance exactly: eigenvalues of the weighted second moment truncated at 1", {
  sim <- small_data(J = 80, R = 3)
  start <- withr::with_seed(9, list(full = random_covariance("full", 3), other = random_covariance("full", 3)))
  z <- sim$Bhat
  logdensity <- reference_by_component(z, 1 + 0 * z, diag(3), start)$loglik
  q <- exp(logdensity - apply(logdensity, 1, max))
  q <- q / rowSums(q)
  expected <- lapply(1:2, function(k) {
    e <- eigen(crossprod(z, q[, k] * z) / sum(q[, k]), symmetric = TRUE)
    e$vectors %*% diag(pmax(e$values, 1 + 1e-7) - 1) %*% t(e$vectors)
  })
  U <- deconvolve(sim$data, start, algorithm = "teem", maxiter = 1)
  for (k in 1:2) expect_close(U[[k]], expected[[k]], 1e-6)
})

test_that("TEEM in correlated common noise is TEEM of the whitened data, mapped back", {
  V <- 0.4 + diag(0.6, 3)
  sim <- small_data(J = 60, R = 3, V = V)
  start <- withr::with_seed(3, list(one = random_covariance("full", 3), two = random_covariance("full", 3)))
  root <- t(chol(V))
  white <- mash_set_data(t(solve(root, t(sim$Bhat))), 1)
  white_start <- lapply(start, function(U) {
    W <- solve(root, t(solve(root, U)))
    (W + t(W)) / 2
  })
  U <- deconvolve(sim$data, start, algorithm = "teem", maxiter = 20)
  W <- deconvolve(white, white_start, algorithm = "teem", maxiter = 20)
  for (k in 1:2) expect_close(U[[k]], root %*% W[[k]] %*% t(root), 1e-8)
})

test_that("TEEM of noise that is not common takes z-scores and says so", {
  sim <- small_data(R = 3, shat = "varying")
  start <- withr::with_seed(3, list(one = random_covariance("full", 3), two = random_covariance("full", 3)))
  expect_covmash_warning(U <- deconvolve(sim$data, start, algorithm = "teem", maxiter = 5), "z-scores",
    class = "covmash_warning_teem")
  size <- sqrt(colMeans(sim$Shat^2))
  scaled <- lapply(start, function(S) S / tcrossprod(size))
  Z <- deconvolve(mash_set_data(sim$Bhat / sim$Shat, 1), scaled, algorithm = "teem", maxiter = 5)
  for (k in 1:2) expect_close(U[[k]], Z[[k]] * tcrossprod(size), 1e-10)
})

test_that("TEEM leaves incomplete rows out and says so", {
  sim <- small_data(J = 60, R = 3, missing = 8)
  start <- withr::with_seed(3, list(one = random_covariance("full", 3), two = random_covariance("full", 3)))
  complete <- which(rowSums(is.na(sim$Bhat)) == 0)
  expect_covmash_warning(U <- deconvolve(sim$data, start, algorithm = "teem", maxiter = 5),
    paste(60 - length(complete), "rows"), class = "covmash_warning_missing")
  from_complete <- deconvolve(sim$data, start, subset = complete, algorithm = "teem", maxiter = 5)
  for (k in 1:2) expect_close(U[[k]], from_complete[[k]], 1e-12)
})

test_that("a run that is cut short says so, unknown arguments are not dropped in silence", {
  data <- small_data(R = 3)$data
  expect_covmash_warning(cov_ed(data, cov_pca(data, 2), maxiter = 1, tol = 0), "converge",
    class = "covmash_warning_convergence")
  expect_covmash_warning(deconvolve(data, cov_pca(data, 2), maxiter = 1, splitnmerge = 2), "splitnmerge")
})

test_that("weights and matrices can be held", {
  sim <- small_data(J = 50, R = 3)
  start <- withr::with_seed(4, list(full = random_covariance("full", 3), other = random_covariance("full", 3)))
  U <- deconvolve(sim$data, start, maxiter = 4, fixcovar = c(TRUE, FALSE))
  expect_close(U$ED_full, start$full + diag(3) / sqrt(50), 1e-13)
  expect_gt(max(abs(U$ED_other - start$other - diag(3) / sqrt(50))), 1e-3)
  state <- plain_ed_step(sim$data, c(0.5, 0.5), start)
  state <- plain_ed_step(sim$data, c(0.5, 0.5), state$Ulist)
  held <- deconvolve(sim$data, start, maxiter = 2, tol = 0, fixamp = TRUE)
  for (k in 1:2) expect_close(held[[k]], state$Ulist[[k]] + diag(3) / sqrt(50), 1e-10)
})

test_that("all-missing rows change nothing", {
  sim <- small_data(J = 40, R = 3, shat = "varying")
  extended <- muffle_all_missing(mash_set_data(rbind(sim$Bhat, z = NA), rbind(sim$Shat, z = NA)))
  start <- cov_pca(sim$data, 2)
  complete <- deconvolve(sim$data, start, maxiter = 10)
  expect_covmash_warning(padded <- deconvolve(extended, start, maxiter = 10), "1 row", class = "covmash_warning_missing")
  for (k in 1:3) expect_close(padded[[k]], complete[[k]], 1e-12)
})

test_that("the same bits for any number of threads, and no random numbers", {
  sim <- small_data(J = 200, R = 4, shat = "varying", missing = 40)
  start <- cov_pca(sim$data, 3)
  one <- deconvolve(sim$data, start, maxiter = 20, n_threads = 1)
  for (n in c(2, 3, 7)) expect_identical(deconvolve(sim$data, start, maxiter = 20, n_threads = n), one)
  set.seed(1)
  expect_rng_untouched(deconvolve(sim$data, start, maxiter = 2))
})

test_that("starting matrices are checked", {
  data <- small_data(R = 3)$data
  expect_input_error(cov_ed(data, list()), "Ulist_init")
  expect_input_error(cov_ed(data, list(a = diag(2))), "a")
  expect_input_error(cov_ed(data, list(a = diag(3), b = diag(c(1, 1, -1)))), "b")
  expect_input_error(cov_ed(data, cov_pca(data, 2), algorithm = "other"), "algorithm")
})

test_that("truncated-eigenvalue matrices are semi-definite whatever the scales, and counts have no upper end", {
  for (seed in 1:5) {
    x <- withr::with_seed(seed, {
      Shat <- rep(10^runif(5, -8, 7), each = 4)
      list(Bhat = matrix(rnorm(20, sd = 3 * Shat), 4), Shat = matrix(Shat, 4))
    })
    data <- mash_set_data(x$Bhat, x$Shat)
    U <- cov_ed(data, list(a = diag(x$Shat[1, ]^2)), algorithm = "teem", maxiter = 1e12)
    expect_true(is_covariance(U[[1]]))
    expect_no_error(mash(data, U, verbose = FALSE))
  }
  sim <- small_data(J = 40, R = 2)
  U <- list(a = diag(2))
  expect_identical(cov_ed(sim$data, U, maxiter = 1e300), cov_ed(sim$data, U))
  fit <- function(control) mash(sim$data, U, control = control, verbose = FALSE)
  expect_identical(fit(list(max_iter = 1e12))$convergence, fit(list())$convergence)
})

test_that("a start far larger than the data is no reason to stop", {
  x <- withr::with_seed(381, list(Bhat = matrix(rnorm(64, sd = 1e-6), 8), Shat = matrix(runif(8, 3e-7, 8e-7), 8, 8, byrow = TRUE)))
  V <- withr::with_seed(1, cov2cor(crossprod(matrix(rnorm(80), 10))))
  data <- mash_set_data(x$Bhat, x$Shat, V = V)
  start <- withr::with_seed(2, list(a = crossprod(matrix(rnorm(80, sd = 3), 10)), b = diag(1e-12, 8)))
  fit <- suppressWarnings(cov_ed(data, start, maxiter = 2000, tol = 0))
  ridge <- diag(8) / sqrt(8)
  # Without the ridge, matrices of the size of the data, none of them indefinite beyond the rounding of the ridge.
  for (U in fit) {
    values <- eigen(U - ridge, symmetric = TRUE, only.values = TRUE)$values
    expect_gt(min(values), -1e-15)
    expect_lt(max(values), 64 * 1e-12)
  }
})
