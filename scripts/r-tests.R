# Runs the testthat tests against the installed package.
# scripts/test reads its last line.

Sys.setenv(NOT_CRAN = "true")
testthat::set_max_fails(Inf)
results <- as.data.frame(testthat::test_dir(
  "tests/testthat",
  package = "covmash", load_package = "installed",
  reporter = testthat::ProgressReporter$new(update_interval = Inf), stop_on_failure = FALSE
))
failed <- results$failed > 0 | results$error
skipped <- results$skipped & !failed
cat(sprintf("%d expectations\n", sum(results$nb)))
cat(sprintf("R tests: %d passed, %d failed, %d skipped\n", sum(!failed & !skipped), sum(failed), sum(skipped)))
