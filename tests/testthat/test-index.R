chosen <- function(index, labels = letters[1:5]) resolve_index(index, 5, labels, "rows", "row")

test_that("rows are chosen by number, name or flag", {
  expect_identical(chosen(c(3, 1)), c(3L, 1L))
  expect_identical(chosen(-c(1, 5)), 2:4)
  expect_identical(chosen(c(0, 2)), 2L)
  expect_identical(chosen(c("e", "a")), c(5L, 1L))
  expect_identical(chosen(c(TRUE, FALSE, FALSE, TRUE, FALSE)), c(1L, 4L))
  expect_identical(chosen(numeric()), integer())
})

test_that("what cannot be chosen is named", {
  expect_input_error(chosen(c("a", "x")), "`rows` names 'x', but there is no row of that name.", "covmash_error_index")
  expect_input_error(chosen("x", NULL), "the rows have no names", "covmash_error_index")
  expect_input_error(chosen(c(TRUE, FALSE)), "each of the 5 rows, but it has length 2.", "covmash_error_index")
  expect_input_error(chosen(c(TRUE, NA, TRUE, TRUE, TRUE)), "contains NA", "covmash_error_index")
  expect_input_error(chosen(c(1, 7)), "row numbers from 1 to 5.*its element 2 is 7", "covmash_error_index")
  expect_input_error(chosen(1.5), "its element 1 is 1.5", "covmash_error_index")
  expect_input_error(chosen(NA_real_), "its element 1 is NA", "covmash_error_index")
  expect_input_error(chosen(c(-1, 2)), "mixes positive and negative", "covmash_error_index")
  expect_input_error(chosen(list(1)), "not an object of class list", "covmash_error_index")
})

test_that("a subset of rows has at least one", {
  data <- small_data(J = 6, R = 2)$data
  expect_identical(resolve_subset(NULL, data), 1:6)
  expect_identical(resolve_subset("e002", data), 2L)
  expect_input_error(resolve_subset(-(1:6), data), "`subset` selects no row", "covmash_error_index")
})
