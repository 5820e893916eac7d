# What a look over the data finds before an analysis.

#' Look over data before an analysis
#'
#' Finds what makes an analysis wrong without an error: placeholders, errors that are correlated or of
#' another size than they say, too few strong effects, and the like, each with advice.
#'
#' @param data A data object made by [mash_set_data()].
#' @param x A result.
#' @param ... Not used.
#' @return A data frame of class `"mash_findings"`, which prints as sentences, with one row for each finding, none if
#'   there is nothing to say:
#'   * `check`: what was looked at;
#'   * `level`: `"problem"` (results will be wrong) or `"note"` (look at it);
#'   * `n`: how many entries, effects, conditions or pairs;
#'   * `finding`, `advice`: a sentence each.
#' @details What is looked at, in this order:
#'   * `placeholders`: estimates of exactly 0 with a standard error unlike others, see
#'     [placeholder_to_na()]; or with a usual one, where they are at least 10, 1 % of the condition and five
#'     times as many as any other value. The other checks leave them out;
#'   * `unobserved effects`, `unobserved conditions`: without any estimate;
#'   * `same conditions`: two conditions with the same estimates in all effects that have both, or with
#'     z-scores that (but for the sign) differ by less than a tenth of what independent errors make of it;
#'   * `size of errors`: the median of squared z-scores over its expectation of 0.455 without effects, by
#'     condition; below 0.8 the standard errors are too large, above 2 they are too small, or most effects
#'     are real;
#'   * `correlated errors`: with `V` the identity, the correlation of z-scores below 2 in size, of pairs
#'     of conditions, above 0.15 in size and four standard errors;
#'   * `extreme z-scores`: above 100 in size;
#'   * `strong effects`: with a z-score above 4 in size, fewer than 10 for each condition.
#' @section Errors: `covmash_error_data` for what is no data object.
#' @seealso [diagnose()], [placeholder_to_na()], [estimate_null_correlation_simple()]
#' @export
#' @examples
#' set.seed(1)
#' z <- matrix(rnorm(3000), ncol = 3)
#' z[, 2] <- 0.7 * z[, 1] + 0.7 * z[, 2]
#' check_mash_data(mash_set_data(z))
check_mash_data <- function(data) {
  data <- take_data(data)
  usable <- without_placeholders(data)
  z <- unname(usable$Bhat) / unname(usable$Shat)
  labels <- colnames(data$Bhat)
  new_findings(c(
    finding_placeholders(data), finding_unobserved(data), finding_same(same_conditions(usable, z), labels),
    finding_errors(z, labels), finding_correlated(z, data$V, labels), finding_extreme(z), finding_strong(z)
  ))
}

new_findings <- function(found) {
  none <- data.frame(check = character(), level = character(), n = integer(), finding = character(), advice = character())
  out <- do.call(rbind, c(list(none), lapply(found, as.data.frame)))
  row.names(out) <- NULL
  structure(out, class = c("mash_findings", "data.frame"))
}

#' @rdname check_mash_data
#' @export
print.mash_findings <- function(x, ...) {
  columns <- c("check", "level", "finding", "advice")
  if (!all(columns %in% names(x)) || !all(vapply(unclass(x)[columns], is.character, NA))) {
    # A part of it is a data frame like any other.
    print.data.frame(x, ...)
    return(invisible(x))
  }
  if (nrow(x) == 0L) {
    cat("Nothing found.\n")
  }
  for (i in seq_len(nrow(x))) {
    cat(strwrap(paste0("* ", x$level[i], ", ", x$check[i], ": ", x$finding[i]), exdent = 2), sep = "\n")
    cat(strwrap(x$advice[i], indent = 2, exdent = 2), sep = "\n")
  }
  invisible(x)
}

# A list of one finding, or an empty one.
finding <- function(check, level, n, ..., advice, found = n > 0, env = parent.frame()) {
  if (!found) {
    return(list())
  }
  list(list(
    check = check, level = level, n = as.integer(n), finding = interpolate(..., env = env),
    advice = interpolate(advice, env = env)
  ))
}

# Conditions by number and name, the first few of many.
label_conditions <- function(at, labels, most = 3L) {
  shown <- vapply(first_few(at, most), function(r) label_index("condition", r, labels), "")
  more <- length(at) - length(shown)
  if (more > 0L) {
    return(paste0(paste(shown, collapse = ", "), " and ", format_count(more), " more"))
  }
  if (length(shown) > 1L) {
    shown <- c(paste(shown[-length(shown)], collapse = ", "), shown[length(shown)])
  }
  paste(shown, collapse = " and ")
}

finding_placeholders <- function(data) {
  n <- length(placeholder_entries(data))
  zeros <- unlikely_zeros(data)
  at <- which(zeros > 0)
  c(
    finding(
      "placeholders", "problem", n,
      "{plural(n, 'estimate')} of exactly 0 with a standard error unlike the others of the condition.",
      advice = "If they are missing: placeholder_to_na(data)."
    ),
    finding(
      "placeholders", "problem", sum(zeros),
      "{plural(sum(zeros), 'estimate')} of exactly 0 with a usual standard error, in ",
      "{label_conditions(at, colnames(data$Bhat))}; other values do not repeat like that.",
      advice = "If they are missing: Bhat[Bhat == 0] <- NA before mash_set_data()."
    )
  )
}

# By condition, how many estimates are exactly 0 without being placeholders by their standard error, where these are
# at least 10, 1 % of all, and five times as many as of any other value (rounding makes all values repeat); else 0.
unlikely_zeros <- function(data) {
  zero <- unname(data$Bhat) == 0
  zero[placeholder_entries(data)] <- FALSE
  n <- colSums(zero, na.rm = TRUE)
  often <- n >= pmax(10, 0.01 * colSums(!is.na(zero)))
  for (r in which(often)) {
    others <- sort(data$Bhat[data$Bhat[, r] != 0, r])
    often[r] <- n[r] > 5 * max(0, diff(c(0, which(diff(others) != 0), length(others))))
  }
  n * often
}

# What the other checks look at: data in which what was found to be a placeholder is missing.
without_placeholders <- function(data) {
  data$Bhat[placeholder_entries(data)] <- NA
  for (r in which(unlikely_zeros(data) > 0)) {
    data$Bhat[which(data$Bhat[, r] == 0), r] <- NA
  }
  data
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

finding_same <- function(pairs, labels) {
  exact <- pairs$exact
  n <- nrow(pairs)
  finding(
    "same conditions", "problem", n,
    "{label_index('condition', pairs[1, 1], labels)} and {label_index('condition', pairs[1, 2], labels)} have ",
    "{if (exact[1]) 'the same estimates' else 'the same z-scores, nearly or but for the sign'}",
    "{if (n > 1L) paste0('; so have ', plural(n - 1L, 'other pair'))}.",
    advice = "Leave one of the two out: evidence that is counted twice makes false signs sure."
  )
}

# Pairs of conditions with equal estimates in all effects that have both (`exact`), or with nearly the same z-scores.
# Not those whose errors `V` says to be nearly the same.
same_conditions <- function(data, z) {
  R <- ncol(z)
  V <- if (is.matrix(data$V)) stats::cov2cor(unname(data$V)) else diag(R)
  Bhat <- unname(data$Bhat)
  some <- unique(round(seq(1, nrow(z), length.out = min(nrow(z), 1000L))))
  few <- list(Bhat = Bhat[some, , drop = FALSE], z = z[some, , drop = FALSE])
  size <- pmin(1, apply(few$z, 2, half_width))
  pairs <- data.frame(first = integer(), second = integer(), exact = logical())
  for (i in seq_len(R - 1L)) {
    for (j in seq(i + 1L, length.out = R - i)) {
      exact <- all(few$Bhat[, i] == few$Bhat[, j], na.rm = TRUE) && all_equal_pairs(Bhat[, i], Bhat[, j])
      if (exact || abs(V[i, j]) < 0.98 && nearly_same(few$z[, i], few$z[, j], min(size[i], size[j]))) {
        pairs[nrow(pairs) + 1L, ] <- list(i, j, exact)
      }
    }
  }
  pairs
}

all_equal_pairs <- function(x, y) {
  same <- x == y
  sum(!is.na(same)) > 1L && all(same, na.rm = TRUE)
}

# But for the sign: the difference is below a tenth of that of independent errors. (Strong effects that are shared make
# the correlation of z-scores 1, but not their difference 0.)
nearly_same <- function(x, y, size) {
  if (is.na(size) || sum(!is.na(x - y)) < 20L) {
    return(FALSE)
  }
  min(half_width(x - y), half_width(x + y)) < 0.1 * sqrt(2) * size
}

# The standard deviation of normal x of mean 0.
half_width <- function(x) stats::median(abs(x), na.rm = TRUE) / stats::qnorm(0.75)

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
