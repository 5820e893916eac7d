test_that("of a matrix they compare its scales with the null", {
  withr::local_seed(2)
  sim <- simple_sims(nsamp = 10, ncond = 2, err_sd = 0.5)
  data <- mash_set_data(sim$Bhat, sim$Shat)
  U <- list(a = matrix(c(1, 0.5, 0.5, 1), 2), b = diag(2), empty = matrix(1, 2, 2))
  g <- list(pi = c(0.5, 0.1, 0.05, 0, 0.05, 0.3, 0), Ulist = U, grid = c(0.5, 2), usepointmass = TRUE)
  ours <- suppressMessages(get_log10bf(g, data, by = "matrix"))
  density <- function(S) {
    vapply(seq_len(nrow(data$Bhat)), function(j) {
      C <- S + diag(data$Shat[j, ]^2)
      exp(-0.5 * sum(data$Bhat[j, ] * solve(C, data$Bhat[j, ]))) / sqrt(det(C))
    }, 0)
  }
  of <- function(U, w) (w[1] * density(0.25 * U) + w[2] * density(4 * U)) / sum(w) / density(matrix(0, 2, 2))
  expect_equal(unname(ours[, "a"]), log10(of(U$a, c(0.1, 0.05))), tolerance = 1e-10)
  expect_equal(unname(ours[, "b"]), log10(of(U$b, c(0.05, 0.3))), tolerance = 1e-10)
  expect_true(all(is.na(ours[, "empty"])))
  expect_identical(rownames(ours), rownames(data$Bhat))
  # All matrices together, weighted, are the Bayes factor of the prior.
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  weights <- get_estimated_pi(fit)[-1]
  used <- weights > 0
  together <- log10(as.vector(10^get_log10bf(fit, data, by = "matrix")[, used] %*% (weights[used] / sum(weights))))
  expect_equal(together, drop(get_log10bf(fit)), tolerance = 1e-9)
  expect_error(get_log10bf(fit, by = "matrix"), class = "covmash_error_argument")
})
