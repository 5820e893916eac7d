# Files of summary statistics, one condition or more each, put together effect by effect.

#' Read summary statistics from files
#'
#' Reads estimates and standard errors of many conditions from the files that programs write, matches effects between
#' them and gives two matrices, with a report of what was left out, flipped and missing. Effects that were tested in
#' some conditions only stay, with `NA` in the others.
#'
#' @param files One of
#'   * paths, one condition each, named by their conditions (without names: by what differs between the file names;
#'     files of the same name are of one condition, such as one for each chromosome);
#'   * one path of a long table (with a column for the condition) or of a wide one (two columns for each condition);
#'   * `c(Bhat = path, Shat = path)`: a matrix of estimates and one of standard errors, effects in rows;
#'   * a data frame with the columns `file`, `condition` and, where a file has the results of one gene, `gene`;
#'   * a data frame that is such a table itself, or a list of paths and data frames.
#'
#'   Text may be compressed (.gz, .bgz); `.parquet` needs the package nanoparquet or arrow; `.rds` holds a data frame.
#'   Text is read with data.table where that is installed (and the option `covmash.fread` is not `FALSE`), which is
#'   ten times as fast.
#' @param format `"auto"` (default): told from the columns; or one of the formats below.
#' @param columns Names of columns that hold other things than the format says, or for tables of no known format: a
#'   character vector named by `gene`, `variant`, `effect` (a name for the whole, in place of both), `chromosome`,
#'   `position`, `effect_allele`, `other_allele`, `estimate`, `odds` (an odds ratio, of which the logarithm is taken),
#'   `se`, `statistic` (estimate / se), `pval`, `condition`, `test`, `frequency` (of the effect allele).
#' @param test Which rows to keep of tables that have several tests for a variant (REGENIE, PLINK).
#' @param duplicates Of several rows of one effect in one condition with different numbers keep the one with the
#'   smallest standard error (`"precise"`, the default) or the `"first"`, `"drop"` the effect in this condition, or
#'   stop (`"error"`). Rows with the same numbers are one.
#' @param ambiguous What becomes of effects with the alleles A/T or C/G, whose strand cannot be told: `"keep"` (default)
#'   takes all files to be on the same strand; `"frequency"` turns those whose allele frequency is nearer to that of the
#'   other allele in the first file that has the effect, and drops them where it is between 0.4 and 0.6 or not known;
#'   `"drop"` drops them.
#' @param min_conditions Keep effects with an estimate in at least so many conditions.
#' @param verbose Say in a message what was flipped or left out?
#' @param to A folder to write what was read to, as [write_source()] does, for analyses that hold a part of it in memory
#'   only. What is read has to fit into memory once.
#' @return With `to`, a source, see [mash_source()]. Else a list of class `"mash_sumstats"`:
#'   * `Bhat`, `Shat`: J x R matrices, `NA` where there is no estimate; rows are named `gene_variant` (or by what there
#'     is), columns by condition;
#'   * `effects`: a data frame with a row for each effect: `gene`, `variant`, `chromosome`, `position`, `effect_allele`,
#'     `other_allele`, as the first file has them that has the effect; only the columns that there are;
#'   * `report`: a data frame with a row for each condition: `format`, `rows` (of its files), `other_tests`, `unnamed`
#'     (a part of what names the effect is missing: left out), `unusable` (no finite estimate or no positive standard error), `duplicates`, `flipped` (alleles swapped against
#'     the first file: the sign is turned), `strand` (alleles on the other strand), `ambiguous` (dropped or turned by
#'     the rule), `used`, and `not_tested`, effects of other conditions that are not in its files; rows of a long table
#'     without a condition are left out too, and counted (`unnamed`) in a last row, of condition `NA`;
#'   * `entries`: a data frame that lists them one by one: `condition`, `effect` (of rows left out what there is of its
#'     name), `what`: `"unnamed"`, `"no_condition"`, `"unusable"`, `"duplicate"`, `"flipped"`, `"strand"` or
#'     `"ambiguous"`;
#'   * `dropped`: how many effects had no estimate at all, or too few conditions.
#'
#'   [as_mash_data()] makes a data object of it, [mash_pipeline()] takes it as it is. `print()` returns it invisibly.
#' @details
#' | format | columns it is known by | effect allele |
#' |---|---|---|
#' | `fastqtl` | gene_id, variant_id, slope, slope_se (GTEx) | last in variant_id |
#' | `fastqtl_raw` | no header; 5, 6 or 9 columns | last in the second |
#' | `tensorqtl` | phenotype_id, variant_id, slope, slope_se | last in variant_id |
#' | `tensorqtl_trans`, `tensorqtl_interaction` | ... b, b_se; ... b_gi, b_gi_se | last in variant_id |
#' | `eqtl_catalogue` | molecular_trait_id, ref, alt, beta, se (also the xQTL protocol) | alt |
#' | `matrixeqtl` | SNP, gene, beta, t-stat; se = beta / t | last in SNP |
#' | `regenie` | GENPOS, ALLELE0, ALLELE1, BETA, SE; TEST is ADD | ALLELE1 |
#' | `saige` | MarkerID, Allele1, Allele2, BETA, SE | Allele2 |
#' | `plink2` | ID, REF, ALT, A1, BETA or OR, SE; TEST is ADD | A1, which may be REF |
#' | `gwas_ssf` | effect_allele, other_allele, standard_error | effect_allele |
#' | `limma`, `dreamlet` | logFC, t (and assay, ID); se = logFC / t | |
#' | `deseq2` | log2FoldChange, lfcSE | |
#' | `wide` | beta_X and se_X, or X_beta and X_se, for each condition X; without a header METASOFT's input | |
#' | `generic` | usual names such as gene, snp, beta, se, tissue, in any case | effect_allele, a1, alt |
#'
#' *Missing.* `NA`, nothing, `.`, `nan`, `-nan` (FastQTL, monomorphic variants) and `#NA` are missing, in numbers and
#' in names. An effect is named by its gene and variant, as far as there are columns for them; a variant without an
#' identifier by its place; where alleles have columns, by these too.
#'
#' *Memory and time.* Many files of a million rows need less than twice the memory of both matrices and their names.
#' Compressed text is unpacked into a temporary file first: half a second of computing for 100 MB of text, where reading
#' them takes one to two.
#'
#' *Standard errors* are, in this order, those of the file, estimate / statistic, or those that give a normal z-score
#' with the p-value of the file.
#'
#' *Same effects.* Two rows are of the same effect if they have the same gene and variant. Of variants called
#' `chr1_12345_A_G_b38` (also with `:`, without `chr` or the build) place and alleles are compared, of
#' others the name and the alleles in columns. If the alleles are swapped against the first file that has the
#' effect, the sign of the estimate is turned; if they are those of the other strand, they are matched.
#' @section Errors: `covmash_error_file` for a file that is not there or cannot be read; `covmash_error_columns` for
#'   columns that cannot be told, or that hold no numbers; `covmash_error_duplicates` if asked for;
#'   `covmash_error_package` for Parquet without a package that reads it. A file that shares no effect with the others
#'   warns, `covmash_warning_no_overlap`.
#' @references Ongen H, Buil A, Brown AA, Dermitzakis ET, Delaneau O (2016). Fast and efficient QTL mapper for thousands
#'   of molecular phenotypes. *Bioinformatics* 32(10), 1479-1485. \doi{10.1093/bioinformatics/btv722}
#'
#'   Taylor-Weiner A et al. (2019). Scaling computational genomics to millions of individuals with GPUs. *Genome
#'   Biology* 20, 228. \doi{10.1186/s13059-019-1836-7}
#' @seealso [as_mash_data()], [mash_pipeline()], [write_mash()]
#' @concept GWAS
#' @concept eQTL
#' @export
#' @examples
#' liver <- data.frame(
#'   gene_id = "g1", variant_id = c("chr1_100_A_G_b38", "chr1_200_C_T_b38"),
#'   slope = c(0.5, 0.1), slope_se = c(0.1, 0.2)
#' )
#' lung <- liver
#' lung$variant_id[1] <- "chr1_100_G_A_b38" # the other way round
#' read <- read_sumstats(list(liver = liver, lung = lung))
#' read$Bhat
#' read
read_sumstats <- function(files, format = "auto", columns = NULL, test = "ADD",
                          duplicates = c("precise", "first", "drop", "error"),
                          ambiguous = c("keep", "frequency", "drop"), min_conditions = 1, verbose = TRUE, to = NULL) {
  refuse_missing(missing(files), "files", "paths of files, or data frames", "covmash_error_file")
  format <- check_choice(format, c("auto", names(sumstats_formats), "fastqtl_raw", "wide", "generic"), "format")
  columns <- check_columns(columns)
  settings <- list(
    test = check_test(test), ambiguous = check_choice(ambiguous, c("keep", "frequency", "drop"), "ambiguous"),
    duplicates = check_choice(duplicates, c("precise", "first", "drop", "error"), "duplicates")
  )
  min_conditions <- whole_number(min_conditions, "min_conditions", 1)
  check_flag(verbose, "verbose")
  # A bad one is refused before the files are read.
  if (!is.null(to)) source_folder(to, FALSE)
  finish <- function(out) if (is.null(to)) out else write_source(out, to)
  if (is_pair_of_matrices(files)) {
    out <- read_matrices(files, min_conditions)
    if (verbose) tell_reading(out)
    return(finish(out))
  }
  sources <- list_sources(files)
  state <- new_reading()
  expect_conditions(state$store, length(unique(unlist(lapply(sources, `[[`, "condition")))))
  begin_steps("Reading files", length(sources))
  for (i in seq_along(sources)) {
    next_step(sources[[i]]$condition)
    read_source(state, sources[[i]], format, columns, settings)
    give_back(length(state$index$keys), full = i %% 8L == 1L)
  }
  out <- finish_reading(state, min_conditions)
  if (verbose) tell_reading(out)
  finish(out)
}

check_columns <- function(columns) {
  if (is.null(columns)) {
    return(NULL)
  }
  columns <- if (is.list(columns) && all(lengths(columns) == 1L)) unlist(columns) else columns
  if (!is.character(columns) || anyNA(columns) || is.null(names(columns)) || !all(names(columns) %in% sumstats_parts) ||
        anyDuplicated(names(columns)) > 0L) {
    abort_input(
      "`columns` must be a character vector with names among {paste(sumstats_parts, collapse = ', ')}, each once, e.g. ",
      "c(estimate = \"beta\"), not {if (is.character(columns)) paste('one named', quote_some(names(columns), 20L)) else describe(columns)}.",
      class = "covmash_error_columns"
    )
  }
  columns
}

check_test <- function(test) {
  if (!checkmate::test_string(test, min.chars = 1L)) {
    abort_input("`test` must be one name, such as \"ADD\", not {describe(test)}.", class = "covmash_error_argument")
  }
  test
}

# ---- what to read ----------------------------------------------------------------

# A list of list(table =, condition = NULL or a name, gene = NULL or a name).
list_sources <- function(files) {
  if (is.data.frame(files)) {
    if (is.character(files[["file"]])) {
      return(sources_of_table(files))
    }
    return(list(list(source = files)))
  }
  if (!(is.character(files) || is.list(files)) || length(files) == 0L) {
    abort_input("`files` must hold paths of files or data frames, not {describe(files)}.", class = "covmash_error_file")
  }
  labels <- names(files)
  sources <- unlist(lapply(seq_along(files), function(i) {
    parts <- files[[i]]
    parts <- if (is.character(parts)) as.list(parts) else list(parts)
    lapply(parts, function(part) list(source = part, condition = if (!is.null(labels)) labels[i]))
  }), recursive = FALSE)
  if (length(sources) == 0L) {
    abort_input("`files` is empty; give at least one path.", class = "covmash_error_file")
  }
  if (length(sources) > 1L && is.null(labels)) {
    labels <- labels_of_files(sources)
    for (i in seq_along(sources)) sources[[i]]$condition <- labels[i]
  } else if (!is.null(labels) && (anyNA(labels) || !all(nzchar(labels)))) {
    abort_input("`files` must have a name, its condition, for each element or for none.", class = "covmash_error_names")
  }
  sources
}

sources_of_table <- function(files) {
  strings <- function(x) is.null(x) || checkmate::test_character(as.character(x), any.missing = FALSE)
  if (nrow(files) == 0L || !strings(files$file) || !strings(files$condition) || !strings(files$gene)) {
    abort_input(
      "`files` must have at least one row, and no NA in its columns `file`, `condition` and `gene`.", class = "covmash_error_file"
    )
  }
  condition <- if (is.null(files$condition)) labels_of_files(lapply(files$file, list)) else as.character(files$condition)
  gene <- if (!is.null(files$gene)) as.character(files$gene)
  lapply(seq_len(nrow(files)), function(i) list(source = files$file[i], condition = condition[i], gene = gene[i]))
}

# What differs between the names of files, at a dot, dash or underscore.
labels_of_files <- function(sources) {
  paths <- vapply(sources, function(x) if (is.character(x[[1]])) basename(x[[1]]) else "", "")
  if (!all(nzchar(paths))) {
    return(paste0("condition_", seq_along(sources)))
  }
  words <- strsplit(sub("[.](gz|bgz|bz2|xz)$", "", paths), "(?<=[._-])", perl = TRUE)
  words <- lapply(words, after, n_shared(words))
  back <- n_shared(lapply(words, rev))
  labels <- vapply(words, function(x) paste(x[seq_len(length(x) - back)], collapse = ""), "")
  make.unique(sub("[._-]$", "", labels))
}

# How many words all begin with; one of each is left.
n_shared <- function(words) {
  n <- min(lengths(words)) - 1L
  same <- vapply(seq_len(n), function(k) length(unique(vapply(words, `[`, "", k))) == 1L, NA)
  if (all(same)) n else match(FALSE, same) - 1L
}

# ---- reading -------------------------------------------------------------------

# counts, format: by condition; rows without a condition have counts of their own.
new_reading <- function() {
  list2env(list(
    index = new_effect_index(), store = new_store(), frequency = NULL, counts = list(), entries = list(),
    format = list(), chromosome = NULL, position = NULL, nameless = NULL
  ), parent = emptyenv())
}

# R collects garbage when it likes; of columns of a million rows that is twice the memory. full = FALSE: the newest.
give_back <- function(n_rows, full = TRUE) {
  if (n_rows > 1e5) {
    gc(verbose = FALSE, full = full)
    if (full) cpp_return_memory()
  }
}

id_parts <- c("gene", "variant", "chromosome", "position", "effect_allele", "other_allele")

read_source <- function(state, source, format, columns, settings) {
  cpp_listen()
  table <- open_table(source$source)
  spec <- recognise(table, format, columns)
  at <- spec$at
  if (settings$ambiguous != "frequency") at <- at[names(at) != "frequency"]
  text <- !names(at) %in% c("estimate", "odds", "se", "statistic", "pval", "frequency", "position")
  data <- read_columns(table, at, text)
  ids <- ids_of(data, source$gene)
  if (spec$format == "wide") {
    expect_conditions(state$store, length(union(state$store$conditions, spec$wide$condition)))
    for (k in seq_len(nrow(spec$wide))) {
      pair <- c(estimate = spec$wide$estimate[k], se = spec$wide$se[k])
      values <- read_columns(table, pair, c(FALSE, FALSE))
      add_results(state, spec$wide$condition[k], ids, values, spec$format, settings)
    }
    return(invisible(NULL))
  }
  if (is.null(source$condition) && !is.null(data$condition)) {
    drop_without_condition(state, ids, data$condition, spec$format)
    conditions <- unique(data$condition[!is.na(data$condition)])
    expect_conditions(state$store, length(conditions))
    for (condition in conditions) {
      here <- which(data$condition == condition)
      add_results(state, condition, lapply(ids, `[`, here), lapply(data, `[`, here), spec$format, settings)
    }
    return(invisible(NULL))
  }
  condition <- source$condition
  if (is.null(condition)) condition <- if (is.character(source$source)) labels_of_files(list(source$source)) else "condition_1"
  add_results(state, condition, ids, data, spec$format, settings)
}

ids_of <- function(data, gene) {
  n <- length(data[[1]])
  # `$` would take effect_allele for it.
  if (!is.null(data[["effect"]])) {
    data$variant <- data[["effect"]]
    data$gene <- NULL
  }
  if (!is.null(data$ref)) data$other_allele <- other_allele_of(data)
  if (!is.null(gene)) data$gene <- rep(gene, n)
  if (is.null(data$other_allele) || is.null(data$effect_allele)) data$other_allele <- data$effect_allele <- NULL
  data[intersect(id_parts, names(data))]
}

# PLINK's A1 is either of REF and ALT; the other one is OMITTED, where it is said.
other_allele_of <- function(data) {
  other <- ifelse(data$effect_allele == data$ref, data$alt, data$ref)
  if (is.null(data$omitted)) other else ifelse(is.na(data$omitted), other, data$omitted)
}

no_counts <- c(
  rows = 0L, other_tests = 0L, unnamed = 0L, unusable = 0L, duplicates = 0L, flipped = 0L, strand = 0L, ambiguous = 0L
)

# The rows of one condition from one table.
add_results <- function(state, condition, ids, data, format, settings) {
  n <- length(data[[c("estimate", "odds")[c("estimate", "odds") %in% names(data)][1]]])
  counts <- replace(no_counts, "rows", n)
  if (!is.null(data$test)) {
    kept <- which(data$test == settings$test)
    if (length(kept) == 0L && n > 0L) {
      abort_input(
        "No row of '{condition}' has the test '{settings$test}'; there are {quote_some(unique(data$test), 6L)}. Choose one with `test`.",
        class = "covmash_error_columns"
      )
    }
    counts["other_tests"] <- n - length(kept)
    ids <- lapply(ids, `[`, kept)
    data <- lapply(data, `[`, kept)
  }
  unnamed <- which_unnamed(ids)
  if (length(unnamed) > 0L) {
    counts["unnamed"] <- length(unnamed)
    note_unnamed(state, condition, ids, unnamed, "unnamed")
    ids <- lapply(ids, `[`, -unnamed)
    data <- lapply(data, `[`, -unnamed)
  }
  values <- estimate_and_se(data)
  placed <- place_effects(state$index, ids)
  keep_places(state, ids, placed$rows)
  rows <- placed$rows
  turned <- placed$turned
  if (!is.null(placed$ambiguous) && settings$ambiguous != "keep") {
    rule <- settle_ambiguous(state, placed, turned, data$frequency, settings$ambiguous)
    turned <- rule$turned
    values$se[rule$dropped] <- NA
    counts["ambiguous"] <- sum(rule$changed)
    note(state, condition, rows[rule$changed], "ambiguous")
  } else if (settings$ambiguous == "frequency") {
    keep_frequencies(state, rows, data$frequency, turned)
  }
  if (!is.null(turned)) {
    values$estimate[turned] <- -values$estimate[turned]
    counts["flipped"] <- length(unique(rows[turned]))
    note(state, condition, unique(rows[turned]), "flipped")
  }
  if (!is.null(placed$strand)) {
    counts["strand"] <- length(unique(rows[placed$strand]))
    note(state, condition, unique(rows[placed$strand]), "strand")
  }
  bad <- which(!(is.finite(values$estimate) & is.finite(values$se) & values$se > 0))
  if (length(bad) > 0L) {
    counts["unusable"] <- length(bad)
    note(state, condition, rows[bad], "unusable")
    values$estimate[bad] <- values$se[bad] <- NA
  }
  counts["duplicates"] <- keep_results(state, condition, placed, values, settings$duplicates)
  state$format[[condition]] <- unique(c(state$format[[condition]], format))
  before <- state$counts[[condition]]
  state$counts[[condition]] <- if (is.null(before)) counts else before + counts
}

# How many rows were left out as duplicates.
keep_results <- function(state, condition, placed, values, rule) {
  column <- open_column(state$store, condition, length(state$index$keys))
  r <- column$r
  pieces <- placed_pieces <- by_block(state$store, placed$rows)
  before <- if (column$fresh) logical(length(placed$rows)) else stored(pieces, "tested", r) > 0
  n <- 0L
  if (placed$duplicated || any(before)) {
    kept <- settle_duplicates(state, condition, r, placed$rows, values, before, rule)
    n <- kept$n
    values <- lapply(values, `[`, kept$rows)
    pieces <- by_block(state$store, placed$rows[kept$rows])
    cleared <- by_block(state$store, kept$cleared)
    for (part in c("estimate", "se")) store_values(cleared, part, r, NA_real_)
  }
  for (part in c("estimate", "se")) store_values(pieces, part, r, values[[part]])
  new <- placed$rows[!before]
  count_tested(state$store, r, length(if (placed$duplicated) unique(new) else new))
  store_values(placed_pieces, "tested", r, as.raw(1))
  n
}

estimate_and_se <- function(data) {
  estimate <- if (is.null(data$estimate)) log(pmax(data$odds, 0)) else data$estimate
  se <- data$se
  if (is.null(se)) {
    se <- if (is.null(data$statistic)) {
      # Through logarithms: p-values of 1e-300 have z-scores too.
      abs(estimate) / -stats::qnorm(log(data$pval) - log(2), log.p = TRUE)
    } else {
      abs(estimate / data$statistic)
    }
  }
  list(estimate = estimate, se = se)
}

note <- function(state, condition, rows, what) {
  if (length(rows) > 0L) {
    state$entries <- c(state$entries, list(list(condition = condition, rows = rows, what = what)))
  }
}

# Chromosome and position of effects that come for the first time.
keep_places <- function(state, ids, rows) {
  J <- length(state$index$keys)
  for (part in c("chromosome", "position")) {
    if (is.null(ids[[part]])) next
    old <- state[[part]]
    kept <- if (is.null(old)) rep(ids[[part]][NA_integer_], J) else c(old, rep(old[NA_integer_], J - length(old)))
    new <- which(is.na(kept[rows]))
    kept[rows[new]] <- ids[[part]][new]
    state[[part]] <- kept
  }
}

# ---- printing --------------------------------------------------------------------

check_sumstats <- function(x, name = "x") {
  ok <- inherits(x, "mash_sumstats") && is.list(x) && is.matrix(x$Bhat) && is.numeric(x$Bhat) && is.matrix(x$Shat) &&
    identical(dim(x$Bhat), dim(x$Shat)) && is.data.frame(x$effects) && nrow(x$effects) == nrow(x$Bhat) &&
    is.data.frame(x$report) && all(c("condition", "rows", "used") %in% names(x$report))
  if (!ok) {
    abort_input("`{name}` must be a result of read_sumstats(), not {describe(x)}.", class = "covmash_error_data")
  }
  invisible(x)
}

#' @rdname read_sumstats
#' @param x A result of `read_sumstats()`.
#' @param n Print so many conditions of the report.
#' @param ... Not used.
#' @export
print.mash_sumstats <- function(x, n = 20, ...) {
  check_sumstats(x)
  check_printing(n = n)
  text_lines(format(x))
  quiet <- c("other_tests", "unnamed", "unusable", "duplicates", "flipped", "strand", "ambiguous", "not_tested")
  idle <- vapply(x$report[intersect(quiet, names(x$report))], function(column) all(column == 0), NA)
  print_table(x$report[setdiff(names(x$report), names(idle)[idle])], n)
  invisible(x)
}

#' @rdname read_sumstats
#' @export
format.mash_sumstats <- function(x, ...) {
  check_sumstats(x)
  paste0(
    "<mash_sumstats> ", plural(nrow(x$Bhat), "effect"), " in ", plural(ncol(x$Bhat), "condition"), ", ",
    format_percent(mean(is.na(x$Bhat))), " missing"
  )
}
