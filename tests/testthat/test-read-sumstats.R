test_that("every shape of the same data gives the same matrices, with what was done to each effect", {
  dir <- withr::local_tempdir()
  set.seed(3)
  truth <- sumstats_truth(120, paste0("Tissue_", 1:4), 6, swapped = 0.1, repeated = 0.05, unusable = 0.02)
  observed <- rowSums(!is.na(truth$expected$Bhat)) > 0
  for (format in names(sumstats_writers)) {
    files <- write_sumstats_files(truth, format, file.path(dir, format))
    x <- read_sumstats(files, verbose = FALSE)
    expect_s3_class(x, "mash_sumstats")
    expect_identical(x$Bhat, truth$expected$Bhat[observed, ], info = format)
    expect_identical(x$Shat, truth$expected$Shat[observed, ], info = format)
    expect_identical(x$report$format, rep(format, 4))
    expect_identical(x$report$flipped, as.integer(colSums(truth$swap)))
    expect_identical(x$report$unusable, as.integer(colSums(truth$nan)))
    expect_identical(x$report$duplicates, as.integer(colSums(truth$again)))
    expect_identical(x$report$used, as.integer(colSums(!is.na(truth$expected$Bhat))))
    expect_identical(x$report$not_tested, as.integer(colSums(truth$absent[observed, ])))
    expect_identical(x$effects$gene, truth$effects$gene[observed])
    expect_identical(x$effects$effect_allele, truth$effects$effect[observed])
    expect_identical(x$dropped, sum(!observed))
    flipped <- which(truth$swap, arr.ind = TRUE)
    listed <- x$entries[x$entries$what == "flipped", ]
    expect_setequal(
      paste(listed$condition, listed$effect),
      paste(colnames(truth$Bhat)[flipped[, 2]], rownames(truth$Bhat)[flipped[, 1]])
    )
  }
})

test_that("it reads without data.table, compressed files, and names conditions by what differs", {
  dir <- withr::local_tempdir()
  set.seed(4)
  truth <- sumstats_truth(50, c("Liver", "Lung"), 5)
  files <- write_sumstats_files(truth, "fastqtl", dir)
  expected <- read_sumstats(files$file, verbose = FALSE)
  expect_identical(colnames(expected$Bhat), c("Liver", "Lung"))
  packed <- paste0(files$file, ".gz")
  for (i in 1:2) {
    con <- gzfile(packed[i], "w")
    writeLines(readLines(files$file[i]), con)
    close(con)
  }
  expect_identical(read_sumstats(packed, verbose = FALSE), expected)
  withr::local_options(covmash.fread = FALSE)
  expect_identical(read_sumstats(packed, verbose = FALSE), expected)
  expect_identical(read_sumstats(files$file, verbose = FALSE), expected)
})

test_that("long and wide tables are read", {
  long <- data.frame(
    gene = rep(c("a", "b"), 2), tissue = rep(c("liver", "lung"), each = 2), estimate = c(1, 2, 3, 4), se = c(0.1, 0.2, 0.3, 0.4)
  )
  expected <- matrix(c(1, 2, 3, 4), 2, dimnames = list(c("a", "b"), c("liver", "lung")))
  expect_identical(read_sumstats(long, verbose = FALSE)$Bhat, expected)
  expect_identical(unname(read_sumstats(long[-3, ], verbose = FALSE)$Bhat["a", "lung"]), NA_real_)
  wide <- data.frame(snp = c("a", "b"), BETA_liver = 1:2, SE_liver = c(0.1, 0.2), BETA_lung = 3:4, SE_lung = c(0.3, 0.4))
  expect_identical(read_sumstats(wide, verbose = FALSE)$Bhat, expected)
  names(wide) <- c("x", "liver.b", "liver.se", "lung.b", "lung.se")
  read <- read_sumstats(wide, verbose = FALSE)
  expect_identical(read$Bhat, expected)
  expect_identical(read$report$format, c("wide", "wide"))
  path <- withr::local_tempfile()
  writeLines(c("a 1 0.1 3 0.3", "b 2 0.2 NA NA"), path)
  read <- read_sumstats(path, verbose = FALSE)
  expect_identical(unname(read$Bhat), cbind(1:2, c(3, NA)) + 0)
  expect_identical(colnames(read$Bhat), c("study_1", "study_2"))
})

test_that("standard errors come from statistics and p-values where there are none", {
  p <- c(1e-300, 0.05)
  x <- read_sumstats(data.frame(gene = c("a", "b"), beta = c(-2, 1), pval = p), verbose = FALSE)
  expect_equal(2 * pnorm(-abs(x$Bhat / x$Shat))[2], 0.05, tolerance = 1e-12)
  expect_equal(pnorm(x$Bhat[1] / x$Shat[1], log.p = TRUE), log(1e-300) - log(2), tolerance = 1e-12)
  x <- read_sumstats(data.frame(SNP = "v", gene = "a", beta = 1.5, "t-stat" = 3, check.names = FALSE), verbose = FALSE)
  expect_identical(unname(x$Shat[1, 1]), 0.5)
  x <- read_sumstats(
    data.frame(variant_id = "rs1", effect_allele = "A", other_allele = "G", odds_ratio = exp(0.3), standard_error = 0.1),
    verbose = FALSE
  )
  expect_equal(unname(x$Bhat[1, 1]), 0.3)
  expect_identical(x$report$format, "gwas_ssf")
})

test_that("bad input names file, column and row", {
  expect_error(read_sumstats(), class = "covmash_error_file")
  expect_error(read_sumstats("no-such-file.txt"), "does not exist", class = "covmash_error_file")
  expect_error(read_sumstats(tempdir()), "folder", class = "covmash_error_file")
  expect_error(read_sumstats(character()), class = "covmash_error_file")
  a <- data.frame(gene = "g", variant = "v", beta = "x", se = 1)
  expect_error(read_sumstats(a), "row 1 has 'x'", class = "covmash_error_columns")
  expect_error(read_sumstats(a["gene"]), "estimate", class = "covmash_error_columns")
  expect_error(read_sumstats(a, columns = c(estimate = "nothing")), "nothing", class = "covmash_error_columns")
  expect_error(read_sumstats(a, columns = c(b = "beta")), "named", class = "covmash_error_columns")
  expect_error(read_sumstats(a, format = "vcf"), class = "covmash_error_argument")
  expect_error(read_sumstats(transform(a, beta = 1, se = -1)), "No effect", class = "covmash_error_data")
  path <- withr::local_tempfile()
  writeLines(c("gene\tbeta\tse", "a\t1\t1", "b\t2"), path)
  expect_error(read_sumstats(path), basename(path), class = "covmash_error_file")
  file.create(empty <- withr::local_tempfile())
  expect_error(read_sumstats(empty), "is empty", class = "covmash_error_file")
})

test_that("Parquet is read where a package for it is installed", {
  skip_if_not_installed("nanoparquet")
  set.seed(6)
  truth <- sumstats_truth(40, c("a", "b"), 4)
  dir <- withr::local_tempdir()
  tables <- lapply(1:2, function(r) {
    x <- sumstats_table(truth, r)
    data.frame(phenotype_id = x$gene, variant_id = x$variant, af = 0.1, slope = x$estimate, slope_se = replace(x$se, x$nan, NaN))
  })
  paths <- file.path(dir, c("a.cis_qtl_pairs.1.parquet", "b.cis_qtl_pairs.1.parquet"))
  Map(nanoparquet::write_parquet, tables, paths)
  x <- read_sumstats(paths, verbose = FALSE)
  observed <- rowSums(!is.na(truth$expected$Bhat)) > 0
  expect_identical(x$Bhat, truth$expected$Bhat[observed, ])
  expect_identical(x$report$format, c("tensorqtl", "tensorqtl"))
})

test_that("the files of the package read as its vignette says", {
  folder <- system.file("extdata", "eqtl", package = "covmash")
  tissues <- c("Whole_Blood", "Liver", "Lung", "Brain_Cortex", "Brain_Cerebellum")
  files <- vapply(tissues, function(tissue) list.files(folder, tissue, full.names = TRUE), "")
  x <- read_sumstats(files, verbose = FALSE)
  expect_identical(dim(x$Bhat), c(359L, 5L))
  expect_identical(x$report$format, rep(c("fastqtl", "tensorqtl"), 3:2))
  expect_identical(x$report$flipped, c(0L, 0L, 0L, 24L, 18L))
  expect_identical(x$report$unusable, c(2L, 1L, 1L, 0L, 0L))
  expect_identical(x$report$not_tested[5], 120L)
  expect_identical(x$dropped, 1L)
  expect_warning(as_mash_data(x), "2 entries look like placeholders", class = "covmash_warning_placeholder")
  # Unless alleles are turned, the two tissues of the brain disagree with blood about shared effects.
  patterns <- utils::read.delim(system.file("extdata", "eqtl-patterns.txt", package = "covmash"))
  shared <- x$effects$gene %in% patterns$gene[patterns$pattern == "shared"]
  z <- (x$Bhat / x$Shat)[shared, ]
  strong <- abs(z[, "Whole_Blood"]) > 4
  expect_true(all(sign(z[strong, ]) == sign(z[strong, "Whole_Blood"]), na.rm = TRUE))
})
