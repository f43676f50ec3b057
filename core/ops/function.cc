// Definitions of what stands for the outside of a function, and of operations that call functions: the
// branches of a condition, the body of a loop. Their shapes are found by inferring through the functions
// themselves.
#include <algorithm>

#include "core/registry/ops.h"

namespace headrace {
namespace {

// ---- shape rules

const Function& function_of(const ShapeContext& c, const FunctionName& name) {
  const auto function = c.node().graph().find_function(name.name);
  if (!function) fail(Code::not_found, "the graph has no function '", name.name, "'");
  return *function;
}

std::vector<Shape> input_shapes(const ShapeContext& c, int from) {
  std::vector<Shape> shapes;
  for (int i = from; i < c.num_inputs(); ++i) shapes.push_back(c.input(i));
  return shapes;
}

// What the front end promises about the outputs, where it does.
void output_promised(ShapeContext& c, std::span<const Shape> shapes) {
  require(int(shapes.size()) == c.num_outputs(), "the function returns ", shapes.size(),
          " tensors, expected ", c.num_outputs());
  const auto promised = c.node().attr_or("output_shapes", std::vector<Shape>{});
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.output(i, i < int(promised.size()) ? shapes[i].merge(promised[i]) : shapes[i]);
  }
}

void call_shape(ShapeContext& c) {
  output_promised(c, infer_results(function_of(c, c.attr<FunctionName>("f")), input_shapes(c, 0)));
}

// What a branch returns for arguments like these. One that is not taken may get what it could not compute
// with (nothing, in place of what another branch has saved for it): then what was known when it was built.
std::vector<Shape> branch_results(const ShapeContext& c, const FunctionName& name) {
  const Function& branch = function_of(c, name);
  std::vector<Shape> built;
  for (const Output& result : branch.results) built.push_back(result.shape());
  try {
    std::vector<Shape> shapes = infer_results(branch, input_shapes(c, 1));
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (!shapes[i].compatible_with(built[i])) return built;
    }
    return shapes;
  } catch (const Error&) {
    return built;
  }
}

// Any branch may run, so only what all agree on is known.
void branches_shape(ShapeContext& c, std::span<const FunctionName> branches) {
  std::vector<Shape> common;
  for (const FunctionName& branch : branches) {
    const auto shapes = branch_results(c, branch);
    require(common.empty() || common.size() == shapes.size(), "the branches return ", common.size(), " and ",
            shapes.size(), " tensors; they must agree");
    if (common.empty()) common = shapes;
    for (std::size_t i = 0; i < shapes.size(); ++i) common[i] = common[i].relax(shapes[i]);
  }
  output_promised(c, common);
}

void if_shape(ShapeContext& c) {
  branches_shape(c, std::array{c.attr<FunctionName>("then_branch"), c.attr<FunctionName>("else_branch")});
}

void case_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  branches_shape(c, c.attr<std::vector<FunctionName>>("branches"));
}

// A loop variable has the shape that every iteration keeps: start from the inputs' and relax until the body
// keeps it.
void while_shape(ShapeContext& c) {
  const Function& body = function_of(c, c.attr<FunctionName>("body"));
  std::vector<Shape> shapes = input_shapes(c, 0);
  while (true) {
    const std::vector<Shape> next = infer_results(body, shapes);
    require(next.size() == shapes.size(), "the body takes ", shapes.size(), " loop variables and returns ",
            next.size());
    bool kept = true;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const Shape relaxed = shapes[i].relax(next[i]);
      kept = kept && relaxed == shapes[i];
      shapes[i] = relaxed;
    }
    if (kept) break;
  }
  output_promised(c, shapes);
}

}  // namespace

HEADRACE_OPS(function) {
  // The shape of an argument is what its caller says; see Function in graph/graph.h.
  op("_Arg")
      .out("output: T")
      .attr("T: type", "index: int >= 0")
      .traits(Trait::argument)
      .shape(unknown_shape)
      .doc("The value of one argument of a function.");

  // Each comes in two kinds: with side effects, and without.
  for (const bool stateful : {true, false}) {
    const auto define = [&](const char* name, Trait kind) -> OpDef& {
      OpDef& made = op((stateful ? "" : "Stateless") + std::string(name)).traits(kind);
      return stateful ? made.traits(Trait::stateful) : made;
    };
    define("If", Trait::calls)
        .in("cond: Tcond", "input: Tin")
        .out("output: Tout")
        .attr("Tcond: type", "Tin: list(type) >= 0", "Tout: list(type) >= 0", "then_branch: func",
              "else_branch: func", "output_shapes: list(shape) = []")
        .shape(if_shape)
        .doc(
            "Calls one of two functions: `then_branch` if the scalar is true, not zero or not empty, else "
            "`else_branch`.");
    define("Case", Trait::calls)
        .in("branch_index: int32", "input: Tin")
        .out("output: Tout")
        .attr("Tin: list(type) >= 0", "Tout: list(type) >= 0", "branches: list(func) >= 1",
              "output_shapes: list(shape) = []")
        .shape(case_shape)
        .doc("Calls the function of that number; the last one if there is none of that number.");
    define("While", Trait::loop)
        .in("input: T")
        .out("output: T")
        .attr("T: list(type) >= 0", "cond: func", "body: func", "output_shapes: list(shape) = []",
              "parallel_iterations: int = 10")
        .shape(while_shape)
        .doc(
            "Replaces the loop variables by what `body` makes of them for as long as `cond` of them is "
            "true.");
  }
  for (const char* name : {"PartitionedCall", "StatefulPartitionedCall"}) {
    OpDef& made = op(name)
                      .in("args: Tin")
                      .out("output: Tout")
                      .attr("Tin: list(type) >= 0", "Tout: list(type) >= 0", "f: func", "config: string = ''",
                            "config_proto: string = ''", "executor_type: string = ''")
                      .traits(Trait::calls)
                      .shape(call_shape)
                      .doc("Calls a function.");
    if (std::string_view(name).starts_with("Stateful")) made.traits(Trait::stateful);
  }
}

}  // namespace headrace
