test_that("the likelihood is never below factanal's, and the optimum is the same", {
  compared <- 0
  for (case in 1:40) {
    set.seed(case)
    N <- sample(5:25, 1)
    K <- sample(seq_len(min(5, floor(N + 0.5 - sqrt(2 * N + 0.25)))), 1)
    n <- max(N + 3, sample(c(30, 100, 1000), 1))
    x <- sample_factor_model(n, N, K, strength = runif(1, 0.2, 1.5), seed = case)
    R <- cor(x)
    fit <- quiet_fit(x, K)
    ours <- profile_criterion(R, fit$uniquenesses, K)
    expect_true(fit$convergence$converged)
    for (control in list(NULL, tight_factanal)) {
      peer <- try_factanal(R, K, n, control)
      if (is.null(peer)) next
      theirs <- profile_criterion(R, peer$uniquenesses, K)
      expect_lte(ours, theirs + 1e-9 * abs(theirs))
      # Where factanal is not in another, worse optimum.
      if (!is.null(control) && theirs - ours < 1e-8 * abs(ours)) {
        compared <- compared + 1
        expect_lt(max(abs(fit$uniquenesses - peer$uniquenesses)), 1e-5)
        expect_lt(abs(fit$objective - peer$criteria[["objective"]]), 1e-8 * max(1, fit$objective))
      }
    }
  }
  expect_gt(compared, 20)
})

test_that("a larger model reaches factanal's optimum too", {
  x <- sample_factor_model(300, 120, 4, seed = 3)
  fit <- fit_factor_model(x, 4, n_threads = 1)
  peer <- stats::factanal(x, 4, rotation = "none", control = tight_factanal)
  expect_lt(max(abs(fit$uniquenesses - peer$uniquenesses)), 1e-5)
  expect_equal(fit$objective, peer$criteria[["objective"]], tolerance = 1e-8)
  expect_equal(fit$test$statistic, unname(peer$STATISTIC), tolerance = 1e-8)
  expect_equal(fit$test$df, unname(peer$dof))
  expect_equal(fit$test$p.value, unname(peer$PVAL), tolerance = 1e-6)
})

test_that("the fit stands where the derivatives vanish", {
  x <- sample_factor_model(60, 150, 3, seed = 5) # more genes than samples
  fit <- fit_factor_model(x, 3, n_threads = 1)
  S <- crossprod(scale(x, scale = FALSE)) / nrow(x)
  Sigma <- as.matrix(fit$covariance)
  expect_false(any(fit$heywood))
  # Lawley and Maxwell: diag(Sigma) = diag(S), and S D^-1 B = B (I + B' D^-1 B).
  expect_equal(unname(base::diag(Sigma)), unname(base::diag(S)), tolerance = 1e-7)
  W <- fit$loadings / fit$noise
  expect_equal(unname(S %*% W), unname(fit$loadings %*% (base::diag(3) + crossprod(fit$loadings, W))),
    tolerance = 1e-6
  )
  expect_equal(fit$loglik, plain_factor_loglik(x, Sigma, colMeans(x)), tolerance = 1e-10)
  expect_equal(fit$mean, colMeans(x))
  expect_true(is.na(fit$objective))
  expect_null(fit$test)
})

test_that("both ways to hold the covariance give the same fit", {
  # 140 genes of 60 samples are never formed; given as a matrix they are.
  x <- sample_factor_model(60, 140, 3, seed = 6)
  S <- crossprod(scale(x, scale = FALSE)) / nrow(x)
  from_data <- fit_factor_model(x, 3, n_threads = 1)
  from_matrix <- fit_factor_model(S, 3, n_samples = 60, n_threads = 1)
  expect_equal(from_matrix$uniquenesses, from_data$uniquenesses, tolerance = 1e-7)
  expect_equal(from_matrix$loglik, from_data$loglik, tolerance = 1e-11)
  expect_equal(from_matrix$covariance, from_data$covariance, tolerance = 1e-6)
  expect_null(from_matrix$mean)
})

test_that("maximum likelihood does not depend on the units", {
  x <- sample_factor_model(80, 12, 2, seed = 7)
  units <- 10^seq(-6, 6, length.out = 12)
  fit <- fit_factor_model(x, 2, n_threads = 1)
  scaled <- fit_factor_model(sweep(x, 2, units, `*`), 2, n_threads = 1)
  expect_equal(scaled$uniquenesses, fit$uniquenesses, tolerance = 1e-8)
  expect_equal(scaled$noise, fit$noise * units^2, tolerance = 1e-8)
  expect_equal(scaled$loadings, fit$loadings * units, tolerance = 1e-7)
  expect_equal(scaled$loglik, fit$loglik - 80 * sum(log(units)), tolerance = 1e-10)
  shifted <- fit_factor_model(x + 1000, 2, n_threads = 1)
  expect_equal(shifted$uniquenesses, fit$uniquenesses, tolerance = 1e-7)
})

test_that("the order of genes and samples does not matter", {
  x <- sample_factor_model(100, 30, 3, seed = 8)
  fit <- fit_factor_model(x, 3, n_threads = 1)
  order <- sample(30)
  turned <- fit_factor_model(x[sample(100), order], 3, n_threads = 1)
  expect_equal(turned$uniquenesses[colnames(x)], fit$uniquenesses, tolerance = 1e-7)
  expect_equal(turned$loglik, fit$loglik, tolerance = 1e-11)
})

test_that("any number of threads gives the same bits", {
  x <- sample_factor_model(300, 250, 4, seed = 9)
  gone <- x
  gone[sample(length(gone), 4000)] <- NA
  one <- list(fit_factor_model(x, 4, n_threads = 1), fit_factor_model(gone, 4, n_threads = 1))
  three <- list(fit_factor_model(x, 4, n_threads = 3), fit_factor_model(gone, 4, n_threads = 3))
  for (i in 1:2) {
    expect_identical(three[[i]]$loadings, one[[i]]$loadings)
    expect_identical(three[[i]]$noise, one[[i]]$noise)
    expect_identical(three[[i]]$loglik, one[[i]]$loglik)
  }
})

test_that("a Heywood case is held at its floor and named", {
  set.seed(2)
  f <- rnorm(200)
  x <- cbind(a = f, b = 0.5 * f + rnorm(200), c = 0.4 * f + rnorm(200), d = 0.6 * f + rnorm(200))
  x[, "a"] <- x[, "a"] + 1e-3 * rnorm(200)
  warning <- expect_warning(fit_factor_model(x, 1, n_threads = 1), class = "covmash_warning_heywood")
  expect_match(conditionMessage(warning), "'a'")
  fit <- quiet_fit(x, 1)
  expect_identical(fit$heywood, c(a = TRUE, b = FALSE, c = FALSE, d = FALSE))
  expect_equal(fit$uniquenesses[["a"]], 0.005, tolerance = 1e-12)
  expect_true(fit$convergence$converged)
  lower <- quiet_fit(x, 1, lower = 1e-4)
  expect_gt(lower$loglik, fit$loglik)
})

test_that("more factors never fit worse, whatever the start", {
  x <- sample_factor_model(70, 15, 3, seed = 11)
  loglik <- vapply(0:8, function(K) quiet_fit(x, K)$loglik, numeric(1))
  expect_true(all(diff(loglik) > -1e-6))
  best <- quiet_fit(x, 3)
  for (seed in 1:5) {
    set.seed(seed)
    once <- quiet_fit(x, 3, start = runif(15, 0.05, 0.95))
    expect_lte(once$loglik, best$loglik + 1e-8)
    expect_identical(once$convergence$starts, 1)
  }
})

test_that("without factors the genes are independent", {
  x <- sample_factor_model(50, 6, 1, seed = 12)
  fit <- fit_factor_model(x, 0, n_threads = 1)
  expect_identical(dim(fit$loadings), c(6L, 0L))
  expect_equal(unname(fit$noise), unname(apply(x, 2, var)) * 49 / 50)
  expect_equal(fit$objective, -as.numeric(determinant(cor(x))$modulus))
  expect_equal(
    fit$loglik, sum(dnorm(x, rep(colMeans(x), each = 50), rep(sqrt(fit$noise), each = 50), log = TRUE))
  )
  for (method in c("pca", "ppca")) {
    expect_identical(ncol(fit_factor_model(x, 0, method, n_threads = 1)$loadings), 0L)
  }
})

test_that("small shapes work", {
  x <- sample_factor_model(40, 3, 1, strength = 3, seed = 13)
  fit <- fit_factor_model(x, 1, n_threads = 1) # as many parameters as the covariance matrix
  expect_null(fit$test)
  expect_equal(unname(as.matrix(fit$covariance)), unname(cov(x)) * 39 / 40, tolerance = 1e-6)
  one <- fit_factor_model(x[, 1, drop = FALSE], 0, n_threads = 1)
  expect_equal(unname(one$noise), var(x[, 1]) * 39 / 40)
  expect_identical(dim(fit_factor_model(x[, 1:2], 0, n_threads = 1)$loadings), c(2L, 0L))
  # fewer samples than factors and columns of the panel
  wide <- quiet_fit(sample_factor_model(6, 300, 1, seed = 1), 2, tol = 1e-6)
  expect_true(is.finite(wide$loglik))
})

# ---- principal components ---------------------------------------------------

test_that("principal components are those of eigen()", {
  x <- sample_factor_model(90, 10, 2, seed = 14)
  S <- cov(x) * 89 / 90
  e <- eigen(S, symmetric = TRUE)
  fit <- fit_factor_model(x, 2, "pca", n_threads = 1)
  expect_equal(tcrossprod(fit$loadings), e$vectors[, 1:2] %*% (e$values[1:2] * t(e$vectors[, 1:2])),
    ignore_attr = TRUE
  )
  expect_equal(base::diag(as.matrix(fit$covariance)), base::diag(S))
  expect_equal(fit$loglik, plain_factor_loglik(x, as.matrix(fit$covariance), colMeans(x)), tolerance = 1e-10)

  fit <- fit_factor_model(S, 2, "ppca", n_samples = 90, n_threads = 1)
  expect_equal(unname(fit$noise), rep(mean(e$values[-(1:2)]), 10))
  Sigma <- as.matrix(fit$covariance)
  expect_equal(fit$loglik, plain_factor_loglik(x, Sigma, colMeans(x)), tolerance = 1e-10)
  expect_equal(fit$n_parameters, 10 * 2 + 1 - 1)
  # No better noise variance nearby: the closed form is the maximum.
  for (factor in c(0.99, 1.01)) {
    other <- tcrossprod(fit$loadings) + base::diag(fit$noise * factor)
    expect_lt(plain_factor_loglik(x, other, colMeans(x)), fit$loglik)
  }
})

test_that("leading eigenpairs are right without forming the covariance", {
  x <- sample_factor_model(100, 400, 5, seed = 15)
  e <- svd(scale(x, scale = FALSE) / 10)
  out <- cpp_leading_eigen(x, FALSE, FALSE, 8L, 1e-11, 1L)
  expect_equal(out$values, e$d[1:8]^2, tolerance = 1e-12)
  expect_equal(abs(colSums(out$vectors * e$v[, 1:8])), rep(1, 8), tolerance = 1e-10)
  expect_lt(max(abs(crossprod(out$vectors) - base::diag(8))), 1e-12)
  # No gap at all
  flat <- cpp_leading_eigen(base::diag(200), TRUE, FALSE, 3L, 1e-11, 1L)
  expect_equal(flat$values, rep(1, 3))
})

# ---- missing values ---------------------------------------------------------

test_that("with nothing missing the search for missing values finds the same", {
  x <- sample_factor_model(150, 12, 3, seed = 16)
  fit <- fit_factor_model(x, 3, n_threads = 1)
  out <- cpp_fit_factors_missing(x, 3L, 0.005, FALSE, 1e-9, 2000, 1L)
  expect_equal(out$loglik, fit$loglik, tolerance = 1e-12)
  expect_equal(out$psi, unname(fit$noise), tolerance = 1e-6)
  expect_equal(out$mean, unname(fit$mean), tolerance = 1e-7)
  ppca <- fit_factor_model(x, 3, "ppca", n_threads = 1)
  out <- cpp_fit_factors_missing(x, 3L, 0.005, TRUE, 1e-9, 2000, 1L)
  expect_equal(out$loglik, ppca$loglik, tolerance = 1e-12)
})

test_that("missing values are left out of the likelihood, which is at a maximum", {
  x <- sample_factor_model(120, 8, 2, seed = 17)
  x[sample(length(x), 200)] <- NA
  for (method in c("ml", "ppca")) {
    fit <- fit_factor_model(x, 2, method, n_threads = 1)
    expect_true(fit$convergence$converged)
    expect_identical(fit$n_missing, 200L)
    expect_equal(
      plain_factor_loglik(x, as.matrix(fit$covariance), fit$mean), fit$loglik,
      tolerance = 1e-11
    )
    # Small changes in any direction lower it, by the square of their size.
    value <- function(h) {
      step <- function(v) v * (1 + h * rnorm(length(v)))
      noise <- if (method == "ppca") fit$noise * (1 + h * rnorm(1)) else step(fit$noise)
      B <- step(fit$loadings)
      plain_factor_loglik(x, tcrossprod(B) + base::diag(noise), step(fit$mean))
    }
    for (repeat_ in 1:5) {
      set.seed(repeat_)
      near <- fit$loglik - value(1e-4)
      set.seed(repeat_)
      far <- fit$loglik - value(2e-4)
      expect_gt(near, 0)
      expect_lt(abs(far / near - 4), 0.1)
    }
  }
})

test_that("whole missing rows are left out with a warning, NaN counts as missing", {
  x <- sample_factor_model(60, 6, 1, seed = 18)
  x[5, ] <- NaN
  expect_warning(fit <- fit_factor_model(x, 1, n_threads = 1), class = "covmash_warning_empty")
  expect_equal(fit$n_samples, 59)
  expect_equal(fit$loglik, fit_factor_model(x[-5, ], 1, n_threads = 1)$loglik)
})

test_that("estimates improve with what is observed, not with imputed means", {
  x <- sample_factor_model(2000, 10, 2, seed = 19)
  truth <- fit_factor_model(x, 2, n_threads = 1)
  x[sample(length(x), 6000)] <- NA
  fit <- fit_factor_model(x, 2, n_threads = 1)
  imputed <- x
  for (j in 1:10) imputed[is.na(x[, j]), j] <- mean(x[, j], na.rm = TRUE)
  error <- function(f) max(abs(as.matrix(f$covariance) - as.matrix(truth$covariance)))
  expect_lt(error(fit), 0.3 * error(quiet_fit(imputed, 2)))
})

# ---- what is not accepted ---------------------------------------------------

test_that("bad input is a classed error that names it", {
  x <- sample_factor_model(30, 8, 2, seed = 20)
  fit <- function(x, K = 1, ...) fit_factor_model(x, K, ..., n_threads = 1)
  bad <- function(change) {
    y <- x
    change(y)
  }
  expect_error(fit(cov(x)), "n_samples", class = "covmash_error_n_samples")
  expect_error(fit(x, n_samples = 30), "30 x 8", class = "covmash_error_dimensions")
  expect_error(fit(x[1, , drop = FALSE]), class = "covmash_error_dimensions")
  expect_error(fit(x, 5), "at most 4 factors", class = "covmash_error_n_factors")
  expect_error(fit(x, 8, method = "pca"), "at most 7", class = "covmash_error_n_factors")
  expect_error(fit(x[1:4, ], 3, method = "pca"), "at most 2", class = "covmash_error_n_factors")
  expect_error(fit_factor_model(x), class = "covmash_error_n_factors")
  expect_error(fit(x, 1.5), class = "covmash_error_argument")
  expect_error(fit(x, -1), class = "covmash_error_argument")
  y <- x
  y[, 3] <- 2
  expect_error(fit(y), "Column 3 \\('g3'\\)", class = "covmash_error_constant")
  y[, 3] <- NA
  expect_error(fit(y), "g3", class = "covmash_error_all_missing")
  y[1, 3] <- 1
  expect_error(fit(y), "g3", class = "covmash_error_constant")
  y <- x
  y[2, 4] <- Inf
  expect_error(fit(y), "row 2, column 4", class = "covmash_error_not_finite")
  y[2, 4] <- NA
  expect_error(fit(y, method = "pca"), class = "covmash_error_missing")
  S <- cov(x)
  S[1, 2] <- S[2, 1] <- 100
  expect_error(fit(S, n_samples = 30), class = "covmash_error_covariance")
  S <- cov(x)
  S[1, 2] <- 0
  expect_error(fit(S, n_samples = 30), "symmetric", class = "covmash_error_covariance")
  S <- cov(x)
  S[2, ] <- S[, 2] <- 0
  expect_error(fit(S, n_samples = 30), "g2", class = "covmash_error_constant")
  expect_error(fit("a"), class = "covmash_error_type")
  expect_error(fit(data.frame(a = 1:3, b = letters[1:3])), "column 2", class = "covmash_error_type")
  expect_error(fit(x, start = 0.5), class = "covmash_error_dimensions")
  expect_error(fit(x, start = rep(2, 8)), class = "covmash_error_argument")
  expect_error(fit(x, lower = 0), class = "covmash_error_argument")
  expect_error(fit(x, method = "em"), class = "covmash_error_argument")
  expect_warning(fit(x, 2, max_iter = 1, start = rep(0.5, 8)), class = "covmash_warning_convergence")
})

test_that("data frames and names come through", {
  fit <- quiet_fit(mtcars[, 1:7], 2)
  expect_identical(rownames(fit$loadings), names(mtcars)[1:7])
  expect_identical(colnames(fit$loadings), c("Factor1", "Factor2"))
  expect_identical(names(fit$noise), names(mtcars)[1:7])
  expect_true(is_factor_cov(fit$covariance))
  plain <- quiet_fit(unname(as.matrix(mtcars[, 1:7])), 2)
  expect_null(names(plain$noise))
  expect_equal(plain$loglik, fit$loglik)
})

test_that("the user's random numbers are left alone", {
  x <- sample_factor_model(30, 6, 1, seed = 21)
  set.seed(5)
  before <- .Random.seed
  fit_factor_model(x, 1, n_threads = 1)
  expect_identical(.Random.seed, before)
})

# ---- missing values: the maximum, not a saddle --------------------------------

quiet_missing <- function(...) suppressMessages(quiet_fit(...))

test_that("blocks of genes never seen together get factors all the same", {
  set.seed(1)
  x <- 2 * rnorm(200) %o% rep(1, 6) + matrix(rnorm(1200), 200)
  x[1:100, 4:6] <- NA
  x[101:200, 1:3] <- NA
  expect_message(fit <- fit_factor_model(x, 1, n_threads = 1), class = "covmash_message_pairs")
  expect_message(fit_factor_model(x, 1, n_threads = 1), "9 pairs of genes .* column 1 and column 4")
  alone <- fit_factor_model(x[1:100, 1:3], 1, n_threads = 1)$loglik +
    fit_factor_model(x[101:200, 4:6], 1, n_threads = 1)$loglik
  expect_equal(fit$loglik, alone, tolerance = 1e-10)
  expect_gt(fit$loglik, -1101.103)
  expect_true(fit$convergence$converged)
  expect_true(all(abs(fit$loadings) > 0.5))
  expect_gt(fit$convergence$starts, 1)
  ppca <- quiet_missing(x, 1, "ppca")
  expect_true(all(abs(ppca$loadings) > 0.5))
  chosen <- suppressMessages(select_n_factors(x, max_factors = 1, criteria = "bic", n_threads = 1))
  expect_equal(chosen$table$loglik[2], fit$loglik, tolerance = 1e-8)
  expect_message(
    select_n_factors(x, max_factors = 0, criteria = "bic", n_threads = 1), class = "covmash_message_pairs"
  )
})

test_that("pairs that are seen together are not reported", {
  x <- sample_factor_model(40, 5, 1, seed = 31)
  x[1:25, 1] <- NA
  x[20:40, 3] <- NA
  expect_identical(unseen_pairs(x), list(n = 1, first = c(1L, 3L)))
  x[26, 3] <- 1
  expect_null(unseen_pairs(x))
  x[3:40, 5] <- NA # with gene 1 in no sample
  expect_identical(unseen_pairs(x)$first, c(1L, 5L))
  wide <- matrix(NA_real_, 4, 1200)
  wide[1:2, 1:900] <- 1
  wide[3:4, 901:1200] <- 1
  expect_identical(unseen_pairs(wide), list(n = 900 * 300, first = c(1L, 901L)))
})

# The best of 20 starts of optim(), from best_of_optim(missing_pattern(case), 1, 20) after set.seed(case).
best_of_20_starts <- c(
  -127.4246712, -231.906832991, -124.577683095, -152.270329383, -182.563993146, -102.257454117,
  -127.757755085, -207.873207943, -142.968688456, -157.381089975, -191.934610886, -100.552887262
)

test_that("the log-likelihood with missing values is never below the best that optim() finds", {
  for (case in 1:12) {
    x <- missing_pattern(case)
    fit <- quiet_missing(x, 1)
    expect_true(fit$convergence$converged)
    expect_equal(plain_factor_loglik(x, as.matrix(fit$covariance), fit$mean), fit$loglik, tolerance = 1e-10)
    expect_gt(fit$loglik, best_of_20_starts[case] - 1e-6)
  }
})

test_that("the table of optima is that of optim()", {
  skip_on_cran()
  for (case in c(1, 3, 4)) {
    set.seed(200 + case)
    x <- missing_pattern(case)
    best <- best_of_optim(x, 1, 3)
    expect_lt(best, quiet_missing(x, 1)$loglik + 1e-6)
    expect_lt(best, best_of_20_starts[case] + 1e-5)
  }
})

test_that("searches with missing values leave the user's random numbers alone and repeat", {
  x <- missing_pattern(6)
  set.seed(5)
  before <- .Random.seed
  fit <- quiet_missing(x, 1)
  expect_identical(.Random.seed, before)
  set.seed(6)
  expect_identical(quiet_missing(x, 1)$loadings, fit$loadings)
})

# ---- numbers and units --------------------------------------------------------

test_that("max_iter may be larger than an integer", {
  x <- sample_factor_model(40, 6, 1, seed = 32)
  fit <- quiet_fit(x, 1)
  expect_identical(quiet_fit(x, 1, max_iter = 1e300)$loadings, fit$loadings)
  x[1:3, 2] <- NA
  fit <- quiet_fit(x, 1)
  expect_identical(quiet_fit(x, 1, max_iter = 1e300)$loadings, fit$loadings)
  expect_error(fit_factor_model(x, 1e300, n_threads = 1), class = "covmash_error_n_factors")
})

test_that("data and covariances in very small and very large units give the same model", {
  x <- sample_factor_model(40, 6, 1, seed = 33)
  S <- cov(x)
  gone <- x
  gone[cbind(1:12, rep(1:6, 2))] <- NA
  for (method in c("ml", "ppca", "pca")) {
    base <- quiet_fit(x, 1, method)
    base_S <- quiet_fit(S, 1, method, n_samples = 40)
    for (power in c(-400, 400)) {
      unit <- 2^power
      fit <- quiet_fit(x * unit, 1, method)
      expect_equal(fit$uniquenesses, base$uniquenesses, tolerance = 1e-9)
      expect_equal(fit$loglik, base$loglik - 240 * log(unit), tolerance = 1e-12)
      expect_equal(fit$loadings / unit, base$loadings, tolerance = 1e-8)
      expect_equal(fit$mean / unit, base$mean, tolerance = 1e-12)
      fit <- quiet_fit(S * unit * unit, 1, method, n_samples = 40)
      expect_equal(fit$uniquenesses, base_S$uniquenesses, tolerance = 1e-9)
      expect_equal(fit$loglik, base_S$loglik - 240 * log(unit), tolerance = 1e-12)
      if (method != "pca") {
        fit <- quiet_fit(gone * unit, 1, method)
        expect_equal(fit$loglik, quiet_fit(gone, 1, method)$loglik - 228 * log(unit), tolerance = 1e-10)
      }
    }
  }
  for (unit in c(1e-200, 1e200)) {
    expect_error(fit_factor_model(x * unit, 1), "standard deviation of about .*e.(199|20[01])", class = "covmash_error_scale")
    expect_error(fit_factor_model(gone * unit, 1), class = "covmash_error_scale")
    expect_s3_class(quiet_fit(S * unit, 1, n_samples = 40), "factor_fit")
  }
  x[, 1] <- x[, 1] * 1e-120
  x[, 2] <- x[, 2] * 1e120
  expect_error(fit_factor_model(x, 1, "ppca"), "too far apart", class = "covmash_error_scale")
  expect_equal(quiet_fit(x, 1)$loglik, quiet_fit(sample_factor_model(40, 6, 1, seed = 33), 1)$loglik, tolerance = 1e-9)
})

test_that("there is no test of fit unless there are more samples than genes", {
  x <- sample_factor_model(40, 6, 1, seed = 34)
  for (n in c(4, 6)) expect_null(quiet_fit(cov(x), 1, n_samples = n)$test)
  expect_gt(quiet_fit(cov(x), 1, n_samples = 7)$test$statistic, 0)
  fit <- quiet_fit(cov(x), 1, n_samples = 6)
  expect_true(is.na(glance(fit)$p.value))
  expect_output(print(fit), "6 samples")
  expect_false(any(grepl("chi-squared", capture.output(print(summary(fit))))))
  for (n in c(4, 6)) expect_null(quiet_fit(x[seq_len(n), ], 1)$test)
  expect_null(quiet_fit(cov(x), 1, "pca", n_samples = 40)$test)
})

test_that("columns that depend on others are named", {
  x <- sample_factor_model(40, 6, 1, seed = 35)
  said <- function(x, K = 2, ...) {
    conditionMessage(expect_warning(fit_factor_model(x, K, ..., n_threads = 1), class = "covmash_warning_dependent"))
  }
  same <- cbind(x[, 1:5], copy = 3 - 2 * x[, 2])
  expect_match(said(same, 1), "\\('copy'\\) is a linear function of 'g2'|\\('g2'\\) is a linear function of 'copy'")
  sum <- cbind(x[, 1:5], total = x[, 1] + x[, 2])
  for (y in list(sum, rbind(sum, c(NA, 1:5)))) {
    message <- said(y)
    for (name in c("'g1'", "'g2'", "'total'")) expect_match(message, name)
    expect_match(message, "linear combination")
    expect_false(grepl("fewer factors", message))
  }
  expect_match(said(unname(cov(sum)), n_samples = 40), "linear combination of columns? [0-9]")
  same[cbind(1:40, rep(1:5, 8))] <- NA # no sample is complete
  expect_match(said(same, 1), "linear function of 'g2'")
})

test_that("one or two genes, two or three samples", {
  x <- sample_factor_model(20, 3, 1, seed = 36)
  gone <- x
  gone[1:3, 1] <- NA
  for (method in c("ml", "pca", "ppca")) {
    expect_equal(quiet_fit(x[, 1, drop = FALSE], 0, method)$loglik, sum(dnorm(
      x[, 1], mean(x[, 1]), sqrt(mean((x[, 1] - mean(x[, 1]))^2)), log = TRUE
    )))
    expect_s3_class(quiet_fit(x[1:2, ], 0, method), "factor_fit")
    expect_s3_class(quiet_fit(x[1:3, ], 1, method), "factor_fit")
    expect_error(fit_factor_model(x[1:2, ], 1, method), class = "covmash_error_n_factors")
    expect_s3_class(quiet_fit(matrix(2), 0, method, n_samples = 2), "factor_fit")
    if (method != "pca") expect_s3_class(quiet_missing(gone[, 1:2], 0, method), "factor_fit")
  }
  expect_error(fit_factor_model(x[, 1:2], 1), "at most 0 factors", class = "covmash_error_n_factors")
})

test_that("a Heywood case is looked at from other starts too", {
  # Here the usual starts all end at the floor, 0.05 above the optimum that factanal() finds.
  withr::local_seed(597)
  x <- matrix(rnorm(30), 30) %*% matrix(rnorm(8, sd = 1.5), 1) + matrix(rnorm(240), 30) * rep(runif(8, 0.5, 1.5), each = 30)
  discrepancy <- function(psi) {
    s <- 1 / sqrt(psi)
    e <- eigen(s * cor(x) * rep(s, each = 8), symmetric = TRUE, only.values = TRUE)$values[-(1:2)]
    -sum(log(e) - e) - 6
  }
  fit <- suppressWarnings(fit_factor_model(x, 2, "ml"))
  own <- discrepancy(fit$noise / colMeans(scale(x, scale = FALSE)^2))
  expect_lt(own, discrepancy(factanal(x, 2)$uniquenesses) + 1e-5)
})
