# Cost of the parts of covmash's mash() as the problem grows: likelihood, weights and posterior against the number of
# effects J, conditions R, covariance matrices K and scales L, on one thread, for noise that all effects share and for
# noise of each effect's own. Writes curves.csv, curves.md and, where ggplot2 is there, curves.png.
#
#   Rscript bench/curves.R [--quick] [--out=DIR]

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))
source(file.path(top, "bench", "workloads.R"))

args <- commandArgs(trailingOnly = TRUE)
quick <- "--quick" %in% args
out <- sub("^--out=", "", grep("^--out=", args, value = TRUE))
if (length(out) == 0) {
  out <- if (quick) file.path(top, "_build", "bench") else file.path(top, "bench", "results")
}
if (!requireNamespace("covmash", quietly = TRUE)) {
  stop("covmash is not installed; run `make install` first.", call. = FALSE)
}

# One size varies, the others stay at `base`.
base <- list(J = 4000, R = 16, K = 12, L = 16)
sizes <- list(
  J = c(1000, 2000, 4000, 8000, 16000), R = c(2, 5, 10, 20, 40, 60), K = c(3, 6, 12, 24, 48), L = c(4, 8, 16, 32, 64)
)
if (quick) {
  base <- list(J = 500, R = 6, K = 6, L = 8)
  sizes <- list(J = c(250, 500, 1000), R = c(3, 6, 12), K = c(3, 6, 12), L = c(4, 8, 16))
}
# Random covariance matrices of full rank: no structure makes them cheap.
random_matrices <- function(K, R) {
  set.seed(2)
  stats::setNames(lapply(seq_len(K), function(k) crossprod(matrix(rnorm(R * R), R)) / R), paste0("U", seq_len(K)))
}

# Seconds of the parts, medians of several fits. The weights are also given for one Newton step, since the number of
# steps depends on the data and not on the size alone; the posterior for the fitted weights, most of which are zero, and
# for equal weights, where every component takes part.
measure <- function(J, R, K, L, shat) {
  sim <- simulate_effects(J, R, 1, shat)
  data <- covmash::mash_set_data(sim$Bhat, sim$Shat)
  Ulist <- random_matrices(K, R)
  grid <- exp(seq(log(0.1), log(10), length.out = L))
  once <- function() covmash::mash(data, Ulist, grid = grid, verbose = FALSE, n_threads = 1)
  fit <- once()
  runs <- if (fit$timing$total > 2) 1 else if (quick) 2 else 5
  timings <- vapply(seq_len(runs), function(i) unlist(once()$timing), unlist(fit$timing))
  seconds <- apply(timings, 1, stats::median)
  equal <- fit
  equal$fitted_g$pi[] <- 1 / length(equal$fitted_g$pi)
  iterations <- max(fit$convergence$iterations, 1)
  data.frame(
    J = J, R = R, K = K, L = L, components = length(fit$fitted_g$pi), in_use = sum(fit$fitted_g$pi > 0),
    iterations = iterations, likelihood = seconds[["likelihood"]], weights = seconds[["weights"]],
    weights_step = seconds[["weights"]] / iterations, posterior = posterior_seconds(fit, data),
    posterior_all = posterior_seconds(equal, data), row.names = NULL
  )
}

# Repeated until it has taken long enough for the clock, which has milliseconds.
posterior_seconds <- function(fit, data, least = if (quick) 0.05 else 0.3) {
  run <- function() covmash::mash_compute_posterior_matrices(fit, data, n_threads = 1)
  first <- system.time(run())[["elapsed"]]
  if (first > 1) {
    return(first)
  }
  times <- 0
  started <- proc.time()[["elapsed"]]
  repeat {
    run()
    times <- times + 1
    taken <- proc.time()[["elapsed"]] - started
    if (taken >= least) {
      return(taken / times)
    }
  }
}

curve <- function(variable, shat) {
  message(format(Sys.time(), "%H:%M:%S "), "Shat ", shat, ", ", variable)
  rows <- lapply(sizes[[variable]], function(size) {
    problem <- utils::modifyList(base, stats::setNames(list(size), variable))
    cbind(shat = shat, varies = variable, size = size, do.call(measure, c(problem, shat = shat)))
  })
  do.call(rbind, rows)
}

parts <- c("likelihood", "weights", "weights_step", "posterior", "posterior_all")

# The exponent b of seconds = a size^b, over the sizes above the smallest, where the fixed costs weigh most.
slope <- function(size, seconds) {
  use <- size > min(size) & seconds > 0
  if (sum(use) < 2) NA else unname(stats::coef(stats::lm(log(seconds[use]) ~ log(size[use])))[2])
}

slopes <- function(results) {
  pieces <- split(results, list(results$varies, results$shat), drop = TRUE)
  do.call(rbind, lapply(pieces, function(piece) {
    fitted <- vapply(parts, function(part) slope(piece$size, piece[[part]]), 0)
    data.frame(shat = piece$shat[1], varies = piece$varies[1], t(fitted), row.names = NULL)
  }))
}

# ---- Markdown and picture ---------------------------------------------------

row <- function(x) paste0("| ", paste(x, collapse = " | "), " |")

table_of <- function(frame, digits) {
  cells <- lapply(frame, function(x) {
    if (is.numeric(x)) ifelse(is.na(x), "-", formatC(x, digits = digits, format = "fg", flag = "#")) else x
  })
  c(
    row(gsub("_", " ", names(frame))), row(ifelse(vapply(frame, is.numeric, NA), "---:", "---")),
    vapply(seq_len(nrow(frame)), function(i) row(vapply(cells, `[`, "", i)), "")
  )
}

whole <- function(frame) {
  for (name in intersect(c("size", "components", "in_use", "iterations"), names(frame))) {
    frame[[name]] <- format(frame[[name]], big.mark = ",", trim = TRUE)
  }
  frame
}

page <- function(results, fitted) {
  info <- covmash::covmash_info()
  shown <- c("shat", "varies", "size", "components", "in_use", "iterations", parts)
  c(
    "# Cost of mash() as the problem grows", "",
    if (quick) c("**Quick run on small data: the figures say nothing about speed.**", ""),
    sprintf(
      "covmash %s, instruction set **%s**, one thread, medians of several fits; random matrices of full rank.",
      info$version, info$simd
    ),
    sprintf("J = %d, R = %d, K = %d, L = %d, except for the one that varies.", base$J, base$R, base$K, base$L), "",
    "## Exponents", "",
    "b in seconds = a size^b, fitted to the times below without the smallest size, where fixed costs weigh most.", "",
    table_of(fitted, 3), "",
    "## Seconds", "",
    "\"in use\": components with a positive weight, the ones that the posterior has to do with; \"posterior all\":",
    "equal weights, so that all components take part; \"weights step\": one Newton step.", "",
    table_of(whole(results[shown]), 3), ""
  )
}

draw <- function(results, file) {
  long <- do.call(rbind, lapply(c("likelihood", "weights", "posterior", "posterior_all"), function(part) {
    data.frame(
      results[c("shat", "varies", "size")], part = gsub("_", ", ", part), seconds = pmax(results[[part]], 1e-5)
    )
  }))
  long$noise <- ifelse(long$shat == "one", "shared noise", "row-specific noise")
  plot <- ggplot2::ggplot(long, ggplot2::aes(x = size, y = seconds, colour = part)) +
    ggplot2::geom_line() +
    ggplot2::geom_point() +
    ggplot2::scale_x_log10() +
    ggplot2::scale_y_log10() +
    ggplot2::facet_grid(noise ~ varies, scales = "free_x") +
    ggplot2::labs(x = NULL, y = "seconds, one thread", colour = NULL) +
    ggplot2::theme_bw()
  ggplot2::ggsave(file, plot, width = 10, height = 5, dpi = 110)
}

write_all <- function(results) {
  dir.create(out, recursive = TRUE, showWarnings = FALSE)
  fitted <- slopes(results)
  utils::write.csv(results, file.path(out, "curves.csv"), row.names = FALSE)
  text <- page(results, fitted)
  writeLines(text, file.path(out, "curves.md"))
  text
}

results <- NULL
for (shat in c("one", "varying")) {
  for (variable in names(sizes)) {
    results <- rbind(results, curve(variable, shat))
    text <- write_all(results)
  }
}
if (requireNamespace("ggplot2", quietly = TRUE)) {
  draw(results, file.path(out, "curves.png"))
}
writeLines(text)
