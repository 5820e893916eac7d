#include <covmash/deconvolution/basis.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

}  // namespace

TEST(WhitenedBasis, MakesTheTypicalNoiseTheIdentity) {
  for (bool missing : {false, true}) {
    const auto p = reference::problem(3, 60, 4, reference::Noise::by_effect, missing);
    SerialExecutor executor;
    const NoiseModel noise(effects(p), p.C);
    const WhitenedBasis basis(noise, executor);
    arma::vec s(4);
    for (arma::uword r = 0; r < 4; ++r) {
      const arma::uvec seen = arma::find_finite(p.bhat.col(r));
      s[r] = std::sqrt(arma::mean(arma::square(arma::vec(p.shat.col(r)).elem(seen))));
    }
    EXPECT_LT(arma::abs(basis.scale() - s).max(), 1e-14);
    const arma::mat typical = p.C % (s * s.t());
    EXPECT_LT(arma::abs(basis.whitened(typical) - arma::eye(4, 4)).max(), 1e-13);
    EXPECT_NEAR(basis.log_determinant(), 0.5 * arma::log_det_sympd(typical), 1e-13);
    const arma::mat& U = p.covariances[3];
    EXPECT_LT(arma::abs(basis.of_data(basis.whitened(U)) - U).max(), 1e-13 * arma::abs(U).max());
    // tr(X U) is the same in both.
    const arma::mat A = arma::symmatu(p.covariances[4]);
    EXPECT_NEAR(arma::accu(basis.whitened_moment(A) % basis.whitened(U)) / arma::accu(A % U), 1.0, 1e-12);
    const arma::mat F = p.covariances[1].cols(0, 1);
    EXPECT_LT(arma::abs(basis.of_data_factor(basis.whitened(F * F.t())) -
                        basis.of_data_factor(arma::eye(4, 4)) * basis.whitened(F * F.t()))
                  .max(),
              1e-12);
  }
}

TEST(WhitenedBasis, WhitensCompleteEffectsExactly) {
  const auto p = reference::problem(4, 30, 3, reference::Noise::common, false);
  SerialExecutor executor;
  const NoiseModel noise(effects(p), p.C);
  const WhitenedBasis basis(noise, executor);
  const arma::mat expected = arma::solve(arma::trimatl(arma::mat(arma::chol(p.C, "lower"))), p.bhat.t()).t();
  EXPECT_LT(arma::abs(basis.whitened_effects(noise.effects()) - expected).max(), 1e-13);
}
