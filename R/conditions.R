# Every error and warning of the package is raised here, so that all of them
# carry a class and can be caught one by one.

# The environment of the exported function the user called: an error names that
# function, not the helper that noticed the problem.
user_frame <- function() {
  home <- topenv()
  for (i in seq_len(sys.nframe())) {
    env <- environment(sys.function(i))
    if (!is.null(env) && identical(topenv(env), home)) {
      return(sys.frame(i))
    }
  }
  NULL
}

# Stop because of what the user gave. `message` is pasted together as it is: one
# sentence that names the argument, what is wrong and what to do.
abort_input <- function(message, class = NULL, call = user_frame()) {
  rlang::abort(
    message = message,
    class = c(class, "covmash_error_input", "covmash_error"),
    call = call
  )
}

# Stop because of something that mashr has and this version does not.
abort_unsupported <- function(what, call = user_frame()) {
  rlang::abort(
    message = paste0(
      what, " is not supported by this version of covmash; it comes with a ",
      "later one."
    ),
    class = c("covmash_error_unsupported", "covmash_error"),
    call = call
  )
}

warn_covmash <- function(message, class = NULL) {
  rlang::warn(message = message, class = c(class, "covmash_warning"))
}

inform_covmash <- function(message, class = NULL) {
  rlang::inform(message = message, class = c(class, "covmash_message"))
}

# One line for a step of a long computation. Through message(), so that it goes
# to stderr and suppressMessages() silences it.
step_message <- function(verbose, ...) {
  if (verbose) {
    text <- paste0(...)
    cli::cli_inform("{text}", class = c("covmash_message_step", "covmash_message"))
  }
  invisible(NULL)
}

# Run a call into the compiled core. Its errors know rows and components by
# number only; the names are added here.
run_core <- function(expr, rows = NULL, components = NULL) {
  on.exit(close_progress())
  tryCatch(expr, error = function(cnd) {
    if (inherits(cnd, "covmash_error")) {
      stop(cnd)
    }
    message <- conditionMessage(cnd)
    message <- add_names_to_numbers(message, "effect", rows)
    message <- add_names_to_numbers(message, "component", components)
    rlang::abort(
      message,
      class = c("covmash_error_core", "covmash_error"),
      call = user_frame()
    )
  })
}

# "effect 12" becomes "effect 12 (gene_7)".
add_names_to_numbers <- function(message, word, labels) {
  if (is.null(labels)) {
    return(message)
  }
  hit <- regexpr(paste0("\\b", word, " [0-9]+"), message)
  if (hit < 0) {
    return(message)
  }
  found <- regmatches(message, hit)
  index <- as.integer(sub(".* ", "", found))
  if (is.na(index) || index < 1L || index > length(labels)) {
    return(message)
  }
  sub(found, paste0(found, " (", labels[index], ")"), message, fixed = TRUE)
}

# How a row or column is called in a message: its number and, if it has one, its
# name.
label_index <- function(what, index, labels = NULL) {
  label <- paste(what, format_count(index))
  if (!is.null(labels) && !is.na(labels[index]) && nzchar(labels[index])) {
    label <- paste0(label, " ('", labels[index], "')")
  }
  label
}

# The entry of a matrix at linear index `at`.
label_entry <- function(x, at) {
  at <- as.numeric(at)
  row <- (at - 1) %% nrow(x) + 1
  col <- (at - 1) %/% nrow(x) + 1
  paste0(
    label_index("row", row, rownames(x)), ", ",
    label_index("column", col, colnames(x))
  )
}

format_count <- function(n) {
  format(n, big.mark = "", scientific = FALSE, trim = TRUE)
}

plural <- function(n, one, many = paste0(one, "s")) {
  paste(format_count(n), if (n == 1) one else many)
}
