test_that("scores are those of factanal, but for its divisor", {
  x <- sample_factor_model(300, 10, 2, seed = 1)
  fit <- fit_factor_model(x, 2, rotation = "varimax", n_threads = 1)
  for (method in c("regression", "bartlett")) {
    peer <- stats::factanal(
      x, 2,
      rotation = "varimax", scores = if (method == "bartlett") "Bartlett" else method,
      control = tight_factanal
    )
    # factanal scales by the standard deviation with divisor n - 1.
    expect_equal(factor_scores(fit, x, method) * sqrt(299 / 300), peer$scores,
      tolerance = 1e-4, ignore_attr = TRUE
    )
  }
})

test_that("regression scores are conditional means, also with missing values", {
  x <- sample_factor_model(40, 7, 2, seed = 2)
  x[cbind(c(1, 1, 2, 3), c(1, 5, 2, 5))] <- NA
  x[4, ] <- NA
  for (rotation in c("none", "promax")) {
    fit <- suppressWarnings(fit_factor_model(x, 2, rotation = rotation, n_threads = 1))
    F <- if (rotation == "none") base::diag(2) else fit$factor_covariance
    scores <- factor_scores(fit, x)
    bartlett <- factor_scores(fit, x, "bartlett")
    for (i in c(1:3, 10)) {
      seen <- !is.na(x[i, ])
      B <- fit$loadings[seen, ]
      r <- (x[i, ] - fit$mean)[seen]
      Sigma <- as.matrix(fit$covariance)[seen, seen]
      expect_equal(scores[i, ], drop(F %*% t(B) %*% base::solve(Sigma, r)), ignore_attr = TRUE)
      W <- B / fit$noise[seen]
      expect_equal(bartlett[i, ], base::solve(crossprod(B, W), drop(crossprod(W, r))), ignore_attr = TRUE)
    }
    expect_identical(unname(scores[4, ]), c(0, 0))
    expect_true(all(is.na(bartlett[4, ])))
  }
  expect_identical(predict(fit, x), scores)
})

test_that("genes are found by name", {
  x <- sample_factor_model(30, 6, 1, seed = 3)
  fit <- quiet_fit(x, 1)
  expect_equal(factor_scores(fit, cbind(x[, 6:1], other = 1)), factor_scores(fit, x))
  expect_equal(factor_scores(fit, unname(x)), factor_scores(fit, x))
  expect_error(factor_scores(fit, x[, 1:5]), "g6", class = "covmash_error_names")
  expect_error(factor_scores(fit, unname(x)[, 1:5]), class = "covmash_error_dimensions")
  expect_error(factor_scores(fit), class = "covmash_error_argument")
  expect_error(factor_scores(1, x), class = "covmash_error_fit")
  from_covariance <- quiet_fit(cov(x), 1, n_samples = 30)
  expect_lt(abs(mean(factor_scores(from_covariance, x))), 1e-12)
  expect_identical(dim(factor_scores(fit_factor_model(x, 0, n_threads = 1), x)), c(30L, 0L))
})

test_that("other names are no match by position", {
  x <- sample_factor_model(30, 6, 1, seed = 4)
  fit <- quiet_fit(x, 1)
  other <- x
  colnames(other) <- paste0("h", 1:6)
  expect_error(predict(fit, other), "'g1', 'g2', 'g3', ... .its columns: 'h1'", class = "covmash_error_names")
  expect_identical(predict(fit, x[, c(3, 1, 2, 6, 5, 4)]), predict(fit, x))
  plain <- quiet_fit(unname(x), 1)
  expect_equal(unname(predict(plain, other)), unname(predict(fit, x)))
  twice <- x
  colnames(twice)[2] <- "g1"
  expect_error(predict(fit, cbind(x, g1 = 1)), "'g1' is there more than once", class = "covmash_error_names")
  doubled <- suppressWarnings(quiet_fit(twice, 1)) # factor_covariance() warns of the name
  expect_equal(unname(predict(doubled, twice)), unname(predict(fit, x)))
  expect_error(predict(doubled, twice[, 6:1]), class = "covmash_error_names")
})
