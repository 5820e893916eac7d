#pragma once
// Draws that depend on nothing but what they are for: Threefry-2x64-20 (Salmon, Moraes, Dror and Shaw 2011,
// doi:10.1145/2063384.2063405), a block of 128 random bits for a key and a counter. So every effect has a stream of its
// own, whoever computes it and in which order. A normal draw takes about 20 ns.

#include <cmath>
#include <cstdint>

#include "constants.h"

namespace covmash {

struct Random128 {
  std::uint64_t first, second;
};

inline Random128 threefry(Random128 key, Random128 counter) {
  constexpr unsigned rotation[8] = {16, 42, 12, 31, 16, 32, 24, 21};
  const std::uint64_t parity = 0x1BD11BDAA9FC1A22ULL;
  const std::uint64_t keys[3] = {key.first, key.second, parity ^ key.first ^ key.second};
  std::uint64_t a = counter.first + keys[0], b = counter.second + keys[1];
  for (unsigned round = 0; round < 20; ++round) {
    a += b;
    const unsigned r = rotation[round % 8];
    b = ((b << r) | (b >> (64 - r))) ^ a;
    if (round % 4 == 3) {
      const unsigned s = round / 4 + 1;
      a += keys[s % 3];
      b += keys[(s + 1) % 3] + s;
    }
  }
  return {a, b};
}

// The stream of one (seed, effect): uniform draws and standard normal ones (Box and Muller 1958).
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::uint64_t stream) : key_{seed, stream} {}

  // In (0, 1).
  double uniform() { return open(next()); }

  void normals(std::size_t n, double* out) {
    for (std::size_t i = 0; i < n; i += 2) {
      const double radius = std::sqrt(-2.0 * std::log(open(next()))), angle = 2.0 * pi * open(next());
      out[i] = radius * std::cos(angle);
      if (i + 1 < n) out[i + 1] = radius * std::sin(angle);
    }
  }

 private:
  static constexpr double pi = 3.14159265358979323846;

  static double open(std::uint64_t bits) { return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53; }

  std::uint64_t next() {
    if (half_ = !half_; half_) {
      block_ = threefry(key_, {count_++, 0});
      return block_.first;
    }
    return block_.second;
  }

  Random128 key_, block_{0, 0};
  std::uint64_t count_ = 0;
  bool half_ = false;
};

}  // namespace covmash
