#include <covmash/mash/statement.h>
#include <gtest/gtest.h>

#include <vector>

using namespace covmash;

namespace {

// A point mass, an effect in the first condition alone, and one shared by both.
struct Parts {
  arma::mat alone = arma::vec{1.0, 0.0}, shared = arma::vec{1.0, 1.0};
  arma::vec variance_alone = {1.0, 0.0}, variance_shared = {1.0, 1.0};
  std::vector<unsigned char> zero_alone = {0, 1}, zero_none = {0, 0};
  std::vector<JointPart> list;

  Parts() {
    list.push_back({0.2, nullptr, nullptr, nullptr, nullptr, arma::vec(2, arma::fill::zeros)});
    list.push_back({0.3, &alone, &variance_alone, nullptr, &zero_alone, arma::vec{1.0, 0.0}});
    list.push_back({0.5, &shared, &variance_shared, nullptr, &zero_none, arma::vec{0.5, 0.5}});
  }
};

double probability(const StatementOptions& options) {
  double p, plus, minus, error;
  JointStatement(options, {&p, &plus, &minus, &error}, 1).effect(0, Parts().list, 0);
  return p;
}

}  // namespace

TEST(Statement, ZerosAreToldByTheStructure) {
  StatementOptions o;
  o.include = {0, 1};
  EXPECT_DOUBLE_EQ(probability(o), 0.5);
  o.any = true;
  EXPECT_DOUBLE_EQ(probability(o), 0.8);
  o.any = false;
  o.include = {0};
  EXPECT_DOUBLE_EQ(probability(o), 0.8);
  o.exclude = {1};
  EXPECT_DOUBLE_EQ(probability(o), 0.3);
  o.include = {1};
  o.exclude = {0};
  EXPECT_DOUBLE_EQ(probability(o), 0.0);
}

TEST(Statement, SignsAreOrthants) {
  StatementOptions o;
  o.include = {0, 1};
  o.sign = true;
  double p, plus, minus, error;
  JointStatement(o, {&p, &plus, &minus, &error}, 1).effect(0, Parts().list, 0);
  EXPECT_NEAR(plus, 0.5 * normal_cdf(0.5), 1e-14);
  EXPECT_NEAR(minus, 0.5 * normal_cdf(-0.5), 1e-14);
  EXPECT_DOUBLE_EQ(p, plus + minus);
  EXPECT_EQ(error, 0.0);
  o.any = true;
  JointStatement(o, {&p, &plus, &minus, &error}, 1).effect(0, Parts().list, 0);
  EXPECT_NEAR(plus, 0.5 * normal_cdf(0.5) + 0.3 * normal_cdf(1.0), 1e-14);
}

TEST(Statement, ActiveConditions) {
  std::vector<double> out(6, -1.0);
  ActiveConditions(2, out.data()).effect(1, Parts().list, 0);
  EXPECT_DOUBLE_EQ(out[1], 0.2);
  EXPECT_DOUBLE_EQ(out[3], 0.3);
  EXPECT_DOUBLE_EQ(out[5], 0.5);
  EXPECT_EQ(out[0], -1.0);
}

// x_i = sqrt(1/2) (common + own): all positive with probability 1 / (n + 1).
TEST(Statement, ErrorsHoldTheSumOverManyParts) {
  const arma::uword n = 8;
  arma::mat Y(n, n + 1, arma::fill::zeros);
  Y.col(0).fill(std::sqrt(0.5));
  for (arma::uword i = 0; i < n; ++i) Y(i, i + 1) = std::sqrt(0.5);
  const arma::vec variance(n, arma::fill::ones);
  const std::vector<unsigned char> zero(n, 0);
  std::vector<JointPart> parts;
  for (double w : {0.4, 0.3, 0.2, 0.0999, 1e-4})
    parts.push_back({w, &Y, &variance, nullptr, &zero, arma::vec(n, arma::fill::zeros)});
  StatementOptions o;
  for (std::size_t i = 0; i < n; ++i) o.include.push_back(i);
  o.sign = true;
  for (double tolerance : {1e-2, 1e-3, 1e-4}) {
    o.tolerance = tolerance;
    double p, plus, minus, error;
    JointStatement(o, {&p, &plus, &minus, &error}, 1).effect(0, parts, 0);
    EXPECT_LE(error, tolerance);
    EXPECT_NEAR(plus, 1.0 / (n + 1.0), error);
    EXPECT_NEAR(p, 2.0 / (n + 1.0), error);
  }
}
