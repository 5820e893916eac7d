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

TEST(Loadings, WithoutFactorsOrGenes) {
  covmash::SerialExecutor serial;
  EXPECT_EQ(covmash::factor_root(arma::mat(0, 0)).n_elem, 0u);
  for (arma::uword n : {0, 1, 3}) {
    EXPECT_TRUE(arma::all(covmash::systematic_variances(arma::mat(n, 0), arma::mat(0, 0)) == 0.0));
    const arma::mat G = covmash::whole_loadings(arma::mat(n, 0), arma::mat(0, 0), serial);
    EXPECT_EQ(G.n_rows, n);
    EXPECT_EQ(G.n_cols, 0u);
  }
  EXPECT_EQ(covmash::systematic_variances(arma::mat(0, 2), arma::eye(2, 2)).n_elem, 0u);
}

TEST(Loadings, WholeLoadingsHaveTheCovarianceOfTheFactors) {
  std::mt19937 g(40);
  covmash::SerialExecutor serial;
  const arma::mat B = reference::draw(g, 1100, 4), F = arma::symmatu(arma::cov(reference::draw(g, 9, 4)));
  const arma::mat G = covmash::whole_loadings(B, F, serial);
  EXPECT_LT(largest_difference(G * G.t(), B * F * B.t()), 1e-13);
}
