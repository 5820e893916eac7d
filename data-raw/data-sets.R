# Makes data/mash_notebook.rda and data/gtex_z.rda from the text files beside this script.
# Run from the top of the package: Rscript data-raw/data-sets.R

# The notebook's draws come from another language's generator, which R cannot replay,
# so the numbers themselves are kept, with 17 significant digits.
read_effects <- function(path) {
  effects <- as.matrix(read.csv(path, header = FALSE, colClasses = "numeric"))
  dimnames(effects) <- list(
    paste0("effect_", seq_len(nrow(effects))),
    paste0("condition_", seq_len(ncol(effects)))
  )
  effects
}

Bhat <- read_effects("data-raw/notebook_Bhat.csv.gz")
mash_notebook <- list(
  B = read_effects("data-raw/notebook_B.csv.gz"),
  Bhat = Bhat,
  Shat = array(1, dim(Bhat), dimnames(Bhat))
)

gtex_z <- as.matrix(read.csv("data-raw/gtex_z.csv.gz", row.names = 1, check.names = FALSE))

stopifnot(
  identical(dim(mash_notebook$Bhat), c(2000L, 5L)),
  identical(dim(mash_notebook$B), c(2000L, 5L)),
  identical(dim(gtex_z), c(500L, 44L)),
  is.double(gtex_z),
  all(is.finite(mash_notebook$Bhat)),
  all(is.finite(gtex_z))
)

save(mash_notebook, file = "data/mash_notebook.rda", compress = "xz", version = 2)
save(gtex_z, file = "data/gtex_z.rda", compress = "xz", version = 2)
