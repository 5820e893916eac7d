# Generics that would find something else in our objects: fitted() the element fitted_g, by partial matching,
# residuals() nothing at all. Until they have a method they say so.

#' @export
fitted.mash_fit <- function(object, ...) {
  abort_unsupported("fitted() of a fit of mash() (get_pm() gives its posterior means)")
}

#' @export
residuals.mash_fit <- function(object, ...) {
  abort_unsupported("residuals() of a fit of mash() (augment() puts estimates and posterior means side by side)")
}

#' @export
fitted.mash_1by1 <- function(object, ...) {
  abort_unsupported("fitted() of a result of mash_1by1() (get_pm() gives its posterior means)")
}

#' @export
residuals.mash_1by1 <- function(object, ...) {
  abort_unsupported("residuals() of a result of mash_1by1()")
}

#' @importFrom stats fitted residuals
#' @export
logLik.mash_1by1 <- function(object, ...) {
  abort_unsupported("logLik() of a result of mash_1by1() (get_loglik() gives the number)")
}

#' @export
nobs.mash_1by1 <- function(object, ...) {
  abort_unsupported("nobs() of a result of mash_1by1()")
}
