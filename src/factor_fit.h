#pragma once
// Binding of the estimation of factor models.
// Included by another unit: what both need of the core is compiled once, which makes the library smaller.
#include "bridge.h"
#include "options.h"

#include <covmash/factor/fit.h>
#include <covmash/factor/missing.h>
#include <covmash/linalg/cholesky.h>

using Rcpp::_;

namespace {

covmash::SampleCovariance sample_covariance(const Rcpp::NumericMatrix& x, bool is_covariance, bool standardise,
                                            covmash::Executor& executor) {
  if (is_covariance) return covmash::SampleCovariance::from_matrix(x.begin(), x.ncol(), standardise);
  return covmash::SampleCovariance::from_data(x.begin(), x.nrow(), x.ncol(), standardise, executor);
}

// log|S|, or NA where S is singular or was never formed.
double log_determinant(const covmash::SampleCovariance& S, covmash::Executor& executor) {
  if (!S.is_formed() || S.rank_bound() < S.size()) return NA_REAL;
  const double value = covmash::log_determinant(S.data(), S.size(), executor);
  return std::isnan(value) ? NA_REAL : value;
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_fit_factors(const Rcpp::NumericMatrix& x, bool is_covariance, int n_factors, double lower,
                           double tolerance, double max_iterations, const std::vector<double>& start, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    threads.executor.step("Factor model", false);
    const auto S = sample_covariance(x, is_covariance, true, threads.executor);
    covmash::FactorFitOptions options;
    options.n_factors = n_factors;
    options.lower = lower;
    options.tolerance = tolerance;
    options.max_iterations = bridge::number<std::size_t>(max_iterations);
    options.start = start;
    const auto fit = covmash::fit_factors(S, options, threads.executor);
    return Rcpp::List::create(
        _["loadings"] = fit.loadings, _["uniquenesses"] = std::vector<double>(fit.psi.begin(), fit.psi.end()),
        _["at_bound"] = Rcpp::LogicalVector(fit.at_bound.begin(), fit.at_bound.end()), _["mean"] = S.mean(),
        _["variance"] = S.variance(), _["objective"] = fit.objective,
        _["log_det"] = log_determinant(S, threads.executor), _["kkt_violation"] = fit.kkt_violation,
        _["iterations"] = static_cast<double>(fit.iterations), _["evaluations"] = static_cast<double>(fit.evaluations),
        _["products"] = fit.products, _["starts"] = static_cast<double>(fit.starts), _["converged"] = fit.converged);
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_leading_eigen(const Rcpp::NumericMatrix& x, bool is_covariance, bool standardise, int k,
                             double tolerance, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const auto S = sample_covariance(x, is_covariance, standardise, threads.executor);
    covmash::LeadingEigen eigen(S, k, threads.executor);
    const std::size_t p = S.size();
    eigen.solve(std::vector<double>(p, 1.0), tolerance);
    arma::mat vectors(p, k);
    for (std::size_t i = 0; i < p; ++i)
      for (int j = 0; j < k; ++j) vectors(i, j) = eigen.vector(i, j);
    return Rcpp::List::create(_["values"] = k > 0 ? eigen.values() : std::vector<double>(), _["vectors"] = vectors,
                              _["mean"] = S.mean(), _["variance"] = S.variance(), _["residual"] = eigen.residual());
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_fit_factors_missing(const Rcpp::NumericMatrix& x, int n_factors, double lower, bool equal_psi,
                                   double tolerance, double max_iterations, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    threads.executor.step("Factor model", false);
    covmash::MissingFactorOptions options;
    options.n_factors = n_factors;
    options.lower = lower;
    options.equal_psi = equal_psi;
    options.tolerance = tolerance;
    options.max_iterations = bridge::number<std::size_t>(max_iterations);
    const auto fit = covmash::fit_factors_missing(x.begin(), x.nrow(), x.ncol(), options, threads.executor);
    return Rcpp::List::create(
        _["loadings"] = fit.loadings, _["psi"] = std::vector<double>(fit.psi.begin(), fit.psi.end()),
        _["mean"] = std::vector<double>(fit.mean.begin(), fit.mean.end()),
        _["at_bound"] = Rcpp::LogicalVector(fit.at_bound.begin(), fit.at_bound.end()), _["loglik"] = fit.loglik,
        _["kkt_violation"] = fit.step, _["iterations"] = static_cast<double>(fit.iterations),
        _["evaluations"] = static_cast<double>(fit.evaluations), _["starts"] = static_cast<double>(fit.starts),
        _["converged"] = fit.converged);
  });
}
