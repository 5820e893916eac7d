#include <covmash/mash/fit.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

// Gradient of the penalised objective over N: at the optimum no entry exceeds 1.
arma::vec gradient(const arma::mat& L, const std::vector<double>& prior, const std::vector<double>& pi) {
  const arma::vec u = L * arma::vec(pi);
  arma::vec g = L.t() * (1.0 / u);
  double n = static_cast<double>(L.n_rows);
  for (std::size_t p = 0; p < prior.size(); ++p) {
    n += prior[p] - 1.0;
    if (prior[p] > 1.0) g[p] += (prior[p] - 1.0) / pi[p];
  }
  return g / n;
}

arma::mat likelihoods(unsigned seed, arma::uword J, arma::uword P) {
  std::mt19937 g(seed);
  const arma::vec z = 3.0 * reference::draw(g, J, 1);
  arma::mat L(J, P);
  for (arma::uword p = 0; p < P; ++p) {
    const double v = 1.0 + std::pow(2.0, static_cast<double>(p) - 4.0);
    L.col(p) = arma::exp(-0.5 * arma::square(z) / v) / std::sqrt(v);
  }
  return L;
}

WeightsResult solve(const arma::mat& L, const std::vector<double>& prior, std::size_t threads = 1) {
  ThreadExecutor executor(threads);
  return fit_weights(L, prior, WeightsOptions(), executor);
}

void expect_optimal(const arma::mat& L, const std::vector<double>& prior) {
  const WeightsResult w = solve(L, prior);
  EXPECT_TRUE(w.converged);
  double sum = 0.0;
  for (double p : w.pi) {
    EXPECT_GE(p, 0.0);
    sum += p;
  }
  EXPECT_NEAR(sum, 1.0, 1e-12);
  EXPECT_LT(gradient(L, prior, w.pi).max() - 1.0, 1e-6);  // the fit saw L in float
}

}  // namespace

TEST(Weights, ReachTheOptimum) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::vector<double> prior(12, 1.0);
    if (seed % 2) prior[0] = 10.0;
    expect_optimal(likelihoods(seed, 500, 12), prior);
  }
}

TEST(Weights, MoreComponentsThanEffects) { expect_optimal(likelihoods(40, 5, 30), std::vector<double>(30, 1.0)); }

TEST(Weights, DuplicatedColumns) {
  arma::mat L = likelihoods(41, 300, 6);
  L = arma::join_rows(L, L);
  expect_optimal(L, std::vector<double>(12, 1.0));
}

TEST(Weights, OneColumn) {
  const WeightsResult w = solve(likelihoods(42, 50, 1), {1.0});
  EXPECT_EQ(w.pi, std::vector<double>{1.0});
  EXPECT_TRUE(w.converged);
}

TEST(Weights, AllNull) {
  arma::mat L(200, 5, arma::fill::value(0.5));
  L.col(0).ones();
  const WeightsResult w = solve(L, {10.0, 1.0, 1.0, 1.0, 1.0});
  EXPECT_NEAR(w.pi[0], 1.0, 1e-12);
}

TEST(Weights, RowsWithLikelihoodInOneColumnOnly) {
  // Each effect is possible under one component alone: weights are the shares of the effects.
  arma::mat L(100, 4, arma::fill::zeros);
  for (arma::uword j = 0; j < 100; ++j) L(j, j < 70 ? 3 : j % 3) = 1e-3;
  const WeightsResult w = solve(L, std::vector<double>(4, 1.0));
  EXPECT_NEAR(w.pi[3], 0.7, 1e-9);
}

TEST(Weights, ReportTheObjective) {
  const arma::mat L = likelihoods(43, 400, 10);
  std::vector<double> prior(10, 1.0);
  prior[0] = 10.0;
  const WeightsResult w = solve(L, prior);
  const double expected = arma::accu(arma::log(L * arma::vec(w.pi))) + 9.0 * std::log(w.pi[0]);
  EXPECT_NEAR(w.objective, expected, 1e-4);
  EXPECT_LE(w.gap_bound, 1e-5);
}

TEST(Weights, SameBitsForAnyThreads) {
  const arma::mat L = likelihoods(44, 9000, 20);
  const WeightsResult one = solve(L, std::vector<double>(20, 1.0), 1);
  for (std::size_t threads : {2, 3, 7}) EXPECT_EQ(one.pi, solve(L, std::vector<double>(20, 1.0), threads).pi);
}

// 20000 effects are fitted in three levels; the same bits whether the likelihoods are kept or computed by every pass.
TEST(Weights, KeptAndComputedLikelihoodsGiveTheSameBits) {
  const reference::Problem p = reference::problem(46, 20000, 3, reference::Noise::proportional, true);
  const Effects e{p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
  MixturePrior prior;
  for (const auto& U : p.covariances) prior.covariances.push_back(recognise(U));
  prior.scales = {0.1, 1.0, 10.0, 100.0};
  std::vector<double> penalty(prior.n_components(), 1.0);
  penalty[0] = 10.0;
  const NoiseModel noise(e, p.C);
  FitOptions keep, compute;
  compute.memory = 0.0;
  ThreadExecutor one(1), three(3);
  const FitResult kept = fit(noise, prior, penalty, keep, one), computed = fit(noise, prior, penalty, compute, three);
  EXPECT_TRUE(kept.weights.converged);
  EXPECT_EQ(kept.weights.pi, computed.weights.pi);
  EXPECT_EQ(kept.weights.objective, computed.weights.objective);
}

// Effects far from all others: the sample of effects that is solved first knows nothing of their component.
TEST(Weights, RareEffectsThatASampleMisses) {
  arma::mat L(30000, 3, arma::fill::zeros);
  L.col(0).ones();
  L.col(1).fill(0.5);
  for (arma::uword j : {70u, 12345u, 29999u}) L.row(j) = arma::rowvec{0.0, 1e-30, 1.0};
  expect_optimal(L, {10.0, 1.0, 1.0});
  EXPECT_NEAR(solve(L, std::vector<double>(3, 1.0)).pi[2], 3.0 / 30000.0, 1e-9);
}

TEST(Weights, NothingObserved) {
  const double missing = std::nan("");
  const Effects e{&missing, &missing, 1, 1};
  MixturePrior prior;
  prior.covariances = {recognise(arma::eye(1, 1))};
  prior.scales = {1.0};
  SerialExecutor executor;
  const FitResult f = fit(NoiseModel(e, arma::eye(1, 1)), prior, {1.0, 1.0}, FitOptions(), executor);
  EXPECT_EQ(f.n_effects, 0u);
  EXPECT_EQ(f.weights.pi, (std::vector<double>{0.5, 0.5}));
}

TEST(Weights, RefuseWrongArguments) {
  EXPECT_THROW(solve(likelihoods(45, 10, 3), {1.0}), input_error);
  EXPECT_THROW(solve(likelihoods(45, 10, 3), {0.5, 1.0, 1.0}), input_error);
  EXPECT_THROW(solve(arma::zeros(3, 2), {1.0, 1.0}), input_error);
}
