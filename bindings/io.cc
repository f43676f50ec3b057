// GraphDef and the other messages that graphs travel in, as bytes.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>

#include "bindings/python.h"
#include "core/io/graphdef.h"
#include "core/io/messages.h"
#include "core/registry/ops.h"

namespace headrace::python {
namespace {

using Element = std::variant<Output, Node*>;
// An element of a graph in Python: a node's id and the index of an output, or kControl for the node itself.
using ElementIds = std::pair<int, int>;

nb::bytes bytes_of(const std::string& text) { return nb::bytes(text.data(), text.size()); }
std::string_view view_of(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

ElementIds ids_of(const Element& element) {
  if (const Output* output = std::get_if<Output>(&element)) return {output->node->id(), output->index};
  return {std::get<Node*>(element)->id(), kControl};
}

auto import_message(GraphHandle& handle, const nb::bytes& message, std::string prefix,
                    const std::vector<std::pair<std::string, ElementIds>>& input_map,
                    std::vector<std::string> return_elements, nb::handle control_inputs, std::string device,
                    std::string source, const nb::bytes& producer_ops) {
  Graph& graph = *handle.graph;
  ImportOptions options{.prefix = std::move(prefix),
                        .return_elements = std::move(return_elements),
                        .control_inputs = to_nodes(graph, control_inputs),
                        .device = std::move(device),
                        .source = std::move(source),
                        .producer_ops = std::string(view_of(producer_ops))};
  for (const auto& [key, ids] : input_map) {
    options.input_map.emplace(key, ids.second == kControl ? Element(&handle.node(ids.first))
                                                          : Element(handle.output(ids.first, ids.second)));
  }
  const std::string_view view = view_of(message);
  std::pair<std::vector<int>, std::vector<ElementIds>> made;
  {
    const nb::gil_scoped_release release;
    const Imported imported = import_graphdef(graph, view, options);
    for (const Node* node : imported.nodes) made.first.push_back(node->id());
    for (const Element& element : imported.returned) made.second.push_back(ids_of(element));
  }
  return made;
}

}  // namespace

void bind_io(nb::module_& m) {
  m.def(
      "graph_def",
      [](const GraphHandle& g, int first_node, bool with_shapes) {
        return bytes_of(to_graphdef(*g.graph, {.first_node = first_node, .with_shapes = with_shapes}));
      },
      nb::arg("graph"), nb::arg("first_node") = 0, nb::arg("with_shapes") = false,
      "The graph as a GraphDef message, without the nodes before `first_node`.");
  m.def(
      "node_def", [](const GraphHandle& g, int id) { return bytes_of(to_node_def(g.node(id))); },
      nb::arg("graph"), nb::arg("id"), "One node as a NodeDef message.");
  m.def("import_graph_def", &import_message, nb::arg("graph"), nb::arg("message"), nb::arg("prefix"),
        nb::arg("input_map"), nb::arg("return_elements"), nb::arg("control_inputs"), nb::arg("device"),
        nb::arg("source"), nb::arg("producer_ops"),
        "Adds a GraphDef's nodes. Returns their ids, and (id, index) of each of `return_elements`; the index "
        "is "
        "-1 for a node.");
  m.def(
      "function_def",
      [](const GraphHandle& g, const std::string& name) {
        const auto function = g.graph->find_function(name);
        if (!function) fail(Code::not_found, "the graph has no function '", name, "'");
        return bytes_of(to_function_def(*function));
      },
      nb::arg("graph"), nb::arg("name"), "One function of the graph's library as a FunctionDef message.");
  m.def(
      "import_function",
      [](GraphHandle& g, const nb::bytes& message) { import_function(*g.graph, view_of(message)); },
      nb::arg("graph"), nb::arg("message"), "Adds a FunctionDef to the graph's library.");
  m.def(
      "op_def_message", [](const std::string& op) { return bytes_of(to_op_def(find_op(op))); }, nb::arg("op"),
      "The definition of an operation as an OpDef message.");
  m.def(
      "tensor_proto", [](nb::handle array) { return bytes_of(to_tensor_proto(borrow(array))); },
      nb::arg("array"), "An array as a TensorProto message.");
  m.def(
      "array_of_tensor_proto",
      [](const nb::bytes& message) { return to_numpy(from_tensor_proto(view_of(message)), true); },
      nb::arg("message"), nb::sig("def array_of_tensor_proto(message: bytes) -> typing.Any"),
      "The array that a TensorProto message holds.");
}

}  // namespace headrace::python
