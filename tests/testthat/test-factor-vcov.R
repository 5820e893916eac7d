# Older versions of GPArotation lack some.
lacks_rotation <- function(rotation) {
  !rotation %in% c("varimax", "promax") && !exists(rotation, asNamespace("GPArotation"), inherits = FALSE)
}

# The information about all parameters from derivatives of Sigma in plain R.
plain_information <- function(L, F, u) {
  N <- nrow(L)
  K <- ncol(L)
  unit <- function(i, j, n, m) replace(matrix(0, n, m), i + (j - 1) * n, 1)
  parts <- list()
  for (k in seq_len(K)) for (i in seq_len(N)) {
    E <- unit(i, k, N, K)
    parts <- c(parts, list(E %*% F %*% t(L) + L %*% F %*% t(E)))
  }
  for (l in seq_len(K)) for (k in seq_len(l - 1)) {
    parts <- c(parts, list(L %*% (unit(k, l, K, K) + unit(l, k, K, K)) %*% t(L)))
  }
  for (i in seq_len(N)) parts <- c(parts, list(unit(i, i, N, N)))
  M <- base::solve(L %*% F %*% t(L) + base::diag(u))
  outer(seq_along(parts), seq_along(parts), Vectorize(function(i, j) {
    sum(base::diag(M %*% parts[[i]] %*% M %*% parts[[j]])) / 2
  }))
}

test_that("the information is that of the derivatives of the covariance matrix", {
  set.seed(1)
  L <- matrix(rnorm(15), 5)
  F <- cov2cor(crossprod(matrix(rnorm(12), 4)))
  u <- runif(5, 0.2, 2)
  at <- list(L = L, F = F, u = u, oblique = TRUE)
  expect_equal(parameter_information(at), plain_information(L, F, u))
  independent <- list(L = L, F = base::diag(3), u = u, oblique = FALSE)
  expect_equal(parameter_information(independent), plain_information(L, base::diag(3), u)[-(16:18), -(16:18)])
})

test_that("standard errors after oblimin are those of lavaan", {
  skip_if_not_installed("GPArotation")
  peers <- utils::read.csv(test_path("fixtures", "factor-peers.csv"))
  colnames(Harman74.cor$cov) <- rownames(Harman74.cor$cov) <- paste0("t", 1:24)
  fit <- rotate_factors(quiet_fit(Harman74.cor, 4), "oblimin", eps = 1e-9)
  se <- standard_errors(vcov(fit, standardised = TRUE))
  table <- parameter_table(fit, TRUE)
  of_peer <- function(what, pattern) {
    peers$value[peers$peer == "lavaan" & peers$what == what & grepl(pattern, peers$name)]
  }
  L <- matrix(of_peer("estimate", "=~"), 24)
  match <- cosines(L, matrix(table$estimate[1:96], 24))
  order <- apply(abs(match), 2, which.max)
  signs <- rep(sign(match[cbind(order, 1:4)]), each = 24)
  expect_equal(table$estimate[1:96], as.vector(L[, order] * signs), tolerance = 1e-4)
  expect_equal(se[1:96], as.vector(matrix(of_peer("std.error", "=~"), 24)[, order]), tolerance = 1e-4)
  full <- matrix(0, 4, 4)
  full[lower.tri(full)] <- of_peer("std.error", "^f.~~f")
  full <- full + t(full)
  expect_equal(se[97:102], full[order, order][upper.tri(full)], tolerance = 1e-4)
  expect_equal(se[103:126], of_peer("std.error", "^t"), tolerance = 1e-4)
})

# Standard deviations of repeated fits against the standard errors.
bootstrap_ratio <- function(fit, refit, nsim, standardised) {
  estimates <- vapply(stats::simulate(fit, nsim, seed = 4), function(x) {
    again <- refit(x)
    match <- cosines(standardised_loadings(again), standardised_loadings(fit))
    order <- apply(abs(match), 2, which.max)
    again <- rotate_factors(again, again$rotation_matrix[, order] %*% base::diag(sign(match[cbind(order, seq_along(order))])))
    parameter_table(again, standardised)$estimate
  }, parameter_table(fit, standardised)$estimate)
  apply(estimates, 1, sd) / sqrt(base::diag(vcov(fit, standardised)))
}

test_that("standard errors are those of a parametric bootstrap, for every rotation", {
  skip_on_cran()
  B <- cbind(c(0.9, 0.8, 0.7, 0.7, 0.1, 0, 0.2, 0), c(0, 0.1, 0.2, 0, 0.8, 0.7, 0.6, 0.7))
  truth <- factor_covariance(B, matrix(c(1, 0.3, 0.3, 1), 2), rep(c(0.3, 0.6), 4))
  set.seed(3)
  x <- rfactor_cov(500, truth) * rep(c(1, 10), each = 500)
  rotations <- c("none", "varimax", "promax", if (requireNamespace("GPArotation", quietly = TRUE)) c("quartimin", "bentlerQ"))
  for (rotation in rotations) {
    for (standardised in if (rotation == "promax") c(TRUE, FALSE) else TRUE) {
      refit <- function(x) quiet_fit(x, 2, rotation = rotation)
      ratio <- bootstrap_ratio(refit(x), refit, 200, standardised)
      # 200 standard deviations are off by 5 per cent.
      expect_lt(abs(median(ratio) - 1), 0.08)
      expect_true(all(ratio > 0.8 & ratio < 1.25))
    }
  }
})

test_that("noise variances have the standard errors of summary(), whatever the rotation", {
  x <- sample_factor_model(150, 9, 2, seed = 5)
  fit <- quiet_fit(x, 2)
  wanted <- summary(fit)$genes$std.error
  for (rotation in c("none", "varimax", "promax")) {
    V <- vcov(rotate_factors(fit, rotation))
    expect_equal(unname(sqrt(base::diag(V)[paste0(colnames(x), "~~", colnames(x))])), wanted, tolerance = 1e-7)
    expect_identical(V, t(V))
  }
  one <- quiet_fit(x, 1)
  expect_identical(dim(vcov(one)), c(18L, 18L))
  none <- quiet_fit(x, 0)
  expect_equal(vcov(none), base::diag(2 * none$noise^2 / 150), ignore_attr = TRUE)
  expect_equal(unname(base::diag(vcov(none, standardised = TRUE))), numeric(9))
})

test_that("what does not depend on the rotation has the same standard error after each", {
  skip_if_not_installed("GPArotation")
  x <- sample_factor_model(200, 10, 3, seed = 6)
  fit <- quiet_fit(x, 3)
  # The derivative of Sigma_12 by the parameters.
  of_covariance <- function(fit) {
    f <- function(p) {
      L <- matrix(p[1:30], 10)
      F <- base::diag(3)
      if (!is.null(fit$factor_covariance)) F[upper.tri(F)] <- p[31:33]
      F <- F + t(F) - base::diag(3)
      drop(L[1, ] %*% F %*% L[2, ])
    }
    p <- parameter_table(fit, FALSE)$estimate
    g <- central_differences(f, p, rep(1e-5, length(p)))
    drop(g %*% vcov(fit) %*% t(g))
  }
  wanted <- of_covariance(fit)
  for (rotation in c(
    "varimax", "promax", "quartimax", "oblimin", "quartimin", "geominT", "geominQ", "bentlerT", "bentlerQ", "cfT", "cfQ",
    "equamax", "parsimax"
  )) {
    if (lacks_rotation(rotation)) next
    turned <- suppressWarnings(rotate_factors(fit, rotation))
    expect_equal(of_covariance(turned), wanted, tolerance = 1e-5)
  }
})

test_that("the conditions hold where GPArotation ends", {
  skip_if_not_installed("GPArotation")
  fit <- quiet_fit(sample_factor_model(200, 10, 3, seed = 7), 3)
  for (rotation in c(
    "quartimax", "oblimin", "quartimin", "geominT", "geominQ", "bentlerT", "bentlerQ", "cfT", "cfQ", "equamax", "parsimax"
  )) {
    if (lacks_rotation(rotation)) next
    for (normalize in c(FALSE, TRUE)) {
      turned <- suppressWarnings(rotate_factors(fit, rotation, normalize = normalize, eps = 1e-9))
      at <- information_point(turned)
      expect_lt(max(abs(rotation_conditions(turned)(at$L, at$F, at$u))), 1e-6)
    }
  }
  turned <- suppressWarnings(rotate_factors(fit, "oblimin", gam = -2, eps = 1e-9))
  at <- information_point(turned)
  expect_lt(max(abs(rotation_conditions(turned)(at$L, at$F, at$u))), 1e-5)
  expect_gt(max(abs(rotation_conditions(turned)(at$L + 0.1 * sin(seq_along(at$L)), at$F, at$u))), 0.01)
})

test_that("intervals are Wald's on the scale of each parameter", {
  fit <- quiet_fit(sample_factor_model(150, 8, 2, seed = 8), 2, rotation = "promax")
  for (standardised in c(FALSE, TRUE)) {
    bounds <- confint(fit, level = 0.9, standardised = standardised)
    table <- parameter_table(fit, standardised)
    expect_identical(rownames(bounds), table$name)
    expect_identical(colnames(bounds), c("5 %", "95 %"))
    se <- standard_errors(vcov(fit, standardised))
    z <- qnorm(0.95)
    expect_equal(unname(bounds[1:16, 2]), table$estimate[1:16] + z * se[1:16])
    r <- table$estimate[17]
    expect_equal(unname(atanh(bounds[17, ])), atanh(r) + c(-1, 1) * z * se[17] / (1 - r^2))
    noise <- table$estimate[18:25]
    if (standardised) {
      expect_equal(unname(qlogis(bounds[18:25, 1])), qlogis(noise) - z * se[18:25] / (noise * (1 - noise)))
    } else {
      expect_equal(unname(log(bounds[18:25, 1])), log(noise) - z * se[18:25] / noise)
    }
  }
  expect_identical(confint(fit, "Factor1=~g3"), confint(fit)[3, , drop = FALSE])
  expect_identical(confint(fit, 2:3), confint(fit)[2:3, ])
  expect_error(confint(fit, "nothing"), class = "covmash_error_index")
  expect_error(confint(fit, level = 2), class = "covmash_error_argument")
  expect_error(vcov(fit, standardised = NA), class = "covmash_error_argument")
})

test_that("Heywood genes are held, and where there are no standard errors the reason is said", {
  set.seed(2)
  f <- rnorm(200)
  x <- cbind(a = f + 1e-3 * rnorm(200), b = 0.5 * f + rnorm(200), c = 0.4 * f + rnorm(200), d = 0.6 * f + rnorm(200))
  fit <- quiet_fit(x, 1)
  expect_identical(unname(is.na(base::diag(vcov(fit)))), rep(c(FALSE, TRUE, FALSE), c(4, 1, 3)))
  x <- sample_factor_model(60, 8, 2, seed = 9)
  refused <- function(fit, why) expect_error(vcov(fit), why, class = "covmash_error_unsupported")
  refused(quiet_fit(x, 2, "ppca"), "method 'ppca'")
  refused(rotate_factors(quiet_fit(x, 2), stats::varimax(quiet_fit(x, 2)$loadings)), "rotation 'given'")
  x[2, 3] <- NA
  refused(quiet_fit(x, 1), "missing values")
  refused(fit_factor_model(sample_factor_model(20, 501, 1, seed = 1), 1, "ml", tol = 1e-3, n_threads = 1), "1000 parameters")
  skip_if_not_installed("GPArotation")
  refused(rotate_factors(quiet_fit(x[-2, ], 2), "infomaxQ"), "rotation 'infomaxQ'")
})
