test_that("values are described in a few words", {
  expect_identical(describe(NULL), "NULL")
  expect_identical(describe("a"), "'a'")
  expect_identical(describe(2.5), "2.5")
  expect_identical(describe(matrix(1L, 2, 3)), "a integer matrix of 2 x 3")
  expect_identical(describe(c(TRUE, FALSE)), "a vector of type logical and length 2")
  expect_identical(describe(list()), "an object of class list")
  expect_identical(quote_some(letters[1:2]), "'a', 'b'")
  expect_identical(quote_some(letters, 2), "'a', 'b', ...")
})

test_that("single values are checked, and the error names the argument", {
  expect_true(check_flag(TRUE, "x"))
  for (bad in list(NA, 1, "a", c(TRUE, TRUE), NULL)) {
    expect_input_error(check_flag(bad, "x"), "`x` must be TRUE or FALSE, not ", "covmash_error_argument")
  }
  expect_identical(check_flags(NULL, 2, "x"), c(FALSE, FALSE))
  expect_identical(check_flags(TRUE, 2, "x"), c(TRUE, TRUE))
  expect_input_error(check_flags(c(TRUE, FALSE), 3, "x"), "each of the 3 matrices", "covmash_error_argument")
  expect_identical(check_number(NULL, "x", null_ok = TRUE), NULL)
  for (bad in list(NA, Inf, "a", 1:2, NULL, -1)) {
    expect_input_error(check_number(bad, "x", 0), "`x` must be a number, not ", "covmash_error_argument")
  }
  for (bad in list(NA, 1.5, "a", 0, Inf)) {
    expect_input_error(check_whole(bad, "x", 1), "`x` must be a whole number of at least 1", "covmash_error_argument")
  }
  expect_identical(check_choice(c("one", "two"), c("one", "two"), "x"), "one")
  expect_identical(check_choice("tw", c("one", "two"), "x"), "two")
  expect_input_error(check_choice("three", c("one", "two"), "x"), "`x` must be one of 'one', 'two', not 'three'.",
    "covmash_error_argument")
})

test_that("arguments that nobody uses are told and left out", {
  expect_identical(take_dots(list(a = 1), "a", "f()"), list(a = 1))
  expect_covmash_warning(kept <- take_dots(list(a = 1, b = 2), "a", "f()"), "f\\(\\) does not use the argument 'b'; ignored.",
    "covmash_warning_ignored")
  expect_identical(kept, list(a = 1))
  expect_covmash_warning(take_dots(list(1, b = 2), "a", "f()"), "the arguments '\\(unnamed\\)', 'b'", "covmash_warning_ignored")
})

test_that("a 1 x 1 matrix, a factor or a date is no number", {
  for (x in list(matrix(1), factor(1), as.Date("2020-01-01"))) {
    expect_input_error(check_number(x, "x"), "`x` must be")
    expect_input_error(check_whole(x, "x"), "`x` must be")
  }
  expect_input_error(check_whole(factor(1), "x"), "not a factor")
  expect_input_error(check_flag(matrix(TRUE), "x"), "`x` must be TRUE or FALSE")
  expect_identical(whole_number(1e300, "x"), .Machine$integer.max)
})
