#include <covmash/deconvolution/component.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

struct OneNoise {
  arma::mat Y;  // R x n
  reference::Problem p;
  SerialExecutor executor;
  std::unique_ptr<NoiseModel> noise;
  std::unique_ptr<WhitenedBasis> basis;
  ComponentSetting setting;

  explicit OneNoise(unsigned seed, PenaltyKind kind = PenaltyKind::none, double lambda = 0.0) {
    std::mt19937 g(seed);
    const arma::mat A = reference::draw(g, 4, 4);
    Y = A * reference::draw(g, 4, 70) + reference::draw(g, 4, 70);
    p.bhat = Y.t();
    p.shat.ones(70, 4);
    noise.reset(new NoiseModel({p.bhat.memptr(), p.shat.memptr(), 70, 4}, arma::eye(4, 4)));
    basis.reset(new WhitenedBasis(*noise, nullptr, executor));
    setting.basis = basis.get();
    setting.penalty = {kind, lambda};
    setting.one_noise = true;
    setting.executor = &executor;
  }

  ComponentMoments moments() const {
    ComponentMoments m;
    m.mass = 70.0;
    m.X = Y * Y.t();
    return m;
  }

  double objective(const ComponentState& c) const {
    const arma::mat T = c.covariance() + arma::eye(4, 4);
    return -0.5 * (70.0 * arma::log_det_sympd(T) + arma::trace(arma::solve(T, Y * Y.t()))) +
           (c.penalised() ? c.penalty() : 0.0);
  }
};

DeconvolutionComponent component(ComponentKind kind, const arma::mat& U, arma::uword rank = 1) {
  DeconvolutionComponent c;
  c.kind = kind;
  c.U = U;
  c.rank = rank;
  return c;
}

}  // namespace

TEST(ComponentState, EveryStepRaisesTheObjective) {
  for (auto penalty : {PenaltyKind::none, PenaltyKind::inverse_wishart, PenaltyKind::nuclear_norm})
    for (bool extreme : {false, true})
      for (auto kind : {ComponentKind::full, ComponentKind::low_rank, ComponentKind::factor, ComponentKind::scaled,
                        ComponentKind::fixed}) {
        const bool full = kind == ComponentKind::full || kind == ComponentKind::factor;
        if (penalty == PenaltyKind::nuclear_norm && full && (extreme || kind == ComponentKind::factor)) continue;
        OneNoise one(5, penalty, penalty == PenaltyKind::none ? 0.0 : 6.0);
        one.setting.extreme = extreme;
        one.setting.loadings = extreme;
        ComponentState state(component(kind, 0.5 * arma::eye(4, 4) + 0.5 * arma::ones(4, 4), 2), 0, one.setting);
        double before = one.objective(state);
        for (int step = 0; step < 30; ++step) {
          state.renew(one.moments());
          const double after = one.objective(state);
          EXPECT_GE(after, before - 1e-10)
              << static_cast<int>(kind) << extreme << static_cast<int>(penalty) << " " << step;
          before = after;
        }
      }
}

TEST(ComponentState, CoordinatesLeadBack) {
  for (auto penalty : {PenaltyKind::none, PenaltyKind::inverse_wishart})
    for (auto kind : {ComponentKind::full, ComponentKind::low_rank, ComponentKind::factor, ComponentKind::scaled}) {
      OneNoise one(6, penalty, penalty == PenaltyKind::none ? 0.0 : 6.0);
      ComponentState state(component(kind, arma::eye(4, 4) + arma::ones(4, 4), 2), 0, one.setting), other = state;
      for (int i = 0; i < 2; ++i) state.renew(one.moments());
      ASSERT_TRUE(other.set_coordinates(state.coordinates()));
      EXPECT_LT(arma::abs(other.covariance() - state.covariance()).max(), 1e-10) << static_cast<int>(kind);
      if (state.penalised()) {
        EXPECT_NEAR(other.penalty(), state.penalty(), 1e-9);
      }
      EXPECT_FALSE(other.set_coordinates(state.coordinates() * std::numeric_limits<double>::quiet_NaN()));
    }
}

TEST(ComponentState, LowRankIsTheBestOfItsRank) {
  OneNoise one(7);
  ComponentState state(component(ComponentKind::low_rank, arma::eye(4, 4) + arma::ones(4, 4), 2), 0, one.setting);
  EXPECT_EQ(arma::rank(state.covariance(), 1e-10), 2u);
  state.renew(one.moments());
  const double best = one.objective(state);
  std::mt19937 g(8);
  for (int i = 0; i < 100; ++i) {
    arma::vec values;
    arma::mat vectors;
    arma::eig_sym(values, vectors, state.covariance());
    const arma::mat F =
        vectors.tail_cols(2) * arma::diagmat(arma::sqrt(values.tail(2))) + 0.05 * reference::draw(g, 4, 2);
    ComponentState other(component(ComponentKind::low_rank, F * F.t(), 2), 0, one.setting);
    EXPECT_LE(one.objective(other), best + 1e-10);
  }
}

TEST(ComponentState, AFactorModelKeepsItsForm) {
  OneNoise one(9, PenaltyKind::inverse_wishart, 8.0);
  ComponentState state(component(ComponentKind::factor, arma::eye(4, 4) + arma::ones(4, 4), 1), 0, one.setting);
  for (int i = 0; i < 5; ++i) state.renew(one.moments());
  const DeconvolutionComponent out = state.result();
  EXPECT_EQ(out.loadings.n_cols, 1u);
  EXPECT_GT(out.uniquenesses.min(), 0.0);
  const arma::mat U = out.loadings * out.loadings.t() + arma::diagmat(out.uniquenesses);
  EXPECT_LT(arma::abs(U - state.covariance()).max(), 1e-12);
}

TEST(ComponentState, ASingularStartIsRaisedUnderAPenalty) {
  OneNoise one(10, PenaltyKind::inverse_wishart, 8.0);
  ComponentState state(component(ComponentKind::full, arma::ones(4, 4)), 0, one.setting);
  EXPECT_GT(arma::eig_sym(state.covariance()).min(), 0.0);
  EXPECT_TRUE(std::isfinite(state.penalty()));
}
