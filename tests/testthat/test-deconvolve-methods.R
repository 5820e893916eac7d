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
  for (f in list(print, format, summary, logLik, nobs, predict, tidy, glance, get_Ulist, get_estimated_pi)) {
    expect_error(f(broken), class = "covmash_error_argument")
  }
  half <- fitted_deconvolution()$fit
  half$fitted_g$pi <- half$fitted_g$pi / 2
  expect_error(get_Ulist(half), "pi", class = "covmash_error_fit")
})

test_that("summary() tells size, number of directions and where the first points", {
  fit <- fitted_deconvolution()$fit
  s <- summary(fit)
  U <- get_Ulist(fit)[["full_1"]]
  values <- eigen(U)$values
  of <- s$components[s$components$name == "full_1", ]
  expect_equal(of$max_sd, sqrt(max(diag(U))))
  expect_equal(of$effective_rank, sum(values)^2 / sum(values^2))
  expect_equal(of$leading, values[1] / sum(values))
  expect_match(of$conditions, condition_labels(U)[which.max(abs(eigen(U)$vectors[, 1]))], fixed = TRUE)
  expect_equal(s$components$effective_rank[s$components$kind == "rank1"], 1)
  expect_output(expect_invisible(print(s)), "effective_rank")
  expect_error(print(s, digits = 0), class = "covmash_error_argument")
  class(fit) <- NULL
  expect_error(print(structure(list(), class = "summary.deconvolution")), class = "covmash_error_argument")
})

test_that("matrices, weights and the probability of each component for each effect can be had", {
  one <- fitted_deconvolution()
  expect_identical(get_Ulist(one$fit), one$fit$Ulist)
  expect_close(get_estimated_pi(one$fit), one$fit$pi, 1e-12)
  weights <- get_posterior_weights(one$fit, one$data[1:100, ])
  expect_close(rowSums(weights), rep(1, 100), 1e-12)
  expect_close(colSums(weights), one$fit$components$effects, 0.5)
  density <- vapply(one$fit$Ulist, function(U) {
    S <- U + 0.25 * diag(3)
    exp(-0.5 * mahalanobis(one$data$Bhat[1:100, ], FALSE, S)) / sqrt(det(S))
  }, numeric(100))
  expected <- density * rep(one$fit$pi, each = 100)
  expect_close(weights, expected / rowSums(expected), 1e-10)
  expect_error(get_posterior_weights(one$fit), "give `data`", class = "covmash_error_fit")
  refined <- deconvolve(one$data, 1:100, n_full = 2, n_starts = 1, refine = "mash")
  expect_named(get_estimated_pi(refined), c("null", names(refined$Ulist)))
})
