# Something of every class that prints, with long names, many conditions and large numbers.
printed_objects <- function() {
  sim <- small_data(J = 60, R = 26, shat = "varying", missing = 15)
  V <- 0.123456789 + diag(0.876543211, 26)
  colnames(sim$Bhat) <- colnames(sim$Shat) <- c("Brain_Nucleus_accumbens_basal_ganglia", letters[-1])
  data <- suppressWarnings(mash_set_data(sim$Bhat, sim$Shat, V = V))
  fit <- muffle_all_missing(mash(data, cov_canonical(data), verbose = FALSE))
  fit$loglik <- -123456789.12
  fit$convergence[c("iterations", "kkt_violation", "objective")] <- list(12L, 1.234e-9, -123456789.12)
  fit$timing <- list(likelihood = 1234.5, weights = 1234.5, posterior = 1234.5, total = 12345.6)
  few <- data[, 1:4]
  withr::with_seed(1, suppressWarnings({
    learned <- deconvolve(few, n_full = 22, n_starts = 2, max_evaluations = 2)
    cv <- cv_deconvolve(few, K = c(1, 2), lambda = c(1, 22.5), n_folds = 2, n_starts = 1, max_evaluations = 2)
    prior <- fit_mash_prior(few, cov_canonical(few))
  }))
  one <- mash_1by1(data)
  S <- crossprod(matrix(sin(1:400), 20))
  list(
    data, summary(data), mash_set_data(sim$Bhat), fit, summary(fit), one, summary(one), mash_1by1(data, prior = "flat"),
    mash_contrast(fit, data[1:10, ], "reference"), control_hierarchy(fit, level = 0.5), learned, summary(learned), cv,
    prior, check_covariance(S), check_covariance(S[1:8, 1:8] + upper.tri(S[1:8, 1:8]))
  )
}

lines_at <- function(x, width, ...) {
  withr::local_options(width = width)
  capture.output(print(x, ...))
}

lines_of_table <- function(x, width, ...) {
  withr::local_options(width = width)
  capture.output(print_table(x, ...))
}

test_that("nothing is wider than the console", {
  for (x in printed_objects()) {
    for (width in c(60, 80, 120)) {
      lines <- lines_at(x, width)
      longest <- lines[which.max(nchar(lines, "width"))]
      expect_lte(nchar(longest, "width"), width, label = paste(class(x)[1], "at", width, ":", longest))
    }
  }
})

test_that("a line goes on below, and loses nothing", {
  objects <- printed_objects()
  fit <- objects[[4]]
  for (width in c(60, 80, 120)) {
    lines <- lines_at(fit, width)
    expect_match(gsub(" +", " ", paste(lines, collapse = " ")), "objective -123456789.12", fixed = TRUE)
    expect_identical(lines[1], "<mash_fit> 60 effects x 26 conditions")
  }
  lines <- lines_at(fit, 60)
  expect_match(lines[grep("^  weights:", lines) + 1], "^ {14}[^ ]")
})

test_that("tables that are cut say how to see all of it", {
  s <- summary(printed_objects()[[4]])
  cut <- lines_at(s, 80)
  expect_match(cut, "and 6 more; print\\(summary\\(x\\), n = Inf\\) shows all", all = FALSE)
  whole <- lines_at(s, 80, n = Inf)
  expect_false(any(grepl(" more", whole)))
  expect_identical(sum(grepl("^z ", whole)), 1L)
  expect_true(all(cut[!grepl(" more;", cut)] %in% whole))
})

test_that("columns that find no room come below, beside the names", {
  x <- data.frame(name = c("a", "bb"), first = c(1.5, 10), second = c(TRUE, NA), third = c("x", "y"))
  lines <- c("name first second third", "a      1.5   TRUE x    ", "bb    10.0     NA y    ")
  expect_identical(lines_of_table(x, 60), lines)
  withr::local_options(width = 40)
  # Names are shortened to where all has room, but not to less than 16; then to half the width.
  x <- data.frame(name = strrep("n", 50), a = "12345678901234567", b = "word")
  lines <- c("name              a                 b   ", "nnnnnnnnnnnnnn... 12345678901234567 word")
  expect_identical(lines_of_table(x, 40), lines)
  x$b <- "words3"
  expect_identical(lines_of_table(x, 40), c(
    "name                 a                ", paste0(strrep("n", 17), "... 12345678901234567"),
    "name                 b     ", paste0(strrep("n", 17), "... words3")
  ))
  # Everything there is, in as many blocks as it takes.
  wide <- data.frame(name = letters[1:3], matrix(1:60, 3))
  lines <- lines_of_table(wide, 40)
  expect_lte(max(nchar(lines)), 40)
  expect_setequal(unlist(regmatches(lines, gregexpr("\\b[0-9]+\\b", lines))), as.character(1:60))
  expect_identical(lines_of_table(wide[0, 1:2], 40), "name X1")
  expect_identical(lines_of_table(wide[1], 40)[1:2], c("name", "a   "))
  expect_identical(lines_of_table(wide[1:2], 40, n = 1)[3], "... and 2 more; print(x, n = Inf) shows all")
})

test_that("data say what their standard errors are, and when they look forgotten", {
  B <- matrix(1:6, 3)
  shat_line <- function(x) sub("^  std. error: ", "", grep("std. error:", capture.output(print(x)), value = TRUE))
  for (x in list(mash_set_data(B), mash_set_data(B, alpha = 1), summary(mash_set_data(B)))) {
    expect_identical(shat_line(x), "1 for every estimate, as if `Shat` was not given")
  }
  expect_identical(shat_line(mash_set_data(B, 2)), "2")
  expect_identical(shat_line(mash_set_data(B, matrix(c(0.5, 1, 2, 1, 1, 1), 3))), "0.5 to 2")
  expect_identical(shat_line(mash_set_data(B, matrix(c(0.5, 1, 2, 1, 1, 1), 3), alpha = 1)), "0.5 to 2")
})
