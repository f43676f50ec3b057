#include "core/io/references.h"

#include <algorithm>
#include <unordered_set>

#include "core/io/messages.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

using wire::Reader;

constexpr std::string_view kRead = "ReadVariableOp";

bool is_variable(const NodeMessage& node) { return node.op == "VariableV2" || node.op == "Variable"; }
bool is_identity(const NodeMessage& node) { return node.op == "RefIdentity"; }

// Control flow that passes references on. It passes handles on as well.
std::string_view passing(const NodeMessage& node) {
  static constexpr std::pair<std::string_view, std::string_view> kPassing[] = {
      {"RefSwitch", "Switch"},
      {"RefMerge", "Merge"},
      {"RefEnter", "Enter"},
      {"RefExit", "Exit"},
      {"RefNextIteration", "NextIteration"},
  };
  for (const auto& [op, plain] : kPassing) {
    if (node.op == op) return plain;
  }
  return "";
}

// The operation on resources that does what this one does through a reference; nullptr if there is none. Most
// are named alike.
const OpDef* twin_of(std::string_view op) {
  static constexpr std::pair<std::string_view, std::string_view> kOtherwiseNamed[] = {
      {"Assign", "AssignVariableOp"},
      {"AssignAdd", "AssignAddVariableOp"},
      {"AssignSub", "AssignSubVariableOp"},
      {"IsVariableInitialized", "VarIsInitializedOp"},
  };
  if (find_op_or_null(op)) return nullptr;
  for (const auto& [name, twin] : kOtherwiseNamed) {
    if (op == name) return find_op_or_null(twin);
  }
  return find_op_or_null(str("Resource", op));
}

class References {
 public:
  explicit References(GraphMessage& graph) : graph_(graph), nodes_(std::move(graph.nodes)) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      index_.emplace(nodes_[i].name, int(i));
      taken_.insert(nodes_[i].name);
      const OpDef* twin = is_variable(nodes_[i]) ? nullptr : twin_of(nodes_[i].op);
      twins_.push_back(
          twin && !twin->inputs().empty() && twin->inputs()[0].dtype == DType::resource ? twin : nullptr);
    }
    find_late();
    find_shapeless();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (is_variable(nodes_[i])) handles_.emplace(int(i), fresh(nodes_[i], "handle"));
    }
  }

  void rewrite() {
    graph_.nodes.clear();
    for (int i = 0; i < int(nodes_.size()); ++i) {
      const NodeMessage& node = nodes_[std::size_t(i)];
      if (is_variable(node)) {
        add_variable(i);
      } else if (is_identity(node)) {
        add_read(node, node.name, handle_of(node, 0), waiting_for_refs(node, 1), true);
      } else if (const OpDef* twin = twins_[std::size_t(i)]) {
        add_twin(node, *twin);
      } else if (const auto plain = passing(node); !plain.empty()) {
        add_passing(node, plain);
      } else {
        NodeMessage made = node;
        for (Source& input : made.inputs) input = value(node, input);
        graph_.nodes.push_back(std::move(made));
      }
    }
  }

 private:
  int find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? -1 : found->second;
  }

  bool is_update(int i) const { return twins_[std::size_t(i)] && twins_[std::size_t(i)]->outputs().empty(); }

  // The node whose output, a reference, this is; or -1.
  int maker(const Source& source) const {
    const int i = source.control ? -1 : find(source.node);
    if (i < 0) return -1;
    const NodeMessage& node = nodes_[std::size_t(i)];
    const bool whole = is_variable(node) || is_identity(node) || is_update(i);
    if (whole && source.index == 0) return i;
    const std::string_view plain = passing(node);
    return !plain.empty() && (source.index == 0 || plain == "Switch") ? i : -1;
  }

  // Whether a node of that name stands for the value behind its reference.
  bool has_value(int i) const { return passing(nodes_[std::size_t(i)]).empty(); }

  // The handle behind a node's input, which has to be a reference.
  Source handle_of(const NodeMessage& node, std::size_t input) const {
    const NodeMessage* at = &node;
    for (std::size_t steps = 0; steps <= nodes_.size(); ++steps, input = 0) {
      const int i = input < at->inputs.size() ? maker(at->inputs[input]) : -1;
      require(i >= 0, "node ", quoted(node.name), " (", node.op,
              ") takes a reference, but what it reads is no variable");
      if (const auto handle = handles_.find(i); handle != handles_.end()) return {.node = handle->second};
      if (!has_value(i)) return at->inputs[input];
      at = &nodes_[std::size_t(i)];
    }
    invalid("node ", quoted(node.name), " (", node.op, ") takes a reference that refers to itself");
  }

  // Nodes that wait, directly or not, for an update: what they read must be read after it.
  void find_late() {
    std::vector<std::vector<int>> readers(nodes_.size());
    std::vector<int> pending;
    late_.assign(nodes_.size(), false);
    for (int i = 0; i < int(nodes_.size()); ++i) {
      for (const Source& input : nodes_[std::size_t(i)].inputs) {
        if (const int j = find(input.node); j >= 0) readers[std::size_t(j)].push_back(i);
      }
      if (!is_update(i)) continue;
      late_[std::size_t(i)] = true;
      pending.push_back(i);
    }
    while (!pending.empty()) {
      const int i = pending.back();
      pending.pop_back();
      for (const int reader : readers[std::size_t(i)]) {
        if (late_[std::size_t(reader)]) continue;
        late_[std::size_t(reader)] = true;
        pending.push_back(reader);
      }
    }
  }

  // Variables to which some node assigns values of any shape.
  void find_shapeless() {
    for (const NodeMessage& node : nodes_) {
      if (node.op == "Variable") {  // a scalar here means that nothing is known
        const Reader* shape = node.find_attr("shape");
        if (shape && is_scalar(*shape)) shapeless_.insert(node.name);
      }
      const Reader* validate = node.op == "Assign" ? node.find_attr("validate_shape") : nullptr;
      if (!validate || !is_empty_attr(*validate)) continue;
      const NodeMessage* at = &node;
      for (std::size_t steps = 0; at && !is_variable(*at) && steps <= nodes_.size(); ++steps) {
        const int i = at->inputs.empty() ? -1 : maker(at->inputs[0]);
        at = i < 0 ? nullptr : &nodes_[std::size_t(i)];
      }
      if (at) shapeless_.insert(at->name);
    }
  }

  static bool is_scalar(Reader attr) {
    Expansion expansion;
    const Attr value = read_attr(attr, "shape", expansion);
    return std::get<Shape>(value) == Shape();
  }

  std::string_view fresh(const NodeMessage& node, std::string_view what) {
    std::string name = str(node.name, '/', what);
    for (int count = 1; taken_.contains(name); ++count) name = str(node.name, '/', what, '_', count);
    const std::string_view kept = graph_.keep(std::move(name));
    taken_.insert(kept);
    return kept;
  }

  // Attributes that are notes to the framework, such as where a node is to be.
  static AttrMessages notes_of(const NodeMessage& node) {
    AttrMessages notes;
    for (const auto& attr : node.attrs) {
      if (attr.first.starts_with('_')) notes.push_back(attr);
    }
    return notes;
  }

  void add_variable(int i) {
    const NodeMessage& node = nodes_[std::size_t(i)];
    NodeMessage handle{.name = handles_.at(i), .op = "VarHandleOp", .device = node.device};
    for (const auto& attr : node.attrs) {
      if (attr.first.starts_with('_')) continue;
      if (attr.first == "shape" && shapeless_.contains(node.name)) continue;
      handle.attrs.push_back(attr);
    }
    if (shapeless_.contains(node.name)) handle.attrs.emplace_back("shape", graph_.keep(Shape::unknown()));
    // A name that is not shared is the node's own.
    const Reader* shared = node.find_attr("shared_name");
    if (!shared || is_empty_attr(*shared)) handle.shared_with = node.name;
    graph_.nodes.push_back(std::move(handle));
    add_read(node, node.name, {.node = handles_.at(i)}, controls_of(node), true);
  }

  // A read on behalf of `node`, or in its place.
  void add_read(const NodeMessage& node, std::string_view name, Source handle, std::vector<Source> after,
                bool in_place, const Reader* dtype = nullptr) {
    NodeMessage read{.name = name, .op = kRead, .device = node.device, .inputs = {handle}};
    read.inputs.insert(read.inputs.end(), after.begin(), after.end());
    if (in_place) read.attrs = notes_of(node);
    if (!dtype) dtype = dtype_of(node);
    if (dtype) read.attrs.emplace_back("dtype", *dtype);
    graph_.nodes.push_back(std::move(read));
  }

  static const Reader* dtype_of(const NodeMessage& node) {
    return node.find_attr(is_variable(node) ? "dtype" : "T");
  }

  static std::vector<Source> controls_of(const NodeMessage& node) {
    std::vector<Source> controls;
    for (const Source& input : node.inputs) {
      if (input.control) controls.push_back(input);
    }
    return controls;
  }

  // The node's control inputs, and the makers of the references among its first inputs: an update of what an
  // update has passed on comes after it.
  std::vector<Source> waiting_for_refs(const NodeMessage& node, std::size_t first_inputs) const {
    std::vector<Source> controls = controls_of(node);
    for (std::size_t k = 0; k < std::min(first_inputs, node.inputs.size()); ++k) {
      const int i = maker(node.inputs[k]);
      if (i >= 0 && has_value(i) && !handles_.contains(i)) {
        controls.push_back({.node = nodes_[std::size_t(i)].name, .control = true});
      }
    }
    return controls;
  }

  void add_twin(const NodeMessage& node, const OpDef& twin) {
    const auto args = twin.inputs();
    const std::size_t count = std::size_t(
        std::count_if(args.begin(), args.end(), [](auto& a) { return a.dtype == DType::resource; }));
    NodeMessage made{.name = node.name, .op = twin.name(), .device = node.device};
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      if (node.inputs[k].control) continue;
      const bool is_ref = k < args.size() && args[k].dtype == DType::resource;
      made.inputs.push_back(is_ref ? handle_of(node, k) : value(node, node.inputs[k]));
    }
    const auto after = waiting_for_refs(node, count);
    made.inputs.insert(made.inputs.end(), after.begin(), after.end());
    for (const auto& [key, attr] : node.attrs) {
      // What the one calls T the other may call dtype; of locks and shapes the resource takes care itself.
      std::string_view name = key == "T" && twin.find_attr("dtype") && !twin.find_attr("T") ? "dtype" : key;
      const bool dropped = key == "use_locking" || key == "validate_shape" || key == "T" || key == "dtype";
      if (dropped && !twin.find_attr(name)) continue;
      made.attrs.emplace_back(name, attr);
    }
    if (!twin.outputs().empty()) {
      graph_.nodes.push_back(std::move(made));
      return;
    }
    made.name = fresh(node, "update");
    const Source update{.node = made.name, .control = true};
    graph_.nodes.push_back(std::move(made));
    add_read(node, node.name, handle_of(node, 0), {update}, true);
  }

  void add_passing(const NodeMessage& node, std::string_view plain) {
    NodeMessage made{.name = node.name, .op = plain, .device = node.device};
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const Source& input = node.inputs[k];
      if (input.control) continue;
      const bool is_ref = plain == "Merge" || k == 0;
      made.inputs.push_back(is_ref ? handle_of(node, k) : value(node, input));
    }
    const auto after = waiting_for_refs(node, plain == "Merge" ? node.inputs.size() : 1);
    made.inputs.insert(made.inputs.end(), after.begin(), after.end());
    for (const auto& [key, attr] : node.attrs) {
      if (key != "_output_shapes")
        made.attrs.emplace_back(key, key == "T" ? graph_.keep(DType::resource) : attr);
    }
    graph_.nodes.push_back(std::move(made));
  }

  // The node whose reference this is, or is a copy of. Copies by Identity share the buffer, so who reads one
  // after an update sees what the update has made of it.
  int shared_maker(const Source& source) const {
    const Source* at = &source;
    for (std::size_t steps = 0; steps <= nodes_.size(); ++steps) {
      if (const int i = maker(*at); i >= 0) return i;
      const int i = at->control ? -1 : find(at->node);
      if (i < 0 || nodes_[std::size_t(i)].op != "Identity" || nodes_[std::size_t(i)].inputs.empty())
        return -1;
      at = &nodes_[std::size_t(i)].inputs[0];
    }
    return -1;
  }

  // What `node` reads in place of an input of its own that may be a reference.
  Source value(const NodeMessage& node, const Source& input) {
    const int i = shared_maker(input);
    if (i < 0) return input;
    const bool is_reference = maker(input) >= 0;
    if (node.op == "Identity" && !is_reference) return input;  // whoever reads it asks for itself
    const NodeMessage& from = nodes_[std::size_t(i)];
    std::vector<Source> after;
    for (const Source& other : node.inputs) {
      const int j = find(other.node);
      const bool first_comes = node.op == "Merge";  // it waits for one of its inputs only
      if (j >= 0 && other.node != input.node && late_[std::size_t(j)] && !first_comes) {
        after.push_back({.node = other.node, .control = true});
      }
    }
    if (after.empty() && (has_value(i) || !is_reference)) return input;
    if (!is_reference) after.push_back({.node = input.node, .control = true});
    Source handle = input;
    if (const auto variable = handles_.find(i); variable != handles_.end()) {
      handle = {.node = variable->second};
    } else if (has_value(i)) {
      handle = handle_of(from, 0);
      after.push_back({.node = from.name, .control = true});
    } else if (!is_reference) {
      return input;  // a copy of what comes through control flow
    }
    const std::string_view name = fresh(node, "read");
    add_read(node, name, handle, std::move(after), false, dtype_of(from));
    return {.node = name};
  }

  GraphMessage& graph_;
  std::vector<NodeMessage> nodes_;
  std::unordered_map<std::string_view, int> index_;
  std::unordered_set<std::string_view> taken_, shapeless_;
  std::unordered_map<int, std::string_view> handles_;  // names of the handles of variables
  std::vector<const OpDef*> twins_;
  std::vector<bool> late_;
};

}  // namespace

void resolve_references(GraphMessage& graph) {
  if (std::any_of(graph.nodes.begin(), graph.nodes.end(), is_variable)) References(graph).rewrite();
}

}  // namespace headrace
