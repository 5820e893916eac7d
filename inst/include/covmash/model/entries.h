#pragma once
// Estimates and standard errors as they are given: what is wrong with them, and what the model reads in their place.
// J effects x R conditions; each function is one pass, O(J R), and O(J) memory at most.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "../base/executor.h"
#include "effects.h"

namespace covmash {

struct EntryOptions {
  double zero = 0.0;                                             // up to this, a standard error is none
  double shat_for_both = 0.0, shat_for_zero = 0.0;               // in place of one, where the estimate is 0 too, and not
  double alpha = 0.0;                                            // effects b / s^alpha have errors s^(1 - alpha)
  double missing = std::numeric_limits<double>::quiet_NaN();     // what stands for a missing number
  bool (*is_missing)(double) = [](double x) { return std::isnan(x); };  // tells it from what is not a number
};

// How many entries are of a kind, and the first of them in the order of the matrix.
struct EntryCount {
  std::size_t count = 0, first = 0;

  void add(std::size_t entry) {
    if (count++ == 0) first = entry;
  }
  // Those of later entries.
  void add(const EntryCount& later) {
    if (count == 0) first = later.first;
    count += later.count;
  }
};

enum class EntryKind {
  bhat_not_a_number,  // not finite, and not missing
  shat_not_a_number,
  shat_missing,  // where the estimate is there
  shat_negative,
  both_zero,
  shat_zero,
  unobserved,  // no estimate, or one with an infinite standard error
  shat_unused  // a standard error of 0 where there is no estimate
};
constexpr std::size_t n_entry_kinds = 8;
using EntryCounts = std::array<EntryCount, n_entry_kinds>;

namespace detail {

constexpr std::size_t entries_a_task = std::size_t(1) << 17;

template <class Work>
void for_entries(std::size_t n, double operations, Executor& executor, const Work& work) {
  const std::size_t n_tasks = (n + entries_a_task - 1) / entries_a_task;
  executor.run(n_tasks, operations * static_cast<double>(n), [&](std::size_t task, std::size_t) {
    const std::size_t from = task * entries_a_task;
    work(task, from, std::min(n, from + entries_a_task));
  });
}

inline void count_entry(double b, double s, std::size_t at, const EntryOptions& options, EntryCounts& counts) {
  const auto add = [&](EntryKind kind) { counts[static_cast<std::size_t>(kind)].add(at); };
  const bool no_estimate = std::isnan(b) && options.is_missing(b);
  if (!no_estimate && !std::isfinite(b)) add(EntryKind::bhat_not_a_number);
  if (no_estimate || std::isinf(s)) add(EntryKind::unobserved);
  if (std::isnan(s)) {
    if (!options.is_missing(s)) add(EntryKind::shat_not_a_number);
    if (!no_estimate && options.is_missing(s)) add(EntryKind::shat_missing);
    return;
  }
  if (s < 0.0) add(EntryKind::shat_negative);
  if (s > options.zero) return;
  if (no_estimate) {
    add(EntryKind::shat_unused);
  } else {
    add(std::fabs(b) <= options.zero ? EntryKind::both_zero : EntryKind::shat_zero);
  }
}

}  // namespace detail

inline EntryCounts count_entries(const Effects& e, const EntryOptions& options, Executor& executor) {
  const std::size_t n = e.n_effects * e.n_conditions;
  std::vector<EntryCounts> parts((n + detail::entries_a_task - 1) / detail::entries_a_task);
  const double zero = options.zero;
  detail::for_entries(n, 2.0, executor, [&](std::size_t task, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      // What nearly all are.
      if (std::isfinite(e.bhat[i]) && e.shat[i] > zero && std::isfinite(e.shat[i])) continue;
      detail::count_entry(e.bhat[i], e.shat[i], i, options, parts[task]);
    }
  });
  EntryCounts counts{};
  for (const EntryCounts& part : parts)
    for (std::size_t k = 0; k < n_entry_kinds; ++k) counts[k].add(part[k]);
  return counts;
}

// The effects b / s^alpha, their errors s^(1 - alpha), and s^alpha (if that is not null); arrays of the size of e's, or e's
// own. What is unobserved is missing in the first two.
inline void scale_entries(const Effects& e, const EntryOptions& options, double* bhat, double* shat,
                          double* shat_alpha, Executor& executor) {
  // As R's own power is taken.
  const auto power = [](double x, double p) { return p == 2.0 ? x * x : std::pow(x, p); };
  const double alpha = options.alpha;
  detail::for_entries(e.n_effects * e.n_conditions, alpha == 0.0 ? 3.0 : 100.0, executor,
                      [&](std::size_t, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      const double b = e.bhat[i];
      double s = e.shat[i];
      const bool no_estimate = std::isnan(b), unscaled = !std::isfinite(s) || (no_estimate && s <= options.zero);
      if (s <= options.zero) s = std::fabs(b) <= options.zero ? options.shat_for_both : options.shat_for_zero;
      const double scale = alpha == 0.0 ? 1.0 : unscaled ? options.missing : power(s, alpha);
      const bool unobserved = no_estimate || unscaled;
      bhat[i] = unobserved ? options.missing : alpha == 0.0 ? b : b / scale;
      shat[i] = unobserved ? options.missing : alpha == 0.0 ? s : power(s, 1.0 - alpha);
      if (shat_alpha) shat_alpha[i] = scale;
    }
  });
}

// The rows in which nothing is observed.
inline std::vector<std::size_t> empty_rows(const Effects& e, Executor& executor) {
  std::vector<unsigned char> seen(e.n_effects, 0);
  for (std::size_t r = 0; r < e.n_conditions; ++r) {
    const double* b = e.bhat + r * e.n_effects;
    for (std::size_t j = 0; j < e.n_effects; ++j) seen[j] |= static_cast<unsigned char>(!std::isnan(b[j]));
    executor.checkpoint();
  }
  std::vector<std::size_t> rows;
  for (std::size_t j = 0; j < e.n_effects; ++j)
    if (!seen[j]) rows.push_back(j);
  return rows;
}

}  // namespace covmash
