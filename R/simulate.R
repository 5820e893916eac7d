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

#' Simulate effects that differ between conditions by a contrast
#'
#' Data to try contrasts on (see [mash_update_data()]): a common level of about 10 in all
#' conditions, and deviations from it.
#'
#' @param nsamp Number of effects.
#' @param ncond Number of conditions, at least 2.
#' @param err_sd Standard deviation of the errors.
#' @return A list with `C` (true values), `Chat` (estimates) and `Shat` (standard errors), matrices
#'   of `nsamp` rows. `sim_contrast1()`: no condition differs. `sim_contrast2()`: nine in ten
#'   effects differ nowhere; of the others a third differs independently in the first
#'   `ncond - 1` conditions, a third by the same amount in these, a third in the first one.
#' @details The last condition is the reference of `sim_contrast2()`: deviations are added to
#'   the others. The order of the draws is that of mashr, so that `set.seed()` gives the same data.
#' @seealso [simple_sims()]
#' @export
#' @examples
#' set.seed(1)
#' str(sim_contrast1(nsamp = 3))
#' dim(sim_contrast2(nsamp = 50)$Chat)
sim_contrast1 <- function(nsamp = 100, ncond = 5, err_sd = sqrt(0.5)) {
  check_whole(ncond, "ncond", 2)
  check_sample_size(nsamp, 1, ncond)
  add_contrast_errors(matrix(rnorm(nsamp, 10, 1), nsamp, ncond), err_sd)
}

#' @rdname sim_contrast1
#' @export
sim_contrast2 <- function(nsamp = 1000, ncond = 5, err_sd = sqrt(0.5)) {
  check_whole(ncond, "ncond", 2)
  check_sample_size(nsamp, 1, ncond)
  level <- rnorm(nsamp, 10, 1)
  n <- floor(ceiling(0.1 * nsamp) / 3)
  others <- seq_len(ncond - 1L)
  deviation <- function(n, columns, values) {
    out <- matrix(0, n, ncond)
    out[, columns] <- values
    out
  }
  deviations <- rbind(
    matrix(0, nsamp - 3 * n, ncond),
    deviation(n, others, rnorm(n * length(others))),
    deviation(n, others, rnorm(n)),
    deviation(n, 1L, rnorm(n))
  )
  add_contrast_errors(level + deviations, err_sd)
}

add_contrast_errors <- function(C, err_sd) {
  made <- add_errors(C, err_sd, "sample")
  list(C = made$B, Chat = made$Bhat, Shat = made$Shat)
}

check_sample_size <- function(nsamp, times, ncond) {
  check_whole(nsamp, "nsamp", 1)
  # As doubles: a product of integers can be too large for one.
  nsamp <- as.numeric(nsamp)
  ncond <- as.numeric(ncond)
  if (times * nsamp > .Machine$integer.max || times * nsamp * ncond > 2^32) {
    abort_input(
      "{format(times * nsamp)} effects in {plural(ncond, 'condition')} are more than R can hold; lower `nsamp`.",
      class = "covmash_error_argument"
    )
  }
}

# f() of all numbers up to n, some at a time: names and draws of millions cannot be interrupted.
in_pieces <- function(n, f) {
  unlist(lapply(split_rows(n, 5e5), function(at) {
    cpp_listen()
    f(at)
  }))
}

# Observed effects from true ones, with names.
add_errors <- function(B, err_sd, what = "effect") {
  fits <- length(err_sd) > 0L && length(B) %% length(err_sd) == 0
  if (!is.numeric(err_sd) || !fits || !all(is.finite(err_sd)) || any(err_sd < 0)) {
    abort_input(
      "`err_sd` must be one positive finite number, or as many as go into the {length(B)} effects a whole number of times, not ",
      "{describe(err_sd)}.",
      class = "covmash_error_argument"
    )
  }
  labels <- list(
    in_pieces(nrow(B), function(rows) paste0(what, "_", rows)), paste0("condition_", seq_len(ncol(B)))
  )
  cpp_listen()
  dimnames(B) <- labels
  cpp_listen()
  Shat <- matrix(err_sd, nrow(B), ncol(B), dimnames = labels)
  errors <- in_pieces(length(Shat), function(at) rnorm(length(at), 0, Shat[at]))
  cpp_listen()
  errors <- matrix(errors, nrow(B), ncol(B))
  cpp_listen()
  list(B = B, Bhat = B + errors, Shat = Shat)
}
