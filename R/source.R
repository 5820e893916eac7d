# Data sets in files: what they are, and their segments, of which everything that is computed from them is put together.

#' A data set in files
#'
#' Estimates and standard errors of more effects than memory holds, in files or behind a function. Nothing is read but
#' what is needed to know how many effects and which conditions there are; the rows are read in segments when they are
#' needed.
#'
#' @param x One of
#'   * a folder: its files that end in `.parquet`, or else in `.csv`, `.tsv`, `.txt` (or `.gz`, `.bgz` of these), in the
#'     order of their names;
#'   * a pattern of paths, such as `"chr*/results.parquet"`, likewise;
#'   * a vector of paths, in its order;
#'   * `function(i)` that gives the `i`-th of `n` parts as `list(Bhat =, Shat =, id =)`: matrices with effects in rows,
#'     and the names of the effects; `Shat` and `id` may be left out. It has to give the same whenever it is called, in
#'     any process to which it is sent with what it refers to.
#' @param Bhat Which columns hold the estimates: their names (with names, these are the conditions); or how their names
#'   begin, e.g. `"beta_"`, the rest being the condition; or a function that takes the names of all columns and gives
#'   those, or `TRUE` and `FALSE`. `NULL`: columns `bhat_<condition>`, as [write_source()] makes them, then with
#'   `shat_<condition>` and `id`, if there are any.
#' @param Shat Likewise the standard errors: matched by condition, or by position if names do not tell it.
#'   `NULL`: the estimates are z-scores, with standard error 1.
#' @param id Names of columns that identify an effect; several are joined by `_`. `NULL`: effects have numbers only.
#' @param V R x R correlation matrix of the errors of one effect, as for [mash_set_data()]; `NULL` is the identity.
#' @param alpha,zero_check_tol,zero_Bhat_Shat_reset,zero_Shat_reset As for [mash_set_data()].
#' @param n For a function: the number of parts.
#' @param n_effects For a function: the number of effects of each part; or of all of them, where all parts but the last
#'   have as many as the first. `NULL`: every part is made once, to count them.
#' @param conditions Names of the conditions in the order of the columns, in place of those of the columns.
#' @param segment_rows Rows of a segment. A segment is held in memory, and all sums are made of those of segments, so
#'   that other segments change the last bits of results.
#' @return `mash_source()`: an object of class `"mash_source"`, which holds paths, not data, and can be saved or sent to
#'   other processes that see the same files. `dim()`: effects and conditions. `dimnames()`: conditions. `x[rows]`,
#'   `x[rows, conditions]` and `as_mash_data(x)`: a data object of some or all rows, as of [mash_set_data()].
#'   `format()`: one line of text. `print()`: `x`, invisibly.
#' @details
#' *Parquet* is read by the package nanoparquet (or arrow), numbers of single precision as double. *Text* needs no
#' package, but data.table to be read in reasonable time; rows are counted at once, and a compressed file that segments
#' cut is held in memory as a whole. [write_source()] turns text, and Parquet in one large file, into files that are
#' read much faster.
#'
#' All files need the columns that are used; others are not looked at. Missing values (null, and in text what
#' [read_sumstats()] takes for it) are missing estimates, and `NaN` in Parquet is an error, as in [mash_set_data()].
#' Values are checked when they are read.
#'
#' Where a function wants all data in memory, but a sample is as good ([select_training_effects()],
#' [estimate_null_correlation_simple()], [cov_canonical()], [cov_pca()], [cov_flash()], [cov_udi()], [cov_ed()],
#' [cov_ted()]), a source stands for a sample of about 131072 effects, spread evenly and the same each time; a message
#' of class `covmash_message_sample` says so.
#' @section Errors: `covmash_error_source`, for whatever is wrong with the source or found in it when it is read; it
#'   names the file and the row. Also `covmash_error_file` for files that are not there, cannot be read or have changed
#'   since; `covmash_error_columns` for columns that are missing, differ between files or hold no numbers;
#'   `covmash_error_names` for a condition that occurs twice; `covmash_error_package` for Parquet without a package that
#'   reads it; and those of [mash_set_data()].
#' @seealso [write_source()], [read_sumstats()] with `to`, [mash_set_data()]
#' @concept large data
#' @concept summary statistics
#' @export
#' @examples
#' # text, one file for each of two chromosomes
#' folder <- tempfile("study")
#' dir.create(folder)
#' set.seed(1)
#' for (chromosome in 1:2) {
#'   results <- data.frame(
#'     snp = paste0("rs", chromosome, 1:5),
#'     b_liver = rnorm(5), b_lung = rnorm(5), s_liver = 0.5, s_lung = 1
#'   )
#'   file <- file.path(folder, paste0("chr", chromosome, ".csv"))
#'   write.csv(results, file, row.names = FALSE)
#' }
#' src <- mash_source(folder, Bhat = "b_", Shat = "s_", id = "snp")
#' src
#' src[c(7, 2)]
#'
#' # parts of something else, such as an array in HDF5
#' z <- matrix(rnorm(30), 10, 3)
#' part <- function(i) list(Bhat = z[(5 * i - 4):(5 * i), ])
#' dim(mash_source(part, n = 2, n_effects = 10))
#' unlink(folder, recursive = TRUE)
mash_source <- function(x, Bhat = NULL, Shat = NULL, id = NULL, V = NULL, alpha = 0,
                        zero_check_tol = .Machine$double.eps, zero_Bhat_Shat_reset = 0, zero_Shat_reset = 0,
                        n = NULL, n_effects = NULL, conditions = NULL, segment_rows = 2^18) {
  refuse_missing(missing(x), "x", "a folder, paths of files, or a function", "covmash_error_source")
  check_number(alpha, "alpha", what = "one finite number")
  settings <- list(
    zero_check_tol = zero_check_tol, zero_Bhat_Shat_reset = zero_Bhat_Shat_reset, zero_Shat_reset = zero_Shat_reset
  )
  for (name in names(settings)) {
    check_number(settings[[name]], name, 0, what = "a number of at least 0")
  }
  check_whole(segment_rows, "segment_rows", 1)
  unused <- if (is.function(x)) list(Bhat = Bhat, Shat = Shat, id = id) else list(n = n, n_effects = n_effects)
  used <- names(unused)[!vapply(unused, is.null, NA)]
  if (length(used) > 0L) {
    kind <- if (is.function(x)) "files, not for a function" else "a function, not for files"
    abort_source("`{used[1]}` is for {kind}; leave it out.", class = "covmash_error_argument")
  }
  parts <- in_source(if (is.function(x)) parts_of_function(x, n, n_effects) else parts_of_files(x, Bhat, Shat, id))
  if (sum(parts$rows) == 0) {
    abort_source("`x` has no rows.", class = "covmash_error_file")
  }
  parts$conditions <- source_conditions(conditions, parts$conditions)
  V <- if (!is.null(V)) source_V(V, parts$conditions)
  src <- structure(
    c(parts, list(
      ends = cumsum(parts$rows), n_effects = sum(parts$rows), V = V, alpha = alpha, settings = settings,
      segment_rows = as.double(segment_rows)
    )),
    class = "mash_source"
  )
  tell_slow(src)
  src
}

parts_of_files <- function(x, Bhat, Shat, id) {
  paths <- data_files(x)
  marks <- file_marks(paths)
  labels <- file_labels(paths)
  first <- look_into(paths[1], labels[1])
  columns <- source_columns(first, Bhat, Shat, id)
  specs <- Filter(Negate(is.null), list(Bhat = Bhat, Shat = Shat))
  if (is.null(Bhat)) specs <- list(Bhat = "bhat_", Shat = if (!is.null(columns$Shat)) "shat_")
  rows <- double(length(paths))
  marks$lines <- logical(length(paths))
  begin_steps("Looking into files", length(paths))
  for (k in seq_along(paths)) {
    next_step()
    cpp_listen()
    table <- if (k == 1L) first else look_into(paths[k], labels[k])
    check_columns_of(table, columns, specs, labels[1])
    rows[k] <- table$rows
    marks$lines[k] <- isTRUE(table$lines)
  }
  list(
    kind = "files", files = marks, rows = rows, columns = columns[c("Bhat", "Shat", "id")],
    has_shat = !is.null(columns$Shat), has_id = !is.null(columns$id), conditions = columns$conditions
  )
}

source_conditions <- function(given, found) {
  if (is.null(given)) {
    return(found)
  }
  if (!is.character(given) || !is_plain(given) || length(given) != length(found) || anyNA(given) ||
        !all(nzchar(given)) || anyDuplicated(given) > 0L) {
    abort_source(
      "`conditions` must hold {plural(length(found), 'name')}, one for each column of estimates and no two the same, ",
      "not {describe(given)}.",
      class = "covmash_error_names"
    )
  }
  unname(given)
}

source_V <- function(V, conditions) {
  check_noise_correlation(V, length(conditions), conditions)
}

# Once, where it is made.
tell_slow <- function(src) {
  if (src$kind != "files") {
    return(invisible(NULL))
  }
  text <- sum(!is_parquet(src$files$path))
  long <- which(is_parquet(src$files$path) & src$rows > 4 * src$segment_rows)
  if (text > 0L) {
    inform_covmash(
      "{plural(text, 'file')} of text will be read again in every pass over the data; write_source() makes Parquet of ",
      "it, which is read much faster.",
      class = "covmash_message_source"
    )
  } else if (length(long) > 0L) {
    inform_covmash(
      "{file_labels(src$files$path)[long[1]]} has {plural(src$rows[long[1]], 'row')} and is read for every segment of ",
      "it; write_source() makes smaller files, which are read once.",
      class = "covmash_message_source"
    )
  }
}

# ---- functions -----------------------------------------------------------------

parts_of_function <- function(make, n, n_effects) {
  if (is.null(n)) {
    abort_source("`n` is missing; give the number of parts that `x` makes.", class = "covmash_error_argument")
  }
  check_whole(n, "n", 1)
  first <- made_part(make, 1)
  R <- ncol(first$Bhat)
  labels <- colnames(first$Bhat)
  again <- anyDuplicated(labels)
  if (again > 0L) {
    abort_source("Part 1 of `x` has two columns of the condition '{labels[again]}'.", class = "covmash_error_names")
  }
  parts <- list(
    kind = "function", make = make, labels = labels, has_shat = !is.null(first$Shat), has_id = !is.null(first$id),
    conditions = if (is.null(labels)) as.character(seq_len(R)) else labels
  )
  parts$rows <- if (is.null(n_effects)) {
    c(nrow(first$Bhat), vapply(seq_len(n)[-1], function(i) {
      cpp_listen()
      nrow(check_part(made_part(make, i), i, parts)$Bhat)
    }, 0))
  } else {
    rows_of_parts(n_effects, n, nrow(first$Bhat))
  }
  parts$rows <- as.double(parts$rows)
  parts
}

rows_of_parts <- function(n_effects, n, first) {
  ok <- is.numeric(n_effects) && is_plain(n_effects) && length(n_effects) %in% c(1, n) && all(is.finite(n_effects)) &&
    all(n_effects == round(n_effects)) && all(n_effects >= 1)
  if (!ok) {
    abort_source(
      "`n_effects` must be the number of effects of each of the {plural(n, 'part')}, or of all, not ",
      "{describe(n_effects)}.",
      class = "covmash_error_argument"
    )
  }
  rows <- if (length(n_effects) == 1L && n > 1) c(rep(first, n - 1), n_effects - first * (n - 1)) else n_effects
  if (rows[1] != first || rows[n] < 1) {
    abort_source(
      "Part 1 of `x` has {plural(first, 'effect')}, which does not agree with `n` = {format_count(n)} and ",
      "`n_effects` = {format_count(n_effects[1])}; give the number of each part.",
      class = "covmash_error_dimensions"
    )
  }
  rows
}

# What the user's function makes, as matrices.
made_part <- function(make, i) {
  part <- tryCatch(make(i), error = function(cnd) {
    abort_source("`x`({format_count(i)}) stopped: {conditionMessage(cnd)}", class = "covmash_error_argument")
  })
  if (!is.list(part) || is.data.frame(part) || is.null(part[["Bhat"]])) {
    abort_source(
      "`x`({format_count(i)}) must give list(Bhat =, Shat =, id =), not {describe(part)}.", class = "covmash_error_type"
    )
  }
  label <- paste0("of `x`(", format_count(i), ")")
  Bhat <- data_matrix(part[["Bhat"]], paste("`Bhat`", label))
  Shat <- part[["Shat"]]
  if (!is.null(Shat)) {
    Shat <- if (checkmate::test_number(Shat)) {
      array(as.double(Shat), dim(Bhat))
    } else {
      data_matrix(Shat, paste("`Shat`", label))
    }
    if (!identical(dim(Shat), dim(Bhat))) {
      abort_source(
        "`Bhat` {label} is {nrow(Bhat)} x {ncol(Bhat)}, but `Shat` is {nrow(Shat)} x {ncol(Shat)}.",
        class = "covmash_error_dimensions"
      )
    }
    check_same_names(colnames(Bhat), colnames(Shat), paste("Shat", label), "column")
  }
  id <- part[["id"]]
  if (!is.null(id) && (!is.atomic(id) || length(id) != nrow(Bhat))) {
    abort_source(
      "`id` {label} must name each of its {plural(nrow(Bhat), 'effect')}, not {describe(id)}.",
      class = "covmash_error_names"
    )
  }
  list(Bhat = Bhat, Shat = Shat, id = if (!is.null(id)) as_labels_of(unname(id)))
}

# That a part is like the first, and as long as it was said to be. parts: the source, or what is known of it yet.
check_part <- function(part, i, parts, rows = nrow(part$Bhat)) {
  who <- paste0("`x`(", format_count(i), ")")
  R <- length(parts$conditions)
  if (ncol(part$Bhat) != R || nrow(part$Bhat) != rows) {
    abort_source(
      "`Bhat` of {who} is {nrow(part$Bhat)} x {ncol(part$Bhat)}, but was to be {format_count(rows)} x {R}.",
      class = "covmash_error_dimensions"
    )
  }
  labels <- colnames(part$Bhat)
  if (!identical(labels, parts$labels)) {
    at <- if (!is.null(labels) && !is.null(parts$labels)) which(labels != parts$labels)[1]
    what <- if (is.null(at)) {
      "has no names of conditions, or the first part has none"
    } else {
      paste0("has the condition '", labels[at], "' where the first part has '", parts$labels[at], "'")
    }
    abort_source("{who} {what}; all parts need the same conditions in the same order.", class = "covmash_error_names")
  }
  there <- c(Shat = !is.null(part$Shat), id = !is.null(part$id))
  differs <- there != c(parts$has_shat, parts$has_id)
  if (any(differs)) {
    name <- names(there)[differs][1]
    abort_source(
      "{who} has {if (there[[name]]) '' else 'no '}`{name}`, unlike the first part; give it in all parts or in none.",
      class = "covmash_error_dimensions"
    )
  }
  part
}

# Rows `first` to `last` of part k.
part_reader <- function(src, k, first, last) {
  whole <- first == 1 && last == src$rows[k]
  part <- keep_or(list(src$make, k), !whole, function() check_part(made_part(src$make, k), k, src, src$rows[k]))
  rows <- seq(first, last)
  list(
    Bhat = function(r) if (whole) part$Bhat[, r] else part$Bhat[rows, r],
    Shat = function(r) if (whole) part$Shat[, r] else part$Shat[rows, r],
    id = function() if (whole) part$id else part$id[rows]
  )
}

columns_reader <- function(src, k, first, last) {
  column <- file_reader(src, k, first, last)
  list(
    Bhat = function(r) column(src$columns$Bhat[r], FALSE), Shat = function(r) column(src$columns$Shat[r], FALSE),
    id = function() do.call(paste, c(lapply(src$columns$id, column, is_text = TRUE), sep = "_"))
  )
}

# ---- rows ----------------------------------------------------------------------

# Effects `from` to `to` of all, or those of them at the positions `rows`: a list of `Bhat` and `Shat`, matrices with
# names of columns (and of rows, if `named`), and `id`.
read_effects <- function(src, from, to, rows = NULL, named = FALSE) {
  n <- if (is.null(rows)) to - from + 1 else length(rows)
  R <- length(src$conditions)
  Bhat <- blank_matrix(n, src$conditions)
  Shat <- if (src$has_shat) blank_matrix(n, src$conditions) else array(1, dim(Bhat), dimnames(Bhat))
  id <- if (src$has_id) character(n)
  # Parts without rows have none of these.
  for (k in seq(findInterval(from - 1, src$ends), findInterval(to - 1, src$ends)) + 1) {
    if (src$rows[k] == 0) next
    cpp_listen()
    before <- src$ends[k] - src$rows[k]
    first <- max(from - before, 1)
    last <- min(to - before, src$rows[k])
    if (is.null(rows)) {
      at <- seq(first + before - from + 1, last + before - from + 1)
      taken <- NULL
    } else {
      wanted <- rows + from - 1 - before
      at <- which(wanted >= first & wanted <= last)
      if (length(at) == 0L) next
      first <- min(wanted[at])
      last <- max(wanted[at])
      taken <- wanted[at] - first + 1
    }
    reader <- if (src$kind == "files") columns_reader(src, k, first, last) else part_reader(src, k, first, last)
    some <- function(x) unname(if (is.null(taken)) x else x[taken])
    for (r in seq_len(R)) {
      Bhat[at, r] <- some(reader$Bhat(r))
      if (src$has_shat) Shat[at, r] <- some(reader$Shat(r))
    }
    if (src$has_id) id[at] <- some(reader$id())
  }
  # Here, where that needs no copy.
  if (named && src$has_id) dimnames(Bhat) <- dimnames(Shat) <- list(id, src$conditions)
  list(Bhat = Bhat, Shat = Shat, id = id)
}

# To be filled; half the time of matrix().
blank_matrix <- function(n, columns) {
  x <- double(n * length(columns))
  dim(x) <- c(n, length(columns))
  dimnames(x) <- list(NULL, columns)
  x
}

# Of a few effects anywhere, reading the segments that they are in.
read_chosen <- function(src, rows) {
  Bhat <- blank_matrix(length(rows), src$conditions)
  Shat <- Bhat
  id <- if (src$has_id) character(length(rows))
  segment <- (rows - 1) %/% src$segment_rows + 1
  groups <- split(seq_along(rows), segment)
  begin_steps("Reading segments", length(groups))
  for (at in groups[order(as.double(names(groups)))]) {
    next_step()
    range <- segment_range(src, segment[at[1]])
    part <- in_source(read_effects(src, range[1], range[2], rows[at] - range[1] + 1))
    Bhat[at, ] <- part$Bhat
    Shat[at, ] <- part$Shat
    if (src$has_id) id[at] <- part$id
  }
  if (src$has_id) dimnames(Bhat) <- dimnames(Shat) <- list(id, src$conditions)
  list(Bhat = Bhat, Shat = Shat, id = id)
}

# ---- segments ------------------------------------------------------------------

n_segments <- function(src) ceiling(src$n_effects / src$segment_rows)

# The first and the last effect of segment i, numbers from 1.
segment_range <- function(src, i) {
  if (!checkmate::test_number(i, lower = 1, upper = n_segments(src)) || i != round(i)) {
    abort_input(
      "The segments of the source have numbers from 1 to {format_count(n_segments(src))}, not {describe(i)}.",
      class = "covmash_error_index"
    )
  }
  c((i - 1) * src$segment_rows + 1, min(i * src$segment_rows, src$n_effects))
}

# rows: positions inside the segment; all if NULL.
read_segment <- function(src, i, rows = NULL) {
  range <- segment_range(src, i)
  if (!is.null(rows)) {
    rows <- resolve_index(rows, range[2] - range[1] + 1, NULL, "rows", "row")
  }
  in_source(read_effects(src, range[1], range[2], rows))
}

# The same as a data object. warn: with the warnings that mash_set_data() has of its input. A pass over the data reads
# every segment again, and would say the same each time.
segment_data <- function(src, i, rows = NULL, warn = FALSE) {
  range <- segment_range(src, i)
  if (!is.null(rows)) {
    rows <- resolve_index(rows, range[2] - range[1] + 1, NULL, "rows", "row")
  }
  values <- in_source(read_effects(src, range[1], range[2], rows, named = TRUE))
  effects <- range[1] - 1 + if (is.null(rows)) seq_len(nrow(values$Bhat)) else rows
  data_of_effects(src, values, effects, warn)
}

# values: with row names. effects: their numbers in the source.
data_of_effects <- function(src, values, effects, warn = TRUE) {
  # An error of reading is not one of the values.
  force(values)
  tryCatch(
    if (warn || src$alpha != 0) {
      withCallingHandlers(set_source_data(src, values$Bhat, values$Shat), covmash_warning = function(cnd) {
        # Several genes have the same variants.
        if (!warn || inherits(cnd, "covmash_warning_names")) rlang::cnd_muffle(cnd)
      })
    } else {
      set_in_place(src, values$Bhat, values$Shat)
    },
    covmash_error_input = function(cnd) name_bad_effect(src, values, effects, cnd)
  )
}

set_source_data <- function(src, Bhat, Shat) {
  V <- if (is.null(src$V)) diag(ncol(Bhat)) else src$V
  settings <- src$settings
  mash_set_data(
    Bhat, Shat, alpha = src$alpha, V = V, zero_check_tol = settings$zero_check_tol,
    zero_Bhat_Shat_reset = settings$zero_Bhat_Shat_reset, zero_Shat_reset = settings$zero_Shat_reset
  )
}

# The same where effects are as they were given and nothing is to be warned of, without a copy of matrices that were read
# for this: a segment takes much memory.
set_in_place <- function(src, Bhat, Shat) {
  resets <- src$settings
  settings <- entry_settings(
    length(Bhat), 0, resets$zero_check_tol, resets$zero_Bhat_Shat_reset, resets$zero_Shat_reset
  )
  check_given(Bhat, Shat, count_entries(Bhat, Shat, settings), settings)
  run_core(cpp_mask_entries(Bhat, Shat, settings))
  V <- if (is.null(src$V)) diag(ncol(Bhat)) else src$V
  data <- new_mash_data(Bhat, Shat, V, 0)
  check_magnitudes(data, Bhat, Shat)
  data
}

# The error again, with the first row for which it comes, found by halving.
name_bad_effect <- function(src, values, effects, cnd) {
  error_of <- function(rows) {
    tryCatch(
      {
        suppressWarnings(set_source_data(src, unname_rows(values$Bhat, rows), unname_rows(values$Shat, rows)))
        NULL
      },
      covmash_error_input = function(cnd) cnd
    )
  }
  good <- 0
  bad <- length(effects)
  while (bad - good > 1) {
    middle <- (good + bad) %/% 2
    if (is.null(error_of(seq_len(middle)))) good <- middle else bad <- middle
  }
  alone <- error_of(bad)
  if (!is.null(alone)) cnd <- alone
  message <- sub("row 1, ", "", conditionMessage(cnd), fixed = TRUE)
  rlang::abort(
    paste0(place_of_effect(src, effects[bad], values$id[bad]), ": ", message),
    class = c("covmash_error_source", own_classes(cnd)), call = user_frame()
  )
}

unname_rows <- function(x, rows) {
  x <- x[rows, , drop = FALSE]
  rownames(x) <- NULL
  x
}

place_of_effect <- function(src, effect, id = NULL) {
  k <- findInterval(effect - 1, src$ends) + 1
  row <- label_index("Row", effect - (src$ends[k] - src$rows[k]), NULL)
  where <- if (src$kind == "files") file_labels(src$files$path)[k] else paste0("`x`(", format_count(k), ")")
  name <- if (!is.null(id) && !is.na(id)) paste0(", '", id, "'")
  paste0(row, " of ", where, " (effect ", format_count(effect), name, ")")
}

# ---- the class -----------------------------------------------------------------

is_source <- function(x) inherits(x, "mash_source")

names_of_settings <- c("zero_check_tol", "zero_Bhat_Shat_reset", "zero_Shat_reset")

check_source <- function(src, name = "x") {
  counts <- function(x) is.double(x) && length(x) > 0L && all(is.finite(x)) && all(x >= 0) && all(x == round(x))
  ok <- is_source(src) && is.list(src) && counts(src$rows) && counts(src$ends) && counts(src$n_effects) &&
    counts(src$segment_rows) && length(src$segment_rows) == 1L && src$segment_rows >= 1 &&
    identical(src$ends, cumsum(src$rows)) && identical(src$n_effects, sum(src$rows)) && src$n_effects > 0 &&
    checkmate::test_character(src$conditions, any.missing = FALSE, min.len = 1L, min.chars = 1L, unique = TRUE) &&
    checkmate::test_flag(src$has_shat) && checkmate::test_flag(src$has_id) && has_parts(src) &&
    is_plain(src$alpha) && checkmate::test_number(src$alpha, finite = TRUE) &&
    is.list(src$settings) && all(vapply(src$settings[names_of_settings], checkmate::test_number, NA, lower = 0)) &&
    (is.null(src$V) || is.matrix(src$V) && is.double(src$V) && all(dim(src$V) == length(src$conditions)))
  if (!ok) {
    if (is_source(src)) {
      abort_source("`{name}` is damaged; make it again with mash_source().", class = "covmash_error_data")
    }
    abort_source("`{name}` must be a source made by mash_source(), not {describe(src)}.", class = "covmash_error_data")
  }
  invisible(src)
}

has_parts <- function(src) {
  if (identical(src$kind, "function")) {
    return(is.function(src$make))
  }
  files <- src$files
  columns <- src$columns
  n <- length(src$rows)
  R <- length(src$conditions)
  are_names <- function(x, n) checkmate::test_character(x, any.missing = FALSE, len = n)
  identical(src$kind, "files") && is.list(files) && is.list(columns) && are_names(files$path, n) &&
    checkmate::test_double(files$size, any.missing = FALSE, len = n) &&
    checkmate::test_double(files$modified, any.missing = FALSE, len = n) &&
    checkmate::test_logical(files$lines, any.missing = FALSE, len = n) && are_names(columns$Bhat, R) &&
    (!src$has_shat || are_names(columns$Shat, R)) &&
    (!src$has_id || checkmate::test_character(columns$id, any.missing = FALSE, min.len = 1L))
}

# All that decides what is computed: a source with another digest gives other results. The times of files say that they
# are the same; of a function only the text is known.
source_digest <- function(src) {
  exact <- function(x) sprintf("%.17g", x)
  made_of <- if (src$kind == "files") {
    c(
      basename(src$files$path), exact(src$files$size), sprintf("%.3f", src$files$modified),
      unlist(src$columns, use.names = FALSE)
    )
  } else {
    deparse(src$make)
  }
  rlang::hash(enc2utf8(c(
    src$kind, made_of, exact(src$rows), src$conditions, src$has_shat, src$has_id, exact(src$V), exact(src$alpha),
    exact(unlist(src$settings)), exact(src$segment_rows)
  )))
}

#' @rdname mash_source
#' @export
dim.mash_source <- function(x) {
  check_source(x)
  as_index(c(x$n_effects, length(x$conditions)))
}

#' @rdname mash_source
#' @export
dimnames.mash_source <- function(x) {
  check_source(x)
  list(NULL, x$conditions)
}

#' @rdname mash_source
#' @param i,j Effects, by number or `TRUE` and `FALSE`, in any order; conditions, also by name.
#' @param drop Ignored.
#' @export
`[.mash_source` <- function(x, i, j, ..., drop = FALSE) {
  if (!(nargs() - !missing(drop)) %in% 2:3 || missing(i)) {
    abort_input(
      "A source is read by its rows: write x[rows] or x[rows, columns]; as_mash_data(x) reads all.",
      class = "covmash_error_index"
    )
  }
  check_source(x)
  data <- chosen_effects(x, i, "i")
  if (missing(j)) data else data[, j]
}

# A data object. name: of the argument.
chosen_effects <- function(src, rows, name) {
  if (is.character(rows)) {
    abort_input(
      "`{name}` must choose rows of the source by number, not by name.", class = "covmash_error_index"
    )
  }
  rows <- as.double(resolve_index(rows, src$n_effects, NULL, name, "row"))
  if (length(rows) == 0L) {
    abort_input("`{name}` selects no row; choose at least one.", class = "covmash_error_index")
  }
  data_of_effects(src, read_chosen(src, rows), rows)
}

#' @rdname mash_source
#' @export
as_mash_data.mash_source <- function(x, ...) {
  check_source(x)
  take_dots(list(...), character(), "as_mash_data() of a source")
  values <- in_source(read_effects(x, 1, x$n_effects, named = TRUE))
  data_of_effects(x, values, seq_len(x$n_effects))
}

#' @rdname mash_source
#' @export
format.mash_source <- function(x, ...) {
  check_source(x)
  what <- "part made by a function"
  if (x$kind == "files") {
    parquet <- is_parquet(x$files$path)
    what <- paste0(if (all(parquet)) "Parquet " else if (!any(parquet)) "text ", "file")
  }
  paste0(
    "<mash_source> ", plural(x$n_effects, "effect"), " x ", plural(length(x$conditions), "condition"), " in ",
    plural(length(x$rows), what, sub("(part|file)", "\\1s", what))
  )
}

#' @rdname mash_source
#' @param ... Not used.
#' @export
print.mash_source <- function(x, ...) {
  check_source(x)
  cat(format(x), "\n", sep = "")
  if (x$kind == "files") {
    size <- sum(x$files$size)
    unit <- min(floor(log(max(size, 1), 1000)), 4)
    status_line(
      "files:", format(size / 1000^unit, digits = 3), " ", c("bytes", "kB", "MB", "GB", "TB")[unit + 1], " in '",
      dirname(x$files$path[1]), "'"
    )
  }
  status_line("segments:", format_count(n_segments(x)), " of ", plural(min(x$segment_rows, x$n_effects), "row"))
  status_line("conditions:", quote_some(x$conditions, 6L))
  status_line("std. error:", if (x$has_shat) "given" else "1 for every estimate (z-scores)")
  status_line("errors:", if (is.null(x$V)) "independent between conditions" else describe_V(x$V))
  status_line("alpha:", format(x$alpha), describe_alpha(x$alpha))
  invisible(x)
}
