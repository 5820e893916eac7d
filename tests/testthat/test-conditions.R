test_that("abort_input() signals one classed error with the message it was given", {
  error <- expect_error(abort_input("`x` must be positive.", class = "covmash_error_value"), "`x` must be positive")
  expect_s3_class(error, c("covmash_error_value", "covmash_error_input", "covmash_error", "error"), exact = FALSE)
  classes <- class(error)
  expect_lt(match("covmash_error_value", classes), match("covmash_error_input", classes))
  expect_lt(match("covmash_error_input", classes), match("covmash_error", classes))
  expect_s3_class(expect_error(abort_input("no class")), "covmash_error_input")
})

test_that("braces and percent signs in a message are text, not code", {
  expect_error(abort_input("column '{stop()}' of 5%d"), "column '{stop()}' of 5%d", fixed = TRUE)
})

test_that("warn_covmash() signals a classed warning and goes on", {
  expect_warning(warn_covmash("2 rows are empty.", class = "covmash_warning_rows"), class = "covmash_warning_rows")
  expect_warning(warn_covmash("2 rows are empty.", class = "covmash_warning_rows"), "2 rows", class = "covmash_warning")
  after <- suppressWarnings({
    warn_covmash("x", class = "covmash_warning_x")
    7
  })
  expect_identical(after, 7)
})

test_that("users can catch every input error of the package by one class", {
  caught <- tryCatch(mash_set_data("a"), covmash_error = function(e) "caught")
  expect_identical(caught, "caught")
})
