skip_if_not_installed("nanoparquet")

# Streamed over pieces of several sizes (with 7 some have one row), on what was written; results in memory hold the same
# numbers.
each_output <- function(check, ..., sizes = c(21, 1000)) {
  for (rows in sizes) {
    local_piece_rows(rows)
    s <- output_study(...)
    out <- mash_posterior(s$source, s$fit, withr::local_tempdir(), columns = all_columns, n_threads = 1)
    check(out, fit_of_output(s$fit, out), s)
  }
}

test_that("significant effects are the same as in memory", {
  each_output(function(out, fit, s) {
    for (predicted in c(FALSE, TRUE)) {
      for (conditions in list(NULL, c("c_1", "a b"))) {
        for (sig_fn in list(get_lfsr, get_lfdr, function(m) 1 - abs(2 * get_np(m) - 1))) {
          call <- list(thresh = 0.1, conditions = conditions, sig_fn = sig_fn, predicted = predicted)
          for (f in list(get_significant_results, get_n_significant_conditions, count_significant)) {
            expect_identical(do.call(f, c(list(out), call)), do.call(f, c(list(fit), call)))
          }
        }
      }
    }
    # Significances beyond 1; a threshold that they do not allow.
    expect_identical(
      get_significant_results(out, -2, sig_fn = function(m) -abs(get_pm(m) / get_psd(m))),
      get_significant_results(fit, -2, sig_fn = function(m) -abs(get_pm(m) / get_psd(m)))
    )
    expect_error(get_significant_results(out, 2), "0 to 1", class = "covmash_error_argument")
    expect_error(count_significant(out, 2, sig_fn = function(m) get_lfsr(m)), "0 to 1", class = "covmash_error_argument")
  })
  each_output(function(out, fit, s) {
    expect_identical(get_significant_results(out), get_significant_results(fit))
    expect_null(names(get_n_significant_conditions(out)))
  }, ids = FALSE)
})

test_that("counts in memory are those of the matrix", {
  s <- output_study()
  expect_identical(count_significant(s$fit), colSums(replace(get_lfsr(s$fit), is.na(s$Bhat), 1) < 0.05) |> as_counts())
  expect_identical(names(count_significant(s$fit, conditions = 3:2)), c("c_1", "\u00e9"))
  expect_identical(unname(count_significant(s$fit, predicted = TRUE)), unname(as.integer(colSums(get_lfsr(s$fit) < 0.05))))
})

test_that("sharing is the same as in memory", {
  each_output(function(out, fit, s) {
    for (predicted in c(FALSE, TRUE)) {
      for (factor in c(0, 0.5, 0.9)) {
        expect_identical(
          get_pairwise_sharing(out, factor, 0.1, predicted = predicted),
          get_pairwise_sharing(fit, factor, 0.1, predicted = predicted)
        )
      }
    }
    expect_identical(get_pairwise_sharing(out, FUN = abs), get_pairwise_sharing(fit, FUN = abs))
    expect_identical(get_pairwise_sharing(out, lfsr_thresh = 0), get_pairwise_sharing(fit, lfsr_thresh = 0))
    expect_true(anyNA(get_pairwise_sharing(out, lfsr_thresh = 0)))
  })
})

test_that("summaries of groups are the same as in memory", {
  each_output(function(out, fit, s) {
    of_name <- function(x) sub("_.*", "", x)
    ways <- list(
      NULL, s$gene, factor(s$gene, levels = rev(unique(s$gene))), "^[^_]+", "(g[0-9]+)_", of_name,
      rep_len(c(2, 1, 3), 130)
    )
    for (by in ways) {
      for (by_condition in c(FALSE, TRUE)) {
        for (predicted in c(FALSE, TRUE)) {
          expect_identical(
            summarise_effects(out, by, predicted = predicted, by_condition = by_condition),
            summarise_effects(fit, by, predicted = predicted, by_condition = by_condition)
          )
        }
      }
    }
  }, missing = 150, sizes = c(7, 1000))
  each_output(function(out, fit, s) {
    for (by in list(NULL, s$gene)) {
      expect_identical(summarise_effects(out, by), summarise_effects(fit, by))
      expect_identical(summarise_effects(out, by, by_condition = TRUE), summarise_effects(fit, by, by_condition = TRUE))
    }
  }, ids = FALSE)
})

test_that("putting tables together in between changes nothing", {
  local_piece_rows(7)
  s <- output_study(missing = 150)
  out <- mash_posterior(s$source, s$fit, withr::local_tempdir(), n_threads = 1)
  lfsr <- get_lfsr(out)
  at <- split(seq_len(130), rep(1:5, each = 26))
  for (by_condition in c(FALSE, TRUE)) {
    parts <- lapply(at, function(rows) {
      groups <- effect_groups(s$gene[rows], length(rows))
      group_summaries(lfsr[rows, ], get_pm(out, rows), get_psd(out, rows), groups, 0.05, by_condition)
    })
    expect_equal(join_summaries(c(list(join_summaries(parts[1:3])), parts[4:5])), join_summaries(parts))
  }
})

test_that("what cannot be asked of files is refused, and the rows in memory answer", {
  local_piece_rows()
  s <- output_study()
  out <- mash_posterior(s$source, s$fit, withr::local_tempdir(), n_threads = 1)
  fit <- fit_of_output(s$fit, out)
  for (f in list(get_svalue, get_qvalue, control_hierarchy)) {
    expect_error(f(out), "memory", class = "covmash_error_unsupported")
  }
  expect_error(count_significant(out, sig_fn = get_svalue), "memory", class = "covmash_error_unsupported")
  expect_identical(get_svalue(out[]), get_svalue(fit))
  expect_identical(control_hierarchy(out[], s$gene), control_hierarchy(fit, s$gene))
  expect_identical(control_hierarchy(fit, "^[^_]+"), control_hierarchy(fit, s$gene))
  only <- mash_posterior(s$source, s$fit, withr::local_tempdir(), columns = "lfsr", n_threads = 1)
  expect_identical(get_significant_results(only), get_significant_results(fit))
  expect_error(get_pairwise_sharing(only), "no 'PosteriorMean'", class = "covmash_error_output")
  expect_error(get_pm(only), "no 'PosteriorMean'", class = "covmash_error_output")
  expect_error(count_significant(only, sig_fn = get_lfdr), "no 'lfdr'", class = "covmash_error_output")
  expect_error(count_significant(only, sig_fn = function(m) 1), "must give a row", class = "covmash_error_argument")
  expect_error(count_significant(only, sig_fn = 1), "`sig_fn`", class = "covmash_error_argument")
  for (m in list(out, fit)) {
    expect_error(summarise_effects(m, "^x"), "not found in the name of effect 'g", class = "covmash_error_argument")
    expect_error(summarise_effects(m, "("), "no regular expression", class = "covmash_error_argument")
    expect_error(summarise_effects(m, function(x) 1), "function `by` must give", class = "covmash_error_argument")
    expect_error(summarise_effects(m, 1:3), "`by` must hold the group of each of the 130", class = "covmash_error_argument")
  }
})
