setup_fit <- function(names = TRUE) {
  sim <- small_data(J = 20, R = 3, names = names, missing = 4)
  c(sim, list(fit = mash(sim$data, cov_canonical(sim$data), verbose = FALSE)))
}

# Every number of a long table is that of its effect and condition.
expect_entries <- function(table, column, x) {
  at <- cbind(match(table$effect, rownames(x)), match(table$condition, colnames(x)))
  expect_identical(table[[column]], x[at])
}

test_that("tidy() has one row for each effect and condition, with the fit's numbers", {
  s <- setup_fit()
  long <- tidy(s$fit)
  expect_s3_class(long, "data.frame", exact = TRUE)
  expect_named(long, c("effect", "condition", "estimate", "std.error", "lfsr", "observed"))
  expect_identical(dim(long), c(60L, 6L))
  expect_false(anyDuplicated(long[c("effect", "condition")]) > 0)
  expect_entries(long, "estimate", s$fit$result$PosteriorMean)
  expect_entries(long, "std.error", s$fit$result$PosteriorSD)
  expect_entries(long, "lfsr", s$fit$result$lfsr)
  expect_entries(long, "observed", !is.na(s$Bhat))
  expect_identical(as.data.frame(s$fit), long)
  expect_identical(row.names(long), as.character(1:60))
  complete <- mash(small_data(J = 20, R = 2)$data, list(id = diag(2)), verbose = FALSE, output_lfdr = TRUE)
  expect_true(all(tidy(complete)$observed))
  expect_entries(tidy(complete), "lfdr", complete$result$lfdr)
})

test_that("intervals are those of get_credible_intervals(), whatever the order of the data", {
  s <- setup_fit()
  ends <- get_credible_intervals(s$fit, s$data, level = 0.8)
  long <- tidy(s$fit, conf.int = TRUE, conf.level = 0.8, data = s$data)
  expect_named(long, c("effect", "condition", "estimate", "std.error", "lfsr", "conf.low", "conf.high", "observed"))
  expect_entries(long, "conf.low", ends$lower)
  expect_entries(long, "conf.high", ends$upper)
  suppressMessages({
    expect_identical(tidy(s$fit, conf.int = TRUE, conf.level = 0.8, data = s$data[20:1, 3:1]), long)
  })
  expect_identical(as.data.frame(s$fit, conf.int = TRUE, conf.level = 0.8, data = s$data), long)
  some <- augment(s$fit, s$data[c(7, 3), ], conf.int = TRUE, conf.level = 0.8)
  expect_entries(some, "conf.low", ends$lower)
  expect_error(tidy(s$fit, conf.int = TRUE), "give `data`", class = "covmash_error_argument")
  refused <- function(text, class, ...) expect_error(tidy(s$fit, conf.int = TRUE, ...), text, class = class)
  refused("lacks 15 effects", "covmash_error_dimensions", data = s$data[1:5, ])
  refused("conf.level", "covmash_error_argument", conf.level = 2, data = s$data)
  expect_error(tidy(s$fit, conf.int = "yes"), "conf.int", class = "covmash_error_argument")
})

test_that("results of combinations are not called observed, and have no intervals of the conditions", {
  s <- setup_fit()
  A <- rbind(difference = c(1, -1, 0))
  fit <- mash(s$data, cov_canonical(s$data), verbose = FALSE, A = A)
  long <- tidy(fit)
  expect_identical(unique(long$condition), "difference")
  expect_identical(long$observed, rep(NA, 20))
  expect_error(tidy(fit, conf.int = TRUE, data = s$data), "combinations", class = "covmash_error_fit")
  expect_error(augment(fit, s$data), "combinations", class = "covmash_error_fit")
  # Of contrasts to the mean there is one more than was fitted.
  data <- mash_update_data(small_data(J = 20, R = 3)$data, ref = "mean")
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  expect_entries(tidy(fit, conf.int = TRUE, data = data), "conf.low", get_credible_intervals(fit, data)$lower)
})

test_that("a result of mash_1by1() has the same table, with the intervals of its own posterior", {
  s <- setup_fit()
  one <- mash_1by1(s$data)
  long <- tidy(one)
  expect_named(long, c("effect", "condition", "estimate", "std.error", "lfsr", "lfdr", "observed"))
  expect_identical(as.data.frame(one), long)
  expect_entries(long, "lfdr", one$result$lfdr)
  expect_entries(long, "observed", !is.na(s$Bhat))
  # The mixture posterior of one condition in plain R: no probability outside of the ends but 5 % on each side.
  long <- tidy(one, conf.int = TRUE, conf.level = 0.9, data = s$data)
  prior <- one$fitted_g$b
  scales <- c(if (prior$usepointmass) 0, prior$grid)
  cdf <- function(q, bhat, s) {
    weight <- prior$pi * dnorm(bhat, 0, sqrt(s^2 + scales^2))
    shrink <- scales^2 / (scales^2 + s^2)
    below <- ifelse(scales == 0, q >= 0, pnorm(q, shrink * bhat, sqrt(shrink) * s))
    sum(weight * below) / sum(weight)
  }
  rows <- which(long$condition == "b" & long$observed)
  for (i in rows) {
    bhat <- s$Bhat[long$effect[i], "b"]
    expect_gte(cdf(long$conf.low[i] + 1e-9, bhat, 1), 0.05 - 1e-8)
    expect_lte(cdf(long$conf.low[i] - 1e-9, bhat, 1), 0.05 + 1e-8)
    expect_gte(cdf(long$conf.high[i] + 1e-9, bhat, 1), 0.95 - 1e-8)
    expect_lte(cdf(long$conf.high[i] - 1e-9, bhat, 1), 0.95 + 1e-8)
  }
  expect_error(tidy(one, conf.int = TRUE), "give `data`", class = "covmash_error_argument")
  one$fitted_g <- NULL
  expect_error(tidy(one, conf.int = TRUE, data = s$data), "make it again", class = "covmash_error_fit")
})

test_that("intervals of mash_1by1() hold the truth at their level, on the scale of the estimates", {
  set.seed(1)
  n <- 4000
  Shat <- matrix(runif(n, 0.5, 2), n, dimnames = list(seq_len(n), NULL))
  b <- Shat * rnorm(n, sd = 2)
  data <- mash_set_data(b + Shat * rnorm(n), Shat)
  for (one in list(mash_1by1(data, alpha = 1), mash_1by1(data, prior = "flat"))) {
    long <- tidy(one, conf.int = TRUE, conf.level = 0.8, data = data)
    expect_lt(abs(mean(long$conf.low <= as.vector(b) & as.vector(b) <= long$conf.high) - 0.8), 0.02)
  }
  # A flat prior needs no data.
  flat <- tidy(one, conf.int = TRUE)
  expect_equal(flat$conf.high, as.vector(data$Bhat + qnorm(0.975) * Shat), tolerance = 1e-12)
  expect_identical(augment(one, data[5:3, ], conf.int = TRUE)$conf.high, flat$conf.high[5:3])
})

test_that("a condition without estimates has no intervals", {
  s <- small_data(J = 20, R = 2)
  s$Bhat[, 2] <- NA
  data <- mash_set_data(s$Bhat, s$Shat)
  one <- suppressWarnings(mash_1by1(data), classes = "covmash_warning_all_missing")
  long <- tidy(one, conf.int = TRUE, data = data)
  expect_identical(is.na(long$conf.low), rep(c(FALSE, TRUE), each = 20))
})

test_that("the claims of control_hierarchy() are tables, and one row counts them", {
  s <- small_data(J = 60, R = 3)
  fit <- mash(s$data, cov_canonical(s$data), verbose = FALSE)
  found <- control_hierarchy(fit, by = rep(1:20, 3))
  expect_identical(tidy(found), found$effects)
  expect_identical(tidy(found, "groups"), found$groups)
  expect_identical(as.data.frame(found, what = "conditions"), found$conditions)
  one <- glance(found)
  expect_identical(dim(one), c(1L, 9L))
  expect_identical(one$n_effects, nrow(found$effects))
  expect_equal(one$error_groups, mean(found$groups$lfsr))
  expect_gt(one$n_groups, 0)
  expect_error(tidy(found, "genes"), class = "covmash_error_argument")
})

test_that("glance() is one row about a result of mash_1by1()", {
  s <- small_data(J = 30, R = 3, missing = 10)
  s$Bhat[4, ] <- NA
  data <- muffle_all_missing(mash_set_data(s$Bhat, s$Shat))
  one <- mash_1by1(data)
  row <- glance(one)
  expect_identical(nrow(row), 1L)
  expect_identical(row$nobs, 29L)
  expect_identical(row$logLik, one$loglik)
  expect_identical(row$n_significant, sum(get_n_significant_conditions(one) > 0))
  expect_true(row$converged)
  expect_identical(glance(mash_1by1(data, prior = "flat"))$prior, "flat")
})

test_that("glance() is one row about the fit", {
  s <- setup_fit()
  one <- glance(s$fit)
  expect_identical(nrow(one), 1L)
  values <- unlist(lapply(one, function(x) if (is.numeric(x) || is.logical(x)) as.numeric(x)))
  expect_true(s$fit$loglik %in% values)
})

test_that("augment() adds the data to the posterior", {
  s <- setup_fit()
  for (x in list(s$fit, mash_1by1(s$data))) {
    out <- augment(x, s$data)
    expect_identical(out[names(tidy(x))], tidy(x))
    expect_entries(out, ".bhat", s$Bhat)
    expect_entries(out, ".shat", s$Shat)
    expect_identical(as.list(out[c(".fitted", ".se.fit", ".lfsr")]), list(
      .fitted = out$estimate, .se.fit = out$std.error, .lfsr = out$lfsr
    ))
    some <- augment(x, s$data[c(7, 3), ])
    expect_identical(unique(some$effect), rownames(s$Bhat)[c(7, 3)])
    expect_entries(some, ".bhat", s$Bhat)
    expect_entries(some, "estimate", x$result$PosteriorMean)
    expect_error(augment(x), "`data` is missing", class = "covmash_error_data")
  }
})

test_that("effects and conditions without names are numbered", {
  s <- setup_fit(names = FALSE)
  df <- as.data.frame(s$fit)
  expect_identical(nrow(df), 60L)
  expect_length(unique(df$effect), 20)
  expect_length(unique(df$condition), 3)
})

test_that("five million rows take no copy more than they need", {
  skip_on_cran()
  J <- 1e5
  x <- matrix(0.25, J, 50, dimnames = list(paste0("gene_", seq_len(J)), paste0("tissue_", 1:50)))
  result <- list(PosteriorMean = x, PosteriorSD = x, lfsr = x)
  fit <- structure(list(result = result, dim = dim(x), dimnames = dimnames(x)), class = c("mash_fit", "mash"))
  # One made column by column, of the same size: a measure of this machine, now.
  plain <- system.time(for (i in 1:5) as.vector(x + 0))[["elapsed"]]
  took <- system.time(tidy(fit))[["elapsed"]]
  expect_lt(took, max(2, 10 * plain))
})
