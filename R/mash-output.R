# A posterior in files, as mash_posterior() writes it: opened, looked at, read in part. R/output-streams.R has the
# questions that go through all of it.

#' A posterior in files
#'
#' Opens a folder that [mash_posterior()] writes. It can be asked while the work goes on, for what is there, and, once
#' it is complete, what a fit in memory is asked: files are read one after the other, and only the answer takes memory.
#'
#' @param dir The folder.
#' @param verify Read every file and compare it with the md5 of its manifest? Otherwise only sizes are compared.
#' @param x,object A posterior opened by `mash_output()`, or some rows of it.
#' @param i Rows (effects): numbers, names or `TRUE`/`FALSE`; all if left out. Names are looked for in all files.
#' @param j Conditions, likewise.
#' @param drop Ignored: one row or one column stays a matrix.
#' @param rows Rows to put into the table, as `i`; all if `NULL`.
#' @param thresh Significant means an lfsr strictly below this.
#' @param row.names,optional Ignored; part of the generic.
#' @param digits,n Of printing: significant digits, and how many rows of a table.
#' @param ... Not used.
#' @return `mash_output()`: a list of class `"mash_output"` with the folder `dir`, the description that the folder has
#'   of itself (`n_effects`, `conditions`, `columns`, `format`, ...) and `pieces`, a data frame with a row for each
#'   file: `segment`, `piece`, rows `from` and `to`, `file`, `bytes`, `md5`, `id` (has it names of effects?) and
#'   `state`: `"complete"`, `"missing"` or `"damaged"`, as it was when the folder was opened.
#'
#'   `x[i]`, `x[i, j]`: these rows in memory, a list of class `"mash_rows"` with the matrices in `result`, from which
#'   [get_pm()] and the others take them; `x[]` are all. `tidy()`, `as.data.frame()`: a long table of these rows, with
#'   the columns of [tidy()][mash_tidiers] as far as they were written, and `NegativeProb`. Effects without names go by
#'   their numbers in the whole.
#'
#'   `summary()`: a list of class `"summary.mash_output"`: `n_effects`; `n_significant`, how many are in at least one
#'   condition; `conditions`, a data frame with the number of estimates `observed` and `significant` in each; and
#'   `in_conditions`, the number of effects that are significant in 0, 1, 2, ... conditions. `dim()`: effects and
#'   conditions. `dimnames()`: no names of effects, which may be too many, and those of conditions. `format()`: one
#'   line.
#'   `print()`: `x`, invisibly.
#' @section Questions that go through the files:
#'   [get_significant_results()], [get_n_significant_conditions()], [count_significant()], [get_pairwise_sharing()] and
#'   [summarise_effects()] take a `mash_output` for a fit, and give the same numbers as for the same results in
#'   memory. [get_pm()] and the others take `rows`; [write_mash()] writes chosen `effects`. Whatever else is asked of
#'   results takes rows in memory, `x[rows]`.
#' @section Errors: `covmash_error_output` for a folder that is no posterior, is not complete where it must be, or was
#'   damaged; `covmash_error_index`; `covmash_error_package` without nanoparquet or arrow.
#' @seealso [mash_posterior()]
#' @export
#' @examplesIf requireNamespace("nanoparquet", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' src <- write_source(data, tempfile("study"))
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' folder <- tempfile("posterior")
#' mash_posterior(src, fit, folder, n_threads = 1)
#' out <- mash_output(folder)
#' summary(out)
#' rows <- get_significant_results(out)
#' head(as.data.frame(out, rows = rows[1:2]))
#' round(get_pairwise_sharing(out), 2)
mash_output <- function(dir, verify = FALSE) {
  refuse_missing(missing(dir), "dir", "the folder that mash_posterior() wrote")
  check_flag(verify, "verify")
  if (!is_plain(dir) || !checkmate::test_string(dir, min.chars = 1L)) {
    abort_input("`dir` must be the path of a folder, not {describe(dir)}.", class = "covmash_error_argument")
  }
  if (!file.exists(file.path(dir, "output.dcf"))) {
    problem <- if (dir.exists(dir)) "holds no posterior of mash_posterior()" else "does not exist"
    abort_input("The folder `dir`, '{dir}', {problem}.", class = "covmash_error_output")
  }
  dir <- normalizePath(dir, "/")
  description <- read_description(dir)
  pieces <- piece_states(dir, description, output_pieces(description))
  if (verify) {
    complete <- which(pieces$state == "complete")
    same <- vapply(complete, function(k) cli::hash_file_md5(file.path(dir, pieces$file[k])) == pieces$md5[k], NA)
    pieces$state[complete[!same]] <- "damaged"
  }
  parts <- c(
    "n_effects", "conditions", "n_conditions", "columns", "format", "n_segments", "segment_rows", "n_parts", "covmash",
    "instructions", "fit", "source"
  )
  structure(c(list(dir = dir), description[parts], list(pieces = pieces)), class = "mash_output")
}

# ---- methods -------------------------------------------------------------------

#' @rdname mash_output
#' @export
dim.mash_output <- function(x) {
  check_output(x)
  c(as_index(x$n_effects), as_index(x$n_conditions))
}

#' @rdname mash_output
#' @export
dimnames.mash_output <- function(x) {
  check_output(x)
  if (!is.null(x$conditions)) list(NULL, x$conditions)
}

#' @rdname mash_output
#' @export
format.mash_output <- function(x, ...) {
  check_output(x)
  left <- sum(x$pieces$state != "complete")
  to_do <- paste0("NOT complete: ", format_count(left), " of ", plural(nrow(x$pieces), "piece"), " to do")
  paste0(
    "<mash_output> ", plural(x$n_effects, "effect"), " x ", plural(x$n_conditions, "condition"), ", ",
    if (left == 0) "complete" else to_do
  )
}

#' @rdname mash_output
#' @export
print.mash_output <- function(x, ...) {
  text_lines(format(x))
  status_line("folder:", x$dir)
  status_line("columns:", paste(x$columns, collapse = ", "), " (", x$format, ")")
  there <- x$pieces$state == "complete"
  status_line(
    "pieces:", format_count(sum(there)), " of ", format_count(length(there)), ", ",
    format_bytes(sum(x$pieces$bytes[there]))
  )
  if (!all(there)) status_line("to do:", missing_text(x))
  invisible(x)
}

#' @rdname mash_output
#' @export
summary.mash_output <- function(object, thresh = 0.05, ...) {
  check_output(object, "object")
  check_number(thresh, "thresh", 0, 1, what = "a number from 0 to 1")
  part <- intersect("lfsr", object$columns)
  labels <- if (is.null(object$conditions)) as.character(seq_len(object$n_conditions)) else object$conditions
  counts <- over_pieces(object, "Summary", part, ask = function(piece, k) {
    # Missing estimates do not count; without lfsr nothing is significant that could.
    sig <- if (length(part) > 0L) significance(piece, thresh, NULL, get_lfsr, FALSE)
    hidden <- unobserved(piece)
    list(
      observed = if (is.null(hidden)) rep(piece$dim[1], piece$dim[2]) else piece$dim[1] - colSums(hidden),
      significant = if (!is.null(sig)) count_in_columns(sig, thresh),
      in_conditions = if (!is.null(sig)) tabulate(count_in_rows(sig, thresh) + 1L, piece$dim[2] + 1L)
    )
  })
  total <- function(name) Reduce(function(a, b) a + as.double(b), lapply(counts, `[[`, name), 0)
  conditions <- data.frame(condition = labels, observed = as_index(total("observed")))
  in_conditions <- NULL
  if (length(part) > 0L) {
    conditions$significant <- as_index(total("significant"))
    in_conditions <- stats::setNames(as_index(total("in_conditions")), c(0, seq_along(labels)))
  }
  structure(
    list(
      output = format(object), n_effects = as_index(object$n_effects), thresh = thresh,
      n_significant = if (!is.null(in_conditions)) as_index(sum(as.double(in_conditions[-1L]))),
      conditions = conditions, in_conditions = in_conditions
    ),
    class = "summary.mash_output"
  )
}

#' @rdname mash_output
#' @export
print.summary.mash_output <- function(x, n = 20, digits = 3, ...) {
  check_printing(digits, n)
  if (!is.list(x) || !is.data.frame(x$conditions) || !is.character(x$output)) {
    abort_input("`x` is damaged; it must come from summary() of mash_output().", class = "covmash_error_output")
  }
  text_lines(x$output)
  if (!is.null(x$in_conditions)) {
    text_lines(
      "lfsr < ", format(x$thresh), ": ", plural(x$n_significant, "effect"), " in at least one condition, ",
      format_count(unname(x$in_conditions[length(x$in_conditions)])), " in all"
    )
  }
  cat("
")
  print_table(x$conditions, n, digits)
  invisible(x)
}

format_bytes <- function(bytes) {
  power <- if (bytes < 1000) 0 else min(floor(log10(bytes) / 3), 4)
  paste(format(signif(bytes / 1000^power, 3)), c("bytes", "kB", "MB", "GB", "TB")[power + 1])
}

# Which segments lack pieces, and which jobs of an array were to do them.
missing_text <- function(x) {
  state <- x$pieces$state
  segments <- unique(x$pieces$segment[state != "complete"])
  parts <- if (x$n_parts > 1) {
    ends <- floor(x$n_segments * seq_len(x$n_parts) / x$n_parts)
    late <- unique(findInterval(segments, ends, left.open = TRUE) + 1L)
    paste0(if (length(late) == 1L) "part " else "parts ", runs_text(late), " of ", format_count(x$n_parts), ": ")
  }
  damaged <- sum(state == "damaged")
  paste0(
    parts, if (length(segments) == 1L) "segment " else "segments ", runs_text(segments),
    if (damaged > 0) paste0(" (", plural(damaged, "damaged piece"), ")")
  )
}

# "1-3, 7, 9-12, ..."
runs_text <- function(x, n = 8L) {
  starts <- which(c(TRUE, diff(x) != 1))
  ends <- c(starts[-1] - 1L, length(x))
  text <- ifelse(starts == ends, format_all(x[starts]), paste0(format_all(x[starts]), "-", format_all(x[ends])))
  paste0(paste(first_few(text, n), collapse = ", "), if (length(text) > n) ", ...")
}

format_all <- function(x) vapply(x, format_count, "")

check_output <- function(x, name = "x") {
  numbers <- c("n_effects", "n_conditions", "n_segments", "n_parts")
  whole <- is.list(x) && checkmate::test_string(x$dir) && is.data.frame(x$pieces) && is.character(x$columns) &&
    all(vapply(numbers, function(part) checkmate::test_number(x[[part]], lower = 1, finite = TRUE), NA)) &&
    all(c("segment", "from", "to", "file", "bytes", "id", "state") %in% names(x$pieces)) && nrow(x$pieces) > 0L &&
    is.numeric(x$pieces$from) && is.numeric(x$pieces$to) && is.character(x$pieces$file)
  if (!whole || !is.null(x$conditions) && length(x$conditions) != x$n_conditions) {
    abort_input("`{name}` is damaged; open the folder again with mash_output().", class = "covmash_error_output")
  }
  invisible(x)
}

# ---- reading -------------------------------------------------------------------

#' @rdname mash_output
#' @export
`[.mash_output` <- function(x, i, j, ..., drop = FALSE) {
  check_output(x)
  take_rows(x, if (!missing(i)) i, if (!missing(j)) j)
}

# Rows of an output as a list like a fit. rows, conditions: as the user gave them, NULL for all. parts: quantities.
take_rows <- function(x, rows = NULL, conditions = NULL, parts = x$columns, name = "i") {
  columns <- if (is.null(conditions)) seq_len(x$n_conditions) else {
    resolve_index(conditions, x$n_conditions, x$conditions, "j", "condition")
  }
  rows <- if (is.null(rows)) seq_len(x$n_effects) else output_rows(x, rows, name)
  if (length(rows) == 0L || length(columns) == 0L) {
    abort_input("The selection is empty; choose at least one row and one condition.", class = "covmash_error_index")
  }
  at <- findInterval(rows, x$pieces$from)
  result <- lapply(stats::setNames(parts, parts), function(part) matrix(0, length(rows), length(columns)))
  observed <- matrix(TRUE, length(rows), length(columns))
  id <- NULL
  pieces <- unique(at)
  refuse_unfinished(x, pieces)
  begin_steps("Reading, pieces", length(pieces))
  for (k in pieces) {
    next_step()
    piece <- read_piece(x, k, parts, columns, ids = TRUE)
    here <- which(at == k)
    from <- rows[here] - x$pieces$from[k] + 1
    for (part in parts) result[[part]][here, ] <- piece$result[[part]][from, ]
    observed[here, ] <- piece$observed[from, ]
    if (!is.null(piece$id)) {
      if (is.null(id)) id <- character(length(rows))
      id[here] <- piece$id[from]
    }
  }
  new_rows(result, observed, id, x$conditions[columns], rows)
}

# Positions; names are looked for in the files, the first of each.
output_rows <- function(x, rows, name) {
  if (!is.character(rows)) {
    return(resolve_index(rows, x$n_effects, NULL, name, "row"))
  }
  at <- rep(NA_real_, length(rows))
  if (any(x$pieces$id %in% TRUE)) {
    refuse_unfinished(x)
    for (k in seq_len(nrow(x$pieces))) {
      here <- match(rows, piece_ids(x, k))
      new <- is.na(at) & !is.na(here)
      at[new] <- here[new] + x$pieces$from[k] - 1
      if (!anyNA(at)) break
    }
  }
  if (anyNA(at)) {
    nameless <- if (!any(x$pieces$id %in% TRUE)) " (the rows have no names)"
    abort_input(
      "`{name}` names {quote_some(unique(rows[is.na(at)]))}, but there is no row of that name{nameless}.",
      class = "covmash_error_index"
    )
  }
  as_index(at)
}

# A list that the functions which take results know: matrices in `result`, and which of their entries were not observed.
new_rows <- function(result, observed, id, conditions, rows) {
  labels <- if (!is.null(id) || !is.null(conditions)) list(id, conditions)
  result <- lapply(result, function(part) {
    dimnames(part) <- labels
    part
  })
  missing <- which(!observed)
  structure(
    list(
      result = result, missing = if (length(missing) > 0L) missing, dim = dim(observed), dimnames = labels,
      rows = rows
    ),
    class = "mash_rows"
  )
}

# The matrices of one piece, without names: result, observed, and id if it is asked for and there.
read_piece <- function(x, k, parts, columns = seq_len(x$n_conditions), ids = FALSE) {
  labels <- if (is.null(x$conditions)) seq_len(x$n_conditions) else x$conditions
  labels <- labels[columns]
  prefixes <- c(output_quantities[parts], "observed")
  ids <- ids && x$pieces$id[k] %in% TRUE
  wanted <- paste0(rep(prefixes, each = length(labels)), "_", labels)
  table <- piece_columns(x, k, unique(c(if (ids) "id", wanted)))
  matrices <- lapply(prefixes, function(prefix) {
    matrix(unlist(table[paste0(prefix, "_", labels)], use.names = FALSE), nrow(table), length(labels))
  })
  n <- length(parts)
  list(
    result = stats::setNames(matrices[seq_len(n)], parts), observed = matrices[[n + 1L]], id = if (ids) table[["id"]]
  )
}

piece_ids <- function(x, k) if (x$pieces$id[k] %in% TRUE) piece_columns(x, k, "id")[["id"]]

# Columns of the file of a piece, which has to be what the manifest says.
piece_columns <- function(x, k, columns) {
  file <- file.path(x$dir, x$pieces$file[k])
  read <- piece_reader()
  table <- tryCatch(read(file, columns), error = function(cnd) {
    abort_input(
      "The piece '{file}' cannot be read ({conditionMessage(cnd)}); delete it and call mash_posterior() again.",
      class = "covmash_error_output"
    )
  })
  if (nrow(table) != x$pieces$to[k] - x$pieces$from[k] + 1 || !all(columns %in% names(table))) {
    abort_input(
      "The piece '{file}' has other rows or columns than its manifest says; delete it and call mash_posterior() again.",
      class = "covmash_error_output"
    )
  }
  table
}

piece_reader <- function() {
  if (requireNamespace("nanoparquet", quietly = TRUE)) {
    return(function(file, columns) nanoparquet::read_parquet(file, col_select = columns))
  }
  if (has_arrow()) {
    read_parquet <- getExportedValue("arrow", "read_parquet")
    return(function(file, columns) as.data.frame(read_parquet(file, col_select = columns)))
  }
  abort_input(
    "Parquet needs the package nanoparquet; install it with install.packages(\"nanoparquet\").",
    class = "covmash_error_package"
  )
}

# Of these pieces, or of all.
refuse_unfinished <- function(x, pieces = seq_len(nrow(x$pieces))) {
  if (!all(x$pieces$state[pieces] == "complete")) {
    abort_input(
      "The posterior in '{x$dir}' is not complete, {missing_text(x)}; call mash_posterior() again, then mash_output().",
      class = "covmash_error_output"
    )
  }
}

# The quantity must have been written.
refuse_unwritten <- function(x, parts, name = "m") {
  lacking <- setdiff(parts, x$columns)
  if (length(lacking) > 0L) {
    abort_input(
      "`{name}` has no '{lacking[1]}', for it was written with other `columns`; write it anew with mash_posterior().",
      class = "covmash_error_output"
    )
  }
}

# ---- rows in memory ------------------------------------------------------------

#' @rdname mash_output
#' @export
as.data.frame.mash_output <- function(x, row.names = NULL, optional = FALSE, rows = NULL, ...) {
  check_output(x)
  as.data.frame(take_rows(x, rows, name = "rows"))
}

#' @rdname mash_output
#' @export
tidy.mash_output <- function(x, rows = NULL, ...) as.data.frame(x, rows = rows)

#' @rdname mash_output
#' @export
as.data.frame.mash_rows <- function(x, row.names = NULL, optional = FALSE, ...) {
  check_rows(x)
  names(x$result) <- c(
    PosteriorMean = "estimate", PosteriorSD = "std.error", lfsr = "lfsr", lfdr = "lfdr", NegativeProb = "NegativeProb"
  )[names(x$result)]
  hidden <- unobserved(x)
  table <- long_table(x$result, if (!is.null(hidden)) !hidden)
  if (is.null(x$dimnames[[1]])) table$effect <- rep(x$rows, times = x$dim[2])
  table
}

#' @rdname mash_output
#' @export
tidy.mash_rows <- as.data.frame.mash_rows

#' @rdname mash_output
#' @export
dim.mash_rows <- function(x) check_rows(x)$dim

#' @rdname mash_output
#' @export
format.mash_rows <- function(x, ...) {
  check_rows(x)
  paste0(
    "<mash_rows> ", plural(x$dim[1], "effect"), " x ", plural(x$dim[2], "condition"), ": ",
    paste(names(x$result), collapse = ", ")
  )
}

#' @rdname mash_output
#' @export
print.mash_rows <- function(x, n = 6, digits = 3, ...) {
  check_printing(digits, n)
  text_lines(format(x))
  print_table(as.data.frame(x), n, digits)
  invisible(x)
}

check_rows <- function(x, name = "x") {
  fits <- is.list(x) && is.list(x$result) && length(x$result) > 0L && is.numeric(x$dim) && length(x$dim) == 2L &&
    all(vapply(x$result, function(part) is.matrix(part) && is.numeric(part) && identical(dim(part), x$dim), NA)) &&
    all(names(x$result) %in% names(output_quantities)) && length(x$rows) == x$dim[1]
  if (!fits) abort_input("`{name}` is damaged; take the rows again.", class = "covmash_error_output")
  invisible(x)
}
