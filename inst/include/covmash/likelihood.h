#pragma once
// Log-likelihoods of blocks of 64 effects under every selected component.
//
// With V = M M', U = F F', z = M^-1 bhat and the whitened factor M^-1 F = Q diag(sigma) W', d = sigma^2, t = Q'z:
//
//   log N(bhat; 0, V + w U) = -|O|/2 log 2 pi - log |M| - 1/2 sum log(1 + w d)
//                             - 1/2 ( ||z - Q t||^2 + sum t^2 / (1 + w d) )
//
//   shared noise    the decomposition once for a group and covariance; an effect costs one projection (2 |O| q flops) and
//                   q multiply-adds a scale
//   row-specific    a bidiagonal decomposition for each effect and covariance (about 8/3 R^2 q flops), then 5 q flops a
//                   scale (simd/rowwise.inc)
// A row's result depends on that row alone.

#include <armadillo>
#include <cmath>
#include <string>
#include <vector>

#include "buffer.h"
#include "executor.h"
#include "jacobi.h"
#include "noise.h"
#include "prior.h"
#include "simd/kernels.h"

namespace covmash {

// A covariance in the eigenbasis of a noise group, matrices row-major for the kernels.
struct WhitenedCovariance {
  std::size_t rank = 0;              // q, columns of the factor
  bool spans = false;                // Q is a basis of all observed conditions: no residual
  std::vector<double> projection;    // Q' (q x |O|)
  std::vector<double> basis;         // Q  (|O| x q)
  std::vector<double> sigma, d;      // q
  std::vector<double> back;          // B = F W (R x q)
  std::vector<double> back_squared;  // R x q
};

inline std::vector<double> row_major(const arma::mat& A) {
  std::vector<double> out(A.n_elem);
  for (arma::uword i = 0; i < A.n_rows; ++i)
    for (arma::uword j = 0; j < A.n_cols; ++j) out[i * A.n_cols + j] = A(i, j);
  return out;
}

inline WhitenedCovariance whiten(const arma::mat& factor, const SharedNoise& noise) {
  if (factor.n_cols == 0) return {};
  arma::mat G(noise.observed.size(), factor.n_cols);
  for (std::size_t r = 0; r < noise.observed.size(); ++r) G.row(r) = factor.row(noise.observed[r]) / noise.direction[r];
  if (!noise.identity) G = arma::solve(arma::trimatl(noise.chol), G, arma::solve_opts::fast);
  const JacobiSvd svd = jacobi_svd(G);
  WhitenedCovariance out;
  out.rank = factor.n_cols;
  out.spans = svd.rank == noise.observed.size();
  out.projection = row_major(svd.Q.t());
  out.basis = row_major(svd.Q);
  out.sigma.assign(svd.sigma.begin(), svd.sigma.end());
  for (double s : out.sigma) out.d.push_back(s * s);
  const arma::mat B = factor * svd.W;
  out.back = row_major(B);
  out.back_squared = row_major(arma::square(B));
  return out;
}

// What one worker needs for one block; made once and reused.
struct Workspace {
  // the block
  Block block{-1, 0, 0};
  double inverse_c[block_effects], inverse_c2[block_effects], constant[block_effects];
  bool one_factor = false;  // all effects of the block share c
  Buffer<double> z, loglik;
  // shared noise, per covariance
  std::vector<Buffer<double>> projected, shrink;
  // tables of the last (group, c): reused while it lasts
  int table_group = -2;
  double table_factor = 0.0;
  std::vector<Buffer<double>> shared_shrink, shared_log_det, shared_variance;
  std::vector<std::vector<unsigned char>> variance_known;
  Buffer<double> squares, quad, rest, log_det, scratch;
  // row-specific noise, per covariance
  Buffer<double> inverse_shat, chol, pack_z, work;
  std::vector<Buffer<double>> alpha, beta, back;
  Buffer<double> zeta;
};

class LikelihoodEngine {
 public:
  // Decomposes every selected covariance for every noise group. noise and prior must outlive the engine.
  LikelihoodEngine(const NoiseModel& noise, const MixturePrior& prior, Selection selection, Executor& executor)
      : kernels_(simd::kernels()), noise_(noise), prior_(prior), selection_(std::move(selection)) {
    const std::size_t R = noise.effects().n_conditions, K = selection_.covariances.size();
    for (const auto& c : selection_.covariances) {
      factors_.push_back(prior.covariances[c.index].whole_factor());
      if (c.zero()) factors_.back().set_size(R, 0);
      require(factors_.back().n_rows == R, "covariance matrix " + std::to_string(c.index + 1) + " has " +
                                               std::to_string(factors_.back().n_rows) + " rows, but there are " +
                                               std::to_string(R) + " conditions");
    }
    whitened_.resize(noise.shared().size() * K);
    const double work = 40.0 * static_cast<double>(R * R * R) * static_cast<double>(whitened_.size());
    executor.run(whitened_.size(), work, [&](std::size_t task, std::size_t) {
      whitened_[task] = whiten(factors_[task % K], noise_.shared()[task / K]);
    });
    complete_chol_.resize(R * (R + 1) / 2);
    const std::vector<unsigned char> all(R, 1);
    if (!noise.row_specific().empty() &&
        !embedded_cholesky(noise.correlation(), all.data(), complete_chol_.data(), &complete_log_det_,
                           noise.ill_conditioned()))
      throw input_error("V is not positive definite");
  }

  const simd::KernelTable& kernels() const { return kernels_; }
  const NoiseModel& noise() const { return noise_; }
  const MixturePrior& prior() const { return prior_; }
  const Selection& selection() const { return selection_; }
  const arma::mat& factor(std::size_t k) const { return factors_[k]; }
  const WhitenedCovariance& whitened(int group, std::size_t k) const {
    return whitened_[static_cast<std::size_t>(group) * selection_.covariances.size() + k];
  }

  // A rough count of operations for a block, to decide about threads.
  double work_per_block() const {
    double flops = 0.0;
    for (std::size_t k = 0; k < factors_.size(); ++k)
      flops += static_cast<double>(factors_[k].n_cols) *
               (4.0 * static_cast<double>(factors_[k].n_rows) + 10.0 * selection_.covariances[k].scales.size());
    return 64.0 * (flops + 20.0 * static_cast<double>(selection_.size()));
  }

  void prepare(Workspace& ws) const {
    const std::size_t K = factors_.size();
    ws.loglik.require_size(std::max<std::size_t>(selection_.size(), 1) * simd::lanes);
    for (auto* v : {&ws.projected, &ws.shrink, &ws.shared_shrink, &ws.shared_log_det, &ws.shared_variance, &ws.alpha,
                    &ws.beta, &ws.back})
      v->resize(K);
    ws.variance_known.resize(K);
    ws.rest.require_size(simd::lanes);
    ws.zeta.require_size(std::max<std::size_t>(K, 1) * kernels_.width);
    ws.table_group = -2;
  }

  // ws.loglik[slot * 64 + lane] for a block of shared noise; the projections stay in ws for the posterior.
  void evaluate_shared(const Block& block, Workspace& ws) const {
    const SharedNoise& noise = noise_.shared()[block.group];
    const std::size_t m = noise.observed.size();
    ws.block = block;
    load_shared(noise, ws);
    refresh_tables(block.group, noise.factor[block.begin], ws);

    double* rest = ws.rest.data();
    if (selection_.point_mass) {
      std::fill(rest, rest + simd::lanes, 0.0);
      kernels_.add_squares(m, ws.z.data(), rest);
      const double zero = 0.0;
      kernels_.finish_loglik(ws.constant, &zero, false, rest, nullptr, ws.loglik.data());
    }
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      const WhitenedCovariance& u = whitened(block.group, k);
      const auto& chosen = selection_.covariances[k];
      const std::size_t q = u.rank, n_scales = chosen.scales.size();
      double* t = ws.projected[k].require_size(std::max<std::size_t>(q, 1) * simd::lanes);
      kernels_.multiply(q, m, u.projection.data(), ws.z.data(), t);
      if (!u.spans) {
        double* fitted = ws.scratch.require_size(m * simd::lanes);
        kernels_.multiply(m, q, u.basis.data(), t, fitted);
        kernels_.residual_squares(m, ws.z.data(), fitted, rest);
      }
      double* t2 = ws.squares.require_size(std::max<std::size_t>(q, 1) * simd::lanes);
      kernels_.square(q * simd::lanes, t, t2);
      double* quad = ws.quad.require_size(n_scales * simd::lanes);
      const double* log_det;
      if (ws.one_factor) {
        kernels_.multiply(n_scales, q, ws.shared_shrink[k].data(), t2, quad);
        log_det = ws.shared_log_det[k].data();
      } else {
        double* shrink = ws.shrink[k].require_size(n_scales * std::max<std::size_t>(q, 1) * simd::lanes);
        double* ld = ws.log_det.require_size(n_scales * simd::lanes);
        kernels_.lane_tables(q, u.d.data(), ws.inverse_c2, n_scales, chosen.scales.data(), shrink, ld);
        kernels_.lane_quadratic(q, n_scales, shrink, t2, quad);
        log_det = ld;
      }
      for (std::size_t l = 0; l < n_scales; ++l)
        kernels_.finish_loglik(ws.constant, log_det + (ws.one_factor ? l : l * simd::lanes), !ws.one_factor,
                               quad + l * simd::lanes, u.spans ? nullptr : rest,
                               ws.loglik.data() + (chosen.slot + l) * simd::lanes);
    }
  }

  // Row-specific noise: reads the effects of the whole block ...
  void load_row_specific(const Block& block, Workspace& ws) const {
    const Effects& e = noise_.effects();
    const std::size_t R = e.n_conditions, W = kernels_.width, packed = R * (R + 1) / 2;
    ws.block = block;
    double* inverse_shat = ws.inverse_shat.require_size(R * simd::lanes);
    double* z = ws.pack_z.require_size(R * simd::lanes);
    double* logs = ws.scratch.require_size(R * simd::lanes);
    double* chol = noise_.identity() ? nullptr : ws.chol.require_size(packed * simd::lanes);
    std::vector<unsigned char> observed(R);
    std::vector<double> own(packed);
    // [pack][condition][lane of the pack]
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
      const std::size_t j = noise_.row_specific()[block.begin + std::min(lane, block.count - 1)];
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
        if (n_observed < R) {
          if (!embedded_cholesky(noise_.correlation(), observed.data(), own.data(), &log_det, noise_.ill_conditioned()))
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
      ws.constant[lane] = -log_sqrt_2pi * static_cast<double>(n_observed) - log_det;
    }
    kernels_.logarithms(R * simd::lanes, logs, logs);
    for (std::size_t r = 0; r < R; ++r)
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) ws.constant[lane] -= logs[r * simd::lanes + lane];
  }

  // ... and decomposes one pack of them. With keep_back the back-maps stay in ws for the posterior of this pack.
  void evaluate_pack(std::size_t pack, bool keep_back, Workspace& ws) const {
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width, packed = R * (R + 1) / 2;
    const double* inverse_shat = ws.inverse_shat.data() + pack * R * W;
    const double* z = ws.pack_z.data() + pack * R * W;
    const double* chol = noise_.identity() ? nullptr : ws.chol.data() + pack * packed * W;
    double* loglik = ws.loglik.data() + pack * W;
    if (selection_.point_mass) {
      for (std::size_t lane = 0; lane < W; ++lane) {
        double zz = 0.0;
        for (std::size_t r = 0; r < R; ++r) zz += z[r * W + lane] * z[r * W + lane];
        loglik[lane] = ws.constant[pack * W + lane] - 0.5 * zz;
      }
    }
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      const std::size_t q = factors_[k].n_cols;
      const auto& chosen = selection_.covariances[k];
      double* out = loglik + chosen.slot * simd::lanes;
      if (q == 0) {  // a zero matrix: the point mass under another name
        for (std::size_t l = 0; l < chosen.scales.size(); ++l)
          for (std::size_t lane = 0; lane < W; ++lane) {
            double zz = 0.0;
            for (std::size_t r = 0; r < R; ++r) zz += z[r * W + lane] * z[r * W + lane];
            out[l * simd::lanes + lane] = ws.constant[pack * W + lane] - 0.5 * zz;
          }
        continue;
      }
      double* alpha = ws.alpha[k].require_size(q * W);
      double* beta = ws.beta[k].require_size(q * W);
      double* back = keep_back && q > 1 ? ws.back[k].require_size(R * q * W) : nullptr;
      double* work = ws.work.require_size((R * q + 2 * R) * W);
      kernels_.rowwise_decompose(R, q, factors_[k].memptr(), inverse_shat, chol, z, work, alpha, beta,
                                 ws.zeta.data() + k * W, back);
      kernels_.rowwise_loglik(q, alpha, beta, ws.zeta.data() + k * W, ws.constant + pack * W, chosen.scales.size(),
                              chosen.scales.data(), out, simd::lanes);
    }
  }

  // Log-likelihoods of any block.
  void evaluate(const Block& block, Workspace& ws) const {
    if (block.group >= 0) {
      evaluate_shared(block, ws);
      return;
    }
    load_row_specific(block, ws);
    for (std::size_t pack = 0; pack < simd::lanes / kernels_.width; ++pack) evaluate_pack(pack, false, ws);
  }

 private:
  static constexpr double log_sqrt_2pi = 0.91893853320467274178;

  void load_shared(const SharedNoise& noise, Workspace& ws) const {
    const Effects& e = noise_.effects();
    const std::size_t m = noise.observed.size();
    const Block& block = ws.block;
    double* z = ws.z.require_size(m * simd::lanes);
    std::size_t index[block_effects];
    double log_factor = 0.0, last = 0.0;
    ws.one_factor = noise.factor[block.begin] == noise.factor[block.begin + block.count - 1];
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
      const std::size_t i = block.begin + std::min(lane, block.count - 1);
      index[lane] = noise.effects[i];
      const double c = noise.factor[i];
      if (c != last) log_factor = std::log(c);
      last = c;
      ws.inverse_c[lane] = 1.0 / c;
      ws.inverse_c2[lane] = ws.inverse_c[lane] * ws.inverse_c[lane];
      ws.constant[lane] = -log_sqrt_2pi * static_cast<double>(m) - noise.log_det - static_cast<double>(m) * log_factor;
    }
    for (std::size_t r = 0; r < m; ++r) {
      const double* column = e.bhat + noise.observed[r] * e.n_effects;
      const double scale = 1.0 / noise.direction[r];
      for (std::size_t lane = 0; lane < simd::lanes; ++lane)
        z[r * simd::lanes + lane] = column[index[lane]] * scale * ws.inverse_c[lane];
    }
    if (!noise.identity) {
      // chol is lower and column-major; the kernel wants rows, which are the columns of its transpose
      const arma::mat rows = noise.chol.t();
      kernels_.solve_lower(m, rows.memptr(), z);
    }
  }

  void refresh_tables(int group, double factor, Workspace& ws) const {
    if (!ws.one_factor || (ws.table_group == group && ws.table_factor == factor)) return;
    ws.table_group = group;
    ws.table_factor = factor;
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      const WhitenedCovariance& u = whitened(group, k);
      const auto& chosen = selection_.covariances[k];
      const std::size_t n = chosen.scales.size();
      kernels_.shared_tables(u.rank, u.d.data(), ws.inverse_c2[0], n, chosen.scales.data(),
                             ws.shared_shrink[k].require_size(n * std::max<std::size_t>(u.rank, 1)),
                             ws.shared_log_det[k].require_size(n));
      ws.variance_known[k].assign(n, 0);
    }
  }

  const simd::KernelTable& kernels_;
  const NoiseModel& noise_;
  const MixturePrior& prior_;
  Selection selection_;
  std::vector<arma::mat> factors_;
  std::vector<WhitenedCovariance> whitened_;
  std::vector<double> complete_chol_;
  double complete_log_det_ = 0.0;
};

}  // namespace covmash
