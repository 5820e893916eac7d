# The saturated model of samples with missing values: any mean, any covariance matrix.

# The largest normal log-likelihood of the observed values, by EM over the patterns of missing values (Dempster,
# Laird and Rubin 1977; Little and Rubin 2002, section 11.2): list(loglik), or list(note), why there is none.
saturated_loglik <- function(x, max_iter = 2000, tol = 1e-9) {
  N <- ncol(x)
  x <- unname(x[rowSums(!is.na(x)) > 0, , drop = FALSE])
  if (!is.null(unseen_pairs(x))) {
    return(list(note = "some pairs of genes are in no sample together"))
  }
  patterns <- patterns_of(x)
  if (length(patterns) * N^3 > 1e8) {
    return(list(note = "too many genes and patterns of missing values for the saturated model"))
  }
  # Genes of variance 1.
  unit <- sqrt(colMeans((x - rep(colMeans(x, na.rm = TRUE), each = nrow(x)))^2, na.rm = TRUE))
  x <- (x - rep(colMeans(x, na.rm = TRUE), each = nrow(x))) / rep(unit, each = nrow(x))
  at <- list(mean = numeric(N), S = base::diag(nrow = N))
  last <- -Inf
  for (i in seq_len(max_iter)) {
    step <- em_step(x, patterns, at)
    if (is.null(step)) {
      return(list(note = "the saturated model has no largest likelihood"))
    }
    if (step$loglik - last <= tol * max(1, abs(step$loglik) * 1e-3)) {
      return(list(loglik = step$loglik - sum(colSums(!is.na(x)) * log(unit))))
    }
    last <- step$loglik
    at <- step$at
  }
  list(note = "EM of the saturated model has not converged")
}

# Rows with the same values missing.
patterns_of <- function(x) {
  key <- apply(is.na(x), 1, function(row) paste(which(row), collapse = " "))
  unname(split(seq_len(nrow(x)), key))
}

# The log-likelihood, and the next mean and covariance; NULL where that is singular.
em_step <- function(x, patterns, at) {
  N <- ncol(x)
  loglik <- 0
  total <- numeric(N)
  products <- matrix(0, N, N)
  for (rows in patterns) {
    seen <- which(!is.na(x[rows[1], ]))
    if (length(seen) == 0L) next
    root <- tryCatch(chol(at$S[seen, seen, drop = FALSE]), error = function(cnd) NULL)
    # Where the likelihood grows without bound the matrix gets singular.
    if (is.null(root) || min(base::diag(root)) < 1e-5) {
      return(NULL)
    }
    r <- x[rows, seen, drop = FALSE] - rep(at$mean[seen], each = length(rows))
    z <- backsolve(root, t(r), transpose = TRUE)
    loglik <- loglik - sum(z^2) / 2 - length(rows) * (sum(log(base::diag(root))) + length(seen) * log(2 * base::pi) / 2)
    # The genes that are missing, given those seen: mean and covariance.
    weights <- backsolve(root, backsolve(root, at$S[seen, , drop = FALSE], transpose = TRUE))
    whole <- rep(at$mean, each = length(rows)) + r %*% weights
    left <- at$S - crossprod(at$S[seen, , drop = FALSE], weights)
    left[seen, ] <- left[, seen] <- 0
    total <- total + colSums(whole)
    products <- products + crossprod(whole) + length(rows) * left
  }
  n <- sum(lengths(patterns))
  mean <- total / n
  S <- symmetrise(products / n - tcrossprod(mean))
  list(loglik = loglik, at = list(mean = mean, S = S))
}

# Of independent normal genes.
independent_loglik <- function(x) {
  n <- colSums(!is.na(x))
  variance <- colMeans((x - rep(colMeans(x, na.rm = TRUE), each = nrow(x)))^2, na.rm = TRUE)
  -sum(n * (log(2 * base::pi * variance) + 1)) / 2
}
