checks_of <- function(data) check_mash_data(suppressMessages(suppressWarnings(data)))

test_that("good data have no finding but few strong effects, if they are few", {
  withr::local_seed(1)
  z <- matrix(rnorm(4000), 1000)
  found <- check_mash_data(mash_set_data(z))
  expect_named(found, c("check", "level", "n", "finding", "advice"))
  expect_identical(found$check, "strong effects")
  z[1:100, ] <- z[1:100, ] + 8
  expect_identical(nrow(check_mash_data(mash_set_data(z))), 0L)
})

test_that("each fault is found, with its place", {
  withr::local_seed(2)
  z <- matrix(rnorm(8000), 2000)
  z[1:100, ] <- z[1:100, ] + 8
  colnames(z) <- c("liver", "lung", "skin", "blood")
  one <- function(change) {
    at <- change(list(Bhat = z, Shat = matrix(1, 2000, 4)))
    checks_of(suppressWarnings(mash_set_data(at$Bhat, at$Shat)))
  }
  found <- one(function(x) {
    x$Bhat[101:140, 2] <- 0
    x$Shat[101:140, 2] <- 1e6
    x
  })
  expect_identical(found$n[found$check == "placeholders"], 40L)
  found <- one(function(x) {
    x$Bhat[5:6, ] <- NA
    x$Bhat[, 3] <- NA
    x
  })
  expect_identical(found$n[found$check == "unobserved effects"], 2L)
  expect_match(found$finding[found$check == "unobserved conditions"], "skin")
  found <- one(function(x) {
    x$Bhat[, 4] <- x$Bhat[, 1]
    x
  })
  expect_match(found$finding[found$check == "same conditions"], "liver.*blood")
  found <- one(function(x) {
    x$Shat[, 2] <- 2
    x$Shat[, 3] <- 0.5
    x
  })
  expect_match(found$finding[found$check == "size of errors"], "lung|skin")
  expect_setequal(found$level[found$check == "size of errors"], c("problem", "note"))
  found <- one(function(x) {
    x$Bhat[, 1] <- 0.5 * x$Bhat[, 2] + sqrt(0.75) * x$Bhat[, 1]
    x
  })
  expect_match(found$finding[found$check == "correlated errors"], "liver.*lung")
  found <- one(function(x) {
    x$Bhat[7, 1] <- 500
    x
  })
  expect_identical(found$n[found$check == "extreme z-scores"], 1L)
})

test_that("with their V correlated errors are no finding", {
  withr::local_seed(3)
  V <- 0.6 + 0.4 * diag(3)
  z <- matrix(rnorm(6000), 2000) %*% chol(V)
  z[1:50, ] <- z[1:50, ] + 8
  expect_true("correlated errors" %in% check_mash_data(mash_set_data(z))$check)
  expect_false("correlated errors" %in% check_mash_data(mash_set_data(z, V = V))$check)
})

test_that("one effect, one condition and what is no data", {
  expect_identical(check_mash_data(mash_set_data(matrix(1, 1, 1)))$check, "strong effects")
  expect_identical(check_mash_data(mash_set_data(matrix(c(1, 5), 1)))$n, 1L)
  expect_error(check_mash_data(1), class = "covmash_error_data")
})

test_that("zeros with a usual standard error are placeholders, rounded estimates are none", {
  withr::local_seed(4)
  z <- matrix(rnorm(8000), 2000)
  z[1:100, ] <- z[1:100, ] + 8
  expect_identical(nrow(check_mash_data(mash_set_data(round(z, 1)))), 0L)
  z[201:400, 2] <- 0
  found <- check_mash_data(mash_set_data(z))
  expect_identical(found$check, "placeholders")
  expect_identical(found$n, 200L)
  expect_match(found$finding, "condition 2;")
})

test_that("conditions are the same by their z-scores too, but not because effects are large and shared", {
  withr::local_seed(5)
  z <- matrix(rnorm(4000), 1000)
  z[1:100, ] <- z[1:100, ] + 8
  twice <- z
  twice[, 4] <- -2 * z[, 1]
  Shat <- matrix(rep(c(1, 1, 1, 2), each = 1000), 1000)
  found <- check_mash_data(mash_set_data(twice, Shat))
  expect_match(found$finding[found$check == "same conditions"], "condition 1 and condition 4 .*sign")
  shared <- z + rnorm(1000, sd = 200)
  expect_gt(cor(shared)[1, 2], 0.999)
  expect_false("same conditions" %in% check_mash_data(mash_set_data(shared))$check)
  twice[, 3:4] <- z[, 1:2]
  found <- check_mash_data(mash_set_data(twice))
  expect_identical(found$n[found$check == "same conditions"], 2L)
  expect_match(found$finding[found$check == "same conditions"], "so have 1 other pair")
})

test_that("findings print as sentences within the width; a part of them as a data frame", {
  withr::local_seed(6)
  found <- check_mash_data(mash_set_data(matrix(rnorm(40), 10)))
  withr::local_options(width = 50)
  lines <- capture.output(print(found))
  expect_true(all(nchar(lines) <= 50))
  expect_match(lines[1], "^\\* note, strong effects: ")
  expect_output(print(found[, c("check", "n")]), "check n")
})
