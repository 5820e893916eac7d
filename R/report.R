#' Write an analysis up in HTML
#'
#' Makes one file with what [mash_pipeline()] decided, what [diagnose()] finds, the pictures of a paper and the surest
#' effects, to be sent or kept beside the tables.
#'
#' @param result A result of [mash_pipeline()].
#' @param file Path of the HTML file to write.
#' @param title Its title.
#' @param n How many of the surest effects (or genes) to list.
#' @param overwrite Replace a file that is there?
#' @return The path, invisibly.
#' @details The text is `system.file("rmarkdown", "report.Rmd", package = "covmash")`, to be copied and changed; its parameter
#'   `result` is the result of `mash_pipeline()`.
#' @section Errors: `covmash_error_package` without the packages rmarkdown, knitr and ggplot2, or pandoc;
#'   `covmash_error_file` for a path that cannot be written, or is there.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [write_mash()] for tables
#' @export
#' @examplesIf interactive()
#' set.seed(1)
#' sim <- simple_sims(nsamp = 100, ncond = 3, err_sd = 0.5)
#' result <- mash_pipeline(mash_set_data(sim$Bhat, sim$Shat), verbose = FALSE)
#' mash_report(result, "report.html")
mash_report <- function(result, file, title = "Effects in many conditions", n = 20, overwrite = FALSE) {
  refuse_missing(missing(result), "result", "a result of mash_pipeline()", "covmash_error_fit")
  check_pipeline(result, "result")
  check_flag(overwrite, "overwrite")
  n <- whole_number(n, "n", 1)
  if (!checkmate::test_string(title)) {
    abort_input("`title` must be one text, not {describe(title)}.", class = "covmash_error_argument")
  }
  if (missing(file) || !checkmate::test_string(file, min.chars = 1L) || !dir.exists(dirname(file))) {
    abort_input("`file` must be the path of a file in a folder that exists.", class = "covmash_error_file")
  }
  if (file.exists(file) && !overwrite) {
    abort_input("'{file}' is there already; give another `file`, or overwrite = TRUE.", class = "covmash_error_file")
  }
  if (is.null(result$fit$result$lfsr)) {
    abort_input("The fit of `result` has no posterior; leave `outputlevel` at 2.", class = "covmash_error_fit")
  }
  need_ggplot2()
  for (package in c("knitr", "rmarkdown")) {
    if (!requireNamespace(package, quietly = TRUE)) {
      abort_input("Reports need the package {package}; install it with install.packages().", class = "covmash_error_package")
    }
  }
  if (!rmarkdown::pandoc_available()) {
    abort_input("Reports need pandoc, which comes with RStudio, or from pandoc.org.", class = "covmash_error_package")
  }
  # rmarkdown writes beside its source.
  room <- tempfile("covmash-report")
  dir.create(room)
  on.exit(unlink(room, recursive = TRUE))
  source <- file.path(room, "report.Rmd")
  file.copy(system.file("rmarkdown", "report.Rmd", package = "covmash", mustWork = TRUE), source)
  # The title is of the user's, not that of a vignette.
  old <- options(rmarkdown.html_vignette.check_title = FALSE)
  on.exit(options(old), add = TRUE)
  made <- rmarkdown::render(
    source, params = list(result = result, title = title, n = n), envir = new.env(parent = globalenv()), quiet = TRUE
  )
  if (!file.copy(made, file, overwrite = TRUE)) {
    abort_input("'{file}' cannot be written.", class = "covmash_error_file")
  }
  invisible(file)
}
