write_problem <- function(names = TRUE, ...) {
  s <- small_data(J = 20, R = 3, names = names, missing = 4, ...)
  c(s, list(fit = mash(s$data, cov_canonical(s$data), verbose = FALSE, output_lfdr = TRUE)))
}

# As read.delim() sees it: as many digits as were written, strings as they are.
read_back <- function(file, ...) utils::read.delim(file, check.names = FALSE, ...)

test_that("a long table reads back the same, number for number", {
  s <- write_problem()
  long <- tidy(s$fit)
  for (ending in c(".tsv", ".tsv.gz", ".txt", ".TXT.GZ")) {
    file <- withr::local_tempfile(fileext = ending)
    expect_identical(expect_invisible(write_mash(s$fit, file)), file)
    expect_identical(read_back(file), long)
    compressed <- identical(readBin(file, "raw", 2), as.raw(c(0x1f, 0x8b)))
    expect_identical(compressed, grepl("gz", ending, ignore.case = TRUE))
  }
  file <- withr::local_tempfile(fileext = ".tsv")
  ends <- tidy(s$fit, conf.int = TRUE, conf.level = 0.8, data = s$data)
  write_mash(s$fit, file, conf.int = TRUE, conf.level = 0.8, data = s$data)
  expect_identical(read_back(file)[names(ends)], ends)
})

test_that("data.table and base R write the same text", {
  skip_if_not_installed("data.table")
  s <- write_problem()
  table <- data.frame(
    name = c("a\tb", "say \"so\"", "line\nend", "\u00e9", NA), number = c(0.1, NA, -Inf, 1e-300, 123456789.125),
    count = c(1L, NA, 3:5), flag = c(TRUE, FALSE, NA, TRUE, TRUE)
  )
  for (x in list(tidy(s$fit), table, table[0, ])) {
    for (gz in c(FALSE, TRUE)) {
      files <- replicate(2, withr::local_tempfile(.local_envir = parent.frame(3)))
      text_writer(append_by_data_table, 17L)(x, files[1], gz)
      text_writer(append_lines, 17L)(x, files[2], gz)
      expect_identical(readLines(files[1], encoding = "UTF-8"), readLines(files[2], encoding = "UTF-8"))
    }
  }
  file <- withr::local_tempfile(fileext = ".tsv")
  write_mash(table, file)
  expect_identical(read_back(file, encoding = "UTF-8"), table)
  expect_identical(as.data.frame(data.table::fread(file, encoding = "UTF-8"))$number, table$number)
  # With 15 digits data.table writes the numbers itself.
  write_mash(tidy(s$fit), file, digits = 15, overwrite = TRUE)
  expect_equal(read_back(file), tidy(s$fit), tolerance = 1e-14)
})

test_that("a table of several pieces has one header and every row", {
  x <- data.frame(id = seq_len(1e6 + 5), value = seq_len(1e6 + 5) / 8)
  for (append in c(list(append_lines), if (requireNamespace("data.table", quietly = TRUE)) append_by_data_table)) {
    file <- withr::local_tempfile(fileext = ".tsv")
    text_writer(append, 17L)(x, file, FALSE)
    lines <- readLines(file)
    expect_identical(length(lines), nrow(x) + 1L)
    expect_identical(lines[c(1, 500002, 1000006)], c("id\tvalue", "500001\t62500.125", "1000005\t125000.625"))
  }
})

test_that("wide files are the matrices, one for each quantity", {
  s <- write_problem()
  home <- withr::local_tempdir()
  files <- write_mash(s$fit, file.path(home, "fit.v1.tsv.gz"), layout = "wide")
  quantities <- c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr", "NegativeProb")
  expect_identical(files, setNames(file.path(home, paste0("fit.v1_", quantities, ".tsv.gz")), quantities))
  expect_setequal(list.files(home, all.files = TRUE, no.. = TRUE), basename(files))
  for (quantity in quantities) {
    expect_identical(as.matrix(read_back(files[[quantity]], row.names = "effect")), s$fit$result[[quantity]])
  }
  some <- write_mash(
    s$fit, file.path(home, "some.tsv"), what = c("lfsr", "conf.high", "observed"), layout = "wide",
    effects = c(7, 3), conditions = "b", conf.int = TRUE, data = s$data
  )
  expect_named(some, c("lfsr", "conf.high", "observed"))
  high <- as.matrix(read_back(some[["conf.high"]], row.names = "effect"))
  expect_equal(high, get_credible_intervals(s$fit, s$data)$upper[c(7, 3), "b", drop = FALSE], tolerance = 1e-11)
  expect_identical(as.matrix(read_back(some[["observed"]], row.names = 1)), !is.na(s$Bhat[c(7, 3), "b", drop = FALSE]))
})

test_that("chosen effects, conditions and quantities only", {
  s <- write_problem()
  file <- withr::local_tempfile(fileext = ".tsv")
  first <- c(TRUE, FALSE, TRUE)
  write_mash(s$fit, file, what = c("PosteriorMean", "lfsr"), effects = rownames(s$Bhat)[4:2], conditions = first)
  table <- read_back(file)
  expect_named(table, c("effect", "condition", "estimate", "lfsr"))
  expect_identical(table$effect, rep(rownames(s$Bhat)[4:2], 2))
  expect_identical(table$condition, rep(c("a", "c"), each = 3))
  expect_identical(table$lfsr, as.vector(s$fit$result$lfsr[4:2, c("a", "c")]))
  bare <- write_problem(names = FALSE)
  write_mash(bare$fit, file, what = "estimate", overwrite = TRUE)
  expect_identical(read_back(file)$effect, rep(1:20, 3))
})

test_that("results of other kinds, data frames and matrices are written", {
  s <- write_problem()
  file <- withr::local_tempfile(fileext = ".tsv")
  write <- function(...) write_mash(..., file = file, overwrite = TRUE)
  one <- mash_1by1(s$data)
  write(one)
  expect_identical(read_back(file), tidy(one))
  write(mash_compute_posterior_matrices(s$fit, s$data))
  expect_identical(read_back(file)$lfsr, tidy(s$fit)$lfsr)
  contrast <- mash_contrast(s$fit, s$data, level = 0.9)
  write(contrast)
  expect_named(read_back(file), c("effect", "contrast", "estimate", "std.error", "lfsr", "lfdr"))
  write(contrast, conf.int = TRUE, conf.level = 0.9)
  expect_identical(read_back(file), tidy(contrast))
  expect_error(write(contrast, conf.int = TRUE), "level 0.9", class = "covmash_error_argument")
  found <- control_hierarchy(s$fit, by = rep(c("x", "y"), 10), level = 0.5)
  write(found)
  expect_equal(read_back(file), found$effects, ignore_attr = TRUE)
  write(found, what = "groups")
  expect_equal(read_back(file), found$groups, ignore_attr = TRUE)
  groups <- summarise_effects(s$fit, by = rep(c("x", "y"), 10))
  groups$group <- factor(groups$group)
  write(groups)
  expect_identical(read_back(file)$signs, groups$signs)
  sharing <- get_pairwise_sharing(s$fit)
  write(sharing)
  expect_identical(as.matrix(read_back(file, row.names = "condition")), sharing)
  learned <- deconvolve(s$data, n_full = 2, n_starts = 1)
  write(learned)
  expect_equal(read_back(file), tidy(learned), ignore_attr = TRUE)
})

test_that("parquet holds the same table", {
  skip_if_not_installed("nanoparquet")
  s <- write_problem()
  file <- withr::local_tempfile(fileext = ".parquet")
  write_mash(s$fit, file)
  expect_identical(as.data.frame(nanoparquet::read_parquet(file)), tidy(s$fit))
  files <- write_mash(s$fit, file, what = "lfsr", layout = "wide", format = "parquet")
  lfsr <- as.data.frame(nanoparquet::read_parquet(files[["lfsr"]]))
  expect_identical(lfsr$b, unname(s$fit$result$lfsr[, "b"]))
  unlink(files)
})

test_that("without a package for it parquet says which", {
  expect_error(parquet_writer(c("no.such.package", "nor.such")), "nanoparquet", class = "covmash_error_package")
})

test_that("nothing is overwritten unasked, and what fails leaves nothing behind", {
  s <- write_problem()
  home <- withr::local_tempdir()
  file <- file.path(home, "fit.tsv")
  writeLines("mine", file)
  expect_error(write_mash(s$fit, file), "exists", class = "covmash_error_file")
  expect_identical(readLines(file), "mine")
  writeLines("mine", file.path(home, "fit_lfdr.tsv"))
  expect_error(write_mash(s$fit, file, layout = "wide"), "fit_lfdr", class = "covmash_error_file")
  expect_setequal(list.files(home, all.files = TRUE, no.. = TRUE), c("fit.tsv", "fit_lfdr.tsv"))
  # An error half way: neither a new file nor a temporary one.
  bad <- structure(list(a = globalenv()), class = "data.frame", row.names = 1L)
  files <- c(file, file.path(home, "second.tsv"))
  expect_error(write_tables(list(tidy(s$fit), bad), files, "tsv", 17L, TRUE), "environment")
  expect_identical(readLines(file), "mine")
  expect_setequal(list.files(home, all.files = TRUE, no.. = TRUE), c("fit.tsv", "fit_lfdr.tsv"))
})

test_that("bad arguments are refused", {
  s <- write_problem()
  home <- withr::local_tempdir()
  refused <- function(..., class = "covmash_error_argument", file = file.path(home, "a.tsv")) {
    expect_error(write_mash(..., file = file), class = class)
  }
  refused(s$fit, file = file.path(home, "a.xlsx"), class = "covmash_error_file")
  refused(s$fit, file = file.path(home, "none", "a.tsv"), class = "covmash_error_file")
  refused(s$fit, file = 5)
  refused(s$fit, file = home, format = "tsv", class = "covmash_error_file")
  refused(s$fit, what = "pvalue")
  refused(s$fit, what = "conf.low")
  refused(mash(s$data, cov_canonical(s$data), verbose = FALSE), what = "lfdr")
  refused(s$fit, digits = 18)
  refused(s$fit, digits = 0)
  refused(s$fit, conf.int = TRUE)
  refused(s$fit$result, conf.int = TRUE, data = s$data)
  refused(s$fit, overwrite = NA)
  refused(s$fit, effects = "stranger", class = "covmash_error_index")
  refused(s$fit, conditions = 0, class = "covmash_error_index")
  refused(s$fit, effects = integer(), class = "covmash_error_index")
  refused(data.frame(a = I(list(1))))
  refused(data.frame(a = 1), what = "lfsr")
  refused(diag(2), layout = "wide")
  refused(diag(2), effects = 1)
  refused(mean)
  refused(mash(s$data, cov_canonical(s$data), verbose = FALSE, outputlevel = 1), class = "covmash_error_fit")
  expect_identical(list.files(home), character())
  expect_error(write_mash(s$fit), "`file` is missing", class = "covmash_error_argument")
})

test_that("a Parquet file that is cut off is an error, not a result", {
  file <- withr::local_tempfile()
  whole <- charToRaw("PAR1 and all the rest PAR1")
  writeBin(whole, file)
  expect_null(refuse_cut_parquet(file))
  for (bytes in list(whole[1:20], whole[-26], raw(), charToRaw("PAR1"))) {
    writeBin(bytes, file)
    expect_error(refuse_cut_parquet(file), "cut off")
  }
  expect_error(refuse_cut_parquet(tempfile()), "cut off")
  skip_if_not_installed("nanoparquet")
  # nanoparquet writes to a folder that is gone, in silence.
  expect_error(
    parquet_writer("nanoparquet")(data.frame(a = 1), file.path(tempdir(), "gone", "x.parquet")), "cut off",
    class = "covmash_error_file"
  )
})
