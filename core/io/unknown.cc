#include "core/io/unknown.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/io/frames.h"
#include "core/io/messages.h"
#include "core/io/order.h"
#include "core/registry/ops.h"

namespace headrace {

using wire::Reader;

namespace {

// Attributes of later versions that are notes and checks, and change nothing of what is computed.
constexpr std::string_view kNotes[] = {"debug_name", "metadata", "validate_shape", "grad_a",
                                       "grad_b",     "grad_x",   "grad_y"};
// ... and those that do, but not with this value, which is their default.
const std::pair<std::string_view, Attr> kLater[] = {
    {"exponential_avg_factor", 1.0f}, {"Tsegmentids", DType::int32}, {"Tk", DType::int32},
    {"index_type", DType::int32},     {"Tshape", DType::int32},      {"shape_type", DType::int32}};

}  // namespace

ProducerDefaults::ProducerDefaults(std::string_view op_list) {
  for (Reader in(op_list); in.next();) {
    if (in.field() != 1) continue;
    std::string_view op;
    std::vector<std::pair<std::string_view, Reader>> defaults;
    for (Reader definition = in.message(); definition.next();) {
      if (definition.field() == 1) op = definition.text();
      if (definition.field() != 4) continue;
      std::string_view name;
      std::optional<Reader> value;
      for (Reader attr = definition.message(); attr.next();) {
        if (attr.field() == 1) name = attr.text();
        if (attr.field() == 3) value = attr.message();
      }
      if (value) defaults.emplace_back(name, *value);
    }
    for (auto& [name, value] : defaults) defaults_.emplace(str(op, '\n', name), value);
  }
}

bool ProducerDefaults::can_drop(std::string_view op, std::string_view name, Reader value) const {
  if (is_empty_attr(value) || std::find(std::begin(kNotes), std::end(kNotes), name) != std::end(kNotes)) {
    return true;
  }
  Expansion expansion;
  const Attr found = read_attr(value, "", expansion);
  for (const auto& [later, neutral] : kLater) {
    if (later == name && equal(neutral, found)) return true;
  }
  const auto told = defaults_.find(str(op, '\n', name));
  return told != defaults_.end() && equal(read_attr(told->second, "", expansion), found);
}

void check_operations(const Graph& graph, const GraphMessage& message, const std::set<std::string>& called) {
  std::set<std::string_view> functions;
  for (const FunctionMessage& function : message.functions) functions.insert(function.name);
  std::map<std::string_view, std::vector<std::string>> unknown;
  const bool can_call = find_op_or_null(kCall) != nullptr;
  const auto check = [&](const std::vector<NodeMessage>& nodes, std::string_view where) {
    for (const NodeMessage& node : nodes) {
      if (find_op_or_null(node.op) || is_frame_operation(node.op)) continue;
      if (can_call && (functions.contains(node.op) || graph.find_function(node.op))) continue;
      unknown[node.op].push_back(std::string(where) + std::string(node.name));
    }
  };
  check(message.nodes, "");
  for (const FunctionMessage& function : message.functions) {
    if (called.contains(std::string(function.name))) check(function.nodes, str(function.name, "/"));
  }
  if (unknown.empty()) return;
  std::vector<std::string> known;
  for (const OpDef* op : all_ops()) known.push_back(op->name());
  std::string text;
  constexpr std::size_t kSuggestions = 5;  // the search for near names takes time
  for (const auto& [op, nodes] : unknown) {
    text +=
        str(text.empty() ? "" : "; ", op, " (", nodes.size() == 1 ? "node " : "nodes ", some_of(nodes), ")");
    if (unknown.size() <= kSuggestions && op.size() < 100) text += did_you_mean(op, known);
  }
  fail(Code::not_found, "the graph uses ", unknown.size(), " operation", unknown.size() == 1 ? "" : "s",
       " not known here: ", text);
}

}  // namespace headrace
