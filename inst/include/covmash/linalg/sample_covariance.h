#pragma once
// The covariance S (p x p) of n complete samples of p variables, or a covariance that was given, as what its leading
// eigenpairs are asked of.
//
// S is held as itself or, when there are fewer samples than variables, by the data it comes from: it is then never
// formed. A product costs 2 p^2 (or 4 n p) flops a column. Memory p^2 or 2 n p.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <vector>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/executor.h"
#include "../simd/dispatch.h"
#include "leading_eigen.h"
#include "panel.h"

namespace covmash {

// A sample covariance, as a matrix or as X'X of data already centred, scaled and divided by sqrt(n).
class SampleCovariance : public SymmetricOperator {
 public:
  // x: n x p, column-major, complete. Columns are centred and, if asked, scaled to unit variance (divisor n). Needs
  // O(n p) time if the covariance is not formed, O(n p^2) if it is (when p <= 2 n or p is small).
  static SampleCovariance from_data(const double* x, std::size_t n, std::size_t p, bool standardise,
                                    Executor& executor) {
    require(n >= 2 && p >= 1, "the data need at least two samples and one variable");
    SampleCovariance out;
    out.p_ = p;
    out.n_ = n;
    out.mean_.resize(p);
    out.variance_.resize(p);
    out.by_variable_.require_size(n * p);
    out.by_sample_.require_size(n * p);
    const double root = std::sqrt(static_cast<double>(n));
    for (std::size_t j = 0; j < p; ++j) {
      const double* column = x + j * n;
      double sum = 0.0;
      for (std::size_t i = 0; i < n; ++i) sum += column[i];
      const double mean = sum / static_cast<double>(n);
      // The second pass takes out what rounding left in the mean.
      double rest = 0.0;
      for (std::size_t i = 0; i < n; ++i) rest += column[i] - mean;
      out.mean_[j] = mean + rest / static_cast<double>(n);
      double* to = out.by_variable_.data() + j * n;
      double squares = 0.0;
      for (std::size_t i = 0; i < n; ++i) {
        to[i] = (column[i] - out.mean_[j]) / root;
        squares += to[i] * to[i];
      }
      out.variance_[j] = squares;
      const double sd = std::sqrt(squares);
      if (standardise) {
        require(squares > 0.0, "a variable is constant");
        for (std::size_t i = 0; i < n; ++i) to[i] /= sd;
      }
    }
    // In tiles, so that both sides stay in the cache.
    constexpr std::size_t tile = 32;
    for (std::size_t j0 = 0; j0 < p; j0 += tile)
      for (std::size_t i0 = 0; i0 < n; i0 += tile)
        for (std::size_t j = j0; j < std::min(p, j0 + tile); ++j)
          for (std::size_t i = i0; i < std::min(n, i0 + tile); ++i)
            out.by_sample_[i * p + j] = out.by_variable_[j * n + i];
    out.diagonal_ = standardise ? std::vector<double>(p, 1.0) : out.variance_;
    if (p <= std::max<std::size_t>(2 * n, 128)) out.form(executor);
    return out;
  }

  // S: p x p, symmetric.
  static SampleCovariance from_matrix(const double* S, std::size_t p, bool standardise) {
    SampleCovariance out;
    out.p_ = p;
    out.variance_.resize(p);
    for (std::size_t j = 0; j < p; ++j) out.variance_[j] = S[j * p + j];
    out.S_.require_size(p * p);
    std::vector<double> inverse(p, 1.0);
    if (standardise)
      for (std::size_t j = 0; j < p; ++j) {
        require(out.variance_[j] > 0.0, "a variable is constant");
        inverse[j] = 1.0 / std::sqrt(out.variance_[j]);
      }
    for (std::size_t j = 0; j < p; ++j)
      for (std::size_t i = 0; i < p; ++i) out.S_[j * p + i] = S[j * p + i] * inverse[i] * inverse[j];
    if (standardise)
      for (std::size_t j = 0; j < p; ++j) out.S_[j * p + j] = 1.0;
    out.diagonal_ = standardise ? std::vector<double>(p, 1.0) : out.variance_;
    return out;
  }

  std::size_t size() const override { return p_; }
  bool is_formed() const override { return S_.size() > 0; }
  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& variance() const { return variance_; }
  const std::vector<double>& diagonal() const { return diagonal_; }
  // Largest possible rank.
  std::size_t rank_bound() const { return n_ == 0 ? p_ : std::min(p_, n_ - 1); }

  // p x p, only if formed.
  const double* data() const { return S_.data(); }
  arma::mat matrix() const override {
    require(is_formed(), "the covariance has not been formed");
    return arma::mat(S_.data(), p_, p_);
  }

  // Y = S X.
  void apply(const Panel& X, Panel& Y, Executor& executor) const override {
    if (is_formed()) {
      multiply_into(row_major(S_.data(), p_), X, Y, executor);
      return;
    }
    Panel T(n_, X.columns());
    multiply_into(row_major(by_sample_.data(), p_), X, T, executor);
    multiply_into(row_major(by_variable_.data(), n_), T, Y, executor);
  }

 private:
  // S = X'X, upper triangle by panels of 32 columns, then mirrored.
  void form(Executor& executor) {
    constexpr std::size_t width = 32, depth = 256;
    S_.require_size(p_ * p_);
    const std::size_t panels = (p_ + width - 1) / width;
    const auto& kernels = simd::kernels();
    const double work = static_cast<double>(n_) * static_cast<double>(p_) * static_cast<double>(p_);
    executor.run(panels, work, [&](std::size_t panel, std::size_t) {
      const std::size_t first = panel * width, columns = std::min(width, p_ - first), rows = first + columns;
      Buffer<double> X(depth * width), Y(rows * width);
      for (std::size_t k = 0; k < n_; k += depth) {
        const std::size_t inner = std::min(depth, n_ - k);
        for (std::size_t i = 0; i < inner; ++i)
          for (std::size_t j = 0; j < width; ++j)
            X[i * width + j] = j < columns ? by_sample_[(k + i) * p_ + first + j] : 0.0;
        kernels.panel_product(rows, inner, by_variable_.data() + k, n_, 1, X.data(), width, width, Y.data(), width,
                              k > 0);
      }
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j)
          if (i <= first + j) S_[i * p_ + first + j] = Y[i * width + j];
    });
    for (std::size_t i = 0; i < p_; ++i) {
      S_[i * p_ + i] = diagonal_[i];
      for (std::size_t j = 0; j < i; ++j) S_[i * p_ + j] = S_[j * p_ + i];
    }
    by_sample_ = Buffer<double>();
    by_variable_ = Buffer<double>();
  }

  std::size_t p_ = 0, n_ = 0;
  std::vector<double> mean_, variance_, diagonal_;
  Buffer<double> S_, by_sample_, by_variable_;
};

}  // namespace covmash
