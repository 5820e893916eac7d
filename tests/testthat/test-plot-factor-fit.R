skip_if_not_installed("ggplot2")

built <- function(plot) ggplot2::ggplot_build(plot)$data

test_that("loadings and communalities are drawn", {
  x <- sample_factor_model(100, 10, 2, seed = 1)
  fit <- fit_factor_model(x, 2, rotation = "varimax", n_threads = 1)
  tiles <- built(autoplot.factor_fit(fit, cutoff = 0))
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
  expect_identical(sub(" .*", "", printed[grep("Factor1 +Factor2", printed)[1] + 1:8]), genes)
  fit$noise <- NULL
  expect_error(autoplot.factor_fit(fit), class = "covmash_error_fit")
  chosen <- select_n_factors(x, max_factors = 1, criteria = "bic", n_threads = 1)
  chosen$table <- NULL
  expect_error(autoplot.factor_selection(chosen), class = "covmash_error_fit")
})

test_that("loadings below the cut-off are left blank, and what is left out is said", {
  x <- sample_factor_model(100, 10, 2, seed = 3)
  fit <- fit_factor_model(x, 2, rotation = "varimax", n_threads = 1)
  plot <- autoplot.factor_fit(fit, cutoff = 0.4, max_genes = 8)
  small <- abs(plot$data$value) < 0.4
  expect_true(any(small) && all(plot$data$shown[small] == 0) && all(plot$data$label[small] == ""))
  expect_equal(plot$data$shown[!small], plot$data$value[!small])
  expect_match(plot$labels$subtitle, "below 0.4 left blank\n8 of 10 genes")
  expect_identical(length(built(autoplot.factor_fit(quiet_fit(sample_factor_model(60, 44, 2), 2)))), 1L)
  expect_error(autoplot.factor_fit(fit, cutoff = -1), class = "covmash_error_argument")
})

test_that("residual correlations are drawn", {
  x <- sample_factor_model(100, 9, 3, seed = 4)
  fit <- quiet_fit(x, 1)
  plot <- autoplot.factor_fit(fit, "residuals")
  left <- residuals(fit)
  expect_equal(plot$data$value, unname(left[cbind(as.character(plot$data$row), as.character(plot$data$column))]))
  most <- which(abs(left) == max(abs(left)), arr.ind = TRUE)[1, ]
  expect_match(plot$labels$subtitle, sprintf("largest %.2f", left[most[1], most[2]]))
  few <- autoplot.factor_fit(fit, "residuals", max_genes = 3)
  expect_setequal(levels(few$data$row), names(sort(-rowSums(left^2)))[1:3])
  x[1:20, 2] <- NA
  gone <- quiet_fit(x, 1)
  expect_error(autoplot.factor_fit(gone, "residuals"), class = "covmash_error_argument")
  expect_length(built(autoplot.factor_fit(gone, "residuals", data = x)), 2)
})

test_that("the scree plot has the eigenvalues, and those of parallel analysis", {
  x <- sample_factor_model(80, 9, 2, seed = 5)
  fit <- quiet_fit(x, 2)
  plot <- autoplot.factor_fit(fit, "scree")
  expect_equal(plot$data$value, eigen(cor(x))$values)
  expect_identical(sum(plot$data$kind == "in the model"), 2L)
  chosen <- withr::with_seed(1, select_n_factors(x, 3, "parallel", n_permutations = 3, n_threads = 1))
  with_reference <- autoplot.factor_fit(fit, "scree", selection = chosen)
  expect_equal(built(with_reference)[[3]]$y, chosen$eigenvalues$reference)
  expect_match(with_reference$labels$subtitle, "95 % quantile")
  fit$observed <- NULL
  expect_error(autoplot.factor_fit(fit, "scree"), class = "covmash_error_argument")
  expect_equal(autoplot.factor_fit(fit, "scree", selection = chosen)$data$value, chosen$eigenvalues$observed)
  x[2, 3] <- NA
  expect_identical(nrow(autoplot.factor_fit(fit, "scree", data = x)$data), 9L)
  expect_error(autoplot.factor_fit(fit, "scree", selection = 1), class = "covmash_error_argument")
})

test_that("factor correlations and the network are drawn", {
  x <- sample_factor_model(100, 9, 3, seed = 6)
  fit <- quiet_fit(x, 3, rotation = "promax")
  plot <- autoplot.factor_fit(fit, "correlations")
  expect_equal(plot$data$value, as.vector(fit$factor_covariance), tolerance = 1e-12)
  expect_match(autoplot.factor_fit(rotate_factors(fit, "none"), "correlations")$labels$subtitle, "Independent")
  expect_error(autoplot.factor_fit(quiet_fit(x, 0), "correlations"), class = "covmash_error_argument")
  edges <- partial_correlation_network(fit$covariance, 0.2)
  expect_identical(nrow(built(autoplot.factor_fit(fit, "network", threshold = 0.2))[[1]]), nrow(edges))
})

test_that("a number that rounds to zero has no sign", {
  cells <- data.frame(x = 1:3, y = 1)
  plot <- ggplot2::ggplot(cells, ggplot2::aes(x, y)) + cell_numbers(c(-0.001, -0.2, 0.9), 1)
  text <- ggplot2::layer_data(plot)
  expect_identical(text$label, c("0.00", "-0.20", "0.90"))
  expect_identical(text$colour, c("grey15", "grey15", "white"))
})
