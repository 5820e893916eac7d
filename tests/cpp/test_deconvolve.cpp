#include <covmash/deconvolution/deconvolve.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

DeconvolveStart start(const reference::Problem& p) {
  DeconvolveStart s;
  const ComponentKind kinds[] = {ComponentKind::full, ComponentKind::low_rank, ComponentKind::factor,
                                 ComponentKind::scaled, ComponentKind::fixed};
  for (std::size_t k = 0; k < 5; ++k) {
    DeconvolutionComponent c;
    c.kind = kinds[k];
    c.U = p.covariances[k == 4 ? 0 : 4] + static_cast<double>(k) * p.covariances[0];
    c.rank = 1;
    s.components.push_back(c);
  }
  return s;
}

std::vector<ComponentKind> kinds(const DeconvolveStart& s) {
  std::vector<ComponentKind> out;
  for (const auto& c : s.components) out.push_back(c.kind);
  return out;
}

DeconvolveResult run(const reference::Problem& p, const DeconvolveOptions& options, std::size_t threads = 1,
                     const double* weights = nullptr) {
  ThreadExecutor executor(threads);
  const NoiseModel noise(effects(p), p.C);
  DeconvolveStart s = start(p);
  const std::size_t n = 5 * options.scales.size() + (options.null ? 1 : 0);
  s.weights.assign(n, 1.0 / static_cast<double>(n));
  return Deconvolution(noise, weights, kinds(s), options, executor)({s});
}

double loglik(const reference::Problem& p, const DeconvolveResult& fit, const DeconvolveOptions& options) {
  const std::size_t L = options.scales.size();
  double sum = 0.0;
  for (arma::uword j = 0; j < p.bhat.n_rows; ++j) {
    if (reference::observed(p, j).is_empty()) continue;
    double density = 0.0;
    for (std::size_t k = 0; k < 5; ++k)
      for (std::size_t l = 0; l < L; ++l)
        density += fit.weights[k * L + l] * std::exp(reference::loglik(p, j, options.scales[l] * fit.components[k].U));
    if (options.null) density += fit.weights.back() * std::exp(reference::loglik(p, j, p.covariances[6]));
    sum += std::log(density);
  }
  return sum;
}

}  // namespace

TEST(Deconvolve, TheObjectiveNeverFallsAndIsThatOfTheModel) {
  for (auto noise : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect})
    for (bool missing : {false, true})
      for (bool accelerate : {false, true})
        for (bool refine : {false, true}) {
          const auto p = reference::problem(90, 80, 4, noise, missing);
          DeconvolveOptions options;
          options.lambda = 8.0;
          options.accelerate = accelerate;
          options.tolerance = 0.0;
          options.max_evaluations = 25;
          options.null = refine;
          if (refine) options.scales = {0.25, 1.0, 4.0};
          const DeconvolveResult fit = run(p, options);
          for (std::size_t i = 1; i < fit.objective.size(); ++i)
            EXPECT_GE(fit.objective[i], fit.objective[i - 1] - 1e-9) << missing << accelerate << refine << " " << i;
          EXPECT_NEAR(fit.loglik, loglik(p, fit, options), 1e-8);
          EXPECT_NEAR(fit.objective.back(), fit.loglik + fit.penalty, 1e-9);
          EXPECT_NEAR(arma::accu(arma::vec(fit.weights)), 1.0, 1e-12);
        }
}

TEST(Deconvolve, HasTheSameBitsForAnyNumberOfThreads) {
  for (auto noise : {reference::Noise::common, reference::Noise::by_effect}) {
    const auto p = reference::problem(91, 300, 5, noise, noise == reference::Noise::by_effect);
    DeconvolveOptions options;
    options.lambda = 10.0;
    options.max_evaluations = 12;
    const DeconvolveResult one = run(p, options, 1), three = run(p, options, 3);
    EXPECT_EQ(one.objective, three.objective);
    for (std::size_t k = 0; k < 5; ++k)
      EXPECT_TRUE(arma::approx_equal(one.components[k].U, three.components[k].U, "absdiff", 0.0));
  }
}

TEST(Deconvolve, AWeightIsThatManyCopiesOfTheEffect) {
  for (auto noise : {reference::Noise::common, reference::Noise::by_effect}) {
    const auto p = reference::problem(92, 40, 3, noise, false);
    reference::Problem twice = p;
    twice.bhat = arma::join_cols(p.bhat, p.bhat.head_rows(10));
    twice.shat = arma::join_cols(p.shat, p.shat.head_rows(10));
    std::vector<double> weights(40, 1.0);
    std::fill_n(weights.begin(), 10, 2.0);
    DeconvolveOptions options;
    options.lambda = 6.0;
    options.accelerate = false;
    options.tolerance = 0.0;
    options.max_evaluations = 5;
    const DeconvolveResult a = run(p, options, 1, weights.data());
    const DeconvolveResult b = run(twice, options);
    EXPECT_NEAR(a.objective.back(), b.objective.back(), 1e-8);
    for (std::size_t k = 0; k < 5; ++k) EXPECT_LT(arma::abs(a.components[k].U - b.components[k].U).max(), 1e-7);
  }
}

TEST(Deconvolve, OneMissingEstimateCostsNoSteps) {
  const auto p = reference::problem(95, 200, 8, reference::Noise::common, false);
  auto odd = p;
  odd.bhat(0, 0) = std::numeric_limits<double>::quiet_NaN();
  DeconvolveOptions options;
  options.lambda = 16.0;
  options.accelerate = false;
  options.max_evaluations = 500;
  const DeconvolveResult whole = run(p, options), without = run(odd, options);
  EXPECT_TRUE(whole.converged && without.converged);
  EXPECT_LT(without.evaluations, 1.2 * whole.evaluations + 5.0);
}

TEST(Deconvolve, GoesOnFromTheBestStart) {
  const auto p = reference::problem(93, 60, 3, reference::Noise::common, false);
  SerialExecutor executor;
  const NoiseModel noise(effects(p), p.C);
  std::vector<DeconvolveStart> starts;
  for (double size : {1e-3, 1.0, 1e3}) {
    DeconvolveStart s;
    DeconvolutionComponent c;
    c.U = size * p.covariances[4];
    s.components = {c};
    s.weights = {1.0};
    starts.push_back(s);
  }
  DeconvolveOptions options;
  options.lambda = 6.0;
  options.trial_steps = 1;
  const DeconvolveResult fit = Deconvolution(noise, nullptr, {ComponentKind::full}, options, executor)(starts);
  ASSERT_EQ(fit.starts.size(), 3u);
  EXPECT_EQ(fit.starts[fit.best_start], *std::max_element(fit.starts.begin(), fit.starts.end()));
  EXPECT_TRUE(fit.converged);
  EXPECT_GE(fit.objective.back(), fit.starts[fit.best_start]);
}

TEST(Deconvolve, RefusesStartsThatDoNotFit) {
  const auto p = reference::problem(94, 20, 3, reference::Noise::common, false);
  SerialExecutor executor;
  const NoiseModel noise(effects(p), p.C);
  Deconvolution deconvolution(noise, nullptr, {ComponentKind::full}, DeconvolveOptions(), executor);
  EXPECT_THROW(deconvolution({}), input_error);
  EXPECT_THROW(deconvolution({DeconvolveStart()}), input_error);
}
