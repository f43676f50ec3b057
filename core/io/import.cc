// GraphDef -> Graph. The message is read in two strides: first every node is taken apart and put in order,
// and whatever is unknown is reported at once; then nodes are added through Graph::add, which checks each as
// if a user had just written it.
#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/graph/handle.h"
#include "core/io/first_versions.h"
#include "core/io/frames.h"
#include "core/io/graph_message.h"
#include "core/io/graphdef.h"
#include "core/io/messages.h"
#include "core/io/order.h"
#include "core/io/references.h"
#include "core/io/unknown.h"
#include "core/registry/device.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

using wire::Reader;

constexpr int kMaxCallDepth = 100;
constexpr std::string_view kOutputShapes = "_output_shapes";

using Element = std::variant<Output, Node*>;

// ---- making nodes

// What a message tells of a shape. The handles of stacks and arrays once were the two strings of their names.
void merge_shape(Node& node, int output, const Shape& told) {
  if (node.dtype(output) != DType::resource) node.merge_shape(output, told);
}

// What one import shares between the graph and its functions.
struct Shared {
  Expansion expansion;
  ProducerDefaults defaults;
  const Graph& library;
  std::unordered_set<std::string> function_names = {};  // of the message, and those made here
  int loops_left_to_repeat = 64;                        // see Builder::make_loop

  std::string function_name(std::string base) {
    std::replace(base.begin(), base.end(), '/', '_');
    std::string name = base;
    for (int n = 1; library.find_function(name) || function_names.contains(name); ++n)
      name = str(base, "_", n);
    function_names.insert(name);
    return name;
  }
};

using Key = std::tuple<std::string_view, std::string_view, int>;
Key key_of(const Source& source) { return {source.node, source.output, source.index}; }

// Adds the nodes of one message (a graph's or a function's body) to a graph. Conditions and loops among them
// become calls of functions; a builder inside of this one makes each.
class Builder {
 public:
  Builder(Graph& graph, std::vector<NodeMessage>& messages, Shared& shared)
      : graph_(graph), messages_(messages), shared_(shared) {
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const auto [it, added] = index_.emplace(messages[i].name, int(i));
      require(added, "the message has two nodes named ", quoted(messages[i].name));
      names_.emplace_back(messages[i].name);
    }
  }

  // What a source refers to if not a node of the message.
  std::function<std::optional<Element>(const Source&)> outside = [](const Source&) { return std::nullopt; };
  std::vector<Node*> control_inputs;
  std::vector<Source> wanted;  // what will be asked for
  std::string device, source;

  void put_under(const std::string& prefix) {
    prefix_ = prefix;
    std::unordered_set<std::string> taken;
    std::vector<std::string*> conflicts;
    for (std::string& name : names_) {
      name = prefix + name;
      graph_.find(name) ? conflicts.push_back(&name) : void(taken.insert(name));
    }
    for (std::string* name : conflicts) {
      int count = 0;
      std::string candidate;
      do {
        candidate = *name + "_" + std::to_string(++count);
      } while (graph_.find(candidate) || taken.contains(candidate));
      *name = candidate;
      taken.insert(candidate);
    }
  }

  void build() {
    const Block block = has_frames(messages_) ? raised() : straight();
    try {
      make_block(block);
    } catch (...) {
      undo();
      throw;
    }
  }

  // Takes the nodes out of the graph again, readers before what they read.
  void undo() {
    std::vector<Node*> nodes = made();
    made_.clear();
    std::sort(nodes.begin(), nodes.end(), [](Node* a, Node* b) { return a->id() > b->id(); });
    const std::unique_lock lock(graph_.mutex());
    for (Node* node : nodes) graph_.remove(*node);
    graph_.trim();
  }

  // In the order of the message, and then what was made besides.
  std::vector<Node*> made() const {
    std::vector<Node*> nodes;
    for (int i = 0; i < int(messages_.size()); ++i) {
      if (const auto found = made_.find(i); found != made_.end()) nodes.push_back(found->second);
    }
    nodes.insert(nodes.end(), besides_.begin(), besides_.end());
    return nodes;
  }
  // The functions made of conditions and loops.
  const std::vector<std::shared_ptr<const Function>>& functions() const { return functions_; }
  Node* find(std::string_view name) const {
    const auto found = root_->index_.find(name);
    if (found == root_->index_.end()) return nullptr;
    const auto node = made_.find(found->second);
    return node == made_.end() ? nullptr : node->second;
  }
  bool has(std::string_view name) const { return index_.contains(name); }
  // Of a node that was made: that it has this output.
  void check_output(const Source& source) const {
    const Node* node = find(source.node);
    require(!node || source.control || source.index < node->num_outputs(), "node ", quoted(source.node),
            " has ", node ? node->num_outputs() : 0, " outputs, there is no number ", source.index);
  }

  // The node is nullptr for one that the caller of the function waits for.
  Element resolve(Source source) {
    if (auto element = outside(source)) return *element;
    const auto found = root_->index_.find(source.node);
    if (found != root_->index_.end()) source = unnamed(source, messages_[std::size_t(found->second)].op);
    if (source.control) {
      const auto inside = found == root_->index_.end() ? members_.end() : members_.find(found->second);
      if (inside != members_.end()) return inside->second;
    } else if (const auto value = values_.find(key_of(source)); value != values_.end()) {
      return value->second;
    }
    Node* node = find(source.node);
    if (!node && outer_) return capture(source);
    require(node, "the message has no node ", quoted(source.node));
    if (source.control) return node;
    if (source.output == kHasRun) return values_[key_of(source)] = constant(Tensor::scalar(true), {node});
    const int index = source.output.empty() ? source.index : flat_index(*node, source);
    require(index < node->num_outputs(), "node ", quoted(source.node), " has ", node->num_outputs(),
            " outputs, there is no number ", index);
    return node->output(index);
  }

 private:
  // For the body of a condition or loop.
  Builder(Graph& graph, Builder& outer)
      : source(outer.source),
        graph_(graph),
        messages_(outer.messages_),
        shared_(outer.shared_),
        outer_(&outer),
        root_(outer.root_) {
    device = outer.device;
  }

  // Nodes in the order of what they need.
  Block straight() {
    std::vector<std::vector<int>> needs(messages_.size());
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      for (const Source& input : messages_[i].inputs) {
        if (outside(input)) continue;
        const auto found = index_.find(input.node);
        require(found != index_.end(), "node ", quoted(messages_[i].name), " reads ", quoted(input.node),
                ", which the message does not have");
        needs[i].push_back(found->second);
      }
    }
    Block block;
    for (int i : in_order(needs, [&](int i) { return std::string(messages_[std::size_t(i)].name); }))
      block.steps.emplace_back(i);
    return block;
  }

  Block raised() {
    taken_.insert(names_.begin(), names_.end());
    const FrameContext context{
        .outside = [&](const Source& source) { return outside(source).has_value(); },
        .has_effects =
            [](std::string_view name) {
              const OpDef* op = find_op_or_null(name);
              return !op || op->has(Trait::stateful);
            },
        .wanted = wanted,
        .keep = [&](std::string name) -> std::string_view { return texts_.emplace_back(std::move(name)); }};
    Block block = raise_frames(messages_, context);
    for (std::size_t i = names_.size(); i < messages_.size(); ++i) {
      index_.emplace(messages_[i].name, int(i));
      names_.push_back(fresh_name("", str(prefix_, messages_[i].name)));
      taken_.insert(names_.back());
    }
    return block;
  }

  void make_block(const Block& block) {
    for (const auto& step : block.steps) {
      if (const int* i = std::get_if<int>(&step)) {
        make(*i);
      } else if (const auto* loop = std::get_if<std::unique_ptr<Loop>>(&step)) {
        make_loop(**loop);
      } else {
        make_conditional(*std::get<std::unique_ptr<Conditional>>(step));
      }
    }
  }

  static int flat_index(const Node& node, const Source& source) {
    int position = 0;
    for (const ArgDef& arg : node.op().outputs()) {
      std::int64_t count = 1;
      if (arg.is_type_list) count = std::int64_t(node.attr<std::vector<DType>>(arg.type_attr).size());
      if (!arg.number_attr.empty()) count = node.attr<std::int64_t>(arg.number_attr);
      if (arg.name == source.output) {
        require(source.index < count, "output ", quoted(arg.name), " of node ", quoted(source.node), " has ",
                count, " elements, there is no number ", source.index);
        return position + source.index;
      }
      position += int(count);
    }
    invalid("node ", quoted(source.node), " (", node.op().name(), ") has no output ", quoted(source.output));
  }

  void make(int i) {
    const NodeMessage& message = messages_[std::size_t(i)];
    NodeSpec spec = spec_of(i);
    for (const Source& input : message.inputs) {
      if (!input.control) spec.inputs.push_back(std::get<Output>(resolve(input)));
    }
    const OpDef* op = find_op_or_null(message.op);
    if (op) {
      spec.attrs = attrs_of(message, *op);
    } else {  // an operation named like a function
      op = &find_op(kCall);
      spec.attrs = call_attrs(message);
    }
    finish(i, *op, std::move(spec));
  }

  // Name, place and control inputs.
  NodeSpec spec_of(int i) {
    const NodeMessage& message = messages_[std::size_t(i)];
    NodeSpec spec{.name = root_->names_[std::size_t(i)], .inputs = {}, .source = source};
    try {
      const DeviceSpec own = DeviceSpec::parse(message.device);
      spec.device =
          device.empty() ? std::string(message.device) : DeviceSpec::parse(device).merged(own).str();
    } catch (const Error& error) {
      fail(error.code(), "node ", quoted(message.name), " (", message.op, "): ", error.what());
    }
    spec.control_inputs = waits_of(i);
    return spec;
  }

  std::vector<Node*> waits_of(int i) {
    std::vector<Node*> waits = control_inputs;
    for (const Source& input : messages_[std::size_t(i)].inputs) {
      if (!input.control) continue;
      Node* before = std::get<Node*>(resolve(input));
      if (before && std::find(waits.begin(), waits.end(), before) == waits.end()) waits.push_back(before);
    }
    return waits;
  }

  void finish(int i, const OpDef& op, NodeSpec spec) {
    Node& node = graph_.add(op, std::move(spec));
    made_[i] = &node;
    merge_shapes(node, messages_[std::size_t(i)]);
  }

  // ---- conditions and loops

  Node& add_beside(std::string_view op, NodeSpec spec) {
    spec.source = source;
    Node& node = graph_.add(find_op(op), std::move(spec));
    besides_.push_back(&node);
    return node;
  }

  // A name that neither the graph nor the message has.
  std::string fresh_name(std::string_view scope, std::string_view name) {
    const std::string base = scope.empty() ? std::string(name) : str(scope, "/", name);
    std::string fresh = graph_.unique_name(base);
    for (int n = 1; root_->taken_.contains(fresh) || graph_.find(fresh); ++n) fresh = str(base, "_", n);
    return fresh;
  }
  static std::string_view scope_of(std::string_view name) {
    const auto slash = name.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
  }

  Output constant(Tensor value, std::vector<Node*> after = {}) {
    const DType dtype = value.dtype();
    return add_beside("Const", {.name = fresh_name("", "const"),
                                .inputs = {},
                                .attrs = {{"value", std::move(value)}, {"dtype", dtype}},
                                .control_inputs = std::move(after)})
        .output(0);
  }

  Node& argument(DType dtype, const Shape& shape, std::string_view name) {
    Node& node = graph_.add(find_op("_Arg"), {.name = fresh_name("", name),
                                              .inputs = {},
                                              .attrs = {{"T", dtype}, {"index", std::int64_t(0)}},
                                              .source = source});
    node.set_shape(0, shape);
    return node;
  }
  // An argument that stands for an output of the graph around.
  Node& argument_for(const Output& outer) {
    Node& node = argument(outer.dtype(), outer.shape(), "arg");
    if (!is_plain(outer.dtype())) annotate_argument(node, handle_type(outer));
    return node;
  }

  // Constants that may say something about shapes are repeated inside.
  static bool is_repeated(const Output& outer) {
    constexpr std::int64_t kLargest = 1024;
    const Tensor* value = outer.node->constant();
    return value && value->size() <= kLargest &&
           (is_integer(value->dtype()) || value->dtype() == DType::boolean ||
            value->dtype() == DType::string);
  }

  // Something of the graph around: a tensor becomes an argument, and what is waited for the caller waits for.
  Element capture(const Source& source) {
    const Element element = outer_->resolve(source);
    if (Node* const* before = std::get_if<Node*>(&element)) {
      if (*before) waits_.push_back(*before);
      return static_cast<Node*>(nullptr);
    }
    const Output outer = std::get<Output>(element);
    const auto [known, added] = inside_.try_emplace(outer);
    if (added) {
      if (is_repeated(outer)) {
        known->second = constant(*outer.node->constant());
      } else {
        captured_.push_back(outer);
        known->second = argument_for(outer).output(0);
      }
    }
    return values_[key_of(source)] = known->second;
  }

  // What stands for a value on the side of a condition that does not have it: nobody reads it.
  Output placeholder(const Output& like) {
    if (like.dtype() == DType::resource) {
      const Output size = constant(Tensor::scalar<std::int32_t>(0));
      return add_beside("StackV2", {.name = fresh_name("", "nothing"),
                                    .inputs = {size},
                                    .attrs = {{"elem_type", DType::float32}}})
          .output(0);
    }
    if (like.dtype() == DType::variant) {
      const Output any = constant(Tensor::scalar<std::int32_t>(-1)),
                   none = constant(Tensor::scalar<std::int32_t>(0));
      return add_beside("EmptyTensorList", {.name = fresh_name("", "nothing"),
                                            .inputs = {any, none},
                                            .attrs = {{"element_dtype", DType::float32}}})
          .output(0);
    }
    std::vector<std::int32_t> sizes{0};
    if (like.shape().has_rank()) {
      sizes.clear();
      for (std::int64_t size : like.shape().dims()) {
        sizes.push_back(like.shape().is_full() && size <= INT32_MAX ? std::int32_t(size) : 0);
      }
    }
    Tensor zero(like.dtype(), Shape{});
    if (is_plain(like.dtype())) std::memset(zero.raw(), 0, zero.bytes());
    const Output dims = constant(Tensor::vector(std::span<const std::int32_t>(sizes))), fill = constant(zero);
    return add_beside("Fill", {.name = fresh_name("", "nothing"), .inputs = {dims, fill}}).output(0);
  }

  // A function to be, and who builds it.
  struct Body {
    std::shared_ptr<Function> function = std::make_shared<Function>();
    std::unique_ptr<Builder> builder;
    explicit Body(Builder& outer) : builder(new Builder(function->graph, outer)) {
      function->graph.share_functions(outer.graph_);
    }
  };

  // Makes the function of the body known here.
  FunctionName define(Body& body, std::string_view name, std::vector<Node*> arguments,
                      std::vector<Output> results) {
    for (std::size_t i = 0; i < arguments.size(); ++i) arguments[i]->set_attr("index", std::int64_t(i));
    Function& function = *body.function;
    function.name = shared_.function_name(std::string(name));
    function.arguments = std::move(arguments);
    function.results = std::move(results);
    std::vector<std::shared_ptr<const Function>> all = body.builder->functions_;
    all.push_back(body.function);
    for (const auto& each : all) {
      graph_.add_function(each);
      functions_.push_back(each);
    }
    return {function.name};
  }

  static bool is_stateful(const Function& function) {
    return std::any_of(function.graph.nodes().begin(), function.graph.nodes().end(),
                       [](const auto& node) { return node && node->has(Trait::stateful); });
  }

  std::string_view name_of_source(const Source& source) const {
    const auto found = root_->index_.find(source.node);
    return found == root_->index_.end() ? source.node
                                        : std::string_view(root_->names_[std::size_t(found->second)]);
  }

  void make_conditional(const Conditional& conditional) {
    std::array<Body, 2> bodies{Body(*this), Body(*this)};
    for (const bool side : {false, true}) bodies[side].builder->make_block(conditional.sides[side]);

    for (const bool side : {false, true}) {
      std::vector<Node*>& targets = bodies[side].function->targets;
      for (int i : conditional.awaited[side]) {
        Node* awaited = std::get<Node*>(
            bodies[side].builder->resolve({.node = messages_[std::size_t(i)].name, .control = true}));
        if (std::find(targets.begin(), targets.end(), awaited) == targets.end()) targets.push_back(awaited);
      }
    }

    std::array<std::vector<Output>, 2> results;
    std::vector<DType> dtypes;
    for (const Conditional::Result& result : conditional.results) {
      std::array<Output, 2> both;
      for (const bool side : {false, true}) {
        Builder& builder = *bodies[side].builder;
        if (result.position)
          both[side] = builder.constant(Tensor::scalar<std::int32_t>((*result.position)[side]));
        if (result.sides[side]) both[side] = std::get<Output>(builder.resolve(*result.sides[side]));
      }
      for (const bool side : {false, true}) {
        if (!both[side]) both[side] = bodies[side].builder->placeholder(both[!side]);
        results[side].push_back(both[side]);
      }
      require(both[0].dtype() == both[1].dtype(), "a Merge joins ", name_of(both[0].dtype()), " '",
              both[0].node->name(), "' and ", name_of(both[1].dtype()), " '", both[1].node->name(), "'");
      dtypes.push_back(both[0].dtype());
    }

    // Both take all that either of them uses.
    std::vector<Output> inputs;
    std::vector<Node*> waits = control_inputs;
    for (const Body& body : bodies) {
      for (const Output& outer : body.builder->captured_) {
        if (std::find(inputs.begin(), inputs.end(), outer) == inputs.end()) inputs.push_back(outer);
      }
      for (Node* before : body.builder->waits_) {
        if (std::find(waits.begin(), waits.end(), before) == waits.end()) waits.push_back(before);
      }
    }
    const std::string name = fresh_name(scope_of(name_of_source(conditional.predicate)), "If");
    std::array<FunctionName, 2> functions;
    bool stateful = false;
    for (const bool side : {false, true}) {
      Builder& builder = *bodies[side].builder;
      std::vector<Node*> arguments;
      for (const Output& outer : inputs) {
        const auto known = builder.inside_.find(outer);
        arguments.push_back(known == builder.inside_.end() ? &builder.argument_for(outer)
                                                           : known->second.node);
      }
      stateful = stateful || is_stateful(*bodies[side].function);
      functions[side] =
          define(bodies[side], str(name, side ? "_true" : "_false"), std::move(arguments), results[side]);
    }
    inputs.insert(inputs.begin(), std::get<Output>(resolve(conditional.predicate)));
    Node& node =
        add_beside(stateful ? "If" : "StatelessIf",
                   {.name = name,
                    .inputs = inputs,
                    .attrs = {{"Tout", dtypes}, {"then_branch", functions[1]}, {"else_branch", functions[0]}},
                    .control_inputs = waits});

    for (int member : conditional.members) members_.emplace(member, &node);
    for (const Conditional::Joined& joined : conditional.joined) {
      members_.erase(joined.merge);
      NodeSpec spec = spec_of(joined.merge);
      spec.inputs.push_back(node.output(joined.value));
      if (joined.position >= 0) spec.inputs.push_back(node.output(joined.position));
      finish(joined.merge, find_op(joined.position >= 0 ? "IdentityN" : "Identity"), std::move(spec));
    }
    for (std::size_t k = 0; k < conditional.results.size(); ++k) {
      for (const auto& side : conditional.results[k].sides) {
        const bool both = conditional.results[k].sides[0] && conditional.results[k].sides[1];
        if (!side || both) continue;
        values_.insert_or_assign(key_of(*side), node.output(int(k)));
        if (outer_ || side->output != kHasRun) continue;
        const int i = index_.at(side->node);
        members_.erase(i);
        finish(i, find_op("Identity"),
               {.name = names_[std::size_t(i)], .inputs = {node.output(int(k))}, .source = source});
      }
    }
  }

  void make_loop(const Loop& loop) {
    std::vector<Output> inputs;
    std::vector<Node*> waits = control_inputs;
    const auto enter = [&](int i) {
      for (Node* before : waits_of(i)) {
        if (std::find(waits.begin(), waits.end(), before) == waits.end()) waits.push_back(before);
      }
      return std::get<Output>(resolve(messages_[std::size_t(i)].inputs[0]));
    };
    for (const Loop::Variable& variable : loop.variables) inputs.push_back(enter(variable.enter));
    std::vector<std::pair<int, Output>> invariants;
    for (int i : loop.invariants) invariants.emplace_back(i, enter(i));

    // A variable tends to keep the shape that it comes with. If it does not, the bodies are built again; but
    // loops in loops would be so too often.
    std::vector<Shape> shapes;
    for (const Output& input : inputs) shapes.push_back(input.shape());
    while (shared_.loops_left_to_repeat > 0) {
      const std::vector<Shape> next = try_loop(loop, inputs, invariants, waits, shapes);
      if (next == shapes) return;
      shapes = next;
      --shared_.loops_left_to_repeat;
    }
    std::fill(shapes.begin(), shapes.end(), Shape::unknown());
    const std::vector<Shape> next = try_loop(loop, inputs, invariants, waits, shapes);
    if (next != shapes) internal("the loop ", quoted(loop.frame), " changes the shapes that nobody knows");
  }

  // Makes the loop if its variables keep these shapes; returns those that they do keep.
  std::vector<Shape> try_loop(const Loop& loop, const std::vector<Output>& first_values,
                              const std::vector<std::pair<int, Output>>& invariants,
                              const std::vector<Node*>& waits, const std::vector<Shape>& shapes) {
    Body cond(*this), body(*this);
    std::vector<Output> inputs = first_values, results, verdict;
    std::array<std::vector<Node*>, 2> arguments;
    const std::array<Builder*, 2> builders{cond.builder.get(), body.builder.get()};
    const auto stands_for = [&](int i) { return Key(messages_[std::size_t(i)].name, "", 0); };
    for (std::size_t k = 0; k < loop.variables.size(); ++k) {
      for (std::size_t b = 0; b < 2; ++b) {
        Node& node = builders[b]->argument(inputs[k].dtype(), shapes[k], "variable");
        if (!is_plain(inputs[k].dtype())) annotate_argument(node, handle_type(inputs[k]));
        arguments[b].push_back(&node);
        builders[b]->values_[stands_for(loop.variables[k].merge)] = node.output(0);
      }
    }
    for (const auto& [i, outer] : invariants) {
      for (std::size_t b = 0; b < 2; ++b) {
        Builder& builder = *builders[b];
        if (is_repeated(outer)) {
          builder.values_[stands_for(i)] = builder.constant(*outer.node->constant());
          continue;
        }
        arguments[b].push_back(&builder.argument_for(outer));
        builder.values_[stands_for(i)] = arguments[b].back()->output(0);
      }
      if (!is_repeated(outer)) inputs.push_back(outer);
    }

    try {
      cond.builder->make_block(loop.cond);
      verdict.push_back(std::get<Output>(cond.builder->resolve(loop.predicate)));
      body.builder->make_block(loop.body);
      for (const Loop::Variable& variable : loop.variables)
        results.push_back(body.builder->next_value(variable.next));
    } catch (const Error&) {
      // Perhaps only because the first iteration's shapes are not those of the others.
      const std::vector<Shape> any(shapes.size(), Shape::unknown());
      if (shapes == any) throw;
      return any;
    }
    std::vector<Shape> kept;
    for (std::size_t k = 0; k < results.size(); ++k) {
      require(results[k].dtype() == inputs[k].dtype(), "variable ", k, " of the loop ", quoted(loop.frame),
              " is ", name_of(inputs[k].dtype()), ", but its next value is ", name_of(results[k].dtype()));
      kept.push_back(shapes[k].relax(results[k].shape()));
    }
    if (kept != shapes) return kept;

    for (std::size_t k = results.size(); k < inputs.size(); ++k)
      results.push_back(arguments[1][k]->output(0));
    const std::string scope = str(root_->prefix_, scope_of(loop.frame));
    const std::string name =
        fresh_name(scope.ends_with('/') ? scope.substr(0, scope.size() - 1) : scope, "While");
    const bool stateful = is_stateful(*cond.function) || is_stateful(*body.function);
    const FunctionName cond_name = define(cond, name + "_cond", arguments[0], verdict);
    const FunctionName body_name = define(body, name + "_body", arguments[1], results);
    std::vector<Node*> all_waits = waits;
    for (const Builder* builder : builders) {
      all_waits.insert(all_waits.end(), builder->waits_.begin(), builder->waits_.end());
      if (!builder->captured_.empty()) {
        internal("the loop ", quoted(loop.frame), " reads '", builder->captured_[0].name(),
                 "' outside of it");
      }
    }
    Node& node = add_beside(stateful ? "While" : "StatelessWhile",
                            {.name = name,
                             .inputs = inputs,
                             .attrs = {{"cond", cond_name},
                                       {"body", body_name},
                                       {"parallel_iterations", loop.parallel_iterations}},
                             .control_inputs = all_waits});
    for (const auto& [exit, variable] : loop.exits) {
      NodeSpec spec = spec_of(exit);
      spec.inputs.push_back(node.output(variable));
      finish(exit, find_op("Identity"), std::move(spec));
    }
    return shapes;
  }

  // What NextIteration gives, after what it waits for.
  Output next_value(int next) {
    const Output value = std::get<Output>(resolve(messages_[std::size_t(next)].inputs[0]));
    NodeSpec spec = spec_of(next);
    if (spec.control_inputs.empty()) return value;
    spec.inputs.push_back(value);
    return add_beside("Identity", std::move(spec)).output(0);
  }

  // ---- attributes

  AttrMap attrs_of(const NodeMessage& message, const OpDef& op) {
    AttrMap attrs;
    for (const auto& [name, value] : message.attrs) {
      if (name == kOutputShapes) continue;
      const AttrDef* known = op.find_attr(name);
      if (!known && !name.starts_with('_')) {
        require(shared_.defaults.can_drop(message.op, name, value), "node ", quoted(message.name), " (",
                message.op, ") has an attribute ", quoted(name),
                " that is not known here; the graph comes from a version of the operation that does more");
        continue;
      }
      attrs.insert_or_assign(std::string(name), read(message, name, value, known ? known->type : ""));
    }
    if (!message.shared_with.empty()) {
      attrs.insert_or_assign("shared_name",
                             root_->names_[std::size_t(root_->index_.at(message.shared_with))]);
    }
    colocate(attrs);
    return attrs;
  }

  AttrMap call_attrs(const NodeMessage& message) {
    const auto function = graph_.find_function(message.op);
    require(function != nullptr, "node ", quoted(message.name), " calls the unknown function ",
            quoted(message.op));
    AttrMap attrs{{"f", FunctionName{std::string(message.op)}}};
    std::vector<DType> in, out;
    for (const Node* argument : function->arguments) in.push_back(argument->dtype(0));
    for (const Output& result : function->results) out.push_back(result.dtype());
    attrs.emplace("Tin", std::move(in));
    attrs.emplace("Tout", std::move(out));
    for (const auto& [name, value] : message.attrs) {
      if (name.starts_with('_') && name != kOutputShapes) {
        attrs.insert_or_assign(std::string(name), read(message, name, value, ""));
      }
    }
    colocate(attrs);
    return attrs;
  }

  Attr read(const NodeMessage& message, std::string_view name, Reader value, std::string_view type) {
    try {
      return read_attr(value, type, shared_.expansion);
    } catch (const Error& error) {
      fail(error.code(), "node ", quoted(message.name), " (", message.op, "), attribute ", quoted(name), ": ",
           error.what());
    }
  }

  // "_class" lists nodes to be near to, as "loc:@name": under their new names. Where conditions and loops
  // were raised, such a node may be in another function by now.
  void colocate(AttrMap& attrs) const {
    constexpr std::string_view kNear = "loc:@";
    const auto found = attrs.find("_class");
    auto* names = found == attrs.end() ? nullptr : std::get_if<std::vector<std::string>>(&found->second);
    if (!names) return;
    std::vector<std::string> kept;
    for (std::string& text : *names) {
      const auto other = text.starts_with(kNear)
                             ? root_->index_.find(std::string_view(text).substr(kNear.size()))
                             : root_->index_.end();
      if (other == root_->index_.end()) {
        kept.push_back(std::move(text));
      } else if (root_->taken_.empty() || made_.contains(other->second)) {
        kept.push_back(std::string(kNear) + root_->names_[std::size_t(other->second)]);
      }
    }
    if (kept.empty()) {
      attrs.erase(found);
    } else {
      *names = std::move(kept);
    }
  }

  // The message may know more about shapes than inference finds.
  void merge_shapes(Node& node, const NodeMessage& message) {
    for (const auto& [name, value] : message.attrs) {
      if (name != kOutputShapes) continue;
      const Attr list = read(message, name, value, "list(shape)");
      const auto& shapes = std::get<std::vector<Shape>>(list);
      in_node(node, [&] {
        for (int i = 0; i < node.num_outputs() && i < int(shapes.size()); ++i)
          merge_shape(node, i, shapes[i]);
      });
    }
  }

  Graph& graph_;
  std::vector<NodeMessage>& messages_;
  Shared& shared_;
  std::unordered_map<int, Node*> made_;  // by number of the message's node
  std::vector<Node*> besides_;           // nodes that the message does not have
  std::vector<std::shared_ptr<const Function>> functions_;

  // What stands for sources that are no nodes here: the variables of a loop, what is captured or comes out of
  // a condition. And the conditions that nodes are inside of.
  std::map<Key, Output> values_;
  std::unordered_map<int, Node*> members_;

  // Of a body: the builder of the graph around; what is used of that, and what stands for it here.
  Builder* outer_ = nullptr;
  std::vector<Output> captured_;
  std::vector<Node*> waits_;
  std::map<Output, Output> inside_;

  // Of the message as a whole, which `root_` has.
  Builder* root_ = this;
  std::unordered_map<std::string_view, int> index_;
  std::vector<std::string> names_;
  std::deque<std::string> texts_;  // names in the message that raising it has added
  std::unordered_set<std::string> taken_;
  std::string prefix_;
};

// ---- functions

// Names of functions that the nodes may call.
void collect_calls(const std::vector<NodeMessage>& nodes, Expansion& expansion,
                   std::set<std::string>& names) {
  for (const NodeMessage& node : nodes) {
    names.emplace(node.op);
    for (const auto& [key, value] : node.attrs) {
      bool is_function = false;
      for (Reader in = value; in.next();) is_function = is_function || in.field() == 10 || in.field() == 1;
      if (!is_function) continue;
      const Attr attr = read_attr(value, "", expansion);
      if (const auto* one = std::get_if<FunctionName>(&attr)) names.insert(one->name);
      if (const auto* list = std::get_if<std::vector<FunctionName>>(&attr)) {
        for (const FunctionName& each : *list) names.insert(each.name);
      }
    }
  }
}

std::shared_ptr<Function> build_function(FunctionMessage& message, const std::set<std::string>& calls,
                                         Graph& library, Shared& shared) {
  auto function = std::make_shared<Function>();
  function->name = message.name;
  for (const std::string& name : calls) {
    if (auto callee = library.find_function(name)) function->graph.add_function(std::move(callee));
  }
  std::unordered_map<std::string_view, Node*> arguments;
  for (std::size_t i = 0; i < message.arguments.size(); ++i) {
    const ArgumentMessage& argument = message.arguments[i];
    Node& node =
        function->graph.add(find_op("_Arg"), {.name = std::string(argument.name),
                                              .inputs = {},
                                              .attrs = {{"T", argument.dtype}, {"index", std::int64_t(i)}}});
    const auto attrs = message.argument_attrs.find(i);
    if (attrs != message.argument_attrs.end()) {
      for (const auto& [name, value] : attrs->second) {
        if (name != kOutputShapes) continue;
        const Attr list = read_attr(value, "list(shape)", shared.expansion);
        const auto& shapes = std::get<std::vector<Shape>>(list);
        if (shapes.size() == 1) merge_shape(node, 0, shapes[0]);
      }
    }
    arguments.emplace(argument.name, &node);
    function->arguments.push_back(&node);
  }

  Builder builder(function->graph, message.nodes, shared);
  builder.outside = [&](const Source& source) -> std::optional<Element> {
    const auto found = arguments.find(source.node);
    if (found == arguments.end()) return std::nullopt;
    require(source.index == 0, "argument ", quoted(source.node), " is one tensor, there is no number ",
            source.index);
    if (source.control) return found->second;
    return found->second->output(0);
  };
  for (const auto& [result, from] : message.returns) builder.wanted.push_back(parse_source(from));
  builder.build();
  for (const auto& made : builder.functions()) library.add_function(made);

  for (const ArgumentMessage& result : message.results) {
    const auto found = message.returns.find(result.name);
    require(found != message.returns.end(), "result ", quoted(result.name), " comes from nowhere");
    const Element element = builder.resolve(parse_source(found->second));
    const Output* output = std::get_if<Output>(&element);
    require(output && output->dtype() == result.dtype, "result ", quoted(result.name), " is not a ",
            name_of(result.dtype), " tensor");
    function->results.push_back(*output);
    function->result_names.emplace_back(result.name);
  }
  for (std::string_view name : message.control_outputs) {
    const auto found = message.control_returns.find(name);
    Node* target = builder.find(found == message.control_returns.end() ? name : found->second);
    require(target, "control output ", quoted(name), " comes from nowhere");
    function->targets.push_back(target);
  }
  for (const auto& [name, value] : message.attrs) {
    if (Reader(value).next()) {  // TensorFlow 2 writes some without a value
      function->attrs.insert_or_assign(std::string(name), read_attr(value, "", shared.expansion));
    }
  }
  return function;
}

// Names of the functions that the graph's nodes call, directly or not.
std::set<std::string> called_functions(const GraphMessage& message) {
  Expansion expansion;  // attributes are read again when nodes are made
  std::unordered_map<std::string_view, const FunctionMessage*> functions;
  for (const FunctionMessage& function : message.functions) functions.emplace(function.name, &function);
  std::set<std::string> names;
  collect_calls(message.nodes, expansion, names);
  std::vector<std::string> pending(names.begin(), names.end());
  while (!pending.empty()) {
    const auto function = functions.find(pending.back());
    pending.pop_back();
    if (function == functions.end()) continue;
    std::set<std::string> more;
    collect_calls(function->second->nodes, expansion, more);
    for (const std::string& name : more) {
      if (names.insert(name).second) pending.push_back(name);
    }
  }
  return names;
}

// Functions that the graph does not call are left out where they cannot be made: saved models come with
// variants for training and for other devices.
void build_functions(Graph& graph, std::vector<FunctionMessage>& messages,
                     const std::set<std::string>& called, Shared& shared) {
  std::unordered_map<std::string, int> index;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const bool added = index.emplace(messages[i].name, int(i)).second;
    require(added, "the message has two functions named ", quoted(messages[i].name));
    shared.function_names.emplace(messages[i].name);
  }
  std::vector<std::set<std::string>> calls(messages.size());
  std::vector<std::vector<int>> needs(messages.size());
  Expansion expansion;  // attributes are read again when nodes are made
  for (std::size_t i = 0; i < messages.size(); ++i) {
    collect_calls(messages[i].nodes, expansion, calls[i]);
    for (const std::string& name : calls[i]) {
      if (const auto found = index.find(name); found != index.end()) needs[i].push_back(found->second);
    }
  }
  const auto order = in_order(needs, [&](int i) { return std::string(messages[i].name); });
  std::vector<int> depth(messages.size(), 1);
  for (int i : order) {
    for (int callee : needs[i]) depth[i] = std::max(depth[i], depth[callee] + 1);
    require(depth[i] <= kMaxCallDepth, "function ", quoted(messages[i].name), " calls functions more than ",
            kMaxCallDepth, " deep");
    std::shared_ptr<Function> function;
    try {
      function = build_function(messages[i], calls[i], graph, shared);
    } catch (const Error& error) {
      if (!called.contains(std::string(messages[i].name))) continue;
      throw Error(error.code(), str("in function ", quoted(messages[i].name), ": ", error.what()),
                  error.node(), error.op());
    }
    if (const auto known = graph.find_function(function->name)) {
      if (to_function_def(*known) != to_function_def(*function)) {
        fail(Code::already_exists, "the graph has another function ", quoted(function->name), " already");
      }
    } else {
      graph.add_function(std::move(function));
    }
  }
}

// A part of a graph may read what the message does not have, under whatever name.
void check_input_map(const ImportOptions& options, const GraphMessage& message) {
  std::unordered_set<std::string_view> named;
  for (const NodeMessage& node : message.nodes) {
    named.insert(node.name);
    for (const Source& input : node.inputs) named.insert(input.node);
  }
  for (const auto& [key, value] : options.input_map) {
    require(named.contains(parse_source(key).node), "input map: the message has no node for ", quoted(key));
  }
}

}  // namespace

Imported import_graphdef(Graph& graph, std::string_view message, const ImportOptions& options) {
  GraphMessage parts = read_graph(message);
  resolve_first_versions(parts);
  resolve_references(parts);
  const auto called = called_functions(parts);
  check_operations(graph, parts, called);
  Shared shared{.expansion = {}, .defaults = ProducerDefaults(options.producer_ops), .library = graph};
  build_functions(graph, parts.functions, called, shared);

  // Keys of the input map by node, index and kind.
  std::map<std::tuple<std::string_view, int, bool>, Element> replaced;
  for (const auto& [key, value] : options.input_map) {
    const Source source = parse_source(key);
    require(source.control == std::holds_alternative<Node*>(value), "input map: ", quoted(key), " is ",
            source.control ? "a node, but is mapped to a tensor" : "a tensor, but is mapped to a node");
    replaced.emplace(std::tuple(source.node, source.index, source.control), value);
  }
  Builder builder(graph, parts.nodes, shared);
  builder.outside = [&](const Source& source) -> std::optional<Element> {
    if (!source.output.empty()) return std::nullopt;
    const auto found = replaced.find({source.node, source.index, source.control});
    return found == replaced.end() ? std::nullopt : std::optional(found->second);
  };
  builder.control_inputs = options.control_inputs;
  builder.device = options.device;
  builder.source = options.source;
  builder.put_under(options.prefix.empty() ? "" : options.prefix + "/");

  // Checked before anything is made; whether an output has that number is only known afterwards.
  std::vector<Source> wanted;
  for (const std::string& element : options.return_elements) {
    require(!element.empty() && element[0] != '^', "return elements: ", quoted(element),
            " is no name of an operation or a tensor");
    wanted.push_back(parse_source(element));
    require(builder.has(wanted.back().node), "return elements: the message has no node ",
            quoted(wanted.back().node));
    builder.wanted.push_back(wanted.back());
    builder.wanted.back().control = element.find(':') == std::string::npos;
  }
  check_input_map(options, parts);
  builder.build();
  Imported imported;
  try {
    for (const auto& [key, value] : options.input_map) builder.check_output(parse_source(key));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const bool is_output = options.return_elements[i].find(':') != std::string::npos;
      imported.returned.push_back(is_output ? builder.resolve(wanted[i])
                                            : Element(builder.find(wanted[i].node)));
    }
  } catch (...) {
    builder.undo();
    throw;
  }
  imported.nodes = builder.made();
  return imported;
}

void import_function(Graph& graph, std::string_view message) {
  GraphMessage parts;
  parts.functions.push_back(read_function(Reader(message)));
  resolve_first_versions(parts);
  const std::set<std::string> called{std::string(parts.functions[0].name)};
  check_operations(graph, parts, called);
  Shared shared{.expansion = {}, .defaults = ProducerDefaults(""), .library = graph};
  build_functions(graph, parts.functions, called, shared);
}

}  // namespace headrace
