skip_if_not_installed("nanoparquet")

test_that("rows, by number, name or flag, are those of the files", {
  local_piece_rows()
  s <- output_study()
  out <- mash_posterior(s$source, s$fit, withr::local_tempdir(), columns = all_columns, n_threads = 1)
  all <- out[]
  expect_identical(all$missing, which(is.na(s$Bhat)))
  expect_identical(dim(out), c(130L, 4L))
  expect_identical(dimnames(out), list(NULL, colnames(s$Bhat)))
  chosen <- list(
    c(129, 2, 2, 51), -(2:130), seq_len(130) %% 50 == 1, rownames(s$Bhat)[c(100, 3)], "g1_v7"
  )
  at <- list(c(129, 2, 2, 51), 1, c(1, 51, 101), c(100, 3), 7)
  for (k in seq_along(chosen)) {
    some <- out[chosen[[k]]]
    for (part in all_columns) expect_identical(some$result[[part]], all$result[[part]][at[[k]], , drop = FALSE])
    expect_identical(as.integer(some$missing), which(unobserved(all)[at[[k]], ]))
    expect_identical(get_np(out, chosen[[k]]), get_np(all)[at[[k]], , drop = FALSE])
  }
  one <- out[9:10, c("c_1", "a b")]
  expect_identical(one$result$lfsr, get_lfsr(all)[9:10, c(3, 1)])
  expect_identical(dim(one), c(2L, 2L))
  expect_identical(out[, 2]$result$PosteriorSD, get_psd(all)[, 2, drop = FALSE])
  expect_identical(get_lfdr(out), get_lfdr(all))
  # In memory likewise.
  expect_identical(get_pm(s$fit, c("g1_v7", "g1_v1")), get_pm(s$fit)[c(7, 1), ])
  expect_error(out[131], "from 1 to 130", class = "covmash_error_index")
  expect_error(out["g0"], "'g0', but there is no row", class = "covmash_error_index")
  expect_error(out[0], "empty", class = "covmash_error_index")
  expect_error(out[1, "z"], "'z'", class = "covmash_error_index")
  expect_error(get_pm(s$fit, 131), class = "covmash_error_index")
})

test_that("tables are those of tidy(), and files those of write_mash()", {
  local_piece_rows()
  for (ids in c(TRUE, FALSE)) {
    s <- output_study(ids = ids)
    out <- mash_posterior(s$source, s$fit, withr::local_tempdir(), n_threads = 1)
    fit <- fit_of_output(s$fit, out)
    expect_identical(as.data.frame(out), tidy(fit))
    expect_identical(tidy(out, rows = 77:78), {
      x <- tidy(fit)
      x <- x[x$effect %in% tidy(fit)$effect[77:78], ]
      rownames(x) <- NULL
      x
    })
    files <- c(withr::local_tempfile(fileext = ".tsv"), withr::local_tempfile(fileext = ".tsv"))
    rows <- unname(get_significant_results(out)[1:5])
    write_mash(out, files[1], effects = rows)
    write_mash(fit, files[2], effects = rows)
    if (ids) expect_identical(readLines(files[1]), readLines(files[2]))
    expect_identical(utils::read.delim(files[1])$lfsr, tidy(out, rows = rows)$lfsr)
    expect_identical(as.character(utils::read.delim(files[1])$effect), as.character(tidy(out, rows = rows)$effect))
  }
  expect_identical(tidy(out, rows = c(9, 3))$effect[1:2], c(9L, 3L))
})

test_that("the summary counts as that of a fit does", {
  local_piece_rows()
  s <- output_study()
  out <- mash_posterior(s$source, s$fit, withr::local_tempdir(), n_threads = 1)
  fit <- fit_of_output(s$fit, out)
  x <- summary(out)
  expect_equal(x$conditions, summary(fit)$conditions)
  counts <- get_n_significant_conditions(fit)
  expect_identical(x$n_significant, sum(counts > 0))
  expect_identical(unname(x$in_conditions), tabulate(counts + 1, 5))
  expect_identical(summary(out, thresh = 0.2)$conditions$significant, unname(count_significant(fit, 0.2)))
  expect_output(expect_identical(print(x), x), paste0("lfsr < 0.05: ", sum(counts > 0), " effects in at least one"))
  expect_error(summary(out, thresh = 2), class = "covmash_error_argument")
  only <- mash_posterior(s$source, s$fit, withr::local_tempdir(), columns = "PosteriorMean", n_threads = 1)
  expect_named(summary(only)$conditions, c("condition", "observed"))
  expect_output(print(summary(only)), "observed")
  expect_named(as.data.frame(only, rows = 1), c("effect", "condition", "estimate", "observed"))
})

test_that("prints say what is there", {
  local_piece_rows()
  s <- output_study()
  home <- withr::local_tempdir()
  out <- mash_posterior(s$source, s$fit, home, part = 3, n_parts = 3, n_threads = 1)
  expect_identical(format(out), "<mash_output> 130 effects x 4 conditions, NOT complete: 6 of 8 pieces to do")
  expect_output(print(out), "to do: +parts 1-2 of 3: segments 1-2")
  expect_output(expect_identical(withVisible(print(out))$visible, FALSE), "lfsr (double)", fixed = TRUE)
  expect_output(print(out[121:122]), "<mash_rows> 2 effects x 4 conditions")
  expect_error(out[99], "not complete", class = "covmash_error_output")
  expect_error(out["g1_v1"], "not complete", class = "covmash_error_output")
  expect_identical(runs_text(c(1:3, 7, 9:10)), "1-3, 7, 9-10")
  expect_identical(runs_text(seq(1, 39, 2)), "1, 3, 5, 7, 9, 11, 13, 15, ...")
  expect_identical(format_bytes(c(12)), "12 bytes")
  expect_identical(format_bytes(1.5e10), "15 GB")
})

test_that("a folder that is none, and files that are not what they were, are errors", {
  local_piece_rows()
  s <- output_study()
  home <- withr::local_tempdir()
  wrong <- function(expr, what, class = "covmash_error_output") expect_error(expr, what, class = class)
  wrong(mash_output(home), "holds no posterior")
  wrong(mash_output(file.path(home, "none")), "does not exist")
  wrong(mash_output(1), "path of a folder", "covmash_error_argument")
  wrong(mash_output(), "`dir` is missing", "covmash_error_argument")
  out <- mash_posterior(s$source, s$fit, home, n_threads = 1)
  # The same size, another content.
  file <- file.path(home, out$pieces$file[4])
  bytes <- readBin(file, "raw", 1e6)
  at <- length(bytes) %/% 3
  bytes[at] <- xor(bytes[at], as.raw(1))
  writeBin(bytes, file)
  expect_true(all(mash_output(home)$pieces$state == "complete"))
  expect_identical(which(mash_output(home, verify = TRUE)$pieces$state == "damaged"), 4L)
  writeBin(raw(length(bytes)), file)
  wrong(get_significant_results(out), "cannot be read")
  file.copy(file.path(home, out$pieces$file[3]), file, overwrite = TRUE)
  wrong(get_significant_results(out), "other rows or columns")
  unlink(file)
  wrong(out[51], "cannot be read")
  broken <- out
  broken$pieces <- NULL
  for (f in list(print, format, dim, summary, as.data.frame, get_pm, get_significant_results, function(x) x[1])) {
    wrong(f(broken), "damaged")
  }
  rows <- structure(list(result = list(lfsr = diag(2))), class = "mash_rows")
  for (f in list(print, format, dim, as.data.frame, tidy)) wrong(f(rows), "damaged")
})
