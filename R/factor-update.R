#' Add a pathway to a covariance, or to its inverse
#'
#' \eqn{\Sigma + u u'}: one more independent factor of variance 1 with loadings
#' \eqn{u}. For the inverse this is the Sherman-Morrison formula,
#' \deqn{(\Sigma + u u')^{-1} = \Sigma^{-1} -
#'   \frac{\Sigma^{-1} u u' \Sigma^{-1}}{1 + u' \Sigma^{-1} u},}{
#'   (Sigma + u u')^-1 = Sigma^-1 -
#'     Sigma^-1 u u' Sigma^-1 / (1 + u' Sigma^-1 u),}
#' in O(NK) time, without another decomposition.
#'
#' @param object A `factor_cov` or a `factor_precision`.
#' @param add Loadings of the new pathway, one for each gene (by name if both have names,
#'   else in order).
#' @param name Name of the new pathway, for loadings that have names.
#' @param ... Not used.
#' @return An object of the same class with one more factor.
#' @details The formula subtracts: where little is left of a gene's precision, some `D`
#'   are 0, or there are as many factors as genes, [precision()] of the updated covariance
#'   is computed instead, in O(NK^2).
#' @section Errors: `covmash_error_dimensions` if `add` does not have one number for
#'   each gene; `covmash_error_names` if it is named by other genes;
#'   `covmash_error_argument` if `name` is not one name.
#' @references Sherman J, Morrison WJ (1950). Adjustment of an inverse matrix
#'   corresponding to a change in one element of a given matrix. *Annals of
#'   Mathematical Statistics* 21, 124-127. \doi{10.1214/aoms/1177729893}
#' @export
#' @examples
#' set.seed(1)
#' Sigma <- generate_factor_covariance(n_genes = 5, n_pathways = 2)$Sigma
#' update(Sigma, add = c(1, 1, 0, 0, 0))
#' update(precision(Sigma), add = c(1, 1, 0, 0, 0))
update.factor_cov <- function(object, add, name = NULL, ...) {
  check_factor_cov(object, "object")
  N <- length(object$D)
  if (missing(add)) {
    abort_input("`add` is missing; give the loadings of the new pathway.", class = "covmash_error_dimensions")
  }
  if (!is.numeric(add) || length(add) != N || !all(is.finite(add))) {
    abort_input(
      "`add` must hold one finite loading for each of the {plural(N, 'gene')}, not {describe(add)}.",
      class = "covmash_error_dimensions"
    )
  }
  if (!is.null(name) && !(is.atomic(name) && length(name) == 1L && !is.na(name))) {
    abort_input("`name` must be one name, not {describe(name)}.", class = "covmash_error_argument")
  }
  add <- in_gene_order(add, object, "`add`", "the covariance")
  K <- ncol(object$B)
  labels <- colnames(object$B)
  if (!is.null(labels) || !is.null(name)) {
    if (is.null(labels) && K > 0L) labels <- paste0("factor_", seq_len(K))
    labels <- c(labels, if (is.null(name)) paste0("factor_", K + 1L) else as.character(name))
  }
  B <- cbind(object$B, as.double(add))
  dimnames(B) <- if (!is.null(labels) || !is.null(gene_names(object))) {
    list(gene_names(object), labels)
  }
  F <- object$F
  if (!is.null(F)) {
    F <- rbind(cbind(unname(F), 0), 0)
    F[K + 1L, K + 1L] <- 1
    dimnames(F) <- if (!is.null(labels)) list(labels, labels)
  }
  finite_variances(B, F, object$D)
  new_factor_cov(B, F, object$D)
}

#' @rdname update.factor_cov
#' @export
update.factor_precision <- function(object, add, name = NULL, ...) {
  check_factor_precision(object, "object")
  covariance <- update(object$covariance, add = add, name = name)
  if (length(object$border) > 0L) {
    return(precision(covariance))
  }
  u <- covariance$B[, ncol(covariance$B)]
  v <- drop(precision_times(object, matrix(u)))
  w <- v / sqrt(1 + sum(u * v))
  diagonal <- object$diagonal - w^2
  # Little is left of the difference, and of its digits: as in the core, the bordered form.
  if (any(diagonal < object$D_inverse / 16) || ncol(object$W) + 1L >= length(u)) {
    return(precision(covariance))
  }
  new_factor_precision(cbind(object$W, unname(w)), object$D_inverse, diagonal, NULL, covariance)
}
