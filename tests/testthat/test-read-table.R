test_that("tables in text are opened whatever separates them", {
  path <- withr::local_tempfile()
  look <- function(...) {
    writeLines(c(...), path)
    open_table(path)
  }
  expect_identical(look("a\tb c", "1\t2")$columns, c("a", "b c"))
  expect_identical(look("a,\"b,c\"", "1,2")$columns, c("a", "b,c"))
  expect_identical(look("##meta", "#CHROM POS", "1 2")$columns, c("CHROM", "POS"))
  expect_identical(look("x y", "r1 1 2")$columns, c("", "x", "y"))
  raw <- look("g v 1 -nan", "g w 2 3")
  expect_false(raw$header)
  expect_identical(raw$columns, paste0("V", 1:4))
  expect_error(look(""), class = "covmash_error_file")
})

test_that("numbers come back to the last digit, missing ones as NA", {
  set.seed(1)
  x <- c(rnorm(200), exp(rnorm(200, 0, 50)))
  path <- withr::local_tempfile()
  writeLines(c("a\tb", paste(sprintf("%.17g", x), rep(c("NA", ".", "-nan", "#NA", ""), length.out = 400), sep = "\t")), path)
  for (with in c(TRUE, FALSE)) {
    if (with && !requireNamespace("data.table", quietly = TRUE)) next
    withr::local_options(covmash.fread = with)
    read <- read_columns(open_table(path), c(se = 2L, estimate = 1L), c(FALSE, FALSE))
    expect_identical(read$estimate, x)
    expect_identical(read$se, rep(NA_real_, 400))
  }
})

test_that("names are missing where numbers would be, and whole numbers are written out, in tables as in text", {
  x <- data.frame(gene = c("g", ".", "", NA), id = c(1e5, 2, NA, 3))
  path <- withr::local_tempfile()
  utils::write.table(x, path, sep = "\t", quote = FALSE, row.names = FALSE, col.names = TRUE)
  writeLines(sub("1e+05", "100000", readLines(path), fixed = TRUE), path)
  expected <- list(gene = c("g", NA, NA, NA), id = c("100000", "2", NA, "3"))
  for (with in c(TRUE, FALSE)) {
    withr::local_options(covmash.fread = with)
    for (source in list(x, path)) {
      expect_identical(read_columns(open_table(source), c(gene = 1L, id = 2L), c(TRUE, TRUE)), expected)
    }
  }
})
