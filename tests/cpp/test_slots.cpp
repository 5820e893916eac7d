// Numbers of components in slot order and back, and the runs that differ by scale only.
#include <covmash/mash/relative_likelihood.h>
#include <covmash/mash/slots.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "reference.h"

using namespace covmash;

namespace {

// The selection of all components of a prior.
Selection selection_of(const MixturePrior& prior, const reference::Problem& p) {
  SerialExecutor executor;
  const Effects e = {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
  const NoiseModel noise(e, p.C);
  return ComputedLikelihoods(noise, prior, executor).selection();
}

MixturePrior prior_with(bool point_mass) {
  MixturePrior prior;
  const arma::mat U = arma::ones(3, 3) + arma::eye(3, 3);
  // The last is twice the first: their scales are one run.
  for (const arma::mat& covariance : {U, arma::mat(arma::eye(3, 3)), arma::mat(2.0 * U)})
    prior.covariances.push_back(recognise(covariance));
  prior.scales = {0.25, 1.0, 4.0};
  prior.point_mass = point_mass;
  return prior;
}

}  // namespace

TEST(Slots, AreAPermutationOfTheComponents) {
  const auto p = reference::problem(2, 70, 3, reference::Noise::common, false);
  for (const bool point_mass : {false, true}) {
    const MixturePrior prior = prior_with(point_mass);
    const Selection selection = selection_of(prior, p);
    std::vector<double> x(prior.n_components());
    std::iota(x.begin(), x.end(), 1.0);
    const std::vector<double> slots = by_slot(selection, x);
    EXPECT_EQ(by_component(selection, slots), x);
    std::vector<double> sorted = slots;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted, x);
    if (point_mass) EXPECT_EQ(slots[0], 1.0);
    EXPECT_TRUE(by_slot(selection, {}).empty());
    x.pop_back();
    EXPECT_ANY_THROW(by_slot(selection, x));
  }
}

TEST(Slots, RunsOfScalesFollowOneAnotherAndHoldAll) {
  const auto p = reference::problem(2, 70, 3, reference::Noise::common, false);
  for (const bool point_mass : {false, true}) {
    const MixturePrior prior = prior_with(point_mass);
    const auto grids = scale_grids(selection_of(prior, p));
    std::size_t at = 0;
    for (const auto& grid : grids) {
      EXPECT_EQ(grid.first, at);
      EXPECT_GT(grid.second, grid.first);
      at = grid.second;
    }
    EXPECT_EQ(at, prior.n_components());
    if (point_mass) EXPECT_EQ(grids[0].second, 1u);
  }
}
