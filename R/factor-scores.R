#' Factor scores
#'
#' Estimates the factors of each sample from its observed genes.
#'
#' @param fit A fit of [fit_factor_model()].
#' @param newdata Samples: a matrix with samples in rows and the genes of the fit in
#'   columns, `NA` where missing. If both have names, genes are found by name in any
#'   order, and other columns left out; else they are taken in order. Usually the data the
#'   model was fitted to, which the fit does not keep.
#' @param method `"regression"` (Thomson): the mean of the factors given the sample,
#'   shrunk towards 0. `"bartlett"`: weighted least squares, unbiased.
#' @return A matrix, samples x factors. A sample without values has scores 0
#'   (`"regression"`) or `NA` (`"bartlett"`, also where fewer genes than factors are
#'   observed).
#' @details With \eqn{O} the observed genes, \eqn{r = x_O - \mu_O} and \eqn{J = B_O' D_O^{-1}
#'   B_O},
#'   \deqn{\hat f = (F^{-1} + J)^{-1} B_O' D_O^{-1} r \quad (regression), \qquad
#'   \hat f = J^{-1} B_O' D_O^{-1} r \quad (Bartlett).}{
#'   fhat = (F^-1 + J)^-1 B_O' D_O^-1 r (regression),
#'   fhat = J^-1 B_O' D_O^-1 r (Bartlett).}
#'   The means are those of the fit. A fit to a covariance matrix has none: the
#'   column means of `newdata` are used, as [stats::factanal()] does. Needs \eqn{D > 0}.
#' @section Errors: `covmash_error_dimensions` if `newdata` has other genes than the
#'   fit, `covmash_error_names` if a gene is not there or a name is not unique,
#'   `covmash_error_fit` if `fit` is none or damaged.
#' @references Thomson GH (1951). *The Factorial Analysis of Human Ability*. University
#'   of London Press.
#'
#'   Bartlett MS (1937). The statistical conception of mental factors. *British Journal
#'   of Psychology* 28, 97-104. \doi{10.1111/j.2044-8295.1937.tb00863.x}
#' @export
#' @examples
#' x <- as.matrix(mtcars)
#' fit <- fit_factor_model(x, n_factors = 2, n_threads = 1)
#' head(factor_scores(fit, x))
factor_scores <- function(fit, newdata, method = c("regression", "bartlett")) {
  check_factor_fit(fit)
  method <- check_choice(method, c("regression", "bartlett"), "method")
  if (missing(newdata)) {
    abort_input(
      "`newdata` is missing; give the samples, the fit does not keep them.",
      class = "covmash_error_argument"
    )
  }
  x <- genes_of_fit(sample_values(newdata, "`newdata`"), fit)
  centre <- if (is.null(fit$mean)) colMeans(x, na.rm = TRUE) else fit$mean
  r <- x - rep(unname(centre), each = nrow(x))
  scores <- run_core(cpp_factor_scores(
    fit$loadings, fit$factor_covariance, fit$noise, r, method == "bartlett", resolve_threads()
  ))
  dimnames(scores) <- list(rownames(x), colnames(fit$loadings))
  scores
}

# Names decide; by position only where one side has none. Further columns are left out.
genes_of_fit <- function(x, fit, name = "newdata") {
  genes <- names(fit$noise)
  theirs <- colnames(x)
  if (is.null(genes) || is.null(theirs) || identical(genes, theirs)) {
    if (ncol(x) != fit$n_genes) {
      abort_input(
        "`{name}` must have one column for each of the {plural(fit$n_genes, 'gene')} of the fit, but it has ",
        "{ncol(x)}.",
        class = "covmash_error_dimensions"
      )
    }
    return(x)
  }
  missing <- unique(genes[!genes %in% theirs])
  if (length(missing) > 0L) {
    abort_input(
      "`{name}` must have the genes of the fit, but there is no column {quote_some(missing)} ",
      "(its columns: {quote_some(theirs)}).",
      class = "covmash_error_names"
    )
  }
  twice <- unique(c(genes[duplicated(genes)], theirs[duplicated(theirs) & theirs %in% genes]))
  if (length(twice) > 0L) {
    abort_input(
      "Genes are matched by name, but the name {quote_some(twice)} is there more than once; put the columns of ",
      "`{name}` in the order of the fit and leave their names out.",
      class = "covmash_error_names"
    )
  }
  x[, match(genes, theirs), drop = FALSE]
}

#' @rdname factor_fit-methods
#' @export
predict.factor_fit <- function(object, newdata, method = c("regression", "bartlett"), ...) {
  factor_scores(object, newdata, method)
}
