#pragma once
// Products of small dense matrices by the panel kernel: matrices of some tens of rows, for which a reference BLAS takes
// several times as long. 2 m k n flops; each entry is one chain of multiply-adds in the order of k, so that F F' is
// exactly symmetric. Runs in the thread that calls it, and listens to the executor if there is one.

#include <algorithm>
#include <armadillo>

#include "../base/buffer.h"
#include "../base/executor.h"
#include "panel.h"

namespace covmash {

namespace detail {

// A B from (A B)' = B' A': Armadillo's columns are the kernel's rows. left(i, k): entry of A; B': its transpose, n rows.
template <typename Entry>
arma::mat product_of(arma::uword m, arma::uword inner, arma::uword n, const Entry& left, Strided transposed_right,
                     Executor* executor) {
  arma::mat out(m, n);
  const std::size_t width = Panel::padded(m);
  Buffer<double> X(inner * width), Y(n * width);
  for (arma::uword k = 0; k < inner; ++k) {
    for (arma::uword i = 0; i < m; ++i) X[k * width + i] = left(i, k);
    for (arma::uword i = m; i < width; ++i) X[k * width + i] = 0.0;
  }
  InnerExecutor inner_executor(executor);
  multiply_into(n, inner, transposed_right, X.data(), width, width, Y.data(), width, inner_executor);
  for (arma::uword j = 0; j < n; ++j) std::copy_n(Y.data() + j * width, m, out.memptr() + j * m);
  return out;
}

}  // namespace detail

// A B
inline arma::mat product(const arma::mat& A, const arma::mat& B, Executor* executor = nullptr) {
  return detail::product_of(A.n_rows, A.n_cols, B.n_cols, [&](arma::uword i, arma::uword k) { return A.at(i, k); },
                            {B.memptr(), B.n_rows, 1}, executor);
}

// A' B
inline arma::mat transposed_product(const arma::mat& A, const arma::mat& B, Executor* executor = nullptr) {
  return detail::product_of(A.n_cols, A.n_rows, B.n_cols, [&](arma::uword i, arma::uword k) { return A.at(k, i); },
                            {B.memptr(), B.n_rows, 1}, executor);
}

// A B'
inline arma::mat product_transposed(const arma::mat& A, const arma::mat& B, Executor* executor = nullptr) {
  return detail::product_of(A.n_rows, A.n_cols, B.n_rows, [&](arma::uword i, arma::uword k) { return A.at(i, k); },
                            {B.memptr(), 1, B.n_rows}, executor);
}

}  // namespace covmash
