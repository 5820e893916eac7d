#pragma once
// Singular value decomposition of a small whitened factor G (m x q): G = Q diag(sigma) W', W the whole q x q.
//
// One-sided Jacobi: columns are rotated until orthogonal. Small singular values keep their relative accuracy, which an
// eigendecomposition of G G' (or of the whitened covariance) would lose. O(m q^2) a sweep, 5 to 10 sweeps.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"

namespace covmash {

struct JacobiSvd {
  arma::mat Q;           // m x q; zero columns where sigma = 0
  arma::vec sigma;       // q, decreasing
  arma::mat W;           // q x q orthogonal
  arma::uword rank = 0;  // number of positive sigma, at most min(m, q)
};

inline JacobiSvd jacobi_svd(arma::mat G, Executor* executor = nullptr) {
  const arma::uword m = G.n_rows, q = G.n_cols;
  JacobiSvd out;
  out.W = arma::eye(q, q);
  // The cosine of two computed columns is uncertain by about m eps.
  const double tolerance = std::numeric_limits<double>::epsilon() * static_cast<double>(std::max<arma::uword>(m, 10));
  // A column that has shrunk to nothing stays there: its squares would underflow and its cosines be noise.
  const double negligible = 1e-200 * (G.is_empty() ? 0.0 : arma::max(arma::sum(arma::square(G), 0)));
  constexpr int max_sweeps = 60;
  bool rotated = q > 1;
  for (int sweep = 0; sweep < max_sweeps && rotated; ++sweep) {
    rotated = false;
    for (arma::uword i = 0; i + 1 < q; ++i) {
      if (executor) executor->checkpoint();
      for (arma::uword j = i + 1; j < q; ++j) {
        double* a = G.colptr(i);
        double* b = G.colptr(j);
        double aa = 0.0, bb = 0.0, ab = 0.0;
        for (arma::uword r = 0; r < m; ++r) {
          aa += a[r] * a[r];
          bb += b[r] * b[r];
          ab += a[r] * b[r];
        }
        if (aa <= negligible || bb <= negligible) continue;
        if (std::fabs(ab) <= tolerance * std::sqrt(aa) * std::sqrt(bb)) continue;
        rotated = true;
        const double zeta = (bb - aa) / (2.0 * ab);
        const double t = (zeta >= 0.0 ? 1.0 : -1.0) / (std::fabs(zeta) + std::hypot(1.0, zeta));
        const double c = 1.0 / std::hypot(1.0, t), s = c * t;
        auto rotate = [c, s](double* x, double* y, arma::uword n) {
          for (arma::uword r = 0; r < n; ++r) {
            const double u = x[r], v = y[r];
            x[r] = c * u - s * v;
            y[r] = s * u + c * v;
          }
        };
        rotate(a, b, m);
        rotate(out.W.colptr(i), out.W.colptr(j), q);
      }
    }
  }
  if (rotated) throw numeric_error("the singular value decomposition of a whitened covariance factor did not converge");

  arma::vec norms(q);
  for (arma::uword i = 0; i < q; ++i) norms[i] = m > 0 ? arma::norm(G.col(i)) : 0.0;
  std::vector<arma::uword> order(q);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](arma::uword i, arma::uword j) { return norms[i] > norms[j]; });
  const arma::mat W = out.W;
  out.Q.zeros(m, q);
  out.sigma.zeros(q);
  for (arma::uword i = 0; i < q; ++i) {
    if (executor) executor->checkpoint();
    out.W.col(i) = W.col(order[i]);
    // More columns than rows: the last q - m are rounding error, not directions.
    if (i >= m || norms[order[i]] * norms[order[i]] <= negligible) continue;
    out.sigma[i] = norms[order[i]];
    out.Q.col(i) = G.col(order[i]) / out.sigma[i];
    // Orthogonal to the tolerance is not enough where one coordinate of an effect is 1e7 times another: what is left is
    // taken from the column of the smaller singular value, as a further rotation would.
    for (arma::uword j = 0; j < out.rank; ++j) out.Q.col(i) -= arma::dot(out.Q.col(j), out.Q.col(i)) * out.Q.col(j);
    ++out.rank;
  }
  return out;
}

}  // namespace covmash
