// Binding of the mash fit: likelihoods, mixture weights, posteriors.
#include "bridge.h"

#include <covmash/mash/fit.h>
#include <covmash/mash/likelihood.h>
#include <covmash/mash/posterior.h>

using Rcpp::_;

namespace {

covmash::WeightsOptions weights_options(const Rcpp::List& control) {
  covmash::WeightsOptions options;
  options.max_iterations = Rcpp::as<int>(control["max_iter"]);
  options.tolerance = Rcpp::as<double>(control["tol"]);
  return options;
}

Rcpp::List weights_list(const covmash::WeightsResult& w) {
  return Rcpp::List::create(_["pi"] = w.pi, _["objective"] = w.objective, _["kkt_violation"] = w.kkt_violation,
                            _["gap_bound"] = w.gap_bound, _["iterations"] = w.iterations, _["converged"] = w.converged);
}

Rcpp::List noise_counts(const covmash::NoiseModel& noise) {
  double shared = 0.0;
  for (const auto& g : noise.shared()) shared += static_cast<double>(g.effects.size());
  return Rcpp::List::create(_["n_groups"] = static_cast<double>(noise.shared().size()), _["n_shared_rows"] = shared,
                            _["n_row_specific"] = static_cast<double>(noise.row_specific().size()),
                            _["n_patterns"] = static_cast<double>(noise.n_patterns()),
                            _["n_missing"] = static_cast<double>(noise.n_missing()),
                            _["n_all_missing"] = static_cast<double>(noise.all_missing().size()));
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_fit(const Rcpp::NumericMatrix& bhat, const Rcpp::NumericMatrix& shat, const arma::mat& V,
                   const Rcpp::List& Ulist, const std::vector<double>& grid, bool usepointmass,
                   const std::vector<double>& prior, const Rcpp::List& control, int n_threads, double memory) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    covmash::FitOptions options;
    options.weights = weights_options(control);
    options.memory = memory;
    const covmash::NoiseModel noise(bridge::effects(bhat, shat), V, &threads.executor);
    const covmash::FitResult fit =
        covmash::fit(noise, bridge::mixture_prior(Ulist, grid, usepointmass), prior, options, threads.executor);
    Rcpp::List out = weights_list(fit.weights);
    out["n_rows"] = static_cast<double>(fit.n_effects);
    out["seconds_likelihood"] = fit.seconds_likelihood;
    out["seconds_weights"] = fit.seconds_weights;
    return out;
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_posterior(const Rcpp::NumericMatrix& bhat, const Rcpp::NumericMatrix& shat, const arma::mat& V,
                         const Rcpp::List& Ulist, const std::vector<double>& grid, bool usepointmass,
                         const std::vector<double>& pi, double pi_thresh, int level, bool lfdr, bool keep_weights,
                         int n_threads, double block_rows) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    covmash::PosteriorOptions options;
    options.pi_threshold = pi_thresh;
    options.summaries = level >= 2;
    options.block_rows = static_cast<std::size_t>(block_rows);
    const covmash::NoiseModel noise(bridge::effects(bhat, shat), V, &threads.executor);
    const covmash::MixturePrior prior = bridge::mixture_prior(Ulist, grid, usepointmass);
    covmash::PosteriorPass pass(noise, prior, pi, options, threads.executor);

    const int J = bhat.nrow(), R = bhat.ncol();
    const auto blank = [](int n, int m) { return Rcpp::NumericMatrix(Rcpp::no_init(n, m)); };
    const auto summary = [&](bool asked) {
      Rcpp::NumericMatrix x = asked && level >= 2 ? blank(J, R) : blank(0, 0);
      if (asked && level >= 2 && bhat.hasAttribute("dimnames")) x.attr("dimnames") = bhat.attr("dimnames");
      return x;
    };
    Rcpp::NumericMatrix mean = summary(true), sd = summary(true), zero = summary(lfdr), negative = summary(true),
                        lfsr = summary(true), loglik = blank(J, 1), alternative = blank(usepointmass ? J : 0, 1);
    Rcpp::NumericVector null(Rcpp::no_init(usepointmass ? J : 0));
    const int n_kept = static_cast<int>(pass.kept_components().size());
    Rcpp::NumericMatrix weights = blank(keep_weights ? J : 0, n_kept);

    covmash::PosteriorOutput out;
    if (level >= 2) {
      out.mean = mean.begin();
      out.sd = sd.begin();
      if (lfdr) out.lfdr = zero.begin();
      out.negative = negative.begin();
      out.lfsr = lfsr.begin();
    }
    out.loglik = loglik.begin();
    if (usepointmass) {
      out.null_loglik = null.begin();
      out.alternative_loglik = alternative.begin();
    }
    if (keep_weights) out.weights = weights.begin();
    pass.run(out, threads.executor);

    Rcpp::NumericVector kept(n_kept);
    for (int i = 0; i < n_kept; ++i) kept[i] = static_cast<double>(pass.kept_components()[i] + 1);
    const auto if_asked = [](bool asked, SEXP x) { return asked ? x : R_NilValue; };
    return Rcpp::List::create(
        _["vloglik"] = loglik, _["null_loglik"] = if_asked(usepointmass, null),
        _["alt_loglik"] = if_asked(usepointmass, alternative), _["PosteriorMean"] = if_asked(level >= 2, mean),
        _["PosteriorSD"] = if_asked(level >= 2, sd), _["lfdr"] = if_asked(level >= 2 && lfdr, zero),
        _["NegativeProb"] = if_asked(level >= 2, negative), _["lfsr"] = if_asked(level >= 2, lfsr), _["kept"] = kept,
        _["posterior_weights"] = if_asked(keep_weights, weights), _["noise"] = noise_counts(noise));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericMatrix cpp_loglik_matrix(const Rcpp::NumericMatrix& bhat, const Rcpp::NumericMatrix& shat,
                                      const arma::mat& V, const Rcpp::List& Ulist, const std::vector<double>& grid,
                                      bool usepointmass, int n_threads, double block_rows) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const covmash::NoiseModel noise(bridge::effects(bhat, shat), V, &threads.executor);
    const covmash::MixturePrior prior = bridge::mixture_prior(Ulist, grid, usepointmass);
    Rcpp::NumericMatrix out(bhat.nrow(), static_cast<int>(prior.n_components()));
    covmash::loglik_matrix(noise, prior, static_cast<std::size_t>(block_rows), threads.executor, out.begin());
    return out;
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_fit_weights(const arma::mat& L, const std::vector<double>& prior, const Rcpp::List& control,
                           int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    return weights_list(covmash::fit_weights(L, prior, weights_options(control), threads.executor));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_noise_groups(const Rcpp::NumericMatrix& bhat, const Rcpp::NumericMatrix& shat) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    const covmash::NoiseModel noise(bridge::effects(bhat, shat), arma::eye(bhat.ncol(), bhat.ncol()),
                                    &threads.executor);
    return noise_counts(noise);
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_effect_range(const Rcpp::NumericMatrix& bhat, const Rcpp::NumericMatrix& shat) {
  const covmash::EffectRange range = covmash::effect_range(bridge::effects(bhat, shat));
  return Rcpp::List::create(_["smallest_shat"] = range.smallest_shat, _["largest_excess"] = range.largest_excess);
}
