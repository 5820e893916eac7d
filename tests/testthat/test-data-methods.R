lines_of <- function(x) capture.output(shown <- withVisible(print(x)))

test_that("data objects have dimensions and names", {
  sim <- small_data(J = 6, R = 3)
  expect_identical(dim(sim$data), c(6L, 3L))
  expect_identical(dimnames(sim$data), dimnames(sim$Bhat))
  expect_identical(c(nrow(sim$data), ncol(sim$data)), c(6L, 3L))
})

test_that("[ takes rows and conditions by number, name or flag, and never drops", {
  V <- 0.2 + diag(0.8, 3)
  sim <- small_data(J = 6, R = 3, shat = "varying", missing = 3, alpha = 1, V = V)
  data <- sim$data
  part <- data[c(5, 2), c("c", "a")]
  expect_s3_class(part, c("mash_data", "mash"), exact = TRUE)
  for (name in c("Bhat", "Shat", "Shat_alpha")) expect_identical(part[[name]], data[[name]][c(5, 2), c("c", "a")])
  expect_equal(unname(part$V), V[c(3, 1), c(3, 1)])
  expect_identical(part$alpha, 1)
  expect_identical(data["e005", ]$Bhat, data$Bhat["e005", , drop = FALSE])
  expect_identical(data[, 2]$Bhat, data$Bhat[, 2, drop = FALSE])
  expect_identical(dim(data[1, 1]), c(1L, 1L))
  expect_identical(dim(data[1, 1]$V), c(1L, 1L))
  expect_identical(data[seq_len(6) > 4, ], data[5:6, ])
  expect_identical(data[-(1:4), ], data[5:6, ])
  expect_identical(data[, ], data)
  expect_input_error(data[1], "rows")
  expect_error(data[7, ], class = "covmash_error")
  expect_error(data["nobody", ], "nobody", class = "covmash_error")
  expect_error(data[, 4], class = "covmash_error")
})

test_that("data print their dimensions, what is missing and the noise groups, in a few lines", {
  sim <- small_data(J = 500, R = 4, missing = 37)
  lines <- lines_of(sim$data)
  expect_lt(length(lines), 10)
  text <- paste(lines, collapse = "\n")
  expect_match(text, "500 effects x 4 conditions")
  expect_match(text, "37 of 2000")
  expect_match(text, "noise")
  expect_match(paste(lines_of(small_data(J = 40, R = 3)$data), collapse = "\n"), "none")
})

test_that("print methods say what digits and n can be", {
  sim <- small_data(J = 5, R = 2)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  for (x in list(summary(sim$data), summary(fit))) {
    for (digits in list(0, 1e300, "a", NA, c(1, 2))) expect_input_error(print(x, digits = digits), "digits")
  }
  for (x in list(summary(sim$data), summary(fit), summary(mash_1by1(sim$data)))) {
    for (n in list(-1, 1.5, "a", NULL)) expect_input_error(print(x, n = n), "`n`")
    expect_output(print(x, n = Inf))
  }
})
