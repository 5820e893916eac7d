# What scripts/slurm-loopback --fit runs, with a Slurm at hand: a study in files is fitted by daemons of mirai that are
# jobs, one of which is cancelled while it has a segment, and its posteriors are written by a job array. Stops with an
# error if anything differs from what one process does. Its argument is the folder of the scripts.
lacking <- Filter(function(package) !requireNamespace(package, quietly = TRUE), c("mirai", "nanoparquet"))
if (length(lacking) > 0L) {
  cat("skipped: not installed:", lacking, "\n")
  quit(status = 0)
}
source(file.path(commandArgs(TRUE)[1], "slurm-tools.R"))
in_folder <- function(...) file.path(folder, ...)
queue <- function(name) {
  slurm("squeue", "--states=all", "--sort=i", paste0("--name=", name), "--format='%.8i %.15j %.10T %.6M %.9N'")
}
timeless <- function(x) x[names(x) != "seconds"]
versions <- vapply(c("covmash", "mirai", "nanoparquet"), function(name) format(packageVersion(name)), "")
say(paste(names(versions), versions, collapse = ", "), ", R ", format(getRversion()))
show(slurm("sinfo"))

# ---- the study: 20,000 x 6; standard errors of their own in three rows of ten; patterns of missing estimates that
# many rows share, and such as few do

make_study <- function() {
  set.seed(1)
  B <- simple_sims(5000, 6, err_sd = 0.5)$B
  J <- nrow(B)
  Shat <- matrix(0.5, J, 6, dimnames = list(paste0("e", seq_len(J)), paste0("tissue", 1:6)))
  own <- sample(J, 0.3 * J)
  Shat[own, ] <- runif(6 * length(own), 0.3, 1)
  V <- 0.8 * diag(6) + 0.2
  Bhat <- B + Shat * matrix(rnorm(6 * J), J) %*% chol(V)
  Bhat[sample(J, 0.1 * J), 2] <- NA
  Bhat[sample(J, 0.1 * J), 5:6] <- NA
  Bhat[cbind(sample(J, 200), sample(6, 200, replace = TRUE))] <- NA
  Shat[is.na(Bhat)] <- NA
  write_source(mash_set_data(Bhat, Shat), in_folder("study"), rows_per_file = 7000)
  mash_source(in_folder("study"), Bhat = "bhat_", Shat = "shat_", id = "id", V = V, segment_rows = 2048)
}
src <- make_study()
Ulist <- c(suppressMessages(cov_canonical(src)), list(shared = 0.9 + 0.1 * diag(6)))
say("a study of ", nrow(src), " x ", ncol(src), " in ", length(dir(in_folder("study"))), " Parquet files, ",
    covmash:::n_segments(src), " segments")

# ---- the fit: here, then by two jobs

# A sample so small that one pass over the study is not enough.
sample_rows <- 2500
look <- summary(src, sample_rows = sample_rows, n_threads = 2)
noise <- look$noise
say(noise$n_shared_rows, " effects share their noise with others, ", noise$n_row_specific, " have their own; ",
    noise$n_missing, " estimates are missing")
here <- mash(look, Ulist, verbose = FALSE, n_threads = 2)
say("fitted here: ", length(here$fitted_g$pi), " components, ", nrow(here$source$passes), " passes")

listen()
launch(2)
ensure("two jobs are connected", until(function() connections() == 2L))
victim <- running()[1]
show(queue("covmash-daemon"))

# When told to, the job that will be cancelled waits before its next segment, as for a disk that does not answer, and
# says so: it has one for certain when it is cancelled.
gate <- in_folder("wait")
held <- in_folder("waits")
wait_for_cancel <- bquote(if (Sys.getenv("SLURM_JOB_ID") == .(victim) && file.exists(.(gate))) {
  file.create(.(held))
  Sys.sleep(600)
})
hold <- mirai::everywhere(
  trace("pass_over_segment", wait, where = asNamespace("covmash"), print = FALSE),
  .args = list(wait = wait_for_cancel), .compute = profile
)
ensure("they are ready", until(function() !any(vapply(hold, mirai::unresolved, NA))))

cancel_when_it_waits <- function() {
  file.create(gate)
  command <- sprintf("while [ -d '%s' ] && ! [ -e '%s' ]; do sleep 0.1; done; scancel %s", folder, held, victim)
  system2("sh", c("-c", shQuote(command)), wait = FALSE)
  say("job ", victim, " is to be cancelled in the next pass")
}

lost <- 0
follow <- function(message) {
  text <- trimws(gsub("[[:space:]]+", " ", conditionMessage(message)))
  say("  ", text)
  if (grepl("^Pass 1:", text)) cancel_when_it_waits()
  if (inherits(message, "covmash_message_cluster")) {
    lost <<- lost + 1
    show(queue("covmash-daemon"))
    launch(1)
    say("another job is submitted")
  }
  invokeRestart("muffleMessage")
}
checkpoint <- in_folder("fit.checkpoint")
look_there <- summary(src, cluster = profile, sample_rows = sample_rows, n_threads = 1)
ensure("the look at the study by two jobs has the same bits", identical(timeless(look), timeless(look_there)))
there <- withCallingHandlers(
  mash(look_there, Ulist, cluster = profile, checkpoint = checkpoint, n_threads = 1),
  message = follow
)
ensure("a segment was lost with its job in the middle of a pass, and done again", lost > 0)
ensure("another job took the place of the lost one", until(function() connections() == 2L))
show(queue("covmash-daemon"))
mirai::daemons(0, .compute = profile)
ensure("the jobs end with the daemons", until(function() length(running()) == 0L))

digits <- function(x) sprintf("%.17g", x)
say("objective here ", digits(here$convergence$objective), ", by jobs ", digits(there$convergence$objective))
say("largest KKT violation here ", digits(here$convergence$kkt_violation), ", by jobs ",
    digits(there$convergence$kkt_violation))
ensure("both converged", here$convergence$converged && there$convergence$converged)
ensure("identical() pi", identical(here$fitted_g$pi, there$fitted_g$pi))
ensure("identical() objective", identical(here$convergence$objective, there$convergence$objective))
ensure("identical() log-likelihood", identical(here$loglik, there$loglik))
again <- mash(look, Ulist, checkpoint = checkpoint, verbose = FALSE)
ensure(
  "identical() from the checkpoint of the jobs, here",
  identical(again$fitted_g, here$fitted_g) && identical(again$convergence, here$convergence)
)

# ---- the posteriors: here, then by a job array, each of whose tasks knows source, fit and its number

out_here <- mash_posterior(src, here, in_folder("posterior-here"), n_threads = 2)
saveRDS(src, in_folder("src.rds"))
saveRDS(there, in_folder("fit.rds"))
writeLines(c(
  "folder <- commandArgs(TRUE)",
  "library(covmash)",
  "src <- readRDS(file.path(folder, \"src.rds\"))",
  "fit <- readRDS(file.path(folder, \"fit.rds\"))",
  "out <- mash_posterior(",
  "  src, fit, write_to = file.path(folder, \"posterior\"), part = \"SLURM_ARRAY_TASK_ID\", n_parts = 3",
  ")",
  "print(out)"
), in_folder("part.R"))
script <- in_folder("array.sh")
writeLines(c("#!/bin/sh", paste(file.path(R.home("bin"), "Rscript"), in_folder("part.R"), folder)), script)
output <- paste0("--output=", in_folder("array-%a.txt"))
array <- slurm("sbatch", "--parsable", "--array=1-3", "--job-name=covmash-array", output, script)
say("job array ", array, " of three")
under_way <- c("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")
is_done <- function(states) length(states) == 3L && !any(states %in% under_way)
states <- function() {
  slurm("squeue", "--noheader", "--array", "--states=all", paste0("--jobs=", array), "--format=%T")
}
if (until(function() "RUNNING" %in% states() || is_done(states()))) show(queue("covmash-array"))
ensure("the jobs of the array have ended", until(function() is_done(states())))
show(queue("covmash-array"))
ensure("none of them failed", all(states() == "COMPLETED"))

out <- mash_output(in_folder("posterior"), verify = TRUE)
say(format(out))
ensure("every piece is complete", all(out$pieces$state == "complete") && nrow(out$pieces) == covmash:::n_segments(src))
sums <- function(name) {
  files <- dir(in_folder(name), "[.]parquet$", full.names = TRUE)
  stats::setNames(unname(tools::md5sum(files)), basename(files))
}
show(paste(sums("posterior"), names(sums("posterior"))))
ensure("equal md5 of all files", identical(sums("posterior"), sums("posterior-here")))
ensure(
  "the same effects are significant",
  identical(get_significant_results(out), get_significant_results(out_here))
)
cat("All passed.\n")
