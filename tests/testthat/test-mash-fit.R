canonical_fit <- function(sim = small_data(), ...) mash(sim$data, cov_canonical(sim$data), verbose = FALSE, ...)

lines_of <- function(x) capture.output(shown <- withVisible(print(x)))

test_that("fits print components, log-likelihood, convergence and timing, in a few lines", {
  sim <- small_data(J = 500, R = 4)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  lines <- lines_of(fit)
  expect_lt(length(lines), 25)
  text <- paste(lines, collapse = "\n")
  expect_match(text, "500")
  expect_match(text, "component")
  expect_match(text, format(round(fit$loglik, 2), nsmall = 2), fixed = TRUE)
  expect_match(text, "KKT")
  expect_match(text, "converged")
  expect_match(text, "second| s\\b")
})

test_that("print returns its object invisibly, also without posteriors or point mass", {
  sim <- small_data(J = 30, R = 3)
  one_by_one <- mash_1by1(sim$data)
  full <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  short <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE, outputlevel = 1)
  fixed <- mash(sim$data, g = full$fitted_g, fixg = TRUE, verbose = FALSE)
  no_null <- mash(sim$data, list(id = diag(3)), verbose = FALSE, usepointmass = FALSE)
  for (x in list(sim$data, one_by_one, full, short, fixed, no_null)) {
    capture.output(shown <- withVisible(print(x)))
    expect_false(shown$visible)
    expect_identical(shown$value, x)
    expect_gt(length(capture.output(print(summary(x)))), 1)
  }
})

test_that("summaries say more than prints, and print shortly too", {
  sim <- small_data(J = 500, R = 4, missing = 20)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  for (x in list(sim$data, fit)) {
    more <- capture.output(print(summary(x)))
    expect_gt(length(more), length(lines_of(x)))
    expect_lt(length(more), 80)
  }
})

test_that("a fit survives being saved", {
  sim <- small_data(J = 30, R = 3)
  fit <- canonical_fit(sim)
  path <- withr::local_tempfile(fileext = ".rds")
  saveRDS(fit, path)
  back <- readRDS(path)
  expect_identical(back, fit)
  expect_identical(mash_compute_vloglik(back, sim$data), fit$vloglik)
})

test_that("fits are equal if what was fitted is", {
  sim <- small_data(J = 40, R = 3)
  U <- cov_canonical(sim$data)
  m <- mash(sim$data, U, verbose = FALSE)
  again <- mash(sim$data, U, verbose = FALSE)
  again$timing$total <- 1e3
  expect_true(all.equal(m, again))
  again$result$PosteriorMean[1] <- 7
  expect_match(all.equal(m, again), "PosteriorMean", all = FALSE)
  expect_true(is.character(all.equal(m, 1)))
})
