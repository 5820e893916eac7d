test_that("matrices are taken from what users have", {
  x <- matrix(1:6, 3, dimnames = list(letters[1:3], NULL))
  expect_identical(matrix_input(x, "`x`"), x + 0)
  expect_identical(matrix_input(data.frame(a = 1:2, b = 3:4), "`x`"), matrix(c(1, 2, 3, 4), 2, dimnames = list(NULL, c("a", "b"))))
  expect_identical(matrix_input(c(u = 1, v = 2), "`x`"), matrix(c(1, 2), 2, dimnames = list(c("u", "v"), NULL)))
  expect_identical(matrix_input(c(u = 1, v = 2), "`x`", vector = "row"), matrix(c(1, 2), 1, dimnames = list(NULL, c("u", "v"))))
  expect_input_error(matrix_input(1:2, "`x`", vector = "no"), "`x` must be a numeric matrix", "covmash_error_type")
  expect_identical(matrix_input(matrix(NA, 2, 2), "`x`", values = "missing"), matrix(NA_real_, 2, 2))
  expect_identical(dim(matrix_input(matrix(0, 0, 3), "`x`")), c(0L, 3L))
  expect_null(attr(matrix_input(structure(x, note = "mine"), "`x`"), "note"))
  skip_if_not_installed("Matrix")
  expect_identical(unname(matrix_input(Matrix::Diagonal(2), "`x`")), diag(2))
})

test_that("what is wrong with a matrix is said with its own name and class", {
  expect_input_error(matrix_input("a", "`x`"), "`x` must be a numeric matrix, not 'a'", "covmash_error_type")
  expect_input_error(matrix_input(data.frame(a = 1, b = "u"), "`x`"), "column 2 \\('b'\\) is of class character", "covmash_error_type")
  expect_input_error(matrix_input(matrix(0, 0, 3), "`x`", least = c(1L, 0L)), "at least one row, but it is 0 x 3", "covmash_error_dimensions")
  expect_input_error(matrix_input(diag(2), "`x`", n_rows = 3, size = "have 3 rows"), "must have 3 rows, but it is 2 x 2", "covmash_error_dimensions")
  expect_input_error(matrix_input(matrix(c(1, NA, 3, 4), 2), "`x`"), "finite, but its entry in row 2, column 1 is NA", "covmash_error_not_finite")
  expect_input_error(matrix_input(matrix(c(NA, Inf), 1), "`x`", values = "missing"), "row 1, column 2 is Inf", "covmash_error_not_finite")
  expect_input_error(matrix_input("a", "`x`", class = "covmash_error_mine"), "numeric", "covmash_error_mine")
  # A sum beyond all numbers is no bad entry.
  expect_identical(matrix_input(matrix(1e308, 3, 3), "`x`"), matrix(1e308, 3, 3))
})

# ---- the one definition of a covariance matrix

# Every function that takes a covariance matrix, and whether it takes this one.
judges <- function(U) {
  R <- nrow(U)
  taken <- function(expr) tryCatch({
    force(expr)
    TRUE
  }, covmash_error_input = function(cnd) FALSE)
  size <- sqrt(max(U))
  data <- mash_set_data(matrix(rep(c(1, -2, 3), 4 * R), ncol = R) * size, size)
  c(
    mash = taken(mash(data, list(U), grid = 1, verbose = FALSE)),
    cov_ed = taken(suppressWarnings(cov_ed(data, list(U), maxiter = 1))),
    factor_covariance = taken(factor_covariance(diag(R), U, rep(1, R))),
    is_covariance = is_covariance(U),
    fit_factor_model = taken(suppressWarnings(fit_factor_model(U, 0, n_samples = 50)))
  )
}

all_say <- function(U, answer) {
  said <- judges(U)
  expect_identical(unique(unname(said)), answer, info = paste(names(said)[said != answer], collapse = ", "))
}

test_that("one definition decides, whoever asks, in any unit", {
  turn <- qr.Q(qr(matrix(c(2, 1, 1, 1, 3, 1, 0, 1, 4), 3)))
  with_eigenvalues <- function(values) symmetrise(turn %*% (values * t(turn)))
  bad <- matrix(c(1, 2, 2, 1), 2)
  good <- matrix(c(2, 1, 1, 2), 2)
  for (unit in c(1, 1e-10, 1e-30, 1e10)) {
    all_say(unit * bad, FALSE)
    all_say(unit * good, TRUE)
    all_say(unit * with_eigenvalues(c(1, 0.5, -5e-9)), TRUE)
    all_say(unit * with_eigenvalues(c(1, 0.5, -5e-7)), FALSE)
  }
  # and each variable in its own unit
  scale <- c(1e-8, 1, 1e6)
  all_say(with_eigenvalues(c(1, 0.5, -5e-9)) * outer(scale, scale), TRUE)
  all_say(with_eigenvalues(c(1, 0.5, -5e-7)) * outer(scale, scale), FALSE)
  expect_identical(c(is_covariance(bad), is_covariance(1e-11 * bad)), c(FALSE, FALSE))
  data <- mash_set_data(matrix(c(1, -2, 3, 4), 2) * 1e-5, 1e-5)
  expect_input_error(mash(data, list(b = 1e-10 * bad), verbose = FALSE), "positive semi-definite", "covmash_error_ulist")
})

test_that("symmetry is judged entry by entry, in units of the standard deviations", {
  lopsided <- function(by, scale = c(1, 1)) {
    x <- matrix(c(1, 0.5, 0.5, 1), 2)
    x[1, 2] <- x[1, 2] + by
    x * outer(scale, scale)
  }
  for (scale in list(c(1, 1), c(1e-6, 1), c(1e-20, 1e20))) {
    all_say(lopsided(1e-7, scale), FALSE)
    all_say(lopsided(1e-9, scale), TRUE)
  }
  expect_true(is_symmetric(matrix(0, 2, 2)))
  expect_false(is_symmetric(matrix(c(0, 1, 2, 0), 2)))
})

test_that("singular is what the pivots say, not whether the Cholesky factorisation happens to fail", {
  skip_on_cran()
  V <- function(x) tryCatch(is.list(mash_set_data(matrix(1, 2, nrow(x)), 1, V = x)), covmash_error_V = function(cnd) FALSE)
  inverse <- function(x) tryCatch(is.matrix(precision(x)), covmash_error_singular = function(cnd) FALSE)
  withr::local_seed(1)
  for (i in 1:200) {
    N <- c(2, 3, 5, 12, 40)[1 + i %% 5]
    scale <- exp(rnorm(N, sd = 4))
    singular <- symmetrise(tcrossprod(matrix(rnorm(N * (N - 1)), N)) * outer(scale, scale))
    expect_false(inverse(singular))
    expect_false(V(singular))
    expect_true(is_semidefinite(singular))
    regular <- symmetrise(tcrossprod(matrix(rnorm(N * (N + 1)), N)) * outer(scale, scale))
    expect_true(inverse(regular))
    expect_true(V(regular))
  }
  # A condition number of 1e12 is no reason to refuse.
  near <- 1 - 1e-12
  expect_true(V(matrix(c(1, near, near, 1), 2)))
  expect_true(inverse(matrix(c(1, near, near, 1), 2)))
  expect_close(precision(diag(c(1e-200, 1, 1e200))), diag(c(1e200, 1, 1e-200)), 1e-14)
})

test_that("matrices that are semi-definite up to rounding pass, large and small", {
  withr::local_seed(2)
  for (R in c(2, 8, 44, 200)) {
    for (rank in unique(c(1, 2, R %/% 2, R - 1))) {
      factor <- matrix(rnorm(R * rank), R) * exp(rnorm(R, sd = 3))
      expect_true(is_semidefinite(tcrossprod(factor)))
      expect_true(is_semidefinite(crossprod(t(factor))))
      # once more through an eigendecomposition
      e <- eigen(tcrossprod(factor / sqrt(rowSums(factor^2))), symmetric = TRUE)
      expect_true(is_semidefinite(symmetrise(e$vectors %*% (pmax(e$values, 0) * t(e$vectors)))))
    }
  }
  expect_true(is_semidefinite(matrix(1, 1000, 1000)))
  sim <- small_data(J = 80, R = 5)
  for (U in c(cov_ed(sim$data, cov_pca(sim$data, 2)), cov_pca(sim$data, 3))) expect_true(is_semidefinite(U))
})

test_that("a variance that is negative by rounding is none, and a condition without variance has no covariances", {
  U <- diag(c(1, -1e-11))
  U[1, 2] <- U[2, 1] <- 1e-10
  expect_identical(covariance_input(U, "`U`"), diag(c(1, 0)))
  sim <- small_data(R = 2)
  expect_true(all(get_pm(mash(sim$data, list(u = U), verbose = FALSE))[, 2] == 0))
  expect_input_error(covariance_input(diag(c(1, -1e-6)), "`U`"), "smallest eigenvalue is -1e-06", "covmash_error_covariance")
  expect_input_error(covariance_input(matrix(c(1, 1, 1, 0), 2), "`U`"), "positive semi-definite", "covmash_error_covariance")
})

test_that("covariances of the Matrix package are matrices", {
  skip_if_not_installed("Matrix")
  sim <- small_data(R = 4)
  plain <- mash(sim$data, list(a = diag(4), b = diag(c(1, 1, 0, 2))), verbose = FALSE)
  theirs <- mash(sim$data, list(a = Matrix::Diagonal(4), b = Matrix::Diagonal(x = c(1, 1, 0, 2))), verbose = FALSE)
  expect_equal(unname(get_pm(theirs)), unname(get_pm(plain)))
  expect_true(is_covariance(Matrix::Diagonal(3)))
  expect_close(mash_set_data(sim$Bhat, 1, V = Matrix::Diagonal(4))$V, diag(4), 0)
})

test_that("correlations beyond all numbers are no covariance, not an error", {
  x <- matrix(c(1e-300, 1e300, 1e300, 1e-300), 2)
  expect_false(is_covariance(x))
  expect_error(mash_set_data(matrix(1, 3, 2), 1, V = x), class = "covmash_error_V")
})
