# Progress bars for calls of over two seconds. The core asks progress_wanted() and
# progress_age() when it starts and calls report_progress() now and then.

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

# Seconds since the user called (R/zzz.R).
progress_age <- function() {
  if (is.null(progress$entered)) 0 else elapsed() - progress$entered
}

# fraction: how much of the step is done, NaN where that is not known. iteration: of the step,
# 0 where it has none. seconds: since the user called.
report_progress <- function(step, fraction, iteration = 0, seconds = 2) {
  # What the bar shows.
  progress$label <- paste0(step, if (iteration > 0) paste0(", iteration ", format_count(iteration)))
  progress$clock <- clock_text(seconds)
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
      format = if (unknown) {
        "{cli::pb_spin} {label} [{clock}]"
      } else {
        "{label} {cli::pb_bar} {cli::pb_percent} [{clock}]"
      },
      .auto_close = FALSE, .envir = progress
    )
  }
  set <- if (!is.nan(fraction)) floor(100 * fraction)
  # The text of a bar of unknown length stands still in cli while nothing is counted.
  cli::cli_progress_update(set = set, id = progress$bar, force = is.null(set), .envir = progress)
}

# "59s", "3m 5s", "2h 0m".
clock_text <- function(seconds) {
  seconds <- floor(seconds)
  if (seconds < 60) {
    paste0(seconds, "s")
  } else if (seconds < 3600) {
    paste0(seconds %/% 60, "m ", seconds %% 60, "s")
  } else {
    paste0(seconds %/% 3600, "h ", seconds %/% 60 %% 60, "m")
  }
}

close_progress <- function() {
  if (!is.null(progress$bar)) {
    cli::cli_progress_done(id = progress$bar, .envir = progress)
  }
  progress$bar <- NULL
  progress$step <- NULL
}
