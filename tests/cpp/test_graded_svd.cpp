#include <covmash/linalg/graded_svd.h>
#include <gtest/gtest.h>

#include "reference.h"

TEST(GradedSvd, DecomposesEveryShape) {
  std::mt19937 g(1);
  for (int m : {1, 2, 5, 30})
    for (int q : {0, 1, 2, 5, 30, 40}) {
      const arma::mat A = reference::draw(g, m, q);
      const covmash::GradedSvd svd = covmash::graded_svd(A);
      const arma::uword r = svd.s.n_elem;
      ASSERT_EQ(r, static_cast<arma::uword>(std::min(m, q)));
      ASSERT_EQ(svd.V.n_cols, static_cast<arma::uword>(q));
      if (q == 0) continue;
      EXPECT_LT(arma::abs(svd.U * arma::diagmat(svd.s) * svd.V.head_cols(r).t() - A).max(), 1e-13);
      EXPECT_LT(arma::abs(svd.U.t() * svd.U - arma::eye(r, r)).max(), 1e-13);
      EXPECT_LT(arma::abs(svd.V.t() * svd.V - arma::eye(q, q)).max(), 1e-13);
    }
}

TEST(GradedSvd, DeficientFactorsKeepAnOrthogonalBasis) {
  std::mt19937 g(2);
  for (int m : {3, 12}) {
    arma::mat A = reference::draw(g, m, 6);
    A.cols(2, 3).zeros();
    const covmash::GradedSvd svd = covmash::graded_svd(A);
    EXPECT_LT(arma::abs(svd.V.t() * svd.V - arma::eye(6, 6)).max(), 1e-13);
    EXPECT_LT(arma::abs(svd.U * arma::diagmat(svd.s) * svd.V.head_cols(svd.s.n_elem).t() - A).max(), 1e-13);
    EXPECT_LE(svd.s.n_elem, 4u);
  }
  EXPECT_EQ(covmash::graded_svd(arma::zeros(4, 2)).s.n_elem, 0u);
}

TEST(GradedSvd, RowsOfAnySizeKeepTheirAccuracy) {
  std::mt19937 g(3);
  arma::mat A = reference::draw(g, 9, 3);
  for (arma::uword i = 0; i < 9; ++i) A.row(i) *= std::pow(10.0, 60.0 * static_cast<double>(i % 3) - 60.0);
  const covmash::GradedSvd svd = covmash::graded_svd(A);
  const arma::mat back = svd.U * arma::diagmat(svd.s) * svd.V.t();
  for (arma::uword i = 0; i < 9; ++i)
    if (i % 3 == 2) {
      EXPECT_LT(arma::abs(back.row(i) / A.row(i) - 1.0).max(), 1e-12);
    }
  EXPECT_TRUE(svd.U.is_finite());
}
