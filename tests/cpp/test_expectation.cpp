#include <covmash/deconvolution/expectation.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

Effects effects(const reference::Problem& p) {
  return {p.bhat.memptr(), p.shat.memptr(), p.bhat.n_rows, p.bhat.n_cols};
}

struct Moments {
  double loglik = 0.0;
  std::vector<ComponentMoments> components;
};

// The sums as they are written.
Moments dense(const reference::Problem& p, const std::vector<double>& weights, bool scores) {
  const std::size_t K = weights.size();
  const arma::uword R = p.bhat.n_cols;
  Moments out;
  out.components.resize(K);
  for (auto& c : out.components) {
    c.X.zeros(R, R);
    c.H.zeros(R, R);
  }
  for (arma::uword j = 0; j < p.bhat.n_rows; ++j) {
    const arma::uvec O = reference::observed(p, j);
    if (O.is_empty()) continue;
    arma::vec q(K), y(O.n_elem), s(O.n_elem);
    for (arma::uword i = 0; i < O.n_elem; ++i) {
      y[i] = p.bhat(j, O[i]);
      s[i] = p.shat(j, O[i]);
    }
    for (std::size_t k = 0; k < K; ++k) q[k] = std::log(weights[k]) + reference::loglik(p, j, p.covariances[k]);
    const double top = q.max();
    q = arma::exp(q - top);
    out.loglik += top + std::log(arma::accu(q));
    q /= arma::accu(q);
    for (std::size_t k = 0; k < K; ++k) {
      const arma::mat inverse =
          arma::inv_sympd(p.C.submat(O, O) % (s * s.t()) + arma::mat(p.covariances[k].submat(O, O)));
      const arma::vec x = scores ? arma::vec(inverse * y) : y;
      out.components[k].mass += q[k];
      out.components[k].X.submat(O, O) += q[k] * x * x.t();
      if (scores) out.components[k].H.submat(O, O) += q[k] * inverse;
    }
  }
  return out;
}

Moments computed(const reference::Problem& p, const std::vector<double>& weights, std::size_t threads,
                 MomentsOf kind = MomentsOf::scores) {
  const std::vector<arma::mat> U(p.covariances.begin(), p.covariances.begin() + weights.size());
  ThreadExecutor executor(threads);
  const NoiseModel noise(effects(p), p.C);
  ExpectationStep step(noise, U.size(), executor, kind);
  Moments out;
  out.components.resize(U.size());
  for (int again = 0; again < 2; ++again)  // nothing is left over from the step before
    out.loglik = step(U, weights, [&](std::size_t k, const ComponentMoments& m) { out.components[k] = m; });
  return out;
}

// Runs of effects of these lengths, each with Shat of its own, and conditions missing in every other one; shuffled.
reference::Problem grouped(unsigned seed, arma::uword R, const std::vector<arma::uword>& lengths, bool missing,
                           bool proportional) {
  arma::uword J = 0;
  for (arma::uword n : lengths) J += n;
  reference::Problem p = reference::problem(seed, J, R, reference::Noise::common, false);
  std::mt19937 g(seed);
  std::uniform_real_distribution<double> uniform(0.5, 2.0);
  std::vector<arma::uword> order(J);
  for (arma::uword j = 0; j < J; ++j) order[j] = j;
  std::shuffle(order.begin(), order.end(), g);
  arma::rowvec direction(R);
  for (double& v : direction) v = uniform(g);
  arma::uword at = 0;
  for (std::size_t run = 0; run < lengths.size(); ++run) {
    arma::rowvec shat(R);
    for (double& v : shat) v = uniform(g);
    if (proportional) shat = direction * uniform(g);
    std::vector<unsigned char> unseen(R, 0);
    if (missing && run % 2 == 1)
      for (auto& v : unseen) v = uniform(g) > 1.4;
    for (arma::uword i = 0; i < lengths[run]; ++i, ++at) {
      p.shat.row(order[at]) = shat;
      for (arma::uword r = 0; r < R; ++r)
        if (unseen[r]) p.bhat(order[at], r) = std::numeric_limits<double>::quiet_NaN();
    }
  }
  return p;
}

void expect_same(const Moments& actual, const Moments& expected, double tolerance) {
  EXPECT_LT(reference::relative_error(actual.loglik, expected.loglik), tolerance);
  for (std::size_t k = 0; k < expected.components.size(); ++k) {
    const ComponentMoments &a = actual.components[k], &e = expected.components[k];
    EXPECT_LT(reference::relative_error(a.mass, e.mass), tolerance);
    EXPECT_LT(arma::abs(a.X - e.X).max(), tolerance * std::max(1.0, arma::abs(e.X).max()));
    if (a.H.is_empty()) continue;
    EXPECT_LT(arma::abs(a.H - e.H).max(), tolerance * std::max(1.0, arma::abs(e.H).max()));
  }
}

const std::vector<double> weights = {0.2, 0.1, 0.3, 0.3, 0.1};
const std::vector<arma::uword> all_lengths = {1, 2, 1, 3, 40, 64, 1, 70, 5, 17, 130, 33, 700, 36, 35, 34, 32};

}  // namespace

TEST(Expectation, MomentsAreTheDenseSums) {
  for (auto kind : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect})
    for (bool missing : {false, true})
      for (arma::uword R : {1, 2, 5, 8, 11}) {
        const auto p = reference::problem(60, 90, R, kind, missing);
        expect_same(computed(p, weights, 1), dense(p, weights, true), 1e-11);
      }
}

TEST(Expectation, GroupsOfAllSizesTogether) {
  for (bool missing : {false, true})
    for (bool proportional : {false, true})
      for (arma::uword R : {1, 4, 7}) {
        const auto p = grouped(61, R, all_lengths, missing, proportional);
        expect_same(computed(p, weights, 1), dense(p, weights, true), 1e-11);
        expect_same(computed(p, weights, 1, MomentsOf::effects), dense(p, weights, false), 1e-11);
      }
}

TEST(Expectation, ManyRunsOfEachSize) {
  for (arma::uword n : {2, 7, 31, 32, 50, 100}) {
    const auto p = grouped(62, 6, std::vector<arma::uword>(23, n), true, false);
    expect_same(computed(p, weights, 1), dense(p, weights, true), 1e-11);
  }
}

TEST(Expectation, EveryInstructionSet) {
  const auto p = grouped(63, 9, all_lengths, true, false);
  const Moments expected = dense(p, weights, true);
  const std::string before = simd::kernels().name;
  for (const simd::KernelTable* table : simd::available_tables()) {
    simd::select_table(table->name);
    expect_same(computed(p, weights, 1), expected, 1e-11);
  }
  simd::select_table(before);
}

TEST(Expectation, SameBitsForAnyThreads) {
  for (bool missing : {false, true}) {
    std::vector<arma::uword> lengths = all_lengths;
    lengths.push_back(2000);
    lengths.insert(lengths.end(), 300, 1);
    lengths.insert(lengths.end(), 50, 40);
    const auto p = grouped(64, 5, lengths, missing, false);
    const Moments one = computed(p, weights, 1);
    for (std::size_t threads : {2, 3, 7}) expect_same(computed(p, weights, threads), one, 1e-300);
  }
}

TEST(Expectation, NothingObservedCountsNothing) {
  auto p = reference::problem(65, 40, 3, reference::Noise::common, false);
  const Moments before = computed(p, weights, 1);
  p.bhat.insert_rows(7, 1);
  p.shat.insert_rows(7, arma::ones(1, 3));
  p.bhat.row(7).fill(std::numeric_limits<double>::quiet_NaN());
  expect_same(computed(p, weights, 1), before, 1e-14);
}

TEST(Expectation, AnImpossibleComponentTakesNoPart) {
  // Its log-likelihood is 1e300 lower: the weights are exact zeros.
  auto p = grouped(66, 4, {1, 1, 2, 90}, true, false);
  for (double& b : p.bhat) b *= 1e6;
  p.covariances = {1e12 * arma::eye(4, 4), arma::zeros(4, 4)};
  const Moments m = computed(p, {0.5, 0.5}, 1);
  EXPECT_EQ(m.components[1].mass, 0.0);
  EXPECT_EQ(arma::abs(m.components[1].X).max(), 0.0);
  EXPECT_EQ(arma::abs(m.components[1].H).max(), 0.0);
  expect_same(m, dense(p, {0.5, 0.5}, true), 1e-10);
}

TEST(Expectation, ErrorsNameComponentAndEffect) {
  for (auto kind : {reference::Noise::common, reference::Noise::by_effect}) {
    auto p = reference::problem(67, 80, 3, kind, false);
    p.covariances[2] = -100.0 * arma::eye(3, 3);
    try {
      computed(p, weights, 1);
      FAIL() << "no error";
    } catch (const numeric_error& e) {
      EXPECT_NE(std::string(e.what()).find("component 3 plus the noise of effect 1 "), std::string::npos) << e.what();
    }
  }
}

TEST(Expectation, TellsTheMomentsOfLoadings) {
  for (auto noise : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect})
    for (bool missing : {false, true})
      for (arma::uword rank : {1, 2}) {
        const auto p = reference::problem(77, 90, 4, noise, missing);
        std::mt19937 g(78);
        const arma::mat F = reference::draw(g, 4, rank);
        const std::vector<arma::mat> U = {F * F.t(), p.covariances[4]}, factors = {F, arma::mat(4, 0)};
        const std::vector<double> weights = {0.3, 0.7};
        SerialExecutor executor;
        const NoiseModel model(effects(p), p.C);
        ExpectationStep step(model, 2, executor, MomentsOf::loadings);
        std::vector<ComponentMoments> actual(2);
        step(
            U, weights, [&](std::size_t k, const ComponentMoments& m) { actual[k] = m; }, &factors);
        arma::mat G(4, 4, arma::fill::zeros);
        for (arma::uword j = 0; j < p.bhat.n_rows; ++j) {
          const arma::uvec O = reference::observed(p, j);
          if (O.is_empty()) continue;
          double q[2], top = 0.0;
          for (int k = 0; k < 2; ++k) top += q[k] = weights[k] * std::exp(reference::loglik(p, j, U[k]));
          arma::vec y(O.n_elem), s(O.n_elem);
          for (arma::uword i = 0; i < O.n_elem; ++i) {
            y[i] = p.bhat(j, O[i]);
            s[i] = p.shat(j, O[i]);
          }
          const arma::mat V = p.C.submat(O, O) % (s * s.t()), part = F.rows(O);
          const arma::mat gain = part.t() * arma::inv_sympd(V + part * part.t());
          const arma::vec mean = gain * y;
          const double spread = rank == 1 ? 1.0 - arma::as_scalar(gain * part) : 1.0;
          G.submat(O, O) += q[0] / top * (arma::dot(mean, mean) + spread) * arma::inv_sympd(V);
        }
        EXPECT_LT(arma::abs(actual[0].G - G).max(), 1e-10 * arma::abs(G).max());
        EXPECT_EQ(arma::abs(actual[1].G).max(), 0.0);
      }
}
