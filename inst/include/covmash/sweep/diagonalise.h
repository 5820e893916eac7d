#pragma once
// Diagonalising a covariance U = F F' in whitened coordinates, G = M^-1 F: two plain forms in which every scale w of it is
// cheap.
//
//   spectral     G = Q diag(sigma) W', d = sigma^2, t = Q'z.  A scale is elementwise. 5 to 10 sweeps of 6 R q^2 flops.
//   bidiagonal   G = Q B W' with B lower bidiagonal.          A scale is a recurrence. 8/3 R q^2 flops.
//
// Both keep the way back to effects, F W. The bidiagonal form comes in two kinds: of a group's noise (GroupForms), and of an
// effect's own, which starts at z, so that Q'z is a multiple of the first unit vector (RowForm).

#include <algorithm>
#include <armadillo>
#include <limits>
#include <utility>
#include <vector>

#include "../base/buffer.h"
#include "../linalg/jacobi.h"
#include "../linalg/product.h"
#include "../simd/dispatch.h"
#include "whiten.h"

namespace covmash {

// Matrices row-major for the kernels. The likelihood needs few terms: `explicit_terms` directions one by one, and all
// others together where they share one d: 0 for what a low-rank covariance does not reach, the common value for
// identity-like and equicorrelated ones.
struct Spectral {
  std::size_t rank = 0;              // q, columns of the factor
  std::size_t explicit_terms = 0;    // s <= q, the first ones
  bool has_rest = true;              // directions beyond the explicit ones
  std::vector<double> projection;    // Q' (q x |O|)
  std::vector<double> basis;         // first s columns of Q (|O| x s)
  std::vector<double> sigma;         // q
  std::vector<double> d;             // sigma^2 of the explicit terms, then that of the rest
  double repeat = 1.0;               // how often the last d counts in the determinant
  std::vector<double> back;          // F W (R x q)
  std::vector<double> back_squared;  // R x q
  int axis = -1;                     // the only direction is this observed condition

  std::size_t n_terms() const { return d.size(); }
};

namespace detail {

inline std::vector<double> by_rows(const arma::mat& A) {
  std::vector<double> out(A.n_elem);
  for (arma::uword i = 0; i < A.n_rows; ++i)
    for (arma::uword j = 0; j < A.n_cols; ++j) out[i * A.n_cols + j] = A(i, j);
  return out;
}

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

constexpr arma::uword large_product = 65536;  // entries; the BLAS cannot be interrupted

inline Spectral diagonalise(const arma::mat& factor, const SharedNoise& noise, Executor* executor = nullptr) {
  Spectral out;
  const std::size_t m = noise.observed().size();
  std::size_t q = factor.n_cols;
  if (q == 0) {
    out.d = {0.0};
    return out;
  }
  JacobiSvd svd = jacobi_svd(whiten(factor, noise, executor), executor);
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
  out.projection = detail::by_rows(svd.Q.t());
  out.basis = detail::by_rows(directions);
  out.sigma.assign(svd.sigma.begin(), svd.sigma.end());
  for (std::size_t i = 0; i < out.explicit_terms; ++i) out.d.push_back(svd.sigma[i] * svd.sigma[i]);
  if (out.has_rest) out.d.push_back(rest);
  if (q == 1 && noise.pattern->identity) {
    const arma::uvec nonzero = arma::find(directions.col(0) != 0.0);
    if (nonzero.n_elem == 1) out.axis = static_cast<int>(nonzero[0]);
  }
  const arma::mat B = factor.n_elem < large_product ? factor * svd.W : product(factor, svd.W, executor);
  out.back = detail::by_rows(B);
  out.back_squared = detail::by_rows(arma::square(B));
  return out;
}

// One covariance for one pack of effects with noise of their own.
struct RowForm {
  Buffer<double> work, alpha, beta, zeta, back;  // q packs, q packs, a pack, R q packs

  // keep_back: with the map from coordinates to effects.
  void decompose(const arma::mat& F, const PackNoise& noise, const double* z, bool keep_back,
                 const simd::KernelTable& kernels, const Pulse& pulse = {}) {
    const std::size_t R = F.n_rows, q = F.n_cols, W = kernels.width;
    if (q == 0) return;
    kernels.rowwise_decompose(R, q, F.memptr(), noise.inverse_shat, noise.chol, z,
                              work.require_size((R * q + 3 * R + q) * W), alpha.require_size(q * W),
                              beta.require_size(q * W), zeta.require_size(W),
                              keep_back ? back.require_size(R * q * W) : nullptr, pulse);
  }
};

// One covariance for as many noise groups as a register has lanes, each then on its own; with the factors of I + w B B' at
// every scale where the effects of a group share c. Unobserved conditions are rows of zeros.
struct GroupForms {
  std::size_t key = static_cast<std::size_t>(-1);  // what is in here: see Sweep
  bool has_back = false;
  std::size_t R = 0, q = 0, n = 0, n_scales = 0, padded = 0;  // n: rows of B that are not 0; padded: R in whole packs

  // What a kernel reads of one group.
  struct Group {
    double *reflectors, *left_tau;                // R x q, column i from row i + 1 on; q = 1: M^-1 F
    double *alpha, *beta;                         // max(n, q), 0 from q on
    double *link, *inverse, *kappa, *log_det;     // n a scale; log_det one
    double *back_rows, *back_columns, *variance;  // R x q, q columns of `padded`, n_scales x padded
  };
  std::vector<Group> groups;
  std::vector<unsigned char> variance_known;  // [group * n_scales + scale]

  void decompose(const arma::mat& F, const PackNoise& noise, const std::vector<double>& scales, bool keep_back,
                 const simd::KernelTable& kernels, Buffer<double>& scratch, const Pulse& pulse = {}) {
    const std::size_t W = kernels.width;
    R = F.n_rows;
    q = F.n_cols;
    n = std::min(R, q + 1);
    n_scales = scales.size();
    padded = (R + W - 1) / W * W;
    has_back = keep_back && q > 1;
    layout(W);
    const std::size_t N = std::max(n, q);
    double* G = scratch.require_size((2 * R * q + 3 * R + 4 * N) * W);
    double* back = G + R * q * W;
    double *work = back + R * q * W, *alpha = work + (3 * R + N) * W, *beta = alpha + N * W, *tau = beta + N * W;
    kernels.group_decompose(R, q, F.memptr(), noise.inverse_shat, noise.chol, G, work, alpha, beta, tau,
                            has_back ? back : nullptr, pulse);
    for (std::size_t lane = 0; lane < W; ++lane) {
      Group& g = groups[lane];
      for (std::size_t i = 0; i < R * q; ++i) g.reflectors[i] = G[i * W + lane];
      if (q == 1) continue;
      for (std::size_t i = 0; i < N; ++i) {
        g.alpha[i] = i < q ? alpha[i * W + lane] : 0.0;
        g.beta[i] = i < q ? beta[i * W + lane] : 0.0;
      }
      for (std::size_t i = 0; i < q; ++i) g.left_tau[i] = tau[i * W + lane];
      if (!has_back) continue;
      for (std::size_t c = 0; c < q; ++c) {
        for (std::size_t r = 0; r < R; ++r)
          g.back_columns[c * padded + r] = g.back_rows[r * q + c] = back[(c * R + r) * W + lane];
        std::fill(g.back_columns + c * padded + R, g.back_columns + (c + 1) * padded, 0.0);
      }
    }
    variance_known.assign(W * n_scales, 0);
  }

  // The factors of I + (w / c^2) B B' of one group.
  void make_tables(std::size_t group, double inverse_c2, const std::vector<double>& scales,
                   const simd::KernelTable& kernels) {
    const Group& g = groups[group];
    kernels.group_tables(n, g.alpha, g.beta, inverse_c2, n_scales, scales.data(), g.link, g.inverse, g.kappa,
                         g.log_det);
  }

  // Numbers kept for one group.
  static std::size_t size(std::size_t R, std::size_t q, std::size_t n_scales, std::size_t W, bool back) {
    const std::size_t n = std::min(R, q + 1), N = std::max(n, q), padded = (R + W - 1) / W * W;
    if (q <= 1) return R * q;
    return R * q + q + 2 * N + n_scales * (3 * n + 1) + (back ? R * q + padded * (q + n_scales) : 0);
  }

 private:
  Buffer<double> values_;

  void layout(std::size_t W) {
    groups.resize(W);
    const std::size_t N = std::max(n, q);
    double* at = values_.require_size(size(R, q, n_scales, W, has_back) * W);
    const auto take = [&at](std::size_t count) {
      double* here = at;
      at += count;
      return here;
    };
    for (Group& g : groups) {
      g = {};
      g.reflectors = take(R * q);
      if (q <= 1) continue;
      g.left_tau = take(q);
      g.alpha = take(N);
      g.beta = take(N);
      g.link = take(n_scales * n);
      g.inverse = take(n_scales * n);
      g.kappa = take(n_scales * n);
      g.log_det = take(n_scales);
      if (!has_back) continue;
      g.back_rows = take(R * q);
      g.back_columns = take(q * padded);
      g.variance = take(n_scales * padded);
    }
  }
};

}  // namespace covmash
