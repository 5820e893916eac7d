# A prediction with known numbers: 10 segments of 100 rows, the last one of 50.
known_cost <- function(J = 950, passes = 4) {
  src <- mash_source(function(i) list(Bhat = matrix(1, 950, 2)), n = 1, n_effects = 950, segment_rows = 100)
  measured <- list(
    segment = 100, piece = 100, heap = 1e6, worker = 2, scan = 3,
    per_row = c(reading = 0.1, counting = 0.02, pass = 0.4, posterior = 0.3, writing = 0.05), bytes_per_row = 50
  )
  new_cost(src, measured, 4, 7, J, passes, FALSE)
}

test_that("seconds are those of the rows of the busiest worker", {
  cost <- known_cost()
  one <- predict_cost(cost, 1, 1, 1)
  expect_equal(one$scan, 3 + 950 * 0.22)
  expect_equal(one$fit, 3 * 4 + 2 + 4 * 950 * 0.5)
  expect_equal(one$posterior, 950 * 0.45)
  expect_equal(one$total, one$scan + one$fit + one$posterior)
  expect_equal(one$reading, 7 * 950 * 0.1)
  expect_equal(one$core_hours, one$total / 3600)
  # A source in memory: two doubles a row, 950 rows in 95 s.
  expect_equal(one$read_rate, 16 * 10)
  four <- predict_cost(cost, 4, 4, 1)
  expect_equal(four$fit, 14 + 4 * 300 * 0.5)
  expect_equal(four$core_hours, 4 * four$total / 3600)
  # More workers than segments wait.
  expect_identical(predict_cost(cost, 800, 800, 1)$total, predict_cost(cost, 10, 10, 1)$total)
  threads <- predict_cost(cost, 4, 1, 4)
  expect_equal(threads$fit, 14 / 4 + 4 * 950 * (0.1 + 0.1))
  expect_equal(threads$posterior, 950 * (0.1 + 0.3 / 4 + 0.05))
  expect_equal(threads$reading, one$reading)
})

test_that("twice the rows take twice the time, but for what is done once", {
  predicted <- function(cost, workers = 1) predict_cost(cost, workers, workers, 1)
  one <- predicted(known_cost())
  two <- predicted(known_cost(1900))
  expect_equal(two$fit - 14, 2 * (one$fit - 14))
  expect_equal(two$scan - 3, 2 * (one$scan - 3))
  expect_equal(two[c("posterior", "reading")], 2 * one[c("posterior", "reading")])
  expect_equal(two$read_rate, one$read_rate)
  expect_equal(known_cost(1900)$bytes, 2 * known_cost()$bytes)
  expect_equal(predicted(known_cost(passes = 8))$fit - 22, 2 * (one$fit - 14))
})

test_that("the largest share of the rows is that of whole segments, found by dealing them out", {
  dealt <- function(J, size, workers) {
    segments <- c(rep(size, J %/% size), if (J %% size > 0) J %% size)
    max(rowsum(segments, rep_len(seq_len(workers), length(segments))))
  }
  for (J in c(1, 99, 100, 101, 950, 1000, 1001)) {
    for (workers in c(1, 2, 3, 10, 11, 800)) expect_equal(largest_share(J, 100, workers), dealt(J, 100, workers))
  }
})

cost_source <- function(J = 1000, env = parent.frame()) {
  p <- source_problem(J, seed = 4)
  parts <- split(seq_len(J), ceiling(seq_len(J) / 300))
  part <- function(i) list(Bhat = p$Bhat[parts[[i]], ], Shat = p$Shat[parts[[i]], ])
  list(src = mash_source(part, n = length(parts), n_effects = lengths(parts), segment_rows = 400), p = p)
}

test_that("mash_cost() measures a segment of a source, or of one that was looked at", {
  s <- cost_source()
  U <- suppressWarnings(suppressMessages(cov_canonical(s$src)))
  files <- dir(tempdir())
  rng <- get0(".Random.seed", globalenv())
  cost <- mash_cost(s$src, U, cores = c(1, 2, 800), grid = c(0.5, 1), usepointmass = FALSE)
  expect_identical(get0(".Random.seed", globalenv()), rng)
  expect_identical(dir(tempdir()), files)
  expect_s3_class(cost, "mash_cost")
  expect_identical(
    cost[c("n_effects", "n_conditions", "n_segments", "segment_rows", "passes", "readings")],
    list(n_effects = 1000, n_conditions = 3L, n_segments = 3, segment_rows = 400, passes = 5, readings = 8)
  )
  expect_equal(cost$n_components, 2 * length(U))
  expect_equal(cost$measured, c(segment = 400, piece = 400))
  expect_named(cost$per_row, c("reading", "counting", "pass", "posterior", "writing"))
  expect_true(all(cost$per_row >= 0) && all(cost$per_row[c("reading", "counting", "pass", "posterior")] > 0))
  expect_true(all(unlist(cost$predicted) > 0))
  expect_identical(cost$predicted$cores, c(1, 2, 800))
  expect_equal(cost$predicted$threads, c(1, 1, 1))
  expect_identical(cost$predicted$workers, c(1, 2, 800))
  # Double precision of both, of 1000 x 3.
  expect_equal(cost$bytes[["read"]], 48000)
  look <- summary(s$src, n_threads = 1)
  seen <- mash_cost(look, U, cores = 3, n_threads = 2)
  expect_identical(seen$readings, 6)
  expect_identical(seen$predicted$scan, 0)
  expect_identical(unlist(seen$predicted[c("workers", "threads")], use.names = FALSE), c(1, 2))
  # Of a larger study there has been no look.
  large <- mash_cost(look, U, cores = 1, n_effects = 1e6, passes = 3)
  expect_identical(large$readings, 6)
  expect_gt(large$predicted$scan, 0)
  expect_identical(large$n_segments, 2500)
  expect_equal(large$bytes[["read"]], 48e6)
})

test_that("bytes are those of the files", {
  skip_if_not_installed("nanoparquet")
  p <- source_problem(500)
  src <- write_source(mash_set_data(p$Bhat, p$Shat), withr::local_tempfile(), rows_per_file = 200)
  U <- list(identity = diag(3))
  cost <- mash_cost(src, U, cores = 1)
  expect_equal(cost$bytes[["read"]], sum(src$files$size))
  fit <- mash(src, U, verbose = FALSE, n_threads = 1)
  out <- mash_posterior(src, fit, withr::local_tempfile(), n_threads = 1)
  expect_equal(cost$bytes[["written"]], sum(out$pieces$bytes), tolerance = 0.05)
  less <- mash_cost(src, U, columns = "lfsr", format = "float")
  expect_lt(less$bytes[["written"]], cost$bytes[["written"]] / 2)
})

test_that("a long Parquet file is read for each segment of it", {
  src <- list(
    kind = "files", n_effects = 5e8, segment_rows = 1e6, rows = c(1e6, 1e8), columns = list(Bhat = "b", Shat = "s"),
    files = data.frame(path = c("a.parquet", "b.parquet"), size = c(10, 1000))
  )
  expect_equal(bytes_of_reading(src), 10 + 100 * 1000)
  src$files$path <- c("a.csv", "b.csv")
  expect_equal(bytes_of_reading(src), 1010)
})

test_that("predictions print as a table", {
  cost <- known_cost(950000)
  cost$predicted <- rbind(predict_cost(cost, 1, 1, 1), predict_cost(cost, 800, 800, 1))
  expect_identical(format(cost), "<mash_cost> 950000 effects x 2 conditions, 7 components, 9500 segments")
  shown <- withr::with_options(list(width = 100), capture.output(out <- withVisible(print(cost))))
  expect_false(out$visible)
  expect_identical(out$value, cost)
  expect_match(shown, "bytes: +15.2 MB read 7 times \\(4 passes\\), 47.5 MB written", all = FALSE)
  expect_match(shown, "once: +12 s for the weights of the sample, 2 s a worker", all = FALSE)
  expect_match(shown, "^ *cores +workers +threads +scan +fit +posterior", all = FALSE)
  expect_match(shown, "58h 3m", all = FALSE)
  expect_true(all(nchar(shown) <= 100))
  expect_identical(bytes_text(c(0, 999, 1234, 5.2e9, 2e15)), c("0 bytes", "999 bytes", "1.23 kB", "5.2 GB", "2000 TB"))
  expect_identical(duration_text(c(0.1234, 59, 61, 7200)), c("0.12 s", "59 s", "1m 1s", "2h 0m"))
})

test_that("mash(explain = TRUE) tells it before the first pass, also when it is to be silent", {
  s <- cost_source()
  U <- list(identity = diag(3))
  told <- testthat::capture_messages(fit <- mash(s$src, U, explain = TRUE, verbose = FALSE, n_threads = 1))
  expect_length(told, 3)
  expect_match(told[1], "By 400 effects of segment 1: 5 passes over 1000 effects would take .* on 1 worker of 1 thread")
  expect_match(told[2], "reading, 48 kB in each pass")
  expect_match(told[3], "mash_posterior[(][)] would take")
  plain <- mash(s$src, U, verbose = FALSE, n_threads = 1)
  expect_identical(fit$fitted_g, plain$fitted_g)
  told <- testthat::capture_messages(mash(s$src, g = fit, fixg = TRUE, explain = TRUE, verbose = FALSE, n_threads = 2))
  expect_match(told[1], ": 1 pass over 1000 effects .* on 1 worker of 2 threads")
})

test_that("arguments that cannot be are refused", {
  src <- cost_source()$src
  U <- list(diag(3))
  expect_error(mash_cost(), "`data`", class = "covmash_error_source")
  expect_error(mash_cost(matrix(1), U), "`data`", class = "covmash_error_source")
  expect_error(mash_cost(src), "`Ulist` is missing", class = "covmash_error_ulist")
  expect_error(mash_cost(src, list(diag(2))), class = "covmash_error_ulist")
  for (bad in list(0, 1.5, NA, "1", integer(), Inf)) {
    expect_error(mash_cost(src, U, cores = bad), "`cores`", class = "covmash_error_argument")
  }
  expect_error(mash_cost(src, U, n_effects = 0), "`n_effects`", class = "covmash_error_argument")
  expect_error(mash_cost(src, U, passes = 0), "`passes`", class = "covmash_error_argument")
  expect_error(mash_cost(src, U, columns = "mean"), "`columns`", class = "covmash_error_argument")
  expect_error(mash_cost(src, U, format = "half"), "`format`", class = "covmash_error_argument")
  expect_error(mash_cost(src, U, n_threads = 0), class = "covmash_error_threads")
  expect_warning(mash_cost(src, U, outputlevel = 2), "outputlevel", class = "covmash_warning_ignored")
  expect_error(print(structure(list(), class = "mash_cost")), class = "covmash_error_type")
})

test_that("a bad value in the segment is told with its place", {
  bad <- function(i) list(Bhat = matrix(c(1, 2, 3, 4, Inf, 6), 3))
  src <- mash_source(bad, n = 1, segment_rows = 2)
  expect_error(mash_cost(src, list(diag(2))), "Row 2 of `x`[(]1[)]", class = "covmash_error_source")
})
