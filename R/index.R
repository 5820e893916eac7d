# Choosing rows, conditions and variables: by number, name or TRUE and FALSE.

# Positions from indices (also negative), names or a logical vector.
resolve_index <- function(index, n, labels, name, what) {
  if (is.logical(index)) {
    if (length(index) != n || anyNA(index)) {
      unknown <- if (anyNA(index)) " and contains NA"
      abort_input(
        "A logical `{name}` must have one TRUE or FALSE for each of the {plural(n, what)}, but it has ",
        "length {length(index)}{unknown}.",
        class = "covmash_error_index"
      )
    }
    return(which(index))
  }
  if (is.character(index)) {
    at <- match(index, labels)
    if (anyNA(at)) {
      nameless <- if (is.null(labels)) paste0(" (the ", what, "s have no names)")
      abort_input(
        "`{name}` names {quote_some(unique(index[is.na(at)]))}, but there is no {what} of that name",
        "{nameless}.{did_you_mean(index[is.na(at)][1], labels)}",
        class = "covmash_error_index"
      )
    }
    return(at)
  }
  if (!is.numeric(index) || anyNA(index) || any(abs(index) > n) ||
        any(index != round(index))) {
    abort_input(
      "`{name}` must hold {what} numbers from 1 to {format_count(n)}, names, or TRUE and ",
      "FALSE{bad_index(index, n)}.",
      class = "covmash_error_index"
    )
  }
  if (any(index < 0) && any(index > 0)) {
    abort_input(
      "`{name}` mixes positive and negative numbers; use one kind.",
      class = "covmash_error_index"
    )
  }
  if (any(index < 0)) {
    return(setdiff(seq_len(n), -index))
  }
  index <- unname(index[index != 0])
  if (is.integer(index)) index else as_index(index)
}

bad_index <- function(index, n) {
  if (!is.numeric(index)) {
    return(paste0(", not ", describe(index)))
  }
  bad <- is.na(index) | abs(index) > n | index != round(index)
  bad[is.na(bad)] <- TRUE
  paste0("; its element ", which(bad)[1], " is ", format(index[bad][1]))
}

as_index <- function(x) {
  if (length(x) == 0L || max(x) <= .Machine$integer.max) as.integer(x) else x
}

# The rows `subset` names; NULL means all.
resolve_subset <- function(subset, data, name = "subset") {
  J <- nrow(data$Bhat)
  if (is.null(subset)) {
    return(seq_len(J))
  }
  rows <- resolve_index(subset, J, rownames(data$Bhat), name, "row")
  if (length(rows) == 0L) {
    abort_input("`{name}` selects no row; choose at least one.", class = "covmash_error_index")
  }
  rows
}
