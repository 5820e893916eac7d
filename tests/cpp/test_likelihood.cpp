// The matrix of log-likelihoods against dense arithmetic, in the users' order of components.
#include <covmash/mash/likelihood.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

TEST(Likelihood, TheMatrixIsThatOfDenseArithmeticInTheUsersOrder) {
  for (auto kind : {reference::Noise::common, reference::Noise::proportional, reference::Noise::by_effect}) {
    auto p = reference::problem(91, 70, 4, kind, true);
    p.bhat.row(3).fill(std::nan(""));
    MixturePrior prior;
    for (const auto& U : p.covariances) prior.covariances.push_back(recognise(U));
    prior.scales = {4.0, 0.25};
    const NoiseModel noise({p.bhat.memptr(), p.shat.memptr(), 70, 4}, p.C);
    arma::mat out(70, prior.n_components());
    SerialExecutor serial;
    loglik_matrix(noise, prior, 64, serial, out.memptr());
    for (arma::uword j = 0; j < 70; ++j) {
      EXPECT_NEAR(out(j, 0), reference::loglik(p, j, arma::zeros(4, 4)), 1e-11);
      for (std::size_t l = 0; l < 2; ++l)
        for (std::size_t k = 0; k < p.covariances.size(); ++k)
          EXPECT_NEAR(out(j, prior.component(k, l)), reference::loglik(p, j, prior.scales[l] * p.covariances[k]), 1e-10);
    }
    EXPECT_EQ(out(3, 5), 0.0);

    arma::mat again(70, prior.n_components());
    ThreadExecutor threads(3);
    loglik_matrix(noise, prior, 1, threads, again.memptr());
    EXPECT_TRUE(arma::approx_equal(out, again, "absdiff", 0.0));
  }
}
