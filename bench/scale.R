# Fits from files beside fits in memory: seconds, processor seconds, passes, peak memory.
#
#   Rscript bench/scale.R [--dir=DIR] [--cases=m20,own2,issue72] [--threads=2]
#
# Each case is made once in DIR (Parquet, doubles), and each of its runs is a process of its own, whose largest resident
# memory is the kernel's (VmHWM).
#
#   m20       20,000,000 x 5, z-scores, some 240 components: from files; in memory
#   own2      2,000,000 x 44, each effect its own Shat, 10 % missing, 55 matrices: from files; one full pass over 200,000 of the
#             rows beside likelihoods, gradient and Hessian of the same rows in memory
#   issue72   4,019,906 x 5, 157 components, as in mashr's issue 72: in memory; from files
#
# Written to results/scale.csv and scale.md: a case whose runs are there already is replaced.

given <- commandArgs(TRUE)
option <- function(name, default) {
  hit <- grep(paste0("^--", name, "="), given, value = TRUE)
  if (length(hit)) sub("^[^=]*=", "", hit) else default
}
self <- normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
top <- dirname(dirname(self))
threads <- as.integer(option("threads", 2))
dir <- option("dir", file.path(tempdir(), "scale"))
cases <- list(
  m20 = list(J = 2e7, R = 5, shat = "one", missing = 0, seed = 301, rows = 1e6),
  own2 = list(J = 2e6, R = 44, shat = "varying", missing = 0.1, seed = 302, rows = 1e5),
  issue72 = list(J = 4019906, R = 5, shat = "one", missing = 0, seed = 303, rows = 5e5)
)

source(file.path(top, "bench", "workloads.R"))
suppressMessages(library(covmash))

status <- function(name) {
  line <- grep(paste0("^", name, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

part_of <- function(case, k) {
  from <- (k - 1) * case$rows
  s <- simulate_effects(min(case$rows, case$J - from), case$R, case$seed * 1000 + k, case$shat)
  if (case$missing > 0) s$Bhat[sample(length(s$Bhat), case$missing * length(s$Bhat))] <- NA
  s
}

make <- function(name) {
  case <- cases[[name]]
  home <- file.path(dir, name)
  if (file.exists(file.path(home, "whole"))) return(home)
  dir.create(home, FALSE, TRUE)
  for (k in seq_len(ceiling(case$J / case$rows))) {
    s <- part_of(case, k)
    columns <- list(bhat = s$Bhat)
    if (case$shat != "one") columns$shat <- s$Shat
    table <- do.call(cbind, lapply(names(columns), function(x) {
      out <- as.data.frame(columns[[x]])
      names(out) <- paste0(x, "_", colnames(columns[[x]]))
      out
    }))
    nanoparquet::write_parquet(table, file.path(home, sprintf("part-%03d.parquet", k)))
  }
  file.create(file.path(home, "whole"))
  home
}

# What a case fits: matrices from the same sample in memory and from files.
matrices <- function(name, sample) {
  set.seed(1)
  U <- c(cov_canonical(sample), cov_pca(sample, 5))
  # 13 matrices x 12 grid points + null
  if (name == "issue72") c(cov_canonical(sample)[1:7], cov_pca(sample, 5)) else U
}
grid_of <- function(name) if (name == "issue72") sqrt(2)^seq(-4, 7) else NULL

report <- function(name, run, ...) {
  values <- c(list(case = name, run = run), list(...), list(hwm = status("VmHWM")))
  cat("RESULT", deparse(values, width.cutoff = 500L), "\n", sep = "")
}

run_case <- function(name, run) {
  home <- make(name)
  base <- status("VmHWM")
  src <- mash_source(file.path(home, "*.parquet"))
  case <- cases[[name]]
  if (run == "files") {
    scan <- system.time(look <- summary(src, n_threads = threads))
    U <- matrices(name, look$sample)
    fit <- system.time(f <- mash(look, U, grid = grid_of(name), n_threads = threads))
    report(
      name, run, effects = case$J, components = length(f$fitted_g$pi), base = base, scan = scan[["elapsed"]],
      reading = look$seconds[["reading"]], seconds = fit[["elapsed"]], processor = sum(fit[c(1, 2)]),
      passes = nrow(f$source$passes), objective = f$convergence$objective, kkt = f$convergence$kkt_violation
    )
  } else if (run == "memory") {
    look <- readRDS(file.path(dir, paste0(name, "-sample.rds")))
    read <- system.time(data <- as_mash_data(src))
    U <- matrices(name, look)
    fit <- system.time(f <- mash(data, U, grid = grid_of(name), outputlevel = 1, n_threads = threads, verbose = FALSE))
    report(
      name, run, effects = case$J, components = length(f$fitted_g$pi), base = base, reading = read[["elapsed"]],
      seconds = fit[["elapsed"]], processor = sum(fit[c(1, 2)]), objective = f$convergence$objective,
      kkt = f$convergence$kkt_violation
    )
  } else if (run == "sample") {
    saveRDS(summary(src, n_threads = threads)$sample, file.path(dir, paste0(name, "-sample.rds")))
  } else if (run == "pass") {
    one_pass(name, src, base)
  }
}

# One full pass over rows beside what it is made of in memory: likelihoods of all components, their gradient and the Hessian.
one_pass <- function(name, src, base, rows = 2e5) {
  inside <- asNamespace("covmash")
  part <- src
  part$segment_rows <- rows
  look <- readRDS(file.path(dir, paste0(name, "-sample.rds")))
  data <- inside$segment_data(part, 1)
  model <- inside$new_model(look, matrices(name, look), grid_of(name), sqrt(2), TRUE, TRUE)
  P <- inside$n_components(model)
  set.seed(1)
  x <- numeric(P)
  x[sort(sample(P, 100))] <- 1 / 100
  query <- list(x = x, from = x, steps = c(0.5, 0.25), also = integer(), hard = 0, most_hard = 0, base = 0)
  data$dictionary <- list(shat = matrix(0, ncol(data$Bhat), 0), count = numeric())
  settings <- list(n_threads = threads)
  processor <- function(expr) sum(system.time(expr)[c(1, 2)])
  store <- inside$cpp_spectral_store()
  pass <- processor(inside$cpp_full_pass(data, model, query, settings, store))
  # Likelihoods and, by a fit of no steps from x, gradient and Hessian.
  memory <- processor(inside$cpp_fit(
    data, model, list(prior = rep(1, P), memory = 1e9, n_threads = threads, start = x, weights = NULL, max_iter = 1, tol = 1e-30)
  ))
  reading <- processor(inside$read_segment(part, 1))
  report(
    name, "pass", effects = rows, components = P, base = base, pass = pass, in_memory = memory, ratio = pass / memory,
    reading = reading
  )
}

# ---- one run, in a process of its own ----------------------------------------------

if (length(run <- option("run", ""))  && nzchar(run)) {
  run_case(option("case", ""), run)
  quit()
}

# ---- all ---------------------------------------------------------------------------

run_alone <- function(name, run) {
  arguments <- c(self, paste0("--dir=", dir), paste0("--case=", name), paste0("--run=", run), paste0("--threads=", threads))
  lines <- system2("Rscript", shQuote(arguments), stdout = TRUE, stderr = TRUE)
  cat(lines, sep = "\n")
  line <- sub("^RESULT", "", grep("^RESULT", lines, value = TRUE))
  if (length(line)) as.data.frame(eval(parse(text = line)))
}

runs <- list(m20 = c("sample", "files", "memory"), own2 = c("sample", "files", "pass"), issue72 = c("sample", "memory", "files"))
rows <- list()
for (name in strsplit(option("cases", paste(names(cases), collapse = ",")), ",")[[1]]) {
  cat("==", name, "\n")
  make(name)
  for (run in runs[[name]]) rows <- c(rows, list(run_alone(name, run)))
}
rows <- Filter(Negate(is.null), rows)
columns <- unique(unlist(lapply(rows, names)))
table <- do.call(rbind, lapply(rows, function(row) {
  row[setdiff(columns, names(row))] <- NA
  row[columns]
}))
file <- file.path(top, "bench", "results", "scale.csv")
if (file.exists(file)) {
  old <- utils::read.csv(file)
  old <- old[!paste(old$case, old$run) %in% paste(table$case, table$run), ]
  both <- union(names(old), names(table))
  old[setdiff(both, names(old))] <- rep(list(rep(NA, nrow(old))), length(setdiff(both, names(old))))
  table[setdiff(both, names(table))] <- NA
  table <- rbind(old[both], table[both])
}
utils::write.csv(table, file, row.names = FALSE)
shown <- vapply(table, function(x) if (is.numeric(x)) format(x, digits = 6, trim = TRUE) else as.character(x), character(nrow(table)))
shown <- matrix(shown, nrow(table), dimnames = list(NULL, names(table)))
shown[shown == "NA" | is.na(shown)] <- ""
writeLines(c(
  "# Fits from files beside fits in memory", "",
  "Seconds; memory in MB, largest resident size of the process (`hwm`; `base`: with the package loaded). By `bench/scale.R`.",
  paste0("Instruction set: ", covmash:::cpp_simd(), "."), "",
  paste0("| ", paste(colnames(shown), collapse = " | "), " |"),
  paste0("|", paste(rep("---", ncol(shown)), collapse = "|"), "|"),
  apply(shown, 1, function(x) paste0("| ", paste(x, collapse = " | "), " |"))
), file.path(top, "bench", "results", "scale.md"))
print(table)
