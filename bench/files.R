# From files to tables and a report, and the speed of reading.
#
#   Rscript bench/files.R [--dir=DIR] [--many=49] [--rows=1000000]
#
# 1. 12 tissues of 20,000 gene-variant pairs as tensorQTL, REGENIE and PLINK 2 write them (15 % missing by tissue, 3 % swapped
#    alleles, repeated rows, missing standard errors, placeholders; 17 digits): the whole analysis with its seconds by step, the
#    report of what was read against the truth, and whether the three give the same bits.
# 2. `many` FastQTL files of `rows` rows, identifiers in one order, then each in an order of its own with 5 % left out: seconds,
#    and peak memory, above that before reading, over the size of the result (both matrices, and their names once). They need
#    110 MB each, one kind at a time. One file plain and the same in gz: seconds.

library(covmash)
given <- commandArgs(TRUE)
option <- function(name, default) {
  hit <- grep(paste0("^--", name, "="), given, value = TRUE)
  if (length(hit)) sub("^[^=]*=", "", hit) else default
}
dir <- option("dir", tempfile("files"))
dir.create(dir, FALSE, TRUE)
top <- dirname(dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))))
source(file.path(top, "tests", "testthat", "helper-sumstats.R"))

# ---- 1 -----------------------------------------------------------------------------

# REGENIE and PLINK know no genes: there one file a tissue, variants alone.
write_tissues <- function(truth, format) {
  home <- file.path(dir, format)
  dir.create(home, FALSE)
  vapply(seq_along(colnames(truth$Bhat)), function(r) {
    path <- file.path(home, paste0(colnames(truth$Bhat)[r], ".txt"))
    sumstats_writers[[format]](sumstats_table(truth, r), path)
    path
  }, "")
}

set.seed(1)
truth <- sumstats_truth(20000, paste0("Tissue_", 1:12), 2000, placeholders = 0.01)
observed <- rowSums(!is.na(truth$expected$Bhat)) > 0
read <- list()
for (format in c("tensorqtl", "regenie", "plink2")) {
  set.seed(2)
  files <- write_tissues(truth, format)
  seconds <- system.time(read[[format]] <- read_sumstats(files, verbose = FALSE))[["elapsed"]]
  x <- read[[format]]
  right <- c(
    estimates = identical(unname(x$Bhat), unname(truth$expected$Bhat[observed, ])),
    errors = identical(unname(x$Shat), unname(truth$expected$Shat[observed, ])),
    flipped = identical(x$report$flipped, as.integer(colSums(truth$swap))),
    unusable = identical(x$report$unusable, as.integer(colSums(truth$nan))),
    duplicates = identical(x$report$duplicates, as.integer(colSums(truth$again))),
    not_tested = identical(x$report$not_tested, as.integer(colSums(truth$absent[observed, ])))
  )
  cat(sprintf("%-10s %2d files, %.1f s; as in the truth: %s\n", format, length(files), seconds, toString(names(right)[right])))
}
bits <- function(x) lapply(x[c("Bhat", "Shat")], unname)
cat("the same bits:", identical(bits(read$regenie), bits(read$tensorqtl)), identical(bits(read$plink2), bits(read$tensorqtl)), "\n")

files <- stats::setNames(
  list.files(file.path(dir, "tensorqtl"), full.names = TRUE), sub("[.].*", "", list.files(file.path(dir, "tensorqtl")))
)[paste0("Tissue_", 1:12)]
time <- c(
  read = system.time(x <- read_sumstats(files))[["elapsed"]],
  pipeline = system.time(result <- mash_pipeline(x))[["elapsed"]],
  write = system.time(write_mash(result$fit, file.path(dir, "results.tsv.gz"), overwrite = TRUE))[["elapsed"]],
  report = system.time(mash_report(result, file.path(dir, "report.html"), overwrite = TRUE))[["elapsed"]]
)
holder <- is.na(result$data$Bhat) & !is.na(x$Bhat)
cat("placeholders as in the truth:", identical(unname(holder), unname(truth$holder[observed, ])), "\n")
print(round(c(time, total = sum(time)), 1))
print(stats::setNames(round(result$steps$seconds, 1), result$steps$step))
wide <- system.time(write_mash(result$fit, file.path(dir, "wide.tsv.gz"), layout = "wide", overwrite = TRUE))[["elapsed"]]
cat(sprintf("one file a quantity: %.1f s\n", wide))

# ---- 2 -----------------------------------------------------------------------------

many <- as.integer(option("many", 49))
rows <- as.integer(option("rows", 1e6))
if (many > 0) {
  gene <- sprintf("ENSG%08d.7", rep(seq_len(ceiling(rows / 50)), each = 50, length.out = rows))
  variant <- paste0("chr", rep(1:20, each = ceiling(rows / 20), length.out = rows), "_", 1e5 + seq_len(rows) * 7L, "_A_G_b38")
  for (order in c("one", "own")) {
    paths <- file.path(dir, sprintf("T%02d.allpairs.txt", seq_len(many)))
    for (r in seq_len(many)) {
      o <- seq_len(rows)
      if (order == "own") {
        o <- sort(sample.int(rows, 0.95 * rows))
        if (r > 1) o <- o[order(stats::runif(max(gene_of <- (o - 1L) %/% 50L + 1L))[gene_of])]
      }
      n <- length(o)
      data.table::fwrite(data.frame(
        gene_id = gene[o], variant_id = variant[o], tss_distance = -123456L, ma_samples = 123L, ma_count = 130L,
        maf = 0.12345678, pval_nominal = signif(stats::runif(n), 12), slope = round(stats::rnorm(n), 12),
        slope_se = round(stats::runif(n, 0.1, 1), 12)
      ), paths[r], sep = "\t")
    }
    code <- sprintf(paste(
      "library(covmash); files <- list.files('%s', 'allpairs.txt$', full.names = TRUE); invisible(loadNamespace('data.table'));",
      "memory <- function(field) as.numeric(gsub('[^0-9]', '', grep(field, readLines('/proc/self/status'), value = TRUE))) * 1024 / 1e6;",
      "base <- memory('VmRSS'); t <- system.time(x <- read_sumstats(files, verbose = FALSE))[['elapsed']];",
      "peak <- memory('VmHWM') - base; size <- (16 * length(x$Bhat) + as.numeric(object.size(rownames(x$Bhat)))) / 1e6;",
      "cat(sprintf('%%d files of %%.0f MB: %%.1f s, result %%.0f MB, peak %%.0f MB, ratio %%.2f\\n',",
      "length(files), file.size(files[1]) / 1e6, t, size, peak, peak / size))"
    ), dir)
    cat(if (order == "one") "identifiers in one order: " else "each in its own order: ")
    cat(system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)), stdout = TRUE), "\n")
    if (order == "one") {
      packed <- paste0(paths[1], ".gz")
      con <- gzfile(packed, "wb")
      writeBin(readBin(paths[1], "raw", file.size(paths[1])), con)
      close(con)
      seconds <- vapply(c(paths[1], packed), function(path) system.time(read_sumstats(path, verbose = FALSE))[["elapsed"]], 0)
      cat(sprintf("one file: plain %.1f s, gz %.1f s\n", seconds[1], seconds[2]))
      unlink(packed)
    }
    unlink(paths)
  }
}
