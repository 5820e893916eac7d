#pragma once
// A prior covariance U kept as what it is: U = F F' (+ diag(diagonal)), F of R x q.
//
// recognise() reads the structure off a plain R x R matrix: exact zero variances, diagonal and equicorrelated matrices,
// then the rank by pivoted Cholesky of the matrix scaled to unit diagonal, O(R q^2), where it listens to the executor. Zero variance of a condition is a
// property of the structure (U_rr is exactly 0) and is never inferred from a computed variance.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"

namespace covmash {

enum class Structure { null, singleton, rank1, low_rank, scaled_identity, diagonal, full, low_rank_plus_diagonal };

inline const char* structure_name(Structure s) {
  switch (s) {
    case Structure::null:
      return "null";
    case Structure::singleton:
      return "singleton";
    case Structure::rank1:
      return "rank1";
    case Structure::low_rank:
      return "low_rank";
    case Structure::scaled_identity:
      return "scaled_identity";
    case Structure::diagonal:
      return "diagonal";
    case Structure::full:
      return "full";
    default:
      return "low_rank_plus_diagonal";
  }
}

struct Covariance {
  Structure structure = Structure::null;
  arma::mat factor;                          // R x q
  arma::vec diagonal;                        // R, or empty: no diagonal part
  std::vector<unsigned char> zero_variance;  // R flags

  arma::uword conditions() const { return factor.n_rows; }

  bool has_diagonal() const { return !diagonal.is_empty(); }

  // A factor of the whole matrix: F and a column for every positive element of the diagonal.
  arma::mat whole_factor() const {
    if (!has_diagonal()) return factor;
    const arma::uvec positive = arma::find(diagonal > 0.0);
    const arma::mat roots = arma::diagmat(arma::sqrt(diagonal));
    return arma::join_rows(factor, roots.cols(positive));
  }

  arma::vec variances() const {
    const arma::vec systematic = arma::sum(arma::square(factor), 1);
    return has_diagonal() ? arma::vec(systematic + diagonal) : systematic;
  }

  arma::mat matrix() const {
    arma::mat U = factor * factor.t();
    if (has_diagonal()) U.diag() += diagonal;
    return U;
  }
};

namespace detail {

// One variance and one positive covariance below it.
inline bool equicorrelated(const arma::mat& U) {
  const double variance = U(0, 0), covariance = U(1, 0);
  if (!(covariance > 0.0) || !(covariance < variance)) return false;
  for (arma::uword j = 0; j < U.n_cols; ++j)
    for (arma::uword i = 0; i < U.n_rows; ++i)
      if (U(i, j) != (i == j ? variance : covariance)) return false;
  return true;
}

// Lower factor with pivoting of a unit-diagonal matrix; stops when no pivot exceeds the tolerance, after at least
// `minimum_rank` steps where positive pivots remain.
inline arma::mat pivoted_cholesky(const arma::mat& A, double tolerance, arma::uword minimum_rank, Executor* executor) {
  const arma::uword n = A.n_rows;
  arma::mat L(n, n, arma::fill::zeros);
  arma::vec remaining = A.diag();
  std::vector<unsigned char> used(n, 0);
  arma::uword rank = 0;
  for (; rank < n; ++rank) {
    checkpoint(executor);
    arma::uword pivot = n;
    double best = rank < minimum_rank ? 0.0 : tolerance;
    for (arma::uword i = 0; i < n; ++i)
      if (!used[i] && remaining[i] > best) {
        best = remaining[i];
        pivot = i;
      }
    if (pivot == n) break;
    used[pivot] = 1;
    const double root = std::sqrt(best);
    double* column = L.colptr(rank);
    std::copy_n(A.colptr(pivot), n, column);
    for (arma::uword k = 0; k < rank; ++k) {
      const double* before = L.colptr(k);
      const double x = before[pivot];
      for (arma::uword i = 0; i < n; ++i) column[i] -= before[i] * x;
    }
    for (arma::uword i = 0; i < n; ++i) {
      if (i == pivot) {
        column[i] = root;
      } else {
        column[i] = used[i] ? 0.0 : column[i] / root;
      }
      if (i == pivot || !used[i]) remaining[i] -= column[i] * column[i];
    }
  }
  return L.head_cols(rank);
}

}  // namespace detail

inline Covariance recognise(const arma::mat& U, Executor* executor = nullptr) {
  require(U.is_square(), "a covariance matrix must be square");
  const arma::uword R = U.n_rows;
  Covariance out;
  out.zero_variance.assign(R, 0);
  std::vector<arma::uword> nonzero;
  for (arma::uword r = 0; r < R; ++r) {
    if (U(r, r) == 0.0)
      out.zero_variance[r] = 1;
    else
      nonzero.push_back(r);
    require(U(r, r) >= 0.0, "a covariance matrix has a negative variance in row " + std::to_string(r + 1));
  }
  if (nonzero.empty()) {
    out.factor.set_size(R, 0);
    return out;
  }
  if (nonzero.size() == 1) {
    out.structure = Structure::singleton;
    out.factor.zeros(R, 1);
    out.factor(nonzero[0], 0) = std::sqrt(U(nonzero[0], nonzero[0]));
    return out;
  }
  if (U.is_diagmat()) {
    out.structure = arma::all(U.diag() == U(0, 0)) ? Structure::scaled_identity : Structure::diagonal;
    out.factor.set_size(R, 0);
    out.diagonal = U.diag();
    return out;
  }
  if (detail::equicorrelated(U)) {
    out.structure = Structure::low_rank_plus_diagonal;
    out.factor.set_size(R, 1);
    out.factor.fill(std::sqrt(U(1, 0)));
    out.diagonal.set_size(R);
    out.diagonal.fill(U(0, 0) - U(1, 0));
    return out;
  }

  const arma::uvec index(nonzero);
  const arma::mat block = U.submat(index, index);
  const arma::vec sd = arma::sqrt(block.diag());
  const arma::mat scaled = block / (sd * sd.t());
  const double eps = std::numeric_limits<double>::epsilon();
  arma::mat L = detail::pivoted_cholesky(scaled, 8.0 * eps * static_cast<double>(index.n_elem), 1, executor);
  if (L.n_cols == 1) {
    const arma::vec f = L.col(0) % sd;
    if (arma::abs(block - f * f.t()).max() > 8.0 * eps * arma::abs(block).max())
      L = detail::pivoted_cholesky(scaled, 0.0, 2, executor);
  }
  out.factor.zeros(R, L.n_cols);
  out.factor.rows(index) = L.each_col() % sd;
  out.structure = L.n_cols == 1 ? Structure::rank1 : L.n_cols < R ? Structure::low_rank : Structure::full;
  return out;
}

// U = G G' + diag(noise) as it is given: the covariance of a factor model as a prior.
inline Covariance low_rank_plus_diagonal(const arma::mat& G, const arma::vec& noise) {
  const arma::uword R = G.n_rows;
  require(noise.n_elem == R, "the loadings and the noise variances of a covariance differ in length");
  if (arma::all(noise == 0.0) && G.n_cols > R) return recognise(G * G.t());
  if (G.n_cols == 0 || arma::all(arma::vectorise(G) == 0.0)) return recognise(arma::diagmat(noise));
  Covariance out;
  out.factor = G;
  out.zero_variance.resize(R);
  for (arma::uword r = 0; r < R; ++r) out.zero_variance[r] = noise[r] == 0.0 && arma::all(G.row(r) == 0.0);
  if (arma::all(noise == 0.0)) {
    out.structure = G.n_cols == 1 ? Structure::rank1 : G.n_cols < R ? Structure::low_rank : Structure::full;
    if (arma::accu(arma::conv_to<arma::uvec>::from(out.zero_variance)) + 1 == R) return recognise(G * G.t());
  } else {
    out.structure = Structure::low_rank_plus_diagonal;
    out.diagonal = noise;
  }
  return out;
}

}  // namespace covmash
