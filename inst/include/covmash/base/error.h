#pragma once
// Exceptions of the core. Indices count from 0 here and from 1 in messages, as the user's do.

#include <cstddef>
#include <stdexcept>
#include <string>

namespace covmash {

// One of the user's things that an error is about, so that who reports it can add the name it has.
struct Subject {
  const char* what = nullptr;  // "effect", "component", ...; null: nothing in particular
  std::size_t index = 0;

  std::string text() const { return std::string(what) + " " + std::to_string(index + 1); }
};

namespace at {

inline Subject effect(std::size_t j) { return {"effect", j}; }
inline Subject component(std::size_t p) { return {"component", p}; }
inline Subject covariance(std::size_t k) { return {"covariance matrix", k}; }

}  // namespace at

namespace detail {

// Messages are put together out of line: there are hundreds of places that throw, and next to none that does.
template <typename Base>
struct core_error : Base {
  [[gnu::noinline]] explicit core_error(const char* message) : Base(message) {}
  [[gnu::noinline]] explicit core_error(const std::string& message) : Base(message) {}
  // throw numeric_error("the log-likelihood of ", at::effect(j), " is not finite");
  [[gnu::noinline]] core_error(const char* before, const Subject& about, const char* after)
      : Base(before + about.text() + after), subject(about) {}
  [[gnu::noinline]] core_error(const std::string& before, const Subject& about, const std::string& after)
      : Base(before + about.text() + after), subject(about) {}

  Subject subject;
};

}  // namespace detail

// The arguments cannot be used: wrong sizes, a matrix that is no covariance.
struct input_error : detail::core_error<std::invalid_argument> {
  using core_error::core_error;
};

// A computation broke down on arguments that looked right.
struct numeric_error : detail::core_error<std::runtime_error> {
  using core_error::core_error;
};

// The caller asked to stop.
struct interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

[[noreturn, gnu::noinline]] inline void refuse(const char* message) { throw input_error(message); }

inline void require(bool condition, const char* message) {
  if (!condition) refuse(message);
}

inline void require(bool condition, const std::string& message) {
  if (!condition) throw input_error(message);
}

}  // namespace covmash
