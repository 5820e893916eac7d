#pragma once
// Deconvolution: the covariances U_k of true effects from noisy ones, y_j ~ sum_k pi_k N(0, V_j + U_k), by EM.
//
//   extreme_deconvolution  ED (Bovy, Hogg & Roweis 2011, doi:10.1214/10-AOAS439, equations 15-18 with means fixed at
//   0).
//                          With A_j = V_j + U and U = F F' the step is F <- F chol(I + F' D F / N)',
//                          D = sum gamma (x x' - A^-1), x = A^-1 y, on the observed conditions: positive semi-definite
//                          by construction, and it keeps the rank of U.
//   truncated_deconvolution  TED / TEEM (Yang, Wang, Carbonetto & Stephens 2024, arXiv:2406.08784) for noise I:
//                          the eigenvalues of the weighted second moment, truncated at the noise.
// Common noise: one Cholesky factor a component; n R^2 flops for likelihood and moments each. Noise by effect: R^3
// flops for each effect and component. Sums run over fixed chunks of effects, added in order.

#include <armadillo>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "../base/buffer.h"
#include "../model/covariance.h"
#include "../base/executor.h"
#include "../model/noise.h"
#include "../simd/dispatch.h"

namespace covmash {

struct DeconvolutionOptions {
  double tolerance = 1e-6;  // stop when the mean log-likelihood grows by no more
  double max_iterations = 1e9;
  double ridge = 0.0;  // Bovy et al.'s w: U <- (N U + w I) / (N + 1)
  bool fix_weights = false;
  std::vector<unsigned char> fix_covariance;  // K flags, or empty
};

struct DeconvolutionResult {
  std::vector<double> weights;
  std::vector<arma::mat> covariances;
  double mean_loglik = 0.0;  // at the parameters before the last update
  double iterations = 0.0;
  bool converged = false;
};

namespace detail {

struct Chunks {
  std::size_t blocks, per_chunk, count;
  explicit Chunks(std::size_t n_effects)
      : blocks((n_effects + block_effects - 1) / block_effects),
        per_chunk(std::max<std::size_t>(4, (blocks + 63) / 64)),
        count((blocks + per_chunk - 1) / per_chunk) {}
};

// Responsibilities of one block: in loglik (K x 64, with log weights), out gamma; returns the block's log-likelihood.
inline double responsibilities(const simd::KernelTable& kernels, std::size_t K, std::size_t count, const double* loglik,
                               const double* log_weights, double* gamma) {
  double maximum[simd::lanes], sum[simd::lanes];
  kernels.block_maximum(K, loglik, log_weights, maximum, 0, simd::lanes);
  kernels.block_exponentials(K, loglik, log_weights, maximum, gamma, sum, 0, simd::lanes);
  double total = 0.0;
  for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
    const bool real = lane < count;
    if (real) total += maximum[lane] + std::log(sum[lane]);
    for (std::size_t k = 0; k < K; ++k)
      gamma[k * simd::lanes + lane] = real ? gamma[k * simd::lanes + lane] / sum[lane] : 0.0;
  }
  return total;
}

inline std::vector<double> logarithms(const std::vector<double>& x) {
  std::vector<double> out;
  for (double v : x) out.push_back(std::log(v));
  return out;
}

struct Expectation {
  double loglik = 0.0;
  std::vector<double> mass;        // sum of gamma, K
  std::vector<arma::mat> moments;  // K: sum gamma y y' (common noise), or sum gamma (x x' - A^-1)
};

// E-step for y_j ~ sum w_k N(0, T_k), the same T_k for all effects.
class CommonExpectation {
 public:
  // Y: R x n, one effect a column.
  CommonExpectation(const arma::mat& Y, Executor& executor)
      : kernels_(simd::kernels()), executor_(executor), n_(Y.n_cols), R_(Y.n_rows), chunks_(n_) {
    columns_.require_size(chunks_.blocks * R_ * simd::lanes);
    for (std::size_t b = 0; b < chunks_.blocks; ++b)
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
        const double* y = Y.colptr(std::min(b * simd::lanes + lane, n_ - 1));
        for (std::size_t r = 0; r < R_; ++r) columns_[(b * R_ + r) * simd::lanes + lane] = y[r];
      }
  }

  Expectation operator()(const std::vector<arma::mat>& T, const std::vector<double>& weights) {
    const std::size_t K = T.size();
    std::vector<std::vector<double>> factors(K);
    std::vector<double> offset = logarithms(weights);
    for (std::size_t k = 0; k < K; ++k) {
      arma::mat L;
      if (!arma::chol(L, T[k], "lower"))
        throw numeric_error("the covariance of component " + std::to_string(k + 1) +
                            " plus noise is not positive definite");
      factors[k].resize(R_ * R_);
      for (std::size_t i = 0; i < R_; ++i)
        for (std::size_t j = 0; j <= i; ++j) factors[k][i * R_ + j] = L(i, j);
      offset[k] -= arma::accu(arma::log(L.diag())) + 0.91893853320467274178 * static_cast<double>(R_);
    }
    struct Partial {
      double loglik = 0.0;
      std::vector<double> mass, moments;
    };
    std::vector<Partial> partial(chunks_.count);
    executor_.run(chunks_.count, 3.0 * static_cast<double>(n_ * K * R_ * R_), [&](std::size_t chunk, std::size_t) {
      Partial& sum = partial[chunk];
      sum.mass.assign(K, 0.0);
      sum.moments.assign(K * R_ * R_, 0.0);
      constexpr std::size_t panel = 16;  // blocks summed at a time
      Buffer<double> z(R_ * simd::lanes), loglik(K * simd::lanes), gamma(panel * K * simd::lanes),
          scaled(panel * R_ * simd::lanes);
      const std::size_t end = std::min(chunks_.blocks, (chunk + 1) * chunks_.per_chunk);
      for (std::size_t from = chunk * chunks_.per_chunk; from < end; from += panel) {
        const std::size_t n_blocks = std::min(panel, end - from);
        for (std::size_t i = 0; i < n_blocks; ++i) {
          const std::size_t b = from + i;
          for (std::size_t k = 0; k < K; ++k) {
            double* quad = loglik.data() + k * simd::lanes;
            std::copy(columns_.data() + b * R_ * simd::lanes, columns_.data() + (b + 1) * R_ * simd::lanes, z.data());
            kernels_.solve_lower(R_, factors[k].data(), z.data());
            std::fill(quad, quad + simd::lanes, 0.0);
            kernels_.add_squares(R_, z.data(), quad);
            for (std::size_t lane = 0; lane < simd::lanes; ++lane) quad[lane] *= -0.5;
          }
          const std::size_t count = std::min(simd::lanes, n_ - b * simd::lanes);
          double* g = gamma.data() + i * K * simd::lanes;
          sum.loglik += responsibilities(kernels_, K, count, loglik.data(), offset.data(), g);
          for (std::size_t k = 0; k < K; ++k)
            for (std::size_t lane = 0; lane < count; ++lane) sum.mass[k] += g[k * simd::lanes + lane];
          executor_.checkpoint();
        }
        // sum gamma y y' = Y'Y with rows y sqrt(gamma)
        const std::size_t depth = n_blocks * simd::lanes;
        for (std::size_t k = 0; k < K; ++k) {
          for (std::size_t i = 0; i < n_blocks; ++i) {
            double root[simd::lanes];
            const double* g = gamma.data() + (i * K + k) * simd::lanes;
            for (std::size_t lane = 0; lane < simd::lanes; ++lane) root[lane] = std::sqrt(g[lane]);
            const double* y = columns_.data() + (from + i) * R_ * simd::lanes;
            for (std::size_t r = 0; r < R_; ++r)
              for (std::size_t lane = 0; lane < simd::lanes; ++lane)
                scaled[r * depth + i * simd::lanes + lane] = root[lane] * y[r * simd::lanes + lane];
          }
          kernels_.gram_wide(depth, R_, scaled.data(), sum.moments.data() + k * R_ * R_);
        }
      }
    });
    Expectation out;
    out.mass.assign(K, 0.0);
    std::vector<double> moments(K * R_ * R_, 0.0);
    for (const Partial& p : partial) {
      out.loglik += p.loglik;
      for (std::size_t k = 0; k < K; ++k) out.mass[k] += p.mass[k];
      for (std::size_t i = 0; i < moments.size(); ++i) moments[i] += p.moments[i];
    }
    for (std::size_t k = 0; k < K; ++k) {
      const arma::mat triangle(moments.data() + k * R_ * R_, R_, R_);  // row-major upper: the lower one here
      out.moments.push_back(arma::symmatl(triangle));
    }
    return out;
  }

 private:
  const simd::KernelTable& kernels_;
  Executor& executor_;
  std::size_t n_, R_;
  Chunks chunks_;
  Buffer<double> columns_;  // [block][condition][lane]
};

// E-step when the noise differs by effect or conditions are missing: moments are sum gamma (x x' - A^-1).
class RowwiseExpectation {
 public:
  RowwiseExpectation(const NoiseModel& noise, Executor& executor)
      : kernels_(simd::kernels()), executor_(executor), noise_(noise), R_(noise.effects().n_conditions) {
    const auto& missing = noise.all_missing();
    for (std::size_t j = 0, next = 0; j < noise.effects().n_effects; ++j) {
      if (next < missing.size() && missing[next] == j)
        ++next;
      else
        effects_.push_back(j);
    }
  }

  Expectation operator()(const std::vector<arma::mat>& U, const std::vector<double>& weights) {
    const std::size_t K = U.size(), R = R_, W = kernels_.width, packed = R * (R + 1) / 2;
    const Effects& e = noise_.effects();
    const std::vector<double> offset = logarithms(weights);
    const Chunks chunks(effects_.size());
    struct Partial {
      double loglik = 0.0;
      std::vector<double> mass, moments;
    };
    std::vector<Partial> partial(chunks.count);
    const double work = 2.0 * static_cast<double>(effects_.size() * K * R) * static_cast<double>(R * R);
    executor_.run(chunks.count, work, [&](std::size_t chunk, std::size_t) {
      Partial& sum = partial[chunk];
      sum.mass.assign(K, 0.0);
      sum.moments.assign(K * packed, 0.0);
      Buffer<double> y(R * W), shat(R * W), observed(R * W), work_space(packed * W), inverse(K * packed * W),
          x(K * R * W), loglik(K * simd::lanes), gamma(K * simd::lanes), moments(K * packed * W);
      std::fill(moments.data(), moments.data() + K * packed * W, 0.0);
      std::fill(loglik.data(), loglik.data() + K * simd::lanes, 0.0);
      const std::size_t end = std::min(effects_.size(), (chunk + 1) * chunks.per_chunk * block_effects);
      for (std::size_t from = chunk * chunks.per_chunk * block_effects; from < end; from += W) {
        executor_.checkpoint();
        const std::size_t count = std::min(W, end - from);
        double constant[simd::lanes];
        for (std::size_t lane = 0; lane < W; ++lane) {
          const std::size_t j = effects_[from + std::min(lane, count - 1)];
          constant[lane] = 0.0;
          for (std::size_t r = 0; r < R; ++r) {
            const bool seen = e.observed(j, r);
            observed[r * W + lane] = seen;
            y[r * W + lane] = seen ? e.b(j, r) : 0.0;
            shat[r * W + lane] = seen ? e.s(j, r) : 0.0;
            if (seen) constant[lane] -= 0.91893853320467274178;
          }
        }
        for (std::size_t k = 0; k < K; ++k) {
          double* out = loglik.data() + k * simd::lanes;
          kernels_.rowwise_inverse(R, noise_.correlation().memptr(), U[k].memptr(), shat.data(), observed.data(),
                                   y.data(), work_space.data(), inverse.data() + k * packed * W, x.data() + k * R * W,
                                   out);
          for (std::size_t lane = 0; lane < W; ++lane) out[lane] += constant[lane];
        }
        sum.loglik += responsibilities(kernels_, K, count, loglik.data(), offset.data(), gamma.data());
        for (std::size_t k = 0; k < K; ++k) {
          for (std::size_t lane = 0; lane < count; ++lane) sum.mass[k] += gamma[k * simd::lanes + lane];
          kernels_.rowwise_moment(R, observed.data(), inverse.data() + k * packed * W, x.data() + k * R * W,
                                  gamma.data() + k * simd::lanes, moments.data() + k * packed * W);
        }
      }
      for (std::size_t i = 0; i < K * packed; ++i)
        for (std::size_t lane = 0; lane < W; ++lane) sum.moments[i] += moments[i * W + lane];
    });
    Expectation out;
    out.mass.assign(K, 0.0);
    std::vector<double> moments(K * packed, 0.0);
    for (const Partial& p : partial) {
      out.loglik += p.loglik;
      for (std::size_t k = 0; k < K; ++k) out.mass[k] += p.mass[k];
      for (std::size_t i = 0; i < moments.size(); ++i) moments[i] += p.moments[i];
    }
    if (!std::isfinite(out.loglik)) throw numeric_error("the log-likelihood of the deconvolution is not finite");
    for (std::size_t k = 0; k < K; ++k) {
      arma::mat D(R, R);
      for (std::size_t r = 0; r < R; ++r)
        for (std::size_t c = 0; c <= r; ++c) D(r, c) = D(c, r) = moments[k * packed + r * (r + 1) / 2 + c];
      out.moments.push_back(std::move(D));
    }
    return out;
  }

  std::size_t n_effects() const { return effects_.size(); }

 private:
  const simd::KernelTable& kernels_;
  Executor& executor_;
  const NoiseModel& noise_;
  std::size_t R_;
  std::vector<std::size_t> effects_;
};

}  // namespace detail

inline DeconvolutionResult extreme_deconvolution(const NoiseModel& noise, std::vector<arma::mat> covariances,
                                                 std::vector<double> weights, const DeconvolutionOptions& options,
                                                 Executor& executor) {
  const std::size_t K = covariances.size(), R = noise.effects().n_conditions;
  require(K > 0 && weights.size() == K, "there must be one weight for each covariance matrix");
  require(noise.n_observed_effects() > 0, "no effect has an observed condition");
  std::vector<arma::mat> factors;
  for (const auto& U : covariances) {
    require(U.n_rows == R && U.n_cols == R, "covariance matrices must have one row for each condition");
    factors.push_back(recognise(U).whole_factor());
  }
  const bool common = noise.common();
  arma::mat V;
  std::vector<detail::CommonExpectation> common_step;
  detail::RowwiseExpectation rowwise_step(noise, executor);
  if (common) {
    const Effects& e = noise.effects();
    arma::vec s(R);
    for (std::size_t r = 0; r < R; ++r) s[r] = e.s(0, r);
    V = noise.correlation() % (s * s.t());
    arma::mat Y(R, e.n_effects);
    for (std::size_t j = 0; j < e.n_effects; ++j)
      for (std::size_t r = 0; r < R; ++r) Y(r, j) = e.b(j, r);
    common_step.emplace_back(Y, executor);
  }

  DeconvolutionResult result;
  const double n = static_cast<double>(noise.n_observed_effects());
  double previous = -std::numeric_limits<double>::infinity();
  while (result.iterations < options.max_iterations) {
    result.iterations += 1.0;
    std::vector<arma::mat> total;
    if (common)
      for (const auto& U : covariances) total.push_back(V + U);
    const detail::Expectation e = common ? common_step[0](total, weights) : rowwise_step(covariances, weights);
    for (std::size_t k = 0; k < K; ++k) {
      if (!options.fix_weights) weights[k] = e.mass[k] / n;
      const bool fixed = !options.fix_covariance.empty() && options.fix_covariance[k];
      if (fixed || e.mass[k] < std::numeric_limits<double>::min()) continue;
      arma::mat D = e.moments[k] / e.mass[k];
      if (common) {
        const arma::mat inverse = arma::inv_sympd(total[k]);
        D = inverse * D * inverse - inverse;
      }
      arma::mat A = factors[k].t() * arma::symmatu(D) * factors[k];
      A.diag() += 1.0;
      arma::mat L;
      if (!arma::chol(L, arma::symmatu(A), "lower"))
        throw numeric_error("the update of covariance matrix " + std::to_string(k + 1) + " is not positive definite");
      factors[k] = factors[k] * L;
      covariances[k] = factors[k] * factors[k].t();
      if (options.ridge > 0.0) {
        covariances[k] *= e.mass[k] / (e.mass[k] + 1.0);
        covariances[k].diag() += options.ridge / (e.mass[k] + 1.0);
        factors[k] = arma::chol(covariances[k], "lower");
      }
    }
    result.mean_loglik = e.loglik / n;
    if (result.mean_loglik - previous <= options.tolerance) {
      result.converged = true;
      break;
    }
    previous = result.mean_loglik;
  }
  result.weights = std::move(weights);
  result.covariances = std::move(covariances);
  return result;
}

struct TruncatedOptions {
  double max_iterations = 5000;
  double tolerance = 1e-7;         // on the largest change of a weight
  double eigenvalue_floor = 1e-7;  // eigenvalues of U below become this
};

struct TruncatedResult {
  std::vector<double> weights;
  std::vector<arma::mat> covariances;
  std::vector<double> loglik, change;  // by iteration
  bool converged = false;
};

// Z: R x n whitened effects, one a column.
inline TruncatedResult truncated_deconvolution(const arma::mat& Z, std::vector<arma::mat> covariances,
                                               std::vector<double> weights, const TruncatedOptions& options,
                                               Executor& executor) {
  const std::size_t K = covariances.size();
  require(K > 0 && weights.size() == K, "there must be one weight for each covariance matrix");
  require(Z.n_cols > 0, "there is no effect to learn from");
  std::vector<arma::mat> total;
  for (const auto& U : covariances) {
    require(U.n_rows == Z.n_rows && U.n_cols == Z.n_rows, "covariance matrices must have one row for each condition");
    total.push_back(U + arma::eye(Z.n_rows, Z.n_rows));
  }
  detail::CommonExpectation expectation(Z, executor);
  TruncatedResult result;
  for (double iteration = 0; iteration < options.max_iterations && !result.converged; iteration += 1.0) {
    const detail::Expectation e = expectation(total, weights);
    double change = 0.0;
    for (std::size_t k = 0; k < K; ++k) {
      const double updated = e.mass[k] / static_cast<double>(Z.n_cols);
      change = std::max(change, std::fabs(updated - weights[k]));
      weights[k] = updated;
      if (e.mass[k] < std::numeric_limits<double>::min()) continue;
      arma::vec values;
      arma::mat vectors;
      if (!arma::eig_sym(values, vectors, e.moments[k] / e.mass[k]))
        throw numeric_error("the eigenvalues of component " + std::to_string(k + 1) + " could not be computed");
      for (double& v : values)
        if (v <= 1.0) v = 1.0 + options.eigenvalue_floor;
      total[k] = arma::symmatu(vectors * arma::diagmat(values) * vectors.t());
    }
    result.loglik.push_back(e.loglik);
    result.change.push_back(change);
    result.converged = change < options.tolerance;
  }
  for (auto& T : total) {
    T.diag() -= 1.0;
    result.covariances.push_back(std::move(T));
  }
  result.weights = std::move(weights);
  return result;
}

}  // namespace covmash
