#include <covmash/linalg/product.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

TEST(Product, OfAnySize) {
  std::mt19937 g(1);
  for (arma::uword m : {1, 3, 8, 13, 70})
    for (arma::uword inner : {1, 5, 300})
      for (arma::uword n : {1, 2, 9}) {
        const arma::mat A = reference::draw(g, m, inner), B = reference::draw(g, inner, n), expected = A * B;
        EXPECT_TRUE(arma::approx_equal(product(A, B), expected, "absdiff", 1e-12));
        EXPECT_TRUE(arma::approx_equal(transposed_product(arma::mat(A.t()), B), expected, "absdiff", 1e-12));
        EXPECT_TRUE(arma::approx_equal(product_transposed(A, arma::mat(B.t())), expected, "absdiff", 1e-12));
      }
}

TEST(Product, OfNothingIsZero) {
  const arma::mat A(3, 0), B(0, 2);
  EXPECT_TRUE(arma::approx_equal(product(A, B), arma::zeros(3, 2), "absdiff", 0.0));
  EXPECT_EQ(transposed_product(A, arma::mat(3, 2)).n_elem, 0u);
}

TEST(Product, OfAFactorAndItsTransposeIsExactlySymmetric) {
  std::mt19937 g(2);
  const arma::mat F = reference::draw(g, 13, 7), U = product_transposed(F, F);
  EXPECT_TRUE(arma::approx_equal(U, U.t(), "absdiff", 0.0));
}
