# Tasks on workers: here one after the other, by daemons of mirai, or by a cluster of parallel.
#
# A task is a small list; what all tasks share (`common`) goes to a worker once. Workers forget everything else, so a
# task that is lost with its worker is done again by another, and the results are the same as if nothing had happened.
#
# Master and worker exchange requests and answers. A request has the number of the run and one of its own, which its
# answer repeats: an answer to anything else is not mistaken for it. The worker catches what goes wrong in a task and
# sends it as an answer; an error of the engine is therefore always the loss of a worker or of its connection.

# tasks: list of small arguments, each without names of files that only the master sees. worker: the name of a
# function of this package, or a function, of (task, common). cluster: NULL, the name of a compute profile of mirai,
# or a cluster of parallel. common$isa, if there, is the instruction set in which tasks are done. done(i, result) is
# called here, as results arrive, in any order. time_limit: seconds in which a daemon of mirai must have answered, and
# in which others must have come when all have ended; nodes of parallel are connected from the start, and listened to
# for as long as parallel does. Returns the results in the order of the tasks.
run_tasks <- function(tasks, worker, common, cluster = NULL, time_limit = 60, what = "segment", done = NULL) {
  check_cluster(cluster)
  if (length(tasks) == 0L) {
    return(list())
  }
  job <- new_job(tasks, worker, common, what, done)
  profile <- compute_profile(cluster)
  if (is.null(cluster)) {
    do_here(job)
  } else if (!is.null(profile)) {
    do_by_mirai(job, profile, time_limit)
  } else {
    do_by_parallel(job, cluster)
  }
  show_warnings(job)
  job$results
}

check_cluster <- function(cluster) {
  is_profile <- checkmate::test_string(cluster, min.chars = 1L)
  is_cluster <- inherits(cluster, "cluster") && length(cluster) > 0L
  if (!is.null(cluster) && !is_profile && !is_cluster) {
    abort_input(
      "`cluster` must be NULL, the name of a compute profile of mirai or a cluster made by parallel::makeCluster(), ",
      "not {describe(cluster)}.",
      class = "covmash_error_cluster"
    )
  }
  if ((is_profile || inherits(cluster, "miraiCluster")) && !requireNamespace("mirai", quietly = TRUE)) {
    abort_input(
      "A `cluster` of mirai needs the package mirai; install it with install.packages(\"mirai\").",
      class = c("covmash_error_package", "covmash_error_cluster")
    )
  }
}

# A cluster of mirai's is a compute profile too, and as such survives the loss of a node.
compute_profile <- function(cluster) {
  if (is.character(cluster)) cluster else if (inherits(cluster, "miraiCluster")) attr(cluster, "id")
}

abort_cluster <- function(..., call = user_frame(), env = parent.frame()) {
  rlang::abort(interpolate(..., env = env), class = c("covmash_error_cluster", "covmash_error"), call = call)
}

# ---- the worker's side -------------------------------------------------------

# What is sent to workers. It has nothing of this package in it, for a worker without the package could not even read
# it.
at_worker <- function(request) {
  tryCatch(
    get("perform_request", envir = asNamespace("covmash"))(request),
    error = function(cnd) {
      list(run = request$run, id = request$id, unusable = conditionMessage(cnd), library = .libPaths())
    }
  )
}
environment(at_worker) <- baseenv()

# What a worker holds for the tasks of a run; that of a new run takes its place.
held <- new.env()

# request: run, id, version; common = list(common) if the worker shall hold it; worker, task, isa of a task, without
# which it is a greeting.
perform_request <- function(request) {
  answer <- c(request[c("run", "id")], describe_worker())
  if (answer$version != request$version) {
    return(c(answer, list(other_version = TRUE)))
  }
  if (!is.null(request$common)) {
    held$run <- request$run
    held$common <- request$common[[1L]]
  }
  if (is.null(request$task)) {
    return(answer)
  }
  if (!identical(held$run, request$run)) {
    return(c(answer, list(is_missing = TRUE)))
  }
  c(answer, perform_task(request$worker, request$task[[1L]], held$common))
}

describe_worker <- function() {
  list(
    name = worker_name(), version = unname(getNamespaceVersion("covmash")), isa = cpp_simd(),
    isa_available = cpp_simd_available(), r_version = paste0(R.version$major, ".", R.version$minor)
  )
}

worker_name <- function() paste0(Sys.info()[["nodename"]], ":", Sys.getpid())

# list(value = list(result), warnings =) or list(error =): conditions arrive as plain lists.
perform_task <- function(worker, task, common) {
  warnings <- list()
  tryCatch(
    withCallingHandlers(
      {
        value <- name_memory_errors(call_worker(worker, task, common))
        list(value = list(value), warnings = warnings)
      },
      warning = function(cnd) {
        warnings <<- c(warnings, list(plain_condition(cnd)))
        invokeRestart("muffleWarning")
      }
    ),
    error = function(cnd) list(error = plain_condition(cnd))
  )
}

call_worker <- function(worker, task, common) {
  f <- if (is.function(worker)) worker else get(worker, envir = topenv())
  with_isa(if (is.list(common)) common$isa, f(task, common))
}

# Evaluates the expression in an instruction set; the one in use comes back afterwards.
with_isa <- function(isa, expr) {
  in_use <- cpp_simd()
  if (is.null(isa) || identical(isa, in_use)) {
    return(expr)
  }
  available <- cpp_simd_available()
  if (!checkmate::test_choice(isa, available)) {
    abort_cluster(
      "The instruction set {describe(isa)} is not available on {worker_name()}, which has ",
      "{paste(available, collapse = ', ')}; choose one that all machines have."
    )
  }
  on.exit(cpp_set_simd(in_use))
  cpp_set_simd(isa)
  expr
}

# A condition without what cannot or should not travel: its trace and its call.
plain_condition <- function(cnd) {
  bases <- c("rlang_error", "rlang_warning", "simpleError", "simpleWarning", "error", "warning", "condition")
  fields <- unclass(cnd)[setdiff(names(cnd), names(formals(rlang::abort)))]
  list(
    message = if (inherits(cnd, c("rlang_error", "rlang_warning"))) rlang::cnd_message(cnd) else conditionMessage(cnd),
    class = setdiff(class(cnd), bases), fields = Filter(is.atomic, Filter(Negate(is.null), fields))
  )
}

# ---- the job: what is to do and what has been done ---------------------------

runs <- new.env()
runs$number <- 0

new_run <- function() {
  runs$number <- runs$number + 1
  paste(worker_name(), format(as.numeric(Sys.time()), digits = 15), runs$number)
}

new_job <- function(tasks, worker, common, what, done) {
  job <- new.env()
  job$run <- new_run()
  job$tasks <- tasks
  job$worker <- worker
  job$common <- common
  job$what <- what
  job$done <- done
  job$results <- vector("list", length(tasks))
  names(job$results) <- names(tasks)
  job$warnings <- vector("list", length(tasks))
  job$finished <- logical(length(tasks))
  job$losses <- integer(length(tasks))
  job$waiting <- seq_along(tasks)
  # Requests, and those among them that carried what tasks share.
  job$sent <- 0
  job$copies <- 0
  # Seconds of the task that took longest (mirai).
  job$slowest <- 0
  job
}

# The number of the next task, 0 if none waits.
next_task <- function(job) {
  if (length(job$waiting) == 0L) {
    return(0L)
  }
  i <- job$waiting[1L]
  job$waiting <- job$waiting[-1L]
  i
}

# A request for task i, or a greeting (0). `id` is new each time: a task that is sent again may be answered twice.
new_request <- function(job, i = 0L, with_common = FALSE) {
  job$sent <- job$sent + 1
  request <- list(run = job$run, id = job$sent, version = unname(getNamespaceVersion("covmash")))
  if (with_common) {
    request$common <- list(job$common)
    job$copies <- job$copies + 1
  }
  if (i > 0L) request <- c(request, list(worker = job$worker, task = list(job$tasks[[i]])))
  request
}

# To be done before others, as soon as a worker is free.
do_again <- function(job, i) {
  if (!job$finished[i]) job$waiting <- c(i, setdiff(job$waiting, i))
}

lose_task <- function(job, i) {
  if (job$finished[i]) {
    return(invisible(NULL))
  }
  job$losses[i] <- job$losses[i] + 1L
  if (job$losses[i] > max_losses) {
    abort_cluster(
      "{task_label(job, i)} was lost with its worker {job$losses[i]} times; see what ends the workers (memory, time ",
      "limits of jobs) and start again."
    )
  }
  inform_covmash(
    "A worker was lost; {job$what} {i}, which it had, is done again.", class = "covmash_message_cluster"
  )
  do_again(job, i)
}

# How often a task is repeated.
max_losses <- 3L

finish_task <- function(job, i, value, warnings = list()) {
  if (job$finished[i]) {
    return(invisible(NULL))
  }
  # A result may be NULL.
  job$results[i] <- list(value)
  job$warnings[[i]] <- warnings
  job$finished[i] <- TRUE
  job$waiting <- setdiff(job$waiting, i)
  if (!is.null(job$done)) job$done(i, value)
}

# The answer to a request for task i; 0 for a greeting. FALSE if the worker did not have what tasks share.
take_answer <- function(job, i, answer) {
  check_answer(answer)
  if (i == 0L) {
    return(TRUE)
  }
  if (isTRUE(answer$is_missing)) {
    do_again(job, i)
    return(FALSE)
  }
  if (!is.null(answer$error)) {
    abort_task(job, i, answer$error)
  }
  finish_task(job, i, answer$value[[1L]], answer$warnings)
  TRUE
}

# Workers that no task can be given to.
check_answer <- function(answer) {
  if (!is.null(answer$unusable)) {
    abort_cluster(
      "A worker cannot use covmash: {answer$unusable}. Its libraries are {quote_some(answer$library, 5L)}; install ",
      "this version of covmash into one of them, or start workers with R_LIBS set."
    )
  }
  if (isTRUE(answer$other_version)) {
    abort_cluster(
      "The worker {answer$name} has covmash {answer$version}, this session {unname(getNamespaceVersion('covmash'))}; ",
      "install the same version on all machines."
    )
  }
}

# error: a plain condition. It keeps its classes and says which task it is of.
abort_task <- function(job, i, error) {
  message <- paste0(task_label(job, i), ": ", error$message)
  do.call(rlang::abort, c(
    list(message, class = unique(c(error$class, "covmash_error_task", "covmash_error"))),
    error$fields, list(call = user_frame())
  ))
}

task_label <- function(job, i) {
  paste0(toupper(substr(job$what, 1L, 1L)), substring(job$what, 2L), " ", format_count(i))
}

# What workers warned of, each text once.
show_warnings <- function(job) {
  warnings <- unlist(job$warnings, recursive = FALSE)
  texts <- vapply(warnings, function(w) w$message, "")
  for (w in warnings[!duplicated(texts)]) {
    do.call(rlang::warn, c(list(w$message, class = w$class), w$fields))
  }
}

# ---- here --------------------------------------------------------------------

# Errors without a class of ours (a time limit's) pass as they are.
do_here <- function(job) {
  while ((i <- next_task(job)) > 0L) {
    value <- tryCatch(
      call_worker(job$worker, job$tasks[[i]], job$common),
      covmash_error = function(cnd) abort_task(job, i, plain_condition(cnd))
    )
    finish_task(job, i, value)
  }
}

# ---- mirai -------------------------------------------------------------------

# A daemon has two tasks at the most, one of them waiting; without a dispatcher, where those that wait are lost
# together with the one that runs, one. Daemons may come and go meanwhile.
do_by_mirai <- function(job, profile, time_limit) {
  greet_profile(job, profile, time_limit)
  state <- daemon_state(profile)
  # Requests under way; names of the daemons that hold what tasks share; tasks whose daemon did not.
  open <- list()
  holders <- character()
  lacking <- integer()
  # What has been sent should not run on after an error or interrupt, so that the daemons are free for what comes next.
  on.exit(give_up(open, state$connections))
  alive <- looked <- elapsed()
  pause <- 0
  while (!all(job$finished)) {
    # None waits at the dispatcher before all hold what tasks share: it would be given to one that does not.
    room <- if (length(holders) < state$connections) max(1L, state$connections) else state$room
    while (length(open) < room && (i <- next_task(job)) > 0L) {
      carried <- sum(vapply(open, function(sent) sent$with_common, NA))
      with_common <- i %in% lacking || length(holders) + carried < state$connections
      lacking <- setdiff(lacking, i)
      request <- new_request(job, i, with_common)
      open <- c(open, list(list(
        i = i, with_common = with_common, began = elapsed(), mirai = send_request(request, profile)
      )))
    }
    ready <- !vapply(open, function(sent) mirai::unresolved(sent$mirai), NA)
    is_lost <- FALSE
    for (sent in open[ready]) {
      answer <- sent$mirai$data
      if (is_no_answer(answer)) {
        is_lost <- TRUE
        lose_task(job, sent$i)
      } else if (take_answer(job, sent$i, answer)) {
        holders <- union(holders, answer$name)
        job$slowest <- max(job$slowest, elapsed() - sent$began)
      } else {
        lacking <- c(lacking, sent$i)
      }
    }
    open <- open[!ready]
    if (is_lost || elapsed() - looked > min(1, time_limit / 4)) {
      state <- daemon_state(profile)
      looked <- elapsed()
      if (state$connections > 0L || any(ready)) alive <- looked
      check_alive(state, profile, looked - alive, time_limit, job)
      open <- repeat_overdue(job, open, time_limit)
    }
    pause <- if (any(ready)) 0 else min(max(2 * pause, 0.0005), 0.02)
    Sys.sleep(pause)
  }
}

# A task that has begun a few milliseconds ago does not hear that it is cancelled (mirai 2.7.3) and would run to its
# end. So those that wait go first, for the next of them begins when one that runs is stopped, and the others after a
# moment. That is not certain either (1 in 100 on a busy machine), and a second call does not help: then the daemon is
# free when its task is done.
give_up <- function(open, connections) {
  newest_first <- Filter(mirai::unresolved, rev(lapply(open, function(sent) sent$mirai)))
  waits <- seq_along(newest_first) <= length(newest_first) - connections
  lapply(newest_first[waits], mirai::stop_mirai)
  if (!all(waits)) Sys.sleep(0.1)
  lapply(newest_first[!waits], mirai::stop_mirai)
}

# A machine that falls silent does not close its connection. At the end of a run, when others have nothing to do, what
# it has is given to them too; the first answer counts.
repeat_overdue <- function(job, open, time_limit) {
  if (length(job$waiting) > 0L || job$slowest == 0) {
    return(open)
  }
  for (k in seq_along(open)) {
    if (elapsed() - open[[k]]$began > time_limit + 4 * job$slowest) {
      inform_covmash(
        "{task_label(job, open[[k]]$i)} takes far longer than the others; it is given to another worker too.",
        class = "covmash_message_cluster"
      )
      do_again(job, open[[k]]$i)
      open[[k]]$began <- elapsed()
    }
  }
  open
}

send_request <- function(request, profile) {
  mirai::mirai(at_worker(request), .args = list(at_worker = at_worker, request = request), .compute = profile)
}

# A daemon that ended, or that was interrupted, has no answer. Any other error is not of ours to mend.
is_no_answer <- function(answer) {
  if (mirai::is_mirai_error(answer)) {
    abort_cluster("A daemon could not answer: {as.character(answer)}")
  }
  mirai::is_error_value(answer)
}

# connections: daemons at hand. room: how many tasks may be under way.
daemon_state <- function(profile) {
  status <- mirai::status(profile)
  connections <- as.integer(status$connections)
  has_dispatcher <- !is.null(status$mirai)
  list(
    connections = connections, is_set = !identical(as.character(status$daemons), "0"), url = status$daemons,
    room = max(1L, connections * (1L + has_dispatcher))
  )
}

check_set <- function(state, profile) {
  if (!state$is_set) {
    abort_cluster(
      "The compute profile '{profile}' has no daemons; start them with mirai::daemons(4, .compute = \"{profile}\")."
    )
  }
}

# The first answer of any daemon. Those that a scheduler starts may take their time, those that lack mirai never come.
greet_profile <- function(job, profile, time_limit) {
  check_set(daemon_state(profile), profile)
  greeting <- send_request(new_request(job), profile)
  on.exit(mirai::stop_mirai(greeting))
  if (!wait_for(list(greeting), time_limit)) {
    abort_no_answer(daemon_state(profile), profile, time_limit)
  }
  if (is_no_answer(greeting$data)) {
    abort_cluster(
      "A worker of the compute profile '{profile}' ended when it was greeted; see whether covmash can be loaded there."
    )
  }
  check_answer(greeting$data)
}

wait_for <- function(mirais, time_limit) {
  began <- elapsed()
  pause <- 0.0005
  while (any(vapply(mirais, mirai::unresolved, NA))) {
    if (elapsed() - began > time_limit) {
      return(FALSE)
    }
    Sys.sleep(pause)
    pause <- min(2 * pause, 0.05)
  }
  TRUE
}

abort_no_answer <- function(state, profile, time_limit) {
  if (state$connections > 0L) {
    abort_cluster(
      "No daemon of the compute profile '{profile}' answered within {time_limit} s, though {state$connections} are ",
      "connected; see whether they are busy with other tasks."
    )
  }
  abort_cluster(
    "No worker has connected to the compute profile '{profile}' within {time_limit} s; see whether its jobs run, ",
    "whether they reach {state$url}, and whether mirai and covmash {unname(getNamespaceVersion('covmash'))} are in ",
    "their library (R_LIBS)."
  )
}

# All daemons may be gone for a while, until a scheduler replaces them.
check_alive <- function(state, profile, seconds, time_limit, job) {
  check_set(state, profile)
  if (state$connections == 0L && seconds > time_limit) {
    abort_cluster(
      "All daemons of the compute profile '{profile}' have ended, and none has come in {time_limit} s; ",
      "{sum(job$finished)} of {plural(length(job$tasks), job$what)} had been done. Launch others ",
      "(mirai::launch_local(), mirai::launch_remote()) and start again."
    )
  }
}

# ---- parallel ----------------------------------------------------------------

# parallel has no way to send to a node and listen later, so tasks go out in rounds, one for each node. When a node is
# lost in a round the others still have answers under way, which come in place of those to later requests: the id says
# what an answer is of, and what a node still owes is known from it. Such nodes stay one answer behind and can be used
# here, but by nobody else.
do_by_parallel <- function(job, cluster) {
  nodes <- new_nodes(job, cluster)
  on.exit(say_spoilt(nodes))
  exchange(nodes, nodes$live, lapply(nodes$live, greeting_for_node, nodes = nodes))
  while (!all(job$finished)) {
    check_nodes_left(nodes)
    requests <- lapply(nodes$live, next_for_node, nodes = nodes)
    busy <- lengths(requests) > 0L
    exchange(nodes, nodes$live[busy], requests[busy])
  }
}

# owed: of each node the requests without an answer, oldest first, each list(i, id). lacks_common: a node that has not
# been sent it, or that a failed round did not reach. is_spoilt: some may have answers under way that nobody waits
# for.
new_nodes <- function(job, cluster) {
  nodes <- new.env()
  nodes$job <- job
  nodes$cluster <- cluster
  nodes$live <- seq_along(cluster)
  nodes$owed <- vector("list", length(cluster))
  nodes$lacks_common <- rep(TRUE, length(cluster))
  nodes$is_spoilt <- FALSE
  nodes
}

# A task, or, when none waits, a greeting that brings the answer that a node owes; NULL for a node that has nothing to
# do.
next_for_node <- function(k, nodes) {
  i <- next_task(nodes$job)
  if (i > 0L || length(nodes$owed[[k]]) > 0L) request_for_node(k, nodes, i)
}

greeting_for_node <- function(k, nodes) request_for_node(k, nodes, 0L)

request_for_node <- function(k, nodes, i) {
  with_common <- nodes$lacks_common[k]
  nodes$lacks_common[k] <- FALSE
  list(i = i, request = new_request(nodes$job, i, with_common))
}

exchange <- function(nodes, at, requests) {
  for (k in seq_along(at)) note_owed(nodes, at[k], requests[[k]])
  failure <- NULL
  # An interrupt leaves it so.
  was_spoilt <- nodes$is_spoilt
  nodes$is_spoilt <- TRUE
  answers <- tryCatch(
    parallel::clusterApply(nodes$cluster[at], lapply(requests, `[[`, "request"), at_worker),
    error = function(cnd) {
      failure <<- cnd
      NULL
    }
  )
  if (!is.null(failure)) {
    return(find_lost(nodes, at, failure))
  }
  nodes$is_spoilt <- was_spoilt
  for (k in seq_along(at)) take_from_node(nodes, at[k], answers[[k]])
}

note_owed <- function(nodes, k, request) {
  nodes$owed[[k]] <- c(nodes$owed[[k]], list(list(i = request$i, id = request$request$id)))
}

# Nodes answer in the order they were asked: what is older than an answer has been lost on the way, in a round that
# failed.
take_from_node <- function(nodes, k, answer) {
  ids <- vapply(nodes$owed[[k]], function(sent) sent$id, 0)
  at <- if (is.list(answer) && identical(answer$run, nodes$job$run)) match(answer$id, ids, 0L) else 0L
  # Of an earlier call, which ended before it had all answers.
  if (at == 0L) {
    nodes$is_spoilt <- TRUE
    return(invisible(NULL))
  }
  for (sent in nodes$owed[[k]][seq_len(at - 1L)]) if (sent$i > 0L) do_again(nodes$job, sent$i)
  i <- nodes$owed[[k]][[at]]$i
  nodes$owed[[k]] <- nodes$owed[[k]][-seq_len(at)]
  if (!take_answer(nodes$job, i, answer)) nodes$lacks_common[k] <- TRUE
}

# After an error in a round each node is greeted alone. If all answer, the error was of another kind.
find_lost <- function(nodes, at, failure) {
  all_live <- TRUE
  for (k in at) {
    greeting <- greeting_for_node(k, nodes)
    note_owed(nodes, k, greeting)
    answer <- tryCatch(
      parallel::clusterApply(nodes$cluster[k], list(greeting$request), at_worker)[[1L]],
      error = function(cnd) NULL
    )
    if (is.null(answer)) {
      all_live <- FALSE
      drop_node(nodes, k)
    } else {
      take_from_node(nodes, k, answer)
    }
  }
  if (all_live) stop(failure)
}

drop_node <- function(nodes, k) {
  nodes$live <- setdiff(nodes$live, k)
  owed <- nodes$owed[[k]]
  nodes$owed[k] <- list(NULL)
  for (sent in owed) if (sent$i > 0L) lose_task(nodes$job, sent$i)
}

check_nodes_left <- function(nodes) {
  if (length(nodes$live) == 0L) {
    job <- nodes$job
    abort_cluster(
      "All nodes of the cluster have been lost; {sum(job$finished)} of {plural(length(job$tasks), job$what)} had been ",
      "done. See what ends them (memory, time limits of jobs), make a new cluster and start again."
    )
  }
}

say_spoilt <- function(nodes) {
  lost <- length(nodes$cluster) - length(nodes$live)
  if (nodes$is_spoilt) {
    inform_covmash(
      if (lost > 0L) "{lost} of the {length(nodes$cluster)} nodes of the cluster have been lost. ",
      "Nodes may have answers under way: stop the cluster and make a new one before you use it for anything else.",
      class = "covmash_message_cluster"
    )
  }
}

# ---- who the workers are -----------------------------------------------------

# A data frame of the workers: worker (machine and process), version (of covmash; another than here is an error), isa
# (the instruction set in use there), r_version. Its attribute "isa" is the widest set that all of them and this
# session have.
check_workers <- function(cluster = NULL, time_limit = 60) {
  check_cluster(cluster)
  profile <- compute_profile(cluster)
  answers <- if (is.null(cluster)) {
    list(describe_worker())
  } else if (!is.null(profile)) {
    greet_daemons(profile, time_limit)
  } else {
    greet_nodes(cluster)
  }
  column <- function(name) vapply(answers, function(answer) answer[[name]], "")
  structure(
    data.frame(
      worker = column("name"), version = column("version"), isa = column("isa"), r_version = column("r_version"),
      stringsAsFactors = FALSE
    ),
    isa = widest_isa(c(list(describe_worker()), answers))
  )
}

# Workers that have not connected yet are not seen; their version is looked at with their first task.
greet_daemons <- function(profile, time_limit) {
  job <- new_job(list(), NULL, NULL, "greeting", NULL)
  greet_profile(job, profile, time_limit)
  request <- new_request(job)
  greetings <- mirai::everywhere(
    at_worker(request),
    .args = list(at_worker = at_worker, request = request), .compute = profile
  )
  on.exit(lapply(greetings, mirai::stop_mirai))
  if (!wait_for(greetings, time_limit)) {
    abort_no_answer(daemon_state(profile), profile, time_limit)
  }
  answers <- lapply(greetings, function(greeting) greeting$data)
  answers <- answers[!vapply(answers, is_no_answer, NA)]
  for (answer in answers) check_answer(answer)
  # Without a dispatcher one may have been asked twice.
  answers[!duplicated(vapply(answers, function(answer) answer$name, ""))]
}

greet_nodes <- function(cluster) {
  job <- new_job(list(), NULL, NULL, "greeting", NULL)
  lapply(seq_along(cluster), function(k) {
    request <- new_request(job)
    answer <- tryCatch(
      parallel::clusterApply(cluster[k], list(request), at_worker)[[1L]],
      error = function(cnd) {
        abort_cluster(
          "Node {k} of the cluster does not answer ({conditionMessage(cnd)}); stop the cluster and make a new one."
        )
      }
    )
    if (!is.list(answer) || !identical(answer$run, job$run)) {
      abort_cluster(
        "Node {k} of the cluster still has answers of an earlier call; stop the cluster and make a new one."
      )
    }
    check_answer(answer)
    answer
  })
}

# A machine has the sets up to the one in use: a narrower one may have been asked for (?covmash_threads).
widest_isa <- function(workers) {
  sets <- lapply(workers, function(w) w$isa_available[seq_len(match(w$isa, w$isa_available))])
  shared <- Reduce(intersect, sets)
  if (length(shared) == 0L) {
    abort_cluster(
      "The machines have no instruction set in common ({paste(unique(unlist(sets)), collapse = ', ')}); use ",
      "machines of one kind."
    )
  }
  shared[length(shared)]
}
