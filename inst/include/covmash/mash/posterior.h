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
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "../sweep/likelihood.h"

namespace covmash {

struct PosteriorOptions {
  double pi_threshold = 1e-10;  // components above it enter the posterior; all of them enter the log-likelihood
  bool summaries = true;
  bool keep_weights = false;
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
        engine_(noise, prior, select(prior, pi), executor),
        kernels_(engine_.kernels()) {
    const Selection& s = engine_.selection();
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

  void run(const PosteriorOutput& out, Executor& executor) {
    const auto& blocks = engine_.noise().blocks();
    const std::size_t per_task = std::max<std::size_t>(options_.block_rows / block_effects, 1);
    const std::size_t n_tasks = (blocks.size() + per_task - 1) / per_task;
    std::vector<State> states(executor.workers());
    executor.step("Posterior", true);
    executor.run(n_tasks, engine_.work_per_block() * static_cast<double>(blocks.size()),
                 [&](std::size_t task, std::size_t worker) {
                   State& state = states[worker];
                   if (!state.ready) prepare(state);
                   const std::size_t end = std::min(blocks.size(), (task + 1) * per_task);
                   for (std::size_t b = task * per_task; b < end; ++b) {
                     block(blocks[b], state, out);
                     executor.checkpoint();
                   }
                 });
    nothing_observed(out);
  }

 private:
  struct State {
    bool ready = false;
    Workspace ws;
    Buffer<double> weight, moments, total, maximum, sum, mean, variance, coef, var, work, kept_sum;
    Buffer<double> out_loglik, out_null, out_alternative;
    simd::Moments at;
  };

  static Selection select(const MixturePrior& prior, const std::vector<double>& pi) {
    require(pi.size() == prior.n_components(), "pi must have one weight for each mixture component");
    // The point mass is always evaluated (its log-likelihood is reported); with all the mass on it, the alternatives
    // are reported under equal weights and so all have to be there.
    const bool everything = prior.point_mass && pi[0] >= 1.0;
    return Selection(prior, [&](std::size_t p) { return pi[p] > 0.0 || everything || (prior.point_mass && p == 0); });
  }

  std::size_t conditions() const { return engine_.noise().effects().n_conditions; }

  void prepare(State& s) const {
    const std::size_t R = conditions(), n = engine_.selection().size();
    engine_.prepare(s.ws);
    s.weight.require_size(n * simd::lanes);
    double* m = s.moments.require_size(7 * R * simd::lanes);
    const std::size_t step = R * simd::lanes;
    s.at = {m, m + step, m + 2 * step, m + 3 * step, m + 4 * step};
    for (auto* b : {&s.total, &s.maximum, &s.sum, &s.kept_sum, &s.out_loglik, &s.out_null, &s.out_alternative})
      b->require_size(simd::lanes);
    s.mean.require_size(step);
    s.variance.require_size(step);
    s.ready = true;
  }

  // Component weights of the lanes [from, to): rho in s.weight, log-likelihoods in s.out_*.
  void weigh(State& s, std::size_t from, std::size_t to) const {
    const std::size_t n = engine_.selection().size();
    const double* loglik = s.ws.loglik.data();
    double* weight = s.weight.data();
    double *maximum = s.maximum.data(), *sum = s.sum.data();
    const auto log_mixture = [&](const std::vector<double>& offset, double* out) {
      kernels_.block_maximum(n, loglik, offset.data(), maximum, from, to);
      kernels_.block_exponentials(n, loglik, offset.data(), maximum, weight, sum, from, to);
      for (std::size_t lane = from; lane < to; ++lane) out[lane] = maximum[lane] + std::log(sum[lane]);
    };
    if (engine_.prior().point_mass) {
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
  }

  void block(const Block& block, State& s, const PosteriorOutput& out) {
    const bool summaries = options_.summaries;
    if (summaries) reset_moments(s);
    if (block.group >= 0) {
      engine_.evaluate_shared(block, s.ws);
      weigh(s, 0, simd::lanes);
      if (summaries) add_shared(s);
    } else {
      engine_.load_row_specific(block, s.ws);
      const std::size_t W = kernels_.width;
      for (std::size_t pack = 0; pack < simd::lanes / W; ++pack) {
        if (summaries) {
          add_row_specific(pack, s);
        } else {
          engine_.evaluate_pack(pack, false, s.ws, [](const LikelihoodEngine::Visit&) {});
        }
        weigh(s, pack * W, (pack + 1) * W);
      }
    }
    if (summaries) {
      double* extra = s.moments.data() + 5 * conditions() * simd::lanes;
      kernels_.finish_posterior(conditions(), s.total.data(), s.at, extra, extra + conditions() * simd::lanes);
    }
    write(block, s, out);
  }

  void add_shared(State& s) {
    Workspace& ws = s.ws;
    const std::size_t R = conditions();
    const Selection& selection = engine_.selection();
    double* total = s.total.data();
    if (selection.point_mass) kernels_.posterior_null(R, s.weight.data(), total, s.at);
    for (std::size_t k = 0; k < selection.covariances.size(); ++k) {
      const auto& chosen = selection.covariances[k];
      if (!enters(chosen)) continue;
      if (engine_.absorbs_shared(k)) {
        for (std::size_t pack = 0; pack < simd::lanes / kernels_.width; ++pack)
          engine_.absorb_pack(k, pack, true, ws, [&](const LikelihoodEngine::Visit& v) {
            const std::size_t lane = pack * kernels_.width;
            add_decomposed(v, s.weight.data() + (chosen.slot + v.first) * simd::lanes + lane, s, lane);
          });
        continue;
      }
      const WhitenedCovariance& u = engine_.whitened(ws.block.group, k);
      const Covariance& covariance = engine_.prior().covariances[chosen.index];
      const std::size_t q = u.rank, n = chosen.scales.size(), n_terms = u.n_terms();
      const double* rho = s.weight.data() + chosen.slot * simd::lanes;
      const bool by_lane = !ws.one_factor;
      const double* shrink = by_lane ? ws.shrink[k].data() : ws.shared_shrink[k].data();
      const std::size_t stride = n_terms * (by_lane ? simd::lanes : 1);
      if (q == 0) {
        for (std::size_t l = 0; l < n; ++l) kernels_.posterior_null(R, rho + l * simd::lanes, total, s.at);
        continue;
      }
      if (q == 1) {
        kernels_.posterior_rank1(R, u.back.data(), u.sigma[0], ws.inverse_c, ws.projected[k].data(), n,
                                 chosen.scales.data(), shrink, n_terms, by_lane, rho, total, s.at);
        continue;
      }
      if (u.explicit_terms < q) engine_.complete_projection(k, ws);
      double* coef = s.coef.require_size(q * simd::lanes);
      double* var = s.var.require_size(q * simd::lanes);
      double* table = ws.shared_variance[k].require_size(n * R);
      for (std::size_t l = 0; l < n; ++l) {
        if (!kept_[chosen.slot + l]) continue;
        const bool known = !by_lane && ws.variance_known[k][l];
        kernels_.eigenbasis_posterior(q, u.explicit_terms, u.sigma.data(), ws.inverse_c, ws.projected[k].data(),
                                      chosen.scales[l], shrink + l * stride, by_lane, coef, known ? nullptr : var);
        kernels_.multiply(R, q, u.back.data(), coef, s.mean.data());
        if (!known) kernels_.multiply(R, q, u.back_squared.data(), var, s.variance.data());
        if (!by_lane && !known) {
          for (std::size_t r = 0; r < R; ++r) table[l * R + r] = s.variance[r * simd::lanes];
          ws.variance_known[k][l] = 1;
        }
        kernels_.posterior_full(R, covariance.zero_variance.data(), s.mean.data(),
                                by_lane ? s.variance.data() : table + l * R, by_lane, rho + l * simd::lanes, total,
                                s.at);
      }
    }
  }

  // Likelihood and posterior of one pack in one go: a covariance is decomposed once, and what it adds is weighted
  // relative to the likeliest component so far. (The back-maps of all covariances together would not stay in cache.)
  void add_row_specific(std::size_t pack, State& s) {
    Workspace& ws = s.ws;
    const std::size_t R = conditions(), W = kernels_.width, lane = pack * W;
    const Selection& selection = engine_.selection();
    const simd::Moments at = moments_from(s, lane);
    double *total = s.total.data() + lane, *maximum = s.maximum.data(), *factor = s.sum.data();
    std::fill(maximum, maximum + W, std::numeric_limits<double>::lowest());
    bool first = true;
    const auto weights = [&](std::size_t slot, std::size_t n) {
      double* rho = s.weight.data() + slot * simd::lanes + lane;
      kernels_.pack_weights(n, ws.loglik.data() + slot * simd::lanes + lane, log_pi_kept_.data() + slot, maximum, rho,
                            factor);
      if (!std::exchange(first, false)) kernels_.pack_rescale(R, factor, total, at);
      return rho;
    };
    const bool null = selection.point_mass && kept_[0];
    engine_.evaluate_pack(pack, true, ws, [&](const LikelihoodEngine::Visit& v) {
      const auto& chosen = selection.covariances[v.k];
      if (!enters(chosen)) return;
      add_decomposed(v, weights(chosen.slot + v.first, v.n), s, lane);
    });
    if (null) kernels_.pack_null(R, weights(0, 1), total, at);
    for (std::size_t i = 0; i < W; ++i) factor[i] = 1.0 / total[i];
    kernels_.pack_rescale(R, factor, total, at);
  }

  static simd::Moments moments_from(const State& s, std::size_t lane) {
    return {s.at.mean + lane, s.at.centred + lane, s.at.negative + lane, s.at.positive + lane, s.at.zero + lane};
  }

  // The components of one visit join the moments of the pack that begins at `lane`, with weights rho.
  void add_decomposed(const LikelihoodEngine::Visit& v, const double* rho, State& s, std::size_t lane) const {
    const Workspace& ws = s.ws;
    const std::size_t R = conditions();
    const auto& chosen = engine_.selection().covariances[v.k];
    const Covariance& covariance = engine_.prior().covariances[chosen.index];
    const simd::Moments at = moments_from(s, lane);
    double* total = s.total.data() + lane;
    if (v.q == 0 && !v.part) {
      for (std::size_t l = 0; l < v.n; ++l) kernels_.pack_null(R, rho + l * simd::lanes, total, at);
      return;
    }
    kernels_.rowwise_posterior(R, v.q, engine_.factor(v.k).memptr(), covariance.zero_variance.data(), ws.alpha.data(),
                               ws.beta.data(), ws.zeta.data(), ws.back.data(), v.part, v.n,
                               chosen.scales.data() + v.first, rho, s.work.require_size(3 * (v.q + 1) * kernels_.width),
                               total, at);
  }

  bool enters(const Selection::Covariance& chosen) const {
    for (std::size_t l = 0; l < chosen.scales.size(); ++l)
      if (kept_[chosen.slot + l]) return true;
    return false;
  }

  void write(const Block& block, State& s, const PosteriorOutput& out) const {
    const auto& members = engine_.noise().members(block);
    const std::size_t J = engine_.noise().effects().n_effects, R = conditions();
    const std::size_t* rows = members.data() + block.begin;
    const auto scatter = [&](double* target, const double* values) {
      if (target)
        for (std::size_t i = 0; i < block.count; ++i) target[rows[i]] = values[i];
    };
    for (std::size_t i = 0; i < block.count; ++i)
      if (!std::isfinite(s.out_loglik[i]))
        throw numeric_error("the log-likelihood of effect " + std::to_string(rows[i] + 1) +
                            " is not finite under any mixture component");
    scatter(out.loglik, s.out_loglik.data());
    if (engine_.prior().point_mass) {
      scatter(out.null_loglik, s.out_null.data());
      scatter(out.alternative_loglik, s.out_alternative.data());
    }
    if (out.weights)
      for (std::size_t slot = 0; slot < kept_.size(); ++slot)
        if (kept_[slot]) scatter(out.weights + weight_column_[slot] * J, s.weight.data() + slot * simd::lanes);
    if (!options_.summaries) return;
    const double* extra = s.moments.data() + 5 * R * simd::lanes;
    for (std::size_t r = 0; r < R; ++r) {
      const std::size_t from = r * simd::lanes, to = r * J;
      scatter(out.mean + to, s.at.mean + from);
      scatter(out.sd + to, extra + from);
      if (out.lfdr) scatter(out.lfdr + to, s.at.zero + from);
      scatter(out.negative + to, s.at.negative + from);
      scatter(out.lfsr + to, extra + R * simd::lanes + from);
    }
  }

  // Effects without data: log-likelihood 0, posterior = prior.
  void nothing_observed(const PosteriorOutput& out) const {
    const auto& missing = engine_.noise().all_missing();
    if (missing.empty()) return;
    const MixturePrior& prior = engine_.prior();
    const std::size_t J = engine_.noise().effects().n_effects, R = conditions();
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
  LikelihoodEngine engine_;
  const simd::KernelTable& kernels_;
  std::vector<double> log_pi_, log_pi_kept_, alternative_log_pi_;
  std::vector<unsigned char> kept_;
  std::vector<std::size_t> kept_components_, weight_column_;
  bool all_kept_ = true;
};

}  // namespace covmash
