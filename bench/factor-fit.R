# fit_factor_model() of covmash against stats::factanal() and, where installed, fad::fad(): seconds and objective.
# bench/README.md says how to read the result.
#
#   Rscript bench/factor-fit.R [--out=DIR] [--runs=5] [--peer-runs=1] [--small-cases=200] [--smoke]

# Rscript writes a space in a path as ~+~.
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))

defaults <- list(out = "", runs = "5", peer_runs = "1", small_cases = "200", smoke = "no")

read_options <- function(args) {
  opts <- defaults
  for (arg in args) {
    name <- gsub("-", "_", sub("^--([^=]*).*", "\\1", arg))
    if (!startsWith(arg, "--") || !name %in% names(defaults)) {
      stop("There is no option '", arg, "'; the head of ", script, " lists all.", call. = FALSE)
    }
    opts[[name]] <- if (grepl("=", arg, fixed = TRUE)) sub("^[^=]*=", "", arg) else "yes"
  }
  for (name in c("runs", "peer_runs", "small_cases")) {
    opts[[name]] <- as.integer(opts[[name]])
    if (is.na(opts[[name]]) || opts[[name]] < 1) stop("--", name, " takes a whole number.", call. = FALSE)
  }
  opts$smoke <- opts$smoke == "yes"
  if (!nzchar(opts$out)) {
    top <- dirname(dirname(script))
    opts$out <- if (opts$smoke) file.path(top, "_build", "bench") else file.path(top, "bench", "results")
  }
  opts
}

say <- function(...) message(format(Sys.time(), "%H:%M:%S "), ...)

# factanal() with nothing left to its tolerances.
tight <- list(opt = list(factr = 1, pgtol = 0, maxit = 5000), lower = 0.005)

# `peers`: who can fit it. factanal needs more samples than genes. `loadings`: their standard deviation; at 500 genes
# factanal finds no optimum where the factors are much stronger than that.
workloads <- list(
  a = list(N = 50, K = 3, n = 200, seed = 1, peers = c("default", "tight", "fad")),
  b = list(N = 200, K = 5, n = 500, seed = 2, peers = c("default", "tight", "fad")),
  c = list(N = 500, K = 10, n = 1000, seed = 3, loadings = 0.3, peers = c("default", "tight", "fad")),
  d = list(N = 5000, K = 10, n = 200, seed = 4, peers = "fad")
)

simulate <- function(w) {
  set.seed(w$seed)
  B <- matrix(rnorm(w$N * w$K, sd = if (is.null(w$loadings)) 1 else w$loadings), w$N)
  noise <- runif(w$N, 0.2, 2)
  matrix(rnorm(w$n * w$K), w$n) %*% t(B) + matrix(rnorm(w$n * w$N), w$n) * rep(sqrt(noise), each = w$n)
}

fitters <- list(
  covmash = function(x, K) covmash::fit_factor_model(x, K, n_threads = 1)$uniquenesses,
  covmash_2 = function(x, K) covmash::fit_factor_model(x, K, n_threads = 2)$uniquenesses,
  default = function(x, K) stats::factanal(x, K, rotation = "none")$uniquenesses,
  tight = function(x, K) stats::factanal(x, K, rotation = "none", control = tight)$uniquenesses,
  fad = function(x, K) fad::fad(x, K, rotation = "none")$uniquenesses
)

# log|Sigma| + tr(Sigma^-1 R) at the best loadings for psi, by dense arithmetic on the smaller side.
criterion <- function(x, psi, K) {
  z <- scale(x) / sqrt(nrow(x) - 1)
  z <- z / rep(sqrt(psi), each = nrow(z))
  gram <- if (nrow(z) < ncol(z)) tcrossprod(z) else crossprod(z)
  top <- pmax(eigen(gram, symmetric = TRUE, only.values = TRUE)$values[seq_len(K)], 1)
  sum(log(psi)) + sum(1 / psi) + sum(log(top) + 1 - top)
}

# Seconds of one fit, and what it says. NULL where the peer fails.
run_once <- function(name, x, K) {
  gc()
  psi <- NULL
  time <- system.time(psi <- tryCatch(fitters[[name]](x, K), error = function(cnd) NULL))
  if (is.null(psi)) NULL else list(seconds = time[["elapsed"]], cpu = sum(time[1:2]), psi = unname(psi))
}

# In turns: one of each, then again, so that no side has the quieter minutes.
run_workload <- function(name, opts) {
  w <- workloads[[name]]
  if (opts$smoke) {
    w$N <- min(w$N, 60)
    w$n <- if (w$n < 500) 50 else 200
    w$K <- min(w$K, 3)
    if (name == "d") w$N <- 150
  }
  say("Workload ", name, ": ", w$N, " genes, ", w$K, " factors, ", w$n, " samples.")
  x <- simulate(w)
  peers <- intersect(w$peers, c("default", "tight", if (requireNamespace("fad", quietly = TRUE)) "fad"))
  sides <- c("covmash", "covmash_2", peers)
  results <- stats::setNames(vector("list", length(sides)), sides)
  for (turn in seq_len(max(opts$runs, opts$peer_runs))) {
    for (side in sides) {
      if (turn <= (if (startsWith(side, "covmash")) opts$runs else opts$peer_runs)) {
        results[[side]] <- c(results[[side]], list(run_once(side, x, w$K)))
      }
    }
  }
  ours <- results$covmash[[1]]$psi
  objective <- criterion(x, ours, w$K)
  row <- data.frame(
    workload = name, genes = w$N, factors = w$K, samples = w$n, seed = w$seed,
    seconds = median_of(results$covmash, "seconds"), cpu = median_of(results$covmash, "cpu"),
    seconds_2_threads = median_of(results$covmash_2, "seconds"),
    same_bits_2_threads = identical(results$covmash_2[[1]]$psi, ours), objective = objective
  )
  for (peer in c("default", "tight", "fad")) {
    runs <- Filter(Negate(is.null), results[[peer]])
    psi <- if (length(runs)) runs[[1]]$psi
    row[[paste0(peer, "_seconds")]] <- median_of(runs, "seconds")
    row[[paste0(peer, "_ratio")]] <- row[[paste0(peer, "_seconds")]] / row$seconds
    row[[paste0(peer, "_gap")]] <- if (is.null(psi)) NA else (criterion(x, psi, w$K) - objective) / abs(objective)
    row[[paste0(peer, "_psi")]] <- if (is.null(psi)) NA else max(abs(psi - ours))
  }
  row
}

median_of <- function(runs, what) {
  if (length(runs) == 0) NA_real_ else stats::median(vapply(runs, `[[`, numeric(1), what))
}

# Many small problems, Heywood cases among them: does factanal ever end higher?
run_small_cases <- function(n_cases) {
  say("Small problems: ", n_cases, ".")
  cases <- lapply(seq_len(n_cases), function(case) {
    set.seed(1000 + case)
    N <- sample(5:30, 1)
    K <- sample(seq_len(min(6, floor(N + 0.5 - sqrt(2 * N + 0.25)))), 1)
    n <- max(N + 3, sample(c(20, 60, 200, 1000), 1))
    B <- matrix(rnorm(N * K, sd = runif(1, 0.2, 1.5)), N)
    x <- matrix(rnorm(n * K), n) %*% t(B) + matrix(rnorm(n * N), n) * rep(sqrt(runif(N, 0.2, 2)), each = n)
    fit <- suppressWarnings(covmash::fit_factor_model(x, K, n_threads = 1))
    objective <- criterion(x, fit$uniquenesses, K)
    peers <- vapply(c("default", "tight"), function(peer) {
      run <- run_once(peer, x, K)
      if (is.null(run)) {
        return(c(NA, NA))
      }
      c((criterion(x, run$psi, K) - objective) / max(1, abs(objective)), max(abs(run$psi - fit$uniquenesses)))
    }, numeric(2))
    data.frame(
      default = peers[1, 1], tight = peers[1, 2], tight_psi = peers[2, 2], heywood = any(fit$heywood),
      converged = fit$convergence$converged
    )
  })
  cases <- do.call(rbind, cases)
  same <- !is.na(cases$tight) & cases$tight < 1e-8
  data.frame(
    cases = n_cases, converged = sum(cases$converged), heywood = sum(cases$heywood),
    default_failed = sum(is.na(cases$default)), default_higher = sum(cases$default < -1e-8, na.rm = TRUE),
    default_lower = sum(cases$default > 1e-8, na.rm = TRUE),
    tight_failed = sum(is.na(cases$tight)), tight_higher = sum(cases$tight < -1e-8, na.rm = TRUE),
    tight_lower = sum(cases$tight > 1e-8, na.rm = TRUE), same_optimum = sum(same),
    largest_psi_difference = max(c(0, cases$tight_psi[same]))
  )
}

processor <- function() {
  if (!file.exists("/proc/cpuinfo")) {
    return(Sys.info()[["machine"]])
  }
  line <- grep("^model name", readLines("/proc/cpuinfo"), value = TRUE)
  if (length(line)) sub("^[^:]*: *", "", line[1]) else Sys.info()[["machine"]]
}

show <- function(x, format) ifelse(is.na(x), "-", sprintf(format, x))

markdown_table <- function(columns) {
  row <- function(cells) paste0("| ", paste(cells, collapse = " | "), " |")
  cells <- do.call(cbind, columns)
  c(row(names(columns)), row(c("---", rep("---:", length(columns) - 1))), apply(cells, 1, row), "")
}

markdown <- function(large, small, opts) {
  info <- covmash::covmash_info()
  label <- sprintf("%s: %d genes, %d factors, %d samples", large$workload, large$genes, large$factors, large$samples)
  c(
    "# fit_factor_model() of covmash against factanal() and fad()", "",
    if (opts$smoke) c("**Smoke run on small data: the figures say nothing about speed.**", ""),
    sprintf(
      "covmash %s, instruction set **%s**; %s, BLAS %s; fad %s; %s, %d cores; %s.", info$version, info$simd, info$r,
      basename(info$blas),
      if (requireNamespace("fad", quietly = TRUE)) unname(getNamespaceVersion("fad")) else "not installed",
      processor(), parallel::detectCores(), format(Sys.Date())
    ),
    sprintf(
      "Medians of %d fits of covmash, %d of the others, in turns in one process. Seeds: %s.", opts$runs,
      opts$peer_runs, paste(large$workload, large$seed, collapse = ", ")
    ), "",
    "## Seconds", "",
    markdown_table(list(
      workload = label, "covmash, 1 thread" = show(large$seconds, "%.3f"),
      "covmash, processor" = show(large$cpu, "%.3f"), "covmash, 2 threads" = show(large$seconds_2_threads, "%.3f"),
      "same bits" = ifelse(large$same_bits_2_threads, "yes", "no"),
      "factanal" = show(large$default_seconds, "%.2f"), "ratio" = show(large$default_ratio, "%.0f"),
      "factanal, tight" = show(large$tight_seconds, "%.2f"), "ratio " = show(large$tight_ratio, "%.0f"),
      "fad" = show(large$fad_seconds, "%.2f"), "ratio  " = show(large$fad_ratio, "%.1f")
    )),
    "## Objective: log|Sigma| + tr(Sigma^-1 R), smaller is better", "",
    markdown_table(list(
      workload = label, "covmash" = show(large$objective, "%.10g"),
      "factanal - covmash, relative" = show(large$default_gap, "%.1e"),
      "uniquenesses" = show(large$default_psi, "%.1e"),
      "tight factanal - covmash, relative" = show(large$tight_gap, "%.1e"),
      "uniquenesses " = show(large$tight_psi, "%.1e"),
      "fad - covmash, relative" = show(large$fad_gap, "%.1e"), "uniquenesses  " = show(large$fad_psi, "%.1e")
    )),
    "## Small problems, 5 to 30 genes", "",
    markdown_table(list(
      "against" = c("factanal", "factanal, tight"), "problems" = rep(small$cases, 2),
      "factanal failed" = c(small$default_failed, small$tight_failed),
      "covmash better by over 1e-8" = c(small$default_lower, small$tight_lower),
      "covmash worse by over 1e-8" = c(small$default_higher, small$tight_higher)
    )),
    sprintf(
      paste(
        "covmash converged in %d of %d; %d have a Heywood case. In the %d where the tight factanal reaches the same",
        "objective the uniquenesses differ by at most %.1e."
      ),
      small$converged, small$cases, small$heywood, small$same_optimum, small$largest_psi_difference
    )
  )
}

main <- function() {
  opts <- read_options(commandArgs(trailingOnly = TRUE))
  if (!requireNamespace("covmash", quietly = TRUE)) {
    stop("covmash is not installed; run `make install` first.", call. = FALSE)
  }
  small <- run_small_cases(if (opts$smoke) min(10, opts$small_cases) else opts$small_cases)
  large <- do.call(rbind, lapply(names(workloads), run_workload, opts = opts))
  dir.create(opts$out, recursive = TRUE, showWarnings = FALSE)
  file <- file.path(opts$out, "factor-fit")
  utils::write.csv(large, paste0(file, ".csv"), row.names = FALSE)
  utils::write.csv(small, paste0(file, "-small.csv"), row.names = FALSE)
  writeLines(markdown(large, small, opts), paste0(file, ".md"))
  cat(markdown(large, small, opts), sep = "\n")
  say("Written to ", file, ".csv and .md.")
}

invisible(main())
