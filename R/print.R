# What print methods share. Nothing is wider than the console, getOption("width"); a path or a name without a
# blank in a line of text stays whole.

console_width <- function() max(getOption("width"), 40L)

# Words, broken into lines; the later ones by `indent` columns to the right.
text_lines <- function(..., indent = 2L) {
  cat(strwrap(paste0(...), width = console_width() + 1L, exdent = indent), sep = "\n")
}

# A line "  label:      text"; what does not fit goes on below the text, which begins after `indent` columns.
status_line <- function(label, ..., indent = 14L) {
  lines <- strwrap(paste0(...), width = console_width() - indent + 1L)
  if (length(lines) == 0L) lines <- ""
  label <- formatC(paste0("  ", label), width = -indent)
  cat(paste0(c(label, rep(strrep(" ", indent), length(lines) - 1L)), lines, "\n"), sep = "")
}

first_rows <- function(x, n) x[seq_len(min(n, nrow(x))), , drop = FALSE]

# how: what shows all.
print_more <- function(n, how = "print(x, n = Inf)") {
  if (n > 0) {
    cat("... and ", format_count(n), " more; ", how, " shows all\n", sep = "")
  }
}

# The first n rows of a data frame. Columns for which there is no room come below, after the first column again, which
# has the names.
print_table <- function(x, n = Inf, digits = 3, how = "print(x, n = Inf)") {
  shown <- first_rows(x, n)
  columns <- function(at, room) {
    Map(function(name, column) table_column(name, column, digits, room), names(shown)[at], shown[at])
  }
  width_of <- function(cells) nchar(cells[1L], "width") + 1L
  # Names are shortened to half the width, or to 16 columns if all has room then.
  left <- console_width() - sum(vapply(columns(-1L, console_width()), width_of, 0L))
  first <- columns(1L, if (left >= 16L) left else console_width() %/% 2L)[[1L]]
  room <- console_width() - width_of(first)
  others <- columns(-1L, room)
  widths <- vapply(others, width_of, 0L)
  for (block in table_blocks(widths, room + 1L)) {
    cat(do.call(paste, c(list(first), unname(others[block]))), sep = "\n")
  }
  print_more(nrow(x) - nrow(shown), how)
}

# The name of a column and its cells, all equally wide and at most `room`: text to the left, numbers to the right.
table_column <- function(name, x, digits, room) {
  is_text <- is.character(x) || is.factor(x)
  cells <- c(name, if (is.numeric(x)) format(x, digits = digits) else as.character(x))
  cells[is.na(cells)] <- "NA"
  long <- nchar(cells, "width") > room
  cells[long] <- paste0(strtrim(cells[long], room - 3L), "...")
  blanks <- strrep(" ", max(nchar(cells, "width")) - nchar(cells, "width"))
  if (is_text) paste0(cells, blanks) else paste0(blanks, cells)
}

# Which columns stand side by side: as many as fit.
table_blocks <- function(widths, room) {
  blocks <- list()
  used <- Inf
  for (k in seq_along(widths)) {
    if (used + widths[k] > room) {
      blocks[[length(blocks) + 1L]] <- k
      used <- widths[k]
    } else {
      blocks[[length(blocks)]] <- c(blocks[[length(blocks)]], k)
      used <- used + widths[k]
    }
  }
  if (length(blocks) == 0L) list(integer()) else blocks
}
