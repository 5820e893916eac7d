skip_if_not_installed("ggplot2")

# 40 matrices, with weights that are known.
fit_with_weights <- function(pi) {
  data <- small_data(J = 30, R = 3)$data
  K <- length(pi) - 1
  Ulist <- lapply(seq_len(K), function(k) diag(3) * k / K)
  names(Ulist) <- paste0("U", seq_len(K))
  mash(data, g = list(pi = pi / sum(pi), Ulist = Ulist, grid = 1, usepointmass = TRUE), fixg = TRUE, verbose = FALSE)
}

test_that("bars are the weights, largest at the top, and what is left out is said", {
  fit <- fit_with_weights(c(30, 40:1, 0))
  plot <- ggplot2::autoplot(fit)
  bars <- ggplot2::layer_data(plot, 1)
  weights <- get_estimated_pi(fit)
  shown <- utils::head(sort(weights, decreasing = TRUE), 30)
  expect_equal(sort(bars$x, decreasing = TRUE), unname(shown))
  expect_identical(as.character(plot$data$matrix), names(shown))
  expect_identical(levels(plot$data$matrix), rev(names(shown)))
  expect_match(plot$labels$caption, "30 of 41 matrices", fixed = TRUE)
  expect_match(plot$labels$caption, formatC(sum(weights) - sum(shown), digits = 2, format = "g"), fixed = TRUE)
  expect_match(plot$labels$caption, "1 weight of at most", fixed = TRUE)
  expect_identical(nrow(ggplot2::layer_data(ggplot2::autoplot(fit, max_weights = 4), 1)), 4L)
  expect_identical(format_weight(c(0.4, 2e-4)), c("0.400", "< 0.001"))
})

test_that("tiles are the weights by matrix and scale", {
  sim <- small_data(J = 80, R = 3)
  fit <- mash(sim$data, cov_canonical(sim$data), grid = c(0.5, 1, 2), verbose = FALSE)
  plot <- ggplot2::autoplot(fit, "components")
  tiles <- plot$data
  truth <- tidy(fit, "weights")
  truth <- truth[truth$component != "null" & truth$weight > 1e-4, ]
  tiles <- tiles[!is.na(tiles$weight), ]
  key <- function(matrix, scale, w) sort(paste(matrix, as.numeric(as.character(scale)), signif(w, 10)))
  expect_identical(key(tiles$matrix, tiles$scale, tiles$weight), key(truth$covariance, truth$grid, truth$weight))
  expect_match(plot$labels$subtitle, format_weight(get_estimated_pi(fit)[["null"]]), fixed = TRUE)
  none <- fit_with_weights(c(1, 0, 0))
  expect_match(ggplot2::autoplot(none, "components")$labels$subtitle, "1.000")
})
