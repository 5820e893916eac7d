#include <covmash/simd/dispatch.h>
#include <gtest/gtest.h>

#include <cmath>

using namespace covmash::simd;

namespace {

class EveryTable : public ::testing::TestWithParam<const KernelTable*> {};

// Under valgrind, and on some systems, long double is no wider than double and cannot serve as the truth.
bool long_double_is_wide() {
  volatile long double tiny = 0x1p-60L;
  volatile long double sum = 1.0L + tiny;
  return sum != 1.0L;
}

double relative(double actual, long double expected) {
  return static_cast<double>(std::fabs((static_cast<long double>(actual) - expected) / expected));
}

}  // namespace

TEST_P(EveryTable, ExponentialIsAccurate) {
  double worst = 0.0;
  for (int i = 0; i < 20000; i += 64) {
    double x[64], y[64];
    for (int k = 0; k < 64; ++k) x[k] = -708.0 + 1416.0 * (i + k) / 20032.0;
    GetParam()->exponentials(64, x, y);
    for (int k = 0; k < 64; ++k) worst = std::max(worst, relative(y[k], std::exp(static_cast<long double>(x[k]))));
  }
  EXPECT_LT(worst, 3.4e-16);
  double x[64] = {-INFINITY, -800.0, 0.0}, y[64];
  GetParam()->exponentials(64, x, y);
  EXPECT_EQ(y[0], 0.0);
  EXPECT_EQ(y[1], 0.0);
  EXPECT_EQ(y[2], 1.0);
}

TEST_P(EveryTable, RelativeLikelihoodsAreAccurateFloats) {
  double worst = 0.0;
  for (int i = 0; i < 20000; i += 64) {
    double loglik[64], maximum[64];
    float out[64];
    for (int k = 0; k < 64; ++k) {
      maximum[k] = 1000.0 - i;
      loglik[k] = maximum[k] - 86.9 * (i + k) / 20032.0;
    }
    GetParam()->relative_likelihood(1, loglik, maximum, out);
    for (int k = 0; k < 64; ++k)
      worst = std::max(worst, relative(out[k], std::exp(static_cast<long double>(loglik[k] - maximum[k]))));
  }
  EXPECT_LT(worst, 1.5e-7);
  // 1 at the maximum; 0 rather than a denormal number
  double loglik[64], maximum[64] = {};
  float out[64];
  for (int k = 0; k < 64; ++k) loglik[k] = k < 32 ? 0.0 : -86.5 - 0.1 * (k - 32);
  loglik[62] = -1e300;
  loglik[63] = -INFINITY;
  GetParam()->relative_likelihood(1, loglik, maximum, out);
  for (int k = 0; k < 64; ++k) {
    if (k < 32) EXPECT_EQ(out[k], 1.0f);
    EXPECT_TRUE(out[k] == 0.0f || out[k] >= 1.17549435e-38f) << out[k];
  }
  EXPECT_GT(out[32], 0.0f);
  EXPECT_EQ(out[61], 0.0f);
  EXPECT_EQ(out[62], 0.0f);
  EXPECT_EQ(out[63], 0.0f);
}

// In groups of eight registers, in single ones, and in part of a block.
TEST_P(EveryTable, BlockMaximumMatchesPlainLoop) {
  const std::size_t n = 5, W = GetParam()->width;
  std::vector<double> loglik(n * 64), offset = {0.5, -3.0, 0.0, 2.0, -INFINITY};
  for (std::size_t i = 0; i < loglik.size(); ++i) loglik[i] = std::sin(7.0 * static_cast<double>(i * i));
  for (std::size_t from : {std::size_t(0), W})
    for (std::size_t to : {from + W, std::size_t(64)})
      for (const double* shift : {static_cast<const double*>(nullptr), static_cast<const double*>(offset.data())}) {
        double maximum[64];
        GetParam()->block_maximum(n, loglik.data(), shift, maximum, from, to);
        for (std::size_t lane = from; lane < to; ++lane) {
          double expected = -INFINITY;
          for (std::size_t p = 0; p < n; ++p)
            expected = std::max(expected, loglik[p * 64 + lane] + (shift ? shift[p] : 0.0));
          EXPECT_EQ(maximum[lane], expected);
        }
      }
}

TEST_P(EveryTable, LogarithmIsAccurate) {
  double worst = 0.0;
  for (int i = 0; i < 20000; i += 64) {
    double x[64], y[64];
    for (int k = 0; k < 64; ++k) x[k] = std::exp(-700.0 + 1400.0 * (i + k + 0.5) / 20032.0);
    GetParam()->logarithms(64, x, y);
    for (int k = 0; k < 64; ++k) worst = std::max(worst, relative(y[k], std::log(static_cast<long double>(x[k]))));
  }
  for (int k = 0; k < 4096; ++k) {  // around 1, where the logarithm cancels
    double x[64], y[64];
    for (double& v : x) v = 1.0 + (k - 2048.0) / 40960.0;
    GetParam()->logarithms(64, x, y);
    if (x[0] != 1.0) worst = std::max(worst, relative(y[0], std::log(static_cast<long double>(x[0]))));
  }
  EXPECT_LT(worst, 3.4e-16);
  double x[64] = {0.0, 1.0}, y[64];
  GetParam()->logarithms(64, x, y);
  EXPECT_EQ(y[0], -INFINITY);
  EXPECT_EQ(y[1], 0.0);
}

TEST_P(EveryTable, NormalTailIsAccurateFarOut) {
  if (!long_double_is_wide()) GTEST_SKIP() << "no extended precision to compare with";
  double worst = 0.0;
  for (int i = 0; i < 20000; i += 64) {
    double x[64], y[64];
    for (int k = 0; k < 64; ++k) x[k] = 37.0 * (i + k) / 20064.0;
    GetParam()->normal_tails(64, x, y);
    for (int k = 0; k < 64; ++k)
      worst = std::max(worst, relative(y[k], std::erfc(static_cast<long double>(x[k]) / std::sqrt(2.0L)) / 2.0L));
  }
  EXPECT_LT(worst, 2e-15);
  double x[64] = {0.0, -1.0, 1.0, 40.0, INFINITY}, y[64];
  GetParam()->normal_tails(64, x, y);
  EXPECT_NEAR(y[0], 0.5, 1.2e-16);
  EXPECT_EQ(y[1], y[2]);
  EXPECT_EQ(y[3], 0.0);
  EXPECT_EQ(y[4], 0.0);
}

TEST_P(EveryTable, MixturesOfNormalsMatchPlainSums) {
  const double weight[8] = {0.2, 0.5, 0.1, 0.2}, mean[8] = {-1.0, 0.3, 2.0, 1e5}, inverse_sd[8] = {1.0, 4.0, 1e-2, 1e3, 1, 1, 1, 1};
  for (double x : {-300.0, -2.0, 0.3, 1.0, 99999.99}) {
    double out[3], value = 0.0, slope = 0.0, curvature = 0.0;
    GetParam()->mixture_distribution(8, weight, mean, inverse_sd, x, out);
    for (int i = 0; i < 4; ++i) {
      const double u = (x - mean[i]) * inverse_sd[i], density = weight[i] * inverse_sd[i] * std::exp(-0.5 * u * u) / std::sqrt(2.0 * std::acos(-1.0));
      value += weight[i] * 0.5 * std::erfc(-u / std::sqrt(2.0));
      slope += density;
      curvature -= density * inverse_sd[i] * u;
    }
    EXPECT_NEAR(out[0], value, 4e-15 * value);
    EXPECT_NEAR(out[1], slope, 1e-12 * slope);
    EXPECT_NEAR(out[2], curvature, 1e-12 * std::fabs(curvature) + 1e-300);
  }
}

// Two entries, against their definition, in float.
TEST_P(EveryTable, OrthantStepsFollowTheirDefinition) {
  float value[64], lost[64] = {}, shift[32], u[128];
  for (float& v : value) v = 1.0f;
  for (int s = 0; s < 32; ++s) shift[s] = static_cast<float>((s + 0.5) / 37.0);
  const auto cdf = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  const double step[2] = {std::sqrt(2.0), std::sqrt(3.0)};
  const float second[1] = {-0.8f};
  for (double low : {-0.4, -3.0, 2.0}) {
    for (float& v : value) v = 1.0f;
    GetParam()->orthant_step(64, 0, nullptr, low, 1.0, 1e5, step[0], shift, 1e-9, u, value, lost);
    for (int lane = 0; lane < 64; ++lane) {
      EXPECT_NEAR(value[lane], cdf(low), 2e-7);
      const double x = (1e5 + lane / 16) * step[0] + shift[lane % 16], folded = 2.0 * std::fabs(x - std::nearbyint(x));
      EXPECT_NEAR(cdf(-u[lane]), cdf(low) * folded, 1e-6);
      EXPECT_GT(u[lane], -low - 1e-5);
    }
  }
  for (float& v : value) v = 1.0f;
  GetParam()->orthant_step(64, 0, nullptr, -0.4, 1.0, 5.0, step[0], shift, 1e-3, u, value, lost);
  GetParam()->orthant_step(64, 1, second, 0.2, 0.6, 5.0, step[1], shift + 16, 0.1, u, value, lost);
  int cut = 0;
  for (int lane = 0; lane < 64; ++lane) {
    const double expected = cdf(-0.4) * cdf((0.2 - 0.8 * u[lane]) / 0.6);
    EXPECT_NEAR(value[lane] + lost[lane], expected, 4e-7);
    EXPECT_TRUE(value[lane] == 0.0f || lost[lane] == 0.0f);
    if (std::fabs(expected - 0.1) > 1e-6) EXPECT_EQ(value[lane] == 0.0f, expected < 0.1);
    cut += value[lane] == 0.0f;
  }
  EXPECT_GT(cut, 0);
  EXPECT_LT(cut, 64);
  // An entry that follows from those before.
  for (float& v : value) v = 1.0f;
  GetParam()->orthant_step(64, 1, second, 0.5, 0.0, 5.0, step[1], shift + 16, 1e-9, u, value, lost);
  for (int lane = 0; lane < 64; ++lane) {
    EXPECT_EQ(value[lane], 0.5 - 0.8 * u[lane] > 0.0 ? 1.0f : 0.0f);
    EXPECT_EQ(u[64 + lane], 0.0f);
  }
}

TEST_P(EveryTable, ProductsMatchPlainLoops) {
  for (std::size_t rows : {1, 2, 3, 5, 9}) {
    const std::size_t inner = 7;
    std::vector<double> A(rows * inner), X(inner * 64), Y(rows * 64);
    for (std::size_t i = 0; i < A.size(); ++i) A[i] = std::sin(1.0 + i);
    for (std::size_t i = 0; i < X.size(); ++i) X[i] = std::cos(1.0 + i);
    GetParam()->multiply(rows, inner, A.data(), X.data(), Y.data());
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t lane = 0; lane < 64; ++lane) {
        double sum = 0.0;
        for (std::size_t k = 0; k < inner; ++k) sum += A[i * inner + k] * X[k * 64 + lane];
        EXPECT_NEAR(Y[i * 64 + lane], sum, 1e-14);
      }
  }
}

// A scale's determinant must survive products that leave the range of doubles.
TEST_P(EveryTable, DeterminantsDoNotOverflow) {
  const std::size_t rank = 200;
  std::vector<double> d(rank, 1e30), shrink(rank), w = {1.0}, log_det(1);
  GetParam()->shared_tables(rank, d.data(), 1.0, 1.0, 1, w.data(), shrink.data(), log_det.data());
  EXPECT_NEAR(log_det[0] / (rank * std::log(1e30)), 1.0, 1e-14);
  // the last direction counted 1000 times
  GetParam()->shared_tables(rank, d.data(), 1000.0, 1.0, 1, w.data(), shrink.data(), log_det.data());
  EXPECT_NEAR(log_det[0] / ((rank + 999.0) * std::log(1e30)), 1.0, 1e-14);
}

TEST_P(EveryTable, SharedAndLaneTablesHaveTheSameBits) {
  const std::size_t n = 11, L = 3;
  std::vector<double> d(n), w = {0.01, 1.0, 30.0}, c2(64), t2(n * 64), constant(64);
  for (std::size_t i = 0; i < n; ++i) d[i] = std::exp(0.7 * i - 3.0);
  for (std::size_t k = 0; k < 64; ++k) c2[k] = 0.5 + 0.03 * k;
  for (std::size_t k = 0; k < 64; ++k) constant[k] = -20.0 - k;
  for (std::size_t i = 0; i < t2.size(); ++i) t2[i] = 1.0 + std::sin(1.0 + i);
  std::vector<double> lane_shrink(L * n * 64), lane_log_det(L * 64), shrink(L * n), log_det(L), lane(L * 64),
      shared(L * 64);
  for (double repeat : {1.0, 7.0}) {
    GetParam()->lane_tables(n, d.data(), repeat, c2.data(), L, w.data(), lane_shrink.data(), lane_log_det.data());
    GetParam()->lane_loglik(n, L, lane_shrink.data(), t2.data(), constant.data(), lane_log_det.data(), lane.data());
    for (std::size_t k = 0; k < 64; ++k) {
      GetParam()->shared_tables(n, d.data(), repeat, c2[k], L, w.data(), shrink.data(), log_det.data());
      GetParam()->shared_loglik(n, L, shrink.data(), t2.data(), constant.data(), log_det.data(), shared.data());
      for (std::size_t l = 0; l < L; ++l) {
        EXPECT_EQ(log_det[l], lane_log_det[l * 64 + k]);
        EXPECT_EQ(shared[l * 64 + k], lane[l * 64 + k]);
        for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(shrink[l * n + i], lane_shrink[(l * n + i) * 64 + k]);
      }
    }
  }
}

TEST_P(EveryTable, ExclusiveSquaresSubtractNothing) {
  const std::size_t rows = 6;
  std::vector<double> X(rows * 64), out(rows * 64);
  for (std::size_t i = 0; i < X.size(); ++i) X[i] = std::cos(1.0 + i);
  for (std::size_t k = 0; k < 64; ++k) X[2 * 64 + k] = 1e10;  // would drown the others in a difference
  GetParam()->exclusive_squares(rows, X.data(), out.data());
  for (std::size_t k = 0; k < 64; ++k) {
    double sum = 0.0;
    for (std::size_t r = 0; r < rows; ++r) sum += r == 2 ? 0.0 : X[r * 64 + k] * X[r * 64 + k];
    EXPECT_NEAR(out[2 * 64 + k], sum, 1e-15 * rows * sum);
  }
}

TEST_P(EveryTable, TriangularSolvesMatchPlainLoops) {
  for (std::size_t n : {1, 3, 4, 7, 13}) {
    std::vector<double> L(n * n), X(n * 64), Y(n * 64);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) L[i * n + j] = i == j ? 2.0 + i : std::sin(1.0 + i + 3.0 * j);
    for (std::size_t i = 0; i < X.size(); ++i) X[i] = Y[i] = std::cos(1.0 + i);
    GetParam()->solve_lower(n, L.data(), Y.data());
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < 64; ++k) {
        double sum = 0.0;
        for (std::size_t j = 0; j <= i; ++j) sum += L[i * n + j] * Y[j * 64 + k];
        EXPECT_NEAR(sum, X[i * 64 + k], 1e-14);
      }
  }
}

TEST_P(EveryTable, HessianTilesMatchPlainLoops) {
  const std::size_t depth = 128;
  for (std::size_t n : {1, 3, 4, 9, 16}) {
    std::vector<float> Y(depth * n);
    for (std::size_t i = 0; i < Y.size(); ++i) Y[i] = static_cast<float>(std::sin(1.0 + i));
    const std::vector<double> wide(Y.begin(), Y.end());
    std::vector<double> H(n * n, 1.0), H_wide(n * n, 1.0);
    GetParam()->gram_float(depth, n, Y.data(), H.data());
    GetParam()->gram_wide(depth, n, wide.data(), H_wide.data());
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i; j < n; ++j) {
        double sum = 1.0;
        for (std::size_t k = 0; k < depth; ++k) sum += wide[i * depth + k] * wide[j * depth + k];
        EXPECT_NEAR(H[i * n + j], sum, 1e-4);
        EXPECT_NEAR(H_wide[i * n + j], sum, 1e-12);
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, EveryTable, ::testing::ValuesIn(available_tables()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(Dispatch, ChoosesAndRefuses) {
  const std::string before = kernels().name;
  select_table("baseline");
  EXPECT_STREQ(kernels().name, "baseline");
  EXPECT_THROW(select_table("abacus"), std::invalid_argument);
  select_table(before);
}
