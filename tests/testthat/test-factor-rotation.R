test_that("rotations are those of factanal", {
  x <- sample_factor_model(400, 12, 3, seed = 1)
  fit <- fit_factor_model(x, 3, n_threads = 1)
  for (rotation in c("varimax", "promax")) {
    turned <- rotate_factors(fit, rotation)
    peer <- stats::factanal(x, 3, rotation = rotation, control = tight_factanal)
    expect_equal(
      unclass(turned$loadings / sqrt(turned$variance)), unclass(peer$loadings)[, ],
      tolerance = 1e-5, ignore_attr = TRUE
    )
    expect_equal(as.matrix(turned$covariance), as.matrix(fit$covariance), tolerance = 1e-10)
    expect_equal(turned$loadings, fit$loadings %*% turned$rotation_matrix, ignore_attr = TRUE)
    expect_identical(turned$rotation, rotation)
    direct <- fit_factor_model(x, 3, rotation = rotation, n_threads = 1)
    expect_equal(direct$loadings, turned$loadings)
    back <- rotate_factors(turned, "none")
    expect_equal(back$loadings, fit$loadings)
    expect_null(back$factor_covariance)
  }
  expect_equal(base::diag(turned$factor_covariance), rep(1, 3), ignore_attr = TRUE, tolerance = 1e-6)
})

test_that("one factor has nothing to rotate", {
  fit <- quiet_fit(sample_factor_model(50, 6, 1), 1, rotation = "promax")
  expect_null(fit$factor_covariance)
  expect_identical(fit$rotation_matrix, matrix(1))
  expect_error(rotate_factors(1), class = "covmash_error_fit")
  expect_error(rotate_factors(fit, "obl"), class = "covmash_error_argument")
  skip_if_not_installed("GPArotation")
  expect_identical(rotate_factors(fit, "oblimin")$rotation_matrix, matrix(1))
})

test_that("rotations of GPArotation are those of its own call, and everything reads them", {
  skip_if_not_installed("GPArotation")
  x <- sample_factor_model(300, 12, 3, seed = 2)
  fit <- fit_factor_model(x, 3, n_threads = 1)
  standard <- unname(fit$loadings / sqrt(fit$variance))
  for (rotation in c(rotations_orthogonal, rotations_oblique)) {
    arguments <- switch(rotation,
      targetT = , targetQ = list(Target = matrix(rep(c(NA, 0), c(20, 16)), 12)),
      pstT = , pstQ = list(W = 1 * (abs(standard) < 0.3), Target = 0 * standard),
      list()
    )
    # lp and simplimax have no gradient at 0, oblimax no optimum of its own.
    if (rotation %in% c("lpT", "lpQ", "simplimax", "oblimax")) next
    # Older versions lack some.
    if (!exists(rotation, asNamespace("GPArotation"), inherits = FALSE)) next
    set.seed(1)
    peer <- do.call(get(rotation, asNamespace("GPArotation")), c(list(standard), arguments))
    set.seed(1)
    turned <- suppressWarnings(do.call(rotate_factors, c(list(fit, rotation), arguments)))
    ours <- turned$loadings / sqrt(turned$variance)
    order <- max.col(abs(cosines(ours, unclass(peer$loadings))))
    expect_equal(abs(unname(ours)), abs(unname(peer$loadings[, order])), tolerance = 1e-8, ignore_attr = TRUE)
    expect_equal(as.matrix(turned$covariance), as.matrix(fit$covariance), tolerance = 1e-8)
    if (rotation %in% rotations_oblique) {
      F <- turned$factor_covariance
      expect_equal(unname(base::diag(F)), rep(1, 3))
      expect_equal(abs(unname(F)), abs(unname(peer$Phi[order, order])), tolerance = 1e-8)
      expect_identical(turned$covariance$F, F)
      expect_equal(sum(summary(turned)$factors$ss_loadings), sum(1 - fit$uniquenesses), tolerance = 1e-6)
    } else {
      expect_null(turned$factor_covariance)
    }
    expect_equal(turned$uniquenesses, fit$uniquenesses)
    # Scores are turned with the factors: f = T^-1 f0 (regression).
    scores <- factor_scores(turned, x)
    expect_equal(unname(scores %*% t(turned$loadings)), unname(factor_scores(fit, x) %*% t(fit$loadings)), tolerance = 1e-6)
  }
  direct <- fit_factor_model(x, 3, rotation = "oblimin", n_threads = 1)
  expect_equal(direct$loadings, rotate_factors(fit, "oblimin")$loadings)
  expect_output(print(direct), "rotation oblimin")
  expect_warning(rotate_factors(fit, "oblimin", maxit = 1), class = "covmash_warning_convergence")
  expect_error(rotate_factors(fit, "oblimin", gam = "a"), "GPArotation::oblimin", class = "covmash_error_argument")
  expect_error(rotate_factors(fit, "targetT"), class = "covmash_error_argument")
})

test_that("without GPArotation its rotations are an error that says what to install", {
  skip_if(requireNamespace("GPArotation", quietly = TRUE), "GPArotation is installed")
  fit <- quiet_fit(sample_factor_model(50, 6, 2), 2)
  expect_error(rotate_factors(fit, "oblimin"), "install.packages", class = "covmash_error_package")
  expect_error(quiet_fit(mtcars[1:5], 2, rotation = "geominQ"), class = "covmash_error_package")
})

test_that("what was rotated elsewhere is handed back", {
  x <- sample_factor_model(300, 10, 2, seed = 3)
  fit <- fit_factor_model(x, 2, n_threads = 1)
  standard <- fit$loadings / sqrt(fit$variance)
  varimax <- stats::varimax(standard)
  ours <- rotate_factors(fit, varimax)
  expect_equal(unname(ours$loadings / sqrt(fit$variance)), unname(unclass(varimax$loadings)), ignore_attr = TRUE)
  expect_null(ours$factor_covariance)
  expect_identical(ours$rotation, "given")
  # from the loadings in units of the data, or of a fit that was turned before
  promax <- stats::promax(fit$loadings)
  ours <- rotate_factors(rotate_factors(fit, "varimax"), promax)
  expect_equal(unname(ours$loadings), unname(unclass(promax$loadings)), ignore_attr = TRUE, tolerance = 1e-6)
  expect_equal(unname(base::diag(ours$factor_covariance)), c(1, 1))
  expect_equal(as.matrix(ours$covariance), as.matrix(fit$covariance), tolerance = 1e-10)
  expect_equal(rotate_factors(ours, "none")$loadings, fit$loadings)
  # T itself; its columns are scaled
  turn <- matrix(c(2, 0, 1, 3), 2)
  given <- rotate_factors(fit, turn)
  expect_equal(unname(base::diag(given$factor_covariance)), c(1, 1))
  expect_equal(cosines(given$loadings, fit$loadings %*% turn)[cbind(1:2, 1:2)], c(1, 1))
  expect_equal(as.matrix(given$covariance), as.matrix(fit$covariance), tolerance = 1e-10)
  quarter <- matrix(c(0, 1, -1, 0), 2)
  expect_null(rotate_factors(fit, quarter)$factor_covariance)
  for (bad in list(matrix(0, 2, 2), matrix(1, 2, 2), diag(3), matrix(NA_real_, 2, 2), matrix("a", 2, 2), list(a = 1), list())) {
    expect_error(rotate_factors(fit, bad), "rotation", class = "covmash_error_argument")
  }
  expect_error(rotate_factors(fit, fit$loadings^2), "no rotation of those", class = "covmash_error_argument")
  expect_error(rotate_factors(fit, quarter, normalize = TRUE), class = "covmash_error_argument")
  skip_if_not_installed("GPArotation")
  peer <- GPArotation::quartimin(standard)
  ours <- rotate_factors(fit, peer)
  expect_equal(unname(ours$loadings / sqrt(fit$variance)), unname(unclass(peer$loadings)), ignore_attr = TRUE, tolerance = 1e-6)
  expect_equal(unname(ours$factor_covariance), unname(peer$Phi), tolerance = 1e-6)
})
