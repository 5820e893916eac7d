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
  expect_identical(names(long), c("gene", "factor", "estimate", "std.error"))
  expect_identical(nrow(long), 20L)
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
  expect_output(print(fit, n = 6), "... and 4 more of smaller communality", fixed = TRUE)
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
  fit$observed <- NULL
  out <- capture.output(print(fit))
  table <- out[grep("Factor1 Factor2", out)[1] + 1:4]
  expect_identical(substr(table, 1, 1), c("b", "c", "a", "d"))
  standard <- L / sqrt(fit$variance)
  expect_match(table[1], sprintf("^b +%.2f +\\. ", standard["b", 1]))
  expect_match(table[3], sprintf("^a +\\. +%.2f ", standard["a", 2]))
  h2 <- 1 - fit$uniquenesses
  com <- rowSums(standard^2)^2 / rowSums(standard^4)
  expect_match(table[4], sprintf(" %.2f +%.2f +%.1f$", h2[["d"]], fit$uniquenesses[["d"]], com[["d"]]))
  expect_output(print(fit, n = 3), "... and 1 more", fixed = TRUE)
  cut <- capture.output(print(fit, cutoff = 0.5, sort = FALSE))
  table <- cut[grep("Factor1 Factor2", cut)[1] + 1:4]
  expect_identical(substr(table, 1, 1), letters[1:4])
  expect_match(table[3], "^c +\\. +\\. ")
  expect_match(cut, "(. below 0.5)", fixed = TRUE, all = FALSE)
  squares <- colSums(standard^2)
  expect_match(out, sprintf("SS loadings +%.2f +%.2f", squares[1], squares[2]), all = FALSE)
  expect_match(out, sprintf("Cumulative var. +%.2f +%.2f", squares[1] / 4, sum(squares) / 4), all = FALSE)
  expect_error(print(fit, cutoff = -1), class = "covmash_error_argument")
  expect_error(print(fit, sort = NA), class = "covmash_error_argument")
})

test_that("squared loadings of correlated factors add up to the communalities", {
  x <- sample_factor_model(200, 10, 3, seed = 8)
  fit <- quiet_fit(x, 3, rotation = "promax")
  explained <- summary(fit)$factors
  expect_equal(sum(explained$ss_loadings), sum(1 - fit$uniquenesses), tolerance = 1e-6)
  expect_equal(explained$cumulative[3], mean(1 - fit$uniquenesses), tolerance = 1e-6)
  expect_output(print(fit), "correlations of the factors")
})

test_that("complexity is Hofmann's", {
  expect_equal(complexity(rbind(c(1, 0), c(0.5, 0.5), c(0, 0))), c(1, 2, NA))
})

test_that("loadings keep within the window", {
  withr::local_options(width = 50L)
  fit <- quiet_fit(sample_factor_model(150, 40, 8, seed = 5), 8)
  out <- capture.output(print(fit))
  expect_lte(max(nchar(out[-seq_len(grep("loadings of the", out))])), 50)
  expect_match(out, "factors more than fit into the window", all = FALSE)
})

test_that("tidy has standard errors and intervals, or says why not", {
  x <- sample_factor_model(200, 8, 2, seed = 9)
  fit <- quiet_fit(x, 2, rotation = "varimax")
  long <- tidy(fit, standardised = TRUE, conf.int = TRUE)
  expect_equal(long$estimate, as.vector(fit$loadings / sqrt(fit$variance)))
  expect_equal(long$conf.high - long$estimate, qnorm(0.975) * long$std.error)
  expect_equal(long$std.error, unname(sqrt(base::diag(vcov(fit, standardised = TRUE))[1:16])))
  narrow <- tidy(fit, conf.int = TRUE, conf.level = 0.5)
  expect_equal(narrow$estimate - narrow$conf.low, qnorm(0.75) * narrow$std.error)
  pca <- fit_factor_model(x, 2, "pca", n_threads = 1)
  expect_true(all(is.na(tidy(pca)$std.error)))
  expect_warning(tidy(pca, conf.int = TRUE), "method 'pca'", class = "covmash_warning_std_error")
  expect_error(tidy(fit, conf.level = 2), class = "covmash_error_argument")
})

test_that("augment puts the scores beside the data", {
  x <- sample_factor_model(30, 6, 2, seed = 10)
  fit <- quiet_fit(x, 2)
  out <- augment(fit, as.data.frame(x))
  expect_identical(names(out), c(colnames(x), ".fs1", ".fs2"))
  expect_equal(out$.fs2, unname(factor_scores(fit, x)[, 2]))
  expect_error(augment(fit), class = "covmash_error_argument")
  expect_identical(ncol(augment(fit_factor_model(x, 0, n_threads = 1), x)), 6L)
})

test_that("glance has the indices of fit", {
  fit <- quiet_fit(sample_factor_model(100, 8, 2, seed = 11), 2)
  indices <- fit_indices(fit)
  expect_equal(glance(fit)$rmsea, indices$rmsea)
  expect_equal(glance(fit)$cfi, indices$cfi)
  expect_equal(glance(fit)$statistic, indices$chisq)
  expect_output(print(summary(fit)), "RMSEA")
})

test_that("status lines have at most 80 characters", {
  x <- sample_factor_model(120, 60, 10, seed = 5)
  colnames(x) <- paste0("a_gene_with_a_name_that_is_rather_long_", 1:60)
  x[seq(1, length(x), 13)] <- NA
  fit <- suppressMessages(quiet_fit(x, 10))
  expect_lte(max(nchar(capture.output(print(fit)))), 80)
  expect_output(print(fit), "factors? more")
})

test_that("damaged fits are one classed error in every method", {
  fit <- quiet_fit(sample_factor_model(50, 6, 2, seed = 7), 2)
  uses <- list(
    print, summary, format, coef, logLik, nobs, tidy, glance, stats::BIC, rotate_factors, fit_indices,
    residuals, fitted, vcov, confint, stats::simulate,
    function(f) augment(f, matrix(0, 1, 6)),
    function(f) factor_scores(f, matrix(0, 1, 6)), function(f) print(structure(list(fit = f), class = "summary.factor_fit"))
  )
  for (name in c("loadings", "noise", "n_factors", "convergence", "heywood", "rotation_matrix", "covariance", "rotation")) {
    for (value in if (name == "rotation") list(NULL, 1, NA) else list(NULL, "a", NA, list())) {
      damaged <- fit
      damaged[name] <- list(value)
      for (use in uses) expect_error(use(damaged), class = "covmash_error_fit")
    }
  }
  expect_error(print(fit, n = "a"), class = "covmash_error_argument")
  expect_error(print(fit, digits = 0), class = "covmash_error_argument")
  expect_error(print(summary(fit), n = NA), class = "covmash_error_argument")
})
