#include <covmash/factor/incomplete.h>
#include <gtest/gtest.h>

#include <limits>

#include "factor_reference.h"

using covmash::Scores;
using reference::largest_difference;

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

struct Incomplete {
  arma::mat G, X;
  arma::vec noise;
};

Incomplete incomplete(unsigned seed, arma::uword n, bool noiseless) {
  std::mt19937 g(seed);
  Incomplete p{reference::draw(g, 19, 3), reference::draw(g, n, 19), arma::abs(reference::draw(g, 19, 1)) + 0.3};
  if (noiseless) p.noise[4] = 0.0;
  for (double& x : p.X)
    if (g() % 9 == 0) x = missing;
  p.X.row(0).fill(missing);
  p.X.row(1).fill(1.0);
  p.X.row(2) = p.X.row(3);
  p.X.row(4).fill(missing);
  p.X(4, 5) = 1.5;  // one gene does not determine three factors
  return p;
}

}  // namespace

TEST(Incomplete, PatternsPutRowsTogetherInOrder) {
  const arma::mat X = {{1, missing, 2}, {1, 2, 3}, {4, missing, 4}, {missing, missing, missing}, {0, 0, 0}};
  const auto patterns = covmash::sample_patterns(X);
  ASSERT_EQ(patterns.size(), 3u);
  EXPECT_TRUE(arma::all(patterns[0].samples == arma::uvec{0, 2}));
  EXPECT_TRUE(arma::all(patterns[0].observed == arma::uvec{0, 2}));
  EXPECT_TRUE(arma::all(patterns[1].samples == arma::uvec{1, 4}));
  EXPECT_EQ(patterns[1].observed.n_elem, 3u);
  EXPECT_TRUE(patterns[2].observed.is_empty());
  EXPECT_TRUE(covmash::sample_patterns(arma::mat(0, 4)).empty());
}

TEST(Incomplete, DensitiesAndScoresAreThoseOfTheObservedGenes) {
  covmash::SerialExecutor serial;
  for (bool noiseless : {false, true}) {
    const Incomplete p = incomplete(60, 30, noiseless);
    arma::vec density;
    EXPECT_TRUE(covmash::log_density_observed(p.G, p.noise, p.X, serial, density).empty());
    const arma::mat regression = covmash::factor_scores(p.G, p.noise, p.X, Scores::regression, serial);
    arma::mat bartlett;
    if (!noiseless) bartlett = covmash::factor_scores(p.G, p.noise, p.X, Scores::bartlett, serial);
    const arma::mat Sigma = p.G * p.G.t() + arma::diagmat(p.noise);
    for (arma::uword i = 0; i < p.X.n_rows; ++i) {
      const arma::uvec seen = arma::find_finite(p.X.row(i));
      const arma::mat S = Sigma(seen, seen), G = p.G.rows(seen);
      const arma::vec row = p.X.row(i).t(), x = row.elem(seen);
      if (seen.is_empty()) {
        EXPECT_EQ(density[i], 0.0);
        EXPECT_TRUE(arma::all(regression.row(i) == 0.0));
      } else {
        const double expected = -0.5 * (x.n_elem * std::log(2.0 * arma::datum::pi) + arma::log_det(S).real() +
                                        arma::dot(x, arma::solve(S, x)));
        EXPECT_NEAR(density[i], expected, 1e-10 * std::fabs(expected));
        EXPECT_LT(largest_difference(regression.row(i).t(), G.t() * arma::solve(S, x)), 1e-11);
      }
      if (noiseless) continue;
      if (seen.n_elem < 3) {
        EXPECT_TRUE(bartlett.row(i).has_nan());
      } else {
        const arma::mat W = arma::diagmat(1.0 / p.noise.elem(seen)) * G;
        EXPECT_LT(largest_difference(bartlett.row(i).t(), arma::solve(G.t() * W, W.t() * x)), 1e-11);
      }
    }
    if (noiseless) {
      EXPECT_THROW(covmash::factor_scores(p.G, p.noise, p.X, Scores::bartlett, serial), covmash::input_error);
    }
  }
}

TEST(Incomplete, ThreadsDoNotChangeABit) {
  covmash::SerialExecutor serial;
  covmash::ThreadExecutor threads(3);
  for (bool complete : {false, true}) {
    Incomplete p = incomplete(61, 20000, false);
    if (complete) p.X.replace(missing, 0.25);
    arma::vec one, many;
    covmash::log_density_observed(p.G, p.noise, p.X, serial, one);
    covmash::log_density_observed(p.G, p.noise, p.X, threads, many);
    EXPECT_TRUE(arma::all(one == many));
    const arma::mat a = covmash::factor_scores(p.G, p.noise, p.X, Scores::regression, serial),
                    b = covmash::factor_scores(p.G, p.noise, p.X, Scores::regression, threads);
    EXPECT_TRUE(arma::all(arma::vectorise(a == b)));
  }
}

TEST(Incomplete, SingularPatternsNameTheirGenes) {
  covmash::SerialExecutor serial;
  const arma::mat G = {{1.0, 0.0}, {0.0, 1.0}, {2.0, 0.0}, {1.0, 1.0}};
  const arma::vec noise = {1.0, 0.0, 0.0, 0.0};  // genes 1, 2 and 3 are functions of two factors
  arma::vec density;
  EXPECT_EQ(covmash::log_density_observed(G, noise, arma::mat(1, 4, arma::fill::ones), serial, density).size(), 1u);
  arma::mat X(2, 4, arma::fill::ones);
  X.col(3).fill(missing);
  X(1, 0) = missing;
  EXPECT_TRUE(covmash::log_density_observed(G, noise, X, serial, density).empty());
  const auto dependent = covmash::log_density_observed(arma::ones(4, 1), noise, X, serial, density);
  ASSERT_EQ(dependent.size(), 1u);
  EXPECT_TRUE(dependent[0] == 1 || dependent[0] == 2);
  EXPECT_THROW(covmash::factor_scores(arma::ones(4, 1), noise, X, Scores::regression, serial), covmash::numeric_error);
}

TEST(Incomplete, WithoutFactorsSamplesOrSeveralGenes) {
  covmash::SerialExecutor serial;
  arma::vec density;
  const arma::mat X = {{1.0, missing}, {2.0, 3.0}};
  EXPECT_TRUE(covmash::log_density_observed(arma::mat(2, 0), {1.0, 4.0}, X, serial, density).empty());
  const auto log_normal = [](double x, double variance) {
    return -0.5 * (std::log(2.0 * arma::datum::pi * variance) + x * x / variance);
  };
  EXPECT_NEAR(density[0], log_normal(1.0, 1.0), 1e-14);
  EXPECT_NEAR(density[1], log_normal(2.0, 1.0) + log_normal(3.0, 4.0), 1e-14);
  EXPECT_EQ(covmash::log_density_observed(arma::mat(2, 0), {0.0, 4.0}, X, serial, density).size(), 1u);
  EXPECT_TRUE(covmash::log_density_observed(arma::mat(2, 1), {1.0, 4.0}, arma::mat(0, 2), serial, density).empty());
  EXPECT_EQ(density.n_elem, 0u);
  for (const Scores method : {Scores::regression, Scores::bartlett}) {
    EXPECT_EQ(covmash::factor_scores(arma::mat(2, 0), {1.0, 4.0}, X, method, serial).n_cols, 0u);
    EXPECT_EQ(
        covmash::factor_scores(arma::mat(2, 1, arma::fill::ones), {1.0, 4.0}, arma::mat(0, 2), method, serial).n_rows,
        0u);
    const arma::mat one = covmash::factor_scores(arma::mat(1, 1, arma::fill::value(2.0)), {4.0},
                                                 arma::mat(1, 1, arma::fill::value(3.0)), method, serial);
    EXPECT_NEAR(one[0], method == Scores::regression ? 0.75 : 1.5, 1e-15);
  }
}
