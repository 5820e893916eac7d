# How pictures look, as SVG: seen by vdiffr where it is installed, with the version of ggplot2 that made the snapshots
# (fixtures/snapshots-ggplot2.txt), since others draw a little differently. After a change that is meant:
# testthat::snapshot_review(), and write the version of ggplot2 into that file.

# No random numbers, and a prior that is given: the same everywhere.
pictured <- function() {
  Bhat <- outer(sin(1:14) * 4, c(1, 0.9, 0.5, -0.2)) + cos(outer(1:14, 1:4) * 7)
  Bhat[3, 2] <- NA
  Bhat[1:2, 2:4] <- 0.1
  dimnames(Bhat) <- list(paste0("gene_", 1:14), c("Liver", "Lung", "Whole_Blood", "Testis"))
  data <- mash_set_data(Bhat, 1)
  Ulist <- list(shared = matrix(1, 4, 4), falling = tcrossprod(c(1, 0.9, 0.5, -0.2)), own = diag(4))
  g <- list(pi = c(0.3, 0.2, 0.2, 0.1, 0, 0.1, 0.1), Ulist = Ulist, grid = c(1, 4), usepointmass = TRUE)
  list(data = data, fit = mash(data, g = g, fixg = TRUE, verbose = FALSE))
}

test_that("pictures look as they did", {
  # Here, not at the top of the file: then testthat would delete the snapshots.
  skip_on_cran()
  skip_if_not_installed("ggplot2")
  skip_if_not_installed("vdiffr")
  skip_if(
    as.character(utils::packageVersion("ggplot2")) != readLines(test_path("fixtures", "snapshots-ggplot2.txt")),
    "another version of ggplot2 than that of the snapshots"
  )
  p <- pictured()
  expect_shown <- function(name, ...) vdiffr::expect_doppelganger(name, ggplot2::autoplot(...))
  expect_shown("weights", p$fit)
  expect_shown("components", p$fit, "components")
  expect_shown("sharing", p$fit, "sharing")
  expect_shown("map", p$fit, "map")
  expect_shown("effect", p$fit, "effect", effect = "gene_3", data = p$data)
  expect_shown("shrinkage", p$fit, "shrinkage", data = p$data)
  expect_shown("sets", p$fit, "sets")
  expect_shown("eigenvectors", p$fit, "eigenvectors")
  expect_shown("covariances", p$fit, "covariances")
  expect_shown("qq", p$data, "qq")
})
