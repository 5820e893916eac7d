#pragma once
// Mixture weights of effects that are seen in full passes only (full_pass.h), on disk or on other machines.
//
// Between two passes a surrogate is maximised that stands on a sample of the effects in memory, each counting
// J / J_sample times. At the weights y of the last pass it is made to have the gradient of all effects, and their
// Hessian on the columns in use:
//     f(x) = f_sample(x) + (g - g_sample)'(x - y) - (x - y)'(H - H_sample)(x - y) / 2 .
// Effects that are hard on y, for which each next to nothing more of a column is much, come back from the pass and join
// the sample: two derivatives say little about their logarithms. Where it stays, the optimality conditions hold for all
// effects, and the pass there says so. The sample carries over what two derivatives do not know, so few passes are
// needed; how few depends on the sample, what they end in does not. The objective never falls: a pass also looks at
// points on the way from the best weights so far; if a step went too far, the best of them is next, and if none is
// better, a step of the EM algorithm, which cannot go down, with a little weight for the columns that are wanted in
// use: of those the sample may have been wrong about the curvature, which the pass there says. Each time that the
// surrogate went too far, for its sample is too small, twice as many steps of Newton's method follow. Cost between
// passes: that of the weights of the sample (weights.h).

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "density.h"
#include "full_pass.h"
#include "weights.h"

namespace covmash {

// A density with a correction h that is a quadratic function of x / sum(x): f + h grows with a factor of x as f does,
// so that the solver's way to drop the constraint sum(x) = 1 holds for it too.
class SurrogateDensity : public Density {
 public:
  // Around y: gradient, of all columns, and hessian, of -h, on the given columns.
  SurrogateDensity(Density& density, const std::vector<double>& y, std::vector<double> gradient, const Columns& columns,
                   arma::mat hessian)
      : density_(density),
        gradient_(std::move(gradient)),
        hessian_(std::move(hessian)),
        at_(y.size(), none),
        y_(columns.size()) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      at_[columns[i]] = i;
      y_[i] = y[columns[i]];
    }
    for (std::size_t p = 0; p < y.size(); ++p) constant_ -= gradient_[p] * y[p];
  }

  std::size_t n_columns() const override { return density_.n_columns(); }
  double n_effects() const override { return density_.n_effects(); }
  int n_levels() const override { return 1; }
  double enter(int level) override { return density_.enter(level); }
  void use(const Columns& support) override {
    support_ = support;
    density_.use(support);
  }
  // Scaled to the maxima of a few columns its effects would not fit the correction.
  bool can_stand_alone() const override { return false; }
  void stand_alone() override {}
  std::vector<double> gradient_at_equal_weights() override { return density_.gradient_at_equal_weights(); }

  Pass all_columns(const std::vector<double>& x, bool look_for_uncovered) override {
    x_ = x;
    Pass pass = density_.all_columns(x, look_for_uncovered);
    const Correction h = correction(x);
    pass.log_density += h.value;
    for (std::size_t p = 0; p < pass.gradient.size(); ++p) pass.gradient[p] += slope(p, h);
    return pass;
  }

  double mix(const std::vector<double>& x) override {
    x_ = x;
    return density_.mix(x) + correction(x).value;
  }

  std::vector<double> gradient() override {
    std::vector<double> g = density_.gradient();
    add_slopes(g);
    return g;
  }

  // Along the simplex. Away from y the sum of the two Hessians may not be one of a concave function any more: then the
  // density's own has to do, which the line search corrects.
  Model model() override {
    Model model = density_.model();
    add_slopes(model.gradient);
    arma::mat H = model.hessian;
    for (std::size_t i = 0; i < support_.size(); ++i)
      for (std::size_t j = 0; j < support_.size(); ++j) {
        const std::size_t a = at_[support_[i]], b = at_[support_[j]];
        if (a != none && b != none) H(i, j) += hessian_(a, b);
      }
    arma::mat floored = H;
    floored.diag() -= 1e-8 * arma::mean(model.hessian.diag());
    arma::mat factor;
    if (arma::chol(factor, floored)) model.hessian = std::move(H);
    return model;
  }

  double toward(const std::vector<double>& d) override {
    d_ = d;
    return density_.toward(d) + correction(beyond(1.0)).value;
  }
  double along(double t) override { return density_.along(t) + correction(beyond(t)).value; }
  void move(double t, double total) override {
    x_ = beyond(t);
    for (double& x : x_) x /= total;
    density_.move(t, total);
  }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  struct Correction {
    double value = 0.0;
    arma::vec bend;     // hessian (x - y), at x of sum 1
    double tilt = 0.0;  // x' of the slopes of the quadratic function
    double inverse_sum = 1.0;
  };

  Correction correction(const std::vector<double>& x) const {
    Correction h;
    h.inverse_sum = 1.0 / std::accumulate(x.begin(), x.end(), 0.0);
    arma::vec away = -y_;
    h.value = constant_;
    for (std::size_t s = 0; s < x.size(); ++s) {
      const double share = x[s] * h.inverse_sum;
      h.value += gradient_[support_[s]] * share;
      if (at_[support_[s]] != none) away[at_[support_[s]]] += share;
    }
    h.bend = hessian_ * away;
    h.value -= 0.5 * arma::dot(away, h.bend);
    for (std::size_t s = 0; s < x.size(); ++s) h.tilt += x[s] * h.inverse_sum * bare_slope(support_[s], h);
    return h;
  }
  double bare_slope(std::size_t p, const Correction& h) const {
    return gradient_[p] - (at_[p] != none ? h.bend[at_[p]] : 0.0);
  }
  double slope(std::size_t p, const Correction& h) const { return (bare_slope(p, h) - h.tilt) * h.inverse_sum; }

  void add_slopes(std::vector<double>& g) const {
    const Correction h = correction(x_);
    for (std::size_t s = 0; s < g.size(); ++s) g[s] += slope(support_[s], h);
  }

  std::vector<double> beyond(double t) const {
    std::vector<double> x = x_;
    for (std::size_t s = 0; s < x.size(); ++s) x[s] += t * d_[s];
    return x;
  }

  Density& density_;
  std::vector<double> gradient_;
  arma::mat hessian_;
  std::vector<std::size_t> at_;  // of a column among those of the Hessian
  arma::vec y_;
  double constant_ = 0.0;
  Columns support_;
  std::vector<double> x_, d_;
};

// Asks for passes until the weights are found.
class PassMaster {
 public:
  // sample: effects that count as often as makes them all effects. prior, grids, options: as of WeightsSolver, but that
  // iterations are passes.
  PassMaster(LikelihoodSource& sample, const std::vector<double>& prior,
             std::vector<std::pair<std::size_t, std::size_t>> grids, const WeightsOptions& options, Executor& executor)
      : sample_(sample), executor_(executor), prior_(prior), grids_(std::move(grids)), options_(options) {
    BlockDensity density(sample, executor);
    WeightsOptions rough = options;
    rough.tolerance = std::max(options.tolerance, 1e-7);
    rough.max_iterations = 100;
    query_.x =
        normalised(options.start.empty() ? WeightsSolver(density, prior_, grids_, rough).solve().pi : options.start);
    y_ = query_.x;
    gradient_ = gradient_of(density);
    n_ = density.n_effects() + std::accumulate(prior_.begin(), prior_.end(), -static_cast<double>(prior_.size()));
    ask_for_near_columns();
  }

  const PassQuery& query() const { return query_; }

  // The answer of all effects to the query; false when no other is needed.
  bool take(const PassAnswer& answer) {
    ++passes_;
    const double objective = answer.log_density + penalties(query_.x);
    // The slack is the rounding of sums over many effects.
    if (passes_ > 1 && !(objective >= objective_ - 1e-13 * std::fabs(objective_))) {
      if (passes_ >= options_.max_iterations) return false;
      step_back(answer);
      return true;
    }
    const double gained = objective - objective_;
    entering_ = false;
    y_ = query_.x;
    objective_ = objective;
    gradient_ = answer.gradient;
    n_ = answer.n_effects;
    for (std::size_t p = 0; p < y_.size(); ++p) {
      n_ += prior_[p] - 1.0;
      if (prior_[p] > 1.0) gradient_[p] += (prior_[p] - 1.0) / y_[p];
    }
    const double excess = *std::max_element(gradient_.begin(), gradient_.end()) / n_ - 1.0;
    // Rounding has been reached where neither gets better.
    const bool better = passes_ == 1 || excess < 0.5 * smallest_excess_ || gained > 1e-12 * std::fabs(objective_);
    stalled_ = better ? 0 : stalled_ + 1;
    // The surrogate that curves as much as its sample gets near the optimum at a steady pace only, which may be slow.
    const bool slow = of_surrogate_ && excess < nearly_there && excess > 0.5 * excess_;
    if (slow || stalled_ >= 2) newton_steps_ = std::max(newton_steps_, 1);
    smallest_excess_ = passes_ == 1 ? excess : std::min(excess, smallest_excess_);
    excess_ = excess;
    converged_ = excess <= options_.tolerance;
    if (converged_ || stalled_ >= 6 || passes_ >= options_.max_iterations) return false;
    step_on(answer);
    return true;
  }

  WeightsResult result() const {
    WeightsResult result;
    result.pi = y_;
    result.objective = objective_;
    result.kkt_violation = std::max(excess_, 0.0);
    result.gap_bound = n_ * std::log1p(result.kkt_violation);
    result.iterations = passes_;
    result.converged = converged_;
    return result;
  }

 private:
  static constexpr double nearly = 0.9;
  static constexpr double nearby = 5e-3;  // excess from which on the quadratic terms hold
  static constexpr double nearly_there = 0.1;
  static constexpr std::size_t most_near = 32;
  static constexpr double share_of_hard = 300.0;
  static constexpr std::size_t most_hard = 4096;

  double penalties(const std::vector<double>& x) const {
    double f = 0.0;
    for (std::size_t p = 0; p < x.size(); ++p)
      if (prior_[p] > 1.0) f += (prior_[p] - 1.0) * std::log(x[p]);
    return f;
  }

  std::vector<double> gradient_of(Density& density) const {
    std::vector<std::size_t> support;
    std::vector<double> x;
    for (std::size_t p = 0; p < y_.size(); ++p) {
      if (!(y_[p] > 0.0)) continue;
      support.push_back(p);
      x.push_back(y_[p]);
    }
    density.enter(0);
    density.use(support);
    return density.all_columns(x, false).gradient;
  }

  // To the best point between the best weights and the query; to one of EM if there is none.
  void step_back(const PassAnswer& answer) {
    double best = objective_, step = 0.0;
    for (std::size_t t = 0; t < answer.along.size(); ++t) {
      const double there = answer.along[t] + penalties(between(query_.steps[t]));
      if (there > best) {
        best = there;
        step = query_.steps[t];
      }
    }
    if (step > 0.0) {
      query_.x = between(step);
    } else {
      query_.x = expectation_step();
      entering_ = !entering_;
      if (entering_) enter(query_.x);
    }
    if (of_surrogate_) newton_steps_ = 1 << std::min(too_far_++, 10);
    of_surrogate_ = false;
    go_from_best();
  }

  std::vector<double> between(double t) const {
    std::vector<double> x = y_;
    for (std::size_t p = 0; p < x.size(); ++p) x[p] += t * (query_.x[p] - y_[p]);
    return x;
  }

  std::vector<double> expectation_step() const {
    std::vector<double> x = y_;
    for (std::size_t p = 0; p < x.size(); ++p) x[p] *= gradient_[p] / n_;
    return normalised(std::move(x));
  }

  // Gives columns that are not in use though the gradient wants them the weight of one effect.
  void enter(std::vector<double>& x) const {
    std::vector<std::size_t> wanted;
    for (const std::size_t p : local_maxima(n_ * (1.0 + 0.5 * options_.tolerance)))
      if (y_[p] == 0.0) wanted.push_back(p);
    if (wanted.empty()) return;
    const double share = std::min(0.5, 1.0 / n_);
    for (double& w : x) w *= 1.0 - share;
    for (const std::size_t p : wanted) x[p] += share / static_cast<double>(wanted.size());
  }

  void step_on(const PassAnswer& answer) {
    of_surrogate_ = false;
    query_.x = passes_ == 1 ? cover(answer) : std::vector<double>();
    if (query_.x.empty()) query_.x = feed();
    if (query_.x.empty() && newton_steps_ == 0) {
      query_.x = maximum_of_surrogate(answer);
      of_surrogate_ = !query_.x.empty();
    }
    newton_steps_ = std::max(newton_steps_ - 1, 0);
    if (query_.x.empty()) query_.x = newton_step(answer);
    go_from_best();
  }

  void go_from_best() {
    query_.from = y_;
    ask_for_near_columns();
    query_.steps = {1.0 / 2, 1.0 / 4, 1.0 / 8, 1.0 / 32, 1.0 / 128, 1.0 / 1024};
  }

  // Second derivatives of columns that may join soon, by the gradient at the best weights, and of those that have left.
  void ask_for_near_columns() {
    std::vector<std::size_t> near = local_maxima(nearly * n_);
    near.erase(std::remove_if(near.begin(), near.end(), [&](std::size_t p) { return query_.x[p] > 0.0; }), near.end());
    std::stable_sort(near.begin(), near.end(),
                     [&](std::size_t p, std::size_t q) { return gradient_[p] > gradient_[q]; });
    near.resize(std::min(near.size(), most_near));
    for (std::size_t p = 0; p < y_.size(); ++p)
      if (y_[p] > 0.0 && !(query_.x[p] > 0.0) && std::find(near.begin(), near.end(), p) == near.end())
        near.push_back(p);
    std::sort(near.begin(), near.end());
    query_.also = std::move(near);
    // An effect of density u, relative to its likeliest column, has a share of up to 1 / (u N) in a gradient.
    query_.hard = std::min(0.01, share_of_hard / n_);
    query_.most_hard = most_hard;
  }

  // Columns whose gradient is above a value and above its neighbours' in the grid.
  std::vector<std::size_t> local_maxima(double above) const {
    std::vector<std::size_t> found;
    for (const auto& grid : grids_)
      for (std::size_t p = grid.first; p < grid.second; ++p) {
        const bool left = p == grid.first || gradient_[p] >= gradient_[p - 1];
        const bool right = p + 1 == grid.second || gradient_[p] > gradient_[p + 1];
        if (left && right && gradient_[p] > above) found.push_back(p);
      }
    return found;
  }

  // Columns that some effect is all but excluded without, as WeightsSolver::feed() does: no second derivative holds
  // there.
  std::vector<double> feed() const {
    std::vector<double> x;
    const std::vector<std::size_t> starving = local_maxima(1e3 * n_);
    if (starving.empty()) return x;
    x = y_;
    const double share = std::min(0.5, 1.0 / n_);
    for (double& w : x) w *= 1.0 - share;
    for (const std::size_t p : starving) x[p] += share / static_cast<double>(starving.size());
    return normalised(std::move(x));
  }

  // Effects to which no column in use is fair get the ones that are best for them, each with its share of the effects,
  // where the gradient wants them in use.
  std::vector<double> cover(const PassAnswer& answer) const {
    std::vector<double> x(y_.size(), 0.0);
    for (std::size_t p = 0; p < x.size(); ++p)
      if (gradient_[p] > 10.0 * n_) x[p] = answer.covering[p] / n_;
    const double share = std::accumulate(x.begin(), x.end(), 0.0);
    if (share == 0.0 || share > 0.5) return {};
    for (std::size_t p = 0; p < x.size(); ++p) x[p] += (1.0 - share) * y_[p];
    return normalised(std::move(x));
  }

  // Empty where the surrogate has no maximum.
  std::vector<double> maximum_of_surrogate(const PassAnswer& answer) {
    std::vector<double> x;
    for (const std::size_t p : answer.columns) x.push_back(y_[p]);
    ExtendedLikelihoods extended(sample_, answer.hard);
    BlockDensity density(extended, executor_);
    density.enter(0);
    density.use(answer.columns);
    const Density::Pass here = density.all_columns(x, false);
    arma::mat hessian = answer.hessian - density.model().hessian;
    if (excess_ > nearby) leave_positive(hessian);
    std::vector<double> gradient = answer.gradient;
    for (std::size_t p = 0; p < gradient.size(); ++p) gradient[p] -= here.gradient[p];
    SurrogateDensity surrogate(density, y_, std::move(gradient), answer.columns, hessian);
    WeightsOptions options = options_;
    options.start = y_;
    options.tolerance = 0.01 * options_.tolerance;
    options.max_iterations = 100;
    std::vector<double> pi = WeightsSolver(surrogate, prior_, grids_, options).solve().pi;
    // A surrogate without a maximum can leave the solver anywhere, with any sum.
    const double sum = std::accumulate(pi.begin(), pi.end(), 0.0);
    const bool usable =
        std::all_of(pi.begin(), pi.end(), [](double w) { return w >= 0.0; }) && sum > 0.0 && std::isfinite(sum);
    if (!usable) return {};
    pi = normalised(std::move(pi));
    if (pi == y_) pi.clear();
    return pi;
  }

  // Far from the optimum the surrogate must not curve less than the sample does: it would go too far.
  static void leave_positive(arma::mat& A) {
    arma::vec values;
    arma::mat vectors;
    if (arma::eig_sym(values, vectors, arma::mat(arma::symmatu(A))))
      A = vectors * arma::diagmat(arma::clamp(values, 0.0, arma::datum::inf)) * vectors.t();
    else
      A.zeros();
  }

  // A step of Newton's method with the derivatives of all effects; of the columns that join, second derivatives are
  // those of the sample.
  std::vector<double> newton_step(const PassAnswer& answer) {
    std::vector<std::size_t> columns = answer.columns;
    std::vector<unsigned char> in_use(y_.size(), 0);
    for (const std::size_t p : columns) in_use[p] = 1;
    for (const std::size_t p : local_maxima(n_ * (1.0 + 0.5 * options_.tolerance)))
      if (!in_use[p]) columns.push_back(p);
    const std::size_t n = columns.size(), s = answer.columns.size();
    arma::vec x(n, arma::fill::zeros), slope(n), penalty(n);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t p = columns[i];
      x[i] = y_[p];
      penalty[i] = (prior_[p] - 1.0) / n_;
      slope[i] = 1.0 - answer.gradient[p] / n_;
    }
    ExtendedLikelihoods extended(sample_, answer.hard);
    BlockDensity density(extended, executor_);
    density.enter(0);
    density.use(columns);
    density.mix(arma::conv_to<std::vector<double>>::from(x));
    arma::mat H = density.model().hessian, factor;
    H.submat(0, 0, s - 1, s - 1) = answer.hessian;
    H.diag() += 1e-10 * arma::mean(H.diag());
    if (n > s && !arma::chol(factor, H)) {
      H.submat(0, s, s - 1, n - 1).zeros();
      H.submat(s, 0, n - 1, s - 1).zeros();
    }
    H /= n_;
    slope -= H * x;
    // The penalties are known everywhere: Newton's steps for them cost no pass.
    for (int step = 0; step < 30; ++step) {
      arma::mat bent = H;
      arma::vec tilted = slope;
      for (std::size_t i = 0; i < n; ++i) {
        if (penalty[i] == 0.0) continue;
        bent(i, i) += penalty[i] / (x[i] * x[i]);
        tilted[i] -= 2.0 * penalty[i] / x[i];
      }
      const arma::vec before = x;
      x = nonnegative_quadratic(bent, tilted, before);
      for (std::size_t i = 0; i < n; ++i)
        if (penalty[i] > 0.0) x[i] = std::max(x[i], 0.1 * before[i]);
      if (arma::abs(x - before).max() <= 1e-12 || !arma::any(penalty > 0.0)) break;
    }
    std::vector<double> next(y_.size(), 0.0);
    for (std::size_t i = 0; i < n; ++i) next[columns[i]] = x[i] < 1e-14 && penalty[i] == 0.0 ? 0.0 : x[i];
    const double sum = std::accumulate(next.begin(), next.end(), 0.0);
    return sum > 0.0 ? normalised(std::move(next)) : expectation_step();
  }

  static std::vector<double> normalised(std::vector<double> x) {
    const double sum = std::accumulate(x.begin(), x.end(), 0.0);
    for (double& w : x) w /= sum;
    return x;
  }

  LikelihoodSource& sample_;
  Executor& executor_;
  const std::vector<double> prior_;
  std::vector<std::pair<std::size_t, std::size_t>> grids_;
  WeightsOptions options_;
  PassQuery query_;
  // the best so far
  std::vector<double> y_, gradient_;
  double objective_ = 0.0, n_ = 0.0, excess_ = 0.0, smallest_excess_ = 0.0;
  int passes_ = 0, stalled_ = 0;
  bool of_surrogate_ = false;  // the query
  int too_far_ = 0;            // how often the surrogate went too far
  int newton_steps_ = 0;       // that take its place
  bool entering_ = false;      // it has columns that enter()
  bool converged_ = false;
};

}  // namespace covmash
