# covmash against mashr on random, well-conditioned problems under the same prior: every combination of error correlations
# (one, or one for each effect), alpha, standard errors, contrasts, linear combinations. mashr's R version is asked where its
# compiled one refuses, and where it is known to be wrong.
#
#   Rscript tests/peers/random.R [DIR]
#
# Writes DIR/random.md (DIR: _build/peers). Exit status 1 if anything differs by more than 1e-8.

suppressPackageStartupMessages(library(covmash))
source(file.path("tests", "peers", "source.R"))
out <- output_directory()
quiet <- function(x) {
  utils::capture.output(value <- suppressMessages(suppressWarnings(x)))
  value
}

random_correlation <- function(R) stats::cov2cor(stats::rWishart(1, R + 10, diag(R))[, , 1])

random_prior <- function(R) {
  U <- list(id = diag(R), equal = matrix(1, R, R), one = tcrossprod(stats::rnorm(R)), full = random_correlation(R))
  grid <- c(0.5, 1.5)
  pi <- stats::rexp(1 + length(U) * length(grid))
  list(pi = pi / sum(pi), Ulist = U, grid = grid, usepointmass = TRUE)
}

# A data set of each package from the same numbers.
make_data <- function(package, x, case) {
  ns <- asNamespace(package)
  args <- list(x$Bhat, alpha = case$alpha, V = if (case$V == "array") x$array else x$V)
  if (case$errors == "pval") {
    args$pval <- 2 * stats::pnorm(-abs(x$Bhat / x$Shat))
  } else {
    args$Shat <- x$Shat
  }
  if (case$errors == "df") args$df <- 7
  data <- do.call(ns$mash_set_data, args)
  if (case$ref == "none") data else ns$mash_update_data(data, ref = if (case$ref == "mean") "mean" else 2)
}

largest_difference <- function(ours, theirs) {
  if (is.null(ours) || is.null(theirs)) return(NA)
  max(abs(as.vector(ours) - as.vector(theirs)) / pmax(1, abs(as.vector(theirs))))
}

compare <- function(case, seed) {
  set.seed(seed)
  R <- 4
  J <- 25
  x <- list(
    Bhat = matrix(stats::rnorm(J * R, 0, 2), J, R, dimnames = list(NULL, letters[1:R])), V = random_correlation(R),
    array = simplify2array(lapply(seq_len(J), function(j) random_correlation(R)))
  )
  x$Shat <- if (case$errors == "equal") matrix(0.8, J, R) else matrix(stats::runif(J * R, 0.5, 1.5), J, R)
  theirs <- quiet(make_data("mashr", x, case))
  ours <- quiet(make_data("covmash", x, case))
  n <- ncol(ours$Bhat)
  g <- random_prior(n)
  A <- if (case$A) matrix(stats::rnorm(2 * (if (case$ref == "mean") R else n)), 2, dimnames = list(c("u", "v"), NULL))
  fit <- function(package, data, ...) {
    quiet(asNamespace(package)$mash(data, g = g, fixg = TRUE, A = A, outputlevel = 3, output_lfdr = TRUE, verbose = FALSE, ...))
  }
  a <- fit("covmash", ours)
  b <- fit("mashr", theirs, algorithm.version = "R")
  parts <- c("PosteriorMean", "PosteriorSD", "NegativeProb", "lfsr", "lfdr", "PosteriorCov")
  c(
    vloglik = largest_difference(a$vloglik, b$vloglik),
    vapply(parts, function(p) largest_difference(a$result[[p]], b$result[[p]]), 0)
  )
}

cases <- expand.grid(
  V = c("one", "array"), alpha = c(0, 0.5, 1), errors = c("equal", "vary", "df", "pval"), ref = c("none", "condition", "mean"),
  A = c(FALSE, TRUE), stringsAsFactors = FALSE
)
results <- lapply(seq_len(nrow(cases)), function(i) {
  tryCatch(compare(cases[i, ], i), error = function(e) conditionMessage(e))
})
failed <- vapply(results, is.character, NA)
text <- c(
  paste0("# covmash against mashr ", utils::packageVersion("mashr"), ": ", nrow(cases), " random problems of 25 effects x 4 conditions"), "",
  "Largest difference, relative where a number is above 1.", "",
  "| V | alpha | standard errors | contrasts | A | log-likelihoods | mean | sd | NegativeProb | lfsr | lfdr | covariance |",
  "|---|---|---|---|---|---|---|---|---|---|---|---|",
  vapply(seq_len(nrow(cases)), function(i) {
    start <- paste("|", paste(unlist(lapply(cases[i, ], format)), collapse = " | "), "|")
    if (failed[i]) paste(start, results[[i]], "|") else paste(start, paste(sprintf("%.1e", results[[i]]), collapse = " | "), "|")
  }, "")
)
writeLines(text, file.path(out, "random.md"))
cat(text, sep = "\n")
worst <- max(unlist(results[!failed]), na.rm = TRUE)
cat(nrow(cases), "problems,", sum(failed), "failed, largest difference", format(worst), "\n")
if (any(failed) || worst > 1e-8) quit(status = 1)
