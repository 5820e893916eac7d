# The grid of effect sizes: standard deviations omega_l; a component's covariance
# is omega_l^2 U_k.

# A grid from the data: from a tenth of the smallest standard error, so that the
# smallest component is indistinguishable from zero, to twice the largest
# effect the data can hide, 2 sqrt(max(Bhat^2 - Shat^2)), in steps of `mult`
# (Stephens 2017). Observed entries only.
autoselect_grid <- function(data, mult = sqrt(2)) {
  range <- effect_range(data)
  if (range$smallest_shat == Inf) {
    abort_input(
      "There is no observed estimate to choose a grid from; give `grid`.",
      class = "covmash_error_grid"
    )
  }
  smallest <- range$smallest_shat / 10
  excess <- range$largest_excess
  largest <- if (excess <= 0) 8 * smallest else 2 * sqrt(excess)
  if (!is.finite(largest)) {
    at <- which.max(abs(data$Bhat))
    abort_input(
      "`Bhat` has an estimate too large to choose a grid from, {format(data$Bhat[at])} in ",
      "{label_entry(data$Bhat, at)}; correct it, set it to NA or give `grid`.",
      class = "covmash_error_grid"
    )
  }
  if (mult == 0) {
    return(c(0, largest / 2))
  }
  steps <- ceiling(log2(largest / smallest) / log2(mult))
  if (steps >= most_grid_points) {
    abort_input(
      "With ratio {format(mult, digits = 15)} from one to the next, the grid would have {format_count(steps + 1)} ",
      "points; raise `gridmult`.",
      class = "covmash_error_grid"
    )
  }
  mult^((-steps):0) * largest
}

# The smallest standard error, and the largest Bhat^2 - Shat^2: of a sample, those of all effects that it stands for.
effect_range <- function(data) if (is.null(data$range)) run_core(cpp_effect_range(data)) else data$range

most_grid_points <- 10000

check_gridmult <- function(gridmult, name = "gridmult") {
  check_number(gridmult, name, what = "one number above 1 (or 0)")
  if (gridmult != 0 && gridmult <= 1) {
    abort_input(
      "`{name}` must be above 1, the ratio of neighbouring grid points, not {format(gridmult)}.",
      class = "covmash_error_grid"
    )
  }
  invisible(gridmult)
}

check_grid <- function(grid, name = "grid") {
  if (!is.numeric(grid) || length(grid) < 1L || !all(is.finite(grid)) ||
        any(grid < 0)) {
    abort_input(
      "`{name}` must be a vector of finite standard deviations of at least 0, not {describe(grid)}.",
      class = "covmash_error_grid"
    )
  }
  bad <- which(grid > 1e150 | (grid > 0 & grid < 1e-150))
  if (length(bad) > 0L) {
    abort_input(
      "`{name}` must hold 0 or standard deviations from 1e-150 to 1e150, whose squares are numbers, but its element ",
      "{bad[1]} is {format(grid[bad[1]])}.",
      class = "covmash_error_grid"
    )
  }
  as.double(grid)
}
