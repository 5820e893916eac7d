#pragma once
// Kinds of effects for a sample that has enough of the rare ones: by the condition with the largest |bhat| / shat, and by
// how large that is. What likelihoods hinge on is in few effects, and a sample of all alike would miss them. O(J R).

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "effects.h"

namespace covmash {

struct Strata {
  static constexpr int none = -1;  // nothing observed
  std::vector<int> of;             // by effect, below size()
  std::size_t n_conditions;

  explicit Strata(const Effects& e) : of(e.n_effects, none), n_conditions(e.n_conditions) {
    std::vector<double> largest(e.n_effects, -1.0);
    std::vector<int> condition(e.n_effects, 0);
    for (std::size_t r = 0; r < e.n_conditions; ++r)
      for (std::size_t j = 0; j < e.n_effects; ++j) {
        if (!e.observed(j, r)) continue;
        const double z = std::fabs(e.b(j, r)) / e.s(j, r);
        if (z > largest[j]) {
          largest[j] = z;
          condition[j] = static_cast<int>(r);
        }
      }
    for (std::size_t j = 0; j < e.n_effects; ++j) {
      if (largest[j] < 0.0) continue;
      const auto size = std::upper_bound(edges().begin(), edges().end(), largest[j]) - edges().begin();
      // Small ones are alike in all conditions.
      of[j] = size == 0 ? 0 : static_cast<int>(1 + (size - 1) * static_cast<std::ptrdiff_t>(n_conditions)) + condition[j];
    }
  }

  std::size_t size() const { return 1 + edges().size() * n_conditions; }

 private:
  static const std::array<double, 11>& edges() {
    static const std::array<double, 11> e = {2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 40.0};
    return e;
  }
};

}  // namespace covmash
