# What fit_factor_model() and select_n_factors() take besides matrices: a formula with its data, and
# the result of cov.wt().

# list(x, n_samples, center): data or a covariance matrix. `center` is that of cov.wt().
factor_input <- function(x, n_samples, data) {
  if (inherits(x, "formula")) {
    return(list(x = formula_columns(x, data), n_samples = n_samples))
  }
  if (!is.null(data)) {
    abort_input(
      "`data` is used with a formula, but `x` is {describe(x)}; give the data as `x`.",
      class = "covmash_error_argument"
    )
  }
  if (!is.list(x) || is.data.frame(x) || is.object(x) || is.null(x[["cov"]])) {
    return(list(x = x, n_samples = n_samples))
  }
  if (is.null(n_samples)) {
    n_samples <- x[["n.obs"]]
    if (is.null(n_samples)) {
      abort_input(
        "`x` has no element `n.obs`; give the number of samples as `n_samples`.", class = "covmash_error_n_samples"
      )
    }
    check_whole(n_samples, "x$n.obs", 2)
  }
  list(x = x[["cov"]], n_samples = n_samples, center = check_center(x[["center"]], NCOL(x[["cov"]])))
}

# Of one for each gene, or the 0 of cov.wt(center = FALSE).
check_center <- function(center, N) {
  if (is.null(center) || identical(center, FALSE)) {
    return(NULL)
  }
  if (!is.numeric(center) || !length(center) %in% c(1L, N) || !all(is.finite(center))) {
    abort_input(
      "`x$center` must have a finite mean for each of the {plural(N, 'gene')}, but it is {describe(center)}.",
      class = "covmash_error_dimensions"
    )
  }
  rep_len(as.double(center), N)
}

# The variables of a formula without response, as columns of a data frame; NA stay.
formula_columns <- function(formula, data) {
  fail <- function(..., env = parent.frame()) abort_input(..., class = "covmash_error_argument", env = env)
  if (length(formula) != 2L) {
    fail("The formula `x` must have no left side, as in ~ a + b + c.")
  }
  if (is.matrix(data)) data <- as.data.frame(data)
  if (!is.null(data) && !is.list(data) && !is.environment(data)) {
    fail("`data` must be a data frame, not {describe(data)}.")
  }
  frame <- tryCatch(
    stats::model.frame(formula, data, na.action = stats::na.pass),
    error = function(cnd) fail("The variables of the formula `x` were not found: {conditionMessage(cnd)}.")
  )
  used <- attr(attr(frame, "terms"), "factors")
  if (length(used) == 0L || any(attr(attr(frame, "terms"), "order") > 1L)) {
    fail("The formula `x` must be a sum of variables, as in ~ a + b + c, without interactions.")
  }
  # The rows of `used` are the variables, its columns the terms; one was taken away in ~ . - a.
  frame[apply(used > 0, 2, which)]
}

# ---- genes in rows? -----------------------------------------------------------

# Identifiers that only genes or transcripts have, or only samples; names of genes (TP53) may be anything.
gene_identifier <- paste0(
  "^(ENS[A-Z]*[GTP][0-9]{6,}([.][0-9]+)?|[0-9]+(_[a-z]+)?_at|ILMN_[0-9]+|[NX][MR]_[0-9]+([.][0-9]+)?|",
  "FBgn[0-9]{7}|WBGene[0-9]{8}|AT[1-5MC]G[0-9]{5})$"
)
sample_identifier <- "^(GSM[0-9]+|[SED]R[RSX][0-9]+|TCGA[-.].+|GTEX[-.].+)$"

# An expression matrix usually has genes in rows. Its shape says nothing (500 patients may have 20 genes);
# its names may.
tell_orientation <- function(sample) {
  if (sample$is_covariance) {
    return(invisible(NULL))
  }
  most <- function(labels, pattern) length(labels) > 1L && mean(grepl(pattern, first_few(labels, 1000))) >= 0.9
  rows <- rownames(sample$x)
  genes <- most(rows, gene_identifier) && !most(sample$genes, gene_identifier)
  if (genes || most(sample$genes, sample_identifier) && !most(rows, sample_identifier)) {
    what <- if (genes) {
      paste0("rows have names of genes ('", rows[1])
    } else {
      paste0("columns have names of samples ('", sample$genes[1])
    }
    inform_covmash(
      "The {what}', ...), but rows are taken as samples and columns as genes ({sample$n} samples of ",
      "{plural(sample$n_genes, 'gene')}); give t(x) if it is the other way round.",
      class = "covmash_message_orientation"
    )
  }
  invisible(NULL)
}
