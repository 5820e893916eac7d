test_that("every criterion finds factors that are strong enough", {
  x <- sample_factor_model(200, 25, 3, seed = 1)
  set.seed(1)
  chosen <- select_n_factors(x, max_factors = 6, n_permutations = 10, n_threads = 1)
  expect_equal(chosen$n_factors, c(bic = 3, parallel = 3, heldout = 3))
  expect_identical(chosen$table$n_factors, 0:6)
  fit <- quiet_fit(x, 2)
  expect_equal(chosen$table$BIC[3], BIC(fit), tolerance = 1e-8)
  expect_equal(chosen$eigenvalues$observed, eigen(cor(x))$values[1:6], tolerance = 1e-6)
  expect_output(print(chosen), "BIC: 3 factors")
  set.seed(1)
  again <- select_n_factors(x, max_factors = 6, n_permutations = 10, n_threads = 1)
  expect_identical(again, chosen)
})

test_that("held-out log-likelihood is that of the parts left out", {
  x <- sample_factor_model(60, 8, 1, seed = 2)
  set.seed(3)
  chosen <- select_n_factors(x, max_factors = 1, criteria = "heldout", n_folds = 2, n_threads = 1)
  set.seed(3)
  fold <- rep_len(1:2, 60)[sample.int(60)]
  density <- 0
  for (part in 1:2) {
    fit <- quiet_fit(x[fold != part, ], 1)
    density <- density + plain_factor_loglik(x[fold == part, ], as.matrix(fit$covariance), fit$mean)
  }
  expect_equal(chosen$table$heldout[2], density / 60, tolerance = 1e-5)
  expect_null(chosen$eigenvalues)
})

test_that("data without factors have none", {
  set.seed(4)
  x <- matrix(rnorm(100 * 20), 100)
  chosen <- select_n_factors(x, max_factors = 4, n_threads = 1)
  expect_equal(unname(chosen$n_factors), c(0, 0, 0))
})

test_that("missing values, more genes than samples, covariance matrices", {
  x <- sample_factor_model(50, 80, 2, seed = 5)
  x[sample(length(x), 300)] <- NA
  set.seed(6)
  chosen <- select_n_factors(x, max_factors = 3, n_permutations = 5, n_threads = 1)
  expect_equal(unname(chosen$n_factors), c(2, 2, 2))
  S <- cov(sample_factor_model(200, 12, 2, seed = 7))
  chosen <- select_n_factors(S, n_samples = 200, max_factors = 4, n_threads = 1)
  expect_equal(chosen$n_factors, c(bic = 2, parallel = 2))
  expect_error(
    select_n_factors(S, n_samples = 200, criteria = "heldout"),
    class = "covmash_error_argument"
  )
})

test_that("bad arguments are errors", {
  x <- sample_factor_model(30, 8, 1, seed = 8)
  expect_error(select_n_factors(x, max_factors = 8), class = "covmash_error_n_factors")
  expect_error(select_n_factors(x, criteria = "scree"), class = "covmash_error_argument")
  expect_error(select_n_factors(x, n_folds = 20), class = "covmash_error_argument")
  expect_error(select_n_factors(x, probability = 2), class = "covmash_error_argument")
  expect_error(select_n_factors(x, n_permutations = 0), class = "covmash_error_argument")
})

test_that("print keeps the table in one piece in a narrow window", {
  withr::local_options(width = 60L)
  x <- withr::with_seed(1, rfactor_cov(60, generate_factor_covariance(8, 1)$Sigma))
  chosen <- withr::with_seed(2, select_n_factors(x, max_factors = 1, n_folds = 2, n_permutations = 2, n_threads = 1))
  expect_output(print(chosen), "n_factors.*heldout_se")
  expect_length(grep("heldout_se", capture.output(print(chosen)), fixed = TRUE), 1)
  expect_match(grep("heldout_se", capture.output(print(chosen)), value = TRUE), "n_factors")
  expect_identical(getOption("width"), 60L)
})

test_that("what a selection does not have is an error, and so is a damaged one", {
  x <- sample_factor_model(40, 6, 1, seed = 9)
  chosen <- select_n_factors(x, max_factors = 1, criteria = "bic", n_threads = 1)
  for (call in list(tidy, glance, augment, logLik, nobs, stats::AIC)) {
    expect_error(call(chosen), "`table`", class = "covmash_error_unsupported")
  }
  for (name in c("n_factors", "table", "method", "criteria")) {
    damaged <- chosen
    damaged[[name]] <- NULL
    expect_error(print(damaged), class = "covmash_error_fit")
    expect_error(format(damaged), class = "covmash_error_fit")
  }
  expect_error(print(chosen, digits = "a"), class = "covmash_error_argument")
})

test_that("whole numbers that no machine can count to are refused or do not matter", {
  x <- sample_factor_model(40, 6, 1, seed = 10)
  expect_error(select_n_factors(x, n_permutations = 1e300), "1 to 100000", class = "covmash_error_argument")
  expect_error(select_n_factors(x, max_factors = 1e300), class = "covmash_error_n_factors")
  expect_error(select_n_factors(x, n_folds = 1e300), class = "covmash_error_argument")
  chosen <- select_n_factors(cov(x), n_samples = 1e300, max_factors = 1, n_permutations = 2, n_threads = 1)
  # Without sampling error every eigenvalue of independent genes is 1.
  expect_equal(chosen$eigenvalues$reference, 1)
})

test_that("normal samples are not drawn where their covariance can be", {
  set.seed(11)
  S <- replicate(2000, independent_covariance(5, 3))
  expect_equal(apply(S, 1:2, mean), base::diag(3), tolerance = 0.05)
  expect_equal(apply(S, 1:2, var), (1 + base::diag(3)) / 4, tolerance = 0.15)
  expect_lte(qr(independent_covariance(3, 6))$rank, 2)
})

test_that("a progress bar names the step", {
  withr::local_options(covmash.progress = TRUE, cli.progress_show_after = 0, cli.dynamic = FALSE)
  x <- sample_factor_model(40, 6, 1, seed = 12)
  seen <- withr::with_seed(1, {
    suppressMessages(select_n_factors(x, max_factors = 1, n_folds = 2, n_permutations = 3, n_threads = 1))
    progress$loop_text
  })
  expect_identical(seen, "part 2 of 2, 1 factor")
  expect_null(progress$loop_bar)
})

test_that("summary puts the criteria side by side", {
  x <- sample_factor_model(150, 12, 2, seed = 13)
  set.seed(1)
  chosen <- select_n_factors(x, max_factors = 3, n_folds = 3, n_permutations = 5, n_threads = 1)
  short <- summary(chosen)
  expect_s3_class(short, "summary.factor_selection")
  expect_identical(short$n_factors, chosen$n_factors)
  expect_true(short$agreed)
  expect_equal(short$table$BIC_above, chosen$table$BIC - min(chosen$table$BIC))
  expect_equal(short$table$eigenvalue, c(NA, chosen$eigenvalues$observed))
  expect_equal(short$table$heldout, chosen$table$heldout)
  expect_output(print(short), "BIC: 2 factors.*criteria agree.*BIC_above")
  expect_lte(max(nchar(capture.output(print(short)))), 80)
  expect_length(grep("n_factors.*n_heywood", capture.output(print(short))), 1)
  one <- summary(select_n_factors(x, 1, "bic", n_threads = 1))
  expect_identical(names(one$table), c("n_factors", "loglik", "n_parameters", "BIC_above", "n_heywood"))
  expect_error(print(structure(list(), class = "summary.factor_selection")), class = "covmash_error_fit")
})
