#pragma once
// Mixture weights: maximise  sum_j log (L pi)_j + sum_p (prior_p - 1) log pi_p  over the simplex.
//
// Restricted Newton with column generation. Newton steps run on a small support S: the quadratic model of the
// Lagrangian form  -1/N objective + sum x, x >= 0  (its minimum has sum x = 1), solved by block principal pivoting,
// then a line search on exact values. Between them one pass over all columns gives the gradient g; the local maxima of
// g along each scale grid join the support. N = J + sum (prior - 1). At the optimum g_p <= N for every p, and for
// any pi
//     f* - f(pi) <= N log( max_p g_p / N ),
// by concavity, which is the certificate that is returned (Kim, Carbonetto, Stephens & Anitescu 2020,
// doi:10.1080/10618600.2019.1689985, state the problem and an SQP method).
//
// The problem is solved for every 8^k-th block of effects first, coarsest first; the last level has all effects, and
// only it counts. A finer level first settles on the support it is given, for which no other column is evaluated, so
// that few passes over all columns are left. Likelihoods are float, in blocks of 64 effects scaled to maximum 1 in
// every effect; sums are in double, over fixed chunks of blocks added in order. The columns of the support are kept in
// a pool, 4 J |S| bytes. Cost: one evaluation (or reading) of all likelihoods a pass over all columns; J |S|^2 flops a
// Newton step.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/quadratic.h"
#include "relative_likelihood.h"
#include "../simd/dispatch.h"

namespace covmash {

struct WeightsOptions {
  double tolerance = 1e-8;    // on max_p g_p / N - 1
  int max_iterations = 1000;  // Newton steps with all effects
};

struct WeightsResult {
  std::vector<double> pi;
  double objective = 0.0;  // with the relative likelihoods: add the sum of the row maxima
  double kkt_violation = 0.0, gap_bound = 0.0;
  int iterations = 0;
  bool converged = false;
};

// Likelihoods of the support, column by column in slots. Slots come in slabs of 16, so a new column moves no other.
class ColumnPool {
 public:
  void reset(std::size_t n_blocks) {
    n_blocks_ = n_blocks;
    slabs_.clear();
    used_.clear();
  }
  std::size_t take() {
    std::size_t slot = 0;
    while (slot < used_.size() && used_[slot]) ++slot;
    if (slot == used_.size()) {
      slabs_.emplace_back(std::max<std::size_t>(n_blocks_, 1) * per_slab * simd::lanes);
      used_.resize(used_.size() + per_slab, 0);
    }
    used_[slot] = 1;
    return slot;
  }
  void release(std::size_t slot) { used_[slot] = 0; }
  float* column(std::size_t block, std::size_t slot) {
    return slabs_[slot / per_slab].data() + (block * per_slab + slot % per_slab) * simd::lanes;
  }

 private:
  static constexpr std::size_t per_slab = 16;
  std::size_t n_blocks_ = 0;
  std::vector<Buffer<float>> slabs_;
  std::vector<unsigned char> used_;
};

class WeightsSolver {
 public:
  // prior: penalty of each column (>= 1). grids: [begin, end) of each run of columns that differ by scale only.
  WeightsSolver(LikelihoodSource& source, const std::vector<double>& prior,
                std::vector<std::pair<std::size_t, std::size_t>> grids, const WeightsOptions& options,
                Executor& executor)
      : source_(source),
        prior_(prior),
        grids_(std::move(grids)),
        options_(options),
        executor_(executor),
        kernels_(simd::kernels()),
        n_columns_(source.n_columns()) {
    require(prior.size() == n_columns_, "prior must have one value for each mixture component");
    for (double p : prior) require(p >= 1.0, "prior weights must be at least 1");
    for (std::size_t b = 0; b < source.n_blocks(); ++b) n_effects_ += static_cast<double>(n_lanes(source.lanes(b)));
  }

  WeightsResult solve() {
    WeightsResult result;
    const double penalties = std::accumulate(prior_.begin(), prior_.end(), -static_cast<double>(n_columns_));
    if (n_effects_ + penalties <= 0.0) {  // nothing to learn from: equal weights
      result.pi.assign(n_columns_, 1.0 / static_cast<double>(n_columns_));
      result.converged = true;
      return result;
    }
    std::size_t stride = 1;
    while (source_.n_blocks() / (stride * refinement) >= fewest_blocks) stride *= refinement;
    enter_level(stride);
    start();
    for (int steps = 0;; steps = settle()) {
      const bool last = stride == 1;
      result = solve_level(steps, last ? options_.tolerance : std::max(options_.tolerance, 1e-5),
                           last ? options_.max_iterations : std::min(options_.max_iterations, 50));
      if (last) break;
      just_started_ = false;  // also where the starting weights were good enough
      drop_unused();
      stride /= refinement;
      enter_level(stride);
    }
    result.pi.assign(n_columns_, 0.0);
    for (std::size_t s = 0; s < support_.size(); ++s) result.pi[support_[s]] = x_[s];
    result.gap_bound = n_ * std::log1p(result.kkt_violation);
    result.objective = objective_;
    return result;
  }

 private:
  using Columns = std::vector<std::size_t>;
  static constexpr std::size_t refinement = 8, fewest_blocks = 32;
  // An effect is covered if its density is not tiny or a column of the support is fair to it.
  static constexpr double tiny = 1e-4;
  // Below all products of a weight in use and a float, so that only a zero is raised to it.
  static constexpr double smallest_density = 1e-60;
  static constexpr float fair = 0.05f;

  // ---- levels ----

  std::size_t block_of(std::size_t i) const { return i * stride_; }

  void enter_level(std::size_t stride) {
    stride_ = stride;
    n_blocks_ = (source_.n_blocks() + stride - 1) / stride;
    double effects = 0.0;
    for (std::size_t i = 0; i < n_blocks_; ++i) effects += static_cast<double>(n_lanes(source_.lanes(block_of(i))));
    penalty_.resize(n_columns_);
    n_ = effects;
    for (std::size_t p = 0; p < n_columns_; ++p) {
      penalty_[p] = n_effects_ > 0.0 ? (prior_[p] - 1.0) * effects / n_effects_ : prior_[p] - 1.0;
      n_ += penalty_[p];
    }
    blocks_per_chunk_ = std::max<std::size_t>(16, (n_blocks_ + 63) / 64);
    n_chunks_ = (n_blocks_ + blocks_per_chunk_ - 1) / blocks_per_chunk_;
    u_.require_size(n_blocks_ * simd::lanes);
    v_.require_size(n_blocks_ * simd::lanes);
    pool_.reset(n_blocks_);
    slots_.clear();
    for (std::size_t s = 0; s < support_.size(); ++s) slots_.push_back(pool_.take());
  }

  // Newton steps on the support alone, where it is quickly had; returns how many.
  int settle() {
    if (!source_.gathers_alone()) return 0;
    gather(support_, 0, true);
    refresh_density();
    int step = 0;
    while (step < std::min(options_.max_iterations, 20) && newton_step(1e-4)) ++step;
    return step;
  }

  WeightsResult solve_level(int steps_so_far, double tolerance, int max_iterations) {
    WeightsResult result;
    result.iterations = steps_so_far;
    double previous_excess = std::numeric_limits<double>::infinity();
    int stalled = 0;
    bool first = true;
    for (;;) {
      const std::vector<double> g = pass(first);
      const double excess = *std::max_element(g.begin(), g.end()) / n_ - 1.0;
      result.kkt_violation = std::max(excess, 0.0);
      if (excess <= tolerance) {
        result.converged = true;
        break;
      }
      if (result.iterations >= max_iterations) break;
      bool grew = std::exchange(first, false) && cover();
      if (std::exchange(just_started_, false)) {
        expectation_steps(3);
        continue;
      }
      if (extend_support(g, 0.5 * tolerance)) grew = true;
      // No new column and no progress: rounding has been reached.
      stalled = grew || excess < 0.5 * previous_excess ? 0 : stalled + 1;
      if (stalled >= 8) break;
      previous_excess = std::min(excess, previous_excess);
      // Newton converges quadratically: near the optimum one more step costs less than another pass.
      const double e = std::min(previous_excess, 1.0);
      const double enough = std::max(0.1 * tolerance, std::min(0.05 * e, 10.0 * e * e));
      for (int step = 0; step < 20 && result.iterations < max_iterations; ++step) {
        ++result.iterations;
        if (newton_step(enough)) continue;
        if (stalled > 0) expectation_steps(10);
        break;
      }
    }
    return result;
  }

  // ---- passes over the effects ----

  void over_chunks(
      double work_per_block,
      const std::function<void(std::size_t chunk, std::size_t worker, std::size_t from, std::size_t to)>& task) {
    executor_.run(
        n_chunks_, work_per_block * static_cast<double>(n_blocks_), [&](std::size_t chunk, std::size_t worker) {
          task(chunk, worker, chunk * blocks_per_chunk_, std::min(n_blocks_, (chunk + 1) * blocks_per_chunk_));
        });
  }

  double work_per_value(std::size_t n) const { return 2.0 * static_cast<double>(n * simd::lanes); }

  std::uint64_t lanes(std::size_t i) const { return source_.lanes(block_of(i)); }

  // Where the support's columns of a level block are.
  void columns_of(std::size_t i, std::vector<const float*>& columns) {
    columns.resize(slots_.size());
    for (std::size_t s = 0; s < slots_.size(); ++s) columns[s] = pool_.column(i, slots_[s]);
  }

  // 1 / u, 0 in the padding.
  void ratios(std::size_t i, double* ratio) const {
    const std::uint64_t real = lanes(i);
    const double* u = u_.data() + i * simd::lanes;
    for (std::size_t lane = 0; lane < simd::lanes; ++lane)
      ratio[lane] = real >> lane & 1 ? 1.0 / std::max(u[lane], smallest_density) : 0.0;
  }

  double log_density(std::size_t i, const double* u, const double* v, double t) const {
    double value[simd::lanes], logs[simd::lanes], sum = 0.0;
    const std::uint64_t real = lanes(i);
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
      const double w = v ? u[lane] + t * v[lane] : u[lane];
      value[lane] = real >> lane & 1 ? std::max(w, smallest_density) : 1.0;
    }
    kernels_.logarithms(simd::lanes, value, logs);
    for (double x : logs) sum += x;
    return sum;
  }

  double total(const std::vector<double>& partial) const {
    return std::accumulate(partial.begin(), partial.end(), 0.0);
  }

  double penalties(const std::vector<double>& x) const {
    double f = 0.0;
    for (std::size_t s = 0; s < support_.size(); ++s)
      if (penalty_[support_[s]] > 0.0) f += penalty_[support_[s]] * std::log(x[s]);
    return f;
  }

  std::vector<double> sum_lanes(const std::vector<double>& partial, std::size_t n) const {
    const std::size_t W = kernels_.width;
    std::vector<double> g(n, 0.0);
    for (std::size_t chunk = 0; chunk < n_chunks_; ++chunk)
      for (std::size_t p = 0; p < n; ++p)
        for (std::size_t lane = 0; lane < W; ++lane) g[p] += partial[(chunk * n + p) * W + lane];
    return g;
  }

  // One pass over all columns: u = L x, the objective, and the gradient of every column. The first pass of a level also
  // fills the pool and lists the effects that the support does not cover.
  std::vector<double> pass(bool first) {
    const std::size_t n = n_columns_, W = kernels_.width;
    std::vector<double> partial(n_chunks_ * n * W, 0.0), f(n_chunks_, 0.0);
    uncovered_.assign(first ? n_chunks_ : 0, {});
    source_.begin(executor_.workers());
    over_chunks(source_.work_per_block() + work_per_value(n), [&](std::size_t chunk, std::size_t worker,
                                                                  std::size_t from, std::size_t to) {
      std::vector<const float*> columns;
      double ratio[simd::lanes];
      for (std::size_t i = from; i < to; ++i) {
        const float* L = source_.block(block_of(i), worker);
        if (first)
          for (std::size_t s = 0; s < support_.size(); ++s)
            std::memcpy(pool_.column(i, slots_[s]), L + support_[s] * simd::lanes, simd::lanes * sizeof(float));
        columns_of(i, columns);
        double* u = u_.data() + i * simd::lanes;
        kernels_.mixture_density(columns.size(), columns.data(), x_.data(), u);
        f[chunk] += log_density(i, u, nullptr, 0.0);
        ratios(i, ratio);
        kernels_.mixture_gradient(n, L, ratio, partial.data() + chunk * n * W);
        if (first) note_uncovered(chunk, i, L, columns);
        executor_.checkpoint();
      }
    });
    objective_ = total(f) + penalties(x_);
    std::vector<double> g = sum_lanes(partial, n);
    for (std::size_t s = 0; s < support_.size(); ++s) g[support_[s]] += penalty_gradient(s);
    return g;
  }

  double penalty_gradient(std::size_t s) const {
    return penalty_[support_[s]] > 0.0 ? penalty_[support_[s]] / x_[s] : 0.0;
  }

  void refresh_density() {
    std::vector<double> f(n_chunks_, 0.0);
    over_chunks(work_per_value(support_.size() + 5),
                [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
                  std::vector<const float*> columns;
                  for (std::size_t i = from; i < to; ++i) {
                    columns_of(i, columns);
                    double* u = u_.data() + i * simd::lanes;
                    kernels_.mixture_density(columns.size(), columns.data(), x_.data(), u);
                    f[chunk] += log_density(i, u, nullptr, 0.0);
                  }
                });
    objective_ = total(f) + penalties(x_);
  }

  // Puts columns that are new to the support, from position `from` on, into the pool.
  void fetch(std::size_t from) {
    if (from == support_.size()) return;
    for (std::size_t s = from; s < support_.size(); ++s) slots_.push_back(pool_.take());
    gather(Columns(support_.begin() + static_cast<std::ptrdiff_t>(from), support_.end()), from, false);
  }

  // The given columns, which are those of the support from position `from` on; alone: the first of the level.
  void gather(const Columns& columns, std::size_t from, bool alone) {
    source_.begin_gather(columns, alone, executor_);
    over_chunks(source_.work_to_gather(columns.size()),
                [&](std::size_t, std::size_t worker, std::size_t first, std::size_t last) {
                  std::vector<float*> target(columns.size());
                  for (std::size_t i = first; i < last; ++i) {
                    for (std::size_t s = 0; s < columns.size(); ++s) target[s] = pool_.column(i, slots_[from + s]);
                    source_.gather(block_of(i), worker, target.data());
                    executor_.checkpoint();
                  }
                });
  }

  // ---- the support ----

  // Columns with a penalty, and in each grid the local maxima of the gradient at equal weights, with equal weights.
  void start() {
    const std::size_t n = n_columns_, W = kernels_.width;
    const std::vector<double> equal(n, 1.0 / static_cast<double>(n));
    std::vector<double> partial(n_chunks_ * n * W, 0.0);
    source_.begin(executor_.workers());
    over_chunks(source_.work_per_block() + 2.0 * work_per_value(n),
                [&](std::size_t chunk, std::size_t worker, std::size_t from, std::size_t to) {
                  std::vector<const float*> columns(n);
                  double ratio[simd::lanes];
                  for (std::size_t i = from; i < to; ++i) {
                    const float* L = source_.block(block_of(i), worker);
                    for (std::size_t p = 0; p < n; ++p) columns[p] = L + p * simd::lanes;
                    kernels_.mixture_density(n, columns.data(), equal.data(), u_.data() + i * simd::lanes);
                    ratios(i, ratio);
                    kernels_.mixture_gradient(n, L, ratio, partial.data() + chunk * n * W);
                    executor_.checkpoint();
                  }
                });
    const std::vector<double> g = sum_lanes(partial, n);
    std::vector<unsigned char> chosen(n, 0);
    mark_local_maxima(g, 0.0, chosen);
    for (std::size_t p = 0; p < n; ++p)
      if (chosen[p] || penalty_[p] > 0.0) support_.push_back(p);
    x_.assign(support_.size(), 1.0 / static_cast<double>(support_.size()));
    for (std::size_t s = 0; s < support_.size(); ++s) slots_.push_back(pool_.take());
    just_started_ = true;
  }

  void mark_local_maxima(const std::vector<double>& g, double above, std::vector<unsigned char>& chosen) const {
    for (const auto& grid : grids_)
      for (std::size_t p = grid.first; p < grid.second; ++p) {
        const bool left = p == grid.first || g[p] >= g[p - 1];
        const bool right = p + 1 == grid.second || g[p] > g[p + 1];
        if (left && right && g[p] > above) chosen[p] = 1;
      }
  }

  void note_uncovered(std::size_t chunk, std::size_t i, const float* L, const std::vector<const float*>& columns) {
    constexpr std::size_t at_most = 64;  // in a chunk; the rest is met again
    const std::uint64_t real = lanes(i);
    for (std::size_t lane = 0; lane < simd::lanes && uncovered_[chunk].size() < at_most * n_columns_; ++lane) {
      if (!(real >> lane & 1)) continue;
      if (u_[i * simd::lanes + lane] > tiny) continue;
      float best = 0.0f;
      for (const float* column : columns) best = std::max(best, column[lane]);
      if (best > fair) continue;
      for (std::size_t p = 0; p < n_columns_; ++p) uncovered_[chunk].push_back(L[p * simd::lanes + lane]);
    }
  }

  // Every effect must have a fair likelihood on the support, relative to its best column: where it has not, that column
  // joins, with a weight of its share of the effects. The logarithm's quadratic model, and so Newton's method, is
  // useless where the density is nearly zero. True if any column is new.
  bool cover() {
    const std::size_t in_use = support_.size();
    double rows = 0.0;
    for (const auto& chunk : uncovered_)
      for (std::size_t at = 0; at < chunk.size(); at += n_columns_) {
        const float* row = chunk.data() + at;
        rows += 1.0;
        float best = 0.0f;
        for (std::size_t s = in_use; s < support_.size(); ++s) best = std::max(best, row[support_[s]]);
        if (best > fair) continue;
        support_.push_back(static_cast<std::size_t>(std::max_element(row, row + n_columns_) - row));
      }
    uncovered_.clear();
    if (support_.size() == in_use) return false;
    fetch(in_use);
    if (just_started_) {
      x_.assign(support_.size(), 1.0 / static_cast<double>(support_.size()));
    } else {
      const double share = std::min(0.5, rows / n_);
      for (double& x : x_) x *= 1.0 - share;
      x_.resize(support_.size(), share / static_cast<double>(support_.size() - in_use));
    }
    refresh_density();
    return true;
  }

  void expectation_steps(int steps) {
    const std::size_t W = kernels_.width;
    for (int step = 0; step < steps; ++step) {
      const std::size_t n = support_.size();
      std::vector<double> partial(n_chunks_ * n * W, 0.0);
      over_chunks(work_per_value(n), [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
        std::vector<const float*> columns;
        double ratio[simd::lanes];
        for (std::size_t i = from; i < to; ++i) {
          columns_of(i, columns);
          ratios(i, ratio);
          kernels_.support_gradient(n, columns.data(), ratio, partial.data() + chunk * n * W);
        }
      });
      const std::vector<double> g = sum_lanes(partial, n);
      for (std::size_t s = 0; s < n; ++s) x_[s] *= (g[s] + penalty_gradient(s)) / n_;
      refresh_density();
    }
  }

  // Columns in use stay, unused ones leave, local maxima of the gradient that beat N join. True if any column is new.
  bool extend_support(const std::vector<double>& g, double tolerance) {
    std::vector<unsigned char> candidate(n_columns_, 0);
    mark_local_maxima(g, n_ * (1.0 + tolerance), candidate);
    drop_unused();
    const std::size_t in_use = support_.size();
    for (std::size_t p : support_) candidate[p] = 0;
    for (std::size_t p = 0; p < n_columns_; ++p)
      if (candidate[p]) support_.push_back(p);
    x_.resize(support_.size(), 0.0);
    fetch(in_use);
    return support_.size() > in_use;
  }

  void drop_unused() {
    Columns columns, slots;
    std::vector<double> x;
    for (std::size_t s = 0; s < support_.size(); ++s) {
      if (x_[s] > 0.0 || penalty_[support_[s]] > 0.0) {
        columns.push_back(support_[s]);
        slots.push_back(slots_[s]);
        x.push_back(x_[s]);
      } else {
        pool_.release(slots_[s]);
      }
    }
    support_ = std::move(columns);
    slots_ = std::move(slots);
    x_ = std::move(x);
  }

  // ---- Newton's method on the support ----

  struct Model {
    std::vector<double> gradient;
    arma::mat hessian;
  };

  Model quadratic_model() {
    const std::size_t s = support_.size(), W = kernels_.width;
    // Few effects leave the rounding of float sums no room to average out, and are cheap in double.
    const bool wide = static_cast<double>(s * s) * n_ < 2e7;
    const std::size_t width = (s + 3) / 4 * 4;
    std::vector<arma::mat> partial(n_chunks_);
    std::vector<double> sums(n_chunks_ * s * W, 0.0);
    over_chunks(static_cast<double>(s * s * simd::lanes),
                [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
                  partial[chunk].zeros(width, width);
                  double* g = sums.data() + chunk * s * W;
                  if (wide)
                    add_model<double>(from, to, kernels_.scaled_support_wide, kernels_.gram_wide, g, partial[chunk]);
                  else
                    add_model<float>(from, to, kernels_.scaled_support, kernels_.gram_float, g, partial[chunk]);
                });
    arma::mat H(width, width, arma::fill::zeros);
    for (const auto& h : partial) H += h;
    // row-major upper triangle: the lower one here
    Model model{sum_lanes(sums, s), arma::symmatl(arma::mat(H.submat(0, 0, s - 1, s - 1))) / n_};
    for (std::size_t i = 0; i < s; ++i) {
      const double penalty = penalty_[support_[i]];
      if (penalty <= 0.0) continue;
      model.gradient[i] += penalty / x_[i];
      model.hessian(i, i) += penalty / (n_ * x_[i] * x_[i]);
    }
    return model;
  }

  template <typename T, typename Scale, typename Accumulate>
  void add_model(std::size_t from, std::size_t to, Scale scale, Accumulate accumulate, double* gradient, arma::mat& H) {
    constexpr std::size_t panel = 16;  // blocks summed at a time
    const std::size_t s = support_.size();
    const std::size_t width = H.n_cols;  // s, and columns of zeros up to a whole number of tiles
    Buffer<T> scaled(panel * simd::lanes * width);
    std::vector<const float*> columns;
    for (; from < to; from += panel) {
      const std::size_t n = std::min(panel, to - from);
      for (std::size_t i = 0; i < n; ++i) {
        double ratio[simd::lanes];
        ratios(from + i, ratio);
        columns_of(from + i, columns);
        scale(s, columns.data(), ratio, n * simd::lanes, scaled.data() + i * simd::lanes, gradient);
      }
      std::fill(scaled.data() + s * n * simd::lanes, scaled.data() + width * n * simd::lanes, T(0));
      accumulate(n * simd::lanes, width, scaled.data(), H.memptr());
      executor_.checkpoint();
    }
  }

  // One Newton step on the support. False if its optimality conditions hold up to `enough`, or if no step improves the
  // objective any more.
  bool newton_step(double enough) {
    const std::size_t s = support_.size();
    Model model = quadratic_model();
    arma::vec slope(s), x(x_);
    for (std::size_t i = 0; i < s; ++i) slope[i] = 1.0 - model.gradient[i] / n_;
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
      const double f = along(d, t, halving == 0);
      if (!inside) continue;
      const double there = -(f + penalties(next)) / n_ + sum;
      // The slack admits the last steps, whose gain is below the rounding of the objective.
      if (there <= here + 1e-4 * t * decrease + 1e-15 * std::fabs(here)) {
        for (std::size_t i = 0; i < s; ++i) x_[i] = next[i] / sum;
        over_chunks(2.0 * simd::lanes, [&](std::size_t, std::size_t, std::size_t from, std::size_t to) {
          for (std::size_t k = from * simd::lanes; k < to * simd::lanes; ++k) u_[k] = (u_[k] + t * v_[k]) / sum;
        });
        objective_ = f - (n_ - total_penalty()) * std::log(sum) + penalties(x_);
        return true;
      }
    }
    return false;
  }

  double total_penalty() const { return std::accumulate(penalty_.begin(), penalty_.end(), 0.0); }

  // sum log(u + t v), v = L d; v is computed when it is new.
  double along(const arma::vec& d, double t, bool fresh) {
    std::vector<double> f(n_chunks_, 0.0);
    over_chunks(work_per_value((fresh ? support_.size() : 0) + 5),
                [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
                  std::vector<const float*> columns;
                  for (std::size_t i = from; i < to; ++i) {
                    double* v = v_.data() + i * simd::lanes;
                    if (fresh) {
                      columns_of(i, columns);
                      kernels_.mixture_density(columns.size(), columns.data(), d.memptr(), v);
                    }
                    f[chunk] += log_density(i, u_.data() + i * simd::lanes, v, t);
                  }
                });
    return total(f);
  }

  LikelihoodSource& source_;
  const std::vector<double>& prior_;
  std::vector<std::pair<std::size_t, std::size_t>> grids_;
  WeightsOptions options_;
  Executor& executor_;
  const simd::KernelTable& kernels_;
  std::size_t n_columns_;
  double n_effects_ = 0.0;
  // the level
  std::size_t stride_ = 1, n_blocks_ = 0, blocks_per_chunk_ = 1, n_chunks_ = 0;
  double n_ = 0.0;               // effects + penalties
  std::vector<double> penalty_;  // prior - 1, in proportion to the effects of the level
  Buffer<double> u_, v_;         // L x and L d, by effect
  double objective_ = 0.0;       // at x
  std::vector<std::vector<float>> uncovered_;
  bool just_started_ = false;
  // the support
  Columns support_, slots_;
  std::vector<double> x_;
  ColumnPool pool_;
};

}  // namespace covmash
