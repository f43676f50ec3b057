// How operations end whose step has ended because another one failed.
#pragma once

#include <string_view>

#include "core/base/error.h"

namespace headrace {

// The reason for which a step is cancelled then, and what its operations throw: whoever collects failures
// prefers any other one, which is the cause.
inline constexpr std::string_view kAnotherFailed = "another operation of the step failed";
class EndedByAnother : public Error {
 public:
  using Error::Error;
};

}  // namespace headrace
