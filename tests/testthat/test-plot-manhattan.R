skip_if_not_installed("ggplot2")
strong_fit <- function() {
  sim <- small_data(J = 40, R = 3, missing = 10)
  sim$Bhat[5, 2] <- 60
  sim$Shat[5, 2] <- 1
  data <- mash_set_data(sim$Bhat, sim$Shat)
  list(fit = mash(data, cov_canonical(data), grid = c(1, 4, 30), verbose = FALSE), data = data)
}

test_that("heights are the smallest lfsr, in logarithms where it is 0 in double precision", {
  p <- strong_fit()
  plot <- ggplot2::autoplot(p$fit, "manhattan", data = p$data[40:1, ], position = 1:40)
  points <- ggplot2::layer_data(plot, 2)
  logs <- get_log_lfsr(p$fit, p$data)
  logs[is.na(p$data$Bhat)] <- NA
  truth <- -unname(apply(logs, 1, min, na.rm = TRUE))
  expect_gt(truth[5], 330)
  expect_equal(points$y[order(points$x)], truth, tolerance = 1e-8)
  expect_equal(sort(points$x), 1:40)
  expect_equal(ggplot2::layer_data(plot, 1)$yintercept, -log10(0.05))
  # Without data it says that it does not know.
  blind <- ggplot2::autoplot(p$fit, "manhattan", position = 1:40)
  expect_equal(max(ggplot2::layer_data(blind, 2)$y), 300)
  expect_match(gsub("\n", " ", blind$labels$caption), "1 effect with an lfsr below 1e-300")
  # Chosen conditions only.
  some <- ggplot2::layer_data(ggplot2::autoplot(p$fit, "manhattan", position = 1:40, conditions = c("a", "c")), 2)
  best <- suppressWarnings(apply(logs[, c("a", "c")], 1, min, na.rm = TRUE))
  expect_equal(some$y[order(some$x)], -unname(best[is.finite(best)]), tolerance = 1e-8)
})

test_that("chromosomes follow each other in their order, by turns in two colours", {
  chromosome <- c("chr10", "chr2", "chrX", "chr2", "chr10", "chrX")
  place <- genome_places(chromosome, c(5, 100, 7, 300, 25, 17), 6)
  expect_identical(place$centres$label, c("2", "10", "X"))
  expect_identical(place$chromosome, c(2L, 1L, 3L, 1L, 2L, 3L))
  expect_equal(diff(place$x[c(2, 4)]), 200)
  expect_lt(max(place$x[chromosome == "chr2"]), min(place$x[chromosome == "chr10"]))
  expect_lt(max(place$x[chromosome == "chr10"]), min(place$x[chromosome == "chrX"]))
  expect_equal(place$centres$x[1], mean(place$x[c(2, 4)]))
  given <- genome_places(factor(chromosome, levels = c("chrX", "chr10", "chr2")), c(5, 100, 7, 300, 25, 17), 6)
  expect_identical(given$centres$label, c("X", "10", "2"))
  p <- strong_fit()
  plot <- ggplot2::autoplot(p$fit, "manhattan", data = p$data, position = 1:40, chromosome = rep(1:4, each = 10))
  points <- ggplot2::layer_data(plot, 2)
  expect_identical(points$colour[order(points$x)], rep(c(plot_colours$main, plot_colours$other), each = 10, times = 2))
})

test_that("labels of chromosomes keep their distance", {
  expect_identical(place_along(c(0, 1, 50, 100), c("1", "2", "3", "4")), c(1L, 3L, 4L))
  expect_identical(place_along(3, "1"), 1L)
})

test_that("positions that do not fit are errors", {
  p <- strong_fit()
  draw <- function(...) ggplot2::autoplot(p$fit, "manhattan", ...)
  expect_input_error(draw(), "`position` is missing", "covmash_error_argument")
  for (bad in list(1:3, rep(NA_real_, 40), letters, matrix(1, 40))) {
    expect_input_error(draw(position = bad), "`position`", "covmash_error_argument")
  }
  for (bad in list(1:3, rep(NA, 40), list(1))) {
    expect_input_error(draw(position = 1:40, chromosome = bad), "`chromosome`", "covmash_error_argument")
  }
  one <- ggplot2::autoplot(mash_1by1(p$data), type = "manhattan", position = 1:40)
  expect_s3_class(one, "ggplot")
})
