#include <covmash/linalg/sample_covariance.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using covmash::Panel;
using covmash::SampleCovariance;
using covmash::SerialExecutor;
using reference::factor_sample;

namespace {

SampleCovariance covariance_of(const arma::mat& x, bool standardise = true) {
  SerialExecutor serial;
  return SampleCovariance::from_data(x.memptr(), x.n_rows, x.n_cols, standardise, serial);
}

}  // namespace

TEST(SampleCovariance, IsTheSampleCovariance) {
  for (arma::uword p : {3, 40, 150})
    for (bool standardise : {false, true}) {
      const arma::mat x = factor_sample(2, 300, p, 2) + 100.0;
      const SampleCovariance S = covariance_of(x, standardise);
      ASSERT_TRUE(S.is_formed());
      const arma::mat expected = standardise ? arma::mat(arma::cor(x)) : arma::mat(arma::cov(x, 1));
      EXPECT_LT(arma::abs(S.matrix() - expected).max(), 1e-11);
      EXPECT_EQ(arma::abs(S.matrix() - S.matrix().t()).max(), 0.0);
      EXPECT_NEAR(S.mean()[1], arma::mean(x.col(1)), 1e-12);
    }
  EXPECT_FALSE(covariance_of(factor_sample(2, 20, 200, 2)).is_formed());
}

// The data instead of the matrix, and the matrix given, answer the same.
TEST(SampleCovariance, ProductsAreThoseOfTheMatrix) {
  SerialExecutor serial;
  for (arma::uword n : {20, 300}) {
    const arma::uword p = 200;
    const arma::mat x = factor_sample(18, n, p, 2), S = arma::cov(x, 1);
    std::mt19937 g(19);
    const arma::mat B = reference::draw(g, p, 3), expected = S * B;
    Panel X(p, 3), Y(p, 3);
    for (arma::uword i = 0; i < p; ++i)
      for (arma::uword j = 0; j < 3; ++j) X(i, j) = B(i, j);
    const SampleCovariance given = SampleCovariance::from_matrix(S.memptr(), p, false),
                           of_data = covariance_of(x, false);
    EXPECT_EQ(of_data.is_formed(), n == 300);
    EXPECT_EQ(of_data.rank_bound(), std::min<std::size_t>(n - 1, p));
    for (const SampleCovariance* operand : {&given, &of_data}) {
      operand->apply(X, Y, serial);
      for (arma::uword i = 0; i < p; ++i)
        for (arma::uword j = 0; j < 3; ++j) EXPECT_NEAR(Y(i, j), expected(i, j), 1e-11);
    }
  }
  EXPECT_THROW(covariance_of(factor_sample(18, 20, 200, 1)).matrix(), covmash::input_error);
  EXPECT_THROW(covariance_of(arma::ones(5, 2)), covmash::input_error);
}
