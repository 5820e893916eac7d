# Packages that are built on mashr, with covmash in its place: their sources are fetched from CRAN, the name replaced in a
# copy, nothing of them is kept.
#
#   Rscript tests/peers/clients.R [DIR]
#
#   limorhyde2: its own tests (needs DESeq2, limma and what it imports). One expectation compares a whole fit with one
#     saved from mashr, one the draws of mashr's generator; all others have to pass.
#   mr.mashr: compute_data_driven_covs() on simulated estimates, with covmash's functions and with mashr's (needs flashier).
#
# Writes DIR/clients.md (DIR: _build/peers). Exit status 1 if something fails that should not, or could not be run.

source(file.path("tests", "peers", "source.R"))
out <- output_directory()
lines <- c("# Packages built on mashr, with covmash", "")
say <- function(...) lines <<- c(lines, paste0(...))
bad <- FALSE

# Fresh, for names are replaced in it.
fetch <- function(package) {
  unlink(file.path(out, "clients", package), recursive = TRUE)
  source_of(package, file.path(out, "clients"))
}

replace_name <- function(files) {
  for (file in files) {
    text <- readLines(file, warn = FALSE)
    writeLines(gsub("\\bmashr\\b( \\(>= [0-9.]+\\))?", "covmash", text), file)
  }
}

run_limorhyde2 <- function() {
  needs <- c("DESeq2", "limma", "abind", "checkmate", "data.table", "foreach", "HDInterval", "iterators", "pbs", "zeallot")
  absent <- needs[!vapply(needs, requireNamespace, NA, quietly = TRUE)]
  if (length(absent) > 0L) {
    say("limorhyde2: not run, for want of ", paste(absent, collapse = ", "), ".")
    bad <<- TRUE
    return(invisible(NULL))
  }
  source_dir <- fetch("limorhyde2")
  replace_name(c(
    list.files(file.path(source_dir, "R"), full.names = TRUE), file.path(source_dir, c("NAMESPACE", "DESCRIPTION"))
  ))
  library_dir <- file.path(out, "clients", "library")
  dir.create(library_dir, showWarnings = FALSE)
  status <- system2(file.path(R.home("bin"), "R"), c("CMD", "INSTALL", "--no-docs", paste0("--library=", library_dir), source_dir))
  if (status != 0L) stop("limorhyde2 could not be installed with covmash", call. = FALSE)
  .libPaths(c(library_dir, .libPaths()))
  results <- testthat::test_dir(
    file.path(source_dir, "tests", "testthat"), package = "limorhyde2", load_package = "installed", reporter = "silent",
    stop_on_failure = FALSE
  )
  each <- unlist(lapply(results, `[[`, "results"), recursive = FALSE)
  passed <- sum(vapply(each, inherits, NA, "expectation_success"))
  wrong <- Filter(function(r) inherits(r, c("expectation_failure", "expectation_error")), each)
  say("limorhyde2 ", utils::packageVersion("limorhyde2"), ": ", passed, " expectations passed, ", length(wrong), " failed.")
  for (r in wrong) say("* ", gsub("\\s+", " ", substr(conditionMessage(r), 1, 300)))
  explained <- vapply(wrong, function(r) grepl("mashData|names\\(lines\\)", conditionMessage(r)), NA)
  if (!all(explained)) bad <<- TRUE
}

run_mr_mashr <- function() {
  if (!requireNamespace("flashier", quietly = TRUE)) {
    say("mr.mashr: not run, for want of flashier.")
    bad <<- TRUE
    return(invisible(NULL))
  }
  code <- parse(file.path(fetch("mr.mashr"), "R", "compute_covs.R"))
  driver <- function(package) {
    env <- list2env(as.list(getNamespace(package))[getNamespaceExports(package)], parent = globalenv())
    env <- new.env(parent = env)
    for (expr in code) eval(expr, env)
    env$compute_data_driven_covs
  }
  set.seed(1)
  J <- 600
  R <- 5
  B <- matrix(stats::rnorm(J), J, R) * rep(c(0, 2), each = J / 2) + rep(c(0, 1), J / 2) * matrix(stats::rnorm(J * R), J)
  Shat <- matrix(1, J, R)
  estimates <- list(Bhat = B + matrix(stats::rnorm(J * R), J), Shat = Shat)
  dimnames(estimates$Bhat) <- dimnames(estimates$Shat) <- list(paste0("e", seq_len(J)), paste0("c", seq_len(R)))
  made <- lapply(c(covmash = "covmash", mashr = "mashr"), function(package) {
    suppressWarnings(suppressMessages(driver(package)(estimates)))
  })
  # Given tag = NULL, mashr leaves the tag out of the names.
  made <- lapply(made, function(U) stats::setNames(U, sub("FLASH_(default)?", "FLASH_", names(U))))
  same <- identical(lapply(made$covmash, dim), lapply(made$mashr, dim))
  off <- if (same) max(mapply(function(a, b) max(abs(a - b)) / max(abs(b)), made$covmash, made$mashr)) else Inf
  say(
    "mr.mashr: compute_data_driven_covs() gives ", length(made$covmash), " matrices; the same names and shapes as with mashr: ",
    same, "; largest relative difference ", format(off, digits = 2), "."
  )
  if (!same || off > 1e-5) bad <<- TRUE
}

run_limorhyde2()
run_mr_mashr()
writeLines(lines, file.path(out, "clients.md"))
cat(lines, sep = "\n")
if (bad) quit(status = 1)
