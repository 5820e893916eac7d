# Several rows of one effect in one condition: which of them counts.

# Of rows of the same effect the one to keep; also against those that a file before had, where `before` is TRUE. A list
# of `rows`, which to write; `cleared`, effects to be made NA; `n`, how many rows were left out. r: which condition.
settle_duplicates <- function(state, condition, r, rows, values, before, rule) {
  again <- which(rows %in% rows[duplicated(rows)] | before)
  effect <- rows[again]
  # Those of a file before stand first, as row 0.
  known <- unique(effect[before[again]])
  theirs <- by_block(state$store, known)
  all <- data.frame(
    effect = c(known, effect), at = c(rep(0L, length(known)), again),
    estimate = c(stored(theirs, "estimate", r), values$estimate[again]),
    se = c(stored(theirs, "se", r), values$se[again])
  )
  differs <- function(x) {
    first <- x[match(all$effect, all$effect)]
    !(is.na(x) & is.na(first) | !is.na(x) & !is.na(first) & x == first)
  }
  # Nothing usable is no rival.
  all <- all[order(all$effect, is.na(all$se)), ]
  rivals <- unique(all$effect[(differs(all$estimate) | differs(all$se)) & !is.na(all$se)])
  if (rule == "error" && length(rivals) > 0L) {
    abort_input(
      "'{condition}' has {plural(length(rivals), 'effect')} with several different estimates, first ",
      "'{effect_names(state$index, rivals[1])}'; mend the file, or choose a rule with `duplicates`.",
      class = "covmash_error_duplicates"
    )
  }
  if (rule == "precise") all <- all[order(all$effect, all$se), ] # NA last; equal ones as they come
  chosen <- all[!duplicated(all$effect), ]
  cleared <- if (rule == "drop") rivals else integer()
  chosen <- chosen[chosen$at > 0L & !chosen$effect %in% cleared, ]
  note(state, condition, rivals, "duplicate")
  list(rows = sort(c(setdiff(seq_along(rows), again), chosen$at)), cleared = cleared, n = nrow(all) - sum(!duplicated(all$effect)))
}
