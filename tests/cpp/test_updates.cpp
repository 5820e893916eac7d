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

TEST(Updates, TheMinorisedStepIsItsFormulaAndNeverLowersTheObjective) {
  std::mt19937 g(73);
  const arma::mat Y = 2.0 * reference::draw(g, 4, 50), A = reference::draw(g, 4, 4), V = A * A.t() + arma::eye(4, 4);
  for (auto kind : {PenaltyKind::none, PenaltyKind::inverse_wishart, PenaltyKind::nuclear_norm}) {
    const Penalty penalty{kind, kind == PenaltyKind::none ? 0.0 : 5.0};
    arma::mat U = arma::eye(4, 4) + arma::ones(4, 4);
    const auto objective = [&] {
      const arma::vec e = arma::eig_sym(U);
      return loglik(Y, V + U) + (penalty.active() ? penalty.value(e, penalty.scale(e)) : 0.0);
    };
    double before = objective();
    for (int i = 0; i < 100; ++i) {
      const ComponentMoments m = moments(Y, V, U);
      const double s = penalty.active() ? penalty.scale(arma::eig_sym(U)) : 1.0;
      arma::mat H = m.H, P = U * m.X * U;
      if (kind == PenaltyKind::inverse_wishart) H += 5.0 * arma::inv_sympd(U), P += 5.0 * s * arma::eye(4, 4);
      if (kind == PenaltyKind::nuclear_norm) H += 2.5 / s * arma::eye(4, 4), P += 2.5 * s * arma::eye(4, 4);
      const arma::mat L = arma::chol(arma::symmatu(H), "lower"), inverse = arma::inv(L);
      arma::mat root;
      if (!arma::sqrtmat_sympd(root, arma::symmatu(L.t() * P * L))) root.zeros(4, 4);
      const arma::mat expected = inverse.t() * root * inverse;
      ASSERT_TRUE(minorised_step(m, penalty, s, U));
      // Later on U without a penalty is nearly singular, and the plain formula has no digit left.
      if (i < 10 || penalty.active()) {
        EXPECT_LT(arma::abs(U - expected).max(), 1e-9 * arma::abs(expected).max());
      }
      EXPECT_GE(objective(), before - 1e-9);
      before = objective();
    }
  }
}

TEST(Updates, CompletedEffectsAreBetweenTwoSteps) {
  std::mt19937 g(80);
  const arma::mat Y = 2.0 * reference::draw(g, 4, 50), U = arma::eye(4, 4) + arma::ones(4, 4);
  // Without noise in common it is what extreme deconvolution makes of U; with all of it the moments of the effects.
  const arma::mat V = 3.0 * arma::eye(4, 4), gain = U * arma::inv_sympd(V + U), means = gain * Y;
  EXPECT_LT(arma::abs(completed_square(moments(Y, V, U), 0.0, U) - (means * means.t() / 50.0 + U - gain * U)).max(),
            1e-12);
  EXPECT_LT(arma::abs(completed_square(moments(Y, V, U), 3.0, U) - Y * Y.t() / 50.0).max(), 1e-12);
}

TEST(Updates, TheCompletedStepNeverLowersTheObjective) {
  std::mt19937 g(81);
  const arma::mat Y = 2.0 * reference::draw(g, 4, 50), A = reference::draw(g, 4, 4), V = A * A.t() + arma::eye(4, 4);
  const double v = arma::eig_sym(V).min();
  for (auto kind : {PenaltyKind::none, PenaltyKind::inverse_wishart, PenaltyKind::nuclear_norm}) {
    const Penalty penalty{kind, kind == PenaltyKind::none ? 0.0 : 5.0};
    arma::mat U = arma::eye(4, 4) + arma::ones(4, 4);
    const auto objective = [&] {
      const arma::vec e = arma::eig_sym(U);
      return loglik(Y, V + U) + (penalty.active() ? penalty.value(e, penalty.scale(e)) : 0.0);
    };
    double before = objective();
    for (int i = 0; i < 100; ++i) {
      const double s = penalty.active() ? penalty.scale(arma::eig_sym(U)) : 1.0;
      penalised_step(completed_square(moments(Y, V, U), v, U) / v, 50.0, penalty, s / v, 4, 0, U);
      U *= v;
      EXPECT_GE(objective(), before - 1e-9);
      before = objective();
    }
  }
}

TEST(Updates, TheBestScaleIsBetterThanAllOthers) {
  std::mt19937 g(74);
  for (int again = 0; again < 50; ++again) {
    const arma::vec values = arma::exp(2.0 * reference::draw(g, 4, 1)),
                    variances = arma::exp(2.0 * reference::draw(g, 4, 1));
    const auto worth = [&](double c) {
      return arma::accu(arma::log(1.0 + c * values) + variances / (1.0 + c * values));
    };
    const double c = best_scale(values, variances);
    EXPECT_LE(worth(c), worth(0.0) + 1e-12);
    for (int i = -800; i <= 800; ++i) EXPECT_LE(worth(c), worth(std::pow(10.0, i / 100.0)) + 1e-10);
  }
}

TEST(Updates, FactorStepsComeNearTheTarget) {
  std::mt19937 g(75);
  const arma::mat loadings = reference::draw(g, 6, 2),
                  target = loadings * loadings.t() + arma::diagmat(arma::linspace(0.5, 1.5, 6));
  arma::mat Q = reference::draw(g, 6, 2);
  arma::vec D(6, arma::fill::ones);
  const auto worth = [&] {
    const arma::mat U = Q * Q.t() + arma::diagmat(D);
    return arma::log_det_sympd(U) + arma::trace(arma::solve(U, target));
  };
  double before = worth();
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(factor_step(target, 5, 1e-6, 0.0, Q, D));
    EXPECT_LE(worth(), before + 1e-11);
    before = worth();
  }
  EXPECT_LT(arma::abs(Q * Q.t() + arma::diagmat(D) - target).max(), 1e-3);
}

TEST(Updates, LoadingsStepsNeverLowerTheLikelihood) {
  std::mt19937 g(76);
  const arma::mat Y = 2.0 * reference::draw(g, 4, 60), A = reference::draw(g, 4, 4), V = A * A.t() + arma::eye(4, 4);
  arma::mat F = reference::draw(g, 4, 1), W = reference::draw(g, 4, 2);
  double before = loglik(Y, V + F * F.t()), white = loglik(Y, arma::eye(4, 4) + W * W.t());
  for (int i = 0; i < 50; ++i) {
    ComponentMoments m = moments(Y, V, F * F.t());
    const arma::mat gain = F.t() * arma::inv_sympd(V + F * F.t());
    m.G = (arma::accu(arma::square(gain * Y)) + 60.0 * (1.0 - arma::as_scalar(gain * F))) * arma::inv_sympd(V);
    ASSERT_TRUE(loadings_step(m, F));
    EXPECT_GE(loglik(Y, V + F * F.t()), before - 1e-10);
    before = loglik(Y, V + F * F.t());
    ASSERT_TRUE(loadings_step(Y * Y.t() / 60.0, W));
    EXPECT_GE(loglik(Y, arma::eye(4, 4) + W * W.t()), white - 1e-10);
    white = loglik(Y, arma::eye(4, 4) + W * W.t());
  }
}
