# Runs that are cut short on purpose say so; that warning has its own test.
quiet_deconvolve <- function(...) {
  withCallingHandlers(deconvolve(...), covmash_warning_convergence = function(w) invokeRestart("muffleWarning"))
}

mixture_data <- function(J = 200, R = 4, shat = "one", missing = 0, V = diag(R), seed = 1) {
  withr::local_seed(seed)
  full <- stats::rWishart(1, R + 2, diag(R))[, , 1] / 2
  B <- rbind(matrix(stats::rnorm(J / 2 * R), ncol = R) %*% chol(full), outer(stats::rnorm(J / 2, sd = 3), rep(1, R)))
  S <- matrix(if (shat == "one") 1 else stats::runif(J * R, 0.5, 2), J, R)
  Bhat <- B + S * (matrix(stats::rnorm(J * R), J) %*% chol(V))
  if (missing > 0) {
    out <- sample(J * R, missing)
    Bhat[out] <- NA
    S[out] <- NA
  }
  dimnames(Bhat) <- dimnames(S) <- list(paste0("e", seq_len(J)), letters[seq_len(R)])
  mash_set_data(Bhat, S, V = V)
}

noises <- list(
  common = list(), correlated = list(V = 0.4 + diag(0.6, 4)), varying = list(shat = "varying"),
  missing = list(missing = 150, V = 0.4 + diag(0.6, 4)), both = list(shat = "varying", missing = 150)
)

# ---- against udr, plain R ------------------------------------------------------

test_that("steps are those of udr, from the same start and scale", {
  runs <- readRDS(test_path("fixtures", "udr.rds"))
  inputs <- runs[grepl("^input_", names(runs))]
  for (run in runs[!grepl("^input_", names(runs))]) {
    input <- inputs[[paste0("input_", run$case)]]
    R <- ncol(input$X)
    penalty <- c(ted_iw = "iw", ed_iw = "iw", ted_nu = "nuclear")[run$method]
    settings <- deconvolve_settings(
      R, if (is.na(penalty)) "none" else penalty, R, if (startsWith(run$method, "ed")) "ed" else "ted", FALSE, 0,
      run$iterations, 0, 1L
    )
    settings$first_scale <- 1
    settings$loadings <- run$method == "fa"
    rank1 <- if (is.na(penalty)) "low_rank" else "fixed"
    kind <- rep(c("fixed", rank1, if (run$method == "fa") "low_rank" else "full"), each = 2)
    U <- c(input$start$fixed, input$start$rank1, input$start$full)
    plan <- list(kind = kind, rank = c(R, R, 1, 1, R, R), given = NULL)
    fit <- cpp_deconvolve(mash_set_data(input$X, 1, V = input$V), list(start_of_plan(U, plan)), NULL, settings)
    # udr finds eigenvalues to some 1e-7, and keeps them above 1e-8.
    limit <- if (run$method %in% c("ed", "ed_iw")) 1e-10 else if (run$iterations == 1) 1e-6 else 1e-4
    label <- paste(run$case, run$method, run$iterations)
    expect_lt(max(abs(fit$pi - run$w)), limit, label = label)
    expect_lt(max(mapply(function(a, b) max(abs(a$U - b)), fit$components, run$U)), limit, label = label)
    if (run$iterations == 50) {
      expect_gt(fit$loglik + fit$penalty, run$loglik_penalized - 2e-6, label = label)
    }
  }
})

# Where the objective in one eigenvalue is smallest, of all stationary points.
plain_eigenvalue <- function(N, d, lambda, s, penalty) {
  a <- if (penalty == "iw") {
    c(-lambda * s, lambda * (1 - 2 * s), N * (1 - d) + lambda * (2 - s), N + lambda)
  } else {
    up <- lambda / 2 / s
    down <- lambda / 2 * s
    c(-down, -2 * down, N * (1 - d) + up - down, N + 2 * up, up)
  }
  roots <- polyroot(a)
  e <- Re(roots[abs(Im(roots)) < 1e-6 * Mod(roots) & Re(roots) > 0])
  value <- N * (log1p(e) + d / (1 + e)) + lambda * if (penalty == "iw") log(e) + s / e else (e / s + s / e) / 2
  e[which.min(value)]
}

test_that("a penalised step is the best of all stationary points", {
  data <- mixture_data(120, 4)
  Y <- unname(data$Bhat)
  for (penalty in c("iw", "nuclear")) {
    for (lambda in c(0.5, 8, 200)) {
      start <- stats::cov(Y)
      fit <- quiet_deconvolve(
        data, n_full = 1, start = list(start), penalty = penalty, lambda = lambda, accelerate = FALSE,
        max_evaluations = 1, tol = 0
      )
      e <- eigen(start)$values
      s <- if (penalty == "iw") 4 / sum(1 / e) else sqrt(sum(e) / sum(1 / e))
      S <- eigen(crossprod(Y) / 120, symmetric = TRUE)
      new <- vapply(S$values, function(d) plain_eigenvalue(120, d, lambda, s, penalty), 0)
      expect_equal(unname(fit$Ulist[[1]]), S$vectors %*% (new * t(S$vectors)), tolerance = 1e-9)
    }
  }
})

normal_density <- function(data, U) reference_by_component(data$Bhat, data$Shat, data$V, list(U = U))$loglik[, 1]

test_that("a scaled component has the best size of all", {
  data <- mixture_data(120, 4)
  U <- diag(4) + 2
  fit <- deconvolve(data, n_full = 0, scaled = list(a = U))
  worth <- function(c) sum(normal_density(data, c * U))
  best <- stats::optimize(worth, c(0, 50), maximum = TRUE, tol = 1e-10)$maximum
  expect_equal(fit$components$scale, best, tolerance = 1e-6)
  expect_equal(unname(fit$Ulist$a), fit$components$scale * U, tolerance = 1e-12)
})

# ---- what holds of every fit ----------------------------------------------------

test_that("the objective never falls, and is the log-likelihood of the model plus the penalty", {
  for (noise in names(noises)) {
    data <- do.call(mixture_data, noises[[noise]])
    for (penalty in c("iw", "nuclear", "none")) {
      for (accelerate in c(TRUE, FALSE)) {
        withr::local_seed(2)
        fit <- quiet_deconvolve(
          data, n_full = 2, n_rank1 = 1, n_factor = if (penalty == "nuclear") 0 else 1, q = 2,
          scaled = list(s = diag(4)), fixed = list(f = matrix(1, 4, 4)), penalty = penalty, accelerate = accelerate, n_starts = 2, trial_steps = 2,
          max_evaluations = 30
        )
        label <- paste(noise, penalty, accelerate)
        expect_gt(min(diff(fit$objective)), -1e-9, label = label)
        expect_equal(fit$loglik + fit$penalty, fit$objective[length(fit$objective)], tolerance = 1e-12)
        if (length(fit$left_out) == 0L) {
          expect_equal(mash_compute_loglik(fit, data), fit$loglik, tolerance = 1e-10, label = label)
        }
        expect_equal(sum(fit$pi), 1)
        for (U in fit$Ulist) expect_identical(dimnames(as.matrix(U)), list(letters[1:4], letters[1:4]))
      }
    }
  }
})

test_that("results have the same bits for any number of threads", {
  for (noise in c("correlated", "both")) {
    data <- do.call(mixture_data, c(noises[[noise]], J = 600))
    run <- function(n) {
      withr::local_seed(3)
      fit <- quiet_deconvolve(data, n_full = 3, n_starts = 2, max_evaluations = 10, n_threads = n)
      fit$timing <- NULL
      fit
    }
    expect_identical(run(1), run(3))
  }
})

test_that("a weight is that many copies of a row", {
  data <- mixture_data(100)
  twice <- data[c(1:100, 1:20), ]
  weights <- rep(c(2, 1), c(20, 80))
  run <- function(data, ...) {
    withr::local_seed(4)
    deconvolve(data, n_full = 2, start = list(diag(4), diag(4) + 2), ...)
  }
  a <- run(data, weights = weights)
  b <- suppressWarnings(run(twice))
  expect_equal(a$Ulist, b$Ulist, tolerance = 1e-8)
  expect_equal(a$loglik, b$loglik, tolerance = 1e-12)
  expect_equal(
    deconvolve(data, 1:50, n_full = 1, weights = rep(1, 100))$loglik, deconvolve(data, 1:50, n_full = 1)$loglik
  )
})

test_that("alpha changes the scale of the log-likelihood as in mash()", {
  data <- mixture_data(100, shat = "varying")
  scaled <- mash_set_data(data$Bhat, data$Shat, alpha = 1)
  fit <- deconvolve(scaled, n_full = 2)
  expect_equal(fit$loglik, mash_compute_loglik(fit, scaled), tolerance = 1e-10)
  expect_equal(fit$alpha, 1)
})

test_that("starts follow set.seed(), and the seed is left alone where none is drawn", {
  data <- mixture_data(100)
  run <- function(seed, ...) {
    withr::local_seed(seed)
    cov_ted(data, K = 3, ...)
  }
  expect_identical(run(1), run(1))
  withr::with_seed(1, {
    before <- .Random.seed
    deconvolve(data, n_full = 1, start = list(diag(4)))
    expect_identical(.Random.seed, before)
  })
})

# ---- names, kinds, edges ---------------------------------------------------------

test_that("cov_ted() and cov_fa() make lists for mash()", {
  data <- mixture_data(150)
  U <- withr::with_seed(1, cov_ted(data, K = 3, sparse = 0))
  expect_true(all(grepl("^TED_([1-3]|identity|equal)$", names(U))))
  plain <- withr::with_seed(1, cov_ted(data, K = 3, sparse = 0, scaled = list(), scales = 1, tol = 1e-6))
  expect_identical(unname(plain), unname(withr::with_seed(1, deconvolve(data, n_full = 3))$Ulist))
  expect_true(is.finite(mash(data, U, verbose = FALSE)$loglik))
  factors <- withr::with_seed(1, cov_fa(data, K = 2, q = 1))
  expect_true(all(grepl("^FA_[1-2]$", names(factors))))
  expect_true(inherits(factors[[1]], "factor_cov"))
  expect_true(is.finite(mash(data, factors, verbose = FALSE)$loglik))
})

test_that("restrictions are zero where the variance is small beside the noise", {
  U <- matrix(c(4, 2, 0.1, 0, 2, 3, 0, 0, 0.1, 0, 0.2, 0, 0, 0, 0, 0.15), 4)
  dimnames(U) <- list(letters[1:4], letters[1:4])
  made <- restrictions(U, "TED_1", 3, rep(1, 4))
  expect_named(made, "TED_1_top2")
  expect_identical(made[[1]], U * tcrossprod(c(1, 1, 0, 0)))
  # In other units of the third condition it is the noisiest.
  expect_named(restrictions(U, "TED_1", 1, c(1, 1, 0.1, 1)), "TED_1_top3")
  expect_length(restrictions(diag(3), "TED_1", 3, rep(1, 3)), 0)
  expect_length(restrictions(matrix(2), "TED_1", 3, 1), 0)
  data <- mixture_data(150, R = 5)
  set.seed(1)
  all <- cov_ted(data, K = 3)
  set.seed(1)
  expect_identical(all[!grepl("_top[0-9]$|_on_", names(all))], cov_ted(data, K = 3, sparse = 0))
  expect_true(is.finite(mash(data, all, verbose = FALSE)$loglik))
  on <- plain_restrictions(letters[1:4], 4L)
  expect_named(on, paste0("TED_on_", c("1_2", "1_3", "1_4", "2_3", "2_4", "3_4", "1_2_3", "1_2_4", "1_3_4", "2_3_4")))
  expect_identical(diag(on[["TED_on_1_3_4"]]), c(a = 1, b = 0, c = 1, d = 1))
  expect_true(all(names(on) %in% sub("_5", "", names(plain_restrictions(NULL, 5L)))))
  expect_length(plain_restrictions(NULL, 2L), 0)
  expect_length(plain_restrictions(NULL, 7L), 0)
})

test_that("names of a start are kept, and a fit can be the start of the next", {
  data <- mixture_data(100)
  fit <- quiet_deconvolve(data, n_full = 2, start = list(first = diag(4), second = diag(4) + 2), max_evaluations = 3)
  expect_named(fit$Ulist, c("first", "second"))
  on <- deconvolve(data, n_full = 2, start = fit)
  expect_named(on$Ulist, c("first", "second"))
  expect_gte(on$loglik + on$penalty, fit$loglik + fit$penalty - 1e-9)
})

test_that("components without effects are left out and named", {
  data <- mixture_data(60)
  fit <- withr::with_seed(1, deconvolve(data, n_full = 8, lambda = 40))
  expect_gt(length(fit$left_out), 0)
  expect_length(intersect(fit$left_out, names(fit$Ulist)), 0)
  expect_equal(length(fit$left_out) + length(fit$Ulist), 8)
  expect_output(print(fit), "left out")
})

test_that("one condition, few rows, equal starts, zero rows and empty conditions are no trouble", {
  one <- mash_set_data(matrix(stats::qnorm(stats::ppoints(50)) * 3, 50, 1))
  expect_true(all(is.finite(unlist(cov_ted(one, K = 3)))))
  few <- mixture_data(4, R = 6)
  expect_true(all(is.finite(unlist(cov_ted(few)))))
  data <- mixture_data(80)
  same <- deconvolve(data, n_full = 2, start = list(diag(4), diag(4)))
  expect_equal(same$Ulist[[1]], same$Ulist[[2]], tolerance = 1e-10)
  data$Bhat[1:5, ] <- 0
  expect_true(all(is.finite(unlist(cov_ted(data, K = 2)))))
  data$Bhat[, 2] <- NA
  expect_true(all(is.finite(unlist(cov_ted(data, K = 2)))))
  data$Bhat[6:8, ] <- NA
  expect_warning(cov_ted(data, K = 2), class = "covmash_warning_missing")
})

test_that("contrasts and a V of each effect's own can be deconvolved", {
  data <- mixture_data(80, R = 4)
  contrasts <- mash_update_data(data, ref = 1)
  fit <- suppressWarnings(quiet_deconvolve(contrasts, n_full = 1, n_rank1 = 1, max_evaluations = 20))
  expect_length(fit$Ulist, 2)
  V <- array(0.2 + diag(0.8, 4), c(4, 4, 80))
  V[, , 1:40] <- diag(4)
  own <- mash_set_data(data$Bhat, data$Shat, V = V)
  fit <- quiet_deconvolve(own, n_full = 2, n_starts = 2, max_evaluations = 50)
  expect_gt(min(diff(fit$objective)), -1e-9)
  expect_equal(mash_compute_loglik(fit, own), fit$loglik, tolerance = 1e-10)
})

test_that("the second stage fits all rows with scales and a null component", {
  withr::local_seed(5)
  J <- 600
  B <- rbind(matrix(stats::rnorm(200 * 3), 200) %*% chol(2 * (diag(3) * 0.4 + 0.6)), matrix(0, 400, 3))
  data <- mash_set_data(B + stats::rnorm(J * 3))
  strong <- get_significant_results(mash_1by1(data))
  fit <- quiet_deconvolve(data, strong, n_full = 2, refine = "mash", max_evaluations = 100)
  expect_gt(min(diff(fit$objective)), -1e-8)
  expect_true(fit$fitted_g$usepointmass)
  expect_length(fit$fitted_g$grid, 5)
  expect_equal(fit$n_effects, J)
  if (length(fit$left_out) == 0L) {
    expect_equal(mash_compute_loglik(fit, data), fit$loglik, tolerance = 1e-10)
  }
  first <- quiet_deconvolve(data, strong, n_full = 2)
  expect_gt(fit$loglik, mash_compute_loglik(first, data))
})

test_that("components at several scales share a matrix", {
  withr::local_seed(8)
  U <- stats::rWishart(1, 6, diag(4))[, , 1] / 6
  B <- matrix(stats::rnorm(1200), 300) %*% chol(U) * sample(c(1, 4), 300, TRUE)
  data <- mash_set_data(B + stats::rnorm(1200))
  set.seed(1)
  one <- deconvolve(data, n_full = 1)
  set.seed(1)
  fit <- deconvolve(data, n_full = 1, scales = c(1, 16), tol = 1e-9)
  expect_gt(min(diff(fit$objective)), -1e-8)
  expect_gt(fit$loglik, one$loglik + 20)
  expect_length(fit$fitted_g$grid, 2)
  expect_equal(mash_compute_loglik(fit, data), fit$loglik, tolerance = 1e-10)
  expect_equal(unname(rowSums(get_posterior_weights(fit, data))), rep(1, 300))
  expect_equal(sum(fit$pi), 1)
  # The shape is that of the truth.
  expect_gt(cor(as.vector(fit$Ulist[[1]]), as.vector(U)), 0.97)
  refined <- quiet_deconvolve(data, n_full = 1, scales = c(1, 16), refine = "mash", max_evaluations = 50)
  expect_length(refined$fitted_g$grid, 5)
  expect_error(deconvolve(data, scales = -1), class = "covmash_error_argument")
})

test_that("it calibrates where maximum likelihood does not", {
  withr::local_seed(6)
  R <- 5
  directions <- list(rep(1, R), stats::rnorm(R), c(1, 0, 0, 0, 0))
  k <- sample(3, 300, TRUE)
  B <- rbind(t(vapply(k, function(i) directions[[i]] * stats::rnorm(1, sd = 3), numeric(R))), matrix(0, 700, R))
  data <- mash_set_data(B + stats::rnorm(length(B)))
  strong <- get_significant_results(mash_1by1(data))
  surprise <- function(Ulist) {
    m <- mash(data, c(cov_canonical(data), Ulist), verbose = FALSE)$result
    called <- m$lfsr < 0.05
    sum(sign(m$PosteriorMean)[called] * sign(B)[called] < 1) / sum(m$lfsr[called])
  }
  penalised <- surprise(cov_ted(data, strong))
  free <- surprise(deconvolve(data, strong, penalty = "none")$Ulist)
  expect_lt(penalised, 3)
  expect_gt(free, 2 * penalised)
})

# ---- wrong input -------------------------------------------------------------------

test_that("wrong arguments are named", {
  data <- mixture_data(20)
  expect_error(deconvolve(1), class = "covmash_error_data")
  expect_error(deconvolve(data, n_full = 0), "no component", class = "covmash_error_argument")
  expect_error(deconvolve(data, n_full = -1), "n_full", class = "covmash_error_argument")
  expect_error(deconvolve(data, penalty = "ridge"), "penalty", class = "covmash_error_argument")
  expect_error(deconvolve(data, lambda = -1), "lambda", class = "covmash_error_argument")
  expect_error(deconvolve(data, update = "teem"), "update", class = "covmash_error_argument")
  expect_error(deconvolve(data, start = list(diag(3)), n_full = 1), class = "covmash_error_ulist")
  expect_error(deconvolve(data, start = list(diag(4)), n_full = 2), "2 components", class = "covmash_error_ulist")
  expect_error(deconvolve(data, n_full = 0, scaled = list(diag(2))), "scaled", class = "covmash_error_ulist")
  expect_error(deconvolve(data, penalty = "nuclear", update = "ed"), "nuclear", class = "covmash_error_argument")
  expect_error(deconvolve(data, penalty = "nuclear", n_factor = 1), "nuclear", class = "covmash_error_argument")
  expect_error(deconvolve(data, weights = 1:3), "weights", class = "covmash_error_argument")
  expect_error(deconvolve(data, 1:2, weights = rep(0:1, c(2, 18))), "weights", class = "covmash_error_argument")
  expect_error(deconvolve(data, integer()), class = "covmash_error_index")
  expect_warning(deconvolve(data, max_evaluations = 1), class = "covmash_warning_convergence")
})

test_that("a component that shrinks to nothing keeps variances that can be computed with", {
  data <- mixture_data(8, shat = "varying")
  data$Bhat[] <- 0
  fit <- quiet_deconvolve(data, n_full = 0, n_factor = 1, n_rank1 = 1, penalty = "none", max_evaluations = 50)
  variances <- unlist(lapply(fit$Ulist, function(U) diag(as.matrix(U))))
  expect_true(all(variances == 0 | variances > 1e-100))
  expect_equal(mash_compute_loglik(fit, data), fit$loglik, tolerance = 1e-9)
  # Where the null component of the second stage takes everything the weights are still weights.
  none <- quiet_deconvolve(data, n_full = 1, penalty = "none", refine = "mash", max_evaluations = 5)
  expect_equal(sum(none$pi), 1)
})

test_that("a step that loses all digits ends the run, not the session's work", {
  # Errors correlated at -1 + 3e-7, one effect with other standard errors: found by a hostile call.
  z <- c(
    -1, 4, -2, 0, 0, 0, 0, 4, 0, -1, 0, -1, 0, -9, 1, 0, -2, 12, 0, 0, 1, -1, 1, 0, 0, -1, 0, 0, 0, 0, -2, -6, 0, 2, 0, -8, -1,
    0, 0, 0, 0, 0, 0, 1, 0, -3, -1, 0, 0, 0, 5, -4, 4, 0, -4, 1, 0, 2, 1, 1, 0, -1, 0, 2, 3, 0, 0, 0, 0, -3, 0, 1, 1, 0, 0, -1,
    0, 6, 0, 0
  )
  Shat <- rbind(c(0.42, 1.32), c(1.42, 0.38))[rep(1:2, c(39, 1)), ]
  V <- matrix(c(1, -1 + 3e-7, -1 + 3e-7, 1), 2)
  data <- suppressWarnings(mash_set_data(matrix(z, 40) * Shat, Shat, V = V))
  said <- character()
  for (seed in 1:20) {
    withr::with_seed(seed, withCallingHandlers(
      fit <- deconvolve(
        data, n_full = 2, n_rank1 = 1, fixed = list(diag(2)), penalty = "none", n_starts = 1, trial_steps = 0,
        max_evaluations = 60
      ),
      covmash_warning_convergence = function(cnd) {
        said <<- c(said, conditionMessage(cnd))
        invokeRestart("muffleWarning")
      }
    ))
    expect_true(is.finite(fit$loglik))
    expect_gte(min(diff(fit$objective)), -1e-9 * abs(fit$loglik))
  }
  expect_true(any(grepl("close to singular", said)))
})

test_that("cov_ted() learns the same on any scale of the data", {
  set.seed(1)
  B <- (matrix(rnorm(120) * rep(c(0, 3), 60), 60, 2) + rnorm(120))
  learned <- function(unit) {
    set.seed(2)
    lapply(cov_ted(mash_set_data(B * unit, unit), 1:40), function(U) U / max(U))
  }
  expect_equal(learned(2^-36), learned(1), tolerance = 1e-8)
  expect_equal(learned(2^40), learned(1), tolerance = 1e-8)
})
