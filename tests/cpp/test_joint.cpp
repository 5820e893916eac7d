#include <covmash/mash/joint.h>
#include <covmash/mash/posterior.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "reference.h"

using namespace covmash;

namespace {

struct JointCase {
  reference::Problem p;
  MixturePrior prior;
  std::vector<double> pi;
};

JointCase joint_case(unsigned seed, arma::uword R, reference::Noise noise, bool missing, arma::uword J = 30) {
  JointCase c{reference::problem(seed, J, R, noise, missing), {}, {}};
  for (const auto& U : c.p.covariances) c.prior.covariances.push_back(recognise(U));
  c.prior.scales = {0.25, 2.0};
  double total = 0.0;
  for (std::size_t i = 0; i < c.prior.n_components(); ++i) total += static_cast<double>(i % 4 + 1);
  for (std::size_t i = 0; i < c.prior.n_components(); ++i) c.pi.push_back(static_cast<double>(i % 4 + 1) / total);
  return c;
}

Effects effects_of(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

struct JointResult {
  arma::mat mean, sd, lfdr, negative, lfsr, summary_mean, summary_sd, summary_lfsr;
  arma::cube covariance, draws;  // draws: J x Q x n
};

JointResult ask(const JointCase& c, JointOptions options, std::size_t threads = 1) {
  const arma::uword J = c.p.bhat.n_rows, R = c.p.bhat.n_cols, Q = options.map.is_empty() ? R : options.map.n_rows;
  ThreadExecutor executor(threads);
  const NoiseModel noise(effects_of(c.p), c.p.C);
  PosteriorPass pass(noise, c.prior, c.pi, PosteriorOptions(), executor);
  JointResult r;
  for (auto* m : {&r.mean, &r.sd, &r.lfdr, &r.negative, &r.lfsr}) m->set_size(J, Q);
  r.covariance.set_size(Q, Q, J);
  r.draws.set_size(J, Q, options.draws);
  JointOutput out;
  out.mean = r.mean.memptr();
  out.sd = r.sd.memptr();
  out.lfdr = r.lfdr.memptr();
  out.negative = r.negative.memptr();
  out.lfsr = r.lfsr.memptr();
  out.covariance = r.covariance.memptr();
  if (options.draws > 0) out.draws = r.draws.memptr();
  const JointPosterior joint(noise, c.prior, pass.selection(), options, out, executor);
  for (auto* m : {&r.summary_mean, &r.summary_sd, &r.summary_lfsr}) m->set_size(J, R);
  arma::mat negative(J, R), null(J, 1), alternative(J, 1), loglik(J, 1);
  PosteriorOutput summaries;
  summaries.mean = r.summary_mean.memptr();
  summaries.sd = r.summary_sd.memptr();
  summaries.negative = negative.memptr();
  summaries.lfsr = r.summary_lfsr.memptr();
  summaries.loglik = loglik.memptr();
  summaries.null_loglik = null.memptr();
  summaries.alternative_loglik = alternative.memptr();
  pass.run(summaries, executor, &joint);
  return r;
}

const reference::Noise all_noise[] = {reference::Noise::common, reference::Noise::proportional,
                                      reference::Noise::by_effect};

}  // namespace

TEST(Joint, WithoutCombinationsItIsThePosteriorByCondition) {
  for (auto noise : all_noise)
    for (bool missing : {false, true})
      for (arma::uword R : {1, 2, 5}) {
        const JointResult r = ask(joint_case(3 * R, R, noise, missing), {});
        EXPECT_LT(arma::abs(r.mean - r.summary_mean).max(), 1e-11);
        EXPECT_LT(arma::abs(r.sd - r.summary_sd).max(), 1e-11);
        EXPECT_LT(arma::abs(r.lfsr - r.summary_lfsr).max(), 1e-11);
        for (arma::uword j = 0; j < r.mean.n_rows; ++j)
          EXPECT_LT(arma::abs(arma::sqrt(r.covariance.slice(j).diag()) - r.sd.row(j).t()).max(), 1e-11);
      }
}

TEST(Joint, CombinationsAreThoseOfMeansAndCovariances) {
  for (auto noise : all_noise) {
    const JointCase c = joint_case(5, 4, noise, true);
    JointOptions options;
    options.map = {{1.0, -1.0, 0.0, 0.0}, {0.25, 0.25, 0.25, 0.25}, {0.0, 0.0, 0.0, 2.0}};
    const JointResult whole = ask(c, {}), r = ask(c, options);
    EXPECT_LT(arma::abs(r.mean - whole.mean * options.map.t()).max(), 1e-11);
    for (arma::uword j = 0; j < r.mean.n_rows; ++j) {
      const arma::mat expected = options.map * whole.covariance.slice(j) * options.map.t();
      EXPECT_LT(arma::abs(r.covariance.slice(j) - expected).max(), 1e-10);
    }
    // Equal effects have no difference: the first and the second condition of the matrix of ones.
    EXPECT_GT(r.lfdr.col(0).min(), whole.lfdr.col(0).min());
  }
}

TEST(Joint, EffectsAreScaledBeforeTheyAreCombined) {
  const JointCase c = joint_case(6, 3, reference::Noise::by_effect, true);
  std::mt19937 g(1);
  const arma::mat scale = arma::abs(reference::draw(g, 30, 3)) + 0.5;
  JointOptions options;
  options.scale = scale.memptr();
  const JointResult plain = ask(c, {}), scaled = ask(c, options);
  EXPECT_LT(arma::abs(scaled.mean - plain.mean % scale).max(), 1e-11);
  EXPECT_LT(arma::abs(scaled.sd - plain.sd % scale).max(), 1e-11);
  EXPECT_LT(arma::abs(scaled.lfsr - plain.lfsr).max(), 1e-11);
}

TEST(Joint, DrawsHaveTheMomentsAndAreTheSameForAnyThreads) {
  const JointCase c = joint_case(7, 3, reference::Noise::proportional, true);
  JointOptions options;
  options.draws = 3000;
  options.seed = 12;
  const JointResult one = ask(c, options), three = ask(c, options, 3);
  EXPECT_TRUE(arma::approx_equal(one.draws, three.draws, "absdiff", 0.0));
  EXPECT_TRUE(arma::approx_equal(one.covariance, three.covariance, "absdiff", 0.0));
  arma::mat mean(30, 3, arma::fill::zeros), square(30, 3, arma::fill::zeros);
  for (arma::uword d = 0; d < 3000; ++d) {
    mean += one.draws.slice(d) / 3000.0;
    square += arma::square(one.draws.slice(d)) / 3000.0;
  }
  const arma::mat sd = arma::sqrt(arma::clamp(square - arma::square(mean), 0.0, arma::datum::inf));
  EXPECT_LT((arma::abs(mean - one.mean) / (one.sd + 1e-9)).max(), 5.0 / std::sqrt(3000.0));
  EXPECT_LT((arma::abs(sd - one.sd) / (one.sd + 1e-9)).max(), 0.2);
  options.seed = 13;
  EXPECT_GT(arma::abs(ask(c, options).draws - one.draws).max(), 0.1);
}

TEST(Joint, ScalesThatDifferByOrdersOfMagnitudeKeepTheirDigits) {
  JointCase c = joint_case(8, 4, reference::Noise::common, false, 6);
  c.p.C.eye();
  c.p.shat.each_row() = arma::rowvec{1e-3, 1e-1, 10.0, 1e3};
  const JointResult r = ask(c, {});
  EXPECT_LT((arma::abs(r.sd - r.summary_sd) / r.summary_sd).max(), 1e-9);
  EXPECT_LT((arma::abs(r.mean - r.summary_mean) / r.summary_sd).max(), 1e-9);
}

TEST(Joint, RefusesAMapOfAnotherSize) {
  const JointCase c = joint_case(9, 3, reference::Noise::common, false);
  JointOptions options;
  options.map = arma::ones(1, 2);
  EXPECT_THROW(ask(c, options), input_error);
}
