# Learning a prior from some of the effects, and using it on all.

#' Choose effects to learn a prior from
#'
#' A study of millions of tests does not need all of them to learn the mixture weights, but
#' it needs a fair sample. `select_training_effects()` draws one, with weights that make up
#' for what was chosen more often than other effects, so that the weights of the prior stay
#' those of all effects.
#'
#' @param data A data object made by [mash_set_data()], or a [source][mash_source()], which stands for a sample of about
#'   131072 of its effects.
#' @param n Number of effects to choose.
#' @param method `"random"` (default): effects at random. `"top"`: half of them those with
#'   the largest z-score in size, the others at random from the rest. `"lead"`: the effect
#'   with the largest z-score of each group of `by` (of a random choice of groups if there
#'   are more than `n / 2`), the others at random from the rest.
#' @param by For `"lead"`: the group of each effect (of a source, of all its effects), a gene for instance.
#' @param seed A number for a choice that does not depend on `set.seed()` and leaves R's
#'   generator as it was; `NULL` (default) draws from R's generator.
#' @return Row numbers in increasing order, an integer vector, with the attribute `weights`: how
#'   many effects of `data` each stands for (the inverse of the probability that it was chosen,
#'   1 for effects that are chosen for sure). They sum to the number of effects with an observed
#'   estimate (of a source, to what the sample says it is); the others are never chosen.
#' @details Weights as of Horvitz and Thompson (1952) make the weighted log-likelihood an
#'   unbiased estimate of that of all effects. Strong effects alone, without weights, would
#'   make the prior believe that most effects are strong.
#' @section Errors: `covmash_error_argument` for a bad `n`, `method` or `by`, or if there
#'   are fewer than `n` effects with an observed estimate.
#' @references Horvitz DG, Thompson DJ (1952). A generalization of sampling without
#'   replacement from a finite universe. *Journal of the American Statistical Association*
#'   47, 663-685. \doi{10.1080/01621459.1952.10483446}
#' @seealso [fit_mash_prior()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 500, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' rows <- select_training_effects(data, 400, "top")
#' sum(attr(rows, "weights"))
#' gene <- rep(1:400, each = 5)
#' head(select_training_effects(data, 600, "lead", by = gene))
select_training_effects <- function(data, n, method = c("random", "top", "lead"), by = NULL, seed = NULL) {
  if (!missing(data) && is_source(data)) {
    return(training_effects_of_source(data, n, method, by, seed))
  }
  data <- take_data(data)
  refuse_missing(missing(n), "n", "the number of effects to choose")
  n <- whole_number(n, "n", 1)
  method <- check_choice(method, c("random", "top", "lead"), "method")
  open <- observed_rows(data, seq_len(n_effects(data)))
  if (n > length(open)) {
    abort_input(
      "`n` is {n}, but `data` has {plural(length(open), 'effect')} with an observed estimate.",
      class = "covmash_error_argument"
    )
  }
  if (method == "lead") {
    by <- effect_groups(by, n_effects(data))$at[open]
  } else if (!is.null(by)) {
    abort_input("`by` is for `method = \"lead\"`.", class = "covmash_error_argument")
  }
  special <- switch(method,
    random = integer(),
    top = open[utils::head(order_in_pieces(-largest_z(data, open)), n %/% 2)],
    lead = open[leads(largest_z(data, open), by)]
  )
  if (n < 2L) {
    special <- integer()
  }
  rest <- open[!open %in% special]
  with_own_seed(seed, {
    # Half of them, or more if the rest is too small.
    chosen <- draw_from(special, min(length(special), max(n %/% 2, n - length(rest))))
    others <- draw_from(rest, n - length(chosen))
    rows <- c(chosen, others)
    weights <- rep(
      c(length(special) / length(chosen), length(rest) / length(others)), c(length(chosen), length(others))
    )
    order <- order(rows)
    structure(rows[order], weights = weights[order])
  })
}

# Of the sample of a source, with their numbers in it. Each effect of the sample stands for as many.
training_effects_of_source <- function(src, n, method, by, seed) {
  check_source(src, "data")
  rows <- sample_rows_of(src$n_effects)
  if (!is.null(by)) by <- effect_groups(by, src$n_effects)$at[rows]
  chosen <- select_training_effects(take_sample(src), n, method, by, seed)
  structure(
    as_index(rows[as.vector(chosen)]), weights = attr(chosen, "weights") * (src$n_effects / length(rows))
  )
}

# sample() takes a single number for the numbers up to it.
draw_from <- function(x, n) x[sample.int(length(x), n)]

largest_z <- function(data, rows) {
  largest <- numeric(length(rows))
  for (r in seq_len(n_conditions(data))) {
    z <- abs(unname(data$Bhat[rows, r]) / unname(data$Shat[rows, r]))
    z[is.na(z)] <- 0
    largest <- pmax(largest, z)
  }
  largest
}

# Where in each group x is largest.
leads <- function(x, by) {
  order <- order(by, -x)
  order[!duplicated(by[order])]
}

# Draws under a seed of its own, if there is one; R's generator is then as before.
with_own_seed <- function(seed, code) {
  if (is.null(seed)) {
    return(code)
  }
  check_whole(seed, "seed", -.Machine$integer.max)
  without_draws({
    set.seed(min(seed, .Machine$integer.max))
    code
  })
}

#' A prior to keep, and to use on other effects
#'
#' `fit_mash_prior()` learns a mash prior from some effects and keeps what is needed to use
#' it: kilobytes, for `saveRDS()`. `apply_mash_prior()` computes the posterior of any effects
#' under it.
#'
#' @param data A data object made by [mash_set_data()].
#' @param Ulist Covariance matrices, as for [mash()].
#' @param rows Rows to learn from: those of [select_training_effects()], with their weights,
#'   or any others; all if `NULL`.
#' @param ... Further arguments of [mash()].
#' @param prior,x A result of `fit_mash_prior()`, or a fit of [mash()].
#' @param n_threads Number of threads, see [covmash_threads].
#' @return `fit_mash_prior()`: a list of class `"mash_prior"` with `fitted_g` (matrices without weight
#'   are left out), `alpha`, `V` (`NULL` if it differs between effects), `conditions` (their
#'   names), `n_effects`, `loglik` (weighted) and `version`. Whatever takes a fit as its `g` takes
#'   it. `apply_mash_prior()`: a fit of [mash()]. `print()`: `x`, invisibly; `format()`: one
#'   line of text.
#' @section Errors and warnings: As [mash()]. `rows` without weights that hold many more
#'   strong effects than the others warn, class `covmash_warning_subset`: the mixture weights are
#'   then those of strong effects, and lfsr of all effects too small. Data whose `V` is not
#'   that of the prior warn, class `covmash_warning_V`.
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 500, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' rows <- select_training_effects(data, 400, "top")
#' prior <- fit_mash_prior(data, cov_canonical(data), rows, n_threads = 1)
#' prior
#' fit <- apply_mash_prior(data[1:10, ], prior, n_threads = 1)
#' head(get_lfsr(fit), 3)
fit_mash_prior <- function(data, Ulist, rows = NULL, ..., n_threads = NULL) {
  data <- take_data(data)
  weights <- attr(rows, "weights")
  chosen <- if (is.null(rows)) seq_len(n_effects(data)) else resolve_subset(as.vector(rows), data, "rows")
  if (is.null(weights)) {
    warn_strong_subset(data, chosen)
  } else if (!are_weights(weights, length(chosen), any_sum = TRUE)) {
    abort_input(
      "The attribute `weights` of `rows` must hold one non-negative number for each row, not {describe_weights(weights)}.",
      class = "covmash_error_argument"
    )
  }
  refuse_names(list(...), c("g", "fixg", "weights", "A", "posterior_samples", "outputlevel"), "fit_mash_prior()")
  fit <- mash(data[chosen, ], Ulist, weights = weights, ..., verbose = FALSE, outputlevel = 1, n_threads = n_threads)
  loglik <- if (is.null(weights)) fit$loglik else sum(weights * fit$vloglik)
  structure(
    list(
      fitted_g = without_idle_matrices(fit$fitted_g), alpha = fit$alpha, V = if (is.matrix(data$V)) data$V,
      conditions = colnames(data$Bhat), n_effects = length(chosen), loglik = loglik,
      version = as.character(utils::packageVersion("covmash"))
    ),
    class = "mash_prior"
  )
}

refuse_names <- function(dots, names, who) {
  bad <- intersect(names(dots), names)
  if (length(bad) > 0L) {
    abort_input("{who} does not take `{bad[1]}`.", class = "covmash_error_argument")
  }
}

# Matrices that have no weight at any scale; one stays.
without_idle_matrices <- function(g) {
  K <- length(g$Ulist)
  weights <- matrix(if (g$usepointmass) g$pi[-1] else g$pi, K)
  kept <- rowSums(weights) > 0
  if (!any(kept)) {
    kept[1] <- TRUE
  }
  g$Ulist <- g$Ulist[kept]
  g$pi <- g$pi[c(if (g$usepointmass) TRUE, rep(kept, length(g$grid)))]
  g
}

warn_strong_subset <- function(data, rows) {
  if (length(rows) >= n_effects(data)) {
    return(invisible(NULL))
  }
  all <- observed_rows(data, seq_len(n_effects(data)))
  strong <- largest_z(data, all) > 3
  share <- mean(strong)
  own <- mean(strong[match(rows, all)], na.rm = TRUE)
  excess <- (own - share) / sqrt(share * (1 - share) / length(rows))
  if (isTRUE(excess > 5)) {
    warn_covmash(
      "`rows` hold {format(100 * own, digits = 2)} % effects with a z-score above 3, all of `data` {format(100 * share, digits = 2)} %, ",
      "and have no weights: the prior is that of the stronger effects. select_training_effects() gives rows with weights.",
      class = "covmash_warning_subset"
    )
  }
}

#' @rdname fit_mash_prior
#' @export
apply_mash_prior <- function(data, prior, ..., n_threads = NULL) {
  refuse_missing(missing(prior), "prior", "a result of fit_mash_prior()", "covmash_error_g")
  data <- take_data(data)
  if (inherits(prior, "mash_prior")) {
    check_mash_prior(prior, "prior")
    warn_other_V(data_for_g(data, prior), prior)
  }
  refuse_names(list(...), c("Ulist", "g", "fixg"), "apply_mash_prior()")
  mash(data, g = prior, fixg = TRUE, ..., verbose = FALSE, n_threads = n_threads)
}

warn_other_V <- function(data, prior) {
  V <- prior$V
  if (is.null(V) || !is.matrix(data$V) || !identical(dim(V), dim(data$V))) {
    return(invisible(NULL))
  }
  off <- max(abs(unname(V) - unname(data$V)))
  if (off > 1e-6) {
    warn_covmash(
      "`V` of `data` is not that of the effects that `prior` was learned from (they differ by up to {format(off, digits = 2)}); ",
      "give the same to mash_set_data().",
      class = "covmash_warning_V"
    )
  }
}

check_mash_prior <- function(x, name = "x") {
  if (!inherits(x, "mash_prior") || !is.list(x) || !checkmate::test_count(x$n_effects) || !checkmate::test_number(x$loglik)) {
    abort_input("`{name}` must be a result of fit_mash_prior(), not {describe(x)}.", class = "covmash_error_fit")
  }
  validate_g(x$fitted_g, name)
  invisible(x)
}

#' @rdname fit_mash_prior
#' @export
print.mash_prior <- function(x, ...) {
  check_mash_prior(x)
  text_lines(format(x))
  print_components(x$fitted_g)
  status_line("log-lik.:", format_loglik(x$loglik))
  invisible(x)
}

#' @rdname fit_mash_prior
#' @export
format.mash_prior <- function(x, ...) {
  check_mash_prior(x)
  paste0(
    "<mash_prior> ", plural(length(x$fitted_g$Ulist), "matrix", "matrices"), " of ",
    plural(ncol(as.matrix(x$fitted_g$Ulist[[1]])), "condition"), ", learned from ", plural(x$n_effects, "effect")
  )
}
