# Choosing covariances by what they say about effects that they have not seen: lists of matrices, or recipes that learn
# them in each fold. Folds, table and picture are those of deconvolve-cv.R.

#' Compare covariances by cross-validation
#'
#' Fits [mash()] with each list of covariance matrices to all folds but one, and takes the
#' log-likelihood of that one. Matrices that are learned are learned in each fold, by a function, so that
#' nothing of the held-out effects reaches them.
#'
#' @param data A data object made by [mash_set_data()].
#' @param Ulists A named list. Each element is a list of covariance matrices, or a function that makes one of
#'   `data`, the effects of the other folds. If it has an argument `strong`, or else `subset`, this gets the rows of
#'   `data` that are significant by [mash_1by1()] in a condition: `cov_canonical` and `cov_ted` can be given as they
#'   are.
#' @param n_folds Number of folds; effects, or groups of `by`, are put into them at random, by R's generator.
#' @param by The group of each effect, a gene for instance, that stays in one fold.
#' @param folds Instead of these: a vector with a label for each effect.
#' @param subset Effects to use: numbers, names or `TRUE`/`FALSE`; all if `NULL`. `by` and `folds` are of all effects
#'   of `data`. Effects without an observed estimate are left out.
#' @param ... Arguments of [mash()] for all fits, such as `grid` or `usepointmass`.
#' @param x,object A result of `cv_mash()`.
#' @param n_threads Number of threads, see [covmash_threads].
#' @return A list of class `"mash_cv"`:
#'   * `table`: a data frame with one row for each candidate: `candidate`, `heldout` (mean held-out
#'     log-likelihood of an effect), `se`, `behind` (how far the mean is below that of the best),
#'     `behind_se` (standard error of that difference), `matrices` (their mean number) and `seconds`;
#'   * `best`: the candidate with the largest mean;
#'   * `heldout`: the log-likelihood of each effect (rows) under each candidate (columns);
#'   * `folds`: the fold of each of these effects.
#'
#'   `summary()` also has the means of each fold.
#' @details With \eqn{l_{jc}} the log-likelihood of effect j under candidate c, fitted without the fold of j, and
#'   \eqn{d_j = l_{jb} - l_{jc}} against the best candidate b, `behind` is the mean of \eqn{d_j} over the
#'   J effects and its standard error \eqn{\sqrt{\sum_g (\sum_{j \in g} (d_j - \bar d))^2} /
#'   J}{sqrt(sum_g (sum_{j in g} (d_j - dbar))^2) / J} over the
#'   groups g of `by`, each effect its own if there are none (Vuong 1989, for clusters Liang and Zeger 1986). A
#'   candidate less than two standard errors behind cannot be told from the best.
#' @section Errors: `covmash_error_argument` for bad candidates, folds or groups; those of [mash()].
#' @references Liang KY, Zeger SL (1986). Longitudinal data analysis using generalized linear models. *Biometrika* 73,
#'   13-22. \doi{10.1093/biomet/73.1.13}
#'
#'   Vuong QH (1989). Likelihood ratio tests for model selection and non-nested hypotheses. *Econometrica* 57, 307-333.
#'   \doi{10.2307/1912557}
#' @seealso [cv_deconvolve()] for the settings of [deconvolve()]; [diagnose()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims2(nsamp = 100, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' cv <- cv_mash(
#'   data,
#'   list(canonical = cov_canonical, pca = function(data, strong) cov_pca(data, 2, subset = strong)),
#'   n_folds = 2, n_threads = 1
#' )
#' cv
cv_mash <- function(data, Ulists, n_folds = 5, by = NULL, folds = NULL, subset = NULL, ..., n_threads = NULL) {
  data <- take_data(data)
  candidates <- check_candidates(Ulists, data)
  own <- c("g", "fixg", "weights", "A", "posterior_samples", "outputlevel", "Ulist", "verbose", "start")
  refuse_names(list(...), own, "cv_mash()")
  n_threads <- resolve_threads(n_threads)
  groups <- if (is.null(by)) seq_len(n_effects(data)) else effect_groups(by, n_effects(data))$at
  if (!is.null(folds) && length(folds) != n_effects(data)) {
    abort_input(
      "`folds` must hold a label for each of the {plural(n_effects(data), 'effect')} of `data`, not {describe(folds)}.",
      class = "covmash_error_argument"
    )
  }
  rows <- observed_rows(data, unique(resolve_subset(subset, data)))
  groups <- match(groups[rows], unique(groups[rows]))
  folds <- grouped_folds(folds[rows], n_folds, groups)

  heldout <- matrix(
    NA_real_, length(rows), length(candidates), dimnames = list(rownames(data$Bhat)[rows], names(candidates))
  )
  seconds <- matrices <- numeric(length(candidates))
  begin_steps("Held-out likelihood", max(folds) * length(candidates))
  for (fold in seq_len(max(folds))) {
    train <- data[rows[folds != fold], ]
    test <- data[rows[folds == fold], ]
    strong <- if (length(unlist(lapply(candidates, argument_of_strong))) > 0L) {
      unname(get_significant_results(mash_1by1(train, n_threads = n_threads)))
    }
    for (i in seq_along(candidates)) {
      next_step(names(candidates)[i])
      before <- elapsed()
      fit <- fit_candidate(candidates[i], train, strong, list(...), n_threads)
      heldout[folds == fold, i] <- mash_compute_vloglik(fit, test, n_threads = n_threads)
      matrices[i] <- matrices[i] + length(fit$fitted_g$Ulist)
      seconds[i] <- seconds[i] + elapsed() - before
    }
  }
  table <- cv_table(heldout, NULL, list(matrices = matrices / max(folds), seconds = seconds), groups)
  best <- table$candidate[which.max(table$heldout)]
  structure(list(table = table, best = best, heldout = heldout, folds = folds), class = "mash_cv")
}

check_candidates <- function(Ulists, data) {
  refuse_missing(missing(Ulists), "Ulists", "a named list, of lists of covariance matrices or of functions")
  fine <- is.list(Ulists) && length(Ulists) > 0L && !is.null(names(Ulists)) && !anyNA(names(Ulists)) &&
    all(nzchar(names(Ulists))) && !anyDuplicated(names(Ulists))
  if (!fine) {
    abort_input(
      "`Ulists` must be a named list, each element a list of covariance matrices or a function that makes one, not ",
      "{describe(Ulists)}.",
      class = "covmash_error_argument"
    )
  }
  for (name in names(Ulists)) {
    if (!is.function(Ulists[[name]])) {
      check_ulist(Ulists[[name]], n_conditions(data), colnames(data$Bhat), paste0("Ulists$", name))
    }
  }
  Ulists
}

# The argument of a recipe that strong rows are for; none if it has none.
argument_of_strong <- function(recipe) {
  first_few(intersect(c("strong", "subset"), if (is.function(recipe)) names(formals(args(recipe)))), 1L)
}

# candidate: a list of one, with its name. Warnings of convergence are of fits that nobody keeps.
fit_candidate <- function(candidate, train, strong, arguments, n_threads) {
  withCallingHandlers(
    silently({
      Ulist <- if (is.function(candidate[[1]])) learn_candidate(candidate[[1]], train, strong) else candidate[[1]]
      settings <- list(outputlevel = 1, verbose = FALSE, n_threads = n_threads)
      do.call(mash, c(list(train, Ulist), arguments, settings), quote = TRUE)
    }),
    covmash_error = function(cnd) {
      abort_input("Candidate '{names(candidate)}': {conditionMessage(cnd)}", class = class(cnd)[1])
    }
  )
}

learn_candidate <- function(recipe, train, strong) {
  name <- argument_of_strong(recipe)
  do.call(recipe, c(list(train), stats::setNames(list(strong)[seq_along(name)], name)), quote = TRUE)
}

# Of effects in groups that stay together: folds as given, or at random.
grouped_folds <- function(folds, n_folds, groups) {
  if (is.null(folds)) {
    return(cv_folds(NULL, n_folds, max(groups), "group or effect", "groups or effects")[groups])
  }
  folds <- cv_folds(folds, n_folds, length(groups))
  torn <- which(folds != folds[match(groups, groups)])
  if (length(torn) > 0L) {
    abort_input(
      "`folds` tear a group of `by` apart: effect {format_count(torn[1])} of those used is in another fold than the ",
      "first of its group.",
      class = "covmash_error_argument"
    )
  }
  folds
}

check_mash_cv <- function(x, name) check_cv(x, name, "matrices", "best", "cv_mash()")

#' @rdname cv_mash
#' @export
format.mash_cv <- function(x, ...) {
  check_mash_cv(x, "x")
  paste0("<mash_cv> ", plural(nrow(x$table), "candidate"), ", ", plural(max(x$folds), "fold"), ", best: ", x$best)
}

#' @rdname cv_mash
#' @export
print.mash_cv <- function(x, ...) {
  print_cv(x, format.mash_cv(x))
}

#' @rdname cv_mash
#' @export
summary.mash_cv <- function(object, ...) {
  check_mash_cv(object, "object")
  if (!is.matrix(object$heldout) || !is.numeric(object$heldout) || nrow(object$heldout) != length(object$folds) ||
        !identical(colnames(object$heldout), object$table$candidate)) {
    refuse_cv("object", "cv_mash()")
  }
  means <- t(rowsum(unname(object$heldout), object$folds) / as.vector(table(object$folds)))
  dimnames(means) <- list(object$table$candidate, paste0("fold_", sort(unique(object$folds))))
  structure(list(cv = object[c("table", "best", "folds")], by_fold = means), class = "summary.mash_cv")
}

#' @rdname cv_mash
#' @export
print.summary.mash_cv <- function(x, ...) {
  if (!is.list(x) || !is.matrix(x$by_fold) || !is.list(x$cv)) {
    abort_input("`x` must be a summary of a result of cv_mash(); make it again.", class = "covmash_error_argument")
  }
  print.mash_cv(x$cv)
  cat("Means of the folds:\n")
  print(x$by_fold, digits = 4)
  invisible(x)
}

#' @rdname cv_mash
#' @exportS3Method ggplot2::autoplot
autoplot.mash_cv <- function(object, ...) {
  need_ggplot2()
  draw_cv(check_mash_cv(object, "object")$table, object$best, "best", "Held-out log-likelihood of an effect")
}

#' @rdname cv_mash
#' @export
plot.mash_cv <- function(x, ...) {
  need_ggplot2()
  draw(autoplot.mash_cv(x, ...))
}
