# Estimates, standard errors and what was tested, while files are read. Each column stands in matrices that are
# allocated once: the first file makes a block of its effects and all conditions, effects that only later files have
# make others. Where no later file has any, the first block is the result.

# room: columns of each block; first: the effect in the first row of each block; n_rows: how many all have room for;
# n_tested: effects that were tested, by condition.
new_store <- function() {
  list2env(list(
    conditions = character(), room = 0L, blocks = list(), first = integer(), n_rows = 0L, n_tested = integer()
  ), parent = emptyenv())
}

# Room for so many conditions; what is there already moves only if there are more than was expected.
expect_conditions <- function(store, n) {
  if (n <= store$room) {
    return(invisible(NULL))
  }
  for (block in store$blocks) {
    for (part in names(block)) {
      block[[part]] <- cbind(block[[part]], empty_part(part, nrow(block[[part]]), n - store$room))
    }
  }
  store$room <- n
}

empty_part <- function(part, n_rows, n_columns) {
  if (part == "tested") matrix(raw(1), n_rows, n_columns) else matrix(NA_real_, n_rows, n_columns)
}

# The number of the condition, and whether anything of it has been read; room for J effects.
open_column <- function(store, condition, J) {
  r <- match(condition, store$conditions)
  fresh <- is.na(r)
  if (fresh) {
    store$conditions <- c(store$conditions, condition)
    r <- length(store$conditions)
    store$n_tested[r] <- 0L
    expect_conditions(store, r)
  }
  if (J > store$n_rows) {
    # Files that bring a few effects each would make a block each.
    n <- as.integer(max(J - store$n_rows, store$n_rows %/% 64L))
    block <- new.env(parent = emptyenv())
    # One by one: what a list held before is copied when it is written to.
    for (part in c("estimate", "se", "tested")) block[[part]] <- empty_part(part, n, store$room)
    store$blocks <- c(store$blocks, list(block))
    store$first <- c(store$first, store$n_rows + 1L)
    store$n_rows <- store$n_rows + n
  }
  list(r = r, fresh = fresh)
}

# Where the effects `rows` are: each block with `at`, which of them it has (NULL: all), and `rows`, where it has them.
by_block <- function(store, rows) {
  if (length(store$blocks) == 1L) {
    return(list(list(block = store$blocks[[1]], at = NULL, rows = rows)))
  }
  # As factor() would make it of numbers, through their names, and slowly.
  number <- structure(findInterval(rows, store$first), levels = as.character(seq_along(store$blocks)), class = "factor")
  parts <- unname(split(seq_along(rows), number))
  lapply(which(lengths(parts) > 0L), function(k) {
    list(block = store$blocks[[k]], at = parts[[k]], rows = rows[parts[[k]]] - store$first[k] + 1L)
  })
}

stored <- function(pieces, part, r) {
  out <- lapply(pieces, function(piece) piece$block[[part]][piece$rows, r])
  if (length(pieces) == 1L) {
    return(out[[1]])
  }
  all <- vector(if (part == "tested") "raw" else "double", sum(lengths(out)))
  for (k in seq_along(pieces)) all[pieces[[k]]$at] <- out[[k]]
  all
}

store_values <- function(pieces, part, r, values) {
  for (piece in pieces) {
    # A matrix that the block has, too, would be copied when it is written to.
    x <- piece$block[[part]]
    piece$block[[part]] <- NULL
    x[piece$rows, r] <- if (is.null(piece$at) || length(values) == 1L) values else values[piece$at]
    piece$block[[part]] <- x
  }
}

count_tested <- function(store, r, n) store$n_tested[r] <- store$n_tested[r] + n

# ---- the whole --------------------------------------------------------------------

# How many estimates each effect and each condition has.
count_observed <- function(store, J) {
  effects <- integer()
  conditions <- double(store$room)
  for (block in store$blocks) {
    missing <- is.na(block$estimate)
    effects <- c(effects, as.integer(store$room - rowSums(missing)))
    conditions <- conditions + nrow(missing) - colSums(missing)
  }
  list(effects = effects[seq_len(J)], conditions = as.integer(conditions[seq_along(store$conditions)]))
}

# Of the effects `rows`, how many have an estimate in each condition, and how many were tested.
count_rows <- function(store, rows) {
  count <- function(code) vapply(seq_along(store$conditions), function(r) sum(code(r)), 0L)
  pieces <- by_block(store, rows)
  list(
    observed = count(function(r) !is.na(stored(pieces, "estimate", r))),
    tested = count(function(r) stored(pieces, "tested", r) > 0)
  )
}

# The matrix of the effects `kept` (NULL: all), called by `labels`; the store has it no longer.
take_matrix <- function(store, part, kept, J, labels = NULL) {
  R <- length(store$conditions)
  names <- if (!is.null(labels)) list(labels, store$conditions)
  if (is.null(kept) && length(store$blocks) == 1L && store$room == R) {
    out <- store$blocks[[1]][[part]]
    # Named without a copy, as the only one that has it.
    store$blocks[[1]][[part]] <- NULL
    dimnames(out) <- names
  } else {
    out <- matrix(NA_real_, if (is.null(kept)) J else length(kept), R, dimnames = names)
    for (piece in by_block(store, if (is.null(kept)) seq_len(J) else kept)) {
      # Some columns at a time: what is cut out of a block stands twice.
      for (r in split(seq_len(R), (seq_len(R) - 1L) %/% 8L)) {
        cpp_listen()
        x <- piece$block[[part]][piece$rows, r]
        if (is.null(piece$at)) out[, r] <- x else out[piece$at, r] <- x
        x <- NULL
        give_back(length(piece$rows), full = FALSE)
      }
    }
  }
  for (block in store$blocks) block[[part]] <- NULL
  out
}
