#include <covmash/factor/missing.h>
#include <gtest/gtest.h>

#include <limits>

#include "factor_reference.h"

using covmash::SerialExecutor;
using covmash::ThreadExecutor;
using reference::factor_sample;

TEST(MissingFactorFit, ThreadsDoNotChangeABit) {
  arma::mat gone = factor_sample(11, 250, 200, 4);
  std::mt19937 g(12);
  for (double& value : gone)
    if (g() % 10 == 0) value = std::numeric_limits<double>::quiet_NaN();
  SerialExecutor serial;
  covmash::MissingFactorOptions missing;
  missing.n_factors = 4;
  const auto first = covmash::fit_factors_missing(gone.memptr(), 250, 200, missing, serial);
  for (std::size_t threads : {2, 3, 7}) {
    ThreadExecutor executor(threads);
    const auto second = covmash::fit_factors_missing(gone.memptr(), 250, 200, missing, executor);
    EXPECT_EQ(arma::abs(second.loadings - first.loadings).max(), 0.0);
    EXPECT_EQ(second.loglik, first.loglik);
  }
}

TEST(MissingFactorFit, MissingValuesAreLeftOutOfTheLikelihood) {
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

TEST(MissingFactorFit, PiecesThatShareNoSampleAreFittedAsIfAlone) {
  const arma::uword n = 100;
  arma::mat x = factor_sample(15, n, 6, 1);
  const double none = std::numeric_limits<double>::quiet_NaN();
  x.submat(0, 3, 49, 5).fill(none);
  x.submat(50, 0, 99, 2).fill(none);
  SerialExecutor serial;
  covmash::MissingFactorOptions options;
  const auto whole = covmash::fit_factors_missing(x.memptr(), n, 6, options, serial);
  const arma::mat a = x.submat(0, 0, 49, 2), b = x.submat(50, 3, 99, 5);
  const auto first = covmash::fit_factors_missing(a.memptr(), 50, 3, options, serial);
  const auto second = covmash::fit_factors_missing(b.memptr(), 50, 3, options, serial);
  EXPECT_TRUE(whole.converged);
  EXPECT_NEAR(whole.loglik, first.loglik + second.loglik, 1e-8);
  EXPECT_GT(arma::abs(whole.loadings).min(), 0.0);
}
