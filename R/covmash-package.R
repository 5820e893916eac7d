#' covmash: multivariate adaptive shrinkage and factor-model covariances
#'
#' Many effects (rows) are measured in several conditions (columns), each with
#' an estimate and a standard error. covmash learns how effects are shared
#' between the conditions from all rows at once, and uses it to improve every
#' estimate: posterior means, standard deviations and local false sign rates.
#'
#' @section The model:
#' For effect \eqn{j}, with \eqn{R} conditions,
#' \deqn{\hat b_j \mid b_j \sim N(b_j, S_j V S_j), \qquad
#'   b_j \sim \pi_0 \delta_0 + \sum_{k,l} \pi_{kl} N(0, \omega_l^2 U_k),}{
#'   bhat_j | b_j ~ N(b_j, S_j V S_j),
#'   b_j ~ pi_0 delta_0 + sum_{k,l} pi_kl N(0, omega_l^2 U_k),}
#' where \eqn{S_j} is the diagonal matrix of standard errors, \eqn{V} the
#' correlation of the errors, \eqn{U_k} a list of covariance matrices (patterns
#' of sharing) and \eqn{\omega_l} a grid of effect sizes. The weights
#' \eqn{\pi} are estimated by maximum penalised likelihood, the rest is exact
#' Gaussian algebra (Urbut et al. 2019).
#'
#' @section The usual steps:
#' 1. [mash_set_data()]: put estimates and standard errors together.
#' 2. [mash_1by1()], [get_significant_results()]: find strong rows.
#' 3. [cov_canonical()], [cov_pca()], [cov_ed()], [cov_ted()]: covariance matrices.
#' 4. [mash()]: fit the weights, compute the posterior.
#' 5. [get_pm()], [get_psd()], [get_lfsr()], [get_pairwise_sharing()], `plot()`,
#'    `as.data.frame()`: look at the results.
#'
#' Or in one call, from files or a data object: [mash_pipeline()]. Data that do not fit into memory stay in files:
#' [mash_source()].
#'
#' @section Factor models:
#' The covariance matrix of many genes is held by its loadings and noise
#' variances ([factor_covariance()]): inverses, densities, conditional
#' distributions and partial correlations follow without forming it.
#' [fit_factor_model()] fits it to data, with or without missing values.
#'
#' @section Names and threads:
#' Function and argument names are those of the mashr package, so that its
#' scripts run. Each help page has a section "Differences from mashr" where the
#' two behave differently. How many threads are used: [covmash_threads].
#'
#' @references
#' Urbut SM, Wang G, Carbonetto P, Stephens M (2019). Flexible statistical
#' methods for estimating and testing effects in genomic studies with multiple
#' conditions. *Nature Genetics* 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#'
#' Stephens M (2017). False discovery rates: a new deal. *Biostatistics* 18(2),
#' 275-294. \doi{10.1093/biostatistics/kxw041}
#'
#' Bovy J, Hogg DW, Roweis ST (2011). Extreme deconvolution: inferring complete
#' distribution functions from noisy, heterogeneous and incomplete observations.
#' *Annals of Applied Statistics* 5(2B), 1657-1677. \doi{10.1214/10-AOAS439}
#'
#' @useDynLib covmash, .registration = TRUE
#' @importFrom Rcpp evalCpp
#' @importFrom rlang .data
#' @importFrom stats logLik median nobs pnorm predict quantile rnorm update
#' @keywords internal
"_PACKAGE"
