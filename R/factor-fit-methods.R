#' Look at and use a fitted factor model
#'
#' @param object,x A fit of [fit_factor_model()].
#' @param newdata Samples: a matrix with the genes of the fit in columns; see
#'   [factor_scores()].
#' @param method,... `predict`: as in [factor_scores()]. Otherwise not used.
#' @param digits Number of digits shown, from 1 to 22.
#' @param n Show at most so many genes; `Inf` for all.
#' @param cutoff Loadings below it in absolute value are shown as a dot.
#' @param sort `TRUE`: the genes that load most on the same factor together, strongest
#'   first; of more than `n` those with the largest communality. `FALSE`: as in the data.
#' @param what `tidy`: `"loadings"` (default), one row for each gene and factor;
#'   `"genes"`, one row for each gene.
#' @param standardised `tidy`: loadings of the standardised genes instead of those in units
#'   of the data?
#' @param conf.int,conf.level `tidy`: with confidence intervals, of which level? See
#'   [factor_vcov].
#' @param data `augment`: the samples; see [factor_scores()].
#' @return * `coef`: the loadings \eqn{B}, N x K.
#'   * `logLik`: the log-likelihood, of class `"logLik"`, so that [stats::AIC()] and
#'   [stats::BIC()] work; `nobs`: the number of samples.
#'   * `predict`: the factor scores of new samples. `augment`: a data frame of `data` and
#'   the scores, columns `.fs1`, `.fs2`, ....
#'   * `summary`: a list of class `"summary.factor_fit"` with `genes`, a data frame of
#'   `gene`, `variance`, `communality`, `noise`, `std.error` (of the noise variance),
#'   `complexity` and `heywood`; `factors`: sums of squared loadings of the standardised
#'   genes and the proportion and cumulative proportion of the variance explained;
#'   `indices`, of [fit_indices()].
#'   * `tidy`: columns `gene`, `factor`, `estimate`, `std.error` and, with `conf.int`,
#'   `conf.low` and `conf.high`; or those of `summary()$genes`.
#'   * `glance`: one row with `n_factors`, `n_genes`, `n_samples`, `logLik`, `df`, `AIC`,
#'   `BIC`, `statistic`, `df.test`, `p.value`, `n_heywood`, `converged`, `method`, `cfi`,
#'   `tli`, `rmsea`, `rmsea.conf.low`, `rmsea.conf.high`, `srmr`.
#'   * `format`: one line of text; `print`: `x`, invisibly.
#' @details `print` shows what `plot` draws: loadings of the standardised genes, with
#'   communality `h2`, uniqueness `u2` and complexity `com`, \eqn{(\sum_k
#'   \lambda_k^2)^2 / \sum_k \lambda_k^4}, the number of factors a gene loads on (Hofmann
#'   1978); then the variance explained by each factor. `coef` has the loadings in units of
#'   the data.
#'
#'   After an oblique rotation the sum of squared loadings of factor k is the k-th diagonal
#'   entry of \eqn{F L' L}: together they are the sum of the communalities.
#'
#'   Standard errors of the noise variances are those of the expected
#'   information: with \eqn{P = I - U U'}, \eqn{U} an orthonormal basis of \eqn{D^{-1/2} B},
#'   the covariance matrix of \eqn{\log D}{log D} is \eqn{(2/n) (P \circ P)^{-1}}{(2/n) (P o P)^-1}
#'   (Lawley and
#'   Maxwell 1971, section 5.3). Given for `"ml"` and complete data with up to 2000
#'   genes; Heywood genes are held fixed and have none. They assume that the model
#'   holds, normal data and n large against N. For those of the loadings see [factor_vcov];
#'   where there are none, `tidy` has `NA`, with `conf.int` and a warning of class
#'   `covmash_warning_std_error` that says why.
#'
#'   `tidy`, `glance`, `augment`, `logLik` and `nobs` do not exist for a result of
#'   [select_n_factors()]: they are errors of class `covmash_error_unsupported` that say
#'   what to use. A damaged fit is an error of class `covmash_error_fit`.
#' @references Hofmann RJ (1978). Complexity and simplicity as objective indices
#'   descriptive of factor solutions. *Multivariate Behavioral Research* 13, 247-250.
#'   \doi{10.1207/s15327906mbr1302_9}
#' @seealso [fit_indices()], [residuals()][factor_residuals],
#'   [vcov() and confint()][factor_vcov], [simulate()][simulate.factor_fit]
#' @name factor_fit-methods
#' @examples
#' fit <- fit_factor_model(cor(mtcars), n_factors = 2, n_samples = 32)
#' print(fit, cutoff = 0.3)
#' summary(fit)
#' c(AIC(fit), BIC(fit))
NULL

#' @rdname factor_fit-methods
#' @export
format.factor_fit <- function(x, ...) {
  check_factor_fit(x, "x")
  paste0(
    "<factor_fit> ", plural(x$n_genes, "gene"), ", ", plural(x$n_factors, "factor"),
    ", ", plural(x$n_samples, "sample"), ", log-likelihood ", format_loglik(x$loglik)
  )
}

#' @rdname factor_fit-methods
#' @export
print.factor_fit <- function(x, digits = 3, n = 20, cutoff = 0.1, sort = TRUE, ...) {
  check_factor_fit(x, "x")
  check_shown(n, digits)
  check_number(cutoff, "cutoff", 0, what = "a number of at least 0")
  check_flag(sort, "sort")
  print_factor_head(x, digits)
  if (x$n_factors > 0L) {
    factors <- if (n > 0) print_loadings(x, n, cutoff, sort)
    print_explained(x, factors)
  }
  invisible(x)
}

check_shown <- function(n, digits) {
  if (!is_plain(n) || !checkmate::test_number(n, lower = 0) || is.finite(n) && n != round(n)) {
    abort_input(
      "`n` must be a whole number of at least 0 (Inf for all), not {describe(n)}.", class = "covmash_error_argument"
    )
  }
  check_number(digits, "digits", 1, 22, "a number from 1 to 22")
}

# The loadings as they are drawn, with h2, u2 and complexity. As many factors as the window has columns for;
# returns their numbers.
print_loadings <- function(x, n, cutoff, sort) {
  L <- standardised_loadings(x)
  shown <- if (sort) genes_shown(L, x$uniquenesses, n) else first_few(seq_len(nrow(L)), n)
  labels <- short_labels(gene_labels(x)[shown])
  other <- cbind(
    h2 = sprintf("%.2f", 1 - x$uniquenesses[shown]), u2 = sprintf("%.2f", x$uniquenesses[shown]),
    com = sprintf("%.1f", complexity(L)[shown])
  )
  names <- short_labels(colnames(L))
  room <- getOption("width") - 2L - max(nchar(labels, "width")) - sum(pmax(apply(nchar(other), 2, max), 3L) + 1L)
  width <- max(nchar(names, "width"), 5L) + 1L
  factors <- seq_len(max(1L, min(ncol(L), room %/% width)))
  cells <- two_decimals(L[shown, factors])
  cells[abs(L[shown, factors]) < cutoff] <- "."
  table <- cbind(matrix(cells, nrow = length(shown), dimnames = list(labels, names[factors])), other)
  rownames(table) <- labels
  below <- if (cutoff > 0) paste0(" (. below ", format(cutoff), ")")
  cat("  loadings of the standardised genes", below, ":\n", sep = "")
  print(table, quote = FALSE, right = TRUE)
  left_out <- nrow(L) - length(shown)
  if (left_out > 0) {
    smaller <- if (sort) " of smaller communality"
    cat_wrapped("... and ", format_count(left_out), " more", smaller, " (n = Inf shows all)")
  }
  if (length(factors) < ncol(L)) {
    cat_wrapped("... and ", plural(ncol(L) - length(factors), "factor"), " more than fit into the window")
  }
  factors
}

# Rounding leaves no sign on a zero.
two_decimals <- function(x) sub("^-(0[.]0*)$", "\\1", sprintf("%.2f", x))

cat_wrapped <- function(...) writeLines(strwrap(paste0(...), getOption("width"), exdent = 4L))

short_labels <- function(labels) {
  long <- nchar(labels, "width") > 20L
  labels[long] <- paste0(strtrim(labels[long], 17L), "...")
  labels
}

# Hofmann's, of pattern loadings; NA without any.
complexity <- function(L) {
  out <- unname(rowSums(L^2)^2 / rowSums(L^4))
  out[is.nan(out)] <- NA_real_
  out
}

# What each factor explains, and how they are correlated; `factors`: the ones shown (all if NULL).
print_explained <- function(x, factors = NULL) {
  table <- explained_by_factors(x)
  if (is.null(factors)) factors <- seq_len(nrow(table))
  cells <- t(as.matrix(table[factors, c("ss_loadings", "proportion", "cumulative")]))
  dimnames(cells) <- list(c("SS loadings", "Proportion var.", "Cumulative var."), short_labels(table$factor)[factors])
  print(matrix(sprintf("%.2f", cells), nrow(cells), dimnames = dimnames(cells)), quote = FALSE, right = TRUE)
  if (!is.null(x$factor_covariance)) {
    cat("  correlations of the factors:\n")
    F <- round(x$factor_covariance, 2)
    dimnames(F) <- list(short_labels(table$factor), short_labels(table$factor))
    print(F[, factors, drop = FALSE])
  }
}

# Squares of the standardised loadings; where factors are correlated, with what they share.
explained_by_factors <- function(fit) {
  L <- standardised_loadings(fit)
  squares <- crossprod(L)
  if (!is.null(fit$factor_covariance)) squares <- fit$factor_covariance %*% squares
  squares <- unname(base::diag(squares))
  data.frame(
    factor = if (fit$n_factors > 0L) colnames(fit$loadings) else character(),
    ss_loadings = squares, proportion = squares / fit$n_genes, cumulative = cumsum(squares) / fit$n_genes
  )
}

standardised_loadings <- function(fit) fit$loadings / sqrt(fit$variance)

# The n genes with the largest communality, each with the factor it loads on most, strongest first.
genes_shown <- function(L, uniquenesses, n) {
  shown <- first_few(order(uniquenesses), n)
  if (ncol(L) == 0L) {
    return(sort(shown))
  }
  size <- abs(L[shown, , drop = FALSE])
  strongest <- max.col(size, ties.method = "first")
  shown[order(strongest, -size[cbind(seq_along(shown), strongest)])]
}

print_factor_head <- function(x, digits, test = TRUE) {
  cat(
    "<factor_fit> ", plural(x$n_genes, "gene"), ", ", plural(x$n_factors, "factor"),
    ", ", plural(x$n_samples, "sample"), "\n",
    sep = ""
  )
  cat("  method:     ", factor_methods[[x$method]], sep = "")
  if (x$rotation != "none") cat(", rotation ", x$rotation, sep = "")
  cat("\n")
  if (x$n_missing > 0) {
    cat("  missing:    ", plural(x$n_missing, "value"), "\n", sep = "")
  }
  cat(
    "  log-lik.:   ", format_loglik(x$loglik), " (", format_count(x$n_parameters),
    " parameters), BIC ", format_loglik(stats::BIC(x)), "\n",
    sep = ""
  )
  cat(
    "  explained:  ", format(100 * (1 - sum(x$noise) / sum(x$variance)), digits = digits),
    " % of the total variance\n",
    sep = ""
  )
  if (test && !is.null(x$test)) {
    cat(
      "  test of fit: chi-squared ", format(x$test$statistic, digits = digits + 1), " on ",
      format_count(x$test$df), " df, p ", describe_p(x$test$p.value, digits), "\n",
      sep = ""
    )
  }
  if (any(x$heywood)) {
    cat("  Heywood:    ", plural(sum(x$heywood), "noise variance"), " at the floor\n", sep = "")
  }
  search <- x$convergence
  if (search$iterations > 0 || !search$converged) {
    cat(
      "  search:     ", if (search$converged) "converged in " else "NOT converged in ",
      plural(search$iterations, "iteration"),
      if (search$starts > 1) paste0(" from ", plural(search$starts, "start")),
      ", derivative ", format(search$kkt_violation, digits = 2), "\n",
      sep = ""
    )
  }
}

describe_p <- function(p, digits) {
  if (p < 1e-15) "< 1e-15" else paste("=", format(p, digits = digits))
}

factor_methods <- list(
  ml = "maximum likelihood", pca = "principal components",
  ppca = "probabilistic principal components"
)

gene_labels <- function(fit) {
  if (is.null(rownames(fit$loadings))) {
    paste("gene", seq_len(fit$n_genes))
  } else {
    rownames(fit$loadings)
  }
}

#' @rdname factor_fit-methods
#' @export
summary.factor_fit <- function(object, ...) {
  check_factor_fit(object, "object")
  structure(
    list(
      fit = object, genes = gene_table(object), factors = explained_by_factors(object), indices = fit_indices(object)
    ),
    class = "summary.factor_fit"
  )
}

gene_table <- function(fit) {
  data.frame(
    gene = gene_labels(fit), variance = unname(fit$variance), communality = unname(1 - fit$uniquenesses),
    noise = unname(fit$noise), std.error = noise_std_error(fit), complexity = complexity(standardised_loadings(fit)),
    heywood = unname(fit$heywood)
  )
}

#' @export
print.summary.factor_fit <- function(x, digits = 3, n = 20, ...) {
  check_shown(n, digits)
  check_factor_fit(x$fit, "x$fit")
  if (!is.data.frame(x$genes) || !is.data.frame(x$factors) || !inherits(x$indices, "fit_indices")) {
    abort_input("`x` is a damaged summary; make it again.", class = "covmash_error_fit")
  }
  print_factor_head(x$fit, digits, test = FALSE)
  cat("Fit:\n")
  print_fit_indices(x$indices, digits)
  if (nrow(x$factors) > 0L) {
    cat("Factors:\n")
    print(x$factors, digits = digits, row.names = FALSE)
  }
  if (!is.null(x$fit$factor_covariance)) {
    cat("Correlations of the factors:\n")
    print(round(x$fit$factor_covariance, digits))
  }
  cat("Genes:\n")
  genes <- x$genes
  genes$gene <- short_labels(as.character(genes$gene))
  if (!any(genes$heywood)) genes$heywood <- NULL
  print(first_rows(genes, n), digits = digits, row.names = FALSE)
  if (nrow(genes) > n) cat("... and ", format_count(nrow(genes) - n), " more (n = Inf shows all)\n", sep = "")
  invisible(x)
}

noise_std_error <- function(fit, most_genes = 2000) {
  N <- fit$n_genes
  out <- rep(NA_real_, N)
  if (fit$method != "ml" || fit$n_missing > 0 || N > most_genes) {
    return(out)
  }
  P <- base::diag(nrow = N)
  if (fit$n_factors > 0L) {
    decomposition <- qr(unname(fit$loadings / sqrt(fit$noise)))
    U <- qr.Q(decomposition)[, seq_len(decomposition$rank), drop = FALSE]
    P <- P - tcrossprod(U)
  }
  free <- which(!fit$heywood)
  if (length(free) == 0L) {
    return(out)
  }
  root <- tryCatch(chol(P[free, free, drop = FALSE]^2), error = function(cnd) NULL)
  if (!is.null(root)) {
    inverse <- chol2inv(root)
    spread <- inverse[cbind(seq_along(free), seq_along(free))]
    out[free] <- unname(fit$noise[free]) * sqrt(2 / fit$n_samples * spread)
  }
  out
}

#' @rdname factor_fit-methods
#' @export
coef.factor_fit <- function(object, ...) {
  check_factor_fit(object, "object")
  object$loadings
}

#' @rdname factor_fit-methods
#' @export
logLik.factor_fit <- function(object, ...) {
  check_factor_fit(object, "object")
  structure(
    object$loglik, df = object$n_parameters, nobs = object$n_samples, class = "logLik"
  )
}

#' @rdname factor_fit-methods
#' @export
nobs.factor_fit <- function(object, ...) {
  check_factor_fit(object, "object")
  object$n_samples
}

#' @rdname factor_fit-methods
#' @export
tidy.factor_fit <- function(x, what = c("loadings", "genes"), standardised = FALSE, conf.int = FALSE,
                            conf.level = 0.95, ...) {
  check_factor_fit(x, "x")
  what <- check_choice(what, c("loadings", "genes"), "what")
  check_flag(standardised, "standardised")
  check_flag(conf.int, "conf.int")
  check_number(conf.level, "conf.level", 1e-6, 1 - 1e-6, "a number between 0 and 1")
  if (what == "genes") {
    return(gene_table(x))
  }
  K <- x$n_factors
  L <- as.vector(if (standardised) standardised_loadings(x) else x$loadings)
  table <- data.frame(
    gene = rep(gene_labels(x), times = K), factor = rep(as.character(colnames(x$loadings)), each = x$n_genes),
    estimate = L
  )
  V <- parameter_covariance(x, standardised)
  table$std.error <- if (is.null(V)) rep(NA_real_, length(L)) else standard_errors(V)[seq_along(L)]
  if (!conf.int) {
    return(table)
  }
  if (is.null(V)) {
    why <- no_standard_errors(x)
    if (is.null(why)) why <- "where the information is singular"
    warn_covmash("There are no standard errors of loadings {why}.", class = "covmash_warning_std_error")
  }
  bounds <- interval_bounds(data.frame(kind = rep("loading", length(L)), table[c("estimate", "std.error")]), conf.level)
  cbind(table, bounds)
}

#' @rdname factor_fit-methods
#' @export
glance.factor_fit <- function(x, ...) {
  check_factor_fit(x, "x")
  or_na <- function(value) if (is.null(value)) NA_real_ else value
  data.frame(
    n_factors = x$n_factors, n_genes = x$n_genes, n_samples = x$n_samples,
    logLik = x$loglik, df = x$n_parameters, AIC = stats::AIC(x), BIC = stats::BIC(x),
    statistic = or_na(x$test$statistic), df.test = or_na(x$test$df),
    p.value = or_na(x$test$p.value), n_heywood = sum(x$heywood),
    converged = x$convergence$converged, method = x$method,
    unclass(fit_indices(x))[c("cfi", "tli", "rmsea", "rmsea.conf.low", "rmsea.conf.high", "srmr")]
  )
}

#' @rdname factor_fit-methods
#' @export
augment.factor_fit <- function(x, data, ...) {
  check_factor_fit(x, "x")
  refuse_missing(missing(data), "data", "the samples, the fit does not keep them")
  scores <- factor_scores(x, data)
  colnames(scores) <- if (x$n_factors > 0L) paste0(".fs", seq_len(x$n_factors))
  data <- if (is.data.frame(data)) data else as.data.frame(as.matrix(data))
  cbind(data, as.data.frame(scores))
}
