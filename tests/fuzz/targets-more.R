# Calls of the rest of the mash side: null correlation, contrasts, joint posteriors, more covariances.

target("estimate_null_correlation_simple", weight = 1, function() {
  p <- new_problem(J = between(30, 200), R = between(1, 5))
  p$Shat[] <- abs(p$Shat) + ifelse(is.na(p$Shat), NA, 0)
  p$Bhat <- p$Shat * matrix(stats::rnorm(length(p$Bhat)), nrow(p$Bhat)) + 0 * p$Bhat
  data <- quietly(covmash::mash_set_data(p$Bhat, p$Shat, V = p$V))
  args <- list(data = data, z_thresh = pick(c(2, 2, 3, 1e300)))
  if (chance(0.3)) args$rule <- "pairwise" else if (chance(0.3)) args$est_cor <- FALSE
  if (chance(0.2)) args$shrink <- pick(c(0, 0.5, 1))
  pairs <- crossprod(!is.na(p$Bhat) & abs(p$Bhat / p$Shat) < args$z_thresh)
  if (min(pairs) < 12 || sum(rowSums(abs(p$Bhat / p$Shat) >= args$z_thresh, na.rm = TRUE) == 0) < 20) {
    return(valid("estimate_null_correlation_simple", list(covmash::mash_set_data(matrix(stats::rnorm(200), 50)))))
  }
  valid("estimate_null_correlation_simple", args, function(V) {
    c(
      names_are(V, colnames(p$Bhat), colnames(p$Bhat)), check_psd(V, "V"),
      if (is.null(args$est_cor)) near(diag(as.matrix(V)), rep(1, p$R), 1e-12)
    )
  })
})

target("mash_update_data", weight = 1, function() {
  p <- new_problem(R = between(2, 5))
  p$Shat[] <- ifelse(is.na(p$Bhat), NA, stats::runif(1, 0.5, 2) * p$Shat[which(!is.na(p$Shat))[1]])
  data <- quietly(covmash::mash_set_data(p$Bhat, p$Shat, V = p$V))
  args <- list(mashdata = data, ref = pick(list(1, p$R, "mean")))
  if (chance(0.4)) args$V <- random_correlation(p$R)
  L <- covmash::contrast_matrix(p$R, args$ref)
  V <- if (is.null(args$V)) unname(p$V) else args$V
  whole <- rowSums(is.na(p$Bhat)) == 0
  if (!any(whole)) return(valid("mash_update_data", list(data, V = V), na = "Bhat|Shat"))
  valid("mash_update_data", args, na = "Bhat|Shat", check = function(d) {
    s <- p$Shat[which(whole)[1], 1]
    noise <- L %*% V %*% t(L) * s^2
    B <- unname(p$Bhat) %*% t(L)
    near(unname(d$Bhat[whole, ]), unname(B[whole, ]), 1e-12, max(abs(p$Bhat), na.rm = TRUE), "Bhat") |>
      c(near(unname(d$Shat[which(whole)[1], ]), sqrt(diag(noise)), 1e-10, max(s * sqrt(diag(V))), "Shat"))
  })
})

target("contrast_matrix", weight = 0.5, function() {
  R <- between(2, 6)
  labels <- paste0("c", seq_len(R))
  ref <- pick(list(1, R, "mean", "c1"))
  valid("contrast_matrix", list(R = R, ref = ref, name = labels), function(L) {
    c(same(dim(L), c(R - 1L, R), "dim"), near(rowSums(L), rep(0, R - 1), 1e-12, 1, "row sums"), same(colnames(L), labels))
  })
})

# A fit that knows its alpha, its data, and combinations of its conditions.
joint_problem <- function() {
  k <- full_fit_pool()
  R <- ncol(k$data$Bhat)
  Q <- between(1, 3)
  A <- matrix(sample(c(-1, 0, 1, 0.5), Q * R, TRUE), Q, dimnames = if (chance(0.5)) list(letters[seq_len(Q)], NULL))
  c(k, list(A = A))
}

target("get_posterior_condition_wise_summary", weight = 1, function() {
  k <- joint_problem()
  missing_scale <- k$data$alpha != 0 && anyNA(k$data$Shat_alpha)
  valid(
    "get_posterior_condition_wise_summary", list(k$data, k$fit, k$A), na = if (missing_scale) ".",
    check = function(out) {
      plain <- quietly(covmash::mash_compute_posterior_matrices(k$fit, k$data))
      means <- plain$PosteriorMean
      means[is.na(means)] <- 0
      c(
        same(colnames(out$PosteriorMean), rownames(k$A), "names"),
        if (!missing_scale) near(unname(out$PosteriorMean), unname(means %*% t(k$A)), 1e-8, 1 + max(abs(means)), "means"),
        yes(all(out$lfsr >= 0 & out$lfsr <= 1, na.rm = TRUE), "lfsr from 0 to 1")
      )
    }
  )
})

drawn_fit <- function() {
  k <- full_fit_pool()
  k$fit$result <- quietly(covmash::mash_compute_posterior_matrices(k$fit, k$data, posterior_samples = between(1, 5), seed = 3))
  k
}

target("get_samples", weight = 0.4, function() {
  k <- drawn_fit()
  valid("get_samples", list(k$fit), na = ".", check = function(x) same(dim(x)[1:2], dim(k$data$Bhat), "dim"))
})

target("get_pairwise_sharing_from_samples", weight = 0.5, function() {
  k <- drawn_fit()
  valid("get_pairwise_sharing_from_samples", list(k$fit, factor = pick(c(0, 0.5)), lfsr_thresh = pick(c(0.05, 0.5, 1))),
    na = "",
    check = function(S) c(same(S, t(S), "symmetry"), yes(all(S >= 0 & S <= 1, na.rm = TRUE), "from 0 to 1"))
  )
})

for (name in c("get_pp", "get_svalue", "get_qvalue", "get_logLR")) local({
  name <- name
  target(name, weight = 0.4, function() {
    k <- full_fit_pool()
    valid(name, list(k$fit), na = "", check = function(x) {
      if (name == "get_logLR" || is.null(x)) return(character())
      yes(all(x >= 0 & x <= 1, na.rm = TRUE), "from 0 to 1")
    })
  })
})

target("get_post_sample", weight = 0.1, function() {
  list(fun = "get_post_sample", args = list(full_fit_pool()$fit, 3), refused = TRUE, na = NULL, check = function(value) "no error")
})

target("cov_udi", weight = 0.6, function() {
  p <- new_problem(R = between(1, 4))
  args <- list(data_of(p))
  if (chance(0.5)) args$model <- c("D", sample(c("U", "D", "I"), p$R - 1, TRUE))
  valid("cov_udi", args, function(x) unlist(lapply(x, check_psd, what = "a matrix", tol = 1e-7)))
})

target("cov_empirical", weight = 0.6, function() {
  p <- new_problem()
  if (min(crossprod(!is.na(p$Bhat))) == 0) {
    return(list(fun = "cov_empirical", args = list(data_of(p)), refused = TRUE, na = NULL, check = function(value) "no error"))
  }
  centre <- chance(0.5)
  valid("cov_empirical", list(data_of(p), centre = centre), function(x) {
    if (anyNA(p$Bhat) || p$alpha != 0) return(check_psd(x$XX, "XX", 1e-7))
    X <- unname(p$Bhat)
    if (centre) X <- X - rep(colMeans(X), each = nrow(X))
    near(unname(x$XX), crossprod(X) / nrow(X), 1e-12, max(X^2), "XX")
  })
})

target("cov_from_factors", weight = 0.4, function() {
  f <- matrix(stats::rnorm(6), 2)
  valid("cov_from_factors", list(f, "f"), function(x) c(same(names(x), c("f_1", "f_2")), near(x$f_2, tcrossprod(f[2, ]), 1e-15)))
})

target("regularize_cov", weight = 0.4, function() {
  U <- lapply(1:2, function(i) random_U(3, pick(c("rank1", "full", "identity"))))
  valid("regularize_cov", list(U, ridge = pick(c(0, 1e-3, 1))), function(x) unlist(lapply(x, check_psd, what = "a matrix")))
})

target("sim_contrast1", draws = TRUE, weight = 0.3, function() {
  n <- between(1, 20)
  valid("sim_contrast1", list(nsamp = n, ncond = 3), function(x) same(dim(x$Chat), c(n, 3L), "dim"))
})

target("sim_contrast2", draws = TRUE, weight = 0.3, function() {
  n <- between(1, 60)
  valid("sim_contrast2", list(nsamp = n, ncond = 3), function(x) same(dim(x$Chat), c(n, 3L), "dim"))
})

target("mash_estimate_corr_em", weight = 1, function() {
  p <- new_problem(J = between(15, 60), R = between(1, 4))
  data <- data_of(p)
  args <- list(data, covmash::cov_canonical(data, "identity"), init = random_correlation(p$R), max_iter = between(0, 3), verbose = FALSE)
  if (chance(0.3)) args$est_cor <- FALSE
  if (chance(0.3)) args$details <- FALSE
  valid("mash_estimate_corr_em", args, na = paste(c("convergence", unknown_scale(p)), collapse = "|"), check = function(out) {
    V <- if (is.list(out)) out$V else out
    c(
      check_psd(V, "V", 1e-7), if (is.null(args$est_cor)) near(diag(as.matrix(V)), rep(1, p$R), 1e-12),
      if (is.list(out)) yes(all(diff(out$objective) >= 0), "the objective falls")
    )
  })
})

# flashier draws where its factors begin.
target("cov_flash", draws = TRUE, weight = 0.3, function() {
  args <- list(covmash::mash_set_data(outer(stats::rnorm(30), c(1, 1, 0)) + stats::rnorm(90) / 4))
  if (!requireNamespace("flashier", quietly = TRUE)) {
    return(list(fun = "cov_flash", args = args, refused = TRUE, na = NULL, check = function(value) "no error"))
  }
  valid("cov_flash", args, function(x) unlist(lapply(x, check_psd, what = "a matrix")))
})

# ---- deconvolution by components ------------------------------------------------------

deconvolution_args <- function(p) {
  R <- p$R
  args <- list(data = data_of(p), max_evaluations = pick(c(0, 1, 5, 30)), trial_steps = pick(c(0, 1, 3)), n_starts = between(1, 3))
  if (chance(0.3)) args$subset <- which(rowSums(!is.na(p$Bhat)) > 0)
  args$penalty <- pick(c("iw", "iw", "nuclear", "none"))
  if (chance(0.3)) args$lambda <- pick(c(0, 1e-3, 1, 1e3))
  if (args$penalty != "nuclear" && chance(0.2)) args$update <- "ed"
  if (chance(0.3)) args$accelerate <- FALSE
  if (chance(0.2)) args$weights <- stats::runif(p$J, 0.1, 3)
  if (chance(0.2)) args$refine <- "mash"
  args
}

# What is left of a noise that is far below the effects has no digit.
deconvolution_may_fail <- function(p) {
  smallest <- min(p$Shat[is.finite(p$Shat)], 1)^2 * min(eigen(p$V, symmetric = TRUE)$values)
  !(max(p$Bhat^2, na.rm = TRUE) < 1e10 * smallest)
}

check_deconvolution <- function(fit, args) {
  # Digits are lost to the noise that is smallest beside what is largest.
  own_V <- eigen(args$data$V, symmetric = TRUE)$values
  size <- max(vapply(fit$Ulist, function(U) max(diag(as.matrix(U))), 0), 0) * max(fit$fitted_g$grid)^2
  smallest <- min(args$data$Shat, na.rm = TRUE)^2 * min(own_V)
  lost <- 1e2 * eps * (max(args$data$Shat, na.rm = TRUE)^2 * max(own_V) + size) / smallest
  tol <- max(1e-7, 1e5 * eps * condition_of(args$data$V), lost)
  own <- fit$loglik + fit$penalty
  c(
    yes(min(diff(fit$objective), 0) >= -max(1e-9, lost) * max(1, abs(fit$objective)), "the objective falls"),
    near(fit$objective[length(fit$objective)], own, 1e-9, max(1, abs(own)), "objective"),
    near(sum(fit$pi), 1, 1e-9, what = "weights"),
    same(names(fit$Ulist), fit$components$name, "names"),
    unlist(lapply(names(fit$Ulist), function(name) check_psd(as.matrix(fit$Ulist[[name]]), name))),
    if (length(fit$left_out) == 0) {
      value <- quietly(covmash::mash_compute_loglik(fit, args$data))
      if (is.null(args$weights)) near(fit$loglik, value, tol, max(1, abs(value)), "log-likelihood")
    }
  )
}

target("deconvolve", weight = 4, draws = TRUE, function() {
  p <- new_problem(plain = chance(0.7))
  args <- deconvolution_args(p)
  args$n_full <- between(0, 3)
  args$n_rank1 <- between(0, 2)
  if (args$penalty != "nuclear") args$n_factor <- between(0, 1)
  if (chance(0.3)) args$q <- between(1, p$R)
  if (chance(0.2)) args$scaled <- list(a = diag(p$R))
  if (chance(0.3)) args$scales <- stats::rexp(between(1, 3)) + 0.01
  if (args$n_full + args$n_rank1 == 0 || chance(0.2)) args$fixed <- list(b = 1e-3 + diag(p$R))
  valid("deconvolve", args, na = "components|starts|best_start", may_fail = deconvolution_may_fail(p), check = function(fit) {
    check_deconvolution(fit, args)
  })
})

for (name in c("cov_ted", "cov_fa")) local({
  name <- name
  target(name, weight = 1.5, draws = TRUE, function() {
    p <- new_problem(plain = chance(0.7))
    args <- deconvolution_args(p)
    if (name == "cov_fa" && args$penalty == "nuclear") args$penalty <- "iw"
    args$K <- between(1, 4)
    if (name == "cov_ted" && chance(0.4)) args$sparse <- between(0, 4)
    if (name == "cov_ted" && chance(0.3)) args$scales <- stats::rexp(between(1, 3)) + 0.01
    if (name == "cov_ted" && chance(0.3)) args$scaled <- list()
    valid(name, args, may_fail = deconvolution_may_fail(p), check = function(U) {
      c(
        yes(all(grepl(if (name == "cov_ted") "^TED_" else "^FA_", names(U))), "names"),
        unlist(lapply(names(U), function(k) {
          c(check_psd(as.matrix(U[[k]]), k), names_are(as.matrix(U[[k]]), colnames(p$Bhat), colnames(p$Bhat), k))
        }))
      )
    })
  })
})

deconvolution_pool <- function() {
  p <- new_problem(plain = TRUE, J = between(5, 20), scaled = FALSE)
  data <- data_of(p)
  fit <- quietly(covmash::deconvolve(data, n_full = 2, n_starts = 1, max_evaluations = 3))
  list(problem = p, data = data, fit = fit)
}

for (name in c("print", "format", "summary", "nobs", "tidy", "glance")) local({
  name <- name
  target(paste0(name, ".deconvolution"), weight = 0.2, prints = name == "print", function() valid(name, list(deconvolution_pool()$fit), na = "."))
})
target("logLik.deconvolution", weight = 0.3, function() {
  one <- deconvolution_pool()
  args <- list(one$fit)
  if (chance(0.5)) args$newdata <- one$data
  valid("logLik", args, check = function(x) {
    if (length(one$fit$left_out) == 0) near(as.numeric(x), one$fit$loglik, 1e-7, max(1, abs(one$fit$loglik)), "logLik")
  })
})
target("predict.deconvolution", weight = 0.3, function() {
  one <- deconvolution_pool()
  # Missing estimates on data with alpha have no scale.
  valid("predict", list(one$fit, one$data), na = "PosteriorMean|PosteriorSD", check = function(x) same(dim(x$PosteriorMean), dim(one$data$Bhat), "shape"))
})

prints_what("print.summary.deconvolution", "print", function() summary(deconvolution_pool()$fit))
target("get_Ulist", weight = 0.4, function() {
  one <- if (chance(0.5)) deconvolution_pool() else fit_pool()
  valid("get_Ulist", list(one$fit), check = function(U) same(U, one$fit$fitted_g$Ulist, "matrices"))
})

target("cv_deconvolve", weight = 1, draws = TRUE, function() {
  p <- new_problem(plain = TRUE, J = between(8, 20), scaled = FALSE)
  args <- list(data = data_of(p), K = pick(list(1, 1:2)), n_folds = between(2, 3), n_starts = 1, max_evaluations = 3)
  if (sum(rowSums(!is.na(p$Bhat)) > 0) < 6) args$data <- covmash::mash_set_data(matrix(stats::rnorm(30), 10))
  if (chance(0.3)) args$lambda <- c(1, 4)
  valid("cv_deconvolve", args, na = "components|starts|best_start", may_fail = deconvolution_may_fail(p), check = function(cv) {
    c(yes(cv$chosen %in% cv$table$candidate, "chosen"), near(min(cv$table$behind), 0, 1e-12, what = "behind"))
  })
})
cv_pool <- function() {
  quietly(covmash::cv_deconvolve(covmash::mash_set_data(matrix(stats::rnorm(40), 10)), K = 1, n_folds = 2, n_starts = 1, max_evaluations = 2))
}
for (name in c("print", "format")) local({
  name <- name
  target(paste0(name, ".deconvolution_cv"), weight = 0.1, prints = name == "print", function() valid(name, list(cv_pool()), na = "."))
})
deconvolution_pictures <- function() {
  args <- list(deconvolution_pool()$fit)
  if (chance(0.7)) args$type <- pick(c("matrices", "eigenvalues", "vectors", "trace"))
  args
}
plots("autoplot.deconvolution", "autoplot", deconvolution_pictures, 0.2)
plots("plot.deconvolution", "plot", deconvolution_pictures, 0.2)
plots("autoplot.deconvolution_cv", "autoplot", function() list(cv_pool()), 0.1)
plots("plot.deconvolution_cv", "plot", function() list(cv_pool()), 0.1)

# ---- training, and priors to keep ----------------------------------------------------------

training_args <- function(one) {
  J <- nrow(one$data$Bhat)
  open <- sum(rowSums(!is.na(one$data$Bhat)) > 0)
  args <- list(data = one$data, n = between(1, max(open, 1)), method = pick(c("random", "top", "lead")))
  if (args$method == "lead") args$by <- sample(pick(list(1:3, letters)), J, TRUE)
  if (chance(0.3)) args$seed <- between(1, 100)
  args
}
target("select_training_effects", weight = 1, draws = TRUE, function() {
  one <- fit_pool()
  args <- training_args(one)
  open <- which(rowSums(!is.na(one$data$Bhat)) > 0)
  if (length(open) == 0) return(refused("select_training_effects", args))
  valid("select_training_effects", args, check = function(rows) {
    c(
      yes(length(rows) == args$n, "number"), yes(!anyDuplicated(rows) && all(rows %in% open), "rows"),
      near(sum(attr(rows, "weights")), length(open), 1e-9, max(1, length(open)), "weights"),
      yes(all(attr(rows, "weights") >= 1 - 1e-12), "a weight below 1")
    )
  })
})
prior_args <- function() {
  p <- new_problem(plain = TRUE, J = between(5, 20), scaled = FALSE)
  list(data = data_of(p), Ulist = p$g$Ulist)
}
prior_pool <- function() {
  args <- prior_args()
  list(data = args$data, prior = quietly(do.call(covmash::fit_mash_prior, args)))
}
target("fit_mash_prior", weight = 1, function() {
  args <- prior_args()
  open <- rowSums(!is.na(args$data$Bhat)) > 0
  if (chance(0.5)) {
    args$rows <- sample(nrow(args$data$Bhat), between(1, nrow(args$data$Bhat)))
    if (chance(0.5)) attr(args$rows, "weights") <- stats::runif(length(args$rows), 1, 3)
  }
  if (!any(open)) return(refused("fit_mash_prior", args))
  valid("fit_mash_prior", args, na = "loglik", may_fail = TRUE, check = function(prior) {
    c(near(sum(prior$fitted_g$pi), 1, 1e-8, what = "weights"), yes(all(names(prior$fitted_g$Ulist) %in% names(args$Ulist)), "names"))
  })
})
target("apply_mash_prior", weight = 1, function() {
  one <- prior_pool()
  valid("apply_mash_prior", list(data = one$data, prior = one$prior), na = "Posterior|objective|convergence|timing", check = function(fit) {
    plain <- quietly(covmash::mash_compute_posterior_matrices(one$prior, one$data))
    near(fit$result$lfsr, plain$lfsr, 1e-9, what = "lfsr")
  })
})
for (name in c("print", "format")) local({
  name <- name
  target(paste0(name, ".mash_prior"), weight = 0.2, prints = name == "print", function() valid(name, list(prior_pool()$prior), na = "."))
})
for (name in c("as_mvsusie_prior", "as_mrmash_prior")) local({
  name <- name
  target(name, weight = 0.4, function() {
    fit <- switch(sample.int(3, 1), fit_pool()$fit, deconvolution_pool()$fit, prior_pool()$prior)
    g <- fit$fitted_g
    alone <- name == "as_mvsusie_prior" && g$usepointmass && all(g$pi[-1] <= 1e-10)
    if (alone) return(refused(name, list(fit = fit)))
    valid(name, list(fit = fit), check = function(x) {
      near(sum(x[[length(x)]]), 1, 1e-9, what = "weights")
    })
  })
})
target("check_mash_data", weight = 0.7, function() {
  p <- new_problem(plain = chance(0.6))
  valid("check_mash_data", list(data_of(p)), check = function(x) {
    c(
      same(names(x), c("check", "level", "n", "finding", "advice"), "columns"), yes(all(x$n >= (x$check != "strong effects")), "counts"),
      yes(all(x$level %in% c("problem", "note")), "levels"), yes(!anyNA(x) && !any(grepl("NA", x$finding)), "texts")
    )
  })
})
