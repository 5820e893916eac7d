# Small makers of covariance matrices: of the estimates as they are, from factors, made safe.

#' Covariance matrices from estimates and from factors
#'
#' `cov_empirical()` is the covariance of the estimates as they are, over strong effects:
#' the usual start of [cov_ed()] beside [cov_pca()]. `cov_from_factors()` makes rank-1
#' matrices from factors. `regularize_cov()` makes matrices safely positive definite.
#'
#' @param data A data object made by [mash_set_data()].
#' @param subset Rows to use: numbers, names or `TRUE`/`FALSE`; all if `NULL`.
#' @param centre Take the mean of each condition away first?
#' @param factors A K x R matrix with a factor in each row.
#' @param name Names of the matrices: `<name>_1`, `<name>_2`, ...
#' @param Ulist A covariance matrix, or a list of them.
#' @param ridge Added to the diagonal, as a share of the mean variance of the matrix: a number
#'   of at least 0.
#' @return `cov_empirical()`: a list with one R x R matrix, `XX`. `cov_from_factors()`: a named
#'   list of R x R matrices. `regularize_cov()`: what it was given, with other matrices.
#' @details `cov_empirical()` is \eqn{X'X / n}. With missing estimates each entry is the mean over
#'   the rows in which both are observed, and the matrix is moved to the nearest positive
#'   semi-definite one if it is not. `cov_from_factors()` is \eqn{f_k f_k'}, as the factors are.
#' @section Errors: `covmash_error_index` for a bad `subset`; `covmash_error_missing` if two
#'   conditions are never observed together.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51,
#'   187-195, Methods. \doi{10.1038/s41588-018-0268-8}
#' @seealso [cov_pca()], [cov_ed()], [nearest_covariance()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' cov_empirical(data)
#' cov_from_factors(rbind(c(1, 1, 0), c(0, 0, 1)), "pattern")
#' regularize_cov(cov_from_factors(rbind(c(1, 1, 0))), ridge = 0.01)
cov_empirical <- function(data, subset = NULL, centre = TRUE) {
  data <- take_data(data)
  check_flag(centre, "centre")
  x <- unname(data$Bhat[resolve_subset(subset, data), , drop = FALSE])
  if (centre) {
    x <- x - rep(colMeans(x, na.rm = TRUE), each = nrow(x))
  }
  seen <- !is.na(x)
  pairs <- crossprod(seen)
  if (any(pairs == 0)) {
    at <- which(pairs == 0, arr.ind = TRUE)[1, ]
    labels <- colnames(data$Bhat)
    abort_input(
      "No chosen row of `data` has both {label_index('condition', at[1], labels)} and ",
      "{label_index('condition', at[2], labels)}; choose others or leave one out.",
      class = "covmash_error_missing"
    )
  }
  x[!seen] <- 0
  U <- crossprod(x) / pairs
  if (!all(seen) && !is_covariance(U)) {
    U <- nearest_covariance(U)
  }
  dimnames(U) <- dimnames_of_conditions(data)
  list(XX = U)
}

# The names of the conditions on both sides of a matrix; NULL if they have none.
dimnames_of_conditions <- function(data) {
  labels <- colnames(data$Bhat)
  if (!is.null(labels)) list(labels, labels)
}

#' @rdname cov_empirical
#' @export
cov_from_factors <- function(factors, name = "factor") {
  factors <- matrix_input(
    factors, "`factors`", "a numeric matrix with a factor in each row", least = c(1L, 1L), vector = "row"
  )
  if (!checkmate::test_string(name, min.chars = 1)) {
    abort_input("`name` must be one name, not {describe(name)}.", class = "covmash_error_argument")
  }
  largest <- max(abs(factors))
  if (!is.finite(largest^2)) {
    abort_input(
      "`factors` has the entry {format(factors[which.max(abs(factors))])}, whose square is no number; use other units.",
      class = "covmash_error_magnitude"
    )
  }
  labels <- colnames(factors)
  made <- lapply(seq_len(nrow(factors)), function(k) {
    U <- tcrossprod(unname(factors[k, ]))
    dimnames(U) <- if (!is.null(labels)) list(labels, labels)
    U
  })
  stats::setNames(made, paste0(name, "_", seq_len(nrow(factors))))
}

#' @rdname cov_empirical
#' @export
regularize_cov <- function(Ulist, ridge = 1e-3) {
  check_number(ridge, "ridge", 0, what = "a number of at least 0")
  if (!is.list(Ulist) || is_factor_cov(Ulist)) {
    return(regularize_one(Ulist, "`Ulist`", ridge))
  }
  if (length(Ulist) == 0L) {
    abort_input("`Ulist` is empty; give at least one covariance matrix.", class = "covmash_error_ulist")
  }
  for (k in seq_along(Ulist)) {
    Ulist[[k]] <- regularize_one(Ulist[[k]], paste("Matrix", k, "of `Ulist`"), ridge)
  }
  Ulist
}

regularize_one <- function(U, label, ridge) {
  U <- covariance_input(U, label, "semi", class = "covmash_error_ulist")
  diag(U) <- diag(U) + ridge * mean(diag(U))
  U
}
