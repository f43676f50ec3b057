// GraphDef, both ways: how graphs travel between programs and are kept in files.
//
// The user's source lines are not part of it: they belong to the process that made the graph.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/graph/graph.h"

namespace headrace {

// The version of the format that we write, and the newest that we read.
inline constexpr int kGraphDefProducer = 134;

struct ExportOptions {
  int first_node = 0;        // leave out nodes with smaller ids
  bool with_shapes = false;  // attribute "_output_shapes" on every node that has outputs
  bool with_functions = true;
};

std::string to_graphdef(const Graph& graph, const ExportOptions& options = {});
std::string to_node_def(const Node& node);
std::string to_function_def(const Function& function);

struct ImportOptions {
  std::string prefix = {};  // put before every name, with a slash
  // What to read instead of an output ("a", "a:1") or to wait for instead of a node ("^a") of the message.
  std::map<std::string, std::variant<Output, Node*>> input_map = {};
  std::vector<std::string> return_elements = {};  // "a" for a node, "a:1" for an output
  // Every node waits for these.
  std::vector<Node*> control_inputs = {};
  std::string device = {};  // for nodes that name none
  std::string source = {};  // the user's line
  // Attributes of the message's operations that hold their default value and that are unknown here are
  // dropped. These definitions (an OpList message) tell the defaults; without them, attributes with the empty
  // value of their kind are dropped.
  std::string producer_ops = {};
};

struct Imported {
  std::vector<Node*> nodes;                           // in the order of the message
  std::vector<std::variant<Output, Node*>> returned;  // for each of return_elements
};

// Adds the nodes and functions of the message to the graph: all of them, or none and an Error. Names that the
// graph has already get a number.
Imported import_graphdef(Graph& graph, std::string_view message, const ImportOptions& options = {});

// Adds one function (a FunctionDef). The same function under the same name is no error.
void import_function(Graph& graph, std::string_view message);

}  // namespace headrace
