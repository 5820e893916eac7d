#pragma once
// Eigenvectors of symmetric matrices and singular vectors of tall ones, of some hundred to some thousand rows, in steps
// that listen to an executor: LAPACK takes a minute for 2000 rows and cannot be interrupted. Below 256 rows LAPACK's.
//
//   symmetric_eigen        A = Q diag(values) Q', A n x n. Householder tridiagonalisation, implicit QL. (The values alone:
//                          symmetric_eigen.h.)
//   left_singular, right_singular   of A = U diag(s) V', A m x n, m >= n. Householder bidiagonalisation, implicit QR (Golub
//                          and Reinsch 1970, doi:10.1007/BF02163027) on one side only.
//
// Both are backward stable: the result is that of A + E, |E| some n eps |A|. About 4/3 n^3 + 4/3 n^3 + 5 n^3 flops, and
// 8/3 m n^2 + 4/3 m n^2 + 10 n^2 m; the last part, rotations of columns, in threads if the executor has them. Memory n^2 and
// m n.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "../base/executor.h"
#include "householder.h"
#include "panel.h"

namespace covmash {

namespace detail {

constexpr arma::uword lapack_below = 256;

// Rotations of columns of a matrix, gathered and then applied to some rows at a time, which stay in the cache.
class Rotations {
 public:
  Rotations(arma::mat& Q, Executor& executor) : Q_(Q), executor_(executor) {}

  // (x, y) <- (c x + s y, c y - s x)
  void add(std::size_t x, std::size_t y, double c, double s) {
    if (Q_.n_rows == 0) return;
    list_.push_back({x, y, c, s});
    if (list_.size() == 8192) apply();
  }

  void apply() {
    constexpr std::size_t block = 64;
    const double work = 6.0 * static_cast<double>(Q_.n_rows) * static_cast<double>(list_.size());
    executor_.run((Q_.n_rows + block - 1) / block, work, [&](std::size_t task, std::size_t) {
      const std::size_t first = task * block, n = std::min<std::size_t>(block, Q_.n_rows - first);
      const auto& kernels = simd::kernels();
      for (const One& r : list_) kernels.rotate(n, r.c, r.s, Q_.colptr(r.x) + first, Q_.colptr(r.y) + first);
    });
    list_.clear();
  }

 private:
  struct One {
    std::size_t x, y;
    double c, s;
  };
  arma::mat& Q_;
  Executor& executor_;
  std::vector<One> list_;
};

// Columns in the order of their values.
inline void sort_columns(arma::vec& values, arma::mat& Q, bool decreasing) {
  const arma::uvec order = arma::stable_sort_index(values, decreasing ? "descend" : "ascend");
  values = values.elem(order).eval();
  Q = Q.cols(order).eval();
}

// Q <- H_0 ... H_{k-1} applied to the first columns of the identity (m x n); reflector k has its head at row k + offset
// of column k of `packed`.
inline arma::mat accumulate(const arma::mat& packed, const std::vector<double>& tau, arma::uword offset, arma::uword m,
                            arma::uword n, Executor& executor) {
  arma::mat Q(m, n, arma::fill::eye);
  for (arma::uword k = tau.size(); k-- > 0;) {
    if (tau[k] == 0.0) continue;
    executor.checkpoint();
    const arma::uword head = k + offset;
    for (arma::uword j = std::min(head, n); j < n; ++j)
      reflect(tau[k], m - head, packed.colptr(k) + head, Q.colptr(j) + head);
  }
  return Q;
}

// The tridiagonal form of A, of which the lower triangle is read: diagonal d, e below it; reflector k stays in column k
// from row k + 1 on. Each step goes through what is left once: the change of the step before and the product with the
// vector of this one.
inline std::vector<double> tridiagonalise(arma::mat& A, std::vector<double>& d, std::vector<double>& e,
                                          Executor& executor) {
  const arma::uword n = A.n_rows;
  std::vector<double> tau(n - 1, 0.0), v(n), y(n), both(2 * n, 0.0);  // both: of the step before, [i] and [n + i]
  d.resize(n);
  e.assign(n, 0.0);
  const auto& kernels = simd::kernels();
  bool pending = false;
  const auto change = [&](arma::uword j) {
    if (!pending) return;
    const double a[2] = {-both[n + j], -both[j]};
    kernels.add_combination(n - j, 2, both.data() + j, n, a, A.colptr(j) + j);
  };
  for (arma::uword k = 0; k < n; ++k) {
    if (k % 8 == 0) executor.checkpoint();
    change(k);
    d[k] = A.at(k, k);
    if (k + 1 == n) break;
    double* x = A.colptr(k) + k + 1;
    tau[k] = make_reflector(n - k - 1, x);
    e[k] = x[0];
    std::fill(v.begin(), v.end(), 0.0);
    v[k + 1] = 1.0;
    std::copy(x + 1, x + n - k - 1, v.begin() + k + 2);
    std::fill(y.begin(), y.end(), 0.0);
    for (arma::uword j = k + 1; j < n; ++j) {
      change(j);
      const double* column = A.colptr(j) + j;
      const arma::uword below = n - j - 1;
      y[j] += column[0] * v[j];
      if (tau[k] == 0.0 || below == 0) continue;
      y[j] += dot(below, column + 1, v.data() + j + 1);
      add_multiple(below, v[j], column + 1, y.data() + j + 1);
    }
    const double half = 0.5 * tau[k] * tau[k] * std::inner_product(v.begin(), v.end(), y.begin(), 0.0);
    for (arma::uword i = 0; i < n; ++i) {
      both[i] = v[i];
      both[n + i] = tau[k] * y[i] - half * v[i];
    }
    pending = tau[k] != 0.0;
  }
  return tau;
}

// Implicit QL. False if an eigenvalue does not converge.
inline bool tridiagonal_ql(std::vector<double>& d, std::vector<double>& e, Rotations& Q, Executor& executor) {
  const std::size_t n = d.size();
  const double eps = std::numeric_limits<double>::epsilon();
  double scale = 0.0;
  for (std::size_t i = 0; i < n; ++i) scale = std::max(scale, std::fabs(d[i]) + std::fabs(e[i]));
  const double tiny = std::max(0.1 * eps * scale, std::numeric_limits<double>::min());
  for (std::size_t l = 0; l < n; ++l) {
    for (int iteration = 0;; ++iteration) {
      executor.checkpoint();
      std::size_t m = l;
      while (m + 1 < n && std::fabs(e[m]) > eps * (std::fabs(d[m]) + std::fabs(d[m + 1])) &&
             std::fabs(e[m]) > tiny)
        ++m;
      if (m == l) break;
      if (iteration == 100) return false;
      double g = (d[l + 1] - d[l]) / (2.0 * e[l]);
      g = d[m] - d[l] + e[l] / (g + std::copysign(std::hypot(g, 1.0), g));
      double s = 1.0, c = 1.0, p = 0.0;
      bool split = false;
      for (std::size_t i = m; i-- > l;) {
        const double f = s * e[i], b = c * e[i];
        double r = std::hypot(f, g);
        e[i + 1] = r;
        if (r == 0.0) {
          d[i + 1] -= p;
          e[m] = 0.0;
          split = true;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2.0 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        Q.add(i, i + 1, c, -s);
      }
      if (split) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0.0;
    }
  }
  Q.apply();
  return true;
}

// The upper bidiagonal form of A (m >= n): diagonal d, e[j] beside d[j] in column j (e[0] = 0). Left reflectors stay in
// the columns of A from the diagonal on, right ones in those of `right` (n x n) from below the diagonal on.
inline void bidiagonalise(arma::mat& A, arma::mat& right, std::vector<double>& left_tau, std::vector<double>& right_tau,
                          std::vector<double>& d, std::vector<double>& e, Executor& executor) {
  const arma::uword m = A.n_rows, n = A.n_cols;
  left_tau.assign(n, 0.0);
  right_tau.assign(n > 0 ? n - 1 : 0, 0.0);
  d.assign(n, 0.0);
  e.assign(n, 0.0);
  right.zeros(n, n);
  std::vector<double> y(m), row(n);
  for (arma::uword k = 0; k < n; ++k) {
    if (k % 4 == 0) executor.checkpoint();
    double* u = A.colptr(k) + k;
    left_tau[k] = make_reflector(m - k, u);
    d[k] = u[0];
    for (arma::uword j = k + 1; j < n; ++j) {
      reflect(left_tau[k], m - k, u, A.colptr(j) + k);
      row[j] = A.at(k, j);
    }
    if (k + 1 == n) break;
    double* v = right.colptr(k) + k + 1;
    std::copy(row.begin() + k + 1, row.end(), v);
    right_tau[k] = make_reflector(n - k - 1, v);
    e[k + 1] = v[0];
    if (right_tau[k] == 0.0 || k + 1 == m) continue;
    const arma::uword rows = m - k - 1;
    std::copy_n(A.colptr(k + 1) + k + 1, rows, y.begin());
    for (arma::uword j = k + 2; j < n; ++j) add_multiple(rows, v[j - k - 1], A.colptr(j) + k + 1, y.data());
    add_multiple(rows, -right_tau[k], y.data(), A.colptr(k + 1) + k + 1);
    for (arma::uword j = k + 2; j < n; ++j)
      add_multiple(rows, -right_tau[k] * v[j - k - 1], y.data(), A.colptr(j) + k + 1);
  }
}

// Implicit QR on d and e. Rotations of the left or of the right side go to Q; d is made positive on the right.
inline bool bidiagonal_qr(std::vector<double>& d, std::vector<double>& e, bool left, arma::mat& Q, Executor& executor) {
  const std::size_t n = d.size();
  Rotations rotations(Q, executor);
  double scale = 0.0;
  for (std::size_t i = 0; i < n; ++i) scale = std::max(scale, std::fabs(d[i]) + std::fabs(e[i]));
  const double tiny = std::numeric_limits<double>::epsilon() * scale;
  for (std::size_t k = n; k-- > 0;) {
    for (int iteration = 0;; ++iteration) {
      executor.checkpoint();
      std::size_t l = k;
      bool cancel = false;
      for (;; --l) {
        if (l == 0 || std::fabs(e[l]) <= tiny) break;
        if (std::fabs(d[l - 1]) <= tiny) {
          cancel = true;
          break;
        }
      }
      if (cancel) {  // d[l - 1] is 0: rotate e[l] away
        double c = 0.0, s = 1.0;
        for (std::size_t i = l; i <= k; ++i) {
          const double f = s * e[i];
          e[i] *= c;
          if (std::fabs(f) <= tiny) break;
          const double g = d[i], h = std::hypot(f, g);
          d[i] = h;
          c = g / h;
          s = -f / h;
          if (left) rotations.add(l - 1, i, c, s);
        }
      }
      double z = d[k];
      if (l == k) {
        if (z < 0.0) {
          d[k] = -z;
          if (!left) {
            rotations.apply();
            Q.col(k) *= -1.0;
          }
        }
        break;
      }
      if (iteration == 100) return false;
      double x = d[l], y = d[k - 1], g = e[k - 1], h = e[k];
      double f = ((y - z) * (y + z) + (g - h) * (g + h)) / (2.0 * h * y);
      g = std::hypot(f, 1.0);
      f = ((x - z) * (x + z) + h * (y / (f + std::copysign(g, f)) - h)) / x;
      double c = 1.0, s = 1.0;
      for (std::size_t j = l; j < k; ++j) {
        g = e[j + 1];
        y = d[j + 1];
        h = s * g;
        g *= c;
        z = std::hypot(f, h);
        e[j] = z;
        c = z > 0.0 ? f / z : 1.0;
        s = z > 0.0 ? h / z : 0.0;
        f = x * c + g * s;
        g = g * c - x * s;
        h = y * s;
        y *= c;
        if (!left) rotations.add(j, j + 1, c, s);
        z = std::hypot(f, h);
        d[j] = z;
        if (z > 0.0) {
          c = f / z;
          s = h / z;
        }
        f = c * g + s * y;
        x = c * y - s * g;
        if (left) rotations.add(j, j + 1, c, s);
      }
      e[l] = 0.0;
      e[k] = f;
      d[k] = x;
    }
  }
  rotations.apply();
  return true;
}

inline bool singular_side(arma::mat A, bool left, arma::vec& s, arma::mat& Q, Executor& executor) {
  const arma::uword m = A.n_rows, n = A.n_cols;
  std::vector<double> left_tau, right_tau, d, e;
  arma::mat right;
  bidiagonalise(A, right, left_tau, right_tau, d, e, executor);
  Q = left ? accumulate(A, left_tau, 0, m, n, executor) : accumulate(right, right_tau, 1, n, n, executor);
  if (!bidiagonal_qr(d, e, left, Q, executor)) return false;
  s = arma::vec(d);
  sort_columns(s, Q, true);
  return true;
}

}  // namespace detail

// Values increasing, vectors in the columns of Q. False if it did not converge.
inline bool symmetric_eigen(arma::mat A, arma::vec& values, arma::mat& Q, Executor& executor) {
  if (A.n_rows < detail::lapack_below) return arma::eig_sym(values, Q, A);
  std::vector<double> d, e;
  const std::vector<double> tau = detail::tridiagonalise(A, d, e, executor);
  Q = detail::accumulate(A, tau, 1, A.n_rows, A.n_rows, executor);
  detail::Rotations rotations(Q, executor);
  if (!detail::tridiagonal_ql(d, e, rotations, executor)) return false;
  values = arma::vec(d);
  detail::sort_columns(values, Q, false);
  return true;
}

// Singular values, decreasing, and the right singular vectors of A (m x n, m >= n).
inline bool right_singular(const arma::mat& A, arma::vec& s, arma::mat& V, Executor& executor) {
  arma::mat U;
  if (A.n_cols < detail::lapack_below) return arma::svd_econ(U, s, V, A, "right");
  return detail::singular_side(A, false, s, V, executor);
}

// The same of the left ones (m x n).
inline bool left_singular(const arma::mat& A, arma::vec& s, arma::mat& U, Executor& executor) {
  arma::mat V;
  if (A.n_cols < detail::lapack_below) return arma::svd_econ(U, s, V, A, "left");
  return detail::singular_side(A, true, s, U, executor);
}

}  // namespace covmash
