#pragma once
// Draws from a factor model, x = mean + G f + e, G of N x q and e ~ N(0, diag(noise)). O(N q) a sample.

#include <armadillo>
#include <cmath>

#include "../simd/dispatch.h"

namespace covmash {

// Draws: X (samples x N, standard normal) becomes mean' + f G' + X diag(noise)^1/2, f (samples x q) standard normal.
inline void factor_draws(const arma::mat& G, const arma::vec& noise, const arma::vec& mean, const arma::mat& f,
                         arma::mat& X) {
  if (X.is_empty()) return;
  const simd::KernelTable& kernels = simd::kernels();
  arma::mat loadings;
  if (!G.is_empty()) loadings = G.t();
  for (arma::uword i = 0; i < X.n_cols; ++i) {
    double* x = X.colptr(i);
    const double sd = std::sqrt(noise[i]), centre = mean[i];
    for (arma::uword j = 0; j < X.n_rows; ++j) x[j] = sd * x[j] + centre;
    if (!G.is_empty()) kernels.add_combination(X.n_rows, f.n_cols, f.memptr(), f.n_rows, loadings.colptr(i), x);
  }
}

}  // namespace covmash
