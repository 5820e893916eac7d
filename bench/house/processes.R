# Other processes: this script again, for memory and for the large workloads.

run_script <- function(args, opts, ...) {
  system2(
    file.path(R.home("bin"), "Rscript"), c(shQuote(script), shQuote(args)),
    env = thread_settings(opts$mashr_threads), ...
  )
}

thread_settings <- function(n) {
  c(
    paste0(c("OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS=", "MKL_NUM_THREADS="), c(n, 1, 1)),
    paste0("R_LIBS=", shQuote(paste(.libPaths(), collapse = .Platform$path.sep)))
  )
}

need_packages <- function() {
  if (!requireNamespace("covmash", quietly = TRUE)) {
    stop("covmash is not installed; run `make install` first.", call. = FALSE)
  }
  if (!requireNamespace("mashr", quietly = TRUE)) {
    stop(
      "mashr is not installed, and this script compares with it. In R: install.packages(\"mashr\"). It needs the GNU ",
      "scientific library (Debian: libgsl-dev). covmash itself does not need mashr.", call. = FALSE
    )
  }
}

# Runs the child of that name; it reads its inputs from a file and leaves its answer in another.
ask_child <- function(name, inputs, w, opts) {
  file <- tempfile(fileext = ".rds")
  answer <- paste0(file, ".answer")
  on.exit(unlink(c(file, answer)))
  saveRDS(inputs, file, compress = FALSE)
  args <- c(
    paste0("--child=", name), paste0("--inputs=", file), paste0("--workloads=", w$name),
    paste0("--seed-offset=", opts$seed_offset), paste0("--runs=", opts$runs),
    paste0("--mashr-threads=", opts$mashr_threads), paste0("--mashr-rows=", opts$mashr_rows),
    if (nzchar(opts$simd)) paste0("--simd=", opts$simd), if (opts$quick) "--quick"
  )
  run_script(args, opts)
  if (!file.exists(answer)) {
    stop("The process '", name, "' of workload ", w$name, " failed.", call. = FALSE)
  }
  readRDS(answer)
}

child <- function(opts) {
  w <- workload(opts$workloads, opts)
  inputs <- readRDS(opts$inputs)
  answer <- switch(opts$child,
    covmash = peak_of_side("covmash", inputs),
    mashr = peak_of_side("mashr", inputs),
    large = fit_large(w, opts)
  )
  saveRDS(answer, paste0(opts$inputs, ".answer"), compress = FALSE)
}

# ---- memory of this process, MB of 10^6 bytes (Linux; NA elsewhere) ---------

memory_mb <- function(what) {
  if (!file.exists("/proc/self/status")) {
    return(NA_real_)
  }
  line <- grep(paste0("^", what, ":"), readLines("/proc/self/status"), value = TRUE)
  if (length(line) == 1) as.numeric(gsub("[^0-9]", "", line)) * 1024 / 1e6 else NA_real_
}

peak_mb <- function() memory_mb("VmHWM")

resident_mb <- function() memory_mb("VmRSS")

# Forgets the peak reached so far, such as that of the simulation. False where the system cannot.
reset_peak <- function() {
  gc()
  isTRUE(tryCatch(
    {
      cat("5", file = "/proc/self/clear_refs")
      TRUE
    },
    error = function(e) FALSE, warning = function(w) FALSE
  ))
}

# The numbers in an object, 8 bytes each; names, which its parts share with the input, are not counted.
numbers_mb <- function(x) {
  8 * sum(rapply(unclass(x), function(part) if (is.double(part)) length(part) else 0L, how = "unlist")) / 1e6
}
