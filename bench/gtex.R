# Held-out log-likelihood on the 500 x 44 GTEx z-scores: matrices learned from 350 rows, judged on the other 150, canonical
# matrices beside them. Writes gtex.csv: a line for each split and method, log-likelihood a row minus that of cov_ed().
#
#   Rscript bench/gtex.R [--splits=10] [--out=DIR]

options(covmash.progress = FALSE)
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
top <- dirname(dirname(normalizePath(gsub("~+~", " ", script, fixed = TRUE))))
value_of <- function(name, otherwise) {
  given <- grep(paste0("^--", name, "="), commandArgs(TRUE), value = TRUE)
  if (length(given) == 0) otherwise else sub("^[^=]*=", "", given[1])
}
splits <- as.integer(value_of("splits", "10"))
out <- value_of("out", file.path(top, "bench", "results"))

data <- covmash::mash_set_data(covmash::gtex_z, 1)

one_split <- function(split) {
  set.seed(split)
  rows <- sample(500, 350)
  train <- data[rows, ]
  fresh <- data[-rows, ]
  canonical <- covmash::cov_canonical(train)
  learned <- list(
    can = list(),
    ed = covmash::cov_ed(train, covmash::cov_pca(train, 5)),
    teem = suppressWarnings(covmash::cov_ed(train, covmash::cov_pca(train, 5), algorithm = "teem")),
    ted0 = covmash::cov_ted(train, sparse = 0),
    ted = covmash::cov_ted(train),
    fa = covmash::cov_fa(train)
  )
  heldout <- vapply(learned, function(Ulist) {
    fit <- covmash::mash(train, c(canonical, Ulist), gridmult = 2, verbose = FALSE)
    covmash::mash_compute_loglik(fit, fresh) / 150
  }, 0)
  data.frame(split = split, method = names(learned), gain = heldout - heldout[["ed"]])
}

lines <- do.call(rbind, lapply(seq_len(splits), one_split))
lines$gain <- signif(lines$gain, 6)
dir.create(out, showWarnings = FALSE, recursive = TRUE)
utils::write.csv(lines, file.path(out, "gtex.csv"), row.names = FALSE, quote = FALSE)
for (method in unique(lines$method)) {
  gain <- lines$gain[lines$method == method]
  error <- stats::sd(gain) / sqrt(length(gain))
  cat(sprintf("%-5s %6.3f, standard error %.3f, smallest %.3f\n", method, mean(gain), error, min(gain)))
}
