# Rows that cannot be placed: a part of what names their effect is missing, or their condition. They are left out,
# counted and listed; matched by what is left of their names they would be taken for one another.

# Which. A variant is named by its identifier or by its place. No vector in the common case that nothing is missing.
which_unnamed <- function(ids) {
  lost <- NULL
  add <- function(x) lost <<- if (is.null(lost)) x else lost | x
  for (part in c("gene", "effect_allele", "other_allele")) {
    if (anyNA(ids[[part]])) add(is.na(ids[[part]]))
  }
  if (is.null(ids$variant)) {
    if (anyNA(ids$position) || !is.null(ids$position) && anyNA(ids$chromosome)) add(no_place(ids))
  } else if (anyNA(ids$variant)) {
    add(is.na(ids$variant) & no_place(ids))
  }
  if (is.null(lost)) integer() else which(lost)
}

no_place <- function(ids) {
  if (is.null(ids$position)) {
    return(TRUE)
  }
  if (is.null(ids$chromosome)) is.na(ids$position) else is.na(ids$position) | is.na(ids$chromosome)
}

# Entries of rows that are in no index, called by what there is of gene and variant.
note_unnamed <- function(state, condition, ids, rows, what) {
  gene <- ids$gene[rows]
  variant <- ids$variant[rows]
  labels <- if (is.null(gene) || is.null(variant)) {
    c(gene, variant)
  } else {
    ifelse(is.na(gene), variant, ifelse(is.na(variant), gene, paste(gene, variant, sep = "_")))
  }
  if (is.null(labels)) labels <- rep(NA_character_, length(rows))
  state$entries <- c(state$entries, list(list(condition = condition, labels = labels, what = what)))
}

# Of a table with a column for the condition.
drop_without_condition <- function(state, ids, condition, format) {
  rows <- which(is.na(condition))
  if (length(rows) == 0L) {
    return(invisible(NULL))
  }
  note_unnamed(state, NA_character_, ids, rows, "no_condition")
  before <- if (is.null(state$nameless)) no_counts else state$nameless$counts
  before[c("rows", "unnamed")] <- before[c("rows", "unnamed")] + length(rows)
  state$nameless <- list(counts = before, format = unique(c(state$nameless$format, format)))
}

said_of_unnamed <- function(report) {
  of_none <- is.na(report$condition)
  n <- c(sum(report$unnamed[!of_none]), sum(report$unnamed[of_none]))
  words <- c("without an identifier left out", "without a condition left out")
  paste(vapply(n, plural, "", "row"), words)[n > 0]
}
