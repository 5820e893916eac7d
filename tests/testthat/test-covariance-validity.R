test_that("any number of projections may be allowed", {
  x <- matrix(c(1, 0.9, 0.2, 0.9, 1, 0.9, 0.2, 0.9, 1), 3)
  expect_identical(nearest_covariance(x, TRUE, max_iter = 1e300), nearest_covariance(x, TRUE))
})

test_that("the three questions have their answers", {
  Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
  for (x in list(Sigma, as.matrix(Sigma))) {
    expect_silent(check <- withVisible(check_covariance(x)))
    expect_true(check$visible)
    expect_true(check$value$valid)
    out <- capture.output(print(check$value))
    expect_match(out, "0.03431 0.05557 1.111 1.579", all = FALSE)
    expect_match(out, "This is a covariance matrix", all = FALSE)
    expect_true(is_covariance(x))
  }
  check <- check_covariance(factor_notebook$random_matrix)
  out <- capture.output(print(check))
  expect_match(out, "lower triangle, mirrored", all = FALSE)
  expect_match(out, "NOT a covariance", all = FALSE)
  expect_false(check$symmetric)
  expect_false(check$positive_semidefinite)
  expect_false(check$positive_diagonal)
  expect_equal(check$asymmetry, with(factor_notebook, max(abs(random_matrix - t(random_matrix)))))
  expect_identical(check$tolerance, 5 * covariance_tolerance)
  upper <- factor_notebook$random_matrix
  upper[upper.tri(upper)] <- 99
  expect_identical(check_covariance(upper)$eigenvalues, check$eigenvalues)
})

test_that("each answer alone can be no", {
  answers <- function(x) unlist(check_covariance(x)[c("symmetric", "positive_semidefinite", "positive_diagonal")], use.names = FALSE)
  expect_identical(answers(matrix(c(1, 0.2, 0.1, 1), 2)), c(FALSE, TRUE, TRUE))
  expect_identical(answers(matrix(c(1, 2, 2, 1), 2)), c(TRUE, FALSE, TRUE))
  expect_identical(answers(diag(c(1, 0))), c(TRUE, TRUE, FALSE))
  expect_identical(answers(matrix(1, 3, 3)), c(TRUE, TRUE, TRUE))
  expect_identical(answers(diag(c(1, -1e-11))), c(TRUE, TRUE, FALSE))
  large <- factor_covariance(matrix(1, 1200, 1), D = seq(1, 2, length.out = 1200))
  expect_true(is_covariance(large))
  expect_output(print(check_covariance(large)), "from at least 1 to 120")
})

test_that("what is no matrix of numbers is an error, or FALSE", {
  expect_input_error(check_covariance("a"), "numeric matrix", "covmash_error_type")
  expect_input_error(check_covariance(matrix(1, 2, 3)), "2 x 3", "covmash_error_dimensions")
  expect_input_error(check_covariance(matrix(c(1, NA, NA, 1), 2)), "row 2", "covmash_error_not_finite")
  expect_false(is_covariance("a"))
  expect_false(is_covariance(matrix(c(1, NA, NA, 1), 2)))
})

test_that("the nearest covariance is the floored one", {
  x <- factor_notebook$random_matrix
  near <- nearest_covariance(x)
  e <- eigen((x + t(x)) / 2)
  expect_close(near, e$vectors %*% diag(pmax(e$values, 0)) %*% t(e$vectors), 1e-13)
  expect_true(check_covariance(near)$positive_semidefinite)
  good <- as.matrix(factor_covariance(factor_notebook$B, D = factor_notebook$D))
  expect_identical(nearest_covariance(good), good)
  expect_identical(dimnames(nearest_covariance(good - diag(4))), dimnames(good))
})

test_that("with its diagonal kept it is the nearest of those", {
  # Higham (2002), section 4: the nearest correlation matrix of a tridiagonal example.
  x <- matrix(c(2, -1, 0, 0, -1, 2, -1, 0, 0, -1, 2, -1, 0, 0, -1, 2), 4)
  x[1, 4] <- x[4, 1] <- -3
  near <- nearest_covariance(x, keep_diag = TRUE)
  expect_identical(diag(near), diag(x))
  expect_gte(min(eigen(near)$values), -1e-10)
  # Optimal if near - x - diag(lambda) is positive semi-definite and orthogonal to near (Higham 2002, theorem 2.4).
  withr::local_seed(12)
  best <- sum((near - x)^2)
  for (try in 1:200) {
    direction <- crossprod(matrix(rnorm(16), 4))
    direction <- cov2cor(direction) * 2
    other <- near + 0.01 * (direction - near)
    expect_gte(sum((other - x)^2), best - 1e-9)
  }
  expect_input_error(nearest_covariance(diag(c(1, -1)), keep_diag = TRUE), "negative variance", "covmash_error_variance")
  expect_covmash_warning(nearest_covariance(x, TRUE, max_iter = 1), "1 projection", "covmash_warning_convergence")
})

test_that("small eigenvalues are printed short", {
  expect_output(print(check_covariance(diag(c(1, 1e-30)))), "eigenvalues 1e-30 1", fixed = TRUE)
  expect_output(print(check_covariance(diag(c(0.5, 0)))), "eigenvalues 0 0.5", fixed = TRUE)
})

test_that("as many projections as one likes", {
  x <- matrix(c(1, 0.9, 0.2, 0.9, 1, 0.9, 0.2, 0.9, 1), 3)
  expect_identical(nearest_covariance(x, TRUE, max_iter = 1e300), nearest_covariance(x, TRUE))
})
