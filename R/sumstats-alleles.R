# Which effects of several files are the same, and on which allele: an effect is a gene, a site and the pair of its
# alleles, in whatever order and on whatever strand.

# What is known so far; grows as files come. Effects are numbered in the order in which they first come. For each string
# that names a variant: its site, the pair of alleles that is part of it, and the entity of both.
new_effect_index <- function() {
  list2env(list(
    genes = character(), strings = character(), contigs = character(), places = double(), site_of_string = double(),
    pair_of_string = integer(), entity_of_string = integer(), pairs = new_allele_pairs(), entities = double(),
    keys = double(), gene = integer(), string = integer(), pair = integer(), last = NULL
  ), parent = emptyenv())
}

# Rows of the index for one table, and how its effects lie to those of the index: `turned` where the alleles are
# swapped; `strand` where they are those of the other strand; `ambiguous` where the strand cannot be told (A/T, C/G).
# Rows above `known` are new. ids: list of gene, variant, chromosome, position, effect_allele, other_allele; each may be missing.
place_effects <- function(index, ids) {
  if (!is.null(index$last) && identical(ids, index$last$ids)) {
    placed <- index$last$placed
    placed$known <- length(index$keys)
    return(placed)
  }
  strings <- look_up_variants(index, variant_strings(ids))
  if (is.null(ids$effect_allele)) {
    pair <- index$pair_of_string[strings]
    entity <- index$entity_of_string[strings]
  } else {
    pair <- look_up_pairs(index$pairs, ids$other_allele, ids$effect_allele)
    entity <- look_up_entities(index, index$site_of_string[strings], pair)
  }
  gene <- if (is.null(ids$gene)) 0 else look_up(index, "genes", ids$gene)
  known <- length(index$keys)
  # Whole numbers below 2^53 are exact.
  rows <- look_up(index, "keys", gene * 2^31 + entity)
  if (length(index$keys) > known) {
    first <- which(rows > known)
    first <- first[!duplicated(rows[first])]
    index$gene <- c(index$gene, if (length(gene) == 1L) rep(as.integer(gene), length(first)) else gene[first])
    index$string <- c(index$string, strings[first])
    index$pair <- c(index$pair, pair[first])
  }
  theirs <- index$pair[rows]
  same <- identical(pair, theirs)
  pairs <- index$pairs
  placed <- list(
    rows = rows, known = known, turned = if (!same) flag(pairs$sign[pair] != pairs$sign[theirs]),
    strand = if (!same) flag(pairs$strand[pair] != pairs$strand[theirs]),
    ambiguous = if (any(pairs$ambiguous)) flag(pairs$ambiguous[pair]), duplicated = anyDuplicated(rows) > 0L
  )
  index$last <- list(ids = ids, placed = placed)
  placed
}

# What only effects of another file would be looked up in.
forget_look_ups <- function(index) {
  rm("last", "keys", "entities", "places", "site_of_string", "pair_of_string", "entity_of_string", envir = index)
}

# NULL where none is true: the common case needs no vector.
flag <- function(x) {
  x[is.na(x)] <- FALSE
  if (any(x)) x
}

# Places in index[[name]], which takes in what is new.
look_up <- function(index, name, x) {
  at <- match(x, index[[name]])
  new <- is.na(at)
  if (any(new)) {
    known <- length(index[[name]])
    fresh <- unique(x[new])
    index[[name]] <- c(index[[name]], fresh)
    at[new] <- known + match(x[new], fresh)
  }
  at
}

after <- function(x, n) x[seq.int(n + 1, length.out = length(x) - n)]

# ---- variants ------------------------------------------------------------------

# What names the variant: its identifier, where that is missing its place; nothing where the table has neither.
variant_strings <- function(ids) {
  place <- function(at) {
    position <- format(ids$position[at], scientific = FALSE, trim = TRUE)
    if (is.null(ids$chromosome)) position else paste0(ids$chromosome[at], ":", position)
  }
  strings <- ids$variant
  if (is.null(strings)) {
    n <- max(lengths(ids))
    return(if (is.null(ids$position)) rep("", n) else place(seq_len(n)))
  }
  if (!is.null(ids$position)) {
    unnamed <- which(is.na(strings) | strings == "" | strings == ".")
    if (length(unnamed) > 0L) strings[unnamed] <- place(unnamed)
  }
  strings
}

look_up_variants <- function(index, strings) {
  known <- length(index$strings)
  at <- look_up(index, "strings", strings)
  if (length(index$strings) > known) {
    new <- after(index$strings, known)
    parsed <- parse_variants(new)
    # Even numbers for places, odd ones for other names.
    site <- 2 * (known + seq_along(new)) + 1
    if (length(parsed$hit) > 0L) {
      contig <- look_up(index, "contigs", parsed$contig)
      site[parsed$hit] <- 2 * look_up(index, "places", contig * 2^33 + parsed$position)
    }
    pair <- rep(NA_integer_, length(new))
    pair[parsed$hit] <- look_up_pairs(index$pairs, parsed$other, parsed$effect)
    index$site_of_string <- c(index$site_of_string, site)
    index$pair_of_string <- c(index$pair_of_string, pair)
    index$entity_of_string <- c(index$entity_of_string, look_up_entities(index, site, pair))
  }
  at
}

look_up_entities <- function(index, site, pair) {
  class <- index$pairs$class[pair]
  class[is.na(class)] <- 0L
  look_up(index, "entities", site * 2^20 + class)
}

# chr1_12345_A_G_b38, 1:12345:A:G and their like: place, other and effect (the last) allele.
variant_pattern <- paste0(
  "^(?:chr)?([0-9]{1,2}|[XYM]|MT|XY)[:_-]([0-9]{1,9})[:_-]([ACGTNacgtn*]+|<[^>]+>)[:_-]([ACGTNacgtn*,]+|<[^>]+>)",
  "(?:[:_-]([[:alnum:]]+))?$"
)

# Of those that hit: contig (chromosome and build), position, alleles.
parse_variants <- function(x) {
  found <- regexpr(variant_pattern, x, perl = TRUE)
  hit <- which(found > 0L)
  start <- attr(found, "capture.start")[hit, , drop = FALSE]
  end <- start + attr(found, "capture.length")[hit, , drop = FALSE] - 1L
  group <- function(k) substr(x[hit], start[, k], end[, k])
  list(hit = hit, contig = paste(group(1), group(5)), position = as.double(group(2)), other = group(3), effect = group(4))
}

# ---- pairs of alleles ----------------------------------------------------------

# An ordered pair (other, effect): its class is shared by the swapped pair and by those of the other strand.
new_allele_pairs <- function() {
  list2env(list(
    alleles = character(), keys = double(), classes = character(), class = integer(), sign = integer(), strand = logical(),
    ambiguous = logical()
  ), parent = emptyenv())
}

look_up_pairs <- function(pairs, other, effect) {
  out <- rep(NA_integer_, length(effect))
  there <- which(!is.na(other) & !is.na(effect))
  if (length(there) == 0L) {
    return(out)
  }
  from <- look_up(pairs, "alleles", other[there])
  to <- look_up(pairs, "alleles", effect[there])
  known <- length(pairs$keys)
  out[there] <- look_up(pairs, "keys", from * 2^26 + to)
  new <- after(pairs$keys, known)
  describe_pairs(pairs, toupper(pairs$alleles[new %/% 2^26]), toupper(pairs$alleles[new %% 2^26]))
  out
}

describe_pairs <- function(pairs, other, effect) {
  if (length(other) == 0L) {
    return(invisible(NULL))
  }
  turned <- list(other = complement(other), effect = complement(effect))
  forms <- cbind(
    paste0(other, ">", effect), paste0(effect, ">", other),
    paste0(turned$other, ">", turned$effect), paste0(turned$effect, ">", turned$other)
  )
  # Of A/T and C/G the other strand is the swapped pair: taken to be on the same strand.
  ambiguous <- forms[, 1] == forms[, 4]
  forms[ambiguous, 3:4] <- forms[ambiguous, 1:2]
  # The same order in every locale.
  ranks <- matrix(match(forms, sort(unique(as.vector(forms)), method = "radix")), nrow(forms))
  best <- apply(ranks, 1, which.min)
  pairs$class <- c(pairs$class, look_up(pairs, "classes", forms[cbind(seq_along(best), best)]))
  pairs$sign <- c(pairs$sign, ifelse(best %% 2L == 1L, 1L, -1L))
  pairs$strand <- c(pairs$strand, best > 2L)
  pairs$ambiguous <- c(pairs$ambiguous, ambiguous)
}

complement <- function(x) {
  simple <- grepl("^[ACGTN]+$", x)
  x[simple] <- chartr("ACGT", "TGCA", x[simple])
  long <- simple & nchar(x) > 1L
  x[long] <- vapply(strsplit(x[long], ""), function(letters) paste(rev(letters), collapse = ""), "")
  x
}
