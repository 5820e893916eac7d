#pragma once
// Estimates that look like placeholders of missing ones: exactly 0, with a standard error that no other estimate of the
// condition has or comes near to. J effects x R conditions; O(J R), and O(z log z) for the z zeros of a condition.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "../base/executor.h"
#include "effects.h"

namespace covmash {

struct PlaceholderOptions {
  double times_largest = 5.0, times_median = 20.0;  // of the nonzero estimates' standard errors
  std::size_t ties = 3;                             // zeros that share a standard error
  double zeros_a_nonzero = 10.0;                    // so many for each nonzero estimate that shares it too
};

namespace detail {

inline double median_of(std::vector<double>& x) {
  const auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
  std::nth_element(x.begin(), middle, x.end());
  return *middle;
}

// Standard errors, at or above the median, that many zeros share and few other estimates have; increasing.
inline std::vector<double> tied_zeros(std::vector<double>& of_zeros, const std::vector<double>& of_others,
                                      double median, const PlaceholderOptions& options) {
  std::sort(of_zeros.begin(), of_zeros.end());
  std::vector<double> shared;
  std::vector<std::size_t> zeros;
  for (auto from = of_zeros.begin(), to = from; from != of_zeros.end(); from = to) {
    to = std::upper_bound(from, of_zeros.end(), *from);
    const auto count = static_cast<std::size_t>(to - from);
    if (*from < median || count < options.ties) continue;
    shared.push_back(*from);
    zeros.push_back(count);
  }
  if (shared.empty()) return shared;
  std::vector<std::size_t> others(shared.size(), 0);
  for (double s : of_others) {
    const auto at = std::lower_bound(shared.begin(), shared.end(), s);
    if (at != shared.end() && *at == s) ++others[static_cast<std::size_t>(at - shared.begin())];
  }
  std::vector<double> tied;
  for (std::size_t i = 0; i < shared.size(); ++i) {
    const double allowed = std::max(1.0, static_cast<double>(zeros[i]) / options.zeros_a_nonzero);
    if (static_cast<double>(others[i]) <= allowed) tied.push_back(shared[i]);
  }
  return tied;
}

}  // namespace detail

// Positions in the order of the matrix, increasing.
inline std::vector<std::size_t> find_placeholders(const Effects& e,
                                                  const PlaceholderOptions& options = PlaceholderOptions(),
                                                  Executor* executor = nullptr) {
  const std::size_t J = e.n_effects;
  std::vector<std::size_t> found;
  // A condition whose estimates are all 0 is compared with the others.
  double largest_anywhere = 0.0;
  for (std::size_t i = 0; i < J * e.n_conditions; ++i)
    if (e.bhat[i] != 0.0 && !std::isnan(e.bhat[i]) && e.shat[i] > largest_anywhere) largest_anywhere = e.shat[i];
  if (largest_anywhere == 0.0) return found;

  std::vector<double> of_zeros, of_others;
  for (std::size_t r = 0; r < e.n_conditions; ++r) {
    const double* b = e.bhat + r * J;
    const double* s = e.shat + r * J;
    checkpoint(executor);
    if (std::find(b, b + J, 0.0) == b + J) continue;
    of_zeros.clear();
    of_others.clear();
    for (std::size_t j = 0; j < J; ++j) {
      if (std::isnan(b[j]) || !std::isfinite(s[j])) continue;
      (b[j] == 0.0 ? of_zeros : of_others).push_back(s[j]);
    }
    const bool alone = of_others.empty();
    const double largest = alone ? largest_anywhere : *std::max_element(of_others.begin(), of_others.end());
    const double median = alone ? largest_anywhere : detail::median_of(of_others);
    const double far = std::min(options.times_largest * largest, options.times_median * median);
    // Where all are 0 they may well share the standard error that all estimates have.
    const std::vector<double> tied =
        alone ? std::vector<double>() : detail::tied_zeros(of_zeros, of_others, median, options);
    // Zeros that share a standard error share the answer: most of them do.
    double known = -1.0;
    bool answer = false;
    for (std::size_t j = 0; j < J; ++j) {
      if (b[j] != 0.0 || !std::isfinite(s[j])) continue;
      if (s[j] != known) {
        known = s[j];
        answer = known >= far || std::binary_search(tied.begin(), tied.end(), known);
      }
      if (answer) found.push_back(r * J + j);
    }
  }
  return found;
}

}  // namespace covmash
