# The code of mashr's vignettes: run with mashr, and with covmash in its place. Its source is fetched from CRAN; nothing of
# it is kept.
#
#   Rscript tests/peers/vignettes.R [DIR]
#
# Writes DIR/vignettes.md (DIR: _build/peers). For every fit that mashr makes: the penalised objective of covmash on the
# same data and matrices less that of mashr, and the largest difference of the posteriors under mashr's own prior. What
# could not be run is listed. Exit status 1 if an objective is lower or a posterior differs by more than 1e-8.

source(file.path("tests", "peers", "source.R"))
out <- output_directory()
source_dir <- source_of("mashr", out)
files <- list.files(file.path(source_dir, "vignettes"), "\\.Rmd$", full.names = TRUE)
if (length(files) == 0L) stop("mashr's source has no vignettes here: ", source_dir, call. = FALSE)
exports <- function(package) as.list(getNamespace(package), all.names = FALSE)[getNamespaceExports(package)]

# What is run in place of a package's function, with a note of what it was given and what it gave.
recorder <- function(fun, what) {
  notes <- list()
  list(
    call = function(...) {
      result <- fun(...)
      notes[[length(notes) + 1L]] <<- list(what = what, args = list(...), result = result)
      result
    },
    notes = function() notes
  )
}

# All code of a vignette, whether it is run there or not, with the options of its chunks left out.
code_of <- function(file) {
  text <- readLines(file, warn = FALSE)
  inside <- FALSE
  kept <- character()
  for (line in text) {
    if (grepl("^```", line)) {
      inside <- !inside && grepl("^```\\{r", line)
    } else if (inside) {
      kept <- c(kept, line)
    }
  }
  parse(text = kept, keep.source = FALSE)
}

# The expressions of a vignette in an environment that sees the packages given, the first one first.
run_vignette <- function(file, packages, replace = list()) {
  code <- code_of(file)
  seen <- globalenv()
  for (package in rev(packages)) seen <- list2env(exports(package), parent = new.env(parent = seen))
  env <- list2env(replace, parent = seen)
  problems <- character()
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  for (expr in code) {
    text <- paste(deparse(expr), collapse = " ")
    if (grepl("^library\\((mashr|ashr)\\)|opts_chunk", text)) next
    tryCatch(
      utils::capture.output(suppressMessages(suppressWarnings(eval(expr, env)))),
      error = function(e) problems <<- c(problems, paste0("`", substr(text, 1, 60), "`: ", substr(conditionMessage(e), 1, 90)))
    )
  }
  problems
}

named <- function(args, fun) as.list(match.call(fun, as.call(c(list(as.name("f")), args))))[-1]

penalised <- function(loglik, g, args) {
  prior <- covmash:::set_prior(
    length(g$pi), if (is.null(args$prior)) "nullbiased" else args$prior,
    if (is.null(args$nullweight)) 10 else args$nullweight, if (g$usepointmass) 1L else 0L
  )
  loglik + sum((prior[prior > 1] - 1) * log(g$pi[prior > 1]))
}

compare_fit <- function(note) {
  quiet <- function(x) suppressMessages(suppressWarnings(x))
  args <- named(note$args, if (note$what == "mash") mashr::mash else mashr::mash_estimate_corr_em)
  data <- args$data
  theirs <- note$result
  if (note$what != "mash") {
    data <- mashr::mash_update_data(data, V = theirs$V)
    theirs <- theirs$mash.model
    args <- args[intersect(names(args), c("Ulist", "prior", "grid", "normalizeU"))]
  }
  args$data <- NULL
  args[c("verbose", "posterior_samples", "seed", "outputlevel", "output_lfdr")] <- NULL
  ours <- if (isTRUE(args$fixg)) NULL else quiet(do.call(covmash::mash, c(list(data), args, verbose = FALSE)))
  loglik <- quiet(covmash::mash_compute_loglik(theirs$fitted_g, data))
  posterior <- quiet(covmash::mash_compute_posterior_matrices(theirs$fitted_g, data, A = args$A))
  parts <- intersect(c("PosteriorMean", "PosteriorSD", "NegativeProb", "lfsr", "lfdr"), names(theirs$result))
  off <- vapply(parts, function(p) max(abs(unname(posterior[[p]]) - unname(theirs$result[[p]]))), 0)
  list(
    gain = if (is.null(ours)) NA else ours$convergence$objective - penalised(loglik, theirs$fitted_g, args),
    objective = penalised(loglik, theirs$fitted_g, args), off = if (length(off) > 0L) max(off) else NA
  )
}

rows <- left_out <- character()
worst <- list(gain = Inf, off = 0)
for (file in files) {
  name <- sub("\\.Rmd$", "", basename(file))
  mash <- recorder(mashr::mash, "mash")
  em <- recorder(mashr::mash_estimate_corr_em, "mash_estimate_corr_em")
  with_mashr <- run_vignette(file, c("mashr", "ashr"), list(mash = mash$call, mash_estimate_corr_em = em$call))
  with_covmash <- run_vignette(file, "covmash")
  for (problem in setdiff(with_covmash, with_mashr)) left_out <- c(left_out, paste("|", name, "| covmash |", problem, "|"))
  for (problem in with_mashr) left_out <- c(left_out, paste("|", name, "| both |", problem, "|"))
  notes <- c(mash$notes(), em$notes())
  for (i in seq_along(notes)) {
    x <- compare_fit(notes[[i]])
    worst$gain <- min(worst$gain, x$gain, na.rm = TRUE)
    worst$off <- max(worst$off, x$off, na.rm = TRUE)
    rows <- c(rows, sprintf("| %s | %s %d | %.6f | %.2g | %.1e |", name, notes[[i]]$what, i, x$objective, x$gain, x$off))
  }
}
text <- c(
  paste0("# The code of the vignettes of mashr ", read.dcf(file.path(source_dir, "DESCRIPTION"), "Version")), "",
  "| vignette | fit | penalised objective, mashr | covmash more by | posteriors differ by |", "|---|---|---:|---:|---:|", rows, "",
  "What could not be run (\"both\": with neither package):", "", "| vignette | with | expression and error |", "|---|---|---|",
  if (length(left_out) > 0L) left_out else "| none | | |"
)
writeLines(text, file.path(out, "vignettes.md"))
cat(text, sep = "\n")

if (worst$gain < -1e-6 || worst$off > 1e-8) quit(status = 1)
