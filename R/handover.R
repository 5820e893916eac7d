# A fitted prior in the form that other packages take.

#' A fitted prior for other packages
#'
#' The mixture of a fit as the prior of multivariate fine mapping (mvsusieR) and of
#' multivariate regression (mr.mashr).
#'
#' @param fit A fit of [mash()] or of [deconvolve()], or a prior of [fit_mash_prior()].
#' @param min_weight Components with a weight of at most this are left out.
#' @return `as_mvsusie_prior()`: a list of `matrices`, the R x R covariances \eqn{\omega_l^2
#'   U_k} named `<U>_grid<l>`, and `weights`, which sum to 1: the argument `mixture_prior` of
#'   mvsusieR's `create_mixture_prior()`. The point mass is left out, for an effect of fine
#'   mapping is not zero. `as_mrmash_prior()`: a list of `S0`, the covariances, named the
#'   same and `null` first if the model has a point mass, and `w0`, their weights, with the same
#'   names: the arguments of mr.mashr's `mr.mash()`.
#' @details The prior is on the scale of the fit: of effects with `alpha = 0`, of z-scores with
#'   `alpha = 1`.
#' @section Errors: `covmash_error_fit` for what is no fit, or if no component is left.
#' @concept fine mapping
#' @concept TWAS
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' str(as_mvsusie_prior(fit)$weights)
#' names(as_mrmash_prior(fit)$S0)
as_mvsusie_prior <- function(fit, min_weight = 1e-10) {
  parts <- scaled_components(check_prior_fit(fit, "fit")$fitted_g, min_weight, FALSE)
  list(matrices = parts$matrices, weights = parts$weights / sum(parts$weights))
}

#' @rdname as_mvsusie_prior
#' @export
as_mrmash_prior <- function(fit, min_weight = 1e-10) {
  parts <- scaled_components(check_prior_fit(fit, "fit")$fitted_g, min_weight, TRUE)
  list(S0 = parts$matrices, w0 = parts$weights / sum(parts$weights))
}

# The covariances of the components that have weight, and their weights, both named; the point mass first.
scaled_components <- function(g, min_weight, null) {
  check_number(min_weight, "min_weight", 0, 1, what = "a number from 0 to 1")
  K <- length(g$Ulist)
  L <- length(g$grid)
  first <- as.integer(g$usepointmass)
  matrices <- lapply(seq_len(K * L), function(i) {
    g$grid[(i - 1L) %/% K + 1L]^2 * as.matrix(g$Ulist[[(i - 1L) %% K + 1L]])
  })
  names(matrices) <- paste0(rep(names(g$Ulist), L), "_grid", rep(seq_len(L), each = K))
  weights <- unname(g$pi)[seq_len(K * L) + first]
  if (null && g$usepointmass) {
    matrices <- c(list(null = 0 * matrices[[1]]), matrices)
    weights <- c(g$pi[[1]], weights)
  }
  kept <- which(weights > min_weight)
  if (length(kept) == 0L) {
    abort_input(
      "No component of `fit` but the point mass has a weight above `min_weight` = {format(min_weight)}.",
      class = "covmash_error_fit"
    )
  }
  names(weights) <- names(matrices)
  list(matrices = matrices[kept], weights = weights[kept])
}
