// Binding of the deconvolution of covariances.
#include "bridge.h"

#include <covmash/deconvolution/fit.h>

using Rcpp::_;

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_ed(const Rcpp::NumericMatrix& bhat, const Rcpp::NumericMatrix& shat, const arma::mat& V,
                  const Rcpp::List& Ulist, const std::vector<double>& weights, double tol, double maxiter, double ridge,
                  bool fix_weights, const Rcpp::LogicalVector& fix_cov, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    covmash::DeconvolutionOptions options;
    options.tolerance = tol;
    options.max_iterations = maxiter;
    options.ridge = ridge;
    options.fix_weights = fix_weights;
    options.fix_covariance.assign(fix_cov.begin(), fix_cov.end());
    const covmash::NoiseModel noise(bridge::effects(bhat, shat), V, &threads.executor);
    const auto fit = covmash::extreme_deconvolution(noise, bridge::matrices(Ulist), weights, options, threads.executor);
    return Rcpp::List::create(_["pi"] = fit.weights, _["Ulist"] = bridge::list_of(fit.covariances),
                              _["av_loglik"] = fit.mean_loglik, _["iterations"] = fit.iterations,
                              _["converged"] = fit.converged);
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_teem(const arma::mat& z, const Rcpp::List& Ulist, const std::vector<double>& weights, double maxiter,
                    double converge_tol, double eigen_tol, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    covmash::TruncatedOptions options;
    options.max_iterations = maxiter;
    options.tolerance = converge_tol;
    options.eigenvalue_floor = eigen_tol;
    const auto fit =
        covmash::truncated_deconvolution(z.t(), bridge::matrices(Ulist), weights, options, threads.executor);
    return Rcpp::List::create(_["w"] = fit.weights, _["Ulist"] = bridge::list_of(fit.covariances),
                              _["objective"] = fit.loglik, _["maxd"] = fit.change,
                              _["iterations"] = static_cast<double>(fit.loglik.size()), _["converged"] = fit.converged);
  });
}
