#include <covmash/linalg/quadratic.h>
#include <gtest/gtest.h>

#include "reference.h"

using covmash::nonnegative_quadratic;

namespace {

// Feasible, and no direction that stays feasible goes down.
void expect_minimum(const arma::mat& H, const arma::vec& b, const arma::vec& y, double tolerance) {
  const arma::vec slope = H * y + b;
  for (arma::uword i = 0; i < y.n_elem; ++i) {
    EXPECT_GE(y[i], 0.0);
    EXPECT_GE(slope[i], -tolerance);
    EXPECT_LE(std::fabs(y[i] * slope[i]), tolerance);
  }
}

}  // namespace

TEST(Quadratic, SatisfiesTheOptimalityConditions) {
  std::mt19937 g(60);
  for (arma::uword n : {1, 2, 5, 30})
    for (int repeat = 0; repeat < 20; ++repeat) {
      const arma::mat A = reference::draw(g, n + 5, n);
      const arma::mat H = A.t() * A / static_cast<double>(n);
      const arma::vec b = reference::draw(g, n, 1);
      expect_minimum(H, b, nonnegative_quadratic(H, b, arma::ones(n)), 1e-9);
      expect_minimum(H, b, nonnegative_quadratic(H, b, arma::zeros(n)), 1e-9);
      expect_minimum(H, b, covmash::detail::active_set(H, b, arma::ones(n)), 1e-9);
    }
}

TEST(Quadratic, NearDependentColumnsStillGoDown) {
  std::mt19937 g(61);
  const arma::mat A = reference::draw(g, 40, 3) * reference::draw(g, 3, 20) + 1e-7 * reference::draw(g, 40, 20);
  const arma::mat H = A.t() * A;
  const arma::vec b = reference::draw(g, 20, 1) - 1.0, start = arma::ones(20) / 20.0;
  const arma::vec y = nonnegative_quadratic(H, b, start);
  const auto value = [&](const arma::vec& x) { return 0.5 * arma::dot(x, H * x) + arma::dot(b, x); };
  EXPECT_GE(y.min(), 0.0);
  EXPECT_LE(value(y), value(start));
}

TEST(Quadratic, RefusesWhatIsNotFinite) {
  const arma::mat H(1, 1, arma::fill::value(std::nan("")));
  EXPECT_THROW(nonnegative_quadratic(H, -arma::ones(1), arma::ones(1)), covmash::numeric_error);
}
