test_that("a bar is wanted in interactive sessions, or as the option says", {
  withr::local_options(covmash.progress = NULL)
  expect_identical(progress_wanted(), interactive())
  for (wanted in c(TRUE, FALSE)) {
    withr::local_options(covmash.progress = wanted)
    expect_identical(progress_wanted(), wanted)
  }
  withr::local_options(covmash.progress = "sometimes")
  expect_input_error(progress_wanted(), "covmash.progress", class = "covmash_error_argument")
  problem <- small_data()
  data <- mash_set_data(problem$Bhat, problem$Shat)
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
