#pragma once
// The likelihoods that mixture weights are fitted to: float, scaled to maximum 1 in every effect, in blocks of 64
// effects, L[column * 64 + lane]. Either kept (4 J P bytes) or computed again by every pass that asks, which takes
// 64 P floats for each thread; both give the same bits. A flat likelihood, all of it between 1/2 and 1, is given as its
// difference from 1: floats would lose what is left to tell its columns apart.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/executor.h"
#include "../simd/lanes.h"
#include "likelihood.h"

namespace covmash {

class LikelihoodSource {
 public:
  virtual ~LikelihoodSource() = default;
  virtual std::size_t n_blocks() const = 0;
  virtual std::size_t n_columns() const = 0;
  // Bit i of a block: lane i has an effect. The other lanes are padding, with any finite numbers.
  virtual std::uint64_t lanes(std::size_t b) const = 0;
  // How often the effects of a block count, one number a lane; null where each counts once.
  virtual const double* effect_weights(std::size_t b) const = 0;
  // What has to be added to the numbers that are given: 0, or 1 for a flat likelihood.
  virtual double base() const = 0;
  // Operations a block costs beyond reading it.
  virtual double work_per_block() const = 0;
  virtual double work_to_gather(std::size_t n_columns) const = 0;

  // Before a pass of block() with that many workers.
  virtual void begin(std::size_t workers) = 0;
  // All columns of a block; valid until the worker asks for another.
  virtual const float* block(std::size_t b, std::size_t worker) = 0;
  // Before a pass of gather(), which copies the given columns of a block.
  //   alone = false: block() has been asked for the block before, and the columns are to be used with others
  //   alone = true:  the effects may be scaled by their maxima over these columns; only if gathers_alone(), that is,
  //                  if that is quick
  virtual void begin_gather(const std::vector<std::size_t>& columns, bool alone, Executor& executor) = 0;
  virtual bool gathers_alone() const = 0;
  virtual void gather(std::size_t b, std::size_t worker, float* const* target) = 0;
};

class StoredLikelihoods : public LikelihoodSource {
 public:
  // source: where columns alone come from; they have the same bits then as without storing. May be null.
  StoredLikelihoods(std::vector<std::uint64_t> lanes, std::size_t n_columns, LikelihoodSource* source = nullptr)
      : lanes_(std::move(lanes)), n_columns_(n_columns), source_(source) {
    values_.require_size(std::max<std::size_t>(lanes_.size(), 1) * n_columns * simd::lanes);
  }
  float* values(std::size_t b) { return values_.data() + b * n_columns_ * simd::lanes; }
  void set_base(double base) { base_ = base; }

  std::size_t n_blocks() const override { return lanes_.size(); }
  std::size_t n_columns() const override { return n_columns_; }
  std::uint64_t lanes(std::size_t b) const override { return lanes_[b]; }
  const double* effect_weights(std::size_t b) const override { return source_ ? source_->effect_weights(b) : nullptr; }
  double base() const override { return base_; }
  double work_per_block() const override { return 0.0; }
  double work_to_gather(std::size_t n) const override { return static_cast<double>(n * simd::lanes); }
  void begin(std::size_t) override {}
  const float* block(std::size_t b, std::size_t) override { return values(b); }
  bool gathers_alone() const override { return source_ && source_->gathers_alone(); }
  void begin_gather(const std::vector<std::size_t>& columns, bool alone, Executor& executor) override {
    alone_ = alone;
    gathered_ = columns;
    if (alone) source_->begin_gather(columns, true, executor);
  }
  void gather(std::size_t b, std::size_t worker, float* const* target) override {
    if (alone_) {
      source_->gather(b, worker, target);
      return;
    }
    for (std::size_t i = 0; i < gathered_.size(); ++i)
      std::memcpy(target[i], values(b) + gathered_[i] * simd::lanes, simd::lanes * sizeof(float));
  }

 private:
  std::vector<std::uint64_t> lanes_;
  std::size_t n_columns_;
  LikelihoodSource* source_;
  double base_ = 0.0;
  Buffer<float> values_;
  bool alone_ = false;
  std::vector<std::size_t> gathered_;
};

// Another source, and further effects after it, which count once.
class ExtendedLikelihoods : public LikelihoodSource {
 public:
  // effects: their likelihoods, n_columns() numbers each. source must outlive this.
  ExtendedLikelihoods(LikelihoodSource& source, const std::vector<float>& effects) : source_(source) {
    const std::size_t P = source.n_columns(), n = effects.size() / std::max<std::size_t>(P, 1);
    const std::size_t blocks = (n + simd::lanes - 1) / simd::lanes;
    values_.require_size(std::max<std::size_t>(blocks, 1) * P * simd::lanes);
    once_.assign(simd::lanes, 1.0);
    for (std::size_t b = 0; b < blocks; ++b) {
      lanes_.push_back(first_lanes(std::min<std::size_t>(simd::lanes, n - b * simd::lanes)));
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
        const float* row = effects.data() + std::min(b * simd::lanes + lane, n - 1) * P;
        for (std::size_t p = 0; p < P; ++p)
          values_[(b * P + p) * simd::lanes + lane] = row[p] - static_cast<float>(source.base());
      }
    }
  }

  std::size_t n_blocks() const override { return own() + lanes_.size(); }
  std::size_t n_columns() const override { return source_.n_columns(); }
  std::uint64_t lanes(std::size_t b) const override { return b < own() ? source_.lanes(b) : lanes_[b - own()]; }
  const double* effect_weights(std::size_t b) const override {
    return b < own() ? source_.effect_weights(b) : once_.data();
  }
  double base() const override { return source_.base(); }
  double work_per_block() const override { return source_.work_per_block(); }
  double work_to_gather(std::size_t n) const override { return source_.work_to_gather(n); }
  void begin(std::size_t workers) override { source_.begin(workers); }
  const float* block(std::size_t b, std::size_t worker) override {
    return b < own() ? source_.block(b, worker) : values(b);
  }
  bool gathers_alone() const override { return false; }
  void begin_gather(const std::vector<std::size_t>& columns, bool alone, Executor& executor) override {
    gathered_ = columns;
    source_.begin_gather(columns, alone, executor);
  }
  void gather(std::size_t b, std::size_t worker, float* const* target) override {
    if (b < own()) return source_.gather(b, worker, target);
    for (std::size_t i = 0; i < gathered_.size(); ++i)
      std::memcpy(target[i], values(b) + gathered_[i] * simd::lanes, simd::lanes * sizeof(float));
  }

 private:
  std::size_t own() const { return source_.n_blocks(); }
  const float* values(std::size_t b) const { return values_.data() + (b - own()) * n_columns() * simd::lanes; }

  LikelihoodSource& source_;
  std::vector<std::uint64_t> lanes_;
  std::vector<double> once_;
  Buffer<float> values_;
  std::vector<std::size_t> gathered_;
};

class ComputedLikelihoods : public LikelihoodSource {
 public:
  // noise and prior must outlive the source. store: of forms for noises of a dictionary.
  ComputedLikelihoods(const NoiseModel& noise, const MixturePrior& prior, Executor& executor,
                      SpectralStore* store = nullptr)
      : ComputedLikelihoods(noise, prior, Selection(prior), executor, store) {}

  ComputedLikelihoods(const NoiseModel& noise, const MixturePrior& prior, const Selection& everything,
                      Executor& executor, SpectralStore* store = nullptr)
      : noise_(noise),
        prior_(prior),
        plan_(noise, prior, everything),
        all_(noise, prior, plan_, everything, executor, store) {
    maxima_.require_size(std::max<std::size_t>(n_blocks(), 1) * simd::lanes);
  }

  // Counts effect j weights[j] times, before anything is asked for. One that does not count is padding.
  void weigh(const std::vector<double>& weights) {
    lanes_.assign(n_blocks(), 0);
    weights_.require_size(std::max<std::size_t>(n_blocks(), 1) * simd::lanes);
    std::size_t rows[block_effects];
    for (std::size_t b = 0; b < n_blocks(); ++b) {
      plan_.rows(plan_.blocks()[b], rows);
      for_each_lane(plan_.blocks()[b].lanes, [&](std::size_t lane) {
        weights_[b * simd::lanes + lane] = weights[rows[lane]];
        if (weights[rows[lane]] > 0.0) lanes_[b] |= std::uint64_t(1) << lane;
      });
    }
  }

  const Selection& selection() const { return all_.sweep.selection(); }
  std::size_t n_blocks() const override { return plan_.blocks().size(); }
  std::size_t n_columns() const override { return selection().size(); }
  std::uint64_t lanes(std::size_t b) const override { return lanes_.empty() ? plan_.blocks()[b].lanes : lanes_[b]; }
  const double* effect_weights(std::size_t b) const override {
    return lanes_.empty() ? nullptr : weights_.data() + b * simd::lanes;
  }
  double work_per_block() const override { return all_.sweep.work_per_block(); }
  double base() const override { return base_; }
  double work_to_gather(std::size_t n) const override {
    return work_per_block() * static_cast<double>(n) / static_cast<double>(std::max<std::size_t>(n_columns(), 1));
  }

  void begin(std::size_t workers) override {
    all_.prepare(workers);
    buffers_.resize(std::max(buffers_.size(), workers));
    for (auto& buffer : buffers_) buffer.require_size(n_columns() * simd::lanes);
  }

  const float* block(std::size_t b, std::size_t worker) override {
    evaluate(b, worker, buffers_[worker].data());
    return buffers_[worker].data();
  }

  // After begin(): a block's likelihoods into `out`.
  void evaluate(std::size_t b, std::size_t worker, float* out) {
    double* maximum = maxima_.data() + b * simd::lanes;
    find_maxima(all_, b, worker, maximum);
    relate(all_, worker, maximum, out);
  }

  bool gathers_alone() const override {
    return work_per_value() < 200.0 &&
           10.0 * all_.sweep.work_to_decompose() < work_per_block() * static_cast<double>(n_blocks());
  }
  double work_per_value() const {
    return work_per_block() / static_cast<double>(std::max<std::size_t>(n_columns(), 1) * simd::lanes);
  }

  // Decomposes again what the given columns need: their evaluation leaves out all others.
  void begin_gather(const std::vector<std::size_t>& columns, bool alone, Executor& executor) override {
    alone_ = alone;
    std::vector<unsigned char> wanted(prior_.n_components(), 0);
    for (std::size_t slot : columns) wanted[selection().component[slot]] = 1;
    some_ = std::make_unique<Evaluation>(noise_, prior_, plan_,
                                         Selection(prior_, [&](std::size_t p) { return wanted[p] != 0; }), executor);
    some_->prepare(executor.workers());
    some_buffers_.resize(executor.workers());
    const Selection& chosen = some_->sweep.selection();
    for (auto& buffer : some_buffers_) buffer.require_size(chosen.size() * simd::lanes);
    position_.clear();
    for (std::size_t slot : columns)
      position_.push_back(static_cast<std::size_t>(
          std::find(chosen.component.begin(), chosen.component.end(), selection().component[slot]) -
          chosen.component.begin()));
  }

  void gather(std::size_t b, std::size_t worker, float* const* target) override {
    float* values = some_buffers_[worker].data();
    double own[simd::lanes];
    find_maxima(*some_, b, worker, alone_ ? own : nullptr);
    relate(*some_, worker, alone_ ? own : maxima_.data() + b * simd::lanes, values);
    for (std::size_t i = 0; i < position_.size(); ++i)
      std::memcpy(target[i], values + position_[i] * simd::lanes, simd::lanes * sizeof(float));
  }

  // Looks whether the likelihood is flat: usually the first block is enough to know.
  void find_base(Executor& executor) {
    begin(1);
    for (std::size_t b = 0; b < n_blocks(); ++b) {
      if (!flat(b, block(b, 0))) return;
      executor.checkpoint();
    }
    base_ = 1.0;
  }

  // The base that another source, of a sample of the effects, has found.
  void set_base(double base) { base_ = base; }

  // Keeps them all; finds the base.
  std::unique_ptr<StoredLikelihoods> store(Executor& executor) {
    std::vector<std::uint64_t> real;
    for (std::size_t b = 0; b < n_blocks(); ++b) real.push_back(lanes(b));
    auto stored = std::make_unique<StoredLikelihoods>(std::move(real), n_columns(), this);
    fill(*stored, executor);
    std::size_t b = 0;
    while (b < n_blocks() && flat(b, stored->values(b))) ++b;
    if (b == n_blocks()) {
      base_ = 1.0;
      stored->set_base(base_);
      fill(*stored, executor);
    }
    return stored;
  }

  // Sum of the logarithms that were divided out; every block must have been asked for.
  double sum_of_maxima() const {
    double sum = 0.0;
    for (std::size_t b = 0; b < n_blocks(); ++b) {
      const double* weights = effect_weights(b);
      for_each_lane(lanes(b), [&](std::size_t lane) {
        sum += weights ? weights[lane] * maxima_[b * simd::lanes + lane] : maxima_[b * simd::lanes + lane];
      });
    }
    return sum;
  }

 private:
  struct Evaluation {
    Evaluation(const NoiseModel& noise, const MixturePrior& prior, const Plan& plan, Selection selection,
               Executor& executor, SpectralStore* store = nullptr)
        : sweep(noise, prior, plan, std::move(selection), executor, store) {}
    void prepare(std::size_t workers) {
      for (std::size_t i = workspaces.size(); i < workers; ++i) {
        workspaces.emplace_back();
        sweep.prepare(workspaces.back());
      }
    }
    Sweep sweep;
    std::vector<Workspace> workspaces;
  };

  void fill(StoredLikelihoods& stored, Executor& executor) {
    constexpr std::size_t per_task = 16;
    all_.prepare(executor.workers());
    executor.run((n_blocks() + per_task - 1) / per_task, work_per_block() * static_cast<double>(n_blocks()),
                 [&](std::size_t task, std::size_t worker) {
                   const std::size_t end = std::min(n_blocks(), (task + 1) * per_task);
                   for (std::size_t b = task * per_task; b < end; ++b) {
                     evaluate(b, worker, stored.values(b));
                     executor.checkpoint();
                   }
                 });
  }

  bool flat(std::size_t b, const float* values) const {
    for (std::uint64_t lane = 0; lane < simd::lanes; ++lane) {
      if (!(lanes(b) >> lane & 1)) continue;
      for (std::size_t p = 0; p < n_columns(); ++p)
        if (!(values[p * simd::lanes + lane] > 0.5f)) return false;
    }
    return true;
  }

  // Log-likelihoods of a block, and the maxima of its effects if asked for.
  void find_maxima(Evaluation& evaluation, std::size_t b, std::size_t worker, double* maximum) {
    Workspace& ws = evaluation.workspaces[worker];
    const Block& block = plan_.blocks()[b];
    evaluation.sweep.run(block, ws, LogLikelihoods());
    if (!maximum) return;
    evaluation.sweep.kernels().block_maximum(evaluation.sweep.selection().size(), ws.loglik.data(), nullptr, maximum, 0,
                                             simd::lanes);
    for_each_lane(block.lanes, [&](std::size_t lane) {
      if (std::isfinite(maximum[lane])) return;
      std::size_t rows[block_effects];
      plan_.rows(block, rows);
      throw numeric_error("the log-likelihood of effect " + std::to_string(rows[lane] + 1) +
                          " is not finite under any mixture component");
    });
  }

  void relate(Evaluation& evaluation, std::size_t worker, const double* maximum, float* out) const {
    if (base_ == 1.0) {
      const double* loglik = evaluation.workspaces[worker].loglik.data();
      for (std::size_t i = 0; i < evaluation.sweep.selection().size() * simd::lanes; ++i)
        out[i] = static_cast<float>(std::expm1(loglik[i] - maximum[i % simd::lanes]));
      return;
    }
    evaluation.sweep.kernels().relative_likelihood(evaluation.sweep.selection().size(),
                                                   evaluation.workspaces[worker].loglik.data(), maximum, out);
  }

  const NoiseModel& noise_;
  const MixturePrior& prior_;
  Plan plan_;
  Evaluation all_;
  std::unique_ptr<Evaluation> some_;
  std::vector<std::size_t> position_;
  bool alone_ = false;
  double base_ = 0.0;
  Buffer<double> maxima_;
  std::vector<std::uint64_t> lanes_;  // of effects that count; empty where all do, once
  Buffer<double> weights_;
  std::vector<Buffer<float>> buffers_, some_buffers_;
};

}  // namespace covmash
