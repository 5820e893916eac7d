#include <covmash/linalg/cholesky.h>
#include <covmash/mash/fit.h>
#include <gtest/gtest.h>

#include <limits>

#include "factor_reference.h"

using namespace covmash;

namespace {

// About x, so that 1 - apart is exact.
double apart_by(double x) { return 1.0 - (1.0 - x); }

// Unit variances, all correlations 1 - apart.
arma::mat equicorrelated(arma::uword n, double apart) {
  arma::mat C(n, n);
  C.fill(1.0 - apart);
  C.diag().ones();
  return C;
}

// log N(b; 0, (1 - rho) I + (rho + w) 11') from its two eigenvalues, which nothing cancels in.
double equicorrelated_loglik(const arma::vec& b, double apart, double w) {
  const double n = static_cast<double>(b.n_elem), mean = arma::mean(b);
  const double common = apart + n * (1.0 - apart + w);
  return -0.5 * (n * std::log(2.0 * arma::datum::pi) + (n - 1.0) * std::log(apart) + std::log(common) +
                 arma::accu(arma::square(b - mean)) / apart + n * mean * mean / common);
}

}  // namespace

TEST(Cholesky, AccurateToTheLastBitsWhateverTheCondition) {
  const arma::uword n = 6;
  for (double apart : {apart_by(1e-3), apart_by(1e-9), apart_by(3e-14)}) {
    std::vector<double> L;
    ASSERT_TRUE(accurate_cholesky(equicorrelated(n, apart), L));
    const double rho = 1.0 - apart, near = 4.0 * std::numeric_limits<double>::epsilon();
    std::size_t at = 0;
    for (arma::uword i = 0; i < n; ++i)
      for (arma::uword k = 0; k <= i; ++k) {
        // The Schur complement of the first k conditions is apart (I + f 11').
        const double f = rho / (1.0 + (static_cast<double>(k) - 1.0) * rho), pivot = std::sqrt(apart * (1.0 + f));
        const double expected = k == 0 ? (i == 0 ? 1.0 : rho) : i == k ? pivot : apart * f / pivot;
        EXPECT_LT(std::fabs(L[at++] / expected - 1.0), near) << apart << " " << i << " " << k;
      }
  }
}

// C = [3 1; 1 d], d just above 1/3, has determinant 3 d - 1, one rounding of an fma. The plain factorization squares
// the rounded 1 / sqrt(3).
TEST(Cholesky, IsNotThePlainFactorization) {
  const double d = 1.0 / 3.0 + 1e-11, determinant = std::fma(3.0, d, -1.0),
               eps = std::numeric_limits<double>::epsilon();
  const arma::mat C = {{3.0, 1.0}, {1.0, d}};
  std::vector<double> L;
  ASSERT_TRUE(accurate_cholesky(C, L));
  EXPECT_LT(std::fabs(L[2] / std::sqrt(determinant / 3.0) - 1.0), 4.0 * eps);
  for (double other : {1.0, 2.0}) {  // shared noise, noise of its own
    const arma::rowvec shat = {1.0, other}, bhat = {0x1p-18, 0.0};
    const NoiseModel noise({bhat.memptr(), shat.memptr(), 1, 2}, C);
    MixturePrior prior;
    double loglik = 0.0;
    SerialExecutor executor;
    loglik_matrix(noise, prior, 1024, executor, &loglik);
    const double expected = -std::log(2.0 * arma::datum::pi) - std::log(other) -
                            0.5 * (std::log(determinant) + d * bhat[0] * bhat[0] / determinant);
    EXPECT_LT(reference::relative_error(loglik, expected), 20.0 * eps * std::sqrt(4.0 / 1e-11)) << other;
  }
}

TEST(Cholesky, RefusesWhatIsNotPositiveDefinite) {
  std::vector<double> L;
  EXPECT_FALSE(accurate_cholesky(arma::ones(3, 3), L));
  EXPECT_FALSE(accurate_cholesky(arma::ones(3, 3) - 2.0 * arma::eye(3, 3), L));
}

TEST(Cholesky, KnowsWhenThePlainOneWillDo) {
  EXPECT_FALSE(ill_conditioned(arma::eye(50, 50)));
  EXPECT_FALSE(ill_conditioned(equicorrelated(50, 0.1)));
  EXPECT_TRUE(ill_conditioned(equicorrelated(5, 1e-6)));
  EXPECT_TRUE(ill_conditioned(arma::ones(3, 3)));
  // Different scales alone are no difficulty.
  const arma::mat D = arma::diagmat(arma::exp10(arma::linspace(-8, 8, 5)));
  EXPECT_FALSE(ill_conditioned(D * equicorrelated(5, 0.5) * D));
}

// Shared noise, noise of its own (uneven Shat, powers of two), and a missing condition: the same closed form.
TEST(Cholesky, LikelihoodsUnderANearlySingularVAreThoseOfTheClosedForm) {
  const double apart = apart_by(3.3e-11), w = 4.0;
  const arma::mat C = equicorrelated(6, apart);
  const arma::vec b = 3.0 + arma::vec{1, -2, 0, 3, -1, 1} * std::ldexp(1.0, -17);
  const double bound = 20.0 * std::numeric_limits<double>::epsilon() * std::sqrt(6.0 / apart);
  SerialExecutor executor;
  for (bool uneven : {false, true})
    for (bool missing : {false, true}) {
      const arma::vec s = uneven ? arma::vec{1, 2, 4, 0.5, 8, 1} : arma::ones(6);
      arma::rowvec bhat = (b % s).t(), shat = s.t();
      if (missing) bhat[2] = std::nan("");
      const NoiseModel noise({bhat.memptr(), shat.memptr(), 1, 6}, C);
      EXPECT_EQ(noise.row_specific().size(), uneven || missing ? 1u : 0u);
      MixturePrior prior;
      prior.covariances = {recognise(s * s.t())};
      prior.scales = {w};
      arma::rowvec loglik(2);
      loglik_matrix(noise, prior, 1024, executor, loglik.memptr());
      const arma::uvec seen = arma::find_finite(bhat);
      const double log_scale = arma::accu(arma::log(arma::vec(s.elem(seen))));
      for (double scale : {0.0, w}) {
        const double expected = equicorrelated_loglik(b.elem(seen), apart, scale) - log_scale;
        EXPECT_LT(reference::relative_error(loglik[scale > 0.0], expected), bound) << uneven << missing << scale;
      }
    }
}

TEST(LogDeterminant, IsThatOfTheCholeskyFactor) {
  SerialExecutor serial;
  for (arma::uword p : {1, 5, 32, 33, 100}) {
    const arma::mat x = reference::factor_sample(16, 200, p, 1), S = arma::cov(x);
    EXPECT_NEAR(covmash::log_determinant(S.memptr(), p, serial), arma::log_det_sympd(S),
                1e-11 * static_cast<double>(p + 1));
  }
  const arma::mat f = reference::factor_sample(17, 40, 2, 1), singular = f * f.t();
  EXPECT_TRUE(std::isnan(covmash::log_determinant(singular.memptr(), 40, serial)));
}

// Packed and strided rows, reciprocals on the diagonal, a panel with more rows than columns.
TEST(Cholesky, OneLoopForEveryLayout) {
  std::mt19937 g(42);
  const arma::uword n = 9;
  const arma::mat A = arma::cov(reference::draw(g, 30, n)), L = arma::chol(A, "lower");
  const auto entry = [&](std::size_t r, std::size_t c) { return A(r, c); };
  const auto root = [](std::size_t, double a, double& d) {
    d = std::sqrt(a);
    return a > 0.0;
  };
  std::vector<double> packed(n * (n + 1) / 2), strided(n * 11), reciprocal(packed), panel(n * 4);
  ASSERT_TRUE(cholesky(n, n, packed_rows(packed.data()), entry, by_diagonal, root));
  ASSERT_TRUE(cholesky(n, n, strided_rows(strided.data(), 11), entry, by_diagonal, root));
  ASSERT_TRUE(cholesky(n, 4, strided_rows(panel.data(), 4), entry, by_diagonal, root));
  ASSERT_TRUE(
      cholesky(n, n, packed_rows(reciprocal.data()), entry, by_reciprocal, [](std::size_t, double a, double& d) {
        d = 1.0 / std::sqrt(a);
        return a > 0.0;
      }));
  for (arma::uword r = 0; r < n; ++r)
    for (arma::uword c = 0; c <= r; ++c) {
      const double l = packed_rows(packed.data())(r)[c];
      EXPECT_NEAR(l, L(r, c), 1e-14);
      EXPECT_EQ(strided[r * 11 + c], l);
      if (c < 4) {
        EXPECT_EQ(panel[r * 4 + c], l);
      }
      const double other = packed_rows(reciprocal.data())(r)[c];
      EXPECT_NEAR(r == c ? 1.0 / other : other, l, 1e-14);
    }
  const arma::vec b = reference::draw(g, n, 1);
  arma::vec x = b;
  forward_substitute(n, packed_rows(packed.data()), x.memptr());
  EXPECT_LT(reference::largest_difference(L * x, b), 1e-13);
  back_substitute(n, packed_rows(packed.data()), x.memptr());
  EXPECT_LT(reference::largest_difference(A * x, b), 1e-13);
  arma::mat inverse(n, n, arma::fill::zeros);  // columns are the rows of the inverse
  invert_lower(n, packed_rows(packed.data()), strided_rows(inverse.memptr(), n));
  EXPECT_LT(reference::largest_difference(L * inverse.t(), arma::eye(n, n)), 1e-13);
  // Pivots decide when to give up.
  EXPECT_FALSE(cholesky(n, n, packed_rows(packed.data()), entry, by_diagonal,
                        [](std::size_t r, double, double& d) { return d = 1.0, r < 3; }));
}
