# Random small problems, and what is needed to compare results with the plain-R model of helper-reference.R.

covariance_structures <- c("null", "singleton", "rank1", "low_rank", "scaled_identity", "full", "mixed")

# One covariance matrix of a given structure. Matrices are scaled to a largest diagonal of 1, as mash() would do, and
# rank-1 and low-rank ones have a condition without prior variance every other time.
random_covariance <- function(structure, R) {
  dark <- R > 1 && runif(1) < 0.5
  U <- switch(structure,
    null = matrix(0, R, R),
    singleton = {
      e <- as.numeric(seq_len(R) == sample.int(R, 1))
      tcrossprod(e)
    },
    rank1 = tcrossprod(rnorm(R) * !(dark & seq_len(R) == 1)),
    low_rank = {
      q <- max(1, min(R - 1, 1 + sample.int(3, 1)))
      tcrossprod(matrix(rnorm(R * q), R, q) * !(dark & seq_len(R) == R))
    },
    scaled_identity = diag(runif(1, 0.5, 2), R),
    full = crossprod(matrix(rnorm(R * (R + 2)), R + 2, R))
  )
  if (max(diag(U)) > 0) U / max(diag(U)) else U
}

random_correlation <- function(R) {
  if (R == 1) return(matrix(1))
  cov2cor(crossprod(matrix(rnorm(R * (R + 3)), R + 3, R)) + diag(R))
}

# noise = "common": rows with equal or proportional Shat, enough of them for the shared path; "row": every row its own.
# missing = "complete" or "missing": a few patterns shared by many rows, single rows with their own, one row all missing.
random_problem <- function(seed, structure, noise, missing, R = 1 + seed %% 8, alpha = (seed %/% 2) %% 2) {
  withr::with_seed(seed, {
    J <- if (noise == "common") 80 else 10
    Shat <- if (noise == "common") {
      factor <- if (seed %% 3 == 0) rep(1, J) else sample(c(0.5, 1, 1.7), J, TRUE)
      outer(factor, runif(R, 0.3, 2))
    } else {
      matrix(exp(runif(J * R, log(0.1), log(3))), J, R)
    }
    V <- random_correlation(R)
    structures <- if (structure == "mixed") setdiff(covariance_structures, "mixed") else rep(structure, 2)
    Ulist <- lapply(structures, random_covariance, R = R)
    names(Ulist) <- paste0(structures, "_", seq_along(structures))
    grid <- sort(exp(runif(1 + seed %% 2, log(0.2), log(5))))
    Bhat <- matrix(rnorm(J * R, sd = sample(c(0.1, 1, 4), J * R, TRUE)), J, R) * Shat
    if (missing == "missing") {
      pattern <- matrix(runif(2 * R) < 0.4, 2, R)
      Bhat[seq_len(J) <= J * 0.4 & col(Bhat) %in% which(pattern[1, ])] <- NA
      Bhat[seq_len(J) > J * 0.4 & seq_len(J) <= J * 0.8 & col(Bhat) %in% which(pattern[2, ])] <- NA
      Bhat[seq_len(J) > J * 0.8 & runif(J * R) < 0.3] <- NA
      Bhat[J, ] <- NA
      unknown <- is.na(Bhat) & runif(J * R) < 0.5
      Shat[unknown] <- NA
    }
    dimnames(Bhat) <- dimnames(Shat) <- list(paste0("effect", seq_len(J)), paste0("cond", seq_len(R)))
    usepointmass <- seed %% 5 != 0
    P <- length(grid) * length(Ulist) + usepointmass
    pi <- rexp(P)
    if (P > 3) pi[sample.int(P, 1)] <- 0
    list(
      Bhat = Bhat, Shat = Shat, V = V, alpha = alpha,
      g = list(
        pi = setNames(pi / sum(pi), names(reference_components(Ulist, grid, usepointmass))),
        Ulist = Ulist, grid = grid, usepointmass = usepointmass
      )
    )
  })
}

problem_reference <- function(problem) {
  with(problem, reference_mash(Bhat, Shat, V, g$Ulist, g$grid, g$pi, g$usepointmass, alpha))
}

# An all-missing row draws a warning by design; everything else must be heard.
problem_data <- function(problem) {
  muffle_all_missing(with(problem, mash_set_data(Bhat, Shat, alpha = alpha, V = V)))
}

muffle_all_missing <- function(expr) {
  withCallingHandlers(expr, covmash_warning_all_missing = function(w) invokeRestart("muffleWarning"))
}

# A small data set with effects of several kinds, for tests that need something to be found.
small_data <- function(J = 60, R = 4, seed = 1, shat = c("one", "varying"), missing = 0, names = TRUE, alpha = 0, V = diag(R)) {
  shat <- match.arg(shat)
  withr::with_seed(seed, {
    B <- matrix(rnorm(J * R, sd = 3), J, R) * rbinom(J, 1, 0.5)
    shared <- seq_len(J) %% 3 == 0
    B[shared, ] <- rnorm(sum(shared), sd = 3)
    Shat <- matrix(if (shat == "one") 1 else runif(J * R, 0.5, 1.5), J, R)
    Bhat <- B + Shat * matrix(rnorm(J * R), J, R)
    Bhat[sample.int(J * R, missing)] <- NA
    Shat[is.na(Bhat)] <- NA
    if (names) dimnames(Bhat) <- dimnames(Shat) <- list(sprintf("e%03d", seq_len(J)), letters[seq_len(R)])
    list(Bhat = Bhat, Shat = Shat, data = mash_set_data(Bhat, Shat, alpha = alpha, V = V))
  })
}

# The error of each entry relative to max(1, |value|); missing and infinite values must be the same ones.
expect_close <- function(actual, expected, tol = 1e-9) {
  act <- quasi_label(rlang::enquo(actual), arg = "actual")
  if (!is.null(dim(actual)) && !is.null(dim(expected)) && !identical(dim(actual), dim(expected))) {
    fail(sprintf("%s has dimensions %s, not %s.", act$lab, toString(dim(actual)), toString(dim(expected))))
    return(invisible(actual))
  }
  a <- as.numeric(actual)
  e <- as.numeric(expected)
  if (length(a) != length(e) || length(a) == 0) {
    fail(sprintf("%s has %d values, not %d.", act$lab, length(a), length(e)))
    return(invisible(actual))
  }
  error <- abs(a - e) / pmax(1, abs(e))
  error[(is.na(a) & is.na(e)) | (is.infinite(e) & a == e)] <- 0
  error[is.na(error)] <- Inf
  worst <- which.max(error)
  expect(error[worst] <= tol, sprintf(
    "%s differs from the expected value by %.3g (allowed %.3g) at entry %d of %d: %.17g, not %.17g.",
    act$lab, error[worst], tol, worst, length(a), a[worst], e[worst]
  ))
  invisible(actual)
}

posterior_names <- c("PosteriorMean", "PosteriorSD", "lfdr", "NegativeProb", "lfsr")

# What a fit says apart from how long it took.
without_timing <- function(fit) {
  fit$timing <- NULL
  fit
}

# An error or a warning of the package: one of its classes, and the fragment of text that names the trouble.
expect_input_error <- function(object, regexp, class = "covmash_error_input") {
  expect_error(object, regexp, class = class)
}

expect_covmash_warning <- function(object, regexp, class = "covmash_warning") {
  expect_warning(object, regexp, class = class)
}

# Evaluates the expression and checks that R's generator was left alone.
expect_rng_untouched <- function(object) {
  before <- get(".Random.seed", globalenv())
  force(object)
  expect_identical(get(".Random.seed", globalenv()), before)
}

sample_rows <- function(J, n) withr::with_seed(J + n, sample.int(J, n))
