#pragma once
// Numbers of no meaning, the same on every machine, for starts of iterations: splitmix64 (Steele, Lea and Flood 2014,
// doi:10.1145/2714064.2660195). Not for draws that users see.

#include <cstdint>

namespace covmash {

class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  // In [0, 1).
  double operator()() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }

 private:
  std::uint64_t state_;
};

}  // namespace covmash
