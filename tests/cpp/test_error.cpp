// Errors of the core name what they are about.
#include <covmash/base/error.h>

#include <gtest/gtest.h>

using covmash::input_error;
using covmash::numeric_error;

TEST(Error, SaysWhatItIsAboutAndCountsFromOneInTheText) {
  try {
    throw numeric_error("the log-likelihood of ", covmash::at::effect(11), " is not finite");
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "the log-likelihood of effect 12 is not finite");
    const auto& error = dynamic_cast<const numeric_error&>(e);
    EXPECT_STREQ(error.subject.what, "effect");
    EXPECT_EQ(error.subject.index, 11u);
  }
  EXPECT_STREQ(input_error("", covmash::at::covariance(0), " has no rows").what(), "covariance matrix 1 has no rows");
  EXPECT_EQ(covmash::at::component(3).text(), "component 4");
}

TEST(Error, MayBeAboutNothingInParticular) {
  try {
    covmash::require(false, "there is no effect");
    FAIL();
  } catch (const input_error& e) {
    EXPECT_STREQ(e.what(), "there is no effect");
    EXPECT_EQ(e.subject.what, nullptr);
  }
  EXPECT_NO_THROW(covmash::require(true, "there is no effect"));
}
