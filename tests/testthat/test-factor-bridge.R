factored_list <- function(R, labels = letters[seq_len(R)]) {
  withr::with_seed(20, list(
    model = factor_covariance(
      matrix(rnorm(2 * R), R, dimnames = list(labels, NULL)), matrix(c(1, 0.3, 0.3, 2), 2), runif(R)
    ),
    part = factor_covariance(matrix(rnorm(R) * (seq_len(R) > 1), R, dimnames = list(labels, NULL)), D = c(0, runif(R - 1))),
    low = factor_covariance(matrix(rnorm(R), R, dimnames = list(labels, NULL)), D = rep(0, R)),
    noise = factor_covariance(matrix(0, R, 0, dimnames = list(labels, NULL)), D = runif(R)),
    plain = diag(R)
  ))
}

test_that("a factor_cov in Ulist gives the fit of its matrix, and stays one", {
  for (shat in c("one", "varying")) {
    for (missing in c(0, 15)) {
      sim <- small_data(J = 80, R = 4, shat = shat, missing = missing)
      Ulist <- factored_list(4)
      plain <- lapply(Ulist, as.matrix)
      fit <- muffle_all_missing(mash(sim$data, Ulist, verbose = FALSE, n_threads = 1))
      dense <- muffle_all_missing(mash(sim$data, plain, verbose = FALSE, n_threads = 1))
      expect_close(fit$loglik, dense$loglik, 1e-8)
      for (name in names(Ulist)[1:4]) {
        expect_true(inherits(fit$fitted_g$Ulist[[name]], "factor_cov"))
        expect_close(as.matrix(fit$fitted_g$Ulist[[name]]), dense$fitted_g$Ulist[[name]], 1e-14)
      }
      # With the same weights everything agrees.
      g <- fit$fitted_g
      g$Ulist <- lapply(g$Ulist, as.matrix)
      same <- mash(sim$data, g = g, fixg = TRUE, verbose = FALSE, n_threads = 1)
      again <- mash(sim$data, g = fit, fixg = TRUE, verbose = FALSE, n_threads = 1)
      expect_close(same$vloglik, again$vloglik, 1e-11)
      expect_close(get_pm(same), get_pm(again), 1e-10)
      expect_close(get_psd(same), get_psd(again), 1e-10)
      expect_close(get_lfsr(same), get_lfsr(again), 1e-10)
      expect_close(get_pm(fit), get_pm(again), 1e-12)
      expect_close(mash_compute_loglik(fit, sim$data), fit$loglik, 1e-10)
      expect_identical(names(get_estimated_pi(fit)), names(get_estimated_pi(dense)))
    }
  }
})

test_that("with many conditions nothing of the size of the matrix is decomposed, and results are those of the matrix", {
  R <- 130
  Ulist <- factored_list(R, paste0("c", seq_len(R)))[c("model", "part", "noise")]
  for (kind in c("one", "proportional", "missing")) {
    data <- withr::with_seed(3, {
      Bhat <- rfactor_cov(90, Ulist$model) + matrix(rnorm(90 * R), 90)
      Shat <- matrix(if (kind == "proportional") runif(90, 0.5, 2) else 1, 90, R)
      # Two patterns, each of many rows: shared noise.
      if (kind == "missing") Bhat[1:45, 1:3] <- NA
      mash_set_data(Bhat, Shat)
    })
    fit <- mash(data, Ulist, grid = c(0.5, 1), verbose = FALSE, output_lfdr = TRUE, n_threads = 1)
    g <- fit$fitted_g
    g$pi[] <- 1 / length(g$pi)
    ours <- mash(data, g = g, fixg = TRUE, verbose = FALSE, output_lfdr = TRUE, n_threads = 1)
    expect_identical(mash(data, g = g, fixg = TRUE, verbose = FALSE, output_lfdr = TRUE, n_threads = 3)$result, ours$result)
    g$Ulist <- lapply(g$Ulist, as.matrix)
    dense <- mash(data, g = g, fixg = TRUE, verbose = FALSE, output_lfdr = TRUE, n_threads = 1)
    expect_close(ours$vloglik, dense$vloglik, 1e-11)
    for (part in posterior_names) expect_close(ours$result[[part]], dense$result[[part]], 1e-9)
    rows <- c(1, 46, 90)
    truth <- reference_mash(data$Bhat[rows, ], data$Shat[rows, ], data$V, g$Ulist, g$grid, g$pi)
    expect_close(ours$vloglik[rows], truth$vloglik, 1e-10)
    expect_close(unname(get_pm(ours)[rows, ]), unname(truth$PosteriorMean), 1e-8)
  }
})

test_that("a condition without variance has none in the posterior either", {
  sim <- small_data(J = 30, R = 3)
  U <- factor_covariance(matrix(c(0, 1, 2), 3, dimnames = list(letters[1:3], NULL)), D = c(0, 1, 1))
  fit <- mash(sim$data, list(U = U), usepointmass = FALSE, verbose = FALSE, n_threads = 1)
  expect_identical(unique(get_pm(fit)[, 1]), 0)
  expect_close(get_lfsr(fit)[, 1], rep(1, 30), 1e-14)
  expect_true(all(get_psd(fit)[, 2:3] > 0))
})

test_that("cov_ed, plot_covariances and a single factor_cov are taken too", {
  sim <- small_data(J = 60, R = 4)
  Ulist <- factored_list(4)
  expect_equal(
    cov_ed(sim$data, Ulist["model"], n_threads = 1), cov_ed(sim$data, lapply(Ulist["model"], as.matrix), n_threads = 1)
  )
  fit <- mash(sim$data, Ulist$model, verbose = FALSE, n_threads = 1)
  expect_identical(names(fit$fitted_g$Ulist), "U1")
  skip_if_not_installed("ggplot2")
  expect_s3_class(plot_covariances(fit), "ggplot")
  expect_s3_class(plot_covariances(Ulist$model), "ggplot")
})

test_that("a factor_cov that does not fit the data is an error", {
  sim <- small_data(R = 4)
  expect_input_error(mash(sim$data, factored_list(3)["model"], verbose = FALSE), "3 x 3", "covmash_error_ulist")
  expect_input_error(
    mash(sim$data, factored_list(4, letters[4:1])["model"], verbose = FALSE), "another order", "covmash_error_names"
  )
})

test_that("a factor_cov serves as V", {
  sim <- small_data(J = 40, R = 4)
  V <- correlation(factored_list(4)$model)
  factored <- mash_set_data(sim$Bhat, sim$Shat, V = V)
  dense <- mash_set_data(sim$Bhat, sim$Shat, V = as.matrix(V))
  expect_equal(factored, dense)
})
