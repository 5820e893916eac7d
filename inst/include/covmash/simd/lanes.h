#pragma once
// Sets of lanes of a block, one bit a lane: which lanes hold an effect. O(1) memory, one step a lane.

#include <cstddef>
#include <cstdint>

#include "kernels.h"

namespace covmash {

// The first n lanes; how many lanes a mask has.
inline std::uint64_t first_lanes(std::size_t n) { return n >= 64 ? ~std::uint64_t(0) : (std::uint64_t(1) << n) - 1; }
inline std::size_t n_lanes(std::uint64_t lanes) {
  std::size_t n = 0;
  for (; lanes != 0; lanes &= lanes - 1) ++n;
  return n;
}

// Calls f(lane) for every lane that holds an effect, in order.
template <typename Function>
inline void for_each_lane(std::uint64_t lanes, Function&& f) {
  for (std::size_t lane = 0; lanes != 0; ++lane, lanes >>= 1)
    if (lanes & 1) f(lane);
}

}  // namespace covmash
