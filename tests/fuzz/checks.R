# What is asked of a result. Every check returns the faults it found, as text: character() if there is none.

eps <- .Machine$double.eps

# Closeness, entry by entry: |a - b| <= tol (scale + |b|); missing and infinite values must be the same ones.
near <- function(a, b, tol, scale = 1, what = "value") {
  if (is.null(a)) return(paste(what, "is NULL"))
  da <- if (is.null(dim(a))) length(a) else dim(a)
  db <- if (is.null(dim(b))) length(b) else dim(b)
  if (length(a) != length(b) || length(da) == length(db) && any(da != db)) {
    return(sprintf("%s has shape %s, not %s", what, paste(da, collapse = " x "), paste(db, collapse = " x ")))
  }
  a <- as.numeric(a)
  b <- as.numeric(b)
  if (length(a) == 0) return(character())
  if (is.infinite(tol)) return(character())
  error <- abs(a - b) / (scale + abs(b))
  error[(is.na(a) & is.na(b)) | (!is.na(a) & !is.na(b) & a == b)] <- 0
  error[is.na(error)] <- Inf
  worst <- which.max(error)
  if (error[worst] <= tol) return(character())
  sprintf("%s: entry %d is %.17g, not %.17g (error %.2g, allowed %.2g)", what, worst, a[worst], b[worst],
          error[worst], tol)
}

same <- function(a, b, what = "value") if (!identical(a, b)) paste(what, "is not the same") else character()

yes <- function(condition, what) if (!isTRUE(condition)) what else character()

# The dimnames that the result must have.
names_are <- function(x, rows, columns, what = "value") {
  yes(identical(rownames(x), rows) && identical(colnames(x), columns), paste(what, "has other dimnames"))
}

# ---- invariants of any result ------------------------------------------------

probabilities <- c("lfsr", "lfdr", "NegativeProb")

invariants <- function(x) {
  if (inherits(x, "mash_fit") || inherits(x, "mash_1by1")) {
    return(c(posterior_invariants(x$result), if (inherits(x, "mash_fit")) prior_invariants(x$fitted_g)))
  }
  if (inherits(x, "factor_cov")) {
    return(c(
      yes(all(x$D >= 0), "D has negative values"), yes(nrow(x$B) == length(x$D), "B and D do not fit"),
      yes(is.null(x$F) || all(dim(x$F) == ncol(x$B)), "F and B do not fit")
    ))
  }
  if (is.list(x) && !is.data.frame(x) && "PosteriorMean" %in% names(x)) return(posterior_invariants(x))
  character()
}

posterior_invariants <- function(result) {
  out <- character()
  for (part in intersect(probabilities, names(result))) {
    p <- result[[part]]
    out <- c(out, yes(all(is.na(p) | p >= 0 & p <= 1), paste(part, "is outside of [0, 1]")))
  }
  if (!is.null(result$PosteriorSD)) {
    out <- c(out, yes(all(is.na(result$PosteriorSD) | result$PosteriorSD >= 0), "PosteriorSD is negative"))
  }
  # Covariances and draws have a dimension more.
  arrays <- c("PosteriorCov", "PosteriorSamples")
  shapes <- unique(lapply(result[setdiff(names(result), arrays)], dim))
  draws <- result$PosteriorSamples
  c(
    out, yes(length(shapes) <= 1, "the parts of the result have several shapes"),
    if (!is.null(draws)) yes(identical(dim(draws)[1:2], shapes[[1]]), "the draws have another shape")
  )
}

prior_invariants <- function(g) {
  c(
    yes(all(g$pi >= 0), "negative weights"), yes(abs(sum(g$pi) - 1) < 1e-8, "the weights do not sum to 1"),
    yes(!anyDuplicated(names(g$pi)), "names of components occur twice")
  )
}

# Paths of the numbers in x that are not finite.
not_finite <- function(x, path = "", depth = 0) {
  if (depth > 6) return(character())
  if (is.numeric(x) || is.complex(x)) {
    return(if (length(x) > 0 && !all(is.finite(x))) path else character())
  }
  if (is.list(x)) {
    labels <- names(x)
    x <- unclass(x)
    return(unlist(lapply(seq_along(x), function(i) {
      label <- if (is.null(labels)) i else labels[i]
      not_finite(x[[i]], paste0(path, "$", label), depth + 1)
    })))
  }
  character()
}

# Does any number or string among the arguments have a missing or infinite value?
all_finite <- function(x, depth = 0) {
  if (depth > 6) return(TRUE)
  if (is.atomic(x)) return(!anyNA(x) && (!is.numeric(x) && !is.complex(x) || all(is.finite(x))))
  if (is.list(x)) return(all(vapply(seq_along(x), function(i) all_finite(unclass(x)[[i]], depth + 1), NA)))
  if (isS4(x) && have_Matrix && inherits(x, "Matrix")) return(all_finite(as.matrix(x)))
  TRUE
}

# Numbers so large or small that products of two leave the range of doubles.
extreme <- function(x, depth = 0) {
  if (depth > 6) return(FALSE)
  if (is.numeric(x) && !is.factor(x)) {
    size <- abs(as.numeric(x))
    size <- size[is.finite(size) & size > 0]
    return(length(size) > 0 && (max(size) > 1e100 || min(size) < 1e-100))
  }
  if (is.list(x)) return(any(vapply(seq_along(x), function(i) extreme(unclass(x)[[i]], depth + 1), NA)))
  FALSE
}

# ---- values of mash -------------------------------------------------------------

# How far the plain model itself can be trusted: it takes variances as differences.
tolerance_of <- function(problem, g = problem$g) {
  noise <- if (problem$alpha == 1) 1 else min(problem$Shat, na.rm = TRUE)^(1 - problem$alpha)
  prior <- max(vapply(g$Ulist, function(U) max(diag(as.matrix(U))), 0)) * max(g$grid)^2
  max(1e-9, 1e4 * eps * condition_of(problem$V) * max(1, prior / noise^2))
}

check_posterior <- function(result, truth, problem, g = problem$g, lfdr = TRUE) {
  tol <- 100 * tolerance_of(problem, g)
  if (tol > 1e-4) return(character())
  sd <- truth$PosteriorSD
  scale <- pmax(sd, max(sd) * 1e-12, 1e-300)
  c(
    near(result$PosteriorMean / scale, truth$PosteriorMean / scale, tol, what = "PosteriorMean in sd"),
    near(result$PosteriorSD / scale, sd / scale, tol, what = "PosteriorSD relative"),
    near(result$NegativeProb, truth$NegativeProb, tol, what = "NegativeProb"),
    near(result$lfsr, truth$lfsr, tol, what = "lfsr"),
    if (lfdr && !is.null(result$lfdr)) near(result$lfdr, truth$lfdr, tol, what = "lfdr"),
    names_are(result$PosteriorMean, rownames(problem$Bhat), colnames(problem$Bhat), "PosteriorMean"),
    names_are(result$lfsr, rownames(problem$Bhat), colnames(problem$Bhat), "lfsr")
  )
}

check_loglik <- function(vloglik, truth, problem) {
  near(as.vector(vloglik), truth$vloglik, tolerance_of(problem), what = "vloglik")
}

# The best objective of the weights, by many steps of plain EM from equal weights, sped up by squared extrapolation.
best_objective <- function(loglik, prior, steps = 3000) {
  top <- apply(loglik, 1, max)
  L <- exp(loglik - top)
  P <- ncol(L)
  x <- rep(1 / P, P)
  objective <- function(x) sum(log(drop(L %*% x)) + top) + sum(((prior - 1) * log(pmax(x, 1e-300)))[prior > 1])
  step <- function(x) {
    g <- x * drop(crossprod(L, 1 / drop(L %*% x))) + prior - 1
    g / sum(g)
  }
  f <- objective(x)
  for (i in seq_len(steps)) {
    x1 <- step(x)
    x2 <- step(x1)
    r <- x1 - x
    v <- x2 - x1 - r
    if (sum(r^2) < 1e-28) break
    next_x <- step(x2)
    if (sum(v^2) > 0) {
      a <- -sqrt(sum(r^2) / sum(v^2))
      y <- x - 2 * a * r + a^2 * v
      y <- pmax(y, 0)
      if (all(y[prior > 1] > 0) && sum(y) > 0) {
        y <- step(y / sum(y))
        if (objective(y) > objective(next_x)) next_x <- y
      }
    }
    now <- objective(next_x)
    x <- next_x
    if (now - f < 1e-13 * max(1, abs(now)) && i > 50) break
    f <- now
  }
  max(f, objective(x))
}

# The fit's own objective against the plain model's likelihood; and nothing better is to be had.
check_weights <- function(fit, problem, prior, data) {
  if (!isTRUE(fit$convergence$converged)) return("the weights have not converged")
  g <- fit$fitted_g
  g$usepointmass <- isTRUE(g$usepointmass)
  truth <- truth_of(problem, g)
  seen <- rowSums(!is.na(problem$Bhat)) > 0
  loglik <- truth$loglik_matrix[seen, , drop = FALSE]
  jacobian <- sum(truth$vloglik) - sum(log_mixture(truth$loglik_matrix, g$pi))
  own <- sum(log_mixture(loglik, g$pi)) + sum(((prior - 1) * log(g$pi))[prior > 1])
  best <- best_objective(loglik, prior)
  # The posterior leaves out what has next to no weight.
  kept <- g
  kept$pi[kept$pi < 1e-10] <- 0
  # The weights are fitted to likelihoods in single precision.
  c(
    near(fit$convergence$objective, own + jacobian, tolerance_of(problem), what = "objective"),
    yes(
      own >= best - 1e-9 * max(1, abs(best)) - 10 * eps * length(loglik),
      sprintf("the objective of the weights is %.3g below that of EM", best - own)
    ),
    check_posterior(fit$result, truth_of(problem, kept), problem, g),
    check_loglik(fit$vloglik, truth, problem)
  )
}

log_mixture <- function(loglik, pi) {
  top <- apply(loglik, 1, max)
  top + log(drop(exp(loglik - top) %*% pi))
}

# ---- values of factored covariances ----------------------------------------------

# Forward errors of an inverse in double precision: this many eps times the condition. Infinite where there is no
# telling.
inverse_tolerance <- function(S) {
  condition <- condition_of(S)
  if (condition > 1e12) Inf else max(1e-10, 1e5 * eps * condition)
}

# Entries that are as good as infinite in what they are compared by have to be of that shape only.
dense_inverse <- function(S) {
  if (is.infinite(inverse_tolerance(S))) return(0 * S)
  sd <- sqrt(diag(S))
  solve(S / sd / rep(sd, each = nrow(S))) / sd / rep(sd, each = nrow(S))
}

check_factor_names <- function(x, genes, what = "value") {
  same(names(x$D), genes, paste("names of the genes of the", what))
}

# Relative to the standard deviations of rows and columns.
near_matrix <- function(a, S, tol, what = "matrix", scale = sqrt(abs(outer(diag(S), diag(S))))) {
  a <- unname(as.matrix(a))
  if (!identical(dim(a), dim(S))) return(paste(what, "has another shape"))
  if (is.infinite(tol)) return(character())
  error <- abs(a - S) / ifelse(scale > 0, scale, 1)
  error[is.nan(error)] <- Inf
  yes(max(error) <= tol, sprintf("%s is off by %.2g (allowed %.2g)", what, max(error), tol))
}

check_psd <- function(U, what, tol = 1e-8) {
  U <- unname(as.matrix(U))
  if (length(U) == 0) return(character())
  if (!all(is.finite(U))) return(paste(what, "is not finite"))
  if (!isTRUE(all.equal(U, t(U), tolerance = 1e-12))) return(paste(what, "is not symmetric"))
  sd <- sqrt(pmax(diag(U), 0))
  sd[sd == 0] <- max(sd, abs(U), 1e-300)
  low <- min(eigen(U / sd / rep(sd, each = nrow(U)), symmetric = TRUE, only.values = TRUE)$values)
  yes(low >= -tol, sprintf("%s is not positive semi-definite: %.2g", what, low))
}
