#pragma once
// The covariance matrix of a factor model, Sigma = G G' + diag(noise), G = B chol(F) of N x q: its inverse,
// determinant, quadratic forms and conditional distributions in O(N q^2), without an N x N matrix.
//
// Genes with noise are whitened and their factor diagonalised, diag(noise)^-1/2 G = U diag(s) V'. Then
//   Sigma^-1   = diag(noise)^-1/2 (I - U diag(s^2 / (1 + s^2)) U') diag(noise)^-1/2,
//   log|Sigma| = sum log noise + sum log(1 + s^2),
// the matrix inversion lemma without I + G' diag(noise)^-1 G, whose forming squares the condition number.
//
// Genes without noise are functions of the factors (bordered form): G_Z = T Q1' with T lower triangular fixes z
// directions of the factor space at T^-1 x_Z, and the others leave a factor model with q - z factors for the genes with
// noise:
//   x_Z = T f1,   x_P = H1 f1 + H2 f2 + e,   [H1 H2] = G_P [Q1 Q2].

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "../base/constants.h"
#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/graded_svd.h"
#include "../linalg/householder.h"
#include "../linalg/panel.h"

namespace covmash {

// The law of the factors u ~ N(0, I) when some genes are known: mean and root, u | x ~ N(mean, root root').
struct FactorPosterior {
  arma::vec mean;
  arma::mat root;
};

class FactorInverse {
 public:
  FactorInverse(const arma::mat& G, const arma::vec& noise) : n_(G.n_rows), q_(G.n_cols) {
    require(noise.n_elem == n_, "the loadings and the noise variances differ in length");
    std::vector<arma::uword> zero, positive;
    for (arma::uword i = 0; i < n_; ++i) {
      require(noise[i] >= 0.0, "a noise variance is negative");
      (noise[i] > 0.0 ? positive : zero).push_back(i);
    }
    zero_ = arma::uvec(zero);
    positive_ = arma::uvec(positive);
    if (!zero.empty() && !border(G)) return;
    root_noise_ = arma::sqrt(noise.elem(positive_));
    arma::mat A;
    if (zero.empty()) {
      A = G;
    } else {
      const arma::mat H = G.rows(positive_) * basis_;
      H1_ = H.head_cols(zero_.n_elem);
      A = H.tail_cols(q_ - zero_.n_elem);
    }
    whiten(A);
    svd_ = graded_svd(A);
    const arma::uword r = svd_.s.n_elem;
    kept_.set_size(r);
    hypot_.set_size(r);
    for (arma::uword k = 0; k < r; ++k) {
      hypot_[k] = std::hypot(1.0, svd_.s[k]);
      kept_[k] = 1.0 / hypot_[k] / hypot_[k];
    }
  }

  // Genes (from 0) that are exact functions of the others; if there are any, nothing below may be asked.
  const std::vector<arma::uword>& dependent() const { return dependent_; }
  bool singular() const { return !dependent_.empty(); }

  arma::uword genes() const { return n_; }
  const arma::uvec& noiseless() const { return zero_; }
  const arma::uvec& noisy() const { return positive_; }
  const GradedSvd& svd() const { return svd_; }
  const arma::vec& kept() const { return kept_; }  // 1 / (1 + s^2)

  double log_det() const {
    if (singular()) return -std::numeric_limits<double>::infinity();
    double sum = log_det_border_;
    for (double root : root_noise_) sum += 2.0 * std::log(root);
    for (double h : hypot_) sum += 2.0 * std::log(h);
    return sum;
  }

  // Y <- Sigma^-1 Y
  void solve(arma::mat& Y) const {
    check(Y.n_rows);
    if (zero_.is_empty()) {
      solve_noisy(Y);
      return;
    }
    const arma::mat f = triangular_solve(Y.rows(zero_));
    arma::mat P = Y.rows(positive_);
    tall_add(P, H1_, -f);
    solve_noisy(P);
    Y.rows(zero_) = triangular_solve_transposed(f - H1_.t() * P);
    Y.rows(positive_) = P;
  }

  // y' Sigma^-1 y for the columns of Y: sums of squares only. Y is overwritten.
  arma::rowvec quadratic(arma::mat& Y) const {
    check(Y.n_rows);
    arma::rowvec sum(Y.n_cols, arma::fill::zeros);
    if (zero_.is_empty()) {
      add_quadratic(Y, sum);
      return sum;
    }
    const arma::mat f = triangular_solve(Y.rows(zero_));
    arma::mat P = Y.rows(positive_) - H1_ * f;
    sum = arma::sum(arma::square(f), 0);
    add_quadratic(P, sum);
    return sum;
  }

  // log N(x; 0, Sigma) for the rows x of X (samples x N), in blocks of samples.
  arma::vec log_density(const arma::mat& X, Executor& executor) const {
    require(X.n_cols == n_, "the samples and the covariance differ in length");
    const double constant = -0.5 * (static_cast<double>(n_) * 2.0 * log_sqrt_2pi + log_det());
    arma::vec out(X.n_rows);
    constexpr arma::uword block = 32;
    const double work = 4.0 * static_cast<double>(X.n_elem) * static_cast<double>(q_ + 1);
    executor.run((X.n_rows + block - 1) / block, work, [&](std::size_t task, std::size_t) {
      const arma::uword from = task * block, to = std::min<arma::uword>(X.n_rows, from + block);
      arma::mat Y = X.rows(from, to - 1).t();
      const arma::rowvec sum = quadratic(Y);
      for (arma::uword i = from; i < to; ++i) out[i] = constant - 0.5 * sum[i - from];
    });
    return out;
  }

  // tr(Sigma^-1 S) for a symmetric S (N x N), in blocks of its columns.
  double trace(const arma::mat& S, Executor& executor) const {
    check(S.n_rows);
    require(S.n_cols == n_, "the two covariances differ in size");
    constexpr arma::uword block = 32;
    const std::size_t blocks = (n_ + block - 1) / block;
    std::vector<double> sums(blocks, 0.0);
    const double work = 4.0 * static_cast<double>(n_) * static_cast<double>(n_) * static_cast<double>(q_ + 1);
    executor.run(blocks, work, [&](std::size_t task, std::size_t) {
      const arma::uword from = task * block, to = std::min<arma::uword>(n_, from + block);
      arma::mat Y = S.cols(from, to - 1);
      solve(Y);
      for (arma::uword j = from; j < to; ++j) sums[task] += Y(j, j - from);
    });
    double sum = 0.0;
    for (double part : sums) sum += part;
    return sum;
  }

  // The mean of log N(x; 0, Sigma) over samples x whose second moments are S.
  double mean_log_density(const arma::mat& S, Executor& executor) const {
    return -0.5 * (static_cast<double>(n_) * 2.0 * log_sqrt_2pi + log_det() + trace(S, executor));
  }

  // The mean of the factors given the genes at y, for the columns y of Y: q x columns of Y.
  arma::mat expected_factors(const arma::mat& Y) const {
    check(Y.n_rows);
    arma::mat f, rest;
    if (zero_.is_empty()) {
      rest = Y;
    } else {
      f = triangular_solve(Y.rows(zero_));
      rest = Y.rows(positive_) - H1_ * f;
    }
    whiten(rest);
    arma::mat t = tall_cross(svd_.U, rest);
    for (arma::uword j = 0; j < t.n_cols; ++j)
      for (arma::uword k = 0; k < t.n_rows; ++k) t(k, j) *= svd_.s[k] / hypot_[k] / hypot_[k];
    const arma::mat mean = svd_.V.head_cols(svd_.s.n_elem) * t;
    if (zero_.is_empty()) return mean;
    const arma::uword z = zero_.n_elem;
    return basis_.head_cols(z) * f + basis_.tail_cols(q_ - z) * mean;
  }

  // Whether the genes determine the factors: G' diag(noise)^-1 G can be inverted.
  bool identified() const {
    const arma::uword r = svd_.s.n_elem;
    return zero_.is_empty() && r == q_ && (r == 0 || svd_.s[r - 1] > 1e-7 * svd_.s[0]);
  }

  // (G' diag(noise)^-1 G)^-1 G' diag(noise)^-1 y for the columns y of Y, weighted least squares; only if identified().
  arma::mat least_squares_factors(const arma::mat& Y) const {
    check(Y.n_rows);
    require(identified(), "the factors are not determined by these genes");
    arma::mat rest = Y;
    whiten(rest);
    arma::mat t = tall_cross(svd_.U, rest);
    t.each_col() /= svd_.s;
    return svd_.V * t;
  }

  // The factors given the genes at y.
  FactorPosterior posterior(const arma::vec& y) const {
    FactorPosterior out;
    out.mean = expected_factors(y);
    out.root = svd_.V;
    for (arma::uword k = 0; k < svd_.s.n_elem; ++k) out.root.col(k) /= hypot_[k];
    if (!zero_.is_empty()) out.root = basis_.tail_cols(q_ - zero_.n_elem) * out.root;
    return out;
  }

  // Rows i of Y (N_P x rank) with Sigma^-1_ij = - y_i' y_j for different genes with noise.
  arma::mat precision_factor() const {
    arma::mat W = svd_.U;
    for (arma::uword k = 0; k < W.n_cols; ++k) {
      const double c = svd_.s[k] / hypot_[k];
      double* w = W.colptr(k);
      for (arma::uword i = 0; i < W.n_rows; ++i) w[i] *= c / root_noise_[i];
    }
    return W;
  }

  // 1 - u_i' diag(s^2 / (1 + s^2)) u_i for the genes with noise: which part of its noise-free precision a gene keeps.
  // Where that is small it cancels, and is computed from the other genes instead: with M the precision of the factors
  // given all other genes, it is 1 / (1 + a_i' M^-1 a_i), sums of squares only. At most 2 q genes can need it.
  arma::vec kept_precision() const {
    const arma::mat& U = svd_.U;
    const arma::uword r = U.n_cols;
    arma::vec out(U.n_rows, arma::fill::zeros);
    arma::vec lost(U.n_rows, arma::fill::zeros);
    for (arma::uword k = 0; k < r; ++k) {
      const double c = svd_.s[k] / hypot_[k];
      const double* u = U.colptr(k);
      for (arma::uword i = 0; i < U.n_rows; ++i) lost[i] += (c * u[i]) * (c * u[i]);
    }
    std::vector<arma::uword> heavy;
    for (arma::uword i = 0; i < U.n_rows; ++i) {
      out[i] = 1.0 - lost[i];
      if (lost[i] > 0.5) heavy.push_back(i);
    }
    if (heavy.empty()) return out;
    // a_i = diag(s) u_i in the basis of V; the light genes together are one triangular factor.
    std::vector<unsigned char> is_heavy(U.n_rows, 0);
    for (arma::uword i : heavy) is_heavy[i] = 1;
    arma::mat light(U.n_rows - heavy.size() + r, r, arma::fill::zeros);
    arma::mat heavy_rows(heavy.size(), r);
    for (arma::uword k = 0; k < r; ++k) {
      const double* u = U.colptr(k);
      arma::uword at_light = 0, at_heavy = 0;
      for (arma::uword i = 0; i < U.n_rows; ++i) {
        const double a = u[i] * svd_.s[k];
        if (is_heavy[i]) {
          heavy_rows(at_heavy++, k) = a;
        } else {
          light(at_light++, k) = a;
        }
      }
      light(at_light + k, k) = 1.0;
    }
    const arma::mat base = square_root_rows(light);
    for (arma::uword h = 0; h < heavy.size(); ++h) {
      arma::mat others(base.n_rows + heavy.size() - 1, r);
      arma::uword at = 0;
      for (arma::uword g = 0; g < heavy.size(); ++g)
        if (g != h) others.row(at++) = heavy_rows.row(g);
      others.tail_rows(base.n_rows) = base;
      const arma::mat R = square_root_rows(others);
      const arma::vec x = arma::solve(arma::trimatl(R.t()), heavy_rows.row(h).t(), arma::solve_opts::fast);
      out[heavy[h]] = 1.0 / (1.0 + arma::dot(x, x));
    }
    return out;
  }

  // The diagonal of Sigma^-1: one over each gene's variance given all others.
  arma::vec precision_diagonal() const {
    arma::vec out(n_);
    out.elem(positive_) = kept_precision() / arma::square(root_noise_);
    if (!zero_.is_empty()) {
      const arma::mat columns = noiseless_columns();
      for (arma::uword k = 0; k < zero_.n_elem; ++k) out[zero_[k]] = columns(zero_[k], k);
    }
    return out;
  }

  // The columns of Sigma^-1 of the genes without noise (N x z), in the order of noiseless().
  arma::mat noiseless_columns() const {
    arma::mat columns(n_, zero_.n_elem, arma::fill::zeros);
    for (arma::uword k = 0; k < zero_.n_elem; ++k) columns(zero_[k], k) = 1.0;
    solve(columns);
    return columns;
  }

  const arma::vec& root_noise() const { return root_noise_; }

 private:
  void check(arma::uword rows) const {
    require(rows == n_, "a vector and the covariance differ in length");
    if (singular()) throw numeric_error("the covariance matrix of a factor model is singular");
  }

  // R (r x r, upper triangular up to the order of its columns undone) with R'R = A'A. Rows sorted by size.
  static arma::mat square_root_rows(const arma::mat& A) {
    const arma::uvec order = arma::stable_sort_index(arma::max(arma::abs(A), 1), "descend");
    // Columns keep their order: the result has to be triangular. It is a QR of rows that dominate in turn.
    arma::mat R, sorted = A.rows(order);
    triangularise(sorted);
    R = arma::trimatu(sorted.head_rows(A.n_cols));
    return R;
  }

  // Splits the factor space by the genes without noise; false if they depend on each other.
  bool border(const arma::mat& G) {
    const arma::uword z = zero_.n_elem;
    arma::mat A = G.rows(zero_).t();
    arma::vec scale(z);
    for (arma::uword i = 0; i < z; ++i) {
      scale[i] = stable_norm(q_, A.colptr(i));
      if (scale[i] > 0.0) A.col(i) /= scale[i];
    }
    const PivotedQr qr(std::move(A));
    const double tolerance =
        8.0 * std::numeric_limits<double>::epsilon() * static_cast<double>(std::max<arma::uword>(z, q_));
    arma::uword rank = 0;
    while (rank < qr.steps() && std::fabs(qr.pivot(rank)) > tolerance) ++rank;
    for (arma::uword i = rank; i < z; ++i) dependent_.push_back(zero_[qr.order()[i]]);
    std::sort(dependent_.begin(), dependent_.end());
    if (!dependent_.empty()) return false;
    // The genes without noise in the order of the pivots: G_Z = diag(scale) R' Q1'.
    arma::uvec order(z);
    arma::vec ordered(z);
    for (arma::uword i = 0; i < z; ++i) {
      order[i] = qr.order()[i];
      ordered[i] = scale[order[i]];
    }
    zero_ = zero_.elem(order);
    T_ = qr.R().t();
    for (arma::uword i = 0; i < z; ++i) T_.row(i) *= ordered[i];
    for (arma::uword i = 0; i < z; ++i) log_det_border_ += 2.0 * std::log(std::fabs(T_(i, i)));
    basis_ = arma::eye(q_, q_);
    qr.multiply(basis_);
    return true;
  }

  arma::mat triangular_solve(const arma::mat& Y) const {
    return arma::solve(arma::trimatl(T_), Y, arma::solve_opts::fast);
  }
  arma::mat triangular_solve_transposed(const arma::mat& Y) const {
    return arma::solve(arma::trimatu(T_.t()), Y, arma::solve_opts::fast);
  }

  // Rows belong to the genes with noise.
  void solve_noisy(arma::mat& Y) const {
    whiten(Y);
    if (svd_.s.n_elem > 0) {
      const arma::mat T = tall_cross(svd_.U, Y);
      if (svd_.s.n_elem == Y.n_rows) {  // nothing lies outside the span of U
        Y = svd_.U * (T.each_col() % kept_);
      } else {
        tall_add(Y, svd_.U, T.each_col() % (kept_ - 1.0));
      }
    }
    whiten(Y);
  }

  void add_quadratic(arma::mat& Y, arma::rowvec& sum) const {
    whiten(Y);
    if (svd_.s.n_elem > 0) {
      const arma::mat T = tall_cross(svd_.U, Y);
      for (arma::uword j = 0; j < T.n_cols; ++j)
        for (arma::uword k = 0; k < T.n_rows; ++k) sum[j] += kept_[k] * T(k, j) * T(k, j);
      if (svd_.s.n_elem == Y.n_rows) return;  // nothing lies outside the span of U
      tall_add(Y, svd_.U, -T);
    }
    sum += arma::sum(arma::square(Y), 0);
  }

  void whiten(arma::mat& Y) const {
    if (Y.is_empty()) return;
    for (arma::uword j = 0; j < Y.n_cols; ++j) {
      double* y = Y.colptr(j);
      for (arma::uword i = 0; i < Y.n_rows; ++i) y[i] /= root_noise_[i];
    }
  }

  arma::uword n_, q_;
  arma::uvec zero_, positive_;
  std::vector<arma::uword> dependent_;
  arma::mat T_, basis_, H1_;
  double log_det_border_ = 0.0;
  arma::vec root_noise_;
  GradedSvd svd_;
  arma::vec kept_, hypot_;
};

}  // namespace covmash
