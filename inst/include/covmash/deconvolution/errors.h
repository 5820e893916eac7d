#pragma once
// What the effects say about the correlation C of their errors, under a mixture prior: the EM step for C.
//
// y_j = b_j + S_j e_j, e_j ~ N(0, C), b_j ~ sum_k w_k N(0, U_k). With A = S_j C S_j + U_k on the observed conditions and
// x = A^-1 y, e_j given y_j and the component k has the mean C S x and the covariance C - C S A^-1 S C, in all conditions,
// whether observed or not. Summed with the responsibilities gamma over n effects, C becomes
//
//     C + C (X - H) C / n,     X = sum gamma S x x' S,   H = sum gamma S A^-1 S,
//
// the maximiser over all positive definite C. X - H is twice the gradient of the log-likelihood in C. One E-step
// (expectation.h): its cost and memory, nothing of size R^2 J.

#include <armadillo>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../model/noise.h"
#include "expectation.h"

namespace covmash {

struct ErrorStep {
  double loglik = 0.0;  // of C as it was
  arma::mat C;          // after the step
};

inline ErrorStep error_correlation_step(const NoiseModel& noise, const std::vector<arma::mat>& covariances,
                                        const std::vector<double>& weights, Executor& executor) {
  const arma::uword R = noise.effects().n_conditions;
  require(!covariances.empty() && weights.size() == covariances.size(),
          "there must be one weight for each covariance matrix");
  for (const auto& U : covariances)
    require(U.n_rows == R && U.n_cols == R, "covariance matrices must have one row for each condition");
  require(noise.n_observed_effects() > 0, "no effect has an observed condition");
  ExpectationStep expectation(noise, covariances.size(), executor, MomentsOf::errors);
  std::vector<arma::mat> gradients(covariances.size());
  ErrorStep out;
  out.loglik = expectation(covariances, weights, [&](std::size_t k, const ComponentMoments& moments) {
    gradients[k] = moments.X - moments.H;
  });
  arma::mat gradient(R, R, arma::fill::zeros);
  for (const auto& G : gradients) gradient += G;
  const arma::mat& C = noise.correlation();
  out.C = arma::symmatu(C + C * gradient * C / static_cast<double>(noise.n_observed_effects()));
  return out;
}

}  // namespace covmash
