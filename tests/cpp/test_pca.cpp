// The principal axes of the data against a singular value decomposition and plain pairwise second moments.
#include <gtest/gtest.h>

#include <armadillo>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <covmash/mash/pca.h>

namespace {

using covmash::Effects;
using covmash::PrincipalAxes;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

Effects effects_of(const arma::mat& X) {
  Effects e;
  e.bhat = X.memptr();
  e.n_effects = X.n_rows;
  e.n_conditions = X.n_cols;
  return e;
}

arma::mat scattered(arma::uword n, arma::uword q, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  arma::mat X(n, q);
  for (double& x : X) x = normal(engine);
  return X;
}

// n x q with the singular values s.
arma::mat with_singular_values(arma::uword n, const arma::vec& s, unsigned seed) {
  arma::mat Q, R, W;
  arma::qr_econ(Q, R, scattered(n, s.n_elem, seed));
  arma::qr(W, R, scattered(s.n_elem, s.n_elem, seed + 1));
  return Q * arma::diagmat(s) * W.t();
}

PrincipalAxes axes_of(const arma::mat& X, std::size_t k, std::size_t threads = 1,
                      const std::vector<std::size_t>* rows = nullptr) {
  covmash::ThreadExecutor executor(threads);
  const Effects e = effects_of(X);
  return covmash::principal_axes(e, rows, k, executor);
}

arma::mat moments(const arma::mat& X) {
  arma::mat S(X.n_cols, X.n_cols, arma::fill::zeros);
  for (arma::uword r = 0; r < X.n_cols; ++r)
    for (arma::uword s = 0; s < X.n_cols; ++s) {
      double sum = 0.0, n = 0.0;
      for (arma::uword j = 0; j < X.n_rows; ++j) {
        if (std::isnan(X(j, r)) || std::isnan(X(j, s))) continue;
        sum += X(j, r) * X(j, s);
        n += 1.0;
      }
      if (n > 0.0) S(r, s) = sum / n;
    }
  return S;
}

void expect_same_bits(const PrincipalAxes& a, const PrincipalAxes& b) {
  EXPECT_TRUE(arma::all(arma::vectorise(a.vectors == b.vectors)));
  EXPECT_TRUE(arma::all(a.variances == b.variances));
}

// Distance between two unit vectors up to their sign.
double distance(const arma::vec& a, const arma::vec& b) { return std::min(arma::norm(a - b), arma::norm(a + b)); }

}  // namespace

TEST(Pca, CompleteRowsAreAsGoodAsASingularValueDecomposition) {
  for (arma::uword n : {3, 7, 8, 255, 256, 257, 3000}) {
    const arma::mat X = scattered(n, 7, n);
    arma::mat U, V;
    arma::vec s;
    ASSERT_TRUE(arma::svd_econ(U, s, V, X));
    const std::size_t k = s.n_elem;
    const PrincipalAxes axes = axes_of(X, k);
    EXPECT_TRUE(axes.complete);
    for (std::size_t i = 0; i < k; ++i) {
      EXPECT_NEAR(axes.variances[i], s[i] * s[i] / n, 1e-13 * s[0] * s[0] / n);
      EXPECT_LT(distance(axes.vectors.col(i), V.col(i)), 1e-11) << n << " " << i;
    }
  }
}

// The eigenvectors of X'X would be lost here: its condition number is 1e20 and more.
TEST(Pca, TinyAndNearlyEqualSingularValuesDoNotSpoilTheAxes) {
  for (const arma::vec& s :
       {arma::vec{1.0, 1e-3, 2e-5, 1e-5, 1e-7, 1e-10}, arma::vec{1.0, 1.0 - 1e-5, 1e-4, 0.9999e-4, 1e-12, 0.0},
        arma::vec{1e6, 1.0, 0.5, 1e-9, 1e-9, 1e-9}}) {
    const arma::mat X = with_singular_values(5000, s, 11);
    arma::mat U, V;
    arma::vec d;
    ASSERT_TRUE(arma::svd_econ(U, d, V, X));
    const PrincipalAxes axes = axes_of(X, s.n_elem);
    for (arma::uword i = 0; i < s.n_elem; ++i) {
      EXPECT_NEAR(std::sqrt(axes.variances[i] * X.n_rows), d[i], 1e-14 * d[0]);
      double gap = std::numeric_limits<double>::infinity();
      for (arma::uword j = 0; j < s.n_elem; ++j)
        if (j != i) gap = std::min(gap, std::fabs(s[i] - s[j]));
      // What rounding of X to doubles leaves open for anybody.
      const double open = 30.0 * std::numeric_limits<double>::epsilon() * s[0] / gap;
      if (open < 1e-3) {
        EXPECT_LT(distance(axes.vectors.col(i), V.col(i)), open) << s[i];
      }
    }
  }
}

TEST(Pca, ValuesFarFromOneNeitherOverflowNorVanish) {
  const arma::mat X = scattered(600, 4, 3);
  const PrincipalAxes axes = axes_of(X, 4);
  for (double scale : {1e-140, 1e140}) {
    const PrincipalAxes scaled = axes_of(scale * X, 4);
    for (arma::uword i = 0; i < 4; ++i) {
      EXPECT_LT(distance(axes.vectors.col(i), scaled.vectors.col(i)), 1e-12);
      EXPECT_NEAR(scaled.variances[i] / scale / scale / axes.variances[i], 1.0, 1e-12);
    }
  }
}

TEST(Pca, MissingEstimatesAreLeftOutPairByPair) {
  for (arma::uword n : {5, 63, 64, 65, 300, 5000}) {
    arma::mat X = scattered(n, 5, n);
    std::mt19937_64 engine(n);
    for (double& x : X)
      if (engine() % 5 == 0) x = missing;
    X(0, 0) = missing;
    const PrincipalAxes axes = axes_of(X, 5);
    EXPECT_FALSE(axes.complete);
    arma::vec values;
    arma::mat vectors;
    arma::eig_sym(values, vectors, moments(X));
    for (arma::uword i = 0; i < 5; ++i) {
      EXPECT_NEAR(axes.variances[i], std::max(values[4 - i], 0.0), 1e-13 * values[4]);
      EXPECT_LT(distance(axes.vectors.col(i), vectors.col(4 - i)), 1e-10) << n;
    }
  }
}

TEST(Pca, NegativePartIsTakenAsZeroAndPairsNeverSeenTogetherAsUncorrelated) {
  arma::mat X(60, 3);
  X.fill(missing);
  for (arma::uword j = 0; j < 60; ++j) {
    const double sign = j % 2 == 0 ? 1.0 : -1.0;
    X(j, j / 20) = sign;
    X(j, (j / 20 + 1) % 3) = j / 20 == 2 ? -sign : sign;
  }
  PrincipalAxes axes = axes_of(X, 3);  // correlations 1, 1, -1: eigenvalues 2, 2, -1
  EXPECT_NEAR(axes.variances[0], 2.0, 1e-14);
  EXPECT_NEAR(axes.variances[1], 2.0, 1e-14);
  EXPECT_EQ(axes.variances[2], 0.0);
  const arma::mat alone = {{1.0, missing}, {missing, 3.0}, {1.0, missing}};
  axes = axes_of(alone, 2);
  EXPECT_DOUBLE_EQ(axes.variances[0], 9.0);
  EXPECT_DOUBLE_EQ(axes.variances[1], 1.0);
}

TEST(Pca, ChosenRowsAreThoseRowsInTheirOrder) {
  for (double gone : {0.0, 0.1}) {
    arma::mat X = scattered(4000, 6, 8);
    std::mt19937_64 engine(1);
    for (double& x : X)
      if (engine() % 1000 < 1000 * gone) x = missing;
    std::vector<std::size_t> rows;
    for (std::size_t j = 0; j < 3000; ++j) rows.push_back(engine() % 4000);
    arma::mat part(rows.size(), 6);
    for (std::size_t i = 0; i < rows.size(); ++i) part.row(i) = X.row(rows[i]);
    expect_same_bits(axes_of(X, 6, 1, &rows), axes_of(part, 6));
  }
  // Rows without missing estimates are complete, whatever the others are.
  arma::mat X = scattered(100, 3, 9);
  X(99, 1) = missing;
  std::vector<std::size_t> rows(99);
  for (std::size_t j = 0; j < 99; ++j) rows[j] = j;
  EXPECT_TRUE(axes_of(X, 2, 1, &rows).complete);
}

TEST(Pca, SameBitsForAnyNumberOfThreads) {
  for (bool complete : {true, false}) {
    arma::mat X = scattered(150001, 9, 4);
    if (!complete)
      for (arma::uword j = 0; j < X.n_elem; j += 17) X[j] = missing;
    const PrincipalAxes one = axes_of(X, 9, 1);
    for (std::size_t threads : {2, 3, 7}) expect_same_bits(one, axes_of(X, 9, threads));
  }
}

TEST(Pca, ConditionsWithoutEstimatesHaveLoadingExactlyZero) {
  arma::mat X = scattered(500, 4, 5);
  X.col(2).zeros();
  for (bool complete : {true, false}) {
    if (!complete) X.col(2).fill(missing);
    const PrincipalAxes axes = axes_of(X, 4);
    EXPECT_TRUE(arma::all(axes.vectors.row(2) == 0.0));
    EXPECT_EQ(axes.variances[3], 0.0);
  }
}

TEST(Pca, WhatCannotBeIsRefused) {
  const arma::mat X = scattered(3, 5, 6);
  EXPECT_THROW(axes_of(X, 4), covmash::input_error);
  EXPECT_THROW(axes_of(X, 0), covmash::input_error);
  const std::vector<std::size_t> rows = {0, 3};
  EXPECT_THROW(axes_of(X, 1, 1, &rows), covmash::input_error);
}

TEST(Pca, StopsWhenAsked) {
  struct Stopping : covmash::SerialExecutor {
    void checkpoint() override { throw covmash::interrupted(); }
  } executor;
  for (bool complete : {true, false}) {
    arma::mat X = scattered(1000, 3, 7);
    if (!complete) X(5, 2) = missing;
    const Effects e = effects_of(X);
    EXPECT_THROW(covmash::principal_axes(e, nullptr, 2, executor), covmash::interrupted);
  }
}
