// What stands for the outside of a function.
#include "core/registry/ops.h"

namespace headrace {

HEADRACE_OPS(function) {
  // The shape of an argument is what its caller says; see Function in graph/graph.h.
  op("_Arg")
      .out("output: T")
      .attr("T: type", "index: int >= 0")
      .traits(Trait::argument)
      .shape(unknown_shape)
      .doc("The value of one argument of a function.");
}

}  // namespace headrace
