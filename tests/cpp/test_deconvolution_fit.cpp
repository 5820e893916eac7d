#include <covmash/deconvolution/fit.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

// One textbook EM step: E[b b' | y] averaged with the responsibilities.
struct Step {
  std::vector<double> weights;
  std::vector<arma::mat> U;
  double loglik = 0.0;
};

Step textbook(const reference::Problem& p, const std::vector<arma::mat>& U, const std::vector<double>& weights) {
  const std::size_t K = U.size();
  const arma::uword J = p.bhat.n_rows, R = p.bhat.n_cols;
  Step out;
  out.weights.assign(K, 0.0);
  out.U.assign(K, arma::zeros(R, R));
  double n = 0.0;
  for (arma::uword j = 0; j < J; ++j) {
    const arma::uvec O = reference::observed(p, j);
    if (O.is_empty()) continue;
    n += 1.0;
    arma::vec q(K), b(O.n_elem), s(O.n_elem);
    for (arma::uword i = 0; i < O.n_elem; ++i) {
      b[i] = p.bhat(j, O[i]);
      s[i] = p.shat(j, O[i]);
    }
    for (std::size_t k = 0; k < K; ++k) q[k] = weights[k] * std::exp(reference::loglik(p, j, U[k]));
    out.loglik += std::log(arma::accu(q));
    q /= arma::accu(q);
    for (std::size_t k = 0; k < K; ++k) {
      const arma::mat gain = U[k].cols(O) * arma::inv_sympd(p.C.submat(O, O) % (s * s.t()) + U[k].submat(O, O));
      const arma::vec mean = gain * b;
      out.U[k] += q[k] * (mean * mean.t() + U[k] - gain * U[k].rows(O));
      out.weights[k] += q[k];
    }
  }
  for (std::size_t k = 0; k < K; ++k) {
    out.U[k] /= out.weights[k];
    out.weights[k] /= n;
  }
  out.loglik /= n;
  return out;
}

std::vector<arma::mat> starts(const reference::Problem& p) {
  return {p.covariances[0], p.covariances[2], p.covariances[3], p.covariances[4]};
}

DeconvolutionResult run(const reference::Problem& p, double steps, std::size_t threads = 1) {
  DeconvolutionOptions options;
  options.tolerance = 0.0;
  options.max_iterations = steps;
  ThreadExecutor executor(threads);
  return extreme_deconvolution(NoiseModel(effects(p), p.C), starts(p), {0.1, 0.2, 0.3, 0.4}, options, executor);
}

}  // namespace

TEST(Deconvolution, OneStepIsTheTextbookStep) {
  for (auto kind : {reference::Noise::common, reference::Noise::by_effect})
    for (bool missing : {false, true}) {
      const auto p = reference::problem(50, 150, 4, kind, missing);
      const Step expected = textbook(p, starts(p), {0.1, 0.2, 0.3, 0.4});
      const DeconvolutionResult actual = run(p, 1);
      EXPECT_NEAR(actual.mean_loglik, expected.loglik, 1e-12);
      for (std::size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(actual.weights[k], expected.weights[k], 1e-12);
        EXPECT_LT(arma::abs(actual.covariances[k] - expected.U[k]).max(), 1e-11);
      }
    }
}

// One odd row or one missing entry must not send the others another way that ends elsewhere.
TEST(Deconvolution, OneOddEffectChangesNothingElse) {
  auto p = reference::problem(56, 400, 4, reference::Noise::common, false);
  const DeconvolutionResult common = run(p, 5);
  auto missing = p, odd = p;
  missing.bhat(17, 2) = std::numeric_limits<double>::quiet_NaN();
  odd.shat(17, 2) = 1.0 + 1e-7;
  EXPECT_NEAR(run(odd, 5).mean_loglik, common.mean_loglik, 1e-8);
  for (const auto& q : {missing, odd}) {
    const Step expected = textbook(q, starts(q), {0.1, 0.2, 0.3, 0.4});
    const DeconvolutionResult actual = run(q, 1);
    EXPECT_NEAR(actual.mean_loglik, expected.loglik, 1e-12);
    for (std::size_t k = 0; k < 4; ++k) EXPECT_LT(arma::abs(actual.covariances[k] - expected.U[k]).max(), 1e-11);
  }
}

TEST(Deconvolution, LikelihoodNeverFallsAndRankStays) {
  const auto p = reference::problem(51, 200, 4, reference::Noise::by_effect, true);
  double before = -INFINITY;
  for (double steps : {1.0, 2.0, 3.0, 10.0, 30.0}) {
    const DeconvolutionResult r = run(p, steps);
    EXPECT_GE(r.mean_loglik, before - 1e-12);
    before = r.mean_loglik;
    EXPECT_EQ(recognise(r.covariances[1]).factor.n_cols, 1u);
  }
}

TEST(Deconvolution, SameBitsForAnyThreads) {
  for (auto kind : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect}) {
    const auto p = reference::problem(52, 5000, 3, kind, kind == reference::Noise::proportional);
    const DeconvolutionResult one = run(p, 3, 1);
    for (std::size_t threads : {2, 3, 7}) {
      const DeconvolutionResult many = run(p, 3, threads);
      EXPECT_EQ(one.weights, many.weights);
      for (std::size_t k = 0; k < 4; ++k)
        EXPECT_TRUE(arma::approx_equal(one.covariances[k], many.covariances[k], "absdiff", 0.0));
    }
  }
}

TEST(Deconvolution, FixedPartsStayAndTheRidgeFillsTheRank) {
  const auto p = reference::problem(53, 100, 3, reference::Noise::common, false);
  DeconvolutionOptions options;
  options.max_iterations = 5;
  options.fix_weights = true;
  options.fix_covariance = {1, 0};
  options.ridge = 0.5;
  SerialExecutor executor;
  const auto r = extreme_deconvolution(NoiseModel(effects(p), p.C), {p.covariances[0], p.covariances[2]}, {0.5, 0.5},
                                       options, executor);
  EXPECT_EQ(r.weights, (std::vector<double>{0.5, 0.5}));
  EXPECT_TRUE(arma::approx_equal(r.covariances[0], p.covariances[0], "absdiff", 0.0));
  EXPECT_GT(arma::eig_sym(r.covariances[1]).min(), 0.0);
}

TEST(Deconvolution, NoStepsReturnTheStart) {
  const auto p = reference::problem(57, 30, 3, reference::Noise::common, false);
  const DeconvolutionResult r = run(p, 0);
  EXPECT_EQ(r.iterations, 0.0);
  EXPECT_FALSE(r.converged);
  EXPECT_TRUE(arma::approx_equal(r.covariances[0], starts(p)[0], "absdiff", 0.0));
}

TEST(Deconvolution, StartsAreChecked) {
  const auto p = reference::problem(58, 30, 3, reference::Noise::common, false);
  const NoiseModel noise(effects(p), p.C);
  SerialExecutor executor;
  const arma::mat U = arma::eye(3, 3);
  EXPECT_THROW(extreme_deconvolution(noise, {}, {}, {}, executor), input_error);
  EXPECT_THROW(extreme_deconvolution(noise, {U}, {0.5, 0.5}, {}, executor), input_error);
  EXPECT_THROW(extreme_deconvolution(noise, {arma::eye(2, 2)}, {1.0}, {}, executor), input_error);
  EXPECT_THROW(truncated_deconvolution(arma::mat(3, 0), {U}, {1.0}, {}, executor), input_error);
}

TEST(Truncated, SameBitsForAnyThreads) {
  std::mt19937 g(59);
  const arma::mat Z = 2.0 * reference::draw(g, 5, 5000);
  TruncatedOptions options;
  options.max_iterations = 5;
  options.tolerance = 0.0;
  std::vector<TruncatedResult> results;
  for (std::size_t threads : {1, 2, 3, 7}) {
    ThreadExecutor executor(threads);
    results.push_back(truncated_deconvolution(Z, {arma::eye(5, 5), arma::ones(5, 5)}, {0.5, 0.5}, options, executor));
    EXPECT_EQ(results[0].loglik, results.back().loglik);
    EXPECT_TRUE(arma::approx_equal(results[0].covariances[1], results.back().covariances[1], "absdiff", 0.0));
  }
}

TEST(Truncated, OneComponentIsTheTruncatedMoment) {
  std::mt19937 g(54);
  arma::mat Z = reference::draw(g, 3, 400);
  Z.row(0) *= 3.0;
  TruncatedOptions options;
  options.max_iterations = 3;
  SerialExecutor executor;
  const auto r = truncated_deconvolution(Z, {arma::eye(3, 3)}, {1.0}, options, executor);
  arma::vec values;
  arma::mat vectors;
  arma::eig_sym(values, vectors, Z * Z.t() / 400.0);
  for (double& v : values) v = v > 1.0 ? v - 1.0 : options.eigenvalue_floor;
  EXPECT_LT(arma::abs(r.covariances[0] - vectors * arma::diagmat(values) * vectors.t()).max(), 1e-12);
}

TEST(Truncated, LikelihoodNeverFalls) {
  std::mt19937 g(55);
  const arma::mat Z = 2.0 * reference::draw(g, 4, 300);
  TruncatedOptions options;
  options.max_iterations = 50;
  options.tolerance = 0.0;
  SerialExecutor executor;
  const auto r = truncated_deconvolution(Z, {arma::eye(4, 4), arma::ones(4, 4)}, {0.5, 0.5}, options, executor);
  for (std::size_t i = 1; i < r.loglik.size(); ++i) EXPECT_GE(r.loglik[i], r.loglik[i - 1] - 1e-6);
}

TEST(Truncated, CorrelatedScaledNoiseIsWhitenedAndTheMatricesComeBack) {
  std::mt19937 g(56);
  const arma::mat Z = 2.0 * reference::draw(g, 4, 200), root = reference::draw(g, 4, 6);
  const arma::mat start = root * root.t();
  const arma::mat C = arma::mat(4, 4, arma::fill::value(0.4)) + 0.6 * arma::eye(4, 4);
  const arma::vec scale = {0.1, 1.0, 5.0, 30.0};
  const arma::mat L = arma::chol(C, "lower"), M = arma::diagmat(scale) * L, M_inverse = arma::inv(M);
  TruncatedOptions options;
  options.max_iterations = 20;
  SerialExecutor executor;
  const auto white = truncated_deconvolution(arma::mat(arma::inv(L) * Z), {M_inverse * start * M_inverse.t()}, {1.0}, options,
                                             executor);
  const auto r = truncated_deconvolution(Z, C, scale, {start}, {1.0}, options, executor);
  const arma::mat expected = M * white.covariances[0] * M.t();
  EXPECT_LT(arma::abs((r.covariances[0] - expected) / (scale * scale.t())).max(), 1e-11);
  EXPECT_THROW(truncated_deconvolution(Z, -C, scale, {start}, {1.0}, options, executor), numeric_error);
}
