#pragma once
// The model in plain dense arithmetic, and random problems, for the tests.
#include <armadillo>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace reference {

struct Problem {
  arma::mat bhat, shat, C;
  std::vector<arma::mat> covariances;
};

inline arma::mat draw(std::mt19937& g, arma::uword n, arma::uword m) {
  std::normal_distribution<double> normal;
  arma::mat x(n, m);
  for (double& v : x) v = normal(g);
  return x;
}

enum class Noise { common, proportional, by_effect };

inline Problem problem(unsigned seed, arma::uword J, arma::uword R, Noise noise, bool missing) {
  std::mt19937 g(seed);
  std::uniform_real_distribution<double> uniform(0.5, 2.0);
  Problem p;
  p.bhat = 2.0 * draw(g, J, R);
  p.shat.ones(J, R);
  if (noise == Noise::proportional) {
    arma::vec a(J), b(R);
    for (double& v : a) v = uniform(g);
    for (double& v : b) v = uniform(g);
    p.shat = a * b.t();
  } else if (noise == Noise::by_effect) {
    for (double& v : p.shat) v = uniform(g);
  }
  if (missing)
    for (double& v : p.bhat)
      if (uniform(g) > 1.6) v = std::numeric_limits<double>::quiet_NaN();
  p.C = 0.4 * arma::ones(R, R) + 0.6 * arma::eye(R, R);
  const arma::vec f = draw(g, R, 1);
  const arma::mat low = draw(g, R, 2), full = draw(g, R, R);
  arma::mat single(R, R, arma::fill::zeros);
  single(R - 1, R - 1) = 1.0;
  p.covariances = {arma::eye(R, R), arma::ones(R, R), f * f.t(),        low * low.t(),
                   full * full.t(), single,           arma::zeros(R, R)};
  return p;
}

inline arma::uvec observed(const Problem& p, arma::uword j) {
  std::vector<arma::uword> index;
  for (arma::uword r = 0; r < p.bhat.n_cols; ++r)
    if (!std::isnan(p.bhat(j, r))) index.push_back(r);
  return arma::uvec(index);
}

// log N(bhat_O; 0, V_OO + U_OO); mean and variance of b given bhat_O for all conditions.
inline double loglik(const Problem& p, arma::uword j, const arma::mat& U, arma::vec* mean = nullptr,
                     arma::vec* variance = nullptr) {
  const arma::uvec O = observed(p, j);
  if (mean) mean->zeros(U.n_rows);
  if (variance) *variance = U.diag();
  if (O.is_empty()) return 0.0;
  arma::vec b(O.n_elem), s(O.n_elem);
  for (arma::uword i = 0; i < O.n_elem; ++i) {
    b[i] = p.bhat(j, O[i]);
    s[i] = p.shat(j, O[i]);
  }
  const arma::mat A = p.C.submat(O, O) % (s * s.t()) + U.submat(O, O);
  const arma::mat inverse = arma::inv_sympd(A);
  if (mean) {
    const arma::mat gain = U.cols(O) * inverse;
    *mean = gain * b;
    *variance = U.diag() - arma::sum(gain % U.cols(O), 1);
  }
  double value, sign;
  arma::log_det(value, sign, A);
  return -0.5 * (static_cast<double>(O.n_elem) * std::log(2.0 * M_PI) + value + arma::dot(b, inverse * b));
}

inline double relative_error(double actual, double expected) {
  return std::fabs(actual - expected) / std::max(1.0, std::fabs(expected));
}

}  // namespace reference
