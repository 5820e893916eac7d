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
#' @param data The data object of the fit, or some of its rows; effects and
#'   conditions are matched by name, by position where neither side has names.
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
  means <- get_pm(x)
  data.frame(
    long_index(means), mean = as.vector(means), sd = as.vector(get_psd(x)),
    lfsr = as.vector(get_lfsr(x))
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
  check_fit(x, "x")
  g <- x$fitted_g
  K <- length(g$Ulist)
  labels <- covariance_labels(g)
  covariance <- rep(labels[seq_len(K) + g$usepointmass], times = length(g$grid))
  grid <- rep(g$grid, each = K)
  if (g$usepointmass) {
    covariance <- c(labels[1], covariance)
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
  data <- take_data(data)
  means <- get_pm(x)
  data <- match_conditions(data, conditions_of(x))
  if (ncol(data$Bhat) != ncol(means)) {
    abort_input(
      "`data` have {plural(ncol(data$Bhat), 'condition')}, but the fit has {ncol(means)}; give the data of the fit.",
      class = "covmash_error_dimensions"
    )
  }
  rows <- match_effects(rownames(data$Bhat), rownames(means), nrow(data$Bhat), nrow(means))
  of_data <- function(part) as.vector(part[rows, , drop = FALSE])
  data.frame(
    long_index(means[rows, , drop = FALSE]),
    .bhat = as.vector(data$Bhat * data$Shat_alpha),
    .shat = as.vector(data$Shat * data$Shat_alpha),
    .fitted = of_data(means), .se.fit = of_data(get_psd(x)), .lfsr = of_data(get_lfsr(x))
  )
}
