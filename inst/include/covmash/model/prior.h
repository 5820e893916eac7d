#pragma once
// The mixture prior: a point mass at zero and N(0, w_l U_k) for every covariance k and scale l.
//
// Users count components as mashr does: the point mass first, then scale by scale, covariance by covariance within a
// scale. The core keeps all scales of a covariance together (a "slot" order: point mass, then covariance by
// covariance), since one decomposition serves them all. Components with weight zero can be left out of a Selection.
//
// Covariances that are multiples of one another, U_k = c U_i up to rounding, are the same covariance at other scales:
// they share the slots of the first of them, i, at the scales w_l c. That costs O(K R q): two covariances of the same
// structure are taken for multiples where their variances and their products with two fixed vectors are, in units of
// the standard deviations.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "covariance.h"

namespace covmash {

struct MixturePrior {
  std::vector<Covariance> covariances;  // K
  std::vector<double> scales;           // L variances w_l
  bool point_mass = true;

  std::size_t n_components() const { return covariances.size() * scales.size() + (point_mass ? 1 : 0); }
  std::size_t component(std::size_t k, std::size_t l) const {
    return (point_mass ? 1 : 0) + l * covariances.size() + k;
  }
};

// U_k = factor * U_of, `of` the first covariance of its kind.
struct Multiple {
  std::size_t of;
  double factor;
};

namespace detail {

// What is the same for all multiples of a covariance, but for the size.
struct Signature {
  arma::vec variances;
  arma::mat products;  // corr(U) times two vectors: R x 2
  double tolerance = 0.0;

  explicit Signature(const Covariance& U) : variances(U.variances()), products(U.conditions(), 2, arma::fill::zeros) {
    const arma::uword R = U.conditions(), q = U.factor.n_cols;
    arma::vec inverse_sd(R);
    for (arma::uword r = 0; r < R; ++r) inverse_sd[r] = variances[r] > 0.0 ? 1.0 / std::sqrt(variances[r]) : 0.0;
    arma::mat probe(R, 2);
    std::uint64_t state = 1;
    for (double& g : probe) {  // in [-1, 1], the same for all
      state = state * 6364136223846793005u + 1442695040888963407u;
      g = static_cast<double>(state >> 11) * 0x1p-52 - 1.0;
    }
    const arma::mat scaled = probe.each_col() % inverse_sd;
    if (q > 0) products = U.factor * (U.factor.t() * scaled);
    if (U.has_diagonal()) products += scaled.each_col() % U.diagonal;
    products.each_col() %= inverse_sd;
    // The factors of a matrix and of a multiple of it differ by up to R / 2 eps, in units of the standard deviations.
    tolerance = 4.0 * std::numeric_limits<double>::epsilon() * static_cast<double>(R + 8);
  }

  // Orders covariances; multiples of each other differ by rounding.
  double key() const { return arma::accu(products.col(0) % arma::linspace(1.0, 2.0, products.n_rows)); }
  double key_tolerance() const { return tolerance * 2.0 * static_cast<double>(products.n_rows); }
};

// The factor c of U = c V, 0 if there is none.
inline double multiple(const Covariance& U, const Signature& of_u, const Covariance& V, const Signature& of_v) {
  if (U.has_diagonal() != V.has_diagonal() || U.zero_variance != V.zero_variance) return 0.0;
  const arma::uword largest = of_v.variances.index_max();
  const double c = of_u.variances[largest] / of_v.variances[largest];
  if (!(c > 0.0) || !std::isfinite(c)) return 0.0;
  const double within = of_u.tolerance;
  for (arma::uword r = 0; r < U.conditions(); ++r) {
    if (std::fabs(of_u.variances[r] - c * of_v.variances[r]) > within * of_u.variances[r]) return 0.0;
    if (U.has_diagonal() && std::fabs(U.diagonal[r] - c * V.diagonal[r]) > within * U.diagonal[r]) return 0.0;
  }
  return arma::abs(of_u.products - of_v.products).max() <= within ? c : 0.0;
}

}  // namespace detail

// For each covariance, which it is a multiple of: itself, or an earlier one. Covariances of zeros are not looked at.
inline std::vector<Multiple> multiples(const std::vector<Covariance>& covariances) {
  std::vector<Multiple> out;
  std::multimap<double, std::size_t> first;  // by key: the first covariances of each kind
  std::vector<detail::Signature> signatures;
  for (std::size_t k = 0; k < covariances.size(); ++k) {
    const Covariance& U = covariances[k];
    signatures.emplace_back(U);
    const detail::Signature& own = signatures.back();
    out.push_back({k, 1.0});
    if (own.variances.is_empty() || !(own.variances.max() > 0.0)) continue;
    const double key = own.key(), within = own.key_tolerance();
    bool found = false;
    for (auto at = first.lower_bound(key - within); !found && at != first.end() && at->first <= key + within; ++at) {
      const double c = detail::multiple(U, own, covariances[at->second], signatures[at->second]);
      if (c > 0.0) out.back() = {at->second, c};
      found = c > 0.0;
    }
    if (!found) first.emplace(key, k);
  }
  return out;
}

// The forms of a covariance are made of squares of its root, which must be numbers with all their digits.
inline void require_usable_variances(const MixturePrior& prior) {
  constexpr double smallest = 1e-290;
  for (std::size_t k = 0; k < prior.covariances.size(); ++k)
    for (const double v : prior.covariances[k].variances())
      if (v > 0.0 && v < smallest)
        throw input_error("a variance of ", at::covariance(k), " is below 1e-290: use other units, or 0");
}

// Which components to evaluate, in slot order.
struct Selection {
  struct Covariance {
    std::size_t index;                              // k; of multiples, the first one
    std::size_t slot;                               // first slot
    std::vector<double> scales;                     // w of the chosen scales, ascending: all positive, or all 0
    bool zero() const { return scales[0] == 0.0; }  // a point mass by its scale
  };
  bool point_mass = false;  // slot 0
  std::vector<Covariance> covariances;
  std::vector<std::size_t> component;  // slot -> component as users count

  std::size_t size() const { return component.size(); }

  template <typename Keep>
  Selection(const MixturePrior& prior, Keep keep) {
    require_usable_variances(prior);
    if (prior.point_mass && keep(0)) {
      point_mass = true;
      component.push_back(0);
    }
    const std::vector<Multiple> kind = multiples(prior.covariances);
    std::vector<std::vector<std::size_t>> members(kind.size());
    for (std::size_t k = 0; k < kind.size(); ++k) members[kind[k].of].push_back(k);
    for (std::size_t k = 0; k < members.size(); ++k)
      for (const bool zero : {true, false}) {
        std::vector<std::pair<double, std::size_t>> chosen;  // scale, component
        for (std::size_t m : members[k])
          for (std::size_t l = 0; l < prior.scales.size(); ++l)
            if ((prior.scales[l] == 0.0) == zero && keep(prior.component(m, l)))
              chosen.emplace_back(prior.scales[l] * kind[m].factor, prior.component(m, l));
        if (chosen.empty()) continue;
        std::sort(chosen.begin(), chosen.end());
        Covariance c{k, component.size(), {}};
        for (const auto& scale : chosen) {
          c.scales.push_back(scale.first);
          component.push_back(scale.second);
        }
        covariances.push_back(std::move(c));
      }
  }

  // The point mass, and every covariance and scale.
  explicit Selection(const MixturePrior& prior) : Selection(prior, [](std::size_t) { return true; }) {}
};

}  // namespace covmash
