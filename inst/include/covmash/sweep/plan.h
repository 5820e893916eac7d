#pragma once
// Which form the covariances take for which effects, and the blocks of 64 effects in which they are computed. Every
// constant that chooses a path stands here.
//
//   spectral   one decomposition M^-1 F = Q diag(sigma) W' of a noise group and covariance, kept for all its effects
//              (diagonalise.h). A scale costs q multiply-adds an effect, but the decomposition as much as 200 of the
//              effects' own bidiagonal forms: for very large groups, and where an effect's result must not depend on how
//              many others share its noise.
//   grouped    one bidiagonal form M^-1 F = Q B W' of a group and covariance, several groups in the lanes of a register,
//              made when a block needs it. A scale costs 3 q multiply-adds an effect. From some four effects on.
//   row        a bidiagonal form of each effect's own, that starts at the effect.
//
// A covariance of low rank with a diagonal part (absorbs()) takes the row-specific way where its diagonal part can join the
// noise and that is cheaper, with 128 conditions and more under any noise.
//
// The plan depends on the noise and on the whole prior, never on the components that are asked for: a component has the
// same bits whichever others are evaluated with it. It does depend on how many effects share their noise: for given
// weights the results of a subset of the effects agree with those of all to about 1e-12 where the subset takes another
// path, and are the same bits where it does not. O(J + groups x covariances).

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../model/noise.h"
#include "../model/prior.h"
#include "../simd/lanes.h"

namespace covmash {

enum class Form { spectral, grouped, row };

// Effects [begin, begin + count) of a group, or of the row-specific effects, in the lanes from `lane` on; the lanes up to
// the next segment repeat the last effect. Kernels run over whole registers, which may reach into the lanes of the next
// segment, whose turn comes after, but never beyond the block.
struct Segment {
  std::size_t group;
  std::size_t begin;
  unsigned char lane, count, width;  // width: lanes up to the next segment

  std::size_t end() const { return static_cast<std::size_t>(lane) + width; }
  // Where kernels over registers of so many lanes end.
  std::size_t end(std::size_t lanes) const {
    const std::size_t whole = std::max(lanes, alignment);
    return lane + (count + whole - 1) / whole * whole;
  }

  static constexpr std::size_t alignment = 4;  // where segments begin: loads across cache lines cost a fourth more
};

struct Block {
  Form form;
  std::size_t first_segment;
  std::size_t n_segments;
  std::uint64_t lanes;  // bit i: lane i holds an effect; the others repeat one
};

namespace path {

// The lanes of the widest instruction set: whole registers of it must fit where a segment ends.
constexpr std::size_t octet = 8;

// From so many conditions on, the diagonal part of a covariance joins shared noise too: a projection of R^2 numbers and a
// decomposition of R^3 flops for each group cost more.
constexpr std::size_t absorb_shared_from = 128;

// Whether the diagonal part of a covariance joins row-specific noise: one small decomposition a scale in place of a large
// one. About 4 R q^2 flops and R divisions a scale against 8/3 R^3, for some twenty scales.
inline bool absorbs(const Covariance& U, bool independent_errors) {
  if (!independent_errors || !U.has_diagonal()) return false;
  const std::size_t R = U.factor.n_rows, q = U.factor.n_cols;
  return q == 0 || (R >= 12 && 24 * q * q <= R * R);
}

// Forms that are kept take some 10 R^2 numbers a group and covariance: no more than the data for groups of this size.
constexpr double smallest_kept = 256.0;

// Where C is so ill-conditioned that a bidiagonal form costs digits, groups are spectral from this size on, and smaller
// ones are left to the forms of their effects, which start at the effect and keep more.
constexpr std::size_t smallest_ill_conditioned = 32;

// Data that are read in segments have a dictionary of the noises that so many of their effects share. To know all smaller
// groups of them too, every effect's noise would have to be kept; they are row-specific there.
constexpr std::size_t smallest_in_dictionary = 32;

// Rough costs of one covariance in nanoseconds, measured with registers of four numbers at R = 5, 8, 20 and 44; only their
// ratios matter.
struct Cost {
  double form = 0.0;    // once for a group
  double effect = 0.0;  // for each effect
};

// Whitening and bidiagonal form of an R x q factor, several in the lanes of a register.
inline double bidiagonal_form(double R, double q, bool independent_errors) {
  const double solve = independent_errors ? 0.0 : 0.1 * R * R * q;
  return solve + (q <= 1.0 ? 1.5 * R : 0.13 * R * q * std::min(R, q) + 1.5 * R * q);
}

inline Cost cost(Form form, const Covariance& U, bool independent_errors, std::size_t n_scales) {
  const double R = static_cast<double>(U.conditions()), L = static_cast<double>(n_scales);
  const double low = static_cast<double>(U.factor.n_cols);
  const double q = low + (U.has_diagonal() ? R : 0.0);
  const double per_scale = 8.0;  // with the exponential and the mixture weights
  switch (form) {
    case Form::row:
      if (absorbs(U, independent_errors)) return {0.0, L * (1.5 * R * (low + 1.0) + 2.0 * per_scale)};
      return {0.0, bidiagonal_form(R, q, independent_errors) + L * (per_scale + 0.7 * q)};
    case Form::grouped:  // the form is also copied out of the register, and factorised at every scale
      return {700.0 + 1.5 * bidiagonal_form(R, q, independent_errors) + 6.0 * L * q,
              0.08 * R * q + L * (per_scale + 0.25 * q)};
    default:
      return {300.0 + (q <= 1.0 ? 5.0 * R : 60.0 * R * q * std::min(R, q)), 0.1 * R * q + L * (per_scale + 0.15 * q)};
  }
}

}  // namespace path

// From how many effects on a group has a bidiagonal form, and a spectral one.
struct GroupSizes {
  static constexpr std::size_t never = std::size_t(1) << 40;
  std::size_t grouped = never, spectral = never;
};

// The cheapest ones for a prior.
inline GroupSizes cheapest_sizes(const NoiseModel& noise, const MixturePrior& prior, const Selection& everything) {
  if (noise.ill_conditioned()) return {GroupSizes::never, path::smallest_ill_conditioned};
  path::Cost row, grouped, spectral;
  for (const auto& chosen : everything.covariances) {
    if (chosen.zero()) continue;
    const Covariance& U = prior.covariances[chosen.index];
    for (auto [form, sum] : {std::make_pair(Form::row, &row), std::make_pair(Form::grouped, &grouped),
                             std::make_pair(Form::spectral, &spectral)}) {
      const path::Cost c = path::cost(form, U, noise.identity(), chosen.scales.size());
      sum->form += c.form;
      sum->effect += c.effect;
    }
  }
  GroupSizes sizes;
  for (std::size_t n = 2; n <= 1024 && sizes.grouped == GroupSizes::never; ++n) {
    const double lanes = static_cast<double>((n + 3) / 4 * 4);  // half a register costs as much as a whole one
    if (grouped.form + lanes * grouped.effect < static_cast<double>(n) * row.effect) sizes.grouped = n;
  }
  const bool has_grouped = sizes.grouped < GroupSizes::never;
  const double gain = (has_grouped ? grouped : row).effect - spectral.effect;
  const double once = spectral.form - (has_grouped ? grouped.form : 0.0);
  if (gain > 0.0)
    sizes.spectral = static_cast<std::size_t>(std::min(std::max(once / gain, path::smallest_kept), 1e9)) + 1;
  return sizes;
}

class Plan {
 public:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  // noise and prior must outlive the plan; everything: all components of the prior.
  Plan(const NoiseModel& noise, const MixturePrior& prior, const Selection& everything)
      : Plan(noise, prior, cheapest_sizes(noise, prior, everything)) {}

  Plan(const NoiseModel& noise, const MixturePrior& prior, const GroupSizes& sizes) : noise_(noise), sizes_(sizes) {
    for (const Covariance& U : prior.covariances) absorbs_.push_back(path::absorbs(U, noise.identity()));
    sort_groups();
    cut();
  }

  const std::vector<Block>& blocks() const { return blocks_; }
  Span<Segment> segments(const Block& b) const { return {segments_.data() + b.first_segment, b.n_segments}; }
  bool has(Form form) const { return n_effects_[static_cast<std::size_t>(form)] > 0; }
  // Share of the effects in blocks of a form.
  double share(Form form) const {
    const double all = static_cast<double>(n_effects_[0] + n_effects_[1] + n_effects_[2]);
    return all > 0.0 ? static_cast<double>(n_effects_[static_cast<std::size_t>(form)]) / all : 0.0;
  }

  // The groups of each form, and where among them a group is.
  const std::vector<std::size_t>& spectral_groups() const { return spectral_; }
  const std::vector<std::size_t>& grouped() const { return grouped_; }
  std::size_t position(std::size_t group) const { return position_[group]; }
  const GroupSizes& sizes() const { return sizes_; }

  // Whether the diagonal part of covariance k joins the noise, for row-specific noise and for all.
  bool absorbs(std::size_t k) const { return absorbs_[k]; }
  bool absorbs_shared(std::size_t k) const {
    return absorbs_[k] && noise_.effects().n_conditions >= path::absorb_shared_from;
  }

  // The effects of a segment.
  const std::size_t* effects(const Segment& s) const {
    return (s.group == none ? row_effects_ : noise_.shared()[s.group].effects).begin() + s.begin;
  }

  // The effects of a block by lane.
  void rows(const Block& block, std::size_t* rows) const {
    for (const Segment& s : segments(block)) {
      const std::size_t* members = effects(s);
      for (std::size_t i = 0; i < s.width; ++i) rows[s.lane + i] = members[std::min<std::size_t>(i, s.count - 1u)];
    }
  }

 private:
  void sort_groups() {
    const auto& groups = noise_.shared();
    position_.assign(groups.size(), none);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const std::size_t n = groups[g].count;
      // Effects that are complete with one Shat are always spectral, so that any subset of them gives the same bits.
      if (groups[g].simple || n >= sizes_.spectral) {
        position_[g] = spectral_.size();
        spectral_.push_back(g);
      } else if (n >= sizes_.grouped) {
        position_[g] = grouped_.size();
        grouped_.push_back(g);
      } else {
        dissolved_.insert(dissolved_.end(), groups[g].effects.begin(), groups[g].effects.end());
      }
    }
    const auto& own = noise_.row_specific();
    if (!dissolved_.empty()) {
      dissolved_.insert(dissolved_.end(), own.begin(), own.end());
      std::sort(dissolved_.begin(), dissolved_.end());
      row_effects_ = {dissolved_.data(), dissolved_.size()};
    } else {
      row_effects_ = {own.data(), own.size()};
    }
  }

  void add_block(Form form) { blocks_.push_back({form, segments_.size(), 0, 0}); }

  void add_segment(std::size_t group, std::size_t begin, std::size_t lane, std::size_t count, std::size_t width) {
    segments_.push_back({group, begin, static_cast<unsigned char>(lane), static_cast<unsigned char>(count),
                         static_cast<unsigned char>(width)});
    ++blocks_.back().n_segments;
    blocks_.back().lanes |= first_lanes(count) << lane;
    n_effects_[static_cast<std::size_t>(blocks_.back().form)] += count;
  }

  void cut() {
    const auto whole_blocks = [this](Form form, std::size_t group, std::size_t n) {
      for (std::size_t from = 0; from < n; from += block_effects) {
        add_block(form);
        add_segment(group, from, 0, std::min(block_effects, n - from), block_effects);
      }
    };
    for (std::size_t g : spectral_) whole_blocks(Form::spectral, g, noise_.shared()[g].effects.size());
    std::size_t lane = block_effects;  // the next free one
    const auto fill_last = [&] {
      if (!segments_.empty() && blocks_.back().form == Form::grouped)
        segments_.back().width = static_cast<unsigned char>(block_effects - segments_.back().lane);
    };
    for (std::size_t g : grouped_) {
      const std::size_t n = noise_.shared()[g].effects.size();
      for (std::size_t from = 0; from < n;) {
        if (lane + path::octet > block_effects) {
          fill_last();
          add_block(Form::grouped);
          lane = 0;
        }
        const std::size_t count = std::min((block_effects - lane) / path::octet * path::octet, n - from);
        const std::size_t width = (count + Segment::alignment - 1) / Segment::alignment * Segment::alignment;
        add_segment(g, from, lane, count, width);
        from += count;
        lane += width;
      }
    }
    fill_last();
    whole_blocks(Form::row, none, row_effects_.size());
  }

  const NoiseModel& noise_;
  std::vector<unsigned char> absorbs_;
  GroupSizes sizes_;
  std::vector<std::size_t> spectral_, grouped_, position_, dissolved_;
  Span<std::size_t> row_effects_;
  std::vector<Block> blocks_;
  std::vector<Segment> segments_;
  std::array<std::size_t, 3> n_effects_ = {0, 0, 0};
};

}  // namespace covmash
