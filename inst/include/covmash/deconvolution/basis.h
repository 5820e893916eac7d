#pragma once
// The basis in which the covariances of a deconvolution are renewed: the one where a typical noise S_0 is the identity.
//
// S_0 = M M', M = diag(s) chol(C)': s_r is the root mean square of the standard errors observed in condition r, and C the
// correlation of the errors, or its mean over the effects where it differs between them. Effects count as often as their
// weights say. If all effects are complete with one noise, S_0 is that noise. U of the data becomes U_w = M^-1 U M'^-1,
// and the moments of expectation.h X_w = M' X M, H_w = M' H M. Cost R^3 a matrix.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/cholesky.h"
#include "../linalg/product.h"
#include "../linalg/spectra.h"
#include "../model/noise.h"

namespace covmash {

class WhitenedBasis {
 public:
  // effect_weights: J numbers, or null: each effect once.
  WhitenedBasis(const NoiseModel& noise, const double* effect_weights, Executor& executor) : executor_(&executor) {
    const Effects& e = noise.effects();
    const auto weight = [&](std::size_t j) { return effect_weights ? effect_weights[j] : 1.0; };
    const std::size_t R = e.n_conditions;
    scale_.set_size(R);
    for (std::size_t r = 0; r < R; ++r) {
      double sum = 0.0, n = 0.0, largest = 0.0;
      for (std::size_t j = 0; j < e.n_effects; ++j)
        if (e.observed(j, r)) largest = std::max(largest, e.s(j, r));
      for (std::size_t j = 0; j < e.n_effects && largest > 0.0; ++j)
        if (e.observed(j, r)) {
          const double x = e.s(j, r) / largest;
          sum += weight(j) * x * x;
          n += weight(j);
        }
      executor.checkpoint();
      // Exactly the standard error where there is only one.
      scale_[r] = n > 0.0 ? largest * (sum == n ? 1.0 : std::sqrt(sum / n)) : 1.0;
    }
    const arma::mat C = mean_correlation(noise, weight);
    if (!lower_cholesky(root_, C, &executor)) throw numeric_error("the error correlation is not positive definite");
    find_least(noise, C);
  }

  arma::uword conditions() const { return scale_.n_elem; }
  const arma::vec& scale() const { return scale_; }

  // log |M|
  double log_determinant() const { return arma::accu(arma::log(root_.diag())) + arma::accu(arma::log(scale_)); }

  // The largest v known with v S_0 <= V_j, on what is observed of effect j, for all effects; 0 if none is known.
  double least_noise() const { return least_; }

  // U / (s s')
  arma::mat standardised(arma::mat U) const {
    U.each_col() /= scale_;
    U.each_row() /= scale_.t();
    return U;
  }

  arma::mat whitened_from_standardised(const arma::mat& U) const {
    const arma::mat half = solve_lower(root_, U, executor_).t();
    return arma::symmatu(solve_lower(root_, half, executor_));
  }
  arma::mat standardised_from_whitened(const arma::mat& U) const {
    return arma::symmatu(product_transposed(product(root_, U, executor_), root_, executor_));
  }

  arma::mat whitened(const arma::mat& U) const { return whitened_from_standardised(standardised(U)); }
  arma::mat of_data(const arma::mat& U) const {
    arma::mat out = standardised_from_whitened(U);
    out.each_col() %= scale_;
    out.each_row() %= scale_.t();
    return out;
  }

  // M F
  arma::mat of_data_factor(const arma::mat& F) const {
    if (F.n_cols == 0) return F;
    arma::mat out = product(root_, F, executor_);
    out.each_col() %= scale_;
    return out;
  }

  // M' X M of a moment X.
  arma::mat whitened_moment(arma::mat X) const {
    X.each_col() %= scale_;
    X.each_row() %= scale_.t();
    return arma::symmatu(product(transposed_product(root_, X, executor_), root_, executor_));
  }

  // M^-1 y of complete effects, one a row of the result.
  arma::mat whitened_effects(const Effects& e) const {
    arma::mat y(e.n_conditions, e.n_effects);
    for (std::size_t r = 0; r < e.n_conditions; ++r)
      for (std::size_t j = 0; j < e.n_effects; ++j) y.at(r, j) = e.b(j, r) / scale_[r];
    return solve_lower(root_, y, executor_).t();
  }

 private:
  // With D_j = Shat_j / s, V_j = D_j S_0 D_j: v is the least square of D where D_j is a multiple of I or C is diagonal,
  // and in general at least that over the condition of C.
  void find_least(const NoiseModel& noise, const arma::mat& C) {
    if (!noise.common_correlation()) return;
    const Effects& e = noise.effects();
    double least = std::numeric_limits<double>::infinity();
    bool multiples = true;
    for (std::size_t j = 0; j < e.n_effects; ++j) {
      double low = std::numeric_limits<double>::infinity(), high = 0.0;
      for (std::size_t r = 0; r < e.n_conditions; ++r)
        if (e.observed(j, r)) {
          low = std::min(low, e.s(j, r) / scale_[r]);
          high = std::max(high, e.s(j, r) / scale_[r]);
        }
      multiples = multiples && !(high > low);
      least = std::min(least, low);
    }
    if (!std::isfinite(least)) return;
    least_ = least * least;
    if (multiples || C.is_diagmat()) return;
    arma::vec values;
    arma::mat vectors;
    InnerExecutor inner(executor_);
    const bool known = symmetric_eigen(C, values, vectors, inner) && values[0] > 0.0;
    least_ = known ? least_ * values[0] / values[values.n_elem - 1] : 0.0;
  }

  template <typename Weight>
  static arma::mat mean_correlation(const NoiseModel& noise, const Weight& weight) {
    if (noise.common_correlation()) return noise.correlation();
    const Effects& e = noise.effects();
    arma::mat sum(e.n_conditions, e.n_conditions, arma::fill::zeros);
    for (std::size_t j = 0; j < e.n_effects; ++j) {
      const arma::mat C = noise.correlation_of(j);
      for (std::size_t c = 0; c < e.n_conditions; ++c)
        for (std::size_t r = 0; r <= c; ++r)
          if (e.observed(j, r) && e.observed(j, c)) sum.at(r, c) += weight(j) * C.at(r, c);
    }
    // Over all effects, not over those that have both: so it is positive definite.
    double n = 0.0;
    for (std::size_t j = 0; j < e.n_effects; ++j) n += weight(j);
    arma::mat mean = arma::symmatu(sum) / n;
    mean.diag().ones();
    return mean;
  }

  Executor* executor_;
  arma::vec scale_;
  double least_ = 0.0;
  arma::mat root_;  // chol(C)'
};

}  // namespace covmash
