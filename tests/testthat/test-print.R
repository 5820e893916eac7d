test_that("status lines have at most 80 columns, and go on below", {
  sim <- small_data(J = 60, R = 3, shat = "varying", missing = 15)
  data <- suppressWarnings(mash_set_data(sim$Bhat, sim$Shat, V = 0.123456789 + diag(0.876543211, 3)))
  fit <- muffle_all_missing(mash(data, cov_canonical(data), verbose = FALSE))
  fit$loglik <- -123456789.12
  fit$convergence[c("iterations", "kkt_violation", "objective")] <- list(12L, 1.234e-9, -123456789.12)
  fit$timing <- list(likelihood = 1234.5, weights = 1234.5, posterior = 1234.5, total = 12345.6)
  for (x in list(data, summary(data), fit, summary(fit), muffle_all_missing(mash_1by1(data)))) {
    lines <- capture.output(print(x))
    expect_lte(max(nchar(lines)), 80)
  }
  lines <- capture.output(print(fit))
  at <- grep("^  weights:", lines)
  expect_match(lines[at + 1], "^ {14}[^ ]")
  expect_match(gsub(" +", " ", paste(lines, collapse = " ")), "objective -123456789.12", fixed = TRUE)
})
