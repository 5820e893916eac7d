training_data <- function(n = 500) {
  withr::local_seed(1)
  sim <- simple_sims(nsamp = n, ncond = 3, err_sd = 0.5)
  Bhat <- sim$Bhat
  Bhat[c(3, 50), ] <- NA
  suppressWarnings(mash_set_data(Bhat, sim$Shat))
}

test_that("weights are what each chosen effect stands for", {
  data <- training_data()
  J <- nrow(data$Bhat)
  for (method in c("random", "top", "lead")) {
    rows <- withr::with_seed(2, select_training_effects(data, 300, method, by = if (method == "lead") rep(1:500, each = 4)))
    expect_type(rows, "integer")
    expect_false(is.unsorted(rows, strictly = TRUE))
    expect_length(rows, 300)
    expect_equal(sum(attr(rows, "weights")), J - 2)
    expect_false(any(c(3, 50) %in% rows))
  }
  top <- withr::with_seed(2, select_training_effects(data, 100, "top"))
  strength <- apply(abs(data$Bhat / data$Shat), 1, max)
  expect_true(all(order(-strength)[1:50] %in% top))
  expect_setequal(attr(top, "weights"), c(1, (J - 52) / 50))
  # Every group has its lead, with weight 1.
  by <- rep(1:40, each = 50)
  lead <- select_training_effects(data, 200, "lead", by = by)
  leads <- vapply(1:40, function(g) {
    at <- which(by == g)
    at[which.max(strength[at])]
  }, 0L)
  expect_true(all(leads %in% lead))
  expect_true(all(attr(lead, "weights")[match(leads, lead)] == 1))
  expect_identical(attr(select_training_effects(data, J - 2), "weights"), rep(1, J - 2))
})

test_that("draws are R's, or of a seed that leaves R's generator alone", {
  data <- training_data(50)
  one <- withr::with_seed(5, select_training_effects(data, 20))
  expect_identical(withr::with_seed(5, select_training_effects(data, 20)), one)
  withr::local_seed(9)
  before <- .Random.seed
  own <- select_training_effects(data, 20, seed = 4)
  expect_identical(.Random.seed, before)
  expect_identical(select_training_effects(data, 20, seed = 4), own)
})

test_that("with weights the prior is that of all effects, without it is not", {
  withr::local_seed(3)
  n <- 20000
  B <- matrix(0, n, 3)
  some <- seq_len(n / 10)
  B[some, ] <- 3 * rnorm(length(some))
  data <- mash_set_data(B + rnorm(3 * n), 1)
  U <- list(equal = matrix(1, 3, 3))
  all <- fit_mash_prior(data, U, grid = 3)
  weighted <- vapply(1:8, function(s) {
    get_estimated_pi(fit_mash_prior(data, U, select_training_effects(data, 2000, "top", seed = s), grid = 3))[["equal"]]
  }, 0)
  expect_equal(mean(weighted), get_estimated_pi(all)[["equal"]], tolerance = 0.1)
  rows <- select_training_effects(data, 2000, "top", seed = 1)
  attr(rows, "weights") <- NULL
  expect_warning(biased <- fit_mash_prior(data, U, rows, grid = 3), "select_training_effects", class = "covmash_warning_subset")
  expect_gt(get_estimated_pi(biased)[["equal"]], 3 * get_estimated_pi(all)[["equal"]])
})

test_that("a prior is small, and does what the fit does", {
  data <- training_data()
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  prior <- fit_mash_prior(data, cov_canonical(data))
  expect_equal(prior$loglik, fit$loglik)
  expect_lt(length(serialize(prior, NULL)), 2e4)
  expect_true(all(rowSums(matrix(prior$fitted_g$pi[-1], length(get_Ulist(prior)))) > 0))
  new <- data[11:30, ]
  applied <- apply_mash_prior(new, prior)
  expect_s3_class(applied, "mash_fit")
  expect_close(get_pm(applied), get_pm(mash(new, g = fit, fixg = TRUE, verbose = FALSE)), 1e-12)
  expect_close(mash_compute_posterior_matrices(prior, new)$lfsr, get_lfsr(applied), 1e-12)
  expect_close(get_credible_intervals(prior, new)$lower, get_credible_intervals(fit, new)$lower, 1e-12)
  expect_output(expect_invisible(print(prior)), "learned from 2000 effects")
  path <- withr::local_tempfile()
  saveRDS(prior, path)
  expect_identical(readRDS(path), prior)
})

test_that("another V, and bad arguments, are told", {
  data <- training_data(50)
  prior <- fit_mash_prior(data, list(a = diag(3)))
  other <- mash_update_data(data, V = 0.2 + 0.8 * diag(3))
  expect_warning(apply_mash_prior(other, prior), "is not that", class = "covmash_warning_V")
  expect_error(select_training_effects(data, 1e6), "`n`", class = "covmash_error_argument")
  expect_error(select_training_effects(data), "`n`", class = "covmash_error_argument")
  expect_error(select_training_effects(data, 10, "lead"), "`by`", class = "covmash_error_argument")
  expect_error(select_training_effects(data, 10, by = 1:200), "`by`", class = "covmash_error_argument")
  expect_error(fit_mash_prior(data, list(a = diag(3)), outputlevel = 2), "outputlevel", class = "covmash_error_argument")
  expect_error(fit_mash_prior(data, list(a = diag(3)), structure(1:3, weights = 1:2)), "weights", class = "covmash_error_argument")
  expect_error(apply_mash_prior(data, 1), class = "covmash_error_g")
  expect_error(apply_mash_prior(data), class = "covmash_error_g")
  broken <- prior
  broken$fitted_g$pi <- 2
  for (f in list(print, format, get_Ulist, function(x) apply_mash_prior(data, x))) {
    expect_error(f(broken), class = "covmash_error_fit")
  }
})
