test_that("the default canonical matrices come in mashr's order with mashr's names", {
  data <- small_data(R = 3)$data
  U <- cov_canonical(data)
  expect_named(U, c("identity", "a", "b", "c", "equal_effects", "simple_het_1", "simple_het_2", "simple_het_3"))
  expect_identical(unname(U$identity), diag(3))
  expect_identical(unname(U$b), diag(c(0, 1, 0)))
  expect_identical(unname(U$equal_effects), matrix(1, 3, 3))
  for (i in 1:3) {
    expected <- matrix(i / 4, 3, 3)
    diag(expected) <- 1
    expect_identical(unname(U[[paste0("simple_het_", i)]]), expected)
  }
})

test_that("conditions without names give singletons_1, singletons_2, ...", {
  data <- small_data(R = 2, names = FALSE)$data
  expect_named(cov_canonical(data), c("identity", "singletons_1", "singletons_2", "equal_effects", paste0("simple_het_", 1:3)))
})

test_that("methods can be chosen, in the order given, and abbreviated", {
  data <- small_data(R = 2)$data
  expect_named(cov_canonical(data, c("equal_effects", "identity")), c("equal_effects", "identity"))
  expect_named(cov_canonical(data, c("id", "sing")), c("identity", "a", "b"))
  null <- cov_canonical(data, "null")
  expect_named(null, "null")
  expect_identical(unname(null$null), matrix(0, 2, 2))
  expect_input_error(cov_canonical(data, "nonsense"), "nonsense")
})

test_that("one condition gives 1 x 1 matrices", {
  data <- mash_set_data(matrix(c(1, 2, 3), 3), 1)
  U <- cov_canonical(data)
  for (x in U) expect_identical(dim(x), c(1L, 1L))
})

test_that("matrices are plain numeric matrices and their use leaves the generator alone", {
  data <- small_data(R = 3)$data
  for (x in cov_canonical(data)) {
    expect_true(is.matrix(x) && is.double(x))
    expect_null(attr(x, "class"))
  }
  set.seed(1)
  expect_rng_untouched(cov_canonical(data))
})

test_that("something that is no data object is refused", {
  expect_input_error(cov_canonical(matrix(1, 2, 2)), "data")
})

test_that("a method that is none is an error that shows how to write one", {
  sim <- small_data(J = 4, R = 2)
  for (bad in list(list(a = 3), list(a = list(fn = 3)), list(a = list(fn = "no_such_function")), list(a = NULL), list(a = list()))) {
    expect_input_error(cov_canonical(sim$data, bad), "'a'")
  }
})
