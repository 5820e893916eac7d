// A pass over parts of the effects adds up to that over all of them, and says what the density of the solver says.
#include <covmash/mash/density.h>
#include <covmash/mash/full_pass.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const arma::mat& bhat, const arma::mat& shat) {
  return {bhat.memptr(), shat.memptr(), bhat.n_rows, bhat.n_cols};
}

MixturePrior prior_of(const reference::Problem& p) {
  MixturePrior prior;
  for (const arma::mat& U : p.covariances) prior.covariances.push_back(recognise(U));
  prior.scales = {0.04, 0.25, 1.0, 4.0, 9.0};
  prior.point_mass = true;
  return prior;
}

PassQuery query_of(std::size_t P) {
  PassQuery q;
  q.x.assign(P, 0.0);
  q.from.assign(P, 0.0);
  for (std::size_t p = 0; p < P; p += 3) q.x[p] = 1.0 + static_cast<double>(p % 5);
  for (std::size_t p = 0; p < P; p += 4) q.from[p] = 1.0;
  for (auto* x : {&q.x, &q.from}) {
    const double sum = std::accumulate(x->begin(), x->end(), 0.0);
    for (double& w : *x) w /= sum;
  }
  q.steps = {0.0, 0.5, 1.0};
  return q;
}

PassAnswer answer(const reference::Problem& p, const MixturePrior& prior, const PassQuery& q, std::size_t threads = 1,
                  double base = 0.0) {
  ThreadExecutor executor(threads);
  const NoiseModel noise(effects(p.bhat, p.shat), p.C);
  ComputedLikelihoods source(noise, prior, executor);
  source.set_base(base);
  return FullPass(source, q, executor).run();
}

}  // namespace

TEST(FullPass, SaysWhatTheDensitySays) {
  const auto p = reference::problem(3, 700, 4, reference::Noise::by_effect, true);
  const MixturePrior prior = prior_of(p);
  for (const double base : {0.0, 1.0}) {
    SerialExecutor executor;
    const NoiseModel noise(effects(p.bhat, p.shat), p.C);
    ComputedLikelihoods source(noise, prior, executor);
    source.set_base(base);
    const PassQuery q = query_of(source.n_columns());
    const PassAnswer a = answer(p, prior, q, 1, base);
    BlockDensity density(source, executor);
    density.enter(0);
    std::vector<double> x;
    for (std::size_t s : a.columns) x.push_back(q.x[s]);
    density.use(a.columns);
    const Density::Pass pass = density.all_columns(x, false);
    EXPECT_NEAR(a.log_density, pass.log_density, 1e-9);
    EXPECT_NEAR(a.along[2], pass.log_density, 1e-9);
    EXPECT_EQ(a.n_effects, density.n_effects());
    EXPECT_NEAR(a.maxima, source.sum_of_maxima(), 1e-9);
    for (std::size_t k = 0; k < a.gradient.size(); ++k) EXPECT_NEAR(a.gradient[k], pass.gradient[k], 1e-8 * a.n_effects);
    const arma::mat H = density.model().hessian;
    EXPECT_LT(arma::abs(a.hessian - H).max(), 1e-5 * H.max());
    std::vector<double> from;
    Density::Columns columns;
    for (std::size_t k = 0; k < q.from.size(); ++k)
      if (q.from[k] > 0.0) {
        columns.push_back(k);
        from.push_back(q.from[k]);
      }
    density.use(columns);
    EXPECT_NEAR(a.along[0], density.mix(from), 1e-9);
    EXPECT_GT(a.along[1], std::min(a.along[0], a.along[2]));  // concave
  }
}

TEST(FullPass, OfPartsAddsUpWithTheSameBitsForAnyNumberOfThreads) {
  const auto p = reference::problem(4, 9000, 3, reference::Noise::common, false);
  const MixturePrior prior = prior_of(p);
  SerialExecutor executor;
  const NoiseModel noise(effects(p.bhat, p.shat), p.C);
  const PassQuery q = query_of(ComputedLikelihoods(noise, prior, executor).n_columns());
  const PassAnswer all = answer(p, prior, q);
  const PassAnswer threads = answer(p, prior, q, 3);
  EXPECT_EQ(all.log_density, threads.log_density);
  EXPECT_EQ(all.gradient, threads.gradient);
  EXPECT_TRUE(arma::approx_equal(all.hessian, threads.hessian, "absdiff", 0.0));
  PassAnswer sum;
  for (arma::uword from : {0u, 4000u, 8192u}) {
    reference::Problem part = p;
    const arma::uword to = from == 0 ? 3999 : from == 4000 ? 8191 : 8999;
    part.bhat = p.bhat.rows(from, to);
    part.shat = p.shat.rows(from, to);
    sum.add(answer(part, prior, q));
  }
  EXPECT_NEAR(sum.log_density, all.log_density, 1e-8);
  EXPECT_NEAR(sum.maxima, all.maxima, 1e-8);
  EXPECT_EQ(sum.n_effects, all.n_effects);
  for (std::size_t k = 0; k < all.gradient.size(); ++k) EXPECT_NEAR(sum.gradient[k], all.gradient[k], 1e-6);
}

TEST(FullPass, CountsEffectsThatNoColumnInUseIsFairTo) {
  auto p = reference::problem(5, 200, 3, reference::Noise::common, false);
  p.bhat *= 0.3;
  p.bhat.row(17) *= 60.0;
  MixturePrior prior = prior_of(p);
  prior.scales.push_back(400.0);
  SerialExecutor executor;
  const NoiseModel noise(effects(p.bhat, p.shat), p.C);
  ComputedLikelihoods source(noise, prior, executor);
  PassQuery q;
  q.x.assign(source.n_columns(), 0.0);
  q.x[0] = 1.0;  // the point mass
  const PassAnswer a = FullPass(source, q, executor).run();
  EXPECT_GE(std::accumulate(a.covering.begin(), a.covering.end(), 0.0), 1.0);
  EXPECT_EQ(a.covering[0], 0.0);
  EXPECT_TRUE(a.along.empty());
}
