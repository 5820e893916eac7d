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

