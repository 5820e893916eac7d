test_that("the number of threads: argument before option before environment variable", {
  withr::local_options(covmash.threads = 3)
  withr::local_envvar(COVMASH_THREADS = "5")
  expect_identical(resolve_threads(2), 2L)
  expect_identical(resolve_threads(), 3L)
  withr::local_options(covmash.threads = NULL)
  expect_identical(resolve_threads(), 5L)
})

test_that("without any of them, the cores at hand, two at the most, unless a scheduler says otherwise", {
  withr::local_options(covmash.threads = NULL, mc.cores = NULL)
  withr::local_envvar(COVMASH_THREADS = NA, SLURM_CPUS_PER_TASK = NA, SLURM_CPUS_ON_NODE = NA)
  expect_true(resolve_threads() %in% 1:2)
  withr::local_envvar(R_PARALLELLY_AVAILABLECORES_METHODS = NA)
  cores <- parallelly::availableCores(methods = "Slurm", na.rm = TRUE)
  expect_type(cores, "integer")
})

test_that("a useless number of threads names where it came from", {
  for (n in list(0, -1, 1.5, NA, "two", c(1, 2))) {
    expect_input_error(resolve_threads(n), "n_threads", class = "covmash_error_threads")
  }
  withr::local_options(covmash.threads = 0)
  expect_input_error(resolve_threads(), "covmash.threads", class = "covmash_error_threads")
  withr::local_options(covmash.threads = NULL)
  withr::local_envvar(COVMASH_THREADS = "many")
  expect_input_error(resolve_threads(), "COVMASH_THREADS", class = "covmash_error_threads")
  withr::local_options(covmash.block_rows = 0)
  expect_input_error(resolve_block_rows(), "covmash.block_rows")
})

test_that("a number of threads that only looks like one says what it is", {
  expect_input_error(resolve_threads(factor(1)), "not a factor", class = "covmash_error_threads")
  expect_identical(describe(as.Date("2020-01-01")), "an object of class Date")
  expect_identical(describe(1 + 1e-9), "1.000000001")
  expect_identical(describe(0.1), "0.1")
  expect_input_error(check_flag(data.frame(TRUE), "x"), "a data frame")
})

test_that("covmash_info() says what is in use", {
  info <- covmash_info()
  expect_true(info$simd %in% info$simd_available)
  expect_identical(info$n_threads, resolve_threads())
  expect_output(print(info), info$simd, fixed = TRUE)
})

# Rows of all kinds: shared noise, proportional noise, own noise; complete, shared patterns, own patterns, all missing.
mixed_problem <- function(J = 2600, R = 4, alpha = 0) {
  withr::with_seed(77, {
    B <- matrix(rnorm(J * R, sd = 3), J, R) * rbinom(J, 1, 0.4)
    Shat <- matrix(runif(J * R, 0.5, 1.5), J, R)
    shared <- seq_len(J) <= J / 2
    Shat[shared, ] <- outer(sample(c(1, 0.7), sum(shared), TRUE), c(1, 0.8, 1.3, 0.6)[seq_len(R)])
    V <- 0.2 + diag(0.8, R)
    Bhat <- B + Shat * matrix(rnorm(J * R), J, R) %*% chol(V)
    Bhat[seq_len(J) %% 5 == 0, 2] <- NA
    Bhat[seq_len(J) > J * 0.9 & runif(J * R) < 0.2] <- NA
    Bhat[c(1, J), ] <- NA
    data <- muffle_all_missing(mash_set_data(Bhat, Shat, alpha = alpha, V = V))
    Ulist <- c(cov_canonical(data), list(low = random_covariance("low_rank", R), full = random_covariance("full", R)))
    list(data = data, Ulist = Ulist)
  })
}

fit_mixed <- function(problem, ...) {
  without_timing(muffle_all_missing(mash(problem$data, problem$Ulist, gridmult = 2, output_lfdr = TRUE, verbose = FALSE, ...)))
}

test_that("more threads than the machine has use for are not started", {
  expect_identical(resolve_threads(1e12), .Machine$integer.max)
  withr::local_options(covmash.block_rows = 1e12)
  expect_identical(resolve_block_rows(), .Machine$integer.max)
  problem <- mixed_problem(J = 300)
  expect_identical(fit_mixed(problem, n_threads = 1e5), fit_mixed(problem, n_threads = 1))
})

test_that("a fit has the same bits for 1, 2, 3 and 7 threads", {
  problem <- mixed_problem()
  one <- fit_mixed(problem, n_threads = 1)
  for (n in c(2, 3, 7)) expect_identical(fit_mixed(problem, n_threads = n), one)
  withr::local_options(covmash.threads = 3)
  expect_identical(fit_mixed(problem), one)
})

test_that("a fit has the same bits for any number of rows in a block of work", {
  for (alpha in 0:1) {
    problem <- mixed_problem(alpha = alpha)
    default <- fit_mixed(problem, n_threads = 1)
    for (size in c(64, 100, 1024, 5000)) {
      withr::local_options(covmash.block_rows = size)
      expect_identical(fit_mixed(problem, n_threads = 2), default)
    }
  }
})

test_that("likelihoods that are computed again give the same bits as kept ones, at every level of the fit", {
  for (J in c(2600, 20000)) {
    problem <- mixed_problem(J)
    kept <- fit_mixed(problem, n_threads = 1)
    withr::with_options(list(covmash.memory = 0), {
      expect_identical(fit_mixed(problem, n_threads = 1), kept)
      expect_identical(fit_mixed(problem, n_threads = 3), kept)
    })
  }
  withr::local_options(covmash.memory = "all")
  expect_input_error(resolve_memory(), "covmash.memory")
})

test_that("the instruction set can be chosen before the package is loaded; a wrong name is a warning", {
  in_use <- cpp_simd()
  withr::defer(cpp_set_simd(in_use))
  withr::local_envvar(COVMASH_SIMD = "baseline")
  choose_simd()
  expect_identical(cpp_simd(), cpp_simd_available()[1])
  withr::local_options(covmash.simd = "abacus")
  expect_warning(choose_simd(), "abacus", class = "covmash_warning_simd")
  expect_identical(cpp_simd(), cpp_simd_available()[1])
})

test_that("posterior and log-likelihoods given g have the same bits for any threads and blocks", {
  problem <- mixed_problem()
  fit <- fit_mixed(problem)
  reference <- mash_compute_posterior_matrices(fit, problem$data)
  vloglik <- mash_compute_vloglik(fit, problem$data)
  expect_identical(vloglik, fit$vloglik)
  for (setting in list(c(1, 64), c(2, 100), c(3, 1024), c(7, 5000))) {
    withr::local_options(covmash.threads = setting[1], covmash.block_rows = setting[2])
    expect_identical(mash_compute_posterior_matrices(fit, problem$data), reference)
    expect_identical(mash_compute_vloglik(fit, problem$data), vloglik)
  }
  for (name in posterior_names) expect_identical(reference[[name]], fit$result[[name]])
})

test_that("with g fixed, rows of z-scores computed alone have the same bits, or 1e-12 where estimates are missing", {
  sim <- small_data(J = 1500, R = 5, shat = "varying", missing = 200, alpha = 1, V = 0.3 + diag(0.7, 5))
  fit <- muffle_all_missing(mash(sim$data, cov_canonical(sim$data), verbose = FALSE))
  whole <- mash_compute_posterior_matrices(fit, sim$data)
  vloglik <- mash_compute_vloglik(fit, sim$data)
  complete <- rowSums(is.na(sim$Bhat)) == 0
  # Subsets below and above any threshold a choice of path could have.
  for (rows in list(which(complete)[3], which(!complete)[2], 31:60, 33:75, sample_rows(1500, 40), seq(1, 1500, 3), 1500:1)) {
    part <- mash_compute_posterior_matrices(fit, sim$data[rows, ])
    exact <- which(complete[rows])
    for (name in posterior_names) {
      expected <- whole[[name]][rows, , drop = FALSE]
      expect_identical(part[[name]][exact, ], expected[exact, ])
      expect_close(part[[name]], expected, 1e-12)
    }
    part <- mash_compute_vloglik(fit, sim$data[rows, ])
    expect_identical(part[exact, ], vloglik[rows[exact], ])
    expect_close(part, vloglik[rows, , drop = FALSE], 1e-12)
  }
})

test_that("with g fixed, rows of a constant Shat computed alone have the same bits", {
  sim <- small_data(J = 500, R = 4, V = 0.4 + diag(0.6, 4))
  fit <- mash(sim$data, c(cov_canonical(sim$data), cov_pca(sim$data, 2)), verbose = FALSE)
  whole <- mash_compute_posterior_matrices(fit, sim$data)
  for (rows in list(1, 5:20, 40:99, 500:2)) {
    part <- mash_compute_posterior_matrices(fit, sim$data[rows, ])
    for (name in posterior_names) expect_identical(part[[name]], whole[[name]][rows, , drop = FALSE])
  }
})

test_that("with g fixed, rows of any other noise computed alone agree to 1e-12", {
  problem <- mixed_problem(J = 1200)
  fit <- fit_mixed(problem)
  whole <- mash_compute_posterior_matrices(fit, problem$data)
  vloglik <- mash_compute_vloglik(fit, problem$data)
  for (rows in list(3, c(2, 700), 2:30, sample_rows(1199, 64), 601:1199)) {
    part <- mash_compute_posterior_matrices(fit, problem$data[rows, ])
    for (name in posterior_names) expect_close(part[[name]], whole[[name]][rows, , drop = FALSE], 1e-12)
    expect_close(mash_compute_vloglik(fit, problem$data[rows, ]), vloglik[rows, , drop = FALSE], 1e-12)
  }
})

test_that("all instruction sets give the same answer to rounding, and the choice can be undone", {
  default <- cpp_simd()
  withr::defer(cpp_set_simd(default))
  problem <- mixed_problem(J = 300)
  fit <- fit_mixed(problem)
  reference <- mash_compute_posterior_matrices(fit, problem$data)
  vloglik <- mash_compute_vloglik(fit, problem$data)
  for (name in cpp_simd_available()) {
    cpp_set_simd(name)
    expect_identical(cpp_simd(), name)
    other <- mash_compute_posterior_matrices(fit, problem$data)
    for (quantity in posterior_names) expect_close(other[[quantity]], reference[[quantity]], 1e-12)
    expect_close(mash_compute_vloglik(fit, problem$data), vloglik, 1e-12)
  }
  expect_error(cpp_set_simd("abacus"), "abacus")
})

test_that("nothing touches R's random numbers", {
  sim <- small_data()
  set.seed(42)
  expect_rng_untouched({
    data <- mash_set_data(sim$Bhat, sim$Shat)
    fit <- mash(data, c(cov_canonical(data), cov_pca(data, 2)), verbose = FALSE)
    mash_compute_posterior_matrices(fit, data)
    mash_1by1(data)
    get_pairwise_sharing(fit)
    utils::capture.output(print(fit))
  })
})
