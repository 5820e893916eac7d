# Makes data/mash_notebook.rda, data/gtex_z.rda and data/factor_notebook.rda from the text files beside this script.
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

read_numbers <- function(name) {
  path <- paste0("data-raw/factor_", name, ".csv.gz")
  unname(as.matrix(read.csv(path, header = FALSE, colClasses = "numeric")))
}

genes <- c("TP53", "BRCA1", "IL6", "TNF")
large <- paste0("gene_", 1:100)
factor_notebook <- list(
  B = matrix(
    c(0.8, 0.7, 0.1, 0.1, 0, 0, 0.9, 0.8), 4, 2,
    dimnames = list(genes, c("p53 Pathway", "NF-kB Pathway"))
  ),
  D = c(TP53 = 0.04, BRCA1 = 0.03, IL6 = 0.05, TNF = 0.06),
  random_matrix = read_numbers("random_matrix"),
  B_large = matrix(
    read_numbers("B_large"), 100, 5,
    dimnames = list(large, paste0("pathway_", 1:5))
  ),
  D_large = stats::setNames(as.vector(read_numbers("d_large")), large)
)

stopifnot(
  identical(dim(factor_notebook$B_large), c(100L, 5L)),
  identical(dim(factor_notebook$random_matrix), c(5L, 5L)),
  length(factor_notebook$D_large) == 100L,
  identical(dim(mash_notebook$Bhat), c(2000L, 5L)),
  identical(dim(mash_notebook$B), c(2000L, 5L)),
  identical(dim(gtex_z), c(500L, 44L)),
  is.double(gtex_z),
  all(is.finite(mash_notebook$Bhat)),
  all(is.finite(gtex_z))
)

save(mash_notebook, file = "data/mash_notebook.rda", compress = "xz", version = 2)
save(gtex_z, file = "data/gtex_z.rda", compress = "xz", version = 2)
save(factor_notebook, file = "data/factor_notebook.rda", compress = "xz", version = 2)
