// The same data in every form: log-likelihoods and moments agree with dense arithmetic, and the visits come as promised.
#include <covmash/sweep/sweep.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

// 130 effects in groups of 1 to 40, with missing conditions and, if asked, different factors within a group.
reference::Problem grouped_problem(unsigned seed, arma::uword R, bool correlated, bool uneven) {
  auto p = reference::problem(seed, 130, R, reference::Noise::by_effect, false);
  if (!correlated) p.C.eye();
  arma::uword first = 0, size = 1;
  for (arma::uword j = 0; j < 130; ++j) {
    if (j == first + size) {
      first = j;
      size = size % 35 + 4;
    }
    p.shat.row(j) = (uneven ? static_cast<double>(1 + j % 4) : 1.0) * p.shat.row(first);
    if (first % 3 == 1) p.bhat(j, first % R) = std::nan("");
    if (first % 3 == 2 && R > 2) p.bhat(j, 0) = p.bhat(j, R - 1) = std::nan("");
  }
  return p;
}

MixturePrior mixture(const reference::Problem& p) {
  MixturePrior prior;
  for (const auto& U : p.covariances) prior.covariances.push_back(recognise(U));
  prior.scales = {0.0, 0.04, 1.0, 30.0};
  return prior;
}

// The moments of every component alone, and whether they were visited when they should.
struct Alone {
  const Sweep& sweep;
  const reference::Problem& p;
  Workspace& ws;
  bool known_before = false;
  std::size_t visits = 0, known_lanes = 0;

  bool wants(std::size_t) const { return true; }
  void known(Form form, std::size_t from, std::size_t to) {
    known_lanes += to - from;
    if (form == Form::spectral) known_before = true;
  }
  void visit(const Sweep::Visit& v) {
    ++visits;
    EXPECT_EQ(v.all_known(), known_before);
    const std::size_t R = p.bhat.n_cols;
    for (std::size_t l = 0; l < v.n; ++l) {
      std::vector<double> total(simd::lanes, 0.0), moments(5 * R * simd::lanes, 0.0);
      std::vector<double> rho(v.n * simd::lanes, 0.0);
      std::fill_n(rho.data() + l * simd::lanes, simd::lanes, 1.0);
      MomentSum sum;
      sum.total = total.data();
      const std::size_t step = R * simd::lanes;
      sum.at = {moments.data(), moments.data() + step, moments.data() + 2 * step, moments.data() + 3 * step,
                moments.data() + 4 * step};
      std::fill_n(sum.mean.require_size(step), step, 0.0);
      std::fill_n(sum.variance.require_size(step), step, 0.0);
      std::vector<unsigned char> kept(v.chosen().scales.size(), 0);
      kept[v.first + l] = 1;
      v.moments(rho.data(), kept.data() + v.first, sum);
      const auto& chosen = v.chosen();
      const arma::mat U = chosen.scales[v.first + l] * sweep.prior().covariances[chosen.index].matrix();
      std::size_t rows[block_effects];
      sweep.plan().rows(ws.block.block, rows);
      for_each_lane(ws.block.block.lanes, [&](std::size_t lane) {
        if (lane < v.from || lane >= v.to) return;
        arma::vec mean, variance;
        const double expected = reference::loglik(p, rows[lane], U, &mean, &variance);
        const double loglik = ws.loglik[(chosen.slot + v.first + l) * simd::lanes + lane];
        EXPECT_NEAR(loglik, expected, 1e-11 * std::max(1.0, std::fabs(expected)));
        for (std::size_t r = 0; r < R; ++r) {
          const double sd = std::sqrt(std::max(variance[r], 1e-300));
          EXPECT_NEAR(sum.at.mean[r * simd::lanes + lane], mean[r], 1e-10 * std::max(1.0, std::fabs(mean[r])));
          EXPECT_NEAR(std::sqrt(sum.at.centred[r * simd::lanes + lane]), sd, 1e-10 * std::max(1.0, sd));
        }
      });
    }
  }
};

}  // namespace

TEST(Sweep, EveryFormMatchesDenseArithmetic) {
  for (arma::uword R : {2, 5})
    for (bool correlated : {false, true})
      for (bool uneven : {false, true})
        for (const GroupSizes sizes :
             {GroupSizes{2, GroupSizes::never}, GroupSizes{GroupSizes::never, 2}, GroupSizes{}, GroupSizes{4, 30}}) {
          const auto p = grouped_problem(71 + R, R, correlated, uneven);
          const MixturePrior prior = mixture(p);
          const NoiseModel noise(effects(p), p.C);
          const Plan plan(noise, prior, sizes);
          SerialExecutor executor;
          const Sweep sweep(noise, prior, plan, Selection(prior), executor);
          Workspace ws;
          sweep.prepare(ws);
          for (const Block& b : plan.blocks()) {
            Alone question{sweep, p, ws};
            sweep.run(b, ws, question);
            EXPECT_EQ(question.known_lanes, simd::lanes);
            EXPECT_GE(question.visits, sweep.selection().covariances.size());
          }
        }
}

TEST(Sweep, FormsAgreeWithEachOther) {
  const auto p = grouped_problem(81, 12, true, false);
  const MixturePrior prior = mixture(p);
  const NoiseModel noise(effects(p), p.C);
  SerialExecutor executor;
  std::vector<arma::mat> all;
  for (const GroupSizes sizes : {GroupSizes{2, GroupSizes::never}, GroupSizes{GroupSizes::never, 2}, GroupSizes{}}) {
    const Plan plan(noise, prior, sizes);
    const Sweep sweep(noise, prior, plan, Selection(prior), executor);
    Workspace ws;
    sweep.prepare(ws);
    arma::mat loglik(130, sweep.selection().size());
    struct Nothing {
      bool wants(std::size_t) const { return false; }
      void visit(const Sweep::Visit&) {}
      void known(Form, std::size_t, std::size_t) {}
    };
    for (const Block& b : plan.blocks()) {
      sweep.run(b, ws, Nothing());
      std::size_t rows[block_effects];
      plan.rows(b, rows);
      for_each_lane(b.lanes, [&](std::size_t lane) {
        for (arma::uword s = 0; s < loglik.n_cols; ++s) loglik(rows[lane], s) = ws.loglik[s * simd::lanes + lane];
      });
    }
    all.push_back(loglik);
  }
  EXPECT_LT(arma::abs((all[0] - all[1]) / all[1]).max(), 1e-13);
  EXPECT_LT(arma::abs((all[0] - all[2]) / all[2]).max(), 1e-13);
}

TEST(Sweep, RefusesCovariancesOfTheWrongSize) {
  const auto p = reference::problem(82, 5, 3, reference::Noise::common, false);
  MixturePrior prior;
  prior.covariances = {recognise(arma::eye(2, 2))};
  prior.scales = {1.0};
  const NoiseModel noise(effects(p), p.C);
  SerialExecutor executor;
  const Plan plan(noise, prior, GroupSizes{});
  EXPECT_THROW(Sweep(noise, prior, plan, Selection(prior), executor), input_error);
}
