#pragma once
// Tall thin matrices ("panels", rows x width with width a multiple of 8, row-major) and their products with anything.
//
// A product costs 2 rows inner width flops and reads A once. It is cut into tasks of 64 rows; every output is one chain
// of multiply-adds, so results have the same bits for any number of threads.

#include <algorithm>
#include <armadillo>
#include <cstddef>
#include <vector>

#include "../base/buffer.h"
#include "../base/executor.h"
#include "../simd/dispatch.h"

namespace covmash {

class Panel {
 public:
  static std::size_t padded(std::size_t columns) { return std::max<std::size_t>((columns + 7) / 8 * 8, 8); }

  Panel() = default;
  // All zero. Columns beyond `columns` stay zero, so that they take part in products without effect.
  Panel(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns), width_(padded(columns)) {
    std::fill_n(data_.require_size(rows_ * width_), rows_ * width_, 0.0);
  }

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  std::size_t width() const { return width_; }
  double* data() { return data_.data(); }
  const double* data() const { return data_.data(); }
  double* row(std::size_t i) { return data_.data() + i * width_; }
  const double* row(std::size_t i) const { return data_.data() + i * width_; }
  double& operator()(std::size_t i, std::size_t j) { return data_[i * width_ + j]; }
  double operator()(std::size_t i, std::size_t j) const { return data_[i * width_ + j]; }

 private:
  std::size_t rows_ = 0, columns_ = 0, width_ = 0;
  Buffer<double> data_;
};

// Where the entries of the left factor are: A(i, k) = data[i row_stride + k column_stride].
struct Strided {
  const double* data;
  std::size_t row_stride, column_stride;
};

inline Strided row_major(const double* data, std::size_t columns) { return {data, columns, 1}; }
inline Strided as_factor(const Panel& X) { return {X.data(), X.width(), 1}; }
inline Strided transposed(const Panel& X) { return {X.data(), 1, X.width()}; }

// Y (rows x width) = A (rows x inner) X (inner x width).
inline void multiply_into(std::size_t rows, std::size_t inner, Strided A, const double* X, std::size_t ldx,
                          std::size_t width, double* Y, std::size_t ldy, Executor& executor) {
  constexpr std::size_t block = 64, depth = 256;  // `depth` rows of X stay in the first-level cache
  const auto& kernels = simd::kernels();
  const double work = 2.0 * static_cast<double>(rows) * static_cast<double>(inner) * static_cast<double>(width);
  executor.run((rows + block - 1) / block, work, [&](std::size_t task, std::size_t) {
    const std::size_t first = task * block, n = std::min(block, rows - first);
    const double* a = A.data + first * A.row_stride;
    for (std::size_t k = 0; k == 0 || k < inner; k += depth)
      kernels.panel_product(n, std::min(depth, inner - k), a + k * A.column_stride, A.row_stride, A.column_stride,
                            X + k * ldx, ldx, width, Y + first * ldy, ldy, k > 0);
  });
}

inline void multiply_into(Strided A, const Panel& X, Panel& Y, Executor& executor) {
  multiply_into(Y.rows(), X.rows(), A, X.data(), X.width(), X.width(), Y.data(), Y.width(), executor);
}

// X'Y, row-major X.width() x Y.width().
inline std::vector<double> cross_product(const Panel& X, const Panel& Y, Executor& executor) {
  std::vector<double> out(X.width() * Y.width());
  multiply_into(X.width(), X.rows(), transposed(X), Y.data(), Y.width(), Y.width(), out.data(), Y.width(), executor);
  return out;
}

// ---- long columns ----------------------------------------------------------------------------------------------

inline double dot(std::size_t n, const double* x, const double* y) {
  double out;
  simd::kernels().inner_products(n, x, 1, y, n, &out);
  return out;
}

inline double dot(const std::vector<double>& x, const std::vector<double>& y) {
  return dot(x.size(), x.data(), y.data());
}

// y += a x
inline void add_multiple(std::size_t n, double a, const double* x, double* y) {
  simd::kernels().add_combination(n, 1, x, n, &a, y);
}

// A'B for tall matrices, in chunks of rows that stay in the cache.
inline arma::mat tall_cross(const arma::mat& A, const arma::mat& B) {
  constexpr arma::uword chunk = 512;
  const simd::KernelTable& kernels = simd::kernels();
  arma::mat out(A.n_cols, B.n_cols, arma::fill::zeros);
  arma::vec part(A.n_cols);
  for (arma::uword from = 0; from < A.n_rows && A.n_cols > 0 && B.n_cols > 0; from += chunk) {
    const arma::uword n = std::min(chunk, A.n_rows - from);
    for (arma::uword j = 0; j < B.n_cols; ++j) {
      kernels.inner_products(n, B.colptr(j) + from, A.n_cols, A.memptr() + from, A.n_rows, part.memptr());
      out.col(j) += part;
    }
  }
  return out;
}

// Y += A C for tall A and Y.
inline void tall_add(arma::mat& Y, const arma::mat& A, const arma::mat& C, Executor* executor = nullptr) {
  if (A.is_empty() || Y.n_cols == 0) return;
  constexpr arma::uword chunk = 512;
  const simd::KernelTable& kernels = simd::kernels();
  const double work = 2.0 * static_cast<double>(A.n_elem) * static_cast<double>(Y.n_cols);
  SerialExecutor serial;
  (executor ? *executor : serial).run((A.n_rows + chunk - 1) / chunk, work, [&](std::size_t task, std::size_t) {
    const arma::uword from = task * chunk, n = std::min(chunk, A.n_rows - from);
    for (arma::uword j = 0; j < Y.n_cols; ++j)
      kernels.add_combination(n, A.n_cols, A.memptr() + from, A.n_rows, C.colptr(j), Y.colptr(j) + from);
  });
}

// A C for a tall A.
inline arma::mat tall_product(const arma::mat& A, const arma::mat& C, Executor* executor = nullptr) {
  arma::mat Y(A.n_rows, C.n_cols, arma::fill::zeros);
  tall_add(Y, A, C, executor);
  return Y;
}

}  // namespace covmash
