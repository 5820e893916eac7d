corr_em_data <- function(J = 600, missing = 0, shat = FALSE, alpha = 0, seed = 1) {
  withr::with_seed(seed, {
    V <- matrix(c(1, 0.6, 0.2, 0.6, 1, 0.4, 0.2, 0.4, 1), 3)
    B <- matrix(rnorm(J * 3), J) * sample(c(0, 0, 2), J, TRUE)
    S <- if (shat) matrix(runif(J * 3, 0.5, 2), J) else matrix(1, J, 3)
    x <- B + S * (matrix(rnorm(J * 3), J) %*% chol(V))
    x[sample(length(x), missing * length(x))] <- NA
    dimnames(x) <- list(NULL, letters[1:3])
    list(V = V, data = muffle_all_missing(mash_set_data(x, S, alpha = alpha)))
  })
}

# The step in plain R: the mean of E(e e') over all effects, for one mixture.
plain_error_step <- function(data, V, Ulist, pi) {
  total <- matrix(0, nrow(V), nrow(V))
  n <- 0
  loglik <- 0
  for (j in seq_len(nrow(data$Bhat))) {
    O <- which(!is.na(data$Bhat[j, ]))
    if (length(O) == 0L) next
    n <- n + 1
    y <- data$Bhat[j, O]
    S <- diag(data$Shat[j, O], length(O))
    parts <- lapply(Ulist, function(U) {
      A <- S %*% V[O, O] %*% S + U[O, O]
      K <- V[, O] %*% S %*% solve(A)
      m <- K %*% y
      list(l = -0.5 * (length(O) * log(2 * pi_number) + c(determinant(A)$modulus) + sum(y * solve(A, y))),
           E = V - K %*% S %*% V[O, ] + tcrossprod(m))
    })
    l <- vapply(parts, `[[`, 0, "l") + log(pi)
    w <- exp(l - max(l))
    loglik <- loglik + max(l) + log(sum(w))
    for (k in seq_along(parts)) total <- total + w[k] / sum(w) * parts[[k]]$E
  }
  list(V = total / n, loglik = loglik)
}
pi_number <- base::pi

test_that("the step is the mean of the squared errors given the data", {
  skip_on_cran()
  cases <- list(
    corr_em_data(150), corr_em_data(150, shat = TRUE), corr_em_data(150, missing = 0.2), corr_em_data(150, 0.2, TRUE),
    corr_em_data(70, 0.1, TRUE, alpha = 1)
  )
  Ulist <- list(matrix(0, 3, 3), diag(3), matrix(1, 3, 3), diag(c(2, 0, 0)))
  weights <- c(0.4, 0.3, 0.2, 0.1)
  for (case in cases) {
    data <- case$data
    V <- 0.3 + diag(0.7, 3)
    data$V <- V
    got <- cpp_error_correlation_step(data, list(Ulist = Ulist, pi = weights), 1L)
    plain <- plain_error_step(data, V, Ulist, weights)
    expect_equal(got$V, plain$V, tolerance = 1e-10)
    expect_equal(got$loglik, plain$loglik, tolerance = 1e-11)
    expect_identical(cpp_error_correlation_step(data, list(Ulist = Ulist, pi = weights), 3L), got)
  }
})

test_that("the correlation of the errors is found, the objective rises, and why it stopped is said", {
  skip_on_cran()
  case <- corr_em_data(3000)
  fit <- mash_estimate_corr_em(case$data, cov_canonical(case$data), max_iter = 100)
  expect_lt(max(abs(fit$V - case$V)), 0.08)
  expect_identical(dimnames(fit$V), list(letters[1:3], letters[1:3]))
  expect_identical(unname(diag(fit$V)), rep(1, 3))
  expect_true(all(diff(fit$objective) >= 0))
  expect_length(fit$loglik, fit$niter + 1)
  expect_match(fit$stopped, "converged|no step")
  expect_s3_class(fit$mash.model, "mash_fit")
  expect_equal(fit$mash.model$loglik, fit$loglik[fit$niter + 1], tolerance = 1e-9)
  # at least as good as the start
  start <- mash(mash_update_data(case$data, V = estimate_null_correlation_simple(case$data)), cov_canonical(case$data), verbose = FALSE)
  expect_gt(fit$mash.model$loglik, start$loglik)
})

test_that("missing estimates, varying errors, covariances, alpha", {
  skip_on_cran()
  for (case in list(corr_em_data(1500, 0.2, TRUE, seed = 2), corr_em_data(1500, 0, TRUE, alpha = 1, seed = 3))) {
    fit <- suppressWarnings(mash_estimate_corr_em(case$data, cov_canonical(case$data), max_iter = 40))
    expect_lt(max(abs(fit$V - case$V)), 0.15)
    expect_true(all(diff(fit$objective) >= 0))
    expect_equal(fit$mash.model$loglik, fit$loglik[fit$niter + 1], tolerance = 1e-9)
    free <- suppressWarnings(mash_estimate_corr_em(case$data, cov_canonical(case$data), est_cor = FALSE, max_iter = 40, details = FALSE))
    expect_true(is_covariance(free))
    expect_lt(max(abs(diag(free) - 1)), 0.3)
  }
})

test_that("its arguments are those of mash(), and what it cannot do says so", {
  skip_on_cran()
  case <- corr_em_data(200)
  U <- cov_canonical(case$data)
  expect_warning(
    fit <- mash_estimate_corr_em(case$data, U, max_iter = 1, init = diag(3), grid = 1, normalizeU = FALSE, track_fit = TRUE, prior = "uniform"),
    "did not converge", class = "covmash_warning_convergence"
  )
  expect_identical(fit$mash.model$fitted_g$grid, 1)
  expect_identical(fit$trace[[1]]$V, diag(3))
  expect_length(fit$trace, 2)
  expect_identical(dim(mash_estimate_corr_em(case$data, U, details = FALSE)), c(3L, 3L))
  expect_warning(mash_estimate_corr_em(mash_set_data(matrix(5, 4, 3) + diag(3)[c(1:3, 1), ]), U, max_iter = 0, details = FALSE), "identity", class = "covmash_warning_null")
  expect_error(mash_estimate_corr_em(mash_update_data(case$data, ref = 1), U), "contrasts", class = "covmash_error_contrast")
  expect_error(mash_estimate_corr_em(case$data, U, init = diag(2)), "V", class = "covmash_error_V")
  expect_error(mash_estimate_corr_em(case$data, U, tol = -1), "tol", class = "covmash_error_argument")
})

test_that("where the data say nothing about V the steps end with a warning, not with a singular matrix", {
  zero <- mash_set_data(matrix(0, 30, 2), 1)
  for (est_cor in c(TRUE, FALSE)) {
    expect_warning(
      em <- mash_estimate_corr_em(zero, list(id = diag(2)), init = 0.2 + 0.8 * diag(2), max_iter = 50, est_cor = est_cor),
      class = "covmash_warning_convergence"
    )
    expect_true(all(is.finite(em$V)))
    expect_gt(min(eigen(em$V)$values), 0)
    expect_true(all(diff(em$objective) >= 0))
  }
  same <- small_data(J = 40, R = 2)
  same$Bhat[, 2] <- same$Bhat[, 1]
  em <- suppressWarnings(mash_estimate_corr_em(mash_set_data(same$Bhat, 1), list(id = diag(2)), max_iter = 100, rel_tol = 0))
  expect_gt(min(eigen(em$V)$values), 0)
})

test_that("gridmult is no grid, and the grid is that of mash()", {
  sim <- small_data(J = 60, R = 2)
  U <- cov_canonical(sim$data)
  em <- suppressWarnings(mash_estimate_corr_em(sim$data, U, gridmult = 2, max_iter = 1, track_fit = TRUE))
  expect_equal(em$mash.model$fitted_g$grid, mash(sim$data, U, gridmult = 2, verbose = FALSE)$fitted_g$grid)
  expect_length(em$trace[[1]]$pi, length(em$mash.model$fitted_g$pi))
})
