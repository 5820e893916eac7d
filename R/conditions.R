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

# The text of a condition: its parts put together, then each {expression} replaced by its
# value in `env`. An expression has no braces of its own; NULL is nothing. Values are not
# looked into: braces in a user's names are text.
interpolate <- function(..., env) {
  text <- paste0(...)
  at <- gregexpr("\\{[^{}]*\\}", text)
  code <- regmatches(text, at)[[1]]
  values <- vapply(code, function(expression) {
    value <- eval(str2lang(substr(expression, 2L, nchar(expression) - 1L)), env)
    paste(value, collapse = ", ")
  }, "")
  regmatches(text, at) <- list(values)
  text
}

# Stop because of what the user gave: one sentence that names the argument, what is wrong
# and what to do, with {expressions} in place (interpolate()).
abort_input <- function(..., class = NULL, call = user_frame(), env = parent.frame()) {
  rlang::abort(
    interpolate(..., env = env),
    class = c(class, "covmash_error_input", "covmash_error"), call = call
  )
}

# Stop because of something that mashr has and this version does not, or that does not exist: then
# `instead` says what does.
abort_unsupported <- function(what, call = user_frame(), instead = "it comes with a later one") {
  rlang::abort(
    paste0(what, " is not supported by this version of covmash; ", instead, "."),
    class = c("covmash_error_unsupported", "covmash_error"), call = call
  )
}

warn_covmash <- function(..., class = NULL, env = parent.frame()) {
  rlang::warn(interpolate(..., env = env), class = c(class, "covmash_warning"))
}

inform_covmash <- function(..., class = NULL, env = parent.frame()) {
  rlang::inform(interpolate(..., env = env), class = c(class, "covmash_message"))
}

# One line for a step of a long computation. Through message(), so that it goes
# to stderr and suppressMessages() silences it.
step_message <- function(verbose, ..., env = parent.frame()) {
  if (verbose) {
    text <- interpolate(..., env = env)
    cli::cli_inform("{text}", class = c("covmash_message_step", "covmash_message"))
  }
  invisible(NULL)
}

# Called by the core (src/bridge.h) to raise its errors: kind is "input" (the arguments
# cannot be used), "numeric" (a computation broke down on arguments that looked
# right) or "memory" (there was not enough), `what` and `index` the thing that the error is about.
stop_core <- function(kind, message, what = NULL, index = NULL) {
  stop(structure(
    list(
      message = if (kind == "memory") memory_message() else message, call = NULL,
      what = what, index = index
    ),
    class = c(core_error_class(kind), "error", "condition")
  ))
}

core_error_class <- function(kind) {
  c(if (nzchar(kind)) paste0("covmash_error_", kind), "covmash_error_core", "covmash_error")
}

# Run a call into the compiled core. Its errors know rows and components by number
# only; the names are added here. Errors that are not the core's but R's, which had to be heard
# while it ran (a time limit, the error of a handler), pass as they are.
run_core <- function(expr, effects = NULL, components = NULL, matrices = NULL) {
  on.exit(close_progress())
  labels <- list(
    effect = effects, component = components, `covariance matrix` = matrices
  )
  tryCatch(
    name_memory_errors(expr),
    covmash_error_core = function(cnd) {
      rlang::abort(
        name_subject(cnd, labels),
        class = setdiff(class(cnd), c("error", "condition")), call = user_frame()
      )
    },
    `C++Error` = function(cnd) {
      kind <- exception_kind(cnd)
      rlang::abort(
        if (kind == "memory") memory_message() else conditionMessage(cnd),
        class = core_error_class(kind), call = user_frame()
      )
    }
  )
}

# The kind of an exception that came through without stop_core().
exception_kind <- function(cnd) {
  known <- c(
    `covmash::input_error` = "input", `covmash::numeric_error` = "numeric",
    `std::bad_alloc` = "memory", `std::bad_array_new_length` = "memory",
    `std::length_error` = "memory"
  )
  kind <- known[intersect(class(cnd), names(known))]
  if (length(kind) == 1L) kind[[1]] else ""
}

# ---- memory ------------------------------------------------------------------

# `detail`: what R or the core said, if it says how much.
memory_message <- function(detail = NULL) {
  paste0(
    "There is not enough memory", if (!is.null(detail)) paste0(" (", detail, ")"),
    ". Lower `n_threads` or the options covmash.memory and covmash.block_rows, where they are used ",
    "(see ?covmash_threads), or use fewer rows, conditions or matrices."
  )
}

# R's own errors about memory have no class; their text is that of the session's language.
is_memory_error <- function(cnd) {
  formats <- c(
    "cannot allocate vector of size %0.1f Gb", "cannot allocate vector of size %0.1f Mb",
    "cannot allocate vector of size %0.f Kb", "cannot allocate vector of length %d",
    "memory exhausted (limit reached?)", "cannot allocate memory block of size %0.1f Gb"
  )
  starts <- sub("%.*", "", vapply(formats, gettext, "", domain = "R"))
  message <- conditionMessage(cnd)
  any(startsWith(message, c(starts, sub("%.*", "", formats))))
}

# Evaluate `expr`; where R has not enough memory the error is ours. What `expr` held is let go
# first: there is no memory to make an error with before.
name_memory_errors <- function(expr) {
  tryCatch(
    withCallingHandlers(expr, simpleError = function(cnd) {
      if (is_memory_error(cnd)) {
        signalCondition(structure(
          list(message = conditionMessage(cnd), call = NULL),
          class = c("covmash_out_of_memory", "condition")
        ))
      }
    }),
    covmash_out_of_memory = function(cnd) {
      rlang::abort(
        memory_message(conditionMessage(cnd)), class = core_error_class("memory"),
        call = user_frame()
      )
    }
  )
}

# "effect 12" becomes "effect 12 (gene_7)".
name_subject <- function(cnd, labels) {
  message <- conditionMessage(cnd)
  if (is.null(cnd$what)) {
    return(add_names_to_numbers(message, labels))
  }
  name <- labels[[cnd$what]][cnd$index]
  if (is.null(name) || is.na(name)) {
    return(message)
  }
  subject <- paste(cnd$what, format_count(cnd$index))
  sub(subject, paste0(subject, " (", name, ")"), message, fixed = TRUE)
}

# The same for a message that has numbers but does not say so.
add_names_to_numbers <- function(message, labels) {
  for (what in names(labels)) {
    hit <- regexpr(paste0("\\b", what, " [0-9]+"), message)
    if (hit > 0 && !is.null(labels[[what]])) {
      found <- regmatches(message, hit)
      name <- labels[[what]][as.integer(sub(".* ", "", found))]
      if (!is.na(name)) {
        message <- sub(found, paste0(found, " (", name, ")"), message, fixed = TRUE)
      }
    }
  }
  message
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
