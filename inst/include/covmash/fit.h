#pragma once
// From summary statistics to mixture weights: relative likelihoods of all components (float, 4 J P bytes), then the
// weights that maximise the penalised likelihood.

#include <chrono>

#include "likelihood.h"
#include "weights.h"

namespace covmash {

struct FitOptions {
  WeightsOptions weights;
  std::size_t block_rows = 1024;
};

struct FitResult {
  WeightsResult weights;  // pi in the users' order; the objective includes the row maxima
  std::size_t n_effects = 0;
  double seconds_likelihood = 0.0, seconds_weights = 0.0;
};

namespace detail {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace detail

// Fills L (and the row maxima of each block lane) from the engine's blocks.
inline double relative_likelihoods(const LikelihoodEngine& engine, std::size_t block_rows, Executor& executor,
                                   RelativeLikelihood& L) {
  const auto& blocks = engine.noise().blocks();
  L.n_blocks = blocks.size();
  L.n_columns = engine.selection().size();
  L.values.require_size(std::max<std::size_t>(L.n_blocks, 1) * L.n_columns * simd::lanes);
  L.counts.resize(L.n_blocks);
  std::vector<double> maxima(L.n_blocks * simd::lanes);
  std::vector<Workspace> workspaces(executor.workers());
  std::vector<unsigned char> ready(executor.workers(), 0);
  const std::size_t per_task = std::max<std::size_t>(block_rows / block_effects, 1);
  executor.run((blocks.size() + per_task - 1) / per_task, engine.work_per_block() * static_cast<double>(blocks.size()),
               [&](std::size_t task, std::size_t worker) {
                 Workspace& ws = workspaces[worker];
                 if (!ready[worker]) engine.prepare(ws);
                 ready[worker] = 1;
                 const std::size_t end = std::min(blocks.size(), (task + 1) * per_task);
                 for (std::size_t b = task * per_task; b < end; ++b) {
                   L.counts[b] = static_cast<unsigned char>(blocks[b].count);
                   engine.evaluate(blocks[b], ws);
                   double* maximum = maxima.data() + b * simd::lanes;
                   engine.kernels().block_maximum(L.n_columns, ws.loglik.data(), nullptr, maximum, 0, simd::lanes);
                   engine.kernels().relative_likelihood(L.n_columns, ws.loglik.data(), maximum, L.block(b));
                 }
               });
  double sum = 0.0;
  for (std::size_t b = 0; b < L.n_blocks; ++b)
    for (std::size_t lane = 0; lane < L.counts[b]; ++lane) {
      const double m = maxima[b * simd::lanes + lane];
      if (!std::isfinite(m))
        throw numeric_error("the log-likelihood of effect " +
                            std::to_string(engine.noise().members(blocks[b])[blocks[b].begin + lane] + 1) +
                            " is not finite under any mixture component");
      sum += m;
    }
  return sum;
}

inline FitResult fit(const NoiseModel& noise, const MixturePrior& prior, const std::vector<double>& penalty,
                     const FitOptions& options, Executor& executor) {
  require(penalty.size() == prior.n_components(), "prior must have one value for each mixture component");
  FitResult result;
  result.n_effects = noise.n_observed_effects();
  auto start = std::chrono::steady_clock::now();
  RelativeLikelihood L;
  double maxima = 0.0;
  const Selection selection(prior);
  {
    const LikelihoodEngine engine(noise, prior, selection, executor);
    maxima = relative_likelihoods(engine, options.block_rows, executor, L);
  }
  result.seconds_likelihood = detail::seconds_since(start);

  start = std::chrono::steady_clock::now();
  std::vector<double> slot_penalty;
  for (std::size_t p : selection.component) slot_penalty.push_back(penalty[p]);
  std::vector<std::pair<std::size_t, std::size_t>> grids;
  if (selection.point_mass) grids.emplace_back(0, 1);
  for (const auto& c : selection.covariances) grids.emplace_back(c.slot, c.slot + c.scales.size());
  result.weights = WeightsSolver(L, slot_penalty, std::move(grids), options.weights, executor).solve();
  result.weights.objective += maxima;
  std::vector<double> pi(prior.n_components(), 0.0);
  for (std::size_t slot = 0; slot < selection.size(); ++slot) pi[selection.component[slot]] = result.weights.pi[slot];
  result.weights.pi = std::move(pi);
  result.seconds_weights = detail::seconds_since(start);
  return result;
}

// The J x P log-likelihoods in double, column-major, in the users' order: for other optimisers and for tests. Effects
// without data have log-likelihood 0.
inline void loglik_matrix(const NoiseModel& noise, const MixturePrior& prior, std::size_t block_rows,
                          Executor& executor, double* out) {
  const Selection selection(prior);
  const LikelihoodEngine engine(noise, prior, selection, executor);
  const auto& blocks = noise.blocks();
  const std::size_t J = noise.effects().n_effects, per_task = std::max<std::size_t>(block_rows / block_effects, 1);
  std::fill(out, out + J * prior.n_components(), 0.0);
  executor.run((blocks.size() + per_task - 1) / per_task, engine.work_per_block() * static_cast<double>(blocks.size()),
               [&](std::size_t task, std::size_t) {
                 Workspace ws;
                 engine.prepare(ws);
                 const std::size_t end = std::min(blocks.size(), (task + 1) * per_task);
                 for (std::size_t b = task * per_task; b < end; ++b) {
                   engine.evaluate(blocks[b], ws);
                   const std::size_t* rows = noise.members(blocks[b]).data() + blocks[b].begin;
                   for (std::size_t slot = 0; slot < selection.size(); ++slot)
                     for (std::size_t i = 0; i < blocks[b].count; ++i)
                       out[selection.component[slot] * J + rows[i]] = ws.loglik[slot * simd::lanes + i];
                 }
               });
}

// Weights from a given J x P matrix of likelihoods (each row up to a factor).
inline WeightsResult fit_weights(const arma::mat& likelihoods, const std::vector<double>& penalty,
                                 const WeightsOptions& options, Executor& executor) {
  const std::size_t J = likelihoods.n_rows, P = likelihoods.n_cols;
  require(P > 0, "there is no mixture component");
  RelativeLikelihood L;
  L.n_blocks = (J + block_effects - 1) / block_effects;
  L.n_columns = P;
  L.values.require_size(std::max<std::size_t>(L.n_blocks, 1) * P * simd::lanes);
  double maxima = 0.0;
  for (std::size_t b = 0; b < L.n_blocks; ++b) {
    L.counts.push_back(static_cast<unsigned char>(std::min(block_effects, J - b * block_effects)));
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
      const std::size_t j = b * block_effects + std::min<std::size_t>(lane, L.counts[b] - 1);
      const double maximum = likelihoods.row(j).max();
      if (!(maximum > 0.0) || !std::isfinite(maximum))
        throw input_error("row " + std::to_string(j + 1) + " of the likelihoods has no positive finite value");
      if (lane < L.counts[b]) maxima += std::log(maximum);
      for (std::size_t p = 0; p < P; ++p)
        L.block(b)[p * simd::lanes + lane] = static_cast<float>(likelihoods(j, p) / maximum);
    }
  }
  std::vector<std::pair<std::size_t, std::size_t>> grids;
  for (std::size_t p = 0; p < P; ++p) grids.emplace_back(p, p + 1);
  WeightsResult result = WeightsSolver(L, penalty, std::move(grids), options, executor).solve();
  result.objective += maxima;
  return result;
}

}  // namespace covmash
