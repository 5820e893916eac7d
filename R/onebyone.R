#' Analyse each condition on its own
#'
#' Adaptive shrinkage (ash) of one condition after the other, with a mixture of
#' zero-mean normals as prior, or the plain posterior under a flat prior. Used
#' to find strong rows before covariance matrices are learned, and as the
#' analysis that [mash()] improves on.
#'
#' @param data A data object made by [mash_set_data()], or any list with
#'   matrices `Bhat` and `Shat`.
#' @param alpha The prior is on `Bhat / Shat^alpha` of the data given: 0 (default)
#'   or, for z-scores, 1.
#' @param ... Arguments of ash that keep their meaning here: `gridmult` (`sqrt(2)`),
#'   `mixsd` (standard deviations of the prior's components, chosen from the
#'   data if not given), `nullweight` (10), `pointmass` (`TRUE`), `pi_thresh`
#'   (1e-10). Anything else is ignored with a warning of class
#'   `covmash_warning_ignored`.
#' @param prior `"ash"` (default, the same as `"nullbiased"`), `"nullbiased"`
#'   (`nullweight` pseudo-observations favour zero), `"uniform"`, a numeric vector
#'   with one value of at least 1 for each component (needs `mixsd`), or `"flat"`: no
#'   shrinkage at all.
#' @param n_threads Number of threads, see [covmash_threads].
#'
#' @return A list of class `"mash_1by1"` with
#'   * `result`: J x R matrices `PosteriorMean`, `PosteriorSD`, `lfsr`, `lfdr` and
#'     `NegativeProb`, with the dimnames of `Bhat`;
#'   * `loglik`: the log-likelihood of `Bhat`, summed over conditions;
#'   * `prior`: the prior used; `missing`: the positions of missing estimates, or
#'     `NULL`; `convergence`: a data frame with one row for each condition
#'     (`NULL` under the flat prior).
#'
#'   Means and standard deviations are on the scale of the `Bhat` given to
#'   [mash_set_data()]. The accessors [get_pm()], [get_lfsr()], ... and
#'   [get_significant_results()] work on it.
#'
#' @details In condition \eqn{r}, \eqn{\hat b_j \sim N(b_j, s_j^2)} and
#'   \eqn{b_j \sim \pi_0 \delta_0 + \sum_l \pi_l N(0, \omega_l^2)}; the weights
#'   maximise \eqn{\log L(\pi) + (nullweight - 1) \log \pi_0} (Stephens 2017).
#'   Under `"flat"` the posterior is \eqn{N(\hat b_j, s_j^2)}, so that
#'   `lfsr = pnorm(-|z|)`, `NegativeProb = pnorm(-z)` and `lfdr = 0`.
#'
#'   A missing estimate gets the prior of its condition. On data with `alpha`
#'   other than 0 its mean and standard deviation are `NA` unless its standard
#'   error is known. Under `"flat"` it gets mean `NA`, standard deviation `Inf`
#'   and sign probabilities 0.5. A condition in which nothing is observed gets
#'   `NA` throughout, with a warning of class `covmash_warning_all_missing`.
#'
#' @section Differences from mashr:
#'   * Results are on the scale of the original effects also when the data
#'     object has its own `alpha`; mashr returns them on the scale of `data$Bhat`.
#'   * `lfdr` and `NegativeProb` are returned too, and `prior = "flat"` is new.
#'   * With `pointmass = FALSE`, `"nullbiased"` penalises nothing.
#'   * Missing estimates are missing; mashr's data object holds 0 with standard
#'     error 1e6.
#'
#' @references Stephens M (2017). False discovery rates: a new deal.
#'   *Biostatistics* 18(2), 275-294. \doi{10.1093/biostatistics/kxw041}
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' m <- mash_1by1(data, n_threads = 1)
#' m
#' length(get_significant_results(m))
#' # without shrinkage many more rows look strong
#' length(get_significant_results(mash_1by1(data, prior = "flat")))
mash_1by1 <- function(data, alpha = 0, ..., prior = "ash", n_threads = NULL) {
  check_number(alpha, "alpha", what = "one finite number")
  data <- onebyone_data(data)
  scaled <- rescale_by_alpha(data, alpha)
  settings <- onebyone_settings(list(...), prior)
  n_threads <- resolve_threads(n_threads)
  if (identical(settings$prior, "flat")) {
    fits <- lapply(seq_len(ncol(data$Bhat)), function(r) {
      flat_posterior(scaled$Bhat[, r], scaled$Shat[, r])
    })
  } else {
    # Without names: each column would get its own copy of them.
    Bhat <- unname(scaled$Bhat)
    Shat <- unname(scaled$Shat)
    fits <- lapply(seq_len(ncol(Bhat)), function(r) {
      ash_one_condition(
        Bhat[, r, drop = FALSE], Shat[, r, drop = FALSE],
        settings, n_threads, condition_labels(data$Bhat)[r], rownames(data$Bhat)
      )
    })
  }
  new_mash_1by1(fits, data, scaled$scale, settings$prior)
}

# Data objects carry checked matrices; other lists are checked as mash_set_data()
# would, because ash itself takes any list with these two elements.
onebyone_data <- function(data) {
  if (inherits(data, "mash_data")) {
    return(data)
  }
  if (!is.list(data) || is.null(data$Bhat) || is.null(data$Shat)) {
    abort_input(
      paste0(
        "`data` must be made by mash_set_data() or be a list with `Bhat` and ",
        "`Shat`, not ", describe(data), "."
      ),
      class = "covmash_error_data"
    )
  }
  mash_set_data(data$Bhat, data$Shat)
}

# alpha of the function on top of alpha of the data; `scale` leads back to the
# scale of the original effects.
rescale_by_alpha <- function(data, alpha) {
  if (alpha == 0) {
    return(list(Bhat = data$Bhat, Shat = data$Shat, scale = data$Shat_alpha))
  }
  divisor <- data$Shat^alpha
  list(
    Bhat = data$Bhat / divisor,
    Shat = data$Shat^(1 - alpha),
    scale = data$Shat_alpha * divisor
  )
}

onebyone_settings <- function(dots, prior) {
  if (identical(dots$mixcompdist, "normal")) {
    dots$mixcompdist <- NULL
  }
  dots <- take_dots(
    dots, c("gridmult", "mixsd", "nullweight", "pointmass", "pi_thresh"),
    "mash_1by1()"
  )
  settings <- list(
    gridmult = sqrt(2), mixsd = NULL, nullweight = 10, pointmass = TRUE,
    pi_thresh = 1e-10
  )
  settings[names(dots)] <- dots
  check_gridmult(settings$gridmult)
  check_flag(settings$pointmass, "pointmass")
  check_number(
    settings$nullweight, "nullweight", 1, what = "a number of at least 1"
  )
  check_number(
    settings$pi_thresh, "pi_thresh", 0, 1, what = "a number from 0 to 1"
  )
  if (!is.null(settings$mixsd)) {
    settings$mixsd <- check_grid(settings$mixsd, "mixsd")
    # A component of standard deviation 0 is the point mass.
    settings$pointmass <- settings$pointmass || any(settings$mixsd == 0)
    settings$mixsd <- settings$mixsd[settings$mixsd > 0]
  }
  if (is.character(prior)) {
    prior <- check_choice(prior, c("ash", "flat", "nullbiased", "uniform"), "prior")
  } else if (!is.numeric(prior)) {
    abort_input(
      paste0(
        "`prior` must be 'ash', 'flat', 'nullbiased', 'uniform' or a numeric ",
        "vector, not ", describe(prior), "."
      ),
      class = "covmash_error_prior"
    )
  }
  settings$prior <- prior
  settings
}

# Posterior under a flat prior: the data themselves.
flat_posterior <- function(bhat, shat) {
  missing <- is.na(bhat)
  z <- bhat / shat
  z[missing] <- 0
  sd <- shat
  sd[missing] <- Inf
  list(
    PosteriorMean = bhat, PosteriorSD = sd, lfsr = pnorm(-abs(z)),
    lfdr = numeric(length(z)), NegativeProb = pnorm(-z), loglik = 0
  )
}

# ash with normal components: the one-condition case of the core, with U = 1.
ash_one_condition <- function(Bhat, Shat, settings, n_threads, label,
                              row_labels) {
  if (all(is.na(Bhat))) {
    warn_covmash(
      paste0(
        "Condition '", label, "' has no observed estimate; its results are NA."
      ),
      class = "covmash_warning_all_missing"
    )
    none <- rep(NA_real_, nrow(Bhat))
    return(list(
      PosteriorMean = none, PosteriorSD = none, lfsr = none, lfdr = none,
      NegativeProb = none, loglik = 0, convergence = list(
        condition = label, iterations = 0L, converged = NA, kkt_violation = NA_real_
      )
    ))
  }
  data <- list(Bhat = Bhat, Shat = Shat, V = matrix(1))
  grid <- settings$mixsd
  if (is.null(grid)) {
    grid <- autoselect_grid(data, settings$gridmult)
    grid <- grid[grid > 0]
  }
  model <- list(
    Ulist = list(U = matrix(1)), grid = grid, usepointmass = settings$pointmass
  )
  # Only the null component: no weights to estimate.
  if (length(grid) == 0L) {
    model$grid <- 0
    model$usepointmass <- FALSE
  }
  prior <- if (identical(settings$prior, "ash")) "nullbiased" else settings$prior
  prior <- set_prior(
    n_components(model), prior, settings$nullweight, model$usepointmass
  )
  fit <- fit_weights(
    data, model, prior, "newton", list(), n_threads, row_labels
  )
  warn_not_converged(fit, paste0("The prior of condition '", label, "'"))
  posterior <- run_core(
    cpp_posterior(
      Bhat, Shat, data$V, model$Ulist, model$grid, model$usepointmass, fit$pi,
      settings$pi_thresh, 2L, TRUE, FALSE, n_threads, resolve_block_rows()
    ),
    row_labels, component_names(model)
  )
  parts <- c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr", "NegativeProb")
  c(
    posterior[parts],
    list(
      loglik = sum(posterior$vloglik),
      convergence = list(
        condition = label, iterations = fit$iterations,
        converged = fit$converged, kkt_violation = fit$kkt_violation
      )
    )
  )
}

# Bind the conditions and go back to the scale of the effects.
new_mash_1by1 <- function(fits, data, scale, prior) {
  bind <- function(part) {
    values <- unlist(lapply(fits, `[[`, part), use.names = FALSE)
    dim(values) <- dim(data$Bhat)
    dimnames(values) <- dimnames(data$Bhat)
    values
  }
  parts <- c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr", "NegativeProb")
  result <- stats::setNames(lapply(parts, bind), parts)
  missing <- which(is.na(data$Bhat))
  flat <- identical(prior, "flat")
  scaled <- !all(scale == 1, na.rm = TRUE) || anyNA(scale)
  if (scaled) {
    result$PosteriorMean <- result$PosteriorMean * unname(scale)
    result$PosteriorSD <- result$PosteriorSD * unname(scale)
    if (flat) {
      result$PosteriorSD[missing] <- Inf
    }
  }
  loglik <- sum(vapply(fits, `[[`, numeric(1), "loglik"))
  if (flat) {
    # Improper prior: the log-likelihood of an estimate is not defined.
    loglik <- NA_real_
  } else if (scaled) {
    observed <- !is.na(data$Bhat)
    loglik <- loglik - sum(log(scale[observed]))
  }
  structure(
    list(
      result = result,
      loglik = loglik,
      prior = prior,
      missing = if (length(missing) > 0L) missing,
      convergence = if (!flat) {
        do.call(rbind, lapply(fits, function(fit) {
          as.data.frame(fit$convergence, stringsAsFactors = FALSE)
        }))
      }
    ),
    class = "mash_1by1"
  )
}
