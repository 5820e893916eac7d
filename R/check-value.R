# Checks of single values and of arguments caught by `...`. All end in abort_input(), so that
# bad input is one classed error in one sentence. checkmate decides, the message is ours.

# A short description of a value, for messages.
describe <- function(x) {
  if (is.null(x)) {
    return("NULL")
  }
  # What has a class is not what it looks like: a factor shows its label, a date its day.
  if (is.data.frame(x)) {
    return("a data frame")
  }
  if (is.object(x) && is.atomic(x)) {
    return(if (is.factor(x)) paste("a factor of length", length(x)) else paste("an object of class", class(x)[1]))
  }
  if (is.atomic(x) && length(x) == 1L && is.null(dim(x))) {
    return(if (is.character(x)) paste0("'", x, "'") else format_value(x))
  }
  if (is.object(x)) {
    return(paste("an object of class", class(x)[1]))
  }
  if (is.matrix(x)) {
    return(paste0("a ", typeof(x), " matrix of ", nrow(x), " x ", ncol(x)))
  }
  if (is.atomic(x) && is.null(dim(x))) {
    return(paste0("a vector of type ", typeof(x), " and length ", length(x)))
  }
  paste("an object of class", class(x)[1])
}

# With all digits where the usual ones make another number whole.
format_value <- function(x) {
  shown <- format(x)
  if (is.double(x) && isTRUE(x != round(x)) && isTRUE(suppressWarnings(as.numeric(shown)) == round(x))) {
    return(format(x, digits = 15))
  }
  shown
}

# The plural-aware list of a few names.
quote_some <- function(x, n = 3L) {
  shown <- paste0("'", first_few(x, n), "'", collapse = ", ")
  if (length(x) > n) paste0(shown, ", ...") else shown
}

first_few <- function(x, n) x[seq_len(min(n, length(x)))]

# An argument that was left out.
refuse_missing <- function(is_missing, name, what, class = "covmash_error_argument") {
  if (is_missing) {
    abort_input("`{name}` is missing; give {what}.", class = class)
  }
}

# ---- single values -----------------------------------------------------------

# A 1 x 1 matrix or a date would pass for a number, and be one nowhere else.
is_plain <- function(x) is.null(dim(x)) && !is.object(x)

check_flag <- function(x, name) {
  if (!is_plain(x) || !checkmate::test_flag(x)) {
    abort_input(
      "`{name}` must be TRUE or FALSE, not {describe(x)}.",
      class = "covmash_error_argument"
    )
  }
  invisible(x)
}

# TRUE or FALSE, one for all or one for each; NULL is FALSE.
check_flags <- function(x, K, name) {
  if (is.null(x)) {
    x <- FALSE
  }
  if (!is.logical(x) || anyNA(x) || !length(x) %in% c(1L, K)) {
    abort_input(
      "`{name}` must be TRUE or FALSE, or one of them for each of the {plural(K, 'matrix', 'matrices')}, ",
      "not {describe(x)}.",
      class = "covmash_error_argument"
    )
  }
  rep_len(x, K)
}

check_number <- function(x, name, lower = -Inf, upper = Inf, what = "a number",
                         null_ok = FALSE) {
  if (null_ok && is.null(x)) {
    return(invisible(x))
  }
  if (!is_plain(x) || !checkmate::test_number(x, lower = lower, upper = upper, finite = TRUE)) {
    abort_input("`{name}` must be {what}, not {describe(x)}.", class = "covmash_error_argument")
  }
  invisible(x)
}

check_whole <- function(x, name, lower = 0) {
  ok <- is_plain(x) && checkmate::test_number(x, lower = lower, finite = TRUE) &&
    x == round(x)
  if (!ok) {
    abort_input(
      "`{name}` must be a whole number of at least {lower}, not {describe(x)}.",
      class = "covmash_error_argument"
    )
  }
  invisible(x)
}

# The same as the core counts: more than an int holds is no limit at all.
whole_number <- function(x, name, lower = 0) {
  check_whole(x, name, lower)
  as.integer(min(x, .Machine$integer.max))
}

# What print methods are told: significant digits, and how many rows (Inf: all).
check_printing <- function(digits = 3, n = 1) {
  if (!is_plain(digits) || !checkmate::test_count(digits, positive = TRUE) || digits > 22) {
    abort_input(
      "`digits` must be a whole number from 1 to 22, not {describe(digits)}.",
      class = "covmash_error_argument"
    )
  }
  if (!is_plain(n) || !checkmate::test_number(n, lower = 0) || is.finite(n) && n != round(n)) {
    abort_input(
      "`n` must be a whole number of at least 0 (Inf for all), not {describe(n)}.",
      class = "covmash_error_argument"
    )
  }
}

# One of `choices`, partial matching allowed; the full default vector means its
# first element, as match.arg() has it.
check_choice <- function(x, choices, name) {
  if (identical(x, choices)) {
    return(choices[1])
  }
  at <- if (checkmate::test_string(x)) pmatch(x, choices) else NA_integer_
  if (is.na(at)) {
    known <- paste0("'", choices, "'", collapse = ", ")
    abort_input(
      "`{name}` must be one of {known}, not {describe(x)}.{if (is.character(x) && length(x) == 1L) did_you_mean(x, choices)}",
      class = "covmash_error_argument"
    )
  }
  choices[at]
}

# " Did you mean 'liver'?" where a name is like one that there is, else nothing.
did_you_mean <- function(given, known) {
  if (length(known) == 0L || length(known) > 1e4 || is.na(given) || nchar(given) < 3L) {
    return("")
  }
  distance <- utils::adist(given, known, ignore.case = TRUE)[1, ]
  best <- which.min(distance)
  if (length(best) == 0L || distance[best] > min(2, nchar(given) %/% 3)) "" else paste0(" Did you mean '", known[best], "'?")
}

# ---- unknown arguments -------------------------------------------------------

# The arguments caught by `...`: those in `known` are returned, the others are
# ignored with a warning, so that a script written for another package runs on.
take_dots <- function(dots, known, where) {
  labels <- names(dots)
  if (is.null(labels)) {
    labels <- character(length(dots))
  }
  unknown <- !(labels %in% known)
  if (any(unknown)) {
    shown <- ifelse(nzchar(labels[unknown]), labels[unknown], "(unnamed)")
    what <- if (sum(unknown) == 1) "argument" else "arguments"
    warn_covmash(
      "{where} does not use the {what} {quote_some(shown, 6L)}; ignored.",
      class = "covmash_warning_ignored"
    )
  }
  dots[!unknown]
}
