# What was read, as matrices with a report.

finish_reading <- function(state, min_conditions) {
  J <- length(state$index$keys)
  observed <- count_observed(state$store, J)
  kept <- which(observed$effects >= min_conditions)
  if (length(kept) == 0L) refuse_nothing_read(state, min_conditions, J)
  if (length(kept) == J) kept <- NULL
  forget_look_ups(state$index)
  labels <- effect_names(state$index)
  report <- report_of(state, kept, J, observed$conditions)
  for (block in state$store$blocks) block$tested <- NULL
  names <- if (is.null(kept)) labels else labels[kept]
  fill <- function(part) {
    give_back(J)
    take_matrix(state$store, part, kept, J, names)
  }
  Bhat <- fill("estimate")
  Shat <- fill("se")
  warn_no_overlap(Bhat, if (is.null(kept)) observed$effects else observed$effects[kept])
  structure(
    list(
      Bhat = Bhat, Shat = Shat, effects = effects_of(state, if (is.null(kept)) seq_len(J) else kept), report = report,
      entries = entries_of(state, labels), dropped = J - nrow(Bhat)
    ),
    class = "mash_sumstats"
  )
}

refuse_nothing_read <- function(state, min_conditions, J) {
  unnamed <- sum(vapply(c(state$counts, list(state$nameless$counts)), function(x) sum(x["unnamed"]), 0L))
  abort_input(
    "No effect has an estimate in {plural(min_conditions, 'condition')} or more; the files have {plural(J, 'effect')} ",
    "in all{if (unnamed > 0L) paste0(', and ', plural(unnamed, 'row'), ' without an identifier or a condition') else ''}.",
    class = "covmash_error_data"
  )
}

# Rows without a condition stand last, in a line of their own.
report_of <- function(state, kept, J, observed) {
  conditions <- state$store$conditions
  left <- count_rows(state$store, if (is.null(kept)) integer() else setdiff(seq_len(J), kept))
  n <- if (is.null(kept)) J else length(kept)
  nameless <- state$nameless
  data.frame(
    condition = c(conditions, if (!is.null(nameless)) NA),
    format = vapply(
      c(state$format[conditions], if (!is.null(nameless)) list(nameless$format)), paste, "", collapse = ", "
    ),
    do.call(rbind, c(state$counts[conditions], if (!is.null(nameless)) list(nameless$counts))),
    used = c(observed - left$observed, if (!is.null(nameless)) 0L),
    not_tested = c(n - (state$store$n_tested - left$tested), if (!is.null(nameless)) 0L),
    row.names = NULL
  )
}

effects_of <- function(state, kept) {
  index <- state$index
  string <- index$strings[index$string[kept]]
  pair <- index$pair[kept]
  key <- index$pairs$keys[pair]
  out <- list(
    gene = if (length(index$genes)) index$genes[replace(index$gene[kept], index$gene[kept] == 0L, NA)],
    variant = if (any(nzchar(string))) string,
    chromosome = state$chromosome[kept], position = state$position[kept],
    effect_allele = index$pairs$alleles[key %% 2^26], other_allele = index$pairs$alleles[key %/% 2^26]
  )
  if (all(is.na(pair))) out$effect_allele <- out$other_allele <- NULL
  out <- Filter(Negate(is.null), out)
  structure(out, class = "data.frame", row.names = .set_row_names(length(kept)))
}

# gene_variant; where two effects have the same name, with their alleles.
effect_names <- function(index, rows = seq_along(index$gene)) {
  gene <- index$gene[rows]
  out <- index$strings[index$string[rows]]
  of_gene <- which(gene > 0L)
  if (length(of_gene) > 0L) {
    label <- index$genes[gene[of_gene]]
    variant <- out[of_gene]
    out[of_gene] <- paste(label, variant, sep = "_")
    bare <- !nzchar(variant)
    out[of_gene[bare]] <- label[bare]
  }
  if (anyDuplicated(out) == 0L) {
    return(out)
  }
  twice <- which(out %in% out[duplicated(out)])
  key <- index$pairs$keys[index$pair[rows[twice]]]
  alleles <- paste(index$pairs$alleles[key %/% 2^26], index$pairs$alleles[key %% 2^26], sep = "_")
  out[twice] <- make.unique(ifelse(is.na(key), out[twice], paste(out[twice], alleles, sep = "_")))
  out
}

entries_of <- function(state, labels) {
  parts <- state$entries
  effects <- lapply(parts, function(x) if (is.null(x$labels)) labels[x$rows] else x$labels)
  n <- lengths(effects)
  data.frame(
    condition = rep(vapply(parts, `[[`, "", "condition"), n), effect = as.character(unlist(effects)),
    what = rep(vapply(parts, `[[`, "", "what"), n)
  )
}

# n_observed: in how many conditions each effect has an estimate. Whole columns are looked at only where none of a few
# effects is shared.
warn_no_overlap <- function(Bhat, n_observed) {
  if (ncol(Bhat) < 2L) {
    return(invisible(NULL))
  }
  shared <- which(n_observed > 1L)
  few <- first_few(shared, 1000L)
  for (r in seq_len(ncol(Bhat))) {
    if (!all(is.na(Bhat[few, r])) || !all(is.na(Bhat[shared, r]))) next
    here <- !is.na(Bhat[, r])
    if (any(here) && !all(here)) {
      mine <- rownames(Bhat)[which(here)[1]]
      other <- rownames(Bhat)[which(!here)[1]]
      warn_covmash(
        "No effect of '{colnames(Bhat)[r]}' is in any other condition; are genes and variants named alike? It has e.g. ",
        "'{mine}', others '{other}'.",
        class = "covmash_warning_no_overlap"
      )
      return(invisible(NULL))
    }
  }
}

tell_reading <- function(x) {
  total <- colSums(x$report[c("other_tests", "unusable", "duplicates", "flipped", "strand", "ambiguous")])
  words <- c(
    other_tests = "rows of other tests left out", unusable = "without a usable estimate",
    duplicates = "duplicates left out", flipped = "flipped (alleles swapped)", strand = "matched over the other strand",
    ambiguous = "with ambiguous alleles turned or dropped"
  )
  said <- c(said_of_unnamed(x$report), paste(format_count(total), words[names(total)])[total > 0])
  if (x$dropped > 0L) said <- c(said, paste(plural(x$dropped, "effect"), "without enough estimates dropped"))
  inform_covmash(
    "{plural(nrow(x$Bhat), 'effect')} in {plural(ncol(x$Bhat), 'condition')}, {format_percent(1 - sum(x$report$used) / length(x$Bhat))} missing",
    "{if (length(said)) paste0('; ', paste(said, collapse = ', ')) else ''}.",
    class = "covmash_message_sumstats"
  )
}

format_percent <- function(x) paste(format(100 * x, digits = 2), "%")
