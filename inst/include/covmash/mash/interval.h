#pragma once
// Credible intervals of combinations of an effect's conditions: quantiles of their posteriors, each a mixture of normals
// and of a point mass at 0. A quantile is the root of the mixture's distribution function between the least and the
// largest quantile of its normals, by Newton steps kept inside a bracket; at the point mass it is 0. n normals: O(n) a
// step, about eight steps, to 1e-15 of the probability. The shortest interval that holds a probability: some 35 times as much.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "../base/normal.h"
#include "../simd/dispatch.h"
#include "joint.h"

namespace covmash {

// sum of weight N(mean, sd^2), sd > 0, and of zero at 0; the weights sum to 1 up to rounding.
struct UnivariateMixture {
  struct Term {
    double weight, mean, sd;
  };
  std::vector<Term> terms;
  double zero = 0.0;

  void clear() {
    terms.clear();
    zero = 0.0;
  }

  // The least x with P(X <= x) >= p, 0 < p < 1.
  double quantile(double p) const {
    double sum = 0.0, below = 0.0;
    for (const Term& t : terms) {
      sum += t.weight;
      below += t.weight * normal_cdf(-t.mean / t.sd);
    }
    const double wanted = p * (sum + zero);
    if (zero > 0.0 && wanted > below && wanted <= below + zero) return 0.0;
    if (terms.empty()) return 0.0;
    // Of the normals alone, from below or from above: the smaller tail is the exact one.
    const double lower = wanted <= below ? wanted : wanted - zero;
    return lower <= 0.5 * sum ? root(lower, sum, 1.0) : -root(sum - lower, sum, -1.0);
  }

  // Ends of the shortest interval that holds the probability `level`: lengths at 17 places, the best of them refined.
  void shortest(double level, double& lower, double& upper) const {
    const double room = 1.0 - level;
    const auto length = [&](double p) {
      lower = quantile(p);
      upper = quantile(p + level);
      return upper - lower;
    };
    constexpr int places = 17;
    const double step = room / (places + 1);
    double best = std::numeric_limits<double>::infinity(), at = 0.5 * room;
    for (int i = 1; i <= places; ++i) {
      const double l = length(i * step);
      if (l < best) {
        best = l;
        at = i * step;
      }
    }
    constexpr double golden = 0.61803398874989484820;
    double a = std::max(at - step, 1e-3 * step), b = std::min(at + step, room - 1e-3 * step);
    double x = b - golden * (b - a), y = a + golden * (b - a), at_x = length(x), at_y = length(y);
    for (int i = 0; i < 16; ++i) {
      if (at_x <= at_y) {
        b = y;
        y = x;
        at_y = at_x;
        x = b - golden * (b - a);
        at_x = length(x);
      } else {
        a = x;
        x = y;
        at_x = at_y;
        y = a + golden * (b - a);
        at_y = length(y);
      }
    }
    const double found = std::min(at_x, at_y);
    length(found < best ? (at_x <= at_y ? x : y) : at);
  }

 private:
  // x with sum weight Phi((x - side mean) / sd) = wanted, at most half of `sum`; the mixture mirrored if side is -1.
  double root(double wanted, double sum, double side) const {
    const double z = normal_quantile(wanted / sum);
    double low = std::numeric_limits<double>::infinity(), high = -low;
    const std::size_t n = terms.size(), padded = (n + simd_width - 1) / simd_width * simd_width;
    weight_.assign(padded, 0.0);
    mean_.assign(padded, 0.0);
    inverse_sd_.assign(padded, 1.0);
    for (std::size_t i = 0; i < n; ++i) {
      const Term& t = terms[i];
      weight_[i] = t.weight;
      mean_[i] = side * t.mean;
      inverse_sd_[i] = 1.0 / t.sd;
      const double x = mean_[i] + t.sd * z;
      low = std::min(low, x);
      high = std::max(high, x);
    }
    if (!(low < high)) return low;
    const simd::KernelTable& kernels = simd::kernels();
    double x = 0.5 * (low + high);
    for (int step = 0; step < 400; ++step) {
      double f[3];
      kernels.mixture_distribution(padded, weight_.data(), mean_.data(), inverse_sd_.data(), x, f);
      const double value = f[0] - wanted;
      (value < 0.0 ? low : high) = x;
      // As far as the distribution function is known, or x can be told.
      if (std::fabs(value) <= 4e-15 * wanted || high - low <= 4e-16 * std::fabs(x)) break;
      // Halley's step; Newton's where it would turn back.
      const double bend = 0.5 * value * f[2] / (f[1] * f[1]);
      x -= value / f[1] / (bend < 0.5 ? 1.0 - bend : 1.0);
      if (!(x > low && x < high)) x = 0.5 * (low + high);
    }
    return x;
  }

  static constexpr std::size_t simd_width = 8;  // the widest
  mutable std::vector<double> weight_, mean_, inverse_sd_;
};

struct IntervalOptions {
  double level = 0.95;
  bool shortest = false;  // else as much probability on either side
};

// lower, upper: J x Q, column-major.
class Intervals final : public JointQuestion {
 public:
  Intervals(std::size_t n_effects, const IntervalOptions& options, double* lower, double* upper, std::size_t workers)
      : n_effects_(n_effects), options_(options), lower_(lower), upper_(upper), mixtures_(workers) {}

  void effect(std::size_t j, const std::vector<JointPart>& parts, std::size_t worker) const override {
    UnivariateMixture& mixture = mixtures_[worker];
    for (std::size_t r = 0; r < parts[0].mean.n_elem; ++r) {
      mixture.clear();
      for (const JointPart& part : parts) {
        if (part.zero_at(r) || !((*part.variance)[r] > 0.0))
          mixture.zero += part.weight;
        else
          mixture.terms.push_back({part.weight, part.mean[r], std::sqrt((*part.variance)[r])});
      }
      double &lower = lower_[r * n_effects_ + j], &upper = upper_[r * n_effects_ + j];
      if (options_.shortest) {
        mixture.shortest(options_.level, lower, upper);
      } else {
        lower = mixture.quantile(0.5 * (1.0 - options_.level));
        upper = mixture.quantile(0.5 * (1.0 + options_.level));
      }
    }
  }

 private:
  std::size_t n_effects_;
  IntervalOptions options_;
  double *lower_, *upper_;
  mutable std::vector<UnivariateMixture> mixtures_;  // by worker
};

}  // namespace covmash
