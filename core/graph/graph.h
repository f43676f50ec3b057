// The graph: nodes, edges, control edges and a library of functions. This is the only representation there
// is: front ends hold thin views of it, passes rewrite a copy of it, devices compile pieces of it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/graph/attr.h"
#include "core/graph/op_def.h"

namespace headrace {

class Graph;
class Node;
struct Function;

// A tensor of the graph: output `index` of `node`.
struct Output {
  Node* node = nullptr;
  int index = 0;
  explicit operator bool() const { return node != nullptr; }
  auto operator<=>(const Output&) const = default;
  DType dtype() const;
  const Shape& shape() const;
  std::string name() const;  // "dense/MatMul:0"
};

// One place where an output is read.
struct Use {
  Node* node;
  int input;  // kControl for a control edge
  bool operator==(const Use&) const = default;
};
inline constexpr int kControl = -1;

class Node {
 public:
  int id() const { return id_; }  // position in the order of creation
  const std::string& name() const { return name_; }
  const OpDef& op() const { return *op_; }
  bool has(Trait trait) const { return op_->has(trait); }
  Graph& graph() const { return *graph_; }

  std::span<const Output> inputs() const { return inputs_; }
  Output input(int i) const { return inputs_.at(i); }
  std::span<Node* const> control_inputs() const { return control_inputs_; }
  // Who reads any of the outputs, or waits for this node.
  std::span<const Use> uses() const { return uses_; }

  int num_outputs() const { return int(outputs_.size()); }
  Output output(int i) { return {this, i}; }
  DType dtype(int i) const { return outputs_.at(i).dtype; }
  const Shape& shape(int i) const { return outputs_.at(i).shape; }
  // What is known of the value of a small integer output, or nullptr.
  const PartialInts* ints(int i) const { return outputs_.at(i).ints ? &*outputs_[i].ints : nullptr; }

  const AttrMap& attrs() const { return attrs_; }
  bool has_attr(std::string_view name) const { return attrs_.contains(name); }
  // Internal error if there is none of that name and type: the definition promises it.
  template <class T>
  const T& attr(std::string_view name) const;
  // The same, or `otherwise` where there is none (attributes outside the definition, "_class" and the like).
  template <class T>
  T attr_or(std::string_view name, T otherwise) const;

  const std::string& device() const { return device_; }  // as asked for; empty for anywhere
  const std::string& source() const { return source_; }  // the user's line, "train.py:31", or empty
  // The value if this is a constant, else nullptr.
  const Tensor* constant() const;

  void set_attr(std::string name, Attr value) { attrs_[std::move(name)] = std::move(value); }
  void set_device(std::string device) { device_ = std::move(device); }
  // Replaces what is known of output i's shape (passes) or adds to it (merge_shape; InvalidArgument if it
  // contradicts).
  void set_shape(int i, Shape shape) { outputs_.at(i).shape = std::move(shape); }
  void merge_shape(int i, const Shape& shape) { outputs_.at(i).shape = outputs_.at(i).shape.merge(shape); }
  void set_ints(int i, std::optional<PartialInts> ints) { outputs_.at(i).ints = std::move(ints); }

 private:
  friend class Graph;
  struct OutputInfo {
    DType dtype;
    Shape shape;
    std::optional<PartialInts> ints;
  };
  int id_ = 0;
  std::string name_;
  const OpDef* op_ = nullptr;
  Graph* graph_ = nullptr;
  std::vector<Output> inputs_;
  std::vector<Node*> control_inputs_;
  std::vector<Use> uses_;
  std::vector<OutputInfo> outputs_;
  AttrMap attrs_;
  std::string device_, source_;
};

// Everything that one asks for to make a node. `attrs` may leave out what has a default and the types (and
// list lengths) that follow from the inputs.
struct NodeSpec {
  std::string name;
  std::vector<Output> inputs;  // lists flattened
  AttrMap attrs = {};
  std::vector<Node*> control_inputs = {};
  std::string device = {};
  std::string source = {};
};

class Graph {
 public:
  Graph();
  ~Graph();
  Graph(Graph&&) = delete;

  // Checks the specification against the definition, infers types and shapes, and appends the node. Throws an
  // Error that names the node, having changed nothing: InvalidArgument, DTypeError, or AlreadyExists for the
  // name.
  Node& add(const OpDef& op, NodeSpec spec);
  // A node that repeats `node` (definition, attributes, device, source) on other inputs, with the same output
  // types and shapes. Nothing is checked or inferred again.
  Node& clone(const Node& node, std::span<const Output> inputs, std::span<Node* const> control_inputs,
              std::string name);

  // Gives a node more inputs and attributes of which more outputs follow: how a call, a condition or a loop
  // comes to hand over values from inside for its gradient. What it had stays as it was. Errors as `add`.
  void extend(Node& node, std::span<const Output> more_inputs, AttrMap attrs);

  Node* find(std::string_view name) const;  // nullptr if there is none
  // Nodes by id, in order of creation; nullptr where one was removed.
  std::span<const std::unique_ptr<Node>> nodes() const { return nodes_; }
  int size() const { return int(by_name_.size()); }
  // Every node after all that it reads or waits for. Internal error on a cycle.
  std::vector<Node*> topological_order() const;
  // A name that no node has yet: `prefix` itself, or "prefix_1"...
  std::string unique_name(std::string_view prefix) const;

  // Rewriting (plans' own copies only; a user's graph is append-only).
  void replace(Output from, Output to);  // every use of `from` becomes one of `to`
  void set_input(Node& node, int i, Output to);
  void add_control_input(Node& node, Node& before);
  void remove_control_inputs(Node& node);
  void redirect_controls(Node& from, Node& to);  // who waits for `from` waits for `to`
  void remove(Node& node);                       // nobody may use it any more
  void rename(Node& node, std::string name);     // AlreadyExists if another node has that name
  // Gives a node the number of one that was removed, and so its place in the order of creation.
  void renumber(Node& node, int id);
  // Forgets removed nodes at the end, so that the next node takes the place of the first of them.
  void trim();

  // The library. A function belongs to the graph and is immutable once added.
  void add_function(std::shared_ptr<const Function> function);
  std::shared_ptr<const Function> find_function(std::string_view name) const;  // nullptr if there is none
  const std::map<std::string, std::shared_ptr<const Function>, std::less<>>& functions() const {
    return functions_;
  }
  void share_functions(const Graph& other) { functions_ = other.functions_; }

  // Held (shared) while a plan copies from a user's graph, and (exclusively) by `add`.
  std::shared_mutex& mutex() const { return mutex_; }

 private:
  Node& append(std::unique_ptr<Node> node);
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unordered_map<std::string_view, Node*> by_name_;  // keys point into the nodes
  mutable std::unordered_map<std::string, int> name_counts_;
  std::map<std::string, std::shared_ptr<const Function>, std::less<>> functions_;
  mutable std::shared_mutex mutex_;
};

// A piece of a graph as a value: what comes in, what is computed, what goes out. The body of a While, the
// part of a user's graph that a run call needs, and the piece that a device compiles are all this.
struct Function {
  std::string name;
  Graph graph;
  std::vector<Node*> arguments;  // nodes of trait `argument`, one output each
  std::vector<Output> results;
  std::vector<std::string> result_names;  // of library functions; may be empty
  std::vector<Node*> targets;             // must run too
  AttrMap attrs = {};                     // of library functions
};

// Runs the node's shape rule on what is known of its inputs now. The context is returned so that the caller
// sees outputs, values and wishes; errors name the node.
ShapeContext infer(const Node& node);
// infer, then store shapes and values in the node, merged with what it knew.
void infer_and_store(Node& node);

// The shapes of a function's results when its arguments have these shapes. Changes nothing.
std::vector<Shape> infer_results(const Function& function, std::span<const Shape> arguments);

// The node's name and, where known, the user's line, for the end of a message: "(node made at train.py:31)".
std::string made_at(const Node& node);
// Calls f; an Error that does not yet name a node gets this one's name, operation and line.
[[noreturn]] void rethrow_in(const Node& node, const Error& error);
template <class F>
decltype(auto) in_node(const Node& node, F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    rethrow_in(node, error);
  }
}

// Checks every invariant of the function's graph (edges and uses agree, types match definitions, no cycle,
// arguments and results exist); Internal error that names the pass `after` which it ran.
void verify(const Function& function, std::string_view after);

// ---- implementation of templates

template <class T>
const T& Node::attr(std::string_view name) const {
  const auto it = attrs_.find(name);
  if (it == attrs_.end()) internal("node '", name_, "' (", op_->name(), ") has no attribute '", name, "'");
  const T* value = std::get_if<T>(&it->second);
  if (!value) internal("attribute '", name, "' of node '", name_, "' is a ", attr_type(it->second));
  return *value;
}

template <class T>
T Node::attr_or(std::string_view name, T otherwise) const {
  const auto it = attrs_.find(name);
  if (it == attrs_.end()) return otherwise;
  const T* value = std::get_if<T>(&it->second);
  return value ? *value : otherwise;
}

template <class T>
const T& ShapeContext::attr(std::string_view name) const {
  return node_.attr<T>(name);
}

inline DType Output::dtype() const { return node->dtype(index); }
inline const Shape& Output::shape() const { return node->shape(index); }

}  // namespace headrace
