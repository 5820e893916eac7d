fit_for_plots <- function(J = 40, R = 3) {
  sim <- small_data(J = J, R = R)
  list(data = sim$data, fit = mash(sim$data, cov_canonical(sim$data), verbose = FALSE))
}
types_of <- function(method) eval(formals(method)$type)

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
  for (object in list(x$fit, x$data, mash_1by1(x$data), mash_contrast(x$fit, x$data))) {
    shown <- withVisible(plot(object))
    expect_false(shown$visible)
    expect_s3_class(shown$value, "ggplot")
  }
})

test_that("every type is drawn, in silence, of every shape of results", {
  skip_if_not_installed("ggplot2")
  withr::local_pdf(NULL)
  for (shape in list(c(1, 1), c(1, 3), c(30, 2))) {
    x <- fit_for_plots(shape[1], shape[2])
    J <- shape[1]
    for (type in types_of(autoplot.mash_fit)) {
      plot <- ggplot2::autoplot(
        x$fit, type, data = if (type %in% c("effect", "shrinkage")) x$data, position = seq_len(J), chromosome = rep("X", J)
      )
      expect_silent(print(plot))
    }
    one <- mash_1by1(x$data)
    for (type in types_of(autoplot.mash_1by1)) {
      expect_silent(print(ggplot2::autoplot(one, type = type, data = x$data, position = seq_len(J))))
    }
    for (type in types_of(autoplot.mash_data)) expect_silent(print(ggplot2::autoplot(x$data, type)))
  }
  d <- mash_contrast(x$fit, x$data, "consecutive")
  for (type in types_of(autoplot.mash_contrast)) expect_silent(print(ggplot2::autoplot(d, type)))
})

test_that("the table of the help page has every type", {
  rd <- tools::Rd_db("covmash")
  skip_if(is.null(rd[["mash_plots.Rd"]]), "installed without help pages")
  text <- paste(as.character(rd[["mash_plots.Rd"]]), collapse = "")
  types <- unlist(lapply(
    list(autoplot.mash_fit, autoplot.mash_1by1, autoplot.mash_contrast, autoplot.mash_data), types_of
  ))
  for (type in unique(types)) expect_match(text, paste0("\"", type, "\""), fixed = TRUE)
})

test_that("what cannot be drawn is an error with a class", {
  skip_if_not_installed("ggplot2")
  x <- fit_for_plots()
  expect_input_error(ggplot2::autoplot(x$fit, "pie"), "`type`", "covmash_error_argument")
  expect_input_error(ggplot2::autoplot(x$data, "pie"), "`type`", "covmash_error_argument")
  expect_input_error(ggplot2::autoplot(x$fit, "sets", thresh = 2), "`thresh`", "covmash_error_argument")
  expect_input_error(ggplot2::autoplot(x$fit, "sets", top = 0), "`top`", "covmash_error_argument")
  expect_input_error(ggplot2::autoplot(x$fit, "sets", predicted = 1), "`predicted`", "covmash_error_argument")
  expect_input_error(ggplot2::autoplot(x$fit, "shrinkage", x$data, max_points = 0), "`max_points`", "covmash_error_argument")
  expect_error(ggplot2::autoplot(x$fit, "sizes", conditions = 9), class = "covmash_error_index")
  bare <- mash(x$data, cov_canonical(x$data), verbose = FALSE, outputlevel = 1)
  expect_s3_class(ggplot2::autoplot(bare), "ggplot")
  for (type in c("effect", "sharing", "sets", "significant", "sizes")) {
    expect_error(ggplot2::autoplot(bare, type), class = "covmash_error_fit")
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
