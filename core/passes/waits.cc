// Waits: an operation that waits for one without side effects does so for the sake of the side effects before
// that one. Where it comes after all of those anyway, it need not wait:
//
//   read v ──▶ f ──▶ g         becomes   read v ──▶ f
//     └──────▶ h ··▶ g                     └──────▶ h      g comes after the read in any case
//
// Programs get such waits in numbers where the gradients of an operation are to be there together. Not
// dropped is a wait that alone keeps an operation in the program: it may be a check.
#include <algorithm>
#include <unordered_set>

#include "core/base/sets.h"
#include "core/passes/pipeline.h"

namespace headrace {
namespace {

// For each node the side effects before it, its own included, as a set.
std::vector<int> effects_of(std::span<Node* const> order, std::size_t num_nodes, Sets& sets) {
  std::vector<int> effects(num_nodes, 0);
  std::size_t count = 0;
  for (const Node* node : order) {
    int& own = effects[std::size_t(node->id())];
    for (const Output& input : node->inputs()) own = sets.unite(own, effects[std::size_t(input.node->id())]);
    for (const Node* before : node->control_inputs())
      own = sets.unite(own, effects[std::size_t(before->id())]);
    if (node->has(Trait::stateful)) own = sets.with(own, count++);
  }
  return effects;
}

// What results, targets and side effects are computed from.
std::unordered_set<const Node*> computed_from(const Function& function, std::span<Node* const> order) {
  std::unordered_set<const Node*> needed(function.arguments.begin(), function.arguments.end());
  needed.insert(function.targets.begin(), function.targets.end());
  for (const Output& result : function.results) needed.insert(result.node);
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Node* node = *it;
    if (node->has(Trait::stateful)) needed.insert(node);
    if (!needed.contains(node)) continue;
    for (const Output& input : node->inputs()) needed.insert(input.node);
  }
  return needed;
}

}  // namespace

bool drop_waits(Function& function, Resources&) {
  Graph& graph = function.graph;
  const std::vector<Node*> order = graph.topological_order();
  if (std::all_of(order.begin(), order.end(), [](Node* node) { return node->control_inputs().empty(); }))
    return false;
  Sets sets(order.size());
  const std::vector<int> effects = effects_of(order, graph.nodes().size(), sets);
  const auto needed = computed_from(function, order);
  bool changed = false;
  for (Node* node : order) {
    if (node->control_inputs().empty()) continue;
    int anyway = 0;
    const auto effects_before = [&](const Node& other) { return effects[std::size_t(other.id())]; };
    const auto comes_after = [&](const Node& other) { anyway = sets.unite(anyway, effects_before(other)); };
    for (const Output& input : node->inputs()) comes_after(*input.node);
    std::vector<Node*> kept, idle;
    for (Node* before : node->control_inputs()) {
      const bool stays = before->has(Trait::stateful) || !needed.contains(before);
      (stays ? kept : idle).push_back(before);
      if (stays) comes_after(*before);
    }
    for (Node* before : idle) {
      if (sets.contains(anyway, effects_before(*before))) continue;
      kept.push_back(before);
      comes_after(*before);
    }
    if (kept.size() == node->control_inputs().size()) continue;
    graph.remove_control_inputs(*node);
    for (Node* before : kept) graph.add_control_input(*node, *before);
    changed = true;
  }
  return changed;
}

}  // namespace headrace
