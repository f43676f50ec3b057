// GraphDef messages taken apart: their nodes and functions as they stand there, before anything is known of
// what they mean. Rewrites of the message (references.h) work on this form.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/dtype.h"
#include "core/graph/attr.h"
#include "core/io/wire.h"

namespace headrace {

// Everything here refers to the bytes of the message, or to `GraphMessage::texts`.
using AttrMessages = std::vector<std::pair<std::string_view, wire::Reader>>;

// Where an input comes from: "node", "node:1", "^node"; in a function also "node:output:1".
struct Source {
  std::string_view node;
  std::string_view output = {};  // the name of one of the definition's outputs, or empty
  int index = 0;
  bool control = false;
};
Source parse_source(std::string_view text);

struct NodeMessage {
  std::string_view name, op, device;
  std::vector<Source> inputs;
  AttrMessages attrs;
  // The node whose name, once imported, is this one's attribute "shared_name"; or empty.
  std::string_view shared_with = {};

  const wire::Reader* find_attr(std::string_view key) const;  // nullptr if there is none
};

struct ArgumentMessage {
  std::string_view name;
  DType dtype = DType::invalid;
};

struct FunctionMessage {
  std::string_view name;
  std::vector<ArgumentMessage> arguments, results;
  std::vector<std::string_view> control_outputs;
  std::vector<NodeMessage> nodes;
  std::unordered_map<std::string_view, std::string_view> returns, control_returns;
  AttrMessages attrs;
  std::map<std::uint64_t, AttrMessages> argument_attrs;
};

struct GraphMessage {
  std::vector<NodeMessage> nodes;
  std::vector<FunctionMessage> functions;
  std::deque<std::string> texts = {};  // names and attributes that rewrites have made

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
  wire::Reader keep(const Attr& value);
};

// InvalidArgument if the message is malformed or needs a newer reader. `message` must outlive the result.
GraphMessage read_graph(std::string_view message);
FunctionMessage read_function(wire::Reader in);

// A name in quotes, for messages.
std::string quoted(std::string_view text);

}  // namespace headrace
