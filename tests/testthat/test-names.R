named_fit <- function(...) {
  x <- withr::with_seed(1, cbind(a = rnorm(200, 0, 3), b = rnorm(200), c = rnorm(200)))
  rownames(x) <- paste0("gene", seq_len(200))
  V <- 0.3 + diag(0.7, 3)
  data <- mash_set_data(x, 1, V = V)
  list(data = data, fit = mash(data, cov_canonical(data), verbose = FALSE, ...))
}

quietly <- function(expr) suppressMessages(expr, classes = c("covmash_message_conditions", "covmash_message_alpha"))

test_that("data whose conditions stand in another order are matched by name, by whatever takes data for a fit", {
  s <- named_fit()
  f <- s$fit
  d <- s$data[, c("c", "b", "a")]
  expect_message(predict(f, d), "another order", class = "covmash_message_conditions")
  answers <- list(
    function(g, data) predict(f, data),
    function(g, data) mash_compute_posterior_matrices(g, data),
    function(g, data) mash_compute_vloglik(g, data),
    function(g, data) mash_compute_loglik(g, data),
    function(g, data) get_posterior_weights(f, data),
    function(g, data) mash(data, g = g, fixg = TRUE, verbose = FALSE)[c("result", "vloglik", "fitted_g")],
    function(g, data) mash(data, g = g, verbose = FALSE)[c("result", "vloglik", "fitted_g")],
    function(g, data) augment(f, data)
  )
  for (answer in answers) {
    for (g in list(f, get_fitted_g(f))) {
      expect_identical(quietly(answer(g, d)), quietly(answer(g, s$data)))
    }
  }
  expect_identical(quietly(predict(f, d)$PosteriorMean), get_pm(f))
})

test_that("a fit without posterior knows its conditions too", {
  s <- named_fit(outputlevel = 1)
  d <- s$data[, c("b", "c", "a")]
  expect_identical(quietly(predict(s$fit, d)), quietly(mash_compute_posterior_matrices(s$fit$fitted_g, s$data)))
})

test_that("factored matrices carry the names as others do", {
  s <- named_fit()
  S <- factor_covariance(c(1, 0.5, 0.2), D = c(0.1, 0.2, 0.3))
  f <- mash(s$data, list(S = S), verbose = FALSE)
  expect_identical(dimnames(f$fitted_g$Ulist$S), list(c("a", "b", "c"), c("a", "b", "c")))
  expect_identical(quietly(predict(f, s$data[, 3:1])$PosteriorMean), get_pm(f))
})

test_that("conditions that the data lack are missing, exactly; those that the fit does not know are an error", {
  s <- named_fit()
  expect_message(p <- predict(s$fit, s$data[, c("c", "a")]), "lacks 1 condition of the fit, 'b'")
  holes <- s$data
  holes$Bhat[, "b"] <- NA
  holes$Shat[, "b"] <- NA
  expected <- predict(s$fit, holes)
  expect_identical(colnames(p$PosteriorMean), c("a", "b", "c"))
  for (part in names(p)) expect_close(p[[part]], expected[[part]], 1e-13)
  expect_identical(
    quietly(mash_compute_vloglik(s$fit, s$data[, c("c", "a")])), mash_compute_vloglik(s$fit, holes)
  )

  wide <- mash_set_data(cbind(s$data$Bhat, d = 1), 1)
  expect_error(predict(s$fit, wide), "'d'", class = "covmash_error_names")
  other <- mash_set_data(`colnames<-`(s$data$Bhat, c("a", "b", "x")), 1)
  for (ask in list(
    function(d) predict(s$fit, d), function(d) mash_compute_loglik(s$fit, d),
    function(d) mash(d, g = s$fit, fixg = TRUE, verbose = FALSE), function(d) augment(s$fit, d),
    function(d) get_posterior_weights(s$fit, d)
  )) {
    expect_error(ask(other), "'x'", class = "covmash_error_names")
  }
})

test_that("with alpha the sizes of lacking conditions are not known, but their signs are", {
  sim <- small_data(J = 40, R = 3, shat = "varying", alpha = 1)
  fit <- mash(sim$data, cov_canonical(sim$data), verbose = FALSE)
  p <- quietly(predict(fit, sim$data[, 1:2]))
  expect_true(all(is.na(p$PosteriorMean[, 3])) && !anyNA(p$lfsr))
})

test_that("by position only where the fit has no names", {
  x <- withr::with_seed(3, matrix(rnorm(60), 20))
  bare <- mash_set_data(x, 1)
  f <- mash(bare, cov_canonical(bare), verbose = FALSE)
  named <- mash_set_data(`colnames<-`(x, c("p", "q", "r")), 1)
  expect_identical(unname(predict(f, named)$PosteriorMean), get_pm(f))
  g <- mash(named, cov_canonical(named), verbose = FALSE)
  expect_error(predict(g, bare), "have no names", class = "covmash_error_names")
})

test_that("names that occur twice cannot decide", {
  x <- withr::with_seed(3, matrix(rnorm(60), 20, dimnames = list(NULL, c("p", "p", "r"))))
  d <- suppressWarnings(mash_set_data(x, 1))
  f <- mash(d, cov_canonical(d, c("identity", "equal_effects")), verbose = FALSE)
  expect_identical(predict(f, d)$lfsr, f$result$lfsr)
  expect_error(predict(f, d[, 3:1]), "more than once", class = "covmash_error_names")
})

test_that("augment() pairs effects by name", {
  s <- named_fit()
  a <- augment(s$fit, s$data)
  backwards <- augment(s$fit, s$data[200:1, ])
  key <- function(x) paste(x$effect, x$condition)
  expect_identical(backwards[match(key(a), key(backwards)), ".fitted"], a$.fitted)
  expect_identical(backwards[match(key(a), key(backwards)), ".bhat"], a$.bhat)
  some <- augment(s$fit, s$data[c(7, 3), ])
  expect_identical(some$effect[1:2], c("gene7", "gene3"))
  expect_identical(some$.fitted, as.vector(get_pm(s$fit)[c(7, 3), ]))
  other <- s$data
  for (part in c("Bhat", "Shat", "Shat_alpha")) rownames(other[[part]])[2] <- "stranger"
  expect_error(augment(s$fit, other), "'stranger'", class = "covmash_error_names")

  bare <- mash_set_data(unname(s$data$Bhat), 1)
  f <- mash(bare, cov_canonical(bare), verbose = FALSE)
  expect_error(augment(f, bare[1:10, ]), "cannot be matched", class = "covmash_error_dimensions")
})

test_that("the forest plot shows the estimates of the effect, wherever its row stands in the data", {
  skip_if_not_installed("ggplot2")
  s <- named_fit()
  plot <- quietly(ggplot2::autoplot(s$fit, "effect", effect = "gene5", data = s$data[200:1, 3:1]))
  shown <- plot$data
  expect_identical(shown$observed, unname(s$data$Bhat["gene5", as.character(shown$condition)]))
  expect_error(
    ggplot2::autoplot(s$fit, "effect", effect = "gene5", data = s$data[1:3, ]), "gene5", class = "covmash_error_names"
  )
})

test_that("matrices that know other conditions than the data are refused, by row and by column", {
  s <- named_fit()
  U <- diag(3)
  dimnames(U) <- list(c("a", "b", "c"), c("a", "b", "d"))
  expect_error(mash(s$data, list(U = U), verbose = FALSE), "column 3 is 'd'", class = "covmash_error_names")
  dimnames(U) <- list(c("c", "b", "a"), NULL)
  expect_error(cov_ed(s$data, list(U = U)), "another order", class = "covmash_error_names")
})

test_that("results of other rows keep their missing estimates, by name", {
  sim <- small_data(J = 60, R = 3, shat = "varying", missing = 15)
  fit <- muffle_all_missing(mash(sim$data, cov_canonical(sim$data), verbose = FALSE))
  one <- muffle_all_missing(mash_1by1(sim$data))
  rows <- c(30:11, 60)
  for (m in list(fit, one)) {
    whole <- get_n_significant_conditions(m, thresh = 0.4)
    cut <- m
    cut$result <- lapply(m$result, function(x) x[rows, ])
    expect_identical(get_n_significant_conditions(cut, thresh = 0.4), whole[rows])
    found <- get_significant_results(cut, thresh = 0.4)
    expect_setequal(names(found), names(whole)[intersect(rows, which(whole > 0))])
    columns <- m
    columns$result <- lapply(m$result, function(x) x[, c(3, 1)])
    expect_identical(
      get_n_significant_conditions(columns, thresh = 0.4),
      get_n_significant_conditions(m, thresh = 0.4, conditions = c(3, 1))
    )
    sharing <- get_pairwise_sharing(columns, lfsr_thresh = 0.4)
    expect_identical(sharing, get_pairwise_sharing(m, lfsr_thresh = 0.4)[c(3, 1), c(3, 1)])
    # Without names nobody can tell, and that is said.
    bare <- cut
    bare$result <- lapply(cut$result, unname)
    expect_warning(counts <- get_n_significant_conditions(bare, thresh = 0.4), class = "covmash_warning_missing")
    expect_length(counts, length(rows))
  }
})
