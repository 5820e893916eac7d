#' Eigenvalues of a covariance
#'
#' All eigenvalues, or the leading ones of a factored covariance without forming it.
#'
#' @param x A `factor_cov` or `factor_precision`, see [factor_covariance()], or a
#'   plain square matrix, of which the lower triangle is used, as by
#'   `eigen(symmetric = TRUE)`.
#' @param n How many, the largest; all if `NULL`.
#' @return The eigenvalues, decreasing.
#' @details Up to 200 genes, the eigenvalues of a `factor_cov` are squared singular
#'   values of \eqn{[B F^{1/2}, D^{1/2}]} by one-sided Jacobi rotations, each with its
#'   own relative accuracy. Above that, and for plain matrices, all eigenvalues take O(N^3)
#'   time and O(N^2) memory (from 500 genes by reduction to a band and then to tridiagonal
#'   form, in threads), except where \eqn{D} is constant or there are no factors (O(NK^2)). The
#'   `n` leading ones come from products with the covariance alone, O(NK) each, by
#'   subspace iteration with Chebyshev filters in O(N (n + K)) memory, until every
#'   residual is below 1e-10 of its eigenvalue.
#' @section Errors: `covmash_error_argument` if `n` is not from 1 to the number of genes.
#'   A warning of class `covmash_warning_convergence` if residuals stay above the
#'   tolerance.
#' @references Demmel J, Veselic K (1992). Jacobi's method is more accurate than QR.
#'   *SIAM Journal on Matrix Analysis and Applications* 13, 1204-1245.
#'   \doi{10.1137/0613074}
#'
#'   Bischof CH, Lang B, Sun X (2000). A framework for symmetric band reduction. *ACM
#'   Transactions on Mathematical Software* 26, 581-601. \doi{10.1145/365723.365735}
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 1000, n_pathways = 3)$Sigma
#' eigenvalues(Sigma, n = 4)
eigenvalues <- function(x, n = NULL) {
  if (inherits(x, "factor_precision")) {
    check_factor_precision(x)
    values <- rev(1 / eigenvalues(x$covariance))
    return(first_eigenvalues(values, n, dim(x)[1]))
  }
  if (!is_factor_cov(x)) {
    x <- covariance_input(x, "`x`", "no")
    values <- dense_eigenvalues(x)
    return(first_eigenvalues(values, n, nrow(x)))
  }
  check_factor_cov(x, "x")
  N <- length(x$D)
  check_n_eigenvalues(n, N)
  constant <- all(x$D == x$D[1])
  if (ncol(x$B) == 0L) {
    values <- sort(unname(x$D), decreasing = TRUE)
  } else if (constant && N > 200L) {
    strengths <- cpp_factor_strengths(x$B, x$F, factor_threads(x))
    values <- x$D[[1]] + c(strengths, numeric(N - length(strengths)))
  } else if (N <= 200L) {
    values <- cpp_factor_eigenvalues(x$B, x$F, x$D)
  } else if (is.null(n) || n > N / 4) {
    values <- if (takes_long(x)) {
      run_core(cpp_factor_formed_eigenvalues(x$B, x$F, x$D, resolve_threads()))
    } else {
      dense_eigenvalues(as.matrix(x))
    }
    # Rounding is relative to the largest; none is below the smallest noise variance.
    values <- pmax(values, min(x$D))
  } else {
    return(leading_eigenvalues(x, n))
  }
  first_eigenvalues(values, n, N)
}

check_n_eigenvalues <- function(n, N) {
  if (!is.null(n) && (!checkmate::test_count(n, positive = TRUE) || n > N)) {
    abort_input(
      "`n` must be a whole number from 1 to {format_count(N)}, the number of genes, not {describe(n)}.",
      class = "covmash_error_argument"
    )
  }
}

first_eigenvalues <- function(values, n, N) {
  check_n_eigenvalues(n, N)
  if (is.null(n)) values else values[seq_len(n)]
}

# From products with the covariance alone, in the core.
leading_eigenvalues <- function(x, n, tol = 1e-10) {
  found <- factor_core(x, cpp_factor_leading_eigenvalues, n, tol, resolve_threads())
  if (!found$converged) {
    warn_covmash(
      "The leading eigenvalues have residuals up to {format(found$residual, digits = 2)} of their size.",
      class = "covmash_warning_convergence"
    )
  }
  found$values
}
