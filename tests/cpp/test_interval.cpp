#include <covmash/mash/interval.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace covmash;

namespace {

double distribution(const UnivariateMixture& m, double x) {
  double sum = x >= 0.0 ? m.zero : 0.0;
  for (const auto& t : m.terms) sum += t.weight * normal_cdf((x - t.mean) / t.sd);
  return sum;
}

UnivariateMixture random_mixture(std::mt19937& draw, double zero) {
  std::uniform_real_distribution<double> u(0.0, 1.0);
  UnivariateMixture m;
  m.zero = zero;
  const int n = 1 + static_cast<int>(6 * u(draw));
  double total = 0.0;
  for (int i = 0; i < n; ++i) {
    m.terms.push_back({u(draw) + 1e-3, 8.0 * (u(draw) - 0.5), std::exp(6.0 * (u(draw) - 0.7))});
    total += m.terms.back().weight;
  }
  for (auto& t : m.terms) t.weight *= (1.0 - zero) / total;
  return m;
}

}  // namespace

TEST(Interval, OfOneNormal) {
  UnivariateMixture m;
  m.terms = {{1.0, 3.0, 2.0}};
  for (double p : {1e-12, 0.025, 0.5, 0.975, 0.999999}) EXPECT_NEAR(m.quantile(p), 3.0 + 2.0 * normal_quantile(p), 1e-12);
}

TEST(Interval, QuantilesInvertTheDistributionFunction) {
  std::mt19937 draw(1);
  for (int i = 0; i < 400; ++i) {
    const UnivariateMixture m = random_mixture(draw, i % 2 == 0 ? 0.0 : 0.3);
    for (double p : {1e-6, 0.025, 0.3, 0.6, 0.975, 1.0 - 1e-6}) {
      const double x = m.quantile(p);
      if (x == 0.0) {
        EXPECT_LT(distribution(m, -1e-300), p + 1e-15);
        EXPECT_GE(distribution(m, 0.0), p - 1e-15);
      } else {
        EXPECT_NEAR(distribution(m, x), p, 1e-12) << i << " " << p;
      }
    }
  }
}

TEST(Interval, APointMassHoldsItsProbability) {
  UnivariateMixture m;
  m.zero = 0.96;
  m.terms = {{0.04, 5.0, 1.0}};
  EXPECT_EQ(m.quantile(0.025), 0.0);
  EXPECT_EQ(m.quantile(0.9), 0.0);
  EXPECT_NEAR(distribution(m, m.quantile(0.975)), 0.975, 1e-12);
  m.zero = 1.0;
  m.terms.clear();
  EXPECT_EQ(m.quantile(0.3), 0.0);
}

TEST(Interval, FarTailsAndSpreadSizesDoNotHurt) {
  UnivariateMixture m;
  m.terms = {{0.5, 1e8, 1e-3}, {0.5, -1e8, 1e-3}};
  EXPECT_NEAR(m.quantile(0.25), -1e8, 1e-3);
  EXPECT_NEAR(m.quantile(0.75), 1e8, 1e-3);
  m.terms = {{0.999, 0.0, 1e-12}, {0.001, 0.0, 1e12}};
  EXPECT_NEAR(distribution(m, m.quantile(0.9)), 0.9, 1e-12);
  EXPECT_GT(m.quantile(0.99975), 1e11);
}

TEST(Interval, TheShortestHoldsAsMuchAndIsNoLonger) {
  std::mt19937 draw(2);
  for (int i = 0; i < 100; ++i) {
    const UnivariateMixture m = random_mixture(draw, i % 2 == 0 ? 0.0 : 0.3);
    double lower, upper;
    m.shortest(0.9, lower, upper);
    EXPECT_LE(upper - lower, (m.quantile(0.95) - m.quantile(0.05)) * (1.0 + 1e-9));
    EXPECT_GE(distribution(m, upper) - distribution(m, std::nextafter(lower, -1e300)), 0.9 - 1e-9);
  }
  UnivariateMixture one;
  one.terms = {{1.0, 1.0, 1.0}};
  double lower, upper;
  one.shortest(0.95, lower, upper);
  EXPECT_NEAR(lower, 1.0 - 1.959963984540054, 1e-3);
  EXPECT_NEAR(upper, 1.0 + 1.959963984540054, 1e-3);
}
