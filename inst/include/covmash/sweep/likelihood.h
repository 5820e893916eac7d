#pragma once
// Log-likelihoods of blocks of 64 effects under every selected component.
//
// With V = M M', U = F F', z = M^-1 bhat and the whitened factor M^-1 F = Q diag(sigma) W', d = sigma^2, t = Q'z:
//
//   log N(bhat; 0, V + w U) = -|O|/2 log 2 pi - log |M| - 1/2 sum log(1 + w d)
//                             - 1/2 ( ||z - Q t||^2 + sum t^2 / (1 + w d) )
//
//   shared noise    the decomposition once for a group and covariance; an effect costs one projection (2 |O| q flops)
//   and
//                   q multiply-adds a scale
//   row-specific    a bidiagonal decomposition for each effect and covariance (about 8/3 R^2 q flops), then 5 q flops a
//                   scale (simd/bidiagonal.inc); where U has a diagonal part and the errors are independent, that part
//                   joins the noise and the rest is decomposed for each scale
// With 128 conditions and more a covariance of low rank with a diagonal part takes the row-specific way under shared
// noise too, if the errors are independent.
// A row's result depends on that row alone.

#include <armadillo>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../base/buffer.h"
#include "../base/executor.h"
#include "../linalg/jacobi.h"
#include "../model/noise.h"
#include "../model/prior.h"
#include "../simd/dispatch.h"

namespace covmash {

// A covariance in the eigenbasis of a noise group, matrices row-major for the kernels. The likelihood needs few terms:
// `explicit_terms` directions one by one, and all others together where they share one d: 0 for what a low-rank
// covariance does not reach, the common value for identity-like and equicorrelated ones.
struct WhitenedCovariance {
  std::size_t rank = 0;              // q, columns of the factor
  std::size_t explicit_terms = 0;    // s <= q, the first ones
  bool has_rest = true;              // directions beyond the explicit ones
  std::vector<double> projection;    // Q' (q x |O|)
  std::vector<double> basis;         // first s columns of Q (|O| x s)
  std::vector<double> sigma;         // q
  std::vector<double> d;             // sigma^2 of the explicit terms, then that of the rest
  double repeat = 1.0;               // how often the last d counts in the determinant
  std::vector<double> back;          // B = F W (R x q)
  std::vector<double> back_squared;  // R x q
  int axis = -1;                     // the only direction is this observed condition

  std::size_t n_terms() const { return d.size(); }
};

inline std::vector<double> row_major(const arma::mat& A) {
  std::vector<double> out(A.n_elem);
  for (arma::uword i = 0; i < A.n_rows; ++i)
    for (arma::uword j = 0; j < A.n_cols; ++j) out[i * A.n_cols + j] = A(i, j);
  return out;
}

namespace detail {

// The longest run [begin, end) of equal values in decreasing sigma, equal up to the rounding of the decomposition.
inline std::pair<std::size_t, std::size_t> longest_run(const arma::vec& sigma) {
  const double tolerance = 4.0 * std::numeric_limits<double>::epsilon() * static_cast<double>(sigma.n_elem);
  std::pair<std::size_t, std::size_t> best(0, 0);
  for (std::size_t from = 0, to = 0; from < sigma.n_elem; ++from) {
    to = std::max(to, from);
    while (to < sigma.n_elem && sigma[from] - sigma[to] <= tolerance * sigma[from]) ++to;
    if (to - from > best.second - best.first) best = {from, to};
  }
  return best;
}

}  // namespace detail

inline WhitenedCovariance whiten(const arma::mat& factor, const SharedNoise& noise) {
  WhitenedCovariance out;
  const std::size_t m = noise.observed.size();
  std::size_t q = factor.n_cols;
  if (q == 0) {
    out.d = {0.0};
    return out;
  }
  arma::mat G(m, q);
  for (std::size_t r = 0; r < m; ++r) G.row(r) = factor.row(noise.observed[r]) / noise.direction[r];
  if (!noise.identity) G = arma::solve(arma::trimatl(noise.chol), G, arma::solve_opts::fast);
  JacobiSvd svd = jacobi_svd(G);
  if (q > m && m == factor.n_rows && svd.rank == m) {  // nothing missing: the other directions reach no condition
    svd.Q = svd.Q.head_cols(m).eval();
    svd.W = svd.W.head_cols(m).eval();
    svd.sigma = svd.sigma.head(m).eval();
    q = m;
  }

  out.rank = out.explicit_terms = q;
  out.has_rest = svd.rank < m;
  double rest = 0.0;
  if (svd.rank == m && q == m) {
    const auto run = detail::longest_run(svd.sigma);
    const std::size_t length = run.second - run.first;
    if (2 * (m - length) + 2 <= m) {  // else the projection on the rest costs more than it saves
      out.has_rest = true;
      out.explicit_terms = m - length;
      out.repeat = static_cast<double>(length);
      rest = svd.sigma[run.first] * svd.sigma[run.first];
      arma::uvec order(m);
      std::size_t at = 0;
      for (std::size_t i = 0; i < m; ++i)
        if (i < run.first || i >= run.second) order[at++] = i;
      for (std::size_t i = run.first; i < run.second; ++i) order[at++] = i;
      svd.Q = svd.Q.cols(order).eval();
      svd.W = svd.W.cols(order).eval();
      svd.sigma = svd.sigma.elem(order).eval();
    }
  }
  const arma::mat directions = svd.Q.head_cols(out.explicit_terms);
  out.projection = row_major(svd.Q.t());
  out.basis = row_major(directions);
  out.sigma.assign(svd.sigma.begin(), svd.sigma.end());
  for (std::size_t i = 0; i < out.explicit_terms; ++i) out.d.push_back(svd.sigma[i] * svd.sigma[i]);
  if (out.has_rest) out.d.push_back(rest);
  if (q == 1 && noise.identity) {
    const arma::uvec nonzero = arma::find(directions.col(0) != 0.0);
    if (nonzero.n_elem == 1) out.axis = static_cast<int>(nonzero[0]);
  }
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
  // shared noise, per covariance: Q'z of the explicit directions (of all once complete_projection() was called)
  std::vector<Buffer<double>> projected, shrink;
  // tables of the last (group, c): reused while it lasts
  int table_group = -2;
  double table_factor = 0.0;
  std::vector<Buffer<double>> shared_shrink, shared_log_det, shared_variance;
  std::vector<std::vector<unsigned char>> variance_known;
  Buffer<double> squares, terms, others, log_det, scratch;
  // row-specific noise: the block's packs, and one covariance of one pack
  Buffer<double> inverse_shat, chol, pack_z, work;
  Buffer<double> alpha, beta, zeta, back;
  Buffer<double> gain, absorbed_shat, absorbed_z, absorbed_constant;
};

class LikelihoodEngine {
 public:
  // Decomposes every selected covariance for every noise group. noise, prior and executor must outlive the engine.
  LikelihoodEngine(const NoiseModel& noise, const MixturePrior& prior, Selection selection, Executor& executor)
      : kernels_(simd::kernels()), executor_(executor), noise_(noise), prior_(prior), selection_(std::move(selection)) {
    const std::size_t R = noise.effects().n_conditions, K = selection_.covariances.size();
    for (const auto& c : selection_.covariances) {
      const Covariance& U = prior.covariances[c.index];
      absorbs_.push_back(!c.zero() && absorbs(U));
      factors_.push_back(absorbs_shared(factors_.size()) ? U.factor : U.whole_factor());
      if (c.zero()) factors_.back().set_size(R, 0);
      require(factors_.back().n_rows == R, "covariance matrix " + std::to_string(c.index + 1) + " has " +
                                               std::to_string(factors_.back().n_rows) + " rows, but there are " +
                                               std::to_string(R) + " conditions");
    }
    whitened_.resize(noise.shared().size() * K);
    executor.run(whitened_.size(), work_to_decompose(), [&](std::size_t task, std::size_t) {
      if (!absorbs_shared(task % K)) whitened_[task] = whiten(factors_[task % K], noise_.shared()[task / K]);
    });
    complete_chol_.resize(R * (R + 1) / 2);
    const std::vector<unsigned char> all(R, 1);
    if (!noise.row_specific().empty() && !noise.identity() &&
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

  // A rough count of operations for a block, to decide about threads and about keeping what was computed.
  double work_per_block() const {
    const double specific = static_cast<double>(noise_.row_specific().size()) /
                            static_cast<double>(std::max<std::size_t>(noise_.n_observed_effects(), 1));
    double flops = 0.0;
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      const double R = static_cast<double>(factors_[k].n_rows), q = static_cast<double>(factors_[k].n_cols);
      const double n_scales = static_cast<double>(selection_.covariances[k].scales.size());
      if (absorbs_[k] && (specific > 0.5 || absorbs_shared(k))) {
        flops += n_scales * R * (4.0 * q * q + 40.0);
        continue;
      }
      const double terms = noise_.shared().empty() ? q : static_cast<double>(whitened(0, k).explicit_terms);
      flops += (1.0 - specific) * terms * (4.0 * R + 10.0 * n_scales);
      flops += specific * (q * (4.0 * R * R + 60.0) + n_scales * (10.0 * q + 100.0));
    }
    return 64.0 * (flops + 20.0 * static_cast<double>(selection_.size()));
  }

  // The same for the decompositions of the covariances, once for each noise group.
  double work_to_decompose() const {
    double flops = 0.0;
    for (std::size_t k = 0; k < factors_.size(); ++k)
      if (!absorbs_shared(k))
        flops += 40.0 * static_cast<double>(factors_[k].n_rows * factors_[k].n_cols * factors_[k].n_cols);
    return flops * static_cast<double>(noise_.shared().size());
  }

  void prepare(Workspace& ws) const {
    const std::size_t K = factors_.size();
    ws.loglik.require_size(std::max<std::size_t>(selection_.size(), 1) * simd::lanes);
    for (auto* v : {&ws.projected, &ws.shrink, &ws.shared_shrink, &ws.shared_log_det, &ws.shared_variance})
      v->resize(K);
    ws.variance_known.resize(K);
    ws.squares.require_size(simd::lanes);
    ws.table_group = -2;
  }

  // ws.loglik[slot * 64 + lane] for a block of shared noise; the projections stay in ws for the posterior.
  void evaluate_shared(const Block& block, Workspace& ws) const {
    const SharedNoise& noise = noise_.shared()[block.group];
    const std::size_t m = noise.observed.size();
    ws.block = block;
    load_shared(noise, ws);
    refresh_tables(block.group, noise.factor[block.begin], ws);

    double* squares = ws.squares.data();
    std::fill(squares, squares + simd::lanes, 0.0);
    kernels_.add_squares(m, ws.z.data(), squares);
    if (selection_.point_mass) {
      const double shrink = 1.0, log_det = 0.0;
      kernels_.shared_loglik(1, 1, &shrink, squares, ws.constant, &log_det, ws.loglik.data());
    }
    bool know_others = false, know_packs = false;
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      if (absorbs_shared(k)) {
        if (!std::exchange(know_packs, true)) load_packs(noise, ws);
        for (std::size_t pack = 0; pack < simd::lanes / kernels_.width; ++pack)
          absorb_pack(k, pack, false, ws, [](const Visit&) {});
        executor_.checkpoint();
        continue;
      }
      const WhitenedCovariance& u = whitened(block.group, k);
      const auto& chosen = selection_.covariances[k];
      const std::size_t s = u.explicit_terms, n = u.n_terms(), n_scales = chosen.scales.size();
      double* t = ws.projected[k].require_size(std::max<std::size_t>(u.rank, 1) * simd::lanes);
      double* terms = ws.terms.require_size(n * simd::lanes);
      kernels_.multiply(s, m, u.projection.data(), ws.z.data(), t);
      kernels_.square(s * simd::lanes, t, terms);
      if (u.axis >= 0 && u.has_rest) {
        if (!know_others) kernels_.exclusive_squares(m, ws.z.data(), ws.others.require_size(m * simd::lanes));
        know_others = true;
        const double* others = ws.others.data() + static_cast<std::size_t>(u.axis) * simd::lanes;
        std::copy(others, others + simd::lanes, terms + simd::lanes);
      } else if (s == 0) {
        std::copy(squares, squares + simd::lanes, terms);
      } else if (u.has_rest) {
        double* fitted = ws.scratch.require_size(m * simd::lanes);
        kernels_.multiply(m, s, u.basis.data(), t, fitted);
        kernels_.residual_squares(m, ws.z.data(), fitted, terms + s * simd::lanes);
      }
      double* loglik = ws.loglik.data() + chosen.slot * simd::lanes;
      if (ws.one_factor) {
        kernels_.shared_loglik(n, n_scales, ws.shared_shrink[k].data(), terms, ws.constant, ws.shared_log_det[k].data(),
                               loglik);
      } else {
        double* shrink = ws.shrink[k].require_size(n_scales * n * simd::lanes);
        double* log_det = ws.log_det.require_size(n_scales * simd::lanes);
        kernels_.lane_tables(n, u.d.data(), u.repeat, ws.inverse_c2, n_scales, chosen.scales.data(), shrink, log_det);
        kernels_.lane_loglik(n, n_scales, shrink, terms, ws.constant, log_det, loglik);
      }
    }
  }

  // The projections of the block on the directions that are not explicit.
  void complete_projection(std::size_t k, Workspace& ws) const {
    const WhitenedCovariance& u = whitened(ws.block.group, k);
    const std::size_t m = noise_.shared()[ws.block.group].observed.size(), s = u.explicit_terms;
    kernels_.multiply(u.rank - s, m, u.projection.data() + s * m, ws.z.data(),
                      ws.projected[k].data() + s * simd::lanes);
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

  // What evaluate_pack() has at hand when it visits: scales [first, first + n) of covariance k. The decomposition is in
  // the workspace; with a diagonal part (n = 1) the rest of the covariance alone was decomposed.
  struct Visit {
    std::size_t k, first, n, q;
    const simd::DiagonalPart* part;
  };

  // ... and evaluates one pack of them, covariance by covariance. visit(Visit) comes after the log-likelihoods of its
  // components. With keep_back the map from coordinates to effects is in ws.back then.
  template <typename Visitor>
  void evaluate_pack(std::size_t pack, bool keep_back, Workspace& ws, Visitor&& visit) const {
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width, packed = R * (R + 1) / 2;
    const double* inverse_shat = ws.inverse_shat.data() + pack * R * W;
    const double* z = ws.pack_z.data() + pack * R * W;
    const double* chol = noise_.identity() ? nullptr : ws.chol.data() + pack * packed * W;
    const double* constant = ws.constant + pack * W;
    double* loglik = ws.loglik.data() + pack * W;
    if (selection_.point_mass) kernels_.rowwise_null(R, z, constant, loglik);
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      const auto& chosen = selection_.covariances[k];
      const std::size_t n = chosen.scales.size();
      double* out = loglik + chosen.slot * simd::lanes;
      if (absorbs_[k]) {
        absorb_pack(k, pack, keep_back, ws, visit);
      } else {
        decompose(factors_[k], inverse_shat, chol, z, keep_back && factors_[k].n_cols > 1, ws);
        loglik_of_decomposition(factors_[k].n_cols, z, constant, n, chosen.scales.data(), out, ws);
        visit(Visit{k, 0, n, factors_[k].n_cols, nullptr});
      }
      if (R >= 32) executor_.checkpoint();  // one block can take long
    }
  }

  // The same for one covariance whose diagonal part joins the noise: A = (V + w D) + w F F', scale by scale. O(R q^2)
  // an effect and scale, and nothing of size R^2.
  template <typename Visitor>
  void absorb_pack(std::size_t k, std::size_t pack, bool keep_back, Workspace& ws, Visitor&& visit) const {
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width;
    const auto& chosen = selection_.covariances[k];
    const Covariance& U = prior_.covariances[chosen.index];
    const double* inverse_shat = ws.inverse_shat.data() + pack * R * W;
    const double* z = ws.pack_z.data() + pack * R * W;
    double* gain = ws.gain.require_size(R * W);
    double* new_shat = ws.absorbed_shat.require_size(R * W);
    double* new_z = ws.absorbed_z.require_size(R * W);
    double* new_constant = ws.absorbed_constant.require_size(W);
    double* out = ws.loglik.data() + chosen.slot * simd::lanes + pack * W;
    const simd::DiagonalPart part = {U.diagonal.memptr(), gain, inverse_shat, z};
    for (std::size_t l = 0; l < chosen.scales.size(); ++l) {
      kernels_.rowwise_absorb(R, U.diagonal.memptr(), chosen.scales[l], inverse_shat, z, ws.constant + pack * W, gain,
                              new_shat, new_z, new_constant);
      decompose(U.factor, new_shat, nullptr, new_z, keep_back, ws);
      loglik_of_decomposition(U.factor.n_cols, new_z, new_constant, 1, &chosen.scales[l], out + l * simd::lanes, ws);
      visit(Visit{k, l, 1, U.factor.n_cols, &part});
    }
  }

  // Whether absorb_pack() serves shared noise too: where there are so many conditions that a projection of R^2 numbers,
  // and an SVD of R^3 flops for each noise group, cost more.
  bool absorbs_shared(std::size_t k) const { return absorbs_[k] && noise_.effects().n_conditions >= 128; }

  // Log-likelihoods of any block.
  void evaluate(const Block& block, Workspace& ws) const {
    if (block.group >= 0) {
      evaluate_shared(block, ws);
      return;
    }
    load_row_specific(block, ws);
    for (std::size_t pack = 0; pack < simd::lanes / kernels_.width; ++pack)
      evaluate_pack(pack, false, ws, [](const Visit&) {});
  }

 private:
  void decompose(const arma::mat& F, const double* inverse_shat, const double* chol, const double* z, bool keep_back,
                 Workspace& ws) const {
    const std::size_t R = F.n_rows, q = F.n_cols, W = kernels_.width;
    if (q == 0) return;
    double* back = keep_back ? ws.back.require_size(R * q * W) : nullptr;
    kernels_.rowwise_decompose(R, q, F.memptr(), inverse_shat, chol, z, ws.work.require_size((R * q + 3 * R + q) * W),
                               ws.alpha.require_size(q * W), ws.beta.require_size(q * W), ws.zeta.require_size(W),
                               back);
  }

  void loglik_of_decomposition(std::size_t q, const double* z, const double* constant, std::size_t n_scales,
                               const double* scales, double* loglik, Workspace& ws) const {
    if (q > 0) {
      kernels_.rowwise_loglik(q, ws.alpha.data(), ws.beta.data(), ws.zeta.data(), constant, n_scales, scales, loglik,
                              simd::lanes);
    } else {
      for (std::size_t l = 0; l < n_scales; ++l)
        kernels_.rowwise_null(noise_.effects().n_conditions, z, constant, loglik + l * simd::lanes);
    }
  }

  // Whether the diagonal part of a covariance joins row-specific noise: one small decomposition a scale in place of a
  // large one. About 4 R q^2 flops and R divisions a scale against 8/3 R^3, for some twenty scales.
  bool absorbs(const Covariance& U) const {
    if (!noise_.identity() || !U.has_diagonal()) return false;
    const std::size_t R = U.factor.n_rows, q = U.factor.n_cols;
    return q == 0 || (R >= 12 && 24 * q * q <= R * R);
  }

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

  // A block of shared noise as absorb_pack() reads it, from ws.z.
  void load_packs(const SharedNoise& noise, Workspace& ws) const {
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width;
    double* inverse_shat = ws.inverse_shat.require_size(R * simd::lanes);
    double* z = ws.pack_z.require_size(R * simd::lanes);
    std::fill(inverse_shat, inverse_shat + R * simd::lanes, 0.0);
    std::fill(z, z + R * simd::lanes, 0.0);
    for (std::size_t i = 0; i < noise.observed.size(); ++i)
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
        const std::size_t at = lane / W * R * W + noise.observed[i] * W + lane % W;
        inverse_shat[at] = ws.inverse_c[lane] / noise.direction[i];
        z[at] = ws.z[i * simd::lanes + lane];
      }
  }

  void refresh_tables(int group, double factor, Workspace& ws) const {
    if (!ws.one_factor || (ws.table_group == group && ws.table_factor == factor)) return;
    ws.table_group = group;
    ws.table_factor = factor;
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      if (absorbs_shared(k)) continue;
      const WhitenedCovariance& u = whitened(group, k);
      const auto& chosen = selection_.covariances[k];
      const std::size_t n = chosen.scales.size();
      kernels_.shared_tables(u.n_terms(), u.d.data(), u.repeat, ws.inverse_c2[0], n, chosen.scales.data(),
                             ws.shared_shrink[k].require_size(n * u.n_terms()), ws.shared_log_det[k].require_size(n));
      ws.variance_known[k].assign(n, 0);
    }
  }

  const simd::KernelTable& kernels_;
  Executor& executor_;
  const NoiseModel& noise_;
  const MixturePrior& prior_;
  Selection selection_;
  std::vector<arma::mat> factors_;
  std::vector<unsigned char> absorbs_;
  std::vector<WhitenedCovariance> whitened_;
  std::vector<double> complete_chol_;
  double complete_log_det_ = 0.0;
};

}  // namespace covmash
