// What conditions, loops and calls would compute for nobody is not computed: they get functions that do
// without it.
//
//   a, b = If(p; x, y)    where nobody reads b   →   a = If(p; x)       if y serves nothing but b
//   i, s = While(i, s)    where nobody reads s   →   i = While(i)       if neither i nor the condition needs
//   s
//
// What a function runs for its own sake (its targets) stays; an effect that only serves what nobody reads
// goes with it, as it does outside of functions. What is not read in a function any more may be all that
// another call in it is for, so functions are gone through from the outside in, to any depth.
#include <algorithm>
#include <unordered_set>

#include "core/passes/extract.h"
#include "core/passes/pipeline.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

using Flags = std::vector<bool>;

bool all_of(const Flags& flags) { return std::find(flags.begin(), flags.end(), false) == flags.end(); }

template <class T>
std::vector<T> only(std::span<const T> items, const Flags& kept) {
  std::vector<T> some;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (kept[i]) some.push_back(items[i]);
  }
  return some;
}

// Which arguments anything in the function reads.
Flags read_arguments(const Function& function) {
  Flags read;
  for (const Node* argument : function.arguments) {
    const auto is_it = [&](Output result) { return result.node == argument; };
    read.push_back(!argument->uses().empty() ||
                   std::any_of(function.results.begin(), function.results.end(), is_it));
  }
  return read;
}

// A copy that gives some of the results only, without what served the others.
std::unique_ptr<Function> with_results(const Function& function, const Flags& kept, Resources& resources) {
  auto copied = copy(function);
  copied->results = only(std::span<const Output>(copied->results), kept);
  copied->result_names.clear();
  prune(*copied);
  if (drop_unread(*copied, resources)) prune(*copied);
  return copied;
}

// Takes arguments away that nothing reads.
void keep_arguments(Function& function, const Flags& kept) {
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (!kept[i]) function.graph.remove(*function.arguments[i]);
  }
  function.arguments = only(std::span<Node* const>(function.arguments), kept);
  for (std::size_t i = 0; i < function.arguments.size(); ++i)
    function.arguments[i]->set_attr("index", std::int64_t(i));
}

class Unread {
 public:
  Unread(Function& function, Resources& resources)
      : function_(function), graph_(function.graph), resources_(resources) {
    for (const Output& result : function.results) needed_.insert(result.node);
    for (const Node* target : function.targets) needed_.insert(target);
  }

  bool run() {
    const std::vector<Node*> order = graph_.topological_order();
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      Node& node = **it;
      const bool is_needed =
          needed_.contains(&node) || std::any_of(node.uses().begin(), node.uses().end(),
                                                 [&](const Use& use) { return needed_.contains(use.node); });
      if (!is_needed) continue;
      needed_.insert(&node);
      if (node.has(Trait::calls)) trim_call(node);
      if (node.has(Trait::loop)) trim_loop(node);
    }
    return changed_;
  }

 private:
  // Who waits for the node waits for all that it does.
  Flags read_outputs(const Node& node) const {
    const auto& targets = function_.targets;
    const bool is_awaited = std::find(targets.begin(), targets.end(), &node) != targets.end() ||
                            std::any_of(node.uses().begin(), node.uses().end(), [&](const Use& use) {
                              return use.input == kControl && needed_.contains(use.node);
                            });
    Flags read(std::size_t(node.num_outputs()), is_awaited);
    for (const Output& result : function_.results) {
      if (result.node == &node) read[std::size_t(result.index)] = true;
    }
    for (const Use& use : node.uses()) {
      if (use.input != kControl && needed_.contains(use.node))
        read[std::size_t(use.node->input(use.input).index)] = true;
    }
    return read;
  }

  // ---- calls and conditions

  void trim_call(Node& node) {
    const Flags results = read_outputs(node);
    AttrMap attrs = node.attrs();
    std::vector<std::pair<FunctionName*, std::unique_ptr<Function>>> bodies;
    for (const AttrDef& def : node.op().attrs()) {
      const auto it = attrs.find(def.name);
      if (it == attrs.end()) continue;
      if (auto* name = std::get_if<FunctionName>(&it->second)) bodies.emplace_back(name, nullptr);
      if (auto* names = std::get_if<std::vector<FunctionName>>(&it->second)) {
        for (FunctionName& name : *names) bodies.emplace_back(&name, nullptr);
      }
    }
    Flags arguments;
    for (auto& [name, body] : bodies) {
      body = with_results(function_named(graph_, name->name), results, resources_);
      const Flags read = read_arguments(*body);
      if (arguments.empty()) arguments.resize(read.size(), false);
      for (std::size_t i = 0; i < read.size(); ++i) arguments.at(i) = arguments.at(i) || read[i];
    }
    if (all_of(results) && all_of(arguments)) return;
    for (auto& [name, body] : bodies) {
      keep_arguments(*body, arguments);
      name->name = add_variant(graph_, std::move(body), "_read_");
    }
    replace(node, std::move(attrs), arguments, results);
  }

  // ---- loops

  void trim_loop(Node& node) {
    AttrMap attrs = node.attrs();
    auto& body_name = std::get<FunctionName>(attrs.at("body"));
    auto& cond_name = std::get<FunctionName>(attrs.at("cond"));
    const Function& whole = function_named(graph_, body_name.name);  // of the library, which keeps it
    const Function& whole_cond = function_named(graph_, cond_name.name);
    auto cond = with_results(whole_cond, Flags(whole_cond.results.size(), true), resources_);
    Flags live = read_outputs(node);
    const auto add_live = [&](const Flags& read) {
      for (std::size_t i = 0; i < read.size(); ++i) live.at(i) = live.at(i) || read[i];
    };
    add_live(read_arguments(*cond));
    std::unique_ptr<Function> body;
    for (Flags before; !all_of(live) && before != live;) {
      before = live;
      body = with_results(whole, live, resources_);
      add_live(read_arguments(*body));
    }
    if (all_of(live)) return;
    keep_arguments(*body, live);
    keep_arguments(*cond, live);
    body_name.name = add_variant(graph_, std::move(body), "_read_");
    cond_name.name = add_variant(graph_, std::move(cond), "_read_");
    replace(node, std::move(attrs), live, live);
  }

  // The same node with fewer arguments, which come last among its inputs, and outputs.
  void replace(Node& node, AttrMap attrs, const Flags& arguments, const Flags& outputs) {
    const std::size_t first = node.inputs().size() - arguments.size();
    Flags inputs(first, true);
    inputs.insert(inputs.end(), arguments.begin(), arguments.end());
    const auto trim = [&](const std::string& attr, const Flags& kept) {
      if (attr.empty()) return;
      if (auto* types = std::get_if<std::vector<DType>>(&attrs.at(attr));
          types && types->size() == kept.size())
        *types = only(std::span<const DType>(*types), kept);
    };
    trim(node.op().inputs().back().type_attr, arguments);
    if (node.op().outputs()[0].type_attr != node.op().inputs().back().type_attr)
      trim(node.op().outputs()[0].type_attr, outputs);
    if (const auto it = attrs.find("output_shapes"); it != attrs.end()) {
      auto& shapes = std::get<std::vector<Shape>>(it->second);
      if (shapes.size() == outputs.size()) shapes = only(std::span<const Shape>(shapes), outputs);
    }
    NodeSpec spec{.name = node.name(),
                  .inputs = only(node.inputs(), inputs),
                  .attrs = std::move(attrs),
                  .control_inputs = {node.control_inputs().begin(), node.control_inputs().end()},
                  .device = node.device(),
                  .source = node.source()};
    graph_.rename(node, graph_.unique_name(node.name() + "/whole"));
    Node& made = graph_.add(node.op(), std::move(spec));
    int to = 0;
    for (int i = 0; i < node.num_outputs(); ++i) {
      if (outputs[std::size_t(i)]) substitute(function_, {&node, i}, {&made, to++});
    }
    graph_.redirect_controls(node, made);
    std::replace(function_.targets.begin(), function_.targets.end(), &node, &made);
    needed_.erase(&node);
    needed_.insert(&made);
    changed_ = true;
  }

  Function& function_;
  Graph& graph_;
  Resources& resources_;
  std::unordered_set<const Node*> needed_;
  bool changed_ = false;
};

}  // namespace

bool drop_unread(Function& function, Resources& resources) { return Unread(function, resources).run(); }

}  // namespace headrace
