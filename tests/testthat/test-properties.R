# What must hold for every data set, with no reference numbers needed.

property_problem <- function(seed = 1, J = 90, missing = 30, alpha = 0) {
  sim <- small_data(J = J, R = 4, seed = seed, shat = "varying", missing = missing, alpha = alpha, V = 0.3 + diag(0.7, 4))
  Ulist <- withr::with_seed(seed, c(
    cov_canonical(sim$data), list(rank1 = random_covariance("rank1", 4), full = random_covariance("full", 4))
  ))
  list(Bhat = sim$Bhat, Shat = sim$Shat, V = sim$data$V, data = sim$data, Ulist = Ulist, alpha = alpha)
}

fit_property <- function(problem, ...) {
  mash(problem$data, problem$Ulist, gridmult = 2, verbose = FALSE, output_lfdr = TRUE, ...)
}

given_g <- function(data, g) mash(data, g = g, fixg = TRUE, verbose = FALSE, output_lfdr = TRUE)

test_that("the order of rows changes nothing but the order of rows", {
  problem <- property_problem()
  fit <- fit_property(problem)
  order <- sample_rows(90, 90)
  permuted <- given_g(problem$data[order, ], fit$fitted_g)
  for (name in posterior_names) expect_close(permuted$result[[name]], fit$result[[name]][order, ], 1e-12)
  refit <- mash(problem$data[order, ], problem$Ulist, gridmult = 2, verbose = FALSE)
  expect_close(refit$loglik, fit$loglik, 1e-8)
})

test_that("the order of conditions changes nothing but the order of conditions", {
  for (alpha in 0:1) {
    problem <- property_problem(alpha = alpha)
    fit <- fit_property(problem)
    order <- c(3, 1, 4, 2)
    g <- fit$fitted_g
    g$Ulist <- lapply(g$Ulist, function(U) U[order, order])
    permuted <- given_g(problem$data[, order], g)
    expect_close(permuted$vloglik, fit$vloglik, 1e-11)
    for (name in posterior_names) expect_close(permuted$result[[name]], fit$result[[name]][, order], 1e-11)
  }
})

test_that("the order of covariance matrices changes nothing but the names' order", {
  problem <- property_problem()
  fit <- fit_property(problem)
  problem$Ulist <- rev(problem$Ulist)
  reversed <- fit_property(problem)
  expect_close(reversed$convergence$objective, fit$convergence$objective, 1e-9)
  expect_close(reversed$result$PosteriorMean, fit$result$PosteriorMean, 1e-3)
  expect_close(get_estimated_pi(reversed)[names(get_estimated_pi(fit))], get_estimated_pi(fit), 1e-3)
})

test_that("units cancel: Bhat and Shat times c give effects times c, the same probabilities, a shifted log-likelihood", {
  problem <- property_problem()
  fit <- fit_property(problem)
  scaled <- fit_property(within(problem, data <- mash_set_data(Bhat * 1000, Shat * 1000, V = V)))
  expect_close(scaled$fitted_g$grid, fit$fitted_g$grid * 1000, 1e-13)
  observed <- sum(!is.na(problem$Bhat))
  expect_close(scaled$loglik, fit$loglik - observed * log(1000), 1e-9)
  g <- fit$fitted_g
  g$grid <- g$grid * 1000
  fixed <- given_g(mash_set_data(problem$Bhat * 1000, problem$Shat * 1000, V = problem$V), g)
  for (name in c("lfdr", "NegativeProb", "lfsr")) expect_close(fixed$result[[name]], fit$result[[name]], 1e-11)
  for (name in c("PosteriorMean", "PosteriorSD")) expect_close(fixed$result[[name]] / 1000, fit$result[[name]], 1e-11)
})

test_that("under alpha = 1 results are the z-score results times Shat", {
  problem <- property_problem(alpha = 1, missing = 0)
  fit <- fit_property(problem)
  z <- mash_set_data(problem$Bhat / problem$Shat, 1, V = problem$V)
  as_z <- given_g(z, fit$fitted_g)
  expect_close(fit$result$PosteriorMean, as_z$result$PosteriorMean * problem$Shat, 1e-12)
  expect_close(fit$result$PosteriorSD, as_z$result$PosteriorSD * problem$Shat, 1e-12)
  expect_close(fit$result$lfsr, as_z$result$lfsr, 1e-12)
  expect_close(fit$vloglik, as_z$vloglik - rowSums(log(problem$Shat)), 1e-12)
})

test_that("a component given twice, with its weight split, is the same prior", {
  problem <- property_problem()
  g <- fit_property(problem)$fitted_g
  K <- length(g$Ulist)
  twice <- g
  twice$Ulist <- c(g$Ulist, list(again = g$Ulist[[2]]))
  weights <- matrix(g$pi[-1], K)
  split <- rbind(weights, 0.3 * weights[2, ])
  split[2, ] <- 0.7 * weights[2, ]
  twice$pi <- c(g$pi[1], split)
  names(twice$pi) <- names(reference_components(twice$Ulist, twice$grid))
  one <- given_g(problem$data, g)
  two <- given_g(problem$data, twice)
  expect_close(two$vloglik, one$vloglik, 1e-12)
  for (name in posterior_names) expect_close(two$result[[name]], one$result[[name]], 1e-11)
})

test_that("a component without weight adds nothing", {
  problem <- property_problem()
  g <- fit_property(problem)$fitted_g
  more <- g
  more$Ulist <- c(g$Ulist, list(idle = diag(4)))
  more$pi <- c(g$pi[1], rbind(matrix(g$pi[-1], length(g$Ulist)), 0))
  names(more$pi) <- names(reference_components(more$Ulist, more$grid))
  one <- given_g(problem$data, g)
  two <- given_g(problem$data, more)
  expect_close(two$vloglik, one$vloglik, 1e-13)
  for (name in posterior_names) expect_close(two$result[[name]], one$result[[name]], 1e-12)
})

test_that("a condition that is missing for all is a condition that is not there", {
  sim <- small_data(J = 60, R = 4, shat = "varying", V = 0.3 + diag(0.7, 4))
  Bhat <- sim$Bhat
  Bhat[, 3] <- NA
  with_gap <- mash_set_data(Bhat, sim$Shat, V = sim$data$V)
  without <- sim$data[, -3]
  Ulist <- withr::with_seed(5, list(full = random_covariance("full", 4), line = random_covariance("rank1", 4)))
  grid <- c(0.5, 2)
  g <- list(pi = c(0.4, 0.3, 0.1, 0.1, 0.1), Ulist = Ulist, grid = grid, usepointmass = TRUE)
  names(g$pi) <- names(reference_components(Ulist, grid))
  h <- g
  h$Ulist <- lapply(Ulist, function(U) U[-3, -3])
  gap <- given_g(with_gap, g)
  dropped <- given_g(without, h)
  expect_close(gap$vloglik, dropped$vloglik, 1e-12)
  for (name in posterior_names) expect_close(gap$result[[name]][, -3], dropped$result[[name]], 1e-11)
  # A condition correlated with the others is predicted, and no surer than an observed one could be.
  expect_true(any(gap$result$PosteriorMean[, 3] != 0))
  expect_true(all(is.finite(gap$result$PosteriorSD[, 3]) & gap$result$PosteriorSD[, 3] > 0))
})

test_that("an enormous Shat is, in the limit, a missing value", {
  problem <- property_problem(missing = 0)
  g <- fit_property(problem)$fitted_g
  Bhat <- problem$Bhat
  Shat <- problem$Shat
  holes <- cbind(c(3, 10, 10, 44), c(1, 2, 3, 4))
  Shat[holes] <- 1e7
  Bhat[holes] <- 0
  huge <- given_g(suppressWarnings(mash_set_data(Bhat, Shat), classes = "covmash_warning_placeholder"), g)
  Bhat[holes] <- NA
  missing <- given_g(mash_set_data(Bhat, Shat), g)
  for (name in posterior_names) expect_close(huge$result[[name]], missing$result[[name]], 1e-6)
})

test_that("all-missing rows have the prior as posterior, and change no fit", {
  problem <- property_problem()
  fit <- fit_property(problem)
  more <- muffle_all_missing(mash_set_data(
    rbind(problem$Bhat, none = NA, nothing = NA), rbind(problem$Shat, none = NA, nothing = 1), V = problem$V
  ))
  padded <- muffle_all_missing(mash(more, problem$Ulist, gridmult = 2, verbose = FALSE, output_lfdr = TRUE))
  expect_close(padded$fitted_g$pi, fit$fitted_g$pi, 1e-10)
  expect_close(padded$loglik, fit$loglik, 1e-11)
  pi <- padded$fitted_g$pi
  components <- reference_components(padded$fitted_g$Ulist, padded$fitted_g$grid)
  variance <- vapply(components, diag, numeric(4))
  for (row in 91:92) {
    expect_identical(padded$vloglik[row, 1], 0)
    expect_close(padded$result$PosteriorMean[row, ], rep(0, 4), 1e-15)
    expect_close(padded$result$PosteriorSD[row, ], sqrt(variance %*% pi), 1e-9)
    expect_close(padded$result$lfdr[row, ], (variance == 0) %*% pi, 1e-9)
    expect_close(padded$result$NegativeProb[row, ], (variance > 0) %*% pi / 2, 1e-9)
  }
})

test_that("the certificate that a fit reports is the one found from the likelihoods", {
  for (seed in 1:4) {
    problem <- property_problem(seed, alpha = seed %% 2)
    fit <- fit_property(problem)
    g <- fit$fitted_g
    data <- problem$data
    loglik <- cpp_loglik_matrix(data, g, list(n_threads = 1))
    prior <- c(10, rep(1, length(g$pi) - 1))
    violation <- reference_violation(loglik, g$pi, prior)
    expect_lt(violation, 1e-6)
    # The solver sees likelihoods in single precision: 6e-8 in each, averaged over the rows.
    expect_lte(violation, fit$convergence$kkt_violation + 3e-8)
    # The objective is that of the original Bhat, like the log-likelihood.
    jacobian <- sum(log(data$Shat_alpha)[!is.na(data$Bhat)])
    expect_close(fit$convergence$objective, reference_objective(loglik, g$pi, prior) - jacobian, 1e-11)
    expect_true(fit$convergence$converged)
  }
})

test_that("lfsr, lfdr and NegativeProb keep their bounds", {
  for (seed in 1:3) {
    fit <- fit_property(property_problem(seed))
    r <- fit$result
    zero <- r$lfdr
    neg <- r$NegativeProb
    # Sums of weights may round to a little more than 1.
    for (x in r[c("lfdr", "NegativeProb", "lfsr")]) expect_true(all(x >= 0 & x <= 1 + 1e-14))
    expect_true(all(r$lfsr >= zero))
    expect_true(all(r$lfsr <= (1 + zero) / 2 + 1e-12))
    expect_close(r$lfsr, pmin(neg, pmax(1 - zero - neg, 0)) + zero, 1e-12)
    expect_true(all(is.finite(r$PosteriorSD) & r$PosteriorSD >= 0))
  }
})

test_that("a sign flip of the data flips the means and swaps the probabilities, to the last bit where all is observed", {
  for (alpha in 0:1) {
    problem <- property_problem(alpha = alpha)
    g <- fit_property(problem)$fitted_g
    one <- given_g(problem$data, g)
    flipped <- given_g(mash_set_data(-problem$Bhat, problem$Shat, alpha = alpha, V = problem$V), g)
    complete <- which(rowSums(is.na(problem$Bhat)) == 0)
    expect_identical(flipped$vloglik, one$vloglik)
    expect_identical(flipped$result$PosteriorMean[complete, ], -one$result$PosteriorMean[complete, ])
    expect_close(flipped$result$PosteriorMean, -one$result$PosteriorMean, 1e-14)
    for (name in c("PosteriorSD", "lfdr", "lfsr")) {
      expect_identical(flipped$result[[name]][complete, ], one$result[[name]][complete, ])
      expect_close(flipped$result[[name]], one$result[[name]], 1e-14)
    }
    expect_close(flipped$result$NegativeProb, 1 - one$result$lfdr - one$result$NegativeProb, 1e-12)
  }
})

test_that("strong negative effects have a positive lfsr, as small as that of strong positive ones", {
  Bhat <- rbind(c(14, 14, 14), c(-14, -14, -14), c(25, 0, 25), c(-25, 0, -25))
  for (Shat in list(matrix(1, 4, 3), matrix(c(1, 1, 1.1, 1.1, 0.9, 0.9, 1, 1, 1, 1, 1.2, 1.2), 4))) {
    data <- mash_set_data(Bhat, Shat)
    g <- list(pi = c(0.5, 0.5), Ulist = list(id = diag(3)), grid = 5, usepointmass = TRUE)
    r <- given_g(data, g)$result
    expect_identical(r$lfsr[1, ], r$lfsr[2, ])
    expect_identical(r$lfsr[3, ], r$lfsr[4, ])
    expect_true(all(r$lfsr > 0))
    expect_true(all(r$lfsr[1:2, ] < 1e-20))
  }
})

test_that("effects far out in the tails are finite", {
  Bhat <- rbind(c(1e4, -1e4), c(1e150, 1e150), c(0, 0))
  g <- list(pi = c(0.5, 0.25, 0.25), Ulist = list(id = diag(2), eq = matrix(1, 2, 2)), grid = 3, usepointmass = TRUE)
  fit <- given_g(mash_set_data(Bhat[-2, ], 1), g)
  for (x in fit$result) expect_true(all(is.finite(x)))
  expect_true(all(is.finite(fit$vloglik)))
  expect_close(fit$result$PosteriorMean[1, ], c(1e4, -1e4) * 9 / 10, 1e-12)
})

test_that("a posterior is calibrated on data from the prior", {
  g <- list(
    pi = c(0.3, 0.4, 0.3), Ulist = list(id = diag(3), eq = matrix(1, 3, 3)), grid = 2, usepointmass = TRUE
  )
  sim <- withr::with_seed(10, {
    component <- sample(0:2, 4000, TRUE, g$pi)
    B <- matrix(rnorm(12000, sd = 2), 4000)
    B[component == 2, ] <- B[component == 2, 1]
    B[component == 0, ] <- 0
    Shat <- matrix(runif(12000, 0.5, 1.5), 4000)
    list(B = B, Bhat = B + Shat * matrix(rnorm(12000), 4000), Shat = Shat)
  })
  r <- given_g(mash_set_data(sim$Bhat, sim$Shat), g)$result
  # Standardised errors have mean 0 and variance 1 if the posterior is right (rows with nearly no variance left out).
  wide <- r$PosteriorSD > 0.05
  z <- ((sim$B - r$PosteriorMean) / r$PosteriorSD)[wide]
  expect_lt(abs(mean(z)), 0.03)
  expect_lt(abs(mean(z^2) - 1), 0.08)
  expect_lt(abs(mean((sim$B < 0) - r$NegativeProb)), 0.01)
  expect_lt(abs(mean((sim$B == 0) - r$lfdr)), 0.015)
})
