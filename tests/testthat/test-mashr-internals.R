# Unexported functions under mashr's names, against the plain-R model.

internal <- function(name) getFromNamespace(name, "covmash")

test_that("likelihoods of matrices as they are", {
  sim <- small_data(J = 40, R = 4, shat = "varying", missing = 0.1)
  U <- lapply(cov_canonical(sim$data), function(u) 1.7 * u)
  L <- internal("calc_lik_matrix")(sim$data, U, log = TRUE)
  truth <- reference_by_component(sim$data$Bhat, sim$data$Shat, diag(4), U)
  expect_close(L, truth$loglik, 1e-10)
  expect_identical(colnames(L), names(U))
  expect_equal(internal("calc_lik_matrix")(sim$data, U), exp(L))
  relative <- internal("calc_relative_lik_matrix")(sim$data, U)
  expect_equal(relative$loglik_matrix + relative$lfactors, L)
  one <- internal("calc_lik_vector")(sim$Bhat[1, ], diag(sim$Shat[1, ]^2), U, log = TRUE)
  expect_close(one, reference_by_component(sim$Bhat[1, , drop = FALSE], sim$Shat[1, , drop = FALSE], diag(4), U)$loglik[1, ], 1e-10)
})

test_that("log-likelihoods from a likelihood matrix are those of the fit", {
  sim <- small_data(J = 60, R = 3, shat = "varying", alpha = 1)
  m <- mash(sim$data, cov_canonical(sim$data), outputlevel = 4, verbose = FALSE)
  expect_close(internal("compute_vloglik_from_matrix_and_pi")(m$fitted_g$pi, m$lm, sim$data$Shat_alpha), m$vloglik, 1e-10)
  expect_close(internal("compute_alt_loglik_from_matrix_and_pi")(m$fitted_g$pi, m$lm, sim$data$Shat_alpha), m$alt_loglik, 1e-10)
  expect_close(internal("compute_null_loglik_from_matrix")(m$lm, sim$data$Shat_alpha), m$null_loglik, 1e-10)
  expect_close(internal("compute_loglik_from_matrix_and_pi")(m$fitted_g$pi, m$lm, sim$data$Shat_alpha), m$loglik, 1e-10)
})

test_that("posteriors under the weights that a fit has are those of the fit", {
  for (alpha in c(0, 1)) {
    sim <- small_data(J = 50, R = 4, shat = "varying", missing = 0.1, alpha = alpha)
    m <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE, outputlevel = 3, output_lfdr = TRUE)
    weights <- get_posterior_weights(m, sim$data)
    components <- internal("expand_cov")(m$fitted_g$Ulist, m$fitted_g$grid)[attr(weights, "component")]
    out <- internal("compute_posterior_matrices")(sim$data, components, weights, output_posterior_cov = TRUE)
    for (part in names(out)) expect_equal(out[[part]], m$result[[part]], tolerance = 1e-8, info = part)
    A <- rbind(first = c(1, -1, 0, 0), mean = rep(0.25, 4))
    of_A <- internal("compute_posterior_matrices")(sim$data, components, weights, A = A)
    expect_equal(of_A, mash_compute_posterior_matrices(m, sim$data, A = A)[names(of_A)], tolerance = 1e-8)
  }
})

test_that("posteriors under any weights are those of the plain model", {
  sim <- small_data(J = 30, R = 3, shat = "varying")
  U <- lapply(cov_canonical(sim$data), function(u) 2 * u)
  W <- abs(sin(outer(1:30, seq_along(U))))
  W <- W / rowSums(W)
  out <- internal("compute_posterior_matrices_general_R")(sim$data, NULL, U, W)
  truth <- reference_by_component(sim$Bhat, sim$Shat, diag(3), U)
  mean <- apply(truth$mean, 2, function(m) rowSums(m * W))
  expect_close(out$PosteriorMean, mean, 1e-10)
  second <- apply(truth$variance + truth$mean^2, 2, function(m) rowSums(m * W))
  expect_close(out$PosteriorSD, sqrt(second - mean^2), 1e-8)
  expect_error(internal("compute_posterior_matrices")(sim$data, U, W[, 1:2]), class = "covmash_error_dimensions")
})

test_that("the compiled functions' arguments: effects in columns", {
  sim <- small_data(J = 20, R = 3, shat = "varying")
  none <- matrix(0, 0, 0)
  V <- 0.2 + 0.8 * diag(3)
  data <- mash_set_data(sim$Bhat, sim$Shat, V = V)
  U <- cov_canonical(data)
  cube <- simplify2array(U)
  L <- internal("calc_lik_rcpp")(t(sim$Bhat), t(sim$Shat), V, none, cube, 0, TRUE, FALSE)$data
  expect_equal(L, unname(internal("calc_lik_matrix")(data, U, log = TRUE)))
  W <- matrix(1 / length(U), 20, length(U))
  post <- internal("calc_post_rcpp")(t(sim$Bhat), t(sim$Shat), none, none, V, none, diag(3), cube, t(W), FALSE, 4)
  out <- internal("compute_posterior_matrices")(data, U, W, output_posterior_cov = TRUE)
  expect_equal(post$post_mean, out$PosteriorMean, ignore_attr = TRUE)
  expect_equal(post$post_cov, out$PosteriorCov, ignore_attr = TRUE)
  contrasts <- mash_update_data(data, ref = 1)
  of_contrasts <- cov_canonical(contrasts)
  L <- internal("calc_lik_rcpp")(t(contrasts$Bhat), t(sim$Shat), V, contrasts$L, simplify2array(of_contrasts), 0, TRUE, FALSE)$data
  expect_equal(L, unname(internal("calc_lik_matrix")(contrasts, of_contrasts, log = TRUE)))
})

test_that("contrasts under any matrix, and the covariance of their errors", {
  sim <- small_data(J = 20, R = 4, shat = "varying")
  L <- rbind(early = c(1, 1, -1, -1) / 2, ends = c(1, 0, 0, -1))
  made <- internal("mash_set_data_contrast")(sim$data, L)
  expect_close(made$Bhat, tcrossprod(sim$Bhat, L), 1e-14)
  noise <- L %*% diag(sim$Shat[3, ]^2) %*% t(L)
  expect_close(internal("get_cov")(made, 3), noise, 1e-13)
  expect_close(made$Shat[3, ], sqrt(diag(noise)), 1e-13)
  expect_false(internal("is_common_cov_Shat")(made))
  expect_true(internal("is_common_cov_Shat")(mash_set_data(sim$Bhat, 1)))
  expect_identical(colnames(made$Bhat), rownames(L))
})

test_that("steps of a fit: weights, the correlation of errors", {
  sim <- small_data(J = 80, R = 3, shat = "varying")
  U <- cov_canonical(sim$data)
  m <- mash(sim$data, U, verbose = FALSE, outputlevel = 4, prior = "uniform")
  pi <- internal("optimize_pi")(exp(m$lm$loglik_matrix))
  expect_close(pi, m$fitted_g$pi, 1e-4)
  expect_identical(names(pi), names(m$fitted_g$pi))
  V <- internal("E_V")(sim$data, m)
  cov <- mash(sim$data, g = m, fixg = TRUE, outputlevel = 3, verbose = FALSE)$result
  Z <- sim$Bhat / sim$Shat
  M <- cov$PosteriorMean / sim$Shat
  direct <- (crossprod(Z - M) + Reduce(`+`, lapply(1:80, function(j) cov$PosteriorCov[, , j] / tcrossprod(sim$Shat[j, ])))) / 80
  expect_close(unname(V), unname(direct), 1e-8)
  expect_s3_class(internal("fit_mash_V")(sim$data, U, 0.1 + 0.9 * diag(3)), "mash_fit")
})

test_that("checks of matrices", {
  x <- diag(2)
  expect_true(internal("issemidef")(x))
  expect_false(internal("issemidef")(-x))
  expect_true(internal("check_covmat_basics")(x))
  expect_error(internal("check_covmat_basics")(matrix(1:4 + 0, 2)), "`matrix.*symmetric", class = "covmash_error_covariance")
  expect_error(internal("check_positive_definite")(matrix(1, 2, 2)), class = "covmash_error_covariance")
  expect_close(internal("p2z")(c(0.05, 1e-300), c(-1, 2)), c(qnorm(0.025), -qnorm(log(5e-301), log.p = TRUE)), 1e-12)
})
