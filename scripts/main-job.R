# The main job, from estimates to posteriors, on two data sets, with a report in HTML.
#   Rscript main-job.R [path of the report]

library(covmash)
library(ggplot2)

theme_set(theme_minimal(base_size = 10))

# ---- The job -------------------------------------------------------------------------------

# From a data object to posteriors; says and keeps how long each step took.
main_job <- function(data, prior, algorithm) {
  seconds <- numeric()
  timed <- function(step, value) {
    time <- system.time(force(value))[["elapsed"]]
    seconds[[step]] <<- time
    cat(sprintf("  %-58s %7.2f s\n", step, time))
    value
  }
  alone <- timed(
    sprintf("each condition alone: mash_1by1(prior = \"%s\")", prior),
    mash_1by1(data, prior = prior)
  )
  strong <- get_significant_results(alone)
  U_pca <- timed("principal components of the strong rows: cov_pca(npc = 5)", cov_pca(data, 5, subset = strong))
  U_ed <- timed(
    sprintf("deconvolution: cov_ed(algorithm = \"%s\")", algorithm),
    say_warnings(cov_ed(data, U_pca, subset = strong, algorithm = algorithm))
  )
  U_canonical <- cov_canonical(data)
  fits <- list(
    canonical = timed("mash, canonical matrices", mash(data, U_canonical, verbose = FALSE, outputlevel = 1)),
    deconvolved = timed("mash, deconvolved matrices", mash(data, U_ed, verbose = FALSE, outputlevel = 1)),
    both = timed("mash, both, with posteriors", mash(data, c(U_canonical, U_ed), verbose = FALSE))
  )
  list(
    data = data, alone = alone, strong = strong, fit = fits$both, seconds = seconds,
    n_matrices = c(canonical = length(U_canonical), deconvolved = length(U_ed)),
    loglik = vapply(fits, get_loglik, 0)
  )
}

# Warnings of covmash where they arise, as part of the text.
say_warnings <- function(value) {
  withCallingHandlers(value, covmash_warning = function(w) {
    cat(paste0("  ", strwrap(conditionMessage(w), 92), "\n"), sep = "")
    invokeRestart("muffleWarning")
  })
}

# ---- What was found ------------------------------------------------------------------------

largest <- function(weights, n) utils::head(sort(weights[weights > 1e-3], decreasing = TRUE), n)

findings <- function(job) {
  significant <- function(object) colSums(get_lfsr(object) < 0.05)
  list(
    strong = sprintf("%d of %d rows are significant in some condition, each taken alone",
                     length(job$strong), nrow(job$data$Bhat)),
    matrices = sprintf("%d covariance matrices: %d canonical, %d deconvolved",
                       sum(job$n_matrices), job$n_matrices[["canonical"]], job$n_matrices[["deconvolved"]]),
    loglik = data.frame(matrices = names(job$loglik), `log-likelihood` = sprintf("%.2f", job$loglik),
                        check.names = FALSE),
    components = as_table(
      largest(get_estimated_pi(job$fit, "all"), 8), c("component (matrix.scale)", "weight"), "%.4f"
    ),
    significant = data.frame(
      condition = colnames(job$data$Bhat),
      `each alone` = significant(job$alone), `by mash` = significant(job$fit),
      check.names = FALSE, row.names = NULL
    )
  )
}

as_table <- function(values, names, format) {
  stats::setNames(data.frame(names(values), sprintf(format, values)), names)
}

print_findings <- function(found) {
  indented <- function(table) cat(paste0("    ", utils::capture.output(print(table, row.names = FALSE))), sep = "\n")
  cat("\n  ", found$strong, "\n  ", found$matrices, "\n  Log-likelihoods:\n", sep = "")
  indented(found$loglik)
  cat("  Largest mixture components:\n")
  indented(found$components)
  cat("  Significant effects (lfsr < 0.05) by condition:\n")
  indented(found$significant)
}

# ---- The report ----------------------------------------------------------------------------

escape <- function(text) {
  for (pair in list(c("&", "&amp;"), c("<", "&lt;"), c(">", "&gt;"))) {
    text <- gsub(pair[1], pair[2], text, fixed = TRUE)
  }
  text
}

html_table <- function(table) {
  row <- function(cells, tag) {
    paste0("<tr>", paste0("<", tag, ">", escape(cells), "</", tag, ">", collapse = ""), "</tr>")
  }
  body <- apply(as.matrix(format(table)), 1, row, tag = "td")
  paste0("<table>", row(names(table), "th"), paste(body, collapse = ""), "</table>")
}

# A PNG inside the page, so that the report is one file; cairo needs no display.
html_picture <- function(plot, width, height, caption) {
  file <- tempfile(fileext = ".png")
  on.exit(unlink(file))
  type <- if (capabilities("cairo")) "cairo" else getOption("bitmapType")
  grDevices::png(file, width = width, height = height, units = "in", res = 110, type = type)
  print(plot)
  grDevices::dev.off()
  sprintf("<figure><img alt=\"%s\" src=\"%s\"><figcaption>%s</figcaption></figure>",
          escape(caption), knitr::image_uri(file), escape(caption))
}

html_section <- function(title, text, job, found) {
  many <- ncol(job$data$Bhat) > 20
  paste(c(
    sprintf("<h2>%s</h2><p>%s</p>", escape(title), escape(text)),
    sprintf("<p>%s.<br>%s.</p>", escape(found$strong), escape(found$matrices)),
    "<h3>Log-likelihoods</h3>", html_table(found$loglik),
    "<h3>Largest mixture components</h3>", html_table(found$components),
    html_picture(autoplot(job$fit, "weights", max_weights = 20), 7, 4,
                 "Mixture weights by covariance matrix, summed over scales; null is no effect at all."),
    "<h3>One effect across conditions</h3>",
    html_picture(autoplot(job$fit, "effect", effect = get_significant_results(job$fit)[1], data = job$data),
                 7, if (many) 9.5 else 3,
                 "The most significant effect: estimates and posterior means with 95 % intervals."),
    "<h3>Sharing between conditions</h3>",
    html_picture(autoplot(job$fit, "sharing"), if (many) 10 else 6, if (many) 9.5 else 5,
                 paste("Share of the effects significant in either of two conditions",
                       "whose posterior means agree within a factor of 2.")),
    "<h3>Significant effects (lfsr &lt; 0.05)</h3>", html_table(found$significant),
    "<h3>Time</h3>", html_table(as_table(job$seconds, c("step", "seconds"), "%.2f"))
  ), collapse = "\n")
}

style <- "body{font:15px/1.5 sans-serif;max-width:62em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;margin:.5em 0}td,th{border-bottom:1px solid #ccc;padding:.15em .8em;text-align:left}
img{max-width:100%}figure{margin:1em 0}figcaption{color:#555}"

write_report <- function(sections, path) {
  writeLines(c(
    "<!DOCTYPE html>", "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>covmash</title>",
    sprintf("<style>%s</style></head><body>", style),
    sprintf("<h1>covmash %s: effects in many conditions</h1>", utils::packageVersion("covmash")),
    sections, "</body></html>"
  ), path)
}

# ---- The two data sets ---------------------------------------------------------------------

notebook <- mash_set_data(mash_notebook$Bhat, mash_notebook$Shat)
examples <- list(
  list(
    title = "The notebook: 2000 simulated effects in 5 conditions",
    text = paste(
      "A quarter of the effects is null, a quarter independent, a quarter in one condition only, a quarter equal.",
      "Strong rows are those with an lfsr below 0.05 under a flat prior, as in the notebook;",
      sprintf("an adaptive prior finds %d.", length(get_significant_results(mash_1by1(notebook))))
    ),
    data = notebook,
    prior = "flat"
  ),
  list(
    title = "GTEx: z-scores of 500 eQTLs in 44 tissues",
    text = paste(
      "Z-scores have standard error 1. These pairs of gene and variant were chosen because they are strong,",
      "so that nearly every row is significant in some tissue, and the fit describes strong effects, not all effects."
    ),
    data = mash_set_data(gtex_z, Shat = 1),
    prior = "ash"
  )
)

arguments <- commandArgs(trailingOnly = TRUE)
report <- if (length(arguments)) arguments[1] else "covmash-demo.html"
started <- proc.time()[["elapsed"]]
sections <- vapply(examples, function(example) {
  cat("\n", example$title, "\n", paste0("  ", strwrap(example$text, 92), "\n"), "\n", sep = "")
  job <- main_job(example$data, example$prior, algorithm = "teem")
  found <- findings(job)
  print_findings(found)
  html_section(example$title, example$text, job, found)
}, "")
write_report(sections, report)
cat(sprintf("\nAll done in %.1f s. The report: %s\n", proc.time()[["elapsed"]] - started, normalizePath(report)))
