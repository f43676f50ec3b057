// Functions of the process that built the graph, called back from it.
#include "core/registry/ops.h"

namespace headrace {

HEADRACE_OPS(script) {
  op("PyFunc")
      .in("input: Tin")
      .out("output: Tout")
      .attr("token: string", "Tin: list(type) >= 0", "Tout: list(type) >= 0")
      .traits(Trait::stateful, Trait::blocking, Trait::no_gradient)
      .shape(unknown_shape)
      .doc("Calls the Python function that is registered under `token`.");

  op("PyFuncStateless")
      .in("input: Tin")
      .out("output: Tout")
      .attr("token: string", "Tin: list(type) >= 0", "Tout: list(type) >= 0")
      .traits(Trait::blocking, Trait::no_gradient)
      .shape(unknown_shape)
      .doc("Calls the Python function that is registered under `token`, which has no effects and no state.");
}

}  // namespace headrace
