#include <covmash/model/correlation.h>
#include <covmash/model/noise.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "reference.h"

using namespace covmash;

namespace {

const double not_there = std::numeric_limits<double>::quiet_NaN();

arma::cube correlations(std::size_t R, std::size_t n) {
  std::mt19937 g(4);
  arma::cube out(R, R, n);
  for (std::size_t j = 0; j < n; ++j) {
    if (j % 3 == 0) {
      out.slice(j) = 0.5 * arma::ones(R, R) + 0.5 * arma::eye(R, R);
      continue;
    }
    const arma::mat x = reference::draw(g, R, R + 2), S = x * x.t();
    const arma::vec d = 1.0 / arma::sqrt(S.diag());
    out.slice(j) = arma::symmatu(arma::diagmat(d) * S * arma::diagmat(d));
    out.slice(j).diag().ones();
  }
  return out;
}

}  // namespace

TEST(Correlation, EqualMatricesOfAnArrayAreOfOneKind) {
  const arma::cube C = correlations(3, 7);
  const ErrorCorrelation correlation(C.memptr(), 3, 7);
  EXPECT_FALSE(correlation.common());
  EXPECT_EQ(correlation.n_kinds(), 5u);
  EXPECT_EQ(correlation.kind(0), correlation.kind(6));
  EXPECT_NE(correlation.kind(1), correlation.kind(2));
  for (std::size_t j = 0; j < 7; ++j)
    EXPECT_TRUE(arma::approx_equal(correlation.of_kind(correlation.kind(j)), C.slice(j), "absdiff", 0.0));
  EXPECT_THROW(correlation.matrix(), input_error);
}

TEST(Correlation, ContrastsHaveTheCorrelationOfTheirErrors) {
  const arma::mat L = {{1.0, -1.0, 0.0}, {0.0, -1.0, 1.0}};
  const arma::mat shat = {{1.0, 2.0, 0.5}, {1.0, 2.0, 0.5}, {0.3, not_there, 1.0}};
  const arma::cube C = correlations(3, 3);
  for (bool array : {false, true}) {
    const ErrorCorrelation correlation(L, shat.memptr(), 3, C.slice(1), array ? C.memptr() : nullptr);
    EXPECT_EQ(correlation.conditions(), 2u);
    EXPECT_EQ(correlation.n_kinds(), array ? 3u : 2u);
    for (std::size_t j = 0; j < 3; ++j) {
      arma::vec s = shat.row(j).t();
      s.replace(not_there, 0.0);
      const arma::mat M = L * arma::diagmat(s), noise = M * C.slice(array ? j : 1) * M.t();
      const arma::vec d = 1.0 / arma::sqrt(noise.diag());
      const arma::mat expected = arma::diagmat(d) * noise * arma::diagmat(d);
      EXPECT_LT(arma::abs(correlation.of_kind(correlation.kind(j)) - expected).max(), 1e-14);
    }
  }
}

TEST(Correlation, TheFirstMatrixThatIsNoneIsFound) {
  arma::cube C = correlations(3, 6);
  SerialExecutor executor;
  EXPECT_EQ(first_bad_correlation(C.memptr(), 3, 6, executor).at, 0u);
  C(0, 1, 4) += 0.1;
  EXPECT_EQ(first_bad_correlation(C.memptr(), 3, 6, executor).at, 5u);
  EXPECT_FALSE(first_bad_correlation(C.memptr(), 3, 6, executor).symmetric);
  C.slice(2).ones();
  EXPECT_EQ(first_bad_correlation(C.memptr(), 3, 6, executor).at, 3u);
  EXPECT_TRUE(first_bad_correlation(C.memptr(), 3, 6, executor).symmetric);
}

TEST(Correlation, GroupsAreOfOneKind) {
  const auto p = reference::problem(3, 9, 3, reference::Noise::common, false);
  const arma::cube C = correlations(3, 9);
  const NoiseModel noise({p.bhat.memptr(), p.shat.memptr(), 9, 3}, ErrorCorrelation(C.memptr(), 3, 9));
  ASSERT_EQ(noise.shared().size(), 1u);
  EXPECT_EQ(noise.shared()[0].effects.size(), 3u);
  EXPECT_EQ(noise.row_specific().size(), 6u);
  EXPECT_LT(arma::abs(noise.shared()[0].pattern->chol * noise.shared()[0].pattern->chol.t() - C.slice(0)).max(), 1e-14);
}
