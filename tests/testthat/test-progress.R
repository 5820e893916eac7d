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
