# What happens when memory runs out: Linux with prlimit (util-linux).
#
#   Rscript tests/limits/memory.R [pattern of cases] [megabytes left, 64]
#
# Each case runs in a process of its own, whose address space is limited, once its data are there, to a little more
# than what is in use. The call has to end in an error of class covmash_error_memory, and the session has to be usable
# afterwards: the limit is lifted, and a small call gives what it gives elsewhere. Exit status 1 if a case does not.

cases <- list(
  # The work of each needs at least 300 MB.
  mash = c(
    "d <- mash_set_data(matrix(rnorm(2e5 * 44), ncol = 44), 1); U <- cov_canonical(d)",
    "mash(d, U, verbose = FALSE, n_threads = threads)"
  ),
  mash_rows = c(
    "d <- mash_set_data(matrix(rnorm(2e5 * 44), ncol = 44), matrix(runif(2e5 * 44, 1, 2), ncol = 44)); U <- cov_canonical(d)",
    "mash(d, U, verbose = FALSE, n_threads = threads)"
  ),
  mash_wide = c(
    "R <- 1200; d <- mash_set_data(matrix(rnorm(50 * R), 50), 1); U <- list(U = crossprod(matrix(rnorm(R * R), R)) / R)",
    "mash(d, U, verbose = FALSE, n_threads = threads)"
  ),
  mash_1by1 = c("d <- mash_set_data(matrix(rnorm(5e5 * 20), ncol = 20), 1)", "mash_1by1(d, n_threads = threads)"),
  mash_set_data = c("x <- matrix(rnorm(5e5 * 20), ncol = 20)", "mash_set_data(x, abs(x) + 1, alpha = 1)"),
  cov_ed = c(
    "d <- mash_set_data(matrix(rnorm(8e5 * 50), ncol = 50), 1); U <- list(U = diag(50))",
    "cov_ed(d, U, maxiter = 2, n_threads = threads)"
  ),
  cov_pca = c("d <- mash_set_data(matrix(rnorm(2000 * 3000), 2000), 1)", "cov_pca(d, 5, n_threads = threads)"),
  fit_factor_model = c("x <- matrix(rnorm(7000 * 6000), 7000)", "fit_factor_model(x, 5, n_threads = threads)"),
  fit_factor_missing = c(
    "x <- matrix(rnorm(40000 * 1000), 40000); x[cbind(1:40000, 1:1000)] <- NA",
    "fit_factor_model(x, 5, n_threads = threads)"
  ),
  network = c(
    "N <- 60000; S <- factor_covariance(matrix(rnorm(N * 500), N), D = rep(1, N))",
    "partial_correlation_network(S, 0.5, n_threads = threads)"
  ),
  network_edges = c(
    "N <- 6000; S <- factor_covariance(cbind(rnorm(N, 5)), D = rep(1e5, N))",
    "partial_correlation_network(S, 1e-9, max_edges = 1e9, n_threads = threads)"
  )
)

child <- "
suppressPackageStartupMessages(library(covmash))
set.seed(1)
threads <- %d
small <- function() {
  set.seed(2)
  d <- mash_set_data(matrix(rnorm(2000), 400), 1)
  mash(d, cov_canonical(d), verbose = FALSE, n_threads = 2)$loglik
}
before <- small()
%s
invisible(gc())
size <- as.numeric(sub('[^0-9]*([0-9]+).*', '\\\\1', grep('^VmSize', readLines('/proc/self/status'), value = TRUE)))
limit <- function(bytes) system2('prlimit', c('--pid', Sys.getpid(), paste0('--as=', bytes, ':')))
limit(format(size * 1024 + %g * 2^20, scientific = FALSE))
n_threads <- function() as.numeric(sub('[^0-9]*', '', grep('^Threads', readLines('/proc/self/status'), value = TRUE)))
running <- n_threads()
error <- tryCatch({ %s; NULL }, error = identity)
within <- tryCatch(small(), error = identity)
limit('unlimited')
stopifnot('threads are left' = n_threads() <= running)
cat(if (is.null(error)) 'no error' else class(error)[1], '|', conditionMessage(error), '\n')
cat(if (identical(small(), before)) 'usable' else 'broken', if (identical(within, before)) 'within the limit too', '\n')
"

run <- function(name, threads, megabytes) {
  script <- tempfile(fileext = ".R")
  writeLines(sprintf(child, threads, cases[[name]][1], megabytes, cases[[name]][2]), script)
  out <- suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), shQuote(script), stdout = TRUE, stderr = TRUE))
  status <- attr(out, "status")
  good <- is.null(status) && any(startsWith(out, "covmash_error_memory")) && any(startsWith(out, "usable"))
  cat("|", name, "|", threads, "|", if (good) "yes" else "NO", "|", paste(out, collapse = "; "), "|\n")
  good
}

arguments <- commandArgs(TRUE)
pattern <- if (length(arguments) > 0) arguments[1] else ""
megabytes <- if (length(arguments) > 1) as.numeric(arguments[2]) else 64
cat("| case | threads | as it should be | what it said |\n|---|---|---|---|\n")
all_good <- TRUE
for (name in grep(pattern, names(cases), value = TRUE)) {
  for (threads in 1:2) all_good <- run(name, threads, megabytes) && all_good
}
quit(status = as.integer(!all_good))
