#include <cmath>

#include "core/io/graphdef.h"
#include "core/io/messages.h"
#include "core/registry/ops.h"
#include "core/session/session.h"
#include "tests/cc/check.h"
#include "tests/cc/node_message.h"

namespace headrace {
namespace {

using Inputs = std::vector<std::string>;

// A graph message, written line by line.
class Message {
 public:
  Message& node(std::string_view name, std::string_view op, Inputs inputs = {}, const AttrMap& attrs = {}) {
    write_node(out_, name, op, inputs, attrs);
    return *this;
  }
  Message& floating(std::string_view name, std::string_view op, Inputs inputs) {
    return node(name, op, std::move(inputs), {{"T", DType::float32}});
  }
  Message& placeholder(std::string_view name, DType dtype = DType::float32) {
    return node(name, "Placeholder", {}, {{"dtype", dtype}, {"shape", Shape()}});
  }
  Message& constant(std::string_view name, float value, Inputs after = {}) {
    return node(name, "Const", std::move(after),
                {{"dtype", DType::float32}, {"value", Tensor::scalar(value)}});
  }
  Message& enter(std::string_view name, std::string input, std::string frame, bool invariant = false) {
    return node(name, "Enter", {std::move(input)},
                {{"T", DType::float32},
                 {"frame_name", std::move(frame)},
                 {"is_constant", invariant},
                 {"parallel_iterations", std::int64_t(10)}});
  }
  // x is doubled as long as it is less than a limit: `name`/Exit.
  Message& doubling(const std::string& name, std::string x, std::string limit) {
    enter(name + "/x", std::move(x), name).enter(name + "/limit", std::move(limit), name, true);
    merge(name + "/Merge", {name + "/x", name + "/Next"});
    floating(name + "/Less", "Less", {name + "/Merge", name + "/limit"});
    node(name + "/LoopCond", "LoopCond", {name + "/Less"});
    floating(name + "/Switch", "Switch", {name + "/Merge", name + "/LoopCond"});
    floating(name + "/Add", "AddV2", {name + "/Switch:1", name + "/Switch:1"});
    floating(name + "/Next", "NextIteration", {name + "/Add"});
    return floating(name + "/Exit", "Exit", {name + "/Switch"});
  }
  Message& merge(std::string_view name, Inputs inputs) {
    const auto count = std::int64_t(inputs.size());
    return node(name, "Merge", std::move(inputs), {{"T", DType::float32}, {"N", count}});
  }
  const std::string& str() const { return out_.str(); }

 private:
  wire::Writer out_;
};

struct Bench {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  explicit Bench(const Message& message) { import_graphdef(*graph, message.str()); }
  int count(std::string_view op) const {
    int found = 0;
    for (const auto& node : graph->nodes()) found += node && node->op().name() == op;
    return found;
  }
  float run(std::string_view fetch, std::vector<std::pair<std::string, Tensor>> feeds) const {
    SessionOptions options;
    options.plan.verify = true;
    Session session(graph, options);
    std::vector<std::pair<Output, Tensor>> fed;
    for (auto& [name, value] : feeds) fed.emplace_back(graph->find(name)->output(0), std::move(value));
    return *session.run(std::move(fed), {graph->find(fetch)->output(0)})[0].data<float>();
  }
};

Tensor number(float value) { return Tensor::scalar(value); }

TEST(frames, a_condition) {
  Message message;
  message.placeholder("x").placeholder("p", DType::boolean).floating("Switch", "Switch", {"x", "p"});
  message.floating("Neg", "Neg", {"Switch"}).floating("Square", "Square", {"Switch:1"});
  message.merge("Merge", {"Neg", "Square"}).floating("y", "Identity", {"Merge"});
  const Bench bench(message);
  CHECK_EQ(bench.count("StatelessIf"), 1);
  CHECK(!bench.graph->find("Neg") && bench.graph->find("Merge"));
  CHECK_EQ(bench.run("y", {{"x", number(3)}, {"p", Tensor::scalar(true)}}), 9.0f);
  CHECK_EQ(bench.run("Merge", {{"x", number(3)}, {"p", Tensor::scalar(false)}}), -3.0f);
}

TEST(frames, conditions_on_one_predicate_that_have_nothing_in_common_stay_apart) {
  Message message;
  message.placeholder("p", DType::boolean);
  for (const std::string name : {"a", "b"}) {
    message.placeholder(name).floating(name + "/Switch", "Switch", {name, "p"});
    message.floating(name + "/Neg", "Neg", {name + "/Switch"});
    message.merge(name + "/Merge", {name + "/Neg", name + "/Switch:1"});
  }
  const Bench bench(message);
  CHECK_EQ(bench.count("StatelessIf"), 2);
  // Nobody asks for b.
  CHECK_EQ(bench.run("a/Merge", {{"a", number(3)}, {"p", Tensor::scalar(false)}}), -3.0f);
}

TEST(frames, what_one_condition_computes_the_next_one_reads) {
  // As gradients do: both Merges have the predicate p, and the second side reads what the first one had.
  Message message;
  message.placeholder("x").placeholder("p", DType::boolean).floating("Switch", "Switch", {"x", "p"});
  message.floating("Exp", "Exp", {"Switch:1"}).floating("Neg", "Neg", {"Exp"});
  message.merge("Merge", {"Switch", "Neg"}).floating("Back", "Switch", {"Merge", "p"});
  message.floating("Mul", "Mul", {"Back:1", "Exp"}).merge("y", {"Back", "Mul"});
  const Bench bench(message);
  CHECK_EQ(bench.count("StatelessIf"), 2);
  CHECK_EQ(bench.run("y", {{"x", number(0)}, {"p", Tensor::scalar(true)}}), -1.0f);
  CHECK_EQ(bench.run("y", {{"x", number(7)}, {"p", Tensor::scalar(false)}}), 7.0f);
}

// x*2 if p, else -x if q, else exp(x); and what never comes.
TEST(frames, a_merge_of_several_values) {
  Message message;
  message.placeholder("x").placeholder("p", DType::boolean).placeholder("q", DType::boolean);
  message.floating("s", "Switch", {"x", "p"});
  message.node("sq", "Switch", {"q", "p"}, {{"T", DType::boolean}});
  message.floating("s2", "Switch", {"s", "sq"}).floating("never", "Switch", {"s2", "p"});
  message.floating("twice", "AddV2", {"s:1", "s:1"}).floating("neg", "Neg", {"s2:1"});
  message.floating("exp", "Exp", {"s2"}).floating("sin", "Sin", {"never:1"});
  message.merge("m", {"sin", "exp", "twice", "neg"}).constant("m/part_1", 5);
  message.floating("y", "AddV2", {"m", "m/part_1"});
  const Bench bench(message);
  const auto y = [&](float x, bool p, bool q) {
    return bench.run("y", {{"x", number(x)}, {"p", Tensor::scalar(p)}, {"q", Tensor::scalar(q)}});
  };
  CHECK_EQ(y(3, true, true), 11);
  CHECK_EQ(y(3, true, false), 11);
  CHECK_EQ(y(3, false, true), 2);
  CHECK_EQ(y(0, false, false), 6);
}

TEST(frames, a_loop) {
  Message message;
  message.placeholder("x").placeholder("limit").doubling("loop", "x", "limit");
  const Bench bench(message);
  CHECK_EQ(bench.count("StatelessWhile"), 1);
  CHECK_EQ(bench.graph->find("loop/Exit")->shape(0), Shape());
  CHECK_EQ(bench.run("loop/Exit", {{"x", number(3)}, {"limit", number(20)}}), 24.0f);
  CHECK_EQ(bench.run("loop/Exit", {{"x", number(30)}, {"limit", number(20)}}), 30.0f);
}

TEST(frames, a_loop_in_a_condition_in_a_loop) {
  Message message;
  message.placeholder("x").placeholder("limit").constant("three", 3);
  message.enter("x/Enter", "x", "outer").enter("limit/Enter", "limit", "outer", true);
  message.enter("three/Enter", "three", "outer", true).merge("Merge", {"x/Enter", "Next"});
  message.floating("Less", "Less", {"Merge", "limit/Enter"}).node("LoopCond", "LoopCond", {"Less"});
  message.floating("Switch", "Switch", {"Merge", "LoopCond"})
      .floating("Way", "Switch", {"Switch:1", "Small"});
  message.floating("Small", "Less", {"Switch:1", "three/Enter"});
  message.floating("Top", "Switch", {"three/Enter", "Small"}).doubling("inner", "Way:1", "Top:1");
  message.floating("Square", "Square", {"Way"}).merge("Join", {"inner/Exit", "Square"});
  message.floating("Next", "NextIteration", {"Join"}).floating("Exit", "Exit", {"Switch"});
  const Bench bench(message);
  CHECK_EQ(bench.count("StatelessWhile"), 1);
  // 1 is doubled to 4, squared to 16, and to 256.
  CHECK_EQ(bench.run("Exit", {{"x", number(1)}, {"limit", number(100)}}), 256.0f);
}

TEST(frames, effects_run_only_on_the_side_taken) {
  Message message;
  const AttrMap variable{{"dtype", DType::float32}, {"shape", Shape()}, {"shared_name", std::string("v")}};
  const AttrMap of_float{{"dtype", DType::float32}};
  message.placeholder("p", DType::boolean).constant("one", 1).node("v", "VarHandleOp", {}, variable);
  message.node("init", "AssignVariableOp", {"v", "one"}, of_float);
  message.node("Switch", "Switch", {"v", "p"}, {{"T", DType::resource}});
  message.constant("ten", 10, {"^pivot"}).node("pivot", "Identity", {"way:1"}, {{"T", DType::boolean}});
  message.node("way", "Switch", {"p", "p"}, {{"T", DType::boolean}});
  message.node("add", "AssignAddVariableOp", {"Switch:1", "ten"}, of_float);
  message.node("read", "ReadVariableOp", {"v"}, of_float);
  const Bench bench(message);
  Session session(bench.graph);
  const auto at = [&](std::string_view name) { return bench.graph->find(name); };
  session.run({}, {}, {at("init")});
  for (const auto& [truth, expected] :
       {std::pair(false, 1.0f), {true, 11.0f}, {false, 11.0f}, {true, 21.0f}}) {
    session.run({{at("p")->output(0), Tensor::scalar(truth)}}, {}, {at("add")});
    CHECK_EQ(*session.run({}, {at("read")->output(0)})[0].data<float>(), expected);
  }
}

TEST(frames, both_forms_go_on_as_functions) {
  Message message;
  message.placeholder("x").placeholder("limit").doubling("loop", "x", "limit");
  const Bench first(message);
  auto graph = std::make_shared<Graph>();
  import_graphdef(*graph, to_graphdef(*first.graph));
  CHECK(graph->find("loop/Exit") != nullptr);
  CHECK_EQ(graph->functions().size(), 2u);
  // Twice in one graph: functions and nodes get numbers.
  import_graphdef(*graph, message.str());
  CHECK_EQ(graph->functions().size(), 4u);
}

// Each is refused with an error that names what is wrong, and leaves the graph as it was.
TEST(frames, what_is_no_condition_and_no_loop) {
  const auto refused = [](const Message& message, std::string_view text) {
    Graph graph;
    CHECK_CONTAINS(CHECK_ERROR(invalid_argument, import_graphdef(graph, message.str())), text);
    CHECK_EQ(graph.size(), 0);
  };
  const auto start = [] {
    Message message;
    message.placeholder("x").placeholder("p", DType::boolean);
    return message;
  };
  refused(start().floating("out", "Exit", {"x"}), "Exit node 'out' is in no loop");
  refused(start().node("cond", "LoopCond", {"p"}), "LoopCond node 'cond' is in no loop");
  refused(start().floating("next", "NextIteration", {"x"}), "NextIteration node 'next' is in no loop");
  refused(start().merge("m", {"x"}), "Merge node 'm' has 1 input, expected 2");
  refused(start().merge("m", {"x", "x", "x"}), "Merge node 'm/part_1' joins what are not the two sides");
  refused(start().merge("m", {"x", "x"}), "Merge node 'm' joins what are not the two sides");
  refused(start().floating("s", "Switch", {"x"}), "Switch node 's' has 1 input, expected 2");
  refused(start().floating("s", "Switch", {"x", "p"}).floating("n", "Neg", {"s:2"}),
          "reads output 2 of the Switch");
  refused(start().floating("a", "Neg", {"b"}).floating("b", "Neg", {"a"}).floating("s", "Switch", {"x", "p"}),
          "has a cycle of 2 through 'a', 'b'");
  refused(start().floating("m", "Merge", {"x", "n"}).floating("n", "NextIteration", {"m"}),
          "NextIteration node 'n' is in no loop");
  refused(start().node("e", "Enter", {"x"}, {{"T", DType::float32}}),
          "Enter node 'e' does not name its frame");
  refused(start().enter("e", "x", "f").floating("out", "Exit", {"e"}), "the loop 'f' has no LoopCond node");
  refused(start().enter("e", "x", "f").floating("a", "AddV2", {"e", "x"}),
          "a value enters a loop through Enter");
  refused(start().placeholder("limit").doubling("f", "x", "limit").node("second", "LoopCond", {"f/Less"}),
          "the loop 'f' has two LoopCond nodes, 'f/LoopCond' and 'second'");
  refused(start().placeholder("limit").doubling("f", "x", "limit").floating("out", "Exit", {"f/Add"}),
          "Exit node 'out' of the loop 'f' has to take the value of a loop variable");
  refused(start().enter("e", "x", "f").merge("m", {"n", "n"}).floating("n", "NextIteration", {"m"}),
          "Merge node 'm'");
  // Values of different types on the two sides.
  refused(start()
              .node("q", "Switch", {"p", "p"}, {{"T", DType::boolean}})
              .floating("s", "Switch", {"x", "p"})
              .merge("m", {"q", "s:1"}),
          "a Merge joins bool");
}

// Deep and broken graphs end in an error or a graph, not in a crash.
TEST(frames, depth_is_bounded) {
  Message message;
  message.placeholder("x");
  std::string last = "x";
  for (int i = 0; i < 200; ++i) {
    message.enter("e" + std::to_string(i), last, "f");
    last = "e" + std::to_string(i);
  }
  Graph graph;
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, import_graphdef(graph, message.str())), "100 deep");
}

}  // namespace
}  // namespace headrace
