# Calls of data sets in files.

have_parquet <- requireNamespace("nanoparquet", quietly = TRUE)

# A problem in files of random sizes: folder, the data in memory, and how columns begin.
source_in_files <- function(p = new_problem()) {
  ending <- pick(c(if (have_parquet) rep("parquet", 4), "csv", "tsv", "txt.gz"))
  J <- nrow(p$Bhat)
  colnames(p$Bhat) <- colnames(p$Shat) <- paste0("c", seq_len(ncol(p$Bhat)))
  rownames(p$Bhat) <- rownames(p$Shat) <- paste0("e", seq_len(J))
  folder <- tempfile("fuzz-source")
  dir.create(folder)
  cuts <- unique(c(0, sort(sample.int(J, min(J, between(0, 3)))), J))
  for (k in seq_along(cuts[-1])) {
    write_fuzz_file(fuzz_columns(p, seq(cuts[k] + 1, cuts[k + 1])), file.path(folder, paste0("f", k, ".", ending)))
  }
  list(folder = folder, p = p, ending = ending)
}

fuzz_columns <- function(p, rows) {
  b <- as.data.frame(p$Bhat[rows, , drop = FALSE])
  s <- as.data.frame(p$Shat[rows, , drop = FALSE])
  names(b) <- paste0("b_", names(b))
  names(s) <- paste0("s_", names(s))
  out <- cbind(data.frame(name = rownames(p$Bhat)[rows]), b, s)
  rownames(out) <- NULL
  out
}

write_fuzz_file <- function(table, path) {
  if (grepl("parquet$", path)) {
    nanoparquet::write_parquet(table, path)
    return(path)
  }
  numbers <- vapply(table, is.double, NA)
  table[numbers] <- lapply(table[numbers], function(x) ifelse(is.na(x), NA, sprintf("%.17g", x)))
  con <- if (grepl("gz$", path)) gzfile(path, "wt") else file(path, "wt")
  on.exit(close(con))
  utils::write.table(table, con, sep = if (grepl("csv", path)) "," else "\t", quote = FALSE, row.names = FALSE)
  path
}

source_args <- function(s) {
  args <- list(x = s$folder, Bhat = "b_", Shat = "s_", id = "name", alpha = s$p$alpha, segment_rows = between(1, 12))
  if (chance(0.5)) args$V <- s$p$V
  if (chance(0.3)) args$x <- file.path(s$folder, paste0("*.", s$ending))
  if (chance(0.2)) args$x <- sort(list.files(s$folder, full.names = TRUE))
  if (chance(0.2)) args$Bhat <- paste0("b_", colnames(s$p$Bhat))
  if (chance(0.2)) args$Bhat <- function(columns) startsWith(columns, "b_")
  if (!identical(args$Bhat, "b_")) {
    args$Shat <- function(columns) startsWith(columns, "s_")
    args$conditions <- colnames(s$p$Bhat)
  }
  args
}

source_by_function <- function(p = new_problem()) {
  J <- nrow(p$Bhat)
  size <- between(1, J)
  n <- ceiling(J / size)
  make <- function(i) {
    rows <- seq((i - 1) * size + 1, min(i * size, J))
    list(Bhat = p$Bhat[rows, , drop = FALSE], Shat = p$Shat[rows, , drop = FALSE])
  }
  args <- list(x = make, n = n, n_effects = pick(list(J, NULL)), V = p$V, alpha = p$alpha)
  list(p = p, args = c(args, segment_rows = between(1, 12)))
}

memory_of <- function(p, V) {
  args <- list(p$Bhat, p$Shat, alpha = p$alpha)
  if (!is.null(V)) args$V <- V
  quietly(do.call(covmash::mash_set_data, args))
}

# src and the same data in memory
source_pool <- function() {
  if (chance(0.6)) {
    s <- source_in_files()
    args <- source_args(s)
  } else {
    s <- source_by_function()
    args <- s$args
  }
  list(src = quietly(do.call(covmash::mash_source, args)), data = memory_of(s$p, args$V), p = s$p)
}

target("mash_source", weight = 1.5, function() {
  if (chance(0.3)) {
    return(hostile_source())
  }
  s <- if (chance(0.6)) source_in_files() else source_by_function()
  args <- if (is.null(s$args)) source_args(s) else s$args
  valid("mash_source", args, check = function(src) {
    data <- memory_of(s$p, args$V)
    n <- covmash:::n_segments(src)
    parts <- quietly(lapply(seq_len(n), function(i) covmash:::segment_data(src, i)))
    bound <- function(part) unname(do.call(rbind, lapply(parts, `[[`, part)))
    c(
      same(dim(src), dim(data), "dim"), same(bound("Bhat"), unname(data$Bhat), "Bhat"),
      same(bound("Shat"), unname(data$Shat), "Shat"), same(bound("Shat_alpha"), unname(data$Shat_alpha), "Shat_alpha"),
      same(parts[[1]]$V, data$V, "V")
    )
  })
})

# Folders and functions that cannot be a source.
hostile_source <- function() {
  if (chance(0.3)) {
    B <- matrix(stats::rnorm(6), 3)
    lists <- list(list(), list(Bhat = letters), list(Bhat = t(B)), list(Bhat = B, Shat = 2), list(Bhat = B, id = 1:3))
    later <- pick(c(list(NULL, 1, B), lists))
    make <- if (chance(0.2)) function(i) stop("no") else function(i) if (i == 1) list(Bhat = B) else later
    return(refused("mash_source", list(make, n = 2)))
  }
  s <- source_in_files()
  files <- list.files(s$folder, full.names = TRUE)
  way <- pick(c("empty", "none", "column", "more", "bytes", "text", "folder", "columns"))
  args <- list(s$folder, Bhat = "b_", Shat = "s_")
  last <- file.path(s$folder, paste0("z.", s$ending))
  table <- fuzz_columns(s$p, 1)
  switch(way,
    empty = unlink(files),
    none = args[[1]] <- file.path(s$folder, pick(c("no", "*.no"))),
    column = write_fuzz_file(table[names(table) != "s_c1"], last),
    more = write_fuzz_file(cbind(table, b_other = 1), last),
    bytes = writeBin(as.raw(c(0, sample.int(255, 50, TRUE))), last),
    text = {
      if (s$ending != "parquet") unlink(files)
      write_fuzz_file(if (s$ending == "parquet") replace(table, "b_c1", list("x")) else table[0, ], last)
    },
    folder = {
      unlink(files)
      dir.create(last)
    },
    columns = args$Bhat <- pick(list("q_", "b_none", c("b_c1", "q"), function(x) stop("no"), function(x) 17, 5))
  )
  refused("mash_source", args)
}

target("[.mash_source", weight = 1, function() {
  if (chance(0.2)) {
    return(changed_source())
  }
  s <- source_pool()
  J <- nrow(s$data$Bhat)
  rows <- sample.int(J, between(1, 2 * J), TRUE)
  if (chance(0.2)) rows <- replace(logical(J), rows, TRUE)
  args <- list(s$src, rows)
  columns <- seq_len(ncol(s$data$Bhat))
  if (chance(0.3)) args[[3]] <- columns <- sample.int(ncol(s$data$Bhat), between(1, ncol(s$data$Bhat)))
  valid("[", args, na = "Bhat|Shat", check = function(data) {
    cut <- s$data[rows, columns]
    c(
      same(unname(data$Bhat), unname(cut$Bhat), "Bhat"), same(unname(data$Shat), unname(cut$Shat), "Shat"),
      same(unname(data$V), unname(cut$V), "V")
    )
  })
})

# Files that were other ones when the source was made, and values that are none.
changed_source <- function() {
  s <- source_in_files(p = new_problem(J = between(2, 20)))
  way <- pick(c("gone", "time", "size", "value"))
  path <- list.files(s$folder, full.names = TRUE)[1]
  if (way == "value") {
    table <- fuzz_columns(s$p, 1)
    table$b_c1 <- 1
    table$s_c1 <- pick(list(-1, 0, if (have_parquet && s$ending == "parquet") NaN else "x"))
    write_fuzz_file(table, path)
  }
  src <- quietly(covmash::mash_source(s$folder, "b_", "s_"))
  switch(way,
    gone = unlink(path), time = Sys.setFileTime(path, Sys.time() + 1000),
    size = cat("\n", file = path, append = TRUE), value = NULL
  )
  refused("[", list(src, 1))
}

target("as_mash_data.mash_source", weight = 0.4, function() {
  s <- source_pool()
  valid("as_mash_data", list(s$src), na = "Bhat|Shat", check = function(data) {
    c(same(unname(data$Bhat), unname(s$data$Bhat), "Bhat"), same(unname(data$Shat), unname(s$data$Shat), "Shat"))
  })
})

target("dim.mash_source", weight = 0.2, function() {
  s <- source_pool()
  valid("dim", list(s$src), check = function(x) same(x, dim(s$data), "dim"))
})
target("dimnames.mash_source", weight = 0.2, function() {
  s <- source_pool()
  valid("dimnames", list(s$src), check = function(x) same(length(x[[2]]), ncol(s$data$Bhat), "conditions"))
})
target("format.mash_source", weight = 0.2, function() valid("format", list(source_pool()$src)))
target("print.mash_source", weight = 0.3, prints = TRUE, function() valid("print", list(source_pool()$src)))

target("write_source", weight = if (have_parquet) 0.8 else 0, function() {
  s <- source_pool()
  args <- list(x = if (chance(0.5)) s$src else s$data, dir = tempfile("fuzz-written"), rows_per_file = between(1, 30))
  if (chance(0.2)) args$overwrite <- TRUE
  valid("write_source", args, check = function(src) {
    back <- quietly(covmash::as_mash_data(src))
    c(
      near(unname(back$Bhat), unname(s$data$Bhat), 1e-13, 0, "Bhat"),
      near(unname(back$Shat), unname(s$data$Shat), 1e-13, 0, "Shat"),
      near(unname(back$V), unname(s$data$V), 1e-15, 1, "V")
    )
  })
})

# What takes a sample in place of data.
for (name in c("cov_canonical", "estimate_null_correlation_simple", "select_training_effects")) local({
  of_data <- targets[[name]]$make
  target(name, weight = targets[[name]]$weight, draws = targets[[name]]$draws, function() {
    call <- of_data()
    if (chance(0.8) || !inherits(call$args[[1]], "mash_data") || ncol(call$args[[1]]$Bhat) > 8) return(call)
    data <- call$args[[1]]
    if (data$alpha != 0 || !is.matrix(data$V) || is.null(colnames(data$Bhat))) return(call)
    call$args[[1]] <- quietly(covmash::mash_source(
      function(i) list(Bhat = data$Bhat, Shat = data$Shat), n = 1, V = data$V, conditions = colnames(data$Bhat)
    ))
    call
  })
})

# What a study will cost. Seconds are what they are; the rest follows from the arguments.
target("mash_cost", weight = 0.4, function() {
  s <- source_pool()
  U <- quietly(covmash::cov_canonical(s$data))
  looked <- chance(0.3)
  data <- if (looked) quietly(summary(s$src, n_threads = 1)) else s$src
  args <- list(data, U, cores = sample(c(1, 2, 7, 800), between(1, 3)), n_threads = between(1, 2))
  if (chance(0.3)) args$n_effects <- between(1, 1e6)
  if (chance(0.3)) args$passes <- between(1, 9)
  if (chance(0.3)) args$grid <- c(0.5, 1)
  if (chance(0.3)) args$columns <- pick(list("lfsr", c("PosteriorMean", "lfdr")))
  if (chance(0.3)) args$format <- pick(c("double", "float"))
  valid("mash_cost", args, check = function(cost) {
    p <- cost$predicted
    J <- if (is.null(args$n_effects)) nrow(s$data$Bhat) else args$n_effects
    c(
      same(p$cores, args$cores, "cores"), same(cost$n_effects, as.double(J), "n_effects"),
      yes(all(vapply(p, function(column) all(is.finite(column)) && all(column >= 0), NA)), "a prediction is not finite"),
      near(p$total, p$scan + p$fit + p$posterior, 1e-9, 0, "total"),
      yes(all(p$workers * p$threads <= p$cores), "more threads than cores"),
      yes(all(p$scan > 0) != (looked && is.null(args$n_effects)), "the scan is counted wrongly")
    )
  })
})

made_cost <- function() {
  s <- source_pool()
  quietly(covmash::mash_cost(s$src, quietly(covmash::cov_canonical(s$data)), n_threads = 1))
}
target("format.mash_cost", weight = 0.1, function() valid("format", list(made_cost())))
target("print.mash_cost", weight = 0.2, prints = TRUE, function() valid("print", list(made_cost())))
