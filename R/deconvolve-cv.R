# Choosing among deconvolutions by what they say about rows that they have not seen.

#' Choose a deconvolution by cross-validation
#'
#' Fits each candidate to all folds but one and takes the log-likelihood of that one: how
#' well covariances describe effects that they were not learned from. The likelihood of the
#' rows learned from always prefers more and freer covariances.
#'
#' @param data,subset,weights,n_threads As in [deconvolve()].
#' @param K Numbers of full components to try. Every `K` is tried with every `lambda`.
#' @param lambda Strengths of the penalty to try, 2R if `NULL`.
#' @param candidates Instead of these: a named list, each element a list of arguments of
#'   [deconvolve()], such as `list(ted = list(n_full = 8), fa = list(n_full = 0,
#'   n_factor = 8))`.
#' @param n_folds Number of folds; rows are put into them at random.
#' @param folds Instead of these: a vector with a label for each chosen row, so that rows
#'   that depend on one another (of one gene, say) stay together.
#' @param ... Arguments of [deconvolve()] for all candidates.
#' @param x,object A result of `cv_deconvolve()`.
#' @param n Number of candidates to show, `Inf` for all.
#' @param n_jobs Number of fits that run side by side, in forked processes (not on
#'   Windows); the result is the same for any number.
#'
#' @return A list of class `"deconvolution_cv"`:
#'   * `table`: a data frame with one row for each candidate: `candidate`, `heldout` (mean
#'     held-out log-likelihood of a row), `se`, `behind` (how far the mean is below that of
#'     the best), `behind_se` (standard error of that difference, row by row), `df` (free
#'     numbers) and `seconds`;
#'   * `best`, `chosen`: the candidate with the largest mean, and the one with the fewest free
#'     numbers among those no further behind it than one standard error of the difference;
#'   * `heldout`: the log-likelihood of each row (rows) under each candidate (columns);
#'   * `folds`; `candidates`: the arguments; `fit`: the chosen candidate fitted to all rows.
#'
#' @details All starts are drawn beforehand, so that `set.seed()` governs them whatever
#'   `n_jobs` is. Nothing of the held-out rows reaches a fit: starts are made from the rows
#'   of the fold's fit alone. Where rows have `weights` the means are weighted.
#'
#'   The one-standard-error rule is that of Breiman et al. (1984), with the standard error
#'   of the difference between two candidates on the same rows.
#' @section Errors: `covmash_error_argument` for bad candidates or folds; those of
#'   [deconvolve()].
#' @references Breiman L, Friedman JH, Olshen RA, Stone CJ (1984). *Classification and
#'   Regression Trees*. Wadsworth.
#' @seealso [deconvolve()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 40, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' cv <- cv_deconvolve(data, K = c(1, 4), n_folds = 3, n_starts = 2, n_threads = 1)
#' cv
#' cv$fit
cv_deconvolve <- function(data, subset = NULL, K = c(2, 4, 8), lambda = NULL, candidates = NULL,
                          n_folds = 5, folds = NULL, weights = NULL, ..., n_jobs = 1,
                          n_threads = NULL) {
  data <- take_data(data)
  rows <- resolve_subset(subset, data)
  rows <- observed_rows(data, rows)
  weights <- effect_weights(weights, data)
  n_jobs <- whole_number(n_jobs, "n_jobs", 1)
  candidates <- cv_candidates(candidates, K, lambda, list(...))
  folds <- cv_folds(folds, n_folds, length(rows))

  # The starts of all fits, in order; then fits that draw nothing.
  jobs <- expand.grid(fold = unique(folds), candidate = seq_along(candidates))
  # Starts, fits, which do not tell if they are forked, and that of all rows.
  begin_steps("Cross-validation", nrow(jobs) * (if (n_jobs == 1L) 2 else 1) + 1)
  about <- paste0(names(candidates)[jobs$candidate], ", fold ", match(jobs$fold, unique(jobs$fold)))
  prepared <- lapply(seq_len(nrow(jobs)), function(i) {
    next_step(paste0(about[i], ": starts"))
    train <- rows[folds != jobs$fold[i]]
    p <- prepare_candidate(candidates[jobs$candidate[i]], data, train, weights, n_threads)
    p["used"] <- list(NULL)
    p
  })
  scored <- run_jobs(seq_len(nrow(jobs)), n_jobs, function(i) {
    next_step(about[i])
    test <- rows[folds == jobs$fold[i]]
    fit <- silently(fit_prepared(prepared[[i]]))
    list(vloglik = mash_compute_vloglik(fit, data[test, ], n_threads = n_threads), seconds = fit$timing$total)
  })
  heldout <- matrix(
    NA_real_, length(rows), length(candidates), dimnames = list(rownames(data$Bhat)[rows], names(candidates))
  )
  seconds <- numeric(length(candidates))
  for (i in seq_len(nrow(jobs))) {
    heldout[folds == jobs$fold[i], jobs$candidate[i]] <- scored[[i]]$vloglik
    seconds[jobs$candidate[i]] <- seconds[jobs$candidate[i]] + scored[[i]]$seconds
  }
  df <- vapply(prepared[match(seq_along(candidates), jobs$candidate)], function(p) {
    parameters_of(p$plan$kind, p$plan$rank, n_conditions(data), length(p$plan$kind) * length(p$settings$scales))
  }, 0)
  table <- cv_table(heldout, weights[rows], list(df = df, seconds = seconds))
  best <- which.max(table$heldout)
  near <- which(table$behind <= table$behind_se)
  chosen <- near[order(table$df[near], -table$heldout[near])[1]]
  next_step(paste0(names(candidates)[chosen], ", all rows"))
  fit <- fit_prepared(prepare_candidate(candidates[chosen], data, rows, weights, n_threads))
  structure(
    list(
      table = table, best = names(candidates)[best], chosen = names(candidates)[chosen], heldout = heldout,
      folds = folds, candidates = candidates, fit = fit
    ),
    class = "deconvolution_cv"
  )
}

cv_candidates <- function(candidates, K, lambda, shared) {
  if (is.null(candidates)) {
    if (!is.numeric(K) || length(K) == 0L) {
      abort_input("`K` must hold numbers of components, not {describe(K)}.", class = "covmash_error_argument")
    }
    if (!is.null(lambda) && (!is.numeric(lambda) || length(lambda) == 0L)) {
      abort_input(
        "`lambda` must hold strengths of the penalty, not {describe(lambda)}.", class = "covmash_error_argument"
      )
    }
    grid <- expand.grid(n_full = K, lambda = if (is.null(lambda)) NA else lambda)
    candidates <- lapply(seq_len(nrow(grid)), function(i) {
      c(list(n_full = grid$n_full[i]), if (!is.na(grid$lambda[i])) list(lambda = grid$lambda[i]))
    })
    names(candidates) <- paste0(
      "K = ", grid$n_full, if (length(lambda) > 1L) paste0(", lambda = ", format(grid$lambda, trim = TRUE))
    )
  }
  fine <- is.list(candidates) && length(candidates) > 0L && all(vapply(candidates, is.list, NA)) &&
    !is.null(names(candidates)) && all(nzchar(names(candidates))) && !anyDuplicated(names(candidates))
  if (!fine) {
    abort_input(
      "`candidates` must be a named list of lists of arguments of deconvolve(), not {describe(candidates)}.",
      class = "covmash_error_argument"
    )
  }
  known <- setdiff(names(formals(deconvolve)), c("data", "subset", "weights", "n_threads", "start"))
  lapply(candidates, function(candidate) {
    all <- c(candidate, shared[setdiff(names(shared), names(candidate))])
    unknown <- if (is.null(names(all))) rep("", length(all)) else setdiff(names(all), known)
    if (length(unknown) > 0L) {
      abort_input(
        "A candidate has the argument '{unknown[1]}', which deconvolve() does not have or cv_deconvolve() sets itself.",
        class = "covmash_error_argument"
      )
    }
    all
  })
}

cv_folds <- function(folds, n_folds, n, what = "row", many = "rows") {
  if (is.null(folds)) {
    n_folds <- few(n_folds, "n_folds", 2)
    if (n < 2L * n_folds) {
      abort_input(
        "{plural(n, what, many)} are too few for {n_folds} folds; lower `n_folds` or choose more {many}.",
        class = "covmash_error_argument"
      )
    }
    return(sample(rep_len(seq_len(n_folds), n)))
  }
  if (!is.atomic(folds) || length(folds) != n || anyNA(folds)) {
    abort_input(
      "`folds` must hold a label for each of the {plural(n, 'chosen row')} with an observed estimate, not ",
      "{describe(folds)}.",
      class = "covmash_error_argument"
    )
  }
  folds <- match(folds, unique(folds))
  if (max(folds) < 2L) {
    abort_input("`folds` must have at least two labels.", class = "covmash_error_argument")
  }
  folds
}

# candidate: a list of one, with its name.
prepare_candidate <- function(candidate, data, rows, weights, n_threads) {
  arguments <- c(list(data = data, subset = rows, weights = weights, n_threads = n_threads), candidate[[1]])
  withCallingHandlers(
    do.call(prepare_deconvolution, arguments, quote = TRUE),
    covmash_error = function(cnd) {
      abort_input("Candidate '{names(candidate)}': {conditionMessage(cnd)}", class = class(cnd)[1])
    }
  )
}

# Warnings of convergence belong to the fit that is kept.
silently <- function(expr) {
  withCallingHandlers(expr, covmash_warning = function(w) invokeRestart("muffleWarning"))
}

run_jobs <- function(x, n_jobs, f) {
  if (n_jobs == 1L || .Platform$OS.type == "windows") {
    return(lapply(x, f))
  }
  done <- parallel::mclapply(x, function(i) {
    shown <- options(covmash.progress = FALSE)
    on.exit(options(shown))
    f(i)
  }, mc.cores = n_jobs, mc.set.seed = FALSE)
  failed <- vapply(done, inherits, NA, "try-error")
  if (any(failed)) {
    stop(attr(done[[which(failed)[1]]], "condition"))
  }
  done
}

# further: more columns. groups: rows that depend on one another; each its own if NULL.
cv_table <- function(heldout, weights, further, groups = NULL) {
  n <- nrow(heldout)
  w <- if (is.null(weights)) rep(1, n) else weights
  mean_of <- function(x) sum(w * x) / sum(w)
  se_of <- function(x) {
    off <- w * (x - mean_of(x))
    if (!is.null(groups)) off <- rowsum(off, groups)
    sqrt(sum(off^2)) / sum(w)
  }
  means <- apply(heldout, 2, mean_of)
  against <- heldout[, which.max(means)] - heldout
  data.frame(
    candidate = colnames(heldout), heldout = unname(means), se = unname(apply(heldout, 2, se_of)),
    behind = unname(apply(against, 2, mean_of)), behind_se = unname(apply(against, 2, se_of)), further
  )
}

check_cv <- function(x, name, size = "df", choices = c("chosen", "best"), maker = "cv_deconvolve()") {
  columns <- c("candidate", "heldout", "se", "behind", "behind_se", size, "seconds")
  whole <- is.list(x) && is.data.frame(x$table) && all(columns %in% names(x$table)) && nrow(x$table) > 0L &&
    all(vapply(x$table[columns[-1]], is.numeric, NA)) && is.character(x$table$candidate) &&
    all(vapply(choices, function(part) checkmate::test_choice(x[[part]], x$table$candidate), NA)) &&
    checkmate::test_integerish(x$folds, lower = 1, any.missing = FALSE, min.len = 1)
  if (!whole) refuse_cv(name, maker)
  x
}

refuse_cv <- function(name, maker) {
  abort_input("`{name}` must be a whole result of {maker}; make it again.", class = "covmash_error_argument")
}

#' @rdname cv_deconvolve
#' @export
format.deconvolution_cv <- function(x, ...) {
  check_cv(x, "x")
  paste0(
    "<deconvolution_cv> ", plural(nrow(x$table), "candidate"), ", ", plural(max(x$folds), "fold"), ", chosen: ",
    x$chosen
  )
}

#' @rdname cv_deconvolve
#' @export
print.deconvolution_cv <- function(x, n = 20, ...) {
  print_cv(x, format.deconvolution_cv(x), n)
}

print_cv <- function(x, title, n = 20) {
  text_lines(title)
  check_printing(n = n)
  shown <- x$table
  shown$candidate <- paste0(shown$candidate, ifelse(shown$candidate == x$best, " (best)", ""))
  print_table(shown, n, digits = 4)
  invisible(x)
}

#' @rdname cv_deconvolve
#' @exportS3Method ggplot2::autoplot
autoplot.deconvolution_cv <- function(object, ...) {
  need_ggplot2()
  draw_cv(check_cv(object, "object")$table, object$chosen, "chosen", "Held-out log-likelihood of a row")
}

# kind: what `shown`, the candidate in colour, is called.
draw_cv <- function(points, shown, kind, title) {
  points$kind <- ifelse(points$candidate == shown, kind, "other")
  points$candidate <- factor(points$candidate, levels = rev(unique(points$candidate)))
  colours <- stats::setNames(c(plot_colours$main, plot_colours$other), c(kind, "other"))
  ggplot2::ggplot(points, ggplot2::aes(x = -.data$behind, y = .data$candidate, colour = .data$kind)) +
    ggplot2::geom_vline(xintercept = 0, linetype = "dashed", colour = "grey60") +
    ggplot2::geom_pointrange(
      ggplot2::aes(xmin = -.data$behind - .data$behind_se, xmax = -.data$behind + .data$behind_se)
    ) +
    ggplot2::scale_colour_manual(values = colours, name = NULL) +
    ggplot2::labs(
      title = title, subtitle = "Minus that of the best candidate; bars: one standard error", x = NULL, y = NULL
    ) +
    theme_covmash() +
    ggplot2::theme(axis.text.y = ggplot2::element_text(size = label_size(nrow(points))))
}

#' @rdname cv_deconvolve
#' @export
plot.deconvolution_cv <- function(x, ...) {
  need_ggplot2()
  draw(autoplot.deconvolution_cv(x, ...))
}
