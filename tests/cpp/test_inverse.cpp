#include <covmash/factor/eigenvalues.h>
#include <covmash/factor/inverse.h>
#include <covmash/factor/loadings.h>
#include <gtest/gtest.h>

#include "factor_reference.h"

using covmash::FactorInverse;
using reference::largest_difference;

namespace {

// ---- 113-bit truth -------------------------------------------------------------------------------------------------

#if defined(__SIZEOF_FLOAT128__)
#define COVMASH_HAVE_QUAD 1
__extension__ typedef __float128 quad;

quad absolute(quad x) { return x < 0 ? -x : x; }

quad root(quad x) {
  if (x <= 0) return 0;
  quad r = std::sqrt(static_cast<double>(x));
  for (int i = 0; i < 3; ++i) r = (r + x / r) / 2;
  return r;
}

struct QuadMatrix {
  int rows, columns;
  std::vector<quad> x;
  QuadMatrix(int r, int c) : rows(r), columns(c), x(static_cast<std::size_t>(r) * c, 0) {}
  quad& operator()(int i, int j) { return x[static_cast<std::size_t>(j) * rows + i]; }
  quad operator()(int i, int j) const { return x[static_cast<std::size_t>(j) * rows + i]; }
};

QuadMatrix quad_sigma(const arma::mat& B, const arma::mat& F, const arma::vec& D) {
  const int n = B.n_rows, K = B.n_cols;
  QuadMatrix BF(n, K), S(n, n);
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < K; ++k)
      for (int l = 0; l < K; ++l) BF(i, k) += quad(B(i, l)) * quad(F(l, k));
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      for (int k = 0; k < K; ++k) S(i, j) += BF(i, k) * quad(B(j, k));
      if (i == j) S(i, j) += quad(D[i]);
    }
  return S;
}

QuadMatrix quad_cholesky(QuadMatrix A) {
  for (int j = 0; j < A.rows; ++j) {
    for (int k = 0; k < j; ++k)
      for (int i = j; i < A.rows; ++i) A(i, j) -= A(i, k) * A(j, k);
    const quad pivot = root(A(j, j));
    for (int i = j; i < A.rows; ++i) A(i, j) /= pivot;
    for (int i = 0; i < j; ++i) A(i, j) = 0;
  }
  return A;
}

QuadMatrix quad_solve(const QuadMatrix& L, QuadMatrix Y) {
  const int n = L.rows;
  for (int c = 0; c < Y.columns; ++c) {
    for (int i = 0; i < n; ++i) {
      for (int k = 0; k < i; ++k) Y(i, c) -= L(i, k) * Y(k, c);
      Y(i, c) /= L(i, i);
    }
    for (int i = n; i-- > 0;) {
      for (int k = i + 1; k < n; ++k) Y(i, c) -= L(k, i) * Y(k, c);
      Y(i, c) /= L(i, i);
    }
  }
  return Y;
}

double quad_log_det(const QuadMatrix& L) {
  long double sum = 0;
  for (int i = 0; i < L.rows; ++i) sum += 2 * std::log(static_cast<long double>(L(i, i)));
  return static_cast<double>(sum);
}

QuadMatrix quad_part(const QuadMatrix& S, const std::vector<int>& rows, const std::vector<int>& columns) {
  QuadMatrix out(static_cast<int>(rows.size()), static_cast<int>(columns.size()));
  for (int i = 0; i < out.rows; ++i)
    for (int j = 0; j < out.columns; ++j) out(i, j) = S(rows[i], columns[j]);
  return out;
}

// Householder tridiagonalisation, then bisection by Sturm counts.
arma::vec quad_eigenvalues(QuadMatrix A) {
  const int n = A.rows;
  for (int k = 0; k + 2 < n; ++k) {
    quad s = 0;
    for (int i = k + 1; i < n; ++i) s += A(i, k) * A(i, k);
    const quad size = root(s);
    if (size == 0) continue;
    std::vector<quad> v(n, 0), w(n, 0);
    const quad beta = A(k + 1, k) > 0 ? -size : size;
    for (int i = k + 1; i < n; ++i) v[i] = A(i, k);
    v[k + 1] -= beta;
    quad vv = 0;
    for (int i = k + 1; i < n; ++i) vv += v[i] * v[i];
    for (int j = k; j < n; ++j)
      for (int i = k + 1; i < n; ++i) w[j] += A(j, i) * v[i];
    quad vw = 0;
    for (int i = k + 1; i < n; ++i) vw += v[i] * w[i];
    for (int j = k; j < n; ++j) w[j] = 2 / vv * (w[j] - vw / vv * v[j]);
    for (int i = k; i < n; ++i)
      for (int j = k; j < n; ++j) A(i, j) -= v[i] * w[j] + w[i] * v[j];
  }
  quad bound = 0;
  for (int i = 0; i < n; ++i)
    bound = std::max(bound, absolute(A(i, i)) + (i ? absolute(A(i, i - 1)) : quad(0)) +
                                (i + 1 < n ? absolute(A(i + 1, i)) : quad(0)));
  arma::vec out(n);
  for (int wanted = 0; wanted < n; ++wanted) {  // decreasing
    quad low = 0, high = bound * (1 + 1e-20);
    for (int step = 0; step < 200 && (high - low) > 1e-15 * high; ++step) {
      const quad middle = (low + high) / 2;
      int below = 0;
      quad d = 1;
      for (int i = 0; i < n; ++i) {
        const quad off = i ? A(i, i - 1) : quad(0);
        d = A(i, i) - middle - (i ? off * off / d : quad(0));
        if (d == 0) d = 1e-40 * bound;
        below += d < 0;
      }
      (below > n - 1 - wanted ? high : low) = middle;
    }
    out[wanted] = static_cast<double>((low + high) / 2);
  }
  return out;
}

arma::mat to_double(const QuadMatrix& Q) {
  arma::mat out(Q.rows, Q.columns);
  for (int j = 0; j < Q.columns; ++j)
    for (int i = 0; i < Q.rows; ++i) out(i, j) = static_cast<double>(Q(i, j));
  return out;
}

QuadMatrix to_quad(const arma::mat& M) {
  QuadMatrix out(M.n_rows, M.n_cols);
  for (int j = 0; j < out.columns; ++j)
    for (int i = 0; i < out.rows; ++i) out(i, j) = M(i, j);
  return out;
}

double error_of(const arma::mat& computed, const arma::mat& truth) {
  if (!computed.is_finite()) return std::numeric_limits<double>::infinity();
  const double scale = truth.is_empty() ? 0.0 : arma::abs(truth).max();
  return scale == 0.0 ? (truth.is_empty() ? 0.0 : arma::abs(computed).max())
                      : arma::abs(computed - truth).max() / scale;
}

double relative_error(const arma::vec& computed, const arma::vec& truth) {
  if (!computed.is_finite()) return std::numeric_limits<double>::infinity();
  return arma::max(arma::abs(computed - truth) / arma::abs(truth));
}
#endif

struct Problem {
  arma::mat B, F, L;
  arma::vec D;
  arma::mat G() const { return B * L; }
};

// N up to 60, K from 0 to N + 2, noise over six orders of magnitude, F the identity, diagonal, full or singular.
Problem random_problem(std::mt19937& g) {
  auto whole = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(g); };
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  Problem p;
  const int n = whole(1, 60);
  const int K = whole(0, 3) ? whole(0, std::min(n + 2, 12)) : whole(0, n + 2);
  p.B = reference::draw(g, n, K);
  p.D.set_size(n);
  const double middle = whole(-3, 3);
  for (double& d : p.D) d = std::pow(10.0, middle + 6.0 * uniform(g) - 3.0);
  const int kind = whole(0, 3);
  p.F = arma::eye(K, K);
  if (kind == 1)
    for (int k = 0; k < K; ++k) p.F(k, k) = std::pow(10.0, 4.0 * uniform(g) - 2.0);
  if (kind == 2) p.F = arma::cov(reference::draw(g, K + 3, K));
  if (kind == 3 && K > 0) {
    const arma::mat half = reference::draw(g, K, std::max(1, K / 2));
    p.F = half * half.t();
  }
  if (K == 1 && kind == 2) p.F(0, 0) = 1.7;
  p.F = arma::symmatu(p.F);
  p.L = covmash::factor_root(p.F);
  return p;
}

arma::mat partial_correlations(const FactorInverse& inverse) {
  covmash::SerialExecutor serial;
  const arma::mat columns = inverse.border_columns(serial), W = inverse.precision_factor();
  arma::mat P(inverse.genes(), inverse.genes(), arma::fill::zeros);
  if (!W.is_empty()) P.submat(inverse.others(), inverse.others()) = -W * W.t();
  for (arma::uword k = 0; k < inverse.border().n_elem; ++k) {
    P.col(inverse.border()[k]) = columns.col(k);
    P.row(inverse.border()[k]) = columns.col(k).t();
  }
  const arma::vec sd = arma::sqrt(inverse.precision_diagonal(columns));
  for (arma::uword i = 0; i < P.n_rows; ++i)
    for (arma::uword j = 0; j < P.n_cols; ++j) P(i, j) /= -sd[i] * sd[j];
  P.diag().ones();
  return P;
}

arma::mat partial_from_precision(const arma::mat& P) {
  const arma::vec sd = arma::sqrt(P.diag());
  arma::mat out = -P / (sd * sd.t());
  out.diag().ones();
  return out;
}

arma::mat sigma_of(const Problem& p) {
  arma::mat S = p.B * p.F * p.B.t();
  S = 0.5 * (S + S.t());
  S.diag() += p.D;
  return S;
}

}  // namespace

#if COVMASH_HAVE_QUAD
// Every quantity within 1e-9 of the truth, or nearer to it than the dense computation.
TEST(FactorInverse, FiveHundredCasesAgainstQuadPrecision) {
  std::mt19937 g(20);
  int within = 0, cases = 500;
  double worst[6] = {0, 0, 0, 0, 0, 0}, worst_dense[6] = {0, 0, 0, 0, 0, 0};
  const char* names[6] = {"solve", "determinant", "log density", "conditional", "partial correlation", "eigenvalues"};
  for (int c = 0; c < cases; ++c) {
    const Problem p = random_problem(g);
    const int n = p.B.n_rows;
    const arma::mat G = p.G(), b = reference::draw(g, n, 2);
    double ours[6], dense[6];

    const QuadMatrix S = quad_sigma(p.B, p.F, p.D), chol = quad_cholesky(S);
    const FactorInverse inverse(G, p.D);
    const arma::mat Sd = sigma_of(p);
    arma::mat R;
    const bool decomposed = arma::chol(R, Sd);
    const double none = std::numeric_limits<double>::infinity();

    const QuadMatrix quad_x = quad_solve(chol, to_quad(b));
    const arma::mat x = to_double(quad_x);
    arma::mat y = b;
    inverse.solve(y);
    ours[0] = error_of(y, x);
    dense[0] = none;
    if (decomposed) dense[0] = error_of(arma::solve(arma::trimatu(R), arma::solve(arma::trimatl(R.t()), b)), x);

    const double log_det = quad_log_det(chol);
    auto scalar_error = [](double value, double truth) { return std::fabs(value - truth) / std::fabs(truth); };
    ours[1] = scalar_error(inverse.log_det(), log_det);
    const double dense_log_det = decomposed ? 2.0 * arma::accu(arma::log(R.diag())) : none;
    dense[1] = scalar_error(dense_log_det, log_det);

    const double constant = n * std::log(2.0 * arma::datum::pi);
    quad q = 0;
    for (int i = 0; i < n; ++i) q += quad(b(i, 0)) * quad_x(i, 0);
    const double density = -0.5 * (constant + log_det + static_cast<double>(q));
    y = b.col(0);
    ours[2] = scalar_error(-0.5 * (constant + inverse.log_det() + inverse.quadratic(y)[0]), density);
    dense[2] = none;
    if (decomposed) {
      const arma::vec w = arma::solve(arma::trimatl(R.t()), b.col(0));
      dense[2] = scalar_error(-0.5 * (constant + dense_log_det + arma::dot(w, w)), density);
    }

    ours[3] = dense[3] = 0.0;
    if (n > 1) {
      std::vector<int> given, rest;
      for (int i = 0; i < n; ++i) (i % 3 == 0 ? given : rest).push_back(i);
      const QuadMatrix S21 = quad_part(S, given, rest);
      const QuadMatrix L11 = quad_cholesky(quad_part(S, given, given));
      const QuadMatrix K = quad_solve(L11, S21);
      QuadMatrix cov = quad_part(S, rest, rest), mean(static_cast<int>(rest.size()), 1);
      for (int i = 0; i < cov.rows; ++i)
        for (std::size_t k = 0; k < given.size(); ++k) {
          mean(i, 0) += K(k, i) * quad(b(given[k], 0));
          for (int j = 0; j < cov.rows; ++j) cov(i, j) -= S21(k, i) * K(k, j);
        }
      const arma::uvec gi = arma::conv_to<arma::uvec>::from(given), ri = arma::conv_to<arma::uvec>::from(rest);
      const arma::vec seen = b.col(0).eval().elem(gi);
      const covmash::FactorPosterior f = FactorInverse(G.rows(gi), p.D.elem(gi)).posterior(seen);
      const arma::mat root = p.L * f.root;
      arma::mat fcov = p.B.rows(ri) * (root * root.t()) * p.B.rows(ri).t();
      fcov.diag() += p.D.elem(ri);
      ours[3] = std::max(error_of(G.rows(ri) * f.mean, to_double(mean)), error_of(fcov, to_double(cov)));
      arma::mat R11;
      dense[3] = none;
      if (arma::chol(R11, Sd(gi, gi))) {
        const arma::mat W = arma::solve(arma::trimatl(R11.t()), Sd(gi, ri));
        const arma::vec w = arma::solve(arma::trimatl(R11.t()), seen);
        dense[3] = std::max(error_of(W.t() * w, to_double(mean)), error_of(Sd(ri, ri) - W.t() * W, to_double(cov)));
      }
    }

    QuadMatrix unit(n, n);
    for (int i = 0; i < n; ++i) unit(i, i) = 1;
    const QuadMatrix P = quad_solve(chol, unit);
    QuadMatrix partial(n, n);
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) partial(i, j) = i == j ? quad(1) : -P(i, j) / root(P(i, i) * P(j, j));
    ours[4] = error_of(partial_correlations(inverse), to_double(partial));
    arma::mat Pd;
    dense[4] = arma::inv_sympd(Pd, Sd) ? error_of(partial_from_precision(Pd), to_double(partial)) : none;

    const arma::vec values = quad_eigenvalues(S);
    ours[5] = relative_error(covmash::factor_eigenvalues(G, p.D), values);
    dense[5] = relative_error(arma::sort(arma::eig_sym(Sd), "descend"), values);

    bool all_within = true;
    for (int k = 0; k < 6; ++k) {
      worst[k] = std::max(worst[k], ours[k]);
      worst_dense[k] = std::max(worst_dense[k], dense[k]);
      all_within = all_within && ours[k] <= 1e-9;
      EXPECT_TRUE(ours[k] <= 1e-9 || ours[k] <= dense[k])
          << names[k] << " in case " << c << " (N " << n << ", K " << p.B.n_cols << "): error " << ours[k] << ", dense "
          << dense[k];
    }
    within += all_within;
  }
  EXPECT_GE(within, 450);
  RecordProperty("within_1e9", within);
  std::cout << within << " of " << cases << " cases have all six quantities within 1e-9 of the truth.\n";
  for (int k = 0; k < 6; ++k)
    std::cout << "  " << names[k] << ": largest error " << worst[k] << " (dense: " << worst_dense[k] << ")\n";
}
#endif

#if COVMASH_HAVE_QUAD
// However small the noise of some genes is: entries of the inverse, relative to the roots of its diagonal, its diagonal
// and its products are good to about eps cond, cond that of the matrix scaled to unit variances.
TEST(FactorInverse, SmallNoiseCostsNoDigitsAgainstQuadPrecision) {
  std::mt19937 g(57);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  covmash::SerialExecutor serial;
  double worst = 0.0;
  int bordered = 0;
  for (int c = 0; c < 300; ++c) {
    const int n = 1 + c % 23, K = c % 7 == 0 ? n + 2 : 1 + c % 5;
    arma::mat G = reference::draw(g, n, K);
    arma::vec noise(n);
    for (double& d : noise) d = uniform(g) < 0.5 ? uniform(g) + 0.1 : std::pow(10.0, -34.0 * uniform(g));
    if (c % 11 == 0) noise.fill(std::pow(10.0, -3.0 * (c % 10)));
    if (c % 13 == 0) noise[n / 2] = 0.0;
    if (c % 3 == 0)
      for (int i = 0; i < n; ++i) {  // any unit
        const double unit = std::pow(10.0, 60.0 * uniform(g) - 30.0);
        G.row(i) *= unit;
        noise[i] *= unit * unit;
      }
    const QuadMatrix S = quad_sigma(G, arma::eye(K, K), noise), chol = quad_cholesky(S);
    QuadMatrix unit(n, n);
    for (int i = 0; i < n; ++i) unit(i, i) = 1;
    const QuadMatrix P = quad_solve(chol, unit);
    // Scaled to unit variances.
    arma::mat truth(n, n), scaled(n, n), inverse_scaled(n, n), size(n, 1);
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) {
        truth(i, j) = static_cast<double>(P(i, j) / root(P(i, i) * P(j, j)));
        scaled(i, j) = static_cast<double>(S(i, j) / root(S(i, i) * S(j, j)));
        inverse_scaled(i, j) = static_cast<double>(P(i, j) * root(S(i, i) * S(j, j)));
      }
    const double condition = arma::norm(scaled, "fro") * arma::norm(inverse_scaled, "fro");
    if (!(condition < 1e14)) continue;
    const FactorInverse inverse(G, noise);
    ASSERT_FALSE(inverse.singular());
    bordered += !inverse.border().is_empty();
    const double allowed = 1e-14 * condition;
    const arma::vec diagonal = inverse.precision_diagonal(inverse.border_columns(serial));
    arma::mat X(n, n, arma::fill::eye);
    inverse.solve(X, serial);
    double error = arma::abs(partial_correlations(inverse) + truth - 2.0 * arma::eye(n, n)).max();
    for (int i = 0; i < n; ++i) {
      error = std::max(error, std::fabs(diagonal[i] / static_cast<double>(P(i, i)) - 1.0));
      for (int j = 0; j < n; ++j)
        error = std::max(error, static_cast<double>(absolute((quad(X(i, j)) - P(i, j)) / root(P(i, i) * P(j, j)))));
    }
    worst = std::max(worst, error / condition);
    EXPECT_LE(error, allowed) << "case " << c << ", N " << n << ", K " << K << ", condition " << condition;
    EXPECT_NEAR(inverse.log_det(), quad_log_det(chol), allowed * n);
  }
  EXPECT_GT(bordered, 100);
  std::cout << "largest error / condition " << worst << ", " << bordered << " cases with a border\n";
}
#endif

// Long-hand: Sigma = (1 + 1e-20, 1; 1, 2), of condition 6.9.
TEST(FactorInverse, OneGeneWithHardlyAnyNoise) {
  const FactorInverse inverse(arma::mat(2, 1, arma::fill::ones), {1e-20, 1.0});
  arma::mat y = arma::vec{1.0, -1.0};
  inverse.solve(y);
  EXPECT_NEAR(y[0], 3.0, 1e-14);
  EXPECT_NEAR(y[1], -2.0, 1e-14);
  ASSERT_EQ(inverse.border().n_elem, 1u);
  EXPECT_EQ(inverse.border()[0], 0u);
}

// Eighteen genes on seventeen dimensions, with next to no noise: singular to rounding, but not a fault of the border.
TEST(FactorInverse, GenesThatAreNearlyFunctionsOfEachOther) {
  std::mt19937 g(58);
  arma::mat G = reference::draw(g, 24, 23);
  const arma::vec noise(24, arma::fill::value(1e-30));
  const FactorInverse inverse(G, noise);
  arma::mat y = reference::draw(g, 24, 1);
  inverse.solve(y);
  EXPECT_TRUE(y.is_finite());
}

TEST(FactorInverse, WithoutFactorsGenesOrColumns) {
  covmash::SerialExecutor serial;
  for (const arma::vec& noise : {arma::vec{2.0}, arma::vec{2.0, 3.0}, arma::vec{0.0, 1.0}, arma::vec{0.0}}) {
    const arma::uword n = noise.n_elem;
    const FactorInverse inverse(arma::mat(n, 0), noise);
    EXPECT_EQ(inverse.singular(), noise.min() == 0.0);
    if (inverse.singular()) {
      EXPECT_EQ(inverse.log_det(), -std::numeric_limits<double>::infinity());
      continue;
    }
    EXPECT_NEAR(inverse.log_det(), arma::accu(arma::log(noise)), 1e-15);
    arma::mat y(n, 2, arma::fill::ones), none(n, 0);
    inverse.solve(y, serial);
    inverse.solve(none);
    inverse.solve(none, serial);
    EXPECT_LT(largest_difference(y.col(1), 1.0 / noise), 1e-15);
    EXPECT_EQ(inverse.quadratic(none).n_elem, 0u);
    EXPECT_EQ(inverse.expected_factors(arma::mat(n, 3, arma::fill::ones)).n_rows, 0u);
    EXPECT_EQ(inverse.posterior(arma::vec(n, arma::fill::ones)).mean.n_elem, 0u);
    EXPECT_EQ(inverse.log_density(arma::mat(0, n), serial).n_elem, 0u);
    EXPECT_EQ(inverse.precision_factor().n_cols, 0u);
    EXPECT_LT(largest_difference(inverse.precision_diagonal(inverse.border_columns(serial)), 1.0 / noise), 1e-15);
  }
  // One gene without noise: all of it is the factor.
  const FactorInverse one(arma::mat(1, 1, arma::fill::value(2.0)), {0.0});
  arma::mat y(1, 1, arma::fill::value(8.0));
  one.solve(y);
  EXPECT_EQ(y[0], 2.0);
  EXPECT_EQ(FactorInverse(arma::mat(0, 0), arma::vec()).log_det(), 0.0);
  EXPECT_EQ(FactorInverse(arma::mat(0, 2), arma::vec()).log_det(), 0.0);
}

TEST(FactorInverse, NoiselessGenesAreTakenExactly) {
  std::mt19937 g(31);
  covmash::SerialExecutor serial;
  for (int repeat = 0; repeat < 40; ++repeat) {
    const int n = 2 + repeat % 9, q = 1 + repeat % 5;
    const arma::mat G = reference::draw(g, n, q);
    arma::vec noise = arma::abs(reference::draw(g, n, 1)) + 0.1;
    const int zeros = std::min({q, n, 1 + repeat % 4});
    for (int z = 0; z < zeros; ++z) noise[(7 * z + repeat) % n] = 0.0;
    arma::mat S = G * G.t();
    S.diag() += noise;
    const FactorInverse inverse(G, noise);
    ASSERT_FALSE(inverse.singular());
    arma::mat X = arma::eye(n, n);
    inverse.solve(X);
    const arma::mat P = arma::inv(S);
    EXPECT_LT(largest_difference(X, P), 1e-7);
    EXPECT_LT(largest_difference(S * X, arma::eye(n, n)), 1e-7);
    EXPECT_NEAR(inverse.log_det(), arma::log_det(S).real(), 1e-7);
    EXPECT_LT(largest_difference(inverse.precision_diagonal(inverse.border_columns(serial)), P.diag()), 1e-7);
    const arma::vec y = reference::draw(g, n, 1);
    arma::mat Y = y;
    EXPECT_NEAR(inverse.quadratic(Y)[0] / arma::as_scalar(y.t() * P * y), 1.0, 1e-7);
    const covmash::FactorPosterior f = inverse.posterior(y);
    EXPECT_LT(largest_difference(f.mean, G.t() * P * y), 1e-7);
    EXPECT_LT(largest_difference(f.root * f.root.t(), arma::eye(q, q) - G.t() * P * G), 1e-7);
  }
}

TEST(FactorInverse, SingularCovariancesNameTheirGenes) {
  const arma::mat G = {{1.0, 0.0}, {2.0, 0.0}, {0.0, 1.0}, {1.0, 1.0}};
  const FactorInverse inverse(G, {0.0, 0.0, 1.0, 1.0});
  EXPECT_TRUE(inverse.singular());
  ASSERT_EQ(inverse.dependent().size(), 1u);
  EXPECT_LE(inverse.dependent()[0], 1u);
  EXPECT_EQ(inverse.log_det(), -std::numeric_limits<double>::infinity());
  arma::mat y(4, 1, arma::fill::ones);
  EXPECT_THROW(inverse.solve(y), covmash::numeric_error);
  EXPECT_EQ(FactorInverse(G, arma::zeros(4)).dependent().size(), 2u);
  EXPECT_FALSE(FactorInverse(G, {0.0, 1.0, 0.0, 1.0}).singular());
  EXPECT_TRUE(FactorInverse(arma::zeros(2, 1), {0.0, 1.0}).singular());
  EXPECT_THROW(FactorInverse(G, {1.0, 1.0, -1.0, 1.0}), covmash::input_error);
  EXPECT_THROW(FactorInverse(G, {1.0, 1.0}), covmash::input_error);
}

TEST(FactorInverse, DensityDoesNotDependOnThreads) {
  std::mt19937 g(32);
  const arma::mat G = reference::draw(g, 400, 5);
  arma::vec noise = arma::abs(reference::draw(g, 400, 1)) + 0.5;
  noise[17] = 0.0;
  const FactorInverse inverse(G, noise);
  const arma::mat X = reference::draw(g, 2000, 400);
  covmash::SerialExecutor serial;
  covmash::ThreadExecutor threads(3);
  const arma::vec a = inverse.log_density(X, serial), b = inverse.log_density(X, threads);
  EXPECT_TRUE(arma::all(a == b));
  const arma::mat S = arma::cov(X);
  EXPECT_EQ(inverse.trace(S, serial), inverse.trace(S, threads));
}

TEST(FactorInverse, MeanLogDensityIsThatOfTheSamples) {
  std::mt19937 g(36);
  covmash::SerialExecutor serial;
  for (bool noiseless : {false, true}) {
    const arma::mat G = reference::draw(g, 70, 4), X = reference::draw(g, 90, 70);
    arma::vec noise = arma::abs(reference::draw(g, 70, 1)) + 0.2;
    if (noiseless) noise[3] = 0.0;
    const FactorInverse inverse(G, noise);
    const arma::mat S = X.t() * X / 90.0;
    const arma::mat Sigma = G * G.t() + arma::diagmat(noise);
    EXPECT_NEAR(inverse.trace(S, serial) / arma::trace(arma::solve(Sigma, S)), 1.0, 1e-11);
    EXPECT_NEAR(inverse.mean_log_density(S, serial) / arma::mean(inverse.log_density(X, serial)), 1.0, 1e-12);
  }
}

TEST(FactorInverse, FactorsOfManySamplesAreThoseOfEach) {
  std::mt19937 g(37);
  for (bool noiseless : {false, true}) {
    const arma::mat G = reference::draw(g, 12, 3), Y = reference::draw(g, 12, 5);
    arma::vec noise = arma::abs(reference::draw(g, 12, 1)) + 0.2;
    if (noiseless) noise[3] = 0.0;
    const FactorInverse inverse(G, noise, nullptr, covmash::Purpose::density);
    const arma::mat Sigma = G * G.t() + arma::diagmat(noise), f = inverse.expected_factors(Y);
    EXPECT_LT(largest_difference(f, FactorInverse(G, noise).expected_factors(Y)), 1e-13);
    EXPECT_LT(largest_difference(f, G.t() * arma::solve(Sigma, Y)), 1e-12);
    for (arma::uword j = 0; j < 5; ++j)
      EXPECT_LT(largest_difference(f.col(j), inverse.posterior(Y.col(j)).mean), 1e-15);
    EXPECT_EQ(inverse.identified(), !noiseless);
    if (noiseless) {
      EXPECT_THROW(inverse.least_squares_factors(Y), covmash::input_error);
      continue;
    }
    const arma::mat W = arma::diagmat(1.0 / noise) * G;
    EXPECT_LT(largest_difference(inverse.least_squares_factors(Y), arma::solve(G.t() * W, W.t() * Y)), 1e-12);
  }
  EXPECT_FALSE(FactorInverse(reference::draw(g, 2, 3), arma::ones(2)).identified());
  EXPECT_FALSE(FactorInverse(arma::ones(5, 2), arma::ones(5)).identified());
}
