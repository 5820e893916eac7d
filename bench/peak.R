# Fraction of the machine's peak reached by each kernel: compiles bench/peak/peak.cpp against the headers alone, runs it
# on one thread and writes peak.csv and peak.md. bench/README.md says how to read them.
#
#   Rscript bench/peak.R [--quick] [--out=DIR]

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))

args <- commandArgs(trailingOnly = TRUE)
quick <- "--quick" %in% args
out <- sub("^--out=", "", grep("^--out=", args, value = TRUE))
if (length(out) == 0) {
  out <- if (quick) file.path(top, "_build", "bench") else file.path(top, "bench", "results")
}

# As R compiles the package: its own compiler and flags come from the system, the rest from src/Makevars.
compile <- function() {
  build <- file.path(top, "_build", "peak")
  dir.create(build, recursive = TRUE, showWarnings = FALSE)
  program <- file.path(build, "peak")
  sources <- c(
    list.files(file.path(top, "bench", "peak"), full.names = TRUE),
    list.files(file.path(top, "inst", "include"), recursive = TRUE, full.names = TRUE)
  )
  if (file.exists(program) && all(file.mtime(sources) < file.mtime(program))) {
    return(program)
  }
  message("Compiling ", basename(program), " (log: _build/peak/build.log)")
  log <- file.path(build, "build.log")
  status <- system2("g++", c(
    "-std=gnu++17 -O2 -DARMA_64BIT_WORD=1 -DARMA_DONT_USE_OPENMP -DARMA_WARN_LEVEL=0 -DARMA_DONT_USE_WRAPPER",
    "-DARMA_NO_DEBUG", paste0("-I", shQuote(file.path(top, "inst", "include"))), armadillo(),
    shQuote(file.path(top, "bench", "peak", "peak.cpp")), "-o", shQuote(program), "-llapack -lblas -pthread"
  ), stdout = log, stderr = log)
  if (status != 0) {
    writeLines(utils::tail(readLines(log), 40))
    stop("The compilation failed.", call. = FALSE)
  }
  program
}

# The system's Armadillo, else that of RcppArmadillo.
armadillo <- function() {
  if (file.exists("/usr/include/armadillo")) {
    return(character())
  }
  paste0("-isystem ", shQuote(system.file("include", package = "RcppArmadillo")))
}

measure <- function(program) {
  lines <- system2(program, if (quick) "0.0005" else "0.02", stdout = TRUE, env = "OPENBLAS_NUM_THREADS=1")
  results <- utils::read.csv(text = lines)
  results$set <- factor(results$set, unique(results$set))
  results
}

row <- function(x) paste0("| ", paste(x, collapse = " | "), " |")

machine_table <- function(results) {
  machine <- results[results$what == "machine", ]
  sets <- levels(results$set)
  body <- vapply(unique(machine$name), function(name) {
    of <- machine[machine$name == name, ]
    unit <- if (of$gflops[1] > 0) "10^9 a second" else "GB/s"
    rate <- pmax(of$gflops, of$gbytes)[match(sets, of$set)]
    row(c(paste0(sub("multiply-adds", "flops of multiply-adds", name), ", ", unit), sprintf("%.1f", rate)))
  }, "")
  c(
    "## What one thread of the machine can do", "",
    row(c("", sets)), row(c("---", rep("---:", length(sets)))), body, ""
  )
}

kernel_table <- function(results) {
  kernels <- results[results$what == "kernel", ]
  key <- paste(kernels$name, kernels$size, sep = "\r")
  sets <- levels(results$set)
  body <- vapply(unique(key), function(one) {
    of <- kernels[key == one, ]
    at <- match(sets, of$set)
    best <- of[nrow(of), ]
    share <- ifelse(is.na(at), "-", sprintf("%.0f %%", 100 * of$fraction[at]))
    row(c(
      best$name, best$size, share, sprintf("%.4g", best$ns), sprintf("%.1f", best$gflops), sprintf("%.1f", best$gbytes),
      best$bound
    ))
  }, "")
  c(
    "## Kernels", "",
    paste(
      "Share of the limit on each instruction set, then the figures of the widest one. The limit is the longest of the",
      "times that the arithmetic, its divisions and roots alone, and the reading and writing of the data would take at",
      "the machine's peak."
    ), "",
    row(c("kernel", "size", sets, "ns a call", "Gflop/s", "GB/s", "limited by")),
    row(c("---", "---", rep("---:", length(sets) + 3), "---")), body, ""
  )
}

counting <- c(
  "## How work is counted", "",
  "A multiply-add is 2 flops; addition, multiplication, division, square root, minimum and maximum are 1. Divisions",
  "and roots are counted once more by themselves, since they have a unit of their own which works beside the others.",
  "The elementary functions are counted as their polynomials are written: exp 36, log 28 (one division), Phi 108",
  "flops (one division). The peak is that of nothing but multiply-adds from registers, so other additions and",
  "multiplications count half, and the integer operations and comparisons of exp, log and Phi not at all. Stores are",
  "taken to be as fast as reads. Jacobi's method is counted as six sweeps. bench/peak/cases.h has the formula of every kernel.", ""
)

if (!nzchar(Sys.which("g++"))) {
  stop("g++ is not there; bench/peak.R needs it.", call. = FALSE)
}
results <- measure(compile())
dir.create(out, recursive = TRUE, showWarnings = FALSE)
utils::write.csv(results, file.path(out, "peak.csv"), row.names = FALSE)
text <- c(
  "# Fraction of the machine's peak reached by each kernel", "",
  if (quick) c("**Quick run: the measurements are too short to be trusted.**", ""),
  machine_table(results), kernel_table(results), counting
)
writeLines(text, file.path(out, "peak.md"))
writeLines(text)
