#include <covmash/factor/loadings.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using reference::largest_difference;

TEST(Loadings, SystematicVariancesAreTheDiagonal) {
  std::mt19937 g(33);
  for (int m : {1, 7, 512, 1300})
    for (int q : {0, 1, 3, 9}) {
      const arma::mat A = reference::draw(g, m, q);
      const arma::mat F = q > 0 ? arma::mat(arma::cov(reference::draw(g, q + 2, q))) : arma::mat(0, 0);
      const arma::mat direct = arma::sum(A % (A * F), 1);
      EXPECT_LT(largest_difference(covmash::systematic_variances(A, F), direct), 1e-13);
    }
}

TEST(Loadings, RootsOfFactorCovariances) {
  std::mt19937 g(39);
  const arma::mat half = reference::draw(g, 5, 2);
  for (const arma::mat& F : {arma::mat(arma::eye(4, 4)), arma::mat(arma::cov(reference::draw(g, 9, 4))),
                             arma::mat(half * half.t()), arma::mat(3, 3, arma::fill::zeros)}) {
    const arma::mat S = 0.5 * (F + F.t()), L = covmash::factor_root(S);
    EXPECT_LT(largest_difference(L * L.t(), S), 1e-14);
  }
}
