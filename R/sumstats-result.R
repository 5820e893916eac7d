# What was read, as matrices with a report.

finish_reading <- function(state, min_conditions) {
  conditions <- names(state$estimate)
  J <- length(state$index$keys)
  R <- length(conditions)
  n_observed <- integer(J)
  for (r in seq_len(R)) {
    there <- which(!is.na(state$estimate[[r]]))
    n_observed[there] <- n_observed[there] + 1L
  }
  kept <- which(n_observed >= min_conditions)
  if (length(kept) == 0L) {
    abort_input(
      "No effect has an estimate in {plural(min_conditions, 'condition')} or more; the files have {plural(J, 'effect')} in all.",
      class = "covmash_error_data"
    )
  }
  all <- length(kept) == J
  labels <- effect_names(state$index)
  report <- report_of(state, kept, J)
  state$tested <- NULL
  fill <- function(part) {
    give_back(state)
    out <- matrix(NA_real_, length(kept), R, dimnames = list(if (all) labels else labels[kept], conditions))
    for (r in seq_len(R)) {
      cpp_listen()
      x <- state[[part]][[r]]
      out[, r] <- if (all) c(x, rep(NA_real_, J - length(x))) else x[kept]
      # Its memory is given back.
      state[[part]][r] <- list(NULL)
    }
    out
  }
  structure(
    list(
      Bhat = fill("estimate"), Shat = fill("se"), effects = effects_of(state, kept), report = report,
      entries = entries_of(state, labels, conditions), dropped = J - length(kept)
    ),
    class = "mash_sumstats"
  )
}

report_of <- function(state, kept, J) {
  counts <- do.call(rbind, state$counts)
  used <- vapply(state$estimate, function(x) sum(!is.na(x[kept])), 0L)
  tested <- vapply(state$tested, function(x) sum(x[kept] > 0, na.rm = TRUE), 0L)
  data.frame(
    condition = names(state$estimate), format = vapply(state$format, paste, "", collapse = ", "), counts,
    used = used, not_tested = length(kept) - tested, row.names = NULL
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
effect_names <- function(index, rows = seq_along(index$keys)) {
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

entries_of <- function(state, labels, conditions) {
  parts <- state$entries
  n <- vapply(parts, function(x) length(x$rows), 0L)
  out <- data.frame(
    condition = rep(vapply(parts, `[[`, "", "condition"), n), effect = labels[unlist(lapply(parts, `[[`, "rows"))],
    what = rep(vapply(parts, `[[`, "", "what"), n)
  )
  out
}

warn_no_overlap <- function(x) {
  if (ncol(x$Bhat) < 2L || nrow(x$Bhat) == 0L) {
    return(invisible(NULL))
  }
  elsewhere <- rowSums(!is.na(x$Bhat)) > 1
  for (r in seq_len(ncol(x$Bhat))) {
    here <- !is.na(x$Bhat[, r])
    if (any(here) && !all(here) && !any(elsewhere & here)) {
      mine <- rownames(x$Bhat)[which(here)[1]]
      other <- rownames(x$Bhat)[which(!here)[1]]
      warn_covmash(
        "No effect of '{colnames(x$Bhat)[r]}' is in any other condition; are genes and variants named alike? It has e.g. ",
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
  said <- paste(format_count(total), words[names(total)])[total > 0]
  if (x$dropped > 0L) said <- c(said, paste(plural(x$dropped, "effect"), "without enough estimates dropped"))
  inform_covmash(
    "{plural(nrow(x$Bhat), 'effect')} in {plural(ncol(x$Bhat), 'condition')}, {format_percent(mean(is.na(x$Bhat)))} missing",
    "{if (length(said)) paste0('; ', paste(said, collapse = ', ')) else ''}.",
    class = "covmash_message_sumstats"
  )
}

format_percent <- function(x) paste(format(100 * x, digits = 2), "%")
