#pragma once
// One covariance of a deconvolution: what it may be, its M-step, and its coordinates for an acceleration.
//
//   full      any U; by the exact maximiser where all effects have one noise; by that of the completed effects where they
//             have much of their noise in common, as where some estimates are missing; by the minorised step otherwise; or
//             by extreme deconvolution, which keeps the rank of the start. Penalised, if there is a penalty
//   low_rank  U = F F' of a rank that is given; in the same ways, but by the step for the loadings where a full one takes
//             the minorised step
//   factor    U = Q Q' + D; penalised by inverse Wishart
//   scaled    U = c U_0
//   fixed     U stays
//
// All in the whitened basis (basis.h), but Q and D, and D is diagonal, in that of the data divided by its standard errors.
// Coordinates are free numbers, in which steps are added: log U of a penalised U, which is positive definite; else
// log(I + U), from which a U of the same rank is made; Q and log D; log(1 + c). R^3 flops a step, some 20 of them.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/cholesky.h"
#include "../linalg/product.h"
#include "../linalg/spectra.h"
#include "../model/covariance.h"
#include "basis.h"
#include "expectation.h"
#include "penalty.h"
#include "updates.h"

namespace covmash {

enum class ComponentKind { full, low_rank, factor, scaled, fixed };

// What a component starts from and ends as, in the basis of the data.
struct DeconvolutionComponent {
  ComponentKind kind = ComponentKind::full;
  arma::mat U;
  arma::uword rank = 1;  // low_rank, factor
  arma::mat loadings;    // factor: Q and D, at the end
  arma::vec uniquenesses;
  double multiple = 1.0;  // scaled: c, at the end
};

// What the components of a deconvolution have in common.
struct ComponentSetting {
  const WhitenedBasis* basis = nullptr;
  Penalty penalty;
  bool one_noise = false;     // all effects have noise I: moments are of the effects, X = sum gamma y y'
  double common_noise = 0.0;  // v, all effects have at least noise v I; 0 where that is not known
  bool extreme = false;       // full: by extreme deconvolution
  bool loadings = false;      // low_rank: by the step for the loadings, whatever the noise
  // Whether the effects have enough noise in common to be completed. Measured with three matrices in 5 and 20 conditions:
  // at v = 0.1 (Shat from 0.3 to 1.7) the completed step still needs fewer evaluations than the minorised one, and finds
  // better optima without a penalty; v = 0 is extreme deconvolution.
  bool completes() const { return common_noise > 0.05; }
  bool wants_loadings() const { return !one_noise && (loadings || !completes()); }
  double first_scale = std::numeric_limits<double>::quiet_NaN();  // of the penalty, in the first step
  Executor* executor = nullptr;
};

class ComponentState {
 public:
  ComponentState(const DeconvolutionComponent& start, std::size_t index, const ComponentSetting& setting)
      : setting_(&setting), index_(index), kind_(start.kind) {
    const WhitenedBasis& basis = *setting.basis;
    U_ = basis.whitened(start.U);
    const arma::uword R = U_.n_rows;
    rank_ = kind_ == ComponentKind::low_rank || kind_ == ComponentKind::factor ? std::min(start.rank, R) : R;
    if (kind_ == ComponentKind::low_rank) truncate();
    if (kind_ == ComponentKind::full && setting.extreme) {
      F_ = recognise(U_, setting.executor).whole_factor();
      rank_ = F_.n_cols;
    }
    if (kind_ == ComponentKind::scaled) {
      U_0_ = U_;
      unit_ = std::max(arma::mean(U_.diag()), std::numeric_limits<double>::min());
    }
    if (kind_ == ComponentKind::factor) start_factor(basis.standardised(start.U));
    penalty_scale_ = setting.first_scale;
    if (penalised()) {
      if (kind_ == ComponentKind::full) raise();
      renew_penalty(eigenvalues());
    }
  }

  // In the basis that the E-step wants: whitened where there is one noise, else that of the data.
  const arma::mat& covariance() const { return U_; }
  double penalty() const { return penalty_; }
  // Of which the E-step is to tell G, in the same basis as U; without columns where it is not.
  arma::mat factor() const {
    return kind_ == ComponentKind::low_rank && setting_->wants_loadings() ? F_ : arma::mat(U_.n_rows, 0);
  }
  bool penalised() const {
    return setting_->penalty.active() && (kind_ == ComponentKind::full || kind_ == ComponentKind::factor);
  }

  // The M-step. moments: whitened.
  void renew(const ComponentMoments& moments) {
    const ComponentSetting& s = *setting_;
    switch (kind_) {
      case ComponentKind::full:
        if (s.extreme)
          renew_extreme(moments);
        else if (s.one_noise)
          renew_penalty(penalised_step(moments.X / moments.mass, moments.mass, penalty_of(), penalty_scale_, rank_,
                                       index_, U_, s.executor));
        else if (s.completes())
          renew_completed(moments);
        else
          renew_minorised(moments);
        break;
      case ComponentKind::low_rank:
        renew_low_rank(moments);
        break;
      case ComponentKind::factor:
        renew_factor(moments);
        break;
      case ComponentKind::scaled:
        renew_scaled(moments);
        break;
      case ComponentKind::fixed:
        break;
    }
  }

  arma::mat coordinates() const {
    switch (kind_) {
      case ComponentKind::full:
      case ComponentKind::low_rank:
        return logarithm();
      case ComponentKind::factor:
        return arma::join_rows(Q_, arma::log(D_));
      case ComponentKind::scaled:
        return arma::mat(1, 1, arma::fill::value(std::log1p(multiple_ * unit_)));
      default:
        return arma::mat();
    }
  }

  // False where they are no covariance in floating point.
  bool set_coordinates(const arma::mat& x) {
    if (!x.is_finite()) return false;
    switch (kind_) {
      case ComponentKind::full:
      case ComponentKind::low_rank:
        return exponential(x);
      case ComponentKind::factor:
        Q_ = x.head_cols(Q_.n_cols);
        D_ = arma::clamp(arma::vec(arma::exp(x.tail_cols(1))), no_uniqueness, std::numeric_limits<double>::max());
        factor_changed();
        break;
      case ComponentKind::scaled:
        set_multiple(std::max(std::expm1(x[0]), 0.0) / unit_);
        break;
      default:
        break;
    }
    return U_.is_finite() && (!penalised() || std::isfinite(penalty_));
  }

  DeconvolutionComponent result() const {
    const WhitenedBasis& basis = *setting_->basis;
    DeconvolutionComponent out;
    out.kind = kind_;
    out.rank = rank_;
    out.multiple = multiple_;
    if (kind_ == ComponentKind::factor) {
      out.loadings = Q_.each_col() % basis.scale();
      out.uniquenesses = D_ % arma::square(basis.scale());
      out.U = product_transposed(out.loadings, out.loadings);
      out.U.diag() += out.uniquenesses;
    } else {
      // By a factor: what is made of it is semi-definite whatever the scales.
      Spectrum s = spectrum(U_);
      for (double& v : s.values) v = v > nothing ? std::sqrt(v) : 0.0;
      const arma::mat factor = basis.of_data_factor(s.vectors * arma::diagmat(s.values));
      out.U = arma::symmatu(product_transposed(factor, factor, setting_->executor));
    }
    return out;
  }

 private:
  static constexpr int factor_steps = 10;                           // of EM for Q and D, in a step of the deconvolution
  static constexpr double smallest_uniqueness = 1e-6;               // of the variance
  static constexpr double no_uniqueness = 1e-12, nothing = 1e-100;  // beside a noise of 1
  static constexpr double smallest_start = 0.01;  // eigenvalue of a start, of their mean, where it has to be raised

  Penalty penalty_of() const { return penalised() ? setting_->penalty : Penalty(); }

  struct Spectrum {
    arma::vec values;
    arma::mat vectors;
  };

  Spectrum spectrum(const arma::mat& A) const {
    Spectrum out;
    InnerExecutor inner(setting_->executor);
    if (!A.is_finite() || !symmetric_eigen(A, out.values, out.vectors, inner))
      throw numeric_error("the eigenvalues of ", at::component(index_), " could not be computed");
    return out;
  }

  arma::mat matrix_of(const Spectrum& s) const {
    return arma::symmatu(product_transposed(s.vectors * arma::diagmat(s.values), s.vectors, setting_->executor));
  }

  arma::vec eigenvalues() const { return spectrum(U_).values; }

  // The scale that suits U, and the penalty with it.
  void renew_penalty(const arma::vec& values) {
    if (!penalised()) return;
    if (!(values.min() > 0.0)) {
      penalty_ = -std::numeric_limits<double>::infinity();
      return;
    }
    const double best = setting_->penalty.scale(values);
    // The first scale may be given; it is renewed with the first step, and the penalty is told with the new one.
    if (std::isnan(penalty_scale_) || !std::isnan(penalty_)) penalty_scale_ = best;
    penalty_ = setting_->penalty.value(values, penalty_scale_);
  }

  // With H of the effects where there is one noise.
  ComponentMoments of_scores(const ComponentMoments& moments) const {
    if (!setting_->one_noise) return moments;
    ComponentMoments out;
    out.mass = moments.mass;
    arma::mat L;
    if (!lower_cholesky(L, U_ + arma::eye(arma::size(U_)), setting_->executor))
      throw numeric_error("the noise plus ", at::component(index_), " is not positive definite");
    const arma::mat inverse = inverse_of_cholesky(L, setting_->executor);
    out.X = arma::symmatu(inverse * moments.X * inverse);
    out.H = moments.mass * inverse;
    return out;
  }

  // sum gamma E(b b' | y) / N under U.
  arma::mat expected_square(const ComponentMoments& moments) const {
    const arma::mat gradient = (moments.X - moments.H) / moments.mass;
    return arma::symmatu(U_ + product(product(U_, gradient, setting_->executor), U_, setting_->executor));
  }

  void renew_low_rank(const ComponentMoments& moments) {
    if (!setting_->loadings && setting_->one_noise) {
      penalised_step(moments.X / moments.mass, moments.mass, Penalty(), 1.0, rank_, index_, U_, setting_->executor);
      return;
    }
    if (!setting_->loadings && setting_->completes()) {
      renew_completed(moments);
      return;
    }
    const bool done = setting_->one_noise ? loadings_step(moments.X / moments.mass, F_, setting_->executor)
                                          : loadings_step(moments, F_, setting_->executor);
    if (!done) throw numeric_error("the update of ", at::component(index_), " is not finite");
    U_ = product_transposed(F_, F_, setting_->executor);
  }

  void renew_completed(const ComponentMoments& moments) {
    const double v = setting_->common_noise;
    const arma::mat S = completed_square(moments, v, U_, setting_->executor) / v;
    const arma::vec values =
        penalised_step(S, moments.mass, penalty_of(), penalty_scale_ / v, rank_, index_, U_, setting_->executor);
    U_ *= v;
    renew_penalty(v * values);
  }

  // Where H is singular, because no effect of the component has some condition observed, the step of extreme
  // deconvolution, which leaves U alone there.
  void renew_minorised(const ComponentMoments& moments) {
    arma::mat U = U_;
    if (minorised_step(moments, penalty_of(), penalty_scale_, U, setting_->executor))
      U_ = std::move(U);
    else if (setting_->penalty.kind != PenaltyKind::nuclear_norm || !penalised())
      pooled_step(moments);
    renew_penalty(eigenvalues());
  }

  // U <- (N E(b b') + lambda s I) / (N + lambda), the step of extreme deconvolution under an inverse-Wishart penalty.
  void pooled_step(const ComponentMoments& moments) {
    const double lambda = penalty_of().lambda;
    U_ = moments.mass * expected_square(moments);
    if (lambda > 0.0) U_.diag() += lambda * penalty_scale_;
    U_ /= moments.mass + lambda;
  }

  void renew_extreme(const ComponentMoments& given) {
    const ComponentMoments moments = of_scores(given);
    if (!penalised()) {
      extreme_deconvolution_step(moments, index_, F_, U_, setting_->executor);
      return;
    }
    require(setting_->penalty.kind == PenaltyKind::inverse_wishart,
            "extreme deconvolution has no step for a nuclear-norm penalty");
    pooled_step(moments);
    renew_penalty(eigenvalues());
  }

  void start_factor(const arma::mat& standardised) {
    const Spectrum of_start = spectrum(standardised);
    const arma::vec& values = of_start.values;
    const arma::uword R = values.n_elem, q = std::min(rank_, R);
    const double rest = q < R ? std::max(arma::mean(values.head(R - q)), 0.0) : 0.0;
    Q_.set_size(R, q);
    for (arma::uword i = 0; i < q; ++i)
      Q_.col(i) = of_start.vectors.col(R - 1 - i) *
                  std::sqrt(std::max(values[R - 1 - i] - rest, 1e-3 * std::fabs(values[R - 1 - i])));
    D_ = standardised.diag() - arma::sum(arma::square(Q_), 1);
    const double least = 1e-3 * arma::mean(arma::abs(standardised.diag()));
    for (double& d : D_) d = std::max({d, least, no_uniqueness});
    U_from_factor();
  }

  void U_from_factor() {
    arma::mat made = product_transposed(Q_, Q_);
    made.diag() += D_;
    U_ = setting_->basis->whitened_from_standardised(made);
  }

  void factor_changed() {
    U_from_factor();
    if (penalised()) renew_penalty(eigenvalues());
  }

  void renew_factor(const ComponentMoments& given) {
    const ComponentMoments moments = of_scores(given);
    arma::mat target = expected_square(moments);
    if (penalised()) {
      require(setting_->penalty.kind == PenaltyKind::inverse_wishart,
              "a factor model has no step for a nuclear-norm penalty");
      target *= moments.mass;
      target.diag() += setting_->penalty.lambda * penalty_scale_;
      target /= moments.mass + setting_->penalty.lambda;
    }
    // Where it is singular to rounding, Q and D stay.
    arma::mat Q = Q_;
    arma::vec D = D_;
    if (factor_step(setting_->basis->standardised_from_whitened(target), factor_steps, smallest_uniqueness,
                    no_uniqueness, Q, D, setting_->executor)) {
      Q_ = std::move(Q);
      D_ = std::move(D);
    }
    factor_changed();
  }

  void renew_scaled(const ComponentMoments& moments) {
    if (!setting_->one_noise) {
      const double up = arma::accu(U_ % moments.X), down = arma::accu(U_ % moments.H);
      set_multiple(down > 0.0 ? multiple_ * std::sqrt(std::max(up, 0.0) / down) : multiple_);
      return;
    }
    Spectrum s = spectrum(U_0_);
    const arma::vec variances = arma::sum(s.vectors % (moments.X * s.vectors), 0).t() / moments.mass;
    const double noise = std::numeric_limits<double>::epsilon() * static_cast<double>(U_0_.n_rows) * s.values.max();
    for (double& v : s.values)
      if (v < noise) v = 0.0;
    set_multiple(best_scale(s.values, variances));
  }

  void set_multiple(double c) {
    multiple_ = c;
    U_ = c * U_0_;
  }

  // Where a penalty keeps U positive definite its logarithm, else that of I + U.
  arma::mat logarithm() const {
    Spectrum s = spectrum(U_);
    for (double& v : s.values) v = penalised() ? std::log(v) : std::log1p(std::max(v, 0.0));
    return matrix_of(s);
  }

  bool exponential(const arma::mat& x) {
    Spectrum s = spectrum(arma::symmatu(x));
    const arma::uword R = s.values.n_elem;
    for (arma::uword i = 0; i < R; ++i)
      s.values[i] = penalised() ? std::exp(s.values[i]) : i + rank_ < R ? 0.0 : std::max(std::expm1(s.values[i]), 0.0);
    U_ = matrix_of(s);
    keep_factor(s);
    renew_penalty(s.values);
    return U_.is_finite() && (!penalised() || std::isfinite(penalty_));
  }

  void keep_factor(const Spectrum& s) {
    if (kind_ == ComponentKind::low_rank || (kind_ == ComponentKind::full && setting_->extreme))
      F_ = arma::mat(s.vectors * arma::diagmat(arma::sqrt(s.values))).tail_cols(rank_);
  }

  // The largest eigenvalues only, as many as the rank.
  void truncate() {
    Spectrum s = spectrum(U_);
    const arma::uword R = s.values.n_elem;
    for (arma::uword i = 0; i < R; ++i) s.values[i] = i + rank_ < R ? 0.0 : std::max(s.values[i], 0.0);
    U_ = matrix_of(s);
    keep_factor(s);
  }

  // A start that a penalty would not let be: its small eigenvalues are raised.
  void raise() {
    Spectrum s = spectrum(U_);
    const double least = smallest_start * std::max(arma::mean(s.values), 1e-6);  // the noise is 1
    if (s.values.min() >= least * 1e-3) return;
    for (double& v : s.values) v = std::max(v, least);
    U_ = matrix_of(s);
  }

  const ComponentSetting* setting_;
  std::size_t index_;
  ComponentKind kind_;
  arma::uword rank_ = 0;
  arma::mat U_, F_, U_0_, Q_;
  arma::vec D_;
  double unit_ = 1.0;  // of a multiple: the mean variance of U_0
  double multiple_ = 1.0, penalty_scale_ = 1.0, penalty_ = std::numeric_limits<double>::quiet_NaN();
};

}  // namespace covmash
