# What packages and scripts that use mashr do to its objects.

client_data <- function(missing = 0, alpha = 0) small_data(J = 120, R = 4, shat = "varying", missing = missing, alpha = alpha)

test_that("dreamlet: missing estimates, EM with details, NA written into the results", {
  skip_on_cran()
  sim <- client_data(missing = 0.3)
  em <- suppressWarnings(mash_estimate_corr_em(sim$data, cov_canonical(sim$data), details = TRUE, max_iter = 3))
  model <- em$mash.model
  empty <- is.na(sim$data$Bhat)
  model$result$PosteriorMean[empty] <- NA
  model$result$PosteriorSD[empty] <- NA
  model$result$lfsr[empty] <- NA
  expect_identical(is.na(get_pm(model)), empty, ignore_attr = TRUE)
  expect_identical(dimnames(get_lfsr(model)), dimnames(sim$data$Bhat))
  expect_length(get_n_significant_conditions(model), 120)
})

test_that("pecotmr: everything that a fit can hold, and a prior of which parts are taken", {
  skip_on_cran()
  sim <- client_data()
  U <- c(cov_canonical(sim$data), cov_pca(sim$data, 3))
  m <- mash(sim$data, Ulist = U, outputlevel = 4, verbose = FALSE)
  expect_identical(names(m$lm), c("loglik_matrix", "lfactors"))
  expect_identical(dim(m$result$PosteriorCov), c(4L, 4L, 120L))
  weights <- get_estimated_pi(m)
  keep <- names(sort(weights[names(weights) != "null"], decreasing = TRUE))[2:3]
  g <- m$fitted_g
  g$Ulist <- g$Ulist[keep]
  entries <- c("null", paste0(rep(keep, length(g$grid)), ".", rep(seq_along(g$grid), each = length(keep))))
  g$pi <- g$pi[entries]
  expect_warning(
    out <- suppressMessages(mash_compute_posterior_matrices(g, sim$data, output_posterior_cov = TRUE)), "scaled",
    class = "covmash_warning_pi"
  )
  expect_identical(dim(out$PosteriorCov), c(4L, 4L, 120L))
  expect_true(all(c("g", "data", "pi_thresh", "A", "output_posterior_cov", "posterior_samples", "seed") %in% names(formals(mash_compute_posterior_matrices))))
})

test_that("TRADE: one grid value, unnamed matrices with a zero one, a prior vector, another V", {
  skip_on_cran()
  sim <- small_data(J = 80, R = 2)
  U <- unname(c(cov_canonical(sim$data), list(matrix(0, 2, 2)), lapply(1:20, function(i) crossprod(matrix(sin(i + 1:4), 2)))))
  prior <- c(10, rep(1, length(U)))
  m <- mash(sim$data, U, grid = 1, normalizeU = FALSE, prior = prior, verbose = FALSE, usepointmass = TRUE)
  expect_length(m$fitted_g$pi, length(U) + 1)
  em <- suppressWarnings(mash_estimate_corr_em(sim$data, U, grid = 1, normalizeU = FALSE, max_iter = 2))
  updated <- mash_update_data(sim$data, V = em$V)
  expect_equal(updated$V, em$V, ignore_attr = TRUE)
  expect_true(is.finite(mash(updated, U, grid = 1, normalizeU = FALSE, prior = prior, verbose = FALSE)$loglik))
})

test_that("SCAIP: a fit without posteriors, which are computed in chunks and put together", {
  skip_on_cran()
  sim <- client_data()
  V <- estimate_null_correlation_simple(sim$data)
  data <- mash_set_data(sim$Bhat, sim$Shat, V = V)
  m <- mash(data, cov_canonical(data), outputlevel = 1, verbose = FALSE)
  chunks <- split(1:120, rep(1:4, each = 30))
  parts <- lapply(chunks, function(i) mash_compute_posterior_matrices(m, mash_set_data(sim$Bhat[i, ], sim$Shat[i, ], V = V)))
  lfsr <- do.call(rbind, lapply(parts, `[[`, "lfsr"))
  whole <- mash_compute_posterior_matrices(m, data)
  expect_equal(lfsr, whole$lfsr, tolerance = 1e-10)
  expect_identical(names(whole), c("PosteriorMean", "PosteriorSD", "lfdr", "NegativeProb", "lfsr"))
  file <- withr::local_tempfile()
  write.table(whole$lfsr, file)
  expect_equal(as.matrix(read.table(file, check.names = FALSE)), whole$lfsr, tolerance = 1e-12)
})

test_that("snpdiver: fixed fits of chunks bound into a list of class mash", {
  skip_on_cran()
  sim <- client_data()
  random <- mash(sim$data[1:60, ], cov_canonical(sim$data), outputlevel = 1, verbose = FALSE)
  parts <- lapply(list(1:50, 51:120), function(i) mash(sim$data[i, ], g = get_fitted_g(random), fixg = TRUE, verbose = FALSE))
  bind <- function(get) do.call(rbind, lapply(parts, get))
  made <- structure(
    list(
      result = lapply(stats::setNames(nm = c("PosteriorMean", "PosteriorSD", "NegativeProb", "lfsr")), function(x) bind(function(p) p$result[[x]])),
      loglik = sum(vapply(parts, `[[`, 0, "loglik")), vloglik = bind(function(p) p$vloglik),
      null_loglik = unlist(lapply(parts, `[[`, "null_loglik")), alt_loglik = bind(function(p) p$alt_loglik),
      fitted_g = random$fitted_g, posterior_weights = bind(function(p) unclass(p$posterior_weights)), alpha = 0
    ),
    class = "mash"
  )
  whole <- mash(sim$data, g = random, fixg = TRUE, verbose = FALSE)
  expect_equal(get_log10bf(made), get_log10bf(whole), tolerance = 1e-9)
  expect_identical(get_estimated_pi(made), get_estimated_pi(random))
  expect_identical(get_pi0(made), get_pi0(random))
  expect_identical(get_significant_results(made, 0.2), get_significant_results(whole, 0.2))
  expect_equal(mash_compute_loglik(made, sim$data), whole$loglik, tolerance = 1e-12)
  skip_if_not_installed("ggplot2")
  expect_s3_class(mash_plot_meta(made, 3, labels = LETTERS[1:4], colors = "red", xlim = c(-5, 5)), "ggplot")
  expect_s3_class(mash_plot_meta(made, 3, colors = list(box = "black", lines = "blue", summary = "red")), "ggplot")
  expect_error(mash_plot_meta(made, 3, colors = 3), "colors", class = "covmash_error_argument")
  expect_error(mash_plot_meta(made, 3, xlim = 1), "xlim", class = "covmash_error_argument")
})

test_that("OAStrain: data and fits saved by mashr, row blocks written into them", {
  skip_on_cran()
  sim <- client_data()
  saved <- structure(
    list(Bhat = sim$Bhat, Shat = sim$Shat, Shat_alpha = array(1, dim(sim$Bhat)), V = diag(4), commonV = TRUE, alpha = 0),
    class = "mash"
  )
  fit <- mash(saved, cov_canonical(saved), outputlevel = 1, verbose = FALSE)
  theirs <- structure(unclass(fit)[c("result", "loglik", "vloglik", "null_loglik", "alt_loglik", "fitted_g", "posterior_weights", "alpha")], class = "mash")
  file <- withr::local_tempfile()
  saveRDS(list(saved, theirs), file)
  back <- readRDS(file)
  block <- back[[1]]
  for (part in c("Bhat", "Shat", "Shat_alpha")) block[[part]] <- block[[part]][11:40, ]
  m <- mash(block, g = get_fitted_g(back[[2]]), fixg = TRUE, verbose = FALSE)
  expect_equal(m$vloglik, fit$vloglik[11:40, , drop = FALSE], tolerance = 1e-11, ignore_attr = TRUE)
  expect_equal(mash_compute_vloglik(back[[2]], block), m$vloglik, tolerance = 1e-11)
})

test_that("limorhyde2: draws, and posteriors with the name of the algorithm", {
  skip_on_cran()
  sim <- client_data()
  m <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  out <- mash_compute_posterior_matrices(m, sim$data, algorithm.version = "R", posterior_samples = 20)
  expect_identical(dim(out$PosteriorSamples), c(120L, 4L, 20L))
  expect_identical(dimnames(out$PosteriorSamples)[[3]][20], "sample_20")
})
