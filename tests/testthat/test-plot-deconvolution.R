test_that("a deconvolution can be drawn in every way", {
  skip_if_not_installed("ggplot2")
  withr::local_seed(1)
  sim <- simple_sims(nsamp = 40, ncond = 4, err_sd = 0.5)
  data <- mash_set_data(sim$Bhat, sim$Shat)
  fit <- deconvolve(data, n_full = 2, n_rank1 = 1, n_factor = 1, q = 1)
  for (type in c("matrices", "eigenvalues", "vectors", "trace")) {
    plot <- autoplot.deconvolution(fit, type = type)
    expect_s3_class(plot, "ggplot")
    expect_silent(ggplot2::ggplot_build(plot))
  }
  panels <- autoplot.deconvolution(fit, max_matrices = 1)$data$matrix
  expect_equal(length(unique(panels)), 1)
  expect_error(autoplot.deconvolution(fit, type = "map"), "type", class = "covmash_error_argument")
  expect_error(plot(fit, max_matrices = 0), "max_matrices", class = "covmash_error_argument")
})
