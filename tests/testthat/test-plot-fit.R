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
