# Which covariances calibrate: mash with matrices learned in several ways, on simulated effects whose truth is known.
# Every method of every repeat is a line in a file, so that the study can be stopped and goes on where it was; lines of a
# method that has changed are to be taken out, and come anew.
#
#   Rscript bench/calibration.R [--scenarios=PATTERN] [--repeats=50] [--minutes=60] [--part=1/2] [--out=DIR]
#   Rscript bench/calibration.R --table [--out=DIR]
#
#   --scenarios  those whose name matches this regular expression; all if not given
#   --repeats    of a scenario: seeds 1, 2, ...; at most 20 of 44 conditions
#   --minutes    stop after the repeat that is running then
#   --part       of all repeats the i-th of n: processes that run side by side take one each, and write a file each
#   --table      write the tables from all lines there are
#
# Writes calibration-lines-<part>.csv; the tables are calibration.csv and calibration.md. With covmash alone; flashier and
# ebnm for cov_flash(), where they are installed.
#
# A scenario: truth x conditions x strong rows (10 or 100 for each condition, about) x noise.
#   truth   full     3 Wishart matrices                        mixed   equal, identity, a block of half the conditions with
#           near1    rank one + 0.1 I                                  correlation 0.8, rank one, Wishart
#           rank1    all; random; a third; a single condition  equal   all conditions the same
#           sparse   3 Wishart matrices of half the conditions, the others exactly 0
#           ordered  correlations 0.95 and 0.6 to the power of the distance, and a gradient
#   noise   equal    N(0, I)                                   varying Shat^2 inverse gamma, of each estimate its own
#           correlated  correlation 0.5^distance, Shat = 1     missing 20 % of the estimates
# Effects are 1, 3 or 6 times N(0, U_k), every U_k of largest variance 1, components and sizes equally likely; 70 % of all
# rows are 0 (50 % with 44 conditions).
#
# Of each method: log-likelihood of as many fresh rows (its difference to the truth's matrices is what counts), calls (row
# and condition) with lfsr < 0.05, those of them with the wrong sign (a true 0 is one), the sum of their lfsr (what the
# method promises), and the calls at the threshold where 5 % are wrong.

options(covmash.progress = FALSE)
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
script <- normalizePath(gsub("~+~", " ", script, fixed = TRUE))
top <- dirname(dirname(script))

read_arguments <- function(args) {
  opts <- list(
    scenarios = ".", repeats = "50", minutes = "60", part = "1/1", out = file.path(top, "bench", "results"), table = FALSE
  )
  for (arg in args) {
    name <- sub("^--([^=]*).*", "\\1", arg)
    if (!startsWith(arg, "--") || !name %in% names(opts)) {
      stop(
        "There is no option '", arg, "'; calibration.R takes --", paste(names(opts), collapse = ", --"), ".",
        call. = FALSE
      )
    }
    opts[[name]] <- if (grepl("=", arg, fixed = TRUE)) sub("^[^=]*=", "", arg) else TRUE
  }
  opts$repeats <- as.integer(opts$repeats)
  opts$minutes <- as.numeric(opts$minutes)
  opts$part <- as.integer(strsplit(opts$part, "/", fixed = TRUE)[[1]])
  opts
}

# ---- scenarios ----------------------------------------------------------------

truths <- c("full", "mixed", "near1", "rank1", "equal", "sparse", "ordered")

scenarios <- function() {
  equal <- expand.grid(truth = truths, noise = "equal", R = c(5, 20, 44), strong = c(10, 100), stringsAsFactors = FALSE)
  other <- expand.grid(
    truth = c("full", "mixed", "rank1"), noise = c("varying", "correlated", "missing"), R = c(5, 20),
    strong = c(10, 100), stringsAsFactors = FALSE
  )
  out <- rbind(equal, other)
  out$name <- paste(out$truth, out$noise, paste0("R", out$R), paste0(out$strong, "R"), sep = "-")
  out
}

largest_one <- function(U) U / max(diag(U))

wishart <- function(R) largest_one(stats::rWishart(1, R + 2, diag(R))[, , 1])

truth_matrices <- function(truth, R) {
  third <- seq_len(max(1, R %/% 3))
  half <- seq_len(R %/% 2)
  on <- function(which) as.numeric(seq_len(R) %in% which)
  distance <- abs(outer(seq_len(R), seq_len(R), `-`))
  rank_one <- lapply(list(rep(1, R), stats::rnorm(R), on(third), on(sample(R, 1))), tcrossprod)
  block <- 0.8 * tcrossprod(on(half))
  diag(block)[half] <- 1
  parts <- switch(truth,
    full = lapply(1:3, function(k) wishart(R)),
    mixed = list(tcrossprod(rep(1, R)), diag(R), block, tcrossprod(stats::rnorm(R)), wishart(R)),
    near1 = lapply(rank_one[1:3], function(U) largest_one(U) + 0.1 * diag(R)),
    rank1 = rank_one,
    equal = rank_one[1],
    sparse = lapply(1:3, function(k) {
      U <- matrix(0, R, R)
      which <- sort(sample(R, max(2, R %/% 2)))
      U[which, which] <- wishart(length(which))
      U
    }),
    ordered = list(0.95^distance, 0.6^distance, tcrossprod(seq_len(R) / R) + 0.05 * diag(R))
  )
  lapply(parts, largest_one)
}

# Signals for each row that is strong in the end, roughly.
signals_of <- c(full = 2, mixed = 2.2, near1 = 2.2, rank1 = 3, equal = 2.2, sparse = 2.4, ordered = 2)

simulate <- function(s, seed) {
  set.seed(seed * 1000 + match(s$name, scenarios()$name))
  R <- s$R
  n <- round(signals_of[[s$truth]] * s$strong * R)
  J <- round(n / if (R == 44) 0.5 else 0.3)
  Ulist <- truth_matrices(s$truth, R)
  roots <- lapply(Ulist, function(U) {
    e <- eigen(U, symmetric = TRUE)
    e$vectors %*% (sqrt(pmax(e$values, 0)) * t(e$vectors)) # zero stays zero below
  })
  C <- if (s$noise == "correlated") 0.5^abs(outer(seq_len(R), seq_len(R), `-`)) else diag(R)
  root <- chol(C)
  draw <- function() {
    B <- matrix(0, J, R)
    k <- sample(length(Ulist), n, TRUE)
    for (i in seq_along(Ulist)) {
      at <- which(k == i)
      B[at, ] <- matrix(stats::rnorm(length(at) * R), ncol = R) %*% roots[[i]]
      B[at, diag(Ulist[[i]]) == 0] <- 0
    }
    B[seq_len(n), ] <- B[seq_len(n), ] * sample(c(1, 3, 6), n, TRUE)
    S <- matrix(1, J, R)
    if (s$noise == "varying") {
      S[] <- sqrt(1 / stats::rgamma(J * R, 5, 4))
    }
    Bhat <- B + S * (matrix(stats::rnorm(J * R), J) %*% root)
    if (s$noise == "missing") {
      out <- matrix(stats::runif(J * R) < 0.2, J)
      out[cbind(seq_len(J), sample(R, J, TRUE))] <- FALSE
      Bhat[out] <- NA
      S[out] <- NA
    }
    list(B = B, data = covmash::mash_set_data(Bhat, S, V = C))
  }
  list(train = draw(), fresh = draw(), Ulist = stats::setNames(Ulist, paste0("truth_", seq_along(Ulist))))
}

# ---- methods -------------------------------------------------------------------

# udr's defaults: 8 unconstrained matrices from random starts and two scaled ones, 20 steps, no penalty. Where noise differs
# between rows udr has no step for unconstrained matrices by default; here it gets that of extreme deconvolution.
udr_matrices <- function(data, strong, seed) {
  R <- ncol(data$Bhat)
  set.seed(seed)
  start <- lapply(1:8, function(k) stats::rWishart(1, max(4, R), diag(R))[, , 1])
  complete <- !anyNA(data$Bhat) && all(data$Shat == data$Shat[1])
  fit <- suppressWarnings(covmash::deconvolve(
    data, strong, n_full = 8, start = start, scaled = list(indep = diag(R), equal = matrix(1, R, R) + 1e-4 * diag(R)),
    penalty = "none", update = if (complete) "ted" else "ed", accelerate = FALSE, max_evaluations = 20, tol = 0,
    n_threads = 1
  ))
  fit$Ulist
}

# Of many rows and conditions it takes minutes: ten repeats where it takes seconds, five where it takes a minute, and none
# where it would take a quarter of an hour.
flash_matrices <- function(data, strong, seed) {
  size <- ncol(data$Bhat) * length(strong)
  if ((seed > 10 && size > 2000) || (seed > 5 && size > 10000) || size > 100000) {
    return(NULL)
  }
  if (!requireNamespace("flashier", quietly = TRUE) || !requireNamespace("ebnm", quietly = TRUE) || anyNA(data$Bhat)) {
    return(NULL)
  }
  suppressMessages(suppressWarnings(covmash::cov_flash(data, subset = strong)))
}

# `before`: what the methods before it have learned.
methods <- list(
  can = function(data, strong, pca, seed, before) list(),
  ed = function(data, strong, pca, seed, before) {
    suppressWarnings(covmash::cov_ed(data, pca, subset = strong, n_threads = 1))
  },
  teem = function(data, strong, pca, seed, before) {
    suppressWarnings(covmash::cov_ed(data, pca, subset = strong, algorithm = "teem", n_threads = 1))
  },
  udr = function(data, strong, pca, seed, before) udr_matrices(data, strong, seed),
  flash = function(data, strong, pca, seed, before) flash_matrices(data, strong, seed),
  ted = function(data, strong, pca, seed, before) {
    set.seed(seed)
    suppressWarnings(covmash::cov_ted(data, strong, n_threads = 1))
  },
  # without its restrictions to some conditions: cov_ted(sparse = 0)
  ted0 = function(data, strong, pca, seed, before) before$ted[!grepl("_top[0-9]+$|_on_", names(before$ted))],
  fa = function(data, strong, pca, seed, before) {
    set.seed(seed)
    suppressWarnings(covmash::cov_fa(data, strong, n_threads = 1))
  }
)

# ---- measures -------------------------------------------------------------------

measure <- function(sim, Ulist) {
  fit <- covmash::mash(sim$train$data, Ulist, gridmult = 2, verbose = FALSE, n_threads = 1)
  heldout <- covmash::mash_compute_loglik(fit, sim$fresh$data)
  lfsr <- fit$result$lfsr
  wrong <- sign(fit$result$PosteriorMean) * sign(sim$train$B) < 1
  called <- lfsr < 0.05
  order <- order(lfsr)
  rate <- cumsum(wrong[order]) / seq_along(order)
  at <- max(c(0, which(rate <= 0.05)))
  c(
    heldout = heldout, calls = sum(called), wrong = sum(wrong[called]), promised = sum(lfsr[called]),
    right_at_5 = if (at > 0) sum(!wrong[order[seq_len(at)]]) else 0, nonzero = sum(sim$train$B != 0)
  )
}

# known: methods whose lines there are.
run_one <- function(s, seed, known) {
  sim <- simulate(s, seed)
  data <- sim$train$data
  strong <- covmash::get_significant_results(covmash::mash_1by1(data, n_threads = 1))
  if (length(strong) < 2) {
    return(NULL)
  }
  canonical <- covmash::cov_canonical(data)
  pca <- suppressWarnings(covmash::cov_pca(data, min(5, s$R), subset = strong, n_threads = 1))
  open <- setdiff(c("oracle", names(methods)), known)
  lines <- if ("oracle" %in% open) list(c(seconds = 0, measure(sim, sim$Ulist))) else list()
  found <- list()
  for (name in setdiff(open, "oracle")) {
    started <- proc.time()[[3]]
    found[[name]] <- tryCatch(methods[[name]](data, strong, pca, seed, found), error = function(e) {
      message(s$name, " ", seed, " ", name, ": ", conditionMessage(e))
      NULL
    })
    seconds <- proc.time()[[3]] - started
    lines <- c(lines, list(if (!is.null(found[[name]])) c(seconds = seconds, measure(sim, c(canonical, found[[name]])))))
  }
  there <- !vapply(lines, is.null, TRUE)
  data.frame(
    scenario = s$name, seed = seed, method = open[there], strong = length(strong),
    rows = nrow(data$Bhat), do.call(rbind, lines[there])
  )
}

# ---- the study ------------------------------------------------------------------

line_files <- function(opts) list.files(opts$out, "^calibration-lines.*\\.csv$", full.names = TRUE)

read_lines <- function(opts) do.call(rbind, lapply(line_files(opts), utils::read.csv))

study <- function(opts) {
  dir.create(opts$out, showWarnings = FALSE, recursive = TRUE)
  chosen <- scenarios()
  chosen <- chosen[grepl(opts$scenarios, chosen$name), ]
  lines <- read_lines(opts)
  # cov_flash() may have been left out; it is not tried again.
  done <- split(lines$method, paste(lines$scenario, lines$seed))
  done <- lapply(done, function(known) union(known, "flash"))
  file <- file.path(opts$out, sprintf("calibration-lines-%d.csv", opts$part[1]))
  started <- proc.time()[[3]]
  turn <- 0
  for (seed in seq_len(opts$repeats)) {
    for (i in seq_len(nrow(chosen))) {
      s <- chosen[i, ]
      turn <- turn + 1
      own <- turn %% opts$part[2] == opts$part[1] %% opts$part[2]
      known <- done[[paste(s$name, seed)]]
      if (!own || all(names(methods) %in% known) || (s$R == 44 && seed > 20)) {
        next
      }
      if (proc.time()[[3]] - started > 60 * opts$minutes) {
        return(invisible(NULL))
      }
      lines <- run_one(s, seed, known)
      if (!is.null(lines)) {
        numbers <- vapply(lines, is.double, TRUE)
        lines[numbers] <- lapply(lines[numbers], signif, 10)
        utils::write.table(
          lines, file, sep = ",", row.names = FALSE, append = file.exists(file), col.names = !file.exists(file),
          quote = FALSE
        )
      }
    }
  }
}

# ---- tables ---------------------------------------------------------------------

# Ratio of sums over repeats, and its standard error by leaving out one repeat after the other.
ratio_of_sums <- function(x, y) {
  n <- length(x)
  whole <- sum(x) / sum(y)
  left <- (sum(x) - x) / (sum(y) - y)
  c(whole, if (n > 1) sqrt((n - 1) / n * sum((left - mean(left))^2)) else NA)
}

summarise <- function(lines) {
  one <- function(part) {
    s <- part[1, ]
    whole <- lines[lines$scenario == s$scenario, ]
    partner <- function(name) {
      other <- whole[whole$method == name, ]
      other[match(part$seed, other$seed), ]
    }
    ours <- partner("ted")
    lost <- part$heldout - partner("oracle")$heldout
    against <- ours$heldout - part$heldout
    ratio <- ratio_of_sums(part$wrong, part$promised)
    false <- ratio_of_sums(part$wrong, pmax(part$calls, 1e-9))
    power <- ratio_of_sums(part$right_at_5, part$nonzero)
    se <- function(x) stats::sd(x, na.rm = TRUE) / sqrt(sum(!is.na(x)))
    data.frame(
      scenario = s$scenario, method = s$method, repeats = nrow(part), strong = round(mean(part$strong)),
      heldout = mean(lost), heldout_se = se(lost), ours_minus = mean(against, na.rm = TRUE),
      ours_minus_se = se(against),
      wrong_rate = false[1], wrong_rate_se = false[2], ratio = ratio[1], ratio_se = ratio[2], power = power[1],
      power_se = power[2], seconds = stats::median(part$seconds)
    )
  }
  parts <- split(lines, paste(lines$scenario, lines$method))
  out <- do.call(rbind, lapply(parts, one))
  out[order(match(out$scenario, scenarios()$name), match(out$method, c("oracle", names(methods)))), ]
}

# The bars that our default is held to; a scenario and what falls short.
bars <- function(table) {
  all <- scenarios()
  ours <- table[table$method == "ted", ]
  few <- all$strong[match(ours$scenario, all$name)] == 10
  limit <- ifelse(few, 2.5, 1.5)
  peers <- table[!table$method %in% c("oracle", "ted", "ted0", "fa"), ]
  behind <- peers[which(peers$ours_minus < -3 * peers$ours_minus_se), ]
  list(
    ratio = ours[which(ours$ratio - 2 * ours$ratio_se > limit), c("scenario", "ratio", "ratio_se")],
    wrong = ours[which(ours$wrong_rate > 0.05), c("scenario", "wrong_rate")],
    heldout = behind[c("scenario", "method", "ours_minus", "ours_minus_se")]
  )
}

markdown <- function(frame) {
  cells <- function(x) paste0("| ", paste(x, collapse = " | "), " |")
  c(cells(names(frame)), cells(rep("---", ncol(frame))), apply(frame, 1, cells))
}

write_tables <- function(opts) {
  lines <- read_lines(opts)
  table <- summarise(lines)
  numbers <- vapply(table, is.double, TRUE)
  rounded <- table
  rounded[numbers] <- lapply(table[numbers], signif, 4)
  utils::write.csv(rounded, file.path(opts$out, "calibration.csv"), row.names = FALSE, quote = FALSE)
  shown <- with(table, data.frame(
    scenario = scenario, method = method, repeats = repeats, strong = strong,
    `held out` = sprintf("%.0f (%.0f)", heldout, heldout_se),
    `ours minus it` = ifelse(method == "ted", "", sprintf("%.0f (%.0f)", ours_minus, ours_minus_se)),
    `wrong, %` = sprintf("%.2f (%.2f)", 100 * wrong_rate, 100 * wrong_rate_se),
    `realised / promised` = sprintf("%.2f (%.2f)", ratio, ratio_se),
    `power at 5 %` = sprintf("%.3f (%.3f)", power, power_se), seconds = sprintf("%.2f", seconds), check.names = FALSE
  ))
  short <- bars(table)
  none <- function(frame) {
    rounded <- lapply(frame, function(x) if (is.numeric(x)) signif(x, 3) else x)
    if (nrow(frame) == 0) "None." else markdown(data.frame(rounded))
  }
  writeLines(c(
    "# Which covariances calibrate", "",
    "Made by `bench/calibration.R --table`, which says what scenarios and methods are; standard errors in brackets. All",
    "methods but the oracle have the canonical matrices too. Held out: log-likelihood of fresh rows minus the oracle's.",
    "",
    "## Where our default (ted) falls short", "",
    "Realised / promised wrong signs less two standard errors above 1.5 (2.5 with 10 R strong rows):", "",
    none(short$ratio), "",
    "More than 5 % wrong signs:", "", none(short$wrong), "",
    "Held-out log-likelihood more than three standard errors below a peer's:", "", none(short$heldout), "",
    "## All scenarios", "", markdown(shown)
  ), file.path(opts$out, "calibration.md"))
}

opts <- read_arguments(commandArgs(TRUE))
if (isTRUE(opts$table)) write_tables(opts) else study(opts)
