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

TEST(Effects, WhatCannotBeComputedWithIsFoundFirst) {
  const double missing = std::nan("");
  const auto problem = [](double b, double s) {
    const double bhat[] = {1.0, b, 2.0}, shat[] = {1.0, s, 1.0};
    const UnusableEntry bad = first_unusable({bhat, shat, 3, 1});
    EXPECT_EQ(bad.entry, bad.problem == Unusable::nothing ? 0u : 1u);
    return bad.problem;
  };
  EXPECT_EQ(problem(3.0, 0.1), Unusable::nothing);
  EXPECT_EQ(problem(missing, missing), Unusable::nothing);
  EXPECT_EQ(problem(missing, -1.0), Unusable::nothing);
  EXPECT_EQ(problem(INFINITY, 1.0), Unusable::bhat);
  EXPECT_EQ(problem(3.0, 0.0), Unusable::shat);
  EXPECT_EQ(problem(3.0, -1.0), Unusable::shat);
  EXPECT_EQ(problem(3.0, missing), Unusable::shat);
  EXPECT_EQ(problem(3.0, INFINITY), Unusable::shat);
  EXPECT_EQ(problem(1e151, 1.0), Unusable::magnitude);
  EXPECT_EQ(problem(3.0, 1e151), Unusable::magnitude);
  EXPECT_EQ(problem(3.0, 1e-151), Unusable::magnitude);
  EXPECT_EQ(problem(1e149, 1.0), Unusable::nothing);
  // It is the smallest standard error of all that an estimate is compared with.
  const double bhat[] = {1e100, 1.0}, shat[] = {1e90, 1e-60};
  const UnusableEntry far = first_unusable({bhat, shat, 2, 1});
  EXPECT_EQ(far.problem, Unusable::magnitude);
  EXPECT_EQ(far.entry, 0u);
}
