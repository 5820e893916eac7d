#' Choose the number of factors
#'
#' Fits factor models with 0, 1, 2, ... factors and compares them by information
#' criteria, by parallel analysis and by the log-likelihood of samples left out.
#'
#' @param x Data, a formula, a covariance matrix with `n_samples`, or a result of
#'   [stats::cov.wt()], as in [fit_factor_model()].
#' @param max_factors Largest number of factors tried; `NULL`: 10, or as many as can be
#'   estimated.
#' @param criteria Any of `"bic"`, `"parallel"`, `"heldout"`. `"heldout"` needs data.
#' @param method,lower,n_samples,n_threads,data As in [fit_factor_model()]. Parallel analysis
#'   does not depend on `method`.
#' @param n_folds Number of parts of the samples for `"heldout"`; each is left out once.
#' @param n_permutations Number of data sets without factors for `"parallel"`, at most
#'   100,000.
#' @param probability The quantile of their eigenvalues that a factor must exceed.
#' @return An object of class `"factor_selection"`, a list with elements
#'   * `n_factors`: the number that each criterion chooses, a named vector;
#'   * `table`: a data frame with a row for each number of factors: `n_factors`, `loglik`,
#'   `n_parameters`, `AIC`, `BIC`, `n_heywood`, `converged` and, for `"heldout"`, `heldout`
#'   (mean log-density of a sample left out) and `heldout_se` (its standard error);
#'   * `eigenvalues`: for `"parallel"`, a data frame with `factor`, the `observed`
#'   eigenvalues of the correlation matrix and the `reference` quantiles;
#'   * `criteria`, `method`, `probability`, `n_folds`, `n_permutations`.
#'
#'   `print` shows the table; `plot` draws it ([factor_fit_plots]). `summary` is a list of
#'   class `"summary.factor_selection"` with `n_factors`, `agreed` (do the criteria agree?),
#'   `method` and `table`: for each number of factors K the log-likelihood, the number of
#'   parameters, `BIC_above`, BIC less the smallest, the K-th `eigenvalue` and its
#'   `reference`, `heldout`, `heldout_se` and `n_heywood`.
#' @details **BIC**: -2 log-likelihood + log(n) times the identified number of parameters
#'   ([n_parameters()]), smallest.
#'
#'   **Parallel analysis** (Horn 1965, with the values of every gene permuted among the
#'   samples): as many factors as there are leading eigenvalues of the correlation
#'   matrix above the quantile `probability` of those of permuted data. For a covariance
#'   matrix, normal data are drawn instead. Missing values stay where they are and
#'   count as means.
#'
#'   **Held-out log-likelihood**: models are fitted to all but one part of the samples,
#'   and the log-density of that part is taken ([log_density()]); largest mean.
#'
#'   [set.seed()] governs the parts and the permutations. A number of factors that cannot
#'   be fitted to a part is `NA` there. The warnings of the single fits
#'   are not shown; columns `n_heywood` and `converged` have them.
#' @section Errors: those of [fit_factor_model()]; `covmash_error_argument` for arguments
#'   out of range or `"heldout"` for a covariance matrix.
#' @references Horn JL (1965). A rationale and test for the number of factors in factor
#'   analysis. *Psychometrika* 30, 179-185. \doi{10.1007/BF02289447}
#'
#'   Schwarz G (1978). Estimating the dimension of a model. *Annals of Statistics* 6,
#'   461-464. \doi{10.1214/aos/1176344136}
#' @concept factor analysis
#' @concept scree
#' @concept parallel analysis
#' @export
#' @examples
#' set.seed(1)
#' truth <- generate_factor_covariance(n_genes = 12, n_pathways = 2)$Sigma
#' x <- rfactor_cov(100, truth)
#' chosen <- select_n_factors(x, max_factors = 3, n_folds = 3, n_threads = 1)
#' chosen
#' chosen$n_factors["bic"]
select_n_factors <- function(x, max_factors = NULL,
                             criteria = c("bic", "parallel", "heldout"),
                             method = c("ml", "pca", "ppca"), n_samples = NULL,
                             lower = 0.005, n_folds = 5, n_permutations = 20,
                             probability = 0.95, n_threads = NULL, data = NULL) {
  method <- check_choice(method, c("ml", "pca", "ppca"), "method")
  default_criteria <- missing(criteria)
  check_criteria(criteria)
  check_number(lower, "lower", 1e-6, 0.5, "a number from 1e-6 to 0.5")
  check_whole(n_permutations, "n_permutations", 1)
  check_number(n_permutations, "n_permutations", 1, 1e5, "a whole number from 1 to 100000")
  check_number(probability, "probability", 0, 1, "a number from 0 to 1")
  sample <- factor_sample(x, n_samples, data)
  if (sample$is_covariance && "heldout" %in% criteria) {
    if (!default_criteria) {
      abort_input(
        "Held-out log-likelihood needs data, not a covariance matrix; leave 'heldout' out of `criteria`.",
        class = "covmash_error_argument"
      )
    }
    criteria <- setdiff(criteria, "heldout")
  }
  max_factors <- check_max_factors(max_factors, method, sample)
  if ("heldout" %in% criteria) check_folds(n_folds, sample)
  options <- list(
    lower = lower, start = numeric(), tol = 1e-7,
    max_iter = cpp_defaults("factor_fit")$max_iter,
    n_threads = resolve_threads(n_threads)
  )

  tell_orientation(sample)
  tell_unseen_pairs(sample)
  folds <- if ("heldout" %in% criteria) n_folds else 0
  permutations <- if ("parallel" %in% criteria) n_permutations else 0
  begin_steps("Choosing the number of factors", (max_factors + 1) * (1 + folds) + permutations)
  table <- fit_each_number(sample, max_factors, method, options)
  chosen <- numeric()
  eigenvalues <- NULL
  if ("bic" %in% criteria) chosen["bic"] <- table$n_factors[which.min(table$BIC)]
  if ("parallel" %in% criteria) {
    eigenvalues <- parallel_analysis(sample, max_factors, n_permutations, probability, options)
    above <- eigenvalues$observed > eigenvalues$reference
    chosen["parallel"] <- sum(cumprod(above))
  }
  if ("heldout" %in% criteria) {
    density <- heldout_density(sample, max_factors, method, options, n_folds)
    table$heldout <- colMeans(density)
    table$heldout_se <- apply(density, 2, stats::sd) / sqrt(nrow(density))
    best <- which.max(table$heldout)
    chosen["heldout"] <- if (length(best)) table$n_factors[best] else NA_real_
  }
  structure(
    list(
      n_factors = chosen, table = table, eigenvalues = eigenvalues, criteria = criteria,
      method = method, probability = probability, n_folds = n_folds,
      n_permutations = n_permutations
    ),
    class = "factor_selection"
  )
}

check_criteria <- function(criteria) {
  known <- c("bic", "parallel", "heldout")
  if (!is.character(criteria) || length(criteria) == 0L || !all(criteria %in% known)) {
    given <- if (is.character(criteria)) quote_some(criteria) else describe(criteria)
    abort_input(
      "`criteria` must be one or more of 'bic', 'parallel', 'heldout', not {given}.",
      class = "covmash_error_argument"
    )
  }
}

check_max_factors <- function(max_factors, method, sample) {
  most <- most_factors(sample$n_genes, sample$n, method)
  if (is.null(max_factors)) {
    return(min(10, most))
  }
  check_n_factors(max_factors, method, sample)
  max_factors
}

check_folds <- function(n_folds, sample) {
  check_whole(n_folds, "n_folds", 2)
  if (n_folds > sample$n / 2) {
    abort_input(
      "`n_folds` must be at most half the number of samples ({sample$n}), not {n_folds}.",
      class = "covmash_error_argument"
    )
  }
}

fit_each_number <- function(sample, max_factors, method, options) {
  rows <- lapply(0:max_factors, function(K) {
    next_step(paste("fit with", plural(K, "factor")))
    parts <- factor_estimate(sample, K, method, options)
    fit <- build_factor_fit(parts, sample, K, method, options$lower)
    data.frame(
      n_factors = fit$n_factors, loglik = fit$loglik, n_parameters = fit$n_parameters, AIC = stats::AIC(fit),
      BIC = stats::BIC(fit), n_heywood = sum(fit$heywood), converged = fit$convergence$converged
    )
  })
  do.call(rbind, rows)
}

# ---- parallel analysis ------------------------------------------------------

parallel_analysis <- function(sample, max_factors, n_permutations, probability, options) {
  k <- min(max(max_factors, 1), sample$n_genes, sample$n - 1)
  observed <- correlation_eigenvalues(sample$x, sample$is_covariance, k, options)
  without <- vapply(seq_len(n_permutations), function(i) {
    next_step(paste("permutation", i, "of", n_permutations))
    if (sample$is_covariance && sample$n * sample$n_genes > 1e7) {
      return(correlation_eigenvalues(independent_covariance(sample$n, sample$n_genes), TRUE, k, options))
    }
    data <- if (sample$is_covariance) {
      matrix(rnorm(sample$n * sample$n_genes), sample$n)
    } else {
      permute_columns(sample$x)
    }
    correlation_eigenvalues(data, FALSE, k, options)
  }, numeric(k))
  without <- matrix(without, nrow = k)
  data.frame(
    factor = seq_len(k), observed = observed,
    reference = apply(without, 1, quantile, probs = probability, names = FALSE)
  )
}

# The covariance of n samples of independent normal genes without drawing them, by its Cholesky
# factor (Bartlett 1933): chi-squared numbers on the diagonal, normal ones below.
independent_covariance <- function(n, N) {
  rank <- min(N, n - 1)
  L <- matrix(0, N, rank)
  L[row(L) > col(L)] <- rnorm(sum(row(L) > col(L)))
  L[cbind(seq_len(rank), seq_len(rank))] <- sqrt(stats::rchisq(rank, n - seq_len(rank)))
  L <- L / sqrt(n - 1)
  symmetrise(tcrossprod(L))
}

# Observed values change places with observed values.
permute_columns <- function(x) {
  for (j in seq_len(ncol(x))) {
    seen <- which(!is.na(x[, j]))
    x[seen, j] <- x[seen[sample.int(length(seen))], j]
  }
  x
}

correlation_eigenvalues <- function(x, is_covariance, k, options) {
  if (!is_covariance && anyNA(x)) {
    x <- standardise_observed(x)
    # Not to be scaled again: the zeros put in are no observations.
    return(run_core(cpp_leading_eigen(x, FALSE, FALSE, k, 1e-6, options$n_threads))$values)
  }
  run_core(cpp_leading_eigen(x, is_covariance, TRUE, k, 1e-6, options$n_threads))$values
}

standardise_observed <- function(x) {
  mean <- colMeans(x, na.rm = TRUE)
  x <- x - rep(mean, each = nrow(x))
  x <- x / rep(sqrt(colMeans(x^2, na.rm = TRUE)), each = nrow(x))
  x[is.na(x)] <- 0
  x
}

# ---- held-out log-likelihood ------------------------------------------------

# samples x numbers of factors; NA where a model cannot be fitted to what is left.
heldout_density <- function(sample, max_factors, method, options, n_folds) {
  fold <- rep_len(seq_len(n_folds), sample$n)[sample.int(sample$n)]
  density <- matrix(NA_real_, sample$n, max_factors + 1)
  for (part in seq_len(n_folds)) {
    out <- fold == part
    rest <- sample
    rest$x <- sample$x[!out, , drop = FALSE]
    rest$n <- nrow(rest$x)
    rest$n_missing <- sum(is.na(rest$x))
    # A gene without variation in the rest has no model there.
    if (!all(genes_that_vary(rest$x))) next
    for (K in 0:min(max_factors, most_factors(rest$n_genes, rest$n, method))) {
      next_step(paste0("part ", part, " of ", n_folds, ", ", plural(K, "factor")))
      parts <- factor_estimate(rest, K, method, options)
      Sigma <- factor_covariance(parts$B, D = parts$D)
      density[out, K + 1] <- log_density(
        unname(sample$x[out, , drop = FALSE]), Sigma, parts$mean, options$n_threads
      )
    }
  }
  density
}

genes_that_vary <- function(x) {
  apply(x, 2, function(column) {
    column <- column[!is.na(column)]
    length(column) > 1L && min(column) < max(column)
  })
}

# ---- print ------------------------------------------------------------------

check_factor_selection <- function(x, name = "x") {
  criteria <- names(x$n_factors)
  columns <- c("n_factors", "loglik", "n_parameters", "AIC", "BIC", "n_heywood", "converged")
  good <- is.list(x) && is.numeric(x$n_factors) && length(criteria) > 0L &&
    all(criteria %in% names(criterion_names)) && setequal(x$criteria, criteria) &&
    is.data.frame(x$table) &&
    all(c(columns, if ("heldout" %in% criteria) c("heldout", "heldout_se")) %in% names(x$table)) &&
    checkmate::test_choice(x$method, names(factor_methods)) &&
    (!"parallel" %in% criteria ||
      is.data.frame(x$eigenvalues) && all(c("factor", "observed", "reference") %in% names(x$eigenvalues)))
  if (!good) {
    abort_input(
      "`{name}` is not (or no more) a result of select_n_factors(); choose the number of factors again.",
      class = "covmash_error_fit"
    )
  }
}

#' @export
format.factor_selection <- function(x, ...) {
  check_factor_selection(x)
  paste0(
    "<factor_selection> ", paste0(x$n_factors, " by ", criterion_names[names(x$n_factors)],
      collapse = ", "
    )
  )
}

criterion_names <- c(bic = "BIC", parallel = "parallel analysis", heldout = "held-out log-likelihood")

#' @export
print.factor_selection <- function(x, digits = 6, ...) {
  check_factor_selection(x)
  check_shown(0, digits)
  cat("<factor_selection> ", factor_methods[[x$method]], "\n", sep = "")
  for (name in names(x$n_factors)) {
    cat("  ", criterion_names[[name]], ": ", plural(x$n_factors[[name]], "factor"), "\n", sep = "")
  }
  # The table stays in one piece: its last columns mean nothing without the first.
  old <- options(width = max(getOption("width"), 120L))
  on.exit(options(old))
  print(x$table, digits = digits, row.names = FALSE)
  invisible(x)
}

#' @export
summary.factor_selection <- function(object, ...) {
  check_factor_selection(object, "object")
  table <- object$table[c("n_factors", "loglik", "n_parameters")]
  table$BIC_above <- object$table$BIC - min(object$table$BIC, na.rm = TRUE)
  if (!is.null(object$eigenvalues)) {
    at <- match(table$n_factors, object$eigenvalues$factor)
    table$eigenvalue <- object$eigenvalues$observed[at]
    table$reference <- object$eigenvalues$reference[at]
  }
  kept <- intersect(c("heldout", "heldout_se", "n_heywood"), names(object$table))
  table[kept] <- object$table[kept]
  chosen <- object$n_factors
  structure(
    list(
      n_factors = chosen, agreed = !anyNA(chosen) && length(unique(chosen)) == 1L, method = object$method, table = table
    ),
    class = "summary.factor_selection"
  )
}

#' @export
print.summary.factor_selection <- function(x, digits = 4, ...) {
  check_shown(0, digits)
  good <- is.list(x) && is.data.frame(x$table) && is.numeric(x$n_factors) &&
    all(names(x$n_factors) %in% names(criterion_names)) && checkmate::test_choice(x$method, names(factor_methods))
  if (!good) {
    abort_input("`x` is a damaged summary; make it again.", class = "covmash_error_fit")
  }
  cat("Number of factors, ", factor_methods[[x$method]], "\n", sep = "")
  for (name in names(x$n_factors)) {
    cat("  ", criterion_names[[name]], ": ", plural(x$n_factors[[name]], "factor"), "\n", sep = "")
  }
  if (length(x$n_factors) > 1L) cat("  the criteria ", if (isTRUE(x$agreed)) "agree" else "differ", "\n", sep = "")
  table <- x$table
  # Short names keep the lines within 80 columns.
  short <- c(n_parameters = "df", heldout_se = "se")
  at <- names(table) %in% names(short)
  names(table)[at] <- short[names(table)[at]]
  print(table, digits = digits, row.names = FALSE)
  invisible(x)
}

# ---- what does not exist ----------------------------------------------------

no_method_of_selection <- function(what) {
  abort_unsupported(
    paste0(what, "() of a choice of the number of factors"), user_frame(),
    "use its `table`, or fit_factor_model() with the number chosen"
  )
}

#' @export
tidy.factor_selection <- function(x, ...) no_method_of_selection("tidy")

#' @export
glance.factor_selection <- function(x, ...) no_method_of_selection("glance")

#' @export
augment.factor_selection <- function(x, ...) no_method_of_selection("augment")

#' @export
logLik.factor_selection <- function(object, ...) no_method_of_selection("logLik")

#' @export
nobs.factor_selection <- function(object, ...) no_method_of_selection("nobs")
