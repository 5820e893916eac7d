# V arrays and contrasts of any standard errors, against plain R.

noise_cases <- function() {
  withr::with_seed(21, {
    J <- 40
    R <- 4
    x <- matrix(rnorm(J * R, sd = 2), J, dimnames = list(paste0("e", 1:J), letters[1:R]))
    S <- matrix(runif(J * R, 0.5, 2), J)
    V <- array(0, c(R, R, J))
    # some effects share theirs
    for (j in 1:J) V[, , j] <- if (j %% 4 == 0) 0.5 + diag(0.5, R) else cov2cor(crossprod(matrix(rnorm(6 * R), 6)))
    S[seq(4, J, 8), ] <- rep(S[4, ], each = length(seq(4, J, 8)))
    holes <- x
    holes[sample(length(x), 25)] <- NA
    holes[4, ] <- x[4, ]
    one <- 0.3 + diag(0.7, R)
    list(
      array = list(data = mash_set_data(x, S, V = V), x = x, S = S, V = V),
      array_one = list(data = mash_set_data(x, 1, V = V), x = x, S = 0 * S + 1, V = V),
      array_missing = list(data = mash_set_data(holes, S, V = V), x = holes, S = S, V = V),
      contrast = list(data = mash_update_data(mash_set_data(x, S, V = one), ref = 2), x = x, S = S, V = one, ref = 2),
      contrast_array = list(data = mash_update_data(mash_set_data(x, S, V = V), ref = 1), x = x, S = S, V = V, ref = 1),
      contrast_missing = list(
        data = suppressWarnings(mash_update_data(mash_set_data(holes, S, V = one), ref = 3)), x = holes, S = S, V = one, ref = 3
      )
    )
  })
}

# What is observed of effect j, and the covariance of its errors.
plain_noise <- function(case, j) {
  V <- if (is.matrix(case$V)) case$V else case$V[, , j]
  noise <- case$S[j, ] * V * rep(case$S[j, ], each = 4)
  y <- case$x[j, ]
  if (!is.null(case$ref)) {
    L <- unclass(contrast_matrix(4, case$ref))[, ]
    noise <- L %*% noise %*% t(L)
    y <- vapply(1:3, function(q) sum((L[q, ] * y)[L[q, ] != 0]), 0)
  }
  seen <- which(!is.na(y))
  list(y = y[seen], noise = noise[seen, seen, drop = FALSE], seen = seen)
}

test_that("likelihoods, posteriors and covariances are those of plain R", {
  skip_on_cran()
  for (case in noise_cases()) {
    R <- ncol(case$data$Bhat)
    U <- list(full = crossprod(matrix(sin(1:(R * R)), R)), one = tcrossprod(1:R) / R, id = diag(R))
    g <- list(Ulist = U, grid = c(0.5, 1.5), usepointmass = TRUE, pi = c(0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1))
    out <- suppressMessages(mash_compute_posterior_matrices(g, case$data, output_posterior_cov = TRUE))
    loglik <- suppressMessages(mash_compute_vloglik(g, case$data))
    expanded <- c(list(0 * U[[1]]), lapply(U, function(U) 0.25 * U), lapply(U, function(U) 2.25 * U))
    for (j in c(1, 4, 12, 17, 30)) {
      plain <- plain_noise(case, j)
      if (length(plain$seen) == 0L) next
      parts <- lapply(expanded, function(U) {
        A <- plain$noise + U[plain$seen, plain$seen]
        K <- U[, plain$seen, drop = FALSE] %*% solve(A)
        list(
          l = -0.5 * (length(plain$y) * log(2 * base::pi) + c(determinant(A)$modulus) + sum(plain$y * solve(A, plain$y))),
          m = c(K %*% plain$y), C = U - K %*% U[plain$seen, , drop = FALSE]
        )
      })
      l <- vapply(parts, `[[`, 0, "l") + log(g$pi)
      w <- exp(l - max(l))
      expect_equal(loglik[j], max(l) + log(sum(w)), tolerance = 1e-10)
      w <- w / sum(w)
      mean <- Reduce(`+`, Map(function(w, p) w * p$m, w, parts))
      cov <- Reduce(`+`, Map(function(w, p) w * (p$C + tcrossprod(p$m - mean)), w, parts))
      expect_equal(unname(out$PosteriorMean[j, ]), mean, tolerance = 1e-9)
      expect_equal(unname(out$PosteriorSD[j, ]), sqrt(diag(cov)), tolerance = 1e-9)
      expect_equal(unname(out$PosteriorCov[, , j]), unname(cov), tolerance = 1e-9)
    }
  }
})

test_that("deconvolution knows them too, and fits run on threads with the same bits", {
  skip_on_cran()
  for (case in noise_cases()[c("array", "contrast_array", "array_missing")]) {
    R <- ncol(case$data$Bhat)
    U <- crossprod(matrix(cos(1:(R * R)), R)) + diag(R)
    step <- suppressWarnings(cov_ed(case$data, list(U = U), maxiter = 1, tol = 0))$ED_U
    total <- 0 * U
    n <- 0
    for (j in seq_len(nrow(case$data$Bhat))) {
      plain <- plain_noise(case, j)
      if (length(plain$seen) == 0L) next
      n <- n + 1
      K <- U[, plain$seen, drop = FALSE] %*% solve(plain$noise + U[plain$seen, plain$seen])
      total <- total + U - K %*% U[plain$seen, , drop = FALSE] + tcrossprod(K %*% plain$y)
    }
    expect_equal(unname(step), unname(total / n + diag(R) / sqrt(n)), tolerance = 1e-10)
    fit <- mash(case$data, cov_canonical(case$data), verbose = FALSE, n_threads = 1)
    expect_identical(without_timing(mash(case$data, cov_canonical(case$data), verbose = FALSE, n_threads = 3)), without_timing(fit))
    part <- suppressMessages(mash_compute_vloglik(fit, case$data[5:20, ]))
    expect_equal(part, fit$vloglik[5:20, , drop = FALSE], tolerance = 1e-11, ignore_attr = TRUE)
    # another order of the conditions
    turned <- suppressMessages(mash_compute_vloglik(fit, case$data[, R:1]))
    expect_equal(turned, fit$vloglik, tolerance = 1e-11, ignore_attr = TRUE)
  }
})

test_that("an array of the same matrices is one matrix", {
  skip_on_cran()
  case <- noise_cases()$array
  V <- 0.5 + diag(0.5, 4)
  one <- mash_set_data(case$x, case$S, V = V)
  many <- mash_set_data(case$x, case$S, V = array(V, c(4, 4, 40)))
  U <- cov_canonical(one)
  expect_equal(mash(many, U, verbose = FALSE)$vloglik, mash(one, U, verbose = FALSE)$vloglik, tolerance = 1e-11)
  expect_equal(mash_1by1(many)$result, mash_1by1(one)$result, tolerance = 1e-10)
  expect_equal(mash_update_data(many, V = V)$V, V)
})

test_that("damaged arrays and contrasts are refused", {
  skip_on_cran()
  cases <- noise_cases()
  data <- cases$array$data
  data$V <- data$V[, , 1:3]
  expect_error(mash_1by1(data), "array `V`", class = "covmash_error_data")
  data <- cases$contrast$data
  expect_null(data$V)
  data$Shat_orig <- data$Shat_orig[1:3, ]
  expect_error(mash_1by1(data), "do not fit together", class = "covmash_error_data")
})

test_that("an effect that is observed in one of eight or nine conditions has a likelihood", {
  # Reflections of what rounding left used to divide by zero.
  for (R in c(1:9, 16L)) {
    for (at in seq_len(R)) {
      x <- matrix(NA_real_, 1, R)
      x[at] <- 0.31
      U <- 0.25 + 0.75 * diag(R)
      data <- mash_set_data(x)
      g <- list(Ulist = list(U = U), grid = c(0.5, 2), pi = c(0.2, 0.3, 0.5), usepointmass = TRUE)
      fit <- mash(data, g = g, fixg = TRUE, verbose = FALSE)
      expect_equal(fit$loglik, log(sum(c(0.2, 0.3, 0.5) * dnorm(0.31, 0, sqrt(1 + c(0, 0.25, 4))))), tolerance = 1e-10)
    }
  }
})
