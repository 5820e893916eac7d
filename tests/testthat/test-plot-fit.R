fit_for_plots <- function() {
  sim <- small_data(J = 40, R = 3)
  list(data = sim$data, fit = mash(sim$data, cov_canonical(sim$data), verbose = FALSE))
}

test_that("autoplot() gives ggplot objects that can be built, for fits and data", {
  skip_if_not_installed("ggplot2")
  x <- fit_for_plots()
  for (object in list(x$fit, x$data)) {
    p <- ggplot2::autoplot(object)
    expect_s3_class(p, "ggplot")
    expect_gt(nrow(ggplot2::layer_data(p)), 0)
  }
})

test_that("plot() works without attaching ggplot2 and returns its plot invisibly", {
  skip_if_not_installed("ggplot2")
  x <- fit_for_plots()
  withr::local_pdf(NULL)
  for (object in list(x$fit, x$data)) {
    shown <- withVisible(plot(object))
    expect_false(shown$visible)
  }
})

test_that("entries that are at the end of the scale but for rounding are drawn", {
  skip_if_not_installed("ggplot2")
  U <- matrix(1, 2, 2)
  U[1, 2] <- U[2, 1] <- 1 + 4e-16
  plot <- plot_covariances(list(U = U))
  expect_false(any(ggplot2::ggplot_build(plot)$data[[1]]$fill %in% c("grey50", NA)))
  expect_input_error(plot_covariances(list(U = U), ncol = "a"), "ncol")
})

test_that("a condition without estimates has an empty line in the plot of z-scores", {
  skip_if_not_installed("ggplot2")
  sim <- small_data(J = 10, R = 3)
  sim$Bhat[, 2] <- NA
  data <- mash_set_data(sim$Bhat, sim$Shat)
  file <- withr::local_tempfile(fileext = ".pdf")
  grDevices::pdf(file)
  withr::defer(grDevices::dev.off())
  expect_no_warning(plot(data))
})
