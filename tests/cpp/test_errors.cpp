#include <covmash/deconvolution/errors.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "reference.h"

using namespace covmash;

namespace {

// The mean of E(e e') over the effects, and the log-likelihood, in plain dense arithmetic.
ErrorStep plain_step(const reference::Problem& p, const std::vector<arma::mat>& U, const std::vector<double>& w) {
  const arma::uword R = p.bhat.n_cols;
  ErrorStep out;
  out.C.zeros(R, R);
  double n = 0.0;
  for (arma::uword j = 0; j < p.bhat.n_rows; ++j) {
    const arma::uvec O = reference::observed(p, j);
    if (O.is_empty()) continue;
    n += 1.0;
    arma::vec y(O.n_elem), s(O.n_elem), loglik(U.size());
    for (arma::uword i = 0; i < O.n_elem; ++i) {
      y[i] = p.bhat(j, O[i]);
      s[i] = p.shat(j, O[i]);
    }
    std::vector<arma::mat> moment;
    for (std::size_t k = 0; k < U.size(); ++k) {
      const arma::mat A = p.C.submat(O, O) % (s * s.t()) + U[k].submat(O, O);
      const arma::mat gain = p.C.cols(O) * arma::diagmat(s) * arma::inv_sympd(A);
      const arma::vec mean = gain * y;
      moment.push_back(p.C - gain * arma::diagmat(s) * p.C.rows(O) + mean * mean.t());
      loglik[k] = std::log(w[k]) + reference::loglik(p, j, U[k]);
    }
    const double top = loglik.max(), total = arma::accu(arma::exp(loglik - top));
    out.loglik += top + std::log(total);
    for (std::size_t k = 0; k < U.size(); ++k) out.C += std::exp(loglik[k] - top) / total * moment[k];
  }
  out.C /= n;
  return out;
}

}  // namespace

TEST(Errors, TheStepIsTheMeanOfTheSquaredErrorsGivenTheData) {
  for (auto noise : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect})
    for (bool missing : {false, true})
      for (arma::uword J : {7, 200}) {
        const auto p = reference::problem(J, J, 4, noise, missing);
        const std::vector<double> w = {0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.2};
        const NoiseModel model({p.bhat.memptr(), p.shat.memptr(), J, 4}, p.C);
        SerialExecutor serial;
        ThreadExecutor threads(3);
        const ErrorStep step = error_correlation_step(model, p.covariances, w, serial);
        const ErrorStep same = error_correlation_step(model, p.covariances, w, threads);
        const ErrorStep plain = plain_step(p, p.covariances, w);
        EXPECT_LT(arma::abs(step.C - plain.C).max(), 1e-11);
        EXPECT_LT(reference::relative_error(step.loglik, plain.loglik), 1e-12);
        EXPECT_TRUE(arma::approx_equal(step.C, same.C, "absdiff", 0.0));
      }
}

TEST(Errors, RefusesWhatDoesNotFit) {
  const auto p = reference::problem(1, 5, 3, reference::Noise::common, false);
  const NoiseModel model({p.bhat.memptr(), p.shat.memptr(), 5, 3}, p.C);
  SerialExecutor executor;
  EXPECT_THROW(error_correlation_step(model, {}, {}, executor), input_error);
  EXPECT_THROW(error_correlation_step(model, {arma::eye(2, 2)}, {1.0}, executor), input_error);
}
