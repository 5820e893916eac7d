# What has been put where, as whole matrices.
parts_of <- function(store, J, kept = NULL) {
  list(estimate = take_matrix(store, "estimate", kept, J), se = take_matrix(store, "se", kept, J))
}

put <- function(store, condition, J, rows, values) {
  column <- open_column(store, condition, J)
  pieces <- by_block(store, rows)
  store_values(pieces, "estimate", column$r, values)
  store_values(pieces, "se", column$r, values / 10)
  store_values(pieces, "tested", column$r, as.raw(1))
  count_tested(store, column$r, length(rows))
  column
}

test_that("blocks hold what matrices would", {
  set.seed(1)
  for (expected in c(0, 3, 5)) {
    store <- new_store()
    expect_conditions(store, expected)
    truth <- matrix(NA_real_, 400, 3)
    J <- 0L
    for (r in 1:3) {
      # Effects are new in the order in which they come; one file brings two, another many.
      J <- J + c(200L, 2L, 198L)[r]
      rows <- sample(J, J - 5L)
      truth[rows, r] <- rnorm(length(rows))
      expect_true(put(store, letters[r], J, rows, truth[rows, r])$fresh)
      expect_identical(stored(by_block(store, rows), "estimate", r), truth[rows, r])
    }
    expect_false(open_column(store, "b", J)$fresh)
    # Few effects in a block of their own have room for the next ones.
    expect_identical(store$first, c(1L, 201L, 204L))
    there <- !is.na(truth)
    observed <- count_observed(store, J)
    expect_identical(observed, list(effects = as.integer(rowSums(there)), conditions = as.integer(colSums(there))))
    expect_identical(store$n_tested, observed$conditions)
    kept <- which(rowSums(there) > 1)
    n <- as.integer(colSums(there[-kept, ]))
    expect_identical(count_rows(store, setdiff(1:J, kept)), list(observed = n, tested = n))
    copy <- new_store()
    for (r in 1:3) put(copy, letters[r], J, seq_len(J), truth[, r])
    expect_identical(parts_of(copy, J, kept), list(estimate = truth[kept, ], se = truth[kept, ] / 10))
    expect_identical(parts_of(store, J), list(estimate = truth, se = truth / 10))
  }
})

test_that("columns of files in the same order are written where they stay", {
  skip_if_not(capabilities("profmem"))
  store <- new_store()
  expect_conditions(store, 3L)
  J <- 1000L
  open_column(store, "a", J)
  first <- tracemem(store$blocks[[1]]$estimate)
  for (name in c("a", "b", "c")) put(store, name, J, seq_len(J), rnorm(J))
  # The same matrix still, and the result is it.
  expect_silent(out <- take_matrix(store, "estimate", NULL, J))
  expect_identical(tracemem(out), first)
  untracemem(out)
})
