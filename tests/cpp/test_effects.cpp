#include <covmash/model/effects.h>
#include <gtest/gtest.h>

using namespace covmash;

TEST(Effects, TheRangeOfEffectsLeavesOutWhatIsMissing) {
  const double missing = std::nan(""), far = INFINITY;
  const double bhat[] = {1.0, -3.0, missing, 100.0, 2.0, 0.5}, shat[] = {0.5, 2.0, 0.1, far, missing, 0.25};
  const EffectRange range = effect_range({bhat, shat, 3, 2});
  EXPECT_EQ(range.smallest_shat, 0.25);
  EXPECT_EQ(range.largest_excess, 5.0);
  EXPECT_EQ(effect_range({bhat + 2, shat + 2, 1, 1}).smallest_shat, INFINITY);
}
