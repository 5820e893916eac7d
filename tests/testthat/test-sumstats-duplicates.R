test_that("files of one condition are put together, and later ones do not overwrite", {
  a <- data.frame(gene = "g", variant = paste0("v", 1:3), beta = 1:3, se = 1)
  b <- data.frame(gene = "g", variant = paste0("v", 3:5), beta = 13:15, se = c(0.5, 1, 1))
  x <- read_sumstats(list(one = a, one = b), verbose = FALSE)
  expect_identical(unname(x$Bhat[, 1]), c(1, 2, 13, 14, 15))
  expect_identical(x$report$duplicates, 1L)
  x <- read_sumstats(list(one = a, one = b), duplicates = "first", verbose = FALSE)
  expect_identical(unname(x$Bhat[, 1]), c(1, 2, 3, 14, 15))
  x <- read_sumstats(list(one = a, one = b), duplicates = "drop", verbose = FALSE)
  expect_identical(rownames(x$Bhat), paste0("g_v", c(1, 2, 4, 5)))
  expect_error(read_sumstats(list(one = a, one = b), duplicates = "error"), "g_v3", class = "covmash_error_duplicates")
  # The same numbers are no rivals.
  again <- read_sumstats(list(one = a, one = a), duplicates = "error", verbose = FALSE)
  expect_identical(unname(again$Bhat[, 1]), c(1, 2, 3))
  expect_identical(again$report$duplicates, 3L)
})

test_that("an estimate that is not usable is no rival", {
  a <- data.frame(gene = c("g", "h", "g", "h"), beta = c(1, 2, 3, 2), se = c(NA, 1, 0.5, 1))
  for (rule in c("precise", "first", "drop", "error")) {
    x <- read_sumstats(a, duplicates = rule, verbose = FALSE)
    expect_identical(unname(x$Bhat[, 1]), c(3, 2))
    expect_identical(x$report$duplicates, 2L)
  }
})
