# Passes over the data (E-steps, steps not taken among them) that deconvolve() needs to come within 1e-5 a row of its limit,
# accelerated and plain, from one random start; and what one missing estimate, a fifth of them missing, or standard errors
# that differ cost against complete data with one noise. Writes acceleration.csv.
#
#   Rscript bench/acceleration.R [--sets=20] [--out=DIR]

options(covmash.progress = FALSE)
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
top <- dirname(dirname(normalizePath(gsub("~+~", " ", script, fixed = TRUE))))
value_of <- function(name, otherwise) {
  given <- grep(paste0("^--", name, "="), commandArgs(TRUE), value = TRUE)
  if (length(given) == 0) otherwise else sub("^[^=]*=", "", given[1])
}
sets <- as.integer(value_of("sets", "20"))
out <- value_of("out", file.path(top, "bench", "results"))

simulate <- function(seed, R, n, K, noise) {
  set.seed(seed)
  roots <- lapply(seq_len(K), function(k) chol(3 * stats::rWishart(1, R + 2, diag(R))[, , 1] / (R + 2)))
  k <- sample(K, n, TRUE)
  B <- t(vapply(seq_len(n), function(j) drop(stats::rnorm(R) %*% roots[[k[j]]]) * sample(c(1, 3, 6), 1) / 2, numeric(R)))
  S <- matrix(if (noise == "varying") stats::runif(n * R, 0.7, 1.3) else 1, n, R)
  Bhat <- B + S * matrix(stats::rnorm(n * R), n)
  if (noise == "one missing") Bhat[1, 1] <- NA
  if (noise == "fifth missing") {
    away <- matrix(stats::runif(n * R) < 0.2, n)
    away[cbind(seq_len(n), sample(R, n, TRUE))] <- FALSE
    Bhat[away] <- NA
  }
  covmash::mash_set_data(Bhat, S)
}

# The same start for all: drawn for the complete data.
run <- function(data, start, accelerate) {
  prepared <- covmash:::prepare_deconvolution(
    data, n_full = length(start), start = start, accelerate = accelerate, tol = 1e-9, max_evaluations = 6000, n_threads = 1
  )
  started <- proc.time()[[3]]
  fit <- covmash:::cpp_deconvolve(prepared$used, prepared$starts, NULL, prepared$settings)
  reached <- which(fit$objective >= fit$objective[length(fit$objective)] - 1e-5 * nrow(data$Bhat))[1]
  c(evaluations = fit$evaluations_at[reached], all = fit$evaluations, seconds = proc.time()[[3]] - started)
}

one <- function(seed, R, n, K, noise) {
  data <- simulate(seed, R, n, K, noise)
  start <- lapply(seq_len(K), function(k) stats::rWishart(1, R + 2, diag(R))[, , 1] / (R + 2))
  plain <- run(data, start, FALSE)
  fast <- run(data, start, TRUE)
  data.frame(
    noise = noise, R = R, n = n, K = K, seed = seed, plain = plain[["evaluations"]], accelerated = fast[["evaluations"]],
    plain_seconds = plain[["seconds"]], seconds = fast[["seconds"]]
  )
}

cases <- rbind(
  expand.grid(noise = c("one", "one missing", "fifth missing", "varying"), R = 5, n = 1000, sets = sets),
  expand.grid(noise = c("one", "one missing"), R = 20, n = 2000, sets = max(1, sets %/% 5))
)
lines <- do.call(rbind, lapply(seq_len(nrow(cases)), function(i) {
  case <- cases[i, ]
  do.call(rbind, lapply(seq_len(case$sets), one, R = case$R, n = case$n, K = 6, noise = as.character(case$noise)))
}))
dir.create(out, showWarnings = FALSE, recursive = TRUE)
utils::write.csv(lines, file.path(out, "acceleration.csv"), row.names = FALSE, quote = FALSE)
for (part in split(lines, paste(lines$R, lines$noise))) {
  cat(sprintf(
    "R = %d, %-13s: medians %.0f plain, %.0f accelerated (%.2f times fewer), %.3f and %.3f s\n", part$R[1], part$noise[1],
    stats::median(part$plain), stats::median(part$accelerated), stats::median(part$plain) / stats::median(part$accelerated),
    stats::median(part$plain_seconds), stats::median(part$seconds)
  ))
}
