# Is this a covariance matrix? And the nearest one, if not.

#' Is this a covariance matrix?
#'
#' `check_covariance()` asks the three questions and answers them with their
#' numbers: is the matrix symmetric, is it positive semi-definite (no negative
#' eigenvalue), are the variances on its diagonal positive? `is_covariance()` is
#' the answer for code.
#'
#' @param x A square numeric matrix, or a `factor_cov` ([factor_covariance()]).
#' @return `check_covariance()`: a list of class `"covariance_check"` with
#'   `symmetric`, `positive_semidefinite`, `positive_diagonal` (`TRUE` or `FALSE`
#'   each), `valid` (all three), `asymmetry` (largest difference to the mirrored
#'   entry), `eigenvalues` (decreasing; for a `factor_cov` of more than 1000 genes,
#'   the smallest noise variance, a lower bound, and the largest eigenvalue only),
#'   `tolerance`, `smallest_variance` and `n_genes`. `is_covariance()`: `TRUE` or
#'   `FALSE`.
#' @details The first two questions are asked of the matrix scaled to unit variances,
#'   \eqn{x_{ij} / \sqrt{x_{ii} x_{jj}}}, so that units do not matter (a variance that
#'   is not positive is scaled as the largest one). Symmetric: no entry differs from the
#'   mirrored one by more than 1e-8. Positive semi-definite: no eigenvalue is below minus
#'   the tolerance, 1e-8 times the number of variables. The same definition holds
#'   wherever covmash is given a covariance matrix. `eigenvalues` are those of the matrix
#'   as it is; for one that is not symmetric, of its lower triangle mirrored, as of
#'   `eigen(symmetric = TRUE)` and numpy's `eigvalsh`, and the print says so.
#'
#'   A `factor_cov` is symmetric and positive semi-definite by construction. A variance
#'   of 0 fails the third question, although such a matrix is a covariance matrix in
#'   the limit.
#' @section Errors: `covmash_error_type` if `x` is not a numeric matrix,
#'   `covmash_error_dimensions` if it is not square, `covmash_error_not_finite` if it
#'   has missing or infinite entries. `is_covariance()` is `FALSE` instead.
#' @seealso [nearest_covariance()]
#' @export
#' @examples
#' check_covariance(matrix(c(2, 1, 1, 2), 2))
#' check_covariance(matrix(c(0.5, -0.2, -0.1, 1.6), 2))
#' is_covariance(matrix(c(1, 2, 2, 1), 2))
check_covariance <- function(x) {
  if (is_factor_cov(x)) {
    check_factor_cov(x, "x")
    asymmetry <- 0
    symmetric <- semidefinite <- TRUE
    eigenvalues <- if (length(x$D) <= 1000L) {
      eigenvalues(x)
    } else {
      c(eigenvalues(x, n = 1L), min(x$D))
    }
    variances <- systematic_variances(x) + x$D
  } else {
    x <- covariance_input(x, "`x`", "no")
    asymmetry <- max(abs(x - t(x)))
    symmetric <- is_symmetric(x)
    # The lower triangle, as eigen() has it.
    x[upper.tri(x)] <- t(x)[upper.tri(x)]
    semidefinite <- is_semidefinite(x)
    eigenvalues <- dense_eigenvalues(x)
    variances <- base::diag(x)
  }
  answers <- c(symmetric, semidefinite, min(variances) > 0)
  structure(
    list(
      symmetric = answers[1], positive_semidefinite = answers[2],
      positive_diagonal = answers[3], valid = all(answers), asymmetry = asymmetry,
      eigenvalues = eigenvalues, tolerance = dim(x)[1] * covariance_tolerance,
      smallest_variance = min(variances), n_genes = dim(x)[1]
    ),
    class = "covariance_check"
  )
}

#' @rdname check_covariance
#' @export
is_covariance <- function(x) {
  tryCatch(
    check_covariance(x)$valid,
    covmash_error_input = function(cnd) FALSE
  )
}

#' @export
print.covariance_check <- function(x, digits = 4, ...) {
  check_printing(digits)
  answer <- function(question, yes, ...) {
    status_line(question, if (yes) "yes" else "no", " (", ..., ")", indent = 27L)
  }
  cat("<covariance_check> ", x$n_genes, " x ", x$n_genes, " matrix\n", sep = "")
  answer("symmetric:", x$symmetric, "largest difference ", format(x$asymmetry, digits = 3))
  answer(
    "positive semi-definite:", x$positive_semidefinite, describe_eigenvalues(x, digits),
    if (!x$symmetric) " (of the lower triangle, mirrored)", "; tolerance ", format(x$tolerance, digits = 2),
    " with unit variances"
  )
  answer("variances positive:", x$positive_diagonal, "smallest ", format(x$smallest_variance, digits = digits))
  cat(
    if (x$valid) "This is a covariance matrix.\n" else
      "This is NOT a covariance matrix.\n"
  )
  invisible(x)
}

# Plain where that is short: 0.0343, 1.111, but 1e-30.
describe_number <- function(x, digits) {
  if (x != 0 && abs(x) < 1e-5) {
    return(format(signif(x, digits)))
  }
  trimws(formatC(x, digits = digits, format = "fg"))
}

describe_eigenvalues <- function(x, digits) {
  values <- rev(x$eigenvalues)
  if (length(values) < x$n_genes) {
    return(paste0(
      "eigenvalues from at least ", signif(values[1], digits), " to ",
      signif(values[2], digits)
    ))
  }
  if (length(values) <= 8L) {
    return(paste(
      if (length(values) == 1L) "eigenvalue" else "eigenvalues",
      paste(vapply(values, describe_number, "", digits = digits), collapse = " ")
    ))
  }
  paste0(
    "eigenvalues from ", signif(values[1], digits), " to ",
    signif(values[length(values)], digits)
  )
}

#' The nearest covariance matrix
#'
#' The symmetric positive semi-definite matrix nearest to a given one (least sum of
#' squared differences): its symmetric part with negative eigenvalues set to 0.
#'
#' @param x A square numeric matrix.
#' @param keep_diag Keep the variances on the diagonal? The nearest matrix with that
#'   diagonal then, by alternating projections.
#' @param tol,max_iter For `keep_diag = TRUE`: stop when the matrix changes by less than
#'   `tol` relative to its largest entry, or after `max_iter` projections, with a
#'   warning.
#' @return A matrix with the dimnames of `x`, symmetric and positive semi-definite up
#'   to rounding.
#' @section Errors: Those of [check_covariance()]; with `keep_diag = TRUE`,
#'   `covmash_error_variance` if a diagonal entry is negative. A warning of class
#'   `covmash_warning_convergence` after `max_iter` projections.
#' @references Higham NJ (1988). Computing a nearest symmetric positive semidefinite
#'   matrix. *Linear Algebra and its Applications* 103, 103-118, theorem 2.1.
#'   \doi{10.1016/0024-3795(88)90223-6}
#'
#'   Higham NJ (2002). Computing the nearest correlation matrix: a problem from
#'   finance. *IMA Journal of Numerical Analysis* 22, 329-343, algorithm 3.3.
#'   \doi{10.1093/imanum/22.3.329}
#' @export
#' @examples
#' x <- matrix(c(1, 0.9, 0.2, 0.9, 1, 0.9, 0.2, 0.9, 1), 3)
#' is_covariance(x)
#' nearest_covariance(x)
#' nearest_covariance(x, keep_diag = TRUE)
nearest_covariance <- function(x, keep_diag = FALSE, tol = 1e-10, max_iter = 1000) {
  if (is_factor_cov(x)) {
    check_factor_cov(x, "x")
    return(x)
  }
  x <- covariance_input(x, "`x`", "no")
  check_flag(keep_diag, "keep_diag")
  check_number(tol, "tol", 0, what = "a number of at least 0")
  max_iter <- whole_number(max_iter, "max_iter", 1)
  labels <- dimnames(x)
  target <- symmetrise(unname(x))
  nearest <- if (keep_diag) {
    nearest_with_diagonal(target, labels[[1]], tol, max_iter)
  } else {
    floor_eigenvalues(target)
  }
  dimnames(nearest) <- labels
  nearest
}

floor_eigenvalues <- function(x) {
  decomposition <- symmetric_eigen(x)
  if (min(decomposition$values) >= 0) {
    return(x)
  }
  root <- decomposition$vectors * rep(sqrt(pmax(decomposition$values, 0)), each = nrow(x))
  tcrossprod(root)
}

# Dykstra's corrections make the alternating projections end at the nearest matrix,
# not just at some matrix in both sets.
nearest_with_diagonal <- function(x, labels, tol, max_iter) {
  variances <- base::diag(x)
  if (any(variances < 0)) {
    at <- which(variances < 0)[1]
    abort_input(
      "`x` has a negative variance, {format(variances[at])}, for {label_index('gene', at, labels)}, which ",
      "`keep_diag = TRUE` cannot keep.",
      class = "covmash_error_variance"
    )
  }
  scale <- max(abs(x), 1e-300)
  correction <- 0 * x
  current <- x
  converged <- FALSE
  step <- 0
  while (step < max_iter && !converged) {
    step <- step + 1
    shifted <- current - correction
    positive <- floor_eigenvalues(shifted)
    correction <- positive - shifted
    before <- current
    current <- positive
    base::diag(current) <- variances
    converged <- max(abs(current - before)) <= tol * scale && max(abs(current - positive)) <= tol * scale
  }
  if (!converged) {
    warn_covmash(
      "The nearest matrix with this diagonal was not reached in {plural(max_iter, 'projection')}; raise ",
      "`max_iter`.",
      class = "covmash_warning_convergence"
    )
  }
  # Exactly semi-definite, then exactly that diagonal: a scaling keeps the first.
  positive <- floor_eigenvalues(current)
  ratio <- sqrt(ifelse(base::diag(positive) > 0, variances / base::diag(positive), 0))
  positive <- positive * ratio * rep(ratio, each = nrow(x))
  base::diag(positive) <- variances
  positive
}
