# Exact values, computed in 113-bit arithmetic from exact input: fixtures/truth.csv. The program that makes the table is
# not part of the package (tests/truth in its repository).

truth <- utils::read.csv(test_path("fixtures", "truth.csv"), colClasses = c(case = "character", name = "character"))

# The matrices of a case, by name.
truth_of <- function(case) {
  mine <- truth[truth$case == case, ]
  stopifnot(nrow(mine) > 0)
  lapply(split(mine, mine$name), function(part) {
    x <- matrix(NA_real_, max(part$row), max(part$column))
    x[cbind(part$row, part$column)] <- part$value
    x
  })
}

mash_of_truth <- function(case) {
  x <- truth_of(case)
  x$bhat[x$bhat == -99] <- NA
  factors <- x[grep("^F[0-9]", names(x))]
  list(
    data = mash_set_data(x$bhat, x$shat, alpha = x$alpha[1], V = x$V),
    g = list(
      pi = as.vector(x$pi), Ulist = lapply(factors, tcrossprod), grid = as.vector(x$grid), usepointmass = TRUE
    ),
    truth = x
  )
}

expect_truth <- function(case, loglik = 1e-11, posterior = 1e-11) {
  one <- mash_of_truth(case)
  quiet <- function(expr) suppressMessages(expr, classes = "covmash_message")
  expect_close(quiet(mash_compute_vloglik(one$g, one$data)), one$truth$vloglik, loglik)
  result <- quiet(mash_compute_posterior_matrices(one$g, one$data, pi_thresh = 0))
  sd <- one$truth$PosteriorSD
  expect_close(result$PosteriorMean / sd, one$truth$PosteriorMean / sd, posterior)
  expect_close(result$PosteriorSD / sd, 1 + 0 * sd, posterior)
  expect_close(result$NegativeProb, one$truth$NegativeProb, posterior)
  expect_close(result$lfdr, one$truth$lfdr, posterior)
  expect_close(result$lfsr, one$truth$lfsr, posterior)
}

test_that("likelihoods and posteriors have their exact values", {
  expect_truth("mash common")
  expect_truth("mash rows")
  expect_truth("mash z")
})

test_that("likelihoods and posteriors of badly conditioned noise have their exact values", {
  # 20 eps sqrt(cond V), with a condition of 1e9; the bound of CONTRIBUTING.md. The last figures of two nearly equal
  # observations decide about the posterior.
  expect_truth("mash ill", loglik = 2e-10, posterior = 2e-7)
})

test_that("small probabilities have their exact values, relative to their size", {
  one <- mash_of_truth("mash tail")
  expect_truth("mash tail")
  result <- suppressMessages(mash_compute_posterior_matrices(one$g, one$data, pi_thresh = 0))
  expect_close(result$lfsr / one$truth$lfsr, c(1, 1), 1e-10)
  expect_close(result$lfdr / one$truth$lfdr, c(1, 1), 1e-10)
})

weights_of_truth <- function(case, ...) {
  x <- truth_of(case)
  data <- mash_set_data(x$bhat, x$shat[1])
  fit <- mash(
    data, list(U = matrix(1)), grid = as.vector(x$grid), normalizeU = FALSE, nullweight = x$nullweight[1],
    verbose = FALSE, ...
  )
  list(fit = fit, truth = x)
}

test_that("weights are the best ones", {
  for (case in c("weights", "weights null")) {
    one <- weights_of_truth(case)
    expect_close(one$fit$convergence$objective, one$truth$objective, 1e-9)
    expect_close(one$fit$fitted_g$pi, one$truth$pi, 1e-6)
  }
})

test_that("weights are the best ones where the likelihood is flat", {
  # Equal weights are within the tolerance of the certificate, and are not the best.
  for (case in c("weights flat", "weights flat large", "weights flat null")) {
    one <- weights_of_truth(case)
    expect_close(one$fit$convergence$objective, one$truth$objective, 1e-13)
    expect_close(one$fit$fitted_g$pi, one$truth$pi, 1e-6)
  }
})

test_that("solutions, determinants, inverses and densities of factored covariances have their exact values", {
  for (case in c("factor plain", "factor tiny", "factor full", "factor many", "factor zero", "factor scales")) {
    x <- truth_of(case)
    Sigma <- factor_covariance(x$B, D = as.vector(x$D))
    n <- nrow(x$B)
    sd <- sqrt(as.vector(diag(Sigma)))
    values <- eigen(cov2cor(as.matrix(Sigma)), symmetric = TRUE, only.values = TRUE)$values
    tol <- 1e3 * .Machine$double.eps * max(values) / min(values)
    near <- function(actual, expected, scale = 1, tolerance = tol) {
      error <- max(abs(as.matrix(actual) * scale - expected * scale)) / max(1, abs(expected * scale))
      expect(error <= tolerance, sprintf(
        "%s: %s is off by %.2g (allowed %.2g)", case, deparse1(substitute(actual)), error, tolerance
      ))
    }
    two <- outer(sd, sd)
    near(solve(Sigma, as.vector(x$b)), x$solution, sd)
    near(determinant(Sigma)$modulus, x$log_det)
    near(as.matrix(precision(Sigma)), x$precision, two)
    near(as.matrix(solve(Sigma)), x$precision, two)
    near(diag(precision(Sigma)), diag(x$precision), sd^2)
    near(precision(Sigma) %*% x$b, x$solution, sd)
    near(partial_correlation(Sigma), x$partial)
    for (gene in seq_len(n)) near(partial_correlation(Sigma, gene), x$partial[, gene, drop = FALSE])
    near(log_density(as.vector(x$b), Sigma), x$log_density, 1 / max(1, abs(x$log_density)))
    known <- seq_len(x$given[1])
    part <- conditional(Sigma, stats::setNames(x$b[known], known))
    near(part$mean, x$conditional_mean, 1 / sd[-known])
    near(as.matrix(part$covariance), x$conditional_covariance, 1 / two[-known, -known])
  }
})
