cv_data <- function(n = 90) {
  withr::local_seed(7)
  B <- matrix(stats::rnorm(n * 3), n) %*% chol(3 * (0.3 * diag(3) + 0.7))
  Bhat <- B + stats::rnorm(n * 3)
  dimnames(Bhat) <- list(paste0("e", seq_len(n)), letters[1:3])
  mash_set_data(Bhat, 1)
}

test_that("candidates are judged on rows that they have not seen", {
  data <- cv_data()
  withr::local_seed(1)
  cv <- cv_deconvolve(data, K = c(1, 3), n_folds = 3, n_starts = 2)
  expect_s3_class(cv, "deconvolution_cv")
  expect_identical(cv$table$candidate, c("K = 1", "K = 3"))
  expect_identical(dimnames(cv$heldout), list(rownames(data$Bhat), c("K = 1", "K = 3")))
  expect_false(anyNA(cv$heldout))
  expect_equal(cv$table$heldout, unname(colMeans(cv$heldout)))
  expect_equal(min(cv$table$behind), 0)
  # By hand: the same folds, one start that does not depend on chance.
  folds <- rep(1:3, 30)
  own <- cv_deconvolve(data, candidates = list(one = list(n_full = 1, n_starts = 1)), folds = folds)
  fit <- deconvolve(data, which(folds != 2), n_full = 1, n_starts = 1)
  expect_equal(unname(own$heldout[folds == 2, 1]), as.vector(mash_compute_vloglik(fit, data[folds == 2, ])))
  # What the held-out rows are does not reach the fit.
  data$Bhat[folds == 1, ] <- 100
  other <- cv_deconvolve(data, candidates = list(one = list(n_full = 1, n_starts = 1)), folds = folds)
  expect_false(isTRUE(all.equal(other$heldout[folds == 1, 1], own$heldout[folds == 1, 1])))
  expect_equal(length(other$fit$Ulist), 1)
})

test_that("the simplest candidate within one standard error of the difference is chosen, and fitted to all rows", {
  heldout <- cbind(a = c(1, 2, 3, 4), b = c(1.5, 1.9, 3.4, 3.9), c = c(0, 0, 1, 1))
  table <- cv_table(heldout, NULL, list(df = c(1, 5, 0), seconds = c(0, 0, 0)))
  expect_equal(table$behind, c(0.175, 0, 2.175))
  d <- heldout[, "b"] - heldout[, "a"]
  expect_equal(table$behind_se[1], sqrt(sum((d - mean(d))^2)) / 4)
  weighted <- cv_table(heldout, c(2, 1, 1, 1), list(df = c(1, 5, 0), seconds = c(0, 0, 0)))
  expect_equal(weighted$heldout[1], (2 + 2 + 3 + 4) / 5)
  cv <- withr::with_seed(2, cv_deconvolve(cv_data(), K = c(1, 4), n_folds = 3, n_starts = 1))
  expect_equal(cv$chosen, "K = 1")
  expect_equal(cv$fit$n_effects, 90)
  expect_equal(nrow(cv$fit$components), 1)
})

test_that("the result does not depend on how many fits run side by side", {
  run <- function(n) {
    withr::local_seed(3)
    cv <- cv_deconvolve(cv_data(), K = c(1, 2), lambda = c(2, 6), n_folds = 2, n_starts = 2, n_jobs = n)
    cv$table$seconds <- cv$fit$timing <- NULL
    cv
  }
  expect_identical(run(1), run(2))
  expect_length(run(1)$candidates, 4)
})

test_that("it prints and draws", {
  cv <- withr::with_seed(4, cv_deconvolve(cv_data(), K = 1:2, n_folds = 2, n_starts = 1))
  expect_output(expect_invisible(print(cv)), "chosen")
  cv$table <- NULL
  for (f in list(print, format)) expect_error(f(cv), "cv_deconvolve", class = "covmash_error_argument")
  cv <- withr::with_seed(4, cv_deconvolve(cv_data(), K = 1:2, n_folds = 2, n_starts = 1))
  skip_if_not_installed("ggplot2")
  expect_s3_class(autoplot.deconvolution_cv(cv), "ggplot")
})

test_that("wrong candidates and folds are named", {
  data <- cv_data(20)
  expect_error(cv_deconvolve(data, K = "a"), "`K`", class = "covmash_error_argument")
  expect_error(cv_deconvolve(data, candidates = list(list(n_full = 1))), "named", class = "covmash_error_argument")
  expect_error(cv_deconvolve(data, candidates = list(a = list(full = 1))), "'full'", class = "covmash_error_argument")
  expect_error(cv_deconvolve(data, K = 0), "Candidate 'K = 0'", class = "covmash_error_argument")
  expect_error(cv_deconvolve(data, n_folds = 1), "n_folds", class = "covmash_error_argument")
  expect_error(cv_deconvolve(data, n_folds = 15), "too few", class = "covmash_error_argument")
  expect_error(cv_deconvolve(data, folds = 1:3), "`folds`", class = "covmash_error_argument")
  expect_error(cv_deconvolve(data, folds = rep(1, 20)), "two labels", class = "covmash_error_argument")
  expect_error(cv_deconvolve(1), class = "covmash_error_data")
})

test_that("arguments that are expressions are refused, not evaluated", {
  data <- mash_set_data(withr::with_seed(1, matrix(rnorm(60), 20)))
  expect_error(cv_deconvolve(data, K = 1, max_evaluations = quote(f(x))), "max_evaluations", class = "covmash_error_argument")
})
