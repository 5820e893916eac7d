# The correlation of the errors between conditions, learned from effects that look null.

#' Correlation of the errors, from effects that look null
#'
#' Estimates of one effect in several conditions often share samples, so that
#' their errors correlate. Where an effect is null in all conditions its
#' z-scores are errors and nothing else; `estimate_null_correlation_simple()`
#' correlates the z-scores of effects that look like that.
#'
#' @param data A data object made by [mash_set_data()], with `V` not yet known. It should
#'   hold a random sample of effects, not chosen ones. A [source][mash_source()] stands for a sample of it.
#' @param z_thresh An effect looks null if its z-scores are below this in absolute
#'   value.
#' @param est_cor `TRUE` (default) for a correlation matrix, `FALSE` for a covariance
#'   matrix of the z-scores (`rule = "all"` only).
#' @param rule `"all"` (default, the rule of mashr): the effects that look null in all
#'   conditions. With many conditions hardly any does, and those that do are chosen
#'   so narrowly that correlations are far too small. `"pairwise"`: for each pair of
#'   conditions the effects that look null in both, and the correlation that makes
#'   them most likely, given that both z-scores are below the threshold. It works
#'   with 100 conditions too, and has no bias from the truncation.
#' @param shrink How far to shrink towards independence, from 0 to 1: the result is
#'   `(1 - shrink) V + shrink diag(V)`. `NULL` (default): not at all if the matrix is
#'   well conditioned, else as little as brings its smallest eigenvalue, as a
#'   correlation matrix, to 0.0001, with a warning.
#' @return An R x R matrix with the names of the conditions, positive definite, for
#'   `V` of [mash_set_data()] or [mash_update_data()].
#' @details Missing estimates are left out: an effect looks null if all that are
#'   observed do, and pairs of observed z-scores are used.
#'
#'   For `"pairwise"`, with \eqn{\phi_\rho} the bivariate normal density of unit
#'   variances and correlation \eqn{\rho}, and \eqn{P(\rho)} the probability that both
#'   are within the threshold c, each correlation maximises
#'   \deqn{\sum \log \phi_\rho(z_r, z_s) - n \log P(\rho)}{
#'   sum log phi_rho(z_r, z_s) - n log P(rho)}
#'   over the n effects with \eqn{|z_r|, |z_s| < c}. The matrix of these is moved to the
#'   nearest correlation matrix if it is none ([nearest_covariance()]).
#' @section Errors: `covmash_error_null` if fewer effects look null than there are
#'   conditions (or, pairwise, fewer than ten in some pair), or if they have the same z-score
#'   everywhere in some condition. A warning of class
#'   `covmash_warning_shrunk` says that the matrix was shrunk, and how far.
#' @section Differences from mashr: The result is always positive definite. `rule` and
#'   `shrink` are new.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51,
#'   187-195, Methods. \doi{10.1038/s41588-018-0268-8}
#' @seealso [mash_estimate_corr_em()], [mash_update_data()]
#' @concept sample overlap
#' @export
#' @examples
#' set.seed(1)
#' V <- matrix(c(1, 0.5, 0.5, 1), 2)
#' z <- matrix(rnorm(2000), ncol = 2) %*% chol(V)
#' data <- mash_set_data(z)
#' estimate_null_correlation_simple(data)
#' estimate_null_correlation_simple(data, rule = "pairwise")
estimate_null_correlation_simple <- function(data, z_thresh = 2, est_cor = TRUE,
                                             rule = c("all", "pairwise"), shrink = NULL) {
  data <- take_effects(data)$data
  check_number(z_thresh, "z_thresh", .Machine$double.xmin, what = "a number above 0")
  check_flag(est_cor, "est_cor")
  rule <- check_choice(rule, c("all", "pairwise"), "rule")
  check_number(shrink, "shrink", 0, 1, "a number from 0 to 1", null_ok = TRUE)
  if (rule == "pairwise" && !est_cor) {
    abort_input(
      "`est_cor = FALSE` needs `rule = \"all\"`; the pairwise rule takes the errors to have variance 1.",
      class = "covmash_error_argument"
    )
  }
  z <- data$Bhat / data$Shat
  V <- if (rule == "all") null_covariance(z, z_thresh) else pairwise_correlations(z, z_thresh)
  refuse_constant(V, colnames(z))
  if (est_cor) {
    V <- stats::cov2cor(V)
  }
  dimnames(V) <- if (!is.null(colnames(z))) list(colnames(z), colnames(z))
  shrink_correlation(V, shrink)
}

# Covariances of the z-scores of the rows in which all observed ones are below the threshold.
null_covariance <- function(z, z_thresh) {
  extreme <- abs(z) >= z_thresh
  extreme[is.na(extreme)] <- FALSE
  null <- rowSums(extreme) == 0 & rowSums(!is.na(z)) > 0
  if (sum(null) < max(ncol(z), 2L)) {
    refuse_few_null(sum(null), max(ncol(z), 2L), z_thresh)
  }
  z <- z[null, , drop = FALSE]
  if (!anyNA(z)) {
    return(stats::cov(z))
  }
  pairs <- crossprod(!is.na(z))
  refuse_few_pairs(pairs, 2, z_thresh, colnames(z))
  stats::cov(z, use = "pairwise.complete.obs")
}

refuse_few_null <- function(n, needed, z_thresh) {
  abort_input(
    "Only {plural(n, 'effect')} of `data` look null (all z-scores below {format(z_thresh)} in size), but at least ",
    "{needed} are needed; raise `z_thresh`, give more effects, or use rule = \"pairwise\".",
    class = "covmash_error_null"
  )
}

refuse_constant <- function(V, labels) {
  constant <- which(!(diag(V) > 0))
  if (length(constant) > 0L) {
    abort_input(
      "The effects of `data` that look null have the same z-score everywhere in {label_index('condition', constant[1], labels)}, ",
      "which therefore has no correlation with others; leave it out, or make missing estimates NA.",
      class = "covmash_error_null"
    )
  }
}

refuse_few_pairs <- function(pairs, needed, z_thresh, labels) {
  if (all(pairs >= needed)) {
    return(invisible(NULL))
  }
  at <- which(pairs < needed, arr.ind = TRUE)[1, ]
  where <- paste(label_index("condition", at[1], labels), "and", label_index("condition", at[2], labels))
  abort_input(
    "Only {plural(pairs[at[1], at[2]], 'effect')} of `data` look null (z-scores below {format(z_thresh)} in size) and are ",
    "observed in both {where}, but at least {needed} are needed; raise `z_thresh` or give more effects.",
    class = "covmash_error_null"
  )
}

# ---- pair by pair --------------------------------------------------------------

pairwise_correlations <- function(z, z_thresh) {
  sums <- null_sums(z, z_thresh)
  refuse_few_pairs(sums$n, 10, z_thresh, colnames(z))
  box <- box_probability(z_thresh)
  R <- ncol(z)
  V <- diag(R)
  begin_steps("Correlations, pairs of conditions", R * (R - 1) / 2)
  for (i in seq_len(R - 1L)) {
    for (j in seq(i + 1L, R)) {
      next_step()
      rho <- pair_correlation(
        sums$n[i, j], sums$squares[i, j] + sums$squares[j, i], sums$products[i, j], box
      )
      V[i, j] <- V[j, i] <- rho
    }
  }
  if (is_covariance(V)) V else nearest_covariance(V, keep_diag = TRUE)
}

# For each pair of conditions over the rows in which both are observed and below the threshold: their number n, the
# sum of squares of the first one, and of products. In blocks of rows.
null_sums <- function(z, z_thresh) {
  R <- ncol(z)
  sums <- list(n = matrix(0, R, R), squares = matrix(0, R, R), products = matrix(0, R, R))
  for (rows in split_rows(nrow(z), max(1, 1e7 %/% R))) {
    block <- unname(z[rows, , drop = FALSE])
    inside <- !is.na(block) & abs(block) < z_thresh
    block[!inside] <- 0
    sums$n <- sums$n + crossprod(inside)
    sums$squares <- sums$squares + crossprod(block^2, inside)
    sums$products <- sums$products + crossprod(block)
  }
  sums
}

# The correlation at which n pairs with these sums of squares and products are most likely, given that they are in
# the box.
pair_correlation <- function(n, squares, products, box) {
  loglik <- function(rho) {
    -n / 2 * log1p(-rho^2) - (squares - 2 * rho * products) / (2 * (1 - rho^2)) - n * log(box(rho))
  }
  stats::optimize(loglik, c(-0.999, 0.999), maximum = TRUE, tol = 1e-8)$maximum
}

# P(|x|, |y| < c) of standard normal x and y with correlation rho: Gauss-Legendre over x.
box_probability <- function(c) {
  rule <- gauss_legendre(80)
  # Beyond 9 there is 1e-19 of x.
  reach <- min(c, 9)
  x <- reach * rule$nodes
  weight <- reach * rule$weights * stats::dnorm(x)
  function(rho) {
    sd <- sqrt(1 - rho^2)
    sum(weight * (stats::pnorm((c - rho * x) / sd) - stats::pnorm((-c - rho * x) / sd)))
  }
}

# Nodes and weights on [-1, 1]: Golub and Welsch 1969, doi:10.1090/S0025-5718-69-99647-1.
gauss_legendre <- function(n) {
  k <- seq_len(n - 1L)
  off <- k / sqrt(4 * k^2 - 1)
  J <- matrix(0, n, n)
  J[cbind(k, k + 1L)] <- off
  J[cbind(k + 1L, k)] <- off
  parts <- eigen(J, symmetric = TRUE)
  list(nodes = parts$values, weights = 2 * parts$vectors[1, ]^2)
}

# ---- positive definite -----------------------------------------------------------

# Towards independence; unasked only as far as it must be. Variances stay.
shrink_correlation <- function(V, shrink, least = 1e-4) {
  if (is.null(shrink)) {
    smallest <- min_eigenvalue(stats::cov2cor(V))
    if (smallest >= least) {
      return(V)
    }
    # (1 - shrink) smallest + shrink = least
    shrink <- (least - smallest) / (1 - smallest)
    warn_covmash(
      "The correlation matrix is close to singular (smallest eigenvalue {format(smallest, digits = 2)}) and was shrunk ",
      "towards independence by {format(shrink, digits = 2)}; more effects, or fewer conditions, would do without.",
      class = "covmash_warning_shrunk"
    )
  }
  off <- row(V) != col(V)
  V[off] <- (1 - shrink) * V[off]
  V
}
