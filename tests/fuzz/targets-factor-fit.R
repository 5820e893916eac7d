# Calls of what users do with fits of factor models: rotations, residuals, indices, standard errors, draws, pictures.

have_GPArotation <- requireNamespace("GPArotation", quietly = TRUE)

fitted_sigma <- function(fit) {
  F <- if (is.null(fit$factor_covariance)) diag(ncol(fit$loadings)) else unname(fit$factor_covariance)
  B <- unname(fit$loadings)
  B %*% F %*% t(B) + diag(unname(fit$noise), length(fit$noise))
}

# Fits by maximum likelihood to complete data: those that have standard errors and a test.
ml_fit_pool <- function(k = sample.int(12, 1)) {
  fixed("likelihood_fit", k, function() {
    N <- c(4, 6, 8)[k %% 3 + 1]
    K <- if (k == 1) 0 else if (N >= 6) 2 else 1
    x <- new_samples(c(40, 60)[k %% 2 + 1], N, max(K, 1))
    rotation <- c("none", "varimax", "promax", if (have_GPArotation) "oblimin" else "none")[k %% 4 + 1]
    list(x = x, fit = quietly(covmash::fit_factor_model(x, K, rotation = rotation)))
  })
}

# A fit with the data that it needs for its residuals.
fit_and_data <- function() {
  one <- if (chance(0.5)) factor_fit_pool() else ml_fit_pool()
  one$needs <- anyNA(one$x)
  one
}

target("rotate_factors", weight = 1.5, function() {
  one <- fit_and_data()
  K <- one$fit$n_factors
  L <- one$fit$loadings
  rotation <- pick(list(
    "varimax", "promax", "none", if (have_GPArotation) "oblimin" else "none", if (have_GPArotation) "geominT" else "varimax",
    diag(K), diag(K) + 0.3, L, L / sqrt(one$fit$variance), list(loadings = L)
  ))
  if (is.matrix(rotation) && nrow(rotation) != ncol(rotation) && K == 0) rotation <- "none"
  valid("rotate_factors", list(one$fit, rotation), na = "objective|test|convergence|observed", check = function(v) {
    c(
      near_matrix(v$covariance, unname(as.matrix(one$fit$covariance)), 1e-8, "covariance"),
      near(diag(fitted_sigma(v)), diag(unname(as.matrix(v$covariance))), 1e-8, 0, "variances"),
      if (!is.null(v$factor_covariance)) near(diag(v$factor_covariance), rep(1, K), 1e-6, what = "variances of factors")
    )
  })
})

for (name in c("residuals.factor_fit", "fitted.factor_fit")) local({
  name <- name
  generic <- sub("[.].*", "", name)
  target(name, weight = 0.8, function() {
    one <- fit_and_data()
    type <- pick(c("correlation", "covariance", "casewise"))
    args <- list(one$fit, type = type)
    if (generic == "residuals" && one$needs || type == "casewise" || chance(0.2)) args$data <- one$x
    Sigma <- fitted_sigma(one$fit)
    valid(generic, args, na = if (one$needs || type == "casewise") "", check = function(v) {
      if (type == "casewise") return(yes(identical(dim(v), dim(one$x)), "shape"))
      wanted <- if (type == "covariance") Sigma else stats::cov2cor(Sigma)
      if (generic == "residuals") {
        if (one$needs) return(names_are(v, colnames(one$x), colnames(one$x)))
        S <- stats::cov(one$x) * (nrow(one$x) - 1) / nrow(one$x)
        wanted <- (if (type == "covariance") S else stats::cov2cor(S)) - wanted
      }
      c(near(unname(v), unname(wanted), 1e-9, max(abs(Sigma)), "matrix"), names_are(v, colnames(one$x), colnames(one$x)))
    })
  })
})

target("fit_indices", weight = 1, function() {
  one <- fit_and_data()
  args <- list(one$fit, bartlett = chance(0.5), level = pick(c(0.5, 0.9, 0.99)))
  if (chance(0.3)) args$data <- one$x
  valid("fit_indices", args, na = "chisq|df|p.value|cfi|tli|rmsea|srmr|rmsr", check = function(v) {
    inside <- is.na(v$rmsea) || v$rmsea.conf.low <= v$rmsea + 1e-9 && v$rmsea <= v$rmsea.conf.high + 1e-9
    c(
      near(v$BIC, stats::BIC(one$fit), 1e-12, what = "BIC"), yes(inside || args$level < 0.6, "RMSEA outside of its interval"),
      yes(is.na(v$cfi) || v$cfi >= 0 && v$cfi <= 1, "CFI outside of 0 to 1"),
      yes(!is.na(v$chisq) || length(v$notes) > 0, "no reason is said")
    )
  })
})

target("vcov.factor_fit", weight = 1, function() {
  one <- fit_and_data()
  valid("vcov", list(one$fit, standardised = chance(0.5)), may_fail = TRUE, na = "", check = function(v) {
    free <- !is.na(diag(v))
    c(
      yes(isSymmetric(v), "not symmetric"), check_psd(v[free, free], "vcov", 1e-6),
      yes(nrow(v) >= length(one$fit$loadings) + one$fit$n_genes, "shape")
    )
  })
})

target("confint.factor_fit", weight = 0.7, function() {
  one <- fit_and_data()
  args <- list(one$fit, level = pick(c(0.5, 0.95)), standardised = chance(0.5))
  if (chance(0.4)) args$parm <- 1
  valid("confint", args, may_fail = TRUE, na = "", check = function(v) {
    yes(all(is.na(v) | v[, 1] <= v[, 2] + 1e-12), "bounds the wrong way round")
  })
})

target("tidy.factor_fit", weight = 0.7, function() {
  one <- fit_and_data()
  args <- list(one$fit)
  if (chance(0.5)) args$conf.int <- TRUE
  if (chance(0.5)) args$standardised <- TRUE
  valid("tidy", args, na = "std.error|conf", check = function(v) {
    wanted <- one$fit$loadings
    if (!is.null(args$standardised)) wanted <- wanted / sqrt(one$fit$variance)
    same(v$estimate, as.vector(wanted), "estimates")
  })
})

target("simulate.factor_fit", draws = TRUE, weight = 0.7, function() {
  one <- fit_and_data()
  nsim <- between(0, 3)
  args <- list(one$fit, nsim)
  if (chance(0.5)) args$seed <- between(1, 1000)
  valid("simulate", args, check = function(v) {
    c(
      yes(length(v) == nsim, "number of data sets"), yes(!is.null(attr(v, "seed")), "no seed"),
      if (nsim > 0) names_are(v[[1]], NULL, colnames(one$x), "data"),
      if (nsim > 0) same(dim(v[[1]]), c(as.integer(one$fit$n_samples), one$fit$n_genes), "shape")
    )
  })
})

target("augment.factor_fit", weight = 0.4, function() {
  one <- fit_and_data()
  valid("augment", list(one$fit, as.data.frame(one$x)), na = ".", check = function(v) {
    yes(ncol(v) == ncol(one$x) + one$fit$n_factors, "columns")
  })
})

# ---- printing and pictures ----------------------------------------------------------------------------

target("print.factor_fit", prints = TRUE, weight = 0.6, function() {
  fit <- fit_and_data()$fit
  args <- list(fit)
  if (chance(0.5)) args$cutoff <- pick(c(0, 0.3, 2))
  if (chance(0.5)) args$sort <- chance(0.5)
  if (chance(0.3)) args$n <- pick(c(0, 2, Inf))
  valid("print", args, na = ".", check = function(v) same(v, fit, "what print() returns"))
})
prints_what("print.fit_indices", "print", function() covmash::fit_indices(fit_and_data()$fit))
prints_what("summary.factor_selection", "summary", function() selection_pool(), FALSE, 0.2)
prints_what("print.summary.factor_selection", "print", function() summary(selection_pool()))

fit_pictures <- function() {
  one <- fit_and_data()
  types <- c("loadings", "communality", "residuals", "scree", "correlations", "network")
  if (one$fit$n_factors == 0) types <- setdiff(types, c("loadings", "correlations"))
  args <- list(one$fit, type = pick(types))
  if (one$needs && args$type %in% c("residuals", "scree")) args$data <- one$x
  args
}
plots("autoplot.factor_fit", "autoplot", fit_pictures, 0.3)
plots("plot.factor_fit", "plot", fit_pictures, 0.03)
