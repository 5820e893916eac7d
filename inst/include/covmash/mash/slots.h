#pragma once
// The weights solver sees columns in slot order, in which the scales of a covariance, and of its multiples, are together;
// users count components. O(P).

#include <cstddef>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../model/prior.h"

namespace covmash {

// Runs of columns that differ by scale only.
inline std::vector<std::pair<std::size_t, std::size_t>> scale_grids(const Selection& selection) {
  std::vector<std::pair<std::size_t, std::size_t>> grids;
  if (selection.point_mass) grids.emplace_back(0, 1);
  for (const auto& c : selection.covariances) grids.emplace_back(c.slot, c.slot + c.scales.size());
  return grids;
}

inline std::vector<double> by_slot(const Selection& selection, const std::vector<double>& by_component) {
  std::vector<double> out;
  if (by_component.empty()) return out;
  require(by_component.size() == selection.size(), "there must be one number for each mixture component");
  for (const std::size_t p : selection.component) out.push_back(by_component[p]);
  return out;
}

inline std::vector<double> by_component(const Selection& selection, const std::vector<double>& by_slot) {
  std::vector<double> out(by_slot.size());
  for (std::size_t slot = 0; slot < by_slot.size(); ++slot) out[selection.component[slot]] = by_slot[slot];
  return out;
}

}  // namespace covmash
