setup_fit <- function(...) {
  sim <- small_data(J = 80, R = 3, ...)
  c(sim, list(fit = mash(sim$data, cov_canonical(sim$data), verbose = FALSE, output_lfdr = TRUE)))
}

test_that("accessors look elements up", {
  fit <- setup_fit()$fit
  expect_identical(get_pm(fit), fit$result$PosteriorMean)
  expect_identical(get_psd(fit), fit$result$PosteriorSD)
  expect_identical(get_lfsr(fit), fit$result$lfsr)
  expect_identical(get_lfdr(fit), fit$result$lfdr)
  expect_identical(get_np(fit), fit$result$NegativeProb)
  expect_identical(get_loglik(fit), fit$loglik)
  expect_identical(get_fitted_g(fit), fit$fitted_g)
})

test_that("significant rows are named and come strongest first, ties in order of rows", {
  fit <- setup_fit()$fit
  smallest <- apply(fit$result$lfsr, 1, min)
  expected <- order(smallest)
  expected <- expected[smallest[expected] < 0.05]
  found <- get_significant_results(fit)
  expect_identical(unname(found), expected)
  expect_named(found, rownames(fit$result$lfsr)[expected])
  fit$result$lfsr[] <- 0.01
  expect_identical(unname(get_significant_results(fit)), 1:80)
  # The threshold itself is not below the threshold.
  expect_length(get_significant_results(fit, thresh = 0.01), 0)
})

test_that("significance can be asked of some conditions, by number or name, and of other quantities", {
  fit <- setup_fit()$fit
  lfsr <- fit$result$lfsr
  expected <- which(lfsr[, 2] < 0.05)
  expect_setequal(unname(get_significant_results(fit, conditions = 2)), expected)
  expect_identical(get_significant_results(fit, conditions = "b"), get_significant_results(fit, conditions = 2))
  by_lfdr <- get_significant_results(fit, sig_fn = get_lfdr)
  expect_setequal(unname(by_lfdr), which(apply(fit$result$lfdr, 1, min) < 0.05))
  expect_identical(get_n_significant_conditions(fit), setNames(as.integer(rowSums(lfsr < 0.05)), rownames(lfsr)))
  expect_identical(
    unname(get_n_significant_conditions(fit, thresh = 0.2, conditions = c(1, 3))), unname(as.integer(rowSums(lfsr[, c(1, 3)] < 0.2)))
  )
  expect_input_error(get_significant_results(fit, conditions = "nowhere"), "nowhere")
})

test_that("only observed entries count, unless predictions are asked for", {
  sim <- small_data(J = 60, R = 3)
  Bhat <- sim$Bhat
  Bhat[, 3] <- Bhat[, 1]
  hidden <- seq_len(60) %% 2 == 0
  Bhat[hidden, c(1, 2)] <- NA
  data <- mash_set_data(Bhat, 1)
  fit <- mash(data, list(eq = matrix(1, 3, 3)), verbose = FALSE)
  seen <- fit$result$lfsr
  seen[is.na(Bhat)] <- NA
  expect_setequal(unname(get_significant_results(fit, conditions = 1)), which(seen[, 1] < 0.05))
  expect_setequal(unname(get_significant_results(fit, conditions = 1, predicted = TRUE)), which(fit$result$lfsr[, 1] < 0.05))
  expect_gt(length(get_significant_results(fit, conditions = 1, predicted = TRUE)), length(get_significant_results(fit, conditions = 1)))
  expect_identical(unname(get_n_significant_conditions(fit)), as.integer(rowSums(seen < 0.05, na.rm = TRUE)))
})

test_that("estimated weights by covariance, by scale and all", {
  fit <- setup_fit()$fit
  pi <- fit$fitted_g$pi
  K <- length(fit$fitted_g$Ulist)
  by <- matrix(pi[-1], K)
  expect_close(get_estimated_pi(fit), c(pi[1], rowSums(by)), 1e-14)
  expect_named(get_estimated_pi(fit), c("null", names(fit$fitted_g$Ulist)))
  expect_close(get_estimated_pi(fit, "grid"), c(pi[1], colSums(by)), 1e-14)
  expect_named(get_estimated_pi(fit, "grid"), c("null", seq_along(fit$fitted_g$grid)))
  expect_identical(get_estimated_pi(fit, "all"), pi)
  no_null <- mash(setup_fit()$data, list(id = diag(3)), usepointmass = FALSE, verbose = FALSE)
  expect_named(get_estimated_pi(no_null), "id")
  expect_close(sum(get_estimated_pi(no_null)), 1, 1e-14)
  expect_input_error(get_estimated_pi(fit, "strange"), "dimension")
  expect_identical(get_Ulist(fit), fit$fitted_g$Ulist)
  expect_error(get_Ulist(1), class = "covmash_error_fit")
  expect_error(get_Ulist(), class = "covmash_error_fit")
})

test_that("Bayes factors compare the alternative with the null", {
  s <- setup_fit()
  bf <- get_log10bf(s$fit)
  expect_identical(dim(bf), c(80L, 1L))
  expect_close(bf, (s$fit$alt_loglik - s$fit$null_loglik) / log(10), 1e-14)
  expect_null(get_log10bf(mash(s$data, list(id = diag(3)), usepointmass = FALSE, verbose = FALSE)))
})

test_that("logLik and nobs speak R's language", {
  sim <- small_data(J = 40, R = 3)
  Bhat <- sim$Bhat
  Bhat[4, ] <- NA
  data <- muffle_all_missing(mash_set_data(Bhat, 1))
  fit <- muffle_all_missing(mash(data, cov_canonical(data), verbose = FALSE))
  expect_s3_class(logLik(fit), "logLik")
  expect_identical(as.numeric(logLik(fit)), fit$loglik)
  expect_equal(nobs(fit), 39)
  expect_true(is.finite(AIC(fit)))
})

test_that("a fit without posteriors says what is missing", {
  s <- setup_fit()
  short <- mash(s$data, list(id = diag(3)), verbose = FALSE, outputlevel = 1)
  expect_error(get_significant_results(short), class = "covmash_error")
  expect_error(get_pairwise_sharing(short), class = "covmash_error")
})

test_that("a threshold for probabilities is a probability", {
  sim <- small_data(J = 10, R = 2)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  for (thresh in list(5, -0.1, NA_real_, "a", c(0.1, 0.2))) {
    expect_input_error(get_significant_results(fit, thresh = thresh), "thresh")
    expect_input_error(get_n_significant_conditions(fit, thresh = thresh), "thresh")
    expect_input_error(get_pairwise_sharing(fit, lfsr_thresh = thresh), "lfsr_thresh")
  }
  # Bayes factors are none.
  against <- function(m) matrix(-get_log10bf(m), nrow(m$vloglik), 1)
  expect_type(get_significant_results(fit, thresh = -1, sig_fn = against), "integer")
})

test_that("a matrix or condition called null does not double that name", {
  sim <- small_data(J = 30, R = 2)
  for (part in c("Bhat", "Shat", "Shat_alpha")) colnames(sim$data[[part]])[1] <- "null"
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  pi <- get_estimated_pi(fit)
  expect_identical(anyDuplicated(names(pi)), 0L)
  expect_identical(pi[["null"]], fit$fitted_g$pi[["null"]])
  of_matrix <- fit$fitted_g$pi[grepl("^null[.]", names(fit$fitted_g$pi))]
  expect_equal(pi[["null.1"]], sum(of_matrix))
  weights <- tidy(fit, "weights")
  expect_equal(sum(weights$weight[weights$covariance == "null.1"]), pi[["null.1"]])
})

test_that("ordering in pieces is ordering", {
  set.seed(3)
  for (x in list(rnorm(1000), sample(5, 1000, TRUE) / 7, numeric(1000), c(-Inf, rnorm(998), Inf), rev(seq_len(1000)))) {
    for (size in c(7, 100, 999)) expect_identical(order_in_pieces(x, size), order(x))
  }
})

test_that("significant conditions are counted with names and without missing ones", {
  sig <- matrix(c(0.01, NA, 0.5, 0.02, 0.03, NA), 3, dimnames = list(c("a", "b", "c"), NULL))
  m <- structure(list(result = list(PosteriorMean = sig, lfsr = sig)), class = "mash")
  expect_identical(get_n_significant_conditions(m), c(a = 2L, b = 1L, c = 0L))
  rownames(m$result$lfsr) <- NULL
  expect_identical(get_n_significant_conditions(m), c(2L, 1L, 0L))
})
