# Makes inst/extdata/eqtl: what FastQTL and tensorQTL would write of five tissues, for vignettes/eqtl-workflow.Rmd; and
# inst/extdata/eqtl-patterns.txt: in which tissues each gene has an effect.
# Run from the top of the package: Rscript data-raw/extdata.R
#
# Donors, genotypes and expression are simulated, and every variant is tested by a regression in every tissue:
# estimates, standard errors, linkage disequilibrium and errors that tissues share by sharing donors are then as in real
# files.

set.seed(5)

n_donors <- 600L
n_genes <- 60L
n_variants <- 6L # of each gene
tissues <- c("Whole_Blood", "Liver", "Lung", "Brain_Cortex", "Brain_Cerebellum")
n_samples <- c(500L, 180L, 400L, 170L, 180L)
brain <- c(FALSE, FALSE, FALSE, TRUE, TRUE)

# ---- who has an effect where -----------------------------------------------------

# Genes are in random order; those that are not named have none.
patterns <- sample(rep(
  c("shared", "brain", "body", "blood", "opposite", "none"),
  c(16L, 9L, 6L, 4L, 1L, n_genes - 36L)
))
effects_of_pattern <- function(pattern) {
  size <- sample(c(-1, 1), 1L) * runif(1L, 0.25, 0.6)
  where <- switch(pattern,
    shared = rep(1, 5), brain = as.numeric(brain), body = as.numeric(!brain), blood = c(1, 0, 0, 0, 0),
    opposite = ifelse(brain, -1, 1), none = numeric(5)
  )
  # Alike, not the same.
  where * size * runif(5, 0.75, 1.25)
}

# ---- genotypes and expression ----------------------------------------------------

# Each of the two chromosomes of a donor: a normal variable for each variant, correlated with its neighbours, cut at the
# frequency of the allele.
chromosomes <- function(allele_frequency) {
  x <- matrix(rnorm(n_donors * n_variants), n_donors)
  for (v in seq_len(n_variants)[-1]) x[, v] <- 0.7 * x[, v - 1] + sqrt(1 - 0.7^2) * x[, v]
  1L * (x < rep(qnorm(allele_frequency), each = n_donors))
}

# What the tissues of one donor have in common besides the variants; the two of the brain have more.
noise_correlation <- 0.25 + 0.45 * outer(brain, brain) + diag(ifelse(brain, 0.3, 0.75))
donors <- lapply(n_samples, function(n) sort(sample.int(n_donors, n)))
# Who gives one part of the brain mostly gives the other.
donors[[5]] <- sort(c(sample(donors[[4]], 150L), sample(setdiff(seq_len(n_donors), donors[[4]]), 30L)))

# The regression of expression on one genotype in one tissue; FastQTL's numbers.
regress <- function(y, g) {
  count <- sum(g)
  carriers <- sum(g > 0)
  numbers <- c(ma_samples = carriers, ma_count = count, maf = count / (2 * length(g)))
  if (count == 0L) {
    return(c(numbers, pval_nominal = NaN, slope = NaN, slope_se = NaN))
  }
  fit <- summary(lm(y ~ g))$coefficients["g", ]
  c(numbers, pval_nominal = fit[["Pr(>|t|)"]], slope = fit[["Estimate"]], slope_se = fit[["Std. Error"]])
}

gene_results <- function(gene) {
  allele_frequency <- runif(n_variants, 0.1, 0.4)
  # One variant so rare that some tissue has nobody who carries it.
  if (gene %% 20L == 0L) allele_frequency[n_variants] <- 0.0015
  g <- chromosomes(allele_frequency) + chromosomes(allele_frequency)
  gene_start <- 1e6 + 2e5 * gene
  distance <- sort(sample(-1e5:1e5, n_variants))
  alleles <- vapply(seq_len(n_variants), function(v) paste(sample(c("A", "C", "G", "T"), 2L), collapse = "_"), "")
  causal <- sample.int(n_variants - 1L, 1L)
  effects <- effects_of_pattern(patterns[gene])
  y <- outer(g[, causal], effects) + matrix(rnorm(n_donors * 5L), n_donors) %*% chol(noise_correlation)
  lapply(seq_along(tissues), function(r) {
    here <- donors[[r]]
    numbers <- t(apply(g[here, ], 2L, regress, y = as.vector(scale(y[here, r]))))
    data.frame(
      gene = sprintf("gene_%02d", gene), chromosome = "chr1", position = gene_start + distance, alleles = alleles,
      tss_distance = distance, numbers
    )
  })
}

results <- lapply(seq_len(n_genes), gene_results)
results <- lapply(seq_along(tissues), function(r) do.call(rbind, lapply(results, `[[`, r)))
names(results) <- tissues

# ---- what goes wrong with files ---------------------------------------------------

# The cerebellum does not express a third of the genes.
absent <- sprintf("gene_%02d", sort(sample.int(n_genes, n_genes %/% 3L)))
results$Brain_Cerebellum <- results$Brain_Cerebellum[!results$Brain_Cerebellum$gene %in% absent, ]

# The files of the brain were made with another reference, and some variants are the other way round.
swapped <- sample(unique(results$Brain_Cortex$position), 24L)
for (tissue in tissues[brain]) {
  table <- results[[tissue]]
  at <- which(table$position %in% swapped)
  table$alleles[at] <- sub("^(.)_(.)$", "\\2_\\1", table$alleles[at])
  table$slope[at] <- -table$slope[at]
  results[[tissue]] <- table
}

# Somebody has put zeros in place of a missing estimate of the lung.
results$Lung[c(50L, 200L), c("pval_nominal", "slope", "slope_se")] <- rep(c(1, 0, 1000), each = 2L)

# ---- files -------------------------------------------------------------------------

text_of <- function(x, digits) ifelse(is.nan(x), "-nan", formatC(x, digits = digits, format = "g", width = 1L))

file_table <- function(table, tensorqtl) {
  place <- format(table$position, scientific = FALSE, trim = TRUE)
  variant <- paste(table$chromosome, place, table$alleles, "b38", sep = "_")
  last <- data.frame(
    pval_nominal = text_of(table$pval_nominal, 3L), slope = text_of(table$slope, 4L),
    slope_se = text_of(table$slope_se, 4L)
  )
  if (tensorqtl) {
    data.frame(
      phenotype_id = table$gene, variant_id = variant, start_distance = table$tss_distance, af = text_of(table$maf, 3L),
      ma_samples = table$ma_samples, ma_count = table$ma_count, last
    )
  } else {
    data.frame(
      gene_id = table$gene, variant_id = variant, tss_distance = table$tss_distance, ma_samples = table$ma_samples,
      ma_count = table$ma_count, maf = text_of(table$maf, 3L), last
    )
  }
}

dir.create("inst/extdata/eqtl", recursive = TRUE, showWarnings = FALSE)
for (r in seq_along(tissues)) {
  name <- paste0(tissues[r], if (brain[r]) ".cis_qtl_pairs" else ".allpairs", ".txt.gz")
  table <- file_table(results[[r]], brain[r])
  # tensorQTL leaves out what does not vary.
  if (brain[r]) table <- table[table$slope != "-nan", ]
  con <- gzfile(file.path("inst/extdata/eqtl", name), "wb", compression = 9L)
  write.table(table, con, sep = "\t", quote = FALSE, row.names = FALSE, eol = "\n")
  close(con)
}

write.table(
  data.frame(gene = sprintf("gene_%02d", seq_len(n_genes)), pattern = patterns), "inst/extdata/eqtl-patterns.txt",
  sep = "\t", quote = FALSE, row.names = FALSE, eol = "\n"
)
