# Samples of a factor model and its likelihood in plain, slow R.

sample_factor_model <- function(n, N, K, strength = 1, seed = 1) {
  set.seed(seed)
  B <- matrix(rnorm(N * K, sd = strength), N)
  noise <- runif(N, 0.3, 2)
  x <- matrix(rnorm(n * K), n) %*% t(B) + matrix(rnorm(n * N), n) * rep(sqrt(noise), each = n)
  colnames(x) <- paste0("g", seq_len(N))
  x
}

# Log-likelihood row by row, from the observed entries.
plain_factor_loglik <- function(x, Sigma, mean) {
  sum(apply(x, 1, function(row) {
    seen <- !is.na(row)
    if (!any(seen)) return(0)
    S <- Sigma[seen, seen, drop = FALSE]
    r <- (row - mean)[seen]
    log_det <- as.numeric(determinant(S)$modulus)
    -0.5 * (sum(seen) * log(2 * pi) + log_det + sum(r * base::solve(S, r)))
  }))
}

# log|Sigma| + tr(Sigma^-1 R), with the best loadings for uniquenesses psi.
profile_criterion <- function(R, psi, K) {
  A <- R / sqrt(outer(psi, psi))
  top <- pmax(eigen(A, symmetric = TRUE, only.values = TRUE)$values[seq_len(K)], 1)
  sum(log(psi)) + sum(diag(R) / psi) + sum(log(top) + 1 - top)
}

tight_factanal <- list(opt = list(factr = 1, pgtol = 0, maxit = 5000), lower = 0.005)

# NULL where factanal gives up.
try_factanal <- function(R, K, n, control = NULL) {
  tryCatch(
    stats::factanal(covmat = R, factors = K, n.obs = n, rotation = "none", control = control),
    error = function(cnd) NULL
  )
}

quiet_fit <- function(...) {
  withCallingHandlers(
    fit_factor_model(..., n_threads = 1),
    covmash_warning_heywood = function(cnd) invokeRestart("muffleWarning")
  )
}
