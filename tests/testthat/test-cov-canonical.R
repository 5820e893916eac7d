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

test_that("groups of conditions have matrices, two groupings their Kronecker product", {
  design <- expand.grid(tissue = c("liver", "lung"), time = c("early", "late", "never"))
  data <- mash_set_data(matrix(rnorm(12), 2, 6))
  made <- cov_canonical(data, "identity", groups = design)
  expect_identical(names(made), c(
    "identity", "tissue_shared", "tissue_het", "tissue_liver", "tissue_lung", "time_shared", "time_het", "time_early",
    "time_late", "time_never", "tissue_x_time"
  ))
  het <- function(n) 0.5 + diag(0.5, n)
  expect_identical(made$tissue_x_time, kronecker(het(3), het(2)))
  expect_identical(made$tissue_shared, kronecker(matrix(1, 3, 3), diag(2)))
  expect_identical(made$time_shared, kronecker(diag(3), matrix(1, 2, 2)))
  expect_identical(made$tissue_liver, tcrossprod(c(1, 0, 1, 0, 1, 0)))
  for (U in made) expect_gte(min(eigen(U, symmetric = TRUE)$values), -1e-12)
  expect_true(is.finite(mash(data, made, verbose = FALSE)$loglik))
})

test_that("a grouping with names is matched by them, and a wrong one is an error", {
  data <- mash_set_data(matrix(rnorm(6), 2, 3, dimnames = list(NULL, c("a", "b", "c"))))
  made <- cov_canonical(data, "identity", groups = c(c = "x", a = "y", b = "y"))
  expect_identical(names(made), c("identity", "group_shared", "group_het", "group_y"))
  expect_identical(made$group_y, tcrossprod(c(1, 1, 0)))
  for (bad in list(1:2, c(1, 2, NA), list(1, 2, 3), data.frame(), diag(3))) {
    expect_error(cov_canonical(data, groups = bad), "groups", class = "covmash_error_argument")
  }
})
