lab_of <- function(colours) grDevices::convertColor(t(grDevices::col2rgb(colours)) / 255, "sRGB", "Lab")

# Colours as people without red or green receptors see them (Machado, Oliveira and Fernandes 2009, severity 1), on
# linear intensities.
as_seen_by <- function(colours, kind) {
  M <- list(
    protan = c(0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998),
    deutan = c(0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881)
  )[[kind]]
  rgb <- t(grDevices::col2rgb(colours)) / 255
  linear <- ifelse(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055)^2.4)
  seen <- pmin(pmax(linear %*% matrix(M, 3), 0), 1)
  grDevices::rgb(ifelse(seen <= 0.0031308, 12.92 * seen, 1.055 * seen^(1 / 2.4) - 0.055))
}

test_that("both palettes can be told apart by everybody", {
  diverging <- grDevices::colorRampPalette(c(plot_colours$low, "white", plot_colours$high), space = "Lab")(9)
  shares <- grDevices::colorRampPalette(plot_colours$shares, space = "Lab")(5)
  for (see in list(identity, function(x) as_seen_by(x, "protan"), function(x) as_seen_by(x, "deutan"))) {
    seen <- lab_of(see(diverging))
    # The ends, and half of the way to them: plus and minus differ by far more than can be seen (about 5).
    expect_gt(sqrt(sum((seen[1, ] - seen[9, ])^2)), 30)
    expect_gt(sqrt(sum((seen[3, ] - seen[7, ])^2)), 20)
    share <- lab_of(see(shares))
    expect_true(all(diff(share[, 1]) < 0))
    expect_true(all(sqrt(rowSums(diff(share)^2)) > 12))
  }
})

test_that("labels shrink, and then every n-th is written and the note says so", {
  expect_identical(label_step(44), 1)
  expect_identical(label_step(100), 2)
  expect_identical(label_size(5), 10)
  sizes <- vapply(1:300, label_size, 1)
  expect_true(all(sizes >= 5 & sizes <= 10))
  # They do not overlap: what is written fits into the axis.
  n <- 1:300
  expect_true(all(ceiling(n / vapply(n, label_step, 1)) * sizes <= 280 * 1.1 + sizes))
  skip_if_not_installed("ggplot2")
  expect_null(axis_names(letters)$note)
  many <- paste0("condition_", 1:100)
  expect_identical(axis_names(many)$note, "Every 2nd of 100 conditions is labelled.")
  expect_identical(vapply(c(1:4, 11:13, 21:23, 101), ordinal, ""), c(
    "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "101st"
  ))
})

test_that("long names lose their middle", {
  expect_identical(shorten(c("ab", "abcdefghij", NA), 6), c("ab", "ab..ij", NA))
  expect_identical(nchar(shorten(strrep("x", 50), 9)), 9L)
})

test_that("notes are lines that fit, and do not part a number from its sign", {
  expect_null(notes(NULL, if (FALSE) "x"))
  text <- notes(paste(rep("word", 12), collapse = " "), "lfsr < 0.05 here", width = 68)
  expect_true(all(nchar(strsplit(text, "\n")[[1]]) <= 68))
  expect_match(text, "lfsr < 0.05", fixed = TRUE)
  expect_null(shown_of(3, 3, "sets", "all"))
  expect_identical(shown_of(3, 5, "sets", "the first"), "3 of 5 sets, the first.")
})

test_that("how many to draw is a whole number or Inf", {
  expect_identical(how_many(NULL, 7), 7)
  expect_identical(how_many(Inf, 7), Inf)
  for (bad in list(0, 2.5, NA, "a", c(1, 2), -Inf)) {
    expect_input_error(how_many(bad, 7), "`top`", "covmash_error_argument")
  }
})

test_that("points that are left out lie on top of others of their group", {
  set.seed(3)
  x <- c(rnorm(20000), 8, -9)
  y <- c(x[1:20000] / 2 + rnorm(20000) / 10, 4, 6)
  group <- rep(1:2, length.out = length(x))
  kept <- thin_points(x, y, group, 3000)
  expect_lte(length(kept), 3000)
  expect_gt(length(kept), 500)
  # What stands apart is drawn, and every point has one of its own group nearby.
  expect_true(all(c(20001, 20002) %in% kept))
  some <- sample(20000, 300)
  gap <- vapply(some, function(i) {
    near <- kept[group[kept] == group[i]]
    min(abs(x[near] - x[i]) / diff(range(x)) + abs(y[near] - y[i]) / diff(range(y)))
  }, 1)
  expect_lt(max(gap), 2 / 50)
  expect_identical(thin_points(1:10, 1:10, max_points = 10), 1:10)
  expect_lte(length(thin_points(rep(1, 100), rep(1, 100), max_points = 1)), 1)
})

test_that("names of points do not overlap, nor hide points, nor leave the panel", {
  set.seed(4)
  x <- rnorm(60)
  y <- rnorm(60)
  names <- paste0("condition_", 1:60)
  size <- 7
  xlim <- c(-4, 4)
  ylim <- c(-3, 3)
  placed <- place_labels(x, y, names, size, xlim, ylim, c(6, 3.5))
  expect_gt(nrow(placed), 40)
  px <- (placed$at_x + 4) / 8 * 6 * 72
  py <- (placed$at_y + 3) / 6 * 3.5 * 72
  width <- 0.62 * size * nchar(placed$label)
  left <- px - placed$hjust * width
  low <- py - 1.15 * size / 2
  high <- py + 1.15 * size / 2
  expect_true(all(left >= 0 & left + width <= 6 * 72 & low >= 0 & high <= 3.5 * 72))
  hit <- outer(left, left + width, "<") & outer(left + width, left, ">") & outer(low, high, "<") & outer(high, low, ">")
  diag(hit) <- FALSE
  # Corners that only touch are off by rounding.
  expect_false(any(hit & outer(left, left + width - 1e-6, "<") & outer(low, high - 1e-6, "<") &
    outer(left + width, left + 1e-6, ">") & outer(high, low + 1e-6, ">")))
  at_x <- (x + 4) / 8 * 6 * 72
  at_y <- (y + 3) / 6 * 3.5 * 72
  covered <- vapply(seq_along(left), function(i) {
    any(at_x > left[i] & at_x < left[i] + width[i] & at_y > low[i] & at_y < high[i])
  }, NA)
  expect_false(any(covered))
  # In a panel without room nothing is written.
  expect_identical(nrow(place_labels(0, 0, strrep("x", 100), 7, c(-1, 1), c(-1, 1), c(1, 1))), 0L)
})

test_that("pictures leave the themes of the user alone, and take new ones", {
  skip_if_not_installed("ggplot2")
  before <- ggplot2::theme_get()
  data <- small_data(J = 20, R = 3)$data
  plot <- ggplot2::autoplot(data) + ggplot2::labs(title = "Mine") + ggplot2::theme(legend.position = "top")
  expect_identical(plot$labels$title, "Mine")
  expect_identical(plot$theme$legend.position, "top")
  expect_identical(ggplot2::theme_get(), before)
  expect_false("autoplot" %in% getNamespaceExports("covmash"))
})
