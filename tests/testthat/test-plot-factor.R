skip_if_not_installed("ggplot2")
Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
large <- factor_covariance(factor_notebook$B_large, D = factor_notebook$D_large)
drawn <- function(plot) {
  withr::local_pdf(NULL)
  print(plot)
  invisible(plot)
}

test_that("matrices are drawn with their numbers, white on dark cells", {
  for (type in c("loadings", "covariance", "systematic", "noise", "correlation")) {
    plot <- drawn(ggplot2::autoplot(Sigma, type = type))
    expect_s3_class(plot, "ggplot")
    text <- ggplot2::layer_data(plot, 2)
    cells <- plot$data$value
    expect_identical(text$label, sprintf("%.2f", cells))
    dark <- abs(cells) > 0.55 * max(if (type == "correlation") 1, abs(cells))
    expect_identical(text$colour, ifelse(dark, "white", "grey15"))
    expect_length(drawn(ggplot2::autoplot(Sigma, type = type, values = FALSE))$layers, 1)
  }
  expect_identical(dim(ggplot2::layer_data(ggplot2::autoplot(large, type = "covariance")))[1], 10000L)
  # the first gene is at the top
  plot <- ggplot2::autoplot(Sigma)
  expect_identical(plot$data$value[plot$data$row == 1], unname(factor_notebook$B["TP53", ]))
})

test_that("the decomposition is three panels with signs between, each with its scale", {
  panels <- ggplot2::autoplot(Sigma, type = "decomposition", title = "Sum")
  expect_s3_class(panels, "factor_panels")
  expect_identical(panels$panels[[2]], "+")
  expect_identical(panels$panels[[4]], "=")
  parts <- lapply(panels$panels[c(1, 3, 5)], function(p) p$data$value)
  expect_close(parts[[1]] + parts[[2]], parts[[3]], 1e-15)
  drawn(panels)
  path <- withr::local_tempfile(fileext = ".png")
  ggplot2::ggsave(path, panels, width = 8, height = 3, dpi = 50)
  expect_gt(file.size(path), 1000)
})

test_that("the large matrix has its loadings and eigenvalues beside it", {
  panels <- drawn(ggplot2::autoplot(large, type = "overview"))
  expect_length(panels$panels, 3)
  counts <- ggplot2::layer_data(panels$panels[[3]])$count
  expect_equal(sum(counts), 100)
  expect_length(drawn(ggplot2::autoplot(noise_covariance(Sigma), type = "overview"))$panels, 2)
  plot <- drawn(ggplot2::autoplot(large, type = "eigenvalues", bins = 10))
  expect_identical(ggplot2::layer_data(plot, 2)$xintercept, 0)
})

test_that("the network draws its edges and named genes", {
  plot <- drawn(ggplot2::autoplot(Sigma, type = "network", threshold = 0.5))
  edges <- ggplot2::layer_data(plot, 1)
  expect_equal(nrow(edges), 2)
  expect_setequal(ggplot2::layer_data(plot, 3)$label, rownames(Sigma))
  none <- drawn(ggplot2::autoplot(partial_correlation_network(Sigma, 0.99)))
  expect_match(none$labels$subtitle, "No pair reaches 0.99")
  withr::local_pdf(NULL)
  expect_s3_class(plot(partial_correlation_network(Sigma, 0.5)), "ggplot")
  expect_s3_class(plot(Sigma), "ggplot")
})

test_that("what cannot be drawn is an error", {
  expect_input_error(ggplot2::autoplot(Sigma, type = "pie"), "`type`", "covmash_error_argument")
  expect_input_error(ggplot2::autoplot(noise_covariance(Sigma)), "no factors", "covmash_error_argument")
})

test_that("a sign is seen in every kind of matrix, by the same two colours as in the plots of fits", {
  skip_if_not_installed("ggplot2")
  S <- factor_covariance(c(1, -0.9, 0.8), D = rep(0.1, 3))
  fills <- function(plot) ggplot2::ggplot_build(plot)$data[[1]]$fill
  hue <- function(colours) {
    rgb <- grDevices::col2rgb(colours)
    ifelse(rgb["red", ] > rgb["blue", ], "red", ifelse(rgb["blue", ] > rgb["red", ], "blue", "none"))
  }
  for (type in c("covariance", "systematic", "correlation")) {
    plot <- ggplot2::autoplot(S, type)
    value <- plot$data$value
    shown <- hue(fills(plot))
    expect_true(all(shown[value > 0.5] == "red") && all(shown[value < -0.5] == "blue"))
    expect_false("grey50" %in% fills(plot))
  }
  panels <- ggplot2::autoplot(S, "decomposition")$panels
  for (panel in panels[c(1, 5)]) {
    shown <- hue(fills(panel))
    expect_true(all(shown[panel$data$value > 0.5] == "red") && all(shown[panel$data$value < -0.5] == "blue"))
  }
})

test_that("a correlation that is 1 but for rounding is drawn as 1", {
  skip_if_not_installed("ggplot2")
  S <- factor_covariance(matrix(c(0.1, 0.3, 0.7, 0.2, 0.5, 0.9, 0.11, 0.13), 8), D = (1:8) / 7)
  x <- as.matrix(correlation(S))
  x[2, 2] <- 1 + 4e-16
  plot <- plot_matrix(x, heat_correlation)
  expect_false(any(ggplot2::ggplot_build(plot)$data[[1]]$fill %in% c("grey50", NA)))
})

test_that("edges of the network have the two colours of the signs", {
  S <- factor_covariance(c(1, -0.9, 0.8), D = rep(0.1, 3))
  plot <- ggplot2::autoplot(partial_correlation_network(S, 0.01))
  edges <- ggplot2::layer_data(plot, 1)
  rgb <- grDevices::col2rgb(edges$colour)
  expect_identical(unname(rgb["red", ] > rgb["blue", ]), plot$layers[[1]]$data$value > 0)
  expect_true(any(plot$layers[[1]]$data$value < 0))
})

test_that("many genes: every n-th is named, and the picture says so", {
  plot <- ggplot2::autoplot(large, type = "covariance")
  expect_identical(plot$labels$caption, "Every 3rd of 100 genes is labelled.")
  scale <- plot$scales$get_scales("y")
  expect_identical(as.integer(scale$breaks), seq(1L, 100L, 3L))
  expect_identical(scale$labels, rownames(large)[seq(1, 100, 3)])
})
