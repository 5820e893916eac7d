#include <covmash/linalg/leading_eigen.h>
#include <covmash/linalg/sample_covariance.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using covmash::LeadingEigen;
using covmash::LeadingEigenOptions;
using covmash::SampleCovariance;
using covmash::SerialExecutor;
using reference::factor_sample;

namespace {

SampleCovariance covariance_of(const arma::mat& x, bool standardise = true) {
  SerialExecutor serial;
  return SampleCovariance::from_data(x.memptr(), x.n_rows, x.n_cols, standardise, serial);
}

}  // namespace

TEST(LeadingEigen, AgreesWithTheWholeDecomposition) {
  SerialExecutor serial;
  for (arma::uword n : {60, 500}) {
    const arma::uword p = 200, k = 5;
    const arma::mat x = factor_sample(3, n, p, 3);
    const SampleCovariance S = covariance_of(x);
    LeadingEigen eigen(S, k, serial);
    ASSERT_FALSE(eigen.whole());
    std::mt19937 g(4);
    std::uniform_real_distribution<double> uniform(0.5, 2.0);
    for (int repeat = 0; repeat < 3; ++repeat) {
      std::vector<double> e(p);
      for (double& value : e) value = uniform(g);
      eigen.solve(e, 1e-10);
      arma::mat A = arma::cor(x);
      for (arma::uword i = 0; i < p; ++i)
        for (arma::uword j = 0; j < p; ++j) A(i, j) *= e[i] * e[j];
      const arma::vec values = arma::reverse(arma::eig_sym(A));
      for (arma::uword j = 0; j < k; ++j) EXPECT_NEAR(eigen.values()[j], values[j], 1e-11 * values[0]);
      EXPECT_LT(eigen.residual(), 1e-10 * values[0]);
    }
  }
}

TEST(LeadingEigen, SurvivesMatricesWithoutGapOrOfLowRank) {
  SerialExecutor serial;
  const arma::uword p = 150;
  const arma::mat identity = arma::eye(p, p);
  const SampleCovariance flat = SampleCovariance::from_matrix(identity.memptr(), p, false);
  LeadingEigen eigen(flat, 3, serial);
  eigen.solve(std::vector<double>(p, 1.0), 1e-10);
  for (double value : eigen.values()) EXPECT_NEAR(value, 1.0, 1e-12);
  std::mt19937 g(5);
  const arma::mat f = reference::draw(g, p, 2), low = f * f.t();
  const SampleCovariance two = SampleCovariance::from_matrix(low.memptr(), p, false);
  LeadingEigen of_two(two, 4, serial);
  of_two.solve(std::vector<double>(p, 1.0), 1e-10);
  const arma::vec expected = arma::reverse(arma::eig_sym(f.t() * f));
  EXPECT_NEAR(of_two.values()[0], expected[0], 1e-10 * expected[0]);
  EXPECT_NEAR(of_two.values()[1], expected[1], 1e-10 * expected[0]);
  EXPECT_LT(std::fabs(of_two.values()[3]), 1e-8 * expected[0]);
}

// Three eigenvalues that are 1e6 times the others, which lie densely.
TEST(LeadingEigen, DeflationFindsTheEdgeOfADensePartBesideMuchLargerOnes) {
  SerialExecutor serial;
  std::mt19937 g(20);
  const arma::uword p = 400, k = 8;
  arma::mat Q, R;
  arma::qr(Q, R, reference::draw(g, p, p));
  arma::vec values = arma::linspace(1.0, 0.5, p);
  values.head(3) = arma::vec{3e6, 2e6, 1e6};
  const arma::mat A = Q * arma::diagmat(values) * Q.t(), S = 0.5 * (A + A.t());
  LeadingEigenOptions options;
  options.relative = options.deflate = true;
  options.guard = 6;
  const SampleCovariance given = SampleCovariance::from_matrix(S.memptr(), p, false);
  LeadingEigen eigen(given, k, serial, options);
  eigen.solve(std::vector<double>(p, 1.0), 1e-8);
  EXPECT_TRUE(eigen.converged());
  const double rounding = 1e-15 * values[0];
  for (arma::uword j = 0; j < k; ++j) {
    EXPECT_NEAR(eigen.values()[j], values[j], 10.0 * rounding) << j;
    EXPECT_LT(eigen.residuals()[j], std::max(1e-8 * values[j], 20.0 * rounding)) << j;
  }
}

TEST(LeadingEigen, BeginsWithWhatIsGiven) {
  SerialExecutor serial;
  std::mt19937 g(21);
  const arma::uword p = 300;
  const arma::mat f = reference::draw(g, p, 4), S = f * f.t() + arma::mat(arma::eye(p, p));
  const SampleCovariance given = SampleCovariance::from_matrix(S.memptr(), p, false);
  LeadingEigen cold(given, 4, serial), warm(given, 4, serial);
  arma::mat U, V;
  arma::vec s;
  arma::svd_econ(U, s, V, f);
  warm.begin_with(U);
  cold.solve(std::vector<double>(p, 1.0), 1e-9);
  warm.solve(std::vector<double>(p, 1.0), 1e-9);
  EXPECT_EQ(warm.products(), 1.0);
  EXPECT_GT(cold.products(), 1.0);
  for (arma::uword j = 0; j < 4; ++j) {
    EXPECT_NEAR(warm.values()[j], s[j] * s[j] + 1.0, 1e-10 * s[0] * s[0]);
    EXPECT_NEAR(cold.values()[j], s[j] * s[j] + 1.0, 1e-10 * s[0] * s[0]);
  }
}
