test_that("the flat prior gives the estimates back, with one-sided tail probabilities", {
  sim <- small_data(shat = "varying")
  m <- mash_1by1(sim$data, prior = "flat")
  expect_s3_class(m, "mash_1by1")
  z <- sim$Bhat / sim$Shat
  expect_close(get_pm(m), sim$Bhat, 1e-15)
  expect_close(get_psd(m), sim$Shat, 1e-15)
  expect_close(get_lfsr(m), pnorm(-abs(z)), 1e-15)
  expect_close(get_np(m), pnorm(-z), 1e-15)
  expect_true(all(get_lfdr(m) == 0))
})

test_that("the tail probabilities of the flat prior do not vanish", {
  m <- mash_1by1(mash_set_data(matrix(c(-30, 30, 30, 1), 2)), prior = "flat")
  expect_identical(get_lfsr(m)[1, 1], get_lfsr(m)[2, 1])
  expect_gt(get_lfsr(m)[1, 1], 0)
})

test_that("a one-by-one fit has mashr's parts and the names of the data", {
  sim <- small_data()
  m <- mash_1by1(sim$data)
  expect_s3_class(m, "mash_1by1")
  expect_identical(names(m)[1:2], c("result", "loglik"))
  expect_true(all(c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr", "NegativeProb") %in% names(m$result)))
  for (x in m$result) {
    expect_identical(dimnames(x), dimnames(sim$Bhat))
    expect_false(anyNA(x))
  }
  expect_length(m$loglik, 1)
  expect_true(is.finite(m$loglik))
})

# With one condition, ash is mash with the single matrix 1.
test_that("each condition is a mash fit of that condition alone", {
  for (alpha in c(0, 1)) {
    sim <- small_data(J = 120, R = 3, shat = "varying", missing = 15)
    m <- mash_1by1(sim$data, alpha = alpha)
    loglik <- 0
    for (r in 1:3) {
      column <- muffle_all_missing(mash_set_data(sim$Bhat[, r, drop = FALSE], sim$Shat[, r, drop = FALSE], alpha = alpha))
      fit <- muffle_all_missing(mash(column, list(one = matrix(1)), verbose = FALSE, output_lfdr = TRUE))
      for (name in posterior_names) expect_close(m$result[[name]][, r], fit$result[[name]][, 1], 1e-5)
      loglik <- loglik + fit$loglik
    }
    expect_close(m$loglik, loglik, 1e-7)
  }
})

test_that("the ash prior agrees with mashr, as near as its own stopping rule allows", {
  reference <- readRDS(test_path("fixtures", "notebook1.rds"))$onebyone
  m <- mash_1by1(mash_set_data(mash_notebook$Bhat, mash_notebook$Shat))
  for (name in c("PosteriorMean", "PosteriorSD", "lfsr")) {
    expect_close(m$result[[name]][reference$rows, ], reference[[name]], 2e-3)
  }
  expect_length(get_significant_results(m), reference$n_significant)
})

test_that("ash agrees with ashr itself", {
  skip_if_not_installed("ashr")
  sim <- small_data(J = 150, R = 1, shat = "varying")
  theirs <- ashr::ash(sim$Bhat[, 1], sim$Shat[, 1], mixcompdist = "normal")
  m <- mash_1by1(sim$data)
  expect_gte(m$loglik, ashr::get_loglik(theirs) - 1e-3)
  expect_close(m$result$PosteriorMean, ashr::get_pm(theirs), 1e-3)
  expect_close(m$result$lfsr, ashr::get_lfsr(theirs), 1e-3)
})

test_that("data with an alpha of their own have the prior on that scale and the results on the original one", {
  sim <- small_data(shat = "varying")
  z <- mash_set_data(sim$Bhat, sim$Shat, alpha = 1)
  expected <- mash_1by1(sim$data, alpha = 1)
  expect_close(mash_1by1(z)$loglik, expected$loglik, 1e-10)
  for (name in posterior_names) expect_close(mash_1by1(z)$result[[name]], expected$result[[name]], 1e-10)
  flat <- mash_1by1(z, prior = "flat")
  expect_close(get_pm(flat), sim$Bhat, 1e-14)
  expect_close(get_psd(flat), sim$Shat, 1e-14)
})

test_that("any list with Bhat and Shat will do, checked as data are", {
  sim <- small_data()
  expect_identical(mash_1by1(sim[c("Bhat", "Shat")])$result, mash_1by1(sim$data)$result)
  expect_input_error(mash_1by1(list(Bhat = sim$Bhat, Shat = -sim$Shat)), "Shat")
})

test_that("a condition without any estimate has NA results, and a warning that names it", {
  sim <- small_data(R = 3)
  Bhat <- sim$Bhat
  Bhat[, "b"] <- NA
  expect_covmash_warning(m <- mash_1by1(mash_set_data(Bhat, 1)), "'b'", class = "covmash_warning_all_missing")
  expect_true(all(is.na(m$result$lfsr[, "b"])))
  expect_false(anyNA(m$result$lfsr[, -2]))
  expect_close(m$result$lfsr[, -2], mash_1by1(sim$data[, -2])$result$lfsr, 1e-12)
})

test_that("a missing estimate gets the prior of its condition", {
  sim <- small_data(J = 80, R = 2)
  Bhat <- sim$Bhat
  Bhat[c(3, 9), 1] <- NA
  m <- mash_1by1(mash_set_data(Bhat, 1))
  expect_identical(unname(m$result$PosteriorMean[c(3, 9), 1]), c(0, 0))
  expect_identical(m$result$PosteriorSD[3, 1], m$result$PosteriorSD[9, 1])
  expect_close(m$result$NegativeProb[3, 1], (1 - m$result$lfdr[3, 1]) / 2, 1e-12)
  flat <- mash_1by1(mash_set_data(Bhat, 1), prior = "flat")
  expect_true(all(is.na(flat$result$PosteriorMean[c(3, 9), 1])))
  strong <- get_significant_results(flat)
  expect_setequal(unname(strong), which(apply(pnorm(-abs(Bhat)), 1, min, na.rm = TRUE) < 0.05))
})

test_that("priors of the mixture weights can be chosen", {
  sim <- small_data(J = 100, R = 2)
  null <- mash_1by1(sim$data, prior = "nullbiased")
  expect_identical(null$result, mash_1by1(sim$data)$result)
  uniform <- mash_1by1(sim$data, prior = "uniform")
  expect_gte(uniform$loglik, null$loglik)
  expect_lt(mean(uniform$result$lfdr), mean(null$result$lfdr))
  expect_input_error(mash_1by1(sim$data, prior = "strange"), "prior")
  expect_input_error(mash_1by1(sim$data, prior = c(1, 2)), "prior")
})

test_that("arguments of ash are honoured or refused aloud, never dropped", {
  sim <- small_data(J = 100, R = 2)
  coarse <- mash_1by1(sim$data, gridmult = 2)
  expect_false(identical(coarse$loglik, mash_1by1(sim$data)$loglik))
  expect_covmash_warning(mash_1by1(sim$data, df = 7), "df")
  expect_input_error(mash_1by1(sim$data, alpha = "a"), "alpha")
})

test_that("one row, one condition and any number of threads", {
  row <- mash_1by1(mash_set_data(matrix(c(3, -1, 0), 1)))
  expect_identical(dim(row$result$lfsr), c(1L, 3L))
  sim <- small_data(J = 100, R = 3, shat = "varying")
  withr::local_options(covmash.threads = 1)
  one <- mash_1by1(sim$data)
  withr::local_options(covmash.threads = 3)
  expect_identical(mash_1by1(sim$data)$result, one$result)
  expect_identical(mash_1by1(sim$data)$loglik, one$loglik)
})

test_that("printing is a short summary", {
  sim <- small_data(J = 300)
  expect_lt(length(capture.output(print(mash_1by1(sim$data)))), 25)
})

test_that("a V that is a covariance counts: its variances scale the noise", {
  sim <- small_data(J = 60, R = 3, shat = "varying", missing = 8)
  spread <- c(4, 1, 0.25)
  scaled <- mash_set_data(sim$Bhat, sim$Shat, V = diag(spread))
  plain <- mash_set_data(sim$Bhat, sim$Shat * rep(sqrt(spread), each = 60))
  for (prior in c("flat", "ash")) {
    a <- mash_1by1(scaled, prior = prior, mixsd = c(0.5, 2))
    b <- mash_1by1(plain, prior = prior, mixsd = c(0.5, 2))
    for (part in names(a$result)) expect_close(a$result[[part]], b$result[[part]], 1e-12)
    expect_equal(a$loglik, b$loglik)
  }
})
