#pragma once
// P(all entries of N(m, Y Y') are positive), Y of n x q with no zero row. Entries that are uncorrelated with the others
// are split off first. Exact for one entry, two, and rows of Y along one direction (rank one); else by separation of
// variables (Genz 1992, doi:10.1080/10618600.1992.10477010), the entry that is least likely to be positive first (Gibson,
// Glasbey and Elston 1994), on lattices (Richtmyer) with random shifts, whose spread tells the error. O(n^2 (n + q)) to
// order the entries, then O(n^2) a point, less where an entry is unlikely.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "../base/normal.h"
#include "../base/threefry.h"

namespace covmash {

struct Probability {
  double value = 0.0, error = 0.0;  // error: three standard errors; 0 where the value is exact
};

class Orthant {
 public:
  // tolerance: of the error; max_points: of each of the shifts.
  explicit Orthant(double tolerance = 1e-4, std::size_t max_points = 8192)
      : tolerance_(tolerance), max_points_(max_points) {}

  // mean: n; Y: n x q.
  Probability operator()(const arma::vec& mean, const arma::mat& Y) const {
    const arma::uword n = mean.n_elem;
    Probability out;
    out.value = 1.0;
    if (n == 0) return out;
    arma::vec sd(n);
    for (arma::uword i = 0; i < n; ++i) sd[i] = arma::norm(Y.row(i));
    arma::mat unit = Y;
    unit.each_col() /= sd;
    const arma::vec z = mean / sd;
    const arma::mat C = n > 1 ? arma::mat(unit * unit.t()) : arma::mat(1, 1, arma::fill::ones);
    std::vector<unsigned char> seen(n, 0);
    std::vector<arma::uword> block;
    for (arma::uword i = 0; i < n; ++i) {
      if (seen[i]) continue;
      block.assign(1, i);
      seen[i] = 1;
      for (std::size_t k = 0; k < block.size(); ++k)
        for (arma::uword j = 0; j < n; ++j)
          if (!seen[j] && std::fabs(C.at(block[k], j)) > uncorrelated) {
            seen[j] = 1;
            block.push_back(j);
          }
      const Probability one = of_block(z, C, block);
      // Errors of products, at most.
      out.error = out.error * one.value + out.value * one.error + out.error * one.error;
      out.value *= one.value;
      if (out.value == 0.0 && out.error == 0.0) break;
    }
    return out;
  }

 private:
  static constexpr double uncorrelated = 1e-13, collinear = 1e-13;
  static constexpr std::size_t shifts = 8, first_points = 64;

  // z: means over standard deviations; C: correlations.
  Probability of_block(const arma::vec& z, const arma::mat& C, const std::vector<arma::uword>& block) const {
    if (block.size() == 1) return {normal_cdf(z[block[0]]), 0.0};
    if (block.size() == 2) return {normal_quadrant(-z[block[0]], -z[block[1]], clamp(C.at(block[0], block[1]))), 0.0};
    bool one_direction = true;
    for (arma::uword i : block) one_direction = one_direction && std::fabs(C.at(block[0], i)) > 1.0 - collinear;
    if (one_direction) {
      double low = -std::numeric_limits<double>::infinity(), high = -low;
      for (arma::uword i : block) {  // z_i + sign x > 0
        if (C.at(block[0], i) > 0.0)
          low = std::max(low, -z[i]);
        else
          high = std::min(high, z[i]);
      }
      if (!(low < high)) return {0.0, 0.0};
      return {low > 0.0 ? normal_cdf(-low) - normal_cdf(-high) : normal_cdf(high) - normal_cdf(low), 0.0};
    }
    return separated(z, C, block);
  }

  static double clamp(double r) { return std::min(std::max(r, -1.0), 1.0); }

  // The entries in the order of the integration: x_i = z_i + sum_{k <= i} L_ik u_k with u standard normal, L_ii may be 0.
  Probability separated(const arma::vec& z, const arma::mat& C, std::vector<arma::uword> order) const {
    const std::size_t n = order.size();
    arma::mat L(n, n, arma::fill::zeros);
    arma::vec expected(n, arma::fill::zeros);  // of u, where the entries before are positive
    for (std::size_t k = 0; k < n; ++k) {
      std::size_t best = k;
      double least = 2.0;
      for (std::size_t i = k; i < n; ++i) {
        double mean = z[order[i]], rest = 1.0;
        for (std::size_t c = 0; c < k; ++c) {
          mean += L.at(i, c) * expected[c];
          rest -= L.at(i, c) * L.at(i, c);
        }
        const double p = rest > 1e-12 ? normal_cdf(mean / std::sqrt(rest)) : mean > 0.0 ? 1.0 : 0.0;
        if (p < least) {
          least = p;
          best = i;
        }
      }
      std::swap(order[k], order[best]);
      L.swap_rows(k, best);
      double rest = 1.0, mean = z[order[k]];
      for (std::size_t c = 0; c < k; ++c) {
        rest -= L.at(k, c) * L.at(k, c);
        mean += L.at(k, c) * expected[c];
      }
      if (rest <= 1e-12) continue;  // known from the entries before
      const double diagonal = std::sqrt(rest), low = -mean / diagonal;
      L.at(k, k) = diagonal;
      for (std::size_t i = k + 1; i < n; ++i) {
        double sum = C.at(order[i], order[k]);
        for (std::size_t c = 0; c < k; ++c) sum -= L.at(i, c) * L.at(k, c);
        L.at(i, k) = sum / diagonal;
      }
      const double tail = normal_cdf(-low);
      expected[k] = tail > 1e-300 ? normal_density(low) / tail : low;
    }
    arma::mat rows = L.t();  // contiguous by entry
    std::vector<double> centre(n), u(n);
    for (std::size_t i = 0; i < n; ++i) centre[i] = z[order[i]];
    const auto at_point = [&](const double* w) {
      double value = 1.0;
      for (std::size_t i = 0; i < n; ++i) {
        const double* row = rows.colptr(i);
        double mean = centre[i];
        for (std::size_t c = 0; c < i; ++c) mean += row[c] * u[c];
        if (row[i] == 0.0) {
          if (!(mean > 0.0)) return 0.0;
          u[i] = 0.0;
          continue;
        }
        const double p = normal_cdf(mean / row[i]);
        value *= p;
        if (value < 1e-15) return 0.0;
        // The quantile of u above -mean / L_ii, from the upper tail.
        if (i + 1 < n) u[i] = -normal_quantile(std::max(p * w[i], 1e-300));
      }
      return value;
    };
    double sums[shifts] = {};
    std::size_t done = 0;
    std::vector<double> shift(shifts * n), w(n), step(n);
    RandomStream stream(20240611, n);  // the same for every effect
    for (double& s : shift) s = stream.uniform();
    for (std::size_t i = 0; i < n; ++i) step[i] = std::sqrt(prime(i));
    Probability out;
    for (std::size_t points = first_points;; points *= 2) {
      for (std::size_t s = 0; s < shifts; ++s)
        for (std::size_t p = done; p < points; ++p) {
          for (std::size_t i = 0; i < n; ++i) {
            const double x = static_cast<double>(p + 1) * step[i] + shift[s * n + i];
            w[i] = std::fabs(2.0 * (x - std::floor(x)) - 1.0);  // folded, which is smoother at the ends
            if (w[i] <= 0.0) w[i] = 1e-16;
          }
          sums[s] += at_point(w.data());
        }
      done = points;
      double mean = 0.0, square = 0.0;
      for (double s : sums) mean += s / static_cast<double>(points) / shifts;
      for (double s : sums) {
        const double off = s / static_cast<double>(points) - mean;
        square += off * off;
      }
      out = {mean, 3.0 * std::sqrt(square / (shifts * (shifts - 1.0)))};
      if (out.error <= tolerance_ || points >= max_points_) break;
    }
    return out;
  }

  static double prime(std::size_t i) {
    static const std::vector<double> primes = [] {
      std::vector<double> found;
      for (int p = 2; found.size() < 2000; ++p) {
        bool is = true;
        for (std::size_t k = 0; is && k < found.size() && found[k] * found[k] <= p; ++k) is = p % static_cast<int>(found[k]) != 0;
        if (is) found.push_back(p);
      }
      return found;
    }();
    return primes[i % primes.size()];
  }

  double tolerance_;
  std::size_t max_points_;
};

}  // namespace covmash
