// Algebra on values that are plain in the graph:
//
//   f(x, e) = x            e neutral for f: x + 0, x - 0, x * 1, x / 1; also f(e, x) if f is commutative
//   f(f(x)) = x            f an involution: negation, conjugation, logical not...
//   f(f(x)) = f(x)         f idempotent: absolute value, rounding, rectifiers...
//
// The first holds only where broadcasting does not change x's shape.
#include "core/passes/pipeline.h"

namespace headrace {
namespace {

bool is_filled_with(const Tensor* value, double element) {
  if (!value || value->size() == 0) return false;
  bool filled = false;
  visit(NumericTypes{}, value->dtype(), [&]<class T>(std::type_identity<T>) {
    filled = true;
    for (const T& x : value->flat<T>()) filled = filled && x == T(float(element));
  });
  return filled;
}

// The output that can stand for the node's, or none.
Output simpler(Node& node) {
  if (const auto neutral = node.op().neutral(); neutral && node.inputs().size() == 2) {
    for (int i = 0; i < (node.has(Trait::commutative) ? 2 : 1); ++i) {
      const Output x = node.input(i), e = node.input(1 - i);
      if (is_filled_with(e.node->constant(), *neutral) && x.shape().is_full() && x.shape() == node.shape(0) &&
          x.dtype() == node.dtype(0)) {
        return x;
      }
    }
  }
  if (node.inputs().size() == 1) {
    const Output inner = node.input(0);
    const bool twice = &inner.node->op() == &node.op() && equal(inner.node->attrs(), node.attrs());
    if (twice && node.has(Trait::involution)) return inner.node->input(0);
    if (twice && node.has(Trait::idempotent)) return inner;
  }
  return {};
}

}  // namespace

bool simplify_algebra(Function& function, Resources&) {
  bool changed = false;
  for (Node* node : function.graph.topological_order()) {
    if (node->has(Trait::stateful) || node->num_outputs() != 1 || !node->control_inputs().empty()) continue;
    const Output x = simpler(*node);
    if (!x || node->device() != x.node->device()) continue;
    substitute(function, {node, 0}, x);
    function.graph.redirect_controls(*node, *x.node);
    for (Node*& target : function.targets) {
      if (target == node) target = x.node;
    }
    changed = true;
  }
  return changed;
}

}  // namespace headrace
