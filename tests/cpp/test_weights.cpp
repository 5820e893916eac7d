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

// Newton's first steps give up columns that a few effects need, for what the others gain by it; they have to come back.
TEST(Weights, EffectsThatNeedAColumnGetItBack) {
  std::mt19937 g(1);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  const auto below = [&](int n) { return static_cast<arma::uword>(uniform(g) * n); };
  for (int trial = 0; trial < 40; ++trial) {
    const arma::uword J = 2000 + below(4000), P = 2 + below(8), needy = 1 + below(4);
    arma::mat L(J, P);
    for (arma::uword p = 0; p < P; ++p) {
      const double size = p == 0 ? 1.0 : 0.5 + 0.49 * uniform(g);
      for (arma::uword j = 0; j < J; ++j) L(j, p) = size * (1.0 - 0.02 * uniform(g));
    }
    for (arma::uword j = 0; j < needy; ++j) {
      const arma::uword needed = 1 + below(static_cast<int>(P) - 1);
      L.row(j).fill(std::pow(10.0, -5.0 - 20.0 * uniform(g)));
      L(j, needed) = 1.0;
    }
    SCOPED_TRACE(trial);
    expect_optimal(L, std::vector<double>(P, 1.0));
  }
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

// Far more columns than effects need, each a grid of its own: all are local maxima. The support stays small all the
// same, which the time of this test would tell.
TEST(Weights, ManyColumnsFewInUse) {
  std::mt19937 g(47);
  const arma::mat x = reference::draw(g, 400, 2);
  for (arma::uword P : {500, 3000}) {
    arma::mat L(400, P);
    for (arma::uword p = 0; p < P; ++p) {
      const arma::mat F = reference::draw(g, 2, 2), S = F * F.t() + arma::eye(2, 2);
      L.col(p) = arma::exp(-0.5 * arma::sum((x * arma::inv(S)) % x, 1)) / std::sqrt(arma::det(S));
    }
    expect_optimal(L, std::vector<double>(P, 1.0));
  }
}

TEST(Weights, ManyCopies) {
  std::mt19937 g(48);
  const arma::mat L = likelihoods(48, 300, 30);
  arma::mat copies = arma::repmat(L, 1, 40);
  copies %= arma::exp(1e-7 * reference::draw(g, copies.n_rows, copies.n_cols));
  expect_optimal(copies, std::vector<double>(copies.n_cols, 1.0));
}

// Every effect is possible under its own column only: the support is as large as the solution has to be.
TEST(Weights, EveryEffectItsOwnColumn) {
  const arma::mat L = arma::eye(200, 200);
  const WeightsResult w = solve(L, std::vector<double>(200, 1.0));
  EXPECT_TRUE(w.converged);
  for (double p : w.pi) EXPECT_NEAR(p, 1.0 / 200.0, 1e-9);
}

// Within the tolerance from the first on, and yet there is a best column.
TEST(Weights, FlatLikelihood) {
  std::mt19937 g(49);
  for (double size : {1e-3, 1e-6, 1e-9}) {
    arma::mat L = 1.0 - size * arma::square(reference::draw(g, 500, 8));
    for (arma::uword p = 0; p < 8; ++p) L.col(p) -= 0.1 * size * static_cast<double>(p);
    const WeightsResult w = solve(L, std::vector<double>(8, 1.0));
    EXPECT_TRUE(w.converged);
    const double best = arma::max(arma::sum(arma::log(L), 0));
    EXPECT_GE(arma::accu(arma::log(L * arma::vec(w.pi))), best - 2e-9);
    EXPECT_LT(gradient(L, std::vector<double>(8, 1.0), w.pi).max() - 1.0, 1e-8);
  }
}

TEST(Weights, NoIterationsFromAStartAreItsCertificate) {
  const arma::mat L = likelihoods(50, 300, 8);
  std::vector<double> prior(8, 1.0);
  prior[0] = 10.0;
  SerialExecutor executor;
  WeightsOptions options;
  options.max_iterations = 0;
  options.start = {4.0, 0.0, 1.0, 1.0, 0.0, 2.0, 1.0, 1.0};
  const WeightsResult w = fit_weights(L, prior, options, executor);
  std::vector<double> pi;
  for (double x : options.start) pi.push_back(x / 10.0);
  EXPECT_EQ(w.pi, pi);
  EXPECT_EQ(w.iterations, 0);
  EXPECT_FALSE(w.converged);
  EXPECT_NEAR(w.objective, arma::accu(arma::log(L * arma::vec(pi))) + 9.0 * std::log(0.4), 1e-4);
  EXPECT_NEAR(w.kkt_violation, gradient(L, prior, pi).max() - 1.0, 1e-6);

  options.start = solve(L, prior).pi;
  const WeightsResult best = fit_weights(L, prior, options, executor);
  EXPECT_TRUE(best.converged);
  options.max_iterations = 100;
  options.start = pi;
  EXPECT_NEAR(fit_weights(L, prior, options, executor).objective, best.objective, 1e-7);

  options.start[0] = 0.0;  // has a penalty
  EXPECT_THROW(fit_weights(L, prior, options, executor), input_error);
  options.start = {1.0};
  EXPECT_THROW(fit_weights(L, prior, options, executor), input_error);
}

// Matrices that are multiples of one another: the fit of the matrices times the grid, component by component.
TEST(Weights, MultiplesOfMatricesAreAGrid) {
  const reference::Problem p = reference::problem(51, 600, 4, reference::Noise::proportional, true);
  const Effects e{p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
  const NoiseModel noise(e, p.C);
  MixturePrior grid, single;
  std::vector<arma::mat> matrices;
  for (const auto& U : p.covariances)
    if (arma::any(U.diag() > 0.0)) matrices.push_back(U);
  for (const auto& U : matrices) grid.covariances.push_back(recognise(U));
  grid.scales = {0.05, 0.3, 1.0, 2.7, 11.0};
  for (double w : grid.scales)
    for (const auto& U : matrices) single.covariances.push_back(recognise(w * U));
  single.scales = {1.0};
  std::vector<double> penalty(grid.n_components(), 1.0);
  penalty[0] = 10.0;
  SerialExecutor executor;
  const FitResult a = fit(noise, grid, penalty, FitOptions(), executor);
  const FitResult b = fit(noise, single, penalty, FitOptions(), executor);
  EXPECT_EQ(Selection(grid).covariances.size(), Selection(single).covariances.size());
  EXPECT_NEAR(a.weights.objective, b.weights.objective, 1e-8);
  for (std::size_t k = 0; k < penalty.size(); ++k) EXPECT_NEAR(a.weights.pi[k], b.weights.pi[k], 1e-5);
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
