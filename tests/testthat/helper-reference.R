# The mash model in plain, slow, dense R: the truth that the package is held against.
#
#   bhat_j | b_j ~ N(b_j, V_j),  V_j = S_j V S_j;    b_j ~ sum_p pi_p N(0, U_p)
#
# Only the observed conditions O of a row enter: A = V_j[O, O] + U[O, O]. Under alpha, the model holds for bhat / s^alpha
# with noise s^(1 - alpha). Rows with the same noise are treated in one go; nothing else is done for speed.

# The expanded components, null first, then for every scale all matrices; named as mashr names them.
reference_components <- function(Ulist, grid, usepointmass = TRUE) {
  components <- list()
  for (l in seq_along(grid)) {
    for (k in seq_along(Ulist)) {
      components[[paste0(names(Ulist)[k], ".", l)]] <- grid[l]^2 * Ulist[[k]]
    }
  }
  if (usepointmass) c(list(null = 0 * Ulist[[1]]), components) else components
}

# For every component: log-likelihood of each row, posterior mean and variance of each effect, and which conditions have
# no prior variance (from the structure of U, not from a computed number).
reference_by_component <- function(bhat, shat, V, components) {
  J <- nrow(bhat)
  R <- ncol(bhat)
  noise <- vapply(seq_len(J), function(j) paste(ifelse(is.na(bhat[j, ]), NA, shat[j, ]), collapse = " "), "")
  # Decimal text would merge rows whose Shat differ in the last bits, so rows are compared exactly inside a group.
  groups <- split(seq_len(J), match(noise, noise))
  loglik <- matrix(0, J, length(components), dimnames = list(NULL, names(components)))
  mean <- variance <- array(0, c(J, R, length(components)))
  for (rows in groups) {
    O <- which(!is.na(bhat[rows[1], ]))
    s <- shat[rows[1], O]
    stopifnot(all(t(shat[rows, O, drop = FALSE]) - s == 0))
    noise_cov <- V[O, O, drop = FALSE] * tcrossprod(s)
    for (p in seq_along(components)) {
      U <- components[[p]]
      prior_variance <- rep(diag(U), each = length(rows))
      if (length(O) == 0) {
        variance[rows, , p] <- prior_variance
        next
      }
      root <- chol(noise_cov + U[O, O])
      z <- backsolve(root, t(bhat[rows, O, drop = FALSE]), transpose = TRUE)
      cross <- backsolve(root, U[O, , drop = FALSE], transpose = TRUE)
      loglik[rows, p] <- -length(O) / 2 * log(2 * pi) - sum(log(diag(root))) - colSums(z^2) / 2
      mean[rows, , p] <- crossprod(z, cross)
      variance[rows, , p] <- prior_variance - rep(colSums(cross^2), each = length(rows))
    }
  }
  zero <- vapply(components, function(U) diag(U) == 0, logical(R))
  list(loglik = loglik, mean = mean, variance = variance, zero = matrix(zero, R))
}

# Everything that mash() reports for a given prior.
reference_mash <- function(Bhat, Shat, V, Ulist, grid, pi, usepointmass = TRUE, alpha = 0) {
  J <- nrow(Bhat)
  R <- ncol(Bhat)
  observed <- !is.na(Bhat) & is.finite(Shat)
  Bhat[!observed] <- NA
  scale <- if (alpha == 0) matrix(1, J, R) else ifelse(is.finite(Shat), Shat, NA)^alpha
  components <- reference_components(Ulist, grid, usepointmass)
  parts <- reference_by_component(Bhat / scale, Shat^(1 - alpha), V, components)
  joint <- sweep(parts$loglik, 2, log(pi), "+")
  top <- apply(joint, 1, max)
  vloglik_scaled <- top + log(rowSums(exp(joint - top)))
  weights <- exp(joint - vloglik_scaled)

  mean <- neg <- pos <- zero <- matrix(0, J, R)
  for (p in seq_along(components)) {
    mean <- mean + weights[, p] * parts$mean[, , p]
  }
  square <- 0 * mean
  for (p in seq_along(components)) {
    m <- matrix(parts$mean[, , p], J)
    v <- matrix(parts$variance[, , p], J)
    for (r in seq_len(R)) {
      square[, r] <- square[, r] + weights[, p] * ((if (parts$zero[r, p]) 0 else v[, r]) + (m[, r] - mean[, r])^2)
      if (parts$zero[r, p]) {
        zero[, r] <- zero[, r] + weights[, p]
      } else {
        neg[, r] <- neg[, r] + weights[, p] * pnorm(-m[, r] / sqrt(v[, r]))
        pos[, r] <- pos[, r] + weights[, p] * pnorm(m[, r] / sqrt(v[, r]))
      }
    }
  }
  jacobian <- rowSums(ifelse(observed, log(scale), 0))
  list(
    loglik_matrix = parts$loglik, weights = weights, vloglik = vloglik_scaled - jacobian,
    null_loglik = if (usepointmass) parts$loglik[, 1] - jacobian,
    PosteriorMean = mean * scale, PosteriorSD = sqrt(square) * scale,
    lfdr = zero, NegativeProb = neg, lfsr = pmin(neg, pos) + zero
  )
}

# The penalised objective of the mixture weights, and the largest violation max_p g_p / N - 1 of its optimality
# conditions, recomputed from a matrix of log-likelihoods.
reference_objective <- function(loglik_matrix, pi, prior) {
  top <- apply(loglik_matrix, 1, max)
  likelihood <- drop(exp(loglik_matrix - top) %*% pi)
  sum(log(likelihood) + top) + sum(((prior - 1) * log(pi))[prior > 1])
}

reference_violation <- function(loglik_matrix, pi, prior) {
  relative <- exp(loglik_matrix - apply(loglik_matrix, 1, max))
  gradient <- colSums(relative / drop(relative %*% pi)) + ifelse(prior > 1, (prior - 1) / pi, 0)
  max(gradient) / (nrow(relative) + sum(prior - 1)) - 1
}
