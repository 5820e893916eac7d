# The notebook's numbers and mashr's, from the estimates alone; mashr's results are only read to compare.

reference <- readRDS(test_path("fixtures", "notebook1.rds"))

# After its 5000 iterations TEEM has not quite converged here, neither in mashr nor in covmash, which says so.
teem_5000 <- function(data, U, rows) {
  withCallingHandlers(
    cov_ed(data, U, subset = rows, algorithm = "teem"),
    covmash_warning_convergence = function(w) invokeRestart("muffleWarning")
  )
}

notebook <- local({
  data <- mash_set_data(mash_notebook$Bhat, mash_notebook$Shat)
  strong <- get_significant_results(mash_1by1(data, prior = "flat"), thresh = 0.05)
  U_pca <- cov_pca(data, 5, subset = strong)
  canonical <- cov_canonical(data)
  teem <- teem_5000(data, U_pca, strong)
  bovy <- cov_ed(data, U_pca, subset = strong)
  fit <- function(Ulist) mash(data, Ulist, verbose = FALSE, outputlevel = 1)
  list(
    data = data, strong = strong, U_pca = U_pca, canonical = canonical, teem = teem, bovy = bovy,
    fits = list(
      teem_ed = fit(teem), teem_combined = fit(c(canonical, teem)), canonical = fit(canonical),
      bovy_ed = fit(bovy), bovy_combined = fit(c(canonical, bovy))
    )
  )
})

expect_matrices_close <- function(actual, expected, tol) {
  expect_named(actual, names(expected))
  for (name in names(expected)) expect_close(actual[[name]], expected[[name]], tol)
}

objective_of <- function(fit) fit$loglik + 9 * log(fit$fitted_g$pi[[1]])

test_that("1141 rows are strong under a flat prior, 41 under ash", {
  expect_length(notebook$strong, 1141)
  expect_identical(unname(notebook$strong), reference$strong)
  expect_length(get_significant_results(mash_1by1(notebook$data)), 41)
})

test_that("PCA and deconvolution give mashr's matrices", {
  expect_matrices_close(notebook$U_pca, reference$U_pca, 1e-10)
  expect_matrices_close(notebook$teem, reference$U_ed_teem, 1e-8)
  expect_matrices_close(notebook$bovy, reference$U_ed_bovy, 1e-6)
  expect_length(c(notebook$canonical, notebook$teem), 16)
})

test_that("TEEM follows mashr's objective and weights", {
  z <- unname(notebook$data$Bhat[notebook$strong, ])
  run <- cpp_teem(mash_set_data(z), list(Ulist = notebook$U_pca, pi = rep(1 / 6, 6)), list(n_threads = 1, scale = rep(1, 5)))
  expect_close(run$w, reference$teem$w, 1e-8)
  # The objective of an iteration is that before its update; mashr reports the one after it.
  expect_close(run$objective[2:10], reference$teem$first[1:9], 1e-11)
  expect_false(is.unsorted(run$objective + seq_along(run$objective) * 1e-10))
  loglik <- reference_by_component(z, 1 + 0 * z, diag(5), setNames(run$Ulist, names(notebook$U_pca)))$loglik
  expect_close(reference_objective(loglik, run$w, rep(1, 6)), reference$teem$last, 1e-11)
})

test_that("log-likelihoods are the notebook's", {
  loglik <- vapply(notebook$fits, `[[`, 0, "loglik")
  expect_lt(abs(loglik[["teem_ed"]] - -15991.51), 0.01)
  # The notebook prints -15986.58: its fit stopped short of the optimum of the penalised objective.
  expect_lt(abs(loglik[["teem_combined"]] - -15986.59), 0.01)
  expect_lt(abs(loglik[["canonical"]] - -16007.26), 0.01)
  expect_lt(abs(loglik[["bovy_ed"]] - -16007.0475), 0.01)
  expect_lt(abs(loglik[["bovy_combined"]] - -16002.9015), 0.01)
})

test_that("penalised objectives are at the exact optimum, and none is below mashr's", {
  optimum <- c(teem_ed = -15999.79682159, teem_combined = -15995.64490131, canonical = -16015.84071824)
  for (name in names(optimum)) {
    fit <- notebook$fits[[name]]
    expect_gte(objective_of(fit), optimum[[name]] - 1e-4)
    expect_lte(objective_of(fit), optimum[[name]] + 1e-4)
    expect_close(fit$convergence$objective, objective_of(fit), 1e-12)
    expect_true(fit$convergence$converged)
  }
  for (name in names(notebook$fits)) {
    theirs <- reference$fits[[name]]
    expect_gte(objective_of(notebook$fits[[name]]), theirs$loglik + 9 * log(theirs$pi[[1]]) - 1e-4)
  }
})

# mashr's prior of one of its fits: weights and grid as it found them, matrices scaled to a largest variance of 1.
mashr_prior <- function(name) {
  fit <- reference$fits[[name]]
  scale <- function(Ulist) lapply(Ulist, function(U) U / max(diag(U)))
  canonical <- notebook$canonical
  names(canonical) <- sub("^condition_", "singletons_", names(canonical))
  Ulist <- switch(name,
    canonical = canonical,
    teem_ed = scale(reference$U_ed_teem), teem_combined = c(canonical, scale(reference$U_ed_teem)),
    bovy_ed = scale(reference$U_ed_bovy), bovy_combined = c(canonical, scale(reference$U_ed_bovy))
  )
  list(pi = fit$pi, Ulist = Ulist, grid = fit$grid, usepointmass = TRUE)
}

expect_mashr_posterior <- function(fit, theirs, rows = 1:2000, conditions = 1:5) {
  expect_close(fit$loglik, theirs$loglik, 1e-11)
  for (name in c("PosteriorMean", "PosteriorSD", "NegativeProb", "lfsr")) {
    expect_lt(max(abs(unname(fit$result[[name]]) - theirs[[name]][rows, conditions])), 1e-9)
  }
}

test_that("with mashr's weights, the posterior is mashr's, and so it is after permuting rows and conditions", {
  rows <- sample_rows(2000, 2000)
  conditions <- c(4, 2, 5, 1, 3)
  permuted <- notebook$data[rows, conditions]
  for (name in names(reference$fits)) {
    theirs <- reference$fits[[name]]
    g <- mashr_prior(name)
    expect_named(g$pi, names(reference_components(g$Ulist, g$grid)))
    expect_mashr_posterior(mash(notebook$data, g = g, fixg = TRUE, verbose = FALSE), theirs)
    g$Ulist <- lapply(g$Ulist, function(U) unname(U[conditions, conditions]))
    expect_mashr_posterior(mash(permuted, g = g, fixg = TRUE, verbose = FALSE), theirs, rows, conditions)
  }
})

test_that("the plain-R model gives mashr's numbers", {
  bhat <- unname(mash_notebook$Bhat)
  for (name in names(reference$fits)) {
    g <- mashr_prior(name)
    theirs <- reference$fits[[name]]
    ours <- reference_mash(bhat, 1 + 0 * bhat, diag(5), g$Ulist, g$grid, g$pi)
    expect_close(sum(ours$vloglik), theirs$loglik, 1e-13)
    for (quantity in c("PosteriorMean", "PosteriorSD", "NegativeProb", "lfsr")) {
      expect_lt(max(abs(ours[[quantity]] - theirs[[quantity]])), 1e-12)
    }
  }
})

test_that("the fitted grid is mashr's, and the fitted weights are mashr's to its own accuracy", {
  for (name in names(reference$fits)) {
    g <- notebook$fits[[name]]$fitted_g
    expect_close(g$grid, reference$fits[[name]]$grid, 1e-13)
    expect_close(get_estimated_pi(notebook$fits[[name]])[[1]], reference$fits[[name]]$pi[[1]], 1e-3)
  }
})

test_that("the whole analysis does not depend on the order of rows and conditions", {
  rows <- sample_rows(2000, 2000)
  conditions <- c(4, 2, 5, 1, 3)
  data <- mash_set_data(mash_notebook$Bhat[rows, conditions], mash_notebook$Shat[rows, conditions])
  strong <- get_significant_results(mash_1by1(data, prior = "flat"))
  expect_identical(unname(rows[strong]), reference$strong)
  expect_length(get_significant_results(mash_1by1(data)), 41)
  back <- order(conditions)
  U_pca <- cov_pca(data, 5, subset = strong)
  teem <- teem_5000(data, U_pca, strong)
  bovy <- cov_ed(data, U_pca, subset = strong)
  expect_matrices_close(lapply(teem, function(U) U[back, back]), reference$U_ed_teem, 1e-8)
  expect_matrices_close(lapply(bovy, function(U) U[back, back]), reference$U_ed_bovy, 1e-6)
  canonical <- cov_canonical(data)
  combined <- mash(data, c(canonical, teem), verbose = FALSE, outputlevel = 1)
  expect_lt(abs(combined$loglik - -15986.59), 0.01)
  expect_gte(objective_of(combined), -15995.64490131 - 1e-4)
  ed <- mash(data, teem, verbose = FALSE, outputlevel = 1)
  expect_lt(abs(ed$loglik - -15991.51), 0.01)
  expect_gte(objective_of(ed), -15999.79682159 - 1e-4)
  only <- mash(data, canonical, verbose = FALSE, outputlevel = 1)
  expect_lt(abs(only$loglik - -16007.26), 0.01)
  expect_gte(objective_of(only), -16015.84071824 - 1e-4)
})

test_that("from the 41 rows of the ash prior, the fits are worse or better as known", {
  strong <- get_significant_results(mash_1by1(notebook$data))
  teem <- cov_ed(notebook$data, cov_pca(notebook$data, 5, subset = strong), subset = strong, algorithm = "teem")
  ed <- mash(notebook$data, teem, verbose = FALSE, outputlevel = 1)
  combined <- mash(notebook$data, c(notebook$canonical, teem), verbose = FALSE, outputlevel = 1)
  expect_lt(abs(ed$loglik - -16024.85098572), 0.01)
  expect_lt(abs(combined$loglik - -15999.44628836), 0.01)
})
