test_that("a data object has mashr's elements, and both classes", {
  sim <- small_data(J = 6, R = 3)
  data <- mash_set_data(sim$Bhat, sim$Shat)
  expect_s3_class(data, c("mash_data", "mash"), exact = TRUE)
  expect_named(data, c("Bhat", "Shat", "Shat_alpha", "V", "commonV", "alpha"))
  expect_identical(data$Bhat, sim$Bhat)
  expect_identical(data$Shat, sim$Shat)
  expect_identical(data$Shat_alpha, array(1, dim(sim$Bhat), dimnames(sim$Bhat)))
  expect_equal(unname(data$V), diag(3))
  expect_true(data$commonV)
  expect_identical(data$alpha, 0)
})

test_that("Shat is 1 if not given, and a single number stands for all", {
  sim <- small_data(J = 6, R = 3)
  expect_identical(mash_set_data(sim$Bhat), mash_set_data(sim$Bhat, 1))
  expect_identical(unname(mash_set_data(sim$Bhat, 2)$Shat), matrix(2, 6, 3))
})

test_that("alpha divides Bhat by Shat^alpha and keeps that scale", {
  sim <- small_data(J = 6, R = 3, shat = "varying")
  z <- mash_set_data(sim$Bhat, sim$Shat, alpha = 1)
  expect_close(z$Bhat, sim$Bhat / sim$Shat, 1e-15)
  expect_true(all(z$Shat == 1))
  expect_close(z$Shat_alpha, sim$Shat, 1e-15)
  half <- mash_set_data(sim$Bhat, sim$Shat, alpha = 0.5)
  expect_close(half$Bhat, sim$Bhat / sqrt(sim$Shat), 1e-15)
  expect_close(half$Shat, sqrt(sim$Shat), 1e-15)
  expect_close(half$Shat_alpha, sqrt(sim$Shat), 1e-15)
  expect_identical(dimnames(half$Shat_alpha), dimnames(sim$Bhat))
  expect_identical(half$alpha, 0.5)
})

test_that("missing entries stay NA in Bhat and Shat, however they were marked", {
  sim <- small_data(J = 8, R = 3, shat = "varying")
  Bhat <- sim$Bhat
  Shat <- sim$Shat
  Bhat[2, 1] <- NA
  Shat[2, 1] <- NA
  Bhat[3, 2] <- NA
  Shat[4, 3] <- Inf
  for (alpha in c(0, 1)) {
    data <- mash_set_data(Bhat, Shat, alpha = alpha)
    holes <- cbind(c(2, 3, 4), c(1, 2, 3))
    expect_true(all(is.na(data$Bhat[holes])) && all(is.na(data$Shat[holes])))
    expect_identical(sum(is.na(data$Bhat)), 3L)
    expect_identical(is.na(data$Shat), is.na(data$Bhat))
    # The original scale of a missing effect is known only if its Shat is.
    expected <- Shat^alpha
    if (alpha == 1) expected[rbind(c(2, 1), c(4, 3))] <- NA
    if (alpha == 0) expected[] <- 1
    expect_close(data$Shat_alpha, expected, 1e-15)
  }
})

test_that("a row with nothing observed is accepted with a warning that counts it", {
  sim <- small_data(J = 8, R = 3)
  Bhat <- sim$Bhat
  Bhat[c(2, 5), ] <- NA
  heard <- character()
  data <- withCallingHandlers(
    {
      data <- mash_set_data(Bhat, 1)
      mash(data, cov_canonical(data), verbose = FALSE)
      data
    },
    covmash_warning_all_missing = function(w) {
      heard <<- c(heard, conditionMessage(w))
      invokeRestart("muffleWarning")
    }
  )
  expect_match(heard[1], "2 rows.*no observed")
  expect_identical(dim(data), c(8L, 3L))
})

test_that("data frames are accepted", {
  sim <- small_data(J = 6, R = 3)
  expect_identical(mash_set_data(as.data.frame(sim$Bhat), as.data.frame(sim$Shat)), mash_set_data(sim$Bhat, sim$Shat))
  expect_input_error(mash_set_data(data.frame(a = 1:3, b = letters[1:3])), "Bhat")
})

test_that("integers are numbers", {
  data <- mash_set_data(matrix(1:6, 3), matrix(1L, 3, 2))
  expect_true(is.double(data$Bhat) && is.double(data$Shat))
})

test_that("a vector is one condition", {
  data <- mash_set_data(c(a = 1, b = 2), c(1, 3))
  expect_identical(data$Bhat, matrix(c(1, 2), 2, dimnames = list(c("a", "b"), NULL)))
  expect_identical(unname(data$Shat), matrix(c(1, 3)))
})

test_that("one row and one condition keep their dimensions", {
  row <- mash_set_data(matrix(c(1, 2, 3), 1))
  expect_identical(dim(row$Bhat), c(1L, 3L))
  column <- mash_set_data(matrix(c(1, 2, 3)))
  expect_identical(dim(column$Bhat), c(3L, 1L))
  expect_identical(dim(column$V), c(1L, 1L))
})

test_that("duplicated names are kept, with a warning", {
  Bhat <- matrix(rnorm(6), 3, dimnames = list(c("x", "y", "x"), c("a", "b")))
  expect_covmash_warning(data <- mash_set_data(Bhat, 1), "x")
  expect_identical(rownames(data$Bhat), c("x", "y", "x"))
  colnames(Bhat) <- c("a", "a")
  rownames(Bhat) <- NULL
  expect_covmash_warning(mash_set_data(Bhat, 1), "a")
})

test_that("names given by one of Bhat and Shat only are those of the data", {
  sim <- small_data(J = 5, R = 2)
  expect_identical(dimnames(mash_set_data(sim$Bhat, unname(sim$Shat))$Bhat), dimnames(sim$Bhat))
})

test_that("bad estimates and standard errors are refused, each for its own reason", {
  sim <- small_data(J = 8, R = 3)
  Bhat <- sim$Bhat
  Shat <- sim$Shat
  change <- function(x, i, j, value) {
    x[i, j] <- value
    x
  }
  expect_input_error(mash_set_data(Shat, Bhat), "negative.*swapped|swapped.*negative|Shat.*swapped")
  expect_input_error(mash_set_data(Bhat, Shat[, -1]), "Shat")
  expect_input_error(mash_set_data(Bhat, Shat[-1, ]), "Shat")
  expect_input_error(mash_set_data("a"), "Bhat")
  expect_input_error(mash_set_data(matrix("a", 2, 2)), "Bhat")
  expect_input_error(mash_set_data(Bhat, matrix("1", 8, 3)), "Shat")
  expect_input_error(mash_set_data(Bhat[0, ], Shat[0, ]), "Bhat")
  expect_input_error(mash_set_data(change(Bhat, 3, 2, NaN), Shat), "Bhat.*(row 3|e003)")
  expect_input_error(mash_set_data(change(Bhat, 3, 2, Inf), Shat), "Bhat.*(row 3|e003)")
  expect_input_error(mash_set_data(change(Bhat, 3, 2, -Inf), Shat), "Bhat.*(row 3|e003)")
  expect_input_error(mash_set_data(Bhat, change(Shat, 4, 1, 0)), "Shat.*(row 4|e004)")
  expect_input_error(mash_set_data(Bhat, change(Shat, 4, 1, NaN)), "Shat.*(row 4|e004)")
  expect_input_error(mash_set_data(Bhat, change(Shat, 4, 1, -1)), "Shat.*(row 4|e004)")
  expect_input_error(mash_set_data(Bhat, 0), "Shat")
  expect_input_error(mash_set_data(Bhat, Shat[8:1, ]), "row 1 is 'e008'.*'e001'")
  expect_input_error(mash_set_data(Bhat, Shat[, 3:1]),  "column 1 is 'c'.*'a'")
  expect_input_error(mash_set_data(Bhat, Shat, alpha = NA), "alpha")
  expect_input_error(mash_set_data(Bhat, Shat, alpha = "1"), "alpha")
})

test_that("a bad noise correlation is refused, each for its own reason", {
  Bhat <- small_data(J = 8, R = 3)$Bhat
  expect_input_error(mash_set_data(Bhat, 1, V = diag(2)), "V")
  expect_input_error(mash_set_data(Bhat, 1, V = matrix(1, 3, 3)), "V.*positive definite")
  expect_input_error(mash_set_data(Bhat, 1, V = diag(c(1, 1, -1))), "V.*positive definite")
  asymmetric <- diag(3)
  asymmetric[1, 2] <- 0.5
  expect_input_error(mash_set_data(Bhat, 1, V = asymmetric), "V.*symmetric")
  expect_input_error(mash_set_data(Bhat, 1, V = diag(c(1, NA, 1))), "V")
  expect_input_error(mash_set_data(Bhat, 1, V = "a"), "V")
})

test_that("standard errors of zero can be reset, each kind by its own argument", {
  Bhat <- matrix(c(0, -1, 2, 3), 2)
  Shat <- matrix(c(0, 0, 1, 1), 2)
  expect_input_error(mash_set_data(Bhat, Shat), "Shat")
  data <- mash_set_data(Bhat, Shat, zero_Bhat_Shat_reset = 5, zero_Shat_reset = 7)
  expect_identical(unname(data$Shat), matrix(c(5, 7, 1, 1), 2))
  expect_identical(unname(data$Bhat), Bhat)
  expect_input_error(mash_set_data(Bhat, Shat, zero_Shat_reset = 7), "Shat")
})

test_that("an array of V has a matrix for each effect, each checked", {
  sim <- small_data(J = 6, R = 3)
  V <- array(diag(3), c(3, 3, 6))
  data <- mash_set_data(sim$Bhat, sim$Shat, V = V)
  expect_false(data$commonV)
  expect_identical(data$V, V)
  expect_identical(data[2:3, 1:2]$V, V[1:2, 1:2, 2:3])
  expect_output(print(data), "differently for each effect")
  expect_output(print(summary(data)), "differently for each effect")
  V_error <- "covmash_error_V"
  expect_error(mash_set_data(sim$Bhat, sim$Shat, V = V[, , 1:5]), "3 x 3 x 6", class = V_error)
  bad <- V
  bad[1, 2, 4] <- 0.5
  expect_error(mash_set_data(sim$Bhat, sim$Shat, V = bad), "symmetric.*effect 4", class = V_error)
  bad[, , 4] <- 1
  expect_error(mash_set_data(sim$Bhat, sim$Shat, V = bad), "positive definite.*effect 4", class = V_error)
  bad[2, 2, 5] <- NA
  expect_error(mash_set_data(sim$Bhat, sim$Shat, V = bad), "finite.*effect 5", class = V_error)
  for (call in list(function() cov_udi(data), function() mash_estimate_corr_em(data, cov_canonical(data)))) {
    expect_error(call(), "differs between effects", class = "covmash_error_unsupported")
  }
})

test_that("p-values give the standard errors of their z-scores, far out too", {
  Bhat <- matrix(c(1, -2, 3, -4), 2, dimnames = list(NULL, c("a", "b")))
  p <- matrix(c(0.3, 1e-5, 1e-200, 4e-320), 2)
  data <- mash_set_data(Bhat, pval = p)
  z <- data$Bhat / data$Shat
  expect_equal(2 * pnorm(-abs(z[1:3])), p[1:3], tolerance = 1e-10)
  expect_equal(pnorm(-abs(z[4]), log.p = TRUE) + log(2), log(p[4]), tolerance = 1e-10)
  expect_identical(sign(z), sign(Bhat))
  Bhat[1] <- NA
  p[1] <- NA
  expect_identical(is.na(mash_set_data(Bhat, pval = p)$Shat), is.na(Bhat))
  pval_error <- "covmash_error_pval"
  expect_error(mash_set_data(Bhat, pval = replace(p, 2, 0)), "above 0.*is 0", class = pval_error)
  expect_error(mash_set_data(Bhat, pval = replace(p, 2, 1)), "no standard error", class = pval_error)
  expect_error(mash_set_data(replace(Bhat, 2, 0), pval = p), "no standard error", class = pval_error)
  expect_error(mash_set_data(Bhat, pval = replace(p, 2, NA)), "is NA", class = pval_error)
  expect_error(mash_set_data(Bhat, 1, pval = p), "both", class = "covmash_error_argument")
  expect_error(mash_set_data(Bhat, pval = p, df = 5), "df", class = "covmash_error_argument")
  expect_error(mash_set_data(Bhat, pval = p[, 1, drop = FALSE]), "pval", class = "covmash_error_dimensions")
})

test_that("t-statistics give the z-scores of their p-values, far out too", {
  Bhat <- matrix(c(1, -2, 0, 60, 1e-9, NA), 3)
  Shat <- matrix(c(1, 0.5, 2, 1, 1, 1), 3)
  data <- mash_set_data(Bhat, Shat, df = 5)
  z <- data$Bhat / data$Shat
  expect_equal(pnorm(-abs(z)[1:2]), pt(-abs(Bhat / Shat)[1:2], 5), tolerance = 1e-12)
  expect_identical(data$Shat[3], 2)
  expect_equal(pnorm(-z[4], log.p = TRUE), pt(-60, 5, log.p = TRUE), tolerance = 1e-12)
  # mashr has a standard error of 0 here
  far <- mash_set_data(matrix(60), 1, df = 5000)
  expect_equal(pnorm(-60 / far$Shat[1], log.p = TRUE), pt(-60, 5000, log.p = TRUE), tolerance = 1e-10)
  by_row <- mash_set_data(Bhat, Shat, df = c(5, Inf, 7))
  expect_identical(by_row$Shat[1], data$Shat[1])
  expect_identical(by_row$Shat[2], Shat[2])
  expect_identical(mash_set_data(Bhat, Shat, df = matrix(5, 3, 2)), data)
  expect_identical(mash_set_data(Bhat, Shat, df = Inf), mash_set_data(Bhat, Shat))
  for (df in list(0, NA, "5", 1:2, matrix(5, 2, 2))) {
    expect_error(mash_set_data(Bhat, Shat, df = df), "df", class = "covmash_error_argument")
  }
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

test_that("a reset value holds however small it is", {
  Bhat <- matrix(c(0, 1, 0.5, 2), 2)
  Shat <- matrix(c(0, 0, 1, 1), 2)
  data <- mash_set_data(Bhat, Shat, zero_Bhat_Shat_reset = 1e-20, zero_Shat_reset = 1e-18)
  expect_identical(unname(data$Shat[, 1]), c(1e-20, 1e-18))
  expect_false(anyNA(data$Bhat))
})

test_that("numbers whose squares overflow are named, however they came about", {
  for (size in c(1e155, 1e200, 1e300)) {
    expect_error(mash_set_data(matrix(c(1, size), 1), 1), "column 2", class = "covmash_error_magnitude")
    expect_error(mash_set_data(matrix(1, 2, 2), matrix(c(1, 1, 1, size), 2)), "row 2", class = "covmash_error_magnitude")
    tiny <- matrix(c(1, 1 / size), 1)
    expect_error(mash_set_data(matrix(1, 1, 2), tiny, zero_check_tol = 0), class = "covmash_error_magnitude")
  }
  expect_error(mash_set_data(matrix(1e100), 1e-100, zero_check_tol = 0), class = "covmash_error_magnitude")
  x <- matrix(c(1, 2, 3, 4), 2)
  expect_error(mash_set_data(x, 10 * x, alpha = 1e3), "alpha = 1000", class = "covmash_error_magnitude")
  expect_error(mash_set_data(x, 10 * x, alpha = -1e3), "alpha = -1000", class = "covmash_error_magnitude")
  expect_error(mash_1by1(mash_set_data(x, 10 * x), alpha = 1e3), class = "covmash_error_input")
  expect_error(mash_set_data(x, 1, V = diag(1e200, 2)), "1e\\+200", class = "covmash_error_V")
  # What is far but not beyond is computed with.
  far <- mash_set_data(x * 1e120, 1e110)
  fit <- mash(far, cov_canonical(far), verbose = FALSE)
  near <- mash_set_data(x * 1e10, 1)
  expect_close(get_pm(fit) / 1e110, get_pm(mash(near, cov_canonical(near), verbose = FALSE)), 1e-3)
})

test_that("arguments that are left out are named", {
  expect_input_error(mash_set_data(), "Bhat")
  expect_input_error(mash_1by1(), "data")
  expect_input_error(mash_compute_loglik(), "data")
})
