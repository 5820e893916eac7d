# What mash_cost() predicts from one segment, beside what the whole took: seconds of the scan, of one pass and of the
# posterior, on one thread.
#
#   Rscript bench/cost.R [--threads=1] [--dir=DIR]
#
# Needs nanoparquet, 1.5 GB of disk in the temporary folder (or DIR), and about four minutes of a machine that does
# nothing else.

library(covmash)
given <- commandArgs(TRUE)
option <- function(name, default) {
  hit <- grep(paste0("^--", name, "="), given, value = TRUE)
  if (length(hit)) sub("^[^=]*=", "", hit) else default
}
threads <- as.integer(option("threads", 1))
room <- option("dir", tempfile("cost"))
dir.create(room, FALSE, TRUE)
options(covmash.progress = FALSE)

# A fifth of the rows has effects, shared by all conditions or by some. own: standard errors of each row's own, a tenth
# of the entries missing.
problem <- function(J, R, own) {
  set.seed(1)
  has <- runif(J) < 0.2
  size <- rnorm(J, 0, 3) * has
  B <- matrix(rnorm(J * R), J) + size * matrix(runif(3 * R) < 0.6, 3)[sample.int(3, J, TRUE), ]
  colnames(B) <- paste0("c", seq_len(R))
  if (!own) {
    return(mash_set_data(B))
  }
  S <- matrix(runif(J * R, 0.5, 1.5), J)
  B <- B * S
  B[sample.int(J * R, J * R %/% 10)] <- NA
  suppressWarnings(mash_set_data(B, S))
}

elapsed_of <- function(expr) system.time(expr)[["elapsed"]]

compare <- function(J, R, own) {
  home <- file.path(room, paste0("source-", J, "-", R))
  data <- problem(J, R, own)
  # Several segments, of whole files.
  size <- if (R > 20) 2^15 else 2^17
  write_source(data, home, rows_per_file = size, overwrite = TRUE)
  rm(data)
  src <- mash_source(home, segment_rows = size)
  U <- suppressMessages(c(cov_canonical(src), cov_pca(src, min(R, 5))))
  cost <- mash_cost(src, U, cores = threads, n_threads = threads)
  row <- cost$per_row
  look <- NULL
  scan <- elapsed_of(look <- summary(src, n_threads = threads))
  fit <- mash(look, U, n_threads = threads, verbose = FALSE)
  passes <- fit$source$passes
  pass <- stats::median(passes$reading + passes$computing)
  out <- file.path(room, "out")
  posterior <- elapsed_of(mash_posterior(src, fit, out, n_threads = threads, overwrite = TRUE))
  written <- sum(file.size(list.files(out, "[.]parquet$", full.names = TRUE)))
  known <- cost$predicted
  data.frame(
    data = paste0(format(J, scientific = FALSE), " x ", R, if (own) ", own Shat"), components = cost$n_components,
    what = c("scan, s", "pass, s", "solver, s", "posterior, s", "written, MB"),
    predicted = c(
      known$scan, J * (row[["reading"]] + row[["pass"]] / threads), cost$once[["master"]] / threads, known$posterior,
      cost$bytes[["written"]] / 1e6
    ),
    measured = c(
      scan, pass, fit$timing$weights - sum(passes$reading + passes$computing), posterior,
      written / 1e6
    ),
    passes = nrow(passes)
  )
}

cases <- list(list(2.5e5, 5, FALSE), list(5e5, 5, FALSE), list(1e6, 5, FALSE), list(1e5, 44, TRUE))
results <- do.call(rbind, lapply(cases, function(case) do.call(compare, case)))
results$ratio <- results$predicted / results$measured
print(format(results, digits = 3), row.names = FALSE, right = FALSE)
main <- results$what %in% c("scan, s", "pass, s", "posterior, s")
cat(sprintf("\npredicted / measured: %.2f to %.2f\n", min(results$ratio[main]), max(results$ratio[main])))
if (!nzchar(option("dir", ""))) unlink(room, recursive = TRUE)
