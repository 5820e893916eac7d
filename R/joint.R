# What is asked of the joint posterior of the conditions: linear combinations, covariances, draws.

# For the core; NULL if nothing is asked. summaries: means, standard deviations and sign probabilities, which otherwise
# come from the sweep. interval: level and shortest, of intervals; statement: of mash_joint(); active: in how many
# conditions an effect is nonzero; sharing: counts, weights and factor, of get_expected_sharing();
# largest: include and points, of mash_largest().
joint_request <- function(data, A = NULL, covariance = FALSE, draws = 0, seed = NULL, summaries = FALSE,
                          interval = NULL, statement = NULL, active = FALSE, sharing = NULL, largest = NULL) {
  draws <- whole_number(draws, "posterior_samples")
  A <- with_left_out_contrast(A, data)
  asks <- !is.null(interval) || !is.null(statement) || active || !is.null(sharing) || !is.null(largest)
  summaries <- summaries || (!is.null(A) && is.null(statement) && !active)
  if (!summaries && !covariance && draws == 0L && !asks) {
    return(NULL)
  }
  # Zeros and signs do not depend on it; of a missing estimate it is not known.
  scaled <- data$alpha != 0 && is.null(statement) && !active
  outcomes <- if (is.null(A)) colnames(data$Bhat) else rownames(A)
  Q <- if (is.null(A)) ncol(data$Bhat) else nrow(A)
  check_joint_size(nrow(data$Bhat), Q, draws, covariance)
  if (!is.null(largest)) largest["labels"] <- list(outcomes[largest$include])
  list(
    A = if (!is.null(A)) unname(A), summaries = summaries, covariance = covariance, draws = draws,
    seed = if (draws > 0L) seed_of_draws(seed) else 0, scaled = scaled, effects = rownames(data$Bhat),
    interval = interval, statement = statement, active = active, sharing = sharing, largest = largest, outcomes = outcomes,
    samples = if (draws > 0L) paste0("sample_", seq_len(draws))
  )
}

# A as a Q x R matrix, its columns in the order of the conditions.
check_combinations <- function(A, data, name = "A") {
  if (is.null(A)) {
    return(NULL)
  }
  R <- ncol(data$Bhat)
  A <- matrix_input(
    A, paste0("`", name, "`"), "a numeric matrix with combinations in rows and conditions in columns", n_columns = R,
    size = paste("have one column for each of the", plural(R, "condition")), least = c(1L, 1L), vector = "row"
  )
  size <- abs(A[A != 0])
  if (length(size) > 0L && (max(size) > 1e100 || min(size) < 1e-100)) {
    abort_input(
      "`{name}` has the entry {format(size[size > 1e100 | size < 1e-100][1])}; what is not 0 must be from 1e-100 to 1e100 in size.",
      class = "covmash_error_magnitude"
    )
  }
  conditions <- colnames(data$Bhat)
  if (!is.null(colnames(A)) && !is.null(conditions) && !identical(colnames(A), conditions)) {
    if (setequal(colnames(A), conditions) && !anyDuplicated(conditions)) {
      return(A[, conditions, drop = FALSE])
    }
    check_same_names(conditions, colnames(A), name, "column")
  }
  A
}

# The combinations of the conditions that results are about, see outcome_labels().
check_outcome_combinations <- function(A, data, name = "A") {
  labels <- outcome_labels(data)
  check_combinations(A, list(Bhat = matrix(0, 1L, length(labels), dimnames = list(NULL, labels))), name)
}

# Differences from the mean: the one of the last condition, which the data do not have, is minus the sum of the others. So
# results, and A, are about all conditions.
with_left_out_contrast <- function(A, data) {
  if (!identical(attr(data$L, "reference"), "mean")) {
    return(check_combinations(A, data))
  }
  R <- ncol(data$L)
  whole <- rbind(diag(R - 1L), -1)
  rownames(whole) <- paste0(colnames(data$L), "-mean")
  if (is.null(A)) {
    return(whole)
  }
  check_outcome_combinations(A, data) %*% unname(whole)
}

check_joint_size <- function(J, Q, draws, covariance) {
  size <- as.numeric(J) * Q * max(draws, if (covariance) Q else 0)
  if (size > 2^40) {
    abort_input(
      "{plural(J, 'effect')} x {plural(Q, 'condition')} with {plural(draws, 'draw')} each are more than R can hold; give ",
      "fewer effects at a time, or ask for fewer draws.",
      class = "covmash_error_argument"
    )
  }
}

# The seed of the draws: what is given, or one number of R's generator, which set.seed() governs.
seed_of_draws <- function(seed) {
  if (is.null(seed)) {
    return(floor(stats::runif(1) * 2^52))
  }
  check_number(seed, "seed", what = "one number, or NULL")
  floor(seed) %% 2^52
}

#' Draws from the posterior, and combinations of conditions
#'
#' `get_samples()` are the draws of a fit made with `posterior_samples`.
#' `get_pairwise_sharing_from_samples()` is [get_pairwise_sharing()] with what the
#' draws say in place of the posterior means. `get_posterior_condition_wise_summary()`
#' is the posterior of linear combinations of the conditions.
#'
#' @param m A fit of [mash()]; for draws, made with `posterior_samples` above 0, or
#'   with a `result` of [mash_compute_posterior_matrices()] that has draws.
#' @param factor,lfsr_thresh,FUN As in [get_pairwise_sharing()].
#' @param mash_data The data, made by [mash_set_data()].
#' @param contrast_mat A matrix with combinations in rows and conditions in columns.
#' @return `get_samples()`: an array of J effects x R conditions x M draws, or `NULL` if
#'   there are none. `get_pairwise_sharing_from_samples()`: an R x R matrix, `NaN` where no
#'   effect is significant in either condition. `get_posterior_condition_wise_summary()`: a
#'   list of J x Q matrices `PosteriorMean`, `PosteriorSD`, `lfdr`, `NegativeProb` and
#'   `lfsr`.
#' @details The sharing of two conditions is, over the effects significant in at least one
#'   of them, the mean fraction of draws in which their effects have the same sign and are
#'   within `factor` of one another.
#' @section Errors: `covmash_error_fit` if `m` has no draws.
#' @section Differences from mashr: `get_posterior_condition_wise_summary()` is right for
#'   standard errors that differ between effects, and all its matrices have names. One
#'   significant effect or one draw is enough for sharing.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51,
#'   187-195. \doi{10.1038/s41588-018-0268-8}
#' @name posterior_draws
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, posterior_samples = 50, n_threads = 1)
#' dim(get_samples(fit))
#' get_pairwise_sharing_from_samples(fit)
#' difference <- rbind(first_to_last = c(1, 0, -1))
#' head(get_posterior_condition_wise_summary(data, fit, difference)$lfsr)
NULL

#' @rdname posterior_draws
#' @export
get_samples <- function(m) result_part(m, "PosteriorSamples", "m")

#' @rdname posterior_draws
#' @export
get_pairwise_sharing_from_samples <- function(m, factor = 0.5, lfsr_thresh = 0.05, FUN = identity) {
  check_number(factor, "factor", 0, 1, what = "a number from 0 to 1")
  check_number(lfsr_thresh, "lfsr_thresh", 0, 1, what = "a number from 0 to 1")
  if (!is.function(FUN)) {
    abort_input("`FUN` must be a function, not {describe(FUN)}.", class = "covmash_error_argument")
  }
  draws <- get_samples(m)
  if (is.null(draws)) {
    abort_input(
      "`m` has no draws; fit it with `posterior_samples` above 0.", class = "covmash_error_fit"
    )
  }
  significant <- significance(m, lfsr_thresh, NULL, get_lfsr, FALSE) < lfsr_thresh
  significant[is.na(significant)] <- FALSE
  share_between_pairs(dim(draws)[2], dimnames(draws)[[2]], function(i, j) {
    rows <- which(significant[, i] | significant[, j])
    if (length(rows) == 0L) NaN else share_within(draws[rows, i, ], draws[rows, j, ], factor, FUN)
  })
}

# A symmetric matrix of share(i, j), the diagonal among it.
share_between_pairs <- function(R, labels, share) {
  shared <- matrix(0, R, R, dimnames = if (!is.null(labels)) list(labels, labels))
  for (i in seq_len(R)) {
    for (j in seq(i, R)) {
      shared[i, j] <- shared[j, i] <- share(i, j)
    }
  }
  shared
}

#' @rdname posterior_draws
#' @export
get_posterior_condition_wise_summary <- function(mash_data, m, contrast_mat) {
  refuse_missing(missing(contrast_mat), "contrast_mat", "a matrix with one column for each condition")
  check_fit(m)
  mash_compute_posterior_matrices(m, mash_data, A = contrast_mat)
}
