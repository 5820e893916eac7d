#pragma once
// Whitening: M^-1 of the noise V = M M', M = diag(s) chol(C_OO)', applied to covariance factors and to effects.
//
//   a group      G = M_0^-1 F once for all its effects; an effect of noise c^2 V_0 is z = M_0^-1 bhat / c
//   an effect    with noise of its own: a pack of effects side by side in the lanes of a register, unobserved conditions
//                as rows of zeros
//
// A new kind of noise (contrasts, an array of V) is a whitener more; what follows on it does not change. O(R) a number of
// bhat or F where the errors are independent, O(R^2) where not.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <string>
#include <vector>

#include "../base/buffer.h"
#include "../base/constants.h"
#include "../base/error.h"
#include "../model/noise.h"
#include "../simd/dispatch.h"
#include "plan.h"

namespace covmash {

// M_0^-1 F on the observed conditions of a group.
inline arma::mat whiten(const arma::mat& F, const SharedNoise& noise, Executor* executor = nullptr) {
  const auto& observed = noise.observed();
  arma::mat G(observed.size(), F.n_cols);
  for (std::size_t r = 0; r < observed.size(); ++r) G.row(r) = F.row(observed[r]) / noise.direction[r];
  if (!noise.pattern->identity) G = solve_lower(noise.pattern->chol, G, executor);
  return G;
}

// The effects of a block, whitened.
struct WhitenedBlock {
  Block block{Form::row, 0, 0, 0};
  double inverse_c[block_effects], inverse_c2[block_effects];
  double constant[block_effects];  // log-density at z = 0: -|O| log(2 pi) / 2 - log |M|
  bool one_factor = false;         // spectral: all effects share c
  Buffer<double> z;                // [condition * 64 + lane]; spectral: observed conditions only
  // by packs: [pack][condition][lane of the pack]; chol packed by rows, inverse diagonal, null where C = I
  Buffer<double> inverse_shat, pack_z, chol;
  bool packed = false;
  Buffer<double> scratch;
};

// What the kernels need to whiten covariance factors for the lanes of one register.
struct PackNoise {
  const double *inverse_shat, *chol;
};

class Whitener {
 public:
  Whitener(const NoiseModel& noise, const Plan& plan, Executor* executor = nullptr)
      : kernels_(simd::kernels()), noise_(noise), plan_(plan), executor_(executor) {
    const std::size_t R = noise.effects().n_conditions;
    complete_chol_.resize(R * (R + 1) / 2);
    const std::vector<unsigned char> all(R, 1);
    if (plan.has(Form::row) && noise.common_correlation() && !noise.identity() &&
        !embedded_cholesky(noise.correlation(), all.data(), complete_chol_.data(), &complete_log_det_,
                           noise.ill_conditioned(), executor))
      throw input_error("V is not positive definite");
  }

  void load(const Block& block, WhitenedBlock& w) const {
    w.block = block;
    w.packed = block.form == Form::row;
    if (block.form == Form::row)
      load_effects(block, w);
    else
      load_groups(block, w);
  }

  PackNoise noise_of(std::size_t pack, const WhitenedBlock& w) const {
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width;
    return {w.inverse_shat.data() + pack * R * W,
            noise_.identity() ? nullptr : w.chol.data() + pack * (R * (R + 1) / 2) * W};
  }

  // A block of shared noise by packs, if the errors are independent.
  void pack(WhitenedBlock& w) const {
    if (std::exchange(w.packed, true)) return;
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width;
    double* inverse_shat = w.inverse_shat.require_size(R * simd::lanes);
    double* z = w.pack_z.require_size(R * simd::lanes);
    std::fill(inverse_shat, inverse_shat + R * simd::lanes, 0.0);
    std::fill(z, z + R * simd::lanes, 0.0);
    const bool compact = w.block.form == Form::spectral;
    for (const Segment& s : plan_.segments(w.block)) {
      const SharedNoise& group = noise_.shared()[s.group];
      for (std::size_t i = 0; i < group.observed().size(); ++i) {
        const std::size_t r = group.observed()[i];
        for (std::size_t lane = s.lane; lane < s.end(); ++lane) {
          const std::size_t at = lane / W * R * W + r * W + lane % W;
          inverse_shat[at] = w.inverse_c[lane] / group.direction[i];
          z[at] = w.z[(compact ? i : r) * simd::lanes + lane];
        }
      }
    }
  }

  // M_0^-1 of up to W groups, one a lane; the lanes left over repeat the last. Buffers of R and R (R + 1) / 2 packs.
  PackNoise noise_of_groups(const std::size_t* groups, std::size_t n, Buffer<double>& inverse_shat,
                            Buffer<double>& chol) const {
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width, packed = R * (R + 1) / 2;
    double* inverse = inverse_shat.require_size(R * W);
    std::fill(inverse, inverse + R * W, 0.0);
    double* factor = noise_.identity() ? nullptr : chol.require_size(packed * W);
    if (factor) std::fill(factor, factor + packed * W, 0.0);
    for (std::size_t lane = 0; lane < W; ++lane) {
      const SharedNoise& group = noise_.shared()[groups[std::min(lane, n - 1)]];
      const auto& observed = group.observed();
      for (std::size_t i = 0; i < observed.size(); ++i) inverse[observed[i] * W + lane] = 1.0 / group.direction[i];
      if (!factor) continue;
      const arma::mat& L = group.pattern->chol;
      for (std::size_t r = 0; r < R; ++r) factor[(r * (r + 1) / 2 + r) * W + lane] = 1.0;
      if (group.pattern->identity) continue;
      for (std::size_t i = 0; i < observed.size(); ++i) {
        const std::size_t row = observed[i] * (observed[i] + 1) / 2;
        for (std::size_t j = 0; j < i; ++j) factor[(row + observed[j]) * W + lane] = L(i, j);
        factor[(row + observed[i]) * W + lane] = 1.0 / L(i, i);
      }
    }
    return {inverse, factor};
  }

 private:
  void load_groups(const Block& block, WhitenedBlock& w) const {
    const Effects& e = noise_.effects();
    const bool compact = block.form == Form::spectral;
    const auto segments = plan_.segments(block);
    const std::size_t rows = compact ? noise_.shared()[segments[0].group].observed().size() : e.n_conditions;
    double* z = w.z.require_size(rows * simd::lanes);
    if (!compact) std::fill(z, z + rows * simd::lanes, 0.0);
    w.one_factor = false;
    for (const Segment& s : segments) {
      const SharedNoise& noise = noise_.shared()[s.group];
      const auto& observed = noise.observed();
      const std::size_t m = observed.size(), from = s.lane, to = s.end();
      std::size_t index[block_effects];
      double log_factor = 0.0, last = 0.0;
      w.one_factor = compact && noise.factor[s.begin] == noise.factor[s.begin + s.count - 1];
      for (std::size_t lane = from; lane < to; ++lane) {
        const std::size_t i = s.begin + std::min<std::size_t>(lane - from, s.count - 1u);
        index[lane] = noise.effects[i];
        const double c = noise.factor[i];
        if (c != last) log_factor = std::log(c);
        last = c;
        w.inverse_c[lane] = 1.0 / c;
        w.inverse_c2[lane] = w.inverse_c[lane] * w.inverse_c[lane];
        w.constant[lane] = -log_sqrt_2pi * static_cast<double>(m) - noise.log_det - static_cast<double>(m) * log_factor;
      }
      const bool solve = !noise.pattern->identity;
      double* target = solve && !compact ? w.scratch.require_size(m * simd::lanes) : z;
      for (std::size_t r = 0; r < m; ++r) {
        const double* column = e.bhat + observed[r] * e.n_effects;
        const double scale = 1.0 / noise.direction[r];
        double* out = target + (compact || solve ? r : observed[r]) * simd::lanes;
        for (std::size_t lane = from; lane < to; ++lane) out[lane] = column[index[lane]] * scale * w.inverse_c[lane];
      }
      if (!solve) continue;
      // chol is lower and column-major; the kernel wants rows, which are the columns of its transpose
      const arma::mat by_rows = noise.pattern->chol.t();
      kernels_.solve_lower_lanes(m, by_rows.memptr(), target, from, s.end(kernels_.width));
      for (std::size_t r = 0; r < m; ++r)  // lanes beyond whole registers
        std::fill(target + r * simd::lanes + std::min(s.end(kernels_.width), to), target + r * simd::lanes + to,
                  target[r * simd::lanes + from + s.count - 1]);
      if (compact) continue;
      for (std::size_t r = 0; r < m; ++r)
        std::copy(target + r * simd::lanes + from, target + r * simd::lanes + to, z + observed[r] * simd::lanes + from);
    }
  }

  // Noise of each effect's own.
  void load_effects(const Block& block, WhitenedBlock& w) const {
    const Effects& e = noise_.effects();
    const std::size_t R = e.n_conditions, W = kernels_.width, packed = R * (R + 1) / 2;
    double* inverse_shat = w.inverse_shat.require_size(R * simd::lanes);
    double* z = w.pack_z.require_size(R * simd::lanes);
    double* logs = w.scratch.require_size(R * simd::lanes);
    double* chol = noise_.identity() ? nullptr : w.chol.require_size(packed * simd::lanes);
    std::vector<unsigned char> observed(R);
    std::vector<double> own(packed);
    arma::mat own_C;
    std::size_t rows[block_effects];
    plan_.rows(block, rows);
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
      const std::size_t j = rows[lane];
      const std::size_t at = lane / W * R * W + lane % W;
      std::size_t n_observed = 0;
      for (std::size_t r = 0; r < R; ++r) {
        observed[r] = e.observed(j, r);
        n_observed += observed[r];
        const double s = observed[r] ? e.s(j, r) : 1.0;
        inverse_shat[at + r * W] = observed[r] ? 1.0 / s : 0.0;
        z[at + r * W] = observed[r] ? e.b(j, r) / s : 0.0;
        logs[r * simd::lanes + lane] = s;
      }
      double log_det = 0.0;
      if (chol) {
        const double* factor = complete_chol_.data();
        log_det = complete_log_det_;
        if (n_observed < R || !noise_.common_correlation()) {
          if (!noise_.common_correlation()) own_C = noise_.correlation_of(j);
          const arma::mat& C = noise_.common_correlation() ? noise_.correlation() : own_C;
          if (!embedded_cholesky(C, observed.data(), own.data(), &log_det, noise_.ill_conditioned(), executor_))
            throw input_error("V is not positive definite on the observed conditions of effect " +
                              std::to_string(j + 1));
          factor = own.data();
        }
        double* target = chol + lane / W * packed * W + lane % W;
        for (std::size_t i = 0; i < packed; ++i) target[i * W] = factor[i];
        const double* row = factor;
        for (std::size_t r = 0; r < R; ++r) {
          double x = z[at + r * W];
          for (std::size_t c = 0; c < r; ++c) x -= row[c] * z[at + c * W];
          z[at + r * W] = x * row[r];
          row += r + 1;
        }
      }
      w.constant[lane] = -log_sqrt_2pi * static_cast<double>(n_observed) - log_det;
    }
    kernels_.logarithms(R * simd::lanes, logs, logs);
    for (std::size_t r = 0; r < R; ++r)
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) w.constant[lane] -= logs[r * simd::lanes + lane];
  }

  const simd::KernelTable& kernels_;
  const NoiseModel& noise_;
  const Plan& plan_;
  Executor* executor_;
  std::vector<double> complete_chol_;
  double complete_log_det_ = 0.0;
};

}  // namespace covmash
