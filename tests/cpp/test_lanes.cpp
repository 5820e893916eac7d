#include <covmash/simd/lanes.h>
#include <gtest/gtest.h>

#include <vector>

using namespace covmash;

TEST(Lanes, LanesAreCountedAndVisitedInOrder) {
  EXPECT_EQ(first_lanes(64), ~std::uint64_t(0));
  EXPECT_EQ(first_lanes(3), 7u);
  EXPECT_EQ(n_lanes(0b101101), 4u);
  std::vector<std::size_t> seen;
  for_each_lane(0b101101, [&](std::size_t lane) { seen.push_back(lane); });
  EXPECT_EQ(seen, (std::vector<std::size_t>{0, 2, 3, 5}));
}
