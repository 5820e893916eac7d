fitted_deconvolution <- function(...) {
  withr::local_seed(1)
  sim <- simple_sims(nsamp = 40, ncond = 3, err_sd = 0.5)
  data <- mash_set_data(sim$Bhat, sim$Shat)
  list(data = data, fit = deconvolve(data, 1:100, n_full = 2, n_rank1 = 1, ...))
}

test_that("it prints, tidies and glances", {
  one <- fitted_deconvolution()
  expect_match(format(one$fit), "of 3 conditions from 100 effects")
  expect_output(expect_invisible(print(one$fit)), "inverse Wishart, lambda = 6")
  expect_output(print(fitted_deconvolution(penalty = "none")$fit), "penalty: +none")
  expect_identical(tidy(one$fit), one$fit$components)
  expect_equal(sum(tidy(one$fit)$weight), 1)
  g <- glance(one$fit)
  expect_equal(nrow(g), 1)
  expect_equal(g$logLik, one$fit$loglik)
  expect_equal(nobs(one$fit), 100)
})

test_that("logLik() is that of the rows learned from, or of new ones", {
  one <- fitted_deconvolution()
  ll <- logLik(one$fit)
  expect_s3_class(ll, "logLik")
  expect_equal(as.numeric(ll), one$fit$loglik)
  fresh <- one$data[101:160, ]
  expect_equal(as.numeric(logLik(one$fit, fresh)), mash_compute_loglik(one$fit, fresh))
  expect_equal(attr(logLik(one$fit, fresh), "nobs"), 60)
  kinds <- one$fit$components$kind
  own <- c(full = 6, rank1 = 3)
  expect_equal(attr(ll, "df"), sum(own[kinds]) + length(kinds) - 1)
})

test_that("predict() gives the posterior under the mixture, as the plain model does", {
  one <- fitted_deconvolution()
  fresh <- one$data[101:120, ]
  p <- predict(one$fit, fresh)
  g <- one$fit$fitted_g
  expected <- reference_mash(fresh$Bhat, fresh$Shat, fresh$V, g$Ulist, 1, g$pi, FALSE)
  expect_equal(unname(p$PosteriorMean), unname(expected$PosteriorMean), tolerance = 1e-9)
  expect_equal(unname(p$lfsr), unname(expected$lfsr), tolerance = 1e-9)
  expect_identical(p, mash_compute_posterior_matrices(one$fit, fresh))
  expect_error(predict(one$fit), class = "covmash_error_data")
})

test_that("what is no fit is refused", {
  broken <- structure(list(), class = "deconvolution")
  for (f in list(print, format, logLik, nobs, predict, tidy, glance)) {
    expect_error(f(broken), class = "covmash_error_argument")
  }
})
