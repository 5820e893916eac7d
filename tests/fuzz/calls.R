# One call: drawn from its seed, made, and judged.

# ---- what there is to call ----------------------------------------------------------

# Exports, S3 and S4 methods of the installed package, as targets are named.
everything_exported <- function() {
  ns <- asNamespace("covmash")
  exports <- Filter(function(name) is.function(get0(name, ns)), getNamespaceExports("covmash"))
  exports <- exports[!startsWith(exports, ".__")]
  table <- getNamespaceInfo("covmash", "S3methods")
  s3 <- paste(table[, 1], table[, 2], sep = ".")
  ours <- c("factor_cov", "factor_precision", "mash_data", "mash_fit", "mash_1by1", "factor_fit")
  s4 <- unlist(lapply(methods::getGenerics(ns)@.Data, function(generic) {
    found <- methods::findMethods(generic, where = ns)
    unlist(lapply(found, function(m) {
      classes <- as.character(m@defined)
      if (any(classes %in% ours)) paste0(generic, "(", paste(classes, collapse = ","), ")")
    }))
  }))
  if ("%*%" %in% s4) s4 <- setdiff(s4, "%*%")
  sort(unique(unname(c(setdiff(exports, "%*%"), s3, s4))))
}

# Targets of this version; stops if anything has none.
choose_targets <- function() {
  wanted <- everything_exported()
  without <- setdiff(wanted, names(targets))
  if (length(without) > 0) {
    message("Nothing in tests/fuzz/targets-*.R makes calls of: ", paste(without, collapse = ", "))
    quit(status = 3)
  }
  pictures <- grepl("^(autoplot|plot|grid.draw|print.factor_panels)[._]", wanted) | wanted %in% c("mash_plot_meta", "plot_covariances", "plot_eigenvectors")
  if (!requireNamespace("ggplot2", quietly = TRUE)) wanted <- wanted[!pictures]
  targets[wanted]
}

# ---- drawing ----------------------------------------------------------------------------

our_classes <- c(
  "mash_data", "mash_fit", "mash_1by1", "factor_cov", "factor_precision", "factor_fit", "factor_selection",
  "gene_network", "covariance_check", "deconvolution", "deconvolution_cv", "parameter_count", "covmash_info",
  "summary.deconvolution", "mash_contrast", "mash_prior", "mash_hierarchy",
  "mash_sumstats", "mash_source", "mash_pipeline", "mash_findings", "mash_cv", "summary.mash_cv", "fit_indices", "factor_panels",
  "summary.factor_selection", "summary.mash_fit", "summary.mash_data", "summary.mash_1by1", "summary.factor_cov",
  "summary.factor_fit", "summary.factor_precision", "mash_output", "mash_rows", "summary.mash_output", "mash_scan"
)
is_ours <- function(x) inherits(x, our_classes)

# Generics of others that covmash exports: what they do with things that are not covmash's is not its business.
generics_of_others <- c(
  "tidy", "glance", "augment", "show", "crossprod", "tcrossprod", "diag", "cov2cor", "Ops", "!"
)

# Own functions of covmash: what they are given in place of an object of its classes is their business. Methods are not
# reached then.
takes_anything <- function(name) {
  !grepl("[(]", name) && !name %in% generics_of_others && name %in% getNamespaceExports("covmash")
}

draw_call <- function(seed, chosen, only = NULL) {
  set.seed(seed, "Mersenne-Twister", "Inversion", "Rejection")
  names_chosen <- names(chosen)
  weights <- vapply(chosen, `[[`, 0, "weight")
  name <- if (!is.null(only)) {
    only
  } else if (seed %% 8 == 0) {
    names_chosen[(seed %/% 8) %% length(names_chosen) + 1]
  } else {
    sample(names_chosen, 1, prob = weights)
  }
  target <- chosen[[name]]
  mode <- sample(c("valid", "spoilt", "damaged"), 1, prob = c(0.55, 0.33, 0.12))
  call <- target$make()
  out <- c(call, list(seed = seed, name = name, target = target, mode = mode, touched = list()))
  if (mode == "valid" || length(call$args) == 0 || name %in% generics_of_others) {
    out$mode <- "valid"
    return(out)
  }
  ours <- vapply(call$args, is_ours, NA)
  missing <- vapply(call$args, identical, NA, quote(expr = ))
  free <- which((!ours | takes_anything(name)) & !missing)
  formals <- if (takes_anything(name)) names(formals(get(name, asNamespace("covmash")))) else method_formals(name)
  extra <- setdiff(formals, c(names(call$args), "...", "verbose", formals[seq_along(call$args)]))
  if (mode == "damaged" && any(ours)) {
    at <- pick(as.list(which(ours)))
    out$args[[at]] <- spoil_list(out$args[[at]])
    out$touched <- out$args[at]
    return(out)
  }
  out$mode <- "spoilt"
  made$damage <- FALSE
  for (i in seq_len(sample.int(2, 1, prob = c(0.8, 0.2)))) {
    if (length(extra) > 0 && (length(free) == 0 || chance(0.3))) {
      at <- pick(extra)
      out$args[at] <- list(hostile())
    } else if (length(free) > 0) {
      at <- pick(as.list(free))
      out$args[at] <- list(if (is_ours(out$args[[at]])) hostile() else spoil(out$args[[at]]))
    } else {
      out$mode <- "valid"
      return(out)
    }
    out$touched <- c(out$touched, out$args[at])
  }
  if (made$damage) out$mode <- "damaged"
  out
}

method_formals <- function(name) {
  if (grepl("[(]", name)) return(character())
  fun <- get0(name, asNamespace("covmash"), mode = "function")
  if (is.null(fun)) character() else names(formals(fun))
}

# ---- making -----------------------------------------------------------------------------------

# The call with its arguments as variables of an environment, so that it prints.
as_call <- function(drawn) {
  env <- new.env(parent = globalenv())
  for (name in c("autoplot")) if (requireNamespace("ggplot2", quietly = TRUE)) env[[name]] <- ggplot2::autoplot
  env$grid.draw <- grid::grid.draw
  labels <- names(drawn$args)
  if (is.null(labels)) labels <- character(length(drawn$args))
  symbols <- vector("list", length(drawn$args))
  for (i in seq_along(drawn$args)) {
    if (identical(drawn$args[[i]], quote(expr = ))) {
      symbols[[i]] <- quote(expr = )
      next
    }
    variable <- if (nzchar(labels[i])) paste0(".", labels[i]) else paste0(".", i)
    assign(variable, drawn$args[[i]], env)
    symbols[[i]] <- as.name(variable)
  }
  names(symbols) <- labels
  list(call = as.call(c(list(as.name(drawn$fun)), symbols)), env = env)
}

copy_of <- function(x) unserialize(serialize(x, NULL))

has_environment <- function(x, depth = 0) {
  if (is.environment(x) || typeof(x) == "externalptr") return(TRUE)
  if (is.function(x) || is.language(x)) return(TRUE)
  if (depth > 4 || !is.list(x)) return(FALSE)
  any(vapply(seq_along(x), function(i) has_environment(unclass(x)[[i]], depth + 1), NA))
}

run_call <- function(drawn) {
  made <- as_call(drawn)
  before <- if (!has_environment(drawn$args)) copy_of(drawn$args)
  # Not the state that the arguments were drawn with.
  set.seed(drawn$seed)
  rng <- get(".Random.seed", globalenv())
  settings <- options()
  # What is written under a spoilt name.
  here <- setwd(tempdir())
  on.exit(setwd(here))
  warnings <- list()
  screen <- rawConnection(raw(0), "r+")
  depth <- sink.number()
  sink(screen)
  start <- proc.time()[["elapsed"]]
  result <- tryCatch(
    withCallingHandlers(
      list(value = eval(made$call, made$env)),
      warning = function(cnd) {
        warnings[[length(warnings) + 1]] <<- cnd
        invokeRestart("muffleWarning")
      },
      message = function(cnd) invokeRestart("muffleMessage")
    ),
    error = function(cnd) list(error = cnd)
  )
  seconds <- proc.time()[["elapsed"]] - start
  while (sink.number() > depth) sink()
  printed <- rawToChar(rawConnectionValue(screen))
  close(screen)
  now <- options()
  changed <- setdiff(names(now)[!mapply(identical, now[names(settings)], settings)], NA)
  options(settings)
  list(
    result = result, warnings = warnings, printed = printed, seconds = seconds,
    rng_changed = !identical(rng, get(".Random.seed", globalenv())),
    input_changed = !is.null(before) &&
      !identical(before, drawn$args, ignore.bytecode = TRUE, ignore.environment = TRUE),
    options_changed = changed, made = made
  )
}

# ---- judging ------------------------------------------------------------------------------------

# A named list of faults, kind -> text. Kinds that start with "damaged" are told, not counted as failures.
judge <- function(drawn, ran) {
  faults <- list()
  fault <- function(kind, text) faults[[kind]] <<- c(faults[[kind]], text)
  value <- ran$result$value
  error <- ran$result$error
  damaged <- drawn$mode == "damaged"
  about <- function(cnd) paste0(class(cnd)[1], ": ", substr(gsub("[\n\t]+", " ", conditionMessage(cnd)), 1, 300))
  if (!is.null(error)) {
    # R evaluates a call that is an index before any method of ours sees it.
    evaluated <- drawn$fun == "[" && any(vapply(drawn$touched, is.language, NA))
    if (!inherits(error, "covmash_error") && !of_R_itself(error) && !evaluated) {
      fault(if (damaged) "damaged_unclassed_error" else "unclassed_error", about(error))
    } else if (drawn$mode == "valid" && !isTRUE(drawn$refused) && !inherits(error, "covmash_error_unsupported") &&
                 !(isTRUE(drawn$may_fail) && inherits(error, "covmash_error_numeric"))) {
      fault("valid_refused", about(error))
    }
  }
  for (cnd in ran$warnings) {
    if (!inherits(cnd, "covmash_warning") && !inherits(cnd, "deprecatedWarning")) {
      fault(if (damaged) "damaged_unclassed_warning" else "unclassed_warning", about(cnd))
    }
  }
  draws <- drawn$target$draws || "posterior_samples" %in% names(drawn$args)
  if (ran$rng_changed && !draws) fault("changed_rng", "the state of R's generator changed")
  if (ran$input_changed) fault("changed_input", "an argument changed")
  if (length(ran$options_changed) > 0) fault("changed_options", paste(ran$options_changed, collapse = ", "))
  if (nzchar(ran$printed) && !drawn$target$prints) fault("printed", substr(ran$printed, 1, 100))
  if (!is.null(error)) return(faults)

  bad <- tryCatch(invariants(value), error = function(cnd) paste("checks:", conditionMessage(cnd)))
  if (length(bad) > 0) fault(if (damaged) "damaged_invariant" else "invariant", bad)
  silent <- length(ran$warnings) == 0
  clean <- drawn$mode == "valid" || all_finite(drawn$touched)
  if (silent && clean) {
    paths <- not_finite(value)
    # D of 0 has no inverse, and another form is used.
    if (inherits(value, "factor_precision")) paths <- paths[!grepl("D_inverse", paths)]
    if (!is.null(drawn$na)) paths <- paths[!grepl(drawn$na, paths)]
    # A combination of conditions of which one has no scale is unknown as a whole.
    if (isTRUE(grepl("PosteriorMean", drawn$na)) && "A" %in% names(drawn$args)) {
      paths <- paths[!grepl("NegativeProb|lfsr", paths)]
    }
    if (length(paths) > 0) {
      kind <- if (damaged) "damaged_not_finite" else if (extreme(drawn$touched)) "not_finite_extreme" else "not_finite"
      fault(kind, paste("not finite:", paste(utils::head(paths, 4), collapse = " ")))
    }
  }
  if (drawn$mode == "valid") {
    bad <- tryCatch(
      suppressWarnings(drawn$check(value)),
      error = function(cnd) paste("the check itself stopped:", conditionMessage(cnd))
    )
    if (length(bad) > 0) fault("wrong", unlist(bad))
    for (text in c(other_threads(drawn, value), other_clothes(drawn, value))) fault("wrong", text)
    if (drawn$target$draws && drawn$name != "select_n_factors") {
      again <- run_call(drawn)$result$value
      if (!identical(without_circumstances(again), without_circumstances(value))) {
        fault("wrong", "the same seed gives another result")
      }
    }
  }
  faults
}

# ---- the same call in other ways -----------------------------------------------------------------

# What took how long, and the call as it was written, may differ.
without_circumstances <- function(x) {
  if (is.list(x) && inherits(x, c("mash_fit", "factor_fit", "deconvolution"))) x[c("timing", "call")] <- NULL
  if (is.list(x) && inherits(x, "mash_fit") && is.data.frame(x$source$passes)) {
    x$source$passes[c("seconds", "reading", "computing")] <- NULL
  }
  if (is.list(x) && inherits(x, "mash_scan")) x$seconds <- NULL
  if (is.list(x) && !is.object(x) && !is.null(x[["mash.model"]])) x$mash.model$timing <- NULL
  if (is.list(x) && inherits(x, "mash_cost")) x[c("predicted", "per_row", "once", "memory")] <- NULL
  if (is.list(x) && inherits(x, "mash_pipeline")) x$steps$seconds <- x$fit$timing <- NULL
  if (inherits(x, "mash_cv") && is.data.frame(x$table)) x$table$seconds <- NULL
  if (inherits(x, "deconvolution_cv") && is.data.frame(x$table)) x$table$seconds <- x$fit$timing <- NULL
  x
}

again <- function(drawn, args) {
  drawn$args <- args
  run_call(drawn)$result
}

# Another number of threads, the same bits.
other_threads <- function(drawn, value) {
  if (!takes_anything(drawn$name) || !"n_threads" %in% names(formals(get(drawn$name, asNamespace("covmash"))))) {
    return(character())
  }
  if (drawn$target$draws || drawn$seed %% 3 != 0) return(character())
  args <- drawn$args
  args$n_threads <- if (identical(args$n_threads, 2)) 1 else 2
  if (is.null(drawn$args$n_threads)) {
    args$n_threads <- 1
    value <- again(drawn, args)$value
    args$n_threads <- 2
  }
  same(without_circumstances(again(drawn, args)$value), without_circumstances(value), "with other threads: the value")
}

# A matrix of the Matrix package, integers for whole numbers, a data frame, other attributes: the same value where it is
# accepted.
other_clothes <- function(drawn, value) {
  if (drawn$target$draws || drawn$target$prints || drawn$name %in% generics_of_others || drawn$seed %% 4 != 0) {
    return(character())
  }
  plain <- which(vapply(drawn$args, function(x) is.matrix(x) && is.numeric(x) && length(x) > 0, NA))
  if (length(plain) == 0) return(character())
  at <- plain[(drawn$seed %/% 4) %% length(plain) + 1]
  x <- drawn$args[[at]]
  dressed <- list(
    if (have_Matrix) methods::as(x, "dMatrix"), structure(x, note = "kept"),
    if (!is.null(colnames(x)) && is.null(rownames(x))) as.data.frame(x),
    if (!anyNA(x) && all(x == round(x)) && all(abs(x) < 1e9)) {
      structure(as.integer(x), dim = dim(x), dimnames = dimnames(x))
    }
  )
  dressed <- Filter(Negate(is.null), dressed)
  args <- drawn$args
  args[[at]] <- dressed[[(drawn$seed %/% 16) %% length(dressed) + 1]]
  result <- again(drawn, args)
  if (!is.null(result$error)) {
    if (inherits(result$error, "covmash_error")) return(character())
    return(paste("as", class(args[[at]])[1], conditionMessage(result$error)))
  }
  # Names that are not there may be so in two ways.
  equal <- all.equal(
    without_circumstances(result$value), without_circumstances(value),
    tolerance = 1e-12, check.attributes = !is.null(rownames(x)) || !is.null(colnames(x))
  )
  if (isTRUE(equal)) character() else paste0("as ", class(args[[at]])[1], ": ", equal[1])
}

# What R says before a function of ours is reached.
of_R_itself <- function(cnd) {
  texts <- c(
    "^unused argument", "^argument \".*\" is missing, with no default", "matched by multiple actual arguments",
    "^no applicable method for", "^no 'nobs' method", "^unable to find an inherited method",
    "^object 'x' not found"  # a symbol among the arguments
  )
  grepl(paste(texts, collapse = "|"), conditionMessage(cnd))
}

outcome <- function(drawn, ran) {
  if (!is.null(ran$result$error)) "error" else if (length(ran$warnings) > 0) "warning" else "value"
}

# One line for the log: seed, name, mode, outcome, seconds, kinds, text.
line_of <- function(drawn, ran, faults) {
  text <- paste(sprintf("[%s] %s", names(faults), vapply(faults, `[`, "", 1)), collapse = " ")
  paste(
    drawn$seed, drawn$name, drawn$mode, outcome(drawn, ran), sprintf("%.3f", ran$seconds),
    if (length(faults) > 0) paste(names(faults), collapse = ",") else "ok", gsub("[\n\t]+", " ", text), sep = "\t"
  )
}

fuzz_call <- function(seed, chosen, only = NULL) {
  drawn <- tryCatch(draw_call(seed, chosen, only), error = function(cnd) {
    # A call that cannot even be put together: making a valid object failed.
    list(seed = seed, name = if (is.null(only)) "?" else only, mode = "valid", failed = conditionMessage(cnd))
  })
  if (!is.null(drawn$failed)) {
    ran <- list(result = list(error = TRUE), warnings = list(), seconds = 0)
    return(list(drawn = drawn, ran = ran, faults = list(valid_refused = paste("making the call:", drawn$failed))))
  }
  ran <- run_call(drawn)
  list(drawn = drawn, ran = ran, faults = judge(drawn, ran))
}
