# What diagnose() finds: faults planted in simulated effects, each analysed as the vignettes do (canonical matrices and
# cov_ted() from strong effects, weights from all), and the same effects without a fault.
#
#   Rscript bench/diagnose.R [--seeds=1:50] [--out=DIR]
#   Rscript bench/diagnose.R --table [--out=DIR]
#
#   --seeds  from:to. Processes with seeds of their own can run side by side
#   --table  write diagnose.csv from all lines there are
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
# Matrices are learned from the data with the fault where errors are at fault, else from those without.
#
# Writes diagnose-lines-<from>.csv, a line for each analysis, and from these diagnose.csv: of each fault in how many
# seeds it was found (of "none": in how many anything was), how many other problems and notes came with it in all seeds,
# and the median seconds of diagnose() (of a machine that may have had other work).

options(covmash.progress = FALSE)
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
here <- dirname(normalizePath(gsub("~+~", " ", script, fixed = TRUE)))

opts <- list(seeds = "1:50", out = file.path(here, "results"), table = FALSE)
for (arg in commandArgs(TRUE)) {
  name <- sub("^--([^=]*).*", "\\1", arg)
  if (!name %in% names(opts)) stop("diagnose.R takes --seeds=, --out= and --table, not ", arg, call. = FALSE)
  opts[[name]] <- if (grepl("=", arg)) sub("^[^=]*=", "", arg) else TRUE
}

# Of the check that has to find it.
faults <- c(
  none = NA, inflated = "size of errors", correlated = "correlated errors", `narrow grid` = "grid",
  `strong only` = "chosen effects", duplicated = "same conditions", `nearly so` = "same conditions",
  placeholders = "placeholders", zeros = "placeholders"
)

data_with <- function(fault, sim) {
  J <- nrow(sim$B)
  R <- ncol(sim$B)
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

learn <- function(data) {
  strong <- get_significant_results(mash_1by1(data))
  some <- sort(strong[sample(length(strong), min(length(strong), 1000))])
  list(strong = strong, Ulist = c(cov_canonical(data), suppressWarnings(cov_ted(data, some))))
}

analyse <- function(fault, sim, learned) {
  data <- data_with(fault, sim)
  Ulist <- if (fault %in% c("inflated", "correlated")) learn(data)$Ulist else learned$Ulist
  if (fault == "strong only") data <- data[learned$strong, ]
  grid <- if (fault == "narrow grid") 1.5 * 2^(-(10:0) / 2)
  fit <- mash(data, Ulist, grid = grid, verbose = FALSE, outputlevel = 1)
  seconds <- system.time(found <- diagnose(fit, data))[["elapsed"]]
  own <- found$check %in% faults[[fault]]
  level <- found$level[!own]
  data.frame(
    fault = fault, found = if (fault == "none") nrow(found) > 0 else any(own), problems = sum(level == "problem"),
    notes = sum(level == "note"), seconds = round(seconds, 2), others = paste(found$check[!own], collapse = "; ")
  )
}

run <- function(seeds, path) {
  for (seed in seeds) {
    sim <- simulate_effects(20000, 8, seed, "varying")
    learned <- learn(mash_set_data(sim$Bhat, sim$Shat))
    lines <- do.call(rbind, lapply(names(faults), function(fault) analyse(fault, sim, learned)))
    more <- file.exists(path)
    utils::write.table(cbind(seed = seed, lines), path, sep = ",", row.names = FALSE, append = more, col.names = !more)
  }
}

write_table <- function() {
  lines <- do.call(rbind, lapply(list.files(opts$out, "^diagnose-lines-.*csv$", full.names = TRUE), utils::read.csv))
  table <- do.call(rbind, lapply(names(faults), function(fault) {
    own <- lines[lines$fault == fault, ]
    data.frame(
      fault = fault, seeds = nrow(own), found = sum(own$found), other_problems = sum(own$problems),
      other_notes = sum(own$notes), seconds = stats::median(own$seconds)
    )
  }))
  utils::write.csv(table, file.path(opts$out, "diagnose.csv"), row.names = FALSE)
  print(table, row.names = FALSE)
}

if (isTRUE(opts$table)) {
  write_table()
} else {
  library(covmash)
  source(file.path(here, "workloads.R"))
  ends <- as.integer(strsplit(opts$seeds, ":", fixed = TRUE)[[1]])
  run(ends[1]:ends[2], file.path(opts$out, sprintf("diagnose-lines-%d.csv", ends[1])))
  write_table()
}
