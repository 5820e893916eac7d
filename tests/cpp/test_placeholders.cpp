#include <covmash/model/placeholders.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using namespace covmash;

namespace {

using Positions = std::vector<std::size_t>;

Positions found(const std::vector<double>& bhat, const std::vector<double>& shat, std::size_t n_conditions = 1) {
  return find_placeholders({bhat.data(), shat.data(), bhat.size() / n_conditions, n_conditions});
}

}  // namespace

TEST(Placeholders, AZeroFarBeyondTheOthersOfItsCondition) {
  const std::vector<double> b = {1.0, 0.0, 2.0, -1.0, 0.0}, s = {1.0, 5.0, 0.5, 1.0, 4.9};
  EXPECT_EQ(found(b, s), Positions({1}));
  EXPECT_EQ(found({1.0, 3.0, 2.0, -1.0, 2.0}, s), Positions());
  // Beyond twenty times the median, though one other is as large.
  EXPECT_EQ(found({1.0, 0.0, 2.0, -1.0}, {1.0, 30.0, 1.0, 40.0}), Positions({1}));
}

TEST(Placeholders, ZerosThatShareAStandardErrorThatHardlyAnyEstimateHas) {
  EXPECT_EQ(found({0.0, 0.0, 0.0, 1.0, 2.0, 3.0}, {2.0, 2.0, 2.0, 1.0, 2.0, 1.5}), Positions({0, 1, 2}));
  EXPECT_EQ(found({0.0, 0.0, 3.0, 1.0, 2.0, 3.0}, {2.0, 2.0, 2.0, 1.0, 2.0, 1.5}), Positions());
  EXPECT_EQ(found({0.0, 0.0, 0.0, 1.0, 2.0, 3.0}, {2.0, 2.0, 2.0, 2.0, 2.0, 2.0}), Positions());
  // Small ones are no placeholders.
  EXPECT_EQ(found({0.0, 0.0, 0.0, 1.0, 2.0, 3.0}, {0.1, 0.1, 0.1, 1.0, 2.0, 1.5}), Positions());
}

TEST(Placeholders, AConditionOfZerosIsComparedWithTheOthers) {
  EXPECT_EQ(found({1.0, 2.0, 0.0, 0.0}, {1.0, 1.0, 1e6, 1.0}, 2), Positions({2}));
  EXPECT_EQ(found({0.0, 0.0}, {1.0, 1e6}), Positions());
}

TEST(Placeholders, WhatIsMissingAlreadyIsNone) {
  const double missing = std::nan("");
  EXPECT_EQ(found({1.0, 0.0, missing}, {1.0, missing, 1e6}), Positions());
}
