# Functions of tasks travel: they have nothing of the tests in them.
travelling <- function(f) {
  environment(f) <- globalenv()
  f
}

# A task that does what it is told.
#   wait: seconds; until: how many workers must have been seen in common$dir before it ends.
#   signal, once: sends it to itself, unless the file `once` is there; says, warns, fails: words.
obedient <- travelling(function(task, common) {
  if (!is.null(common$dir)) file.create(file.path(common$dir, Sys.getpid()))
  if (!is.null(task$signal) && !file.exists(task$once)) {
    file.create(task$once)
    tools::pskill(Sys.getpid(), task$signal)
    Sys.sleep(30)
  }
  if (!is.null(task$until)) {
    for (k in 1:600) {
      if (length(dir(common$dir)) >= task$until) break
      Sys.sleep(0.05)
    }
  }
  if (!is.null(task$wait)) Sys.sleep(task$wait)
  if (!is.null(task$warns)) warning(task$warns)
  if (!is.null(task$fails)) {
    rlang::abort(task$fails, class = c("covmash_error_source", "covmash_error"), row = task$i)
  }
  sum(common$x * sin(task$i))
})

common_of_tasks <- function(...) list(x = withr::with_seed(1, rnorm(1e5)), ...)

tasks_of <- function(n, ...) lapply(seq_len(n), function(i) list(i = i, ...))

# As tasks_of(), with task k killing its worker, the first time.
killing_tasks <- function(n, k, wait = 0.05, signal = tools::SIGKILL) {
  tasks <- tasks_of(n, wait = wait)
  tasks[[k]] <- c(tasks[[k]], list(signal = signal, once = tempfile("once")))
  tasks
}

expected <- function(n) lapply(seq_len(n), function(i) sum(common_of_tasks()$x * sin(i)))

# Workers find the package where this session has it.
local_library <- function(frame = parent.frame()) {
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep), .local_envir = frame)
}

skip_without_engines <- function(frame = parent.frame()) {
  skip_on_cran()
  skip_on_os("windows")
  skip_if_not_installed("mirai")
  local_library(frame)
}

local_daemons <- function(n, ..., frame = parent.frame()) {
  profile <- "covmash-test"
  mirai::daemons(n, ..., .compute = profile)
  withr::defer(mirai::daemons(0, .compute = profile), frame)
  profile
}

# Three that two tests use, of which the second ends them.
shared_daemons <- function() {
  profile <- "covmash-test-shared"
  if (mirai::status(profile)$connections == 0L) mirai::daemons(3, .compute = profile)
  profile
}

local_nodes <- function(n, frame = parent.frame(), make = parallel::makePSOCKcluster) {
  cluster <- make(n)
  # The connection of a node that has been lost stays open otherwise.
  end <- function(k) {
    try(parallel::stopCluster(cluster[k]), silent = TRUE)
    try(close(cluster[[k]]$con), silent = TRUE)
  }
  withr::defer(lapply(seq_len(n), end), frame)
  cluster
}

# Calls of done() are counted, one for each task.
counting <- function() {
  seen <- integer()
  list(done = function(i, result) seen <<- c(seen, i), seen = function() seen)
}

# ---- here --------------------------------------------------------------------

test_that("without a cluster tasks are done here, in their order", {
  count <- counting()
  tasks <- tasks_of(3)
  names(tasks) <- c("a", "b", "c")
  result <- run_tasks(tasks, obedient, common_of_tasks(), done = count$done)
  expect_identical(unname(result), expected(3))
  expect_named(result, c("a", "b", "c"))
  expect_identical(count$seen(), 1:3)
  expect_identical(run_tasks(list(), obedient, NULL), list())
  expect_identical(run_tasks(list(1, 2), function(task, common) if (task == 1) 5, NULL), list(5, NULL))
})

test_that("the function of a task may be one of the package, by its name", {
  expect_identical(run_tasks(list(3, 4), "max", 5), list(5, 5))
  expect_identical(run_tasks(list(1234), "plural", "row"), list("1234 rows"))
})

test_that("a task's error says which task it is of and keeps its class and fields", {
  tasks <- tasks_of(3)
  tasks[[2]]$fails <- "File x, row 7: not a number {sic}."
  count <- counting()
  error <- expect_error(
    run_tasks(tasks, obedient, common_of_tasks(), what = "part", done = count$done),
    "Part 2: File x, row 7: not a number {sic}.", fixed = TRUE, class = "covmash_error_source"
  )
  expect_s3_class(error, "covmash_error_task")
  expect_identical(error$row, 2L)
  expect_identical(count$seen(), 1L)
  # Errors of R's own, as that of a time limit, pass here.
  expect_error(run_tasks(list(1), function(task, common) stop("reached elapsed time limit"), NULL), "^reached elapsed")
})

test_that("tasks are done in the instruction set that is asked for", {
  in_use <- cpp_simd()
  used <- function(task, common) cpp_simd()
  other <- cpp_simd_available()[1]
  expect_identical(run_tasks(list(1), used, list(isa = other)), list(other))
  expect_identical(cpp_simd(), in_use)
  expect_error(with_isa(other, stop("no")), "no")
  expect_identical(cpp_simd(), in_use)
  expect_error(
    run_tasks(list(1), used, list(isa = "abacus")), "'abacus' is not available on .*, which has",
    class = "covmash_error_cluster"
  )
})

test_that("the widest instruction set that all have, not beyond the one in use", {
  machine <- function(n, in_use = n) {
    sets <- c("baseline", "avx2", "avx512")
    list(isa = sets[in_use], isa_available = sets[seq_len(n)])
  }
  expect_identical(widest_isa(list(machine(3), machine(2))), "avx2")
  expect_identical(widest_isa(list(machine(3), machine(3, 1))), "baseline")
  expect_identical(widest_isa(list(machine(3))), "avx512")
  arm <- list(isa = "neon", isa_available = "neon")
  expect_error(widest_isa(list(machine(3), arm)), "no instruction set in common", class = "covmash_error_cluster")
})

test_that("what cannot be a cluster is refused", {
  for (cluster in list(2, c("a", "b"), "", NA_character_, list(), structure(list(), class = "cluster"))) {
    expect_input_error(run_tasks(list(1), "max", 1, cluster), "`cluster` must be NULL", class = "covmash_error_cluster")
    expect_input_error(check_workers(cluster), "`cluster` must be NULL", class = "covmash_error_cluster")
  }
  workers <- check_workers()
  expect_identical(dim(workers), c(1L, 4L))
  expect_identical(attr(workers, "isa"), cpp_simd())
})

# ---- answers -----------------------------------------------------------------

test_that("a worker says what is wrong with it", {
  request <- function(...) list(run = "r", id = 1, version = unname(getNamespaceVersion("covmash")), ...)
  withr::defer(rm(list = ls(held), envir = held))
  missing <- at_worker(request(worker = "max", task = list(3)))
  expect_true(missing$is_missing)
  there <- at_worker(request(worker = "max", task = list(3), common = list(8)))
  expect_identical(there$value, list(8))
  expect_identical(at_worker(request(worker = "max", task = list(9)))$value, list(9))
  # What a worker holds is of one run.
  other <- at_worker(replace(request(worker = "max", task = list(9)), "run", "s"))
  expect_true(other$is_missing)

  old <- at_worker(replace(request(), "version", "0.0.1"))
  expect_error(check_answer(old), "this session.*install the same version", class = "covmash_error_cluster")
  broken <- at_worker(list(run = "r", id = 1))
  expect_error(check_answer(broken), "cannot use covmash.*R_LIBS", class = "covmash_error_cluster")
})

test_that("errors and warnings of a task travel as plain lists", {
  fails <- function(task, common) rlang::abort("no", class = "covmash_error_x", row = 3, env = globalenv())
  bad <- perform_task(fails, 1, 2)
  expect_identical(bad$error, list(message = "no", class = "covmash_error_x", fields = list(row = 3)))
  good <- perform_task(function(task, common) {
    warning("careful")
    NULL
  }, 1, 2)
  expect_identical(good$value, list(NULL))
  expect_identical(good$warnings[[1]]$message, "careful")
})

test_that("a task is repeated three times and no more", {
  job <- new_job(list(1, 2), "max", 1, "segment", NULL)
  expect_identical(next_task(job), 1L)
  for (k in 1:3) {
    expect_message(lose_task(job, 1L), "segment 1, which it had, is done again", class = "covmash_message_cluster")
    expect_identical(next_task(job), 1L)
  }
  expect_error(lose_task(job, 1L), "Segment 1 was lost with its worker 4 times", class = "covmash_error_cluster")
  # One that has been done is not missed, and a second result of it does not count.
  finish_task(job, 1L, "first")
  finish_task(job, 1L, "second")
  expect_silent(lose_task(job, 1L))
  expect_identical(job$results, list("first", NULL))
})

test_that("a node's answer that a failed round threw away is asked for again", {
  job <- new_job(list(5, 6), "max", 1, "segment", NULL)
  nodes <- new_nodes(job, list("a node"))
  withr::defer(rm(list = ls(held), envir = held))
  first <- next_for_node(1L, nodes)
  note_owed(nodes, 1L, first)
  greeting <- greeting_for_node(1L, nodes)
  note_owed(nodes, 1L, greeting)
  take_from_node(nodes, 1L, at_worker(greeting$request))
  expect_identical(job$waiting, 1:2)
  expect_length(nodes$owed[[1]], 0)
  expect_false(nodes$is_spoilt)
  # It comes after all, when something else is waited for: nothing is taken for that.
  again <- next_for_node(1L, nodes)
  note_owed(nodes, 1L, again)
  take_from_node(nodes, 1L, at_worker(first$request))
  expect_length(nodes$owed[[1]], 1)
  expect_true(nodes$is_spoilt)
  take_from_node(nodes, 1L, at_worker(again$request))
  expect_identical(job$results, list(5, NULL))
})

# ---- mirai -------------------------------------------------------------------

test_that("daemons do tasks, pass on warnings and errors, and are left usable by errors and interrupts", {
  skip_without_engines()
  profile <- shared_daemons()
  count <- counting()
  tasks <- tasks_of(6)
  for (i in c(2, 4)) tasks[[i]]$warns <- "The same words."
  withr::local_seed(1)
  expect_warning(
    expect_rng_untouched(result <- run_tasks(tasks, obedient, common_of_tasks(), profile, done = count$done)),
    "The same words."
  )
  expect_identical(result, expected(6))
  expect_setequal(count$seen(), 1:6)
  expect_length(count$seen(), 6)

  tasks <- tasks_of(6, wait = 0.1)
  tasks[[3]]$fails <- "File x, row 7."
  expect_error(
    run_tasks(tasks, obedient, common_of_tasks(), profile), "Segment 3: File x, row 7.", class = "covmash_error_source"
  )
  # What is under way when an interrupt comes is given up. One attempt may fail, for mirai does not always hear it
  # (give_up()); the daemons are then busy for as long as the tasks take.
  for (attempt in 1:3) {
    interrupted <- tryCatch(
      run_tasks(
        c(tasks_of(1), tasks_of(5, wait = 3)), obedient, common_of_tasks(), profile,
        done = function(i, result) rlang::interrupt()
      ),
      interrupt = function(cnd) "interrupted"
    )
    expect_identical(interrupted, "interrupted")
    began <- elapsed()
    workers <- check_workers(profile)
    took <- elapsed() - began
    if (took < 2) break
  }
  expect_lt(took, 2)
  expect_identical(nrow(workers), 3L)
  expect_identical(unique(workers$version), unname(getNamespaceVersion("covmash")))
  expect_identical(attr(workers, "isa"), cpp_simd())

  # A daemon gets once what tasks share; two copies may go to one that is quicker than the other.
  job <- new_job(tasks_of(12, wait = 0.02), obedient, common_of_tasks(), "segment", NULL)
  do_by_mirai(job, profile, 30)
  expect_true(job$copies %in% 3:6)

  used <- travelling(function(task, common) covmash::covmash_info()$simd)
  other <- cpp_simd_available()[1]
  expect_identical(run_tasks(list(1, 2), used, list(isa = other), profile), list(other, other))
  expect_identical(run_tasks(list(1), used, NULL, profile), list(cpp_simd()))
})

test_that("what a lost or silent daemon had is done by another, which may have come later", {
  skip_without_engines()
  profile <- shared_daemons()
  withr::defer(mirai::daemons(0, .compute = profile))
  expect_message(
    result <- run_tasks(killing_tasks(8, 3), obedient, common_of_tasks(), profile),
    "segment 3, which it had, is done again", class = "covmash_message_cluster"
  )
  expect_identical(result, expected(8))
  expect_identical(mirai::status(profile)$connections, 2L)

  # The first task ends one of the two; the last ones wait for a third to be seen, which has to get what all share.
  dir <- withr::local_tempdir()
  tasks <- c(killing_tasks(4, 1), tasks_of(6, until = 3)[5:6])
  launched <- FALSE
  expect_message(
    result <- run_tasks(tasks, obedient, common_of_tasks(dir = dir), profile, done = function(i, result) {
      if (!launched) launched <<- mirai::launch_local(1, .compute = profile) == 1L
    }),
    "is done again"
  )
  expect_identical(result, expected(6))
  expect_length(dir(dir), 3)

  expect_message(
    result <- run_tasks(
      killing_tasks(4, 2, signal = tools::SIGSTOP), obedient, common_of_tasks(dir = dir), profile,
      time_limit = 0.5
    ),
    "Segment 2 takes far longer", class = "covmash_message_cluster"
  )
  expect_identical(result, expected(4))
  for (pid in dir(dir)) tools::pskill(as.integer(pid), tools::SIGKILL)
})

test_that("a cluster of mirai's is used as what it is: its nodes may be lost", {
  skip_without_engines()
  cluster <- mirai::make_cluster(2)
  withr::defer(mirai::stop_cluster(cluster))
  expect_identical(nrow(check_workers(cluster)), 2L)
  expect_message(result <- run_tasks(killing_tasks(6, 2), obedient, common_of_tasks(), cluster), "is done again")
  expect_identical(result, expected(6))
})

test_that("no daemons are an error that says what to do", {
  skip_without_engines()
  run <- function(tasks = tasks_of(2)) run_tasks(tasks, obedient, common_of_tasks(), "covmash-test", time_limit = limit)
  limit <- 0.2
  expect_error(run(), "start them with mirai::daemons", class = "covmash_error_cluster")
  profile <- local_daemons(NULL, url = mirai::local_url())
  expect_error(run(), "No worker has connected.*R_LIBS", class = "covmash_error_cluster")
  profile <- local_daemons(1)
  limit <- 30
  expect_identical(run(), expected(2))
  limit <- 0.5
  expect_message(
    expect_error(run(killing_tasks(2, 2)), "1 of 2 segments had been done", class = "covmash_error_cluster"),
    "is done again"
  )
  # Evaluated here, as mirai offers for tests.
  profile <- local_daemons(sync = TRUE)
  expect_identical(run(), expected(2))
})

test_that("a worker without covmash is an error that names its libraries", {
  skip_without_engines()
  nowhere <- withr::local_tempdir("nowhere")
  hide <- travelling(function(dir) assign(".lib.loc", dir, envir = environment(.libPaths)))
  profile <- local_daemons(1)
  mirai::everywhere(hide(nowhere), .args = list(hide = hide, nowhere = nowhere), .compute = profile)
  run <- function(cluster) run_tasks(tasks_of(2), obedient, common_of_tasks(), cluster)
  expect_error(run(profile), "cannot use covmash: .*nowhere", class = "covmash_error_cluster")
  expect_error(check_workers(profile), "cannot use covmash: .*nowhere", class = "covmash_error_cluster")
  cluster <- local_nodes(1)
  parallel::clusterCall(cluster, hide, nowhere)
  expect_error(run(cluster), "cannot use covmash: .*nowhere", class = "covmash_error_cluster")
  expect_error(check_workers(cluster), "cannot use covmash: .*nowhere", class = "covmash_error_cluster")
})

# ---- parallel ----------------------------------------------------------------

test_that("nodes of a PSOCK cluster do tasks, and those of a lost one", {
  skip_without_engines()
  cluster <- local_nodes(2)
  count <- counting()
  workers <- check_workers(cluster)
  expect_identical(dim(workers), c(2L, 4L))
  withr::local_seed(1)
  expect_rng_untouched(result <- run_tasks(tasks_of(5), obedient, common_of_tasks(), cluster, done = count$done))
  expect_identical(result, expected(5))
  expect_setequal(count$seen(), 1:5)
  job <- new_job(tasks_of(5), obedient, common_of_tasks(), "segment", NULL)
  do_by_parallel(job, cluster)
  expect_identical(job$copies, 2)
  tasks <- tasks_of(5)
  tasks[[4]]$fails <- "File x, row 7."
  expect_error(
    run_tasks(tasks, obedient, common_of_tasks(), cluster), "Segment 4: File x, row 7.", class = "covmash_error_source"
  )

  # An interrupt while answers are under way: those of before are not taken for those of after.
  master <- Sys.getpid()
  rude <- travelling(function(task, common) {
    if (task == 1) tools::pskill(common, tools::SIGINT)
    Sys.sleep(0.3)
    "stale"
  })
  expect_message(
    expect_identical(
      tryCatch(run_tasks(list(1, 2), rude, master, cluster), interrupt = function(cnd) "interrupted"), "interrupted"
    ),
    "answers under way", class = "covmash_message_cluster"
  )
  expect_error(check_workers(cluster), "answers of an earlier call", class = "covmash_error_cluster")
  expect_message(result <- run_tasks(tasks_of(5), obedient, common_of_tasks(), cluster), "answers under way")
  expect_identical(result, expected(5))

  messages <- capture_messages(result <- run_tasks(killing_tasks(7, 3), obedient, common_of_tasks(), cluster))
  expect_match(messages, "segment 3, which it had, is done again", all = FALSE)
  expect_match(messages, "1 of the 2 nodes of the cluster have been lost", all = FALSE)
  expect_identical(result, expected(7))
  # The remaining one alone, and then none.
  suppressMessages(expect_identical(run_tasks(tasks_of(3), obedient, common_of_tasks(), cluster), expected(3)))
  suppressMessages(expect_error(
    run_tasks(killing_tasks(3, 2), obedient, common_of_tasks(), cluster),
    "All nodes of the cluster have been lost; [01] of 3 segments", class = "covmash_error_cluster"
  ))
})

test_that("nodes of a forked cluster do tasks", {
  skip_without_engines()
  cluster <- local_nodes(2, make = parallel::makeForkCluster)
  expect_identical(run_tasks(tasks_of(5), obedient, common_of_tasks(), cluster), expected(5))
  expect_identical(check_workers(cluster)$isa, rep(cpp_simd(), 2))
})
