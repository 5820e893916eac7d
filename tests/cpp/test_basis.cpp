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
    const WhitenedBasis basis(noise, nullptr, executor);
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

TEST(WhitenedBasis, KnowsNoiseThatAllEffectsHave) {
  for (auto kind : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect})
    for (bool missing : {false, true})
      for (bool correlated : {false, true}) {
        auto p = reference::problem(5, 50, 4, kind, missing);
        if (!correlated) p.C = arma::eye(4, 4);
        SerialExecutor executor;
        const NoiseModel noise(effects(p), p.C);
        const WhitenedBasis basis(noise, nullptr, executor);
        const double v = basis.least_noise();
        EXPECT_GT(v, 0.0);
        const arma::mat typical = p.C % (basis.scale() * basis.scale().t());
        double closest = std::numeric_limits<double>::infinity();
        for (arma::uword j = 0; j < 50; ++j) {
          const arma::uvec O = reference::observed(p, j);
          if (O.is_empty()) continue;
          const arma::vec s = arma::vec(p.shat.row(j).t()).elem(O);
          const arma::mat beyond = p.C.submat(O, O) % (s * s.t()) - v * typical.submat(O, O);
          closest = std::min(closest, arma::eig_sym(beyond).min());
        }
        EXPECT_GT(closest, -1e-12);
        if (!correlated) {
          EXPECT_LT(closest, 1e-10);  // and no more than that is known to be
        }
        if (kind == reference::Noise::common) {
          EXPECT_NEAR(v, 1.0, 1e-12);
        }
      }
}

TEST(WhitenedBasis, AWeightIsThatManyCopies) {
  const auto p = reference::problem(6, 30, 3, reference::Noise::by_effect, true);
  auto twice = p;
  twice.bhat = arma::join_cols(p.bhat, p.bhat.head_rows(7));
  twice.shat = arma::join_cols(p.shat, p.shat.head_rows(7));
  std::vector<double> weights(30, 1.0);
  std::fill_n(weights.begin(), 7, 2.0);
  SerialExecutor executor;
  const NoiseModel one(effects(p), p.C), two(effects(twice), p.C);
  const WhitenedBasis a(one, weights.data(), executor), b(two, nullptr, executor);
  EXPECT_LT(arma::abs(a.scale() - b.scale()).max(), 1e-14);
}

TEST(WhitenedBasis, WhitensCompleteEffectsExactly) {
  const auto p = reference::problem(4, 30, 3, reference::Noise::common, false);
  SerialExecutor executor;
  const NoiseModel noise(effects(p), p.C);
  const WhitenedBasis basis(noise, nullptr, executor);
  const arma::mat expected = arma::solve(arma::trimatl(arma::mat(arma::chol(p.C, "lower"))), p.bhat.t()).t();
  EXPECT_LT(arma::abs(basis.whitened_effects(noise.effects()) - expected).max(), 1e-13);
}
