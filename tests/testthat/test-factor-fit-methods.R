test_that("information criteria count the identified parameters", {
  x <- sample_factor_model(100, 10, 2, seed = 1)
  fit <- fit_factor_model(x, 2, n_threads = 1)
  expect_equal(attr(logLik(fit), "df"), n_parameters(10, 2)$identified)
  expect_equal(AIC(fit), -2 * fit$loglik + 2 * 29)
  expect_equal(BIC(fit), -2 * fit$loglik + log(100) * 29)
  expect_identical(nobs(fit), fit$n_samples)
  expect_identical(coef(fit), fit$loadings)
  row <- glance(fit)
  expect_identical(nrow(row), 1L)
  expect_equal(row$BIC, BIC(fit))
  expect_equal(row$p.value, fit$test$p.value)
  long <- tidy(fit)
  expect_identical(dim(long), c(20L, 3L))
  expect_equal(long$estimate[long$gene == "g3" & long$factor == "Factor2"], fit$loadings["g3", 2])
  expect_identical(tidy(fit, "genes")$gene, colnames(x))
})

test_that("standard errors of the noise variances are those of repeated samples", {
  set.seed(3)
  truth <- factor_covariance(matrix(rnorm(16), 8), D = runif(8, 0.5, 1.5))
  fits <- lapply(1:150, function(i) quiet_fit(rfactor_cov(500, truth), 2))
  noise <- vapply(fits, function(f) f$noise, numeric(8))
  claimed <- vapply(fits, function(f) summary(f)$genes$std.error, numeric(8))
  ratio <- apply(noise, 1, sd) / apply(claimed, 1, median, na.rm = TRUE)
  expect_true(all(ratio > 0.75 & ratio < 1.35))
})

test_that("without factors the standard error is that of a variance", {
  x <- sample_factor_model(100, 5, 1, seed = 4)
  fit <- fit_factor_model(x, 0, n_threads = 1)
  expect_equal(summary(fit)$genes$std.error, unname(fit$noise * sqrt(2 / 100)))
  expect_true(all(is.na(summary(fit_factor_model(x, 1, "pca", n_threads = 1))$genes$std.error)))
})

test_that("fits print what they are", {
  x <- sample_factor_model(100, 10, 2, seed = 1)
  fit <- fit_factor_model(x, 2, rotation = "promax", n_threads = 1)
  expect_output(print(fit), "10 genes, 2 factors, 100 samples")
  expect_output(print(fit), "maximum likelihood, rotation promax")
  expect_output(print(fit), "chi-squared .* on 26 df")
  expect_output(print(fit), "... and 4 more", fixed = TRUE)
  expect_output(print(summary(fit)), "Correlations of the factors")
  expect_match(format(fit), "10 genes, 2 factors")
  squares <- summary(fit_factor_model(x, 2, n_threads = 1))
  expect_equal(sum(squares$factors$proportion), mean(squares$genes$communality), tolerance = 1e-6)
  expect_output(print(fit_factor_model(x, 0, n_threads = 1)), "0 factors")
})

test_that("loadings are printed as they are drawn: standardised, sorted, small ones as dots", {
  L <- rbind(a = c(0.05, 0.8), b = c(0.9, 0.02), c = c(-0.3, 0.2), d = c(0.5, -0.6)) * c(100, 1, 1, 1)
  fit <- quiet_fit(tcrossprod(L) + base::diag(c(3500, 0.2, 0.9, 0.4)), 1, n_samples = 100)
  fit$loadings <- structure(L, dimnames = list(letters[1:4], c("Factor1", "Factor2")))
  fit$variance <- rowSums(L^2) + c(3500, 0.2, 0.9, 0.4)
  fit$uniquenesses <- c(3500, 0.2, 0.9, 0.4) / fit$variance
  fit$n_factors <- 2L
  fit$rotation_matrix <- base::diag(2)
  out <- capture.output(print(fit))
  table <- out[grep("Factor1 Factor2", out) + 1:4]
  expect_identical(substr(table, 1, 1), c("b", "c", "a", "d"))
  standard <- L / sqrt(fit$variance)
  expect_match(table[1], sprintf("%.2f +\\.$", standard["b", 1]))
  expect_match(table[3], sprintf("\\. +%.2f$", standard["a", 2]))
  expect_output(print(fit, n = 3), "... and 1 more", fixed = TRUE)
})

test_that("status lines have at most 80 characters", {
  x <- sample_factor_model(120, 60, 10, seed = 5)
  colnames(x) <- paste0("a_gene_with_a_name_that_is_rather_long_", 1:60)
  x[seq(1, length(x), 13)] <- NA
  fit <- suppressMessages(quiet_fit(x, 10))
  expect_lte(max(nchar(capture.output(print(fit)))), 80)
  expect_output(print(fit), "factors? more")
})

test_that("what a factor fit does not have is an error that says what does", {
  fit <- quiet_fit(sample_factor_model(50, 6, 1, seed = 6), 1)
  calls <- list(
    residuals, fitted, stats::vcov, stats::confint, stats::simulate, augment, stats::resid
  )
  for (call in calls) expect_error(call(fit), "use|take", class = "covmash_error_unsupported")
})

test_that("damaged fits are one classed error in every method", {
  fit <- quiet_fit(sample_factor_model(50, 6, 2, seed = 7), 2)
  uses <- list(
    print, summary, format, coef, logLik, nobs, tidy, glance, stats::BIC, rotate_factors,
    function(f) factor_scores(f, matrix(0, 1, 6)), function(f) print(structure(list(fit = f), class = "summary.factor_fit"))
  )
  for (name in c("loadings", "noise", "n_factors", "convergence", "heywood", "rotation_matrix", "covariance")) {
    for (value in list(NULL, "a", NA, list())) {
      damaged <- fit
      damaged[name] <- list(value)
      for (use in uses) expect_error(use(damaged), class = "covmash_error_fit")
    }
  }
  expect_error(print(fit, n = "a"), class = "covmash_error_argument")
  expect_error(print(fit, digits = 0), class = "covmash_error_argument")
  expect_error(print(summary(fit), n = NA), class = "covmash_error_argument")
})
