with_placeholders <- function(value, J = 300, R = 4, every = 11, seed = 1) {
  withr::with_seed(seed, {
    Shat <- matrix(exp(rnorm(J * R, log(0.1), 0.4)), J, R, dimnames = list(NULL, letters[seq_len(R)]))
    Bhat <- matrix(rnorm(J * R, sd = sqrt(Shat^2 + 0.04)), J, R, dimnames = dimnames(Shat))
  })
  hidden <- which(seq_along(Bhat) %% every == 3)
  Bhat[hidden] <- 0
  Shat[hidden] <- NA
  largest <- apply(Shat, 2, max, na.rm = TRUE)
  Shat[hidden] <- if (is.null(value)) largest[(hidden - 1) %/% J + 1] else value
  list(Bhat = Bhat, Shat = Shat, hidden = hidden)
}

test_that("placeholders of every kind that pipelines write are recognised and counted once", {
  for (value in list(10, 1e3, 1e6, 1e16, NULL)) {
    x <- with_placeholders(value)
    heard <- character()
    d <- withCallingHandlers(
      mash_set_data(x$Bhat, x$Shat),
      covmash_warning_placeholder = function(cnd) {
        heard <<- c(heard, conditionMessage(cnd))
        rlang::cnd_muffle(cnd)
      }
    )
    expect_length(heard, 1)
    expect_match(heard, paste(length(x$hidden), "entries look like placeholders"))
    expect_match(heard, "placeholder_to_na")
    expect_false(anyNA(d$Bhat))
    expect_message(mended <- placeholder_to_na(d), paste(length(x$hidden), "placeholders"))
    expect_identical(which(is.na(mended$Bhat)), x$hidden)
    expect_identical(is.na(mended$Shat), is.na(mended$Bhat))
    plain <- suppressMessages(placeholder_to_na(x[c("Bhat", "Shat")]))
    expect_identical(which(is.na(plain$Bhat)), x$hidden)
    expect_identical(mash_set_data(plain$Bhat, plain$Shat), mended)
  }
})

test_that("a single one with a standard error far beyond the others is seen, one of its size not", {
  x <- with_placeholders(1e6, every = 2000)
  expect_length(x$hidden, 1)
  expect_warning(mash_set_data(x$Bhat, x$Shat), "1 entry looks like a placeholder", class = "covmash_warning_placeholder")
  x$Shat[x$hidden] <- median(x$Shat)
  expect_no_warning(mash_set_data(x$Bhat, x$Shat))
})

test_that("they are seen on the scale of z-scores too", {
  x <- with_placeholders(1e6)
  d <- suppressWarnings(mash_set_data(x$Bhat, x$Shat, alpha = 1))
  expect_true(all(d$Shat == 1))
  mended <- suppressMessages(placeholder_to_na(d))
  expect_identical(which(is.na(mended$Bhat)), x$hidden)
  expect_identical(which(is.na(mended$Shat_alpha)), x$hidden)
})

test_that("zeros that are estimates are left in peace", {
  # Rounded estimates with a common standard error, counts of nothing, one condition of zeros.
  z <- withr::with_seed(2, round(matrix(rnorm(400), 100), 1))
  expect_gt(sum(z == 0), 3)
  expect_no_warning(mash_set_data(z, 1))
  expect_no_warning(mash_set_data(z, matrix(0.5, 100, 4)))
  rounded <- withr::with_seed(2, round(matrix(runif(400, 0.4, 0.6), 100), 2))
  expect_no_warning(mash_set_data(z, rounded))
  expect_no_warning(mash_set_data(cbind(z[, 1], 0), 1))
  expect_no_warning(mash_set_data(matrix(0, 5, 2), 1))
  expect_message(placeholder_to_na(mash_set_data(z, 1)), "No placeholder")
})

test_that("with them made missing the answer is that of the data without them", {
  x <- withr::with_seed(4, {
    effects <- matrix(0, 600, 6)
    effects[1:180, ] <- rnorm(180, 0, 0.5)
    Shat <- matrix(exp(rnorm(3600, log(0.15), 0.3)), 600)
    list(Bhat = effects + rnorm(3600) * Shat, Shat = Shat, hidden = runif(3600) < 0.6)
  })
  written <- function(value) {
    mash_set_data(replace(x$Bhat, x$hidden, value[1]), replace(x$Shat, x$hidden, value[2]), alpha = 1)
  }
  z <- suppressWarnings(written(c(0, 1e6)))
  truth <- suppressWarnings(written(c(NA, NA)))
  mended <- suppressMessages(suppressWarnings(placeholder_to_na(z)))
  U <- cov_canonical(truth)
  fits <- lapply(list(z = z, truth = truth, mended = mended), mash, U, verbose = FALSE)
  expect_identical(fits$mended$result, fits$truth$result)
  # As observed zeros they hide effects.
  expect_gt(get_pi0(fits$z), get_pi0(fits$truth) + 0.1)
  n_found <- function(fit) sum(get_lfsr(fit)[!x$hidden] < 0.05)
  expect_gt(n_found(fits$truth), 1.2 * n_found(fits$z))
})

test_that("what is no data is refused", {
  expect_error(placeholder_to_na(3), class = "covmash_error_data")
  expect_error(placeholder_to_na(list(Bhat = "a", Shat = 1)), class = "covmash_error_type")
})
