#pragma once
// All that the mixture weights need of a part of the effects, in one visit to each of them and nothing kept: the
// log-density at some weights and on the way there, its gradient for all P columns, and its Hessian on the columns in
// use. A sum over the effects, so the answers of the parts of a data set add up to that of the whole, on whichever
// machine they were given; and the gradient certifies the weights it was asked at.
//
// Likelihoods are floats relative to the largest of each effect, as in density.h; the logarithms of these are in
// `maxima`. Sums are in double over fixed chunks of 64 blocks, added in order: the same bits for any number of threads.
// Cost: one evaluation of all likelihoods, 2 J P operations for the gradient, J s^2 for the Hessian of s columns; memory
// 64 P floats and 1024 s numbers a thread, P W and s^2 doubles a chunk.

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
#include "../base/executor.h"
#include "block_mixture.h"
#include "relative_likelihood.h"

namespace covmash {

// Weights have one number for each column of the likelihoods.
struct PassQuery {
  std::vector<double> x;
  std::vector<double> from;   // weights that x is to be better than; empty: none
  std::vector<double> steps;  // 0 is `from`, 1 is x
  std::vector<std::size_t> also;  // columns without a weight whose second derivatives are wanted too
  double hard = 0.0;              // effects of a density below this are handed over with all their likelihoods,
  std::size_t most_hard = 0;      // the so many lowest
};

struct PassAnswer {
  double n_effects = 0.0;
  double maxima = 0.0;
  double log_density = 0.0;      // at x
  std::vector<double> along;     // at from + t (x - from) for every step t
  std::vector<double> gradient;  // at x, P
  std::vector<std::size_t> columns;  // those with a weight in x, then the query's others
  arma::mat hessian;             // of -log_density, on the columns
  std::vector<float> hard;       // likelihoods of effects that are hard on x, P numbers each
  std::vector<double> covering;  // how many effects that no column of the support is fair to each column is the best of

  // Of further effects, to the same query.
  void add(const PassAnswer& other) {
    if (gradient.empty()) {
      *this = other;
      return;
    }
    n_effects += other.n_effects;
    maxima += other.maxima;
    log_density += other.log_density;
    for (std::size_t i = 0; i < along.size(); ++i) along[i] += other.along[i];
    for (std::size_t p = 0; p < gradient.size(); ++p) gradient[p] += other.gradient[p];
    hessian += other.hessian;
    for (std::size_t p = 0; p < covering.size(); ++p) covering[p] += other.covering[p];
    hard.insert(hard.end(), other.hard.begin(), other.hard.end());
  }
};

class FullPass {
 public:
  FullPass(ComputedLikelihoods& source, const PassQuery& query, Executor& executor)
      : source_(source), query_(query), executor_(executor), kernels_(simd::kernels()), mixture_(source) {
    const std::size_t P = source.n_columns();
    require(query.x.size() == P, "a pass needs one weight for each mixture component");
    require(query.from.empty() || query.from.size() == P, "a pass needs one weight for each mixture component");
    std::vector<std::size_t> position(P, none);
    for (std::size_t p = 0; p < P; ++p) {
      if (!(query.x[p] > 0.0)) continue;
      position[p] = columns_.size();
      columns_.push_back(p);
      x_.push_back(query.x[p]);
    }
    n_support_ = columns_.size();
    require(n_support_ > 0, "a pass needs a positive weight");
    for (const std::size_t p : query.also) {
      require(p < P && position[p] == none, "a pass is asked for a column that there is not, or twice");
      position[p] = columns_.size();
      columns_.push_back(p);
    }
    n_own_ = columns_.size();
    for (std::size_t p = 0; p < query.from.size(); ++p) {
      if (!(query.from[p] > 0.0)) continue;
      if (position[p] == none) columns_.push_back(p);
      from_at_.push_back(position[p] == none ? columns_.size() - 1 : position[p]);
      from_.push_back(query.from[p]);
    }
  }

  PassAnswer run() {
    const std::size_t n_blocks = source_.n_blocks(), P = source_.n_columns(), W = kernels_.width;
    const std::size_t n_chunks = (n_blocks + blocks_a_chunk - 1) / blocks_a_chunk;
    // A base is one more column, of ones; the columns fill whole tiles.
    n_model_ = n_own_ + (source_.base() != 0.0 ? 1 : 0);
    width_ = (n_model_ + 3) / 4 * 4;
    std::vector<Sums> parts(n_chunks);
    std::vector<Workspace> workspaces(executor_.workers());
    source_.begin(executor_.workers());
    const double work = source_.work_per_block() + 128.0 * static_cast<double>(P + n_own_ * n_own_ / 2);
    executor_.run(n_chunks, work * static_cast<double>(n_blocks), [&](std::size_t chunk, std::size_t worker) {
      Sums& sums = parts[chunk];
      sums.along.assign(from_.empty() ? 0 : query_.steps.size(), 0.0);
      sums.gradient.assign(P * W, 0.0);
      sums.model.assign(n_model_ * W, 0.0);
      sums.covering.assign(P, 0.0);
      sums.hessian.zeros(width_, width_);
      const std::size_t end = std::min(n_blocks, (chunk + 1) * blocks_a_chunk);
      for (std::size_t b = chunk * blocks_a_chunk; b < end; b += blocks_a_panel)
        panel(b, std::min(end, b + blocks_a_panel), worker, workspaces[worker], sums);
    });
    return total(parts);
  }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1), blocks_a_chunk = 64, blocks_a_panel = 16,
                               hard_of_chunk = 32;
  // The square of a density below this is beyond floats beside the others.
  static constexpr double smallest_in_floats = 1e-12;

  struct Sums {
    double log_density = 0.0, base = 0.0;
    std::vector<double> along, gradient, model, covering;
    arma::mat hessian;
    std::vector<std::pair<double, std::vector<float>>> hard;  // density and likelihoods
  };

  struct Workspace {
    Buffer<float> columns, scaled;  // of a panel, [column][block][lane]
    Buffer<double> wide, density;
    std::vector<const float*> at, from_at;
  };

  float* column(Workspace& ws, std::size_t i, std::size_t block) const {
    return ws.columns.data() + (i * blocks_a_panel + block) * simd::lanes;
  }

  void panel(std::size_t begin, std::size_t end, std::size_t worker, Workspace& ws, Sums& sums) {
    const std::size_t P = source_.n_columns(), n = end - begin;
    ws.columns.require_size((columns_.size() + 1) * blocks_a_panel * simd::lanes);
    ws.density.require_size(blocks_a_panel * simd::lanes);
    const double sum = std::accumulate(x_.begin(), x_.end(), 0.0);
    double smallest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t b = begin + i;
      const float* L = source_.block(b, worker);
      for (std::size_t c = 0; c < columns_.size(); ++c)
        std::memcpy(column(ws, c, i), L + columns_[c] * simd::lanes, simd::lanes * sizeof(float));
      point(ws, i, n_support_);
      double* u = ws.density.data() + i * simd::lanes;
      mixture_.density(ws.at, x_.data(), sum, u);
      sums.log_density += mixture_.log_density(b, u);
      if (!from_.empty()) along(b, i, u, ws, sums);
      double ratio[simd::lanes];
      sums.base += mixture_.ratios(b, u, ratio);
      kernels_.mixture_gradient(P, L, ratio, sums.gradient.data());
      for_each_lane(source_.lanes(b), [&](std::size_t lane) {
        smallest = std::min(smallest, u[lane]);
        if (u[lane] < BlockMixture::tiny) cover(L, lane, ws, sums);
        if (u[lane] < query_.hard && sums.hard.size() < hard_of_chunk) sums.hard.emplace_back(u[lane], row(L, lane));
      });
      executor_.checkpoint();
    }
    if (smallest < smallest_in_floats || source_.base() != 0.0)
      add_products(begin, n, ws, ws.wide, kernels_.scaled_support_wide, kernels_.gram_wide, sums);
    else
      add_products(begin, n, ws, ws.scaled, kernels_.scaled_support, kernels_.gram_float, sums);
  }

  void point(Workspace& ws, std::size_t block, std::size_t n) const {
    ws.at.resize(n);
    for (std::size_t c = 0; c < n; ++c) ws.at[c] = column(ws, c, block);
  }

  std::vector<float> row(const float* L, std::size_t lane) const {
    std::vector<float> out(source_.n_columns());
    for (std::size_t p = 0; p < out.size(); ++p) out[p] = L[p * simd::lanes + lane];
    return out;
  }

  // An effect whose density is tiny, for want of a column that is fair to it.
  void cover(const float* L, std::size_t lane, const Workspace& ws, Sums& sums) const {
    for (const float* own : ws.at)
      if (own[lane] > BlockMixture::fair) return;
    std::size_t best = 0;
    for (std::size_t p = 1; p < source_.n_columns(); ++p)
      if (L[p * simd::lanes + lane] > L[best * simd::lanes + lane]) best = p;
    sums.covering[best] += 1.0;
  }

  void along(std::size_t b, std::size_t i, const double* u, Workspace& ws, Sums& sums) const {
    ws.from_at.resize(from_.size());
    for (std::size_t c = 0; c < from_.size(); ++c) ws.from_at[c] = column(ws, from_at_[c], i);
    double before[simd::lanes], way[simd::lanes];
    mixture_.density(ws.from_at, from_.data(), std::accumulate(from_.begin(), from_.end(), 0.0), before);
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) way[lane] = u[lane] - before[lane];
    for (std::size_t t = 0; t < query_.steps.size(); ++t)
      sums.along[t] += mixture_.log_density(b, before, way, query_.steps[t]);
  }

  template <typename T, typename Scale, typename Accumulate>
  void add_products(std::size_t begin, std::size_t n, Workspace& ws, Buffer<T>& buffer, Scale scale,
                    Accumulate accumulate, Sums& sums) {
    const std::size_t depth = n * simd::lanes;
    T* scaled = buffer.require_size(blocks_a_panel * simd::lanes * width_);
    std::fill_n(column(ws, columns_.size(), 0), blocks_a_panel * simd::lanes, 1.0f);
    for (std::size_t i = 0; i < n; ++i) {
      double ratio[simd::lanes];
      mixture_.ratios(begin + i, ws.density.data() + i * simd::lanes, ratio, true);
      point(ws, i, n_own_);
      if (n_model_ > n_own_) ws.at.push_back(column(ws, columns_.size(), i));
      scale(n_model_, ws.at.data(), ratio, depth, scaled + i * simd::lanes, sums.model.data());
    }
    std::fill(scaled + n_model_ * depth, scaled + width_ * depth, T(0));
    accumulate(depth, width_, scaled, sums.hessian.memptr());
    executor_.checkpoint();
  }

  PassAnswer total(const std::vector<Sums>& parts) {
    const std::size_t P = source_.n_columns(), W = kernels_.width;
    PassAnswer answer;
    answer.columns.assign(columns_.begin(), columns_.begin() + static_cast<std::ptrdiff_t>(n_own_));
    for (std::size_t b = 0; b < source_.n_blocks(); ++b)
      answer.n_effects += static_cast<double>(n_lanes(source_.lanes(b)));
    answer.maxima = source_.sum_of_maxima();
    answer.along.assign(from_.empty() ? 0 : query_.steps.size(), 0.0);
    answer.gradient.assign(P, 0.0);
    answer.covering.assign(P, 0.0);
    std::vector<const std::pair<double, std::vector<float>>*> hard;
    std::vector<double> model(n_model_, 0.0);
    arma::mat H(width_, width_, arma::fill::zeros);
    for (const Sums& part : parts) {
      answer.log_density += part.log_density;
      for (std::size_t t = 0; t < answer.along.size(); ++t) answer.along[t] += part.along[t];
      const auto lanes = [&](const std::vector<double>& sums, std::size_t n, std::vector<double>& out) {
        for (std::size_t p = 0; p < n; ++p)
          out[p] += std::accumulate(sums.begin() + static_cast<std::ptrdiff_t>(p * W),
                                    sums.begin() + static_cast<std::ptrdiff_t>((p + 1) * W), 0.0);
      };
      lanes(part.gradient, P, answer.gradient);
      for (double& g : answer.gradient) g += part.base;
      for (std::size_t p = 0; p < P; ++p) answer.covering[p] += part.covering[p];
      lanes(part.model, n_model_, model);
      H += part.hessian;
      for (const auto& effect : part.hard) hard.push_back(&effect);
    }
    std::stable_sort(hard.begin(), hard.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
    hard.resize(std::min(hard.size(), query_.most_hard));
    for (const auto* effect : hard) answer.hard.insert(answer.hard.end(), effect->second.begin(), effect->second.end());
    // row-major upper triangle: the lower one here
    answer.hessian = arma::symmatl(arma::mat(H.submat(0, 0, n_model_ - 1, n_model_ - 1)));
    if (n_model_ > n_own_) BlockMixture::add_base(source_.base(), model, answer.hessian);
    return answer;
  }

  ComputedLikelihoods& source_;
  const PassQuery& query_;
  Executor& executor_;
  const simd::KernelTable& kernels_;
  BlockMixture mixture_;
  std::vector<std::size_t> columns_, from_at_;  // those of x, the others with a Hessian, those of `from` alone
  std::vector<double> x_, from_;
  std::size_t n_support_ = 0, n_own_ = 0, n_model_ = 0, width_ = 0;
};

}  // namespace covmash
