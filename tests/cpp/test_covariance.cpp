#include <covmash/model/covariance.h>
#include <gtest/gtest.h>

#include "reference.h"

using namespace covmash;

namespace {

double distance(const arma::mat& a, const arma::mat& b) { return arma::abs(a - b).max(); }

}  // namespace

TEST(Covariance, RecognisesStructure) {
  std::mt19937 g(1);
  const arma::uword R = 6;
  EXPECT_EQ(recognise(arma::zeros(R, R)).structure, Structure::null);
  EXPECT_EQ(recognise(arma::zeros(R, R)).factor.n_cols, 0u);
  EXPECT_EQ(recognise(2.5 * arma::eye(R, R)).structure, Structure::scaled_identity);
  EXPECT_EQ(recognise(arma::ones(R, R)).structure, Structure::rank1);
  const arma::vec f = reference::draw(g, R, 1);
  EXPECT_EQ(recognise(f * f.t()).structure, Structure::rank1);
  const arma::mat B = reference::draw(g, R, 3);
  EXPECT_EQ(recognise(B * B.t()).structure, Structure::low_rank);
  EXPECT_EQ(recognise(B * B.t()).factor.n_cols, 3u);
  EXPECT_EQ(recognise(B * B.t() + 0.1 * arma::eye(R, R)).structure, Structure::full);
  arma::mat single(R, R, arma::fill::zeros);
  single(2, 2) = 4.0;
  const Covariance s = recognise(single);
  EXPECT_EQ(s.structure, Structure::singleton);
  EXPECT_EQ(s.factor(2, 0), 2.0);
  EXPECT_EQ(s.zero_variance[0], 1);
  EXPECT_EQ(s.zero_variance[2], 0);
}

TEST(Covariance, FactorReproducesTheMatrix) {
  std::mt19937 g(2);
  for (arma::uword R : {1, 2, 5, 12})
    for (arma::uword q : {1, 2, 12}) {
      arma::mat B = reference::draw(g, R, q);
      for (arma::uword r = 0; r < R; ++r) B.row(r) *= std::pow(10.0, 3.0 * (r % 3) - 3.0);  // very uneven variances
      const arma::mat U = B * B.t();
      const Covariance c = recognise(U);
      const arma::vec sd = arma::sqrt(U.diag());
      EXPECT_LT(distance(c.matrix() / (sd * sd.t()), U / (sd * sd.t())), 1e-13);
      EXPECT_LE(c.factor.n_cols, std::min(R, q));
    }
}

TEST(Covariance, NearlyRankOneIsNotRankOne) {
  arma::mat U(3, 3, arma::fill::ones);
  U(2, 2) += 1e-9;
  EXPECT_NE(recognise(U).structure, Structure::rank1);
}

TEST(Covariance, LowRankPlusDiagonalHasAWholeFactor) {
  Covariance c;
  c.structure = Structure::low_rank_plus_diagonal;
  c.factor = arma::ones(4, 1);
  c.diagonal = {1.0, 2.0, 0.0, 4.0};
  c.zero_variance.assign(4, 0);
  const arma::mat F = c.whole_factor();
  EXPECT_LT(distance(F * F.t(), c.matrix()), 1e-14);
}

TEST(Covariance, RefusesWhatIsNone) {
  EXPECT_THROW(recognise(arma::ones(2, 3)), input_error);
  EXPECT_THROW(recognise(arma::mat{{-1.0, 0.0}, {0.0, 1.0}}), input_error);
}

TEST(Covariance, LowRankPlusDiagonalKeepsItsStructure) {
  std::mt19937 g(35);
  const arma::mat G = reference::draw(g, 5, 2);
  const arma::vec noise = {0.0, 1.0, 2.0, 0.5, 3.0};
  const covmash::Covariance whole = covmash::low_rank_plus_diagonal(G, noise);
  EXPECT_EQ(whole.structure, covmash::Structure::low_rank_plus_diagonal);
  EXPECT_LT(distance(whole.matrix(), G * G.t() + arma::diagmat(noise)), 1e-14);
  const arma::mat root = whole.whole_factor();
  EXPECT_LT(distance(root * root.t(), whole.matrix()), 1e-14);
  EXPECT_EQ(covmash::low_rank_plus_diagonal(G, arma::zeros(5)).structure, covmash::Structure::low_rank);
  EXPECT_EQ(covmash::low_rank_plus_diagonal(G.col(0), arma::zeros(5)).structure, covmash::Structure::rank1);
  EXPECT_EQ(covmash::low_rank_plus_diagonal(arma::mat(5, 0), arma::zeros(5)).structure, covmash::Structure::null);
  arma::mat hole = G;
  hole.row(0).zeros();
  const covmash::Covariance with_hole = covmash::low_rank_plus_diagonal(hole, noise);
  EXPECT_EQ(with_hole.zero_variance, (std::vector<unsigned char>{1, 0, 0, 0, 0}));
  arma::mat single(5, 1, arma::fill::zeros);
  single(2, 0) = 3.0;
  EXPECT_EQ(covmash::low_rank_plus_diagonal(single, arma::zeros(5)).structure, covmash::Structure::singleton);
}
