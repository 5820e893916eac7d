# Calls of looks at sources and of their fits.

# src, data, the same in memory, and a prior.
streamed <- function() {
  p <- new_problem(plain = TRUE)
  J <- nrow(p$Bhat)
  labels <- colnames(p$Bhat)
  if (is.null(labels)) labels <- paste0("c", seq_len(ncol(p$Bhat)))
  ends <- unique(c(0, sort(sample.int(J, min(J, between(0, 3)))), J))
  make <- function(i) {
    rows <- seq(ends[i] + 1, ends[i + 1])
    list(Bhat = unname(p$Bhat[rows, , drop = FALSE]), Shat = unname(p$Shat[rows, , drop = FALSE]))
  }
  src <- quietly(covmash::mash_source(
    make, n = length(ends) - 1, V = p$V, alpha = p$alpha, conditions = labels,
    segment_rows = pick(c(1, 3, 7, 1000))
  ))
  list(p = p, src = src, data = memory_of(p, p$V), observed = sum(rowSums(!is.na(p$Bhat)) > 0))
}

scan_pool <- function(k = sample.int(10, 1)) {
  fixed("scan", k, function() {
    s <- streamed()
    while (s$observed == 0) s <- streamed()
    s$scan <- quietly(summary(s$src, n_threads = 1))
    s
  })
}

target("summary.mash_source", weight = 0.6, function() {
  s <- streamed()
  if (s$observed == 0) return(refused("summary", list(s$src)))
  args <- list(s$src)
  if (chance(0.3)) args$sample_rows <- pick(c(100, 1e5))
  if (chance(0.3)) args$n_threads <- 2
  valid("summary", args, na = "dictionary|sample|pilot", check = function(scan) {
    B <- s$data$Bhat
    c(
      same(unname(scan$observed), unname(colSums(!is.na(B))), "observed"),
      same(scan$noise$n_missing, sum(is.na(B)) + 0, "n_missing"),
      same(unname(scan$sample$Bhat), unname(B), "sample"),
      near(sum(scan$pilot$times), s$observed, 1e-12, 1, "times"),
      same(length(scan$checksums), as.integer(ceiling(nrow(B) / s$src$segment_rows)), "checksums")
    )
  })
})

target("format.mash_scan", weight = 0.2, function() valid("format", list(scan_pool()$scan)))
target("print.mash_scan", weight = 0.3, prints = TRUE, function() {
  valid("print", list(scan_pool()$scan), na = "sample|pilot|dictionary")
})

streamed_fit <- function() {
  s <- scan_pool()
  args <- list(data = if (chance(0.5)) s$scan else s$src, verbose = FALSE, n_threads = pick(c(1, 1, 2)))
  if (chance(0.2)) {
    args <- c(args, list(g = s$p$g, fixg = chance(0.5)))
  } else {
    args <- c(args, list(Ulist = s$p$g$Ulist, usepointmass = s$p$g$usepointmass, normalizeU = chance(0.5)))
    if (chance(0.6)) args$grid <- s$p$g$grid
    if (chance(0.3)) args$prior <- "uniform"
    if (chance(0.2)) args$nullweight <- pick(c(1, 2, 50))
  }
  if (chance(0.2)) args$checkpoint <- tempfile("fuzz-checkpoint")
  if (chance(0.2)) {
    args[[pick(c("weights", "A", "output_lfdr", "seed", "cluster"))]] <- pick(list(TRUE, diag(2), 3, "nobody"))
    return(refused("mash", args))
  }
  valid("mash", args, na = "convergence|timing|dictionary|passes", check = function(fit) {
    other <- args
    other$data <- s$data
    other$checkpoint <- NULL
    memory <- quietly(do.call(covmash::mash, other))
    value <- function(fit) if (is.na(fit$convergence$objective)) fit$loglik else fit$convergence$objective
    out <- near(value(fit), value(memory), 1e-7, max(1, abs(value(memory))), "objective")
    out <- c(out, same(fit$fitted_g$grid, memory$fitted_g$grid, "grid"))
    if (!is.null(args$checkpoint)) {
      again <- quietly(do.call(covmash::mash, args))
      out <- c(out, same(again$fitted_g, fit$fitted_g, "fit from its checkpoint"))
    }
    out
  })
}

local({
  of_data <- targets$mash
  target("mash", weight = of_data$weight, draws = of_data$draws, function() {
    if (chance(0.12)) streamed_fit() else of_data$make()
  })
})
