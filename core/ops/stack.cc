// Definitions of stacks: what the gradient loops of imported graphs keep their values on. A step makes its
// own.
#include "core/registry/ops.h"

namespace headrace {
namespace {

OpDef& stack(OpDef& definition, ShapeRule rule) {
  return definition.traits(Trait::stateful, Trait::no_gradient).shape(std::move(rule));
}

void push_shape(ShapeContext& c) { c.output(0, c.input(1)); }

}  // namespace

HEADRACE_OPS(stack) {
  stack(op("StackV2")
            .in("max_size: int32")
            .out("handle: resource")
            .attr("elem_type: type", "stack_name: string = ''"),
        scalar_shape)
      .doc("Makes an empty stack, for `max_size` elements or, if that is negative, any number of them.");
  stack(op("StackPushV2")
            .in("handle: resource", "elem: T")
            .out("output: T")
            .attr("T: type", "swap_memory: bool = false"),
        push_shape)
      .doc("Puts an element on a stack, and passes it on.");
  stack(op("StackPopV2").in("handle: resource").out("elem: elem_type").attr("elem_type: type"), unknown_shape)
      .doc("Takes the last element off a stack.");
  stack(op("StackCloseV2").in("handle: resource"), no_outputs).doc("Removes all elements of a stack.");
}

}  // namespace headrace
