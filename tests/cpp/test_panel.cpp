#include <covmash/linalg/panel.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using covmash::Panel;
using covmash::SerialExecutor;
using reference::largest_difference;

TEST(Panel, ProductsAreThoseOfPlainLoopsOnEveryInstructionSet) {
  std::mt19937 g(1);
  const std::string before = covmash::simd::kernels().name;
  for (const auto* table : covmash::simd::available_tables()) {
    covmash::simd::select_table(table->name);
    for (arma::uword rows : {1, 7, 64, 131})
      for (arma::uword inner : {1, 5, 257, 600})
        for (arma::uword columns : {1, 8, 13, 24}) {
          const arma::mat A = reference::draw(g, inner, rows), B = reference::draw(g, inner, columns);
          Panel X(inner, columns), Y(rows, columns);
          for (arma::uword i = 0; i < inner; ++i)
            for (arma::uword j = 0; j < columns; ++j) X(i, j) = B(i, j);
          SerialExecutor serial;
          // Column-major A (inner x rows) is A' in row-major order.
          covmash::multiply_into(covmash::row_major(A.memptr(), inner), X, Y, serial);
          const arma::mat expected = A.t() * B;
          for (arma::uword i = 0; i < rows; ++i)
            for (arma::uword j = 0; j < columns; ++j)
              ASSERT_NEAR(Y(i, j), expected(i, j), 1e-12 * static_cast<double>(inner) * 10) << table->name;
          for (arma::uword i = 0; i < rows; ++i)
            for (arma::uword j = columns; j < Y.width(); ++j) ASSERT_EQ(Y(i, j), 0.0);
        }
  }
  covmash::simd::select_table(before);
}

TEST(Panel, CrossProductsAreThoseOfArmadillo) {
  std::mt19937 g(40);
  const arma::mat A = reference::draw(g, 70, 5), B = reference::draw(g, 70, 11);
  Panel X(70, 5), Y(70, 11);
  for (arma::uword i = 0; i < 70; ++i) {
    for (arma::uword j = 0; j < 5; ++j) X(i, j) = A(i, j);
    for (arma::uword j = 0; j < 11; ++j) Y(i, j) = B(i, j);
  }
  SerialExecutor serial;
  const std::vector<double> C = covmash::cross_product(X, Y, serial);
  const arma::mat expected = A.t() * B;
  for (arma::uword i = 0; i < X.width(); ++i)
    for (arma::uword j = 0; j < Y.width(); ++j)
      EXPECT_NEAR(C[i * Y.width() + j], i < 5 && j < 11 ? expected(i, j) : 0.0, 1e-12);
}

TEST(Panel, TallProductsAreThoseOfArmadillo) {
  std::mt19937 g(33);
  for (int m : {1, 7, 512, 1300})
    for (int q : {0, 1, 3, 9}) {
      const arma::mat A = reference::draw(g, m, q), B = reference::draw(g, m, 5), C = reference::draw(g, q, 5);
      EXPECT_LT(largest_difference(covmash::tall_cross(A, B), A.t() * B), 1e-13);
      arma::mat Y = B;
      covmash::tall_add(Y, A, C);
      EXPECT_LT(largest_difference(Y, B + A * C), 1e-13);
    }
}

TEST(Panel, LongColumns) {
  std::mt19937 g(41);
  for (arma::uword n : {0, 1, 5, 16, 1001}) {
    const arma::vec x = reference::draw(g, n, 1), y = reference::draw(g, n, 1);
    EXPECT_NEAR(covmash::dot(n, x.memptr(), y.memptr()), arma::dot(x, y), 1e-12);
    EXPECT_EQ(covmash::dot(n, x.memptr(), y.memptr()),
              covmash::dot(std::vector<double>(x.begin(), x.end()), std::vector<double>(y.begin(), y.end())));
    arma::vec z = y;
    covmash::add_multiple(n, -0.5, x.memptr(), z.memptr());
    EXPECT_LT(largest_difference(z, y - 0.5 * x), 1e-15);
  }
}
