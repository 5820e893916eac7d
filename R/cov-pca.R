#' Covariance matrices from principal components
#'
#' Principal components of the strongest rows of the data, as starting points
#' for [cov_ed()].
#'
#' @param data A data object made by [mash_set_data()].
#' @param npc Number of components, from 1 to the number of conditions.
#' @param subset Rows to use (usually strong ones, e.g. from
#'   [get_significant_results()]): numbers, names or `TRUE`/`FALSE`; all rows if
#'   `NULL`.
#' @return A named list of R x R matrices with the names of the conditions:
#'   `PCA_1` to `PCA_<npc>`, of rank one, \eqn{v_k v_k'}, and `tPCA`,
#'   \eqn{\sum_{k \le npc} d_k^2 v_k v_k' / n}.
#' @details With \eqn{X} the chosen rows of `data$Bhat` (divided by `Shat^alpha`,
#'   not centred) and \eqn{n} their number, \eqn{X = \sum_k d_k u_k v_k'} is its
#'   singular value decomposition. With missing estimates, \eqn{X'X / n} is
#'   replaced by the matrix of second moments, each over the rows in which both
#'   conditions are observed (0 if there is none), with negative eigenvalues
#'   set to zero, and \eqn{v_k} are its eigenvectors.
#' @section Errors: `npc` out of range: `covmash_error_argument`; a bad `subset`:
#'   `covmash_error_index`. If there are fewer rows than `npc`, as many components
#'   as there are rows are returned, with a warning of class
#'   `covmash_warning_rank`.
#' @section Differences from mashr: `npc = 1` and a single row are allowed;
#'   missing estimates are left out, not taken as zero.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019).
#'   *Nature Genetics* 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 4, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' strong <- get_significant_results(mash_1by1(data, n_threads = 1))
#' U <- cov_pca(data, npc = 2, subset = strong)
#' names(U)
cov_pca <- function(data, npc, subset = NULL) {
  check_data(data)
  R <- ncol(data$Bhat)
  if (missing(npc) || !checkmate::test_count(npc, positive = TRUE) || npc > R) {
    abort_input(
      paste0(
        "`npc` must be a whole number from 1 to the number of conditions (", R,
        ")", if (!missing(npc)) paste0(", not ", describe(npc)), "."
      ),
      class = "covmash_error_argument"
    )
  }
  X <- data$Bhat[resolve_subset(subset, data), , drop = FALSE]
  if (npc > nrow(X)) {
    warn_covmash(
      paste0(
        plural(nrow(X), "row has", "rows have"), " no more than ",
        plural(nrow(X), "principal component"), "; `npc` is lowered from ", npc, "."
      ),
      class = "covmash_warning_rank"
    )
    npc <- nrow(X)
  }
  axes <- if (anyNA(X)) principal_axes_missing(X) else principal_axes(X)
  v <- axes$v[, seq_len(npc), drop = FALSE]
  # Nothing is known of a condition without data: its loading is exactly 0, not
  # the rounding error of the decomposition, to which mash() would give a sign.
  v[colSums(X != 0, na.rm = TRUE) == 0, ] <- 0
  labels <- list(colnames(data$Bhat), colnames(data$Bhat))
  if (is.null(colnames(data$Bhat))) {
    labels <- NULL
  }
  named <- function(U) {
    dimnames(U) <- labels
    U
  }
  Ulist <- lapply(seq_len(npc), function(k) named(r1cov(v[, k])))
  names(Ulist) <- paste0("PCA_", seq_len(npc))
  total <- v %*% (axes$variance[seq_len(npc)] * t(v))
  c(Ulist, list(tPCA = named(symmetrise(total))))
}

# Rank-one covariance of a loading vector.
r1cov <- function(f) tcrossprod(f)

principal_axes <- function(X) {
  decomposition <- svd(unname(X), nu = 0, nv = min(dim(X)))
  list(v = decomposition$v, variance = decomposition$d^2 / nrow(X))
}

# From second moments of the pairs that are observed together. Such a matrix need
# not be positive semi-definite; its negative part is noise.
principal_axes_missing <- function(X) {
  X <- unname(X)
  observed <- !is.na(X)
  storage.mode(observed) <- "double"
  X[is.na(X)] <- 0
  moments <- crossprod(X) / pmax(crossprod(observed), 1)
  decomposition <- eigen(symmetrise(moments), symmetric = TRUE)
  list(v = decomposition$vectors, variance = pmax(decomposition$values, 0))
}
