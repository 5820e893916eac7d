#include <covmash/base/splitmix.h>
#include <gtest/gtest.h>

// The first output of splitmix64 from state 0 is 0xe220a8397b1dcdaf, whose upper 53 bits are taken.
TEST(SplitMix, IsTheSameEverywhere) {
  covmash::SplitMix64 numbers(0);
  EXPECT_EQ(numbers(), static_cast<double>(0xe220a8397b1dcdafULL >> 11) * 0x1p-53);
  for (int i = 0; i < 1000; ++i) {
    const double x = numbers();
    EXPECT_GE(x, 0.0);
    EXPECT_LT(x, 1.0);
  }
}
