#' Placeholders of missing estimates
#'
#' Many pipelines write an estimate that is missing as 0 with a standard error so large that it should not matter:
#' 10, 1000, 1e6 or the largest of the condition. It does matter: such entries count as observed effects of zero, above
#' all on the scale of z-scores. `placeholder_to_na()` finds them and makes them `NA`, which the model leaves out exactly.
#'
#' @param data A data object made by [mash_set_data()] or by mashr, or a list with matrices `Bhat` and `Shat`.
#' @return `data` with `NA` in place of every placeholder, in `Bhat` and `Shat` (and in `Shat_alpha` unless `alpha`
#'   is 0); a data object of mashr becomes one of covmash. A message of class `covmash_message_placeholder` says how many
#'   there were.
#' @details An entry is taken for a placeholder if its estimate is exactly 0 and, with \eqn{m} the median and \eqn{M}
#'   the largest standard error of the other (nonzero) estimates of the same condition,
#'   * its standard error is at least \eqn{5 M} or at least \eqn{20 m}; or
#'   * its standard error is at least \eqn{m} and shared, to the last bit, by three or more estimates of exactly 0, and by
#'     at most a tenth as many nonzero ones (by at most one, if that is more).
#'
#'   Where `alpha` is not 0, `Bhat` and `Shat` are looked at on the original scale, so that 0 with `Shat_alpha` 1e6 is seen.
#'   [mash_set_data()] warns of such entries with class `covmash_warning_placeholder` and leaves them as they are.
#' @section Errors: `covmash_error_data` if `data` is neither a data object nor a list with `Bhat` and `Shat`.
#' @seealso [mash_set_data()]
#' @concept missing data
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 1)
#' sim$Bhat[c(1, 5, 9), 2] <- 0
#' sim$Shat[c(1, 5, 9), 2] <- 1e6
#' data <- suppressWarnings(mash_set_data(sim$Bhat, sim$Shat))
#' placeholder_to_na(data)
placeholder_to_na <- function(data) {
  if (is.list(data) && !inherits(data, "mash") && all(c("Bhat", "Shat") %in% names(data))) {
    return(placeholders_of_list(data))
  }
  # Its message about what mashr writes is what is being done.
  data <- withCallingHandlers(
    take_data(data),
    covmash_message_placeholder = function(cnd) invokeRestart("muffleMessage")
  )
  at <- placeholder_entries(data)
  tell_placeholders(length(at))
  if (length(at) > 0L) {
    data$Bhat[at] <- NA_real_
    data$Shat[at] <- NA_real_
    if (data$alpha != 0) {
      data$Shat_alpha[at] <- NA_real_
    }
    warn_all_missing(data$Bhat)
  }
  data
}

placeholders_of_list <- function(data) {
  Bhat <- data_matrix(data$Bhat, "`data$Bhat`")
  Shat <- conform_shat(data$Shat, Bhat)
  at <- find_placeholders(Bhat, Shat)
  tell_placeholders(length(at))
  Bhat[at] <- NA_real_
  Shat[at] <- NA_real_
  data$Bhat <- Bhat
  data$Shat <- Shat
  data
}

tell_placeholders <- function(count) {
  inform_covmash(
    if (count == 0L) {
      "No placeholder found."
    } else {
      "{plural(count, 'placeholder', 'placeholders')} of missing estimates made NA."
    },
    class = "covmash_message_placeholder"
  )
}

# Positions of the placeholders in a data object, which are judged on the original scale.
placeholder_entries <- function(data) {
  if (data$alpha == 0) {
    return(find_placeholders(data$Bhat, data$Shat))
  }
  find_placeholders(data$Bhat, data$Shat * data$Shat_alpha)
}

find_placeholders <- function(Bhat, Shat) {
  run_core(cpp_placeholders(list(Bhat = Bhat, Shat = Shat, V = NULL)))
}

# What mashr writes, in a data object of any alpha.
mashr_placeholders <- function(data) {
  zero <- which(data$Bhat == 0)
  written <- (data$Shat * data$Shat_alpha)[zero]
  zero[!is.na(written) & abs(written - 1e6) <= 1e-6]
}

# Said once, when the data object is made.
warn_placeholders <- function(data) {
  at <- placeholder_entries(data)
  if (length(at) == 0L) {
    return(invisible(NULL))
  }
  it_counts <- if (length(at) == 1L) "it is, it counts as an observed zero" else "they are, they count as observed zeros"
  it_is <- if (length(at) == 1L) "it is" else "they are"
  warn_covmash(
    "{plural(length(at), 'entry looks like a placeholder', 'entries look like placeholders')} for a missing estimate ",
    "(`Bhat` exactly 0 with a standard error unlike the others of its condition; first: ",
    "{label_entry(data$Bhat, at[1])}, `Shat` {format(data$Shat[at[1]] * data$Shat_alpha[at[1]])}); as {it_counts}. If {it_is} missing, use ",
    "placeholder_to_na(data).",
    class = "covmash_warning_placeholder"
  )
}
