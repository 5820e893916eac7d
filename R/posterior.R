# Posterior summaries and log-likelihoods for a given prior, on the scale of the
# original Bhat.

# Everything cpp_posterior() computes, with names and on the original scale.
# `level` as outputlevel; responsibilities only if there are not too many. answers: what the result holds. alternatives:
# also the log-likelihoods under the null and under the other components.
posterior_of <- function(data, model, pi, pi_thresh, level, n_threads,
                         keep_weights = NULL, lfdr = TRUE,
                         effects = rownames(data$Bhat), joint = NULL, alternatives = FALSE,
                         answers = if (level >= 2) posterior_parts) {
  if (is.null(keep_weights)) {
    size <- as.numeric(nrow(data$Bhat)) * sum(pi > pi_thresh)
    keep_weights <- size <= max_kept_weights
  }
  if (!any(pi > pi_thresh)) {
    abort_input(
      "No mixture weight is above `pi_thresh` = {format(pi_thresh)}; lower it.",
      class = "covmash_error_argument"
    )
  }
  model$pi <- pi
  settings <- list(
    pi_thresh = pi_thresh, summaries = level >= 2 && is.null(joint$A), lfdr = lfdr,
    alternatives = alternatives, posterior_weights = keep_weights, n_threads = n_threads,
    block_rows = resolve_block_rows(), joint = joint
  )
  raw <- run_core(
    cpp_posterior(data, model, settings), effects, component_names(model),
    names(model$Ulist)
  )
  if (!lfdr) {
    raw$lfdr <- NULL
  }
  if (data$alpha != 0) {
    raw <- on_scale_of_estimates(raw, data, summaries = is.null(joint$A))
  }
  list(
    result = if (is.null(answers)) list() else raw[intersect(answers, names(raw))],
    loglik = sum(raw$vloglik),
    vloglik = raw$vloglik,
    null_loglik = raw$null_loglik,
    alt_loglik = raw$alt_loglik,
    posterior_weights = name_weights(raw, model),
    noise = raw$noise
  )
}

posterior_parts <- c(
  "PosteriorMean", "PosteriorSD", "lfdr", "NegativeProb", "lfsr", "PosteriorCov", "PosteriorSamples",
  "lower", "upper"
)

# From Bhat / Shat^alpha to Bhat; densities change by the Jacobian, of which the observed
# conditions count. The core has put the names on: to set them here would copy the
# matrices. What comes of the joint posterior is on that scale.
on_scale_of_estimates <- function(raw, data, summaries = TRUE) {
  scale <- unname(data$Shat_alpha)
  for (part in intersect(if (summaries) c("PosteriorMean", "PosteriorSD"), names(raw))) {
    raw[[part]] <- raw[[part]] * scale
  }
  logs <- log(scale)
  logs[is.na(data$Bhat)] <- 0
  for (part in intersect(c("vloglik", "null_loglik", "alt_loglik"), names(raw))) {
    raw[[part]] <- raw[[part]] - rowSums(logs)
  }
  # mashr names this vector only when alpha is not 0; scripts rely on neither, but the
  # two packages give the same object.
  if (!is.null(raw$null_loglik)) {
    names(raw$null_loglik) <- rownames(data$Bhat)
  }
  raw
}

name_weights <- function(raw, model) {
  weights <- raw$posterior_weights
  if (is.null(weights)) {
    return(NULL)
  }
  kept <- as.integer(raw$kept)
  dimnames(weights) <- list(NULL, component_names(model)[kept])
  attr(weights, "component") <- kept
  weights
}

#' Posterior of new data under a given prior
#'
#' Posterior means, standard deviations and sign probabilities of data under a
#' prior that was fitted before, usually to other rows. Rows are worked through
#' in blocks, so that only the results take memory.
#'
#' @param g A fit of [mash()], or its `fitted_g`.
#' @param data A data object made by [mash_set_data()] with the `alpha` of the fit.
#'   Its conditions are matched to those of the fit by name: another order does not
#'   matter, a condition that the data lack is missing in every row (a message of
#'   class `covmash_message_conditions` says so), one that the fit does not know is
#'   an error.
#' @param pi_thresh Components with a weight of at most this are left out.
#' @param algorithm.version Ignored; kept for scripts written for mashr.
#' @param A A matrix with linear combinations of the conditions in rows and one column
#'   for each condition; a vector is one combination. The results are then those of
#'   `A b`, named by the rows of `A`.
#' @param output_posterior_cov Also return the posterior covariances?
#' @param posterior_samples Number of draws from the posterior of each effect.
#' @param seed Seed of the draws; `NULL` for one drawn from R's generator, see [mash()].
#' @param n_threads Number of threads, see [covmash_threads].
#' @return A list of J x R matrices `PosteriorMean`, `PosteriorSD`, `lfdr`,
#'   `NegativeProb` and `lfsr`, on the scale of `Bhat`, with its row names and the
#'   conditions of the fit, in its order. Missing estimates are predicted. If asked for,
#'   `PosteriorCov` (R x R x J) and `PosteriorSamples` (J x R x M).
#' @details With responsibilities
#'   \eqn{w_{jp} \propto \pi_p N(\hat b_j; 0, V_j + \Sigma_p)}{w_jp proportional to pi_p N(bhat_j;
#'   0, V_j + Sigma_p)}, the posterior is
#'   \eqn{\sum_p w_{jp} N(\mu_{jp}, \Lambda_{jp})} with
#'   \eqn{\mu_{jp} = \Sigma_p (V_j + \Sigma_p)^{-1} \hat b_j}{mu_jp = Sigma_p (V_j + Sigma_p)^-1
#'   bhat_j} and
#'   \eqn{\Lambda_{jp} = \Sigma_p - \Sigma_p (V_j + \Sigma_p)^{-1} \Sigma_p}
#'   (Urbut et al. 2019). lfdr is the weight of the components in which the
#'   effect is exactly zero; a combination is exactly zero where `A` and the matrix cancel
#'   (a difference of conditions under equal effects).
#'
#'   The result of a row does not depend on the other rows, so data can be worked
#'   through in parts: complete rows with one standard error in all conditions
#'   (such as z-scores) get the same bits in any part. How the other rows are
#'   decomposed depends on how many of them share their noise up to a factor, and so
#'   they agree to about 1e-12 between parts.
#' @section Errors: `covmash_error_alpha` if the fit and the data have different
#'   `alpha`; a `fitted_g` does not record it, which a message says.
#'   `covmash_error_names` if the data have conditions that the fit does not know, or
#'   no names where the fit has; `covmash_error_data`, `covmash_error_g` if an object
#'   was damaged on the way here.
#' @section Differences from mashr: One row works. Missing estimates are left out
#'   of the likelihood. `seed = NULL`.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019).
#'   *Nature Genetics* 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' train <- data[seq(1, 200, by = 2), ]
#' fit <- mash(train, cov_canonical(train), verbose = FALSE, n_threads = 1)
#' rest <- data[seq(2, 200, by = 2), ]
#' posterior <- mash_compute_posterior_matrices(fit, rest, n_threads = 1)
#' head(posterior$PosteriorMean, 3)
mash_compute_posterior_matrices <- function(g, data, pi_thresh = 1e-10,
                                            algorithm.version = c("Rcpp", "R"),
                                            A = NULL,
                                            output_posterior_cov = FALSE,
                                            posterior_samples = 0, seed = NULL,
                                            n_threads = NULL) {
  check_flag(output_posterior_cov, "output_posterior_cov")
  check_choice(algorithm.version, c("Rcpp", "R"), "algorithm.version")
  check_number(pi_thresh, "pi_thresh", 0, 1, what = "a number from 0 to 1")
  problem <- problem_of(g, data)
  joint <- joint_request(problem$data, A, output_posterior_cov, posterior_samples, seed)
  posterior_of(
    problem$data, problem$model, problem$model$pi, pi_thresh, 2, resolve_threads(n_threads),
    keep_weights = FALSE, joint = joint
  )$result
}

#' Log-likelihood of data under a given prior
#'
#' @inheritParams mash_compute_posterior_matrices
#' @return `mash_compute_vloglik`: a J x 1 matrix, the log-likelihood of each row
#'   of the original `Bhat`. `mash_compute_loglik`: their sum.
#' @details \eqn{\log \sum_p \pi_p N(\hat b_j; 0, V_j + \Sigma_p)}{log sum_p pi_p N(bhat_j; 0, V_j
#'   + Sigma_p)} over the observed
#'   conditions, less \eqn{\alpha \sum_r \log Shat_{jr}}{alpha sum_r log Shat_jr}; all components
#'   count,
#'   however small their weight. A row with nothing observed gives 0.
#' @section Errors: As [mash_compute_posterior_matrices()].
#' @section Differences from mashr: Missing estimates are left out, so that
#'   log-likelihoods of data with different missing entries can be compared.
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' mash_compute_loglik(fit, data, n_threads = 1)
#' head(mash_compute_vloglik(fit, data, n_threads = 1), 3)
mash_compute_vloglik <- function(g, data, algorithm.version = c("Rcpp", "R"),
                                 n_threads = NULL) {
  check_choice(algorithm.version, c("Rcpp", "R"), "algorithm.version")
  problem <- problem_of(g, data)
  posterior_of(
    problem$data, problem$model, problem$model$pi, 0, 1, resolve_threads(n_threads),
    keep_weights = FALSE
  )$vloglik
}

#' @rdname mash_compute_vloglik
#' @export
mash_compute_loglik <- function(g, data, algorithm.version = c("Rcpp", "R"),
                                n_threads = NULL) {
  sum(mash_compute_vloglik(g, data, algorithm.version, n_threads))
}

#' Posterior weights of the mixture components
#'
#' The probability of each mixture component for each effect. A fit keeps them
#' as `posterior_weights` unless there are more than 1e7; this function
#' computes them in any case, for the data of the fit or for others.
#'
#' @param fit A fit of [mash()] or of [deconvolve()].
#' @param data A data object made by [mash_set_data()]. If `NULL`, the weights
#'   kept in the fit are returned (one of [deconvolve()] keeps none).
#' @param pi_thresh Components with a weight of at most this are left out.
#' @param n_threads Number of threads, see [covmash_threads].
#' @param by `"component"` (default), or summed by `"matrix"` (which pattern of sharing an
#'   effect has) or by `"scale"` (how large it is).
#' @return A J x P' matrix of probabilities, each row summing to 1, with the names
#'   of the P' components as column names and the attribute `component`, their
#'   positions in `fit$fitted_g$pi`. With `by = "matrix"` a column for each covariance matrix, as of
#'   [get_estimated_pi()], with `by = "scale"` one for each grid point; `null` first if the
#'   model has a point mass.
#' @section Errors: `covmash_error_fit` if `data` is `NULL` and the fit keeps no
#'   weights.
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' weights <- get_posterior_weights(fit, data, n_threads = 1)
#' dim(weights)
get_posterior_weights <- function(fit, data = NULL, pi_thresh = 1e-10,
                                  n_threads = NULL, by = c("component", "matrix", "scale")) {
  check_prior_fit(fit, "fit")
  by <- check_choice(by, c("component", "matrix", "scale"), "by")
  weights <- weights_by_component(fit, data, pi_thresh, n_threads)
  if (by == "component") {
    return(weights)
  }
  g <- fit$fitted_g
  first <- as.integer(g$usepointmass)
  K <- length(g$Ulist)
  position <- attr(weights, "component")
  at <- position - first - 1L
  group <- ifelse(position <= first, 1L, first + 1L + if (by == "matrix") at %% K else at %/% K)
  labels <- if (by == "matrix") covariance_labels(g) else c(if (first) "null", seq_along(g$grid))
  out <- matrix(0, nrow(weights), length(labels), dimnames = list(rownames(weights), labels))
  for (i in seq_along(group)) out[, group[i]] <- out[, group[i]] + weights[, i]
  out
}

weights_by_component <- function(fit, data, pi_thresh, n_threads) {
  if (is.null(data)) {
    if (is.null(fit$posterior_weights)) {
      is_kept_fit <- inherits(fit, "mash_fit") && is.null(fit[["source"]])
      abort_input(
        "The fit keeps no posterior weights{if (is_kept_fit) ' (there were too many)'}; give `data`.",
        class = "covmash_error_fit"
      )
    }
    return(fit$posterior_weights)
  }
  check_number(pi_thresh, "pi_thresh", 0, 1, what = "a number from 0 to 1")
  problem <- problem_of(fit, data)
  posterior_of(
    problem$data, problem$model, problem$model$pi, pi_thresh, 1, resolve_threads(n_threads),
    keep_weights = TRUE
  )$posterior_weights
}
