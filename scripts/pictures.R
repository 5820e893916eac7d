# Every picture of the package at four sizes, 7 x 5 inches, to be looked at. Called by scripts/pictures.

suppressPackageStartupMessages({
  library(covmash)
  library(ggplot2)
})
options(covmash.progress = FALSE)
given <- commandArgs(TRUE)
folder <- given[1]
wanted <- given[2]
dir.create(folder, showWarnings = FALSE, recursive = TRUE)

tissues <- colnames(gtex_z)

names_of <- function(R) {
  if (R == 44 && length(tissues) == 44) return(tissues)
  if (R > 44) return(paste0(rep(c("Tcell", "Bcell", "Mono", "NK", "DC"), each = R / 5), "_", seq_len(R / 5), "h"))
  c("Liver", "Lung", "Whole_Blood", "Testis", "Skin_Sun_Exposed_Lower_leg")[seq_len(R)]
}

# Half of the effects are null; of the others half are shared, with blocks of like conditions, some are in one
# condition only, one is beyond any doubt. A twentieth of the estimates is missing.
problem_of_size <- function(R, J = 1500) {
  set.seed(R)
  labels <- names_of(R)
  kind <- sample(c("null", "equal", "block", "one"), J, TRUE, c(0.5, 0.2, 0.2, 0.1))
  block <- (seq_len(R) - 1) %/% ceiling(R / 4)
  B <- t(vapply(kind, function(k) {
    switch(k,
      null = numeric(R), equal = rep(rnorm(1, 0, 3), R) * runif(R, 0.6, 1.2),
      block = rnorm(1, 0, 3) * ifelse(block == sample(unique(block), 1), 1, -0.2),
      one = ifelse(seq_len(R) == sample.int(R, 1), rnorm(1, 0, 4), 0)
    )
  }, numeric(R)))
  S <- matrix(runif(J * R, 0.5, 1.5), J)
  Bhat <- B + matrix(rnorm(J * R), J) * S
  Bhat[sample(length(Bhat), length(Bhat) / 20)] <- NA
  Bhat[3, 1] <- 40 * S[3, 1]
  dimnames(Bhat) <- dimnames(S) <- list(paste0("gene_", seq_len(J)), labels)
  data <- mash_set_data(Bhat, S)
  canonical <- cov_canonical(data)
  strong <- mash_set_data(Bhat[kind != "null", ], S[kind != "null", ])
  U <- c(canonical[seq_len(min(length(canonical), 12))], cov_pca(strong, min(4, R)))
  fit <- suppressWarnings(mash(data, U, grid = c(0.25, 0.5, 1, 2, 4, 8, 32), verbose = FALSE))
  list(
    R = R, data = data, U = U, fit = fit, one = mash_1by1(data[1:300, ]),
    contrast = mash_contrast(fit, data[1:60, ], "reference"),
    deconvolution = suppressWarnings(
      deconvolve(data[1:300, ], n_full = 1, n_rank1 = 3, n_starts = 1, max_evaluations = 20)
    ),
    Sigma = factor_of_size(R),
    factor_fit = if (R > 4) fit_factor_model(rfactor_cov(200, factor_of_size(R)), 2, rotation = "varimax"),
    chromosome = sort(rep_len(c(1:22, "X"), J)), position = runif(J, 0, 2e8)
  )
}

factor_of_size <- function(R) {
  B <- matrix(rnorm(R * 2) * rbinom(R * 2, 1, 0.4), R, dimnames = list(paste0("GENE", seq_len(R)), c("F1", "F2")))
  B[1, ] <- c(1, -0.8)
  factor_covariance(B, D = setNames(runif(R, 0.2, 0.6), rownames(B)))
}

# name: what is drawn, and in one sentence what it shows.
pictures <- list(
  weights = list("How the effects are spread over the covariance matrices.", function(p) autoplot(p$fit)),
  components = list(
    "The same by matrix and scale: white has no weight.", function(p) autoplot(p$fit, "components")
  ),
  covariances = list(
    "The covariance matrices that carry weight, conditions clustered, red positive and blue negative.",
    function(p) autoplot(p$fit, "covariances")
  ),
  `covariance-one` = list(
    "One covariance matrix, conditions clustered.", function(p) plot_covariances(p$U["PCA_1"], cluster = TRUE)
  ),
  `covariances-all` = list("All covariance matrices of a list.", function(p) plot_covariances(p$U)),
  eigenvectors = list(
    "The leading eigenvector of the matrices that carry most weight, with the share of variance it explains.",
    function(p) autoplot(p$fit, "eigenvectors")
  ),
  `eigenvectors-three` = list(
    "The three leading eigenvectors of one matrix.", function(p) plot_eigenvectors(p$U["tPCA"], n_vectors = 3)
  ),
  sharing = list(
    "For each pair of conditions the share of significant effects that agree within a factor of 2.",
    function(p) autoplot(p$fit, "sharing")
  ),
  map = list(
    "Conditions that share much lie near each other.", function(p) autoplot(p$fit, "map")
  ),
  effect = list(
    "The posterior of one effect across conditions, filled where significant.",
    function(p) autoplot(p$fit, "effect", effect = "gene_12")
  ),
  `effect-raw` = list(
    "The same with the observed estimates in grey: how far each was shrunk.",
    function(p) autoplot(p$fit, "effect", effect = "gene_12", data = p$data)
  ),
  `effect-1by1` = list(
    "One effect by analyses of each condition alone.",
    function(p) autoplot(p$one, effect = "gene_12", data = p$data[1:300, ])
  ),
  `effect-contrast` = list("Contrasts of one effect with the first condition.", function(p) autoplot(p$contrast)),
  shrinkage = list(
    "Observed effects against posterior means: what lies off the dashed line was shrunk.",
    function(p) autoplot(p$fit, "shrinkage", data = p$data)
  ),
  `shrinkage-one` = list(
    "The same for one condition.",
    function(p) autoplot(p$fit, "shrinkage", data = p$data, conditions = 1, max_points = 1000)
  ),
  significant = list("In which conditions most effects are significant.", function(p) autoplot(p$fit, "significant")),
  n_conditions = list(
    "In how many conditions effects are significant: one, or nearly all.", function(p) autoplot(p$fit, "n_conditions")
  ),
  sets = list(
    "Which conditions are significant together: a bar for each set, its conditions dark below it.",
    function(p) autoplot(p$fit, "sets")
  ),
  sizes = list("How large significant effects are in each condition.", function(p) autoplot(p$fit, "sizes")),
  manhattan = list(
    "The smallest lfsr of each effect along the genome.",
    function(p) autoplot(p$fit, "manhattan", data = p$data, chromosome = p$chromosome, position = p$position)
  ),
  z = list("How wide the z-scores of each condition are, beside those without effects.", function(p) autoplot(p$data)),
  qq = list(
    "Quantiles of the z-scores: what leaves the grey band is no noise.", function(p) autoplot(p$data, "qq")
  ),
  `deconvolution-matrices` = list(
    "Learned covariances as correlations.", function(p) autoplot(p$deconvolution)
  ),
  `deconvolution-eigenvalues` = list(
    "How many dimensions each learned covariance has.", function(p) autoplot(p$deconvolution, "eigenvalues")
  ),
  `deconvolution-vectors` = list(
    "The leading eigenvector of each learned covariance.", function(p) autoplot(p$deconvolution, "vectors")
  ),
  `deconvolution-trace` = list(
    "How the objective of a deconvolution rises to its last value.", function(p) autoplot(p$deconvolution, "trace")
  ),
  `factor-loadings` = list("How strongly each gene responds to each factor.", function(p) autoplot(p$Sigma)),
  `factor-covariance` = list(
    "A factored covariance: red positive, blue negative.", function(p) autoplot(p$Sigma, "covariance")
  ),
  `factor-correlation` = list("The same as correlations.", function(p) autoplot(p$Sigma, "correlation")),
  `factor-noise` = list("The variances of the noise.", function(p) autoplot(p$Sigma, "noise")),
  `factor-decomposition` = list(
    "What factors and noise add to the covariance.", function(p) autoplot(p$Sigma, "decomposition")
  ),
  `factor-overview` = list("Covariance, loadings, eigenvalues.", function(p) autoplot(p$Sigma, "overview")),
  `factor-network` = list("Partial correlations as a network.", function(p) autoplot(p$Sigma, "network")),
  `fit-loadings` = list(
    "Loadings of a fit, genes by their factor (not with 2 genes).",
    function(p) if (!is.null(p$factor_fit)) autoplot(p$factor_fit)
  ),
  `fit-communality` = list(
    "How much of each gene the factors explain (not with 2 genes).",
    function(p) if (!is.null(p$factor_fit)) autoplot(p$factor_fit, "communality")
  )
)

sizes <- c(2, 5, 44, 100)
index <- c("# Pictures", "")
shown <- grep(wanted, names(pictures), value = TRUE)
problems <- lapply(sizes, function(R) {
  path <- file.path(folder, paste0("problem-", R, ".rds"))
  # Fits are kept: pictures are drawn often, fits change rarely.
  if (!file.exists(path)) saveRDS(problem_of_size(R), path)
  readRDS(path)
})
for (name in shown) {
  files <- sprintf("%s-%d.png", name, sizes)
  unlink(file.path(folder, files))
  for (i in seq_along(sizes)) {
    plot <- pictures[[name]][[2]](problems[[i]])
    if (is.null(plot)) next
    ggsave(file.path(folder, files[i]), plot, width = 7, height = 5, dpi = 110, bg = "white")
  }
  drawn <- file.exists(file.path(folder, files))
  links <- paste0("![", name, ", ", sizes, " conditions](", files, ")")[drawn]
  index <- c(index, paste0("## ", name), "", pictures[[name]][[1]], "", links, "")
}
writeLines(index, file.path(folder, "index.md"))
cat(length(list.files(folder, "[.]png$")), "pictures in", folder, "\n")
