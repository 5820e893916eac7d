test_that("the network has the strong pairs, in order, the same for any number of threads", {
  withr::local_seed(7)
  Sigma <- generate_factor_covariance(150, 4, loading_scale = 0.3)$Sigma
  rho <- partial_correlation(Sigma)
  strong <- which(abs(rho) >= 0.05 & upper.tri(rho), arr.ind = TRUE)
  strong <- strong[order(strong[, 1], strong[, 2]), ]
  network <- partial_correlation_network(Sigma, 0.05, n_threads = 1)
  expect_gt(nrow(network), 20)
  expect_identical(network$gene1, rownames(rho)[strong[, 1]])
  expect_identical(network$gene2, rownames(rho)[strong[, 2]])
  expect_close(network$partial_correlation, rho[strong], 1e-12)
  expect_identical(partial_correlation_network(Sigma, 0.05, n_threads = 3), network)
  expect_input_error(
    partial_correlation_network(Sigma, 0.05, max_edges = 5), "More than 5 pairs", "covmash_error_too_many_edges"
  )
  expect_input_error(partial_correlation_network(Sigma, 0), "above 0", "covmash_error_argument")
  expect_equal(nrow(partial_correlation_network(noise_covariance(Sigma), 0.01)), 0)
  # genes without names are numbered
  bare <- factor_covariance(unname(Sigma$B), D = unname(Sigma$D))
  expect_identical(partial_correlation_network(bare, 0.05)$gene1, unname(strong[, 1]))
})

test_that("any number of edges may be allowed", {
  withr::local_seed(7)
  Sigma <- generate_factor_covariance(12, 2, 1)$Sigma
  all_pairs <- partial_correlation_network(Sigma, 1e-12)
  expect_identical(partial_correlation_network(Sigma, 1e-12, max_edges = 1e300), all_pairs)
  expect_identical(partial_correlation_network(Sigma, 1e-12, max_edges = 66), all_pairs)
  expect_input_error(
    partial_correlation_network(Sigma, 1e-12, max_edges = 65), "More than 65", "covmash_error_too_many_edges"
  )
  for (max_edges in list(Inf, NA, "a", 1.5, 0, NULL, c(1, 2))) {
    expect_error(partial_correlation_network(Sigma, max_edges = max_edges), class = "covmash_error_argument")
  }
})
