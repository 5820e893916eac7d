# What ran where, the CSV and the Markdown tables. A run of some workloads replaces their rows and keeps the others.

describe_run <- function(w, opts) {
  info <- covmash::covmash_info()
  data.frame(
    workload = w$name, what = w$what, J = w$J, R = w$R, shat = w$shat, seed = w$seed, mashr_rows = w$mashr_rows,
    mashr_threads = opts$mashr_threads, instruction_set = info$simd, processor = processor(),
    cores = parallel::detectCores(), memory_gb = machine_gb(), r = info$r, blas = basename(info$blas),
    covmash = info$version, mashr = unname(getNamespaceVersion("mashr")), date = format(Sys.Date())
  )
}

processor <- function() {
  if (!file.exists("/proc/cpuinfo")) {
    return(Sys.info()[["machine"]])
  }
  line <- grep("^model name", readLines("/proc/cpuinfo"), value = TRUE)
  if (length(line)) sub("^[^:]*: *", "", line[1]) else Sys.info()[["machine"]]
}

machine_gb <- function() {
  if (!file.exists("/proc/meminfo")) {
    return(NA_real_)
  }
  line <- grep("^MemTotal", readLines("/proc/meminfo"), value = TRUE)
  round(as.numeric(gsub("[^0-9]", "", line)) * 1024 / 1e9, 1)
}

say <- function(...) message(format(Sys.time(), "%H:%M:%S "), ...)

summary_line <- function(row) {
  goal <- if (!is.null(row$goal_ratio)) {
    sprintf("ratio %.0f, goal %.0f", row$ratio, row$goal_ratio)
  } else {
    sprintf("ratio %.0f on two threads, goal %.0f s", row$ratio_2_threads, row$goal_seconds)
  }
  sprintf(
    "%s: covmash %.3f s, two threads %.3f s, mashr %.2f s; %s: %s.", row$workload, row$covmash_seconds,
    row$covmash_2_threads_seconds, row$mashr_seconds, goal, if (row$reached) "reached" else "not reached"
  )
}

result_file <- function(opts, ending) file.path(opts$out, paste0("bench", ending))

write_results <- function(row, opts) {
  dir.create(opts$out, recursive = TRUE, showWarnings = FALSE)
  file <- result_file(opts, ".csv")
  results <- if (file.exists(file)) bind_rows(utils::read.csv(file), row) else row
  results <- results[!duplicated(results$workload, fromLast = TRUE), ]
  results <- results[order(match(results$workload, names(workloads))), ]
  # A file of its own first, so that a run stopped here does not leave half a table.
  utils::write.csv(results, paste0(file, ".new"), row.names = FALSE)
  file.rename(paste0(file, ".new"), file)
  writeLines(markdown(results, opts), result_file(opts, ".md"))
}

bind_rows <- function(x, y) {
  columns <- union(names(x), names(y))
  fill <- function(z) {
    z[setdiff(columns, names(z))] <- NA
    z[columns]
  }
  rbind(fill(x), fill(y))
}

# ---- Markdown ---------------------------------------------------------------

# A name with digits is shown with so many after the point; "g" is for numbers of any size.
tables <- list(
  "Seconds" = list(
    columns = c(
      "components" = "components", "covmash, 1 thread" = "covmash_seconds:3",
      "covmash, 2 threads" = "covmash_2_threads_seconds:3", "mashr" = "mashr_seconds:2", "mashr's rows" = "mashr_part",
      "mashr / covmash, 1 thread" = "ratio:0", "mashr / covmash, 2 threads" = "ratio_2_threads:0", "goal" = "goal",
      "reached" = "reached", "instruction set" = "instruction_set", "same bits" = "same_bits_2_threads"
    )
  ),
  "Processor seconds and runs" = list(
    columns = c(
      "covmash, 1 thread" = "covmash_cpu_seconds:3", "mashr" = "mashr_cpu_seconds:2", "runs, covmash" = "runs",
      "runs, mashr" = "mashr_runs", "minutes of the whole workload" = "minutes:1", "date" = "date"
    )
  ),
  "Objective, both computed by covmash" = list(
    columns = c(
      "log-likelihood, covmash" = "covmash_loglik:4", "log-likelihood, mashr" = "mashr_loglik:4",
      "objective, covmash" = "covmash_objective:4", "objective, mashr" = "mashr_objective:4",
      "covmash - mashr" = "objective_gain:g", "KKT violation, covmash" = "covmash_kkt_violation:g",
      "iterations, covmash" = "covmash_iterations", "iterations, mashr" = "mashr_iterations",
      "largest difference of a matrix" = "matrix_difference:g"
    )
  ),
  "Accuracy: largest differences from mashr with the same weights (1by1: each with its own)" = list(
    columns = c(
      "rows" = "agreement_rows", "log-likelihood" = "loglik_difference:g", "posterior mean" = "mean_difference:g",
      "posterior sd" = "sd_difference:g", "lfsr" = "lfsr_difference:g"
    ),
    only = "agreement_rows"
  ),
  "Accuracy: largest differences of covmash from the model in plain R" = list(
    columns = c(
      "rows" = "plain_rows", "log-likelihood, relative" = "plain_loglik_difference:g",
      "posterior mean" = "plain_mean_difference:g", "posterior sd" = "plain_sd_difference:g",
      "lfsr" = "plain_lfsr_difference:g"
    )
  ),
  "Peak memory of a process of its own, MB" = list(
    columns = c(
      "covmash" = "covmash_mb:0", "mashr" = "mashr_mb:0", "covmash / mashr" = "memory_ratio:3",
      "added by the run, covmash" = "covmash_added_mb:0", "added by the run, mashr" = "mashr_added_mb:0",
      "input" = "input_mb:0", "results" = "results_mb:0", "beyond both, covmash" = "beyond_mb:0", "goal" = "goal_mb:0",
      "goal counts" = "goal_memory", "reached" = "memory_reached"
    ),
    only = "covmash_mb"
  )
)

# What is shown but not stored: the goal in words, and which part of the rows mashr had.
for_reading <- function(results) {
  column <- function(name) if (is.null(results[[name]])) NA else results[[name]]
  results$goal <- ifelse(
    is.na(column("goal_ratio")), sprintf("%.0f s", column("goal_seconds")), sprintf("%.0f x", column("goal_ratio"))
  )
  part <- sprintf("%.0f, scaled", results$mashr_rows)
  too_large <- !is.na(column("mashr_mb")) & column("mashr_mb") > 1000 * results$memory_gb
  part[too_large %in% TRUE] <- paste0(part[too_large %in% TRUE], "; impossible here")
  results$mashr_part <- ifelse(results$mashr_rows < results$J, part, "all")
  results
}

show_column <- function(x, digits) {
  if (is.null(x)) {
    return("-")
  }
  if (is.logical(x)) {
    return(ifelse(is.na(x), "-", ifelse(x, "yes", "no")))
  }
  if (is.numeric(x)) {
    format <- if (digits == "g") "%.2g" else paste0("%.", if (nzchar(digits)) digits else "0", "f")
    x <- ifelse(is.na(x), "-", sprintf(format, x))
  }
  ifelse(is.na(x), "-", x)
}

markdown_row <- function(x) paste0("| ", paste(x, collapse = " | "), " |")

markdown_table <- function(title, table, results) {
  if (!is.null(table$only)) {
    results <- if (is.null(results[[table$only]])) results[0, ] else results[!is.na(results[[table$only]]), ]
  }
  source <- sub(":.*", "", table$columns)
  there <- vapply(source, function(name) any(!is.na(results[[name]])), NA)
  if (nrow(results) == 0 || !any(there)) {
    return(character())
  }
  digits <- ifelse(grepl(":", table$columns, fixed = TRUE), sub(".*:", "", table$columns), "")[there]
  cells <- Map(function(name, digit) show_column(results[[name]], digit), source[there], digits)
  label <- sprintf("%s: %s, %.0f x %d, Shat %s", results$workload, results$what, results$J, results$R, results$shat)
  body <- vapply(seq_along(label), function(i) markdown_row(c(label[i], vapply(cells, `[`, "", i))), "")
  c(
    paste("##", title), "", markdown_row(c("workload", names(table$columns)[there])),
    markdown_row(c("---", rep("---:", sum(there)))), body, ""
  )
}

markdown <- function(results, opts) {
  results <- for_reading(results)
  each <- function(name) paste(unique(results[[name]]), collapse = ", ")
  share <- unique(vapply(results$instruction_set, goal_share, 0))
  c(
    "# covmash against mashr", "",
    if (opts$quick) c("**Quick run on small data: the figures say nothing about speed.**", ""),
    sprintf(
      "covmash %s, instruction set **%s** (%s of the goals for AVX-512 holds here); mashr %s on %s thread(s); %s,",
      each("covmash"), each("instruction_set"), paste(share, collapse = ", "), each("mashr"), each("mashr_threads"),
      each("r")
    ),
    sprintf(
      "BLAS %s; %s, %s cores, %s GB; %s.", each("blas"), each("processor"), each("cores"), each("memory_gb"),
      each("date")
    ),
    "Medians of several runs, in turns in one process; bench/README.md says how to read the tables.",
    paste0("Seeds: ", paste0(results$workload, " ", results$seed, collapse = ", "), "."), "",
    unlist(Map(markdown_table, names(tables), tables, list(results)), use.names = FALSE),
    other_reports(opts)
  )
}

other_reports <- function(opts) {
  pages <- c(
    "accuracy.md" = "accuracy against quad precision, and mashr's",
    "peak.md" = "fraction of the machine's peak reached by each kernel",
    "curves.md" = "cost in J, R, K and L",
    "patterns.md" = "what missing data cost",
    "groups.md" = "effects that share their noise, by how many they are",
    "many.md" = "weights of many matrices at one scale",
    "deconvolution.md" = "deconvolution where the noise is not the same for all, and two threads",
    "pca.md" = "principal components of many effects",
    "against.md" = "this build against another one"
  )
  there <- pages[file.exists(file.path(opts$out, names(pages)))]
  if (length(there) == 0) {
    return(character())
  }
  c("## See also", "", sprintf("* [%s](%s): %s", names(there), names(there), there), "")
}
