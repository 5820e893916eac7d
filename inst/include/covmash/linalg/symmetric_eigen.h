#pragma once
// All eigenvalues of a symmetric matrix A (N x N), without vectors: to a band of 32 by blocks of Householder
// reflectors, 4/3 N^3 flops in products with panels, in threads; from there to tridiagonal by chasing bulges, 6 N^2 32
// flops; then implicit QL (spectra.h), O(N^2). Memory N^2 beside A. Backward stable: errors of some eps times the largest.
//
// LAPACK's one step to tridiagonal has half of its flops in products with one vector, which wait for memory, and cannot
// be interrupted. Bischof, Lang and Sun 2000, ACM Trans. Math. Software 26, 581-601, doi:10.1145/365723.365735.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/executor.h"
#include "../simd/dispatch.h"
#include "householder.h"
#include "panel.h"
#include "spectra.h"

namespace covmash {

namespace detail {

// The lower triangle of a symmetric matrix by rows; what is right of the diagonal has no meaning.
class SymmetricBand {
 public:
  static constexpr std::size_t width = 32, block = 64;

  // Of A / unit.
  SymmetricBand(const arma::mat& A, double unit, Executor& executor)
      : n_(A.n_rows), lda_((A.n_rows + 2 * block - 1) / block * block), executor_(executor) {
    A_.require_size(n_ * lda_);
    for (std::size_t from = 0; from < n_; from += block) {
      executor_.checkpoint();
      const std::size_t end = std::min(n_, from + block);
      std::fill_n(A_.data() + from * lda_, (end - from) * lda_, 0.0);
      for (std::size_t j = 0; j < end; ++j)
        for (std::size_t i = std::max(j, from); i < end; ++i) A_[i * lda_ + j] = A(i, j) / unit;
    }
  }

  // Leaves the matrix with `width` diagonals below its own.
  void reduce() {
    for (std::size_t first = 0; first + width + 1 < n_; first += width) {
      executor_.checkpoint();
      const std::size_t at = first + width, m = n_ - at;
      factorise(first, at, m);
      multiply(at, m);
      update(at, m);
    }
  }

  double operator()(std::size_t i, std::size_t j) const { return A_[i * lda_ + j]; }

 private:
  // The panel below the band, m x width at (at, first), becomes R; V_ and T_ its reflectors, Q = I - V T V'.
  void factorise(std::size_t first, std::size_t at, std::size_t m) {
    arma::mat P(m, width);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < width; ++j) P(i, j) = A_[(at + i) * lda_ + first + j];
    V_ = Panel(m, width);
    T_.zeros(width, width);
    const std::size_t steps = std::min(m, width);
    for (std::size_t k = 0; k < steps; ++k) {
      double* v = P.colptr(k) + k;
      const double tau = make_reflector(m - k, v);
      for (std::size_t j = k + 1; j < width; ++j) reflect(tau, m - k, v, P.colptr(j) + k);
      // T(0:k, k) = -tau T V'v
      arma::vec t(k, arma::fill::zeros);
      for (std::size_t j = 0; j < k; ++j) {
        t[j] = P(k, j);
        t[j] += m - k > 1 ? dot(m - k - 1, P.colptr(j) + k + 1, v + 1) : 0.0;
      }
      for (std::size_t i = 0; i < k; ++i) {
        double sum = 0.0;
        for (std::size_t j = i; j < k; ++j) sum += T_(i, j) * t[j];
        T_(i, k) = -tau * sum;
      }
      T_(k, k) = tau;
    }
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < width; ++j) {
        A_[(at + i) * lda_ + first + j] = i <= j ? P(i, j) : 0.0;
        V_(i, j) = j >= steps || i < j ? 0.0 : i == j ? 1.0 : P(i, j);
      }
  }

  // W_ = X - V (T' V' X) / 2 with X = A V T, A the m x m matrix at (at, at).
  void multiply(std::size_t at, std::size_t m) {
    const auto& kernels = simd::kernels();
    Panel Y(m, width), X(m, width);
    W_ = Panel(m, width);
    const double work = 2.0 * static_cast<double>(m) * static_cast<double>(m) * static_cast<double>(width);
    executor_.run((m + block - 1) / block, work, [&](std::size_t task, std::size_t) {
      const std::size_t from = task * block, rows = std::min(block, m - from), end = from + rows;
      const double* own = A_.data() + (at + from) * lda_ + at;
      double diagonal[block * block];
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j <= i; ++j)
          diagonal[i * block + j] = diagonal[j * block + i] = own[i * lda_ + from + j];
      kernels.panel_product(rows, rows, diagonal, block, 1, V_.row(from), width, width, Y.row(from), width, false);
      for (std::size_t k = 0; k < from; k += depth)  // left of it
        kernels.panel_product(rows, std::min(depth, from - k), own + k, lda_, 1, V_.row(k), width, width, Y.row(from),
                              width, true);
      for (std::size_t k = end; k < m; k += depth)  // right of it: what is below, transposed
        kernels.panel_product(rows, std::min(depth, m - k), A_.data() + (at + k) * lda_ + at + from, 1, lda_, V_.row(k),
                              width, width, Y.row(from), width, true);
    });
    std::vector<double> T(width * width);
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t j = 0; j < width; ++j) T[i * width + j] = T_(i, j);
    multiply_into(m, width, as_factor(Y), T.data(), width, width, X.data(), width, executor_);
    const std::vector<double> VX = cross_product(V_, X, executor_);
    std::vector<double> M(width * width, 0.0);
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t j = 0; j < width; ++j)
        for (std::size_t k = 0; k <= i; ++k) M[i * width + j] += 0.5 * T_(k, i) * VX[k * width + j];
    multiply_into(m, width, as_factor(V_), M.data(), width, width, Y.data(), width, executor_);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < width; ++j) W_(i, j) = X(i, j) - Y(i, j);
  }

  // A <- A - V W' - W V'
  void update(std::size_t at, std::size_t m) {
    const auto& kernels = simd::kernels();
    const std::size_t padded = (m + block - 1) / block * block;
    double* right = right_.require_size(2 * width * padded);  // [W V]', 2 width x m by rows
    Panel left(m, 2 * width);
    std::fill_n(right, 2 * width * padded, 0.0);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < width; ++j) {
        right[j * padded + i] = W_(i, j);
        right[(width + j) * padded + i] = V_(i, j);
        left(i, j) = -V_(i, j);
        left(i, width + j) = -W_(i, j);
      }
    const double work = 2.0 * static_cast<double>(m) * static_cast<double>(m) * static_cast<double>(width);
    executor_.run((m + block - 1) / block, work, [&](std::size_t task, std::size_t) {
      const std::size_t from = task * block, rows = std::min(block, m - from), end = from + block;
      double* own = A_.data() + (at + from) * lda_ + at;
      for (std::size_t j = 0; j < end; j += depth)
        kernels.panel_product(rows, 2 * width, left.row(from), 2 * width, 1, right + j, padded,
                              std::min(depth, end - j), own + j, lda_, true);
    });
  }

  static constexpr std::size_t depth = 256;
  std::size_t n_, lda_;
  Executor& executor_;
  Buffer<double> A_, right_;
  Panel V_, W_;
  arma::mat T_;
};

// A band of `width` diagonals below its own becomes tridiagonal, by columns: each is cleared by a reflector, and the
// bulge that this makes is chased down the band. Room for diagonals up to 2 width.
class BandReduction {
 public:
  BandReduction(const SymmetricBand& A, std::size_t n) : n_(n) {
    band_.assign(n_ * stride, 0.0);
    for (std::size_t j = 0; j < n_; ++j)
      for (std::size_t i = j; i < std::min(n_, j + width + 1); ++i) at(i, j) = A(i, j);
  }

  void reduce(std::vector<double>& diagonal, std::vector<double>& below, Executor& executor) {
    for (std::size_t first = 0; first + 2 < n_; ++first) {
      if (first % 8 == 0) executor.checkpoint();
      clear(first);
    }
    diagonal.resize(n_);
    below.assign(n_, 0.0);
    for (std::size_t j = 0; j < n_; ++j) {
      diagonal[j] = at(j, j);
      if (j + 1 < n_) below[j] = at(j + 1, j);
    }
  }

 private:
  static constexpr std::size_t width = SymmetricBand::width, stride = 2 * width + 2;

  double& at(std::size_t i, std::size_t j) { return band_[j * stride + (i - j)]; }

  void clear(std::size_t first) {
    double v[width], p[width];
    std::size_t column = first, from = first + 1;
    while (from + 1 < n_) {
      const std::size_t length = std::min(width, n_ - from);
      // The reflector that clears rows from + 1, ... of the column.
      for (std::size_t i = 0; i < length; ++i) v[i] = at(from + i, column);
      double beta = v[0];
      const double tau = make_reflector(stable_norm(length, v), beta, length - 1, v + 1);
      at(from, column) = beta;
      for (std::size_t i = 1; i < length; ++i) at(from + i, column) = 0.0;
      v[0] = 1.0;
      if (tau != 0.0) {
        if (column + 1 < from) from_left(tau, v, from, length, column + 1);
        both_sides(tau, v, p, from, length);
        from_right(tau, v, p, from, length);
      }
      column = from;
      from += width;
    }
  }

  // Rows of the columns between the one cleared and the block: the rest of the bulge.
  void from_left(double tau, const double* v, std::size_t from, std::size_t length, std::size_t column) {
    for (std::size_t j = column; j < from; ++j) {
      double* x = &at(from, j);
      double w = 0.0;
      for (std::size_t i = 0; i < length; ++i) w += v[i] * x[i];
      w *= tau;
      for (std::size_t i = 0; i < length; ++i) x[i] -= w * v[i];
    }
  }

  void both_sides(double tau, const double* v, double* p, std::size_t from, std::size_t length) {
    std::fill_n(p, length, 0.0);
    for (std::size_t j = 0; j < length; ++j) {
      const double* x = &at(from + j, from + j);
      double sum = x[0] * v[j];
      for (std::size_t i = j + 1; i < length; ++i) {
        sum += x[i - j] * v[i];
        p[i] += x[i - j] * v[j];
      }
      p[j] += sum;
    }
    double pv = 0.0;
    for (std::size_t i = 0; i < length; ++i) {
      p[i] *= tau;
      pv += p[i] * v[i];
    }
    for (std::size_t i = 0; i < length; ++i) p[i] -= 0.5 * tau * pv * v[i];
    for (std::size_t j = 0; j < length; ++j) {
      double* x = &at(from + j, from + j);
      for (std::size_t i = j; i < length; ++i) x[i - j] -= v[i] * p[j] + p[i] * v[j];
    }
  }

  // The rows below the block: a bulge.
  void from_right(double tau, const double* v, double* p, std::size_t from, std::size_t length) {
    const std::size_t start = from + length, rows = std::min(width, n_ - std::min(n_, start));
    if (rows == 0) return;
    std::fill_n(p, rows, 0.0);
    for (std::size_t j = 0; j < length; ++j) {
      const double* x = &at(start, from + j);
      for (std::size_t i = 0; i < rows; ++i) p[i] += v[j] * x[i];
    }
    for (std::size_t j = 0; j < length; ++j) {
      double* x = &at(start, from + j);
      const double c = tau * v[j];
      for (std::size_t i = 0; i < rows; ++i) x[i] -= c * p[i];
    }
  }

  std::size_t n_;
  std::vector<double> band_;
};

}  // namespace detail

// The eigenvalues of a symmetric tridiagonal matrix, decreasing. below[i] is the entry at (i + 1, i).
inline arma::vec tridiagonal_eigenvalues(std::vector<double> d, std::vector<double> below, Executor& executor) {
  below.resize(d.size());
  if (!below.empty()) below.back() = 0.0;
  arma::mat no_vectors(0, d.size());
  detail::Rotations rotations(no_vectors, executor);
  if (!detail::tridiagonal_ql(d, below, rotations, executor))
    throw numeric_error("an eigendecomposition did not converge");
  std::sort(d.begin(), d.end(), std::greater<double>());
  return arma::vec(d);
}

// All eigenvalues of A, decreasing; the lower triangle is read.
inline arma::vec symmetric_eigenvalues(const arma::mat& A, Executor& executor) {
  require(A.n_rows == A.n_cols, "a matrix is not square");
  if (A.is_empty()) return arma::vec();
  double scale = 0.0;
  bool finite = true;
  for (arma::uword j = 0; j < A.n_cols; ++j) {
    executor.checkpoint();
    for (arma::uword i = j; i < A.n_rows; ++i) {
      finite = finite && std::isfinite(A(i, j));
      scale = std::max(scale, std::fabs(A(i, j)));
    }
  }
  if (!finite) throw input_error("a matrix has entries that are not finite");
  if (scale == 0.0) return arma::vec(A.n_rows, arma::fill::zeros);
  const double unit = scale > 1e100 || scale < 1e-100 ? scale : 1.0;
  std::vector<double> diagonal, below;
  {
    detail::SymmetricBand band(A, unit, executor);
    band.reduce();
    detail::BandReduction(band, A.n_rows).reduce(diagonal, below, executor);
  }
  return unit * tridiagonal_eigenvalues(std::move(diagonal), std::move(below), executor);
}

}  // namespace covmash
