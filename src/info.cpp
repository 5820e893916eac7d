// Binding of what the core can tell about a covariance, about its defaults and about this machine.
#include "options.h"

#include <covmash/linalg/cholesky.h>
#include <covmash/linalg/spectra.h>
#include <covmash/model/covariance.h>
#include <covmash/simd/dispatch.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

using Rcpp::_;

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_covariance_structure(const arma::mat& U) {
  const covmash::Covariance c = covmash::recognise(U);
  const arma::mat factor = c.whole_factor();
  return Rcpp::List::create(_["structure"] = covmash::structure_name(c.structure), _["factor"] = factor,
                            _["diagonal"] = c.has_diagonal(), _["rank"] = static_cast<int>(factor.n_cols));
}

// The defaults of an Options struct, under the names of R.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_defaults(const std::string& topic) {
  if (topic == "weights") return bridge::defaults<covmash::WeightsOptions>();
  if (topic == "fit") return bridge::defaults<covmash::FitOptions>();
  if (topic == "posterior") return bridge::defaults<covmash::PosteriorOptions>();
  if (topic == "deconvolution") return bridge::defaults<covmash::DeconvolutionOptions>();
  if (topic == "deconvolve") return bridge::defaults<covmash::DeconvolveOptions>();
  if (topic == "truncated") return bridge::defaults<covmash::TruncatedOptions>();
  if (topic == "factor_fit") return bridge::defaults<covmash::FactorFitOptions>();
  if (topic == "missing_factor") return bridge::defaults<covmash::MissingFactorOptions>();
  throw std::invalid_argument("there are no options called '" + topic + "'");
}

// [[Rcpp::export(rng = false)]]
std::string cpp_simd() { return covmash::simd::kernels().name; }

// [[Rcpp::export(rng = false)]]
std::vector<std::string> cpp_simd_available() {
  std::vector<std::string> names;
  for (const auto* table : covmash::simd::available_tables()) names.push_back(table->name);
  return names;
}

// [[Rcpp::export(rng = false)]]
void cpp_set_simd(const std::string& name) { covmash::simd::select_table(name); }

// R listens to interrupts now and then only, and not inside of a vector operation: between those of millions of numbers.
// [[Rcpp::export(rng = false)]]
void cpp_listen() { bridge::listen(); }

// Gives the system what R has freed: glibc keeps vectors below 32 MB for itself, in among those that are in use.
// [[Rcpp::export(rng = false)]]
void cpp_return_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// Eigenvalues of a symmetric matrix, increasing, and its eigenvectors: for matrices of which R's eigen(), which cannot be
// interrupted, takes long.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_symmetric_eigen(const arma::mat& A, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    arma::vec values;
    arma::mat vectors;
    if (!covmash::symmetric_eigen(A, values, vectors, threads.executor))
      throw covmash::numeric_error("the eigenvalues of a matrix could not be computed");
    Rcpp::List out;
    out["values"] = std::vector<double>(values.begin(), values.end());
    out["vectors"] = bridge::matrix_of(vectors);
    return out;
  });
}

// Whether the Cholesky factorisation of A exists.
// [[Rcpp::export(rng = false)]]
bool cpp_has_cholesky(const arma::mat& A) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    arma::mat L;
    return covmash::lower_cholesky(L, A, &threads.executor);
  });
}

// The same of small ones, of which there are many: nothing to interrupt, nothing to report.
// [[Rcpp::export(rng = false)]]
bool cpp_has_small_cholesky(const arma::mat& A) {
  arma::mat L;
  return arma::chol(L, A, "lower");
}

// How many pivots of it, the largest first, are above the tolerance.
// [[Rcpp::export(rng = false)]]
int cpp_cholesky_rank(const arma::mat& A, double tolerance) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    return static_cast<int>(covmash::detail::pivoted_cholesky(A, tolerance, 0, &threads.executor).n_cols);
  });
}
