damage <- function(x, ...) {
  changes <- list(...)
  for (part in names(changes)) x[part] <- changes[part]
  x
}

test_that("a damaged data object is refused where it enters, with what is wrong", {
  skip_on_cran()
  sim <- small_data(J = 12, R = 3, shat = "varying")
  d <- sim$data
  U <- cov_canonical(d)
  fit <- mash(d, U, verbose = FALSE)
  broken <- list(
    "Bhat` must be a numeric matrix, not NULL" = damage(d, Bhat = NULL),
    "Bhat` must be a numeric matrix, not a char" = damage(d, Bhat = array("1", dim(d$Bhat))),
    "Shat` is 11 x 3" = damage(d, Shat = d$Shat[-1, ]),
    "Shat_alpha` is 12 x 2" = damage(d, Shat_alpha = d$Shat_alpha[, -1]),
    "V` must be a numeric matrix of 3 x 3" = damage(d, V = diag(2)),
    "V` is not finite and symmetric" = damage(d, V = matrix(1:9 / 9, 3)),
    "alpha` must be one finite number" = damage(d, alpha = NA_real_),
    "alpha` must be one finite number, not 'x'" = damage(d, alpha = "x"),
    "standard error -1 in row 2" = damage(d, Shat = replace(d$Shat, 2, -1)),
    "standard error 0 in row 3" = damage(d, Shat = replace(d$Shat, 3, 0)),
    "standard error NA in row 1" = damage(d, Shat = replace(d$Shat, 1, NA)),
    "estimate Inf in row 4" = damage(d, Bhat = replace(d$Bhat, 4, Inf)),
    "estimate 1e\\+200" = damage(d, Bhat = replace(d$Bhat, 5, 1e200)),
    "Shat_alpha` must be positive" = damage(d, Shat_alpha = replace(d$Shat_alpha, 3, -1))
  )
  doors <- list(
    function(x) mash(x, U, verbose = FALSE), function(x) mash_1by1(x), function(x) cov_pca(x, 2),
    function(x) cov_ed(x, U[1], maxiter = 2), function(x) cov_canonical(x), function(x) predict(fit, x),
    function(x) mash_compute_loglik(fit, x), function(x) augment(fit, x), function(x) placeholder_to_na(x),
    function(x) get_posterior_weights(fit, x), function(x) mash(x, g = fit, fixg = TRUE, verbose = FALSE)
  )
  for (i in seq_along(broken)) {
    for (door in doors) {
      expect_error(door(broken[[i]]), names(broken)[i], class = "covmash_error_input")
    }
  }
  expect_error(mash(structure(1, class = "mash_data"), U), class = "covmash_error_data")
  for (i in 1:8) {
    expect_error(broken[[i]][1:2, ], names(broken)[i], class = "covmash_error_data")
    expect_error(print(broken[[i]]), names(broken)[i], class = "covmash_error_data")
    expect_error(summary(broken[[i]]), names(broken)[i], class = "covmash_error_data")
  }
  expect_error(mash(), "data", class = "covmash_error_data")
})

test_that("edits that make sense keep working", {
  sim <- small_data(J = 30, R = 3, shat = "varying")
  d <- sim$data
  d$Bhat[2, ] <- c(1, NA, 3)
  Bhat <- sim$Bhat
  Bhat[2, ] <- c(1, NA, 3)
  U <- cov_canonical(d)
  expected <- mash(mash_set_data(Bhat, sim$Shat), U, verbose = FALSE)
  edited <- mash(d, U, verbose = FALSE)
  expect_identical(edited$result, expected$result)
  d$Bhat <- round(d$Bhat)
  storage.mode(d$Bhat) <- "integer"
  expect_identical(mash(d, U, verbose = FALSE)$loglik, mash(mash_set_data(round(Bhat), sim$Shat), U, verbose = FALSE)$loglik)
})

test_that("a data object comes back from a file as it was", {
  sim <- small_data(J = 10, R = 2)
  file <- withr::local_tempfile()
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  saveRDS(list(sim$data, fit), file)
  back <- readRDS(file)
  expect_identical(predict(back[[2]], back[[1]])$lfsr, fit$result$lfsr)
  expect_identical(get_pi0(back[[2]]), get_pi0(fit))
})

test_that("a damaged fit is refused, not answered", {
  sim <- small_data(J = 20, R = 2)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  with_pi <- function(pi) {
    fit$fitted_g$pi <- pi
    fit
  }
  pi <- fit$fitted_g$pi
  for (bad in list(-pi, 1.04 * pi, pi[-1], as.character(pi), replace(pi, 2, NA), replace(pi, 1, Inf), NULL)) {
    expect_error(get_pi0(with_pi(bad)), "pi", class = "covmash_error_fit")
    expect_error(get_estimated_pi(with_pi(bad)), "pi", class = "covmash_error_fit")
    expect_error(tidy(with_pi(bad), "weights"), "pi", class = "covmash_error_fit")
    if (identical(bad, 1.04 * pi)) next
    expect_error(mash_compute_loglik(with_pi(bad), sim$data), "pi", class = "covmash_error_g")
    expect_error(mash(sim$data, g = with_pi(bad), fixg = TRUE, verbose = FALSE), "pi", class = "covmash_error_g")
  }
  # A prior of which parts were taken out is scaled.
  expect_warning(l <- mash_compute_loglik(with_pi(1.04 * pi), sim$data), "scaled", class = "covmash_warning_pi")
  expect_equal(l, fit$loglik, tolerance = 1e-12)
  no_matrices <- fit
  no_matrices$fitted_g$Ulist <- list()
  expect_error(get_pi0(no_matrices), "Ulist", class = "covmash_error_fit")
  no_grid <- fit
  no_grid$fitted_g$grid <- c(1, NA)
  expect_error(get_pi0(no_grid), "grid", class = "covmash_error_fit")
  no_flag <- fit
  no_flag$fitted_g$usepointmass <- NA
  expect_error(get_estimated_pi(no_flag), "usepointmass", class = "covmash_error_fit")
})

test_that("accessors answer or say why not", {
  sim <- small_data(J = 20, R = 2)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  short <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE, outputlevel = 1)
  for (get in list(get_pm, get_psd, get_lfsr, get_lfdr, get_np)) {
    expect_error(get(sim$data), "fit of mash", class = "covmash_error_fit")
    expect_error(get(3), "not 3", class = "covmash_error_fit")
    expect_error(get(short), "outputlevel", class = "covmash_error_fit")
  }
  expect_null(get_lfdr(fit))
  for (get in list(get_loglik, get_fitted_g)) {
    expect_error(get(3), class = "covmash_error_fit")
    expect_error(get(sim$data), class = "covmash_error_fit")
  }
  expect_identical(get_loglik(short), short$loglik)
  expect_identical(get_pm(list(result = list(PosteriorMean = diag(2)))), diag(2))
})

test_that("data objects of mashr keep their 0 and 1e6, with one message", {
  Bhat <- matrix(c(1, 0, 2, 0.5, -1, 0.3), 3, dimnames = list(NULL, c("a", "b")))
  Shat <- matrix(c(1, 1e6, 1, 1, 1, 1), 3, dimnames = dimnames(Bhat))
  theirs <- structure(
    list(Bhat = Bhat, Shat = Shat, Shat_alpha = array(1, dim(Bhat)), V = diag(2), commonV = TRUE, alpha = 0),
    class = "mash"
  )
  U <- list(id = diag(2))
  expect_message(fit <- mash(theirs, U, grid = 1, verbose = FALSE), "1 such entry", class = "covmash_message_placeholder")
  ours <- suppressWarnings(mash_set_data(Bhat, Shat), classes = "covmash_warning_placeholder")
  expect_identical(fit$vloglik, mash(ours, U, grid = 1, verbose = FALSE)$vloglik)
  expect_message(mended <- placeholder_to_na(theirs), "1 placeholder")
  expect_identical(which(is.na(mended$Bhat)), 2L)
  theirs$V <- array(diag(2), c(2, 2, 3))
  expect_equal(suppressMessages(mash(theirs, U, grid = 1, verbose = FALSE))$vloglik, fit$vloglik, tolerance = 1e-11)
})

test_that("a fit that is not whole does not print, and says why", {
  empty <- structure(list(), class = c("mash_fit", "mash"))
  broken <- mash(small_data()$data, cov_canonical(small_data()$data), verbose = FALSE)
  broken$noise$n_effects <- NULL
  for (f in list(print, format, logLik, nobs)) {
    expect_error(f(empty), class = "covmash_error_fit")
    expect_error(f(broken), "`noise`", class = "covmash_error_fit")
  }
})
