#include <covmash/mash/density.h>
#include <covmash/mash/weights.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

arma::mat likelihoods(unsigned seed, arma::uword J, arma::uword P, double spread = 4.0) {
  std::mt19937 g(seed);
  const arma::vec z = spread * reference::draw(g, J, 1);
  arma::mat L(J, P);
  for (arma::uword p = 0; p < P; ++p) {
    const double v = 1.0 + std::pow(2.0, static_cast<double>(p % 12) - 4.0);
    const double centre = 0.5 * static_cast<double>(p / 12);
    L.col(p) = arma::exp(-0.5 * arma::square(z - centre) / v) / std::sqrt(v);
  }
  L.each_col() /= arma::max(L, 1);
  return arma::conv_to<arma::mat>::from(arma::conv_to<arma::fmat>::from(L));
}

// Stored effects with padding in any lane: lane i of a block holds an effect if bit i of the pattern is set.
struct Stored {
  explicit Stored(const arma::mat& L, std::uint64_t pattern = ~std::uint64_t(0), bool flat = false) {
    std::vector<std::uint64_t> lanes;
    for (arma::uword j = 0; j < L.n_rows;) {
      std::uint64_t real = 0;
      for (std::size_t i = 0; i < simd::lanes && j < L.n_rows; ++i)
        if (pattern >> i & 1) {
          real |= std::uint64_t(1) << i;
          ++j;
        }
      lanes.push_back(real);
    }
    source = std::make_unique<StoredLikelihoods>(lanes, L.n_cols);
    if (flat) source->set_base(1.0);
    arma::uword j = 0;
    for (std::size_t b = 0; b < lanes.size(); ++b)
      for (std::size_t i = 0; i < simd::lanes; ++i) {
        const bool real = lanes[b] >> i & 1;
        for (arma::uword p = 0; p < L.n_cols; ++p)
          source->values(b)[p * simd::lanes + i] = real ? static_cast<float>(L(j, p) - source->base()) : 0.25f;
        if (real) ++j;
      }
  }
  std::unique_ptr<StoredLikelihoods> source;
};

// Another Density, in plain double precision: what the solver needs is in the interface.
class DenseDensity : public Density {
 public:
  explicit DenseDensity(const arma::mat& L) : L_(L) {}
  std::size_t n_columns() const override { return L_.n_cols; }
  double n_effects() const override { return static_cast<double>(L_.n_rows); }
  int n_levels() const override { return 1; }
  double enter(int) override { return n_effects(); }
  void use(const Columns& support) override { support_ = arma::conv_to<arma::uvec>::from(support); }
  bool can_stand_alone() const override { return false; }
  void stand_alone() override {}
  std::vector<double> gradient_at_equal_weights() override { return of(L_.t() * (1.0 / arma::mean(L_, 1))); }
  Pass all_columns(const std::vector<double>& x, bool) override {
    Pass pass;
    pass.log_density = mix(x);
    pass.gradient = of(L_.t() * (1.0 / u_));
    return pass;
  }
  double mix(const std::vector<double>& x) override {
    u_ = L_.cols(support_) * arma::vec(x);
    return arma::accu(arma::log(u_));
  }
  std::vector<double> gradient() override { return of(L_.cols(support_).t() * (1.0 / u_)); }
  Model model() override {
    const arma::mat scaled = L_.cols(support_).eval().each_col() / u_;
    return {gradient(), scaled.t() * scaled};
  }
  double toward(const std::vector<double>& d) override {
    v_ = L_.cols(support_) * arma::vec(d);
    return along(1.0);
  }
  double along(double t) override { return arma::accu(arma::log(arma::clamp(u_ + t * v_, 1e-60, 1e60))); }
  void move(double t, double total) override { u_ = (u_ + t * v_) / total; }

 private:
  static std::vector<double> of(const arma::vec& x) { return arma::conv_to<std::vector<double>>::from(x); }
  arma::mat L_;
  arma::uvec support_;
  arma::vec u_, v_;
};

void expect_close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance * (1.0 + std::fabs(b[i])));
}

void expect_same_answers(Density& a, Density& b, double tolerance) {
  EXPECT_EQ(a.enter(0), b.enter(0));
  expect_close(a.gradient_at_equal_weights(), b.gradient_at_equal_weights(), tolerance);
  const std::vector<Density::Columns> supports{{0, 3, 5}, {5, 1, 0, 7, 2, 9}, {9, 1}};
  for (const auto& support : supports) {
    std::vector<double> x, d;
    for (std::size_t s = 0; s < support.size(); ++s) {
      x.push_back(1.0 / static_cast<double>(support.size()));
      d.push_back(0.02 * static_cast<double>(s % 3) - 0.01);
    }
    a.use(support);
    b.use(support);
    EXPECT_NEAR(a.mix(x), b.mix(x), tolerance * a.n_effects());
    expect_close(a.gradient(), b.gradient(), tolerance);
    const Density::Model m = a.model(), n = b.model();
    expect_close(m.gradient, n.gradient, tolerance);
    EXPECT_LT(arma::abs(m.hessian - n.hessian).max(), 1e-6 * arma::abs(n.hessian).max());
    EXPECT_NEAR(a.toward(d), b.toward(d), tolerance * a.n_effects());
    EXPECT_NEAR(a.along(0.5), b.along(0.5), tolerance * a.n_effects());
    a.move(0.5, 0.99);
    b.move(0.5, 0.99);
    expect_close(a.gradient(), b.gradient(), tolerance);
    const Density::Pass p = a.all_columns(x, true), q = b.all_columns(x, false);
    EXPECT_NEAR(p.log_density, q.log_density, tolerance * a.n_effects());
    expect_close(p.gradient, q.gradient, tolerance);
    EXPECT_TRUE(p.covering.empty());
  }
}

}  // namespace

TEST(Density, SumsAreThoseOfTheMatrixWhereverThePaddingIs) {
  SerialExecutor executor;
  const arma::mat L = likelihoods(1, 700, 24, 1.0);
  for (std::uint64_t pattern : {~std::uint64_t(0), std::uint64_t(0x8421f00dbeef0f01), std::uint64_t(2)}) {
    Stored stored(L, pattern);
    BlockDensity blocks(*stored.source, executor);
    DenseDensity dense(L);
    EXPECT_EQ(blocks.n_effects(), 700.0);
    expect_same_answers(blocks, dense, 1e-11);
  }
}

TEST(Density, FlatLikelihoodsKeepWhatTellsThemApart) {
  SerialExecutor executor;
  std::mt19937 g(2);
  arma::mat L = 1.0 - 1e-9 * arma::square(reference::draw(g, 300, 10));
  L.col(4).ones();
  Stored stored(L, 0x0fffffffffffff7f, true);
  BlockDensity blocks(*stored.source, executor);
  DenseDensity dense(L);
  expect_same_answers(blocks, dense, 1e-13);
  // Differences of 1e-9 survive, with seven digits.
  blocks.enter(0);
  const std::vector<double> equal = blocks.gradient_at_equal_weights();
  const arma::vec right = L.t() * (1.0 / arma::mean(L, 1));
  for (arma::uword p = 0; p < 10; ++p) EXPECT_NEAR(equal[p] - equal[4], right[p] - right[4], 1e-12);
}

TEST(Density, UncoveredEffectsNameTheColumnsTheyNeed) {
  SerialExecutor executor;
  arma::mat L(200, 6, arma::fill::value(1e-8));
  L.col(0).ones();
  L.rows(10, 19).zeros();
  for (arma::uword j = 10; j < 20; ++j) L(j, j < 15 ? 3 : 5) = 1.0;
  Stored stored(L);
  BlockDensity density(*stored.source, executor);
  density.enter(0);
  density.use({0});
  Density::Pass pass = density.all_columns({1.0}, true);
  EXPECT_EQ(pass.uncovered, 10.0);
  EXPECT_EQ(pass.covering, (Density::Columns{3, 5}));
  EXPECT_FALSE(pass.more_uncovered);
  density.use({0, 5});
  pass = density.all_columns({0.9, 0.1}, true);
  EXPECT_EQ(pass.uncovered, 5.0);
  EXPECT_EQ(pass.covering, Density::Columns{3});
}

TEST(Density, LevelsAreNestedPartsOfTheEffects) {
  SerialExecutor executor;
  const arma::mat L = likelihoods(3, 64 * 300, 12);
  Stored stored(L);
  BlockDensity density(*stored.source, executor);
  ASSERT_EQ(density.n_levels(), 2);
  EXPECT_EQ(density.enter(1), 64.0 * 38);
  EXPECT_EQ(density.enter(0), 64.0 * 300);
}

TEST(Density, SameBitsForAnyThreads) {
  const arma::mat L = likelihoods(4, 9000, 20);
  Stored stored(L);
  const auto answers = [&](std::size_t threads) {
    ThreadExecutor executor(threads);
    BlockDensity density(*stored.source, executor);
    density.enter(0);
    density.use({1, 4, 9, 13});
    const std::vector<double> x(4, 0.25);
    std::vector<double> all = density.all_columns(x, true).gradient;
    const arma::mat H = density.model().hessian;
    all.insert(all.end(), H.begin(), H.end());
    all.push_back(density.toward({0.1, -0.1, 0.05, -0.05}));
    return all;
  };
  const std::vector<double> one = answers(1);
  for (std::size_t threads : {2, 3, 7}) EXPECT_EQ(one, answers(threads));
}

// The solver sees the interface alone: with another density it comes to the same weights.
TEST(Density, TheSolverIsTheSameOverAnotherDensity) {
  SerialExecutor executor;
  const arma::mat L = likelihoods(5, 1500, 36);
  Stored stored(L);
  BlockDensity blocks(*stored.source, executor);
  DenseDensity dense(L);
  std::vector<double> prior(36, 1.0);
  prior[0] = 10.0;
  const std::vector<std::pair<std::size_t, std::size_t>> grids{{0, 12}, {12, 24}, {24, 36}};
  const WeightsResult a = WeightsSolver(blocks, prior, grids, WeightsOptions()).solve();
  const WeightsResult b = WeightsSolver(dense, prior, grids, WeightsOptions()).solve();
  EXPECT_TRUE(a.converged && b.converged);
  EXPECT_NEAR(a.objective, b.objective, 1e-8);
  expect_close(a.pi, b.pi, 1e-4);
}
