#pragma once
// M-steps of a deconvolution: a new covariance U from the moments of the E-step (expectation.h), one function a step.
// N = mass; R conditions, rank q.
//
//   extreme deconvolution   F+ = F chol( I + F' (X - H) F / N )',   U = F F'
//       Any noise; keeps the rank, and is positive semi-definite by construction. 2 R^2 q + 4 R q^2 flops. The step of
//       Bovy, Hogg & Roweis 2011 (doi:10.1214/10-AOAS439, equations 15-18 with means fixed at 0), on the factor.
//   ridge                   U+ = (N U + w I) / (N + 1)
//       Their prior on covariances (section 4 there), after a step.
//   truncated               U+ = Q (D - I)_+ Q',   S = Q D Q' = sum gamma y y' / N
//       Noise I; of any rank: the exact maximiser. Some 10 R^3 flops. Yang, Carbonetto, Gerard & Stephens 2024,
//       arXiv:2406.08784.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <string>

#include "../base/error.h"
#include "../linalg/cholesky.h"
#include "../linalg/product.h"
#include "../linalg/spectra.h"
#include "expectation.h"

namespace covmash {

namespace detail {

// A root of a matrix that is positive definite but for rounding: U of a step before so large against the noise that
// I - F' H F / N has no digit left in some directions. They get the smallest variance that rounding leaves room for,
// from which the next steps, with a smaller U, find the right one.
inline arma::mat root_beyond_rounding(const arma::mat& A, std::size_t component) {
  arma::vec values;
  arma::mat vectors;
  // Rounding in F' H F / N, which is below I, does not reach that far.
  if (!A.is_finite() || !arma::eig_sym(values, vectors, A) || values[0] < -0.5)
    throw numeric_error("the update of ", at::component(component), " is not positive definite");
  const double floor = static_cast<double>(A.n_rows) * std::numeric_limits<double>::epsilon() *
                       std::max(1.0, values[values.n_elem - 1]);
  for (double& v : values) v = std::sqrt(std::max(v, floor));
  return vectors * arma::diagmat(values);
}

}  // namespace detail

// U = F F' is renewed together with its factor; component: its index, for messages.
inline void extreme_deconvolution_step(const ComponentMoments& moments, std::size_t component, arma::mat& F,
                                       arma::mat& U, Executor* executor = nullptr) {
  if (F.is_empty()) return;  // U = 0
  arma::mat A = transposed_product(F, product((moments.X - moments.H) / moments.mass, F, executor), executor);
  A.diag() += 1.0;
  A = arma::symmatu(A);
  arma::mat L;
  if (!lower_cholesky(L, A, executor)) L = detail::root_beyond_rounding(A, component);
  F = product(F, L, executor);
  U = product_transposed(F, F, executor);
}

inline void ridge_step(double mass, double ridge, arma::mat& F, arma::mat& U, Executor* executor = nullptr) {
  U *= mass / (mass + 1.0);
  U.diag() += ridge / (mass + 1.0);
  if (!lower_cholesky(F, U, executor)) throw numeric_error("a covariance with a ridge is not positive definite");
}

// moments: of the effects. Eigenvalues of U below `floor` become it.
inline void truncated_step(const ComponentMoments& moments, std::size_t component, double floor, arma::mat& U,
                           Executor* executor = nullptr) {
  arma::vec values;
  arma::mat vectors;
  InnerExecutor inner(executor);
  if (!symmetric_eigen(moments.X / moments.mass, values, vectors, inner))
    throw numeric_error("the eigenvalues of component " + std::to_string(component + 1) + " could not be computed");
  for (double& v : values) v = v > 1.0 ? v - 1.0 : floor;
  U = arma::symmatu(product_transposed(vectors * arma::diagmat(values), vectors, executor));
}

}  // namespace covmash
