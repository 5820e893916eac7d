#pragma once
// The leading eigenpairs of A = E S E, where S (p x p) is known by its products and E a diagonal scaling that changes
// from call to call.
//
// Small matrices are decomposed whole (LAPACK, O(p^3)). Otherwise: subspace iteration with Chebyshev filters (Zhou and
// Saad 2007, SIAM J. Matrix Anal. Appl. 29, 954-971) on a panel of a few more than k columns, started from the answer of
// the call before. About five products of S with the panel are needed when the scaling has changed little. Memory
// O(p k) beside S.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../base/splitmix.h"
#include "panel.h"

namespace covmash {

// A symmetric positive semi-definite matrix, known by its products.
class SymmetricOperator {
 public:
  virtual ~SymmetricOperator() = default;
  virtual std::size_t size() const = 0;
  // Y = A X.
  virtual void apply(const Panel& X, Panel& Y, Executor& executor) const = 0;
  // Whether it is there as a matrix, which is decomposed whole if it is small; and that matrix.
  virtual bool is_formed() const { return false; }
  virtual arma::mat matrix() const { throw input_error("the matrix has not been formed"); }
};

struct LeadingEigenOptions {
  std::size_t guard = 2;  // columns beyond k, at least
  // Tolerances are parts of each eigenvalue.
  bool relative = false;
  // Pairs that have converged are taken out of the matrix, so that those next to them, perhaps orders of magnitude
  // smaller, do not drown in them. Pays where the last of the k are at the edge of a dense part of the spectrum.
  bool deflate = false;
};

class LeadingEigen {
 public:
  LeadingEigen(const SymmetricOperator& S, std::size_t k, Executor& executor, const LeadingEigenOptions& options = {})
      : S_(S), k_(std::min(k, S.size())), executor_(executor), options_(options) {
    const std::size_t w = Panel::padded(k_ + options.guard);
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
  const std::vector<double>& residuals() const { return residuals_; }
  // Whether the last solve reached its tolerance.
  bool converged() const { return converged_; }
  double products() const { return products_; }

  // Before the next solve: the columns beyond k start anew, and some filtering is done in any case. A pair that all
  // columns had lost from sight comes back so.
  void look_again() {
    for (std::size_t i = 0; i < V_.rows(); ++i)
      for (std::size_t j = k_; j < V_.width(); ++j) V_(i, j) = scattered() / std::sqrt(static_cast<double>(V_.rows()));
    forced_ = 2;
  }

  // The first columns to iterate on, instead of meaningless ones: anything near the leading eigenvectors.
  void begin_with(const arma::mat& X) {
    if (whole_ || k_ == 0) return;
    for (std::size_t j = 0; j < std::min<std::size_t>(X.n_cols, V_.width()); ++j)
      for (std::size_t i = 0; i < V_.rows(); ++i) V_(i, j) = X(i, j);
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
      const std::size_t good = n_converged(tolerance, floor);
      converged_ = good == k_;
      if (converged_ && cycle >= forced_) break;
      stalled = residual_ > 0.7 * before ? stalled + 1 : 0;
      before = std::min(before, residual_);
      if (cycle >= max_cycles || (stalled > 8 && residual_ < 1e-8 * theta_[locked_])) break;
      if (options_.deflate) lock(good);
      filter(tolerance);
      orthonormalise();
    }
    forced_ = 0;
    values_.assign(theta_.begin(), theta_.begin() + static_cast<std::ptrdiff_t>(k_));
  }

 private:
  static constexpr std::size_t dense_below = 32;
  static constexpr int max_cycles = 200;

  // Any start will do.
  double scattered() { return scatter_() - 0.5; }

  // How many of the first pairs have residuals within the tolerance.
  std::size_t n_converged(double tolerance, double floor) const {
    std::size_t n = 0;
    while (n < k_ && residuals_[n] <= std::max(options_.relative ? tolerance * theta_[n] : tolerance, floor)) ++n;
    return n;
  }

  // The first n pairs stay as they are in the next filter.
  void lock(std::size_t n) {
    locked_ = n;
    if (n == 0) return;
    lock_ = Panel(V_.rows(), n);
    for (std::size_t i = 0; i < V_.rows(); ++i) std::copy_n(V_.row(i), n, lock_.row(i));
  }

  // X <- X less its part in the locked directions; the columns of those become zero.
  void deflate(Panel& X) {
    if (locked_ == 0) return;
    for (std::size_t i = 0; i < X.rows(); ++i) std::fill_n(X.row(i), locked_, 0.0);
    const std::vector<double> C = cross_product(lock_, X, executor_);
    multiply_into(X.rows(), lock_.width(), as_factor(lock_), C.data(), X.width(), X.width(), scaled_.data(), X.width(),
                  executor_);
    for (std::size_t i = 0; i < X.rows(); ++i)
      for (std::size_t j = 0; j < X.width(); ++j) X(i, j) -= scaled_(i, j);
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
    converged_ = true;
    values_.assign(all_values.begin(), all_values.begin() + static_cast<std::ptrdiff_t>(k_));
    residual_ = 0.0;
    residuals_.assign(k_, 0.0);
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
    residuals_.resize(w);
    for (std::size_t j = 0; j < w; ++j) residuals_[j] = std::sqrt(squares[j]);
    for (std::size_t j = 0; j < k_; ++j) residual_ = std::max(residual_, residuals_[j]);
  }

  // V <- T_d(A) V with the Chebyshev polynomial that is small on [0, theta_w], the part of the spectrum not wanted; AV
  // is known, so the first degree is free.
  void filter(double tolerance) {
    const std::size_t p = V_.rows(), w = V_.width();
    double cut = theta_[w - 1];
    for (std::size_t j = w; j-- > k_ && cut <= 1e-3 * theta_[locked_];) cut = std::max(cut, theta_[j]);
    cut = std::max(cut, 1e-8 * theta_[locked_]);
    const double half = 0.5 * cut;
    auto growth = [&](double theta) { return std::acosh(std::max(theta / half - 1.0, 1.0 + 1e-12)); };
    // The largest eigenvalue, by what the residual leaves open.
    const double largest = theta_[locked_] + residuals_[locked_];
    const double small = std::max(options_.relative ? tolerance * theta_[k_ - 1] : tolerance, 1e-300);
    const double wanted = std::log(std::max(4.0 * residual_ / small, forced_ > 0 ? 1e4 : 2.0));
    const double slowest = std::max(growth(theta_[k_ - 1]), 1e-6), spread = growth(largest) - slowest;
    double degree = std::ceil(std::min(wanted / slowest, 30.0));
    // The strongest direction must not drown the weakest one in rounding.
    if (spread > 0.0) degree = std::min(degree, std::floor(16.0 / spread));
    const int d = static_cast<int>(std::max(degree, 1.0));

    double sigma = half / (largest - half);
    const double tau = 2.0 / sigma;
    for (std::size_t i = 0; i < p; ++i)
      for (std::size_t j = 0; j < w; ++j) AV_(i, j) = (AV_(i, j) - half * V_(i, j)) * (sigma / half);
    std::swap(V_, AV_);  // V: degree 1, AV: degree 0
    deflate(V_);
    deflate(AV_);
    for (int i = 2; i <= d; ++i) {
      const double sigma_next = 1.0 / (tau - sigma);
      apply(V_, next_);
      deflate(next_);
      const double a = 2.0 * sigma_next / half, b = sigma * sigma_next;
      for (std::size_t r = 0; r < p; ++r)
        for (std::size_t j = 0; j < w; ++j) AV_(r, j) = a * (next_(r, j) - half * V_(r, j)) - b * AV_(r, j);
      std::swap(V_, AV_);
      sigma = sigma_next;
    }
    for (std::size_t i = 0; i < p && locked_ > 0; ++i) std::copy_n(lock_.row(i), locked_, V_.row(i));
  }

  const SymmetricOperator& S_;
  std::size_t k_;
  Executor& executor_;
  LeadingEigenOptions options_;
  bool whole_ = false, converged_ = false;
  Panel V_, AV_, next_, scaled_, lock_;
  std::vector<double> theta_, values_, last_, residuals_;
  double residual_ = 0.0, products_ = 0.0;
  std::size_t locked_ = 0;
  SplitMix64 scatter_{20250101};
  int forced_ = 0;
};

}  // namespace covmash
