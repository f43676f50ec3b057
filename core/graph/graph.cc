#include "core/graph/graph.h"

#include <algorithm>
#include <functional>
#include <unordered_set>

namespace headrace {
namespace {

// ---- checking a specification against the definition

std::string allowed_text(const AttrDef& attr) {
  std::string text;
  for (DType dtype : attr.allowed_dtypes) text += (text.empty() ? "" : ", ") + std::string(name_of(dtype));
  for (const auto& value : attr.allowed_strings) text += (text.empty() ? "'" : ", '") + value + "'";
  return text;
}

void check_dtype(const AttrDef& attr, DType dtype) {
  const auto& allowed = attr.allowed_dtypes;
  if (!is_valid(dtype)) invalid("attribute '", attr.name, "' is no dtype");
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), dtype) == allowed.end()) {
    throw DTypeError(str("dtype ", name_of(dtype), " is not supported for '", attr.name,
                         "'; expected one of ", allowed_text(attr), "; cast the inputs first"));
  }
}

void check_string(const AttrDef& attr, const std::string& value) {
  const auto& allowed = attr.allowed_strings;
  require(allowed.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end(), "attribute '",
          attr.name, "' is '", value, "'; expected one of ", allowed_text(attr));
}

void check_attr(const AttrDef& attr, const Attr& value) {
  require(attr_type(value) == attr.type, "attribute '", attr.name, "' must be of type ", attr.type,
          ", got a ", attr_type(value));
  if (auto* dtype = std::get_if<DType>(&value)) check_dtype(attr, *dtype);
  if (auto* text = std::get_if<std::string>(&value)) check_string(attr, *text);
  if (auto* dtypes = std::get_if<std::vector<DType>>(&value)) {
    for (DType dtype : *dtypes) check_dtype(attr, dtype);
  }
  if (auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    for (const auto& text : *texts) check_string(attr, text);
  }
  if (attr.minimum) {
    const std::int64_t number = std::visit(
        []<class T>(const T& v) -> std::int64_t {
          if constexpr (std::is_same_v<T, std::int64_t>) return v;
          if constexpr (requires {
                          v.empty();
                          v.size();
                          v.begin();
                        })
            return std::int64_t(v.size());
          return INT64_MAX;
        },
        value);
    require(number >= *attr.minimum, "attribute '", attr.name, "' is ", to_string(value),
            "; expected at least ", *attr.minimum);
  }
}

// Sets attrs[name] or checks that it agrees.
template <class T>
void infer_attr(AttrMap& attrs, const std::string& name, const T& value, const std::string& arg) {
  auto [it, added] = attrs.try_emplace(name, value);
  if (added) return;
  const T* known = std::get_if<T>(&it->second);
  if (known && *known == value) return;
  const std::string message = str("input '", arg, "' makes attribute '", name, "' ", to_string(Attr(value)),
                                  ", but it is ", to_string(it->second), " already; all of these must agree");
  if constexpr (std::is_same_v<T, DType>) throw DTypeError(message + "; cast one of them");
  invalid(message);
}

std::int64_t length_of(const AttrMap& attrs, const ArgDef& arg) {
  if (arg.is_type_list) {
    const auto it = attrs.find(arg.type_attr);
    require(it != attrs.end(), "attribute '", arg.type_attr, "' is missing");
    return std::int64_t(std::get<std::vector<DType>>(it->second).size());
  }
  if (arg.number_attr.empty()) return 1;
  const auto it = attrs.find(arg.number_attr);
  require(it != attrs.end(), "attribute '", arg.number_attr, "' is missing");
  return std::get<std::int64_t>(it->second);
}

// The length of list `arg` where it is the only one that the inputs leave open.
void infer_lengths(const OpDef& op, const NodeSpec& spec, AttrMap& attrs) {
  std::int64_t singles = 0;
  std::vector<const ArgDef*> open;
  for (const ArgDef& arg : op.inputs()) {
    const std::string& name = arg.is_type_list ? arg.type_attr : arg.number_attr;
    if (arg.is_list() && !attrs.contains(name)) {
      open.push_back(&arg);
    } else {
      singles += length_of(attrs, arg);
    }
  }
  if (open.empty()) return;
  const std::int64_t rest = std::int64_t(spec.inputs.size()) - singles;
  if (!open.front()->is_type_list) {  // several lists may share one length
    const auto same = std::count_if(open.begin(), open.end(),
                                    [&](auto* arg) { return arg->number_attr == open.front()->number_attr; });
    require(same == std::int64_t(open.size()) && rest >= 0 && rest % same == 0, "the number of inputs (",
            spec.inputs.size(), ") does not tell attribute '", open.front()->number_attr, "'; give it");
    attrs.emplace(open.front()->number_attr, rest / same);
  } else {
    require(open.size() == 1 && rest >= 0, "attribute '", open.front()->type_attr, "' is missing");
    std::vector<DType> dtypes;
    std::int64_t position = 0;
    for (const ArgDef& arg : op.inputs()) {
      if (&arg == open.front()) {
        for (std::int64_t i = 0; i < rest; ++i) dtypes.push_back(spec.inputs.at(position + i).dtype());
        break;
      }
      position += length_of(attrs, arg);
    }
    attrs.emplace(open.front()->type_attr, std::move(dtypes));
  }
}

// Completes and checks the attributes; returns them.
AttrMap complete_attrs(const OpDef& op, const NodeSpec& spec) {
  AttrMap attrs = spec.attrs;
  for (const auto& [name, value] : attrs) {
    const AttrDef* attr = op.find_attr(name);
    if (attr) check_attr(*attr, value);
    require(attr || name.starts_with('_'), "there is no attribute '", name, "'; it has ", [&] {
      std::string names;
      for (const AttrDef& known : op.attrs()) names += (names.empty() ? "'" : ", '") + known.name + "'";
      return names.empty() ? std::string("none") : names;
    }());
  }
  infer_lengths(op, spec, attrs);
  std::size_t position = 0;
  for (const ArgDef& arg : op.inputs()) {
    const std::int64_t count = length_of(attrs, arg);
    for (std::int64_t i = 0; i < count; ++i, ++position) {
      require(position < spec.inputs.size(), "input '", arg.name, "' is missing");
      const DType dtype = spec.inputs[position].dtype();
      if (arg.is_type_list) {
        const DType expected = std::get<std::vector<DType>>(attrs.at(arg.type_attr)).at(i);
        if (expected != dtype) {
          throw DTypeError(str("input ", i, " of list '", arg.name, "' is ", name_of(dtype), ", expected ",
                               name_of(expected)));
        }
      } else if (!arg.type_attr.empty()) {
        infer_attr(attrs, arg.type_attr, dtype, arg.name);
      } else if (dtype != arg.dtype) {
        throw DTypeError(str("input '", arg.name, "' is ", name_of(dtype), ", expected ", name_of(arg.dtype),
                             "; cast it"));
      }
    }
  }
  require(position == spec.inputs.size(), "got ", spec.inputs.size(), " inputs, expected ", position);
  for (const AttrDef& attr : op.attrs()) {
    auto it = attrs.find(attr.name);
    if (it == attrs.end()) {
      require(attr.default_value.has_value(), "attribute '", attr.name, "' (", attr.type,
              ") is missing and has no default");
      attrs.emplace(attr.name, *attr.default_value);
    } else if (!spec.attrs.contains(attr.name)) {
      check_attr(attr, it->second);  // inferred
    }
  }
  return attrs;
}

std::vector<DType> output_dtypes(const OpDef& op, const AttrMap& attrs) {
  constexpr std::int64_t kMostOutputs = 1
                                        << 20;  // beyond this an attribute is wrong, not the memory too small
  std::vector<DType> dtypes;
  for (const ArgDef& arg : op.outputs()) {
    const std::int64_t count = length_of(attrs, arg);
    require(count >= 0 && count <= kMostOutputs, "output '", arg.name, "' would be ", count, " tensors");
    if (arg.is_type_list) {
      const auto& list = std::get<std::vector<DType>>(attrs.at(arg.type_attr));
      dtypes.insert(dtypes.end(), list.begin(), list.end());
    } else {
      const DType dtype = arg.type_attr.empty() ? arg.dtype : std::get<DType>(attrs.at(arg.type_attr));
      dtypes.insert(dtypes.end(), std::size_t(count), dtype);
    }
  }
  return dtypes;
}

void check_name(const std::string& name) {
  const auto first = [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_'; };
  const auto rest = [&](unsigned char c) {
    return first(c) || c == '/' || c == '-' || c == '\\' || c == '>';
  };
  require(!name.empty() && first(name[0]) && std::all_of(name.begin(), name.end(), rest), "'", name,
          "' is not a valid node name; use letters, digits and ._-/\\>, starting with a letter, a digit, '.' "
          "or '_'");
}

}  // namespace

// ---- nodes and edges

std::string Output::name() const { return node->name() + ":" + std::to_string(index); }

const Tensor* Node::constant() const {
  if (!op_->has(Trait::constant)) return nullptr;
  const auto it = attrs_.find("value");
  return it == attrs_.end() ? nullptr : std::get_if<Tensor>(&it->second);
}

Graph::Graph() = default;
Graph::~Graph() = default;

Node& Graph::append(std::unique_ptr<Node> node) {
  Node& added = *node;
  added.id_ = int(nodes_.size());
  added.graph_ = this;
  nodes_.push_back(std::move(node));
  by_name_.emplace(added.name_, &added);
  for (int i = 0; i < int(added.inputs_.size()); ++i) added.inputs_[i].node->uses_.push_back({&added, i});
  for (Node* before : added.control_inputs_) before->uses_.push_back({&added, kControl});
  return added;
}

Node& Graph::add(const OpDef& op, NodeSpec spec) {
  auto node = std::make_unique<Node>();
  node->op_ = &op;
  node->graph_ = this;
  node->name_ = std::move(spec.name);
  node->source_ = std::move(spec.source);
  return in_node(*node, [&]() -> Node& {
    check_name(node->name_);
    for (const Output& input : spec.inputs) {
      require(input && input.index >= 0 && input.index < input.node->num_outputs(),
              "an input does not exist");
      require(&input.node->graph() == this, "input '", input.name(),
              "' belongs to another graph; build all of a computation in one graph");
    }
    for (const Node* before : spec.control_inputs) {
      require(&before->graph() == this, "control input '", before->name(), "' belongs to another graph");
    }
    node->attrs_ = complete_attrs(op, spec);
    for (DType dtype : output_dtypes(op, node->attrs_))
      node->outputs_.push_back({dtype, Shape::unknown(), {}});
    node->inputs_ = std::move(spec.inputs);
    for (Node* before : spec.control_inputs) {
      auto& controls = node->control_inputs_;
      if (std::find(controls.begin(), controls.end(), before) == controls.end()) controls.push_back(before);
    }
    node->device_ = std::move(spec.device);
    infer_and_store(*node);
    std::unique_lock lock(mutex_);
    if (by_name_.contains(node->name_)) fail(Code::already_exists, "a node of this name exists already");
    return append(std::move(node));
  });
}

Node& Graph::clone(const Node& node, std::span<const Output> inputs, std::span<Node* const> control_inputs,
                   std::string name) {
  auto copy = std::make_unique<Node>();
  copy->name_ = std::move(name);
  copy->op_ = node.op_;
  copy->inputs_.assign(inputs.begin(), inputs.end());
  copy->control_inputs_.assign(control_inputs.begin(), control_inputs.end());
  copy->outputs_ = node.outputs_;
  copy->attrs_ = node.attrs_;
  copy->device_ = node.device_;
  copy->source_ = node.source_;
  return append(std::move(copy));
}

void Graph::extend(Node& node, std::span<const Output> more_inputs, AttrMap attrs) {
  in_node(node, [&] {
    NodeSpec spec{.name = node.name_, .inputs = node.inputs_, .attrs = node.attrs_};
    spec.inputs.insert(spec.inputs.end(), more_inputs.begin(), more_inputs.end());
    for (auto& [name, value] : attrs) spec.attrs[name] = std::move(value);
    AttrMap completed = complete_attrs(*node.op_, spec);
    const std::vector<DType> dtypes = output_dtypes(*node.op_, completed);
    require(dtypes.size() >= node.outputs_.size(), "it would lose outputs");
    for (std::size_t i = 0; i < node.outputs_.size(); ++i) {
      require(dtypes[i] == node.outputs_[i].dtype, "output ", i, " would change its dtype");
    }
    std::unique_lock lock(mutex_);
    for (std::size_t i = node.outputs_.size(); i < dtypes.size(); ++i) {
      node.outputs_.push_back({dtypes[i], Shape::unknown(), {}});
    }
    for (const Output& input : more_inputs) {
      input.node->uses_.push_back({&node, int(node.inputs_.size())});
      node.inputs_.push_back(input);
    }
    node.attrs_ = std::move(completed);
    infer_and_store(node);
  });
}

Node* Graph::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

std::vector<Node*> Graph::topological_order() const {
  std::vector<int> missing(nodes_.size(), 0);
  std::vector<Node*> order;
  order.reserve(nodes_.size());
  for (const auto& node : nodes_) {
    if (!node) continue;
    missing[node->id_] = int(node->inputs_.size() + node->control_inputs_.size());
    if (missing[node->id_] == 0) order.push_back(node.get());
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const Use& use : order[i]->uses_) {
      if (--missing[use.node->id_] == 0) order.push_back(use.node);
    }
  }
  if (order.size() != by_name_.size()) {
    for (const auto& node : nodes_) {
      if (node && missing[node->id_] > 0) internal("the graph has a cycle through node '", node->name_, "'");
    }
  }
  return order;
}

std::string Graph::unique_name(std::string_view prefix) const {
  std::string name(prefix);
  if (!by_name_.contains(name)) return name;
  int& count = name_counts_[name];
  std::string candidate;
  do {
    candidate = name + "_" + std::to_string(++count);
  } while (by_name_.contains(candidate));
  return candidate;
}

// ---- rewriting

// From the end, since what was added last is often removed first.
static void drop_use(std::vector<Use>& uses, Use use) {
  const auto it = std::find(uses.rbegin(), uses.rend(), use);
  if (it == uses.rend()) internal("a use of node '", use.node->name(), "' is not recorded");
  *it = uses.back();
  uses.pop_back();
}

void Graph::set_input(Node& node, int i, Output to) {
  Output& input = node.inputs_.at(i);
  if (input == to) return;
  drop_use(input.node->uses_, {&node, i});
  input = to;
  to.node->uses_.push_back({&node, i});
}

void Graph::replace(Output from, Output to) {
  const std::vector<Use> uses = from.node->uses_;
  for (const Use& use : uses) {
    if (use.input != kControl && use.node->inputs_[use.input] == from) set_input(*use.node, use.input, to);
  }
}

void Graph::add_control_input(Node& node, Node& before) {
  auto& controls = node.control_inputs_;
  if (&node == &before || std::find(controls.begin(), controls.end(), &before) != controls.end()) return;
  controls.push_back(&before);
  before.uses_.push_back({&node, kControl});
}

void Graph::remove_control_inputs(Node& node) {
  for (Node* before : node.control_inputs_) drop_use(before->uses_, {&node, kControl});
  node.control_inputs_.clear();
}

void Graph::redirect_controls(Node& from, Node& to) {
  const std::vector<Use> uses = from.uses_;
  for (const Use& use : uses) {
    if (use.input != kControl) continue;
    drop_use(from.uses_, use);
    std::erase(use.node->control_inputs_, &from);
    add_control_input(*use.node, to);
  }
}

void Graph::remove(Node& node) {
  if (!node.uses_.empty())
    internal("node '", node.name_, "' is removed, but '", node.uses_[0].node->name_, "' uses it");
  remove_control_inputs(node);
  for (int i = 0; i < int(node.inputs_.size()); ++i) drop_use(node.inputs_[i].node->uses_, {&node, i});
  by_name_.erase(node.name_);
  nodes_[node.id_].reset();
}

void Graph::rename(Node& node, std::string name) {
  if (node.name_ == name) return;
  if (by_name_.contains(name)) fail(Code::already_exists, "there is a node '", name, "' already");
  by_name_.erase(node.name_);
  node.name_ = std::move(name);
  by_name_.emplace(node.name_, &node);
}

void Graph::renumber(Node& node, int id) {
  if (id == node.id_) return;
  if (nodes_.at(id)) internal("node '", node.name_, "' cannot have the number of '", nodes_[id]->name_, "'");
  nodes_[id] = std::move(nodes_[node.id_]);
  node.id_ = id;
}

void Graph::trim() {
  while (!nodes_.empty() && !nodes_.back()) nodes_.pop_back();
}

// ---- functions

void Graph::add_function(std::shared_ptr<const Function> function) {
  std::unique_lock lock(mutex_);
  const std::string name = function->name;
  const auto [it, added] = functions_.emplace(name, std::move(function));
  if (!added) fail(Code::already_exists, "the graph has a function '", name, "' already");
}

std::shared_ptr<const Function> Graph::find_function(std::string_view name) const {
  const auto it = functions_.find(name);
  return it == functions_.end() ? nullptr : it->second;
}

// ---- inference

ShapeContext infer(const Node& node) {
  const auto count = node.inputs().size();
  std::vector<Shape> shapes(count);
  std::vector<const Tensor*> values(count);
  std::vector<const PartialInts*> ints(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Output input = node.inputs()[i];
    shapes[i] = input.shape();
    values[i] = input.node->constant();
    ints[i] = input.node->ints(input.index);
  }
  ShapeContext context(node, std::move(shapes), std::move(values), std::move(ints));
  in_node(node, [&] {
    if (!node.op().shape_rule()) internal("operation ", node.op().name(), " has no shape rule");
    node.op().shape_rule()(context);
  });
  return context;
}

void infer_and_store(Node& node) {
  ShapeContext context = infer(node);
  for (int i = 0; i < node.num_outputs(); ++i) {
    node.merge_shape(i, context.outputs()[i]);
    if (context.outputs_ints()[i]) node.set_ints(i, std::move(context.outputs_ints()[i]));
  }
}

std::vector<Shape> infer_results(const Function& function, std::span<const Shape> arguments) {
  require(arguments.size() == function.arguments.size(), "function '", function.name, "' takes ",
          function.arguments.size(), " arguments, got ", arguments.size());
  struct Known {
    std::vector<Shape> shapes;
    std::vector<std::optional<PartialInts>> ints;
  };
  std::unordered_map<const Node*, Known> known;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const Node* argument = function.arguments[i];
    known[argument] = {{arguments[i].merge(argument->shape(0))}, {std::nullopt}};
  }
  for (const Node* node : function.graph.topological_order()) {
    if (node->has(Trait::argument)) continue;
    std::vector<Shape> shapes;
    std::vector<const Tensor*> values;
    std::vector<const PartialInts*> ints;
    for (const Output& input : node->inputs()) {
      const Known& from = known.at(input.node);
      shapes.push_back(from.shapes[input.index]);
      values.push_back(input.node->constant());
      ints.push_back(from.ints[input.index] ? &*from.ints[input.index] : nullptr);
    }
    ShapeContext context(*node, std::move(shapes), std::move(values), std::move(ints));
    in_node(*node, [&] { node->op().shape_rule()(context); });
    Known& made = known[node];
    for (int i = 0; i < node->num_outputs(); ++i) {
      made.shapes.push_back(in_node(*node, [&] { return context.outputs()[i].merge(node->shape(i)); }));
      made.ints.push_back(std::move(context.outputs_ints()[i]));
    }
  }
  std::vector<Shape> results;
  for (const Output& result : function.results) results.push_back(known.at(result.node).shapes[result.index]);
  return results;
}

std::string made_at(const Node& node) {
  return node.source().empty() ? std::string() : " (node made at " + node.source() + ")";
}

void rethrow_in(const Node& node, const Error& error) {
  if (!error.node().empty()) throw;  // as it is: a copy would lose its class
  const std::string message =
      "[" + node.op().name() + " '" + node.name() + "'] " + error.what() + made_at(node);
  if (dynamic_cast<const DTypeError*>(&error)) throw DTypeError(message, node.name(), node.op().name());
  throw Error(error.code(), message, node.name(), node.op().name());
}

}  // namespace headrace
