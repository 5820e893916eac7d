pipeline_data_set <- function() {
  set.seed(5)
  truth <- sumstats_truth(400, paste0("T", 1:4), 80, placeholders = 0.02, scale = 2)
  dir <- withr::local_tempdir()
  list(truth = truth, read = read_sumstats(write_sumstats_files(truth, "tensorqtl", dir), verbose = FALSE))
}

test_that("it gives what its steps give when they are done alone", {
  made <- pipeline_data_set()
  set.seed(1)
  result <- mash_pipeline(made$read, verbose = FALSE)
  expect_s3_class(result, "mash_pipeline")
  expect_identical(result$by, made$read$effects$gene)
  # Placeholders are NA, and nothing else.
  holder <- made$truth$holder[rowSums(!is.na(made$truth$expected$Bhat)) > 0, ]
  expect_identical(is.na(result$data$Bhat), is.na(made$read$Bhat) | holder)
  # The calls that it says it made.
  alone <- new.env(parent = asNamespace("covmash"))
  alone$data <- made$read
  alone$by <- result$by
  set.seed(1)
  for (call in result$steps$call) suppressMessages(suppressWarnings(eval(parse(text = call), alone)))
  expect_identical(unname(result$strong), unname(alone$strong))
  expect_identical(get_pm(result$fit), get_pm(alone$fit))
  expect_identical(get_lfsr(result$fit), get_lfsr(alone$fit))
  expect_output(print(result), "<mash_pipeline> 400 effects in 4 conditions")
  expect_identical(summary(result), result$steps)
})

test_that("it takes what mash_set_data() takes for estimates", {
  set.seed(3)
  B <- matrix(rnorm(300, 0, 3), 100, dimnames = list(NULL, c("liver", "lung", "skin")))
  run <- function(data) get_pm(mash_pipeline(data, V = NULL, Ulist = list(diag(3)), verbose = FALSE)$fit)
  expected <- run(mash_set_data(B))
  expect_identical(run(B), expected)
  expect_identical(run(as.data.frame(B)), expected)
})

test_that("every decision can be taken by the user", {
  made <- pipeline_data_set()
  data <- placeholder_to_na(suppressWarnings(as_mash_data(made$read)))
  V <- diag(4) * 0.9 + 0.1
  U <- cov_canonical(data)
  result <- mash_pipeline(
    made$read, by = "variant", strong = 1:30, random = 50:300, V = V, Ulist = U, fit_on = "random", verbose = FALSE,
    output_lfdr = TRUE
  )
  data <- mash_update_data(data, V = V)
  expected <- apply_mash_prior(data, fit_mash_prior(data, U, 50:300), output_lfdr = TRUE)
  expect_identical(get_lfdr(result$fit), get_lfdr(expected))
  expect_identical(result$strong, 1:30)
  expect_identical(result$by, made$read$effects$variant)
  by_function <- mash_pipeline(data, V = NULL, Ulist = function(data, strong) cov_canonical(data), verbose = FALSE)
  expect_null(by_function$by)
  expect_identical(names(by_function$Ulist), names(U))
  kept <- mash_pipeline(made$read, placeholders = FALSE, V = NULL, Ulist = U, verbose = FALSE) |>
    suppressWarnings()
  expect_identical(kept$data$Bhat, made$read$Bhat)
  expect_true("placeholders" %in% kept$checks$check)
})

test_that("a call that was stopped goes on from its checkpoint", {
  data <- mash_set_data(matrix(rnorm(300), 100))
  path <- withr::local_tempfile(fileext = ".rds")
  calls <- 0
  broken <- function(data, strong) {
    calls <<- calls + 1
    if (calls == 1) stop("power cut")
    cov_canonical(data)
  }
  run <- function(...) mash_pipeline(data, Ulist = broken, checkpoint = path, verbose = FALSE, ...)
  expect_error(run(), "power cut")
  kept <- readRDS(path)
  expect_true(all(c("strong", "random", "errors") %in% names(kept$done)))
  first <- run()
  expect_identical(calls, 2)
  again <- run()
  expect_identical(calls, 2)
  expect_identical(again$fit, first$fit)
  expect_true(all(again$steps$seconds == 0))
  expect_error(mash_pipeline(data[1:50, ], checkpoint = path), "other data", class = "covmash_error_file")
  saveRDS(1, path)
  expect_error(run(), "no checkpoint", class = "covmash_error_file")
  expect_error(mash_pipeline(data, checkpoint = "/no/such/folder/x"), class = "covmash_error_file")
})

test_that("bad arguments are told", {
  data <- mash_set_data(matrix(rnorm(300), 100))
  expect_error(mash_pipeline(), class = "covmash_error_argument")
  expect_error(mash_pipeline(data, by = 1:3), class = "covmash_error_argument")
  expect_error(mash_pipeline(data, Ulist = 5), class = "covmash_error_ulist")
  expect_error(mash_pipeline(data, g = 1), class = "covmash_error_argument")
  expect_error(mash_pipeline(pipeline_data_set()$read, by = "chip"), "chip", class = "covmash_error_argument")
  expect_error(mash_pipeline(data, strong = 1000), class = "covmash_error_index")
})
