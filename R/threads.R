#' How many threads covmash uses
#'
#' Functions that compute in parallel have an argument `n_threads`. What they
#' use is the first of these that is given:
#'
#' 1. the argument `n_threads`, a whole number of at least 1;
#' 2. the R option `covmash.threads`, e.g. `options(covmash.threads = 8)`;
#' 3. the environment variable `COVMASH_THREADS`;
#' 4. what a cluster's scheduler (Slurm, SGE, PBS, ...) has assigned to the job,
#'    as [parallelly::availableCores()] reports it;
#' 5. the number of available cores, but no more than 2, so that nobody's
#'    machine is taken over unasked.
#'
#' No more threads are started than there are pieces of work, nor than four for each
#' processor of the machine (or 16, if that is more), however many are asked for; a
#' thread that the system does not grant is done without.
#'
#' Results are identical, to the last bit, for any number of threads. Threads
#' are the package's own; a multi-threaded BLAS is not needed and not used inside
#' them. Between instruction sets ([covmash_info()]) results differ by rounding.
#'
#' @section Further options:
#' Results are identical for any value of the first two.
#'
#' * `covmash.block_rows`: rows a thread works through at a time, 1024 unless set.
#' * `covmash.memory`: megabytes that [mash()] may use for the likelihoods of all
#'   rows and components (4 bytes each), 1000 unless set. If they need more, or need
#'   over 250 and are quick to compute, each pass over them computes them again.
#' * `covmash.simd`, or the environment variable `COVMASH_SIMD`: the instruction
#'   set, one of `covmash_info()$simd_available`, e.g. `"baseline"`. It is read
#'   when the package is loaded; the widest available is used unless set.
#' * `covmash.progress`: `FALSE` keeps away the progress bars, which appear in
#'   interactive sessions for steps of more than two seconds.
#'
#' @section Interrupts, time limits, memory:
#' Every computation hears an interrupt within about a second, ends its threads and
#' leaves the session as it was; so it does with the limits of [setTimeLimit()],
#' whose error arrives as R's own. If memory runs out the error has class
#' `covmash_error_memory`: fewer threads, a lower `covmash.memory` or
#' `covmash.block_rows`, fewer rows, conditions or matrices need less.
#'
#' @name covmash_threads
#' @seealso [covmash_info()] shows what is in use.
NULL

# The schedulers whose answer is taken as it is: the job was given these cores.
scheduler_names <- c(
  "PBS", "SGE", "Slurm", "LSF", "PJM", "TORQUE", "HTCondor", "BiocParallel"
)

resolve_threads <- function(n_threads = NULL) {
  if (!is.null(n_threads)) {
    return(thread_count(n_threads, "`n_threads`"))
  }
  from_option <- getOption("covmash.threads")
  if (!is.null(from_option)) {
    return(thread_count(from_option, "The option covmash.threads"))
  }
  from_env <- Sys.getenv("COVMASH_THREADS", "")
  if (nzchar(from_env)) {
    number <- suppressWarnings(as.numeric(from_env))
    if (is.na(number)) {
      number <- from_env
    }
    return(thread_count(number, "The environment variable COVMASH_THREADS"))
  }
  cores <- parallelly::availableCores()
  if (any(names(cores) %in% scheduler_names)) {
    return(max(1L, as.integer(cores)))
  }
  max(1L, min(2L, as.integer(cores)))
}

thread_count <- function(x, name) {
  if (!is_count(x)) {
    abort_input(
      "{name} must be a whole number of at least 1, not {describe(x)}.",
      class = "covmash_error_threads"
    )
  }
  within_integers(x)
}

is_count <- function(x) {
  checkmate::test_number(x, lower = 1, finite = TRUE) && abs(x - round(x)) < 1e-8
}

# A count beyond R's integers means "as many as there are".
within_integers <- function(x) as.integer(min(round(x), .Machine$integer.max))

resolve_block_rows <- function() {
  rows <- getOption("covmash.block_rows", cpp_defaults("posterior")$block_rows)
  if (!is_count(rows)) {
    abort_input(
      "The option covmash.block_rows must be a whole number of at least 1, not {describe(rows)}.",
      class = "covmash_error_threads"
    )
  }
  within_integers(rows)
}

# In bytes.
resolve_memory <- function() {
  megabytes <- getOption("covmash.memory", cpp_defaults("fit")$memory / 1e6)
  if (!checkmate::test_number(megabytes, lower = 0)) {
    abort_input(
      "The option covmash.memory must be a number of megabytes, at least 0, not {describe(megabytes)}.",
      class = "covmash_error_argument"
    )
  }
  megabytes * 1e6
}

.onLoad <- function(libname, pkgname) {
  choose_simd()
}

# Called when the package is loaded: a wrong name must not keep it from loading.
choose_simd <- function() {
  wanted <- getOption("covmash.simd", Sys.getenv("COVMASH_SIMD", ""))
  if (identical(wanted, "")) {
    return(invisible(NULL))
  }
  available <- cpp_simd_available()
  if (checkmate::test_choice(wanted, available)) {
    cpp_set_simd(wanted)
  } else {
    warn_covmash(
      "The instruction set {describe(wanted)} (option covmash.simd or COVMASH_SIMD) is not available here; ",
      "{cpp_simd()} is used. Choose from: {paste(available, collapse = ', ')}.",
      class = "covmash_warning_simd"
    )
  }
}

#' What covmash runs on
#'
#' The instruction set the compiled code uses on this machine, the number of
#' threads ([covmash_threads]) and the linear algebra libraries of R.
#'
#' @return A list of class `"covmash_info"` with elements `version`, `simd` (the
#'   instruction set in use), `simd_available`, `n_threads`, `block_rows`,
#'   `blas`, `lapack` and `r`. It prints as a short summary.
#' @export
#' @examples
#' covmash_info()
covmash_info <- function() {
  structure(
    list(
      version = unname(getNamespaceVersion("covmash")),
      simd = cpp_simd(),
      simd_available = cpp_simd_available(),
      n_threads = resolve_threads(),
      block_rows = resolve_block_rows(),
      blas = unname(extSoftVersion()["BLAS"]),
      lapack = La_library(),
      r = R.version.string
    ),
    class = "covmash_info"
  )
}

#' @export
print.covmash_info <- function(x, ...) {
  text_lines("<covmash_info> covmash ", x$version, ", ", x$r)
  status_line("instructions:", x$simd, " (available: ", paste(x$simd_available, collapse = ", "), ")", indent = 16L)
  cat("  threads:      ", x$n_threads, "\n", sep = "")
  cat("  BLAS:         ", x$blas, "\n", sep = "")
  cat("  LAPACK:       ", x$lapack, "\n", sep = "")
  invisible(x)
}
