# Results as files: text with tabs, or Parquet.

#' Write results to files
#'
#' One long table, or a file for each quantity with effects in rows and conditions in columns.
#'
#' @param x A fit of [mash()], a result of [mash_1by1()], [mash_contrast()], [mash_compute_posterior_matrices()] or
#'   [control_hierarchy()]; a posterior in files, [mash_output()], or rows of it; a data frame, as of
#'   [summarise_effects()]; or a matrix, as of [get_pairwise_sharing()].
#' @param file Name of the file. With `layout = "wide"`, `_` and the name of the quantity come before its ending:
#'   `fit.tsv.gz` becomes `fit_lfsr.tsv.gz` and so on.
#' @param what Which quantities: of `"PosteriorMean"`, `"PosteriorSD"`, `"lfsr"`, `"lfdr"`, `"NegativeProb"`,
#'   `"conf.low"`, `"conf.high"` and `"observed"`; if `NULL`, in long tables the columns of [tidy()][mash_tidiers], else
#'   all that there are but `observed`. Of [control_hierarchy()] `"effects"` (default), `"conditions"` or `"groups"`.
#' @param format `"tsv"`: tabs between columns, compressed where `file` ends in `.gz`. `"parquet"`: by the
#'   package nanoparquet, or arrow. `"auto"` (default): by the end of `file`, which is `.tsv`, `.txt`,
#'   `.tsv.gz`, `.txt.gz` or `.parquet`.
#' @param layout `"long"` (default): one table with a row for each effect and condition, with the columns of
#'   [tidy()][mash_tidiers]. `"wide"`: one file for each quantity, its first column `effect`.
#' @param effects,conditions Which of them: numbers, names or `TRUE`/`FALSE`; all if `NULL`.
#' @param conf.int,conf.level,data Credible intervals, their probability, and the data they need, as for
#'   [tidy()][mash_tidiers].
#' @param digits Significant digits of numbers in text, at most 17: with so many they are the same numbers when they
#'   are read again. 15 take a tenth of the time if data.table is installed; so does Parquet, with all digits.
#' @param overwrite Replace files that exist?
#' @return The names of the files, invisibly; with `layout = "wide"` named by their quantities.
#' @details A file is written under another name beside its place and then renamed, so that there is never half
#'   a file. In text, missing values are `NA`, and names with tabs, line ends or quotes stand in
#'   double quotes. Text is in UTF-8 and written by data.table where that is installed, several times as fast.
#' @section Errors: `covmash_error_file` if the file exists, its directory does not, its ending is not known or writing
#'   fails; `covmash_error_package` for Parquet without nanoparquet or arrow; `covmash_error_argument`,
#'   `covmash_error_index` and those of [tidy()][mash_tidiers].
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' file <- tempfile(fileext = ".tsv.gz")
#' write_mash(fit, file, effects = get_significant_results(fit))
#' head(utils::read.delim(file), 3)
#' # data.table::fread(file) reads it faster
#'
#' file <- tempfile(fileext = ".tsv")
#' files <- write_mash(fit, file, what = c("PosteriorMean", "lfsr"), layout = "wide")
#' lfsr <- as.matrix(utils::read.delim(files[["lfsr"]], row.names = "effect", check.names = FALSE))
#' identical(lfsr, get_lfsr(fit))
write_mash <- function(x, file, what = NULL, format = c("auto", "tsv", "parquet"), layout = c("long", "wide"),
                       effects = NULL, conditions = NULL, conf.int = FALSE, conf.level = 0.95, data = NULL,
                       digits = 17, overwrite = FALSE) {
  refuse_missing(missing(x), "x", "a result to write")
  refuse_missing(missing(file), "file", "the name of a file")
  layout <- check_choice(layout, c("long", "wide"), "layout")
  check_flag(conf.int, "conf.int")
  check_flag(overwrite, "overwrite")
  check_whole(digits, "digits", 1)
  if (digits > 17) {
    abort_input("`digits` must be at most 17, not {describe(digits)}.", class = "covmash_error_argument")
  }
  format <- file_format(file, format)
  if (inherits(x, "mash_output")) {
    x <- take_rows(check_output(x), effects, name = "effects")
    effects <- NULL
  }
  x <- as_result(x)
  if (is_result(x)) {
    if (conf.int && !inherits(x, c("mash", "mash_1by1", "mash_contrast"))) {
      abort_input(
        "`x` does not hold the prior that intervals need; give the fit itself.", class = "covmash_error_argument"
      )
    }
    parts <- chosen_parts(x, what, layout, effects, conditions, conf.int, conf.level, data)
    tables <- if (layout == "long") {
      list(parts_in_rows(parts, if (inherits(x, "mash_contrast")) "contrast" else "condition"))
    } else {
      lapply(parts, matrix_table)
    }
  } else {
    refuse_unused(x, layout != "long", effects, conditions, conf.int)
    tables <- list(plain_table(x, what))
  }
  files <- if (layout == "long") file else stats::setNames(wide_files(file, names(tables)), names(tables))
  write_tables(tables, files, format, as.integer(digits), overwrite)
  invisible(files)
}

# ---- what is written ---------------------------------------------------------

# Bare matrices of a posterior are a result too.
as_result <- function(x) {
  if (inherits(x, "mash_rows")) return(with_row_labels(check_rows(x)))
  if (is.list(x) && !is.object(x) && is.matrix(x[["PosteriorMean"]])) list(result = x) else x
}

# Rows of a posterior in files without names go by their numbers in the whole.
with_row_labels <- function(x) {
  if (is.null(x$dimnames[[1]])) {
    x$dimnames <- list(format_all(x$rows), x$dimnames[[2]])
    x$result <- lapply(x$result, function(part) {
      dimnames(part) <- x$dimnames
      part
    })
  }
  x
}

is_result <- function(x) {
  is.list(x) && !is.data.frame(x) && is.list(x[["result"]])
}

# The names users know from results, and those of the columns of a long table.
quantity_columns <- c(
  PosteriorMean = "estimate", PosteriorSD = "std.error", lfsr = "lfsr", lfdr = "lfdr", NegativeProb = "NegativeProb",
  conf.low = "conf.low", conf.high = "conf.high", observed = "observed"
)

# The matrices to write, in the rows and columns chosen, named as in quantity_columns: by column for a long table.
chosen_parts <- function(x, what, layout, effects, conditions, conf.int, conf.level, data) {
  if (inherits(x, "mash_contrast")) check_mash_contrast(x)
  means <- table_parts(x)$estimate
  rows <- if (!is.null(effects)) resolve_index(effects, nrow(means), rownames(means), "effects", "effect")
  columns <- if (is.null(conditions)) seq_len(ncol(means)) else {
    resolve_index(conditions, ncol(means), colnames(means), "conditions", "condition")
  }
  if (length(columns) == 0L || (!is.null(effects) && length(rows) == 0L)) {
    side <- if (length(columns) == 0L) "conditions" else "effects"
    abort_input("`{side}` selects nothing; choose at least one.", class = "covmash_error_index")
  }
  chosen <- function(part) {
    if (is.null(rows) && is.null(conditions)) {
      part
    } else if (is.null(rows)) {
      part[, columns, drop = FALSE]
    } else {
      part[rows, columns, drop = FALSE]
    }
  }
  parts <- lapply(table_parts(x), chosen)
  if (is.matrix(get_np(x))) parts$NegativeProb <- chosen(get_np(x))
  if (conf.int) {
    ends <- if (inherits(x, "mash_contrast")) {
      contrast_ends(x, conf.level, rows)
    } else {
      intervals_of(x, data, conf.level, rows)
    }
    parts[c("conf.low", "conf.high")] <- lapply(ends, function(end) end[, columns, drop = FALSE])
  }
  if (inherits(x, c("mash_fit", "mash_1by1", "mash_rows"))) {
    observed <- observed_entries(x)
    parts$observed <- chosen(array(if (is.null(observed)) TRUE else observed, dim(means), dimnames(means)))
  }
  quantities <- chosen_quantities(what, layout, names(parts))
  parts <- parts[quantity_columns[quantities]]
  if (layout == "wide") names(parts) <- quantities
  parts
}

contrast_ends <- function(x, level, rows) {
  if (is.null(x$level) || !isTRUE(all.equal(x$level, level))) {
    has <- if (is.null(x$level)) "no intervals" else paste("intervals of level", format(x$level))
    abort_input(
      "`x` has {has}, and `conf.level` is {describe(level)}; make it again with mash_contrast(level = ).",
      class = "covmash_error_argument"
    )
  }
  ends <- x$result[c("lower", "upper")]
  if (is.null(rows)) ends else lapply(ends, function(end) end[rows, , drop = FALSE])
}

# Which quantities, by the names of results. there: columns that there are.
chosen_quantities <- function(what, layout, there) {
  known <- names(quantity_columns)
  if (is.null(what)) {
    left_out <- if (layout == "long") "NegativeProb" else "observed"
    return(setdiff(known[quantity_columns %in% there], left_out))
  }
  if (!is.character(what) || length(what) == 0L || anyNA(what)) {
    abort_input("`what` must hold names of quantities, not {describe(what)}.", class = "covmash_error_argument")
  }
  at <- match(what, known)
  at[is.na(at)] <- match(what[is.na(at)], quantity_columns)
  if (anyNA(at)) {
    abort_input(
      "`what` names {quote_some(what[is.na(at)])}, which is no quantity; they are {quote_some(known, 8L)}.",
      class = "covmash_error_argument"
    )
  }
  absent <- known[at][!quantity_columns[at] %in% there]
  if (length(absent) > 0L) {
    how <- switch(absent[1],
      conf.low = , conf.high = "; set `conf.int = TRUE`", lfdr = "; set `output_lfdr = TRUE` in mash()", ""
    )
    abort_input("`x` has no '{absent[1]}'{how}.", class = "covmash_error_argument")
  }
  unique(known[at])
}

parts_in_rows <- function(parts, condition) {
  index <- long_index(parts[[1L]])
  names(index) <- c("effect", condition)
  plain_frame(c(index, lapply(parts, as.vector)))
}

# A matrix with the names of its rows in front.
matrix_table <- function(x, first = "effect") {
  columns <- lapply(seq_len(ncol(x)), function(r) unname(x[, r]))
  plain_frame(stats::setNames(c(list(row_labels(x)), columns), c(first, condition_labels(x))))
}

# What is no result by effects and conditions: it is written as it is.
plain_table <- function(x, what) {
  if (inherits(x, "mash_hierarchy")) {
    return(tidy(x, if (is.null(what)) "effects" else what))
  }
  if (!is.null(what)) {
    abort_input("`what` has no use for {describe(x)}; leave it out.", class = "covmash_error_argument")
  }
  if (inherits(x, "deconvolution")) {
    return(tidy(x))
  }
  if (is.matrix(x) && (is.numeric(x) || is.logical(x) || is.character(x)) && length(x) > 0L) {
    square <- !is.null(colnames(x)) && identical(rownames(x), colnames(x))
    return(matrix_table(x, if (square) "condition" else "effect"))
  }
  if (!is.data.frame(x) || ncol(x) == 0L || !all(vapply(x, is_column, NA))) {
    abort_input(
      "`x` must be a result of covmash, a matrix, or a data frame with plain columns, not {describe(x)}.",
      class = "covmash_error_argument"
    )
  }
  plain_frame(lapply(x, function(column) if (is.factor(column)) as.character(column) else column))
}

is_column <- function(x) {
  is.null(dim(x)) && (is.factor(x) || !is.object(x) && (is.numeric(x) || is.logical(x) || is.character(x)))
}

refuse_unused <- function(x, layout, effects, conditions, conf.int) {
  used <- c(layout = layout, effects = !is.null(effects), conditions = !is.null(conditions), conf.int = conf.int)
  if (any(used)) {
    abort_input(
      "`{names(used)[used][1]}` has no use for {describe(x)}, which has no effects and conditions; leave it out.",
      class = "covmash_error_argument"
    )
  }
}

# ---- where to ----------------------------------------------------------------

text_ending <- "[.](tsv|txt)([.]gz)?$"

file_format <- function(file, format) {
  if (!is_plain(file) || !checkmate::test_string(file, min.chars = 1)) {
    abort_input("`file` must be the name of a file, not {describe(file)}.", class = "covmash_error_argument")
  }
  format <- check_choice(format, c("auto", "tsv", "parquet"), "format")
  if (format != "auto") {
    return(format)
  }
  if (grepl(text_ending, file, ignore.case = TRUE)) {
    return("tsv")
  }
  if (!grepl("[.]parquet$", file, ignore.case = TRUE)) {
    abort_input(
      "The end of `file`, '{basename(file)}', is none of .tsv, .txt, .tsv.gz, .txt.gz and .parquet; give `format`.",
      class = "covmash_error_file"
    )
  }
  "parquet"
}

# The name of the quantity before the ending, of one or, compressed, of two parts.
wide_files <- function(file, quantities) {
  start <- sub("[.][^./\\\\]+([.]gz)?$", "", file)
  paste0(start, "_", quantities, substring(file, nchar(start) + 1L))
}

write_tables <- function(tables, files, format, digits, overwrite) {
  check_places(files, overwrite)
  write_one <- if (format == "parquet") parquet_writer() else tsv_writer(digits)
  # In the same directory, for a file cannot be renamed to another disk.
  made <- vapply(files, function(file) tempfile(paste0(".", basename(file), "-"), dirname(file)), "")
  on.exit(unlink(made))
  for (i in seq_along(files)) {
    write_one(tables[[i]], made[[i]], grepl("[.]gz$", files[[i]], ignore.case = TRUE))
  }
  done <- file.rename(made, files)
  if (!all(done)) {
    abort_input("'{files[!done][1]}' could not be written.", class = "covmash_error_file")
  }
}

check_places <- function(files, overwrite) {
  home <- dirname(files[[1L]])
  if (!dir.exists(home) || file.access(home, 2L) != 0L) {
    problem <- if (dir.exists(home)) "cannot be written to" else "does not exist"
    abort_input("The directory of `file`, '{home}', {problem}.", class = "covmash_error_file")
  }
  there <- files[file.exists(files)]
  if (any(dir.exists(there))) {
    abort_input("'{there[dir.exists(there)][1]}' is a directory.", class = "covmash_error_file")
  }
  if (length(there) > 0L && !overwrite) {
    abort_input(
      "The file '{there[1]}' exists; give another name, or `overwrite = TRUE`.", class = "covmash_error_file"
    )
  }
}

# ---- how ---------------------------------------------------------------------

# arrow writes the same where it is what there is.
parquet_writer <- function(packages = c("nanoparquet", "arrow")) {
  for (package in packages) {
    if (requireNamespace(package, quietly = TRUE)) {
      write_parquet <- getExportedValue(package, "write_parquet")
      return(function(table, file, gz) {
        name_file_errors({
          write_parquet(table, file)
          refuse_cut_parquet(file)
        })
      })
    }
  }
  abort_input(
    "Parquet needs the package nanoparquet; install it with install.packages(\"nanoparquet\"), or write .tsv.gz.",
    class = "covmash_error_package"
  )
}

# nanoparquet says nothing where the disk is full. A Parquet file ends as it begins, after all else.
refuse_cut_parquet <- function(file) {
  mark <- charToRaw("PAR1")
  size <- file.size(file)
  whole <- !is.na(size) && size >= 12 && {
    con <- file(file, "rb")
    on.exit(close(con))
    seek(con, size - 4)
    identical(readBin(con, "raw", 4), mark)
  }
  if (!whole) stop("the file is cut off; the disk may be full", call. = FALSE)
}

tsv_writer <- function(digits) {
  text_writer(if (requireNamespace("data.table", quietly = TRUE)) append_by_data_table else append_lines, digits)
}

text_writer <- function(append, digits) {
  function(table, file, gz) {
    # Not all at a time: as text numbers take several times their memory.
    pieces <- if (nrow(table) > 0L) split_rows(nrow(table), max(1, 3e5 %/% length(table)))
    name_file_errors(append(as_text(names(table)), file, gz, FALSE))
    for (rows in pieces) {
      cpp_listen()
      cells <- lapply(table, function(column) as_text(column[rows], digits, identical(append, append_by_data_table)))
      name_file_errors(append(cells, file, gz, TRUE))
    }
  }
}

# Cells of a file. data.table writes numbers itself, with 15 digits.
as_text <- function(x, digits = 17L, by_data_table = FALSE) {
  if (is.character(x)) {
    special <- grep("[\t\r\n\"]", x)
    x[special] <- paste0("\"", gsub("\"", "\"\"", x[special], fixed = TRUE), "\"")
    return(enc2utf8(x))
  }
  if (is.double(x) && (digits != 15L || !by_data_table)) {
    return(sprintf(paste0("%.", digits, "g"), x))
  }
  if (by_data_table) x else as.character(x)
}

# cells: the columns of a table, or the names of columns.
append_by_data_table <- function(cells, file, gz, append) {
  data.table::fwrite(
    plain_frame(stats::setNames(as.list(cells), seq_along(cells))), file,
    append = append, quote = FALSE, sep = "\t", eol = "\n", na = "NA", col.names = FALSE,
    compress = if (gz) "gzip" else "none", showProgress = FALSE
  )
}

append_lines <- function(cells, file, gz, append) {
  con <- if (gz) gzfile(file, if (append) "ab" else "wb") else file(file, if (append) "ab" else "wb")
  on.exit(close(con))
  writeLines(do.call(paste, c(unname(as.list(cells)), sep = "\t")), con, sep = "\n", useBytes = TRUE)
}

# What a disk says: it is full, it is gone.
name_file_errors <- function(expr) {
  tryCatch(expr, error = function(cnd) {
    abort_input("Writing failed: {conditionMessage(cnd)}", class = "covmash_error_file")
  })
}
