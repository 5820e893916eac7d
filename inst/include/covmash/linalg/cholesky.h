#pragma once
// Cholesky factor of an ill-conditioned covariance, every entry good to nearly the last bit.
//
// In double precision the factor of C, and with it every log-likelihood, is off by about eps cond(C): 1e-6 at a
// condition of 5e10. Entries that are merely rounded cost eps sqrt(cond(C)), which is all that the whitened data can be
// good to anyway. So the factorization of such a C runs in pairs of doubles (106 bits): about 20 times the time of the
// plain one, once for each pattern of observed conditions. Dekker 1971, doi:10.1007/BF01397083.

#include <armadillo>
#include <cmath>
#include <cstddef>
#include <vector>

namespace covmash {

namespace detail {

// high + low, |low| at most half a unit in the last place of high.
struct DoublePair {
  double high = 0.0, low = 0.0;
};

inline DoublePair ordered_sum(double a, double b) {  // |a| >= |b|
  const double s = a + b;
  return {s, b - (s - a)};
}

// a - x y
inline DoublePair minus_product(DoublePair a, DoublePair x, DoublePair y) {
  const double p = -x.high * y.high;
  const double p_low = -std::fma(x.high, y.high, p) - (x.high * y.low + x.low * y.high);
  const double s = a.high + p, b = s - a.high;
  const double s_low = (a.high - (s - b)) + (p - b);
  return ordered_sum(s, s_low + (a.low + p_low));
}

inline DoublePair quotient(DoublePair a, DoublePair b) {
  const double q = a.high / b.high;
  return ordered_sum(q, minus_product(a, {q, 0.0}, b).high / b.high);
}

inline DoublePair square_root(DoublePair a) {
  const double s = std::sqrt(a.high);
  return ordered_sum(s, minus_product(a, {s, 0.0}, {s, 0.0}).high / (2.0 * s));
}

}  // namespace detail

// Whether the plain factorization of C would be too far off. Its error in a log-likelihood is about eps times the sum
// of C_rr (C^-1)_rr, the variance inflation factors, none of which is larger in a principal submatrix of C.
inline bool ill_conditioned(const arma::mat& C) {
  arma::mat L;
  if (!arma::chol(L, C, "lower")) return true;
  arma::mat scaled = arma::diagmat(arma::sqrt(C.diag()));
  const arma::mat X = arma::solve(arma::trimatl(L), scaled, arma::solve_opts::fast);
  return !(arma::accu(arma::square(X)) <= 1000.0 + 10.0 * static_cast<double>(C.n_rows));
}

// Lower factor of C by packed rows; false if C is not positive definite. O(R^3 / 3).
inline bool accurate_cholesky(const arma::mat& C, std::vector<double>& packed) {
  using detail::DoublePair;
  const std::size_t R = C.n_rows;
  std::vector<DoublePair> L(R * (R + 1) / 2);
  DoublePair* row = L.data();
  for (std::size_t r = 0; r < R; ++r) {
    const DoublePair* other = L.data();
    for (std::size_t c = 0; c <= r; ++c) {
      DoublePair a = {C(r, c), 0.0};
      for (std::size_t k = 0; k < c; ++k) a = detail::minus_product(a, row[k], other[k]);
      if (c < r) {
        row[c] = detail::quotient(a, other[c]);
      } else {
        if (!(a.high > 0.0)) return false;
        row[c] = detail::square_root(a);
      }
      other += c + 1;
    }
    row += r + 1;
  }
  packed.resize(L.size());
  for (std::size_t i = 0; i < L.size(); ++i) packed[i] = L[i].high;
  return true;
}

}  // namespace covmash
