#include <covmash/linalg/jacobi.h>
#include <gtest/gtest.h>

#include "reference.h"

using covmash::jacobi_svd;
using covmash::JacobiSvd;

namespace {

void expect_decomposition(const arma::mat& G) {
  const JacobiSvd s = jacobi_svd(G);
  const double scale = std::max(G.is_empty() ? 0.0 : arma::abs(G).max(), 1e-300);
  ASSERT_EQ(s.W.n_cols, G.n_cols);
  EXPECT_LT(arma::abs(s.Q * arma::diagmat(s.sigma) - G * s.W).max() / scale, 1e-13);
  EXPECT_LT(arma::abs(s.W.t() * s.W - arma::eye(G.n_cols, G.n_cols)).max(), 1e-13);
  const arma::mat Q = s.Q.head_cols(s.rank);
  if (s.rank > 0) {
    EXPECT_LT(arma::abs(Q.t() * Q - arma::eye(s.rank, s.rank)).max(), 1e-13);
  }
  EXPECT_LE(s.rank, std::min(G.n_rows, G.n_cols));
}

}  // namespace

TEST(Jacobi, DecomposesEveryShape) {
  std::mt19937 g(3);
  for (arma::uword m : {1, 2, 4, 9})
    for (arma::uword q : {1, 2, 4, 9, 20})
      for (int repeat = 0; repeat < 5; ++repeat) expect_decomposition(reference::draw(g, m, q));
}

TEST(Jacobi, SurvivesRankDeficiency) {
  std::mt19937 g(4);
  const arma::mat B = reference::draw(g, 7, 2);
  expect_decomposition(B * reference::draw(g, 2, 5));
  expect_decomposition(arma::ones(6, 6));
  expect_decomposition(arma::zeros(4, 3));
  arma::mat G = reference::draw(g, 4, 6);
  G.cols(1, 2).zeros();
  expect_decomposition(G);
}

TEST(Jacobi, KeepsSmallSingularValues) {
  // Columns of very different length: an eigendecomposition of G'G would lose the small ones altogether.
  arma::mat G(3, 3, arma::fill::zeros);
  G(0, 0) = 1e9;
  G(1, 1) = 1.0;
  G(2, 2) = 1e-9;
  G(0, 2) = 1e-10;
  const JacobiSvd s = jacobi_svd(G);
  EXPECT_NEAR(s.sigma[2] / 1e-9, 1.0, 1e-14);
}

TEST(Jacobi, VectorsAreOrthogonalToTheLastBits) {
  std::mt19937 g(5);
  for (int repeat = 0; repeat < 20; ++repeat) {
    // Rows of very different size, as Shat from 1e-3 to 1e3 makes them.
    arma::mat G = reference::draw(g, 20, 20);
    G.each_col() %= arma::exp10(arma::linspace(-3.0, 3.0, 20));
    const JacobiSvd s = jacobi_svd(G);
    ASSERT_EQ(s.rank, 20u);
    EXPECT_LT(arma::abs(s.Q.t() * s.Q - arma::eye(20, 20)).max(), 4.0 * arma::datum::eps);
  }
}
