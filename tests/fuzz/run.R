# Hostile and clumsy calls of everything that covmash exports. tests/fuzz/README.md says how to read the result.
#
#   Rscript tests/fuzz/run.R --calls=2000 --seed=1 [--dir=_build/fuzz/1] [--limit=20] [--jobs=1] [--quiet]
#   Rscript tests/fuzz/run.R --one=SEED [--target=NAME]
#
# Seeds of a run are (seed - 1) 1e6 + 1, 2, ... calls. A run goes on where it was stopped, from what is in `dir`.

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
home <- dirname(script)

read_options <- function() {
  given <- commandArgs(TRUE)
  known <- c("calls", "seed", "dir", "limit", "jobs", "one", "target", "worker", "to", "part", "quiet", "memory")
  out <- list(calls = "2000", seed = "1", limit = "20", jobs = "1", part = "2000", memory = "6000000")
  for (arg in given) {
    key <- sub("^--([a-z]+)(=.*)?$", "\\1", arg)
    if (!key %in% known) stop("unknown option ", arg, call. = FALSE)
    out[[key]] <- if (grepl("=", arg)) sub("^[^=]*=", "", arg) else "yes"
  }
  out
}

load_harness <- function() {
  suppressPackageStartupMessages(library(covmash))
  # No files of pictures.
  grDevices::pdf(NULL)
  options(covmash.progress = FALSE, warn = 1, cli.progress_show_after = 1e6)
  fuzz <- new.env(parent = globalenv())
  reference <- file.path(dirname(home), "testthat", "helper-reference.R")
  for (file in c(reference, file.path(home, c(
    "pools.R", "checks.R", "targets-mash.R", "targets-more.R", "targets-factor.R", "targets-advice.R", "calls.R"
  )))) {
    sys.source(file, fuzz)
  }
  fuzz
}

# ---- one call, shown ----------------------------------------------------------------

show_one <- function(options) {
  fuzz <- load_harness()
  only <- if (!is.null(options$target)) options$target
  made <- fuzz$fuzz_call(as.numeric(options$one), fuzz$choose_targets(), only)
  cat("seed", options$one, " ", made$drawn$name, " ", made$drawn$mode, "\n")
  if (is.null(made$drawn$failed)) {
    cat("\n", paste(deparse(made$ran$made$call), collapse = "\n"), "\n\n", sep = "")
    for (name in sort(ls(made$ran$made$env, all.names = TRUE))) {
      if (!startsWith(name, ".")) next
      cat(name, ": ", sep = "")
      utils::str(made$ran$made$env[[name]], give.attr = FALSE, vec.len = 8)
    }
    result <- made$ran$result
    cat("\n")
    if (!is.null(result$error)) {
      cat("error of class ", toString(class(result$error)), "\n", conditionMessage(result$error), "\n", sep = "")
    } else {
      utils::str(result$value, give.attr = FALSE, max.level = 2)
    }
    for (cnd in made$ran$warnings) cat("warning (", class(cnd)[1], "): ", conditionMessage(cnd), "\n", sep = "")
  }
  cat("\n", if (length(made$faults) == 0) "nothing wrong\n", sep = "")
  for (kind in names(made$faults)) cat("[", kind, "] ", paste(made$faults[[kind]], collapse = "\n    "), "\n", sep = "")
  quit(status = as.integer(any(!startsWith(as.character(names(made$faults)), "damaged"))))
}

# ---- a worker: seeds from one to another, a line for each ---------------------------------

work <- function(options) {
  fuzz <- load_harness()
  chosen <- fuzz$choose_targets()
  only <- if (!is.null(options$target)) options$target
  log <- file(options$worker, "a")
  now <- paste0(options$worker, ".now")
  for (seed in seq(as.numeric(options$seed), as.numeric(options$to))) {
    cat(seed, "\n", file = now)
    made <- fuzz$fuzz_call(seed, chosen, only)
    writeLines(fuzz$line_of(made$drawn, made$ran, made$faults), log)
    flush(log)
  }
  close(log)
}

# ---- the driver --------------------------------------------------------------------------------

done_seeds <- function(log) {
  if (!file.exists(log)) return(numeric())
  lines <- readLines(log, warn = FALSE)
  as.numeric(sub("\t.*", "", lines))
}

# A worker for the rest of a part, or NULL if nothing is left.
start_worker <- function(part, options) {
  left <- setdiff(seq(part$from, part$to), done_seeds(part$log))
  if (length(left) == 0) return(NULL)
  args <- c(
    script, paste0("--worker=", part$log), sprintf("--seed=%.0f", min(left)), sprintf("--to=%.0f", part$to),
    if (!is.null(options$target)) paste0("--target=", options$target)
  )
  # Hostile sizes must not take the machine's memory: allocations fail above the limit.
  limit <- if (options$memory == "0") "" else sprintf("ulimit -v %s; ", options$memory)
  command <- paste0(limit, "exec Rscript ", paste(shQuote(args), collapse = " "))
  unlink(paste0(part$log, ".now"))
  # For the workers only: A=1;B=2.
  extra <- strsplit(Sys.getenv("COVMASH_FUZZ_ENV"), ";", fixed = TRUE)[[1]]
  extra <- stats::setNames(sub("^[^=]*=", "", extra), sub("=.*", "", extra))
  processx::process$new(
    "bash", c("-c", command), stdout = paste0(part$log, ".out"), stderr = paste0(part$log, ".err"),
    env = c("current", extra), cleanup_tree = TRUE, supervise = TRUE
  )
}

# The call that a worker died on, or hung in, gets its line.
blame <- function(part, kind, text) {
  now <- paste0(part$log, ".now")
  seed <- if (file.exists(now)) as.numeric(readLines(now, 1, warn = FALSE)) else NA
  if (is.na(seed)) {
    cat(readLines(paste0(part$log, ".err"), warn = FALSE), sep = "\n", file = stderr())
    stop("a worker did not start", call. = FALSE)
  }
  # A line cut short by the crash is no line.
  errors <- utils::tail(readLines(paste0(part$log, ".err"), warn = FALSE), 5)
  errors <- grep("ERROR|runtime error|caught|\\*\\*\\*|assert", errors, value = TRUE)
  line <- paste(sprintf("%.0f", seed), "?", "?", kind, "NA", kind, paste(c(text, errors), collapse = " "), sep = "\t")
  cat(line, "\n", file = part$log, append = TRUE, sep = "")
}

drive <- function(options) {
  if (is.null(options$dir)) options$dir <- file.path(dirname(dirname(home)), "_build", "fuzz", options$seed)
  dir.create(options$dir, showWarnings = FALSE, recursive = TRUE)
  first <- (as.numeric(options$seed) - 1) * 1e6 + 1
  last <- first + as.numeric(options$calls) - 1
  size <- as.numeric(options$part)
  starts <- seq(first, last, by = size)
  parts <- lapply(starts, function(from) {
    list(from = from, to = min(from + size - 1, last), log = file.path(options$dir, sprintf("%.0f.log", from)))
  })
  limit <- as.numeric(options$limit)
  waiting <- parts
  running <- list()
  began <- Sys.time()
  on.exit(for (one in running) one$process$kill_tree())
  repeat {
    while (length(waiting) > 0 && length(running) < as.numeric(options$jobs)) {
      part <- waiting[[1]]
      waiting <- waiting[-1]
      process <- start_worker(part, options)
      if (is.null(process)) next
      running[[length(running) + 1]] <- list(part = part, process = process, since = Sys.time())
    }
    if (length(running) == 0) break
    Sys.sleep(0.1)
    keep <- rep(TRUE, length(running))
    for (i in seq_along(running)) {
      one <- running[[i]]
      now <- paste0(one$part$log, ".now")
      if (!one$process$is_alive()) {
        keep[i] <- FALSE
        status <- one$process$get_exit_status()
        if (identical(status, 3L)) {
          cat(readLines(paste0(one$part$log, ".err"), warn = FALSE), sep = "\n")
          quit(status = 3)
        }
        if (status != 0) {
          blame(one$part, "crash", paste("the process ended with status", status))
          waiting <- c(list(one$part), waiting)
        }
      } else {
        at <- if (file.exists(now)) file.info(now)$mtime else one$since + 60
        if (!is.na(at) && difftime(Sys.time(), at, units = "secs") > limit) {
          keep[i] <- FALSE
          one$process$kill_tree()
          one$process$wait(5000)
          blame(one$part, "hang", paste("longer than", limit, "s"))
          waiting <- c(list(one$part), waiting)
        }
      }
    }
    running <- running[keep]
  }
  report(parts, options, as.numeric(difftime(Sys.time(), began, units = "secs")))
}

report <- function(parts, options, seconds) {
  lines <- unlist(lapply(parts, function(part) readLines(part$log, warn = FALSE)))
  fields <- strsplit(lines, "\t", fixed = TRUE)
  field <- function(i) vapply(fields, function(f) if (length(f) >= i) f[i] else "", "")
  table <- data.frame(
    seed = field(1), name = field(2), mode = field(3), outcome = field(4),
    seconds = suppressWarnings(as.numeric(field(5))), kinds = field(6), text = field(7), stringsAsFactors = FALSE
  )
  table <- table[!duplicated(table$seed, fromLast = TRUE), ]
  kinds <- strsplit(table$kinds, ",", fixed = TRUE)
  failed <- vapply(kinds, function(k) any(k != "ok" & !startsWith(k, "damaged")), NA)
  cat(sprintf(
    "%d calls of %d functions and methods, %.0f s (%.1f a second of this run; in the calls themselves %.0f s)\n",
    nrow(table), length(unique(table$name)), seconds, nrow(table) / max(seconds, 0.1), sum(table$seconds, na.rm = TRUE)
  ))
  print(table(mode = table$mode, outcome = table$outcome))
  counts <- sort(table(unlist(kinds)), decreasing = TRUE)
  cat("\nBy kind:\n")
  for (kind in names(counts)) {
    cat(sprintf("  %-26s %7d  (%.3f %%)\n", kind, counts[[kind]], 100 * counts[[kind]] / nrow(table)))
  }
  slow <- table[order(-table$seconds), ][seq_len(min(3, nrow(table))), ]
  cat("\nSlowest: ", paste0(slow$name, " ", slow$seconds, " s (seed ", slow$seed, ")", collapse = ", "), "\n", sep = "")
  if (any(failed)) {
    cat("\nFaults (each again by Rscript tests/fuzz/run.R --one=SEED):\n")
    bad <- table[failed, ]
    shown <- if (is.null(options$quiet)) nrow(bad) else min(20, nrow(bad))
    for (i in seq_len(shown)) cat(bad$seed[i], bad$name[i], bad$mode[i], substr(bad$text[i], 1, 400), "\n")
    if (shown < nrow(bad)) cat("... and", nrow(bad) - shown, "more\n")
  }
  cat(sprintf("Fuzz: %d passed, %d failed, 0 skipped\n", sum(!failed), sum(failed)))
  quit(status = as.integer(any(failed)))
}

options_given <- read_options()
if (!is.null(options_given$one)) {
  show_one(options_given)
} else if (!is.null(options_given$worker)) {
  work(options_given)
} else {
  drive(options_given)
}
