# Posteriors of a source, written to disk piece by piece: each piece is one Parquet file under its own name once it is
# whole, and has a line in the manifest once it is there. What is in the manifest never needs to be done again.

#' Posteriors of a large study, in files
#'
#' Computes the posterior of every row of a source, segment by segment, and writes it as Parquet files. What was written
#' stays: started again after whatever stopped it, the same call writes only what is missing.
#'
#' @param src A source made by [mash_source()].
#' @param fit A fit of [mash()], of the source or of other data, e.g. of a part of it in memory. Conditions are matched
#'   by name, as in [mash_compute_posterior_matrices()].
#' @param write_to The folder to write to; it is made if it does not exist, within one that does. With `cluster`, and
#'   with `part` on several machines, all of them must see it.
#' @param columns What to write, of `"PosteriorMean"`, `"PosteriorSD"`, `"lfsr"`, `"lfdr"` and `"NegativeProb"`.
#' @param format `"double"` (default), or `"float"`: half the size, and numbers of seven digits, 0 below about 1e-38.
#' @param part,n_parts Which part of the work to do, of how many: numbers from 1, for the jobs of an array. `part` may
#'   also be such a number as text, or the name of an environment variable that holds it, such as
#'   `"SLURM_ARRAY_TASK_ID"`. A part is a run of segments. Parts may run at the same time, in the same folder.
#' @param cluster `NULL`: here, with `n_threads`. Otherwise the workers to spread segments over: the name of a compute
#'   profile of mirai, or a cluster of the package parallel, as in [mash()].
#' @param overwrite Write everything anew, also in the folder of another posterior? Only files of `mash_posterior()` are
#'   removed. Not together with `part`, since other parts may be at work.
#' @param n_threads Number of threads, of each worker, see [covmash_threads].
#' @return The posterior, to be asked questions: see [mash_output()].
#' @details *Files.* `posterior-<segment>-<piece>.parquet` has a piece of a segment, of at most 65,536 rows. Its columns
#'   are `id`, the names of the rows, or if the source has none `row`, their numbers; then one for each quantity and
#'   condition, `mean_<condition>`, `sd_<condition>`, `lfsr_<condition>`, `lfdr_<condition>` and
#'   `negative_prob_<condition>`; last `observed_<condition>`, whether there was an estimate. Missing estimates are
#'   predicted. Everything that reads Parquet reads the folder as one table. `output.dcf` describes the whole;
#'   `manifest` has a small text file for each piece, with its rows, bytes and md5.
#'
#'   *Safety.* A file is written under a temporary name and gets its own once it is whole; then its manifest is
#'   written, in the same way. A process that is killed, a machine that is lost, a full disk cost the piece that was
#'   being written, and what is in the folder is never wrong. The files do not depend on who wrote them: they are the
#'   same bytes for any number of threads, workers, parts and interruptions. For this the folder records the version of
#'   covmash and the instruction set ([covmash_info()]); a machine that has others uses that of the folder.
#'
#'   *Memory.* One segment of the source and the results of one piece, in each process.
#' @section Errors: `covmash_error_output` if the folder holds the posterior of another fit, source, version or choice
#'   of columns, if it cannot be written to, or if the disk is full; `covmash_error_source`, also for a file that
#'   changed since the source was made; `covmash_error_cluster`; `covmash_error_names` and `covmash_error_alpha` where
#'   fit and source do not belong together; `covmash_error_package` without nanoparquet or arrow;
#'   `covmash_error_argument`.
#' @seealso [mash_output()] for questions to what was written, [write_mash()] for results in memory
#' @concept Slurm
#' @concept job array
#' @export
#' @examplesIf requireNamespace("nanoparquet", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' src <- write_source(data, tempfile("study"))
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' out <- mash_posterior(src, fit, tempfile("posterior"), n_threads = 1)
#' out
#' head(get_significant_results(out))
#'
#' # the 500 jobs of an array:
#' # mash_posterior(src, fit, "posterior", part = "SLURM_ARRAY_TASK_ID", n_parts = 500)
mash_posterior <- function(src, fit, write_to, columns = c("PosteriorMean", "PosteriorSD", "lfsr"),
                           format = c("double", "float"), part = NULL, n_parts = NULL, cluster = NULL,
                           overwrite = FALSE, n_threads = NULL) {
  refuse_missing(missing(src), "src", "a source made by mash_source()", "covmash_error_source")
  refuse_missing(missing(fit), "fit", "a fit of mash()", "covmash_error_fit")
  refuse_missing(missing(write_to), "write_to", "the folder to write to")
  check_source(src, "src")
  check_fit(fit, "fit")
  columns <- output_columns(columns)
  format <- check_choice(format, c("double", "float"), "format")
  share <- part_of_work(part, n_parts)
  check_flag(overwrite, "overwrite")
  if (overwrite && !is.null(share)) {
    abort_input(
      "`overwrite = TRUE` cannot go with `part`, for other parts may be writing; empty the folder first.",
      class = "covmash_error_argument"
    )
  }
  if (!is.null(n_threads)) n_threads <- resolve_threads(n_threads)
  check_cluster(cluster)
  parquet_writer()
  wanted <- describe_output(src, fit, columns, format, share)
  home <- output_home(write_to, src)
  if (overwrite) clear_output(home)
  there <- begin_output(home, wanted)
  pieces <- output_pieces(there)
  segments <- segments_of_part(there$n_segments, share)
  left <- pieces[pieces$segment %in% segments, ]
  left <- left[piece_states(home, there, left)$state != "complete", ]
  common <- list(
    src = src, fit = without_results(fit), home = home, description = there, n_threads = n_threads,
    isa = there$instructions
  )
  write_segments(left, common, cluster)
  out <- mash_output(home)
  # What is left over is of processes that were killed, or of ones that do what is done.
  if (all(out$pieces$state == "complete")) unlink(temporary_files(home))
  out
}

write_segments <- function(pieces, common, cluster) {
  if (nrow(pieces) == 0L) {
    return(invisible(NULL))
  }
  tasks <- unname(split(pieces, pieces$segment))
  rows <- vapply(tasks, function(task) sum(task$to - task$from + 1), 0)
  began <- elapsed()
  finished <- 0
  begin_steps("Posterior, segments", length(tasks))
  next_step()
  run_tasks(tasks, "write_segment_posterior", common, cluster, what = "task", done = function(i, result) {
    finished <<- finished + rows[[i]]
    rate <- finished / max(elapsed() - began, 1e-3)
    next_step(paste(format_count(signif(rate, 3)), "rows/s"))
  })
  invisible(NULL)
}

# ---- arguments -----------------------------------------------------------------

# What can be written, and how its columns begin.
output_quantities <- c(
  PosteriorMean = "mean", PosteriorSD = "sd", lfsr = "lfsr", lfdr = "lfdr", NegativeProb = "negative_prob"
)

output_columns <- function(columns) {
  known <- names(output_quantities)
  if (!is.character(columns) || !is_plain(columns) || length(columns) == 0L || anyNA(columns)) {
    abort_input("`columns` must hold names of quantities, not {describe(columns)}.", class = "covmash_error_argument")
  }
  bad <- setdiff(columns, known)
  if (length(bad) > 0L) {
    abort_input(
      "`columns` names {quote_some(bad)}, but quantities are {quote_some(known, 8L)}.{did_you_mean(bad[1], known)}",
      class = "covmash_error_argument"
    )
  }
  known[known %in% columns]
}

# c(part, n_parts), or NULL.
part_of_work <- function(part, n_parts) {
  if (is.null(part) && is.null(n_parts)) {
    return(NULL)
  }
  if (is.null(part) || is.null(n_parts)) {
    given <- if (is.null(part)) c("n_parts", "part") else c("part", "n_parts")
    abort_input("`{given[1]}` was given without `{given[2]}`; give both.", class = "covmash_error_argument")
  }
  n_parts <- number_in_text(n_parts, "n_parts")
  check_whole(n_parts, "n_parts", 1)
  part <- number_in_text(part, "part")
  check_whole(part, "part", 1)
  if (part > n_parts) {
    abort_input(
      "`part` must be from 1 to `n_parts` = {format_count(n_parts)}, not {describe(part)}.",
      class = "covmash_error_argument"
    )
  }
  c(part, n_parts)
}

# Schedulers give numbers as text, in environment variables.
number_in_text <- function(x, name) {
  if (!is_plain(x) || !checkmate::test_string(x, min.chars = 1L)) {
    return(x)
  }
  text <- if (grepl("^[0-9]+$", x)) x else Sys.getenv(x)
  if (!grepl("^[0-9]+$", text)) {
    abort_input(
      "`{name}` must be a whole number, or the name of an environment variable that holds one, not {describe(x)}.",
      class = "covmash_error_argument"
    )
  }
  as.numeric(text)
}

# Runs of segments, as equal as can be; of more parts than segments some have none.
segments_of_part <- function(n_segments, share) {
  if (is.null(share)) {
    return(seq_len(n_segments))
  }
  ends <- floor(n_segments * (share[1] - 1:0) / share[2])
  seq_len(ends[2] - ends[1]) + ends[1]
}

# The path of the folder, as other processes see it; it is there afterwards.
output_home <- function(write_to, src) {
  if (!is_plain(write_to) || !checkmate::test_string(write_to, min.chars = 1L)) {
    abort_input("`write_to` must be the path of a folder, not {describe(write_to)}.", class = "covmash_error_argument")
  }
  if (file.exists(write_to) && !dir.exists(write_to)) {
    abort_input("`write_to`, '{write_to}', is a file; give a folder.", class = "covmash_error_output")
  }
  # Another part may make it at the same time.
  if (dir.exists(dirname(write_to))) {
    for (folder in c(write_to, file.path(write_to, "manifest"))) dir.create(folder, showWarnings = FALSE)
  }
  if (!dir.exists(file.path(write_to, "manifest")) || file.access(write_to, 2L) != 0L) {
    abort_input(
      "The folder `write_to`, '{write_to}', does not exist and cannot be made, or cannot be written to.",
      class = "covmash_error_output"
    )
  }
  home <- normalizePath(write_to, "/")
  if (!is.null(src$files) && home %in% dirname(src$files$path)) {
    abort_input(
      "The source is read from '{home}' and would have the posterior among its files; give another `write_to`.",
      class = "covmash_error_output"
    )
  }
  home
}

# ---- what the whole is ---------------------------------------------------------

# A function, for tests to change it.
output_piece_rows <- function() 65536

# The conditions are those of the results: of the fit, in its order, where it has names. Fit and source are held
# against each other here, once, and what there is to say about it is said once.
describe_output <- function(src, fit, columns, format, share) {
  J <- dim(src)[1]
  conditions <- dimnames(src)[[2]]
  probe <- matrix(1, 1L, dim(src)[2], dimnames = if (!is.null(conditions)) list(NULL, conditions))
  conditions <- colnames(problem_of(fit, mash_set_data(probe, alpha = src$alpha))$data$Bhat)
  range <- segment_range(src, 1)
  wanted <- list(
    layout = 1, covmash = as.character(utils::packageVersion("covmash")), instructions = cpp_simd(),
    fit = fit_digest(fit), source = source_digest(src), n_effects = J, n_segments = n_segments(src),
    segment_rows = range[2] - range[1] + 1, piece_rows = output_piece_rows(), columns = columns, format = format,
    n_conditions = if (is.null(conditions)) dim(src)[2] else length(conditions), conditions = conditions,
    n_parts = if (is.null(share)) 1 else share[2]
  )
  wanted[description_numbers] <- lapply(wanted[description_numbers], as.double)
  wanted
}

# What the posterior of a row follows from, apart from the row.
fit_digest <- function(fit) {
  g <- fit$fitted_g
  plain <- function(U) {
    if (is_factor_cov(U)) lapply(list(U$B, U$F, U$D), function(x) if (!is.null(x)) unname(x)) else unname(as.matrix(U))
  }
  rlang::hash(list(
    as.double(g$pi), as.double(g$grid), isTRUE(g$usepointmass), lapply(unname(g$Ulist), plain), conditions_of(fit),
    as.double(fit$alpha), fit$source$dictionary
  ))
}

# What is sent to workers: the prior, not the results of the rows it was fitted to.
without_results <- function(fit) {
  fit$result <- list()
  fit[c("vloglik", "null_loglik", "alt_loglik", "posterior_weights", "missing")] <- NULL
  fit
}

# The pieces of the whole, one in a row.
output_pieces <- function(description) {
  J <- description$n_effects
  size <- description$segment_rows
  starts <- (seq_len(description$n_segments) - 1) * size
  rows <- pmin(size, J - starts)
  n <- ceiling(rows / description$piece_rows)
  segment <- rep(seq_along(starts), n)
  piece <- sequence(n)
  from <- starts[segment] + (piece - 1) * description$piece_rows + 1
  to <- pmin(from + description$piece_rows - 1, starts[segment] + rows[segment])
  data.frame(
    segment = segment, piece = piece, from = from, to = to,
    file = sprintf("posterior-%05d-%02d.parquet", segment, piece)
  )
}

# Describe the folder, or hold its description against what is wanted. Returns the one that counts.
begin_output <- function(home, wanted) {
  file <- file.path(home, "output.dcf")
  if (!file.exists(file)) {
    if (length(list.files(home, output_pattern)) > 0L) {
      abort_input(
        "'{home}' holds pieces of a posterior without the file output.dcf that describes them; give another folder, ",
        "or `overwrite = TRUE`.",
        class = "covmash_error_output"
      )
    }
    write_lines(description_lines(wanted), file, keep = TRUE)
  }
  there <- read_description(home)
  differs <- vapply(names(output_differences), function(part) !identical(there[[part]], wanted[[part]]), NA)
  if (any(differs)) {
    abort_input(
      "The folder '{home}' holds {output_differences[[which(differs)[1]]]}; give another folder, or ",
      "`overwrite = TRUE` to lose what is there.",
      class = "covmash_error_output"
    )
  }
  if (!there$instructions %in% cpp_simd_available()) {
    abort_input(
      "'{home}' was begun with the instruction set {there$instructions}, which this machine does not have; begin anew ",
      "with one that all machines have (COVMASH_SIMD, see ?covmash_threads).",
      class = "covmash_error_output"
    )
  }
  there
}

output_differences <- c(
  layout = "a posterior in another layout", fit = "the posterior of another fit",
  source = "the posterior of another source (or its files have changed since)",
  covmash = "a posterior that another version of covmash began", n_effects = "the posterior of another source",
  segment_rows = "a posterior in other segments", piece_rows = "a posterior in other pieces",
  columns = "other columns", format = "numbers in another format", conditions = "other conditions",
  n_conditions = "other conditions"
)

output_pattern <- "^posterior-[0-9]{5,}-[0-9]{2,}[.]parquet$"

temporary_files <- function(home) {
  folders <- c(home, file.path(home, "manifest"))
  list.files(folders, "^[.]tmp-.*-[0-9]+-(posterior|output)", all.files = TRUE, full.names = TRUE)
}

# Of a posterior, and nothing else. The manifest goes first: a piece without is not there.
clear_output <- function(home) {
  unlink(list.files(file.path(home, "manifest"), "^posterior-.*[.]dcf$", full.names = TRUE))
  unlink(c(list.files(home, output_pattern, full.names = TRUE), temporary_files(home)))
  unlink(file.path(home, "output.dcf"))
}

# ---- one segment, where the worker is ------------------------------------------

# task: rows of output_pieces(), of one segment.
write_segment_posterior <- function(task, common) {
  wanted <- common$description
  segment <- task$segment[1]
  data <- segment_data(common$src, segment)
  # Said once, by describe_output().
  data <- withCallingHandlers(
    match_conditions(data, wanted$conditions), covmash_message_conditions = function(cnd) invokeRestart("muffleMessage")
  )
  before <- segment_range(common$src, segment)[1] - 1
  for (k in seq_len(nrow(task))) {
    one <- task[k, ]
    part <- if (one$to - one$from + 1 == nrow(data$Bhat)) data else data[(one$from - before):(one$to - before), ]
    result <- segment_posterior(part, common$fit, wanted$columns, common$n_threads)
    if (wanted$format == "float") refuse_beyond_float(result)
    write_piece(piece_table(result, part, one$from, wanted), one, common$home, wanted)
  }
  nrow(task)
}

# What is too small becomes 0, as it should; what is too large would become infinite.
refuse_beyond_float <- function(result) {
  for (part in names(result)) {
    if (isTRUE(max(abs(result[[part]]), 0, na.rm = TRUE) > 3.4e38)) {
      abort_input(
        "'{part}' has numbers beyond 3.4e38, which `format = \"float\"` cannot hold; use \"double\", or other units.",
        class = "covmash_error_magnitude"
      )
    }
  }
}

piece_table <- function(result, data, from, description) {
  labels <- description$conditions
  if (is.null(labels)) labels <- seq_len(description$n_conditions)
  id <- rownames(data$Bhat)
  first <- if (is.null(id)) list(row = from + seq_len(nrow(data$Bhat)) - 1) else list(id = id)
  in_columns <- function(x, prefix) {
    columns <- lapply(seq_len(ncol(x)), function(r) unname(x[, r]))
    stats::setNames(columns, paste0(prefix, "_", labels))
  }
  parts <- Map(in_columns, unname(result[description$columns]), output_quantities[description$columns])
  plain_frame(c(first, do.call(c, unname(parts)), in_columns(!is.na(data$Bhat), "observed")))
}

# A process that is taken for lost may live on, and another one do the same: whoever is first has done it.
write_piece <- function(table, one, home, description) {
  tryCatch(
    write_piece_once(table, one, home, description),
    covmash_error_output = function(cnd) {
      if (piece_states(home, description, one)$state != "complete") rlang::cnd_signal(cnd)
    }
  )
}

write_piece_once <- function(table, one, home, description) {
  file <- file.path(home, one$file)
  made <- temporary_name(file)
  on.exit(unlink(made))
  sums <- tryCatch(
    {
      write_piece_table(table, made, description$format)
      list(bytes = file.size(made), md5 = cli::hash_file_md5(made))
    },
    error = function(cnd) refuse_writing(file, conditionMessage(cnd))
  )
  facts <- c(
    list(
      layout = description$layout, segment = one$segment, piece = one$piece, from = one$from, to = one$to,
      id = names(table)[1] == "id"
    ),
    sums, description[c("fit", "source", "covmash", "instructions")]
  )
  put_in_place(made, file)
  write_lines(dcf_lines(facts), manifest_file(home, one$file))
}

# By the package that is there; numbers of quantities as float, if wanted. No data of R or of the clock goes into the
# file: the same table is the same bytes.
write_piece_table <- function(table, file, format) {
  type <- vapply(table, function(column) {
    switch(typeof(column), logical = "BOOLEAN", character = "STRING", if (format == "float") "FLOAT" else "DOUBLE")
  }, "")
  type[names(table) == "row"] <- "INT64"
  write <- if (requireNamespace("nanoparquet", quietly = TRUE)) write_by_nanoparquet else write_by_arrow
  write(table, file, type)
  refuse_cut_parquet(file)
}

write_by_nanoparquet <- function(table, file, type) {
  # That every file has the same, whether something is missing in it or not.
  columns <- lapply(type, list, repetition_type = "OPTIONAL")
  schema <- do.call(nanoparquet::parquet_schema, stats::setNames(columns, names(table)))
  options <- nanoparquet::parquet_options(write_arrow_metadata = FALSE)
  nanoparquet::write_parquet(table, file, schema = schema, compression = "snappy", options = options)
}

write_by_arrow <- function(table, file, type) {
  arrow <- function(name) getExportedValue("arrow", name)
  types <- c(BOOLEAN = "boolean", DOUBLE = "float64", FLOAT = "float32", STRING = "string", INT64 = "int64")
  fields <- lapply(types[type], function(name) arrow(name)())
  schema <- do.call(arrow("schema"), stats::setNames(fields, names(table)))
  arrow("write_parquet")(arrow("arrow_table")(as.list(table), schema = schema), file, compression = "snappy")
}

# ---- files that are whole or not there -----------------------------------------

# In the same folder, for a file cannot be renamed to another disk; host and process, for others write there too.
temporary_name <- function(file) {
  host <- gsub("[^A-Za-z0-9]", "", Sys.info()[["nodename"]])
  file.path(dirname(file), paste0(".tmp-", host, "-", Sys.getpid(), "-", basename(file)))
}

put_in_place <- function(made, file) {
  if (!suppressWarnings(file.rename(made, file))) refuse_writing(file, "it cannot be renamed")
}

# A small text file. keep: one that is there already stays, whoever was first.
write_lines <- function(lines, file, keep = FALSE) {
  made <- temporary_name(file)
  on.exit(unlink(made))
  tryCatch(
    suppressWarnings({
      writeLines(lines, made, useBytes = TRUE)
      if (!identical(readLines(made, encoding = "UTF-8"), lines)) stop("it is not whole")
    }),
    error = function(cnd) refuse_writing(file, conditionMessage(cnd))
  )
  # A link is made only where nothing is; not every disk has them.
  if (keep && (suppressWarnings(file.link(made, file)) || file.exists(file))) {
    return(invisible(NULL))
  }
  put_in_place(made, file)
}

refuse_writing <- function(file, reason) {
  abort_input(
    "Writing '{file}' failed ({reason}); is the disk full? What was written before stays, and the same call goes on ",
    "from there.",
    class = "covmash_error_output"
  )
}

# ---- descriptions and manifests ------------------------------------------------

manifest_file <- function(home, file) file.path(home, "manifest", sub("parquet$", "dcf", basename(file)))

dcf_lines <- function(x) {
  text <- vapply(x, function(value) {
    paste(if (is.numeric(value)) format_count(value) else as.character(value), collapse = " ")
  }, "")
  paste0(names(x), ": ", text)
}

description_lines <- function(description) {
  names <- description$conditions
  description$named <- !is.null(names)
  # Names with blanks, line ends or letters of any language stay what they are.
  description$conditions <- if (!is.null(names)) {
    vapply(enc2utf8(names), utils::URLencode, "", reserved = TRUE, repeated = TRUE, USE.NAMES = FALSE)
  }
  dcf_lines(Filter(Negate(is.null), description))
}

# The fields of such a file, as text; NULL if there is none that can be read.
read_fields <- function(file) {
  lines <- tryCatch(suppressWarnings(readLines(file, encoding = "UTF-8")), error = function(cnd) NULL)
  at <- regexpr(": ", lines, fixed = TRUE)
  if (length(lines) == 0L || any(at < 2L)) {
    return(NULL)
  }
  as.list(stats::setNames(substring(lines, at + 2L), substr(lines, 1L, at - 1L)))
}

description_numbers <- c("layout", "n_effects", "n_segments", "segment_rows", "piece_rows", "n_conditions", "n_parts")

read_description <- function(home) {
  file <- file.path(home, "output.dcf")
  x <- read_fields(file)
  texts <- c("covmash", "instructions", "fit", "source", "columns", "format", "named")
  if (is.null(x) || !all(c(description_numbers, texts) %in% names(x))) damaged_output(file)
  x[description_numbers] <- lapply(x[description_numbers], number_or_na)
  x$columns <- strsplit(x$columns, " ", fixed = TRUE)[[1]]
  x["conditions"] <- list(if (x$named == "TRUE") {
    # A blank more: strsplit() drops a name of no letters at the end.
    names <- strsplit(paste0(x$conditions, " "), " ", fixed = TRUE)[[1]]
    names <- vapply(names, utils::URLdecode, "", USE.NAMES = FALSE)
    Encoding(names) <- "UTF-8"
    names
  })
  counts <- unlist(x[description_numbers])
  sound <- all(is.finite(counts)) && all(counts >= 1) && all(counts == round(counts)) &&
    x$n_segments == ceiling(x$n_effects / x$segment_rows) && all(x$columns %in% names(output_quantities)) &&
    (is.null(x$conditions) || length(x$conditions) == x$n_conditions)
  if (!sound) damaged_output(file)
  x
}

number_or_na <- function(x) suppressWarnings(as.numeric(x))

damaged_output <- function(file) {
  abort_input(
    "'{file}' is damaged; write the posterior anew with mash_posterior(overwrite = TRUE).",
    class = "covmash_error_output"
  )
}

# Pieces with their `state`: "complete", "missing" (also without a manifest), or "damaged", where file and manifest do
# not fit. `bytes`, `md5` and whether it has an `id`, of the manifest.
piece_states <- function(home, description, pieces) {
  sizes <- file.size(file.path(home, pieces$file))
  manifests <- lapply(manifest_file(home, pieces$file), function(file) if (file.exists(file)) read_fields(file))
  field <- function(name) {
    vapply(manifests, function(x) if (is.null(x[[name]])) NA_character_ else x[[name]], "")
  }
  pieces$bytes <- number_or_na(field("bytes"))
  pieces$md5 <- field("md5")
  pieces$id <- field("id") == "TRUE"
  there <- !is.na(sizes) & file.exists(manifest_file(home, pieces$file))
  fits <- sizes == pieces$bytes & number_or_na(field("from")) == pieces$from & number_or_na(field("to")) == pieces$to &
    field("fit") == description$fit & field("source") == description$source & !is.na(pieces$md5) & !is.na(pieces$id)
  pieces$state <- ifelse(!there, "missing", ifelse(fits %in% TRUE, "complete", "damaged"))
  pieces
}
