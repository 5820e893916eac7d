# ---- the same fit as in memory -------------------------------------------------

test_that("a source is fitted as the same numbers in memory are, whatever the noise", {
  V <- 0.4 + 0.6 * diag(4)
  kinds <- list(
    complete = list(), patterns = list(patterns = 60, R = 8, J = 4000), own = list(own = TRUE, missing = 1500),
    V = list(V = V), "V, patterns" = list(V = V, patterns = 14), "alpha 1" = list(own = TRUE, alpha = 1),
    "alpha 0.5" = list(own = TRUE, alpha = 0.5, missing = 500), one = list(R = 1),
    nothing = list(nothing = 50, missing = 100), "scaled, few" = list(scaled = 40), "scaled, many" = list(scaled = 5)
  )
  columns <- c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr", "NegativeProb")
  for (kind in names(kinds)) {
    p <- do.call(stream_problem, utils::modifyList(list(J = 2200), kinds[[kind]]))
    data <- stream_data(p)
    src <- stream_source(p)
    U <- few_matrices(data)
    memory <- mash(data, U, verbose = FALSE, n_threads = 2, outputlevel = 1)
    fit <- mash(summary(src, sample_rows = 400, n_threads = 1), U, verbose = FALSE, n_threads = 2)
    expect_same_fit(fit, memory, kind)
    expect_no_fall(fit, kind)
    expect_identical(fit$noise$n_missing + 0, memory$noise$n_missing + 0, label = kind)
    # The posterior of some rows, which do not have their neighbours.
    all <- predict(fit, data, n_threads = 1)
    rows <- withr::with_seed(3, sample.int(1500, 40)) + 500
    part <- segment_posterior(src[rows], fit, columns, 1)
    expect_named(part, columns)
    for (column in columns) {
      expected <- all[[column]][rows, , drop = FALSE]
      if (kind == "nothing") {
        # Patterns of fewer than 32 effects are in no dictionary.
        expect_equal(part[[column]], expected, tolerance = 1e-12, label = paste(kind, column))
      } else {
        expect_identical(part[[column]], expected, label = paste(kind, column))
      }
    }
  }
})

test_that("grid, point mass, prior, start and factored matrices are those of mash()", {
  s <- stream_study()
  factored <- withr::with_seed(4, factor_covariance(matrix(rnorm(12), 6, 2), D = runif(6)))
  calls <- list(
    list(s$U, grid = c(0.5, 1, 3)), list(s$U, gridmult = 2, normalizeU = FALSE), list(s$U, usepointmass = FALSE),
    list(s$U, prior = "uniform"), list(s$U, nullweight = 100), list(c(s$U, list(factored = factored))),
    list(s$U, start = s$fit), list(s$U[1:3], grid = c(1, 2), prior = c(3, 1, 1, 2, 1, 1, 5)), list(g = s$fit),
    list(g = s$fit$fitted_g, prior = "uniform"),
    list(g = s$fit, usepointmass = TRUE, start = s$fit)
  )
  for (args in calls) {
    label <- paste(names(args), collapse = " ")
    fit <- do.call(mash, c(list(s$scan), args, list(verbose = FALSE, n_threads = 2)))
    memory <- do.call(mash, c(list(s$data), args, list(verbose = FALSE, n_threads = 2, outputlevel = 1)))
    expect_same_fit(fit, memory, label)
    expect_no_fall(fit, label)
    expect_identical(lapply(fit$fitted_g$Ulist, as.matrix), lapply(memory$fitted_g$Ulist, as.matrix), label = label)
    if ("start" %in% names(args)) expect_identical(fit$convergence$iterations, 1L)
  }
  expect_s4_class(mash(s$scan, list(f = factored), verbose = FALSE)$fitted_g$Ulist$f, "factor_cov")
})

test_that("weights that are kept give the log-likelihood in one pass", {
  s <- stream_study()
  fit <- mash(s$scan, g = s$fit, fixg = TRUE, verbose = FALSE, n_threads = 1)
  memory <- mash(s$data, g = s$fit, fixg = TRUE, verbose = FALSE, n_threads = 1, outputlevel = 1)
  expect_identical(fit$fitted_g$pi, s$fit$fitted_g$pi)
  expect_equal(fit$loglik, memory$loglik, tolerance = 1e-12)
  expect_true(all(is.na(unlist(fit$convergence))))
  expect_identical(nrow(fit$source$passes), 1L)
  expect_identical(names(fit$source$passes), names(s$fit$source$passes))
  expect_output(print(fit), "kept fixed")
  # A prior of other data, in which effects have densities beyond single floats.
  g <- s$fit$fitted_g
  g$pi[] <- replace(numeric(length(g$pi)), 1, 1)
  expect_equal(
    mash(s$scan, g = g, fixg = TRUE, verbose = FALSE)$loglik,
    mash(s$data, g = g, fixg = TRUE, verbose = FALSE, outputlevel = 1)$loglik,
    tolerance = 1e-12
  )
})

test_that("any sample, in any order of the effects, ends in the same weights", {
  for (order in c("none", "size", "pattern")) {
    p <- stream_problem(J = 4000, patterns = if (order == "size") 0 else 10, order = order)
    data <- stream_data(p)
    U <- few_matrices(data)
    src <- stream_source(p)
    memory <- mash(data, U, verbose = FALSE, outputlevel = 1, n_threads = 2)
    for (n in c(200, 1000)) {
      label <- paste(order, n)
      fit <- mash(summary(src, sample_rows = n, n_threads = 1), U, verbose = FALSE, n_threads = 2)
      expect_same_fit(fit, memory, label)
      expect_no_fall(fit, label)
      expect_lt(nrow(fit$source$passes), 40, label = label)
    }
  }
})

test_that("a bad start, and effects that the sample knows nothing of, end in the same weights", {
  p <- stream_problem(J = 6000)
  # A few that fit to nothing that the others need.
  p$Bhat[c(5, 4100), ] <- rep(c(900, -400), 4)
  data <- stream_data(p)
  U <- few_matrices(data)
  scan <- summary(stream_source(p), sample_rows = 200, n_threads = 1)
  scan$pilot <- list(
    data = scan$pilot$data[apply(abs(scan$pilot$data$Bhat), 1, max) < 100, ], times = scan$pilot$times,
    lot = scan$pilot$lot, stratum = scan$pilot$stratum
  )
  n <- nrow(scan$pilot$data$Bhat)
  scan$pilot$times <- rep(6000 / n, n)
  for (part in c("lot", "stratum")) scan$pilot[[part]] <- scan$pilot[[part]][seq_len(n)]
  memory <- mash(data, U, verbose = FALSE, outputlevel = 1, n_threads = 2)
  P <- length(memory$fitted_g$pi)
  for (start in list(NULL, replace(numeric(P), 1, 1), replace(numeric(P), P, 1), rep(1, P))) {
    fit <- mash(scan, U, start = start, verbose = FALSE, n_threads = 2)
    expect_same_fit(fit, memory)
    expect_no_fall(fit)
  }
})

test_that("sources of one effect, and segments of one effect, work", {
  p <- stream_problem(J = 12, missing = 5)
  data <- stream_data(p)
  U <- few_matrices(data)
  src <- stream_source(p, 1)
  # Single floats are seen here.
  expect_same_fit(mash(src, U, verbose = FALSE), mash(data, U, verbose = FALSE), tolerance = 1e-7)
  one <- mash_source(function(i) list(Bhat = p$Bhat[3, , drop = FALSE]), n = 1)
  fit <- mash(one, U, verbose = FALSE)
  expect_same_fit(fit, mash(mash_set_data(p$Bhat[3, , drop = FALSE]), U, verbose = FALSE), tolerance = 1e-7)
})

# ---- the same bits -------------------------------------------------------------

posterior_sums <- function(fit, src, ...) {
  home <- withr::local_tempdir()
  out <- mash_posterior(src, fit, home, ...)
  unname(tools::md5sum(file.path(home, out$pieces$file)))
}

# Calls something as the answer number `at` of a fit is kept.
local_event <- function(at, event, every = 30, frame = parent.frame()) {
  original <- keep_answers
  count <- 0
  local_functions(keep_answers = function(kept, pass, answers) {
    original(kept, pass, answers, every)
    count <<- count + 1
    if (count == at) event()
  }, frame = frame)
}

test_that("threads, segments done before and checkpoints do not change a bit", {
  s <- stream_study()
  bits <- bits_of_fit(s$fit)
  expect_gt(nrow(s$fit$source$passes), 4)
  not_cran <- identical(Sys.getenv("NOT_CRAN"), "true")
  for (n in c(2, if (not_cran) 4)) {
    expect_identical(bits_of_fit(mash(s$scan, s$U, verbose = FALSE, n_threads = n)), bits)
  }
  file <- withr::local_tempfile()
  again <- mash(s$scan, s$U, checkpoint = file, verbose = FALSE, n_threads = 1)
  expect_identical(bits_of_fit(again), bits)
  # Nothing is read any more.
  local_functions(pass_over_segment = function(task, common) stop("is read"))
  again <- mash(s$scan, s$U, checkpoint = file, verbose = FALSE, n_threads = 2)
  expect_identical(bits_of_fit(again), bits)
  expect_length(list.files(dirname(file), paste0("^", basename(file), ".*tmp")), 0)
})

test_that("a fit that was interrupted goes on where it was", {
  s <- stream_study()
  file <- withr::local_tempfile()
  original <- pass_over_segment
  seen <- 0
  with_failure <- function(at) {
    local_event(at, function() stop("power cut"), every = 0)
    expect_error(mash(s$scan, s$U, checkpoint = file, verbose = FALSE, n_threads = 1), "power cut")
  }
  # In the third pass, and later once more.
  with_failure(13)
  expect_length(whole_content(file)$rounds, 2)
  with_failure(9)
  expect_length(whole_content(file)$rounds, 4)
  local_functions(pass_over_segment = function(task, common) {
    seen <<- seen + 1
    original(task, common)
  })
  fit <- mash(s$scan, s$U, checkpoint = file, verbose = FALSE, n_threads = 1)
  expect_identical(bits_of_fit(fit), bits_of_fit(s$fit))
  expect_identical(seen, 5 * nrow(fit$source$passes) - 13 - 9)
  skip_if_not_installed("nanoparquet")
  expect_identical(posterior_sums(fit, s$src, n_threads = 1), posterior_sums(s$fit, s$src, n_threads = 2))
})

test_that("a source that fails once, while it is read for a pass", {
  p <- stream_problem(J = 2000)
  broken <- withr::local_tempfile()
  make <- function(i) {
    if (i == 2 && file.exists(broken)) stop("disk is away")
    rows <- 1000 * (i - 1) + 1:1000
    list(Bhat = p$Bhat[rows, ], Shat = p$Shat[rows, ])
  }
  src <- mash_source(make, n = 2, n_effects = 2000, segment_rows = 500)
  scan <- summary(src, sample_rows = 200, n_threads = 1)
  U <- few_matrices(scan$sample)
  fit <- mash(scan, U, verbose = FALSE, n_threads = 1)
  file <- withr::local_tempfile()
  local({
    local_event(6, function() file.create(broken), every = 0)
    expect_error(
      mash(scan, U, checkpoint = file, verbose = FALSE), "Segment 3: .*disk is away", class = "covmash_error_source"
    )
  })
  unlink(broken)
  expect_identical(bits_of_fit(mash(scan, U, checkpoint = file, verbose = FALSE)), bits_of_fit(fit))
})

test_that("a process that is killed loses what it did since, and nothing else", {
  skip_on_cran()
  skip_on_os("windows")
  p <- stream_problem(J = 3000, patterns = 14)
  src <- stream_source(p)
  U <- few_matrices(stream_data(p))
  file <- withr::local_tempfile()
  lines <- c(
    "count <- 0", "old <- ns$keep_answers", "scan <- ns$scan_source",
    # A small sample, so that there are several passes.
    "put('scan_source', function(src, cluster, n, n_threads) scan(src, cluster, 200, n_threads))",
    "put('keep_answers', function(kept, pass, answers) {",
    "  count <<- count + 1",
    # In the middle of writing the file.
    "  if (count == 8) put('write_kept', function(content, file) {",
    "    writeBin(as.raw(1:50), paste0(file, '.tmp')); tools::pskill(Sys.getpid(), 9) })",
    "  old(kept, pass, answers, 0)", "})",
    "mash(s$source, s$fit, checkpoint = home, verbose = FALSE, n_threads = 1)"
  )
  expect_identical(run_beside(lines, list(source = src, fit = U), file), 137L)
  expect_true(file.exists(paste0(file, ".scan")))
  expect_gte(length(whole_content(file)$rounds), 2)
  local_functions(scan_source = function(...) stop("is read again"))
  resumed <- mash(src, U, checkpoint = file, verbose = FALSE, n_threads = 2)
  fit <- mash(whole_content(paste0(file, ".scan")), U, verbose = FALSE, n_threads = 1)
  expect_identical(bits_of_fit(resumed), bits_of_fit(fit))
})

test_that("daemons, nodes, and the loss of one in the middle of a pass do not change a bit", {
  skip_on_cran()
  skip_on_os("windows")
  skip_if_not_installed("mirai")
  skip_if_not_installed("nanoparquet")
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
  s <- stream_study()
  folder <- withr::local_tempfile()
  write_source(s$data, folder, rows_per_file = 900)
  src <- mash_source(folder, segment_rows = 256)
  scan <- summary(src, sample_rows = 300, n_threads = 1)
  fit <- mash(scan, s$U, verbose = FALSE, n_threads = 1)
  bits <- bits_of_fit(fit)
  sums <- posterior_sums(fit, src, n_threads = 1)

  profile <- "covmash-test-mash"
  mirai::daemons(3, .compute = profile)
  withr::defer(mirai::daemons(0, .compute = profile))
  look <- summary(src, cluster = profile, sample_rows = 300)
  look$seconds <- scan$seconds
  expect_identical(look, scan)
  there <- mash(look, s$U, cluster = profile, verbose = FALSE, n_threads = 1)
  expect_identical(bits_of_fit(there), bits)
  expect_identical(posterior_sums(there, src, cluster = profile, n_threads = 1), sums)
  # A daemon's own error has its class, and leaves the others usable.
  wrong <- source_problem(60)
  wrong$Bhat[27, 2] <- Inf
  bad <- mash_source(function(i) lapply(wrong, function(x) x[10 * i - 9:0, ]), n = 6, segment_rows = 10)
  expect_error(summary(bad, cluster = profile), "Row 7 of `x`\\(3\\)", class = "covmash_error_source")
  local({
    daemon <- mirai::mirai(Sys.getpid(), .compute = profile)[]
    local_event(23, function() tools::pskill(daemon, 9))
    lost <- with_lost(mash(look, s$U, cluster = profile, verbose = FALSE, n_threads = 1))
    expect_gte(lost$count, 1)
    expect_identical(bits_of_fit(lost$value), bits)
  })

  nodes <- parallel::makePSOCKcluster(2)
  withr::defer(for (k in 1:2) try(parallel::stopCluster(nodes[k]), silent = TRUE))
  expect_identical(bits_of_fit(mash(scan, s$U, cluster = nodes, verbose = FALSE, n_threads = 1)), bits)
  file <- withr::local_tempfile()
  local({
    local_event(14, function() stop("power cut"), every = 0)
    expect_error(mash(scan, s$U, cluster = nodes[1], checkpoint = file, verbose = FALSE), "power cut")
  })
  resumed <- mash(scan, s$U, cluster = profile, checkpoint = file, verbose = FALSE)
  expect_identical(bits_of_fit(resumed), bits)
})

# ---- what goes wrong -----------------------------------------------------------

test_that("a file that changed is told, between look and fit and between two passes", {
  skip_if_not_installed("nanoparquet")
  p <- stream_problem(J = 2000)
  folder <- withr::local_tempfile()
  write_source(stream_data(p), folder, rows_per_file = 700)
  src <- mash_source(folder, segment_rows = 500)
  scan <- summary(src, sample_rows = 200, n_threads = 1)
  U <- few_matrices(stream_data(p))
  path <- src$files$path[3]
  time <- file.mtime(path)
  # A number, with the size and the time of the file as they were.
  change <- function() {
    table <- nanoparquet::read_parquet(path)
    table$bhat_c1[3] <- 5 - table$bhat_c1[3]
    nanoparquet::write_parquet(table, path)
    Sys.setFileTime(path, time)
  }
  original <- readBin(path, "raw", 1e6)
  back <- function() {
    writeBin(original, path)
    Sys.setFileTime(path, time)
  }
  back()
  local({
    local_event(6, change)
    error <- expect_error(
      mash(scan, U, verbose = FALSE), "Segment 3: .*not what they were", class = "covmash_error_changed"
    )
    expect_s3_class(error, "covmash_error_source")
  })
  skip_if(file.size(path) != length(original), "the changed file has another size")
  expect_error(mash(scan, U, verbose = FALSE), class = "covmash_error_changed")
  # The look that a checkpoint has is not that of these numbers either.
  back()
  file <- withr::local_tempfile()
  mash(src, U, checkpoint = file, verbose = FALSE)
  change()
  unlink(file)
  expect_error(mash(src, U, checkpoint = file, verbose = FALSE), "another checkpoint", class = "covmash_error_changed")
  Sys.setFileTime(path, time + 100)
  expect_error(mash(scan, U, verbose = FALSE), "has changed", class = "covmash_error_source")
  unlink(path)
  expect_error(mash(scan, U, verbose = FALSE), "no longer there", class = "covmash_error_source")
})

test_that("checkpoints of something else, or damaged, are refused", {
  s <- stream_study()
  file <- withr::local_tempfile()
  fit <- function(data = s$scan, ...) {
    args <- list(data, Ulist = s$U, checkpoint = file, verbose = FALSE, n_threads = 1)
    given <- list(...)
    args[names(given)] <- given
    do.call(mash, args)
  }
  fit()
  whole <- readRDS(file)
  other <- stream_problem(J = 500, R = 6)
  refuse <- function(expr, words) expect_error(expr, words, class = "covmash_error_checkpoint")
  refuse(fit(summary(s$src, sample_rows = 301, n_threads = 1)), "another fit")
  refuse(fit(stream_source(other)), "another fit")
  refuse(fit(Ulist = s$U[-1]), "another fit")
  refuse(fit(nullweight = 3), "another fit")
  refuse(fit(control = list(tol = 1e-6)), "another fit")
  refuse(fit(start = s$fit), "another fit")
  expect_identical(readRDS(file), whole)

  content <- whole_content(file)
  original <- content
  put <- function(content) write_kept(content, file)
  content$isa <- "other"
  put(content)
  refuse(fit(), "instruction set other")
  content <- original
  content$digest <- "other"
  put(content)
  refuse(fit(), "another fit")
  # Answers that would be believed.
  kept <- whole
  at <- length(kept$content) - 1000
  kept$content[at] <- xor(kept$content[at], as.raw(1))
  saveRDS(kept, file)
  refuse(fit(), "damaged")
  bytes <- serialize(whole, NULL)
  for (one in list(bytes[seq_len(length(bytes) / 2)], as.raw(0:9), raw(), serialize(1:3, NULL))) {
    writeBin(one, file)
    refuse(fit(), "damaged")
  }
  # Of the right kind, but answers to other questions: the core refuses them.
  content <- original
  content$rounds[[2]]$gradient <- 1
  put(content)
  expect_error(fit(), "not one to the query", class = "covmash_error")
  # A look that is damaged is made again.
  unlink(file)
  writeLines("x", paste0(file, ".scan"))
  fit(s$src)
  expect_true(is_scan(whole_content(paste0(file, ".scan"))))

  for (bad in list(3, NA_character_, "", c("a", "b"))) {
    expect_error(fit(checkpoint = bad), "must be the path", class = "covmash_error_argument")
  }
  expect_error(fit(checkpoint = tempdir()), "is a folder", class = "covmash_error_argument")
  expect_error(fit(checkpoint = file.path(file, "x", "y")), "does not exist", class = "covmash_error_argument")
  # No room, or no right to: what was there stays.
  put(original)
  before <- readBin(file, "raw", 1e6)
  expect_error(write_kept(stop("no room"), file), "cannot be written", class = "covmash_error_checkpoint")
  expect_identical(readBin(file, "raw", 1e6), before)
})

test_that("arguments that sources have no use for are refused", {
  s <- stream_study()
  refuse <- function(..., words = NULL, class = "covmash_error_argument", data = s$scan) {
    expect_error(mash(data, ..., verbose = FALSE), words, class = class)
  }
  refuse(s$U, outputlevel = 2, words = "`outputlevel`.*mash_posterior")
  refuse(s$U, A = diag(6), words = "`A`.*mash_posterior")
  refuse(s$U, posterior_samples = 10, words = "`posterior_samples`")
  refuse(s$U, output_lfdr = TRUE, words = "`output_lfdr`")
  refuse(s$U, pi_thresh = 0.1, words = "`pi_thresh`")
  refuse(s$U, seed = 1, words = "`seed`")
  refuse(s$U, weights = rep(1, 2500), words = "`weights`")
  refuse(s$U, optmethod = "mixSQP", words = "`optmethod`.*newton")
  refuse(s$U, algorithm.version = "C", words = "algorithm.version")
  refuse(s$U, explain = NA, words = "`explain`")
  refuse(s$U, fixg = NA, words = "`fixg`")
  refuse(s$U, n_threads = 0, class = "covmash_error_threads")
  refuse(s$U, cluster = 3, words = "`cluster`", class = "covmash_error_cluster")
  refuse(class = "covmash_error_ulist")
  refuse(list(a = diag(3)), class = "covmash_error_ulist")
  refuse(s$U, start = 1:3, words = "`start`")
  refuse(s$U, prior = 1:3, class = "covmash_error_prior")
  refuse(fixg = TRUE, words = "needs `g`", class = "covmash_error_g")
  refuse(s$U, g = s$fit, words = "`Ulist` cannot", class = "covmash_error_g")
  refuse(g = s$fit, grid = 1, words = "`grid` cannot", class = "covmash_error_g")
  refuse(g = s$fit, fixg = TRUE, prior = "uniform", words = "`prior` has no use", class = "covmash_error_g")
  refuse(g = s$fit, fixg = TRUE, start = s$fit, words = "`start` has no use", class = "covmash_error_g")
  refuse(g = s$fit, usepointmass = FALSE, class = "covmash_error_g")
  g <- s$fit
  g$fitted_g$Ulist <- lapply(g$fitted_g$Ulist, function(U) U[6:1, 6:1])
  refuse(g = g, words = "same order", class = "covmash_error_names")
  g <- s$fit
  g$alpha <- 1
  refuse(g = g, class = "covmash_error_alpha")
  expect_warning(
    fit <- mash(s$scan, s$U, control = list(max_iter = 2), verbose = FALSE), "2 iterations",
    class = "covmash_warning_convergence"
  )
  expect_false(fit$convergence$converged)

  for (name in c("cluster", "checkpoint")) {
    args <- c(list(s$data, s$U, verbose = FALSE), stats::setNames(list("x"), name))
    expect_error(do.call(mash, args), paste0("`", name, "` is for data in a source"), class = "covmash_error_argument")
  }
  expect_error(mash(s$data, s$U, explain = TRUE, verbose = FALSE), "`explain`", class = "covmash_error_argument")
  expect_error(cov_pca(s$scan, 2), class = "covmash_error_data")
  skip_if_not_installed("mirai")
  refuse(s$U, cluster = "covmash-nobody", words = "has no daemons", class = "covmash_error_cluster")
})

test_that("mash() says what it does", {
  s <- stream_study()
  said <- capture.output(fit <- mash(s$src, s$U, n_threads = 1), type = "message")
  expect_match(said, "Looking through 2500 effects", all = FALSE)
  expect_match(said, "to 2500 effects x 6 conditions in 5 segments", all = FALSE)
  expect_match(said, "^Pass 1: objective -[0-9.]+, largest KKT violation", all = FALSE)
  expect_silent(mash(s$src, s$U, n_threads = 1, verbose = FALSE))
})

# ---- what else takes a fit -----------------------------------------------------

test_that("a fit tells about itself", {
  s <- stream_study()
  fit <- s$fit
  shown <- paste(capture.output(print(fit), print(summary(fit))), collapse = "\n")
  expect_match(shown, "time: +[0-9.]+ s \\(weights [0-9.]+ s\\)")
  expect_no_match(shown, "NA s|NULL")
  expect_match(shown, "20 rows with nothing observed")
  expect_identical(nobs(fit), 2480L)
  expect_identical(attr(logLik(fit), "nobs"), 2480L)
  expect_identical(as.numeric(logLik(fit)), fit$loglik)
  expect_equal(sum(get_estimated_pi(fit)), 1)
  one_line <- glance(fit)
  expect_identical(one_line$nobs, 2480L)
  expect_identical(one_line$n_significant, NA_integer_)
  expect_identical(dim(one_line), c(1L, 9L))
  expect_identical(fit$source$passes$pass, seq_len(fit$convergence$iterations))
  expect_equal(utils::tail(fit$source$passes$objective, 1), fit$convergence$objective)
  other <- mash(s$scan, s$U, verbose = FALSE, n_threads = 2)
  expect_true(all.equal(fit, other))
  expect_false(isTRUE(all.equal(fit, mash(s$scan, s$U, prior = "uniform", verbose = FALSE))))
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  expect_identical(readRDS(file), fit)
})

test_that("a fit of a source is a prior for data in memory", {
  s <- stream_study()
  rows <- c(7, 2000, 3)
  of_source <- mash_compute_posterior_matrices(s$fit, s$src[rows], n_threads = 1)
  expect_identical(predict(s$fit, s$data[rows, ], n_threads = 1), of_source)
  again <- mash(s$data, g = s$fit, fixg = TRUE, verbose = FALSE, n_threads = 1)
  expect_identical(again$fitted_g, s$fit$fitted_g)
  expect_null(again$source)
  expect_s3_class(diagnose(s$fit, s$data[1:1500, ]), "mash_findings")
  expect_s3_class(diagnose(s$fit, s$scan$sample), "mash_findings")
  expect_identical(nrow(get_posterior_weights(s$fit, data = s$data[rows, ])), 3L)
  expect_identical(dim(get_log10bf(s$fit, s$data[rows, ], by = "matrix")), c(3L, length(s$U)))
  skip_if_not_installed("ggplot2")
  expect_s3_class(ggplot2::autoplot(s$fit), "ggplot")
})

test_that("what needs results of effects says that there are none, and what to do", {
  fit <- stream_study()$fit
  for (f in list(get_pm, get_lfsr, get_significant_results, get_pairwise_sharing, tidy, as.data.frame)) {
    expect_error(f(fit), "fit of a source.*mash_posterior\\(\\)", class = "covmash_error_fit")
  }
  expect_error(get_posterior_weights(fit), "give `data`", class = "covmash_error_fit")
  expect_error(get_log10bf(fit), "src\\[rows\\]", class = "covmash_error_fit")
  expect_identical(predict(fit), list())
})
