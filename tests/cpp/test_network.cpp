#include <covmash/factor/network.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using covmash::FactorInverse;

TEST(Network, HasThePairsOfTheInverseAboveTheThreshold) {
  std::mt19937 g(38);
  covmash::SerialExecutor serial;
  for (int noiseless : {0, 1, 2}) {
    const arma::uword n = 90;
    const arma::mat G = reference::draw(g, n, 3);
    arma::vec noise = arma::abs(reference::draw(g, n, 1)) + 0.5;
    for (int z = 0; z < noiseless; ++z) noise[20 + 33 * z] = 0.0;
    const arma::mat P = arma::inv(G * G.t() + arma::diagmat(noise));
    const double threshold = 0.05;
    const auto list = covmash::partial_correlation_network(FactorInverse(G, noise), threshold, 100000, serial);
    ASSERT_TRUE(list.complete);
    std::size_t at = 0;
    for (arma::uword i = 0; i < n; ++i)
      for (arma::uword j = i + 1; j < n; ++j) {
        const double rho = -P(i, j) / std::sqrt(P(i, i) * P(j, j));
        if (std::fabs(rho) < threshold) continue;
        ASSERT_LT(at, list.edges.size());
        EXPECT_EQ(list.edges[at].first, i);
        EXPECT_EQ(list.edges[at].second, j);
        EXPECT_NEAR(list.edges[at++].weight, rho, 1e-9);
      }
    EXPECT_EQ(at, list.edges.size());
    EXPECT_GT(at, 10u);
  }
}

TEST(Network, DoesNotDependOnThreads) {
  std::mt19937 g(32);
  const arma::mat G = reference::draw(g, 400, 5);
  arma::vec noise = arma::abs(reference::draw(g, 400, 1)) + 0.5;
  noise[17] = 0.0;
  const FactorInverse inverse(G, noise);
  covmash::SerialExecutor serial;
  covmash::ThreadExecutor threads(3);
  const auto one = covmash::partial_correlation_network(inverse, 0.02, 100000, serial);
  const auto many = covmash::partial_correlation_network(inverse, 0.02, 100000, threads);
  ASSERT_EQ(one.edges.size(), many.edges.size());
  ASSERT_GT(one.edges.size(), 100u);
  for (std::size_t i = 0; i < one.edges.size(); ++i) {
    EXPECT_EQ(one.edges[i].first, many.edges[i].first);
    EXPECT_EQ(one.edges[i].second, many.edges[i].second);
    EXPECT_EQ(one.edges[i].weight, many.edges[i].weight);
  }
  EXPECT_FALSE(covmash::partial_correlation_network(inverse, 0.02, 10, threads).complete);
}

TEST(Network, OfNothing) {
  covmash::SerialExecutor serial;
  for (const arma::vec& noise : {arma::vec{1.0}, arma::vec{1.0, 2.0, 3.0}}) {
    const auto list =
        covmash::partial_correlation_network(FactorInverse(arma::mat(noise.n_elem, 0), noise), 0.1, 10, serial);
    EXPECT_TRUE(list.complete);
    EXPECT_TRUE(list.edges.empty());
  }
}

// Three genes with three factors and next to no noise: all partial correlations come through the border.
TEST(Network, OfGenesWithHardlyAnyNoise) {
  std::mt19937 g(39);
  covmash::SerialExecutor serial;
  const arma::mat G = reference::draw(g, 3, 3), P = arma::inv(G * G.t());
  const auto list =
      covmash::partial_correlation_network(FactorInverse(G, arma::vec(3, arma::fill::value(1e-20))), 1e-9, 3, serial);
  ASSERT_TRUE(list.complete);
  ASSERT_EQ(list.edges.size(), 3u);
  for (const covmash::Edge& e : list.edges)
    EXPECT_NEAR(e.weight, -P(e.first, e.second) / std::sqrt(P(e.first, e.first) * P(e.second, e.second)), 1e-12);
}
