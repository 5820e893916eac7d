// The header that other packages include.
#include <covmash/covmash.h>
#include <gtest/gtest.h>

TEST(Covmash, TheUmbrellaHasEveryRoom) {
  covmash::MixturePrior prior;
  prior.covariances = {covmash::recognise(arma::eye(2, 2))};
  prior.scales = {1.0};
  EXPECT_EQ(prior.n_components(), 2u);
  EXPECT_GT(covmash::WeightsOptions().max_iterations, 0);
  EXPECT_GT(covmash::DeconvolutionOptions().tolerance, 0.0);
  EXPECT_TRUE(covmash::PosteriorOptions().summaries);
}
