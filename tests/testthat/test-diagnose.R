# Half of the effects null, the others equal in all conditions or in one of them; Shat varies.
clean_sim <- function(J = 3000, R = 4, seed = 1) {
  withr::local_seed(seed)
  B <- matrix(0, J, R, dimnames = list(NULL, c("liver", "lung", "skin", "blood", paste0("c", seq_len(R)))[seq_len(R)]))
  equal <- seq_len(J %/% 4)
  one <- seq_len(J %/% 4) + J %/% 4
  B[equal, ] <- rnorm(length(equal), sd = 2.5)
  B[cbind(one, sample(R, length(one), TRUE))] <- rnorm(length(one), sd = 3)
  Shat <- matrix(runif(J * R, 0.5, 1.5), J)
  list(B = B, Shat = Shat, e = matrix(rnorm(J * R), J))
}

data_of_sim <- function(s, e = s$e, ...) suppressWarnings(mash_set_data(s$B + s$Shat * e, s$Shat, ...))

fit_of <- function(data, ...) mash(data, cov_canonical(data), ..., verbose = FALSE, outputlevel = 1, n_threads = 1)

look <- function(data, fit = fit_of(data)) diagnose(fit, data, n_threads = 1)

test_that("a good analysis has no finding, and prints so", {
  data <- data_of_sim(clean_sim())
  found <- look(data)
  expect_s3_class(found, c("mash_findings", "data.frame"), exact = TRUE)
  expect_named(found, c("check", "level", "n", "finding", "advice"))
  expect_identical(nrow(found), 0L)
  expect_output(print(found), "^Nothing found\\.$")
})

test_that("errors larger or smaller than they say are found, with their size and place", {
  s <- clean_sim()
  e <- s$e
  e[, 2] <- 1.5 * e[, 2]
  found <- look(data_of_sim(s, e))
  expect_identical(as.list(found[, c("check", "n")]), list(check = "size of errors", n = 1L))
  expect_match(found$finding, "about 1\\.[45].* condition 2 \\('lung'\\)")
  found <- look(data_of_sim(s, 0.5 * s$e))
  expect_identical(found$n[found$check == "size of errors"], 4L)
  expect_identical(found$level[found$check == "size of errors"], "problem")
  expect_false("correlated errors" %in% found$check)
})

test_that("correlated errors are found unless V has them, and V that has too much", {
  s <- clean_sim(seed = 2)
  V <- diag(4)
  V[1, 2] <- V[2, 1] <- 0.6
  e <- s$e %*% chol(V)
  found <- look(data_of_sim(s, e))
  expect_identical(found$check, "correlated errors")
  expect_match(found$finding, "'liver'.*'lung'.*: 0\\.[56].*, not 0\\.")
  expect_identical(nrow(look(data_of_sim(s, e, V = V))), 0L)
  found <- look(data_of_sim(s, V = V))
  expect_match(found$finding[found$check == "correlated errors"], "not 0\\.6")
  # A covariance matrix: its variances are no finding.
  sd <- c(1, 2, 0.5, 1)
  s$Shat <- s$Shat / rep(sd, each = nrow(s$Shat))
  data <- data_of_sim(s, e * rep(sd, each = nrow(e)), V = V * tcrossprod(sd))
  expect_identical(nrow(look(data)), 0L)
})

test_that("small effects that conditions share are not taken for correlated errors", {
  withr::local_seed(3)
  z <- matrix(rnorm(16000), 4000) + rnorm(4000, sd = 0.8)
  z[1:60, ] <- z[1:60, ] + 6
  data <- mash_set_data(z)
  expect_true("correlated errors" %in% check_mash_data(data)$check)
  expect_false("correlated errors" %in% look(data)$check)
  # Nor patterns that no canonical matrix has.
  sim <- simple_sims2(1500, err_sd = 1)
  expect_false(any(look(mash_set_data(sim$Bhat, sim$Shat))$level == "problem"))
})

test_that("a grid that lacks scales is found, and one that does not is none", {
  data <- data_of_sim(clean_sim(seed = 4))
  U <- cov_canonical(data)
  found <- look(data, fit_of(data, grid = 1.25 * 2^(-(8:0) / 2)))
  expect_identical(found$check, "grid")
  expect_match(found$finding, "without large scales")
  expect_match(look(data, fit_of(data, grid = c(6, 9)))$finding, "without small scales")
  expect_match(look(data, fit_of(data, grid = c(0.1, 20)))$finding, "too coarse")
  expect_identical(nrow(look(data, fit_of(data, gridmult = 2))), 0L)
  expanded <- expand_cov(U, 2^((-4):9 / 2), usepointmass = FALSE)
  fit <- mash(data, expanded, grid = 1, normalizeU = FALSE, verbose = FALSE, outputlevel = 1, n_threads = 1)
  expect_identical(nrow(look(data, fit)), 0L)
})

test_that("fits of chosen effects are found; priors of others are looked at in both directions", {
  data <- data_of_sim(clean_sim(seed = 5))
  strong <- sort(unname(get_significant_results(mash_1by1(data))))
  found <- look(data[strong, ])
  expect_identical(found$check, "chosen effects")
  expect_match(found$finding, "chosen by their size")
  prior <- suppressWarnings(fit_mash_prior(data, cov_canonical(data), strong))
  expect_match(look(data, prior)$finding, "learned from stronger effects")
  prior <- fit_mash_prior(data, cov_canonical(data), select_training_effects(data, 1000, "top", seed = 1))
  expect_identical(nrow(look(data, prior)), 0L)
  expect_identical(nrow(look(data[strong, ], prior)), 0L)
  expect_identical(nrow(look(data[strong, ], apply_mash_prior(data[strong, ], prior))), 0L)
})

test_that("what the data alone show is found too, and does not disturb the rest", {
  s <- clean_sim(seed = 6)
  zeros <- data_of_sim(s)$Bhat
  withr::with_seed(1, at <- sample(12000, 1200))
  zeros[at] <- 0
  found <- look(mash_set_data(zeros, s$Shat))
  expect_identical(found$check, "placeholders")
  expect_identical(found$n, 1200L)
  s$B[, 3] <- s$B[, 1]
  s$Shat[, 3] <- s$Shat[, 1]
  s$e[, 3] <- s$e[, 1] + 0.01 * s$e[, 3]
  found <- look(data_of_sim(s))
  expect_identical(found$check, "same conditions")
  expect_match(found$finding, "'liver'.*'skin'.*nearly")
})

test_that("weights that did not converge, and data of another fit", {
  data <- data_of_sim(clean_sim(J = 400))
  fit <- suppressWarnings(fit_of(data, control = list(max_iter = 1)))
  expect_false(fit$convergence$converged)
  expect_true("weights" %in% look(data, fit)$check)
  other <- data
  other$Bhat <- 1.1 * other$Bhat
  expect_true("other data" %in% look(other, fit_of(data))$check)
  expect_false("other data" %in% look(data[1:300, ], fit_of(data))$check)
})

test_that("learned matrices without use are a note", {
  data <- data_of_sim(clean_sim(seed = 7))
  learned <- crossprod(matrix(c(1, -1, 0.5, 0.2, 0.3, 1, -0.7, 0.4), 2))
  found <- look(data, mash(data, c(cov_canonical(data), list(x = learned)), verbose = FALSE, n_threads = 1))
  expect_identical(found$check, "learned covariances")
  expect_identical(found$level, "note")
  null <- mash_set_data(withr::with_seed(1, matrix(rnorm(80000), 20000)))
  found <- look(null, fit_of(null, nullweight = 1000))
  expect_setequal(found$check, c("strong effects", "null weight"))
})

test_that("few effects, one condition, missing estimates, contrasts, alpha, V of each effect", {
  s <- clean_sim(seed = 8)
  data <- data_of_sim(s)
  expect_identical(nrow(look(data[1, ])), 0L)
  expect_false(any(look(data[seq(1, 3000, 20), ])$level == "problem"))
  expect_identical(nrow(look(data[, 1])), 0L)
  expect_identical(nrow(look(data[, 1:2])), 0L)
  expect_identical(nrow(look(data_of_sim(s, alpha = 1))), 0L)
  s$Shat[] <- 1
  data <- data_of_sim(s)
  expect_identical(nrow(look(mash_update_data(data, ref = "mean"))), 0L)
  V <- array(diag(4), c(4, 4, 3000))
  expect_identical(nrow(look(data_of_sim(s, V = V))), 0L)
  s$B[cbind(1:2000, rep(1:4, 500))] <- NA
  expect_identical(nrow(look(data_of_sim(s))), 0L)
})

test_that("the seed stays, and what cannot be used is refused", {
  data <- data_of_sim(clean_sim(J = 300))
  fit <- fit_of(data)
  set.seed(1)
  before <- .Random.seed
  first <- look(data, fit)
  expect_identical(.Random.seed, before)
  expect_identical(look(data, fit), first)
  expect_error(diagnose(), class = "covmash_error_fit")
  expect_error(diagnose(fit), class = "covmash_error_data")
  expect_error(diagnose(1, data), class = "covmash_error_fit")
  expect_error(diagnose(fit, 1), class = "covmash_error_data")
  expect_error(diagnose(fit, data_of_sim(clean_sim(J = 300), alpha = 1)), class = "covmash_error_alpha")
})

test_that("the scale of the errors is that of the null part", {
  withr::local_seed(9)
  for (scale in c(0.6, 1, 1.4)) {
    z <- scale * rnorm(20000) + c(rep(0, 14000), rnorm(6000, sd = 4))
    found <- error_scale(z)
    expect_lt(abs(found[["scale"]] - scale), 0.08 * scale)
  }
  expect_identical(error_scale(c(1, NA))[["se"]], Inf)
})

test_that("effects drawn from a prior have its largest z-scores", {
  data <- mash_set_data(matrix(1, 20000, 2), 0.5, V = matrix(c(1, 0.5, 0.5, 1), 2))
  Ulist <- list(a = diag(2), b = diag(c(1, 0)))
  model <- list(Ulist = Ulist, grid = c(1, 2), usepointmass = TRUE, pi = c(0.5, 0.2, 0, 0, 0.3))
  drawn <- withr::with_seed(1, drawn_largest_z(list(data = data, model = model)))
  # P(both below c) of each component.
  below <- function(c, U) {
    S <- matrix(c(1, 0.5, 0.5, 1), 2) + 4 * U
    f <- function(x) {
      mean <- S[1, 2] / S[1, 1] * x
      sd <- sqrt(S[2, 2] - S[1, 2]^2 / S[1, 1])
      dnorm(x, 0, sqrt(S[1, 1])) * (pnorm(c, mean, sd) - pnorm(-c, mean, sd))
    }
    integrate(f, -c, c)$value
  }
  for (c in c(1, 2, 4)) {
    expected <- 0.5 * below(c, 0 * diag(2)) + 0.2 * below(c, diag(2)) + 0.3 * below(c, 4 * diag(c(1, 0)))
    expect_lt(abs(mean(drawn < c) - expected), 4 * sqrt(0.25 / 20000))
  }
})
