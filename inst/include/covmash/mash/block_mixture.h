#pragma once
// What mixture weights make of one block of likelihoods: densities u = L x, their logarithms, their reciprocals. Padding
// counts for nothing, and effects as often as their source says. O(64 n) for n columns.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "../simd/dispatch.h"
#include "relative_likelihood.h"

namespace covmash {

class BlockMixture {
 public:
  // An effect is covered if its density is not tiny or a column of the support is fair to it.
  static constexpr double tiny = 1e-4;
  static constexpr float fair = 0.05f;

  explicit BlockMixture(const LikelihoodSource& source) : source_(source), kernels_(simd::kernels()) {}

  // u = L x; sum: that of x.
  void density(const std::vector<const float*>& columns, const double* x, double sum, double* u) const {
    kernels_.mixture_density(columns.size(), columns.data(), x, u);
    if (const double base = source_.base() * sum; base != 0.0)
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) u[lane] += base;
  }

  // 1 / u, times the weight of the effect or its root; 0 in the padding. Returns what the base adds to the gradient.
  double ratios(std::size_t block, const double* u, double* ratio, bool root = false) const {
    const std::uint64_t real = source_.lanes(block);
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) ratio[lane] = 1.0 / std::max(u[lane], smallest_density);
    if (real != ~std::uint64_t(0))
      for (std::size_t lane = 0; lane < simd::lanes; ++lane)
        if (!(real >> lane & 1)) ratio[lane] = 0.0;
    if (const double* weights = source_.effect_weights(block))
      for_each_lane(real, [&](std::size_t lane) { ratio[lane] *= root ? std::sqrt(weights[lane]) : weights[lane]; });
    return source_.base() == 0.0 ? 0.0 : source_.base() * std::accumulate(ratio, ratio + simd::lanes, 0.0);
  }

  // sum log u, or sum log (u + t v).
  double log_density(std::size_t block, const double* u, const double* v = nullptr, double t = 0.0) const {
    double value[simd::lanes], logs[simd::lanes], sum = 0.0;
    const std::uint64_t real = source_.lanes(block);
    for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
      const double w = v ? u[lane] + t * v[lane] : u[lane];
      value[lane] = real >> lane & 1 ? std::max(w, smallest_density) : 1.0;
    }
    kernels_.logarithms(simd::lanes, value, logs);
    if (const double* weights = source_.effect_weights(block))
      for_each_lane(real, [&](std::size_t lane) { logs[lane] *= weights[lane]; });
    for (double x : logs) sum += x;
    return sum;
  }

  // Sums over the last column, of ones, that a base makes of all: what it adds to the sums of the others.
  static void add_base(double base, std::vector<double>& gradient, arma::mat& hessian) {
    const std::size_t s = gradient.size() - 1;
    for (std::size_t i = 0; i < s; ++i) {
      gradient[i] += base * gradient[s];
      hessian.row(i) += base * hessian.row(s);
    }
    for (std::size_t i = 0; i < s; ++i) hessian.col(i) += base * hessian.col(s);
    gradient.pop_back();
    hessian.resize(s, s);
  }

 private:
  // Below all products of a weight in use and a float, so that only a zero is raised to it.
  static constexpr double smallest_density = 1e-60;

  const LikelihoodSource& source_;
  const simd::KernelTable& kernels_;
};

}  // namespace covmash
