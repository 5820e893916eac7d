test_that("a formula chooses columns of the data", {
  fit <- quiet_fit(~ mpg + log(disp) + hp + wt, 1, data = mtcars)
  x <- with(mtcars, cbind(mpg = mpg, `log(disp)` = log(disp), hp = hp, wt = wt))
  expect_equal(fit$loadings, quiet_fit(x, 1)$loadings)
  expect_identical(rownames(fit$loadings), colnames(x))
  all_but <- quiet_fit(~ . - mpg - qsec, 1, data = mtcars[1:7])
  expect_identical(names(all_but$noise), names(mtcars)[2:6])
  mpg <- mtcars$mpg
  disp <- mtcars$disp
  wt <- mtcars$wt
  expect_equal(quiet_fit(~ mpg + disp + wt, 0)$loglik, quiet_fit(mtcars[c("mpg", "disp", "wt")], 0)$loglik)
  odd <- setNames(mtcars[1:4], c("a b", "x", "y", "if"))
  expect_identical(names(quiet_fit(~ `a b` + `if` + x, 0, data = odd)$noise), c("a b", "if", "x"))
  gone <- mtcars[1:5]
  gone[3, 2] <- NA
  expect_identical(quiet_fit(~ mpg + cyl + disp, 0, data = gone)$n_missing, 1L)
  expect_equal(quiet_fit(~ mpg + cyl + disp, 0, data = as.matrix(mtcars))$n_samples, 32)
  chosen <- select_n_factors(~ mpg + disp + hp + wt, 1, "bic", data = mtcars, n_threads = 1)
  expect_equal(chosen$table$loglik[2], quiet_fit(~ mpg + disp + hp + wt, 1, data = mtcars)$loglik, tolerance = 1e-6)
})

test_that("formulas that choose no columns are errors", {
  fit <- function(f, data = mtcars) fit_factor_model(f, 1, data = data, n_threads = 1)
  expect_error(fit(mpg ~ disp + hp), "left side", class = "covmash_error_argument")
  expect_error(fit(~ mpg * disp), "interactions", class = "covmash_error_argument")
  expect_error(fit(~1), "sum of variables", class = "covmash_error_argument")
  expect_error(fit(~ mpg + nothing), "nothing", class = "covmash_error_argument")
  expect_error(fit(~ a + b + c, data.frame(a = 1:9, b = letters[1:9], c = 9:1)), "'b'", class = "covmash_error_type")
  expect_error(fit(~ mpg + disp, 5), "data frame", class = "covmash_error_argument")
  expect_error(fit(mtcars), "formula", class = "covmash_error_argument")
})

test_that("results of cov.wt() are covariance matrices with their means and number of samples", {
  x <- sample_factor_model(120, 8, 2, seed = 1)
  weighted <- stats::cov.wt(x, method = "ML")
  fit <- quiet_fit(weighted, 2)
  from_data <- quiet_fit(x, 2)
  expect_equal(fit$loadings, from_data$loadings, tolerance = 1e-6)
  expect_equal(fit$loglik, from_data$loglik, tolerance = 1e-9)
  expect_equal(fit$mean, from_data$mean)
  expect_equal(factor_scores(fit, x[1:3, ]), factor_scores(from_data, x[1:3, ]), tolerance = 1e-5)
  # case weights: the number of samples is n.obs, as for factanal
  w <- rep(c(1, 2), 60) / 180
  weighted <- stats::cov.wt(x, wt = w)
  fit <- quiet_fit(weighted, 2)
  peer <- stats::factanal(covmat = weighted, factors = 2, rotation = "none", control = tight_factanal)
  expect_equal(fit$uniquenesses, peer$uniquenesses, tolerance = 1e-5)
  expect_equal(fit$test$statistic, unname(peer$STATISTIC), tolerance = 1e-7)
  expect_equal(fit$mean, weighted$center)
  expect_identical(quiet_fit(weighted, 2, n_samples = 50)$n_samples, 50)
  expect_equal(unname(quiet_fit(stats::cov.wt(x, center = FALSE), 2)$mean), numeric(8))
  weighted$n.obs <- NULL
  expect_error(quiet_fit(weighted, 2), "n.obs", class = "covmash_error_n_samples")
  expect_error(quiet_fit(list(cov = cov(x), n.obs = 1.5), 2), "n.obs", class = "covmash_error_argument")
  expect_error(quiet_fit(list(cov = cov(x), n.obs = 99, center = 1:2), 2), "center", class = "covmash_error_dimensions")
  expect_null(quiet_fit(list(cov = cov(x), n.obs = 99), 2)$mean)
  expect_identical(unname(select_n_factors(stats::cov.wt(x), 3, "bic", n_threads = 1)$n_factors), 2)
})

test_that("data sets of correlations with center and n.obs are taken as they are", {
  fit <- quiet_fit(ability.cov, 1)
  expect_equal(fit$n_samples, 112)
  expect_equal(fit$test$statistic, unname(factanal(factors = 1, covmat = ability.cov)$STATISTIC), tolerance = 1e-5)
})

test_that("genes in rows are told where names say so, and only there", {
  x <- t(sample_factor_model(6, 60, 1, seed = 2))
  silent <- function(x) {
    expect_no_message(suppressWarnings(quiet_fit(x, 1)), class = "covmash_message_orientation")
  }
  told <- function(x, what) {
    expect_message(suppressWarnings(quiet_fit(x, 1)), what, class = "covmash_message_orientation")
  }
  rownames(x) <- sprintf("ENSG%011d.2", 1:60)
  colnames(x) <- paste0("s", 1:6)
  told(x, "rows have names of genes \\('ENSG00000000001.2'")
  told(as.data.frame(x), "60 samples of 6 genes")
  rownames(x) <- paste0(1:60, "_s_at")
  told(x, "names of genes")
  rownames(x) <- NULL
  colnames(x) <- paste0("GSM", 1:6)
  told(x, "columns have names of samples")
  y <- x
  colnames(y) <- sprintf("ENSG%011d", 1:6)
  silent(y)
  rownames(y) <- paste0("GSM", 1:60)
  silent(y)
  rownames(x) <- paste0("patient", 1:60)
  colnames(x) <- c("TP53", "BRCA1", "IL6", "TNF", "MYC", "EGFR")
  silent(x)
  silent(mtcars[1:6])
  expect_message(
    select_n_factors(`colnames<-`(x, paste0("SRR", 1:6)), 1, "bic", n_threads = 1),
    class = "covmash_message_orientation"
  )
})
