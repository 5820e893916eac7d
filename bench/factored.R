# mash() with covariances kept by their factors beside full-rank ones, where every effect has standard errors of its own:
# seconds of learning and fitting, and held-out log-likelihood an effect. Effects: three factor models of rank 3 with
# uniquenesses, at sizes 1 and 3, half of the rows null.
#
#   Rscript bench/factored.R [--out=DIR]      writes factored.csv

options(covmash.progress = FALSE)
library(covmash)
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
top <- dirname(dirname(normalizePath(gsub("~+~", " ", script, fixed = TRUE))))
given <- grep("^--out=", commandArgs(TRUE), value = TRUE)
out <- if (length(given) == 0) file.path(top, "bench", "results") else sub("^--out=", "", given[1])

draw <- function(J, R, loadings) {
  B <- matrix(0, J, R)
  kind <- sample(length(loadings), J / 2, TRUE)
  for (k in seq_along(loadings)) {
    rows <- which(kind == k)
    B[rows, ] <- matrix(stats::rnorm(length(rows) * 3), ncol = 3) %*% t(loadings[[k]]) + 0.3 * stats::rnorm(length(rows) * R)
    B[rows, ] <- B[rows, ] * sample(c(1, 3), length(rows), TRUE)
  }
  Shat <- matrix(sqrt(1 / stats::rgamma(J * R, 5, 4)), J, R)
  mash_set_data(B + Shat * stats::rnorm(J * R), Shat)
}

one <- function(J, R, seed) {
  set.seed(seed)
  loadings <- lapply(1:3, function(k) matrix(stats::rnorm(R * 3), R) / sqrt(3))
  data <- draw(J, R, loadings)
  fresh <- draw(J, R, loadings)
  strong <- get_significant_results(mash_1by1(data))
  canonical <- list(identity = diag(R), equal = matrix(1, R, R))
  do.call(rbind, lapply(c("cov_fa", "cov_fa, as dense matrices", "cov_ted"), function(method) {
    set.seed(1)
    learn <- system.time(U <- suppressWarnings(
      if (method == "cov_ted") cov_ted(data, strong, sparse = 0, max_evaluations = 200) else cov_fa(data, strong, K = 4, max_evaluations = 200)
    ))[["elapsed"]]
    if (method == "cov_fa, as dense matrices") U <- lapply(U, as.matrix)
    fitting <- system.time(fit <- mash(data, c(canonical, U), verbose = FALSE, gridmult = 2))[["elapsed"]]
    data.frame(
      effects = J, conditions = R, strong = length(strong), method = method, matrices = length(U), seconds_learning = learn, seconds_mash = fitting,
      heldout_an_effect = mash_compute_loglik(fit, fresh) / J
    )
  }))
}

table <- rbind(one(5000, 44, 1), one(2000, 200, 2))
table$heldout_an_effect <- ave(table$heldout_an_effect, table$conditions, FUN = function(x) x - x[1])
utils::write.csv(table, file.path(out, "factored.csv"), row.names = FALSE)
print(table, digits = 4)
