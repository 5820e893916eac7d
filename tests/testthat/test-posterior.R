setup_fit <- function(alpha = 0, missing = 10) {
  sim <- small_data(J = 60, R = 3, shat = "varying", missing = missing, alpha = alpha)
  c(sim, list(fit = muffle_all_missing(mash(sim$data, cov_canonical(sim$data), verbose = FALSE, output_lfdr = TRUE))))
}

test_that("mash_compute_posterior_matrices() returns mashr's list, always with lfdr", {
  s <- setup_fit()
  out <- mash_compute_posterior_matrices(s$fit, s$data)
  expect_identical(names(out), posterior_names)
  for (name in posterior_names) {
    expect_identical(out[[name]], s$fit$result[[name]])
    expect_identical(dimnames(out[[name]]), dimnames(s$Bhat))
  }
})

test_that("log-likelihoods of the data a fit was made from are those of the fit", {
  for (alpha in 0:1) {
    s <- setup_fit(alpha)
    expect_identical(mash_compute_vloglik(s$fit, s$data), s$fit$vloglik)
    expect_identical(mash_compute_loglik(s$fit, s$data), s$fit$loglik)
    expect_identical(dim(mash_compute_vloglik(s$fit, s$data)), c(60L, 1L))
  }
})

test_that("a bare prior is accepted, with a word on alpha", {
  s <- setup_fit()
  g <- s$fit$fitted_g
  expect_message(bare <- mash_compute_vloglik(g, s$data), "alpha")
  expect_identical(bare, s$fit$vloglik)
  expect_message(out <- mash_compute_posterior_matrices(g, s$data), "alpha")
  expect_identical(out$lfsr, s$fit$result$lfsr)
  expect_message(mash_compute_loglik(g, s$data), "alpha")
})

test_that("a fit and data of different alpha are refused", {
  s <- setup_fit(0)
  z <- mash_set_data(s$Bhat, s$Shat, alpha = 1)
  expect_input_error(mash_compute_posterior_matrices(s$fit, z), "alpha")
  expect_input_error(mash_compute_loglik(s$fit, z), "alpha")
  expect_input_error(mash_compute_vloglik(s$fit, z), "alpha")
  expect_input_error(predict(s$fit, z), "alpha")
})

test_that("data of other conditions are refused", {
  s <- setup_fit()
  other <- s$data
  for (part in c("Bhat", "Shat", "Shat_alpha")) colnames(other[[part]])[3] <- "z"
  expect_error(mash_compute_posterior_matrices(s$fit, other), "does not know, 'z'", class = "covmash_error_names")
  expect_error(mash_compute_vloglik(s$fit, other), "does not know, 'z'", class = "covmash_error_names")
  bare <- muffle_all_missing(mash_set_data(unname(s$Bhat[, 1:2]), unname(s$Shat[, 1:2])))
  expect_error(predict(s$fit, bare), "have no names", class = "covmash_error_names")
})

test_that("new data get their own posterior", {
  s <- setup_fit()
  new <- small_data(J = 7, R = 3, seed = 99, shat = "varying")
  g <- s$fit$fitted_g
  expected <- reference_mash(new$Bhat, new$Shat, diag(3), g$Ulist, g$grid, g$pi)
  out <- mash_compute_posterior_matrices(s$fit, new$data)
  for (name in posterior_names) expect_close(out[[name]], expected[[name]], 1e-9)
  expect_close(mash_compute_vloglik(s$fit, new$data), expected$vloglik, 1e-10)
})

test_that("predict() is the posterior of new data", {
  s <- setup_fit()
  new <- small_data(J = 7, R = 3, seed = 99, shat = "varying")
  out <- predict(s$fit, new$data)
  posterior <- mash_compute_posterior_matrices(s$fit, new$data)
  result <- if (is.null(out$result)) out else out$result
  expect_identical(result$PosteriorMean, posterior$PosteriorMean)
  expect_identical(result$lfsr, posterior$lfsr)
})

test_that("a missing effect is predicted from the others", {
  g <- list(pi = c(0, 1), Ulist = list(eq = matrix(1, 2, 2)), grid = 2, usepointmass = TRUE)
  data <- mash_set_data(cbind(c(3, 3), c(NA, 1)), 1)
  out <- mash(data, g = g, fixg = TRUE, verbose = FALSE)$result
  # One effect equal in both conditions: what is learned from one holds for the other.
  expect_close(out$PosteriorMean[1, ], c(3, 3) * 4 / 5, 1e-13)
  expect_close(out$PosteriorSD[1, ], rep(sqrt(4 / 5), 2), 1e-13)
  expect_close(out$PosteriorMean[2, ], rep(4 * 4 / 9, 2), 1e-13)
})

test_that("under alpha = 1, a missing effect of unknown standard error has probabilities but no scale", {
  Bhat <- cbind(c(3, -2), c(NA, NA))
  Shat <- cbind(c(1, 2), c(NA, 2))
  g <- list(pi = c(0.5, 0.5), Ulist = list(eq = matrix(1, 2, 2)), grid = 2, usepointmass = TRUE)
  out <- mash(mash_set_data(Bhat, Shat, alpha = 1), g = g, fixg = TRUE, verbose = FALSE)$result
  expect_identical(is.na(unname(out$PosteriorMean)), matrix(c(FALSE, FALSE, TRUE, FALSE), 2))
  expect_identical(is.na(unname(out$PosteriorSD)), matrix(c(FALSE, FALSE, TRUE, FALSE), 2))
  expect_false(anyNA(out$lfsr) || anyNA(out$NegativeProb))
  expect_close(out$lfsr[, 1], out$lfsr[, 2], 1e-14)
})

test_that("components below pi_thresh are left out of the posterior only", {
  s <- setup_fit()
  g <- s$fit$fitted_g
  g$pi <- rep((1 - 0.6) / (length(g$pi) - 1), length(g$pi))
  g$pi[1] <- 0.6
  names(g$pi) <- names(s$fit$fitted_g$pi)
  out <- suppressMessages(mash_compute_posterior_matrices(g, s$data, pi_thresh = 0.5))
  expect_true(all(out$PosteriorMean[!is.na(out$PosteriorMean)] == 0))
  expect_true(all(out$lfdr == 1))
})

test_that("the posterior weights of a fit can be had, kept or not", {
  s <- setup_fit()
  expect_close(get_posterior_weights(s$fit, s$data), s$fit$posterior_weights, 1e-14)
  expect_identical(colnames(get_posterior_weights(s$fit, s$data)), colnames(s$fit$posterior_weights))
  whole <- get_posterior_weights(s$fit, s$data)
  by_matrix <- get_posterior_weights(s$fit, s$data, by = "matrix")
  expect_identical(colnames(by_matrix), names(get_estimated_pi(s$fit)))
  expect_close(rowSums(by_matrix), rep(1, nrow(whole)), 1e-12)
  first <- colnames(by_matrix)[2]
  own <- sub("[.][0-9]+$", "", colnames(whole)) == first
  expect_close(by_matrix[, first], rowSums(whole[, own, drop = FALSE]), 1e-14)
  by_scale <- get_posterior_weights(s$fit, by = "scale")
  expect_identical(colnames(by_scale), c("null", seq_along(s$fit$fitted_g$grid)))
  third <- grepl("[.]3$", colnames(whole))
  expect_close(by_scale[, "3"], rowSums(whole[, third, drop = FALSE]), 1e-12)
})
