# Calls of what reads and writes data.

# A table of results, long or of one condition, with what real files have.
sumstats_table <- function(n = between(3, 12), conditions = NULL) {
  x <- data.frame(
    gene = sample(c("g1", "g2"), n, TRUE), variant = paste0("chr1_", sample(1000, n), "_A_G"), beta = stats::rnorm(n),
    se = stats::runif(n, 0.1, 2)
  )
  if (!is.null(conditions)) x$condition <- sample(conditions, n, TRUE)
  if (chance(0.3)) x$se[between(1, n)] <- NA
  if (chance(0.2)) x$variant <- sub("A_G", "G_A", x$variant)
  for (part in intersect(c("gene", "variant", "condition"), names(x))) {
    if (chance(0.1)) x[[part]][n] <- pick(list(NA, "", "."))
  }
  x
}

sumstats_pool <- function() {
  tables <- list(a = sumstats_table(), b = sumstats_table())
  suppressWarnings(covmash::read_sumstats(tables, verbose = FALSE))
}

target("read_sumstats", weight = 1, function() {
  files <- if (chance(0.5)) {
    list(a = sumstats_table(), b = sumstats_table())
  } else {
    list(sumstats_table(conditions = c("liver", "lung")))
  }
  if (chance(0.4)) {
    files <- lapply(files, function(x) {
      path <- tempfile(fileext = ".txt")
      utils::write.table(x, path, sep = pick(list("\t", ",")), row.names = FALSE, quote = FALSE)
      path
    })
    if (chance(0.5)) files <- unlist(files)
  }
  args <- list(files = files)
  if (chance(0.2)) args$duplicates <- pick(c("first", "precise"))
  if (chance(0.2)) args$ambiguous <- pick(c("drop", "frequency"))
  if (chance(0.1) && requireNamespace("nanoparquet", quietly = TRUE)) {
    read <- quietly(do.call(covmash::read_sumstats, args))
    args$to <- tempfile("fuzz-sumstats")
    return(valid("read_sumstats", args, check = function(src) {
      same(quietly(covmash::as_mash_data(src)), quietly(covmash::as_mash_data(read)), "data")
    }))
  }
  valid("read_sumstats", args, na = "Bhat|Shat|effects|report|entries", check = function(x) {
    c(
      same(is.na(x$Bhat), is.na(x$Shat), "missing"), yes(all(rowSums(!is.na(x$Bhat)) > 0), "no empty effects"),
      same(x$report$used[!is.na(x$report$condition)], as.integer(colSums(!is.na(x$Bhat))), "used"),
      same(sum(x$report$unnamed), sum(x$entries$what %in% c("unnamed", "no_condition")), "unnamed")
    )
  })
})

target("print.mash_sumstats", weight = 0.3, prints = TRUE, function() {
  valid("print", list(sumstats_pool()), na = "Bhat|Shat|effects")
})
target("format.mash_sumstats", weight = 0.2, function() valid("format", list(sumstats_pool())))

target("as_mash_data", weight = 0.5, function() {
  valid("as_mash_data", list(x = pick(list(sumstats_pool(), sumstats_table(conditions = c("u", "v"))))), na = "Bhat|Shat")
})
target("as_mash_data.default", weight = 0.2, function() {
  refused("as_mash_data", list(pick(list(1i, NULL, quote(x), mean))))
})
target("as_mash_data.mash", weight = 0.2, function() {
  p <- new_problem()
  valid("as_mash_data", list(quietly(covmash::mash_set_data(p$Bhat, p$Shat))), na = "Bhat|Shat")
})
target("as_mash_data.mash_sumstats", weight = 0.2, function() valid("as_mash_data", list(sumstats_pool()), na = "Bhat|Shat"))
target("as_mash_data.data.frame", weight = 0.3, function() {
  valid("as_mash_data", list(sumstats_table(conditions = c("u", "v"))), na = "Bhat|Shat")
})
target("as_mash_data.matrix", weight = 0.2, function() {
  valid("as_mash_data", list(matrix(stats::rnorm(12), 4), matrix(stats::runif(12), 4)))
})
target("as_mash_data.character", weight = 0.2, function() {
  path <- tempfile(fileext = ".txt")
  utils::write.table(sumstats_table(conditions = c("u", "v")), path, row.names = FALSE, quote = FALSE)
  valid("as_mash_data", list(path), na = "Bhat|Shat")
})
target("as_mash_data.list", weight = 0.3, function() {
  B <- matrix(stats::rnorm(12), 4)
  valid("as_mash_data", list(pick(list(
    list(Bhat = B, Shat = abs(B) + 0.1), list(strong.b = B, strong.s = abs(B) + 0.1), list(strong.z = B, random.z = B)
  ))))
})
if (requireNamespace("SummarizedExperiment", quietly = TRUE)) {
  target("as_mash_data.SummarizedExperiment", weight = 0.1, function() {
    B <- matrix(stats::rnorm(12), 4)
    valid("as_mash_data", list(SummarizedExperiment::SummarizedExperiment(list(beta = B, se = abs(B) + 0.1))))
  })
} else {
  target("as_mash_data.SummarizedExperiment", weight = 0, function() valid("as_mash_data", list(diag(2))))
}

target("write_mash_rds", weight = 0.4, function() {
  p <- new_problem(J = between(5, 20))
  data <- quietly(covmash::mash_set_data(p$Bhat, p$Shat))
  valid("write_mash_rds", list(x = data, file = tempfile(fileext = ".rds"), strong = 1:2, random = 3:5), function(file) {
    parts <- quietly(covmash::read_mash_rds(file))
    c(same(names(parts), c("strong", "random"), "parts"), near(unname(parts$random$Bhat), unname(data$Bhat[3:5, , drop = FALSE]), 1e-12))
  })
})
target("read_mash_rds", weight = 0.2, function() {
  path <- tempfile(fileext = ".rds")
  B <- matrix(stats::rnorm(12), 4)
  saveRDS(list(strong.z = B, random.z = B), path)
  valid("read_mash_rds", list(file = path))
})

# ---- the whole analysis ------------------------------------------------------------

small_data <- function() {
  p <- new_problem(J = between(20, 60), R = between(1, 4))
  quietly(covmash::mash_set_data(p$Bhat, p$Shat, V = p$V))
}

target("select_strong_effects", weight = 0.4, function() {
  data <- small_data()
  args <- list(data = data)
  J <- nrow(data$Bhat)
  if (chance(0.5)) args$by <- sample(between(1, J), J, TRUE)
  valid("select_strong_effects", args, check = function(rows) {
    c(same(anyDuplicated(unname(rows)), 0L, "once each"), if (!is.null(args$by)) same(anyDuplicated(args$by[rows]), 0L, "groups"))
  })
})

target("estimate_error_correlation", weight = 0.3, draws = TRUE, function() {
  data <- small_data()
  valid("estimate_error_correlation", list(data = data), may_fail = TRUE, check = function(V) {
    c(same(dim(V), rep(ncol(data$Bhat), 2), "dim"), check_psd(matrix(V, nrow(V)), "V"), near(as.vector(diag(as.matrix(V))), rep(1, nrow(V)), 1e-12))
  })
})

pipeline_pool <- function() quietly(covmash::mash_pipeline(small_data(), verbose = FALSE))

target("mash_pipeline", weight = 0.4, draws = TRUE, function() {
  data <- small_data()
  args <- list(data = data, verbose = FALSE)
  if (chance(0.4)) args$by <- sample(5, nrow(data$Bhat), TRUE)
  if (chance(0.3)) args$Ulist <- quietly(covmash::cov_canonical(data))
  if (chance(0.3)) args["V"] <- list(NULL)
  valid("mash_pipeline", args, na = "fit|data|V", may_fail = TRUE, check = function(x) {
    same(dim(covmash::get_pm(x$fit)), dim(data$Bhat), "posterior")
  })
})
for (name in c("print", "format", "summary")) local({
  name <- name
  target(paste0(name, ".mash_pipeline"), weight = 0.2, draws = TRUE, prints = name == "print", function() {
    valid(name, list(pipeline_pool()), na = "fit|data|V")
  })
})

# Rendering takes seconds: what it refuses is called mostly.
target("mash_report", weight = 0.1, function() {
  result <- pipeline_pool()
  if (chance(0.9)) {
    return(refused("mash_report", list(pick(list(result, 1, NULL)), file.path(tempdir(), "none", "x.html"))))
  }
  valid("mash_report", list(result = result, file = tempfile(fileext = ".html")), may_fail = TRUE)
})
