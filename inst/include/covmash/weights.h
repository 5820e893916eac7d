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
// L is float in blocks of 64 effects, L[(b * P + p) * 64 + lane], scaled to maximum 1 in every row; sums are in double,
// over fixed chunks of blocks added in order. Cost: 4 J P bytes read a pass; J s^2 flops a Newton step.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "buffer.h"
#include "error.h"
#include "executor.h"
#include "quadratic.h"
#include "simd/kernels.h"

namespace covmash {

struct RelativeLikelihood {
  std::size_t n_blocks = 0, n_columns = 0;
  Buffer<float> values;
  std::vector<unsigned char> counts;  // effects in each block; the other lanes are padding

  const float* block(std::size_t b) const { return values.data() + b * n_columns * simd::lanes; }
  float* block(std::size_t b) { return values.data() + b * n_columns * simd::lanes; }
  double n_effects() const { return std::accumulate(counts.begin(), counts.end(), 0.0); }
};

struct WeightsOptions {
  double tolerance = 1e-8;    // on max_p g_p / N - 1
  int max_iterations = 1000;  // Newton steps
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
  WeightsSolver(const RelativeLikelihood& L, const std::vector<double>& prior,
                std::vector<std::pair<std::size_t, std::size_t>> grids, const WeightsOptions& options,
                Executor& executor)
      : L_(L),
        prior_(prior),
        grids_(std::move(grids)),
        options_(options),
        executor_(executor),
        kernels_(simd::kernels()) {
    require(prior.size() == L.n_columns, "prior must have one value for each mixture component");
    n_ = L.n_effects();
    for (double p : prior) {
      require(p >= 1.0, "prior weights must be at least 1");
      n_ += p - 1.0;
    }
    blocks_per_chunk_ = std::max<std::size_t>(16, (L.n_blocks + 63) / 64);
    n_chunks_ = (L.n_blocks + blocks_per_chunk_ - 1) / blocks_per_chunk_;
    u_.require_size(L.n_blocks * simd::lanes);
    v_.require_size(L.n_blocks * simd::lanes);
  }

  WeightsResult solve() {
    WeightsResult result;
    if (n_ <= 0.0) {  // nothing to learn from: equal weights
      result.pi.assign(L_.n_columns, 1.0 / static_cast<double>(L_.n_columns));
      result.converged = true;
      return result;
    }
    start();
    double previous_excess = std::numeric_limits<double>::infinity();
    int stalled = 0;
    for (;;) {
      for (int step = 0; step < 4 && result.iterations < options_.max_iterations; ++step) {
        ++result.iterations;
        if (newton_step()) continue;
        if (stalled > 0) expectation_steps(10);
        break;
      }
      density(support_, x_, u_.data());
      const std::vector<double> g = gradient(nullptr, L_.n_columns);
      const double excess = *std::max_element(g.begin(), g.end()) / n_ - 1.0;
      result.kkt_violation = std::max(excess, 0.0);
      if (excess <= options_.tolerance) {
        result.converged = true;
        break;
      }
      if (result.iterations >= options_.max_iterations) break;
      const bool grew = extend_support(g);
      // No new column and no progress: rounding has been reached.
      stalled = grew || excess < 0.5 * previous_excess ? 0 : stalled + 1;
      if (stalled >= 8) break;
      previous_excess = std::min(excess, previous_excess);
    }
    result.pi.assign(L_.n_columns, 0.0);
    for (std::size_t s = 0; s < support_.size(); ++s) result.pi[support_[s]] = x_[s];
    result.gap_bound = n_ * std::log1p(result.kkt_violation);
    result.objective = objective(u_.data(), nullptr, 0.0, x_);
    return result;
  }

 private:
  using Columns = std::vector<std::size_t>;

  void over_chunks(double work_per_value, const std::function<void(std::size_t chunk, std::size_t b)>& task) {
    executor_.run(n_chunks_, work_per_value * static_cast<double>(L_.n_blocks * simd::lanes),
                  [&](std::size_t chunk, std::size_t) {
                    const std::size_t end = std::min(L_.n_blocks, (chunk + 1) * blocks_per_chunk_);
                    for (std::size_t b = chunk * blocks_per_chunk_; b < end; ++b) task(chunk, b);
                  });
  }

  void density(const Columns& columns, const std::vector<double>& x, double* out) {
    over_chunks(2.0 * static_cast<double>(columns.size()), [&](std::size_t, std::size_t b) {
      kernels_.mixture_density(L_.block(b), columns.size(), columns.data(), x.data(), out + b * simd::lanes);
    });
  }

  // 1 / u, 0 in the padding
  void ratios(std::size_t b, double* ratio) const {
    for (std::size_t lane = 0; lane < simd::lanes; ++lane)
      ratio[lane] = lane < L_.counts[b] ? 1.0 / u_[b * simd::lanes + lane] : 0.0;
  }

  // g_p for the given columns, or for the first n; penalties included.
  std::vector<double> gradient(const Columns* columns, std::size_t n) {
    const std::size_t W = kernels_.width;
    std::vector<double> partial(n_chunks_ * n * W, 0.0);
    over_chunks(2.0 * static_cast<double>(n), [&](std::size_t chunk, std::size_t b) {
      double ratio[simd::lanes];
      ratios(b, ratio);
      kernels_.mixture_gradient(L_.block(b), n, columns ? columns->data() : nullptr, ratio,
                                partial.data() + chunk * n * W);
    });
    std::vector<double> g(n, 0.0);
    for (std::size_t chunk = 0; chunk < n_chunks_; ++chunk)
      for (std::size_t p = 0; p < n; ++p)
        for (std::size_t lane = 0; lane < W; ++lane) g[p] += partial[(chunk * n + p) * W + lane];
    if (columns) {
      for (std::size_t s = 0; s < n; ++s) g[s] += penalty_gradient((*columns)[s], x_[s]);
    } else {
      for (std::size_t s = 0; s < support_.size(); ++s) g[support_[s]] += penalty_gradient(support_[s], x_[s]);
    }
    return g;
  }

  double penalty_gradient(std::size_t column, double x) const {
    return prior_[column] > 1.0 ? (prior_[column] - 1.0) / x : 0.0;
  }

  // f at x + t d, where u holds L x and v holds L d; -infinity outside the domain.
  double objective(const double* u, const double* v, double t, const std::vector<double>& x) {
    std::vector<double> partial(n_chunks_, 0.0);
    over_chunks(10.0, [&](std::size_t chunk, std::size_t b) {
      double value[simd::lanes], logs[simd::lanes];
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
        const std::size_t at = b * simd::lanes + lane;
        const double w = v ? u[at] + t * v[at] : u[at];
        value[lane] = lane < L_.counts[b] ? std::max(w, 0.0) : 1.0;
      }
      kernels_.logarithms(simd::lanes, value, logs);
      double sum = 0.0;
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) sum += logs[lane];
      partial[chunk] += sum;
    });
    double f = 0.0;
    for (double s : partial) f += s;
    for (std::size_t s = 0; s < support_.size(); ++s)
      if (prior_[support_[s]] > 1.0) f += (prior_[support_[s]] - 1.0) * std::log(x[s]);
    return f;
  }

  // Support: columns with a penalty, and in each grid the local maxima of the gradient at equal weights.
  void start() {
    Columns all(L_.n_columns);
    std::iota(all.begin(), all.end(), 0);
    support_ = all;
    x_.assign(L_.n_columns, 1.0 / static_cast<double>(L_.n_columns));
    density(support_, x_, u_.data());
    const std::vector<double> g = gradient(nullptr, L_.n_columns);
    std::vector<unsigned char> chosen(L_.n_columns, 0);
    for (std::size_t p = 0; p < L_.n_columns; ++p) chosen[p] = prior_[p] > 1.0;
    mark_local_maxima(g, 0.0, chosen);
    cover(chosen);
    support_.clear();
    for (std::size_t p = 0; p < L_.n_columns; ++p)
      if (chosen[p]) support_.push_back(p);
    x_.assign(support_.size(), 1.0 / static_cast<double>(support_.size()));
    density(support_, x_, u_.data());
    expectation_steps(3);  // to a region where Newton is at home
  }

  void expectation_steps(int steps) {
    for (int step = 0; step < steps; ++step) {
      const std::vector<double> g = gradient(&support_, support_.size());
      for (std::size_t s = 0; s < support_.size(); ++s) x_[s] *= g[s] / n_;
      density(support_, x_, u_.data());
    }
  }

  void mark_local_maxima(const std::vector<double>& g, double above, std::vector<unsigned char>& chosen) const {
    for (const auto& grid : grids_)
      for (std::size_t p = grid.first; p < grid.second; ++p) {
        const bool left = p == grid.first || g[p] >= g[p - 1];
        const bool right = p + 1 == grid.second || g[p] > g[p + 1];
        if (left && right && g[p] > above) chosen[p] = 1;
      }
  }

  // Every effect must have a fair likelihood on the support, relative to its best column: where it has not, that column
  // joins. The logarithm's quadratic model, and so Newton's method, is useless where the density is nearly zero.
  void cover(std::vector<unsigned char>& chosen) const {
    constexpr float fair = 0.05f;
    for (std::size_t b = 0; b < L_.n_blocks; ++b) {
      const float* block = L_.block(b);
      float best[simd::lanes] = {};
      for (std::size_t p = 0; p < L_.n_columns; ++p)
        if (chosen[p])
          for (std::size_t lane = 0; lane < simd::lanes; ++lane)
            best[lane] = std::max(best[lane], block[p * simd::lanes + lane]);
      for (std::size_t lane = 0; lane < L_.counts[b]; ++lane) {
        if (best[lane] > fair) continue;
        std::size_t top = 0;
        for (std::size_t p = 1; p < L_.n_columns; ++p)
          if (block[p * simd::lanes + lane] > block[top * simd::lanes + lane]) top = p;
        if (!(block[top * simd::lanes + lane] > 0.0f))
          throw numeric_error("an effect has likelihood zero under every mixture component");
        chosen[top] = 1;
        for (std::size_t other = 0; other < simd::lanes; ++other)
          best[other] = std::max(best[other], block[top * simd::lanes + other]);
      }
    }
  }

  // Columns in use stay, unused ones leave, local maxima of the gradient that beat N join. True if any column is new.
  bool extend_support(const std::vector<double>& g) {
    std::vector<unsigned char> candidate(L_.n_columns, 0);
    mark_local_maxima(g, n_ * (1.0 + 0.5 * options_.tolerance), candidate);
    Columns columns;
    std::vector<double> x;
    for (std::size_t s = 0; s < support_.size(); ++s) {
      if (x_[s] > 0.0 || prior_[support_[s]] > 1.0) {
        columns.push_back(support_[s]);
        x.push_back(x_[s]);
        candidate[support_[s]] = 0;
      }
    }
    const std::size_t in_use = columns.size();
    for (std::size_t p = 0; p < L_.n_columns; ++p)
      if (candidate[p]) {
        columns.push_back(p);
        x.push_back(0.0);
      }
    support_ = std::move(columns);
    x_ = std::move(x);
    return support_.size() > in_use;
  }

  arma::mat hessian() {
    const std::size_t s = support_.size();
    // Few effects leave the rounding of float sums no room to average out, and are cheap in double.
    const bool wide = static_cast<double>(s * s) * n_ < 2e7;
    std::vector<arma::mat> partial(n_chunks_);
    executor_.run(n_chunks_, static_cast<double>(s * s) * static_cast<double>(L_.n_blocks * simd::lanes),
                  [&](std::size_t chunk, std::size_t) {
                    partial[chunk].zeros(s, s);
                    if (wide)
                      add_hessian<double>(chunk, kernels_.scaled_support_wide, kernels_.accumulate_hessian_wide,
                                          partial[chunk]);
                    else
                      add_hessian<float>(chunk, kernels_.scaled_support, kernels_.accumulate_hessian, partial[chunk]);
                  });
    arma::mat H(s, s, arma::fill::zeros);
    for (const auto& h : partial) H += h;
    H = arma::symmatl(H) / n_;  // row-major upper triangle: the lower one here
    for (std::size_t i = 0; i < s; ++i)
      if (prior_[support_[i]] > 1.0) H(i, i) += (prior_[support_[i]] - 1.0) / (n_ * x_[i] * x_[i]);
    return H;
  }

  template <typename T, typename Scale, typename Accumulate>
  void add_hessian(std::size_t chunk, Scale scale, Accumulate accumulate, arma::mat& H) const {
    constexpr std::size_t panel = 16;  // blocks summed at a time
    const std::size_t s = support_.size(), end = std::min(L_.n_blocks, (chunk + 1) * blocks_per_chunk_);
    Buffer<T> scaled(panel * simd::lanes * s);
    for (std::size_t from = chunk * blocks_per_chunk_; from < end; from += panel) {
      const std::size_t n = std::min(panel, end - from);
      for (std::size_t i = 0; i < n; ++i) {
        double ratio[simd::lanes];
        ratios(from + i, ratio);
        scale(L_.block(from + i), s, support_.data(), ratio, n * simd::lanes, scaled.data() + i * simd::lanes);
      }
      accumulate(n * simd::lanes, s, scaled.data(), H.memptr());
    }
  }

  // One Newton step on the support. False if it cannot improve the objective any more.
  bool newton_step() {
    const std::size_t s = support_.size();
    const std::vector<double> g = gradient(&support_, s);
    arma::vec slope(s), x(x_);
    for (std::size_t i = 0; i < s; ++i) slope[i] = 1.0 - g[i] / n_;
    double violation = 0.0;
    for (std::size_t i = 0; i < s; ++i)
      violation = std::max({violation, -slope[i], x[i] > 0.0 ? x[i] * slope[i] : 0.0});
    if (violation <= 0.1 * options_.tolerance) return false;

    arma::mat H = hessian();
    H.diag() += 1e-10 * arma::mean(H.diag());
    const arma::vec target = nonnegative_quadratic(H, slope - H * x, x);
    const arma::vec d = target - x;
    const double decrease = arma::dot(slope, d);
    if (!(decrease < 0.0)) return false;

    density(support_, std::vector<double>(d.begin(), d.end()), v_.data());
    // -f/N + sum x along the step
    const double here = -objective(u_.data(), nullptr, 0.0, x_) / n_ + arma::accu(x);
    double t = 1.0;
    for (int halving = 0; halving < 50; ++halving, t *= 0.5) {
      std::vector<double> next(s);
      double total = 0.0;
      bool inside = true;
      for (std::size_t i = 0; i < s; ++i) {
        next[i] = t == 1.0 ? target[i] : x[i] + t * d[i];
        if (next[i] < 1e-14) next[i] = 0.0;
        if (prior_[support_[i]] > 1.0 && next[i] <= 0.0) inside = false;
        total += next[i];
      }
      if (!inside) continue;
      const double there = -objective(u_.data(), v_.data(), t, next) / n_ + total;
      // The slack admits the last steps, whose gain is below the rounding of the objective.
      if (there <= here + 1e-4 * t * decrease + 1e-15 * std::fabs(here)) {
        for (std::size_t i = 0; i < s; ++i) x_[i] = next[i] / total;
        for (std::size_t i = 0; i < L_.n_blocks * simd::lanes; ++i) u_[i] = (u_[i] + t * v_[i]) / total;
        return true;
      }
    }
    return false;
  }

  const RelativeLikelihood& L_;
  const std::vector<double>& prior_;
  std::vector<std::pair<std::size_t, std::size_t>> grids_;
  WeightsOptions options_;
  Executor& executor_;
  const simd::KernelTable& kernels_;
  double n_ = 0.0;
  std::size_t blocks_per_chunk_ = 1, n_chunks_ = 0;
  Columns support_;
  std::vector<double> x_;
  Buffer<double> u_, v_;
};

}  // namespace covmash
