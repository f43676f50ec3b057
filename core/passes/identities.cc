// Identities: id(x) becomes x, where nothing waits for it in particular and it stays on x's device.
#include "core/passes/pipeline.h"

namespace headrace {

bool remove_identities(Function& function, Resources&) {
  bool changed = false;
  for (Node* node : function.graph.topological_order()) {
    if (!node->has(Trait::identity) || !node->control_inputs().empty() || node->num_outputs() != 1) continue;
    const Output input = node->input(0);
    if (!node->device().empty() && node->device() != input.node->device()) continue;
    substitute(function, {node, 0}, input);
    function.graph.redirect_controls(*node, *input.node);
    for (Node*& target : function.targets) {
      if (target == node) target = input.node;
    }
    changed = true;
  }
  return changed;
}

}  // namespace headrace
