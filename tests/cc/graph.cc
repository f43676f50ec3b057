// The graph, the verifier, extraction, and what the registry and definitions say of mistakes.
#include "core/graph/graph.h"

#include "core/passes/extract.h"
#include "core/registry/device.h"
#include "core/registry/ops.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

Node& placeholder(Graph& graph, std::string name, Shape shape, DType dtype = DType::float32) {
  return graph.add(find_op("Placeholder"),
                   {.name = std::move(name), .inputs = {}, .attrs = {{"dtype", dtype}, {"shape", shape}}});
}
Node& add(Graph& graph, std::string op, std::string name, std::vector<Output> inputs, AttrMap attrs = {},
          std::vector<Node*> after = {}) {
  return graph.add(find_op(op), {.name = std::move(name),
                                 .inputs = std::move(inputs),
                                 .attrs = std::move(attrs),
                                 .control_inputs = std::move(after),
                                 .source = "here.py:7"});
}

TEST(graph, adding_infers_types_and_shapes) {
  Graph graph;
  Node& a = placeholder(graph, "a", {kUnknown, 3});
  Node& b = placeholder(graph, "b", {3, 4});
  Node& c = add(graph, "MatMul", "c", {a.output(0), b.output(0)});
  CHECK_EQ(c.shape(0), (Shape{kUnknown, 4}));
  CHECK(c.attr<DType>("T") == DType::float32);
  CHECK_EQ(c.attr<bool>("transpose_a"), false);
  CHECK_EQ(c.id(), 2);
  CHECK_EQ(graph.size(), 3);
  CHECK(graph.find("c") == &c);
  CHECK_EQ(a.uses().size(), 1u);
  CHECK_EQ(c.output(0).name(), "c:0");
}

TEST(graph, mistakes_name_operation_node_and_line_and_change_nothing) {
  Graph graph;
  Node& a = placeholder(graph, "a", {2, 3});
  Node& i = placeholder(graph, "i", {2, 3}, DType::int32);
  const auto matmul = [&](std::vector<Output> inputs, AttrMap attrs = {}, std::string name = "m") {
    return CHECK_ERROR(invalid_argument, add(graph, "MatMul", name, inputs, attrs));
  };
  std::string message = matmul({a.output(0), a.output(0)});
  for (const char* part : {"[MatMul 'm']", "(2, 3)", "here.py:7"}) CHECK_CONTAINS(message, part);
  CHECK_CONTAINS(matmul({a.output(0)}), "missing");
  CHECK_CONTAINS(matmul({a.output(0), a.output(0), a.output(0)}), "3 inputs");
  CHECK_CONTAINS(matmul({a.output(0), i.output(0)}), "int32");
  CHECK_CONTAINS(matmul({a.output(0), a.output(0)}, {{"transpose", true}}), "no attribute 'transpose'");
  CHECK_CONTAINS(matmul({a.output(0), a.output(0)}, {{"transpose_b", std::int64_t(1)}}), "bool");
  CHECK_CONTAINS(matmul({a.output(0), Output{&a, 1}}), "exist");
  CHECK_CONTAINS(matmul({a.output(0), a.output(0)}, {}, "not a name"), "not a valid node name");
  CHECK_ERROR(already_exists, add(graph, "NoOp", "a", {}));
  Graph other;
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, add(other, "Identity", "x", {a.output(0)})), "another graph");
  CHECK_EQ(graph.size(), 2);
  CHECK_EQ(a.uses().size(), 0u);
}

TEST(graph, a_wrong_dtype_has_a_class_of_its_own) {
  Graph graph;
  Node& a = placeholder(graph, "a", {2});
  Node& i = placeholder(graph, "i", {2}, DType::int32);
  bool caught = false;
  try {
    add(graph, "Add", "sum", {a.output(0), i.output(0)});
  } catch (const DTypeError& error) {
    caught = true;
    CHECK_EQ(error.node(), "sum");
    CHECK_EQ(error.op(), "Add");
  }
  CHECK(caught);
}

TEST(graph, names_are_made_unique) {
  Graph graph;
  CHECK_EQ(graph.unique_name("a"), "a");
  add(graph, "NoOp", "a", {});
  add(graph, "NoOp", "a_1", {});
  CHECK_EQ(graph.unique_name("a"), "a_2");
}

TEST(graph, rewriting_keeps_edges_and_uses_in_step) {
  Function function;
  Graph& graph = function.graph;
  Node& a = placeholder(graph, "a", {2});
  Node& b = placeholder(graph, "b", {2});
  Node& x = add(graph, "Neg", "x", {a.output(0)});
  Node& y = add(graph, "Add", "y", {x.output(0), x.output(0)});
  Node& z = add(graph, "NoOp", "z", {}, {}, {&x});
  verify(function, "building");

  graph.replace(x.output(0), b.output(0));
  CHECK(y.input(0) == b.output(0) && y.input(1) == b.output(0));
  graph.redirect_controls(x, b);
  CHECK(z.control_inputs()[0] == &b);
  CHECK(x.uses().empty());
  graph.remove(x);
  CHECK(graph.find("x") == nullptr);
  CHECK(graph.nodes()[2] == nullptr);
  graph.set_input(y, 1, a.output(0));
  graph.add_control_input(z, a);
  graph.add_control_input(z, a);
  CHECK_EQ(z.control_inputs().size(), 2u);
  verify(function, "rewriting");
  CHECK_EQ(graph.topological_order().size(), 4u);
  CHECK_CONTAINS(CHECK_ERROR(internal, graph.remove(a)), "'a'");
  graph.remove_control_inputs(z);
  verify(function, "rewriting");
}

TEST(graph, the_verifier_finds_cycles_and_wrong_types) {
  Function function;
  Graph& graph = function.graph;
  Node& a = placeholder(graph, "a", {2});
  Node& i = placeholder(graph, "i", {2}, DType::int32);
  Node& x = add(graph, "Neg", "x", {a.output(0)});
  Node& y = add(graph, "Neg", "y", {x.output(0)});
  graph.set_input(x, 0, y.output(0));
  CHECK_CONTAINS(CHECK_ERROR(internal, verify(function, "a pass")), "cycle");
  graph.set_input(x, 0, i.output(0));
  const std::string message = CHECK_ERROR(internal, verify(function, "a pass"));
  CHECK_CONTAINS(message, "a pass");
  CHECK_CONTAINS(message, "int32");
}

TEST(graph, extraction_takes_what_is_needed) {
  Graph graph;
  Node& a = placeholder(graph, "a", {2});
  Node& b = add(graph, "Neg", "b", {a.output(0)});
  Node& effect = add(graph, "NoOp", "effect", {});
  Node& c = add(graph, "Abs", "c", {b.output(0)}, {}, {&effect});
  add(graph, "Exp", "unneeded", {c.output(0)});
  Node& target = add(graph, "NoOp", "target", {}, {}, {&c});

  const Output fed[] = {b.output(0)}, results[] = {c.output(0), b.output(0)};
  Node* const targets[] = {&target};
  const auto function = extract(graph, fed, results, targets);
  verify(*function, "extraction");
  CHECK_EQ(function->arguments.size(), 1u);
  CHECK_EQ(function->arguments[0]->shape(0), Shape{2});
  CHECK(function->graph.find("c") && function->graph.find("effect") && function->graph.find("target"));
  CHECK(!function->graph.find("a") && !function->graph.find("unneeded"));
  CHECK(function->results[1].node == function->arguments[0]);
  CHECK_EQ(function->targets.size(), 1u);
  const auto again = copy(*function);
  verify(*again, "copying");
  CHECK_EQ(again->graph.size(), function->graph.size());
  CHECK_EQ(graph.size(), 6);
}

TEST(registry, near_names_are_suggested) {
  CHECK_CONTAINS(CHECK_ERROR(not_found, find_op("MatMull")), "did you mean 'MatMul'");
  CHECK(find_op_or_null("MatMull") == nullptr);
  const std::vector<std::string> names = {"Relu", "Relu6", "Elu", "Tanh"};
  CHECK_EQ(did_you_mean("relu", names), ", did you mean 'Relu', 'Elu' or 'Relu6'?");
  CHECK_EQ(did_you_mean("Thna", names), "");
  CHECK_EQ(did_you_mean("Tahn", names), ", did you mean 'Tanh'?");
  CHECK_ERROR(already_exists, op("MatMul"));
}

TEST(registry, definitions_read_as_written) {
  OpDef def("Sample");
  def.in("x: T", "n: int32", "xs: N * T", "rest: Tlist")
      .out("y: T", "ys: N * float32")
      .attr("T: {float32, int64} = float32", "N: int >= 2", "Tlist: list(type) >= 1",
            "mode: {'A', 'B'} = 'B'", "sizes: list(int) = [1, -2]", "shape: shape = (2, ?)",
            "rate: float = 0.5", "deep: bool = true", "text: string = ''", "names: list(string) = []",
            "f: func")
      .traits(Trait::stateful);
  CHECK_EQ(def.inputs().size(), 4u);
  CHECK_EQ(def.inputs()[0].type_attr, "T");
  CHECK(def.inputs()[1].dtype == DType::int32 && !def.inputs()[1].is_list());
  CHECK_EQ(def.inputs()[2].number_attr, "N");
  CHECK(def.inputs()[3].is_type_list);
  CHECK(def.outputs()[1].dtype == DType::float32 && def.outputs()[1].is_list());
  CHECK_EQ(def.find_attr("T")->allowed_dtypes.size(), 2u);
  CHECK_EQ(*def.find_attr("N")->minimum, 2);
  CHECK_EQ(*def.find_attr("Tlist")->minimum, 1);
  CHECK_EQ(def.find_attr("mode")->allowed_strings, (std::vector<std::string>{"A", "B"}));
  CHECK(equal(*def.find_attr("mode")->default_value, Attr(std::string("B"))));
  CHECK(equal(*def.find_attr("sizes")->default_value, Attr(std::vector<std::int64_t>{1, -2})));
  CHECK(equal(*def.find_attr("shape")->default_value, Attr(Shape{2, kUnknown})));
  CHECK(equal(*def.find_attr("rate")->default_value, Attr(0.5f)));
  CHECK(equal(*def.find_attr("names")->default_value, Attr(std::vector<std::string>())));
  CHECK_EQ(def.find_attr("f")->type, "func");
  CHECK(def.find_attr("nothing") == nullptr);
  CHECK(def.has(Trait::stateful) && !def.has(Trait::blocking));
}

TEST(registry, mistakes_in_definitions_are_internal_errors) {
  for (const char* text : {"no colon", "x: {floaty}", "n: int = many", "m: {A}"}) {
    CHECK_ERROR(internal, OpDef("Sample").attr(text));
  }
  CHECK_ERROR(internal, OpDef("Sample").in("nothing"));
}

TEST(registry, every_definition_is_whole) {
  for (const OpDef* def : all_ops()) {
    CHECK(def->shape_rule());
    CHECK(!def->doc().empty());
    for (const auto args : {def->inputs(), def->outputs()}) {
      for (const ArgDef& arg : args) {
        const auto is = [&](const std::string& name, std::string_view type) {
          const AttrDef* attr = def->find_attr(name);
          return attr && attr->type == type;
        };
        CHECK(arg.type_attr.empty() ? is_valid(arg.dtype)
                                    : is(arg.type_attr, arg.is_type_list ? "list(type)" : "type"));
        CHECK(arg.number_attr.empty() || is(arg.number_attr, "int"));
      }
    }
  }
}

TEST(device, specifications) {
  CHECK_EQ(DeviceSpec::parse("/cpu:0").str(), "/device:CPU:0");
  CHECK_EQ(DeviceSpec::parse("/job:worker/task:1").merged(DeviceSpec::parse("/gpu:2")).str(),
           "/job:worker/task:1/device:GPU:2");
  CHECK_EQ(DeviceSpec::parse("/cpu:0").merged(DeviceSpec::parse("/cpu:1")).str(), "/device:CPU:1");
  CHECK_ERROR(invalid_argument, DeviceSpec::parse("/nonsense:::"));
}

}  // namespace
}  // namespace headrace
