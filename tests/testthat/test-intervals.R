# P(effect <= x) under the fit, by the model's formulas for one effect: a function of x for each row of A.
plain_distribution <- function(fit, data, j, A) {
  g <- fit$fitted_g
  at <- which(!is.na(data$Bhat[j, ]))
  S <- data$Shat[j, at]
  V <- data$V[at, at, drop = FALSE] * tcrossprod(S)
  scaled <- c(
    if (g$usepointmass) list(0 * g$Ulist[[1]]),
    unlist(lapply(g$grid, function(w) lapply(g$Ulist, function(U) w^2 * as.matrix(U))), recursive = FALSE)
  )
  log_density <- vapply(scaled, function(U) {
    M <- V + U[at, at, drop = FALSE]
    -0.5 * (determinant(M)$modulus + mahalanobis(data$Bhat[j, at], FALSE, M))
  }, 0)
  weight <- exp(log(g$pi) + log_density - max(log_density[g$pi > 0]))
  weight <- weight / sum(weight)
  parts <- lapply(scaled, function(U) {
    K <- U[, at, drop = FALSE] %*% solve(V + U[at, at, drop = FALSE])
    covariance <- U - K %*% U[at, , drop = FALSE]
    list(mean = drop(A %*% K %*% data$Bhat[j, at]), sd = sqrt(pmax(diag(A %*% covariance %*% t(A)), 0)), zero = diag(A %*% U %*% t(A)) < 1e-12)
  })
  function(q, x) {
    sum(weight * vapply(parts, function(p) if (p$zero[q]) as.numeric(x >= 0) else pnorm(x, p$mean[q], p$sd[q]), 0))
  }
}

interval_problem <- function(missing = 0.15, n = 40, alpha = 0) {
  withr::local_seed(3)
  sim <- simple_sims(nsamp = n, ncond = 4, err_sd = 0.5)
  Bhat <- sim$Bhat
  Shat <- sim$Shat * exp(runif(length(sim$Shat), -0.3, 0.3))
  gone <- matrix(runif(length(Bhat)) < missing, nrow(Bhat))
  gone[, 1] <- FALSE
  Bhat[gone] <- NA
  V <- 0.3 + 0.7 * diag(4)
  data <- mash_set_data(Bhat, Shat, V = V, alpha = alpha)
  list(data = data, fit = mash(data, cov_canonical(data), verbose = FALSE), sim = sim)
}

test_that("the ends are quantiles of the posterior, of effects and of combinations", {
  p <- interval_problem()
  A <- rbind(difference = c(1, -1, 0, 0), mean = rep(0.25, 4))
  for (level in c(0.5, 0.95)) {
    own <- get_credible_intervals(p$fit, p$data, level)
    mixed <- get_credible_intervals(p$fit, p$data, level, A = A)
    expect_identical(dimnames(own$lower), dimnames(p$data$Bhat))
    expect_identical(dimnames(mixed$upper), list(rownames(p$data$Bhat), rownames(A)))
    for (j in c(1, 45, 90, 130)) {
      cases <- list(list(own, diag(4)), list(mixed, A))
      for (case in cases) {
        F <- plain_distribution(p$fit, p$data, j, case[[2]])
        for (q in seq_len(nrow(case[[2]]))) {
          ends <- c(case[[1]]$lower[j, q], case[[1]]$upper[j, q])
          wanted <- c(1 - level, 1 + level) / 2
          for (i in 1:2) {
            # At the point mass the distribution function jumps over what is wanted.
            expect_lte(F(q, ends[i] - 1e-7), wanted[i] + 1e-9)
            expect_gte(F(q, ends[i] + 1e-7), wanted[i] - 1e-9)
            if (ends[i] != 0) expect_equal(F(q, ends[i]), wanted[i], tolerance = 1e-8)
          }
        }
      }
    }
  }
})

test_that("intervals hold the truth as often as they say; mean plus and minus 1.96 sd do not", {
  withr::local_seed(11)
  U <- list(shared = matrix(1, 3, 3), own = diag(c(1, 0, 0)), wide = 4 * diag(3))
  g <- list(pi = c(0.6, 0.2, 0.15, 0.05), Ulist = U, grid = 1, usepointmass = TRUE)
  n <- 4000
  k <- sample(4, n, TRUE, g$pi)
  B <- matrix(0, n, 3)
  B[k == 2, ] <- rnorm(sum(k == 2))
  B[k == 3, 1] <- rnorm(sum(k == 3))
  B[k == 4, ] <- 2 * rnorm(3 * sum(k == 4))
  V <- 0.4 + 0.6 * diag(3)
  Bhat <- B + 0.5 * matrix(rnorm(3 * n), n) %*% chol(V)
  Bhat[cbind(sample(n, 500), sample(2:3, 500, TRUE))] <- NA
  data <- mash_set_data(Bhat, 0.5, V = V)
  fit <- structure(list(fitted_g = g, alpha = 0), class = c("mash_fit", "mash"))
  for (type in c("equal", "shortest")) {
    ends <- get_credible_intervals(g, data, 0.9, type = type)
    held <- rowMeans(ends$lower <= B & B <= ends$upper)
    expect_gt(mean(held), 0.9 - 3 * sd(held) / sqrt(n))
    # of the effects that are not certainly zero
    open <- ends$lower < ends$upper
    se <- sqrt(0.09 / sum(open))
    if (type == "equal") expect_gt(mean((ends$lower <= B & B <= ends$upper)[open]), 0.9 - 4 * se)
  }
})

test_that("the shortest interval is no longer, and symmetric for one normal", {
  p <- interval_problem(n = 10)
  equal <- get_credible_intervals(p$fit, p$data, 0.8)
  short <- get_credible_intervals(p$fit, p$data, 0.8, type = "shortest")
  expect_true(all(short$upper - short$lower <= (equal$upper - equal$lower) * (1 + 1e-9)))
  for (j in c(2, 30)) {
    F <- plain_distribution(p$fit, p$data, j, diag(4))
    for (q in 1:4) expect_gte(F(q, short$upper[j, q] + 1e-9) - F(q, short$lower[j, q] - 1e-9), 0.8 - 1e-6)
  }
  g <- list(pi = 1, Ulist = list(a = diag(2)), grid = 1, usepointmass = FALSE)
  one <- mash_set_data(matrix(c(1, -2), 1))
  expect_message(ends <- get_credible_intervals(g, one, type = "shortest"), class = "covmash_message_alpha")
  expect_equal(unname(ends$lower[1, ]), c(0.5, -1) - qnorm(0.975) * sqrt(0.5), tolerance = 1e-3)
})

test_that("threads, blocks and the scale of alpha do not matter", {
  p <- interval_problem(n = 60)
  one <- get_credible_intervals(p$fit, p$data, n_threads = 1)
  expect_identical(get_credible_intervals(p$fit, p$data, n_threads = 2), one)
  z <- interval_problem(missing = 0, alpha = 1)
  ends <- get_credible_intervals(z$fit, z$data)
  plain <- mash_compute_posterior_matrices(z$fit, z$data)
  expect_true(all(ends$lower <= plain$PosteriorMean & plain$PosteriorMean <= ends$upper))
  scaled <- mash_set_data(10 * z$sim$Bhat, 10 * (z$data$Shat_alpha), V = z$data$V, alpha = 1)
  expect_equal(get_credible_intervals(z$fit, scaled)$lower, 10 * ends$lower, tolerance = 1e-9)
})

test_that("bad arguments are refused", {
  p <- interval_problem(n = 5)
  for (level in list(0, 1, -1, NA, "a", c(0.5, 0.9))) {
    expect_error(get_credible_intervals(p$fit, p$data, level), "level", class = "covmash_error_argument")
  }
  expect_error(get_credible_intervals(p$fit, p$data, type = "x"), "type", class = "covmash_error_argument")
  expect_error(get_credible_intervals(p$fit, p$data, A = diag(3)), "A", class = "covmash_error")
  expect_error(get_credible_intervals(1, p$data), class = "covmash_error")
})
