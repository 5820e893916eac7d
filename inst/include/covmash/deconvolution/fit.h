#pragma once
// Deconvolution: the covariances U_k of true effects from noisy ones, y_j ~ sum_k w_k N(0, V_j + U_k), by EM.
//
//   extreme_deconvolution    any noise, missing conditions; keeps the rank of the start
//   truncated_deconvolution  noise I; of any rank
//
// One loop for both: the E-step of expectation.h, a step of updates.h for each component, the weights w_k = mass_k / n.
// The cost is that of the E-step, and R^3 flops a component for the update.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/cholesky.h"
#include "../linalg/product.h"
#include "../model/covariance.h"
#include "../model/noise.h"
#include "expectation.h"
#include "updates.h"

namespace covmash {

struct DeconvolutionOptions {
  double tolerance = 1e-6;  // stop when the mean log-likelihood grows by no more
  double max_iterations = 1e9;
  double ridge = 0.0;  // Bovy et al.'s w: U <- (N U + w I) / (N + 1)
  bool fix_weights = false;
  std::vector<unsigned char> fix_covariance;  // K flags, or empty
};

struct DeconvolutionResult {
  std::vector<double> weights;
  std::vector<arma::mat> covariances;
  double mean_loglik = 0.0;  // at the parameters before the last update
  double iterations = 0.0;
  bool converged = false;
};

struct TruncatedOptions {
  double max_iterations = 5000;
  double tolerance = 1e-7;         // on the largest change of a weight
  double eigenvalue_floor = 1e-7;  // eigenvalues of U below become this
};

struct TruncatedResult {
  std::vector<double> weights;
  std::vector<arma::mat> covariances;
  std::vector<double> loglik, change;  // by iteration
  bool converged = false;
};

namespace detail {

// What the loop knows after an iteration: the log-likelihood before its updates, the largest change of a weight.
struct DeconvolutionTrace {
  std::vector<double> loglik, change;
  bool converged = false;
};

// update(k, moments): renews U[k]. finished(trace): whether to stop.
template <typename Update, typename Finished>
DeconvolutionTrace expectation_maximisation(ExpectationStep& expectation, double n_effects, double max_iterations,
                                            bool fix_weights, std::vector<arma::mat>& U, std::vector<double>& weights,
                                            const Update& update, const Finished& finished, Executor& executor) {
  DeconvolutionTrace trace;
  std::vector<double> mass(U.size());
  while (static_cast<double>(trace.loglik.size()) < max_iterations && !trace.converged) {
    executor.iteration(trace.loglik.size() + 1);
    trace.loglik.push_back(expectation(U, weights, [&](std::size_t k, const ComponentMoments& moments) {
      mass[k] = moments.mass;
      if (moments.mass >= std::numeric_limits<double>::min()) update(k, moments);
    }));
    double change = 0.0;
    for (std::size_t k = 0; k < U.size() && !fix_weights; ++k) {
      const double updated = mass[k] / n_effects;
      change = std::max(change, std::fabs(updated - weights[k]));
      weights[k] = updated;
    }
    trace.change.push_back(change);
    trace.converged = finished(trace);
  }
  return trace;
}

inline void check_start(const std::vector<arma::mat>& covariances, const std::vector<double>& weights, arma::uword R) {
  require(!covariances.empty() && weights.size() == covariances.size(),
          "there must be one weight for each covariance matrix");
  for (const auto& U : covariances)
    require(U.n_rows == R && U.n_cols == R, "covariance matrices must have one row for each condition");
}

}  // namespace detail

inline DeconvolutionResult extreme_deconvolution(const NoiseModel& noise, std::vector<arma::mat> covariances,
                                                 std::vector<double> weights, const DeconvolutionOptions& options,
                                                 Executor& executor) {
  detail::check_start(covariances, weights, noise.effects().n_conditions);
  require(noise.n_observed_effects() > 0, "no effect has an observed condition");
  executor.step("Extreme deconvolution", false);
  std::vector<arma::mat> factors;
  for (const auto& U : covariances) factors.push_back(recognise(U, &executor).whole_factor());

  ExpectationStep expectation(noise, covariances.size(), executor);
  const auto update = [&](std::size_t k, const ComponentMoments& moments) {
    if (!options.fix_covariance.empty() && options.fix_covariance[k]) return;
    extreme_deconvolution_step(moments, k, factors[k], covariances[k], &executor);
    if (options.ridge > 0.0) ridge_step(moments.mass, options.ridge, factors[k], covariances[k], &executor);
  };
  const double n = static_cast<double>(noise.n_observed_effects());
  const auto finished = [&](const detail::DeconvolutionTrace& trace) {
    const std::size_t i = trace.loglik.size();
    return i > 1 && trace.loglik[i - 1] / n - trace.loglik[i - 2] / n <= options.tolerance;
  };
  const auto trace = detail::expectation_maximisation(expectation, n, options.max_iterations, options.fix_weights,
                                                      covariances, weights, update, finished, executor);
  DeconvolutionResult result;
  result.weights = std::move(weights);
  result.covariances = std::move(covariances);
  result.iterations = static_cast<double>(trace.loglik.size());
  if (!trace.loglik.empty()) result.mean_loglik = trace.loglik.back() / n;
  result.converged = trace.converged;
  return result;
}

// Z: R x n whitened effects, one a column.
inline TruncatedResult truncated_deconvolution(const arma::mat& Z, std::vector<arma::mat> covariances,
                                               std::vector<double> weights, const TruncatedOptions& options,
                                               Executor& executor) {
  detail::check_start(covariances, weights, Z.n_rows);
  require(Z.n_cols > 0, "there is no effect to learn from");
  executor.step("Truncated deconvolution", false);
  const arma::mat effects = Z.t(), shat(arma::size(effects), arma::fill::ones);
  const NoiseModel noise({effects.memptr(), shat.memptr(), effects.n_rows, effects.n_cols},
                         arma::eye(Z.n_rows, Z.n_rows), &executor);
  ExpectationStep expectation(noise, covariances.size(), executor, MomentsOf::effects);
  const auto update = [&](std::size_t k, const ComponentMoments& moments) {
    truncated_step(moments, k, options.eigenvalue_floor, covariances[k], &executor);
  };
  const auto finished = [&](const detail::DeconvolutionTrace& trace) {
    return trace.change.back() < options.tolerance;
  };
  auto trace = detail::expectation_maximisation(expectation, static_cast<double>(Z.n_cols), options.max_iterations,
                                                false, covariances, weights, update, finished, executor);
  return {std::move(weights), std::move(covariances), std::move(trace.loglik), std::move(trace.change),
          trace.converged};
}

// z: R x n z-scores, whose errors have the correlation C in every effect; `scale`: the standard errors, by which the
// matrices, given and returned, are larger than those of the z-scores. Whitening costs O(R^3) a matrix.
inline TruncatedResult truncated_deconvolution(const arma::mat& z, const arma::mat& C, const arma::vec& scale,
                                               std::vector<arma::mat> covariances, std::vector<double> weights,
                                               const TruncatedOptions& options, Executor& executor) {
  detail::check_start(covariances, weights, z.n_rows);
  arma::mat root;
  if (!lower_cholesky(root, C, &executor)) throw numeric_error("the error correlation is not positive definite");
  const arma::vec inverse_scale = 1.0 / scale;
  for (arma::mat& U : covariances) {
    U.each_col() %= inverse_scale;
    U.each_row() %= inverse_scale.t();
    U = solve_lower(root, U, &executor).t();
    U = arma::symmatu(solve_lower(root, U, &executor));
  }
  TruncatedResult fit = truncated_deconvolution(solve_lower(root, z, &executor), std::move(covariances),
                                                std::move(weights), options, executor);
  // By a factor: what is made of it is semi-definite whatever the scales.
  root.each_col() %= scale;
  for (arma::mat& U : fit.covariances) {
    const arma::mat factor = product(root, recognise(U, &executor).whole_factor(), &executor);
    U = arma::symmatu(product_transposed(factor, factor, &executor));
  }
  return fit;
}

}  // namespace covmash
