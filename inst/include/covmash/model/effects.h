#pragma once
// Summary statistics as the core reads them: J effects in R conditions, column-major, borrowed.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace covmash {

// Summary statistics, column-major J x R; a missing effect has bhat = NaN. Borrowed, never changed.
struct Effects {
  const double* bhat = nullptr;
  const double* shat = nullptr;
  std::size_t n_effects = 0;
  std::size_t n_conditions = 0;

  bool observed(std::size_t j, std::size_t r) const { return !std::isnan(bhat[r * n_effects + j]); }
  double b(std::size_t j, std::size_t r) const { return bhat[r * n_effects + j]; }
  double s(std::size_t j, std::size_t r) const { return shat[r * n_effects + j]; }
};

// What the grid of effect sizes is chosen from: the smallest standard error of an estimate, and the largest
// bhat^2 - shat^2. Infinite and -infinite if there is no estimate. O(J R).
struct EffectRange {
  double smallest_shat = std::numeric_limits<double>::infinity();
  double largest_excess = -std::numeric_limits<double>::infinity();
};

inline EffectRange effect_range(const Effects& e) {
  EffectRange range;
  for (std::size_t i = 0; i < e.n_effects * e.n_conditions; ++i) {
    const double b = e.bhat[i], s = e.shat[i];
    if (std::isnan(b) || !(s > 0.0) || !std::isfinite(s)) continue;
    range.smallest_shat = std::min(range.smallest_shat, s);
    range.largest_excess = std::max(range.largest_excess, b * b - s * s);
  }
  return range;
}

// What is wrong with an entry.
enum class Unusable { nothing, bhat, shat, magnitude };

// The first entry that cannot be computed with. An observed estimate needs a positive standard error; beyond
// `largest_magnitude`, squares and squared z-scores are no numbers any more. A prior is as wide as the largest
// estimate for every effect, so it is the smallest standard error of all that its ratio to an estimate counts. O(J R).
struct UnusableEntry {
  Unusable problem = Unusable::nothing;
  std::size_t entry = 0;  // in the order of the matrix
};

constexpr double largest_magnitude = 1e150;

inline UnusableEntry first_unusable(const Effects& e) {
  const std::size_t n = e.n_effects * e.n_conditions;
  double largest_bhat = 0.0, smallest_shat = std::numeric_limits<double>::infinity();
  std::size_t at_largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double b = std::fabs(e.bhat[i]), s = e.shat[i];
    if (std::isnan(b)) continue;
    if (std::isinf(b)) return {Unusable::bhat, i};
    if (!(s > 0.0 && std::isfinite(s))) return {Unusable::shat, i};
    if (b > largest_magnitude || s > largest_magnitude || s < 1.0 / largest_magnitude) return {Unusable::magnitude, i};
    if (b > largest_bhat) {
      largest_bhat = b;
      at_largest = i;
    }
    smallest_shat = std::min(smallest_shat, s);
  }
  if (largest_bhat > largest_magnitude * smallest_shat) return {Unusable::magnitude, at_largest};
  return {};
}

}  // namespace covmash
