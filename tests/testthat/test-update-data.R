contrast_case <- function(missing = FALSE, seed = 1) {
  withr::with_seed(seed, {
    x <- matrix(rnorm(40 * 4), 40, dimnames = list(paste0("e", 1:40), letters[1:4]))
    if (missing) x[sample(160, 20)] <- NA
    V <- 0.3 + diag(0.7, 4)
    direction <- c(1, 2, 0.5, 1)
    factor <- runif(40, 0.5, 2)
    list(x = x, S = outer(factor, direction), V = V, data = suppressWarnings(mash_set_data(x, outer(factor, direction), V = V)))
  })
}

test_that("another V", {
  case <- contrast_case()
  W <- 0.6 + diag(0.4, 4)
  expect_identical(mash_update_data(case$data, V = W), mash_set_data(case$x, case$S, V = W))
  expect_identical(mash_update_data(case$data), case$data)
  expect_error(mash_update_data(case$data, V = matrix(1, 4, 4)), "V", class = "covmash_error_V")
})

test_that("contrasts have the likelihood of L Bhat with noise L S V S L'", {
  case <- contrast_case()
  data <- mash_update_data(case$data, ref = "b")
  L <- contrast_matrix(4, 2, letters[1:4])
  expect_equal(data$Bhat, case$x %*% t(unclass(L)[, ]), ignore_attr = TRUE)
  expect_identical(dimnames(data$Bhat), list(paste0("e", 1:40), c("a-b", "c-b", "d-b")))
  U <- list(U = crossprod(matrix(1:9 / 5, 3)))
  got <- mash_compute_vloglik(list(Ulist = U, grid = 1, pi = 1, usepointmass = FALSE), data)
  plain <- vapply(1:40, function(j) {
    T <- L %*% (case$S[j, ] * case$V * rep(case$S[j, ], each = 4)) %*% t(L) + U$U
    y <- c(L %*% case$x[j, ])
    -0.5 * (3 * log(2 * pi) + c(determinant(T)$modulus) + sum(y * solve(T, y)))
  }, 0)
  expect_equal(as.vector(got), plain, tolerance = 1e-11)
})

test_that("V and ref in any order, and together", {
  case <- contrast_case()
  W <- 0.6 + diag(0.4, 4)
  both <- mash_update_data(case$data, ref = 1, V = W)
  expect_equal(mash_update_data(mash_update_data(case$data, ref = 1), V = W), both)
  expect_equal(mash_update_data(mash_update_data(case$data, V = W), ref = 1), both)
  expect_error(mash_update_data(both, ref = 2), "already", class = "covmash_error_contrast")
  expect_error(mash_update_data(case$data, ref = "z"), "ref", class = "covmash_error_contrast")
})

test_that("differences from the mean come back for all conditions", {
  case <- contrast_case()
  data <- mash_update_data(case$data, ref = "mean")
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  expect_identical(colnames(get_pm(fit)), paste0(letters[1:4], "-mean"))
  expect_equal(get_pm(fit)[, 4], -rowSums(get_pm(fit)[, 1:3]), tolerance = 1e-10)
  A <- rbind(first_two = c(1, -1, 0, 0))
  of_A <- mash_compute_posterior_matrices(fit, data, A = A)
  expect_equal(of_A$PosteriorMean[, 1], get_pm(fit)[, 1] - get_pm(fit)[, 2], tolerance = 1e-10)
})

test_that("two conditions, parts of contrasts, and missing estimates", {
  two <- mash_update_data(mash_set_data(matrix(c(1, 2, 3, 5), 2), 1), ref = 1)
  expect_identical(unname(two$Bhat), matrix(c(2, 3)))
  expect_equal(unname(two$Shat), matrix(sqrt(2), 2, 1))
  case <- contrast_case(missing = TRUE)
  expect_warning(data <- muffle_all_missing(mash_update_data(case$data, ref = 4)), "could be made", class = "covmash_warning_missing")
  seen <- !is.na(case$x)
  expect_identical(unname(!is.na(data$Bhat)), unname(seen[, 1:3] & seen[, 4]))
  expect_equal(data$Bhat[, 1], case$x[, 1] - case$x[, 4])
  part <- data[c(1, 5), ]
  expect_identical(dim(part$Shat_orig), c(2L, 4L))
  expect_identical(mash_update_data(part, V = case$V)$Shat, part$Shat)
  expect_identical(unname(data[, 2:3]$L[, 2:3]), unname(data$L[2:3, 2:3]))
})

test_that("contrasts saved by mashr are taken", {
  case <- contrast_case()
  data <- mash_update_data(mash_set_data(case$x, 1, V = case$V), ref = 1)
  theirs <- structure(
    list(
      Bhat = data$Bhat, Shat = unname(data$Shat), Shat_orig = data$Shat_orig, Shat_alpha = unname(data$Shat_alpha),
      V = case$V, commonV = TRUE, alpha = 0, L = data$L, LSVSLt = unname(data$V)
    ),
    class = "mash"
  )
  U <- cov_canonical(data)
  expect_equal(mash(theirs, U, verbose = FALSE)$vloglik, mash(data, U, verbose = FALSE)$vloglik)
})
