plain_sharing <- function(fit, factor, thresh, FUN = identity) {
  lfsr <- fit$result$lfsr
  pm <- fit$result$PosteriorMean
  R <- ncol(pm)
  S <- matrix(NA_real_, R, R, dimnames = list(colnames(pm), colnames(pm)))
  for (i in seq_len(R)) {
    for (j in seq_len(R)) {
      rows <- which(lfsr[, i] < thresh | lfsr[, j] < thresh)
      ratio <- FUN(pm[rows, i]) / FUN(pm[rows, j])
      S[i, j] <- mean(ratio > factor & ratio < 1 / factor)
    }
  }
  S
}

sharing_fit <- function() {
  data <- small_data(J = 150, R = 4, seed = 6)$data
  mash(data, cov_canonical(data), verbose = FALSE)
}

test_that("sharing is the fraction of effects, significant in either, within a factor of each other", {
  fit <- sharing_fit()
  S <- get_pairwise_sharing(fit)
  expect_close(S, plain_sharing(fit, 0.5, 0.05), 1e-14)
  expect_identical(dimnames(S), list(letters[1:4], letters[1:4]))
  expect_true(isSymmetric(S))
  expect_identical(unname(diag(S)), rep(1, 4))
  expect_close(get_pairwise_sharing(fit, factor = 0.9, lfsr_thresh = 0.2), plain_sharing(fit, 0.9, 0.2), 1e-14)
})

test_that("factor 0 is sharing by sign, and FUN is applied to the means", {
  fit <- sharing_fit()
  expect_close(get_pairwise_sharing(fit, factor = 0), plain_sharing(fit, 0, 0.05), 1e-14)
  expect_close(get_pairwise_sharing(fit, FUN = abs), plain_sharing(fit, 0.5, 0.05, abs), 1e-14)
  expect_true(all(get_pairwise_sharing(fit, FUN = abs) >= get_pairwise_sharing(fit)))
})

test_that("conditions without significant effects have no defined sharing", {
  fit <- sharing_fit()
  fit$result$lfsr[] <- 1
  S <- get_pairwise_sharing(fit)
  expect_true(all(is.na(S[upper.tri(S)])))
})

test_that("one condition and one significant effect work", {
  data <- mash_set_data(matrix(c(9, 0.1, 0.2, 0), 4))
  fit <- mash(data, list(one = matrix(1)), verbose = FALSE)
  expect_identical(dim(get_pairwise_sharing(fit)), c(1L, 1L))
})

test_that("arguments are checked", {
  fit <- sharing_fit()
  expect_input_error(get_pairwise_sharing(fit, factor = -1), "factor")
  expect_input_error(get_pairwise_sharing(fit, lfsr_thresh = "a"), "lfsr_thresh")
  expect_input_error(get_pairwise_sharing(list()), "mash")
})
