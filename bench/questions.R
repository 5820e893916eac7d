# Whether the answers to questions about effects are right: intervals, contrasts, joint statements, sharing, weighted
# training, hierarchical control; and how long they take.
#
#   Rscript bench/questions.R [--what=calibration,draws,training,hierarchy,speed] [--out=DIR]
#
#   calibration  what is said against how often it is so: 20 simulated studies of 20,000 x 6, with missing values,
#                correlated errors and standard errors that vary, under the prior that drew them and under fitted weights;
#                what users compute by hand beside it
#   draws        against 10^6 draws from the posterior: 200 random problems
#   training     mixture weights of 20,000 of 500,000 effects against those of all, with and without weights: 50 seeds
#   hierarchy    realised shares of wrong signs at each level, and power beside flat thresholds: 200 studies
#   speed        100,000 x 44, canonical and 6 ED matrices, two threads
#
# Writes questions-<what>.csv. With covmash alone.

options(covmash.progress = FALSE)
library(covmash)
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
top <- dirname(dirname(normalizePath(gsub("~+~", " ", script, fixed = TRUE))))

read_arguments <- function(args) {
  opts <- list(what = "calibration,draws,training,hierarchy,speed", out = file.path(top, "bench", "results"))
  for (arg in args) {
    name <- sub("^--([^=]*)=.*", "\\1", arg)
    if (!name %in% names(opts)) stop("There is no option '", arg, "'; questions.R takes --what and --out.", call. = FALSE)
    opts[[name]] <- sub("^[^=]*=", "", arg)
  }
  opts$what <- strsplit(opts$what, ",", fixed = TRUE)[[1]]
  opts
}

write_table <- function(x, name, out) {
  utils::write.csv(x, file.path(out, paste0("questions-", name, ".csv")), row.names = FALSE)
  print(x, digits = 4, row.names = FALSE)
}

# ---- simulated studies --------------------------------------------------------

# Effects drawn from a mash prior: the null, and matrices of full rank, of rank one, of a single condition, each at two sizes.
prior_of <- function(R, seed) {
  set.seed(seed)
  U <- list(
    wide = stats::rWishart(1, R + 2, diag(R))[, , 1] / (R + 2), equal = matrix(1, R, R),
    near = 0.1 * diag(R) + tcrossprod(seq(1, 0.3, length.out = R)), half = NULL, first = NULL
  )
  half <- matrix(0, R, R)
  half[seq_len(ceiling(R / 2)), seq_len(ceiling(R / 2))] <- 0.8
  diag(half)[seq_len(ceiling(R / 2))] <- 1
  first <- matrix(0, R, R)
  first[1, 1] <- 1
  U$half <- half
  U$first <- first
  list(Ulist = U, grid = c(1, 2.5), pi = c(0.6, rep(0.04, 10)), usepointmass = TRUE)
}

draw_effects <- function(J, g) {
  K <- length(g$Ulist)
  R <- nrow(g$Ulist[[1]])
  component <- sample(length(g$pi), J, TRUE, g$pi) - 1L
  B <- matrix(0, J, R)
  for (p in seq_len(length(g$pi) - 1L)) {
    rows <- which(component == p)
    U <- g$Ulist[[(p - 1L) %% K + 1L]]
    e <- eigen(U, symmetric = TRUE)
    keep <- e$values > 1e-10
    root <- e$vectors[, keep, drop = FALSE] %*% diag(sqrt(e$values[keep]), sum(keep))
    draws <- matrix(stats::rnorm(length(rows) * sum(keep)), length(rows)) %*% t(root)
    draws[, diag(U) == 0] <- 0
    if (sum(keep) == 1L) draws <- tcrossprod(draws[, which(diag(U) > 0)[1]], root[, 1] / root[which(diag(U) > 0)[1], 1])
    B[rows, ] <- draws * g$grid[(p - 1L) %/% K + 1L]
  }
  B
}

study <- function(J, R, seed, missing = 0.15, correlated = TRUE) {
  g <- prior_of(R, 1000 + R)
  set.seed(seed)
  B <- draw_effects(J, g)
  Shat <- matrix(stats::runif(J * R, 0.6, 1.6), J, R)
  V <- if (correlated) 0.4^abs(outer(seq_len(R), seq_len(R), "-")) else diag(R)
  Bhat <- B + Shat * (matrix(stats::rnorm(J * R), J) %*% chol(V))
  Bhat[matrix(stats::runif(J * R) < missing, J)] <- NA
  list(B = B, g = g, data = suppressWarnings(mash_set_data(Bhat, Shat, V = V)))
}

# ---- calibration --------------------------------------------------------------

# Claims in bins of what they promise: how many, the mean promise, how often they held, and its standard error.
in_bins <- function(what, method, promised, held) {
  bin <- pmin(floor(10 * promised) + 1, 10)
  do.call(rbind, lapply(sort(unique(bin)), function(b) {
    at <- which(bin == b)
    p <- mean(promised[at])
    data.frame(
      what = what, method = method, bin = b, claims = length(at), promised = p, held = mean(held[at]),
      se = sqrt(max(p * (1 - p), 1e-4) / length(at))
    )
  }))
}

one_calibration <- function(seed) {
  s <- study(20000, 6, seed)
  fitted <- calibration_of(s, mash(s$data, s$g$Ulist, grid = s$g$grid, normalizeU = FALSE, verbose = FALSE))
  known <- calibration_of(s, suppressMessages(mash(s$data, g = s$g, fixg = TRUE, verbose = FALSE)))
  fitted$method[fitted$method == "covmash"] <- "covmash, fitted weights"
  rbind(known[known$method == "covmash", ], fitted)
}

calibration_of <- function(s, fit) {
  B <- s$B
  pm <- get_pm(fit)
  psd <- get_psd(fit)
  lfsr <- get_lfsr(fit)
  right <- sign(pm) == sign(B)
  seen <- !is.na(s$data$Bhat)
  ci <- get_credible_intervals(fit, s$data)
  inside <- ci$lower <= B & B <= ci$upper
  gauss <- abs(B - pm) <= stats::qnorm(0.975) * psd
  A <- cbind(-1, diag(5))
  truth <- B %*% t(A)
  truth[abs(truth) < 1e-9] <- 0
  contrast <- mash_contrast(fit, s$data, "reference")$result
  contrast_right <- sign(contrast$PosteriorMean) == sign(truth) & truth != 0
  by_hand <- pm[, -1] - pm[, 1]
  z <- by_hand / sqrt(psd[, -1]^2 + psd[, 1]^2)
  all_nonzero <- mash_joint(fit, s$data)
  one_sign <- mash_joint(fit, s$data, what = "sign")
  here_not_there <- mash_joint(fit, s$data, include = 1:3, exclude = 4:6)
  zero_free <- 1 - fit$result$lfdr
  if (is.null(fit$result$lfdr)) zero_free <- 1 - mash_compute_posterior_matrices(fit, s$data)$lfdr
  same_sign <- abs(rowSums(sign(B))) == 6
  naive_sign <- apply(1 - lfsr, 1, prod)
  single <- function(what, method, n, value, se) {
    data.frame(what = what, method = method, bin = NA, claims = n, promised = NA, held = value, se = se)
  }
  called <- lfsr < 0.05
  contrast_called <- contrast$lfsr < 0.05
  sure <- abs(z) > stats::qnorm(0.975)
  rbind(
    single("wrong signs, lfsr < 0.05", "covmash", sum(called), mean(!right[called]), NA),
    single("wrong signs, lfsr < 0.05, not observed", "covmash", sum(called & !seen), mean(!right[called & !seen]), NA),
    single("95 % intervals hold", "covmash", length(inside), mean(inside), NA),
    single("95 % intervals hold", "mean +- 1.96 sd", length(gauss), mean(gauss), NA),
    single("95 % intervals hold, nonzero effects", "covmash", sum(B != 0), mean(inside[B != 0]), NA),
    single("95 % intervals hold, nonzero effects", "mean +- 1.96 sd", sum(B != 0), mean(gauss[B != 0]), NA),
    single("95 % intervals hold, lfsr < 0.05", "covmash", sum(called), mean(inside[called]), NA),
    single("95 % intervals hold, lfsr < 0.05", "mean +- 1.96 sd", sum(called), mean(gauss[called]), NA),
    single("wrong contrasts, lfsr < 0.05", "covmash", sum(contrast_called), mean(!contrast_right[contrast_called]), NA),
    single("wrong contrasts, |z| > 1.96", "difference of means", sum(sure), mean((sign(by_hand) != sign(truth) | truth == 0)[sure]), NA),
    in_bins("sign of effects", "covmash", 1 - as.vector(lfsr), as.vector(right & B != 0)),
    in_bins("sign of contrasts", "covmash", 1 - as.vector(contrast$lfsr), as.vector(contrast_right)),
    in_bins("sign of contrasts", "difference of means", stats::pnorm(abs(as.vector(z))), as.vector(sign(by_hand) == sign(truth) & truth != 0)),
    in_bins("nonzero in all", "covmash", all_nonzero$probability, rowSums(B != 0) == 6),
    in_bins("nonzero in all", "product of 1 - lfdr", apply(zero_free, 1, prod), rowSums(B != 0) == 6),
    in_bins("one sign in all", "covmash", pmin(one_sign$probability, 1), same_sign),
    in_bins("one sign in all", "product of 1 - lfsr", naive_sign, same_sign),
    in_bins("in 1 to 3, not in 4 to 6", "covmash", here_not_there$probability, rowSums(B[, 1:3] != 0) == 3 & rowSums(B[, 4:6] != 0) == 0),
    in_bins(
      "in 1 to 3, not in 4 to 6", "product of 1 - lfdr and lfdr",
      apply(zero_free[, 1:3], 1, prod) * apply(1 - zero_free[, 4:6], 1, prod), rowSums(B[, 1:3] != 0) == 3 & rowSums(B[, 4:6] != 0) == 0
    )
  )
}

calibration <- function(out) {
  all <- do.call(rbind, lapply(1:20, one_calibration))
  key <- paste(all$what, all$method, all$bin)
  parts <- lapply(split(all, factor(key, unique(key))), function(x) {
    n <- sum(x$claims)
    p <- sum(x$claims * x$promised) / n
    held <- sum(x$claims * x$held) / n
    # Claims of an effect in several conditions are not independent: the spread over studies tells the error.
    se <- if (nrow(x) > 1L) stats::sd(x$held - ifelse(is.na(x$promised), 0, x$promised)) / sqrt(nrow(x)) else NA
    data.frame(what = x$what[1], method = x$method[1], bin = x$bin[1], claims = n, promised = p, held = held, se = se)
  })
  table <- do.call(rbind, parts)
  table$off <- (table$held - table$promised) / table$se
  write_table(table, "calibration", out)
}

# ---- draws --------------------------------------------------------------------

one_problem <- function(seed) {
  set.seed(seed)
  R <- sample(2:6, 1)
  U <- lapply(seq_len(sample(1:4, 1)), function(k) {
    rank <- sample(R, 1)
    Q <- matrix(stats::rnorm(R * rank), R)
    if (stats::runif(1) < 0.3) Q[sample(R, 1), ] <- 0
    tcrossprod(Q) / rank
  })
  names(U) <- paste0("U", seq_along(U))
  U <- Filter(function(u) any(u != 0), U)
  if (length(U) == 0L) U <- list(equal = matrix(1, R, R))
  grid <- sort(stats::runif(sample(1:3, 1), 0.3, 3))
  pi <- stats::rexp(1 + length(U) * length(grid))
  g <- list(Ulist = U, grid = grid, pi = pi / sum(pi), usepointmass = TRUE)
  V <- stats::cov2cor(stats::rWishart(1, R + 3, diag(R))[, , 1])
  if (stats::runif(1) < 0.3) V <- diag(R)
  Shat <- matrix(exp(0.5 * stats::rnorm(2 * R)), 2)
  Bhat <- 2 * matrix(stats::rnorm(2 * R), 2)
  if (stats::runif(1) < 0.4) Bhat[1, sample(R, 1)] <- NA
  data <- suppressWarnings(mash_set_data(Bhat, Shat, V = V))
  M <- 1e6
  fit <- suppressMessages(mash(data, g = g, fixg = TRUE, verbose = FALSE))
  fit$result <- mash_compute_posterior_matrices(fit, data, posterior_samples = M, seed = seed)
  draws <- fit$result$PosteriorSamples
  include <- sort(sample(R, sample(R, 1)))
  exclude <- setdiff(seq_len(R), include)
  if (length(exclude) > 1L && stats::runif(1) < 0.5) exclude <- exclude[1]
  compare <- function(what, ours, error, event) {
    freq <- rowMeans(event)
    se <- sqrt(pmax(freq * (1 - freq), 1 / M) / M)
    data.frame(seed = seed, what = what, ours = ours, draws = freq, error = error, off = pmax(abs(ours - freq) - error, 0) / se)
  }
  each <- function(f) matrix(vapply(1:2, function(j) f(draws[j, , , drop = TRUE]), logical(M)), 2, byrow = TRUE)
  shape <- function(b) matrix(b, R)
  nonzero <- mash_joint(fit, data, include, exclude)
  sign_all <- mash_joint(fit, data, include, what = "sign", tolerance = 1e-3)
  sign_any <- mash_joint(fit, data, test = "any", what = "sign", tolerance = 1e-3)
  ci <- get_credible_intervals(fit, data)
  largest <- mash_largest(fit, data)
  share <- get_expected_sharing(fit, data, lfsr_thresh = 1, predicted = TRUE)
  same <- function(b, rows) colSums(b[rows, , drop = FALSE] > 0) == length(rows) | colSums(b[rows, , drop = FALSE] < 0) == length(rows)
  one_way <- function(b) colSums(b != 0) > 0 & (colSums(b < 0) == 0 | colSums(b > 0) == 0)
  near <- function(b) b[1, ] * b[2, ] > 0 & abs(b[1, ]) > 0.5 * abs(b[2, ]) & abs(b[2, ]) > 0.5 * abs(b[1, ])
  shares <- rowMeans(each(function(b) near(shape(b))))
  counted <- rowSums(cbind(get_lfsr(fit)[, 1] < 1 | get_lfsr(fit)[, 2] < 1, FALSE)) > 0
  pair <- if (any(counted)) {
    data.frame(
      seed = seed, what = "sharing", ours = share[1, 2], draws = mean(shares[counted]), error = 1e-6,
      off = pmax(abs(share[1, 2] - mean(shares[counted])) - 1e-6, 0) / sqrt(0.25 / (M * sum(counted)))
    )
  }
  rbind(
    compare("nonzero", nonzero$probability, 1e-12, each(function(b) {
      b <- shape(b)
      colSums(b[include, , drop = FALSE] != 0) == length(include) & colSums(b[exclude, , drop = FALSE] != 0) == 0
    })),
    compare("one sign in all", sign_all$probability, sign_all$error, each(function(b) same(shape(b), include))),
    compare("of one sign where nonzero", sign_any$probability, sign_any$error, each(function(b) one_way(shape(b)))),
    interval_rows(seed, draws, ci, M),
    compare("largest in the first", largest$probability[, 1], largest$error, each(function(b) {
      b <- abs(shape(b))
      top <- do.call(pmax, lapply(seq_len(R), function(r) b[r, ]))
      # Of ties, the share that falls to the first.
      tied <- colSums(b >= rep((1 - 1e-9) * top, each = R))
      b[1, ] > 0 & b[1, ] >= (1 - 1e-9) * top & (tied == 1 | stats::runif(M) < 1 / tied)
    })),
    pair
  )
}
# How much probability lies below and above the ends; where a point mass holds an end, as much as it allows.
interval_rows <- function(seed, draws, ci, M) {
  do.call(rbind, lapply(1:2, function(j) {
    b <- draws[j, 1, ]
    below <- mean(b < ci$lower[j, 1])
    upto <- mean(b <= ci$lower[j, 1])
    se <- sqrt(0.025 * 0.975 / M)
    off <- max(below - 0.025, 0.025 - upto, 0) / se
    data.frame(seed = seed, what = "lower end of the interval", ours = 0.025, draws = below, error = 0, off = off)
  }))
}

draws <- function(out) {
  all <- do.call(rbind, lapply(1:200, one_problem))
  parts <- lapply(split(all, all$what), function(x) {
    data.frame(
      what = x$what[1], compared = nrow(x), largest_stated_error = max(x$error), largest_difference = max(abs(x$ours - x$draws)),
      # Beyond the stated error, in standard errors of the draws.
      largest_off = max(x$off), above_3 = sum(x$off > 3), expected_above_3 = 0.0027 * nrow(x)
    )
  })
  write_table(do.call(rbind, parts), "draws", out)
}

# ---- training -----------------------------------------------------------------

training <- function(out) {
  g <- prior_of(5, 1005)
  one <- function(seed) {
    set.seed(seed)
    J <- 500000
    data <- mash_set_data(draw_effects(J, g) + matrix(stats::rnorm(J * 5), J))
    weights_of <- function(rows) {
      fit <- if (is.null(rows)) {
        mash(data, g$Ulist, grid = g$grid, normalizeU = FALSE, verbose = FALSE, outputlevel = 1, prior = "uniform")
      } else {
        suppressWarnings(fit_mash_prior(data, g$Ulist, rows, grid = g$grid, normalizeU = FALSE, prior = "uniform"))
      }
      get_estimated_pi(fit)
    }
    rows <- select_training_effects(data, 20000, "top", seed = seed)
    plain <- rows
    attr(plain, "weights") <- NULL
    whole <- weights_of(NULL)
    rbind(
      data.frame(seed = seed, method = "weighted", matrix = names(whole), off = weights_of(rows) - whole, all = whole),
      data.frame(seed = seed, method = "not weighted", matrix = names(whole), off = weights_of(plain) - whole, all = whole),
      data.frame(seed = seed, method = "20,000 at random", matrix = names(whole),
        off = weights_of(select_training_effects(data, 20000, seed = seed)) - whole, all = whole)
    )
  }
  lines <- do.call(rbind, lapply(1:50, one))
  key <- paste(lines$method, lines$matrix)
  parts <- lapply(split(lines, factor(key, unique(key))), function(x) {
    sd <- stats::sd(x$off)
    data.frame(
      method = x$method[1], matrix = x$matrix[1], pi_of_all = mean(x$all), mean_difference = mean(x$off), sd = sd,
      # Of the mean over seeds, and how many of the 50 are within two standard deviations of random choices' spread.
      mean_over_se = mean(x$off) / (sd / sqrt(nrow(x))), within_2_sd = sum(abs(x$off) <= 2 * sd)
    )
  })
  write_table(do.call(rbind, parts), "training", out)
}

# ---- hierarchical control -----------------------------------------------------

hierarchy <- function(out) {
  one <- function(seed) {
    J <- 4000
    s <- study(J, 6, 5000 + seed)
    gene <- rep(seq_len(J / 5), each = 5)
    fit <- mash(s$data, s$g$Ulist, grid = s$g$grid, normalizeU = FALSE, verbose = FALSE)
    wrong <- function(x) {
      at <- cbind(match(x$effect, rownames_of(fit)), match(x$condition, conditions_of_fit(fit)))
      # A group or a condition is claimed for one of its effects; it is right if any effect there has that sign.
      sign(s$B[at]) != x$sign
    }
    h <- control_hierarchy(fit, gene, predicted = TRUE)
    lfsr <- get_lfsr(fit)
    flat <- which(lfsr < 0.05, arr.ind = TRUE)
    flat_wrong <- sign(get_pm(fit))[flat] != sign(s$B[flat])
    genes <- unique(gene[flat[, 1]])
    least <- vapply(split(seq_len(J), gene), function(rows) min(lfsr[rows, ]), 0)
    flat_genes <- which(least < 0.05)
    share <- function(x) if (length(x) == 0L) 0 else mean(x)
    data.frame(
      seed = seed, groups = nrow(h$groups), conditions = nrow(h$conditions), effects = nrow(h$effects),
      wrong_groups = share(wrong(h$groups)), wrong_conditions = share(wrong(h$conditions)), wrong_effects = share(wrong(h$effects)),
      flat_groups = length(flat_genes), flat_conditions = nrow(unique(cbind(gene[flat[, 1]], flat[, 2]))), flat_effects = nrow(flat),
      flat_wrong_effects = share(flat_wrong), true_groups = length(unique(gene[rowSums(s$B != 0) > 0]))
    )
  }
  lines <- do.call(rbind, lapply(1:200, one))
  mean_se <- function(x) c(mean(x), stats::sd(x) / sqrt(length(x)))
  table <- do.call(rbind, lapply(names(lines)[-1], function(name) {
    m <- mean_se(lines[[name]])
    data.frame(figure = name, mean = m[1], se = m[2])
  }))
  write_table(table, "hierarchy", out)
}

rownames_of <- function(fit) if (is.null(rownames(get_lfsr(fit)))) seq_len(nrow(get_lfsr(fit))) else rownames(get_lfsr(fit))
conditions_of_fit <- function(fit) if (is.null(colnames(get_lfsr(fit)))) seq_len(ncol(get_lfsr(fit))) else colnames(get_lfsr(fit))

# ---- speed --------------------------------------------------------------------

speed <- function(out) {
  set.seed(1)
  R <- 44
  J <- 100000
  U <- lapply(1:6, function(k) {
    A <- matrix(stats::rnorm(R * 3), R)
    # The last three: shared by all conditions, as in GTEx.
    if (k > 3) A[, 1] <- 2 + 0.3 * A[, 1]
    tcrossprod(A) / 3
  })
  k <- sample(0:6, J, TRUE, c(0.7, rep(0.05, 6)))
  B <- matrix(0, J, R)
  for (i in 1:6) {
    rows <- which(k == i)
    B[rows, ] <- 2 * t(t(chol(U[[i]] + 1e-8 * diag(R))) %*% matrix(stats::rnorm(R * length(rows)), R))
  }
  data <- mash_set_data(B + matrix(stats::rnorm(J * R), J))
  strong <- utils::head(get_significant_results(mash_1by1(data)), 2000)
  ed <- suppressWarnings(cov_ed(data, cov_pca(data, 5, subset = strong), subset = strong))
  fit <- mash(data, c(cov_canonical(data), ed), verbose = FALSE, n_threads = 2, outputlevel = 1)
  time <- function(what, goal, code) {
    gc(FALSE)
    seconds <- system.time(code)[["elapsed"]]
    data.frame(what = what, seconds = seconds, goal = goal)
  }
  table <- rbind(
    time("posterior", NA, mash_compute_posterior_matrices(fit, data, n_threads = 2)),
    time("95 % intervals", 30, get_credible_intervals(fit, data, n_threads = 2)),
    time("contrasts to one reference", 10, mash_contrast(fit, data, "reference", level = NULL, n_threads = 2)),
    time("contrasts to one reference, with intervals", NA, mash_contrast(fit, data, "reference", n_threads = 2)),
    time("nonzero in all", 10, mash_joint(fit, data, n_threads = 2)),
    time("of one sign in all", 10, mash_joint(fit, data, what = "sign", n_threads = 2)),
    time("how many active", NA, mash_active(fit, data, n_threads = 2)),
    time("largest", NA, mash_largest(fit, data, n_threads = 2)),
    time("expected sharing", 10, get_expected_sharing(fit, data, n_threads = 2))
  )
  write_table(table, "speed", out)
}

opts <- read_arguments(commandArgs(TRUE))
for (what in opts$what) {
  cat("\n", what, "\n", sep = "")
  switch(what,
    calibration = calibration(opts$out), draws = draws(opts$out), training = training(opts$out), hierarchy = hierarchy(opts$out),
    speed = speed(opts$out), stop("There is no part '", what, "'.", call. = FALSE)
  )
}
