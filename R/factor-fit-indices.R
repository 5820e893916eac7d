#' How well a factor model fits
#'
#' The test of a fit against the saturated model, and the usual indices of fit.
#'
#' @param fit A fit of [fit_factor_model()].
#' @param data What the model was fitted to: for SRMR and RMSR where the fit does not
#'   keep its covariance matrix, see [residuals()][factor_residuals], and for the test with
#'   missing values.
#' @param bartlett `TRUE`: likelihood ratios are multiplied by Bartlett's (1951) factors, as
#'   in the fit's own `test`, [stats::factanal()] and psych. `FALSE`: as they are, as in
#'   lavaan.
#' @param level Level of the interval for RMSEA.
#' @param x A result of `fit_indices()`.
#' @param digits Number of significant digits, from 1 to 22.
#' @param ... Not used.
#' @return A list of class `"fit_indices"`: `chisq`, `df`, `p.value`, `baseline.chisq`,
#'   `baseline.df`, `cfi`, `tli`, `rmsea`, `rmsea.conf.low`, `rmsea.conf.high`,
#'   `rmsea.p.value` (of the hypothesis RMSEA <= 0.05), `srmr`, `rmsr`, `logLik`,
#'   `n_parameters`, `AIC`, `BIC`; `level`, `n_samples`, and `notes`: for what is `NA`,
#'   why.
#' @details With \eqn{f} the discrepancy \eqn{\log|\Sigma| - \log|S| + tr(\Sigma^{-1} S) -
#'   N}{log|Sigma| - log|S| + tr(Sigma^-1 S) - N} (`objective` of the fit), \eqn{f_0} that of the
#'   baseline, independent genes
#'   (\eqn{-\log|R|}{-log|R|}, on \eqn{d_0 = N(N-1)/2} degrees of freedom), and \eqn{d =
#'   ((N-K)^2-N-K)/2}:
#'   * \eqn{\chi^2 = m f}, \eqn{\chi^2_0 = m_0 f_0}, where \eqn{m = n - 1 - (2N + 5)/6 -
#'   2K/3} and \eqn{m_0 = n - 1 - (2N + 5)/6}, or both are \eqn{n} without `bartlett`;
#'   * RMSEA \eqn{= \sqrt{\max(\chi^2 - d, 0) / (d m)}}{= sqrt(max(chi^2 - d, 0) / (d m))} (Steiger
#'   1990). Its bounds put
#'   the noncentralities, under which \eqn{\chi^2} is the upper and lower quantile, in
#'   the place of \eqn{\chi^2 - d} (Browne and Cudeck 1992);
#'   * TLI \eqn{= (\chi^2_0/d_0 - \chi^2/d) / (\chi^2_0/d_0 - 1)} (Tucker and Lewis 1973);
#'   * CFI \eqn{= 1 - \max(\chi^2 - d, 0) / \max(\chi^2_0 - d_0, \chi^2 - d, 0)}{= 1 - max(chi^2 -
#'   d, 0) / max(chi^2_0 - d_0, chi^2 - d, 0)} (Bentler
#'   1990), 1 if the denominator is 0;
#'   * SRMR: root mean square of \eqn{(S_{ij} - \Sigma_{ij}) / \sqrt{S_{ii} S_{jj}}} over
#'   \eqn{i \ge j} (Bentler 1995); RMSR: the same over \eqn{i > j}.
#'
#'   The test and what is made of it need `"ml"`, more samples than genes, and for all but
#'   CFI a degree of freedom; else they are `NA`. SRMR, RMSR, AIC and BIC do not.
#'
#'   With missing values \eqn{\chi^2} is twice the difference of the log-likelihoods of the
#'   saturated model and the fit, without Bartlett's factor, and \eqn{m = n}. The saturated
#'   model is fitted to `data` by EM (Dempster, Laird and Rubin 1977); where its
#'   likelihood has no maximum, as when a pair of genes is in no sample together, there
#'   is no test. SRMR compares pairwise correlations.
#' @section Errors: `covmash_error_fit` if `fit` is none; `covmash_error_argument` for the
#'   others; those of [residuals()][factor_residuals] for `data`.
#' @references Bartlett MS (1951). The effect of standardization on a chi-square
#'   approximation in factor analysis. *Biometrika* 38, 337-344.
#'   \doi{10.1093/biomet/38.3-4.337}
#'
#'   Steiger JH (1990). Structural model evaluation and modification: an interval
#'   estimation approach. *Multivariate Behavioral Research* 25, 173-180.
#'   \doi{10.1207/s15327906mbr2502_4}
#'
#'   Browne MW, Cudeck R (1992). Alternative ways of assessing model fit. *Sociological
#'   Methods and Research* 21, 230-258. \doi{10.1177/0049124192021002005}
#'
#'   Tucker LR, Lewis C (1973). A reliability coefficient for maximum likelihood factor
#'   analysis. *Psychometrika* 38, 1-10. \doi{10.1007/BF02291170}
#'
#'   Bentler PM (1990). Comparative fit indexes in structural models. *Psychological
#'   Bulletin* 107, 238-246. \doi{10.1037/0033-2909.107.2.238}
#'
#'   Bentler PM (1995). *EQS Structural Equations Program Manual*. Multivariate Software,
#'   Encino.
#'
#'   Dempster AP, Laird NM, Rubin DB (1977). Maximum likelihood from incomplete data via
#'   the EM algorithm. *JRSS B* 39, 1-22. \doi{10.1111/j.2517-6161.1977.tb01600.x}
#' @concept goodness of fit
#' @concept RMSEA
#' @export
#' @examples
#' fit <- fit_factor_model(cor(mtcars), n_factors = 2, n_samples = 32)
#' fit_indices(fit)
#' fit_indices(fit)$rmsea
fit_indices <- function(fit, data = NULL, bartlett = TRUE, level = 0.9) {
  check_factor_fit(fit)
  check_flag(bartlett, "bartlett")
  check_number(level, "level", 1e-6, 1 - 1e-6, "a number between 0 and 1")
  test <- likelihood_ratios(fit, bartlett, data)
  out <- c(
    test[c("chisq", "df", "p.value", "baseline.chisq", "baseline.df")], incremental_indices(test),
    rmsea_indices(test, level), residual_indices(fit, data)
  )
  notes <- c(test$note, out$note)
  out$note <- NULL
  structure(
    c(out, list(
      logLik = fit$loglik, n_parameters = fit$n_parameters, AIC = stats::AIC(fit), BIC = stats::BIC(fit),
      level = level, n_samples = fit$n_samples, notes = as.character(notes)
    )),
    class = "fit_indices"
  )
}

# Against the saturated model, of the fit and of independent genes, with the multiplier m of the discrepancy.
likelihood_ratios <- function(fit, bartlett, data = NULL) {
  N <- fit$n_genes
  K <- fit$n_factors
  df <- ((N - K)^2 - N - K) / 2
  out <- list(
    chisq = NA_real_, df = NA_real_, p.value = NA_real_, baseline.chisq = NA_real_, baseline.df = NA_real_,
    m = NA_real_
  )
  found <- if (fit$n_missing > 0) ratios_with_missing(fit, data) else ratios_of_complete(fit, bartlett)
  if (!is.null(found$note)) {
    out$note <- paste0("test, CFI, TLI, RMSEA: ", found$note)
    return(out)
  }
  out[names(found)] <- found
  out$df <- df
  out$baseline.df <- N * (N - 1) / 2
  if (df >= 1) {
    out$p.value <- stats::pchisq(out$chisq, df, lower.tail = FALSE)
  } else {
    out$note <- "p, TLI, RMSEA: the model has no degree of freedom"
  }
  out
}

# chisq, baseline.chisq and m; or `note`, why there are none.
ratios_of_complete <- function(fit, bartlett) {
  note <- no_likelihood_ratio(fit)
  if (!is.null(note)) {
    return(list(note = note))
  }
  n <- fit$n_samples
  m0 <- if (bartlett) n - 1 - (2 * fit$n_genes + 5) / 6 else n
  m <- if (bartlett) m0 - 2 * fit$n_factors / 3 else n
  if (m <= 0) {
    return(list(note = "Bartlett's factor is negative for so few samples (see `bartlett`)"))
  }
  list(chisq = max(m * fit$objective, 0), baseline.chisq = max(m0 * fit$baseline_objective, 0), m = m)
}

ratios_with_missing <- function(fit, data) {
  note <- no_likelihood_ratio(fit)
  if (is.null(note) && is.null(data)) {
    note <- "values are missing; give `data`"
  }
  if (!is.null(note)) {
    return(list(note = note))
  }
  x <- genes_of_fit(sample_values(data, "`data`"), fit, "data")
  check_genes_vary(x)
  n <- sum(rowSums(!is.na(x)) > 0)
  if (n != fit$n_samples) {
    abort_input(
      "`data` must be what the model was fitted to, {plural(fit$n_samples, 'sample')}, but it has {format_count(n)}.",
      class = "covmash_error_dimensions"
    )
  }
  saturated <- saturated_loglik(x)
  if (!is.null(saturated$note)) {
    return(saturated)
  }
  list(
    chisq = max(2 * (saturated$loglik - fit$loglik), 0),
    baseline.chisq = max(2 * (saturated$loglik - independent_loglik(x)), 0), m = fit$n_samples
  )
}

# Why there is none; NULL if there is.
no_likelihood_ratio <- function(fit) {
  if (fit$method != "ml") {
    paste0("method '", fit$method, "' has no test against the saturated model")
  } else if (fit$n_samples <= fit$n_genes) {
    paste0(
      "the saturated model of ", plural(fit$n_genes, "gene"), " has no likelihood for ", plural(fit$n_samples, "sample")
    )
  } else if (fit$n_missing == 0 && (is.na(fit$objective) || !checkmate::test_number(fit$baseline_objective, finite = TRUE))) {
    "the observed covariance matrix is singular, or the fit is of an earlier version"
  }
}

incremental_indices <- function(test) {
  excess <- test$chisq - test$df
  most <- max(test$baseline.chisq - test$baseline.df, excess, 0)
  ratio <- test$baseline.chisq / test$baseline.df
  list(
    cfi = if (is.na(most)) NA_real_ else if (most > 0) 1 - max(excess, 0) / most else 1,
    tli = if (is.na(test$p.value) || !isTRUE(ratio != 1)) NA_real_ else (ratio - test$chisq / test$df) / (ratio - 1)
  )
}

rmsea_indices <- function(test, level) {
  if (is.na(test$p.value)) {
    return(list(rmsea = NA_real_, rmsea.conf.low = NA_real_, rmsea.conf.high = NA_real_, rmsea.p.value = NA_real_))
  }
  of_noncentrality <- function(lambda) sqrt(lambda / (test$df * test$m))
  list(
    rmsea = of_noncentrality(max(test$chisq - test$df, 0)),
    rmsea.conf.low = of_noncentrality(noncentrality(test$chisq, test$df, (1 + level) / 2)),
    rmsea.conf.high = of_noncentrality(noncentrality(test$chisq, test$df, (1 - level) / 2)),
    rmsea.p.value = 1 - noncentral_p(test$chisq, test$df, 0.05^2 * test$df * test$m)
  )
}

# P(X <= chisq) of a noncentral chi-squared; normal where its series has too many terms, and the
# relative standard deviation is below 1e-3 anyway.
noncentral_p <- function(chisq, df, lambda) {
  if (chisq + lambda > 2e6) {
    return(pnorm((chisq - df - lambda) / sqrt(2 * (df + 2 * lambda))))
  }
  stats::pchisq(chisq, df, ncp = lambda)
}

# The noncentrality under which chisq is the quantile p; 0 if there is none.
noncentrality <- function(chisq, df, p) {
  above <- function(lambda) noncentral_p(chisq, df, lambda) - p
  if (above(0) <= 0) {
    return(0)
  }
  end <- chisq + 10
  while (above(end) > 0) end <- 2 * end
  stats::uniroot(above, c(0, end), tol = 1e-8 * max(1, chisq))$root
}

residual_indices <- function(fit, data) {
  none <- list(srmr = NA_real_, rmsr = NA_real_)
  if (is.null(data) && is.null(fit$observed)) {
    why <- if (fit$n_missing > 0) "values are missing" else "the fit does not keep its covariance matrix"
    none$note <- paste0("SRMR, RMSR: ", why, "; give `data`")
    return(none)
  }
  observed <- observed_of_fit(fit, data)
  sd <- sqrt(base::diag(observed$S))
  # Pairwise correlations have variances of their own.
  left <- observed$R - unname(fitted(fit, "covariance")) / sd / rep(sd, each = length(sd))
  off <- left[lower.tri(left)]
  base::diag(left) <- 1 - unname(diag(fit$covariance)) / base::diag(observed$S)
  whole <- left[lower.tri(left, diag = TRUE)]
  unseen <- sum(is.na(off))
  list(
    srmr = sqrt(mean(whole^2, na.rm = TRUE)),
    rmsr = if (unseen < length(off)) sqrt(mean(off^2, na.rm = TRUE)) else NA_real_,
    note = if (length(off) == 0L) {
      "RMSR: there is one gene"
    } else if (unseen > 0) {
      paste("SRMR, RMSR: without", plural(unseen, "pair"), "of genes that no sample has both")
    }
  )
}

#' @rdname fit_indices
#' @export
print.fit_indices <- function(x, digits = 3, ...) {
  check_printing(digits)
  numbers <- c(
    "chisq", "df", "p.value", "baseline.chisq", "baseline.df", "cfi", "tli", "rmsea", "rmsea.conf.low",
    "rmsea.conf.high", "rmsea.p.value", "srmr", "rmsr", "AIC", "BIC", "level", "n_samples"
  )
  if (!is.list(x) || !all(vapply(unclass(x)[numbers], checkmate::test_number, NA, na.ok = TRUE))) {
    abort_input("`x` is damaged; make it again with fit_indices().", class = "covmash_error_fit")
  }
  cat("<fit_indices> of a factor model, ", plural(x$n_samples, "sample"), "\n", sep = "")
  print_fit_indices(x, digits)
  invisible(x)
}

# Lines for those that there are; why the others are not.
print_fit_indices <- function(x, digits) {
  index <- function(v) ifelse(is.na(v), "NA", sprintf("%.*f", as.integer(min(digits, 15)), v))
  test <- function(chisq, df) {
    paste0("chi-squared ", format(chisq, digits = min(digits + 1, 22)), " on ", format_count(df), " df")
  }
  if (!is.na(x$chisq)) {
    status_line(
      "test:", test(x$chisq, x$df), if (!is.na(x$p.value)) paste0(", p ", describe_p(x$p.value, digits))
    )
    status_line("baseline:", test(x$baseline.chisq, x$baseline.df), " (independent genes)")
    status_line("CFI, TLI:", index(x$cfi), ", ", index(x$tli))
  }
  if (!is.na(x$rmsea)) {
    status_line(
      "RMSEA:", index(x$rmsea), ", ", format(100 * x$level), " % interval ", index(x$rmsea.conf.low), " to ",
      index(x$rmsea.conf.high), "; p(RMSEA <= 0.05) ", describe_p(x$rmsea.p.value, digits)
    )
  }
  if (!is.na(x$srmr)) status_line("SRMR, RMSR:", index(x$srmr), ", ", index(x$rmsr))
  status_line("AIC, BIC:", format_loglik(x$AIC), ", ", format_loglik(x$BIC))
  for (note in x$notes) status_line("not given:", note)
}
