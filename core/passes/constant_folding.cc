// Constant folding: f(c1, ..., cn) with constant ci becomes the constant f(c1, ..., cn), computed by f's own
// kernel.
//
// An integer output whose value follows from shapes alone (Shape, Size, Rank and what is made of them)
// becomes a constant too, without its inputs. What its inputs had to wait for, it still waits for.
#include <algorithm>
#include <unordered_set>
#include <vector>

#include "core/passes/pipeline.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

// A result larger than this is only kept if it is no larger than what it is made of.
constexpr std::size_t kLargeResult = 256 << 10;  // bytes

bool small_enough(const Node& node) {
  std::int64_t in = 0, out = 0;
  for (const Output& input : node.inputs()) in += std::int64_t(input.node->constant()->bytes());
  for (int i = 0; i < node.num_outputs(); ++i) {
    if (!node.shape(i).is_full()) return false;
    out += checked_mul(node.shape(i).size(), std::int64_t(size_of(node.dtype(i))));
  }
  return out <= std::max<std::int64_t>(in, kLargeResult);
}

bool can_evaluate(const Node& node) {
  const auto is_constant = [](const Output& input) { return input.node->constant() != nullptr; };
  if (node.inputs().empty() || !std::all_of(node.inputs().begin(), node.inputs().end(), is_constant))
    return false;
  for (int i = 0; i < node.num_outputs(); ++i) {
    if (!is_plain(node.dtype(i)) && node.dtype(i) != DType::string) return false;
  }
  return has_kernel(node.op().name()) && small_enough(node);
}

// The value of an output that is known from shapes.
Tensor known_value(const Node& node, int i) {
  const PartialInts* ints = node.ints(i);
  const Shape& shape = node.shape(i);
  if (!ints || !shape.is_full() || shape.size() != std::int64_t(ints->size()) ||
      std::find(ints->begin(), ints->end(), kUnknownValue) != ints->end()) {
    return {};
  }
  Tensor value;
  visit(IndexTypes{}, node.dtype(i), [&]<class T>(std::type_identity<T>) {
    value = Tensor(node.dtype(i), shape);
    std::copy(ints->begin(), ints->end(), value.data<T>());
  });
  return value;
}

std::vector<Tensor> fold(const Node& node, Resources& resources) {
  if (can_evaluate(node)) {
    std::vector<Tensor> inputs;
    for (const Output& input : node.inputs()) inputs.push_back(*input.node->constant());
    try {
      return evaluate(node, inputs, resources);
    } catch (const Error&) {
      return {};  // it will fail when it runs, if it runs, and say so then
    }
  }
  std::vector<Tensor> values;
  for (int i = 0; i < node.num_outputs(); ++i) {
    values.push_back(known_value(node, i));
    if (!values.back()) return {};
  }
  return values;
}

}  // namespace

bool fold_constants(Function& function, Resources& resources) {
  Graph& graph = function.graph;
  bool changed = false;
  // Nodes that wait for something directly, or through what they read: dropping such an input must keep the
  // wait.
  std::unordered_set<const Node*> waiting;
  const auto waits = [&](const Node& node) {
    return !node.control_inputs().empty() ||
           std::any_of(node.inputs().begin(), node.inputs().end(),
                       [&](Output input) { return waiting.contains(input.node); });
  };
  // Nodes of which more is known than at first, by id: those made here, and who reads from one.
  const std::size_t at_first = graph.nodes().size();
  std::vector<char> renewed(at_first, false);
  const auto reads_renewed = [&](const Node& node) {
    return std::any_of(node.inputs().begin(), node.inputs().end(), [&](const Output& input) {
      const auto id = std::size_t(input.node->id());
      return id >= at_first || renewed[id];
    });
  };
  for (Node* node : graph.topological_order()) {
    if (waits(*node)) waiting.insert(node);
    if (node->has(Trait::argument) || node->has(Trait::constant) || node->has(Trait::stateful) ||
        node->num_outputs() == 0) {
      continue;
    }
    if (reads_renewed(*node)) {
      infer_and_store(*node);
      renewed[std::size_t(node->id())] = true;
    }
    const std::vector<Tensor> values = fold(*node, resources);
    if (values.empty()) continue;
    for (int i = 0; i < node->num_outputs(); ++i) {
      Node& folded = add_constant(graph, graph.unique_name(node->name() + "/folded"), values[i]);
      folded.set_device(node->device());
      for (Node* before : node->control_inputs()) graph.add_control_input(folded, *before);
      for (const Output& input : node->inputs()) {
        if (waiting.contains(input.node)) graph.add_control_input(folded, *input.node);
      }
      if (waiting.contains(node)) waiting.insert(&folded);
      substitute(function, {node, i}, {&folded, 0});
      if (i == 0) graph.redirect_controls(*node, folded);
    }
    changed = true;
  }
  return changed;
}

}  // namespace headrace
