small <- function(n = 60, seed = 1) {
  sim <- withr::with_seed(seed, simple_sims2(n, err_sd = 0.7))
  mash_set_data(sim$Bhat, sim$Shat)
}

test_that("held-out log-likelihoods are those of fits to the other folds", {
  data <- small()
  folds <- rep(1:3, 40)
  Ulists <- list(canonical = cov_canonical(data), equal = list(matrix(1, 5, 5)))
  cv <- cv_mash(data, Ulists, folds = folds, n_threads = 1)
  for (name in names(Ulists)) {
    for (fold in 1:3) {
      fit <- mash(data[folds != fold, ], Ulists[[name]], verbose = FALSE, outputlevel = 1, n_threads = 1)
      expect_identical(
        unname(cv$heldout[folds == fold, name]),
        as.vector(mash_compute_vloglik(fit, data[folds == fold, ], n_threads = 1))
      )
    }
  }
  expect_identical(dimnames(cv$heldout), list(rownames(data$Bhat), names(Ulists)))
  t <- cv$table
  d <- cv$heldout[, 1] - cv$heldout[, 2]
  expect_identical(cv$best, "canonical")
  expect_equal(t$heldout, unname(colMeans(cv$heldout)))
  expect_equal(t$behind, c(0, mean(d)))
  expect_equal(t$behind_se, c(0, sqrt(sum((d - mean(d))^2)) / 120))
  expect_identical(t$matrices, c(10, 1))
})

test_that("groups stay together, and the standard error is that of their sums", {
  data <- small()
  gene <- rep(paste0("g", 1:24), each = 5)
  withr::local_seed(2)
  cv <- cv_mash(data, list(a = cov_canonical(data), b = list(diag(5))), n_folds = 4, by = gene, n_threads = 1)
  expect_true(all(tapply(cv$folds, gene, function(x) length(unique(x))) == 1))
  expect_identical(as.vector(table(cv$folds)), rep(30L, 4))
  d <- cv$heldout[, "a"] - cv$heldout[, "b"]
  expect_equal(max(cv$table$behind_se), sqrt(sum(rowsum(d - mean(d), gene)^2)) / 120)
  expect_error(
    cv_mash(data, list(a = list(diag(5))), by = gene, folds = rep(1:2, 60)), "effect 2 .*another fold than",
    class = "covmash_error_argument"
  )
})

test_that("recipes see the other folds only, with their strong rows if they ask", {
  data <- small()
  folds <- rep(1:2, each = 60)
  seen <- list()
  recipe <- function(data, strong) {
    seen[[length(seen) + 1]] <<- list(names = rownames(data$Bhat), strong = strong)
    cov_pca(data, 2, subset = strong)
  }
  by_subset <- function(data, subset) recipe(data, subset)
  recipes <- list(pca = recipe, canonical = cov_canonical, again = by_subset)
  cv <- cv_mash(data, recipes, folds = folds, grid = c(0.5, 1, 2), n_threads = 1)
  labels <- rownames(data$Bhat)
  expect_identical(lapply(seen, `[[`, "names"), list(labels[61:120], labels[61:120], labels[1:60], labels[1:60]))
  expect_identical(cv$heldout[, "pca"], cv$heldout[, "again"])
  expect_identical(seen[[1]]$strong, unname(get_significant_results(mash_1by1(data[61:120, ]))))
  fit <- mash(data[61:120, ], cov_canonical(data[61:120, ]), grid = c(0.5, 1, 2), verbose = FALSE, outputlevel = 1)
  expect_equal(unname(cv$heldout[1:60, "canonical"]), as.vector(mash_compute_vloglik(fit, data[1:60, ])))
})

test_that("folds follow R's generator; a subset, and effects without estimates", {
  data <- small()
  U <- list(a = list(diag(5)))
  run <- function(...) withr::with_seed(3, cv_mash(data, U, n_folds = 2, ..., n_threads = 1))
  expect_identical(run()$heldout, run()$heldout)
  expect_false(identical(run()$folds, withr::with_seed(4, cv_mash(data, U, n_folds = 2, n_threads = 1))$folds))
  data$Bhat[5, ] <- NA
  cv <- run(subset = 1:50, by = rep(1:60, 2))
  expect_identical(rownames(cv$heldout), rownames(data$Bhat)[setdiff(1:50, 5)])
  expect_false(anyNA(cv$heldout))
})

test_that("print, summary and plot", {
  data <- small()
  Ulists <- list(one = list(diag(5)), two = cov_canonical(data))
  cv <- withr::with_seed(1, cv_mash(data, Ulists, n_folds = 2, n_threads = 1))
  expect_output(print(cv), "<mash_cv> 2 candidates, 2 folds, best: two\n.*two \\(best\\)")
  by_fold <- summary(cv)$by_fold
  expect_equal(by_fold["one", "fold_2"], mean(cv$heldout[cv$folds == 2, "one"]))
  expect_output(print(summary(cv)), "Means of the folds")
  skip_if_not_installed("ggplot2")
  p <- ggplot2::autoplot(cv)
  built <- ggplot2::ggplot_build(p)$data[[2]]
  expect_setequal(built$x, -cv$table$behind)
  expect_setequal(built$xmax - built$x, cv$table$behind_se)
  path <- withr::local_tempfile(fileext = ".pdf")
  grDevices::pdf(path)
  expect_s3_class(plot(cv), "ggplot")
  grDevices::dev.off()
})

test_that("bad arguments are refused by name", {
  data <- small(20)
  U <- list(a = list(diag(5)))
  fails <- function(..., class = "covmash_error_argument") expect_error(cv_mash(...), class = class)
  fails(data)
  fails(data, cov_canonical)
  fails(data, list(list(diag(5))))
  fails(data, list(a = list(diag(5)), a = list(diag(5))))
  fails(data, list(a = list(diag(4))), class = "covmash_error_ulist")
  fails(data, list(a = function(data) 1), class = "covmash_error_ulist")
  expect_error(cv_mash(data, list(mine = function(data) 1)), "Candidate 'mine'")
  fails(data, U, n_folds = 1)
  fails(data, U, n_folds = 30)
  fails(data, U, folds = 1:3)
  fails(data, U, folds = rep(1, 40))
  fails(data, U, by = 1:3)
  fails(data, U, weights = rep(1, 40))
  fails(1, U, class = "covmash_error_data")
  expect_error(print(structure(list(table = 1), class = "mash_cv")), class = "covmash_error_argument")
})
