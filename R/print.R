# What print methods share.

# A line "  label:      text" of at most 80 columns; what does not fit goes on below the text.
status_line <- function(label, ...) {
  lines <- strwrap(paste0(...), width = 80L - 14L + 1L)
  cat(paste0(c(formatC(paste0("  ", label), width = -14), rep(strrep(" ", 14), length(lines) - 1L)), lines, "\n"), sep = "")
}

first_rows <- function(x, n) x[seq_len(min(n, nrow(x))), , drop = FALSE]

print_more <- function(n) {
  if (n > 0) {
    cat("... and ", format_count(n), " more\n", sep = "")
  }
}
