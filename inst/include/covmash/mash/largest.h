#pragma once
// In which condition an effect is largest in size: points of each component, the more the likelier it is, and the condition
// with the largest |b| of each; conditions that are tied share it. Exact for components of rank one. The points come from one
// table, the same for every effect. R conditions, rank q, n points: O(R q n) an effect, and a table of 6000 q numbers.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "../base/threefry.h"
#include "../simd/dispatch.h"
#include "joint.h"

namespace covmash {

struct LargestOptions {
  std::vector<std::size_t> include;  // conditions that are compared
  std::size_t points = 1600;         // of an effect, about
};

// probability: J x included conditions, column-major; none: that all of them are zero; error: four standard errors of the
// probability that is known least, and what was left out. J each.
struct LargestOutput {
  double *probability = nullptr, *none = nullptr, *error = nullptr;
};

class LargestCondition final : public JointQuestion {
 public:
  LargestCondition(std::size_t n_effects, std::size_t n_conditions, const LargestOptions& options,
                   const LargestOutput& out, std::size_t workers)
      : n_effects_(n_effects),
        options_(options),
        out_(out),
        batch_size_(n_conditions * simd::lanes),
        workers_(workers) {
    n_batches_ = options.points / simd::lanes + 65;
    table_.resize(n_batches_ * batch_size_);
    for (std::size_t b = 0; b < n_batches_; ++b)
      for (std::size_t c = 0; c < n_conditions; ++c)
        RandomStream(20240612 + b, c).normals(simd::lanes, table_.data() + b * batch_size_ + c * simd::lanes);
  }

  void effect(std::size_t j, const std::vector<JointPart>& parts, std::size_t worker) const override {
    Scratch& s = workers_[worker];
    const std::size_t m = options_.include.size();
    s.probability.assign(m, 0.0);
    s.variance.assign(m, 0.0);
    s.unknown = false;
    double none = 0.0, left_out = 0.0;
    const double small = negligible / static_cast<double>(parts.size());
    std::size_t batch = 0;
    for (const JointPart& part : parts) {
      s.live.clear();
      for (std::size_t i = 0; i < m; ++i)
        if (!part.zero_at(options_.include[i])) s.live.push_back(i);
      if (s.live.empty())
        none += part.weight;
      else if (s.live.size() == 1)
        s.probability[s.live[0]] += part.weight;
      else if (part.weight < small)
        left_out += part.weight;
      else
        compare(part, batch, s);
    }
    // The scale of an effect that was not observed may be unknown: then it cannot be compared.
    if (s.unknown) {
      for (std::size_t i = 0; i < m; ++i)
        out_.probability[i * n_effects_ + j] = std::numeric_limits<double>::quiet_NaN();
      out_.none[j] = out_.error[j] = std::numeric_limits<double>::quiet_NaN();
      return;
    }
    double variance = 0.0;
    for (std::size_t i = 0; i < m; ++i) {
      out_.probability[i * n_effects_ + j] = std::min(s.probability[i], 1.0);
      variance = std::max(variance, s.variance[i]);
    }
    out_.none[j] = std::min(none, 1.0);
    out_.error[j] = 4.0 * std::sqrt(variance) + left_out;
  }

 private:
  static constexpr double tied = 1e-9, negligible = 1e-3;

  struct Scratch {
    std::vector<std::size_t> live;  // conditions that a component may be nonzero in
    std::vector<double> probability, variance, rows, values, hits, size;
    bool unknown = false;
  };

  void compare(const JointPart& part, std::size_t& batch, Scratch& s) const {
    const std::size_t n = s.live.size(), q = part.Y->n_cols;
    s.rows.resize(n * q);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t c = 0; c < q; ++c) s.rows[i * q + c] = part.Y->at(options_.include[s.live[i]], c);
      s.unknown = s.unknown || std::isnan(s.rows[i * q]);
    }
    if (s.unknown) return;
    s.hits.assign(n, 0.0);
    s.size.resize(n);
    if (q == 1) {  // all points lie on one line through 0
      for (std::size_t i = 0; i < n; ++i) s.size[i] = std::fabs(s.rows[i]);
      count(s);
      for (std::size_t i = 0; i < n; ++i) s.probability[s.live[i]] += part.weight * s.hits[i];
      return;
    }
    s.values.resize(n * simd::lanes);
    const std::size_t batches =
        1 + static_cast<std::size_t>(part.weight * static_cast<double>(options_.points)) / simd::lanes;
    for (std::size_t b = 0; b < batches; ++b) {
      const double* points = table_.data() + (batch++ % n_batches_) * batch_size_;
      simd::kernels().multiply(n, q, s.rows.data(), points, s.values.data());
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
        for (std::size_t i = 0; i < n; ++i)
          s.size[i] = std::fabs(s.values[i * simd::lanes + lane] + part.mean[options_.include[s.live[i]]]);
        count(s);
      }
    }
    const double each = 1.0 / static_cast<double>(batches * simd::lanes);
    for (std::size_t i = 0; i < n; ++i) {
      const double p = s.hits[i] * each;
      s.probability[s.live[i]] += part.weight * p;
      // As if one more point had gone either way: no hit, or all hits, is not certainty.
      const double cautious = (s.hits[i] + 0.5) / (1.0 / each + 1.0);
      s.variance[s.live[i]] += part.weight * part.weight * cautious * (1.0 - cautious) * each;
    }
  }

  static void count(Scratch& s) {
    const double least = (1.0 - tied) * *std::max_element(s.size.begin(), s.size.end());
    std::size_t n = 0;
    for (double x : s.size) n += x >= least;
    for (std::size_t i = 0; i < s.size.size(); ++i)
      if (s.size[i] >= least) s.hits[i] += 1.0 / static_cast<double>(n);
  }

  std::size_t n_effects_;
  LargestOptions options_;
  LargestOutput out_;
  std::size_t batch_size_, n_batches_ = 0;
  std::vector<double> table_;  // batches of 64 points, each a row of 64 for every dimension
  mutable std::vector<Scratch> workers_;
};

}  // namespace covmash
