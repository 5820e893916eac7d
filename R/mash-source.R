# The fit of mash() to a source: passes over all segments, on workers too, between which the master decides what to ask
# next (the core's surrogate.h). Workers remember nothing, and what they answer does not depend on who they are.

# As mash(), whose arguments these are; model_arguments: those of new_model(), point_mass: as given with g, or NULL.
mash_of_source <- function(data, model_arguments, g, point_mass, fixg, prior, nullweight, control, verbose, start,
                           n_threads, cluster, checkpoint, explain) {
  started <- elapsed()
  check_flag(explain, "explain")
  check_cluster(cluster)
  n_threads <- resolve_threads(n_threads)
  workers <- check_workers(cluster)
  isa <- attr(workers, "isa")
  kept <- open_checkpoint(checkpoint)
  scan <- scan_for_fit(data, kept, cluster, n_threads, verbose)
  src <- scan$source
  pilot <- scan$pilot
  pilot$data$range <- scan$range
  model <- if (is.null(g)) {
    # Not by do.call(), which evaluates what is a call.
    new_model(
      pilot$data, model_arguments$Ulist, model_arguments$grid, model_arguments$gridmult, model_arguments$normalizeU,
      model_arguments$usepointmass
    )
  } else {
    refuse_other_conditions(g, pilot$data)
    model_from_g(g, pilot$data, point_mass, need_pi = fixg)
  }
  model$labels <- component_names(model)
  settings <- newton_control(control)
  settings$max_iter <- min(settings$max_iter, most_passes)
  penalty <- if (fixg) {
    rep(1, n_components(model))
  } else {
    set_prior(n_components(model), prior, nullweight, null_component(model))
  }
  if (!fixg) start <- starting_weights(start, model, penalty)
  pilot <- thin_pilot(pilot, pilot_rows(resolve_memory(), n_components(model)))
  step_message(
    verbose, "Fitting {plural(n_components(model), 'mixture component')} to {plural(scan$n_effects, 'effect')} x ",
    "{plural(scan$n_conditions, 'condition')} in {plural(n_segments(src), 'segment')}",
    "{if (is.null(cluster)) '' else paste0(' on ', plural(nrow(workers), 'worker'))}."
  )
  telling <- if (explain) nrow(workers) else 0L
  fit <- with_isa(kept_isa(kept, isa), if (fixg) {
    look_by_pass(scan, model, cluster, kept, n_threads, verbose, telling)
  } else {
    fit_by_passes(scan, pilot, model, penalty, settings, start, cluster, kept, n_threads, verbose, telling)
  })
  if (!fixg) warn_not_converged(fit$fitted)
  new_source_fit(scan, model, fit, penalty, fixg, list(
    likelihood = NA_real_, weights = fit$seconds, posterior = NA_real_, total = elapsed() - started
  ))
}

# More than twice what the worst sample has needed.
most_passes <- 100

# Likelihoods of the pilot in a part of the memory that may be used, for segments want some too.
pilot_rows <- function(memory, n_components) max(1000, floor(0.3 * memory / (4 * n_components)))

refuse_for_source <- function(refused) {
  if (any(refused)) {
    name <- names(refused)[refused][1]
    why <- if (name %in% c("outputlevel", "A", "posterior_samples", "output_lfdr", "pi_thresh", "seed")) {
      "; write posteriors to files with mash_posterior()"
    } else if (name == "optmethod") {
      "; \"newton\" fits them"
    }
    abort_input(
      "`{name}` has no use for data in a source{c(why, '')[1]}; leave it out.", class = "covmash_error_argument"
    )
  }
}

refuse_without_source <- function(given) {
  if (any(given)) {
    abort_input(
      "`{names(given)[given][1]}` is for data in a source (mash_source()); these are in memory, leave it out.",
      class = "covmash_error_argument"
    )
  }
}

# A source cannot be put into another order.
refuse_other_conditions <- function(g, data) {
  wanted <- conditions_of(check_g(g))
  if (!is.null(wanted) && !identical(wanted, colnames(data$Bhat))) {
    abort_input(
      "The conditions of `g` must be those of the source in the same order; make the source with its columns in that ",
      "order (`Bhat`, `Shat` of mash_source()).",
      class = "covmash_error_names"
    )
  }
}

scan_for_fit <- function(data, kept, cluster, n_threads, verbose) {
  if (is_scan(data)) {
    return(check_scan(data, "data"))
  }
  check_source(data, "data")
  scan <- kept_scan(kept, data)
  if (is.null(scan)) {
    step_message(verbose, "Looking through {plural(data$n_effects, 'effect')}.")
    scan <- scan_source(data, cluster, size_of_sample(data), n_threads)
    keep_scan(kept, scan)
  }
  scan
}

# ---- passes ----------------------------------------------------------------------

# explain: 0, or of how many workers to tell the cost. A list of the solution (`fitted`), of what its objective lacks as
# it is the same for all weights (`constant`), of the log-likelihood, and of `passes`, a table.
fit_by_passes <- function(scan, pilot, model, penalty, settings, start, cluster, kept, n_threads, verbose, explain) {
  began <- elapsed()
  src <- scan$source
  sample <- pilot$data
  sample$dictionary <- dictionary_for(scan$dictionary, src$conditions)
  begin_rounds(kept, rounds_digest(scan, model, penalty, settings, start, length(pilot$times)))
  solved <- timed(run_core(cpp_pass_master(sample, model, c(settings, list(
    times = pilot$times, prior = penalty, memory = resolve_memory(), n_threads = n_threads, start = start
  )))))
  master <- solved$value
  common <- common_of_passes(scan, model[c("Ulist", "grid", "usepointmass")], n_threads)
  common$forms <- rlang::hash(list(common$dictionary, common$model, src$V, common$isa))
  on.exit(forget_forms())
  passes <- data.frame(
    pass = integer(), objective = double(), kkt_violation = double(), support = integer(), seconds = double(),
    reading = double(), computing = double()
  )
  query <- run_core(cpp_pass_query(master))
  maxima <- 0
  while (!is.null(query)) {
    at <- nrow(passes) + 1L
    pass_began <- elapsed()
    query$most_hard <- ceiling(query$most_hard / n_segments(src))
    common$query <- query
    if (at == 1L && explain > 0L) {
      explain_passes(scan, common, solved$processor, n_components(model), 5, cluster, n_workers = explain)
    }
    answer <- pass_over(common, at, cluster, kept)
    maxima <- answer$maxima
    support <- sum(query$x > 0)
    query <- run_core(cpp_pass_take(master, answer))
    result <- run_core(cpp_pass_result(master))
    passes[at, ] <- list(
      at, result$objective + maxima - scan$jacobian, result$kkt_violation, support, elapsed() - pass_began,
      answer$reading, answer$computing
    )
    step_message(
      verbose, "Pass {at}: objective {format_loglik(passes$objective[at])}, largest KKT violation ",
      "{format(result$kkt_violation, digits = 2)}, {seconds(passes$seconds[at])}."
    )
  }
  constant <- maxima - scan$jacobian
  active <- penalty > 1
  list(
    fitted = result, constant = constant, passes = passes, isa = common$isa, seconds = elapsed() - began,
    loglik = result$objective - sum((penalty[active] - 1) * log(result$pi[active])) + constant
  )
}

common_of_passes <- function(scan, model, n_threads) {
  list(
    src = scan$source, dictionary = dictionary_for(scan$dictionary, scan$source$conditions), checksums = scan$checksums,
    model = model, n_threads = n_threads, isa = cpp_simd()
  )
}

# The same of weights that are kept. Their log-likelihood is one of doubles: under weights that were not made for them
# effects can have densities that floats relative to the largest do not hold.
look_by_pass <- function(scan, model, cluster, kept, n_threads, verbose, explain) {
  began <- elapsed()
  begin_rounds(kept, rounds_digest(scan, model, NULL, NULL, NULL, 0))
  common <- common_of_passes(scan, model[c("Ulist", "grid", "usepointmass", "pi")], n_threads)
  common$query <- list(
    x = model$pi, from = double(), steps = double(), also = integer(), hard = 0, most_hard = 0, base = 0
  )
  if (explain > 0L) explain_passes(scan, common, 0, n_components(model), 1, cluster, n_workers = explain)
  answer <- pass_over(common, 1L, cluster, kept, "loglik_of_segment")
  passes <- data.frame(
    pass = 1L, objective = answer$log_density, kkt_violation = NA_real_, support = sum(model$pi > 0),
    seconds = elapsed() - began, reading = answer$reading, computing = answer$computing
  )
  step_message(verbose, "Log-likelihood {format_loglik(answer$log_density)}, {seconds(passes$seconds)}.")
  list(
    fitted = fixed_weights(model$pi), constant = 0, passes = passes, isa = common$isa, seconds = elapsed() - began,
    loglik = answer$log_density
  )
}

# The answer of all effects: those of the segments, added up as a tree, in which pairs of neighbours are added first.
pass_over <- function(common, at, cluster, kept, worker = "pass_over_segment") {
  if (length(kept$content$rounds) >= at) {
    return(kept$content$rounds[[at]])
  }
  answers <- kept_answers(kept, at, n_segments(common$src))
  left <- lapply(which(vapply(answers, is.null, NA)), function(i) list(segment = i))
  over_segments(paste0("Pass ", at), left, worker, common, cluster, function(k, answer) {
    answers[left[[k]]$segment] <<- list(answer)
    keep_answers(kept, at, answers)
  }, drop = pass_parts)
  total <- sum_by_tree(answers)
  keep_round(kept, at, total)
  total
}

pass_parts <- c(
  "n_effects", "maxima", "log_density", "along", "gradient", "hessian", "covering", "hard", "reading", "computing"
)

sum_by_tree <- function(answers) {
  while (length(answers) > 1L) {
    answers <- lapply(seq(1, length(answers), by = 2), function(i) {
      if (i == length(answers)) answers[[i]] else add_answers(answers[[i]], answers[[i + 1]])
    })
  }
  answers[[1L]]
}

# What is handed over one by one is put together.
add_answers <- function(a, b) {
  parts <- setdiff(names(a), "hard")
  sum <- Map(`+`, a[parts], b[parts])
  sum$hard <- c(a$hard, b$hard)
  sum
}

pass_over_segment <- function(task, common) {
  began <- elapsed()
  data <- unchanged_segment(task, common)
  read <- elapsed()
  effects <- if (is.null(rownames(data$Bhat))) NULL else rownames(data$Bhat)
  answer <- run_core(
    cpp_full_pass(data, common$model, common$query, list(n_threads = common$n_threads), forms_for(common$forms)),
    effects, component_names(common$model), names(common$model$Ulist)
  )
  c(answer, list(reading = read - began, computing = elapsed() - read))
}

loglik_of_segment <- function(task, common) {
  began <- elapsed()
  data <- unchanged_segment(task, common)
  read <- elapsed()
  pi <- common$model$pi
  loglik <- posterior_of(data, common$model, pi, 0, 1, common$n_threads, keep_weights = FALSE)$loglik
  list(
    n_effects = sum(rowSums(!is.na(data$Bhat)) > 0), log_density = loglik, reading = read - began,
    computing = elapsed() - read
  )
}

# With the dictionary.
unchanged_segment <- function(task, common) {
  data <- fresh_segment(common$src, task$segment)
  if (!identical(run_core(cpp_checksum(data)), common$checksums[[task$segment]])) {
    abort_source(
      "The values are not what they were when the source was looked at (summary()); do not write to its files while ",
      "it is used, and begin anew, with another checkpoint if there is one.",
      class = "covmash_error_changed"
    )
  }
  data$dictionary <- common$dictionary
  data
}

# Forms of covariances under the noises of the dictionary: made once in each process, and kept until another fit wants
# others, or this one ends here.
forms <- new.env()

forms_for <- function(key) {
  if (!identical(forms$key, key)) {
    forms$store <- run_core(cpp_spectral_store())
    forms$key <- key
  }
  forms$store
}

forget_forms <- function() forms$store <- forms$key <- NULL

# ---- the fit -----------------------------------------------------------------------

new_source_fit <- function(scan, model, fit, penalty, fixg, timing) {
  components <- component_names(model)
  fitted <- fit$fitted
  structure(
    list(
      result = list(), loglik = fit$loglik, vloglik = NULL, null_loglik = NULL, alt_loglik = NULL,
      fitted_g = list(
        pi = stats::setNames(fitted$pi, components),
        Ulist = with_condition_names(model$Ulist, scan$source$conditions), grid = model$grid,
        usepointmass = model$usepointmass
      ),
      posterior_weights = NULL, alpha = scan$source$alpha,
      convergence = if (fixg) {
        list(objective = NA_real_, kkt_violation = NA_real_, gap_bound = NA_real_, iterations = NA, converged = NA)
      } else {
        list(
          objective = fitted$objective + fit$constant, kkt_violation = fitted$kkt_violation,
          gap_bound = fitted$gap_bound, iterations = fitted$iterations, converged = fitted$converged
        )
      },
      timing = timing, missing = NULL, noise = scan$noise, dim = c(scan$n_effects, scan$n_conditions),
      dimnames = list(NULL, scan$source$conditions),
      source = list(
        digest = scan$digest, dictionary = scan$dictionary, checksums = scan$checksums, passes = fit$passes,
        isa = fit$isa
      )
    ),
    class = c("mash_fit", "mash")
  )
}

# The posterior of rows of a source: matrices named as in `columns`. An effect's is the same whichever others it is
# computed with.
segment_posterior <- function(data, fit, columns, n_threads = NULL) {
  problem <- problem_of(fit, data)
  problem$data$dictionary <- dictionary_for(fit$source$dictionary, colnames(problem$data$Bhat))
  posterior <- posterior_of(
    problem$data, problem$model, problem$model$pi, 1e-10, 2, resolve_threads(n_threads), keep_weights = FALSE,
    lfdr = "lfdr" %in% columns
  )
  posterior$result[columns]
}

# ---- the checkpoint ----------------------------------------------------------------

# A file, and beside it, with ".scan" at its end, the look at the source. What it holds follows from the source, the
# prior and the settings, whose digest it has; rounds are answers to the master's questions, which it asks again when it
# resumes, so that the results have the same bits. Both have a checksum of what they hold: a damaged answer would be
# believed.
open_checkpoint <- function(checkpoint) {
  if (is.null(checkpoint)) {
    return(NULL)
  }
  if (!is_plain(checkpoint) || !checkmate::test_string(checkpoint, min.chars = 1L)) {
    abort_input(
      "`checkpoint` must be the path of a file, not {describe(checkpoint)}.", class = "covmash_error_argument"
    )
  }
  if (dir.exists(checkpoint) || !dir.exists(dirname(checkpoint))) {
    abort_input(
      "`checkpoint`, '{checkpoint}', is a folder or would be in one that does not exist; give the path of a file.",
      class = "covmash_error_argument"
    )
  }
  kept <- new.env()
  kept$file <- checkpoint
  kept$saved <- elapsed()
  kept$content <- if (file.exists(checkpoint)) read_kept(checkpoint)
  kept
}

read_kept <- function(file) {
  content <- whole_content(file)
  if (!is.list(content) || is_scan(content)) {
    abort_input(
      "'{file}' is not a checkpoint of covmash, or is damaged; give another path as `checkpoint`, or remove the file.",
      class = "covmash_error_checkpoint"
    )
  }
  content
}

kind_of_kept <- "checkpoint of a fit by covmash"

# NULL for a file that is not whole or is another one.
whole_content <- function(file) {
  kept <- tryCatch(readRDS(file), error = function(cnd) NULL, warning = function(cnd) NULL)
  is_whole <- is.list(kept) && identical(kept[["kind"]], kind_of_kept) && is.raw(kept[["content"]]) &&
    identical(kept[["checksum"]], rlang::hash(kept[["content"]]))
  if (is_whole) unserialize(kept$content)
}

# The file is whole at all times.
write_kept <- function(content, file) {
  temporary <- paste0(file, ".tmp-", Sys.info()[["nodename"]], "-", Sys.getpid())
  written <- tryCatch(
    {
      # The hash of bytes: that of a function changes as R compiles it.
      bytes <- serialize(content, NULL, xdr = FALSE)
      kept <- list(kind = kind_of_kept, checksum = rlang::hash(bytes), content = bytes)
      saveRDS(kept, temporary, compress = FALSE)
      file.rename(temporary, file)
    },
    error = function(cnd) FALSE, warning = function(cnd) FALSE
  )
  if (!isTRUE(written)) {
    unlink(temporary)
    abort_input(
      "The checkpoint '{file}' cannot be written (no room, or no right to); what it held is still there.",
      class = "covmash_error_checkpoint"
    )
  }
}

kept_isa <- function(kept, isa) {
  recorded <- kept$content$isa
  if (is.null(recorded)) {
    return(isa)
  }
  if (!recorded %in% cpp_simd_available() || match(recorded, cpp_simd_available()) > match(isa, cpp_simd_available())) {
    abort_input(
      "The checkpoint was begun with the instruction set {recorded}, which not all machines have; go on with such as ",
      "have it, or begin anew.",
      class = "covmash_error_checkpoint"
    )
  }
  recorded
}

kept_scan <- function(kept, src) {
  file <- paste0(kept$file, ".scan")
  if (is.null(kept) || !file.exists(file)) {
    return(NULL)
  }
  scan <- whole_content(file)
  if (is_scan(scan) && identical(scan$digest, source_digest(src))) scan
}

keep_scan <- function(kept, scan) {
  if (!is.null(kept)) write_kept(scan, paste0(kept$file, ".scan"))
}

# Without settings: of weights that are kept.
rounds_digest <- function(scan, model, penalty, settings, start, n_pilot) {
  rlang::hash(list(
    scan$digest, scan$checksums, model, penalty, settings, start, n_pilot, cpp_simd(),
    unname(getNamespaceVersion("covmash"))
  ))
}

begin_rounds <- function(kept, digest) {
  if (is.null(kept)) {
    return(invisible(NULL))
  }
  if (is.null(kept$content)) {
    kept$content <- list(digest = digest, isa = cpp_simd(), rounds = list())
    save_kept(kept)
  } else if (!identical(kept$content$digest, digest)) {
    abort_input(
      "The checkpoint '{kept$file}' is of another fit (other data, matrices, settings or version of covmash); give ",
      "another path, or remove the file.",
      class = "covmash_error_checkpoint"
    )
  }
}

# Of all segments in a round that was interrupted; NULL where there is none yet.
kept_answers <- function(kept, at, n) {
  begun <- kept$content$begun
  if (identical(begun$at, at)) begun$answers else vector("list", n)
}

# Now and then.
keep_answers <- function(kept, at, answers, every = 30) {
  if (!is.null(kept) && elapsed() - kept$saved >= every) {
    kept$content$begun <- list(at = at, answers = answers)
    save_kept(kept)
  }
}

keep_round <- function(kept, at, total) {
  if (!is.null(kept)) {
    kept$content$begun <- NULL
    kept$content$rounds[[at]] <- total
    save_kept(kept)
  }
}

save_kept <- function(kept) {
  write_kept(kept$content, kept$file)
  kept$saved <- elapsed()
}
