#' Residuals and fitted values of a factor model
#'
#' What the model leaves of the correlations or covariances of the genes, and of each
#' sample.
#'
#' @param object A fit of [fit_factor_model()].
#' @param type `"correlation"` (default) or `"covariance"`: of the genes; `"casewise"`:
#'   of each sample.
#' @param data The samples (or covariance matrix) that the model was fitted to. Needed
#'   for `"casewise"`, and for the others where the fit does not keep its covariance
#'   matrix: with missing values or more than 500 genes (see `observed` in
#'   [fit_factor_model()]). Genes are found as in [factor_scores()].
#' @param ... Not used.
#' @return `residuals`: for the genes an N x N matrix, observed minus fitted; a large
#'   entry off the diagonal is a pair of genes that the factors do not explain. For
#'   samples \eqn{x - \mu - B \hat f}{x - mu - B fhat} with regression scores \eqn{\hat f}{fhat}
#'   ([factor_scores()]), a matrix like `data`. `fitted`: the fitted correlation or
#'   covariance matrix, or \eqn{\mu + B \hat f}{mu + B fhat}.
#' @details Both matrices are scaled to correlations by their own variances; the
#'   diagonal of these residuals is 0. The observed covariances have the divisor n; with
#'   missing values each is of the samples that have both genes, `NA` if none has.
#' @section Errors: `covmash_error_argument` if `data` is needed and not there; those of
#'   [factor_scores()] for `data` that do not fit; `covmash_error_fit`.
#' @seealso [fit_indices()], which sums these residuals up; `plot(fit, type =
#'   "residuals")`
#' @name factor_residuals
#' @examples
#' fit <- fit_factor_model(mtcars, n_factors = 2, n_threads = 1)
#' round(residuals(fit), 2)
#' head(residuals(fit, "casewise", data = mtcars), 3)
NULL

residual_types <- c("correlation", "covariance", "casewise")

#' @rdname factor_residuals
#' @importFrom stats residuals
#' @export
residuals.factor_fit <- function(object, type = c("correlation", "covariance", "casewise"), data = NULL, ...) {
  check_factor_fit(object, "object")
  type <- check_choice(type, residual_types, "type")
  if (type == "casewise") {
    samples <- samples_of_fit(object, data)
    return(samples$x - fitted_samples(object, samples))
  }
  observed <- observed_of_fit(object, data)
  if (type == "covariance") observed$S - fitted(object, "covariance") else observed$R - fitted(object, "correlation")
}

#' @rdname factor_residuals
#' @importFrom stats fitted
#' @export
fitted.factor_fit <- function(object, type = c("correlation", "covariance", "casewise"), data = NULL, ...) {
  check_factor_fit(object, "object")
  type <- check_choice(type, residual_types, "type")
  switch(type,
    casewise = fitted_samples(object, samples_of_fit(object, data)),
    covariance = as.matrix(object$covariance),
    correlation = as.matrix(correlation(object$covariance))
  )
}

# ---- samples ------------------------------------------------------------------

# The samples with the genes of the fit, and the means to take off: list(x, centre).
samples_of_fit <- function(fit, data) {
  refuse_missing(is.null(data), "data", "the samples, the fit does not keep them")
  x <- genes_of_fit(sample_values(data, "`data`"), fit, "data")
  list(x = x, centre = unname(if (is.null(fit$mean)) colMeans(x, na.rm = TRUE) else fit$mean))
}

fitted_samples <- function(fit, samples) {
  scores <- factor_scores(fit, samples$x)
  out <- scores %*% t(fit$loadings) + rep(samples$centre, each = nrow(samples$x))
  dimnames(out) <- dimnames(samples$x)
  out
}

# ---- observed covariances -----------------------------------------------------

# To keep in the fit; NULL where it would be large, or costly to compute.
observed_covariance <- function(sample) {
  N <- sample$n_genes
  if (N > 500L || sample$n_missing > 0 || !sample$is_covariance && sample$n * N^2 > 1e9) {
    return(NULL)
  }
  S <- if (sample$is_covariance) sample$x else sample_covariance(sample$x)
  dimnames(S) <- if (!is.null(sample$genes)) list(sample$genes, sample$genes)
  S
}

# With divisor n.
sample_covariance <- function(x) crossprod(x - rep(colMeans(x), each = nrow(x))) / nrow(x)

# What the model was fitted to: list(S, R), the covariance and the correlation matrix.
observed_of_fit <- function(fit, data = NULL) {
  S <- if (is.null(data)) fit$observed else covariance_of_data(fit, data)
  if (is.null(S)) {
    why <- if (fit$n_missing > 0) "values are missing" else "there are many genes"
    abort_input(
      "The fit does not keep its covariance matrix, as {why}; give `data`, what the model was fitted to.",
      class = "covmash_error_argument"
    )
  }
  R <- attr(S, "correlation")
  if (is.null(R)) R <- unit_correlations(S)
  attr(S, "correlation") <- NULL
  genes <- names(fit$noise)
  dimnames(S) <- dimnames(R) <- if (!is.null(genes)) list(genes, genes)
  list(S = S, R = R)
}

# Scaled by both standard deviations, 1 on the diagonal.
unit_correlations <- function(S) {
  sd <- sqrt(base::diag(S))
  R <- S / sd / rep(sd, each = nrow(S))
  base::diag(R) <- 1
  R
}

covariance_of_data <- function(fit, data) {
  x <- sample_values(data, "`data`")
  if (nrow(x) == ncol(x) && nrow(x) > 1L && !anyNA(x) && is_symmetric(x)) {
    labels <- colnames(x)
    x <- genes_of_fit(x, fit, "data")
    return(covariance_sample(if (is.null(labels)) x else x[match(colnames(x), labels), ], fit$n_samples)$x)
  }
  x <- genes_of_fit(x, fit, "data")
  check_genes_vary(x)
  if (!anyNA(x)) {
    return(sample_covariance(x))
  }
  seen <- crossprod(!is.na(x))
  S <- stats::cov(x, use = "pairwise.complete.obs") * (seen - 1) / seen
  # It warns of pairs with a variance of 0, whose correlation is missing.
  attr(S, "correlation") <- suppressWarnings(stats::cor(x, use = "pairwise.complete.obs"))
  S
}
