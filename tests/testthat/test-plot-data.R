skip_if_not_installed("ggplot2")

test_that("lines are quantiles of the z-scores", {
  sim <- small_data(J = 100, R = 4, shat = "varying")
  plot <- ggplot2::autoplot(sim$data)
  z <- sim$Bhat / sim$Shat
  for (r in colnames(z)) {
    row <- plot$data[plot$data$condition == r, ]
    expect_equal(unlist(row[c("low", "q1", "mid", "q3", "high")]), quantile(z[, r], c(0.01, 0.25, 0.5, 0.75, 0.99)), ignore_attr = TRUE)
  }
  expect_identical(levels(plot$data$condition), c("d", "c", "b", "a"))
  expect_equal(ggplot2::layer_data(plot, 4)$xintercept, qnorm(c(0.01, 0.99)))
  wide <- small_data(J = 50, R = 20)$data
  plot <- ggplot2::autoplot(wide, top = 15)
  width <- plot$data$high - plot$data$low
  expect_false(is.unsorted(-width))
  expect_match(plot$labels$caption, "15 of 20 conditions, the widest.", fixed = TRUE)
})

test_that("a condition without estimates has an empty line", {
  sim <- small_data(J = 10, R = 3)
  sim$Bhat[, 2] <- NA
  data <- suppressWarnings(mash_set_data(sim$Bhat, sim$Shat))
  withr::local_pdf(NULL)
  expect_no_warning(plot(data))
  expect_identical(levels(ggplot2::autoplot(data, "qq")$data$condition), c("a", "c"))
})

test_that("the band of quantiles holds 95 % of each order statistic", {
  sim <- small_data(J = 50, R = 3, missing = 12)
  plot <- ggplot2::autoplot(sim$data, "qq")
  z <- sim$Bhat / sim$Shat
  for (r in colnames(z)) {
    one <- plot$data[plot$data$condition == r, ]
    n <- sum(!is.na(z[, r]))
    i <- seq_len(n)
    expect_equal(one$z, unname(sort(z[, r])))
    expect_equal(one$expected, qnorm((i - 0.5) / n))
    # The i-th smallest of n is below h if at least i of them are.
    expect_equal(pbinom(i - 1, n, pnorm(one$high), lower.tail = FALSE), rep(0.975, n))
    expect_equal(pbinom(i - 1, n, pnorm(one$low), lower.tail = FALSE), rep(0.025, n))
  }
  band <- ggplot2::layer_data(plot, 1)
  expect_equal(sort(band$ymax), sort(plot$data$high))
})

test_that("of many z-scores and conditions some are drawn, and which", {
  data <- small_data(J = 3000, R = 12)$data
  plot <- ggplot2::autoplot(data, "qq", top = 2, max_points = 400)
  middle <- apply(abs(data$Bhat), 2, median)
  expect_setequal(levels(plot$data$condition), names(sort(middle, decreasing = TRUE))[1:2])
  expect_match(gsub("\n", " ", plot$labels$caption), paste(nrow(plot$data), "of 6000 quantiles are drawn"), fixed = TRUE)
  expect_lte(nrow(plot$data), 404)
  i <- quantiles_to_draw(3000, 200)
  expect_true(all(c(1:5, 2996:3000) %in% i))
  expect_identical(i, rev(3001 - i))
  one <- ggplot2::autoplot(data, "qq", conditions = "c")
  expect_identical(levels(one$data$condition), "c")
  expect_error(ggplot2::autoplot(data, "qq", conditions = "zz"), class = "covmash_error_index")
})
