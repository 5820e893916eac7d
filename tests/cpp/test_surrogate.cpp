// The weights of effects that are seen in passes only are those of the solver that has them all.
#include <covmash/mash/slots.h>
#include <covmash/mash/surrogate.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const arma::mat& bhat, const arma::mat& shat) {
  return {bhat.memptr(), shat.memptr(), bhat.n_rows, bhat.n_cols};
}

struct Setting {
  reference::Problem p;
  MixturePrior prior;
  std::vector<double> penalty;
  SerialExecutor executor;

  explicit Setting(unsigned seed, arma::uword J)
      : p(reference::problem(seed, J, 3, reference::Noise::by_effect, true)) {
    for (arma::uword j = 0; j < J; ++j) p.bhat.row(j) *= j % 2 ? 0.5 : 1.0 + static_cast<double>(j % 7);
    for (const arma::mat& U : p.covariances) prior.covariances.push_back(recognise(U));
    for (int l = 0; l < 14; ++l) prior.scales.push_back(std::ldexp(0.01, l));
    prior.point_mass = true;
    penalty.assign(prior.n_components(), 1.0);
    penalty[0] = 10.0;
  }

  struct Solved {
    WeightsResult weights;
    std::vector<double> objectives;
  };

  // With every `stride`-th effect as the sample; effects come in parts.
  Solved solve(arma::uword stride) {
    const arma::uvec rows = arma::regspace<arma::uvec>(0, stride, p.bhat.n_rows - 1);
    const arma::mat bhat = p.bhat.rows(rows), shat = p.shat.rows(rows);
    const NoiseModel some(effects(bhat, shat), p.C), all(effects(p.bhat, p.shat), p.C);
    ComputedLikelihoods sample(some, prior, executor), source(all, prior, executor);
    sample.weigh(std::vector<double>(
        rows.n_elem, static_cast<double>(all.n_observed_effects()) / static_cast<double>(some.n_observed_effects())));
    const auto stored = sample.store(executor);
    PassMaster master(*stored, by_slot(sample.selection(), penalty), scale_grids(sample.selection()), WeightsOptions(),
                      executor);
    Solved out;
    do {
      out.objectives.push_back(master.result().objective);
    } while (master.take(FullPass(source, master.query(), executor).run()));
    out.objectives.push_back(master.result().objective);
    out.objectives.erase(out.objectives.begin());
    out.weights = master.result();
    const double sum = std::accumulate(out.weights.pi.begin(), out.weights.pi.end(), 0.0);
    EXPECT_NEAR(sum, 1.0, 1e-12) << stride;
    return out;
  }

  WeightsResult exact() {
    const NoiseModel all(effects(p.bhat, p.shat), p.C);
    ComputedLikelihoods source(all, prior, executor);
    const auto stored = source.store(executor);
    BlockDensity density(*stored, executor);
    return WeightsSolver(density, by_slot(source.selection(), penalty), scale_grids(source.selection()),
                         WeightsOptions())
        .solve();
  }
};

}  // namespace

TEST(PassMaster, FindsTheWeightsWhateverTheSample) {
  Setting setting(8, 3000);
  const WeightsResult exact = setting.exact();
  for (const arma::uword stride : {1u, 3u, 30u, 300u}) {
    const Setting::Solved solved = setting.solve(stride);
    EXPECT_TRUE(solved.weights.converged) << stride;
    EXPECT_LT(solved.weights.kkt_violation, 1e-8) << stride;
    EXPECT_NEAR(solved.weights.objective, exact.objective, 1e-9 * std::fabs(exact.objective)) << stride;
    EXPECT_LE(solved.weights.iterations, stride == 1 ? 2 : stride == 3 ? 10 : 40) << stride;
    for (std::size_t i = 1; i < solved.objectives.size(); ++i)
      EXPECT_GE(solved.objectives[i], solved.objectives[i - 1] - 1e-12 * std::fabs(exact.objective)) << stride;
  }
}

TEST(PassMaster, FindsColumnsThatTheSampleKnowsNothingOf) {
  for (const double size : {30.0, 300.0}) {
    Setting setting(10, 3000);
    for (arma::uword j = 1; j < 3; ++j) setting.p.bhat.row(j) *= size;  // in no sample
    for (int l = 14; l < 24; ++l) setting.prior.scales.push_back(std::ldexp(0.01, l));
    setting.penalty.assign(setting.prior.n_components(), 1.0);
    setting.penalty[0] = 10.0;
    const WeightsResult exact = setting.exact();
    for (const arma::uword stride : {3u, 15u, 100u}) {
      const Setting::Solved solved = setting.solve(stride);
      EXPECT_TRUE(solved.weights.converged) << size << " " << stride;
      EXPECT_NEAR(solved.weights.objective, exact.objective, 1e-9 * std::fabs(exact.objective))
          << size << " " << stride;
      EXPECT_LE(solved.weights.iterations, 60) << size << " " << stride;
      for (std::size_t i = 1; i < solved.objectives.size(); ++i)
        EXPECT_GE(solved.objectives[i], solved.objectives[i - 1] - 1e-12 * std::fabs(exact.objective));
    }
  }
}

TEST(SurrogateDensity, HasTheDerivativesItIsGiven) {
  Setting setting(9, 600);
  const NoiseModel noise(effects(setting.p.bhat, setting.p.shat), setting.p.C);
  ComputedLikelihoods computed(noise, setting.prior, setting.executor);
  const auto stored = computed.store(setting.executor);
  BlockDensity density(*stored, setting.executor);
  const std::size_t P = density.n_columns();
  std::vector<double> y(P, 0.0), gradient(P);
  const Density::Columns columns = {0, 3, 12, 20};
  const std::vector<double> at = {0.4, 0.3, 0.2, 0.1};
  for (std::size_t i = 0; i < columns.size(); ++i) y[columns[i]] = at[i];
  // Such as corrections are: nothing along y.
  for (std::size_t p = 0; p < P; ++p) gradient[p] = 0.1 * static_cast<double>(p % 7);
  const double along = 0.4 * gradient[0] + 0.3 * gradient[3] + 0.2 * gradient[12] + 0.1 * gradient[20];
  for (double& g : gradient) g -= along;
  const arma::mat bend = arma::diagmat(arma::vec{1.0, 2.0, 3.0, 4.0});
  SurrogateDensity surrogate(density, y, gradient, columns, bend);
  surrogate.enter(0);
  surrogate.use(columns);
  const Density::Pass there = surrogate.all_columns(at, false);
  density.use(columns);
  const Density::Pass plain = density.all_columns(at, false);
  EXPECT_NEAR(there.log_density, plain.log_density, 1e-10);
  for (std::size_t p = 0; p < P; ++p)
    EXPECT_NEAR(there.gradient[p] - plain.gradient[p], gradient[p], 1e-9 + 1e-12 * plain.gradient[p]);
  // Differences of the objective along the simplex.
  const std::vector<double> d = {-0.5, 0.25, 0.5, -0.25};
  surrogate.use(columns);
  surrogate.mix(at);
  surrogate.toward(d);
  const double h = 1e-3;
  const double up = surrogate.along(h), down = surrogate.along(-h), here = surrogate.along(0.0);
  double slope = 0.0;
  for (std::size_t i = 0; i < 4; ++i) slope += d[i] * there.gradient[columns[i]];
  EXPECT_NEAR((up - down) / (2.0 * h), slope, 1e-3 * (1.0 + std::fabs(slope)));
  const arma::vec v(d);
  EXPECT_NEAR(-(up - 2.0 * here + down) / (h * h), arma::dot(v, surrogate.model().hessian * v), 1e-2 * 600.0);
  // A factor adds what it adds to the density.
  std::vector<double> twice = at;
  for (double& x : twice) x *= 2.0;
  const double before = surrogate.mix(at);
  EXPECT_NEAR(surrogate.mix(twice) - before, surrogate.n_effects() * std::log(2.0), 1e-8);
}
