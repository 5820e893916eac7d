#include <covmash/linalg/polynomial.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

using namespace covmash;

namespace {

// Coefficients of a (x - r_1) ... (x - r_n) (x^2 + b x + c) ..., rising.
std::vector<double> times(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> out(a.size() + b.size() - 1, 0.0);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b.size(); ++j) out[i + j] += a[i] * b[j];
  return out;
}

}  // namespace

TEST(Polynomial, FindsAllPositiveRoots) {
  std::mt19937 g(1);
  std::uniform_real_distribution<double> uniform(-6.0, 6.0);
  for (int again = 0; again < 300; ++again) {
    std::vector<double> expected, a = {uniform(g) < 0.0 ? -2.0 : 3.0};
    for (int i = 0; i < 1 + again % 4; ++i) {
      const double root = (uniform(g) < -3.0 ? -1.0 : 1.0) * std::pow(10.0, uniform(g) / 3.0);
      a = times(a, {-root, 1.0});
      if (root > 0.0) expected.push_back(root);
    }
    if (again % 2 == 0) a = times(a, {1.0, 0.5, 1.0});  // no real root
    std::sort(expected.begin(), expected.end());
    bool apart = true;
    for (std::size_t i = 1; i < expected.size(); ++i) apart = apart && expected[i] > 1.2 * expected[i - 1];
    if (!apart) continue;
    const std::vector<double> roots = positive_roots(a);
    ASSERT_EQ(roots.size(), expected.size()) << again;
    for (std::size_t i = 0; i < roots.size(); ++i) EXPECT_NEAR(roots[i] / expected[i], 1.0, 1e-9) << again;
  }
}

TEST(Polynomial, OfRootsFarApartLosesNone) {
  const std::vector<double> roots = positive_roots(times(times({-1e-9, 1.0}, {-1.0, 1.0}), {-1e8, 1.0}));
  ASSERT_EQ(roots.size(), 3u);
  EXPECT_NEAR(roots[0] / 1e-9, 1.0, 1e-9);
  EXPECT_NEAR(roots[1], 1.0, 1e-9);
  EXPECT_NEAR(roots[2] / 1e8, 1.0, 1e-9);
}

TEST(Polynomial, WithoutPositiveRootHasNone) {
  EXPECT_TRUE(positive_roots({1.0}).empty());
  EXPECT_TRUE(positive_roots({}).empty());
  EXPECT_TRUE(positive_roots({2.0, 3.0, 1.0}).empty());
  EXPECT_TRUE(positive_roots({1.0, 0.0, 1.0}).empty());
  EXPECT_EQ(positive_roots({-4.0, 2.0, 0.0}).size(), 1u);
}
