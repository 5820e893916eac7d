# Defaults live in the Options structs of the core. Where R shows one in the usage of a function, it is the same number.

default_of <- function(f, argument) eval(formals(f)[[argument]])

test_that("defaults in signatures are those of the core", {
  expect_identical(default_of(mash, "pi_thresh"), cpp_defaults("posterior")$pi_thresh)
  expect_identical(default_of(mash_compute_posterior_matrices, "pi_thresh"), cpp_defaults("posterior")$pi_thresh)
  expect_identical(default_of(get_posterior_weights, "pi_thresh"), cpp_defaults("posterior")$pi_thresh)
  for (argument in c("lower", "tol", "max_iter")) {
    expect_identical(default_of(fit_factor_model, argument), cpp_defaults("factor_fit")[[argument]])
  }
  expect_identical(default_of(select_n_factors, "lower"), cpp_defaults("factor_fit")$lower)
  shared <- c("lower", "max_iter")
  expect_identical(cpp_defaults("missing_factor")[shared], cpp_defaults("factor_fit")[shared])
})

test_that("defaults that help pages tell are those of the core", {
  expect_identical(cpp_defaults("weights"), list(max_iter = 1000, tol = 1e-8))
  expect_identical(cpp_defaults("fit")$memory, 1e9)
  expect_identical(cpp_defaults("posterior")$block_rows, 1024)
  expect_identical(cpp_defaults("deconvolution"), list(tol = 1e-6, maxiter = 1e9, w = 0, fixamp = FALSE))
  expect_identical(cpp_defaults("truncated"), list(maxiter = 5000, converge_tol = 1e-7, eigen_tol = 1e-7))
  expect_error(cpp_defaults("other"), "other")
})

test_that("numbers beyond a whole number of the core are its largest", {
  sim <- small_data(J = 40, R = 2)
  fit <- mash(sim$data, cov_canonical(sim$data), control = list(max_iter = 1e12), verbose = FALSE)
  expect_true(fit$convergence$converged)
  expect_gt(fit$convergence$iterations, 0)
})
