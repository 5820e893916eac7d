#pragma once
// What is made of the loadings B (N x K) and the covariance F (K x K) of the factors alone: roots of F, and the diagonal
// of B F B'. O(K^3) and O(N K^2).

#include <algorithm>
#include <armadillo>

#include "../base/executor.h"
#include "../linalg/panel.h"
#include "../model/covariance.h"
#include "../simd/dispatch.h"

namespace covmash {

// L with L L' = F, with a column for each rank of F or a few more; small negative eigenvalues, which rounding makes,
// are taken as 0.
inline arma::mat factor_root(const arma::mat& F) { return recognise(F).whole_factor(); }

// G with G G' = B F B'.
inline arma::mat whole_loadings(const arma::mat& B, const arma::mat& F, Executor& executor) {
  return tall_product(B, factor_root(F), &executor);
}

// The diagonal of B F B', in chunks of rows.
inline arma::vec systematic_variances(const arma::mat& B, const arma::mat& F) {
  constexpr arma::uword chunk = 512;
  const simd::KernelTable& kernels = simd::kernels();
  arma::vec out(B.n_rows, arma::fill::zeros), product(chunk);
  for (arma::uword from = 0; from < B.n_rows && B.n_cols > 0; from += chunk) {
    const arma::uword n = std::min(chunk, B.n_rows - from);
    const double* rows = B.memptr() + from;
    for (arma::uword k = 0; k < B.n_cols; ++k) {
      product.zeros();
      kernels.add_combination(n, B.n_cols, rows, B.n_rows, F.colptr(k), product.memptr());
      for (arma::uword i = 0; i < n; ++i) out[from + i] += product[i] * rows[k * B.n_rows + i];
    }
  }
  return out;
}

}  // namespace covmash
