// Binding of the deconvolution of covariances. g: Ulist and pi, the matrices and the weights to start from.
#include "options.h"

#include <covmash/deconvolution/errors.h>
#include <covmash/deconvolution/fit.h>

using Rcpp::_;

// settings: besides the options, fixcovar, a flag for each matrix.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_ed(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    auto options = bridge::options<covmash::DeconvolutionOptions>(settings);
    const auto fixed = Rcpp::as<std::vector<bool>>(settings["fixcovar"]);
    options.fix_covariance.assign(fixed.begin(), fixed.end());
    const bridge::Data unpacked(data);
    const auto fit = covmash::extreme_deconvolution(unpacked.noise(threads.executor), bridge::matrices(g["Ulist"]),
                                                    bridge::weights(g), options, threads.executor);
    return Rcpp::List::create(_["pi"] = fit.weights, _["Ulist"] = bridge::list_of(fit.covariances),
                              _["av_loglik"] = fit.mean_loglik, _["iterations"] = fit.iterations,
                              _["converged"] = fit.converged);
  });
}

// data: z-scores, with the correlation V of their errors; settings: besides the options, the scale of the matrices.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_teem(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const auto fit = covmash::truncated_deconvolution(
        bridge::Data(data).transposed(), Rcpp::as<arma::mat>(data["V"]), Rcpp::as<arma::vec>(settings["scale"]),
        bridge::matrices(g["Ulist"]), bridge::weights(g), bridge::options<covmash::TruncatedOptions>(settings), threads.executor);
    return Rcpp::List::create(_["w"] = fit.weights, _["Ulist"] = bridge::list_of(fit.covariances),
                              _["objective"] = fit.loglik, _["maxd"] = fit.change,
                              _["iterations"] = static_cast<double>(fit.loglik.size()), _["converged"] = fit.converged);
  });
}

// One EM step for V, the correlation of the errors: the new one, and the log-likelihood of the present one.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_error_correlation_step(const Rcpp::List& data, const Rcpp::List& g, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const bridge::Data unpacked(data);
    const auto step = covmash::error_correlation_step(unpacked.noise(threads.executor), bridge::matrices(g["Ulist"]),
                                                      bridge::weights(g), threads.executor);
    return Rcpp::List::create(_["loglik"] = step.loglik, _["V"] = bridge::matrix_of(step.C));
  });
}
