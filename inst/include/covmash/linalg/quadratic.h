#pragma once
// argmin y'Hy/2 + b'y over y >= 0, H positive definite up to rounding, for the Newton steps of the mixture weights
// (n up to a few hundred; O(n^3) an iteration, usually fewer than ten).
//
// Block principal pivoting (Kim & Park 2011, doi:10.1137/110821172): all infeasible variables change sides at once, one
// at a time when that stops helping. Where near-dependent columns make it cycle, the active-set method takes over:
// slower, but each of its steps goes down.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <vector>

#include "../base/error.h"

namespace covmash {
namespace detail {

constexpr double dual_tolerance = 1e-11;

inline arma::vec solve_positive(const arma::mat& A, const arma::vec& rhs) {
  arma::mat L;
  double ridge = std::max(1e-10 * arma::mean(A.diag()), 1e-300);  // positive also for a matrix of zeros
  arma::mat B = A;
  while (!arma::chol(L, B, "lower")) {
    B = A;
    B.diag() += ridge;
    ridge *= 10.0;
    if (!std::isfinite(ridge)) throw numeric_error("the Hessian of the mixture weights is not finite");
  }
  const arma::vec half = arma::solve(arma::trimatl(L), rhs, arma::solve_opts::fast);
  return arma::solve(arma::trimatu(L.t()), half, arma::solve_opts::fast);
}

// The minimum with the variables outside `free` at zero, signs not looked at.
inline arma::vec on_free_set(const arma::mat& H, const arma::vec& b, const std::vector<unsigned char>& free) {
  std::vector<arma::uword> index;
  for (arma::uword i = 0; i < b.n_elem; ++i)
    if (free[i]) index.push_back(i);
  const arma::uvec F(index);
  arma::vec y(b.n_elem, arma::fill::zeros);
  if (!F.is_empty()) y.elem(F) = solve_positive(H.submat(F, F), -b.elem(F));
  return y;
}

inline arma::vec active_set(const arma::mat& H, const arma::vec& b, arma::vec y) {
  const arma::uword n = b.n_elem;
  std::vector<unsigned char> free(n);
  for (arma::uword i = 0; i < n; ++i) free[i] = y[i] > 0.0;
  for (arma::uword iteration = 0; iteration < 10 * n + 50; ++iteration) {
    const arma::vec target = on_free_set(H, b, free);
    double step = 1.0;
    arma::uword blocking = n;
    for (arma::uword i = 0; i < n; ++i)
      if (free[i] && target[i] < 0.0 && y[i] < step * (y[i] - target[i])) {
        step = y[i] / (y[i] - target[i]);
        blocking = i;
      }
    y += step * (target - y);
    if (blocking < n) {
      y[blocking] = 0.0;
      free[blocking] = 0;
      continue;
    }
    const arma::vec dual = H * y + b;
    arma::uword worst = n;
    for (arma::uword i = 0; i < n; ++i)
      if (!free[i] && dual[i] < -dual_tolerance && (worst == n || dual[i] < dual[worst])) worst = i;
    if (worst == n) break;
    free[worst] = 1;
  }
  return arma::clamp(y, 0.0, arma::datum::inf);
}

}  // namespace detail

// `start` (feasible) says which variables are free at first.
inline arma::vec nonnegative_quadratic(const arma::mat& H, const arma::vec& b, const arma::vec& start) {
  const arma::uword n = b.n_elem;
  std::vector<unsigned char> free(n);
  for (arma::uword i = 0; i < n; ++i) free[i] = start[i] > 0.0 || b[i] + arma::dot(H.col(i), start) < 0.0;
  arma::uword fewest = n + 1;
  int patience = 3;
  for (arma::uword iteration = 0; iteration < n + 20; ++iteration) {
    const arma::vec y = detail::on_free_set(H, b, free);
    const arma::vec dual = H * y + b;
    std::vector<arma::uword> wrong;
    for (arma::uword i = 0; i < n; ++i)
      if (free[i] ? y[i] < 0.0 : dual[i] < -detail::dual_tolerance) wrong.push_back(i);
    if (wrong.empty()) return y;
    if (wrong.size() < fewest) {
      fewest = wrong.size();
      patience = 3;
    } else if (patience > 0) {
      --patience;
    } else {
      wrong = {wrong.back()};
    }
    for (arma::uword i : wrong) free[i] = !free[i];
  }
  return detail::active_set(H, b, start);
}

}  // namespace covmash
