# What the scripts of one topic share: their command line, the page they write, and the files.
#
#   --quick, --smoke   small sizes: does everything work? The figures say nothing about speed
#   --out=DIR          where results go: bench/results, or _build/bench with --quick
#   --runs=5           measurements of each case, in turns; medians are reported

# `more`: further options of the script, by name with their defaults; `runs`: how many if nothing is said.
script_options <- function(more = list(), runs = 5) {
  opts <- utils::modifyList(list(out = "", runs = "", quick = "no"), more)
  for (arg in sub("^--smoke", "--quick", commandArgs(trailingOnly = TRUE))) {
    name <- gsub("-", "_", sub("^--([^=]*).*", "\\1", arg))
    if (!startsWith(arg, "--") || !name %in% names(opts)) {
      stop(
        "There is no option '", arg, "'; ", basename(script), " takes ",
        paste(vapply(names(opts), option_name, ""), collapse = ", "), ".", call. = FALSE
      )
    }
    opts[[name]] <- if (grepl("=", arg, fixed = TRUE)) sub("^[^=]*=", "", arg) else "yes"
  }
  opts$quick <- yes_or_no(opts$quick, "quick")
  opts$runs <- if (nzchar(opts$runs)) whole_number(opts$runs, "runs", 1) else if (opts$quick) 1 else runs
  # Seconds that a measurement of a short task fills.
  opts$least <- if (opts$quick) 0.02 else 0.5
  if (!nzchar(opts$out)) {
    opts$out <- if (opts$quick) file.path(top, "_build", "bench") else file.path(top, "bench", "results")
  }
  opts
}

# mashr and the BLAS read the number of threads when their process starts: start again if it is not set.
need_one_blas_thread <- function() {
  if (!identical(Sys.getenv("OMP_NUM_THREADS"), "1")) {
    quit(status = run_script(commandArgs(trailingOnly = TRUE), list(mashr_threads = 1)))
  }
}

need_covmash <- function() {
  if (!requireNamespace("covmash", quietly = TRUE)) {
    stop("covmash is not installed; run `make install` first.", call. = FALSE)
  }
}

# A fit with these weights, as mash_compute_vloglik() and the like take it.
with_weights <- function(fit, pi = fit$fitted_g$pi) {
  g <- fit$fitted_g
  g$pi[] <- pi
  list(fitted_g = g, alpha = 0)
}

equal_weights <- function(fit) with_weights(fit, 1 / length(fit$fitted_g$pi))

# `columns`: names to show with the columns of `frame` they come from, and digits as in house/writing.R; `labels`: how
# many of the first are words.
report_table <- function(title, frame, columns, labels = 1) {
  source <- sub(":.*", "", columns)
  digits <- ifelse(grepl(":", columns, fixed = TRUE), sub(".*:", "", columns), "")
  cells <- Map(function(name, digit) show_column(frame[[name]], digit), source, digits)
  body <- vapply(seq_len(nrow(frame)), function(i) markdown_row(vapply(cells, `[`, "", i)), "")
  c(
    paste("##", title), "", markdown_row(names(columns)),
    markdown_row(ifelse(seq_along(columns) <= labels, "---", "---:")), body, ""
  )
}

# Whether a goal is reached; NA where there is none.
at_most <- function(x, goal) ifelse(is.na(goal), NA, x <= goal)
at_least <- function(x, goal) ifelse(is.na(goal), NA, x >= goal)

report_head <- function(title, opts, about, version = covmash::covmash_info()$version) {
  info <- covmash::covmash_info()
  c(
    paste("#", title), "",
    if (opts$quick) c("**Quick run on small data: the figures say nothing about speed.**", ""),
    sprintf(
      "covmash %s, instruction set **%s**; %s; BLAS %s; %s, %d cores; %s.", version, info$simd, info$r,
      basename(info$blas), processor(), parallel::detectCores(), format(Sys.Date())
    ),
    about, ""
  )
}

# results: one data frame, or several by name, each a CSV file.
write_report <- function(name, results, text, opts) {
  dir.create(opts$out, recursive = TRUE, showWarnings = FALSE)
  if (is.data.frame(results)) {
    results <- stats::setNames(list(results), name)
  }
  for (file in names(results)) {
    utils::write.csv(results[[file]], file.path(opts$out, paste0(file, ".csv")), row.names = FALSE)
  }
  writeLines(text, file.path(opts$out, paste0(name, ".md")))
  writeLines(text)
  say("Written to ", file.path(opts$out, paste0(name, ".md")), " and .csv.")
}
