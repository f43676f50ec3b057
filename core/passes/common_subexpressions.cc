// Common subexpressions: of two nodes with the same operation, attributes, inputs, control inputs and device,
// and no state, one is enough. Inputs of a commutative operation are compared without regard to order.
#include <algorithm>
#include <unordered_map>

#include "core/passes/pipeline.h"

namespace headrace {
namespace {

std::vector<Output> ordered_inputs(const Node& node) {
  std::vector<Output> inputs(node.inputs().begin(), node.inputs().end());
  if (node.has(Trait::commutative)) std::sort(inputs.begin(), inputs.end());
  return inputs;
}

std::vector<Node*> ordered_controls(const Node& node) {
  std::vector<Node*> controls(node.control_inputs().begin(), node.control_inputs().end());
  std::sort(controls.begin(), controls.end());
  return controls;
}

std::size_t hash_of(const Node& node) {
  std::size_t seed = std::hash<const void*>{}(&node.op());
  const auto mix = [&](std::size_t value) { seed = (seed ^ value) * 0x9e3779b97f4a7c15u; };
  for (const Output& input : ordered_inputs(node)) {
    mix(std::hash<const void*>{}(input.node));
    mix(std::size_t(input.index));
  }
  for (const auto& [name, value] : node.attrs()) {
    if (!name.starts_with('_')) mix(headrace::hash_of(value));
  }
  return seed;
}

bool same(const Node& a, const Node& b) {
  return &a.op() == &b.op() && a.device() == b.device() && ordered_inputs(a) == ordered_inputs(b) &&
         ordered_controls(a) == ordered_controls(b) && equal(a.attrs(), b.attrs());
}

}  // namespace

bool merge_common_subexpressions(Function& function, Resources&) {
  bool changed = false;
  std::unordered_multimap<std::size_t, Node*> seen;
  for (Node* node : function.graph.topological_order()) {
    if (node->has(Trait::stateful) || node->has(Trait::argument) || node->num_outputs() == 0) continue;
    const std::size_t hash = hash_of(*node);
    const auto [begin, end] = seen.equal_range(hash);
    const auto twin = std::find_if(begin, end, [&](const auto& entry) { return same(*entry.second, *node); });
    if (twin == end) {
      seen.emplace(hash, node);
    } else {
      substitute(function, *node, *twin->second);
      changed = true;
    }
  }
  return changed;
}

}  // namespace headrace
