setup_fit <- function(names = TRUE) {
  sim <- small_data(J = 20, R = 3, names = names, missing = 4)
  c(sim, list(fit = mash(sim$data, cov_canonical(sim$data), verbose = FALSE)))
}

test_that("as.data.frame() has one row for each effect and condition, with the fit's numbers", {
  s <- setup_fit()
  df <- as.data.frame(s$fit)
  expect_s3_class(df, "data.frame", exact = TRUE)
  expect_identical(nrow(df), 60L)
  expect_true(all(c("effect", "condition") %in% names(df)))
  at <- cbind(match(df$effect, rownames(s$Bhat)), match(df$condition, colnames(s$Bhat)))
  expect_false(anyNA(at))
  expect_false(anyDuplicated(at) > 0)
  numbers <- df[vapply(df, is.numeric, NA)]
  for (x in list(s$fit$result$PosteriorMean, s$fit$result$PosteriorSD, s$fit$result$lfsr)) {
    expect_true(any(vapply(numbers, function(column) isTRUE(all.equal(column, x[at])), NA)))
  }
})

test_that("tidy() says the same with the field's column names", {
  s <- setup_fit()
  long <- tidy(s$fit)
  expect_identical(nrow(long), 60L)
  expect_true(all(c("effect", "condition", "lfsr") %in% names(long)))
})

test_that("glance() is one row about the fit", {
  s <- setup_fit()
  one <- glance(s$fit)
  expect_identical(nrow(one), 1L)
  values <- unlist(lapply(one, function(x) if (is.numeric(x) || is.logical(x)) as.numeric(x)))
  expect_true(s$fit$loglik %in% values)
})

test_that("augment() adds the posterior to the data", {
  s <- setup_fit()
  out <- augment(s$fit, s$data)
  expect_identical(nrow(out), 60L)
  numbers <- out[vapply(out, is.numeric, NA)]
  at <- cbind(match(out$effect, rownames(s$Bhat)), match(out$condition, colnames(s$Bhat)))
  for (x in list(s$Bhat, s$fit$result$lfsr)) {
    expect_true(any(vapply(numbers, function(column) isTRUE(all.equal(column, x[at])), NA)))
  }
})

test_that("effects and conditions without names are numbered", {
  s <- setup_fit(names = FALSE)
  df <- as.data.frame(s$fit)
  expect_identical(nrow(df), 60L)
  expect_length(unique(df$effect), 20)
  expect_length(unique(df$condition), 3)
})
