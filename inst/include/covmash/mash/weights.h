#pragma once
// Mixture weights: maximise  sum_j log (L pi)_j + sum_p (prior_p - 1) log pi_p  over the simplex.
//
// Restricted Newton with column generation. Newton steps run on a small support S: the quadratic model of the
// Lagrangian form  -1/N objective + sum x, x >= 0  (its minimum has sum x = 1), solved by block principal pivoting,
// then a line search on exact values. Between them a pass over all columns gives the gradient g; the best local maxima
// of g along the scale grids join the support, but never more than 64 or than are in use, and none that is nearly
// proportional to a better one: where every column is a grid of its own, all are local maxima, while the solution keeps
// a few, and a step costs |S|^3. N = J + sum (prior - 1). At the optimum g_p <= N for every p, and for any pi
//     f* - f(pi) <= N log( max_p g_p / N ),
// by concavity, which is the certificate that is returned (Kim, Carbonetto, Stephens & Anitescu 2020,
// doi:10.1080/10618600.2019.1689985, state the problem and an SQP method).
//
// The effects are seen through a Density only, as sums. The problem is solved for a part of them first, coarsest level
// first; the last level has all effects, and only it counts. A finer level first settles on the support it is given,
// for which no other column is evaluated, so that few passes over all columns are left. Cost: one evaluation (or
// reading) of all likelihoods a pass over all columns; J |S|^2 flops a Newton step.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../linalg/quadratic.h"
#include "density.h"

namespace covmash {

struct WeightsOptions {
  double tolerance = 1e-8;    // on max_p g_p / N - 1
  int max_iterations = 1000;  // Newton steps with all effects; 0 with a start: its certificate
  std::vector<double> start;  // weights to start from, up to a factor; empty: none
};

struct WeightsResult {
  std::vector<double> pi;
  double objective = 0.0;  // with the relative likelihoods: add the sum of the row maxima
  double kkt_violation = 0.0, gap_bound = 0.0;
  int iterations = 0;
  bool converged = false;
};

class WeightsSolver {
 public:
  // prior: penalty of each column (>= 1). grids: [begin, end) of each run of columns that differ by scale only.
  WeightsSolver(Density& density, const std::vector<double>& prior,
                std::vector<std::pair<std::size_t, std::size_t>> grids, const WeightsOptions& options)
      : density_(density),
        prior_(prior),
        grids_(std::move(grids)),
        options_(options),
        n_columns_(density.n_columns()),
        n_effects_(density.n_effects()) {
    require(prior.size() == n_columns_, "prior must have one value for each mixture component");
    for (double p : prior) require(p >= 1.0, "prior weights must be at least 1");
  }

  WeightsResult solve() {
    WeightsResult result;
    const double penalties = std::accumulate(prior_.begin(), prior_.end(), -static_cast<double>(n_columns_));
    if (n_effects_ + penalties <= 0.0) {  // nothing to learn from: equal weights
      result.pi.assign(n_columns_, 1.0 / static_cast<double>(n_columns_));
      result.converged = true;
      return result;
    }
    int level = options_.start.empty() ? density_.n_levels() - 1 : 0;
    if (options_.start.empty()) {
      enter_level(level);
      start();
    } else {
      start_from(options_.start);
      enter_level(level);
    }
    for (int steps = 0;; steps = settle()) {
      const bool last = level == 0;
      result = solve_level(steps, last ? options_.tolerance : std::max(options_.tolerance, 1e-5),
                           last ? options_.max_iterations : std::min(options_.max_iterations, 50));
      if (last) break;
      just_started_ = false;  // also where the starting weights were good enough
      drop_unused();
      enter_level(--level);
    }
    result.pi.assign(n_columns_, 0.0);
    for (std::size_t s = 0; s < support_.size(); ++s) result.pi[support_[s]] = x_[s];
    result.gap_bound = n_ * std::log1p(result.kkt_violation);
    result.objective = objective_;
    return result;
  }

 private:
  using Columns = Density::Columns;
  static constexpr std::size_t most_at_once = 64;      // columns that join, or as many as are in use
  static constexpr double nearly_proportional = 0.99;  // cosine of two columns, each divided by the density
  static constexpr std::size_t all_settled = ~std::size_t(0);

  // ---- levels ----

  void enter_level(int level) {
    const double effects = density_.enter(level);
    penalty_.resize(n_columns_);
    n_ = effects;
    for (std::size_t p = 0; p < n_columns_; ++p) {
      penalty_[p] = n_effects_ > 0.0 ? (prior_[p] - 1.0) * effects / n_effects_ : prior_[p] - 1.0;
      n_ += penalty_[p];
    }
    density_.use(support_);
  }

  // Newton steps on the support alone, where it is quickly had; returns how many.
  int settle() {
    if (!density_.can_stand_alone()) return 0;
    density_.stand_alone();
    mix();
    int step = 0;
    while (step < std::min(options_.max_iterations, 20) && newton_step(1e-4)) ++step;
    return step;
  }

  WeightsResult solve_level(int steps_so_far, double tolerance, int max_iterations) {
    WeightsResult result;
    result.iterations = steps_so_far;
    double previous_excess = std::numeric_limits<double>::infinity();
    int stalled = 0;
    bool cover_more = true;
    for (;;) {
      const Density::Pass pass = density_.all_columns(x_, cover_more);
      const std::vector<double> g = whole_gradient(pass);
      const double excess = *std::max_element(g.begin(), g.end()) / n_ - 1.0;
      result.kkt_violation = std::max(excess, 0.0);
      result.converged = excess <= tolerance;
      // A flat likelihood is within the tolerance wherever one starts, and yet there is something to gain.
      const bool untouched = result.iterations == 0 && excess > 1e-4 * tolerance;
      if ((result.converged && !untouched) || result.iterations >= max_iterations) break;
      bool grew = cover_more && cover(pass);
      cover_more = cover_more && pass.more_uncovered;
      if (cover_more) continue;
      if (std::exchange(just_started_, false)) {
        expectation_steps(3);
        continue;
      }
      if (feed(g)) {
        ++result.iterations;
        continue;
      }
      // A column in use that wants a thousand times its weight: the model of the logarithm holds nowhere near there, and
      // Newton's step would no more than double it.
      if (most_wanted(g) > 1e3 * n_) {
        ++result.iterations;
        expectation_steps(1);
        continue;
      }
      const double within = std::min(tolerance, excess);
      if (extend_support(g, 0.5 * within)) grew = true;
      // No new column and no progress: rounding has been reached.
      stalled = grew || excess < 0.5 * previous_excess ? 0 : stalled + 1;
      if (stalled >= 8) break;
      previous_excess = std::min(excess, previous_excess);
      // Newton converges quadratically: near the optimum one more step costs less than another pass.
      const double e = std::min(previous_excess, 1.0);
      const double enough = std::max(0.1 * within, std::min(0.05 * e, 10.0 * e * e));
      for (int step = 0; step < 20 && result.iterations < max_iterations; ++step) {
        ++result.iterations;
        if (newton_step(enough)) continue;
        if (stalled > 0) expectation_steps(10);
        break;
      }
    }
    return result;
  }

  // ---- the objective ----

  double penalties(const std::vector<double>& x) const {
    double f = 0.0;
    for (std::size_t s = 0; s < support_.size(); ++s)
      if (penalty_[support_[s]] > 0.0) f += penalty_[support_[s]] * std::log(x[s]);
    return f;
  }
  double total_penalty() const { return std::accumulate(penalty_.begin(), penalty_.end(), 0.0); }

  double penalty_gradient(std::size_t s) const {
    return penalty_[support_[s]] > 0.0 ? penalty_[support_[s]] / x_[s] : 0.0;
  }

  // Of every column, at x; notes the objective.
  std::vector<double> whole_gradient(const Density::Pass& pass) {
    objective_ = pass.log_density + penalties(x_);
    std::vector<double> g = pass.gradient;
    for (std::size_t s = 0; s < support_.size(); ++s) g[support_[s]] += penalty_gradient(s);
    return g;
  }

  void mix() { objective_ = density_.mix(x_) + penalties(x_); }

  // ---- the support ----

  // Columns with a penalty, and the best local maxima of the gradient at equal weights, with equal weights.
  void start() {
    const std::vector<double> g = density_.gradient_at_equal_weights();
    std::vector<unsigned char> chosen(n_columns_, 0);
    for (std::size_t p : best_local_maxima(g, 0.0, chosen, most_at_once)) chosen[p] = 1;
    for (std::size_t p = 0; p < n_columns_; ++p)
      if (chosen[p] || penalty_[p] > 0.0) support_.push_back(p);
    x_.assign(support_.size(), 1.0 / static_cast<double>(support_.size()));
    density_.use(support_);
    just_started_ = true;
  }

  void start_from(const std::vector<double>& pi) {
    require(pi.size() == n_columns_, "the start must have one weight for each mixture component");
    double sum = 0.0;
    for (std::size_t p = 0; p < n_columns_; ++p) {
      require(pi[p] >= 0.0 && std::isfinite(pi[p]), "the weights to start from must be finite and not negative");
      require(pi[p] > 0.0 || prior_[p] == 1.0, "a component with a penalty must have a positive weight to start from");
      if (pi[p] == 0.0) continue;
      support_.push_back(p);
      x_.push_back(pi[p]);
      sum += pi[p];
    }
    require(sum > 0.0, "the weights to start from must not all be 0");
    for (double& x : x_) x /= sum;
  }

  // Columns not in use whose gradient is above a value and above its neighbours' in the grid: the best, in order of
  // columns.
  Columns best_local_maxima(const std::vector<double>& g, double above, const std::vector<unsigned char>& in_use,
                            std::size_t at_most) const {
    Columns found;
    for (const auto& grid : grids_)
      for (std::size_t p = grid.first; p < grid.second; ++p) {
        const bool left = p == grid.first || g[p] >= g[p - 1];
        const bool right = p + 1 == grid.second || g[p] > g[p + 1];
        if (left && right && g[p] > above && !in_use[p]) found.push_back(p);
      }
    if (found.size() > at_most) {
      std::sort(found.begin(), found.end(),
                [&](std::size_t p, std::size_t q) { return g[p] != g[q] ? g[p] > g[q] : p < q; });
      found.resize(at_most);
      std::sort(found.begin(), found.end());
    }
    return found;
  }

  // Every effect must have a fair likelihood on the support, relative to its best column: where it has not, that column
  // joins, with a weight of its share of the effects. The logarithm's quadratic model, and so Newton's method, is
  // useless where the density is nearly zero. True if any column is new.
  bool cover(const Density::Pass& pass) {
    if (pass.covering.empty()) return false;
    support_.insert(support_.end(), pass.covering.begin(), pass.covering.end());
    if (just_started_) {
      x_.assign(support_.size(), 1.0 / static_cast<double>(support_.size()));
    } else {
      const double share = std::min(0.5, pass.uncovered / n_);
      for (double& x : x_) x *= 1.0 - share;
      x_.resize(support_.size(), share / static_cast<double>(pass.covering.size()));
    }
    density_.use(support_);
    mix();
    return true;
  }

  // Columns without weight whose gradient is beyond a thousand times N are all that some effects have: from a density of
  // next to nothing Newton's step would no more than double it, and the weight would be rounded to 0 again. They share
  // the weight of one effect, which costs the others about 1 in all, and gains log(1 + 1000) or more. True if there are any.
  bool feed(const std::vector<double>& g) {
    std::vector<unsigned char> in_use(n_columns_, 0);
    for (std::size_t s = 0; s < support_.size(); ++s)
      if (x_[s] > 0.0) in_use[support_[s]] = 1;
    const Columns starving = best_local_maxima(g, 1e3 * n_, in_use, most_at_once);
    if (starving.empty()) return false;
    drop_unused();
    const double share = std::min(0.5, 1.0 / n_);
    for (double& x : x_) x *= 1.0 - share;
    support_.insert(support_.end(), starving.begin(), starving.end());
    x_.resize(support_.size(), share / static_cast<double>(starving.size()));
    settled_ = all_settled;
    density_.use(support_);
    mix();
    return true;
  }

  // The largest gradient of a column in use.
  double most_wanted(const std::vector<double>& g) const {
    double most = 0.0;
    for (std::size_t s = 0; s < x_.size(); ++s)
      if (x_[s] > 0.0) most = std::max(most, g[support_[s]]);
    return most;
  }

  void expectation_steps(int steps) {
    for (int step = 0; step < steps; ++step) {
      const std::vector<double> g = density_.gradient();
      for (std::size_t s = 0; s < x_.size(); ++s) x_[s] *= std::max(g[s] + penalty_gradient(s), 0.0) / n_;
      mix();
    }
  }

  // Columns in use stay, unused ones leave, the best local maxima of the gradient that beat N join. True if any column
  // is new.
  bool extend_support(const std::vector<double>& g, double tolerance) {
    drop_unused();
    std::vector<unsigned char> in_use(n_columns_, 0);
    for (std::size_t p : support_) in_use[p] = 1;
    settled_ = support_.size();
    const Columns joining =
        best_local_maxima(g, n_ * (1.0 + tolerance), in_use, std::max<std::size_t>(most_at_once, settled_));
    support_.insert(support_.end(), joining.begin(), joining.end());
    x_.resize(support_.size(), 0.0);
    density_.use(support_);
    return !joining.empty();
  }

  void drop_unused() {
    std::vector<std::size_t> used;
    for (std::size_t s = 0; s < support_.size(); ++s)
      if (x_[s] > 0.0 || penalty_[support_[s]] > 0.0) used.push_back(s);
    keep(used);
  }

  // Of the support, the given positions.
  void keep(const std::vector<std::size_t>& positions) {
    Columns columns;
    std::vector<double> x;
    for (std::size_t s : positions) {
      columns.push_back(support_[s]);
      x.push_back(x_[s]);
    }
    support_ = std::move(columns);
    x_ = std::move(x);
  }

  // ---- Newton's method on the support ----

  // The model of -f/N + sum x.
  struct Model {
    arma::vec slope;
    arma::mat hessian;
  };

  Model quadratic_model() const {
    const std::size_t s = support_.size();
    Density::Model sums = density_.model();
    Model model{arma::vec(s), std::move(sums.hessian)};
    model.hessian /= n_;
    for (std::size_t i = 0; i < s; ++i) {
      const double penalty = penalty_[support_[i]];
      model.slope[i] = 1.0 - (sums.gradient[i] + penalty_gradient(i)) / n_;
      if (penalty > 0.0) model.hessian(i, i) += penalty / (n_ * x_[i] * x_[i]);
    }
    return model;
  }

  // Of the columns that have just joined, those nearly proportional to a better one leave again: they would bring next
  // to nothing beside it, and make the model singular. The one that stays comes to the optimum; then they may join it.
  void thin(Model& model) {
    const arma::mat& H = model.hessian;
    std::vector<std::size_t> kept(settled_), joined(support_.size() - settled_);
    std::iota(kept.begin(), kept.end(), std::size_t(0));
    std::iota(joined.begin(), joined.end(), settled_);
    std::sort(joined.begin(), joined.end(), [&](std::size_t s, std::size_t t) {
      return model.slope[s] != model.slope[t] ? model.slope[s] < model.slope[t] : s < t;
    });
    for (std::size_t s : joined) {
      const auto alike = [&](std::size_t t) { return H(s, t) > nearly_proportional * std::sqrt(H(s, s) * H(t, t)); };
      if (std::none_of(kept.begin() + static_cast<std::ptrdiff_t>(settled_), kept.end(), alike)) kept.push_back(s);
    }
    settled_ = all_settled;
    if (kept.size() == support_.size()) return;
    std::sort(kept.begin(), kept.end());
    keep(kept);
    density_.use(support_);
    const arma::uvec positions = arma::conv_to<arma::uvec>::from(kept);
    model = {arma::vec(model.slope.elem(positions)), arma::mat(H.submat(positions, positions))};
  }

  // One Newton step on the support. False if its optimality conditions hold up to `enough`, or if no step improves the
  // objective any more.
  bool newton_step(double enough) {
    Model model = quadratic_model();
    if (settled_ < support_.size()) thin(model);
    const std::size_t s = support_.size();
    const arma::vec& slope = model.slope;
    const arma::vec x(x_);
    double violation = 0.0;
    for (std::size_t i = 0; i < s; ++i)
      violation = std::max({violation, -slope[i], x[i] > 0.0 ? x[i] * slope[i] : 0.0});
    if (violation <= enough) return false;

    arma::mat& H = model.hessian;
    H.diag() += 1e-10 * arma::mean(H.diag());
    const arma::vec target = nonnegative_quadratic(H, slope - H * x, x);
    const arma::vec d = target - x;
    const double decrease = arma::dot(slope, d);
    if (!(decrease < 0.0)) return false;

    // -f/N + sum x along the step
    const double here = -objective_ / n_ + arma::accu(x);
    double t = 1.0;
    for (int halving = 0; halving < 50; ++halving, t *= 0.5) {
      std::vector<double> next(s);
      double sum = 0.0;
      bool inside = true;
      for (std::size_t i = 0; i < s; ++i) {
        next[i] = t == 1.0 ? target[i] : x[i] + t * d[i];
        if (next[i] < 1e-14) next[i] = 0.0;
        if (penalty_[support_[i]] > 0.0 && next[i] <= 0.0) inside = false;
        sum += next[i];
      }
      const double f = halving == 0 ? density_.toward(arma::conv_to<std::vector<double>>::from(d)) : density_.along(t);
      if (!inside || !(sum > 0.0)) continue;
      const double there = -(f + penalties(next)) / n_ + sum;
      // The slack admits the last steps, whose gain is below the rounding of the objective.
      if (there <= here + 1e-4 * t * decrease + 1e-15 * std::fabs(here)) {
        for (std::size_t i = 0; i < s; ++i) x_[i] = next[i] / sum;
        density_.move(t, sum);
        objective_ = f - (n_ - total_penalty()) * std::log(sum) + penalties(x_);
        return true;
      }
    }
    return false;
  }

  Density& density_;
  const std::vector<double>& prior_;
  std::vector<std::pair<std::size_t, std::size_t>> grids_;
  WeightsOptions options_;
  std::size_t n_columns_;
  double n_effects_;
  // the level
  double n_ = 0.0;               // effects + penalties
  std::vector<double> penalty_;  // prior - 1, in proportion to the effects of the level
  double objective_ = 0.0;       // at x
  bool just_started_ = false;
  // the support
  Columns support_;
  std::vector<double> x_;
  std::size_t settled_ = all_settled;  // the columns from here on have just joined
};

}  // namespace covmash
