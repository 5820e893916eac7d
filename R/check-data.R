# What a look over the data finds before an analysis.

#' Look over data before an analysis
#'
#' Finds what makes an analysis wrong without an error: placeholders, errors that are correlated or of
#' another size than they say, too few strong effects, and the like, each with advice.
#'
#' @param data A data object made by [mash_set_data()].
#' @return A data frame with one row for each finding, none if there is nothing to say:
#'   * `check`: what was looked at;
#'   * `level`: `"problem"` (results will be wrong) or `"note"` (look at it);
#'   * `n`: how many entries, effects, conditions or pairs;
#'   * `finding`, `advice`: a sentence each.
#' @details What is looked at, in this order:
#'   * `placeholders`: estimates of exactly 0 with a standard error unlike others, see
#'     [placeholder_to_na()];
#'   * `unobserved effects`, `unobserved conditions`: without any estimate;
#'   * `same conditions`: two conditions with the same estimates in all effects that have both;
#'   * `size of errors`: the median of squared z-scores over its expectation of 0.455 without effects, by
#'     condition; below 0.8 the standard errors are too large, above 2 they are too small, or most effects
#'     are real;
#'   * `correlated errors`: with `V` the identity, the correlation of z-scores below 2 in size, of pairs
#'     of conditions, above 0.15 in size and four standard errors;
#'   * `extreme z-scores`: above 100 in size;
#'   * `strong effects`: with a z-score above 4 in size, fewer than 10 for each condition.
#' @section Errors: `covmash_error_data` for what is no data object.
#' @seealso [placeholder_to_na()], [estimate_null_correlation_simple()]
#' @export
#' @examples
#' set.seed(1)
#' z <- matrix(rnorm(3000), ncol = 3)
#' z[, 2] <- 0.7 * z[, 1] + 0.7 * z[, 2]
#' check_mash_data(mash_set_data(z))
check_mash_data <- function(data) {
  data <- take_data(data)
  z <- unname(data$Bhat) / unname(data$Shat)
  labels <- colnames(data$Bhat)
  found <- list(
    finding_placeholders(data), finding_unobserved(data), finding_same(unname(data$Bhat), labels),
    finding_errors(z, labels), finding_correlated(z, data$V, labels), finding_extreme(z), finding_strong(z)
  )
  found <- unlist(found, recursive = FALSE)
  none <- data.frame(check = character(), level = character(), n = integer(), finding = character(), advice = character())
  out <- do.call(rbind, c(list(none), lapply(found, as.data.frame)))
  row.names(out) <- NULL
  out
}

# A list of one finding, or an empty one.
finding <- function(check, level, n, ..., advice, found = n > 0, env = parent.frame()) {
  if (!found) {
    return(list())
  }
  list(list(check = check, level = level, n = as.integer(n), finding = interpolate(..., env = env), advice = advice))
}

finding_placeholders <- function(data) {
  n <- length(placeholder_entries(data))
  finding(
    "placeholders", "problem", n, "{plural(n, 'estimate')} of exactly 0 with a standard error unlike the others of the condition.",
    advice = "If they are missing: placeholder_to_na(data)."
  )
}

finding_unobserved <- function(data) {
  there <- !is.na(unname(data$Bhat))
  rows <- sum(rowSums(there) == 0)
  columns <- which(colSums(there) == 0)
  c(
    finding(
      "unobserved effects", "note", rows, "{plural(rows, 'effect')} without any estimate.",
      advice = "Leave them out; their posterior is the prior."
    ),
    finding(
      "unobserved conditions", "problem", length(columns),
      "No effect is observed in {label_index('condition', columns[1], colnames(data$Bhat))}.",
      advice = "Leave the condition out; what is said of it is the prior alone."
    )
  )
}

finding_same <- function(Bhat, labels) {
  R <- ncol(Bhat)
  pairs <- NULL
  for (i in seq_len(R - 1L)) {
    for (j in seq(i + 1L, length.out = R - i)) {
      same <- Bhat[, i] == Bhat[, j]
      if (sum(!is.na(same)) > 1L && all(same, na.rm = TRUE)) {
        pairs <- rbind(pairs, c(i, j))
      }
    }
  }
  n <- NROW(pairs)
  finding(
    "same conditions", "problem", n,
    "{label_index('condition', pairs[1, 1], labels)} and {label_index('condition', pairs[1, 2], labels)} have the same estimates.",
    advice = "Leave one of the two out: evidence that is counted twice makes false signs sure."
  )
}

finding_errors <- function(z, labels) {
  ratio <- apply(z^2, 2, stats::median, na.rm = TRUE) / stats::qchisq(0.5, 1)
  enough <- colSums(!is.na(z)) >= 50
  small <- which(enough & ratio < 0.8)
  large <- which(enough & ratio > 2)
  worst_small <- small[which.min(ratio[small])]
  worst_large <- large[which.max(ratio[large])]
  c(
    finding(
      "size of errors", "problem", length(small),
      "The median squared z-score is {format(ratio[worst_small], digits = 2)} times its expectation in {label_index('condition', worst_small, labels)}.",
      advice = "The standard errors are too large, or estimates are rounded or shrunk already."
    ),
    finding(
      "size of errors", "note", length(large),
      "The median squared z-score is {format(ratio[worst_large], digits = 2)} times its expectation in {label_index('condition', worst_large, labels)}.",
      advice = "Most effects are real there, or the standard errors are too small (confounding, few degrees of freedom: see `df`)."
    )
  )
}

finding_correlated <- function(z, V, labels) {
  R <- ncol(z)
  if (R < 2L || !is.matrix(V) || any(V[upper.tri(V)] != 0)) {
    return(list())
  }
  sums <- null_sums(z, 2)
  both <- sums$products / sqrt(sums$squares * t(sums$squares))
  both[!is.finite(both) | sums$n < 50 | !upper.tri(both)] <- 0
  at <- which(abs(both) > pmax(0.15, 4 / sqrt(sums$n)), arr.ind = TRUE)
  worst <- at[which.max(abs(both[at])), ]
  finding(
    "correlated errors", "problem", nrow(at),
    "z-scores below 2 are correlated between {plural(nrow(at), 'pair')} of conditions, most between ",
    "{label_index('condition', worst[1], labels)} and {label_index('condition', worst[2], labels)} ",
    "({format(both[worst[1], worst[2]], digits = 2)}), but `V` is the identity.",
    advice = "If conditions share samples: V <- estimate_null_correlation_simple(data); data <- mash_update_data(data, V = V)."
  )
}

finding_extreme <- function(z) {
  n <- sum(abs(z) > 100, na.rm = TRUE)
  finding(
    "extreme z-scores", "note", n, "{plural(n, 'z-score')} above 100 in size.",
    advice = "Look whether standard errors there are on the scale of the estimates."
  )
}

finding_strong <- function(z) {
  strong <- sum(rowSums(abs(z) > 4, na.rm = TRUE) > 0)
  finding(
    "strong effects", "note", strong, "{plural(strong, 'effect')} with a z-score above 4, for {plural(ncol(z), 'condition')}.",
    found = strong < 10 * ncol(z),
    advice = "Covariances learned from so few are unsure: prefer cov_canonical() and cov_ted() to cov_ed()."
  )
}
