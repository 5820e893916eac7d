# Progress bars for steps of the core that take over two seconds. The core asks
# progress_wanted() when it starts and calls report_progress() now and then.

progress <- new.env()

progress_wanted <- function() {
  wanted <- getOption("covmash.progress", interactive())
  if (!checkmate::test_flag(wanted)) {
    abort_input(
      "The option covmash.progress must be TRUE or FALSE, not {describe(wanted)}.",
      class = "covmash_error_argument"
    )
  }
  wanted
}

# fraction: how much of the step is done, NaN where that is not known.
report_progress <- function(step, fraction) {
  if (!identical(progress$step, step)) {
    close_progress()
    # The two seconds have passed already.
    shown <- options(cli.progress_show_after = 0)
    on.exit(options(shown))
    progress$step <- step
    unknown <- is.nan(fraction)
    progress$bar <- cli::cli_progress_bar(
      step,
      total = if (unknown) NA else 100,
      format = if (unknown) "{cli::pb_spin} {cli::pb_name}[{cli::pb_elapsed}]",
      .auto_close = FALSE, .envir = progress
    )
  }
  set <- if (!is.nan(fraction)) floor(100 * fraction)
  cli::cli_progress_update(set = set, id = progress$bar, .envir = progress)
}

close_progress <- function() {
  if (!is.null(progress$bar)) {
    cli::cli_progress_done(id = progress$bar, .envir = progress)
  }
  progress$bar <- NULL
  progress$step <- NULL
}
