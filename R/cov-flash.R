# Covariances from the factors that flashier finds: a factor analysis in which the prior decides how many there are.

#' Covariance matrices from empirical Bayes matrix factorisation
#'
#' Finds sparse factors of the effects with the package flashier, which has to be installed, and
#' makes a rank-1 covariance matrix of each of them, and one of what they explain together: starts
#' for [cov_ed()] beside those of [cov_pca()].
#'
#' @param data A data object made by [mash_set_data()], or a [source][mash_source()], which stands for its rows `subset`,
#'   or a sample of them.
#' @param factors `"default"`: factors with point-normal priors. `"nonneg"`: loadings of conditions
#'   that are not negative (point-exponential priors), so that each factor is a set of conditions.
#' @param subset Rows to use, usually strong ones: numbers, names or `TRUE`/`FALSE`; all if `NULL`.
#' @param remove_singleton Leave out factors with one condition alone?
#' @param tag A name for the matrices; `factors` if `NULL`.
#' @param output_model A file into which the fit of flashier is written with [saveRDS()]; `NULL` for
#'   none.
#' @param greedy_args,backfit_args Lists of further arguments of flashier's `flash_greedy()` and
#'   `flash_backfit()`.
#' @return A named list of R x R matrices: `tFLASH_<tag>`, of the effects as fitted by all factors, and
#'   `FLASH_<tag>_1`, ... of the factors, scaled to unit length. `NULL`, with a warning of class
#'   `covmash_warning_factors`, if no factor is found.
#' @details With \eqn{\hat B}{Bhat} the chosen rows of `Bhat` and \eqn{L F'} the fit, they are
#'   \eqn{F L'L F' / n} and \eqn{f_k f_k'} (Wang and Stephens 2021). A factor has one condition alone
#'   if no other entry of it is above \eqn{1/\sqrt R}. Missing estimates are left out; where flashier
#'   has no fit then (an effect none of whose observed conditions has a part in a factor), they are
#'   taken as 0, with a warning of class `covmash_warning_missing`. flashier begins its factors at
#'   random: `set.seed()` makes the result reproducible. What it warns of comes as one warning of
#'   class `covmash_warning_factors`.
#' @section Errors: `covmash_error_package` if flashier is not installed; `covmash_error_factors` if it
#'   finds no fit.
#' @section Differences from mashr: Missing estimates are allowed; all of `greedy_args` is honoured
#'   (mashr overwrites `Kmax` and `ebnm_fn`); singletons are told from factors of unit length.
#' @references Wang W, Stephens M (2021). Empirical Bayes matrix factorization. *Journal of Machine
#'   Learning Research* 22(120), 1-40.
#' @seealso [cov_pca()], [cov_ed()]
#' @export
#' @examplesIf requireNamespace("flashier", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 4, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' names(cov_flash(data))
cov_flash <- function(data, factors = c("default", "nonneg"), subset = NULL, remove_singleton = FALSE,
                      tag = NULL, output_model = NULL, greedy_args = list(), backfit_args = list()) {
  taken <- take_effects(data, subset)
  data <- taken$data
  subset <- taken$subset
  factors <- check_choice(factors, c("default", "nonneg"), "factors")
  check_flag(remove_singleton, "remove_singleton")
  for (name in c("greedy_args", "backfit_args")) {
    if (!is.list(get(name)) || is.object(get(name))) {
      abort_input("`{name}` must be a list, not {describe(get(name))}.", class = "covmash_error_argument")
    }
  }
  for (name in c("tag", "output_model")) {
    if (!is.null(get(name)) && !checkmate::test_string(get(name), min.chars = 1)) {
      abort_input("`{name}` must be one name, not {describe(get(name))}.", class = "covmash_error_argument")
    }
  }
  need_flashier()
  rows <- resolve_subset(subset, data)
  fit <- flash_fit(unname(data$Bhat[rows, , drop = FALSE]), factors, greedy_args, backfit_args)
  if (!is.null(output_model)) {
    saveRDS(fit, output_model)
  }
  flash_covariances(fit, length(rows), data, if (is.null(tag)) factors else tag, remove_singleton)
}

need_flashier <- function() {
  for (package in c("flashier", "ebnm")) {
    if (!requireNamespace(package, quietly = TRUE)) {
      abort_input(
        "cov_flash() needs the package {package}, which is not installed; install it, or use cov_pca().",
        class = "covmash_error_package"
      )
    }
  }
}

flash_fit <- function(x, factors, greedy_args, backfit_args) {
  warned <- character()
  note <- function(cnd) {
    warned <<- c(warned, conditionMessage(cnd))
    invokeRestart("muffleWarning")
  }
  fit <- tryCatch(withCallingHandlers(flash_steps(x, factors, greedy_args, backfit_args), warning = note), error = function(cnd) {
    if (!anyNA(x)) {
      abort_input("flashier found no fit: {conditionMessage(cnd)}", class = "covmash_error_factors")
    }
    # It has no answer for an effect whose observed conditions have no part in a factor.
    warn_covmash(
      "flashier found no fit with missing estimates ({conditionMessage(cnd)}); they are taken as 0.",
      class = "covmash_warning_missing"
    )
    x[is.na(x)] <- 0
    flash_fit(x, factors, greedy_args, backfit_args)
  })
  if (length(warned) > 0L) {
    warn_covmash(
      "flashier warned of '{warned[1]}'{if (length(warned) > 1L) paste0(' and ', length(warned) - 1L, ' times more')}.",
      class = "covmash_warning_factors"
    )
  }
  fit
}

flash_steps <- function(x, factors, greedy_args, backfit_args) {
  ours <- list(Kmax = 100L, verbose = 0L)
  if (factors == "default") {
    ours$ebnm_fn <- ebnm::ebnm_point_normal
  } else {
    ours$ebnm_fn <- list(ebnm::ebnm_point_normal, ebnm::ebnm_point_exponential)
    ours$init_fn <- function(f) flashier::flash_greedy_init_default(f, sign_constraints = c(0, 1))
  }
  ours[names(greedy_args)] <- greedy_args
  fit <- flashier::flash_init(x, var_type = 2)
  fit <- do.call(flashier::flash_greedy, c(list(fit), ours))
  if (fit$n_factors == 0) {
    return(fit)
  }
  ours <- list(verbose = 0L)
  ours[names(backfit_args)] <- backfit_args
  do.call(flashier::flash_backfit, c(list(fit), ours))
}

flash_covariances <- function(fit, n, data, tag, remove_singleton) {
  if (fit$n_factors == 0) {
    warn_covmash(
      "flashier found no factor in the effects; cov_flash() has no matrix to give.",
      class = "covmash_warning_factors"
    )
    return(NULL)
  }
  parts <- flashier::ldf(fit, type = "f")
  F <- parts$F
  whole <- F %*% (parts$D * crossprod(parts$L) * rep(parts$D, each = length(parts$D))) %*% t(F) / n
  if (remove_singleton) {
    F <- F[, colSums(abs(F) > 1 / sqrt(nrow(F))) > 1, drop = FALSE]
  }
  dimnames(whole) <- dimnames_of_conditions(data)
  made <- stats::setNames(list(symmetrise(whole)), paste0("tFLASH_", tag))
  if (ncol(F) == 0L) {
    return(made)
  }
  factors <- unname(t(F))
  colnames(factors) <- colnames(data$Bhat)
  c(made, cov_from_factors(factors, paste0("FLASH_", tag)))
}
