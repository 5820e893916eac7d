# Studies that are large in kind only: fits of sources are compared with those of the same numbers in memory.

# Effects of four kinds, nearly all small. patterns: of missing estimates; missing: single ones besides; nothing:
# effects without any; scaled: of so many noises, up to a factor; order: "size" and "pattern" put alike effects
# together.
stream_problem <- function(J = 3000, R = 4, patterns = 0, missing = 0, nothing = 0, own = FALSE, scaled = 0, V = NULL,
                           alpha = 0, order = "none", seed = 1) {
  withr::with_seed(seed, {
    kind <- sample.int(4, J, TRUE, c(0.7, 0.1, 0.1, 0.1))
    effects <- matrix(0, J, R)
    effects[kind == 2, ] <- rnorm(sum(kind == 2), sd = 2)
    effects[kind == 3, ] <- rnorm(sum(kind == 3) * R, sd = 1.5)
    effects[kind == 4, 1] <- rnorm(sum(kind == 4), sd = 5)
    Shat <- matrix(if (own) runif(J * R, 0.5, 2) else 1, J, R)
    if (scaled > 0) {
      noises <- matrix(runif(scaled * R, 0.5, 2), scaled)
      Shat <- noises[sample.int(scaled, J, TRUE), , drop = FALSE] * sample(c(0.5, 0.7, 1), J, TRUE)
    }
    Bhat <- effects + Shat * rnorm(J * R)
    if (patterns > 0) {
      observed <- unique(matrix(runif(20 * patterns * R) < 0.6, ncol = R))
      observed <- observed[rowSums(observed) > 0, , drop = FALSE]
      observed <- observed[seq_len(min(patterns, nrow(observed))), , drop = FALSE]
      Bhat[!observed[sample.int(nrow(observed), J, TRUE), ]] <- NA
    }
    Bhat[sample.int(J * R, missing)] <- NA
    Bhat[sample.int(J, nothing), ] <- NA
  })
  # An effect without an estimate has no z-score.
  size <- suppressWarnings(apply(abs(Bhat / Shat), 1, max, na.rm = TRUE))
  at <- switch(order,
    none = seq_len(J), size = order(size), pattern = do.call(base::order, c(as.data.frame(is.na(Bhat)), list(size)))
  )
  dimnames(Bhat) <- dimnames(Shat) <- list(paste0("e", seq_len(J)), paste0("c", seq_len(R)))
  list(Bhat = Bhat[at, , drop = FALSE], Shat = Shat[at, , drop = FALSE], V = V, alpha = alpha)
}

stream_data <- function(p) {
  V <- if (is.null(p$V)) diag(ncol(p$Bhat)) else p$V
  suppressWarnings(mash_set_data(p$Bhat, p$Shat, alpha = p$alpha, V = V))
}

# The canonical ones that are left out would change nothing but the time.
few_matrices <- function(data) {
  U <- cov_canonical(data)
  U[c(1, utils::tail(seq_along(U)[-1], 4))]
}

# In three parts of different sizes, made by a function that travels.
stream_source <- function(p, segment_rows = 1024) {
  J <- nrow(p$Bhat)
  ends <- c(0, J %/% 7, J %/% 2, J)
  make <- function(i) {
    rows <- seq(ends[i] + 1, ends[i + 1])
    list(Bhat = p$Bhat[rows, , drop = FALSE], Shat = p$Shat[rows, , drop = FALSE], id = rownames(p$Bhat)[rows])
  }
  mash_source(make, n = 3, V = p$V, alpha = p$alpha, segment_rows = segment_rows)
}

# One for several tests: 60 patterns, of which a fit from a small sample needs many passes.
stream_study <- function() {
  if (is.null(stream_studies$study)) {
    p <- stream_problem(J = 2500, R = 6, patterns = 60, nothing = 20)
    src <- stream_source(p, 512)
    scan <- summary(src, sample_rows = 300, n_threads = 1)
    U <- few_matrices(stream_data(p))
    fit <- mash(scan, U, verbose = FALSE, n_threads = 1)
    stream_studies$study <- list(p = p, data = stream_data(p), src = src, scan = scan, U = U, fit = fit)
  }
  stream_studies$study
}

stream_studies <- new.env()

# All that a fit says but how long it took.
bits_of_fit <- function(fit) {
  fit$timing <- NULL
  fit$source$passes[c("seconds", "reading", "computing")] <- NULL
  unclass(fit)
}

# That a source is fitted as the same numbers in memory are.
expect_same_fit <- function(fit, memory, label = NULL, tolerance = 1e-9) {
  objective <- memory$convergence$objective
  expect_lt(abs(fit$convergence$objective - objective) / abs(objective), tolerance, label = paste(label, "objective"))
  expect_lt(fit$convergence$kkt_violation, 1e-8, label = paste(label, "KKT violation"))
  expect_true(fit$convergence$converged, label = paste(label, "converged"))
  expect_equal(sum(fit$fitted_g$pi), 1, tolerance = 1e-12, label = paste(label, "sum of weights"))
  expect_equal(fit$loglik, memory$loglik, tolerance = 1e-6, label = paste(label, "log-likelihood"))
  expect_identical(fit$fitted_g$grid, memory$fitted_g$grid, label = paste(label, "grid"))
  expect_identical(names(fit$fitted_g$pi), names(memory$fitted_g$pi), label = paste(label, "names"))
}

expect_no_fall <- function(fit, label = NULL) {
  objective <- fit$source$passes$objective
  expect_gt(min(c(0, diff(objective))), -1e-13 * abs(objective[1]), label = paste(label, "gain of a pass"))
}

# The value, and how many workers were said to be lost.
with_lost <- function(expr) {
  count <- 0
  value <- withCallingHandlers(expr, covmash_message_cluster = function(cnd) {
    count <<- count + 1
    rlang::cnd_muffle(cnd)
  })
  list(value = value, count = count)
}
