#' Rotate the factors of a fit
#'
#' Loadings are determined up to a rotation; one that makes many of them small is
#' easier to read. The fitted covariance matrix stays the same.
#'
#' @param fit A fit of [fit_factor_model()].
#' @param rotation One of
#'   * `"varimax"`, which keeps the factors independent, `"promax"`, which lets them be
#'   correlated (package stats), or `"none"`, back to the loadings as estimated;
#'   * the name of a rotation of package GPArotation, which must be installed:
#'   orthogonal (`"quartimax"`, `"geominT"`, `"bentlerT"`, `"cfT"`, `"targetT"`, ...) or
#'   oblique (`"oblimin"`, `"quartimin"`, `"geominQ"`, `"bentlerQ"`, `"cfQ"`, ...);
#'   * a result of GPArotation, [stats::varimax()] or [stats::promax()], a list with
#'   `loadings`, or rotated loadings, N x K, of this fit;
#'   * a K x K matrix \eqn{T}, by which the loadings as estimated are multiplied; its
#'   columns are scaled so that factors have variance 1.
#' @param ... Arguments of the function of stats or GPArotation, such as `normalize`
#'   (Kaiser's; the default is that of the function), `gam`, `m`, `Target`,
#'   `randomStarts`.
#' @return The fit with other `loadings`, `factor_covariance` (the correlations of the
#'   factors, `NULL` if they are independent), `covariance`, `rotation`,
#'   `rotation_matrix` and `rotation_arguments`. Everything that reads the fit uses them.
#' @details The loadings of the standardised genes are rotated, as [stats::factanal()]
#'   does; factors are then ordered by the sum of their squared loadings, signs such that
#'   each column's sum is at least 0. What was rotated elsewhere and rotations towards a
#'   target or with a general factor stay in their order. With \eqn{B_0} the loadings as
#'   estimated and \eqn{T} the `rotation_matrix`, \eqn{B = B_0 T} and \eqn{F =
#'   (T'T)^{-1}}.
#'
#'   Criteria may have local optima: compare several starts with `randomStarts`.
#' @section Errors: `covmash_error_fit` if `fit` is none; `covmash_error_argument` for
#'   another `rotation`, one that fails, or loadings that no rotation of the fit gives;
#'   `covmash_error_package` if GPArotation is not installed.
#' @references Kaiser HF (1958). The varimax criterion for analytic rotation in factor
#'   analysis. *Psychometrika* 23, 187-200. \doi{10.1007/BF02289233}
#'
#'   Hendrickson AE, White PO (1964). Promax: a quick method for rotation to oblique
#'   simple structure. *British Journal of Statistical Psychology* 17, 65-70.
#'   \doi{10.1111/j.2044-8317.1964.tb00244.x}
#'
#'   Bernaards CA, Jennrich RI (2005). Gradient projection algorithms and software for
#'   arbitrary rotation criteria in factor analysis. *Educational and Psychological
#'   Measurement* 65, 676-696. \doi{10.1177/0013164404272507}
#' @concept factor analysis
#' @concept varimax
#' @concept promax
#' @export
#' @examples
#' fit <- fit_factor_model(cor(mtcars), n_factors = 2, n_samples = 32)
#' round(coef(rotate_factors(fit, "varimax")), 2)
#' if (requireNamespace("GPArotation", quietly = TRUE)) rotate_factors(fit, "oblimin")
rotate_factors <- function(fit, rotation = c("varimax", "promax", "none"), ...) {
  check_factor_fit(fit)
  estimated <- unrotated_loadings(fit)
  arguments <- list(...)
  if (is.matrix(rotation) || is.list(rotation)) {
    if (length(arguments) > 0L) {
      abort_input("A rotation that is given takes no further arguments.", class = "covmash_error_argument")
    }
    return(turn_factors(fit, given_rotation(rotation, estimated, fit), "given"))
  }
  rotation <- check_rotation(rotation)
  K <- fit$n_factors
  turn <- base::diag(nrow = K)
  if (rotation != "none" && K >= 2L) {
    turn <- found_rotation(rotation, estimated / sqrt(fit$variance), arguments)
  }
  turn_factors(fit, turn, rotation, if (rotation != "none") arguments)
}

unrotated_loadings <- function(fit) fit$loadings %*% solve_small(fit$rotation_matrix)

# Rotations of GPArotation, by what they make of the factors. Those in `rotations_in_order` say which
# factor is which.
rotations_orthogonal <- c(
  "quartimax", "geominT", "bentlerT", "cfT", "equamax", "parsimax", "entropy", "infomaxT", "mccammon", "tandemI",
  "tandemII", "varimin", "lpT", "targetT", "pstT", "bifactorT", "bigeominT"
)
rotations_oblique <- c(
  "oblimin", "quartimin", "geominQ", "bentlerQ", "cfQ", "oblimax", "simplimax", "infomaxQ", "binormamin", "lpQ",
  "targetQ", "pstQ", "bifactorQ", "bigeominQ"
)
rotations_in_order <- c("targetT", "targetQ", "pstT", "pstQ", "bifactorT", "bifactorQ", "bigeominT", "bigeominQ")

# The name in full; the first of the default.
check_rotation <- function(rotation) {
  stats <- c("varimax", "promax", "none")
  others <- c(rotations_orthogonal, rotations_oblique)
  if (identical(rotation, stats)) {
    return("varimax")
  }
  at <- if (checkmate::test_string(rotation)) pmatch(rotation, stats) else NA_integer_
  if (is.na(at) && checkmate::test_string(rotation)) {
    at <- length(stats) + pmatch(rotation, others)
  }
  if (is.na(at)) {
    abort_input(
      "`rotation` must be 'varimax', 'promax', 'none', a rotation of package GPArotation ({quote_some(others, 40L)}), ",
      "a matrix or a result with `loadings`, not {describe(rotation)}.",
      class = "covmash_error_argument"
    )
  }
  rotation <- c(stats, others)[at]
  if (!rotation %in% stats) need_GPArotation()
  rotation
}

need_GPArotation <- function() {
  if (!requireNamespace("GPArotation", quietly = TRUE)) {
    abort_input(
      "Rotations other than varimax and promax need the package GPArotation; install it with ",
      "install.packages(\"GPArotation\").",
      class = "covmash_error_package"
    )
  }
}

is_oblique <- function(rotation) rotation == "promax" || rotation %in% rotations_oblique

# T for the loadings of the standardised genes, from stats or GPArotation, strongest factor first.
found_rotation <- function(rotation, standardised, arguments) {
  home <- if (rotation %in% c("varimax", "promax")) "stats" else "GPArotation"
  fail <- function(what) {
    abort_input(
      "{home}::{rotation}() {what}; check the arguments in `...`, or leave genes and factors without loadings out.",
      class = "covmash_error_argument"
    )
  }
  if (!exists(rotation, asNamespace(home), mode = "function")) {
    fail("does not exist in the version installed")
  }
  out <- tryCatch(
    withCallingHandlers(
      do.call(get(rotation, asNamespace(home)), c(list(unname(standardised)), arguments)),
      warning = function(cnd) {
        # That of convergence is ours, below.
        if (!grepl("onvergence", conditionMessage(cnd))) {
          warn_covmash("{home}::{rotation}(): {conditionMessage(cnd)}", class = "covmash_warning_rotation")
        }
        invokeRestart("muffleWarning")
      }
    ),
    error = function(cnd) fail(paste0("failed: ", conditionMessage(cnd)))
  )
  turn <- if (home == "stats") out$rotmat else tryCatch(t(base::solve(out$Th)), error = function(cnd) NA)
  if (!all(is.finite(turn))) {
    fail("gave no finite rotation")
  }
  if (isFALSE(out$convergence)) {
    warn_covmash(
      "{home}::{rotation}() has not converged; give it more steps or a larger `eps` in `...`.",
      class = "covmash_warning_convergence"
    )
  }
  turn <- unname(turn)
  if (rotation %in% rotations_in_order) {
    return(turn)
  }
  rotated <- standardised %*% turn
  order <- order(-colSums(rotated^2))
  signs <- ifelse(colSums(rotated) < 0, -1, 1)
  turn[, order, drop = FALSE] * rep(signs[order], each = nrow(turn))
}

# T of what the user has rotated elsewhere: a result with loadings, rotated loadings, or T itself.
given_rotation <- function(rotation, estimated, fit) {
  if (is.list(rotation)) rotation <- rotation$loadings
  N <- fit$n_genes
  K <- fit$n_factors
  fail <- function(..., env = parent.frame()) abort_input(..., class = "covmash_error_argument", env = env)
  if (!is.matrix(rotation) || !is.numeric(rotation) || !nrow(rotation) %in% c(K, N) || ncol(rotation) != K) {
    fail(
      "`rotation` must be or have a matrix of rotated loadings ({N} x {K}), or be a rotation matrix ({K} x {K}), not ",
      "{describe(rotation)}."
    )
  }
  rotation <- matrix(as.double(rotation), nrow(rotation))
  if (!all(is.finite(rotation))) {
    fail("`rotation` must be finite.")
  }
  if (K == 0L) {
    return(matrix(0, 0, 0))
  }
  turn <- if (nrow(rotation) == N) rotation_between(estimated, rotation, fit$variance) else rotation
  if (is.null(turn)) {
    fail("`rotation` has loadings that are no rotation of those of the fit; rotate coef(fit) or its standardised form.")
  }
  turn <- turn / rep(sqrt(colSums(turn^2)), each = K)
  if (!all(is.finite(turn)) || base::rcond(turn) < 1e-8) {
    fail("`rotation` must be an invertible matrix.")
  }
  # Factors of variance 1.
  turn * rep(sqrt(rowSums(base::solve(turn)^2)), each = K)
}

# The T with estimated T = rotated, in units of the genes or standardised; NULL if there is none.
rotation_between <- function(estimated, rotated, variance) {
  for (unit in list(sqrt(variance), rep(1, length(variance)))) {
    A <- unname(estimated / unit)
    if (qr(A)$rank == ncol(A)) {
      turn <- qr.coef(qr(A), rotated)
      if (max(abs(A %*% turn - rotated)) <= 1e-5 * max(abs(rotated))) {
        return(turn)
      }
    }
  }
  NULL
}

# The fit with B = B0 T and F = (T'T)^-1.
turn_factors <- function(fit, turn, rotation, arguments = list()) {
  B <- unrotated_loadings(fit) %*% turn
  dimnames(B) <- dimnames(fit$loadings)
  F <- NULL
  K <- fit$n_factors
  if (K >= 2L && (is_oblique(rotation) || max(abs(crossprod(turn) - base::diag(K))) > 1e-8)) {
    F <- symmetrise(tcrossprod(base::solve(turn)))
    dimnames(F) <- list(colnames(B), colnames(B))
  }
  fit$loadings <- B
  fit["factor_covariance"] <- list(F)
  fit$covariance <- factor_covariance(B, F, fit$noise)
  fit$rotation <- rotation
  fit$rotation_matrix <- turn
  fit["rotation_arguments"] <- list(if (length(arguments) > 0L) arguments)
  fit
}

solve_small <- function(A) if (nrow(A) == 0L) A else base::solve(A)
