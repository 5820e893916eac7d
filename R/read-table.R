# Columns of tables from files: text (also .gz and .bgz), Parquet, .rds, or a data frame. What a format means is in
# sumstats-formats.R.

# Tokens for a missing number or name: R's, C's of a NaN (FastQTL), PLINK's, GWAS-SSF's.
missing_tokens <- c("NA", "", "NaN", "nan", "-nan", "-NaN", ".", "#NA", "N/A", "NULL", "null", "None")

# A table one can look into before its columns are read: a list with `columns` (their names), `kind`, and what
# read_columns() needs. A text file without a header has the columns V1, V2, ...
open_table <- function(source, name = "files") {
  if (is.data.frame(source)) {
    return(list(kind = "frame", columns = names(source), data = source, label = "the data frame"))
  }
  check_file(source, name)
  label <- paste0("'", basename(source), "'")
  kind <- tolower(sub("^.*[.]", "", source))
  if (kind == "rds") {
    data <- readRDS(source)
    if (!is.data.frame(data)) {
      abort_input("{label} of `{name}` must hold a data frame, not {describe(data)}.", class = "covmash_error_file")
    }
    return(list(kind = "frame", columns = names(data), data = data, label = label))
  }
  if (kind %in% c("parquet", "pq")) {
    return(list(kind = "parquet", columns = parquet_columns(source), path = source, label = label))
  }
  open_text(source, label)
}

check_file <- function(path, name) {
  if (!checkmate::test_string(path, min.chars = 1L)) {
    abort_input("`{name}` must hold paths of files or data frames, not {describe(path)}.", class = "covmash_error_file")
  }
  if (!file.exists(path) || dir.exists(path)) {
    why <- if (dir.exists(path)) "is a folder" else "does not exist"
    abort_input("'{path}' of `{name}` {why}; give the path of a file.", class = "covmash_error_file")
  }
}

# ---- text ----------------------------------------------------------------------

open_text <- function(path, label) {
  con <- gzfile(path, "rt")
  on.exit(close(con))
  skip <- 0L
  first <- character()
  repeat {
    lines <- tryCatch(readLines(con, 1L, warn = FALSE), error = function(e) character())
    if (length(lines) == 0L || !startsWith(lines, "##")) break
    skip <- skip + 1L
  }
  first <- c(lines, readLines(con, 1L, warn = FALSE))
  if (length(first) == 0L || !nzchar(first[1]) || !all(validUTF8(first))) {
    why <- if (length(first) && nzchar(first[1])) "is not a table in text" else "is empty"
    abort_input("{label} {why}; give a table with a header, plain or compressed by gzip.", class = "covmash_error_file")
  }
  separator <- separator_of(first[1])
  fields <- split_fields(first[1], separator)
  header <- !any(is_numeral(fields[-1]))
  n_fields <- if (length(first) > 1L) length(split_fields(first[2], separator)) else length(fields)
  values <- fields
  if (!header) {
    fields <- paste0("V", seq_along(fields))
  } else {
    fields[1] <- sub("^#", "", fields[1])
    # write.table() leaves out the name of the row names.
    if (n_fields == length(fields) + 1L) fields <- c("", fields)
  }
  list(
    kind = "text", columns = fields, path = path, label = label, separator = separator, skip = skip + header,
    header = header, first = values, compressed = is_gzip(path), no_rows = header && length(first) == 1L
  )
}

separator_of <- function(line) {
  for (separator in c("\t", ",", ";", " ")) {
    if (grepl(separator, line, fixed = TRUE)) return(separator)
  }
  "\t"
}

split_fields <- function(line, separator) {
  scan(
    text = line, what = "", sep = if (separator == " ") "" else separator, quote = "\"", quiet = TRUE, strip.white = TRUE,
    comment.char = ""
  )
}

is_numeral <- function(x) {
  x %in% c("NaN", "nan", "-nan", "NA", ".") | !is.na(suppressWarnings(as.numeric(x)))
}

is_gzip <- function(path) identical(readBin(path, "raw", 2L), as.raw(c(0x1f, 0x8b)))

# ---- columns -------------------------------------------------------------------

# A named list of the columns at the positions `at` (named): character where `text` says so, else double.
read_columns <- function(table, at, text) {
  if (length(at) == 0L) {
    return(list())
  }
  raw <- switch(table$kind,
    frame = lapply(at, function(k) table$data[[k]]),
    parquet = read_parquet_columns(table$path, table$columns, at),
    text = read_text_columns(table, at, text)
  )
  names(raw) <- names(at)
  Map(function(x, role, is_text) {
    column <- table$columns[at[[role]]]
    if (!is_text) as_numbers(x, column, table$label) else if (table$kind == "text") x else as_known_labels(x)
  }, raw, names(at), text)
}

as_labels <- function(x) {
  if (is.character(x)) x else as.character(x)
}

# As text would have them: missing tokens are missing.
as_known_labels <- function(x) {
  x <- as_labels_of(x)
  missing <- which(x %in% missing_tokens)
  if (length(missing) > 0L) replace(x, missing, NA) else x
}

# argument: what names the column; first: which row of the file the first of x is.
as_numbers <- function(x, column, label, argument = "`columns`", first = 1) {
  if (is.factor(x)) {
    x <- as.character(x)
  }
  if (is.character(x)) {
    x[x %in% missing_tokens] <- NA
    out <- suppressWarnings(as.numeric(x))
    bad <- which(is.na(out) & !is.na(x))[1]
    if (!is.na(bad)) {
      abort_input(
        "Column '{column}' of {label} must hold numbers, but row {format_count(first + bad - 1)} has '{x[bad]}'; mend ",
        "it, or name another column in {argument}.",
        class = "covmash_error_columns"
      )
    }
    return(out)
  }
  if (!is_number_like(x) || is.matrix(x)) {
    abort_input(
      "Column '{column}' of {label} must hold numbers, not {describe(x)}; name another column in {argument}.",
      class = "covmash_error_columns"
    )
  }
  as.double(x)
}

read_text_columns <- function(table, at, text) {
  if (isTRUE(table$no_rows)) {
    return(lapply(text, function(is_text) if (is_text) character() else double()))
  }
  if (has_data_table()) {
    return(fread_columns(table, at, text))
  }
  what <- rep(list(NULL), length(table$columns))
  what[at] <- list("")
  con <- gzfile(table$path, "rt")
  on.exit(close(con))
  values <- read_or_name(scan(
    con, what, sep = if (table$separator == " ") "" else table$separator, skip = table$skip, quote = "\"", quiet = TRUE,
    comment.char = "", na.strings = character(), strip.white = TRUE, multi.line = FALSE
  ), table)
  lapply(unname(values[at]), as_known_labels)
}

has_data_table <- function() !isFALSE(getOption("covmash.fread")) && requireNamespace("data.table", quietly = TRUE)

fread_columns <- function(table, at, text, n = Inf) {
  path <- if (table$compressed) unpacked(table$path) else table$path
  if (table$compressed) on.exit(unlink(path))
  order <- order(at)
  values <- read_or_name(data.table::fread(
    path, sep = table$separator, header = FALSE, skip = table$skip, select = unname(at[order]), quote = "\"",
    colClasses = if (any(text)) list(character = unname(at[text])), na.strings = missing_tokens, integer64 = "double",
    showProgress = FALSE, data.table = FALSE, nThread = resolve_threads(), fill = FALSE, nrows = n
  ), table)
  unname(as.list(values))[order(order)]
}

# fread() opens no gzip by itself; this is what R.utils would do for it.
unpacked <- function(path) {
  out <- tempfile(fileext = ".tsv")
  from <- gzfile(path, "rb")
  to <- file(out, "wb")
  on.exit({
    close(from)
    close(to)
  })
  repeat {
    piece <- readBin(from, "raw", 2^24)
    if (length(piece) == 0L) break
    writeBin(piece, to)
  }
  out
}

read_or_name <- function(code, table) {
  fail <- function(cnd) {
    abort_input("{table$label} cannot be read as a table: {conditionMessage(cnd)}", class = "covmash_error_file")
  }
  withCallingHandlers(tryCatch(code, error = fail), warning = function(cnd) {
    # What fread() only warns of, such as rows that end early, would be lost rows.
    if (inherits(cnd, "covmash_warning")) return()
    fail(cnd)
  })
}

# ---- Parquet -------------------------------------------------------------------

parquet_reader <- function() {
  for (package in c("nanoparquet", "arrow")) {
    if (requireNamespace(package, quietly = TRUE)) return(package)
  }
  abort_input(
    "Parquet files need the package nanoparquet (or arrow); install it with install.packages(\"nanoparquet\").",
    class = "covmash_error_package"
  )
}

parquet_columns <- function(path) {
  reader <- parquet_reader()
  tryCatch(
    if (reader == "nanoparquet") {
      schema <- nanoparquet::read_parquet_schema(path)
      schema$name[is.na(schema$num_children)]
    } else {
      getExportedValue("arrow", "read_parquet")(path, as_data_frame = FALSE)$ColumnNames()
    },
    error = function(e) abort_input("'{basename(path)}' is no Parquet file: {conditionMessage(e)}", class = "covmash_error_file")
  )
}

read_parquet_columns <- function(path, columns, at) {
  chosen <- columns[at]
  data <- if (parquet_reader() == "nanoparquet") {
    nanoparquet::read_parquet(path, col_select = unique(chosen))
  } else {
    as.data.frame(getExportedValue("arrow", "read_parquet")(path, col_select = unique(chosen)))
  }
  lapply(chosen, function(column) data[[column]])
}

# It takes long to build and is in no field of DESCRIPTION, so that nobody has to; used where it is.
has_arrow <- function(package = "arrow") requireNamespace(package, quietly = TRUE)
