#include <covmash/deconvolution/updates.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

// Moments of n effects in noise V with prior covariance U, all in one component.
ComponentMoments moments(const arma::mat& Y, const arma::mat& V, const arma::mat& U) {
  const arma::mat inverse = arma::inv_sympd(V + U);
  ComponentMoments m;
  m.mass = static_cast<double>(Y.n_cols);
  m.X = inverse * Y * Y.t() * inverse;
  m.H = m.mass * inverse;
  return m;
}

double loglik(const arma::mat& Y, const arma::mat& V) {
  return -0.5 * (static_cast<double>(Y.n_cols) * arma::log_det_sympd(V) + arma::trace(Y.t() * arma::inv_sympd(V) * Y));
}

}  // namespace

TEST(Updates, ExtremeDeconvolutionIsBovysStep) {
  std::mt19937 g(70);
  for (arma::uword rank : {1, 2, 5}) {
    const arma::mat Y = 2.0 * reference::draw(g, 5, 60), A = reference::draw(g, 5, 5), V = A * A.t() + arma::eye(5, 5);
    arma::mat F = reference::draw(g, 5, rank), U = F * F.t();
    const arma::mat gain = U * arma::inv_sympd(V + U), means = gain * Y;
    const arma::mat expected = means * means.t() / 60.0 + U - gain * U;
    extreme_deconvolution_step(moments(Y, V, U), 0, F, U);
    EXPECT_LT(arma::abs(U - expected).max(), 1e-12);
    EXPECT_EQ(F.n_cols, rank);
    EXPECT_TRUE(arma::approx_equal(U, U.t(), "absdiff", 0.0));
  }
}

TEST(Updates, ExtremeDeconvolutionNeverLowersTheLikelihood) {
  std::mt19937 g(71);
  const arma::mat Y = 3.0 * reference::draw(g, 4, 50), V = arma::eye(4, 4);
  arma::mat F = reference::draw(g, 4, 3), U = F * F.t();
  double before = loglik(Y, V + U);
  for (int i = 0; i < 200; ++i) {
    extreme_deconvolution_step(moments(Y, V, U), 0, F, U);
    const double after = loglik(Y, V + U);
    EXPECT_GE(after, before - 1e-10);
    before = after;
  }
}

TEST(Updates, ANullCovarianceStaysNull) {
  std::mt19937 g(72);
  const arma::mat Y = reference::draw(g, 3, 20);
  arma::mat F(3, 0), U(3, 3, arma::fill::zeros);
  extreme_deconvolution_step(moments(Y, arma::eye(3, 3), U), 0, F, U);
  EXPECT_EQ(arma::abs(U).max(), 0.0);
}

TEST(Updates, TheRidgeIsAWeightedMeanWithTheIdentity) {
  std::mt19937 g(73);
  arma::mat F = reference::draw(g, 3, 1), U = F * F.t();
  const arma::mat expected = (7.0 * U + 0.5 * arma::eye(3, 3)) / 8.0;
  ridge_step(7.0, 0.5, F, U);
  EXPECT_LT(arma::abs(U - expected).max(), 1e-15);
  EXPECT_LT(arma::abs(F * F.t() - expected).max(), 1e-14);
}

TEST(Updates, TruncatedIsTheMaximiser) {
  std::mt19937 g(74);
  arma::mat Y = reference::draw(g, 4, 300);
  Y.row(0) *= 3.0;
  ComponentMoments m;
  m.mass = 300.0;
  m.X = Y * Y.t();
  arma::mat U;
  truncated_step(m, 0, 1e-7, U);
  arma::vec values;
  arma::mat vectors;
  arma::eig_sym(values, vectors, m.X / 300.0);
  for (double& v : values) v = v > 1.0 ? v - 1.0 : 1e-7;
  EXPECT_LT(arma::abs(U - vectors * arma::diagmat(values) * vectors.t()).max(), 1e-12);
  EXPECT_GT(arma::eig_sym(U).min(), 0.0);
  // no covariance near it is better
  const double best = loglik(Y, arma::eye(4, 4) + U);
  for (int i = 0; i < 50; ++i) {
    const arma::mat F = arma::chol(U, "lower") + 0.01 * reference::draw(g, 4, 4);
    EXPECT_LE(loglik(Y, arma::eye(4, 4) + F * F.t()), best + 1e-4);
  }
}

TEST(Updates, ErrorsNameTheComponent) {
  ComponentMoments m;
  m.mass = 1.0;
  m.X.zeros(2, 2);
  m.H = 10.0 * arma::eye(2, 2);
  arma::mat F = arma::eye(2, 2), U = F;
  try {
    extreme_deconvolution_step(m, 2, F, U);
    FAIL() << "no error";
  } catch (const numeric_error& e) {
    EXPECT_NE(std::string(e.what()).find("component 3 "), std::string::npos);
  }
}
