#include <covmash/factor/sample.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using reference::largest_difference;

TEST(Sample, DrawsAreLinearInTheirNormals) {
  std::mt19937 g(34);
  const arma::mat G = reference::draw(g, 6, 2), f = reference::draw(g, 9, 2), e = reference::draw(g, 9, 6);
  const arma::vec noise = {0.0, 1.0, 2.0, 0.5, 3.0, 4.0}, mean = {1, 2, 3, 4, 5, 6};
  arma::mat X = e;
  covmash::factor_draws(G, noise, mean, f, X);
  EXPECT_LT(largest_difference(X, arma::ones(9) * mean.t() + f * G.t() + e * arma::diagmat(arma::sqrt(noise))), 1e-14);
}
