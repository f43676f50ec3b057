// GraphDef -> Graph. The message is read in two strides: first every node is taken apart and put in order,
// and whatever is unknown is reported at once; then nodes are added through Graph::add, which checks each as
// if a user had just written it.
#include <algorithm>
#include <functional>
#include <optional>
#include <queue>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/io/graph_message.h"
#include "core/io/graphdef.h"
#include "core/io/messages.h"
#include "core/io/references.h"
#include "core/registry/device.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

using wire::Reader;

constexpr int kMaxCallDepth = 100;
constexpr std::string_view kOutputShapes = "_output_shapes";
// Attributes of later versions that are notes and checks, and change nothing of what is computed.
constexpr std::string_view kNotes[] = {"debug_name", "metadata", "validate_shape", "grad_a",
                                       "grad_b",     "grad_x",   "grad_y"};
constexpr std::string_view kCall = "PartitionedCall";  // what an operation named like a function becomes

using Element = std::variant<Output, Node*>;

// "'a', 'b', 'c' and 7 more"
template <class Names>
std::string some_of(const Names& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) text += (i ? ", " : "") + quoted(names[i]);
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

// ---- order

// Items after all that they need, otherwise in their own order. `needs[i]` are indices; `name_of(i)` is for
// the message about a cycle.
std::vector<int> in_order(const std::vector<std::vector<int>>& needs,
                          const std::function<std::string(int)>& name_of) {
  const int count = int(needs.size());
  std::vector<int> missing(count);
  std::vector<std::vector<int>> needed_by(count);
  for (int i = 0; i < count; ++i) {
    missing[i] = int(needs[i].size());
    for (int other : needs[i]) needed_by[other].push_back(i);
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < count; ++i) {
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (int other : needed_by[i]) {
      if (--missing[other] == 0) ready.push(other);
    }
  }
  if (int(order.size()) == count) return order;

  // Whoever is left needs someone who is left: walk that way until somebody comes twice.
  std::vector<int> path, place(count, -1);
  int at = int(std::find_if(missing.begin(), missing.end(), [](int n) { return n > 0; }) - missing.begin());
  while (place[at] < 0) {
    place[at] = int(path.size());
    path.push_back(at);
    at = *std::find_if(needs[at].begin(), needs[at].end(), [&](int other) { return missing[other] > 0; });
  }
  std::vector<std::string> cycle;
  for (std::size_t i = std::size_t(place[at]); i < path.size(); ++i) cycle.push_back(name_of(path[i]));
  invalid("the message has a cycle of ", cycle.size(), " through ", some_of(cycle));
}

// ---- making nodes

// What producers of the message say about the defaults of their attributes.
class ProducerDefaults {
 public:
  explicit ProducerDefaults(std::string_view op_list) {
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
  bool is_default(std::string_view op, std::string_view name, Reader value) const {
    if (is_empty_attr(value)) return true;
    const auto found = defaults_.find(str(op, '\n', name));
    if (found == defaults_.end()) return false;
    Expansion expansion;
    return equal(read_attr(found->second, "", expansion), read_attr(value, "", expansion));
  }

 private:
  std::unordered_map<std::string, Reader> defaults_;
};

// What one import shares between the graph and its functions.
struct Shared {
  Expansion expansion;
  ProducerDefaults defaults;
};

// Adds the nodes of one message (a graph's or a function's body) to a graph.
class Builder {
 public:
  Builder(Graph& graph, const std::vector<NodeMessage>& messages, Shared& shared)
      : graph_(graph), messages_(messages), shared_(shared), made_(messages.size()) {
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const auto [it, added] = index_.emplace(messages[i].name, int(i));
      require(added, "the message has two nodes named ", quoted(messages[i].name));
      names_.emplace_back(messages[i].name);
    }
  }

  // What a source refers to if not a node of the message.
  std::function<std::optional<Element>(const Source&)> outside = [](const Source&) { return std::nullopt; };
  std::vector<Node*> control_inputs;
  std::string device, source;

  void put_under(const std::string& prefix) {
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
    const auto order = in_order(needs, [&](int i) { return std::string(messages_[i].name); });
    try {
      for (int i : order) make(i);
    } catch (...) {
      undo();
      throw;
    }
  }

  // Takes the nodes out of the graph again, readers before what they read.
  void undo() {
    std::vector<Node*> nodes = std::move(made_);
    std::erase(nodes, nullptr);
    std::sort(nodes.begin(), nodes.end(), [](Node* a, Node* b) { return a->id() > b->id(); });
    const std::unique_lock lock(graph_.mutex());
    for (Node* node : nodes) graph_.remove(*node);
    graph_.trim();
  }

  const std::vector<Node*>& made() const { return made_; }
  Node* find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : made_[found->second];
  }
  bool has(std::string_view name) const { return index_.contains(name); }

  Element resolve(const Source& source) const {
    if (auto element = outside(source)) return *element;
    Node* node = find(source.node);
    require(node, "the message has no node ", quoted(source.node));
    if (source.control) return node;
    const int index = source.output.empty() ? source.index : flat_index(*node, source);
    require(index < node->num_outputs(), "node ", quoted(source.node), " has ", node->num_outputs(),
            " outputs, there is no number ", index);
    return node->output(index);
  }

 private:
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
    const NodeMessage& message = messages_[i];
    NodeSpec spec{.name = names_[i], .inputs = {}, .control_inputs = control_inputs, .source = source};
    spec.device = device.empty() ? std::string(message.device)
                                 : DeviceSpec::parse(device).merged(DeviceSpec::parse(message.device)).str();
    for (const Source& input : message.inputs) {
      const Element element = resolve(input);
      if (const Output* output = std::get_if<Output>(&element)) {
        spec.inputs.push_back(*output);
      } else {
        spec.control_inputs.push_back(std::get<Node*>(element));
      }
    }
    const OpDef* op = find_op_or_null(message.op);
    if (op) {
      spec.attrs = attrs_of(message, *op);
    } else {  // an operation named like a function
      op = &find_op(kCall);
      spec.attrs = call_attrs(message);
    }
    made_[i] = &graph_.add(*op, std::move(spec));
    merge_shapes(*made_[i], message);
  }

  AttrMap attrs_of(const NodeMessage& message, const OpDef& op) {
    AttrMap attrs;
    for (const auto& [name, value] : message.attrs) {
      if (name == kOutputShapes) continue;
      const AttrDef* known = op.find_attr(name);
      if (!known && !name.starts_with('_')) {
        if (std::find(std::begin(kNotes), std::end(kNotes), name) != std::end(kNotes)) continue;
        require(shared_.defaults.is_default(message.op, name, value), "node ", quoted(message.name), " (",
                message.op, ") has an attribute ", quoted(name),
                " that is not known here; the graph comes from a version of the operation that does more");
        continue;
      }
      attrs.insert_or_assign(std::string(name), read(message, name, value, known ? known->type : ""));
    }
    if (!message.shared_with.empty()) {
      attrs.insert_or_assign("shared_name", names_[std::size_t(index_.at(message.shared_with))]);
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

  // "_class" lists nodes to be near to, as "loc:@name": under their new names.
  void colocate(AttrMap& attrs) const {
    constexpr std::string_view kNear = "loc:@";
    const auto found = attrs.find("_class");
    auto* names = found == attrs.end() ? nullptr : std::get_if<std::vector<std::string>>(&found->second);
    if (!names) return;
    for (std::string& text : *names) {
      if (!text.starts_with(kNear)) continue;
      const auto other = index_.find(std::string_view(text).substr(kNear.size()));
      if (other != index_.end()) text = std::string(kNear) + names_[other->second];
    }
  }

  // The message may know more about shapes than inference finds.
  void merge_shapes(Node& node, const NodeMessage& message) {
    for (const auto& [name, value] : message.attrs) {
      if (name != kOutputShapes) continue;
      const Attr list = read(message, name, value, "list(shape)");
      const auto& shapes = std::get<std::vector<Shape>>(list);
      in_node(node, [&] {
        for (int i = 0; i < node.num_outputs() && i < int(shapes.size()); ++i) node.merge_shape(i, shapes[i]);
      });
    }
  }

  Graph& graph_;
  const std::vector<NodeMessage>& messages_;
  Shared& shared_;
  std::vector<Node*> made_;
  std::unordered_map<std::string_view, int> index_;
  std::vector<std::string> names_;
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

std::shared_ptr<Function> build_function(const FunctionMessage& message, const std::set<std::string>& calls,
                                         const Graph& library, Shared& shared) {
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
        if (shapes.size() == 1) node.merge_shape(0, shapes[0]);
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
  builder.build();

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
void build_functions(Graph& graph, const std::vector<FunctionMessage>& messages,
                     const std::set<std::string>& called, Shared& shared) {
  std::unordered_map<std::string, int> index;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const bool added = index.emplace(messages[i].name, int(i)).second;
    require(added, "the message has two functions named ", quoted(messages[i].name));
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

// ---- what is not known here

// One error that lists all operations without a definition, so that a user sees the whole of the work at
// once.
void check_operations(const Graph& graph, const GraphMessage& message, const std::set<std::string>& called) {
  std::set<std::string_view> functions;
  for (const FunctionMessage& function : message.functions) functions.insert(function.name);
  std::map<std::string_view, std::vector<std::string>> unknown;
  const bool can_call = find_op_or_null(kCall) != nullptr;
  const auto check = [&](const std::vector<NodeMessage>& nodes, std::string_view where) {
    for (const NodeMessage& node : nodes) {
      if (find_op_or_null(node.op)) continue;
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

}  // namespace

Imported import_graphdef(Graph& graph, std::string_view message, const ImportOptions& options) {
  GraphMessage parts = read_graph(message);
  resolve_references(parts);
  const auto called = called_functions(parts);
  check_operations(graph, parts, called);
  Shared shared{.expansion = {}, .defaults = ProducerDefaults(options.producer_ops)};
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
    require(!element.empty(), "return elements: '' is no name");
    wanted.push_back(parse_source(element));
    require(builder.has(wanted.back().node), "return elements: the message has no node ",
            quoted(wanted.back().node));
  }
  for (const auto& [key, value] : options.input_map) {
    require(builder.has(parse_source(key).node), "input map: the message has no node for ", quoted(key));
  }
  builder.build();
  Imported imported;
  try {
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
  const std::set<std::string> called{std::string(parts.functions[0].name)};
  check_operations(graph, parts, called);
  Shared shared{.expansion = {}, .defaults = ProducerDefaults("")};
  build_functions(graph, parts.functions, called, shared);
}

}  // namespace headrace
