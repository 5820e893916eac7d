# Calls of what gives tables: long data frames of results, one row about them, and files.

# A result of every kind that has effects and conditions, with its problem and data.
table_pool <- function(kind = pick(c("mash_fit", "mash_1by1"))) {
  switch(kind, mash_fit = full_fit_pool(), mash_1by1 = onebyone_pool())
}

# One line for each entry, in the order of the matrices.
long_check <- function(x, result) {
  means <- result$PosteriorMean
  rows <- if (is.null(rownames(means))) seq_len(nrow(means)) else rownames(means)
  c(
    same(x$estimate, as.vector(means), "estimate"), same(x$std.error, as.vector(result$PosteriorSD), "std.error"),
    same(x$lfsr, as.vector(result$lfsr), "lfsr"), same(x$effect, rep(rows, ncol(means)), "effect"),
    yes(nrow(x) == length(means), "rows")
  )
}

# Intervals are wider for a higher probability, and hold their own median.
interval_args <- function(one) {
  if (chance(0.5)) list() else list(conf.int = TRUE, data = one$data, conf.level = pick(c(0.5, 0.95, 0.999)))
}
interval_check <- function(x) {
  if (is.null(x$conf.low)) return(character())
  yes(all(x$conf.low <= x$conf.high, na.rm = TRUE), "an interval ends before it begins")
}

for (method in c("tidy.mash_fit", "as.data.frame.mash_fit", "tidy.mash_1by1", "as.data.frame.mash_1by1")) local({
  method <- method
  generic <- sub("[.]mash_.*", "", method)
  target(method, weight = 0.5, function() {
    one <- table_pool(sub(".*[.]", "", method))
    if (method == "tidy.mash_fit" && chance(0.2)) {
      sum_of <- function(x) near(sum(x$weight), 1, 1e-8, what = "weights")
      return(valid("tidy", list(one$fit, "weights"), check = sum_of))
    }
    valid(generic, c(list(one$fit), interval_args(one)), na = ".", check = function(x) {
      c(long_check(x, one$fit$result), interval_check(x))
    })
  })
})

for (kind in c("mash_fit", "mash_1by1")) local({
  kind <- kind
  target(paste0("augment.", kind), weight = 0.6, function() {
    one <- table_pool(kind)
    J <- nrow(one$data$Bhat)
    rows <- if (chance(0.5) && !is.null(rownames(one$data$Bhat))) sample.int(J, between(1, J)) else seq_len(J)
    args <- c(list(one$fit, one$data[rows, ]), if (chance(0.3)) list(conf.int = TRUE))
    # A missing estimate has no .bhat, and with alpha no scale.
    valid("augment", args, na = ".", check = function(x) {
      part <- function(m) as.vector(m[rows, , drop = FALSE])
      scale <- one$data$Shat_alpha
      c(
        same(x$estimate, part(one$fit$result$PosteriorMean), "estimate"), same(x$.fitted, x$estimate, ".fitted"),
        near(x$.bhat, part(one$data$Bhat * scale), 1e-12, what = ".bhat"),
        same(x$observed, part(!is.na(one$data$Bhat)), "observed"), interval_check(x)
      )
    })
  })
})

target("glance.mash_1by1", weight = 0.3, function() {
  one <- table_pool("mash_1by1")
  valid("glance", list(one$fit), na = "logLik|converged", check = function(x) {
    c(yes(nrow(x) == 1, "rows"), same(x$nobs, sum(rowSums(!is.na(one$data$Bhat)) > 0), "nobs"))
  })
})

for (generic in c("tidy", "as.data.frame")) local({
  generic <- generic
  target(paste0(generic, ".mash_hierarchy"), weight = 0.2, function() {
    x <- hierarchy_pool()
    what <- pick(c("effects", "conditions", "groups"))
    valid(generic, list(x, what = what), check = function(out) same(out, x[[what]], what))
  })
  target(paste0(generic, ".mash_contrast"), weight = 0.2, function() {
    x <- contrast_pool()$x
    args <- if (chance(0.3)) list(x, conf.int = FALSE) else list(x)
    valid(generic, args, na = ".", check = function(out) {
      c(same(out$estimate, as.vector(x$result$PosteriorMean), "estimate"), interval_check(out))
    })
  })
})

target("glance.mash_hierarchy", weight = 0.2, function() {
  x <- hierarchy_pool()
  valid("glance", list(x), check = function(out) same(out$n_effects, nrow(x$effects), "n_effects"))
})

# ---- files ---------------------------------------------------------------------------

# What is written reads back the same. Without `format`: names without a known ending are refused, so that no spoilt one
# becomes a file.
target("write_mash", weight = 1.5, function() {
  ending <- pick(c(".tsv", ".tsv.gz", ".txt", if (requireNamespace("nanoparquet", quietly = TRUE)) ".parquet"))
  file <- tempfile("fuzz-", fileext = ending)
  read <- function(file) {
    if (ending == ".parquet") return(as.data.frame(nanoparquet::read_parquet(file)))
    utils::read.delim(file, check.names = FALSE, colClasses = "character")
  }
  as_number <- function(x) if (is.character(x)) as.numeric(x) else x
  kind <- pick(c("result", "result", "wide", "contrast", "hierarchy", "table", "matrix"))
  if (kind %in% c("result", "wide")) {
    one <- table_pool()
    call <- list(one$fit, file, overwrite = TRUE)
    if (chance(0.4)) call$effects <- sample.int(nrow(one$data$Bhat), between(1, nrow(one$data$Bhat)))
    if (chance(0.3)) call$conditions <- between(1, ncol(one$data$Bhat))
    if (chance(0.3)) call[c("conf.int", "data")] <- list(TRUE, one$data)
    if (kind == "wide") call$layout <- "wide"
    rows <- if (is.null(call$effects)) TRUE else call$effects
    columns <- if (is.null(call$conditions)) TRUE else call$conditions
    lfsr <- unname(one$fit$result$lfsr[rows, columns, drop = FALSE])
    return(valid("write_mash", call, check = function(files) {
      on.exit(unlink(files))
      table <- read(if (kind == "wide") files[["lfsr"]] else files)
      got <- if (kind == "wide") vapply(table[-1], as_number, numeric(nrow(table))) else as_number(table$lfsr)
      near(as.vector(got), as.vector(lfsr), 0, what = "lfsr")
    }))
  }
  x <- switch(kind,
    contrast = contrast_pool()$x, hierarchy = hierarchy_pool(),
    table = data.frame(a = stats::rnorm(3), b = letters[1:3]),
    matrix = matrix(stats::rnorm(4), 2, dimnames = list(c("a", "b"), c("a", "b")))
  )
  valid("write_mash", list(x, file, overwrite = TRUE), check = function(files) {
    on.exit(unlink(files))
    switch(kind,
      contrast = near(as_number(read(files)$estimate), as.vector(x$result$PosteriorMean), 0, what = "estimates"),
      hierarchy = near(as_number(read(files)$lfsr), x$effects$lfsr, 0, what = "lfsr"),
      table = near(as_number(read(files)$a), x$a, 0, what = "numbers"),
      matrix = near(as_number(read(files)$a), unname(x[, "a"]), 0, what = "numbers")
    )
  })
})
