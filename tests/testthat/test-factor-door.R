door_covariance <- function() {
  B <- matrix(c(0.8, 0.5, 0.1, 0.2, 0.1, 0.3, 0.7, 0.9), 4, dimnames = list(letters[1:4], c("f", "g")))
  factor_covariance(B, F = matrix(c(1, 0.3, 0.3, 2), 2), D = c(0.1, 0.2, 0.3, 0.4))
}

with_part <- function(x, part, value) {
  x[part] <- list(value)
  x
}

expect_refused <- function(expr, what) {
  expect_error(expr, paste0("damaged.*", what), class = "covmash_error_input")
}

test_that("a damaged factor_cov is refused by every function, with what is wrong", {
  skip_on_cran()
  S <- door_covariance()
  broken <- list(
    "`D`" = with_part(S, "D", NULL), "`D`" = with_part(S, "D", -S$D), "`D`" = with_part(S, "D", replace(S$D, 2, NA)),
    "`D`" = with_part(S, "D", letters[1:4]), "`B`" = with_part(S, "B", S$B[-1, ]), "`B`" = with_part(S, "B", S$B[, 1]),
    "`B`" = with_part(S, "B", S$B / 0), "`F`" = with_part(S, "F", diag(3)), "`F`" = with_part(S, "F", matrix(1:4, 2)),
    "names" = with_part(S, "D", unname(S$D)), "`D`" = asS4(structure(list(), class = "factor_cov")),
    "list" = asS4(structure(1, class = "factor_cov"))
  )
  data <- mash_set_data(matrix(rnorm(12), 3), 1)
  doors <- list(
    as.matrix, solve, function(x) solve(x, 1:4), determinant, chol, print, format, summary, diag, cov2cor, precision,
    correlation, partial_correlation, eigenvalues, check_covariance, nearest_covariance,
    systematic_covariance, noise_covariance, n_parameters, function(x) marginal(x, 1:2), function(x) x[1, 2],
    function(x) x %*% 1:4, function(x) crossprod(1:4, x), function(x) 2 * x, function(x) update(x, add = 1:4),
    function(x) log_density(1:4, x), function(x) rfactor_cov(2, x), function(x) conditional(x, c(a = 1)),
    function(x) partial_correlation_network(x), function(x) all.equal(x, S), function(x) all.equal(S, x),
    function(x) mash(data, list(U = x), verbose = FALSE), function(x) cov_ed(data, list(U = x), maxiter = 1)
  )
  for (i in seq_along(broken)) {
    for (door in doors) expect_refused(door(broken[[i]]), names(broken)[i])
    expect_false(is_covariance(broken[[i]]))
  }
})

test_that("a damaged factor_precision is refused by every function", {
  skip_on_cran()
  P <- precision(door_covariance())
  Q <- precision(factor_covariance(door_covariance()$B, D = c(a = 0, b = 0.2, c = 0.3, d = 0.4)))
  expect_equal(Q$border, 1)
  broken <- list(
    with_part(P, "covariance", NULL), with_part(P, "covariance", with_part(P$covariance, "D", NULL)),
    with_part(P, "W", P$W[-1, ]), with_part(P, "W", NULL), with_part(P, "D_inverse", 1), with_part(P, "diagonal", NULL),
    with_part(P, "s", 1:7), with_part(Q, "border", 9), with_part(Q, "columns", NULL), with_part(Q, "rest", 1),
    asS4(structure(list(), class = "factor_precision")), asS4(structure(1, class = "factor_precision"))
  )
  doors <- list(
    as.matrix, solve, function(x) solve(x, 1:4), determinant, chol, print, format, summary, diag, cov2cor, eigenvalues,
    function(x) x[1, 2], function(x) x %*% 1:4, function(x) crossprod(1:4, x), function(x) x / 2,
    function(x) update(x, add = 1:4), function(x) all.equal(x, P), function(x) all.equal(P, x)
  )
  for (x in broken) for (door in doors) expect_refused(door(x), "make it again with precision")
})

test_that("row names that have names are names", {
  skip_on_cran()
  B <- matrix(1:4 / 4, 4, dimnames = list(unlist(list(x = c("a", "b"), y = c("c", "d"))), "f"))
  S <- factor_covariance(B, D = rep(1, 4))
  expect_identical(rownames(as.matrix(S)), letters[1:4])
  expect_identical(dim(precision(S)), c(4L, 4L))
})

test_that("what still fits together is taken, and objects come back from a file", {
  skip_on_cran()
  S <- door_covariance()
  edited <- with_part(S, "D", c(a = 1L, b = 2L, c = 3L, d = 4L))
  expect_equal(as.matrix(edited), S$B %*% S$F %*% t(S$B) + diag(1:4), ignore_attr = TRUE)
  file <- withr::local_tempfile()
  saveRDS(list(S, precision(S)), file)
  back <- readRDS(file)
  expect_identical(as.matrix(back[[1]]), as.matrix(S))
  expect_identical(back[[2]] %*% 1:4, precision(S) %*% 1:4)
})
