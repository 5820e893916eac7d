#include <covmash/linalg/householder.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using namespace covmash;
using reference::largest_difference;

TEST(Householder, NormsNeitherOverflowNorUnderflow) {
  const double x[] = {3.0, 0.0, -4.0};
  EXPECT_DOUBLE_EQ(stable_norm(3, x), 5.0);
  for (double scale : {1e-300, 1e-160, 1e160, 1e300}) {
    const double y[] = {3.0 * scale, 4.0 * scale};
    EXPECT_NEAR(stable_norm(2, y) / scale, 5.0, 1e-14);
  }
  const double zero[] = {0.0, 0.0};
  EXPECT_EQ(stable_norm(2, zero), 0.0);
  EXPECT_EQ(stable_norm(0, zero), 0.0);
}

TEST(Householder, ReflectorsTurnAVectorIntoItsFirstCoordinate) {
  std::mt19937 g(70);
  for (arma::uword n : {1, 2, 9, 40})
    for (double head : {-1.0, 1.0}) {
      arma::vec x = reference::draw(g, n, 1);
      x[0] *= head;
      arma::vec v = x, y = x;
      const double tau = make_reflector(n, v.memptr());
      EXPECT_NEAR(std::fabs(v[0]), arma::norm(x), 1e-14 * arma::norm(x));
      reflect(tau, n, v.memptr(), y.memptr());
      EXPECT_NEAR(y[0], v[0], 1e-13);
      if (n > 1) {
        EXPECT_LT(arma::abs(y.tail(n - 1)).max(), 1e-13);
      }
      arma::vec twice = y;
      reflect(tau, n, v.memptr(), twice.memptr());
      EXPECT_LT(largest_difference(twice, x), 1e-13);
      // Head and tail apart.
      double other = x[0];
      arma::vec tail = x.tail(n - 1);
      EXPECT_EQ(make_reflector(stable_norm(n, x.memptr()), other, n - 1, tail.memptr()), tau);
      EXPECT_EQ(other, v[0]);
    }
  double zero[] = {0.0, 0.0};
  EXPECT_EQ(make_reflector(2, zero), 0.0);
}

TEST(Householder, PivotedQrIsAFactorisation) {
  std::mt19937 g(71);
  for (arma::uword m : {1, 4, 30})
    for (arma::uword q : {1, 4, 30}) {
      const arma::mat A = reference::draw(g, m, q);
      const PivotedQr qr(A);
      ASSERT_EQ(qr.steps(), std::min(m, q));
      arma::mat P(m, q);
      for (arma::uword j = 0; j < q; ++j) P.col(j) = A.col(qr.order()[j]);
      EXPECT_LT(largest_difference(qr.expand(qr.R()), P), 1e-13);
      arma::mat Q = arma::eye(m, m);
      qr.multiply(Q);
      EXPECT_LT(largest_difference(Q.t() * Q, arma::eye(m, m)), 1e-13);
      for (arma::uword k = 1; k < qr.steps(); ++k)
        EXPECT_LE(std::fabs(qr.pivot(k)), std::fabs(qr.pivot(k - 1)) * (1.0 + 1e-12));
    }
}

TEST(Householder, TriangulariseGivesTheRootOfTheGramMatrix) {
  std::mt19937 g(72);
  for (arma::uword m : {3, 5, 40}) {
    const arma::mat A = reference::draw(g, m, 5);
    arma::mat R = A;
    triangularise(R);
    for (arma::uword j = 0; j < 5; ++j)
      for (arma::uword i = j + 1; i < m; ++i) R(i, j) = 0.0;
    EXPECT_LT(largest_difference(R.t() * R, A.t() * A), 1e-13);
  }
}

TEST(Householder, BlocksOfRowsGiveTheFactorOfTheWhole) {
  std::mt19937 g(73);
  const arma::mat A = reference::draw(g, 100, 6);
  arma::mat whole = A;
  triangularise(whole);
  whole = arma::trimatu(whole.head_rows(6));
  for (arma::uword block : {1, 5, 6, 33, 100}) {
    TriangularFactor one(6), first(6), second(6);
    for (arma::uword from = 0; from < 100; from += block) {
      arma::mat part = A.rows(from, std::min<arma::uword>(99, from + block - 1)), copy = part;
      one.absorb(part.n_rows, part.memptr());
      (from < 50 ? first : second).absorb(copy.n_rows, copy.memptr());
    }
    first.absorb(second);
    for (const TriangularFactor* factor : {&one, &first}) {
      const arma::mat R = factor->R();
      EXPECT_TRUE(R.is_trimatu());
      EXPECT_LT(largest_difference(arma::abs(R), arma::abs(whole)), 1e-13) << block;
    }
  }
}

// Singular values far below the root of eps times the largest, which a Gram matrix would not have.
TEST(Householder, NothingIsSquared) {
  std::mt19937 g(74);
  arma::mat Q, W, R;
  arma::qr_econ(Q, R, reference::draw(g, 300, 4));
  arma::qr(W, R, reference::draw(g, 4, 4));
  const arma::vec s = {1.0, 1e-4, 1e-9, 1e-12};
  const arma::mat A = Q * arma::diagmat(s) * W.t();
  TriangularFactor factor(4);
  for (arma::uword from = 0; from < 300; from += 60) {
    arma::mat part = A.rows(from, from + 59);
    factor.absorb(60, part.memptr());
  }
  const arma::vec found = arma::svd(factor.R());
  for (arma::uword i = 0; i < 4; ++i) EXPECT_NEAR(found[i], s[i], 2e-15);
}
