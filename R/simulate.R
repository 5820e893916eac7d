#' Simulate effects for examples
#'
#' `simple_sims()` draws four kinds of effects, `nsamp` of each, in this order of
#' rows: null, independent in every condition, present in the first condition
#' only, and equal in all conditions. `simple_sims2()` draws, for five conditions,
#' effects that are equal in conditions 1 and 2 and zero elsewhere, then effects
#' that are equal in conditions 3 to 5 and zero elsewhere.
#'
#' All non-zero effects are standard normal, and
#' `Bhat = B + N(0, Shat^2)`. With the same seed and the same version of R's
#' generator, mashr's functions of the same name give the same numbers.
#'
#' @param nsamp Number of effects of each kind.
#' @param ncond Number of conditions.
#' @param err_sd Standard deviation of the errors: one number, or a vector that
#'   fills the matrix of standard errors column by column.
#' @return A list of three matrices with row names `effect_1`, ... and column
#'   names `condition_1`, ...: `B` (true effects), `Bhat` (estimates), `Shat`
#'   (standard errors).
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 10, ncond = 4, err_sd = 1)
#' dim(sim$Bhat)
#' sim2 <- simple_sims2(nsamp = 10)
#' head(sim2$B, 2)
simple_sims <- function(nsamp = 100, ncond = 5, err_sd = 0.01) {
  check_whole(ncond, "ncond", 1)
  check_sample_size(nsamp, 4, ncond)
  # The order of the draws is part of the interface: independent, equal,
  # condition-specific, errors.
  independent <- matrix(in_pieces(nsamp * ncond, function(at) rnorm(length(at))), nsamp, ncond)
  equal <- matrix(rnorm(nsamp), nsamp, ncond)
  specific <- matrix(0, nsamp, ncond)
  specific[, 1] <- rnorm(nsamp)
  add_errors(
    rbind(matrix(0, nsamp, ncond), independent, specific, equal), err_sd
  )
}

#' @rdname simple_sims
#' @export
simple_sims2 <- function(nsamp = 100, err_sd = 0.01) {
  check_sample_size(nsamp, 2, 5)
  first <- rnorm(nsamp)
  second <- rnorm(nsamp)
  zero <- numeric(nsamp)
  add_errors(
    rbind(
      cbind(first, first, zero, zero, zero),
      cbind(zero, zero, second, second, second)
    ),
    err_sd
  )
}

check_sample_size <- function(nsamp, times, ncond) {
  check_whole(nsamp, "nsamp", 1)
  if (times * nsamp > .Machine$integer.max || times * nsamp * ncond > 2^40) {
    abort_input(
      "{format(times * nsamp)} effects in {plural(ncond, 'condition')} are more than R can hold; lower `nsamp`.",
      class = "covmash_error_argument"
    )
  }
}

# f() of all numbers up to n, some at a time: names and draws of millions cannot be interrupted.
in_pieces <- function(n, f) unlist(lapply(split_rows(n, 5e5), f))

# Observed effects from true ones, with names.
add_errors <- function(B, err_sd) {
  if (!is.numeric(err_sd) || length(err_sd) < 1L || anyNA(err_sd) ||
        any(err_sd < 0)) {
    abort_input(
      "`err_sd` must be positive numbers, not {describe(err_sd)}.",
      class = "covmash_error_argument"
    )
  }
  labels <- list(
    in_pieces(nrow(B), function(rows) paste0("effect_", rows)), paste0("condition_", seq_len(ncol(B)))
  )
  dimnames(B) <- labels
  Shat <- matrix(err_sd, nrow(B), ncol(B), dimnames = labels)
  errors <- in_pieces(length(Shat), function(at) rnorm(length(at), 0, Shat[at]))
  errors <- matrix(errors, nrow(B), ncol(B))
  list(B = B, Bhat = B + errors, Shat = Shat)
}
