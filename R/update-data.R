# Data objects with another error correlation, or turned into contrasts.

#' Change the error correlation, or take contrasts
#'
#' Gives a data object another correlation `V` of its errors, turns its conditions into
#' differences from a reference, or both, in any order.
#'
#' @param mashdata A data object made by [mash_set_data()].
#' @param ref The reference of the contrasts: the number or name of a condition, or `"mean"`, see
#'   [contrast_matrix()]; `NULL` for none.
#' @param V The R x R correlation matrix of the errors of the original conditions, or an R x R x J array
#'   of them; `NULL` to keep the present one.
#' @return A data object. With contrasts, its conditions are the rows of `L`,
#'   [contrast_matrix()]; it has `Bhat` of the contrasts, their standard errors `Shat`, the
#'   correlation `V` of their errors, `alpha` 0, and further the elements `L`, and `Shat_orig` and
#'   `V_orig`, of the conditions that they were made of. Where standard errors are not proportional
#'   between effects, so that each has an error correlation of its own, `V` is `NULL`, and computed when
#'   it is needed.
#' @details The errors of \eqn{L \hat b}{L bhat} have the covariance \eqn{L S_j V S_j L'}. It is
#'   taken of the
#'   data as they are: of z-scores if `alpha` is 1.
#'
#'   A contrast is missing where one of its two conditions is; with `ref = "mean"` all are where
#'   one condition is missing, and with a missing reference too. A warning of class
#'   `covmash_warning_missing` counts the effects of which observed estimates are lost so.
#' @section Errors: `covmash_error_contrast` for a bad `ref`, or contrasts of contrasts;
#'   `covmash_error_V` for a bad `V`.
#' @section Differences from mashr: `V` may be changed after contrasts were taken, and two
#'   conditions have a contrast. `V` of the result is the correlation of the errors of the
#'   contrasts (mashr keeps the old one, and this as `LSVSLt`).
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @export
#' @examples
#' set.seed(1)
#' sim <- sim_contrast2(nsamp = 50)
#' data <- mash_set_data(sim$Chat, sim$Shat)
#' contrasts <- mash_update_data(data, ref = "condition_5")
#' contrasts
#' fit <- mash(contrasts, cov_canonical(contrasts), verbose = FALSE, n_threads = 1)
#' head(get_lfsr(fit), 2)
mash_update_data <- function(mashdata, ref = NULL, V = NULL) {
  data <- take_data(mashdata, "mashdata")
  if (!is.null(V)) {
    data <- set_noise_correlation(data, V)
  }
  if (!is.null(ref)) {
    data <- take_contrasts(data, ref)
  }
  data
}

set_noise_correlation <- function(data, V) {
  conditions <- if (is.null(data$L)) colnames(data$Bhat) else colnames(data$L)
  R <- if (is.null(data$L)) ncol(data$Bhat) else ncol(data$L)
  V <- check_noise_correlation(V, R, conditions, nrow(data$Bhat))
  if (is.null(data$L)) {
    data$V <- V
    data$commonV <- is.matrix(V)
    return(data)
  }
  data$V_orig <- V
  with_contrast_noise(data, is.na(data$Bhat))
}

take_contrasts <- function(data, ref) {
  if (!is.null(data$L)) {
    abort_input(
      "`mashdata` are contrasts already; take those of the data that they were made of.",
      class = "covmash_error_contrast"
    )
  }
  R <- ncol(data$Bhat)
  if (R < 2L) {
    abort_input("`mashdata` has one condition; contrasts need at least two.", class = "covmash_error_contrast")
  }
  labels <- if (is.null(colnames(data$Bhat))) seq_len(R) else colnames(data$Bhat)
  L <- contrast_matrix(R, ref, labels)
  made <- contrasts_under(data, L)
  warn_lost_contrasts(rowSums(!is.na(data$Bhat)) - 1 > rowSums(!is.na(made$Bhat)))
  made
}

# The data as the contrasts that are the rows of L.
contrasts_under <- function(data, L) {
  B <- tcrossprod(data$Bhat, L)
  dimnames(B) <- if (!is.null(dimnames(data$Bhat))) list(rownames(data$Bhat), rownames(L))
  made <- list(
    Bhat = NULL, Shat = NULL, Shat_alpha = NULL, V = NULL, commonV = FALSE, alpha = 0, L = L,
    Shat_orig = data$Shat, V_orig = data$V
  )
  # What one does not see of an estimate times 0 is not missing.
  seen <- !is.na(data$Bhat)
  lost <- tcrossprod(!seen, L != 0) > 0
  B[!lost] <- tcrossprod(replace(data$Bhat, !seen, 0), L)[!lost]
  B[lost] <- NA_real_
  made["Bhat"] <- list(B)
  made <- structure(made, class = class(data))
  data <- with_contrast_noise(made, lost)
  warn_all_missing(data$Bhat)
  data
}

warn_lost_contrasts <- function(lost) {
  if (any(lost)) {
    warn_covmash(
      "{plural(sum(lost), 'effect')} had observed estimates of which no contrast could be made, because the ",
      "reference (or, for the mean, any condition) is missing; another `ref` may lose fewer.",
      class = "covmash_warning_missing"
    )
  }
}

# Standard errors and error correlations of the contrasts, from Shat_orig, V_orig and L. The correlations are one matrix
# where standard errors are proportional; otherwise the core makes them.
with_contrast_noise <- function(data, missing) {
  S <- data$Shat_orig
  L <- unname(data$L)
  scale <- if (is.matrix(data$V_orig)) proportional_rows(S)
  data["V"] <- list(NULL)
  data$commonV <- !is.null(scale)
  if (is.null(scale)) {
    data$Shat <- contrast_errors(S, L, data$V_orig)
  } else {
    noise <- L %*% (scale$direction * unname(data$V_orig) * rep(scale$direction, each = ncol(S))) %*% t(L)
    sd <- sqrt(diag(noise))
    data$Shat <- outer(scale$factor, sd)
    V <- symmetrise(noise) / sd / rep(sd, each = length(sd))
    diag(V) <- 1
    dimnames(V) <- dimnames_of_conditions(data)
    data["V"] <- list(V)
  }
  data$Shat[missing] <- NA_real_
  dimnames(data$Shat) <- dimnames(data$Bhat)
  data$Shat_alpha <- array(1, dim(data$Bhat), dimnames(data$Bhat))
  data
}

# sqrt(diag(L S_j V_j S_j L')) for every row of S.
contrast_errors <- function(S, L, V) {
  S[is.na(S)] <- 0
  variance <- matrix(0, nrow(S), nrow(L))
  for (q in seq_len(nrow(L))) {
    part <- S * rep(L[q, ], each = nrow(S))
    used <- which(L[q, ] != 0)
    for (r in used) {
      for (s in used) {
        V_rs <- if (is.matrix(V)) V[r, s] else V[r, s, ]
        variance[, q] <- variance[, q] + part[, r] * part[, s] * V_rs
      }
    }
  }
  sqrt(variance)
}

# Shat as factor[j] * direction[r] where it is known; NULL if it is not like that.
proportional_rows <- function(S) {
  whole <- which(rowSums(is.na(S)) == 0)
  if (length(whole) == 0L) {
    return(NULL)
  }
  direction <- unname(S[whole[1], ])
  ratio <- S / rep(direction, each = nrow(S))
  factor <- rowMeans(ratio, na.rm = TRUE)
  factor[is.nan(factor)] <- 1
  off <- max(abs(ratio / factor - 1), na.rm = TRUE)
  if (off < 1e-12) list(factor = unname(factor), direction = direction)
}
