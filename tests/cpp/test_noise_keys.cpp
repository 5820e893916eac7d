// Noises told apart, and found in a dictionary.
#include <covmash/mash/likelihood.h>
#include <covmash/mash/posterior.h>
#include <covmash/model/noise.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

constexpr double NaN = std::numeric_limits<double>::quiet_NaN();

Effects effects(const arma::mat& bhat, const arma::mat& shat) {
  return {bhat.memptr(), shat.memptr(), bhat.n_rows, bhat.n_cols};
}

// Three noises, of 60, 5 and 40 effects, others of their own, and effects that are complete with one Shat.
struct Mixed {
  arma::mat bhat, shat;
  Mixed() {
    auto p = reference::problem(11, 160, 4, reference::Noise::by_effect, false);
    bhat = p.bhat;
    shat = p.shat;
    for (arma::uword j = 0; j < 60; ++j) shat.row(2 * j) = (1.0 + 0.1 * static_cast<double>(j % 3)) * shat.row(0);
    for (arma::uword j = 0; j < 5; ++j) shat.row(2 * j + 1) = shat.row(1);
    for (arma::uword j = 120; j < 160; ++j) {
      shat.row(j).fill(j < 150 ? 1.0 : 2.0);
      if (j < 150) bhat(j, 2) = NaN;
    }
  }
  NoiseDictionary dictionary() const {
    arma::mat representatives(4, 2);
    representatives.col(0) = shat.row(0).t();
    representatives.col(1) = shat.row(120).t();
    representatives(2, 1) = NaN;
    return NoiseDictionary(representatives, {60, 30});
  }
};

}  // namespace

TEST(NoiseKeys, AreThoseOfThePatternAndOfShatUpToAFactor) {
  const Mixed m;
  const Effects e = effects(m.bhat, m.shat);
  const NoiseKeys keys(e, ErrorCorrelation(arma::mat(arma::eye(4, 4))));
  EXPECT_EQ(keys.key[0], keys.key[2]);
  EXPECT_EQ(keys.key[1], keys.key[3]);
  EXPECT_NE(keys.key[0], keys.key[1]);
  EXPECT_NE(keys.key[11], keys.key[13]);
  EXPECT_EQ(keys.key[120], keys.key[149]);
  EXPECT_NE(keys.key[120], keys.key[150]);
  EXPECT_TRUE(keys.simple[150] && !keys.simple[120] && !keys.simple[0]);
  EXPECT_EQ(keys.n_missing, 30u);
}

TEST(NoiseDictionary, MakesTheSameGroupsForAnyPartOfTheEffects) {
  const Mixed m;
  const NoiseDictionary dictionary = m.dictionary();
  const Effects e = effects(m.bhat, m.shat);
  const NoiseModel all(e, arma::eye(4, 4), nullptr), known(e, ErrorCorrelation(arma::mat(arma::eye(4, 4))), nullptr, &dictionary);
  ASSERT_EQ(known.shared().size(), 3u);
  EXPECT_TRUE(known.shared()[0].simple);
  EXPECT_EQ(known.shared()[1].count, 60u);
  EXPECT_EQ(known.shared()[1].effects.size(), 60u);
  EXPECT_EQ(known.shared()[2].count, 30u);
  EXPECT_EQ(known.row_specific().size(), 60u);  // five that share theirs are too few to be in it
  EXPECT_EQ(all.row_specific().size(), 55u);
  // A part without the representative, and with one effect of a noise only.
  const arma::uvec rows = {2, 11, 121, 151};
  const arma::mat bhat = m.bhat.rows(rows), shat = m.shat.rows(rows);
  const NoiseModel part(effects(bhat, shat), ErrorCorrelation(arma::mat(arma::eye(4, 4))), nullptr, &dictionary);
  ASSERT_EQ(part.shared().size(), 3u);
  EXPECT_EQ(part.shared()[1].count, 60u);
  for (std::size_t r = 0; r < 4; ++r) EXPECT_EQ(part.shared()[1].direction[r], known.shared()[1].direction[r]);
  EXPECT_EQ(part.row_specific().size(), 1u);
}

TEST(NoiseDictionary, GivesAnEffectTheSameBitsWhateverTheOthers) {
  const Mixed m;
  const NoiseDictionary dictionary = m.dictionary();
  auto p = reference::problem(11, 1, 4, reference::Noise::by_effect, false);
  MixturePrior prior;
  for (const arma::mat& U : p.covariances) prior.covariances.push_back(recognise(U));
  prior.scales = {0.25, 1.0, 4.0};
  prior.point_mass = true;
  SerialExecutor executor;
  const arma::mat C = 0.3 * arma::ones(4, 4) + 0.7 * arma::eye(4, 4);
  const auto logliks = [&](const arma::mat& bhat, const arma::mat& shat) {
    const NoiseModel noise(effects(bhat, shat), ErrorCorrelation(C), nullptr, &dictionary);
    arma::mat out(bhat.n_rows, prior.n_components());
    loglik_matrix(noise, prior, 64, executor, out.memptr());
    return out;
  };
  const arma::mat all = logliks(m.bhat, m.shat);
  for (const arma::uvec& rows : {arma::uvec{0}, arma::uvec{4, 3, 121}, arma::uvec{155, 130, 2, 4, 90, 91}})
    EXPECT_TRUE(arma::approx_equal(all.rows(rows), logliks(m.bhat.rows(rows), m.shat.rows(rows)), "absdiff", 0.0));
}
