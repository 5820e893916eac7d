#' Standard errors of a factor model
#'
#' Covariance matrix of the estimated loadings, factor correlations and noise variances,
#' and confidence intervals for them, also after rotation.
#'
#' @param object A fit of [fit_factor_model()] by maximum likelihood, to complete data.
#' @param standardised `FALSE`: loadings as [coef()][factor_fit-methods] gives them and
#'   noise variances, in units of the data. `TRUE`: loadings of the standardised genes and
#'   uniquenesses, as `print` shows them; the genes' standard deviations count as
#'   estimated.
#' @param parm Names or positions of parameters, all if missing.
#' @param level Confidence level.
#' @param ... Not used.
#' @return `vcov`: a square matrix; `confint`: a matrix with a row for each parameter and
#'   columns for the bounds. Parameters are named as in lavaan: `"Factor1=~gene"` for a
#'   loading, `"Factor1~~Factor2"` for the correlation of two factors (after an oblique
#'   rotation), `"gene~~gene"` for a noise variance or uniqueness. Loadings first, factor by
#'   factor.
#' @details With \eqn{I} the expected information of \eqn{n} normal samples about
#'   \eqn{\theta = (B, F, D)} and \eqn{H = \partial h / \partial \theta'}{H = dh/dtheta'} the derivatives of
#'   the conditions \eqn{h(\theta) = 0} that single out the rotation, the covariance
#'   matrix is the upper left block of the inverse of \eqn{[I, H'; H, 0]} (Silvey 1959;
#'   Jennrich 1973, 1974). The conditions, for loadings \eqn{L} of the standardised genes:
#'   * not rotated: \eqn{L' U^{-1} L} is diagonal, \eqn{U} the uniquenesses;
#'   * orthogonal, with \eqn{G} the derivatives of the criterion by \eqn{L}: \eqn{L' G} is
#'   symmetric; oblique: \eqn{L' G F^{-1}} is diagonal. With Kaiser's normalisation
#'   \eqn{L} is normalised. For varimax, quartimax, oblimin, quartimin, geomin, bentler,
#'   cf, equamax and parsimax;
#'   * promax: that of varimax, and the delta method for the step from there.
#'
#'   Heywood genes have their noise variance held fixed. Loadings of factors that the
#'   data hardly tell apart have large standard errors without rotation.
#'
#'   Intervals are normal for loadings, for logarithms of noise variances, logits of
#'   uniquenesses and Fisher's z of factor correlations. They assume that the model
#'   holds, normal data, and n large against N. For others, draw data by
#'   [simulate()][simulate.factor_fit] and fit again.
#' @section Errors: `covmash_error_unsupported` where there are no standard errors (other
#'   methods, missing values, other rotations, more than 1000 parameters), with the reason;
#'   `covmash_error_numeric` if the information is singular; `covmash_error_index` for
#'   `parm`; `covmash_error_fit`.
#' @references Silvey SD (1959). The Lagrangian multiplier test. *Annals of Mathematical
#'   Statistics* 30, 389-407. \doi{10.1214/aoms/1177706259}
#'
#'   Jennrich RI (1973). Standard errors for obliquely rotated factor loadings.
#'   *Psychometrika* 38, 593-604. \doi{10.1007/BF02291497}
#'
#'   Jennrich RI (1974). Simplified formulae for standard errors in maximum-likelihood factor
#'   analysis. *British Journal of Mathematical and Statistical Psychology* 27, 122-131.
#'   \doi{10.1111/j.2044-8317.1974.tb00533.x}
#' @name factor_vcov
#' @examples
#' fit <- fit_factor_model(mtcars, n_factors = 2, rotation = "varimax", n_threads = 1)
#' confint(fit, c("Factor1=~mpg", "mpg~~mpg"), standardised = TRUE)
#' tidy(fit, standardised = TRUE, conf.int = TRUE)[1:3, ]
NULL

#' @rdname factor_vcov
#' @importFrom stats vcov
#' @export
vcov.factor_fit <- function(object, standardised = FALSE, ...) {
  check_factor_fit(object, "object")
  check_flag(standardised, "standardised")
  parameter_covariance(object, standardised, stop = TRUE)
}

#' @rdname factor_vcov
#' @importFrom stats confint
#' @export
confint.factor_fit <- function(object, parm, level = 0.95, standardised = FALSE, ...) {
  V <- vcov.factor_fit(object, standardised)
  check_number(level, "level", 1e-6, 1 - 1e-6, "a number between 0 and 1")
  table <- parameter_table(object, standardised)
  table$std.error <- standard_errors(V)
  bounds <- as.matrix(interval_bounds(table, level))
  tails <- c((1 - level) / 2, (1 + level) / 2)
  dimnames(bounds) <- list(rownames(V), paste(format(100 * tails, trim = TRUE, digits = 3), "%"))
  if (missing(parm)) {
    return(bounds)
  }
  bounds[resolve_index(parm, nrow(bounds), rownames(bounds), "parm", "parameter"), , drop = FALSE]
}

# What is estimated, in the order of vcov(): kind, name and estimate.
parameter_table <- function(fit, standardised) {
  L <- if (standardised) standardised_loadings(fit) else fit$loadings
  genes <- gene_labels(fit)
  factors <- as.character(colnames(fit$loadings))
  pairs <- factor_pairs(fit)
  data.frame(
    kind = rep(
      c("loading", "correlation", if (standardised) "uniqueness" else "noise"), c(length(L), nrow(pairs), length(genes))
    ),
    name = c(
      paste0(rep(factors, each = length(genes)), rep("=~", length(L)), rep(genes, times = length(factors))),
      if (nrow(pairs) > 0L) paste0(factors[pairs[, 1]], "~~", factors[pairs[, 2]]), paste0(genes, "~~", genes)
    ),
    estimate = c(
      as.vector(L), if (nrow(pairs) > 0L) fit$factor_covariance[pairs],
      unname(if (standardised) fit$uniquenesses else fit$noise)
    )
  )
}

# Pairs of correlated factors, first < second.
factor_pairs <- function(fit) {
  K <- if (is.null(fit$factor_covariance)) 0L else fit$n_factors
  at <- which(upper.tri(matrix(0, K, K)), arr.ind = TRUE)
  unname(at)
}

standard_errors <- function(V) {
  variance <- base::diag(V)
  unname(ifelse(variance > 0, sqrt(pmax(variance, 0)), NA_real_))
}

# conf.low and conf.high of a parameter_table() with std.error; noise variances have logarithms, uniquenesses
# below 1 logits.
interval_bounds <- function(table, level) {
  reach <- stats::qnorm((1 + level) / 2) * table$std.error
  x <- table$estimate
  low <- x - reach
  high <- x + reach
  at <- table$kind == "correlation" & abs(x) < 1
  low[at] <- tanh(atanh(x[at]) - reach[at] / (1 - x[at]^2))
  high[at] <- tanh(atanh(x[at]) + reach[at] / (1 - x[at]^2))
  at <- table$kind == "noise" & x > 0
  low[at] <- x[at] * exp(-reach[at] / x[at])
  high[at] <- x[at] * exp(reach[at] / x[at])
  at <- table$kind == "uniqueness" & x > 0 & x < 1
  low[at] <- stats::plogis(stats::qlogis(x[at]) - reach[at] / (x[at] * (1 - x[at])))
  high[at] <- stats::plogis(stats::qlogis(x[at]) + reach[at] / (x[at] * (1 - x[at])))
  data.frame(conf.low = low, conf.high = high)
}

# ---- the covariance matrix ------------------------------------------------------

most_parameters <- 1000

# NULL, or an error that says why, where there is none.
parameter_covariance <- function(fit, standardised, stop = FALSE) {
  why <- no_standard_errors(fit)
  if (!is.null(why)) {
    if (!stop) {
      return(NULL)
    }
    abort_unsupported(
      paste0("vcov() ", why), user_frame(),
      "draw data by simulate() and fit them again, or use summary() for the standard errors of noise variances"
    )
  }
  V <- covariance_under_conditions(fit, standardised)
  if (is.null(V) && stop) {
    rlang::abort(
      "The information about the parameters is singular: the data do not determine them; use fewer factors.",
      class = core_error_class("numeric"), call = user_frame()
    )
  }
  V
}

# In words that go on after "vcov()"; NULL if there are some.
no_standard_errors <- function(fit) {
  size <- length(fit$loadings) + fit$n_genes
  if (fit$method != "ml") {
    paste0("of a fit by method '", fit$method, "'")
  } else if (fit$n_missing > 0) {
    "of a fit to data with missing values"
  } else if (size > most_parameters) {
    paste("of more than", most_parameters, "parameters")
  } else if (fit$n_factors >= 2L && is.null(rotation_conditions(fit))) {
    paste0("after rotation '", fit$rotation, "', whose criterion is not known,")
  }
}

covariance_under_conditions <- function(fit, standardised) {
  at <- information_point(fit)
  info <- parameter_information(at)
  G <- log_variance_derivatives(at)
  H <- by_parameters(condition_derivatives(at, rotation_conditions(fit)), at, G)
  # A noise variance at its floor stays there.
  fixed <- which(fit$heywood)
  if (length(fixed) > 0L) {
    hold <- matrix(0, length(fixed), ncol(info))
    hold[cbind(seq_along(fixed), ncol(info) - fit$n_genes + fixed)] <- 1
    H <- rbind(H, hold)
  }
  V <- constrained_inverse(info, H)
  if (is.null(V)) {
    return(NULL)
  }
  to_estimates <- estimates_map(fit, at, G, standardised)
  # J V J', by rows twice; J itself is large.
  V <- to_estimates(t(to_estimates(V / fit$n_samples)))
  # What is fixed has no error; rounding leaves a little.
  at_floor <- nrow(V) - fit$n_genes + fixed
  V[at_floor, ] <- V[, at_floor] <- NA_real_
  labels <- parameter_table(fit, standardised)$name
  dimnames(V) <- list(labels, labels)
  (V + t(V)) / 2
}

# The parameters, in units in which every gene has variance 1: those of the conditions, after promax of the
# varimax loadings that it starts from.
information_point <- function(fit) {
  L <- unname(standardised_loadings(fit))
  F <- fit$factor_covariance
  K <- ncol(L)
  if (fit$rotation == "promax" && K >= 2L) {
    # As promax() itself calls varimax().
    A <- unname(unrotated_loadings(fit) / sqrt(fit$variance))
    L <- A %*% unname(stats::varimax(A)$rotmat)
    F <- NULL
  }
  list(L = L, F = if (is.null(F)) base::diag(K) else unname(F), u = unname(fit$uniquenesses), oblique = !is.null(F))
}

# The expected information of one normal sample about loadings, correlations of the factors and noise variances:
# with M the inverse of Sigma, tr(M S_i M S_j) / 2 for the derivatives S_i of Sigma.
parameter_information <- function(at) {
  L <- at$L
  N <- nrow(L)
  K <- ncol(L)
  C <- L %*% at$F
  M <- base::solve(L %*% at$F %*% t(L) + base::diag(at$u, N))
  MC <- M %*% C
  rows <- rep(seq_len(N), times = K)
  columns <- rep(seq_len(K), each = N)
  loading <- kronecker(crossprod(C, MC), M) + MC[rows, columns, drop = FALSE] * t(MC[rows, columns, drop = FALSE])
  loading_noise <- M[rows, , drop = FALSE] * t(MC[, columns, drop = FALSE])
  noise <- M^2 / 2
  if (!at$oblique) {
    return(rbind(cbind(loading, loading_noise), cbind(t(loading_noise), noise)))
  }
  pairs <- which(upper.tri(at$F), arr.ind = TRUE)
  k <- pairs[, 1]
  l <- pairs[, 2]
  V <- crossprod(L, M %*% L)
  X <- crossprod(C, M %*% L)
  Y <- M %*% L
  correlation <- V[k, k, drop = FALSE] * V[l, l, drop = FALSE] + V[k, l, drop = FALSE] * V[l, k, drop = FALSE]
  loading_correlation <- X[columns, k, drop = FALSE] * Y[rows, l, drop = FALSE] +
    X[columns, l, drop = FALSE] * Y[rows, k, drop = FALSE]
  noise_correlation <- Y[, k, drop = FALSE] * Y[, l, drop = FALSE]
  rbind(
    cbind(loading, loading_correlation, loading_noise),
    cbind(t(loading_correlation), correlation, t(noise_correlation)),
    cbind(t(loading_noise), noise_correlation, noise)
  )
}

# N x parameters: derivatives, by the parameters of information_point(), of the logarithms of the genes'
# variances, which are 1 there.
log_variance_derivatives <- function(at) {
  N <- nrow(at$L)
  rows <- rep(seq_len(N), times = ncol(at$L))
  pairs <- if (at$oblique) which(upper.tri(at$F), arr.ind = TRUE) else matrix(0L, 0, 2)
  loading <- matrix(0, N, length(rows))
  loading[cbind(rows, seq_along(rows))] <- 2 * as.vector(at$L %*% at$F)
  cbind(
    loading, 2 * at$L[, pairs[, 1], drop = FALSE] * at$L[, pairs[, 2], drop = FALSE], base::diag(nrow = N)
  )
}

# Positions of the loadings and of the noise variances among p parameters, and the gene of each loading.
positions <- function(L, p) {
  N <- nrow(L)
  list(loading = seq_along(L), noise = p - N + seq_len(N), gene = rep(seq_len(N), times = ncol(L)))
}

# Standardised loadings change by those of the loadings less half of the logarithm of the variance, uniquenesses
# likewise less all of it. H has derivatives by them; this gives those by the parameters.
by_parameters <- function(H, at, G) {
  where <- positions(at$L, ncol(G))
  share <- H[, where$noise, drop = FALSE] * rep(at$u, each = nrow(H))
  loading <- H[, where$loading, drop = FALSE] * rep(as.vector(at$L) / 2, each = nrow(H))
  for (k in seq_len(ncol(at$L))) {
    share <- share + loading[, (k - 1) * nrow(at$L) + seq_len(nrow(at$L)), drop = FALSE]
  }
  H - share %*% G
}

# A function that turns changes of the parameters of information_point(), in the columns of a matrix, into those of
# what parameter_table() has.
estimates_map <- function(fit, at, G, standardised) {
  promax <- if (fit$rotation == "promax" && fit$n_factors >= 2L) promax_map(at, fit)
  deviation <- unname(sqrt(fit$variance))
  L <- as.vector(standardised_loadings(fit))
  function(M) {
    change <- G %*% M
    where <- positions(at$L, nrow(M))
    gene <- where$gene
    loading <- M[where$loading, , drop = FALSE] - as.vector(at$L) * change[gene, , drop = FALSE] / 2
    noise <- M[where$noise, , drop = FALSE] - at$u * change
    correlation <- M[-c(where$loading, where$noise), , drop = FALSE]
    if (!is.null(promax)) {
      correlation <- promax$correlation %*% loading
      loading <- promax$loading(loading)
    }
    if (!standardised) {
      loading <- deviation[gene] * (loading + L * change[gene, , drop = FALSE] / 2)
      noise <- deviation^2 * (noise + at$u * change)
    }
    rbind(loading, correlation, noise)
  }
}

# Z (Z' I Z)^-1 Z', Z a basis of what H leaves free, without Z: with A = I + H'H,
# A^-1 - A^-1 H' (H A^-1 H')^-1 H A^-1. NULL if it is singular.
constrained_inverse <- function(info, H) {
  scale <- 1 / sqrt(base::diag(info))
  info <- info * scale * rep(scale, each = nrow(info))
  H <- H * rep(scale, each = nrow(H))
  H <- H / sqrt(rowSums(H^2))
  root <- tryCatch(chol(info + crossprod(H)), error = function(cnd) NULL)
  if (is.null(root) || min(base::diag(root)) < 1e-7) {
    return(NULL)
  }
  V <- chol2inv(root)
  if (nrow(H) > 0L) {
    W <- V %*% t(H)
    inner <- tryCatch(chol2inv(chol(H %*% W)), error = function(cnd) NULL)
    if (is.null(inner)) {
      return(NULL)
    }
    V <- V - W %*% inner %*% t(W)
  }
  V * scale * rep(scale, each = nrow(V))
}

# ---- conditions of rotations ---------------------------------------------------

# A function of (L, F, u) that is 0 where the loadings of the standardised genes are those of the
# rotation; NULL where the criterion is not known.
rotation_conditions <- function(fit) {
  rotation <- fit$rotation
  if (rotation == "none" || fit$n_factors < 2L) {
    return(function(L, F, u) off_diagonal(crossprod(L, L / u)))
  }
  criterion <- rotation_gradient(rotation, fit$rotation_arguments, fit$n_genes, fit$n_factors)
  if (is.null(criterion)) {
    return(NULL)
  }
  function(L, F, u) {
    if (criterion$normalize) L <- L / sqrt(rowSums((L %*% F) * L))
    G <- crossprod(L, criterion$gradient(L))
    if (is_oblique(rotation) && rotation != "promax") {
      X <- G %*% solve_or_nan(F)
      return(c(off_diagonal(X), off_diagonal(t(X))))
    }
    off_diagonal(G - t(G))
  }
}

off_diagonal <- function(X) X[upper.tri(X)]

# The gradient of a criterion by the loadings (Bernaards and Jennrich 2005), and whether they are normalised.
# NULL where it is not known, or with arguments that say more than parameters of the criterion.
rotation_gradient <- function(rotation, arguments, N, K) {
  parameters <- list(
    varimax = character(), promax = "m", quartimax = character(), oblimin = "gam", quartimin = character(),
    geominT = "delta", geominQ = "delta", bentlerT = character(), bentlerQ = character(), cfT = "kappa", cfQ = "kappa",
    equamax = "kappa", parsimax = "kappa"
  )
  search <- c("normalize", "eps", "maxit", "randomStarts", "Tmat", "algorithm", "fwindow")
  if (!rotation %in% names(parameters) || !all(names(arguments) %in% c(search, parameters[[rotation]]))) {
    return(NULL)
  }
  argument <- function(name, default) if (is.null(arguments[[name]])) default else arguments[[name]]
  normalize <- argument("normalize", rotation %in% c("varimax", "promax"))
  if (!isTRUE(normalize) && !isFALSE(normalize)) {
    return(NULL)
  }
  kappa <- argument("kappa", switch(rotation, equamax = K / (2 * N), parsimax = (K - 1) / (N + K - 2), 0))
  gam <- argument("gam", 0)
  delta <- argument("delta", 0.01)
  centred <- function(X, share) X - share * rep(colMeans(X), each = nrow(X))
  gradient <- switch(sub("[TQ]$", "", rotation),
    varimax = , promax = function(L) -L * centred(L^2, 1),
    quartimax = function(L) -L^3,
    oblimin = , quartimin = function(L) L * centred(rowSums(L^2) - L^2, gam),
    geomin = function(L) L / (L^2 + delta) * exp(rowMeans(log(L^2 + delta))),
    bentler = function(L) {
      M <- crossprod(L^2)
      -L * (L^2 %*% (solve_or_nan(M) - base::diag(1 / base::diag(M))))
    },
    function(L) (1 - kappa) * L * (rowSums(L^2) - L^2) + kappa * L * (rep(colSums(L^2), each = nrow(L)) - L^2)
  )
  list(gradient = gradient, normalize = normalize)
}

solve_or_nan <- function(M) tryCatch(base::solve(M), error = function(cnd) NaN * M)

# By (L, F off the diagonal, u), by central differences.
condition_derivatives <- function(at, conditions) {
  K <- ncol(at$L)
  upper <- which(upper.tri(at$F))
  if (!at$oblique) upper <- integer()
  x <- c(at$L, at$F[upper], at$u)
  if (K < 2L) {
    return(matrix(0, 0, length(x)))
  }
  evaluate <- function(x) {
    F <- at$F
    F[upper] <- x[length(at$L) + seq_along(upper)]
    F[lower.tri(F)] <- t(F)[lower.tri(F)]
    conditions(matrix(x[seq_along(at$L)], ncol = K), F, x[length(x) - length(at$u) + seq_along(at$u)])
  }
  central_differences(evaluate, x, pmin(1e-5, 0.01 * c(rep(1, length(x) - length(at$u)), at$u)))
}

central_differences <- function(f, x, step) {
  columns <- lapply(seq_along(x), function(i) {
    h <- replace(numeric(length(x)), i, step[i])
    (f(x + h) - f(x - h)) / (2 * step[i])
  })
  do.call(cbind, columns)
}

# ---- promax ---------------------------------------------------------------------

# Hendrickson and White's step from the varimax loadings V: loadings are V U, factor correlations (U'U)^-1.
promax_step <- function(V, m) {
  U <- qr.coef(qr(V), V * abs(V)^(m - 1))
  U * rep(sqrt(base::diag(base::solve(crossprod(U)))), each = ncol(U))
}

# What changes of the varimax loadings make of the loadings, a function, and of the factor correlations, a matrix;
# in the order and with the signs of the fit.
promax_map <- function(at, fit) {
  m <- if (is.null(fit$rotation_arguments$m)) 4 else fit$rotation_arguments$m
  N <- nrow(at$L)
  K <- ncol(at$L)
  U <- promax_step(at$L, m)
  # Which of its columns, and with which sign, each factor of the fit is.
  alike <- cosines(at$L %*% U, unname(standardised_loadings(fit)))
  columns <- apply(abs(alike), 2, which.max)
  signs <- sign(alike[cbind(columns, seq_len(K))])
  step <- function(x) {
    U <- promax_step(matrix(x, N), m)[, columns] * rep(signs, each = K)
    F <- base::solve(crossprod(U))
    c(U, F[upper.tri(F)])
  }
  J <- central_differences(step, as.vector(at$L), rep(1e-6, length(at$L)))
  U <- U[, columns] * rep(signs, each = K)
  # d(VU) = dV U + V dU
  list(
    loading = function(M) {
      dU <- J[seq_len(K^2), ] %*% M
      blocks <- lapply(seq_len(K), function(k) {
        out <- at$L %*% dU[(k - 1) * K + seq_len(K), , drop = FALSE]
        for (l in seq_len(K)) out <- out + U[l, k] * M[(l - 1) * N + seq_len(N), , drop = FALSE]
        out
      })
      do.call(rbind, blocks)
    },
    correlation = J[-seq_len(K^2), , drop = FALSE]
  )
}

# Of the columns of A with those of B.
cosines <- function(A, B) crossprod(A, B) / sqrt(outer(colSums(A^2), colSums(B^2)))
