#include "core/passes/extract.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/graph/handle.h"
#include "core/registry/ops.h"

namespace headrace {

// A name that no node of either graph has.
static std::string argument_name(const Graph& graph, const Graph& other, std::size_t i) {
  std::string name = str("_Arg_", i);
  while (graph.find(name) || other.find(name)) name += "_";
  return name;
}

std::unique_ptr<Function> extract(const Graph& graph, std::span<const Output> fed,
                                  std::span<const Output> results, std::span<Node* const> targets) {
  const std::map<Output, int> argument_of = [&] {
    std::map<Output, int> map;
    for (std::size_t i = 0; i < fed.size(); ++i) {
      require(map.emplace(fed[i], int(i)).second, "'", fed[i].name(), "' is fed twice");
    }
    return map;
  }();
  // Who waits for a node that is fed need not wait.
  std::set<const Node*> fed_nodes;
  for (const Output& output : fed) fed_nodes.insert(output.node);

  // Mark what is needed, backwards.
  std::vector<char> needed(graph.nodes().size(), false);
  std::vector<Node*> open;
  const auto need = [&](Node* node) {
    if (!needed[node->id()]) needed[node->id()] = true, open.push_back(node);
  };
  const auto need_output = [&](Output output) {
    if (!argument_of.contains(output)) need(output.node);
  };
  for (const Output& result : results) need_output(result);
  for (Node* target : targets) need(target);
  while (!open.empty()) {
    Node* node = open.back();
    open.pop_back();
    for (const Output& input : node->inputs()) need_output(input);
    for (Node* before : node->control_inputs()) {
      if (!fed_nodes.contains(before)) need(before);
    }
  }

  auto function = std::make_unique<Function>();
  function->graph.share_functions(graph);
  std::vector<Node*> argument_nodes;
  for (std::size_t i = 0; i < fed.size(); ++i) {
    // The argument takes the name of the node that it stands for, unless that is in the function too.
    const Node& stands_for = *fed[i].node;
    const bool both = needed[stands_for.id()] || function->graph.find(stands_for.name());
    Node& argument = function->graph.add(
        find_op("_Arg"), {.name = both ? argument_name(graph, function->graph, i) : stands_for.name(),
                          .inputs = {},
                          .attrs = {{"T", fed[i].dtype()}, {"index", std::int64_t(i)}},
                          .source = stands_for.source()});
    argument.set_shape(0, fed[i].shape());
    if (!is_plain(fed[i].dtype())) annotate_argument(argument, handle_type(fed[i]));
    function->arguments.push_back(&argument);
  }

  // Copy in an order in which inputs come first: that of creation, where the graph allows it.
  std::vector<Node*> order;
  for (const auto& node : graph.nodes()) {
    if (node && needed[node->id()]) order.push_back(node.get());
  }
  const auto out_of_order = [](Node* node) {
    return std::any_of(node->inputs().begin(), node->inputs().end(),
                       [&](Output in) { return in.node->id() > node->id(); }) ||
           std::any_of(node->control_inputs().begin(), node->control_inputs().end(),
                       [&](Node* before) { return before->id() > node->id(); });
  };
  if (std::any_of(order.begin(), order.end(), out_of_order)) {
    order = graph.topological_order();
    std::erase_if(order, [&](Node* node) { return !needed[node->id()]; });
  }
  std::vector<Node*> copies(graph.nodes().size(), nullptr);
  // Who waits for what is fed waits for the argument: the caller is not to think that nobody needs that.
  for (std::size_t i = 0; i < fed.size(); ++i) {
    const Node* node = fed[i].node;
    if (!needed[node->id()] && node->num_outputs() == 1) copies[node->id()] = function->arguments[i];
  }
  const auto copied = [&](Output output) -> Output {
    const auto it = argument_of.find(output);
    return it == argument_of.end() ? Output{copies[output.node->id()], output.index}
                                   : Output{function->arguments[it->second], 0};
  };
  std::vector<Output> inputs;
  std::vector<Node*> controls;
  for (Node* node : order) {
    inputs.clear();
    controls.clear();
    for (const Output& input : node->inputs()) inputs.push_back(copied(input));
    for (Node* before : node->control_inputs()) {
      if (Node* made = copies[before->id()]) controls.push_back(made);
    }
    copies[node->id()] = &function->graph.clone(*node, inputs, controls, node->name());
  }
  for (const Output& result : results) function->results.push_back(copied(result));
  for (Node* target : targets) function->targets.push_back(copies[target->id()]);
  return function;
}

std::unique_ptr<Function> copy(const Function& function) {
  std::vector<Output> fed;
  for (Node* argument : function.arguments) fed.push_back({argument, 0});
  auto copied = extract(function.graph, fed, function.results, function.targets);
  copied->name = function.name;
  copied->attrs = function.attrs;
  copied->result_names = function.result_names;
  return copied;
}

const Function& function_named(const Graph& graph, const std::string& name) {
  const auto function = graph.find_function(name);
  if (!function) fail(Code::not_found, "the graph has no function '", name, "'");
  return *function;  // the library keeps it
}

std::string add_variant(Graph& graph, std::unique_ptr<Function> function, std::string_view suffix) {
  const std::string original = function->name;
  int count = 0;
  do function->name = str(original, suffix, count++);
  while (graph.find_function(function->name));
  std::string name = function->name;
  graph.add_function(std::move(function));
  return name;
}

}  // namespace headrace
