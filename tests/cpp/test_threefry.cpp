#include <covmash/base/threefry.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

using namespace covmash;

// The known answers that its authors publish for threefry2x64, 20 rounds.
TEST(Threefry, KnownAnswers) {
  const Random128 zero = threefry({0, 0}, {0, 0});
  EXPECT_EQ(zero.first, 0xc2b6e3a8c2c69865ULL);
  EXPECT_EQ(zero.second, 0x6f81ed42f350084dULL);
  const std::uint64_t ones = ~std::uint64_t(0);
  const Random128 all = threefry({ones, ones}, {ones, ones});
  EXPECT_EQ(all.first, 0xe02cb7c4d95d277aULL);
  EXPECT_EQ(all.second, 0xd06633d0893b8b68ULL);
  const Random128 pi = threefry({0xa4093822299f31d0ULL, 0x082efa98ec4e6c89ULL}, {0x243f6a8885a308d3ULL, 0x13198a2e03707344ULL});
  EXPECT_EQ(pi.first, 0x263c7d30bb0f0af1ULL);
  EXPECT_EQ(pi.second, 0x56be8361d3311526ULL);
}

TEST(Threefry, AStreamHasNormalDrawsOfItsOwn) {
  const std::size_t n = 200000;
  std::vector<double> x(n);
  RandomStream stream(7, 11);
  stream.normals(n, x.data());
  double mean = 0.0, square = 0.0, fourth = 0.0;
  for (double v : x) {
    mean += v / n;
    square += v * v / n;
    fourth += v * v * v * v / n;
  }
  EXPECT_NEAR(mean, 0.0, 4.0 / std::sqrt(n));
  EXPECT_NEAR(square, 1.0, 4.0 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourth, 3.0, 4.0 * std::sqrt(96.0 / n));
  RandomStream again(7, 11), other(7, 12), reseeded(8, 11);
  double a, b, c;
  again.normals(1, &a);
  other.normals(1, &b);
  reseeded.normals(1, &c);
  EXPECT_EQ(a, x[0]);
  EXPECT_NE(b, x[0]);
  EXPECT_NE(c, x[0]);
}
