# Files of summary statistics with a known truth: n effects of `n_genes` genes in the given tissues, some not tested, with
# swapped alleles, repeated, without a standard error (FastQTL's -nan), or placeholders. Numbers with 17 digits.

sumstats_truth <- function(n = 60, tissues = paste0("Tissue_", 1:3), n_genes = n %/% 10, missing = 0.15, swapped = 0.03,
                           repeated = 0.01, unusable = 0.005, placeholders = 0, scale = 1) {
  R <- length(tissues)
  # Two of four alleles that are not each other's complement.
  pairs <- rbind(c("A", "G"), c("C", "T"), c("A", "C"), c("G", "T"))[sample(4, n, TRUE), ]
  effects <- data.frame(
    gene = paste0("ENSG", sprintf("%08d", sort(rep_len(seq_len(n_genes), n)))), chromosome = "1",
    position = 1000L + 10L * seq_len(n), other = pairs[, 1], effect = pairs[, 2]
  )
  variant <- function(other, effect) paste0("chr", effects$chromosome, "_", effects$position, "_", other, "_", effect, "_b38")
  effects$variant <- variant(effects$other, effects$effect)
  effects$variant_swapped <- variant(effects$effect, effects$other)
  Shat <- matrix(runif(n * R, 0.5, 1.5), n, R)
  truth <- (runif(n) < 0.3) * rnorm(n, 0, 3 * scale)
  Bhat <- truth + matrix(rnorm(n * R), n, R) * Shat
  dimnames(Bhat) <- dimnames(Shat) <- list(paste(effects$gene, effects$variant, sep = "_"), tissues)
  entry <- function(share) matrix(runif(n * R) < share, n, R)
  absent <- entry(missing)
  # The first file has all effects, in the order of the truth.
  absent[, 1] <- FALSE
  nan <- entry(unusable) & !absent
  holder <- entry(placeholders) & !absent & !nan
  Bhat[nan | holder] <- 0
  Shat[holder] <- 1000
  swap <- entry(swapped) & !absent
  swap[, 1] <- FALSE
  again <- entry(repeated) & !absent & !nan & !holder
  list(
    effects = effects, Bhat = Bhat, Shat = Shat, absent = absent, nan = nan, holder = holder, swap = swap, again = again,
    # What reading has to give.
    expected = list(Bhat = replace(Bhat, absent | nan, NA), Shat = replace(Shat, absent | nan, NA))
  )
}

# One tissue of it, rows in random order but in the first; a repeated row comes again with twice the standard error.
sumstats_table <- function(truth, r, shuffle = r > 1) {
  keep <- which(!truth$absent[, r])
  twice <- which(truth$again[, r])
  rows <- c(keep, twice)
  if (shuffle) rows <- rows[sample.int(length(rows))]
  sign <- ifelse(truth$swap[rows, r], -1, 1)
  se <- truth$Shat[rows, r] * ifelse(duplicated(rows), 2, 1)
  data.frame(
    truth$effects[rows, c("gene", "chromosome", "position")], row = rows,
    variant = ifelse(sign < 0, truth$effects$variant_swapped[rows], truth$effects$variant[rows]),
    other = ifelse(sign < 0, truth$effects$effect[rows], truth$effects$other[rows]),
    effect = ifelse(sign < 0, truth$effects$other[rows], truth$effects$effect[rows]),
    estimate = sign * truth$Bhat[rows, r], se = se, nan = truth$nan[rows, r]
  )
}

digits17 <- function(x, nan = FALSE, token = "") replace(sprintf("%.17g", x), which(nan), token)

sumstats_writers <- list(
  fastqtl = function(x, path) {
    lines <- paste(
      x$gene, x$variant, 0, 10, 10, 0.1, 0.5, digits17(x$estimate), digits17(x$se, x$nan, "-nan"), sep = "\t"
    )
    writeLines(c(paste(c(
      "gene_id", "variant_id", "tss_distance", "ma_samples", "ma_count", "maf", "pval_nominal", "slope", "slope_se"
    ), collapse = "\t"), lines), path)
  },
  fastqtl_raw = function(x, path) {
    writeLines(paste(
      x$gene, x$variant, 0, 10, 10, 0.1, 0.5, digits17(x$estimate), digits17(x$se, x$nan, "-nan"), sep = " "
    ), path)
  },
  tensorqtl = function(x, path) {
    lines <- paste(x$gene, x$variant, 0, 0.2, 10, 10, 0.5, digits17(x$estimate), digits17(x$se, x$nan, ""), sep = "\t")
    writeLines(c(paste(c(
      "phenotype_id", "variant_id", "start_distance", "af", "ma_samples", "ma_count", "pval_nominal", "slope", "slope_se"
    ), collapse = "\t"), lines), path)
  },
  regenie = function(x, path) {
    lines <- paste(
      x$chromosome, x$position, x$variant, x$other, x$effect, 0.2, 100, "ADD", digits17(x$estimate),
      digits17(x$se, x$nan, "NA"), 1, 1, "NA"
    )
    other <- sub("ADD", "DOM", lines[seq_len(min(3, length(lines)))])
    writeLines(c("CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ N TEST BETA SE CHISQ LOG10P EXTRA", lines, other), path)
  },
  plink2 = function(x, path) {
    # A1 is REF in every second row.
    odd <- seq_len(nrow(x)) %% 2 == 1
    lines <- paste(
      x$chromosome, x$position, x$variant, ifelse(odd, x$effect, x$other), ifelse(odd, x$other, x$effect), x$effect, "ADD",
      100, digits17(x$estimate), digits17(x$se, x$nan, "."), 1, 0.5, ".", sep = "\t"
    )
    writeLines(c("#CHROM\tPOS\tID\tREF\tALT\tA1\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\tERRCODE", lines), path)
  }
)

# A data frame of files as read_sumstats() takes it; formats without genes have a file for each gene.
write_sumstats_files <- function(truth, format, dir) {
  dir.create(dir, showWarnings = FALSE, recursive = TRUE)
  out <- list()
  for (r in seq_along(colnames(truth$Bhat))) {
    tissue <- colnames(truth$Bhat)[r]
    x <- sumstats_table(truth, r)
    if (format %in% c("regenie", "plink2")) {
      for (gene in unique(truth$effects$gene)) {
        path <- file.path(dir, paste0(tissue, "_", gene, ".", format))
        part <- x[x$gene == gene, ]
        if (nrow(part) == 0L) next
        sumstats_writers[[format]](part, path)
        out <- c(out, list(data.frame(file = path, condition = tissue, gene = gene)))
      }
    } else {
      path <- file.path(dir, paste0(tissue, ".allpairs.txt"))
      sumstats_writers[[format]](x, path)
      out <- c(out, list(data.frame(file = path, condition = tissue)))
    }
  }
  do.call(rbind, out)
}
