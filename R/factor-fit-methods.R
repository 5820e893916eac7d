#' Look at and use a fitted factor model
#'
#' @param object,x A fit of [fit_factor_model()].
#' @param newdata Samples: a matrix with the genes of the fit in columns; see
#'   [factor_scores()].
#' @param method,... `predict`: as in [factor_scores()]. Otherwise not used.
#' @param digits Number of digits shown, from 1 to 22.
#' @param n Show at most so many genes.
#' @param what `tidy`: `"loadings"` (default), one row for each gene and factor;
#'   `"genes"`, one row for each gene.
#' @return * `coef`: the loadings \eqn{B}, N x K.
#'   * `logLik`: the log-likelihood, of class `"logLik"`, so that [stats::AIC()] and
#'   [stats::BIC()] work; `nobs`: the number of samples.
#'   * `predict`: the factor scores of new samples.
#'   * `summary`: a list of class `"summary.factor_fit"` with `genes`, a data frame of
#'   `gene`, `variance`, `communality`, `noise`, `std.error` (of the noise variance) and
#'   `heywood`, and `factors`: sums of squared loadings of the standardised genes and the
#'   proportion of the variance explained.
#'   * `tidy`: columns `gene`, `factor`, `estimate`; or those of `summary()$genes`.
#'   * `glance`: one row with `n_factors`, `n_genes`, `n_samples`, `logLik`, `df`, `AIC`,
#'   `BIC`, `statistic`, `df.test`, `p.value`, `n_heywood`, `converged`, `method`.
#'   * `format`: one line of text; `print`: `x`, invisibly.
#' @details `print` shows what `plot` draws: loadings of the standardised genes, those of
#'   each factor together, strongest first, the genes with the largest communality if
#'   there are more than `n`; a dot stands for a loading below 0.1. `coef` has the loadings in
#'   units of the data.
#'
#'   `residuals`, `fitted`, `vcov`, `confint`, `simulate` and `augment` do not exist for these
#'   fits, nor `tidy`, `glance`, `augment`, `logLik` and `nobs` for a result of
#'   [select_n_factors()]: they are errors of class `covmash_error_unsupported` that say
#'   what to use. A damaged fit is an error of class `covmash_error_fit`.
#'
#'   Standard errors of the noise variances are those of the expected
#'   information: with \eqn{P = I - U U'}, \eqn{U} an orthonormal basis of \eqn{D^{-1/2} B},
#'   the covariance matrix of \eqn{\log D}{log D} is \eqn{(2/n) (P \circ P)^{-1}}{(2/n) (P o P)^-1}
#'   (Lawley and
#'   Maxwell 1971, section 5.3). Given for `"ml"` and complete data with up to 2000
#'   genes; Heywood genes are held fixed and have none. They assume that the model
#'   holds, normal data and n large against N.
#' @name factor_fit-methods
#' @examples
#' fit <- fit_factor_model(cor(mtcars), n_factors = 2, n_samples = 32)
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
print.factor_fit <- function(x, digits = 3, n = 6, ...) {
  check_factor_fit(x, "x")
  check_shown(n, digits)
  print_factor_head(x, digits)
  if (x$n_factors > 0L && n > 0) print_loadings(x, n)
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

# The loadings as they are drawn. Lines have at most 80 characters.
print_loadings <- function(x, n) {
  L <- standardised_loadings(x)
  shown <- genes_shown(L, x$uniquenesses, n)
  labels <- gene_labels(x)[shown]
  long <- nchar(labels, "width") > 20L
  labels[long] <- paste0(strtrim(labels[long], 17L), "...")
  width <- max(nchar(colnames(L), "width"), 5L) + 1L
  factors <- seq_len(min(ncol(L), (78L - max(nchar(labels, "width"))) %/% width))
  cells <- sprintf("%.2f", L[shown, factors])
  cells[abs(L[shown, factors]) < 0.1] <- "."
  table <- matrix(cells, nrow = length(shown), dimnames = list(labels, colnames(L)[factors]))
  cat("  loadings of the standardised genes (. below 0.1):\n")
  print(table, quote = FALSE, right = TRUE)
  print_more(nrow(L) - length(shown))
  if (length(factors) < ncol(L)) cat("  (", plural(ncol(L) - length(factors), "factor"), " more)\n", sep = "")
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

print_factor_head <- function(x, digits) {
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
  if (!is.null(x$test)) {
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
  genes <- data.frame(
    gene = gene_labels(object), variance = unname(object$variance),
    communality = unname(1 - object$uniquenesses), noise = unname(object$noise),
    std.error = noise_std_error(object), heywood = unname(object$heywood)
  )
  # Squares of the standardised loadings; after promax factors overlap and the sums
  # are of each factor alone.
  squares <- colSums(object$loadings^2 / object$variance)
  factors <- data.frame(
    factor = if (object$n_factors > 0L) colnames(object$loadings) else character(),
    ss_loadings = unname(squares), proportion = unname(squares) / object$n_genes
  )
  structure(list(fit = object, genes = genes, factors = factors), class = "summary.factor_fit")
}

#' @export
print.summary.factor_fit <- function(x, digits = 3, n = 20, ...) {
  check_shown(n, digits)
  check_factor_fit(x$fit, "x$fit")
  if (!is.data.frame(x$genes) || !is.data.frame(x$factors)) {
    abort_input("`x` is a damaged summary; make it again.", class = "covmash_error_fit")
  }
  print_factor_head(x$fit, digits)
  if (nrow(x$factors) > 0L) {
    cat("Factors:\n")
    print(x$factors, digits = digits, row.names = FALSE)
  }
  if (!is.null(x$fit$factor_covariance)) {
    cat("Correlations of the factors:\n")
    print(round(x$fit$factor_covariance, digits))
  }
  cat("Genes:\n")
  print(first_rows(x$genes, n), digits = digits, row.names = FALSE)
  print_more(nrow(x$genes) - n)
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
tidy.factor_fit <- function(x, what = c("loadings", "genes"), ...) {
  check_factor_fit(x, "x")
  what <- check_choice(what, c("loadings", "genes"), "what")
  if (what == "genes") {
    return(summary(x)$genes)
  }
  K <- x$n_factors
  data.frame(
    gene = rep(gene_labels(x), times = K),
    factor = rep(as.character(colnames(x$loadings)), each = x$n_genes),
    estimate = as.vector(x$loadings)
  )
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
    converged = x$convergence$converged, method = x$method
  )
}

# ---- what does not exist ----------------------------------------------------

# Without these methods the defaults of stats would answer NULL, or fail on their own terms.

#' @importFrom stats residuals
#' @export
residuals.factor_fit <- function(object, ...) {
  abort_unsupported(
    "residuals() of a factor fit", user_frame(),
    "it does not keep the samples: take factor_scores(fit, newdata) and subtract mean and loadings times scores"
  )
}

#' @importFrom stats fitted
#' @export
fitted.factor_fit <- function(object, ...) {
  abort_unsupported(
    "fitted() of a factor fit", user_frame(),
    "use fit$covariance for the fitted covariance matrix, predict() or factor_scores() for the factors of samples"
  )
}

#' @importFrom stats vcov
#' @export
vcov.factor_fit <- function(object, ...) {
  abort_unsupported(
    "vcov() of a factor fit", user_frame(),
    "use summary() for the standard errors of noise variances, fit$covariance for the covariance of the genes"
  )
}

#' @importFrom stats confint
#' @export
confint.factor_fit <- function(object, parm, level = 0.95, ...) {
  abort_unsupported(
    "confint() of a factor fit", user_frame(), "use summary() for the standard errors of noise variances"
  )
}

#' @importFrom stats simulate
#' @export
simulate.factor_fit <- function(object, nsim = 1, seed = NULL, ...) {
  abort_unsupported(
    "simulate() of a factor fit", user_frame(), "use rfactor_cov(n, fit$covariance), and add fit$mean"
  )
}

#' @rdname factor_fit-methods
#' @param data Not used.
#' @export
augment.factor_fit <- function(x, data, ...) {
  abort_unsupported(
    "augment() of a factor fit", user_frame(), "use predict() or factor_scores() for the factors of samples"
  )
}
