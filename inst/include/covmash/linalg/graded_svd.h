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
#include "../base/executor.h"
#include "householder.h"
#include "jacobi.h"

namespace covmash {

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

// A large one listens to the executor, and uses its threads.
inline GradedSvd graded_svd(const arma::mat& A, Executor* executor = nullptr) {
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
    const PivotedQr qr(A.t() / scale, executor);
    const JacobiSvd svd = jacobi_svd(qr.R().t(), executor);
    out.s = scale * svd.sigma.head(svd.rank);
    out.U.set_size(m, svd.rank);
    for (arma::uword i = 0; i < m; ++i) out.U.row(qr.order()[i]) = svd.Q.row(i).head(svd.rank);
    arma::mat W(q, q, arma::fill::eye);
    W.submat(0, 0, m - 1, m - 1) = svd.W;
    qr.multiply(W, executor);
    out.V = W;
    return out;
  }

  std::vector<double> size(m, 0.0);
  for (arma::uword j = 0; j < q; ++j) {
    checkpoint(executor);
    const double* a = A.colptr(j);
    for (arma::uword i = 0; i < m; ++i) size[i] = std::max(size[i], std::fabs(a[i]));
  }
  std::vector<arma::uword> rows(m);
  std::iota(rows.begin(), rows.end(), arma::uword(0));
  std::stable_sort(rows.begin(), rows.end(), [&](arma::uword i, arma::uword j) { return size[i] > size[j]; });
  arma::mat sorted(m, q);
  for (arma::uword j = 0; j < q; ++j) {
    checkpoint(executor);
    for (arma::uword i = 0; i < m; ++i) sorted(i, j) = A(rows[i], j) / scale;
  }
  const PivotedQr qr(std::move(sorted), executor);
  // R' = X diag(s) W', so A P = (Q W) diag(s) X'.
  JacobiSvd svd = jacobi_svd(qr.R().t(), executor);
  detail::complete_basis(svd.Q, svd.rank);
  out.s = scale * svd.sigma.head(svd.rank);
  const arma::mat U = qr.expand(svd.W.head_cols(svd.rank), executor);
  out.U.set_size(m, svd.rank);
  for (arma::uword j = 0; j < svd.rank; ++j) {
    checkpoint(executor);
    for (arma::uword i = 0; i < m; ++i) out.U(rows[i], j) = U(i, j);
  }
  out.V.set_size(q, q);
  for (arma::uword j = 0; j < q; ++j) out.V.row(qr.order()[j]) = svd.Q.row(j);
  return out;
}

}  // namespace covmash
