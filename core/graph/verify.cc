#include <algorithm>

#include "core/graph/graph.h"

namespace headrace {

void verify(const Function& function, std::string_view after) {
  const auto check = [&](bool holds, const auto&... parts) {
    if (!holds) internal("after ", after, ": ", parts...);
  };
  const Graph& graph = function.graph;
  std::size_t edges = 0, uses = 0;
  for (const auto& node : graph.nodes()) {
    if (!node) continue;
    check(graph.find(node->name()) == node.get(), "node '", node->name(), "' is not found by its name");
    for (int i = 0; i < int(node->inputs().size()); ++i) {
      const Output input = node->input(i);
      check(&input.node->graph() == &graph, "an input of '", node->name(), "' is in another graph");
      check(input.index >= 0 && input.index < input.node->num_outputs(), "input ", i, " of '", node->name(),
            "' does not exist");
      const auto of = input.node->uses();
      check(std::find(of.begin(), of.end(), Use{node.get(), i}) != of.end(), "input ", i, " of '",
            node->name(), "' is not among the uses of '", input.node->name(), "'");
      ++edges;
    }
    for (Node* before : node->control_inputs()) {
      const auto of = before->uses();
      check(std::find(of.begin(), of.end(), Use{node.get(), kControl}) != of.end(), "a control input of '",
            node->name(), "' is not among the uses of '", before->name(), "'");
      ++edges;
    }
    uses += node->uses().size();
    // Input types still satisfy the definition.
    std::size_t position = 0;
    for (const ArgDef& arg : node->op().inputs()) {
      if (arg.is_type_list) {
        for (DType dtype : node->attr<std::vector<DType>>(arg.type_attr)) {
          check(node->input(int(position)).dtype() == dtype, "input ", position, " of '", node->name(),
                "' has another dtype");
          ++position;
        }
        continue;
      }
      const auto count = arg.number_attr.empty() ? 1 : node->attr<std::int64_t>(arg.number_attr);
      const DType dtype = arg.type_attr.empty() ? arg.dtype : node->attr<DType>(arg.type_attr);
      for (std::int64_t i = 0; i < count; ++i, ++position) {
        check(node->input(int(position)).dtype() == dtype, "input ", position, " of '", node->name(), "' (",
              node->op().name(), ") is ", name_of(node->input(int(position)).dtype()), ", expected ",
              name_of(dtype));
      }
    }
    check(position == node->inputs().size(), "'", node->name(), "' has ", node->inputs().size(),
          " inputs, expected ", position);
  }
  check(edges == uses, "edges and uses differ in number");
  check(graph.topological_order().size() == std::size_t(graph.size()), "the graph has a cycle");
  for (const Node* argument : function.arguments) {
    check(argument && argument->has(Trait::argument) && &argument->graph() == &graph,
          "an argument is missing");
  }
  for (const Output& result : function.results) {
    check(result && &result.node->graph() == &graph && result.index < result.node->num_outputs(),
          "a result is missing");
  }
  for (const Node* target : function.targets)
    check(target && &target->graph() == &graph, "a target is missing");
}

}  // namespace headrace
