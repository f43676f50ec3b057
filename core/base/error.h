// Failure is an exception that carries a status code. The codes are the published canonical ones, so that
// front ends can map each to a class of their own.
#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace headrace {

enum class Code : std::int32_t {
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

// `node` is the name of the node at fault, empty until someone who knows it catches and fills it in
// (see in_node in graph/node.h). A kernel or shape rule throws with the bare message.
class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message, std::string node = {}, std::string op = {})
      : std::runtime_error(message), code_(code), node_(std::move(node)), op_(std::move(op)) {}
  Code code() const { return code_; }
  const std::string& node() const { return node_; }
  const std::string& op() const { return op_; }

 private:
  Code code_;
  std::string node_;
  std::string op_;
};

// A dtype where another is needed. Its own class, because front ends raise their TypeError for it.
class DTypeError : public Error {
 public:
  explicit DTypeError(const std::string& message, std::string node = {}, std::string op = {})
      : Error(Code::invalid_argument, message, std::move(node), std::move(op)) {}
};

// Joins anything that an ostream takes: str("a is ", shape, ", expected ", 3).
template <class... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(Code code, const Parts&... parts) {
  throw Error(code, str(parts...));
}
template <class... Parts>
[[noreturn]] void invalid(const Parts&... parts) {
  throw Error(Code::invalid_argument, str(parts...));
}
// Our own bug, not the user's.
template <class... Parts>
[[noreturn]] void internal(const Parts&... parts) {
  throw Error(Code::internal, str(parts...));
}

// Passes if `condition` holds, else throws InvalidArgument with the parts as its message.
template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]]
    invalid(parts...);
}

}  // namespace headrace
