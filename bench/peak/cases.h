#pragma once
// The kernels with the sizes they are measured at. To add one: a line `add(...)` in the function of its topic.
//
// Work is counted by formula, per effect: a multiply-add is 2 flops; an addition, multiplication, division, square
// root, minimum or maximum is 1; comparisons and integer operations are 0. The elementary functions are counted as
// their polynomials in simd/register.inc are written. Bytes are what a kernel must read and write once.

#include <covmash/base/buffer.h>
#include <covmash/base/executor.h>
#include <covmash/linalg/jacobi.h>
#include <covmash/model/noise.h>
#include <covmash/linalg/quadratic.h>
#include <covmash/simd/dispatch.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace peak {

using covmash::simd::KernelTable;
using covmash::simd::lanes;

constexpr double exp_flops = 36.0;        // 16 multiply-adds, 4 others
constexpr double float_exp_flops = 14.0;  // 2 multiply-adds and 2 others in double, 6 and 4 in float, which count half
constexpr double log_flops = 28.0;        // 9 multiply-adds, 10 others (one division)
constexpr double tail_flops = 108.0;      // Phi: 23 + 4 multiply-adds and exp, 18 others (one division)
constexpr double merge_flops = 8.0;       // one Gaussian or point mass joins mean and centred sum of squares
constexpr double gaussian_flops = merge_flops + tail_flops + 6.0;
constexpr double step_flops = 3.0;

struct Case {
  std::string name, size;
  double flops, bytes, working_set;  // a call
  bool in_float;
  std::function<void()> run;
  double divisions = 0.0, roots = 0.0;  // also counted as flops; they have a unit of their own, which is slow

  void divide(double n_divisions, double n_roots = 0.0) {
    divisions = n_divisions;
    roots = n_roots;
  }
};

// Sizes of one problem: R conditions, rank q, scales, covariances, components, columns of the support.
struct Size {
  const char* name;
  std::size_t R, q, scales, components, support;
};

class Cases {
 public:
  std::vector<Case> list;

  explicit Cases(const KernelTable& k) : k_(k) {
    for (const Size& s : {Size{"R 5", 5, 5, 17, 273, 24}, Size{"R 44", 44, 44, 17, 1038, 96}}) {
      products(s);
      shared_likelihood(s);
      elementary(s);
      posterior(s);
      row_specific(s);
      grouped(s);
      mixture_weights(s);
      deconvolution(s);
    }
    decompositions();
  }

 private:
  static double d(std::size_t n) { return static_cast<double>(n); }

  // Numbers in [low, high], kept as long as the cases.
  double* numbers(std::size_t n, double low = 0.1, double high = 1.0) {
    return fill(doubles_.emplace_back(n).data(), n, low, high);
  }
  // 0, ..., n - 1
  std::size_t* indices(std::size_t n) {
    auto& out = indices_.emplace_back(n);
    for (std::size_t i = 0; i < n; ++i) out[i] = i;
    return out.data();
  }
  float* floats(std::size_t n) { return fill(floats_.emplace_back(n).data(), n, 0.1, 1.0); }

  template <typename T>
  T* fill(T* x, std::size_t n, double low, double high) {
    for (std::size_t i = 0; i < n; ++i) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      x[i] = static_cast<T>(low + (high - low) * static_cast<double>(state_ >> 11) / 9007199254740992.0);
    }
    return x;
  }

  // The working set is what the kernel touches unless said otherwise.
  Case& add(const char* name, const std::string& size, double flops, double bytes, std::function<void()> run,
            double working_set = 0.0, bool in_float = false) {
    list.push_back({name, size, flops, bytes, working_set > 0.0 ? working_set : bytes, in_float, std::move(run)});
    return list.back();
  }

  void products(const Size& s) {
    const KernelTable& k = k_;
    const std::size_t R = s.R, q = s.q, L = s.scales, n = 64;
    double *A = numbers(R * q), *X = numbers(q * n), *Y = numbers(R * n);
    add("multiply", s.name, 2.0 * n * d(R * q), 8.0 * (n * d(R + q) + d(R * q)),
        [=, &k] { k.multiply(R, q, A, X, Y); });
    double *S = numbers(L * q), *Q = numbers(L * n);
    add("multiply, scales", s.name, 2.0 * n * d(L * q), 8.0 * (n * d(L + q) + d(L * q)),
        [=, &k] { k.multiply(L, q, S, X, Q); });
    // The identity as factor: repeated solving then leaves the numbers as they are.
    double *factor = numbers(R * R, 0.0, 0.0), *Z = numbers(R * n);
    for (std::size_t i = 0; i < R; ++i) factor[i * R + i] = 1.0;
    add("solve_lower", s.name, n * d(R * R), 8.0 * (2.0 * n * d(R) + d(R * R) / 2), [=, &k] {
      k.solve_lower(R, factor, Z);
    }).divide(d(R));
    double* sum = numbers(n);
    add("add_squares", s.name, 2.0 * n * d(R), 8.0 * n * d(R + 2), [=, &k] { k.add_squares(R, X, sum); });
    add("residual_squares", s.name, 3.0 * n * d(R), 8.0 * n * d(2 * R + 1),
        [=, &k] { k.residual_squares(R, X, Y, sum); });
    add("exclusive_squares", s.name, 6.0 * n * d(R), 8.0 * n * d(3 * R), [=, &k] { k.exclusive_squares(R, X, Y); });
    add("square", s.name, n * d(q), 16.0 * n * d(q), [=, &k] { k.square(q * 64, X, Y); });
  }

  void shared_likelihood(const Size& s) {
    const KernelTable& k = k_;
    const std::size_t q = s.q, L = s.scales;
    const double n = 64;
    double *dd = numbers(q), *w = numbers(L), *shrink = numbers(L * q), *ld = numbers(L);
    // One vector wide: `width` effects are computed to get one.
    add("shared_tables", s.name, d(k.width) * d(L) * (4.0 * d(q) + log_flops + 2.0), 8.0 * d(L * q + q), [=, &k] {
      k.shared_tables(q, dd, 1.0, 1.3, L, w, shrink, ld);
    }).divide(d(k.width) * d(L) * d(q + 1));
    double *c2 = numbers(64), *lane_shrink = numbers(L * q * 64), *lane_ld = numbers(L * 64);
    add("lane_tables", s.name, n * d(L) * (5.0 * d(q) + log_flops + 2.0), 8.0 * n * d(L * (q + 1)), [=, &k] {
      k.lane_tables(q, dd, 1.0, c2, L, w, lane_shrink, lane_ld);
    }).divide(n * d(L) * d(q + 1));
    double *t2 = numbers(q * 64), *constant = numbers(64), *out = numbers(L * 64);
    add("shared_loglik", s.name, n * d(L) * (2.0 * d(q) + 3.0), 8.0 * (n * d(q + L + 1) + d(L * q)),
        [=, &k] { k.shared_loglik(q, L, shrink, t2, constant, ld, out); });
    add("lane_loglik", s.name, n * d(L) * (2.0 * d(q) + 4.0), 8.0 * n * d(L * q + q + 2 * L),
        [=, &k] { k.lane_loglik(q, L, lane_shrink, t2, constant, lane_ld, out); });

    const std::size_t P = s.components;
    double *loglik = numbers(P * 64, -40.0, 0.0), *offset = numbers(P, -9.0, 0.0), *maximum = numbers(64),
           *weight = numbers(P * 64), *total = numbers(64);
    float* relative = floats(P * 64);
    add("block_maximum", s.name, 2.0 * n * d(P), 8.0 * n * d(P),
        [=, &k] { k.block_maximum(P, loglik, offset, maximum, 0, 64); });
    add("block_exponentials", s.name, n * d(P) * (exp_flops + 3.0), 16.0 * n * d(P),
        [=, &k] { k.block_exponentials(P, loglik, offset, maximum, weight, total, 0, 64); });
    add("relative_likelihood", s.name, n * d(P) * (float_exp_flops + 1.0), 12.0 * n * d(P),
        [=, &k] { k.relative_likelihood(P, loglik, maximum, relative); });
  }

  void elementary(const Size& s) {
    if (s.R != 5) return;  // the size does not matter
    const KernelTable& k = k_;
    const std::size_t n = 1024;
    double *x = numbers(n, 0.1, 30.0), *y = numbers(n), *e = numbers(n, -40.0, 2.0);
    add("logarithms", "1024", log_flops * d(n), 16.0 * d(n), [=, &k] { k.logarithms(n, x, y); }).divide(d(n));
    add("exponentials", "1024", exp_flops * d(n), 16.0 * d(n), [=, &k] { k.exponentials(n, e, y); });
    add("normal_tails", "1024", tail_flops * d(n), 16.0 * d(n), [=, &k] { k.normal_tails(n, x, y); }).divide(d(n));
  }

  covmash::simd::Moments moments(std::size_t R) {
    return {numbers(R * 64), numbers(R * 64), numbers(R * 64), numbers(R * 64), numbers(R * 64)};
  }

  void posterior(const Size& s) {
    const KernelTable& k = k_;
    const std::size_t R = s.R, q = s.q, L = s.scales;
    const double n = 64, W = d(k.width);
    const auto state = moments(R);
    double *rho = numbers(L * 64), *total = numbers(64);
    add("posterior_null", s.name, n * (step_flops + (merge_flops + 1.0) * d(R)), 8.0 * n * 6.0 * d(R), [=, &k] {
      k.posterior_null(R, rho, total, state);
    }).divide(n);
    add("pack_null", s.name, W * (step_flops + (merge_flops + 1.0) * d(R)), 8.0 * W * 6.0 * d(R), [=, &k] {
      k.pack_null(R, rho, total, state);
    }).divide(W);
    double *f = numbers(R), *c = numbers(64), *t = numbers(q * 64), *w = numbers(L), *shrink = numbers(L * q);
    add("posterior_rank1", s.name, n * (2.0 + d(L) * (tail_flops + 18.0) + step_flops + (merge_flops + 3.0) * d(R)),
        8.0 * n * (d(L) + 8.0 * d(R)),
        [=, &k] { k.posterior_rank1(R, f, 1.1, c, t, L, w, shrink, 1, false, rho, total, state); })
        .divide(n * (3.0 * d(L) + 1.0), n * d(L));
    double *sigma = numbers(q), *coef = numbers(q * 64), *variance = numbers(q * 64);
    add("eigenbasis_posterior", s.name, n * 4.0 * d(q), 8.0 * n * 3.0 * d(q),
        [=, &k] { k.eigenbasis_posterior(q, q, sigma, c, t, 0.7, shrink, false, coef, variance); });
    auto& none = flags_.emplace_back(R, 0);
    const unsigned char* zero = none.data();
    double *mean = numbers(R * 64), *lane_variance = numbers(R * 64), *one_variance = numbers(R);
    add("posterior_full", s.name, n * (step_flops + gaussian_flops * d(R)), 8.0 * n * 9.0 * d(R), [=, &k] {
      k.posterior_full(R, zero, mean, one_variance, false, rho, total, state);
    }).divide(n * d(R + 1) + W * d(R), W * d(R));
    add("posterior_full, by lane", s.name, n * (step_flops + (gaussian_flops + 3.0) * d(R)), 8.0 * n * 10.0 * d(R),
        [=, &k] { k.posterior_full(R, zero, mean, lane_variance, true, rho, total, state); })
        .divide(n * d(2 * R + 1), n * d(R));
    double *sd = numbers(R * 64), *lfsr = numbers(R * 64);
    add("finish_posterior", s.name, n * 6.0 * d(R), 8.0 * n * 6.0 * d(R), [=, &k] {
      k.finish_posterior(R, total, state, sd, lfsr);
    }).divide(n * d(R), n * d(R));
  }

  // One pack: `width` effects.
  void row_specific(const Size& s) {
    const KernelTable& k = k_;
    const std::size_t R = s.R, L = s.scales, W = k.width;
    double *shat = numbers(R * W), *z = numbers(R * W), *w = numbers(L), *constant = numbers(W), *zeta = numbers(W);
    auto& none = flags_.emplace_back(R, 0);
    const unsigned char* zero = none.data();
    double *a = numbers(R), *gain = numbers(R * W), *new_shat = numbers(R * W), *new_z = numbers(R * W),
           *new_constant = numbers(W);
    add("rowwise_absorb", s.name, d(W) * (7.0 * d(R) + log_flops), 8.0 * d(W) * 5.0 * d(R), [=, &k] {
      k.rowwise_absorb(R, a, 0.7, shat, z, constant, gain, new_shat, new_z, new_constant);
    }).divide(d(W) * d(R + 1), d(W) * d(R));
    for (std::size_t q : {std::size_t(1), s.q}) {
      const std::string size = std::string(s.name) + ", rank " + std::to_string(q);
      double *F = numbers(R * q), *work = numbers((R * q + 3 * R + q) * W), *alpha = numbers(q * W),
             *beta = numbers(q * W), *back = numbers(R * q * W);
      // Whitening, the reflector from z and both reflectors of every column.
      double flops = d(R * q) + 2.0 * d(R) + 4.0 * d(R * q), flops_back = 0.0;
      if (q == 1) flops = d(R) + 8.0 * d(R);
      for (std::size_t i = 0; q > 1 && i < q; ++i) {
        flops += 4.0 * d(q - i) * d(R - i - 1) + 4.0 * d(R - i - 1) * d(q - i - 1) + 2.0 * d(R + q - 2 * i);
        if (i + 1 < q) flops_back += 4.0 * d(R) * d(q - i);
      }
      const double bytes = 8.0 * d(W) * (d(R * q) + 4.0 * d(R) + 2.0 * d(q)), touched = 2.0 * bytes;
      add(
          "rowwise_decompose", size, d(W) * flops, bytes,
          [=, &k] { k.rowwise_decompose(R, q, F, shat, nullptr, z, work, alpha, beta, zeta, nullptr, {}); }, touched)
          .divide(d(W) * (q == 1 ? 1.0 : d(2 * q + 1)), d(W) * (q == 1 ? 2.0 : d(2 * q + 1)));
      if (q > 1)
        add(
            "rowwise_decompose, posterior", size, d(W) * (flops + flops_back), 2.0 * bytes,
            [=, &k] { k.rowwise_decompose(R, q, F, shat, nullptr, z, work, alpha, beta, zeta, back, {}); }, 2.0 * touched)
            .divide(d(W) * d(2 * q + 1), d(W) * d(2 * q + 1));
      double* loglik = numbers(L * 64);
      add("rowwise_loglik", size, d(W) * d(L) * (8.0 * d(q) + log_flops + 7.0), 8.0 * d(W) * d(2 * q + L), [=, &k] {
        k.rowwise_loglik(q, alpha, beta, zeta, constant, L, w, loglik, 64);
      }).divide(d(W) * 2.0 * d(L));
      const auto state = moments(R);
      double *rho = numbers(L * 64), *total = numbers(64), *space = numbers(3 * q * W);
      double scale_flops = 12.0 * d(q) + 2.0 * d(q) + step_flops + d(R) * (7.0 * d(q) + 4.0 + gaussian_flops);
      if (q == 1) scale_flops = 5.0 + tail_flops + 18.0 + (step_flops + (merge_flops + 3.0) * d(R)) / d(L);
      add("rowwise_posterior", size, d(W) * d(L) * scale_flops, 8.0 * d(W) * (d(R * q) + 10.0 * d(R) + 4.0 * d(q)),
          [=, &k] {
            k.rowwise_posterior(R, q, F, zero, alpha, beta, zeta, back, nullptr, L, w, rho, space, total, state);
          })
          .divide(d(W) * d(L) * (q == 1 ? 4.0 : d(q + 1 + 2 * R)), d(W) * d(L) * (q == 1 ? 1.0 : d(R)));
    }
  }

  // Noise that a few effects share: the form of `width` groups, one block of one of them.
  void grouped(const Size& s) {
    const KernelTable& k = k_;
    const std::size_t m = s.R, q = s.q, L = s.scales, W = k.width, n = std::min(m, q + 1), N = std::max(n, q);
    const std::size_t padded = (m + W - 1) / W * W, reflectors = std::min(q, m - 1);
    double *F = numbers(m * q), *shat = numbers(m * W), *G = numbers(m * q * W), *work = numbers((3 * m + q) * W),
           *alpha = numbers(N * W), *beta = numbers(N * W), *tau = numbers(N * W), *back = numbers(m * q * W);
    // Whitening and both reflectors of every column.
    double flops = d(m * q), flops_back = 0.0, reflect = 0.0;
    for (std::size_t i = 0; i < q; ++i) {
      flops += 4.0 * d(q - i) * d(m - i - 1) + 4.0 * d(m - i - 1) * d(q - i - 1) + 2.0 * d(m + q - 2 * i);
      if (i + 1 < q) flops_back += 4.0 * d(m) * d(q - i);
      if (i < reflectors) reflect += 4.0 * d(m - i - 1) + 1.0;
    }
    const double bytes = 8.0 * d(W) * d(m * q + m + 3 * q), touched = bytes + 24.0 * d(W * m);
    add(
        "group_decompose", s.name, d(W) * flops, bytes,
        [=, &k] { k.group_decompose(m, q, F, shat, nullptr, G, work, alpha, beta, tau, nullptr, {}); }, touched)
        .divide(d(W) * d(2 * q), d(W) * d(2 * q));
    add(
        "group_decompose, posterior", s.name, d(W) * (flops + flops_back), bytes + 8.0 * d(W * m * q),
        [=, &k] { k.group_decompose(m, q, F, shat, nullptr, G, work, alpha, beta, tau, back, {}); },
        touched + 8.0 * d(W * m * q))
        .divide(d(W) * d(2 * q), d(W) * d(2 * q));

    // True reflections, tau = 2 / |v|^2: repeated, they leave the numbers as large as they are.
    double *V = numbers(m * q), *t = numbers(m * 64), *one_tau = numbers(q);
    for (std::size_t i = 0; i < reflectors; ++i) {
      double squares = 0.0;
      for (std::size_t r = i + 1; r < m; ++r) squares += V[i * m + r] * V[i * m + r];
      one_tau[i] = 2.0 / squares;
    }
    const double effects = 64;
    add("group_reflect", s.name, effects * reflect, 8.0 * (2.0 * effects * d(m) + d(m * q) / 2),
        [=, &k] { k.group_reflect(m, reflectors, V, one_tau, t, 0, 64); });

    // One group: the lanes are scales, whole registers of them.
    const double scales = d((L + W - 1) / W * W);
    double *a = numbers(N), *b = numbers(N), *w = numbers(L), *link = numbers(L * n), *inverse = numbers(L * n),
           *kappa = numbers(L * n), *log_det = numbers(L);
    add("group_tables", s.name, scales * (12.0 * d(n) + log_flops + 2.0), 8.0 * d(2 * n + L * (3 * n + 1)), [=, &k] {
      k.group_tables(n, a, b, 1.3, L, w, link, inverse, kappa, log_det);
    }).divide(scales * d(n + 1));

    double *X = numbers(m * 64), *rest = numbers(64), *constant = numbers(64), *out = numbers(L * 64), *c = numbers(64),
           *c2 = numbers(64);
    add("group_loglik", s.name, effects * d(L) * (5.0 * d(n) + 1.0), 8.0 * (effects * d(n + L + 2) + d(2 * L * n)),
        [=, &k] { k.group_loglik(n, L, link, inverse, log_det, X, rest, constant, out, 0, 64); });
    add("group_lane_loglik", s.name, effects * d(L) * (17.0 * d(n) + log_flops + 6.0), 8.0 * effects * d(n + L + 3),
        [=, &k] { k.group_lane_loglik(n, a, b, c2, L, w, X, rest, constant, out, 0, 64); })
        .divide(effects * d(L) * d(n + 1));

    // One scale.
    double *space = numbers(3 * N * W), *coef = numbers(N * 64), *variance = numbers(padded),
           *lane_variance = numbers(m * 64), *columns = numbers(q * padded);
    add("group_coordinates", s.name, effects * (10.0 * d(n) + 1.0), 8.0 * (effects * d(n + N + 1) + d(4 * n)),
        [=, &k] { k.group_coordinates(n, q, a, b, link, inverse, kappa, c, c2, 0.7, X, space, coef, 0, 64); });
    add("group_coordinates, by lane", s.name, effects * (21.0 * d(n) + 2.0), 8.0 * effects * d(n + N + 2), [=, &k] {
      k.group_coordinates(n, q, a, b, nullptr, nullptr, nullptr, c, c2, 0.7, X, space, coef, 0, 64);
    }).divide(effects * d(n));
    add("group_variance", s.name, 5.0 * d(padded * q) + 10.0 * d(q), 8.0 * d(padded * (q + 1)), [=, &k] {
      k.group_variance(m, q, a, b, 1.3, 0.7, columns, padded, space, variance);
    }).divide(d(q));
    add("group_lane_variance", s.name, effects * (5.0 * d(m * q) + 12.0 * d(q)), 8.0 * (effects * d(m) + d(m * q)),
        [=, &k] { k.group_lane_variance(m, q, a, b, c2, 0.7, columns, padded, space, lane_variance, 0, 64); })
        .divide(effects * d(q));

    // Rank 1: the form of each effect from the whitened vector of its group.
    double *along = numbers(64), *across = numbers(64), *length = numbers(64);
    add("group_vector", s.name, effects * (8.0 * d(m) + 7.0), 8.0 * (effects * d(m + 4) + d(m)), [=, &k] {
      k.group_vector(m, F, c, X, along, across, length, 0, 64);
    }).divide(effects, effects * 2.0);
  }

  // One block in cache, and many, which come from memory as in a fit.
  void mixture_weights(const Size& s) {
    const KernelTable& k = k_;
    const std::size_t P = s.components, n = s.support, in_memory = 200000000 / (P * 64 * 4);
    // The support's columns, spread over the block as in a fit with few of them.
    std::vector<const float*>& columns = columns_.emplace_back(n);
    const auto pointers = [&columns, n, P](const float* block) {
      for (std::size_t i = 0; i < n; ++i) columns[i] = block + i * P / n * 64;
      return columns.data();
    };
    float* L = floats(in_memory * P * 64);
    double *x = numbers(P), *u = numbers(64), *ratio = numbers(64), *sums = numbers(P * 8);
    for (std::size_t blocks : {std::size_t(1), in_memory}) {
      const std::string size = std::string(s.name) + (blocks == 1 ? "" : ", memory");
      const double values = 64.0 * d(blocks);
      const double all = 4.0 * values * d(P), chosen = 4.0 * values * d(n);
      const auto each = [=](auto run) {
        return [=] {
          for (std::size_t b = 0; b < blocks; ++b) run(L + b * P * 64);
        };
      };
      add("mixture_density, support", size, 2.0 * values * d(n), chosen,
          each([=, &k](const float* block) { k.mixture_density(n, pointers(block), x, u); }), all);
      add("mixture_gradient", size, 2.0 * values * d(P), all,
          each([=, &k](const float* block) { k.mixture_gradient(P, block, ratio, sums); }), all);
      add("support_gradient", size, 2.0 * values * d(n), chosen,
          each([=, &k](const float* block) { k.support_gradient(n, pointers(block), ratio, sums); }), all);
    }
    const std::size_t depth = 16 * 64;  // a panel of 16 blocks
    float* Y = floats(depth * n);
    double *Y_wide = numbers(depth * n), *H = numbers(n * n);
    add("scaled_support", s.name, 64.0 * d(n), 64.0 * 8.0 * d(n),
        [=, &k] { k.scaled_support(n, pointers(L), ratio, depth, Y, sums); });
    add("scaled_support_wide", s.name, 64.0 * d(n), 64.0 * 12.0 * d(n),
        [=, &k] { k.scaled_support_wide(n, pointers(L), ratio, depth, Y_wide, sums); });
    add(
        "gram_float", s.name, d(depth) * d(n * (n + 1)), 4.0 * d(depth * n), [=, &k] { k.gram_float(depth, n, Y, H); },
        0.0, true);
    add("gram_wide", s.name, d(depth) * d(n * (n + 1)), 8.0 * d(depth * n),
        [=, &k] { k.gram_wide(depth, n, Y_wide, H); });
  }

  void deconvolution(const Size& s) {
    const KernelTable& k = k_;
    const std::size_t R = s.R, W = k.width, packed = R * (R + 1) / 2, n = 64 / W;
    double *C = numbers(R * R, 0.0, 0.0), *U = numbers(R * R, 0.0, 0.0);
    for (std::size_t r = 0; r < R; ++r) C[r * R + r] = U[r * R + r] = 1.0;
    std::size_t* every = indices(R);
    double *shat = numbers(R * W), *A = numbers(packed * W), *L = numbers(packed * W), *out = numbers(64 * W),
           *N = numbers(R * (R + 5) / 2 * W), *z = numbers(R * W), *x = numbers(R * W), *D = numbers(packed * W),
           *gamma = numbers(64), *block = numbers(R * 64), *scaled = numbers(4 * 64);
    k.pack_noisy_covariance(R, every, R, C, U, shat, A);
    std::copy_n(A, packed * W, L);
    k.pack_cholesky(R, L, out, {});
    k.pack_inverse(R, shat, L, N, {});
    const double r = d(R), w = d(W), triangle = 8.0 * w * d(packed);
    add("pack_noisy_covariance", s.name, w * 3.0 * d(packed), triangle,
        [=, &k] { k.pack_noisy_covariance(R, every, R, C, U, shat, A); });
    add("pack_cholesky", s.name, w * (r * r * r / 3.0 + r * log_flops), 2.0 * triangle, [=, &k] {
      std::copy_n(A, packed * W, L);
      k.pack_cholesky(R, L, out, {});
    }).divide(w * 2.0 * r, w * r);
    add("pack_forward", s.name, w * (r * r + 2.0 * r), triangle, [=, &k] { k.pack_forward(R, 1, L, z, out); });
    add("pack_inverse", s.name, w * r * r * r / 3.0, 2.0 * triangle, [=, &k] { k.pack_inverse(R, shat, L, N, {}); });
    add("pack_backward", s.name, w * r * r, triangle, [=, &k] { k.pack_backward(R, 1, N, z, x); });
    add("pack_add_inverse", s.name, w * r * r * r / 3.0, 3.0 * triangle,
        [=, &k] { k.pack_add_inverse(R, every, N, gamma, D, {}); });
    add("add_weighted_squares", std::string(s.name) + ", pack", w * (r * r + r), 2.0 * triangle,
        [=, &k] { k.add_weighted_squares(R, 1, every, gamma, x, W, R * W, scaled, D); });
    add("add_weighted_squares", std::string(s.name) + ", block", 64.0 * (r * r + r), 2.0 * triangle + 8.0 * 64.0 * r,
        [=, &k] { k.add_weighted_squares(R, n, every, gamma, block, 64, W, scaled, D); });
    add("add_lanes", s.name, w * d(packed), triangle, [=, &k] { k.add_lanes(packed, D, A); });
  }

  // Plain C++, the same for every instruction set: measured once, against the peak of the baseline.
  void decompositions() {
    if (std::string(k_.name) != "baseline" && std::string(k_.name) != "neon") return;
    for (const std::size_t R : {std::size_t(5), std::size_t(44)}) {
      const std::string size = "R " + std::to_string(R);
      const double r = d(R);
      arma::mat G(R, R);
      fill(G.memptr(), R * R, -1.0, 1.0);
      // Nominal: six sweeps over all pairs, each with three dot products and two rotations.
      add("jacobi_svd", size, 6.0 * r * (r - 1.0) / 2.0 * (6.0 * r + 12.0 * r), 16.0 * r * r,
          [G] { sink = covmash::jacobi_svd(G).sigma[0]; });
      const arma::mat C = G * G.t() + r * arma::eye(R, R);
      auto& all = flags_.emplace_back(R, 1);
      const unsigned char* observed = all.data();
      double* packed = numbers(R * (R + 1) / 2);
      add("embedded_cholesky", size, r * r * r / 3.0, 12.0 * r * r, [=] {
        double log_det;
        covmash::embedded_cholesky(C, observed, packed, &log_det);
        sink = log_det;
      });
      const std::size_t J = 20000;
      double *bhat = numbers(J * R), *varying = numbers(J * R), *one = numbers(J * R, 1.0, 1.0);
      for (const double* shat : {const_cast<const double*>(one), const_cast<const double*>(varying)})
        add("NoiseModel", size + (shat == one ? ", 20000 effects, shared" : ", 20000 effects, row-specific"), 0.0,
            16.0 * d(J * R), [=] {
              const covmash::NoiseModel noise({bhat, shat, J, R}, arma::eye(R, R));
              sink = static_cast<double>(noise.shared().size() + noise.row_specific().size());
            });
    }
    for (const std::size_t n : {std::size_t(24), std::size_t(96)}) {
      arma::mat G(n, n);
      fill(G.memptr(), n * n, -1.0, 1.0);
      const arma::mat H = G * G.t() + d(n) * arma::eye(n, n);
      const arma::vec b(n, arma::fill::value(-1.0)), start(n, arma::fill::value(0.1));
      // All variables free: one factorisation and two solves, by LAPACK.
      add("nonnegative_quadratic", "n " + std::to_string(n), d(n * n) * (d(n) / 3.0 + 6.0), 16.0 * d(n * n),
          [=] { sink = covmash::nonnegative_quadratic(H, b, start)[0]; });
    }
  }

  const KernelTable& k_;
  std::deque<covmash::Buffer<double>> doubles_;
  std::deque<covmash::Buffer<float>> floats_;
  std::deque<std::vector<std::size_t>> indices_;
  std::deque<std::vector<unsigned char>> flags_;
  std::deque<std::vector<const float*>> columns_;
  unsigned long long state_ = 20240601;
};

}  // namespace peak
