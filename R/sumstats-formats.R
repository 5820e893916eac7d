# What the columns of files of summary statistics mean: one entry for each format, and how a header is told.

# marks: column names that all have to be there (alternatives separated by |). The others: the column of each part, the
# first of several that is there. `odds`: the column holds an odds ratio. Of two formats the earlier one wins.
sumstats_formats <- list(
  tensorqtl_interaction = list(
    marks = c("phenotype_id", "variant_id", "b_gi", "b_gi_se"), gene = "phenotype_id", variant = "variant_id",
    estimate = "b_gi", se = "b_gi_se"
  ),
  tensorqtl_trans = list(
    marks = c("phenotype_id", "variant_id", "b", "b_se"), gene = "phenotype_id", variant = "variant_id", estimate = "b",
    se = "b_se", frequency = "af"
  ),
  tensorqtl = list(
    marks = c("phenotype_id", "variant_id", "slope", "slope_se"), gene = "phenotype_id", variant = "variant_id",
    estimate = "slope", se = "slope_se", frequency = "af"
  ),
  fastqtl = list(
    marks = c("gene_id", "variant_id", "slope", "slope_se"), gene = "gene_id", variant = "variant_id",
    estimate = "slope", se = "slope_se"
  ),
  eqtl_catalogue = list(
    marks = c("molecular_trait_id", "ref", "alt", "beta", "se"), gene = "molecular_trait_id",
    variant = c("variant", "variant_id"), chromosome = c("chromosome", "chrom"), position = c("position", "pos"),
    effect_allele = "alt", other_allele = "ref", estimate = "beta", se = "se", frequency = "af"
  ),
  matrixeqtl = list(
    marks = c("SNP|snps", "gene", "beta", "t-stat|statistic|t.stat"), gene = "gene", variant = c("SNP", "snps"),
    estimate = "beta", statistic = c("t-stat", "statistic", "t.stat")
  ),
  regenie = list(
    marks = c("GENPOS", "ALLELE0", "ALLELE1", "BETA", "SE"), variant = "ID", chromosome = "CHROM", position = "GENPOS",
    effect_allele = "ALLELE1", other_allele = "ALLELE0", estimate = "BETA", se = "SE", test = "TEST",
    frequency = "A1FREQ"
  ),
  saige = list(
    marks = c("MarkerID", "Allele1", "Allele2", "BETA", "SE"), gene = "Gene", variant = "MarkerID", chromosome = "CHR",
    position = "POS", effect_allele = "Allele2", other_allele = "Allele1", estimate = "BETA", se = "SE",
    frequency = "AF_Allele2"
  ),
  plink2 = list(
    marks = c("ID", "REF", "ALT", "A1", "BETA|OR", "SE|LOG(OR)_SE"), variant = "ID", chromosome = "CHROM",
    position = "POS", effect_allele = "A1", ref = "REF", alt = "ALT", omitted = "OMITTED", estimate = "BETA", odds = "OR",
    se = c("SE", "LOG(OR)_SE"), test = "TEST", frequency = "A1_FREQ"
  ),
  gwas_ssf = list(
    marks = c("effect_allele", "other_allele", "standard_error", "beta|odds_ratio|hazard_ratio"),
    variant = c("variant_id", "rsid"), chromosome = "chromosome", position = "base_pair_location",
    effect_allele = "effect_allele", other_allele = "other_allele", estimate = "beta",
    odds = c("odds_ratio", "hazard_ratio"), se = "standard_error", frequency = "effect_allele_frequency"
  ),
  dreamlet = list(
    marks = c("assay", "ID", "logFC", "t"), gene = "ID", condition = "assay", estimate = "logFC", statistic = "t"
  ),
  limma = list(
    marks = c("logFC", "t", "P.Value"), gene = c("ID", "gene", "Gene", "SYMBOL", ""), estimate = "logFC", statistic = "t"
  ),
  deseq2 = list(
    marks = c("log2FoldChange", "lfcSE"), gene = c("gene", "gene_id", "Gene", "row", ""), estimate = "log2FoldChange",
    se = "lfcSE"
  )
)

# Names by which the parts are called in tables of no format in particular, in small letters.
usual_names <- list(
  gene = c("gene", "gene_id", "phenotype_id", "molecular_trait_id", "feature", "feature_id", "ensembl_id", "peak", "gene_name"),
  variant = c("variant", "variant_id", "snp", "snps", "rsid", "rs_id", "markername", "marker", "id", "snp_id"),
  effect = c("effect", "effect_id"),
  chromosome = c("chromosome", "chrom", "chr"), position = c("position", "pos", "bp", "base_pair_location"),
  effect_allele = c("effect_allele", "a1", "ea", "alt"),
  other_allele = c("other_allele", "a2", "oa", "nea", "non_effect_allele", "ref"),
  estimate = c("estimate", "beta", "bhat", "b", "slope", "effect_size", "logfc", "log2foldchange", "lfc"),
  se = c("se", "std.error", "std_error", "standard_error", "shat", "stderr", "slope_se", "lfcse", "beta_se", "se_beta"),
  statistic = c("statistic", "t", "z", "zscore", "z_score", "t_stat", "t-stat", "tstat"),
  pval = c("pval", "p", "pvalue", "p_value", "p.value", "p-value", "pval_nominal"),
  condition = c("condition", "tissue", "cell_type", "celltype", "context", "assay", "study", "group"),
  frequency = c("effect_allele_frequency", "eaf", "af", "a1freq", "a1_freq", "freq")
)

# All that `columns` may name.
sumstats_parts <- c(names(usual_names), "odds", "test")

# The format of a table and the position of each part: a list with `format` and `at`; for a wide table also `wide`.
recognise <- function(table, format, columns) {
  own <- columns_given(columns, table)
  known <- if (format == "auto") format_of(table) else format
  roles <- if (!is.null(known) && known %in% names(sumstats_formats)) {
    positions_of(sumstats_formats[[known]], table)
  } else if (identical(known, "fastqtl_raw")) {
    fastqtl_raw_positions(table)
  }
  if (is.null(roles) && !has_estimate(own)) {
    wide <- wide_columns(table)
    if (length(wide) > 0L) {
      at <- add_parts(own, common_positions(table, setdiff(names(usual_names), c("estimate", "se", "statistic", "pval"))))
      return(list(format = "wide", at = id_or_first(at, table, wide), wide = wide))
    }
  }
  if (is.null(roles)) {
    known <- "generic"
    roles <- common_positions(table, names(usual_names))
  }
  at <- add_parts(own, roles)
  refuse_incomplete(at, table)
  list(format = known, at = at)
}

has_estimate <- function(at) any(c("estimate", "odds") %in% names(at))

add_parts <- function(own, others) c(own, others[setdiff(names(others), names(own))])

columns_given <- function(columns, table) {
  if (is.null(columns)) {
    return(integer())
  }
  at <- match(columns, table$columns)
  if (anyNA(at)) {
    abort_input(
      "`columns` names '{columns[is.na(at)][1]}', but {table$label} has the columns {quote_some(table$columns, 12L)}.",
      class = "covmash_error_columns"
    )
  }
  stats::setNames(at, names(columns))
}

format_of <- function(table) {
  if (isFALSE(table$header)) {
    # METASOFT's second column is a number.
    named <- length(table$columns) > 1L && !is_numeral(table$first[2])
    return(if (named && length(table$columns) %in% c(5L, 6L, 9L)) "fastqtl_raw")
  }
  for (name in names(sumstats_formats)) {
    marks <- strsplit(sumstats_formats[[name]]$marks, "|", fixed = TRUE)
    if (all(vapply(marks, function(any_of) any(any_of %in% table$columns), NA))) return(name)
  }
  NULL
}

positions_of <- function(parts, table) {
  parts$marks <- NULL
  # The first alternative, not the first column.
  at <- vapply(parts, function(names) {
    found <- match(names, table$columns)
    found[!is.na(found)][1]
  }, 0L)
  at <- at[!is.na(at)]
  # An odds ratio is for want of an estimate.
  if (all(c("estimate", "odds") %in% names(at))) at <- at[names(at) != "odds"]
  at
}

# phenotype, variant, distance, p, slope; or with the standard error at the end, in 6 or (GTEx) 9 columns.
fastqtl_raw_positions <- function(table) {
  n <- length(table$columns)
  at <- c(gene = 1L, variant = 2L)
  if (n == 5L) c(at, pval = 4L, estimate = 5L) else c(at, pval = n - 2L, estimate = n - 1L, se = n)
}

common_positions <- function(table, parts) {
  small <- tolower(table$columns)
  at <- vapply(usual_names[parts], function(names) {
    found <- match(names, small)
    found[!is.na(found)][1]
  }, 0L)
  at[!is.na(at)]
}

has_error <- function(at) any(c("se", "statistic", "pval") %in% names(at))

has_names <- function(at) any(c("gene", "variant", "effect", "position") %in% names(at))

# Numbers alone, and no column that is known to name effects, nor estimates beside their errors: a column for each condition.
is_frame_of_estimates <- function(x) {
  if (length(x) == 0L || nrow(x) == 0L || !all(vapply(x, is_number_like, NA))) {
    return(FALSE)
  }
  table <- open_table(x)
  at <- common_positions(table, names(usual_names))
  is.null(format_of(table)) && length(wide_columns(table)) == 0L && !has_names(at) && !(has_estimate(at) && has_error(at))
}

refuse_incomplete <- function(at, table) {
  lacks <- if (!has_estimate(at)) {
    "estimates (`estimate`)"
  } else if (!has_error(at)) {
    "standard errors (`se`, or `statistic`, or `pval`)"
  } else if (!has_names(at)) {
    "names of effects (`gene`, `variant` or `effect`)"
  }
  if (!is.null(lacks)) {
    abort_input(
      "No column of {table$label} is known to hold {lacks}; it has {quote_some(table$columns, 12L)}. Say which with `columns`, ",
      "e.g. columns = c(gene = \"gene\", variant = \"snp\", estimate = \"beta\", se = \"se\").",
      class = "covmash_error_columns"
    )
  }
}

# ---- wide tables: two columns for each condition --------------------------------

wide_estimate <- "beta|bhat|b|estimate|est|logfc|log2foldchange|lfc|slope|effect|z"
wide_se <- "se|shat|stderr|std[._]?err(or)?|lfcse|slope[._]se|beta[._]se"

# A data frame with condition, estimate and se (positions), empty if the table is not wide.
wide_columns <- function(table) {
  if (isFALSE(table$header)) {
    return(metasoft_columns(table))
  }
  for (pattern in c("^(%s)[._:-](.+)$", "^(.+)[._:-](%s)$")) {
    sides <- lapply(c(wide_estimate, wide_se), function(words) {
      full <- sprintf(pattern, words)
      hit <- grepl(full, table$columns, ignore.case = TRUE, perl = TRUE)
      before <- startsWith(pattern, "^(%s)")
      part <- if (before) sprintf("^(?:%s)[._:-]", words) else sprintf("[._:-](?:%s)$", words)
      label <- sub(part, "", table$columns, ignore.case = TRUE, perl = TRUE)
      data.frame(at = which(hit), condition = label[hit])
    })
    both <- intersect(sides[[1]]$condition, sides[[2]]$condition)
    if (length(both) > 0L) {
      return(data.frame(
        condition = both, estimate = sides[[1]]$at[match(both, sides[[1]]$condition)],
        se = sides[[2]]$at[match(both, sides[[2]]$condition)]
      ))
    }
  }
  data.frame()
}

# METASOFT: an identifier, then estimate and standard error of each study; no header.
metasoft_columns <- function(table) {
  n <- length(table$columns)
  if (n < 5L || n %% 2L == 0L) {
    return(data.frame())
  }
  estimate <- seq(2L, n, by = 2L)
  data.frame(condition = paste0("study_", seq_along(estimate)), estimate = estimate, se = estimate + 1L)
}

# Without a column that is known to name effects, the first one does.
id_or_first <- function(at, table, wide) {
  if (has_names(at)) {
    return(at)
  }
  if (1L %in% c(wide$estimate, wide$se)) {
    abort_input(
      "No column of {table$label} names the effects; it has {quote_some(table$columns, 12L)}. Say which with ",
      "`columns = c(effect = ...)`.",
      class = "covmash_error_columns"
    )
  }
  c(at, effect = 1L)
}
