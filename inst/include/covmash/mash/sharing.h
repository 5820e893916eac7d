#pragma once
// How far effects are shared between pairs of conditions, in expectation: over the effects that count for a pair, the mean
// probability that its two effects have the same sign and are within a factor f of one another. Both are positive and
// within it where X = b_i - f b_j and Y = b_j - f b_i are positive, and both negative where X and Y are negative: under a
// component two opposite quadrants of a normal pair, which have one integral in common (Gauss and Legendre's rule, in
// float: error 1e-6). Components whose weights together are below 1e-6 are left out. Sums are kept in fixed point, so that they do not depend on how effects are shared out.
// O(R^2) a component with weight, 10 ns a pair and component.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../base/error.h"
#include "../base/normal.h"
#include "../simd/dispatch.h"
#include "joint.h"

namespace covmash {

// P(same sign, and within the factor f < 1 of one another) of a normal pair with these means and covariances.
inline double pair_agreement(double f, double mean_i, double mean_j, double var_i, double var_j, double cov) {
  const double x = mean_i - f * mean_j, y = mean_j - f * mean_i;
  const double var_x = var_i + f * f * var_j - 2.0 * f * cov, var_y = var_j + f * f * var_i - 2.0 * f * cov;
  const double size_x = var_i + f * f * var_j, size_y = var_j + f * f * var_i;
  constexpr double rounding = 1e-14;
  const bool fixed_x = var_x <= rounding * size_x, fixed_y = var_y <= rounding * size_y;
  if (fixed_x && fixed_y) return x * y > 0.0 ? 1.0 : 0.0;
  if (fixed_x) return x == 0.0 ? 0.0 : normal_cdf((x > 0.0 ? y : -y) / std::sqrt(var_y));
  if (fixed_y) return y == 0.0 ? 0.0 : normal_cdf((y > 0.0 ? x : -x) / std::sqrt(var_x));
  const double a = x / std::sqrt(var_x), b = y / std::sqrt(var_y);
  const double r = ((1.0 + f * f) * cov - f * (var_i + var_j)) / std::sqrt(var_x * var_y);
  const double clamped = std::min(std::max(r, -1.0), 1.0);
  return normal_quadrant(-a, -b, clamped) + normal_quadrant(a, b, clamped);
}

class ExpectedSharing final : public JointQuestion {
 public:
  // counts: J x R, column-major; 2: an effect that makes it count for the condition's pairs, 1: one that may be the other of
  // a pair, 0: in no pair. weights: of the effects, from 0 to 1.
  ExpectedSharing(std::size_t n_effects, std::size_t n_conditions, const int* counts, const double* weights,
                  double factor, std::size_t workers)
      : n_effects_(n_effects),
        R_(n_conditions),
        counts_(counts),
        weights_(weights),
        factor_(factor),
        workers_(workers) {
    require(factor >= 0.0 && factor <= 1.0, "the factor must be from 0 to 1");
    // As many digits as a sum over all effects leaves room for.
    int bits = 0;
    while ((std::size_t(1) << bits) <= n_effects_) ++bits;
    unit_ = std::ldexp(1.0, 61 - bits);
  }

  bool wants_covariance() const override { return true; }

  void effect(std::size_t j, const std::vector<JointPart>& parts, std::size_t worker) const override {
    Scratch& s = workers_[worker];
    s.order.clear();
    const auto count = [&](std::size_t r) { return counts_[r * n_effects_ + j]; };
    for (const int kind : {2, 1}) {
      for (std::size_t r = 0; r < R_; ++r)
        if (count(r) == kind) s.order.push_back(r);
      if (kind == 2) {
        s.leading = s.order.size();
        if (s.leading == 0) return;
      }
    }
    const std::size_t n = s.order.size();
    s.shared.assign(n * n, 0.0);
    // The likeliest first, until what is left cannot matter.
    s.by_weight.clear();
    for (const JointPart& part : parts) s.by_weight.push_back(&part);
    std::stable_sort(s.by_weight.begin(), s.by_weight.end(),
                     [](const JointPart* a, const JointPart* b) { return a->weight > b->weight; });
    double left = 0.0;
    while (!s.by_weight.empty() && left + s.by_weight.back()->weight <= negligible) {
      left += s.by_weight.back()->weight;
      s.by_weight.pop_back();
    }
    for (const JointPart* part : s.by_weight) add(*part, s);
    if (s.sums.empty()) {
      s.sums.assign(R_ * R_, 0);
      s.totals.assign(R_ * R_, 0);
    }
    const std::int64_t whole = fixed(weights_[j]);
    for (std::size_t a = 0; a < s.leading; ++a)
      for (std::size_t b = a + 1; b < n; ++b) {
        const std::size_t at = s.order[a] * R_ + s.order[b];
        s.sums[at] += fixed(weights_[j] * std::min(s.shared[a * n + b], 1.0));
        s.totals[at] += whole;
      }
  }

  // R x R, symmetric: the mean, `none` for a pair that no effect counts for, and 1 on the diagonal.
  void result(double none, double* out) const {
    for (std::size_t i = 0; i < R_; ++i)
      for (std::size_t k = i; k < R_; ++k) {
        std::int64_t sum = 0, total = 0;
        for (const Scratch& s : workers_)
          if (!s.sums.empty()) {
            sum += s.sums[i * R_ + k] + s.sums[k * R_ + i];
            total += s.totals[i * R_ + k] + s.totals[k * R_ + i];
          }
        const double mean = i == k ? 1.0 : total == 0 ? none : static_cast<double>(sum) / static_cast<double>(total);
        out[i * R_ + k] = out[k * R_ + i] = mean;
      }
  }

 private:
  static constexpr double negligible = 1e-6;  // weight of components, in all

  struct Scratch {
    std::vector<const JointPart*> by_weight;
    std::vector<std::size_t> order, live;  // conditions, those that make the effect count first; positions in it
    std::size_t leading = 0;
    std::vector<double> shared, mean, variance, covariance;  // shared: of pairs of positions
    std::vector<float> agreement;
    std::vector<std::int64_t> sums, totals;  // R x R, in either order of a pair
  };

  std::int64_t fixed(double x) const { return std::llround(x * unit_); }

  void add(const JointPart& part, Scratch& s) const {
    if (!part.Y) return;
    const std::size_t n = s.order.size();
    s.live.clear();
    for (std::size_t a = 0; a < n; ++a)
      if (!part.zero_at(s.order[a])) s.live.push_back(a);
    const std::size_t m = s.live.size();
    if (part.Y->n_cols == 1) {  // the ratio is what it is
      for (std::size_t a = 0; a < m && s.live[a] < s.leading; ++a)
        for (std::size_t b = a + 1; b < m; ++b) {
          const double x = part.Y->at(s.order[s.live[a]], 0), y = part.Y->at(s.order[s.live[b]], 0);
          if (x * y > 0.0 && std::fabs(x) > factor_ * std::fabs(y) && std::fabs(y) > factor_ * std::fabs(x))
            s.shared[s.live[a] * n + s.live[b]] += part.weight;
        }
      return;
    }
    const std::size_t padded = m + 16;  // the loops read whole registers
    for (auto* v : {&s.mean, &s.variance, &s.covariance}) v->assign(padded, 1.0);
    s.agreement.resize(padded);
    for (std::size_t a = 0; a < m; ++a) {
      const std::size_t r = s.order[s.live[a]];
      s.mean[a] = part.mean[r];
      s.variance[a] = (*part.variance)[r];
    }
    const simd::KernelTable& kernels = simd::kernels();
    for (std::size_t a = 0; a + 1 < m && s.live[a] < s.leading; ++a) {
      const double* column = part.covariance->colptr(s.order[s.live[a]]);
      for (std::size_t b = a + 1; b < m; ++b) s.covariance[b] = column[s.order[s.live[b]]];
      kernels.pair_agreements(m - a - 1, factor_, s.mean[a], s.variance[a], s.mean.data() + a + 1,
                              s.variance.data() + a + 1, s.covariance.data() + a + 1, s.agreement.data() + a + 1);
      double* shared = s.shared.data() + s.live[a] * n;
      for (std::size_t b = a + 1; b < m; ++b) {
        double p = s.agreement[b];
        if (p < 0.0) p = pair_agreement(factor_, s.mean[a], s.mean[b], s.variance[a], s.variance[b], s.covariance[b]);
        shared[s.live[b]] += part.weight * p;
      }
    }
  }

  std::size_t n_effects_, R_;
  const int* counts_;
  const double* weights_;
  double factor_, unit_;
  mutable std::vector<Scratch> workers_;
};

}  // namespace covmash
