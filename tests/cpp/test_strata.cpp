// Kinds of effects: by the largest z-score and its condition.
#include <covmash/model/strata.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

using namespace covmash;

namespace {

constexpr double NaN = std::numeric_limits<double>::quiet_NaN();

// Effects in rows; Shat is 2 everywhere.
std::vector<int> strata_of(const std::vector<std::vector<double>>& z, std::size_t* size = nullptr) {
  const std::size_t J = z.size(), R = z[0].size();
  std::vector<double> bhat(J * R), shat(J * R, 2.0);
  for (std::size_t j = 0; j < J; ++j)
    for (std::size_t r = 0; r < R; ++r) bhat[r * J + j] = 2.0 * z[j][r];
  Effects e;
  e.bhat = bhat.data();
  e.shat = shat.data();
  e.n_effects = J;
  e.n_conditions = R;
  const Strata strata(e);
  if (size) *size = strata.size();
  return strata.of;
}

}  // namespace

TEST(Strata, SmallEffectsAreOfOneKindInAllConditions) {
  const auto of = strata_of({{0.0, 0.0, 0.0}, {1.99, -0.3, 0.2}, {0.1, 0.2, -1.99}, {NaN, 0.5, NaN}});
  for (const int kind : of) EXPECT_EQ(kind, 0);
}

TEST(Strata, LargeOnesAreOfTheConditionOfTheLargestAndOfItsSize) {
  std::size_t size = 0;
  const auto of = strata_of({{2.0, 0.0, 0.0},
                             {2.2, -2.1, NaN},
                             {0.0, -2.3, 0.0},
                             {0.0, 2.5, 0.0},
                             {50.0, 49.0, 0.0},
                             {0.0, 0.0, -1e9},
                             {NaN, NaN, 1e9}},
                            &size);
  EXPECT_EQ(of[0], 1);
  EXPECT_EQ(of[1], of[0]);
  EXPECT_EQ(of[2], 2);
  EXPECT_EQ(of[3], 5);  // the next size, the second of three conditions
  EXPECT_EQ(of[4], 31);
  EXPECT_EQ(of[5], 33);
  EXPECT_EQ(of[6], of[5]);
  EXPECT_EQ(size, 34u);
  for (const int kind : of) EXPECT_LT(kind, static_cast<int>(size));
}

TEST(Strata, EffectsWithoutEstimatesAreOfNone) {
  const auto of = strata_of({{NaN, NaN}, {NaN, 3.0}});
  EXPECT_EQ(of[0], Strata::none);
  EXPECT_EQ(of[1], 6);
}

TEST(Strata, EveryKindIsReached) {
  std::vector<std::vector<double>> z = {{0.0, 0.0}};
  for (const double size : {2.1, 2.6, 3.1, 3.6, 4.1, 5.1, 6.1, 8.1, 12.1, 20.1, 40.1}) {
    z.push_back({size, 0.0});
    z.push_back({0.0, -size});
  }
  std::size_t size = 0;
  const auto of = strata_of(z, &size);
  ASSERT_EQ(of.size(), size);
  for (std::size_t j = 0; j < of.size(); ++j) EXPECT_EQ(of[j], static_cast<int>(j));
}
