#pragma once
// What the tests of factor models share.
#include <armadillo>
#include <cmath>
#include <random>

#include "reference.h"

namespace reference {

inline double largest_difference(const arma::mat& a, const arma::mat& b) {
  return a.is_empty() ? 0.0 : arma::abs(a - b).max() / std::max(1.0, arma::abs(b).max());
}

// n samples of p variables with K factors and noise variances from 0.5 to 1.5.
inline arma::mat factor_sample(unsigned seed, arma::uword n, arma::uword p, arma::uword K) {
  std::mt19937 g(seed);
  std::uniform_real_distribution<double> uniform(0.5, 1.5);
  const arma::mat B = draw(g, p, K);
  arma::mat x = draw(g, n, K) * B.t();
  for (arma::uword j = 0; j < p; ++j) x.col(j) += std::sqrt(uniform(g)) * draw(g, n, 1);
  return x;
}

}  // namespace reference
