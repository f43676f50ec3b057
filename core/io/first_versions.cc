#include "core/io/first_versions.h"

#include <algorithm>
#include <unordered_set>

#include "core/io/messages.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

// A stack's room used to be without bounds; now it is told by an input.
constexpr std::string_view kStack = "Stack", kBoundedStack = "StackV2";

// What hands on its first input, or one of its inputs.
struct Passing {
  std::string_view op, plain;
};
constexpr Passing kPassing[] = {
    {"Identity", "Identity"},
    {"RefIdentity", "Identity"},
    {"Enter", "Enter"},
    {"RefEnter", "Enter"},
    {"Exit", "Exit"},
    {"RefExit", "Exit"},
    {"NextIteration", "NextIteration"},
    {"RefNextIteration", "NextIteration"},
    {"Switch", "Switch"},
    {"RefSwitch", "Switch"},
    {"Merge", "Merge"},
    {"RefMerge", "Merge"},
};

const Passing* passing(std::string_view op) {
  const auto* found =
      std::find_if(std::begin(kPassing), std::end(kPassing), [&](auto& each) { return each.op == op; });
  return found == std::end(kPassing) ? nullptr : found;
}

bool deals_with_resource(const OpDef& op) {
  const auto args = op.inputs().empty() ? op.outputs() : op.inputs();
  return !args.empty() && args[0].dtype == DType::resource;
}
bool makes_resource(const OpDef& op) {
  return !op.outputs().empty() && op.outputs()[0].dtype == DType::resource;
}

// The version that deals with resources; nullptr if the operation is known itself, or there is none.
const OpDef* later_version(std::string_view op) {
  if (find_op_or_null(op)) return nullptr;
  if (op == kStack) return find_op_or_null(kBoundedStack);
  const OpDef* second = find_op_or_null(str(op, "V2"));
  if (second && deals_with_resource(*second)) return second;
  if (!op.ends_with("V2")) return nullptr;
  const OpDef* third = find_op_or_null(str(op.substr(0, op.size() - 2), "V3"));
  return third && (deals_with_resource(*third) || makes_resource(*third)) ? third : nullptr;
}

class FirstVersions {
 public:
  FirstVersions(GraphMessage& graph, std::vector<NodeMessage>& nodes, bool in_function)
      : graph_(graph), nodes_(nodes), in_function_(in_function) {
    for (const NodeMessage& node : nodes) names_.insert(node.name);
  }

  void rewrite() {
    std::vector<NodeMessage> sizes;
    for (NodeMessage& node : nodes_) {
      const OpDef* later = later_version(node.op);
      if (!later) continue;
      if (node.op == kStack) sizes.push_back(add_size(node));
      node.op = later->name();
      if (makes_resource(*later)) handles_.insert(node.name);
    }
    nodes_.insert(nodes_.end(), std::make_move_iterator(sizes.begin()), std::make_move_iterator(sizes.end()));
    if (handles_.empty()) return;
    // Round by round, since loops hand values round.
    for (bool found = true; found;) {
      found = false;
      for (NodeMessage& node : nodes_) {
        const Passing* passes = passing(node.op);
        if (!passes || handles_.contains(node.name) || !takes_handle(node)) continue;
        found = true;
        handles_.insert(node.name);
        node.op = passes->plain;
        if (node.op == "Merge") merges_.insert(node.name);
        for (auto& [key, value] : node.attrs) {
          if (key == "T") value = graph_.keep(DType::resource);
        }
      }
    }
  }

 private:
  bool takes_handle(const NodeMessage& node) const {
    const bool any = node.op.ends_with("Merge");
    for (const Source& input : node.inputs) {
      if (input.control) continue;
      const bool is_position = input.index == 1 || input.output == "value_index";  // of a Merge
      if (handles_.contains(input.node) && !(is_position && merges_.contains(input.node))) return true;
      if (!any) return false;
    }
    return false;
  }

  // A bound for a stack that has none.
  NodeMessage add_size(NodeMessage& stack) {
    std::string name = std::string(stack.name) + "/max_size";
    while (names_.contains(name)) name += "_";
    NodeMessage size{.name = graph_.keep(std::move(name)),
                     .op = "Const",
                     .device = stack.device,
                     .inputs = {},
                     .attrs = {}};
    names_.insert(size.name);
    size.attrs.emplace_back("dtype", graph_.keep(DType::int32));
    size.attrs.emplace_back("value", graph_.keep(Tensor::scalar<std::int32_t>(-1)));
    Source source{.node = size.name};
    if (in_function_) source.output = "output";
    stack.inputs.insert(stack.inputs.begin(), source);
    return size;
  }

  GraphMessage& graph_;
  std::vector<NodeMessage>& nodes_;
  const bool in_function_;
  std::unordered_set<std::string_view> names_;
  std::unordered_set<std::string_view> handles_, merges_;  // nodes that hand out one
};

}  // namespace

void resolve_first_versions(GraphMessage& graph) {
  FirstVersions(graph, graph.nodes, false).rewrite();
  for (FunctionMessage& function : graph.functions) FirstVersions(graph, function.nodes, true).rewrite();
}

}  // namespace headrace
