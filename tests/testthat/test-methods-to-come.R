test_that("generics without a method yet say so instead of finding something else", {
  sim <- small_data(J = 20, R = 2)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  expect_error(fitted(fit), "get_pm", class = "covmash_error_unsupported")
  expect_error(residuals(fit), "augment", class = "covmash_error_unsupported")
  one <- mash_1by1(sim$data)
  for (method in list(logLik, nobs, fitted, residuals)) {
    expect_error(method(one), class = "covmash_error_unsupported")
  }
})
