#include <covmash/factor/fit.h>
#include <covmash/factor/missing.h>
#include <covmash/linalg/cholesky.h>
#include <gtest/gtest.h>

#include <limits>

#include "reference.h"

using covmash::FactorFit;
using covmash::FactorFitOptions;
using covmash::FactorProfile;
using covmash::LeadingEigen;
using covmash::Panel;
using covmash::SampleCovariance;
using covmash::SerialExecutor;
using covmash::ThreadExecutor;

namespace {

arma::mat factor_sample(unsigned seed, arma::uword n, arma::uword p, arma::uword K) {
  std::mt19937 g(seed);
  std::uniform_real_distribution<double> uniform(0.5, 1.5);
  const arma::mat B = reference::draw(g, p, K);
  arma::mat x = reference::draw(g, n, K) * B.t();
  for (arma::uword j = 0; j < p; ++j) x.col(j) += std::sqrt(uniform(g)) * reference::draw(g, n, 1);
  return x;
}

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

TEST(Panel, ProductsAreThoseOfPlainLoopsOnEveryInstructionSet) {
  std::mt19937 g(1);
  const std::string before = covmash::simd::kernels().name;
  for (const auto* table : covmash::simd::available_tables()) {
    covmash::simd::select_table(table->name);
    for (arma::uword rows : {1, 7, 64, 131})
      for (arma::uword inner : {1, 5, 257, 600})
        for (arma::uword columns : {1, 8, 13, 24}) {
          const arma::mat A = reference::draw(g, inner, rows), B = reference::draw(g, inner, columns);
          Panel X(inner, columns), Y(rows, columns);
          for (arma::uword i = 0; i < inner; ++i)
            for (arma::uword j = 0; j < columns; ++j) X(i, j) = B(i, j);
          SerialExecutor serial;
          // Column-major A (inner x rows) is A' in row-major order.
          covmash::multiply_into(covmash::row_major(A.memptr(), inner), X, Y, serial);
          const arma::mat expected = A.t() * B;
          for (arma::uword i = 0; i < rows; ++i)
            for (arma::uword j = 0; j < columns; ++j)
              ASSERT_NEAR(Y(i, j), expected(i, j), 1e-12 * static_cast<double>(inner) * 10) << table->name;
          for (arma::uword i = 0; i < rows; ++i)
            for (arma::uword j = columns; j < Y.width(); ++j) ASSERT_EQ(Y(i, j), 0.0);
        }
  }
  covmash::simd::select_table(before);
}

TEST(SampleCovariance, IsTheSampleCovariance) {
  for (arma::uword p : {3, 40, 150})
    for (bool standardise : {false, true}) {
      const arma::mat x = factor_sample(2, 300, p, 2) + 100.0;
      const SampleCovariance S = covariance_of(x, standardise);
      ASSERT_TRUE(S.is_formed());
      const arma::mat expected = standardise ? arma::mat(arma::cor(x)) : arma::mat(arma::cov(x, 1));
      EXPECT_LT(arma::abs(S.matrix() - expected).max(), 1e-11);
      EXPECT_EQ(arma::abs(S.matrix() - S.matrix().t()).max(), 0.0);
      EXPECT_NEAR(S.mean()[1], arma::mean(x.col(1)), 1e-12);
    }
  EXPECT_FALSE(covariance_of(factor_sample(2, 20, 200, 2)).is_formed());
}

TEST(LeadingEigen, AgreesWithTheWholeDecomposition) {
  SerialExecutor serial;
  for (arma::uword n : {60, 500}) {
    const arma::uword p = 200, k = 5;
    const arma::mat x = factor_sample(3, n, p, 3);
    const SampleCovariance S = covariance_of(x);
    LeadingEigen eigen(S, k, serial);
    ASSERT_FALSE(eigen.whole());
    std::mt19937 g(4);
    std::uniform_real_distribution<double> uniform(0.5, 2.0);
    for (int repeat = 0; repeat < 3; ++repeat) {
      std::vector<double> e(p);
      for (double& value : e) value = uniform(g);
      eigen.solve(e, 1e-10);
      arma::mat A = arma::cor(x);
      for (arma::uword i = 0; i < p; ++i)
        for (arma::uword j = 0; j < p; ++j) A(i, j) *= e[i] * e[j];
      const arma::vec values = arma::reverse(arma::eig_sym(A));
      for (arma::uword j = 0; j < k; ++j) EXPECT_NEAR(eigen.values()[j], values[j], 1e-11 * values[0]);
      EXPECT_LT(eigen.residual(), 1e-10 * values[0]);
    }
  }
}

TEST(LeadingEigen, SurvivesMatricesWithoutGapOrOfLowRank) {
  SerialExecutor serial;
  const arma::uword p = 150;
  const arma::mat identity = arma::eye(p, p);
  const SampleCovariance flat = SampleCovariance::from_matrix(identity.memptr(), p, false);
  LeadingEigen eigen(flat, 3, serial);
  eigen.solve(std::vector<double>(p, 1.0), 1e-10);
  for (double value : eigen.values()) EXPECT_NEAR(value, 1.0, 1e-12);
  std::mt19937 g(5);
  const arma::mat f = reference::draw(g, p, 2), low = f * f.t();
  const SampleCovariance two = SampleCovariance::from_matrix(low.memptr(), p, false);
  LeadingEigen of_two(two, 4, serial);
  of_two.solve(std::vector<double>(p, 1.0), 1e-10);
  const arma::vec expected = arma::reverse(arma::eig_sym(f.t() * f));
  EXPECT_NEAR(of_two.values()[0], expected[0], 1e-10 * expected[0]);
  EXPECT_NEAR(of_two.values()[1], expected[1], 1e-10 * expected[0]);
  EXPECT_LT(std::fabs(of_two.values()[3]), 1e-8 * expected[0]);
}

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
  arma::mat gone = x;
  std::mt19937 g(12);
  for (double& value : gone)
    if (g() % 10 == 0) value = std::numeric_limits<double>::quiet_NaN();
  SerialExecutor serial;
  const FactorFit one = covmash::fit_factors(covariance_of(x), options_for(4), serial);
  covmash::MissingFactorOptions missing;
  missing.n_factors = 4;
  const auto first = covmash::fit_factors_missing(gone.memptr(), 250, 200, missing, serial);
  for (std::size_t threads : {2, 3, 7}) {
    ThreadExecutor executor(threads);
    const auto S = SampleCovariance::from_data(x.memptr(), 250, 200, true, executor);
    const FactorFit many = covmash::fit_factors(S, options_for(4), executor);
    EXPECT_EQ(arma::abs(many.loadings - one.loadings).max(), 0.0);
    EXPECT_EQ(arma::abs(many.psi - one.psi).max(), 0.0);
    const auto second = covmash::fit_factors_missing(gone.memptr(), 250, 200, missing, executor);
    EXPECT_EQ(arma::abs(second.loadings - first.loadings).max(), 0.0);
    EXPECT_EQ(second.loglik, first.loglik);
  }
}

TEST(FactorFit, MissingValuesAreLeftOutOfTheLikelihood) {
  const arma::uword n = 50, p = 6;
  arma::mat x = factor_sample(13, n, p, 1);
  std::mt19937 g(14);
  for (double& value : x)
    if (g() % 5 == 0) value = std::numeric_limits<double>::quiet_NaN();
  SerialExecutor serial;
  covmash::MissingFactorOptions options;
  options.n_factors = 1;
  const auto fit = covmash::fit_factors_missing(x.memptr(), n, p, options, serial);
  EXPECT_TRUE(fit.converged);
  const arma::mat Sigma = fit.loadings * fit.loadings.t() + arma::diagmat(fit.psi);
  double loglik = 0.0;
  for (arma::uword i = 0; i < n; ++i) {
    const arma::uvec seen = arma::find_finite(x.row(i));
    if (seen.is_empty()) continue;
    const arma::mat V = Sigma(seen, seen);
    const arma::vec row = x.row(i).t();
    const arma::vec r = row(seen) - fit.mean(seen);
    loglik -= 0.5 * (static_cast<double>(seen.n_elem) * std::log(2.0 * arma::datum::pi) + arma::log_det_sympd(V) +
                     arma::dot(r, arma::solve(V, r)));
  }
  EXPECT_NEAR(fit.loglik, loglik, 1e-10 * std::fabs(loglik));
}

TEST(LogDeterminant, IsThatOfTheCholeskyFactor) {
  SerialExecutor serial;
  for (arma::uword p : {1, 5, 32, 33, 100}) {
    const arma::mat x = factor_sample(16, 200, p, 1), S = arma::cov(x);
    EXPECT_NEAR(covmash::log_determinant(S.memptr(), p, serial), arma::log_det_sympd(S),
                1e-11 * static_cast<double>(p + 1));
  }
  const arma::mat f = factor_sample(17, 40, 2, 1), singular = f * f.t();
  EXPECT_TRUE(std::isnan(covmash::log_determinant(singular.memptr(), 40, serial)));
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
