# How long functions go without hearing an interrupt.
#
#   Rscript tests/limits/interrupts.R [pattern of cases] [largest seconds a case may run, 40] [scale of sizes, 1 and 2]
#
# Each case runs in a process of its own, which is sent SIGINT every 0.3 s, notes when it heard, and goes on where it
# was. So one run gives the longest delay anywhere in a call, not that at one moment. A case that runs for longer than
# the limit is ended; what it heard until then counts. Exit status 1 if a delay is above one second.

random_U <- "crossprod(matrix(rnorm(R * R), R)) / R"
cases <- list(
  # name = c(what is made beforehand, what is measured); n is the scale.
  mash_set_data = c("x <- matrix(rnorm(2e6 * n * 30), ncol = 30)", "mash_set_data(x, abs(x) + 1)"),
  mash_set_data_alpha = c("x <- matrix(rnorm(2e6 * n * 30), ncol = 30)", "mash_set_data(x, abs(x) + 1, alpha = 1)"),
  mash_set_data_missing = c(
    "x <- matrix(rnorm(2e6 * n * 30), ncol = 30); s <- abs(x) + 1; x[seq(1, length(x), 7)] <- NA", "mash_set_data(x, s)"
  ),
  mash_set_data_V = c("R <- 1200 * n; x <- matrix(rnorm(50 * R), 50); V <- cov2cor(U)", "mash_set_data(x, 1, V = V)"),
  mash_dense = c(
    "R <- 1200 * n; d <- mash_set_data(matrix(rnorm(50 * R), 50), 1)", "mash(d, list(U = U), verbose = FALSE)"
  ),
  mash_dense_V = c(
    "R <- 1200 * n; d <- mash_set_data(matrix(rnorm(50 * R), 50), 1, V = 0.5 + diag(0.5, R))",
    "mash(d, list(U = U), verbose = FALSE)"
  ),
  mash_dense_rows = c(
    "R <- 1200 * n; x <- matrix(rnorm(50 * R), 50); d <- mash_set_data(x, abs(x) + 1)",
    "mash(d, list(U = U), verbose = FALSE)"
  ),
  mash_missing = c(
    "R <- 1200 * n; x <- matrix(rnorm(50 * R), 50); x[runif(length(x)) < 0.1] <- NA; d <- mash_set_data(x, 1)",
    "mash(d, list(U = U), verbose = FALSE)"
  ),
  mash_many = c(
    "d <- mash_set_data(matrix(rnorm(1e6 * n * 5), ncol = 5), 1)", "mash(d, cov_canonical(d), verbose = FALSE)"
  ),
  mash_1by1 = c("d <- mash_set_data(matrix(rnorm(50 * 1200 * n), 50), 1)", "mash_1by1(d)"),
  mash_1by1_long = c("d <- mash_set_data(matrix(rnorm(1e6 * n * 10), ncol = 10), 1)", "mash_1by1(d)"),
  cov_canonical = c("d <- mash_set_data(matrix(rnorm(50 * 400 * n), 50), 1)", "cov_canonical(d)"),
  cov_ed = c(
    "d <- mash_set_data(matrix(rnorm(1e6 * n * 10), ncol = 10), 1)", "cov_ed(d, cov_pca(d, 3), maxiter = 3)"
  ),
  cov_ed_wide = c(
    "R <- 1200 * n; d <- mash_set_data(matrix(rnorm(1500 * R), 1500), 1)", "cov_ed(d, list(U = U), maxiter = 2)"
  ),
  cov_ed_teem = c(
    "R <- 1200 * n; d <- mash_set_data(matrix(rnorm(1500 * R), 1500), 1)",
    "cov_ed(d, list(U = U), algorithm = 'teem', maxiter = 2)"
  ),
  cov_ed_missing = c(
    "x <- matrix(rnorm(2e5 * n * 30), ncol = 30); x[runif(length(x)) < 0.1] <- NA; d <- mash_set_data(x, 1)",
    "cov_ed(d, list(one = diag(30)), maxiter = 2)"
  ),
  cov_pca_wide = c("d <- mash_set_data(matrix(rnorm(5000 * 1200 * n), 5000), 1)", "cov_pca(d, 5)"),
  cov_pca_wide_missing = c(
    "x <- matrix(rnorm(5000 * 1200 * n), 5000); x[1:5, ] <- NA; d <- suppressWarnings(mash_set_data(x, 1))", "cov_pca(d, 5)"
  ),
  cov_pca_long = c("d <- mash_set_data(matrix(rnorm(2e6 * n * 30), ncol = 30), 1)", "cov_pca(d, 5)"),
  sharing = c(
    "x <- matrix(rnorm(1e6 * n * 10), ncol = 10); m <- structure(list(result = list(PosteriorMean = x, lfsr = abs(x) / 9)), class = 'mash')",
    "get_pairwise_sharing(m)"
  ),
  sharing_wide = c(
    "x <- matrix(rnorm(2e4 * n * 200), ncol = 200); m <- structure(list(result = list(PosteriorMean = x, lfsr = abs(x) / 9)), class = 'mash')",
    "get_pairwise_sharing(m)"
  ),
  significant = c(
    "x <- matrix(runif(1e7 * n * 5), ncol = 5); m <- structure(list(result = list(PosteriorMean = x, lfsr = x)), class = 'mash')",
    "get_significant_results(m, 0.9)"
  ),
  n_significant = c(
    "x <- matrix(runif(1e7 * n * 5), ncol = 5); m <- structure(list(result = list(PosteriorMean = x, lfsr = x)), class = 'mash')",
    "get_n_significant_conditions(m)"
  ),
  simple_sims = c("", "simple_sims(5e5 * n)"),
  simple_sims2 = c("", "simple_sims2(1e6 * n)"),
  fit_factor = c("x <- matrix(rnorm(2000 * 1000 * n), 2000)", "fit_factor_model(x, 5)"),
  fit_factor_long = c("x <- matrix(rnorm(1e5 * n * 200), ncol = 200)", "fit_factor_model(x, 5)"),
  fit_factor_missing = c(
    "x <- matrix(rnorm(1000 * n * 300), ncol = 300); x[runif(length(x)) < 0.1] <- NA", "fit_factor_model(x, 5)"
  ),
  fit_factor_pca = c("x <- matrix(rnorm(2000 * 1000 * n), 2000)", "fit_factor_model(x, 5, method = 'pca')"),
  fit_factor_covariance = c("R <- 1200 * n", "fit_factor_model(U, 3, n_samples = 5000)"),
  select_n_factors = c("x <- matrix(rnorm(500 * 300 * n), 500)", "select_n_factors(x, 5)"),
  network = c(
    "N <- 2e4 * n; S <- factor_covariance(matrix(rnorm(N * 50), N), D = rep(1, N))",
    "partial_correlation_network(S, 0.2)"
  ),
  precision = c(
    "N <- 4e4 * n; S <- factor_covariance(matrix(rnorm(N * 500), N), D = rep(1, N))", "precision(S)"
  ),
  eigenvalues = c(
    "N <- 6000 * n; S <- factor_covariance(matrix(rnorm(N * 50), N), D = runif(N))", "eigenvalues(S)"
  ),
  log_density = c(
    "N <- 100; S <- factor_covariance(matrix(rnorm(N * 5), N), D = runif(N)); x <- matrix(rnorm(2e4 * n * N), ncol = N)",
    "log_density(x, S)"
  ),
  log_density_missing = c(
    paste(
      "N <- 100; S <- factor_covariance(matrix(rnorm(N * 5), N), D = runif(N)); x <- matrix(rnorm(2e4 * n * N), ncol = N);",
      "x[runif(length(x)) < 0.1] <- NA"
    ),
    "log_density(x, S)"
  ),
  check_covariance = c("R <- 1200 * n", "check_covariance(U)"),
  nearest_covariance = c("R <- 600 * n; W <- U - diag(0.5, R)", "nearest_covariance(W, keep_diag = TRUE)")
)

child <- "
suppressPackageStartupMessages(library(covmash))
set.seed(1)
n <- %s
%s
note <- function(what) cat(what, format(as.numeric(Sys.time()), digits = 16), '\\n', file = '%s', append = TRUE)
note('ready')
tryCatch(
  withCallingHandlers({ suppressWarnings(%s); note('done') },
    interrupt = function(cnd) { note('heard'); tryInvokeRestart('resume') }),
  interrupt = function(cnd) note('done'),
  error = function(cnd) { note('error'); writeLines(conditionMessage(cnd)) })
"

# The delays of one case, and how long the call took.
measure <- function(name, scale, limit) {
  case <- cases[[name]]
  log <- tempfile("interrupts")
  script <- tempfile(fileext = ".R")
  file.create(log)
  setup <- case[1]
  if (grepl("\\bU\\b", paste(case, collapse = " "))) {
    setup <- if (grepl("R <- [^;]*;", setup)) {
      sub("(R <- [^;]*;)", paste0("\\1 U <- ", random_U, ";"), setup)
    } else {
      paste0(setup, "; U <- ", random_U)
    }
  }
  writeLines(sprintf(child, format(scale), setup, log, case[2]), script)
  pid_file <- tempfile("pid")
  command <- paste0(shQuote(file.path(R.home("bin"), "Rscript")), " --no-init-file ", shQuote(script), " > ",
                    shQuote(paste0(log, ".out")), " 2>&1 & echo $! > ", shQuote(pid_file))
  system(command)
  pid <- as.integer(readLines(pid_file))
  now <- function() as.numeric(Sys.time())
  notes <- function() {
    lines <- readLines(log, warn = FALSE)
    parts <- strsplit(trimws(lines), " ")
    data.frame(what = vapply(parts, `[`, "", 1L), at = as.numeric(vapply(parts, `[`, "", 2L)))
  }
  alive <- function() tools::pskill(pid, 0L)
  while (alive() && nrow(notes()) == 0L) Sys.sleep(0.05)
  started <- now()
  delays <- moments <- numeric()
  ended <- "stopped"
  repeat {
    Sys.sleep(0.3)
    seen <- notes()
    if (any(seen$what %in% c("done", "error"))) {
      ended <- seen$what[nrow(seen)]
      break
    }
    if (!alive()) {
      ended <- "died"
      break
    }
    if (now() - started > limit) break
    sent <- now()
    heard <- sum(seen$what == "heard")
    tools::pskill(pid, tools::SIGINT)
    repeat {
      Sys.sleep(0.01)
      seen <- notes()
      if (sum(seen$what == "heard") > heard || any(seen$what %in% c("done", "error")) || !alive()) break
      if (now() - sent > limit) break
    }
    at <- if (nrow(seen)) max(seen$at) else now()
    if (sum(seen$what == "heard") == heard && !any(seen$what == "done")) at <- now()
    delays <- c(delays, at - sent)
    moments <- c(moments, sent - started)
  }
  if (alive()) tools::pskill(pid, tools::SIGKILL)
  seen <- notes()
  if (nrow(seen) == 0L) stop("the case '", name, "' did not begin: ", paste(readLines(paste0(log, ".out")), collapse = "; "))
  worst <- if (length(delays)) which.max(delays) else NA
  data.frame(
    case = name, scale = scale, seconds = round(max(seen$at) - started, 1), ended = ended, signals = length(delays),
    longest = round(if (is.na(worst)) 0 else delays[worst], 2), at = round(if (is.na(worst)) 0 else moments[worst], 1)
  )
}

arguments <- commandArgs(TRUE)
pattern <- if (length(arguments) > 0) arguments[1] else ""
limit <- if (length(arguments) > 1) as.numeric(arguments[2]) else 40
scales <- if (length(arguments) > 2) as.numeric(strsplit(arguments[3], ",")[[1]]) else c(1, 2)
cat("| case | scale | seconds | ended | signals | longest delay (s) | at (s) |\n|---|---|---|---|---|---|---|\n")
largest <- 0
for (name in grep(pattern, names(cases), value = TRUE)) {
  for (scale in scales) {
    row <- measure(name, scale, limit)
    largest <- max(largest, row$longest)
    cat("|", paste(unlist(lapply(row, as.character)), collapse = " | "), "|\n")
  }
}
quit(status = as.integer(largest > 1))
