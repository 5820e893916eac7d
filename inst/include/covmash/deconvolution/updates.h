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

#include <armadillo>
#include <string>

#include "../base/error.h"
#include "../linalg/product.h"
#include "expectation.h"

namespace covmash {

// U = F F' is renewed together with its factor; component: its index, for messages.
inline void extreme_deconvolution_step(const ComponentMoments& moments, std::size_t component, arma::mat& F,
                                       arma::mat& U) {
  if (F.is_empty()) return;  // U = 0
  arma::mat A = transposed_product(F, product((moments.X - moments.H) / moments.mass, F));
  A.diag() += 1.0;
  arma::mat L;
  if (!arma::chol(L, arma::symmatu(A), "lower"))
    throw numeric_error("the update of component " + std::to_string(component + 1) + " is not positive definite");
  F = product(F, L);
  U = product_transposed(F, F);
}

inline void ridge_step(double mass, double ridge, arma::mat& F, arma::mat& U) {
  U *= mass / (mass + 1.0);
  U.diag() += ridge / (mass + 1.0);
  F = arma::chol(U, "lower");
}

// moments: of the effects. Eigenvalues of U below `floor` become it.
inline void truncated_step(const ComponentMoments& moments, std::size_t component, double floor, arma::mat& U) {
  arma::vec values;
  arma::mat vectors;
  if (!arma::eig_sym(values, vectors, moments.X / moments.mass))
    throw numeric_error("the eigenvalues of component " + std::to_string(component + 1) + " could not be computed");
  for (double& v : values) v = v > 1.0 ? v - 1.0 : floor;
  U = arma::symmatu(product_transposed(vectors * arma::diagmat(values), vectors));
}

}  // namespace covmash
