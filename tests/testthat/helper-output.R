# Posteriors in files: a study in files with its fit, and what a folder holds.

# Other functions in place of some of the package's, while the test runs.
local_functions <- function(..., frame = parent.frame()) {
  home <- asNamespace("covmash")
  put <- function(functions) {
    for (name in names(functions)) {
      unlockBinding(name, home)
      assign(name, functions[[name]], home)
      lockBinding(name, home)
    }
  }
  functions <- list(...)
  before <- mget(names(functions), home)
  put(functions)
  withr::defer(put(before), frame)
}

# Pieces of so few rows that small studies have several in a segment.
local_piece_rows <- function(n = 20, frame = parent.frame()) {
  local_functions(output_piece_rows = function() n, frame = frame)
}

# J effects named gene_variant, genes of unequal size, some scattered, with their fit; source: in files, in segments of 50
# rows. Made once for the same arguments.
output_study <- function(...) {
  key <- paste(deparse(list(...)), collapse = "")
  if (is.null(output_studies[[key]])) output_studies[[key]] <- make_output_study(...)
  output_studies[[key]]
}

output_studies <- new.env()

make_output_study <- function(J = 130, R = 4, alpha = 0, ids = TRUE, missing = 40) {
  s <- small_data(J = J, R = R, shat = "varying", missing = missing, names = FALSE, alpha = alpha)
  s$gene <- sprintf("g%d", withr::with_seed(2, sort(sample.int(12, J, TRUE))))
  s$gene[seq(7, J, by = 30)] <- "g1"
  effects <- if (ids) paste0(s$gene, "_v", seq_len(J))
  dimnames(s$Bhat) <- dimnames(s$Shat) <- list(effects, c("a b", "\u00e9", "c_1", "100%")[seq_len(R)])
  s$data <- mash_set_data(s$Bhat, s$Shat, alpha = alpha)
  s$fit <- mash(s$data, cov_canonical(s$data), verbose = FALSE, output_lfdr = TRUE, n_threads = 1)
  folder <- tempfile("study")
  write_source(s$data, folder, rows_per_file = 48)
  s$source <- mash_source(folder, segment_rows = 50, alpha = alpha)
  s
}

# The fit with the very numbers of the files, and all that goes with it.
fit_of_output <- function(fit, out) {
  all <- out[]
  fit$result <- all$result
  fit
}

all_columns <- c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr", "NegativeProb")

# Names and md5 of all that a folder holds.
folder_sums <- function(home) {
  files <- sort(list.files(home, recursive = TRUE, all.files = TRUE))
  stats::setNames(unname(tools::md5sum(file.path(home, files))), files)
}

# An R process with the package of this session; wait = FALSE: beside it. The lines see `home`, `s` (of output_study())
# and ns, the namespace, in which put() puts something else.
run_beside <- function(lines, s, home, wait = TRUE) {
  data <- tempfile(fileext = ".rds")
  script <- tempfile(fileext = ".R")
  saveRDS(list(s = s[c("source", "fit")], home = home), data)
  writeLines(c(
    paste0(".libPaths(", paste(deparse(.libPaths()), collapse = ""), ")"), "library(covmash)",
    paste0("list2env(readRDS(", deparse(data), "), globalenv())"), "ns <- asNamespace('covmash')",
    "put <- function(name, value) { unlockBinding(name, ns); assign(name, value, ns) }",
    "put('output_piece_rows', function() 20)", lines
  ), script)
  system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = FALSE, stderr = FALSE, wait = wait)
}
