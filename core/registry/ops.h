// The operations there are. A definition registers itself where it stands in core/ops/<family>.cc:
//
//   HEADRACE_OPS(math) {
//     op("Neg").in("x: T").out("y: T").attr("T: {float32, ...}").traits(elementwise, involution)
//         .shape(same_shape).doc("Computes -x element by element.");
//   }
#pragma once

#include <string_view>
#include <vector>

#include "core/graph/graph.h"

namespace headrace {

// Starts a definition in the registry; AlreadyExists if the name is taken.
OpDef& op(std::string name);

// Defines "_Fused..." beside an operation: it takes more inputs and applies post-operations to each value
// before it stores it. `then` names them in order, `then_inputs` says how many of the further inputs each
// takes, `then_values` gives the number that it has for an attribute (alpha, epsilon), else 0.
void define_fused(OpDef& base);

// NotFound with the nearest names for one that does not exist.
const OpDef& find_op(std::string_view name);
const OpDef* find_op_or_null(std::string_view name);
std::vector<const OpDef*> all_ops();  // by name

// ", did you mean 'Relu' or 'Relu6'?" for the candidates nearest to `name`, or "" if none is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

// A Const node holding `value`, for rewrites.
Node& add_constant(Graph& graph, std::string name, Tensor value);

struct Registration {
  explicit Registration(void (*run)()) { run(); }
};

#define HEADRACE_OPS(FAMILY)                                                  \
  static void define_##FAMILY##_ops();                                        \
  static const ::headrace::Registration FAMILY##_ops(&define_##FAMILY##_ops); \
  static void define_##FAMILY##_ops()

}  // namespace headrace
