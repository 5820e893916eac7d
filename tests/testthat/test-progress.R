test_that("a bar is wanted in interactive sessions, or as the option says", {
  problem <- small_data()
  data <- mash_set_data(problem$Bhat, problem$Shat)
  withr::local_options(covmash.progress = NULL)
  expect_identical(progress_wanted(), interactive())
  for (wanted in c(TRUE, FALSE)) {
    withr::local_options(covmash.progress = wanted)
    expect_identical(progress_wanted(), wanted)
  }
  withr::local_options(covmash.progress = "sometimes")
  expect_input_error(progress_wanted(), "covmash.progress", class = "covmash_error_argument")
  expect_input_error(
    mash(data, cov_canonical(data), verbose = FALSE), "covmash.progress", class = "covmash_error_argument"
  )
})

test_that("a bar follows the steps and is gone afterwards", {
  withr::local_options(cli.dynamic = FALSE, cli.progress_clear = FALSE)
  withr::defer(close_progress())
  shown <- testthat::capture_messages({
    report_progress("Likelihoods", 0.25)
    report_progress("Likelihoods", 0.75)
    expect_identical(progress$step, "Likelihoods")
    report_progress("Mixture weights", NaN)
    expect_identical(progress$step, "Mixture weights")
  })
  expect_match(paste(shown, collapse = ""), "Likelihoods")
  close_progress()
  expect_null(progress$bar)
  expect_null(progress$step)
})

test_that("an error in the core closes the bar", {
  suppressMessages(report_progress("Likelihoods", 0.1))
  expect_error(run_core(stop("effect 1 is bad")))
  expect_null(progress$bar)
})

test_that("a bar of unknown length says step, iteration and time since the call", {
  withr::local_options(cli.dynamic = FALSE, cli.progress_clear = FALSE)
  withr::defer(close_progress())
  suppressMessages(report_progress("Extreme deconvolution", NaN, 120, 75))
  expect_identical(progress$label, "Extreme deconvolution, iteration 120")
  expect_identical(progress$clock, "1m 15s")
  suppressMessages(report_progress("Extreme deconvolution", NaN, 121, 76))
  expect_identical(progress$label, "Extreme deconvolution, iteration 121")
  expect_identical(clock_text(c(59.9)), "59s")
  expect_identical(clock_text(7300), "2h 1m")
})

test_that("the clock starts with the exported function, once", {
  expect_identical(progress_age(), 0)
  inner <- function() enter(progress_age())
  expect_gte(enter({
    Sys.sleep(0.2)
    inner()
  }), 0.15)
  expect_null(progress$entered)
  expect_error(enter(stop("no")), "^no$")
  expect_null(progress$entered)
})

# What is sent to the console, each update at once.
captured_progress <- function(code) {
  withr::local_options(
    cli.dynamic = FALSE, cli.progress_clear = FALSE, cli.progress_show_after = 0, covmash.progress = TRUE
  )
  paste(testthat::capture_messages({
    force(code)
    close_progress()
  }), collapse = "")
}

expect_no_bar <- function() {
  expect_null(progress$bar)
  expect_null(progress$loop_bar)
  expect_length(progress$loops, 0)
}

test_that("a step of known length says how much time is left", {
  captured_progress({
    report_progress("Posterior", 0.2, 0, 10)
    expect_identical(progress$clock, "10s")
    report_progress("Posterior", 0.205, 0, 10.5)
    expect_identical(progress$clock, "10s")
    # A tenth in 9 seconds: 63 for the rest.
    report_progress("Posterior", 0.3, 0, 19)
    expect_identical(progress$clock, "19s, 1m 3s left")
    # Another sweep of the same name begins anew.
    report_progress("Posterior", 0.1, 0, 30)
    expect_identical(progress$clock, "30s")
    report_progress("Posterior", 0.6, 0, 40)
    expect_identical(progress$clock, "40s, 8s left")
    report_progress("Mixture weights", NaN, 3, 41)
    expect_identical(progress$clock, "41s")
  })
})

test_that("a step without a name is called after the function", {
  captured_progress(enter(report_progress("covmash", NaN), "mash_1by1()"))
  expect_no_bar()
  expect_identical(progress$label, "mash_1by1()")
  expect_identical(body(mash_1by1)[[3]], "mash_1by1()")
})

test_that("a loop has one bar, in which its rounds, loops within it and steps of the core stand", {
  inner <- function() {
    begin_steps("Condition", 3)
    next_step("liver")
    report_progress("Mixture weights", NaN, 12, 5)
    text <- progress$loop_text
    next_step("lung")
    c(text, progress$loop_text)
  }
  outer <- function(fails = FALSE) {
    begin_steps("Cross-validation", 4)
    next_step("fold 1")
    seen <- progress$loop_text
    next_step("fold 2")
    seen <- c(seen, inner(), progress$loop_clock)
    if (fails) stop("no")
    next_step()
    c(seen, progress$loop_text)
  }
  seen <- NULL
  shown <- captured_progress(seen <- outer())
  expect_identical(seen[1], "fold 1")
  expect_identical(seen[2], "fold 2, Condition 1/3, liver, Mixture weights, iteration 12")
  expect_identical(seen[3], "fold 2, Condition 2/3, lung")
  expect_match(seen[4], "^0s, [01]s left$")
  expect_identical(seen[5], "")
  expect_match(shown, "Cross-validation")
  expect_no_bar()
  captured_progress(expect_error(outer(TRUE), "^no$"))
  expect_no_bar()
})

test_that("without a wish for bars loops have none", {
  withr::local_options(covmash.progress = FALSE)
  f <- function() {
    begin_steps("Condition", 2)
    next_step("a")
    length(progress$loops)
  }
  expect_silent(expect_identical(f(), 0L))
})

test_that("loops over conditions, folds and steps have names", {
  sim <- small_data(J = 30, R = 2)
  captured_progress(mash_1by1(sim$data))
  expect_identical(progress$loop_text, "b")
  captured_progress(cv <- suppressWarnings(cv_deconvolve(sim$data, K = 1, n_folds = 2, n_starts = 1)))
  expect_identical(progress$loop_text, "K = 1, all rows")
  captured_progress(suppressWarnings(
    mash_estimate_corr_em(sim$data, cov_canonical(sim$data), max_iter = 2, details = FALSE)
  ))
  expect_identical(progress$loop_name, "Correlation of the errors, step")
  captured_progress(get_pairwise_sharing(mash_1by1(sim$data)))
  expect_identical(progress$loop_name, "Sharing, pairs of conditions")
  captured_progress(estimate_null_correlation_simple(mash_set_data(matrix(rnorm(400), 100)), rule = "pairwise"))
  expect_identical(progress$loop_name, "Correlations, pairs of conditions")
  expect_no_bar()
})

test_that("fits in other processes tell nothing", {
  skip_on_os("windows")
  withr::local_options(covmash.progress = TRUE)
  expect_identical(run_jobs(1:2, 2, function(i) progress_wanted()), list(FALSE, FALSE))
  # Of one job there is no other process.
  expect_identical(run_jobs(1, 2, function(i) progress_wanted()), list(FALSE))
  expect_true(progress_wanted())
})
