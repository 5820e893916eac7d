# Calls of the mash side. A target makes a valid call, with what must hold of its result:
#
#   target(name, make, draws, prints, weight)
#
# make() gives valid(function, list of arguments, check, na): `check` takes the value, `na` is a regular expression of
# the paths that may be missing or infinite ("" for the value itself). draws: uses R's generator. prints: to stdout.

targets <- list()

target <- function(name, make, draws = FALSE, prints = FALSE, weight = 1) {
  targets[[name]] <<- list(name = name, make = make, draws = draws, prints = prints, weight = weight)
}

# may_fail: an error of the class "covmash_error_numeric" is an answer too.
valid <- function(fun, args, check = function(value) character(), na = NULL, may_fail = FALSE) {
  list(fun = fun, args = args, check = check, na = na, may_fail = may_fail)
}

# A call that has to end in an error of covmash.
refused <- function(fun, args) {
  list(fun = fun, args = args, refused = TRUE, na = NULL, check = function(value) "no error")
}

# Under alpha, an effect whose standard error is not known has no scale to be given on.
unknown_scale <- function(p) if (p$alpha != 0 && anyNA(p$Shat)) "PosteriorMean|PosteriorSD|PosteriorCov"

# ---- data ------------------------------------------------------------------------

target("mash_set_data", weight = 5, function() {
  p <- new_problem()
  args <- list(Bhat = p$Bhat, Shat = p$Shat, alpha = p$alpha, V = p$V)
  # The same numbers in other clothes.
  way <- pick(c("matrix", "matrix", "data frame", "Matrix", "one number", "reset"))
  if (way == "data frame" && !is.null(colnames(p$Bhat))) {
    args$Bhat <- as.data.frame(args$Bhat)
    args$Shat <- as.data.frame(args$Shat)
    p$Bhat <- as.matrix(args$Bhat)
  } else if (way == "Matrix" && have_Matrix) {
    args$Bhat <- methods::as(args$Bhat, "dMatrix")
    args$V <- methods::as(args$V, "dMatrix")
  } else if (way == "one number") {
    p$Shat[] <- args$Shat <- pick(c(1, 0.3, 1e-8))
  } else if (way == "reset") {
    value <- pick(c(0.5, 1e-17, 3))
    at <- which(!is.na(p$Bhat))[1]
    args$Shat[at] <- 0
    if (chance(0.5)) args$Bhat[at] <- p$Bhat[at] <- 0
    args$zero_Bhat_Shat_reset <- args$zero_Shat_reset <- value
    p$Shat[at] <- value
  }
  valid("mash_set_data", args, na = "Bhat|Shat", check = function(d) {
    missing <- is.na(p$Bhat)
    s <- ifelse(missing, NA, unname(p$Shat))
    c(
      same(unname(is.na(d$Bhat)), unname(missing), "where Bhat is missing"),
      near(d$Bhat * d$Shat_alpha, p$Bhat, 1e-14, 0, "Bhat"),
      near(d$Shat, ifelse(missing, NA, s^(1 - p$alpha)), 1e-14, 0, "Shat"),
      near(d$V, p$V, 1e-15, 1, "V"), yes(inherits(d, c("mash_data", "mash"), TRUE)[1] == 1, "class"),
      same(rownames(d$Bhat), rownames(p$Bhat), "row names"), same(colnames(d$Bhat), colnames(p$Bhat), "column names")
    )
  })
})

target("[.mash_data", weight = 2, function() {
  p <- new_problem()
  d <- data_of(p)
  rows <- sample.int(p$J, between(1, p$J))
  columns <- sample.int(p$R, between(1, p$R))
  i <- switch(pick(c("number", "name", "logical", "negative")),
    number = rows,
    name = if (is.null(rownames(p$Bhat))) rows else rownames(p$Bhat)[rows],
    logical = {
      rows <- sort(rows)
      seq_len(p$J) %in% rows
    },
    negative = if (length(rows) == p$J) rows else {
      rows <- sort(rows)
      -setdiff(seq_len(p$J), rows)
    }
  )
  j <- if (is.null(colnames(p$Bhat)) || chance(0.5)) columns else colnames(p$Bhat)[columns]
  valid("[", list(d, i, j), na = "Bhat|Shat", check = function(x) {
    c(
      same(x$Bhat, d$Bhat[rows, columns, drop = FALSE], "Bhat"),
      same(x$Shat, d$Shat[rows, columns, drop = FALSE], "Shat"),
      same(x$Shat_alpha, d$Shat_alpha[rows, columns, drop = FALSE], "Shat_alpha"),
      same(unname(x$V), unname(d$V[columns, columns, drop = FALSE]), "V"), same(class(x), class(d), "class")
    )
  })
})

target("dim.mash_data", weight = 0.3, function() {
  p <- new_problem()
  valid("dim", list(data_of(p)), function(x) same(as.integer(x), c(as.integer(p$J), as.integer(p$R)), "dim"))
})

target("dimnames.mash_data", weight = 0.3, function() {
  p <- new_problem()
  valid("dimnames", list(data_of(p)), function(x) {
    same(as.list(unname(x)), if (is.null(dimnames(p$Bhat))) list() else unname(dimnames(p$Bhat)), "dimnames")
  })
})

target("summary.mash_data", weight = 0.5, function() {
  p <- new_problem()
  valid("summary", list(new_data()), na = "conditions")
})

# ---- fitting -----------------------------------------------------------------------

same_bits <- function(value, again, what) {
  drop_time <- function(x) {
    if (inherits(x, "mash_fit")) x$timing <- NULL
    x
  }
  same(drop_time(value), drop_time(again), what)
}

target("mash", weight = 14, function() {
  p <- new_problem(plain = chance(0.6))
  data <- data_of(p)
  kind <- pick(c("fit", "fit", "grid", "fixed", "fixed", "auto", "mixSQP", "properties", "start", "weights"))
  if (kind == "mixSQP" && !requireNamespace("mixsqp", quietly = TRUE)) kind <- "fit"
  args <- list(data = data, Ulist = p$g$Ulist, verbose = FALSE)
  if (kind %in% c("fit", "grid", "mixSQP", "properties", "start", "weights")) args$grid <- p$g$grid
  if (kind == "fixed") {
    args <- list(data = data, g = p$g, fixg = TRUE, verbose = FALSE)
  } else {
    args$usepointmass <- p$g$usepointmass
    args$normalizeU <- chance(0.5)
    if (chance(0.3)) args$prior <- "uniform"
    if (chance(0.3)) args$nullweight <- pick(c(1, 2, 50))
    if (kind == "mixSQP") args$optmethod <- "mixSQP"
    if (kind == "start") {
      args$start <- if (chance(0.3)) p$g else stats::rexp(length(p$g$grid) * length(p$g$Ulist) + p$g$usepointmass)
    }
    if (kind == "weights") args$weights <- c(1, sample(0:3, p$J, TRUE))[seq_len(p$J)]
  }
  if (chance(0.2)) args$outputlevel <- 1
  if (chance(0.2)) args$output_lfdr <- TRUE
  args$n_threads <- pick(c(1, 1, 2))
  plain <- p$J <= 12
  na <- paste(c("convergence", unknown_scale(p)), collapse = "|")
  valid("mash", args, na = na, check = function(fit) {
    if (!is.null(args$outputlevel)) return(same(names(fit$result), NULL, "result at outputlevel 1"))
    out <- yes(inherits(fit, "mash_fit"), "class")
    P <- length(fit$fitted_g$pi)
    null <- isTRUE(fit$fitted_g$usepointmass)
    if (kind == "fixed") {
      out <- c(out, near(fit$fitted_g$pi, p$g$pi, 1e-14, what = "pi"))
      if (plain) {
        truth <- truth_of(p)
        out <- c(out, check_posterior(fit$result, truth, p), check_loglik(fit$vloglik, truth, p))
      }
    } else if (kind == "weights") {
      copies <- args
      copies$weights <- NULL
      copies$data <- data[rep(seq_len(p$J), args$weights), ]
      other <- quietly(do.call(covmash::mash, copies))$convergence$objective
      out <- c(out, near(fit$convergence$objective, other, 1e-7, max(1, abs(other)), "objective of copies"))
    } else if (plain && kind != "mixSQP" && P * p$J < 400) {
      prior <- rep(1, P)
      at <- if (null) 1 else which(outer(vapply(fit$fitted_g$Ulist, function(U) all(diag(as.matrix(U)) == 0), NA), fit$fitted_g$grid == 0, `|`))[1]
      if (!is.na(at) && !identical(args$prior, "uniform")) prior[at] <- if (is.null(args$nullweight)) 10 else args$nullweight
      out <- c(out, check_weights(fit, p, prior, data))
    }
    if (kind == "properties") {
      other <- args
      other$n_threads <- 3 - args$n_threads
      old <- options(covmash.block_rows = pick(c(1, 7, 1024)))
      on.exit(options(old))
      out <- c(out, same_bits(fit, do.call(covmash::mash, other), "threads or blocks: the fit"))
    }
    out
  })
})

target("mash_compute_posterior_matrices", weight = 6, function() {
  p <- new_problem(plain = TRUE)
  data <- data_of(p)
  args <- list(g = p$g, data = data, pi_thresh = 0, n_threads = pick(c(1, 2)))
  way <- pick(c("truth", "rows", "conditions", "threads", "units", "marginal"))
  valid("mash_compute_posterior_matrices", args, na = unknown_scale(p), check = function(result) {
    out <- check_posterior(result, truth_of(p), p, lfdr = TRUE)
    again <- function(...) quietly(covmash::mash_compute_posterior_matrices(...))
    if (way == "rows" && p$J > 1) {
      rows <- sample.int(p$J, between(1, p$J - 1))
      part <- again(p$g, data[rows, ], pi_thresh = 0)
      for (name in names(part)) {
        out <- c(out, near(part[[name]], result[[name]][rows, , drop = FALSE], 1e-11,
                           scale = if (name %in% probabilities) 1 else max(abs(result[[name]]), 1e-300, na.rm = TRUE),
                           what = paste("some rows alone:", name)))
      }
    }
    if (way == "conditions" && p$R > 1) {
      order <- sample.int(p$R)
      turned <- p$g
      turned$Ulist <- lapply(turned$Ulist, function(U) as.matrix(U)[order, order])
      part <- again(turned, data[, order], pi_thresh = 0)
      sd <- result$PosteriorSD[, order, drop = FALSE]
      sd <- pmax(sd, 1e-12 * max(sd), 1e-300)
      tol <- 100 * tolerance_of(p)
      out <- c(
        out,
        near(part$PosteriorMean / sd, result$PosteriorMean[, order, drop = FALSE] / sd, tol, what = "permuted: mean"),
        near(part$lfsr, result$lfsr[, order, drop = FALSE], tol, what = "permuted: lfsr")
      )
    }
    if (way == "units" && p$alpha == 0) {
      # Other units of measurement, by a power of 2: the same numbers in these units.
      times <- 2^pick(c(-10, 10, 30))
      moved <- p$g
      moved$grid <- moved$grid * times
      part <- again(moved, quietly(covmash::mash_set_data(p$Bhat * times, p$Shat * times, V = p$V)), pi_thresh = 0)
      sd <- pmax(result$PosteriorSD, 1e-12 * max(result$PosteriorSD), 1e-300)
      out <- c(
        out, near(part$PosteriorMean / times / sd, result$PosteriorMean / sd, 1e-11, what = "other units: mean"),
        near(part$PosteriorSD / times / sd, result$PosteriorSD / sd, 1e-11, what = "other units: sd"),
        near(part$lfsr, result$lfsr, 1e-11, what = "other units: lfsr")
      )
    }
    if (way == "marginal" && p$R > 1) {
      # A condition that nobody observed is as if it was not there.
      left <- sample.int(p$R, 1)
      q <- p
      q$Bhat[, left] <- NA
      if (!all(is.na(q$Bhat))) {
        whole <- again(p$g, data_of(q), pi_thresh = 0)
        cut <- p$g
        cut$Ulist <- lapply(cut$Ulist, function(U) as.matrix(U)[-left, -left, drop = FALSE])
        part <- again(cut, data_of(q)[, -left], pi_thresh = 0)
        tol <- 100 * tolerance_of(p)
        sd <- pmax(part$PosteriorSD, 1e-12 * max(part$PosteriorSD, na.rm = TRUE), 1e-300)
        out <- c(
          out,
          near(whole$PosteriorMean[, -left, drop = FALSE] / sd, part$PosteriorMean / sd, tol, what = "marginal: mean"),
          near(whole$lfsr[, -left, drop = FALSE], part$lfsr, tol, what = "marginal: lfsr")
        )
      }
    }
    if (way == "threads") {
      old <- options(covmash.block_rows = pick(c(1, 3, 1024)))
      on.exit(options(old))
      out <- c(out, same(again(p$g, data, pi_thresh = 0, n_threads = 3 - args$n_threads), result, "threads or blocks"))
    }
    out
  })
})

target("mash_compute_vloglik", weight = 3, function() {
  p <- new_problem(plain = TRUE)
  valid("mash_compute_vloglik", list(g = p$g, data = data_of(p)), check = function(v) check_loglik(v, truth_of(p), p))
})

target("mash_compute_loglik", weight = 2, function() {
  p <- new_problem(plain = TRUE)
  valid("mash_compute_loglik", list(g = p$g, data = data_of(p)), check = function(v) {
    truth <- truth_of(p)$vloglik
    near(v, sum(truth), tolerance_of(p), scale = 1 + sum(abs(truth)), what = "loglik")
  })
})

target("get_posterior_weights", weight = 1, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  p <- one$problem
  args <- list(fit = one$fit)
  if (is.null(one$fit$posterior_weights) || chance(0.5)) args$data <- one$data
  if (chance(0.3)) args$by <- pick(c("matrix", "scale"))
  valid("get_posterior_weights", args, check = function(w) {
    if (!is.null(args$by)) return(near(rowSums(w), rep(1, nrow(w)), 1e-9, what = "sum"))
    truth <- truth_of(p, one$fit$fitted_g)$weights
    kept <- attr(w, "component")
    c(
      near(unname(w)[, ], truth[, kept, drop = FALSE][, ], 1e-7, what = "weights"),
      yes(all(w >= 0 & w <= 1 + 1e-12), "weights outside of [0, 1]")
    )
  })
})

target("all.equal.mash_fit", weight = 0.3, function() {
  one <- fit_pool()$fit
  other <- one
  other$timing$total <- 1e9
  different <- chance(0.5)
  if (different) other$loglik <- other$loglik + 1
  valid("all.equal", list(one, other), check = function(v) yes(isTRUE(v) != different, "all.equal() is wrong"))
})

target("predict.mash_fit", weight = 3, function() {
  one <- fit_pool()
  full <- !is.null(one$fit$result$lfsr)
  p <- new_problem(plain = TRUE, R = one$problem$R, scaled = FALSE)
  p$alpha <- one$problem$alpha
  dimnames(p$Bhat) <- dimnames(p$Shat) <- list(NULL, colnames(one$problem$Bhat))
  way <- pick(c("own", "new", "fit", "order"))
  if (way == "fit" && full) {
    return(valid("predict", list(one$fit), na = "", check = function(x) same(x, one$fit$result, "result")))
  }
  if (way == "own") {
    return(valid("predict", list(one$fit, one$data), na = unknown_scale(one$problem), check = function(x) {
      check_posterior(x, truth_of(one$problem, one$fit$fitted_g), one$problem, one$fit$fitted_g)
    }))
  }
  if (way == "order" && !is.null(colnames(p$Bhat)) && p$R > 1) {
    order <- sample.int(p$R)
    own <- data_of(p)
    return(valid("predict", list(one$fit, own[, order]), na = unknown_scale(p), check = function(x) {
      wanted <- quietly(covmash::mash_compute_posterior_matrices(one$fit, own))
      # In the order of the fit or of the data, but by name.
      near(x$PosteriorMean[, colnames(p$Bhat), drop = FALSE], wanted$PosteriorMean, 1e-6,
           scale = max(wanted$PosteriorSD), what = "conditions in another order: PosteriorMean")
    }))
  }
  valid("predict", list(one$fit, data_of(p)), na = unknown_scale(p), check = function(x) {
    check_posterior(x, truth_of(p, one$fit$fitted_g), p, one$fit$fitted_g)
  })
})

target("mash_1by1", weight = 6, function() {
  p <- new_problem(plain = TRUE, J = pick(c(1, 3, 12, 30)))
  data <- data_of(p)
  prior <- pick(c("ash", "flat", "uniform"))
  args <- list(data = data, prior = prior)
  ours <- chance(0.7)
  if (chance(0.3)) args$nullweight <- pick(c(1, 5))
  if (chance(0.2)) args$mixsd <- c(0.5, 1, 3)
  if (chance(0.2)) args$gridmult <- pick(c(2, 1.2))
  use_ash <- prior != "flat" && chance(0.15) && p$alpha == 0 && requireNamespace("ashr", quietly = TRUE)
  valid("mash_1by1", args, na = "result|loglik|kkt|converged", check = function(x) {
    B <- unname(p$Bhat)
    S <- unname(p$Shat)
    out <- names_are(x$result$PosteriorMean, rownames(p$Bhat), colnames(p$Bhat), "PosteriorMean")
    if (prior == "flat") {
      sd <- ifelse(is.na(B), Inf, S * rep(sqrt(diag(p$V)), each = p$J))
      return(c(
        out, near(x$result$PosteriorMean, B, 1e-13, 0, "flat: mean"),
        near(x$result$PosteriorSD, sd, 1e-13, 0, "flat: sd"),
        near(x$result$lfsr, ifelse(is.na(B), 0.5, stats::pnorm(-abs(B / sd))), 1e-12, 1e-300, "flat: lfsr")
      ))
    }
    empty <- colSums(!is.na(B)) == 0
    for (r in which(!empty)) {
      observed <- x$result$lfsr[!is.na(B[, r]), r]
      out <- c(out, yes(all(is.finite(observed)), "lfsr of observed estimates is not finite"))
    }
    if (use_ash) out <- c(out, compare_with_ash(x, p, args))
    out
  })
})

# ash itself, condition by condition. Without a penalty the log-likelihood is what is maximised, and must not be lower;
# with one, posterior means agree up to what the tolerance of ash's optimiser leaves where the likelihood is flat.
compare_with_ash <- function(x, p, args) {
  out <- character()
  for (r in seq_len(p$R)) {
    seen <- which(!is.na(p$Bhat[, r]))
    if (length(seen) < 3) next
    sd <- p$Shat[seen, r] * sqrt(p$V[r, r])
    extra <- args[intersect(names(args), c("nullweight", "mixsd", "gridmult"))]
    theirs <- tryCatch(
      quietly(do.call(ashr::ash, c(list(
        p$Bhat[seen, r], sd, mixcompdist = "normal",
        prior = if (args$prior == "uniform") "uniform" else "nullbiased", control = list(eps = 1e-10)
      ), extra))),
      error = function(cnd) NULL
    )
    if (is.null(theirs)) next
    ours <- tryCatch(quietly(do.call(covmash::mash_1by1, c(
      list(data = covmash::mash_set_data(p$Bhat[seen, r, drop = FALSE], matrix(sd))),
      args[names(args) != "data"]
    ))), error = function(cnd) NULL)
    if (is.null(ours)) {
      out <- c(out, "ash fits what mash_1by1() does not")
    } else if (args$prior == "uniform" || identical(args$nullweight, 1)) {
      out <- c(out, yes(ours$loglik >= theirs$loglik - 1e-6, sprintf("log-likelihood %.3g below ash's",
                                                                      theirs$loglik - ours$loglik)))
    } else {
      means <- ours$result$PosteriorMean[, 1]
      out <- c(out, near(means / sd, theirs$result$PosteriorMean / sd, 0.02, what = "ash: mean"))
    }
  }
  out
}

# ---- covariance matrices -----------------------------------------------------------

target("cov_canonical", weight = 1, function() {
  p <- new_problem()
  valid("cov_canonical", list(data = data_of(p)), check = function(U) {
    c(
      near(U$identity, diag(p$R), 0, what = "identity"), near(U$equal_effects, matrix(1, p$R, p$R), 0, what = "equal"),
      yes(length(U) == p$R + 5, "number of matrices"),
      unlist(lapply(names(U), function(name) check_psd(U[[name]], name)))
    )
  })
})

target("cov_pca", weight = 2, function() {
  p <- new_problem()
  data <- data_of(p)
  npc <- between(1, p$R)
  valid("cov_pca", list(data = data, npc = npc), check = function(U) {
    unlist(lapply(names(U), function(name) {
      c(check_psd(U[[name]], name), names_are(U[[name]], colnames(p$Bhat), colnames(p$Bhat), name))
    }))
  })
})

target("cov_ed", weight = 4, function() {
  p <- new_problem(plain = chance(0.7))
  data <- data_of(p)
  args <- list(data = data, Ulist_init = p$g$Ulist)
  args$algorithm <- pick(c("bovy", "bovy", "teem"))
  args$maxiter <- pick(c(1, 5, 50))
  if (chance(0.2)) args$subset <- which(rowSums(!is.na(p$Bhat)) > 0)[1]
  # TEEM takes complete rows only.
  rows <- if (is.null(args$subset)) seq_len(p$J) else args$subset
  if (args$algorithm == "teem" && all(rowSums(is.na(p$Bhat[rows, , drop = FALSE])) > 0)) args$algorithm <- "bovy"
  # Deconvolution factorises U + V_j, where nothing is left of a noise that is this small.
  smallest <- min(p$Shat[is.finite(p$Shat)], 1)^2 * min(eigen(p$V, symmetric = TRUE)$values)
  largest <- max(vapply(p$g$Ulist, function(U) max(abs(as.matrix(U))), 0), p$Bhat^2, na.rm = TRUE)
  valid("cov_ed", args, may_fail = !(largest < 1e12 * smallest), check = function(U) {
    c(
      same(names(U), paste0("ED_", names(p$g$Ulist)), "names"),
      unlist(lapply(names(U), function(name) {
        c(check_psd(U[[name]], name), names_are(U[[name]], colnames(p$Bhat), colnames(p$Bhat), name))
      }))
    )
  })
})

# ---- what a fit says ----------------------------------------------------------------

for (name in c("get_lfsr", "get_lfdr", "get_pm", "get_psd", "get_np")) local({
  name <- name
  part <- c(get_lfsr = "lfsr", get_lfdr = "lfdr", get_pm = "PosteriorMean", get_psd = "PosteriorSD",
            get_np = "NegativeProb")[[name]]
  target(name, weight = 0.4, function() {
    one <- if (chance(0.7)) full_fit_pool() else onebyone_pool()
    valid(name, list(one$fit), na = "", check = function(x) same(x, one$fit$result[[part]], part))
  })
})

target("get_loglik", weight = 0.3, function() {
  one <- fit_pool()
  valid("get_loglik", list(one$fit), check = function(x) near(x, sum(one$fit$vloglik), 1e-10, what = "loglik"))
})

target("get_fitted_g", weight = 0.3, function() {
  one <- fit_pool()
  valid("get_fitted_g", list(one$fit), check = function(x) same(x, one$fit$fitted_g, "fitted_g"))
})

target("get_pi0", weight = 0.5, function() {
  one <- fit_pool()
  g <- one$fit$fitted_g
  valid("get_pi0", list(one$fit), check = function(x) {
    zero <- vapply(g$Ulist, function(U) all(diag(as.matrix(U)) == 0), NA)
    null <- outer(zero, g$grid == 0, "|")
    near(x, sum(g$pi[c(if (g$usepointmass) TRUE, null)]), 1e-12, what = "pi0")
  })
})

target("get_credible_intervals", weight = 1.5, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  args <- list(fit = one$fit, data = one$data)
  if (chance(0.6)) args$level <- pick(c(0.5, 0.9, 0.999))
  if (chance(0.3)) args$type <- pick(c("equal", "shortest"))
  if (chance(0.4)) args$A <- matrix(round(stats::rnorm(2 * one$problem$R), 1), 2)
  valid("get_credible_intervals", args, na = "lower|upper", check = function(x) {
    wide <- quietly(covmash::get_credible_intervals(one$fit, one$data, level = 0.9999, A = args$A))
    means <- quietly(covmash::mash_compute_posterior_matrices(one$fit, one$data, A = args$A))
    slack <- 1e-9 * max(abs(means$PosteriorMean), means$PosteriorSD, na.rm = TRUE)
    c(
      yes(all(x$lower <= x$upper, na.rm = TRUE), "an interval is upside down"),
      yes(all(x$lower >= wide$lower - slack & x$upper <= wide$upper + slack, na.rm = TRUE) || identical(args$type, "shortest"), "a lower level has a wider interval"),
      # Chebyshev's inequality
      yes(all(abs(wide$lower - means$PosteriorMean) <= 101 * means$PosteriorSD + slack, na.rm = TRUE), "an end is too far"),
      same(dim(x$lower), dim(means$PosteriorMean), "shape")
    )
  })
})
target("mash_joint", weight = 1.5, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  R <- one$problem$R
  args <- list(fit = one$fit, data = one$data)
  if (chance(0.6)) args$include <- sort(sample(R, between(1, R)))
  rest <- setdiff(seq_len(R), if (is.null(args$include)) 1 else args$include)
  if (length(rest) > 0 && chance(0.4)) args$exclude <- rest[1]
  if (chance(0.4)) args$test <- "any"
  if (chance(0.5)) args$what <- "sign"
  if (chance(0.2)) args$tolerance <- 0.01
  valid("mash_joint", args, check = function(x) {
    plain <- quietly(do.call(covmash::mash_joint, utils::modifyList(args, list(what = "nonzero"))))
    slack <- 1e-9 + if (is.null(x$error)) 0 else x$error
    c(
      yes(all(x$probability >= 0 & x$probability <= 1), "outside of [0, 1]"),
      yes(all(x$probability <= plain$probability + slack), "of one sign more often than nonzero"),
      same(nrow(x), nrow(one$data$Bhat), "rows")
    )
  })
})
target("mash_active", weight = 0.7, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  valid("mash_active", list(fit = one$fit, data = one$data), check = function(x) {
    all_of <- quietly(covmash::mash_joint(one$fit, one$data))$probability
    c(
      near(rowSums(x$distribution), rep(1, nrow(x$distribution)), 1e-9, what = "sum"),
      near(x$distribution[, ncol(x$distribution)], all_of, 1e-12, what = "all")
    )
  })
})
target("mash_largest", weight = 0.8, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  args <- list(fit = one$fit, data = one$data, tolerance = 0.1)
  if (chance(0.5)) args$include <- sort(sample(one$problem$R, between(1, one$problem$R)))
  valid("mash_largest", args, na = "probability|none|error", check = function(x) {
    total <- rowSums(x$probability) + x$none
    c(
      yes(all(x$probability >= 0 & x$none >= 0 & x$error >= 0, na.rm = TRUE), "below 0"),
      yes(all(total <= 1 + 1e-9 & total >= 1 - x$error - 1e-9, na.rm = TRUE), "sum"),
      yes(one$data$alpha != 0 || !anyNA(total), "missing"),
      same(nrow(x$probability), nrow(one$data$Bhat), "rows"),
      yes(is.null(args$include) || ncol(x$probability) == length(args$include), "columns")
    )
  })
})
target("get_expected_sharing", weight = 0.8, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  args <- list(fit = one$fit, data = one$data)
  if (chance(0.5)) args$factor <- sample(c(0, 0.3, 0.9, 1), 1)
  if (chance(0.3)) args$lfsr_thresh <- 0.4
  if (chance(0.3)) args$weights <- stats::runif(nrow(one$data$Bhat)) + 1e-3
  if (chance(0.3)) args$predicted <- TRUE
  valid("get_expected_sharing", args, na = "", check = function(x) {
    wider <- quietly(do.call(covmash::get_expected_sharing, utils::modifyList(args, list(factor = 0))))
    c(
      yes(all(x >= 0 & x <= 1, na.rm = TRUE), "outside of [0, 1]"),
      yes(all(x <= wider + 1e-6, na.rm = TRUE), "within a factor more often than of one sign"),
      same(is.na(x), is.na(wider), "pairs"),
      yes(isSymmetric(unname(x)), "not symmetric")
    )
  })
})
target("get_log_lfsr", weight = 0.6, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  valid("get_log_lfsr", list(fit = one$fit, data = one$data), na = "", check = function(x) {
    lfsr <- quietly(covmash::mash_compute_posterior_matrices(one$fit, one$data))$lfsr
    seen <- lfsr > 1e-280
    c(
      yes(all(x <= 1e-12, na.rm = TRUE), "above 0"),
      near(x[seen], log10(lfsr[seen]), 1e-10, what = "logarithm"),
      same(dim(x), dim(lfsr), "shape")
    )
  })
})
target("summarise_effects", weight = 0.6, function() {
  one <- full_fit_pool()
  J <- nrow(one$data$Bhat)
  args <- list(m = one$fit)
  if (chance(0.7)) args$by <- sample(between(1, J), J, TRUE)
  if (chance(0.2)) args$predicted <- TRUE
  valid("summarise_effects", args, na = "estimate|std.error|lfsr", check = function(x) {
    c(
      same(sum(x$n_effects), J, "effects"),
      yes(all(x$n_any >= x$n_significant), "fewer of any than of the lead"),
      yes(all(nchar(x$signs) == nchar(x$signs[1])), "signs")
    )
  })
})
hierarchy_pool <- function() quietly(covmash::control_hierarchy(full_fit_pool()$fit))
target("control_hierarchy", weight = 0.8, function() {
  one <- full_fit_pool()
  J <- nrow(one$data$Bhat)
  args <- list(m = one$fit, level = if (chance(0.5)) stats::runif(3) else 0.05)
  if (chance(0.7)) args$by <- sample(between(1, J), J, TRUE)
  valid("control_hierarchy", args, check = function(x) {
    c(
      yes(all(x$expected_error <= args$level + 1e-9), "expected error"),
      yes(all(x$conditions$group %in% x$groups$group), "a condition of no group"),
      yes(nrow(x$effects) >= nrow(x$conditions) && nrow(x$conditions) >= nrow(x$groups), "levels")
    )
  })
})
for (name in c("print", "format")) local({
  name <- name
  target(paste0(name, ".mash_hierarchy"), weight = 0.2, prints = name == "print", function() valid(name, list(hierarchy_pool())))
})
contrast_pool <- function() {
  one <- fit_pool()
  while (one$problem$R < 2) one <- fit_pool()
  list(problem = one$problem, x = quietly(covmash::mash_contrast(one$fit, one$data)))
}
target("mash_contrast", weight = 1.5, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  R <- one$problem$R
  args <- list(fit = one$fit, data = one$data)
  args$contrast <- pick(list("pairwise", "consecutive", "reference", "deviation", matrix(stats::rnorm(R), 1)))
  if (R < 2) args$contrast <- matrix(1)
  if (identical(args$contrast, "reference")) args$reference <- between(1, R)
  if (chance(0.3)) args$level <- pick(list(NULL, 0.5))
  valid("mash_contrast", args, na = "lower|upper|Posterior|lfsr|NegativeProb", check = function(x) {
    means <- quietly(covmash::mash_compute_posterior_matrices(one$fit, one$data, A = x$contrast))
    c(
      near(x$result$PosteriorMean, means$PosteriorMean, 1e-12, max(1e-300, abs(means$PosteriorMean), na.rm = TRUE), "estimates"),
      same(x$result$lfsr, means$lfsr, "lfsr"), same(rownames(x$contrast), colnames(x$result$lfsr), "names")
    )
  })
})
for (name in c("print", "format")) local({
  name <- name
  target(paste0(name, ".mash_contrast"), weight = 0.2, prints = name == "print", function() valid(name, list(contrast_pool()$x), na = "."))
})

target("get_estimated_pi", weight = 0.7, function() {
  one <- if (chance(0.2)) deconvolution_pool() else fit_pool()
  dimension <- pick(c("cov", "grid", "all"))
  valid("get_estimated_pi", list(m = one$fit, dimension = dimension), check = function(x) {
    c(near(sum(x), 1, 1e-8, what = "sum"), yes(all(x >= 0), "negative"), yes(!anyDuplicated(names(x)), "names twice"))
  })
})

target("get_log10bf", weight = 0.6, function() {
  one <- fit_pool()
  if (chance(0.5)) {
    args <- list(m = one$fit, data = one$data, by = "matrix")
    return(valid("get_log10bf", args, na = "", check = function(x) {
      pi <- quietly(covmash::get_estimated_pi(one$fit))
      if (one$fit$fitted_g$usepointmass) pi <- pi[-1]
      c(
        same(dim(x), c(nrow(one$data$Bhat), length(pi)), "shape"),
        same(unname(colSums(is.na(x)) > 0), unname(pi == 0), "NA")
      )
    }))
  }
  valid("get_log10bf", list(one$fit), check = function(x) {
    if (!one$fit$fitted_g$usepointmass) return(character())
    yes(is.null(x) || length(x) == one$problem$J, "length")
  }, na = if (!one$fit$fitted_g$usepointmass || all(one$fit$fitted_g$pi[-1] == 0)) "")
})

significant_args <- function(one) {
  args <- list(m = one$fit)
  if (chance(0.5)) args$thresh <- pick(c(0.05, 0.5, 1, 0))
  if (chance(0.3)) args$conditions <- sample.int(one$problem$R, between(1, one$problem$R))
  if (chance(0.3)) args$predicted <- TRUE
  args
}

target("get_significant_results", weight = 0.7, function() {
  one <- full_fit_pool()
  args <- significant_args(one)
  valid("get_significant_results", args, check = function(x) {
    lfsr <- one$fit$result$lfsr
    if (!isTRUE(args$predicted)) lfsr[is.na(one$problem$Bhat)] <- NA
    if (!is.null(args$conditions)) lfsr <- lfsr[, args$conditions, drop = FALSE]
    best <- suppressWarnings(apply(lfsr, 1, min, na.rm = TRUE))
    thresh <- if (is.null(args$thresh)) 0.05 else args$thresh
    same(sort(unname(x)), which(unname(best) < thresh), "rows")
  })
})

target("get_n_significant_conditions", weight = 0.7, function() {
  one <- full_fit_pool()
  args <- significant_args(one)
  valid("get_n_significant_conditions", args, check = function(x) {
    lfsr <- one$fit$result$lfsr
    if (!isTRUE(args$predicted)) lfsr[is.na(one$problem$Bhat)] <- NA
    if (!is.null(args$conditions)) lfsr <- lfsr[, args$conditions, drop = FALSE]
    thresh <- if (is.null(args$thresh)) 0.05 else args$thresh
    same(unname(x), unname(as.integer(rowSums(lfsr < thresh, na.rm = TRUE))), "counts")
  })
})

target("get_pairwise_sharing", weight = 0.7, function() {
  one <- full_fit_pool()
  R <- one$problem$R
  valid("get_pairwise_sharing", list(m = one$fit, lfsr_thresh = pick(c(0.05, 0.5, 1))), na = "", check = function(x) {
    c(
      yes(all(is.na(x) | x >= 0 & x <= 1), "outside of [0, 1]"), same(dim(x), as.integer(c(R, R)), "shape"),
      yes(isTRUE(all.equal(x, t(x))), "not symmetric")
    )
  })
})

target("logLik.mash_fit", weight = 0.3, function() {
  one <- fit_pool()
  valid("logLik", list(one$fit), check = function(x) near(as.numeric(x), one$fit$loglik, 0, what = "logLik"))
})

target("nobs.mash_fit", weight = 0.3, function() {
  one <- fit_pool()
  valid("nobs", list(one$fit), check = function(x) {
    same(as.integer(x), sum(rowSums(!is.na(one$problem$Bhat)) > 0), "nobs")
  })
})

target("glance.mash_fit", weight = 0.4, function() {
  one <- fit_pool()
  valid("glance", list(one$fit), na = "n_significant|converged", check = function(x) {
    c(yes(nrow(x) == 1, "rows"), near(x$logLik, one$fit$loglik, 0, what = "logLik"))
  })
})

for (name in c("tidy", "glance", "augment")) local({
  name <- name
  target(name, weight = 0.3, function() {
    one <- full_fit_pool()
    args <- list(one$fit)
    if (name == "augment") args[[2]] <- one$data
    valid(name, args, na = ".")
  })
})

for (name in c("fitted.mash_fit", "residuals.mash_fit")) local({
  name <- name
  target(name, weight = 0.2, function() valid(sub("[.].*", "", name), list(full_fit_pool()$fit), na = "."))
})
for (name in c("fitted", "residuals", "logLik", "nobs")) local({
  name <- name
  target(paste0(name, ".mash_1by1"), weight = 0.2, function() valid(name, list(onebyone_pool()$fit), na = "."))
})
# ---- placeholders of missing estimates ---

target("placeholder_to_na", weight = 1, function() {
  p <- new_problem(J = pick(c(5, 20, 40)), scaled = FALSE)
  p$Shat[is.na(p$Shat)] <- 1
  p$Bhat[p$Bhat == 0 & !is.na(p$Bhat)] <- 0.125
  at <- if (chance(0.7)) sample.int(p$J * p$R, between(1, 2)) else integer()
  p$Bhat[at] <- 0
  p$Shat[at] <- pick(c(1e6, 1e16))
  data <- data_of(p)
  valid("placeholder_to_na", list(data), na = "Bhat|Shat", check = function(d) {
    # With one condition's effects nearly all placeholders there is no telling.
    column <- (at - 1) %/% p$J + 1
    clear <- p$J >= 20
    c(
      yes(!clear || all(is.na(d$Bhat[at])), "a placeholder was left"),
      yes(all(is.na(d$Bhat[-at]) == is.na(p$Bhat[-at])) || length(at) == 0, "an estimate became missing")
    )
  })
})

# ---- simulated data --------------------------------------------------------------------

target("simple_sims", draws = TRUE, weight = 0.5, function() {
  n <- between(1, 5)
  R <- between(1, 4)
  valid("simple_sims", list(nsamp = n, ncond = R, err_sd = pick(c(0.01, 1, 0))), check = function(x) {
    c(same(dim(x$Bhat), as.integer(c(4 * n, R)), "shape"), same(dim(x$Shat), dim(x$Bhat), "shape of Shat"))
  })
})

target("simple_sims2", draws = TRUE, weight = 0.5, function() {
  n <- between(1, 5)
  valid("simple_sims2", list(nsamp = n, err_sd = pick(c(0.01, 1))), check = function(x) {
    same(dim(x$Bhat), as.integer(c(2 * n, 5)), "shape")
  })
})

target("covmash_info", weight = 0.2, function() valid("covmash_info", list()))

# ---- printing ---------------------------------------------------------------------------

prints_what <- function(name, generic, make, prints = TRUE, weight = 0.4, na = ".") {
  target(name, prints = prints, weight = weight, function() {
    x <- make()
    valid(generic, list(x), na = na, check = function(value) {
      if (generic == "print") same(value, x, "what print() returns") else character()
    })
  })
}

prints_what("print.mash_data", "print", function() new_data())
prints_what("print.mash_fit", "print", function() fit_pool()$fit)
prints_what("print.mash_1by1", "print", function() onebyone_pool()$fit)
prints_what("print.covmash_info", "print", function() covmash::covmash_info(), weight = 0.1)
prints_what("print.summary.mash_data", "print", function() summary(new_data()))
prints_what("print.summary.mash_fit", "print", function() summary(fit_pool()$fit))
prints_what("print.summary.mash_1by1", "print", function() summary(onebyone_pool()$fit))
prints_what("format.mash_data", "format", function() new_data(), FALSE, 0.2)
prints_what("format.mash_fit", "format", function() fit_pool()$fit, FALSE, 0.2)
prints_what("format.mash_1by1", "format", function() onebyone_pool()$fit, FALSE, 0.2)
prints_what("summary.mash_fit", "summary", function() fit_pool()$fit, FALSE, 0.5)
prints_what("summary.mash_1by1", "summary", function() onebyone_pool()$fit, FALSE, 0.5)

# ---- plots: made, and some of them drawn ---------------------------------------------------

plots <- function(name, generic, make, weight) {
  target(name, prints = TRUE, weight = weight, function() valid(generic, make(), na = "."))
}
