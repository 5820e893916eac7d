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

}  // namespace covmash
