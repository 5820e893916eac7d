#' Rotate the factors of a fit
#'
#' Loadings are determined up to a rotation; one that makes many of them small is
#' easier to read. The fitted covariance matrix stays the same.
#'
#' @param fit A fit of [fit_factor_model()].
#' @param rotation `"varimax"` keeps the factors independent, `"promax"` lets them be
#'   correlated, `"none"` goes back to the loadings as estimated.
#' @param ... Arguments of [stats::varimax()] or [stats::promax()].
#' @return The fit with other `loadings`, `factor_covariance`, `covariance`,
#'   `rotation` and `rotation_matrix`.
#' @details The loadings of the standardised genes are rotated (with Kaiser's
#'   normalisation), as [stats::factanal()] does; factors are then ordered by the sum
#'   of their squared loadings, signs such that each column's sum is at least 0. With
#'   \eqn{B_0} the loadings as estimated and \eqn{T} the `rotation_matrix`,
#'   \eqn{B = B_0 T} and \eqn{F = (T'T)^{-1}}.
#' @section Errors: `covmash_error_fit` if `fit` is none; `covmash_error_argument` for
#'   another `rotation`.
#' @references Kaiser HF (1958). The varimax criterion for analytic rotation in factor
#'   analysis. *Psychometrika* 23, 187-200. \doi{10.1007/BF02289233}
#'
#'   Hendrickson AE, White PO (1964). Promax: a quick method for rotation to oblique
#'   simple structure. *British Journal of Statistical Psychology* 17, 65-70.
#'   \doi{10.1111/j.2044-8317.1964.tb00244.x}
#' @concept factor analysis
#' @concept varimax
#' @concept promax
#' @export
#' @examples
#' fit <- fit_factor_model(cor(mtcars), n_factors = 2, n_samples = 32)
#' round(coef(rotate_factors(fit, "varimax")), 2)
rotate_factors <- function(fit, rotation = c("varimax", "promax", "none"), ...) {
  check_factor_fit(fit)
  rotation <- check_choice(rotation, c("varimax", "promax", "none"), "rotation")
  K <- fit$n_factors
  estimated <- fit$loadings %*% solve_small(fit$rotation_matrix)
  turn <- base::diag(nrow = K)
  if (rotation != "none" && K >= 2L) {
    standardised <- estimated / sqrt(fit$variance)
    rotate <- if (rotation == "varimax") stats::varimax else stats::promax
    turn <- tryCatch(
      unname(rotate(unname(standardised), ...)$rotmat),
      error = function(cnd) {
        abort_input(
          "stats::{rotation}() failed: {conditionMessage(cnd)}; check the arguments in `...`, or leave weak factors out.",
          class = "covmash_error_argument", env = environment()
        )
      }
    )
    if (!all(is.finite(turn))) {
      abort_input(
        "stats::{rotation}() gave no finite rotation; leave genes or factors without loadings out.",
        class = "covmash_error_argument"
      )
    }
    rotated <- standardised %*% turn
    turn <- turn[, order(-colSums(rotated^2)), drop = FALSE]
    rotated <- standardised %*% turn
    turn <- turn * rep(ifelse(colSums(rotated) < 0, -1, 1), each = K)
  }
  B <- estimated %*% turn
  dimnames(B) <- dimnames(fit$loadings)
  F <- NULL
  if (rotation == "promax" && K >= 2L) {
    F <- symmetrise(solve_small(crossprod(turn)))
    dimnames(F) <- list(colnames(B), colnames(B))
  }
  fit$loadings <- B
  fit["factor_covariance"] <- list(F)
  fit$covariance <- factor_covariance(B, F, fit$noise)
  fit$rotation <- rotation
  fit$rotation_matrix <- turn
  fit
}

solve_small <- function(A) if (nrow(A) == 0L) A else base::solve(A)
