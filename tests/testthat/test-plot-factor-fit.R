skip_if_not_installed("ggplot2")

built <- function(plot) ggplot2::ggplot_build(plot)$data

test_that("loadings and communalities are drawn", {
  x <- sample_factor_model(100, 10, 2, seed = 1)
  fit <- fit_factor_model(x, 2, rotation = "varimax", n_threads = 1)
  tiles <- built(autoplot.factor_fit(fit))
  expect_identical(nrow(tiles[[1]]), 20L)
  expect_setequal(tiles[[2]]$label, sprintf("%.2f", fit$loadings / sqrt(fit$variance)))
  bars <- built(autoplot.factor_fit(fit, type = "communality"))[[1]]
  expect_equal(sort(bars$x), sort(unname(1 - fit$uniquenesses)))
  few <- built(autoplot.factor_fit(fit, max_genes = 3))
  expect_identical(nrow(few[[1]]), 6L)
  expect_error(
    autoplot.factor_fit(fit_factor_model(x, 0, n_threads = 1)),
    class = "covmash_error_argument"
  )
})

test_that("a selection has a panel for each criterion and marks the choice", {
  x <- sample_factor_model(100, 10, 2, seed = 1)
  set.seed(1)
  chosen <- select_n_factors(x, max_factors = 3, n_permutations = 3, n_threads = 1)
  points <- selection_points(chosen)
  expect_identical(nlevels(points$panel), 3L)
  expect_equal(points$n[points$chosen], unname(chosen$n_factors))
  expect_silent(built(autoplot.factor_selection(chosen)))
  one <- select_n_factors(x, max_factors = 2, criteria = "bic", n_threads = 1)
  expect_identical(nlevels(selection_points(one)$panel), 1L)
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file)
  expect_identical(class(plot(chosen))[1], class(autoplot.factor_selection(chosen))[1])
  grDevices::dev.off()
  expect_gt(file.size(file), 1000)
})

test_that("genes are drawn in the order in which they are printed; damaged objects are errors", {
  x <- sample_factor_model(100, 8, 2, seed = 2)
  fit <- fit_factor_model(x, 2, rotation = "varimax", n_threads = 1)
  genes <- rev(levels(autoplot.factor_fit(fit)$data$gene))
  printed <- capture.output(print(fit, n = 8))
  expect_identical(sub(" .*", "", printed[grep("Factor1 +Factor2", printed) + 1:8]), genes)
  fit$noise <- NULL
  expect_error(autoplot.factor_fit(fit), class = "covmash_error_fit")
  chosen <- select_n_factors(x, max_factors = 1, criteria = "bic", n_threads = 1)
  chosen$table <- NULL
  expect_error(autoplot.factor_selection(chosen), class = "covmash_error_fit")
})

test_that("what is left out is said, and a number that rounds to zero has no sign", {
  x <- sample_factor_model(100, 10, 2, seed = 1)
  fit <- fit_factor_model(x, 2, n_threads = 1)
  for (type in c("loadings", "communality")) {
    expect_identical(
      autoplot.factor_fit(fit, type, max_genes = 4)$labels$caption, "4 of 10 genes, those with the largest communality."
    )
    expect_null(autoplot.factor_fit(fit, type)$labels$caption)
  }
  cells <- data.frame(x = 1:3, y = 1)
  plot <- ggplot2::ggplot(cells, ggplot2::aes(x, y)) + cell_numbers(c(-0.001, -0.2, 0.9), 1)
  text <- ggplot2::layer_data(plot)
  expect_identical(text$label, c("0.00", "-0.20", "0.90"))
  expect_identical(text$colour, c("grey15", "grey15", "white"))
})
