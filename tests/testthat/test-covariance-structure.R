structure_of <- function(U) cpp_covariance_structure(unname(U))

test_that("the structure of a covariance is recognised", {
  v <- c(1, -2, 0, 0.5)
  expect_identical(structure_of(matrix(0, 3, 3))$structure, "null")
  expect_identical(structure_of(diag(c(0, 2, 0)))$structure, "singleton")
  expect_identical(structure_of(tcrossprod(v))$structure, "rank1")
  expect_identical(structure_of(matrix(1, 5, 5))$structure, "rank1")
  expect_identical(structure_of(diag(0.3, 4))$structure, "scaled_identity")
  expect_identical(structure_of(tcrossprod(cbind(v, c(1, 1, 0, 1))))$structure, "low_rank")
  expect_identical(structure_of(0.5 + diag(0.5, 4))$structure, "low_rank_plus_diagonal")
  expect_identical(structure_of(0.5 + diag(c(0.5, 0.5, 0.5, 0.6)))$structure, "full")
  expect_identical(structure_of(diag(c(0.5, 0, 2)))$structure, "diagonal")
})

test_that("the factor reproduces the matrix and has its rank", {
  for (name in covariance_structures[1:6]) {
    for (seed in 1:10) {
      U <- withr::with_seed(seed, random_covariance(name, 1 + seed %% 8))
      found <- structure_of(U)
      expect_identical(dim(found$factor), c(nrow(U), as.integer(found$rank)))
      expect_close(tcrossprod(found$factor), U, 1e-14)
      expect_equal(found$rank, sum(eigen(U, only.values = TRUE)$values > 1e-9))
    }
  }
})

test_that("conditions without prior variance have exact zeros in the factor", {
  for (seed in 1:10) {
    U <- withr::with_seed(seed, tcrossprod(rbind(0, matrix(rnorm(6), 3), 0)))
    factor <- structure_of(U)$factor
    expect_true(all(factor[c(1, 5), ] == 0))
    expect_true(all(rowSums(factor[2:4, ] != 0) > 0))
  }
})

test_that("a matrix that is nearly of rank one is not taken for one", {
  v <- c(1, 2, 3)
  expect_identical(structure_of(tcrossprod(v) + diag(1e-9, 3))$structure, "full")
  expect_identical(structure_of(tcrossprod(v / 3) * 3)$structure, "rank1")
})

test_that("conditions of very different variance keep their own rank", {
  U <- tcrossprod(c(1, 1e-6)) + diag(c(0, 1e-14))
  expect_equal(structure_of(U)$rank, 2)
})
