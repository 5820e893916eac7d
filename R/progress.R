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
  in_loop <- length(progress$loops) > 0L
  # A part of the core without a name of its own.
  if (step == "covmash") step <- if (in_loop) NULL else c(progress$called, "covmash")[1L]
  label <- paste0(step, if (iteration > 0) paste0(", iteration ", format_count(iteration)))
  if (in_loop) {
    progress$within <- if (!is.null(step)) label
    return(show_loops(force = TRUE))
  }
  # What the bar shows.
  progress$label <- label
  is_new <- !identical(progress$step, step)
  if (is_new) open_bar(step, is.nan(fraction))
  progress$clock <- paste0(clock_text(seconds), time_left(fraction, seconds))
  set <- if (!is.nan(fraction)) floor(100 * fraction)
  # The text of a bar of unknown length stands still in cli while nothing is counted.
  cli::cli_progress_update(set = set, id = progress$bar, force = is_new || is.null(set), .envir = progress)
}

open_bar <- function(step, unknown) {
  close_progress()
  # The two seconds have passed already.
  shown <- options(cli.progress_show_after = 0)
  on.exit(options(shown))
  progress$step <- step
  progress$clock <- ""
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

# At the pace since the step was first heard of, once a hundredth has been done since. A step may begin anew.
time_left <- function(fraction, seconds) {
  if (is.nan(fraction)) {
    return(NULL)
  }
  since <- progress$since
  if (is.null(since) || fraction < since$fraction) {
    progress$since <- list(fraction = fraction, seconds = seconds)
    return(NULL)
  }
  done <- fraction - since$fraction
  if (done >= 0.01) left_text((1 - fraction) * (seconds - since$seconds) / done)
}

left_text <- function(seconds) paste0(", ", clock_text(round(seconds)), " left")

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
  progress$bar <- progress$step <- progress$since <- NULL
}

# ---- loops of R --------------------------------------------------------------

# A line about the rounds of a loop of the calling function, whose single fits may be too short for a bar of their own.
# What the core reports meanwhile stands in it, and so does a loop within the loop. Ends with that function. No bar is
# drawn, for there would be no room for the text.
begin_steps <- function(name, total, frame = parent.frame()) {
  if (!progress_wanted()) {
    return(invisible(NULL))
  }
  if (length(progress$loops) == 0L) {
    progress$loop_name <- name
    progress$loop_text <- progress$loop_clock <- ""
    progress$loop_bar <- cli::cli_progress_bar(
      name,
      total = total,
      format = "{cli::pb_spin} {loop_name} {cli::pb_current}/{cli::pb_total} [{loop_clock}] {loop_text}",
      .auto_close = FALSE, .envir = progress
    )
  }
  progress$loops <- c(progress$loops, list(list(name = name, total = total, at = 0, began = elapsed())))
  do.call(on.exit, list(as.call(list(end_steps)), add = TRUE), envir = frame)
}

# The next round begins.
next_step <- function(what = NULL) {
  k <- length(progress$loops)
  if (k > 0L && progress_wanted()) {
    progress$loops[[k]]$at <- progress$loops[[k]]$at + 1
    progress$loops[[k]]["what"] <- list(what)
    progress$loops[[k]]$since <- elapsed()
    progress$within <- NULL
    show_loops()
  }
}

end_steps <- function() {
  progress$loops <- progress$loops[-length(progress$loops)]
  progress$within <- NULL
  if (length(progress$loops) == 0L) {
    cli::cli_progress_done(id = progress$loop_bar, .envir = progress)
    progress$loop_bar <- NULL
  }
}

show_loops <- function(force = FALSE) {
  outer <- progress$loops[[1L]]
  inner <- lapply(progress$loops[-1L], function(loop) c(paste0(loop$name, " ", loop$at, "/", loop$total), loop$what))
  progress$loop_text <- paste(c(outer$what, unlist(inner), progress$within), collapse = ", ")
  done <- outer$at - 1
  # At the pace of the rounds that are over.
  left <- if (done > 0) {
    pace <- (outer$since - outer$began) / done
    left_text(max(pace * (outer$total - done) - (elapsed() - outer$since), 0))
  }
  progress$loop_clock <- paste0(clock_text(elapsed() - min(progress$entered, outer$began)), left)
  cli::cli_progress_update(set = done, id = progress$loop_bar, force = force, .envir = progress)
}
