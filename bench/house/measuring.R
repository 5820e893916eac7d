# Time and memory.

# The value of an expression, its seconds, and the processor seconds it used; others' work on a busy machine shows as
# a difference between the two.
timed <- function(expr) {
  taken <- system.time(value <- expr)
  list(value = value, seconds = taken[["elapsed"]], cpu = taken[["user.self"]] + taken[["sys.self"]])
}

# The clock has milliseconds: a short task is repeated until it has taken half a second in all.
timed_well <- function(run, least = 0.5) {
  first <- timed(run())
  times <- min(50, ceiling(least / max(first$seconds, 0.005)))
  if (first$seconds > least / 2 || times < 2) {
    return(first)
  }
  taken <- system.time(for (i in seq_len(times)) first$value <- run())
  first$seconds <- taken[["elapsed"]] / times
  first$cpu <- (taken[["user.self"]] + taken[["sys.self"]]) / times
  first
}

middle <- function(runs, what = "seconds") stats::median(vapply(runs, `[[`, 0, what))

forget <- function(runs) lapply(runs, `[`, c("seconds", "cpu"))

last_value <- function(runs) runs[[length(runs)]]$value

# Functions without arguments, by name, each once a round, so that others' work meets all of them alike. The last value
# of each and the medians.
in_turns <- function(cases, runs, least = 0.5) {
  rounds <- lapply(cases, function(run) list())
  values <- lapply(cases, function(run) NULL)
  for (i in seq_len(runs)) {
    for (name in names(cases)) {
      run <- timed_well(cases[[name]], least)
      values[[name]] <- run$value
      rounds[[name]] <- c(rounds[[name]], forget(list(run)))
    }
  }
  list(
    values = values, cpu = vapply(rounds, middle, 0, what = "cpu"), seconds = vapply(rounds, middle, 0)
  )
}

# Turns: covmash on one thread, mashr, covmash on two threads. Only the last value of each is kept.
take_turns <- function(ours, theirs, opts) {
  one <- two <- peer <- list()
  peer_runs <- if (opts$mashr_runs == "auto") 3 else as.integer(opts$mashr_runs)
  for (i in seq_len(max(opts$runs, peer_runs))) {
    if (i <= opts$runs) {
      one <- c(forget(one), list(timed_well(function() run_side("covmash", ours, 1))))
    }
    if (i <= peer_runs) {
      peer <- c(forget(peer), list(timed(run_side("mashr", theirs))))
      if (opts$mashr_runs == "auto" && peer[[i]]$seconds > 60) {
        peer_runs <- i
      }
    }
    if (i <= opts$runs) {
      two <- c(forget(two), list(timed_well(function() run_side("covmash", ours, 2))))
    }
  }
  list(one = one, two = two, peer = peer)
}

time_columns <- function(turns, scale) {
  data.frame(
    covmash_seconds = middle(turns$one), covmash_cpu_seconds = middle(turns$one, "cpu"),
    covmash_2_threads_seconds = middle(turns$two), mashr_seconds = scale * middle(turns$peer),
    mashr_cpu_seconds = scale * middle(turns$peer, "cpu"), runs = length(turns$one), mashr_runs = length(turns$peer),
    ratio = scale * middle(turns$peer) / middle(turns$one),
    ratio_2_threads = scale * middle(turns$peer) / middle(turns$two),
    same_bits_2_threads = same_bits(last_value(turns$one), last_value(turns$two))
  )
}

# Of fits all but the seconds they note.
same_bits <- function(x, y) {
  if (!is.null(x$timing)) {
    x$timing <- y$timing <- NULL
  }
  identical(x, y)
}

# The peak of a process that loads one package, reads the inputs and runs once on one thread: of the process, and of the
# run alone (what was resident before is taken off).
peak_of_side <- function(package, inputs) {
  loadNamespace(package)
  inputs <- set_data(package, inputs)
  was_reset <- reset_peak()
  before <- resident_mb()
  value <- run_side(package, inputs, 1)
  peak <- peak_mb()
  c(peak = peak, added = if (was_reset) peak - before else NA)
}

# A side that got a part of the rows: what the run adds is scaled, what was there before is that of all rows.
memory_columns <- function(inputs, part, w, opts) {
  inputs$fit <- strip_fit(inputs$fit)
  part$fit <- strip_fit(part$fit)
  ours <- ask_child("covmash", inputs, w, opts)
  theirs <- ask_child("mashr", part, w, opts)
  scale <- nrow(inputs$Bhat) / nrow(part$Bhat)
  theirs <- c(peak = theirs[["peak"]] + (scale - 1) * theirs[["added"]], added = scale * theirs[["added"]])
  data.frame(
    covmash_mb = ours[["peak"]], mashr_mb = theirs[["peak"]], memory_ratio = ours[["peak"]] / theirs[["peak"]],
    covmash_added_mb = ours[["added"]], mashr_added_mb = theirs[["added"]]
  )
}

strip_fit <- function(fit) if (is.null(fit)) NULL else fit[c("fitted_g", "alpha")]
