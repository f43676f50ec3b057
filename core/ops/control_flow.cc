// Definitions of what orders, watches and checks a computation without changing its values.
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

void ensure_shape(ShapeContext& c) {
  const Shape& wanted = c.attr<Shape>("shape");
  require(c.input(0).compatible_with(wanted), "input is ", c.input(0), ", expected ", wanted,
          "; reshape it, or relax the shape");
  c.output(0, c.input(0).merge(wanted));
}

void assert_shape(ShapeContext& c) { c.with_rank(0, 0); }

}  // namespace

HEADRACE_OPS(control_flow) {
  op("NoOp")
      .traits(Trait::no_gradient)
      .shape(no_outputs)
      .doc("Computes nothing: stands for what it waits for.");
  op("ControlTrigger")
      .traits(Trait::no_gradient)
      .shape(no_outputs)
      .doc("Computes nothing: stands for what it waits for, where some of that may not run.");
  op("Assert")
      .in("condition: bool", "data: T")
      .attr("T: list(type) >= 1", "summarize: int = 3")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(assert_shape)
      .doc("Fails with the data in its message if the condition is false.");
  op("EnsureShape")
      .in("input: T")
      .out("output: T")
      .attr("shape: shape", "T: type")
      .traits(Trait::alias)
      .shape(ensure_shape)
      .doc("Passes its input on, or fails if its shape is not what it should be.");
  op("Print")
      .in("input: T", "data: U")
      .out("output: T")
      .attr("T: type", "U: list(type) >= 0", "message: string = ''", "first_n: int = -1",
            "summarize: int = 3")
      .traits(Trait::stateful, Trait::alias)
      .shape(same_shape)
      .doc("Passes its input on and prints the message and the data, in the first `first_n` runs.");
  op("PrintV2")
      .in("input: string")
      .attr("output_stream: string = 'stderr'", "end: string = '\n'")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape([](ShapeContext& c) { c.with_rank(0, 0); })
      .doc("Prints a string to stdout, stderr or, as \"file://path\", to the end of a file.");
  op("Timestamp")
      .out("ts: float64")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(scalar_shape)
      .doc("Seconds since 1970 when it runs.");
}

}  // namespace headrace
