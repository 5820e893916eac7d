test_that("each covariance matrix is checked and named in the message", {
  data <- small_data(R = 3)$data
  good <- diag(3)
  fit <- function(Ulist) mash(data, Ulist, verbose = FALSE)
  asymmetric <- good
  asymmetric[1, 2] <- 0.5
  expect_input_error(fit(list(good = good, slanted = asymmetric)), "slanted.*symmetric")
  expect_input_error(fit(list(good = good, sunk = diag(c(1, 1, -0.1)))), "sunk.*positive semi-definite")
  expect_input_error(fit(list(good = good, small = diag(2))), "small.*2 x 2.*3 conditions")
  expect_input_error(fit(list(good = good, letters = matrix("a", 3, 3))), "letters.*numeric")
  expect_input_error(fit(list(good = good, hole = diag(c(1, NA, 1)))), "hole.*finite")
  expect_input_error(fit(list(good = good, wide = matrix(1, 3, 2))), "wide")
  expect_input_error(fit(list()), "Ulist.*empty")
  expect_input_error(fit("identity"), "Ulist.*list")
  expect_input_error(fit(list(asymmetric)), "U1.*symmetric")
})

test_that("matrices with the conditions in another order are refused", {
  data <- small_data(R = 3)$data
  U <- diag(1:3 / 3)
  dimnames(U) <- list(letters[1:3], letters[1:3])
  expect_true(is.finite(mash(data, list(u = U), verbose = FALSE)$loglik))
  expect_input_error(mash(data, list(u = U[3:1, 3:1]), verbose = FALSE), "order")
})

test_that("rounding is no asymmetry, and a tiny negative eigenvalue no indefiniteness", {
  data <- small_data(R = 3)$data
  U <- tcrossprod(c(1, 0.3, 0.7))
  U[1, 2] <- U[1, 2] * (1 + 1e-15)
  expect_true(is.finite(mash(data, list(u = U), verbose = FALSE)$loglik))
})

test_that("an unnamed or partly named list is named for the user", {
  data <- small_data(R = 3)$data
  fit <- mash(data, list(diag(3), matrix(1, 3, 3)), verbose = FALSE)
  expect_named(fit$fitted_g$Ulist, c("U1", "U2"))
  expect_identical(names(fit$fitted_g$pi)[1:3], c("null", "U1.1", "U2.1"))
  fit <- mash(data, list(id = diag(3), matrix(1, 3, 3)), verbose = FALSE)
  expect_named(fit$fitted_g$Ulist, c("id", "U2"))
})

test_that("two matrices of one name are told apart, with a warning", {
  data <- small_data(R = 3)$data
  expect_covmash_warning(fit <- mash(data, list(a = diag(3), a = matrix(1, 3, 3)), verbose = FALSE), "'a'")
  expect_false(anyDuplicated(names(fit$fitted_g$pi)) > 0)
})

test_that("an error names the function the user called", {
  error <- tryCatch(mash_set_data("a"), error = identity)
  expect_match(deparse(error$call)[1], "mash_set_data")
})

test_that("what is no data object or no fit is refused, and told how to make one", {
  sim <- small_data(R = 3)
  expect_input_error(mash(sim$Bhat, list(diag(3))), "data.*mash_set_data")
  expect_input_error(mash_1by1(sim$Bhat), "data.*mash_set_data")
  expect_input_error(cov_pca(sim$Bhat, 2), "data.*mash_set_data")
  expect_input_error(cov_ed(list(1), list(diag(3))), "data.*mash_set_data")
  fit <- mash(sim$data, list(id = diag(3)), verbose = FALSE)
  expect_input_error(mash_compute_loglik(fit, sim$Bhat), "data.*mash_set_data")
  expect_input_error(mash_compute_loglik(sim$data, sim$data), "`g` must")
  expect_input_error(get_estimated_pi(sim$data), "mash")
})
