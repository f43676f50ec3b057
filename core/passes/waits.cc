// Waits: an operation that waits for one without side effects does so for the sake of the side effects before
// that one. Where it comes after all of those anyway, it need not wait:
//
//   read v ──▶ f ──▶ g         becomes   read v ──▶ f
//     └──────▶ h ··▶ g                     └──────▶ h      g comes after the read in any case
//
// Programs get such waits in numbers where the gradients of an operation are to be there together. Not
// dropped is a wait that alone keeps an operation in the program: it may be a check.
#include <algorithm>
#include <cstdint>
#include <unordered_set>

#include "core/passes/pipeline.h"

namespace headrace {
namespace {

// For each node the side effects before it, its own included, as bits.
class Effects {
 public:
  Effects(std::span<Node* const> order, std::size_t num_nodes) {
    std::vector<std::size_t> number(num_nodes, 0);
    std::size_t count = 0;
    for (const Node* node : order) {
      if (node->has(Trait::stateful)) number[std::size_t(node->id())] = count++;
    }
    words_ = (count + 63) / 64;
    bits_.assign(num_nodes * words_, 0);
    for (const Node* node : order) {
      for (const Output& input : node->inputs()) add(of(*node), of(*input.node));
      for (const Node* before : node->control_inputs()) add(of(*node), of(*before));
      const std::size_t own = number[std::size_t(node->id())];
      if (node->has(Trait::stateful)) of(*node)[own / 64] |= std::uint64_t(1) << (own % 64);
    }
  }

  std::span<std::uint64_t> of(const Node& node) {
    return std::span(bits_).subspan(std::size_t(node.id()) * words_, words_);
  }
  std::size_t words() const { return words_; }
  static void add(std::span<std::uint64_t> to, std::span<const std::uint64_t> more) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] |= more[i];
  }
  static bool includes(std::span<const std::uint64_t> all, std::span<const std::uint64_t> some) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (some[i] & ~all[i]) return false;
    }
    return true;
  }

 private:
  std::size_t words_ = 0;
  std::vector<std::uint64_t> bits_;
};

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
  Effects effects(order, graph.nodes().size());
  const auto needed = computed_from(function, order);
  bool changed = false;
  std::vector<std::uint64_t> anyway(effects.words());
  for (Node* node : order) {
    if (node->control_inputs().empty()) continue;
    std::fill(anyway.begin(), anyway.end(), 0);
    for (const Output& input : node->inputs()) Effects::add(anyway, effects.of(*input.node));
    std::vector<Node*> kept, idle;
    for (Node* before : node->control_inputs()) {
      const bool stays = before->has(Trait::stateful) || !needed.contains(before);
      (stays ? kept : idle).push_back(before);
      if (stays) Effects::add(anyway, effects.of(*before));
    }
    for (Node* before : idle) {
      if (Effects::includes(anyway, effects.of(*before))) continue;
      kept.push_back(before);
      Effects::add(anyway, effects.of(*before));
    }
    if (kept.size() == node->control_inputs().size()) continue;
    graph.remove_control_inputs(*node);
    for (Node* before : kept) graph.add_control_input(*node, *before);
    changed = true;
  }
  return changed;
}

}  // namespace headrace
