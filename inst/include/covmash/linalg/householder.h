#pragma once
// Householder reflectors, I - tau v v' with v = (1, tail), and the orthogonal factorisations made of them: with columns
// pivoted, and of a tall matrix given in blocks of rows.
//
// A reflector costs O(n), its application 4 n flops a column. Both factorisations of m x q take 2 m q^2 flops and are
// backward stable: R is that of A + E, each column of E some eps times that column of A.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "../base/executor.h"
#include "panel.h"

namespace covmash {

// Euclidean length, without overflow or underflow.
inline double stable_norm(std::size_t n, const double* x) {
  double scale = 0.0;
  for (std::size_t i = 0; i < n; ++i) scale = std::max(scale, std::fabs(x[i]));
  if (scale == 0.0) return 0.0;
  if (scale > 1e-100 && scale < 1e100) return std::sqrt(dot(n, x, x));
  double s = 0.0;
  for (std::size_t i = 0; i < n; ++i) s += (x[i] / scale) * (x[i] / scale);
  return scale * std::sqrt(s);
}

// The reflector that turns (head, tail) of length `norm` into (beta, 0). Leaves beta and its own tail there; returns
// tau, 0 if there is nothing to turn.
inline double make_reflector(double norm, double& head, std::size_t n, double* tail) {
  if (norm == 0.0) return 0.0;
  const double beta = head > 0.0 ? -norm : norm, tau = (beta - head) / beta, v = head - beta;
  for (std::size_t i = 0; i < n; ++i) tail[i] /= v;
  head = beta;
  return tau;
}

// The same for n contiguous numbers, the head first.
inline double make_reflector(std::size_t n, double* x) { return make_reflector(stable_norm(n, x), x[0], n - 1, x + 1); }

// x <- (I - tau v v') x; v holds beta in place of its 1.
inline void reflect(double tau, std::size_t n, const double* v, double* x) {
  if (tau == 0.0) return;
  const double w = tau * (x[0] + dot(n - 1, v + 1, x + 1));
  x[0] -= w;
  add_multiple(n - 1, -w, v + 1, x + 1);
}

// A <- R of A = Q R, on and above the diagonal, columns in their order. For rows that differ by orders of magnitude the
// caller sorts them, largest first.
inline void triangularise(arma::mat& A) {
  for (arma::uword k = 0; k < std::min(A.n_rows, A.n_cols); ++k) {
    double* v = A.colptr(k) + k;
    const double tau = make_reflector(A.n_rows - k, v);
    for (arma::uword j = k + 1; j < A.n_cols; ++j) reflect(tau, A.n_rows - k, v, A.colptr(j) + k);
  }
}

// A P = Q R with columns pivoted; rows are sorted by the caller if they have to be. The reflections stay below the
// diagonal of `packed`, R on and above it.
class PivotedQr {
 public:
  explicit PivotedQr(arma::mat A, Executor* executor = nullptr) : packed_(std::move(A)) {
    const arma::uword m = packed_.n_rows, q = packed_.n_cols, steps = std::min(m, q);
    tau_.zeros(steps);
    order_.resize(q);
    std::iota(order_.begin(), order_.end(), arma::uword(0));
    if (steps == 0) return;
    std::vector<double> norm(q), fresh(q);
    for (arma::uword j = 0; j < q; ++j) {
      checkpoint(executor);
      norm[j] = fresh[j] = stable_norm(m, packed_.colptr(j));
    }
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
      tau_[k] = make_reflector(n, v);
      if (tau_[k] == 0.0) continue;
      if (k + 1 < q) reflect_columns(k, n, q - k - 1, packed_.colptr(k + 1) + k, m, executor);
      for (arma::uword j = k + 1; j < q; ++j) {
        const double* column = packed_.colptr(j) + k;
        // The norm of what is left, by subtraction until that has lost half of the digits.
        if (norm[j] == 0.0) continue;
        const double ratio = std::fabs(column[0]) / norm[j];
        const double left = std::max(0.0, (1.0 - ratio) * (1.0 + ratio));
        const double kept = norm[j] / fresh[j];
        if (left * kept * kept <= 1.5e-8) {
          norm[j] = fresh[j] = stable_norm(n - 1, column + 1);
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
  void multiply(arma::mat& X, Executor* executor = nullptr) const {
    if (steps() == 0 || X.n_cols == 0) return;
    for (arma::uword k = steps(); k-- > 0;)
      reflect_columns(k, packed_.n_rows - k, X.n_cols, X.memptr() + k, X.n_rows, executor);
  }

  // Q [X; 0], with fewer rows than Q has.
  arma::mat expand(const arma::mat& X, Executor* executor = nullptr) const {
    arma::mat out(packed_.n_rows, X.n_cols, arma::fill::zeros);
    if (!X.is_empty()) out.head_rows(X.n_rows) = X;
    multiply(out, executor);
    return out;
  }

 private:
  // Reflector k applied to the columns at `first`, in threads if there are many.
  void reflect_columns(arma::uword k, arma::uword n, arma::uword columns, double* first, arma::uword stride,
                       Executor* executor) const {
    constexpr arma::uword block = 8;
    const double* v = packed_.colptr(k) + k;
    SerialExecutor serial;
    const double work = 4.0 * static_cast<double>(n) * static_cast<double>(columns);
    (executor ? *executor : serial).run((columns + block - 1) / block, work, [&](std::size_t task, std::size_t) {
      for (arma::uword j = task * block; j < std::min<arma::uword>(columns, (task + 1) * block); ++j)
        reflect(tau_[k], n, v, first + j * stride);
    });
    if (executor) executor->checkpoint();
  }

  arma::mat packed_;
  arma::vec tau_;
  std::vector<arma::uword> order_;
};

// R of A = Q R, A given in blocks of rows; Q is not kept. Memory O(q^2).
class TriangularFactor {
 public:
  explicit TriangularFactor(std::size_t q) : rows_(q, q, arma::fill::zeros), products_(q) {}

  // Takes in the n rows of Y (column-major n x q), which is overwritten.
  void absorb(std::size_t n, double* Y, const Pulse& pulse = {}) {
    const std::size_t q = rows_.n_cols;
    for (std::size_t k = 0; k < q; ++k) {
      if (n * q > 100000) pulse();
      double* r = rows_.colptr(k);  // row k of R
      double* v = Y + k * n;
      const double tau = make_reflector(std::hypot(r[k], stable_norm(n, v)), r[k], n, v);
      if (tau == 0.0) continue;
      simd::kernels().inner_products(n, v, q - k - 1, v + n, n, products_.data());
      for (std::size_t j = k + 1; j < q; ++j) {
        const double w = tau * (r[j] + products_[j - k - 1]);
        r[j] -= w;
        add_multiple(n, -w, v, Y + j * n);
      }
    }
  }

  void absorb(const TriangularFactor& other, const Pulse& pulse = {}) {
    arma::mat Y = other.R();
    absorb(Y.n_rows, Y.memptr(), pulse);
  }

  // q x q, upper triangular.
  arma::mat R() const { return rows_.t(); }

 private:
  arma::mat rows_;  // R by rows
  std::vector<double> products_;
};

}  // namespace covmash
