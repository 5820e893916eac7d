#pragma once
// M-steps of a deconvolution: a new covariance U from the moments of the E-step (expectation.h), one function a step.
// N = mass; R conditions, rank q.
//
//   extreme deconvolution   F+ = F chol( I + F' (X - H) F / N )',   U = F F'
//       Any noise; keeps the rank, and is positive semi-definite by construction. 2 R^2 q + 4 R q^2 flops. The step of
//       Bovy, Hogg & Roweis 2011 (doi:10.1214/10-AOAS439, equations 15-18 with means fixed at 0), on the factor.
//   ridge                   U+ = (N U + w I) / (N + 1)
//       Their prior on covariances (section 4 there), after a step.
//   truncated               U+ = Q (D - I)_+ Q',   S = Q D Q' = sum gamma y y' / N
//       Noise I; of any rank: the exact maximiser. Some 10 R^3 flops. Yang, Carbonetto, Gerard & Stephens 2024,
//       arXiv:2406.08784.
//   penalised               U+ = Q diag(e) Q',   S = Q D Q',   e from d by penalty.h
//       Noise I; the exact maximiser under a penalty, or of a rank that is given.
//   completed               as the one before, in units of v,   S = T + T (X - H) T / N,   T = v I + U
//       Noise of at least v I in every effect, on what is observed of it. EM whose missing data are the effects with noise
//       v I and nothing missing: S is their expected second moment. v = 0 is extreme deconvolution; the larger v, the less
//       is missing. 4 R^3 flops and an eigenproblem.
//   minorised               U+ = L^-T (L' P L)^(1/2) L^-1,   L L' = H + lambda U^-1,   P = U X U + lambda s I
//       Any noise, and either penalty. Maximises a bound that touches the objective at U: log |V + U| and log |U| by their
//       tangents, y' (V + U)^-1 y by the cheapest split of y into noise and effect. Never leaves the null space of U. Some
//       25 R^3 flops.
//   factor                  U = Q Q' + diag(D)
//       Any noise; steps of EM of a factor analysis (Rubin & Thayer 1982, doi:10.1007/BF02293851) of what extreme
//       deconvolution would make of U. 4 R^2 q flops a step.
//   loadings                F+ = F + G^-1 (X - H) F,   U = F F'
//       Any noise, few columns; the step of EM for y = F f + e where F has one column or all effects have the same noise,
//       else of a bound that touches the objective. Some 10 R^3 flops. Under noise I, G gives way to the exact second moments
//       of f: F+ = S B' (I - B F + B S B')^-1, B = F' (I + F F')^-1.
//   scaled                  U = c U_0
//       Noise I: the best c of all, from the stationary points of N sum_i ( log(1 + c u_i) + d_i / (1 + c u_i) ), u_i the
//       eigenvalues of U_0 and d_i the variances of the effects along its eigenvectors. Any noise: the minorised step,
//       c+ = c ( tr(U X) / tr(U H) )^(1/2).

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <string>

#include "../base/error.h"
#include "../linalg/cholesky.h"
#include "../linalg/product.h"
#include "../linalg/spectra.h"
#include "../linalg/polynomial.h"
#include "expectation.h"
#include "penalty.h"

namespace covmash {

namespace detail {

// A root of a matrix that is positive definite but for rounding: U of a step before so large against the noise that
// I - F' H F / N has no digit left in some directions. They get the smallest variance that rounding leaves room for,
// from which the next steps, with a smaller U, find the right one.
inline arma::mat root_beyond_rounding(const arma::mat& A, std::size_t component) {
  arma::vec values;
  arma::mat vectors;
  // Rounding in F' H F / N, which is below I, does not reach that far.
  if (!A.is_finite() || !arma::eig_sym(values, vectors, A) || values[0] < -0.5)
    throw numeric_error("the update of ", at::component(component), " is not positive definite");
  const double floor =
      static_cast<double>(A.n_rows) * std::numeric_limits<double>::epsilon() * std::max(1.0, values[values.n_elem - 1]);
  for (double& v : values) v = std::sqrt(std::max(v, floor));
  return vectors * arma::diagmat(values);
}

}  // namespace detail

// U = F F' is renewed together with its factor; component: its index, for messages.
inline void extreme_deconvolution_step(const ComponentMoments& moments, std::size_t component, arma::mat& F,
                                       arma::mat& U, Executor* executor = nullptr) {
  if (F.is_empty()) return;  // U = 0
  arma::mat A = transposed_product(F, product((moments.X - moments.H) / moments.mass, F, executor), executor);
  A.diag() += 1.0;
  A = arma::symmatu(A);
  arma::mat L;
  if (!lower_cholesky(L, A, executor)) L = detail::root_beyond_rounding(A, component);
  F = product(F, L, executor);
  U = product_transposed(F, F, executor);
}

inline void ridge_step(double mass, double ridge, arma::mat& F, arma::mat& U, Executor* executor = nullptr) {
  U *= mass / (mass + 1.0);
  U.diag() += ridge / (mass + 1.0);
  if (!lower_cholesky(F, U, executor)) throw numeric_error("a covariance with a ridge is not positive definite");
}

// moments: of the effects. Eigenvalues of U below `floor` become it.
inline void truncated_step(const ComponentMoments& moments, std::size_t component, double floor, arma::mat& U,
                           Executor* executor = nullptr) {
  arma::vec values;
  arma::mat vectors;
  InnerExecutor inner(executor);
  if (!symmetric_eigen(moments.X / moments.mass, values, vectors, inner))
    throw numeric_error("the eigenvalues of component " + std::to_string(component + 1) + " could not be computed");
  for (double& v : values) v = v > 1.0 ? v - 1.0 : floor;
  U = arma::symmatu(product_transposed(vectors * arma::diagmat(values), vectors, executor));
}

// S: of the effects, sum gamma y y' / N. U has at most this rank. Returns the eigenvalues of U, those of rank 0 included.
inline arma::vec penalised_step(const arma::mat& S, double mass, const Penalty& penalty, double scale, arma::uword rank,
                                std::size_t component, arma::mat& U, Executor* executor = nullptr) {
  arma::vec values;
  arma::mat vectors;
  InnerExecutor inner(executor);
  if (!symmetric_eigen(S, values, vectors, inner))
    throw numeric_error("the eigenvalues of ", at::component(component), " could not be computed");
  const arma::uword R = values.n_elem;
  for (arma::uword i = 0; i < R; ++i)
    values[i] = i + rank < R ? 0.0 : penalty.eigenvalue(mass, std::max(values[i], 0.0), scale);
  if (!values.is_finite()) throw numeric_error("the update of ", at::component(component), " is not finite");
  U = arma::symmatu(product_transposed(vectors * arma::diagmat(values), vectors, executor));
  return values;
}

inline arma::mat completed_square(const ComponentMoments& moments, double v, const arma::mat& U,
                                  Executor* executor = nullptr) {
  arma::mat T = U;
  T.diag() += v;
  return arma::symmatu(T + product(product(T, (moments.X - moments.H) / moments.mass, executor), T, executor));
}

// False where H + lambda U^-1 is singular, because no effect of the component has a condition observed.
inline bool minorised_step(const ComponentMoments& moments, const Penalty& penalty, double scale, arma::mat& U,
                           Executor* executor = nullptr) {
  arma::mat H = moments.H, P = arma::symmatu(product(product(U, moments.X, executor), U, executor));
  if (penalty.active()) {
    arma::mat root;
    if (!lower_cholesky(root, U, executor)) return false;
    if (penalty.kind == PenaltyKind::inverse_wishart) {
      H += penalty.lambda * inverse_of_cholesky(root, executor);
      P.diag() += penalty.lambda * scale;
    } else {
      H.diag() += penalty.lambda * Penalty::share / scale;
      P.diag() += penalty.lambda * (1.0 - Penalty::share) * scale;
    }
  }
  arma::mat L, vectors;
  if (!lower_cholesky(L, arma::symmatu(H), executor)) return false;
  arma::vec values;
  InnerExecutor inner(executor);
  if (!symmetric_eigen(arma::symmatu(product(transposed_product(L, P, executor), L, executor)), values, vectors, inner))
    return false;
  for (double& v : values) v = std::sqrt(std::sqrt(std::max(v, 0.0)));
  const arma::mat G = solve_lower_transposed(L, vectors * arma::diagmat(values));
  U = arma::symmatu(product_transposed(G, G, executor));
  return U.is_finite();
}

// Q and D of U = Q Q' + diag(D), from `target`, a covariance that they are to come near; `steps` steps of EM. No variance
// is lowered below `floor` times that of the target or `least`; one that is lower stays, for raising it would cost. False
// where a matrix is singular to rounding.
inline bool factor_step(const arma::mat& target, int steps, double floor, double least, arma::mat& Q, arma::vec& D,
                        Executor* executor = nullptr) {
  const arma::mat I(Q.n_cols, Q.n_cols, arma::fill::eye);
  for (int step = 0; step < steps; ++step) {
    checkpoint(executor);
    arma::mat scaled = Q, L;
    scaled.each_col() /= D;
    if (!lower_cholesky(L, arma::symmatu(Q.t() * scaled + I), executor)) return false;
    const arma::mat inner = inverse_of_cholesky(L, executor);  // the variances of the factors given the effects
    const arma::mat B = inner * scaled.t(), TB = target * B.t();
    if (!lower_cholesky(L, arma::symmatu(inner + B * TB), executor)) return false;
    Q = solve_lower_transposed(L, solve_lower(L, TB.t(), executor)).t();
    for (arma::uword r = 0; r < D.n_elem; ++r) {
      const double lowest = std::min(D[r], std::max(floor * target.at(r, r), least));
      D[r] = std::max(target.at(r, r) - arma::dot(Q.row(r), TB.row(r)), lowest);
    }
    if (!Q.is_finite() || !D.is_finite()) return false;
  }
  return true;
}

// Where G is singular, because no effect of the component has some condition observed, F stays.
inline bool loadings_step(const ComponentMoments& moments, arma::mat& F, Executor* executor = nullptr) {
  arma::vec values;
  arma::mat vectors;
  InnerExecutor inner(executor);
  if (!symmetric_eigen(moments.G, values, vectors, inner)) return false;
  arma::mat step = transposed_product(vectors, product(moments.X - moments.H, F, executor), executor);
  const double least = 1e-13 * values.max();
  for (arma::uword i = 0; i < values.n_elem; ++i) step.row(i) *= values[i] > least ? 1.0 / values[i] : 0.0;
  F += product(vectors, step, executor);
  return F.is_finite();
}

// Noise I; S: of the effects.
inline bool loadings_step(const arma::mat& S, arma::mat& F, Executor* executor = nullptr) {
  arma::mat L;
  if (!lower_cholesky(L, arma::symmatu(F.t() * F + arma::eye(F.n_cols, F.n_cols)), executor)) return false;
  const arma::mat inner = inverse_of_cholesky(L, executor), B = inner * F.t(), SB = S * B.t();  // I - B F = inner
  if (!lower_cholesky(L, arma::symmatu(inner + B * SB), executor)) return false;
  F = solve_lower_transposed(L, solve_lower(L, SB.t(), executor)).t();
  return F.is_finite();
}

// The best c >= 0 under noise I. values: eigenvalues of U_0; variances: of the effects along its eigenvectors.
inline double best_scale(const arma::vec& values, const arma::vec& variances) {
  // Along eigenvector i alone the best is c_i; the best of all is between the smallest and the largest of these.
  std::vector<double> ends = {0.0};
  for (arma::uword i = 0; i < values.n_elem; ++i)
    if (values[i] > 0.0 && variances[i] > 1.0) ends.push_back((variances[i] - 1.0) / values[i]);
  std::sort(ends.begin(), ends.end());
  const auto slope = [&](double c, double& curvature) {
    double sum = curvature = 0.0;
    for (arma::uword i = 0; i < values.n_elem; ++i) {
      const double t = 1.0 + c * values[i], u = values[i] / t;
      sum += u * (1.0 - variances[i] / t);
      curvature += u * u * (2.0 * variances[i] / t - 1.0);
    }
    return sum;
  };
  const auto objective = [&](double c) {
    double sum = 0.0;
    for (arma::uword i = 0; i < values.n_elem; ++i) {
      const double t = 1.0 + c * values[i];
      sum += std::log(t) + variances[i] / t;
    }
    return sum;
  };
  constexpr int pieces = 32;
  double best = 0.0, least = objective(0.0), ignored;
  const auto consider = [&](double c) {
    const double value = objective(c);
    if (value < least) {
      least = value;
      best = c;
    }
  };
  for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
    const double low = ends[i], high = ends[i + 1];
    double from = low, at_from = slope(from, ignored);
    for (int p = 1; p <= pieces && high > low; ++p) {
      const double t = static_cast<double>(p) / pieces;
      const double to = p == pieces ? high : low > 0.0 ? low * std::pow(high / low, t) : high * t * t;
      const double at_to = slope(to, ignored);
      if ((at_from < 0.0) != (at_to < 0.0)) consider(detail::bracketed_root(from, to, slope));
      from = to;
      at_from = at_to;
    }
    consider(high);
  }
  return best;
}

}  // namespace covmash
