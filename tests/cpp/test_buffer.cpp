#include <covmash/base/buffer.h>
#include <gtest/gtest.h>

#include <algorithm>

using namespace covmash;

TEST(Buffer, GrowsAlignedToCacheLinesAndNeverShrinks) {
  Buffer<double> b;
  EXPECT_EQ(b.size(), 0u);
  for (std::size_t n : {3, 100, 7, 5000000}) {
    const std::size_t before = b.size();
    double* x = b.require_size(n);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x) % 64, 0u);
    EXPECT_EQ(b.size(), std::max(n, before));
    x[0] = 1.0;
    x[n - 1] = 2.0;
    EXPECT_EQ(b[n - 1], 2.0);
  }
}
