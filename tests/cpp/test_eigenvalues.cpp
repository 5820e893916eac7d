#include <covmash/factor/eigenvalues.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

namespace {

arma::vec dense(const arma::mat& G, const arma::vec& noise) {
  arma::mat S = G * G.t();
  S.diag() += noise;
  return arma::reverse(arma::eig_sym(S));
}

}  // namespace

TEST(FactorEigenvalues, AllOfThem) {
  std::mt19937 g(50);
  for (arma::uword N : {1, 6, 40})
    for (arma::uword q : {0, 1, 5}) {
      const arma::mat G = reference::draw(g, N, q);
      const arma::vec noise = arma::abs(reference::draw(g, N, 1));
      EXPECT_LT(reference::largest_difference(covmash::factor_eigenvalues(G, noise), dense(G, noise)), 1e-13);
    }
}

TEST(FactorEigenvalues, LeadingOnesWithoutTheMatrix) {
  std::mt19937 g(51);
  covmash::SerialExecutor serial;
  covmash::ThreadExecutor threads(3);
  const arma::uword N = 500;
  const arma::vec even = arma::abs(reference::draw(g, N, 1));
  arma::vec equal = 0.5 * even / even.max();
  equal.subvec(100, 107).fill(7.0);
  struct Case {
    arma::mat G;
    arma::vec noise;
  };
  for (const Case& c : {Case{reference::draw(g, N, 4), even}, Case{0.02 * reference::draw(g, N, 3), even},
                        Case{1e3 * reference::draw(g, N, 2), even}, Case{1e-3 * reference::draw(g, N, 1), equal},
                        Case{arma::mat(N, 0), even}, Case{reference::draw(g, N, 40), even}})
    for (std::size_t n : {1, 4, 12}) {
      const auto found = covmash::leading_factor_eigenvalues(c.G, c.noise, n, 1e-10, serial);
      const arma::vec expected = dense(c.G, c.noise);
      EXPECT_TRUE(found.converged);
      ASSERT_EQ(found.values.size(), n);
      // Rounding leaves eps of the largest open, for the dense decomposition too.
      const double open = 1e-13 * expected[0];
      for (std::size_t k = 0; k < n; ++k)
        EXPECT_NEAR(found.values[k], expected[k], 1e-10 * expected[k] + open) << n << k;
      EXPECT_EQ(covmash::leading_factor_eigenvalues(c.G, c.noise, n, 1e-10, threads).values, found.values);
    }
  EXPECT_THROW(covmash::leading_factor_eigenvalues(arma::mat(3, 1), arma::ones(3), 4, 1e-10, serial),
               covmash::input_error);
}

TEST(FactorEigenvalues, WithoutFactorsOrGenes) {
  covmash::SerialExecutor serial;
  EXPECT_NEAR(covmash::factor_eigenvalues(arma::mat(1, 0), {3.0})[0], 3.0, 1e-14);
  EXPECT_EQ(covmash::factor_eigenvalues(arma::mat(2, 0), {0.0, 0.0})[0], 0.0);
  EXPECT_EQ(covmash::factor_eigenvalues(arma::mat(0, 0), arma::vec()).n_elem, 0u);
  EXPECT_EQ(covmash::factor_eigenvalues(arma::mat(0, 2), arma::vec()).n_elem, 0u);
  EXPECT_NEAR(covmash::leading_factor_eigenvalues(arma::mat(1, 0), {3.0}, 1, 1e-10, serial).values[0], 3.0, 1e-14);
  EXPECT_NEAR(covmash::leading_factor_eigenvalues(arma::mat(2, 0), {3.0, 1.0}, 1, 1e-10, serial).values[0], 3.0, 1e-9);
}

TEST(FactorEigenvalues, OfTheMatrixItself) {
  std::mt19937 g(52);
  covmash::SerialExecutor serial;
  for (arma::uword q : {0, 3, 150}) {
    const arma::mat G = reference::draw(g, 140, q);
    const arma::vec noise = arma::abs(reference::draw(g, 140, 1));
    EXPECT_LT(reference::largest_difference(covmash::formed_factor_eigenvalues(G, noise, serial), dense(G, noise)),
              1e-13);
  }
}
