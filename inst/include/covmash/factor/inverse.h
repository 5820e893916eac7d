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
// So are, nearly, genes whose noise is small against what all other genes leave of their variance: Sigma^-1 has
// kept / noise on their diagonal with a small kept = 1 - u' diag(s^2 / (1 + s^2)) u, of which subtraction leaves
// eps / kept, however well Sigma is conditioned. They enter the border too, with their noise as a factor of their own:
//   [G_H  diag(noise_H)^1/2] = T Q1',
// by orthogonal transformations, whose errors are relative to each gene's variance. What the genes outside the border
// lose by subtraction is bounded, so every entry of Sigma^-1 is good to about eps cond(Sigma), Sigma scaled to unit
// variances. The kept parts sum to at least N - q, so no more than about q genes need it, and the cost stays O(N q^2).

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

// What is asked: solve(), trace() and entries of the inverse need the small-noise genes in the border; log_det(),
// quadratic(), the factors given genes and least_squares_factors() do not, and are spared a second decomposition.
enum class Purpose { inverse, density };

class FactorInverse {
 public:
  FactorInverse(const arma::mat& G, const arma::vec& noise, Executor* executor = nullptr,
                Purpose purpose = Purpose::inverse)
      : n_(G.n_rows), q_(G.n_cols), basis_(arma::eye(G.n_cols, G.n_cols)) {
    require(noise.n_elem == n_, "the loadings and the noise variances differ in length");
    std::vector<arma::uword> zero;
    for (arma::uword i = 0; i < n_; ++i) {
      require(noise[i] >= 0.0, "a noise variance is negative");
      if (noise[i] == 0.0) zero.push_back(i);
    }
    if (!zero.empty() && !extend_border(G, noise, zero, {})) return;
    decompose(G, noise, executor);
    if (purpose == Purpose::density) return;
    std::vector<arma::uword> heavy;
    std::vector<double> kept;
    const arma::vec lost = lost_precision();
    for (arma::uword i = 0; i < lost.n_elem; ++i) {
      if (lost[i] <= most_lost) continue;
      heavy.push_back(others_[i]);
      kept.push_back(std::max(1.0 - lost[i], std::numeric_limits<double>::epsilon()));
    }
    if (!heavy.empty() && extend_border(G, noise, heavy, kept)) decompose(G, noise, executor);
  }

  // Genes (from 0) that are exact functions of the others; if there are any, nothing below may be asked.
  const std::vector<arma::uword>& dependent() const { return dependent_; }
  bool singular() const { return !dependent_.empty(); }

  arma::uword genes() const { return n_; }
  const arma::uvec& border() const { return border_; }  // in the order of T
  const arma::uvec& others() const { return others_; }
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
    if (border_.is_empty()) {
      solve_others(Y);
      return;
    }
    const arma::mat f = triangular_solve(Y.rows(border_));
    arma::mat P = Y.rows(others_);
    tall_add(P, H1_, -f);
    solve_others(P);
    Y.rows(border_) = triangular_solve_transposed(f - tall_cross(H1_, P));
    Y.rows(others_) = P;
  }

  // The same in blocks of columns.
  void solve(arma::mat& Y, Executor& executor) const {
    check(Y.n_rows);
    constexpr arma::uword block = 16;
    const double work = 8.0 * static_cast<double>(Y.n_elem) * static_cast<double>(q_ + border_.n_elem + 1);
    executor.run((Y.n_cols + block - 1) / block, work, [&](std::size_t task, std::size_t) {
      const arma::uword from = task * block, to = std::min<arma::uword>(Y.n_cols, from + block);
      arma::mat part = Y.cols(from, to - 1);
      solve(part);
      Y.cols(from, to - 1) = part;
    });
  }

  // y' Sigma^-1 y for the columns of Y: sums of squares only. Y is overwritten.
  arma::rowvec quadratic(arma::mat& Y) const {
    check(Y.n_rows);
    arma::rowvec sum(Y.n_cols, arma::fill::zeros);
    if (border_.is_empty()) {
      add_quadratic(Y, sum);
      return sum;
    }
    const arma::mat f = triangular_solve(Y.rows(border_));
    arma::mat P = Y.rows(others_);
    tall_add(P, H1_, -f);
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
    if (border_.is_empty()) {
      rest = Y;
    } else {
      f = triangular_solve(Y.rows(border_));
      rest = Y.rows(others_);
      tall_add(rest, H1_, -f);
    }
    whiten(rest);
    arma::mat t = tall_cross(svd_.U, rest);
    for (arma::uword j = 0; j < t.n_cols; ++j)
      for (arma::uword k = 0; k < t.n_rows; ++k) t(k, j) *= svd_.s[k] / hypot_[k] / hypot_[k];
    const arma::mat mean = svd_.V.head_cols(svd_.s.n_elem) * t;
    if (border_.is_empty()) return mean;
    return basis_.head_cols(border_.n_elem) * f + free_basis() * mean;
  }

  // Whether the genes determine the factors: G' diag(noise)^-1 G can be inverted. For Purpose::density only: with a
  // border it is false.
  bool identified() const {
    const arma::uword r = svd_.s.n_elem;
    return border_.is_empty() && r == q_ && (r == 0 || svd_.s[r - 1] > 1e-7 * svd_.s[0]);
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
    if (!border_.is_empty()) out.root = free_basis() * out.root;
    return out;
  }

  // Rows of W (others() x rank) with Sigma^-1_ij = - w_i' w_j for different genes outside the border.
  arma::mat precision_factor() const {
    arma::mat W = svd_.U;
    for (arma::uword k = 0; k < W.n_cols && W.n_rows > 0; ++k) {
      const double c = svd_.s[k] / hypot_[k];
      double* w = W.colptr(k);
      for (arma::uword i = 0; i < W.n_rows; ++i) w[i] *= c / root_noise_[i];
    }
    return W;
  }

  // 1 - u_i' diag(s^2 / (1 + s^2)) u_i for the genes outside the border: which part of its noise-free precision a gene
  // keeps.
  arma::vec kept_precision() const {
    arma::vec out = 1.0 - lost_precision();
    if (svd_.s.n_elem != svd_.U.n_rows) return out;
    // Nothing lies outside the span of U: a sum of squares.
    for (arma::uword i = 0; i < out.n_elem; ++i) {
      out[i] = 0.0;
      for (arma::uword k = 0; k < svd_.s.n_elem; ++k) out[i] += kept_[k] * svd_.U(i, k) * svd_.U(i, k);
    }
    return out;
  }

  // The diagonal of Sigma^-1, given border_columns(): one over each gene's variance given all others.
  arma::vec precision_diagonal(const arma::mat& columns) const {
    arma::vec out(n_);
    if (!others_.is_empty()) out.elem(others_) = kept_precision() / root_noise_ / root_noise_;
    for (arma::uword k = 0; k < border_.n_elem; ++k) out[border_[k]] = columns(border_[k], k);
    return out;
  }

  // The columns of Sigma^-1 of the genes of the border (N x z), in their order.
  arma::mat border_columns(Executor& executor) const {
    arma::mat columns(n_, border_.n_elem, arma::fill::zeros);
    for (arma::uword k = 0; k < border_.n_elem; ++k) columns(border_[k], k) = 1.0;
    solve(columns, executor);
    return columns;
  }

  const arma::vec& root_noise() const { return root_noise_; }

 private:
  void check(arma::uword rows) const {
    require(rows == n_, "a vector and the covariance differ in length");
    if (singular()) throw numeric_error("the covariance matrix of a factor model is singular");
  }

  // Genes that lose more of their noise-free precision than this are taken into the border.
  static constexpr double most_lost = 15.0 / 16.0;

  // Conditions on more genes: on all of them if they have no noise (false if they depend on each other); otherwise on
  // those that the genes before them leave more variance than the part `kept` (false if there are none). The genes of
  // such a pair that stays outside are close to functions of each other; Sigma is then no better conditioned than
  // 1 / kept.
  bool extend_border(const arma::mat& G, const arma::vec& noise, const std::vector<arma::uword>& genes,
                     const std::vector<double>& kept) {
    const arma::uword m = genes.size(), z = border_.n_elem, free = basis_.n_cols - z;
    const bool noisy = !kept.empty();
    const arma::mat H = G.rows(arma::uvec(genes)) * basis_;
    arma::mat A(free + (noisy ? m : 0), m, arma::fill::zeros);  // a gene a column, of its own length
    arma::vec scale(m, arma::fill::zeros);
    for (arma::uword i = 0; i < m; ++i) {
      for (arma::uword k = 0; k < free; ++k) A(k, i) = H(i, z + k);
      if (noisy) A(free + i, i) = std::sqrt(noise[genes[i]]);
      for (arma::uword k = 0; k < q_; ++k) scale[i] = std::hypot(scale[i], G(genes[i], k));
      scale[i] = std::hypot(scale[i], std::sqrt(noise[genes[i]]));
      if (scale[i] > 0.0)
        for (arma::uword k = 0; k < A.n_rows; ++k) A(k, i) /= scale[i];
    }
    const PivotedQr qr(A);
    if (noisy) {
      std::vector<arma::uword> chosen;
      std::vector<double> chosen_kept;
      for (arma::uword k = 0; k < qr.steps(); ++k) {
        const arma::uword i = qr.order()[k];
        if (qr.pivot(k) * qr.pivot(k) <= kept[i]) continue;
        chosen.push_back(genes[i]);
        chosen_kept.push_back(0.0);  // with fewer genes before it a gene is left no less
      }
      if (chosen.empty()) return false;
      if (chosen.size() < m) return extend_border(G, noise, chosen, chosen_kept);
    } else {
      const double tolerance =
          8.0 * std::numeric_limits<double>::epsilon() * static_cast<double>(std::max<arma::uword>(m, q_));
      arma::uword rank = 0;
      while (rank < qr.steps() && std::fabs(qr.pivot(rank)) > tolerance) ++rank;
      for (arma::uword i = rank; i < m; ++i) dependent_.push_back(genes[qr.order()[i]]);
      std::sort(dependent_.begin(), dependent_.end());
      if (!dependent_.empty()) return false;
    }
    // In the order of the pivots: H = [H1, diag(scale) R' Q'].
    arma::mat T(z + m, z + m, arma::fill::zeros);
    arma::uvec border(z + m);
    for (arma::uword i = 0; i < z; ++i) {
      border[i] = border_[i];
      for (arma::uword k = 0; k <= i; ++k) T(i, k) = T_(i, k);
    }
    const arma::mat R = qr.R();
    for (arma::uword i = 0; i < m; ++i) {
      const arma::uword from = qr.order()[i];
      border[z + i] = genes[from];
      for (arma::uword k = 0; k < z; ++k) T(z + i, k) = H(from, k);
      for (arma::uword k = 0; k <= i; ++k) T(z + i, z + k) = R(k, i) * scale[from];
      log_det_border_ += 2.0 * std::log(std::fabs(T(z + i, z + i)));
    }
    // The factors in terms of what has been fixed and of what is left.
    arma::mat Q = arma::eye(A.n_rows, A.n_rows);
    qr.multiply(Q);
    basis_ = arma::join_rows(arma::mat(basis_.head_cols(z)), arma::mat(free_basis() * Q.head_rows(free)));
    T_ = T;
    border_ = border;
    return true;
  }

  // The model of the genes outside the border, given those inside.
  void decompose(const arma::mat& G, const arma::vec& noise, Executor* executor) {
    std::vector<unsigned char> inside(n_, 0);
    for (arma::uword i : border_) inside[i] = 1;
    std::vector<arma::uword> others;
    for (arma::uword i = 0; i < n_; ++i)
      if (!inside[i]) others.push_back(i);
    others_ = arma::uvec(others);
    root_noise_ = arma::sqrt(noise.elem(others_));
    arma::mat A;
    if (border_.is_empty()) {
      A = G;
    } else {
      const arma::mat H = tall_product(G.rows(others_), basis_, executor);
      H1_ = H.head_cols(border_.n_elem);
      A = H.tail_cols(basis_.n_cols - border_.n_elem);
    }
    whiten(A, executor);
    svd_ = graded_svd(A, executor);
    const arma::uword r = svd_.s.n_elem;
    kept_.set_size(r);
    hypot_.set_size(r);
    for (arma::uword k = 0; k < r; ++k) {
      hypot_[k] = std::hypot(1.0, svd_.s[k]);
      kept_[k] = 1.0 / hypot_[k] / hypot_[k];
    }
  }

  arma::vec lost_precision() const {
    const arma::mat& U = svd_.U;
    arma::vec lost(U.n_rows, arma::fill::zeros);
    for (arma::uword k = 0; k < U.n_cols && U.n_rows > 0; ++k) {
      const double c = svd_.s[k] / hypot_[k];
      const double* u = U.colptr(k);
      for (arma::uword i = 0; i < U.n_rows; ++i) lost[i] += (c * u[i]) * (c * u[i]);
    }
    return lost;
  }

  // The factors that the border leaves free, q x free.
  arma::mat free_basis() const { return basis_.tail_cols(basis_.n_cols - border_.n_elem); }

  arma::mat triangular_solve(const arma::mat& Y) const {
    return arma::solve(arma::trimatl(T_), Y, arma::solve_opts::fast);
  }
  arma::mat triangular_solve_transposed(const arma::mat& Y) const {
    return arma::solve(arma::trimatu(T_.t()), Y, arma::solve_opts::fast);
  }

  // Rows belong to the genes outside the border.
  void solve_others(arma::mat& Y) const {
    if (Y.is_empty()) return;
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
    if (Y.is_empty()) return;
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

  void whiten(arma::mat& Y, Executor* executor = nullptr) const {
    if (Y.is_empty()) return;
    for (arma::uword j = 0; j < Y.n_cols; ++j) {
      checkpoint(executor);
      double* y = Y.colptr(j);
      for (arma::uword i = 0; i < Y.n_rows; ++i) y[i] /= root_noise_[i];
    }
  }

  arma::uword n_, q_;
  arma::uvec border_, others_;
  std::vector<arma::uword> dependent_;
  arma::mat T_, basis_, H1_;
  double log_det_border_ = 0.0;
  arma::vec root_noise_;
  GradedSvd svd_;
  arma::vec kept_, hypot_;
};

}  // namespace covmash
