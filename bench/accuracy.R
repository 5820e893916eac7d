# Log-likelihoods and posteriors of covmash and mashr against 113-bit arithmetic. bench/README.md says how to read the
# result.
#
#   Rscript bench/accuracy.R [--cases=PATTERN] [--out=DIR] [--seed-offset=0] [--smoke]

# Rscript writes a space in a path as ~+~.
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))

# The goals: of the log-likelihood, relative to max(1, |value|); of means, in posterior standard deviations, and of
# standard deviations, relative.
goal <- 1e-8
# The input determines an answer if roundings of it, drawn at random and so milder than the worst, move it by less.
determined <- goal / 10
loglik_bound <- function(cond) pmax(1e-11, 20 * .Machine$double.eps * sqrt(cond))

# ---- cases ------------------------------------------------------------------

# noise: "common" (one row of Shat), "proportional" (one up to a factor: shared too), "row-specific"; "grouped" (a few
#    effects have a row of Shat in common) and "grouped, proportional" (up to a factor).
# shat: "one", "ordinary" (0.5 to 1.5), "wide" (1e-3 to 1e3).
# C: "identity", "equicorrelated" (0.5, or so close to 1 that the condition is `cond`), "spread" (random eigenvectors,
#    eigenvalues in geometric progression), "graded" (a covariance with variances from 1 down to 1 / cond).
# missing: share of the estimates that are missing.
cases <- function(smoke) {
  sizes <- if (smoke) 5 else c(5, 20)
  one <- function(noise, shat, C, cond = NA, missing = 0, R = sizes) {
    expand.grid(
      noise = noise, shat = shat, C = C, cond = cond, missing = missing, R = R, stringsAsFactors = FALSE,
      KEEP.OUT.ATTRS = FALSE
    )
  }
  ill <- c(5e6, 5e10)
  out <- rbind(
    one("common", "one", c("identity", "equicorrelated")),
    one("common", "wide", c("identity", "equicorrelated")),
    one("common", "one", c("spread", "equicorrelated", "graded"), ill),
    one("proportional", "ordinary", "equicorrelated"),
    one("row-specific", "ordinary", c("identity", "equicorrelated")),
    one("row-specific", "wide", c("identity", "equicorrelated")),
    one("row-specific", "ordinary", c("spread", "equicorrelated", "graded"), ill),
    one("common", "one", "equicorrelated", missing = 0.3),
    one("row-specific", "wide", "equicorrelated", missing = 0.3),
    one("row-specific", "ordinary", "spread", ill, missing = 0.3),
    one("grouped", "ordinary", c("identity", "equicorrelated")),
    one("grouped", "wide", c("identity", "equicorrelated")),
    one("grouped", "ordinary", c("spread", "equicorrelated", "graded"), ill),
    one("grouped, proportional", "ordinary", c("identity", "equicorrelated")),
    one("grouped, proportional", "wide", "equicorrelated"),
    one("grouped, proportional", "ordinary", "spread", ill),
    one("grouped", "wide", "equicorrelated", missing = 0.3),
    one("grouped", "ordinary", "spread", ill, missing = 0.3)
  )
  out$case <- sprintf(
    "%s, R=%d, Shat %s, C %s%s%s", out$noise, out$R, out$shat, out$C,
    ifelse(is.na(out$cond), "", sprintf(" %.0e", out$cond)), ifelse(out$missing > 0, ", missing entries", "")
  )
  out
}

n_effects <- 34

# As many as make a form of their own worth while for a group, which are more where there are few conditions; in no
# order, and two effects that match nobody.
groups_of_effects <- function(R) {
  sizes <- if (R < 12) c(37, 40, 45, 38, 41) else c(16, 9, 20, 13, 17, 16, 12)
  c(sample(rep(seq_along(sizes), sizes)), length(sizes) + 1:2)
}

correlation <- function(kind, cond, R) {
  if (kind == "identity") {
    return(diag(R))
  }
  if (kind == "equicorrelated") {
    apart <- if (is.na(cond)) 0.5 else R / (cond + R - 1)
    return(matrix(1 - apart, R, R) + diag(apart, R))
  }
  if (kind == "graded") {
    sd <- 2^-round(seq(0, log2(cond) / 2, length.out = R))
    return((matrix(0.5, R, R) + diag(0.5, R)) * (sd %o% sd))
  }
  Q <- qr.Q(qr(matrix(rnorm(R * R), R)))
  build <- function(exponent) {
    C <- stats::cov2cor(crossprod(t(Q) * cond^(-exponent * seq(0, 1, length.out = R) / 2)))
    C <- (C + t(C)) / 2
    diag(C) <- 1
    C
  }
  # The unit diagonal changes the condition number: find the spread that gives it back.
  excess <- function(exponent) log(condition(build(exponent)) / cond)
  build(stats::uniroot(excess, c(0.2, 1.3), tol = 1e-3, extendInt = "upX")$root)
}

# From the singular values, which keep a meaning until 1 / eps.
condition <- function(C) {
  d <- svd(C, 0, 0)$d
  d[1] / d[length(d)]
}

# Factors of small whole numbers, so that U = F F' is exact and exactly positive semi-definite.
factors <- function(R) {
  whole <- function(n) matrix(sample(c(-3:-1, 1:3), R * n, TRUE), R)
  singleton <- replace(numeric(R), 2, 3)
  gap <- whole(2)
  gap[c(1, R), ] <- 0
  lapply(
    list(
      "rank 0" = matrix(0, R, 1), "singleton" = cbind(singleton), "rank 1" = whole(1),
      "equal effects" = matrix(1, R, 1),
      "rank 2" = whole(2), "rank 2, zero rows" = gap, "identity" = diag(R), "full" = whole(R)
    ),
    function(F) unname(cbind(F, matrix(0, R, R - ncol(F))))
  )
}

# Powers of 2, so that w and w U are exact.
scale_sd <- 2^c(-4, 0, 3)

# Half of the effects are draws from the model, the others know nothing of C.
simulate_case <- function(case, seed) {
  set.seed(seed)
  R <- case$R
  group <- if (startsWith(case$noise, "grouped")) groups_of_effects(R) else seq_len(n_effects)
  J <- length(group)
  C <- correlation(case$C, case$cond, R)
  draw_shat <- function(n) {
    switch(case$shat, one = rep(1, n), ordinary = runif(n, 0.5, 1.5), wide = 10^runif(n, -3, 3))
  }
  shat <- switch(case$noise,
    "common" = matrix(draw_shat(R), J, R, byrow = TRUE),
    # One direction times powers of 2: proportional in exact arithmetic.
    "proportional" = 2^sample(-2:2, J, TRUE) %o% draw_shat(R),
    "row-specific" = matrix(draw_shat(J * R), J, R),
    "grouped" = matrix(draw_shat(max(group) * R), ncol = R)[group, ],
    "grouped, proportional" = 2^sample(-2:2, J, TRUE) * matrix(draw_shat(max(group) * R), ncol = R)[group, ]
  )
  F <- factors(R)
  b <- t(vapply(seq_len(J), function(j) {
    sample(scale_sd, 1) * drop(F[[1 + j %% length(F)]] %*% rnorm(R))
  }, numeric(R)))
  error <- matrix(rnorm(J * R), J)
  modelled <- seq_len(J) %% 2 == 0
  error[modelled, ] <- error[modelled, ] %*% chol(C)
  bhat <- b + shat * error
  if (case$missing > 0) {
    bhat[missing_cells(case, group)] <- NA
  }
  list(bhat = bhat, shat = shat, C = C, factors = F)
}

# One pattern where the noise is common, in all rows but two; one a group; at least two observed entries in every row.
missing_cells <- function(case, group) {
  R <- case$R
  J <- length(group)
  pattern <- function() replace(runif(R) < case$missing, sample(R, 2), FALSE)
  if (case$noise == "common") {
    return(outer(seq_len(J) > 2, pattern(), "&"))
  }
  t(vapply(seq_len(max(group)), function(j) pattern(), logical(R)))[group, ]
}

# ---- truth ------------------------------------------------------------------

compile_truth <- function() {
  built <- file.path(top, "_build", "quad")
  dir.create(built, recursive = TRUE, showWarnings = FALSE)
  program <- file.path(built, "truth")
  source <- file.path(dirname(script), "quad", "truth.cpp")
  if (!file.exists(program) || file.mtime(program) < file.mtime(source)) {
    compiler <- Sys.getenv("CXX", "g++")
    status <- system2(compiler, c("-std=gnu++17", "-O2", shQuote(source), "-o", shQuote(program), "-lquadmath"))
    if (status != 0) {
      stop("The 113-bit program needs g++ and its libquadmath; '", compiler, "' could not build it.", call. = FALSE)
    }
  }
  program
}

# Every number as a pair: the nearest double and what is left.
truth <- function(program, problem, check = FALSE) {
  input <- tempfile(fileext = ".bin")
  output <- tempfile(fileext = ".bin")
  on.exit(unlink(c(input, output)))
  size <- c(J = nrow(problem$bhat), R = ncol(problem$bhat), K = length(problem$factors), L = length(scale_sd))
  file <- file(input, "wb")
  writeBin(as.integer(size), file)
  writeBin(as.double(c(problem$bhat, problem$shat, problem$C, unlist(problem$factors), scale_sd^2)), file)
  close(file)
  if (system2(program, c(shQuote(input), shQuote(output), if (check) "check")) != 0) {
    stop("The 113-bit program failed.", call. = FALSE)
  }
  P <- size[["K"]] * size[["L"]]
  dims <- list(loglik = c(size[["J"]], P))
  dims[c("mean", "sd", "negative")] <- list(c(size[["J"]], size[["R"]], P))
  n <- vapply(dims, prod, 0)
  x <- readBin(output, "double", 2 * sum(n) + 3)
  read <- function(from) {
    at <- from + c(0, cumsum(n))
    Map(function(i, dim) array(x[at[i] + seq_len(n[i])], dim), seq_along(n), dims)
  }
  list(
    head = stats::setNames(read(0), names(dims)), rest = stats::setNames(read(sum(n)), names(dims)),
    doubt = utils::tail(x, 3)
  )
}

away_from <- function(x, truth, what) abs((x - truth$head[[what]]) - truth$rest[[what]])

between <- function(a, b, what) {
  abs((a$head[[what]] - b$head[[what]]) + (a$rest[[what]] - b$rest[[what]]))
}

# What one rounding of the input does to the true answer: every number of Bhat, Shat and C (but for a unit diagonal)
# times 1 + eps or 1 - eps, at random; or every number of the factors of U, which keeps rank and zeros.
perturb <- function(problem, what) {
  eps <- .Machine$double.eps
  jiggle <- function(x) x * (1 + eps * sample(c(-1, 1), length(x), TRUE))
  if (what == "U") {
    problem$factors <- lapply(problem$factors, function(F) array(jiggle(F), dim(F)))
    return(problem)
  }
  problem$bhat <- array(jiggle(problem$bhat), dim(problem$bhat))
  problem$shat <- array(jiggle(problem$shat), dim(problem$shat))
  C <- problem$C
  lower <- lower.tri(C, diag = any(diag(C) != 1))
  C[lower] <- jiggle(C[lower])
  C[upper.tri(C)] <- t(C)[upper.tri(C)]
  problem$C <- C
  problem
}

# ---- the two packages -------------------------------------------------------

covariances <- function(problem) lapply(problem$factors, tcrossprod)

blank_answer <- function(problem) {
  J <- nrow(problem$bhat)
  R <- ncol(problem$bhat)
  P <- length(problem$factors) * length(scale_sd)
  each <- array(NA_real_, c(J, R, P))
  list(loglik = matrix(NA_real_, J, P), mean = each, sd = each, negative = each)
}

# One component after the other has all the weight: the mixture is that component, while all effects that share their
# noise are computed as they are with the whole prior.
covmash_answer <- function(problem, simd) {
  before <- covmash:::cpp_simd()
  on.exit(covmash:::cpp_set_simd(before))
  covmash:::cpp_set_simd(simd)
  data <- covmash::mash_set_data(problem$bhat, problem$shat, V = problem$C)
  out <- blank_answer(problem)
  P <- ncol(out$loglik)
  g <- list(Ulist = covariances(problem), grid = scale_sd, usepointmass = FALSE)
  for (p in seq_len(P)) {
    g$pi <- replace(numeric(P), p, 1)
    one <- covmash::mash(data, g = g, fixg = TRUE, verbose = FALSE, n_threads = 1)
    out$loglik[, p] <- one$vloglik
    out$mean[, , p] <- one$result$PosteriorMean
    out$sd[, , p] <- one$result$PosteriorSD
    out$negative[, , p] <- one$result$NegativeProb
  }
  out
}

# mashr has no missing estimates of the kind compared here: its columns stay empty.
mashr_answer <- function(problem) {
  out <- blank_answer(problem)
  if (!requireNamespace("mashr", quietly = TRUE) || anyNA(problem$bhat)) {
    return(out)
  }
  R <- ncol(problem$bhat)
  data <- mashr::mash_set_data(problem$bhat, problem$shat, V = problem$C)
  wU <- unlist(lapply(scale_sd^2, function(w) lapply(unname(covariances(problem)), `*`, w)), recursive = FALSE)
  names(wU) <- seq_along(wU)
  out$loglik[] <- suppressWarnings(mashr:::calc_lik_matrix(data, wU, log = TRUE))
  one_weight <- matrix(1, nrow(problem$bhat), 1)
  for (p in seq_along(wU)) {
    one <- mashr:::compute_posterior_matrices(data, wU[p], one_weight)
    out$mean[, , p] <- one$PosteriorMean
    out$sd[, , p] <- one$PosteriorSD
    out$negative[, , p] <- one$NegativeProb
  }
  # Nothing, where there is an answer, is as wrong as can be.
  lapply(out, function(x) replace(x, is.na(x), Inf))
}

# ---- errors -----------------------------------------------------------------

# Where U has a zero row the sd is 0: mean and sd must be exactly 0, anything else counts as infinitely wrong.
relative_to <- function(error, size) ifelse(error == 0, 0, error / size)

errors <- function(answer, truth) {
  sd <- truth$head$sd
  list(
    loglik = away_from(answer$loglik, truth, "loglik") / pmax(1, abs(truth$head$loglik)),
    mean = relative_to(away_from(answer$mean, truth, "mean"), sd),
    sd = relative_to(away_from(answer$sd, truth, "sd"), sd),
    negative = away_from(answer$negative, truth, "negative")
  )
}

sensitivity <- function(program, problem, exact, draws) {
  moved <- lapply(draws, function(what) {
    other <- truth(program, perturb(problem, what))
    sd <- exact$head$sd
    list(
      loglik = between(other, exact, "loglik") / pmax(1, abs(exact$head$loglik)),
      mean = relative_to(between(other, exact, "mean"), sd),
      sd = relative_to(between(other, exact, "sd"), sd),
      negative = between(other, exact, "negative")
    )
  })
  Reduce(function(a, b) Map(pmax, a, b), moved)
}

# The largest over the components of one U, and only where `where` holds.
largest <- function(x, k, K, where = TRUE) {
  component <- slice.index(x, length(dim(x)))
  x <- x[(component - 1) %% K + 1 == k & where]
  if (!length(x)) 0 else if (all(is.na(x))) NA_real_ else max(x)
}

# ---- one case ---------------------------------------------------------------

run_case <- function(case, program, seed) {
  problem <- simulate_case(case, seed)
  exact <- truth(program, problem, check = TRUE)
  moved_data <- sensitivity(program, problem, exact, c("data", "data"))
  moved_U <- sensitivity(program, problem, exact, "U")
  moved <- Map(pmax, moved_data, moved_U)
  peer <- errors(mashr_answer(problem), exact)
  cond <- condition(problem$C)
  K <- length(problem$factors)
  each_simd <- lapply(covmash:::cpp_simd_available(), function(simd) {
    ours <- errors(covmash_answer(problem, simd), exact)
    do.call(rbind, lapply(seq_len(K), function(k) {
      over <- function(x, what, ...) largest(x[[what]], k, K, ...)
      data.frame(
        case = case$case, U = names(problem$factors)[k], instruction_set = simd, seed = seed,
        J = nrow(problem$bhat), R = case$R, cond_C = cond,
        loglik_covmash = over(ours, "loglik"), loglik_mashr = over(peer, "loglik"), loglik_bound = loglik_bound(cond),
        loglik_input = over(moved_data, "loglik"), loglik_input_U = over(moved_U, "loglik"),
        mean_covmash = over(ours, "mean"), mean_mashr = over(peer, "mean"),
        mean_input = over(moved_data, "mean"), mean_input_U = over(moved_U, "mean"),
        mean_determined = over(ours, "mean", moved$mean <= determined),
        sd_covmash = over(ours, "sd"), sd_mashr = over(peer, "sd"),
        sd_input = over(moved_data, "sd"), sd_input_U = over(moved_U, "sd"),
        sd_determined = over(ours, "sd", moved$sd <= determined),
        negative_covmash = over(ours, "negative"), negative_mashr = over(peer, "negative"),
        negative_input = over(moved, "negative"),
        truth_doubt_loglik = exact$doubt[1], truth_doubt_mean = exact$doubt[2], truth_doubt_sd = exact$doubt[3]
      )
    }))
  })
  do.call(rbind, each_simd)
}

# ---- tables -----------------------------------------------------------------

# The largest of every figure for each value of `by`.
worst <- function(results, by) {
  figures <- results[vapply(results, is.numeric, NA)]
  figures$loglik_share <- results$loglik_covmash / results$loglik_bound
  groups <- factor(results[[by]], unique(results[[by]]))
  top_of <- function(y) if (all(is.na(y))) NA_real_ else max(y, na.rm = TRUE)
  out <- lapply(figures, function(x) unname(tapply(x, groups, top_of)))
  data.frame(setNames(list(levels(groups)), by), out, check.names = FALSE)
}

# Both are rounded to double on their way out; below that nobody is nearer the truth.
not_further <- function(ours, peer) ours <= pmax(peer, 4 * .Machine$double.eps)

verdict <- function(error, where_determined) {
  ifelse(error <= goal, "yes", ifelse(where_determined <= goal, "where determined", "NO"))
}

yes <- function(x) ifelse(is.na(x), "-", ifelse(x, "yes", "NO"))

figure <- function(x) ifelse(is.na(x), "-", ifelse(x == 0, "0", sprintf("%.1e", x)))

markdown_table <- function(title, columns) {
  columns <- lapply(columns, function(x) if (is.numeric(x)) figure(x) else x)
  row <- function(x) paste0("| ", paste(x, collapse = " | "), " |")
  c(
    paste("##", title), "", row(names(columns)), row(c("---", rep("---:", length(columns) - 1))),
    do.call(mapply, c(list(function(...) row(c(...))), unname(columns), USE.NAMES = FALSE)), ""
  )
}

loglik_table <- function(w) {
  markdown_table("Log-likelihood: largest error / max(1, |value|)", list(
    "case" = w$case, "cond(C)" = w$cond_C, "covmash" = w$loglik_covmash, "bound" = w$loglik_bound,
    "holds" = yes(w$loglik_covmash <= w$loglik_bound), "mashr" = w$loglik_mashr,
    "never further than mashr" = yes(not_further(w$loglik_covmash, w$loglik_mashr)),
    "one rounding of the data" = w$loglik_input, "of U" = w$loglik_input_U
  ))
}

mean_table <- function(w) {
  markdown_table("Posterior mean of single components: largest error in posterior standard deviations", list(
    "case" = w$case, "covmash" = w$mean_covmash, "where the input determines it" = w$mean_determined,
    "1e-8 holds" = verdict(w$mean_covmash, w$mean_determined), "mashr" = w$mean_mashr,
    "never further than mashr" = yes(not_further(w$mean_covmash, w$mean_mashr)),
    "one rounding of the data" = w$mean_input, "of U" = w$mean_input_U
  ))
}

sd_table <- function(w) {
  markdown_table("Posterior standard deviation (relative) and negative probability (absolute): largest error", list(
    "case" = w$case, "sd, covmash" = w$sd_covmash, "1e-8 holds" = verdict(w$sd_covmash, w$sd_determined),
    "sd, mashr" = w$sd_mashr, "never further than mashr" = yes(not_further(w$sd_covmash, w$sd_mashr)),
    "one rounding of the data" = w$sd_input, "negative, covmash" = w$negative_covmash,
    "negative, mashr" = w$negative_mashr, "one rounding of the input" = w$negative_input
  ))
}

# Here also in how many of the cases mashr is the nearer one under that very U.
rank_table <- function(results) {
  w <- worst(results, "U")
  results$one <- paste(results$case, results$U)
  each <- worst(results, "one")
  each$U <- results$U[match(each$one, results$one)]
  nearer <- !not_further(each$loglik_covmash, each$loglik_mashr)
  count <- function(x) as.integer(tapply(x, factor(each$U, w$U), sum, na.rm = TRUE))
  markdown_table("By prior covariance, all cases", list(
    "U" = w$U, "log-likelihood, covmash" = w$loglik_covmash,
    "as a share of the bound" = sprintf("%.2f", w$loglik_share),
    "log-likelihood, mashr" = w$loglik_mashr,
    "mashr nearer" = sprintf("%d of %d cases", count(nearer), count(!is.na(nearer))), "mean, covmash" = w$mean_covmash,
    "mean where the input determines it" = w$mean_determined, "mean, mashr" = w$mean_mashr,
    "sd, covmash" = w$sd_covmash, "sd, mashr" = w$sd_mashr
  ))
}

simd_table <- function(w) {
  markdown_table("By instruction set, all cases", list(
    "instruction set" = w$instruction_set, "log-likelihood" = w$loglik_covmash,
    "as a share of the bound" = sprintf("%.2f", w$loglik_share), "mean" = w$mean_covmash,
    "mean where the input determines it" = w$mean_determined, "sd" = w$sd_covmash
  ))
}

markdown <- function(results, opts) {
  info <- covmash::covmash_info()
  mashr <- if (requireNamespace("mashr", quietly = TRUE)) paste("mashr", getNamespaceVersion("mashr")) else "no mashr"
  w <- worst(results, "case")
  c(
    "# Accuracy against 113-bit arithmetic", "",
    if (opts$smoke) c("**Smoke run: 5 conditions only.**", ""),
    sprintf(
      "covmash %s, instruction sets %s; %s; %s; %s.", info$version,
      paste(unique(results$instruction_set), collapse = ", "), mashr, info$r, format(Sys.Date())
    ),
    sprintf(
      "%s effects a case, %d prior covariances at %d scales, the worst of all and of the instruction sets.",
      paste(range(results$J), collapse = " to "), length(unique(results$U)), length(scale_sd)
    ),
    sprintf(
      "The truth is good to %.0e (log-likelihood), %.0e (mean), %.0e (sd): two ways to compute it differ by that.",
      max(w$truth_doubt_loglik), max(w$truth_doubt_mean), max(w$truth_doubt_sd)
    ), "",
    loglik_table(w), mean_table(w), sd_table(w), rank_table(results),
    simd_table(worst(results, "instruction_set"))
  )
}

write_results <- function(results, opts) {
  dir.create(opts$out, recursive = TRUE, showWarnings = FALSE)
  file <- file.path(opts$out, "accuracy")
  shown <- results
  shown[] <- lapply(shown, function(x) if (is.double(x)) signif(x, 4) else x)
  utils::write.csv(shown, paste0(file, ".csv"), row.names = FALSE)
  writeLines(markdown(results, opts), paste0(file, ".md"))
}

# ---- run --------------------------------------------------------------------

read_options <- function(args) {
  opts <- list(cases = "", out = "", seed_offset = "0", smoke = FALSE)
  for (arg in args) {
    name <- gsub("-", "_", sub("^--([^=]*).*", "\\1", arg))
    if (!startsWith(arg, "--") || !name %in% names(opts)) {
      stop("There is no option '", arg, "'; the head of ", script, " lists all.", call. = FALSE)
    }
    opts[[name]] <- if (name == "smoke") TRUE else sub("^[^=]*=", "", arg)
  }
  opts$seed_offset <- suppressWarnings(as.integer(opts$seed_offset))
  if (is.na(opts$seed_offset)) {
    stop("--seed-offset takes a whole number.", call. = FALSE)
  }
  if (!nzchar(opts$out)) {
    opts$out <- if (opts$smoke) file.path(top, "_build", "bench") else file.path(top, "bench", "results")
  }
  opts
}

say <- function(...) message(format(Sys.time(), "%H:%M:%S "), ...)

main <- function() {
  opts <- read_options(commandArgs(trailingOnly = TRUE))
  if (!requireNamespace("covmash", quietly = TRUE)) {
    stop("covmash is not installed; run `make install` first.", call. = FALSE)
  }
  if (!suppressMessages(requireNamespace("mashr", quietly = TRUE))) {
    say("mashr is not installed: its columns stay empty.")
  }
  RNGkind("Mersenne-Twister", "Inversion", "Rejection")
  program <- compile_truth()
  todo <- cases(opts$smoke)
  todo$seed <- 1000 + seq_len(nrow(todo)) + opts$seed_offset
  todo <- todo[grepl(opts$cases, todo$case), ]
  if (nrow(todo) == 0) {
    stop("No case matches '", opts$cases, "'.", call. = FALSE)
  }
  results <- do.call(rbind, lapply(seq_len(nrow(todo)), function(i) {
    say(todo$case[i])
    run_case(todo[i, ], program, todo$seed[i])
  }))
  write_results(results, opts)
  cat(markdown(results, opts), sep = "\n")
  say("Written to ", file.path(opts$out, "accuracy.csv"), " and .md.")
}

invisible(main())
