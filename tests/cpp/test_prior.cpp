#include <covmash/model/prior.h>
#include <gtest/gtest.h>

#include <array>

#include "reference.h"

using namespace covmash;

namespace {

arma::mat random_covariance(std::mt19937& g, arma::uword R, arma::uword q) {
  const arma::mat F = reference::draw(g, R, q);
  return F * F.t();
}

MixturePrior prior_of(const std::vector<arma::mat>& matrices, std::vector<double> scales) {
  MixturePrior prior;
  for (const auto& U : matrices) prior.covariances.push_back(recognise(U));
  prior.scales = std::move(scales);
  return prior;
}

// Every component is N(0, w_l U_k), whichever covariance and scale the selection writes it with.
void expect_components(const MixturePrior& prior, const Selection& s) {
  std::vector<int> seen(prior.n_components(), 0);
  std::size_t slot = s.point_mass ? 1 : 0;
  if (s.point_mass) seen[s.component[0]] = 1;
  for (const auto& c : s.covariances) {
    EXPECT_EQ(c.slot, slot);
    for (std::size_t l = 0; l < c.scales.size(); ++l, ++slot) {
      if (l > 0) {
        EXPECT_LE(c.scales[l - 1], c.scales[l]);
      }
      EXPECT_EQ(c.scales[l] == 0.0, c.zero());
      const std::size_t p = s.component[slot];
      ++seen[p];
      const std::size_t at = p - (prior.point_mass ? 1 : 0), K = prior.covariances.size();
      const arma::mat right = prior.scales[at / K] * prior.covariances[at % K].matrix();
      EXPECT_LE(arma::abs(c.scales[l] * prior.covariances[c.index].matrix() - right).max(),
                1e-12 * arma::abs(right).max());
    }
  }
  EXPECT_EQ(slot, s.size());
  EXPECT_LE(*std::max_element(seen.begin(), seen.end()), 1);
}

}  // namespace

TEST(Prior, WithoutMultiplesEveryCovarianceIsItsOwnGrid) {
  std::mt19937 g(1);
  const MixturePrior prior =
      prior_of({random_covariance(g, 4, 4), random_covariance(g, 4, 2), arma::eye(4, 4)}, {1, 2, 4});
  const Selection s(prior);
  EXPECT_EQ(s.component, (std::vector<std::size_t>{0, 1, 4, 7, 2, 5, 8, 3, 6, 9}));
  ASSERT_EQ(s.covariances.size(), 3u);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(s.covariances[k].index, k);
  expect_components(prior, s);
}

TEST(Prior, MultiplesShareTheFirst) {
  std::mt19937 g(2);
  for (arma::uword R : {2, 5, 20})
    for (arma::uword q : {arma::uword(1), (R + 1) / 2, R}) {
      const arma::mat U = random_covariance(g, R, q), V = random_covariance(g, R, R), I(R, R, arma::fill::eye);
      arma::mat equicorrelated(R, R, arma::fill::value(0.25));
      equicorrelated.diag().ones();
      const MixturePrior prior = prior_of(
          {U, V, 0.1 * U, I, equicorrelated, 3.7 * V, 1e-6 * U, 0.3 * I, 7.0 * equicorrelated, U}, {0.5, 1.0, 3.0});
      const std::vector<Multiple> m = multiples(prior.covariances);
      const std::vector<std::size_t> of{0, 1, 0, 3, 4, 1, 0, 3, 4, 0};
      for (std::size_t k = 0; k < of.size(); ++k) EXPECT_EQ(m[k].of, of[k]);
      EXPECT_NEAR(m[5].factor, 3.7, 1e-13);
      EXPECT_EQ(m[9].factor, 1.0);
      const Selection s(prior);
      EXPECT_EQ(s.size(), prior.n_components());
      EXPECT_EQ(s.covariances.size(), 4u);
      expect_components(prior, s);
    }
}

// Scaled matrices are rounded, and their factors found anew, with other pivots: the difference is far below what sets
// other covariances apart.
TEST(Prior, RoundingIsNotADifferenceAndADifferenceIsNotRounding) {
  std::mt19937 g(3);
  for (int i = 0; i < 50; ++i) {
    const arma::uword R = 3 + i % 20;
    arma::mat U = random_covariance(g, R, R);
    const arma::vec sd = arma::exp(3.0 * arma::vec(reference::draw(g, R, 1)));
    U = arma::diagmat(sd) * U * arma::diagmat(sd);
    arma::mat other = U;
    other(0, 1) *= 1.0 + 1e-9;
    other(1, 0) = other(0, 1);
    const std::vector<Multiple> m = multiples(prior_of({U, std::exp(0.37 * i) * U, other}, {1.0}).covariances);
    EXPECT_EQ(m[1].of, 0u);
    EXPECT_EQ(m[2].of, 2u);
  }
}

TEST(Prior, FactorModelsAreMultiplesPartByPart) {
  std::mt19937 g(4);
  const arma::mat G = reference::draw(g, 30, 2);
  const arma::vec d = arma::square(arma::vec(reference::draw(g, 30, 1)));
  MixturePrior prior;
  prior.covariances = {low_rank_plus_diagonal(G, d), low_rank_plus_diagonal(std::sqrt(0.3) * G, 0.3 * d),
                       low_rank_plus_diagonal(std::sqrt(0.3) * G, 0.4 * d), recognise(G * G.t() + arma::diagmat(d))};
  prior.scales = {1.0, 2.0};
  const std::vector<Multiple> m = multiples(prior.covariances);
  EXPECT_EQ(m[1].of, 0u);
  EXPECT_NEAR(m[1].factor, 0.3, 1e-14);
  EXPECT_EQ(m[2].of, 2u);
  EXPECT_EQ(m[3].of, 3u);  // the same matrix, but kept as another structure
  expect_components(prior, Selection(prior));
}

TEST(Prior, ZeroScalesZeroMatricesAndParts) {
  std::mt19937 g(5);
  const arma::mat U = random_covariance(g, 3, 3), zero(3, 3, arma::fill::zeros),
                  narrow = arma::diagmat(arma::vec{1, 0, 0});
  const MixturePrior prior = prior_of({U, zero, 2.0 * U, narrow, zero, 5.0 * narrow}, {4.0, 0.0, 1.0});
  const Selection all(prior);
  EXPECT_EQ(all.size(), prior.n_components());
  expect_components(prior, all);
  // Components chosen from a family are written with its first covariance, chosen or not: the bits do not depend on it.
  const std::size_t p = prior.component(2, 0);
  const Selection one(prior, [&](std::size_t q) { return q == p; });
  ASSERT_EQ(one.covariances.size(), 1u);
  EXPECT_EQ(one.covariances[0].index, 0u);
  EXPECT_EQ(one.component, std::vector<std::size_t>{p});
  const auto same = std::find_if(all.covariances.begin(), all.covariances.end(),
                                 [](const auto& c) { return c.index == 0 && !c.zero(); });
  EXPECT_NE(std::find(same->scales.begin(), same->scales.end(), one.covariances[0].scales[0]), same->scales.end());
}

TEST(Prior, RefusesVariancesWhoseRootsHaveNoSquares) {
  arma::mat U = arma::eye(3, 3);
  U(2, 2) = 1e-300;
  EXPECT_THROW(Selection(prior_of({arma::eye(3, 3), U}, {1.0})), input_error);
  U(2, 2) = 0.0;
  EXPECT_NO_THROW(Selection(prior_of({arma::eye(3, 3), U}, {1.0})));
}
