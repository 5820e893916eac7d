#pragma once
// Thin singular value decomposition of a large factor whose rows may differ by many orders of magnitude,
// A (m x q) = U diag(s) V', V the whole q x q.
//
// A factor whitened by noise variances from 1e-6 to 1e6 has such rows, and the small singular values come from the
// small rows. Householder QR with rows sorted by size and columns pivoted has a small error in every row relative to
// that row (Cox and Higham, 1998, Stability of Householder QR factorization for weighted least squares problems);
// one-sided Jacobi on R' keeps the relative accuracy of the small singular values (Drmac and Veselic, 2008). O(m q^2)
// operations, memory O(m q).

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <numeric>
#include <vector>

#include "../base/error.h"
#include "jacobi.h"
#include "../simd/dispatch.h"

namespace covmash {

namespace detail {

inline double dot(arma::uword n, const double* x, const double* y) {
  double out;
  simd::kernels().inner_products(n, x, 1, y, n, &out);
  return out;
}

// y += a x
inline void add_multiple(arma::uword n, double a, const double* x, double* y) {
  simd::kernels().add_combination(n, 1, x, n, &a, y);
}

// A'B for tall matrices, in chunks of rows that stay in the cache.
inline arma::mat tall_cross(const arma::mat& A, const arma::mat& B) {
  constexpr arma::uword chunk = 512;
  const simd::KernelTable& kernels = simd::kernels();
  arma::mat out(A.n_cols, B.n_cols, arma::fill::zeros);
  arma::vec part(A.n_cols);
  for (arma::uword from = 0; from < A.n_rows && A.n_cols > 0; from += chunk) {
    const arma::uword n = std::min(chunk, A.n_rows - from);
    for (arma::uword j = 0; j < B.n_cols; ++j) {
      kernels.inner_products(n, B.colptr(j) + from, A.n_cols, A.memptr() + from, A.n_rows, part.memptr());
      out.col(j) += part;
    }
  }
  return out;
}

// Y += A C for tall A and Y.
inline void tall_add(arma::mat& Y, const arma::mat& A, const arma::mat& C) {
  constexpr arma::uword chunk = 512;
  const simd::KernelTable& kernels = simd::kernels();
  for (arma::uword from = 0; from < A.n_rows && A.n_cols > 0; from += chunk) {
    const arma::uword n = std::min(chunk, A.n_rows - from);
    for (arma::uword j = 0; j < Y.n_cols; ++j)
      kernels.add_combination(n, A.n_cols, A.memptr() + from, A.n_rows, C.colptr(j), Y.colptr(j) + from);
  }
}

inline double largest(arma::uword n, const double* x) {
  double m = 0.0;
  for (arma::uword i = 0; i < n; ++i) m = std::max(m, std::fabs(x[i]));
  return m;
}

// Without overflow or underflow.
inline double length(arma::uword n, const double* x) {
  const double scale = largest(n, x);
  if (scale == 0.0) return 0.0;
  if (scale > 1e-100 && scale < 1e100) return std::sqrt(dot(n, x, x));
  double s = 0.0;
  for (arma::uword i = 0; i < n; ++i) s += (x[i] / scale) * (x[i] / scale);
  return scale * std::sqrt(s);
}

}  // namespace detail

// A P = Q R with columns pivoted; rows are sorted by the caller if they have to be. The reflections stay below the
// diagonal of `packed`, R on and above it.
class PivotedQr {
 public:
  explicit PivotedQr(arma::mat A) : packed_(std::move(A)) {
    const arma::uword m = packed_.n_rows, q = packed_.n_cols, steps = std::min(m, q);
    tau_.zeros(steps);
    order_.resize(q);
    std::iota(order_.begin(), order_.end(), arma::uword(0));
    std::vector<double> norm(q), fresh(q);
    for (arma::uword j = 0; j < q; ++j) norm[j] = fresh[j] = detail::length(m, packed_.colptr(j));
    for (arma::uword k = 0; k < steps; ++k) {
      const arma::uword best = std::max_element(norm.begin() + k, norm.end()) - norm.begin();
      if (best != k) {
        packed_.swap_cols(k, best);
        std::swap(order_[k], order_[best]);
        norm[best] = norm[k];
        fresh[best] = fresh[k];
      }
      double* v = packed_.colptr(k) + k;
      const arma::uword n = m - k;
      const double size = detail::length(n, v);
      if (size == 0.0) continue;
      const double beta = v[0] > 0.0 ? -size : size;
      tau_[k] = (beta - v[0]) / beta;
      const double head = v[0] - beta;
      for (arma::uword i = 1; i < n; ++i) v[i] /= head;
      v[0] = beta;
      for (arma::uword j = k + 1; j < q; ++j) {
        double* column = packed_.colptr(j) + k;
        reflect(k, n, v, column);
        // The norm of what is left, by subtraction until that has lost half of the digits.
        if (norm[j] == 0.0) continue;
        const double ratio = std::fabs(column[0]) / norm[j];
        const double left = std::max(0.0, (1.0 - ratio) * (1.0 + ratio));
        const double kept = norm[j] / fresh[j];
        if (left * kept * kept <= 1.5e-8) {
          norm[j] = fresh[j] = detail::length(n - 1, column + 1);
        } else {
          norm[j] *= std::sqrt(left);
        }
      }
    }
  }

  arma::uword steps() const { return tau_.n_elem; }
  const std::vector<arma::uword>& order() const { return order_; }  // column order_[j] of A is column j of Q R
  double pivot(arma::uword k) const { return packed_(k, k); }

  arma::mat R() const {
    arma::mat out(steps(), packed_.n_cols, arma::fill::zeros);
    for (arma::uword j = 0; j < packed_.n_cols; ++j)
      for (arma::uword i = 0; i <= std::min(j, steps() - 1) && i < steps(); ++i) out(i, j) = packed_(i, j);
    return out;
  }

  // X <- Q X for X of m rows.
  void multiply(arma::mat& X) const {
    for (arma::uword k = steps(); k-- > 0;)
      for (arma::uword j = 0; j < X.n_cols; ++j) reflect(k, packed_.n_rows - k, packed_.colptr(k) + k, X.colptr(j) + k);
  }

  // Q [X; 0], with fewer rows than Q has.
  arma::mat expand(const arma::mat& X) const {
    arma::mat out(packed_.n_rows, X.n_cols, arma::fill::zeros);
    if (!X.is_empty()) out.head_rows(X.n_rows) = X;
    multiply(out);
    return out;
  }

 private:
  void reflect(arma::uword k, arma::uword n, const double* v, double* x) const {
    if (tau_[k] == 0.0) return;
    const double w = tau_[k] * (x[0] + detail::dot(n - 1, v + 1, x + 1));
    x[0] -= w;
    detail::add_multiple(n - 1, -w, v + 1, x + 1);
  }

  arma::mat packed_;
  arma::vec tau_;
  std::vector<arma::uword> order_;
};

struct GradedSvd {
  arma::mat U;  // m x rank
  arma::vec s;  // rank, decreasing, positive
  arma::mat V;  // q x q orthogonal; the first `rank` columns belong to s
};

namespace detail {

// The zero columns of Q, from `rank` on, become an orthonormal complement of the others.
inline void complete_basis(arma::mat& Q, arma::uword rank) {
  const arma::uword n = Q.n_rows;
  for (arma::uword j = rank; j < Q.n_cols; ++j) {
    // The unit vector that is worst represented so far is never nearly dependent.
    arma::vec covered(n, arma::fill::zeros);
    for (arma::uword k = 0; k < j; ++k) covered += arma::square(Q.col(k));
    arma::vec v(n, arma::fill::zeros);
    v[covered.index_min()] = 1.0;
    for (int pass = 0; pass < 2; ++pass)
      for (arma::uword k = 0; k < j; ++k) v -= arma::dot(Q.col(k), v) * Q.col(k);
    Q.col(j) = v / arma::norm(v);
  }
}

}  // namespace detail

inline GradedSvd graded_svd(const arma::mat& A) {
  const arma::uword m = A.n_rows, q = A.n_cols;
  GradedSvd out;
  const double scale = A.is_empty() ? 0.0 : arma::abs(A).max();
  if (scale == 0.0) {
    out.U.set_size(m, 0);
    out.V = arma::eye(q, q);
    return out;
  }
  if (!std::isfinite(scale)) throw numeric_error("a factor of a covariance is too large for its noise");

  if (m < q) {  // A' = Q R, R' (m x m) = X diag(s) W'
    const PivotedQr qr(A.t() / scale);
    const JacobiSvd svd = jacobi_svd(qr.R().t());
    out.s = scale * svd.sigma.head(svd.rank);
    out.U.set_size(m, svd.rank);
    for (arma::uword i = 0; i < m; ++i) out.U.row(qr.order()[i]) = svd.Q.row(i).head(svd.rank);
    arma::mat W(q, q, arma::fill::eye);
    W.submat(0, 0, m - 1, m - 1) = svd.W;
    qr.multiply(W);
    out.V = W;
    return out;
  }

  std::vector<double> size(m, 0.0);
  for (arma::uword j = 0; j < q; ++j) {
    const double* a = A.colptr(j);
    for (arma::uword i = 0; i < m; ++i) size[i] = std::max(size[i], std::fabs(a[i]));
  }
  std::vector<arma::uword> rows(m);
  std::iota(rows.begin(), rows.end(), arma::uword(0));
  std::stable_sort(rows.begin(), rows.end(), [&](arma::uword i, arma::uword j) { return size[i] > size[j]; });
  arma::mat sorted(m, q);
  for (arma::uword j = 0; j < q; ++j)
    for (arma::uword i = 0; i < m; ++i) sorted(i, j) = A(rows[i], j) / scale;
  const PivotedQr qr(std::move(sorted));
  // R' = X diag(s) W', so A P = (Q W) diag(s) X'.
  JacobiSvd svd = jacobi_svd(qr.R().t());
  detail::complete_basis(svd.Q, svd.rank);
  out.s = scale * svd.sigma.head(svd.rank);
  const arma::mat U = qr.expand(svd.W.head_cols(svd.rank));
  out.U.set_size(m, svd.rank);
  for (arma::uword j = 0; j < svd.rank; ++j)
    for (arma::uword i = 0; i < m; ++i) out.U(rows[i], j) = U(i, j);
  out.V.set_size(q, q);
  for (arma::uword j = 0; j < q; ++j) out.V.row(qr.order()[j]) = svd.Q.row(j);
  return out;
}

}  // namespace covmash
