control <- list(max_iter = 1000L, tol = 1e-8)

# The solver keeps likelihoods as single-precision numbers, each row scaled to a maximum of 1. These have that form
# already, so that its answer can be held against double precision.
relative_single <- function(L) {
  L <- L / apply(L, 1, max)
  single <- writeBin(as.numeric(L), raw(), size = 4)
  matrix(readBin(single, "double", length(L), size = 4), nrow(L))
}

random_likelihood <- function(J, P, seed) {
  withr::with_seed(seed, {
    centre <- sample(seq(-3, 3, length.out = P), J, TRUE)
    relative_single(exp(-0.5 * (outer(centre + rnorm(J), seq(-3, 3, length.out = P), "-"))^2 * runif(1, 0.2, 2)))
  })
}

test_that("rows that belong to one component each have the closed-form solution", {
  L <- diag(3)[rep(1:3, c(5, 3, 2)), ]
  fit <- cpp_fit_weights(L, rep(1, 3), control, 1L)
  expect_close(fit$pi, c(0.5, 0.3, 0.2), 1e-9)
  expect_close(fit$objective, sum(c(5, 3, 2) * log(c(0.5, 0.3, 0.2))), 1e-10)
  penalised <- cpp_fit_weights(L, c(10, 1, 2), control, 1L)
  expect_close(penalised$pi, c(14, 3, 3) / 20, 1e-9)
  expect_true(penalised$converged)
})

test_that("the certificate is the one that a plain computation finds, and it holds", {
  for (seed in 1:20) {
    P <- c(2, 5, 20, 60)[1 + seed %% 4]
    L <- random_likelihood(200, P, seed)
    prior <- c(if (seed %% 2) 10 else 1, rep(1, P - 1))
    fit <- cpp_fit_weights(L, prior, control, 1L)
    expect_true(fit$converged)
    expect_close(sum(fit$pi), 1, 1e-14)
    expect_true(all(fit$pi >= 0))
    violation <- reference_violation(log(L), fit$pi, prior)
    expect_lte(violation, 1e-7)
    expect_close(fit$kkt_violation, violation, 1e-10)
    expect_close(fit$objective, reference_objective(log(L), fit$pi, prior), 1e-11)
    N <- 200 + sum(prior - 1)
    expect_gte(fit$gap_bound, N * log1p(violation) * (1 - 1e-6) - 1e-9)
    expect_gte(fit$pi[1], (prior[1] - 1) / N - 1e-12)
  }
})

test_that("the objective is never worse than mixsqp's", {
  skip_if_not_installed("mixsqp")
  for (seed in 1:15) {
    P <- c(3, 10, 40)[1 + seed %% 3]
    L <- random_likelihood(300, P, 100 + seed)
    prior <- c(if (seed %% 2) 10 else 1, rep(1, P - 1))
    ours <- cpp_fit_weights(L, prior, control, 1L)
    penalty <- which(prior > 1)
    stacked <- rbind(L, diag(P)[penalty, , drop = FALSE])
    theirs <- mixsqp::mixsqp(stacked, c(rep(1, 300), prior[penalty] - 1), control = list(verbose = FALSE))$x
    best <- reference_objective(log(L), theirs / sum(theirs), prior)
    expect_gte(ours$objective, best - 1e-8 * abs(best))
  }
})

test_that("a whole fit is never worse than mixsqp's on the same likelihoods", {
  skip_if_not_installed("mixsqp")
  for (seed in 1:4) {
    sim <- small_data(J = 400, R = 4, seed = seed, shat = c("one", "varying")[1 + seed %% 2], missing = 50 * (seed > 2))
    Ulist <- c(cov_canonical(sim$data), cov_pca(sim$data, 2))
    fit <- muffle_all_missing(mash(sim$data, Ulist, verbose = FALSE, outputlevel = 1))
    g <- fit$fitted_g
    loglik <- cpp_loglik_matrix(sim$data, g, list(n_threads = 1))
    P <- ncol(loglik)
    L <- rbind(exp(loglik - apply(loglik, 1, max)), diag(P)[1, ])
    theirs <- mixsqp::mixsqp(L, c(rep(1, 400), 9), control = list(verbose = FALSE))$x
    best <- reference_objective(loglik, theirs / sum(theirs), c(10, rep(1, P - 1)))
    expect_gte(fit$convergence$objective, best - 1e-8 * abs(best))
  }
})

test_that("splitting a component into two equal ones changes the split, not the fit", {
  L <- random_likelihood(150, 6, 3)
  one <- cpp_fit_weights(L, rep(1, 6), control, 1L)
  two <- cpp_fit_weights(L[, c(1:6, 4)], rep(1, 7), control, 1L)
  expect_close(two$objective, one$objective, 1e-9)
  expect_close(c(two$pi[1:3], two$pi[4] + two$pi[7], two$pi[5:6]), one$pi, 1e-5)
})

test_that("a component that explains nothing gets no weight, and its presence changes nothing", {
  L <- random_likelihood(150, 6, 4)
  one <- cpp_fit_weights(L, rep(1, 6), control, 1L)
  more <- cpp_fit_weights(cbind(L, 0, relative_single(cbind(1, apply(L, 1, min) / 2))[, 2]), rep(1, 8), control, 1L)
  expect_close(more$pi, c(one$pi, 0, 0), 1e-6)
  expect_close(more$objective, one$objective, 1e-9)
})

test_that("order of rows and of components does not matter", {
  L <- random_likelihood(200, 8, 5)
  prior <- c(10, rep(1, 7))
  one <- cpp_fit_weights(L, prior, control, 1L)
  columns <- c(3, 8, 1, 2, 7, 5, 6, 4)
  other <- cpp_fit_weights(L[200:1, columns], prior[columns], control, 1L)
  expect_close(other$objective, one$objective, 1e-10)
  expect_close(other$pi, one$pi[columns], 1e-4)
})

test_that("rows scaled to tiny or huge likelihoods have the same weights", {
  L <- random_likelihood(100, 5, 6)
  one <- cpp_fit_weights(L, rep(1, 5), control, 1L)
  scale <- 10^withr::with_seed(1, runif(100, -250, 250))
  scaled <- cpp_fit_weights(L * scale, rep(1, 5), control, 1L)
  expect_close(scaled$pi, one$pi, 1e-6)
  expect_true(all(is.finite(scaled$pi)))
})

test_that("one component takes it all, and one row its best component", {
  expect_equal(cpp_fit_weights(matrix(c(0.2, 3), 2, 1), 1, control, 1L)$pi, 1)
  expect_close(cpp_fit_weights(matrix(c(0.1, 0.9, 0.5), 1), rep(1, 3), control, 1L)$pi, c(0, 1, 0), 1e-7)
})

test_that("too few iterations are told", {
  L <- random_likelihood(200, 40, 7)
  fit <- cpp_fit_weights(L, rep(1, 40), list(max_iter = 1L, tol = 1e-14), 1L)
  expect_false(fit$converged)
  expect_gt(fit$kkt_violation, 0)
})

test_that("the same bits for any number of threads", {
  L <- random_likelihood(3000, 25, 8)
  one <- cpp_fit_weights(L, c(10, rep(1, 24)), control, 1L)
  for (n in c(2L, 3L, 7L)) {
    other <- cpp_fit_weights(L, c(10, rep(1, 24)), control, n)
    seconds <- grepl("^seconds", names(one))
    expect_identical(other[!seconds], one[!seconds])
  }
})

test_that("streaming through mash() reaches the optimum of the stored matrix", {
  sim <- small_data(J = 300, R = 3, shat = "varying")
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE, outputlevel = 1)
  g <- fit$fitted_g
  loglik <- cpp_loglik_matrix(sim$data, g, list(n_threads = 1))
  prior <- c(10, rep(1, length(g$pi) - 1))
  stored <- cpp_fit_weights(relative_single(exp(loglik - apply(loglik, 1, max))), prior, control, 1L)
  expect_close(fit$convergence$objective, reference_objective(loglik, stored$pi, prior), 1e-9)
  expect_lte(reference_violation(loglik, g$pi, prior), 1e-7)
})

test_that("few rows and many nearly collinear components converge all the same", {
  for (seed in c(2, 4, 8, 16, 19, 28, 44, 56)) {
    sim <- small_data(J = c(10, 40, 150, 600)[1 + seed %% 4], R = 1 + seed %% 6, seed = seed)
    R <- ncol(sim$Bhat)
    more <- withr::with_seed(seed, lapply(1:10, function(i) random_covariance("full", R)))
    Ulist <- c(cov_canonical(sim$data), setNames(more, paste0("more_", 1:10)))
    for (gridmult in c(sqrt(2), 1.1, 2)) {
      fit <- mash(sim$data, Ulist, gridmult = gridmult, verbose = FALSE, outputlevel = 1)
      expect_true(fit$convergence$converged)
      expect_lte(fit$convergence$kkt_violation, 1e-7)
    }
  }
})

# Likelihoods of J effects under P centred normals in two conditions.
many_components <- function(J, P, seed) {
  withr::with_seed(seed, {
    x <- matrix(rnorm(2 * J, sd = 2), J)
    relative_single(vapply(seq_len(P), function(p) {
      S <- diag(2) + crossprod(matrix(rnorm(4), 2))
      exp(-0.5 * rowSums((x %*% solve(S)) * x)) / sqrt(det(S))
    }, numeric(J)))
  })
}

test_that("components near and above the number of rows: few are used, in little time, and none is left out", {
  for (case in list(c(200, 190), c(200, 1000), c(60, 2000))) {
    L <- many_components(case[1], case[2], case[2])
    prior <- c(10, rep(1, case[2] - 1))
    seconds <- system.time(fit <- cpp_fit_weights(L, prior, control, 1L))
    expect_true(fit$converged)
    expect_lte(reference_violation(log(L), fit$pi, prior), 1e-8)
    expect_lt(sum(fit$pi > 0), 40)
    expect_lt(seconds[[1]] + seconds[[2]], 5) # a hundredth of that; once it was minutes
  }
})

test_that("with more components than rows the objective is not worse than mixsqp's", {
  skip_if_not_installed("mixsqp")
  L <- many_components(150, 300, 9)
  ours <- cpp_fit_weights(L, rep(1, 300), control, 1L)
  theirs <- mixsqp::mixsqp(L, rep(1, 150), control = list(verbose = FALSE))$x
  best <- reference_objective(log(L), theirs / sum(theirs), rep(1, 300))
  expect_gte(ours$objective, best - 1e-9)
})

test_that("a flat likelihood is solved too, though it is within the tolerance from the first on", {
  for (size in c(1e-4, 1e-6, 1e-9)) {
    L <- withr::with_seed(10, {
      exp(-size * (matrix(rchisq(400 * 6, 1), 400) + rep(c(3, 2, 1, 1.2, 2, 3) / 10, each = 400)))
    })
    fit <- cpp_fit_weights(L, rep(1, 6), control, 1L)
    single <- max(colSums(log(L)))
    expect_gte(sum(log(L %*% fit$pi)), single - 1e-8)
    expect_lte(reference_violation(log(L), fit$pi, rep(1, 6)), 1e-8)
  }
  skip_if_not_installed("mixsqp")
  sim <- small_data(J = 300, R = 3, seed = 4)
  fits <- lapply(c("newton", "mixSQP"), function(optmethod) {
    mash(sim$data, cov_canonical(sim$data), grid = 1e-3 * 2^(0:4), prior = "uniform", optmethod = optmethod,
         verbose = FALSE, outputlevel = 1)
  })
  g <- fits[[1]]$fitted_g
  loglik <- cpp_loglik_matrix(sim$data, g, list(n_threads = 1))
  objective <- vapply(fits, function(f) reference_objective(loglik, f$fitted_g$pi, rep(1, length(g$pi))), 0)
  expect_gte(objective[1], objective[2] - 1e-10 * abs(objective[2]))
})

test_that("matrices that are multiples of one another are a grid: the same fit, component by component", {
  for (shat in c("one", "varying")) {
    sim <- small_data(J = 250, R = 4, seed = 5, shat = shat)
    Ulist <- c(cov_canonical(sim$data), list(full = withr::with_seed(1, random_covariance("full", 4))))
    scales <- c(0.1, 0.35, 1, 2.6)
    multiples <- unlist(lapply(scales^2, function(w) lapply(Ulist, function(U) w * U)), recursive = FALSE)
    names(multiples) <- paste0("u", seq_along(multiples))
    one <- mash(sim$data, Ulist, grid = scales, normalizeU = FALSE, verbose = FALSE)
    two <- mash(sim$data, multiples, grid = 1, normalizeU = FALSE, verbose = FALSE)
    expect_close(two$convergence$objective, one$convergence$objective, 1e-11)
    expect_close(unname(two$fitted_g$pi), unname(one$fitted_g$pi), 1e-5)
    expect_close(get_pm(two), get_pm(one), 1e-5)
    # at the same weights the posterior is that of the matrices as they were given
    at <- mash(sim$data, g = two$fitted_g, fixg = TRUE, verbose = FALSE)
    right <- reference_mash(sim$data$Bhat, sim$data$Shat, sim$data$V, multiples, 1, two$fitted_g$pi)
    expect_close(get_pm(at), right$PosteriorMean, 1e-9)
    expect_close(get_lfsr(at), right$lfsr, 1e-9)
  }
})

test_that("duplicated matrices share their weight and change nothing", {
  sim <- small_data(J = 200, R = 3, seed = 6)
  Ulist <- cov_canonical(sim$data)
  twice <- c(Ulist, setNames(Ulist, paste0(names(Ulist), "_again")))
  one <- mash(sim$data, Ulist, verbose = FALSE)
  two <- mash(sim$data, twice, grid = one$fitted_g$grid, normalizeU = FALSE, verbose = FALSE)
  expect_true(two$convergence$converged)
  expect_close(two$convergence$objective, one$convergence$objective, 1e-10)
  expect_close(get_pm(two), get_pm(one), 1e-5)
  expect_length(two$fitted_g$pi, 1 + 2 * (length(one$fitted_g$pi) - 1))
})

test_that("the solvers of mixsqp leave the user's generator where it is", {
  skip_if_not_installed("mixsqp")
  sim <- small_data(J = 30, R = 2)
  set.seed(5)
  before <- .Random.seed
  mash(sim$data, cov_canonical(sim$data), optmethod = "mixSQP", verbose = FALSE)
  expect_identical(.Random.seed, before)
})

test_that("one component needs no solver, whichever was asked for", {
  skip_if_not_installed("mixsqp")
  data <- mash_set_data(matrix(c(1, 2), 1), 1)
  fit <- mash(data, list(a = diag(2)), grid = 1, usepointmass = FALSE, optmethod = "mixSQP", verbose = FALSE)
  expect_identical(unname(fit$fitted_g$pi), 1)
})

test_that("start: the same solution from anywhere, and quickly from near it", {
  sim <- small_data(J = 300, R = 4, shat = "varying")
  U <- cov_canonical(sim$data)
  m <- mash(sim$data, U, verbose = FALSE)
  again <- mash(sim$data, U, verbose = FALSE, start = m)
  expect_close(again$convergence$objective, m$convergence$objective, 1e-9)
  expect_lte(again$convergence$iterations, 2)
  P <- length(m$fitted_g$pi)
  from <- list(rep(1, P), c(0, 1, rep(0, P - 2)), m$fitted_g)
  for (start in from) {
    fit <- mash(sim$data, U, verbose = FALSE, start = start)
    expect_close(fit$convergence$objective, m$convergence$objective, 1e-8)
    expect_true(fit$convergence$converged)
  }
  # Other matrices: those that both have are taken.
  fewer <- mash(sim$data, U[1:3], grid = m$fitted_g$grid, verbose = FALSE)
  expect_close(mash(sim$data, U, grid = m$fitted_g$grid, verbose = FALSE, start = fewer)$convergence$objective, m$convergence$objective, 1e-8)
  expect_error(mash(sim$data, U, verbose = FALSE, start = 1:3), "non-negative weights", class = "covmash_error_argument")
  expect_error(mash(sim$data, U, verbose = FALSE, start = list(pi = c(a = 1))), "no weights of the components", class = "covmash_error_argument")
  expect_error(mash(sim$data, g = m, fixg = TRUE, start = m, verbose = FALSE), "`start` has no use", class = "covmash_error_g")
})

test_that("weights: whole ones are copies of effects", {
  for (missing in c(0, 0.15)) {
    sim <- small_data(J = 200, R = 4, shat = "varying", missing = missing)
    U <- cov_canonical(sim$data)
    times <- rep(c(0, 1, 2, 5), 50)
    copies <- rep(1:200, times)
    grid <- c(0.5, 1, 2, 4)
    weighted <- mash(sim$data, U, grid = grid, weights = times, verbose = FALSE)
    copied <- mash(sim$data[copies, ], U, grid = grid, verbose = FALSE)
    expect_close(weighted$convergence$objective, copied$convergence$objective, 1e-9)
    expect_close(weighted$fitted_g$pi, copied$fitted_g$pi, 1e-4)
    expect_close(get_pm(weighted)[copies, ], get_pm(copied), 1e-4)
    expect_length(weighted$vloglik, 200)
    if (!requireNamespace("mixsqp", quietly = TRUE)) next
    theirs <- mash(sim$data, U, grid = grid, weights = times, optmethod = "mixSQP", verbose = FALSE)
    expect_close(theirs$convergence$objective, weighted$convergence$objective, 1e-6)
  }
  expect_error(mash(sim$data, U, weights = 1:3, verbose = FALSE), "one non-negative number for each of the 200 effects", class = "covmash_error_argument")
  expect_error(mash(sim$data, U, weights = -times, verbose = FALSE), class = "covmash_error_argument")
  expect_error(mash(sim$data, U, weights = 0 * times, verbose = FALSE), class = "covmash_error_argument")
})

test_that("weights: many effects, for which levels are used, and all but a few of them without any", {
  sim <- small_data(J = 20000, R = 2)
  U <- cov_canonical(sim$data)
  alone <- rep(0, 20000)
  few <- 100:140
  alone[few] <- 1
  weighted <- mash(sim$data, U, grid = c(1, 2), weights = alone, verbose = FALSE, outputlevel = 1)
  expect_close(weighted$convergence$objective, mash(sim$data[few, ], U, grid = c(1, 2), verbose = FALSE)$convergence$objective, 1e-8)
  tenth <- mash(sim$data, U, grid = c(1, 2), weights = rep(0.1, 20000), prior = "uniform", verbose = FALSE, outputlevel = 1)
  whole <- mash(sim$data, U, grid = c(1, 2), prior = "uniform", verbose = FALSE, outputlevel = 1)
  expect_close(tenth$fitted_g$pi, whole$fitted_g$pi, 1e-5)
})

test_that("weights that are next to nothing where they are needed are no obstacle", {
  # The squares of their densities' inverses are beyond floats: it was an error.
  withr::local_seed(1)
  data <- mash_set_data(matrix(rnorm(16000, 0, 6), 8000) + matrix(rnorm(16000), 8000))
  U <- c(cov_canonical(data), list(a = matrix(c(1, 0.3, 0.3, 1), 2), b = matrix(c(2, -0.3, -0.3, 1), 2)))
  fit <- mash(data, U, verbose = FALSE, outputlevel = 1)
  P <- length(fit$fitted_g$pi)
  for (small in c(1e-10, 1e-20, 1e-50)) {
    again <- mash(data, U, verbose = FALSE, outputlevel = 1, start = c(1, rep(small, P - 1)))
    expect_true(again$convergence$converged)
    expect_equal(again$loglik, fit$loglik, tolerance = 1e-8)
  }
})
