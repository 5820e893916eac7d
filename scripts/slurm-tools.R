# What the scripts for scripts/slurm-loopback share: a log, commands of Slurm, and daemons of mirai that are its jobs.
library(covmash)
profile <- "slurm"
folder <- tempfile("slurm-loopback")
dir.create(folder)

# Jobs find the packages where this session does.
Sys.setenv(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))

# A log that can be kept: it does not name this machine or its folders.
clean <- function(text) {
  text <- gsub(tempdir(), "<tmp>", gsub(folder, "<folder>", text, fixed = TRUE), fixed = TRUE)
  host <- Sys.info()[["nodename"]]
  if (host == "localhost") return(text)
  gsub(paste0("\\b\\Q", host, "\\E\\b"), "<host>", text, perl = TRUE)
}
began <- proc.time()[["elapsed"]]
say <- function(...) cat(clean(paste0(sprintf("%5.1f s  ", proc.time()[["elapsed"]] - began), ...)), "\n", sep = "")
show <- function(lines) cat(paste0("         ", clean(lines), "\n"), sep = "")
ensure <- function(what, ok) {
  if (isTRUE(ok)) {
    return(say(what, ": yes"))
  }
  for (file in dir(folder, "[.]txt$", full.names = TRUE)) {
    cat("-- ", basename(file), "\n", paste0(clean(readLines(file, warn = FALSE)), "\n"), sep = "")
  }
  stop(what, ": no", call. = FALSE)
}

slurm <- function(command, ...) {
  out <- suppressWarnings(system2(command, c(...), stdout = TRUE, stderr = TRUE))
  if (!is.null(attr(out, "status"))) stop(command, ": ", paste(out, collapse = "\n"), call. = FALSE)
  out
}
running <- function() slurm("squeue", "--noheader", "--name=covmash-daemon", "--states=R", "--format=%A")
until <- function(ok, seconds = 60) {
  for (k in seq_len(5 * seconds)) {
    if (ok()) return(TRUE)
    Sys.sleep(0.2)
  }
  FALSE
}

# Jobs of one task each, whose daemons connect to this session by TLS.
listen <- function() {
  mirai::daemons(url = sub("^tcp", "tls+tcp", mirai::local_url(tcp = TRUE)), .compute = profile)
  say("daemons listen at ", mirai::status(profile)$daemons)
}
launch <- function(n) {
  jobs <- mirai::cluster_config(
    "sbatch",
    options = paste0(
      "#SBATCH --job-name=covmash-daemon\n#SBATCH --cpus-per-task=1\n#SBATCH --output=", folder, "/daemon-%j.txt"
    ),
    rscript = file.path(R.home("bin"), "Rscript")
  )
  invisible(mirai::launch_remote(n, remote = jobs, .compute = profile))
}
connections <- function() mirai::status(profile)$connections
