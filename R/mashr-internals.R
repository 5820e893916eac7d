# Unexported functions under the names of mashr's, for packages and scripts that reach them with `:::`: likelihoods and
# posteriors under matrices and weights that are given, the steps that mash() is made of, and checks of matrices. The same
# arguments and results; the work is done by the core. Those of covariances stand with the covariances.

# ---- likelihoods -------------------------------------------------------------

# J x P likelihoods of the data, on the scale on which they are, under the matrices as they are.
calc_lik_matrix <- function(data, Ulist, log = FALSE, mc.cores = NULL, algorithm.version = c("Rcpp", "R")) {
  data <- take_plain_data(data)
  model <- unscaled_model(data, Ulist)
  L <- loglik_matrix(data, model, resolve_threads(mc.cores))
  if (!is.null(names(Ulist)) && length(Ulist) > 1L) {
    colnames(L) <- names(Ulist)
  }
  if (log) L else exp(L)
}

calc_lik_matrix_common_cov <- function(data, Ulist, log = FALSE) calc_lik_matrix(data, Ulist, log)

# One estimate with the noise covariance V.
calc_lik_vector <- function(bhat, V, Ulist, log = FALSE) {
  scale <- sqrt(diag(as.matrix(V)))
  data <- mash_set_data(matrix(bhat, 1L), matrix(scale, 1L), V = stats::cov2cor(as.matrix(V)))
  as.vector(calc_lik_matrix(data, Ulist, log))
}

calc_relative_lik_matrix <- function(data, Ulist, algorithm.version = c("Rcpp", "R")) {
  relative_to_largest(calc_lik_matrix(data, Ulist, log = TRUE))
}

# b_mat and s_mat have the effects in columns; l_mat may have contrasts, s_mat is then of what they were made of.
calc_lik_rcpp <- function(b_mat, s_mat, v_mat, l_mat, U_3d, sigma_3d = NULL, logd = TRUE, common_cov = NULL, n_thread = 1L) {
  data <- data_of_columns(b_mat, s_mat, v_mat, l_mat)
  list(data = unname(calc_lik_matrix(data, slices(U_3d), isTRUE(as.logical(logd)), n_thread)), status = 0)
}

compute_vloglik_from_matrix_and_pi <- function(pi_s, lm, Shat_alpha) {
  log(as.matrix(exp(lm$loglik_matrix)) %*% pi_s) + lm$lfactors - rowSums(log(Shat_alpha))
}

compute_loglik_from_matrix_and_pi <- function(pi_s, lm, Shat_alpha) {
  sum(compute_vloglik_from_matrix_and_pi(pi_s, lm, Shat_alpha))
}

# The first component is the null one. With all the mass on it the others count alike.
compute_alt_loglik_from_matrix_and_pi <- function(pi_s, lm, Shat_alpha) {
  rest <- pi_s[-1] / (1 - pi_s[1])
  if (!all(is.finite(rest))) {
    rest <- rep(1 / length(rest), length(rest))
  }
  lm$loglik_matrix <- lm$loglik_matrix[, -1, drop = FALSE]
  compute_vloglik_from_matrix_and_pi(rest, lm, Shat_alpha)
}

compute_null_loglik_from_matrix <- function(lm, Shat_alpha) {
  lm$loglik_matrix[, 1] + lm$lfactors - rowSums(log(Shat_alpha))
}

# ---- posteriors --------------------------------------------------------------

compute_posterior_weights <- function(pi, lik_mat) {
  weighted <- lik_mat * rep(pi, each = nrow(lik_mat))
  weighted / rowSums(weighted)
}

# Under posterior weights that are given, J x P.
compute_posterior_matrices <- function(data, Ulist, posterior_weights, algorithm.version = c("Rcpp", "R"), A = NULL,
                                       output_posterior_cov = FALSE, mc.cores = NULL, posterior_samples = 0, seed = NULL) {
  data <- take_plain_data(data)
  model <- unscaled_model(data, Ulist)
  weights <- matrix_input(
    posterior_weights, "`posterior_weights`", "a numeric matrix", n_columns = length(model$Ulist),
    size = paste("have one column for each of the", plural(length(model$Ulist), "matrix", "matrices"))
  )
  joint <- joint_request(data, A, output_posterior_cov, posterior_samples, seed, summaries = TRUE)
  out <- run_core(
    cpp_posterior_under_weights(
      data, model, unname(weights), list(joint = joint, n_threads = resolve_threads(mc.cores))
    ),
    rownames(data$Bhat), names(model$Ulist)
  )
  out[intersect(posterior_parts, names(out))]
}

compute_posterior_matrices_general_R <- function(data, A, Ulist, posterior_weights, output_posterior_cov = FALSE,
                                                 posterior_samples = 0, seed = NULL) {
  compute_posterior_matrices(
    data, Ulist, posterior_weights, A = A, output_posterior_cov = output_posterior_cov,
    posterior_samples = posterior_samples, seed = seed
  )
}

compute_posterior_matrices_common_cov_R <- compute_posterior_matrices_general_R

# posterior_weights is P x J.
calc_post_rcpp <- function(b_mat, s_mat, s_alpha_mat, s_orig_mat, v_mat, l_mat, a_mat, U_3d, posterior_weights,
                           common_cov = NULL, report_type = 4L, n_thread = 1L) {
  contrasts <- length(l_mat) > 0L
  data <- data_of_columns(b_mat, if (contrasts) s_orig_mat else s_mat, v_mat, l_mat)
  if (length(s_alpha_mat) > 0L) {
    data$Shat_alpha <- t(s_alpha_mat)
    # Says that results have to be scaled.
    data$alpha <- 1
  }
  out <- compute_posterior_matrices(
    data, slices(U_3d), t(posterior_weights), A = if (length(a_mat) > 0L) a_mat, output_posterior_cov = TRUE,
    mc.cores = n_thread
  )
  list(
    post_mean = out$PosteriorMean, post_sd = out$PosteriorSD, post_cov = out$PosteriorCov, post_zero = out$lfdr,
    post_neg = out$NegativeProb
  )
}

# ---- the steps of a fit ------------------------------------------------------

optimize_pi <- function(matrix_lik, pi_init = NULL, prior = NULL, optmethod = "newton", control = list(), ...) {
  P <- ncol(matrix_lik)
  prior <- set_prior(P, if (is.null(prior)) "uniform" else prior)
  settings <- if (identical(choose_optmethod(optmethod), "newton")) newton_control(control) else newton_control(list())
  fit <- run_core(cpp_fit_weights(unname(as.matrix(matrix_lik)), prior, settings, resolve_threads()))
  warn_not_converged(fit)
  stats::setNames(fit$pi, colnames(matrix_lik))
}

# The error correlation that a fit expects, before it is scaled to one.
E_V <- function(data, m.model) {
  problem <- problem_of(m.model, data)
  model <- problem$model
  error_correlation_step(problem$data, dense_components(model), model$pi, component_names(model), resolve_threads())$V
}

fit_mash_V <- function(data, Ulist, V, prior = c("nullbiased", "uniform"), ...) {
  mash(mash_update_data(data, V = V), Ulist, prior = prior, verbose = FALSE, outputlevel = 3, ...)
}

# ---- data --------------------------------------------------------------------

mash_set_data_contrast <- function(mashdata, L) {
  data <- take_data(mashdata, "mashdata")
  size <- paste("have one column for each of the", plural(n_conditions(data), "condition"))
  given <- matrix_input(L, "`L`", "a numeric matrix", n_columns = n_conditions(data), size = size, vector = "row")
  attr(given, "reference") <- attr(L, "reference")
  contrasts_under(data, given)
}

# The covariance of the errors of effect j.
get_cov <- function(data, j) {
  contrasts <- !is.null(data$L)
  s <- if (contrasts) data$Shat_orig[j, ] else data$Shat[j, ]
  V <- if (contrasts) data$V_orig else data$V
  if (length(dim(V)) == 3L) {
    V <- V[, , j]
  }
  noise <- s * V * rep(s, each = length(s))
  if (contrasts) data$L %*% noise %*% t(data$L) else noise
}

is_common_cov_Shat <- function(data) {
  S <- if (is.null(data$L)) data$Shat else data$Shat_orig
  all(vapply(seq_len(ncol(S)), function(r) length(unique(S[, r])) == 1L, NA))
}

p2z <- function(pval, Bhat) {
  z <- -stats::qnorm(log(pval) - log(2), log.p = TRUE)
  ifelse(Bhat < 0, -z, z)
}

# ---- checks of matrices ------------------------------------------------------

issemidef <- function(X, minval = -1e-8) {
  all(eigen(as.matrix(X), symmetric = TRUE, only.values = TRUE)$values > minval)
}

check_covmat_basics <- function(x) {
  covariance_input(x, paste0("`", deparse1(substitute(x)), "`"), "no", "a numeric matrix", size = "be square")
  if (!is_symmetric(x)) {
    abort_input("`{deparse1(substitute(x))}` must be symmetric.", class = "covmash_error_covariance")
  }
  TRUE
}

check_positive_definite <- function(x) {
  covariance_input(x, paste0("`", deparse1(substitute(x)), "`"), "positive", "a numeric matrix", size = "be square")
  TRUE
}

# ---- what they share ---------------------------------------------------------

# Components that are the matrices themselves.
unscaled_model <- function(data, Ulist) {
  list(Ulist = check_ulist(Ulist, n_conditions(data), colnames(data$Bhat)), grid = 1, usepointmass = FALSE)
}

# Also a list that is no object, of which Shat_alpha, V and alpha may be left out.
take_plain_data <- function(data) {
  if (is.list(data) && !is.object(data) && all(c("Bhat", "Shat") %in% names(data))) {
    usual <- list(Shat_alpha = array(1, dim(data$Bhat)), V = diag(ncol(data$Bhat)), alpha = 0)
    data <- structure(c(data, usual[setdiff(names(usual), names(data))]), class = "mash")
  }
  take_data(data)
}

# Data of the core's matrices, effects in columns.
data_of_columns <- function(b_mat, s_mat, v_mat, l_mat) {
  b <- t(as.matrix(b_mat))
  s <- t(as.matrix(s_mat))
  if (length(l_mat) == 0L) {
    return(mash_set_data(b, s, V = as.matrix(v_mat)))
  }
  data <- contrasts_under(mash_set_data(0 * s, s, V = as.matrix(v_mat)), l_mat)
  data$Bhat[] <- b
  data
}

slices <- function(U_3d) lapply(seq_len(dim(U_3d)[3]), function(k) as.matrix(U_3d[, , k]))
