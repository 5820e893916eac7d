#pragma once
// Penalties on a covariance U (R x R) that keep its eigenvalues e, in the basis where the noise is I, away from 0.
//
//   inverse Wishart   -lambda/2 ( sum log e - R log s + s sum 1/e )
//   nuclear norm      -lambda/2 ( a sum e / s + (1 - a) s sum 1/e ),   a = 1/2
//
// s is the scale of U, and maximises the penalty: R / sum 1/e, and sqrt( a sum e / ((1 - a) sum 1/e) ). So a penalty does
// not see the size of U, only its condition: the first one is lambda R / 2 times the logarithm of the harmonic over the
// geometric mean of the eigenvalues. Yang, Carbonetto, Gerard & Stephens 2024, arXiv:2406.08784.
//
// Under noise I the update of an eigenvalue is exact. N = mass, d: variance of the effects along the eigenvector. e
// minimises
//     N log(1 + e) + N d / (1 + e) + lambda ( log e + s / e )           or       ... + lambda ( a e / s + (1 - a) s / e ),
// whose stationary points are the positive roots of a polynomial of degree 3 or 4, up to three: all are compared.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <vector>

#include "../linalg/polynomial.h"

namespace covmash {

enum class PenaltyKind { none, inverse_wishart, nuclear_norm };

struct Penalty {
  PenaltyKind kind = PenaltyKind::none;
  double lambda = 0.0;
  static constexpr double share = 0.5;  // a
  static constexpr double smallest_scale = 1e-10;

  bool active() const { return kind != PenaltyKind::none && lambda > 0.0; }

  // The s that suits the eigenvalues best, but not below what is nothing beside the noise: a covariance of effects that
  // are all 0 would shrink for ever.
  double scale(const arma::vec& e) const {
    const double inverse = arma::accu(1.0 / e);
    const double best = kind == PenaltyKind::nuclear_norm ? std::sqrt(share / (1.0 - share) * arma::accu(e) / inverse)
                                                          : static_cast<double>(e.n_elem) / inverse;
    return std::max(best, smallest_scale);
  }

  double value(const arma::vec& e, double s) const {
    if (!active()) return 0.0;
    const double inverse = s * arma::accu(1.0 / e);
    if (kind == PenaltyKind::nuclear_norm) return -0.5 * lambda * (share * arma::accu(e) / s + (1.0 - share) * inverse);
    return -0.5 * lambda * (arma::accu(arma::log(e)) - static_cast<double>(e.n_elem) * std::log(s) + inverse);
  }

  double eigenvalue(double N, double d, double s) const {
    const double l = lambda;
    if (!active()) return std::max(d - 1.0, 0.0);
    std::vector<double> roots;
    if (kind == PenaltyKind::inverse_wishart) {
      roots = positive_roots({-l * s, l * (1.0 - 2.0 * s), N * (1.0 - d) + l * (2.0 - s), N + l});
    } else {
      const double up = l * share / s, down = l * (1.0 - share) * s;
      roots = positive_roots({-down, -2.0 * down, N * (1.0 - d) + up - down, N + 2.0 * up, up});
    }
    double best = std::numeric_limits<double>::quiet_NaN(), least = std::numeric_limits<double>::infinity();
    for (const double e : roots) {
      double value = N * (std::log1p(e) + d / (1.0 + e));
      value += kind == PenaltyKind::inverse_wishart ? l * (std::log(e) + s / e)
                                                    : l * (share * e / s + (1.0 - share) * s / e);
      if (value < least) {
        least = value;
        best = e;
      }
    }
    return best;
  }
};

}  // namespace covmash
