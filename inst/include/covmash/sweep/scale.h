#pragma once
// What a form answers at scale w, for a block of 64 effects or a pack of them:
//
//   log-likelihood  const - 1/2 sum log(1 + w d) - 1/2 ( ||z - Q t||^2 + sum t^2 / (1 + w d) )
//   moments         mean F W diag( w sigma / (1 + w d) ) t, variance the diagonal of F W diag( w / (1 + w d) ) W'F'
//
// in the spectral form; by recurrence in the bidiagonal ones (simd/grouped.inc, simd/bidiagonal.inc). Each question is one
// function for each form; a new one (draws, covariances, EM moments) stands beside these. O(q) an effect and scale for the
// log-likelihood, O(R q) for the moments.

#include <algorithm>
#include <armadillo>
#include <vector>

#include "../base/buffer.h"
#include "../model/prior.h"
#include "../simd/dispatch.h"
#include "diagonalise.h"
#include "whiten.h"

namespace covmash {

// Where the mixture's moments are gathered: total weight by lane, moments [condition * 64 + lane]; and what it needs.
struct MomentSum {
  double* total = nullptr;
  simd::Moments at{};
  Buffer<double> coef, var, mean, variance, work;
};

// ---- spectral: tables of a covariance's scales, and what of a block is kept for the moments ------------------------

struct SpectralScales {
  Buffer<double> projected;  // Q'z, the explicit directions (all once complete() was called)
  Buffer<double> shrink, log_det, lane_shrink;
  Buffer<double> variance;
  std::vector<unsigned char> variance_known;

  // 1 / (1 + w d / c^2) and log-determinants, for effects that share c.
  void make_tables(const Spectral& u, double inverse_c2, const std::vector<double>& scales,
                   const simd::KernelTable& kernels) {
    const std::size_t n = scales.size();
    kernels.shared_tables(u.n_terms(), u.d.data(), u.repeat, inverse_c2, n, scales.data(),
                          shrink.require_size(n * u.n_terms()), log_det.require_size(n));
    variance_known.assign(n, 0);
  }
};

// Sums of squares that several covariances of a block need.
struct BlockSquares {
  Buffer<double> all, others, terms, fitted, log_det;
  bool know_others = false;
};

inline void spectral_loglik(const Spectral& u, const std::vector<double>& scales, const WhitenedBlock& w, std::size_t m,
                            SpectralScales& s, BlockSquares& squares, double* loglik,
                            const simd::KernelTable& kernels) {
  const std::size_t explicit_terms = u.explicit_terms, n = u.n_terms(), n_scales = scales.size();
  double* t = s.projected.require_size(std::max<std::size_t>(u.rank, 1) * simd::lanes);
  double* terms = squares.terms.require_size(n * simd::lanes);
  kernels.multiply(explicit_terms, m, u.projection.data(), w.z.data(), t);
  kernels.square(explicit_terms * simd::lanes, t, terms);
  if (u.axis >= 0 && u.has_rest) {
    if (!squares.know_others) kernels.exclusive_squares(m, w.z.data(), squares.others.require_size(m * simd::lanes));
    squares.know_others = true;
    const double* others = squares.others.data() + static_cast<std::size_t>(u.axis) * simd::lanes;
    std::copy(others, others + simd::lanes, terms + simd::lanes);
  } else if (explicit_terms == 0) {
    std::copy(squares.all.data(), squares.all.data() + simd::lanes, terms);
  } else if (u.has_rest) {
    double* fitted = squares.fitted.require_size(m * simd::lanes);
    kernels.multiply(m, explicit_terms, u.basis.data(), t, fitted);
    kernels.residual_squares(m, w.z.data(), fitted, terms + explicit_terms * simd::lanes);
  }
  if (w.one_factor) {
    kernels.shared_loglik(n, n_scales, s.shrink.data(), terms, w.constant, s.log_det.data(), loglik);
  } else {
    double* shrink = s.lane_shrink.require_size(n_scales * n * simd::lanes);
    double* log_det = squares.log_det.require_size(n_scales * simd::lanes);
    kernels.lane_tables(n, u.d.data(), u.repeat, w.inverse_c2, n_scales, scales.data(), shrink, log_det);
    kernels.lane_loglik(n, n_scales, shrink, terms, w.constant, log_det, loglik);
  }
}

// kept: which scales enter; rho: their weights, [scale * 64 + lane].
inline void spectral_moments(const Spectral& u, const Covariance& U, const std::vector<double>& scales,
                             const unsigned char* kept, const WhitenedBlock& w, std::size_t m, const double* rho,
                             SpectralScales& s, MomentSum& sum, const simd::KernelTable& kernels,
                             const Pulse& pulse = {}) {
  const std::size_t R = U.conditions(), q = u.rank, n = scales.size(), n_terms = u.n_terms();
  const bool by_lane = !w.one_factor;
  const double* shrink = by_lane ? s.lane_shrink.data() : s.shrink.data();
  const std::size_t stride = n_terms * (by_lane ? simd::lanes : 1);
  if (q == 0) {
    for (std::size_t l = 0; l < n; ++l) kernels.posterior_null(R, rho + l * simd::lanes, sum.total, sum.at);
    return;
  }
  if (q == 1) {
    kernels.posterior_rank1(R, u.back.data(), u.sigma[0], w.inverse_c, s.projected.data(), n, scales.data(), shrink,
                            n_terms, by_lane, rho, sum.total, sum.at);
    return;
  }
  if (u.explicit_terms < q)  // the projections on the directions that are not explicit
    kernels.multiply(q - u.explicit_terms, m, u.projection.data() + u.explicit_terms * m, w.z.data(),
                     s.projected.data() + u.explicit_terms * simd::lanes);
  double* coef = sum.coef.require_size(q * simd::lanes);
  double* var = sum.var.require_size(q * simd::lanes);
  double* table = s.variance.require_size(n * R);
  for (std::size_t l = 0; l < n; ++l) {
    if (!kept[l]) continue;
    pulse();
    const bool known = !by_lane && s.variance_known[l];
    kernels.eigenbasis_posterior(q, u.explicit_terms, u.sigma.data(), w.inverse_c, s.projected.data(), scales[l],
                                 shrink + l * stride, by_lane, coef, known ? nullptr : var);
    kernels.multiply(R, q, u.back.data(), coef, sum.mean.data());
    if (!known) kernels.multiply(R, q, u.back_squared.data(), var, sum.variance.data());
    if (!by_lane && !known) {
      for (std::size_t r = 0; r < R; ++r) table[l * R + r] = sum.variance[r * simd::lanes];
      s.variance_known[l] = 1;
    }
    kernels.posterior_full(R, U.zero_variance.data(), sum.mean.data(), by_lane ? sum.variance.data() : table + l * R,
                           by_lane, rho + l * simd::lanes, sum.total, sum.at);
  }
}

// ---- grouped: a segment of a block in the form of its group; rank 1 by lane, as for row-specific noise ---------------

// A block's effects in the coordinates of one covariance: Q'z (R x 64), and for rank 1 alpha, beta, zeta (64 each).
struct GroupProjection {
  Buffer<double> t, rest, alpha, beta, zeta;
};

// Of one segment; call before group_loglik().
inline void group_project(const GroupForms& f, std::size_t group, const Segment& segment, const WhitenedBlock& w,
                          GroupProjection& p, const simd::KernelTable& kernels) {
  const GroupForms::Group& g = f.groups[group];
  const std::size_t from = segment.lane, to = segment.end(kernels.width);
  if (f.q == 1) {
    kernels.group_vector(f.R, g.reflectors, w.inverse_c, w.z.data(), p.alpha.require_size(simd::lanes),
                         p.beta.require_size(simd::lanes), p.zeta.require_size(simd::lanes), from, to);
    return;
  }
  double* t = p.t.require_size(f.R * simd::lanes);
  double* rest = p.rest.require_size(simd::lanes);
  for (std::size_t r = 0; r < f.R; ++r)
    std::copy(w.z.data() + r * simd::lanes + from, w.z.data() + r * simd::lanes + to, t + r * simd::lanes + from);
  kernels.group_reflect(f.R, std::min(f.q, f.R - 1), g.reflectors, g.left_tau, t, from, to);
  std::fill(rest + from, rest + to, 0.0);
  kernels.add_squares_lanes(f.R - f.n, t + f.n * simd::lanes, rest, from, to);
}

inline void group_loglik(const GroupForms& f, std::size_t group, bool one_factor, const std::vector<double>& scales,
                         const Segment& segment, const WhitenedBlock& w, const GroupProjection& p, double* loglik,
                         const simd::KernelTable& kernels) {
  const GroupForms::Group& g = f.groups[group];
  const std::size_t from = segment.lane, to = segment.end(kernels.width);
  if (f.q == 1) {
    for (std::size_t lane = from; lane < to; lane += kernels.width)
      kernels.rowwise_loglik(1, p.alpha.data() + lane, p.beta.data() + lane, p.zeta.data() + lane, w.constant + lane,
                             scales.size(), scales.data(), loglik + lane, simd::lanes);
  } else if (one_factor) {
    kernels.group_loglik(f.n, scales.size(), g.link, g.inverse, g.log_det, p.t.data(), p.rest.data(), w.constant,
                         loglik, from, to);
  } else {
    kernels.group_lane_loglik(f.n, g.alpha, g.beta, w.inverse_c2, scales.size(), scales.data(), p.t.data(),
                              p.rest.data(), w.constant, loglik, from, to);
  }
}

// Mean and variance of one segment at scale l, into sum.mean and sum.variance (R x 64).
inline void group_moments(GroupForms& f, std::size_t group, const SharedNoise& noise, std::size_t l, double scale,
                          const Segment& segment, const WhitenedBlock& w, const GroupProjection& p, MomentSum& sum,
                          const simd::KernelTable& kernels) {
  GroupForms::Group& g = f.groups[group];
  const std::size_t W = kernels.width, from = segment.lane, to = segment.end(W);
  const bool shared = noise.one_factor();
  const std::size_t N = std::max(f.n, f.q);
  double* coef = sum.coef.require_size(N * simd::lanes);
  double* work = sum.work.require_size(3 * N * W);
  kernels.group_coordinates(f.n, f.q, g.alpha, g.beta, shared ? g.link + l * f.n : nullptr, g.inverse + l * f.n,
                            g.kappa + l * f.n, w.inverse_c, w.inverse_c2, scale, p.t.data(), work, coef, from, to);
  kernels.multiply_lanes(f.R, f.q, g.back_rows, coef, sum.mean.data(), from, to);
  if (!shared) {
    kernels.group_lane_variance(f.R, f.q, g.alpha, g.beta, w.inverse_c2, scale, g.back_columns, f.padded, work,
                                sum.variance.data(), from, to);
    return;
  }
  double* variance = g.variance + l * f.padded;
  unsigned char& known = f.variance_known[group * f.n_scales + l];
  if (!known)
    kernels.group_variance(f.R, f.q, g.alpha, g.beta, w.inverse_c2[from], scale, g.back_columns, f.padded, work,
                           variance);
  known = 1;
  for (std::size_t r = 0; r < f.R; ++r)
    std::fill(sum.variance.data() + r * simd::lanes + from, sum.variance.data() + r * simd::lanes + to, variance[r]);
}

// ---- row-specific: a pack of effects, each in a form of its own ------------------------------------------------------

// loglik[scale * 64]; q columns in the form, z the pack's whitened effects.
inline void row_loglik(const RowForm& f, std::size_t q, std::size_t R, const double* z, const double* constant,
                       std::size_t n_scales, const double* scales, double* loglik, const simd::KernelTable& kernels) {
  if (q > 0) {
    kernels.rowwise_loglik(q, f.alpha.data(), f.beta.data(), f.zeta.data(), constant, n_scales, scales, loglik,
                           simd::lanes);
  } else {
    for (std::size_t l = 0; l < n_scales; ++l) kernels.rowwise_null(R, z, constant, loglik + l * simd::lanes);
  }
}

// The pack that begins at `lane`, with weights rho of n scales; part: what a diagonal part that has joined the noise does.
inline void row_moments(const double* alpha, const double* beta, const double* zeta, const double* back, std::size_t q,
                        const arma::mat& F, const Covariance& U, const simd::DiagonalPart* part, std::size_t n,
                        const double* scales, const double* rho, std::size_t lane, MomentSum& sum,
                        const simd::KernelTable& kernels, const Pulse& pulse = {}) {
  const std::size_t R = U.conditions();
  const simd::Moments at = {sum.at.mean + lane, sum.at.centred + lane, sum.at.negative + lane, sum.at.positive + lane,
                            sum.at.zero + lane};
  double* total = sum.total + lane;
  if (q == 0 && !part) {
    for (std::size_t l = 0; l < n; ++l) kernels.pack_null(R, rho + l * simd::lanes, total, at);
    return;
  }
  double* work = sum.work.require_size(3 * (q + 1) * kernels.width);
  // Scale by scale where all of them take long; a column alone treats its scales together.
  const std::size_t step = q > 1 && R * q >= 16384 ? 1 : n;
  for (std::size_t l = 0; l < n; l += step) {
    kernels.rowwise_posterior(R, q, F.memptr(), U.zero_variance.data(), alpha, beta, zeta, back, part, step, scales + l,
                              rho + l * simd::lanes, work, total, at);
    if (step == 1) pulse();
  }
}

}  // namespace covmash
