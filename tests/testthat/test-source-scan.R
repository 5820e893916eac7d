test_that("a look at a source counts what its numbers have", {
  p <- stream_problem(J = 3000, patterns = 12, missing = 200, nothing = 7, own = FALSE)
  p$Shat[1:200, ] <- withr::with_seed(2, runif(800, 0.5, 2))
  p$Shat[301:340, ] <- rep(c(1, 2, 0.5, 1), each = 40) * rep(c(1, 3), 20)
  p$Bhat[301:340, ] <- 1
  scan <- summary(stream_source(p), n_threads = 1)
  data <- stream_data(p)
  expect_identical(dim(scan$source), c(3000L, 4L))
  expect_identical(scan$observed, colSums(!is.na(p$Bhat)))
  expect_identical(scan$noise$n_missing, sum(is.na(p$Bhat)) + 0)
  expect_identical(scan$noise$n_all_missing, sum(rowSums(!is.na(p$Bhat)) == 0) + 0)
  expect_identical(scan$noise[c("n_effects", "n_conditions")], list(n_effects = 3000, n_conditions = 4L))
  # Noises up to a factor, by brute force.
  observed <- rowSums(!is.na(p$Bhat)) > 0
  shat <- replace(p$Shat, is.na(p$Bhat), NA)
  first <- apply(shat, 1, function(s) s[!is.na(s)][1])
  noise <- apply(signif(shat / first, 10), 1, paste, collapse = " ")
  simple <- observed & noise == "1 1 1 1"
  count <- table(noise[observed & !simple])
  shared <- count[count >= 32]
  expect_gt(length(shared), 8)
  expect_setequal(scan$dictionary$count, as.vector(shared))
  of_dictionary <- apply(scan$dictionary$shat, 2, function(s) paste(signif(s / s[!is.na(s)][1], 10), collapse = " "))
  expect_setequal(of_dictionary, names(shared))
  expect_identical(scan$dictionary$count, as.vector(shared[of_dictionary]) + 0)
  expect_identical(rownames(scan$dictionary$shat), colnames(p$Bhat))
  expect_identical(scan$noise$n_groups, length(shared) + any(simple) + 0L)
  expect_identical(scan$noise$n_shared_rows, sum(simple) + sum(shared) + 0)
  expect_identical(scan$noise$n_row_specific, sum(observed) - sum(simple) - sum(shared) + 0)
  # The grid of mash() follows from the range.
  expect_identical(scan$range, run_core(cpp_effect_range(data)))
  expect_length(unique(scan$checksums), 3)
})

test_that("a look depends on the effects alone, not on segments, parts and threads", {
  p <- stream_problem(patterns = 10)
  look <- function(segment_rows, n_threads = 1) {
    scan <- summary(stream_source(p, segment_rows), sample_rows = 500, n_threads = n_threads)
    scan$seconds <- scan$digest <- scan$source <- scan$checksums <- NULL
    scan
  }
  whole <- look(1e5)
  expect_identical(look(1e5, 2), whole)
  small <- look(100)
  order <- function(dictionary) {
    keys <- apply(dictionary$shat, 2, paste, collapse = " ")
    list(shat = dictionary$shat[, base::order(keys)], count = dictionary$count[base::order(keys)])
  }
  expect_identical(order(small$dictionary), order(whole$dictionary))
  small$dictionary <- whole$dictionary <- NULL
  expect_identical(small, whole)
})

test_that("small studies are their own sample, with the values of the data", {
  for (alpha in c(0, 0.5)) {
    p <- stream_problem(J = 300, missing = 50, nothing = 2, own = TRUE, alpha = alpha, V = 0.3 + 0.7 * diag(4))
    data <- stream_data(p)
    scan <- summary(stream_source(p, 100), n_threads = 1)
    expect_identical(scan$sample, data)
    expect_identical(scan$pilot$data, data[rowSums(!is.na(p$Bhat)) > 0, ])
    expect_true(all(scan$pilot$times == 1))
    jacobian <- sum(log(p$Shat[!is.na(p$Bhat)]^alpha))
    expect_equal(scan$jacobian, jacobian, tolerance = 1e-12)
  }
  expect_identical(cov_pca(scan$sample, 2), cov_pca(data, 2))
})

test_that("the pilot stands for all effects, and has the large ones", {
  p <- stream_problem(J = 20000, nothing = 50)
  p$Bhat[c(17, 9000), ] <- c(300, 5)
  scan <- summary(stream_source(p, 4096), sample_rows = 400, n_threads = 1)
  pilot <- scan$pilot
  expect_equal(sum(pilot$times), 19950)
  expect_true(length(pilot$times) > 200 && length(pilot$times) < 800)
  z <- apply(abs(pilot$data$Bhat), 1, max)
  expect_gt(max(z), 299)
  # Four times as large a part of them as of the others, and counted as often less.
  of_all <- apply(abs(p$Bhat), 1, max)
  large <- sum(z > 6) / sum(of_all > 6, na.rm = TRUE)
  expect_gt(large, 4 * sum(z < 2) / sum(of_all < 2, na.rm = TRUE))
  expect_lt(mean(pilot$times[z > 6]), mean(pilot$times[z < 2]) / 4)
  expect_equal(sum(pilot$times[z > 6]), sum(of_all > 6, na.rm = TRUE), tolerance = 0.3)
  expect_equal(weighted.mean(z, pilot$times), mean(of_all, na.rm = TRUE), tolerance = 0.05)
  thin <- thin_pilot(pilot, 100)
  expect_true(length(thin$times) > 50 && length(thin$times) < 200)
  expect_equal(sum(thin$times), 19950)
  expect_gt(max(abs(thin$data$Bhat)), 299)
  expect_true(all(rownames(thin$data$Bhat) %in% rownames(pilot$data$Bhat)))
  expect_identical(thin_pilot(pilot, 1e4), pilot)
  strata <- c(1e6, 1e4, 100, 5, 0)
  expect_equal(sum(chances(strata, 2000) * strata), 2000, tolerance = 1e-6)
  expect_identical(chances(strata, 2e6), rep(1, 5))
})

test_that("a noise of exactly 32 effects in several segments is in the dictionary, one of 31 is not", {
  p <- stream_problem(J = 400, R = 3, own = TRUE)
  p$Shat[seq(1, 400, length.out = 32), ] <- rep(c(1, 2, 3), each = 32)
  p$Shat[seq(2, 399, length.out = 31), ] <- rep(c(3, 2, 1), each = 31)
  scan <- summary(stream_source(p, 50), n_threads = 1)
  expect_identical(scan$dictionary$count, 32)
  expect_equal(unname(scan$dictionary$shat[, 1] / scan$dictionary$shat[1, 1]), 1:3 + 0)
  # The most frequent ones, in the order they came, if there are too many.
  parts <- list(
    list(key = c("a", "b"), count = c(40, 50), shat = matrix(1:4 + 0, 2)), NULL,
    list(key = c("c", "b", "d"), count = c(60, 5, 31), shat = matrix(5:10 + 0, 2))
  )
  all <- common_noises(parts, c("x", "y"))
  expect_identical(all, list(shat = matrix(1:6 + 0, 2, dimnames = list(c("x", "y"), NULL)), count = c(40, 55, 60)))
  expect_identical(common_noises(parts, c("x", "y"), most = 2L)$count, c(55, 60))
  expect_identical(dim(common_noises(list(NULL), c("x", "y"))$shat), c(2L, 0L))
  expect_identical(dictionary_for(all, c("y", "x"))$shat, matrix(c(2, 1, 4, 3, 6, 5) + 0, 2))
})

test_that("values that cannot be used are named by file and row", {
  skip_if_not_installed("nanoparquet")
  for (bad in list(list("b_lung", Inf), list("s_lung", -1))) {
    folder <- source_files(source_problem(40), c(20, 10, 10))
    path <- file.path(folder, "part03.parquet")
    table <- nanoparquet::read_parquet(path)
    table[[bad[[1]]]][7] <- bad[[2]]
    nanoparquet::write_parquet(table, path)
    src <- mash_source(folder, "b_", "s_", id = "snp", segment_rows = 16)
    for (call in list(quote(summary(src)), quote(mash(src, list(a = diag(3)), verbose = FALSE)))) {
      error <- expect_error(eval(call), "Row 7 of '.*part03.parquet'.*e37", class = "covmash_error_source")
      expect_s3_class(error, "covmash_error_task")
    }
  }
})

test_that("a study without any estimate is refused", {
  p <- stream_problem(J = 20)
  p$Bhat[] <- NA
  expect_error(summary(stream_source(p), n_threads = 1), "no estimate", class = "covmash_error_data")
})

test_that("looks print, and arguments are checked", {
  src <- stream_source(stream_problem(J = 300, missing = 40, nothing = 2), 100)
  scan <- summary(src, n_threads = 1)
  expect_identical(format(scan), "<mash_scan> 300 effects x 4 conditions, 3 segments")
  shown <- capture.output(expect_invisible(print(scan)))
  for (part in c("observed:", "sample: +300 effects", "pilot: +298 effects", "2 rows with nothing", "reading")) {
    expect_match(shown, part, all = FALSE)
  }
  expect_error(summary(src, sample_rows = 99), "`sample_rows`", class = "covmash_error_argument")
  expect_error(summary(src, cluster = 2), "`cluster`", class = "covmash_error_cluster")
  expect_error(summary(src, n_threads = 0), "`n_threads`", class = "covmash_error_threads")
  expect_warning(summary(src, rows = 3, n_threads = 1), "rows", class = "covmash_warning_ignored")
})

test_that("a damaged look is told", {
  scan <- summary(stream_source(stream_problem(J = 300, patterns = 3), 100), n_threads = 1)
  damage <- alist(
    scan$checksums <- scan$checksums[-1], scan$dictionary <- NULL, scan$dictionary$shat <- scan$dictionary$shat[-1, ],
    scan$dictionary$count[1] <- NA, scan$pilot$times <- scan$pilot$times[-1], scan$pilot$times[3] <- NA,
    scan$pilot$stratum <- NULL, scan$range <- 3, scan$jacobian <- NULL, scan$n_effects <- 7,
    scan$noise$n_missing <- NULL,
    scan$observed <- NULL, scan$seconds <- NULL, scan$digest <- "x", scan$sample <- 1, scan$pilot$data$Bhat <- NULL
  )
  for (one in damage) {
    local({
      eval(one)
      label <- deparse(one)
      fit <- function() mash(scan, list(a = diag(4)), verbose = FALSE)
      expect_error(fit(), "`data` is damaged", class = "covmash_error_data", label = label)
      expect_error(print(scan), "`x` is damaged", class = "covmash_error_data", label = label)
    })
  }
  scan$source$rows <- 3
  expect_error(print(scan), class = "covmash_error_data")
  expect_error(print(structure(1, class = "mash_scan")), "damaged", class = "covmash_error_data")
  expect_error(check_scan(3, "y"), "`y` must be a look", class = "covmash_error_data")
})
