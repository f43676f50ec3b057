// A small test framework. A test registers itself where it stands and fails by throwing:
//
//   TEST(wire, reads_what_it_wrote) { CHECK_EQ(read(written), value); }
#pragma once

#include <exception>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace headrace::testing {

struct Test {
  std::string name;
  std::function<void()> run;
};
inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}
struct Register {
  Register(std::string name, std::function<void()> run) {
    tests().push_back({std::move(name), std::move(run)});
  }
};

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class T>
std::string show(const T& value) {
  if constexpr (requires(std::ostream & out) { out << value; }) {
    return str(value);
  } else if constexpr (requires { value.begin(); }) {
    std::string text = "[";
    for (const auto& item : value) text += (text.size() > 1 ? ", " : "") + show(item);
    return text + "]";
  } else {
    return "<value>";
  }
}

// Calls f and returns the message of the Error that it throws, whose code must be `code`.
template <class F>
std::string error_of(Code code, F&& f, const char* where) {
  try {
    f();
  } catch (const Error& error) {
    if (error.code() != code) throw Failure(str(where, ": code ", int(error.code()), ": ", error.what()));
    return error.what();
  }
  throw Failure(str(where, ": no error"));
}

#define TEST(GROUP, NAME)                                                                              \
  static void test_##GROUP##_##NAME();                                                                 \
  static const ::headrace::testing::Register GROUP##_##NAME(#GROUP "." #NAME, &test_##GROUP##_##NAME); \
  static void test_##GROUP##_##NAME()

#define HERE __FILE__ ":" HEADRACE_TEXT(__LINE__)
#define HEADRACE_TEXT(X) HEADRACE_TEXT_OF(X)
#define HEADRACE_TEXT_OF(X) #X

#define CHECK(...)                                                                                           \
  do {                                                                                                       \
    if (!(__VA_ARGS__)) throw ::headrace::testing::Failure(std::string(HERE ": not true: ") + #__VA_ARGS__); \
  } while (false)

// The values are copied, so that they may be parts of what lives no longer than the expression.
#define CHECK_EQ(A, B)                                                                \
  do {                                                                                \
    const auto left = (A);                                                            \
    const auto right = (B);                                                           \
    if (!(left == right)) {                                                           \
      throw ::headrace::testing::Failure(std::string(HERE ": " #A " is ") +           \
                                         ::headrace::testing::show(left) + ", not " + \
                                         ::headrace::testing::show(right));           \
    }                                                                                 \
  } while (false)

// The expression throws an Error of this code; gives its message.
#define CHECK_ERROR(CODE, ...)   \
  ::headrace::testing::error_of( \
      ::headrace::Code::CODE, [&] { (void)(__VA_ARGS__); }, HERE)

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}
#define CHECK_CONTAINS(TEXT, PART)                                                                          \
  do {                                                                                                      \
    const std::string text = (TEXT);                                                                        \
    if (!::headrace::testing::contains(text, PART))                                                         \
      throw ::headrace::testing::Failure(std::string(HERE ": no '") + std::string(PART) + "' in: " + text); \
  } while (false)

}  // namespace headrace::testing
