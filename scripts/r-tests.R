# Runs the testthat tests against the installed package: all, or those of files whose name matches the argument.
# scripts/test reads its last line.

Sys.setenv(NOT_CRAN = "true")
testthat::set_max_fails(Inf)
part <- commandArgs(TRUE)
results <- as.data.frame(testthat::test_dir(
  "tests/testthat",
  filter = if (length(part) > 0 && nzchar(part[1])) part[1],
  package = "covmash", load_package = "installed",
  reporter = testthat::ProgressReporter$new(update_interval = Inf), stop_on_failure = FALSE
))
failed <- results$failed > 0 | results$error
skipped <- results$skipped & !failed
cat(sprintf("%d expectations\n", sum(results$nb)))
cat(sprintf("R tests: %d passed, %d failed, %d skipped\n", sum(!failed & !skipped), sum(failed), sum(skipped)))
