// The operations of which older control flow is made.
#pragma once

#include <array>
#include <string_view>

#include "core/io/graph_message.h"

namespace headrace {

enum class Role { plain, enter, exit, next, choose, merge, loop_cond, trigger };

struct FrameOp {
  std::string_view name;
  Role role;
  std::array<std::string_view, 2> outputs;
};

const FrameOp* frame_op(std::string_view op);  // nullptr for any other
Role role_of(const NodeMessage& node);

}  // namespace headrace
