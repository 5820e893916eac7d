// The likelihood and posterior passes against dense arithmetic.
#include <covmash/mash/likelihood.h>
#include <covmash/mash/posterior.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

struct Summaries {
  arma::mat mean, sd, lfdr, negative, lfsr;
  arma::vec loglik, null_loglik, alternative;
};

MixturePrior mixture(const reference::Problem& p, bool point_mass = true) {
  MixturePrior prior;
  for (const auto& U : p.covariances) prior.covariances.push_back(recognise(U));
  prior.scales = {0.04, 1.0, 6.0};
  prior.point_mass = point_mass;
  return prior;
}

std::vector<double> uneven_weights(std::size_t n) {
  std::vector<double> pi(n);
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += pi[i] = i % 4 == 3 ? 0.0 : 1.0 + static_cast<double>(i % 5);
  for (double& v : pi) v /= sum;
  return pi;
}

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

Summaries compute(const reference::Problem& p, const MixturePrior& prior, const std::vector<double>& pi,
                  std::size_t threads = 1, std::size_t block_rows = 1024) {
  const arma::uword J = p.bhat.n_rows, R = p.bhat.n_cols;
  Summaries s;
  for (arma::mat* m : {&s.mean, &s.sd, &s.lfdr, &s.negative, &s.lfsr}) m->set_size(J, R);
  for (arma::vec* v : {&s.loglik, &s.null_loglik, &s.alternative}) v->set_size(J);
  PosteriorOutput out;
  out.mean = s.mean.memptr();
  out.sd = s.sd.memptr();
  out.lfdr = s.lfdr.memptr();
  out.negative = s.negative.memptr();
  out.lfsr = s.lfsr.memptr();
  out.loglik = s.loglik.memptr();
  out.null_loglik = s.null_loglik.memptr();
  out.alternative_loglik = s.alternative.memptr();
  PosteriorOptions options;
  options.block_rows = block_rows;
  ThreadExecutor executor(threads);
  const NoiseModel noise(effects(p), p.C);
  PosteriorPass pass(noise, prior, pi, options, executor);
  pass.run(out, executor);
  return s;
}

void expect_dense(const reference::Problem& p, const MixturePrior& prior, const std::vector<double>& pi) {
  const Summaries s = compute(p, prior, pi);
  const arma::uword J = p.bhat.n_rows, R = p.bhat.n_cols;
  const std::size_t P = prior.n_components();
  double worst = 0.0, worst_loglik = 0.0;
  for (arma::uword j = 0; j < J; ++j) {
    std::vector<arma::vec> mean(P), variance(P);
    arma::vec loglik(P), weight(P);
    const auto one = [&](std::size_t index, const arma::mat& U) {
      loglik[index] = reference::loglik(p, j, U, &mean[index], &variance[index]);
      for (arma::uword r = 0; r < R; ++r)
        if (U(r, r) == 0.0) variance[index][r] = mean[index][r] = 0.0;
    };
    if (prior.point_mass) one(0, arma::zeros(R, R));
    for (std::size_t k = 0; k < prior.covariances.size(); ++k)
      for (std::size_t l = 0; l < prior.scales.size(); ++l)
        one(prior.component(k, l), prior.scales[l] * p.covariances[k]);
    const double top = loglik.max();
    for (std::size_t i = 0; i < P; ++i) weight[i] = pi[i] * std::exp(loglik[i] - top);
    const double total = arma::accu(weight);
    weight /= total;
    worst_loglik = std::max(worst_loglik, reference::relative_error(s.loglik[j], top + std::log(total)));
    for (arma::uword r = 0; r < R; ++r) {
      double m = 0.0, v = 0.0, negative = 0.0, positive = 0.0, zero = 0.0;
      for (std::size_t i = 0; i < P; ++i) m += weight[i] * mean[i][r];
      for (std::size_t i = 0; i < P; ++i) {
        v += weight[i] * (variance[i][r] + std::pow(mean[i][r] - m, 2));
        if (variance[i][r] == 0.0) {
          zero += weight[i];
        } else {
          negative += weight[i] * normal_cdf(-mean[i][r] / std::sqrt(variance[i][r]));
          positive += weight[i] * normal_cdf(mean[i][r] / std::sqrt(variance[i][r]));
        }
      }
      worst = std::max({worst, reference::relative_error(s.mean(j, r), m),
                        reference::relative_error(s.sd(j, r), std::sqrt(v)), std::fabs(s.lfdr(j, r) - zero),
                        std::fabs(s.negative(j, r) - negative),
                        std::fabs(s.lfsr(j, r) - std::min(negative, positive) - zero)});
    }
  }
  EXPECT_LT(worst_loglik, 1e-11);
  EXPECT_LT(worst, 1e-10);
}

void expect_same_bits(const Summaries& a, const Summaries& b) {
  EXPECT_TRUE(arma::approx_equal(a.mean, b.mean, "absdiff", 0.0));
  EXPECT_TRUE(arma::approx_equal(a.sd, b.sd, "absdiff", 0.0));
  EXPECT_TRUE(arma::approx_equal(a.lfsr, b.lfsr, "absdiff", 0.0));
  EXPECT_TRUE(arma::approx_equal(a.loglik, b.loglik, "absdiff", 0.0));
}

const auto every_noise = {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect};

}  // namespace

TEST(Posterior, MatchesDenseArithmetic) {
  for (auto kind : every_noise)
    for (bool missing : {false, true})
      for (arma::uword R : {1, 2, 5}) {
        const auto p = reference::problem(20 + R, 90, R, kind, missing);
        const MixturePrior prior = mixture(p);
        expect_dense(p, prior, uneven_weights(prior.n_components()));
      }
}

// Independent errors and covariances with a diagonal part: directions in common, noise that absorbs the diagonal.
TEST(Posterior, DiagonalPartsMatchDenseArithmetic) {
  for (auto kind : every_noise)
    for (bool missing : {false, true})
      for (arma::uword R : {3, 14}) {
        auto p = reference::problem(60 + R, 70, R, kind, missing);
        p.C.eye();
        std::mt19937 g(R);
        arma::vec a = arma::abs(reference::draw(g, R, 1)) + 0.1;
        a[1] = 0.0;
        const arma::vec f = reference::draw(g, R, 1);
        Covariance spiked;
        spiked.structure = Structure::low_rank_plus_diagonal;
        spiked.factor = f;
        spiked.diagonal = a;
        spiked.zero_variance.assign(R, 0);
        arma::mat equicorrelated(R, R, arma::fill::value(0.3));
        equicorrelated.diag().ones();
        arma::mat singleton(R, R, arma::fill::zeros);
        singleton(0, 0) = 2.0;
        p.covariances = {arma::diagmat(a), equicorrelated, 0.5 * arma::eye(R, R), singleton,
                         f * f.t() + arma::diagmat(a)};
        MixturePrior prior = mixture(p);
        prior.covariances.back() = spiked;
        expect_dense(p, prior, uneven_weights(prior.n_components()));
      }
}

TEST(Posterior, MatchesDenseArithmeticWithoutPointMass) {
  const auto p = reference::problem(30, 70, 3, reference::Noise::by_effect, false);
  const MixturePrior prior = mixture(p, false);
  expect_dense(p, prior, uneven_weights(prior.n_components()));
}

TEST(Posterior, AgreesBetweenInstructionSets) {
  const std::string before = simd::kernels().name;
  for (auto kind : every_noise) {
    const auto p = reference::problem(31, 100, 4, kind, true);
    const MixturePrior prior = mixture(p);
    const auto pi = uneven_weights(prior.n_components());
    simd::select_table(simd::available_tables()[0]->name);
    const Summaries base = compute(p, prior, pi);
    for (const auto* table : simd::available_tables()) {
      simd::select_table(table->name);
      const Summaries s = compute(p, prior, pi);
      EXPECT_LT(arma::abs(s.mean - base.mean).max(), 1e-12) << table->name;
      EXPECT_LT(arma::abs(s.lfsr - base.lfsr).max(), 1e-12) << table->name;
      EXPECT_LT(arma::abs(s.loglik - base.loglik).max(), 1e-12) << table->name;
    }
  }
  simd::select_table(before);
}

TEST(Posterior, SameBitsForAnyThreadsAndBlocks) {
  for (auto kind : every_noise) {
    const auto p = reference::problem(32, 700, 3, kind, true);
    const MixturePrior prior = mixture(p);
    const auto pi = uneven_weights(prior.n_components());
    const Summaries one = compute(p, prior, pi);
    for (std::size_t threads : {2, 3, 7})
      for (std::size_t block_rows : {1, 64, 100, 5000})
        expect_same_bits(one, compute(p, prior, pi, threads, block_rows));
  }
}

TEST(Posterior, AnEffectAloneHasTheSameBits) {
  const auto p = reference::problem(33, 200, 3, reference::Noise::common, false);
  const MixturePrior prior = mixture(p);
  const auto pi = uneven_weights(prior.n_components());
  const Summaries all = compute(p, prior, pi);
  for (arma::uword j : {0, 63, 64, 199}) {
    reference::Problem alone = p;
    alone.bhat = p.bhat.row(j);
    alone.shat = p.shat.row(j);
    const Summaries s = compute(alone, prior, pi);
    EXPECT_TRUE(arma::approx_equal(s.mean, all.mean.row(j), "absdiff", 0.0));
    EXPECT_EQ(s.loglik[0], all.loglik[j]);
  }
}

TEST(Posterior, StrongSignalsAreSymmetricAndNeverZero) {
  auto p = reference::problem(34, 2, 2, reference::Noise::common, false);
  p.bhat = {{9.0, 9.0}, {-9.0, -9.0}};
  const MixturePrior prior = mixture(p);
  std::vector<double> pi(prior.n_components(), 0.0);
  pi[prior.component(1, 2)] = 1.0;
  const Summaries s = compute(p, prior, pi);
  EXPECT_GT(s.lfsr(0, 0), 0.0);
  EXPECT_LT(s.lfsr(0, 0), 1e-20);
  EXPECT_EQ(s.lfsr(0, 0), s.lfsr(1, 0));
  EXPECT_EQ(s.mean(0, 0), -s.mean(1, 0));
}

TEST(Posterior, WithAllWeightOnThePointMassAlternativesCountEqually) {
  const auto p = reference::problem(35, 40, 2, reference::Noise::common, false);
  const MixturePrior prior = mixture(p);
  std::vector<double> pi(prior.n_components(), 0.0);
  pi[0] = 1.0;
  const Summaries s = compute(p, prior, pi);
  arma::mat loglik(40, prior.n_components());
  SerialExecutor executor;
  loglik_matrix(NoiseModel(effects(p), p.C), prior, 1024, executor, loglik.memptr());
  for (arma::uword j = 0; j < 40; ++j) {
    EXPECT_EQ(s.loglik[j], s.null_loglik[j]);
    EXPECT_EQ(s.lfsr(j, 0), 1.0);
    const arma::rowvec alternatives = loglik.row(j).tail(prior.n_components() - 1);
    EXPECT_NEAR(s.alternative[j], std::log(arma::mean(arma::exp(alternatives))), 1e-10);
  }
}

TEST(Posterior, NamesAnEffectBeyondAllNumbers) {
  auto p = reference::problem(38, 5, 2, reference::Noise::common, false);
  p.bhat(3, 1) = 1e200;
  const MixturePrior prior = mixture(p);
  try {
    compute(p, prior, uneven_weights(prior.n_components()));
    FAIL();
  } catch (const numeric_error& e) {
    EXPECT_NE(std::string(e.what()).find("effect 4"), std::string::npos);
  }
}

TEST(Posterior, RefusesWrongWeights) {
  const auto p = reference::problem(36, 5, 2, reference::Noise::common, false);
  const MixturePrior prior = mixture(p);
  EXPECT_THROW(compute(p, prior, {1.0}), input_error);
  EXPECT_THROW(compute(p, prior, std::vector<double>(prior.n_components(), 0.0)), input_error);
}

TEST(Posterior, AScaleOfZeroIsAPointMass) {
  for (auto kind : every_noise) {
    const auto p = reference::problem(37, 50, 2, kind, true);
    MixturePrior prior = mixture(p);
    prior.scales = {0.0, 1.0};
    expect_dense(p, prior, uneven_weights(prior.n_components()));
  }
}
