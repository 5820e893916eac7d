test_that("data objects come from all that holds estimates", {
  set.seed(1)
  B <- matrix(rnorm(12), 4, dimnames = list(paste0("e", 1:4), c("a", "b", "c")))
  S <- B * 0 + runif(12, 0.5, 1)
  expected <- mash_set_data(B, S)
  expect_identical(as_mash_data(expected), expected)
  expect_identical(as_mash_data(B, S), expected)
  expect_identical(as_mash_data(list(Bhat = B, Shat = S)), expected)
  long <- data.frame(effect = rep(rownames(B), 3), condition = rep(colnames(B), each = 4), estimate = c(B), se = c(S))
  expect_identical(as_mash_data(long), expected)
  expect_identical(as_mash_data(read_sumstats(long, verbose = FALSE)), expected)
  names(long) <- c("k", "where", "m", "s")
  columns <- c(effect = "k", condition = "where", estimate = "m", se = "s")
  expect_identical(as_mash_data(long, columns = columns), expected)
  path <- withr::local_tempfile(fileext = ".csv")
  utils::write.csv(long, path, row.names = FALSE)
  expect_equal(as_mash_data(path, columns = columns), expected)
  V <- diag(3) * 0.5 + 0.5
  expect_identical(as_mash_data(list(Bhat = B, Shat = S), V = V), mash_set_data(B, S, V = V))
  # What mash_set_data() takes for a matrix of estimates.
  expect_identical(as_mash_data(as.data.frame(B), S), expected)
  expect_identical(as_mash_data(as.data.frame(B)), mash_set_data(as.data.frame(B)))
  expect_identical(as_mash_data(B[, 1]), mash_set_data(B[, 1]))
  # Numbers that are no matrix of estimates: the columns say so.
  expect_error(as_mash_data(data.frame(gene = 1:2, beta = 1:2)), "standard errors", class = "covmash_error_columns")
  expect_error(as_mash_data(data.frame(id = 1:2, liver = 1:2)), "estimates", class = "covmash_error_columns")
  expect_error(as_mash_data(data.frame(beta = 1:2, se = 1:2)), "names of effects", class = "covmash_error_columns")
  expect_error(as_mash_data(1i), class = "covmash_error_data")
  expect_error(as_mash_data(list(1)), class = "covmash_error_data")
})

test_that("rows that name no effect or no condition are left out, and said", {
  long <- data.frame(
    gene = c("g", "h", NA, "g", "h", "h"), condition = c("a", "a", "a", "b", "b", NA), estimate = 1:6, se = 1
  )
  expect_message(
    data <- as_mash_data(long), "1 row without an identifier.*1 row without a condition", class = "covmash_message_sumstats"
  )
  expect_identical(data, as_mash_data(long[c(1, 2, 4, 5), ]))
  expect_no_message(as_mash_data(long[c(1, 2, 4, 5), ]))
})

test_that("SummarizedExperiment assays are taken", {
  skip_if_not_installed("SummarizedExperiment")
  B <- matrix(c(1, 2, 3, 4), 2, dimnames = list(c("g", "h"), c("a", "b")))
  x <- SummarizedExperiment::SummarizedExperiment(list(beta = B, se = abs(B) / 2, other = B))
  expect_identical(as_mash_data(x), mash_set_data(B, abs(B) / 2))
  expect_identical(as_mash_data(x, assays = c("other", "se")), mash_set_data(B, abs(B) / 2))
  expect_error(as_mash_data(x, assays = c("beta", "sd")), "other", class = "covmash_error_argument")
})

test_that("*.mash.rds lists are written and read", {
  set.seed(2)
  sim <- simple_sims(20, 3, 0.5)
  sim$Bhat[3, 2] <- NA
  data <- mash_set_data(sim$Bhat, sim$Shat)
  path <- withr::local_tempfile(fileext = ".mash.rds")
  expect_identical(write_mash_rds(data, path, strong = 1:5, random = 10:30, null = "effect_40"), path)
  x <- readRDS(path)
  expect_named(x, c("strong.b", "strong.s", "strong.z", "random.b", "random.s", "random.z", "null.b", "null.s", "null.z", "XtX"))
  z <- (sim$Bhat / sim$Shat)[1:5, ]
  z[is.na(z)] <- 0
  expect_equal(x$XtX, crossprod(z))
  parts <- read_mash_rds(path)
  expect_named(parts, c("strong", "random", "null"))
  expect_equal(parts$random, data[10:30, ])
  expect_identical(as_mash_data(path, part = "random"), parts$random)
  scaled <- mash_set_data(sim$Bhat, sim$Shat, alpha = 1)
  write_mash_rds(scaled, path, strong = 1:5, overwrite = TRUE)
  expect_equal(read_mash_rds(path)$strong$Bhat, data[1:5, ]$Bhat)
  # z-scores alone
  z_only <- as_mash_data(list(strong.z = sim$Bhat, random.z = sim$Bhat))
  expect_identical(unname(unique(z_only$Shat[!is.na(z_only$Shat)])), 1)
  expect_error(write_mash_rds(data, path, strong = 1), "already", class = "covmash_error_file")
  expect_error(write_mash_rds(data, path, overwrite = TRUE), class = "covmash_error_argument")
  expect_error(as_mash_data(path, part = "null"), "strong", class = "covmash_error_argument")
  saveRDS(1, path)
  expect_error(read_mash_rds(path), class = "covmash_error_file")
})
