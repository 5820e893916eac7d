contrast_problem <- function() {
  withr::local_seed(5)
  sim <- simple_sims(nsamp = 40, ncond = 4, err_sd = 0.5)
  colnames(sim$Bhat) <- c("liver", "lung", "skin", "blood")
  data <- mash_set_data(sim$Bhat, sim$Shat)
  list(data = data, fit = mash(data, cov_canonical(data), verbose = FALSE), sim = sim)
}

test_that("each kind has its contrasts, named", {
  p <- contrast_problem()
  pairs <- mash_contrast(p$fit, p$data)
  expect_identical(dim(pairs$contrast), c(6L, 4L))
  expect_identical(rownames(pairs$contrast)[1:3], c("liver_vs_lung", "liver_vs_skin", "lung_vs_skin"))
  expect_identical(dimnames(get_lfsr(pairs)), list(rownames(p$data$Bhat), rownames(pairs$contrast)))
  steps <- mash_contrast(p$fit, p$data, "consecutive")$contrast
  expect_identical(steps["skin_vs_lung", ], c(liver = 0, lung = -1, skin = 1, blood = 0))
  to <- mash_contrast(p$fit, p$data, "reference", reference = "skin")$contrast
  expect_identical(rownames(to), c("liver_vs_skin", "lung_vs_skin", "blood_vs_skin"))
  expect_identical(to, mash_contrast(p$fit, p$data, "reference", reference = 3)$contrast)
  mean <- mash_contrast(p$fit, p$data, "deviation")$contrast
  expect_equal(rowSums(mean), setNames(rep(0, 4), paste0(colnames(p$data$Bhat), "_vs_mean")))
  own <- rbind(pair = c(blood = 1, liver = -1, lung = 0, skin = 0))
  expect_identical(mash_contrast(p$fit, p$data, own)$contrast[1, "liver"], c(liver = -1)[[1]])
})

test_that("they are the posterior of the combinations, and intervals of it", {
  p <- contrast_problem()
  x <- mash_contrast(p$fit, p$data, "reference", level = 0.9)
  plain <- mash_compute_posterior_matrices(p$fit, p$data, A = x$contrast)
  expect_identical(x$result[names(plain)], plain)
  expect_identical(x$result[c("lower", "upper")], get_credible_intervals(p$fit, p$data, 0.9, A = x$contrast))
  none <- mash_contrast(p$fit, p$data, "reference", level = NULL)
  expect_null(none$result$lower)
  expect_named(tidy(none), c("effect", "contrast", "estimate", "std.error", "lfsr", "lfdr"))
  expect_error(tidy(none, conf.int = TRUE), "without intervals", class = "covmash_error_argument")
  # A contrast of effects that are equal under the prior is zero for sure.
  equal <- mash(p$data, list(equal = matrix(1, 4, 4)), verbose = FALSE)
  zero <- mash_contrast(equal, p$data)
  expect_equal(unname(get_lfsr(zero)), matrix(1, 160, 6))
  expect_true(all(zero$result$lower == 0 & zero$result$upper == 0))
})

test_that("it tidies, prints, and other functions take it", {
  p <- contrast_problem()
  x <- mash_contrast(p$fit, p$data, "consecutive")
  long <- tidy(x)
  expect_named(long, c("effect", "contrast", "estimate", "std.error", "lfsr", "lfdr", "conf.low", "conf.high"))
  expect_identical(long, as.data.frame(x))
  expect_equal(nrow(long), 3 * nrow(p$data$Bhat))
  expect_identical(long$estimate[long$contrast == "lung_vs_liver"], unname(get_pm(x)[, "lung_vs_liver"]))
  expect_output(expect_invisible(print(x)), "x 3 contrasts.*skin_vs_lung")
  expect_type(get_significant_results(x), "integer")
  broken <- x
  broken$result$upper <- NULL
  for (f in list(print, format, tidy, as.data.frame)) expect_error(f(broken), class = "covmash_error_fit")
})

test_that("data that are differences from the mean have contrasts of all conditions", {
  p <- contrast_problem()
  data <- mash_update_data(p$data, ref = "mean")
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  x <- mash_contrast(fit, data, "consecutive")
  expect_identical(rownames(x$contrast)[3], "blood-mean_vs_skin-mean")
  means <- mash_compute_posterior_matrices(fit, data)$PosteriorMean
  expect_equal(unname(get_pm(x)[, 3]), unname(means[, 4] - means[, 3]))
})

test_that("bad arguments are refused", {
  p <- contrast_problem()
  expect_error(mash_contrast(p$fit, p$data, "every"), "contrast", class = "covmash_error_argument")
  expect_error(mash_contrast(p$fit, p$data, "reference", reference = "heart"), "`reference`", class = "covmash_error_contrast")
  expect_error(mash_contrast(p$fit, p$data, diag(3)), "`contrast`", class = "covmash_error")
  expect_error(mash_contrast(p$fit, p$data, NULL), "`contrast`", class = "covmash_error_argument")
  expect_error(mash_contrast(p$fit, p$data, level = 2), "level", class = "covmash_error_argument")
  one <- mash_set_data(matrix(rnorm(20), 20))
  fit <- mash(one, list(a = matrix(1)), verbose = FALSE)
  expect_error(mash_contrast(fit, one), "one condition", class = "covmash_error_contrast")
})
