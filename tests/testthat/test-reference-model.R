# The package against the plain-R model, 30 random problems for each structure of U, kind of noise and missingness;
# R from 1 to 8, correlated noise, alpha 0 and 1, with and without a point mass.

check_problem <- function(problem) {
  data <- problem_data(problem)
  expected <- problem_reference(problem)
  g <- problem$g
  loglik <- cpp_loglik_matrix(data, g, list(n_threads = 1))
  expect_close(loglik, expected$loglik_matrix, 1e-10)
  fit <- muffle_all_missing(mash(data, g = g, fixg = TRUE, output_lfdr = TRUE, verbose = FALSE))
  expect_close(fit$vloglik, expected$vloglik, 1e-10)
  expect_close(fit$loglik, sum(expected$vloglik), 1e-10)
  for (name in posterior_names) expect_close(fit$result[[name]], expected[[name]], 1e-9)
  kept <- which(g$pi > 1e-10)
  expect_close(fit$posterior_weights, expected$weights[, kept], 1e-9)
  if (g$usepointmass) expect_close(fit$null_loglik, expected$null_loglik, 1e-10)
}

for (structure in covariance_structures) {
  for (noise in c("common", "row")) {
    for (missing in c("complete", "missing")) {
      test_that(paste("30 random problems:", structure, "covariance,", noise, "noise,", missing, "data"), {
        skip_on_cran()
        base <- 1000 * match(structure, covariance_structures) + 200 * (noise == "row") + 100 * (missing == "missing")
        for (seed in base + 1:30) check_problem(random_problem(seed, structure, noise, missing))
      })
    }
  }
}

test_that("the random problems do exercise both paths, all sizes and both values of alpha", {
  groups <- function(noise, missing) {
    rowSums(vapply(1:16, function(seed) {
      problem <- random_problem(seed, "full", noise, missing, alpha = 0)
      found <- cpp_noise_groups(problem_data(problem))
      c(shared = found$n_shared_rows, own = found$n_row_specific, missing = found$n_missing)
    }, numeric(3)))
  }
  expect_gt(groups("common", "complete")["shared"], 0)
  expect_identical(groups("common", "complete")[["own"]], 0)
  expect_gt(groups("common", "missing")["shared"], 0)
  expect_gt(groups("common", "missing")["own"], 0)
  expect_gt(groups("row", "missing")["own"], 0)
  expect_gt(groups("row", "missing")["missing"], 0)
  sizes <- vapply(1:16, function(seed) ncol(random_problem(seed, "full", "row", "complete")$Bhat), 0L)
  alphas <- vapply(1:16, function(seed) random_problem(seed, "full", "row", "complete")$alpha, 0)
  expect_setequal(sizes, 1:8)
  expect_setequal(alphas, 0:1)
})

test_that("alpha between 0 and 1, and negative, agree with the plain model", {
  for (alpha in c(0.5, -1)) {
    for (noise in c("common", "row")) check_problem(random_problem(31, "mixed", noise, "missing", alpha = alpha))
  }
})

test_that("a grid that holds zero, and one of very different scales, agree with the plain model", {
  problem <- random_problem(14, "full", "row", "complete")
  problem$g$grid <- c(0, 1e-3, 30)
  components <- reference_components(problem$g$Ulist, problem$g$grid, problem$g$usepointmass)
  problem$g$pi <- setNames(rep(1 / length(components), length(components)), names(components))
  data <- problem_data(problem)
  expected <- problem_reference(problem)
  fit <- mash(data, g = problem$g, fixg = TRUE, output_lfdr = TRUE, verbose = FALSE)
  expect_close(fit$vloglik, expected$vloglik, 1e-10)
  for (name in posterior_names) expect_close(fit$result[[name]], expected[[name]], 1e-8)
})
