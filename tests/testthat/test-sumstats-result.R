test_that("what was done is said, and nothing is joined in silence", {
  a <- data.frame(gene = "g", variant = paste0("chr1_", 1:3, "_A_G"), beta = 1:3, se = 1)
  b <- transform(a, variant = sub("A_G", "G_A", variant))
  expect_message(read_sumstats(list(a = a, b = b)), "3 flipped", class = "covmash_message_sumstats")
  b$variant <- paste0("rs", 1:3)
  expect_warning(read_sumstats(list(a = a, b = b), verbose = FALSE), "rs1", class = "covmash_warning_no_overlap")
  b$se <- NA
  expect_identical(read_sumstats(list(a = a, b = b), verbose = FALSE)$dropped, 3L)
  expect_identical(nrow(read_sumstats(list(a = a, b = a[1:2, ]), min_conditions = 2, verbose = FALSE)$Bhat), 2L)
  expect_output(print(read_sumstats(list(a = a, b = a), verbose = FALSE)), "3 effects in 2 conditions, 0 % missing")
})

test_that("effects without an estimate are gone from matrices, report and effects alike", {
  a <- data.frame(gene = "g", variant = paste0("v", 1:4), beta = 1:4, se = c(1, NA, 1, 1))
  b <- data.frame(gene = "g", variant = paste0("v", 2:5), beta = 12:15, se = c(NA, 1, 1, 1))
  x <- read_sumstats(list(a = a, b = b, c = a), verbose = FALSE)
  expected <- cbind(a = c(1, 3, 4, NA), b = c(NA, 13, 14, 15), c = c(1, 3, 4, NA))
  rownames(expected) <- paste0("g_v", c(1, 3:5))
  expect_identical(x$Bhat, expected)
  expect_identical(x$effects$variant, paste0("v", c(1, 3:5)))
  expect_identical(x$report$used, c(3L, 3L, 3L))
  expect_identical(x$report$not_tested, c(1L, 1L, 1L))
  expect_identical(x$dropped, 1L)
  expect_identical(x$entries, data.frame(condition = c("a", "b", "c"), effect = "g_v2", what = "unusable"))
})

test_that("a condition that shares no effect is found beside others that do", {
  a <- data.frame(gene = "g", variant = paste0("v", 1:3), beta = 1:3, se = 1)
  files <- list(a = a, b = a, c = transform(a, variant = paste0("rs", 1:3)))
  expect_warning(read_sumstats(files, verbose = FALSE), "of 'c' .*'g_rs1', others 'g_v1'", class = "covmash_warning_no_overlap")
})
