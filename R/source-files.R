# The files of a source: which there are, what is in them, and columns of some of their rows. What a source is stands in
# source.R.

abort_source <- function(..., class = NULL, env = parent.frame()) {
  abort_input(..., class = c("covmash_error_source", class), env = env)
}

# Errors of reading are also errors of the source.
in_source <- function(expr) {
  tryCatch(expr, covmash_error_input = function(cnd) {
    if (inherits(cnd, "covmash_error_source")) rlang::cnd_signal(cnd)
    rlang::abort(
      conditionMessage(cnd), class = c("covmash_error_source", own_classes(cnd)), call = user_frame()
    )
  })
}

# What rlang::abort() adds itself.
own_classes <- function(cnd) setdiff(class(cnd), c("rlang_error", "error", "condition"))

# ---- which files ---------------------------------------------------------------

parquet_ending <- "[.](parquet|pq)$"
table_ending <- "[.](csv|tsv|txt)([.](gz|bgz))?$"

is_parquet <- function(path) grepl(parquet_ending, path, ignore.case = TRUE)

# The absolute paths of a folder, a glob, or files. Those of folders and globs are sorted, in all languages alike.
data_files <- function(x) {
  if (!is.character(x) || !is_plain(x) || length(x) == 0L || anyNA(x) || !all(nzchar(x))) {
    abort_source(
      "`x` must be a folder, a pattern such as \"folder/*.parquet\", paths of files, or a function, not {describe(x)}.",
      class = "covmash_error_file"
    )
  }
  found <- if (length(x) == 1L && dir.exists(x)) {
    files_of_folder(x)
  } else if (length(x) == 1L && grepl("[][*?]", x) && !file.exists(x)) {
    files_of_pattern(x)
  } else {
    lapply(x, check_file, name = "x")
    x
  }
  paths <- normalizePath(found, winslash = "/", mustWork = TRUE)
  again <- anyDuplicated(paths)
  if (again > 0L) {
    abort_source("'{found[again]}' of `x` occurs twice; its rows would count double.", class = "covmash_error_file")
  }
  paths
}

# Text beside Parquet is a note to the reader.
files_of_folder <- function(folder) {
  all <- list.files(folder, full.names = TRUE)
  all <- sort(all[!dir.exists(all)], method = "radix")
  for (found in list(all[is_parquet(all)], all[grepl(table_ending, all, ignore.case = TRUE)])) {
    if (length(found) > 0L) {
      return(found)
    }
  }
  below <- list.files(folder, parquet_ending, recursive = TRUE, ignore.case = TRUE)
  advice <- if (length(below) > 0L) {
    paste0(", but there are some in folders below it; give a pattern such as \"", folder, "/*/*.parquet\"")
  }
  abort_source(
    "The folder '{folder}' holds no file that ends in .parquet, .csv, .tsv or .txt (or .gz of them){advice}.",
    class = "covmash_error_file"
  )
}

files_of_pattern <- function(pattern) {
  found <- Sys.glob(pattern)
  found <- sort(found[!dir.exists(found)], method = "radix")
  if (length(found) == 0L) {
    abort_source("No file matches '{pattern}'; look at the folder and the ending.", class = "covmash_error_file")
  }
  found
}

# ---- what is in them -----------------------------------------------------------

# Sizes and times, by which a change is seen.
file_marks <- function(paths) {
  info <- file.info(paths, extra_cols = FALSE)
  list(path = paths, size = as.double(info$size), modified = as.double(info$mtime))
}

# How messages call files: by their names, or if several have the same, by their paths.
file_labels <- function(paths) {
  names <- basename(paths)
  paste0("'", if (anyDuplicated(names) > 0L) paths else names, "'")
}

# A table that can be looked into (read-table.R), with `rows`; of Parquet `numeric`, which columns hold numbers; of text
# `lines`, whether each row is a line.
look_into <- function(path, label) {
  if (!is_parquet(path)) {
    table <- open_data_text(path, label)
    table$rows <- if (isTRUE(table$no_rows)) 0 else length(read_columns(table, c(first = 1L), TRUE)[[1L]])
    table$lines <- !table$compressed && count_lines(path) == table$skip + table$rows
    return(table)
  }
  table <- list(kind = "parquet", path = path, label = label)
  layout <- name_parquet_errors(label, if (parquet_reader() == "nanoparquet") {
    # Schema and number of rows would each read it all again.
    known <- nanoparquet::read_parquet_metadata(path)
    schema <- known$schema[is.na(known$schema$num_children), ]
    list(
      columns = schema$name, numeric = schema$r_type %in% c("double", "integer"),
      rows = as.double(known$file_meta_data$num_rows)
    )
  } else {
    arrow_layout(path)
  })
  c(table, layout)
}

open_data_text <- function(path, label) {
  table <- open_table(path, "x")
  if (table$kind != "text") {
    abort_source("{label} of `x` must be Parquet or delimited text.", class = "covmash_error_file")
  }
  table$label <- label
  table
}

# With the last one, whether or not it is ended.
count_lines <- function(path) {
  con <- file(path, "rb")
  on.exit(close(con))
  n <- 0
  last <- as.raw(10)
  repeat {
    piece <- readBin(con, "raw", 2^22)
    if (length(piece) == 0L) break
    cpp_listen()
    n <- n + sum(piece == as.raw(10))
    last <- piece[length(piece)]
  }
  n + (last != as.raw(10))
}

name_parquet_errors <- function(label, expr) {
  tryCatch(expr, error = function(cnd) {
    if (inherits(cnd, "covmash_error")) rlang::cnd_signal(cnd)
    abort_source("{label} cannot be read as Parquet: {conditionMessage(cnd)}", class = "covmash_error_file")
  })
}

arrow_layout <- function(path) {
  reader <- getExportedValue("arrow", "ParquetFileReader")$create(path)
  schema <- reader$GetSchema()
  types <- vapply(schema$fields, function(field) field$type$ToString(), "")
  numeric <- grepl("^(u?int|float|double|halffloat)", types)
  list(columns = schema$names, numeric = numeric, rows = as.double(reader$num_rows))
}

# ---- which columns -------------------------------------------------------------

# Bhat and Shat as the user gave them, in the columns of the first file: a list of `Bhat` and `Shat` (NULL without),
# names of columns, `id` (NULL without), and `conditions`.
source_columns <- function(table, Bhat, Shat, id) {
  if (is.null(Bhat)) {
    if (!is.null(Shat)) {
      abort_source(
        "`Shat` is given, but `Bhat` is not; name the columns of estimates.", class = "covmash_error_columns"
      )
    }
    Bhat <- written_prefix(table)
    if (any(startsWith(table$columns, "shat_"))) Shat <- "shat_"
    if (is.null(id) && "id" %in% table$columns) id <- "id"
  }
  estimates <- chosen_columns(Bhat, table, "Bhat")
  errors <- if (!is.null(Shat)) paired_columns(chosen_columns(Shat, table, "Shat"), estimates)
  conditions <- names(estimates)
  again <- anyDuplicated(conditions)
  if (again > 0L) {
    abort_source(
      "`Bhat` has two columns of the condition '{conditions[again]}'; leave one out.",
      class = c("covmash_error_names", "covmash_error_columns")
    )
  }
  list(Bhat = unname(estimates), Shat = unname(errors), id = id_columns(id, table), conditions = conditions)
}

# What write_source() calls columns of estimates.
written_prefix <- function(table) {
  if (!any(startsWith(table$columns, "bhat_"))) {
    abort_source(
      "`Bhat` is missing; name the columns of estimates, or how their names begin. {table$label} has the columns ",
      "{quote_some(table$columns, 12L)}.",
      class = "covmash_error_columns"
    )
  }
  "bhat_"
}

# Columns, named by their conditions.
chosen_columns <- function(spec, table, name) {
  columns <- table$columns
  if (is.function(spec)) {
    chosen <- tryCatch(spec(columns), error = function(cnd) cnd)
    if (is.logical(chosen) && length(chosen) == length(columns)) chosen <- columns[which(chosen)]
    if (!is.character(chosen) || length(chosen) == 0L || !all(chosen %in% columns)) {
      failed <- inherits(chosen, "condition")
      what <- if (failed) paste("stopped:", conditionMessage(chosen)) else paste("gave", describe(chosen))
      abort_source(
        "`{name}` as a function must choose from the names of columns, by name or TRUE and FALSE, but it {what}.",
        class = "covmash_error_columns"
      )
    }
    return(stats::setNames(chosen, chosen))
  }
  if (!is.character(spec) || !is_plain(spec) || length(spec) == 0L || anyNA(spec) || !all(nzchar(spec))) {
    abort_source(
      "`{name}` must name columns, or how their names begin, or be a function that chooses them, not {describe(spec)}.",
      class = "covmash_error_columns"
    )
  }
  if (length(spec) == 1L && !spec %in% columns) {
    begin <- columns[startsWith(columns, spec)]
    if (length(begin) == 0L) {
      abort_source(
        "{table$label} has no column '{spec}' of `{name}`, nor any whose name begins so; it has ",
        "{quote_some(columns, 12L)}.{did_you_mean(spec, columns)}",
        class = "covmash_error_columns"
      )
    }
    return(stats::setNames(begin, substring(begin, nchar(spec) + 1L)))
  }
  absent <- which(!spec %in% columns)
  if (length(absent) > 0L) {
    abort_source(
      "{table$label} has no column '{spec[absent[1]]}' of `{name}`; it has {quote_some(columns, 12L)}.",
      "{did_you_mean(spec[absent[1]], columns)}",
      class = "covmash_error_columns"
    )
  }
  given <- names(spec)
  stats::setNames(spec, if (is.null(given)) spec else ifelse(nzchar(given), given, spec))
}

# Standard errors in the order of the estimates: by condition where their names say it, else as they stand.
paired_columns <- function(errors, estimates) {
  both <- intersect(errors, estimates)
  if (length(both) > 0L) {
    abort_source("The column '{both[1]}' is in `Bhat` and in `Shat`; it can be one.", class = "covmash_error_columns")
  }
  if (any(names(errors) %in% names(estimates))) {
    lone <- c(setdiff(names(estimates), names(errors)), setdiff(names(errors), names(estimates)))
    if (length(lone) > 0L) {
      has <- if (lone[1] %in% names(estimates)) {
        "an estimate but no standard error"
      } else {
        "a standard error but no estimate"
      }
      abort_source(
        "The condition '{lone[1]}' has {has}; name both, or leave both out.",
        class = "covmash_error_columns"
      )
    }
    return(errors[match(names(estimates), names(errors))])
  }
  if (length(errors) != length(estimates)) {
    abort_source(
      "`Bhat` has {plural(length(estimates), 'column')} and `Shat` {length(errors)}; each estimate needs its standard ",
      "error.",
      class = "covmash_error_columns"
    )
  }
  # beta_u, beta_v and v.se, u.se are not to be paired as they stand.
  ours <- what_differs(estimates)
  theirs <- what_differs(errors)
  if (setequal(ours, theirs)) errors[match(ours, theirs)] else errors
}

# Names without what all begin and end with.
what_differs <- function(x) {
  for (k in 1:2) {
    while (all(nzchar(x)) && length(unique(substr(x, 1L, 1L))) == 1L) x <- substring(x, 2L)
    x <- vapply(strsplit(x, ""), function(letters) paste(rev(letters), collapse = ""), "", USE.NAMES = FALSE)
  }
  x
}

id_columns <- function(id, table) {
  if (is.null(id)) {
    return(NULL)
  }
  if (!is.character(id) || !is_plain(id) || length(id) == 0L || anyNA(id) || !all(id %in% table$columns)) {
    what <- if (is.character(id) && length(id) > 0L && !anyNA(id)) {
      unknown <- id[!id %in% table$columns][1]
      paste0("'", unknown, "' is no column of ", table$label, ", which has ", quote_some(table$columns, 12L))
    } else {
      paste("not", describe(id))
    }
    abort_source("`id` must name columns that identify the effects: {what}.", class = "covmash_error_columns")
  }
  unname(id)
}

# That a file has what the first one has. specs: Bhat and Shat as they were given.
check_columns_of <- function(table, columns, specs, first) {
  needed <- unlist(columns[c("Bhat", "Shat", "id")], use.names = FALSE)
  absent <- setdiff(needed, table$columns)
  if (length(absent) > 0L) {
    abort_source(
      "{table$label} has no column '{absent[1]}', which {first} has; all files need the same columns.",
      class = "covmash_error_columns"
    )
  }
  again <- table$columns[duplicated(table$columns)]
  again <- intersect(needed, again)
  if (length(again) > 0L) {
    abort_source("{table$label} has two columns '{again[1]}'; rename one.", class = "covmash_error_columns")
  }
  for (name in names(specs)) {
    # Named columns are what is wanted whatever else there is.
    if (is.null(columns[[name]]) || is.character(specs[[name]]) && length(specs[[name]]) > 1L) next
    more <- setdiff(chosen_columns(specs[[name]], table, name), columns[[name]])
    if (length(more) > 0L) {
      abort_source(
        "{table$label} has the column '{more[1]}' of `{name}`, which {first} has not; all files need the same columns.",
        class = "covmash_error_columns"
      )
    }
  }
  numbers <- unlist(columns[c("Bhat", "Shat")], use.names = FALSE)
  bad <- if (!is.null(table$numeric)) numbers[!table$numeric[match(numbers, table$columns)]]
  if (length(bad) > 0L) {
    abort_source(
      "The column '{bad[1]}' of {table$label} must hold numbers; name another one in `Bhat` or `Shat`.",
      class = "covmash_error_columns"
    )
  }
  # Of text the first rows tell most of it.
  if (isTRUE(table$lines) && has_data_table() && table$rows > 0) {
    text_rows(table, numbers, rep(FALSE, length(numbers)), 1, min(table$rows, 100))
  }
}

# ---- reading -------------------------------------------------------------------

# One file (or part of a function) is kept, so that the next segment, which begins in it, need not read it again.
kept_part <- new.env()

# What a Parquet file may take in memory to be kept as a whole.
kept_part$bytes <- 2^28

keep_or <- function(key, kept, make) {
  if (kept && identical(kept_part$key, key)) {
    return(kept_part$value)
  }
  if (kept) kept_part$key <- kept_part$value <- NULL
  value <- make()
  if (kept) {
    kept_part$key <- key
    kept_part$value <- value
  }
  value
}

check_unchanged <- function(src, k) {
  files <- src$files
  now <- file_marks(files$path[k])
  if (is.na(now$size)) {
    abort_source(
      "'{files$path[k]}' is no longer there; make the source again with mash_source().", class = "covmash_error_file"
    )
  }
  # Some file systems keep milliseconds only.
  if (now$size != files$size[k] || abs(now$modified - files$modified[k]) > 2e-3) {
    abort_source(
      "'{files$path[k]}' has changed since mash_source() looked at it; make the source again, and what was computed ",
      "from it.",
      class = "covmash_error_file"
    )
  }
}

# Rows `first` to `last` of file k: a function that gives a column (character if `text`).
file_reader <- function(src, k, first, last) {
  check_unchanged(src, k)
  path <- src$files$path[k]
  label <- file_labels(src$files$path)[k]
  rows <- src$rows[k]
  columns <- src$columns
  names <- c(columns$Bhat, columns$Shat, columns$id)
  text <- rep(c(FALSE, TRUE), c(length(columns$Bhat) + length(columns$Shat), length(columns$id)))
  again <- duplicated(data.frame(names, text))
  names <- names[!again]
  text <- text[!again]
  whole <- first == 1 && last == rows
  cut <- function(x) if (whole) x else x[seq(first, last)]
  chosen <- function(values) {
    function(column, is_text) values[[which(names == column & text == is_text)]]
  }
  if (is_parquet(path) && rows > src$segment_rows && 8 * rows * length(names) > kept_part$bytes) {
    return(function(column, is_text) cut(columns_of_file(path, label, rows, column, is_text)[[1L]]))
  }
  if (src$files$lines[k] && !whole && has_data_table()) {
    return(chosen(text_rows(open_data_text(path, label), names, text, first, last)))
  }
  # Files that are shorter than a segment are cut in two at most, and Parquet is quickly read.
  kept <- !whole && (!is_parquet(path) || rows > src$segment_rows)
  key <- list(path, src$files$size[k], src$files$modified[k], names, text)
  whole_columns <- chosen(keep_or(key, kept, function() columns_of_file(path, label, rows, names, text)))
  function(column, is_text) cut(whole_columns(column, is_text))
}

# A list of whole columns.
columns_of_file <- function(path, label, rows, columns, text) {
  values <- if (is_parquet(path)) {
    raw <- name_parquet_errors(label, read_parquet_columns(path, columns, seq_along(columns)))
    typed_columns(raw, columns, text, label)
  } else {
    table <- open_data_text(path, label)
    typed_columns(read_text_columns(table, column_positions(table, columns), text), columns, text, label)
  }
  n <- unique(lengths(values))
  if (!identical(as.double(n), rows)) {
    abort_source(
      "{label} was to have {plural(rows, 'row')}, but {n[n != rows][1]} were read; it is damaged, make it again.",
      class = "covmash_error_file"
    )
  }
  values
}

# Rows of plain text by data.table, which looks for the lines without reading those before.
text_rows <- function(table, columns, text, first, last) {
  n <- last - first + 1
  table$skip <- table$skip + first - 1
  raw <- fread_columns(table, column_positions(table, columns), text, n)
  values <- typed_columns(raw, columns, text, table$label, first)
  if (!all(lengths(values) == n)) {
    abort_source(
      "{table$label} ends before row {format_count(last)}, which it had; it is damaged.", class = "covmash_error_file"
    )
  }
  values
}

column_positions <- function(table, columns) {
  at <- match(columns, table$columns)
  if (anyNA(at)) {
    abort_source("{table$label} has no column '{columns[is.na(at)][1]}' any more.", class = "covmash_error_columns")
  }
  stats::setNames(at, columns)
}

# first: which row of the file the first is.
typed_columns <- function(raw, columns, text, label, first = 1) {
  Map(function(x, column, is_text) {
    if (is_text) as_labels_of(x) else as_numbers(x, column, label, argument = "`Bhat` or `Shat`", first = first)
  }, unname(raw), columns, text)
}

# Whole numbers as they are written, not as 1e+05.
as_labels_of <- function(x) {
  if (is.double(x) && !is.object(x) && all(is.na(x) | x == round(x) & abs(x) < 1e15)) {
    return(ifelse(is.na(x), NA_character_, sprintf("%.0f", x)))
  }
  as_labels(x)
}
