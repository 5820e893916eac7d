# A sample of a source, for what is estimated as well from some of the effects.

# The numbers of about `n` effects, the same whenever they are asked for and in any order of processes: one of each
# window of `m` effects, at a place that is shuffled, for effects of a gene or of a chromosome stand together, and what
# is periodic in the rows must not meet a period of the sample.
sample_rows_of <- function(J, n = 131072) {
  m <- max(1, round(J / n))
  window <- seq(0, ceiling(J / m) - 1)
  rows <- window * m + hashed(window) %% m + 1
  # The last window may be shorter: an effect in it is no likelier than others.
  rows[rows <= J]
}

# A permutation of the numbers below the prime 67108859 that has no visible order: x^3 + c three times. Products stay
# below 2^53, so that doubles hold them.
hashed <- function(x) {
  p <- 67108859
  x <- x %% p
  for (c in c(12345701, 40503029, 55555583)) {
    x <- (((x * x) %% p * x) %% p + c) %% p
  }
  x
}

# The data object of the sample, or of `rows`.
source_sample <- function(src, rows = NULL, sample_rows = 131072) {
  if (is.null(rows)) rows <- sample_rows_of(src$n_effects, sample_rows)
  rows <- as.double(rows)
  data_of_effects(src, read_chosen(src, rows), rows)
}

# What the functions take that a sample serves as well: a data object with rows chosen by `subset`, or a source, of
# which it is the sample, or the rows `subset`. A list of `data` and `subset`, rows of that.
take_effects <- function(data, subset = NULL) {
  if (missing(data) || !is_source(data)) {
    return(list(data = take_data(data), subset = subset))
  }
  check_source(data, "data")
  list(data = if (is.null(subset)) take_sample(data) else chosen_effects(data, subset, "subset"), subset = NULL)
}

take_sample <- function(src) {
  rows <- sample_rows_of(src$n_effects)
  inform_covmash(
    "{if (length(rows) < src$n_effects) 'A sample of ' else 'All '}{format_count(length(rows))} of ",
    "{plural(src$n_effects, 'effect')} of the source {if (length(rows) == 1) 'is' else 'are'} used.",
    class = "covmash_message_sample"
  )
  source_sample(src, rows)
}
