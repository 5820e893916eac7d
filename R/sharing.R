#' How far effects are shared between pairs of conditions
#'
#' For each pair of conditions, the share of effects that have the same sign and
#' are within a factor of each other, among those that are significant in at
#' least one of the two.
#'
#' @param m A fit of [mash()] or a result of [mash_1by1()]; or a posterior in files, [mash_output()].
#' @param factor From 0 to 1. Effects are shared if the ratio of their posterior means
#'   is above `factor` and below `1 / factor`: 0.5 (default) for "within a factor
#'   of 2", 0 for "the same sign".
#' @param lfsr_thresh Significant means an lfsr strictly below this.
#' @param FUN Applied to the posterior means first, e.g. `abs` to ignore signs; of a posterior in files to some at a
#'   time.
#' @param predicted Use effects that were not observed in one of the two conditions
#'   too? By default both must be observed.
#' @return A symmetric R x R matrix of shares from 0 to 1, with the names of the
#'   conditions and ones on the diagonal. A pair without any significant effect
#'   has `NA`.
#' @section Differences from mashr: A pair without significant effects has `NA` in
#'   place of `NaN`, and the diagonal is always 1. Missing estimates do not count
#'   unless `predicted = TRUE`.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019).
#'   *Nature Genetics* 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#' @seealso [get_expected_sharing()] for what the posterior says of the effects themselves
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' round(get_pairwise_sharing(fit), 2)
#' round(get_pairwise_sharing(fit, factor = 0), 2)
get_pairwise_sharing <- function(m, factor = 0.5, lfsr_thresh = 0.05,
                                 FUN = identity, predicted = FALSE) {
  check_number(factor, "factor", 0, 1, what = "a number from 0 to 1")
  check_number(lfsr_thresh, "lfsr_thresh", 0, 1, what = "a number from 0 to 1")
  if (!is.function(FUN)) {
    abort_input("`FUN` must be a function, not {describe(FUN)}.", class = "covmash_error_argument")
  }
  if (inherits(m, "mash_output")) {
    return(shares_of(stream_sharing(m, factor, lfsr_thresh, FUN, predicted), m$conditions))
  }
  lfsr <- significance(m, lfsr_thresh, NULL, get_lfsr, predicted)
  means <- get_pm(m)
  R <- ncol(means)
  begin_steps("Sharing, pairs of conditions", R * (R - 1) / 2)
  shares_of(count_shared(lfsr, means, factor, lfsr_thresh, FUN, next_step), colnames(means))
}

# For each pair of conditions i < j: `n`, the effects that are significant in one of the two, and `shared`, those of
# them that are within the factor. step: called for every pair.
count_shared <- function(lfsr, means, factor, lfsr_thresh, FUN, step = cpp_listen) {
  # TRUE, FALSE, or NA where the estimate is missing.
  significant <- lapply(seq_len(ncol(lfsr)), function(r) unname(lfsr[, r]) < lfsr_thresh)
  observed <- function(i, j) {
    !is.na(significant[[i]]) & !is.na(significant[[j]])
  }
  R <- ncol(means)
  n <- shared <- matrix(0, R, R)
  for (i in seq_len(R - 1L)) {
    for (j in seq(i + 1L, R)) {
      step()
      # NA | TRUE is TRUE: a missing estimate must not slip in that way.
      rows <- which((significant[[i]] | significant[[j]]) & observed(i, j))
      n[i, j] <- length(rows)
      if (length(rows) > 0L) shared[i, j] <- count_within(means[rows, i], means[rows, j], factor, FUN)
    }
  }
  list(n = n, shared = shared)
}

shares_of <- function(counts, conditions) {
  share <- counts$shared / counts$n
  share[counts$n == 0] <- NA_real_
  share[lower.tri(share)] <- t(share)[lower.tri(share)]
  diag(share) <- 1
  if (!is.null(conditions)) dimnames(share) <- list(conditions, conditions)
  share
}

share_within <- function(a, b, factor, FUN) {
  if (length(a) == 0L) NA_real_ else count_within(a, b, factor, FUN) / length(a)
}

count_within <- function(a, b, factor, FUN) {
  ratio <- FUN(a) / FUN(b)
  # 0 / 0 has no sign in common with anything.
  sum(!is.na(ratio) & ratio > factor & ratio < 1 / factor)
}
