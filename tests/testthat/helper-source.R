# Effects in files: J x R estimates and standard errors, some missing, as columns of a table.
source_problem <- function(J = 23, R = 3, seed = 1) {
  withr::with_seed(seed, {
    labels <- c("liver", "lung", "skin", "brain", "heart")[seq_len(R)]
    Bhat <- matrix(rnorm(J * R), J, R, dimnames = list(paste0("e", seq_len(J)), labels))
    Shat <- matrix(runif(J * R, 0.5, 2), J, R, dimnames = dimnames(Bhat))
    Bhat[sample(J * R, J %/% 4)] <- NA
  })
  list(Bhat = Bhat, Shat = Shat)
}

source_columns_of <- function(p, rows = seq_len(nrow(p$Bhat))) {
  b <- as.data.frame(p$Bhat[rows, , drop = FALSE])
  s <- as.data.frame(p$Shat[rows, , drop = FALSE])
  names(b) <- paste0("b_", names(b))
  names(s) <- paste0("s_", names(s))
  cbind(data.frame(snp = rownames(p$Bhat)[rows]), b, data.frame(other = rep("x", length(rows))), s)
}

# A folder with the rows in files of these sizes, in order. ending: parquet, csv, tsv.gz, ...
source_files <- function(p, sizes, ending = "parquet", env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  ends <- cumsum(sizes)
  for (k in seq_along(sizes)) {
    table <- source_columns_of(p, seq_len(sizes[k]) + ends[k] - sizes[k])
    write_source_file(table, file.path(folder, sprintf("part%02d.%s", k, ending)))
  }
  folder
}

write_source_file <- function(table, path) {
  if (grepl("parquet$", path)) {
    rownames(table) <- NULL
    nanoparquet::write_parquet(table, path)
    return(invisible(path))
  }
  con <- if (grepl("gz$", path)) gzfile(path, "wt") else file(path, "wt")
  on.exit(close(con))
  numbers <- vapply(table, is.double, NA)
  table[numbers] <- lapply(table[numbers], function(x) ifelse(is.na(x), NA, sprintf("%.17g", x)))
  utils::write.table(
    table, con, sep = if (grepl("csv", path)) "," else "\t", quote = FALSE, row.names = FALSE
  )
  invisible(path)
}

# The numbers alone.
bare <- function(x) unname(x)
