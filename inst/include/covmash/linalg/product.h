#pragma once
// Products of small dense matrices by the panel kernel: matrices of some tens of rows, for which a reference BLAS takes
// several times as long. 2 m k n flops; each entry is one chain of multiply-adds in the order of k, so that F F' is
// exactly symmetric. Runs in the thread that calls it.

#include <algorithm>
#include <armadillo>

#include "../base/buffer.h"
#include "../base/executor.h"
#include "panel.h"

namespace covmash {

namespace detail {

// A B from the rows of A' B' = (A B)': Armadillo's columns are the kernel's rows. left(i, k): entry of A.
template <typename Entry>
arma::mat product_of(arma::uword m, arma::uword inner, const Entry& left, const arma::mat& B) {
  arma::mat out(m, B.n_cols);
  const std::size_t width = Panel::padded(m);
  Buffer<double> X(inner * width), Y(B.n_cols * width);
  for (arma::uword k = 0; k < inner; ++k) {
    for (arma::uword i = 0; i < m; ++i) X[k * width + i] = left(i, k);
    for (arma::uword i = m; i < width; ++i) X[k * width + i] = 0.0;
  }
  SerialExecutor serial;
  multiply_into(B.n_cols, inner, {B.memptr(), B.n_rows, 1}, X.data(), width, width, Y.data(), width, serial);
  for (arma::uword j = 0; j < B.n_cols; ++j) std::copy_n(Y.data() + j * width, m, out.colptr(j));
  return out;
}

}  // namespace detail

// A B
inline arma::mat product(const arma::mat& A, const arma::mat& B) {
  return detail::product_of(
      A.n_rows, A.n_cols, [&](arma::uword i, arma::uword k) { return A.at(i, k); }, B);
}

// A' B
inline arma::mat transposed_product(const arma::mat& A, const arma::mat& B) {
  return detail::product_of(
      A.n_cols, A.n_rows, [&](arma::uword i, arma::uword k) { return A.at(k, i); }, B);
}

}  // namespace covmash
