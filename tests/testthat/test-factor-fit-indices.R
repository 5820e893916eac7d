peers <- utils::read.csv(test_path("fixtures", "factor-peers.csv"))
of_peer <- function(peer, what) {
  at <- peers$peer == peer & peers$what == what
  stats::setNames(peers$value[at], peers$name[at])
}

test_that("indices are those of lavaan, and of psych with Bartlett's factors", {
  fit <- quiet_fit(Harman74.cor, 4)
  ours <- fit_indices(fit, bartlett = FALSE)
  theirs <- of_peer("lavaan", "index")
  names <- c(
    "chisq", "df", "p.value", "baseline.chisq", "baseline.df", "cfi", "tli", "rmsea", "rmsea.conf.low",
    "rmsea.conf.high", "rmsea.p.value", "srmr"
  )
  expect_equal(unname(unlist(unclass(ours)[names])), unname(theirs), tolerance = 1e-6)
  ours <- fit_indices(fit)
  theirs <- of_peer("psych", "index")
  expect_equal(ours$chisq, theirs[["STATISTIC"]], tolerance = 1e-6)
  expect_equal(ours$baseline.chisq, theirs[["null.chisq"]], tolerance = 1e-6)
  expect_equal(ours$cfi, theirs[["CFI"]], tolerance = 1e-6)
  # psych divides the sum over i > j by N (N - 1).
  expect_equal(ours$rmsr, sqrt(2) * theirs[["rms"]], tolerance = 1e-5)
  expect_equal(ours$AIC, AIC(fit))
  expect_equal(ours$BIC, BIC(fit))
  expect_equal(ours$chisq, fit$test$statistic)
  expect_equal(ours$p.value, fit$test$p.value)
  expect_identical(ours$notes, character())
  varimax <- rotate_factors(fit, "varimax")
  expect_equal(complexity(standardised_loadings(varimax)), unname(of_peer("psych", "complexity")), tolerance = 1e-4)
})

test_that("indices are what their formulas say", {
  x <- sample_factor_model(90, 9, 3, seed = 1)
  fit <- quiet_fit(x, 1)
  ours <- fit_indices(fit, level = 0.8)
  m <- 90 - 1 - 23 / 6 - 2 / 3
  expect_equal(ours$chisq, m * fit$objective)
  baseline <- -as.numeric(determinant(cor(x))$modulus) * (90 - 1 - 23 / 6)
  expect_equal(ours$baseline.chisq, baseline)
  expect_equal(ours$baseline.df, 36)
  expect_equal(ours$rmsea, sqrt((ours$chisq - 27) / (27 * m)))
  expect_equal(ours$cfi, 1 - (ours$chisq - 27) / (baseline - 36))
  expect_equal(ours$tli, (baseline / 36 - ours$chisq / 27) / (baseline / 36 - 1))
  # The bounds are noncentralities under which chi-squared is a quantile.
  bounds <- c(ours$rmsea.conf.low, ours$rmsea.conf.high)^2 * 27 * m
  expect_equal(stats::pchisq(ours$chisq, 27, bounds), c(0.9, 0.1), tolerance = 1e-6)
  expect_equal(ours$rmsea.p.value, stats::pchisq(ours$chisq, 27, 0.0025 * 27 * m, lower.tail = FALSE))
  left <- (cov(x) * 89 / 90 - as.matrix(fit$covariance)) / sqrt(outer(fit$variance, fit$variance))
  expect_equal(ours$srmr, sqrt(mean(left[lower.tri(left, TRUE)]^2)))
  expect_equal(ours$rmsr, sqrt(mean(left[lower.tri(left)]^2)))
  none <- fit_indices(quiet_fit(x, 0))
  expect_identical(c(none$cfi, none$tli), c(0, 0))
})

test_that("the interval of RMSEA covers that of the population", {
  skip_on_cran()
  # Two factors, one is fitted: the discrepancy of the population is that of the fit to its covariance matrix.
  B <- cbind(c(0.8, 0.7, 0.6, 0.7, 0.3, 0.2), c(0, 0.2, 0, 0.5, 0.6, 0.5))
  Sigma <- factor_covariance(B, D = 1 - rowSums(B^2))
  population <- quiet_fit(as.matrix(Sigma), 1, n_samples = 1e6)
  rmsea <- sqrt(population$objective / fit_indices(population)$df)
  set.seed(2)
  inside <- vapply(1:200, function(i) {
    ours <- fit_indices(quiet_fit(rfactor_cov(300, Sigma), 1))
    ours$rmsea.conf.low <= rmsea && rmsea <= ours$rmsea.conf.high
  }, NA)
  expect_gt(mean(inside), 0.83)
  expect_lt(mean(inside), 0.97)
})

test_that("with missing values the test is that of lavaan, given the data", {
  x <- as.matrix(airquality[1:4])
  fit <- quiet_fit(x, 1)
  ours <- fit_indices(fit, data = x)
  theirs <- of_peer("lavaan", "missing")
  names <- c("chisq", "df", "p.value", "baseline.chisq", "baseline.df", "cfi", "tli", "rmsea", "logLik")
  expect_equal(unname(unlist(unclass(ours)[names])), unname(theirs[1:9]), tolerance = 1e-6)
  expect_identical(fit_indices(fit, data = rbind(NA, x)), ours)
  expect_error(fit_indices(fit, data = x[-1, ]), "153 samples", class = "covmash_error_dimensions")
})

test_that("large statistics have intervals too", {
  for (chisq in c(1e5, 9e5, 3e6, 1e9)) {
    bounds <- c(noncentrality(chisq, 500, 0.95), noncentrality(chisq, 500, 0.05))
    expect_equal(bounds, chisq - 500 + c(-1, 1) * qnorm(0.95) * sqrt(4 * chisq), tolerance = 0.02 / sqrt(chisq / 1e5))
  }
  expect_identical(noncentrality(3, 10, 0.95), 0)
})

test_that("where there is no test the reason is said, and the rest is there", {
  x <- sample_factor_model(100, 8, 2, seed = 3)
  reason <- function(fit, ...) paste(fit_indices(fit, ...)$notes, collapse = "; ")
  wide <- quiet_fit(x[1:8, ], 1)
  expect_match(reason(wide), "8 genes has no likelihood for 8 samples")
  expect_true(is.na(fit_indices(wide)$rmsea))
  expect_false(is.na(fit_indices(wide)$srmr))
  expect_match(reason(quiet_fit(x, 2, "pca")), "method 'pca'")
  gone <- x
  gone[5, 3] <- NA
  gone <- quiet_fit(gone, 2)
  expect_match(reason(gone), "values are missing.*give `data`")
  expect_false(is.na(fit_indices(gone)$BIC))
  x[5, 3] <- NA
  with_data <- fit_indices(gone, data = x)
  expect_false(is.na(with_data$rmsea))
  expect_equal(with_data$rmsr, sqrt(mean(residuals(gone, data = x)[lower.tri(diag(8))]^2)), tolerance = 0.05)
  x[x[, 1] > 0, 2] <- NA
  x[x[, 1] <= 0, 1] <- NA
  apart <- suppressMessages(quiet_fit(x, 1))
  expect_match(reason(apart, data = x), "no sample together.*1 pair of genes")
  exact <- quiet_fit(sample_factor_model(40, 3, 1, strength = 3, seed = 13), 1)
  expect_match(reason(exact), "no degree of freedom")
  expect_equal(fit_indices(exact)$df, 0)
  expect_equal(fit_indices(exact)$cfi, 1)
  expect_true(is.na(fit_indices(exact)$tli))
  singular <- quiet_fit(cov(x[1:4, 4:8]), 1, n_samples = 50)
  expect_match(reason(singular), "singular")
  few <- quiet_fit(sample_factor_model(8, 7, 1, seed = 1), 3)
  expect_false(is.na(fit_indices(few, bartlett = FALSE)$chisq))
  one <- fit_indices(quiet_fit(x[-(1:5), 8, drop = FALSE], 0))
  expect_match(one$notes, "one gene", all = FALSE)
  expect_true(is.na(one$rmsr))
})

test_that("indices print what there is", {
  fit <- quiet_fit(Harman74.cor, 4)
  out <- capture.output(print(fit_indices(fit)))
  expect_match(out, "CFI, TLI: +0.968, 0.952", all = FALSE)
  expect_match(out, "RMSEA: +0.041, 90 % interval 0.016 to 0.058", all = FALSE)
  expect_lte(max(nchar(out)), 80)
  expect_output(print(fit_indices(quiet_fit(mtcars[1:3, 1:5], 1, "pca"))), "not given")
  expect_error(fit_indices(1), class = "covmash_error_fit")
  expect_error(fit_indices(fit, level = 1), class = "covmash_error_argument")
  expect_error(fit_indices(fit, bartlett = NA), class = "covmash_error_argument")
  expect_error(print(fit_indices(fit), digits = 0), class = "covmash_error_argument")
  expect_error(print(structure(list(), class = "fit_indices")), class = "covmash_error_fit")
})
