#pragma once
// Cholesky factors L L' = A (n x n), row by row: one loop for every scalar one, in doubles or pairs of doubles, of a
// whole matrix or of a panel of columns, n^3 / 3 flops; and what is made of them.
//
// In double precision the factor of an ill-conditioned covariance C, and with it every log-likelihood, is off by about
// eps cond(C): 1e-6 at a condition of 5e10. Entries that are merely rounded cost eps sqrt(cond(C)), which is all that
// the whitened data can be good to anyway. So the factorization of such a C runs in pairs of doubles (106 bits): about
// 20 times the time of the plain one, once for each pattern of observed conditions. Dekker 1971,
// doi:10.1007/BF01397083.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "../base/buffer.h"
#include "../base/executor.h"
#include "panel.h"

namespace covmash {

// ---- the loop ----------------------------------------------------------------------------------------------------

// a - x y, for every kind of number.
inline double minus_product(double a, double x, double y) { return a - x * y; }

// The first `columns` columns of L, m rows of them (m > columns: the rows below a diagonal block). row(r) points to row
// r of L; entry(r, c), c <= r, is A. off_diagonal(a, d) makes an entry of what the columns before it leave of A, d being
// what stands on the diagonal of its column: a / d, or a * d where reciprocals stand there. pivot(r, a, d) sets the
// diagonal from what is left of A(r, r), or returns false to give up.
template <typename Row, typename Entry, typename OffDiagonal, typename Pivot>
bool cholesky(std::size_t m, std::size_t columns, Row&& row, Entry&& entry, OffDiagonal&& off_diagonal, Pivot&& pivot) {
  for (std::size_t r = 0; r < m; ++r) {
    auto* own = row(r);
    for (std::size_t c = 0; c < std::min(r + 1, columns); ++c) {
      const auto* other = row(c);
      auto a = entry(r, c);
      for (std::size_t k = 0; k < c; ++k) a = minus_product(a, own[k], other[k]);
      if (c < r) {
        own[c] = off_diagonal(a, other[c]);
      } else if (!pivot(r, a, own[r])) {
        return false;
      }
    }
  }
  return true;
}

// Where rows are: L(r, c) = data[r (r + 1) / 2 + c], or data[r stride + c].
template <typename Number>
auto packed_rows(Number* data) {
  return [data](std::size_t r) { return data + r * (r + 1) / 2; };
}
template <typename Number>
auto strided_rows(Number* data, std::size_t stride) {
  return [data, stride](std::size_t r) { return data + r * stride; };
}

// off_diagonal for a diagonal of reciprocals, and for the diagonal itself.
constexpr auto by_reciprocal = [](double a, double d) { return a * d; };
constexpr auto by_diagonal = [](double a, double d) { return a / d; };

// ---- with the factor; its diagonal itself ------------------------------------------------------------------------

// x <- L^-1 x
template <typename Row>
void forward_substitute(std::size_t n, Row&& row, double* x) {
  for (std::size_t r = 0; r < n; ++r) {
    const double* l = row(r);
    double a = x[r];
    for (std::size_t k = 0; k < r; ++k) a -= l[k] * x[k];
    x[r] = a / l[r];
  }
}

// x <- L'^-1 x
template <typename Row>
void back_substitute(std::size_t n, Row&& row, double* x) {
  for (std::size_t r = n; r-- > 0;) {
    double a = x[r];
    for (std::size_t k = r + 1; k < n; ++k) a -= row(k)[r] * x[k];
    x[r] = a / row(r)[r];
  }
}

// The lower triangle of L^-1, rows at inverse(r).
template <typename Row, typename Inverse>
void invert_lower(std::size_t n, Row&& row, Inverse&& inverse) {
  for (std::size_t c = 0; c < n; ++c)
    for (std::size_t r = c; r < n; ++r) {
      double a = r == c ? 1.0 : 0.0;
      for (std::size_t k = c; k < r; ++k) a -= row(r)[k] * inverse(k)[c];
      inverse(r)[c] = a / row(r)[r];
    }
}

// ---- large matrices ----------------------------------------------------------------------------------------------

// L of S (p x p, of which the lower triangle is read), row-major, in panels of 32 columns: nearly all of the p^3 / 3 flops
// are in products, and between panels it listens. pivot(r, a, d) as in cholesky(). Memory p^2.
template <typename Pivot>
bool panel_cholesky(const double* S, std::size_t p, double* L, Pivot&& pivot, Executor& executor) {
  constexpr std::size_t width = 32;
  Buffer<double> X(p * width), Y(p * width);
  for (std::size_t first = 0; first < p; first += width) {
    executor.checkpoint();
    const std::size_t columns = std::min(width, p - first), rows = p - first;
    // What the columns to the left explain.
    for (std::size_t k = 0; k < first; ++k)
      for (std::size_t j = 0; j < width; ++j) X[k * width + j] = j < columns ? L[(first + j) * p + k] : 0.0;
    if (first > 0)
      multiply_into(rows, first, row_major(L + first * p, p), X.data(), width, width, Y.data(), width, executor);
    const auto S_at = [&](std::size_t i, std::size_t j) { return S[(first + j) * p + first + i]; };
    const bool positive = cholesky(
        rows, columns, strided_rows(L + first * p + first, p),
        [&](std::size_t i, std::size_t j) { return first > 0 ? S_at(i, j) - Y[i * width + j] : S_at(i, j); },
        by_diagonal, [&](std::size_t i, double a, double& diagonal) { return pivot(first + i, a, diagonal); });
    if (!positive) return false;
  }
  return true;
}

// log|S|. NaN if S is singular to rounding: a pivot below p eps of its diagonal.
inline double log_determinant(const double* S, std::size_t p, Executor& executor) {
  Buffer<double> L(p * p);
  double log_det = 0.0;
  const double tiny = static_cast<double>(p) * std::numeric_limits<double>::epsilon();
  const auto pivot = [&](std::size_t r, double a, double& diagonal) {
    if (!(a > tiny * S[r * p + r])) return false;
    log_det += std::log(a);
    diagonal = std::sqrt(a);
    return true;
  };
  return panel_cholesky(S, p, L.data(), pivot, executor) ? log_det : std::numeric_limits<double>::quiet_NaN();
}

// The lower factor of C; false if C is not positive definite. LAPACK's, which cannot be interrupted, where it takes no time.
// Stays in the thread that calls it.
inline bool lower_cholesky(arma::mat& lower, const arma::mat& C, Executor* executor) {
  const std::size_t n = C.n_rows;
  if (n < 512) return arma::chol(lower, C, "lower");
  Buffer<double> L(n * n);
  const auto pivot = [](std::size_t, double a, double& diagonal) {
    if (!(a > 0.0)) return false;
    diagonal = std::sqrt(a);
    return true;
  };
  InnerExecutor inner(executor);
  if (!panel_cholesky(C.memptr(), n, L.data(), pivot, inner)) return false;
  lower.zeros(n, n);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c <= r; ++c) lower.at(r, c) = L[r * n + c];
  return true;
}

// L^-1 X, some columns at a time where all of them would take long.
inline arma::mat solve_lower(const arma::mat& L, const arma::mat& X, Executor* executor) {
  const arma::uword n = L.n_rows, step = std::max<arma::uword>(1, 50000000 / std::max<arma::uword>(1, n * n));
  if (X.n_cols <= step) return arma::solve(arma::trimatl(L), X, arma::solve_opts::fast);
  arma::mat out(n, X.n_cols);
  for (arma::uword from = 0; from < X.n_cols; from += step) {
    checkpoint(executor);
    const arma::uword last = std::min(X.n_cols, from + step) - 1;
    out.cols(from, last) = arma::solve(arma::trimatl(L), X.cols(from, last), arma::solve_opts::fast);
  }
  return out;
}

// L'^-1 X
inline arma::mat solve_lower_transposed(const arma::mat& L, const arma::mat& X) {
  return arma::solve(arma::trimatu(L.t()), X, arma::solve_opts::fast);
}

// (L L')^-1
inline arma::mat inverse_of_cholesky(const arma::mat& L, Executor* executor) {
  const arma::mat inverse = solve_lower(L, arma::eye(arma::size(L)), executor);
  return arma::symmatu(inverse.t() * inverse);
}

// ---- ill-conditioned matrices ------------------------------------------------------------------------------------

namespace detail {

// high + low, |low| at most half a unit in the last place of high.
struct DoublePair {
  double high = 0.0, low = 0.0;
};

inline DoublePair ordered_sum(double a, double b) {  // |a| >= |b|
  const double s = a + b;
  return {s, b - (s - a)};
}

// a - x y
inline DoublePair minus_product(DoublePair a, DoublePair x, DoublePair y) {
  const double p = -x.high * y.high;
  const double p_low = -std::fma(x.high, y.high, p) - (x.high * y.low + x.low * y.high);
  const double s = a.high + p, b = s - a.high;
  const double s_low = (a.high - (s - b)) + (p - b);
  return ordered_sum(s, s_low + (a.low + p_low));
}

inline DoublePair quotient(DoublePair a, DoublePair b) {
  const double q = a.high / b.high;
  return ordered_sum(q, minus_product(a, {q, 0.0}, b).high / b.high);
}

inline DoublePair square_root(DoublePair a) {
  const double s = std::sqrt(a.high);
  return ordered_sum(s, minus_product(a, {s, 0.0}, {s, 0.0}).high / (2.0 * s));
}

}  // namespace detail

// Whether the plain factorization of C would be too far off. Its error in a log-likelihood is about eps times the sum
// of C_rr (C^-1)_rr, the variance inflation factors, none of which is larger in a principal submatrix of C.
inline bool ill_conditioned(const arma::mat& C, Executor* executor = nullptr) {
  arma::mat L;
  if (!lower_cholesky(L, C, executor)) return true;
  const arma::mat scaled = arma::diagmat(arma::sqrt(C.diag()));
  const arma::mat X = solve_lower(L, scaled, executor);
  return !(arma::accu(arma::square(X)) <= 1000.0 + 10.0 * static_cast<double>(C.n_rows));
}

// Lower factor of C by packed rows, every entry good to nearly the last bit; false if C is not positive definite.
inline bool accurate_cholesky(const arma::mat& C, std::vector<double>& packed, Executor* executor = nullptr) {
  using detail::DoublePair;
  const std::size_t R = C.n_rows;
  std::vector<DoublePair> L(R * (R + 1) / 2);
  const bool positive = cholesky(
      R, R, packed_rows(L.data()),
      [&](std::size_t r, std::size_t c) {
        return DoublePair{C(r, c), 0.0};
      },
      detail::quotient,
      [executor](std::size_t r, DoublePair a, DoublePair& diagonal) {
        if (r % 8 == 7) checkpoint(executor);
        if (!(a.high > 0.0)) return false;
        diagonal = detail::square_root(a);
        return true;
      });
  if (!positive) return false;
  packed.resize(L.size());
  for (std::size_t i = 0; i < L.size(); ++i) packed[i] = L[i].high;
  return true;
}

}  // namespace covmash
