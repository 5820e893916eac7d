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

TEST(Sample, WithoutFactorsSamplesOrGenes) {
  for (arma::uword n : {0, 1, 5})
    for (arma::uword N : {0, 1, 3})
      for (arma::uword q : {0, 2}) {
        arma::mat X(n, N, arma::fill::value(2.0));
        covmash::factor_draws(arma::mat(N, q, arma::fill::ones), arma::vec(N, arma::fill::value(4.0)),
                              arma::vec(N, arma::fill::ones), arma::mat(n, q, arma::fill::ones), X);
        EXPECT_TRUE(arma::all(arma::vectorise(X == 5.0 + static_cast<double>(q))));
      }
}
