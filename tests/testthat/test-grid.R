expected_grid <- function(Bhat, Shat, mult) {
  keep <- !is.na(Bhat)
  smallest <- min(Shat[keep]) / 10
  excess <- max((Bhat^2 - Shat^2)[keep])
  largest <- if (excess > 0) 2 * sqrt(excess) else 8 * smallest
  if (mult == 0) return(c(0, largest / 2))
  n <- ceiling(log2(largest / smallest) / log2(mult))
  mult^((-n):0) * largest
}

fitted_grid <- function(data, ...) mash(data, cov_canonical(data, "identity"), verbose = FALSE, outputlevel = 1, ...)$fitted_g$grid

test_that("the grid runs from min(Shat) / 10 to twice the largest excess, ascending, by gridmult", {
  sim <- small_data(shat = "varying", missing = 20)
  grid <- fitted_grid(sim$data)
  expect_close(grid, expected_grid(sim$Bhat, sim$Shat, sqrt(2)), 1e-14)
  expect_false(is.unsorted(grid, strictly = TRUE))
  expect_close(fitted_grid(sim$data, gridmult = 2), expected_grid(sim$Bhat, sim$Shat, 2), 1e-14)
})

test_that("data without excess variance get eight times the smallest scale", {
  Bhat <- matrix(c(0.1, -0.2, 0.3, 0.05), 2)
  data <- mash_set_data(Bhat, 1)
  expect_close(fitted_grid(data), expected_grid(Bhat, matrix(1, 2, 2), sqrt(2)), 1e-14)
})

test_that("the grid is that of the data divided by Shat^alpha", {
  sim <- small_data(shat = "varying")
  z <- mash_set_data(sim$Bhat, sim$Shat, alpha = 1)
  expect_close(fitted_grid(z), expected_grid(sim$Bhat / sim$Shat, 1 + 0 * sim$Shat, sqrt(2)), 1e-14)
})

test_that("missing entries leave no trace in the grid", {
  sim <- small_data(shat = "varying")
  Bhat <- sim$Bhat
  Shat <- sim$Shat
  Bhat[2, 1] <- 1e6
  Shat[3, 2] <- 1e-6
  Bhat[3, 2] <- NA
  Shat[2, 1] <- Inf
  data <- mash_set_data(Bhat, Shat)
  Bhat[2, 1] <- NA
  expect_close(fitted_grid(data), expected_grid(Bhat, sim$Shat, sqrt(2)), 1e-14)
})

test_that("a grid that is given is used as it is, and a useless one is refused", {
  sim <- small_data()
  expect_identical(fitted_grid(sim$data, grid = c(0.5, 2)), c(0.5, 2))
  U <- cov_canonical(sim$data)
  for (grid in list(c(1, -1), c(1, NA), c(1, Inf), numeric(), "a")) {
    expect_input_error(mash(sim$data, U, grid = grid, verbose = FALSE), "grid")
  }
  expect_input_error(mash(sim$data, U, gridmult = 0.5, verbose = FALSE), "gridmult")
})

test_that("an estimate whose square is beyond all numbers is named", {
  Bhat <- matrix(c(1, 2, 1e200, -1), 2, dimnames = list(c("a", "b"), c("x", "y")))
  expect_error(mash_set_data(Bhat, 1), "row 1 \\('a'\\), column 2 \\('y'\\)", class = "covmash_error_magnitude")
  data <- new_mash_data(Bhat, array(1, dim(Bhat), dimnames(Bhat)), diag(2), 0)
  expect_error(autoselect_grid(data), "row 1 \\('a'\\), column 2 \\('y'\\)", class = "covmash_error_grid")
})

test_that("scales that overflow are refused, and so are grids without an end", {
  sim <- small_data()
  U <- cov_canonical(sim$data)
  expect_input_error(mash(sim$data, U, grid = c(1, 1e160), verbose = FALSE), "element 2 is 1e\\+160")
  expect_input_error(mash(sim$data, U, grid = 1e-170, verbose = FALSE), "1e-170")
  expect_input_error(mash(sim$data, list(big = diag(1e300, 3)), grid = 1e10, normalizeU = FALSE, verbose = FALSE), "big")
  expect_input_error(mash_1by1(sim$data, mixsd = c(1, 1e160)), "mixsd")
  expect_input_error(mash(sim$data, U, gridmult = 1 + 1e-12, verbose = FALSE), "gridmult")
})
