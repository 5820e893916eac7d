#pragma once
// Exceptions of the core. Indices in messages count from 1, as the user's do.

#include <stdexcept>
#include <string>

namespace covmash {

// The arguments cannot be used: wrong sizes, a matrix that is no covariance.
struct input_error : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// A computation broke down on arguments that looked right.
struct numeric_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The caller asked to stop.
struct interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

inline void require(bool condition, const std::string& message) {
  if (!condition) throw input_error(message);
}

}  // namespace covmash
