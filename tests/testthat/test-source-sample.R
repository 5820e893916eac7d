test_that("a sample has one effect of each window, at places without order", {
  expect_identical(sample_rows_of(10), as.double(1:10))
  expect_identical(sample_rows_of(131072 * 1.4), as.double(seq_len(131072 * 1.4)))
  for (J in c(1e6, 1e6 + 5, 123456)) {
    rows <- sample_rows_of(J, 1000)
    m <- round(J / 1000)
    expect_true(all(rows >= 1 & rows <= J))
    expect_gte(length(rows), floor(J / m))
    expect_true(all(diff(ceiling(rows / m)) == 1))
    expect_identical(rows, sample_rows_of(J, 1000))
  }
  # Windows of 100: no place is preferred, and a neighbour's place says nothing.
  place <- (sample_rows_of(1e6, 1e4) - 1) %% 100
  expect_gt(suppressWarnings(chisq.test(table(factor(place, 0:99))))$p.value, 1e-4)
  expect_lt(max(abs(acf(place, 50, plot = FALSE)$acf[-1])), 0.05)
  expect_identical(anyDuplicated(hashed(0:200000)), 0L)
})

sampled_source <- function(J = 300) {
  p <- source_problem(J, seed = 2)
  # Some of the effects are shared.
  p$Bhat <- p$Bhat + rep(c(3, -2, 0, 0, 0), length.out = J)
  p$id <- rownames(p$Bhat)
  list(p = p, data = mash_set_data(p$Bhat, p$Shat), src = mash_source(function(i) p, n = 1, segment_rows = 64))
}

test_that("the sample and chosen rows are those of the data", {
  s <- sampled_source()
  expect_identical(source_sample(s$src), s$data)
  expect_identical(source_sample(s$src, sample_rows = 30), s$data[sample_rows_of(300, 30), ])
  expect_identical(source_sample(s$src, c(5, 299, 2)), s$data[c(5, 299, 2), ])
})

test_that("what learns from a sample takes a source", {
  s <- sampled_source()
  src <- s$src
  data <- s$data
  rows <- 3:200
  same <- function(call) {
    of <- function(data, rows) withr::with_seed(1, eval(call, list(data = data, rows = rows)))
    expect_message(ours <- of(src, NULL), "All 300 of 300 effects", class = "covmash_message_sample")
    expect_identical(ours, of(data, NULL))
    ours <- suppressMessages(of(src, rows))
    expect_identical(ours, of(data[rows, ], NULL))
  }
  same(quote(cov_pca(data, 2, subset = rows)))
  U <- cov_canonical(data)
  same(bquote(suppressWarnings(cov_ed(data, .(U), subset = rows, n_threads = 1, maxiter = 3))))
  same(quote(suppressWarnings(cov_ted(data, subset = rows, K = 1, tol = 1e-2, n_threads = 1))))
  expect_message(U <- cov_canonical(src), class = "covmash_message_sample")
  expect_identical(U, cov_canonical(data))
  expect_identical(suppressMessages(cov_udi(src)), cov_udi(data))
  expect_identical(suppressMessages(estimate_null_correlation_simple(src)), estimate_null_correlation_simple(data))
  expect_error(cov_pca(src, 2, subset = 301), "`subset`", class = "covmash_error_index")
  expect_error(cov_pca(src, 2, subset = "e1"), "`subset`", class = "covmash_error_index")
  skip_if_not_installed("flashier")
  skip_if_not_installed("ebnm")
  U <- suppressMessages(cov_flash(src, subset = rows))
  expect_gt(length(U), 0)
  expect_identical(U, cov_flash(data, subset = rows))
})

test_that("training effects of a source have its numbers, and weights for all of it", {
  s <- sampled_source()
  by <- rep(1:100, each = 3)
  for (method in c("random", "top", "lead")) {
    choose <- function(data) select_training_effects(data, 50, method, by = if (method == "lead") by, seed = 1)
    expect_identical(suppressMessages(choose(s$src)), choose(s$data), ignore_attr = FALSE)
  }
  # As many that a sample is drawn.
  J <- 300000
  z <- matrix(withr::with_seed(1, rnorm(2 * J)), J)
  src <- mash_source(function(i) list(Bhat = z), n = 1, segment_rows = 2e5)
  rows <- sample_rows_of(J)
  message <- paste("A sample of", length(rows), "of 300000 effects")
  expect_message(chosen <- select_training_effects(src, 20, "top", seed = 1), message, class = "covmash_message_sample")
  expect_true(all(chosen %in% rows))
  expect_gt(min(apply(abs(z[chosen[attr(chosen, "weights") == 2], ]), 1, max)), 3)
  expect_equal(sum(attr(chosen, "weights")), J)
  by <- rep(seq_len(J / 3), each = 3)
  chosen <- suppressMessages(select_training_effects(src, 20, "lead", by = by, seed = 1))
  expect_true(all(chosen %in% rows))
  expect_error(suppressMessages(select_training_effects(s$src, 400)), class = "covmash_error_argument")
  expect_error(suppressMessages(select_training_effects(s$src)), class = "covmash_error_argument")
  expect_error(select_training_effects(s$src, 20, "lead", by = 1:30), class = "covmash_error_argument")
})
