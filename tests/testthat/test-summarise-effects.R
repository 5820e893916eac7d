result_of <- function(lfsr, means = matrix(1, nrow(lfsr), ncol(lfsr))) {
  dimnames(lfsr) <- dimnames(means) <- list(paste0("e", seq_len(nrow(lfsr))), letters[seq_len(ncol(lfsr))])
  structure(list(result = list(lfsr = lfsr, PosteriorMean = means, PosteriorSD = 0 * means + 0.5)), class = "mash")
}

test_that("a group's lead is its surest effect", {
  lfsr <- rbind(c(0.5, 0.04, 0.2), c(0.01, 0.6, 0.03), c(0.9, 0.04, 0.9), c(0.3, 0.2, 0.4))
  means <- rbind(c(1, 2, 3), c(-4, 5, 6), c(7, 8, 9), c(10, 11, -12))
  x <- summarise_effects(result_of(lfsr, means), c("g2", "g1", "g1", "g2"))
  expect_identical(x$group, c("g2", "g1"))
  expect_identical(x$n_effects, c(2L, 2L))
  expect_identical(x$lead, c("e1", "e2"))
  expect_identical(x$condition, c("b", "a"))
  expect_identical(x$estimate, c(2, -4))
  expect_identical(x$lfsr, c(0.04, 0.01))
  expect_identical(x$signs, c("0+0", "-0+"))
  expect_identical(x$n_significant, c(1L, 2L))
  expect_identical(x$n_any, c(1L, 3L))
  each <- summarise_effects(result_of(lfsr, means))
  expect_identical(each$group, paste0("e", 1:4))
  expect_identical(each$lead, each$group)
  ordered <- summarise_effects(result_of(lfsr, means), factor(c("b", "a", "a", "b")))
  expect_identical(ordered$group, c("a", "b"))
})

test_that("what was not observed is marked, and left out unless it is asked for", {
  withr::local_seed(3)
  sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.3)
  sim$Bhat[80, ] <- c(NA, 4, 4)
  data <- mash_set_data(sim$Bhat, sim$Shat)
  fit <- mash(data, cov_canonical(data), verbose = FALSE)
  seen <- summarise_effects(fit)
  expect_identical(substr(seen$signs[80], 1, 1), ".")
  expect_false(any(grepl(".", summarise_effects(fit, predicted = TRUE)$signs, fixed = TRUE)))
  found <- control_hierarchy(fit)
  expect_false(any(found$effects$effect == rownames(data$Bhat)[80] & found$effects$condition == "condition_1"))
})

test_that("claims are as many as their means allow, each level within the one above", {
  withr::local_seed(4)
  lfsr <- matrix(rbeta(600, 0.3, 2), 200)
  m <- result_of(lfsr, matrix(rnorm(600), 200))
  by <- rep(1:50, each = 4)
  for (level in list(0.05, c(0.1, 0.05, 0.02), c(0.02, 0.05, 0.1), 0)) {
    h <- control_hierarchy(m, by, level)
    expect_true(all(h$expected_error <= rep_len(level, 3) + 1e-12))
    expect_true(all(h$conditions$group %in% h$groups$group) && all(h$groups$group %in% h$conditions$group))
    key <- function(x) paste(x$group, x$condition)
    expect_setequal(key(h$conditions), key(h$effects))
    expect_false(anyDuplicated(key(h$conditions)) > 0)
  }
  # By plain enumeration at the first level.
  least <- sort(tapply(apply(lfsr, 1, min), by, min))
  expect_equal(nrow(control_hierarchy(m, by, 0.05)$groups), sum(cumsum(least) / seq_along(least) <= 0.05))
  h <- control_hierarchy(m, by, 0.05)
  at <- cbind(match(h$effects$effect, paste0("e", 1:200)), match(h$effects$condition, letters))
  expect_equal(h$effects$lfsr, lfsr[at])
  expect_identical(h$effects$sign, sign(m$result$PosteriorMean[at]))
  # One more effect would be too many.
  open <- paste(rep(by, 3), rep(letters[1:3], each = 200)) %in% paste(h$effects$group, h$effects$condition)
  rest <- setdiff(which(open), at[, 1] + 200 * (at[, 2] - 1))
  expect_gt((sum(h$effects$lfsr) + min(lfsr[rest])) / (nrow(h$effects) + 1), 0.05)
})

test_that("bad groups and levels are refused; a result prints", {
  m <- result_of(matrix(0.01, 4, 2))
  expect_error(summarise_effects(m, 1:3), class = "covmash_error_argument")
  expect_error(summarise_effects(m, c(1, NA, 1, 1)), class = "covmash_error_argument")
  expect_error(control_hierarchy(m, level = c(0.1, 0.2)), class = "covmash_error_argument")
  expect_error(control_hierarchy(m, level = 2), "not 2", class = "covmash_error_argument")
  h <- control_hierarchy(m)
  expect_output(print(h), "4 groups, 8 conditions of them, 8 effects in these")
  h$groups <- NULL
  expect_error(print(h), class = "covmash_error_argument")
  none <- control_hierarchy(result_of(matrix(0.9, 4, 2)))
  expect_identical(nrow(none$effects), 0L)
})

test_that("by condition each group has its lead effect there, and groups follow from names", {
  s <- small_data(J = 30, R = 3, missing = 30)
  fit <- mash(s$data, cov_canonical(s$data), verbose = FALSE, n_threads = 1)
  gene <- rep(c("b", "a", "c"), 10)
  x <- summarise_effects(fit, gene, thresh = 0.1, by_condition = TRUE)
  expect_identical(x$group, rep(c("b", "a", "c"), each = 3))
  expect_identical(x$condition, rep(colnames(s$Bhat), 3))
  lfsr <- replace(get_lfsr(fit), is.na(s$Bhat), NA)
  for (k in seq_len(nrow(x))) {
    of_group <- lfsr[gene == x$group[k], x$condition[k]]
    expect_identical(x$lfsr[k], min(of_group, na.rm = TRUE))
    expect_identical(x$lead[k], names(which.min(of_group)))
    expect_identical(x$estimate[k], get_pm(fit)[x$lead[k], x$condition[k]])
    expect_identical(c(x$n_effects[k], x$n_significant[k]), c(sum(!is.na(of_group)), sum(of_group < 0.1, na.rm = TRUE)))
  }
  # Names are e001, e002, ...: the last digit, by pattern and by function.
  last <- substr(rownames(s$Bhat), 4, 4)
  expect_identical(summarise_effects(fit, "[0-9]$"), summarise_effects(fit, last))
  expect_identical(summarise_effects(fit, "^e..(.)"), summarise_effects(fit, last))
  expect_identical(summarise_effects(fit, function(name) substr(name, 4, 4)), summarise_effects(fit, last))
  # A group without any estimate has no rows, and does not come before others.
  s$Bhat[gene == "b", ] <- NA
  fit$missing <- which(is.na(s$Bhat))
  expect_identical(unique(summarise_effects(fit, gene, by_condition = TRUE)$group), c("a", "c"))
})
