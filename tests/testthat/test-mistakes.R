# What newcomers do wrong: each mistake ends in one sentence that names the argument, the place and the remedy.

test_that("thirty mistakes of a new user are told", {
  set.seed(1)
  sim <- simple_sims(20, 4, 0.5)
  B <- sim$Bhat
  S <- sim$Shat
  d <- mash_set_data(B, S)
  U <- cov_canonical(d)
  fit <- mash(d, U, verbose = FALSE)
  changed <- function(x, value, at = cbind(3, 2)) {
    x[at] <- value
    x
  }
  long <- data.frame(snp = c("a", "b"), tissue = "liver", beta = 1:2, se = 1)
  mistake <- function(code, ...) {
    cnd <- tryCatch(code, error = identity)
    expect_s3_class(cnd, "covmash_error_input")
    for (words in c(...)) expect_match(conditionMessage(cnd), words, fixed = TRUE)
  }
  mistake(mash_set_data(S, -B), "`Shat`", "row 2", "swapped")
  mistake(mash_set_data(B, t(S)), "`Shat` is 4 x 80")
  mistake(mash_set_data(long), "`Bhat`", "column 1 ('snp')", "as_mash_data()")
  mistake(mash_set_data(list(Bhat = B, Shat = S)), "`Bhat`", "element", "as_mash_data()")
  mistake(mash_set_data(mash_notebook), "`Bhat`", "as_mash_data()")
  mistake(mash_set_data("data.txt"), "'data.txt'", "read_sumstats()")
  mistake(mash_set_data(changed(B, NaN), S), "`Bhat`", "row 3 ('effect_3')", "use NA")
  mistake(mash_set_data(changed(B, Inf), S), "`Bhat`", "column 2 ('condition_2')", "use NA")
  mistake(mash_set_data(B, changed(S, 0)), "`Shat` is zero in row 3", "zero_Shat_reset")
  mistake(mash_set_data(B, S[80:1, ]), "row 1 is 'effect_80'", "same order")
  mistake(mash_set_data(B, S, V = diag(3)), "`V`", "4 conditions", "3 x 3")
  mistake(mash_set_data(B, S, V = matrix(1, 4, 4)), "`V`", "duplicated conditions")
  mistake(mash(d), "`Ulist` is missing", "cov_canonical(data)")
  mistake(mash(d, list(a = diag(2))), "Matrix 1 ('a')", "4 conditions")
  mistake(mash(d, list(a = diag(c(1, 1, 1, -1)))), "Matrix 1 ('a')", "nearest_covariance()")
  mistake(mash(B, U), "`data`", "mash_set_data()")
  mistake(mash(d, U, outputlevel = 9), "`outputlevel`", "1, 2, 3 or 4")
  mistake(mash(d, U, n_threads = 0), "`n_threads`", "at least 1")
  mistake(cov_ed(d), "`Ulist_init` is missing", "cov_pca(data")
  mistake(cov_pca(d, 3, subset = "effect_999"), "`subset`", "'effect_999'")
  mistake(cov_pca(d, 10), "`npc`", "number of conditions (4)")
  mistake(cov_canonical(d, "identty"), "`cov_methods`", "Did you mean 'identity'?")
  mistake(get_significant_results(fit, thresh = 5), "`thresh`", "from 0 to 1")
  mistake(get_significant_results(fit, conditions = "condtion_1"), "`conditions`", "Did you mean 'condition_1'?")
  mistake(get_pm(5), "`x`", "mash()")
  mistake(get_lfsr(mash(d, U, outputlevel = 1, verbose = FALSE)), "outputlevel = 1", "mash_compute_posterior_matrices()")
  mistake(
    mash_compute_posterior_matrices(fit, mash_set_data(`colnames<-`(B, letters[1:4]), S)), "`data`", "'a'", "Rename or leave out"
  )
  mistake(augment(fit, mash_set_data(matrix(1, 3, 4))), "`data`", "name the columns")
  mistake(summarise_effects(fit, by = 1:3), "`by`", "80 effects")
  mistake(read_sumstats("nothere.txt"), "'nothere.txt'", "path")
  mistake(mash_contrast(fit, d, contrast = "pairs"), "`contrast`", "'pairwise'")
  mistake(write_mash(fit, "/no/such/x.tsv"), "`file`", "'/no/such'")
  mistake(fit_factor_model(cor(mtcars), 2), "`n_samples` is missing")
  mistake(fit_factor_model(mtcars, 20), "`n_factors` is 20", "at most 6")
})

test_that("a name is guessed only where it is near", {
  expect_identical(did_you_mean("livr", c("lung", "liver")), " Did you mean 'liver'?")
  expect_identical(did_you_mean("kidney", c("lung", "liver")), "")
  expect_identical(did_you_mean("a", "b"), "")
})
