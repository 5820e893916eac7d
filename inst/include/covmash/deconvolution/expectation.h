#pragma once
// The E-step of a deconvolution: what the effects say about the covariances U_k of y_j ~ sum_k w_k N(0, V_j + U_k).
//
// With responsibilities gamma_jk, A = V_j + U_k on the observed conditions and x = A^-1 y, it gives for each component
//
//     mass = sum_j gamma_jk        X = sum_j gamma_jk x x'        H = sum_j gamma_jk A^-1     (zero where not observed)
//
// and the log-likelihood: the gradient of the log-likelihood in U_k is (X - H) / 2, and every step in updates.h follows
// from these. A step that wants the effects themselves, sum gamma y y' in place of X, can have that; and so can one about
// the errors, S_j x for x and S_j A^-1 S_j for A^-1, S_j the standard errors of the effect. For the loadings of a component
// U = F F' of few columns, y = F f + e, there is also
//
//     G = sum_j gamma_jk c_j V_j^-1,     c_j >= the largest eigenvalue of E(f f' | y_j), and equal for one column.
//
// Effects with the same noise (the same conditions observed, the same Shat) are a run, and have one Cholesky factor for
// each component. R conditions, flops for each component:
//     blocks   for long runs. 64 effects at a time: R^2 an effect for its likelihood, R^2 for S = sum gamma y y'; then
//              X = A^-1 S A^-1 and H = mass A^-1, 7 R^3 a run.
//     packs    for short runs, single effects among them, as many at a time as a register has lanes: R^3 a run and
//              3 R^2 an effect.
// Memory: a copy of the effects in blocks, and K R (R + 1) numbers for each of at most 64 tasks. The tasks follow from
// the data and K alone, and their sums are added in order: the same bits for any number of threads.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../base/buffer.h"
#include "../base/constants.h"
#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/cholesky.h"
#include "../linalg/panel.h"
#include "../model/noise.h"
#include "../simd/dispatch.h"

namespace covmash {

// The moments of one component; H is empty where X is of the effects.
struct ComponentMoments {
  double mass = 0.0;
  arma::mat X, H, G;  // G: empty where not asked for
};

// X = sum gamma x x', x = A^-1 y; sum gamma y y'; of S x; as the first, and G
enum class MomentsOf { scores, effects, errors, loadings };

class ExpectationStep {
 public:
  // Hears the moments of each component, from several threads at once; the covariances are not read any more then, so
  // that it may change that of its own component.
  using Visitor = std::function<void(std::size_t component, const ComponentMoments& moments)>;

  // noise, effect_weights: must outlive this object. effect_weights: how often an effect counts, J numbers; once if null.
  ExpectationStep(const NoiseModel& noise, std::size_t n_components, Executor& executor,
                  MomentsOf kind = MomentsOf::scores, const double* effect_weights = nullptr)
      : kernels_(simd::kernels()),
        executor_(executor),
        noise_(noise),
        effect_weights_(effect_weights),
        scores_(kind != MomentsOf::effects),
        errors_(kind == MomentsOf::errors),
        loadings_(kind == MomentsOf::loadings),
        K_(n_components),
        R_(noise.effects().n_conditions),
        W_(kernels_.width),
        triangle_(R_ * (R_ + 1) / 2),
        workspaces_(executor.workers()) {
    for (std::size_t r = 0; r < R_; ++r) every_.push_back(r);
    find_runs();
    copy_blocks();
    plan_tasks();
  }

  // Returns the log-likelihood. factors: F of the components whose G is wanted, else empty; or null.
  double operator()(const std::vector<arma::mat>& U, const std::vector<double>& weights, const Visitor& visit,
                    const std::vector<arma::mat>* factors = nullptr) {
    factors_ = loadings_ ? factors : nullptr;
    log_weights_.resize(K_);
    for (std::size_t k = 0; k < K_; ++k) log_weights_[k] = std::log(weights[k]);
    factorise_split_runs(U);
    executor_.run(tasks_.size(), flops_ * static_cast<double>(K_), [&](std::size_t i, std::size_t worker) {
      const Task& task = tasks_[i];
      Partial& sum = partials_[i];
      sum.loglik = 0.0;
      sum.mass.assign(K_, 0.0);
      const std::size_t size = K_ * sums_of_component(task);
      std::fill_n(sum.moments.require_size(size), size, 0.0);
      if (task.kind == Task::piece)
        sweep_blocks(block_runs_[task.run], split_factors_.data() + block_runs_[task.run].split * K_, task.begin,
                     task.end, workspaces_[worker], sum.loglik, sum.mass.data(), sum.moments.data());
      else if (task.kind == Task::whole_runs)
        for (std::size_t run = task.begin; run < task.end; ++run)
          sweep_run(block_runs_[whole_runs_[run]], U, workspaces_[worker], sum);
      else
        sweep_packs(task.begin, task.end, U, workspaces_[worker], sum);
    });
    double loglik = 0.0;
    for (const Partial& sum : partials_) loglik += sum.loglik;
    if (!std::isfinite(loglik)) throw numeric_error("the log-likelihood of the deconvolution is not finite");
    const double r = static_cast<double>(R_);
    // 8 R^3 for the moments and as much for what is made of them
    executor_.run(K_, static_cast<double>(K_) * (16.0 * r + static_cast<double>(tasks_.size())) * r * r,
                  [&](std::size_t k, std::size_t worker) { visit(k, moments(k, workspaces_[worker])); });
    return loglik;
  }

 private:
  // Which way a run of n effects goes. For as many runs as a register has lanes, and each component, packs take about
  // R^3 / 2 + 1.5 n R^2 multiply-adds of a register; blocks 2.5 R^3 + n' R^2, n' being n rounded up to a block. Measured
  // with AVX2 and 6 components they meet at n = 45, 60 and 130 for R = 5, 20 and 44. But a pack of few runs costs as
  // much as a full one: where there are fewer runs of middle length than lanes, these go by blocks too.
  std::size_t certain_blocks() const { return 32 + 2 * R_; }
  static constexpr std::size_t possible_blocks = 16;
  static constexpr std::size_t minimum_task = 4;  // blocks, or as much work: the sums of a task cost something too
  static constexpr std::size_t maximum_tasks = 64;
  static constexpr double maximum_memory = 268435456.0;  // of the sums of all tasks, where that leaves a few

  // Effects with the same noise.
  struct Run {
    const std::size_t* effects;
    std::size_t count;
  };

  struct BlockRun : Run {
    const std::vector<std::size_t>* observed;
    std::size_t first = 0;  // in columns_
    std::size_t split = 0;  // its number among the runs in several tasks
    std::size_t n_blocks() const { return (count + simd::lanes - 1) / simd::lanes; }
  };

  struct Task {
    enum Kind { piece, whole_runs, packs } kind;
    std::size_t begin, end;  // blocks of the run, numbers into whole_runs_, or packs
    std::size_t run = 0;     // of a piece
  };

  // A = L L' of a run and a component: L (m x m, by rows), A^-1 (m x padded m), -log|L| - m/2 log 2 pi.
  struct Factor {
    Buffer<double> lower, inverse;
    double constant = 0.0;
  };

  // The sums of a task by component, packed lower triangles: S of the run of a piece; X and H of the other tasks.
  struct Partial {
    double loglik = 0.0;
    std::vector<double> mass;
    Buffer<double> moments;
  };

  struct Workspace {
    Buffer<double> factor, inverse, square, left, product;
    Buffer<double> shat, y, forward, x, scaled, weight, rows, loglik, gamma;
    Buffer<double> x_sums, h_sums, g_sums, run_moments, rows_of_pack, loadings, precision;
    std::vector<double> run_mass;
    std::vector<Factor> factors;
    std::vector<std::size_t> active;
    ComponentMoments moments;
  };

  // ---- which effects go which way, and in which tasks

  void find_runs() {
    std::vector<BlockRun> runs;
    for (const SharedNoise& g : noise_.shared())
      for (std::size_t from = 0, to; from < g.effects.size(); from = to) {
        for (to = from + 1; to < g.effects.size() && g.factor[to] == g.factor[from];) ++to;
        runs.push_back({{g.effects.begin() + from, to - from}, &g.observed()});
      }
    const auto middle = std::count_if(runs.begin(), runs.end(), [&](const Run& run) {
      return run.count >= possible_blocks && run.count < certain_blocks();
    });
    const std::size_t by_blocks = static_cast<std::size_t>(middle) < W_ ? possible_blocks : certain_blocks();
    for (const BlockRun& run : runs)
      if (run.count >= by_blocks)
        block_runs_.push_back(run);
      else
        short_runs_.push_back(run);
    for (const std::size_t& j : noise_.row_specific()) short_runs_.push_back({&j, 1});
    // Runs of one length fill a pack, and those with the same conditions observed make it smaller.
    std::vector<std::uint64_t> key(noise_.n_missing() > 0 ? noise_.effects().n_effects : 0);
    if (!key.empty())
      for (const Run& run : short_runs_) key[run.effects[0]] = pattern(run.effects[0]);
    std::stable_sort(short_runs_.begin(), short_runs_.end(), [&](const Run& a, const Run& b) {
      if (a.count != b.count || key.empty()) return a.count > b.count;
      return key[a.effects[0]] < key[b.effects[0]];
    });
  }

  // What is observed of an effect, in 64 bits: one for a few neighbouring conditions where there are more.
  std::uint64_t pattern(std::size_t j) const {
    std::uint64_t bits = 0;
    for (std::size_t r = 0; r < R_; ++r)
      if (noise_.effects().observed(j, r)) bits |= std::uint64_t(1) << (R_ <= 64 ? r : r * 64 / R_);
    return bits;
  }

  void copy_blocks() {
    std::size_t size = 0;
    for (BlockRun& run : block_runs_) {
      run.first = size;
      size += run.n_blocks() * run.observed->size() * simd::lanes;
    }
    columns_.require_size(size);
    const Effects& e = noise_.effects();
    for (const BlockRun& run : block_runs_) {
      double* out = columns_.data() + run.first;
      for (std::size_t from = 0; from < run.count; from += simd::lanes) {
        const std::size_t count = std::min(simd::lanes, run.count - from);
        for (std::size_t r : *run.observed) {
          for (std::size_t lane = 0; lane < count; ++lane) out[lane] = e.b(run.effects[from + lane], r);
          std::fill(out + count, out + simd::lanes, 0.0);
          out += simd::lanes;
        }
        executor_.checkpoint();
      }
    }
  }

  std::size_t n_packs() const { return (short_runs_.size() + W_ - 1) / W_; }

  void plan_tasks() {
    const double r = static_cast<double>(R_), block = 2.0 * simd::lanes * r * r;
    const auto run_flops = [&](std::size_t i) {
      return static_cast<double>(block_runs_[i].n_blocks()) * block + 7.0 * r * r * r;
    };
    const auto pack_flops = [&](std::size_t p) {
      return static_cast<double>(W_) * (r + 3.0 * static_cast<double>(short_runs_[p * W_].count)) * r * r;
    };
    for (std::size_t i = 0; i < block_runs_.size(); ++i) flops_ += run_flops(i);
    for (std::size_t p = 0; p < n_packs(); ++p) flops_ += pack_flops(p);
    const double memory = 8.0 * static_cast<double>(K_ * sums_of_component({Task::packs, 0, 0}));
    const double n_tasks = std::min(std::max(maximum_memory / memory, 8.0), static_cast<double>(maximum_tasks));
    const double share = std::max(flops_ / n_tasks, static_cast<double>(minimum_task) * block);

    for (std::size_t i = 0; i < block_runs_.size(); ++i) {
      BlockRun& run = block_runs_[i];
      const auto pieces = static_cast<std::size_t>(static_cast<double>(run.n_blocks()) * block / share + 0.5);
      if (pieces < 2) {
        whole_runs_.push_back(i);
        continue;
      }
      run.split = split_runs_.size();
      split_runs_.push_back(i);
      const std::size_t step = (run.n_blocks() + pieces - 1) / pieces;
      for (std::size_t from = 0; from < run.n_blocks(); from += step)
        tasks_.push_back({Task::piece, from, std::min(from + step, run.n_blocks()), i});
    }
    cut(Task::whole_runs, whole_runs_.size(), share, [&](std::size_t i) { return run_flops(whole_runs_[i]); });
    cut(Task::packs, n_packs(), share, pack_flops);
    partials_.resize(tasks_.size());
  }

  template <typename Flops>
  void cut(typename Task::Kind kind, std::size_t n, double share, const Flops& flops) {
    for (std::size_t from = 0, to; from < n; from = to) {
      double sum = 0.0;
      for (to = from; to < n && sum < share; ++to) sum += flops(to);
      tasks_.push_back({kind, from, to});
    }
  }

  std::size_t sums_of_component(const Task& task) const {
    if (task.kind != Task::piece) return n_moments() * triangle_;
    const std::size_t m = block_runs_[task.run].observed->size();
    return m * (m + 1) / 2;
  }

  // X; X and H; or X, H and G.
  std::size_t n_moments() const { return scores_ ? loadings_ ? 3 : 2 : 1; }

  bool wants_loadings(std::size_t k) const { return factors_ && !(*factors_)[k].is_empty(); }

  // ---- factors of long runs

  // Components first, first + 1, ..., as many as a register has lanes.
  void factorise(const BlockRun& run, const std::vector<arma::mat>& U, std::size_t first, Workspace& ws,
                 Factor* factors) {
    const std::vector<std::size_t>& O = *run.observed;
    const std::size_t m = O.size(), width = Panel::padded(m), count = std::min(W_, K_ - first), j = run.effects[0];
    double *A = ws.factor.require_size(m * (m + 1) / 2 * W_), log_det[simd::lanes];
    const Effects& e = noise_.effects();
    const arma::mat C = noise_.correlation_of(j);
    double* entry = A;
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t c = 0; c <= r; ++c, entry += W_) {
        const double v = C.at(O[r], O[c]) * (e.s(j, O[r]) * e.s(j, O[c]));
        for (std::size_t lane = 0; lane < W_; ++lane)
          entry[lane] = v + U[first + std::min(lane, count - 1)].at(O[r], O[c]);
      }
    kernels_.pack_cholesky(m, A, log_det, pulse_of(executor_));
    for (std::size_t lane = 0; lane < count; ++lane) {
      if (!std::isfinite(log_det[lane])) not_positive_definite(first + lane, j);
      Factor& f = factors[first + lane];
      f.constant = -log_det[lane] - log_sqrt_2pi * static_cast<double>(m);
      f.lower.require_size(m * m);
      const double* from = A + lane;
      for (std::size_t r = 0; r < m; ++r) {
        for (std::size_t c = 0; c <= r; ++c, from += W_) f.lower[r * m + c] = *from;
        f.lower[r * m + r] = 1.0 / f.lower[r * m + r];
      }
    }
    if (!scores_) return;
    double *N = ws.inverse.require_size(m * (m + 5) / 2 * W_), *one = ws.shat.require_size(m * W_);
    std::fill_n(one, m * W_, 1.0);
    kernels_.pack_inverse(m, one, A, N, pulse_of(executor_));
    std::fill_n(A, m * (m + 1) / 2 * W_, 0.0);
    kernels_.pack_add_inverse(m, every_.data(), N, one, A, pulse_of(executor_));
    for (std::size_t lane = 0; lane < count; ++lane) {
      Factor& f = factors[first + lane];
      std::fill_n(f.inverse.require_size(m * width), m * width, 0.0);
      const double* from = A + lane;
      for (std::size_t r = 0; r < m; ++r)
        for (std::size_t c = 0; c <= r; ++c, from += W_) f.inverse[r * width + c] = f.inverse[c * width + r] = *from;
    }
  }

  void factorise_split_runs(const std::vector<arma::mat>& U) {
    const std::size_t packs = (K_ + W_ - 1) / W_;
    split_factors_.resize(split_runs_.size() * K_);
    const double r = static_cast<double>(R_);
    executor_.run(split_runs_.size() * packs, static_cast<double>(split_runs_.size() * K_) * r * r * r,
                  [&](std::size_t i, std::size_t worker) {
                    const std::size_t s = i / packs;
                    factorise(block_runs_[split_runs_[s]], U, i % packs * W_, workspaces_[worker],
                              split_factors_.data() + s * K_);
                  });
  }

  [[noreturn]] static void not_positive_definite(std::size_t component, std::size_t effect) {
    throw numeric_error("the covariance of component " + std::to_string(component + 1) + " plus the noise of effect " +
                        std::to_string(effect + 1) + " is not positive definite");
  }

  // ---- responsibilities

  double weight_of(std::size_t effect) const { return effect_weights_ ? effect_weights_[effect] : 1.0; }

  // In: loglik [component * 64 + lane], offset by component, weight by lane (0 for none). Out: gamma times weight.
  // Returns the log-likelihood of the lanes [0, used), used a multiple of the width.
  double responsibilities(const double* loglik, const double* offset, const double* weight, std::size_t used,
                          double* gamma) const {
    double maximum[simd::lanes], sum[simd::lanes], logarithm[simd::lanes];
    kernels_.block_maximum(K_, loglik, offset, maximum, 0, used);
    kernels_.block_exponentials(K_, loglik, offset, maximum, gamma, sum, 0, used);
    kernels_.logarithms(used, sum, logarithm);
    double total = 0.0;
    for (std::size_t lane = 0; lane < used; ++lane) {
      total += weight[lane] * (maximum[lane] + logarithm[lane]);
      sum[lane] = weight[lane] / sum[lane];
    }
    for (std::size_t k = 0; k < K_; ++k)
      for (std::size_t lane = 0; lane < used; ++lane) gamma[k * simd::lanes + lane] *= sum[lane];
    return total;
  }

  // ---- long runs, by blocks

  // Adds to mass (K) and to S = sum gamma y y' (K packed lower triangles).
  void sweep_blocks(const BlockRun& run, const Factor* factors, std::size_t begin, std::size_t end, Workspace& ws,
                    double& total, double* mass, double* S) {
    constexpr std::size_t lanes = simd::lanes;
    const std::size_t m = run.observed->size(), triangle = m * (m + 1) / 2;
    double *z = ws.y.require_size(m * lanes), *scaled = ws.scaled.require_size(4 * lanes),
           *loglik = ws.loglik.require_size(K_ * lanes), *gamma = ws.gamma.require_size(K_ * lanes),
           *sums = ws.x_sums.require_size(K_ * triangle * W_), weight[lanes];
    std::fill_n(sums, K_ * triangle * W_, 0.0);
    std::vector<double> offset(K_);
    for (std::size_t k = 0; k < K_; ++k) offset[k] = log_weights_[k] + factors[k].constant;
    for (std::size_t b = begin; b < end; ++b) {
      executor_.checkpoint();
      const double* y = columns_.data() + run.first + b * m * lanes;
      for (std::size_t k = 0; k < K_; ++k) {
        std::copy_n(y, m * lanes, z);
        kernels_.solve_lower(m, factors[k].lower.data(), z);
        double* square = loglik + k * lanes;
        std::fill(square, square + lanes, 0.0);
        kernels_.add_squares(m, z, square);
        for (std::size_t lane = 0; lane < lanes; ++lane) square[lane] *= -0.5;
      }
      const std::size_t count = std::min(lanes, run.count - b * lanes);
      for (std::size_t lane = 0; lane < lanes; ++lane)
        weight[lane] = lane < count ? weight_of(run.effects[b * lanes + lane]) : 0.0;
      total += responsibilities(loglik, offset.data(), weight, lanes, gamma);
      for (std::size_t k = 0; k < K_; ++k) {
        const double* g = gamma + k * lanes;
        for (std::size_t lane = 0; lane < count; ++lane) mass[k] += g[lane];
        kernels_.add_weighted_squares(m, lanes / W_, every_.data(), g, y, lanes, W_, scaled, sums + k * triangle * W_);
        if (m >= 64) executor_.checkpoint();
      }
    }
    for (std::size_t k = 0; k < K_; ++k) kernels_.add_lanes(triangle, sums + k * triangle * W_, S + k * triangle);
  }

  // Adds the packed lower triangles of A^-1 S A^-1 to X and of mass A^-1 to H, which follows it, and G; or S to X.
  void finish_run(const BlockRun& run, std::size_t k, const Factor& f, double mass, const double* S, Workspace& ws,
                  double* X) const {
    double* H = X + triangle_;
    const std::vector<std::size_t>& O = *run.observed;
    const std::size_t m = O.size(), width = Panel::padded(m);
    double *square = ws.square.require_size(m * width), *left = ws.left.require_size(m * width),
           *product = ws.product.require_size(m * width);
    std::fill_n(square, m * width, 0.0);
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t c = 0; c <= r; ++c) square[r * width + c] = square[c * width + r] = *S++;
    if (scores_) {
      InnerExecutor inner(&executor_);
      multiply_into(m, m, row_major(f.inverse.data(), width), square, width, width, left, width, inner);
      multiply_into(m, m, row_major(left, width), f.inverse.data(), width, width, product, width, inner);
    } else {
      product = square;
    }
    const Effects& e = noise_.effects();
    const auto unit = [&](std::size_t r) { return errors_ ? e.s(run.effects[0], O[r]) : 1.0; };
    for (std::size_t r = 0; r < m; ++r) {
      const std::size_t row = O[r] * (O[r] + 1) / 2;
      for (std::size_t c = 0; c <= r; ++c) X[row + O[c]] += unit(r) * unit(c) * product[r * width + c];
      if (scores_)
        for (std::size_t c = 0; c <= r; ++c) H[row + O[c]] += unit(r) * unit(c) * mass * f.inverse[r * width + c];
    }
    if (wants_loadings(k)) add_precision(run, (*factors_)[k], f, mass, product, width, H + triangle_);
  }

  // G += sum gamma c V^-1 of a run; scores: sum gamma x x'.
  void add_precision(const BlockRun& run, const arma::mat& F, const Factor& f, double mass, const double* scores,
                     std::size_t width, double* G) const {
    const std::vector<std::size_t>& O = *run.observed;
    const std::size_t m = O.size(), q = F.n_cols;
    double c = 0.0, fit = 0.0;
    for (std::size_t i = 0; i < q; ++i)
      for (std::size_t r = 0; r < m; ++r)
        for (std::size_t s = 0; s < m; ++s) {
          const double product = F.at(O[r], i) * F.at(O[s], i);
          c += product * scores[r * width + s];
          if (q == 1) fit += product * f.inverse[r * width + s];
        }
    c += mass * std::max(1.0 - fit, 0.0);
    const std::size_t j = run.effects[0];
    const arma::mat C = noise_.correlation_of(j);
    arma::mat V(m, m);
    for (std::size_t s = 0; s < m; ++s)
      for (std::size_t r = 0; r < m; ++r)
        V.at(r, s) = noise_.effects().s(j, O[r]) * C.at(O[r], O[s]) * noise_.effects().s(j, O[s]);
    arma::mat L;
    if (!lower_cholesky(L, V, &executor_))
      throw numeric_error("the noise of ", at::effect(j), " is not positive definite");
    V = inverse_of_cholesky(L, &executor_);
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t s = 0; s <= r; ++s) G[O[r] * (O[r] + 1) / 2 + O[s]] += c * V.at(r, s);
  }

  // A run that is in one task.
  void sweep_run(const BlockRun& run, const std::vector<arma::mat>& U, Workspace& ws, Partial& sum) {
    const std::size_t triangle = run.observed->size() * (run.observed->size() + 1) / 2;
    ws.factors.resize(K_);
    for (std::size_t k = 0; k < K_; k += W_) factorise(run, U, k, ws, ws.factors.data());
    ws.run_mass.assign(K_, 0.0);
    double* S = ws.run_moments.require_size(K_ * triangle);
    std::fill_n(S, K_ * triangle, 0.0);
    sweep_blocks(run, ws.factors.data(), 0, run.n_blocks(), ws, sum.loglik, ws.run_mass.data(), S);
    for (std::size_t k = 0; k < K_; ++k) {
      sum.mass[k] += ws.run_mass[k];
      finish_run(run, k, ws.factors[k], ws.run_mass[k], S + k * triangle, ws,
                 sum.moments.data() + k * n_moments() * triangle_);
    }
  }

  // ---- short runs, by packs

  void sweep_packs(std::size_t begin, std::size_t end, const std::vector<arma::mat>& U, Workspace& ws, Partial& sum) {
    const std::size_t size = K_ * triangle_ * W_;
    std::fill_n(ws.x_sums.require_size(size), size, 0.0);
    if (scores_) std::fill_n(ws.h_sums.require_size(size), size, 0.0);
    if (loadings_) std::fill_n(ws.g_sums.require_size(size), size, 0.0);
    for (std::size_t pack = begin; pack < end; ++pack) {
      executor_.checkpoint();
      sweep_pack(pack, U, ws, sum);
    }
    for (std::size_t k = 0; k < K_; ++k) {
      double* X = sum.moments.data() + k * n_moments() * triangle_;
      kernels_.add_lanes(triangle_, ws.x_sums.data() + k * triangle_ * W_, X);
      if (scores_) kernels_.add_lanes(triangle_, ws.h_sums.data() + k * triangle_ * W_, X + triangle_);
      if (loadings_) kernels_.add_lanes(triangle_, ws.g_sums.data() + k * triangle_ * W_, X + 2 * triangle_);
    }
  }

  void sweep_pack(std::size_t pack, const std::vector<arma::mat>& U, Workspace& ws, Partial& sum) {
    const Effects& e = noise_.effects();
    const Run* runs = short_runs_.data() + pack * W_;
    const std::size_t n_runs = std::min(W_, short_runs_.size() - pack * W_), n = runs[0].count;
    const auto run_of = [&](std::size_t lane) { return runs[std::min(lane, n_runs - 1)]; };

    // The conditions that any of the runs has; shat = 0 where one is not observed.
    ws.active.clear();
    double constant[simd::lanes] = {};
    double* shat = ws.shat.require_size(R_ * W_);
    for (std::size_t r = 0; r < R_; ++r) {
      double* s = shat + ws.active.size() * W_;
      bool any = false;
      for (std::size_t lane = 0; lane < W_; ++lane) {
        const std::size_t j = run_of(lane).effects[0];
        const bool seen = e.observed(j, r);
        s[lane] = seen ? e.s(j, r) : 0.0;
        if (seen) constant[lane] -= log_sqrt_2pi;
        any = any || seen;
      }
      if (any) ws.active.push_back(r);
    }
    const std::size_t m = ws.active.size(), packed = m * (m + 1) / 2 * W_;

    // Effect i of each run is in the lanes i W, i W + 1, ...; lanes without an effect have weight 0.
    const std::size_t rows_in_block = simd::lanes / W_, n_blocks = (n + rows_in_block - 1) / rows_in_block;
    double *y = ws.y.require_size(n * m * W_), *weight = ws.weight.require_size(n_blocks * simd::lanes);
    std::fill_n(weight, n_blocks * simd::lanes, 0.0);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t lane = 0; lane < W_; ++lane) {
        const bool real = lane < n_runs && i < runs[lane].count;
        if (real) weight[i * W_ + lane] = weight_of(runs[lane].effects[i]);
        for (std::size_t a = 0; a < m; ++a)
          y[(i * m + a) * W_ + lane] =
              real && shat[a * W_ + lane] > 0.0 ? e.b(runs[lane].effects[i], ws.active[a]) : 0.0;
      }

    std::vector<arma::mat> correlations;  // by lane, where they differ
    if (!noise_.common_correlation())
      for (std::size_t lane = 0; lane < W_; ++lane)
        correlations.push_back(noise_.correlation_of(run_of(lane).effects[0]));

    double *L = ws.factor.require_size(K_ * packed), *z = ws.forward.require_size(K_ * n * m * W_),
           *squares = ws.rows.require_size(n * W_), *loglik = ws.loglik.require_size(n_blocks * K_ * simd::lanes),
           *gamma = ws.gamma.require_size(n_blocks * K_ * simd::lanes), log_det[simd::lanes];
    for (std::size_t k = 0; k < K_; ++k) {
      double *L_k = L + k * packed, *z_k = z + k * n * m * W_;
      if (noise_.common_correlation())
        kernels_.pack_noisy_covariance(m, ws.active.data(), R_, noise_.correlation().memptr(), U[k].memptr(), shat,
                                       L_k);
      else
        add_noise(m, correlations, U[k], shat, ws.active, L_k);
      kernels_.pack_cholesky(m, L_k, log_det, pulse_of(executor_));
      for (std::size_t lane = 0; lane < n_runs; ++lane)
        if (!std::isfinite(log_det[lane])) not_positive_definite(k, runs[lane].effects[0]);
      std::copy_n(y, n * m * W_, z_k);
      kernels_.pack_forward(m, n, L_k, z_k, squares);
      for (std::size_t i = 0; i < n; ++i) {
        double* out = loglik + ((i / rows_in_block) * K_ + k) * simd::lanes + i % rows_in_block * W_;
        for (std::size_t lane = 0; lane < W_; ++lane)
          out[lane] = -0.5 * squares[i * W_ + lane] - log_det[lane] + constant[lane];
      }
    }
    for (std::size_t b = 0; b < n_blocks; ++b)
      sum.loglik += responsibilities(loglik + b * K_ * simd::lanes, log_weights_.data(), weight + b * simd::lanes,
                                     std::min(rows_in_block, n - b * rows_in_block) * W_, gamma + b * K_ * simd::lanes);

    double *N = ws.inverse.require_size(m * (m + 5) / 2 * W_), *x = ws.x.require_size(n * m * W_),
           *scaled = ws.scaled.require_size(4 * n * W_), *g = squares, mass[simd::lanes];
    for (std::size_t k = 0; k < K_; ++k) {
      std::fill(mass, mass + W_, 0.0);
      for (std::size_t i = 0; i < n; ++i) {
        const double* from = gamma + ((i / rows_in_block) * K_ + k) * simd::lanes + i % rows_in_block * W_;
        for (std::size_t lane = 0; lane < W_; ++lane) mass[lane] += g[i * W_ + lane] = from[lane];
      }
      if (std::all_of(mass, mass + W_, [](double v) { return v == 0.0; })) continue;
      for (std::size_t lane = 0; lane < W_; ++lane) sum.mass[k] += mass[lane];
      double *X = ws.x_sums.data() + k * triangle_ * W_, *H = ws.h_sums.data() + k * triangle_ * W_;
      if (!scores_) {
        kernels_.add_weighted_squares(m, n, ws.active.data(), g, y, W_, m * W_, scaled, X);
        continue;
      }
      kernels_.pack_inverse(m, shat, L + k * packed, N, pulse_of(executor_));
      kernels_.pack_backward(m, n, N, z + k * n * m * W_, x);
      if (errors_)
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t a = 0; a < m * W_; ++a) x[i * m * W_ + a] *= shat[a];
      kernels_.add_weighted_squares(m, n, ws.active.data(), g, x, W_, m * W_, scaled, X);
      if (errors_)
        add_scaled_inverse(m, shat, N, mass, ws, H);
      else
        kernels_.pack_add_inverse(m, ws.active.data(), N, mass, H, pulse_of(executor_));
      if (wants_loadings(k))
        add_precision(m, n, (*factors_)[k], shat, correlations, L + k * packed, x, g, mass, ws,
                      ws.g_sums.data() + k * triangle_ * W_, runs[0].effects[0], k);
    }
  }

  // G += sum gamma c V^-1 of a pack; L of A, and x = A^-1 y.
  void add_precision(std::size_t m, std::size_t n, const arma::mat& F, const double* shat,
                     const std::vector<arma::mat>& correlations, const double* L, const double* x, const double* gamma,
                     const double* mass, Workspace& ws, double* G, std::size_t effect, std::size_t component) const {
    const std::size_t q = F.n_cols, packed = m * (m + 1) / 2 * W_;
    double *rows = ws.loadings.require_size(q * (m + 1) * W_), *squares = rows + q * m * W_;
    for (std::size_t i = 0; i < q; ++i)
      for (std::size_t a = 0; a < m; ++a)
        for (std::size_t lane = 0; lane < W_; ++lane)
          rows[(i * m + a) * W_ + lane] = shat[a * W_ + lane] > 0.0 ? F.at(ws.active[a], i) : 0.0;
    double c[simd::lanes];
    std::fill(c, c + W_, 0.0);
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t i = 0; i < q; ++i)
        for (std::size_t lane = 0; lane < W_; ++lane) {
          double f = 0.0;
          for (std::size_t a = 0; a < m; ++a) f += rows[(i * m + a) * W_ + lane] * x[(k * m + a) * W_ + lane];
          c[lane] += gamma[k * W_ + lane] * f * f;
        }
    if (q == 1) kernels_.pack_forward(m, q, L, rows, squares);
    for (std::size_t lane = 0; lane < W_; ++lane)
      c[lane] += mass[lane] * (q == 1 ? std::max(1.0 - squares[lane], 0.0) : 1.0);
    double *V = ws.precision.require_size(packed + m * (m + 5) / 2 * W_), *N = V + packed, log_det[simd::lanes];
    const arma::mat none(R_, R_, arma::fill::zeros);
    if (noise_.common_correlation())
      kernels_.pack_noisy_covariance(m, ws.active.data(), R_, noise_.correlation().memptr(), none.memptr(), shat, V);
    else
      add_noise(m, correlations, none, shat, ws.active, V);
    kernels_.pack_cholesky(m, V, log_det, pulse_of(executor_));
    for (std::size_t lane = 0; lane < W_; ++lane)
      if (!std::isfinite(log_det[lane])) not_positive_definite(component, effect);
    kernels_.pack_inverse(m, shat, V, N, pulse_of(executor_));
    kernels_.pack_add_inverse(m, ws.active.data(), N, c, G, pulse_of(executor_));
  }

  // S C S + U for a C of each lane's own, where not observed the identity.
  void add_noise(std::size_t m, const std::vector<arma::mat>& C, const arma::mat& U, const double* shat,
                 const std::vector<std::size_t>& active, double* A) const {
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t c = 0; c <= r; ++c, A += W_)
        for (std::size_t lane = 0; lane < W_; ++lane) {
          const double s = shat[r * W_ + lane] * shat[c * W_ + lane];
          A[lane] = s > 0.0 ? s * C[lane].at(active[r], active[c]) + U.at(active[r], active[c]) : r == c ? 1.0 : 0.0;
        }
  }

  // H += mass S A^-1 S of a pack, S by lane.
  void add_scaled_inverse(std::size_t m, const double* shat, const double* N, const double* mass, Workspace& ws,
                          double* H) const {
    double* own = ws.rows_of_pack.require_size(m * (m + 1) / 2 * W_);
    std::fill_n(own, m * (m + 1) / 2 * W_, 0.0);
    kernels_.pack_add_inverse(m, every_.data(), N, mass, own, pulse_of(executor_));
    for (std::size_t r = 0; r < m; ++r) {
      const std::size_t row = ws.active[r] * (ws.active[r] + 1) / 2;
      for (std::size_t c = 0; c <= r; ++c, own += W_)
        for (std::size_t lane = 0; lane < W_; ++lane)
          H[(row + ws.active[c]) * W_ + lane] += shat[r * W_ + lane] * shat[c * W_ + lane] * own[lane];
    }
  }

  // ---- all tasks together

  const ComponentMoments& moments(std::size_t k, Workspace& ws) {
    const std::size_t size = n_moments() * triangle_;
    double* X = ws.x_sums.require_size(size);
    std::fill_n(X, size, 0.0);
    ComponentMoments& out = ws.moments;
    out.mass = 0.0;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      out.mass += partials_[i].mass[k];
      if (tasks_[i].kind == Task::piece) continue;
      const double* from = partials_[i].moments.data() + k * size;
      for (std::size_t a = 0; a < size; ++a) X[a] += from[a];
    }
    for (std::size_t s = 0, i = 0; s < split_runs_.size(); ++s) {  // their pieces come first, run by run
      const BlockRun& run = block_runs_[split_runs_[s]];
      const std::size_t triangle = run.observed->size() * (run.observed->size() + 1) / 2;
      double mass = 0.0, *S = ws.run_moments.require_size(triangle);
      std::fill_n(S, triangle, 0.0);
      for (; i < tasks_.size() && tasks_[i].kind == Task::piece && tasks_[i].run == split_runs_[s]; ++i) {
        mass += partials_[i].mass[k];
        const double* from = partials_[i].moments.data() + k * triangle;
        for (std::size_t a = 0; a < triangle; ++a) S[a] += from[a];
      }
      finish_run(run, k, split_factors_[s * K_ + k], mass, S, ws, X);
    }
    unpack(X, out.X);
    if (scores_) unpack(X + triangle_, out.H);
    if (loadings_) unpack(X + 2 * triangle_, out.G);
    return out;
  }

  void unpack(const double* triangle, arma::mat& out) const {
    out.set_size(R_, R_);
    for (std::size_t r = 0; r < R_; ++r)
      for (std::size_t c = 0; c <= r; ++c) out.at(r, c) = out.at(c, r) = *triangle++;
  }

  const simd::KernelTable& kernels_;
  Executor& executor_;
  const NoiseModel& noise_;
  const double* effect_weights_;
  const bool scores_, errors_, loadings_;
  const std::size_t K_, R_, W_, triangle_;
  std::vector<std::size_t> every_;  // 0, ..., R - 1
  std::vector<BlockRun> block_runs_;
  std::vector<Run> short_runs_;  // longest first
  std::vector<std::size_t> split_runs_, whole_runs_;
  Buffer<double> columns_;  // of the long runs: [block][condition][lane]
  std::vector<Task> tasks_;
  std::vector<Partial> partials_;
  std::vector<Factor> split_factors_;
  std::vector<double> log_weights_;
  const std::vector<arma::mat>* factors_ = nullptr;
  std::vector<Workspace> workspaces_;
  double flops_ = 0.0;  // for each component
};

}  // namespace covmash
