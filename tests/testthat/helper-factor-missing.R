# The log-likelihood of a factor model given observed values, in plain R, and its maximum by
# optim() from random starts: nothing of the package's search is used.

# -log-likelihood and its gradient, of means, loadings and log noise variances.
plain_missing_objective <- function(x, K) {
  N <- ncol(x)
  patterns <- split(seq_len(nrow(x)), apply(!is.na(x), 1, function(row) paste(which(row), collapse = " ")))
  parts <- function(p) {
    B <- matrix(p[N + seq_len(N * K)], N)
    psi <- exp(p[N + N * K + seq_len(N)])
    list(mean = p[seq_len(N)], B = B, psi = psi, Sigma = tcrossprod(B) + base::diag(psi, N))
  }
  over_patterns <- function(p, visit) {
    at <- parts(p)
    for (rows in patterns) {
      seen <- which(!is.na(x[rows[1], ]))
      root <- chol(at$Sigma[seen, seen, drop = FALSE])
      visit(seen, root, t(x[rows, seen, drop = FALSE]) - at$mean[seen], length(rows))
    }
    at
  }
  value <- function(p) {
    f <- 0
    over_patterns(p, function(seen, root, r, n) {
      f <<- f + 0.5 * n * (length(seen) * log(2 * pi) + 2 * sum(log(base::diag(root)))) +
        0.5 * sum(backsolve(root, r, transpose = TRUE)^2)
    })
    f
  }
  gradient <- function(p) {
    g_mean <- numeric(N)
    G <- matrix(0, N, N)
    at <- over_patterns(p, function(seen, root, r, n) {
      P <- chol2inv(root)
      g_mean[seen] <<- g_mean[seen] - rowSums(P %*% r)
      G[seen, seen] <<- G[seen, seen] + 0.5 * (n * P - tcrossprod(P %*% r))
    })
    c(g_mean, 2 * G %*% at$B, base::diag(G) * at$psi)
  }
  list(value = value, gradient = gradient)
}

# The largest log-likelihood that optim() finds, noise variances at least `lower` of the observed ones.
best_of_optim <- function(x, K, starts, lower = 0.005) {
  N <- ncol(x)
  mean <- colMeans(x, na.rm = TRUE)
  variance <- colMeans((x - rep(mean, each = nrow(x)))^2, na.rm = TRUE)
  objective <- plain_missing_objective(x, K)
  free <- rep(Inf, N + N * K)
  values <- vapply(seq_len(starts), function(i) {
    p <- c(mean, rnorm(N * K) * sqrt(variance), log(variance * runif(N, 0.05, 1)))
    tryCatch(
      optim(p, objective$value, objective$gradient,
        method = "L-BFGS-B", lower = c(-free, log(lower * variance)), upper = c(free, log(variance) + 5),
        control = list(maxit = 500, factr = 1e4)
      )$value,
      error = function(cnd) Inf
    )
  }, numeric(1))
  -min(values)
}

# Small samples with a pattern of missing values each; 1 to 12.
missing_pattern <- function(case) {
  set.seed(100 + case)
  N <- c(4, 5, 6)[case %% 3 + 1]
  n <- 30
  x <- matrix(rnorm(n), n, N) * rep(runif(N, 0.5, 2), each = n) + matrix(rnorm(n * N), n)
  kind <- (case - 1) %% 6 + 1
  if (kind == 1) { # two blocks never seen together
    x[1:15, 3:N] <- NA
    x[16:30, 1:2] <- NA
  } else if (kind == 2) { # at random
    x[sample(length(x), 0.2 * length(x))] <- NA
  } else if (kind == 3) { # a gene with three values
    x[-(1:3), 2] <- NA
    x[sample(length(x), 0.1 * length(x))] <- NA
  } else if (kind == 4) { # a Heywood case: two genes nearly the same
    x[, 1] <- 0.7 * x[, 2] + 0.01 * rnorm(n)
    x[sample(length(x), 0.2 * length(x))] <- NA
  } else if (kind == 5) { # two genes with two and four values
    x[-(1:2), 1] <- NA
    x[-(3:6), 3] <- NA
  } else { # two values a sample
    for (i in seq_len(n)) x[i, -sample(N, 2)] <- NA
  }
  x[rowSums(!is.na(x)) > 0, ]
}
