# Data sets in Parquet, in files of a size that is read at once.

#' Write a data set that is read in segments
#'
#' Writes estimates and standard errors to a folder of Parquet files, which [mash_source()] opens again.
#'
#' @param x A source, such as one of text; or what [as_mash_data()] takes: a data object, a matrix of z-scores, a list
#'   with `Bhat` and `Shat`, a result of [read_sumstats()].
#' @param dir The folder to write to. It is made if it does not exist, within one that does.
#' @param rows_per_file Rows of a file.
#' @param format `"double"` (default): all digits. `"float"`: half the size, 7 digits; results are then those of the
#'   rounded numbers.
#' @param id Names of the effects, if `x` is no source; its row names if `NULL`.
#' @param overwrite Replace the files of a source that is there?
#' @return The source, as [mash_source()] opens it, with the `V`, `alpha` and settings of `x`.
#' @details The files `part-00001.parquet` and so on have the columns `id` (if effects have names), `bhat_<condition>`
#' and, unless
#'   all standard errors are 1, `shat_<condition>`, on the scale of the estimates whatever `alpha` is; missing values
#'   are null. All files are written under other names and get their own when the last is complete, so that there is
#'   never half a source. A source is read and written piece by piece. Needs the package nanoparquet, or arrow.
#' @section Errors: `covmash_error_file` if the folder cannot be made or holds other tables, or a source without
#'   `overwrite`, or the one that `x` is read from; `covmash_error_package` without nanoparquet and arrow;
#'   `covmash_error_magnitude` for numbers beyond the range of `"float"`; those of [mash_source()] and
#'   [mash_set_data()].
#' @seealso [mash_source()]
#' @concept large data
#' @export
#' @examplesIf requireNamespace("nanoparquet", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' folder <- tempfile("source")
#' src <- write_source(data, folder, rows_per_file = 50)
#' src
#' identical(as_mash_data(src)$Bhat, data$Bhat)
#' unlink(folder, recursive = TRUE)
write_source <- function(x, dir, rows_per_file = 131072, format = c("double", "float"), id = NULL, overwrite = FALSE) {
  refuse_missing(missing(x), "x", "a source, or data", "covmash_error_data")
  refuse_missing(missing(dir), "dir", "the folder to write to", "covmash_error_file")
  check_whole(rows_per_file, "rows_per_file", 1)
  format <- check_choice(format, c("double", "float"), "format")
  check_flag(overwrite, "overwrite")
  write_one <- source_writer(format)
  input <- if (is_source(x)) pieces_of_source(x, id) else pieces_of_data(x, id)
  dir <- source_folder(dir, overwrite, if (is_source(x)) as.character(x$files$path) else character())
  starts <- seq(1, input$n_effects, by = rows_per_file)
  files <- file.path(dir, sprintf("part-%05d.parquet", seq_along(starts)))
  old <- written_files(dir)
  made <- file.path(dir, paste0(".", basename(files), "-", Sys.getpid()))
  on.exit(unlink(made))
  begin_steps("Writing files", length(starts))
  for (i in seq_along(starts)) {
    next_step()
    cpp_listen()
    piece <- input$piece(starts[i], min(starts[i] + rows_per_file - 1, input$n_effects))
    write_one(source_table(piece), made[i])
  }
  if (!all(file.rename(made, files))) {
    abort_input("The files in '{dir}' could not be given their names.", class = "covmash_error_file")
  }
  unlink(setdiff(old, files))
  # What a process left that was killed.
  unlink(list.files(dir, "^[.]part-[0-9]+[.]parquet-[0-9]+$", full.names = TRUE, all.files = TRUE))
  settings <- input$settings
  mash_source(
    files, V = input$V, alpha = input$alpha, zero_check_tol = settings$zero_check_tol,
    zero_Bhat_Shat_reset = settings$zero_Bhat_Shat_reset, zero_Shat_reset = settings$zero_Shat_reset,
    segment_rows = input$segment_rows
  )
}

# ---- from what -----------------------------------------------------------------

# n_effects, piece(from, to): Bhat, Shat (NULL: all 1), id (NULL: none); and what the files do not say.
pieces_of_source <- function(src, id) {
  check_source(src)
  if (!is.null(id)) {
    abort_input("`id` is for data in memory; name its columns in mash_source().", class = "covmash_error_argument")
  }
  list(
    n_effects = src$n_effects, V = src$V, alpha = src$alpha, settings = src$settings, segment_rows = src$segment_rows,
    piece = function(from, to) {
      part <- in_source(read_effects(src, from, to))
      if (!src$has_shat) part["Shat"] <- list(NULL)
      part
    }
  )
}

pieces_of_data <- function(x, id) {
  if (is.character(x)) {
    abort_input(
      "`x` must be a source or data, not {describe(x)}; mash_source() and read_sumstats() read files.",
      class = "covmash_error_data"
    )
  }
  data <- as_mash_data(x)
  V <- common_V(data, "Writing a source")
  if (!is.null(data$L)) {
    abort_unsupported("Writing a source of contrasts", instead = "write the data that they were made of")
  }
  labels <- condition_labels(data$Bhat)
  if (anyDuplicated(labels) > 0L || anyNA(labels) || !all(nzchar(labels))) {
    abort_input(
      "`x` must have conditions with different names, for they are those of columns.", class = "covmash_error_names"
    )
  }
  id <- data_ids(id, data)
  ones <- data$alpha == 0 && all(data$Shat == 1, na.rm = TRUE)
  unscaled <- function(part, rows) {
    x <- data[[part]][rows, , drop = FALSE]
    if (data$alpha != 0) {
      by <- data$Shat_alpha[rows, , drop = FALSE]
      x <- x * by
      # The standard error of a missing estimate can be known, and gives the scale of its prediction.
      known <- if (part == "Shat") which(is.na(x) & !is.na(by))
      x[known] <- by[known]^(1 / data$alpha)
    }
    dimnames(x) <- list(NULL, labels)
    x
  }
  list(
    n_effects = nrow(data$Bhat), V = if (!is_identity(V)) V, alpha = data$alpha, segment_rows = 2^18,
    settings = list(zero_check_tol = .Machine$double.eps, zero_Bhat_Shat_reset = 0, zero_Shat_reset = 0),
    piece = function(from, to) {
      rows <- seq(from, to)
      list(Bhat = unscaled("Bhat", rows), Shat = if (!ones) unscaled("Shat", rows), id = id[rows])
    }
  )
}

is_identity <- function(V) identical(unname(V), diag(nrow(V)))

data_ids <- function(id, data) {
  if (is.null(id)) {
    return(rownames(data$Bhat))
  }
  if (!is.atomic(id) || !is.null(dim(id)) || length(id) != nrow(data$Bhat) || anyNA(id)) {
    abort_input(
      "`id` must name each of the {plural(nrow(data$Bhat), 'effect')}, without NA, not {describe(id)}.",
      class = "covmash_error_argument"
    )
  }
  as_labels_of(unname(id))
}

# ---- to where ------------------------------------------------------------------

written_files <- function(dir) list.files(dir, "^part-[0-9]+[.]parquet$", full.names = TRUE)

# read: files that are read while others are written.
source_folder <- function(dir, overwrite, read = character()) {
  if (!checkmate::test_string(dir, min.chars = 1L) || !is_plain(dir)) {
    abort_input("`dir` must be the path of a folder, not {describe(dir)}.", class = "covmash_error_file")
  }
  if (file.exists(dir) && !dir.exists(dir)) {
    abort_input("'{dir}' is a file; give the path of a folder as `dir`.", class = "covmash_error_file")
  }
  if (!dir.exists(dir) && !(dir.exists(dirname(dir)) && dir.create(dir, showWarnings = FALSE))) {
    abort_input("The folder '{dir}' does not exist and cannot be made.", class = "covmash_error_file")
  }
  if (file.access(dir, 2L) != 0L) {
    abort_input("The folder '{dir}' cannot be written to.", class = "covmash_error_file")
  }
  dir <- normalizePath(dir, winslash = "/")
  if (any(dirname(read) == dir)) {
    abort_input("`x` is read from '{dir}' itself; give another `dir`.", class = "covmash_error_file")
  }
  there <- list.files(dir, full.names = TRUE)
  there <- there[is_parquet(there) | grepl(table_ending, there, ignore.case = TRUE)]
  ours <- written_files(dir)
  if (length(ours) > 0L && !overwrite) {
    abort_input(
      "'{dir}' holds {plural(length(ours), 'file')} of a source; give another `dir`, or `overwrite = TRUE`.",
      class = "covmash_error_file"
    )
  }
  other <- setdiff(there, file.path(dir, basename(ours)))
  if (length(other) > 0L) {
    abort_input(
      "'{dir}' holds '{basename(other[1])}', which would be read with the source; give an empty folder.",
      class = "covmash_error_file"
    )
  }
  dir
}

# ---- how -----------------------------------------------------------------------

source_table <- function(piece) {
  column <- function(x, prefix) {
    stats::setNames(lapply(seq_len(ncol(x)), function(r) unname(x[, r])), paste0(prefix, colnames(x)))
  }
  plain_frame(c(
    if (!is.null(piece$id)) list(id = unname(piece$id)), column(piece$Bhat, "bhat_"),
    if (!is.null(piece$Shat)) column(piece$Shat, "shat_")
  ))
}

source_writer <- function(format, packages = c("nanoparquet", "arrow")) {
  write_one <- parquet_writer(packages)
  if (format == "double") {
    return(function(table, file) write_one(table, file, FALSE))
  }
  by_nanoparquet <- requireNamespace(packages[1], quietly = TRUE) && packages[1] == "nanoparquet"
  function(table, file) {
    numbers <- names(table)[vapply(table, is.double, NA)]
    for (name in numbers) check_float(table[[name]], name)
    name_file_errors({
      if (by_nanoparquet) {
        types <- stats::setNames(as.list(ifelse(names(table) %in% numbers, "FLOAT", "STRING")), names(table))
        nanoparquet::write_parquet(table, file, schema = do.call(nanoparquet::parquet_schema, types))
      } else {
        write_arrow_floats(table, file, numbers)
      }
      refuse_cut_parquet(file)
    })
  }
}

write_arrow_floats <- function(table, file, numbers) {
  arrow <- function(name) getExportedValue("arrow", name)
  types <- lapply(names(table), function(name) if (name %in% numbers) arrow("float32")() else arrow("utf8")())
  schema <- do.call(arrow("schema"), stats::setNames(types, names(table)))
  arrow("write_parquet")(arrow("arrow_table")(table, schema = schema), file)
}

# Beyond this a number would become infinite or 0.
check_float <- function(x, name) {
  size <- abs(x[is.finite(x) & x != 0])
  if (any(size > 3.4e38 | size < 1.2e-38)) {
    bad <- size[size > 3.4e38 | size < 1.2e-38][1]
    abort_input(
      "The column '{name}' holds {format(bad)}, which single precision cannot; use format = \"double\", or other ",
      "units.",
      class = "covmash_error_magnitude"
    )
  }
}
