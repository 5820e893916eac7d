test_that("the parts of an identifier that must be there are told", {
  expect_identical(which_unnamed(list(gene = c("g", NA, "h"), variant = c("v", "w", NA))), 2:3)
  expect_identical(which_unnamed(list(gene = c("g", "h"))), integer())
  alleles <- list(effect_allele = c("A", NA, "G"), other_allele = c(NA, "C", "T"), variant = letters[1:3])
  expect_identical(which_unnamed(alleles), 1:2)
  # A place names a variant as well as an identifier does; with one the place is not asked for.
  place <- list(variant = c("v", NA, NA, NA), chromosome = c(NA, "1", NA, "1"), position = c(NA, 5, 5, NA))
  expect_identical(which_unnamed(place), 3:4)
  expect_identical(which_unnamed(place[c("variant", "position")]), 4L)
  expect_identical(which_unnamed(place[c("chromosome", "position")]), c(1L, 3L, 4L))
})

# What is missing in data frames, and in text by both readers.
each_way <- function(tables, code) {
  code(tables)
  paths <- vapply(names(tables), function(name) tempfile(name, fileext = ".txt"), "")
  withr::defer(unlink(paths))
  Map(function(x, path) utils::write.table(x, path, sep = "\t", quote = FALSE, row.names = FALSE), tables, paths)
  for (with in c(TRUE, FALSE)) {
    withr::local_options(covmash.fread = with)
    code(if (length(tables) > 1L) paths else unname(paths))
  }
}

test_that("rows without an identifier are left out of files of one condition, counted and listed", {
  one <- data.frame(
    gene = c("g", NA, "g", "h", "h"), variant = c("v1", "v2", ".", "v4", "v5"), beta = 1:5, se = c(1, 1, 1, NA, 1)
  )
  two <- data.frame(gene = c("g", NA, "", NA), variant = c("v1", "v2", "v2", NA), beta = 11:14, se = 1)
  each_way(list(one = one, two = two), function(files) {
    expect_message(
      x <- read_sumstats(files), "; 5 rows without an identifier left out, 1 without a usable estimate",
      class = "covmash_message_sumstats"
    )
    expect_identical(x$Bhat, matrix(c(1, 5, 11, NA), 2, dimnames = list(c("g_v1", "h_v5"), c("one", "two"))))
    expect_identical(x$report$rows, c(5L, 4L))
    expect_identical(x$report$unnamed, 2:3)
    expect_identical(x$report$unusable, 1:0)
    listed <- x$entries[x$entries$what == "unnamed", ]
    expect_identical(listed$condition, rep(c("one", "two"), 2:3))
    expect_identical(listed$effect, c("v2", "g", "v2", "v2", NA))
  })
})

test_that("rows of a long table without a condition or an identifier are left out, counted and listed", {
  long <- data.frame(
    gene = c("a", "b", "a", NA, "b", NA), tissue = c("liver", "liver", "lung", "lung", NA, ""), beta = 1:6, se = 1
  )
  each_way(list(long = long), function(files) {
    if (is.list(files)) files <- files[[1]]
    expect_message(
      x <- read_sumstats(files), "; 1 row without an identifier left out, 2 rows without a condition left out",
      class = "covmash_message_sumstats"
    )
    expect_identical(x$Bhat, matrix(c(1, 2, 3, NA), 2, dimnames = list(c("a", "b"), c("liver", "lung"))))
    expect_identical(x$report$condition, c("liver", "lung", NA))
    expect_identical(x$report$rows, c(2L, 2L, 2L))
    expect_identical(x$report$unnamed, 0:2)
    expect_identical(x$report$used, c(2L, 1L, 0L))
    expect_identical(x$report$not_tested, c(0L, 1L, 0L))
    expect_identical(x$entries[x$entries$what == "no_condition", "effect"], c("b", NA))
    expect_identical(x$entries[x$entries$what == "unnamed", "condition"], "lung")
    expect_output(print(x), "unnamed")
  })
})

test_that("rows of a wide table without an identifier are left out of each condition", {
  wide <- data.frame(snp = c("a", NA, "c"), BETA_u = 1:3, SE_u = 1, BETA_v = 4:6, SE_v = 1)
  each_way(list(wide = wide), function(files) {
    if (is.list(files)) files <- files[[1]]
    x <- read_sumstats(files, verbose = FALSE)
    expect_identical(x$Bhat, matrix(c(1, 3, 4, 6), 2, dimnames = list(c("a", "c"), c("u", "v"))))
    expect_identical(x$report$unnamed, c(1L, 1L))
    expect_identical(x$entries$condition, c("u", "v"))
  })
})

test_that("where nothing is left the error says what was missing", {
  expect_error(
    read_sumstats(data.frame(gene = NA_character_, beta = 1:3, se = 1)), "3 rows without an identifier",
    class = "covmash_error_data"
  )
  expect_error(
    read_sumstats(data.frame(gene = "a", tissue = NA_character_, beta = 1:3, se = 1)), "3 rows .* a condition",
    class = "covmash_error_data"
  )
})
