#include <covmash/mash/largest.h>
#include <gtest/gtest.h>

#include <cmath>

using namespace covmash;

namespace {

struct Given {
  arma::mat Y;
  arma::vec variance;
  std::vector<unsigned char> zero;
};

Given given(const arma::mat& Y) {
  Given g{Y, arma::vec(Y.n_rows), std::vector<unsigned char>(Y.n_rows)};
  for (arma::uword r = 0; r < Y.n_rows; ++r) {
    g.variance[r] = arma::dot(Y.row(r), Y.row(r));
    g.zero[r] = g.variance[r] == 0.0;
  }
  return g;
}

JointPart part(double weight, const Given& g, const arma::vec& mean) {
  return {weight, &g.Y, &g.variance, nullptr, &g.zero, mean};
}

struct Answer {
  std::vector<double> probability;
  double none, error;
};

Answer ask(const std::vector<JointPart>& parts, std::size_t R, std::vector<std::size_t> include) {
  Answer a;
  a.probability.resize(include.size());
  LargestOptions options;
  options.include = include;
  options.points = 20000;
  const LargestCondition question(1, R, options, {a.probability.data(), &a.none, &a.error}, 1);
  question.effect(0, parts, 0);
  return a;
}

}  // namespace

TEST(Largest, OfIndependentConditionsByTheirSizes) {
  const Given two = given(arma::mat{{1.0, 0.0}, {0.0, 2.0}});
  // |x| > 2 |y| of standard normal x and y: an angle of 4 atan(1 / 2) of the circle.
  const double first = 2.0 / std::acos(-1.0) * std::atan(0.5);
  const Answer a = ask({part(1.0, two, arma::vec(2, arma::fill::zeros))}, 2, {0, 1});
  EXPECT_NEAR(a.probability[0], first, a.error);
  EXPECT_NEAR(a.probability[0] + a.probability[1], 1.0, 1e-12);
  EXPECT_EQ(a.none, 0.0);
  EXPECT_LT(a.error, 0.02);
}

TEST(Largest, RankOneZerosAndTiesAreExact) {
  const Given line = given(arma::mat(arma::vec{1.0, -2.0, 2.0, 0.0})),
              single = given(arma::mat(arma::vec{0.0, 0.0, 0.0, 1.0}));
  JointPart nothing{0.2, nullptr, nullptr, nullptr, nullptr, arma::vec(4, arma::fill::zeros)};
  const Answer a = ask(
      {part(0.5, line, arma::vec{0.3, -0.6, 0.6, 0.0}), part(0.3, single, arma::vec(4, arma::fill::zeros)), nothing}, 4,
      {0, 1, 2, 3});
  EXPECT_EQ(a.probability[0], 0.0);
  EXPECT_DOUBLE_EQ(a.probability[1], 0.25);
  EXPECT_DOUBLE_EQ(a.probability[2], 0.25);
  EXPECT_DOUBLE_EQ(a.probability[3], 0.3);
  EXPECT_DOUBLE_EQ(a.none, 0.2);
  EXPECT_EQ(a.error, 0.0);
  // Among the first two only.
  const Answer b = ask(
      {part(0.5, line, arma::vec{0.3, -0.6, 0.6, 0.0}), part(0.5, single, arma::vec(4, arma::fill::zeros))}, 4, {0, 1});
  EXPECT_DOUBLE_EQ(b.probability[1], 0.5);
  EXPECT_DOUBLE_EQ(b.none, 0.5);
}
