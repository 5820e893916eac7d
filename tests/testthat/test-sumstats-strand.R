test_that("ambiguous alleles follow the rule", {
  one <- data.frame(
    variant = paste0("rs", 1:4), effect_allele = c("A", "A", "A", "C"), other_allele = c("T", "T", "T", "A"),
    beta = 1:4, se = 1, eaf = c(0.2, 0.2, 0.45, 0.3)
  )
  # rs1 on the other strand, rs2 swapped and on the same, rs3 cannot be told, rs4 over the other strand.
  two <- data.frame(
    variant = paste0("rs", 1:4), effect_allele = c("A", "T", "A", "G"), other_allele = c("T", "A", "T", "T"),
    beta = c(-1, -2, 3, 4), se = 1, eaf = c(0.8, 0.8, 0.45, 0.3)
  )
  files <- list(one = one, two = two)
  expect_identical(unname(read_sumstats(files, verbose = FALSE)$Bhat[, 2]), c(-1, 2, 3, 4))
  x <- read_sumstats(files, ambiguous = "frequency", verbose = FALSE)
  expect_identical(unname(x$Bhat[, 2]), c(1, 2, NA, 4))
  expect_identical(x$report$ambiguous, c(0L, 2L))
  x <- read_sumstats(files, ambiguous = "drop", verbose = FALSE)
  expect_identical(rownames(x$Bhat), "rs4")
  expect_identical(x$report$strand, c(0L, 1L))
})
