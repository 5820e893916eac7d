#' Fit a mash model
#'
#' Estimates how effects are shared between conditions and computes the
#' posterior of every effect: mixture weights of given covariance matrices at a
#' grid of sizes by maximum penalised likelihood, then posterior means, standard
#' deviations and local false sign rates.
#'
#' @param data A data object made by [mash_set_data()]; or a source ([mash_source()]), or a look at one
#'   ([summary()][summary.mash_source()]), for data that do not fit into memory: see "Data in a source".
#' @param Ulist List of R x R covariance matrices, symmetric and positive
#'   semi-definite, e.g. from [cov_canonical()] and [cov_ed()], and of factored ones
#'   ([factor_covariance()]), which stay factored in the fit. Matrices without
#'   a name are called `U1`, `U2`, ...
#' @param gridmult Ratio of neighbouring grid points when the grid is chosen from
#'   the data.
#' @param grid Standard deviations \eqn{\omega_l}, in the units of `data$Bhat`;
#'   chosen from the data if `NULL`.
#' @param normalizeU Divide each matrix by its largest diagonal element? The grid
#'   then means the same for all.
#' @param usepointmass Add a component at exactly zero (`null`)?
#' @param g A fit, or its `fitted_g`, to take `Ulist`, `grid` and `usepointmass`
#'   from, in place of `Ulist`, `grid` and `normalizeU`. The conditions of `data` are
#'   matched to its own by name, see [mash_compute_posterior_matrices()].
#' @param fixg Keep the weights of `g` too? If `FALSE` they are estimated anew.
#' @param prior Penalty on the weights: `"nullbiased"` (`nullweight` on the null
#'   component, or else on the first that is zero), `"uniform"` (no penalty), or one number of at least 1 for each
#'   component.
#' @param nullweight Weight of the null component under `"nullbiased"`, at least 1.
#' @param optmethod Solver of the weights. `"newton"` (default) is covmash's own;
#'   `"mixSQP"` and `"mixEM"` use the mixsqp package if it is installed. What is
#'   not available is replaced by `"newton"` with a warning of class
#'   `covmash_warning_optmethod`.
#' @param control Settings of the solver. For `"newton"`: `max_iter` (1000) and `tol`
#'   (1e-8, the largest violation of the optimality conditions, relative to the
#'   number of rows). Otherwise those of [mixsqp::mixsqp()].
#' @param verbose Say what is being done (messages, to stderr)?
#' @param add.mem.profile Ignored; kept for scripts written for mashr.
#' @param algorithm.version Ignored; kept for scripts written for mashr. There is
#'   one implementation.
#' @param pi_thresh Components with a weight of at most this are left out of the
#'   posterior (not of the log-likelihood).
#' @param A A matrix with linear combinations of the conditions in rows and one column
#'   for each condition (in any order, if it has their names); a vector is one
#'   combination. The posterior is then that of `A b`, named by the rows of `A`.
#' @param posterior_samples Number of draws from the posterior of each effect.
#' @param seed Seed of the draws, one number. `NULL` (default): one number drawn from R's
#'   generator, so that `set.seed()` governs it; the state of the generator moves on by
#'   that and nothing else.
#' @param outputlevel 1: weights and log-likelihoods only; 2 (default): also
#'   posterior means, standard deviations and sign probabilities; 3: also posterior
#'   covariances; 4: also the likelihoods of all components.
#' @param output_lfdr Also return the local false discovery rate?
#' @param start Weights to start from, which saves time where they are near: a fit (or its
#'   `fitted_g`), whose weights are taken by the names of the components, or one number for each
#'   component. The solution does not depend on them.
#' @param weights How much each effect counts when the mixture weights are estimated, J
#'   non-negative numbers: whole ones are the same as that many copies of the effect. Results
#'   and log-likelihoods of effects do not depend on them otherwise.
#' @param n_threads Number of threads, see [covmash_threads]; on each worker of a `cluster`.
#' @param cluster For a source: where to work. `NULL` (default): here; the name of a compute profile
#'   of mirai, whose daemons may run on any machine that sees the files
#'   (`mirai::daemons(4, .compute = "mash")`); or a cluster of parallel (`parallel::makeCluster()`). Workers
#'   need the same version of covmash. What one had when it was lost is done again by another.
#' @param checkpoint For a source: a file in which is kept what has been done, after every pass and, within
#'   one, about every 30 seconds. The same call goes on from there after an interrupt or a killed process.
#'   Beside it, with `.scan` at the end of its name, stands the look at the source.
#' @param explain For a source: say how long the fit will take, before it begins?
#'
#' @return A list of class `c("mash_fit", "mash")`:
#'   * `result`: J x R matrices `PosteriorMean`, `PosteriorSD`, `lfdr` (if asked
#'     for), `NegativeProb`, `lfsr`, with the dimnames of `Bhat` and on its scale;
#'     at `outputlevel = 3` and 4 `PosteriorCov`, R x R x J; with `posterior_samples`
#'     `PosteriorSamples`, J x R x M; an empty list at `outputlevel = 1`;
#'   * `loglik`: the log-likelihood; `vloglik`: J x 1, of each row; `null_loglik`,
#'     `alt_loglik`: of each row under the null and under the other components
#'     (`NULL` without a point mass); all of the original `Bhat`;
#'   * `fitted_g`: `pi` (named weights, null first, then grid-major
#'     `<matrix>.<grid index>`), `Ulist` (with the names of the conditions), `grid`,
#'     `usepointmass`;
#'   * `posterior_weights`: J x P' responsibilities of the P' components kept, with
#'     the attribute `component`, their positions in `pi`; `NULL` if there would
#'     be more than 1e7 of them, see [get_posterior_weights()];
#'   * `alpha`;
#'   * `convergence`: `objective` (penalised log-likelihood), `kkt_violation`,
#'     `gap_bound` (how far below the maximum the objective can be), `iterations`,
#'     `converged`; `NA` with `fixg = TRUE`;
#'   * `timing`: seconds for `likelihood`, `weights`, `posterior`, `total`; where
#'     likelihoods are not kept in memory ([covmash_threads]) their time is in `weights`;
#'   * `missing`: positions of missing estimates in `Bhat`, or `NULL`; `noise`:
#'     counts of missing entries and of rows that share their noise; `dim`,
#'     `dimnames`: those of `Bhat`;
#'   * at `outputlevel = 4`, `lm`: `loglik_matrix`, the log-likelihood of each row (J)
#'     under each component (P) less the largest of the row, and `lfactors`, these; on
#'     the scale on which `data` are;
#'   * of a source, `source`: `digest` of the source, `dictionary` and `checksums` as in
#'     [summary()][summary.mash_source()], `passes`, a data frame with a row for each pass (`pass`,
#'     `objective`, `kkt_violation`, `support`, how many components had weight, `seconds`, and those of workers
#'     `reading` and `computing`), and `isa`,
#'     the instruction set in use. `result` is an empty list then, what there is for each effect is `NULL`.
#'
#' @details With components \eqn{p = (k, l)} and
#'   \eqn{L_{jp} = N(\hat b_j; 0, V_j + \omega_l^2 U_k)}{L_jp = N(bhat_j; 0, V_j + omega_l^2 U_k)},
#'   the weights maximise
#'   \deqn{\sum_j v_j \log \sum_p \pi_p L_{jp} + \sum_p (prior_p - 1) \log \pi_p,}{
#'   sum_j v_j log sum_p pi_p L_jp + sum_p (prior_p - 1) log pi_p,}
#'   where \eqn{v_j}, `weights`, is 1 unless given.
#'   `convergence` certifies the solution: with
#'   \eqn{g_p = \sum_j v_j L_{jp} / (L\pi)_j + (prior_p - 1) / \pi_p} and
#'   \eqn{N = \sum_j v_j + \sum_p (prior_p - 1)}, the weights are optimal if and only if
#'   every \eqn{g_p \le N}; `kkt_violation` is \eqn{\max_p g_p / N - 1}{max_p g_p / N - 1}.
#'
#'   lfsr is \eqn{\min(P(b < 0), P(b > 0)) + P(b = 0)}{min(P(b < 0), P(b > 0)) + P(b = 0)}
#'   (Stephens 2017).
#'
#'   Missing estimates are left out of the likelihood exactly; `result` holds the
#'   posterior of all conditions, so those entries are predictions. A row with
#'   nothing observed adds nothing to the fit, has log-likelihood 0 and the
#'   prior as posterior. If `alpha` is not 0 and the standard error of a missing
#'   estimate is not known, its mean and standard deviation are `NA`.
#'
#' @section Data in a source: All effects are read, in segments, once for the look at them and once for each pass; no
#'   more than a segment is in memory of a process. Between passes the weights of a sample are found that has been given
#'   the gradient and the curvature of all effects, so that few passes are needed, from 1 to some 20; the last of them
#'   is the certificate of `convergence`, over all effects. The objective never falls, and the solution does not depend
#'   on the sample. It has the same bits for any number of threads and workers and after any interrupt (with one
#'   instruction set, which the workers agree on). `tol` and `max_iter` (at most 100) of `control` are those of passes.
#'
#'   Posteriors are written to files by [mash_posterior()]. What is asked for by effect is refused here:
#'   `outputlevel` above 1, `output_lfdr`, `posterior_samples`, `seed`, `A`, `pi_thresh`, `weights`; and other solvers
#'   than `"newton"`. With `g`, the conditions of the source must stand in the order of those of `g`.
#'
#' @section Errors: All of class `covmash_error_input`: bad matrices
#'   (`covmash_error_ulist`, with the name of the matrix), `g` given together with
#'   what it contains (`covmash_error_g`), a fit made with another `alpha`
#'   (`covmash_error_alpha`). What a later version will bring is an error of class
#'   `covmash_error_unsupported`. Weights that did not converge are a warning
#'   of class `covmash_warning_convergence`.
#'
#'   Of a source: files that cannot be read or have changed since [mash_source()], or values that cannot be used, with
#'   file and row (`covmash_error_source`); other values than when they were looked at, though size and time of the
#'   files are the same (`covmash_error_changed`); a checkpoint that is damaged, or of other data, matrices or settings,
#'   or cannot be written (`covmash_error_checkpoint`). Workers that do not answer, cannot use covmash, or are lost
#'   again and again are an error of class `covmash_error_cluster`, and of `covmash_error`.
#'
#' @section Differences from mashr:
#'   * The default solver is `"newton"`; it reaches an objective at least as good
#'     and reports a certificate.
#'   * Missing estimates are left out, not taken as 0 with standard error 1e6.
#'   * With `usepointmass = FALSE`, `"nullbiased"` puts `nullweight` on the first component that
#'     is zero (by its matrix or its grid point), and penalises nothing if there is none; mashr
#'     takes the first component, whatever it is.
#'   * `g = NULL` may be given explicitly, `g` may be a fit, and `usepointmass`
#'     may be given with `g` if it agrees with it.
#'   * lfsr is computed from both tails, so that small values keep their
#'     digits for negative effects too.
#'   * `seed = NULL` (mashr: 123), and no seed resets the state of R's generator. Draws are
#'     made in compiled code, on several threads; each effect has a stream of its own
#'     (Salmon et al. 2011), so that they are the same for any number of threads.
#'   * `posterior_weights` has no `names`; use its attribute `component`.
#'   * One effect, and one condition, work.
#'
#' @references
#' Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51,
#' 187-195. \doi{10.1038/s41588-018-0268-8}
#'
#' Kim Y, Carbonetto P, Stephens M, Anitescu M (2020). A fast algorithm for
#' maximum likelihood estimation of mixture proportions using sequential
#' quadratic programming. *Journal of Computational and Graphical Statistics* 29,
#' 261-273. \doi{10.1080/10618600.2019.1689985}
#'
#' Salmon JK, Moraes MA, Dror RO, Shaw DE (2011). Parallel random numbers: as easy as 1,
#' 2, 3. *SC '11*, article 16. \doi{10.1145/2063384.2063405}
#'
#' Stephens M (2017). *Biostatistics* 18(2), 275-294.
#' \doi{10.1093/biostatistics/kxw041}
#'
#' @seealso [mash_compute_posterior_matrices()] for further data, [mash_source()] and [mash_posterior()] for large ones,
#'   [get_significant_results()], [get_pairwise_sharing()],
#'   [get_estimated_pi()], [mash_fit-methods]
#' @concept false sign rate
#' @concept empirical Bayes
#' @concept meta-analysis
#' @concept multivariate adaptive shrinkage
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 4, err_sd = 1)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' fit
#' head(get_pm(fit), 3)
#' round(get_estimated_pi(fit), 2)
#'
#' # The same from a source, here of two parts that a function gives.
#' src <- mash_source(function(i) {
#'   rows <- seq(1, 100) + 100 * (i - 1)
#'   list(Bhat = sim$Bhat[rows, ], Shat = sim$Shat[rows, ])
#' }, n = 2, n_effects = 200)
#' large <- mash(src, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' all.equal(get_estimated_pi(large), get_estimated_pi(fit))
#' large$source$passes
mash <- function(data, Ulist = NULL, gridmult = sqrt(2), grid = NULL,
                 normalizeU = TRUE, usepointmass = TRUE, g = NULL, fixg = FALSE,
                 prior = c("nullbiased", "uniform"), nullweight = 10,
                 optmethod = c(
                   "newton", "mixSQP", "mixIP", "mixEM", "cxxMixSquarem"
                 ),
                 control = list(), verbose = TRUE, add.mem.profile = FALSE,
                 algorithm.version = c("Rcpp", "R"), pi_thresh = 1e-10,
                 A = NULL, posterior_samples = 0, seed = NULL, outputlevel = 2,
                 output_lfdr = FALSE, start = NULL, weights = NULL,
                 n_threads = NULL, cluster = NULL, checkpoint = NULL,
                 explain = FALSE) {
  started <- elapsed()
  check_choice(algorithm.version, c("Rcpp", "R"), "algorithm.version")
  check_flag(fixg, "fixg")
  check_flag(verbose, "verbose")
  if (!is.null(g)) {
    refuse_with_g(c(
      Ulist = !missing(Ulist) && !is.null(Ulist),
      grid = !missing(grid) && !is.null(grid),
      normalizeU = !missing(normalizeU) && !is.null(normalizeU)
    ))
    refuse_with_fixg(fixg & c(
      prior = !missing(prior), optmethod = !missing(optmethod), start = !is.null(start), weights = !is.null(weights)
    ))
  } else if (fixg) {
    abort_input("`fixg = TRUE` needs `g`, the fit whose weights are to be kept.", class = "covmash_error_g")
  }
  point_mass_of_call <- if (!missing(usepointmass)) usepointmass
  if (!missing(data) && (is_source(data) || is_scan(data))) {
    refuse_for_source(c(
      A = !is.null(A), posterior_samples = !list(posterior_samples) %in% list(0, 0L), weights = !is.null(weights),
      output_lfdr = !isFALSE(output_lfdr), outputlevel = !missing(outputlevel) && !list(outputlevel) %in% list(1, 1L),
      pi_thresh = !identical(pi_thresh, 1e-10), seed = !is.null(seed),
      optmethod = !missing(optmethod) && !identical(optmethod[1], "newton")
    ))
    return(mash_of_source(
      data, list(
        Ulist = Ulist, grid = grid, gridmult = gridmult, normalizeU = normalizeU, usepointmass = usepointmass
      ),
      g, point_mass_of_call, fixg, prior, nullweight, control, verbose, start, n_threads, cluster, checkpoint, explain
    ))
  }
  refuse_without_source(c(cluster = !is.null(cluster), checkpoint = !is.null(checkpoint), explain = !isFALSE(explain)))
  data <- take_data(data)
  check_outputlevel(outputlevel)
  check_flag(output_lfdr, "output_lfdr")
  check_number(pi_thresh, "pi_thresh", 0, 1, what = "a number from 0 to 1")
  n_threads <- resolve_threads(n_threads)

  if (is.null(g)) {
    model <- new_model(
      data, Ulist, grid, gridmult, normalizeU, usepointmass
    )
  } else {
    data <- data_for_g(data, g)
    model <- model_from_g(g, data, point_mass_of_call, need_pi = fixg)
  }

  # They are asked for several times.
  model$labels <- component_names(model)
  joint <- if (outputlevel > 1) joint_request(data, A, outputlevel > 2, posterior_samples, seed)

  if (fixg) {
    fitted <- fixed_weights(model$pi)
  } else {
    optmethod <- choose_optmethod(optmethod)
    penalty <- set_prior(
      n_components(model), prior, nullweight, null_component(model)
    )
    step_message(
      verbose, "Fitting {plural(n_components(model), 'mixture component')} to ",
      "{plural(n_effects(data), 'effect')} x {plural(n_conditions(data), 'condition')}."
    )
    weights <- effect_weights(weights, data)
    fitted <- fit_weights(
      data, model, penalty, optmethod, control, n_threads, start = starting_weights(start, model, penalty),
      weights = weights
    )
    warn_not_converged(fitted)
    step_message(
      verbose, "Likelihood: {seconds(fitted$seconds_likelihood)}, ",
      "weights: {seconds(fitted$seconds_weights)}."
    )
  }

  before <- elapsed()
  posterior <- posterior_of(
    data, model, fitted$pi, pi_thresh, outputlevel, n_threads,
    lfdr = output_lfdr, joint = joint, alternatives = TRUE
  )
  posterior_seconds <- elapsed() - before
  step_message(verbose, "Posterior: {seconds(posterior_seconds)}.")

  objective <- if (fixg) {
    NA_real_
  } else {
    active <- penalty > 1
    fit <- if (is.null(weights)) posterior$loglik else sum(weights * posterior$vloglik)
    fit + sum((penalty[active] - 1) * log(fitted$pi[active]))
  }
  timing <- list(
    likelihood = fitted$seconds_likelihood, weights = fitted$seconds_weights,
    posterior = posterior_seconds, total = elapsed() - started
  )
  fit <- new_mash_fit(data, model, fitted, posterior, objective, timing, combined = !is.null(joint$A))
  if (outputlevel == 4) {
    fit$lm <- relative_likelihoods(data, model, n_threads)
  }
  fit
}

# The log-likelihoods of all components relative to the largest of each effect, and these, as mashr has them.
relative_likelihoods <- function(data, model, n_threads) {
  L <- loglik_matrix(data, model, n_threads)
  colnames(L) <- component_names(model)
  relative_to_largest(L)
}

loglik_matrix <- function(data, model, n_threads) {
  run_core(
    cpp_loglik_matrix(data, model, list(n_threads = n_threads, block_rows = resolve_block_rows())),
    rownames(data$Bhat), component_names(model), names(model$Ulist)
  )
}

relative_to_largest <- function(L) {
  largest <- row_maxima(L)
  list(loglik_matrix = L - largest, lfactors = largest)
}

row_maxima <- function(L) do.call(pmax, lapply(seq_len(ncol(L)), function(p) L[, p]))

elapsed <- function() proc.time()[["elapsed"]]

seconds <- function(x) paste0(format(x, digits = 2, nsmall = 2), " s")

check_outputlevel <- function(outputlevel) {
  if (!is_plain(outputlevel) || !checkmate::test_number(outputlevel) || !outputlevel %in% 1:4) {
    abort_input(
      "`outputlevel` must be 1, 2, 3 or 4, not {describe(outputlevel)}.",
      class = "covmash_error_argument"
    )
  }
}

refuse_with_g <- function(given) {
  if (any(given)) {
    abort_input(
      "`{names(given)[given][1]}` cannot be given together with `g`, which contains it; give one of them.",
      class = "covmash_error_g"
    )
  }
}

refuse_with_fixg <- function(given) {
  if (any(given)) {
    abort_input(
      "`{names(given)[given][1]}` has no use with `fixg = TRUE`, which keeps the weights of `g`; leave it out.",
      class = "covmash_error_g"
    )
  }
}
