# Factored covariances: seconds and memory at 20,000 genes and 50 factors, and side by side with the dense way at
# 3000 genes. Needs covmash installed.
#
#   Rscript bench/factor-models.R            prints a table; two minutes, most of them for the dense side
#   Rscript bench/factor-models.R --write    writes bench/results/factor-models.csv too
library(covmash)
set.seed(1)
threads <- 1L
write <- "--write" %in% commandArgs(TRUE)

seconds_of <- function(expr) {
  gc()
  expr <- substitute(expr)
  system.time(value <- eval.parent(expr))[["elapsed"]]
}
# The highest resident memory of this process so far, in MB; NA where the system does not say.
peak_memory <- function() {
  if (!file.exists("/proc/self/status")) return(NA_real_)
  line <- grep("^VmHWM", readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
table <- data.frame()
add <- function(N, what, factored, dense = NA_real_) {
  row <- data.frame(genes = N, what = what, factored = factored, dense = dense, ratio = dense / factored)
  table <<- rbind(table, row)
}

# ---- 20,000 genes: one after the other, nothing thrown away ----
N <- 20000
B <- matrix(rnorm(N * 50, sd = 0.1), N)
D <- runif(N, 0.01, 0.05)
before <- peak_memory()
times <- c(
  construct = seconds_of(Sigma <- factor_covariance(B, D = D)),
  solve = seconds_of(P <- solve(Sigma)),
  "log-determinant" = seconds_of(determinant(Sigma)),
  "100 draws" = seconds_of(x <- rfactor_cov(100, Sigma)),
  "log density of 100 samples" = seconds_of(log_density(x, Sigma, n_threads = threads))
)
memory <- peak_memory()
for (what in names(times)) add(N, what, times[[what]])
add(N, "all of these together", sum(times))
add(N, "correlation of one gene with all", seconds_of(correlation(Sigma, 7)))
add(N, "partial correlation of one gene with all", seconds_of(partial_correlation(Sigma, 7)))
add(N, "conditional on 100 genes", seconds_of(conditional(Sigma, setNames(rnorm(100), 1:100))))
add(N, "five leading eigenvalues", seconds_of(eigenvalues(Sigma, 5)))
add(N, "network of 2e8 pairs", seconds_of(partial_correlation_network(Sigma, 0.3, n_threads = threads)))

# ---- 3000 genes: both ways ----
rm(P, x)
N <- 3000
sim <- generate_factor_covariance(N, 50)
Sigma <- sim$Sigma
M <- as.matrix(Sigma)
x <- rfactor_cov(100, Sigma)
both <- function(what, factored, dense) add(N, what, factored, dense)
both("solve", seconds_of(P <- solve(Sigma)), seconds_of(Q <- chol2inv(chol(M))))
both("log-determinant", seconds_of(determinant(Sigma)), seconds_of(2 * sum(log(diag(chol(M))))))
both(
  "log density of 100 samples", seconds_of(a <- log_density(x, Sigma, n_threads = threads)),
  seconds_of({
    R <- chol(M)
    b <- -0.5 * (N * log(2 * pi) + 2 * sum(log(diag(R))) + colSums(backsolve(R, t(x), transpose = TRUE)^2))
  })
)
both(
  "100 draws", seconds_of(rfactor_cov(100, Sigma)),
  seconds_of(matrix(rnorm(100 * N), 100) %*% chol(M))
)
both(
  "conditional on one gene", seconds_of(u <- conditional(Sigma, c(gene_1 = 2))),
  seconds_of(v <- M[-1, -1] - tcrossprod(M[-1, 1]) / M[1, 1])
)
both("one more pathway in the inverse", seconds_of(update(P, add = sim$B[, 1])), {
  seconds_of({
    w <- Q %*% sim$B[, 1]
    Q - tcrossprod(w) / (1 + sum(w * sim$B[, 1]))
  })
})

cat("covmash", format(packageVersion("covmash")), "| instructions", covmash_info()$simd, "| BLAS", covmash_info()$blas, "\n")
print(format(table, digits = 3), row.names = FALSE)
cat(sprintf(
  "Peak memory of the process after the first five: %.0f MB (%.0f MB before them, R and the input included)\n",
  memory, before
))
cat(sprintf(
  "Both ways agree: inverse %.1e, log density %.1e, conditional %.1e (largest relative difference)\n",
  max(abs(as.matrix(P) - Q)) / max(abs(Q)), max(abs(a / b - 1)),
  max(abs(as.matrix(u$covariance) - v)) / max(abs(v))
))
if (write) write.csv(table, "bench/results/factor-models.csv", row.names = FALSE)
