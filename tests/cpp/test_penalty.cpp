#include <covmash/deconvolution/penalty.h>
#include <gtest/gtest.h>

#include <random>

using namespace covmash;

namespace {

double worth(const Penalty& p, double N, double d, double s, double e) {
  double value = N * (std::log1p(e) + d / (1.0 + e));
  if (p.kind == PenaltyKind::inverse_wishart) value += p.lambda * (std::log(e) + s / e);
  if (p.kind == PenaltyKind::nuclear_norm) value += p.lambda * 0.5 * (e / s + s / e);
  return value;
}

}  // namespace

TEST(Penalty, TheEigenvalueIsTheBestOfAll) {
  std::mt19937 g(2);
  std::uniform_real_distribution<double> uniform(-3.0, 3.0);
  for (auto kind : {PenaltyKind::inverse_wishart, PenaltyKind::nuclear_norm})
    for (int again = 0; again < 400; ++again) {
      const Penalty p{kind, std::pow(10.0, uniform(g))};
      const double N = std::pow(10.0, uniform(g) + 1.0), d = std::pow(10.0, uniform(g)), s = std::pow(10.0, uniform(g));
      const double e = p.eigenvalue(N, d, s), own = worth(p, N, d, s, e);
      ASSERT_GT(e, 0.0);
      for (int i = -1200; i <= 1200; ++i) {
        const double other = worth(p, N, d, s, std::pow(10.0, i / 100.0));
        EXPECT_LE(own, other + 1e-10 * std::fabs(other)) << N << " " << d << " " << s << " " << p.lambda;
      }
      const double h = 1e-5;  // a minimum: the slope is 0
      EXPECT_LT(std::fabs(worth(p, N, d, s, e * (1.0 + h)) - worth(p, N, d, s, e * (1.0 - h))),
                1e-7 * (1.0 + std::fabs(own)));
    }
}

TEST(Penalty, WithoutOneItIsTheExcessOverTheNoise) {
  EXPECT_EQ(Penalty().eigenvalue(10.0, 3.5, 1.0), 2.5);
  EXPECT_EQ(Penalty().eigenvalue(10.0, 0.5, 1.0), 0.0);
  EXPECT_EQ((Penalty{PenaltyKind::inverse_wishart, 0.0}.eigenvalue(10.0, 0.5, 1.0)), 0.0);
}

TEST(Penalty, TheScaleMaximisesItAndTheSizeOfUDoesNotMatter) {
  const arma::vec e = {0.3, 1.0, 7.0};
  for (auto kind : {PenaltyKind::inverse_wishart, PenaltyKind::nuclear_norm}) {
    const Penalty p{kind, 4.0};
    const double s = p.scale(e), best = p.value(e, s);
    EXPECT_GT(best, p.value(e, 1.01 * s));
    EXPECT_GT(best, p.value(e, 0.99 * s));
    EXPECT_NEAR(p.value(100.0 * e, p.scale(100.0 * e)), best, 1e-12);
    // Equal eigenvalues are penalised least.
    const arma::vec equal(3, arma::fill::value(2.0));
    EXPECT_GT(p.value(equal, p.scale(equal)), best);
  }
}
