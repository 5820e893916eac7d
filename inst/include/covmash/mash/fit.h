#pragma once
// From summary statistics to mixture weights: relative likelihoods of all components, then the weights that maximise
// the penalised likelihood. The likelihoods (4 J P bytes) are kept where they fit into `memory`, unless they are many
// and cheap; else every pass over them computes them again. Both give the same bits.

#include <armadillo>
#include <chrono>

#include "relative_likelihood.h"
#include "slots.h"
#include "weights.h"

namespace covmash {

struct FitOptions {
  WeightsOptions weights;              // its start: by component, as users count them
  double memory = 1e9;                 // bytes for the likelihoods
  std::vector<double> effect_weights;  // how often each effect counts, J; empty: once
};

struct FitResult {
  WeightsResult weights;  // pi in the users' order; the objective includes the row maxima
  std::size_t n_effects = 0;
  double seconds_likelihood = 0.0, seconds_weights = 0.0;
};

namespace detail {

// Bytes that are had for little.
constexpr double small = 2.5e8;

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace detail

inline FitResult fit(const NoiseModel& noise, const MixturePrior& prior, const std::vector<double>& penalty,
                     const FitOptions& options, Executor& executor) {
  require(penalty.size() == prior.n_components(), "prior must have one value for each mixture component");
  FitResult result;
  result.n_effects = noise.n_observed_effects();
  auto start = std::chrono::steady_clock::now();
  ComputedLikelihoods computed(noise, prior, executor);
  if (!options.effect_weights.empty()) {
    require(options.effect_weights.size() == noise.effects().n_effects, "there must be one weight for each effect");
    computed.weigh(options.effect_weights);
  }
  const Selection& selection = computed.selection();
  const double bytes = 4.0 * simd::lanes * static_cast<double>(computed.n_blocks() * selection.size());
  std::unique_ptr<StoredLikelihoods> stored;
  // Each pass over the data would compute them again, and there are some five; but a fresh page costs about 50
  // operations a number, where the operating system has to find it much more, and memory besides.
  const bool dear = computed.work_per_value() > 100.0;
  executor.step("Likelihoods", true);
  if (bytes <= options.memory && (dear || bytes <= detail::small)) stored = computed.store(executor);
  if (!stored) computed.find_base(executor);
  LikelihoodSource& source = stored ? static_cast<LikelihoodSource&>(*stored) : computed;
  result.seconds_likelihood = detail::seconds_since(start);

  start = std::chrono::steady_clock::now();
  executor.step("Mixture weights", false);
  const std::vector<double> slot_penalty = by_slot(selection, penalty);
  WeightsOptions weights = options.weights;
  require(weights.start.empty() || weights.start.size() == prior.n_components(),
          "the start must have one weight for each mixture component");
  weights.start = by_slot(selection, options.weights.start);
  BlockDensity density(source, executor);
  result.weights = WeightsSolver(density, slot_penalty, scale_grids(selection), weights).solve();
  result.weights.objective += computed.sum_of_maxima();
  result.weights.pi = by_component(selection, result.weights.pi);
  result.seconds_weights = detail::seconds_since(start);
  return result;
}

// Weights from a given J x P matrix of likelihoods (each row up to a factor).
inline WeightsResult fit_weights(const arma::mat& likelihoods, const std::vector<double>& penalty,
                                 const WeightsOptions& options, Executor& executor) {
  const std::size_t J = likelihoods.n_rows, P = likelihoods.n_cols;
  require(P > 0, "there is no mixture component");
  std::vector<std::uint64_t> real;
  for (std::size_t from = 0; from < J; from += simd::lanes)
    real.push_back(first_lanes(std::min<std::size_t>(simd::lanes, J - from)));
  StoredLikelihoods stored(real, P);
  double maxima = 0.0;
  bool flat = true;
  for (std::size_t j = 0; flat && j < J; ++j) flat = likelihoods.row(j).min() > 0.5 * likelihoods.row(j).max();
  if (flat) stored.set_base(1.0);
  for (std::size_t b = 0; b < real.size(); ++b) {
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
      const std::size_t j = std::min(b * simd::lanes + lane, J - 1);
      const double maximum = likelihoods.row(j).max();
      if (!(maximum > 0.0) || !std::isfinite(maximum))
        throw input_error("row " + std::to_string(j + 1) + " of the likelihoods has no positive finite value");
      if (real[b] >> lane & 1) maxima += std::log(maximum);
      for (std::size_t p = 0; p < P; ++p)
        stored.values(b)[p * simd::lanes + lane] = static_cast<float>(likelihoods(j, p) / maximum - stored.base());
    }
  }
  std::vector<std::pair<std::size_t, std::size_t>> grids;
  for (std::size_t p = 0; p < P; ++p) grids.emplace_back(p, p + 1);
  BlockDensity density(stored, executor);
  WeightsResult result = WeightsSolver(density, penalty, std::move(grids), options).solve();
  result.objective += maxima;
  return result;
}

}  // namespace covmash
