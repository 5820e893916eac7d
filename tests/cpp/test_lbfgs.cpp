#include <covmash/linalg/lbfgs.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using Vector = std::vector<double>;

namespace {

Vector identity(const Vector& q) { return q; }

}  // namespace

TEST(Lbfgs, WithoutMemoryItIsThePreconditionedGradient) {
  covmash::Lbfgs memory(5);
  const Vector d = memory.direction({1.0, -2.0}, [](const Vector& q) { return Vector{q[0] / 2.0, q[1] / 4.0}; });
  EXPECT_EQ(d, (Vector{-0.5, 0.5}));
}

// After steps along a basis of conjugate directions the inverse Hessian is known exactly.
TEST(Lbfgs, LearnsAQuadraticFunction) {
  std::mt19937 g(80);
  const arma::uword n = 6;
  const arma::mat half = reference::draw(g, n, n + 3), H = half * half.t();
  covmash::Lbfgs memory(50);
  arma::vec x = reference::draw(g, n, 1), gradient = H * x;
  for (int iteration = 0; iteration < 60 && arma::norm(gradient) > 1e-10; ++iteration) {
    const arma::vec d(memory.direction(Vector(gradient.begin(), gradient.end()), identity));
    EXPECT_LT(arma::dot(d, gradient), 0.0);
    const double t = -arma::dot(d, gradient) / arma::dot(d, H * d);  // exact line search
    const arma::vec step = t * d, change = H * step;
    memory.remember(Vector(step.begin(), step.end()), Vector(change.begin(), change.end()));
    x += step;
    gradient = H * x;
    if (iteration >= static_cast<int>(n)) {
      EXPECT_LT(arma::norm(gradient), 1e-5);
    }
  }
  EXPECT_LT(arma::norm(x), 1e-9);
}

TEST(Lbfgs, ForgetsTheOldestAndRefusesNegativeCurvature) {
  covmash::Lbfgs memory(1);
  memory.remember({1.0, 0.0}, {-1.0, 0.0});
  EXPECT_EQ(memory.direction({1.0, 1.0}, identity), (Vector{-1.0, -1.0}));
  memory.remember({1.0, 0.0}, {4.0, 0.0});
  EXPECT_DOUBLE_EQ(memory.direction({1.0, 1.0}, identity)[0], -0.25);
  memory.remember({0.0, 1.0}, {0.0, 2.0});
  const Vector d = memory.direction({1.0, 1.0}, identity);
  EXPECT_DOUBLE_EQ(d[0], -1.0);
  EXPECT_DOUBLE_EQ(d[1], -0.5);
  memory.clear();
  EXPECT_EQ(memory.direction({1.0, 1.0}, identity), (Vector{-1.0, -1.0}));
}
