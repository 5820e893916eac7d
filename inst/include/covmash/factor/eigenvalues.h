#pragma once
// Eigenvalues of the covariance matrix of a factor model, G G' + diag(noise), G of N x q: all of them, each with its own
// relative accuracy, in O(N^3), for N up to a few hundred; or the leading ones from products alone, O(N q) a column.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/graded_svd.h"
#include "../linalg/leading_eigen.h"
#include "../linalg/panel.h"
#include "../linalg/symmetric_eigen.h"

namespace covmash {

// All eigenvalues, decreasing: squared singular values of [G, diag(noise)^1/2] by one-sided Jacobi.
inline arma::vec factor_eigenvalues(const arma::mat& G, const arma::vec& noise) {
  const arma::uword n = G.n_rows, q = G.n_cols;
  arma::mat root(q + n, n, arma::fill::zeros);
  for (arma::uword i = 0; i < n; ++i) {
    for (arma::uword k = 0; k < q; ++k) root(k, i) = G(i, k);
    root(q + i, i) = std::sqrt(noise[i]);
  }
  const GradedSvd svd = graded_svd(root);
  arma::vec out(n, arma::fill::zeros);
  for (arma::uword k = 0; k < svd.s.n_elem; ++k) out[k] = svd.s[k] * svd.s[k];
  if (n > 1) out = arma::sort(out, "descend");
  return out;
}

// The same for larger N, relative to the largest only; memory N^2, in threads.
inline arma::vec formed_factor_eigenvalues(const arma::mat& G, const arma::vec& noise, Executor& executor) {
  arma::mat Sigma(G.n_rows, G.n_rows, arma::fill::none);
  for (arma::uword j = 0; j < Sigma.n_cols; ++j) {  // memory seen for the first time
    executor.checkpoint();
    Sigma.col(j).zeros();
  }
  if (!G.is_empty()) tall_add(Sigma, G, G.t(), &executor);
  Sigma.diag() += noise;
  return symmetric_eigenvalues(Sigma, executor);
}

// The covariance as an operator.
class FactorOperator : public SymmetricOperator {
 public:
  FactorOperator(const arma::mat& G, const arma::vec& noise) : noise_(noise), G_(G.n_rows, G.n_cols) {
    for (std::size_t i = 0; i < G.n_rows; ++i)
      for (std::size_t k = 0; k < G.n_cols; ++k) G_(i, k) = G(i, k);
  }

  std::size_t size() const override { return G_.rows(); }

  void apply(const Panel& X, Panel& Y, Executor& executor) const override {
    Panel T(G_.width(), X.columns());
    multiply_into(transposed(G_), X, T, executor);
    multiply_into(as_factor(G_), T, Y, executor);
    for (std::size_t i = 0; i < Y.rows(); ++i)
      for (std::size_t j = 0; j < Y.width(); ++j) Y(i, j) += noise_[i] * X(i, j);
  }

 private:
  const arma::vec& noise_;
  Panel G_;
};

struct LeadingEigenvalues {
  std::vector<double> values;  // decreasing
  double residual = 0.0;       // largest norm of A u - lambda u, as a part of lambda
  bool converged = true;
};

// Below, there are not many more eigenvalues than columns to iterate on.
constexpr arma::uword smallest_iterated = 64;

// The n largest; every residual norm at most `tolerance` times its eigenvalue, or what rounding allows.
inline LeadingEigenvalues leading_factor_eigenvalues(const arma::mat& G, const arma::vec& noise, std::size_t n,
                                                     double tolerance, Executor& executor) {
  require(noise.n_elem == G.n_rows, "the loadings and the noise variances differ in length");
  require(n >= 1 && n <= G.n_rows, "there are fewer eigenvalues than asked for");
  LeadingEigenvalues out;
  if (G.n_rows < smallest_iterated) {
    const arma::vec all = factor_eigenvalues(G, noise);
    out.values.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n));
    return out;
  }
  LeadingEigenOptions options;
  options.guard = std::max<std::size_t>(6, n / 2);  // equal eigenvalues are all found, close ones soon
  options.relative = options.deflate = true;
  const FactorOperator A(G, noise);
  LeadingEigen eigen(A, n, executor, options);
  // Where the factors are strong, the span of the loadings is where the eigenvectors are.
  arma::vec strength;
  arma::mat directions;
  if (!arma::eig_sym(strength, directions, tall_cross(G, G)))
    throw numeric_error("an eigendecomposition did not converge");
  const arma::uword kept = std::min<arma::uword>(G.n_cols, n + options.guard);
  arma::mat start(G.n_rows, kept, arma::fill::zeros);
  if (kept > 0) tall_add(start, G, arma::fliplr(directions.tail_cols(kept)));
  eigen.begin_with(start);
  eigen.solve(std::vector<double>(G.n_rows, 1.0), tolerance);
  out.values = eigen.values();
  out.converged = eigen.converged();
  for (std::size_t k = 0; k < n; ++k)
    if (out.values[k] > 0.0) out.residual = std::max(out.residual, eigen.residuals()[k] / out.values[k]);
  return out;
}

}  // namespace covmash
