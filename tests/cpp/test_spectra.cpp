#include <covmash/linalg/spectra.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

// A symmetric matrix with these eigenvalues.
arma::mat with_eigenvalues(std::mt19937& g, const arma::vec& values) {
  arma::mat Q, R;
  arma::qr(Q, R, reference::draw(g, values.n_elem, values.n_elem));
  return arma::symmatu(Q * arma::diagmat(values) * Q.t());
}

void expect_eigen(const arma::mat& A, const arma::vec& exact) {
  SerialExecutor executor;
  arma::vec values;
  arma::mat Q;
  ASSERT_TRUE(symmetric_eigen(A, values, Q, executor));
  const double eps = 2e-16 * static_cast<double>(A.n_rows), size = std::max(arma::abs(exact).max(), 1e-300);
  EXPECT_LT(arma::abs(values - arma::sort(exact)).max(), 10.0 * eps * size);
  EXPECT_LT(arma::abs(Q.t() * Q - arma::eye(A.n_rows, A.n_rows)).max(), 10.0 * eps);
  EXPECT_LT(arma::abs(A * Q - Q * arma::diagmat(values)).max(), 10.0 * eps * size);
}

}  // namespace

TEST(Spectra, EigenvectorsOfSymmetricMatrices) {
  std::mt19937 g(1);
  for (arma::uword n : {1, 5, 260}) {
    const arma::vec spread = arma::exp(reference::draw(g, n, 1).as_col() * 8.0);
    expect_eigen(with_eigenvalues(g, spread), spread);
    expect_eigen(arma::eye(n, n) * 3.0, arma::vec(n).fill(3.0));
    expect_eigen(arma::mat(n, n, arma::fill::zeros), arma::vec(n, arma::fill::zeros));
    arma::vec few(n, arma::fill::zeros);  // of low rank, and indefinite
    few[0] = 2.0;
    few[n / 2] = -1.0;
    if (n > 1) expect_eigen(with_eigenvalues(g, few), few);
    arma::mat blocks = arma::eye(n, n);  // already tridiagonal, in pieces
    if (n > 3) blocks(1, 0) = blocks(0, 1) = 0.5;
    if (n > 3) expect_eigen(blocks, arma::eig_sym(blocks));
  }
}

TEST(Spectra, SingularVectorsOfEitherSide) {
  std::mt19937 g(2);
  SerialExecutor executor;
  for (auto [m, n] : {std::make_pair(300, 260), {40, 7}, {5, 1}}) {
    for (int kind = 0; kind < 4; ++kind) {
      arma::mat A = reference::draw(g, m, n);
      if (kind == 1) A.each_row() %= arma::exp(reference::draw(g, 1, n).as_row() * 10.0);
      if (kind == 2 && n > 2) A.cols(1, n / 2).zeros();
      if (kind == 3 && n > 2) A.cols(0, n / 2).each_col() = arma::vec(m, arma::fill::ones);
      arma::mat U0, V0, U, V;
      arma::vec s0, s, t;
      ASSERT_TRUE(arma::svd_econ(U0, s0, V0, A));
      ASSERT_TRUE(right_singular(A, s, V, executor));
      ASSERT_TRUE(left_singular(A, t, U, executor));
      const double tolerance = 2e-15 * m;
      EXPECT_LT(arma::abs(s - s0).max(), tolerance * s0[0]);
      EXPECT_LT(arma::abs(t - s0).max(), tolerance * s0[0]);
      EXPECT_LT(arma::abs(V.t() * V - arma::eye(n, n)).max(), tolerance);
      // A V has orthogonal columns of length s; A' U the same.
      EXPECT_LT(arma::abs(V.t() * A.t() * A * V - arma::diagmat(arma::square(s))).max(), tolerance * s0[0] * s0[0]);
      EXPECT_LT(arma::abs(U.t() * A * A.t() * U - arma::diagmat(arma::square(s))).max(), tolerance * s0[0] * s0[0]);
    }
  }
}

TEST(Spectra, SameBitsForAnyNumberOfThreads) {
  std::mt19937 g(3);
  const arma::mat A = reference::draw(g, 260, 260), S = A + A.t();
  SerialExecutor serial;
  ThreadExecutor threads(3);
  arma::vec one, other;
  arma::mat Q, P;
  symmetric_eigen(S, one, Q, serial);
  symmetric_eigen(S, other, P, threads);
  EXPECT_EQ(arma::abs(Q - P).max(), 0.0);
  right_singular(A, one, Q, serial);
  right_singular(A, other, P, threads);
  EXPECT_EQ(arma::abs(Q - P).max(), 0.0);
}

TEST(Spectra, CanBeStopped) {
  struct Stopping : SerialExecutor {
    void checkpoint() override {
      if (++calls > 20) throw interrupted();
    }
    int calls = 0;
  };
  std::mt19937 g(4);
  const arma::mat A = reference::draw(g, 260, 260);
  arma::vec s;
  arma::mat Q;
  Stopping first, second;
  EXPECT_THROW(symmetric_eigen(A + A.t(), s, Q, first), interrupted);
  EXPECT_THROW(right_singular(A, s, Q, second), interrupted);
}
