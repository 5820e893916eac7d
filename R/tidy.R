#' @importFrom generics tidy
#' @export
generics::tidy

#' @importFrom generics glance
#' @export
generics::glance

#' @importFrom generics augment
#' @export
generics::augment

#' Results as data frames
#'
#' @param x A fit of [mash()] or (for `as.data.frame`) a result of [mash_1by1()].
#' @param row.names,optional Ignored; part of the generic.
#' @param what `"effects"` (default): one row for each effect and condition;
#'   `"weights"`: one row for each mixture component.
#' @param data The data object of the fit.
#' @param ... Not used.
#' @return * `as.data.frame`: columns `effect`, `condition`, `mean`, `sd`, `lfsr`; all
#'   effects of the first condition first. `effect` and `condition` are names, or
#'   numbers where there are none.
#'   * `tidy`: the same with broom's column names `effect`, `condition`,
#'   `estimate`, `std.error`, `lfsr`; with `what = "weights"` the columns `component`,
#'   `covariance`, `grid` (the standard deviation) and `weight`.
#'   * `glance`: one row with `n_effects`, `n_conditions`, `n_components`, `logLik`,
#'   `df`, `pi0`, `n_significant` (lfsr < 0.05 in some condition), `converged`,
#'   `nobs`.
#'   * `augment`: columns `effect`, `condition`, `.bhat`, `.shat` (the original
#'   estimates), `.fitted`, `.se.fit` (posterior mean and sd) and `.lfsr`.
#' @name mash_tidiers
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 10, ncond = 3, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' head(as.data.frame(fit), 3)
#' glance(fit)
#' head(augment(fit, data), 3)
NULL

#' @rdname mash_tidiers
#' @export
as.data.frame.mash_fit <- function(x, row.names = NULL, optional = FALSE, ...) {
  result <- x$result
  if (length(result) == 0L) {
    abort_input(
      "The fit has no posterior (`outputlevel = 1`); refit, or use predict().",
      class = "covmash_error_fit"
    )
  }
  data.frame(
    long_index(result$PosteriorMean),
    mean = as.vector(result$PosteriorMean),
    sd = as.vector(result$PosteriorSD),
    lfsr = as.vector(result$lfsr)
  )
}

#' @rdname mash_tidiers
#' @export
as.data.frame.mash_1by1 <- as.data.frame.mash_fit

# effect and condition of every entry of a matrix, column by column.
long_index <- function(x) {
  effect <- if (is.null(rownames(x))) seq_len(nrow(x)) else rownames(x)
  condition <- if (is.null(colnames(x))) seq_len(ncol(x)) else colnames(x)
  list(
    effect = rep(effect, times = ncol(x)),
    condition = rep(condition, each = nrow(x))
  )
}

#' @rdname mash_tidiers
#' @export
tidy.mash_fit <- function(x, what = c("effects", "weights"), ...) {
  what <- check_choice(what, c("effects", "weights"), "what")
  if (what == "effects") {
    long <- as.data.frame(x)
    names(long)[names(long) == "mean"] <- "estimate"
    names(long)[names(long) == "sd"] <- "std.error"
    return(long)
  }
  g <- x$fitted_g
  K <- length(g$Ulist)
  covariance <- rep(names(g$Ulist), times = length(g$grid))
  grid <- rep(g$grid, each = K)
  if (g$usepointmass) {
    covariance <- c("null", covariance)
    grid <- c(0, grid)
  }
  data.frame(
    component = names(g$pi), covariance = covariance, grid = grid,
    weight = unname(g$pi)
  )
}

#' @rdname mash_tidiers
#' @export
glance.mash_fit <- function(x, ...) {
  loglik <- logLik(x)
  data.frame(
    n_effects = x$noise$n_effects,
    n_conditions = x$noise$n_conditions,
    n_components = length(x$fitted_g$pi),
    logLik = as.numeric(loglik),
    df = attr(loglik, "df"),
    pi0 = get_pi0(x),
    n_significant = if (is.null(x$result$lfsr)) {
      NA_integer_
    } else {
      sum(get_n_significant_conditions(x) > 0)
    },
    converged = x$convergence$converged,
    nobs = nobs(x)
  )
}

#' @rdname mash_tidiers
#' @export
augment.mash_fit <- function(x, data, ...) {
  check_data(data)
  long <- as.data.frame(x)
  if (nrow(long) != length(data$Bhat)) {
    abort_input(
      "`data` are {nrow(data$Bhat)} x {ncol(data$Bhat)}, but the fit has {x$noise$n_effects} effects and ",
      "{x$noise$n_conditions} conditions; give the data of the fit.",
      class = "covmash_error_dimensions"
    )
  }
  data.frame(
    long[c("effect", "condition")],
    .bhat = as.vector(data$Bhat * data$Shat_alpha),
    .shat = as.vector(data$Shat * data$Shat_alpha),
    .fitted = long$mean, .se.fit = long$sd, .lfsr = long$lfsr
  )
}
