#include "core/passes/pipeline.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace headrace {

// Dropping what nobody reads first, so that nothing else looks at it; then folding, since it completes shapes
// that the others look at; merging on what is left; then what looks for equal operands; fusing last, since
// what is fused is not looked into any more, and joining what ends a step. Waits go early, since nothing that
// waits is rewritten.
std::span<const Pass> pipeline() {
  static constexpr std::array kPasses = {
      Pass{"unread", "drops what conditions, loops and calls compute for nobody", drop_unread},
      Pass{"constant_folding", "computes what depends on constants only, once", fold_constants},
      Pass{"waits", "drops waits for what has no side effects", drop_waits},
      Pass{"identities", "removes nodes that only pass a value on", remove_identities},
      Pass{"algebra", "removes additions of zero, products with one, double negations...", simplify_algebra},
      Pass{"common_subexpressions", "computes the same thing once", merge_common_subexpressions},
      Pass{"loop_sums", "adds the products that a loop sums up to the sum itself, many at once",
           sum_products_in_loops},
      Pass{"products", "brings products of matrices that share an operand together", join_products},
      Pass{"post_operations", "biases, residuals and activations are done by products and convolutions",
           fuse_post_operations},
      Pass{"fusion", "computes elementwise operations that read each other block by block, as one",
           fuse_elementwise},
      Pass{"updates", "small updates of variables are one parallel loop", join_updates},
  };
  return kPasses;
}

void run_passes(Function& function, std::span<const std::string> disabled, bool verify_each,
                Resources& resources) {
  infer_all(function);
  if (verify_each) verify(function, "inference");
  for (const Pass& pass : pipeline()) {
    if (std::find(disabled.begin(), disabled.end(), pass.name) != disabled.end()) continue;
    const bool changed = pass.run(function, resources);
    if (changed) prune(function);
    if (verify_each) verify(function, pass.name);
  }
}

void infer_all(Function& function) {
  for (Node* node : function.graph.topological_order()) {
    if (node->has(Trait::argument)) continue;
    in_node(*node, [&] {
      infer_and_store(*node);
      // A placeholder with a default does not have the default's shape for sure until it is not fed.
      if (node->has(Trait::identity)) node->merge_shape(0, node->input(0).shape());
    });
  }
}

void prune(Function& function) {
  Graph& graph = function.graph;
  std::vector<char> needed(graph.nodes().size(), false);
  std::vector<const Node*> open;
  const auto need = [&](const Node* node) {
    if (std::exchange(needed[std::size_t(node->id())], true)) return;
    open.push_back(node);
  };
  for (const Node* argument : function.arguments) need(argument);
  for (const Output& result : function.results) need(result.node);
  for (const Node* target : function.targets) need(target);
  std::size_t count = 0;
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    ++count;
    for (const Output& input : node->inputs()) need(input.node);
    for (const Node* before : node->control_inputs()) need(before);
  }
  if (count == std::size_t(graph.size())) return;
  const std::vector<Node*> order = graph.topological_order();
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    if (!needed[std::size_t((*it)->id())]) graph.remove(**it);
  }
}

void substitute(Function& function, Output from, Output to) {
  function.graph.replace(from, to);
  std::replace(function.results.begin(), function.results.end(), from, to);
}

void substitute(Function& function, Node& from, Node& to) {
  for (int i = 0; i < from.num_outputs(); ++i) substitute(function, {&from, i}, {&to, i});
  function.graph.redirect_controls(from, to);
  std::replace(function.targets.begin(), function.targets.end(), &from, &to);
}

}  // namespace headrace
