# From data to posteriors in one call: each step is an exported function that it merely calls, and is written down.

#' A whole analysis in one call
#'
#' Does what a careful analysis does, in its order: looks over the data, makes placeholders missing, chooses strong effects
#' (one a gene) and a random set, learns the correlation of the errors from the random set and covariances from the strong
#' one, fits the mixture on *all* effects, and computes posteriors. Every decision is said, kept, and can be taken by you.
#'
#' @param data A result of [read_sumstats()], a data object, or anything else that [as_mash_data()] takes.
#' @param by The group of each effect, such as its gene: a vector, or the name of a column of `data$effects` of
#'   [read_sumstats()]. `NULL` (default): `"gene"` where there is such a column, else none.
#' @param strong Rows to learn covariances from; `NULL` (default): [select_strong_effects()].
#' @param random Rows to learn the correlation of errors from (and the weights, with `fit_on = "random"`); a number: so
#'   many at random; by default 200,000, or all if there are fewer.
#' @param V Correlation of the errors: `"estimate"` (default), by [estimate_error_correlation()] on the random set; a matrix; or
#'   `NULL` for what the data have.
#' @param Ulist Covariance matrices, or a function of the data and the strong rows that makes them; `NULL` (default):
#'   [cov_canonical()] and [cov_ted()].
#' @param fit_on Learn the mixture weights from `"all"` effects (default) or from the `"random"` set.
#' @param placeholders Make placeholders of missing estimates `NA`, by [placeholder_to_na()]?
#' @param alpha As in [mash_set_data()]; not for data objects, which have theirs.
#' @param ... Further arguments of [mash()], such as `output_lfdr = TRUE` and `outputlevel`.
#' @param checkpoint Path of an RDS file that keeps what is done; with the same data and arguments a call that was
#'   stopped goes on from there. `NULL`: none.
#' @param verbose Say what is decided?
#' @param n_threads Number of threads, see [covmash_threads].
#' @return A list of class `"mash_pipeline"`: `fit`, the fit of [mash()], for all questions; `data`, the data object it is of;
#'   `by`; `strong` and `random`, row numbers; `V`; `Ulist`; `checks`, the findings of [check_mash_data()]; `report` of
#'   [read_sumstats()], if there is one; `effects`, ditto; `steps`, a data frame with `step`, `call` (what to write to do
#'   it alone), `decision` and `seconds`. `print()` returns it invisibly; `summary()` gives `steps`.
#' @details The steps, with `data` for what is so far:
#'   1. `as_mash_data(data)`, `placeholder_to_na(data)`, `check_mash_data(data)`;
#'   2. `strong <- select_strong_effects(data, by)`: strongest effect of each gene that has a significant one;
#'   3. `random <- select_training_effects(data, n)`;
#'   4. `mash_update_data(data, V = estimate_error_correlation(data[random, ]))`;
#'   5. `c(cov_canonical(data), cov_ted(data, strong))`; with fewer strong effects than twice the conditions only the
#'      canonical matrices;
#'   6. `mash(data, Ulist)`, on all effects; or `fit_mash_prior(data, Ulist, random)` and `apply_mash_prior()`.
#'
#'   That the weights are learned from all effects, or from a random choice, is what makes the local false sign rates right;
#'   from the strong ones they would be far too small.
#' @section Errors: Those of the steps; `covmash_error_argument` for arguments of its own; `covmash_error_file` for a
#'   `checkpoint` that cannot be used.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). Flexible statistical methods for estimating and testing
#'   effects in genomic studies with multiple conditions. *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [mash_report()] writes it up, [write_mash()] and [tidy()] give tables, [diagnose()] looks at the fit.
#' @concept eQTL
#' @concept GWAS
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 100, ncond = 3, err_sd = 0.5)
#' result <- mash_pipeline(mash_set_data(sim$Bhat, sim$Shat), by = rep(1:80, each = 5), n_threads = 1)
#' result
#' head(summarise_effects(result$fit, by = result$by))
mash_pipeline <- function(data, by = NULL, strong = NULL, random = NULL, V = "estimate", Ulist = NULL,
                          fit_on = c("all", "random"), placeholders = TRUE, alpha = 0, ..., checkpoint = NULL, verbose = TRUE,
                          n_threads = NULL) {
  refuse_missing(missing(data), "data", "estimates, e.g. a result of read_sumstats()")
  fit_on <- check_choice(fit_on, c("all", "random"), "fit_on")
  check_flag(placeholders, "placeholders")
  check_flag(verbose, "verbose")
  refuse_names(list(...), c("g", "fixg", "weights", "data"), "mash_pipeline()")
  run <- start_pipeline(list(
    data = data, by = by, strong = strong, random = random, V = V, Ulist = Ulist, fit_on = fit_on,
    placeholders = placeholders, alpha = alpha, dots = list(...)
  ), checkpoint, verbose)
  given <- if (inherits(data, "mash_sumstats")) check_sumstats(data, "data")
  by <- groups_of_pipeline(by, given)

  data <- pipeline_data(run, data, alpha, placeholders)
  if (!is.null(by)) effect_groups(by, n_effects(data))
  strong <- pipeline_strong(run, data, strong, by, n_threads)
  random <- pipeline_random(run, data, random)
  data <- pipeline_errors(run, data, V, random, n_threads)
  Ulist <- pipeline_covariances(run, data, Ulist, strong, n_threads)
  fit <- pipeline_fit(run, data, Ulist, fit_on, random, list(...), n_threads)
  structure(
    list(
      fit = fit, data = data, by = by, strong = strong, random = random, V = data$V, Ulist = Ulist, checks = run$checks,
      report = given$report, effects = given$effects, steps = do.call(rbind, run$steps)
    ),
    class = "mash_pipeline"
  )
}

# ---- running a step ----------------------------------------------------------------

start_pipeline <- function(arguments, checkpoint, verbose) {
  run <- list2env(
    list(steps = list(), done = list(), path = checkpoint, verbose = verbose, checks = NULL), parent = emptyenv()
  )
  if (is.null(checkpoint)) {
    return(run)
  }
  if (!checkmate::test_string(checkpoint, min.chars = 1L) || !dir.exists(dirname(checkpoint))) {
    abort_input("`checkpoint` must be the path of a file in a folder that exists.", class = "covmash_error_file")
  }
  run$key <- rlang::hash(c(without_environments(arguments), list(utils::packageVersion("covmash"))))
  if (!file.exists(checkpoint)) {
    return(run)
  }
  kept <- tryCatch(readRDS(checkpoint), error = function(e) NULL)
  if (!is.list(kept) || !checkmate::test_string(kept$key)) {
    abort_input("'{checkpoint}' is no checkpoint of mash_pipeline(); give another path.", class = "covmash_error_file")
  }
  if (!identical(kept$key, run$key)) {
    abort_input(
      "'{checkpoint}' is of other data or arguments; delete it, or give another path.", class = "covmash_error_file"
    )
  }
  run$done <- kept$done
  run
}

# Functions are told apart by what they say, not by where they were made.
without_environments <- function(x) {
  lapply(x, function(part) if (is.function(part)) deparse(part) else part)
}

# One step: its value, its line in the table, its message, its place in the checkpoint.
pipeline_step <- function(run, step, call, compute, decide) {
  before <- run$done[[step]]
  if (is.null(before)) {
    start <- elapsed()
    value <- compute()
    before <- list(value = value, seconds = elapsed() - start)
    if (!is.null(run$path)) {
      run$done[[step]] <- before
      keep_checkpoint(run)
    }
  } else {
    before$seconds <- 0
  }
  decision <- decide(before$value)
  run$steps <- c(run$steps, list(
    data.frame(step = step, call = call, decision = decision, seconds = before$seconds)
  ))
  step_message(run$verbose, "{step}: {decision}{clock_of_step(before$seconds)}.")
  before$value
}

clock_of_step <- function(seconds) if (seconds >= 1) paste0(" (", format(seconds, digits = 2), " s)") else ""

keep_checkpoint <- function(run) {
  partial <- tempfile(tmpdir = dirname(run$path), fileext = ".rds")
  on.exit(unlink(partial))
  saveRDS(list(key = run$key, done = run$done), partial, compress = FALSE)
  file.rename(partial, run$path)
}

# ---- the steps ---------------------------------------------------------------------

groups_of_pipeline <- function(by, given) {
  if (is.null(by)) {
    by <- given$effects$gene
    return(if (!is.null(by) && !anyNA(by)) by)
  }
  if (checkmate::test_string(by) && !is.null(given) && nrow(given$effects) != 1L) {
    if (is.null(given$effects[[by]])) {
      abort_input(
        "`by` names '{by}', but the effects have the columns {quote_some(names(given$effects), 8L)}.",
        class = "covmash_error_argument"
      )
    }
    return(given$effects[[by]])
  }
  by
}

pipeline_data <- function(run, data, alpha, placeholders) {
  raw <- withCallingHandlers(
    if (inherits(data, "mash")) as_mash_data(data) else as_mash_data(data, alpha = alpha),
    covmash_warning_placeholder = function(cnd) if (placeholders) invokeRestart("muffleWarning")
  )
  n_placeholders <- if (placeholders) length(placeholder_entries(raw)) else 0L
  data <- if (n_placeholders > 0L) suppressMessages(placeholder_to_na(raw), "covmash_message_placeholder") else raw
  run$checks <- check_mash_data(data)
  pipeline_step(
    run, "data", paste0("data <- ", if (n_placeholders > 0L) "placeholder_to_na(as_mash_data(data))" else "as_mash_data(data)"),
    function() TRUE,
    function(value) {
      paste0(
        plural(n_effects(data), "effect"), " in ", plural(n_conditions(data), "condition"), ", ",
        format_percent(mean(is.na(data$Bhat))), " missing",
        if (n_placeholders > 0L) paste0(", ", plural(n_placeholders, "placeholder"), " made NA")
      )
    }
  )
  for (k in seq_len(nrow(run$checks))) {
    step_message(run$verbose, "{run$checks$level[k]}: {run$checks$finding[k]} {run$checks$advice[k]}")
  }
  data
}

pipeline_strong <- function(run, data, strong, by, n_threads) {
  if (!is.null(strong)) {
    strong <- resolve_subset(strong, data, "strong")
    return(pipeline_step(
      run, "strong", "strong, as given", function() strong, function(rows) paste(plural(length(rows), "effect"), "as given")
    ))
  }
  pipeline_step(
    run, "strong", paste0("strong <- select_strong_effects(data", if (!is.null(by)) ", by", ")"),
    function() select_strong_effects(data, by, n_threads = n_threads),
    function(rows) {
      paste0(
        plural(length(rows), "effect"), " with lfsr < 0.05 in a condition looked at alone",
        if (!is.null(by)) paste(", the strongest of each of", plural(length(rows), "group"))
      )
    }
  )
}

pipeline_random <- function(run, data, random) {
  open <- length(observed_rows(data, seq_len(n_effects(data))))
  n <- if (is.null(random)) 2e5 else random
  if (!is_plain(n) || !checkmate::test_number(n) || n < 1 || n != round(n)) {
    rows <- resolve_subset(random, data, "random")
    return(pipeline_step(
      run, "random", "random, as given", function() rows, function(rows) paste(plural(length(rows), "effect"), "as given")
    ))
  }
  n <- min(n, open)
  pipeline_step(
    run, "random", paste0("random <- select_training_effects(data, ", format_count(n), ")"),
    function() if (n < open) as.vector(select_training_effects(data, n)) else observed_rows(data, seq_len(n_effects(data))),
    function(rows) if (n < open) paste(plural(length(rows), "effect"), "at random") else paste("all", plural(n, "effect"))
  )
}

pipeline_errors <- function(run, data, V, random, n_threads) {
  R <- n_conditions(data)
  known <- !is.matrix(data$V) || any(data$V[upper.tri(data$V)] != 0)
  if (!is.null(V) && !identical(V, "estimate")) {
    updated <- mash_update_data(data, V = V)
    pipeline_step(run, "errors", "data <- mash_update_data(data, V = V)", function() TRUE, function(value) "V as given")
    return(updated)
  }
  if (is.null(V) || known || R < 2L || !is.null(data$L)) {
    why <- if (R < 2L) "one condition" else if (known) "V of the data is kept" else "errors taken to be independent"
    pipeline_step(run, "errors", "none", function() TRUE, function(value) why)
    return(data)
  }
  V <- pipeline_step(
    run, "errors", "data <- mash_update_data(data, V = estimate_error_correlation(data[random, ]))",
    function() estimate_error_correlation(data[random, ], n_threads = n_threads),
    function(V) {
      off <- V[upper.tri(V)]
      from <- paste(", learned from", plural(attr(V, "n"), "effect"))
      if (all(off == 0)) {
        return(paste0("errors are independent", from))
      }
      paste0("correlations of errors from ", format(min(off), digits = 2), " to ", format(max(off), digits = 2), from)
    }
  )
  mash_update_data(data, V = V)
}

pipeline_covariances <- function(run, data, Ulist, strong, n_threads) {
  if (is.list(Ulist)) {
    return(pipeline_step(
      run, "covariances", "Ulist, as given", function() Ulist,
      function(Ulist) paste(plural(length(Ulist), "matrix", "matrices"), "as given")
    ))
  }
  if (!is.null(Ulist) && !is.function(Ulist)) {
    abort_input("`Ulist` must be a list of matrices or a function of data and strong rows, not {describe(Ulist)}.",
      class = "covmash_error_ulist"
    )
  }
  enough <- length(strong) >= 2L * n_conditions(data)
  call <- if (is.function(Ulist)) {
    "Ulist <- Ulist(data, strong)"
  } else if (enough) {
    "Ulist <- c(cov_canonical(data), cov_ted(data, strong))"
  } else {
    "Ulist <- cov_canonical(data)"
  }
  pipeline_step(
    run, "covariances", call,
    function() {
      if (is.function(Ulist)) {
        return(Ulist(data, strong))
      }
      c(cov_canonical(data), if (enough) try_ted(data, strong, n_threads))
    },
    function(made) {
      n <- plural(length(made), "matrix", "matrices")
      if (is.function(Ulist)) {
        paste(n, "by the function given")
      } else if (enough) {
        paste0(n, ": canonical, and by cov_ted() from the strong effects")
      } else {
        paste0(n, ", canonical: ", plural(length(strong), "strong effect"), " are too few to learn more from")
      }
    }
  )
}

# None where conditions are on scales so different that the computation breaks down.
try_ted <- function(data, strong, n_threads) {
  tryCatch(cov_ted(data, strong, n_threads = n_threads), covmash_error_numeric = function(e) {
    warn_covmash(
      "cov_ted() learned nothing: {conditionMessage(e)}; the canonical matrices stay. Are all conditions on one scale?",
      class = "covmash_warning_ted"
    )
    NULL
  })
}

pipeline_fit <- function(run, data, Ulist, fit_on, random, dots, n_threads) {
  all <- fit_on == "all" || length(random) == n_effects(data)
  of_mash <- dots[setdiff(names(dots), c("A", "posterior_samples", "outputlevel", "output_lfdr"))]
  of_posterior <- dots[setdiff(names(dots), names(of_mash))]
  pipeline_step(
    run, "fit", if (all) "fit <- mash(data, Ulist)" else "fit <- apply_mash_prior(data, fit_mash_prior(data, Ulist, random))",
    function() {
      if (all) {
        return(do.call(mash, c(list(data, Ulist, verbose = FALSE, n_threads = n_threads), dots)))
      }
      prior <- do.call(fit_mash_prior, c(list(data, Ulist, random, n_threads = n_threads), of_mash))
      do.call(apply_mash_prior, c(list(data, prior, n_threads = n_threads), of_posterior))
    },
    function(fit) {
      paste0(
        "weights of ", plural(length(fit$fitted_g$pi), "component"), " from ",
        if (all) "all effects" else "the random set", "; pi0 = ", format(get_pi0(fit), digits = 2),
        if (!is.null(fit$result$lfsr)) {
          paste0("; ", plural(length(get_significant_results(fit)), "effect"), " with lfsr < 0.05 in some condition")
        }
      )
    }
  )
}

# ---- methods -----------------------------------------------------------------------

check_pipeline <- function(x, name = "x") {
  ok <- inherits(x, "mash_pipeline") && is.list(x) && inherits(x$fit, "mash") && inherits(x$data, "mash") &&
    is.data.frame(x$steps) && all(c("step", "call", "decision", "seconds") %in% names(x$steps))
  if (!ok) abort_input("`{name}` must be a result of mash_pipeline(), not {describe(x)}.", class = "covmash_error_fit")
  invisible(x)
}

#' @rdname mash_pipeline
#' @param x,object A result of `mash_pipeline()`.
#' @export
print.mash_pipeline <- function(x, ...) {
  check_pipeline(x)
  cat(format(x), "\n", sep = "")
  for (k in seq_len(nrow(x$steps))) {
    cat(strwrap(paste0(x$steps$step[k], ": ", x$steps$decision[k]), getOption("width") - 2, exdent = 4), sep = "\n")
  }
  cat("x$fit has the results; x$steps how each step is done alone\n")
  invisible(x)
}

#' @rdname mash_pipeline
#' @export
format.mash_pipeline <- function(x, ...) {
  check_pipeline(x)
  paste0(
    "<mash_pipeline> ", plural(n_effects(x$data), "effect"), " in ", plural(n_conditions(x$data), "condition"), ", ",
    format(sum(x$steps$seconds), digits = 2), " s"
  )
}

#' @rdname mash_pipeline
#' @export
summary.mash_pipeline <- function(object, ...) {
  check_pipeline(object, "object")
  object$steps
}
