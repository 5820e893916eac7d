# One look at all of a source, of which everything else follows that has to be known about the whole: how many effects
# and noises there are, the range of the grid, which noises are shared, and a sample.
#
# It takes two readings, segment by segment, on workers too. The first counts; the second fetches what the counts have
# chosen. Neither depends on how the work was shared out.

#' A look at all of a source
#'
#' Reads a source ([mash_source()]) through and keeps what has to be known about the whole: checks, counts, the range of
#' effects, which standard errors are shared by many effects, a checksum of every segment, and a sample. [mash()] takes
#' the result in place of the source and then does not look again.
#'
#' @param object A source made by [mash_source()].
#' @param cluster Where to work: `NULL` (here), the name of a compute profile of mirai, or a cluster of parallel, see
#'   [mash()].
#' @param sample_rows About how many effects the two samples have, at least 100; `NULL` for 131,072, with more than 22
#'   conditions less. Larger ones take memory and save passes over the data; the fit does not depend on them.
#' @param x A look at a source.
#' @param n_threads Number of threads, see [covmash_threads].
#' @param ... Not used.
#' @return A list of class `"mash_scan"`: `source`; `n_effects`, `n_conditions`; `observed`, the number of estimates of
#'   each condition; `noise`, counts of missing entries and of rows that share their noise; `range`, of standard errors
#'   and effects, for the grid; `dictionary`, the noises that at least 32 effects share up to a factor (`shat`, R x G,
#'   and `count`); `checksums`, one for each segment, by which a later pass notices that a file has changed; `sample`, a
#'   data object of effects chosen without regard to their values, for [cov_pca()] and the like; `pilot`,
#'   a sample that has more of the effects with large z-scores (`data`, and `times`, how many effects each stands for),
#'   on which the fit begins; `seconds`, of reading and of counting.
#' @details How an effect is computed depends on the effect and on the dictionary, so results have the same bits however
#'   a source is shared out. Effects whose noise is in no entry have noise of their own.
#' @section Errors: `covmash_error_source` if a file cannot be read or has changed, a value in it cannot be used (with
#'   file and row), or all are missing; `covmash_error_data` for a look that is damaged.
#' @seealso [mash_source()], [mash()], [mash_posterior()]
#' @concept large data
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 100, ncond = 4, err_sd = 1)
#' src <- mash_source(function(i) {
#'   rows <- seq(1, 200) + 200 * (i - 1)
#'   list(Bhat = sim$Bhat[rows, ], Shat = sim$Shat[rows, ])
#' }, n = 2, n_effects = 400)
#' look <- summary(src, n_threads = 1)
#' look
#' cov_pca(look$sample, 2)
summary.mash_source <- function(object, cluster = NULL, sample_rows = NULL, n_threads = NULL, ...) {
  check_source(object, "object")
  take_dots(list(...), character(), "summary() of a source")
  if (is.null(sample_rows)) sample_rows <- size_of_sample(object)
  check_whole(sample_rows, "sample_rows", 100)
  check_cluster(cluster)
  n_threads <- resolve_threads(n_threads)
  scan_source(object, cluster, sample_rows, n_threads)
}

# 24 MB for each of its matrices.
size_of_sample <- function(src) max(20000, min(131072, floor(3e6 / length(src$conditions))))

scan_source <- function(src, cluster, sample_rows, n_threads) {
  segments <- lapply(seq_len(n_segments(src)), function(i) list(segment = i))
  counters <- run_core(cpp_noise_counters())
  counted <- over_segments("Looking through", segments, "count_segment", list(src = src), cluster, function(i, result) {
    run_core(cpp_count_noises(counters, result$noises$counter, result$noises$count))
  }, drop = "noises")
  total <- function(part) Reduce(`+`, lapply(counted, `[[`, part))
  strata <- total("strata")
  if (sum(strata) == 0) {
    abort_source(
      "There is no estimate in the source: all are missing. See whether `Bhat` names the right columns.",
      class = "covmash_error_data"
    )
  }
  chosen <- over_segments("Fetching the sample", segments, "fetch_of_segment", list(
    src = src, chance = chances(strata, sample_rows), rows = sample_rows_of(src$n_effects, sample_rows),
    candidates = run_core(cpp_frequent_noises(counters))
  ), cluster)
  dictionary <- common_noises(lapply(chosen, `[[`, "noises"), src$conditions)
  in_groups <- sum(dictionary$count)
  counts <- total("counts")
  structure(
    list(
      source = src, digest = source_digest(src), n_effects = src$n_effects, n_conditions = length(src$conditions),
      observed = total("observed"),
      noise = list(
        n_groups = length(dictionary$count) + (counts[["simple"]] > 0), n_shared_rows = counts[["simple"]] + in_groups,
        n_row_specific = src$n_effects - counts[["simple"]] - in_groups - counts[["unobserved"]],
        n_missing = counts[["n_missing"]], n_all_missing = counts[["unobserved"]], n_effects = src$n_effects,
        n_conditions = length(src$conditions)
      ),
      range = list(
        smallest_shat = min(vapply(counted, function(part) part$range$smallest_shat, 0)),
        largest_excess = max(vapply(counted, function(part) part$range$largest_excess, 0))
      ),
      jacobian = total("jacobian"), dictionary = dictionary,
      checksums = vapply(counted, `[[`, "", "checksum"), sample = bind_data(src, lapply(chosen, `[[`, "sample")),
      pilot = pilot_of(src, chosen, strata), seconds = c(reading = total("reading"), counting = total("counting"))
    ),
    class = "mash_scan"
  )
}

# ---- a segment, where the worker is ----------------------------------------------

# Without what is left of the segment before.
fresh_segment <- function(src, i) {
  if (src$segment_rows * length(src$conditions) > 1e6) {
    gc(FALSE)
    run_core(cpp_return_memory())
  }
  segment_data(src, i)
}

count_segment <- function(task, common) {
  began <- elapsed()
  data <- fresh_segment(common$src, task$segment)
  read <- elapsed()
  c(count_effects(data), list(reading = read - began, counting = elapsed() - read))
}

count_effects <- function(data) {
  noises <- run_core(cpp_noise_keys(data))
  strata <- run_core(cpp_strata(data))
  jacobian <- 0
  if (data$alpha != 0) jacobian <- sum(log(data$Shat_alpha[!is.na(data$Bhat)]))
  list(
    noises = noises[c("counter", "count")], counts = unlist(noises[c("simple", "unobserved", "n_missing")]),
    strata = as.double(tabulate(strata$of, strata$size)), observed = colSums(!is.na(data$Bhat)),
    range = run_core(cpp_effect_range(data)), jacobian = jacobian, checksum = run_core(cpp_checksum(data))
  )
}

# chance: of each stratum, that an effect of it is in the pilot; rows: of the source, of the sample; candidates:
# counters of noises that may be in the dictionary.
fetch_of_segment <- function(task, common) {
  fetch_effects(fresh_segment(common$src, task$segment), segment_range(common$src, task$segment)[1], common)
}

# first: the number of the first effect of the data in the source.
fetch_effects <- function(data, first, common) {
  n <- nrow(data$Bhat)
  strata <- run_core(cpp_strata(data))$of
  lot <- run_core(cpp_lots(first, n))
  pilot <- which(lot < common$chance[strata])
  rows <- common$rows[common$rows >= first & common$rows < first + n] - first + 1
  values <- function(rows) lapply(unclass(data)[c("Bhat", "Shat", "Shat_alpha")], function(x) x[rows, , drop = FALSE])
  list(
    noises = if (length(common$candidates) > 0L) run_core(cpp_candidate_noises(data, common$candidates)),
    pilot = c(values(pilot), list(lot = lot[pilot], stratum = strata[pilot])), sample = values(rows)
  )
}

# ---- put together ------------------------------------------------------------------

# The results of a function of the package for all segments. take(i, result) hears of each as it comes; `drop` is not
# kept of it.
over_segments <- function(name, tasks, worker, common, cluster, take = NULL, drop = NULL) {
  rows <- vapply(tasks, function(task) diff(segment_range(common$src, task$segment)) + 1, 0)
  began <- elapsed()
  finished <- 0
  results <- vector("list", length(tasks))
  begin_steps(paste0(name, ", segments"), length(tasks))
  next_step()
  run_tasks(tasks, worker, common, cluster, done = function(i, result) {
    if (!is.null(take)) take(i, result)
    results[[i]] <<- result[setdiff(names(result), drop)]
    finished <<- finished + rows[[i]]
    next_step(paste(format_count(signif(finished / max(elapsed() - began, 1e-3), 3)), "rows/s"))
    invisible(NULL)
  })
  results
}

# Of N_h effects of a stratum about c sqrt(N_h) are chosen, all of the small ones, n in all.
chances <- function(strata, n) {
  taken <- function(c) sum(pmin(strata, c * sqrt(strata)))
  if (sum(strata) <= n) {
    return(rep(1, length(strata)))
  }
  range <- c(0, sqrt(sum(strata)))
  for (step in 1:60) {
    c <- mean(range)
    range[if (taken(c) > n) 2L else 1L] <- c
  }
  pmin(1, range[1] / sqrt(pmax(strata, 1)))
}

# A data object of values that come from data objects.
bind_data <- function(src, parts) {
  bind <- function(name) do.call(rbind, lapply(parts, `[[`, name))
  V <- if (is.null(src$V)) diag(length(src$conditions)) else src$V
  values <- list(Bhat = bind("Bhat"), Shat = bind("Shat"), Shat_alpha = bind("Shat_alpha"))
  structure(c(values, list(V = V, commonV = TRUE, alpha = src$alpha)), class = c("mash_data", "mash"))
}

# times: so that the effects of a stratum stand for all of it, and all for all of the source. Strata of which the lot
# chose nothing are few effects; the others make up for them.
pilot_of <- function(src, chosen, strata) {
  parts <- lapply(chosen, `[[`, "pilot")
  stratum <- unlist(lapply(parts, `[[`, "stratum"))
  times <- (strata / pmax(tabulate(stratum, length(strata)), 1))[stratum]
  list(
    data = bind_data(src, parts), times = times * sum(strata) / sum(times),
    lot = unlist(lapply(parts, `[[`, "lot")), stratum = stratum
  )
}

# A smaller pilot of about n effects, by the same lots.
thin_pilot <- function(pilot, n) {
  if (length(pilot$times) <= n) {
    return(pilot)
  }
  # The lots of a stratum are below its chance.
  ranks <- stats::ave(pilot$lot, pilot$stratum, FUN = function(x) (rank(x) - 0.5) / length(x))
  sizes <- tabulate(pilot$stratum)
  kept <- which(ranks < chances(sizes, n)[pilot$stratum])
  totals <- vapply(split(pilot$times, factor(pilot$stratum, seq_along(sizes))), sum, 0)
  stratum <- pilot$stratum[kept]
  times <- (totals / pmax(tabulate(stratum, length(totals)), 1))[stratum]
  list(
    data = pilot$data[kept, ], times = unname(times) * sum(pilot$times) / sum(times), lot = pilot$lot[kept],
    stratum = stratum
  )
}

# The noises that enough effects share, the most frequent ones if there are too many; of each the first representative.
common_noises <- function(parts, conditions, most = 65536L) {
  parts <- Filter(Negate(is.null), parts)
  keys <- unlist(lapply(parts, `[[`, "key"))
  count <- unlist(lapply(parts, `[[`, "count"))
  first <- which(!duplicated(keys))
  totals <- if (length(first) > 0L) rowsum(count, match(keys, keys[first]))[, 1] else double()
  kept <- which(totals >= run_core(cpp_smallest_in_dictionary()))
  if (length(kept) > most) kept <- sort(kept[order(-totals[kept], kept)[seq_len(most)]])
  shat <- do.call(cbind, c(list(matrix(0, length(conditions), 0L)), lapply(parts, `[[`, "shat")))
  shat <- shat[, first[kept], drop = FALSE]
  rownames(shat) <- conditions
  list(shat = shat, count = as.double(totals[kept]))
}

# The dictionary for data whose conditions are those of a fit: in their order, without the others.
dictionary_for <- function(dictionary, conditions) {
  if (is.null(dictionary)) {
    return(NULL)
  }
  at <- if (is.null(conditions)) seq_len(nrow(dictionary$shat)) else match(conditions, rownames(dictionary$shat))
  list(shat = unname(dictionary$shat[at, , drop = FALSE]), count = dictionary$count)
}

# ---- the class ---------------------------------------------------------------------

is_scan <- function(x) inherits(x, "mash_scan")

check_scan <- function(x, name = "x") {
  if (!is_scan(x)) {
    abort_input(
      "`{name}` must be a look at a source made by summary(), not {describe(x)}.", class = "covmash_error_data"
    )
  }
  if (!is.list(x) || !is_source(x$source) || !is_scan_of(x, check_source(x$source, name))) {
    abort_input("`{name}` is damaged; make it again with summary() of the source.", class = "covmash_error_data")
  }
  invisible(x)
}

# Whether all that is used of a scan is there and fits the source.
is_scan_of <- function(x, src) {
  R <- length(src$conditions)
  numbers <- function(x, n, lower = 0) {
    checkmate::test_double(x, lower = lower, finite = TRUE, any.missing = FALSE, len = n)
  }
  has_values <- function(data, n = NULL) {
    inherits(data, "mash_data") && is.list(data) &&
      checkmate::test_matrix(data$Bhat, mode = "double", ncols = R, nrows = n) &&
      checkmate::test_matrix(data$Shat, mode = "double", ncols = R, nrows = nrow(data$Bhat))
  }
  are_lists <- all(vapply(x[c("noise", "range", "dictionary", "pilot")], is.list, NA))
  counts <- c("n_groups", "n_shared_rows", "n_row_specific", "n_missing", "n_all_missing", "n_effects", "n_conditions")
  n <- length(x$pilot[["times"]])
  are_lists && identical(x$digest, source_digest(src)) && identical(x$n_effects, src$n_effects) &&
    identical(x$n_conditions, R) && numbers(x$observed, R) && numbers(x$jacobian, 1L, -Inf) &&
    all(vapply(counts, function(part) checkmate::test_count(x$noise[[part]]), NA)) &&
    checkmate::test_number(x$range$smallest_shat) && checkmate::test_number(x$range$largest_excess) &&
    checkmate::test_matrix(x$dictionary$shat, mode = "double", nrows = R) &&
    identical(rownames(x$dictionary$shat), src$conditions) &&
    numbers(x$dictionary$count, ncol(x$dictionary$shat), 1) &&
    checkmate::test_character(x$checksums, any.missing = FALSE, len = n_segments(src)) && has_values(x$sample) &&
    has_values(x$pilot$data, n) && numbers(x$pilot$times, n) && numbers(x$pilot$lot, n) &&
    checkmate::test_integer(x$pilot$stratum, any.missing = FALSE, lower = 1L, len = n) && numbers(x$seconds, 2L)
}

#' @rdname summary.mash_source
#' @export
format.mash_scan <- function(x, ...) {
  check_scan(x)
  paste0(
    "<mash_scan> ", plural(x$n_effects, "effect"), " x ", plural(x$n_conditions, "condition"), ", ",
    plural(length(x$checksums), "segment")
  )
}

#' @rdname summary.mash_source
#' @export
print.mash_scan <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  print_noise(x$noise)
  observed <- x$observed / x$n_effects
  status_line(
    "observed:", format(100 * min(observed), digits = 3), " to ", format(100 * max(observed), digits = 3),
    " % of the effects, by condition"
  )
  status_line("sample:", plural(nrow(x$sample$Bhat), "effect"))
  status_line("pilot:", plural(length(x$pilot$times), "effect"), ", more of those with large z-scores")
  status_line(
    "time:", seconds(x$seconds[["reading"]]), " reading, ", seconds(x$seconds[["counting"]]), " counting (on workers)"
  )
  invisible(x)
}
