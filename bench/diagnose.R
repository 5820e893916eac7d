# What diagnose() finds: faults planted in simulated effects, each analysed as the vignettes do (canonical matrices and
# cov_ted() from strong effects, weights from all), and the same effects without a fault.
#
#   Rscript bench/diagnose.R [--seeds=50] [--faults=PATTERN] [--out=DIR]
#
#   --seeds   1 to this
#   --faults  those whose name matches this regular expression; all if not given
#
# 20,000 effects x 8 conditions of simulate_effects(): 50 % null, standard errors of each estimate its own.
#   none          nothing
#   inflated      errors of two conditions 1.3 times as large as their standard errors
#   correlated    errors of four conditions with correlation 0.5, V the identity
#   narrow grid   largest scale 1.5, half of that of the largest effects
#   strong only   fitted to the effects that mash_1by1() calls significant
#   duplicated    one condition twice
#   nearly so     one condition twice, with errors of a hundredth of a standard error between
#   placeholders  a tenth of the estimates 0 with standard error 1000
#   zeros         a tenth of the estimates 0 with their usual standard error
#
# Writes diagnose.csv: a line for each fault with how many seeds had its finding (for "none": any finding), how many others
# were found, and the median seconds of diagnose().

library(covmash)
options(covmash.progress = FALSE)
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
here <- dirname(normalizePath(gsub("~+~", " ", script, fixed = TRUE)))
source(file.path(here, "workloads.R"))

opts <- list(seeds = "50", faults = ".", out = file.path(here, "results"))
for (arg in commandArgs(TRUE)) {
  name <- sub("^--([^=]*)=.*", "\\1", arg)
  if (!name %in% names(opts)) stop("diagnose.R takes --seeds=, --faults= and --out=, not ", arg, call. = FALSE)
  opts[[name]] <- sub("^[^=]*=", "", arg)
}

J <- 20000
R <- 8

# Of the check that has to find it.
faults <- c(
  none = NA, inflated = "size of errors", correlated = "correlated errors", `narrow grid` = "grid",
  `strong only` = "chosen effects", duplicated = "same conditions", `nearly so` = "same conditions",
  placeholders = "placeholders", zeros = "placeholders"
)

estimates_with <- function(fault, seed) {
  sim <- simulate_effects(J, R, seed, "varying")
  z <- (sim$Bhat - sim$B) / sim$Shat
  two <- sample(R, 2)
  entries <- sample(J * R, J * R / 10)
  if (fault == "inflated") z[, two] <- 1.3 * z[, two]
  if (fault == "correlated") z[, 1:4] <- z[, 1:4] %*% chol(matrix(0.5, 4, 4) + diag(0.5, 4))
  sim$Bhat[] <- sim$B + sim$Shat * z
  if (fault %in% c("duplicated", "nearly so")) {
    sim$Shat[, two[2]] <- sim$Shat[, two[1]]
    off <- if (fault == "duplicated") 0 else 0.01 * rnorm(J)
    sim$Bhat[, two[2]] <- sim$Bhat[, two[1]] + off * sim$Shat[, two[1]]
  }
  if (fault %in% c("placeholders", "zeros")) sim$Bhat[entries] <- 0
  if (fault == "placeholders") sim$Shat[entries] <- 1000
  suppressWarnings(mash_set_data(sim$Bhat, sim$Shat))
}

analyse <- function(fault, seed) {
  data <- estimates_with(fault, seed)
  strong <- get_significant_results(mash_1by1(data))
  Ulist <- c(cov_canonical(data), suppressWarnings(cov_ted(data, sort(strong[sample(min(length(strong), 1500))]))))
  if (fault == "strong only") data <- data[strong, ]
  grid <- if (fault == "narrow grid") 1.5 * 2^(-(10:0) / 2)
  fit <- mash(data, Ulist, grid = grid, verbose = FALSE, outputlevel = 1)
  seconds <- system.time(found <- diagnose(fit, data))[["elapsed"]]
  list(found = found, seconds = seconds)
}

run <- function(fault) {
  seeds <- seq_len(as.integer(opts$seeds))
  runs <- lapply(seeds, function(seed) {
    one <- analyse(fault, seed)
    others <- setdiff(one$found$check, faults[[fault]])
    if (length(others) > 0) message(fault, ", seed ", seed, ": ", paste(others, collapse = ", "))
    one
  })
  checks <- lapply(runs, function(one) one$found$check)
  data.frame(
    fault = fault, seeds = length(seeds),
    found = sum(vapply(checks, function(x) if (fault == "none") length(x) > 0 else faults[[fault]] %in% x, NA)),
    others = sum(vapply(checks, function(x) sum(x != faults[[fault]], na.rm = TRUE), 0)),
    seconds = round(median(vapply(runs, `[[`, 0, "seconds")), 2)
  )
}

chosen <- grep(opts$faults, names(faults), value = TRUE)
table <- NULL
for (fault in chosen) {
  table <- rbind(table, run(fault))
  print(table[nrow(table), ], row.names = FALSE)
  if (length(chosen) == length(faults)) write.csv(table, file.path(opts$out, "diagnose.csv"), row.names = FALSE)
}
