# What scripts/slurm-loopback --self-test runs, with a Slurm at hand: tasks on daemons of mirai that are jobs, one of
# which is cancelled and replaced, and a job array. Stops with an error if anything differs from what is computed here.
# Its argument is the folder of the scripts.
source(file.path(commandArgs(TRUE)[1], "slurm-tools.R"))

sum_of <- function(task, common) {
  Sys.sleep(0.3)
  sum(common$x * sin(task))
}
environment(sum_of) <- globalenv()
set.seed(1)
common <- list(x = rnorm(1e6))
tasks <- as.list(1:16)
here <- covmash:::run_tasks(tasks, function(task, common) sum(common$x * sin(task)), common)

listen()
launch(2)

there <- covmash:::run_tasks(tasks, sum_of, common, profile)
ensure("tasks on daemons of mirai have the same bits", identical(there, here))
ensure("two jobs are connected", until(function() connections() == 2L))
print(covmash:::check_workers(profile))

cancelled <- NULL
there <- covmash:::run_tasks(tasks, sum_of, common, profile, done = function(i, result) {
  if (is.null(cancelled)) {
    cancelled <<- running()[1]
    slurm("scancel", cancelled)
    say("job ", cancelled, " is cancelled after the first task")
  }
})
ensure("the same bits with one job cancelled in the middle", identical(there, here))
ensure("one job is left", until(function() length(running()) == 1L && connections() == 1L))

launch(1)
ensure("another takes its place", until(function() connections() == 2L))
ensure("the same bits again", identical(covmash:::run_tasks(tasks, sum_of, common, profile), here))
mirai::daemons(0, .compute = profile)
ensure("the jobs end with the daemons", until(function() length(running()) == 0L))

# Each task of the array is a line of R that knows its number and nothing else.
line <- paste0(
  "task <- as.integer(Sys.getenv(\"SLURM_ARRAY_TASK_ID\")); set.seed(1); ",
  "common <- list(x = rnorm(1e6)); ",
  "result <- covmash:::run_tasks(list(task), function(task, common) sum(common$x * sin(task)), common); ",
  "saveRDS(result[[1]], paste0(\"", folder, "/part-\", task, \".rds\"))"
)
script <- file.path(folder, "array.sh")
writeLines(c("#!/bin/sh", paste0(file.path(R.home("bin"), "Rscript"), " -e '", line, "'")), script)
submitted <- slurm("sbatch", "--wait", "--array=1-3", paste0("--output=", folder, "/array-%a.txt"), script)
say(submitted)
parts <- lapply(file.path(folder, paste0("part-", 1:3, ".rds")), readRDS)
ensure("a job array of three has the same bits", identical(parts, here[1:3]))
cat("All passed.\n")
