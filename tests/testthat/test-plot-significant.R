skip_if_not_installed("ggplot2")
fit_of <- function(lfsr) {
  dimnames(lfsr) <- list(paste0("e", seq_len(nrow(lfsr))), letters[seq_len(ncol(lfsr))])
  data <- mash_set_data(lfsr * 0 + 1, 1)
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  fit$result$lfsr <- lfsr
  fit
}

test_that("bars are the numbers of significant effects, most at the top", {
  sim <- small_data(J = 120, R = 5, missing = 60)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  for (predicted in c(FALSE, TRUE)) {
    plot <- ggplot2::autoplot(fit, "significant", thresh = 0.1, predicted = predicted)
    lfsr <- get_lfsr(fit)
    if (!predicted) lfsr[is.na(sim$Bhat)] <- NA
    truth <- colSums(lfsr < 0.1, na.rm = TRUE)
    bars <- ggplot2::layer_data(plot, 1)
    expect_equal(bars$x[order(-bars$y)], unname(sort(truth, decreasing = TRUE)))
    expect_equal(plot$data$n, unname(truth[as.character(plot$data$condition)]))
    expect_match(plot$labels$subtitle, paste(sum(rowSums(lfsr < 0.1, na.rm = TRUE) > 0), "effects of 120"), fixed = TRUE)
  }
  expect_match(ggplot2::autoplot(fit, "significant", top = 2)$labels$caption, "2 of 5 conditions, those with the most.")
  one <- ggplot2::autoplot(mash_1by1(sim$data), type = "significant")
  expect_s3_class(one, "ggplot")
})

test_that("the histogram counts conditions of each effect", {
  lfsr <- rbind(c(0, 0, 1), c(0.01, 1, 1), c(1, 1, 1), c(0, 0, 0), c(1, 0, 1))
  plot <- ggplot2::autoplot(fit_of(lfsr), "n_conditions")
  expect_equal(ggplot2::layer_data(plot, 1)$y, c(2, 1, 1))
  expect_match(plot$labels$subtitle, "4 effects of 5", fixed = TRUE)
  expect_equal(ggplot2::layer_data(ggplot2::autoplot(fit_of(lfsr), "n_conditions", conditions = "b"), 1)$y, 3)
})

test_that("sets are counted as one by one", {
  set.seed(1)
  hits <- matrix(runif(120 * 120) < 0.5, 120)
  hits[1:40, ] <- rep(hits[41, ], each = 40)
  hits[50:60, ] <- FALSE
  hits[61:70, ] <- rep(seq_len(120) == 120, each = 10)
  found <- significant_sets(hits)
  keys <- apply(hits[rowSums(hits) > 0, ], 1, function(x) paste(which(x), collapse = " "))
  truth <- table(keys)
  theirs <- apply(found$sets, 1, function(x) paste(which(x), collapse = " "))
  expect_identical(found$n, as.integer(truth[theirs]))
  expect_identical(sum(found$n), 109L)
  expect_false(is.unsorted(-found$n))
  expect_identical(found$n[1:3], c(41L, 10L, 1L))
})

test_that("bars stand above the dots of their sets", {
  lfsr <- rbind(c(0, 0, 1), c(0, 0, 1), c(0, 0, 1), c(0, 1, 1), c(0, 1, 1), c(1, 1, 0), c(1, 1, 1))
  plot <- ggplot2::autoplot(fit_of(lfsr), "sets")
  bars <- ggplot2::layer_data(plot, 1)
  height <- bars$ymax - bars$ymin
  expect_equal(height / height[1], c(3, 2, 1) / 3)
  expect_identical(ggplot2::layer_data(plot, 2)$label, c("3", "2", "1"))
  dots <- ggplot2::layer_data(plot, 4)
  dark <- dots[dots$colour == plot_colours$main, ]
  # a, with the most, is the first row below zero; then b, then c.
  expect_setequal(paste(dark$x, dark$y), c("1 -1", "1 -2", "2 -1", "3 -3"))
  expect_identical(nrow(dots), 9L)
  lines <- ggplot2::layer_data(plot, 3)
  expect_equal(lines$y - lines$yend, c(1, 0, 0))
  some <- ggplot2::autoplot(fit_of(lfsr), "sets", top = 1)
  expect_identical(some$labels$caption, "1 of 3 sets, those with the most effects (3 of 6).")
  expect_match(ggplot2::autoplot(fit_of(lfsr), "sets", thresh = 0)$labels$subtitle, "No effect has lfsr < 0")
})
