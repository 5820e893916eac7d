// Densities of a block of likelihoods, their logarithms and reciprocals, by plain sums.
#include <covmash/mash/block_mixture.h>
#include <gtest/gtest.h>

#include <cmath>

#include "reference.h"

using namespace covmash;

namespace {

// 70 effects: a full block and one of six.
struct Blocks {
  reference::Problem p = reference::problem(6, 70, 3, reference::Noise::common, false);
  MixturePrior prior;
  SerialExecutor executor;
  std::unique_ptr<NoiseModel> noise;
  std::unique_ptr<ComputedLikelihoods> source;
  std::vector<double> x;

  explicit Blocks(double base, const std::vector<double>& weights = {}) {
    for (const arma::mat& U : p.covariances) prior.covariances.push_back(recognise(U));
    prior.scales = {0.25, 1.0, 4.0};
    prior.point_mass = true;
    noise = std::make_unique<NoiseModel>(Effects{p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols}, p.C);
    source = std::make_unique<ComputedLikelihoods>(*noise, prior, executor);
    source->set_base(base);
    if (!weights.empty()) source->weigh(weights);
    source->begin(1);
    for (std::size_t c = 0; c < source->n_columns(); ++c) x.push_back(0.1 + 0.05 * static_cast<double>(c % 4));
  }

  double total() const { return std::accumulate(x.begin(), x.end(), 0.0); }
  std::vector<const float*> columns(const float* L) const {
    std::vector<const float*> at;
    for (std::size_t c = 0; c < x.size(); ++c) at.push_back(L + c * simd::lanes);
    return at;
  }
};

}  // namespace

TEST(BlockMixture, IsThePlainSum) {
  for (const double base : {0.0, 0.5}) {
    Blocks s(base);
    const BlockMixture mixture(*s.source);
    ASSERT_GE(s.source->n_blocks(), 2u);
    for (std::size_t b = 0; b < s.source->n_blocks(); ++b) {
      const float* L = s.source->block(b, 0);
      double u[simd::lanes], ratio[simd::lanes], v[simd::lanes], sum = 0.0, moved = 0.0, inverse = 0.0;
      mixture.density(s.columns(L), s.x.data(), s.total(), u);
      const double from_base = mixture.ratios(b, u, ratio);
      for (std::size_t lane = 0; lane < simd::lanes; ++lane) {
        v[lane] = 0.1 * u[lane];
        if (!(s.source->lanes(b) >> lane & 1)) {
          EXPECT_EQ(ratio[lane], 0.0);
          continue;
        }
        double plain = base * s.total();
        for (std::size_t c = 0; c < s.x.size(); ++c) plain += s.x[c] * L[c * simd::lanes + lane];
        EXPECT_NEAR(u[lane], plain, 1e-12 * plain);
        EXPECT_NEAR(ratio[lane], 1.0 / plain, 1e-12 / plain);
        sum += std::log(plain);
        moved += std::log(plain * 1.05);
        inverse += 1.0 / plain;
      }
      EXPECT_NEAR(mixture.log_density(b, u), sum, 1e-10 * (1.0 + std::fabs(sum)));
      EXPECT_NEAR(mixture.log_density(b, u, v, 0.5), moved, 1e-10 * (1.0 + std::fabs(moved)));
      EXPECT_NEAR(from_base, base * inverse, 1e-10 * (1.0 + inverse));
    }
  }
}

TEST(BlockMixture, CountsEffectsAsOftenAsTheirSourceSays) {
  std::vector<double> weights(70);
  for (std::size_t j = 0; j < weights.size(); ++j) weights[j] = static_cast<double>(j % 3);
  Blocks plain(0.0), weighed(0.0, weights);
  const BlockMixture one(*plain.source), other(*weighed.source);
  double sum_of_one = 0.0, sum_of_other = 0.0, n = 0.0;
  for (std::size_t b = 0; b < weighed.source->n_blocks(); ++b) {
    const double* times = weighed.source->effect_weights(b);
    const float* L = weighed.source->block(b, 0);
    double u[simd::lanes], ratio[simd::lanes], root[simd::lanes];
    other.density(weighed.columns(L), weighed.x.data(), weighed.total(), u);
    other.ratios(b, u, ratio);
    other.ratios(b, u, root, true);
    sum_of_other += other.log_density(b, u);
    for_each_lane(plain.source->lanes(b), [&](std::size_t lane) {
      sum_of_one += times[lane] * std::log(u[lane]);
      n += ratio[lane] * u[lane];
      EXPECT_NEAR(ratio[lane] * u[lane], times[lane], 1e-12);
      EXPECT_NEAR(root[lane] * u[lane], std::sqrt(times[lane]), 1e-12);
    });
  }
  EXPECT_NEAR(sum_of_other, sum_of_one, 1e-9);
  EXPECT_NEAR(n, 69.0, 1e-9);
}

TEST(BlockMixture, ADensityOfZeroHasALogarithm) {
  Blocks s(0.0);
  const BlockMixture mixture(*s.source);
  double u[simd::lanes] = {}, ratio[simd::lanes];
  EXPECT_TRUE(std::isfinite(mixture.log_density(0, u)));
  mixture.ratios(0, u, ratio);
  for (const double r : ratio) EXPECT_TRUE(std::isfinite(r));
}

TEST(BlockMixture, ABaseIsOneMoreColumnThatIsAddedToAll) {
  // Columns L + base, whose Gram matrix follows from that of L and of the ones.
  const arma::mat L = {{0.2, 0.5}, {0.7, 0.1}, {0.3, 0.9}};
  const double base = 0.4;
  const arma::mat extended = arma::join_rows(L, arma::ones(3, 1));
  arma::mat hessian = extended.t() * extended;
  std::vector<double> gradient = arma::conv_to<std::vector<double>>::from(arma::sum(extended, 0));
  BlockMixture::add_base(base, gradient, hessian);
  const arma::mat whole = L + base;
  EXPECT_TRUE(arma::approx_equal(hessian, arma::mat(whole.t() * whole), "absdiff", 1e-14));
  ASSERT_EQ(gradient.size(), 2u);
  EXPECT_NEAR(gradient[1], arma::accu(whole.col(1)), 1e-14);
}
