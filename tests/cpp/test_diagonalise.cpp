#include <covmash/sweep/diagonalise.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

TEST(Diagonalise, EqualDirectionsAreOneTerm) {
  const arma::uword R = 9;
  const arma::mat bhat(1, R, arma::fill::ones), shat(1, R, arma::fill::ones);
  const Effects e{bhat.memptr(), shat.memptr(), 1, R};
  const NoiseModel noise(e, arma::eye(R, R));
  const auto terms = [&](const arma::mat& U) {
    return diagonalise(recognise(U).whole_factor(), noise.shared()[0]).n_terms();
  };
  arma::mat equicorrelated(R, R, arma::fill::value(0.25));
  equicorrelated.diag().ones();
  EXPECT_EQ(terms(3.0 * arma::eye(R, R)), 1u);
  EXPECT_EQ(terms(arma::ones(R, R)), 2u);  // its direction, and what it does not reach
  EXPECT_LE(terms(equicorrelated), 3u);
  std::mt19937 g(5);
  const arma::mat F = reference::draw(g, R, R);
  EXPECT_EQ(terms(F * F.t()), R);
}


TEST(Diagonalise, TheFormsGiveTheWhitenedFactorBack) {
  const arma::uword R = 5;
  auto p = reference::problem(61, 30, R, reference::Noise::by_effect, false);
  for (arma::uword j = 0; j < 30; ++j) p.shat.row(j) = p.shat.row(0);
  const Effects e{p.bhat.memptr(), p.shat.memptr(), 30, R};
  const NoiseModel noise(e, p.C);
  ASSERT_EQ(noise.shared().size(), 1u);
  std::mt19937 g(8);
  for (arma::uword q : {1, 2, 5, 8}) {
    const arma::mat F = reference::draw(g, R, q), G = whiten(F, noise.shared()[0]);
    const Spectral u = diagonalise(F, noise.shared()[0]);
    arma::vec d(u.d);
    if (u.has_rest) d = d.head(u.explicit_terms);
    const arma::vec expected = arma::sort(arma::eig_sym(G * G.t()), "descend");
    EXPECT_LT(arma::abs(d - expected.head(d.n_elem)).max(), 1e-12 * expected[0]);

    MixturePrior prior;
    const Plan plan(noise, prior, GroupSizes{2, GroupSizes::never});
    const Whitener whitener(noise, plan);
    Buffer<double> shat, chol, scratch;
    const std::size_t first = 0;
    GroupForms forms;
    const std::vector<double> scales = {0.3, 7.0};
    forms.decompose(F, whitener.noise_of_groups(&first, 1, shat, chol), scales, true, simd::kernels(), scratch);
    if (q == 1) {
      for (arma::uword r = 0; r < R; ++r) EXPECT_NEAR(forms.groups[0].reflectors[r], G(r, 0), 1e-14);
      continue;
    }
    // B B' has the eigenvalues of G G', and back back' = F F'.
    arma::mat B(R, std::max(q, R), arma::fill::zeros), back(R, q);
    for (arma::uword i = 0; i < std::min(q, R); ++i) {
      B(i, i) = forms.groups[0].alpha[i];
      if (i + 1 < R) B(i + 1, i) = forms.groups[0].beta[i];
    }
    for (arma::uword r = 0; r < R; ++r)
      for (arma::uword c = 0; c < q; ++c) {
        back(r, c) = forms.groups[0].back_rows[r * q + c];
        EXPECT_EQ(back(r, c), forms.groups[0].back_columns[c * forms.padded + r]);
      }
    EXPECT_LT(arma::abs(arma::sort(arma::eig_sym(B * B.t()), "descend") - expected).max(), 1e-12 * expected[0]);
    EXPECT_LT(arma::abs(back * back.t() - F * F.t()).max(), 1e-13 * arma::abs(F * F.t()).max());
    forms.make_tables(0, 0.25, scales, simd::kernels());
    for (std::size_t l = 0; l < 2; ++l) {
      double log_det, sign;
      arma::log_det(log_det, sign, arma::eye(R, R) + 0.25 * scales[l] * G * G.t());
      EXPECT_NEAR(forms.groups[0].log_det[l], log_det, 1e-12 * std::max(1.0, std::fabs(log_det)));
    }
  }
}
