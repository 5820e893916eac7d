test_that("mash_notebook holds the notebook's data", {
  expect_named(mash_notebook, c("B", "Bhat", "Shat"))
  for (x in mash_notebook) {
    expect_true(is.double(x))
    expect_identical(dim(x), c(2000L, 5L))
    expect_identical(dimnames(x), list(paste0("effect_", 1:2000), paste0("condition_", 1:5)))
    expect_true(all(is.finite(x)))
  }
  expect_true(all(mash_notebook$Shat == 1))
  B <- unname(mash_notebook$B)
  expect_true(all(B[1:500, ] == 0))
  expect_true(all(B[501:1000, ] != 0))
  expect_true(all(B[1001:1500, -1] == 0) && all(B[1001:1500, 1] != 0))
  expect_true(all(B[1501:2000, ] == B[1501:2000, 1]))
  error <- mash_notebook$Bhat - mash_notebook$B
  expect_lt(abs(mean(error)), 4 / sqrt(10000))
  expect_lt(abs(var(c(error)) - 1), 4 * sqrt(2 / 10000))
})

test_that("gtex_z holds 500 strong pairs in 44 named tissues", {
  expect_identical(dim(gtex_z), c(500L, 44L))
  expect_true(is.double(gtex_z) && all(is.finite(gtex_z)))
  expect_true(all(grepl("^ENSG[0-9.]+_", rownames(gtex_z))))
  expect_false(anyDuplicated(rownames(gtex_z)) > 0 || anyDuplicated(colnames(gtex_z)) > 0)
  expect_true(all(c("Whole_Blood", "Liver", "Testis") %in% colnames(gtex_z)))
  # The rows were chosen for a strong signal in at least one tissue.
  expect_gt(min(apply(abs(gtex_z), 1, max)), 3)
})

test_that("the z-scores can be analysed as they are", {
  data <- mash_set_data(gtex_z[1:100, ], 1)
  fit <- mash(data, cov_canonical(data, c("identity", "equal_effects")), gridmult = 2, verbose = FALSE)
  expect_identical(dimnames(get_pm(fit)), dimnames(gtex_z[1:100, ]))
  expect_gt(length(get_significant_results(fit)), 50)
})
