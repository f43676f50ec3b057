// The library of functions of a graph, seen from Python.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <mutex>

#include "bindings/python.h"
#include "core/graph/handle.h"
#include "core/passes/extract.h"

namespace headrace::python {
namespace {

// Makes a function of the part of `body` between `arguments` and `results`, and puts it into the library of
// `graph`.
void define_function(GraphHandle& graph, const std::string& name, const GraphHandle& body,
                     nb::handle arguments, nb::handle results, nb::handle targets) {
  const std::vector<Output> fed = to_outputs(*body.graph, arguments),
                            fetched = to_outputs(*body.graph, results);
  const std::vector<Node*> run = to_nodes(*body.graph, targets);
  std::shared_ptr<Function> function = extract(*body.graph, fed, fetched, run);
  function->name = name;
  graph.graph->add_function(std::move(function));
}

// A graph that holds a copy of a function: (graph, ids of the arguments, flat results, ids of the targets).
nb::tuple function_graph(const GraphHandle& graph, const std::string& name) {
  const auto function = graph.graph->find_function(name);
  if (!function) fail(Code::not_found, "the graph has no function '", name, "'");
  std::shared_ptr<Function> copied = copy(*function);
  std::vector<int> arguments, results, targets;
  for (const Node* node : copied->arguments) arguments.push_back(node->id());
  for (const Output& output : copied->results) {
    results.push_back(output.node->id());
    results.push_back(output.index);
  }
  for (const Node* node : copied->targets) targets.push_back(node->id());
  // The graph lives inside the function, and keeps it alive.
  GraphHandle handle{std::shared_ptr<Graph>(copied, &copied->graph)};
  return nb::make_tuple(handle, arguments, results, targets);
}

std::vector<int> extend(GraphHandle& graph, int id, nb::handle inputs, nb::handle attrs) {
  Node& node = graph.node(id);
  graph.graph->extend(node, to_outputs(*graph.graph, inputs), to_attrs(node.op(), attrs));
  std::vector<int> dtypes;
  for (int i = 0; i < node.num_outputs(); ++i) dtypes.push_back(int(node.dtype(i)));
  return dtypes;
}

void share_functions(GraphHandle& graph, const GraphHandle& other) {
  for (const auto& [name, function] : other.graph->functions()) {
    if (!graph.graph->find_function(name)) graph.graph->add_function(function);
  }
}

bool calls(const Node& node, const std::string& function) {
  return std::any_of(node.attrs().begin(), node.attrs().end(), [&](const auto& attr) {
    if (const auto* one = std::get_if<FunctionName>(&attr.second)) return one->name == function;
    const auto* list = std::get_if<std::vector<FunctionName>>(&attr.second);
    return list && std::find(list->begin(), list->end(), FunctionName{function}) != list->end();
  });
}

// The nodes in whose functions a node of this name is, (operation, name) from the inside out; empty if there
// is no such node.
std::vector<std::pair<std::string, std::string>> callers(const GraphHandle& graph, const std::string& name) {
  std::vector<std::pair<std::string, std::string>> chain;
  const auto& library = graph.graph->functions();
  const auto inside = [&](const auto& entry) { return entry.second->graph.find(name) != nullptr; };
  auto at = std::find_if(library.begin(), library.end(), inside);
  while (at != library.end() && chain.size() < library.size()) {
    const std::string& callee = at->first;
    const auto caller_in = [&](const Graph& body) {
      const auto found = std::find_if(body.nodes().begin(), body.nodes().end(),
                                      [&](const auto& node) { return node && calls(*node, callee); });
      if (found != body.nodes().end()) chain.emplace_back((*found)->op().name(), (*found)->name());
      return found != body.nodes().end();
    };
    if (caller_in(*graph.graph)) break;
    at = std::find_if(library.begin(), library.end(),
                      [&](const auto& entry) { return caller_in(entry.second->graph); });
  }
  return chain;
}

void annotate(GraphHandle& graph, int id, const GraphHandle& other, int from, int index) {
  annotate_argument(graph.node(id), handle_type(other.output(from, index)));
}

}  // namespace

void bind_functions(nb::module_& m) {
  m.def("define_function", &define_function, nb::arg("graph"), nb::arg("name"), nb::arg("body"),
        nb::arg("arguments"), nb::arg("results"), nb::arg("targets"),
        "Adds to a graph's library the function between `arguments` and `results` of `body` (flat: id, "
        "index...).");
  m.def("function_graph", &function_graph, nb::arg("graph"), nb::arg("name"),
        "A graph with a copy of a function: (graph, argument ids, flat results, target ids).");
  m.def("share_functions", &share_functions, nb::arg("graph"), nb::arg("other"),
        "Adds the functions of `other` that `graph` lacks.");
  m.def("callers", &callers, nb::arg("graph"), nb::arg("name"),
        "The nodes in whose functions a node of this name is: (operation, name) from the inside out.");
  m.def("annotate_argument", &annotate, nb::arg("graph"), nb::arg("id"), nb::arg("other"), nb::arg("from_id"),
        nb::arg("index"), "Tells an argument what the handle that it stands for refers to.");
  m.def(
      "handle_dtype",
      [](const GraphHandle& graph, int id, int index) {
        return int(handle_type(graph.output(id, index)).dtype);
      },
      nb::arg("graph"), nb::arg("id"), nb::arg("index"),
      "The dtype number of the state behind a handle, 0 if not known.");
  m.def(
      "extend", &extend, nb::arg("graph"), nb::arg("id"), nb::arg("inputs"), nb::arg("attrs"),
      "Gives a node more inputs and, by its attributes, outputs; returns the dtype numbers of all outputs.");
}

}  // namespace headrace::python
