test_that("names of variants are taken apart", {
  x <- parse_variants(c("chr1_12345_A_G_b38", "1:12345:A:G", "X-7-ACT-A", "rs12", "1_2_3_4", "chrM_5_<DEL>_T"))
  expect_identical(x$hit, c(1L, 2L, 3L, 6L))
  expect_identical(x$contig, c("1 b38", "1 ", "X ", "M "))
  expect_identical(x$position, c(12345, 12345, 7, 5))
  expect_identical(x$other, c("A", "A", "ACT", "<DEL>"))
  expect_identical(x$effect, c("G", "G", "A", "T"))
})

test_that("swapped alleles and those of the other strand are the same effect", {
  index <- new_effect_index()
  at <- function(other, effect, variant = "rs1") {
    place_effects(index, list(variant = rep_len(variant, length(other)), other_allele = other, effect_allele = effect))
  }
  first <- at("A", "C")
  expect_identical(first$rows, 1L)
  placed <- at(c("A", "C", "T", "G", "A"), c("C", "A", "G", "T", "G"))
  expect_identical(placed$rows, c(1L, 1L, 1L, 1L, 2L))
  expect_identical(placed$turned, c(FALSE, TRUE, FALSE, TRUE, FALSE))
  expect_identical(placed$strand, c(FALSE, FALSE, TRUE, TRUE, FALSE))
  expect_null(placed$ambiguous)
  expect_true(placed$duplicated)
  # Longer alleles are turned as a whole.
  expect_identical(at(c("ACT", "T"), c("A", "AGT"), "rs2")$rows, c(3L, 3L))
  palindrome <- at(c("A", "T"), c("T", "A"), "rs3")
  expect_identical(palindrome$rows, c(4L, 4L))
  expect_identical(palindrome$turned, c(FALSE, TRUE))
  expect_identical(palindrome$ambiguous, c(TRUE, TRUE))
})

test_that("the place stands for a variant without a name", {
  expect_identical(
    variant_strings(list(variant = c("rs1", ".", NA), chromosome = c("1", "2", "3"), position = c(1, 1e8, 3))),
    c("rs1", "2:100000000", "3:3")
  )
})
