#pragma once
// The mixture prior: a point mass at zero and N(0, w_l U_k) for every covariance k and scale l.
//
// Users count components as mashr does: the point mass first, then scale by scale, covariance by covariance within a
// scale. The core keeps all scales of a covariance together (a "slot" order: point mass, then covariance by
// covariance), since one decomposition serves them all. Components with weight zero can be left out of a Selection.

#include <cstddef>
#include <vector>

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

// Which components to evaluate, in slot order.
struct Selection {
  struct Covariance {
    std::size_t index;                              // k
    std::size_t slot;                               // first slot
    std::vector<double> scales;                     // w of the chosen scales: all positive, or all 0
    bool zero() const { return scales[0] == 0.0; }  // a point mass by its scale
  };
  bool point_mass = false;  // slot 0
  std::vector<Covariance> covariances;
  std::vector<std::size_t> component;  // slot -> component as users count

  std::size_t size() const { return component.size(); }

  template <typename Keep>
  Selection(const MixturePrior& prior, Keep keep) {
    if (prior.point_mass && keep(0)) {
      point_mass = true;
      component.push_back(0);
    }
    for (std::size_t k = 0; k < prior.covariances.size(); ++k) {
      add(prior, k, keep, [](double w) { return w == 0.0; });
      add(prior, k, keep, [](double w) { return w != 0.0; });
    }
  }

  // The point mass, and every covariance and scale.
  explicit Selection(const MixturePrior& prior) : Selection(prior, [](std::size_t) { return true; }) {}

 private:
  template <typename Keep, typename Scale>
  void add(const MixturePrior& prior, std::size_t k, Keep keep, Scale wanted) {
    Covariance c{k, component.size(), {}};
    for (std::size_t l = 0; l < prior.scales.size(); ++l) {
      if (!wanted(prior.scales[l]) || !keep(prior.component(k, l))) continue;
      c.scales.push_back(prior.scales[l]);
      component.push_back(prior.component(k, l));
    }
    if (!c.scales.empty()) covariances.push_back(std::move(c));
  }
};

}  // namespace covmash
