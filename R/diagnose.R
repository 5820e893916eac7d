# What a look over a fit and its data finds: as check-data.R, with what needs the fit. What is said of errors and grids
# is confirmed by fitting the weights again, to some of the effects, with what is suspected to be right.

#' What is wrong with an analysis
#'
#' Looks for what makes a fit wrong without an error: errors larger than their standard errors, correlated errors that
#' `V` does not know, a grid that is too narrow, a prior learned from chosen effects, and what
#' [check_mash_data()] finds in the data. Each finding comes with advice.
#'
#' @param fit A fit of [mash()] or a prior of [fit_mash_prior()].
#' @param data The data of the fit.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return A data frame as of [check_mash_data()], which prints as sentences.
#' @details Besides the findings of [check_mash_data()]:
#'   * `weights`: they have not converged;
#'   * `other data`: a fit of other estimates of the same effects;
#'   * `chosen effects`: under the fit many effects would have small z-scores only, and the data it was made of have
#'     hardly any; or the prior believes in more effects than `data` have, as one learned from strong effects
#'     does. Of chosen effects nothing is said about errors;
#'   * `size of errors`, `correlated errors`: see below, in place of those of [check_mash_data()];
#'   * `grid`: the log-likelihood rises when the grid is completed to that which [mash()] chooses;
#'   * `learned covariances`: they have little weight, and add next to nothing to the log-likelihood;
#'   * `null weight`: above 0.99.
#'
#'   With fewer than 200 effects only the first two, and those of [check_mash_data()] but for `strong effects`.
#'
#'   The size \eqn{s} of the errors of a condition is that at which its z-scores are most likely under the
#'   mixture
#'   \deqn{\pi_0 N(0, s^2) + \sum_k \pi_k N(0, s^2 (1 + t_k^2)), \quad t_k = 2, 3.4, 5.8, \ldots,}{
#'   pi_0 N(0, s^2) + sum_k pi_k N(0, s^2 (1 + t_k^2)), t_k = 2, 3.4, 5.8, ...,}
#'   in which effects are either zero or not small: the standard deviation of the empirical null (Efron 2004). The
#'   correlation of the errors of two conditions is that of
#'   `estimate_null_correlation_simple(data, rule = "pairwise")`. Real effects that are small and shared move both.
#'   Errors more than 1.15 or less than 0.8 times what `Shat` says, and correlations off by more than 0.1, all by four
#'   standard errors, are therefore tried: the weights are fitted again to up to 5,000 effects, with the errors as given
#'   and as suspected (and, where all matrices are canonical, with some of [cov_ted()] in both). It is a problem if the
#'   log-likelihood of these effects is higher by more than 20 and more than three standard errors of
#'   the difference (Vuong 1989). If not, correlations are no finding, and sizes of errors a note where they are off by
#'   more than 1.4, or 1.2 times what is usual in the conditions: small effects that nearly all rows have in a
#'   condition are the same as larger errors.
#' @section Errors: `covmash_error_fit`, `covmash_error_data`, `covmash_error_alpha` and `covmash_error_names` if `fit`
#'   and `data` cannot be used, or not together.
#' @references Efron B (2004). Large-scale simultaneous hypothesis testing: the choice of a null hypothesis. *Journal of
#'   the American Statistical Association* 99, 96-104. \doi{10.1198/016214504000000089}
#'
#'   Vuong QH (1989). Likelihood ratio tests for model selection and non-nested hypotheses. *Econometrica* 57, 307-333.
#'   \doi{10.2307/1912557}
#' @seealso [check_mash_data()] before the fit, [cv_mash()] to choose covariances
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 200, ncond = 4, err_sd = 1)
#' sim$Bhat[, 2] <- sim$B[, 2] + 1.5 * (sim$Bhat[, 2] - sim$B[, 2])
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' diagnose(fit, data, n_threads = 1)
diagnose <- function(fit, data, n_threads = NULL) {
  if (!missing(fit) && inherits(fit, "mash_prior")) check_mash_prior(fit, "fit") else check_fit(fit, "fit")
  problem <- problem_of(fit, take_data(data))
  problem$n_threads <- resolve_threads(n_threads)
  own <- is_own_data(fit, problem)
  data <- problem$data
  problem$data <- without_placeholders(data)
  labels <- colnames(data$Bhat)
  z <- unname(problem$data$Bhat) / unname(problem$data$Shat)
  same <- same_conditions(problem$data, z)
  found <- c(
    finding_placeholders(data), finding_unobserved(data), finding_same(same, labels), finding_convergence(fit),
    finding_other_data(fit, data, own)
  )
  # Of two that are the same, one speaks.
  problem$data$Bhat[, same$second] <- z[, same$second] <- NA
  if (sum(rowSums(!is.na(z)) > 0) < 200L) {
    of_data <- c(finding_errors(z, labels), finding_correlated(z, data$V, labels), finding_extreme(z))
    return(new_findings(c(found, of_data)))
  }
  problem <- look_at_some(problem)
  # Weights that were kept fixed come from other effects.
  chosen <- finding_chosen(problem, isTRUE(own) && !is.na(fit$convergence$converged))
  found <- c(found, chosen$finding)
  if (!chosen$is) {
    found <- c(found, finding_other_errors(problem, z, labels))
  }
  new_findings(c(
    found, finding_extreme(z), if (!chosen$is) finding_strong(z), finding_grid(problem), finding_learned(problem),
    finding_null_weight(problem)
  ))
}

# ---- what was fitted --------------------------------------------------------------

# Whether the fit is one of these data, by the log-likelihoods of some effects: TRUE, FALSE, or NA if the fit is of
# other effects or does not know its own.
is_own_data <- function(fit, problem) {
  data <- problem$data
  vloglik <- fit$vloglik
  if (!identical(fit[["dim"]], dim(data$Bhat)) || !is.numeric(vloglik) || length(vloglik) != nrow(data$Bhat)) {
    return(NA)
  }
  labels <- list(fit$dimnames[[1]], rownames(data$Bhat))
  if (all(lengths(labels) > 0L) && !identical(labels[[1]], labels[[2]])) {
    return(NA)
  }
  rows <- some_rows(nrow(data$Bhat), 200L)
  problem$data <- data[rows, ]
  now <- vloglik_of(problem, problem$model$pi)
  isTRUE(max(abs(now - vloglik[rows]) / (1 + abs(now))) < 1e-6)
}

finding_other_data <- function(fit, data, own) {
  finding(
    "other data", "problem", nrow(data$Bhat), found = isFALSE(own),
    "The log-likelihoods of the fit are not those of these data: estimates, standard errors or `V` are others.",
    advice = "Give the data of the fit, or fit again."
  )
}

finding_convergence <- function(fit) {
  finding(
    "weights", "problem", 1, found = isFALSE(fit$convergence$converged),
    "The weights did not converge in {plural(fit$convergence$iterations, 'iteration')}.",
    advice = "Fit again with a larger `max_iter` in `control`; see mash()."
  )
}

# ---- fitting again -----------------------------------------------------------------

most_looked_at <- 5000L

# Row numbers, the same at every call.
some_rows <- function(n, most) {
  if (n <= most) seq_len(n) else with_own_seed(1, sort(sample.int(n, most)))
}

# The problem cut to the effects that weights are fitted to again, with `base`, their log-likelihoods then.
look_at_some <- function(problem) {
  open <- observed_rows(problem$data, seq_len(n_effects(problem$data)))
  problem$whole <- problem$data
  problem$data <- problem$data[open[some_rows(length(open), most_looked_at)], ]
  problem$base <- refit(problem)
  problem
}

# The weights without a penalty, and the log-likelihoods of the effects under them.
refit <- function(problem, model = problem$model, data = problem$data) {
  problem$data <- data
  problem$model <- model
  pi <- fit_weights(data, model, rep(1, n_components(model)), "newton", list(), problem$n_threads)$pi
  list(pi = pi, vloglik = vloglik_of(problem, pi))
}

vloglik_of <- function(problem, pi) {
  as.vector(posterior_of(
    problem$data, problem$model, pi, 0, 1, problem$n_threads, keep_weights = FALSE
  )$vloglik)
}

# How much higher the second log-likelihoods are, and whether that is more than chance.
gain <- function(before, after) {
  each <- after - before
  total <- sum(each)
  list(sum = total, sure = isTRUE(total > max(20, 3 * stats::sd(each) * sqrt(length(each)))))
}

say_gain <- function(gain, problem) {
  paste0(
    "the log-likelihood of ", plural(n_effects(problem$data), "effect"), " is higher by ",
    format(gain$sum, digits = 3, big.mark = ",")
  )
}

# ---- chosen effects ------------------------------------------------------------------

# The largest z-score of each effect against what the prior makes of it, drawn. Chosen: there is a size below which a
# fiftieth or more should be, and less than a fifth of these are.
finding_chosen <- function(problem, own) {
  data <- problem$data
  observed <- largest_z(data, seq_len(n_effects(data)))
  drawn <- with_own_seed(2, drawn_largest_z(problem))
  n <- length(observed)
  at <- stats::quantile(drawn, c(0.02, 0.05, 0.1, 0.2, 0.4, 0.6), names = FALSE)
  expected <- vapply(at, function(c) sum(drawn < c), 0)
  there <- vapply(at, function(c) sum(observed < c), 0)
  too_few <- there < 0.2 * expected & expected >= 20
  worst <- which.max((expected - there) * too_few)
  excess <- which.max(there - expected)
  gained <- gain(vloglik_of(problem, problem$model$pi), problem$base$vloglik)
  stronger <- gained$sure && gained$sum > 0.02 * n && there[excess] > expected[excess] + 0.1 * n
  list(is = any(too_few), finding = c(
    finding(
      "chosen effects", "problem", round(expected[worst] - there[worst]), found = own && any(too_few),
      "These effects were chosen by their size: of {format_count(n)} the fit expects {format_count(expected[worst])} ",
      "with all z-scores below {format(at[worst], digits = 2)} in size, and there are {format_count(there[worst])}. ",
      "Its weights are those of strong effects.",
      advice = paste(
        "Learn covariances from strong effects, but weights from all, or from a sample with weights:",
        "fit_mash_prior(data, Ulist, select_training_effects(data, n)); otherwise lfsr is too small."
      )
    ),
    finding(
      "chosen effects", "problem", round(there[excess] - expected[excess]), found = stronger,
      "The prior was learned from stronger effects than these: of {format_count(n)} it expects ",
      "{format_count(expected[excess])} with all z-scores below {format(at[excess], digits = 2)} in size, ",
      "and there are {format_count(there[excess])}.",
      advice = "Fit the weights to these effects, mash(data, g = fit), or to a sample: select_training_effects()."
    )
  ))
}

# Of effects drawn from the prior, with the errors and the missing estimates of the data.
drawn_largest_z <- function(problem) {
  data <- problem$data
  J <- n_effects(data)
  R <- n_conditions(data)
  model <- problem$model
  K <- length(model$Ulist)
  B <- matrix(0, J, R)
  component <- sample.int(length(model$pi), J, TRUE, model$pi) - model$usepointmass
  for (k in seq_len(K)) {
    rows <- which(component > 0 & (component - 1) %% K + 1 == k)
    if (length(rows) > 0L) {
      scale <- model$grid[(component[rows] - 1) %/% K + 1]
      B[rows, ] <- scale * matrix(stats::rnorm(length(rows) * R), ncol = R) %*% covariance_root(model$Ulist[[k]])
    }
  }
  z <- B / unname(data$Shat) + drawn_errors(data, J, R)
  z[is.na(data$Bhat)] <- 0
  row_maxima(abs(z))
}

drawn_errors <- function(data, J, R) {
  errors <- matrix(stats::rnorm(J * R), J)
  if (is.matrix(data$V)) {
    return(errors %*% chol(unname(data$V)))
  }
  for (j in if (!is.null(data$V)) seq_len(J)) {
    errors[j, ] <- errors[j, ] %*% covariance_root(data$V[, , j])
  }
  errors
}

# The symmetric one.
covariance_root <- function(U) {
  parts <- symmetric_eigen(unname(as.matrix(U)))
  parts$vectors %*% (sqrt(pmax(parts$values, 0)) * t(parts$vectors))
}

# ---- errors ------------------------------------------------------------------------

finding_other_errors <- function(problem, z, labels) {
  z <- z / noise_sd(problem$whole)
  scales <- suspected_scales(z)
  if (length(scales$at) > 0L) problem <- with_learned(problem)
  size <- finding_scale(problem, scales, labels)
  if (length(size) > 0L && size[[1]]$level == "problem") {
    z <- z / rep(scales$factor, each = nrow(z))
    problem$data <- scaled_errors(problem$data, scales$factor)
    problem$base <- refit(problem)
  }
  correlations <- suspected_correlations(problem$whole, z)
  if (NROW(correlations$at) > 0L) problem <- with_learned(problem)
  c(size, finding_error_correlation(problem, correlations, labels))
}

scaled_errors <- function(data, factor) {
  data$Shat <- data$Shat * rep(factor, each = nrow(data$Shat))
  data
}

# Patterns of effects that no matrix has look like correlated errors. Where no matrix was learned, some are, so that
# errors are suspected only of what these leave.
with_learned <- function(problem) {
  model <- problem$model
  if (!all(vapply(model$Ulist, is_plain_covariance, NA))) {
    return(problem)
  }
  size <- largest_z(problem$data, seq_len(n_effects(problem$data)))
  strong <- utils::head(order(-size), min(1000L, sum(size > 3)))
  learned <- tryCatch(
    with_own_seed(3, silently(cov_ted(problem$data, strong, sparse = 1, tol = 1e-3, n_threads = problem$n_threads))),
    covmash_error = function(cnd) NULL
  )
  if (length(strong) < 10L * n_conditions(problem$data) || is.null(learned)) {
    return(problem)
  }
  model$Ulist <- c(model$Ulist, normalize_Ulist(learned))
  names(model$Ulist) <- paste0("U", seq_along(model$Ulist))
  problem$base <- refit(problem, model)
  problem$model <- model
  problem
}

suspected_scales <- function(z) {
  found <- apply(z, 2, error_scale)
  off <- log(found["scale", ])
  far <- which(off > pmax(0.14, 4 * found["se", ]) | off < -pmax(0.2, 4 * found["se", ]))
  list(at = far, factor = replace(rep(1, ncol(z)), far, found["scale", far]))
}

# That effects are small and nearly all real is as good an explanation, unless the likelihood says otherwise: then it is
# a note, where it is much or more than elsewhere.
finding_scale <- function(problem, scales, labels) {
  at <- scales$at
  if (length(at) == 0L) {
    return(list())
  }
  gained <- gain(problem$base$vloglik, refit(problem, data = scaled_errors(problem$data, scales$factor))$vloglik)
  if (!gained$sure) {
    off <- abs(log(scales$factor))
    at <- which(off > log(1.4) | off > log(1.2) + stats::median(off))
  }
  times <- if (length(at) > 0L) paste(unique(format(range(scales$factor[at]), digits = 3)), collapse = " to ")
  finding(
    "size of errors", if (gained$sure) "problem" else "note", length(at),
    "z-scores near 0 are spread as if errors were about {times} times what `Shat` says in ",
    "{label_conditions(at, labels)}{if (gained$sure) paste0(': with that, ', say_gain(gained, problem))}.",
    advice = paste(
      "Look for confounding, too few degrees of freedom (`df`), estimates that are shrunk already, or another scale,",
      "and multiply `Shat` by it; unless nearly all effects are a little real there."
    )
  )
}

# Standard deviations of the errors of z-scores: 1, unless `V` is no correlation matrix.
noise_sd <- function(data) {
  J <- n_effects(data)
  if (is.null(data$V) || is.matrix(data$V)) {
    return(rep(if (is.null(data$V)) rep(1, n_conditions(data)) else sqrt(diag(data$V)), each = J))
  }
  vapply(seq_len(n_conditions(data)), function(r) sqrt(data$V[r, r, ]), numeric(J))
}

# The scale of the errors of z-scores, with its standard error. A scale whose null has no weight is as likely as one
# with it, so the largest is looked for: first with a penalty on the weight of the null, which makes it larger by up to
# a tenth, then near there without. A thousand quantiles stand for more.
error_scale <- function(z) {
  z <- abs(z[!is.na(z)])
  if (length(z) < 200L) {
    return(c(scale = 1, se = Inf))
  }
  points <- matrix(stats::quantile(z, stats::ppoints(min(length(z), 1000L)), names = FALSE))
  fitted <- function(log_scale, null) {
    scale <- exp(log_scale)
    model <- list(Ulist = list(one = matrix(scale^2)), grid = 2 * 1.7^(0:9), usepointmass = TRUE)
    prior <- replace(rep(1, n_components(model)), 1, null)
    fit_weights(new_mash_data(points, array(scale, dim(points)), diag(1), 0), model, prior, "newton", list(), 1L)
  }
  most_likely <- function(from, to, null) {
    stats::optimize(function(x) fitted(x, null)$objective, c(from, to), maximum = TRUE, tol = 3e-3)$maximum
  }
  size <- log(min(max(half_width(z), 0.05), 10))
  first <- most_likely(size - 1.2, size + 0.4, 20)
  best <- most_likely(first - 0.15, first + 0.02, 1)
  c(scale = exp(best), se = 1 / sqrt(2 * length(z) * max(fitted(best, 1)$pi[1], 1e-3)))
}

# Of pairs of conditions: `given` by `V`, `seen` between z-scores below 2, and where (`at`) these are far apart.
suspected_correlations <- function(data, z) {
  if (ncol(z) < 2L || !is.matrix(data$V) || !is.null(data$L)) {
    return(list())
  }
  given <- stats::cov2cor(unname(data$V))
  sums <- null_sums(z, 2)
  seen <- looked_at_correlations(sums, given)
  far <- abs(seen - given) > pmax(0.1, 4 / sqrt(sums$n)) & upper.tri(seen)
  list(given = given, seen = seen, at = which(far, arr.ind = TRUE))
}

finding_error_correlation <- function(problem, correlations, labels) {
  at <- correlations$at
  if (NROW(at) == 0L) {
    return(list())
  }
  given <- changed <- correlations$given
  seen <- correlations$seen
  changed[at] <- changed[at[, 2:1, drop = FALSE]] <- seen[at]
  if (!is_positive_definite(changed)) {
    changed <- shrink_correlation(nearest_covariance(changed, keep_diag = TRUE), 0.01)
  }
  data <- problem$data
  data$V[] <- changed * tcrossprod(sqrt(diag(data$V)))
  gained <- gain(problem$base$vloglik, refit(problem, data = data)$vloglik)
  worst <- at[which.max(abs(seen - given)[at]), ]
  finding(
    "correlated errors", "problem", nrow(at), found = gained$sure,
    "Errors are correlated otherwise than `V` says between {plural(nrow(at), 'pair')} of conditions, most between ",
    "{label_conditions(worst, labels)}: {format(seen[worst[1], worst[2]], digits = 2)}, not ",
    "{format(given[worst[1], worst[2]], digits = 2)}. With that, {say_gain(gained, problem)}.",
    advice = paste(
      "V <- estimate_null_correlation_simple(data, rule = \"pairwise\"), or mash_estimate_corr_em(); then",
      "mash_update_data(data, V = V), and fit again."
    )
  )
}

# As pairwise_correlations(), and as given where too few effects look null.
looked_at_correlations <- function(sums, given) {
  box <- box_probability(2)
  for (j in seq_len(ncol(given))[-1]) {
    for (i in seq_len(j - 1L)) {
      if (sums$n[i, j] >= 50) {
        given[i, j] <- pair_correlation(
          sums$n[i, j], sums$squares[i, j] + sums$squares[j, i], sums$products[i, j], box
        )
      }
    }
  }
  given
}

# ---- the prior ---------------------------------------------------------------------

finding_grid <- function(problem) {
  model <- problem$model
  longer <- completed_grid(model, problem$whole)
  if (length(longer) == length(model$grid)) {
    return(list())
  }
  wide <- without_idle_matrices(model)
  wide$grid <- longer
  again <- refit(problem, wide)
  gained <- gain(problem$base$vloglik, again$vloglik)
  weights <- colSums(matrix(if (model$usepointmass) again$pi[-1] else again$pi, length(wide$Ulist)))
  beyond <- c(sum(weights[longer < min(model$grid)]), sum(weights[longer > max(model$grid)]))
  how <- if (max(beyond) < 0.01) "too coarse" else c("without small scales", "without large scales")[which.max(beyond)]
  n <- length(longer) - length(model$grid)
  shown <- trimws(format(c(range(model$grid), range(longer[weights > 0.001])), digits = 2))
  finding(
    "grid", "problem", n, found = gained$sure,
    "The grid ({shown[1]} to {shown[2]}) is {how}: with one from {shown[3]} to {shown[4]} {say_gain(gained, problem)}.",
    advice = "Leave `grid` out, so that mash() chooses it from the data."
  )
}

# The grid with what it lacks of that which mash() would choose: points beyond its ends, and between neighbours that
# are far apart. Scales are those of matrices whose largest variance is 1, or what takes its place.
completed_grid <- function(model, data) {
  grid <- sort(unique(model$grid[model$grid > 0]))
  sizes <- sqrt(vapply(model$Ulist, function(U) max(diag(U)), 0))
  sizes <- sizes[sizes > 0]
  if (length(grid) == 0L || length(sizes) == 0L) {
    return(model$grid)
  }
  ends <- range(autoselect_grid(data))
  ratio <- c(min(grid) * min(sizes) / ends[1], ends[2] / (max(grid) * max(sizes)))
  # From sqrt(2) on there is a point to add.
  n <- pmin(pmax(ceiling(2 * log2(ratio * 0.75)), 0), 30)
  inside <- unlist(lapply(which(grid[-1] > 2.01 * grid[-length(grid)]), function(i) {
    if (max(sizes) < 1.5 * min(sizes)) {
      steps <- ceiling(2 * log2(grid[i + 1] / grid[i]))
      grid[i] * (grid[i + 1] / grid[i])^(seq_len(min(steps, 60) - 1L) / min(steps, 60))
    }
  }))
  sort(unique(c(model$grid, min(grid) * 2^(-seq_len(n[1]) / 2), inside, max(grid) * 2^(seq_len(n[2]) / 2))))
}

finding_learned <- function(problem) {
  model <- problem$model
  K <- length(model$Ulist)
  plain <- vapply(model$Ulist, is_plain_covariance, NA)
  if (all(plain) || !any(plain)) {
    return(list())
  }
  weights <- rowSums(matrix(if (model$usepointmass) problem$base$pi[-1] else problem$base$pi, K))
  share <- sum(weights[!plain])
  if (share > 0.2 * (1 - problem$base$pi[1] * model$usepointmass)) {
    return(list())
  }
  without <- model
  without$Ulist <- model$Ulist[plain]
  gained <- gain(refit(problem, without)$vloglik, problem$base$vloglik)
  finding(
    "learned covariances", "note", sum(!plain), found = !gained$sure,
    "The matrices beyond canonical ones ({sum(!plain)}) have the weight {format(share, digits = 2)} together, and add ",
    "{format(gained$sum, digits = 2)} to the log-likelihood of {plural(n_effects(problem$data), 'effect')}.",
    advice = "Leave them out, or learn them from more effects; compare with cv_mash()."
  )
}

# Such as cov_canonical() makes: variances in some conditions that are the same there, and one correlation.
is_plain_covariance <- function(U) {
  if (is_factor_cov(U)) {
    return(FALSE)
  }
  U <- unname(as.matrix(U))
  on <- diag(U) > 0
  inside <- U[on, on, drop = FALSE]
  off <- inside[row(inside) != col(inside)]
  same <- function(x) length(x) == 0L || diff(range(x)) <= 1e-8 * max(abs(inside))
  same(diag(inside)) && same(off)
}

finding_null_weight <- function(problem) {
  model <- problem$model
  null <- if (model$usepointmass) model$pi[1] else 0
  finding(
    "null weight", "note", 1, found = null > 0.99,
    "The null has the weight {format(null, digits = 4)}: of {format_count(n_effects(problem$whole))} effects about ",
    "{format_count(round((1 - null) * n_effects(problem$whole)))} are real, and the prior of these is little known.",
    advice = "Few effects will be significant; lfsr holds, but do not interpret the weights of the matrices."
  )
}
