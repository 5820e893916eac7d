# Calls of posteriors in files.

have_nanoparquet <- requireNamespace("nanoparquet", quietly = TRUE)

all_quantities <- c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr", "NegativeProb")

# A fit and the source of its data, by a function, in segments of a few rows.
studied_fit <- function() {
  one <- full_fit_pool()
  data <- one$data
  B <- one$problem$Bhat
  S <- one$problem$Shat
  labels <- colnames(B)
  if (is.null(labels)) labels <- paste0("c", seq_len(ncol(B)))
  part <- list(Bhat = unname(B), Shat = unname(S), id = rownames(B))
  one$src <- quietly(covmash::mash_source(
    function(i) part, n = 1, V = data$V, alpha = data$alpha, conditions = labels,
    segment_rows = pick(c(1, 3, 7, 100))
  ))
  one
}

# Of a process, each in a folder of its own: `out`, and the same as a result in memory.
output_pool <- function(k = sample.int(8, 1)) {
  fixed("posterior_in_files", k, function() {
    one <- studied_fit()
    one$columns <- if (k %% 4 == 0) c("PosteriorMean", "lfsr") else all_quantities
    one$out <- quietly(covmash::mash_posterior(one$src, one$fit, tempfile("fuzz-output"), columns = one$columns))
    all <- one$out[]
    one$memory <- one$fit
    one$memory$result <- all$result
    one$memory$missing <- all$missing
    one$memory$dimnames <- all$dimnames
    one$memory$dim <- all$dim
    one$rows <- all
    one
  })
}

some_rows <- function(one) {
  J <- dim(one$out)[1]
  names <- rownames(one$rows$result$lfsr)
  rows <- sample.int(J, between(1, J), TRUE)
  if (chance(0.2)) -unique(rows[-1]) else if (chance(0.2) && !is.null(names)) names[rows] else rows
}
in_memory <- function(one, rows) {
  names <- rownames(one$rows$result$lfsr)
  if (is.character(rows)) match(rows, names) else if (length(rows) == 0) integer() else seq_len(dim(one$out)[1])[rows]
}

if (have_nanoparquet) {
  # Another noise group decomposes otherwise: values agree to rounding.
  target("mash_posterior", weight = 0.6, function() {
    one <- studied_fit()
    args <- list(one$src, one$fit, tempfile("fuzz-output"))
    if (chance(0.5)) args$columns <- sample(all_quantities, between(1, 5))
    if (chance(0.3)) args$format <- "double"
    if (chance(0.2)) args$overwrite <- TRUE
    n <- ceiling(nrow(one$data$Bhat) / one$src$segment_rows)
    if (chance(0.3) && is.null(args$overwrite)) {
      args$n_parts <- between(1, 4)
      args$part <- between(1, args$n_parts)
      if (chance(0.3)) args$part <- as.character(args$part)
    }
    # With other threads the folder is there already: the same call does nothing more.
    valid("mash_posterior", args, na = "pieces|fit|source", check = function(out) {
      if (!is.null(args$part) && args$n_parts > 1) return(same(length(out$pieces$state), as.integer(n), "pieces"))
      posterior <- quietly(covmash::mash_compute_posterior_matrices(one$fit, one$data))
      all <- out[]
      unlist(lapply(names(all$result), function(part) {
        scale <- max(abs(posterior[[part]]), 1e-300, na.rm = TRUE)
        near(unname(all$result[[part]]), unname(posterior[[part]]), 1e-6, scale, part)
      }))
    })
  })

  target("mash_output", weight = 0.5, function() {
    one <- output_pool()
    args <- list(dir = one$out$dir)
    if (chance(0.3)) args$verify <- TRUE
    valid("mash_output", args, na = "pieces", check = function(out) same(out, one$out, "what is opened"))
  })

  target("[.mash_output", weight = 0.6, function() {
    one <- output_pool()
    rows <- some_rows(one)
    at <- in_memory(one, rows)
    if (length(at) == 0) at <- rows <- 1
    args <- list(one$out, rows)
    columns <- seq_len(dim(one$out)[2])
    if (chance(0.4)) args[[3]] <- columns <- sample.int(dim(one$out)[2], between(1, dim(one$out)[2]))
    valid("[", args, na = "result", check = function(x) {
      same(x$result$lfsr, one$rows$result$lfsr[at, columns, drop = FALSE], "lfsr")
    })
  })

  # What results in memory are asked too.
  asked <- list(
    count_significant = list(), get_significant_results = list(), get_n_significant_conditions = list(),
    get_pairwise_sharing = list(), summarise_effects = list()
  )
  for (name in names(asked)) local({
    name <- name
    of_memory <- if (!is.null(targets[[name]])) targets[[name]]
    target(name, weight = if (is.null(of_memory)) 0.7 else of_memory$weight, function() {
      if (!is.null(of_memory) && chance(0.7)) return(of_memory$make())
      one <- output_pool()
      m <- if (chance(0.8)) one$out else one$memory
      J <- dim(one$out)[1]
      args <- list(m)
      if (chance(0.4)) args$predicted <- chance(0.5)
      if (name == "summarise_effects") {
        if (chance(0.5)) args$by <- sample(between(1, J), J, TRUE)
        if (chance(0.3)) args$by <- function(names) substring(names, nchar(names))
        if (chance(0.3)) args$by_condition <- TRUE
        if (chance(0.3)) args$thresh <- stats::runif(1)
      } else if (name == "get_pairwise_sharing") {
        if (chance(0.5)) args$factor <- stats::runif(1)
        if (chance(0.3)) args$FUN <- abs
      } else {
        args$thresh <- stats::runif(1)
        if (chance(0.3)) args$conditions <- between(1, dim(one$out)[2])
        if (chance(0.3)) args$sig_fn <- function(m) 1 - covmash::get_lfsr(m)
      }
      twin <- args
      twin[[1]] <- one$memory
      valid(name, args, na = "", check = function(x) same(x, do.call(name, twin, envir = asNamespace("covmash")), "streamed"))
    })
  })

  for (generic in c("as.data.frame", "tidy")) local({
    generic <- generic
    target(paste0(generic, ".mash_output"), weight = 0.3, function() {
      one <- output_pool()
      args <- list(one$out)
      at <- seq_len(dim(one$out)[1])
      if (chance(0.6)) {
        args$rows <- some_rows(one)
        at <- in_memory(one, args$rows)
        if (length(at) == 0) at <- args$rows <- 1
      }
      valid(generic, args, na = ".", check = function(x) {
        same(x$estimate, as.vector(one$rows$result$PosteriorMean[at, ]), "estimate")
      })
    })
    target(paste0(generic, ".mash_rows"), weight = 0.2, function() {
      one <- output_pool()
      valid(generic, list(one$rows), na = ".", check = function(x) same(nrow(x), length(one$rows$result$lfsr), "rows"))
    })
  })

  target("dim.mash_output", weight = 0.1, function() {
    one <- output_pool()
    valid("dim", list(one$out), check = function(x) same(x, dim(one$rows$result$lfsr), "dim"))
  })
  target("dimnames.mash_output", weight = 0.1, function() {
    one <- output_pool()
    valid("dimnames", list(one$out), check = function(x) same(x[[2]], colnames(one$rows$result$lfsr), "conditions"))
  })
  target("dim.mash_rows", weight = 0.1, function() {
    one <- output_pool()
    valid("dim", list(one$rows), check = function(x) same(x, dim(one$rows$result$lfsr), "dim"))
  })
  target("summary.mash_output", weight = 0.3, function() {
    one <- output_pool()
    valid("summary", c(list(one$out), if (chance(0.5)) list(thresh = stats::runif(1))), check = function(x) {
      c(
        same(sum(x$conditions$observed), sum(!is.na(one$data$Bhat)), "observed"),
        same(sum(x$in_conditions), dim(one$out)[1], "effects")
      )
    })
  })
  prints_what("print.summary.mash_output", "print", function() summary(output_pool()$out))
  for (kind in c("output", "rows")) local({
    kind <- kind
    make <- function() output_pool()[[if (kind == "output") "out" else "rows"]]
    target(paste0("print.mash_", kind), weight = 0.2, prints = TRUE, function() valid("print", list(make()), na = "."))
    target(paste0("format.mash_", kind), weight = 0.1, function() valid("format", list(make())))
  })
} else {
  methods_of_output <- c(
    "mash_posterior", "mash_output", "[.mash_output", "as.data.frame.mash_output", "as.data.frame.mash_rows",
    "tidy.mash_output", "tidy.mash_rows", "dim.mash_output", "dimnames.mash_output", "dim.mash_rows",
    "summary.mash_output", "print.summary.mash_output", "print.mash_output", "print.mash_rows", "format.mash_output",
    "format.mash_rows"
  )
  for (name in methods_of_output) {
    target(name, weight = 0, function() refused("mash_output", list(tempfile())))
  }
  target("count_significant", weight = 0.3, function() valid("count_significant", list(full_fit_pool()$fit)))
}
