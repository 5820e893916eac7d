#pragma once
// What tells the noises of effects apart, effect by effect: the pattern of observed conditions, and Shat up to a factor, in
// a key each; and a dictionary of noises, in which an effect finds its own whatever the other effects at hand.
//
// Effects with the same noise have the same key; two that differ can have one too, rarely, so what has the same key is to
// be compared. O(J R).

#include <armadillo>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "correlation.h"
#include "effects.h"

namespace covmash {

struct NoiseKeys {
  std::vector<double> scale;               // Shat in the first observed condition; 0 where nothing is observed
  std::vector<std::uint64_t> key, pattern;
  std::vector<unsigned char> simple;       // complete, one Shat
  std::size_t n_missing = 0;

  NoiseKeys(const Effects& e, const ErrorCorrelation& correlation, Executor* executor = nullptr)
      : scale(e.n_effects, 0.0),
        key(e.n_effects, 0),
        pattern(e.n_effects, 0),
        // A C of one's own is shared with nobody.
        simple(e.n_effects, correlation.common() ? 1 : 0) {
    for (std::size_t r = 0; r < e.n_conditions; ++r) {
      for (std::size_t j = 0; j < e.n_effects; ++j) {
        if (!e.observed(j, r)) {
          simple[j] = 0;
          ++n_missing;
          pattern[j] = mix(pattern[j], r + 1);
          continue;
        }
        const double s = e.s(j, r);
        if (scale[j] == 0.0) {
          scale[j] = s;
        } else if (s != scale[j]) {
          simple[j] = 0;
          float ratio = static_cast<float>(s / scale[j]);
          std::uint32_t bits;
          std::memcpy(&bits, &ratio, sizeof bits);
          key[j] = mix(key[j], (static_cast<std::uint64_t>(r) << 32) | bits);
        } else {
          key[j] = mix(key[j], r);
        }
      }
      checkpoint(executor);
    }
    for (std::size_t j = 0; j < e.n_effects; ++j) {
      if (!correlation.common()) pattern[j] = mix(pattern[j], correlation.kind(j) + 1);
      key[j] = mix(key[j], pattern[j]);
    }
  }

 private:
  static std::uint64_t mix(std::uint64_t h, std::uint64_t x) {
    h ^= x + 0x9e3779b97f4a7c15ULL + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdULL;
    return h ^ (h >> 33);
  }
};

// Whether effect j, whose first Shat is `scale`, has the noise of a representative up to a factor and rounding: shat(r) of
// the representative, NaN where it has none, `of` the first of them.
template <typename Shat>
inline bool same_noise(const Effects& e, std::size_t j, double scale, const Shat& shat, double of) {
  const double tolerance = 8.0 * std::numeric_limits<double>::epsilon();
  for (std::size_t r = 0; r < e.n_conditions; ++r) {
    const double s = shat(r);
    if (e.observed(j, r) == std::isnan(s)) return false;
    if (std::isnan(s)) continue;
    const double a = e.s(j, r) * of, b = s * scale;
    if (std::fabs(a - b) > tolerance * b) return false;
  }
  return true;
}

// Noises that many effects share, under one C. Those that are complete with one Shat need no entry.
class NoiseDictionary {
 public:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  NoiseDictionary() = default;
  // shat: of a representative of each noise, conditions x noises, NaN where nothing is observed; count: how many effects
  // of all data share it.
  NoiseDictionary(arma::mat shat, std::vector<std::size_t> count) : shat_(std::move(shat)), count_(std::move(count)) {
    require(shat_.n_cols == count_.size(), "the dictionary of noises must have one count for each noise");
    const arma::mat rows = shat_.t();
    Effects e;
    e.bhat = e.shat = rows.memptr();  // observed where there is a Shat
    e.n_effects = rows.n_rows;
    e.n_conditions = rows.n_cols;
    NoiseKeys keys(e, ErrorCorrelation(arma::mat(rows.n_cols, rows.n_cols, arma::fill::eye)));
    scale_ = std::move(keys.scale);
    for (std::size_t g = 0; g < count_.size(); ++g) entries_[keys.key[g]].push_back(g);
  }

  std::size_t size() const { return count_.size(); }
  std::size_t count(std::size_t entry) const { return count_[entry]; }
  double shat(std::size_t entry, std::size_t r) const { return shat_(r, entry); }
  double scale(std::size_t entry) const { return scale_[entry]; }

  // The entry that has the noise of an effect.
  std::size_t find(const Effects& e, const NoiseKeys& keys, std::size_t j) const {
    const auto at = entries_.find(keys.key[j]);
    if (at == entries_.end()) return none;
    for (const std::size_t g : at->second)
      if (same_noise(e, j, keys.scale[j], [&](std::size_t r) { return shat_(r, g); }, scale_[g])) return g;
    return none;
  }

 private:
  arma::mat shat_;
  std::vector<std::size_t> count_;
  std::vector<double> scale_;
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> entries_;
};

}  // namespace covmash
