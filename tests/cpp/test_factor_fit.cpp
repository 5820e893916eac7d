#include <covmash/factor/fit.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using covmash::FactorFit;
using covmash::FactorFitOptions;
using covmash::FactorProfile;
using covmash::SampleCovariance;
using covmash::SerialExecutor;
using covmash::ThreadExecutor;
using reference::factor_sample;

namespace {

SampleCovariance covariance_of(const arma::mat& x, bool standardise = true) {
  SerialExecutor serial;
  return SampleCovariance::from_data(x.memptr(), x.n_rows, x.n_cols, standardise, serial);
}

FactorFitOptions options_for(std::size_t K) {
  FactorFitOptions options;
  options.n_factors = K;
  return options;
}

}  // namespace

TEST(FactorProfile, DerivativesAreThoseOfDifferences) {
  SerialExecutor serial;
  const arma::uword p = 12, K = 3;
  const SampleCovariance S = covariance_of(factor_sample(6, 40, p, K));
  FactorProfile profile(S, K, serial);
  std::mt19937 g(7);
  std::uniform_real_distribution<double> uniform(-1.5, 0.0);
  std::vector<double> x(p);
  for (double& value : x) value = uniform(g);
  const auto at = profile.evaluate(x, 1e-12);
  ASSERT_EQ(at.active, K);
  const arma::mat H = profile.exact_hessian(at);
  const double h = 1e-5;
  for (arma::uword i = 0; i < p; ++i) {
    std::vector<double> up = x, down = x;
    up[i] += h;
    down[i] -= h;
    const auto above = profile.evaluate(up, 1e-12), below = profile.evaluate(down, 1e-12);
    EXPECT_NEAR((above.f - below.f) / (2 * h), at.gradient[i], 1e-7);
    for (arma::uword j = 0; j < p; ++j)
      EXPECT_NEAR((above.gradient[j] - below.gradient[j]) / (2 * h), H(i, j), 1e-6 * (1.0 + std::fabs(H(i, j))));
  }
}

TEST(FactorProfile, ExpectedSecondDerivativesAreSquaresOfTheProjection) {
  SerialExecutor serial;
  const arma::uword p = 15, K = 2;
  const SampleCovariance S = covariance_of(factor_sample(8, 60, p, K));
  FactorProfile profile(S, K, serial);
  const auto at = profile.evaluate(std::vector<double>(p, -0.7), 1e-12);
  const arma::mat P = arma::eye(p, p) - at.U.t() * at.U;
  std::mt19937 g(9);
  const arma::vec v = reference::draw(g, p, 1);
  const auto product = FactorProfile::expected_hessian(at, std::vector<double>(v.begin(), v.end()));
  EXPECT_LT(arma::abs(arma::vec(product) - (P % P) * v).max(), 1e-13);
  std::vector<bool> free(p, true);
  free[3] = false;
  const arma::vec d(FactorProfile::solve_expected(at, free, std::vector<double>(v.begin(), v.end())));
  EXPECT_EQ(d[3], 0.0);
  arma::vec rest = (P % P) * d - v;
  rest[3] = 0.0;
  EXPECT_LT(arma::abs(rest).max(), 1e-4);
}

TEST(FactorFit, IsStationaryAndTheSameForEveryHolding) {
  SerialExecutor serial;
  for (arma::uword p : {10, 70, 180}) {
    const arma::mat x = factor_sample(10, 90, p, 3);
    const SampleCovariance S = covariance_of(x);
    const FactorFit fit = covmash::fit_factors(S, options_for(3), serial);
    EXPECT_TRUE(fit.converged);
    EXPECT_LT(fit.kkt_violation, 1e-8);
    const arma::mat R = arma::cor(x), Sigma = fit.loadings * fit.loadings.t() + arma::diagmat(fit.psi);
    for (arma::uword i = 0; i < p; ++i) {
      if (fit.at_bound[i]) continue;
      EXPECT_NEAR(Sigma(i, i), 1.0, 1e-7);
    }
    const double f = arma::log_det_sympd(Sigma) + arma::trace(arma::solve(Sigma, R));
    EXPECT_NEAR(fit.objective, f, 1e-10 * std::fabs(f) + 1e-10);
    const arma::mat gram = fit.loadings.t() * arma::diagmat(1.0 / fit.psi) * fit.loadings;
    EXPECT_LT(arma::abs(gram - arma::diagmat(gram)).max(), 1e-7 * gram.max());
    const FactorFit other =
        covmash::fit_factors(SampleCovariance::from_matrix(R.memptr(), p, true), options_for(3), serial);
    EXPECT_LT(arma::abs(other.psi - fit.psi).max(), 1e-7);
  }
}

TEST(FactorFit, ThreadsDoNotChangeABit) {
  const arma::mat x = factor_sample(11, 250, 200, 4);
  SerialExecutor serial;
  const FactorFit one = covmash::fit_factors(covariance_of(x), options_for(4), serial);
  for (std::size_t threads : {2, 3, 7}) {
    ThreadExecutor executor(threads);
    const auto S = SampleCovariance::from_data(x.memptr(), 250, 200, true, executor);
    const FactorFit many = covmash::fit_factors(S, options_for(4), executor);
    EXPECT_EQ(arma::abs(many.loadings - one.loadings).max(), 0.0);
    EXPECT_EQ(arma::abs(many.psi - one.psi).max(), 0.0);
  }
}

TEST(FactorFit, RefusesWhatCannotBe) {
  SerialExecutor serial;
  const arma::mat x = factor_sample(15, 10, 6, 1);
  const SampleCovariance S = covariance_of(x);
  EXPECT_THROW(covmash::fit_factors(S, options_for(6), serial), covmash::input_error);
  EXPECT_THROW(covmash::fit_factors(covariance_of(factor_sample(15, 4, 9, 1)), options_for(4), serial),
               covmash::input_error);
  FactorFitOptions options = options_for(1);
  options.start = {0.5};
  EXPECT_THROW(covmash::fit_factors(S, options, serial), covmash::input_error);
  arma::mat constant = x;
  constant.col(2).fill(1.0);
  EXPECT_THROW(covariance_of(constant), covmash::input_error);
}
