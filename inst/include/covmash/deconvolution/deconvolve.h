#pragma once
// Deconvolution by components of several kinds (component.h), with penalties, scales and several starts.
//
//     y_j ~ sum_kl w_kl N(0, V_j + c_l U_k) + w_0 N(0, V_j)
//
// maximising   sum_j a_j log density(y_j) + sum_k penalty(U_k) + (null_weight - 1) log w_0,   a_j: how often effect j counts.
//
// An evaluation is one E-step (expectation.h), K L matrices, and one M-step for each component; the objective never falls.
// Accelerated by SQUAREM (Varadhan & Roland 2008, doi:10.1111/j.1467-9469.2007.00585.x): two steps, from which a longer one
// in free coordinates, taken if it is no worse than the first; two evaluations for it where it is taken. All starts are run
// for some plain steps, and the best one to convergence. The same bits for any number of threads.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../model/noise.h"
#include "basis.h"
#include "component.h"
#include "expectation.h"

namespace covmash {

struct DeconvolveOptions {
  PenaltyKind penalty = PenaltyKind::inverse_wishart;
  double lambda = 0.0;
  double first_scale = std::numeric_limits<double>::quiet_NaN();  // of the penalty; what suits the start if NaN
  bool extreme = false;                                           // full components by extreme deconvolution
  bool loadings = false;  // low-rank components by the step for the loadings, whatever the noise
  bool accelerate = true;
  double tolerance = 1e-6;  // growth of the objective an effect in each of two steps, below which the run ends
  double max_evaluations = 2000;
  double trial_steps = 15;             // of each start, where there are several
  std::vector<double> scales = {1.0};  // c_l
  bool null = false;                   // with the component w_0
  double null_weight = 10.0;
};

// One start; weights: of the components by scale, c_l varying fastest, and of the null component.
struct DeconvolveStart {
  std::vector<DeconvolutionComponent> components;
  std::vector<double> weights;
};

struct DeconvolveResult {
  std::vector<DeconvolutionComponent> components;
  std::vector<double> weights, mass;   // mass: effects of each of them
  double loglik = 0.0, penalty = 0.0;  // of the result; their sum is the objective
  std::vector<double> objective;       // by step that was taken, from the end of the trial
  std::vector<double> evaluations_at;  // of each of them: E-steps so far
  std::vector<double> starts;          // objectives of all starts after their trial
  std::size_t best_start = 0;
  double evaluations = 0.0;  // E-steps, those of other starts and of steps not taken among them
  bool converged = false;
  bool lost = false;  // a step lost all digits, and the run ended before it
};

class Deconvolution {
 public:
  // noise, effect_weights (J numbers, or null: each effect once): must outlive this object.
  Deconvolution(const NoiseModel& noise, const double* effect_weights, const std::vector<ComponentKind>& kinds,
                const DeconvolveOptions& options, Executor& executor)
      : options_(options),
        executor_(executor),
        basis_(noise, effect_weights, executor),
        K_(kinds.size()),
        L_(options.scales.size()),
        n_weights_(K_ * L_ + (options.null ? 1 : 0)) {
    require(K_ > 0 && L_ > 0, "there must be a component and a scale");
    setting_.basis = &basis_;
    setting_.penalty = {options.lambda > 0.0 ? options.penalty : PenaltyKind::none, options.lambda};
    // With several scales the effects of a component have several covariances.
    setting_.one_noise = noise.common() && L_ == 1 && options.scales[0] == 1.0;
    // Noise that an effect has beyond a common part v I is a part of what is missing (updates.h).
    if (!setting_.one_noise && L_ == 1 && options.scales[0] == 1.0) setting_.common_noise = basis_.least_noise();
    setting_.extreme = options.extreme;
    setting_.loadings = options.loadings;
    setting_.first_scale = options.first_scale;
    setting_.executor = &executor;
    for (std::size_t j = 0; j < noise.effects().n_effects; ++j) {
      bool any = false;
      for (std::size_t r = 0; r < noise.effects().n_conditions && !any; ++r) any = noise.effects().observed(j, r);
      if (any) n_effects_ += effect_weights ? effect_weights[j] : 1.0;
    }
    require(n_effects_ > 0.0, "there is no effect to learn from");
    if (noise.common()) {
      whitened_ = basis_.whitened_effects(noise.effects());
      ones_.ones(arma::size(whitened_));
      own_noise_.reset(new NoiseModel({whitened_.memptr(), ones_.memptr(), whitened_.n_rows, whitened_.n_cols},
                                      arma::eye(basis_.conditions(), basis_.conditions()), &executor));
    }
    const bool low_rank = std::find(kinds.begin(), kinds.end(), ComponentKind::low_rank) != kinds.end();
    const MomentsOf kind = setting_.one_noise                      ? MomentsOf::effects
                           : low_rank && setting_.wants_loadings() ? MomentsOf::loadings
                                                                   : MomentsOf::scores;
    expectation_.reset(
        new ExpectationStep(own_noise_ ? *own_noise_ : noise, n_weights_, executor, kind, effect_weights));
  }

  DeconvolveResult operator()(const std::vector<DeconvolveStart>& starts) {
    require(!starts.empty(), "there must be a start");
    executor_.step("Deconvolution", false);
    DeconvolveResult result;
    std::vector<Point> points;
    for (std::size_t i = 0; i < starts.size(); ++i) {
      points.push_back(evaluate(first(starts[i])));
      if (starts.size() == 1) break;
      short_steps_ = 0;
      lost_ = false;
      for (double step = 0.0; step < options_.trial_steps && !plain_step(points[i]) && !lost_; ++step) continue;
      result.starts.push_back(points[i].objective);
      if (!(points[i].objective <= points[result.best_start].objective)) result.best_start = i;
    }
    Point best = std::move(points[result.best_start]);
    points.clear();
    short_steps_ = 0;
    lost_ = false;
    const double own = evaluations_;
    const auto note = [&] {
      result.objective.push_back(best.objective);
      result.evaluations_at.push_back(evaluations_);
    };
    note();
    while (!result.converged && !lost_ && evaluations_ - own < options_.max_evaluations) {
      executor_.iteration(result.objective.size());
      result.converged = options_.accelerate ? accelerated_step(best) : plain_step(best);
      note();
    }
    finish(best, result);
    result.lost = lost_;
    return result;
  }

 private:
  struct State {
    std::vector<ComponentState> components;
    std::vector<double> weights;
  };
  // A state, what it is worth, and the one after it.
  struct Point {
    State state, next;
    std::vector<double> mass;
    double loglik = 0.0, objective = 0.0;
  };

  State first(const DeconvolveStart& start) const {
    require(start.components.size() == K_ && start.weights.size() == n_weights_,
            "a start must have all components and their weights");
    State state;
    for (std::size_t k = 0; k < K_; ++k) {
      require(
          start.components[k].U.n_rows == basis_.conditions() && start.components[k].U.n_cols == basis_.conditions(),
          "covariance matrices must have one row for each condition");
      state.components.emplace_back(start.components[k], k, setting_);
    }
    state.weights = start.weights;
    return state;
  }

  double penalty(const State& state) const {
    double sum = 0.0;
    for (const ComponentState& c : state.components)
      if (c.penalised()) sum += c.penalty();
    if (options_.null && options_.null_weight != 1.0)
      sum += (options_.null_weight - 1.0) * std::log(state.weights.back());
    return sum;
  }

  // One E-step, and the M-step that follows from it.
  Point evaluate(State state) {
    ++evaluations_;
    Point point;
    std::vector<arma::mat> U(n_weights_), factors(n_weights_);
    for (std::size_t k = 0; k < K_; ++k) {
      const arma::mat covariance =
          own_noise_ ? state.components[k].covariance() : basis_.of_data(state.components[k].covariance());
      // With one noise but several scales the basis of the data is the whitened one.
      const arma::mat factor =
          own_noise_ ? state.components[k].factor() : basis_.of_data_factor(state.components[k].factor());
      for (std::size_t l = 0; l < L_; ++l) {
        U[k * L_ + l] = options_.scales[l] * covariance;
        factors[k * L_ + l] = std::sqrt(options_.scales[l]) * factor;
      }
    }
    if (options_.null) U.back().zeros(basis_.conditions(), basis_.conditions());
    point.next = state;
    point.mass.resize(n_weights_);
    std::vector<ComponentMoments> moments(L_ > 1 ? n_weights_ : 0);
    point.loglik = (*expectation_)(
        U, state.weights,
        [&](std::size_t i, const ComponentMoments& of_one) {
          point.mass[i] = of_one.mass;
          if (L_ > 1)
            moments[i] = of_one;
          else if (i < K_)
            renew(point.next.components[i], options_.scales[0], of_one);
        },
        &factors);
    if (L_ > 1)
      executor_.run(K_, 0.0, [&](std::size_t k, std::size_t) {
        ComponentMoments sum = moments[k * L_];
        sum.X *= options_.scales[0];
        sum.H *= options_.scales[0];
        sum.G *= options_.scales[0];
        for (std::size_t l = 1; l < L_; ++l) {
          const ComponentMoments& more = moments[k * L_ + l];
          sum.mass += more.mass;
          sum.X += options_.scales[l] * more.X;
          sum.H += options_.scales[l] * more.H;
          if (!sum.G.is_empty()) sum.G += options_.scales[l] * more.G;
        }
        renew(point.next.components[k], 1.0, sum);
      });
    double total = 0.0;
    for (std::size_t i = 0; i < n_weights_; ++i) {
      point.next.weights[i] = point.mass[i];
      if (options_.null && i + 1 == n_weights_) point.next.weights[i] += options_.null_weight - 1.0;
      total += point.next.weights[i];
    }
    for (double& w : point.next.weights) w /= total;
    if (own_noise_) point.loglik -= n_effects_ * basis_.log_determinant();
    point.objective = point.loglik + penalty(state);
    point.state = std::move(state);
    return point;
  }

  // A component that next to no effect belongs to stays as it is.
  void renew(ComponentState& component, double scale, const ComponentMoments& moments) const {
    if (!(moments.mass > smallest_mass * n_effects_)) return;
    if (own_noise_ && scale == 1.0) {
      component.renew(moments);
      return;
    }
    ComponentMoments own;
    own.mass = moments.mass;
    own.X = scale * (own_noise_ ? moments.X : basis_.whitened_moment(moments.X));
    own.H = scale * (own_noise_ ? moments.H : basis_.whitened_moment(moments.H));
    if (!moments.G.is_empty()) own.G = scale * (own_noise_ ? moments.G : basis_.whitened_moment(moments.G));
    component.renew(own);
  }

  // Whether the run may end. Two steps in a row, for the one of extreme deconvolution is short where it is slow.
  bool plain_step(Point& point) {
    const double before = point.objective;
    return advance(point) && ended(point.objective - before, 0.1 * options_.tolerance);
  }

  // Where the noise of some effects is nearly singular beside that of others, a step may lose all digits, and end where no
  // likelihood can be computed: then the point stays, and the run is over.
  bool advance(Point& point) {
    try {
      point = evaluate(point.next);
      return true;
    } catch (const numeric_error&) {
      lost_ = true;
      return false;
    }
  }

  bool ended(double growth, double tolerance) {
    short_steps_ = growth <= tolerance * n_effects_ ? short_steps_ + 1 : 0;
    return short_steps_ >= 2 && options_.tolerance > 0.0;
  }

  bool accelerated_step(Point& point) {
    const double before = point.objective;
    Point one = point;
    if (!advance(one)) return false;
    const double plain = one.objective - before;
    const Step step(point.state, one.state, one.next);
    double length = step.length();
    bool taken = false;
    for (int attempt = 0; attempt < 3 && length > 1.0 && !taken; ++attempt) {
      try {
        State state = one.next;
        if (step.take(length, state)) {
          Point candidate = evaluate(std::move(state));
          taken = candidate.objective >= one.objective;
          if (taken) point = std::move(candidate);
        }
      } catch (const numeric_error&) {  // too far
      }
      length = 0.5 * (length + 1.0);
    }
    if (!taken) {
      point = std::move(one);
      if (!advance(point)) return false;
    }
    if (plain > 0.1 * options_.tolerance * n_effects_) {
      short_steps_ = 0;
      return false;
    }
    return ended(point.objective - before, options_.tolerance);
  }

  // Two steps, and where they lead to: x_0 + 2 a r + a^2 v, r = x_1 - x_0, v = x_2 - 2 x_1 + x_0, in the coordinates of the
  // components and the logarithms of the weights. a = |r| / |v|.
  class Step {
   public:
    Step(const State& zero, const State& one, const State& two) {
      for (std::size_t k = 0; k < zero.components.size(); ++k)
        add(zero.components[k].coordinates(), one.components[k].coordinates(), two.components[k].coordinates());
      for (std::size_t i = 0; i < zero.weights.size(); ++i) {
        const double w[3] = {zero.weights[i], one.weights[i], two.weights[i]};
        const bool positive = w[0] > 0.0 && w[1] > 0.0 && w[2] > 0.0;
        const auto log_of = [&](double x) { return arma::mat(1, 1, arma::fill::value(positive ? std::log(x) : 0.0)); };
        add(log_of(w[0]), log_of(w[1]), log_of(w[2]));
      }
    }

    double length() const { return v_square_ > 0.0 ? std::sqrt(r_square_ / v_square_) : 0.0; }

    // state: after two steps; weights that are 0 stay so.
    bool take(double a, State& state) const {
      const std::size_t K = state.components.size();
      for (std::size_t k = 0; k < K; ++k)
        if (!state.components[k].set_coordinates(at(k, a))) return false;
      double sum = 0.0;
      for (std::size_t i = 0; i < state.weights.size(); ++i) {
        double& w = state.weights[i];
        if (w > 0.0) w = std::exp(at(K + i, a)[0]);
        sum += w;
      }
      if (!std::isfinite(sum) || !(sum > 0.0)) return false;
      for (double& w : state.weights) w /= sum;
      return true;
    }

   private:
    void add(arma::mat x_0, const arma::mat& x_1, const arma::mat& x_2) {
      arma::mat r = x_1 - x_0, v = x_2 - x_1 - r;
      r_square_ += arma::accu(arma::square(r));
      v_square_ += arma::accu(arma::square(v));
      x_.push_back(std::move(x_0));
      r_.push_back(std::move(r));
      v_.push_back(std::move(v));
    }
    arma::mat at(std::size_t i, double a) const { return x_[i] + 2.0 * a * r_[i] + a * a * v_[i]; }

    std::vector<arma::mat> x_, r_, v_;
    double r_square_ = 0.0, v_square_ = 0.0;
  };

  void finish(Point& point, DeconvolveResult& result) const {
    for (const ComponentState& c : point.state.components) result.components.push_back(c.result());
    result.weights = point.state.weights;
    result.mass = point.mass;
    result.loglik = point.loglik;
    result.penalty = penalty(point.state);
    result.evaluations = evaluations_;
  }

  static constexpr double smallest_mass = 1e-6;  // of all effects, for an M-step

  DeconvolveOptions options_;
  Executor& executor_;
  WhitenedBasis basis_;
  std::size_t K_, L_, n_weights_;
  ComponentSetting setting_;
  double n_effects_ = 0.0, evaluations_ = 0.0;
  int short_steps_ = 0;
  bool lost_ = false;  // the last step
  arma::mat whitened_, ones_;
  std::unique_ptr<NoiseModel> own_noise_;
  std::unique_ptr<ExpectationStep> expectation_;
};

}  // namespace covmash
