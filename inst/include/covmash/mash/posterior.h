#pragma once
// Posterior summaries of every effect under a fitted mixture, in one pass over blocks of 64 effects:
// log-likelihoods -> component weights -> moments and sign probabilities.
//
//   mean      sum rho m          sd^2    sum rho (s^2 + (m - mean)^2), accumulated centred
//   negative  sum rho Phi(-m/s)  zero    sum rho over components with structurally zero variance
//   lfsr      min(negative, positive) + zero
// (Urbut et al. 2019, doi:10.1038/s41588-018-0268-8; lfsr as Stephens 2017, doi:10.1093/biostatistics/kxw041.) O(R q)
// for a component of rank q >= 2 and effect, one Phi for a component of rank 1. Nothing of size J x P or R^2 J is
// formed.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "../sweep/sweep.h"
#include "joint.h"

namespace covmash {

struct PosteriorOptions {
  double pi_threshold = 1e-10;  // components above it enter the posterior; all of them enter the log-likelihood
  bool summaries = true;
  bool alternatives = true;       // log-likelihoods under the null and under the other components
  std::size_t block_rows = 1024;  // effects a task; results do not depend on it
};

// Where results go: J x R column-major arrays, J vectors. lfdr may be null where there are summaries.
struct PosteriorOutput {
  double *mean = nullptr, *sd = nullptr, *lfdr = nullptr, *negative = nullptr, *lfsr = nullptr;
  double *loglik = nullptr, *null_loglik = nullptr, *alternative_loglik = nullptr;
  double* weights = nullptr;  // J x (number of kept components)
};

class PosteriorPass {
 public:
  // pi over all components of the prior, as users count them.
  PosteriorPass(const NoiseModel& noise, const MixturePrior& prior, const std::vector<double>& pi,
                const PosteriorOptions& options, Executor& executor)
      : options_(options),
        pi_(pi),
        alternative_uniform_(prior.point_mass && pi[0] >= 1.0),
        plan_(noise, prior, Selection(prior)),
        sweep_(noise, prior, plan_, select(prior, pi), executor),
        kernels_(sweep_.kernels()) {
    const Selection& s = sweep_.selection();
    for (std::size_t slot = 0; slot < s.size(); ++slot) {
      const double p = pi[s.component[slot]];
      log_pi_.push_back(std::log(p));
      kept_.push_back(p > options.pi_threshold);
      if (kept_.back()) kept_components_.push_back(s.component[slot]);
    }
    std::sort(kept_components_.begin(), kept_components_.end());
    for (std::size_t slot = 0; slot < s.size(); ++slot) {
      const auto at = std::lower_bound(kept_components_.begin(), kept_components_.end(), s.component[slot]);
      weight_column_.push_back(at - kept_components_.begin());
      // Components that do not enter the posterior get weight exp(-inf) = 0 there.
      log_pi_kept_.push_back(kept_[slot] ? log_pi_[slot] : -std::numeric_limits<double>::infinity());
      all_kept_ = all_kept_ && (kept_[slot] || log_pi_[slot] == -std::numeric_limits<double>::infinity());
    }
    require(!kept_components_.empty(), "no mixture weight exceeds pi_thresh");
    alternative_log_pi_.assign(s.size(), -std::numeric_limits<double>::infinity());
    const double alternatives = static_cast<double>(prior.n_components()) - 1.0;
    for (std::size_t slot = prior.point_mass ? 1 : 0; slot < s.size(); ++slot)
      alternative_log_pi_[slot] =
          alternative_uniform_ ? -std::log(alternatives) : log_pi_[slot] - std::log1p(prior.point_mass ? -pi[0] : 0.0);
  }

  const std::vector<std::size_t>& kept_components() const { return kept_components_; }
  const Selection& selection() const { return sweep_.selection(); }

  // joint: of the selection of this pass; null if it is not wanted.
  void run(const PosteriorOutput& out, Executor& executor, const JointPosterior* joint = nullptr) {
    const auto& blocks = plan_.blocks();
    const std::size_t per_task = std::max<std::size_t>(options_.block_rows / block_effects, 1);
    const std::size_t n_tasks = (blocks.size() + per_task - 1) / per_task;
    std::vector<State> states(executor.workers());
    for (std::size_t w = 0; w < states.size(); ++w) states[w].joint.worker = w;
    executor.step("Posterior", true);
    executor.run(n_tasks, sweep_.work_per_block() * static_cast<double>(blocks.size()),
                 [&](std::size_t task, std::size_t worker) {
                   State& state = states[worker];
                   if (!state.ready) prepare(state);
                   const std::size_t end = std::min(blocks.size(), (task + 1) * per_task);
                   for (std::size_t b = task * per_task; b < end; ++b) {
                     block(blocks[b], state, out, joint);
                     executor.checkpoint();
                   }
                 });
    nothing_observed(out);
    if (joint) joint_of_unobserved(*joint, states[0].joint);
  }

 private:
  struct State {
    bool ready = false;
    Workspace ws;
    Buffer<double> weight, moments, total, maximum, sum, kept_sum;
    Buffer<double> out_loglik, out_null, out_alternative;
    MomentSum mixture;
    JointPosterior::Workspace joint;
    std::uint64_t started;  // lanes that have met a component whose weight is relative to the likeliest so far
  };

  static Selection select(const MixturePrior& prior, const std::vector<double>& pi) {
    require(pi.size() == prior.n_components(), "pi must have one weight for each mixture component");
    // The point mass is always evaluated (its log-likelihood is reported); with all the mass on it, the alternatives
    // are reported under equal weights and so all have to be there.
    const bool everything = prior.point_mass && pi[0] >= 1.0;
    return Selection(prior, [&](std::size_t p) { return pi[p] > 0.0 || everything || (prior.point_mass && p == 0); });
  }

  std::size_t conditions() const { return sweep_.noise().effects().n_conditions; }

  void prepare(State& s) const {
    const std::size_t R = conditions(), n = sweep_.selection().size();
    sweep_.prepare(s.ws);
    s.weight.require_size(n * simd::lanes);
    double* m = s.moments.require_size(7 * R * simd::lanes);
    const std::size_t step = R * simd::lanes;
    s.mixture.total = s.total.require_size(simd::lanes);
    s.mixture.at = {m, m + step, m + 2 * step, m + 3 * step, m + 4 * step};
    for (auto* b : {&s.maximum, &s.sum, &s.kept_sum, &s.out_loglik, &s.out_null, &s.out_alternative})
      b->require_size(simd::lanes);
    for (auto* b : {&s.mixture.mean, &s.mixture.variance}) std::fill_n(b->require_size(step), step, 0.0);
    s.ready = true;
  }

  // Component weights of the lanes [from, to): rho in s.weight, log-likelihoods in s.out_*.
  void weigh(State& s, std::size_t from, std::size_t to) const {
    const std::size_t n = sweep_.selection().size();
    const double* loglik = s.ws.loglik.data();
    double* weight = s.weight.data();
    double *maximum = s.maximum.data(), *sum = s.sum.data();
    const auto log_mixture = [&](const std::vector<double>& offset, double* out) {
      kernels_.block_maximum(n, loglik, offset.data(), maximum, from, to);
      kernels_.block_exponentials(n, loglik, offset.data(), maximum, weight, sum, from, to);
      for (std::size_t lane = from; lane < to; ++lane) out[lane] = maximum[lane] + std::log(sum[lane]);
    };
    if (sweep_.prior().point_mass && options_.alternatives) {
      log_mixture(alternative_log_pi_, s.out_alternative.data());
      std::copy(loglik + from, loglik + to, s.out_null.data() + from);
    }
    if (!all_kept_) log_mixture(log_pi_, s.out_loglik.data());
    log_mixture(log_pi_kept_, s.kept_sum.data());  // leaves the posterior's weights in place
    if (all_kept_) std::copy(s.kept_sum.data() + from, s.kept_sum.data() + to, s.out_loglik.data() + from);
    for (std::size_t slot = 0; slot < n; ++slot)
      for (std::size_t lane = from; lane < to; ++lane) weight[slot * simd::lanes + lane] /= sum[lane];
  }

  void reset_moments(State& s) const {
    std::fill(s.moments.data(), s.moments.data() + 5 * conditions() * simd::lanes, 0.0);
    std::fill(s.total.data(), s.total.data() + simd::lanes, 0.0);
    std::fill(s.maximum.data(), s.maximum.data() + simd::lanes, std::numeric_limits<double>::lowest());
    s.started = 0;
  }

  void block(const Block& block, State& s, const PosteriorOutput& out, const JointPosterior* joint) const {
    if (options_.summaries) reset_moments(s);
    sweep_.run(block, s.ws, Question{*this, s});
    if (options_.summaries) {
      double* extra = s.moments.data() + 5 * conditions() * simd::lanes;
      kernels_.finish_posterior(conditions(), s.total.data(), s.mixture.at, extra, extra + conditions() * simd::lanes);
    }
    write(block, s, out, joint);
  }

  // The moments of all components. Where a form is met before all log-likelihoods are known, what it adds is weighted
  // relative to the likeliest component so far, and everything is rescaled in the end: the forms of all covariances
  // together would not stay in cache.
  struct Question {
    const PosteriorPass& pass;
    State& s;

    bool wants(std::size_t k) const { return pass.options_.summaries && pass.enters(k); }

    void visit(const Sweep::Visit& v) {
      const std::size_t slot = v.chosen().slot + v.first;
      if (!v.all_known()) pass.relative_weights(slot, v.n, v.from, v.to, s);
      v.moments(s.weight.data() + slot * simd::lanes, pass.kept_.data() + slot, s.mixture);
    }

    void known(Form form, std::size_t from, std::size_t to) {
      const bool null = pass.sweep_.selection().point_mass;
      if (form == Form::spectral) {
        pass.weigh(s, from, to);
        if (pass.options_.summaries && null)
          pass.kernels_.posterior_null(pass.conditions(), s.weight.data(), s.mixture.total, s.mixture.at);
        return;
      }
      if (pass.options_.summaries) pass.finish_relative(null && pass.kept_[0], from, to, s);
      pass.weigh(s, from, to);
    }
  };

  simd::Moments moments_from(const State& s, std::size_t lane) const {
    const simd::Moments& at = s.mixture.at;
    return {at.mean + lane, at.centred + lane, at.negative + lane, at.positive + lane, at.zero + lane};
  }

  // Weights of n components from `slot` on, relative to the likeliest so far, which may be one of them: then what has
  // been gathered is rescaled.
  void relative_weights(std::size_t slot, std::size_t n, std::size_t from, std::size_t to, State& s) const {
    for (std::size_t lane = from; lane < to; lane += kernels_.width) {
      double* factor = s.sum.data() + lane;
      kernels_.pack_weights(n, s.ws.loglik.data() + slot * simd::lanes + lane, log_pi_kept_.data() + slot,
                            s.maximum.data() + lane, s.weight.data() + slot * simd::lanes + lane, factor);
      const std::uint64_t bit = std::uint64_t(1) << lane;
      if (s.started & bit) kernels_.pack_rescale(conditions(), factor, s.total.data() + lane, moments_from(s, lane));
      s.started |= bit;
    }
  }

  void finish_relative(bool null, std::size_t from, std::size_t to, State& s) const {
    const std::size_t R = conditions(), W = kernels_.width;
    if (null) relative_weights(0, 1, from, to, s);
    for (std::size_t lane = from; lane < to; lane += W) {
      double *total = s.total.data() + lane, *factor = s.sum.data() + lane;
      if (null) kernels_.pack_null(R, s.weight.data() + lane, total, moments_from(s, lane));
      for (std::size_t i = 0; i < W; ++i) factor[i] = 1.0 / total[i];
      kernels_.pack_rescale(R, factor, total, moments_from(s, lane));
    }
  }

  bool enters(std::size_t k) const {
    const auto& chosen = sweep_.selection().covariances[k];
    for (std::size_t l = 0; l < chosen.scales.size(); ++l)
      if (kept_[chosen.slot + l]) return true;
    return false;
  }

  void write(const Block& block, State& s, const PosteriorOutput& out, const JointPosterior* joint) const {
    const std::size_t J = sweep_.noise().effects().n_effects, R = conditions();
    std::size_t by_lane[block_effects], rows[block_effects], lanes[block_effects], n = 0;
    plan_.rows(block, by_lane);
    for_each_lane(block.lanes, [&](std::size_t lane) {
      rows[n] = by_lane[lane];
      lanes[n++] = lane;
    });
    const auto scatter = [&](double* target, const double* values) {
      if (target)
        for (std::size_t i = 0; i < n; ++i) target[rows[i]] = values[lanes[i]];
    };
    for (std::size_t i = 0; i < n; ++i)
      if (!std::isfinite(s.out_loglik[lanes[i]]))
        throw numeric_error("the log-likelihood of effect " + std::to_string(rows[i] + 1) +
                            " is not finite under any mixture component");
    scatter(out.loglik, s.out_loglik.data());
    if (sweep_.prior().point_mass && options_.alternatives) {
      scatter(out.null_loglik, s.out_null.data());
      scatter(out.alternative_loglik, s.out_alternative.data());
    }
    if (out.weights)
      for (std::size_t slot = 0; slot < kept_.size(); ++slot)
        if (kept_[slot]) scatter(out.weights + weight_column_[slot] * J, s.weight.data() + slot * simd::lanes);
    if (joint)
      for (std::size_t i = 0; i < n; ++i) joint->effect(rows[i], s.weight.data() + lanes[i], simd::lanes, s.joint);
    if (!options_.summaries) return;
    // Sums of weights that sum to 1 up to rounding.
    const auto scatter_probability = [&](double* target, const double* values) {
      for (std::size_t i = 0; i < n; ++i) target[rows[i]] = std::min(values[lanes[i]], 1.0);
    };
    const double* extra = s.moments.data() + 5 * R * simd::lanes;
    for (std::size_t r = 0; r < R; ++r) {
      const std::size_t from = r * simd::lanes, to = r * J;
      scatter(out.mean + to, s.mixture.at.mean + from);
      scatter(out.sd + to, extra + from);
      if (out.lfdr) scatter_probability(out.lfdr + to, s.mixture.at.zero + from);
      scatter_probability(out.negative + to, s.mixture.at.negative + from);
      scatter_probability(out.lfsr + to, extra + R * simd::lanes + from);
    }
  }

  void joint_of_unobserved(const JointPosterior& joint, JointPosterior::Workspace& ws) const {
    const Selection& s = sweep_.selection();
    std::vector<double> weight(s.size(), 0.0);
    double total = 0.0;
    for (std::size_t p : kept_components_) total += pi_[p];
    for (std::size_t slot = 0; slot < s.size(); ++slot)
      if (kept_[slot]) weight[slot] = pi_[s.component[slot]] / total;
    for (std::size_t j : sweep_.noise().all_missing()) joint.effect(j, weight.data(), 1, ws);
  }

  // Effects without data: log-likelihood 0, posterior = prior.
  void nothing_observed(const PosteriorOutput& out) const {
    const auto& missing = sweep_.noise().all_missing();
    if (missing.empty()) return;
    const MixturePrior& prior = sweep_.prior();
    const std::size_t J = sweep_.noise().effects().n_effects, R = conditions();
    double total = 0.0;
    for (std::size_t p : kept_components_) total += pi_[p];
    std::vector<double> variance(R, 0.0), nonzero(R, 0.0);
    for (std::size_t k = 0; k < prior.covariances.size(); ++k) {
      const arma::vec own = prior.covariances[k].variances();
      for (std::size_t l = 0; l < prior.scales.size(); ++l) {
        const double p = pi_[prior.component(k, l)];
        if (!(p > options_.pi_threshold) || prior.scales[l] == 0.0) continue;
        for (std::size_t r = 0; r < R; ++r) {
          if (prior.covariances[k].zero_variance[r]) continue;
          variance[r] += p / total * prior.scales[l] * own[r];
          nonzero[r] += p / total;
        }
      }
    }
    for (std::size_t j : missing) {
      if (out.loglik) out.loglik[j] = 0.0;
      if (prior.point_mass && out.null_loglik) out.null_loglik[j] = 0.0;
      if (prior.point_mass && out.alternative_loglik) out.alternative_loglik[j] = 0.0;
      if (out.weights)
        for (std::size_t i = 0; i < kept_components_.size(); ++i)
          out.weights[i * J + j] = pi_[kept_components_[i]] / total;
      if (!options_.summaries) continue;
      for (std::size_t r = 0; r < R; ++r) {
        const double zero = std::max(1.0 - nonzero[r], 0.0);
        out.mean[r * J + j] = 0.0;
        out.sd[r * J + j] = std::sqrt(variance[r]);
        if (out.lfdr) out.lfdr[r * J + j] = zero;
        out.negative[r * J + j] = 0.5 * nonzero[r];
        out.lfsr[r * J + j] = std::min(0.5 * nonzero[r] + zero, 1.0);
      }
    }
  }

  PosteriorOptions options_;
  std::vector<double> pi_;
  bool alternative_uniform_;
  Plan plan_;
  Sweep sweep_;
  const simd::KernelTable& kernels_;
  std::vector<double> log_pi_, log_pi_kept_, alternative_log_pi_;
  std::vector<unsigned char> kept_;
  std::vector<std::size_t> kept_components_, weight_column_;
  bool all_kept_ = true;
};

}  // namespace covmash
