peers <- utils::read.csv(test_path("fixtures", "factor-peers.csv"))

test_that("the saturated likelihood of complete data is that of their moments", {
  x <- sample_factor_model(40, 5, 1, seed = 1) * rep(10^(-2:2), each = 40) + 1e3
  S <- cov(x) * 39 / 40
  expect_equal(saturated_loglik(x)$loglik, plain_factor_loglik(x, S, colMeans(x)), tolerance = 1e-10)
  expect_equal(independent_loglik(x), plain_factor_loglik(x, base::diag(base::diag(S)), colMeans(x)), tolerance = 1e-10)
})

test_that("with missing values it is lavaan's, and none is larger", {
  x <- as.matrix(airquality[1:4])
  ours <- saturated_loglik(x)$loglik
  expect_equal(ours, peers$value[peers$name == "unrestricted.logl"], tolerance = 1e-8)
  expect_equal(saturated_loglik(x[sample(153), c(3, 1, 4, 2)])$loglik, ours, tolerance = 1e-9)
  expect_identical(saturated_loglik(rbind(x, NA))$loglik, ours)
  # as many factors as a covariance matrix has parameters: the fit is saturated
  set.seed(2)
  y <- rnorm(100) %o% c(a = 1, b = 1.2, c = 0.9) + matrix(rnorm(300), 100)
  y[c(1:8, 120:130)] <- NA
  fit <- quiet_fit(y, 1)
  expect_false(any(fit$heywood))
  expect_equal(saturated_loglik(y)$loglik, fit$loglik, tolerance = 1e-7)
})

test_that("where there is no largest likelihood the reason is said", {
  x <- sample_factor_model(30, 4, 1, seed = 3)
  apart <- x
  apart[1:15, 1] <- NA
  apart[16:30, 2] <- NA
  expect_match(saturated_loglik(apart)$note, "no sample together")
  x[4:30, 1] <- NA
  expect_match(saturated_loglik(x)$note, "no largest likelihood|not converged")
  wide <- matrix(rnorm(200 * 100), 200)
  wide[cbind(1:200, rep(1:100, 2))] <- NA
  expect_match(saturated_loglik(cbind(wide, wide + rnorm(2e4)))$note, "too many")
})
