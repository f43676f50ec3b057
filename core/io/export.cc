// Graph -> GraphDef.
#include <algorithm>
#include <cctype>
#include <set>

#include "core/io/graphdef.h"
#include "core/io/messages.h"

namespace headrace {
namespace {

using wire::Writer;

// How a node's inputs are written: "node:1" in a graph, "argument" or "node:output:0" in a function.
using InputText = std::string (*)(const Output&);

std::string in_graph(const Output& input) { return input.index == 0 ? input.node->name() : input.name(); }

// A function's arguments have stricter names than nodes: small letters, digits and underscores.
std::string argument_name(const Node& argument) {
  std::string name;
  for (unsigned char c : argument.name()) name += std::isalnum(c) ? char(std::tolower(c)) : '_';
  if (!std::isalpha(static_cast<unsigned char>(name[0]))) name.insert(0, 1, 'x');
  return name;
}

// Which of the definition's outputs an output is, and which of that list.
std::string in_function(const Output& input) {
  const Node& node = *input.node;
  if (node.has(Trait::argument)) return argument_name(node);
  int position = 0;
  for (const ArgDef& arg : node.op().outputs()) {
    std::int64_t count = 1;
    if (arg.is_type_list) count = std::int64_t(node.attr<std::vector<DType>>(arg.type_attr).size());
    if (!arg.number_attr.empty()) count = node.attr<std::int64_t>(arg.number_attr);
    if (input.index < position + count) {
      return node.name() + ":" + arg.name + ":" + std::to_string(input.index - position);
    }
    position += int(count);
  }
  internal("node '", node.name(), "' has no output ", input.index);
}

void write_attrs(Writer& out, int field, const AttrMap& attrs, auto&& is_left_out) {
  for (const auto& attr : attrs) {
    if (is_left_out(attr.first, attr.second)) continue;
    out.message(field, [&](Writer& entry) {
      entry.bytes(1, attr.first);
      entry.message(2, [&](Writer& to) { write_attr(to, attr.second); });
    });
  }
}

void write_attrs(Writer& out, int field, const AttrMap& attrs) {
  write_attrs(out, field, attrs, [](const std::string&, const Attr&) { return false; });
}

// Handles have none for others: those of stacks and arrays are vectors of two elsewhere.
std::vector<Shape> output_shapes(const Node& node) {
  std::vector<Shape> shapes;
  for (int i = 0; i < node.num_outputs(); ++i) {
    shapes.push_back(node.dtype(i) == DType::resource ? Shape::unknown() : node.shape(i));
  }
  return shapes;
}

bool is_default(const Node& node, const std::string& name, const Attr& value) {
  const auto& attrs = node.op().attrs();
  const auto found = std::find_if(attrs.begin(), attrs.end(), [&](auto& attr) { return attr.name == name; });
  return found != attrs.end() && found->default_value && equal(*found->default_value, value);
}

// Attributes that came after version 1.15, whose readers know only the default: that needs no mention.
bool is_late(std::string_view op, std::string_view attr) {
  return (op == "TensorListSetItem" && attr == "resize_if_index_out_of_bounds") ||
         (op == "InitializeTableFromTextFileV2" && attr == "offset");
}

void write_node(Writer& out, const Node& node, InputText input_text, const ExportOptions& options) {
  out.bytes(1, node.name());
  out.bytes(2, node.op().name());
  for (const Output& input : node.inputs()) out.bytes_element(3, input_text(input));
  for (const Node* before : node.control_inputs()) {
    out.bytes_element(3, str("^", before->has(Trait::argument) ? argument_name(*before) : before->name()));
  }
  out.bytes(4, node.device());
  write_attrs(out, 5, node.attrs(), [&](const std::string& name, const Attr& value) {
    return is_late(node.op().name(), name) && is_default(node, name, value);
  });
  if (options.with_shapes && node.num_outputs() > 0) {
    write_attrs(out, 5, {{"_output_shapes", output_shapes(node)}});
  }
}

void write_function(Writer& out, const Function& function) {
  // Every result needs a name of its own.
  std::vector<std::string> results = function.result_names;
  for (std::size_t i = results.size(); i < function.results.size(); ++i) {
    results.push_back("result_" + std::to_string(i));
  }
  bool stateful = false;
  for (const auto& node : function.graph.nodes()) stateful = stateful || (node && node->has(Trait::stateful));

  out.message(1, [&](Writer& signature) {
    signature.bytes(1, function.name);
    const auto write_arg = [&](int field, const std::string& name, DType dtype) {
      signature.message(field, [&](Writer& arg) {
        arg.bytes(1, name);
        arg.varint(3, std::uint64_t(dtype));
      });
    };
    for (const Node* argument : function.arguments)
      write_arg(2, argument_name(*argument), argument->dtype(0));
    for (std::size_t i = 0; i < results.size(); ++i) write_arg(3, results[i], function.results[i].dtype());
    signature.boolean(17, stateful);
    for (const Node* target : function.targets) signature.bytes_element(20, target->name());
  });
  for (const auto& node : function.graph.nodes()) {
    if (!node || node->has(Trait::argument)) continue;
    out.message(3, [&](Writer& to) { write_node(to, *node, &in_function, {}); });
  }
  const auto write_pair = [&](int field, const std::string& key, const std::string& value) {
    out.message(field, [&](Writer& entry) {
      entry.bytes(1, key);
      entry.bytes(2, value);
    });
  };
  for (std::size_t i = 0; i < results.size(); ++i)
    write_pair(4, results[i], in_function(function.results[i]));
  write_attrs(out, 5, function.attrs);
  for (const Node* target : function.targets) write_pair(6, target->name(), target->name());
  for (std::size_t i = 0; i < function.arguments.size(); ++i) {
    const Node& argument = *function.arguments[i];
    if (argument.shape(0) == Shape::unknown()) continue;
    out.message(7, [&](Writer& entry) {
      entry.varint(1, i);
      entry.message(2, [&](Writer& to) {
        write_attrs(to, 1, {{"_output_shapes", output_shapes(argument)}});
      });
    });
  }
}

}  // namespace

std::string to_graphdef(const Graph& graph, const ExportOptions& options) {
  Writer out;
  for (const auto& node : graph.nodes()) {
    if (!node || node->id() < options.first_node) continue;
    out.message(1, [&](Writer& to) { write_node(to, *node, &in_graph, options); });
  }
  if (options.with_functions && !graph.functions().empty()) {
    out.message(2, [&](Writer& library) {
      for (const auto& entry : graph.functions()) {
        library.message(1, [&](Writer& to) { write_function(to, *entry.second); });
      }
    });
  }
  out.message(4, [&](Writer& versions) { versions.integer(1, kGraphDefProducer); });
  return out.take();
}

std::string to_node_def(const Node& node) {
  Writer out;
  write_node(out, node, &in_graph, {});
  return out.take();
}

std::string to_function_def(const Function& function) {
  Writer out;
  write_function(out, function);
  return out.take();
}

}  // namespace headrace
