# Files that hold a matrix of estimates and one of standard errors.

is_pair_of_matrices <- function(files) {
  length(files) == 2L && !is.data.frame(files) && setequal(names(files), c("Bhat", "Shat"))
}

read_matrices <- function(files, min_conditions) {
  parts <- lapply(c(Bhat = "Bhat", Shat = "Shat"), function(part) matrix_of_table(open_table(files[[part]]), part))
  Bhat <- parts$Bhat
  Shat <- parts$Shat
  unnamed <- sum(is.na(rownames(Bhat)))
  Bhat <- Bhat[!is.na(rownames(Bhat)), , drop = FALSE]
  Shat <- Shat[!is.na(rownames(Shat)), , drop = FALSE]
  at <- list(match(rownames(Bhat), rownames(Shat)), match(colnames(Bhat), colnames(Shat)))
  if (!identical(dim(Bhat), dim(Shat)) || anyNA(unlist(at))) {
    abort_input(
      "The matrices of `files` must have the same effects and conditions, but Bhat is {nrow(Bhat)} x {ncol(Bhat)}, Shat ",
      "{nrow(Shat)} x {ncol(Shat)}{if (anyNA(at[[1]])) paste0(\", and '\", rownames(Bhat)[is.na(at[[1]])][1], \"' of Bhat is not in Shat\") else \"\"}.",
      class = "covmash_error_dimensions"
    )
  }
  Shat <- Shat[at[[1]], at[[2]], drop = FALSE]
  bad <- is.na(Bhat) | is.na(Shat) | Shat <= 0
  lost <- colSums(bad & !(is.na(Bhat) & is.na(Shat)))
  Bhat[bad] <- Shat[bad] <- NA
  kept <- which(rowSums(!bad) >= min_conditions)
  none <- rep(0L, ncol(Bhat))
  structure(
    list(
      Bhat = Bhat[kept, , drop = FALSE], Shat = Shat[kept, , drop = FALSE],
      effects = data.frame(effect = rownames(Bhat)[kept]),
      report = data.frame(
        condition = colnames(Bhat), format = "matrix", rows = nrow(Bhat) + unnamed, other_tests = none,
        unnamed = unnamed, unusable = as.integer(lost), duplicates = none, flipped = none, strand = none, ambiguous = none,
        used = as.integer(colSums(!bad[kept, , drop = FALSE])), not_tested = none
      ),
      entries = data.frame(
        condition = rep(colnames(Bhat), each = unnamed), effect = rep(NA_character_, unnamed * ncol(Bhat)),
        what = rep("unnamed", unnamed * ncol(Bhat))
      ),
      dropped = nrow(Bhat) - length(kept)
    ),
    class = "mash_sumstats"
  )
}

# Row names in the first column, unless it holds numbers.
matrix_of_table <- function(table, part) {
  at <- seq_along(table$columns)
  first <- unlist(read_columns(table, c(first = 1L), TRUE), use.names = FALSE)
  named <- !all(is_numeral(first[!is.na(first)]))
  if (named) at <- at[-1]
  values <- read_columns(table, stats::setNames(at, table$columns[at]), rep(FALSE, length(at)))
  labels <- if (isFALSE(table$header)) NULL else table$columns[at]
  matrix(
    unlist(values, use.names = FALSE), ncol = length(at),
    dimnames = list(if (named) first else paste0("effect_", seq_along(first)), if (is.null(labels)) paste0("condition_", seq_along(at)) else labels)
  )
}
