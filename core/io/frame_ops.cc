#include "core/io/frame_ops.h"

#include <algorithm>

#include "core/io/frames.h"

namespace headrace {

constexpr FrameOp kFrameOps[] = {
    {"Enter", Role::enter, {"output"}},
    {"Exit", Role::exit, {"output"}},
    {"NextIteration", Role::next, {"output"}},
    {"Switch", Role::choose, {"output_false", "output_true"}},
    {"Merge", Role::merge, {"output", "value_index"}},
    {"LoopCond", Role::loop_cond, {"output"}},
};

const FrameOp* frame_op(std::string_view op) {
  const auto* found = std::find_if(std::begin(kFrameOps), std::end(kFrameOps),
                                   [&](const FrameOp& each) { return each.name == op; });
  return found == std::end(kFrameOps) ? nullptr : found;
}

Role role_of(const NodeMessage& node) {
  // It runs whenever what it waits for is done with, even on a side that is not taken.
  if (node.op == "ControlTrigger") return Role::trigger;
  const FrameOp* op = frame_op(node.op);
  return op ? op->role : Role::plain;
}

bool is_frame_operation(std::string_view op) { return frame_op(op) != nullptr; }

bool has_frames(const std::vector<NodeMessage>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const NodeMessage& n) { return is_frame_operation(n.op); });
}

Source unnamed(Source source, std::string_view op) {
  const FrameOp* known = frame_op(op);
  if (!known || source.output.empty()) return source;
  for (int i = 0; i < int(known->outputs.size()); ++i) {
    if (source.output == known->outputs[std::size_t(i)] && source.index == 0)
      return {.node = source.node, .index = i};
  }
  return source;
}

}  // namespace headrace
