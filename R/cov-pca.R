#' Covariance matrices from principal components
#'
#' Principal components of the strongest rows of the data, as starting points
#' for [cov_ed()].
#'
#' @param data A data object made by [mash_set_data()], or a [source][mash_source()], which stands for its rows `subset`,
#'   or a sample of them.
#' @param npc Number of components, from 1 to the number of conditions.
#' @param subset Rows to use (usually strong ones, e.g. from
#'   [get_significant_results()]): numbers, names or `TRUE`/`FALSE`; all rows if
#'   `NULL`.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return A named list of R x R matrices with the names of the conditions:
#'   `PCA_1` to `PCA_<npc>`, of rank one, \eqn{v_k v_k'}, and `tPCA`,
#'   \eqn{\sum_{k \le npc} d_k^2 v_k v_k' / n}.
#' @details With \eqn{X} the chosen rows of `data$Bhat` (divided by `Shat^alpha`,
#'   not centred) and \eqn{n} their number, \eqn{X = \sum_k d_k u_k v_k'} is its
#'   singular value decomposition. With missing estimates, \eqn{X'X / n} is
#'   replaced by the matrix of second moments, each over the rows in which both
#'   conditions are observed (0 if there is none), with negative eigenvalues
#'   set to zero, and \eqn{v_k} are its eigenvectors.
#'
#'   A condition without any estimate other than 0 has loading exactly 0. The data
#'   are read in blocks and not copied. Complete data are as exact as by [svd()]:
#'   nothing is squared before the decomposition.
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
cov_pca <- function(data, npc, subset = NULL, n_threads = NULL) {
  taken <- take_effects(data, subset)
  data <- taken$data
  subset <- taken$subset
  R <- ncol(data$Bhat)
  if (missing(npc) || !checkmate::test_count(npc, positive = TRUE) || npc > R) {
    abort_input(
      "`npc` must be a whole number from 1 to the number of conditions ({R})",
      if (!missing(npc)) ", not {describe(npc)}", ".",
      class = "covmash_error_argument"
    )
  }
  rows <- if (!is.null(subset)) resolve_subset(subset, data)
  n <- if (is.null(rows)) nrow(data$Bhat) else length(rows)
  if (npc > n) {
    warn_covmash(
      "{plural(n, 'row has', 'rows have')} no more than ",
      "{plural(n, 'principal component')}; `npc` is lowered from {npc}.",
      class = "covmash_warning_rank"
    )
    npc <- n
  }
  axes <- cpp_pca(data$Bhat, rows, npc, resolve_threads(n_threads))
  v <- axes$vectors
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
  total <- v %*% (axes$variances * t(v))
  c(Ulist, list(tPCA = named(symmetrise(total))))
}

# Rank-one covariance of a loading vector.
r1cov <- function(f) tcrossprod(f)
