canonical_fit <- function(sim = small_data(), ...) mash(sim$data, cov_canonical(sim$data), verbose = FALSE, ...)

test_that("a fit has mashr's elements in mashr's order, then its own", {
  sim <- small_data(J = 50, R = 3)
  fit <- canonical_fit(sim)
  expect_s3_class(fit, c("mash_fit", "mash"), exact = TRUE)
  expected <- c("result", "loglik", "vloglik", "null_loglik", "alt_loglik", "fitted_g", "posterior_weights", "alpha")
  expect_identical(names(fit)[1:8], expected)
  expect_true(all(c("convergence", "timing") %in% names(fit)))
  expect_named(fit$result, c("PosteriorMean", "PosteriorSD", "NegativeProb", "lfsr"))
  for (x in fit$result) expect_identical(dimnames(x), dimnames(sim$Bhat))
  expect_named(fit$fitted_g, c("pi", "Ulist", "grid", "usepointmass"))
  expect_identical(dim(fit$vloglik), c(50L, 1L))
  expect_null(dimnames(fit$vloglik))
  expect_length(fit$null_loglik, 50)
  expect_identical(dim(fit$alt_loglik), c(50L, 1L))
  expect_identical(fit$alpha, 0)
  expect_close(fit$loglik, sum(fit$vloglik), 1e-13)
  expect_true(all(c("objective", "kkt_violation", "iterations", "converged") %in% names(fit$convergence)))
  expect_type(fit, "list")
})

test_that("output_lfdr and outputlevel choose what is computed", {
  sim <- small_data(J = 30, R = 3)
  expect_named(canonical_fit(sim, output_lfdr = TRUE)$result, posterior_names)
  short <- canonical_fit(sim, outputlevel = 1)
  expect_identical(short$result, list())
  expect_close(short$loglik, canonical_fit(sim)$loglik, 1e-13)
  expect_identical(short$fitted_g, canonical_fit(sim)$fitted_g)
  expect_input_error(canonical_fit(sim, outputlevel = 0), "outputlevel")
})

test_that("without a point mass there is no null component", {
  sim <- small_data(J = 40, R = 3)
  fit <- canonical_fit(sim, usepointmass = FALSE)
  expect_identical(names(fit)[1:8],
    c("result", "loglik", "vloglik", "null_loglik", "alt_loglik", "fitted_g", "posterior_weights", "alpha"))
  expect_null(fit$null_loglik)
  expect_null(fit$alt_loglik)
  expect_false("null" %in% names(fit$fitted_g$pi))
  expect_false(fit$fitted_g$usepointmass)
  again <- mash(sim$data, g = fit$fitted_g, fixg = TRUE, verbose = FALSE)
  expect_identical(again$result, fit$result)
})

test_that("log-likelihoods and posterior are those of the plain model at the fitted weights", {
  for (alpha in 0:1) {
    sim <- small_data(J = 60, R = 3, shat = "varying", missing = 10, alpha = alpha, V = 0.3 + diag(0.7, 3))
    fit <- canonical_fit(sim, output_lfdr = TRUE)
    g <- fit$fitted_g
    expected <- reference_mash(sim$Bhat, sim$Shat, sim$data$V, g$Ulist, g$grid, g$pi, TRUE, alpha)
    expect_close(fit$vloglik, expected$vloglik, 1e-10)
    expect_close(fit$null_loglik, expected$null_loglik, 1e-10)
    top <- apply(expected$loglik_matrix, 1, max)
    alternative <- exp(expected$loglik_matrix[, -1] - top) %*% (g$pi[-1] / (1 - g$pi[1]))
    jacobian <- expected$loglik_matrix[, 1] - expected$null_loglik
    expect_close(fit$alt_loglik, log(alternative) + top - jacobian, 1e-10)
    for (name in posterior_names) expect_close(fit$result[[name]], expected[[name]], 1e-9)
  }
})

test_that("a prior that was fitted before can be used as it is, or as a start", {
  sim <- small_data(J = 80, R = 3, shat = "varying")
  fit <- canonical_fit(sim)
  fixed <- mash(sim$data, g = fit$fitted_g, fixg = TRUE, verbose = FALSE)
  expect_identical(fixed$result, fit$result)
  expect_identical(fixed$vloglik, fit$vloglik)
  expect_identical(fixed$fitted_g, fit$fitted_g)
  g <- fit$fitted_g
  g$pi[] <- 1 / length(g$pi)
  refit <- mash(sim$data, g = g, verbose = FALSE)
  expect_close(refit$loglik, fit$loglik, 1e-8)
  expect_close(refit$fitted_g$pi, fit$fitted_g$pi, 1e-4)
})

test_that("contradictory arguments are refused, each for its own reason", {
  sim <- small_data(J = 30, R = 3)
  U <- cov_canonical(sim$data)
  g <- canonical_fit(sim)$fitted_g
  fit <- function(...) mash(sim$data, ..., verbose = FALSE)
  expect_input_error(fit(U, g = g), "`?g`?.*Ulist|Ulist.*`?g`?")
  expect_input_error(fit(g = g, grid = 1), "grid")
  expect_input_error(fit(g = g, normalizeU = FALSE), "normalizeU")
  expect_input_error(fit(g = g, usepointmass = FALSE), "usepointmass")
  expect_input_error(fit(g = g, fixg = TRUE, prior = "uniform"), "prior")
  expect_input_error(fit(), "Ulist")
  expect_input_error(fit(U, fixg = TRUE), "fixg")
  expect_input_error(fit(U, prior = "strange"), "prior")
  expect_input_error(fit(U, optmethod = "strange"), "optmethod")
  expect_input_error(fit(U, usepointmass = NA), "usepointmass")
  expect_input_error(fit(U, pi_thresh = "a"), "pi_thresh")
  expect_input_error(fit(U, n_threads = 0), "n_threads")
  for (bad in list(
    within(g, pi <- pi[-1]), within(g, pi <- -pi), within(g, pi[2] <- NA), g["pi"],
    within(g, grid <- "a"), within(g, Ulist <- list(a = diag(2)))
  )) {
    expect_input_error(fit(g = bad, fixg = TRUE), "g|Ulist")
  }
})

test_that("g = NULL is as good as none", {
  sim <- small_data(J = 30, R = 3)
  expect_identical(without_timing(canonical_fit(sim, g = NULL)), without_timing(canonical_fit(sim)))
})

test_that("an outputlevel that is none is an error", {
  sim <- small_data(J = 20, R = 3)
  for (level in list(0, 5, 1.5, "2", NULL, c(1, 2))) {
    expect_input_error(mash(sim$data, cov_canonical(sim$data), verbose = FALSE, outputlevel = level), "outputlevel")
  }
  expect_input_error(canonical_fit(sim, posterior_samples = -1), "posterior_samples")
  expect_input_error(canonical_fit(sim, posterior_samples = 2, seed = "x"), "seed")
})

test_that("every optimiser of mashr is accepted: computed, or replaced with a warning", {
  sim <- small_data(J = 60, R = 3)
  newton <- canonical_fit(sim)
  expect_identical(without_timing(canonical_fit(sim, optmethod = "newton")), without_timing(newton))
  for (method in c("mixIP", "cxxMixSquarem")) {
    expect_covmash_warning(fit <- canonical_fit(sim, optmethod = method), method)
    expect_close(fit$loglik, newton$loglik, 1e-10)
  }
})

test_that("mixSQP and mixEM run through the mixsqp package, to no better objective", {
  skip_if_not_installed("mixsqp")
  sim <- small_data(J = 150, R = 3)
  newton <- canonical_fit(sim)
  for (method in c("mixSQP", "mixEM")) {
    fit <- canonical_fit(sim, optmethod = method)
    expect_named(fit$fitted_g$pi, names(newton$fitted_g$pi))
    expect_gte(newton$convergence$objective, fit$convergence$objective - 1e-8 * abs(fit$convergence$objective))
    expect_close(fit$loglik, newton$loglik, if (method == "mixSQP") 1e-5 else 1e-3)
  }
})

test_that("algorithm.version of mashr is accepted, also in short", {
  sim <- small_data(J = 30, R = 3)
  fit <- canonical_fit(sim, algorithm = "R")
  expect_close(fit$loglik, canonical_fit(sim)$loglik, 1e-12)
})

test_that("too few iterations are said in a warning and in the fit", {
  sim <- small_data(J = 200, R = 3)
  expect_covmash_warning(fit <- canonical_fit(sim, control = list(max_iter = 1)), "converge")
  expect_false(fit$convergence$converged)
})

test_that("steps are told when asked for, and only then", {
  sim <- small_data(J = 30, R = 3)
  expect_match(capture_messages(mash(sim$data, cov_canonical(sim$data))), "likelihood", ignore.case = TRUE, all = FALSE)
  expect_silent(canonical_fit(sim))
})

test_that("one row", {
  data <- mash_set_data(matrix(c(3, -1, 2), 1, dimnames = list("only", letters[1:3])))
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  expect_identical(dim(fit$result$lfsr), c(1L, 3L))
  expect_identical(dimnames(fit$result$lfsr), list("only", letters[1:3]))
  expect_identical(dim(fit$posterior_weights)[1], 1L)
  fixed <- mash(data, g = fit$fitted_g, fixg = TRUE, verbose = FALSE)
  expect_identical(fixed$result, fit$result)
})

test_that("one condition", {
  sim <- small_data(J = 50, R = 1, shat = "varying", missing = 0)
  fit <- mash(sim$data, list(one = matrix(1)), verbose = FALSE, output_lfdr = TRUE)
  expected <- with(fit$fitted_g, reference_mash(sim$Bhat, sim$Shat, matrix(1), Ulist, grid, pi))
  for (name in posterior_names) {
    expect_identical(dim(fit$result[[name]]), c(50L, 1L))
    expect_close(fit$result[[name]], expected[[name]], 1e-9)
  }
})

test_that("one row and one condition, one matrix, one scale", {
  data <- mash_set_data(matrix(2))
  fit <- mash(data, list(matrix(1)), grid = 1, verbose = FALSE)
  expect_identical(dim(fit$result$PosteriorMean), c(1L, 1L))
  expect_true(is.finite(fit$loglik))
})

test_that("data without any signal put everything on the null", {
  data <- mash_set_data(matrix(withr::with_seed(1, rnorm(300, sd = 0.3)), 100))
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  expect_gt(fit$fitted_g$pi[["null"]], 0.9)
  expect_true(all(is.finite(fit$alt_loglik)))
})

test_that("nothing observed at all teaches nothing", {
  data <- muffle_all_missing(mash_set_data(matrix(NA_real_, 3, 2), 1))
  expect_input_error(mash(data, list(id = diag(2)), verbose = FALSE), "observed")
  fit <- muffle_all_missing(mash(data, list(id = diag(2)), grid = 1, verbose = FALSE))
  expect_identical(fit$loglik, 0)
  expect_true(all(fit$result$PosteriorMean == 0))
  expect_equal(nobs(fit), 0)
})
