#include <covmash/factor/observed_likelihood.h>
#include <gtest/gtest.h>

#include <limits>

#include "factor_reference.h"

using covmash::MissingFactorOptions;
using covmash::ObservedLikelihood;
using covmash::SerialExecutor;

namespace {

arma::mat with_gaps(arma::uword n, arma::uword p) {
  arma::mat x = reference::factor_sample(21, n, p, 2);
  std::mt19937 g(22);
  for (double& value : x)
    if (g() % 4 == 0) value = std::numeric_limits<double>::quiet_NaN();
  return x;
}

MissingFactorOptions options_for(bool equal_psi) {
  MissingFactorOptions options;
  options.n_factors = 2;
  options.equal_psi = equal_psi;
  return options;
}

ObservedLikelihood::Vector somewhere(const ObservedLikelihood& likelihood) {
  std::mt19937 g(23);
  const arma::mat B = 0.5 * reference::draw(g, likelihood.variables(), likelihood.factors());
  auto x = likelihood.parameters(B, arma::vec(likelihood.variables(), arma::fill::value(0.4)));
  for (std::size_t j = 0; j < likelihood.variables(); ++j)
    x[j * likelihood.stride()] = 0.1 * reference::draw(g, 1, 1)[0];
  return x;
}

}  // namespace

TEST(ObservedLikelihood, GradientIsThatOfDifferences) {
  const arma::mat x = with_gaps(30, 5);
  SerialExecutor serial;
  for (bool equal_psi : {false, true}) {
    const MissingFactorOptions options = options_for(equal_psi);
    ObservedLikelihood likelihood(x.memptr(), 30, 5, options, serial);
    const auto at = likelihood.evaluate(somewhere(likelihood));
    const double h = 1e-5;
    for (std::size_t i = 0; i < at.x.size(); ++i) {
      auto up = at.x, down = at.x;
      up[i] += h;
      down[i] -= h;
      EXPECT_NEAR((likelihood.evaluate(up).f - likelihood.evaluate(down).f) / (2 * h), at.gradient[i], 1e-7);
    }
  }
}

TEST(ObservedLikelihood, ExpectationMaximizationNeverGoesUpAndStaysAboveTheFloor) {
  const arma::mat x = with_gaps(25, 6);
  SerialExecutor serial;
  for (bool equal_psi : {false, true}) {
    MissingFactorOptions options = options_for(equal_psi);
    options.lower = 0.3;  // floors that are reached
    ObservedLikelihood likelihood(x.memptr(), 25, 6, options, serial);
    auto at = likelihood.evaluate(somewhere(likelihood));
    const double first = at.f;
    for (int step = 0; step < 200; ++step) {
      auto next = likelihood.evaluate(likelihood.em_step(at));
      ASSERT_LE(next.f, at.f + at.rounding);
      at = std::move(next);
    }
    EXPECT_LT(at.f, first - 0.1);
    if (equal_psi) continue;
    std::size_t held = 0;
    for (std::size_t j = 0; j < 6; ++j) {
      EXPECT_GE(at.x[likelihood.psi_at(j)], likelihood.low());
      held += at.x[likelihood.psi_at(j)] == likelihood.low();
    }
    EXPECT_GT(held, 0u);
  }
}
