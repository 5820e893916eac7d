// Which effects go into which blocks, and in which form.
#include <covmash/sweep/plan.h>
#include <gtest/gtest.h>

#include <set>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

// Groups of the given sizes, each with an Shat row of its own.
reference::Problem in_groups(const std::vector<std::size_t>& sizes, arma::uword R) {
  std::size_t J = 0;
  for (std::size_t n : sizes) J += n;
  auto p = reference::problem(41, J, R, reference::Noise::by_effect, false);
  for (std::size_t g = 0, j = 0; g < sizes.size(); j += sizes[g++])
    for (std::size_t i = 0; i < sizes[g]; ++i) p.shat.row(j + i) = p.shat.row(j);
  return p;
}

MixturePrior full_rank(arma::uword R, std::size_t K) {
  std::mt19937 g(3);
  MixturePrior prior;
  for (std::size_t k = 0; k < K; ++k) {
    const arma::mat F = reference::draw(g, R, R);
    prior.covariances.push_back(recognise(F * F.t()));
  }
  for (int l = 0; l < 17; ++l) prior.scales.push_back(std::ldexp(0.01, l));
  return prior;
}

}  // namespace

TEST(Plan, EveryEffectWithDataIsInOneLaneOfOneBlock) {
  for (auto kind : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect})
    for (bool missing : {false, true})
      for (const GroupSizes sizes : {GroupSizes{2, 100}, GroupSizes{20, 2}, GroupSizes{}}) {
        const auto p = reference::problem(5, 300, 3, kind, missing);
        const NoiseModel noise(effects(p), p.C);
        const Plan plan(noise, full_rank(3, 1), sizes);
        std::multiset<std::size_t> seen;
        for (const Block& b : plan.blocks()) {
          std::size_t rows[block_effects];
          plan.rows(b, rows);
          for_each_lane(b.lanes, [&](std::size_t lane) { seen.insert(rows[lane]); });
          for (std::size_t row : rows) EXPECT_LT(row, 300u);
        }
        EXPECT_EQ(seen.size() + noise.all_missing().size(), 300u);
        EXPECT_EQ(std::set<std::size_t>(seen.begin(), seen.end()).size(), seen.size());
      }
}

TEST(Plan, SegmentsLeaveRoomForWholeRegisters) {
  const auto p = in_groups({2, 3, 5, 7, 60, 9, 1, 64, 33, 100, 2, 2}, 4);
  const NoiseModel noise(effects(p), p.C);
  const Plan plan(noise, full_rank(4, 1), GroupSizes{2, GroupSizes::never});
  for (const Block& b : plan.blocks()) {
    if (b.form != Form::grouped) continue;
    std::size_t next = 0;
    for (const Segment& s : plan.segments(b)) {
      EXPECT_EQ(s.lane, next);
      EXPECT_EQ(s.lane % Segment::alignment, 0u);
      next = s.end();
      for (std::size_t width : {2, 4, 8}) EXPECT_LE(s.end(width), block_effects);
    }
    EXPECT_EQ(next, block_effects);
  }
}

TEST(Plan, FormsFollowTheSizesOfGroups) {
  const auto p = in_groups({1, 1, 2, 2, 6, 12, 40}, 4);
  const NoiseModel noise(effects(p), p.C);
  ASSERT_EQ(noise.shared().size(), 5u);
  ASSERT_EQ(noise.row_specific().size(), 2u);
  const Plan plan(noise, full_rank(4, 1), GroupSizes{6, 40});
  EXPECT_EQ(plan.grouped().size(), 2u);
  EXPECT_EQ(plan.spectral_groups().size(), 1u);
  EXPECT_NEAR(plan.share(Form::row), 6.0 / 64.0, 1e-15);
  EXPECT_NEAR(plan.share(Form::grouped), 18.0 / 64.0, 1e-15);
  EXPECT_TRUE(plan.has(Form::spectral));
}

TEST(Plan, EffectsWithOneShatAreSpectralHoweverFew) {
  auto p = reference::problem(7, 1, 4, reference::Noise::common, false);
  const NoiseModel noise(effects(p), p.C);
  const Plan plan(noise, full_rank(4, 1), GroupSizes{});
  ASSERT_EQ(plan.blocks().size(), 1u);
  EXPECT_EQ(plan.blocks()[0].form, Form::spectral);
}

TEST(Plan, AFormIsSharedSoonerWhereItIsDearer) {
  std::size_t last = GroupSizes::never;
  for (arma::uword R : {3, 8, 20, 44}) {
    const auto p = in_groups({2}, R);
    const NoiseModel noise(effects(p), arma::eye(R, R));
    const MixturePrior prior = full_rank(R, 10);
    const GroupSizes sizes = cheapest_sizes(noise, prior, Selection(prior));
    EXPECT_LE(sizes.grouped, last);
    EXPECT_GE(sizes.spectral, 256u);
    last = sizes.grouped;
  }
  EXPECT_LE(last, 4u);
}
