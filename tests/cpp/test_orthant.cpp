#include <covmash/mash/orthant.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

using namespace covmash;

namespace {

// error: four standard errors, and what was neglected; 0 where the value is exact.
struct Probability {
  double value = 0.0, error = 0.0;
};

// All entries of N(mean, Y Y') positive, to a tolerance of the error or max_points, whichever is first.
Probability orthant(const arma::vec& mean, const arma::mat& Y, double tolerance = 1e-4,
                    std::size_t max_points = 131072) {
  std::vector<arma::uword> entries(mean.n_elem);
  std::iota(entries.begin(), entries.end(), arma::uword(0));
  arma::vec sd(mean.n_elem);
  for (arma::uword i = 0; i < mean.n_elem; ++i) sd[i] = arma::norm(Y.row(i));
  Orthant one;
  one.assign(mean, Y, entries, sd, {});
  if (one.exact()) return {one.value(), 0.0};
  double error;
  do {
    one.refine();
    error = 4.0 * one.standard_error() + one.neglected();
  } while ((error > tolerance || one.points() < 256) && one.points() < max_points);
  return {one.value(), error};
}

const double pi = 3.14159265358979323846;

arma::mat root(const arma::mat& C) {
  arma::vec values;
  arma::mat vectors;
  arma::eig_sym(values, vectors, C);
  return vectors * arma::diagmat(arma::sqrt(arma::clamp(values, 0.0, arma::datum::inf)));
}

arma::mat equicorrelated(arma::uword n, double r) {
  arma::mat C(n, n);
  C.fill(r);
  C.diag().ones();
  return C;
}

// Equal correlations r > 0: one integral over what the entries share.
double equicorrelated_orthant(const arma::vec& mean, double r) {
  double sum = 0.0;
  const int n = 2000;
  const double step = 18.0 / n;
  for (int i = 0; i <= n; ++i) {
    const double x = -9.0 + i * step;
    double value = normal_density(x);
    for (double m : mean) value *= normal_cdf((m + std::sqrt(r) * x) / std::sqrt(1.0 - r));
    sum += value * (i == 0 || i == n ? 0.5 : 1.0);
  }
  return sum * step;
}

}  // namespace

TEST(Orthant, ExactForOneTwoAndIndependentEntries) {
  const arma::mat Y = {{2.0, 0.0, 0.0}, {0.0, 0.5, 0.0}, {0.0, 0.0, 1.0}};
  const arma::vec mean = {1.0, -0.2, 3.0};
  const Probability three = orthant(mean, Y);
  EXPECT_NEAR(three.value, normal_cdf(0.5) * normal_cdf(-0.4) * normal_cdf(3.0), 1e-15);
  EXPECT_EQ(three.error, 0.0);
  const arma::mat pair = root(equicorrelated(2, 0.4));
  EXPECT_NEAR(orthant(arma::vec(2, arma::fill::zeros), pair).value, 0.25 + std::asin(0.4) / (2 * pi), 1e-14);
  EXPECT_EQ(orthant(arma::vec(), arma::mat(0, 2)).value, 1.0);
  // Two pairs that are independent of one another.
  arma::mat both(4, 4, arma::fill::zeros);
  both.submat(0, 0, 1, 1) = pair;
  both.submat(2, 2, 3, 3) = pair;
  const Probability four = orthant(arma::vec(4, arma::fill::zeros), both);
  EXPECT_NEAR(four.value, std::pow(0.25 + std::asin(0.4) / (2 * pi), 2), 1e-14);
  EXPECT_EQ(four.error, 0.0);
}

TEST(Orthant, ExactForRankOne) {
  const arma::vec mean = {1.0, -0.5, 0.3};
  const arma::mat same = arma::vec{1.0, 2.0, 0.5};
  // All positive where x > max(-1, 0.25, -0.6).
  EXPECT_NEAR(orthant(mean, same).value, normal_cdf(-0.25), 1e-15);
  const arma::mat other = arma::vec{1.0, 2.0, -0.5};  // and x < 0.6
  EXPECT_NEAR(orthant(mean, other).value, normal_cdf(0.6) - normal_cdf(0.25), 1e-15);
  EXPECT_EQ(orthant(arma::vec{1.0, -0.5, 0.1}, other).value, 0.0);  // x > 0.25 and x < 0.2
  EXPECT_EQ(orthant(mean, other).error, 0.0);
}

TEST(Orthant, OthersWithinTheirError) {
  const double tolerance = 1e-4;
  // Equal correlations of one half: 1 / (n + 1).
  for (arma::uword n : {3u, 5u, 10u, 30u}) {
    const Probability p = orthant(arma::vec(n, arma::fill::zeros), root(equicorrelated(n, 0.5)), tolerance);
    EXPECT_NEAR(p.value, 1.0 / (n + 1.0), p.error + 1e-7) << n;
    EXPECT_LE(p.error, tolerance);
    EXPECT_GT(p.error, 0.0);
  }
  arma::arma_rng::set_seed(1);
  for (double r : {0.1, 0.6, 0.95})
    for (int i = 0; i < 10; ++i) {
      const arma::vec mean = 1.5 * arma::randn<arma::vec>(6);
      const Probability p = orthant(mean, root(equicorrelated(6, r)), tolerance);
      EXPECT_NEAR(p.value, equicorrelated_orthant(mean, r), p.error + 1e-7) << r << " " << i;
    }
}

TEST(Orthant, SingularCovariancesHaveEntriesThatFollowFromOthers) {
  // x, y and x + y: the quadrant of x and y.
  const arma::mat Y = {{1.0, 0.0}, {0.0, 1.0}, {1.0, 1.0}};
  EXPECT_NEAR(orthant(arma::vec(3, arma::fill::zeros), Y).value, 0.25, 2e-4);
  // x, y and -x - y: nowhere.
  const arma::mat none = {{1.0, 0.0}, {0.0, 1.0}, {-1.0, -1.0}};
  EXPECT_NEAR(orthant(arma::vec(3, arma::fill::zeros), none).value, 0.0, 1e-8);
}

TEST(Orthant, ReproducibleAndSafeInTheTails) {
  const arma::mat Y = root(equicorrelated(8, 0.3));
  const arma::vec far(8, arma::fill::value(-30.0)), near(8, arma::fill::value(30.0));
  EXPECT_EQ(orthant(far, Y).value, 0.0);
  EXPECT_NEAR(orthant(near, Y).value, 1.0, 1e-12);
  const arma::vec mean(8, arma::fill::value(0.2));
  EXPECT_EQ(orthant(mean, Y).value, orthant(mean, Y).value);
}

TEST(Orthant, WhatIsLeftOutOrCutIsStated) {
  const arma::uword n = 20;
  const arma::mat Y = root(equicorrelated(n, 0.4));
  arma::vec mean(n, arma::fill::value(6.0));
  mean.head(4) = arma::vec{0.3, 0.5, -0.2, 1.0};
  std::vector<arma::uword> entries(n);
  for (arma::uword i = 0; i < n; ++i) entries[i] = i;
  const arma::vec sd(n, arma::fill::ones);
  OrthantOptions options;
  options.negligible = 1e-4;
  options.cut = 0.05;
  Orthant one;
  one.assign(mean, Y, entries, sd, options);
  while (one.points() < 16384) one.refine();
  const double truth = equicorrelated_orthant(mean, 0.4);
  EXPECT_GT(one.neglected(), 1e-8);
  EXPECT_GT(truth, one.value() - 4.0 * one.standard_error());
  EXPECT_LT(truth, one.value() + 4.0 * one.standard_error() + one.neglected());
}

// The spread of the lattices tells the error: as often as normal errors would, or nearly.
TEST(Orthant, StandardErrorsAreHonest) {
  arma::arma_rng::set_seed(3);
  int beyond = 0;
  const int n = 200;
  for (int i = 0; i < n; ++i) {
    const arma::vec mean = 1.0 + arma::randn<arma::vec>(8);
    Orthant one;
    std::vector<arma::uword> entries = {0, 1, 2, 3, 4, 5, 6, 7};
    one.assign(mean, root(equicorrelated(8, 0.5)), entries, arma::vec(8, arma::fill::ones), {});
    for (int k = 0; k < 5; ++k) one.refine();
    beyond += std::fabs(one.value() - equicorrelated_orthant(mean, 0.5)) > 2.5 * one.standard_error();
  }
  EXPECT_LT(beyond, 0.05 * n);
}
