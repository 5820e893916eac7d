# What a fit and its posterior will cost, from one segment: what is measured there is multiplied. Rows are all alike to
# the arithmetic, so seconds are those of a row times rows; only the work of the master, and what a process does once,
# are not.

#' What a large study will cost
#'
#' Measures the work on one segment of a source ([mash_source()]) and predicts seconds, core-hours, bytes and memory of
#' [mash()] and [mash_posterior()] for all of it, on one core and on many.
#'
#' @param data A source, or the look at one that [summary()][summary.mash_source] gives, which then is not part of the
#'   cost. Of a source only the first segment is read: it stands for all, also in the choice of the grid.
#' @param Ulist The covariance matrices of the fit, as for [mash()].
#' @param ... Of the arguments of [mash()]: `grid`, `gridmult`, `normalizeU`, `usepointmass`, `prior`, `nullweight`.
#' @param cores Numbers of cores to predict for.
#' @param n_effects Predict for so many effects of this kind; `NULL`: for those of the source.
#' @param passes How many passes over the data the fit will need; three to six are usual.
#' @param columns,format What [mash_posterior()] is to write.
#' @param n_threads Threads of each worker. `NULL`: one, so that every core has a worker. Threads share the arithmetic
#'   of a segment, but one of them reads it.
#' @param x A prediction.
#' @return A list of class `"mash_cost"`:
#'   * `predicted`: a data frame with a row for each of `cores`: `cores`; `workers` and `threads` of each; seconds of
#'     `scan`, `fit`, `posterior` and of all three, `total`; `reading`, what part of `total` is spent in reading and
#'     checking of values; `core_hours`, of all cores from beginning to end, also of those that wait; `read_rate`, bytes
#'     a second that all workers together read meanwhile, which the disk or network has to give;
#'   * `per_row`: seconds of a row: `reading` (once), `counting` (all else of the scan), `pass` and `posterior`
#'     (processor seconds), `writing`;
#'   * `once`: seconds that do not depend on the number of rows: of the `scan`, for its counters and samples, `master`, for
#'     the weights of the sample, and `worker`, for decompositions that each worker makes once;
#'   * `bytes`: `read`, of one reading of the source, and `written`, by the posterior;
#'   * `memory`: bytes of a `worker`, and of the `master`, about; without a cluster one process needs both;
#'   * `measured`: how many rows were read (`segment`) and computed with (`piece`);
#'   * `n_effects`, `n_conditions`, `n_components`, `segment_rows`, `n_segments`, `passes`, `readings`: how often the
#'     source is read.
#'
#'   `format()`: one line of text. `print()`: `x`, invisibly.
#' @details The segment is read as a worker reads it, and a piece of it, of at most 65,536 rows, goes through a pass at
#'   the weights of a sample, through the posterior, and into a file in the session's temporary folder. Then
#'   \deqn{scan = S + m (2 r + c), \quad fit = (M + W) / t + n m (r + p / t), \quad posterior = m (r + q / t + w)}{
#'   scan = S + m (2 r + c), fit = (M + W) / t + n m (r + p / t), posterior = m (r + q / t + w)}
#'   with \eqn{n} passes, \eqn{t} threads of a worker, the times of a row for reading (\eqn{r}), counting (\eqn{c}),
#'   pass (\eqn{p}), posterior (\eqn{q}) and writing (\eqn{w}), what is in `once` (\eqn{S}, \eqn{M},
#'   \eqn{W}), and \eqn{m} the rows of the worker that has most: whole segments, so that more workers than segments
#'   are of no use.
#'
#'   It is taken that cores are as fast together as alone, that the disk keeps up (`read_rate`), and that files are as
#'   quickly read later as now, when they may be in the memory of the machine. The time in which workers start is left
#'   out. A file that is longer than a segment is taken to be read for each of its segments. Of a segment of a few
#'   thousand rows the time is mostly that of calls, which the prediction multiplies by rows.
#'   `mash(src, Ulist, explain = TRUE)` tells the same before its first pass.
#' @section Errors: `covmash_error_source` if the segment cannot be read, `covmash_error_ulist` and others of [mash()],
#'   `covmash_error_argument`.
#' @seealso [mash()], [mash_posterior()]
#' @concept large data
#' @concept core-hours
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 100, ncond = 4, err_sd = 1)
#' src <- mash_source(function(i) sim[c("Bhat", "Shat")], n = 1)
#' cost <- mash_cost(src, cov_canonical(mash_set_data(sim$Bhat, sim$Shat)), n_effects = 2e8)
#' cost
#' cost$predicted$core_hours
mash_cost <- function(data, Ulist, ..., cores = c(1, 16, 800), n_effects = NULL, passes = 5,
                      columns = c("PosteriorMean", "PosteriorSD", "lfsr"), format = c("double", "float"),
                      n_threads = NULL) {
  refuse_missing(missing(data), "data", "a source made by mash_source()", "covmash_error_source")
  scanned <- is_scan(data)
  src <- if (scanned) check_scan(data, "data")$source else check_source(data, "data")
  chosen <- list(
    grid = NULL, gridmult = sqrt(2), normalizeU = TRUE, usepointmass = TRUE, prior = "nullbiased", nullweight = 10
  )
  given <- take_dots(list(...), names(chosen), "mash_cost()")
  chosen[names(given)] <- given
  check_cores(cores)
  if (!is.null(n_effects)) check_whole(n_effects, "n_effects", 1)
  check_whole(passes, "passes", 1)
  columns <- output_columns(columns)
  format <- check_choice(format, c("double", "float"), "format")
  n_threads <- if (is.null(n_threads)) 1L else resolve_threads(n_threads)
  J <- if (is.null(n_effects)) src$n_effects else as.double(n_effects)
  # Before they are taken out of their files: an error in the values names the file.
  segment_data(src, 1)
  scan <- if (scanned) data else scan_source(first_segment(src), NULL, size_of_sample(src), n_threads)
  pilot <- scan$pilot
  pilot$data$range <- scan$range
  if (missing(Ulist)) Ulist <- NULL
  model <- new_model(pilot$data, Ulist, chosen$grid, chosen$gridmult, chosen$normalizeU, chosen$usepointmass)
  model$labels <- component_names(model)
  P <- n_components(model)
  penalty <- set_prior(P, chosen$prior, chosen$nullweight, null_component(model))
  pilot <- thin_pilot(pilot, pilot_rows(resolve_memory(), P))
  sample <- pilot$data
  sample$dictionary <- dictionary_for(scan$dictionary, src$conditions)
  solved <- timed(run_core(cpp_pass_master(sample, model, c(newton_control(list()), list(
    times = pilot$times, prior = penalty, memory = resolve_memory(), n_threads = n_threads, start = NULL
  )))))
  query <- run_core(cpp_pass_query(solved$value))
  query$most_hard <- ceiling(query$most_hard / ceiling(J / src$segment_rows))
  measured <- measure_segment(list(segment = 1), list(
    src = src, dictionary = sample$dictionary, model = model[c("Ulist", "grid", "usepointmass")], n_threads = n_threads,
    query = query, columns = columns, format = format, n_effects = J
  ))
  measured$scan <- repeated(function() {
    run_core(cpp_frequent_noises(cpp_noise_counters()))
    bind_data(src, list(scan$sample, scan$pilot$data))
  })[["elapsed"]]
  cost <- new_cost(
    src, measured, solved$processor * pilot_size(src, J, P) / length(pilot$times), P, J, passes,
    scanned = scanned && is.null(n_effects)
  )
  cost$predicted <- do.call(rbind, lapply(cores, function(n) {
    threads <- min(n_threads, n)
    predict_cost(cost, n, n %/% threads, threads)
  }))
  cost
}

# Of about so many effects is the sample on which a fit begins.
pilot_size <- function(src, J, n_components) min(J, size_of_sample(src), pilot_rows(resolve_memory(), n_components))

check_cores <- function(cores) {
  ok <- is.numeric(cores) && is_plain(cores) && length(cores) > 0L && all(is.finite(cores)) && all(cores >= 1) &&
    all(cores == round(cores))
  if (!ok) {
    abort_input(
      "`cores` must hold whole numbers of at least 1, not {describe(cores)}.", class = "covmash_error_argument"
    )
  }
}

# The first segment in memory, as a source of its own.
first_segment <- function(src) {
  values <- read_segment(src, 1)[c("Bhat", if (src$has_shat) "Shat", if (src$has_id) "id")]
  n <- nrow(values$Bhat)
  src[c("files", "columns", "labels")] <- NULL
  src$kind <- "function"
  src$make <- function(i) values
  src$labels <- src$conditions
  src$rows <- src$ends <- src$n_effects <- as.double(n)
  src
}

# ---- one segment, where the worker is ----------------------------------------------

# What a row takes there, in seconds, and what a worker does once; the bytes of a row in the file of the posterior, and
# of the segment in memory. The pass is that of common$query, the posterior that of its weights.
measure_segment <- function(task, common) {
  src <- common$src
  settings <- list(n_threads = common$n_threads)
  read <- function() {
    # The next segment may find a file kept, the first one of a worker does not.
    kept_part$key <- kept_part$value <- NULL
    data <- fresh_segment(src, task$segment)
    run_core(cpp_checksum(data))
    data
  }
  in_use <- heap(reset = TRUE)[["now"]]
  data <- read()
  heap <- heap()[["peak"]] - in_use
  n <- nrow(data$Bhat)
  reading <- repeated(read)[["elapsed"]]
  # Some of each part of the segment.
  piece <- min(n, output_piece_rows())
  rows <- unique(floor(seq(1, n, length.out = piece)))
  part <- data[rows, ]
  part$dictionary <- common$dictionary
  counting <- repeated(function() count_effects(part))[["elapsed"]] +
    measure_fetching(part, common$n_effects, size_of_sample(src))
  store <- run_core(cpp_spectral_store())
  one_pass <- function() run_core(cpp_full_pass(part, common$model, common$query, settings, store))
  first <- timed(one_pass())$processor
  pass <- repeated(one_pass)[["processor"]]
  fit <- fit_at(common)
  result <- NULL
  posterior <- repeated(function() {
    result <<- segment_posterior(data[rows, ], fit, common$columns, common$n_threads)
  })[["processor"]]
  writing <- measure_writing(result, part, common)
  list(
    segment = n, piece = piece, heap = heap, worker = max(0, round(first - pass, 3)),
    per_row = c(
      reading = reading / n, counting = counting / piece, pass = pass / piece, posterior = posterior / piece,
      writing = writing[["seconds"]] / piece
    ),
    bytes_per_row = writing[["bytes"]] / piece
  )
}

# Seconds of the second reading of the scan, but for the reading. J: effects of the source; size: of the sample.
measure_fetching <- function(data, J, size) {
  counted <- count_effects(data)
  counters <- run_core(cpp_noise_counters())
  run_core(cpp_count_noises(counters, counted$noises$counter, counted$noises$count))
  chosen <- list(
    chance = rep(min(1, size / J), length(counted$strata)), rows = sample_rows_of(J, size),
    candidates = run_core(cpp_frequent_noises(counters))
  )
  repeated(function() fetch_effects(data, 1, chosen))[["elapsed"]]
}

# A fit with the weights of the question.
fit_at <- function(common) {
  model <- common$model
  model$pi <- common$query$x / sum(common$query$x)
  model$Ulist <- with_condition_names(model$Ulist, common$src$conditions)
  dictionary <- common$dictionary
  rownames(dictionary$shat) <- common$src$conditions
  structure(
    list(
      result = list(), fitted_g = model[c("pi", "Ulist", "grid", "usepointmass")], alpha = common$src$alpha,
      source = list(dictionary = dictionary)
    ),
    class = c("mash_fit", "mash")
  )
}

measure_writing <- function(result, data, common) {
  R <- ncol(data$Bhat)
  if (!requireNamespace("nanoparquet", quietly = TRUE) && !has_arrow()) {
    size <- if (common$format == "float") 4 else 8
    return(c(seconds = 0, bytes = nrow(data$Bhat) * (8 + R * (size * length(common$columns) + 1 / 8))))
  }
  home <- tempfile("cost")
  dir.create(file.path(home, "manifest"), recursive = TRUE)
  on.exit(unlink(home, recursive = TRUE))
  description <- list(
    layout = 1, fit = "", source = "", covmash = "", instructions = "", columns = common$columns,
    format = common$format, conditions = colnames(data$Bhat), n_conditions = R
  )
  one <- list(segment = 1, piece = 1, from = 1, to = nrow(data$Bhat), file = "posterior-00001-01.parquet")
  spent <- repeated(function() write_piece_once(piece_table(result, data, 1, description), one, home, description))
  c(seconds = spent[["elapsed"]], bytes = file.size(file.path(home, one$file)))
}

# Bytes of R's objects: now, and at most since the last reset.
heap <- function(reset = FALSE) {
  used <- gc(reset = reset)
  megabytes <- which(colnames(used) == "(Mb)")
  2^20 * c(now = sum(used[, megabytes[1]]), peak = sum(used[, megabytes[length(megabytes)]]))
}

# Processor seconds are those of all threads of this process.
timed <- function(expr) {
  began <- proc.time()
  value <- expr
  spent <- proc.time() - began
  list(value = value, processor = spent[["user.self"]] + spent[["sys.self"]], elapsed = spent[["elapsed"]])
}

# As often as it takes to be measured.
repeated <- function(f, least = 0.05) {
  n <- 0
  began <- elapsed()
  spent <- timed(while (n == 0 || elapsed() - began < least) {
    f()
    n <- n + 1
  })
  unlist(spent[c("processor", "elapsed")]) / n
}

# ---- all of it -------------------------------------------------------------------------

# solved: processor seconds of the weights of the sample.
new_cost <- function(src, measured, solved, n_components, J, passes, scanned) {
  readings <- if (scanned) passes + 1 else passes + 3
  per_row <- bytes_of_reading(src) / src$n_effects
  structure(
    list(
      predicted = NULL, per_row = measured$per_row,
      # The solver comes back after every pass, for half as much on average.
      once = c(scan = measured$scan, master = (1 + passes / 2) * solved, worker = measured$worker),
      bytes = c(read = per_row * J, written = measured$bytes_per_row * J),
      memory = cost_memory(src, measured, n_components, J), measured = unlist(measured[c("segment", "piece")]),
      n_effects = J, n_conditions = length(src$conditions), n_components = n_components,
      segment_rows = src$segment_rows, n_segments = ceiling(J / src$segment_rows), passes = passes, readings = readings
    ),
    class = "mash_cost"
  )
}

# Files are read as a whole; a long one for each segment of it, column by column (file_reader()).
bytes_of_reading <- function(src) {
  if (src$kind != "files") {
    return(8 * length(src$conditions) * (1 + src$has_shat) * src$n_effects)
  }
  n_columns <- length(unlist(src$columns))
  long <- is_parquet(src$files$path) & src$rows > src$segment_rows & 8 * src$rows * n_columns > kept_part$bytes
  sum(src$files$size * ifelse(long, ceiling(src$rows / src$segment_rows), 1))
}

# R and the package; what reading needs at most, beside the core's copies and what R has not collected yet of the
# segment before, as measured. The master has the samples, several times while they are put together, the likelihoods of
# one, and the counters of the scan.
cost_memory <- function(src, measured, n_components, J) {
  row <- 8 * length(src$conditions)
  size <- pilot_size(src, J, n_components)
  c(
    worker = 120e6 + measured$heap + 7 * row * measured$segment,
    master = 120e6 + 2^26 + size * (4 * n_components + 12 * row)
  )
}

# A row of `predicted`.
predict_cost <- function(cost, cores, workers, threads) {
  rows <- largest_share(cost$n_effects, cost$segment_rows, workers)
  row <- as.list(cost$per_row)
  once <- as.list(cost$once)
  scan <- if (cost$readings > cost$passes + 1) once$scan + rows * (2 * row$reading + row$counting) else 0
  fit <- (once$master + once$worker) / threads + cost$passes * rows * (row$reading + row$pass / threads)
  posterior <- rows * (row$reading + row$posterior / threads + row$writing)
  total <- scan + fit + posterior
  data.frame(
    cores = cores, workers = workers, threads = threads, scan = scan, fit = fit, posterior = posterior, total = total,
    reading = cost$readings * rows * row$reading, core_hours = workers * threads * total / 3600,
    read_rate = cost$bytes[["read"]] / (rows * row$reading)
  )
}

# Rows of the worker that has most of them: segments go to whoever is free.
largest_share <- function(J, segment_rows, workers) {
  n <- ceiling(J / segment_rows)
  most <- ceiling(n / workers)
  # The short one at the end is an equal of the others unless there is one such share only.
  if (n - (most - 1) * workers == 1) J - (n - most) * segment_rows else most * segment_rows
}

# ---- the class ---------------------------------------------------------------------

check_cost <- function(x) {
  numbers <- list(
    per_row = c("reading", "counting", "pass", "posterior", "writing"), once = c("scan", "master", "worker"),
    bytes = c("read", "written"), memory = c("worker", "master"), measured = c("segment", "piece")
  )
  counts <- c("n_effects", "n_conditions", "n_components", "segment_rows", "n_segments", "passes", "readings")
  are_numbers <- function(v, n) checkmate::test_numeric(v, lower = 0, any.missing = FALSE, len = n)
  columns <- c("cores", "workers", "threads", "scan", "fit", "posterior", "total", "reading", "core_hours", "read_rate")
  ok <- inherits(x, "mash_cost") && is.list(x) &&
    all(vapply(names(numbers), function(part) {
      are_numbers(x[[part]], length(numbers[[part]])) && identical(names(x[[part]]), numbers[[part]])
    }, NA)) &&
    all(vapply(counts, function(part) are_numbers(x[[part]], 1L), NA)) &&
    is.data.frame(x$predicted) && identical(names(x$predicted), columns) &&
    all(vapply(x$predicted, are_numbers, NA, n = nrow(x$predicted)))
  if (!ok) {
    abort_input(
      "`x` must be a result of mash_cost(), not {describe(x)}, or was damaged; make it again.",
      class = "covmash_error_type"
    )
  }
  invisible(x)
}

#' @rdname mash_cost
#' @export
format.mash_cost <- function(x, ...) {
  check_cost(x)
  paste0(
    "<mash_cost> ", plural(x$n_effects, "effect"), " x ", plural(x$n_conditions, "condition"), ", ",
    plural(x$n_components, "component"), ", ", plural(x$n_segments, "segment")
  )
}

#' @rdname mash_cost
#' @export
print.mash_cost <- function(x, ...) {
  text_lines(format(x))
  micro <- vapply(1e6 * x$per_row, format, "", digits = 2)
  status_line("a row:", paste(names(micro), micro, collapse = ", "), " microseconds")
  status_line(
    "measured:", plural(x$measured[["segment"]], "row"), " read, ", format_count(x$measured[["piece"]]), " computed"
  )
  status_line(
    "once:", duration_text(x$once[["master"]]), " for the weights of the sample, ", duration_text(x$once[["worker"]]),
    " a worker"
  )
  status_line(
    "bytes:", bytes_text(x$bytes[["read"]]), " read ", plural(x$readings, "time"), " (",
    plural(x$passes, "pass", "passes"), "), ", bytes_text(x$bytes[["written"]]), " written"
  )
  status_line(
    "memory:", bytes_text(x$memory[["worker"]]), " a worker, ", bytes_text(x$memory[["master"]]), " the master"
  )
  shown <- x$predicted
  for (name in c("scan", "fit", "posterior", "total", "reading")) shown[[name]] <- duration_text(shown[[name]])
  shown$core_hours <- format(shown$core_hours, digits = 2)
  shown$read_rate <- paste0(bytes_text(shown$read_rate), "/s")
  print_table(shown)
  invisible(x)
}

# "0.35 s", "27m 3s".
duration_text <- function(seconds) {
  vapply(seconds, function(s) if (s < 60) paste(format(s, digits = 2), "s") else clock_text(round(s)), "")
}

bytes_text <- function(size) {
  vapply(size, function(bytes) {
    unit <- max(0, min(floor(log(max(bytes, 1), 1000)), 4))
    paste(format(bytes / 1000^unit, digits = 3), c("bytes", "kB", "MB", "GB", "TB")[unit + 1])
  }, "")
}

# ---- mash(explain = TRUE) ------------------------------------------------------------

# Before the first pass, whose question is in `common`. solved: processor seconds of the weights of the sample.
explain_passes <- function(scan, common, solved, n_components, passes, cluster, n_workers) {
  common <- c(common, list(
    columns = c("PosteriorMean", "PosteriorSD", "lfsr"), format = "double", n_effects = scan$n_effects
  ))
  measured <- run_tasks(list(list(segment = 1)), "measure_segment", common, cluster)[[1L]]
  measured$scan <- 0
  cost <- new_cost(scan$source, measured, solved, n_components, scan$n_effects, passes, TRUE)
  threads <- common$n_threads
  plan <- predict_cost(cost, n_workers * threads, n_workers, threads)
  step_message(
    TRUE, "By {plural(measured$piece, 'effect')} of segment 1: {plural(passes, 'pass', 'passes')} over ",
    "{plural(scan$n_effects, 'effect')} would take {duration_text(plan$fit)} on {plural(n_workers, 'worker')} of ",
    "{plural(threads, 'thread')}, {format(plan$fit * plan$cores / 3600, digits = 2)} core-hours."
  )
  step_message(
    TRUE, "{duration_text(passes * plan$reading / cost$readings)} of it are reading, ",
    "{bytes_text(cost$bytes[['read']])} in each pass, at {bytes_text(plan$read_rate)}/s in all. Memory: about ",
    "{bytes_text(cost$memory[['worker']])} a worker{if (is.null(cluster)) ', and here the sample' else ''}."
  )
  step_message(
    TRUE, "mash_posterior() would take {duration_text(plan$posterior)} and write {bytes_text(cost$bytes[['written']])}."
  )
  invisible(cost)
}
