#pragma once
// The leading eigenpairs of A = E S E, where S is a sample covariance (p x p) and E a diagonal scaling that changes
// from call to call.
//
// S is held as itself or, when there are fewer samples than variables, by the data it comes from: it is then never
// formed. Small problems are decomposed whole (LAPACK, O(p^3)). Otherwise: subspace iteration with Chebyshev filters
// (Zhou and Saad 2007, SIAM J. Matrix Anal. Appl. 29, 954-971) on a panel of a few more than k columns, started from
// the answer of the call before. One product costs 2 p^2 (or 4 n p) flops a column; about five are needed when the
// scaling has changed little. Memory O(p k) beside S.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "panel.h"

namespace covmash {

// A sample covariance, as a matrix or as X'X of data already centred, scaled and divided by sqrt(n).
class SampleCovariance {
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

  std::size_t size() const { return p_; }
  bool is_formed() const { return S_.size() > 0; }
  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& variance() const { return variance_; }
  const std::vector<double>& diagonal() const { return diagonal_; }
  // Largest possible rank.
  std::size_t rank_bound() const { return n_ == 0 ? p_ : std::min(p_, n_ - 1); }

  // p x p, only if formed.
  const double* data() const { return S_.data(); }
  arma::mat matrix() const {
    require(is_formed(), "the covariance has not been formed");
    return arma::mat(S_.data(), p_, p_);
  }

  // Y = S X.
  void apply(const Panel& X, Panel& Y, Executor& executor) const {
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

class LeadingEigen {
 public:
  LeadingEigen(const SampleCovariance& S, std::size_t k, Executor& executor)
      : S_(S), k_(std::min(k, S.size())), executor_(executor) {
    const std::size_t w = Panel::padded(k_ + 2);
    whole_ = S.is_formed() && S.size() < std::max<std::size_t>(dense_below, 6 * w);
    if (!whole_ && k_ > 0) start(w);
  }

  // Decomposed whole: `all_values` and `all_vectors` hold every pair.
  bool whole() const { return whole_; }
  // values[j], j < k, decreasing; vectors(i, j), orthonormal columns.
  const std::vector<double>& values() const { return values_; }
  double vector(std::size_t i, std::size_t j) const { return whole_ ? all_vectors(i, j) : V_(i, j); }
  // Eigenvalues, decreasing, and vectors of the whole matrix; only if whole().
  arma::vec all_values;
  arma::mat all_vectors;
  // Largest norm of A u - lambda u over the k pairs.
  double residual() const { return residual_; }
  double products() const { return products_; }

  // Before the next solve: the columns beyond k start anew, and some filtering is done in any case. A pair that all
  // columns had lost from sight comes back so.
  void look_again() {
    for (std::size_t i = 0; i < V_.rows(); ++i)
      for (std::size_t j = k_; j < V_.width(); ++j) V_(i, j) = scattered() / std::sqrt(static_cast<double>(V_.rows()));
    forced_ = 2;
  }

  // Solve for the scaling e (p). Residual norms are at most `tolerance`, or what rounding allows.
  void solve(const std::vector<double>& e, double tolerance) {
    if (k_ == 0 && !whole_) return;
    if (whole_) {
      solve_whole(e);
      return;
    }
    const std::size_t p = S_.size(), w = V_.width();
    // If S = B B' + Psi, the vectors wanted span E B: those of the last call span E_last B.
    if (!last_.empty())
      for (std::size_t i = 0; i < p; ++i) {
        const double ratio = e[i] / last_[i];
        for (std::size_t j = 0; j < w; ++j) V_(i, j) *= ratio;
      }
    last_ = e;
    orthonormalise();
    double before = std::numeric_limits<double>::infinity();
    int stalled = 0;
    for (int cycle = 0;; ++cycle) {
      rayleigh_ritz();
      const double floor = 4.0 * std::numeric_limits<double>::epsilon() * theta_[0] * std::sqrt(static_cast<double>(p));
      if (residual_ <= std::max(tolerance, floor) && cycle >= forced_) break;
      stalled = residual_ > 0.7 * before ? stalled + 1 : 0;
      before = std::min(before, residual_);
      if (cycle >= max_cycles || (stalled > 8 && residual_ < 1e-8 * theta_[0])) break;
      filter(tolerance);
      orthonormalise();
    }
    forced_ = 0;
    values_.assign(theta_.begin(), theta_.begin() + static_cast<std::ptrdiff_t>(k_));
  }

 private:
  static constexpr std::size_t dense_below = 32;
  static constexpr int max_cycles = 200;

  // Any start will do; this one is the same everywhere (splitmix64).
  double scattered() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53 - 0.5;
  }

  void start(std::size_t w) {
    const std::size_t p = S_.size();
    V_ = Panel(p, w);
    AV_ = Panel(p, w);
    next_ = Panel(p, w);
    scaled_ = Panel(p, w);
    for (std::size_t i = 0; i < p; ++i)
      for (std::size_t j = 0; j < w; ++j) V_(i, j) = scattered();
  }

  void solve_whole(const std::vector<double>& e) {
    const arma::uword p = S_.size();
    arma::mat A = S_.matrix();
    for (arma::uword j = 0; j < p; ++j)
      for (arma::uword i = 0; i < p; ++i) A(i, j) *= e[i] * e[j];
    arma::vec values;
    if (!arma::eig_sym(values, all_vectors, A)) throw numeric_error("an eigendecomposition did not converge");
    all_values = arma::reverse(values);
    all_vectors = arma::fliplr(all_vectors);
    values_.assign(all_values.begin(), all_values.begin() + static_cast<std::ptrdiff_t>(k_));
    residual_ = 0.0;
    ++products_;
  }

  void apply(const Panel& X, Panel& Y) {
    const std::size_t p = X.rows(), w = X.width();
    for (std::size_t i = 0; i < p; ++i)
      for (std::size_t j = 0; j < w; ++j) scaled_(i, j) = last_[i] * X(i, j);
    S_.apply(scaled_, Y, executor_);
    for (std::size_t i = 0; i < p; ++i)
      for (std::size_t j = 0; j < w; ++j) Y(i, j) *= last_[i];
    ++products_;
  }

  // X <- X C, C row-major w x w.
  void transform(Panel& X, const std::vector<double>& C) {
    const std::size_t w = X.width();
    multiply_into(X.rows(), w, as_factor(X), C.data(), w, w, next_.data(), w, executor_);
    std::swap(X, next_);
  }

  // V <- V G^-1/2-like, twice: columns of unit length first, so that the small ones keep their digits. Directions lost
  // to rounding are replaced by others: a zero column would pass for an eigenvector.
  void orthonormalise() {
    const std::size_t w = V_.width();
    int passes = 2;
    for (int pass = 0; pass < passes; ++pass) {
      std::vector<std::size_t> lost;
      const std::vector<double> gram = cross_product(V_, V_, executor_);
      std::vector<double> length(w);
      for (std::size_t j = 0; j < w; ++j) length[j] = gram[j * w + j] > 0.0 ? 1.0 / std::sqrt(gram[j * w + j]) : 0.0;
      arma::mat G(w, w);
      for (std::size_t i = 0; i < w; ++i)
        for (std::size_t j = 0; j < w; ++j) G(i, j) = gram[i * w + j] * length[i] * length[j];
      std::vector<double> C(w * w, 0.0);
      arma::mat R;
      // A tiny pivot means a direction that is mostly rounding.
      if (arma::chol(R, G) && R.diag().min() > 1e-5) {
        const arma::mat inverse = arma::inv(arma::trimatu(R));
        for (std::size_t i = 0; i < w; ++i)
          for (std::size_t j = i; j < w; ++j) C[i * w + j] = length[i] * inverse(i, j);
      } else {
        arma::vec g;
        arma::mat Y;
        if (!arma::eig_sym(g, Y, G)) throw numeric_error("an eigendecomposition did not converge");
        for (std::size_t j = 0; j < w; ++j) {
          const std::size_t from = w - 1 - j;
          if (g[from] <= 1e-12) {
            lost.push_back(j);
            continue;
          }
          for (std::size_t i = 0; i < w; ++i) C[i * w + j] = length[i] * Y(i, from) / std::sqrt(g[from]);
        }
      }
      transform(V_, C);
      for (std::size_t j : lost)
        for (std::size_t i = 0; i < V_.rows(); ++i) V_(i, j) = scattered();
      if (!lost.empty()) passes = std::min(pass + 3, 6);
    }
  }

  void rayleigh_ritz() {
    const std::size_t p = V_.rows(), w = V_.width();
    apply(V_, AV_);
    const std::vector<double> T = cross_product(V_, AV_, executor_);
    arma::mat H(w, w);
    for (std::size_t i = 0; i < w; ++i)
      for (std::size_t j = 0; j < w; ++j) H(i, j) = 0.5 * (T[i * w + j] + T[j * w + i]);
    arma::vec values;
    arma::mat Y;
    if (!arma::eig_sym(values, Y, H)) throw numeric_error("an eigendecomposition did not converge");
    std::vector<double> C(w * w);
    theta_.resize(w);
    for (std::size_t j = 0; j < w; ++j) {
      theta_[j] = values[w - 1 - j];
      for (std::size_t i = 0; i < w; ++i) C[i * w + j] = Y(i, w - 1 - j);
    }
    transform(V_, C);
    transform(AV_, C);
    std::vector<double> squares(w, 0.0);
    for (std::size_t i = 0; i < p; ++i)
      for (std::size_t j = 0; j < w; ++j) {
        const double r = AV_(i, j) - theta_[j] * V_(i, j);
        squares[j] += r * r;
      }
    residual_ = 0.0;
    for (std::size_t j = 0; j < k_; ++j) residual_ = std::max(residual_, std::sqrt(squares[j]));
    largest_ = theta_[0] + std::sqrt(squares[0]);
  }

  // V <- T_d(A) V with the Chebyshev polynomial that is small on [0, theta_w], the part of the spectrum not wanted; AV
  // is known, so the first degree is free.
  void filter(double tolerance) {
    const std::size_t p = V_.rows(), w = V_.width();
    double cut = theta_[w - 1];
    for (std::size_t j = w; j-- > k_ && cut <= 1e-3 * theta_[0];) cut = std::max(cut, theta_[j]);
    cut = std::max(cut, 1e-8 * theta_[0]);
    const double half = 0.5 * cut;
    auto growth = [&](double theta) { return std::acosh(std::max(theta / half - 1.0, 1.0 + 1e-12)); };
    const double wanted = std::log(std::max(4.0 * residual_ / std::max(tolerance, 1e-300), forced_ > 0 ? 1e4 : 2.0));
    const double slowest = std::max(growth(theta_[k_ - 1]), 1e-6), spread = growth(largest_) - slowest;
    double degree = std::ceil(std::min(wanted / slowest, 30.0));
    // The strongest direction must not drown the weakest one in rounding.
    if (spread > 0.0) degree = std::min(degree, std::floor(16.0 / spread));
    const int d = static_cast<int>(std::max(degree, 1.0));

    double sigma = half / (largest_ - half);
    const double tau = 2.0 / sigma;
    for (std::size_t i = 0; i < p; ++i)
      for (std::size_t j = 0; j < w; ++j) AV_(i, j) = (AV_(i, j) - half * V_(i, j)) * (sigma / half);
    std::swap(V_, AV_);  // V: degree 1, AV: degree 0
    for (int i = 2; i <= d; ++i) {
      const double sigma_next = 1.0 / (tau - sigma);
      apply(V_, next_);
      const double a = 2.0 * sigma_next / half, b = sigma * sigma_next;
      for (std::size_t r = 0; r < p; ++r)
        for (std::size_t j = 0; j < w; ++j) AV_(r, j) = a * (next_(r, j) - half * V_(r, j)) - b * AV_(r, j);
      std::swap(V_, AV_);
      sigma = sigma_next;
    }
  }

  const SampleCovariance& S_;
  std::size_t k_;
  Executor& executor_;
  bool whole_ = false;
  Panel V_, AV_, next_, scaled_;
  std::vector<double> theta_, values_, last_;
  double residual_ = 0.0, products_ = 0.0;
  double largest_ = 0.0;  // the largest eigenvalue, by what the residual leaves open
  std::uint64_t state_ = 20250101;
  int forced_ = 0;
};

}  // namespace covmash
