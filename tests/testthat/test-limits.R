# Time limits, interrupts and memory, from outside: what has to be heard while the core runs.

limits_problem <- function(J = 2e5, R = 20) {
  withr::with_seed(5, {
    data <- mash_set_data(matrix(rnorm(J * R), J), matrix(runif(J * R, 1, 2), J))
    list(data = data, Ulist = cov_canonical(data))
  })
}

within_limit <- function(seconds, expr) {
  withr::defer(setTimeLimit())
  setTimeLimit(elapsed = seconds)
  tryCatch(expr, error = identity, interrupt = identity)
}

test_that("a time limit is R's own error, without and with threads, and the session goes on", {
  skip_on_cran()
  p <- limits_problem()
  before <- mash(p$data[1:200, ], p$Ulist, verbose = FALSE)$loglik
  for (n in 1:2) {
    printed <- utils::capture.output(
      cnd <- within_limit(0.4, mash(p$data, p$Ulist, verbose = FALSE, n_threads = n)),
      type = "message"
    )
    expect_identical(class(cnd), c("simpleError", "error", "condition"))
    expect_match(conditionMessage(cnd), gettext("reached elapsed time limit", domain = "R"))
    expect_identical(printed, character())
    expect_identical(mash(p$data[1:200, ], p$Ulist, verbose = FALSE)$loglik, before)
  }
  cnd <- within_limit(0.4, cov_ed(p$data, p$Ulist, tol = 0, maxiter = 1e6, n_threads = 2))
  expect_identical(class(cnd), c("simpleError", "error", "condition"))
})

test_that("what R code throws while the core runs arrives, with its class", {
  skip_on_cran()
  withr::local_options(covmash.progress = TRUE)
  own <- structure(list(message = "enough", call = NULL), class = c("mine", "error", "condition"))
  home <- asNamespace("covmash")
  before <- home$report_progress
  replace <- function(f) {
    unlockBinding("report_progress", home)
    assign("report_progress", f, envir = home)
    lockBinding("report_progress", home)
  }
  withr::defer(replace(before))
  replace(function(...) stop(own))
  p <- limits_problem(R = 10)
  for (n in 1:2) {
    cnd <- tryCatch(cov_ed(p$data, p$Ulist, tol = 0, maxiter = 1e6, n_threads = n), error = identity)
    expect_identical(cnd, own)
    expect_null(progress$entered)
  }
})

# Runs R code in a process of its own; `%s` stands for the call.
in_a_session <- function(code) {
  script <- withr::local_tempfile(fileext = ".R", lines = c(
    paste0(".libPaths(c(", paste(shQuote(.libPaths()), collapse = ", "), "))"),
    "suppressPackageStartupMessages(library(covmash))", code
  ))
  suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), c("--no-init-file", shQuote(script)), stdout = TRUE, stderr = TRUE))
}

test_that("an interrupt is R's own condition, heard soon", {
  skip_on_cran()
  skip_on_os("windows")
  out <- in_a_session('
    set.seed(1)
    R <- 300
    data <- mash_set_data(matrix(rnorm(2000 * R), 2000), matrix(runif(2000 * R, 1, 2), 2000))
    U <- list(U = crossprod(matrix(rnorm(R * R), R)) / R)
    for (threads in 1:2) {
      sent <- tempfile()
      system(paste0("(sleep 1; date +%s.%N > ", sent, "; kill -INT ", Sys.getpid(), ") &"))
      heard <- tryCatch(mash(data, U, verbose = FALSE, n_threads = threads), interrupt = function(cnd) class(cnd))
      delay <- as.numeric(Sys.time()) - as.numeric(readLines(sent))
      cat(class(heard)[1], heard[1], delay < 1.5, "\n")
    }
  ')
  expect_identical(trimws(out), rep("character interrupt TRUE", 2))
})

test_that("memory that runs out is an error that says what to lower, and the session goes on", {
  skip_on_cran()
  skip_if_not(identical(Sys.info()[["sysname"]], "Linux") && nzchar(Sys.which("prlimit")), "prlimit")
  skip_if(any(grepl("asan|ubsan|tsan", readLines("/proc/self/maps"))), "sanitizers need the address space")
  out <- in_a_session('
    set.seed(1)
    data <- mash_set_data(matrix(rnorm(2e5 * 44), ncol = 44), 1)
    Ulist <- cov_canonical(data)
    few <- data[1:300, ]
    before <- mash(few, Ulist, verbose = FALSE)$loglik
    invisible(gc())
    size <- as.numeric(gsub("[^0-9]", "", grep("^VmSize", readLines("/proc/self/status"), value = TRUE))) * 1024
    system2("prlimit", c("--pid", Sys.getpid(), paste0("--as=", format(size + 64 * 2^20, scientific = FALSE), ":")))
    for (threads in 1:2) {
      cnd <- tryCatch(mash(data, Ulist, verbose = FALSE, n_threads = threads), error = identity)
      cat(inherits(cnd, "covmash_error_memory"), grepl("n_threads", conditionMessage(cnd)), "\n")
      cat(identical(mash(few, Ulist, verbose = FALSE)$loglik, before), "\n")
    }
  ')
  expect_identical(trimws(out), rep(c("TRUE TRUE", "TRUE"), 2))
})

test_that("large matrices are judged and decomposed as small ones are", {
  set.seed(1)
  n <- 520
  B <- matrix(rnorm(n * n), n)
  full <- crossprod(B) / n
  low <- crossprod(B[1:10, ])
  expect_true(is_covariance(full))
  expect_true(is_covariance(low))
  expect_false(is_covariance(full - diag(0.1, n)))
  expect_true(is_positive_definite(full))
  expect_false(is_positive_definite(low))
  expect_equal(min_eigenvalue(full - diag(0.1, n)), min(eigen(full)$values) - 0.1, tolerance = 1e-10)
  parts <- symmetric_eigen(full)
  expect_equal(parts$values, eigen(full)$values, tolerance = 1e-12)
  expect_lt(max(abs(parts$vectors %*% (parts$values * t(parts$vectors)) - full)), 1e-12 * max(full))
})
