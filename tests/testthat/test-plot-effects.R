skip_if_not_installed("ggplot2")
small_fit <- function(J = 60, R = 4, ...) {
  sim <- small_data(J = J, R = R, ...)
  list(fit = mash(sim$data, cov_canonical(sim$data), verbose = FALSE), data = sim$data)
}

test_that("the forest shows means, bars of 1.96 sd, estimates, and fills what is significant", {
  p <- small_fit(missing = 20)
  row <- which(rowSums(is.na(p$data$Bhat)) == 1 & rowSums(get_lfsr(p$fit) < 0.05) > 0)[1]
  plot <- ggplot2::autoplot(p$fit, "effect", effect = row, data = p$data)
  expect_identical(plot$labels$title, rownames(p$data$Bhat)[row])
  shown <- plot$data
  at <- match(shown$condition, colnames(p$data$Bhat))
  expect_equal(shown$mean, unname(get_pm(p$fit)[row, at]))
  expect_false(is.unsorted(shown$mean))
  expect_identical(levels(shown$condition), as.character(shown$condition))
  layers <- lapply(seq_along(plot$layers), function(i) ggplot2::layer_data(plot, i))
  bars <- layers[[4]]
  sd <- unname(get_psd(p$fit)[row, at])
  expect_equal(bars$x, shown$mean - 1.96 * sd)
  expect_equal(bars$xend, shown$mean + 1.96 * sd)
  # Conditions from below, the posterior above the line and the estimate below.
  expect_equal(as.numeric(bars$y), seq_along(at) + 0.17)
  raw <- layers[[3]]
  observed <- unname(p$data$Bhat[row, at])
  expect_equal(raw$x, observed)
  expect_equal(as.numeric(raw$y), seq_along(at) - 0.2)
  expect_equal(layers[[2]]$xend - observed, 1.96 * unname(p$data$Shat[row, at]))
  significant <- unname(get_lfsr(p$fit)[row, at]) < 0.05
  expect_identical(layers[[5]]$fill, ifelse(significant, plot_colours$main, "white"))
  # The threshold is the user's.
  strict <- ggplot2::autoplot(p$fit, "effect", effect = row, thresh = 0)
  expect_true(all(ggplot2::layer_data(strict, 3)$fill == "white"))
  expect_no_warning(ggplot2::ggplot_build(plot))
})

test_that("the forest has the top conditions by lfsr", {
  p <- small_fit(R = 6)
  plot <- ggplot2::autoplot(p$fit, "effect", effect = 3, top = 2)
  best <- names(sort(get_lfsr(p$fit)[3, ])[1:2])
  expect_setequal(as.character(plot$data$condition), best)
  expect_match(plot$labels$caption, "2 of 6 conditions, those with the smallest lfsr", fixed = TRUE)
  many <- small_fit(J = 8, R = 50, names = FALSE)
  expect_identical(nrow(ggplot2::autoplot(many$fit, "effect")$data), 45L)
  expect_identical(nrow(ggplot2::autoplot(many$fit, "effect", top = Inf)$data), 50L)
})

test_that("a contrast has a forest of its contrasts", {
  p <- small_fit()
  d <- mash_contrast(p$fit, p$data, "reference")
  plot <- ggplot2::autoplot(d, effect = 5)
  expect_setequal(as.character(plot$data$condition), colnames(d$result$lfsr))
  expect_equal(plot$data$mean, unname(sort(d$result$PosteriorMean[5, ])))
  expect_match(ggplot2::autoplot(d, top = 1)$labels$caption, "1 of 3 contrasts")
  expect_identical(ggplot2::autoplot(d, "significant")$labels$title, "Significant effects by contrast")
  expect_s3_class(ggplot2::autoplot(d, "significant", conditions = 2)$data, "data.frame")
})

test_that("raw effects are drawn against posterior means of the same effects", {
  p <- small_fit(missing = 15)
  rows <- c(7, 3, 11:30)
  plot <- ggplot2::autoplot(p$fit, "shrinkage", data = p$data[rows, ], conditions = c("b", "d"))
  points <- ggplot2::layer_data(plot, 2)
  for (k in 1:2) {
    r <- c("b", "d")[k]
    seen <- rows[!is.na(p$data$Bhat[rows, r])]
    one <- points[points$PANEL == k, ]
    order <- order(one$x)
    expect_equal(one$x[order], unname(sort(p$data$Bhat[seen, r])))
    expect_equal(one$y[order], unname(get_pm(p$fit)[seen, r][order(p$data$Bhat[seen, r])]))
    dark <- unname(get_lfsr(p$fit)[seen, r][order(p$data$Bhat[seen, r])]) < 0.05
    expect_identical(one$fill[order], ifelse(dark, plot_colours$main, "white"))
  }
  # On the scale of the estimates given, also under alpha.
  q <- small_fit(shat = "varying", alpha = 1)
  points <- ggplot2::layer_data(ggplot2::autoplot(q$fit, "shrinkage", data = q$data, conditions = 1), 2)
  expect_equal(sort(points$x), unname(sort((q$data$Bhat * q$data$Shat_alpha)[, 1])))
  expect_input_error(ggplot2::autoplot(p$fit, "shrinkage"), "`data` is missing", "covmash_error_argument")
  other <- mash_set_data(unname(p$data$Bhat[, 1:2]), 1)
  expect_error(ggplot2::autoplot(p$fit, "shrinkage", data = other), class = "covmash_error_names")
})

test_that("of many points the picture says how many are drawn, of many conditions which", {
  p <- small_fit(J = 400, R = 11)
  plot <- ggplot2::autoplot(p$fit, "shrinkage", data = p$data, max_points = 500)
  n <- nrow(ggplot2::layer_data(plot, 2))
  expect_lte(n, 500)
  expect_match(plot$labels$caption, paste(n, "of 3600 points are drawn"), fixed = TRUE)
  counts <- colSums(get_lfsr(p$fit) < 0.05)
  expect_setequal(levels(plot$data$condition), names(sort(counts, decreasing = TRUE))[1:9])
  expect_match(plot$labels$caption, "9 of 11 conditions", fixed = TRUE)
})

test_that("boxes are quantiles of the significant effects", {
  p <- small_fit(J = 200)
  fit <- p$fit
  fit$result$lfsr[, "c"] <- 1
  plot <- ggplot2::autoplot(fit, "sizes")
  boxes <- ggplot2::layer_data(plot)
  labels <- as.character(plot$data$condition)
  expect_setequal(labels, c("a", "b", "d"))
  for (i in seq_along(labels)) {
    called <- abs(get_pm(fit)[get_lfsr(fit)[, labels[i]] < 0.05, labels[i]])
    expect_equal(
      unlist(boxes[i, c("xmin", "xlower", "xmiddle", "xupper", "xmax")]),
      quantile(called, c(0.05, 0.25, 0.5, 0.75, 0.95)), ignore_attr = TRUE
    )
  }
  expect_match(plot$labels$caption, "1 of 4 conditions without significant effects left out", fixed = TRUE)
  fit$result$lfsr[] <- 1
  expect_match(ggplot2::autoplot(fit, "sizes")$labels$subtitle, "No effect has lfsr < 0.05")
})

test_that("mash_plot_meta() takes labels, colours and limits", {
  p <- small_fit()
  plot <- mash_plot_meta(p$fit, 2, labels = c("w", "x", "y", "z"), colors = list(box = "red", lines = "black"), xlim = c(-2, 2))
  expect_setequal(as.character(plot$data$condition), c("w", "x", "y", "z"))
  expect_identical(unique(ggplot2::layer_data(plot, 2)$colour), "black")
  expect_identical(plot$coordinates$limits$x, c(-2, 2))
  expect_input_error(mash_plot_meta(p$fit, 2, labels = "a"), "`labels`", "covmash_error_argument")
  expect_input_error(mash_plot_meta(p$fit, 2, colors = 3), "`colors`", "covmash_error_argument")
  expect_input_error(mash_plot_meta(p$fit, 2, xlim = 1), "`xlim`", "covmash_error_argument")
})
