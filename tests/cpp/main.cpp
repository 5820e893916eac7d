// Entry point of the C++ tests; the tests themselves are in test_<header>.cpp, one for each header.
#include <gtest/gtest.h>

int main(int argc, char **argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
