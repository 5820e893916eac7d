#' Put estimates and standard errors together
#'
#' Makes the data object that every other function takes: estimated effects,
#' their standard errors and the correlation of their errors. Missing estimates
#' are allowed and handled exactly: they are left out of the likelihood and
#' predicted by the posterior.
#'
#' @param Bhat J x R matrix (or data frame) of estimated effects, effects in
#'   rows and conditions in columns. A vector is taken as one condition. `NA`
#'   marks a missing estimate; `NaN` and infinite values are errors. Row and
#'   column names are kept.
#' @param Shat J x R matrix (or data frame) of standard errors in the units of
#'   `Bhat`, or one number for all; 1 if not given. `Inf` means that the
#'   estimate carries no information and is treated as missing.
#' @param alpha The prior is on `b / Shat^alpha`: 0 (default) for effects that
#'   do not depend on the standard error, 1 for z-scores.
#' @param df Degrees of freedom of the t-statistics `Bhat / Shat`: one number, a vector
#'   with one for each effect, or a J x R matrix. Where they are finite, `Shat` is replaced
#'   by the standard error that gives a normal z-score with the same p-value. `Inf`
#'   (default): normal errors.
#' @param pval J x R matrix of two-sided p-values, in place of `Shat`: the standard errors
#'   are those with which the z-scores `Bhat / Shat` have these p-values. Above 0 and below 1;
#'   `NA` where `Bhat` is.
#' @param V R x R correlation matrix of the errors of one effect (a covariance
#'   matrix is allowed), positive definite; also a [factor_covariance()]. Or an R x R x J array
#'   with a matrix for each effect. Default: the identity.
#' @param zero_check_tol Standard errors at or below this count as zero.
#' @param zero_Bhat_Shat_reset If positive, replaces `Shat` where both `Shat`
#'   and `Bhat` are zero. Default 0: such entries are an error.
#' @param zero_Shat_reset If positive, replaces `Shat` where it is zero and
#'   `Bhat` is not. Default 0: such entries are an error.
#'
#' @return A list of class `c("mash_data", "mash")` with elements
#'   * `Bhat`, `Shat`: J x R matrices, `NA` where missing. For `alpha` other than
#'     0 they are `Bhat / Shat^alpha` and `Shat^(1 - alpha)`.
#'   * `Shat_alpha`: J x R, `Shat^alpha` (1 when `alpha = 0`); `NA` where the
#'     standard error of a missing estimate is not known.
#'   * `V`, `commonV` (`FALSE` if `V` is an array), `alpha`.
#'
#'   It has methods for `print`, `summary`, `plot`, `dim`, `dimnames` and `[`
#'   (see [mash_data-methods]).
#'
#' @details The model of the data (Urbut et al. 2019) is
#'   \deqn{\hat b_j \mid b_j \sim N(b_j, S_j V S_j), \quad S_j = diag(Shat_j).}{
#'   bhat_j | b_j ~ N(b_j, S_j V S_j),
#'   S_j = diag(Shat_j).}
#'   With `alpha`, this is divided by `Shat^alpha`; results are always
#'   returned on the scale of `Bhat`.
#'
#' @section Errors:
#'   All have class `covmash_error_input`: different dimensions
#'   (`covmash_error_dimensions`), not numeric (`covmash_error_type`), `NaN` or
#'   infinite `Bhat` (`covmash_error_bhat`), zero, negative, `NaN` or unexpectedly
#'   missing `Shat` (`covmash_error_shat`), rows or columns of `Bhat` and `Shat` in
#'   different order (`covmash_error_names`), a bad `V` (`covmash_error_V`), numbers
#'   whose squares overflow (`covmash_error_magnitude`). A
#'   warning of class `covmash_warning_all_missing` counts rows in which nothing is
#'   observed, `covmash_warning_names` tells of duplicated names, and
#'   `covmash_warning_placeholder` of estimates that look like placeholders of
#'   missing ones (0 with a huge standard error, see [placeholder_to_na()]).
#'
#' @section Differences from mashr:
#'   * Missing estimates stay `NA` and are left out of the likelihood; mashr
#'     replaces them by 0 with standard error 1e6. `Shat` may be known where
#'     `Bhat` is missing.
#'   * `Shat = Inf` means missing; mashr stops.
#'   * Zero standard errors are looked at entry by entry, with the absolute
#'     value of `Bhat`, and both resets are honoured.
#'   * Data frames are accepted. Names in a different order are an error.
#'
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019).
#'   *Nature Genetics* 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#' @seealso [mash()], [mash_1by1()]
#' @concept summary statistics
#' @concept missing data
#' @concept effect sizes
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' data
#'
#' # one estimate is missing
#' sim$Bhat[2, 3] <- NA
#' mash_set_data(sim$Bhat, sim$Shat)
mash_set_data <- function(Bhat, Shat = NULL, alpha = 0, df = Inf, pval = NULL,
                          V = diag(ncol(Bhat)),
                          zero_check_tol = .Machine$double.eps,
                          zero_Bhat_Shat_reset = 0, zero_Shat_reset = 0) {
  refuse_missing(missing(Bhat), "Bhat", "a matrix of estimates")
  check_number(alpha, "alpha", what = "one finite number")
  check_number(
    zero_check_tol, "zero_check_tol", 0, what = "a number of at least 0"
  )
  check_number(
    zero_Bhat_Shat_reset, "zero_Bhat_Shat_reset", 0,
    what = "a number of at least 0"
  )
  check_number(
    zero_Shat_reset, "zero_Shat_reset", 0, what = "a number of at least 0"
  )

  point_to_other_shapes(Bhat)
  Bhat <- data_matrix(Bhat, "`Bhat`")
  if (is.null(pval)) {
    Shat <- conform_shat(Shat, Bhat)
  } else {
    refuse_with_pval(Shat, df)
    Shat <- shat_from_pval(Bhat, pval)
  }
  Shat <- shat_from_t(Bhat, Shat, df)
  V <- check_noise_correlation(V, ncol(Bhat), colnames(Bhat), nrow(Bhat))
  settings <- entry_settings(length(Bhat), alpha, zero_check_tol, zero_Bhat_Shat_reset, zero_Shat_reset)
  entries <- count_entries(Bhat, Shat, settings)
  check_given(Bhat, Shat, entries, settings)
  warn_duplicated_names(Bhat)

  data <- new_mash_data(Bhat, Shat, V, alpha, entries, settings)
  warn_placeholders(data)
  check_magnitudes(data, Bhat, Shat)
  warn_all_missing(data$Bhat)
  data
}

# ---- standard errors from p-values and t-statistics -----------------------------

refuse_with_pval <- function(Shat, df) {
  if (!is.null(Shat)) {
    abort_input(
      "`Shat` and `pval` are both given; give one of them.", class = "covmash_error_argument"
    )
  }
  if (!is.numeric(df) || !all(df == Inf)) {
    abort_input(
      "`df` has no use with `pval`, which is a p-value whatever the test was; leave it out.",
      class = "covmash_error_argument"
    )
  }
}

# Bhat / Shat is then the z-score of the p-value. Through logarithms: p-values of 1e-300 and less have one too.
shat_from_pval <- function(Bhat, pval) {
  pval <- data_matrix(pval, "`pval`")
  if (!identical(dim(pval), dim(Bhat))) {
    abort_input(
      "`Bhat` and `pval` must have the same dimensions, but `Bhat` is {nrow(Bhat)} x {ncol(Bhat)} and ",
      "`pval` is {nrow(pval)} x {ncol(pval)}.",
      class = "covmash_error_dimensions"
    )
  }
  check_same_names(colnames(Bhat), colnames(pval), "pval", "column")
  check_same_names(rownames(Bhat), rownames(pval), "pval", "row")
  bad <- which(!is.na(Bhat) & (is.na(pval) | pval <= 0 | pval > 1))
  if (length(bad) > 0L) {
    abort_input(
      "`pval` must be above 0 and at most 1 where there is an estimate, but in {label_entry(Bhat, bad[1])} it is ",
      "{format(pval[bad[1]])}{such_entries(length(bad))}; set a p-value of 0 to the smallest that the test can give.",
      class = "covmash_error_pval"
    )
  }
  no_scale <- which(!is.na(Bhat) & (pval == 1 | Bhat == 0))
  if (length(no_scale) > 0L) {
    abort_input(
      "In {label_entry(Bhat, no_scale[1])}{such_entries(length(no_scale))} `Bhat` is {format(Bhat[no_scale[1]])} and ",
      "`pval` {format(pval[no_scale[1]])}, from which no standard error follows; set such estimates to NA, or give `Shat`.",
      class = "covmash_error_pval"
    )
  }
  array(Bhat / p2z(pval, Bhat), dim(Bhat), dimnames(Bhat))
}

# Standard errors with which normal z-scores have the p-values of the t-statistics. Where the estimate is 0 the one given
# is kept.
shat_from_t <- function(Bhat, Shat, df) {
  df <- degrees_of_freedom(df, Bhat)
  if (is.null(df)) {
    return(Shat)
  }
  at <- which(is.finite(df) & is.finite(Shat) & Shat > 0 & !is.na(Bhat) & Bhat != 0)
  t <- abs(Bhat[at]) / Shat[at]
  z <- -stats::qnorm(stats::pt(-t, df[at], log.p = TRUE), log.p = TRUE)
  # So small a statistic is its own z-score.
  z <- ifelse(z > 0, z, t)
  Shat[at] <- abs(Bhat[at]) / z
  Shat
}

# A matrix of the shape of Bhat; NULL if all are infinite.
degrees_of_freedom <- function(df, Bhat) {
  fits <- is.numeric(df) && !anyNA(df) && all(df > 0) &&
    (is.null(dim(df)) && length(df) %in% c(1L, nrow(Bhat)) || identical(dim(df), dim(Bhat)))
  if (!fits) {
    abort_input(
      "`df` must be positive, one number, one for each of the {plural(nrow(Bhat), 'effect')}, or a matrix of ",
      "{nrow(Bhat)} x {ncol(Bhat)}, not {describe(df)}.",
      class = "covmash_error_argument"
    )
  }
  if (!all(df == Inf)) array(df, dim(Bhat))
}

data_matrix <- function(x, label) {
  matrix_input(
    x, label, "a numeric matrix with effects in rows and conditions in columns",
    least = c(1L, 1L), values = "any"
  )
}

# What newcomers give in place of a matrix of estimates, and what takes it.
point_to_other_shapes <- function(Bhat) {
  if (is.data.frame(Bhat) && sum(!vapply(Bhat, is_number_like, NA)) > 0L && any(vapply(Bhat, is.numeric, NA))) {
    at <- which(!vapply(Bhat, is_number_like, NA))[1]
    abort_input(
      "`Bhat` must be numeric, but its {label_index('column', at, names(Bhat))} is of class {class(Bhat[[at]])[1]}; leave that column out, or, ",
      "if `Bhat` is a table of effects and conditions, give it to as_mash_data().",
      class = "covmash_error_type"
    )
  }
  if (is.list(Bhat) && !is.data.frame(Bhat) && !is.object(Bhat) && !is.null(Bhat[["Bhat"]])) {
    abort_input(
      "`Bhat` must be a numeric matrix, not a list that holds one; give its element `Bhat` (and `Shat`), or the list to ",
      "as_mash_data().",
      class = "covmash_error_type"
    )
  }
  if (checkmate::test_string(Bhat)) {
    abort_input(
      "`Bhat` must be a numeric matrix, not '{Bhat}'; read_sumstats() and as_mash_data() read files.",
      class = "covmash_error_type"
    )
  }
}

such_entries <- function(count) {
  if (count > 1) paste0(" (", format_count(count), " such entries)")
}

# Shat as a matrix of the shape of Bhat, with its names.
conform_shat <- function(Shat, Bhat) {
  if (is.null(Shat)) {
    Shat <- 1
  }
  if (is.numeric(Shat) && is.null(dim(Shat)) && length(Shat) == 1L) {
    return(array(as.double(Shat), dim(Bhat), dimnames(Bhat)))
  }
  if (is.null(dim(Shat)) && is.numeric(Shat) && ncol(Bhat) > 1L) {
    abort_input(
      "`Shat` must be one number or a matrix of the shape of `Bhat` ({nrow(Bhat)} x {ncol(Bhat)}), not a ",
      "vector of length {length(Shat)}; write matrix(Shat, nrow(Bhat), ncol(Bhat), byrow = TRUE) for one ",
      "standard error for each condition.",
      class = "covmash_error_dimensions"
    )
  }
  Shat <- data_matrix(Shat, "`Shat`")
  if (!identical(dim(Shat), dim(Bhat))) {
    abort_input(
      "`Bhat` and `Shat` must have the same dimensions, but `Bhat` is {nrow(Bhat)} x {ncol(Bhat)} and ",
      "`Shat` is {nrow(Shat)} x {ncol(Shat)}.",
      class = "covmash_error_dimensions"
    )
  }
  check_same_names(colnames(Bhat), colnames(Shat), "Shat", "column")
  check_same_names(rownames(Bhat), rownames(Shat), "Shat", "row")
  dimnames(Shat) <- dimnames(Bhat)
  Shat
}

# What the core is told about entries, and what it says of them: how many are of each kind, and which is the first.
# To ask how many cores there are takes longer than a small data set.
entry_settings <- function(size, alpha = 0, zero = 0, both_reset = 0, shat_reset = 0) {
  list(
    alpha = alpha, zero = zero, shat_for_both = both_reset, shat_for_zero = shat_reset,
    n_threads = if (size < 1e6) 1L else resolve_threads()
  )
}

count_entries <- function(Bhat, Shat, settings) {
  run_core(cpp_count_entries(list(Bhat = Bhat, Shat = Shat, V = NULL), settings))
}

# Estimates: finite or missing. Standard errors: positive where the estimate is there, unless zeros are reset.
check_given <- function(Bhat, Shat, entries, settings) {
  count <- entries$count
  first <- entries$first
  if (count[["bhat_not_a_number"]] > 0) {
    at <- first[["bhat_not_a_number"]]
    abort_input(
      "`Bhat` must be finite or NA, but its entry in {label_entry(Bhat, at)} is {Bhat[at]}",
      "{such_entries(count[['bhat_not_a_number']])}; use NA for a missing estimate.",
      class = "covmash_error_bhat"
    )
  }
  refuse <- function(kind, problem, advice) {
    if (count[[kind]] > 0) {
      abort_input(
        "`Shat` {problem} in {label_entry(Shat, first[[kind]])}{such_entries(count[[kind]])}; {advice}",
        class = "covmash_error_shat"
      )
    }
  }
  refuse("shat_not_a_number", "is NaN", "use Inf to leave such an estimate out.")
  refuse("shat_missing", "is NA where `Bhat` is not", "use Inf to leave such an estimate out.")
  refuse("shat_negative", "is negative", "were `Bhat` and `Shat` swapped? Standard errors must be positive.")
  if (settings$shat_for_both <= 0) {
    refuse("both_zero", "and `Bhat` are both zero", "set them to NA, or give `zero_Bhat_Shat_reset`.")
  }
  if (settings$shat_for_zero <= 0) {
    refuse("shat_zero", "is zero", "correct it, or give `zero_Shat_reset`.")
  }
}

# The error correlation (or covariance) V: R x R, positive definite; or an array of J of them.
check_noise_correlation <- function(V, R, conditions = NULL, J = NULL) {
  if (length(dim(V)) == 3L && !is.null(J)) {
    return(check_noise_array(V, R, conditions, J))
  }
  V <- covariance_input(
    V, "`V`", "positive", n = R,
    size = paste("have one row and one column for each of the", plural(R, "condition")),
    vector = "column", class = "covmash_error_V",
    advice = "; remove duplicated conditions or shrink V towards the identity"
  )
  check_same_names(conditions, colnames(V), "V", "column")
  check_same_names(conditions, rownames(V), "V", "row")
  variances <- diag(V)
  if (any(variances < 1e-100 | variances > 1e100)) {
    at <- which(variances < 1e-100 | variances > 1e100)[1]
    abort_input(
      "`V` has the variance {format(variances[at])} for {label_index('condition', at, conditions)}; it must be from ",
      "1e-100 to 1e100. Put the scale into `Shat`.",
      class = "covmash_error_V"
    )
  }
  V
}

check_noise_array <- function(V, R, conditions, J) {
  fail <- function(..., env = parent.frame()) abort_input("`V` ", ..., class = "covmash_error_V", env = env)
  if (!is.numeric(V) || !identical(dim(V), c(R, R, J))) {
    fail("must be numeric and {R} x {R} x {J}, a matrix for each effect, not {paste(dim(V), collapse = ' x ')}.")
  }
  check_same_names(conditions, dimnames(V)[[2]], "V", "column")
  check_same_names(conditions, dimnames(V)[[1]], "V", "row")
  storage.mode(V) <- "double"
  dimnames(V) <- NULL
  if (!is.finite(sum(V)) && any(!is.finite(V))) {
    fail("must be finite, but that of effect {format_count(ceiling(which(!is.finite(V))[1] / R^2))} is not.")
  }
  bad <- run_core(cpp_bad_correlation(V))
  if (bad$at > 0) {
    fail("must hold {bad$what} matrices, but that of effect {format_count(bad$at)} is not.")
  }
  V
}

# The matrix V of errors that correlate alike in all effects.
common_V <- function(data, what) {
  if (!is.matrix(data$V)) {
    abort_unsupported(
      paste(what, "of data whose `V` differs between effects"), instead = "give it data with one `V`"
    )
  }
  data$V
}

warn_duplicated_names <- function(Bhat) {
  for (side in c("row", "column")) {
    labels <- if (side == "row") rownames(Bhat) else colnames(Bhat)
    at <- anyDuplicated(labels)
    if (at > 0L) {
      warn_covmash(
        "The {side} name '{labels[at]}' of `Bhat` occurs more than once; choosing by name takes the first.",
        class = "covmash_warning_names"
      )
    }
  }
}

warn_all_missing <- function(Bhat) {
  if (!anyNA(Bhat)) {
    return(invisible(NULL))
  }
  empty <- run_core(cpp_empty_rows(list(Bhat = Bhat, Shat = Bhat, V = NULL)))
  if (length(empty) > 0L) {
    them <- if (length(empty) == 1) "it" else "them"
    warn_covmash(
      "{plural(length(empty), 'row has', 'rows have')} no observed estimate (the first is ",
      "{label_index('row', empty[1], rownames(Bhat))}); nothing is learned from {them} and the ",
      "posterior is the prior.",
      class = "covmash_warning_all_missing"
    )
  }
}

# Numbers that overflow when they are squared, as given or by `alpha`.
check_magnitudes <- function(data, Bhat, Shat) {
  bad <- run_core(cpp_unusable_entry(data))
  if (is.null(bad)) {
    return(invisible(NULL))
  }
  at <- bad$entry
  by_alpha <- if (data$alpha != 0) {
    paste0(
      ", which alpha = ", format(data$alpha), " makes ", format(data$Bhat[at]), " and ", format(data$Shat[at])
    )
  }
  abort_input(
    "`Bhat` and `Shat` hold numbers that cannot be computed with: in {label_entry(Bhat, at)} they are ",
    "{format(Bhat[at])} and {format(Shat[at])}{by_alpha}; both, and the ratio of any estimate to the smallest standard ",
    "error, must be between 1e-150 and 1e150 in size. Change the units or set such entries to NA.",
    class = "covmash_error_magnitude"
  )
}

# ---- the class ---------------------------------------------------------------

# The object from checked input. An infinite standard error, or a missing estimate, makes the entry
# missing. Matrices that hold what the model reads are kept as they are.
new_mash_data <- function(Bhat, Shat, V, alpha, entries = NULL,
                          settings = entry_settings(length(Bhat), alpha)) {
  changes <- c("unobserved", "both_zero", "shat_zero", "shat_unused")
  parts <- if (alpha != 0 || any(entries$count[changes] > 0)) {
    run_core(cpp_scale_entries(list(Bhat = Bhat, Shat = Shat, V = NULL), settings))
  } else {
    list(Bhat = Bhat, Shat = Shat, Shat_alpha = array(1, dim(Bhat), dimnames(Bhat)))
  }
  structure(c(parts, list(V = V, commonV = is.matrix(V), alpha = alpha)), class = c("mash_data", "mash"))
}

n_effects <- function(data) if (is_source(data)) data$n_effects else nrow(data$Bhat)

n_conditions <- function(data) if (is_source(data)) length(data$conditions) else ncol(data$Bhat)

condition_labels <- function(x) {
  if (is.null(colnames(x))) as.character(seq_len(ncol(x))) else colnames(x)
}
