# The posterior of one effect in plain R: a list of weights, means and covariances, of A D b.
plain_posterior <- function(data, fit, j, A = NULL) {
  g <- fit$fitted_g
  R <- ncol(data$Bhat)
  seen <- which(!is.na(data$Bhat[j, ]))
  U <- c(if (g$usepointmass) list(matrix(0, R, R)), unlist(lapply(g$grid, function(w) lapply(g$Ulist, function(U) w^2 * as.matrix(U))), recursive = FALSE))
  s <- data$Shat[j, seen]
  V <- s * data$V[seen, seen, drop = FALSE] * rep(s, each = length(seen))
  b <- data$Bhat[j, seen]
  D <- diag(data$Shat_alpha[j, ], R)
  D[is.na(D)] <- 1
  if (!is.null(A)) D <- unname(A) %*% D
  parts <- lapply(U, function(U) {
    if (length(seen) == 0L) return(list(loglik = 0, mean = numeric(nrow(D)), cov = D %*% U %*% t(D)))
    T <- V + U[seen, seen, drop = FALSE]
    K <- U[, seen, drop = FALSE] %*% solve(T)
    list(
      loglik = -0.5 * (length(seen) * log(2 * pi) + c(determinant(T)$modulus) + sum(b * solve(T, b))),
      mean = c(D %*% K %*% b), cov = D %*% (U - K %*% U[seen, , drop = FALSE]) %*% t(D)
    )
  })
  keep <- g$pi > 1e-10
  loglik <- vapply(parts, `[[`, 0, "loglik")
  w <- ifelse(keep, g$pi * exp(loglik - max(loglik)), 0)
  list(weight = w / sum(w), parts = parts)
}

plain_moments <- function(post) {
  mean <- Reduce(`+`, Map(function(w, p) w * p$mean, post$weight, post$parts))
  cov <- Reduce(`+`, Map(function(w, p) w * (p$cov + tcrossprod(p$mean - mean)), post$weight, post$parts))
  negative <- Reduce(`+`, Map(function(w, p) {
    sd <- sqrt(pmax(diag(as.matrix(p$cov)), 0))
    w * ifelse(sd > 1e-7, pnorm(-p$mean / sd), 0)
  }, post$weight, post$parts))
  zero <- Reduce(`+`, Map(function(w, p) w * (sqrt(pmax(diag(as.matrix(p$cov)), 0)) <= 1e-7), post$weight, post$parts))
  list(mean = mean, cov = cov, negative = negative, zero = zero)
}

joint_cases <- function() {
  make <- function(missing, alpha, shat, V) {
    withr::with_seed(9, {
      J <- 60
      R <- 4
      B <- matrix(rnorm(J * R), J, dimnames = list(paste0("e", 1:J), letters[1:R])) * sample(c(0, 2), J, TRUE)
      S <- switch(shat,
        common = matrix(1, J, R),
        rows = matrix(runif(J, 0.5, 2), J, R),
        varying = matrix(runif(J * R, 0.5, 2), J, R)
      )
      x <- B + S * (matrix(rnorm(J * R), J) %*% chol(V))
      if (missing) x[sample(length(x), 40)] <- NA
      if (missing) x[7, ] <- NA
      suppressWarnings(mash_set_data(x, S, alpha = alpha, V = V))
    })
  }
  V <- 0.4 + diag(0.6, 4)
  list(
    make(FALSE, 0, "common", diag(4)), make(FALSE, 0, "varying", V), make(TRUE, 0, "common", V),
    make(TRUE, 0, "varying", diag(4)), make(FALSE, 1, "varying", V), make(TRUE, 0.5, "rows", V)
  )
}

test_that("combinations and covariances are those of plain R", {
  skip_on_cran()
  A <- rbind(difference = c(1, -1, 0, 0), mean = rep(0.25, 4), d = c(0, 0, 0, 1))
  for (data in joint_cases()) {
    fit <- mash(data, cov_canonical(data), verbose = FALSE, outputlevel = 3)
    of_A <- mash_compute_posterior_matrices(fit, data, A = A, output_posterior_cov = TRUE)
    expect_identical(dimnames(of_A$PosteriorMean), list(rownames(data$Bhat), rownames(A)))
    expect_identical(dimnames(of_A$PosteriorCov), list(rownames(A), rownames(A), rownames(data$Bhat)))
    for (j in c(1, 7, 20, 33)) {
      if (anyNA(data$Shat_alpha[j, ])) next
      plain <- plain_moments(plain_posterior(data, fit, j))
      expect_equal(unname(fit$result$PosteriorCov[, , j]), unname(plain$cov), tolerance = 1e-9)
      expect_equal(unname(sqrt(diag(fit$result$PosteriorCov[, , j]))), unname(fit$result$PosteriorSD[j, ]), tolerance = 1e-9)
      plain <- plain_moments(plain_posterior(data, fit, j, A))
      expect_equal(unname(of_A$PosteriorMean[j, ]), plain$mean, tolerance = 1e-9)
      expect_equal(unname(of_A$PosteriorCov[, , j]), unname(plain$cov), tolerance = 1e-9)
      expect_equal(unname(of_A$PosteriorSD[j, ]), sqrt(diag(plain$cov)), tolerance = 1e-9)
      expect_equal(unname(of_A$NegativeProb[j, ]), plain$negative, tolerance = 1e-9)
      expect_equal(unname(of_A$lfdr[j, ]), plain$zero, tolerance = 1e-9)
      expect_equal(unname(of_A$lfsr[j, ]), pmin(plain$negative, 1 - plain$negative - plain$zero) + plain$zero, tolerance = 1e-9)
    }
  }
})

test_that("A = I is no A, and one row is enough", {
  skip_on_cran()
  data <- joint_cases()[[2]]
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  plain <- mash_compute_posterior_matrices(fit, data)
  by_A <- mash_compute_posterior_matrices(fit, data, A = `rownames<-`(diag(4), letters[1:4]))
  for (part in names(plain)) expect_equal(by_A[[part]], plain[[part]], tolerance = 1e-10)
  one <- mash_compute_posterior_matrices(fit, data, A = c(0, 1, 0, 0))
  expect_identical(dim(one$PosteriorMean), c(60L, 1L))
  expect_equal(unname(one$lfsr[, 1]), unname(plain$lfsr[, 2]), tolerance = 1e-10)
  turned <- mash_compute_posterior_matrices(fit, data, A = matrix(c(1, 0, 0, 0), 1, dimnames = list("x", c("b", "a", "c", "d"))))
  expect_equal(unname(turned$PosteriorMean[, 1]), unname(plain$PosteriorMean[, "b"]), tolerance = 1e-10)
  with_A <- mash(data, cov_canonical(data), verbose = FALSE, A = rbind(x = c(1, 1, 0, 0)))
  expect_identical(colnames(get_pm(with_A)), "x")
  expect_equal(get_pm(with_A)[, 1], rowSums(plain$PosteriorMean[, 1:2]), tolerance = 1e-8)
  expect_error(mash_compute_posterior_matrices(fit, data, A = diag(3)), "A", class = "covmash_error_dimensions")
})

test_that("draws have the moments of the posterior", {
  skip_on_cran()
  for (data in joint_cases()[c(2, 3, 6)]) {
    fit <- mash(data, cov_canonical(data), verbose = FALSE, outputlevel = 3, posterior_samples = 4000, seed = 5)
    draws <- get_samples(fit)
    expect_identical(dim(draws), c(60L, 4L, 4000L))
    expect_identical(dimnames(draws), list(rownames(data$Bhat), letters[1:4], paste0("sample_", 1:4000)))
    known <- which(!is.na(fit$result$PosteriorSD))
    se <- fit$result$PosteriorSD / sqrt(4000)
    z <- (apply(draws, 1:2, mean) - fit$result$PosteriorMean) / pmax(se, 1e-12)
    expect_lt(max(abs(z[known])), 4.5)
    for (j in c(3, 20)) {
      if (anyNA(se[j, ])) next
      C <- fit$result$PosteriorCov[, , j]
      error <- (cov(t(draws[j, , ])) - C) / (sqrt(outer(diag(C), diag(C))) + 1e-12)
      expect_lt(max(abs(error)), 0.25)
    }
    negative <- apply(draws < 0, 1:2, mean)
    expect_lt(max(abs(negative - fit$result$NegativeProb)[known]), 4.5 * 0.5 / sqrt(4000))
  }
})

test_that("draws depend on the seed alone, which set.seed() governs", {
  skip_on_cran()
  data <- joint_cases()[[4]]
  U <- cov_canonical(data)
  draws <- function(...) get_samples(mash(data, U, verbose = FALSE, posterior_samples = 3, ...))
  expect_identical(draws(seed = 4, n_threads = 1), draws(seed = 4, n_threads = 3))
  expect_false(identical(draws(seed = 4), draws(seed = 5)))
  first <- withr::with_seed(1, draws())
  expect_identical(withr::with_seed(1, draws()), first)
  expect_false(identical(withr::with_seed(2, draws()), first))
  # R's generator moves by one number, or not at all
  after <- withr::with_seed(1, {
    draws()
    runif(1)
  })
  expect_identical(after, withr::with_seed(1, runif(2))[2])
  after <- withr::with_seed(1, {
    draws(seed = 4)
    runif(1)
  })
  expect_identical(after, withr::with_seed(1, runif(1)))
})

test_that("sharing from draws, at its edges too", {
  skip_on_cran()
  data <- joint_cases()[[2]]
  fit <- mash(data, cov_canonical(data), verbose = FALSE, posterior_samples = 200, seed = 1)
  shared <- get_pairwise_sharing_from_samples(fit)
  expect_identical(dimnames(shared), list(letters[1:4], letters[1:4]))
  rows <- which(get_lfsr(fit)[, 1] < 0.05 | get_lfsr(fit)[, 2] < 0.05)
  ratio <- get_samples(fit)[rows, 1, ] / get_samples(fit)[rows, 2, ]
  expect_equal(shared[1, 2], mean(!is.na(ratio) & ratio > 0.5 & ratio < 2))
  expect_identical(shared, t(shared))
  # a draw of exactly zero shares nothing, not even with itself
  expect_equal(shared[2, 2], mean(get_samples(fit)[get_lfsr(fit)[, 2] < 0.05, 2, ] != 0))
  expect_true(all(is.nan(get_pairwise_sharing_from_samples(fit, lfsr_thresh = 0))))
  one <- mash_compute_posterior_matrices(fit, data[rows[1], ], posterior_samples = 1)
  expect_true(all(get_pairwise_sharing_from_samples(list(result = one)) %in% c(0, 1, NaN)))
  expect_error(get_pairwise_sharing_from_samples(mash(data, cov_canonical(data), verbose = FALSE)), "posterior_samples", class = "covmash_error_fit")
  expect_null(get_samples(mash(data, cov_canonical(data), verbose = FALSE)))
})

test_that("summaries of combinations are right where standard errors differ", {
  skip_on_cran()
  data <- joint_cases()[[2]]
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  A <- rbind(x = c(1, -1, 0, 0))
  summary <- get_posterior_condition_wise_summary(data, fit, A)
  expect_identical(names(summary), c("PosteriorMean", "PosteriorSD", "lfdr", "NegativeProb", "lfsr"))
  for (j in c(2, 30)) {
    plain <- plain_moments(plain_posterior(data, fit, j, A))
    expect_equal(unname(summary$PosteriorMean[j, 1]), plain$mean, tolerance = 1e-9)
    expect_equal(unname(summary$PosteriorSD[j, 1]), sqrt(c(plain$cov)), tolerance = 1e-9)
  }
})

test_that("likelihoods of all components are returned at level 4", {
  skip_on_cran()
  data <- joint_cases()[[5]]
  fit <- mash(data, cov_canonical(data), verbose = FALSE, outputlevel = 4)
  expect_identical(colnames(fit$lm$loglik_matrix), names(fit$fitted_g$pi))
  expect_identical(max(fit$lm$loglik_matrix), 0)
  scaled <- log(exp(fit$lm$loglik_matrix) %*% fit$fitted_g$pi) + fit$lm$lfactors - rowSums(log(data$Shat_alpha))
  expect_equal(scaled, fit$vloglik, tolerance = 1e-9, ignore_attr = TRUE)
})

test_that("combinations whose squares are no numbers are refused", {
  sim <- small_data(J = 5, R = 2)
  m <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  expect_error(mash_compute_posterior_matrices(m, sim$data, A = cbind(1e155, 0)), "1e\\+155", class = "covmash_error_magnitude")
  expect_error(mash_compute_posterior_matrices(m, sim$data, A = cbind(1, 1e-200)), class = "covmash_error_magnitude")
})
