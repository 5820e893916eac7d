skip_if_not_installed("ggplot2")

known_matrices <- function() {
  U <- function(...) {
    V <- tcrossprod(c(...))
    dimnames(V) <- list(c("a", "b", "c"), c("a", "b", "c"))
    V
  }
  list(one = U(1, 2, -2), two = diag(c(4, 1, 0.5)), zero = matrix(0, 3, 3))
}

test_that("cells are covariances over the largest variance", {
  Ulist <- known_matrices()
  plot <- plot_covariances(Ulist)
  cells <- plot$data
  expect_identical(levels(cells$matrix), names(Ulist))
  for (name in names(Ulist)) {
    one <- cells[cells$matrix == name, ]
    at <- cbind(match(one$row, c("a", "b", "c")), match(one$column, c("a", "b", "c")))
    expect_equal(one$value, unname(Ulist[[name]] / max(diag(Ulist[[name]]), 1e-300))[at])
  }
  expect_identical(levels(cells$column), c("a", "b", "c"))
  clustered <- plot_covariances(Ulist[1], cluster = TRUE)
  expect_match(clustered$labels$caption, "Conditions are clustered")
  some <- plot_covariances(Ulist, max_matrices = 2)
  expect_identical(some$labels$caption, "2 of 3 matrices, the first.")
  expect_input_error(plot_covariances(Ulist, cluster = NA), "`cluster`")
  expect_input_error(plot_covariances(Ulist, max_matrices = 0), "`max_matrices`", "covmash_error_argument")
})

test_that("of a fit the matrices with the largest weights are drawn", {
  sim <- small_data(J = 80, R = 3)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  weights <- get_estimated_pi(fit)[-1]
  used <- names(sort(weights[weights > 1e-4], decreasing = TRUE))
  plot <- ggplot2::autoplot(fit, "covariances", top = 2)
  expect_identical(sub("\n.*", "", levels(plot$data$matrix)), utils::head(used, 2))
  expect_identical(sub(".*\n", "", levels(plot$data$matrix))[1], sprintf("%.1f %%", 100 * max(weights)))
  expect_match(plot$labels$caption, paste("2 of", length(weights), "matrices, those with the largest weights"))
})

test_that("bars are the eigenvectors, with the share of variance in the title", {
  Ulist <- known_matrices()
  plot <- plot_eigenvectors(Ulist)
  bars <- plot$data
  expect_identical(nlevels(bars$matrix), 2L)  # not the one without variance
  expect_match(plot$labels$caption, "1 matrix without variance left out")
  one <- bars[bars$matrix == "one\n100 % of variance", ]
  expect_equal(one$value[match(c("a", "b", "c"), one$condition)], c(1, 2, -2) / 3)
  two <- bars[bars$matrix == sprintf("two\n%.0f %% of variance", 100 * 4 / 5.5), ]
  expect_equal(abs(two$value[match(c("a", "b", "c"), two$condition)]), c(1, 0, 0))
  # Every vector of a full matrix: orthonormal, shares sum to all.
  U <- crossprod(matrix(c(2, 1, 0, 1, 3, 1, 0, 1, 1), 3))
  vectors <- leading_vectors(U, 3)
  V <- vapply(vectors, `[[`, numeric(3), "vector")
  values <- vapply(vectors, `[[`, 1, "share") * sum(diag(U))
  expect_equal(V %*% (values * t(V)), U)
  expect_true(all(colSums(V) >= 0))
  several <- plot_eigenvectors(list(U = U), n_vectors = 2)
  expect_identical(levels(several$data$matrix), sprintf(c("U\n1st: %.0f %% of variance", "U\n2nd: %.0f %% of variance"), 100 * values[1:2] / sum(values)))
  fills <- ggplot2::layer_data(plot, 1)$fill
  expect_identical(fills, ifelse(bars$value > 0, plot_colours$high, plot_colours$low)[order(bars$matrix)])
  expect_match(plot_eigenvectors(Ulist["zero"])$labels$subtitle, "No matrix has a variance")
  expect_input_error(plot_eigenvectors(Ulist, n_vectors = 0), "`n_vectors`", "covmash_error_argument")
})

test_that("names of panels are cut to their width", {
  titles <- panel_titles(c("a_very_long_name_of_a_matrix_indeed\n5 %", "b"), 9)
  cut <- titles$labeller(list(matrix = c("a_very_long_name_of_a_matrix_indeed\n5 %", "b")))
  expect_match(cut$matrix[1], "^a_.*[.][.].*\n5 %$")
  expect_lte(max(nchar(strsplit(cut$matrix[1], "\n")[[1]])) * 0.6 * titles$theme$strip.text$size, 420 / 9 + 1e-8)
  expect_identical(cut$matrix[2], "b")
})

test_that("ticks of neighbours do not meet", {
  expect_identical(inner_breaks(c(-1, 1)), c(-0.5, 0, 0.5))
  expect_identical(inner_breaks(c(0, 0.3)), c(-0.1, 0, 0.1))
  expect_identical(inner_breaks(c(0, 1e-9)), 0)
})

test_that("correlations of conditions without variance are 0", {
  U <- diag(c(4, 0, 1))
  expect_identical(correlation_or_zero(U), diag(c(1, 0, 1)))
})

test_that("conditions that go together are side by side, also where signs differ", {
  v <- c(1, -1, 1, -1, 1, -1)
  order <- common_order(list(tcrossprod(v)))
  expect_identical(sum(diff(v[order]) != 0), 1L)
  # Weights decide between matrices that disagree.
  w <- c(1, 1, 1, -1, -1, -1)
  expect_identical(sum(diff(w[common_order(list(tcrossprod(v), tcrossprod(w)), c(0.1, 0.9))]) != 0), 1L)
  expect_identical(sum(diff(v[common_order(list(tcrossprod(v), tcrossprod(w)), c(0.9, 0.1))]) != 0), 1L)
})
