open_source <- function(folder, ...) suppressMessages(mash_source(folder, Bhat = "b_", Shat = "s_", id = "snp", ...))

test_that("segments give the rows in their order, however the files are cut", {
  skip_if_not_installed("nanoparquet")
  p <- source_problem(23)
  for (ending in c("parquet", "csv", "tsv.gz")) {
    folder <- source_files(p, c(5, 1, 10, 7), ending)
    for (rows in c(1, 4, 5, 6, 22, 23, 100)) {
      src <- open_source(folder, segment_rows = rows)
      expect_identical(n_segments(src), ceiling(23 / rows))
      expect_identical(segment_range(src, 1), c(1, min(rows, 23)))
      expect_identical(segment_range(src, n_segments(src))[2], 23)
      parts <- lapply(seq_len(n_segments(src)), function(i) read_segment(src, i))
      all <- lapply(c(Bhat = "Bhat", Shat = "Shat"), function(name) do.call(rbind, lapply(parts, `[[`, name)))
      expect_identical(bare(all$Bhat), bare(p$Bhat))
      expect_identical(bare(all$Shat), bare(p$Shat))
      expect_identical(colnames(all$Bhat), colnames(p$Bhat))
      expect_identical(unlist(lapply(parts, `[[`, "id")), rownames(p$Bhat))
    }
    src <- open_source(folder, segment_rows = 9)
    part <- read_segment(src, 2, c(9, 2, 2))
    expect_identical(bare(part$Bhat), bare(p$Bhat[c(18, 11, 11), ]))
    expect_identical(part$id, rownames(p$Bhat)[c(18, 11, 11)])
  }
  expect_error(segment_range(src, 4), class = "covmash_error_index")
  expect_error(read_segment(src, 3, 6), class = "covmash_error_index")
})

test_that("a Parquet file that is longer than a segment is read alike, as a whole or column by column", {
  skip_if_not_installed("nanoparquet")
  p <- source_problem(23)
  folder <- source_files(p, c(20, 3))
  read_all <- function() {
    src <- suppressMessages(open_source(folder, segment_rows = 3))
    do.call(rbind, lapply(seq_len(n_segments(src)), function(i) read_segment(src, i)$Bhat))
  }
  expect_identical(bare(read_all()), bare(p$Bhat))
  bytes <- kept_part$bytes
  withr::defer(kept_part$bytes <- bytes)
  kept_part$bytes <- 0
  expect_identical(bare(read_all()), bare(p$Bhat))
  expect_message(mash_source(folder, "b_", segment_rows = 3), class = "covmash_message_source")
})

test_that("data objects of rows are those of the data in memory", {
  skip_if_not_installed("nanoparquet")
  p <- source_problem(23)
  V <- matrix(c(1, 0.3, 0, 0.3, 1, 0.2, 0, 0.2, 1), 3)
  folder <- source_files(p, c(5, 10, 8))
  for (alpha in c(0, 1)) {
    src <- open_source(folder, V = V, alpha = alpha, segment_rows = 6)
    data <- mash_set_data(p$Bhat, p$Shat, alpha = alpha, V = V)
    expect_identical(as_mash_data(src), data)
    expect_identical(segment_data(src, 2), data[7:12, ])
    expect_identical(segment_data(src, 4, c(5, 1)), data[c(23, 19), ])
    rows <- c(20, 3, 21, 3, 1)
    expect_identical(src[rows], data[rows, ])
    expect_identical(src[rows, ], data[rows, ])
    expect_identical(src[rows, c("skin", "liver")], data[rows, c("skin", "liver")])
    expect_identical(src[seq_len(23) > 20], data[21:23, ])
  }
  expect_identical(dim(src), c(23L, 3L))
  expect_identical(colnames(src), colnames(p$Bhat))
  expect_identical(n_effects(src), 23)
  for (wrong in list(24, "e1", 0, 1.5, NA)) expect_error(src[wrong], class = "covmash_error_index")
  expect_error(src[], class = "covmash_error_index")
  expect_error(src[1, , 2], class = "covmash_error_index")
  expect_error(mash_1by1(src), "data[rows]", fixed = TRUE, class = "covmash_error_data")
})

test_that("settings of mash_set_data() are kept, and standard errors may be left out", {
  skip_if_not_installed("nanoparquet")
  p <- source_problem(6)
  p$Shat[2, 1] <- 0
  p$Bhat[2, 1] <- 0
  p$Shat[3, 2] <- Inf
  folder <- source_files(p, 6)
  expect_error(segment_data(open_source(folder), 1), class = "covmash_error_shat")
  src <- open_source(folder, zero_Bhat_Shat_reset = 3)
  expect_identical(src[1:6], mash_set_data(p$Bhat, p$Shat, zero_Bhat_Shat_reset = 3))
  src <- mash_source(folder, "b_")
  expect_identical(bare(src[1:6]$Bhat), bare(mash_set_data(p$Bhat)$Bhat))
  expect_output(print(src), "z-scores")
  src <- mash_source(folder, "b_", "s_", conditions = c("x", "y", "z"))
  expect_identical(colnames(src), c("x", "y", "z"))
  for (wrong in list("x", c("x", "x", "y"), 1:3, c("x", "y", ""))) {
    expect_error(mash_source(folder, "b_", conditions = wrong), class = "covmash_error_names")
  }
})

test_that("a bad value is told with its file and row", {
  skip_if_not_installed("nanoparquet")
  p <- source_problem(23)
  p$Shat[17, 2] <- -1
  p$Bhat[17, 2] <- 1
  folder <- source_files(p, c(5, 10, 8))
  src <- open_source(folder, segment_rows = 10)
  expect_no_error(segment_data(src, 1))
  cnd <- expect_error(segment_data(src, 2), class = "covmash_error_shat")
  expect_s3_class(cnd, "covmash_error_source")
  place <- "Row 2 of 'part03.parquet' (effect 17, 'e17'): `Shat` is negative in column 2 ('lung')"
  expect_match(conditionMessage(cnd), place, fixed = TRUE)
  cnd <- expect_error(src[c(1, 17)], class = "covmash_error_shat")
  expect_match(conditionMessage(cnd), "Row 2 of 'part03.parquet'", fixed = TRUE)
  p$Shat[17, 2] <- NaN
  folder <- source_files(p, c(5, 10, 8))
  expect_error(open_source(folder)[17], "Row 2 of 'part03", class = "covmash_error_source")
})

test_that("warnings come where they are asked for", {
  skip_if_not_installed("nanoparquet")
  p <- source_problem(10)
  p$Bhat[4, ] <- NA
  rownames(p$Bhat)[2] <- "e1"
  folder <- source_files(p, 10)
  src <- open_source(folder)
  expect_no_warning(segment_data(src, 1))
  expect_warning(segment_data(src, 1, warn = TRUE), class = "covmash_warning_all_missing")
  expect_no_warning(src[1:3])
})

test_that("functions are sources", {
  p <- source_problem(23)
  ends <- c(8, 16, 23)
  calls <- 0
  make <- function(i) {
    calls <<- calls + 1
    rows <- seq(c(1, 9, 17)[i], ends[i])
    list(Bhat = p$Bhat[rows, ], Shat = p$Shat[rows, ], id = rownames(p$Bhat)[rows])
  }
  data <- mash_set_data(p$Bhat, p$Shat)
  for (n_effects in list(23, c(8, 8, 7), NULL)) {
    src <- mash_source(make, n = 3, n_effects = n_effects, segment_rows = 5)
    expect_identical(as_mash_data(src), data)
    calls <- 0
    for (i in 1:5) expect_identical(segment_data(src, i), data[seq(5 * i - 4, min(5 * i, 23)), ])
    # Consecutive segments share the part that they cut.
    expect_identical(calls, 3)
  }
  expect_output(print(src), "23 effects x 3 conditions in 3 parts made by a function")
  plain <- mash_source(function(i) list(Bhat = unname(p$Bhat)), n = 1)
  expect_identical(colnames(plain), c("1", "2", "3"))
  expect_identical(bare(plain[1:23]$Bhat), bare(mash_set_data(p$Bhat)$Bhat))
})

test_that("functions that give nonsense are told of", {
  p <- source_problem(6)
  B <- p$Bhat
  later <- function(part) function(i) if (i == 1) list(Bhat = B, Shat = p$Shat) else part
  refused <- function(make, class, n_effects = 12) {
    cnd <- expect_error(mash_source(make, n = 2, n_effects = n_effects)[8], class = class)
    expect_s3_class(cnd, "covmash_error_source")
  }
  refused(function(i) stop("no disk"), "covmash_error_argument")
  for (part in list(NULL, 1, B, data.frame(Bhat = 1), list(Shat = B))) refused(later(part), "covmash_error_type")
  refused(later(list(Bhat = letters)), "covmash_error_type")
  refused(later(list(Bhat = B[, 1:2], Shat = p$Shat[, 1:2])), "covmash_error_dimensions")
  refused(later(list(Bhat = B[1:5, ], Shat = p$Shat[1:5, ])), "covmash_error_dimensions")
  refused(later(list(Bhat = B, Shat = p$Shat[1:5, ])), "covmash_error_dimensions")
  refused(later(list(Bhat = B)), "covmash_error_dimensions")
  refused(later(list(Bhat = B, Shat = p$Shat, id = 1:6)), "covmash_error_dimensions")
  refused(later(list(Bhat = B[, 3:1], Shat = p$Shat[, 3:1])), "covmash_error_names")
  refused(later(list(Bhat = unname(B), Shat = p$Shat)), "covmash_error_names")
  refused(function(i) list(Bhat = B, id = 1:5), "covmash_error_names")
  refused(function(i) list(Bhat = B[, c(1, 1)]), "covmash_error_names")
  make <- later(list(Bhat = B, Shat = p$Shat))
  for (wrong in list(5, c(6, 6, 6), c(5, 7), "a", 6, NA, 0)) {
    expect_error(mash_source(make, n = 2, n_effects = wrong), class = "covmash_error_source")
  }
  expect_error(mash_source(make), class = "covmash_error_argument")
  expect_error(mash_source(make, n = 2, Bhat = "b_"), class = "covmash_error_argument")
  expect_error(mash_source(later(list(Bhat = B[1:2, ])), n = 2), class = "covmash_error_dimensions")
})

test_that("the digest is that of what decides results", {
  skip_if_not_installed("nanoparquet")
  p <- source_problem(8)
  folder <- source_files(p, c(4, 4))
  src <- open_source(folder)
  expect_identical(source_digest(src), source_digest(unserialize(serialize(src, NULL))))
  expect_identical(source_digest(src), source_digest(open_source(file.path(folder, "*.parquet"))))
  others <- list(
    open_source(folder, alpha = 1), open_source(folder, segment_rows = 4), open_source(folder, V = diag(3) + 0.1),
    open_source(folder, conditions = c("a", "b", "c")), mash_source(folder, "b_", "s_"), mash_source(folder, "b_"),
    open_source(file.path(folder, "part01.parquet")), open_source(folder, zero_Shat_reset = 1)
  )
  Sys.setFileTime(file.path(folder, "part02.parquet"), Sys.time() + 100)
  others <- c(others, list(open_source(folder)))
  digests <- vapply(c(list(src), others), source_digest, "")
  expect_identical(anyDuplicated(digests), 0L)
  f <- function(i) list(Bhat = p$Bhat)
  g <- function(i) list(Bhat = p$Bhat + 0)
  expect_identical(source_digest(mash_source(f, n = 1)), source_digest(mash_source(f, n = 1)))
  expect_false(source_digest(mash_source(f, n = 1)) == source_digest(mash_source(g, n = 1)))
})

test_that("sources print and are looked at before they are used", {
  skip_if_not_installed("nanoparquet")
  folder <- source_files(source_problem(8), c(4, 4))
  src <- open_source(folder, segment_rows = 3)
  expect_identical(format(src), "<mash_source> 8 effects x 3 conditions in 2 Parquet files")
  expect_output(print(src), "segments: +3 of 3 rows.*'liver', 'lung', 'skin'")
  for (part in c("rows", "files", "columns", "conditions", "n_effects", "segment_rows", "settings")) {
    broken <- src
    broken[[part]] <- NULL
    expect_error(broken[1], class = "covmash_error_source", label = part)
  }
  expect_error(check_source(1), class = "covmash_error_data")
  expect_error(mash_source(folder, "b_", V = diag(2)), class = "covmash_error_V")
  expect_error(mash_source(folder, "b_", segment_rows = 0), class = "covmash_error_argument")
  expect_error(mash_source(folder, "b_", n = 2), class = "covmash_error_argument")
})
