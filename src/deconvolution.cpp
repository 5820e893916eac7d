// Binding of the deconvolution of covariances. g: Ulist and pi, the matrices and the weights to start from.
#include "options.h"

#include <algorithm>

#include <covmash/deconvolution/deconvolve.h>
#include <covmash/deconvolution/errors.h>
#include <covmash/deconvolution/fit.h>

using Rcpp::_;

// settings: besides the options, fixcovar, a flag for each matrix.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_ed(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    auto options = bridge::options<covmash::DeconvolutionOptions>(settings);
    const auto fixed = Rcpp::as<std::vector<bool>>(settings["fixcovar"]);
    options.fix_covariance.assign(fixed.begin(), fixed.end());
    const bridge::Data unpacked(data);
    const auto fit = covmash::extreme_deconvolution(unpacked.noise(threads.executor), bridge::matrices(g["Ulist"]),
                                                    bridge::weights(g), options, threads.executor);
    return Rcpp::List::create(_["pi"] = fit.weights, _["Ulist"] = bridge::list_of(fit.covariances),
                              _["av_loglik"] = fit.mean_loglik, _["iterations"] = fit.iterations,
                              _["converged"] = fit.converged);
  });
}

// data: z-scores, with the correlation V of their errors; settings: besides the options, the scale of the matrices.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_teem(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const auto fit = covmash::truncated_deconvolution(
        bridge::Data(data).transposed(), Rcpp::as<arma::mat>(data["V"]), Rcpp::as<arma::vec>(settings["scale"]),
        bridge::matrices(g["Ulist"]), bridge::weights(g), bridge::options<covmash::TruncatedOptions>(settings),
        threads.executor);
    return Rcpp::List::create(_["w"] = fit.weights, _["Ulist"] = bridge::list_of(fit.covariances),
                              _["objective"] = fit.loglik, _["maxd"] = fit.change,
                              _["iterations"] = static_cast<double>(fit.loglik.size()), _["converged"] = fit.converged);
  });
}

// One EM step for V, the correlation of the errors: the new one, and the log-likelihood of the present one.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_error_correlation_step(const Rcpp::List& data, const Rcpp::List& g, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const bridge::Data unpacked(data);
    const auto step = covmash::error_correlation_step(unpacked.noise(threads.executor), bridge::matrices(g["Ulist"]),
                                                      bridge::weights(g), threads.executor);
    return Rcpp::List::create(_["loglik"] = step.loglik, _["V"] = bridge::matrix_of(step.C));
  });
}

namespace {

// A component of R: a list of kind, U and rank.
covmash::DeconvolutionComponent component_of(const Rcpp::List& x) {
  static const char* const kinds[] = {"full", "low_rank", "factor", "scaled", "fixed"};
  const auto kind = Rcpp::as<std::string>(x["kind"]);
  const auto at = std::find(std::begin(kinds), std::end(kinds), kind);
  covmash::require(at != std::end(kinds), "unknown kind of component");
  covmash::DeconvolutionComponent out;
  out.kind = static_cast<covmash::ComponentKind>(at - std::begin(kinds));
  out.U = Rcpp::as<arma::mat>(x["U"]);
  out.rank = bridge::number<arma::uword>(Rcpp::as<double>(x["rank"]));
  return out;
}

Rcpp::List list_of(const covmash::DeconvolutionComponent& x) {
  Rcpp::List out = Rcpp::List::create(_["U"] = bridge::matrix_of(x.U), _["scale"] = x.multiple);
  if (x.kind == covmash::ComponentKind::factor) {
    out["B"] = bridge::matrix_of(x.loadings);
    out["D"] = std::vector<double>(x.uniquenesses.begin(), x.uniquenesses.end());
  }
  return out;
}

covmash::PenaltyKind penalty_of(const std::string& name) {
  if (name == "iw") return covmash::PenaltyKind::inverse_wishart;
  return name == "nuclear" ? covmash::PenaltyKind::nuclear_norm : covmash::PenaltyKind::none;
}

}  // namespace

// starts: of each a list of components and pi. weights: how often each effect counts, or NULL. settings: besides the
// options, penalty and scales.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_deconvolve(const Rcpp::List& data, const Rcpp::List& starts,
                          const Rcpp::Nullable<Rcpp::NumericVector>& weights, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    auto options = bridge::options<covmash::DeconvolveOptions>(settings);
    options.penalty = penalty_of(Rcpp::as<std::string>(settings["penalty"]));
    options.scales = Rcpp::as<std::vector<double>>(settings["scales"]);
    std::vector<covmash::DeconvolveStart> unpacked;
    for (R_xlen_t i = 0; i < starts.size(); ++i) {
      const Rcpp::List start(starts[i]), components(start["components"]);
      unpacked.emplace_back();
      for (R_xlen_t k = 0; k < components.size(); ++k)
        unpacked.back().components.push_back(component_of(components[k]));
      unpacked.back().weights = bridge::weights(start);
    }
    covmash::require(!unpacked.empty(), "there must be a start");
    const std::vector<double> counts =
        weights.isNull() ? std::vector<double>() : Rcpp::as<std::vector<double>>(weights);
    const bridge::Data own(data);
    const covmash::NoiseModel noise(own.effects(), own.correlation(threads.executor), &threads.executor);
    std::vector<covmash::ComponentKind> kinds;
    for (const auto& component : unpacked[0].components) kinds.push_back(component.kind);
    covmash::Deconvolution deconvolution(noise, counts.empty() ? nullptr : counts.data(), kinds, options,
                                         threads.executor);
    const covmash::DeconvolveResult fit = deconvolution(unpacked);
    Rcpp::List components(fit.components.size());
    for (std::size_t k = 0; k < fit.components.size(); ++k) components[k] = list_of(fit.components[k]);
    return Rcpp::List::create(_["components"] = components, _["pi"] = fit.weights, _["mass"] = fit.mass,
                              _["loglik"] = fit.loglik, _["penalty"] = fit.penalty, _["objective"] = fit.objective,
                              _["evaluations_at"] = fit.evaluations_at, _["starts"] = fit.starts,
                              _["best_start"] = static_cast<double>(fit.best_start) + 1.0,
                              _["evaluations"] = fit.evaluations, _["converged"] = fit.converged,
                              _["lost"] = fit.lost);
  });
}
