#include <covmash/model/noise.h>
#include <gtest/gtest.h>

#include <set>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

std::multiset<std::size_t> in_groups(const NoiseModel& noise) {
  std::multiset<std::size_t> seen(noise.row_specific().begin(), noise.row_specific().end());
  for (const SharedNoise& g : noise.shared()) seen.insert(g.effects.begin(), g.effects.end());
  return seen;
}

}  // namespace

TEST(Noise, EveryEffectIsInOneGroupOrMissing) {
  for (auto kind : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect})
    for (bool missing : {false, true}) {
      const auto p = reference::problem(5, 300, 3, kind, missing);
      const NoiseModel noise(effects(p), p.C);
      const auto seen = in_groups(noise);
      EXPECT_EQ(seen.size() + noise.all_missing().size(), 300u);
      EXPECT_EQ(std::set<std::size_t>(seen.begin(), seen.end()).size(), seen.size());
    }
}

TEST(Noise, ProportionalRowsShareAGroup) {
  const auto p = reference::problem(6, 200, 4, reference::Noise::proportional, false);
  const NoiseModel noise(effects(p), p.C);
  ASSERT_EQ(noise.shared().size(), 1u);
  EXPECT_TRUE(noise.row_specific().empty());
  EXPECT_FALSE(noise.common());
}

TEST(Noise, ZScoresShareOneNoiseHoweverFew) {
  const auto p = reference::problem(7, 1, 4, reference::Noise::common, false);
  const NoiseModel noise(effects(p), p.C);
  EXPECT_EQ(noise.shared().size(), 1u);
  EXPECT_TRUE(noise.common());
}

TEST(Noise, LonelyRowsAreRowSpecific) {
  const auto p = reference::problem(8, 100, 4, reference::Noise::by_effect, false);
  const NoiseModel noise(effects(p), p.C);
  EXPECT_TRUE(noise.shared().empty());
  EXPECT_EQ(noise.row_specific().size(), 100u);
}

TEST(Noise, CountsWhatIsMissing) {
  auto p = reference::problem(9, 50, 2, reference::Noise::common, false);
  p.bhat.row(3).fill(std::nan(""));
  p.bhat(4, 0) = std::nan("");
  const NoiseModel noise(effects(p), p.C);
  EXPECT_EQ(noise.n_missing(), 3u);
  EXPECT_EQ(noise.n_patterns(), 2u);
  ASSERT_EQ(noise.all_missing().size(), 1u);
  EXPECT_EQ(noise.all_missing()[0], 3u);
  EXPECT_EQ(noise.n_observed_effects(), 49u);
}

TEST(Noise, EmbeddedCholeskyIsThatOfTheObservedPart) {
  const auto p = reference::problem(10, 1, 4, reference::Noise::common, false);
  const unsigned char seen[] = {1, 0, 1, 1};
  std::vector<double> packed(10);
  double log_det;
  ASSERT_TRUE(embedded_cholesky(p.C, seen, packed.data(), &log_det));
  const arma::uvec O = {0, 2, 3};
  const arma::mat L = arma::chol(p.C.submat(O, O), "lower");
  EXPECT_NEAR(log_det, arma::accu(arma::log(L.diag())), 1e-14);
  EXPECT_NEAR(packed[9], 1.0 / L(2, 2), 1e-14);  // inverse diagonal
  EXPECT_NEAR(packed[8], L(2, 1), 1e-14);
  EXPECT_EQ(packed[7], 0.0);  // the missing condition
}

TEST(Noise, RefusesAWrongV) {
  const auto p = reference::problem(11, 5, 3, reference::Noise::common, false);
  EXPECT_THROW(NoiseModel(effects(p), arma::eye(2, 2)), input_error);
  EXPECT_THROW(NoiseModel(effects(p), arma::ones(3, 3) - 2.0 * arma::eye(3, 3)), input_error);
}
