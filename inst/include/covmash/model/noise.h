#pragma once
// The noise of every effect, grouped so that effects with the same noise share what is computed from it.
//
// V_j = S_j C S_j on the observed conditions O of effect j. Effects with the same O and proportional Shat rows,
// Shat_j = c_j s_0, share M_0 = diag(s_0) chol(C_OO)' up to the scalar c_j. Every set of at least two such effects is a
// group, and so are the effects that are complete with one Shat in all conditions (z-scores, exchangeable effects),
// however few; effects that match nobody have noise of their own, and effects with nothing observed are in no group. What
// a group is used for is decided by those who compute (sweep/plan.h, deconvolution/expectation.h). Where C differs between
// effects (correlation.h), it is the same for a group, and has to be shared by two. Cost O(J R) plus a sort of the effects,
// and one Cholesky factor a pattern of observed conditions and C.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/cholesky.h"
#include "correlation.h"
#include "effects.h"
#include "noise_keys.h"

namespace covmash {

// A run of values that somebody else owns.
template <typename T>
struct Span {
  const T* first = nullptr;
  std::size_t count = 0;

  std::size_t size() const { return count; }
  bool empty() const { return count == 0; }
  const T* begin() const { return first; }
  const T* end() const { return first + count; }
  const T& front() const { return first[0]; }
  const T& back() const { return first[count - 1]; }
  const T& operator[](std::size_t i) const { return first[i]; }
};

// The conditions that are observed together.
struct NoisePattern {
  std::vector<std::size_t> observed;
  std::size_t kind = 0;   // of C
  arma::mat chol;         // lower, chol(C_OO)'
  bool identity = false;  // C_OO = I: no solve
};

struct SharedNoise {
  Span<std::size_t> effects;  // sorted by factor, then index
  Span<double> factor;        // c_j, in the order of effects
  const NoisePattern* pattern = nullptr;
  const double* direction = nullptr;  // s_0 on the observed conditions
  double log_det = 0.0;               // log |M_0|
  std::size_t lowest = 0;             // first effect of the data: the order of the groups
  std::size_t count = 0;              // how many effects of all data share it
  std::size_t known = 0;              // its place in the dictionary, if there is one; simple: after all others
  bool simple = false;                // complete, one Shat

  const std::vector<std::size_t>& observed() const { return pattern->observed; }
  bool one_factor() const { return factor.front() == factor.back(); }
};

// Cholesky factor of C with unobserved conditions replaced by the identity, packed by rows, inverse diagonal: the row-
// specific kernels skip missing conditions by multiplying with zero. `accurate` for an ill-conditioned C.
inline bool embedded_cholesky(const arma::mat& C, const unsigned char* observed, double* packed, double* log_det,
                              bool accurate = false, Executor* executor = nullptr) {
  const std::size_t R = C.n_rows;
  *log_det = 0.0;
  if (accurate) {
    arma::mat embedded = C;
    for (std::size_t r = 0; r < R; ++r) {
      if (observed[r]) continue;
      embedded.row(r).zeros();
      embedded.col(r).zeros();
      embedded(r, r) = 1.0;
    }
    std::vector<double> factor;
    if (!accurate_cholesky(embedded, factor, executor)) return false;
    std::copy(factor.begin(), factor.end(), packed);
    for (std::size_t r = 0, diagonal = 0; r < R; ++r, diagonal += r + 1) {
      *log_det += std::log(packed[diagonal]);
      packed[diagonal] = 1.0 / packed[diagonal];
    }
    return true;
  }
  return cholesky(
      R, R, packed_rows(packed),
      [&](std::size_t r, std::size_t c) { return observed[r] && observed[c] ? C(r, c) : (r == c ? 1.0 : 0.0); },
      by_reciprocal,
      [&](std::size_t r, double a, double& d) {
        if (r % 64 == 63) covmash::checkpoint(executor);
        if (!(a > 0.0)) return false;
        *log_det += 0.5 * std::log(a);
        d = 1.0 / std::sqrt(a);
        return true;
      });
}

class NoiseModel {
 public:
  // executor: lets interrupts through, for grouping ten million effects takes seconds. dictionary: the groups there are, in
  // place of those that the effects make among themselves; how an effect is computed depends then on no other effect.
  NoiseModel(const Effects& effects, ErrorCorrelation correlation, Executor* executor = nullptr,
             const NoiseDictionary* dictionary = nullptr)
      : effects_(effects), correlation_(std::move(correlation)), executor_(executor) {
    require(correlation_.conditions() == effects.n_conditions, "V must have one row and one column for each condition");
    if (correlation_.common()) {
      const arma::mat& C = correlation_.matrix();
      require(C.n_cols == effects.n_conditions, "V must have one row and one column for each condition");
      identity_ = C.is_diagmat() && arma::all(C.diag() == 1.0);
      ill_conditioned_ = !C.is_diagmat() && covmash::ill_conditioned(C, executor);
    }
    if (dictionary)
      group(*dictionary);
    else
      group();
  }

  NoiseModel(const Effects& effects, const arma::mat& C, Executor* executor = nullptr)
      : NoiseModel(effects, ErrorCorrelation(C), executor) {}

  // The groups point into the model.
  NoiseModel(const NoiseModel&) = delete;
  NoiseModel& operator=(const NoiseModel&) = delete;

  const Effects& effects() const { return effects_; }
  bool common_correlation() const { return correlation_.common(); }
  const arma::mat& correlation() const { return correlation_.matrix(); }
  arma::mat correlation_of(std::size_t j) const { return correlation_.of_kind(correlation_.kind(j)); }
  bool identity() const { return identity_; }
  bool ill_conditioned() const { return ill_conditioned_; }
  const std::vector<SharedNoise>& shared() const { return shared_; }
  const std::vector<std::size_t>& row_specific() const { return row_specific_; }
  const std::vector<std::size_t>& all_missing() const { return all_missing_; }
  std::size_t n_patterns() const { return n_patterns_; }
  std::size_t n_missing() const { return n_missing_; }
  std::size_t n_known() const { return n_known_; }  // noises in the dictionary
  std::size_t n_observed_effects() const { return effects_.n_effects - all_missing_.size(); }

  // What is observed of one effect, for those with noise of their own.
  NoisePattern pattern_of_effect(std::size_t j) const {
    NoisePattern pattern;
    for (std::size_t r = 0; r < effects_.n_conditions; ++r)
      if (effects_.observed(j, r)) pattern.observed.push_back(r);
    pattern.kind = correlation_.kind(j);
    factorise(pattern);
    return pattern;
  }

  // One noise covariance for every effect, nothing missing.
  bool common() const {
    return shared_.size() == 1 && row_specific_.empty() && all_missing_.empty() && n_missing_ == 0 &&
           shared_[0].one_factor();
  }

 private:
  void checkpoint() const {
    if (executor_) executor_->checkpoint();
  }

  bool matches(std::size_t j, std::size_t first, const NoiseKeys& keys) const {
    const auto shat = [&](std::size_t r) {
      return effects_.observed(first, r) ? effects_.s(first, r) : std::numeric_limits<double>::quiet_NaN();
    };
    return correlation_.kind(j) == correlation_.kind(first) &&
           same_noise(effects_, j, keys.scale[j], shat, keys.scale[first]);
  }

  // The effects with something observed, in the order of the data.
  std::vector<std::size_t> observed_effects(const NoiseKeys& keys) {
    std::vector<std::size_t> order;
    order.reserve(effects_.n_effects);
    n_missing_ = keys.n_missing;
    for (std::size_t j = 0; j < effects_.n_effects; ++j) (keys.scale[j] == 0.0 ? all_missing_ : order).push_back(j);
    count_patterns(keys.pattern, order);
    checkpoint();
    return order;
  }

  // Groups of effects that share their noise with another one at hand.
  void group() {
    const NoiseKeys keys(effects_, correlation_, executor_);
    std::vector<std::size_t> order = observed_effects(keys);
    const std::vector<std::uint64_t>& key = keys.key;
    const std::vector<unsigned char>& simple = keys.simple;
    const bool one_key =
        std::all_of(order.begin(), order.end(), [&](std::size_t j) { return key[j] == key[order[0]]; });
    checkpoint();
    std::size_t comparisons = 0;
    if (!one_key)
      std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
        if (++comparisons % 65536 == 0) checkpoint();
        return key[i] < key[j];
      });

    effects_of_groups_.reserve(order.size());
    std::vector<Run> runs;
    std::vector<std::size_t> members;
    for (std::size_t from = 0, to; from < order.size(); from = to) {
      const std::size_t first = order[from];
      for (to = from; to < order.size() && key[order[to]] == key[first];) ++to;
      if (to - from == 1 && !simple[first]) {
        row_specific_.push_back(first);
        continue;
      }
      // Two that differ and yet have one key are rare; whom they differ from is on his own then.
      members.clear();
      for (std::size_t i = from; i < to; ++i) {
        const std::size_t j = order[i];
        if ((simple[j] && simple[first]) || matches(j, first, keys))
          members.push_back(j);
        else
          row_specific_.push_back(j);
      }
      if (members.size() == 1 && !simple[first]) {
        row_specific_.push_back(first);
        continue;
      }
      const double of_first = keys.scale[first];
      const auto direction = [this, first, of_first](std::size_t r) { return effects_.s(first, r) / of_first; };
      runs.push_back(run(members, keys, members.size(), 0, direction));
    }
    // In the order of the data, whatever the hash.
    std::sort(row_specific_.begin(), row_specific_.end());
    std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.lowest < b.lowest; });
    add_groups(runs, keys);
  }

  // Groups of effects whose noise is in a dictionary, in its order.
  void group(const NoiseDictionary& dictionary) {
    require(correlation_.common(), "a dictionary of noises needs one V for all effects");
    const NoiseKeys keys(effects_, correlation_, executor_);
    std::vector<std::size_t> simple;
    std::vector<std::vector<std::size_t>> members(dictionary.size());
    for (const std::size_t j : observed_effects(keys)) {
      const std::size_t entry = keys.simple[j] ? NoiseDictionary::none : dictionary.find(effects_, keys, j);
      (keys.simple[j] ? simple : entry == NoiseDictionary::none ? row_specific_ : members[entry]).push_back(j);
    }
    checkpoint();
    effects_of_groups_.reserve(effects_.n_effects);
    std::vector<Run> runs;
    n_known_ = dictionary.size();
    if (!simple.empty())
      runs.push_back(run(simple, keys, simple.size(), n_known_, [](std::size_t) { return 1.0; }));
    for (std::size_t g = 0; g < members.size(); ++g) {
      if (members[g].empty()) continue;
      const auto direction = [&dictionary, g](std::size_t r) { return dictionary.shat(g, r) / dictionary.scale(g); };
      runs.push_back(run(members[g], keys, dictionary.count(g), g, direction));
    }
    add_groups(runs, keys);
  }

  void count_patterns(const std::vector<std::uint64_t>& pattern, const std::vector<std::size_t>& order) {
    std::vector<std::uint64_t> seen;
    if (n_missing_ > 0 || !correlation_.common())
      for (std::size_t j : order) seen.push_back(pattern[j]);
    else if (!order.empty())
      seen.push_back(0);
    std::sort(seen.begin(), seen.end());
    n_patterns_ = std::unique(seen.begin(), seen.end()) - seen.begin();
  }

  // A group in effects_of_groups_.
  struct Run {
    std::size_t begin, size, lowest;
    std::size_t count;  // of all data
    std::size_t known;
    bool simple;
    std::function<double(std::size_t r)> direction;  // s_0
  };

  template <typename Direction>
  Run run(std::vector<std::size_t>& members, const NoiseKeys& keys, std::size_t count, std::size_t known,
          const Direction& direction) {
    const std::size_t lowest = members.front();
    sort_by_scale(members, keys.scale);
    const std::size_t begin = effects_of_groups_.size();
    effects_of_groups_.insert(effects_of_groups_.end(), members.begin(), members.end());
    return {begin, members.size(), lowest, count, known, keys.simple[lowest] != 0, direction};
  }

  static void sort_by_scale(std::vector<std::size_t>& members, const std::vector<double>& scale) {
    const auto uneven = [&](std::size_t j) { return scale[j] != scale[members[0]]; };
    if (std::any_of(members.begin(), members.end(), uneven))
      std::stable_sort(members.begin(), members.end(),
                       [&](std::size_t i, std::size_t j) { return scale[i] < scale[j]; });
  }

  void add_groups(const std::vector<Run>& runs, const NoiseKeys& keys) {
    checkpoint();
    effects_of_groups_.shrink_to_fit();
    factors_.reserve(effects_of_groups_.size());
    for (std::size_t j : effects_of_groups_) factors_.push_back(keys.scale[j]);
    std::size_t n_directions = 0;
    std::vector<const NoisePattern*> patterns;
    for (const Run& run : runs) {
      patterns.push_back(&pattern_of(run.lowest, keys.pattern[run.lowest]));
      n_directions += patterns.back()->observed.size();
    }
    directions_.reserve(n_directions);
    shared_.reserve(runs.size());
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const Run& run = runs[i];
      SharedNoise g;
      g.effects = {effects_of_groups_.data() + run.begin, run.size};
      g.factor = {factors_.data() + run.begin, run.size};
      g.pattern = patterns[i];
      g.direction = directions_.data() + directions_.size();
      g.lowest = run.lowest;
      g.count = run.count;
      g.known = run.known;
      g.simple = run.simple;
      const auto& observed = g.pattern->observed;
      for (std::size_t r = 0; r < observed.size(); ++r) {
        const double s = run.direction(observed[r]);
        directions_.push_back(s);
        g.log_det += std::log(s) + std::log(g.pattern->chol.is_empty() ? 1.0 : g.pattern->chol(r, r));
      }
      shared_.push_back(g);
    }
  }

  const NoisePattern& pattern_of(std::size_t j, std::uint64_t key) {
    std::vector<std::size_t> observed;
    for (std::size_t r = 0; r < effects_.n_conditions; ++r)
      if (effects_.observed(j, r)) observed.push_back(r);
    std::vector<std::size_t>& known = pattern_index_[key];
    const std::size_t kind = correlation_.kind(j);
    for (std::size_t i : known)
      if (patterns_[i].kind == kind && patterns_[i].observed == observed) return patterns_[i];
    known.push_back(patterns_.size());
    NoisePattern pattern;
    pattern.observed = std::move(observed);
    pattern.kind = kind;
    factorise(pattern);
    checkpoint();
    patterns_.push_back(std::move(pattern));
    return patterns_.back();
  }

  void factorise(NoisePattern& pattern) const {
    pattern.identity = identity_;
    if (identity_) return;
    arma::uvec index(pattern.observed.size());
    for (std::size_t r = 0; r < index.n_elem; ++r) index[r] = pattern.observed[r];
    const arma::mat C = correlation_.of_kind(pattern.kind).submat(index, index);
    pattern.identity = C.is_diagmat() && arma::all(C.diag() == 1.0);
    if (!pattern.identity && !factorise(C, pattern.chol)) throw input_error("V is not positive definite");
  }

  bool factorise(const arma::mat& C, arma::mat& lower) const {
    if (!ill_conditioned_) return lower_cholesky(lower, C, executor_);
    std::vector<double> packed;
    if (!accurate_cholesky(C, packed, executor_)) return false;
    lower.zeros(C.n_rows, C.n_cols);
    const double* entry = packed.data();
    for (arma::uword r = 0; r < C.n_rows; ++r)
      for (arma::uword c = 0; c <= r; ++c) lower(r, c) = *entry++;
    return true;
  }

  Effects effects_;
  ErrorCorrelation correlation_;
  Executor* executor_;
  bool identity_ = false, ill_conditioned_ = false;
  std::vector<SharedNoise> shared_;
  std::vector<std::size_t> row_specific_, all_missing_;
  std::deque<NoisePattern> patterns_;  // whose elements stay where they are
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> pattern_index_;
  std::vector<std::size_t> effects_of_groups_;
  std::vector<double> factors_, directions_;
  std::size_t n_patterns_ = 0, n_missing_ = 0, n_known_ = 0;
};

}  // namespace covmash
