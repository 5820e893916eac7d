test_that("folders, patterns and paths are found, in an order that does not depend on the language", {
  folder <- withr::local_tempdir()
  for (name in c("b.csv", "B.csv", "a.tsv.gz", "c.txt", "notes.md")) writeLines("x", file.path(folder, name))
  dir.create(file.path(folder, "z.csv"))
  expect_identical(basename(data_files(folder)), c("B.csv", "a.tsv.gz", "b.csv", "c.txt"))
  expect_identical(basename(data_files(file.path(folder, "*.csv"))), c("B.csv", "b.csv"))
  paths <- file.path(folder, c("c.txt", "b.csv"))
  expect_identical(basename(data_files(paths)), c("c.txt", "b.csv"))
  # Text beside Parquet is no data.
  writeLines("x", file.path(folder, "d.parquet"))
  expect_identical(basename(data_files(folder)), "d.parquet")
  expect_error(data_files(paths[c(1, 2, 1)]), "twice", class = "covmash_error_source")
  none <- file.path(folder, c("none", "*.none"))
  for (wrong in list(1, character(), NA_character_, "", none[1], none[2], list("a"))) {
    expect_error(in_source(data_files(wrong)), class = "covmash_error_source")
    expect_error(data_files(wrong), class = "covmash_error_file")
  }
  empty <- withr::local_tempdir()
  expect_error(data_files(empty), "holds no file", class = "covmash_error_source")
  dir.create(file.path(empty, "chr1"))
  writeLines("x", file.path(empty, "chr1", "x.parquet"))
  expect_error(data_files(empty), "folders below it", class = "covmash_error_source")
})

test_that("columns are chosen by name, beginning or function", {
  table <- list(label = "'x'", columns = c("id", "b_u", "s_u", "b_v", "s_v", "se_v"))
  choose <- function(...) source_columns(table, ...)
  expect_identical(
    choose("b_", "s_", "id"),
    list(Bhat = c("b_u", "b_v"), Shat = c("s_u", "s_v"), id = "id", conditions = c("u", "v"))
  )
  expect_identical(
    choose(c("b_v", "b_u"), c("s_v", "s_u"), NULL)[c("Bhat", "conditions")],
    list(Bhat = c("b_v", "b_u"), conditions = c("b_v", "b_u"))
  )
  expect_identical(choose(c(u = "b_u", v = "b_v"), c(v = "s_v", u = "s_u"), NULL)$Shat, c("s_u", "s_v"))
  expect_identical(choose(function(x) startsWith(x, "b_"), function(x) c("s_u", "s_v"), NULL)$Shat, c("s_u", "s_v"))
  expect_identical(choose("b_u", "se_v", NULL)$Shat, "se_v")
  # By position, but not against what the names say.
  expect_identical(choose(c("b_u", "b_v"), c("s_v", "s_u"), NULL)$Shat, c("s_u", "s_v"))
  expect_identical(choose(c("b_u", "b_v"), c("s_v", "se_v"), NULL)$Shat, c("s_v", "se_v"))
  expect_identical(what_differs(c("beta_liver.x", "beta_lung.x")), c("iver", "ung"))
  expect_error(choose("b_", "b_", NULL), "'b_u' is in `Bhat` and in `Shat`", class = "covmash_error_columns")
  expect_null(choose("b_", NULL, NULL)$Shat)
  bad_functions <- list(function(x) stop("no"), function(x) 1, function(x) "q")
  for (wrong in c(list("q_", c("b_u", "q"), 1, NA_character_, character(), ""), bad_functions)) {
    expect_error(choose(wrong, NULL, NULL), class = "covmash_error_columns")
  }
  refused <- function(pattern, ...) expect_error(choose(..., NULL), pattern, class = "covmash_error_columns")
  refused("'u' has an estimate but no standard error", "b_", "se_")
  refused("'v' has a standard error but no estimate", c(u = "b_u"), "s_")
  expect_error(choose(c("b_u", "b_v"), c("s_u"), NULL), class = "covmash_error_columns")
  expect_error(choose(NULL, "s_", NULL), class = "covmash_error_columns")
  expect_error(choose(NULL, NULL, NULL), "has the columns 'id'", class = "covmash_error_columns")
  expect_error(choose(c("b_u", "b_u"), NULL, NULL), "two columns of the condition", class = "covmash_error_names")
  expect_error(choose("b_", NULL, "q"), "'q' is no column", class = "covmash_error_columns")
  expect_error(choose("b_", NULL, 1), class = "covmash_error_columns")
})

test_that("files whose columns differ are told by file and column", {
  skip_if_not_installed("nanoparquet")
  folder <- source_files(source_problem(9), c(3, 3, 3))
  path <- file.path(folder, "part02.parquet")
  good <- as.data.frame(nanoparquet::read_parquet(path))
  refused <- function(table, pattern) {
    write_source_file(table, path)
    expect_error(mash_source(folder, "b_", "s_", "snp"), pattern, class = "covmash_error_columns")
  }
  refused(good[names(good) != "s_lung"], "'part02.parquet' has no column 's_lung'")
  refused(good[names(good) != "snp"], "'part02.parquet' has no column 'snp'")
  refused(cbind(good, b_brain = 1, s_brain = 1), "'part02.parquet' has the column 'b_brain'")
  refused(replace(good, "b_skin", list(c("a", "b", "c"))), "'b_skin' of 'part02.parquet' must hold numbers")
  refused(replace(good, "b_skin", list(as.Date("2020-01-01") + 1:3)), "'b_skin' of 'part02.parquet' must hold numbers")
  # Named columns are enough, in any order; whole numbers are numbers.
  write_source_file(replace(cbind(good, b_brain = 1), "b_skin", list(1:3))[rev(seq_len(9))], path)
  src <- mash_source(folder, c("b_liver", "b_skin"), id = "snp")
  expect_identical(bare(src[4:6]$Bhat[, 2]), c(1, 2, 3))
})

test_that("files that change, vanish or are damaged after mash_source() are told of", {
  skip_if_not_installed("nanoparquet")
  folder <- source_files(source_problem(9), c(3, 3, 3))
  src <- mash_source(folder, "b_", "s_")
  path <- file.path(folder, "part02.parquet")
  good <- as.data.frame(nanoparquet::read_parquet(path))
  Sys.setFileTime(path, Sys.time() + 100)
  expect_error(src[5], "has changed", class = "covmash_error_source")
  expect_no_error(src[1])
  src <- mash_source(folder, "b_", "s_")
  unlink(path)
  expect_error(src[5], "no longer there", class = "covmash_error_source")
  # A file that says more rows than it has.
  write_source_file(good, path)
  src <- mash_source(folder, "b_", "s_")
  src$rows[2] <- 4
  src$ends <- cumsum(src$rows)
  src$n_effects <- 10
  expect_error(src[5], "was to have 4 rows, but 3 were read", class = "covmash_error_source")
  writeBin(as.raw(1:100), path)
  expect_error(mash_source(folder, "b_", "s_"), "'part02.parquet' cannot be read", class = "covmash_error_source")
  whole <- nanoparquet::write_parquet(good, path)
  size <- file.size(path)
  writeBin(readBin(path, "raw", size - 20), path)
  expect_error(mash_source(folder, "b_", "s_"), class = "covmash_error_source")
})

test_that("text with other things than numbers is told by file and row", {
  skip_if_not_installed("data.table")
  folder <- withr::local_tempdir()
  path <- file.path(folder, "a.csv")
  writeLines(c("id,b_u,b_v", paste0("r", 1:109, ",1,", c(1:105, "x", 7:9))), path)
  src <- suppressMessages(mash_source(folder, "b_", segment_rows = 104))
  expect_no_error(read_segment(src, 1))
  cnd <- expect_error(read_segment(src, 2), class = "covmash_error_columns")
  expect_s3_class(cnd, "covmash_error_source")
  expect_match(conditionMessage(cnd), "Column 'b_v' of 'a.csv' must hold numbers, but row 106 has 'x'", fixed = TRUE)
  writeLines("id,b_u", path)
  expect_error(mash_source(folder, "b_"), "no rows", class = "covmash_error_source")
  writeLines("", path)
  expect_error(mash_source(folder, "b_"), "is empty", class = "covmash_error_source")
})

test_that("text is read alike without data.table, and files without rows are passed over", {
  p <- source_problem(12)
  folder <- source_files(p, c(5, 0, 7), "tsv")
  for (with in c(TRUE, FALSE)) {
    if (with && !requireNamespace("data.table", quietly = TRUE)) next
    withr::local_options(covmash.fread = with)
    src <- suppressMessages(mash_source(folder, "b_", "s_", "snp", segment_rows = 4))
    expect_identical(src$rows, c(5, 0, 7))
    for (i in 1:3) expect_identical(bare(read_segment(src, i)$Shat), bare(p$Shat[4 * i - 3:0, ]))
  }
  expect_message(mash_source(folder, "b_", "s_"), "3 files of text", class = "covmash_message_source")
})

test_that("a compressed file that segments cut is unpacked once", {
  p <- source_problem(12)
  folder <- source_files(p, 12, "csv.gz")
  src <- suppressMessages(mash_source(folder, "b_", "s_", "snp", segment_rows = 3))
  for (i in 1:4) expect_identical(bare(read_segment(src, i)$Bhat), bare(p$Bhat[3 * i - 2:0, ]))
  # What was kept is what is given.
  kept_part$value[[1]][7] <- 99
  expect_identical(read_segment(src, 3)$Bhat[1, 1], c(liver = 99))
  # And not for another file.
  Sys.setFileTime(src$files$path, Sys.time() + 100)
  src <- suppressMessages(mash_source(folder, "b_", "s_", "snp", segment_rows = 3))
  expect_identical(bare(read_segment(src, 3)$Bhat), bare(p$Bhat[7:9, ]))
})

test_that("effects are named by one column or several, numbers as they are", {
  folder <- withr::local_tempdir()
  writeLines(c("gene,pos,b_u", "g1,100000,1", "g2,2e5,2"), file.path(folder, "a.csv"))
  src <- suppressMessages(mash_source(folder, "b_", id = c("gene", "pos")))
  expect_identical(rownames(src[1:2]$Bhat)[1], "g1_100000")
  expect_identical(as_labels_of(c(100000, NA, 12)), c("100000", NA, "12"))
  skip_if_not_installed("nanoparquet")
  path <- withr::local_tempfile(fileext = ".parquet")
  nanoparquet::write_parquet(data.frame(pos = c(100000, 3e6), b_u = 1:2), path)
  expect_identical(rownames(mash_source(path, "b_", id = "pos")[1:2]$Bhat), c("100000", "3000000"))
})

test_that("rows that are no lines, and empty lines, do not shift what is read", {
  skip_if_not_installed("data.table")
  folder <- withr::local_tempdir()
  path <- file.path(folder, "a.csv")
  rows <- paste0("r", 1:9, ",", 1:9)
  read_all <- function() {
    src <- suppressMessages(mash_source(folder, "b_", segment_rows = 2))
    list(lines = src$files$lines, x = unlist(lapply(1:5, function(i) unname(read_segment(src, i)$Bhat[, 1]))))
  }
  writeLines(c("id,b_u", rows), path)
  expect_identical(read_all(), list(lines = TRUE, x = as.double(1:9)))
  writeLines(c("id,b_u", rows), path, sep = "\r\n")
  expect_identical(read_all(), list(lines = TRUE, x = as.double(1:9)))
  cat(c("id,b_u", rows[1:8], "r9,9"), file = path, sep = "\n")
  expect_identical(read_all(), list(lines = TRUE, x = as.double(1:9)))
  writeLines(c("id,b_u", sub("r2", "\"r\n2\"", rows)), path)
  expect_identical(read_all(), list(lines = FALSE, x = as.double(1:9)))
})

test_that("files of the same name are told apart", {
  skip_if_not_installed("nanoparquet")
  folder <- withr::local_tempdir()
  for (k in 1:2) {
    dir.create(file.path(folder, paste0("chr", k)))
    table <- data.frame(b_u = c(1, 2), s_u = c(1, if (k == 2) -1 else 1))
    nanoparquet::write_parquet(table, file.path(folder, paste0("chr", k), "x.parquet"))
  }
  src <- mash_source(file.path(folder, "chr*", "x.parquet"), "b_", "s_")
  expect_error(src[4], "Row 2 of '.*/chr2/x.parquet'", class = "covmash_error_source")
})

test_that("a column can be both the name and the estimate", {
  skip_if_not_installed("nanoparquet")
  path <- withr::local_tempfile(fileext = ".parquet")
  nanoparquet::write_parquet(data.frame(b_u = c(1.5, 2)), path)
  x <- mash_source(path, "b_", id = "b_u")[1:2]$Bhat
  expect_identical(x, matrix(c(1.5, 2), 2, 1, dimnames = list(c("1.5", "2"), "u")))
})

test_that("single precision is read as double", {
  skip_if_not_installed("nanoparquet")
  path <- withr::local_tempfile(fileext = ".parquet")
  schema <- nanoparquet::parquet_schema(b_u = "FLOAT", b_v = "DOUBLE")
  nanoparquet::write_parquet(data.frame(b_u = c(0.1, NA), b_v = c(1, 2)), path, schema = schema)
  x <- mash_source(path, "b_")[1:2]$Bhat
  expect_true(is.double(x))
  expect_equal(bare(x), cbind(c(0.1, NA), c(1, 2)), tolerance = 1e-7)
})
