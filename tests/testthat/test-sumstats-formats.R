test_that("each format is told by its columns", {
  known <- function(header) recognise(list(columns = strsplit(header, " ")[[1]], label = "it"), "auto", NULL)
  headers <- c(
    fastqtl = "gene_id variant_id tss_distance ma_samples ma_count maf pval_nominal slope slope_se",
    tensorqtl = "phenotype_id variant_id start_distance af ma_samples ma_count pval_nominal slope slope_se",
    tensorqtl_trans = "variant_id phenotype_id pval b b_se af",
    tensorqtl_interaction = "phenotype_id variant_id start_distance af pval_g b_g b_g_se pval_i b_i b_i_se pval_gi b_gi b_gi_se",
    eqtl_catalogue = "molecular_trait_id chromosome position ref alt variant ma_samples maf pvalue beta se type ac an r2 gene_id rsid",
    eqtl_catalogue = "chrom pos alt ref variant_id molecular_trait_id start_distance af pvalue beta se n",
    matrixeqtl = "SNP gene beta t-stat p-value FDR", matrixeqtl = "snps gene statistic pvalue FDR beta",
    regenie = "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA",
    saige = "CHR POS MarkerID Allele1 Allele2 AC_Allele2 AF_Allele2 MissingRate BETA SE Tstat var p.value N Gene",
    plink2 = "CHROM POS ID REF ALT A1 TEST OBS_CT BETA SE T_STAT P ERRCODE",
    plink2 = "CHROM POS ID REF ALT A1 TEST OBS_CT OR LOG(OR)_SE Z_STAT P ERRCODE",
    gwas_ssf = "chromosome base_pair_location effect_allele other_allele beta standard_error effect_allele_frequency p_value",
    dreamlet = "assay ID logFC AveExpr t P.Value adj.P.Val B", limma = " logFC AveExpr t P.Value adj.P.Val B",
    deseq2 = " baseMean log2FoldChange lfcSE stat pvalue padj", generic = "Gene SNP Beta SE Tissue"
  )
  for (k in seq_along(headers)) {
    expect_identical(known(headers[k])$format, names(headers)[k], info = headers[k])
  }
  columns <- function(header) {
    found <- known(header)
    strsplit(header, " ")[[1]][found$at] |> stats::setNames(names(found$at))
  }
  regenie <- columns(headers[["regenie"]])
  expect_identical(regenie[c("effect_allele", "other_allele", "estimate")], c(effect_allele = "ALLELE1", other_allele = "ALLELE0", estimate = "BETA"))
  expect_identical(columns(headers["generic"])[["condition"]], "Tissue")
  odds <- columns(headers[[12]])
  expect_identical(odds[["odds"]], "OR")
  expect_identical(odds[["se"]], "LOG(OR)_SE")
})

test_that("`columns` stands above the format", {
  table <- list(columns = c("phenotype_id", "variant_id", "slope", "slope_se", "b2"), label = "it")
  expect_identical(recognise(table, "auto", c(estimate = "b2"))$at[["estimate"]], 5L)
})

test_that("PLINK's other allele is the one that A1 is not", {
  data <- list(effect_allele = c("A", "G", "T"), ref = c("A", "A", "C"), alt = c("G", "G", "T,G"), omitted = c(NA, NA, "G"))
  expect_identical(other_allele_of(data), c("G", "A", "G"))
})
