# Questions to a posterior in files that go through all of its pieces, one in memory at a time. The functions that ask
# them of results in memory call these; the numbers are the same.

# ask(piece, k) of every piece, a mash_rows; the answers in a list.
over_pieces <- function(x, what, parts, ask, ids = FALSE) {
  check_output(x, "m")
  refuse_unwritten(x, parts)
  refuse_unfinished(x)
  begin_steps(paste0(what, ", pieces"), nrow(x$pieces))
  lapply(seq_len(nrow(x$pieces)), function(k) {
    next_step()
    piece <- read_piece(x, k, parts, ids = ids)
    rows <- as_index(seq(x$pieces$from[k], x$pieces$to[k]))
    piece <- new_rows(piece$result, piece$observed, piece$id, x$conditions, rows)
    # What needs all effects at once can tell that it has not got them.
    class(piece) <- c("mash_piece", class(piece))
    ask(piece, k)
  })
}

# Which quantity a function of significance takes; NULL for one that is not ours.
part_of_fn <- function(sig_fn) {
  known <- list(lfsr = get_lfsr, lfdr = get_lfdr, NegativeProb = get_np)
  is_it <- vapply(known, identical, NA, sig_fn)
  if (any(is_it)) names(known)[is_it]
}

# ask(sig, k) of the significances of every piece, as significance() has them. The threshold is held against the whole.
over_significances <- function(m, what, thresh, conditions, sig_fn, predicted, ask) {
  check_output(m, "m")
  check_number(thresh, "thresh", what = "one number")
  part <- part_of_fn(sig_fn)
  own <- is.null(part)
  # These are probabilities, before anything is read.
  if (!own) check_thresh(thresh, "thresh", 0.5)
  ranges <- matrix(NA_real_, nrow(m$pieces), 2L)
  answers <- over_pieces(m, what, if (own) m$columns else part, ids = own, ask = function(piece, k) {
    sig <- significance(piece, 0, conditions, sig_fn, predicted)
    if (nrow(sig) != piece$dim[1]) {
      abort_input(
        "`sig_fn` gives {describe(sig)} for {plural(piece$dim[1], 'effect')}; of a posterior in files it is given ",
        "some effects at a time, and must give a row for each.",
        class = "covmash_error_argument"
      )
    }
    if (own && any(!is.na(sig))) ranges[k, ] <<- range(sig, na.rm = TRUE)
    ask(sig, k)
  })
  check_thresh(thresh, "thresh", ranges[!is.na(ranges)])
  answers
}

stream_significant <- function(m, thresh, conditions, sig_fn, predicted) {
  found <- over_significances(m, "Significant effects", thresh, conditions, sig_fn, predicted, function(sig, k) {
    best <- row_minima(sig)
    here <- which(best < thresh)
    list(rows = m$pieces$from[k] - 1 + here, best = best[here], id = if (length(here) > 0L) piece_ids(m, k)[here])
  })
  part <- function(name) unlist(lapply(found, `[[`, name), use.names = FALSE)
  best <- part("best")
  order <- order_in_pieces(best)
  rows <- as_index(part("rows")[order])
  if (any(m$pieces$id)) names(rows) <- as.character(part("id"))[order]
  rows
}

stream_n_significant <- function(m, thresh, conditions, sig_fn, predicted) {
  counts <- over_significances(m, "Significant conditions", thresh, conditions, sig_fn, predicted, function(sig, k) {
    stats::setNames(count_in_rows(sig, thresh), piece_ids(m, k))
  })
  unlist(counts)
}

stream_count <- function(m, thresh, conditions, sig_fn, predicted) {
  counts <- over_significances(m, "Significant effects", thresh, conditions, sig_fn, predicted, function(sig, k) {
    count_in_columns(sig, thresh)
  })
  as_counts(Reduce(`+`, counts))
}

stream_sharing <- function(m, factor, lfsr_thresh, FUN, predicted) {
  total <- NULL
  over_pieces(m, "Sharing", c("PosteriorMean", "lfsr"), function(piece, k) {
    lfsr <- significance(piece, lfsr_thresh, NULL, get_lfsr, predicted)
    counts <- count_shared(lfsr, get_pm(piece), factor, lfsr_thresh, FUN)
    total <<- if (is.null(total)) counts else Map(`+`, total, counts)
  })
  total
}

# ---- groups of effects ---------------------------------------------------------

# The tables of every piece, put together. So many rows of them are kept that putting together costs little.
stream_summaries <- function(m, by, thresh, predicted, by_condition) {
  check_output(m, "m")
  refuse_unwritten(m, c("PosteriorMean", "lfsr"))
  check_thresh(thresh, "thresh", 0.5)
  parts <- intersect(c("PosteriorMean", "PosteriorSD", "lfsr"), m$columns)
  fixed <- is_group_vector(by, m$n_effects)
  known <- if (fixed) effect_groups(by, m$n_effects)
  kept <- list()
  size <- 0
  limit <- 1e6
  over_pieces(m, "Summaries", parts, ids = TRUE, function(piece, k) {
    groups <- if (fixed) {
      here <- unique(known$at[piece$rows])
      list(at = match(known$at[piece$rows], here), labels = known$labels[here])
    } else if (is.null(by)) {
      list(at = seq_along(piece$rows), labels = piece_labels(piece))
    } else {
      number_groups(groups_of_names(by, as.character(piece_labels(piece)), m$n_effects))
    }
    lfsr <- significance(piece, thresh, NULL, get_lfsr, predicted)
    one <- group_summaries(lfsr, get_pm(piece), get_psd(piece), groups, thresh, by_condition)
    if (is.null(rownames(lfsr))) one$table$lead <- piece$rows[one$table$lead]
    kept[[length(kept) + 1L]] <<- one
    size <<- size + nrow(one$table)
    if (size > limit && !is.null(by)) {
      kept <<- list(join_summaries(kept))
      size <<- nrow(kept[[1L]]$table)
      limit <<- max(limit, 2 * size)
    }
  })
  # Without groups no two pieces have a row in common, whatever the effects are called.
  all <- join_summaries(kept, same = !is.null(by))
  if (fixed) {
    all$labels <- known$labels
    if (!by_condition) {
      at <- match(known$labels, all$table$group)
      all <- list(table = all$table[at, ], any = all$any[at, , drop = FALSE])
    }
  }
  conditions <- if (is.null(m$conditions)) as.character(seq_len(m$n_conditions)) else m$conditions
  finish_summaries(all, by_condition, conditions)
}

piece_labels <- function(piece) if (is.null(piece$dimnames[[1]])) piece$rows else piece$dimnames[[1]]

# Summaries of some effects each, as of all of them. same: may they have groups in common?
join_summaries <- function(parts, same = TRUE) {
  table <- do.call(rbind, lapply(parts, `[[`, "table"))
  any <- do.call(rbind, lapply(parts, `[[`, "any"))
  labels <- unlist(lapply(parts, `[[`, "labels"))
  if (!same || length(parts) == 1L) {
    return(list(table = table, any = any, labels = labels))
  }
  groups <- unique(table$group)
  key <- match(table$group, groups)
  # In tables by condition a row is known by both.
  if (is.null(any)) key <- key + length(groups) * (match(table$condition, unique(table$condition)) - 1)
  keys <- unique(key)
  at <- match(key, keys)
  sums <- function(x) as_index(unname(rowsum(as.double(x), at, reorder = FALSE)[, 1L]))
  lead <- first_of_each(at, table$lfsr, length(keys))
  out <- table[lead, ]
  out$n_effects <- sums(table$n_effects)
  if (is.null(any)) out$n_significant <- sums(table$n_significant)
  any <- if (!is.null(any)) unname(rowsum(any + 0L, at, reorder = FALSE)) > 0
  list(table = out, any = any, labels = unique(labels))
}
