# mashr's own tests, run against covmash: its source is fetched from CRAN, the name of the package replaced in a copy,
# nothing of it is kept.
#
#   Rscript tests/peers/mashr-tests.R [DIR]
#
# Writes DIR/mashr-tests.md (DIR: _build/peers): expectations by file, and what failed. Exit status 1 if something failed
# that is not explained here.

explained <- data.frame(
  file = c("test_ed.R", "test_set_data.R", "test_set_data.R", "test_ash.R"),
  text = c("extreme_deconvolution", "mash_set_data\\(Bhat, Shat\\).*did not throw|NA - ", "df = 2\\).*did not throw", "m2"),
  why = c(
    "extreme_deconvolution() is not wanted", "missing estimates stay NA, and Shat may be known where Bhat is missing",
    "an infinite standard error means missing",
    "mash_1by1() reaches the optimum, which ash() stops 1e-6 short of"
  )
)
source(file.path("tests", "peers", "source.R"))
out <- output_directory()
source_dir <- source_of("mashr", out)
tests <- file.path(source_dir, "tests", "testthat")
if (!dir.exists(tests)) stop("mashr's source has no tests here: ", tests, call. = FALSE)
copy <- file.path(out, "mashr-as-covmash")
unlink(copy, recursive = TRUE)
dir.create(copy)
invisible(file.copy(list.files(tests, full.names = TRUE), copy, recursive = TRUE))
for (file in list.files(copy, "\\.R$", full.names = TRUE)) {
  text <- readLines(file, warn = FALSE)
  text <- gsub("\\bmashr(:::?)", "covmash\\1", text)
  text <- gsub("library\\(mashr\\)", "library(covmash)", text)
  writeLines(text, file)
}
suppressPackageStartupMessages({
  library(testthat)
  library(covmash)
})
# Internals are seen as in mashr's own run.
results <- testthat::test_dir(
  copy, env = new.env(parent = asNamespace("covmash")), load_package = "none", reporter = "silent", stop_on_failure = FALSE
)
each <- do.call(rbind, lapply(results, function(test) {
  kind <- vapply(test$results, function(r) {
    if (inherits(r, "expectation_success")) "passed" else if (inherits(r, "expectation_skip")) "skipped" else {
      if (inherits(r, "expectation_warning")) "warning" else "failed"
    }
  }, "")
  text <- vapply(test$results, function(r) gsub("\\s+", " ", substr(conditionMessage(r), 1, 160)), "")
  data.frame(file = test$file, test = test$test, kind = kind, text = text)
}))
passed <- sum(each$kind == "passed")
report <- file.path(out, "mashr-tests.md")
sink(report)
cat("# mashr ", read.dcf(file.path(source_dir, "DESCRIPTION"), "Version"), "'s own tests against covmash\n\n", sep = "")
cat(passed, "expectations passed,", sum(each$kind == "failed"), "failed,", sum(each$kind == "skipped"), "skipped.\n\n")
cat("| file | passed | failed |\n|---|---|---|\n")
for (file in unique(each$file)) {
  own <- each[each$file == file, ]
  cat("|", file, "|", sum(own$kind == "passed"), "|", sum(own$kind == "failed"), "|\n")
}
cat("\n| file | test | what failed | why |\n|---|---|---|---|\n")
failed <- each[each$kind == "failed", ]
failed$why <- vapply(seq_len(nrow(failed)), function(i) {
  known <- explained$file == failed$file[i] & vapply(explained$text, grepl, NA, failed$text[i])
  if (any(known)) explained$why[known][1] else ""
}, "")
for (i in seq_len(nrow(failed))) {
  text <- gsub("|", "\\|", substr(failed$text[i], 1, 120), fixed = TRUE)
  cat("|", failed$file[i], "|", failed$test[i], "|", text, "|", failed$why[i], "|\n")
}
sink()
cat(readLines(report), sep = "\n")
cat(passed, "passed,", nrow(failed), "failed,", sum(failed$why == ""), "of them without a reason\n")
if (any(failed$why == "")) quit(status = 1)
