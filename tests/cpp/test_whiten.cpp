// M^-1 of groups and of effects against dense arithmetic.
#include <covmash/sweep/whiten.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

// z'z and the constant of the log-density determine the noise's likelihood, whatever M is.
double null_loglik(const WhitenedBlock& w, std::size_t lane, std::size_t rows, std::size_t W, bool packs) {
  double zz = 0.0;
  for (std::size_t r = 0; r < rows; ++r) {
    const double z = packs ? w.pack_z[lane / W * rows * W + r * W + lane % W] : w.z[r * simd::lanes + lane];
    zz += z * z;
  }
  return w.constant[lane] - 0.5 * zz;
}

}  // namespace

TEST(Whiten, AGroupsFactorHasTheNoisesInverseAsGram) {
  auto p = reference::problem(51, 40, 5, reference::Noise::proportional, false);
  for (arma::uword j = 0; j < 40; ++j) p.bhat(j, 2) = std::nan("");
  const NoiseModel noise(effects(p), p.C);
  ASSERT_EQ(noise.shared().size(), 1u);
  const SharedNoise& g = noise.shared()[0];
  const arma::uword j = g.effects[7];
  const arma::uvec O = {0, 1, 3, 4};
  const arma::vec s = p.shat.row(j).t();
  const arma::mat V = (p.C % (s * s.t())).eval().submat(O, O);
  const arma::mat G = whiten(arma::eye(5, 5), g) / g.factor[7];
  const arma::mat inverse = arma::inv_sympd(V);
  EXPECT_LT(arma::abs(G.cols(O).t() * G.cols(O) - inverse).max(), 1e-12 * inverse.max());
  EXPECT_EQ(arma::abs(G.col(2)).max(), 0.0);
}

TEST(Whiten, EffectsInEveryFormHaveTheDensityOfTheNoise) {
  for (bool correlated : {false, true})
    for (const GroupSizes sizes : {GroupSizes{2, GroupSizes::never}, GroupSizes{GroupSizes::never, 2}, GroupSizes{}}) {
      auto p = reference::problem(52, 150, 4, reference::Noise::by_effect, true);
      if (!correlated) p.C.eye();
      for (arma::uword j = 0; j < 150; ++j)
        if (j % 5 > 0) p.shat.row(j) = static_cast<double>(j % 3 + 1) * p.shat.row(j / 5 * 5);
      const NoiseModel noise(effects(p), p.C);
      MixturePrior prior;
      prior.covariances = {recognise(arma::eye(4, 4))};
      prior.scales = {1.0};
      const Plan plan(noise, prior, sizes);
      const Whitener whitener(noise, plan);
      WhitenedBlock w;
      const std::size_t W = simd::kernels().width;
      for (const Block& b : plan.blocks()) {
        whitener.load(b, w);
        std::size_t rows[block_effects];
        plan.rows(b, rows);
        for_each_lane(b.lanes, [&](std::size_t lane) {
          const double expected = reference::loglik(p, rows[lane], arma::zeros(4, 4));
          const std::size_t n =
              b.form == Form::spectral ? noise.shared()[plan.segments(b)[0].group].observed().size() : 4;
          EXPECT_NEAR(null_loglik(w, lane, n, W, b.form == Form::row), expected, 1e-11);
          if (!correlated && b.form != Form::row) {
            whitener.pack(w);
            EXPECT_NEAR(null_loglik(w, lane, 4, W, true), expected, 1e-11);
          }
        });
      }
    }
}

TEST(Whiten, TheLanesOfARegisterHoldTheNoiseOfTheirGroups) {
  auto p = reference::problem(53, 12, 4, reference::Noise::by_effect, false);
  for (arma::uword j = 0; j < 12; ++j) p.shat.row(j) = p.shat.row(j / 4 * 4);
  for (arma::uword j = 4; j < 8; ++j) p.bhat(j, 1) = std::nan("");
  const NoiseModel noise(effects(p), p.C);
  ASSERT_EQ(noise.shared().size(), 3u);
  MixturePrior prior;
  const Plan plan(noise, prior, GroupSizes{2, GroupSizes::never});
  const Whitener whitener(noise, plan);
  Buffer<double> inverse_shat, chol;
  const std::size_t W = simd::kernels().width, n = std::min<std::size_t>(W, 3);
  const std::size_t groups[] = {0, 1, 2};
  const PackNoise pack = whitener.noise_of_groups(groups, n, inverse_shat, chol);
  for (std::size_t lane = 0; lane < n; ++lane) {
    arma::mat L(4, 4, arma::fill::zeros);
    for (arma::uword r = 0, at = 0; r < 4; ++r)
      for (arma::uword c = 0; c <= r; ++c, ++at) {
        const double x = pack.chol[at * W + lane];
        L(r, c) = r == c ? 1.0 / x : x;
      }
    const arma::mat G = arma::solve(L, arma::diagmat(arma::vec{
                                           pack.inverse_shat[lane], pack.inverse_shat[W + lane],
                                           pack.inverse_shat[2 * W + lane], pack.inverse_shat[3 * W + lane]}));
    const arma::uvec O = lane == 1 ? arma::uvec{0, 2, 3} : arma::uvec{0, 1, 2, 3};
    const arma::mat expected = whiten(arma::eye(4, 4), noise.shared()[lane]);
    EXPECT_LT(arma::abs(G.rows(O) - expected).max(), 1e-13);
  }
}
