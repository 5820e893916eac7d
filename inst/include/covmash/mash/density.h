#pragma once
// The mixture density of the effects, u_j = sum_p L_jp x_p, as the mixture weights see it: sums over the effects, never
// an effect or a block. Another way to hold the likelihoods (on disk, on other machines) is another Density: every
// answer is a sum of the answers for parts of the effects, but for the uncovered columns, which are a union.
//
// A few columns, the support, are in use at a time; x and d below have one number for each of them. Levels are nested
// parts of the effects: level 0 has them all, each further one an eighth of the one before.
//
// BlockDensity: likelihoods from a LikelihoodSource, float, in blocks of 64 effects; sums are in double, over fixed
// chunks of blocks added in order, so that they have the same bits for any number of threads. The support's columns
// are kept in a pool, 4 J |S| bytes. Cost: one evaluation (or reading) of all likelihoods for a pass over all columns,
// J |S|^2 flops for the quadratic model, J |S| for the rest.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "../base/buffer.h"
#include "../base/executor.h"
#include "../simd/dispatch.h"
#include "block_mixture.h"
#include "relative_likelihood.h"

namespace covmash {

class Density {
 public:
  using Columns = std::vector<std::size_t>;
  virtual ~Density() = default;
  virtual std::size_t n_columns() const = 0;
  virtual double n_effects() const = 0;
  virtual int n_levels() const = 0;

  // Goes to a level, without a support; returns how many effects it has.
  virtual double enter(int level) = 0;
  // The support from now on. What is known of columns that were in it before stays.
  virtual void use(const Columns& support) = 0;
  // The support alone, where its columns are had for much less than all: until the next pass over all columns, each
  // effect may be scaled by its maximum over them.
  virtual bool can_stand_alone() const = 0;
  virtual void stand_alone() = 0;

  // sum_j L_jp / mean_q L_jq for all p; needs no support.
  virtual std::vector<double> gradient_at_equal_weights() = 0;

  // Sets u = L x: sum log u, and sum_j L_jp / u_j for all p. If asked for, also the effects that the support does not
  // cover, whose density is tiny and for which none of its columns is fair: how many, and columns that cover them.
  struct Pass {
    double log_density = 0.0;
    std::vector<double> gradient;
    double uncovered = 0.0;
    Columns covering;
    bool more_uncovered = false;  // some were left for another pass
  };
  virtual Pass all_columns(const std::vector<double>& x, bool look_for_uncovered) = 0;
  // Sets u = L x on the support; returns sum log u.
  virtual double mix(const std::vector<double>& x) = 0;
  // sum_j L_js / u_j on the support.
  virtual std::vector<double> gradient() = 0;
  // The gradient, and sum_j L_js L_jt / u_j^2.
  struct Model {
    std::vector<double> gradient;
    arma::mat hessian;
  };
  virtual Model model() = 0;

  // The line u + t L d: a direction (returns sum log at t = 1), sum log at another t, and going there:
  // u = (u + t L d) / total.
  virtual double toward(const std::vector<double>& d) = 0;
  virtual double along(double t) = 0;
  virtual void move(double t, double total) = 0;
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

class BlockDensity : public Density {
 public:
  BlockDensity(LikelihoodSource& source, Executor& executor)
      : source_(source), executor_(executor), kernels_(simd::kernels()), mixture_(source) {
    for (std::size_t b = 0; b < source.n_blocks(); ++b) n_effects_ += effects_in(b);
    for (std::size_t n = source.n_blocks() / refinement; n >= fewest_blocks; n /= refinement) ++n_levels_;
    const bool weighted = source.n_blocks() > 0 && source.effect_weights(0);
    while (weighted && n_levels_ > 1 && enter(n_levels_ - 1) == 0.0) --n_levels_;
  }

  std::size_t n_columns() const override { return source_.n_columns(); }
  double n_effects() const override { return n_effects_; }
  int n_levels() const override { return n_levels_; }

  double enter(int level) override {
    stride_ = 1;
    for (int i = 0; i < level; ++i) stride_ *= refinement;
    n_blocks_ = (source_.n_blocks() + stride_ - 1) / stride_;
    level_effects_ = 0.0;
    for (std::size_t i = 0; i < n_blocks_; ++i) level_effects_ += effects_in(block_of(i));
    blocks_per_chunk_ = std::max<std::size_t>(16, (n_blocks_ + 63) / 64);
    n_chunks_ = (n_blocks_ + blocks_per_chunk_ - 1) / blocks_per_chunk_;
    u_.require_size(n_blocks_ * simd::lanes);
    v_.require_size(n_blocks_ * simd::lanes);
    pool_.reset(n_blocks_);
    support_.clear();
    return level_effects_;
  }

  void use(const Columns& support) override {
    std::vector<Held> next;
    for (std::size_t p : support) {
      const auto at = std::find_if(support_.begin(), support_.end(), [&](const Held& h) { return h.column == p; });
      next.push_back(at == support_.end() ? Held{p, 0, State::unplaced} : *at);
      if (at != support_.end()) at->state = State::unplaced;  // its slot has gone on
    }
    for (const Held& h : support_)
      if (h.state != State::unplaced) pool_.release(h.slot);
    for (Held& h : next)
      if (h.state == State::unplaced) h = {h.column, pool_.take(), State::empty};
    support_ = std::move(next);
  }

  bool can_stand_alone() const override { return source_.gathers_alone(); }
  void stand_alone() override {
    std::vector<std::size_t> all(support_.size());
    std::iota(all.begin(), all.end(), std::size_t(0));
    gather(all, true);
    for (Held& h : support_) h.state = State::alone;
  }

  std::vector<double> gradient_at_equal_weights() override {
    const std::size_t n = n_columns(), W = kernels_.width;
    const std::vector<double> equal(n, 1.0 / static_cast<double>(n));
    std::vector<double> partial(n_chunks_ * n * W, 0.0), base(n_chunks_, 0.0);
    source_.begin(executor_.workers());
    over_chunks(source_.work_per_block() + 2.0 * work_per_value(n),
                [&](std::size_t chunk, std::size_t worker, std::size_t from, std::size_t to) {
                  std::vector<const float*> columns(n);
                  double ratio[simd::lanes];
                  for (std::size_t i = from; i < to; ++i) {
                    const float* L = source_.block(block_of(i), worker);
                    for (std::size_t p = 0; p < n; ++p) columns[p] = L + p * simd::lanes;
                    double* u = u_.data() + i * simd::lanes;
                    mixture_.density(columns, equal.data(), 1.0, u);
                    base[chunk] += mixture_.ratios(block_of(i), u, ratio);
                    kernels_.mixture_gradient(n, L, ratio, partial.data() + chunk * n * W);
                    executor_.checkpoint();
                  }
                });
    return sum_lanes(partial, n, base);
  }

  // Columns of the support that are not known yet are read on the way.
  Pass all_columns(const std::vector<double>& x, bool look_for_uncovered) override {
    const std::size_t n = n_columns(), W = kernels_.width;
    std::vector<double> partial(n_chunks_ * n * W, 0.0), base(n_chunks_, 0.0), f(n_chunks_, 0.0);
    const double sum = total(x);
    std::vector<std::vector<float>> uncovered(look_for_uncovered ? n_chunks_ : 0);
    source_.begin(executor_.workers());
    over_chunks(source_.work_per_block() + work_per_value(n),
                [&](std::size_t chunk, std::size_t worker, std::size_t from, std::size_t to) {
                  std::vector<const float*> columns;
                  double ratio[simd::lanes];
                  for (std::size_t i = from; i < to; ++i) {
                    const float* L = source_.block(block_of(i), worker);
                    for (const Held& h : support_)
                      if (h.state != State::known)
                        std::memcpy(pool_.column(i, h.slot), L + h.column * simd::lanes, simd::lanes * sizeof(float));
                    columns_of(i, columns);
                    double* u = u_.data() + i * simd::lanes;
                    mixture_.density(columns, x.data(), sum, u);
                    f[chunk] += mixture_.log_density(block_of(i), u);
                    base[chunk] += mixture_.ratios(block_of(i), u, ratio);
                    kernels_.mixture_gradient(n, L, ratio, partial.data() + chunk * n * W);
                    if (look_for_uncovered) note_uncovered(i, L, columns, uncovered[chunk]);
                    executor_.checkpoint();
                  }
                });
    for (Held& h : support_) h.state = State::known;
    Pass pass;
    pass.log_density = total(f);
    pass.gradient = sum_lanes(partial, n, base);
    cover(uncovered, pass);
    return pass;
  }

  double mix(const std::vector<double>& x) override {
    fetch();
    const double sum = total(x);
    std::vector<double> f(n_chunks_, 0.0);
    over_chunks(work_per_value(support_.size() + 5),
                [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
                  std::vector<const float*> columns;
                  for (std::size_t i = from; i < to; ++i) {
                    columns_of(i, columns);
                    double* u = u_.data() + i * simd::lanes;
                    mixture_.density(columns, x.data(), sum, u);
                    f[chunk] += mixture_.log_density(block_of(i), u);
                  }
                });
    return total(f);
  }

  std::vector<double> gradient() override {
    fetch();
    const std::size_t n = support_.size(), W = kernels_.width;
    std::vector<double> partial(n_chunks_ * n * W, 0.0), base(n_chunks_, 0.0);
    over_chunks(work_per_value(n), [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
      std::vector<const float*> columns;
      double ratio[simd::lanes];
      for (std::size_t i = from; i < to; ++i) {
        columns_of(i, columns);
        base[chunk] += mixture_.ratios(block_of(i), u_.data() + i * simd::lanes, ratio);
        kernels_.support_gradient(n, columns.data(), ratio, partial.data() + chunk * n * W);
      }
    });
    return sum_lanes(partial, n, base);
  }

  Model model() override {
    fetch();
    const std::size_t s = support_.size();
    // A base is one more column, of ones.
    const bool with_base = source_.base() != 0.0;
    const std::size_t n = s + (with_base ? 1 : 0), width = (n + 3) / 4 * 4;
    // Few effects leave the rounding of float sums no room to average out, and are cheap in double.
    const bool wide = static_cast<double>(s * s) * level_effects_ < 2e7 || with_base;
    std::vector<double> sums;
    arma::mat H = products(n, width, wide, sums);
    // An effect whose density is next to nothing under the weights so far: its square is beyond floats.
    if (!wide && !H.is_finite()) H = products(n, width, true, sums);
    // row-major upper triangle: the lower one here
    Model model{sum_lanes(sums, n), arma::symmatl(arma::mat(H.submat(0, 0, n - 1, n - 1)))};
    if (with_base) BlockMixture::add_base(source_.base(), model.gradient, model.hessian);
    // The columns of the model have the roots of the weights.
    if (n_blocks_ > 0 && source_.effect_weights(0)) model.gradient = gradient();
    return model;
  }

  double toward(const std::vector<double>& d) override {
    fetch();
    const double sum = total(d);
    std::vector<double> f(n_chunks_, 0.0);
    over_chunks(work_per_value(support_.size() + 5),
                [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
                  std::vector<const float*> columns;
                  for (std::size_t i = from; i < to; ++i) {
                    double* v = v_.data() + i * simd::lanes;
                    columns_of(i, columns);
                    mixture_.density(columns, d.data(), sum, v);
                    f[chunk] += mixture_.log_density(block_of(i), u_.data() + i * simd::lanes, v, 1.0);
                  }
                });
    return total(f);
  }

  double along(double t) override {
    std::vector<double> f(n_chunks_, 0.0);
    over_chunks(work_per_value(5), [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
      for (std::size_t i = from; i < to; ++i)
        f[chunk] += mixture_.log_density(block_of(i), u_.data() + i * simd::lanes, v_.data() + i * simd::lanes, t);
    });
    return total(f);
  }

  void move(double t, double total) override {
    over_chunks(2.0 * simd::lanes, [&](std::size_t, std::size_t, std::size_t from, std::size_t to) {
      for (std::size_t k = from * simd::lanes; k < to * simd::lanes; ++k) u_[k] = (u_[k] + t * v_[k]) / total;
    });
  }

 private:
  static constexpr std::size_t refinement = 8, fewest_blocks = 32;
  static constexpr std::size_t most_noted = 64;  // uncovered effects of a chunk that are noted

  // Sums of the products of n scaled columns, width x width, and their sums by lane.
  arma::mat products(std::size_t n, std::size_t width, bool wide, std::vector<double>& sums) {
    std::vector<arma::mat> partial(n_chunks_);
    sums.assign(n_chunks_ * n * kernels_.width, 0.0);
    over_chunks(static_cast<double>(support_.size() * support_.size() * simd::lanes),
                [&](std::size_t chunk, std::size_t, std::size_t from, std::size_t to) {
                  partial[chunk].zeros(width, width);
                  double* g = sums.data() + chunk * n * kernels_.width;
                  if (wide)
                    add_model<double>(from, to, n, kernels_.scaled_support_wide, kernels_.gram_wide, g, partial[chunk]);
                  else
                    add_model<float>(from, to, n, kernels_.scaled_support, kernels_.gram_float, g, partial[chunk]);
                });
    arma::mat H(width, width, arma::fill::zeros);
    for (const auto& h : partial) H += h;
    return H;
  }

  // What is in the slot of a column: nothing yet, likelihoods of a support that stands alone, or those of the level.
  enum class State : unsigned char { unplaced, empty, alone, known };
  struct Held {
    std::size_t column, slot;
    State state;
  };

  std::size_t block_of(std::size_t i) const { return i * stride_; }

  double effects_in(std::size_t b) const {
    const double* weights = source_.effect_weights(b);
    double n = 0.0;
    for_each_lane(source_.lanes(b), [&](std::size_t lane) { n += weights ? weights[lane] : 1.0; });
    return n;
  }

  void over_chunks(
      double work_per_block,
      const std::function<void(std::size_t chunk, std::size_t worker, std::size_t from, std::size_t to)>& task) {
    executor_.run(
        n_chunks_, work_per_block * static_cast<double>(n_blocks_), [&](std::size_t chunk, std::size_t worker) {
          task(chunk, worker, chunk * blocks_per_chunk_, std::min(n_blocks_, (chunk + 1) * blocks_per_chunk_));
        });
  }

  double work_per_value(std::size_t n) const { return 2.0 * static_cast<double>(n * simd::lanes); }

  // Where the support's columns of a level block are.
  void columns_of(std::size_t i, std::vector<const float*>& columns) {
    columns.resize(support_.size());
    for (std::size_t s = 0; s < support_.size(); ++s) columns[s] = pool_.column(i, support_[s].slot);
  }

  double total(const std::vector<double>& partial) const {
    return std::accumulate(partial.begin(), partial.end(), 0.0);
  }

  // Of the lanes of the chunks, and what the base adds.
  std::vector<double> sum_lanes(const std::vector<double>& partial, std::size_t n,
                                const std::vector<double>& base = {}) const {
    const std::size_t W = kernels_.width;
    std::vector<double> g(n, total(base));
    for (std::size_t chunk = 0; chunk < n_chunks_; ++chunk)
      for (std::size_t p = 0; p < n; ++p)
        for (std::size_t lane = 0; lane < W; ++lane) g[p] += partial[(chunk * n + p) * W + lane];
    return g;
  }

  // Columns of the support that are not known yet, into the pool.
  void fetch() {
    std::vector<std::size_t> unknown;
    for (std::size_t s = 0; s < support_.size(); ++s)
      if (support_[s].state == State::empty) unknown.push_back(s);
    if (unknown.empty()) return;
    gather(unknown, false);
    for (std::size_t s : unknown) support_[s].state = State::known;
  }

  // The columns of the support at the given positions.
  void gather(const std::vector<std::size_t>& positions, bool alone) {
    Columns columns;
    for (std::size_t s : positions) columns.push_back(support_[s].column);
    source_.begin_gather(columns, alone, executor_);
    over_chunks(source_.work_to_gather(columns.size()),
                [&](std::size_t, std::size_t worker, std::size_t first, std::size_t last) {
                  std::vector<float*> target(positions.size());
                  for (std::size_t i = first; i < last; ++i) {
                    for (std::size_t s = 0; s < positions.size(); ++s)
                      target[s] = pool_.column(i, support_[positions[s]].slot);
                    source_.gather(block_of(i), worker, target.data());
                    executor_.checkpoint();
                  }
                });
  }

  void note_uncovered(std::size_t i, const float* L, const std::vector<const float*>& columns,
                      std::vector<float>& rows) const {
    const std::size_t n = n_columns();
    const std::uint64_t real = source_.lanes(block_of(i));
    for (std::size_t lane = 0; lane < simd::lanes && rows.size() < most_noted * n; ++lane) {
      if (!(real >> lane & 1) || u_[i * simd::lanes + lane] > BlockMixture::tiny) continue;
      float best = 0.0f;
      for (const float* column : columns) best = std::max(best, column[lane]);
      if (best > BlockMixture::fair) continue;
      for (std::size_t p = 0; p < n; ++p) rows.push_back(L[p * simd::lanes + lane]);
    }
  }

  // Every uncovered effect's best column, unless one that was taken for another is fair to it.
  void cover(const std::vector<std::vector<float>>& uncovered, Pass& pass) const {
    for (const auto& chunk : uncovered) {
      if (chunk.size() >= most_noted * n_columns()) pass.more_uncovered = true;
      for (std::size_t at = 0; at < chunk.size(); at += n_columns()) {
        const float* row = chunk.data() + at;
        pass.uncovered += 1.0;
        float best = 0.0f;
        for (std::size_t p : pass.covering) best = std::max(best, row[p]);
        if (best <= BlockMixture::fair)
          pass.covering.push_back(static_cast<std::size_t>(std::max_element(row, row + n_columns()) - row));
      }
    }
  }

  // A chunk's part of the model, in panels of 16 blocks.
  template <typename T, typename Scale, typename Accumulate>
  void add_model(std::size_t from, std::size_t to, std::size_t s, Scale scale, Accumulate accumulate, double* gradient,
                 arma::mat& H) {
    constexpr std::size_t at_a_time = 16;
    const std::vector<float> ones(simd::lanes, 1.0f);
    const std::size_t width = H.n_cols;  // s, and columns of zeros up to a whole number of tiles
    Buffer<T> scaled(at_a_time * simd::lanes * width);
    std::vector<const float*> columns;
    for (; from < to; from += at_a_time) {
      const std::size_t n = std::min(at_a_time, to - from);
      for (std::size_t i = 0; i < n; ++i) {
        double ratio[simd::lanes];
        mixture_.ratios(block_of(from + i), u_.data() + (from + i) * simd::lanes, ratio, true);
        columns_of(from + i, columns);
        columns.resize(s, ones.data());
        scale(s, columns.data(), ratio, n * simd::lanes, scaled.data() + i * simd::lanes, gradient);
      }
      std::fill(scaled.data() + s * n * simd::lanes, scaled.data() + width * n * simd::lanes, T(0));
      accumulate(n * simd::lanes, width, scaled.data(), H.memptr());
      executor_.checkpoint();
    }
  }

  LikelihoodSource& source_;
  Executor& executor_;
  const simd::KernelTable& kernels_;
  BlockMixture mixture_;
  double n_effects_ = 0.0;
  int n_levels_ = 1;
  // the level
  std::size_t stride_ = 1, n_blocks_ = 0, blocks_per_chunk_ = 1, n_chunks_ = 0;
  double level_effects_ = 0.0;
  Buffer<double> u_, v_;  // L x and L d, by effect
  std::vector<Held> support_;
  ColumnPool pool_;
};

}  // namespace covmash
