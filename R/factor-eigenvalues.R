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
#'   own relative accuracy. Above that, all eigenvalues take O(N^3) time and O(N^2)
#'   memory, except where \eqn{D} is constant or there are no factors (O(NK^2)). The
#'   `n` leading ones come from a block Krylov space: O(NK) a product, memory
#'   O(N (n + K)) times a few steps, until every residual is below 1e-10 of its
#'   eigenvalue.
#' @section Errors: `covmash_error_argument` if `n` is not from 1 to the number of genes.
#'   A warning of class `covmash_warning_convergence` if residuals stay above the
#'   tolerance.
#' @references Demmel J, Veselic K (1992). Jacobi's method is more accurate than QR.
#'   *SIAM Journal on Matrix Analysis and Applications* 13, 1204-1245.
#'   \doi{10.1137/0613074}
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 1000, n_pathways = 3)$Sigma
#' eigenvalues(Sigma, n = 4)
eigenvalues <- function(x, n = NULL) {
  if (inherits(x, "factor_precision")) {
    values <- rev(1 / eigenvalues(x$covariance))
    return(first_eigenvalues(values, n, dim(x)[1]))
  }
  if (!is_factor_cov(x)) {
    x <- covariance_input(x, "`x`", "no")
    values <- eigen(x, symmetric = TRUE, only.values = TRUE)$values
    return(first_eigenvalues(values, n, nrow(x)))
  }
  N <- length(x$D)
  check_n_eigenvalues(n, N)
  constant <- all(x$D == x$D[1])
  if (ncol(x$B) == 0L) {
    values <- sort(unname(x$D), decreasing = TRUE)
  } else if (constant && N > 200L) {
    strengths <- cpp_factor_strengths(x$B, x$F)
    values <- x$D[[1]] + c(strengths, numeric(N - length(strengths)))
  } else if (N <= 200L) {
    values <- cpp_factor_eigenvalues(x$B, x$F, x$D)
  } else if (is.null(n) || n > N / 4) {
    values <- eigen(as.matrix(x), symmetric = TRUE, only.values = TRUE)$values
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

# Rayleigh-Ritz in a growing block Krylov space. The block is wider than n, so that
# equal eigenvalues are all found. It starts from the span of the loadings, next to
# which the leading eigenvectors lie when the factors are strong, the noisiest genes,
# and waves that no structure of the genes is likely to be orthogonal to. Nothing is
# random: the answer does not depend on a seed.
leading_eigenvalues <- function(x, n, tol = 1e-10, max_products = 60L) {
  N <- length(x$D)
  G <- whole_loadings(x)
  times <- function(y) G %*% crossprod(G, y) + unname(x$D) * y
  width <- n + 6L
  noisy <- order(x$D, decreasing = TRUE)[seq_len(width)]
  units <- matrix(0, N, width)
  units[cbind(noisy, seq_len(width))] <- 1
  waves <- cos(outer(seq_len(N), sqrt(seq_len(width) + 1) * pi) + 1)
  basis <- orthonormal(cbind(strongest_directions(G), units + 0.1 / sqrt(N) * waves))
  image <- times(basis)
  room <- max(300L, 4L * width, ncol(basis) + 2L * width)
  for (step in seq_len(max_products)) {
    ritz <- eigen(symmetrise(crossprod(basis, image)), symmetric = TRUE)
    values <- ritz$values[seq_len(n)]
    lead <- ritz$vectors[, seq_len(width), drop = FALSE]
    near <- basis %*% lead
    residual <- image %*% lead - near * rep(ritz$values[seq_len(width)], each = N)
    size <- sqrt(colSums(residual^2))[seq_len(n)]
    if (all(size <= tol * values)) {
      return(values)
    }
    if (ncol(basis) + width > room) {
      # Start again from the best vectors found so far.
      image <- image %*% lead
      basis <- near
    }
    # The residuals span what one more product adds.
    block <- orthonormal(residual, basis)
    if (ncol(block) == 0L) {
      return(values)
    }
    basis <- cbind(basis, block)
    image <- cbind(image, times(block))
  }
  warn_covmash(
    paste0(
      "The leading eigenvalues have residuals up to ",
      format(max(size / values), digits = 2), " of their size after ",
      max_products, " steps."
    ),
    class = "covmash_warning_convergence"
  )
  values
}

# At most 100 columns that span the strongest part of the loadings.
strongest_directions <- function(G) {
  if (ncol(G) <= 100L) {
    return(G)
  }
  G %*% eigen(crossprod(G), symmetric = TRUE)$vectors[, seq_len(100L)]
}

# An orthonormal basis of what the columns of y add to `basis`.
orthonormal <- function(y, basis = NULL) {
  size <- sqrt(colSums(y^2))
  y <- y / rep(pmax(size, 1e-300), each = nrow(y))
  if (!is.null(basis)) {
    for (pass in 1:2) y <- y - basis %*% crossprod(basis, y)
  }
  decomposition <- qr(y, LAPACK = TRUE)
  weight <- abs(base::diag(qr.R(decomposition)))
  y <- qr.Q(decomposition)[, weight > 1e-13, drop = FALSE]
  if (!is.null(basis) && ncol(y) > 0L) {
    y <- qr.Q(qr(y - basis %*% crossprod(basis, y), LAPACK = TRUE))
  }
  y
}
