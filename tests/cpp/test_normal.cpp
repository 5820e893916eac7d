#include <covmash/base/normal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace covmash;

namespace {

// The quadrant by Simpson's rule over the first variable.
double quadrant_by_integration(double h, double k, double r) {
  const double from = std::max(h, -9.0), to = 9.0, s = std::sqrt((1.0 - r) * (1.0 + r));
  const int n = 200000;
  const double step = (to - from) / n;
  double sum = 0.0;
  for (int i = 0; i <= n; ++i) {
    const double x = from + i * step, weight = i == 0 || i == n ? 1.0 : i % 2 == 1 ? 4.0 : 2.0;
    sum += weight * normal_density(x) * normal_cdf((r * x - k) / s);
  }
  return sum * step / 3.0;
}

}  // namespace

TEST(Normal, QuantileInvertsTheDistributionFunction) {
  for (double x = -37.0; x <= 5.0; x += 0.37) {
    const double p = normal_cdf(x);
    EXPECT_NEAR(normal_cdf(normal_quantile(p)) / p, 1.0, 1e-15 * (2.0 + x * x)) << x;
  }
  EXPECT_DOUBLE_EQ(normal_quantile(0.975), 1.9599639845400542355);
  EXPECT_DOUBLE_EQ(normal_quantile(1e-10), -6.3613409024040562047);
  EXPECT_EQ(normal_quantile(0.5), 0.0);
  EXPECT_EQ(normal_quantile(0.0), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(normal_quantile(1.0), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(normal_quantile(2.0)));
}

TEST(Normal, QuadrantIsTheIntegral) {
  for (double r : {-0.999, -0.93, -0.8, -0.5, -0.1, 0.1, 0.29, 0.6, 0.9, 0.92, 0.93, 0.99})
    for (double h : {-3.0, -0.7, 0.0, 0.4, 2.0})
      for (double k : {-2.0, -0.2, 0.0, 1.1, 2.5})
        EXPECT_NEAR(normal_quadrant(h, k, r), quadrant_by_integration(h, k, r), 2e-13) << h << " " << k << " " << r;
}

TEST(Normal, QuadrantAtTheEnds) {
  const double pi = 3.14159265358979323846;
  for (double r : {-0.99999, -0.3, 0.0, 0.3, 0.99999}) EXPECT_NEAR(normal_quadrant(0, 0, r), 0.25 + std::asin(r) / (2 * pi), 1e-15);
  for (double h : {-1.0, 0.3})
    for (double k : {-0.5, 0.3, 2.0}) {
      EXPECT_NEAR(normal_quadrant(h, k, 1.0), normal_cdf(-std::max(h, k)), 1e-15);
      EXPECT_NEAR(normal_quadrant(h, k, -1.0), std::max(normal_cdf(-h) - normal_cdf(k), 0.0), 1e-15);
      EXPECT_NEAR(normal_quadrant(h, k, 1.0 - 1e-13), normal_cdf(-std::max(h, k)), 1e-6);
      EXPECT_DOUBLE_EQ(normal_quadrant(h, k, 0.0), normal_cdf(-h) * normal_cdf(-k));
    }
  const double infinite = std::numeric_limits<double>::infinity();
  EXPECT_DOUBLE_EQ(normal_quadrant(-infinite, 0.3, 0.5), normal_cdf(-0.3));
  EXPECT_EQ(normal_quadrant(infinite, 0.3, 0.5), 0.0);
}
