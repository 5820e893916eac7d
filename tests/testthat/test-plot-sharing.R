skip_if_not_installed("ggplot2")
shared_problem <- function(R = 5) {
  sim <- small_data(J = 150, R = R)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  list(fit = fit, data = sim$data)
}

test_that("cells are the shares, clustered, with their definition in words", {
  p <- shared_problem()
  shared <- get_pairwise_sharing(p$fit, factor = 0.4, lfsr_thresh = 0.1)
  plot <- ggplot2::autoplot(p$fit, "sharing", factor = 0.4, thresh = 0.1)
  cells <- plot$data
  expect_equal(cells$value, shared[cbind(as.character(cells$row), as.character(cells$column))])
  expect_setequal(levels(cells$column), colnames(shared))
  expect_identical(levels(cells$row), rev(levels(cells$column)))
  words <- gsub("\n", " ", plot$labels$subtitle)
  n <- sum(get_n_significant_conditions(p$fit, thresh = 0.1) > 0)
  expect_match(words, "within a factor of 2.5", fixed = TRUE)
  expect_match(words, "lfsr < 0.1", fixed = TRUE)
  expect_match(words, paste0("(", n, " effects in some condition)"), fixed = TRUE)
  text <- ggplot2::layer_data(plot, 2)
  expect_setequal(text$label, sprintf("%.2f", shared))
  expect_match(ggplot2::autoplot(p$fit, "sharing", factor = 0)$labels$subtitle, "Share with the same sign, of", fixed = TRUE)
  # Another threshold for the sharing wins.
  expect_match(ggplot2::autoplot(p$fit, "sharing", lfsr_thresh = 0.2)$labels$subtitle, "lfsr < 0.2", fixed = TRUE)
})

test_that("the map keeps the distances where two dimensions can", {
  d <- matrix(c(0, 3, 4, 3, 0, 5, 4, 5, 0) / 10, 3, dimnames = list(letters[1:3], letters[1:3]))
  points <- map_of(d)
  expect_equal(as.matrix(stats::dist(points[, c("x", "y")])), unname(d), ignore_attr = TRUE)
  expect_equal(sum(attr(points, "share")), 1)
  expect_equal(map_of(d[1:2, 1:2])$x, c(0.15, -0.15), tolerance = 1e-12)
  same <- map_of(matrix(0, 3, 3, dimnames = list(1:3, 1:3)))
  expect_true(all(same$x == 0 & same$y == 0) && all(attr(same, "share") == 0))
})

test_that("the map has a point for each condition and says which have none", {
  p <- shared_problem(6)
  plot <- ggplot2::autoplot(p$fit, "map")
  shared <- get_pairwise_sharing(p$fit)
  scaled <- abs(stats::cmdscale(1 - shared, k = 2))
  expect_equal(abs(as.matrix(plot$data[, c("x", "y")])), scaled, ignore_attr = TRUE)
  fit <- p$fit
  fit$result$lfsr[, 1:2] <- 0.9
  plot <- ggplot2::autoplot(fit, "map")
  expect_identical(nrow(plot$data), 5L)
  expect_match(gsub("\n", " ", plot$labels$caption), "1 condition left out")
  fit$result$lfsr[] <- 1
  expect_match(ggplot2::autoplot(fit, "map")$labels$subtitle, "Fewer than two conditions")
})

test_that("many conditions: rows only are labelled, every n-th", {
  R <- 60
  x <- 0.5 + diag(R) / 2
  dimnames(x) <- list(paste0("c", 1:R), paste0("c", 1:R))
  plot <- plot_sharing(list(shared = x, words = "words"))
  expect_match(gsub("\n", " ", plot$labels$caption), "Every 2nd of 60 conditions is labelled. Columns are in the order of the rows.")
  expect_s3_class(plot$theme$axis.text.x, "element_blank")
})
