#' Simulated effects of the data-driven covariance notebook
#'
#' 2000 effects in 5 conditions, observed with standard error 1. Rows 1 to 500
#' have no effect; rows 501 to 1000 have independent effects in every
#' condition; rows 1001 to 1500 have an effect in the first condition only;
#' rows 1501 to 2000 have one effect that is the same in all conditions. The
#' effects that are not zero are standard normal.
#'
#' @format A list of three 2000 x 5 numeric matrices with row names `effect_1`,
#'   `effect_2`, ... and column names `condition_1` to `condition_5`:
#'   \describe{
#'     \item{`B`}{the true effects.}
#'     \item{`Bhat`}{the estimates, `B` plus standard normal noise, in the same
#'       (arbitrary) unit.}
#'     \item{`Shat`}{the standard errors of `Bhat`: all 1.}
#'   }
#' @source Made by `simple_sims(nsamp = 500, ncond = 5, err_sd = 1, seed = 1)`
#'   of the Python package pymash. Its random numbers come from numpy, whose
#'   generator R does not have, so that [simple_sims()] cannot make them again.
#' @examples
#' str(mash_notebook)
#' data <- mash_set_data(mash_notebook$Bhat, mash_notebook$Shat)
#' data
"mash_notebook"

#' Z-scores of strong eQTLs in 44 human tissues
#'
#' 500 pairs of a gene and a nearby genetic variant whose association with the
#' gene's expression is strong in at least one of 44 tissues of the
#' Genotype-Tissue Expression (GTEx) project, release 6, one pair a gene.
#'
#' @format A 500 x 44 numeric matrix of z-scores (estimated effect divided by
#'   its standard error: no unit, standard error 1), without missing values.
#'   Row names are `<Ensembl gene>_<chromosome>_<position>_<reference
#'   allele>_<alternative allele>_b37`, column names are tissues.
#' @source Summary statistics published by the GTEx Consortium (release v6,
#'   <https://gtexportal.org>), as prepared for Urbut et al. (2019).
#' @references
#' GTEx Consortium (2017). Genetic effects on gene expression across human
#' tissues. Nature 550, 204-213. \doi{10.1038/nature24277}
#'
#' Urbut SM, Wang G, Carbonetto P, Stephens M (2019). Flexible statistical
#' methods for estimating and testing effects in genomic studies with multiple
#' conditions. Nature Genetics 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#' @examples
#' dim(gtex_z)
#' # Z-scores have standard error 1.
#' data <- mash_set_data(gtex_z, Shat = 1)
#' data
"gtex_z"

#' Loadings and noise variances of the factor model notebook
#'
#' Four genes and two pathways, to be worked through by hand, and 100 genes driven by
#' five pathways.
#'
#' @format A list:
#'   \describe{
#'     \item{`B`}{4 x 2 loadings of TP53, BRCA1, IL6 and TNF on the p53 and the NF-kB
#'       pathway.}
#'     \item{`D`}{the four noise variances.}
#'     \item{`random_matrix`}{a 5 x 5 matrix of standard normal numbers: not a covariance
#'       matrix.}
#'     \item{`B_large`, `D_large`}{100 x 5 loadings, normal with standard deviation 0.1,
#'       and 100 noise variances, uniform between 0.01 and 0.05.}
#'   }
#' @source The small example is a text book one. The other numbers were drawn by numpy with
#'   seed 42, whose generator R does not have; [generate_factor_covariance()] draws others
#'   of the same kind.
#' @examples
#' Sigma <- factor_covariance(factor_notebook$B, D = factor_notebook$D)
#' check_covariance(Sigma)
#' check_covariance(factor_notebook$random_matrix)
"factor_notebook"
