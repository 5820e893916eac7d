test_that("differences from a reference, by number or name", {
  L <- contrast_matrix(3, 2, c("a", "b", "c"))
  expect_identical(unclass(L)[, ], rbind(`a-b` = c(a = 1, b = -1, c = 0), `c-b` = c(0, -1, 1)))
  expect_identical(attr(L, "reference"), 2)
  expect_identical(contrast_matrix(3, "b", c("a", "b", "c"))[, ], L[, ])
  two <- contrast_matrix(2, 1)
  expect_identical(dim(two), c(1L, 2L))
  expect_identical(rownames(two), "2-1")
})

test_that("differences from the mean leave the last one out", {
  L <- contrast_matrix(3, "mean")
  expect_equal(unclass(L)[, ], (diag(3) - 1 / 3)[1:2, ], ignore_attr = TRUE)
  expect_identical(rownames(L), c("1-mean", "2-mean"))
})

test_that("references that are none are errors", {
  for (ref in list(0, 4, "x", NA, 1.5, c(1, 2), NULL, list(1))) {
    expect_error(contrast_matrix(3, ref), "ref", class = "covmash_error_contrast")
  }
  expect_error(contrast_matrix(3, "a", c("a", "a", "b")), "several", class = "covmash_error_contrast")
  expect_error(contrast_matrix(3, 1, "a"), "name", class = "covmash_error_contrast")
  expect_error(contrast_matrix(1, 1), "R", class = "covmash_error_argument")
})

test_that("a complex number is no reference", {
  expect_error(contrast_matrix(3, 1i), class = "covmash_error_contrast")
})
