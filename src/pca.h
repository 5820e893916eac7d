#pragma once
// Binding of the principal components of the data.
// Included by another unit: what both need of the core is compiled once, which makes the library smaller.
#include "bridge.h"

#include <covmash/mash/pca.h>

using Rcpp::_;

// rows: counted from 1; NULL for all.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_pca(const Rcpp::NumericMatrix& bhat, SEXP rows, int n_components, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    covmash::Effects e;
    e.bhat = bhat.begin();
    e.n_effects = bhat.nrow();
    e.n_conditions = bhat.ncol();
    std::vector<std::size_t> chosen;
    if (!Rf_isNull(rows))
      for (double j : Rcpp::NumericVector(rows)) chosen.push_back(static_cast<std::size_t>(j) - 1);
    const covmash::PrincipalAxes axes =
        covmash::principal_axes(e, Rf_isNull(rows) ? nullptr : &chosen, n_components, threads.executor);
    return Rcpp::List::create(_["vectors"] = bridge::matrix_of(axes.vectors),
                              _["variances"] = std::vector<double>(axes.variances.begin(), axes.variances.end()));
  });
}
