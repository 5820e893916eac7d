#include <covmash/linalg/symmetric_eigen.h>
#include <gtest/gtest.h>

#include "reference.h"

namespace {

arma::mat symmetric(unsigned seed, arma::uword n) {
  std::mt19937 g(seed);
  const arma::mat A = reference::draw(g, n, n);
  return A + A.t();
}

double error_of(const arma::mat& A, const arma::vec& values) {
  const arma::vec truth = arma::reverse(arma::eig_sym(A));
  return arma::abs(values - truth).max() / std::max(arma::abs(truth).max(), 1e-300);
}

}  // namespace

TEST(SymmetricEigen, ValuesOfEverySize) {
  covmash::SerialExecutor serial;
  for (arma::uword n : {1, 2, 3, 5, 31, 32, 33, 34, 35, 63, 64, 65, 66, 96, 97, 98, 130, 257, 300}) {
    const arma::mat A = symmetric(static_cast<unsigned>(n), n);
    EXPECT_LT(error_of(A, covmash::symmetric_eigenvalues(A, serial)), 1e-14 * std::sqrt(static_cast<double>(n)))
        << "N " << n;
  }
}

TEST(SymmetricEigen, EqualZeroAndScaledValues) {
  covmash::SerialExecutor serial;
  const arma::uword n = 150;
  EXPECT_TRUE(arma::all(covmash::symmetric_eigenvalues(arma::mat(n, n, arma::fill::zeros), serial) == 0.0));
  EXPECT_TRUE(arma::all(covmash::symmetric_eigenvalues(arma::eye(n, n), serial) == 1.0));
  EXPECT_EQ(covmash::symmetric_eigenvalues(arma::mat(0, 0), serial).n_elem, 0u);
  // All but one are rounding, of whatever size.
  EXPECT_NEAR(covmash::symmetric_eigenvalues(arma::mat(1000, 1000, arma::fill::ones), serial)[0], 1000.0, 1e-10);
  const arma::vec ones = covmash::symmetric_eigenvalues(arma::mat(n, n, arma::fill::ones), serial);
  EXPECT_NEAR(ones[0], 150.0, 1e-12);
  EXPECT_LT(arma::abs(ones.tail(n - 1)).max(), 1e-12);
  std::mt19937 g(3);
  const arma::mat G = reference::draw(g, n, 4), A = G * G.t() + arma::eye(n, n);
  EXPECT_LT(error_of(A, covmash::symmetric_eigenvalues(A, serial)), 1e-14);
  for (double unit : {1e-300, 1e-160, 1e160, 1e300}) {
    const arma::vec values = covmash::symmetric_eigenvalues(unit * A, serial) / unit;
    EXPECT_LT(error_of(A, values), 1e-13) << unit;
  }
  EXPECT_THROW(covmash::symmetric_eigenvalues(arma::mat(2, 3), serial), covmash::input_error);
  EXPECT_THROW(covmash::symmetric_eigenvalues(arma::mat(2, 2, arma::fill::value(arma::datum::nan)), serial),
               covmash::input_error);
}

TEST(SymmetricEigen, ThreadsDoNotChangeABit) {
  covmash::SerialExecutor serial;
  covmash::ThreadExecutor threads(3);
  const arma::mat A = symmetric(9, 700);
  EXPECT_TRUE(arma::all(covmash::symmetric_eigenvalues(A, serial) == covmash::symmetric_eigenvalues(A, threads)));
}

TEST(SymmetricEigen, HearsAnInterrupt) {
  struct Stop : covmash::Progress {
    void check(double) override { throw covmash::interrupted(); }
  } stop;
  covmash::SerialExecutor serial(&stop);
  EXPECT_THROW(covmash::symmetric_eigenvalues(symmetric(9, 1500), serial), covmash::interrupted);
}
