# Effects whose strand cannot be told from their alleles (A/T, C/G): turned or dropped by the rule that was asked for.

# Frequencies of the effect allele of the effect, as it lies in the first file.
keep_frequencies <- function(state, rows, frequency, turned) {
  J <- length(state$index$keys)
  kept <- c(state$frequency, rep(NA_real_, J - length(state$frequency)))
  if (!is.null(frequency)) {
    frequency <- toward(frequency, turned)
    new <- which(is.na(kept[rows]))
    kept[rows[new]] <- frequency[new]
  }
  state$frequency <- kept
}

toward <- function(frequency, turned) {
  if (!is.null(turned)) frequency[turned] <- 1 - frequency[turned]
  frequency
}

# Which effects with alleles A/T or C/G are turned or dropped.
settle_ambiguous <- function(state, placed, turned, frequency, rule) {
  ambiguous <- placed$ambiguous
  if (rule == "drop") {
    return(list(turned = turned, dropped = ambiguous, changed = ambiguous))
  }
  rows <- placed$rows
  keep_frequencies(state, rows, frequency, turned)
  theirs <- state$frequency[rows]
  own <- if (is.null(frequency)) rep(NA_real_, length(rows)) else toward(frequency, turned)
  unsure <- rows <= placed$known & (is.na(own) | is.na(theirs) | abs(own - 0.5) < 0.1 | abs(theirs - 0.5) < 0.1)
  dropped <- ambiguous & unsure
  other <- which(ambiguous & !unsure & (own < 0.5) != (theirs < 0.5))
  if (is.null(turned)) turned <- logical(length(rows))
  turned[other] <- !turned[other]
  list(turned = turned, dropped = dropped, changed = replace(dropped, other, TRUE))
}
