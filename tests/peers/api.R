# Every export and argument of mashr, and of the accessors it borrows from ashr: what they are in covmash.
#
#   Rscript tests/peers/api.R > tests/peers/api.md
#
# Exit status 1 if there is something that is neither the same nor explained here.

suppressPackageStartupMessages({
  library(mashr)
  library(ashr)
})

accessors <- c(
  "get_lfsr", "get_lfdr", "get_pm", "get_psd", "get_np", "get_pp", "get_loglik", "get_logLR", "get_fitted_g", "get_pi0",
  "get_svalue", "get_qvalue", "get_post_sample"
)

# Accepted, and of no effect, because there is nothing left that they could say.
ignored <- c("add.mem.profile", "algorithm.version")

different <- list(
  extreme_deconvolution = "not there: cov_ed() is the deconvolution; projections, means and split-and-merge are not wanted",
  ash = "not there: mash_1by1() is adaptive shrinkage of one condition",
  "mash$seed" = "NULL, not 123: set.seed() governs the draws, and the user's generator is never reset",
  "mash_compute_posterior_matrices$seed" = "NULL, not 123: set.seed() governs the draws",
  "mash$optmethod" = "\"newton\" first, our own solver; all of mashr's are accepted",
  "mash_estimate_corr_em$tol" = "NULL, not 1: the stopping rule is relative (rel_tol), whatever the number of effects",
  "mash_1by1$..." = "arguments of ash() that mean something here are honoured, others are ignored with a warning",
  "mash_plot_meta$..." = "labels, colors and xlim of rmeta's metaplot; a ggplot2 plot",
  "get_pi0$..." = "also for a fit of mash()",
  "get_post_sample$..." = "of fits of ash(), by ashr; draws of mash() are had by posterior_samples and get_samples()"
)

same_default <- function(a, b) {
  plain <- function(x) gsub("[\"']", "'", gsub("\\s+", " ", paste(deparse(x), collapse = " ")))
  plain(a) == plain(b)
}

row_of <- function(name, argument, status, why = "") {
  data.frame(name = name, argument = argument, status = status, why = why)
}

compare <- function(name, theirs) {
  if (!exists(name, asNamespace("covmash"), mode = "function") || !name %in% getNamespaceExports("covmash")) {
    return(row_of(name, "", if (is.null(different[[name]])) "MISSING" else "different", c(different[[name]], "")[1]))
  }
  ours <- formals(get(name, asNamespace("covmash")))
  their <- formals(theirs)
  rows <- lapply(names(their), function(argument) {
    key <- paste0(name, "$", argument)
    known <- different[[key]]
    if (argument %in% ignored) return(row_of(name, argument, "ignored", "accepted; there is one implementation"))
    # Accessors take the fit first, whatever it is called.
    if (name %in% accessors && argument == names(their)[1]) return(row_of(name, argument, "same", "the first argument"))
    if (!argument %in% names(ours)) {
      return(row_of(name, argument, if (is.null(known)) "MISSING" else "different", c(known, "")[1]))
    }
    if (!is.null(known)) return(row_of(name, argument, "different", known))
    if (!same_default(ours[[argument]], their[[argument]])) {
      return(row_of(name, argument, "DEFAULT", paste(deparse(their[[argument]]), "->", deparse(ours[[argument]]))))
    }
    row_of(name, argument, "same")
  })
  rows <- do.call(rbind, rows)
  shared <- intersect(names(their), names(ours))
  in_order <- identical(shared, intersect(names(ours), names(their)))
  if (!in_order) rows <- rbind(rows, row_of(name, "", "ORDER", "arguments in another order"))
  added <- setdiff(names(ours), names(their))
  if (length(added) > 0) rows <- rbind(rows, row_of(name, paste(added, collapse = ", "), "added", "after mashr's"))
  rows
}

rows <- c(
  lapply(sort(getNamespaceExports("mashr")), function(name) compare(name, get(name, asNamespace("mashr")))),
  lapply(accessors, function(name) compare(name, get(name, asNamespace("ashr")))), list(compare("ash", ashr::ash))
)
table <- do.call(rbind, rows)
cat("# mashr's exports and arguments in covmash\n\n")
cat("Made by `tests/peers/api.R` against mashr ", format(utils::packageVersion("mashr")), " and ashr ",
  format(utils::packageVersion("ashr")), ".\n\n", sep = "")
counts <- table(table$status)
cat(paste0(names(counts), " ", counts, collapse = ", "), ".\n\n", sep = "")
cat("| function | argument | in covmash | |\n|---|---|---|---|\n")
for (i in seq_len(nrow(table))) {
  cat("| `", table$name[i], "` | ", if (nzchar(table$argument[i])) paste0("`", table$argument[i], "`"), " | ", table$status[i],
    " | ", gsub("|", "\\|", table$why[i], fixed = TRUE), " |\n", sep = "")
}
unexplained <- table$status %in% c("MISSING", "DEFAULT", "ORDER")
if (any(unexplained)) {
  message(paste(capture.output(print(table[unexplained, ])), collapse = "\n"))
  quit(status = 1)
}
