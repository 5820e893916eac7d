skip_if_not_installed("nanoparquet")

test_that("the files hold the posterior of every row, whatever the segments and pieces", {
  local_piece_rows()
  for (alpha in c(0, 1)) {
    s <- output_study(alpha = alpha)
    home <- file.path(withr::local_tempdir(), "new")
    out <- mash_posterior(s$source, s$fit, home, columns = rev(all_columns), n_threads = 1)
    expect_s3_class(out, "mash_output")
    expect_identical(out$columns, all_columns)
    expect_identical(out$pieces$to - out$pieces$from + 1, c(20, 20, 10, 20, 20, 10, 20, 10))
    # Rows that share their noise with others or not: the path of a row may differ, by rounding.
    posterior <- mash_compute_posterior_matrices(s$fit, s$data)
    for (part in all_columns) expect_close(out[]$result[[part]], posterior[[part]], 1e-10)
    expect_identical(dimnames(out[]$result$lfsr), dimnames(s$Bhat))
    file <- as.data.frame(nanoparquet::read_parquet(file.path(home, "posterior-00002-03.parquet")))
    shorts <- c("mean", "sd", "lfsr", "lfdr", "negative_prob", "observed")
    expect_named(file, c("id", paste0(rep(shorts, each = 4), "_", colnames(s$Bhat))))
    expect_identical(file$id, rownames(s$Bhat)[91:100])
    expect_identical(unname(as.matrix(file[22:25])), unname(!is.na(s$Bhat[91:100, ])))
  }
})

test_that("without names rows have numbers; float halves the numbers, and rounds them", {
  local_piece_rows()
  s <- output_study(ids = FALSE)
  homes <- c(withr::local_tempdir(), withr::local_tempdir())
  out <- mash_posterior(s$source, s$fit, homes[1], n_threads = 1)
  half <- mash_posterior(s$source, s$fit, homes[2], format = "float", n_threads = 1)
  for (k in 1:2) {
    file <- file.path(homes[k], "posterior-00003-01.parquet")
    expect_identical(nanoparquet::read_parquet(file)$row, as.numeric(101:120))
    schema <- nanoparquet::read_parquet_schema(file)
    types <- c("INT64", rep(c("DOUBLE", "FLOAT")[k], 12), rep("BOOLEAN", 4))
    expect_identical(schema$type[-1], types)
    expect_identical(unique(schema$repetition_type[-1]), "OPTIONAL")
  }
  expect_close(get_pm(half), get_pm(out), 1e-6)
  expect_false(identical(get_pm(half), get_pm(out)))
  expect_lt(sum(half$pieces$bytes), 0.8 * sum(out$pieces$bytes))
  expect_error(refuse_beyond_float(list(lfsr = 0, PosteriorMean = c(1, -4e38))), "PosteriorMean", class = "covmash_error_magnitude")
  expect_null(refuse_beyond_float(list(lfsr = c(NA, 1e-300))))
})

test_that("a source behind a function, with V, does as well", {
  local_piece_rows()
  s <- output_study()
  V <- 0.3 + diag(0.7, 4)
  part <- function(i) {
    rows <- (65 * i - 64):(65 * i)
    list(Bhat = s$Bhat[rows, ], Shat = s$Shat[rows, ], id = rownames(s$Bhat)[rows])
  }
  src <- mash_source(part, n = 2, n_effects = 130, V = V, segment_rows = 40)
  out <- mash_posterior(src, s$fit, withr::local_tempdir(), n_threads = 1)
  data <- mash_set_data(s$Bhat, s$Shat, V = V)
  expect_close(get_pm(out), predict(s$fit, data)$PosteriorMean, 1e-10)
  expect_identical(dimnames(get_pm(out)), dimnames(s$Bhat))
})

test_that("a fit of other data, with its conditions in another order, is matched by name and said so once", {
  local_piece_rows()
  s <- output_study()
  turned <- s$data[1:60, c(3, 1, 4, 2)]
  fit <- mash(turned, cov_canonical(turned), verbose = FALSE, n_threads = 1)
  home <- withr::local_tempdir()
  said <- testthat::capture_messages(out <- mash_posterior(s$source, fit, home, n_threads = 1))
  expect_length(said, 1)
  expect_match(said, "another order")
  expect_identical(out$conditions, colnames(turned$Bhat))
  expect_close(get_pm(out), suppressMessages(predict(fit, s$data))$PosteriorMean, 1e-10)
  expect_identical(count_significant(out, predicted = FALSE), count_significant(out[]))
  expect_identical(unobserved(out[]), unname(is.na(s$Bhat[, c(3, 1, 4, 2)])))
  unknown <- s$data[, 1:2]
  unknown <- mash(unknown, cov_canonical(unknown), verbose = FALSE, n_threads = 1)
  expect_error(mash_posterior(s$source, unknown, tempfile()), "does not know", class = "covmash_error_names")
  fit$alpha <- 1
  expect_error(mash_posterior(s$source, fit, tempfile()), class = "covmash_error_alpha")
})

test_that("an effect has the same bits in any segment and piece, where the fit is one of a source", {
  s <- output_study()
  B <- s$Bhat
  # Two patterns of missing estimates that many rows share, and some of single rows.
  B[1:50, 2] <- B[51:100, 3:4] <- NA
  data <- muffle_all_missing(mash_set_data(B))
  folder <- withr::local_tempdir()
  src <- write_source(data, file.path(folder, "source"))
  src$segment_rows <- 50
  fit <- suppressMessages(mash(src, cov_canonical(s$data), n_threads = 1, verbose = FALSE))
  local_piece_rows(7)
  out <- mash_posterior(src, fit, withr::local_tempdir(), columns = all_columns, n_threads = 1)
  local_piece_rows(1000)
  src$segment_rows <- 130
  whole <- mash_posterior(src, fit, withr::local_tempdir(), columns = all_columns, n_threads = 1)
  expect_identical(out[], whole[])
  posterior <- mash_compute_posterior_matrices(fit, data)
  for (part in all_columns) expect_close(out[]$result[[part]], posterior[[part]], 1e-12)
})

# ---- the same bytes ------------------------------------------------------------

test_that("parts, threads and starting again give the same bytes, and do nothing twice", {
  local_piece_rows()
  s <- output_study()
  home <- withr::local_tempdir()
  mash_posterior(s$source, s$fit, home, n_threads = 1)
  sums <- folder_sums(home)
  expect_length(sums, 8 + 8 + 1)

  written <- character()
  original <- write_piece_once
  local_functions(write_piece_once = function(table, one, ...) {
    written <<- c(written, one$file)
    original(table, one, ...)
  })
  mash_posterior(s$source, s$fit, home, n_threads = 1)
  expect_identical(written, character())

  parts <- withr::local_tempdir()
  withr::local_envvar(COVMASH_TEST_TASK = "2")
  out <- mash_posterior(s$source, s$fit, parts, part = "COVMASH_TEST_TASK", n_parts = "2", n_threads = 2)
  expect_length(written, 5)
  expect_output(print(out), "to do: +part 1 of 2: segment 1")
  expect_error(get_significant_results(out), "not complete, part 1 of 2: segment 1", class = "covmash_error_output")
  out <- mash_posterior(s$source, s$fit, parts, part = 1, n_parts = 2)
  expect_identical(written, c(out$pieces$file[4:8], out$pieces$file[1:3]))
  expect_output(print(out), "complete")
  # output.dcf tells of how many parts it was begun with.
  expect_identical(folder_sums(parts)[names(sums) != "output.dcf"], sums[names(sums) != "output.dcf"])
  expect_identical(mash_posterior(s$source, s$fit, parts, part = 9, n_parts = 9)$pieces, out$pieces)

  # Lost, cut off, of another size, without manifest.
  unlink(file.path(home, out$pieces$file[3]))
  cat("more", file = file.path(home, out$pieces$file[5]), append = TRUE)
  unlink(manifest_file(home, out$pieces$file[8]))
  expect_identical(mash_output(home)$pieces$state, c("complete", "missing", "damaged")[c(1, 1, 2, 1, 3, 1, 1, 2)])
  expect_output(print(mash_output(home)), "segments 1-3 (1 damaged piece)", fixed = TRUE)
  written <- character()
  mash_posterior(s$source, s$fit, home, n_threads = 1)
  expect_identical(written, out$pieces$file[c(3, 5, 8)])
  expect_identical(folder_sums(home), sums)
})

test_that("segments of parts are contiguous and each is in one part", {
  for (n in c(1, 3, 7, 10)) {
    for (parts in c(1, 2, 3, 10, 25)) {
      shares <- lapply(seq_len(parts), function(k) segments_of_part(n, c(k, parts)))
      expect_equal(unlist(shares), seq_len(n))
      expect_lte(diff(range(lengths(shares))), 1)
    }
  }
})

test_that("a process that is killed while it writes loses nothing, and what it left is swept away", {
  skip_on_cran()
  skip_on_os("windows")
  local_piece_rows()
  s <- output_study()
  whole <- withr::local_tempdir()
  out <- mash_posterior(s$source, s$fit, whole, n_threads = 1)
  sums <- folder_sums(whole)
  original <- write_piece_once
  # In the middle of a file, and between file and manifest.
  half <- "{ bytes <- readBin(file, 'raw', 1e6); writeBin(bytes[seq_len(length(bytes) / 2)], file); tools::pskill(Sys.getpid(), 9) }"
  kills <- list(
    c(
      "old <- ns$write_piece_table",
      "put('write_piece_table', function(table, file, format) {",
      paste("old(table, file, format); if (grepl('posterior-00002-02', file))", half), "})"
    ),
    c(
      "old <- ns$put_in_place",
      "put('put_in_place', function(made, file) {",
      "old(made, file); if (grepl('posterior-00002-02.parquet', file)) tools::pskill(Sys.getpid(), 9) })"
    )
  )
  for (k in seq_along(kills)) {
    home <- withr::local_tempdir()
    status <- run_beside(c(kills[[k]], "mash_posterior(s$source, s$fit, home, n_threads = 1)"), s, home)
    expect_identical(status, 137L)
    left <- mash_output(home)
    expect_identical(left$pieces$state == "complete", 1:8 < 5)
    expect_length(temporary_files(home), c(1, 0)[k])
    expect_error(get_n_significant_conditions(left), "segments 2-3", class = "covmash_error_output")
    expect_identical(get_pm(left, 1:70), get_pm(out, 1:70))
    written <- character()
    local_functions(write_piece_once = function(table, one, ...) {
      written <<- c(written, one$file)
      original(table, one, ...)
    })
    mash_posterior(s$source, s$fit, home, n_threads = 1)
    expect_identical(written, out$pieces$file[5:8])
    expect_identical(folder_sums(home), sums)
  }
})

test_that("parts at work at the same time, in one folder, and the workers of a cluster give the same bytes", {
  skip_on_cran()
  skip_on_os("windows")
  local_piece_rows()
  s <- output_study()
  whole <- withr::local_tempdir()
  mash_posterior(s$source, s$fit, whole, n_threads = 1)
  sums <- folder_sums(whole)
  sums <- sums[names(sums) != "output.dcf"]
  home <- withr::local_tempdir()
  run_beside("mash_posterior(s$source, s$fit, home, part = 2, n_parts = 3, n_threads = 1)", s, home, wait = FALSE)
  for (k in c(1, 3)) mash_posterior(s$source, s$fit, home, part = k, n_parts = 3, n_threads = 1)
  for (k in 1:300) {
    if (all(mash_output(home)$pieces$state == "complete")) break
    Sys.sleep(0.1)
  }
  files <- names(sums)
  expect_identical(folder_sums(home)[files], sums[files])

  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
  cluster <- parallel::makePSOCKcluster(2)
  withr::defer(parallel::stopCluster(cluster))
  home <- withr::local_tempdir()
  mash_posterior(s$source, s$fit, home, cluster = cluster)
  expect_identical(folder_sums(home)[names(sums)], sums)
})

# ---- what goes wrong -----------------------------------------------------------

test_that("a disk that fills up is an error, and what was written stays", {
  local_piece_rows()
  s <- output_study()
  home <- withr::local_tempdir()
  whole <- mash_posterior(s$source, s$fit, withr::local_tempdir(), n_threads = 1)
  original <- write_by_nanoparquet
  # As nanoparquet does it: in silence.
  fill <- function(table, file, type) {
    original(table, file, type)
    if (grepl("posterior-00001-03", file)) writeBin(readBin(file, "raw", 700), file)
  }
  local_functions(write_by_nanoparquet = fill)
  expect_error(
    mash_posterior(s$source, s$fit, home, n_threads = 1), "posterior-00001-03.*cut off.*goes on", class = "covmash_error_output"
  )
  expect_identical(mash_output(home)$pieces$state == "complete", 1:8 <= 2)
  expect_length(temporary_files(home), 0)
  local_functions(write_by_nanoparquet = function(table, file, type) stop("no device"))
  expect_error(mash_posterior(s$source, s$fit, home, n_threads = 1), "no device", class = "covmash_error_output")
  local_functions(write_by_nanoparquet = original)
  out <- mash_posterior(s$source, s$fit, home, n_threads = 1)
  expect_identical(out$pieces, whole$pieces)
})

test_that("a real disk that is full", {
  skip_on_cran()
  skip_on_os(c("windows", "mac"))
  home <- withr::local_tempdir()
  mounted <- suppressWarnings(system2("mount", c("-t", "tmpfs", "-o", "size=96k", "tmpfs", home), stdout = FALSE, stderr = FALSE))
  skip_if(mounted != 0, "no right to mount a small disk")
  withr::defer(system2("umount", home), priority = "first")
  local_piece_rows()
  s <- output_study()
  expect_error(
    for (k in 1:10) mash_posterior(s$source, s$fit, file.path(home, k), n_threads = 1), "disk", class = "covmash_error_output"
  )
  last <- file.path(home, max(as.numeric(list.files(home))))
  if (file.exists(file.path(last, "output.dcf"))) expect_true(all(mash_output(last)$pieces$state != "damaged"))
  file <- file.path(home, "x.parquet")
  expect_error(write_mash(s$fit, file), class = "covmash_error_file")
  expect_false(file.exists(file))
})

test_that("the folder of another posterior is left alone, unless it shall be overwritten", {
  local_piece_rows()
  s <- output_study()
  home <- withr::local_tempdir()
  mash_posterior(s$source, s$fit, home, n_threads = 1)
  sums <- folder_sums(home)
  other <- s$fit
  other$fitted_g$pi <- rev(other$fitted_g$pi)
  src <- mash_source(dirname(s$source$files$path[1]), segment_rows = 60)
  refused <- function(expr, what) expect_error(expr, what, class = "covmash_error_output")
  refused(mash_posterior(s$source, other, home), "another fit")
  refused(mash_posterior(src, s$fit, home), "another source")
  refused(mash_posterior(s$source, s$fit, home, columns = "lfsr"), "other columns")
  refused(mash_posterior(s$source, s$fit, home, format = "float"), "another format")
  local({
    local_functions(cpp_simd_available = function() "none")
    refused(mash_posterior(s$source, s$fit, home), "instruction set")
  })
  expect_identical(folder_sums(home), sums)
  writeLines("mine", file.path(home, "notes.txt"))
  out <- mash_posterior(s$source, other, home, columns = "lfsr", overwrite = TRUE, n_threads = 1)
  expect_close(get_lfsr(out), mash_compute_posterior_matrices(other, s$data)$lfsr, 1e-10)
  expect_identical(readLines(file.path(home, "notes.txt")), "mine")
  mash_posterior(s$source, s$fit, home, overwrite = TRUE, n_threads = 1)
  expect_identical(folder_sums(home)[names(sums)], sums)
  # Pieces of which nothing is known.
  unlink(file.path(home, "output.dcf"))
  refused(mash_posterior(s$source, s$fit, home), "without the file output.dcf")
  writeLines("layout: x", file.path(home, "output.dcf"))
  refused(mash_posterior(s$source, s$fit, home), "damaged")
  # The same fit made again, or sent through a file, is the same.
  again <- mash(s$data, cov_canonical(s$data), verbose = FALSE, n_threads = 1, outputlevel = 1)
  expect_identical(fit_digest(again), fit_digest(s$fit))
})

test_that("wrong arguments are refused, before anything is written", {
  s <- make_output_study()
  home <- file.path(withr::local_tempdir(), "none")
  call <- function(...) mash_posterior(s$source, s$fit, home, ...)
  wrong <- function(expr, what, class = "covmash_error_argument") expect_error(expr, what, class = class)
  wrong(mash_posterior(s$data, s$fit, home), "source made by mash_source", "covmash_error_source")
  wrong(mash_posterior(s$source, 1, home), "fit of mash", "covmash_error_fit")
  wrong(mash_posterior(s$source, s$fit), "`write_to` is missing")
  wrong(mash_posterior(s$source, s$fit, 3), "path of a folder")
  wrong(call(columns = "lfsrs"), "Did you mean 'lfsr'")
  wrong(call(columns = character()), "`columns`")
  wrong(call(format = "half"), "`format`")
  wrong(call(part = 1), "without `n_parts`")
  wrong(call(n_parts = 2), "without `part`")
  wrong(call(part = 3, n_parts = 2), "from 1 to `n_parts` = 2")
  wrong(call(part = 0, n_parts = 2), "`part`")
  wrong(call(part = "NO_SUCH_VARIABLE_9", n_parts = 2), "environment variable")
  wrong(call(part = 1, n_parts = 2, overwrite = TRUE), "cannot go with `part`")
  wrong(call(n_threads = 0), "n_threads", "covmash_error_threads")
  wrong(call(cluster = 1), "`cluster`", "covmash_error_cluster")
  expect_false(dir.exists(home))
  file <- withr::local_tempfile(lines = "x")
  wrong(mash_posterior(s$source, s$fit, file), "is a file", "covmash_error_output")
  wrong(mash_posterior(s$source, s$fit, file.path(file, "x")), "cannot be made", "covmash_error_output")
  wrong(mash_posterior(s$source, s$fit, file.path(home, "x")), "does not exist", "covmash_error_output")
  wrong(mash_posterior(s$source, s$fit, dirname(s$source$files$path[1])), "read from", "covmash_error_output")
  # A source that cannot be read any more.
  unlink(s$source$files$path[2])
  wrong(call(), "part-00002", "covmash_error_source")
})
