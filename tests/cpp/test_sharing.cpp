#include <covmash/mash/sharing.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace covmash;

namespace {

// One integral over b_j; the interval of b_i given b_j is between f b_j and b_j / f.
double by_quadrature(double f, double mi, double mj, double vi, double vj, double c) {
  // Either side of 0 by itself, where the integrand has an edge.
  const double sd = std::sqrt(vj), slope = c / vj, rest = std::sqrt(vi - c * slope),
               inverse = f > 0.0 ? 1.0 / f : 1e300;
  double total = 0.0;
  for (double side : {1.0, -1.0}) {
    const int n = 20000;
    const double step = (std::fabs(mj) + 10.0 * sd) / n;
    double sum = 0.0;
    for (int k = 0; k <= n; ++k) {
      const double x = side * k * step, centre = mi + slope * (x - mj);
      const double far = k == 0 ? (f > 0.0 ? 0.0 : side * 1e300) : x * inverse;
      const double p = std::fabs(normal_cdf((far - centre) / rest) - normal_cdf((f * x - centre) / rest));
      sum += (k == 0 || k == n ? 0.5 : 1.0) * p * normal_density((x - mj) / sd) / sd;
    }
    total += sum * step;
  }
  return total;
}

}  // namespace

TEST(Sharing, PairsAgreeWithAnIntegral) {
  std::mt19937 draw(1);
  std::uniform_real_distribution<double> u(-1.0, 1.0);
  for (double f : {0.0, 0.3, 0.5, 0.9})
    for (int i = 0; i < 60; ++i) {
      const double mi = 3.0 * u(draw), mj = 3.0 * u(draw), vi = std::exp(u(draw)), vj = std::exp(2.0 * u(draw));
      const double c = 0.98 * u(draw) * std::sqrt(vi * vj);
      const double expected = by_quadrature(f, mi, mj, vi, vj, c);
      EXPECT_NEAR(pair_agreement(f, mi, mj, vi, vj, c), expected, 1e-6) << f << " " << i;
    }
}

TEST(Sharing, TheVectorLoopIsThePlainFormula) {
  std::mt19937 draw(2);
  std::uniform_real_distribution<double> u(-1.0, 1.0);
  int plain = 0;
  for (const simd::KernelTable* table : simd::available_tables())
    for (int i = 0; i < 2000; ++i) {
      const double f = std::fabs(u(draw)), mi = 4.0 * u(draw), vi = std::exp(2.0 * u(draw));
      double m[16], v[16], c[16];
      float out[16];
      for (int k = 0; k < 16; ++k) {
        m[k] = 4.0 * u(draw);
        v[k] = std::exp(2.0 * u(draw));
        c[k] = (i % 2 == 0 ? 0.9999 : 0.9) * u(draw) * std::sqrt(vi * v[k]);
      }
      table->pair_agreements(16, f, mi, vi, m, v, c, out);
      for (int k = 0; k < 16; ++k) {
        if (out[k] < 0.0f) {
          ++plain;
          continue;
        }
        EXPECT_NEAR(out[k], pair_agreement(f, mi, m[k], vi, v[k], c[k]), 1e-6);
      }
    }
  EXPECT_GT(plain, 0);
}

TEST(Sharing, TiedAndKnownPairs) {
  EXPECT_EQ(pair_agreement(0.5, 1.0, 0.6, 0.0, 0.0, 0.0), 1.0);
  EXPECT_EQ(pair_agreement(0.5, 1.0, 0.4, 0.0, 0.0, 0.0), 0.0);
  EXPECT_EQ(pair_agreement(0.5, 1.0, -0.8, 0.0, 0.0, 0.0), 0.0);
  // b_j = b_i / 2: always on the edge, X = 0.75 b_i and Y = 0.
  EXPECT_GE(pair_agreement(0.5, 1.0, 0.5, 4.0, 1.0, 2.0), 0.0);
  EXPECT_NEAR(pair_agreement(0.5, 1.0, 0.8, 4.0, 2.56, 3.2), 1.0, 1e-12);
}
